//! The handle of this room: the rules that decide now, from memory, and the making of new ones.

use std::collections::HashMap;
use std::sync::Arc;

use super::draft::{self, Draft, event};
use super::perk::{Deciding, OpenPerk, Perk, RuleVersion, VersionStatus};
use super::read::Issue;
use super::rule::Rule;
use super::store::{self, PerkRow, VersionRow};
use crate::clock::Clock;
use crate::database::followed::Followed;
use crate::database::{AnyConnection, Database, DatabaseError};
use crate::entropy::Entropy;
use crate::ids::{self, MerchantId, NameError, PerkId, PerkSlug};
use crate::json::Json;
use crate::ledger::entry::Actor;
use crate::ledger::{Ledger, LedgerError};

/// The epoch that every published change moves on.
pub(super) const EPOCH: &str = "catalog";

pub use super::perk::{MAX_NAME, MAX_NOTE};

/// Why a perk or a version could not be made or found.
#[derive(Debug, thiserror::Error)]
pub enum PerkError {
    #[error("there is no such perk")]
    NotFound,
    #[error("there is no such version")]
    VersionNotFound,
    #[error("a perk of this name is there already: add a version to it")]
    Exists,
    #[error("only a draft can be published; this version is {}", .0.as_str())]
    NotADraft(VersionStatus),
    #[error("the name can't be taken: {0}")]
    Name(NameError),
    #[error("the change note can't be taken: {0}")]
    Note(NameError),
    /// Pointers are relative to the rule.
    #[error("the rule can't work")]
    Rule(Vec<Issue>),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// A rule that wants to become a version.
#[derive(Debug, Clone)]
pub struct NewVersion {
    pub rule: Json,
    pub publish: bool,
    pub change_note: Option<String>,
}

/// A version that was made, and what is odd about it.
#[derive(Debug, Clone)]
pub struct Made {
    pub perk: Perk,
    pub version: RuleVersion,
    pub warnings: Vec<Issue>,
}

#[derive(Default)]
struct Open(HashMap<(MerchantId, PerkSlug), Arc<OpenPerk>>);

/// Perks and rules; cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    database: Database,
    ledger: Ledger,
    clock: Clock,
    entropy: Entropy,
    open: Followed<Open>,
}

impl Catalog {
    /// A catalog that knows no perk until its snapshot is first loaded.
    pub fn new(database: Database, ledger: Ledger, clock: Clock, entropy: Entropy) -> Self {
        let open = Followed::new(database.clone(), EPOCH, load_open);
        Self { database, ledger, clock, entropy, open }
    }

    /// Loads the first snapshot.
    pub async fn reload(&self) -> Result<(), DatabaseError> {
        self.open.reload().await
    }

    /// Keeps the snapshot up to date until cancelled.
    pub async fn follow(self, cancel: tokio_util::sync::CancellationToken) {
        self.open.follow(cancel).await;
    }

    /// Looks at the database soon: somebody said that it changed.
    pub fn nudge(&self) {
        self.open.nudge();
    }

    /// How to tell the other replicas of a change.
    pub fn announce_with(&self, announce: impl Fn() + Send + Sync + 'static) {
        self.open.announce_with(announce);
    }

    /// Whether the database answered when it was last asked.
    pub fn is_reachable(&self) -> bool {
        self.open.is_reachable()
    }

    pub fn is_loaded(&self) -> bool {
        self.open.is_loaded()
    }

    /// The perk and the rule that decides about it. No I/O for one that is known; an unknown one
    /// asks the database once.
    pub async fn open_perk(&self, merchant: &MerchantId, perk: &PerkSlug) -> Result<Arc<OpenPerk>, PerkError> {
        let key = (merchant.clone(), perk.clone());
        let find = || self.open.now().content.0.get(&key).filter(|found| found.deciding.is_some()).cloned();
        if let Some(found) = find() {
            return Ok(found);
        }
        self.open.catch_up().await?;
        find().ok_or(PerkError::NotFound)
    }

    /// Makes a perk with its first version.
    pub async fn create_perk(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        slug: PerkSlug,
        name: &str,
        version: NewVersion,
    ) -> Result<Made, PerkError> {
        let name = ids::label(name, MAX_NAME).map_err(PerkError::Name)?;
        let draft = Draft::read(&slug, version)?;
        let (merchant, now) = (merchant.clone(), self.clock.now());
        let perk_id = PerkId::new(now, &self.entropy);
        let made = self
            .ledger
            .change(move |conn, events| {
                let mut row = PerkRow {
                    id: perk_id.as_str().to_owned(),
                    merchant_id: merchant.as_str().to_owned(),
                    slug: slug.as_str().to_owned(),
                    name,
                    status: "active".to_owned(),
                    latest_version: 0,
                    published_version: None,
                    created_at: now.as_microsecond(),
                };
                store::insert_perk(conn, &row).map_err(|error| match error {
                    DatabaseError::Duplicate(_) => PerkError::Exists,
                    other => other.into(),
                })?;
                events.push(event(&merchant, &actor, "perk.created", &row.id, [("perk", Json::text(&row.slug))]));
                draft.store(conn, events, &merchant, &actor, &mut row, now)
            })
            .await?;
        self.catch_up_after(made.version.status).await;
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
        let (merchant, slug, now) = (merchant.clone(), slug.clone(), self.clock.now());
        let made = self
            .ledger
            .change(move |conn, events| {
                let mut row = store::lock_perk(conn, &merchant, &slug)?.ok_or(PerkError::NotFound)?;
                draft.store(conn, events, &merchant, &actor, &mut row, now)
            })
            .await?;
        self.catch_up_after(made.version.status).await;
        Ok(made)
    }

    /// Publishes a draft: from then on it decides, and the version before it is retired.
    pub async fn publish_version(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        slug: &PerkSlug,
        version: i32,
    ) -> Result<RuleVersion, PerkError> {
        let (merchant, slug, now) = (merchant.clone(), slug.clone(), self.clock.now());
        let published = self
            .ledger
            .change(move |conn, events| {
                let mut row = store::lock_perk(conn, &merchant, &slug)?.ok_or(PerkError::NotFound)?;
                let found =
                    store::find_version(conn, &merchant, &row.id, version)?.ok_or(PerkError::VersionNotFound)?;
                let drafted = RuleVersion::try_from(found)?;
                if drafted.status != VersionStatus::Draft {
                    return Err(PerkError::NotADraft(drafted.status));
                }
                draft::publish(conn, events, &merchant, &actor, &mut row, &drafted, now)?;
                let found =
                    store::find_version(conn, &merchant, &row.id, version)?.ok_or(PerkError::VersionNotFound)?;
                Ok::<_, PerkError>(RuleVersion::try_from(found)?)
            })
            .await?;
        self.catch_up_after(published.status).await;
        Ok(published)
    }

    /// One perk.
    pub async fn find_perk(&self, merchant: &MerchantId, slug: &PerkSlug) -> Result<Perk, PerkError> {
        let (merchant, slug) = (merchant.clone(), slug.clone());
        self.database
            .read(move |conn| {
                let row = store::find_perk(conn, &merchant, &slug)?.ok_or(PerkError::NotFound)?;
                Ok(row.try_into()?)
            })
            .await
    }

    /// The merchant's perks after `cursor`, by slug.
    pub async fn list_perks(
        &self,
        merchant: &MerchantId,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<Vec<Perk>, PerkError> {
        let merchant = merchant.clone();
        self.database
            .read(move |conn| {
                let rows = store::list_perks(conn, &merchant, cursor.as_deref(), i64::from(limit))?;
                Ok(rows.into_iter().map(Perk::try_from).collect::<Result<_, _>>()?)
            })
            .await
    }

    /// One version of a perk's rule.
    pub async fn find_version(
        &self,
        merchant: &MerchantId,
        slug: &PerkSlug,
        version: i32,
    ) -> Result<RuleVersion, PerkError> {
        let (merchant, slug) = (merchant.clone(), slug.clone());
        self.database
            .read(move |conn| {
                let perk = store::find_perk(conn, &merchant, &slug)?.ok_or(PerkError::NotFound)?;
                let row = store::find_version(conn, &merchant, &perk.id, version)?.ok_or(PerkError::VersionNotFound)?;
                Ok(row.try_into()?)
            })
            .await
    }

    /// The versions of a perk below `before`, newest first.
    pub async fn list_versions(
        &self,
        merchant: &MerchantId,
        slug: &PerkSlug,
        before: Option<i32>,
        limit: u32,
    ) -> Result<Vec<RuleVersion>, PerkError> {
        let (merchant, slug) = (merchant.clone(), slug.clone());
        self.database
            .read(move |conn| {
                let perk = store::find_perk(conn, &merchant, &slug)?.ok_or(PerkError::NotFound)?;
                let rows = store::list_versions(conn, &merchant, &perk.id, before, i64::from(limit))?;
                Ok(rows.into_iter().map(RuleVersion::try_from).collect::<Result<_, _>>()?)
            })
            .await
    }

    /// What was just published decides on this replica when the caller has its answer.
    async fn catch_up_after(&self, status: VersionStatus) {
        if status == VersionStatus::Published {
            self.open.follow_own_change().await;
        }
    }
}

fn load_open(conn: &mut AnyConnection, before: &Open) -> Result<Open, DatabaseError> {
    let mut open = HashMap::new();
    for (row, version) in store::list_deciding(conn)? {
        let named = (row.merchant_id.clone(), row.slug.clone());
        match open_perk_of(row, version, before) {
            Ok((key, perk)) => {
                open.insert(key, Arc::new(perk));
            }
            // One that can't be read must not keep the others from moving on. It decides nothing:
            // its old version would be a lie.
            Err(error) => tracing::error!(%error, merchant = named.0, perk = named.1, "a perk's rule can't be read"),
        }
    }
    Ok(Open(open))
}

fn open_perk_of(
    row: PerkRow,
    version: Option<VersionRow>,
    before: &Open,
) -> Result<((MerchantId, PerkSlug), OpenPerk), DatabaseError> {
    let merchant: MerchantId = row.merchant_id.parse().map_err(|e| DatabaseError::corrupt("merchant id", e))?;
    let perk = Perk::try_from(row)?;
    let key = (merchant, perk.slug.clone());
    let kept = before.0.get(&key).and_then(|known| known.deciding.clone());
    let deciding = match version.map(RuleVersion::try_from).transpose()? {
        None => None,
        // A version never changes: what was parsed once stays as it is.
        Some(version) if kept.as_ref().is_some_and(|kept| kept.version == version.version) => kept,
        Some(version) => Some(Arc::new(deciding_of(&perk, &version)?)),
    };
    Ok((key, OpenPerk { id: perk.id, slug: perk.slug, deciding }))
}

fn deciding_of(perk: &Perk, version: &RuleVersion) -> Result<Deciding, DatabaseError> {
    let corrupt = |detail: String| DatabaseError::Corrupt { what: "rule", detail };
    let json = Json::parse(&version.rule).map_err(|e| corrupt(e.to_string()))?;
    let rule = Rule::parse(&json, perk.slug.as_str())
        .map_err(|issues| corrupt(issues.first().map(|issue| issue.detail.clone()).unwrap_or_default()))?;
    Ok(Deciding { version: version.version, rule, hash: version.rule_hash.as_str().into() })
}
