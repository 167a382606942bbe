//! Reads back the answers to earlier requests.

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{CheckId, GrantId, MerchantId};
use crate::keyring::Keyring;
use crate::ledger::LedgerError;
use crate::ledger::cases::model::SealedNote;
use crate::ledger::entry::{CheckRecord, Ended, Grant, Receipt, Redemption};
use crate::ledger::events::StoredEvent;
use crate::ledger::events::check::CheckDecided;
use crate::ledger::events::ending::GrantEnded;
use crate::ledger::grants::party::{self, PartyStanding};
use crate::ledger::grants::{correction, ending};
use crate::ledger::recorded::Recorded;
use crate::ledger::store::{self, EventRow, GrantRow};
use crate::ledger::write::check;
use crate::ledger::write::subjects;
use crate::rules::tier::guests::Admitted;

/// A grant with what became of it.
#[derive(Debug, Clone)]
pub struct GrantRecord {
    pub check: CheckRecord,
    pub redemptions: Vec<Redemption>,
    /// Why it was taken back, if it was and the person has not been erased since: personal.
    pub note: Option<String>,
    /// The party as the token says it.
    pub granted: Admitted,
    /// The party since it was corrected, if it was.
    pub corrected: Option<Admitted>,
    /// The tag of this state of the grant.
    pub tag: String,
}

/// The check `check` of the merchant, if there is one.
pub fn find_check(
    conn: &mut AnyConnection,
    keyring: &Keyring,
    merchant: &MerchantId,
    check: &CheckId,
) -> Result<Option<Recorded<CheckRecord>>, DatabaseError> {
    let Some(row) = store::find_event(conn, merchant, check.as_str(), check::KIND)? else {
        return Ok(None);
    };
    let Some(event) = parsed::<CheckDecided<'static>>(&row)? else {
        return Ok(None);
    };
    let subject = subjects::find(conn, keyring, merchant, &event.facts.subject)?.map(|(_, subject)| subject);
    let grant = match &event.facts.grant.0 {
        Some(grant) => store::find_grant(conn, merchant, &grant.id)?.map(grant_of).transpose()?,
        None => None,
    };
    let receipt = receipt(conn, merchant, &row)?;
    Ok(Some(Recorded::new(check::read(&event, subject.as_ref(), grant, receipt)?)))
}

/// Tells whether the check `asked` was about someone who has been erased since. One that can't be read was about anybody.
pub(crate) fn is_of_erased(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    asked: &CheckId,
) -> Result<bool, DatabaseError> {
    let event = match find_event::<CheckDecided<'static>>(conn, merchant, asked, check::KIND) {
        Err(DatabaseError::Corrupt { .. }) => None,
        found => found?,
    };
    Ok(match event {
        Some(event) => store::find_subject(conn, merchant, &event.facts.subject)?.is_none(),
        None => false,
    })
}

/// As [`find_check`], for a check whose event is pruned.
pub fn recorded_check(
    conn: &mut AnyConnection,
    keyring: &Keyring,
    merchant: &MerchantId,
    check: &CheckId,
) -> Result<Option<Recorded<CheckRecord>>, LedgerError> {
    let found = find_check(conn, keyring, merchant, check)?;
    if found.is_none() && store::find_event(conn, merchant, check.as_str(), check::KIND)?.is_some() {
        return Err(LedgerError::Pruned);
    }
    Ok(found)
}

/// The grant `grant` of the merchant, if there is one.
///
/// # Errors
/// [`LedgerError::Pruned`] when the event that records it is; the database's.
pub fn find_grant(
    conn: &mut AnyConnection,
    keyring: &Keyring,
    merchant: &MerchantId,
    grant: &GrantId,
) -> Result<Option<GrantRecord>, LedgerError> {
    let Some(row) = store::find_grant(conn, merchant, grant.as_str())? else {
        return Ok(None);
    };
    let check = row.check_id.parse().map_err(|e| DatabaseError::corrupt("check id", e))?;
    let Some(check) = recorded_check(conn, keyring, merchant, &check)? else {
        return Ok(None);
    };
    let (granted, corrected) = (party::as_granted(&row)?, PartyStanding::of(&row)?.corrected());
    let redemptions: Vec<Redemption> = store::list_redemptions(conn, &[grant.as_str()])?
        .into_iter()
        .map(|row| Redemption { grant: grant.clone(), redeemed_at: from_micros(row.redeemed_at), corrected })
        .collect();
    let tag = correction::tag_of(&row, redemptions.len());
    let note = if row.voided_at.is_some() { note_of_void(conn, keyring, merchant, grant)? } else { None };
    Ok(Some(GrantRecord { check: check.get().clone(), redemptions, note, granted, corrected, tag }))
}

/// Why the grant was taken back. The first events said it in the clear, as revocations of tokens still do.
fn note_of_void(
    conn: &mut AnyConnection,
    keyring: &Keyring,
    merchant: &MerchantId,
    grant: &GrantId,
) -> Result<Option<String>, DatabaseError> {
    let row = store::find_event(conn, merchant, grant.as_str(), ending::VOIDED)?;
    let event: Option<StoredEvent<GrantEnded<'static>>> = row.as_ref().map_or(Ok(None), parsed)?;
    let Some(event) = event else { return Ok(None) };
    if let Some(note) = &event.facts.note {
        return Ok(Some(note.clone().into_owned()));
    }
    let subject = match &event.facts.subject.0 {
        Some(pseudonym) => subjects::find(conn, keyring, merchant, pseudonym)?,
        None => None,
    };
    let Some((_, subject)) = subject else { return Ok(None) };
    Ok(check::unsealed::<SealedNote, _>(&event, &subject)?.map(|personal| personal.note))
}

/// The state of a grant as a door would find it now. Nothing personal is opened for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrantState {
    pub single_use: bool,
    /// Number of times its token was spent.
    pub redemptions: u64,
    pub end: Option<Ended>,
    /// A place that it held has lapsed: it may be another's by now.
    pub has_lapsed: bool,
    /// The party since it was corrected, if it was.
    pub corrected: Option<Admitted>,
}

impl GrantState {
    /// Tells whether its token opens a door, if it is valid there and then.
    pub const fn opens(&self) -> bool {
        self.end.is_none() && !self.has_lapsed && !(self.single_use && self.redemptions > 0)
    }
}

/// The state of the grant `grant` of the merchant at `now`, if there is one.
pub(crate) fn find_grant_state(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    grant: &GrantId,
    now: Timestamp,
) -> Result<Option<GrantState>, DatabaseError> {
    let Some(row) = store::find_grant(conn, merchant, grant.as_str())? else {
        return Ok(None);
    };
    let spent = store::list_redemptions(conn, &[grant.as_str()])?;
    let held = store::list_uses_of(conn, &[grant.as_str()])?;
    let corrected = PartyStanding::of(&row)?.corrected();
    Ok(Some(GrantState {
        corrected,
        single_use: row.single_use,
        redemptions: u64::try_from(spent.len()).unwrap_or(u64::MAX),
        end: end_of(row.released_at, row.voided_at),
        has_lapsed: held.iter().any(|held| held.stay > 0 && held.counts_at <= now.as_microsecond()),
    }))
}

/// The event of this kind about the check, with its facts, unless there is none or its body is pruned.
pub(crate) fn find_event<F: DeserializeOwned>(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    check: &CheckId,
    kind: &str,
) -> Result<Option<StoredEvent<F>>, DatabaseError> {
    let row = store::find_event(conn, merchant, check.as_str(), kind)?;
    row.as_ref().map_or(Ok(None), parsed)
}

fn parsed<F: DeserializeOwned>(row: &EventRow) -> Result<Option<StoredEvent<F>>, DatabaseError> {
    let event = row.body.as_deref().map(StoredEvent::from_body).transpose();
    event.map_err(|e| DatabaseError::corrupt("event", e))
}

fn grant_of(row: GrantRow) -> Result<Grant, DatabaseError> {
    Ok(Grant {
        id: row.id.parse().map_err(|e| DatabaseError::corrupt("grant id", e))?,
        kid: row.kid,
        claims: row.claims,
        expires_at: from_micros(row.expires_at),
        single_use: row.single_use,
        end: end_of(row.released_at, row.voided_at),
    })
}

/// A grant that was released may still be voided: that has the last word.
pub(crate) fn end_of(released_at: Option<i64>, voided_at: Option<i64>) -> Option<Ended> {
    let released = released_at.map(|at| Ended::Released(from_micros(at)));
    voided_at.map(|at| Ended::Voided(from_micros(at))).or(released)
}

fn receipt(conn: &mut AnyConnection, merchant: &MerchantId, row: &EventRow) -> Result<Receipt, DatabaseError> {
    let log = store::find_log(conn, Some(merchant))?.ok_or(DatabaseError::NotFound)?;
    let checkpoint = store::covering_checkpoint(conn, &row.log_id, row.log_index)?.ok_or(DatabaseError::NotFound)?;
    Ok(Receipt {
        log: log.name,
        index: u64::try_from(row.log_index).map_err(|e| DatabaseError::corrupt("log index", e))?,
        leaf_hash: row.leaf_hash.as_slice().try_into().map_err(|e| DatabaseError::corrupt("leaf hash", e))?,
        checkpoint: checkpoint.note,
    })
}
