//! The catalog's snapshot: every perk, which of its versions decide, and the few rules that were just made.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::active_perk::{ActivePerk, ActiveVersion};
use super::closures::{self, Closure};
use super::perk::PerkStatus;
use super::store::{self, OpenRow, RuleRow, ScheduledRow};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{MerchantId, PerkSlug};

/// A perk's name: its merchant and its own.
pub(super) type Named = (MerchantId, PerkSlug);

/// The perks of one merchant, by their short names.
type PerksOf = HashMap<PerkSlug, Arc<ActivePerk>>;

#[derive(Default)]
pub(super) struct Open {
    merchants: HashMap<MerchantId, Arc<PerksOf>>,
    /// Those with a scheduled version, and its instant.
    pub scheduled: Vec<(Timestamp, Named)>,
    /// The newest revision of a perk that is in here; none before the first load.
    revision: Option<i64>,
}

/// The most rules that are read with the snapshot: of more of them each waits for its first check.
const FEW: usize = 1_000;

impl Open {
    /// The perk of that name.
    pub(super) fn find(&self, merchant: &MerchantId, perk: &PerkSlug) -> Option<&Arc<ActivePerk>> {
        self.merchants.get(merchant)?.get(perk)
    }

    /// The perks of the merchant, in no order.
    pub(super) fn of_merchant(&self, merchant: &MerchantId) -> impl Iterator<Item = &Arc<ActivePerk>> {
        self.merchants.get(merchant).into_iter().flat_map(|perks| perks.values())
    }
}

/// Reads the perks that changed since `before` with the versions that decide or will, and the rules of these if they
/// are few: of a hundred thousand perks mostly one has changed.
pub(super) fn load_open(conn: &mut AnyConnection, before: &Open) -> Result<Open, DatabaseError> {
    let newest = store::newest_revision(conn)?;
    // A database that went back, as after a fail-over to a replica that lacked the last changes, is read as a new one.
    let since = before.revision.filter(|known| *known <= newest);
    let rows = store::list_open(conn, since)?;
    let mut waiting: HashMap<String, ScheduledRow> =
        store::list_scheduled(conn, since)?.into_iter().map(|row| (row.perk_id.clone(), row)).collect();
    let mut closed: HashMap<String, Vec<Arc<Closure>>> = HashMap::new();
    for row in closures::store::list_changed(conn, since.unwrap_or(store::BEFORE_ALL))? {
        let perk = row.perk_id.clone();
        closed.entry(perk).or_default().extend(Closure::read(row).map(Arc::new));
    }
    let revision = rows.iter().map(|row| row.revision).max().max(since);
    let mut open = match since {
        Some(_) => before.without(&rows),
        None => Open::default(),
    };
    let mut perks: HashMap<MerchantId, Vec<Arc<ActivePerk>>> = HashMap::new();
    for row in &rows {
        // One that can't be read must not keep the others from moving on.
        match perk_of(row, waiting.remove(&row.id), closed.remove(&row.id).unwrap_or_default(), before) {
            Ok((merchant, perk)) => perks.entry(merchant).or_default().push(Arc::new(perk)),
            Err(error) => {
                tracing::error!(%error, merchant = row.merchant_id, perk = row.slug, "a perk can't be read");
            }
        }
    }
    read_few(conn, perks.values().flatten())?;
    for (merchant, changed) in perks {
        for perk in &changed {
            let named = || (merchant.clone(), perk.slug.clone());
            open.scheduled.extend(perk.scheduled.as_ref().map(|(from, _)| (*from, named())));
        }
        let of_merchant = Arc::make_mut(open.merchants.entry(merchant).or_default());
        of_merchant.extend(changed.into_iter().map(|perk| (perk.slug.clone(), perk)));
    }
    Ok(Open { revision, ..open })
}

impl Open {
    /// The same, with the perks of these rows still as they were, and their schedules left out.
    fn without(&self, rows: &[OpenRow]) -> Self {
        let changed: HashSet<(&str, &str)> = rows.iter().map(|row| (&*row.merchant_id, &*row.slug)).collect();
        let is_kept =
            |(_, (merchant, perk)): &&(Timestamp, Named)| !changed.contains(&(merchant.as_str(), perk.as_str()));
        Self {
            merchants: self.merchants.clone(),
            scheduled: self.scheduled.iter().filter(is_kept).cloned().collect(),
            revision: self.revision,
        }
    }
}

fn perk_of(
    row: &OpenRow,
    scheduled: Option<ScheduledRow>,
    closures: Vec<Arc<Closure>>,
    before: &Open,
) -> Result<(MerchantId, ActivePerk), DatabaseError> {
    let merchant: MerchantId = row.merchant_id.parse().map_err(|e| DatabaseError::corrupt("merchant id", e))?;
    let slug: PerkSlug = row.slug.parse().map_err(|e| DatabaseError::corrupt("perk slug", e))?;
    let known = before.find(&merchant, &slug);
    // By its hash, too: a version that was scheduled may go back to being a draft, and change.
    let version = |version: i32, hash: &str| {
        let kept = known.and_then(|perk| perk.versions().find(|it| it.version == version && *it.hash == *hash));
        kept.cloned().unwrap_or_else(|| Arc::new(ActiveVersion::new(version, hash.into())))
    };
    let perk = ActivePerk {
        id: row.id.parse().map_err(|e| DatabaseError::corrupt("perk id", e))?,
        status: PerkStatus::parse(&row.status).ok_or_else(|| DatabaseError::corrupt("perk status", &row.status))?,
        deciding: row.deciding.as_ref().map(|(number, hash)| version(*number, hash)),
        scheduled: scheduled.map(|row| (from_micros(row.at), version(row.version, &row.rule_hash))),
        closures,
        slug,
    };
    Ok((merchant, perk))
}

/// Reads the rules of these perks' versions that aren't known, unless they are many.
fn read_few<'a>(
    conn: &mut AnyConnection,
    perks: impl Iterator<Item = &'a Arc<ActivePerk>>,
) -> Result<(), DatabaseError> {
    let unknown: HashMap<&str, &ActivePerk> = perks
        .filter(|perk| perk.status != PerkStatus::Retired && perk.versions().any(|version| !version.is_known()))
        .take(FEW + 1)
        .map(|perk| (perk.id.as_str(), &**perk))
        .collect();
    if unknown.is_empty() || unknown.len() > FEW {
        return Ok(());
    }
    let ids: Vec<&str> = unknown.keys().copied().collect();
    for RuleRow { perk_id, version, rule, rule_hash } in store::list_rules(conn, &ids)? {
        let Some(perk) = unknown.get(perk_id.as_str()) else { continue };
        if let Some(active) = perk.versions().find(|it| it.version == version && *it.hash == *rule_hash) {
            active.read(perk.slug.as_str(), &rule);
        }
    }
    Ok(())
}
