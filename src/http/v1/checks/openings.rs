//! The ways by hand that a refusal leaves open to a desk, in the answer to a check.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::access::{Permission, Principal};
use crate::decision::decide::Decision;
use crate::eligibility::overrides::Overrider;
use crate::eligibility::shown::check::CheckShown;
use crate::gateway::Gateway;

/// The longest time an answer waits for what may be done about it.
const PATIENCE: Duration = Duration::from_millis(500);

/// The terms on which a refusal can be made good by hand, as things are.
#[derive(ToSchema)]
#[schema(as = OpeningByHand, example = json!({
    "reasons": ["courtesy", "irregular_operations"], "tiers": ["standard"], "left": 17, "resets_at": "2026-12-01T08:00:00Z",
    "until": "2026-11-30T18:30:00Z"
}))]
#[expect(dead_code, reason = "describes what `eligibility::shown` writes")]
pub struct OpeningView {
    /// One of them is given with an override.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasons: Option<Vec<String>>,
    /// One of them is granted.
    tiers: Vec<String>,
    /// How many more the rule allows in its window. A limit of the rule may refuse it all the same.
    left: u64,
    /// When there are more again; null where that is never, or none of a rolling window was used.
    #[schema(value_type = Option<String>, format = DateTime)]
    resets_at: Option<Timestamp>,
    /// Until when this refusal can be made good.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
}

/// The answer, with what this caller may do about it by hand.
pub(super) async fn with_openings(caller: &Principal, gateway: &Gateway, shown: CheckShown) -> CheckShown {
    let (Some(check), Some(merchant)) = (&shown.check, &caller.merchant) else { return shown };
    if shown.decision != Decision::Denied || !caller.role.may(Permission::Override) {
        return shown;
    }
    let place = caller.acts_only_at().map(str::to_owned);
    let by = Overrider { key: caller.key.clone(), role: caller.role.as_str(), place };
    let refused = (check, &shown.perk, shown.rule_version);
    // The answer stands: it must not be kept back for what can be tried.
    match timeout(PATIENCE, Box::pin(gateway.checker.openings(by, merchant, refused))).await {
        Ok(Ok(openings)) => shown.with_openings(openings),
        Ok(Err(error)) => {
            tracing::warn!(%error, "what may be overridden can't be read now");
            shown
        }
        Err(_) => {
            tracing::warn!("what may be overridden can't be read in time");
            shown
        }
    }
}
