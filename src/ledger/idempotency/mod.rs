//! The same answer to the same request: `answered` and `replay` read back what a check was answered, and here requests
//! that make something other than a decision are answered once under their idempotency key (`store`).
//!
//! The key is claimed before the work and the answer kept after it, in transactions of their own:
//! what is made has its own. A process that dies in between leaves the key claimed without an
//! answer; after [`ABANDONED_AFTER`] a retry does the work again. Answers are sealed, as they may
//! hold what is shown once.

pub(crate) mod answered;
pub mod replay;
pub mod store;

use std::time::Duration;

use super::entry::Idempotency;
use super::store::IdempotencyRow;
use super::{IDEMPOTENCY_WINDOW, LedgerError, WriterContext};
use crate::database::DatabaseError;
use crate::foundation::ids::{KeyId, MerchantId};

/// After this a claim without an answer is taken to be dead.
pub const ABANDONED_AFTER: Duration = Duration::from_mins(1);

/// Whose key it is: the same text of another caller or operation is another key.
#[derive(Debug, Clone)]
pub struct KeyScope {
    /// None for operators.
    pub merchant: Option<MerchantId>,
    pub key: KeyId,
    pub operation: String,
}

/// The result of a claim.
#[derive(Debug)]
pub enum Claim {
    /// Nobody asked before: do the work, then [`Ledger::keep`](super::Ledger::keep) or [`Ledger::release`](super::Ledger::release).
    Fresh(Claimed),
    /// This is what was answered.
    Answered(Vec<u8>),
    /// The same request is being worked on.
    InProgress,
}

/// A key that is held for work under way.
#[derive(Debug, Clone)]
pub struct Claimed(IdempotencyRow);

impl Claimed {
    /// Binds a sealed answer to its key.
    fn aad(&self) -> Vec<u8> {
        let row = &self.0;
        [&row.merchant_id, &row.key_id, &row.operation, &row.idempotency_key]
            .map(String::as_str)
            .join("\0")
            .into_bytes()
    }
}

/// Claims an idempotency key, or finds what it was answered.
pub(crate) async fn claim(
    context: &WriterContext,
    scope: KeyScope,
    idempotency: Idempotency,
) -> Result<Claim, LedgerError> {
    let now = context.clock.now().as_microsecond();
    let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    let row = IdempotencyRow {
        merchant_id: scope.merchant.map(String::from).unwrap_or_default(),
        key_id: scope.key.into(),
        operation: scope.operation,
        idempotency_key: idempotency.key,
        request_hash: idempotency.request_hash.to_vec(),
        outcome: Vec::new(),
        created_at: now,
        expires_at: now.saturating_add(micros(IDEMPOTENCY_WINDOW)),
    };
    let asked = row.clone();
    let abandoned_before = now.saturating_sub(micros(ABANDONED_AFTER));
    let claim = context.database.write(move |conn| store::claim(conn, &row, abandoned_before));
    let (holder, is_ours) = claim.await.map_err(LedgerError::Database)?;
    if holder.request_hash != asked.request_hash {
        return Err(LedgerError::KeyReused);
    }
    let claimed = Claimed(asked);
    if is_ours {
        return Ok(Claim::Fresh(claimed));
    }
    if holder.outcome.is_empty() {
        return Ok(Claim::InProgress);
    }
    let answer = context.keyring.open_outcome(&claimed.aad(), &holder.outcome);
    let answer = answer.map_err(|error| DatabaseError::corrupt("idempotent outcome", error))?;
    Ok(Claim::Answered(answer.to_vec()))
}

/// Keeps the answer for retries.
pub(crate) async fn keep(context: &WriterContext, claimed: Claimed, answer: &[u8]) -> Result<(), LedgerError> {
    let sealed = context.keyring.seal_outcome(&claimed.aad(), answer);
    let kept = context.database.write(move |conn| store::update_outcome(conn, &claimed.0, &sealed));
    kept.await.map(drop).map_err(LedgerError::Database)
}

/// Frees the key.
pub(crate) async fn release(context: &WriterContext, claimed: Claimed) -> Result<(), LedgerError> {
    let freed = context.database.write(move |conn| store::delete(conn, &claimed.0));
    freed.await.map(drop).map_err(LedgerError::Database)
}
