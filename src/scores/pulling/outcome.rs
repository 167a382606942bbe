//! The outcome of asking about an account, and what a run came to.

use jiff::Timestamp;
use serde::Serialize;

use crate::database::DatabaseError;
use crate::foundation::decimal::Decimal;
use crate::foundation::subject::SubjectRef;
use crate::scores::enrolment::account::LinkedAccount;
use crate::scores::error::ScoreError;
use crate::scores::signals::observed::Seen;

/// A linked account that is asked about.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub subject: SubjectRef,
    pub hash: Vec<u8>,
    pub linked: LinkedAccount,
    /// The name that the service gave its last answer.
    pub etag: Option<String>,
    pub missing_since: Option<i64>,
}

impl Account {
    pub(super) fn name(&self) -> &str {
        &self.linked.account
    }
}

/// The texts and links of a profile, by which an account is proven.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Profile {
    pub texts: Vec<String>,
    /// The pages that link back, as the service has found.
    pub linked_back: Vec<String>,
}

/// The state of an account now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Signals {
        seen: Vec<Seen>,
        profile: Profile,
        etag: Option<String>,
    },
    Score {
        value: Decimal,
        observed_at: Option<Timestamp>,
        etag: Option<String>,
    },
    /// The same as last time.
    Unchanged,
    /// The service doesn't say: what was known before stands, and ages.
    Unknown(&'static str),
    /// There is no such account.
    Missing,
}

/// Why a run goes no further.
#[derive(Debug)]
pub(super) enum Stop {
    /// Until then, for a reason with a name.
    Wait(Timestamp, Wait),
    /// Another run has taken over.
    Superseded,
    Error(ScoreError),
}

impl From<ScoreError> for Stop {
    fn from(error: ScoreError) -> Self {
        Self::Error(error)
    }
}

impl From<DatabaseError> for Stop {
    fn from(error: DatabaseError) -> Self {
        Self::Error(error.into())
    }
}

/// Why nothing is sent for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The day's requests are spent.
    Budget,
    /// The service asks for patience.
    BackingOff,
    /// It has failed again and again.
    Failing,
}

impl Wait {
    pub const ALL: [Self; 3] = [Self::Budget, Self::BackingOff, Self::Failing];

    /// The wire form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Budget => "budget_spent",
            Self::BackingOff => "backing_off",
            Self::Failing => "failing",
        }
    }
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PullProgress {
    pub done: u64,
    pub of: u64,
}

/// The outcome of a run so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PullReport {
    /// Number of accounts that were asked about.
    pub accounts: u64,
    /// Number of them of which something is known now.
    pub answered: u64,
    /// Number of them of which the service says that nothing changed.
    pub unchanged: u64,
    /// Number of them of which the service doesn't say anything: what was known stands.
    pub unknown: u64,
    /// Number of them that are there no more.
    pub missing: u64,
    /// Number of accounts that were found to be the person's.
    pub proven: u64,
    /// Number of signals that count, and of scores.
    pub signals: u64,
    pub scores: u64,
    /// Number of requests that were sent.
    pub requests: u64,
    /// Until when nothing more is sent, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<&'static str>,
    /// The last fault of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}
