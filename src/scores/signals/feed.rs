//! A feed of signals: its lines are hashed under the secrets of those whom they are about, and those of others left.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::delivery::{CountedAs, Delivery, DeliveryKey, DeliveryReader};
use super::store::heard;
use super::store::{self, SignalRow};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;
use crate::foundation::subject::SubjectRef;
use crate::ledger::WriterContext;
use crate::ledger::write::subjects::open_sealed;
use crate::scores::Enrolments;
use crate::scores::computing::store::due::mark_due;
use crate::scores::enrolment::store::{hold_enrolled, list_enrolled, list_linked};
use crate::scores::error::ScoreError;
use crate::scores::feed::{Feed, Judged, Place, Read, Written};
use crate::scores::rows::LineFault;

/// Signals about a merchant's people.
pub struct SignalFeed {
    enrolments: Enrolments,
    merchant: MerchantId,
    reader: DeliveryReader,
    /// True if what says the same as what was seen last is not kept again.
    only_changes: bool,
}

/// Those of a chunk that are kept, if their people still are who they were.
struct Hashed {
    /// By person, their pseudonyms.
    people: HashMap<SubjectRef, String>,
    rows: Vec<SignalRow>,
    unkeyed: Vec<bool>,
}

impl SignalFeed {
    pub(super) const fn new(enrolments: Enrolments, merchant: MerchantId, reader: DeliveryReader) -> Self {
        Self { enrolments, merchant, reader, only_changes: false }
    }

    /// One whose signals are asked for again and again.
    pub(super) const fn of_changes(enrolments: Enrolments, merchant: MerchantId, reader: DeliveryReader) -> Self {
        Self { enrolments, merchant, reader, only_changes: true }
    }
}

impl Feed for SignalFeed {
    type Which = DeliveryKey;
    type Value = Delivery;

    fn read(&mut self, line: &[u8], now: Timestamp) -> Result<Option<Read<Self>>, LineFault> {
        self.reader.read(line, now)
    }

    /// The first delivery under an id stands.
    fn judge(&self, _: &DeliveryKey, new: &Delivery, standing: Option<&Delivery>) -> (Judged, Option<Delivery>) {
        match standing {
            None => (Judged::Accepted, Some(new.clone())),
            Some(_) => (Judged::Unchanged, None),
        }
    }

    fn weight(value: &Delivery) -> usize {
        let Delivery { network, signal, by, object, .. } = value;
        let texts = [Some(network), Some(signal), by.as_ref(), object.as_ref()];
        // The text of its key, too.
        LONGEST_KEY + texts.into_iter().flatten().map(String::len).sum::<usize>()
    }

    /// None: what stands is found by the hashes, where they are written.
    async fn standing(
        &self,
        _: Vec<SubjectRef>,
        _: Vec<DeliveryKey>,
    ) -> Result<HashMap<Place<Self>, Delivery>, ScoreError> {
        Ok(HashMap::new())
    }

    async fn write(&self, new: Arc<Vec<(Place<Self>, Delivery)>>, now: Timestamp) -> Result<Written<Self>, ScoreError> {
        let (context, merchant) = (self.enrolments.context.clone(), self.merchant.clone());
        let all = new.len();
        let hash = move |conn: &mut AnyConnection| hashed(conn, &context, &merchant, &new);
        let hashed: Hashed = self.enrolments.database.read(hash).await?;
        if hashed.rows.is_empty() {
            return Ok(Written { not_enrolled: all, ..Written::of_all() });
        }
        let (merchant, only_changes) = (self.merchant.clone(), self.only_changes);
        let write = move |conn: &mut AnyConnection| {
            let mut people: Vec<SubjectRef> = hashed.people.keys().copied().collect();
            // As everyone locks.
            people.sort_unstable();
            // Since their secrets were read they may have been erased, and have come back as others.
            let held = hold_enrolled(conn, &merchant, &people)?;
            let held: HashMap<Vec<u8>, String> = held.into_iter().collect();
            let linked = list_linked(conn, &merchant, &people)?;
            let is_same = |row: &SignalRow| {
                let was =
                    <[u8; 32]>::try_from(&row.subject_ref[..]).ok().and_then(|it| hashed.people.get(&SubjectRef(it)));
                was.is_some_and(|was| held.get(&row.subject_ref) == Some(was))
            };
            let is_linked = |row: &SignalRow| linked.contains(&(row.subject_ref.clone(), row.network.clone()));
            let all_rows = hashed.rows.iter().zip(&hashed.unkeyed);
            let kept = all_rows.filter(|(row, _)| is_same(row) && is_linked(row));
            let (rows, unkeyed): (Vec<SignalRow>, Vec<bool>) =
                kept.map(|(row, unkeyed)| (row.clone(), *unkeyed)).unzip();
            let added = if only_changes {
                let new = store::seen::changed(conn, &merchant, &rows)?;
                store::insert_signals(conn, &merchant, &new)?
            } else {
                store::insert_signals(conn, &merchant, &rows)?
            };
            heard::note(conn, &merchant, &rows, now)?;
            if added > 0 {
                let is_kept: HashSet<&[u8]> = rows.iter().map(|row| &row.subject_ref[..]).collect();
                people.retain(|subject| is_kept.contains(&subject.0[..]));
                mark_due(conn, &merchant, &people, now)?;
            }
            Ok::<_, DatabaseError>(Written {
                unchanged: rows.len().saturating_sub(added),
                not_enrolled: all.saturating_sub(rows.len()),
                unkeyed: unkeyed.iter().filter(|it| **it).count(),
                ..Written::of_all()
            })
        };
        Ok(self.enrolments.database.write(write).await?)
    }
}

/// About as long as a key is that says all of an observation.
const LONGEST_KEY: usize = 64;

/// Hashes what is about people who are enrolled, in the order of the table.
fn hashed(
    conn: &mut AnyConnection,
    context: &WriterContext,
    merchant: &MerchantId,
    new: &[(Place<SignalFeed>, Delivery)],
) -> Result<Hashed, DatabaseError> {
    let subjects: BTreeSet<SubjectRef> = new.iter().map(|((subject, _), _)| *subject).collect();
    let subjects: Vec<SubjectRef> = subjects.into_iter().collect();
    let mut people = HashMap::new();
    let mut blinders = HashMap::new();
    for (subject, row, pseudonym, sealed) in list_enrolled(conn, merchant, &subjects)? {
        let bytes: [u8; 32] =
            subject.try_into().map_err(|_| DatabaseError::corrupt("subject reference", "its length"))?;
        let person = open_sealed(&context.keyring, merchant, (&row, &pseudonym, &sealed))?;
        blinders.insert(SubjectRef(bytes), person.secret.blinder());
        people.insert(SubjectRef(bytes), pseudonym);
    }
    let mut rows = Vec::new();
    for ((subject, key), delivery) in new {
        let Some(blinder) = blinders.get(subject) else { continue };
        let hash = |purpose: &[u8], text: &String| blinder.hash(purpose, text.as_bytes()).to_vec();
        let Delivery { network, signal, counted_as, day, seen_at, by, object, value } = delivery;
        let row = SignalRow {
            merchant_id: merchant.as_str().to_owned(),
            subject_ref: subject.0.to_vec(),
            id: hash(b"id\0", &key.text),
            network: network.clone(),
            signal: signal.clone(),
            kind: *counted_as as i32,
            day: *day,
            seen_at: seen_at.as_microsecond(),
            // Only by whom an act was done counts.
            actor: by.as_ref().filter(|_| *counted_as == CountedAs::Act).map(|by| hash(b"by\0", by)),
            object: object.as_ref().filter(|_| *counted_as != CountedAs::Level).map(|object| hash(b"object\0", object)),
            value: i64::try_from(*value).unwrap_or(i64::MAX),
        };
        rows.push((row, !key.is_known_again));
    }
    rows.sort_by(|(one, _), (other, _)| (&one.subject_ref, &one.id).cmp(&(&other.subject_ref, &other.id)));
    let (rows, unkeyed) = rows.into_iter().unzip();
    Ok(Hashed { people, rows, unkeyed })
}
