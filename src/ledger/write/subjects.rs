//! From a keyed reference to the person's pseudonym, made at the first check.

use std::collections::{BTreeMap, HashMap};

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

/// The subjects of a batch.
pub(crate) type Subjects = HashMap<(MerchantId, SubjectRefs), Subject>;

/// The people looked for: the handle, and when it was first asked about, in microseconds.
type Wanted<'a> = BTreeMap<SubjectRefs, (&'a SubjectHandle, i64)>;

/// The check's subject if it is known, or one made up for a question that records nothing.
pub(crate) fn guess(
    conn: &mut AnyConnection,
    context: &WriterContext,
    check: &CheckEntry,
) -> Result<Subject, DatabaseError> {
    let mut wanted = BTreeMap::from([(check.subject, (&check.handle, 0))]);
    let mut subjects = HashMap::new();
    load(conn, context, &check.merchant, &mut wanted, &mut subjects)?;
    Ok(subjects.into_values().next().unwrap_or_else(|| {
        let (secret, _) = context.keyring.new_subject(&check.merchant, &check.subject.current, &check.handle);
        let pseudonym = secret.pseudonym(&check.merchant);
        Subject { secret, pseudonym }
    }))
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
    let subject_ref = SubjectRef(bytes);
    let secret =
        keyring.open_subject(merchant, &subject_ref, &row.sealed).map_err(|e| DatabaseError::corrupt("subject", e))?;
    Ok((subject_ref, Subject { secret, pseudonym: Pseudonym::stored(&row.pseudonym) }))
}

/// Finds the batch's subjects and makes those that are new.
pub(crate) fn resolve(
    conn: &mut AnyConnection,
    context: &WriterContext,
    checks: &[&CheckEntry],
) -> Result<Subjects, DatabaseError> {
    let mut by_merchant: BTreeMap<&MerchantId, Wanted<'_>> = BTreeMap::new();
    for check in checks {
        let at = check.at.as_microsecond();
        let wanted = by_merchant.entry(&check.merchant).or_default();
        let (_, first) = wanted.entry(check.subject).or_insert((&check.handle, at));
        *first = at.min(*first);
    }
    let mut subjects = HashMap::new();
    for (merchant, mut wanted) in by_merchant {
        load(conn, context, merchant, &mut wanted, &mut subjects)?;
        if wanted.is_empty() {
            continue;
        }
        // Of one that was written in two ways, one row.
        let mut new: BTreeMap<SubjectRef, (&SubjectHandle, i64)> = BTreeMap::new();
        for (subject, (handle, at)) in &wanted {
            let (_, first) = new.entry(subject.current).or_insert((handle, *at));
            *first = (*at).min(*first);
        }
        let mut rows = Vec::with_capacity(new.len());
        for (subject_ref, (handle, at)) in &new {
            let (secret, sealed) = context.keyring.new_subject(merchant, subject_ref, handle);
            rows.push(SubjectRow {
                merchant_id: merchant.as_str().to_owned(),
                subject_ref: subject_ref.0.to_vec(),
                pseudonym: secret.pseudonym(merchant).as_str().to_owned(),
                sealed,
                created_at: *at,
            });
        }
        store::insert_subjects(conn, &rows)?;
        // Another replica may have been first: what stands in the table is the truth.
        load(conn, context, merchant, &mut wanted, &mut subjects)?;
        if !wanted.is_empty() {
            // Whom another replica had made is erased again already: make them again.
            return Err(DatabaseError::Conflict);
        }
    }
    Ok(subjects)
}

/// Takes those that are known off `wanted`: by the form of the handle, or else by the form that an earlier
/// build gave it, whose row goes on being the person's, with all that limits have counted.
fn load(
    conn: &mut AnyConnection,
    context: &WriterContext,
    merchant: &MerchantId,
    wanted: &mut Wanted<'_>,
    subjects: &mut Subjects,
) -> Result<(), DatabaseError> {
    let refs: Vec<Vec<u8>> = wanted.keys().flat_map(SubjectRefs::in_order).map(|r| r.0.to_vec()).collect();
    let rows = store::list_subjects(conn, merchant, &refs)?;
    let rows: HashMap<&[u8], &SubjectRow> = rows.iter().map(|row| (row.subject_ref.as_slice(), row)).collect();
    for subject in wanted.keys().copied().collect::<Vec<_>>() {
        let Some(row) = subject.in_order().find_map(|reference| rows.get(reference.0.as_slice())) else { continue };
        wanted.remove(&subject);
        subjects.insert((merchant.clone(), subject), opened(&context.keyring, merchant, row)?.1);
    }
    Ok(())
}
