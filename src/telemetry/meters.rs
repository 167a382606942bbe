//! The handles of all metrics, made once: to count costs an atomic addition, and neither a name nor a label is built.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};

use super::families::{self, FAMILIES, Family, MetricKind};
use super::metrics::Metrics;

/// The handles of this process.
pub struct Meters {
    pub http_connections: Gauges,
    pub http_connections_closed: Counters,
    pub streams: Gauges,
    pub checks: Counters,
    pub check_reasons: Counters,
    pub dry_runs: Counters,
    pub referrals: Counters,
    pub contests: Counters,
    pub overrides: Counters,
    pub desk_sign_ins: Counters,
    pub console_log_ins: Counters,
    pub redemptions: Counters,
    pub introspections: Counters,
    pub revocations: Counters,
    pub corrections: Counters,
    pub score_lookups: Counters,
    pub attribute_lookups: Counters,
    pub score_cache_forged: Counters,
    pub score_age: Histogram,
    pub ledger_batch: Histogram,
    pub ledger_commit: Histogram,
    pub ledger_queue: Gauges,
    pub ledger_queue_limit: Gauges,
    pub limits_near_full: Gauges,
    pub logs: Gauges,
    pub log_events: Gauges,
    pub held_feeds: Gauges,
    pub anchor_rounds: Counters,
    pub pull_requests: Counters,
    pub pulls_waiting: Gauges,
    pub token_key_age: Gauges,
    pub readiness_reason: Gauges,
    pub database_up: Gauges,
    pub database_connections: Gauges,
    pub redis_up: Gauges,
    pub log_lines_lost: Counters,
}

/// The handles of this process. The first call starts the recorder, so that nothing is counted before there is one.
pub fn meters() -> &'static Meters {
    static METERS: OnceLock<Meters> = OnceLock::new();
    METERS.get_or_init(|| {
        // Where a program that embeds the gateway has a recorder of its own, that one is used.
        let _ = Metrics::start();
        Meters::new()
    })
}

impl Meters {
    fn new() -> Self {
        for family in FAMILIES {
            match family.kind {
                MetricKind::Counter => metrics::describe_counter!(family.name, family.help),
                MetricKind::Gauge => metrics::describe_gauge!(family.name, family.help),
                MetricKind::Histogram(_) => metrics::describe_histogram!(family.name, family.help),
            }
        }
        metrics::gauge!(families::BUILD_INFO.name, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Self {
            http_connections: Gauges::new(&families::HTTP_CONNECTIONS),
            http_connections_closed: Counters::new(&families::HTTP_CONNECTIONS_CLOSED),
            streams: Gauges::new(&families::STREAMS),
            checks: Counters::new(&families::CHECKS),
            check_reasons: Counters::new(&families::CHECK_REASONS),
            dry_runs: Counters::new(&families::DRY_RUNS),
            referrals: Counters::new(&families::REFERRALS),
            contests: Counters::new(&families::CONTESTS),
            overrides: Counters::new(&families::OVERRIDES),
            desk_sign_ins: Counters::new(&families::DESK_SIGN_INS),
            console_log_ins: Counters::new(&families::CONSOLE_LOG_INS),
            redemptions: Counters::new(&families::REDEMPTIONS),
            introspections: Counters::new(&families::INTROSPECTIONS),
            revocations: Counters::new(&families::REVOCATIONS),
            corrections: Counters::new(&families::CORRECTIONS),
            score_lookups: Counters::new(&families::SCORE_LOOKUPS),
            attribute_lookups: Counters::new(&families::ATTRIBUTE_LOOKUPS),
            score_cache_forged: Counters::new(&families::SCORE_CACHE_FORGED),
            score_age: histogram(&families::SCORE_AGE, &[]),
            ledger_batch: histogram(&families::LEDGER_BATCH, &[]),
            ledger_commit: histogram(&families::LEDGER_COMMIT, &[]),
            ledger_queue: Gauges::new(&families::LEDGER_QUEUE),
            ledger_queue_limit: Gauges::new(&families::LEDGER_QUEUE_LIMIT),
            limits_near_full: Gauges::new(&families::LIMITS_NEAR_FULL),
            logs: Gauges::new(&families::LOGS),
            log_events: Gauges::new(&families::LOG_EVENTS),
            held_feeds: Gauges::new(&families::HELD_FEEDS),
            anchor_rounds: Counters::new(&families::ANCHOR_ROUNDS),
            pull_requests: Counters::new(&families::PULL_REQUESTS),
            pulls_waiting: Gauges::new(&families::PULLS_WAITING),
            token_key_age: Gauges::new(&families::TOKEN_KEY_AGE),
            readiness_reason: Gauges::new(&families::READINESS_REASON),
            database_up: Gauges::new(&families::DATABASE_UP),
            database_connections: Gauges::new(&families::DATABASE_CONNECTIONS),
            redis_up: Gauges::new(&families::REDIS_UP),
            log_lines_lost: Counters::new(&families::LOG_LINES_LOST),
        }
    }

    /// Counts an answered request. `route` is a pattern, so there are few of them.
    pub fn note_request(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        thread_local! {
            static MADE: RefCell<HashMap<String, Route>> = RefCell::default();
        }
        MADE.with_borrow_mut(|made| {
            if let Some(known) = made.get_mut(route) {
                return known.note(method, route, status, took);
            }
            let mut new = Route::default();
            new.note(method, route, status, took);
            made.insert(route.to_owned(), new);
        });
    }
}

/// A worker's handles for one route.
#[derive(Default)]
struct Route {
    counts: Vec<(&'static str, u16, Counter)>,
    durations: Vec<(&'static str, Histogram)>,
}

impl Route {
    fn note(&mut self, method: &'static str, route: &str, status: u16, took: Duration) {
        if let Some((.., count)) = self.counts.iter().find(|(m, s, _)| (*m, *s) == (method, status)) {
            count.increment(1);
        } else {
            let new = counter(&families::HTTP_REQUESTS, &[method, route, &status.to_string()]);
            new.increment(1);
            self.counts.push((method, status, new));
        }
        if let Some((_, duration)) = self.durations.iter().find(|(m, _)| *m == method) {
            duration.record(took.as_secs_f64());
        } else {
            let new = histogram(&families::HTTP_REQUEST_DURATION, &[method, route]);
            new.record(took.as_secs_f64());
            self.durations.push((method, new));
        }
    }
}

/// The counters of one family, one for each combination of its labels.
pub struct Counters(Handles<Counter>);

impl Counters {
    fn new(family: &'static Family) -> Self {
        Self(Handles::new(family, counter))
    }

    /// Adds one under these values of the family's labels, in its order.
    pub fn count<const N: usize>(&self, values: [&'static str; N]) {
        self.add(values, 1);
    }

    /// Adds `more`.
    pub fn add<const N: usize>(&self, values: [&'static str; N], more: u64) {
        self.0.with(&values, |counter| counter.increment(more));
    }
}

/// The gauges of one family, one for each combination of its labels.
pub struct Gauges(Handles<Gauge>);

impl Gauges {
    fn new(family: &'static Family) -> Self {
        Self(Handles::new(family, gauge))
    }

    /// Sets the one under these values of the family's labels, in its order.
    pub fn set<const N: usize>(&self, values: [&'static str; N], value: f64) {
        self.0.with(&values, |gauge| gauge.set(value));
    }

    /// Sets a number of things; exact up to 2^53.
    #[expect(clippy::cast_precision_loss, reason = "nobody counts so far")]
    pub fn set_count<const N: usize>(&self, values: [&'static str; N], count: u64) {
        self.set(values, count as f64);
    }
}

struct Handles<H> {
    family: &'static Family,
    make: fn(&Family, &[&str]) -> H,
    made: Vec<(Vec<&'static str>, H)>,
}

impl<H> Handles<H> {
    fn new(family: &'static Family, make: fn(&Family, &[&str]) -> H) -> Self {
        let mut combinations: Vec<Vec<&'static str>> = Vec::new();
        if family.from_start {
            combinations.push(Vec::new());
            for label in family.labels {
                let with = |values: &Vec<&'static str>| {
                    let values = values.clone();
                    label.values.iter().map(move |value| [&values[..], &[*value]].concat())
                };
                combinations = combinations.iter().flat_map(with).collect();
            }
        }
        let handles = combinations.into_iter().map(|values| (values.clone(), make(family, &values))).collect();
        Self { family, make, made: handles }
    }

    /// A value that the table doesn't know is exported all the same.
    fn with(&self, values: &[&'static str], f: impl FnOnce(&H)) {
        match self.made.iter().find(|(made, _)| made == values) {
            Some((_, handle)) => f(handle),
            None => f(&(self.make)(self.family, values)),
        }
    }
}

fn labels(family: &Family, values: &[&str]) -> Vec<metrics::Label> {
    let pairs = family.labels.iter().zip(values);
    pairs.map(|(label, value)| metrics::Label::new(label.name, (*value).to_owned())).collect()
}

fn counter(family: &Family, values: &[&str]) -> Counter {
    metrics::counter!(family.name, labels(family, values))
}

fn gauge(family: &Family, values: &[&str]) -> Gauge {
    metrics::gauge!(family.name, labels(family, values))
}

fn histogram(family: &Family, values: &[&str]) -> Histogram {
    metrics::histogram!(family.name, labels(family, values))
}
