//! Refusals that somebody contests: a case for a person, who upholds the decision or overturns it.
//!
//! A contest is a referral that was opened afterwards. It stands in the same table and is decided by the
//! same code (`referrals.rs`): whoever overturns a refusal grants a check in its place, limits and all.

use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::append::{self, Leaf, LogIds};
use super::checks;
use super::entry::{Actor, LogOwner};
use super::event::{Event, StoredEvent};
use super::referrals::{Personal, Referral, ReferralStatus};
use super::store::{self, ReferralRow, people};
use super::subjects;
use super::writer::{Job, Means, Writer};
use super::{CHANGE_PATIENCE, Ledger, LedgerError, replay, settled};
use crate::database::{AnyConnection, DatabaseError};
use crate::eligibility::decide::Decision;
use crate::ids::{CheckId, EventId, MerchantId};
use crate::json::Json;

/// The kinds of a contest's events; they are about the check that is contested.
pub const OPENED: &str = "contest.opened";
pub const UPHELD: &str = "contest.upheld";
pub const OVERTURNED: &str = "contest.overturned";
/// The person was erased before anybody judged.
pub const CLOSED: &str = "contest.closed";

/// What somebody says about a decision.
#[derive(Debug, Clone)]
pub struct Objection {
    pub merchant: MerchantId,
    pub check: CheckId,
    pub event: EventId,
    pub at: Timestamp,
    pub by: Actor,
    /// Why it is wrong: personal.
    pub reason: String,
}

/// Why no case was opened.
#[derive(Debug, thiserror::Error)]
pub enum ContestError {
    #[error("there is no such check")]
    NotFound,
    /// It was granted, or a person is to decide it anyway.
    #[error("only a refusal can be contested, and this check was {}", .0.as_str())]
    NotRefused(Decision),
    /// It was referred, and a person has decided.
    #[error("a person decided this check at {at}: it was {}", .status.as_str())]
    Decided { status: ReferralStatus, at: Timestamp },
    #[error("a case about this check was opened before")]
    AlreadyContested,
    #[error("the person that the check was about has been erased")]
    Erased,
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<DatabaseError> for ContestError {
    fn from(error: DatabaseError) -> Self {
        match error {
            // Another replica was first.
            DatabaseError::Duplicate(_) => Self::AlreadyContested,
            error => Self::Ledger(LedgerError::from(&error)),
        }
    }
}

impl Ledger {
    /// Opens a case about a refusal.
    ///
    /// # Errors
    /// [`ContestError`]; nothing is recorded then.
    pub async fn contest(&self, objection: Objection) -> Result<Referral, ContestError> {
        let (reply, answer) = oneshot::channel();
        let change = Job::Change(Box::new(move |writer: &mut Writer| {
            let _ = reply.send(open(writer, &objection));
        }));
        self.queue.try_send(change).map_err(|_| LedgerError::Busy)?;
        settled(answer, Instant::now() + CHANGE_PATIENCE).await?
    }
}

fn open(writer: &mut Writer, objection: &Objection) -> Result<Referral, ContestError> {
    let mut refusal = None;
    let marker = objection.event.as_str().to_owned();
    let done = writer.attempt(
        |conn, means, logs| match opened(conn, means, logs, objection) {
            Ok(row) => Ok(row),
            Err(ContestError::Ledger(LedgerError::Database(error))) => Err(error),
            Err(refused) => {
                refusal = Some(refused);
                Err(DatabaseError::Interrupted)
            }
        },
        std::slice::from_ref(&marker),
    );
    match (done, refusal) {
        (Ok(row), _) => Ok(row.try_into()?),
        (Err(_), Some(refusal)) => Err(refusal),
        (Err(error), None) => Err(error.into()),
    }
}

fn opened(
    conn: &mut AnyConnection,
    means: &Means,
    logs: &mut LogIds,
    objection: &Objection,
) -> Result<ReferralRow, ContestError> {
    let Objection { merchant, check, by, .. } = objection;
    let raised = |error: DatabaseError| match error {
        DatabaseError::Duplicate(_) => ContestError::AlreadyContested,
        // As it is: the writer looks at it before anybody is told.
        error => ContestError::Ledger(LedgerError::Database(error)),
    };
    let known = store::lock_referral(conn, merchant, check).map_err(raised)?;
    if known.as_ref().is_some_and(|row| row.contested_at.is_some()) {
        return Err(ContestError::AlreadyContested);
    }
    // Otherwise pruning could take away meanwhile what the case is to be decided by.
    if let Some(log) = store::find_log(conn, Some(merchant)).map_err(raised)? {
        store::hold_event(conn, &log.id, check.as_str(), checks::KIND).map_err(raised)?;
    }
    let asked = replay::recorded_check(conn, &means.keyring, merchant, check)?.ok_or(ContestError::NotFound)?;
    if let Some(referral) = known {
        // Not locked: whoever erases locks the person before the referral.
        if store::find_subject(conn, merchant, &referral.subject).map_err(raised)?.is_none() {
            return Err(ContestError::Erased);
        }
        let Referral { status, decided, .. } = Referral::try_from(referral).map_err(raised)?;
        let undecided = || ContestError::NotRefused(asked.get().decision);
        return Err(decided.map_or_else(undecided, |decided| ContestError::Decided { status, at: decided.at }));
    }
    if asked.get().decision != Decision::Denied {
        return Err(ContestError::NotRefused(asked.get().decision));
    }
    let event = replay::find_event(conn, merchant, check, checks::KIND).map_err(raised)?;
    let event = event.ok_or(ContestError::NotFound)?;
    let row = row_of(objection, &event, asked.get().at).map_err(raised)?;
    // Kept until the commit: an erasure either sees this case and closes it, or comes first and refuses it.
    if people::keep_subjects(conn, merchant, &[&row.subject]).map_err(raised)?.is_empty() {
        return Err(ContestError::Erased);
    }
    let subject = subjects::find(conn, &means.keyring, merchant, &row.subject).map_err(raised)?;
    let (_, subject) = subject.ok_or(ContestError::Erased)?;
    let personal = Personal { note: objection.reason.clone() };
    let plain = serde_json::to_vec(&personal).map_err(|e| raised(DatabaseError::corrupt("contest", e)))?;
    store::insert_referrals(conn, std::slice::from_ref(&row)).map_err(raised)?;
    let body = Event {
        id: &objection.event,
        kind: OPENED,
        at: objection.at,
        merchant: Some(merchant),
        actor: by,
        about: check.as_str(),
        facts: Json::object([
            ("perk", Json::text(&row.perk)),
            ("perk_id", Json::text(&row.perk_id)),
            ("rule_version", Json::whole(i64::from(row.rule_version))),
            ("subject", Json::text(&row.subject)),
            ("decision", Json::text(Decision::Denied.as_str())),
            ("decided_at", Json::text(asked.get().at.to_string())),
            ("reasons", event.facts.member("reasons").cloned().unwrap_or(Json::Null)),
        ]),
        sealed: Some(&subject.secret.seal(&objection.event, &plain, &means.entropy)),
    }
    .to_body();
    let leaf = Leaf {
        log: LogOwner::Merchant(merchant.clone()),
        id: objection.event.clone(),
        kind: OPENED,
        about: check.as_str().to_owned(),
        at: objection.at,
        body,
    };
    append::append(conn, means, logs, vec![leaf]).map_err(raised)?;
    Ok(row)
}

fn row_of(objection: &Objection, event: &StoredEvent, asked_at: Timestamp) -> Result<ReferralRow, DatabaseError> {
    let text = |name: &'static str| {
        let told = event.facts.member(name).and_then(Json::as_text).map(str::to_owned);
        told.ok_or_else(|| DatabaseError::corrupt("check event", name))
    };
    let version = event.facts.member("rule_version").and_then(Json::as_whole).and_then(|n| i32::try_from(n).ok());
    Ok(ReferralRow {
        check_id: objection.check.as_str().to_owned(),
        merchant_id: objection.merchant.as_str().to_owned(),
        perk_id: text("perk_id")?,
        perk: text("perk")?,
        rule_version: version.ok_or_else(|| DatabaseError::corrupt("check event", "rule_version"))?,
        subject: text("subject")?,
        status: ReferralStatus::Open.as_str().to_owned(),
        created_at: asked_at.as_microsecond(),
        decided_at: None,
        decided_by: None,
        resolved_by: None,
        grant_id: None,
        contested_at: Some(objection.at.as_microsecond()),
        contested_by: Some(objection.by.name()),
    })
}
