//! The check that was answered under an idempotency key, found without recording anything.

use super::replay;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::{CheckId, KeyId, MerchantId};
use crate::ledger::context::WriterContext;
use crate::ledger::entry::{CheckRecord, Idempotency};
use crate::ledger::store::{self, IdempotencyRow};
use crate::ledger::write::batch::CHECK_OPERATION;
use crate::ledger::{LedgerError, Recorded};

/// The check that was answered under this idempotency key, while it stands.
pub(crate) fn find(
    conn: &mut AnyConnection,
    context: &WriterContext,
    merchant: &MerchantId,
    key: &KeyId,
    idempotency: Idempotency,
) -> Result<Option<Recorded<CheckRecord>>, LedgerError> {
    let now = context.clock.now().as_microsecond();
    let asked = IdempotencyRow {
        merchant_id: merchant.as_str().to_owned(),
        key_id: key.as_str().to_owned(),
        operation: CHECK_OPERATION.to_owned(),
        idempotency_key: idempotency.key,
        request_hash: idempotency.request_hash.to_vec(),
        outcome: Vec::new(),
        created_at: now,
        expires_at: now,
    };
    let held = store::list_idempotency(conn, std::slice::from_ref(&asked))?;
    let Some(held) = held.into_iter().next().filter(|held| held.expires_at > now) else {
        return Ok(None);
    };
    let check = check_of(&held)?;
    // As the ledger has it: nobody has asked under this key.
    if replay::is_of_erased(conn, merchant, &check)? {
        return Ok(None);
    }
    if held.request_hash != asked.request_hash {
        return Err(LedgerError::KeyReused);
    }
    Ok(replay::find_check(conn, &context.keyring, merchant, &check)?)
}

/// The check that was made under the key of `held`.
pub(crate) fn check_of(held: &IdempotencyRow) -> Result<CheckId, DatabaseError> {
    let text = std::str::from_utf8(&held.outcome).map_err(|e| DatabaseError::corrupt("idempotent outcome", e))?;
    text.parse().map_err(|e| DatabaseError::corrupt("idempotent outcome", e))
}
