//! The decision that a case expects, held against the one that is made.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::instant;
use crate::decision::decide::Decision;
use crate::decision::decided::Decided;
use crate::decision::reason::ReasonCode;
use crate::foundation::document::{FieldErrors, Node};
use crate::foundation::json::Json;
use crate::foundation::period::{LONGEST, Period};
use crate::rules::rule::Rule;
use crate::rules::tier::guests::{Guests, MAX_GUESTS};

/// The decision that a case expects. What is left out may be anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    pub decision: Decision,
    pub tier: Option<String>,
    /// Each code once, whatever the order.
    pub reasons: Option<BTreeSet<&'static str>>,
    pub next_eligible_at: Waiting,
    /// The longest wait that is promised.
    pub max_wait: Option<Period>,
    pub guests: Option<ExpectedGuests>,
}

/// The guests that a case expects to be admitted. What is left out may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ExpectedGuests {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admitted: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charged: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncounted: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<u64>,
}

/// From when the same facts would be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// Nothing is expected of it.
    Anything,
    /// Waiting must not be enough, within two weeks.
    InVain,
    Until(Timestamp),
}

impl Expected {
    pub(super) fn read(node: &Node<'_>, rule: &Rule, errors: &mut FieldErrors) -> Option<Self> {
        let fields = node.fields(&["decision", "tier", "reasons", "next_eligible_at", "max_wait", "guests"], errors)?;
        let decision = fields.required("decision", errors).and_then(|node| match Decision::parse(node.text(errors)?) {
            Some(decision) => Some(decision),
            None => node.refuse(errors, "bad_form", "use granted, denied or referred"),
        });
        let tier = fields.or("tier", None, |tier| {
            let id = tier.text(errors)?;
            if rule.tier(id).is_none() {
                let tiers: Vec<&str> = rule.tiers().iter().map(|tier| tier.id.as_str()).collect();
                let detail = format!("the rule has no such tier; it has {}", tiers.join(", "));
                return tier.refuse(errors, "unknown_tier", detail);
            }
            Some(Some(id.to_owned()))
        });
        let reasons = fields.or("reasons", None, |reasons| read_reasons(&reasons, errors).map(Some));
        let next = match node.member("next_eligible_at") {
            None => Some(Waiting::Anything),
            Some(next) if *next.json() == Json::Null => Some(Waiting::InVain),
            Some(next) => instant(&next, rule.time_zone(), errors).map(Waiting::Until),
        };
        let max_wait = fields.or("max_wait", None, |wait| Period::read(&wait, LONGEST, errors).map(Some));
        let guests = fields.or("guests", None, |guests| ExpectedGuests::read(&guests, errors).map(Some));
        if let Some(Decision::Denied | Decision::Referred) = decision {
            for (name, what) in [("tier", "gets a tier"), ("guests", "brings guests")] {
                if let Some(needless) = fields.optional(name) {
                    needless.refuse::<()>(errors, "one_of", format!("only who is granted {what}: leave it out"));
                }
            }
        }
        let (decision, next_eligible_at) = (decision?, next?);
        Some(Self { decision, tier: tier?, reasons: reasons?, next_eligible_at, max_wait: max_wait?, guests: guests? })
    }

    /// Tells whether `decided` is what was expected.
    #[must_use]
    pub fn is_met_by(&self, decided: &Decided) -> bool {
        self.decision == decided.decision
            && self.tier.as_ref().is_none_or(|tier| decided.tier.as_ref() == Some(tier))
            && self.reasons.as_ref().is_none_or(|codes| *codes == codes_of(decided))
            && match self.next_eligible_at {
                Waiting::Anything => true,
                Waiting::InVain => decided.next_eligible_at.is_none(),
                Waiting::Until(at) => decided.next_eligible_at == Some(at),
            }
            && self.max_wait.is_none_or(|wait| decided.max_wait == Some(wait))
            && self.guests.is_none_or(|guests| guests.is_met_by(decided.guests.as_ref()))
    }
}

impl ExpectedGuests {
    fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let fields = node.fields(&["admitted", "free", "charged", "uncounted", "refused"], errors)?;
        let mut number = |name| {
            let number = fields.or(name, None, |it| it.whole(0..=MAX_GUESTS, errors).map(Some));
            number.map(|number| number.map(i64::unsigned_abs))
        };
        let (admitted, free, charged) = (number("admitted"), number("free"), number("charged"));
        let (uncounted, refused) = (number("uncounted"), number("refused"));
        Some(Self { admitted: admitted?, free: free?, charged: charged?, uncounted: uncounted?, refused: refused? })
    }

    /// The guests of a grant, all of them said; of a tier that says nothing of guests none are.
    #[must_use]
    pub fn of(guests: Option<&Guests>) -> Self {
        guests.map_or_else(Self::default, |guests| Self {
            admitted: Some(guests.admitted()),
            free: Some(guests.free),
            charged: Some(guests.charged),
            uncounted: Some(guests.uncounted),
            refused: Some(guests.refused),
        })
    }

    fn is_met_by(self, guests: Option<&Guests>) -> bool {
        let (wanted, had) = (self.numbers(), Self::of(guests).numbers());
        wanted.into_iter().zip(had).all(|((_, wanted), (_, had))| wanted.is_none() || wanted == had)
    }

    /// The numbers by their names.
    #[must_use]
    pub const fn numbers(self) -> [(&'static str, Option<u64>); 5] {
        let Self { admitted, free, charged, uncounted, refused } = self;
        [("admitted", admitted), ("free", free), ("charged", charged), ("uncounted", uncounted), ("refused", refused)]
    }
}

/// The codes of a decision's reasons, each once.
#[must_use]
pub fn codes_of(decided: &Decided) -> BTreeSet<&'static str> {
    decided.reasons.iter().map(|reason| reason.code.as_str()).collect()
}

fn read_reasons(node: &Node<'_>, errors: &mut FieldErrors) -> Option<BTreeSet<&'static str>> {
    let codes = node.list(0..=ReasonCode::ALL.len(), errors)?;
    let code = |node: &Node<'_>| {
        let text = node.text(errors)?;
        let known = ReasonCode::ALL.map(ReasonCode::as_str);
        let found = known.into_iter().find(|code| *code == text);
        if found.is_none() {
            errors.add(node.pointer(), "bad_form", format!("use one of {}", known.join(", ")));
        }
        found
    };
    let codes: Vec<Option<&'static str>> = codes.iter().map(code).collect();
    codes.into_iter().collect()
}
