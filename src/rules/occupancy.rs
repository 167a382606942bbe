//! The limit that says who is inside: a concurrent one of a place as a whole, not of a person, tier or kiosk.

use jiff::Timestamp;

use super::limit::{Limit, Place, Scope, ScopeDigests, Window};
use super::rule::Rule;
use crate::foundation::period::Period;
use crate::foundation::subject::Pseudonym;

/// The counter of those who are inside a place, and how many it takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct House {
    pub limit: String,
    /// The counter's scope.
    pub scope: String,
    /// The location that is counted; none where the perk is counted as a whole.
    pub location: Option<String>,
    pub capacity: u64,
    pub max_stay: Period,
    /// The counter is shared by all perks of the merchant.
    pub is_across_perks: bool,
}

/// Why nothing says who is inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoHouse {
    /// No limit of the rule counts who is inside.
    NoLimit,
    /// Each location is counted by itself, and none was named.
    ByLocation,
    /// The perk is counted as a whole, and a location was named.
    AsAWhole,
}

impl House {
    /// The house of `location`, or else of the perk as a whole; where only locations are counted, that of `own`, the
    /// location of the key that asks. The first limit in the rule's order counts.
    ///
    /// # Errors
    /// [`NoHouse`].
    pub fn of(rule: &Rule, location: Option<&str>, own: Option<&str>) -> Result<Self, NoHouse> {
        let first = |scope: &[Scope]| rule.limits().iter().find(|limit| is_of(limit, scope));
        let whole = first(&[Scope::Perk]);
        let each = first(&[Scope::Location]).or_else(|| first(&[Scope::Perk, Scope::Location]));
        let (limit, counted) = match (whole, each, location) {
            (_, Some(each), Some(named)) => (each, Some(named)),
            (Some(_), None, Some(_)) => return Err(NoHouse::AsAWhole),
            (Some(whole), _, None) => (whole, None),
            (None, Some(each), None) => (each, Some(own.ok_or(NoHouse::ByLocation)?)),
            (None, None, _) => return Err(NoHouse::NoLimit),
        };
        let Window::Concurrent { max_stay } = limit.window else { return Err(NoHouse::NoLimit) };
        let place = Place { merchant: "", location: counted.or(own), kiosk: None, pass_month: None };
        let house = Self::counted(rule, limit, max_stay, &place).ok_or(NoHouse::NoLimit)?;
        Ok(Self { location: counted.map(str::to_owned), ..house })
    }

    /// The house by which a rule sees how full it is around a key that is used at `own`: its location's, where that is
    /// counted by itself, else the perk as a whole.
    ///
    /// # Errors
    /// [`NoHouse`].
    pub fn around(rule: &Rule, own: Option<&str>) -> Result<Self, NoHouse> {
        own.and_then(|own| Self::of(rule, Some(own), None).ok()).map_or_else(|| Self::of(rule, None, own), Ok)
    }

    /// The other limits that count who is inside this house, whatever they count beside it: the whole perk, or several
    /// perks. Of the perk as a whole nobody knows at which location people are, and of what costs other than its limit (a
    /// table for each party, where that counts people) nobody knows how many came or left.
    #[must_use]
    pub fn others(&self, rule: &Rule, merchant: &str) -> Vec<Self> {
        let covers = |scope: &Scope| match scope {
            Scope::Perk | Scope::Merchant => true,
            Scope::Location => self.location.is_some(),
            Scope::Subject | Scope::Tier | Scope::Kiosk | Scope::BoardingPass | Scope::Context(_) => false,
        };
        let place = Place { merchant, location: self.location.as_deref(), kiosk: None, pass_month: None };
        let cost = rule.limits().iter().find(|limit| limit.id == self.limit).map(|limit| limit.cost);
        let others = rule
            .limits()
            .iter()
            .filter(|limit| limit.id != self.limit && Some(limit.cost) == cost && limit.scope.iter().all(covers));
        let counted = |limit: &Limit| match limit.window {
            Window::Concurrent { max_stay } => Self::counted(rule, limit, max_stay, &place),
            _ => None,
        };
        others.filter_map(counted).collect()
    }

    fn counted(rule: &Rule, limit: &Limit, max_stay: Period, place: &Place<'_>) -> Option<Self> {
        let claim = limit.claims(rule.time_zone(), "", 1, place, Timestamp::UNIX_EPOCH).next()?;
        Some(Self {
            limit: limit.id.clone(),
            scope: claim.scope.resolve(&Pseudonym::stored(""), &ScopeDigests::default()).ok()?,
            location: place.location.map(str::to_owned),
            capacity: limit.max.at(place.location),
            max_stay,
            is_across_perks: claim.across_perks,
        })
    }

    /// Tells whether checks by the rule can know who is inside, at some location at least.
    #[must_use]
    pub fn is_counted(rule: &Rule) -> bool {
        // Any location that a key may have.
        Self::of(rule, None, Some("")).is_ok()
    }

    /// How full the place is, in percent with its decimals cut off at the second.
    #[must_use]
    pub fn hundredths_of_percent(&self, inside: u64) -> u64 {
        inside.saturating_mul(10_000).checked_div(self.capacity).unwrap_or(0)
    }
}

fn is_of(limit: &Limit, scope: &[Scope]) -> bool {
    matches!(limit.window, Window::Concurrent { .. }) && limit.scope == scope
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::json::Json;

    fn house(limits: &[&str], location: Option<&str>, own: Option<&str>) -> Result<(String, String, u64), NoHouse> {
        let rule = format!(r#"{{"tiers":[{{"id":"t"}}],"limits":[{}]}}"#, limits.join(","));
        let rule = Rule::parse(&Json::parse(&rule).unwrap(), "perk").unwrap();
        House::of(&rule, location, own).map(|house| (house.limit, house.scope, house.capacity))
    }

    const DAY: &str = r#"{"id":"day","scope":["perk"],"max":9,"window":{"calendar":"day"}}"#;
    const SEATS: &str = r#"{"id":"seats","scope":["perk"],"max":{"default":60,"by_location":{"A":40}},"window":{"concurrent":{"max_stay":"PT4H"}}}"#;
    const ROOM: &str = r#"{"id":"room","scope":["location"],"max":{"default":8,"by_location":{"A":5}},"window":{"concurrent":{"max_stay":"PT4H"}}}"#;
    const OWN: &str = r#"{"id":"own","scope":["subject"],"max":1,"window":{"concurrent":{"max_stay":"PT4H"}}}"#;

    #[test]
    fn the_place_as_a_whole_is_counted_or_the_location_that_is_named() {
        let is = |limit: &str, scope: &str, capacity| Ok((limit.to_owned(), scope.to_owned(), capacity));
        assert_eq!(house(&[OWN, DAY], None, None), Err(NoHouse::NoLimit));
        assert_eq!(house(&[OWN, DAY], Some("A"), Some("A")), Err(NoHouse::NoLimit));
        assert_eq!(house(&[OWN, SEATS], None, None), is("seats", "/perk", 60));
        assert_eq!(house(&[SEATS], None, Some("A")), is("seats", "/perk", 40), "as many as checks there are held to");
        assert_eq!(house(&[SEATS], Some("A"), None), Err(NoHouse::AsAWhole));
        assert_eq!(house(&[ROOM], None, None), Err(NoHouse::ByLocation));
        assert_eq!(house(&[ROOM], None, Some("A")), is("room", "/location/A", 5));
        assert_eq!(house(&[ROOM], Some("B"), Some("A")), is("room", "/location/B", 8));
        assert_eq!(house(&[ROOM, SEATS], None, Some("B")), is("seats", "/perk", 60));
        assert_eq!(house(&[ROOM, SEATS], Some("B"), None), is("room", "/location/B", 8));
    }

    #[test]
    fn a_rule_sees_how_full_the_location_of_the_key_is_where_that_is_counted() {
        let around = |limits: &[&str], own: Option<&str>| {
            let rule = format!(r#"{{"tiers":[{{"id":"t"}}],"limits":[{}]}}"#, limits.join(","));
            let rule = Rule::parse(&Json::parse(&rule).unwrap(), "perk").unwrap();
            House::around(&rule, own).map(|house| (house.limit, house.capacity))
        };
        let is = |limit: &str, capacity| Ok((limit.to_owned(), capacity));
        assert_eq!(around(&[SEATS, ROOM], Some("A")), is("room", 5));
        assert_eq!(around(&[SEATS, ROOM], None), is("seats", 60));
        assert_eq!(around(&[SEATS], Some("A")), is("seats", 40));
        assert_eq!(around(&[ROOM], None), Err(NoHouse::ByLocation));
        assert_eq!(around(&[OWN, DAY], Some("A")), Err(NoHouse::NoLimit));
    }

    #[test]
    fn each_limit_of_the_place_counts_who_is_inside() {
        const ALL: &str = r#"{"id":"all","scope":["merchant"],"max":90,"window":{"concurrent":{"max_stay":"PT4H"}}}"#;
        const HALL: &str =
            r#"{"id":"hall","scope":["perk","location"],"max":7,"window":{"concurrent":{"max_stay":"PT2H"}}}"#;
        let rule = format!(r#"{{"tiers":[{{"id":"t"}}],"limits":[{}]}}"#, [OWN, DAY, SEATS, ROOM, ALL, HALL].join(","));
        let rule = Rule::parse(&Json::parse(&rule).unwrap(), "perk").unwrap();
        let others = |location: Option<&str>| -> Vec<(String, String, u64)> {
            let house = House::of(&rule, location, None).unwrap();
            let others = house.others(&rule, "mer_1").into_iter();
            others.map(|it| (it.limit, it.scope, it.capacity)).collect()
        };
        let is = |limit: &str, scope: &str, capacity| (limit.to_owned(), scope.to_owned(), capacity);
        assert_eq!(others(None), [is("all", "/merchant/mer_1", 90)]);
        // A table for each party, where the others count one for each check as well as it.
        let party = SEATS.replace(r#""max":"#, r#""cost":"party","max":"#);
        for (limits, also) in [(vec![SEATS, ALL], 1), (vec![&party, ALL], 0), (vec![ALL, &party], 0)] {
            let rule = format!(r#"{{"tiers":[{{"id":"t"}}],"limits":[{}]}}"#, limits.join(","));
            let rule = Rule::parse(&Json::parse(&rule).unwrap(), "perk").unwrap();
            let house = House::of(&rule, None, None).unwrap();
            assert_eq!((house.limit.as_str(), house.others(&rule, "mer_1").len()), ("seats", also), "{limits:?}");
        }
        assert_eq!(
            others(Some("A")),
            [is("seats", "/perk", 40), is("all", "/merchant/mer_1", 90), is("hall", "/perk/location/A", 7)]
        );
    }

    #[test]
    fn how_full_it_is_never_rounds_up() {
        let house = House {
            limit: "seats".into(),
            scope: "/perk".into(),
            location: None,
            capacity: 3,
            max_stay: Period::from_days(1),
            is_across_perks: false,
        };
        assert_eq!([0, 1, 2, 3, 4].map(|inside| house.hundredths_of_percent(inside)), [0, 3333, 6666, 10_000, 13_333]);
    }
}
