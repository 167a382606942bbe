//! The longest time a request may take, whatever hangs behind it.
//!
//! One deadline for all of it, because bounds on its parts add up: waiting for a connection, for a statement, for
//! the ledger. What has to take long (an import, an export, a report, a trial) shows that it goes on instead.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{Error, HttpMessage as _, HttpRequest, HttpResponse};

use super::problem::Problem;
use crate::database::DatabaseError;
use crate::eligibility::rule_selection::TrialError;
use crate::eligibility::runs::{Run, RunProgress};
use crate::settings::Timeouts;

/// Why a request was given up.
#[derive(Debug, thiserror::Error)]
#[error("it was not done within its time")]
pub(crate) struct Late;

/// The answer to a refusal, in the form that its reader takes.
type Form = Box<dyn Fn(&Problem) -> HttpResponse>;

/// Until when a request may go on; cheap to clone.
#[derive(Clone)]
pub(crate) struct Deadline {
    until: Rc<Cell<Instant>>,
    timeouts: Timeouts,
    /// None where a refusal is a problem in JSON.
    form: Rc<RefCell<Option<Form>>>,
}

impl Deadline {
    /// For a request whose head has come. While its body comes, the client has its own time for that.
    pub(crate) fn of_head(headers: &HeaderMap, timeouts: &Timeouts) -> Self {
        let has_body = headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING);
        let body = if has_body { timeouts.body } else { Duration::ZERO };
        let until = Rc::new(Cell::new(Instant::now() + body + timeouts.request));
        Self { until, timeouts: *timeouts, form: Rc::default() }
    }

    /// Says in which form its reader is answered once it has passed: the request itself is not there any more then.
    /// The last word counts: more is known of a reader as their request comes further.
    pub(crate) fn answer_with(req: &HttpRequest, form: impl Fn(&Problem) -> HttpResponse + 'static) {
        if let Some(Self { form: own, .. }) = req.extensions().get::<Self>() {
            *own.borrow_mut() = Some(Box::new(form));
        }
    }

    /// The answer to a refusal that came without the request; none where it is a problem in JSON.
    pub(crate) fn answer(&self, problem: &Problem) -> Option<HttpResponse> {
        self.form.borrow().as_ref().map(|form| form(problem))
    }

    /// The whole body is in: from now on it is our time.
    pub(crate) fn body_came(req: &HttpRequest) {
        Self::extend(req, |timeouts| timeouts.request);
    }

    /// A request that may take long waits for the next piece of its body, and the client has its own time for that.
    pub(crate) fn awaits_body(req: &HttpRequest) {
        Self::extend(req, |timeouts| timeouts.body + timeouts.stall());
    }

    /// A request that may take long has come further.
    pub(crate) fn progress(req: &HttpRequest) {
        Self::extend(req, Timeouts::stall);
    }

    fn extend(req: &HttpRequest, patience: impl Fn(&Timeouts) -> Duration) {
        if let Some(Self { until, timeouts, .. }) = req.extensions().get::<Self>() {
            until.set(Instant::now() + patience(timeouts));
        }
    }

    /// The outcome of `work`, or a problem once the deadline has passed. Reading is then dropped; whatever may
    /// change something goes on to its end, so that it leaves no claim behind, but nobody waits for it.
    pub(crate) async fn bound<T: 'static>(
        &self,
        method: &Method,
        work: impl Future<Output = Result<T, Error>> + 'static,
    ) -> Result<T, Error> {
        let mut work = Box::pin(work);
        loop {
            let until = self.until.get();
            match tokio::time::timeout_at(until.into(), &mut work).await {
                Ok(done) => return done,
                Err(_) if self.until.get() > until => {}
                Err(_) if method.is_safe() => return Err(Problem::unavailable(&Late).into()),
                Err(_) => {
                    actix_web::rt::spawn(async move { drop(work.await) });
                    return Err(Problem::in_doubt(&Late).into());
                }
            }
        }
    }
}

/// About how many times a run says how far it has come. So little fits into the connection's buffers: a run is worked off
/// also for a client that remains connected and doesn't read, which would hold the merchant's turn otherwise.
const REPORTS: u64 = 200;

/// A run that has come further, or its answer.
pub(crate) enum Advance<R: Run> {
    Further(R, RunProgress),
    Done(R::Answer),
}

/// Works a run off until it has something to say, having said that it had come to `reported`.
///
/// # Errors
/// The run's, and 503 when nothing came of a step for `stall`.
pub(crate) async fn advance<R: Run>(mut run: R, reported: u64, stall: Duration) -> Result<Advance<R>, Problem> {
    while let Some(progress) = within(stall, run.step()).await?? {
        if progress.done >= reported + progress.of / REPORTS {
            return Ok(Advance::Further(run, progress));
        }
    }
    let answer = run.finish().ok_or(TrialError::Database(DatabaseError::Interrupted))?;
    Ok(Advance::Done(answer))
}

/// The outcome of one step of something that streams.
///
/// # Errors
/// 503 when nothing came of it for `stall`.
pub(crate) async fn within<T>(stall: Duration, step: impl Future<Output = T>) -> Result<T, Problem> {
    tokio::time::timeout(stall, step).await.map_err(|_| Problem::unavailable(&Late))
}
