//! A real gateway on a database of its own, with a clock that stands still.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use perkgate::access::{Merchant, NewKey, Principal, Role};
use perkgate::decision::facts::Context;
use perkgate::eligibility::checker::{Answer, CheckError, Question};
use perkgate::foundation::clock::Clock;
use perkgate::foundation::decimal::Decimal;
use perkgate::foundation::entropy::Entropy;
use perkgate::foundation::json::Json;
use perkgate::gateway::Gateway;
use perkgate::ledger::entry::{Actor, Idempotency};
use perkgate::perks::perk::{Made, NewVersion};
use perkgate::scores::import::ImportConfig;
use perkgate::scores::rows::Format;
use perkgate::scores::score::{Score, Source};
use perkgate::settings::{Settings, Sources};
use perkgate::tlog::note::VerifierKey;
use tokio::runtime::Handle;

use super::databases::TestDatabase;
use super::services::Redis;
use super::tally::Tally;

/// Noon in San Francisco on the first day of Cathay Pacific's offer.
pub(crate) const NOW: &str = "2012-05-08T19:00:00Z";

pub(crate) const CLI: Actor = Actor { key: None, role: "cli" };

/// The tokens' `iss` in tests.
pub(crate) const ISSUER: &str = "http://gate.example";

/// What the origins of logs begin with in tests.
pub(crate) const LOG_ORIGIN: &str = "gate.example";

pub(crate) const MASTER_KEY: &str = "pIpRqCRXvnZ6Rt7TdcGAmrsHY2ej0JjlQvG2p5vFh2k=";

/// A gateway and the database under it.
pub(crate) struct World {
    pub gateway: Arc<Gateway>,
    pub clock: Clock,
    pub database: TestDatabase,
}

impl World {
    /// One on every backend that this machine has: SQLite with memory, PostgreSQL with Redis.
    pub(crate) async fn all() -> Vec<Self> {
        Self::all_with(&[]).await
    }

    /// The same with some settings changed.
    pub(crate) async fn all_with(settings: &[(&str, &str)]) -> Vec<Self> {
        let mut worlds = Vec::new();
        for database in TestDatabase::migrated() {
            worlds.push(Self::on(database, settings).await);
        }
        worlds
    }

    /// One on this database, with some settings changed.
    pub(crate) async fn on(database: TestDatabase, settings: &[(&str, &str)]) -> Self {
        Self::at(Clock::fixed(NOW.parse().unwrap()), database, settings).await
    }

    /// One whose clock goes, beside programs that serve the same database.
    pub(crate) async fn live(database: TestDatabase) -> Self {
        Self::at(Clock::System, database, &[]).await
    }

    pub(crate) async fn at(clock: Clock, database: TestDatabase, settings: &[(&str, &str)]) -> Self {
        let gateway = Self::gateway(&database, settings, clock.clone(), Entropy::System).await;
        Self { gateway: Arc::new(gateway), clock, database }
    }

    /// Another gateway on the same database: a second replica.
    pub(crate) async fn replica(&self) -> Gateway {
        self.replica_with(&[]).await
    }

    /// The same with some settings changed.
    pub(crate) async fn replica_with(&self, settings: &[(&str, &str)]) -> Gateway {
        Self::gateway(&self.database, settings, self.clock.clone(), Entropy::System).await
    }

    /// A second replica whose clock goes otherwise.
    pub(crate) async fn replica_at(&self, clock: Clock) -> Gateway {
        Self::gateway(&self.database, &[], clock, Entropy::System).await
    }

    /// A second replica that has the same Redis too, and hears there what the first one writes.
    pub(crate) async fn twin(&self) -> Gateway {
        let settings = self.gateway.settings.as_ref().clone();
        let (clock, entropy) = (self.clock.clone(), Entropy::System);
        Box::pin(Gateway::build(settings, ISSUER, false, clock, entropy, &Handle::current())).await.unwrap()
    }

    async fn gateway(database: &TestDatabase, settings: &[(&str, &str)], clock: Clock, entropy: Entropy) -> Gateway {
        let settings = Settings::load(&test_sources(database, settings)).unwrap();
        Box::pin(Gateway::build(settings, ISSUER, false, clock, entropy, &Handle::current())).await.unwrap()
    }

    /// The verifier key of the log of this name.
    pub(crate) fn log_key(&self, name: &str) -> VerifierKey {
        VerifierKey::new(&format!("{LOG_ORIGIN}/{name}"), *self.gateway.keyring.log_key().public_key()).unwrap()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves the clock on.
    pub(crate) fn pass(&self, seconds: i64) {
        self.clock.set(self.now() + jiff::SignedDuration::from_secs(seconds));
    }

    pub(crate) async fn merchant(&self, slug: &str) -> Merchant {
        self.merchant_in(slug, None).await
    }

    /// One in a time zone of its own.
    pub(crate) async fn merchant_in(&self, slug: &str, time_zone: Option<&str>) -> Merchant {
        self.gateway.directory.create_merchant(slug.parse().unwrap(), slug, time_zone, CLI).await.unwrap()
    }

    /// A principal of this role, with a real key.
    pub(crate) async fn principal(&self, merchant: &Merchant, role: Role) -> Principal {
        self.principal_with(NewKey::of(role, Some(merchant.id.clone()), "test")).await
    }

    pub(crate) async fn principal_with(&self, key: NewKey) -> Principal {
        let (_, secret) = self.gateway.directory.create_key(key, CLI).await.unwrap();
        let principal = self.gateway.directory.authenticate(secret.expose(), self.now()).await.unwrap();
        principal.as_ref().clone()
    }

    /// Makes and publishes a perk with this rule.
    pub(crate) async fn perk(&self, merchant: &Merchant, slug: &str, rule: &str) -> Made {
        let version = NewVersion { rule: Json::parse(rule).unwrap(), publish: true, change_note: None };
        self.gateway.catalog.create_perk(&merchant.id, CLI, slug.parse().unwrap(), slug, version).await.unwrap()
    }

    /// Gives a subject a Klout score, observed an hour ago.
    pub(crate) async fn score(&self, merchant: &Merchant, subject: &str, value: &str) {
        let reference = self.gateway.keyring.subject_ref(&merchant.id, &subject.parse().unwrap());
        let value: Decimal = value.parse().unwrap();
        let score = Score::new(value, self.now() - jiff::SignedDuration::from_hours(1));
        self.gateway.scores.put(&merchant.id, &Source::klout(), reference, score, self.now()).await.unwrap();
    }

    /// The same for many at once.
    pub(crate) async fn import_scores(&self, merchant: &Merchant, scores: impl Iterator<Item = (String, &str)>) {
        let config = ImportConfig {
            merchant: merchant.id.clone(),
            source: Source::klout(),
            format: Format::Csv,
            clock: self.clock.clone(),
        };
        let observed_at = self.now() - jiff::SignedDuration::from_hours(1);
        let (keyring, id) = (self.gateway.keyring.clone(), merchant.id.clone());
        let mut import = self.gateway.scores.import(config, move |handle| keyring.subject_ref(&id, handle));
        let mut text = "subject,value,observed_at\n".to_owned();
        for (subject, value) in scores {
            writeln!(text, "{subject},{value},{observed_at}").unwrap();
        }
        import.push(text.as_bytes()).await.unwrap();
        let report = import.finish().await.unwrap();
        assert_eq!(report.rejected, 0, "{report:?}");
    }

    /// What the merchant's log holds, once its tables agree with it.
    pub(crate) fn tally(&self, merchant: &Merchant) -> Tally {
        Tally::take(&self.gateway.database, merchant)
    }

    pub(crate) async fn check(&self, kiosk: &Principal, question: Question) -> Result<Answer, CheckError> {
        Box::pin(self.gateway.checker.check(kiosk, kiosk.merchant().unwrap(), question)).await
    }
}

/// A question without context.
pub(crate) fn question(perk: &str, subject: &str) -> Question {
    Question {
        perk: perk.parse().unwrap(),
        subject: subject.parse().unwrap(),
        context: Context::default(),
        boarding_pass: None,
        dry_run: false,
        idempotency: None,
        deadline: Instant::now() + Duration::from_mins(1),
    }
}

/// The same with an idempotency key, for a body that hashes to `body`.
pub(crate) fn idempotent(question: Question, key: &str, body: u8) -> Question {
    Question { idempotency: Some(Idempotency { key: key.to_owned(), request_hash: [body; 32] }), ..question }
}

/// The settings of a test's gateway; with PostgreSQL comes Redis.
pub(crate) fn test_sources(database: &TestDatabase, more: &[(&str, &str)]) -> Sources {
    let mut flags =
        vec![("database_url".to_owned(), database.setting()), ("database_connections".to_owned(), "4".to_owned())];
    let mut environment = vec![("PERKGATE_MASTER_KEY".to_owned(), MASTER_KEY.to_owned())];
    // A test machine under load is no database that hangs; a flag of a test's own stands before this.
    environment.push(("PERKGATE_REQUEST_TIMEOUT".to_owned(), "1m".to_owned()));
    if database.backend() == perkgate::database::Backend::Postgres
        && let Some(redis) = Redis::shared()
    {
        environment.push(("PERKGATE_REDIS_URL".to_owned(), redis.url()));
        environment.push(("PERKGATE_REDIS_PREFIX".to_owned(), redis.prefix()));
    }
    flags.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Sources { flags, environment, ..Sources::default() }
}
