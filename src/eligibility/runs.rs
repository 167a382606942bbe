//! Long runs beside the checks: worked off step by step, so that whoever waits sees progress and
//! whoever goes away ends it; few at a time, so that checks keep the processors.

use std::collections::HashSet;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::chosen::TrialError;
use crate::database::DatabaseError;
use crate::ids::MerchantId;

/// How many run at once in a process.
const AT_ONCE: usize = 4;

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// How many were looked at.
    pub done: u64,
    /// How many there are to look at.
    pub of: u64,
}

/// Something long that is worked off in steps. Dropping it ends it.
pub trait Run {
    type Answer: Serialize;

    /// Does the next part; none when all is done.
    fn step(&mut self) -> impl Future<Output = Result<Option<Progress>, TrialError>> + Send;

    /// What came out, once [`Run::step`] has said that all is done; none of a run that broke off.
    fn finish(self) -> Option<Self::Answer>;
}

/// Who runs something now; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Runs {
    running: Arc<Mutex<HashSet<MerchantId>>>,
}

/// The right to run; given back when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    running: Arc<Mutex<HashSet<MerchantId>>>,
    merchant: MerchantId,
}

impl Runs {
    /// The merchant's turn, if it has none running and the process has room.
    pub(super) fn begin(&self, merchant: &MerchantId) -> Result<Turn, TrialError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.contains(merchant) {
            return Err(TrialError::Running);
        }
        if running.len() >= AT_ONCE {
            return Err(TrialError::Crowded);
        }
        running.insert(merchant.clone());
        Ok(Turn { running: self.running.clone(), merchant: merchant.clone() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.merchant);
    }
}

/// Runs what takes a processor for long off the async threads, which checks are answered on.
pub(super) async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, TrialError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| TrialError::Database(DatabaseError::Interrupted))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::entropy::Entropy;

    #[test]
    fn a_merchant_runs_one_at_a_time_and_the_process_a_few() {
        let entropy = Entropy::seeded(1);
        let merchants: Vec<_> = (0..=AT_ONCE).map(|_| MerchantId::new(Timestamp::UNIX_EPOCH, &entropy)).collect();
        let runs = Runs::default();
        let mut turns: Vec<_> = merchants.iter().take(AT_ONCE).map(|merchant| runs.begin(merchant).unwrap()).collect();
        assert!(matches!(runs.begin(&merchants[0]), Err(TrialError::Running)));
        assert!(matches!(runs.begin(&merchants[AT_ONCE]), Err(TrialError::Crowded)));
        drop(turns.remove(0));
        assert!(runs.begin(&merchants[AT_ONCE]).is_ok());
        assert!(runs.begin(&merchants[0]).is_ok());
    }
}
