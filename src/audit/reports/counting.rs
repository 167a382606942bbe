//! The counts that one event adds, by column: the same for a report that reads the events and for the summaries.

use super::asked::ReportKind;
use super::columns;
use super::facts::{Facts, GuestFacts, PartyFacts, Personal};
use crate::foundation::decimal::Decimal;
use crate::foundation::period::Period as Span;
use crate::ledger::cases::contest;

/// The largest gap of a near miss.
const NEAR: Decimal = Decimal::from_thousandths(3_000);

/// The width of a band of scores, in points.
const BAND: i64 = 10;

/// The band of those who have no score, and of those who are not known.
const NO_SCORE: i64 = i64::MAX - 1;
pub(super) const UNKNOWN: i64 = i64::MAX;

/// Counts by column.
pub(super) type Counted = Vec<(&'static str, u64)>;

/// The outcome of a grant, as of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fate {
    pub redeemed: bool,
    pub voided: bool,
    pub released: bool,
}

impl Fate {
    /// The column of grants with this outcome; none while nothing became of it.
    pub(super) const fn column(self) -> Option<&'static str> {
        match self {
            Self { redeemed: true, .. } => Some("grants_redeemed"),
            Self { voided: true, .. } => Some("grants_voided"),
            Self { released: true, .. } => Some("grants_released"),
            Self { .. } => None,
        }
    }
}

/// The column of a grant of which nothing became.
pub(super) const fn unspent_column(is_expired: bool) -> &'static str {
    if is_expired { "expired_unused" } else { "grants_open" }
}

/// The person of a check, as far as they are known.
pub(super) enum Person {
    /// Nobody asked.
    Unasked,
    /// Erased: nothing can be opened any more.
    Unknown,
    Known(Personal),
}

/// The move of a limit's numbers by one event.
pub(super) struct LimitMove<'a> {
    pub limit: &'a str,
    pub used: u64,
    pub returned: u64,
    pub refused: u64,
    /// The most that stood against it.
    pub peak: u64,
    /// The maximum that a check was held to.
    pub max: Option<u64>,
}

impl<'a> LimitMove<'a> {
    const fn of(limit: &'a str) -> Self {
        Self { limit, used: 0, returned: 0, refused: 0, peak: 0, max: None }
    }
}

/// A check, without what became of its grant.
pub(super) fn check(kind: ReportKind, facts: &Facts<'_>, person: &Person) -> Counted {
    // What a person grants in the place of a check is no further asking: the share admitted is of askings.
    let is_asking = facts.resolves.is_none() || kind == ReportKind::Grants;
    let mut counted = vec![("checks", 1)];
    match facts.decision.as_deref() {
        _ if !is_asking => counted.clear(),
        Some("granted") => counted.push(("granted", 1)),
        Some("referred") => counted.push(("referred", 1)),
        _ => {
            counted.push(("denied", 1));
            counted.push((columns::refused_by(first_reason(facts)), 1));
        }
    }
    if facts.is_below() {
        match person {
            Person::Known(known) => {
                if known.gap().is_some_and(|gap| gap <= NEAR) {
                    counted.push(("near_misses", 1));
                }
            }
            Person::Unknown | Person::Unasked => counted.push(("near_unknown", 1)),
        }
    }
    if facts.resolves.is_some() {
        counted.push(("granted_by_person", 1));
    }
    if facts.override_reason.is_some() {
        counted.push((if facts.paid.is_some() { "paid" } else { "overridden" }, 1));
    }
    if kind == ReportKind::Fairness
        && let Some(wait) = facts.max_wait.as_deref().and_then(|text| text.parse::<Span>().ok())
    {
        counted.push(("waits", 1));
        counted.push(("wait_seconds", u64::try_from(wait.seconds()).unwrap_or(0)));
    }
    counted
}

/// A visit to be billed; `corrected` is who came, if that was corrected.
pub(super) fn visit(facts: &Facts<'_>, corrected: Option<PartyFacts>) -> Counted {
    let as_redeemed = PartyFacts { party: facts.party.unwrap_or(1), guests: facts.guests };
    let PartyFacts { party, guests } = corrected.unwrap_or(as_redeemed);
    let GuestFacts { free, charged } = guests.unwrap_or(GuestFacts { free: 0, charged: 0 });
    let is_ended = matches!(facts.meanwhile.as_deref(), Some("voided" | "released"));
    let is_paid = facts.paid.is_some();
    let is_overridden = facts.override_reason.is_some() && !is_paid;
    let [corrected, late, ended, by_hand, paid] =
        [corrected.is_some(), facts.redeemed_at.is_some(), is_ended, is_overridden, is_paid].map(u64::from);
    vec![
        ("visits", 1),
        ("guests", party),
        ("free", free),
        ("charged", charged),
        ("corrected", corrected),
        ("late_visits", late),
        ("ended_visits", ended),
        ("overridden_visits", by_hand),
        ("paid_visits", paid),
    ]
}

/// The end of a grant: it was released, or voided after so many visits. Empty where the report counts nothing of it.
pub(super) fn end(kind: ReportKind, facts: &Facts<'_>, is_void: bool, visits: u64) -> Counted {
    match kind {
        ReportKind::Grants => {
            let mut counted = vec![(if is_void { "voided" } else { "released" }, 1)];
            counted.extend((is_void && facts.reason.is_some()).then_some(("undone", 1)));
            counted
        }
        ReportKind::Billing if is_void && visits > 0 => {
            let guests = visits.saturating_mul(facts.party.unwrap_or(1));
            let charged = visits.saturating_mul(facts.guests.map_or(0, |guests| guests.charged));
            vec![("voided_visits", visits), ("voided_guests", guests), ("voided_charged", charged)]
        }
        ReportKind::Billing | ReportKind::Fairness => Vec::new(),
    }
}

/// The moves of limits by a check.
pub(super) fn limits_of_check<'a>(facts: &'a Facts<'_>) -> Vec<LimitMove<'a>> {
    let is_granted = facts.grant.is_some();
    let touched = facts.limits.iter().map(|it| LimitMove {
        used: if is_granted { it.cost } else { 0 },
        peak: it.used,
        max: Some(it.max),
        ..LimitMove::of(&it.id)
    });
    let is_denied = facts.decision.as_deref() == Some("denied");
    let refused = facts.reasons.iter().filter(|_| is_denied).filter_map(|reason| reason.limit.as_ref());
    touched.chain(refused.map(|limit| LimitMove { refused: 1, ..LimitMove::of(limit) })).collect()
}

/// The moves of limits by the correction of a party.
pub(super) fn limits_of_correction<'a>(facts: &'a Facts<'_>) -> Vec<LimitMove<'a>> {
    let moved = facts.limits.iter().map(|it| {
        let was = it.was_cost.unwrap_or(it.cost);
        let (used, returned) = (it.cost.saturating_sub(was), was.saturating_sub(it.cost));
        LimitMove { used, returned, peak: it.used, ..LimitMove::of(&it.id) }
    });
    moved.collect()
}

/// The uses of limits that came back.
pub(super) fn limits_returned<'a>(facts: &'a Facts<'_>) -> Vec<LimitMove<'a>> {
    facts.returned.iter().map(|it| LimitMove { returned: it.cost, ..LimitMove::of(&it.id) }).collect()
}

/// The kinds of events about contests that are counted.
pub(super) const CONTESTS: [&str; 4] = [contest::OPENED, contest::UPHELD, contest::OVERTURNED, contest::CLOSED];

/// The column that an event about a contest is counted in. A refusal that was added to a case is one more reason in
/// it, and no other case.
pub(super) fn contest_column(kind: &str) -> Option<&'static str> {
    match kind {
        contest::OPENED => Some("contested"),
        contest::UPHELD => Some("upheld"),
        contest::OVERTURNED => Some("overturned"),
        contest::CLOSED => Some("closed"),
        _ => None,
    }
}

/// The first reason that speaks against it.
fn first_reason<'a>(facts: &'a Facts<'_>) -> &'a str {
    facts.reasons.iter().map(|reason| &*reason.code).find(|code| *code != "score_met").unwrap_or_default()
}

/// The band of a person's score, by its lowest point: a multiple of 10; [`NO_SCORE`]; [`UNKNOWN`].
pub(super) fn band(person: &Person) -> i64 {
    match person {
        Person::Known(Personal { score: Some(score), .. }) => {
            score.value.thousandths().div_euclid(BAND * 1_000).saturating_mul(BAND)
        }
        Person::Known(_) => NO_SCORE,
        Person::Unknown | Person::Unasked => UNKNOWN,
    }
}

/// From a multiple of 10 to below the next one; then who has no score, then who is not known.
pub(super) fn band_name(band: i64) -> String {
    match band {
        NO_SCORE => "no score".to_owned(),
        UNKNOWN => "unknown".to_owned(),
        from => format!("{from} to below {}", from.saturating_add(BAND)),
    }
}
