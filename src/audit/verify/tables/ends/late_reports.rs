//! Grants that end while doors may know nothing of it: reports of doors that were offline, and undone grants that wait for
//! their tokens to expire, held to the rest of the log.

use crate::audit::reader::body::{Body, EndFacts, RedeemFacts};
use crate::audit::reader::instant::Instant;
use crate::audit::verify::findings::{FindingPlace, Findings, Wrong};
use crate::audit::verify::fingerprints::{ByFingerprint, Fingerprints};
use crate::audit::verify::store;
use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::door::Meanwhile;
use crate::ledger::grants::ending;
use crate::ledger::write::redemption::OFFLINE;

/// The oldest that a report may be, and how far two clocks may be apart: microseconds.
const LATEST: i64 = 72 * 3_600_000_000;
pub(super) const SKEW: i64 = 30_000_000;
const SECOND: i64 = 1_000_000;

const OTHERWISE: &str = "the grant had ended in another way when it was reported";

/// The ends of one log's grants before their time, as far as its events have come.
#[derive(Default)]
pub(crate) struct EndsSoFar {
    fingerprints: Fingerprints,
    /// By grant: it was released, it was voided.
    ends: ByFingerprint<u128, [bool; 2]>,
    /// Undone grants that wait for what they used of limits to be free, and until when.
    waiting: ByFingerprint<u128, i64>,
}

impl EndsSoFar {
    pub(crate) fn new(fingerprints: Fingerprints) -> Self {
        Self { fingerprints, ..Self::default() }
    }

    /// An event of this kind about the grant, also one whose body is pruned.
    pub(crate) fn end(&mut self, grant: &str, kind: &str) {
        let [released, voided] = self.ends.entry(self.fingerprints.of(&[grant])).or_default();
        *(if kind == ending::VOIDED { voided } else { released }) = true;
    }

    /// Tells whether the grant was released or voided.
    pub(crate) fn has_ended(&self, grant: &str) -> bool {
        self.ends.contains_key(&self.fingerprints.of(&[grant]))
    }

    /// A grant was voided, or what it had used was freed: the contradiction in that, if there is one.
    pub(crate) fn wait(&mut self, body: &Body<'_>, facts: &EndFacts<'_>, has_gaps: bool) -> Option<&'static str> {
        let grant = self.fingerprints.of(&[&*body.about]);
        if *body.kind == *ending::FREED {
            return match self.waiting.remove(&grant) {
                Some(until) if facts.ended_at.0 < until => Some("it was freed while a door could take its token"),
                None if !has_gaps => Some("it was freed without having waited"),
                _ => None,
            };
        }
        let frees_at = facts.frees_at?;
        self.waiting.insert(grant, frees_at.0);
        let waits = frees_at > facts.ended_at && facts.returned.is_empty();
        (!waits).then_some("what is to be free later is not given back before")
    }

    /// A door had taken the grant's token, or the event that freed it is pruned: it waits no longer.
    pub(crate) fn used(&mut self, grant: &str) {
        self.waiting.remove(&self.fingerprints.of(&[grant]));
    }

    /// Compares with the merchant's grants that wait.
    pub(crate) fn close(
        mut self,
        conn: &mut AnyConnection,
        log: &str,
        merchant: &str,
        has_gaps: bool,
        findings: &mut Findings,
    ) -> Result<(), DatabaseError> {
        let mut add = |grant: String| findings.add(FindingPlace::log(log), Wrong::Grant { grant, part: "freeing" });
        let rows = store::list_waiting_grants(conn, merchant)?;
        for (grant, expires_at, frees_at) in rows {
            let waits = self.waiting.remove(&self.fingerprints.of(&[&grant]));
            let is_so =
                waits.map_or(has_gaps, |until| until == frees_at) && frees_at == expires_at.saturating_add(SKEW);
            if !is_so {
                add(grant);
            }
        }
        if let Some(count) = Some(self.waiting.len()).filter(|count| *count > 0) {
            add(format!("{count} undone"));
        }
        Ok(())
    }

    /// The contradiction in a redemption's event, if there is one. With `has_gaps` the end may be an event that is missing.
    pub(crate) fn contradiction(
        &self,
        body: &Body<'_>,
        facts: &RedeemFacts<'_>,
        has_gaps: bool,
    ) -> Option<&'static str> {
        let (said, expires) = match (&facts.redeemed_at, &facts.expires_at, &facts.meanwhile) {
            (None, None, None) if *body.kind != *OFFLINE => return None,
            (Some(said), Some(expires), _) if *body.kind == *OFFLINE => (said, expires),
            _ => {
                return Some(
                    "a door's report says when the token was taken and when it expires, and nothing else does",
                );
            }
        };
        let (Instant(heard), Instant(said), Instant(expires)) = (body.at, *said, *expires);
        if said.saturating_sub(heard) > SKEW || heard.saturating_sub(said) > LATEST {
            return Some("it lies ahead of its report, or more than 72 hours before");
        }
        let closes = expires.div_euclid(SECOND).saturating_mul(SECOND).saturating_add(SKEW);
        if said >= closes {
            return Some("the token had expired by then");
        }
        let [released, voided] = self.ends.get(&self.fingerprints.of(&[&*body.about])).copied().unwrap_or_default();
        let expected = if voided {
            Some("voided")
        } else if released {
            Some("released")
        } else {
            (heard >= closes).then_some("expired")
        };
        let stated = facts.meanwhile.as_deref();
        // The withdrawal of a key is in the operator's log.
        if stated == Some(Meanwhile::KeyRevoked.as_str()) {
            return (voided || released).then_some(OTHERWISE);
        }
        let may_be_missing = has_gaps && !voided && matches!(stated, Some("voided" | "released"));
        (stated != expected && !may_be_missing).then_some(OTHERWISE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(kind: &str, at: &str, facts: &str) -> String {
        format!(
            r#"{{"about":"grt_1","actor":{{"key":"key_1","role":"door"}},"at":"{at}","facts":{{"attempt_sha256":"a","door":"d",{facts}"perk_id":"p","slot":"single"}},"id":"evt_1","kind":"{kind}","merchant":"mer_1","v":1}}"#
        )
    }

    fn contradicts(ends: &EndsSoFar, text: &str, has_gaps: bool) -> bool {
        use crate::audit::reader::body::Facts;
        let body = Body::parse(text).unwrap();
        let Facts::Redeem(facts) = &body.facts else { panic!("no redemption") };
        ends.contradiction(&body, facts, has_gaps).is_some()
    }

    #[test]
    fn a_report_is_held_to_its_clocks_and_to_the_ends_before_it() {
        let mut ends = EndsSoFar::default();
        let facts = |said: &str, meanwhile: &str| {
            format!(r#""expires_at":"2012-05-08T19:15:00Z",{meanwhile}"redeemed_at":"{said}","#)
        };
        let (early, late) = ("2012-05-08T19:10:00Z", "2012-05-08T20:00:00Z");
        let said = "2012-05-08T19:05:00Z";
        let (voided, expired) = (r#""meanwhile":"voided","#, r#""meanwhile":"expired","#);
        for (text, expected) in [
            (body("token.redeemed", early, ""), false),
            (body(OFFLINE, early, &facts(said, "")), false),
            (body("token.redeemed", early, &facts(said, "")), true),
            (body(OFFLINE, early, ""), true),
            (body(OFFLINE, late, &facts(said, "")), true),
            (body(OFFLINE, late, &facts(said, expired)), false),
            (body(OFFLINE, late, &facts(said, voided)), true),
            (body(OFFLINE, "2012-05-11T19:05:00Z", &facts(said, expired)), false),
            (body(OFFLINE, "2012-05-11T19:05:00.000001Z", &facts(said, expired)), true),
            (body(OFFLINE, "2012-05-08T19:04:29Z", &facts(said, "")), true),
            (body(OFFLINE, late, &facts("2012-05-08T19:15:30Z", expired)), true),
        ] {
            assert_eq!(contradicts(&ends, &text, false), expected, "{text}");
        }
        assert!(!contradicts(&ends, &body(OFFLINE, late, &facts(said, voided)), true), "its end may be missing");
        ends.end("grt_1", ending::RELEASED);
        ends.end("grt_1", ending::VOIDED);
        assert!(!contradicts(&ends, &body(OFFLINE, late, &facts(said, voided)), false));
        assert!(contradicts(&ends, &body(OFFLINE, late, &facts(said, expired)), true));
    }
}
