//! From a keyed reference to the person's pseudonym, made at the first check.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::known::Known;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;
use crate::foundation::subject::{Pseudonym, SubjectHandle, SubjectRef, SubjectRefs};
use crate::keyring::{Keyring, SubjectSecret};
use crate::ledger::context::WriterContext;
use crate::ledger::entry::CheckEntry;
use crate::ledger::store::{self, SubjectRow};

/// A person as one merchant knows them.
pub(crate) struct Subject {
    pub secret: SubjectSecret,
    pub pseudonym: Pseudonym,
}

impl Subject {
    /// The name that events have for them.
    pub(crate) fn name(&self) -> &str {
        self.pseudonym.as_str()
    }
}

/// The subjects of a batch, in the order of its checks, and the rows of those who are new.
pub(crate) struct Found {
    pub subjects: Vec<Arc<Subject>>,
    /// Sorted; not in the table yet.
    pub new: Vec<SubjectRow>,
}

/// The check's subject if it is known, or one made up for a question that records nothing.
pub(crate) fn guess(
    conn: &mut AnyConnection,
    context: &WriterContext,
    check: &CheckEntry,
) -> Result<Subject, DatabaseError> {
    if let Some(known) = load(conn, context, &[check])?.remove(&check.subject) {
        return Ok(known);
    }
    let (secret, _) = context.keyring.new_subject(&check.merchant, &check.subject.current, &check.handle);
    let pseudonym = secret.pseudonym(&check.merchant);
    Ok(Subject { secret, pseudonym })
}

/// The person that a merchant's events call by this pseudonym, unless they have been erased.
pub(crate) fn find(
    conn: &mut AnyConnection,
    keyring: &Keyring,
    merchant: &MerchantId,
    pseudonym: &str,
) -> Result<Option<(SubjectRef, Subject)>, DatabaseError> {
    let Some(row) = store::find_subject(conn, merchant, pseudonym)? else {
        return Ok(None);
    };
    opened(keyring, merchant, &row).map(Some)
}

fn opened(keyring: &Keyring, merchant: &MerchantId, row: &SubjectRow) -> Result<(SubjectRef, Subject), DatabaseError> {
    let bytes: [u8; 32] =
        row.subject_ref.as_slice().try_into().map_err(|e| DatabaseError::corrupt("subject reference", e))?;
    let subject = open_sealed(keyring, merchant, (&row.subject_ref, &row.pseudonym, &row.sealed))?;
    Ok((SubjectRef(bytes), subject))
}

/// The person of a handle, made known if they are not, and held until the transaction ends: an erasure waits, and who
/// changes something about the same person too.
pub(crate) fn hold_or_make(
    conn: &mut AnyConnection,
    keyring: &Keyring,
    (merchant, handle): (&MerchantId, &SubjectHandle),
    at: Timestamp,
) -> Result<Subject, DatabaseError> {
    let refs = keyring.subject_refs(merchant, handle);
    if let Some(known) = hold(conn, keyring, merchant, refs)? {
        return Ok(known);
    }
    let (secret, sealed) = keyring.new_subject(merchant, &refs.current, handle);
    let row = row_of(merchant, &refs.current, (&secret.pseudonym(merchant), sealed), at);
    store::insert_subjects(conn, &[row])?;
    // Another replica may have been first.
    hold(conn, keyring, merchant, refs)?.ok_or(DatabaseError::Conflict)
}

/// The person of these references, if they are known, held until the transaction ends.
pub(crate) fn hold(
    conn: &mut AnyConnection,
    keyring: &Keyring,
    merchant: &MerchantId,
    refs: SubjectRefs,
) -> Result<Option<Subject>, DatabaseError> {
    let mut forms: Vec<SubjectRef> = refs.in_order().collect();
    // In the order in which everyone locks several.
    forms.sort_unstable();
    let mut found = None;
    for form in forms {
        if let Some(row) = store::people::lock_subject(conn, merchant, &form.0)? {
            let subject = opened(keyring, merchant, &row)?.1;
            if form == refs.current || found.is_none() {
                found = Some(subject);
            }
        }
    }
    Ok(found)
}

/// The person of a row, opened: by the row's reference, the pseudonym, and the sealed secret.
pub(crate) fn open_sealed(
    keyring: &Keyring,
    merchant: &MerchantId,
    (subject_ref, pseudonym, sealed): (&[u8], &str, &[u8]),
) -> Result<Subject, DatabaseError> {
    let bytes: [u8; 32] = subject_ref.try_into().map_err(|e| DatabaseError::corrupt("subject reference", e))?;
    let secret = keyring.open_subject(merchant, &SubjectRef(bytes), sealed);
    let secret = secret.map_err(|e| DatabaseError::corrupt("subject", e))?;
    Ok(Subject { secret, pseudonym: Pseudonym::stored(pseudonym) })
}

/// Finds the batch's subjects and makes those that are new.
pub(crate) fn resolve(
    conn: &mut AnyConnection,
    context: &WriterContext,
    known: &mut Known,
    checks: &[&CheckEntry],
) -> Result<Vec<Arc<Subject>>, DatabaseError> {
    let found = find_or_make(conn, context, known, checks)?;
    if found.new.is_empty() || store::insert_subjects(conn, &found.new)? == found.new.len() {
        return Ok(found.subjects);
    }
    // Another replica was first: what stands in the table is the truth.
    known.subjects.leave_out();
    let again = find_or_make(conn, context, known, checks)?;
    // Whom it had made is erased again already: make them again.
    if again.new.is_empty() { Ok(again.subjects) } else { Err(DatabaseError::Conflict) }
}

/// Finds the batch's subjects: those who are remembered, then those who are in the table. Makes the others, whose rows
/// the caller writes.
pub(crate) fn find_or_make(
    conn: &mut AnyConnection,
    context: &WriterContext,
    known: &mut Known,
    checks: &[&CheckEntry],
) -> Result<Found, DatabaseError> {
    let remembered = known.subjects.find_all(checks.iter().map(|check| &check.subject), Instant::now());
    let missing = checks.iter().zip(&remembered).filter(|(_, known)| known.is_none());
    let missing: Vec<&CheckEntry> = missing.map(|(check, _)| *check).collect();
    let mut met: HashMap<SubjectRefs, Arc<Subject>> = HashMap::new();
    let mut new: BTreeMap<(&str, SubjectRef), (SubjectRow, Arc<Subject>)> = BTreeMap::new();
    if !missing.is_empty() {
        let loaded = load(conn, context, &missing)?;
        for check in missing.iter().filter(|check| !loaded.contains_key(&check.subject)) {
            // Of one that was written in two ways, one row.
            let place = new.entry((check.merchant.as_str(), check.subject.current));
            let (row, subject) = place.or_insert_with(|| make(context, check));
            row.created_at = row.created_at.min(check.at.as_microsecond());
            met.insert(check.subject, subject.clone());
        }
        met.extend(loaded.into_iter().map(|(subject, it)| (subject, Arc::new(it))));
    }
    let mut subjects = Vec::with_capacity(checks.len());
    for (check, remembered) in checks.iter().zip(remembered) {
        let subject = remembered.or_else(|| met.get(&check.subject).cloned());
        subjects.push(subject.ok_or(DatabaseError::NotFound)?);
    }
    for (subject, it) in met {
        known.subjects.meet(subject, it);
    }
    Ok(Found { subjects, new: new.into_values().map(|(row, _)| row).collect() })
}

fn make(context: &WriterContext, check: &CheckEntry) -> (SubjectRow, Arc<Subject>) {
    let (merchant, subject_ref) = (&check.merchant, check.subject.current);
    let (secret, sealed) = context.keyring.new_subject(merchant, &subject_ref, &check.handle);
    let pseudonym = secret.pseudonym(merchant);
    let row = row_of(merchant, &subject_ref, (&pseudonym, sealed), check.at);
    (row, Arc::new(Subject { secret, pseudonym }))
}

fn row_of(
    merchant: &MerchantId,
    subject_ref: &SubjectRef,
    (pseudonym, sealed): (&Pseudonym, Vec<u8>),
    at: Timestamp,
) -> SubjectRow {
    SubjectRow {
        merchant_id: merchant.as_str().to_owned(),
        subject_ref: subject_ref.0.to_vec(),
        pseudonym: pseudonym.as_str().to_owned(),
        sealed,
        created_at: at.as_microsecond(),
    }
}

/// Those of the checks' subjects who are in the table: by the form of the handle, or else by the form that an earlier
/// build gave it, whose row goes on being the person's, with all that limits have counted. A reference is one
/// merchant's.
fn load(
    conn: &mut AnyConnection,
    context: &WriterContext,
    checks: &[&CheckEntry],
) -> Result<HashMap<SubjectRefs, Subject>, DatabaseError> {
    let forms = checks.iter().flat_map(|check| check.subject.in_order().map(|form| (check.merchant.as_str(), form)));
    let forms: Vec<(&str, SubjectRef)> = forms.collect();
    let wanted: Vec<(&str, &[u8])> = forms.iter().map(|(merchant, form)| (*merchant, form.0.as_slice())).collect();
    let rows = store::list_subjects(conn, &wanted)?;
    let rows: HashMap<&[u8], &SubjectRow> = rows.iter().map(|row| (row.subject_ref.as_slice(), row)).collect();
    let mut loaded = HashMap::new();
    for check in checks {
        let row = check.subject.in_order().find_map(|form| rows.get(form.0.as_slice()));
        if let Some(row) = row
            && !loaded.contains_key(&check.subject)
        {
            loaded.insert(check.subject, opened(&context.keyring, &check.merchant, row)?.1);
        }
    }
    Ok(loaded)
}
