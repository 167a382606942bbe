//! Parties: how many come together, and the ages of the children among them.

use std::collections::BTreeSet;

use crate::foundation::document::{FieldErrors, Node};

/// The most people one check may be for.
pub const MAX_PARTY: i64 = 100;
/// The age, in years, from which on someone is an adult.
pub const ADULT_AGE: i64 = 18;

/// The people who come together, the person who is checked among the adults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// Children included; at least 1.
    size: u64,
    /// Ages in years, the youngest first.
    children: Vec<u8>,
}

impl Default for Party {
    /// One person.
    fn default() -> Self {
        Self::of(1)
    }
}

impl Party {
    /// A party of so many adults.
    #[must_use]
    pub const fn of(size: u64) -> Self {
        Self { size, children: Vec::new() }
    }

    /// A party as it was recorded; none if it has no adult.
    #[must_use]
    pub fn recorded(size: u64, mut children: Vec<u8>) -> Option<Self> {
        children.sort_unstable();
        (u64::try_from(children.len()).ok()? < size).then_some(Self { size, children })
    }

    /// Reads `{"adults":2,"children":[1,7]}`: adults, of whom the person is one, and the ages of the children.
    pub fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let fields = node.fields(&["adults", "children"], errors)?;
        let adults = fields.required("adults", errors).and_then(|adults| adults.whole(1..=MAX_PARTY, errors));
        let most = usize::try_from(MAX_PARTY - 1).unwrap_or(usize::MAX);
        let children = fields.or("children", Vec::new(), |children| {
            let ages = children.list(0..=most, errors)?;
            let ages: Vec<_> = ages.iter().map(|age| read_age(age, errors)).collect();
            ages.into_iter().collect()
        });
        let (adults, children) = (adults?.unsigned_abs(), children?);
        let size = adults.saturating_add(u64::try_from(children.len()).unwrap_or(u64::MAX));
        if size > MAX_PARTY.unsigned_abs() {
            return node.refuse(errors, "out_of_range", format!("a party is of at most {MAX_PARTY} people"));
        }
        Self::recorded(size, children)
    }

    /// Number of people, the person and all children included.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The ages of the children, in years.
    #[must_use]
    pub fn children(&self) -> &[u8] {
        &self.children
    }

    /// Number of children younger than so many years; none without a bound.
    #[must_use]
    pub fn younger_than(&self, years: Option<u8>) -> u64 {
        let young = years.map_or(0, |years| self.children.iter().filter(|age| **age < years).count());
        u64::try_from(young).unwrap_or(u64::MAX)
    }

    /// The same, with each age lowered to the highest of `bounds` that it has reached, or to 0: all that a rule with
    /// these bounds can tell of it, and all that is recorded.
    #[must_use]
    pub fn lowered_to(&self, bounds: &BTreeSet<u8>) -> Self {
        let lowered = |age: &u8| bounds.range(..=*age).next_back().copied().unwrap_or(0);
        Self { size: self.size, children: self.children.iter().map(lowered).collect() }
    }
}

/// Reads an age of a child, in years: those who are older are adults.
fn read_age(node: &Node<'_>, errors: &mut FieldErrors) -> Option<u8> {
    node.whole(0..=ADULT_AGE - 1, errors).and_then(|age| u8::try_from(age).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::json::Json;

    fn read(text: &str) -> Result<Party, Vec<(String, &'static str)>> {
        let json = Json::parse(text).unwrap();
        let mut errors = FieldErrors::default();
        let party = Party::read(&Node::root(&json), &mut errors);
        errors.unless_any(party).map_err(|errors| errors.iter().map(|it| (it.path.to_string(), it.code)).collect())
    }

    #[test]
    fn a_party_is_adults_and_the_ages_of_children() {
        let party = read(r#"{"adults":2,"children":[7,1]}"#).unwrap();
        assert_eq!((party.size(), party.children()), (4, &[1, 7][..]));
        assert_eq!([Some(1), Some(2), Some(7), Some(8), None].map(|years| party.younger_than(years)), [0, 1, 1, 2, 0]);
        assert_eq!(read(r#"{"adults":1}"#).unwrap(), Party::default());
        let most: Vec<_> = ["0"; 99].into();
        assert_eq!(read(&format!(r#"{{"adults":1,"children":[{}]}}"#, most.join(","))).unwrap().size(), 100);
    }

    #[test]
    fn what_is_no_party_is_refused_at_its_spot() {
        for (text, at, code) in [
            ("-1", "", "wrong_type"),
            ("{}", "/adults", "missing"),
            (r#"{"adults":0}"#, "/adults", "out_of_range"),
            (r#"{"adults":-1}"#, "/adults", "out_of_range"),
            (r#"{"adults":101}"#, "/adults", "out_of_range"),
            (r#"{"adults":1.5}"#, "/adults", "out_of_range"),
            (r#"{"adults":"2"}"#, "/adults", "wrong_type"),
            (r#"{"adults":100,"children":[3]}"#, "", "out_of_range"),
            (r#"{"adults":1,"children":[-1]}"#, "/children/0", "out_of_range"),
            (r#"{"adults":1,"children":[2,200]}"#, "/children/1", "out_of_range"),
            (r#"{"adults":1,"children":[18]}"#, "/children/0", "out_of_range"),
            (r#"{"adults":1,"children":[1.5]}"#, "/children/0", "out_of_range"),
            (r#"{"adults":1,"children":["2"]}"#, "/children/0", "wrong_type"),
            (r#"{"adults":1,"children":2}"#, "/children", "wrong_type"),
            (r#"{"adults":1,"infants":2}"#, "/infants", "unknown_field"),
        ] {
            assert_eq!(read(text).unwrap_err()[0], (at.to_owned(), code), "{text}");
        }
    }

    #[test]
    fn an_age_is_kept_as_far_as_rules_tell_it_apart() {
        let party = read(r#"{"adults":1,"children":[1,2,5,12,17]}"#).unwrap();
        let lowered = party.lowered_to(&[2, 12].into());
        assert_eq!(lowered.children(), [0, 2, 2, 12, 12]);
        for years in [2, 12] {
            assert_eq!(lowered.younger_than(Some(years)), party.younger_than(Some(years)));
        }
        assert_eq!(party.lowered_to(&BTreeSet::new()).children(), [0; 5]);
        assert_eq!(Party::recorded(5, vec![0; 5]), None, "nobody of age is among them");
    }
}
