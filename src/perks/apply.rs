//! Making perks say what someone wrote down: several at once, all of them or none, in one transaction
//! with its events.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::catalog::{Catalog, MAX_NAME};
use super::draft::Draft;
use super::error::PerkError;
use super::life::{Change, Expected};
use super::perk::NewVersion;
use super::perk::{Perk, PerkStatus, RuleVersion, VersionStatus};
use super::purpose::Purpose;
use super::store::{self, PerkRow};
use crate::database::DatabaseError;
use crate::foundation::entropy::Entropy;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{self, MerchantId, PerkId, PerkSlug};
use crate::ledger::LedgerError;
use crate::ledger::entry::Actor;

/// The most perks that are applied at once: checks wait as long as it takes.
pub const AT_ONCE: usize = 500;

/// A perk as it is to be.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub perk: PerkSlug,
    pub name: String,
    /// Without it, what it is for is not changed.
    pub purpose: Option<Purpose>,
    pub version: NewVersion,
}

/// The outcome that applying a perk has, or would have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The perk is made.
    New,
    /// It has a new version of its rule.
    Changed,
    /// The rule was there as a draft, and is to decide.
    Published,
    /// The rule was there, under another name or for another purpose.
    Renamed,
    Unchanged,
}

/// A perk as it stands once it was applied.
#[derive(Debug, Clone)]
pub struct Applied {
    pub perk: Perk,
    /// The latest version.
    pub version: RuleVersion,
    pub outcome: Outcome,
    /// The parts that changed beside the rule, `name` and `purpose`, and hold at once.
    pub beside: Vec<&'static str>,
    /// The warnings about a version that was made or published.
    pub warnings: Vec<FieldError>,
}

/// Why nothing was applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("`{perk}` can't be what is wanted")]
    Perk {
        perk: PerkSlug,
        /// The latest version that it has.
        latest: Option<Box<RuleVersion>>,
        source: PerkError,
    },
    #[error("{0} perks are too many at once")]
    TooMany(usize),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The step it takes for a perk to say what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplyStep {
    AddVersion,
    /// The version to publish: a draft, approved or scheduled, it says the same already.
    Publish(i32),
    Nothing,
}

impl ApplyStep {
    /// From the latest version, if there is one, to a rule of this hash.
    #[must_use]
    pub fn of(latest: Option<&RuleVersion>, hash: &str, publish: bool) -> Self {
        let Some(latest) = latest else { return Self::AddVersion };
        match latest.status {
            _ if latest.rule_hash != hash => Self::AddVersion,
            VersionStatus::Draft | VersionStatus::Approved | VersionStatus::Scheduled if publish => {
                Self::Publish(latest.version)
            }
            // An older version was published after this one: only a new one can decide again.
            VersionStatus::Retired if publish => Self::AddVersion,
            _ => Self::Nothing,
        }
    }
}

impl Outcome {
    /// The outcome of a step of a perk that was there before.
    #[must_use]
    pub const fn of(step: ApplyStep, is_renamed: bool) -> Self {
        match step {
            ApplyStep::AddVersion => Self::Changed,
            ApplyStep::Publish(_) => Self::Published,
            ApplyStep::Nothing if is_renamed => Self::Renamed,
            ApplyStep::Nothing => Self::Unchanged,
        }
    }
}

/// A wanted perk, read.
struct Ready {
    perk: PerkSlug,
    name: String,
    purpose: Option<Purpose>,
    draft: Draft,
}

impl Ready {
    fn read(wanted: Wanted) -> Result<Self, ApplyError> {
        let Wanted { perk, name, purpose, version } = wanted;
        let name = ids::label(&name, MAX_NAME).map_err(PerkError::Name);
        match name.and_then(|name| Ok((name, Draft::read(&perk, version)?))) {
            Ok((name, draft)) => Ok(Self { perk, name, purpose, draft }),
            Err(source) => Err(ApplyError::Perk { perk, latest: None, source }),
        }
    }
}

impl Catalog {
    /// Makes perks, or new versions of their rules, or publishes what says the same already, or gives
    /// them other names and purposes, in the given order; does nothing where nothing is different. Where
    /// the merchant asks for four eyes, what was to be published waits in review.
    ///
    /// # Errors
    /// [`ApplyError`]; then none of the perks was changed, unless it is in doubt.
    pub async fn apply(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        wanted: Vec<Wanted>,
    ) -> Result<Vec<Applied>, ApplyError> {
        if wanted.len() > AT_ONCE {
            return Err(ApplyError::TooMany(wanted.len()));
        }
        let ready = wanted.into_iter().map(Ready::read).collect::<Result<Vec<_>, _>>()?;
        let (merchant, clock, entropy) = (merchant.clone(), self.clock.clone(), self.entropy.clone());
        let applied = self
            .ledger
            .change(move |conn, events| {
                let now = clock.now();
                Change { conn, events, merchant: &merchant, actor: &actor, now }.apply_all(ready, &entropy)
            })
            .await?;
        self.catch_up_with_own_change().await;
        Ok(applied)
    }
}

impl Change<'_> {
    fn apply_all(&mut self, ready: Vec<Ready>, entropy: &Entropy) -> Result<Vec<Applied>, ApplyError> {
        let at = |perk: &PerkSlug, latest: Option<RuleVersion>| {
            let (perk, latest) = (perk.clone(), latest.map(Box::new));
            |source| ApplyError::Perk { perk, latest, source }
        };
        // All perks before anything else, and by name: so nobody who holds one waits for another in a
        // circle, nor waits for a perk who holds the epoch, which every published change moves on.
        let names: BTreeSet<&PerkSlug> = ready.iter().map(|it| &it.perk).collect();
        let mut perks: BTreeMap<PerkSlug, PerkRow> = BTreeMap::new();
        for name in names {
            let locked = store::lock_perk(self.conn, self.merchant, name).map_err(|e| at(name, None)(e.into()))?;
            perks.extend(locked.map(|row| (name.clone(), row)));
        }
        let mut new: Vec<&Ready> = ready.iter().filter(|it| !perks.contains_key(&it.perk)).collect();
        new.sort_by_key(|it| &it.perk);
        new.dedup_by_key(|it| &it.perk);
        let mut made: BTreeSet<PerkSlug> = new.iter().map(|it| it.perk.clone()).collect();
        for Ready { perk, name, purpose, .. } in new {
            let id = PerkId::new(self.now, entropy);
            let row = self.create(&id, perk, name.clone(), purpose.unwrap_or_default()).map_err(at(perk, None))?;
            perks.insert(perk.clone(), row);
        }
        let mut applied = Vec::with_capacity(ready.len());
        for one in ready {
            let name = one.perk.clone();
            let row = perks.get_mut(&name).ok_or(DatabaseError::NotFound)?;
            let latest = self.latest(row).map_err(at(&name, None))?;
            let mut done = self.apply(row, latest.as_ref(), one).map_err(at(&name, latest.clone()))?;
            if made.remove(&name) {
                done.outcome = Outcome::New;
                done.beside = vec!["name", "purpose"];
            }
            applied.push(done);
        }
        Ok(applied)
    }

    /// The newest version of a perk, with what is due done.
    fn latest(&mut self, perk: &mut PerkRow) -> Result<Option<RuleVersion>, PerkError> {
        self.settle(perk)?;
        let rows = store::list_versions(self.conn, self.merchant, &perk.id, None, 1)?;
        Ok(rows.into_iter().next().map(RuleVersion::try_from).transpose()?)
    }

    fn apply(&mut self, perk: &mut PerkRow, latest: Option<&RuleVersion>, ready: Ready) -> Result<Applied, PerkError> {
        let Ready { name, purpose, draft, .. } = ready;
        let step = ApplyStep::of(latest, draft.rule.hash(), draft.publish);
        let is_repurposed = purpose.is_some_and(|purpose| purpose.as_str() != perk.purpose);
        let beside = [(perk.name != name).then_some("name"), is_repurposed.then_some("purpose")];
        let beside: Vec<&'static str> = beside.into_iter().flatten().collect();
        let is_renamed = !beside.is_empty();
        if perk.status == PerkStatus::Retired.as_str() && (step != ApplyStep::Nothing || is_renamed) {
            return Err(PerkError::Retired);
        }
        let (version, warnings) = match (step, latest) {
            (ApplyStep::Publish(version), _) => {
                let (mut row, status) = self.version(perk, version, &Expected::Anything)?;
                let warnings = match self.publish_now(perk, &mut row, status, None) {
                    // As far as one person may go.
                    Err(PerkError::ApprovalRequired) if status == VersionStatus::Draft => {
                        self.submit(perk, &mut row, status, None)?;
                        self.oddities(perk, &row)?
                    }
                    published => published?,
                };
                (row.try_into()?, warnings)
            }
            (ApplyStep::Nothing, Some(latest)) => (latest.clone(), Vec::new()),
            (ApplyStep::AddVersion | ApplyStep::Nothing, _) => {
                let made = draft.store(self, perk)?;
                (made.version, made.warnings)
            }
        };
        if is_renamed {
            self.rename(perk, Some(name), purpose)?;
        }
        let outcome = Outcome::of(step, is_renamed);
        Ok(Applied { perk: perk.clone().try_into()?, version, outcome, beside, warnings })
    }
}
