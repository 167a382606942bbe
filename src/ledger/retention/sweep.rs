//! The rows that the ledger forgets by itself, in small pieces: idempotency keys that have expired, and single
//! uses that no window reaches any more.

use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::period::Period;
use crate::ledger::context::WriterContext;
use crate::ledger::write::counters;
use crate::ledger::{Ledger, LedgerError, digests, idempotency, store};
use crate::rules::window::LONGEST_WINDOW;
use crate::telemetry::Outage;

/// The time behind the newest event for which uses are kept. The auditor takes those for lost that are missing
/// within [`LONGEST_WINDOW`] of the newest event that it sees; the day between is for replicas whose
/// clocks differ, so that no event can come after a sweep and make it wrong.
const KEPT: Period = Period::from_days(367);

/// Number of uses that one change takes: it holds the writer's thread and their counters.
const USES_AT_ONCE: usize = 100;

/// Forgets idempotency keys that have expired, away from the writer's thread.
pub(crate) async fn sweep_keys(context: &WriterContext) {
    static OUTAGE: Outage = Outage::new("expired idempotency keys can't be forgotten", "they are forgotten again");
    let now = context.clock.now().as_microsecond();
    loop {
        match context.database.write(move |conn| idempotency::store::delete_expired(conn, now)).await {
            Ok(idempotency::store::SWEEP_ROWS) => {}
            Ok(_) => return OUTAGE.succeeded(),
            Err(error) => return OUTAGE.failed(&error),
        }
    }
}

/// Forgets single uses that no window reaches any more, every merchant's; says how many. What
/// waits for the writer goes first between one piece and the next.
///
/// # Errors
/// [`LedgerError`]; what was forgotten by then remains forgotten.
pub async fn sweep_uses(ledger: &Ledger) -> Result<usize, LedgerError> {
    let mut swept = 0;
    loop {
        let taken = ledger.change(|conn, _| sweep_some(conn)).await?;
        swept += taken;
        if taken < USES_AT_ONCE {
            return Ok(swept);
        }
    }
}

/// Destroys the secrets of months that no limit counts by any more, every merchant's; says how many.
///
/// # Errors
/// [`LedgerError`].
pub async fn destroy_month_secrets(ledger: &Ledger) -> Result<usize, LedgerError> {
    let now = ledger.context().clock.now();
    ledger.change(move |conn, _| digests::destroy_lapsed(conn, now).map_err(LedgerError::from)).await
}

/// The events' own time, not the clock's: so an auditor sees without a clock what may be deleted, and a
/// clock that is set ahead by mistake forgets nothing.
fn sweep_some(conn: &mut AnyConnection) -> Result<usize, LedgerError> {
    let Some(newest) = store::heads::find_newest_instant(conn)? else { return Ok(0) };
    let lapsed = newest.saturating_sub(KEPT.micros());
    debug_assert!(KEPT > LONGEST_WINDOW, "what a window reaches is kept");
    // A use never stands before its grant or correction was made, and their ids begin with their millisecond.
    let millis = u64::try_from(lapsed.div_euclid(1000).saturating_add(1)).unwrap_or(0);
    let mut rows = Vec::new();
    for prefix in ["grt_", "occ_"] {
        let room = USES_AT_ONCE.saturating_sub(rows.len());
        rows.extend(store::list_lapsed_uses(conn, (prefix, &format!("{prefix}{millis:012x}")), lapsed, room)?);
    }
    counters::forget(conn, &rows, lapsed).map_err(|error: DatabaseError| LedgerError::from(error))?;
    Ok(rows.len())
}
