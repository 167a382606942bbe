//! The tables of the summaries.

use std::collections::BTreeSet;

use diesel::prelude::*;
use diesel::upsert::excluded;

use super::packed::{Unreadable, pack, unpack};
use super::sums::{QuarterSums, Sums};
use crate::audit::reports::asked::ReportKind;
use crate::database::schema::{events, logs, report_heads, report_people, report_quarters};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;
use crate::ledger::store::history::LoggedRow;
use crate::on_either;

/// Number of rows that one statement takes.
const ROWS: usize = 200;

/// Number of quarters that are read at once.
const QUARTERS: i64 = 2_000;

/// Where the sums of a merchant's log end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable)]
pub(in crate::audit) struct SummedHead {
    /// The events before this index are summed up.
    pub log_index: i64,
    /// Changes with whatever changes the sums.
    pub revision: i64,
}

/// The head of the sums; none before the first.
pub(in crate::audit) fn find_head(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
) -> Result<Option<SummedHead>, DatabaseError> {
    Ok(report_heads::table
        .find(merchant.as_str())
        .select((report_heads::log_index, report_heads::revision))
        .first(conn)
        .optional()?)
}

/// Makes the head of a merchant who has none.
pub(super) fn begin(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<(), DatabaseError> {
    let row = (
        report_heads::merchant_id.eq(merchant.as_str()),
        report_heads::log_index.eq(0_i64),
        report_heads::revision.eq(0_i64),
    );
    on_either!(conn, |c| diesel::insert_into(report_heads::table).values(row).on_conflict_do_nothing().execute(c)?);
    Ok(())
}

/// Holds the head until the transaction ends, and makes a replica that has read it before start again. For a merchant without
/// one it makes one: a replica that begins meanwhile has to see that something was taken away.
pub(super) fn hold(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<SummedHead, DatabaseError> {
    begin(conn, merchant)?;
    let row = report_heads::table.find(merchant.as_str());
    on_either!(conn, |c| diesel::update(row).set(report_heads::revision.eq(report_heads::revision + 1)).execute(c)?);
    find_head(conn, merchant)?.ok_or(DatabaseError::Conflict)
}

/// Moves the head on; false if it isn't any more as it was read.
pub(super) fn advance(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    was: SummedHead,
    log_index: i64,
) -> Result<bool, DatabaseError> {
    let row = report_heads::table
        .find(merchant.as_str())
        .filter(report_heads::log_index.eq(was.log_index).and(report_heads::revision.eq(was.revision)));
    let to = (report_heads::log_index.eq(log_index), report_heads::revision.eq(was.revision + 1));
    Ok(on_either!(conn, |c| diesel::update(row).set(to).execute(c)?) == 1)
}

/// The merchants whose logs are this much longer than their sums.
pub(super) fn list_behind(conn: &mut AnyConnection, least: i64) -> Result<Vec<String>, DatabaseError> {
    let logs: Vec<(Option<String>, i64, Option<i64>)> = logs::table
        .left_join(report_heads::table.on(logs::merchant_id.eq(report_heads::merchant_id.nullable())))
        .filter(logs::merchant_id.is_not_null().and(logs::size.ge(least)))
        .order(logs::merchant_id)
        .select((logs::merchant_id, logs::size, report_heads::log_index.nullable()))
        .load(conn)?;
    let behind = logs.into_iter().filter(|(_, size, index)| size.saturating_sub(index.unwrap_or(0)) >= least);
    Ok(behind.filter_map(|(merchant, ..)| merchant).collect())
}

/// The sums in a row; lost if its bytes are none. Those would count people who are erased since, so they aren't kept aside.
fn unpacked(bytes: &[u8]) -> QuarterSums {
    unpack(bytes).unwrap_or_else(|Unreadable| QuarterSums { is_lost: true, ..QuarterSums::default() })
}

/// Hands each of the quarters from the first on and before the second to `take`, in order.
pub(in crate::audit) fn each_quarter<E: From<DatabaseError>>(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    report: ReportKind,
    (mut from, before): (i64, i64),
    mut take: impl FnMut(i64, QuarterSums) -> Result<(), E>,
) -> Result<(), E> {
    loop {
        let rows: Vec<(i64, Vec<u8>)> = report_quarters::table
            .filter(report_quarters::merchant_id.eq(merchant.as_str()))
            .filter(report_quarters::report.eq(report.as_str()))
            .filter(report_quarters::quarter.ge(from).and(report_quarters::quarter.lt(before)))
            .order(report_quarters::quarter)
            .limit(QUARTERS)
            .select((report_quarters::quarter, report_quarters::sums))
            .load(conn)
            .map_err(DatabaseError::from)?;
        let last = rows.last().map(|(quarter, _)| *quarter);
        let is_last = i64::try_from(rows.len()).is_ok_and(|length| length < QUARTERS);
        for (quarter, bytes) in rows {
            take(quarter, unpacked(&bytes))?;
        }
        match last {
            Some(last) if !is_last => from = last.saturating_add(1),
            _ => return Ok(()),
        }
    }
}

/// A quarter of a report, packed.
pub(super) struct QuarterRow {
    report: ReportKind,
    quarter: i64,
    sums: Vec<u8>,
}

/// These sums, added to what is stored: rows to be written over it.
pub(super) fn added(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    sums: Sums,
) -> Result<Vec<QuarterRow>, DatabaseError> {
    let mut all = Vec::with_capacity(sums.0.len());
    for report in ReportKind::ALL {
        let quarters: Vec<i64> = sums.0.keys().filter(|(kind, _)| *kind == report).map(|(_, at)| *at).collect();
        for quarters in quarters.chunks(ROWS) {
            let rows: Vec<(i64, Vec<u8>)> = on_either!(conn, |c| report_quarters::table
                .filter(report_quarters::merchant_id.eq(merchant.as_str()))
                .filter(report_quarters::report.eq(report.as_str()))
                .filter(report_quarters::quarter.eq_any(quarters))
                .select((report_quarters::quarter, report_quarters::sums))
                .load(c)?);
            for (quarter, bytes) in rows {
                let sums = unpacked(&bytes);
                if sums.is_lost {
                    tracing::warn!(merchant = merchant.as_str(), report = report.as_str(), quarter, "sums are lost");
                }
                all.push(((report, quarter), sums));
            }
        }
    }
    let mut stored = Sums(all.into_iter().collect());
    let known: BTreeSet<(ReportKind, i64)> = stored.0.keys().copied().collect();
    stored.merge(sums);
    // What comes to nothing needs no row.
    let rows = stored.0.into_iter().filter(|(at, sums)| known.contains(at) || *sums != QuarterSums::default());
    Ok(rows.map(|((report, quarter), sums)| QuarterRow { report, quarter, sums: pack(&sums) }).collect())
}

/// Writes quarters over what is stored of them.
pub(super) fn put(conn: &mut AnyConnection, merchant: &MerchantId, rows: &[QuarterRow]) -> Result<(), DatabaseError> {
    use report_quarters::dsl;
    for rows in rows.chunks(ROWS) {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    dsl::merchant_id.eq(merchant.as_str()),
                    dsl::report.eq(row.report.as_str()),
                    dsl::quarter.eq(row.quarter),
                    dsl::sums.eq(&row.sums),
                )
            })
            .collect();
        on_either!(conn, |c| diesel::insert_into(report_quarters::table)
            .values(&rows)
            .on_conflict((dsl::merchant_id, dsl::report, dsl::quarter))
            .do_update()
            .set(dsl::sums.eq(excluded(dsl::sums)))
            .execute(c)?);
    }
    Ok(())
}

/// Notes whose events were summed up, by pseudonym and index.
pub(super) fn insert_people(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    people: &[(String, i64)],
) -> Result<(), DatabaseError> {
    for people in people.chunks(ROWS) {
        let rows: Vec<_> = people
            .iter()
            .map(|(subject, index)| {
                (
                    report_people::merchant_id.eq(merchant.as_str()),
                    report_people::subject.eq(subject),
                    report_people::log_index.eq(index),
                )
            })
            .collect();
        on_either!(conn, |c| diesel::insert_into(report_people::table)
            .values(&rows)
            .on_conflict_do_nothing()
            .execute(c)?);
    }
    Ok(())
}

/// Hands the rows that lead an erasure to what was summed up to `take`, in pieces.
pub(in crate::audit) fn each_person(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    mut take: impl FnMut(&mut AnyConnection, &[(String, i64)]) -> Result<(), DatabaseError>,
) -> Result<(), DatabaseError> {
    let mut last: Option<(String, i64)> = None;
    loop {
        let mut query = report_people::table.filter(report_people::merchant_id.eq(merchant.as_str())).into_boxed();
        if let Some((subject, index)) = &last {
            let same = report_people::subject.eq(subject).and(report_people::log_index.gt(index));
            query = query.filter(report_people::subject.ge(subject));
            query = query.filter(report_people::subject.gt(subject).or(same));
        }
        let rows: Vec<(String, i64)> = query
            .order((report_people::subject, report_people::log_index))
            .limit(QUARTERS)
            .select((report_people::subject, report_people::log_index))
            .load(conn)?;
        take(conn, &rows)?;
        match rows.into_iter().last() {
            Some(row) => last = Some(row),
            None => return Ok(()),
        }
    }
}

/// The indexes of a person's events that were summed up.
pub(super) fn list_indexes(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &str,
) -> Result<Vec<i64>, DatabaseError> {
    Ok(report_people::table
        .filter(report_people::merchant_id.eq(merchant.as_str()).and(report_people::subject.eq(subject)))
        .order(report_people::log_index)
        .select(report_people::log_index)
        .load(conn)?)
}

/// Forgets which events a person's are.
pub(super) fn delete_person(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &str,
) -> Result<(), DatabaseError> {
    let rows = report_people::merchant_id.eq(merchant.as_str()).and(report_people::subject.eq(subject));
    on_either!(conn, |c| diesel::delete(report_people::table.filter(rows)).execute(c)?);
    Ok(())
}

/// Forgets whose events these are.
pub(super) fn delete_people(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    people: &[(&str, i64)],
) -> Result<(), DatabaseError> {
    for people in people.chunks(ROWS) {
        let (subjects, indexes): (Vec<&str>, Vec<i64>) = people.iter().copied().unzip();
        on_either!(conn, |c| diesel::delete(
            report_people::table
                .filter(report_people::merchant_id.eq(merchant.as_str()))
                .filter(report_people::subject.eq_any(&subjects).and(report_people::log_index.eq_any(&indexes)))
        )
        .execute(c)?);
    }
    Ok(())
}

/// The events of a log at these indexes.
pub(super) fn list_at(conn: &mut AnyConnection, log: &str, indexes: &[i64]) -> Result<Vec<LoggedRow>, DatabaseError> {
    Ok(on_either!(conn, |c| events::table
        .filter(events::log_id.eq(log).and(events::log_index.eq_any(indexes)))
        .order(events::log_index)
        .select((
            events::log_index,
            events::id,
            events::kind,
            events::about,
            events::at,
            events::leaf_hash,
            events::body
        ))
        .load(c)?))
}
