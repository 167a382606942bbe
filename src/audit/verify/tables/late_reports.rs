//! What doors report of tokens that they took while they were offline, held to the rest of the log: what the gateway must
//! have refused is there by mistake, and how the grant had ended is what the events before it say.

use crate::audit::reader::body::{Body, RedeemFacts};
use crate::audit::reader::instant::Instant;
use crate::audit::verify::fingerprints::{ByFingerprint, Fingerprints};
use crate::ledger::grants::ending;
use crate::ledger::write::redemption::OFFLINE;

/// The oldest that a report may be, and how far two clocks may be apart: microseconds.
const LATEST: i64 = 72 * 3_600_000_000;
const SKEW: i64 = 30_000_000;
const SECOND: i64 = 1_000_000;

/// The ends of one log's grants before their time, as far as its events have come.
#[derive(Default)]
pub(crate) struct EndsSoFar {
    fingerprints: Fingerprints,
    /// Whether it was released, and whether it was voided.
    ends: ByFingerprint<u128, [bool; 2]>,
}

impl EndsSoFar {
    pub(crate) fn new(fingerprints: Fingerprints) -> Self {
        Self { fingerprints, ends: ByFingerprint::default() }
    }

    /// An event of this kind about the grant, also one whose body is pruned.
    pub(crate) fn end(&mut self, grant: &str, kind: &str) {
        let [released, voided] = self.ends.entry(self.fingerprints.of(&[grant])).or_default();
        *(if kind == ending::VOIDED { voided } else { released }) = true;
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
                return Some("a door's report says when the token was taken and when it expires, and nothing else does");
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
        let may_be_missing = has_gaps && !voided && matches!(stated, Some("voided" | "released"));
        (stated != expected && !may_be_missing).then_some("the grant had ended in another way when it was reported")
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
