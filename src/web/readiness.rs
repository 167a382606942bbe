//! The reasons for which this process is not ready for all that it does.

use super::state::State;
use crate::database::Mismatch;
use crate::gateway::Gateway;

/// True if it has what it answers from.
pub(crate) fn is_loaded(gateway: &Gateway) -> bool {
    gateway.directory.is_loaded() && gateway.catalog.is_loaded()
}

/// The reasons, the most important first; none where all is well.
pub(crate) fn reasons(gateway: &Gateway, state: &State) -> Vec<&'static str> {
    // Everything else follows from it.
    let lost = gateway.database.mismatch().map(Mismatch::code);
    let away = lost.is_none() && (!gateway.directory.is_reachable() || !gateway.catalog.is_reachable());
    [
        (state.is_draining(), "draining"),
        (lost.is_some(), lost.unwrap_or_default()),
        (!is_loaded(gateway), "snapshots_not_loaded"),
        (away, "database_unreachable"),
        // Its own connection or its disk: the readers are well.
        (lost.is_none() && !away && gateway.ledger.is_failing(), "ledger_failing"),
    ]
    .into_iter()
    .filter_map(|(holds, reason)| holds.then_some(reason))
    .chain(gateway.redis_fault().map(|fault| fault.code()))
    .collect()
}
