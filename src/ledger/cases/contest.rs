//! Refusals that someone contests: a case for a person, who upholds the decision or overturns it.
//!
//! A contest is a referral that was opened afterwards. It stands in the same table and is decided by the
//! same code (`referral.rs`): overturning a refusal grants a check in its place, limits and all. While one
//! is open about a person and perk, another refusal that is contested is added to it (`case.rs`).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::model::{Referral, ReferralStatus, SealedNote};
use super::{case, overrides};
use crate::database::{Abort, AnyConnection, DatabaseError};
use crate::decision::decide::Decision;
use crate::foundation::ids::{CheckId, EventId, MerchantId};
use crate::ledger::LedgerError;
use crate::ledger::context::WriterContext;
use crate::ledger::entry::{Actor, CheckRecord, LogOwner};
use crate::ledger::events::cases::ContestOpened;
use crate::ledger::events::{Event, StoredEvent, leaf_hash};
use crate::ledger::idempotency::replay;
use crate::ledger::store::{self, AdditionRow, ReferralRow, people};
use crate::ledger::write::append::Leaf;
use crate::ledger::write::check::{self, StoredCheck};
use crate::ledger::write::subjects::{self, Subject};
use crate::ledger::write::transaction::Transaction;

/// The kinds of a contest's events; they are about the check that is contested.
pub const OPENED: &str = "contest.opened";
pub const UPHELD: &str = "contest.upheld";
pub const OVERTURNED: &str = "contest.overturned";
/// The person was erased before anybody judged.
pub const CLOSED: &str = "contest.closed";
/// Another refusal of the person and perk was contested while the case was open: it is about that refusal, and
/// names the case.
pub const ADDED: &str = "contest.added";

/// The most refusals that are added to one case.
pub const MOST_ADDED: usize = 20;

/// The outcome of an [`Objection`].
#[derive(Debug)]
pub enum Contest {
    /// A case of its own.
    Opened(Referral),
    /// It was added to this case.
    Added(Referral),
}

/// Where a case is. It is stored as the referral that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContestStatus {
    Open,
    /// The refusal stands.
    Upheld,
    /// It was wrong: a check was granted in its place.
    Overturned,
    /// The person was erased before anybody judged.
    Closed,
}

impl ContestStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Open, Self::Upheld, Self::Overturned, Self::Closed];

    /// The wire form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Upheld => "upheld",
            Self::Overturned => "overturned",
            Self::Closed => "closed",
        }
    }

    pub const fn of(status: ReferralStatus) -> Self {
        match status {
            ReferralStatus::Open => Self::Open,
            ReferralStatus::Denied => Self::Upheld,
            ReferralStatus::Granted => Self::Overturned,
            ReferralStatus::Closed => Self::Closed,
        }
    }

    pub const fn stored(self) -> ReferralStatus {
        match self {
            Self::Open => ReferralStatus::Open,
            Self::Upheld => ReferralStatus::Denied,
            Self::Overturned => ReferralStatus::Granted,
            Self::Closed => ReferralStatus::Closed,
        }
    }
}

/// The longest reason why a refusal is wrong, in characters.
pub const MAX_REASON: usize = 1000;

/// A statement by someone that a decision is wrong.
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
    /// A desk has made it good.
    #[error("this check was overridden: `{granted}` was granted in its place")]
    Overridden { granted: CheckId },
    /// So many were added to the open case already.
    #[error("{MOST_ADDED} refusals were added to the open case about {0} already")]
    Full(CheckId),
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

/// Opens a case about a refusal, or adds it to the one that is open about the person and perk.
pub(crate) fn open(tx: &mut Transaction<'_>, objection: &Objection) -> Result<Contest, Abort<ContestError>> {
    let Objection { merchant, check, .. } = objection;
    let (event, asked, is_known) = refused(tx, objection)?;
    if !is_known {
        return Err(Abort::Refused(ContestError::Erased));
    }
    let row = row_of(objection, &event, asked.at);
    let subject = subjects::find(tx.conn, &tx.context.keyring, merchant, &row.subject)?;
    let (_, subject) = subject.ok_or(Abort::Refused(ContestError::Erased))?;
    let open = ReferralStatus::Open.as_str();
    let case = store::lock_open_contest(tx.conn, merchant, &row.subject, &row.perk_id, open)?;
    let (kind, referral) = match &case {
        None => {
            store::insert_referrals(tx.conn, std::slice::from_ref(&row))?;
            (OPENED, row.clone())
        }
        Some(case) => {
            let added = store::list_additions(tx.conn, merchant, &[case.check_id.as_str()])?.len();
            if added >= MOST_ADDED {
                let full = case.check_id.parse().map_err(|e| DatabaseError::corrupt("referral", e))?;
                return Err(Abort::Refused(ContestError::Full(full)));
            }
            let addition = AdditionRow {
                check_id: check.as_str().to_owned(),
                merchant_id: merchant.as_str().to_owned(),
                case_id: case.check_id.clone(),
                asked_at: row.created_at,
                added_at: objection.at.as_microsecond(),
                added_by: objection.by.name(),
            };
            store::insert_addition(tx.conn, &addition)?;
            (ADDED, case.clone())
        }
    };
    let facts = facts_of(&row, &event, asked.at, case.as_ref());
    let leaf = leaf(tx.context, objection, kind, &facts, &subject)?;
    tx.append(vec![leaf])?;
    let referral = case::with_additions(tx.conn, merchant, vec![referral])?.pop();
    let referral = referral.ok_or(DatabaseError::NotFound)?;
    Ok(if kind == OPENED { Contest::Opened(referral) } else { Contest::Added(referral) })
}

/// The refusal that is contested, with its event, and whether its person is known; they are held until the commit. Of
/// whatever isn't one that can be contested, why.
fn refused(
    tx: &mut Transaction<'_>,
    objection: &Objection,
) -> Result<(StoredCheck, CheckRecord, bool), Abort<ContestError>> {
    let Objection { merchant, check, .. } = objection;
    let event: Option<StoredCheck> = replay::find_event(tx.conn, merchant, check, check::KIND)?;
    // The person before any case, as in an erasure: an erasure either sees this case and closes it, or comes
    // first and refuses it; and of two who contest, the second sees the case of the first.
    let is_known = match &event {
        Some(event) => !people::hold_subjects(tx.conn, merchant, &[&event.facts.subject])?.is_empty(),
        None => false,
    };
    let own = store::lock_referral(tx.conn, merchant, check)?;
    let is_contested = own.as_ref().is_some_and(|row| row.contested_at.is_some());
    if is_contested || store::find_addition(tx.conn, merchant, check)?.is_some() {
        return Err(Abort::Refused(ContestError::AlreadyContested));
    }
    if let Some(overridden) = overrides::find(tx.conn, merchant, check)? {
        return Err(Abort::Refused(ContestError::Overridden { granted: overridden.granted_check }));
    }
    // Otherwise pruning could take away meanwhile what the case is to be decided by.
    if let Some(log) = store::find_log(tx.conn, Some(merchant))? {
        store::hold_event(tx.conn, &log.id, check.as_str(), check::KIND)?;
    }
    let asked = replay::recorded_check(tx.conn, &tx.context.keyring, merchant, check)?;
    let asked = asked.ok_or(Abort::Refused(ContestError::NotFound))?.get().clone();
    let referral = match (own, &asked.joins) {
        (None, Some(first)) => store::find_referral(tx.conn, merchant, first)?,
        (own, _) => own,
    };
    if let Some(referral) = referral {
        if !is_known {
            return Err(Abort::Refused(ContestError::Erased));
        }
        let Referral { status, decided, .. } = Referral::try_from(referral)?;
        let undecided = || ContestError::NotRefused(asked.decided.decision);
        let decided = decided.map_or_else(undecided, |decided| ContestError::Decided { status, at: decided.at });
        return Err(Abort::Refused(decided));
    }
    if asked.decided.decision != Decision::Denied {
        return Err(Abort::Refused(ContestError::NotRefused(asked.decided.decision)));
    }
    Ok((event.ok_or(Abort::Refused(ContestError::NotFound))?, asked, is_known))
}

/// Tells whether the check was contested for this very reason before. Nobody knows once the person was erased, or the
/// event is pruned.
pub(crate) fn is_repeated(
    conn: &mut AnyConnection,
    context: &WriterContext,
    objection: &Objection,
) -> Result<bool, DatabaseError> {
    /// A contest's facts, as far as whom it is about.
    #[derive(Deserialize)]
    struct About {
        subject: String,
    }
    let Objection { merchant, check, reason, .. } = objection;
    for kind in [OPENED, ADDED] {
        let event: Option<StoredEvent<About>> = replay::find_event(conn, merchant, check, kind)?;
        let Some(event) = event else { continue };
        let subject = subjects::find(conn, &context.keyring, merchant, &event.facts.subject)?;
        let Some((_, subject)) = subject else { return Ok(false) };
        let said = check::unsealed::<SealedNote, _>(&event, &subject)?;
        return Ok(said.is_some_and(|said| said.note == *reason));
    }
    Ok(false)
}

/// The facts of a contested refusal that name nobody; `case` is the open one that it is added to.
fn facts_of<'a>(
    row: &'a ReferralRow,
    event: &'a StoredCheck,
    asked_at: Timestamp,
    case: Option<&'a ReferralRow>,
) -> ContestOpened<'a> {
    ContestOpened {
        case: case.map(|case| case.check_id.as_str().into()),
        decided_at: asked_at,
        decision: Decision::Denied,
        perk: row.perk.as_str().into(),
        perk_id: row.perk_id.as_str().into(),
        reasons: event.facts.reasons.clone(),
        rule_version: row.rule_version,
        subject: row.subject.as_str().into(),
    }
}

fn leaf(
    context: &WriterContext,
    objection: &Objection,
    kind: &'static str,
    facts: &ContestOpened<'_>,
    subject: &Subject,
) -> Result<Leaf, DatabaseError> {
    let personal = SealedNote { note: objection.reason.clone() };
    let plain = serde_json::to_vec(&personal).map_err(|e| DatabaseError::corrupt("contest", e))?;
    let body = Event {
        id: &objection.event,
        kind,
        at: objection.at,
        merchant: Some(&objection.merchant),
        actor: &objection.by,
        about: objection.check.as_str(),
        facts,
        sealed: Some(&subject.secret.seal(&objection.event, &plain, &context.entropy)),
    }
    .to_body();
    Ok(Leaf {
        log: LogOwner::Merchant(objection.merchant.clone()),
        id: objection.event.clone(),
        kind,
        about: objection.check.as_str().to_owned(),
        at: objection.at,
        hash: leaf_hash(&body),
        body,
    })
}

fn row_of(objection: &Objection, event: &StoredCheck, asked_at: Timestamp) -> ReferralRow {
    let facts = &event.facts;
    ReferralRow {
        check_id: objection.check.as_str().to_owned(),
        merchant_id: objection.merchant.as_str().to_owned(),
        perk_id: facts.perk_id.clone().into_owned(),
        perk: facts.perk.clone().into_owned(),
        rule_version: facts.rule_version,
        subject: facts.subject.clone().into_owned(),
        status: ReferralStatus::Open.as_str().to_owned(),
        created_at: asked_at.as_microsecond(),
        decided_at: None,
        decided_by: None,
        resolved_by: None,
        grant_id: None,
        contested_at: Some(objection.at.as_microsecond()),
        contested_by: Some(objection.by.name()),
    }
}
