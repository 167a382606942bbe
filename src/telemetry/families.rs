//! The table of all metrics: names, kinds, labels and help. The dashboard and the alerts in `deploy/` are held to it.
//!
//! A name begins with `perkgate_` and ends with its unit; a counter ends with `_total`. No label may say which merchant,
//! perk, person or key something was about: those who read metrics may not know them.

use MetricKind::{Counter, Gauge, Histogram};

/// One family of metrics.
#[derive(Debug)]
pub struct Family {
    pub name: &'static str,
    pub kind: MetricKind,
    pub labels: &'static [Label],
    /// True if every combination of its labels is exported from the start, at zero; others appear when first used.
    pub from_start: bool,
    /// The text of `# HELP`.
    pub help: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MetricKind {
    Counter,
    Gauge,
    /// With the upper bounds of its buckets.
    Histogram(&'static [f64]),
}

/// One label.
#[derive(Debug)]
pub struct Label {
    pub name: &'static str,
    /// The values that are known beforehand.
    pub values: &'static [&'static str],
}

const fn label(name: &'static str, values: &'static [&'static str]) -> Label {
    Label { name, values }
}

impl Family {
    const fn new(name: &'static str, kind: MetricKind, labels: &'static [Label], help: &'static str) -> Self {
        Self { name, kind, labels, from_start: true, help }
    }

    const fn when_used(mut self) -> Self {
        self.from_start = false;
        self
    }
}

/// A check answered from memory takes tenths of a millisecond, one that waits for a busy disk a second.
const SECONDS: &[f64] = &[0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
const ENTRIES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];
/// A minute, an hour, six hours; one, three, seven, 14, 30, 90 and 365 days.
const AGES: &[f64] =
    &[60.0, 3_600.0, 21_600.0, 86_400.0, 259_200.0, 604_800.0, 1_209_600.0, 2_592_000.0, 7_776_000.0, 31_536_000.0];

const DECISIONS: &[&str] = &["granted", "denied", "referred"];
const METHOD: Label = label("method", &["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "other"]);
const LISTENER: Label = label("listener", &["http", "metrics"]);
const REASONS: &[&str] = &[
    "score_met",
    "score_below_threshold",
    "score_missing",
    "score_stale",
    "attribute_missing",
    "attribute_mistyped",
    "condition_not_met",
    "outside_schedule",
    "not_yet_valid",
    "no_longer_valid",
    "perk_paused",
    "limit_reached",
    "not_in_rollout",
    "granted_by_person",
    "blackout",
    "too_early",
    "too_late",
    "pass_date",
    "guests_exceeded",
    "place_closed",
    "override_exhausted",
    "attribute_stale",
    "other",
];

/// Why `/readyz` may say that not all is well.
pub const READINESS_REASONS: &[&str] = &[
    "draining",
    "snapshots_not_loaded",
    "database_unreachable",
    "database_replaced",
    "schema_newer",
    "ledger_failing",
    "redis_unreachable",
    "redis_is_no_redis",
    "redis_refuses_login",
    "redis_refuses_database",
    "redis_refuses_writes",
    "redis_refuses_reads",
    "redis_refuses_messages",
];

pub static BUILD_INFO: Family =
    Family::new("perkgate_build_info", Gauge, &[label("version", &[])], "The version that runs; always 1.").when_used();

pub static HTTP_REQUESTS: Family = Family::new(
    "perkgate_http_requests_total",
    Counter,
    &[METHOD, label("route", &[]), label("status", &[])],
    "Requests answered, by the pattern of their route and the status of the answer.",
)
.when_used();
pub static HTTP_REQUEST_DURATION: Family = Family::new(
    "perkgate_http_request_duration_seconds",
    Histogram(SECONDS),
    &[METHOD, label("route", &[])],
    "Time from a request's head to its answer's head, by the pattern of its route.",
)
.when_used();
pub static HTTP_CONNECTIONS: Family =
    Family::new("perkgate_http_connections", Gauge, &[LISTENER], "Open connections, by listener.");
pub static HTTP_CONNECTIONS_CLOSED: Family = Family::new(
    "perkgate_http_connections_closed_total",
    Counter,
    &[LISTENER, label("reason", &["refused", "evicted", "request_head_timeout", "write_timeout"])],
    "Connections that the gateway refused or ended, by reason: no room, room for a newer one, a slow sender, a slow reader.",
);

pub static STREAMS: Family =
    Family::new("perkgate_streams", Gauge, &[], "Open streams of who is inside; each is one of the connections.");

pub static CHECKS: Family = Family::new(
    "perkgate_checks_total",
    Counter,
    &[label("decision", DECISIONS)],
    "Checks answered from the record, by decision; a replay of an Idempotency-Key counts again.",
);
pub static CHECK_REASONS: Family = Family::new(
    "perkgate_check_reasons_total",
    Counter,
    &[label("reason", REASONS)],
    "Reasons given with those decisions, by code; a check may have several.",
);
pub static DRY_RUNS: Family = Family::new(
    "perkgate_dry_runs_total",
    Counter,
    &[label("outcome", &["granted", "denied", "referred", "limited"])],
    "Dry runs, by what they said; limited: refused, as the caller had asked too often.",
);
pub static REFERRALS: Family = Family::new(
    "perkgate_referrals_total",
    Counter,
    &[label("decision", &["granted", "denied"])],
    "Referrals that a person decided, by decision.",
);
pub static CONTESTS: Family = Family::new(
    "perkgate_contests_total",
    Counter,
    &[label("step", &["opened", "added", "uphold", "overturn"])],
    "Steps of contests: opened, added to an open one, upheld, overturned.",
);
pub static OVERRIDES: Family = Family::new(
    "perkgate_overrides_total",
    Counter,
    &[label("outcome", &["granted", "exhausted", "limit_reached"])],
    "Refusals that a desk wished to override, by outcome; exhausted: there were as many as the rule allows.",
);
pub static DESK_SIGN_INS: Family = Family::new(
    "perkgate_desk_sign_ins_total",
    Counter,
    &[label("outcome", &["signed_in", "wrong_pin", "locked"])],
    "Clerks who signed in at a desk, by outcome; locked: too many PINs were wrong before.",
);
pub static CONSOLE_LOG_INS: Family = Family::new(
    "perkgate_console_log_ins_total",
    Counter,
    &[label("outcome", &["logged_in", "refused", "locked"])],
    "People who logged in to the console by password, by outcome; locked: too many passwords were wrong before.",
);
pub static REDEMPTIONS: Family = Family::new(
    "perkgate_redemptions_total",
    Counter,
    &[label("outcome", &["accepted", "already_redeemed", "refused", "unknown"])],
    "Tokens that doors tried to spend, by outcome.",
);
pub static INTROSPECTIONS: Family = Family::new(
    "perkgate_introspections_total",
    Counter,
    &[label("active", &["true", "false"])],
    "Tokens introspected, by whether they could be spent.",
);
pub static REVOCATIONS: Family =
    Family::new("perkgate_revocations_total", Counter, &[], "Grants taken back by revoking their token.");

pub static CORRECTIONS: Family = Family::new(
    "perkgate_corrections_total",
    Counter,
    &[label("outcome", &["fewer", "same", "more", "refused"])],
    "Corrections of who came by a grant, by how many limits count since.",
);

pub static SCORE_LOOKUPS: Family = Family::new(
    "perkgate_score_lookups_total",
    Counter,
    &[label("tier", &["memory", "redis", "database"])],
    "Scores looked up, by the tier that answered; one that waits for another's look-up counts as memory.",
);
pub static ATTRIBUTE_LOOKUPS: Family = Family::new(
    "perkgate_attribute_lookups_total",
    Counter,
    &[label("tier", &["memory", "redis", "database"])],
    "Attributes of people looked up, by the tier that answered, where a rule looks at any.",
);
pub static SCORE_CACHE_FORGED: Family = Family::new(
    "perkgate_score_cache_forged_total",
    Counter,
    &[],
    "Scores in Redis that no gateway of this database wrote, and that were not believed.",
);
pub static SCORE_AGE: Family = Family::new(
    "perkgate_score_age_seconds",
    Histogram(AGES),
    &[],
    "Age of the scores that recorded checks were decided by: from when they were observed.",
);

pub static LEDGER_BATCH: Family =
    Family::new("perkgate_ledger_batch_entries", Histogram(ENTRIES), &[], "Entries in one batch of the ledger.");
pub static LEDGER_COMMIT: Family = Family::new(
    "perkgate_ledger_commit_duration_seconds",
    Histogram(SECONDS),
    &[],
    "Time of one transaction of the ledger, from its beginning until its commit is on disk or has failed.",
);
pub static LEDGER_QUEUE: Family =
    Family::new("perkgate_ledger_queue_entries", Gauge, &[], "Entries that wait for the ledger's next batch.");
pub static LEDGER_QUEUE_LIMIT: Family = Family::new(
    "perkgate_ledger_queue_limit_entries",
    Gauge,
    &[],
    "How many may wait before callers are asked to come back later (ledger_queue).",
);
pub static LIMITS_NEAR_FULL: Family = Family::new(
    "perkgate_limits_near_full",
    Gauge,
    &[],
    "Limits that many people share and of which 90 percent or more are used in the current window, as this process's checks last saw them.",
);
pub static LOGS: Family =
    Family::new("perkgate_logs", Gauge, &[], "Audit logs: one for each merchant that has events, and the operator's.");
pub static LOG_EVENTS: Family =
    Family::new("perkgate_log_events", Gauge, &[], "Events in all audit logs together: the sum of their heads' sizes.");
pub static ANCHOR_ROUNDS: Family = Family::new(
    "perkgate_anchor_rounds_total",
    Counter,
    &[label("target", &["file", "stdout", "webhook"]), label("outcome", &["anchored", "failed"])],
    "Attempts to take signed log heads outside, where there were any, by target and outcome.",
);

pub static PULL_REQUESTS: Family = Family::new(
    "perkgate_pull_requests_total",
    Counter,
    &[
        label("connector", &["json", "bluesky", "mastodon", "youtube", "github", "stack-exchange", "wikipedia"]),
        label("outcome", &["answered", "unchanged", "unknown", "missing", "backing_off", "failed", "retried"]),
    ],
    "Requests sent for scores and signals that are fetched, by connector and outcome.",
);
pub static PULLS_WAITING: Family = Family::new(
    "perkgate_pulls_waiting",
    Gauge,
    &[label("reason", &["budget_spent", "backing_off", "failing"])],
    "Sources that are fetched and for which nothing is sent for now, by the reason; as this replica saw at its last look.",
);

pub static TOKEN_KEY_AGE: Family = Family::new(
    "perkgate_token_key_age_seconds",
    Gauge,
    &[],
    "Time since the key that signs tokens now began to sign.",
);
pub static READINESS_REASON: Family = Family::new(
    "perkgate_readiness_reason",
    Gauge,
    &[label("reason", READINESS_REASONS)],
    "1 for each reason that /readyz gives now, 0 for the others.",
);
pub static DATABASE_UP: Family = Family::new(
    "perkgate_database_up",
    Gauge,
    &[],
    "1 while the database answers and is the one that this process began with.",
);
pub static DATABASE_CONNECTIONS: Family = Family::new(
    "perkgate_database_connections",
    Gauge,
    &[label("pool", &["read", "write"]), label("state", &["busy", "idle"])],
    "Database connections of the pools; the ledger's own is not among them.",
);
pub static REDIS_UP: Family = Family::new(
    "perkgate_redis_up",
    Gauge,
    &[],
    "1 while Redis is used, 0 while it can't be; not there without a redis_url.",
)
.when_used();

pub static LOG_LINES_LOST: Family = Family::new(
    "perkgate_log_lines_lost_total",
    Counter,
    &[],
    "Log lines that nobody took in time, or that could not be written.",
);

/// Every family that the gateway exports.
pub static FAMILIES: [&Family; 38] = [
    &BUILD_INFO,
    &HTTP_REQUESTS,
    &HTTP_REQUEST_DURATION,
    &HTTP_CONNECTIONS,
    &HTTP_CONNECTIONS_CLOSED,
    &STREAMS,
    &CHECKS,
    &CHECK_REASONS,
    &DRY_RUNS,
    &REFERRALS,
    &OVERRIDES,
    &DESK_SIGN_INS,
    &CONSOLE_LOG_INS,
    &CONTESTS,
    &REDEMPTIONS,
    &INTROSPECTIONS,
    &REVOCATIONS,
    &CORRECTIONS,
    &SCORE_LOOKUPS,
    &ATTRIBUTE_LOOKUPS,
    &SCORE_CACHE_FORGED,
    &SCORE_AGE,
    &LEDGER_BATCH,
    &LEDGER_COMMIT,
    &LEDGER_QUEUE,
    &LEDGER_QUEUE_LIMIT,
    &LIMITS_NEAR_FULL,
    &LOGS,
    &LOG_EVENTS,
    &ANCHOR_ROUNDS,
    &PULL_REQUESTS,
    &PULLS_WAITING,
    &TOKEN_KEY_AGE,
    &READINESS_REASON,
    &DATABASE_UP,
    &DATABASE_CONNECTIONS,
    &REDIS_UP,
    &LOG_LINES_LOST,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_their_unit_and_labels_name_nobody() {
        let mut names: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FAMILIES.len(), "each name once");
        for family in FAMILIES {
            let Family { name, kind, labels, help, .. } = family;
            assert!(name.starts_with("perkgate_") && help.ends_with('.'), "{name}");
            assert_eq!(*kind == Counter, name.ends_with("_total"), "{name}");
            let has_unit = name.ends_with("_seconds") || name.ends_with("_entries");
            assert!(!matches!(kind, Histogram(_)) || has_unit, "{name}");
            for label in *labels {
                let allowed = [
                    "active",
                    "connector",
                    "decision",
                    "listener",
                    "method",
                    "outcome",
                    "pool",
                    "reason",
                    "route",
                    "state",
                    "status",
                    "step",
                    "target",
                    "tier",
                    "version",
                ];
                assert!(allowed.contains(&label.name), "{name}: whom could {} name?", label.name);
            }
        }
    }
}
