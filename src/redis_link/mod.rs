//! The one managed connection to Redis: a key prefix, short time-outs, a breaker, and messages.
//!
//! - `gathered`: commands of the same moment, sent together
//! - `health`, `fault`: whether Redis can be used, and why not; `probe`: the commands that the gateway needs, tried
//! - `subscription`: the connection that receives messages
//!
//! Redis is never needed: every caller has another way to its answer, and takes an error here as
//! "not known". So nothing here waits long, and nothing here stops the gateway from starting. Nor are its
//! answers trusted: the size of values is bounded here, and callers authenticate their content.
//!
//! actix workers have a runtime each, and what is spawned there dies with the worker. The `redis`
//! crate spawns its driver on whichever runtime happens to poll it while it (re)connects, so every
//! command is sent by a task of the main runtime, and callers of any runtime wait for that.

mod fault;
mod gathered;
mod health;
mod probe;
mod subscription;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;

pub use fault::RedisFault;
use fault::Step;
use gathered::{Gathered, send_lots};
use health::Health;
pub use probe::diagnose;
use subscription::listen;

/// The longest value that is read, in bytes: someone may have put a long one under our key.
const LONGEST_VALUE: usize = 255;
/// The interval between heartbeats; also the longest that a Redis that came back goes unnoticed.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// The least time between two heartbeats, no matter who asks for one.
const HEARTBEAT_PAUSE: Duration = Duration::from_millis(50);
const RESUBSCRIBE_DELAY_MIN: Duration = Duration::from_millis(100);
const RESUBSCRIBE_DELAY_MAX: Duration = Duration::from_secs(2);
/// Commands for many keys at once get up to so many times the usual response time, one time more for
/// each hundred keys.
const BULK_TIMEOUT_FACTOR: u32 = 10;
const BULK_STEP: usize = 100;

/// Where Redis is and how long to wait for it.
#[derive(Clone)]
pub struct RedisConfig {
    /// `redis://…` or `rediss://…`; it may hold a password.
    pub url: SecretString,
    /// Stands before every key and channel: `perkgate:`.
    pub prefix: String,
    pub response_timeout: Duration,
    pub connect_timeout: Duration,
}

impl RedisConfig {
    /// The usual prefix and time-outs (100 ms for an answer, 1 s to connect).
    #[must_use]
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            prefix: "perkgate:".to_owned(),
            response_timeout: Duration::from_millis(100),
            connect_timeout: Duration::from_secs(1),
        }
    }
}

/// Why Redis gave no answer. No text holds the URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedisLinkError {
    #[error("a Redis URL is `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`, or `rediss://…` for TLS")]
    Url,
    /// It failed before and is not asked again until a heartbeat succeeds.
    #[error("Redis can't be used")]
    Down,
    #[error("Redis can't be used: {0}")]
    Fault(#[from] RedisFault),
    /// The runtime that drives the connection is shutting down.
    #[error("the connection to Redis is closed")]
    Closed,
}

/// An event that is reported to a subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Subscribed, for the first time or again: whatever was said before then was not heard.
    Connected,
    Message(Vec<u8>),
}

/// A handle of the connection; cheap to clone. The last clone ends the heartbeat.
#[derive(Clone)]
pub struct RedisLink {
    inner: Arc<Inner>,
}

struct Inner {
    client: redis::Client,
    manager: ArcSwap<ConnectionManager>,
    config: RedisConfig,
    handle: Handle,
    health: Arc<Health>,
    commands: mpsc::UnboundedSender<Gathered>,
}

impl fmt::Debug for RedisLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLink").field("up", &self.is_up()).finish_non_exhaustive()
    }
}

/// Ends its background task when dropped.
#[derive(Debug)]
#[must_use = "the subscription ends when this is dropped"]
pub struct Subscription(AbortHandle);

impl Drop for Subscription {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl RedisLink {
    /// A link that connects in the background, on `handle`'s runtime (the main one: it must
    /// outlive every caller). Redis may be down.
    ///
    /// # Errors
    /// [`RedisLinkError::Url`]; nothing else is tried yet.
    pub fn new(config: RedisConfig, handle: Handle) -> Result<Self, RedisLinkError> {
        let client = redis::Client::open(config.url.expose_secret()).map_err(|_| RedisLinkError::Url)?;
        let manager = {
            let _main = handle.enter();
            ArcSwap::from_pointee(manage(&client, &config).map_err(|e| RedisFault::of(e, &[]))?)
        };
        let health = Arc::new(Health::new());
        let (commands, gathering) = mpsc::unbounded_channel();
        let inner = Arc::new(Inner { client, manager, config, handle, health, commands });
        inner.handle.spawn(send_lots(Arc::downgrade(&inner), gathering));
        let weak = Arc::downgrade(&inner);
        inner.handle.spawn(async move {
            while let Some(inner) = weak.upgrade() {
                inner.beat().await;
                let health = inner.health.clone();
                drop(inner);
                tokio::time::sleep(HEARTBEAT_PAUSE).await;
                let _ = timeout(HEARTBEAT.saturating_sub(HEARTBEAT_PAUSE), health.wake.notified()).await;
            }
        });
        Ok(Self { inner })
    }

    /// True if all that is needed of Redis worked when it was last tried.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.inner.health.found().is_ok()
    }

    /// The fault, if something doesn't work; none when Redis is used in full.
    #[must_use]
    pub fn fault(&self) -> Option<RedisFault> {
        self.inner.health.fault()
    }

    /// Waits until Redis works, `at_most` so long, and says whether it does. For starting up.
    pub async fn wait_until_up(&self, at_most: Duration) -> bool {
        let mut state = self.inner.health.watch();
        let found = timeout(at_most, state.wait_for(|state| state.found.is_ok())).await;
        matches!(found, Ok(Ok(_)))
    }

    /// Waits until it is known whether Redis works.
    pub async fn wait_until_known(&self) {
        let mut state = self.inner.health.watch();
        let _ = state.wait_for(|state| state.found != Err(RedisFault::NotAsked)).await;
    }

    /// The value under `key`; an empty one is none, and of a long one only the beginning is read.
    ///
    /// # Errors
    /// [`RedisLinkError`], as for every command here.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, RedisLinkError> {
        let value =
            self.run(Step::Read, redis::cmd("GETRANGE").arg(self.prefixed(key)).arg(0).arg(LONGEST_VALUE)).await;
        value.map(|value: Vec<u8>| (!value.is_empty()).then_some(value))
    }

    /// Puts `value` under `key` for `ttl`, in place of whatever is there.
    ///
    /// # Errors
    /// [`RedisLinkError`].
    pub async fn set(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), RedisLinkError> {
        self.run(Step::Write, redis::cmd("SET").arg(self.prefixed(key)).arg(value).arg("PX").arg(millis(ttl))).await
    }

    /// Puts `value` under `key` for `ttl` if nothing is there; says whether it did.
    ///
    /// # Errors
    /// [`RedisLinkError`].
    pub async fn set_if_absent(&self, key: &str, value: &[u8], ttl: Duration) -> Result<bool, RedisLinkError> {
        let mut command = redis::cmd("SET");
        command.arg(self.prefixed(key)).arg(value).arg("NX").arg("PX").arg(millis(ttl));
        self.run::<Option<String>>(Step::Write, &command).await.map(|answer| answer.is_some())
    }

    /// [`RedisLink::set`] with one value for many keys, in one round trip.
    ///
    /// # Errors
    /// [`RedisLinkError`]; some of the keys may be set then.
    pub async fn set_all<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a str>,
        value: &[u8],
        ttl: Duration,
    ) -> Result<(), RedisLinkError> {
        let mut commands = redis::pipe();
        for key in keys {
            commands.cmd("SET").arg(self.prefixed(key)).arg(value).arg("PX").arg(millis(ttl)).ignore();
        }
        self.run_all(Step::Write, commands).await
    }

    /// Removes keys, in one round trip: a Redis that takes no values may still do that.
    ///
    /// # Errors
    /// [`RedisLinkError`]; some of the keys may be deleted then.
    pub async fn delete_all<'a>(&self, keys: impl IntoIterator<Item = &'a str>) -> Result<(), RedisLinkError> {
        let mut commands = redis::pipe();
        for key in keys {
            commands.del(self.prefixed(key)).ignore();
        }
        self.run_all(Step::Delete, commands).await
    }

    /// Removes `key`.
    ///
    /// # Errors
    /// [`RedisLinkError`].
    pub async fn delete(&self, key: &str) -> Result<(), RedisLinkError> {
        self.run(Step::Delete, &redis::Cmd::del(self.prefixed(key))).await
    }

    /// Says `message` to everyone who is subscribed to `channel` now.
    ///
    /// # Errors
    /// [`RedisLinkError`].
    pub async fn publish(&self, channel: &str, message: &[u8]) -> Result<(), RedisLinkError> {
        self.run(Step::Publish, redis::cmd("PUBLISH").arg(self.prefixed(channel)).arg(message)).await
    }

    /// Tells `listener` what is said on `channel`, until the answer is dropped. The connection is
    /// its own and is made again when it breaks: [`Heard::Connected`] says that messages may have
    /// been missed. `listener` runs on the main runtime and must not block.
    pub fn subscribe(&self, channel: &str, mut listener: impl FnMut(Heard) + Send + 'static) -> Subscription {
        let (client, connect_timeout) = (self.inner.client.clone(), self.inner.config.connect_timeout);
        let (channel, health) = (self.prefixed(channel), self.inner.health.clone());
        let task = self.inner.handle.spawn(async move {
            let mut delay = RESUBSCRIBE_DELAY_MIN;
            loop {
                if listen(&client, &channel, connect_timeout, &health, &mut listener).await {
                    delay = RESUBSCRIBE_DELAY_MIN;
                }
                tokio::time::sleep(delay).await;
                delay = (delay * 2).min(RESUBSCRIBE_DELAY_MAX);
            }
        });
        Subscription(task.abort_handle())
    }

    /// Does `work` after each heartbeat that found everything working, until the answer is dropped.
    pub fn each_beat<F: Future<Output = ()> + Send>(&self, work: impl Fn() -> F + Send + 'static) -> Subscription {
        let mut beats = self.inner.health.beats.subscribe();
        let task = self.inner.handle.spawn(async move {
            // Ends with the link, too.
            while beats.changed().await.is_ok() {
                work().await;
            }
        });
        Subscription(task.abort_handle())
    }

    fn prefixed(&self, key: &str) -> String {
        format!("{}{key}", self.inner.config.prefix)
    }

    async fn run<T: redis::FromRedisValue + Send + 'static>(
        &self,
        step: Step,
        command: &redis::Cmd,
    ) -> Result<T, RedisLinkError> {
        self.may_work(step)?;
        let (answer, answered) = oneshot::channel();
        let gathered = Gathered { step, command: command.clone(), answer };
        self.inner.commands.send(gathered).map_err(|_| RedisLinkError::Closed)?;
        let value = answered.await.map_err(|_| RedisLinkError::Closed)??;
        Ok(T::from_redis_value(value).map_err(|error| RedisFault::of(error.into(), &[step]))?)
    }

    /// Refuses a step that would not work.
    fn may_work(&self, step: Step) -> Result<(), RedisLinkError> {
        let Err(fault) = self.inner.health.found() else { return Ok(()) };
        // What is taken back, and what is said about it, may get through where nothing else does.
        let may_work = fault.is_refusal() && matches!(step, Step::Delete | Step::Publish);
        if may_work { Ok(()) } else { Err(RedisLinkError::Down) }
    }

    async fn run_all(&self, step: Step, commands: redis::Pipeline) -> Result<(), RedisLinkError> {
        let mut manager = self.inner.manager();
        let steps = u32::try_from(commands.len() / BULK_STEP).unwrap_or(u32::MAX).saturating_add(1);
        let at_most = self.inner.config.response_timeout * steps.min(BULK_TIMEOUT_FACTOR);
        self.guarded(step, at_most, async move { commands.query_async::<()>(&mut manager).await }).await
    }

    async fn guarded<T: Send + 'static>(
        &self,
        step: Step,
        at_most: Duration,
        command: impl Future<Output = redis::RedisResult<T>> + Send + 'static,
    ) -> Result<T, RedisLinkError> {
        self.may_work(step)?;
        let health = self.inner.health.clone();
        let task = self.inner.handle.spawn(async move {
            let found = timed(step, at_most, command).await;
            health.note_command(found.as_ref().err());
            found
        });
        Ok(task.await.map_err(|_| RedisLinkError::Closed)??)
    }
}

impl Inner {
    fn manager(&self) -> ConnectionManager {
        ConnectionManager::clone(&self.manager.load())
    }

    /// Tries everything, and connects again when nothing answers. The manager does that by itself only
    /// when its connection is reported broken: one that died without a word (a host that lost its
    /// power, a firewall that forgot) just times out, for as long as TCP likes.
    async fn beat(&self) {
        let mut manager = self.manager();
        // It may have to connect first.
        let at_most = self.config.connect_timeout + self.config.response_timeout;
        let probed = timeout(at_most, probe::probe(&mut manager, &self.config.prefix)).await;
        let found = probed.unwrap_or(Err(RedisFault::Silent));
        if found.as_ref().is_err_and(|fault| !fault.is_refusal())
            && let Ok(fresh) = manage(&self.client, &self.config)
        {
            self.manager.store(Arc::new(fresh));
        }
        self.health.note_beat(found);
    }
}

async fn timed<T>(
    step: Step,
    at_most: Duration,
    command: impl Future<Output = redis::RedisResult<T>>,
) -> Result<T, RedisFault> {
    match timeout(at_most, command).await {
        Err(_) => Err(RedisFault::Silent),
        Ok(result) => result.map_err(|error| RedisFault::of(error, &[step])),
    }
}

/// A connection that is made when it is first used. Must be called inside the main runtime.
fn manage(client: &redis::Client, config: &RedisConfig) -> redis::RedisResult<ConnectionManager> {
    let settings = ConnectionManagerConfig::new()
        .set_response_timeout(Some(config.response_timeout * BULK_TIMEOUT_FACTOR))
        .set_connection_timeout(Some(config.connect_timeout))
        // The heartbeat is what tries again; a retry in here would only hold commands up.
        .set_number_of_retries(0)
        .set_max_delay(HEARTBEAT)
        .set_pipeline_buffer_size(1024);
    ConnectionManager::new_lazy_with_config(client.clone(), settings)
}

fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// The machine's own redis-server, for tests of this crate.
#[cfg(test)]
pub(crate) mod testing {
    use std::net::{TcpListener, TcpStream};
    use std::process::{Child, Command, Stdio};
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Instant;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    pub(crate) struct RedisServer {
        child: Child,
        port: u16,
        dir: tempfile::TempDir,
        password: Option<&'static str>,
    }

    impl RedisServer {
        /// None, and a sentence saying so, on a machine that has no redis-server.
        pub(crate) fn start(password: Option<&'static str>) -> Option<Self> {
            let dir = tempfile::tempdir().unwrap();
            let port = free_port();
            match spawn(port, &dir, password) {
                Ok(child) => Some(Self { child, port, dir, password }),
                Err(error) => {
                    #[expect(clippy::disallowed_methods, reason = "a test's own switch, not a setting")]
                    let required = std::env::var("PERKGATE_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
                    assert!(!required, "redis-server can't be started: {error}");
                    println!("skipped: redis-server can't be started here ({error})");
                    None
                }
            }
        }

        pub(crate) fn config(&self) -> RedisConfig {
            let login = self.password.map(|password| format!(":{password}@")).unwrap_or_default();
            config(&format!("redis://{login}127.0.0.1:{}/", self.port))
        }

        pub(crate) async fn link(&self) -> RedisLink {
            let link = RedisLink::new(self.config(), Handle::current()).unwrap();
            assert!(link.wait_until_up(PATIENCE).await, "redis-server never answered");
            link
        }

        /// Has it run a command, as its operator would.
        pub(crate) async fn command(&self, words: &[&str]) {
            let client = redis::Client::open(self.config().url.expose_secret()).unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            let mut command = redis::Cmd::new();
            command.arg(words);
            command.query_async::<redis::Value>(&mut connection).await.unwrap();
        }

        pub(crate) fn stop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }

        /// Starts it where it was, and waits until it listens. One that ends at once found its port taken: again.
        pub(crate) fn start_again(&mut self) {
            let deadline = Instant::now() + PATIENCE;
            self.child = spawn(self.port, &self.dir, self.password).unwrap();
            while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
                let ended = self.child.try_wait().unwrap();
                assert!(Instant::now() < deadline, "redis-server does not listen on {} again: {ended:?}", self.port);
                if ended.is_some() {
                    self.child = spawn(self.port, &self.dir, self.password).unwrap();
                }
                std::thread::yield_now();
            }
        }
    }

    impl Drop for RedisServer {
        fn drop(&mut self) {
            self.stop();
        }
    }

    /// Patient time-outs: these tests share two cores with others.
    pub(crate) fn config(url: &str) -> RedisConfig {
        RedisConfig { response_timeout: Duration::from_secs(2), ..RedisConfig::new(url.to_owned().into()) }
    }

    /// A port that nobody listens on, and that the system gives to nobody who asks for any (on Linux those begin at
    /// 32768): a test that stops its server finds its port free again.
    pub(crate) fn free_port() -> u16 {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let first = std::process::id().wrapping_mul(97);
        let candidates = std::iter::repeat_with(|| first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)));
        let mut ports = candidates.map(|number| u16::try_from(20_000 + number % 10_000).unwrap());
        ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
    }

    fn spawn(port: u16, dir: &tempfile::TempDir, password: Option<&str>) -> std::io::Result<Child> {
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"]);
        command.arg(dir.path()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(password) = password {
            command.args(["--requirepass", password]);
        }
        command.spawn()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{RedisServer, config, free_port};
    use super::*;
    use crate::redis_link::health::FAILURES_TO_OPEN;

    const MINUTE: Duration = Duration::from_mins(1);

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn values_are_set_once_replaced_and_deleted() {
        let Some(server) = RedisServer::start(None) else { return };
        let link = server.link().await;
        assert_eq!(link.get("k").await, Ok(None));
        assert_eq!(link.set_if_absent("k", b"a\0\xFF", MINUTE).await, Ok(true));
        assert_eq!(link.set_if_absent("k", b"b", MINUTE).await, Ok(false));
        assert_eq!(link.get("k").await, Ok(Some(b"a\0\xFF".to_vec())));
        link.set("k", b"c", MINUTE).await.unwrap();
        link.set_all(["k", "l"], b"d", MINUTE).await.unwrap();
        assert_eq!(link.get("k").await, Ok(Some(b"d".to_vec())));
        assert_eq!(link.get("l").await, Ok(Some(b"d".to_vec())));
        link.delete("k").await.unwrap();
        assert_eq!(link.get("k").await, Ok(None));
        let other = RedisLink::new(RedisConfig { prefix: "other:".into(), ..server.config() }, Handle::current());
        let other = other.unwrap();
        assert!(other.wait_until_up(MINUTE).await);
        assert_eq!(other.get("l").await, Ok(None));
    }

    #[test]
    fn a_workers_runtime_may_end_and_the_connection_lives_on() {
        let Some(mut server) = RedisServer::start(None) else { return };
        let main = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let link = main.block_on(server.link());
        let on_a_worker = |link: RedisLink, key: &'static str| {
            std::thread::spawn(move || {
                let worker = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                worker.block_on(async {
                    // After a restart the first commands find the connection broken, and one of
                    // them makes it again: that one must not take it into its grave.
                    while link.set(key, b"v", MINUTE).await.is_err() {
                        link.wait_until_up(MINUTE).await;
                    }
                });
            })
            .join()
            .unwrap();
        };
        on_a_worker(link.clone(), "a");
        assert_eq!(main.block_on(link.get("a")), Ok(Some(b"v".to_vec())));
        server.stop();
        server.start_again();
        on_a_worker(link.clone(), "b");
        assert_eq!(main.block_on(link.get("b")), Ok(Some(b"v".to_vec())));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_dead_redis_is_not_asked_until_it_is_back() {
        let Some(mut server) = RedisServer::start(None) else { return };
        let link = server.link().await;
        server.stop();
        let mut failures = 0;
        while link.get("k").await != Err(RedisLinkError::Down) {
            failures += 1;
        }
        assert!(failures <= FAILURES_TO_OPEN, "{failures} callers paid for a dead Redis");
        assert!(!link.is_up());
        server.start_again();
        assert!(link.wait_until_up(MINUTE).await);
        assert_eq!(link.get("k").await, Ok(None));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn starting_without_redis_works_and_costs_nothing() {
        let link = RedisLink::new(config(&format!("redis://127.0.0.1:{}/", free_port())), Handle::current()).unwrap();
        assert_eq!(link.get("k").await, Err(RedisLinkError::Down));
        assert!(!link.wait_until_up(Duration::from_millis(1)).await);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_silent_redis_is_given_up_on() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}/", silent.local_addr().unwrap());
        let patience = Duration::from_millis(20);
        let quick = RedisConfig { response_timeout: patience, connect_timeout: patience, ..config(&url) };
        let link = RedisLink::new(quick, Handle::current()).unwrap();
        // As if it had answered once: the callers find out that it doesn't any more.
        link.inner.health.note_beat(Ok(()));
        let mut answers = Vec::new();
        while answers.last() != Some(&Err(RedisLinkError::Down)) {
            answers.push(link.get("k").await);
        }
        assert!(answers.len() <= 4, "{answers:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_connection_that_died_without_a_word_is_made_again() {
        let Some(server) = RedisServer::start(None) else { return };
        let upstream = server.config().url.expose_secret().replace("redis://", "").replace('/', "");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}/", listener.local_addr().unwrap());
        // Passes on what is said, until it has to hold the line and say nothing more.
        let (silence, silenced) = tokio::sync::watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (upstream, mut silenced) = (upstream.clone(), silenced.clone());
                silenced.mark_unchanged();
                tokio::spawn(async move {
                    let mut far = tokio::net::TcpStream::connect(upstream).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => return,
                        _ = silenced.changed() => {}
                    }
                    std::future::pending::<()>().await;
                });
            }
        });
        let quick = RedisConfig { response_timeout: Duration::from_millis(200), ..config(&url) };
        let link = RedisLink::new(quick, Handle::current()).unwrap();
        assert!(link.wait_until_up(MINUTE).await);
        silence.send(1).unwrap();
        while link.get("k").await != Err(RedisLinkError::Down) {}
        assert!(link.wait_until_up(Duration::from_secs(20)).await);
        assert_eq!(link.get("k").await, Ok(None));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_redis_that_refuses_writes_is_not_read_either_and_still_sent_what_to_drop() {
        let Some(server) = RedisServer::start(None) else { return };
        let link = server.link().await;
        link.set("k", b"v", MINUTE).await.unwrap();
        server.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
        let refused = RedisFault::Refused { step: Step::Write, code: "OOM".to_owned() };
        let mut state = link.inner.health.watch();
        state.wait_for(|state| state.found == Err(refused.clone())).await.unwrap();
        assert_eq!((link.get("k").await, link.fault()), (Err(RedisLinkError::Down), Some(refused)));
        link.delete_all(["k"]).await.unwrap();
        server.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
        assert!(link.wait_until_up(MINUTE).await);
        assert_eq!((link.get("k").await, link.fault()), (Ok(None), None));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_channel_that_may_not_be_heard_is_said_and_the_rest_is_used() {
        let Some(server) = RedisServer::start(None) else { return };
        let link = server.link().await;
        server.command(&["ACL", "SETUSER", "default", "-subscribe"]).await;
        let (tell, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let _subscription = link.subscribe("news", move |what| drop(tell.send(what)));
        while link.fault().is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(link.fault().unwrap().code(), "redis_refuses_messages");
        assert!(link.is_up());
        server.command(&["ACL", "SETUSER", "default", "+subscribe"]).await;
        assert_eq!(heard.recv().await, Some(Heard::Connected));
        while link.fault().is_some() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_long_value_under_our_key_is_not_read_whole() {
        let Some(server) = RedisServer::start(None) else { return };
        let link = server.link().await;
        link.set("k", &vec![b'x'; 100_000], MINUTE).await.unwrap();
        assert_eq!(link.get("k").await.unwrap().unwrap().len(), LONGEST_VALUE + 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_subscriber_hears_messages_and_learns_when_it_may_have_missed_some() {
        let Some(mut server) = RedisServer::start(None) else { return };
        let link = server.link().await;
        let (tell, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let subscription = link.subscribe("news", move |what| drop(tell.send(what)));
        assert_eq!(heard.recv().await, Some(Heard::Connected));
        link.publish("news", b"one").await.unwrap();
        assert_eq!(heard.recv().await, Some(Heard::Message(b"one".to_vec())));
        server.stop();
        server.start_again();
        assert_eq!(heard.recv().await, Some(Heard::Connected));
        drop(subscription);
        assert_eq!(heard.recv().await, None);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_password_is_used_and_never_shown() {
        let Some(server) = RedisServer::start(Some("s3cret")) else { return };
        let link = server.link().await;
        assert_eq!(link.get("k").await, Ok(None));
        assert!(!format!("{link:?}").contains("s3cret"));
        let url = server.config().url.expose_secret().replace("s3cret", "wr0ng");
        let refused = RedisLink::new(config(&url), Handle::current()).unwrap();
        refused.wait_until_known().await;
        let fault = refused.fault().unwrap();
        assert_eq!(fault, RedisFault::Login);
        assert!(!format!("{fault} {fault:?}").contains("wr0ng"), "{fault:?}");
        let no_url = RedisLink::new(config("http://me:s3cret@x"), Handle::current()).unwrap_err();
        assert_eq!(no_url, RedisLinkError::Url);
    }
}
