//! Searches of logs at once: they read much, and checks of every merchant need the same connections.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::foundation::ids::MerchantId;

/// The most that run at once in a process; the others wait, without a connection.
const AT_ONCE: usize = 2;

/// The most of a merchant's that may run or wait: so one merchant's don't stand before all others'.
const OF_MERCHANT: usize = 8;

/// The searches that run or wait now; cheap to clone.
#[derive(Clone)]
pub(crate) struct Searches {
    places: Arc<Semaphore>,
    waiting: Arc<Mutex<HashMap<MerchantId, usize>>>,
}

/// The right to search, given back when dropped.
pub(crate) struct SearchPermit {
    _place: OwnedSemaphorePermit,
    _waiting: Waiting,
}

/// One of a merchant's that runs or waits.
struct Waiting {
    waiting: Arc<Mutex<HashMap<MerchantId, usize>>>,
    merchant: MerchantId,
}

impl Default for Searches {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(AT_ONCE)), waiting: Arc::default() }
    }
}

impl Searches {
    /// Waits for a place for the merchant; none when too many of its own wait already.
    pub(crate) async fn begin(&self, merchant: &MerchantId) -> Option<SearchPermit> {
        let waiting = self.wait(merchant)?;
        let place = self.places.clone().acquire_owned().await.ok()?;
        Some(SearchPermit { _place: place, _waiting: waiting })
    }

    fn wait(&self, merchant: &MerchantId) -> Option<Waiting> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.entry(merchant.clone()).or_default();
        if *count >= OF_MERCHANT {
            return None;
        }
        *count += 1;
        drop(waiting);
        Some(Waiting { waiting: self.waiting.clone(), merchant: merchant.clone() })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waiting.get_mut(&self.merchant) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.merchant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn few_run_others_wait_and_one_merchant_fills_only_its_own_places() {
        let merchant = |nth: u8| format!("mer_019abf3e5c1f7d0a8e4b2f6c1d3a5b7{nth}").parse::<MerchantId>().unwrap();
        let (one, other) = (merchant(1), merchant(2));
        let searches = Searches::default();
        let mut begun: Vec<_> = (0..OF_MERCHANT).map(|_| Box::pin(searches.begin(&one))).collect();
        let mut running: Vec<_> = begun.iter_mut().filter_map(|it| it.as_mut().now_or_never()).collect();
        assert_eq!(running.len(), AT_ONCE);
        assert!(matches!(searches.begin(&one).now_or_never(), Some(None)), "its places are taken");
        let mut theirs = Box::pin(searches.begin(&other));
        assert!(theirs.as_mut().now_or_never().is_none(), "it waits");
        // Those who give up make room.
        begun.drain(AT_ONCE..);
        assert!(theirs.as_mut().now_or_never().is_none());
        running.pop();
        assert!(matches!(theirs.as_mut().now_or_never(), Some(Some(_))));
        drop(theirs);
        running.clear();
        drop(begun);
        assert!(searches.waiting.lock().unwrap().is_empty());
    }
}
