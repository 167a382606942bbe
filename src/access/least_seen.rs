//! The keys that were not used for longest, for those who look after them.

use super::directory::Directory;
use super::error::AccessError;
use super::key::ApiKey;
use super::role::Role;
use super::store;
use crate::foundation::ids::MerchantId;

/// The keys that were not used for longest.
#[derive(Debug, Clone)]
pub struct LeastSeen {
    pub first: Vec<ApiKey>,
    /// Number of the others.
    pub more: u64,
}

impl Directory {
    /// The merchant's keys of a role that can be used now: those that were never used first, then the least lately used, as
    /// far as it is written.
    ///
    /// # Errors
    /// The database's.
    pub async fn keys_least_seen(
        &self,
        merchant: &MerchantId,
        role: Role,
        most: u16,
    ) -> Result<LeastSeen, AccessError> {
        let (merchant, now) = (merchant.clone(), self.clock.now());
        let read = move |conn: &mut _| store::list_least_seen(conn, &merchant, role, now, most.into());
        let (all, first) = self.database.read(read).await?;
        Ok(LeastSeen { more: all.unsigned_abs().saturating_sub(first.len() as u64), first })
    }
}
