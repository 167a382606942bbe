//! Grants that were undone, held to the checks that gave them: by the same key, at once, before any door took the token, and
//! nothing given back that a door could still use up.

use std::collections::VecDeque;

use super::late_reports::SKEW;
use crate::audit::reader::body::{Body, EndFacts, GrantFacts};
use crate::audit::verify::fingerprints::{ByFingerprint, Fingerprints};

/// The time in which a grant can be undone, and the longest that an event waits for its turn: microseconds.
const PATIENCE: i64 = 10 * 60_000_000;
const TURN: i64 = 60_000_000;

/// The grants of one log that may be undone: those of the last minutes.
#[derive(Default)]
pub(crate) struct Undoable {
    fingerprints: Fingerprints,
    grants: ByFingerprint<u128, Given>,
    /// In the order in which they were granted, with the instants.
    order: VecDeque<(i64, u128)>,
}

struct Given {
    by: Option<u128>,
    /// By a desk's key, or a clerk who acted with one: each of them may undo it.
    is_of_desk: bool,
    at: i64,
    /// From when on no door takes the token.
    closes: i64,
    is_online_only: bool,
}

impl Undoable {
    pub(crate) fn new(fingerprints: Fingerprints) -> Self {
        Self { fingerprints, ..Self::default() }
    }

    /// A check granted.
    pub(crate) fn given(&mut self, body: &Body<'_>, grant: &GrantFacts<'_>) {
        let now = body.at.0;
        while let Some((_, mark)) = self.order.front().filter(|(at, _)| *at < now.saturating_sub(PATIENCE + 2 * TURN)) {
            self.grants.remove(mark);
            self.order.pop_front();
        }
        let mark = self.fingerprints.of(&[&*grant.id]);
        self.order.push_back((now, mark));
        let given = Given {
            by: self.key_of(body),
            is_of_desk: is_of_desk(body),
            at: now,
            closes: grant.expires_at.0.saturating_add(SKEW),
            is_online_only: grant.online_only == Some(true),
        };
        self.grants.insert(mark, given);
    }

    /// A door has taken the grant's token.
    pub(crate) fn taken(&mut self, grant: &str) {
        self.grants.remove(&self.fingerprints.of(&[grant]));
    }

    /// The contradiction in the end of a grant that says that it was undone, if there is one.
    pub(crate) fn contradiction(&self, body: &Body<'_>, facts: &EndFacts<'_>, has_gaps: bool) -> Option<&'static str> {
        facts.reason.as_ref()?;
        let Some(given) = self.grants.get(&self.fingerprints.of(&[&*body.about])) else {
            return (!has_gaps).then_some("it was undone too late, or after a door had taken its token");
        };
        let ended = facts.ended_at.0;
        if given.by != self.key_of(body) && !(given.is_of_desk && is_of_desk(body)) {
            return Some("another key undid it than had granted it");
        }
        if ended.saturating_sub(given.at) > PATIENCE + TURN {
            return Some("it was undone too late, or after a door had taken its token");
        }
        match facts.frees_at {
            Some(at) if at.0 != given.closes => Some("what it used is to be free at another time than its token ends"),
            None if !given.is_online_only && ended < given.closes => {
                Some("what it used was given back while a door could take its token")
            }
            _ => None,
        }
    }

    fn key_of(&self, body: &Body<'_>) -> Option<u128> {
        body.actor.key.as_ref().map(|key| self.fingerprints.of(&[&**key]))
    }
}

/// Tells whether a desk's key acted. Events don't say with which of them a clerk did.
fn is_of_desk(body: &Body<'_>) -> bool {
    *body.actor.role == *"desk"
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRANTED: &str = "2012-05-08T19:00:00Z";

    fn body(kind: &str, (about, key): (&str, &str), at: &str, facts: &str) -> String {
        format!(
            r#"{{"about":"{about}","actor":{{"key":"{key}","role":"kiosk"}},"at":"{at}","facts":{facts},"id":"evt_1","kind":"{kind}","merchant":"mer_1","v":1}}"#
        )
    }

    fn granted(undoable: &mut Undoable, online_only: &str, at: &str) {
        let grant = format!(
            r#"{{"claims_sha256":"c","expires_at":"2012-05-08T19:15:00Z","id":"grt_1","kid":"k",{online_only}"single_use":true}}"#
        );
        let text = body("check.noted", ("chk_1", "key_1"), at, "{}");
        let body = Body::parse(&text).unwrap();
        undoable.given(&body, &serde_json::from_str(&grant).unwrap());
    }

    fn undone(undoable: &Undoable, key: &str, at: &str, frees_at: &str, has_gaps: bool) -> bool {
        let facts = format!(r#"{{"ended_at":"{at}",{frees_at}"perk_id":"p","reason":"left","returned":[]}}"#);
        let text = body("grant.voided", ("grt_1", key), at, &facts);
        let body = Body::parse(&text).unwrap();
        undoable.contradiction(&body, &serde_json::from_str(&facts).unwrap(), has_gaps).is_none()
    }

    #[test]
    fn an_undo_is_held_to_the_check_that_granted() {
        let waits = r#""frees_at":"2012-05-08T19:15:30Z","#;
        let early = r#""frees_at":"2012-05-08T19:15:29Z","#;
        let mut undoable = Undoable::default();
        assert!(!undone(&undoable, "key_1", GRANTED, waits, false) && undone(&undoable, "key_1", GRANTED, waits, true));
        granted(&mut undoable, "", GRANTED);
        for (key, at, frees_at, is_well) in [
            ("key_1", "2012-05-08T19:05:00Z", waits, true),
            ("key_2", "2012-05-08T19:05:00Z", waits, false),
            ("key_1", "2012-05-08T19:11:01Z", waits, false),
            ("key_1", "2012-05-08T19:05:00Z", early, false),
            ("key_1", "2012-05-08T19:05:00Z", "", false),
        ] {
            assert_eq!(undone(&undoable, key, at, frees_at, false), is_well, "{key} {at} {frees_at}");
        }
        undoable.taken("grt_1");
        assert!(!undone(&undoable, "key_1", GRANTED, waits, false), "a door had taken it");
        granted(&mut undoable, r#""online_only":true,"#, GRANTED);
        assert!(undone(&undoable, "key_1", GRANTED, "", false));
        // An hour later it is forgotten.
        undoable.order.push_front((0, 7));
        granted(&mut undoable, "", "2012-05-08T20:00:00Z");
        assert_eq!(undoable.order.len(), 1);
    }
}
