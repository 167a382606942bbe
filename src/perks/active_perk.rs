//! The catalog's snapshot: every perk with the rules that decide about it, parsed.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::perk::{ActivePerk, Deciding, Perk, RuleVersion};
use super::store::{self, PerkRow, VersionRow};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::{MerchantId, PerkSlug};
use crate::foundation::json::Json;
use crate::rules::rule::Rule;

/// A perk's name: its merchant and its own.
pub(super) type Named = (MerchantId, PerkSlug);

#[derive(Default)]
pub(super) struct Open {
    pub perks: HashMap<Named, Arc<ActivePerk>>,
    /// Those with a scheduled version, and its instant.
    pub scheduled: Vec<(Timestamp, Named)>,
}

/// Reads every perk with the versions that decide or will.
pub(super) fn load_open(conn: &mut AnyConnection, before: &Open) -> Result<Open, DatabaseError> {
    let mut open = Open::default();
    let waiting = store::list_scheduled(conn)?;
    let mut waiting: HashMap<String, VersionRow> = waiting.into_iter().map(|row| (row.perk_id.clone(), row)).collect();
    for (row, version) in store::list_deciding(conn)? {
        let named = (row.merchant_id.clone(), row.slug.clone());
        let scheduled = waiting.remove(&row.id);
        match open_perk_of(row, version, scheduled, before) {
            Ok((key, perk)) => {
                open.scheduled.extend(perk.scheduled.as_ref().map(|(from, _)| (*from, key.clone())));
                open.perks.insert(key, Arc::new(perk));
            }
            // One that can't be read must not keep the others from moving on. It decides nothing:
            // its old version would be a lie.
            Err(error) => tracing::error!(%error, merchant = named.0, perk = named.1, "a perk's rule can't be read"),
        }
    }
    Ok(open)
}

fn open_perk_of(
    row: PerkRow,
    version: Option<VersionRow>,
    scheduled: Option<VersionRow>,
    before: &Open,
) -> Result<(Named, ActivePerk), DatabaseError> {
    let merchant: MerchantId = row.merchant_id.parse().map_err(|e| DatabaseError::corrupt("merchant id", e))?;
    let perk = Perk::try_from(row)?;
    let key = (merchant, perk.slug.clone());
    let known = before.perks.get(&key);
    let known: Vec<&Arc<Deciding>> =
        known.into_iter().flat_map(|it| it.deciding.iter().chain(it.scheduled.iter().map(|(_, it)| it))).collect();
    let read = |row: VersionRow| {
        let version = RuleVersion::try_from(row)?;
        // What was parsed once is kept. By its hash, too: a version that was scheduled may go
        // back to being a draft, and change.
        let kept = known.iter().find(|kept| kept.version == version.version && *kept.hash == *version.rule_hash);
        let deciding = match kept {
            Some(kept) => Arc::clone(kept),
            None => Arc::new(deciding_of(&perk, &version)?),
        };
        Ok::<_, DatabaseError>((version.scheduled, deciding))
    };
    let deciding = version.map(read).transpose()?.map(|(_, deciding)| deciding);
    let scheduled = scheduled.map(read).transpose()?.and_then(|(at, deciding)| Some((at?.at, deciding)));
    Ok((key, ActivePerk { id: perk.id.clone(), slug: perk.slug.clone(), status: perk.status, deciding, scheduled }))
}

fn deciding_of(perk: &Perk, version: &RuleVersion) -> Result<Deciding, DatabaseError> {
    let corrupt = |detail: String| DatabaseError::Corrupt { what: "rule", detail };
    let json = Json::parse(&version.rule).map_err(|e| corrupt(e.to_string()))?;
    let rule = Rule::stored(&json, perk.slug.as_str())
        .map_err(|errors| corrupt(errors.first().map(|error| error.detail.clone()).unwrap_or_default()))?;
    Ok(Deciding { version: version.version, rule, hash: version.rule_hash.as_str().into() })
}
