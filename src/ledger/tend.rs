//! The upkeep of the ledger that no request does: a ledger that failed is tried again, what has expired is forgotten,
//! and what the logs lack is filled in.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::retention::sweep;
use super::write::{gateway_keys, subtrees};
use super::{Ledger, LedgerError};
use crate::telemetry::Outage;

/// Between two looks at a ledger that failed.
const TRY_AGAIN_EVERY: Duration = Duration::from_secs(1);

/// The longest time a look at the database may take.
const CONFIRM_PATIENCE: Duration = Duration::from_secs(3);

/// Between two sweeps of what has expired.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// Does the upkeep until cancelled: beside it the subtrees of the logs, which may take long.
pub(super) async fn until_cancelled(ledger: &Ledger, cancel: &CancellationToken) {
    tokio::join!(look_after(ledger, cancel), subtrees::keep(&ledger.context().database, cancel));
}

/// Tries a failed ledger again, so that its readiness follows the database and not the next request, and forgets
/// what has lapsed for good; at first the operator's log is given the keys that it doesn't know.
async fn look_after(ledger: &Ledger, cancel: &CancellationToken) {
    let mut swept = Instant::now();
    let outages = [
        Outage::new("uses that no window reaches can't be forgotten", "they are forgotten again"),
        Outage::new("secrets of past months can't be destroyed", "they are destroyed again"),
        Outage::new("limits that undone grants used can't be freed", "they are freed again"),
    ];
    tokio::select! {
        () = cancel.cancelled() => return,
        recorded = gateway_keys::record_unknown(ledger) => if let Err(error) = recorded {
            tracing::warn!(%error, "could not tell the operator's log of the gateway's keys");
        }
    }
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(TRY_AGAIN_EVERY) => {}
        }
        // A database that hangs must hold up neither this nor the end of the process.
        tokio::select! {
            () = cancel.cancelled() => return,
            () = look_once(ledger, &mut swept, &outages) => {}
        }
    }
}

async fn look_once(ledger: &Ledger, swept: &mut Instant, [sweeping, destroying, freeing]: &[Outage; 3]) {
    let context = ledger.context();
    // What happens to the database is noticed without a request, too.
    let _ = tokio::time::timeout(CONFIRM_PATIENCE, context.database.confirm()).await;
    if ledger.is_failing() {
        let _ = ledger.change(|_, _| Ok::<_, LedgerError>(())).await;
    }
    match ledger.free_undone().await {
        Ok(_) => freeing.succeeded(),
        Err(error) => freeing.failed(&error),
    }
    if swept.elapsed() >= SWEEP_EVERY {
        *swept = Instant::now();
        sweep::sweep_keys(context).await;
        match sweep::sweep_uses(ledger).await {
            Ok(_) => sweeping.succeeded(),
            Err(error) => sweeping.failed(&error),
        }
        match sweep::destroy_month_secrets(ledger).await {
            Ok(_) => destroying.succeeded(),
            Err(error) => destroying.failed(&error),
        }
        ledger.purge.in_background();
    }
}
