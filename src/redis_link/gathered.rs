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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;

    use crate::redis_link::testing::RedisServer;
    use crate::redis_link::{RedisFault, RedisLinkError};

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_key_of_another_type_is_no_answer_to_those_beside_it() {
        let Some(server) = RedisServer::start(None) else { return };
        let link = server.link().await;
        let names: Vec<String> = (0..60).map(|nth| format!("k{nth}")).collect();
        for name in &names {
            link.set(name, name.as_bytes(), Duration::from_mins(1)).await.unwrap();
        }
        server.command(&["DEL", "perkgate:k30"]).await;
        server.command(&["RPUSH", "perkgate:k30", "not a string"]).await;
        // The first goes alone, and the others together behind it.
        let answers = join_all(names.iter().map(|name| link.get(name))).await;
        for (name, answer) in names.iter().zip(answers) {
            match answer {
                Ok(value) => assert_eq!((value.as_deref(), name == "k30"), (Some(name.as_bytes()), false)),
                Err(RedisLinkError::Fault(RedisFault::Refused { .. })) => assert_eq!(name, "k30"),
                Err(error) => panic!("{name}: {error}"),
            }
        }
        assert_eq!(link.get("k31").await, Ok(Some(b"k31".to_vec())), "nor for long");
    }
}
