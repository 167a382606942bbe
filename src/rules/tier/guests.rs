//! The guests that a tier lets people bring: how many for nothing, how many at all, and which children it doesn't count.

use super::party::{ADULT_AGE, MAX_PARTY, Party};
use crate::foundation::decimal::Decimal;
use crate::foundation::document::{FieldErrors, Node, below, text};
use crate::foundation::json::Json;

/// The most guests that a tier may say: the person is one of the party.
pub(crate) const MAX_GUESTS: i64 = MAX_PARTY - 1;
/// The highest age under which children may be left out.
pub(crate) const MAX_UNDER: i64 = ADULT_AGE;

/// The terms of a tier about guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestTerms {
    /// Number that cost nothing.
    pub free: u64,
    /// Number that may be brought; those above `free` are charged.
    pub max: u64,
    /// Children younger than so many years are not counted: neither here nor by limits.
    pub under: Option<u8>,
    pub over: Over,
}

/// The treatment of a party with more guests than may be brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The tier doesn't admit it.
    Deny,
    /// The tier admits the person with as many guests as may be brought.
    AdmitMax,
}

impl Over {
    pub(crate) const ALL: [Self; 2] = [Self::Deny, Self::AdmitMax];

    /// As rules write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::AdmitMax => "admit_max",
        }
    }
}

/// The guests of one grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guests {
    pub free: u64,
    pub charged: u64,
    /// Children who are too young to count.
    pub uncounted: u64,
    /// Those who came and were not admitted.
    pub refused: u64,
}

/// The people of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// Number of people that are let in, the person included.
    pub party: u64,
    /// The guests among them, where the tier says something of guests.
    pub guests: Option<Guests>,
}

impl Admitted {
    /// Number of people that limits count.
    #[must_use]
    pub fn counted(&self) -> u64 {
        self.guests.map_or(self.party, |guests| guests.counted().saturating_add(1))
    }
}

impl Guests {
    /// Number of guests who are let in.
    #[must_use]
    pub const fn admitted(&self) -> u64 {
        self.counted().saturating_add(self.uncounted)
    }

    /// Number of them that are counted.
    #[must_use]
    pub const fn counted(&self) -> u64 {
        self.free.saturating_add(self.charged)
    }
}

impl GuestTerms {
    /// Number of guests by whom a party is too large for the tier to admit; none where it isn't.
    #[must_use]
    pub fn over_by(&self, party: &Party) -> Option<u64> {
        let over = self.brought(party).checked_sub(self.max).filter(|over| *over > 0)?;
        (self.over == Over::Deny).then_some(over)
    }

    /// The guests of a grant to `party`. One that is too large to be admitted was admitted by a person: whole.
    #[must_use]
    pub fn of(&self, party: &Party) -> Guests {
        let brought = self.brought(party);
        let counted = match self.over {
            Over::Deny => brought,
            Over::AdmitMax => brought.min(self.max),
        };
        let free = counted.min(self.free);
        let (charged, refused) = (counted.saturating_sub(free), brought.saturating_sub(counted));
        Guests { free, charged, uncounted: party.younger_than(self.under), refused }
    }

    /// Number of guests that count.
    fn brought(&self, party: &Party) -> u64 {
        party.size().saturating_sub(1).saturating_sub(party.younger_than(self.under))
    }

    /// Tells whether every party that these terms turn away is one that `others` do too.
    pub(crate) fn admit_all_that(&self, others: Option<&Self>) -> bool {
        self.over == Over::AdmitMax
            || others
                .is_some_and(|others| others.over == Over::Deny && others.max <= self.max && others.under <= self.under)
    }

    pub(crate) fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let fields = node.fields(&["free", "max", "under", "over"], errors)?;
        let free = fields.or("free", 0, |free| free.whole(0..=MAX_GUESTS, errors));
        let max = fields.required("max", errors).and_then(|max| max.whole(0..=MAX_GUESTS, errors));
        let under = fields.or("under", None, |under| under.whole(1..=MAX_UNDER, errors).map(Some));
        let over = fields.or("over", Over::Deny, |over| {
            let word = over.text(errors)?;
            let known = Over::ALL.into_iter().find(|it| it.as_str() == word);
            known.or_else(|| over.refuse(errors, "bad_form", "use \"deny\" or \"admit_max\""))
        });
        let (free, max) = (free?.unsigned_abs(), max?.unsigned_abs());
        if free > max {
            let detail = format!("{free} guests are free and {max} may be brought: say as many at most");
            errors.add(&below(node.pointer(), "free"), "out_of_range", detail);
        }
        Some(Self { free, max, under: under?.and_then(|years| u8::try_from(years).ok()), over: over? })
    }

    /// The canonical form.
    pub(crate) fn to_json(self) -> Json {
        let whole = |number: u64| Json::Number(Decimal::from_whole(i64::try_from(number).unwrap_or(MAX_GUESTS)));
        let mut members =
            vec![("free", whole(self.free)), ("max", whole(self.max)), ("over", text(self.over.as_str()))];
        members.extend(self.under.map(|years| ("under", whole(years.into()))));
        Json::object(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<GuestTerms, Vec<(String, &'static str)>> {
        let json = Json::parse(json).unwrap();
        let mut errors = FieldErrors::default();
        let terms = GuestTerms::read(&Node::root(&json), &mut errors);
        errors.unless_any(terms).map_err(|errors| errors.iter().map(|it| (it.path.to_string(), it.code)).collect())
    }

    fn party(size: u64, children: &[u8]) -> Party {
        Party::recorded(size, children.to_vec()).unwrap()
    }

    fn guests(free: u64, charged: u64, uncounted: u64, refused: u64) -> Guests {
        Guests { free, charged, uncounted, refused }
    }

    #[test]
    fn the_first_are_free_the_next_are_charged_and_small_children_are_not_counted() {
        let terms = read(r#"{"free":1,"max":3,"under":2}"#).unwrap();
        for (of, wanted) in [
            (party(1, &[]), guests(0, 0, 0, 0)),
            (party(2, &[]), guests(1, 0, 0, 0)),
            (party(4, &[]), guests(1, 2, 0, 0)),
            (party(4, &[1, 7]), guests(1, 1, 1, 0)),
            (party(4, &[0, 1, 1]), guests(0, 0, 3, 0)),
            (party(5, &[2, 1]), guests(1, 2, 1, 0)),
        ] {
            assert_eq!((terms.over_by(&of), terms.of(&of)), (None, wanted), "{of:?}");
            assert_eq!(1 + wanted.admitted() + wanted.refused, of.size());
        }
    }

    #[test]
    fn too_many_are_turned_away_or_cut_to_as_many_as_may_come() {
        let deny = read(r#"{"free":1,"max":3,"under":2}"#).unwrap();
        let many = party(7, &[1]);
        assert_eq!(deny.over_by(&many), Some(2));
        assert_eq!(deny.of(&many), guests(1, 4, 1, 0), "where a person admits them all the same");
        let some = read(r#"{"free":1,"max":3,"under":2,"over":"admit_max"}"#).unwrap();
        assert_eq!((some.over_by(&many), some.of(&many)), (None, guests(1, 2, 1, 2)));
        let alone = read(r#"{"max":0,"over":"admit_max"}"#).unwrap();
        assert_eq!(alone.of(&party(3, &[0])), guests(0, 0, 0, 2));
    }

    #[test]
    fn terms_have_one_form_and_others_are_refused() {
        for (text, canonical) in [
            (r#"{"max":3}"#, r#"{"free":0,"max":3,"over":"deny"}"#),
            (
                r#"{"under":2,"free":1,"over":"admit_max","max":3}"#,
                r#"{"free":1,"max":3,"over":"admit_max","under":2}"#,
            ),
        ] {
            let terms = read(text).unwrap();
            assert_eq!(terms.to_json().canonical(), canonical);
            assert_eq!(read(canonical).unwrap(), terms);
        }
        for (text, at, code) in [
            ("{}", "/max", "missing"),
            (r#"{"free":4,"max":3}"#, "/free", "out_of_range"),
            (r#"{"max":100}"#, "/max", "out_of_range"),
            (r#"{"max":-1}"#, "/max", "out_of_range"),
            (r#"{"max":3,"under":0}"#, "/under", "out_of_range"),
            (r#"{"max":3,"under":19}"#, "/under", "out_of_range"),
            (r#"{"max":3,"over":"cut"}"#, "/over", "bad_form"),
            (r#"{"max":3,"paid":1}"#, "/paid", "unknown_field"),
        ] {
            assert_eq!(read(text).unwrap_err()[0], (at.to_owned(), code), "{text}");
        }
    }

    #[test]
    fn terms_are_known_to_admit_all_that_others_do() {
        let terms = |text: &str| read(text).unwrap();
        let three = terms(r#"{"max":3,"under":2}"#);
        assert!(three.admit_all_that(Some(&terms(r#"{"max":2}"#))));
        assert!(three.admit_all_that(Some(&three)));
        for other in [r#"{"max":4,"under":2}"#, r#"{"max":3,"under":3}"#, r#"{"max":1,"over":"admit_max"}"#] {
            assert!(!three.admit_all_that(Some(&terms(other))), "{other}");
        }
        assert!(!three.admit_all_that(None));
        assert!(terms(r#"{"max":0,"over":"admit_max"}"#).admit_all_that(None));
    }
}
