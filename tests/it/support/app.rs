//! The real gateway behind the real server, on a port of its own, with a clock that stands still.

use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;

use diesel::{QueryDsl as _, RunQueryDsl as _};
use jiff::Timestamp;
use perkgate::access::{Merchant, NewKey, Role};
use perkgate::database::{DatabaseError, schema};
use perkgate::foundation::clock::Clock;
use perkgate::server;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::databases::TestDatabase;
use super::world::{CLI, World};

/// A served gateway with two merchants; it ends when this is dropped.
pub(crate) struct TestApp {
    pub world: World,
    /// The merchant of every client that names none.
    pub cathay: Merchant,
    /// Somebody else.
    pub american: Merchant,
    pub address: SocketAddr,
    http: reqwest::Client,
    stop: CancellationToken,
    server: Option<JoinHandle<()>>,
}

/// How much is recorded: equal before and after whatever records nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Footprint {
    pub events: i64,
    pub checkpoints: i64,
    pub log_entries: i64,
    pub grants: i64,
    pub redemptions: i64,
    pub limits_used: i64,
    pub subjects: i64,
    pub idempotency_rows: i64,
}

impl TestApp {
    /// One on every backend that this machine has: SQLite with memory, PostgreSQL with Redis.
    pub(crate) async fn all() -> Vec<Self> {
        Self::all_with(&[]).await
    }

    /// The same with some settings changed.
    pub(crate) async fn all_with(settings: &[(&str, &str)]) -> Vec<Self> {
        let mut apps = Vec::new();
        for world in World::all_with(&Self::settings(settings)).await {
            apps.push(Self::serve(world).await);
        }
        apps
    }

    /// One on SQLite, for what no database can change.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let database = TestDatabase::empty_sqlite();
        Self::serve(World::on(database, &Self::settings(settings)).await).await
    }

    /// One on this database.
    pub(crate) async fn on(database: TestDatabase) -> Self {
        Self::serve(World::on(database, &Self::settings(&[])).await).await
    }

    /// One on a database that has had such a gateway, at this instant.
    pub(crate) async fn resume(database: TestDatabase, at: Timestamp) -> Self {
        let world = World::at(Clock::fixed(at), database, &Self::settings(&[])).await;
        let merchant = async |slug: &str| world.gateway.directory.find_merchant(slug.parse().unwrap()).await.unwrap();
        let (cathay, american) = (merchant("cathay").await, merchant("american").await);
        Self::listen(world, cathay, american)
    }

    fn settings<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        [("workers", "1"), ("shutdown_timeout", "1s"), ("drain_delay", "0s")].iter().chain(more).copied().collect()
    }

    async fn serve(world: World) -> Self {
        let cathay = world.merchant("cathay").await;
        let american = world.merchant("american").await;
        Self::listen(world, cathay, american)
    }

    fn listen(world: World, cathay: Merchant, american: Merchant) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (gateway, stopped) = (world.gateway.clone(), stop.clone());
        // Its own thread, so that dropping the app can wait until the last worker is gone.
        let server = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(server::serve(gateway, listener, None, stopped.cancelled_owned())).unwrap();
        });
        let http = Client::http();
        Self { world, cathay, american, address, http, stop, server: Some(server) }
    }

    /// Somebody without a key.
    pub(crate) fn anonymous(&self) -> Client {
        self.bearing(None)
    }

    /// Somebody who sends this as the `Authorization` header.
    pub(crate) fn bearing(&self, authorization: Option<String>) -> Client {
        Client::new(self.http.clone(), self.address, authorization)
    }

    pub(crate) async fn client(&self, key: NewKey) -> Client {
        let (_, secret) = self.world.gateway.directory.create_key(key, CLI).await.unwrap();
        self.bearing(Some(format!("Bearer {}", secret.expose())))
    }

    pub(crate) async fn role(&self, merchant: &Merchant, role: Role) -> Client {
        let merchant = role.has_merchant().then(|| merchant.id.clone());
        let audience = (role == Role::Door).then(|| "sfo-lounge".to_owned());
        self.client(NewKey { audience, ..NewKey::of(role, merchant, "test") }).await
    }

    pub(crate) async fn operator(&self) -> Client {
        self.role(&self.cathay, Role::Operator).await
    }

    pub(crate) async fn kiosk(&self) -> Client {
        self.role(&self.cathay, Role::Kiosk).await
    }

    pub(crate) async fn admin(&self, merchant: &Merchant) -> Client {
        self.role(merchant, Role::Admin).await
    }

    pub(crate) async fn auditor(&self, merchant: &Merchant) -> Client {
        self.role(merchant, Role::Auditor).await
    }

    pub(crate) async fn feeder(&self, merchant: &Merchant) -> Client {
        self.role(merchant, Role::Feeder).await
    }

    /// A door that redeems for this audience.
    pub(crate) async fn door(&self, merchant: &Merchant, audience: &str) -> Client {
        let door = NewKey::of(Role::Door, Some(merchant.id.clone()), "test");
        self.client(NewKey { audience: Some(audience.to_owned()), ..door }).await
    }

    /// A perk `sfo-lounge` of the first merchant with this rule, and Ada with this score.
    pub(crate) async fn lounge(&self, rule: &str, score: &str) {
        self.world.perk(&self.cathay, "sfo-lounge", rule).await;
        self.world.score(&self.cathay, "twitter:ada", score).await;
    }

    pub(crate) async fn footprint(&self) -> Footprint {
        let read = self.world.gateway.database.read(|conn| {
            let sizes: Vec<i64> = schema::logs::table.select(schema::logs::size).load(conn)?;
            let used: Vec<i64> = schema::limit_counters::table.select(schema::limit_counters::used).load(conn)?;
            Ok::<_, DatabaseError>(Footprint {
                events: schema::events::table.count().get_result(conn)?,
                checkpoints: schema::checkpoints::table.count().get_result(conn)?,
                log_entries: sizes.iter().sum(),
                grants: schema::grants::table.count().get_result(conn)?,
                redemptions: schema::redemptions::table.count().get_result(conn)?,
                limits_used: used.iter().sum(),
                subjects: schema::subjects::table.count().get_result(conn)?,
                idempotency_rows: schema::idempotency::table.count().get_result(conn)?,
            })
        });
        read.await.unwrap()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop.cancel();
        let ended = self.server.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || ended.is_none_or(|ended| ended.is_ok()), "the server failed");
    }
}
