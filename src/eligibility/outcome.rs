//! A check as it comes out when the rule has decided and the limits have spoken.

use jiff::Timestamp;

use super::simulated_limits::Admission;
use crate::decision::decide::{Decision, Verdict};
use crate::decision::reason::Reason;
use crate::foundation::period::Period;
use crate::ledger::entry::LimitTouched;
use crate::ledger::write::check::Settled;
use crate::rules::limit::LimitClaim;

/// A decision as it is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub decision: Decision,
    pub tier: Option<String>,
    /// The tier that the rule granted and the limits refused.
    pub refused_tier: Option<String>,
    pub reasons: Vec<Reason>,
    pub limits: Vec<LimitTouched>,
    pub next_eligible_at: Option<Timestamp>,
    pub max_wait: Option<Period>,
}

impl Outcome {
    /// The verdict, on which no limit has a say.
    pub(super) fn of(verdict: Verdict) -> Self {
        let Verdict { decision, tier, reasons, next_eligible_at, max_wait, .. } = verdict;
        Self { decision, tier, refused_tier: None, reasons, limits: Vec::new(), next_eligible_at, max_wait }
    }

    /// With what limits say whose uses are not known: nothing, unless one never admits as much as is claimed.
    pub(super) fn within(self, claims: &[LimitClaim]) -> Self {
        let too_large = claims.iter().filter(|claim| claim.never_fits());
        let refusals: Vec<_> = too_large.map(|claim| Reason::limit_reached(claim, None)).collect();
        let (admitted, limits) = (refusals.is_empty(), self.limits.clone());
        self.limited(Admission { admitted, limits, refusals, next_eligible_at: None })
    }

    /// With what the limits say to it.
    pub(super) fn limited(self, admission: Admission) -> Self {
        let Admission { admitted, limits, refusals, next_eligible_at } = admission;
        if admitted {
            return Self { limits, ..self };
        }
        Self {
            decision: Decision::Denied,
            tier: None,
            refused_tier: self.tier,
            reasons: refusals,
            limits,
            next_eligible_at,
            max_wait: None,
        }
    }
}

impl From<Settled> for Outcome {
    fn from(settled: Settled) -> Self {
        let Settled { decision, tier, refused_tier, reasons, limits, next_eligible_at, max_wait, grant: _, joins: _ } =
            settled;
        Self { decision, tier, refused_tier, reasons, limits, next_eligible_at, max_wait }
    }
}
