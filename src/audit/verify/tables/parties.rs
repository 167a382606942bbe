//! Parties that were corrected: each correction goes on from what the events before it say, not from what it says itself.

use crate::audit::reader::body::{CheckFacts, EndFacts};
use crate::audit::reader::guests::{CorrectedFacts, CorrectionFacts};
use crate::audit::verify::fingerprints::{ByFingerprint, Fingerprints};

/// The parties of one log's grants, as far as its events have come.
#[derive(Default)]
pub(crate) struct PartiesSoFar {
    fingerprints: Fingerprints,
    /// Number of people that limits count, of the grants that were made to more than one.
    granted: ByFingerprint<u128, u64>,
    corrected: ByFingerprint<u128, Standing>,
}

/// The party of a grant that was corrected.
struct Standing {
    /// Number of people that limits count, and counted before any correction, where that is known.
    counted: u64,
    granted: Option<u64>,
    corrections: u64,
    /// The cost in each limit, by its id.
    costs: ByFingerprint<u128, u64>,
}

impl PartiesSoFar {
    pub(crate) fn new(fingerprints: Fingerprints) -> Self {
        Self { fingerprints, ..Self::default() }
    }

    /// A check was granted.
    pub(crate) fn granted(&mut self, grant: &str, check: &CheckFacts<'_>) {
        let counted = match check.guests {
            Some(guests) => guests.charged.saturating_add(guests.free).saturating_add(1),
            None => check.party.unwrap_or(1),
        };
        self.grant(grant, counted);
    }

    fn grant(&mut self, grant: &str, counted: u64) {
        if counted != 1 {
            self.granted.insert(self.fingerprints.of(&[grant]), counted);
        }
    }

    /// The body of a correction is pruned: nothing is known of the grant any more.
    pub(crate) fn record_pruned(&mut self, grant: &str) {
        let mark = self.fingerprints.of(&[grant]);
        self.granted.remove(&mark);
        self.corrected.remove(&mark);
    }

    /// A grant was corrected: the contradiction in that, if there is one. With `has_gaps` events before it may be missing.
    pub(crate) fn correct(
        &mut self,
        grant: &str,
        facts: &CorrectionFacts<'_>,
        corrected: &CorrectedFacts,
        has_gaps: bool,
    ) -> Option<&'static str> {
        let mark = self.fingerprints.of(&[grant]);
        let before = self.corrected.remove(&mark);
        let known = self.granted.get(&mark).copied().or((!has_gaps).then_some(1));
        let was = before.as_ref().map(|before| before.counted).or(known);
        let granted = before.as_ref().map_or(known, |before| before.granted);
        let nth = before.as_ref().map(|before| before.corrections).or((!has_gaps).then_some(0));

        let by_id = |id: &str| self.fingerprints.of(&[id]);
        let stated: ByFingerprint<u128, u64> = corrected.costs.iter().map(|it| (by_id(&it.limit), it.cost)).collect();
        let had = |id: u128| before.as_ref().and_then(|before| before.costs.get(&id)).copied();
        let is_so = |id: u128, cost: u64| stated.get(&id) == Some(&cost);
        let counts_before = facts.limits.iter().all(|limit| {
            let was = had(by_id(&limit.id)).or(granted);
            was.is_none_or(|was| was == limit.was_cost)
        });
        let states_all = facts.limits.iter().all(|limit| is_so(by_id(&limit.id), limit.cost));
        let keeps_others = stated.iter().all(|(id, cost)| {
            let is_recounted = facts.limits.iter().any(|limit| by_id(&limit.id) == *id);
            is_recounted || had(*id).map_or(has_gaps, |had| had == *cost)
        });
        let keeps_all = before.as_ref().is_none_or(|before| before.costs.keys().all(|id| stated.contains_key(id)));
        let wrong = if was.is_some_and(|was| was != facts.was_counted) {
            Some("it says of the party before what the events before do not")
        } else if nth.is_some_and(|nth| nth.checked_add(1) != Some(corrected.corrections)) {
            Some("it is another correction of its grant than it says")
        } else if !counts_before {
            Some("a limit counted another number before")
        } else if states_all && keeps_others && keeps_all {
            None
        } else {
            Some("what it says of its grant's limits is not what they count")
        };
        let standing = Standing { counted: facts.counted, granted, corrections: corrected.corrections, costs: stated };
        self.corrected.insert(mark, standing);
        wrong
    }

    /// The use of a grant was given back: the contradiction in that, if there is one.
    pub(crate) fn give_back(&self, grant: &str, facts: &EndFacts<'_>) -> Option<&'static str> {
        let standing = self.corrected.get(&self.fingerprints.of(&[grant]))?;
        let is_other = facts.returned.iter().any(|part| {
            let counted = standing.costs.get(&self.fingerprints.of(&[&*part.id]));
            counted.is_some_and(|counted| *counted != part.cost)
        });
        is_other.then_some("it gives back another cost than its grant was corrected to")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A correction with a limit `l`: what it says of people and of costs.
    fn holds(
        parties: &mut PartiesSoFar,
        [was, counted, was_cost, cost, corrections]: [u64; 5],
        has_gaps: bool,
    ) -> bool {
        let corrected = format!(
            r#"{{"corrections":{corrections},"costs":[{{"cost":{cost},"limit":"l"}}],"guests":null,"party":{counted}}}"#
        );
        let facts = format!(
            r#"{{"perk_id":"prk_1","corrected_at":"2012-05-08T19:00:00Z","counted":{counted},"was_counted":{was},
                "corrected":{corrected},"limits":[{{"id":"l","scope":"/perk","window":"lifetime","cost":{cost},
                "was_cost":{was_cost},"max":9,"used":3,"horizon":null}}]}}"#
        );
        let facts: CorrectionFacts<'_> = serde_json::from_str(&facts).unwrap();
        let corrected: CorrectedFacts = serde_json::from_str(&corrected).unwrap();
        parties.correct("grt_1", &facts, &corrected, has_gaps).is_none()
    }

    fn granted(counted: u64) -> PartiesSoFar {
        let mut parties = PartiesSoFar::new(Fingerprints::new([7; 16]));
        parties.grant("grt_1", counted);
        parties
    }

    #[test]
    fn a_correction_goes_on_from_what_was_granted_and_each_next_from_the_one_before() {
        let mut parties = granted(2);
        assert!(holds(&mut parties, [2, 4, 2, 4, 1], false));
        assert!(holds(&mut parties, [4, 1, 4, 1, 2], false));
        assert!(holds(&mut parties, [1, 3, 1, 3, 3], false));
        // A grant to one person is not kept in mind.
        assert!(holds(&mut granted(1), [1, 2, 1, 2, 1], false));
    }

    #[test]
    fn places_that_were_never_taken_are_not_freed() {
        for first in [[5, 1, 5, 1, 1], [2, 1, 5, 1, 1], [5, 1, 2, 1, 1], [2, 1, 2, 1, 2], [2, 1, 2, 3, 1]] {
            // The last: what the limit counts is checked elsewhere, but it is what a void gives back.
            let is_so = holds(&mut granted(2), first, false);
            assert_eq!(is_so, first == [2, 1, 2, 3, 1], "{first:?}");
        }
        for next in [[2, 1, 4, 1, 2], [4, 1, 2, 1, 2], [4, 1, 4, 1, 1], [4, 1, 4, 1, 3]] {
            let mut parties = granted(2);
            assert!(holds(&mut parties, [2, 4, 2, 4, 1], false));
            assert!(!holds(&mut parties, next, false), "{next:?}");
        }
        let mut parties = granted(2);
        assert!(holds(&mut parties, [2, 4, 2, 4, 1], false));
        let returned = |cost: u64| {
            let facts = format!(
                r#"{{"perk_id":"prk_1","ended_at":"2012-05-08T19:00:00Z","frees_at":null,
                    "returned":[{{"id":"l","scope":"/perk","window":"lifetime","cost":{cost}}},
                        {{"id":"other","scope":"/perk","window":"lifetime","cost":1}}]}}"#
            );
            parties.give_back("grt_1", &serde_json::from_str(&facts).unwrap())
        };
        assert_eq!(returned(4), None);
        assert!(returned(2).is_some() && returned(5).is_some());
    }

    #[test]
    fn of_what_is_pruned_nothing_is_held_against_what_is_left() {
        let mut parties = granted(2);
        assert!(holds(&mut parties, [2, 4, 2, 4, 1], false));
        parties.record_pruned("grt_1");
        assert!(holds(&mut parties, [3, 1, 3, 1, 3], true));
        assert!(!holds(&mut parties, [3, 1, 3, 1, 4], true), "from then on it is known again");
    }
}
