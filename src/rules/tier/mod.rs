//! Tiers: the outcomes of a rule.
//!
//! - `party`: who comes together; `guests`: which of them a tier admits, and which it charges for

pub mod guests;
pub mod party;

use std::collections::BTreeSet;

use super::attribute::Attribute;
use super::condition::Condition;
use super::engine::{FLOOR, PLAIN};
use super::leaf::{Comparison, Leaf, Test};
use super::messages::Messages;
use crate::foundation::decimal::Decimal;
use crate::foundation::document::{FieldErrors, Node, below, text};
use crate::foundation::json::Json;
use crate::foundation::period::{LONGEST, Period};
use guests::{Admitted, GuestTerms, Guests};
use party::Party;

pub(crate) const MAX_TIERS: usize = 16;
pub(crate) const MAX_RANK: i64 = 1000;
/// The longest name of a tier, in characters.
pub(crate) const MAX_NAME: usize = 80;

/// One outcome of a rule.
#[derive(Debug, Clone)]
pub struct Tier {
    pub id: String,
    /// The highest one that admits is the one that is granted.
    pub rank: i64,
    pub name: String,
    /// Its name to guests, by language; `name` where none fits.
    pub names: Option<Messages>,
    /// Without it the tier admits everybody who passes the rule's own `when`.
    pub when: Option<Condition>,
    /// The longest that its people are promised to wait.
    pub max_wait: Option<Period>,
    /// The guests that its people may bring; without it any party counts as it is.
    pub guests: Option<GuestTerms>,
    /// Said to guests whom it doesn't admit, in place of the standard sentence.
    pub messages: Option<Messages>,
    /// Where its condition was written, for the linter.
    pub(crate) pointer: String,
}

impl Tier {
    /// The one tier of a rule that only says which score is enough.
    pub(crate) fn at_least(score: Decimal) -> Self {
        let test = Test::Compares(Comparison::Gte, score);
        Self {
            id: "standard".into(),
            rank: 1,
            name: "Standard".into(),
            names: None,
            when: Some(Condition::Leaf(Leaf { attribute: Attribute::Score, test })),
            max_wait: None,
            guests: None,
            messages: None,
            pointer: "/at_least".into(),
        }
    }

    pub(crate) fn read_all(node: &Node<'_>, leaves: &mut usize, errors: &mut FieldErrors) -> Option<Vec<Self>> {
        let items = node.list(1..=MAX_TIERS, errors)?;
        let alone = items.len() == 1;
        let mut tiers: Vec<Self> = Vec::new();
        let mut all = true;
        for item in &items {
            let Some(tier) = Self::read(item, alone, leaves, errors) else {
                all = false;
                continue;
            };
            if tiers.iter().any(|other| other.id == tier.id) {
                errors.add(&below(item.pointer(), "id"), "repeated", "another tier has this id");
            }
            if tiers.iter().any(|other| other.rank == tier.rank) {
                errors.add(
                    &below(item.pointer(), "rank"),
                    "repeated",
                    "another tier has this rank: the higher one wins",
                );
            }
            tiers.push(tier);
        }
        all.then_some(tiers)
    }

    fn read(node: &Node<'_>, alone: bool, leaves: &mut usize, errors: &mut FieldErrors) -> Option<Self> {
        let fields = node.fields(&["id", "rank", "name", "names", "when", "max_wait", "guests", "messages"], errors)?;
        let id = fields.required("id", errors).and_then(|id| id.slug(errors));
        let rank = match fields.optional("rank") {
            None if alone => Some(1),
            None => fields.required("rank", errors).and(None),
            Some(rank) => rank.whole(1..=MAX_RANK, errors),
        };
        let name = match fields.optional("name") {
            None => id.map(str::to_owned),
            Some(name) if name.is_stored() => name.text(errors).map(str::to_owned),
            Some(name) => name.text(errors).and_then(|text| match crate::foundation::ids::label(text, MAX_NAME) {
                Ok(label) => Some(label),
                Err(error) => name.refuse(errors, "bad_form", error.to_string()),
            }),
        };
        let names = fields.or("names", None, |names| Messages::read(&names, errors).map(Some));
        let when = fields.or("when", None, |when| Condition::read(&when, leaves, errors).map(Some));
        let max_wait = fields.or("max_wait", None, |wait| Period::read(&wait, LONGEST, errors).map(Some));
        let guests = fields.or("guests", None, |guests| GuestTerms::read(&guests, errors).map(Some));
        let messages = fields.or("messages", None, |messages| Messages::read(&messages, errors).map(Some));
        let pointer = below(node.pointer(), "when");
        let (id, messages) = (id?.to_owned(), messages?);
        Some(Self {
            id,
            rank: rank?,
            name: name?,
            names: names?,
            when: when?,
            max_wait: max_wait?,
            guests: guests?,
            messages,
            pointer,
        })
    }

    /// Number of guests by whom a party is too large for it; none where it isn't.
    #[must_use]
    pub fn over_by(&self, party: &Party) -> Option<u64> {
        self.guests.and_then(|terms| terms.over_by(party))
    }

    /// The people of a grant to `party`.
    #[must_use]
    pub fn admitted(&self, party: &Party) -> Admitted {
        let guests = self.guests.map(|terms| terms.of(party));
        let all = |guests: Guests| guests.admitted().saturating_add(1);
        Admitted { party: guests.map_or_else(|| party.size(), all), guests }
    }

    /// The reading that it needs.
    pub(crate) const fn engine(&self) -> u32 {
        if self.messages.is_some() || self.names.is_some() || self.guests.is_some() { FLOOR } else { PLAIN }
    }

    /// The canonical form.
    pub(crate) fn to_json(&self) -> Json {
        let mut members = vec![
            ("id", text(&self.id)),
            ("rank", Json::Number(Decimal::from_whole(self.rank))),
            ("name", text(&self.name)),
            ("when", self.when.as_ref().map_or(Json::Null, Condition::to_json)),
        ];
        // Only where it is: a rule that was hashed before there were waits keeps its hash.
        members.extend(self.max_wait.map(|wait| ("max_wait", text(wait.to_string()))));
        members.extend(self.guests.map(|guests| ("guests", guests.to_json())));
        members.extend(self.names.as_ref().map(|names| ("names", names.to_json())));
        members.extend(self.messages.as_ref().map(|messages| ("messages", messages.to_json())));
        Json::object(members)
    }
}

/// The attributes that conditions of a rule look at.
pub(super) fn looks_at(when: Option<&Condition>, tiers: &[Tier]) -> BTreeSet<Attribute> {
    let mut attributes = BTreeSet::new();
    conditions(when, tiers).for_each(|condition| condition.attributes(&mut attributes));
    attributes
}

/// The ages under which tiers leave children out: all that can matter of a child's age.
#[must_use]
pub fn age_bounds(tiers: &[Tier]) -> BTreeSet<u8> {
    tiers.iter().filter_map(|tier| tier.guests?.under).collect()
}

/// All conditions of a rule: its own, then those of its tiers.
pub(super) fn conditions<'a>(when: Option<&'a Condition>, tiers: &'a [Tier]) -> impl Iterator<Item = &'a Condition> {
    when.into_iter().chain(tiers.iter().filter_map(|tier| tier.when.as_ref()))
}
