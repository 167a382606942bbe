//! The sums that reports add up, held to the events: the log is summed up once more and compared, cell by cell.
//!
//! So are the rows that lead an erasure to what a person is counted in: exactly those of the events behind the last pruned one
//! whose persons are known. A row of someone who isn't known leads nowhere, and is not looked for.
//!
//! Held to nothing: quarters up to the last event whose body is pruned, of which the sums are all that is left. And how a sum
//! is split by what is sealed: a band of scores, near misses. Nobody without the gateway's keys can recompute that, so only
//! the sum over all bands is held to the events, and near misses are no more than refusals for the score.
//!
//! This takes a second pass over the log of a merchant who has sums, with its look-ups, and the memory of the sums, one merchant
//! at a time: that grows with the quarters that anything counts in, their cells, and the seconds at which unused grants expired,
//! some 200 bytes for each.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::Timestamp;

use crate::audit::reports::asked::ReportKind;
use crate::audit::reports::summaries::PAGE;
use crate::audit::reports::summaries::page::{self, SummedLog};
use crate::audit::reports::summaries::store;
use crate::audit::reports::summaries::sums::{self, Cell, Column, QuarterSums, Sums};
use crate::audit::verify::findings::{FindingPlace, Findings, Wrong};
use crate::audit::verify::fingerprints::Fingerprints;
use crate::audit::verify::tally::Tally;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::MerchantId;
use crate::ledger::store::history as rows;

/// The columns that say how near a score was, which is sealed.
const NEAR: [&str; 2] = ["near_misses", "near_unknown"];

type Counts = BTreeMap<Cell, BTreeMap<Column, i64>>;

/// A log whose sums are compared.
pub(crate) struct Compared<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub size: i64,
    pub merchant: &'a str,
}

/// The sums by the events.
struct Expected {
    sums: Sums,
    /// The last quarter that an event stands in whose body is pruned.
    pruned_to: Option<i64>,
    /// Quarters whose sums rest on events that are pruned.
    uncertain: BTreeSet<i64>,
    /// The index of that event, or -1.
    pruned_index: i64,
    /// The rows behind it that lead an erasure to what a person is counted in.
    people: Tally,
}

/// Compares the stored sums of a merchant's log with its events.
pub(crate) fn compare(
    conn: &mut AnyConnection,
    log: &Compared<'_>,
    fingerprints: &Fingerprints,
    findings: &mut Findings,
) -> Result<(), DatabaseError> {
    // Another finding says that this is nobody's log.
    let Ok(merchant) = log.merchant.parse::<MerchantId>() else { return Ok(()) };
    let summed = store::find_head(conn, &merchant)?.map_or(0, |head| head.log_index);
    if !(0..=log.size).contains(&summed) {
        findings.add(FindingPlace::log(log.name), Wrong::SummaryHead { summed, size: log.size });
        return Ok(());
    }
    let mut expected = sum_up(conn, log.id, &merchant, summed, fingerprints)?;
    let mut stored = Tally::new(fingerprints.clone());
    store::each_person(conn, &merchant, |conn, rows| {
        add_people(conn, &merchant, rows, expected.pruned_index, &mut stored)
    })?;
    if !stored.agrees(&expected.people) {
        let (stored, wanted) = (stored.count(), expected.people.count());
        findings.add(FindingPlace::log(log.name), Wrong::SummaryPeople { stored, wanted });
    }
    for report in ReportKind::ALL {
        let mut add = |quarter: i64, part: String| {
            let quarter = from_micros(quarter.saturating_mul(sums::QUARTER_MICROS)).to_string();
            findings.add(FindingPlace::log(log.name), Wrong::Summary { report: report.as_str(), quarter, part });
        };
        store::each_quarter(conn, &merchant, report, (i64::MIN, i64::MAX), |quarter, stored| {
            let wanted = expected.sums.0.remove(&(report, quarter)).unwrap_or_default();
            // Where an event can't be read, that is a finding of its own.
            if stored.is_lost && !wanted.is_lost {
                add(quarter, "it is lost: reports read the events of that time".to_owned());
            } else if !stored.is_lost && expected.is_held(quarter) {
                compare_quarter(&stored, &wanted, |part| add(quarter, part));
            }
            Ok::<_, DatabaseError>(())
        })?;
        let rest: Vec<i64> = expected.sums.0.keys().filter(|(kind, _)| *kind == report).map(|(_, at)| *at).collect();
        for quarter in rest {
            let wanted = expected.sums.0.remove(&(report, quarter)).unwrap_or_default();
            if expected.is_held(quarter) {
                compare_quarter(&QuarterSums::default(), &wanted, |part| add(quarter, part));
            }
        }
    }
    Ok(())
}

impl Expected {
    fn is_held(&self, quarter: i64) -> bool {
        self.pruned_to.is_none_or(|pruned| pruned < quarter) && !self.uncertain.contains(&quarter)
    }
}

/// Adds the rows of people who are known, of events behind the last pruned one.
fn add_people(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    people: &[(String, i64)],
    pruned: i64,
    tally: &mut Tally,
) -> Result<(), DatabaseError> {
    let names: BTreeSet<&str> = people.iter().map(|(name, _)| name.as_str()).collect();
    let known = rows::list_subjects_called(conn, merchant, &names.into_iter().collect::<Vec<_>>())?;
    let known: HashSet<String> = known.into_iter().map(|row| row.pseudonym).collect();
    for (name, index) in people.iter().filter(|(name, index)| *index > pruned && known.contains(name)) {
        tally.add(&[name.as_bytes(), &index.to_be_bytes()]);
    }
    Ok(())
}

fn sum_up(
    conn: &mut AnyConnection,
    id: &str,
    merchant: &MerchantId,
    to: i64,
    fingerprints: &Fingerprints,
) -> Result<Expected, DatabaseError> {
    let log = SummedLog { id, merchant, keyring: None };
    let (mut people, mut pruned_index) = (Tally::new(fingerprints.clone()), -1);
    let (mut sums, mut pruned_at, mut uncertain, mut from) = (Sums::default(), None::<Timestamp>, BTreeSet::new(), 0);
    while from < to {
        let before = to.min(from.saturating_add(PAGE));
        let page = page::sum(conn, &log, (from, before))?;
        sums.merge(page.sums);
        pruned_at = pruned_at.max(page.pruned_at);
        uncertain.extend(page.uncertain);
        if let Some(index) = page.pruned_index {
            (pruned_index, people) = (index, Tally::new(fingerprints.clone()));
        }
        add_people(conn, merchant, &page.people, pruned_index, &mut people)?;
        from = before;
    }
    Ok(Expected { sums, pruned_to: pruned_at.map(sums::quarter_of), uncertain, pruned_index, people })
}

/// Adds what differs, in words.
fn compare_quarter(stored: &QuarterSums, wanted: &QuarterSums, mut add: impl FnMut(String)) {
    if wanted.is_lost {
        add("an event of that time can't be read, so nothing proves it".to_owned());
        return;
    }
    if stored.pruned > 0 || stored.unprovable > 0 {
        add("it tells of events that are pruned, and none is".to_owned());
    }
    let ((stored_cells, stored_near), (cells, below)) = (unsealed(&stored.cells), unsealed(&wanted.cells));
    let names: BTreeSet<&Cell> = stored_cells.keys().chain(cells.keys()).collect();
    for cell in names {
        let of = |counts: &Counts| counts.get(cell).cloned().unwrap_or_default();
        let (stored, wanted) = (of(&stored_cells), of(&cells));
        let columns: BTreeSet<Column> = stored.keys().chain(wanted.keys()).copied().collect();
        for column in columns {
            let [stored, wanted] = [&stored, &wanted].map(|counts| counts.get(&column).copied().unwrap_or(0));
            if stored != wanted {
                let column = match column {
                    Column::Named(name) => name.to_owned(),
                    Column::Unspent(until) => format!("grants unused that expire at {}", from_micros(until)),
                };
                add(format!("{column} of `{cell}` is {stored}, and {wanted} by the events"));
            }
        }
    }
    for (cell, near) in stored_near {
        let below = below.get(&cell).copied().unwrap_or(0);
        if near > below {
            add(format!("near misses of `{cell}` are {near}, of {below} refusals for the score"));
        }
    }
    if stored.cells.values().flat_map(BTreeMap::values).any(|count| *count < 0) {
        add("a count is below nought".to_owned());
    }
    let names: BTreeSet<_> = stored.limits.keys().chain(wanted.limits.keys()).collect();
    for at in names {
        if stored.limits.get(at) != wanted.limits.get(at) {
            add(format!("the limit `{}` of `{}` at `{}` is another by the events", at.limit, at.perk, at.location));
        }
    }
}

/// The counts without what is sealed: over all bands, and near misses, known or not, apart.
fn unsealed(cells: &Counts) -> (Counts, BTreeMap<Cell, i64>) {
    let (mut all, mut near) = (Counts::new(), BTreeMap::new());
    for (cell, counts) in cells {
        let cell = Cell { band: None, ..cell.clone() };
        for (column, count) in counts {
            let sum = match column {
                Column::Named(name) if NEAR.contains(name) => near.entry(cell.clone()).or_default(),
                column => all.entry(cell.clone()).or_default().entry(*column).or_default(),
            };
            *sum = i64::saturating_add(*sum, *count);
        }
    }
    (all, near)
}
