//! The course of grants in a replay: guests come in, guests leave, mistakes are taken back.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::{Counters, Each, Key, Timeline, digest_of, key_of};
use crate::ledger::read::decisions::{PastCorrection, PastEnd, PastHold, PastInside, PastOccupancy, PastRedemption};
use crate::rules::limit::{CONCURRENT, Counting, is_across_perks};

/// A grant that is on record, in both courses.
#[derive(Default)]
pub(super) struct Visit {
    /// A door has taken its token.
    pub has_entered: bool,
    /// The replayed rule decided its check; else its uses count in both courses as they were recorded.
    pub is_decided: bool,
    pub used: [Vec<Use>; 2],
}

/// One use of one counter.
#[derive(Clone, Copy)]
pub(super) struct Use {
    pub counter: Key,
    pub cost: u64,
    /// The limit counts people.
    pub is_of_people: bool,
    pub stands: Stands,
}

/// Where a use stands on its counter's time, in microseconds.
#[derive(Clone, Copy)]
pub(super) enum Stands {
    /// In a sum, until its window is over.
    Sum { over: i64 },
    /// When it was made, and when it lapses.
    Made { at: i64, over: i64 },
    /// Until when it is held, and for how long a guest may stay.
    Held { until: i64, stay: i64 },
}

impl Stands {
    /// After this it makes no difference any more.
    pub(super) const fn over(self) -> i64 {
        match self {
            Self::Sum { over } | Self::Made { over, .. } => over,
            Self::Held { until, .. } => until,
        }
    }
}

impl Counters {
    /// A guest comes in: what the grant holds, it holds for as long as guests may stay.
    pub(crate) fn enter(&mut self, redemption: &PastRedemption) {
        let at = redemption.at.as_microsecond();
        self.latest = self.latest.max(at);
        let grant = digest_of(&[&redemption.grant]);
        let Some(visit) = self.visits.get_mut(&grant).filter(|visit| !visit.has_entered) else { return };
        visit.has_entered = true;
        for course in Timeline::BOTH {
            let held = visit.used.of(course);
            let mut moves = Vec::new();
            for (nth, used) in held.iter().enumerate() {
                let Stands::Held { until, stay } = used.stands else { continue };
                let line = self.lines.get(&used.counter).map(|lines| &lines.courses);
                let now = line.map_or(at, |courses| at.max(courses.get_of(course).last_used_at));
                let recorded = || {
                    let of = |hold: &&PastHold| key_of(&hold.limit, &hold.scope, CONCURRENT) == used.counter;
                    redemption.holds.iter().find(of).map(|hold| hold.until.as_microsecond())
                };
                let since = redemption.entered.map_or(now, Timestamp::as_microsecond);
                let longer = if stay > 0 { Some(since.saturating_add(stay)) } else { recorded() };
                moves.push((nth, now, longer.filter(|_| until > now)));
            }
            // A place that has lapsed lets nobody in, whatever the others.
            if moves.iter().any(|(_, _, longer)| longer.is_none()) {
                continue;
            }
            for (nth, now, longer) in moves {
                let (Some(used), Some(longer)) = (held.get_mut(nth), longer) else { continue };
                let Stands::Held { until, stay } = used.stands else { continue };
                if let Some(lines) = self.lines.get_mut(&used.counter) {
                    let line = lines.courses.of(course);
                    line.uses.remove(until, &grant);
                    line.uses.shrink_corrections(until);
                    line.take(longer, grant, used.cost, now);
                }
                used.stands = Stands::Held { until: longer, stay };
            }
        }
    }

    /// More or fewer came by a grant. As it was, its counters count what is recorded; as it would have been, as many more
    /// or fewer people.
    pub(crate) fn correct(&mut self, correction: &PastCorrection, of_this_perk: bool) {
        self.latest = self.latest.max(correction.at.as_microsecond());
        let grant = digest_of(&[&correction.grant]);
        let mut recorded = HashMap::new();
        for limit in correction.limits.iter().filter(|it| of_this_perk || is_across_perks(&it.scope)) {
            let counter = key_of(&limit.limit, &limit.scope, &limit.window);
            if limit.horizon.is_none() && self.only.is_some() {
                // Sums of the one check that will ask are not kept one by one.
                if let Some(sum) = self.sums.get_mut(&counter) {
                    let sum = sum.of(Timeline::Actual);
                    *sum = sum.saturating_add(limit.cost).saturating_sub(limit.was_cost);
                }
                continue;
            }
            recorded.insert(counter, limit);
        }
        let Some(mut visit) = self.visits.remove(&grant) else { return };
        for course in Timeline::BOTH {
            let is_recorded = course == Timeline::Actual || !visit.is_decided;
            for used in visit.used.of(course) {
                let cost = if is_recorded {
                    recorded.get(&used.counter).map(|limit| limit.cost)
                } else {
                    used.is_of_people.then(|| {
                        used.cost.saturating_add(correction.counted).saturating_sub(correction.was_counted).max(1)
                    })
                };
                let Some(cost) = cost else { continue };
                self.recount(course, grant, used, cost);
                // Where the time of the counter was met, or would have been.
                let horizon = recorded.get(&used.counter).and_then(|limit| limit.horizon).filter(|_| is_recorded);
                if let Some(lines) = self.lines.get_mut(&used.counter) {
                    let met = horizon.map(|at| at.as_microsecond().saturating_add(lines.behind));
                    let met = met.unwrap_or(correction.corrected_at.as_microsecond());
                    let line = lines.courses.of(course);
                    line.last_used_at = line.last_used_at.max(met);
                }
            }
        }
        self.visits.insert(grant, visit);
    }

    /// More or fewer were inside than were counted: in both courses, as nobody can tell otherwise. Of those who left unseen,
    /// as many as would have been there.
    pub(crate) fn occupy(&mut self, correction: &PastOccupancy, of_this_perk: bool) {
        for inside in correction.limits.iter().filter(|it| of_this_perk || is_across_perks(&it.scope)) {
            self.occupy_limit(inside);
        }
    }

    fn occupy_limit(&mut self, inside: &PastInside) {
        let at = inside.at.as_microsecond();
        self.latest = self.latest.max(at);
        let is_held = self.limits.get(&inside.limit).is_some_and(|(it, _)| matches!(it, Counting::Held { .. }));
        let counter = key_of(&inside.limit, &inside.scope, CONCURRENT);
        if !is_held || self.only.as_ref().is_some_and(|only| !only.contains(&counter)) {
            return;
        }
        for course in Timeline::BOTH {
            let line = self.line(counter, 0, course);
            line.last_used_at = line.last_used_at.max(at);
            for one in &inside.uses {
                let until = one.until.as_microsecond();
                line.uses.add(until, digest_of(&[&one.name]), one.cost);
                line.uses.shrink_corrections(until);
            }
        }
    }

    /// Counts a use at another cost.
    fn recount(&mut self, course: Timeline, grant: Key, used: &mut Use, cost: u64) {
        match used.stands {
            Stands::Sum { .. } => {
                if let Some(sum) = self.sums.get_mut(&used.counter) {
                    let sum = sum.of(course);
                    *sum = sum.saturating_sub(used.cost).saturating_add(cost);
                }
            }
            Stands::Made { at, .. } | Stands::Held { until: at, .. } => {
                if let Some(lines) = self.lines.get_mut(&used.counter) {
                    let line = &mut lines.courses.of(course).uses;
                    line.remove(at, &grant);
                    line.add(at, grant, i64::try_from(cost).unwrap_or(i64::MAX));
                    line.shrink_corrections(at);
                }
            }
        }
        used.cost = cost;
    }

    /// Gives back what an end returned of the sums of the one check that will ask. They can be as many as a
    /// lifetime of grants, so they are not kept one by one.
    pub(crate) fn give_back_sums(&mut self, end: &PastEnd, of_this_perk: bool) {
        for part in &end.returned {
            if of_this_perk || is_across_perks(&part.scope) {
                let counter = key_of(&part.limit, &part.scope, &part.window);
                let used =
                    Use { counter, cost: part.cost, is_of_people: false, stands: Stands::Sum { over: i64::MAX } };
                self.give_back(Timeline::Actual, Key::default(), used);
            }
        }
    }

    /// A grant ended and gave back what it used.
    pub(crate) fn end(&mut self, end: &PastEnd) {
        if end.waits {
            return;
        }
        let grant = digest_of(&[&end.grant]);
        let Some(mut visit) = self.visits.remove(&grant) else { return };
        let returned: HashSet<Key> =
            end.returned.iter().map(|part| key_of(&part.limit, &part.scope, &part.window)).collect();
        for course in Timeline::BOTH {
            let is_recorded = course == Timeline::Actual || !visit.is_decided;
            let comes_back = |used: &Use| match used.stands {
                _ if is_recorded => returned.contains(&used.counter),
                // A void leaves a guest's place to the guest.
                Stands::Held { .. } => !(end.is_void && visit.has_entered),
                Stands::Sum { .. } | Stands::Made { .. } => end.is_void && !visit.has_entered && !end.keeps_uses,
            };
            let (back, left): (Vec<Use>, Vec<Use>) =
                visit.used.get_of(course).iter().partition(|used| comes_back(used));
            for used in back {
                self.give_back(course, grant, used);
            }
            *visit.used.of(course) = left;
        }
        // Released, it can still be voided; voided, a guest who is in can still leave.
        self.visits.insert(grant, visit);
    }

    fn give_back(&mut self, course: Timeline, grant: Key, used: Use) {
        match used.stands {
            Stands::Sum { .. } => {
                if let Some(sum) = self.sums.get_mut(&used.counter) {
                    let sum = sum.of(course);
                    *sum = sum.saturating_sub(used.cost);
                }
            }
            Stands::Made { at, .. } | Stands::Held { until: at, .. } => {
                if let Some(lines) = self.lines.get_mut(&used.counter) {
                    let line = &mut lines.courses.of(course).uses;
                    line.remove(at, &grant);
                    line.shrink_corrections(at);
                }
            }
        }
    }
}
