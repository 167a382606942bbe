//! Sums that follow what is taken away from the events, in the same transaction: a person who is erased is counted as nobody
//! from then on, and an event whose body is pruned is counted on as one that nothing proves.

use std::collections::{BTreeSet, HashMap};

use super::page::{self, Event, Personal};
use super::store;
use super::sums::Sums;
use crate::audit::reports::asked::ReportKind;
use crate::audit::reports::counting::contest_column;
use crate::audit::reports::reading;
use crate::audit::reports::store as reported;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::MerchantId;
use crate::foundation::subject::Pseudonym;
use crate::keyring::Keyring;
use crate::ledger::Summaries;
use crate::ledger::store::history::{self as rows, LoggedRow};
use crate::ledger::write::check;

/// Number of a person's events that are looked at in one piece.
const PIECE: usize = 500;

/// Keeps the sums to what the ledger takes away.
#[derive(Debug, Clone, Copy)]
pub struct KeptSums;

impl Summaries for KeptSums {
    fn erasing(
        &self,
        conn: &mut AnyConnection,
        keyring: &Keyring,
        merchant: &MerchantId,
        people: &[&Pseudonym],
    ) -> Result<(), DatabaseError> {
        store::hold(conn, merchant)?;
        let Some((log, _)) = rows::find_log_size(conn, merchant)? else { return Ok(()) };
        let mut sums = Sums::default();
        for person in people {
            for indexes in store::list_indexes(conn, merchant, person.as_str())?.chunks(PIECE) {
                let events = store::list_at(conn, &log, indexes)?;
                make_unknown(conn, (keyring, merchant, &log), &events, &mut sums)?;
            }
            store::delete_person(conn, merchant, person.as_str())?;
        }
        match store::added(conn, merchant, sums) {
            Ok(rows) => store::put(conn, merchant, &rows),
            Err(error @ DatabaseError::Corrupt { .. }) => {
                // An erasure waits for nobody to mend sums.
                tracing::error!(merchant = merchant.as_str(), %error, "the sums of reports can't be read: they are made again");
                store::reset(conn, merchant)
            }
            Err(error) => Err(error),
        }
    }

    fn pruning(
        &self,
        conn: &mut AnyConnection,
        merchant: &MerchantId,
        pruned: &[&LoggedRow],
    ) -> Result<(), DatabaseError> {
        let head = store::hold(conn, merchant)?;
        let mut sums = Sums::default();
        let mut people = Vec::new();
        for row in pruned.iter().filter(|row| row.log_index < head.log_index) {
            for report in ReportKind::ALL {
                if reading::kinds(report).contains(&row.kind.as_str()) {
                    sums.quarter(report, from_micros(row.at)).unprovable += 1;
                }
            }
            if let Ok(Some(event)) = page::read(row)
                && let Some(subject) = event.body.facts.subject.as_deref()
            {
                people.push((subject.to_owned(), row.log_index));
            }
        }
        let people: Vec<(&str, i64)> = people.iter().map(|(subject, index)| (subject.as_str(), *index)).collect();
        store::delete_people(conn, merchant, &people)?;
        let rows = store::added(conn, merchant, sums)?;
        store::put(conn, merchant, &rows)
    }
}

/// Takes what these events of a person count out of where their score put it, and counts it as nobody's.
fn make_unknown(
    conn: &mut AnyConnection,
    (keyring, merchant, log): (&Keyring, &MerchantId, &str),
    rows: &[LoggedRow],
    sums: &mut Sums,
) -> Result<(), DatabaseError> {
    let events: Vec<Event<'_>> = rows.iter().filter_map(|row| page::read(row).ok().flatten()).collect();
    let names: BTreeSet<&str> = events.iter().filter_map(|event| event.body.facts.subject.as_deref()).collect();
    let secrets = reading::secrets(conn, keyring, merchant, &names)?;
    let contested = events.iter().filter(|event| contest_column(event.kind).is_some());
    let contested: Vec<&str> = contested.map(|event| &*event.body.about).collect();
    let refusals: HashMap<_, _> = reported::list_bodies(conn, log, &contested, check::KIND)?.into_iter().collect();
    for event in &events {
        // One that can't be read, and could be when it was summed up, was changed since: `audit verify` says so.
        let Ok(person) = Personal::of(event, &refusals, &secrets) else { continue };
        page::personal(event, &person, -1, sums);
        page::personal(event, &Personal::UNKNOWN, 1, sums);
    }
    Ok(())
}
