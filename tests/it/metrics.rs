//! `/metrics` as Prometheus reads it: every family of the table, right numbers, nobody's name; and the dashboard and the
//! alerts of `deploy/`, which ask for nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use perkgate::access::{Merchant, NewKey, Role};
use perkgate::database::Backend;
use perkgate::decision::reason::ReasonCode;
use perkgate::foundation::json::Json;
use perkgate::foundation::yaml;
use perkgate::telemetry::families::{FAMILIES, Family, MetricKind, READINESS_REASONS};
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::databases::TestDatabase;
use crate::support::ports::free_address;
use crate::support::serve::Serve;
use crate::support::services::Redis;
use crate::support::world::{CLI, World};

const RULE: &str = r#"{"score":{"source":"klout"},
    "tiers":[{"id":"burrow","rank":1,"when":{"attr":"score","op":"gte","value":40}}],
    "limits":[{"id":"whole-burrow","scope":["perk"],"max":2,"window":{"lifetime":true}},
              {"id":"each-wombat","scope":["subject"],"max":1,"window":{"lifetime":true}}]}"#;

/// What stands in names and ids, and must stand in no metric.
const NAMES: [&str; 4] = ["zanzibar", "quokka", "wombat", "burrow"];

/// For what is waited for by looking; a run that takes so long has failed.
const PATIENCE: Duration = Duration::from_mins(1);

/// One answer of `/metrics`.
struct Scrape {
    text: String,
    help: BTreeMap<String, String>,
    kinds: BTreeMap<String, String>,
    /// Every line by its name and labels: `name{label="value"}`.
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    fn read(text: String) -> Self {
        let (mut help, mut kinds, mut samples) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some((name, words)) = line.strip_prefix("# HELP ").and_then(|line| line.split_once(' ')) {
                help.insert(name.to_owned(), words.to_owned());
            } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
                kinds.insert(name.to_owned(), kind.to_owned());
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let before = samples.insert(series.to_owned(), value.parse().unwrap());
                assert_eq!(before, None, "{series} stands twice");
            }
        }
        Self { text, help, kinds, samples }
    }

    #[track_caller]
    fn value(&self, series: &str) -> f64 {
        *self.samples.get(series).unwrap_or_else(|| panic!("no {series} in {}", self.text))
    }

    #[track_caller]
    fn is(&self, series: &str, value: u32) {
        let found = self.value(series);
        assert!((found - f64::from(value)).abs() < f64::EPSILON, "{series} is {found}, not {value}");
    }

    /// The names that a query may ask for.
    fn names(&self) -> BTreeSet<&str> {
        self.samples.keys().map(|series| series.split('{').next().unwrap()).collect()
    }
}

/// A `perkgate serve` with metrics, and who asks it.
struct Replica {
    _serve: Serve,
    metrics: String,
    kiosk: Client,
    door: Client,
}

impl Replica {
    async fn start(world: &World, merchant: &Merchant, redis: Option<(&str, &str)>) -> Self {
        let address = free_address();
        // Nothing that is cached gets too old while the test looks.
        let mut settings = vec![("metrics_listen", &*address), ("score_cache_ttl", "1m")];
        if let Some((url, prefix)) = redis {
            settings.extend([("redis_url", url), ("redis_prefix", prefix), ("redis_timeout", "2s")]);
        }
        let serve = Serve::start(Path::new(env!("CARGO_BIN_EXE_perkgate")), &world.database, &settings);
        let client = async |role: Role| {
            let audience = (role == Role::Door).then(|| "quokka-lounge".to_owned());
            let key = NewKey { audience, ..NewKey::of(role, Some(merchant.id.clone()), "wombat") };
            let (_, secret) = world.gateway.directory.create_key(key, CLI).await.unwrap();
            Client::new(Client::http(), serve.address(), Some(format!("Bearer {}", secret.expose())))
        };
        let (kiosk, door) = (client(Role::Kiosk).await, client(Role::Door).await);
        let this = Self { metrics: format!("http://{address}/metrics"), kiosk, door, _serve: serve };
        let deadline = Instant::now() + PATIENCE;
        while this.kiosk.get("/readyz").await.is(200)["status"] != "ready" {
            assert!(Instant::now() < deadline, "it doesn't become ready");
            tokio::task::yield_now().await;
        }
        this
    }

    async fn check(&self, who: &str, dry_run: bool) -> Value {
        let question = json!({"perk": "quokka-lounge", "subject": format!("twitter:{who}"), "dry_run": dry_run});
        self.kiosk.post("/v1/checks", &question).await.is(200)
    }

    async fn scrape(&self) -> Scrape {
        let answer = Client::http().get(&self.metrics).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        Scrape::read(answer.text().await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_family_is_exported_with_what_happened_and_names_nobody() {
    for database in TestDatabase::migrated() {
        let is_postgres = database.backend() == Backend::Postgres;
        let redis = Redis::shared().filter(|_| is_postgres).map(|redis| (redis.url(), redis.prefix()));
        let redis = redis.as_ref().map(|(url, prefix)| (&**url, &**prefix));
        let world = World::live(database).await;
        let merchant = world.merchant("zanzibar").await;
        world.perk(&merchant, "quokka-lounge", RULE).await;
        for (who, value) in [("wombat-a", "47"), ("wombat-b", "47"), ("wombat-c", "12")] {
            world.score(&merchant, &format!("twitter:{who}"), value).await;
        }
        let replica = Replica::start(&world, &merchant, redis).await;

        let first = replica.check("wombat-a", false).await;
        assert_eq!(first["decision"], "granted");
        let before = replica.scrape().await;
        before.is("perkgate_limits_near_full", 0);
        before.is("perkgate_logs", 2);
        assert_eq!(replica.check("wombat-b", false).await["decision"], "granted");
        assert_eq!(replica.check("wombat-c", false).await["decision"], "denied");
        assert_eq!(replica.check("wombat-a", true).await["decision"], "denied");
        let spend = json!({"token": first["token"], "door": "wombat", "attempt": "wombat"});
        replica.door.post("/v1/tokens/redeem", &spend).await.is(200);
        replica.kiosk.get("/v1/checks/wombat").await.is(404);
        replica.kiosk.get("/wombat").await.is(404);

        let after = replica.scrape().await;
        let checks = r#"perkgate_http_requests_total{method="POST",route="/v1/checks",status="200"}"#;
        after.is(checks, 4);
        after.is(r#"perkgate_http_requests_total{method="GET",route="unmatched",status="404"}"#, 1);
        after.is(r#"perkgate_http_requests_total{method="GET",route="/v1/checks/{check}",status="404"}"#, 1);
        after.is(r#"perkgate_http_request_duration_seconds_count{method="POST",route="/v1/checks"}"#, 4);
        after.is(r#"perkgate_checks_total{decision="granted"}"#, 2);
        after.is(r#"perkgate_checks_total{decision="denied"}"#, 1);
        after.is(r#"perkgate_checks_total{decision="referred"}"#, 0);
        after.is(r#"perkgate_check_reasons_total{reason="score_met"}"#, 2);
        after.is(r#"perkgate_check_reasons_total{reason="score_below_threshold"}"#, 1);
        after.is(r#"perkgate_dry_runs_total{outcome="denied"}"#, 1);
        after.is(r#"perkgate_redemptions_total{outcome="accepted"}"#, 1);
        after.is(r#"perkgate_score_lookups_total{tier="database"}"#, 3);
        after.is(r#"perkgate_score_lookups_total{tier="memory"}"#, 1);
        after.is(r#"perkgate_score_lookups_total{tier="redis"}"#, 0);
        after.is(r#"perkgate_score_age_seconds_bucket{le="60"}"#, 0);
        after.is(r#"perkgate_score_age_seconds_bucket{le="21600"}"#, 3);
        after.is("perkgate_ledger_batch_entries_sum", 4);
        assert!(after.value("perkgate_ledger_commit_duration_seconds_count") >= 4.0);
        after.is("perkgate_ledger_queue_entries", 0);
        after.is("perkgate_ledger_queue_limit_entries", 4096);
        after.is("perkgate_limits_near_full", 1);
        after.is("perkgate_database_up", 1);
        for reason in READINESS_REASONS {
            after.is(&format!("perkgate_readiness_reason{{reason=\"{reason}\"}}"), 0);
        }
        let events = after.value("perkgate_log_events") - before.value("perkgate_log_events");
        assert!((events - 3.0).abs() < f64::EPSILON, "two checks and a redemption: {events}");
        let ages = (before.value("perkgate_token_key_age_seconds"), after.value("perkgate_token_key_age_seconds"));
        assert!(0.0 <= ages.0 && ages.0 < ages.1, "{ages:?}");
        after.is("perkgate_log_lines_lost_total", 0);
        if redis.is_some() {
            after.is("perkgate_redis_up", 1);
            let twin = Replica::start(&world, &merchant, redis).await;
            assert_eq!(twin.check("wombat-a", false).await["decision"], "denied", "the limit is used up");
            twin.scrape().await.is(r#"perkgate_score_lookups_total{tier="redis"}"#, 1);
        }

        holds_the_table(&after, redis.is_some());
        for name in NAMES.into_iter().chain([replica.kiosk.secret(), replica.door.secret(), merchant.id.as_str()]) {
            assert!(!after.text.contains(name), "the metrics say {name}: {}", after.text);
        }
        for (place, query) in queries() {
            holds(&place, &query, &after, redis.is_some());
        }
    }
}

fn holds_the_table(scrape: &Scrape, has_redis: bool) {
    for Family { name, kind, help, labels, .. } in FAMILIES {
        if *name == "perkgate_redis_up" && !has_redis {
            assert!(!scrape.text.contains(name), "there is no Redis to be up");
            continue;
        }
        assert_eq!(scrape.help.get(*name).map(String::as_str), Some(*help), "{name}");
        let word = match kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram(_) => "histogram",
        };
        assert_eq!(scrape.kinds.get(*name).map(String::as_str), Some(word), "{name}");
        // Closed sets are there from the start, all of them, so that a rate begins at zero.
        let series: Vec<_> = scrape.samples.keys().filter(|series| series.split('{').next() == Some(*name)).collect();
        for value in labels.iter().filter(|_| labels.len() == 1).flat_map(|label| label.values) {
            assert!(series.iter().any(|series| series.contains(&format!("=\"{value}\""))), "{name} has no {value}");
        }
    }
    for name in scrape.kinds.keys() {
        assert!(FAMILIES.iter().any(|family| family.name == name), "{name} is not in the table");
    }
}

fn deploy(name: &str) -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    (path, text)
}

/// Every query of the dashboard and the alerts, and every name in the documents.
fn queries() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let (_, dashboard) = deploy("grafana-dashboard.json");
    texts_of(&serde_json::from_str(&dashboard).unwrap(), "dashboard", &mut found);
    for rule in alert_rules() {
        let name = rule.member("alert").and_then(Json::as_text).unwrap();
        found.push((name.to_owned(), rule.member("expr").and_then(Json::as_text).unwrap().to_owned()));
    }
    found.push(("deploy/README.md".to_owned(), deploy("README.md").1));
    found.push(("README.md".to_owned(), deploy("../README.md").1));
    found
}

/// All texts of a document that name a metric, with the title of the panel that they stand in.
fn texts_of(value: &Value, place: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) if text.contains("perkgate_") => found.push((place.to_owned(), text.clone())),
        Value::Array(items) => items.iter().for_each(|item| texts_of(item, place, found)),
        Value::Object(members) => {
            let place = members.get("title").and_then(Value::as_str).unwrap_or(place);
            members.values().for_each(|member| texts_of(member, place, found));
        }
        _ => {}
    }
}

fn alert_rules() -> Vec<Json> {
    let (_, text) = deploy("prometheus-alerts.yaml");
    let document = yaml::read(&text).unwrap();
    let list = |json: &Json, name: &str| json.member(name).and_then(Json::as_list).unwrap().to_vec();
    list(&document, "groups").iter().flat_map(|group| list(group, "rules")).collect()
}

/// The query asks for nothing that isn't exported, and by no label or value that there isn't.
fn holds(place: &str, query: &str, scrape: &Scrape, has_redis: bool) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names = scrape.names();
    let mut known_labels = BTreeSet::from(["instance", "job"]);
    for (at, _) in query.match_indices("perkgate_") {
        let rest = &query[at..];
        let (name, rest) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
        let is_there = names.contains(name) || (name == "perkgate_redis_up" && !has_redis);
        assert!(is_there, "{place} asks for {name}, which isn't exported: {query}");
        let of = |family: &&&Family| {
            let suffix = name.strip_prefix(family.name);
            suffix.is_some_and(|suffix| matches!(suffix, "" | "_bucket" | "_sum" | "_count"))
        };
        let family = FAMILIES.iter().filter(of).max_by_key(|family| family.name.len()).unwrap();
        known_labels.extend(family.labels.iter().map(|label| label.name));
        if name.ends_with("_bucket") {
            known_labels.insert("le");
        }
        let Some(matchers) = rest.strip_prefix('{').and_then(|rest| rest.split('}').next()) else { continue };
        for matcher in matchers.split(',') {
            let (label, value) = matcher.split_once('=').unwrap();
            let value = value.trim_start_matches('~').trim_matches('"');
            assert!(known_labels.contains(label), "{place}: {name} has no label {label}");
            let label = family.labels.iter().find(|known| known.name == label && !known.values.is_empty());
            for value in value.split('|').filter(|_| label.is_some()) {
                assert!(label.unwrap().values.contains(&value), "{place}: {name} has no {matcher}");
            }
        }
    }
    for by in query.split(" by (").skip(1) {
        for label in by.split(')').next().unwrap().split(',') {
            assert!(known_labels.contains(label.trim()), "{place}: by {label}: {query}");
        }
    }
}

#[test]
fn the_table_has_every_reason_from_the_start() {
    let family = FAMILIES.iter().find(|family| family.name == "perkgate_check_reasons_total").unwrap();
    for code in ReasonCode::ALL {
        assert!(family.labels[0].values.contains(&code.as_str()), "{}", code.as_str());
    }
}

#[test]
fn every_alert_says_when_how_bad_and_what_to_do() {
    let rules = alert_rules();
    let mut names = BTreeSet::new();
    for rule in &rules {
        let text = |json: &Json, name: &str| json.member(name).and_then(Json::as_text).unwrap_or_default().to_owned();
        let name = text(rule, "alert");
        assert!(name.starts_with("Perkgate") && names.insert(name.clone()), "{name}");
        let severity = text(rule.member("labels").unwrap(), "severity");
        assert!(["critical", "warning", "info"].contains(&&*severity), "{name}: {severity}");
        let annotations = rule.member("annotations").unwrap();
        for part in ["summary", "description"] {
            assert!(text(annotations, part).len() > 15, "{name} has no {part}");
        }
    }
    assert!(rules.len() > 10);
}
