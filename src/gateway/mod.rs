//! The composition root: from settings to every handle, each built once. Tests use it too.

mod observe;
#[cfg(feature = "oidc")]
mod openid;
mod outside;

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use secrecy::ExposeSecret;

use crate::access::devices::{Device, NewCode};
use crate::access::{AccessError, ApiKey, Directory, NewKey, Role};
use crate::audit::anchoring::Anchorer;
use crate::audit::reports::Reporter;
use crate::audit::reports::summaries::taken::KeptSums;
use crate::database::{Backend, Database, DatabaseError, DatabaseUrl};
use crate::eligibility::backtester::Backtester;
use crate::eligibility::checker::Checker;
use crate::eligibility::exporter::Exporter;
use crate::eligibility::issuer::Issuer;
use crate::eligibility::links::Links;
use crate::eligibility::links::own::OwnAnswers;
use crate::eligibility::occupancy::Floor;
use crate::eligibility::occupancy::sample::Samples;
use crate::eligibility::picture::Pictures;
use crate::eligibility::redeemer::Redeemer;
use crate::eligibility::requests::SubjectRequests;
use crate::eligibility::runs::Runs;
use crate::eligibility::simulator::Simulator;
use crate::eligibility::subject_access::SubjectAccess;
use crate::eligibility::today::Today;
use crate::eligibility::today::live::Live;
use crate::foundation::clock::Clock;
use crate::foundation::count::counted;
use crate::foundation::entropy::Entropy;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::PerkSlug;
use crate::keyring::{Keyring, KeyringError, MasterKey};
use crate::ledger::entry::Actor;
use crate::ledger::{Ledger, PublishedKeys, WriterContext};
use crate::perks::catalog::Catalog;
use crate::perks::error::PerkError;
use crate::perks::keys::OnSite;
use crate::perks::observed_attributes::ObservedAttributes;
use crate::redis_link::{Heard, RedisFault, RedisLink, RedisLinkError, Subscription};
use crate::scores::cache::{CacheConfig, ScoreCache};
use crate::scores::{Enrolments, Pulls, Scores};
use crate::settings::{Settings, master_key};
use crate::tokens::Verifier;

/// The channel on which replicas tell each other that a snapshot moved.
const EPOCHS: &str = "epochs";

/// Every handle of a running gateway.
pub struct Gateway {
    pub settings: Arc<Settings>,
    pub clock: Clock,
    pub entropy: Entropy,
    pub database: Database,
    pub redis: Option<RedisLink>,
    pub keyring: Keyring,
    pub keys: PublishedKeys,
    pub ledger: Ledger,
    pub directory: Directory,
    pub catalog: Catalog,
    pub scores: Scores,
    pub enrolments: Arc<Enrolments>,
    pub pulls: Pulls,
    pub checker: Checker,
    pub redeemer: Redeemer,
    pub floor: Floor,
    pub today: Arc<Today>,
    pub live: Arc<Live>,
    pub links: Arc<Links>,
    pub own_answers: Arc<OwnAnswers>,
    pub requests: Arc<SubjectRequests>,
    pub simulator: Simulator,
    pub backtester: Backtester,
    pub pictures: Arc<Pictures>,
    pub subject_access: SubjectAccess,
    pub anchorer: Anchorer,
    pub exporter: Exporter,
    pub reporter: Reporter,
    #[cfg(feature = "oidc")]
    pub openid: Option<crate::outgoing::openid::Provider>,
    /// The tokens' `iss`.
    pub issuer_url: Arc<str>,
    /// Dropped with the gateway, which ends the subscription.
    _epochs_heard: Option<Subscription>,
}

/// Why no gateway could be built.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error(transparent)]
    MasterKey(#[from] master_key::MasterKeySourceError),
    #[error("the master key can't be read: {0}")]
    MasterKeyForm(#[from] crate::keyring::MasterKeyError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("the database lacks {}, `{}` first", counted(.0.len(), "migration"), .0.first().map_or("", String::as_str))]
    NotMigrated(Vec<String>),
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    #[error(transparent)]
    Redis(#[from] RedisLinkError),
    #[error("the ledger's thread can't be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl Gateway {
    /// Opens what the settings name. SQLite migrates itself; PostgreSQL only when `migrate` says
    /// so. Redis may be down. `handle` is the main runtime, which outlives every worker's.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn build(
        settings: Settings,
        issuer_url: &str,
        migrate: bool,
        clock: Clock,
        entropy: Entropy,
        handle: &Handle,
    ) -> Result<Self, GatewayError> {
        let storage = &settings.storage;
        // A path that can be no database has no key that is lost.
        storage.database_url.check()?;
        // Before the file is made: a crash in between must not leave a database without its key.
        let is_new = master_key::is_new(&storage.database_url);
        let master = master_key::resolve(&settings, is_new, &entropy)?;
        let master = MasterKey::parse(master.expose_secret())?;
        let (url, connections) = (storage.database_url.clone(), storage.database_connections);
        let (keys_clock, keys_entropy) = (clock.clone(), entropy.clone());
        let opened = tokio::task::spawn_blocking(move || {
            let database = open(&url, connections, migrate)?;
            let keyring = Keyring::open(&database, &master, keys_clock, keys_entropy)?;
            Ok::<_, GatewayError>((database, keyring))
        });
        let (database, keyring) = opened.await.map_err(|_| DatabaseError::Interrupted)??;

        let redis = settings.redis.as_ref().map(|redis| outside::link_to(redis, handle)).transpose()?;
        let bounds = settings.bounds;
        let context = WriterContext {
            database: database.clone(),
            keyring: keyring.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            log_origin: settings.server.log_origin_of(issuer_url).into(),
            patience: settings.timeouts.request,
            summaries: Arc::new(KeptSums),
        };
        let ledger = Ledger::start(context.clone(), bounds.ledger_queue, bounds.ledger_batch)?;
        let keys = PublishedKeys::new(&ledger);
        keys.reload().await?;
        let directory = Directory::new(database.clone(), ledger.clone(), clock.clone(), entropy.clone());
        directory.reload().await?;
        let catalog = Catalog::new(database.clone(), ledger.clone(), clock.clone(), entropy.clone());
        catalog.reload().await?;
        let cache = CacheConfig { entries: bounds.score_cache_entries, ttl: bounds.score_cache_ttl };
        let cache = cache_of(&cache, redis.as_ref(), &keyring, &clock, &entropy);
        let scores = Scores::new(database.clone(), cache).guarded(ledger.clone(), entropy.clone());
        let enrolments = Arc::new(Enrolments::beside(&scores, ledger.clone(), context));
        let pulls = outside::pulls_of(&settings, &scores, &enrolments);
        let epochs_heard = redis.as_ref().map(|link| hear_epochs(link, &directory, &catalog, &keys, handle));
        let issuer_url: Arc<str> = issuer_url.into();
        let checker = Checker {
            catalog: catalog.clone(),
            scores: scores.clone(),
            ledger: ledger.clone(),
            keyring: keyring.clone(),
            issuer: Issuer::new(keyring.clone()),
            issuer_url: issuer_url.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            seen: ObservedAttributes::new(database.clone(), clock.clone()),
            samples: Samples::default(),
        };
        let redeemer = Redeemer {
            verifier: Verifier::new(keyring.clone(), &issuer_url),
            keys: keys.clone(),
            ledger: ledger.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
        };
        let (links, requests) = (Arc::new(links_of(&settings, &checker, &directory)), Arc::new(requests_of(&checker)));
        let own_answers = Arc::new(own_answers_of(&checker, &links, &requests));
        let floor = Floor::new(catalog.clone(), ledger.clone(), clock.clone(), entropy.clone(), handle.clone());
        let today = Arc::new(Today::new(catalog.clone(), ledger.clone(), clock.clone()));
        let live = Arc::new(Live::new(ledger.clone(), handle.clone()));
        let (simulator, backtester) = trials(&checker);
        let pictures = Arc::new(Pictures::new(catalog.clone(), scores.clone(), ledger.clone(), clock.clone()));
        Ok(Self {
            #[cfg(feature = "oidc")]
            openid: openid::provider_of(&settings, &issuer_url, &clock),
            reporter: Reporter::new(ledger.clone(), clock.clone()),
            exporter: Exporter { ledger: ledger.clone(), clock: clock.clone() },
            anchorer: Anchorer::new(database.clone(), clock.clone(), outside::anchoring(&settings.anchors)),
            subject_access: SubjectAccess::beside(&checker, enrolments.clone()),
            settings: Arc::new(settings),
            clock,
            entropy,
            database,
            redis,
            keyring,
            keys,
            ledger,
            directory,
            catalog,
            scores,
            enrolments,
            pulls,
            checker,
            redeemer,
            floor,
            today,
            live,
            links,
            own_answers,
            requests,
            simulator,
            backtester,
            pictures,
            issuer_url,
            _epochs_heard: epochs_heard,
        })
    }

    /// Starts what runs beside the requests; call it on the main runtime.
    pub fn follow(&self, tasks: &TaskTracker, cancel: &CancellationToken) {
        tasks.spawn(self.directory.clone().follow(cancel.clone()));
        tasks.spawn(self.scores.follower().follow(cancel.clone()));
        tasks.spawn(self.scores.attributes().clone().sweep(self.clock.clone(), cancel.clone()));
        tasks.spawn(self.scores.clone().keep_computing(self.clock.clone(), cancel.clone()));
        tasks.spawn(self.scores.clone().tend_held(self.clock.clone(), cancel.clone()));
        tasks.spawn(self.pulls.clone().keep_pulling(cancel.clone()));
        tasks.spawn(Enrolments::clone(&self.enrolments).sweep(cancel.clone()));
        tasks.spawn(self.directory.clone().keep_writing_uses(cancel.clone()));
        tasks.spawn(self.directory.clone().sweep_accounts(cancel.clone()));
        tasks.spawn(self.catalog.clone().follow(cancel.clone()));
        tasks.spawn(self.ledger.clone().tend(cancel.clone()));
        tasks.spawn(self.anchorer.clone().follow(cancel.clone()));
        tasks.spawn(self.keys.clone().follow(cancel.clone()));
        tasks.spawn(self.reporter.clone().follow(cancel.clone()));
        tasks.spawn(SubjectRequests::clone(&self.requests).follow(cancel.clone()));
    }

    /// Warnings about a key, held against the rules of its merchant.
    ///
    /// # Errors
    /// The database's.
    pub async fn warnings_of_key(&self, key: &ApiKey) -> Result<Vec<FieldError>, PerkError> {
        let Some(merchant) = &key.merchant else { return Ok(Vec::new()) };
        let on_site = OnSite {
            is_kiosk: matches!(key.role, Role::Kiosk | Role::Desk),
            label: key.label.clone(),
            location: key.location.clone(),
            kiosk: key.kiosk.clone(),
            audience: key.audience.clone(),
        };
        self.catalog.warnings_of_key(merchant, &on_site).await
    }

    /// Makes a screen for a perk that decides: for the merchant's only one, or the only one that it will have, unless one is
    /// named.
    ///
    /// # Errors
    /// [`AccessError::Unfit`], or the ledger's.
    pub async fn create_device(
        &self,
        new: NewKey,
        perk: Option<PerkSlug>,
        actor: Actor,
    ) -> Result<(Device, NewCode), AccessError> {
        let unfit = |code, detail: &str| AccessError::Unfit(vec![FieldError::at("/perk", code, detail)]);
        match (&new.merchant, &perk) {
            (Some(merchant), Some(perk)) if self.catalog.find_open_perk(merchant, perk).await?.is_none() => {
                return Err(unfit("unknown_perk", "there is no such perk, or none of its versions is published"));
            }
            (Some(merchant), None) if new.role != Role::Door && self.catalog.some_open_perks(merchant, 2).len() > 1 => {
                return Err(unfit("required", "there are several perks: name the one that people ask for there"));
            }
            _ => {}
        }
        self.directory.create_device(new, perk, actor).await
    }

    /// The fault of Redis, if one is used and something doesn't work.
    pub fn redis_fault(&self) -> Option<RedisFault> {
        self.redis.as_ref().and_then(RedisLink::fault)
    }
}

/// The database, with all migrations.
fn open(url: &DatabaseUrl, connections: u32, migrate: bool) -> Result<Database, GatewayError> {
    let database = Database::connect(url, connections)?;
    if migrate || database.backend() == Backend::Sqlite {
        for name in database.migrate()? {
            tracing::info!(migration = name, "applied");
        }
    }
    let pending = database.pending_migrations()?;
    if pending.is_empty() { Ok(database) } else { Err(GatewayError::NotMigrated(pending)) }
}

/// The links of people to their own answers.
fn links_of(settings: &Settings, checker: &Checker, directory: &Directory) -> Links {
    Links {
        base: settings.server.link_base.as_deref().map(Arc::from),
        keyring: checker.keyring.clone(),
        directory: directory.clone(),
        ledger: checker.ledger.clone(),
        clock: checker.clock.clone(),
    }
}

/// The answers of people, by their links.
fn own_answers_of(checker: &Checker, links: &Arc<Links>, requests: &Arc<SubjectRequests>) -> OwnAnswers {
    OwnAnswers { links: links.clone(), checker: checker.clone(), requests: requests.clone() }
}

/// The requests that people make about themselves.
fn requests_of(checker: &Checker) -> SubjectRequests {
    let Checker { catalog, scores, ledger, keyring, clock, entropy, .. } = checker.clone();
    SubjectRequests { ledger, scores, keyring, catalog, clock, entropy }
}

fn cache_of(
    config: &CacheConfig,
    redis: Option<&RedisLink>,
    keyring: &Keyring,
    clock: &Clock,
    entropy: &Entropy,
) -> ScoreCache {
    match redis {
        None => ScoreCache::memory(config, clock.clone()),
        Some(link) => ScoreCache::tiered(config, link.clone(), keyring.cache_key(), clock.clone(), entropy),
    }
}

/// The tools that try rules out: they work with what checks work with.
fn trials(checker: &Checker) -> (Simulator, Backtester) {
    let runs = Runs::default();
    let Checker { catalog, scores, ledger, keyring, clock, entropy, .. } = checker.clone();
    let backtester = Backtester {
        catalog: catalog.clone(),
        scores: scores.clone(),
        ledger: ledger.clone(),
        clock: clock.clone(),
        runs: runs.clone(),
    };
    (Simulator { catalog, scores, ledger, keyring, clock, entropy, runs }, backtester)
}

/// A replica that made a change tells the others, which then look at once instead of at their next
/// poll. Nothing depends on it: the poll finds what a lost message would have announced.
fn hear_epochs(
    link: &RedisLink,
    directory: &Directory,
    catalog: &Catalog,
    keys: &PublishedKeys,
    handle: &Handle,
) -> Subscription {
    let announce = |link: RedisLink, handle: Handle| {
        move || {
            let link = link.clone();
            handle.spawn(async move { link.publish(EPOCHS, b"moved").await });
        }
    };
    directory.announce_with(announce(link.clone(), handle.clone()));
    catalog.announce_with(announce(link.clone(), handle.clone()));
    keys.announce_with(announce(link.clone(), handle.clone()));
    let (directory, catalog, keys) = (directory.clone(), catalog.clone(), keys.clone());
    link.subscribe(EPOCHS, move |heard| {
        // After a reconnect something may have been missed.
        let (Heard::Connected | Heard::Message(_)) = heard;
        directory.request_refresh();
        catalog.request_refresh();
        keys.request_refresh();
    })
}
