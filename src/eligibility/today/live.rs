//! Decisions as they happen: read off the log, in its order, after they were committed. So each is shown once, whichever
//! replica made it, and no check waits for who looks on.

use std::collections::{BTreeSet, HashMap};

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::database::{AnyConnection, DatabaseError};
use crate::decision::reason::ReasonCode;
use crate::decision::trace::{Trace, trace};
use crate::eligibility::replay::facts::facts_of;
use crate::eligibility::watches::{News, Watches};
use crate::foundation::ids::{CheckId, MerchantId, PerkId};
use crate::foundation::subject::SubjectHandle;
use crate::ledger::Ledger;
use crate::ledger::read::decisions::PastCheck;
use crate::ledger::read::seen::{self, Seen, SeenCheck};
use crate::rules::rule::Rule;

/// Shows decisions as they happen.
pub struct Live {
    ledger: Ledger,
    sizes: Watches<MerchantId, i64>,
}

/// A merchant's log as it grows.
pub struct Growing {
    sizes: watch::Receiver<i64>,
}

impl Growing {
    /// Waits until something was recorded. None when nobody looks any more.
    pub async fn grown(&mut self) -> Option<()> {
        self.sizes.changed().await.ok()?;
        self.sizes.borrow_and_update();
        Some(())
    }
}

impl Live {
    pub(crate) fn new(ledger: Ledger, handle: Handle) -> Self {
        Self { ledger, sizes: Watches::new(handle) }
    }

    /// Watches the merchant's log.
    ///
    /// # Errors
    /// The database's.
    pub async fn watch(&self, merchant: &MerchantId) -> Result<Growing, DatabaseError> {
        let (of, database) = (merchant.clone(), self.ledger.context().database.clone());
        let look = move || {
            let (of, database) = (of.clone(), database.clone());
            async move { database.read(move |conn| seen::log_size(conn, &of)).await.map(Some) }
        };
        let Some(now) = look().await? else { return Err(DatabaseError::Interrupted) };
        Ok(Growing { sizes: self.sizes.watch(merchant.clone(), now, NEWS, look) })
    }

    /// The newest `most` decisions about a perk, the oldest first: from an index of the log on, and how many others there
    /// were since; or of late, where none is given. Handles are for those who may see them.
    ///
    /// # Errors
    /// The database's.
    pub async fn newest(
        &self,
        (merchant, perk): (&MerchantId, &PerkId),
        from: Option<i64>,
        most: usize,
        sees_handles: bool,
    ) -> Result<Seen, DatabaseError> {
        let (of, perk, keyring) = (merchant.clone(), perk.clone(), self.ledger.context().keyring.clone());
        self.read(move |conn| seen::list_newest(conn, &keyring, (&of, &perk), from, most, sees_handles)).await
    }

    /// One decision; none if the merchant has none of this id, or it is pruned.
    ///
    /// # Errors
    /// The database's.
    pub async fn find(
        &self,
        merchant: &MerchantId,
        check: &CheckId,
        sees_handles: bool,
    ) -> Result<Option<SeenCheck>, DatabaseError> {
        let (of, check, keyring) = (merchant.clone(), check.clone(), self.ledger.context().keyring.clone());
        self.read(move |conn| seen::find(conn, &keyring, &of, &check, sees_handles)).await
    }

    /// The handles behind pseudonyms of the merchant's events; none of those who were erased.
    ///
    /// # Errors
    /// The database's.
    pub async fn handles(
        &self,
        merchant: &MerchantId,
        pseudonyms: BTreeSet<String>,
    ) -> Result<HashMap<String, SubjectHandle>, DatabaseError> {
        let (of, keyring) = (merchant.clone(), self.ledger.context().keyring.clone());
        let found = self.read(move |conn| seen::handles_of(conn, &keyring, &of, &pseudonyms)).await?;
        Ok(found.into_iter().collect())
    }

    async fn read<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut AnyConnection) -> Result<T, DatabaseError> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        self.ledger.context().database.read(f).await
    }
}

/// A log only grows: what was seen later is never less.
const NEWS: News<i64> = News { is_later: has_grown, is_other: has_grown };

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that all watched things have")]
const fn has_grown(known: &i64, now: &i64) -> bool {
    *now > *known
}

/// A decision of the past taken apart by the rule that made it, of what it recorded. None where that is not all of it: once
/// its person was erased, for those who may not see what is personal, and where a person decided, or had paused or closed.
///
/// # Errors
/// [`DatabaseError::Corrupt`] when what was recorded can't have been.
pub fn trace_of(rule: &Rule, perk: &PerkId, past: &PastCheck) -> Result<Option<Trace>, DatabaseError> {
    let Some(personal) = past.personal.as_ref().filter(|_| past.rule_hash == rule.hash()) else { return Ok(None) };
    let by_hand =
        [ReasonCode::PerkPaused, ReasonCode::PlaceClosed, ReasonCode::GrantedByPerson].map(ReasonCode::as_str);
    if past.is_by_person || past.codes.iter().any(|code| by_hand.contains(&code.as_str())) {
        return Ok(None);
    }
    Ok(Some(trace(rule, &facts_of((rule, perk), past, personal)?, past.at)))
}
