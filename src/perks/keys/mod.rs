//! The fit of keys and rules: kiosks without a place under limits that count by place, and doors for
//! audiences that no rule names. Both work, and likely not as meant.

mod places;
mod store;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jiff::Timestamp;

use super::store::{DECIDES_OR_WILL, PerkRow, list_rules_in};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::MerchantId;
use crate::foundation::json::Json;
use crate::foundation::nearest::nearest;
use crate::rules::limit::{Limit, Scope};
use crate::rules::rule::Rule;

pub(super) use places::unknown_location;

/// A key with the things it is bound to, as far as rules look at them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnSite {
    /// True if it asks for people; a door redeems.
    pub is_kiosk: bool,
    pub label: String,
    pub location: Option<String>,
    pub kiosk: Option<String>,
    pub audience: Option<String>,
}

/// A key that does not fit the rules of its merchant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The merchant's slug.
    pub merchant: String,
    /// The key's label.
    pub key: String,
    pub error: FieldError,
}

/// The most labels that a warning lists.
const LISTED: usize = 3;

/// The scopes that a key's place stands for, by their member in a key.
const PLACES: [(Scope, &str); 2] = [(Scope::Location, "location"), (Scope::Kiosk, "kiosk")];

impl OnSite {
    /// Tells whether rules look at what it is bound to.
    pub(super) fn is_on_site(&self) -> bool {
        self.is_kiosk || self.audience.is_some()
    }

    fn lacks(&self, scope: &Scope) -> bool {
        self.is_kiosk
            && match scope {
                Scope::Location => self.location.is_none(),
                Scope::Kiosk => self.kiosk.is_none(),
                Scope::Subject
                | Scope::Perk
                | Scope::Tier
                | Scope::Merchant
                | Scope::BoardingPass
                | Scope::Context(_) => false,
            }
    }
}

/// The rules of the merchant that decide or will, each with its perk's short name, as far as this build can read them.
pub(super) fn list_rules(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
) -> Result<Vec<(String, Rule)>, DatabaseError> {
    let rows = list_rules_in(conn, merchant, &DECIDES_OR_WILL)?.into_iter();
    Ok(rows.filter_map(|(perk, row)| Some((perk.clone(), read(&row.rule, &perk)?))).collect())
}

/// The oddities of `key`, by these rules and the perks that they decide about; pointers go into the key.
pub(super) fn warnings_of(key: &OnSite, rules: &[(String, Rule)]) -> Vec<FieldError> {
    let mut warnings = Vec::new();
    for (scope, member) in PLACES.into_iter().filter(|(scope, _)| key.lacks(scope)) {
        let counts = |(perk, rule): &(String, Rule)| {
            let limit = rule.limits().iter().find(|limit| limit.scope.contains(&scope))?;
            Some(format!("`{}` of `{perk}`", limit.id))
        };
        let limits: BTreeSet<String> = rules.iter().filter_map(counts).collect();
        if !limits.is_empty() {
            let detail = format!("{} by {member}, and keys without one share one count", counting(&limits));
            let code = if scope == Scope::Location { "key_without_location" } else { "key_without_kiosk" };
            warnings.push(FieldError::at(format!("/{member}"), code, detail));
        }
    }
    if let Some(audience) = key.audience.as_ref().filter(|_| !key.is_kiosk) {
        let named: BTreeSet<String> = rules.iter().map(|(_, rule)| format!("`{}`", rule.token().audience)).collect();
        if !named.contains(&format!("`{audience}`")) {
            let known = if named.is_empty() { String::new() } else { format!(": they name {}", listed(&named)) };
            let detail = format!("no rule names the audience `{audience}`, so this door opens for nobody{known}");
            warnings.push(FieldError::at("/audience", "audience_not_named", detail));
        }
    }
    warnings
}

/// The oddities of the merchant's keys once `rule` decides about `perk`; pointers go into the rule.
pub(super) fn warnings_of_rule(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    perk: Option<&PerkRow>,
    rule: &Rule,
    now: Timestamp,
) -> Result<Vec<FieldError>, DatabaseError> {
    let counts_by_place = |scope: &Scope| rule.limits().iter().any(|limit| limit.scope.contains(scope));
    let audience = perk.map(|perk| audience_before(conn, merchant, perk)).transpose()?.flatten();
    let left = audience.filter(|audience| *audience != rule.token().audience);
    let differs = rule.limits().iter().any(|limit| limit.max.is_by_location());
    if left.is_none() && !differs && !PLACES.iter().any(|(scope, _)| counts_by_place(scope)) {
        return Ok(Vec::new());
    }
    let keys = store::list_on_site(conn, merchant, now)?;
    let mut warnings = Vec::new();
    for (nth, limit) in rule.limits().iter().enumerate() {
        for (scope, member) in PLACES.into_iter().filter(|(scope, _)| limit.scope.contains(scope)) {
            let without: BTreeSet<String> =
                keys.iter().filter(|key| key.lacks(&scope)).map(|key| format!("`{}`", key.label)).collect();
            if !without.is_empty() {
                let detail =
                    format!("it counts by {member}, and kiosk keys without one share one count: {}", listed(&without));
                let code = if scope == Scope::Location { "keys_without_location" } else { "keys_without_kiosk" };
                warnings.push(FieldError::at(format!("/limits/{nth}/scope"), code, detail));
            }
        }
        warnings.extend(unused_locations(nth, limit, &keys));
    }
    if let Some((left, perk)) = left.zip(perk) {
        let is_of = |key: &&OnSite| key.audience.as_ref() == Some(&left);
        let doors: BTreeSet<String> = keys.iter().filter(is_of).map(|key| format!("`{}`", key.label)).collect();
        if !doors.is_empty() && !is_named_beside(conn, merchant, perk, &left)? {
            let detail = format!(
                "the version that decides names the audience `{left}`, and no other rule does: its doors would open for \
                 nobody any more: {}",
                listed(&doors)
            );
            warnings.push(FieldError::at("/token/audience", "audience_not_named", detail));
        }
    }
    Ok(warnings)
}

/// The locations that a limit has a maximum for and no key stands at: likely misspelt.
fn unused_locations(nth: usize, limit: &Limit, keys: &[OnSite]) -> Option<FieldError> {
    let known: BTreeSet<&str> = keys.iter().filter_map(|key| key.location.as_deref()).collect();
    let named = limit.max.by_location.keys().filter(|location| !known.contains(location.as_str()));
    let unused: BTreeSet<String> = named.map(|location| format!("`{location}`")).collect();
    let mut detail = match unused.len() {
        0 => return None,
        1 => format!("no key of yours has the location {}, so its maximum is never met", listed(&unused)),
        _ => format!("no key of yours has these locations, so their maxima are never met: {}", listed(&unused)),
    };
    let first = unused.first().map(|name| name.trim_matches('`'));
    if let Some(meant) = first.and_then(|name| nearest(name, known.iter().copied())) {
        let _ = write!(detail, ": did you mean `{meant}`?");
    }
    Some(FieldError::at(format!("/limits/{nth}/max/by_location"), "location_without_key", detail))
}

/// The warning that keys ask for people and name no location, so that the closure of one does not concern them.
pub(super) fn without_location(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    now: Timestamp,
) -> Result<Option<FieldError>, DatabaseError> {
    let labels: BTreeSet<String> =
        store::list_asking_nowhere(conn, merchant, now)?.into_iter().map(|label| format!("`{label}`")).collect();
    let detail = format!(
        "keys that name no location go on: give each key of this place its location, or close the whole perk: {}",
        listed(&labels)
    );
    Ok((!labels.is_empty()).then(|| FieldError::at("/location", "keys_without_location", detail)))
}

/// Every key of every merchant that does not fit its merchant's rules.
///
/// # Errors
/// The database's.
pub fn list_misfits(conn: &mut AnyConnection, now: Timestamp) -> Result<Vec<Misfit>, DatabaseError> {
    let mut misfits = Vec::new();
    for (merchant, slug) in store::list_merchants(conn)? {
        let merchant: MerchantId = merchant.parse().map_err(|e| DatabaseError::corrupt("merchant id", e))?;
        let rules = list_rules(conn, &merchant)?;
        for key in store::list_on_site(conn, &merchant, now)? {
            let of_key = warnings_of(&key, &rules).into_iter();
            misfits.extend(of_key.map(|error| Misfit { merchant: slug.clone(), key: key.label.clone(), error }));
        }
    }
    Ok(misfits)
}

/// The audience of the version that decides about the perk now.
fn audience_before(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    perk: &PerkRow,
) -> Result<Option<String>, DatabaseError> {
    let Some(published) = perk.published_version else { return Ok(None) };
    let before = super::store::find_version(conn, merchant, &perk.id, published)?;
    Ok(before.and_then(|row| audience_of(&row.rule, &perk.slug)))
}

fn is_named_beside(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    perk: &PerkRow,
    audience: &str,
) -> Result<bool, DatabaseError> {
    let others = super::store::list_deciding_beside(conn, merchant, &perk.id)?;
    // A stored rule names its audience, so whose it is doesn't matter.
    Ok(others.iter().any(|row| audience_of(&row.rule, &row.perk_id).as_deref() == Some(audience)))
}

/// One that can't be read any more names none.
fn audience_of(rule: &str, perk: &str) -> Option<String> {
    read(rule, perk).map(|rule| rule.token().audience.clone())
}

fn read(rule: &str, perk: &str) -> Option<Rule> {
    Rule::stored(&Json::parse(rule).ok()?, perk).ok()
}

fn counting(limits: &BTreeSet<String>) -> String {
    if limits.len() == 1 {
        format!("the limit {} counts", listed(limits))
    } else {
        format!("limits count ({})", listed(limits))
    }
}

fn listed(names: &BTreeSet<String>) -> String {
    joined(names, LISTED)
}

/// The first `most` of the names, and how many more there are.
fn joined(names: &BTreeSet<String>, most: usize) -> String {
    let some: Vec<&str> = names.iter().take(most).map(String::as_str).collect();
    let more = names.len().saturating_sub(most);
    if more == 0 { some.join(", ") } else { format!("{} and {more} more", some.join(", ")) }
}
