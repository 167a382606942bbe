//! The state of sources that are fetched, as it is shown.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::Pulls;
use super::outcome::Wait;
use super::spec::{Pull, PullSpec};
use super::store::{self, PullRow};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::MerchantId;
use crate::scores::error::ScoreError;
use crate::scoring::observation::day_of;

/// The state of a source that is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PullStatus {
    /// It has not been fetched yet.
    New,
    /// It is fetched as accounts are due.
    Ready,
    BudgetSpent,
    BackingOff,
    Failing,
}

impl PullStatus {
    pub const ALL: [Self; 5] = [Self::New, Self::Ready, Self::BudgetSpent, Self::BackingOff, Self::Failing];

    /// The wire form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Ready => "ready",
            Self::BudgetSpent => Wait::Budget.as_str(),
            Self::BackingOff => Wait::BackingOff.as_str(),
            Self::Failing => Wait::Failing.as_str(),
        }
    }
}

/// The state of a source that is fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PullState {
    pub connector: &'static str,
    pub network: String,
    pub status: &'static str,
    /// Requests a day, and how many of them are left of this UTC day.
    pub budget: u32,
    pub budget_left: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run_at: Option<Timestamp>,
    /// When the service last answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_answer_at: Option<Timestamp>,
    /// Until when nothing is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_until: Option<Timestamp>,
    /// The last fault, in a sentence that names nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

impl Pulls {
    /// The states of a merchant's sources that are fetched, by name.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn states(&self, merchant: &MerchantId) -> Result<BTreeMap<String, PullState>, ScoreError> {
        let merchant = merchant.clone();
        let rows = self.scores.database.read(move |conn: &mut AnyConnection| store::list(conn, &merchant)).await?;
        let now = self.clock.now();
        let state = |row: PullRow| Ok((row.source.clone(), state_of(row, now)?));
        Ok(rows.into_iter().map(state).collect::<Result<_, DatabaseError>>()?)
    }
}

fn state_of(row: PullRow, now: Timestamp) -> Result<PullState, DatabaseError> {
    let pull = read_stored(&row.spec)?;
    let spent = if row.spent_day == day_of(now) { u32::try_from(row.spent).unwrap_or(u32::MAX) } else { 0 };
    let waits_until = Some(from_micros(row.waits_until)).filter(|until| *until > now);
    let waiting = row.wait.filter(|_| waits_until.is_some());
    let status = match waiting {
        Some(word) => PullStatus::ALL.into_iter().find(|it| it.as_str() == word).unwrap_or(PullStatus::Ready),
        None if row.run_at.is_none() => PullStatus::New,
        None => PullStatus::Ready,
    };
    Ok(PullState {
        connector: pull.connector.as_str(),
        network: pull.network,
        status: status.as_str(),
        budget: pull.budget,
        budget_left: pull.budget.saturating_sub(spent),
        last_run_at: row.run_at.map(from_micros),
        last_answer_at: row.answered_at.map(from_micros),
        waits_until,
        fault: row.fault,
    })
}

/// A declaration as it is stored.
pub(super) fn read_stored(spec: &str) -> Result<Pull, DatabaseError> {
    let corrupt = |error: &dyn std::fmt::Display| DatabaseError::corrupt("declaration of a source", error);
    let spec: PullSpec = serde_json::from_str(spec).map_err(|error| corrupt(&error))?;
    Ok(Pull::read(&spec).map_err(|_| corrupt(&"it doesn't fit"))?.0)
}
