//! Grants and redemptions by the events alone: what an export can show, which has no tables.

use crate::audit::reader::body::{CheckFacts, RedeemFacts};
use crate::audit::verify::findings::{At, Findings, Wrong};
use crate::audit::verify::fingerprints::{ByFingerprint, Fingerprints, MarkedOnly};

/// The grants of one log as its events have them: about 40 bytes for each.
#[derive(Default)]
pub(crate) struct GrantLifecycles {
    fingerprints: Fingerprints,
    granted: ByFingerprint<u128, Granted>,
    /// By grant and slot.
    spent: MarkedOnly<(u128, u128)>,
}

struct Granted {
    is_single_use: bool,
    is_spent: bool,
}

impl GrantLifecycles {
    pub(crate) fn new(fingerprints: Fingerprints) -> Self {
        Self { fingerprints, ..Self::default() }
    }

    pub(crate) fn granted(&mut self, at: At<'_>, check: &CheckFacts<'_>, findings: &mut Findings) {
        let Some(grant) = &check.grant else { return };
        let fresh = Granted { is_single_use: grant.single_use, is_spent: false };
        if self.granted.insert(self.fingerprints.of(&[&grant.id]), fresh).is_some() {
            findings.add(at, Wrong::GrantedTwice { grant: grant.id.to_string() });
        }
    }

    /// Someone's party was corrected, who must have been granted it.
    pub(crate) fn corrected(&self, at: At<'_>, grant: &str, has_gaps: bool, findings: &mut Findings) {
        if !has_gaps && !self.granted.contains_key(&self.fingerprints.of(&[grant])) {
            findings.add(at, Wrong::CorrectedUngranted { grant: grant.to_owned() });
        }
    }

    /// `has_gaps`: events before it are not here, perhaps the grant's.
    pub(crate) fn redeemed(
        &mut self,
        at: At<'_>,
        grant: &str,
        facts: &RedeemFacts<'_>,
        has_gaps: bool,
        findings: &mut Findings,
    ) {
        let mark = self.fingerprints.of(&[grant]);
        let is_again = match self.granted.get_mut(&mark) {
            Some(granted) => std::mem::replace(&mut granted.is_spent, true) && granted.is_single_use,
            None if has_gaps => false,
            None => {
                findings.add(at, Wrong::RedeemedUngranted { grant: grant.to_owned() });
                false
            }
        };
        let is_same_slot = !self.spent.insert((mark, self.fingerprints.of(&[&facts.slot])));
        if is_again || is_same_slot {
            findings.add(at, Wrong::RedeemedTwice { grant: grant.to_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: At<'_> = At { log: "a", index: 0, event: "", line: None };

    fn grant(lifecycles: &mut GrantLifecycles, id: &str, single_use: bool, findings: &mut Findings) {
        let text = format!(
            r#"{{"perk":"p","perk_id":"prk_1","rule_version":1,"rule_hash":"h","decision":"granted","tier":"t","subject":"s",
            "limits":[],"grant":{{"id":"{id}","kid":"k","expires_at":"2012-05-08T19:00:00Z","single_use":{single_use},"claims_sha256":"c"}}}}"#
        );
        lifecycles.granted(AT, &serde_json::from_str(&text).unwrap(), findings);
    }

    fn redeem(lifecycles: &mut GrantLifecycles, grant: &str, slot: &str, has_gaps: bool, findings: &mut Findings) {
        let text = format!(r#"{{"slot":"{slot}","door":"d","attempt_sha256":"a","perk_id":"p"}}"#);
        lifecycles.redeemed(AT, grant, &serde_json::from_str(&text).unwrap(), has_gaps, findings);
    }

    #[test]
    fn what_was_not_granted_or_is_spent_is_reported() {
        let (mut lifecycles, mut findings) = (GrantLifecycles::default(), Findings::default());
        grant(&mut lifecycles, "one", true, &mut findings);
        grant(&mut lifecycles, "many", false, &mut findings);
        redeem(&mut lifecycles, "one", "single", false, &mut findings);
        redeem(&mut lifecycles, "many", "a", false, &mut findings);
        redeem(&mut lifecycles, "many", "b", false, &mut findings);
        redeem(&mut lifecycles, "earlier", "single", true, &mut findings);
        assert!(findings.is_empty(), "{findings:?}");

        redeem(&mut lifecycles, "one", "double", false, &mut findings);
        redeem(&mut lifecycles, "many", "a", false, &mut findings);
        redeem(&mut lifecycles, "earlier", "single", true, &mut findings);
        redeem(&mut lifecycles, "unheard", "single", false, &mut findings);
        grant(&mut lifecycles, "many", false, &mut findings);
        let codes: Vec<_> = findings.listed().iter().map(|it| it.wrong.code()).collect();
        assert_eq!(
            codes,
            ["redeemed_twice", "redeemed_twice", "redeemed_twice", "redemption_without_grant", "granted_twice"]
        );
    }
}
