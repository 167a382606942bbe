//! Limits: how often, for whom, in which window; and what one grant would use of each.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::engine::{FLOOR, PLAIN};
pub use super::maximum::Maximum;
pub(crate) use super::maximum::{MAX_LOCATIONS, MAX_MAX};
use super::messages::Messages;
pub(crate) use super::scope::MAX_SCOPES;
pub use super::scope::{MissingDigest, Scope, ScopeDigests, ScopeKey, is_across_perks};
pub use super::tier::party::MAX_PARTY;
pub use super::window::{CONCURRENT, Counting, LIFETIME, ROLLING, Unit, Window, may_count};
use crate::foundation::decimal::Decimal;
use crate::foundation::document::{FieldErrors, Node, below, text};
use crate::foundation::json::Json;
use crate::foundation::period::Period;

pub(crate) const MAX_LIMITS: usize = 16;
/// The longest windows in which what digests stand for is counted: shorter than a secret is kept after its month, and of
/// the context shorter than the shortest month by the life of a token, so that it reaches back into one month at most.
const LONGEST_OF_PASSES: Period = Period::from_days(31);
const LONGEST_OF_CONTEXT: Period = Period::from_days(27);

/// One limit of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    pub id: String,
    /// Whose uses are counted together: one counter for each combination. Sorted, no repeats.
    pub scope: Vec<Scope>,
    pub max: Maximum,
    pub cost: Cost,
    pub window: Window,
    /// Said to guests when it has no room, in place of the standard sentence.
    pub messages: Option<Messages>,
}

/// The cost of one grant, in uses of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// One for each person of the party.
    Party,
    Fixed(u64),
}

/// Where a check is made, by its API key.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub merchant: &'a str,
    pub location: Option<&'a str>,
    pub kiosk: Option<&'a str>,
    /// The month of the boarding pass that was shown, `2026-11`.
    pub pass_month: Option<&'a str>,
}

/// The use that one grant would make of one limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitClaim {
    /// The limit's id.
    pub limit: String,
    pub scope: ScopeKey,
    /// Names the window: a calendar window by its local label and the offset at its start.
    pub window_key: String,
    pub counting: Counting,
    pub cost: u64,
    pub max: u64,
    /// When the next window starts; never for a lifetime. Where uses are counted one by one, only
    /// the ledger knows.
    pub resets_at: Option<Timestamp>,
    /// The counter is shared by all perks of the merchant, so its key must name no perk.
    pub across_perks: bool,
    /// An override may use it past its maximum.
    pub may_pass: bool,
}

impl LimitClaim {
    /// Tells whether it is for more than the limit ever admits, however little of it is used.
    #[must_use]
    pub const fn never_fits(&self) -> bool {
        self.cost > self.max
    }
}

impl Limit {
    /// Tells whether a check for so many is for more than it ever admits at the location, however little of it is used.
    #[must_use]
    pub fn never_fits(&self, party: u64, location: Option<&str>) -> bool {
        self.cost.of(party) > self.max.at(location)
    }

    /// The uses that a grant of `tier` to `party` people at `place` would make of it at `now`: one, or, where a member of
    /// the context counts within a window that may have begun in the month before, one in the counter of each month.
    pub fn claims<'a>(
        &'a self,
        zone: &'a TimeZone,
        tier: &'a str,
        party: u64,
        place: &'a Place<'_>,
        now: Timestamp,
    ) -> impl Iterator<Item = LimitClaim> + 'a {
        let months = if self.has_context() { self.window.months(zone, now) } else { vec![String::new()] };
        months.into_iter().map(move |month| self.claim(zone, tier, party, place, now, &month))
    }

    fn claim(
        &self,
        zone: &TimeZone,
        tier: &str,
        party: u64,
        place: &Place<'_>,
        now: Timestamp,
        month: &str,
    ) -> LimitClaim {
        let value = |scope: &Scope| {
            match scope {
                Scope::Subject | Scope::Perk => "",
                Scope::Tier => tier,
                Scope::Location => place.location.unwrap_or_default(),
                Scope::Kiosk => place.kiosk.unwrap_or_default(),
                Scope::Merchant => place.merchant,
                Scope::BoardingPass => place.pass_month.unwrap_or_default(),
                Scope::Context(_) => month,
            }
            .to_owned()
        };
        let (window_key, resets_at) = self.window.key(zone, now);
        LimitClaim {
            limit: self.id.clone(),
            scope: ScopeKey::of(self.scope.iter().map(|scope| (scope.clone(), value(scope)))),
            window_key,
            counting: self.window.counting(),
            cost: self.cost.of(party),
            max: self.max.at(place.location),
            resets_at,
            across_perks: self.is_across_perks(),
            may_pass: false,
        }
    }

    /// The reading that it needs.
    pub(crate) fn engine(&self) -> u32 {
        let words = if self.messages.is_some() { FLOOR } else { PLAIN };
        self.window.engine().max(self.max.engine()).max(words)
    }

    /// The scopes of limits that counters know by a digest.
    pub(super) fn digested(limits: &[Self]) -> BTreeSet<Scope> {
        let scopes = limits.iter().flat_map(|limit| &limit.scope);
        scopes.filter(|scope| scope.is_digested()).cloned().collect()
    }

    /// Tells whether it counts by a member of the context.
    fn has_context(&self) -> bool {
        self.scope.iter().any(|scope| scope.member().is_some())
    }

    /// Tells whether all perks of the merchant that have a limit of this id share its counters.
    #[must_use]
    pub fn is_across_perks(&self) -> bool {
        self.scope.contains(&Scope::Merchant) && !self.scope.contains(&Scope::Perk)
    }

    /// Reads the limits of a rule.
    pub(crate) fn read_all(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Vec<Self>> {
        let items = node.list(0..=MAX_LIMITS, errors)?;
        let mut limits: Vec<Self> = Vec::new();
        let mut all = true;
        for item in &items {
            let Some(limit) = Self::read(item, errors) else {
                all = false;
                continue;
            };
            if limits.iter().any(|other| other.id == limit.id) {
                errors.add(&below(item.pointer(), "id"), "repeated", "another limit has this id");
            }
            limits.push(limit);
        }
        all.then_some(limits)
    }

    fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let fields = node.fields(&["id", "scope", "max", "cost", "window", "messages"], errors)?;
        let id = fields.required("id", errors).and_then(|id| id.slug(errors));
        let scope = fields.required("scope", errors).and_then(|scope| Scope::read(&scope, errors));
        let max = fields.required("max", errors).and_then(|max| Maximum::read(&max, errors));
        let cost = fields.or("cost", Cost::Fixed(1), |cost| Cost::read(&cost, errors));
        let window = fields.required("window", errors).and_then(|node| {
            let window = Window::read(&node, errors)?;
            let scope = scope.as_deref().unwrap_or_default();
            let is_context = scope.iter().any(|scope| matches!(scope, Scope::Context(_)));
            let longest = if is_context { LONGEST_OF_CONTEXT } else { LONGEST_OF_PASSES };
            if scope.iter().any(Scope::is_digested) && window.is_longer_than(longest) {
                let what = if is_context { "members of the context" } else { "boarding passes" };
                let detail = format!(
                    "{what} are counted under secrets that are destroyed soon after their month: use an hour, a day, a \
                     week or a month, or a duration of up to {longest}"
                );
                return node.refuse(errors, "window_too_long", detail);
            }
            Some(window)
        });
        let messages = fields.or("messages", None, |messages| Messages::read(&messages, errors).map(Some));
        let (id, messages) = (id?.to_owned(), messages?);
        Some(Self { id, scope: scope?, max: max?, cost: cost?, window: window?, messages })
    }

    /// The canonical form.
    pub fn to_json(&self) -> Json {
        let cost = match self.cost {
            Cost::Party => text("party"),
            Cost::Fixed(cost) => Json::Number(Decimal::from_whole(i64::try_from(cost).unwrap_or(MAX_MAX))),
        };
        let mut members = vec![
            ("id", text(&self.id)),
            ("scope", Json::List(self.scope.iter().map(|scope| text(scope.name().into_owned())).collect())),
            ("max", self.max.to_json()),
            ("cost", cost),
            ("window", self.window.to_json()),
        ];
        // Only where they are: a rule that was hashed before there were any keeps its hash.
        members.extend(self.messages.as_ref().map(|messages| ("messages", messages.to_json())));
        Json::object(members)
    }
}

impl Cost {
    /// Number of uses that a grant to `party` people costs.
    #[must_use]
    pub const fn of(self, party: u64) -> u64 {
        match self {
            Self::Party => party,
            Self::Fixed(cost) => cost,
        }
    }

    fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        match node.json() {
            Json::Text(word) if word == "party" => Some(Self::Party),
            Json::Text(_) => node.refuse(errors, "bad_form", "use \"party\", or a whole number from 1 to 100"),
            _ => node.whole(1..=100, errors).map(|cost| Self::Fixed(cost.unsigned_abs())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::subject::Pseudonym;

    fn claim(limit: &str, party: u64, place: &Place<'_>) -> LimitClaim {
        let json = Json::parse(limit).unwrap();
        let mut errors = FieldErrors::default();
        let limit = Limit::read(&Node::root(&json), &mut errors);
        let limit = errors.unless_any(limit).unwrap();
        limit.claims(&TimeZone::UTC, "gold", party, place, Timestamp::UNIX_EPOCH).next().unwrap()
    }

    #[test]
    fn a_scope_names_all_that_it_is_counted_for() {
        let place = Place { merchant: "mer_1", location: Some("SFO/A"), kiosk: None, pass_month: None };
        let ada = Pseudonym::stored("sub_ada");
        for (scope, key, across) in [
            (r#"["subject"]"#, "/subject/sub_ada", false),
            (r#"["perk"]"#, "/perk", false),
            (r#"["tier"]"#, "/tier/gold", false),
            (r#"["location","subject"]"#, "/subject/sub_ada/location/SFO~1A", false),
            (r#"["kiosk"]"#, "/kiosk/", false),
            (r#"["merchant","subject"]"#, "/subject/sub_ada/merchant/mer_1", true),
            (r#"["merchant","perk"]"#, "/perk/merchant/mer_1", false),
        ] {
            let claim =
                claim(&format!(r#"{{"id":"l","scope":{scope},"max":3,"window":{{"lifetime":true}}}}"#), 4, &place);
            let named = claim.scope.resolve(&ada, &ScopeDigests::default()).unwrap();
            assert_eq!((named.as_str(), claim.across_perks), (key, across));
            assert_eq!((claim.cost, claim.max, claim.window_key.as_str(), claim.resets_at), (1, 3, "lifetime", None));
        }
    }

    #[test]
    fn the_most_that_fit_are_those_of_the_keys_location_in_the_same_counter() {
        let limit =
            r#"{"id":"l","scope":["perk"],"max":{"default":9,"by_location":{"SFO":3}},"window":{"lifetime":true}}"#;
        let at = |location| claim(limit, 1, &Place { merchant: "mer_1", location, kiosk: None, pass_month: None });
        let (sfo, lax, nowhere) = (at(Some("SFO")), at(Some("LAX")), at(None));
        assert_eq!([sfo.max, lax.max, nowhere.max], [3, 9, 9]);
        assert_eq!((&sfo.scope, &sfo.window_key), (&lax.scope, &nowhere.window_key));
    }

    #[test]
    fn a_digest_stands_for_its_own_month_only() {
        let place = Place { merchant: "mer_1", location: None, kiosk: None, pass_month: None };
        let limit = r#"{"id":"l","scope":["context.receipt"],"max":1,"window":{"calendar":"day"}}"#;
        let (claim, ada) = (claim(limit, 1, &place), Pseudonym::stored("sub_ada"));
        let with = |month: &str| {
            let mut digests = ScopeDigests::default();
            digests.insert("context.receipt".into(), month.into(), "d1".into());
            (claim.scope.resolve(&ada, &digests), digests.lacking([&claim.scope].into_iter()).len())
        };
        assert_eq!(with("1970-01"), (Ok("/context.receipt/d1".into()), 0));
        let missing = MissingDigest { scope: "context.receipt".into(), month: "1970-01".into() };
        assert_eq!(with("1969-12"), (Err(missing), 1));
    }

    #[test]
    fn a_party_costs_as_many_as_it_is() {
        let place = Place { merchant: "mer_1", location: None, kiosk: None, pass_month: None };
        let cost = |cost: &str| {
            let limit =
                format!(r#"{{"id":"l","scope":["perk"],"max":200,"cost":{cost},"window":{{"calendar":"day"}}}}"#);
            claim(&limit, 4, &place).cost
        };
        assert_eq!((cost("\"party\""), cost("2"), cost("null")), (4, 2, 1));
    }
}
