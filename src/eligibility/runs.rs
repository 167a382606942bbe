//! Long runs beside the checks: worked off step by step, so that a client who waits sees progress and
//! one who goes away ends it; few at a time, so that checks keep the processors.

use std::collections::HashSet;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use serde::Serialize;
use tokio::sync::oneshot;

use super::rule_selection::TrialError;
use crate::database::DatabaseError;
use crate::foundation::ids::MerchantId;

/// The most runs at once in a process.
const AT_ONCE: usize = 4;

/// The progress of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RunProgress {
    /// Number of items that were looked at.
    pub done: u64,
    /// Number of items to look at.
    pub of: u64,
}

/// Something long that is worked off in steps. Dropping it ends it.
pub trait Run {
    type Answer: Serialize;

    /// Does the next part; none when all is done.
    fn step(&mut self) -> impl Future<Output = Result<Option<RunProgress>, TrialError>> + Send;

    /// The result, once [`Run::step`] has said that all is done; none of a run that broke off.
    fn finish(self) -> Option<Self::Answer>;
}

/// The merchants that run something now; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Runs {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    running: HashSet<MerchantId>,
    /// The threads of runs that are over, the last one on top: the next run takes that.
    idle: Vec<RunThread>,
}

/// The right to run, with a thread to run on; given back when dropped.
#[derive(Debug)]
pub(super) struct RunPermit {
    state: Arc<Mutex<State>>,
    merchant: MerchantId,
    thread: Option<RunThread>,
}

/// A thread that works off the steps of one run after another. The allocator keeps what a thread has freed for
/// that thread's next use, so steps on whichever thread of a pool is free would let each of them come to hold as much
/// as a whole run needs, and none of it would be given back.
#[derive(Debug)]
struct RunThread(mpsc::Sender<Job>);

type Job = Box<dyn FnOnce() + Send>;

impl RunThread {
    fn start() -> std::io::Result<Self> {
        let (jobs, taken) = mpsc::channel::<Job>();
        std::thread::Builder::new().name("run".to_owned()).spawn(move || {
            for job in taken {
                // A run that fails must not take the thread from the next one; its caller gets no answer.
                let _ = catch_unwind(AssertUnwindSafe(job));
            }
        })?;
        Ok(Self(jobs))
    }
}

impl Runs {
    /// The merchant's permit, if it has none running and the process has room.
    pub(super) fn begin(&self, merchant: &MerchantId) -> Result<RunPermit, TrialError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.running.contains(merchant) {
            return Err(TrialError::Running);
        }
        if state.running.len() >= AT_ONCE {
            return Err(TrialError::Crowded);
        }
        let thread = match state.idle.pop() {
            Some(thread) => thread,
            None => RunThread::start().map_err(|_| TrialError::Crowded)?,
        };
        state.running.insert(merchant.clone());
        Ok(RunPermit { state: self.state.clone(), merchant: merchant.clone(), thread: Some(thread) })
    }
}

impl RunPermit {
    /// Runs a step, or a part of one, on the run's own thread.
    pub(super) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, TrialError> {
        let (done, answer) = oneshot::channel();
        let job: Job = Box::new(move || drop(done.send(work())));
        let sent = self.thread.as_ref().is_some_and(|thread| thread.0.send(job).is_ok());
        match answer.await {
            Ok(answer) if sent => Ok(answer),
            _ => Err(TrialError::Database(DatabaseError::Interrupted)),
        }
    }
}

impl Drop for RunPermit {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.running.remove(&self.merchant);
        state.idle.extend(self.thread.take());
    }
}

/// Runs what takes a processor for a moment off the async threads, which checks are answered on; what takes long has a
/// [`RunPermit`].
pub(super) async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, TrialError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| TrialError::Database(DatabaseError::Interrupted))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::foundation::entropy::Entropy;

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

    #[tokio::test]
    async fn runs_one_after_another_have_one_thread_and_a_failure_keeps_it() {
        let entropy = Entropy::seeded(1);
        let merchant = MerchantId::new(Timestamp::UNIX_EPOCH, &entropy);
        let runs = Runs::default();
        let thread = || std::thread::current().id();
        let first = runs.begin(&merchant).unwrap();
        let id = first.compute(thread).await.unwrap();
        assert_eq!(first.compute(thread).await.unwrap(), id);
        let failed = first.compute(|| std::panic::resume_unwind(Box::new("a step fails"))).await;
        assert!(matches!(failed, Err::<(), _>(TrialError::Database(DatabaseError::Interrupted))));
        drop(first);
        let second = runs.begin(&merchant).unwrap();
        assert_eq!(second.compute(thread).await.unwrap(), id);
    }
}
