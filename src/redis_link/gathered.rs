//! Commands that are sent together: while one lot is under way, the next gathers, and goes as one pipeline. There is no
//! timer: a command that comes alone goes alone.

use std::sync::Weak;

use redis::Value;
use tokio::sync::{mpsc, oneshot};

use super::fault::{RedisFault, Step};
use super::{Inner, timed};

/// The most commands of one lot.
const MOST: usize = 500;

/// A command, and where its answer goes.
pub(super) struct Gathered {
    pub step: Step,
    pub command: redis::Cmd,
    pub answer: oneshot::Sender<Result<Value, RedisFault>>,
}

/// Sends what comes, lot by lot, until the link is dropped.
pub(super) async fn send_lots(inner: Weak<Inner>, mut commands: mpsc::UnboundedReceiver<Gathered>) {
    let mut lot = Vec::new();
    while commands.recv_many(&mut lot, MOST).await > 0 {
        let Some(inner) = inner.upgrade() else { return };
        if inner.send_lot(&mut lot).await == Err(RedisFault::Silent) {
            // They have waited as long, and it would not answer them either.
            while let Ok(waiting) = commands.try_recv() {
                inner.answer(waiting, Err(RedisFault::Silent));
            }
        }
    }
}

impl Inner {
    /// Sends the commands and hands out their answers; the error is one that all of them have.
    async fn send_lot(&self, lot: &mut Vec<Gathered>) -> Result<(), RedisFault> {
        let mut pipeline = redis::pipe();
        // One key may hold what its command is not for; that is no answer to the others.
        pipeline.ignore_errors();
        for gathered in &*lot {
            pipeline.add_command(gathered.command.clone());
        }
        let mut manager = self.manager();
        let sent = async move { pipeline.query_async::<Vec<redis::RedisResult<Value>>>(&mut manager).await };
        let answers = timed(Step::Read, self.config.response_timeout, sent).await;
        let all = answers.as_ref().map(drop).map_err(RedisFault::clone);
        // An answer that is missing is none of a Redis.
        let fault = answers.as_ref().err().cloned().unwrap_or(RedisFault::NotRedis);
        let mut answers = answers.unwrap_or_default().into_iter();
        for gathered in lot.drain(..) {
            let answer = match answers.next() {
                Some(answer) => answer.map_err(|error| RedisFault::of(error, &[gathered.step])),
                None => Err(fault.clone()),
            };
            self.answer(gathered, answer);
        }
        all
    }

    fn answer(&self, gathered: Gathered, answer: Result<Value, RedisFault>) {
        self.health.note_command(answer.as_ref().err());
        // Who asked may have left.
        let _ = gathered.answer.send(answer);
    }
}
