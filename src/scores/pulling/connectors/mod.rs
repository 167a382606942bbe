//! How each service is asked about accounts, and what it answers: one file a service.
//!
//! A connector makes URLs and reads answers; what requests cost, and when none is sent, is the session's.

mod bluesky;
mod github;
mod json;
mod mastodon;
mod stack_exchange;
mod wikipedia;
mod youtube;

use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use serde_json::Value;

use super::outcome::{Account, Found, Stop};
use super::reading;
use super::session::Session;
use super::spec::Connector;
use crate::scores::signals::observed::Seen;
use crate::scoring::observation::LIFE;

/// The pages of posts that are read of one account at most.
const MOST_PAGES: usize = 3;

/// Asks about accounts: one outcome each, in their order.
pub(super) async fn look(session: &mut Session, accounts: &[Account]) -> Result<Vec<Found>, Stop> {
    match session.pull.connector {
        Connector::Json => json::look(session, accounts).await,
        Connector::Bluesky => bluesky::look(session, accounts).await,
        Connector::Mastodon => mastodon::look(session, accounts).await,
        Connector::Youtube => youtube::look(session, accounts).await,
        Connector::Github => github::look(session, accounts).await,
        Connector::StackExchange => stack_exchange::look(session, accounts).await,
        Connector::Wikipedia => wikipedia::look(session, accounts).await,
    }
}

/// A URL below the connector's base.
fn url(session: &Session, path: &str, query: &[(&str, &str)]) -> Option<Url> {
    let base = session.pull.base.as_deref().or(session.pull.connector.base())?;
    of_base(base, path, query)
}

fn of_base(base: &str, path: &str, query: &[(&str, &str)]) -> Option<Url> {
    let mut url = Url::parse(&format!("{base}{path}")).ok()?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Some(url)
}

/// A value that can't be named, and so is not asked for.
const UNNAMED: Found = Found::Unknown("its account is no name that the service has");

/// The answer that stands for every account of a batch.
fn all(accounts: &[Account], found: &Found) -> Vec<Found> {
    accounts.iter().map(|_| found.clone()).collect()
}

/// Gathers what was seen; a value that is hidden or missing is left out, never taken for 0.
struct Gatherer {
    seen: Vec<Seen>,
    now: Timestamp,
}

impl Gatherer {
    const fn new(now: Timestamp) -> Self {
        Self { seen: Vec::new(), now }
    }

    /// A value of the account as it is now.
    fn level(&mut self, signal: &'static str, value: Option<&Value>) {
        if let Some(value) = reading::count(value) {
            self.seen.push(Seen { signal, object: None, at: self.now, value });
        }
    }

    /// A running count of an object.
    fn total(&mut self, signal: &'static str, object: &str, at: Timestamp, value: Option<&Value>) {
        if let Some(value) = reading::count(value)
            && !object.is_empty()
            && object.len() <= crate::scoring::lines::LONGEST_NAME
        {
            self.seen.push(Seen { signal, object: Some(object.to_owned()), at, value });
        }
    }

    /// True if an object of that day counts no more: nor do those before it.
    fn is_over(&self, at: Timestamp) -> bool {
        self.now.duration_since(at) >= SignedDuration::from_hours(24 * LIFE)
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
