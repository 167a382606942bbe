//! Requests of people by the links of their answers: to be shown what is held on them, or to be erased. The merchant
//! confirms or declines; a link alone must do neither, as anyone who finds it has it.
//!
//! The person is held first, as in contests and erasures, so that of two requests for the same the second finds the first,
//! and an erasure settles those that are pending (`retention/erasure.rs`).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{CheckId, MerchantId, SubjectRequestId};
use crate::foundation::json::Json;
use crate::foundation::subject::SubjectHandle;
use crate::keyring::Keyring;
use crate::ledger::LedgerError;
use crate::ledger::entry::{Actor, EventDraft, LogOwner, SealedFields};
use crate::ledger::events::WrittenFacts;
use crate::ledger::events::subjects::{RequestDecided, RequestMade};
use crate::ledger::idempotency::replay;
use crate::ledger::read::person::RECORD_READ;
use crate::ledger::store;
use crate::ledger::store::people;
use crate::ledger::store::requests::{self as rows, RequestRow};
use crate::ledger::write::check::{self, StoredCheck};
use crate::ledger::write::subjects;

/// The kinds of a request's events; they are about the request.
pub const MADE: &str = "subject.request_made";
pub const CONFIRMED: &str = "subject.request_confirmed";
pub const DECLINED: &str = "subject.request_declined";

/// The one whom events name where a person acts by a link.
pub const PERSON: Actor = Actor { key: None, role: "person" };

/// The thing that a person asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// To be shown what is held on them.
    Record,
    Erasure,
}

impl RequestKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Record, Self::Erasure];

    /// The wire form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Erasure => "erasure",
        }
    }
}

/// Where a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestStatus {
    Open,
    /// The merchant does so: of an erasure the gateway sees to it.
    Confirmed,
    Declined,
    /// The person was erased.
    CarriedOut,
    /// The person was erased before it was decided.
    Closed,
}

impl RequestStatus {
    /// Every status.
    pub const ALL: [Self; 5] = [Self::Open, Self::Confirmed, Self::Declined, Self::CarriedOut, Self::Closed];

    /// The wire form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Confirmed => "confirmed",
            Self::Declined => "declined",
            Self::CarriedOut => "carried_out",
            Self::Closed => "closed",
        }
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectRequest {
    pub id: SubjectRequestId,
    pub merchant: MerchantId,
    pub check: CheckId,
    /// The person's name in events.
    pub subject: String,
    pub kind: RequestKind,
    pub status: RequestStatus,
    pub asked_at: Timestamp,
    pub decided_at: Option<Timestamp>,
    pub decided_by: Option<String>,
    /// Confirmed erasures: when they are carried out.
    pub due_at: Option<Timestamp>,
}

/// The decision about a request.
#[derive(Debug, Clone)]
pub struct RequestDecision {
    pub request: SubjectRequestId,
    /// True to confirm it.
    pub confirms: bool,
    /// Confirmed erasures: when they are to be carried out.
    pub due_at: Option<Timestamp>,
    /// Personal, as it may name people.
    pub note: Option<String>,
    pub by: Actor,
}

/// Why a request was not made or decided.
#[derive(Debug, thiserror::Error)]
pub enum SubjectRequestError {
    #[error("there is no such request")]
    NotFound,
    #[error("the request is {} already", .0.as_str())]
    Decided(RequestStatus),
    #[error("the person was erased")]
    Erased,
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl TryFrom<RequestRow> for SubjectRequest {
    type Error = DatabaseError;

    fn try_from(row: RequestRow) -> Result<Self, DatabaseError> {
        let corrupt = |what: &'static str| DatabaseError::corrupt("request of a person", what);
        Ok(Self {
            id: row.id.parse().map_err(|e| DatabaseError::corrupt("request of a person", e))?,
            merchant: row.merchant_id.parse().map_err(|e| DatabaseError::corrupt("merchant id", e))?,
            check: row.check_id.parse().map_err(|e| DatabaseError::corrupt("check id", e))?,
            subject: row.subject,
            kind: RequestKind::ALL.into_iter().find(|it| it.as_str() == row.kind).ok_or(corrupt("kind"))?,
            status: RequestStatus::ALL.into_iter().find(|it| it.as_str() == row.status).ok_or(corrupt("status"))?,
            asked_at: from_micros(row.asked_at),
            decided_at: row.decided_at.map(from_micros),
            decided_by: row.decided_by,
            due_at: row.due_at.map(from_micros),
        })
    }
}

/// Makes a request, or finds the one for the same that is pending; true for one that was made.
pub(crate) fn make(
    conn: &mut AnyConnection,
    events: &mut Vec<EventDraft>,
    (merchant, check): (&MerchantId, &CheckId),
    (id, kind): (&SubjectRequestId, RequestKind),
    (by, now): (&Actor, Timestamp),
) -> Result<(SubjectRequest, bool), SubjectRequestError> {
    let event: Option<StoredCheck> = replay::find_event(conn, merchant, check, check::KIND)?;
    let subject = event.ok_or(SubjectRequestError::NotFound)?.facts.subject.into_owned();
    if people::hold_subjects(conn, merchant, &[&subject])?.is_empty() {
        return Err(SubjectRequestError::Erased);
    }
    let pending: &[&str] = match kind {
        RequestKind::Record => &[RequestStatus::Open.as_str()],
        RequestKind::Erasure => &[RequestStatus::Open.as_str(), RequestStatus::Confirmed.as_str()],
    };
    let mut known = rows::list_requests_of(conn, merchant, &subject, pending)?.into_iter();
    if let Some(known) = known.find(|row| row.kind == kind.as_str()) {
        return Ok((known.try_into()?, false));
    }
    let row = RequestRow {
        id: id.as_str().to_owned(),
        merchant_id: merchant.as_str().to_owned(),
        check_id: check.as_str().to_owned(),
        subject,
        kind: kind.as_str().to_owned(),
        status: RequestStatus::Open.as_str().to_owned(),
        asked_at: now.as_microsecond(),
        decided_at: None,
        decided_by: None,
        due_at: None,
    };
    rows::insert_request(conn, &row)?;
    let facts = RequestMade {
        asked_at: from_micros(row.asked_at),
        check: check.as_str().into(),
        request: kind.as_str().into(),
        subject: row.subject.as_str().into(),
    };
    events.push(EventDraft {
        log: LogOwner::Merchant(merchant.clone()),
        kind: MADE,
        about: row.id.clone(),
        actor: by.clone(),
        facts: WrittenFacts::of(&facts),
        personal: None,
    });
    Ok((row.try_into()?, true))
}

/// Confirms or declines a request that is open, or declines an erasure that was confirmed and is not carried out.
pub(crate) fn decide(
    conn: &mut AnyConnection,
    events: &mut Vec<EventDraft>,
    merchant: &MerchantId,
    decision: &RequestDecision,
    now: Timestamp,
) -> Result<SubjectRequest, SubjectRequestError> {
    let found = rows::find_request(conn, merchant, &decision.request)?.ok_or(SubjectRequestError::NotFound)?;
    if people::hold_subjects(conn, merchant, &[&found.subject])?.is_empty() {
        return Err(SubjectRequestError::Erased);
    }
    let status = if decision.confirms { RequestStatus::Confirmed } else { RequestStatus::Declined };
    let row = RequestRow {
        status: status.as_str().to_owned(),
        decided_at: Some(now.as_microsecond()),
        decided_by: Some(decision.by.name()),
        due_at: decision.due_at.map(Timestamp::as_microsecond),
        ..found
    };
    let (open, confirmed) = (RequestStatus::Open.as_str(), RequestStatus::Confirmed.as_str());
    let can_stop = !decision.confirms && row.kind == RequestKind::Erasure.as_str();
    let was: &[&str] = if can_stop { &[open, confirmed] } else { &[open] };
    if rows::decide_request(conn, &row, was)? == 0 {
        let known = rows::find_request(conn, merchant, &decision.request)?.ok_or(SubjectRequestError::NotFound)?;
        return Err(SubjectRequestError::Decided(SubjectRequest::try_from(known)?.status));
    }
    let facts = RequestDecided {
        decided_at: from_micros(now.as_microsecond()),
        due_at: row.due_at.map(from_micros),
        request: row.kind.as_str().into(),
        subject: row.subject.as_str().into(),
    };
    let personal = decision
        .note
        .as_ref()
        .map(|note| SealedFields { subject: row.subject.clone(), fields: Json::object([("note", Json::text(note))]) });
    events.push(EventDraft {
        log: LogOwner::Merchant(merchant.clone()),
        kind: if decision.confirms { CONFIRMED } else { DECLINED },
        about: row.id.clone(),
        actor: decision.by.clone(),
        facts: WrittenFacts::of(&facts),
        personal,
    });
    Ok(row.try_into()?)
}

/// Settles the person's pending requests, as they are erased.
pub(crate) fn settle(conn: &mut AnyConnection, merchant: &MerchantId, subject: &str) -> Result<(), DatabaseError> {
    let [open, confirmed, done, closed] =
        [RequestStatus::Open, RequestStatus::Confirmed, RequestStatus::CarriedOut, RequestStatus::Closed]
            .map(RequestStatus::as_str);
    let [record, erasure] = RequestKind::ALL.map(RequestKind::as_str);
    rows::settle_requests_of(conn, merchant, subject, record, (&[open], closed))?;
    rows::settle_requests_of(conn, merchant, subject, erasure, (&[open, confirmed], done))
}

/// Tells whether one of these names of a person, who is held, has an erasure that was confirmed and is due.
pub(crate) fn is_erasure_due<'a>(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    names: impl IntoIterator<Item = &'a str>,
    at: Timestamp,
) -> Result<bool, DatabaseError> {
    let is_due = |row: &RequestRow| {
        row.kind == RequestKind::Erasure.as_str() && row.due_at.is_some_and(|due| due <= at.as_microsecond())
    };
    for name in names {
        if rows::list_requests_of(conn, merchant, name, &[RequestStatus::Confirmed.as_str()])?.iter().any(is_due) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Tells whether the person asked for their record by a link and doesn't have it: nobody has decided, or it was confirmed
/// and not read since they asked. An erasure that they asked for too must not overtake it.
pub(crate) fn is_record_pending(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    name: &str,
) -> Result<bool, DatabaseError> {
    /// An event, as far as its instant.
    #[derive(Deserialize)]
    struct At {
        at: Timestamp,
    }
    let statuses = [RequestStatus::Open, RequestStatus::Confirmed].map(RequestStatus::as_str);
    let asked = rows::list_requests_of(conn, merchant, name, &statuses)?;
    let Some(newest) = asked.iter().rev().find(|row| row.kind == RequestKind::Record.as_str()) else {
        return Ok(false);
    };
    if newest.decided_at.is_none() {
        return Ok(true);
    }
    for event in store::list_events_about(conn, merchant, &[name], RECORD_READ)? {
        let read = event.body.as_deref().map(serde_json::from_str::<At>).transpose();
        let read = read.map_err(|error| DatabaseError::corrupt("event", error))?;
        // One whose body is pruned is no younger than the window of pruning.
        if read.is_some_and(|it| it.at >= from_micros(newest.asked_at)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The handle of the person of a request; none once they were erased.
pub(crate) fn handle_of(
    conn: &mut AnyConnection,
    keyring: &Keyring,
    request: &SubjectRequest,
) -> Result<Option<SubjectHandle>, DatabaseError> {
    let found = subjects::find(conn, keyring, &request.merchant, &request.subject)?;
    Ok(found.map(|(_, subject)| subject.secret.handle().clone()))
}

/// Up to `most` of the merchant's requests behind `after`, oldest first.
pub(crate) fn list(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    status: Option<RequestStatus>,
    after: Option<&SubjectRequestId>,
    most: u32,
) -> Result<Vec<SubjectRequest>, DatabaseError> {
    let rows = rows::list_requests(conn, merchant, status.map(RequestStatus::as_str), after, most.into())?;
    rows.into_iter().map(SubjectRequest::try_from).collect()
}

/// The requests that were asked for by the link of this check.
pub(crate) fn list_by(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    check: &CheckId,
) -> Result<Vec<SubjectRequest>, DatabaseError> {
    rows::list_requests_by(conn, merchant, check)?.into_iter().map(SubjectRequest::try_from).collect()
}

/// A request of the merchant.
pub(crate) fn find(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    id: &SubjectRequestId,
) -> Result<Option<SubjectRequest>, DatabaseError> {
    rows::find_request(conn, merchant, id)?.map(SubjectRequest::try_from).transpose()
}

/// A page of the confirmed erasures of all merchants that are due.
pub(crate) struct DuePage {
    /// The first due first; a row that can't be read keeps no other from being carried out.
    pub requests: Vec<Result<SubjectRequest, DatabaseError>>,
    /// Where the next page begins: behind the request of this instant and id. None on the last page.
    pub next: Option<(i64, String)>,
}

/// Up to `most` confirmed erasures of any merchant that are due at `now`, behind `after`.
pub(crate) fn list_due(
    conn: &mut AnyConnection,
    now: Timestamp,
    after: Option<(i64, String)>,
    most: u32,
) -> Result<DuePage, DatabaseError> {
    let confirmed = RequestStatus::Confirmed.as_str();
    let rows = rows::list_due_requests(conn, confirmed, now.as_microsecond(), after, most.into())?;
    let is_full = rows.len() >= usize::try_from(most).unwrap_or(usize::MAX);
    let next = rows.last().filter(|_| is_full).and_then(|row| Some((row.due_at?, row.id.clone())));
    Ok(DuePage { requests: rows.into_iter().map(SubjectRequest::try_from).collect(), next })
}
