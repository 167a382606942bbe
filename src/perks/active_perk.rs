//! The catalog's snapshot: every perk with the rules that decide about it, parsed.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::perk::{ActivePerk, Deciding, PerkStatus};
use super::store::{self, OpenRow, RuleRow, VersionRow};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{MerchantId, PerkSlug};
use crate::rules::rule::{Rule, UnreadableRule};

/// A perk's name: its merchant and its own.
pub(super) type Named = (MerchantId, PerkSlug);

#[derive(Default)]
pub(super) struct Open {
    pub perks: HashMap<Named, Arc<ActivePerk>>,
    /// Those with a scheduled version, and its instant.
    pub scheduled: Vec<(Timestamp, Named)>,
    /// Those whose rule this build can't read, and why.
    pub unreadable: HashMap<Named, UnreadableRule>,
}

/// Why a perk is not among those that decide.
enum Unopened {
    Unreadable(UnreadableRule),
    Database(DatabaseError),
}

impl From<UnreadableRule> for Unopened {
    fn from(error: UnreadableRule) -> Self {
        Self::Unreadable(error)
    }
}

impl From<DatabaseError> for Unopened {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

/// The most perks whose rules are asked for by name: beyond that all rules are read.
const FEW: usize = 1_000;

/// Reads every perk with the versions that decide or will. Rules that are known from `before` are kept, and only
/// the others are read and parsed: of a hundred thousand perks mostly one has changed.
pub(super) fn load_open(conn: &mut AnyConnection, before: &Open) -> Result<Open, DatabaseError> {
    let mut open = Open::default();
    let waiting = store::list_scheduled(conn)?;
    let mut waiting: HashMap<String, VersionRow> = waiting.into_iter().map(|row| (row.perk_id.clone(), row)).collect();
    let rows = store::list_open(conn)?;
    let before: HashMap<&str, &ActivePerk> =
        before.perks.values().map(|perk| (perk.id.as_str(), perk.as_ref())).collect();
    let rules = read_rules(conn, &rows, &before)?;
    for row in rows {
        let scheduled = waiting.remove(&row.id);
        let known = before.get(row.id.as_str()).copied();
        match open_perk_of(&row, rules.get(&row.id), scheduled.as_ref(), known) {
            Ok((key, perk)) => {
                open.scheduled.extend(perk.scheduled.as_ref().map(|(from, _)| (*from, key.clone())));
                open.perks.insert(key, perk);
            }
            // One that can't be read must not keep the others from moving on. It decides nothing:
            // its old version would be a lie.
            Err(Unopened::Unreadable(error)) => {
                tracing::error!(%error, merchant = row.merchant_id, perk = row.slug, "a perk's rule can't be read");
                open.unreadable.insert(named(&row)?, error);
            }
            Err(Unopened::Database(error)) => {
                tracing::error!(%error, merchant = row.merchant_id, perk = row.slug, "a perk can't be read");
            }
        }
    }
    Ok(open)
}

/// The published rules that aren't known, by their perks.
fn read_rules(
    conn: &mut AnyConnection,
    rows: &[OpenRow],
    before: &HashMap<&str, &ActivePerk>,
) -> Result<HashMap<String, RuleRow>, DatabaseError> {
    let is_known = |row: &&OpenRow| {
        let known = before.get(row.id.as_str()).copied();
        row.deciding.as_ref().is_none_or(|it| known.is_some_and(|known| find(known, it.0, &it.1).is_some()))
    };
    let unknown: Vec<&str> = rows.iter().filter(|row| !is_known(row)).map(|row| row.id.as_str()).collect();
    let found = match unknown.len() {
        0 => Vec::new(),
        1..=FEW => store::list_rules(conn, Some(&unknown))?,
        _ => store::list_rules(conn, None)?,
    };
    Ok(found.into_iter().map(|rule| (rule.perk_id.clone(), rule)).collect())
}

/// The version as it was parsed before. By its hash, too: a version that was scheduled may go back to being a
/// draft, and change.
fn find<'a>(known: &'a ActivePerk, version: i32, hash: &str) -> Option<&'a Arc<Deciding>> {
    let mut versions = known.deciding.iter().chain(known.scheduled.iter().map(|(_, it)| it));
    versions.find(|kept| kept.version == version && *kept.hash == *hash)
}

fn open_perk_of(
    row: &OpenRow,
    rule: Option<&RuleRow>,
    scheduled: Option<&VersionRow>,
    known: Option<&ActivePerk>,
) -> Result<(Named, Arc<ActivePerk>), Unopened> {
    let kept = |version: i32, hash: &str| find(known?, version, hash).cloned();
    let read = |version: i32, hash: &str, rule: &str| match kept(version, hash) {
        Some(kept) => Ok(kept),
        None => deciding_of(&row.slug, version, hash, rule),
    };
    let deciding = match (&row.deciding, rule) {
        (None, _) => None,
        (Some((version, hash)), None) => {
            let missing = || DatabaseError::corrupt("rule", "it changed while it was read");
            Some(kept(*version, hash).ok_or_else(missing)?)
        }
        // All of it as it was read together: another may have been published since the perk was read.
        (Some(_), Some(rule)) => Some(read(rule.version, &rule.rule_hash, &rule.rule)?),
    };
    let waiting = scheduled.and_then(|row| Some((row, row.scheduled_by.as_ref().and(row.scheduled_at)?)));
    let read_waiting = |(row, at): (&VersionRow, i64)| {
        let deciding = read(row.version, &row.rule_hash, &row.rule)?;
        Ok::<_, Unopened>((from_micros(at), deciding))
    };
    let scheduled = waiting.map(read_waiting).transpose()?;
    let key = named(row)?;
    let perk = ActivePerk {
        id: row.id.parse().map_err(|e| DatabaseError::corrupt("perk id", e))?,
        slug: key.1.clone(),
        status: PerkStatus::parse(&row.status).ok_or_else(|| DatabaseError::corrupt("perk status", &row.status))?,
        deciding,
        scheduled,
    };
    Ok((key, Arc::new(perk)))
}

fn named(row: &OpenRow) -> Result<Named, DatabaseError> {
    let merchant = row.merchant_id.parse().map_err(|e| DatabaseError::corrupt("merchant id", e))?;
    Ok((merchant, row.slug.parse().map_err(|e| DatabaseError::corrupt("perk slug", e))?))
}

fn deciding_of(slug: &str, version: i32, hash: &str, rule: &str) -> Result<Arc<Deciding>, UnreadableRule> {
    Ok(Arc::new(Deciding { version, rule: Rule::of_version(rule, hash, slug)?, hash: hash.into() }))
}
