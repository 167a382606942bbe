//! Admission arithmetic: may this use be counted, what is left, and when does it reset. Pure, and the same for the
//! ledger, whose counters are rows, and for trials, which count in memory. The auditor has its own.

use jiff::Timestamp;

use super::uses::Uses;
use crate::decision::decided::{Admission, LimitTouched, UseTouched};
use crate::decision::reason::Reason;
use crate::foundation::clock::from_micros;
use crate::rules::limit::{Counting, LimitClaim};
use crate::tokens::claims::SKEW_SECONDS;

/// The time of a check that asks for room.
#[derive(Debug, Clone, Copy)]
pub struct ClaimTime {
    /// In microseconds.
    pub at: i64,
    /// When the grant's token would expire, in seconds; none for a question that gets no grant.
    pub expires: Option<i64>,
}

/// A claim that has met its counter. Nothing is used by asking.
#[derive(Debug)]
pub struct Met<'a> {
    claim: &'a LimitClaim,
    /// With the subject filled in.
    scope: String,
    /// Used without the claim.
    used: u64,
    /// The counter's own time, in microseconds.
    now: i64,
    /// Where uses are counted one by one.
    line: Option<Line>,
    refusal: Option<Reason>,
    /// From when on it has room, if nobody else asks and no guest leaves before their time; none for never.
    room_at: Option<Timestamp>,
}

/// Positions on the time of a counter whose uses lapse one by one, in microseconds.
#[derive(Debug, Clone, Copy)]
struct Line {
    horizon: i64,
    next_lapse: Option<i64>,
    /// Where the use would stand.
    counts_at: i64,
}

impl<'a> Met<'a> {
    /// The claim with the counter that it met, whose horizon moves to where it is at `asked`. `last_used_at` is the
    /// counter's time so far: replicas' clocks differ, and it never goes back.
    pub fn new<G: PartialEq>(
        claim: &'a LimitClaim,
        scope: String,
        counter: &mut Uses<G>,
        last_used_at: i64,
        asked: ClaimTime,
    ) -> Self {
        let now = last_used_at.max(asked.at);
        let line = behind(claim.counting).map(|behind| {
            counter.move_to(now.saturating_sub(behind));
            Line {
                horizon: counter.horizon(),
                next_lapse: counter.next_lapse(),
                counts_at: counts_at(claim.counting, now, asked),
            }
        });
        let used = counter.sum();
        let has_room = claim.may_pass || used.saturating_add(claim.cost) <= claim.max;
        let lapses = || counter.room_at(claim.cost, claim.max);
        let room_at = match claim.counting {
            _ if has_room => Some(from_micros(asked.at)),
            _ if claim.never_fits() => None,
            Counting::Sum => claim.resets_at,
            Counting::Rolling(length) => lapses().map(|at| from_micros(at.saturating_add(length.micros()))),
            Counting::Held { .. } => lapses().map(from_micros),
        };
        let refusal = (!has_room).then(|| {
            // Nobody knows when guests leave.
            let room = room_at.filter(|_| !matches!(claim.counting, Counting::Held { .. }));
            Reason::limit_reached(claim, room)
        });
        Self { claim, scope, used, now, line, refusal, room_at }
    }

    /// The counter's time once the claim is used.
    pub(crate) const fn now(&self) -> i64 {
        self.now
    }

    /// Where the use stands, if it is counted by itself.
    pub(crate) fn counts_at(&self) -> Option<i64> {
        self.line.map(|line| line.counts_at)
    }

    fn touched(self, admitted: bool) -> LimitTouched {
        let Self { claim, scope, used, line, .. } = self;
        // One that has lapsed already when it is made uses nothing.
        let counts = admitted && line.is_none_or(|line| line.counts_at > line.horizon);
        let resets_at = match (claim.counting, line) {
            (Counting::Rolling(length), Some(line)) => {
                let own = counts.then_some(line.counts_at);
                let next = line.next_lapse.into_iter().chain(own).min();
                next.map(|at| from_micros(at.saturating_add(length.micros())))
            }
            (Counting::Held { .. }, _) => None,
            (Counting::Sum | Counting::Rolling(_), _) => claim.resets_at,
        };
        LimitTouched {
            id: claim.limit.clone(),
            scope,
            window: claim.window_key.clone(),
            cost: claim.cost,
            max: claim.max,
            past_max: counts && used.saturating_add(claim.cost) > claim.max,
            used: if counts { used.saturating_add(claim.cost) } else { used },
            resets_at,
            counted: line.map(|line| UseTouched {
                horizon: from_micros(line.horizon),
                counts_at: admitted.then(|| from_micros(line.counts_at)),
            }),
        }
    }
}

/// Tells whether every one of the claims has room.
pub(crate) fn have_room(met: &[Met<'_>]) -> bool {
    met.iter().all(|met| met.refusal.is_none())
}

/// From when on every one of the claims has room, if nobody else asks and no guest leaves before their time.
pub fn room_at(met: &[Met<'_>]) -> Option<Timestamp> {
    met.iter().map(|met| met.room_at).reduce(|one, other| Some(one?.max(other?))).unwrap_or(Some(Timestamp::MIN))
}

/// Admits a check if every one of its claims has room; one that any limit refuses uses nothing.
pub fn admit(mut met: Vec<Met<'_>>) -> Admission {
    let admitted = have_room(&met);
    let mut refusals: Vec<Reason> = Vec::new();
    for refusal in met.iter_mut().filter_map(|met| met.refusal.take()) {
        // One limit with a counter of each month is said once: it has room when the last of them has.
        match refusals.iter_mut().find(|known| known.limit == refusal.limit) {
            Some(known) => {
                let both = known.next_eligible_at.zip(refusal.next_eligible_at);
                known.next_eligible_at = both.map(|(one, other)| one.max(other));
            }
            None => refusals.push(refusal),
        }
    }
    // All limits that refused must have reset; one that never does means never.
    let room_at = refusals.iter().map(|r| r.next_eligible_at).reduce(|a, b| Some(a?.max(b?))).flatten();
    let limits = met.into_iter().map(|met| met.touched(admitted)).collect();
    Admission { admitted, limits, refusals, room_at }
}

/// How far the horizon of a counter lies behind its time, in microseconds, where uses are counted one by one.
pub fn behind(counting: Counting) -> Option<i64> {
    match counting {
        Counting::Sum => None,
        Counting::Rolling(length) => Some(length.micros()),
        Counting::Held { .. } => Some(0),
    }
}

/// Where a use stands that is made at `now`, the counter's time.
fn counts_at(counting: Counting, now: i64, asked: ClaimTime) -> i64 {
    match (counting, asked.expires) {
        // A door may take the token until then.
        (Counting::Held { .. }, Some(expires)) => held_until(now, asked.at, expires),
        // A preview has no grant, and holds its place for as long as nobody asks.
        (Counting::Held { .. }, None) => i64::MAX,
        (Counting::Sum | Counting::Rolling(_), _) => now,
    }
}

/// Until when a grant holds its place if no door takes the token. The token lives by this replica's
/// clock (`at` to `expiry`), the place by the counter's (`now`), which may be ahead: it must be held
/// as long, or it would not count at all.
fn held_until(now: i64, at: i64, expiry: i64) -> i64 {
    let lives = expiry.saturating_add(SKEW_SECONDS).saturating_mul(1_000_000).saturating_sub(at);
    now.saturating_add(lives.max(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::json::Json;
    use crate::rules::limit::Place;
    use crate::rules::rule::Rule;
    use crate::rules::tier::party::Party;

    const SECOND: i64 = 1_000_000;

    fn claim(window: &str) -> LimitClaim {
        let limit = format!(r#"{{"id":"l","scope":["perk"],"max":2,"window":{window}}}"#);
        let rule = format!(r#"{{"tiers":[{{"id":"t"}}],"limits":[{limit}]}}"#);
        let rule = Rule::parse(&Json::parse(&rule).unwrap(), "perk").unwrap();
        let place = Place { merchant: "mer_1", location: None, kiosk: None, pass_month: None };
        rule.claims("t", &Party::default(), &place, from_micros(0)).remove(0)
    }

    /// The admission of one use at `at` by a counter that holds `uses`, with the counter's time at 90 s.
    fn ask(claim: &LimitClaim, uses: &[i64], at: i64, expires: Option<i64>) -> Admission {
        let mut counter = Uses::new(0, 0);
        for at in uses {
            counter.add(*at * SECOND, *at, 1);
        }
        admit(vec![Met::new(claim, "/perk".into(), &mut counter, 90 * SECOND, ClaimTime { at: at * SECOND, expires })])
    }

    #[test]
    fn a_rolling_use_has_room_once_enough_of_the_others_have_lapsed() {
        let claim = claim(r#"{"rolling":"PT60S"}"#);
        let admission = ask(&claim, &[20, 50], 100, None);
        let touched = &admission.limits[0];
        assert_eq!((admission.admitted, touched.used, touched.remaining()), (true, 2, 0));
        // The first of what counts, then its own.
        assert_eq!(touched.resets_at, Some(from_micros(110 * SECOND)));
        assert_eq!(ask(&claim, &[20], 100, None).limits[0].resets_at, Some(from_micros(160 * SECOND)));

        let refused = ask(&claim, &[50, 70], 100, None);
        let touched = &refused.limits[0];
        assert_eq!((refused.admitted, touched.used, touched.counted.unwrap().counts_at), (false, 2, None));
        assert_eq!(refused.room_at, Some(from_micros(110 * SECOND)));
    }

    #[test]
    fn a_place_is_held_as_long_by_the_counters_time_as_the_token_lives_by_the_replicas() {
        let claim = claim(r#"{"concurrent":{"max_stay":"PT1H"}}"#);
        let counted = |at, expires| ask(&claim, &[], at, expires).limits[0].counted.unwrap();
        let lives = 30 + SKEW_SECONDS;
        assert_eq!(counted(100, Some(130)).counts_at, Some(from_micros((100 + lives) * SECOND)));
        // The replica's clock is behind the counter's.
        let behind = counted(80, Some(110));
        assert_eq!(behind.horizon, from_micros(90 * SECOND));
        assert_eq!(behind.counts_at, Some(from_micros((90 + lives) * SECOND)));
        assert_eq!(counted(100, None).counts_at, Some(from_micros(i64::MAX)));
        let full = ask(&claim, &[200, 300], 100, Some(130));
        assert_eq!((full.admitted, full.room_at), (false, None));
    }

    #[test]
    fn one_limit_without_room_keeps_the_others_from_being_used() {
        let (day, ever) = (claim(r#"{"calendar":"day"}"#), claim(r#"{"lifetime":true}"#));
        let met = |claim, used| {
            Met::new(claim, "/perk".into(), &mut Uses::<u8>::new(used, 0), 0, ClaimTime { at: 0, expires: None })
        };
        let admission = admit(vec![met(&day, 2), met(&ever, 1)]);
        assert_eq!(admission.limits.iter().map(|limit| limit.used).collect::<Vec<_>>(), [2, 1]);
        assert_eq!((admission.refusals.len(), admission.room_at), (1, day.resets_at));
        // Waiting is not enough where a limit never resets.
        assert_eq!(admit(vec![met(&day, 2), met(&ever, 2)]).room_at, None);
        assert_eq!(admit(vec![met(&day, 1), met(&ever, 0)]).limits[1].used, 1);
    }
}
