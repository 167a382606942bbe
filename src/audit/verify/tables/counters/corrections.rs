//! Corrections of parties: the counters of a grant go on from another cost.

use super::{Counted, Counters, counter_of};
use crate::audit::reader::guests::{CorrectionFacts, RecountFacts};
use crate::audit::reader::instant::Instant;
use crate::audit::verify::findings::{At, Findings, Wrong};
use crate::audit::verify::missing_events::Gaps;
use crate::rules::limit::LIFETIME;

impl Counters {
    /// A grant was corrected: its counters count it at another cost.
    pub(crate) fn correct(
        &mut self,
        at: At<'_>,
        grant: &str,
        facts: &CorrectionFacts<'_>,
        gaps: &Gaps,
        findings: &mut Findings,
    ) {
        let grant = self.fingerprints.of(&[grant]);
        for limit in &facts.limits {
            if limit.cost != facts.counted {
                findings.add(at, Wrong::Incoherent { reason: "a limit that counts people counts another number" });
            }
            let key = counter_of(&self.fingerprints, &facts.perk_id, &limit.id, &limit.scope, &limit.window);
            let counted = match limit.horizon {
                None => self.recount_sum(at, key, limit, gaps, facts.corrected_at),
                Some(horizon) => self.recount_use((key, grant), limit, horizon.0, gaps),
            };
            if counted != limit.used {
                let wrong = Wrong::Used { limit: limit.id.to_string(), said: limit.used, counted };
                findings.add(at, wrong);
            }
            let counts = limit
                .horizon
                .is_none_or(|horizon| self.uses.get(&(key, grant)).is_some_and(|state| state.counts_at > horizon.0));
            if counts && limit.cost > limit.was_cost && limit.used > limit.max {
                let wrong = Wrong::Overrun { limit: limit.id.to_string(), used: limit.used, max: limit.max };
                findings.add(at, wrong);
            }
        }
    }

    fn recount_sum(&mut self, at: At<'_>, key: u128, limit: &RecountFacts<'_>, gaps: &Gaps, asked: Instant) -> u64 {
        let may_lack = gaps.may_count(&limit.window, asked.0);
        let is_whole = |counted: &&Counted| !may_lack || counted.is_for_ever || !gaps.is_behind(counted.index);
        let known = self.counted.get(&key).filter(is_whole).map(|counted| counted.used);
        let counted = match known {
            None if may_lack => limit.used,
            known => known.unwrap_or(0).saturating_add(limit.cost).saturating_sub(limit.was_cost),
        };
        let is_for_ever = &*limit.window == LIFETIME;
        self.counted.insert(key, Counted { used: limit.used, index: at.index, uses: None, is_for_ever });
        counted
    }

    fn recount_use(&mut self, (key, grant): (u128, u128), limit: &RecountFacts<'_>, horizon: i64, gaps: &Gaps) -> u64 {
        let may_lack = gaps.may_count(&limit.window, horizon);
        let Some(uses) = self.counted.get_mut(&key).and_then(|counted| counted.uses.as_mut()) else {
            return if may_lack { limit.used } else { 0 };
        };
        uses.move_to(horizon);
        let Some(state) = self.uses.get_mut(&(key, grant)) else {
            return if may_lack { limit.used } else { uses.sum() };
        };
        // Held to what it cost by the events before, not to what this one says.
        uses.remove(state.counts_at, &grant);
        uses.add(state.counts_at, grant, limit.cost);
        state.cost = limit.cost;
        match uses.sum() {
            sum if may_lack && (gaps.is_part() || limit.used > sum) => limit.used,
            sum => sum,
        }
    }
}
