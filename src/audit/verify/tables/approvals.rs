//! Four eyes by the events of one log: whether a merchant asks for a second person, and which keys are one person's.
//!
//! A person is a key with all keys that go back to it; what the operator or the command line made begins a person.
//! Written apart from `perks::four_eyes`, which asks the tables: those can be changed to make one person two.

use std::collections::HashMap;

use crate::audit::reader::body::{ApprovalFacts, Body};
use crate::audit::reader::instant::{EARLY_MICROS, Instant};
use crate::audit::verify::findings::{At, FindingPlace, Findings, Wrong};
use crate::audit::verify::store;
use crate::database::{AnyConnection, DatabaseError};

/// A step, by its event: who did something, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedStep {
    /// As rows keep it: the key's id, or `cli`.
    pub by: String,
    pub key: Option<String>,
    pub at: Instant,
}

impl SignedStep {
    pub(crate) fn of(body: &Body<'_>) -> Self {
        let key = body.actor.key.as_deref().map(str::to_owned);
        Self { by: key.clone().unwrap_or_else(|| body.actor.role.to_string()), key, at: body.at }
    }

    /// Tells whether a row names who did it.
    pub(crate) fn is_by(step: Option<&Self>, stored: Option<&str>) -> bool {
        step.map(|step| step.by.as_str()) == stored
    }

    /// Tells whether a row says when it was done.
    pub(crate) fn is_at(step: Option<&Self>, stored: Option<i64>) -> bool {
        match (step, stored) {
            (Some(step), Some(stored)) => step.at.may_be_stored_as(stored),
            (None, None) => true,
            _ => false,
        }
    }
}

/// The approvals of one log's owner as its events have them.
#[derive(Default)]
pub(crate) struct Approvals {
    /// None where no event says it.
    is_required: Option<bool>,
    changed: Option<SignedStep>,
    /// The request to lift it, while nobody has confirmed it.
    lift: Option<SignedStep>,
    /// An event that would say so is pruned.
    has_pruned: bool,
    keys: HashMap<String, Made>,
}

/// A key, as it was made.
struct Made {
    by: Option<String>,
    /// True if its maker was of the merchant too, even where the event that made them is not here.
    is_by_own_key: bool,
    at: Instant,
}

impl Approvals {
    pub(crate) fn key_created(&mut self, body: &Body<'_>) {
        let by = body.actor.key.as_deref().map(str::to_owned);
        let made = Made { is_by_own_key: by.is_some() && &*body.actor.role != "operator", by, at: body.at };
        self.keys.insert(body.about.to_string(), made);
    }

    /// The body of an event of this kind is pruned.
    pub(crate) fn record_pruned(&mut self) {
        self.has_pruned = true;
    }

    /// `has_gaps`: events before it are not here, perhaps who asked for it.
    pub(crate) fn changed(
        &mut self,
        at: At<'_>,
        body: &Body<'_>,
        facts: &ApprovalFacts,
        has_gaps: bool,
        findings: &mut Findings,
    ) {
        self.is_required = Some(facts.required);
        let step = SignedStep::of(body);
        if &*body.kind == "approvals.lift_requested" {
            self.lift = Some(step);
            return;
        }
        let asked = self.lift.take();
        if &*body.kind == "approvals.lifted" {
            let reason = match &asked {
                Some(asked) => self.objection([asked.by.as_str()], Some(asked.at), &step),
                None => (!has_gaps && !self.has_pruned).then_some("nobody had asked for it before"),
            };
            if let Some(reason) = reason {
                findings.add(at, Wrong::LiftAlone { key: step.by.clone(), reason });
            }
        }
        self.changed = Some(step);
    }

    /// Tells whether a second person must approve, as far as the events go.
    pub(crate) fn are_required(&self) -> bool {
        self.is_required == Some(true)
    }

    /// Why a step is not that of a second person, after what `authors` did and had done at `since`.
    pub(crate) fn objection<'a>(
        &self,
        authors: impl IntoIterator<Item = &'a str>,
        since: Option<Instant>,
        step: &SignedStep,
    ) -> Option<&'static str> {
        if step.key.is_none() {
            return Some("it is nobody's: the command line has no key");
        }
        let person = self.person(&step.by);
        if authors.into_iter().any(|author| self.person(author) == person) {
            return Some("it is a key of the same person");
        }
        // The gateway compares rows, which may be that much older than their events.
        let made = self.keys.get(person).map(|made| made.at.0.saturating_sub(EARLY_MICROS));
        let is_younger = made.zip(since).is_some_and(|(made, since)| made > since.0);
        is_younger.then_some("it goes back to a key that was made later")
    }

    /// The first key of those that a key goes back to, as far as the events that made them are here.
    fn person<'a>(&'a self, key: &'a str) -> &'a str {
        let mut first = key;
        // No chain is longer than there are keys; a lie might close one into a circle.
        for _ in 0..=self.keys.len() {
            let Some(Made { by: Some(by), is_by_own_key, .. }) = self.keys.get(first) else { break };
            if !is_by_own_key && !self.keys.contains_key(by) {
                break;
            }
            first = by;
        }
        first
    }

    /// Compares with what the merchant's row says; returns how many rows could not be held to who did it, and when.
    pub(crate) fn close(
        &self,
        conn: &mut AnyConnection,
        log: &str,
        merchant: &str,
        findings: &mut Findings,
    ) -> Result<u64, DatabaseError> {
        let said = self.is_required.unwrap_or_default();
        let row = store::find_four_eyes(conn, merchant)?.unwrap_or_default();
        if said != row.required {
            findings.add(FindingPlace::log(log), Wrong::FourEyes { said });
        }
        if self.has_pruned {
            return Ok(1);
        }
        // A row that nobody changed is made to be held, and says when.
        let changed_at = row.changed_at.filter(|_| self.changed.is_some() || row.changed_by.is_some());
        for (is_same, part) in [
            (SignedStep::is_by(self.changed.as_ref(), row.changed_by.as_deref()), "who changed it"),
            (SignedStep::is_at(self.changed.as_ref(), changed_at), "instant of change"),
            (SignedStep::is_by(self.lift.as_ref(), row.lift_by.as_deref()), "who asks to lift it"),
            (SignedStep::is_at(self.lift.as_ref(), row.lift_at), "instant of asking to lift it"),
        ] {
            if !is_same {
                findings.add(FindingPlace::log(log), Wrong::FourEyesStep { part });
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approvals(keys: &[(&str, Option<&str>, &str)]) -> Approvals {
        let mut approvals = Approvals::default();
        for (nth, (key, by, role)) in (0_i64..).zip(keys) {
            let actor = serde_json::json!({"key": by, "role": role});
            let at = jiff::Timestamp::from_second(nth * 100).unwrap();
            let body = serde_json::json!({"about": key, "actor": actor, "at": at, "facts": {}, "id": "evt_1",
                "kind": "key.created", "merchant": "mer_1", "v": 1});
            approvals.key_created(&Body::parse(&body.to_string()).unwrap());
        }
        approvals
    }

    fn step(by: &str) -> SignedStep {
        SignedStep { by: by.to_owned(), key: (by != "cli").then(|| by.to_owned()), at: Instant(0) }
    }

    #[test]
    fn keys_that_go_back_to_one_are_one_person() {
        let made = [
            ("ada", Some("ops"), "operator"),
            ("bob", Some("ops"), "operator"),
            ("cy", None, "cli"),
            ("ada2", Some("ada"), "admin"),
            ("ada3", Some("ada2"), "admin"),
            // The maker of these is not here.
            ("dee", Some("gone"), "admin"),
            ("eve", Some("gone"), "admin"),
        ];
        let approvals = approvals(&made);
        let same = |author: &str, by: &str| approvals.objection([author], None, &step(by)).is_some();
        for (one, other) in [("ada", "ada"), ("ada", "ada3"), ("ada3", "ada2"), ("dee", "eve"), ("x", "x")] {
            assert!(same(one, other) && same(other, one), "{one} {other}");
        }
        for (one, other) in [("ada", "bob"), ("ada3", "cy"), ("cy", "bob"), ("cli", "cy"), ("ada", "dee"), ("x", "y")] {
            assert!(!same(one, other), "{one} {other}");
        }
        assert!(same("ada", "cli"), "the command line is nobody");
    }

    #[test]
    fn a_key_that_was_made_since_is_no_second_person() {
        let approvals = approvals(&[("ada", None, "cli"), ("sock", None, "cli"), ("sock2", Some("sock"), "admin")]);
        let younger = |by: &str, since: i64| approvals.objection(["ada"], Some(Instant(since)), &step(by)).is_some();
        assert!(younger("sock", 39_999_999) && younger("sock2", 39_999_999));
        assert!(!younger("sock", 40_000_000) && !younger("sock2", 40_000_000), "its row may be a minute older");
    }

    #[test]
    fn a_circle_of_makers_ends() {
        let approvals = approvals(&[("ada", Some("bob"), "admin"), ("bob", Some("ada"), "admin")]);
        assert!(approvals.objection(["ada"], None, &step("ada")).is_some());
    }
}
