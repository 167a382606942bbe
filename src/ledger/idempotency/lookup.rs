//! The answer recorded for an idempotency key, looked up without recording anything.

use super::replay;
use crate::database::DatabaseError;
use crate::foundation::ids::{CheckId, KeyId, MerchantId};
use crate::ledger::entry::{CheckRecord, Idempotency};
use crate::ledger::store::{self, IdempotencyRow};
use crate::ledger::write::batch::CHECK_OPERATION;
use crate::ledger::{Ledger, LedgerError, Recorded};

impl Ledger {
    /// The check that was answered under this idempotency key, while it stands.
    ///
    /// # Errors
    /// [`LedgerError::KeyReused`] when it stands for another request; the database's.
    pub async fn find_answered(
        &self,
        merchant: &MerchantId,
        key: &KeyId,
        idempotency: Idempotency,
    ) -> Result<Option<Recorded<CheckRecord>>, LedgerError> {
        let now = self.context().clock.now().as_microsecond();
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
        let (keyring, merchant) = (self.context().keyring.clone(), merchant.clone());
        let read = self.context().database.read(move |conn| {
            let held = store::list_idempotency(conn, std::slice::from_ref(&asked))?;
            let Some(held) = held.into_iter().next().filter(|held| held.expires_at > now) else {
                return Ok(None);
            };
            if held.request_hash != asked.request_hash {
                return Err(LedgerError::KeyReused);
            }
            let text = String::from_utf8(held.outcome).map_err(|e| DatabaseError::corrupt("idempotent outcome", e))?;
            let check: CheckId = text.parse().map_err(|e| DatabaseError::corrupt("idempotent outcome", e))?;
            Ok(replay::find_check(conn, &keyring, &merchant, &check)?)
        });
        read.await
    }
}
