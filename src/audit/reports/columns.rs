//! The columns of each report: their names, which clients rely on, and what people read.

use super::asked::ReportKind;

/// A column's name and its heading.
pub type Column = (&'static str, &'static str);

const DECIDED: [Column; 4] =
    [("checks", "Checks"), ("granted", "Granted"), ("denied", "Refused"), ("referred", "Referred")];

const REFUSED: [Column; 20] = [
    ("refused_score_below_threshold", "Score too low"),
    ("refused_score_missing", "Score missing"),
    ("refused_score_stale", "Score stale"),
    ("refused_attribute_missing", "Attribute missing"),
    ("refused_attribute_mistyped", "Attribute mistyped"),
    ("refused_condition_not_met", "Condition not met"),
    ("refused_outside_schedule", "Outside hours"),
    ("refused_not_yet_valid", "Not yet valid"),
    ("refused_no_longer_valid", "No longer valid"),
    ("refused_perk_paused", "Perk paused"),
    ("refused_limit_reached", "Limit reached"),
    ("refused_not_in_rollout", "Not in rollout"),
    ("refused_blackout", "Blackout"),
    ("refused_too_early", "Too early"),
    ("refused_too_late", "Too late"),
    ("refused_pass_date", "Pass of another day"),
    ("refused_guests_exceeded", "Too many guests"),
    ("refused_place_closed", "Place closed"),
    ("refused_attribute_stale", "Attribute stale"),
    ("refused_other", "Other"),
];

const NEAR: [Column; 2] = [("near_misses", "Near misses"), ("near_unknown", "Near: unknown")];

const BY_PERSON: [Column; 3] =
    [("granted_by_person", "By a person"), ("overridden", "Overridden by a desk"), ("paid", "Paid at a desk")];

const GRANTS: [Column; 10] = [
    ("redeemed", "Redeemed"),
    ("corrected", "Corrected"),
    ("released", "Released"),
    ("voided", "Voided"),
    ("grants_redeemed", "Grants redeemed"),
    ("grants_voided", "Grants voided unused"),
    ("grants_released", "Grants released unused"),
    ("expired_unused", "Grants expired unused"),
    ("grants_open", "Grants still open"),
    ("undone", "Voided by undoing"),
];

const BILLING: [Column; 12] = [
    ("visits", "Visits"),
    ("guests", "Guests"),
    ("free", "Brought free"),
    ("charged", "Brought and charged"),
    ("corrected", "Visits corrected"),
    ("voided_visits", "Visits voided later"),
    ("voided_guests", "Guests voided later"),
    ("voided_charged", "Charged voided later"),
    ("late_visits", "Visits reported late"),
    ("ended_visits", "Visits of ended grants"),
    ("overridden_visits", "Visits by override"),
    ("paid_visits", "Visits paid at a desk"),
];

/// The columns of refusals that were contested, by the score they were refused with.
const CONTESTS: [Column; 4] =
    [("contested", "Contested"), ("upheld", "Upheld"), ("overturned", "Overturned"), ("closed", "Closed by erasure")];

const FAIRNESS: [Column; 4] = [
    ("waits", "Waits promised"),
    ("wait_seconds", "Seconds promised, all"),
    (MEAN_WAIT, "Seconds promised, mean"),
    (ADMITTED, "Admitted, %"),
];

/// The share of the checks: counted in thousandths, rounded down, and shown in percent.
pub(super) const ADMITTED: &str = "admitted_percent";
/// Rounded down.
pub(super) const MEAN_WAIT: &str = "mean_wait_seconds";

impl ReportKind {
    /// Its columns in their order.
    #[must_use]
    pub fn columns(self) -> Vec<Column> {
        match self {
            Self::Grants => [&DECIDED[..], &BY_PERSON, &GRANTS, &NEAR, &REFUSED].concat(),
            Self::Billing => BILLING.to_vec(),
            Self::Fairness => [&DECIDED[..], &BY_PERSON, &FAIRNESS, &NEAR, &CONTESTS, &REFUSED].concat(),
        }
    }
}

/// The column of refusals by this reason.
pub(super) fn refused_by(code: &str) -> &'static str {
    let known = REFUSED.iter().find(|(name, _)| name.strip_prefix("refused_") == Some(code));
    known.map_or("refused_other", |(name, _)| name)
}

/// The column of this name, of whichever report.
pub(super) fn named(name: &str) -> Option<&'static str> {
    let all = [&DECIDED[..], &BY_PERSON, &GRANTS, &BILLING, &NEAR, &FAIRNESS, &CONTESTS, &REFUSED];
    all.into_iter().flatten().map(|(known, _)| *known).find(|known| *known == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::reason::ReasonCode;

    #[test]
    fn every_reason_to_refuse_has_a_column() {
        for code in ReasonCode::ALL {
            // An override that is refused leaves no check.
            let refuses_none =
                matches!(code, ReasonCode::ScoreMet | ReasonCode::GrantedByPerson | ReasonCode::OverrideExhausted);
            assert_eq!(refused_by(code.as_str()) == "refused_other", refuses_none, "{code:?}");
        }
    }
}
