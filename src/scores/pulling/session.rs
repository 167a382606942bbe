//! The requests of one run: each paid for from the budget, tried again where that helps, and stopped where the service or
//! its failures say so.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, RETRY_AFTER};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::Pulls;
use super::limits;
use super::outcome::{Stop, Wait};
use super::spec::Pull;
use super::store::{self, Spending};
use crate::database::AnyConnection;
use crate::foundation::ids::{MerchantId, SourceName};
use crate::outgoing::{Answered, OutgoingError};
use crate::scoring::observation::day_of;
use crate::telemetry::meters;

/// The number of times that a request is tried again.
const RETRIES: u32 = 2;

/// The time before the first of them; twice that before the next.
const RETRY_AFTER_MS: u64 = 200;

/// As many failures in a row open the breaker.
pub(super) const BREAKER: i64 = 5;

/// A host that failed as often in a run is asked no more in it, where accounts have hosts of their own.
const HOST_BREAKER: u32 = 2;

/// The time for which the breaker is open at first; twice that after each further failure, up to an hour.
const OPEN_FOR_SECONDS: i64 = 60;
const LONGEST_OPEN_SECONDS: i64 = 3_600;

/// The answer to a request, as connectors read it.
#[derive(Debug)]
pub(super) enum Reply {
    Json { body: Value, headers: HeaderMap, etag: Option<String> },
    Unchanged,
    Unknown(&'static str),
    Missing,
}

/// Sends the requests of a run.
pub(super) struct Session {
    pub pulls: Pulls,
    pub of: (MerchantId, SourceName),
    pub pull: Pull,
    pub secret: Option<SecretString>,
    /// The lease's name and fencing number.
    pub lease: (String, i64),
    /// Failures in a row, of all runs together.
    pub failures: i64,
    pub requests: u64,
    pub answered_at: Option<Timestamp>,
    pub fault: Option<String>,
    /// How often hosts failed in this run, and those that ask for patience.
    pub(super) hosts: BTreeMap<String, u32>,
    /// Nothing more is asked before this.
    pub(super) spent: Option<Timestamp>,
}

impl Session {
    /// Asks for JSON. Every try is paid for.
    pub(super) async fn get(&mut self, url: &Url, etag: Option<&str>, more: HeaderMap) -> Result<Reply, Stop> {
        let host = url.host_str().unwrap_or_default().to_owned();
        if self.hosts.get(&host).is_some_and(|failed| *failed >= HOST_BREAKER) {
            return Ok(Reply::Unknown("its host does not answer"));
        }
        let mut tries = 0;
        loop {
            if let Some(until) = self.spent {
                return Err(Stop::Wait(until, Wait::BackingOff));
            }
            self.pay().await?;
            let mut headers = more.clone();
            if let Some(etag) = etag.and_then(|etag| HeaderValue::try_from(etag).ok()) {
                headers.insert(IF_NONE_MATCH, etag);
            }
            let answered = self.pulls.outgoing.get(url, headers).await;
            let may_try_again = tries < RETRIES;
            if let Some(reply) = self.judge(&host, answered, may_try_again)? {
                return Ok(reply);
            }
            self.count("retried");
            self.pause(tries).await;
            tries += 1;
        }
    }

    /// Headers with the secret as a bearer's token, where there is one.
    pub(super) fn bearer(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(secret) = &self.secret
            && let Ok(mut value) = HeaderValue::try_from(format!("Bearer {}", secret.expose_secret()))
        {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        headers
    }

    pub(super) fn now(&self) -> Timestamp {
        self.pulls.clock.now()
    }

    /// Pays for a request, under the lease.
    async fn pay(&mut self) -> Result<(), Stop> {
        let now = self.now();
        let (of, lease, today, budget) = (self.of.clone(), self.lease.clone(), day_of(now), self.pull.budget);
        let spend =
            move |conn: &mut AnyConnection| store::spend(conn, (&of.0, &of.1), &lease, today, i64::from(budget));
        match self.pulls.scores.database.write(spend).await? {
            Spending::Paid => {
                self.requests += 1;
                Ok(())
            }
            Spending::Spent => Err(Stop::Wait(limits::next_day(now), Wait::Budget)),
            Spending::Superseded => Err(Stop::Superseded),
        }
    }

    /// The reply, or none where it is to be tried again.
    fn judge(
        &mut self,
        host: &str,
        answered: Result<Answered, OutgoingError>,
        may_try_again: bool,
    ) -> Result<Option<Reply>, Stop> {
        let answered = match answered {
            Ok(answered) => answered,
            Err(error) if error.is_passing() && may_try_again => return Ok(None),
            Err(error) => return self.failed(host, &error.to_string()),
        };
        let Answered { status, headers, body } = answered;
        let now = self.now();
        match status {
            200 => self.judge_body(host, headers, &body),
            304 => {
                self.succeeded("unchanged");
                self.hear(host, limits::spent_until(&headers, None, now));
                Ok(Some(Reply::Unchanged))
            }
            429 => self.back_off(host, limits::refused_until(&headers, now)),
            403 if limits::is_spent(&headers) => self.back_off(host, limits::refused_until(&headers, now)),
            503 if headers.contains_key(RETRY_AFTER) => self.back_off(host, limits::refused_until(&headers, now)),
            404 => {
                self.succeeded("missing");
                Ok(Some(Reply::Missing))
            }
            400 | 401 | 403 | 410 | 422 | 451 => {
                self.succeeded("unknown");
                Ok(Some(Reply::Unknown(match status {
                    401 => "it asks for a log-in (401)",
                    403 => "it refuses (403)",
                    410 => "it is gone from there (410)",
                    451 => "it may not say, by law (451)",
                    _ => "it doesn't understand the account's name",
                })))
            }
            300..=399 => self.failed(host, &format!("it answers {status}: redirects are not followed")),
            500.. if may_try_again => Ok(None),
            _ => self.failed(host, &format!("it answers {status}")),
        }
    }

    fn judge_body(&mut self, host: &str, headers: HeaderMap, body: &[u8]) -> Result<Option<Reply>, Stop> {
        let kind = headers.get("content-type").and_then(|it| it.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if !(kind.ends_with("/json") || kind.ends_with("+json")) {
            return self.failed(host, "its answer is no JSON by its content type");
        }
        // A byte order mark is none of JSON's, yet some send it.
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return self.failed(host, "its answer can't be read as JSON");
        };
        self.succeeded("answered");
        self.hear(host, limits::spent_until(&headers, Some(&body), self.now()));
        let etag = headers.get(ETAG).and_then(|it| it.to_str().ok()).filter(|it| it.len() <= 200).map(str::to_owned);
        Ok(Some(Reply::Json { body, headers, etag }))
    }

    fn count(&self, outcome: &'static str) {
        meters().pull_requests.count([self.pull.connector.as_str(), outcome]);
    }

    fn succeeded(&mut self, outcome: &'static str) {
        self.count(outcome);
        self.failures = 0;
        self.answered_at = Some(self.now());
    }

    /// Hears that nothing more may be asked for a while: of the service, or of the one host of many.
    fn hear(&mut self, host: &str, spent: Option<Timestamp>) {
        if spent.is_some() && self.pull.connector.has_many_hosts() {
            self.hosts.insert(host.to_owned(), HOST_BREAKER);
        } else {
            self.spent = spent;
        }
    }

    fn back_off(&mut self, host: &str, until: Timestamp) -> Result<Option<Reply>, Stop> {
        self.count("backing_off");
        if self.pull.connector.has_many_hosts() {
            self.hosts.insert(host.to_owned(), HOST_BREAKER);
            return Ok(Some(Reply::Unknown("its host asks for patience")));
        }
        Err(Stop::Wait(until, Wait::BackingOff))
    }

    fn failed(&mut self, host: &str, fault: &str) -> Result<Option<Reply>, Stop> {
        self.count("failed");
        self.fault = Some(fault.to_owned());
        if self.pull.connector.has_many_hosts() {
            *self.hosts.entry(host.to_owned()).or_default() += 1;
            return Ok(Some(Reply::Unknown("its host does not answer as it should")));
        }
        self.failures += 1;
        if self.failures < BREAKER {
            return Ok(Some(Reply::Unknown("the service does not answer as it should")));
        }
        let doublings = u32::try_from(self.failures - BREAKER).unwrap_or(u32::MAX).min(10);
        let open = OPEN_FOR_SECONDS.saturating_mul(1 << doublings).min(LONGEST_OPEN_SECONDS);
        let until = self.now() + jiff::SignedDuration::from_secs(open);
        Err(Stop::Wait(until, Wait::Failing))
    }

    /// A while, and up to as much again by chance: replicas and sources don't come in step.
    async fn pause(&self, tries: u32) {
        let base = RETRY_AFTER_MS << tries;
        let by_chance = u64::from(u16::from_be_bytes(self.pulls.entropy.bytes::<2>())) * base / u64::from(u16::MAX);
        tokio::time::sleep(Duration::from_millis(base + by_chance)).await;
    }
}
