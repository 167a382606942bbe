//! The handle of this room: the rules that decide now, from memory, and the making of new ones.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::active_perk::{ActivePerk, Deciding};
use super::attributes::{self, Declared, Undeclared, load_declared};
use super::draft::{self, Draft};
use super::error::PerkError;
use super::keys::{self, OnSite};
use super::life::Change;
use super::perk::{Made, NewVersion};
use super::perk::{Perk, PerkStatus, RuleVersion, Scheduled};
use super::purpose::Purpose;
use super::snapshot::{Named, Open, load_open};
use super::store::{self, EPOCH, RuleRow};
use crate::database::followed::ReplicatedSnapshot;
use crate::database::{AnyConnection, Database, DatabaseError};
use crate::foundation::clock::Clock;
use crate::foundation::entropy::Entropy;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{self, MerchantId, PerkId, PerkSlug};
use crate::ledger::Ledger;
use crate::ledger::entry::Actor;
use crate::rules::lint::Lint;
use crate::rules::rule::Rule;

pub use super::perk::MAX_NAME;
pub use crate::foundation::ids::MAX_NOTE;

/// Between two looks for versions whose instant has come. Checks don't wait for it.
const SETTLE_EVERY: Duration = Duration::from_secs(1);

/// Perks and rules; cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    pub(super) database: Database,
    pub(super) ledger: Ledger,
    pub(super) clock: Clock,
    pub(super) entropy: Entropy,
    open: ReplicatedSnapshot<Open>,
    pub(super) declared: ReplicatedSnapshot<Declared>,
    pub(super) undeclared: Undeclared,
}

impl Catalog {
    /// A catalog that knows no perk until its snapshot is first loaded.
    pub fn new(database: Database, ledger: Ledger, clock: Clock, entropy: Entropy) -> Self {
        let open = ReplicatedSnapshot::new(database.clone(), EPOCH, load_open);
        let declared = ReplicatedSnapshot::new(database.clone(), attributes::EPOCH, load_declared);
        Self { database, ledger, clock, entropy, open, declared, undeclared: Undeclared::default() }
    }

    /// Loads the first snapshot.
    pub async fn reload(&self) -> Result<(), DatabaseError> {
        self.declared.reload().await?;
        self.open.reload().await
    }

    /// Keeps the snapshot up to date, and the database with what is scheduled, until cancelled.
    pub async fn follow(self, cancel: tokio_util::sync::CancellationToken) {
        let tend = async {
            loop {
                self.settle().await;
                tokio::select! {
                    () = cancel.cancelled() => return,
                    () = tokio::time::sleep(SETTLE_EVERY) => {}
                }
            }
        };
        let (open, declared) = (self.open.clone(), self.declared.clone());
        tokio::join!(open.follow(cancel.clone()), declared.follow(cancel.clone()), tend);
    }

    /// The perks whose scheduled version decides already and is not marked so. No I/O.
    pub(super) fn due(&self) -> Vec<Named> {
        let now = self.clock.now();
        let open = self.open.now();
        open.content.scheduled.iter().filter(|(from, _)| *from <= now).map(|(_, named)| named.clone()).collect()
    }

    /// Looks at the database soon: someone said that it changed.
    pub fn request_refresh(&self) {
        self.open.request_refresh();
        self.declared.request_refresh();
    }

    /// Sets the function that tells the other replicas of a change.
    pub fn announce_with(&self, announce: impl Fn() + Send + Sync + 'static) {
        let announce = Arc::new(announce);
        let also = announce.clone();
        self.open.announce_with(move || announce());
        self.declared.announce_with(move || also());
    }

    /// Tells whether the database answered when it was last asked.
    pub fn is_reachable(&self) -> bool {
        self.open.is_reachable()
    }

    pub fn is_loaded(&self) -> bool {
        self.open.is_loaded()
    }

    /// The perk, and which of its versions decide: [`Catalog::find_open_perk`].
    pub async fn open_perk(&self, merchant: &MerchantId, perk: &PerkSlug) -> Result<Arc<ActivePerk>, PerkError> {
        self.find_open_perk(merchant, perk).await?.ok_or_else(|| PerkError::NotFound(perk.clone()))
    }

    /// The merchant's perks that decide, as this replica knows them: the first `most` of them, in no order. No I/O.
    pub fn some_open_perks(&self, merchant: &MerchantId, most: usize) -> Vec<PerkSlug> {
        let (open, now) = (self.open.now(), self.clock.now());
        let decide = open.content.of_merchant(merchant).filter(|perk| perk.deciding_at(now).is_some());
        decide.take(most).map(|perk| perk.slug.clone()).collect()
    }

    /// The perk, and which of its versions decide, if any does. No I/O for one that is known; an unknown one
    /// asks the database once. One that is retired is not there any more.
    pub async fn find_open_perk(
        &self,
        merchant: &MerchantId,
        perk: &PerkSlug,
    ) -> Result<Option<Arc<ActivePerk>>, DatabaseError> {
        let find = || self.open.now().content.find(merchant, perk).cloned();
        let decides = |found: &Arc<ActivePerk>| found.deciding_at(self.clock.now()).is_some();
        match find() {
            Some(found) if decides(&found) => return Ok(Some(found)),
            // For good: nothing that the database could say would change it.
            Some(found) if found.status == PerkStatus::Retired => return Ok(None),
            _ => {}
        }
        self.open.catch_up().await?;
        Ok(find().filter(decides))
    }

    /// The perk, as this replica knows it. No I/O.
    pub(super) fn known(&self, merchant: &MerchantId, perk: &PerkSlug) -> Option<Arc<ActivePerk>> {
        self.open.now().content.find(merchant, perk).cloned()
    }

    /// The rule that decides about the perk at `now`. No I/O once it has been read; the first check of a perk that is
    /// one of very many reads it from the database.
    ///
    /// # Errors
    /// [`PerkError::NotFound`] where nothing decides, [`PerkError::RuleNewer`] for a rule that only a newer build can
    /// read, and the database's.
    pub async fn deciding(
        &self,
        merchant: &MerchantId,
        perk: &ActivePerk,
        now: Timestamp,
    ) -> Result<Arc<Deciding>, PerkError> {
        let active = perk.deciding_at(now).ok_or_else(|| PerkError::NotFound(perk.slug.clone()))?;
        if let Some(known) = active.known(&perk.slug) {
            return known;
        }
        let (merchant, id, version) = (merchant.clone(), perk.id.clone(), active.version);
        let find = move |conn: &mut AnyConnection| store::find_rule(conn, &merchant, id.as_str(), version);
        match self.database.read(find).await? {
            Some(RuleRow { rule, rule_hash, .. }) if *rule_hash == *active.hash => {
                active.read(perk.slug.as_str(), &rule);
            }
            // It was scheduled, taken back and changed: the snapshot is about to follow.
            _ => self.open.request_refresh(),
        }
        active.known(&perk.slug).unwrap_or_else(|| Err(DatabaseError::Busy.into()))
    }

    /// Makes a perk, for no purpose that it declares, with its first version.
    pub async fn create_perk(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        slug: PerkSlug,
        name: &str,
        version: NewVersion,
    ) -> Result<Made, PerkError> {
        self.create_perk_for(merchant, actor, slug, name, Purpose::Other, version).await
    }

    /// Makes a perk for a purpose, with its first version.
    pub async fn create_perk_for(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        slug: PerkSlug,
        name: &str,
        purpose: Purpose,
        version: NewVersion,
    ) -> Result<Made, PerkError> {
        let name = ids::label(name, MAX_NAME).map_err(PerkError::Name)?;
        let draft = Draft::read(&slug, version)?;
        let (merchant, now) = (merchant.clone(), self.clock.now());
        let perk_id = PerkId::new(now, &self.entropy);
        let made = self
            .ledger
            .change(move |conn, events| {
                let mut change = Change { conn, events, merchant: &merchant, actor: &actor, now };
                let mut perk = change.create(&perk_id, &slug, name, purpose)?;
                draft.store(&mut change, &mut perk)
            })
            .await?;
        self.catch_up_with_own_change().await;
        Ok(made)
    }

    /// Adds a version to a perk.
    pub async fn create_version(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        slug: &PerkSlug,
        version: NewVersion,
    ) -> Result<Made, PerkError> {
        let draft = Draft::read(slug, version)?;
        self.change_perk(merchant, actor, slug, move |change, perk| draft.store(change, perk)).await
    }

    /// The errors and oddities of a rule as the perk's next version, or as the first of a new perk.
    pub async fn lint(&self, merchant: &MerchantId, slug: &PerkSlug, rule: &Rule) -> Result<Lint, PerkError> {
        let (merchant, slug, rule, now) = (merchant.clone(), slug.clone(), rule.clone(), self.clock.now());
        self.database
            .read(move |conn| {
                let perk = store::find_perk(conn, &merchant, &slug)?;
                draft::lint_for(conn, &merchant, perk.as_ref(), &rule, now)
            })
            .await
    }

    /// One perk.
    pub async fn find_perk(&self, merchant: &MerchantId, slug: &PerkSlug) -> Result<Perk, PerkError> {
        self.settle().await;
        let (merchant, slug) = (merchant.clone(), slug.clone());
        self.database
            .read(move |conn| {
                let row = store::find_perk(conn, &merchant, &slug)?.ok_or(PerkError::NotFound(slug))?;
                Ok(row.try_into()?)
            })
            .await
    }

    /// The merchant's perks after `cursor`, by slug, without those that have no version.
    pub async fn list_perks(
        &self,
        merchant: &MerchantId,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<Vec<Perk>, PerkError> {
        self.settle().await;
        let merchant = merchant.clone();
        self.database
            .read(move |conn| {
                let rows = store::list_perks(conn, &merchant, cursor.as_deref(), i64::from(limit))?;
                Ok(rows.into_iter().map(Perk::try_from).collect::<Result<_, _>>()?)
            })
            .await
    }

    /// The versions of the merchant's perks that wait for their instant.
    pub async fn list_schedules(&self, merchant: &MerchantId) -> Result<HashMap<PerkId, Scheduled>, PerkError> {
        self.settle().await;
        let merchant = merchant.clone();
        self.database
            .read(move |conn| {
                let mut schedules = HashMap::new();
                for row in store::list_schedules(conn, &merchant)? {
                    let perk = row.perk_id.parse().map_err(|e| DatabaseError::corrupt("perk id", e))?;
                    let version = RuleVersion::try_from(row)?;
                    let at = version.scheduled.map(|it| it.at);
                    schedules.extend(at.map(|at| (perk, Scheduled { version: version.version, at })));
                }
                Ok(schedules)
            })
            .await
    }

    /// The oddities of a key of the merchant, held against the rules that decide now or will.
    pub async fn warnings_of_key(&self, merchant: &MerchantId, key: &OnSite) -> Result<Vec<FieldError>, PerkError> {
        if !key.is_on_site() {
            return Ok(Vec::new());
        }
        let (merchant, key) = (merchant.clone(), key.clone());
        self.database.read(move |conn| Ok(keys::warnings_of(&key, &keys::list_rules(conn, &merchant)?))).await
    }

    /// One version of a perk's rule.
    pub async fn find_version(
        &self,
        merchant: &MerchantId,
        slug: &PerkSlug,
        version: i32,
    ) -> Result<RuleVersion, PerkError> {
        self.settle().await;
        let (merchant, slug) = (merchant.clone(), slug.clone());
        self.database
            .read(move |conn| {
                let perk =
                    store::find_perk(conn, &merchant, &slug)?.ok_or_else(|| PerkError::NotFound(slug.clone()))?;
                let row = store::find_version(conn, &merchant, &perk.id, version)?;
                let row = row.ok_or(PerkError::VersionNotFound { perk: slug, version })?;
                Ok(row.try_into()?)
            })
            .await
    }

    /// One version of a perk, the perk itself, and the version that decides where that is another: in one reading.
    ///
    /// # Errors
    /// As [`Catalog::find_version`].
    pub async fn find_version_beside(
        &self,
        merchant: &MerchantId,
        slug: &PerkSlug,
        version: i32,
    ) -> Result<(Perk, RuleVersion, Option<RuleVersion>), PerkError> {
        self.settle().await;
        let (merchant, slug) = (merchant.clone(), slug.clone());
        self.database
            .read(move |conn| {
                let row = store::find_perk(conn, &merchant, &slug)?.ok_or_else(|| PerkError::NotFound(slug.clone()))?;
                let perk: Perk = row.try_into()?;
                let mut find = |version| {
                    let row = store::find_version(conn, &merchant, perk.id.as_str(), version)?;
                    let row = row.ok_or_else(|| PerkError::VersionNotFound { perk: slug.clone(), version })?;
                    Ok::<RuleVersion, PerkError>(row.try_into()?)
                };
                let found = find(version)?;
                let other = perk.published_version.filter(|published| *published != version).map(find).transpose()?;
                Ok((perk, found, other))
            })
            .await
    }

    /// One version of a perk, ready to be read. No I/O for one that decides now, once it has.
    pub async fn read_version(
        &self,
        merchant: &MerchantId,
        slug: &PerkSlug,
        version: i32,
    ) -> Result<Arc<Deciding>, PerkError> {
        let perk = self.open.now().content.find(merchant, slug).cloned();
        let active = perk.as_ref().and_then(|perk| perk.versions().find(|active| active.version == version));
        if let Some(known) = active.and_then(|active| active.known(slug)) {
            return known;
        }
        let stored = self.find_version(merchant, slug, version).await?;
        Ok(Arc::new(Deciding { version, rule: Arc::new(stored.read(slug)?), hash: stored.rule_hash.into() }))
    }

    /// The versions of a perk below `before`, newest first.
    pub async fn list_versions(
        &self,
        merchant: &MerchantId,
        slug: &PerkSlug,
        before: Option<i32>,
        limit: u32,
    ) -> Result<Vec<RuleVersion>, PerkError> {
        self.settle().await;
        let (merchant, slug) = (merchant.clone(), slug.clone());
        self.database
            .read(move |conn| {
                let perk = store::find_perk(conn, &merchant, &slug)?.ok_or(PerkError::NotFound(slug))?;
                let rows = store::list_versions(conn, &merchant, &perk.id, before, i64::from(limit))?;
                Ok(rows.into_iter().map(RuleVersion::try_from).collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Makes this replica decide by its own change by the time the caller has its answer. Changes that
    /// no check can see cost the others nothing.
    pub(super) async fn catch_up_with_own_change(&self) {
        if !matches!(self.open.is_current().await, Ok(true)) {
            self.open.follow_own_change().await;
        }
    }
}
