//! The one managed connection to Redis: a key prefix, short time-outs, a breaker, and messages.
//!
//! Redis is never needed: every caller has another way to its answer, and takes an error here as
//! "not known". So nothing here waits long, and nothing here stops the gateway from starting.
//!
//! actix workers have a runtime each, and what is spawned there dies with the worker. The `redis`
//! crate spawns its driver on whichever runtime happens to poll it while it (re)connects, so every
//! command runs as a task of the main runtime, and callers of any runtime wait for that.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::StreamExt as _;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// So many failures in a row and nobody but the heartbeat asks any more.
const FAILURES_TO_OPEN: u32 = 3;
/// How often the heartbeat asks; also how long a Redis that came back goes unnoticed, at most.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// A connection that hears nothing may be dead without knowing it: messages would be missed.
const SUBSCRIPTION_PING: Duration = Duration::from_secs(5);
const RESUBSCRIBE_DELAY_MIN: Duration = Duration::from_millis(100);
const RESUBSCRIBE_DELAY_MAX: Duration = Duration::from_secs(2);
/// Commands for many keys at once get so many times the usual response time.
const BULK_TIMEOUT_FACTOR: u32 = 10;

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
    #[error("Redis is down")]
    Down,
    #[error("Redis did not answer in time")]
    TimedOut,
    #[error("Redis failed: {0}")]
    Failed(String),
    /// The runtime that drives the connection is shutting down.
    #[error("the connection to Redis is closed")]
    Closed,
}

/// What a subscriber is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Subscribed, for the first time or anew: whatever was said before then was not heard.
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
    failures: AtomicU32,
    /// Whether Redis may be asked. False until it first answered: a start without Redis then
    /// costs no request a time-out.
    up: watch::Sender<bool>,
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
            ArcSwap::from_pointee(manage(&client, &config).map_err(|e| failed(&e))?)
        };
        let inner = Arc::new(Inner {
            client,
            manager,
            config,
            handle,
            failures: AtomicU32::new(0),
            up: watch::Sender::new(false),
        });
        let weak = Arc::downgrade(&inner);
        inner.handle.spawn(async move {
            while let Some(inner) = weak.upgrade() {
                inner.beat().await;
                drop(inner);
                tokio::time::sleep(HEARTBEAT).await;
            }
        });
        Ok(Self { inner })
    }

    /// Whether Redis answered when it was last asked.
    #[must_use]
    pub fn is_up(&self) -> bool {
        *self.inner.up.borrow()
    }

    /// Waits until Redis answers, `at_most` so long, and says whether it does. For starting up.
    pub async fn wait_until_up(&self, at_most: Duration) -> bool {
        let mut up = self.inner.up.subscribe();
        let found = timeout(at_most, up.wait_for(|up| *up)).await;
        matches!(found, Ok(Ok(_)))
    }

    /// The value under `key`.
    ///
    /// # Errors
    /// [`RedisLinkError`], as for every command here.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, RedisLinkError> {
        self.run(&redis::Cmd::get(self.prefixed(key))).await
    }

    /// Puts `value` under `key` for `ttl`, in place of whatever is there.
    ///
    /// # Errors
    /// [`RedisLinkError`].
    pub async fn set(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), RedisLinkError> {
        self.run(redis::cmd("SET").arg(self.prefixed(key)).arg(value).arg("PX").arg(millis(ttl))).await
    }

    /// Puts `value` under `key` for `ttl` if nothing is there; says whether it did.
    ///
    /// # Errors
    /// [`RedisLinkError`].
    pub async fn set_if_absent(&self, key: &str, value: &[u8], ttl: Duration) -> Result<bool, RedisLinkError> {
        let mut command = redis::cmd("SET");
        command.arg(self.prefixed(key)).arg(value).arg("NX").arg("PX").arg(millis(ttl));
        self.run::<Option<String>>(&command).await.map(|answer| answer.is_some())
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
        let mut manager = self.inner.manager();
        let at_most = self.inner.config.response_timeout * BULK_TIMEOUT_FACTOR;
        self.guarded(at_most, async move { commands.query_async::<()>(&mut manager).await }).await
    }

    /// Removes `key`.
    ///
    /// # Errors
    /// [`RedisLinkError`].
    pub async fn delete(&self, key: &str) -> Result<(), RedisLinkError> {
        self.run(&redis::Cmd::del(self.prefixed(key))).await
    }

    /// Says `message` to whoever is subscribed to `channel` now.
    ///
    /// # Errors
    /// [`RedisLinkError`].
    pub async fn publish(&self, channel: &str, message: &[u8]) -> Result<(), RedisLinkError> {
        self.run(redis::cmd("PUBLISH").arg(self.prefixed(channel)).arg(message)).await
    }

    /// Tells `listener` what is said on `channel`, until the answer is dropped. The connection is
    /// its own and is made anew when it breaks: [`Heard::Connected`] says that messages may have
    /// been missed. `listener` runs on the main runtime and must not block.
    pub fn subscribe(&self, channel: &str, mut listener: impl FnMut(Heard) + Send + 'static) -> Subscription {
        let (client, connect_timeout) = (self.inner.client.clone(), self.inner.config.connect_timeout);
        let channel = self.prefixed(channel);
        let task = self.inner.handle.spawn(async move {
            let mut delay = RESUBSCRIBE_DELAY_MIN;
            loop {
                if listen(&client, &channel, connect_timeout, &mut listener).await {
                    delay = RESUBSCRIBE_DELAY_MIN;
                }
                tokio::time::sleep(delay).await;
                delay = (delay * 2).min(RESUBSCRIBE_DELAY_MAX);
            }
        });
        Subscription(task.abort_handle())
    }

    fn prefixed(&self, key: &str) -> String {
        format!("{}{key}", self.inner.config.prefix)
    }

    async fn run<T: redis::FromRedisValue + Send + 'static>(&self, command: &redis::Cmd) -> Result<T, RedisLinkError> {
        let (mut manager, command) = (self.inner.manager(), command.clone());
        self.guarded(self.inner.config.response_timeout, async move { command.query_async(&mut manager).await }).await
    }

    async fn guarded<T: Send + 'static>(
        &self,
        at_most: Duration,
        command: impl Future<Output = redis::RedisResult<T>> + Send + 'static,
    ) -> Result<T, RedisLinkError> {
        if !self.is_up() {
            return Err(RedisLinkError::Down);
        }
        let inner = self.inner.clone();
        let task = self.inner.handle.spawn(async move { inner.timed(at_most, command).await });
        task.await.unwrap_or(Err(RedisLinkError::Closed))
    }
}

impl Inner {
    fn manager(&self) -> ConnectionManager {
        ConnectionManager::clone(&self.manager.load())
    }

    /// Asks whether Redis answers, and connects anew when it doesn't. The manager does that by
    /// itself only when its connection is reported broken: one that died without a word (a host
    /// that lost its power, a firewall that forgot) just times out, for as long as TCP likes.
    async fn beat(&self) {
        let mut manager = self.manager();
        let ping = async move { redis::cmd("PING").query_async::<()>(&mut manager).await };
        // It may have to connect first.
        let at_most = self.config.connect_timeout + self.config.response_timeout;
        if self.timed(at_most, ping).await.is_err()
            && let Ok(fresh) = manage(&self.client, &self.config)
        {
            self.manager.store(Arc::new(fresh));
        }
    }

    async fn timed<T>(
        &self,
        at_most: Duration,
        command: impl Future<Output = redis::RedisResult<T>>,
    ) -> Result<T, RedisLinkError> {
        let result = match timeout(at_most, command).await {
            Err(_) => Err(RedisLinkError::TimedOut),
            Ok(result) => result.map_err(|e| failed(&e)),
        };
        self.note(result.as_ref().err());
        result
    }

    fn note(&self, error: Option<&RedisLinkError>) {
        let Some(error) = error else {
            self.failures.store(0, Ordering::Relaxed);
            if self.up.send_if_modified(|up| !std::mem::replace(up, true)) {
                tracing::info!("Redis answers");
            }
            return;
        };
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if failures >= FAILURES_TO_OPEN && self.up.send_if_modified(|up| std::mem::replace(up, false)) {
            tracing::warn!(%error, "Redis is down: going on without it");
        }
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

/// One connection's life; whether it got as far as being subscribed.
async fn listen(
    client: &redis::Client,
    channel: &str,
    connect_timeout: Duration,
    listener: &mut impl FnMut(Heard),
) -> bool {
    let connected = timeout(connect_timeout, async {
        let mut connection = client.get_async_pubsub().await?;
        connection.subscribe(channel).await?;
        redis::RedisResult::Ok(connection)
    });
    let Ok(Ok(connection)) = connected.await else { return false };
    let (mut sink, mut messages) = connection.split();
    listener(Heard::Connected);
    loop {
        match timeout(SUBSCRIPTION_PING, messages.next()).await {
            Ok(Some(message)) => listener(Heard::Message(message.get_payload_bytes().to_vec())),
            Ok(None) => return true,
            Err(_) => {
                if !matches!(timeout(connect_timeout, sink.ping::<redis::Value>()).await, Ok(Ok(_))) {
                    return true;
                }
            }
        }
    }
}

fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// The kind and the server's own code only: other texts of the crate may repeat what was sent.
fn failed(error: &redis::RedisError) -> RedisLinkError {
    let code = error.code().map(|code| format!(" ({code})")).unwrap_or_default();
    RedisLinkError::Failed(format!("{}{code}", error.category()))
}

/// The machine's own redis-server, for tests of this crate.
#[cfg(test)]
pub(crate) mod testing {
    use std::process::{Child, Command, Stdio};

    use super::*;

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
            assert!(link.wait_until_up(Duration::from_secs(20)).await, "redis-server never answered");
            link
        }

        pub(crate) fn stop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }

        pub(crate) fn start_again(&mut self) {
            self.child = spawn(self.port, &self.dir, self.password).unwrap();
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

    pub(crate) fn free_port() -> u16 {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
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
                    // them makes it anew: that one must not take it into its grave.
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
        link.inner.note(None);
        let mut answers = Vec::new();
        while answers.last() != Some(&Err(RedisLinkError::Down)) {
            answers.push(link.get("k").await);
        }
        assert!(answers.len() <= 4, "{answers:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_connection_that_died_without_a_word_is_made_anew() {
        let Some(server) = RedisServer::start(None) else { return };
        let upstream = server.config().url.expose_secret().replace("redis://", "").replace('/', "");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}/", listener.local_addr().unwrap());
        // Passes on what is said, until it is told to hold the line and say nothing more.
        let (silence, told) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (upstream, mut told) = (upstream.clone(), told.clone());
                told.mark_unchanged();
                tokio::spawn(async move {
                    let mut far = tokio::net::TcpStream::connect(upstream).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => return,
                        _ = told.changed() => {}
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
    async fn a_subscriber_hears_messages_and_is_told_when_it_may_have_missed_some() {
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
        let mut manager = refused.inner.manager();
        let ping = async move { redis::cmd("PING").query_async::<()>(&mut manager).await };
        let error = refused.inner.timed(MINUTE, ping).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("wr0ng"), "{error:?}");
        let no_url = RedisLink::new(config("http://me:s3cret@x"), Handle::current()).unwrap_err();
        assert_eq!(no_url, RedisLinkError::Url);
    }
}
