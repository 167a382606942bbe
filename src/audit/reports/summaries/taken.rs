//! Sums that follow what is taken away from the events, in the same transaction: a person who is erased is counted as nobody
//! from then on, and an event whose body is pruned is counted on as one that nothing proves. Before bodies go, everything is
//! summed up: what becomes of a grant after its check went is counted by its own instant, and changes nothing of the check.

use std::collections::{BTreeSet, HashMap};

use futures_util::future::BoxFuture;

use super::page::{self, Event, Personal, SummedLog};
use super::store::{self, QuarterRow};
use super::sums::Sums;
use super::{PAGE, Summarizer};
use crate::audit::reports::asked::ReportKind;
use crate::audit::reports::counting::{CONTESTS, contest_column};
use crate::audit::reports::reading;
use crate::audit::reports::store as reported;
use crate::database::{AnyConnection, Database, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::MerchantId;
use crate::foundation::subject::Pseudonym;
use crate::keyring::Keyring;
use crate::ledger::store::history::{self as rows, LoggedRow};
use crate::ledger::write::check;
use crate::ledger::{PreparedSums, Summaries};

/// Number of a person's events that are looked at in one piece. With more, an erasure is prepared.
const PIECE: usize = 500;

/// Keeps the sums to what the ledger takes away.
#[derive(Debug, Clone, Copy)]
pub struct KeptSums;

impl Summaries for KeptSums {
    fn sum_up<'a>(
        &'a self,
        database: &'a Database,
        keyring: &'a Keyring,
        merchant: &'a MerchantId,
    ) -> BoxFuture<'a, Result<(), DatabaseError>> {
        let summarizer = Summarizer { least: 1, rest: 1, ..Summarizer::new(database.clone(), keyring.clone()) };
        Box::pin(async move { summarizer.extend(merchant, i64::MAX, std::time::Duration::ZERO, || {}).await })
    }

    fn prepare_erasing(
        &self,
        conn: &mut AnyConnection,
        keyring: &Keyring,
        merchant: &MerchantId,
        people: &[&Pseudonym],
    ) -> Result<Option<PreparedSums>, DatabaseError> {
        let Some(head) = store::find_head(conn, merchant)? else { return Ok(None) };
        let mut count = 0;
        for person in people {
            count += store::list_indexes(conn, merchant, person.as_str())?.len();
        }
        if count <= PIECE {
            return Ok(None);
        }
        let rows = uncounted(conn, keyring, merchant, people)?;
        let people: Vec<Pseudonym> = people.iter().map(|person| (*person).clone()).collect();
        let merchant = merchant.clone();
        Ok(Some(Box::new(move |conn| {
            let is_so = store::advance(conn, &merchant, head, head.log_index)?;
            if is_so {
                store::put(conn, &merchant, &rows)?;
                for person in &people {
                    store::delete_person(conn, &merchant, person.as_str())?;
                }
            }
            Ok(is_so)
        })))
    }

    fn erasing(
        &self,
        conn: &mut AnyConnection,
        keyring: &Keyring,
        merchant: &MerchantId,
        people: &[&Pseudonym],
    ) -> Result<(), DatabaseError> {
        store::hold(conn, merchant)?;
        match uncounted(conn, keyring, merchant, people) {
            Ok(rows) => store::put(conn, merchant, &rows)?,
            Err(error @ DatabaseError::Corrupt { .. }) => {
                tracing::error!(merchant = merchant.as_str(), %error, "the sums of reports still count someone who is erased");
            }
            Err(error) => return Err(error),
        }
        for person in people {
            store::delete_person(conn, merchant, person.as_str())?;
        }
        Ok(())
    }

    fn pruning(
        &self,
        conn: &mut AnyConnection,
        keyring: &Keyring,
        merchant: &MerchantId,
        pruned: &[&LoggedRow],
    ) -> Result<(), DatabaseError> {
        let head = store::hold(conn, merchant)?;
        let Some((log, size)) = rows::find_log_size(conn, merchant)? else { return Ok(()) };
        if !(0..=size).contains(&head.log_index) {
            return Err(DatabaseError::corrupt("report head", format!("{} of {size} events", head.log_index)));
        }
        if size - head.log_index > PAGE {
            return Err(DatabaseError::Conflict);
        }
        // The outcomes of what goes may be among the last events.
        let last = SummedLog { id: &log, merchant, keyring: Some(keyring) };
        let last = page::sum(conn, &last, (head.log_index, size))?;
        let added = store::added(conn, merchant, last.sums)?;
        store::put(conn, merchant, &added)?;
        store::insert_people(conn, merchant, &last.people)?;
        if !store::advance(conn, merchant, head, size)? {
            return Err(DatabaseError::Conflict);
        }

        let mut sums = Sums::default();
        let mut people = Vec::new();
        for row in pruned {
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
        // A later erasure couldn't say any more in which band the contest of a refusal that goes was counted.
        let checks: Vec<&str> = pruned.iter().filter(|row| row.kind == check::KIND).map(|row| &*row.about).collect();
        let contests = reported::list_placed_about(conn, &log, &checks, &CONTESTS, size)?;
        let contests: Vec<i64> = contests.iter().map(|contest| contest.log_index).collect();
        for contests in contests.chunks(PIECE) {
            let contests = store::list_at(conn, &log, contests)?;
            make_unknown(conn, (keyring, merchant, &log), &contests, &mut sums)?;
        }
        let people: Vec<(&str, i64)> = people.iter().map(|(subject, index)| (subject.as_str(), *index)).collect();
        store::delete_people(conn, merchant, &people)?;
        let rows = store::added(conn, merchant, sums)?;
        store::put(conn, merchant, &rows)
    }
}

/// The stored sums of the quarters that these people are counted in, with what they count as nobody's.
fn uncounted(
    conn: &mut AnyConnection,
    keyring: &Keyring,
    merchant: &MerchantId,
    people: &[&Pseudonym],
) -> Result<Vec<QuarterRow>, DatabaseError> {
    let Some((log, _)) = rows::find_log_size(conn, merchant)? else { return Ok(Vec::new()) };
    let mut sums = Sums::default();
    for person in people {
        for indexes in store::list_indexes(conn, merchant, person.as_str())?.chunks(PIECE) {
            let events = store::list_at(conn, &log, indexes)?;
            make_unknown(conn, (keyring, merchant, &log), &events, &mut sums)?;
        }
    }
    store::added(conn, merchant, sums)
}

/// Takes what these events of a person count out of where their score put it, and counts it as nobody's. Where nobody can say
/// any more where that was, the quarter is given up: the events are read, and say nothing of the person.
fn make_unknown(
    conn: &mut AnyConnection,
    (keyring, merchant, log): (&Keyring, &MerchantId, &str),
    rows: &[LoggedRow],
    sums: &mut Sums,
) -> Result<(), DatabaseError> {
    let mut events: Vec<(&LoggedRow, Event<'_>)> = Vec::with_capacity(rows.len());
    for row in rows {
        match page::read(row) {
            Ok(event) => events.extend(event.map(|event| (row, event))),
            Err(error) => page::lose(row, &error, sums),
        }
    }
    let names: BTreeSet<&str> = events.iter().filter_map(|(_, event)| event.body.facts.subject.as_deref()).collect();
    let secrets = reading::secrets(conn, keyring, merchant, &names)?;
    let contested = events.iter().filter(|(_, event)| contest_column(event.kind).is_some());
    let contested: Vec<&str> = contested.map(|(_, event)| &*event.body.about).collect();
    let refusals: HashMap<_, _> = reported::list_bodies(conn, log, &contested, check::KIND)?.into_iter().collect();
    for (row, event) in &events {
        match Personal::of(event, &refusals, &secrets) {
            Ok(person) => {
                page::personal(event, &person, -1, sums);
                page::personal(event, &Personal::UNKNOWN, 1, sums);
            }
            Err(error) => page::lose(row, &error, sums),
        }
    }
    Ok(())
}
