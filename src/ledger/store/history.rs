//! Pages of a merchant's log, in its order, and the persons that a page names.

use diesel::prelude::*;

use super::{Result, SubjectRow};
use crate::database::AnyConnection;
use crate::database::schema::{events, logs, subjects};
use crate::foundation::ids::{CheckId, MerchantId};
use crate::on_either;

/// An event in its place.
#[derive(Debug, Clone, Queryable)]
pub struct PlacedRow {
    pub log_index: i64,
    pub id: String,
    pub at: i64,
    pub kind: String,
    /// None once it was pruned.
    pub body: Option<String>,
}

/// An event of any kind in its place, with its columns.
#[derive(Debug, Clone, Queryable)]
pub struct LoggedRow {
    pub log_index: i64,
    pub id: String,
    pub kind: String,
    pub about: String,
    pub at: i64,
    pub leaf_hash: Vec<u8>,
    /// None once it was pruned.
    pub body: Option<String>,
}

/// The id of a merchant's log and how many events it has; none before the first.
pub fn find_log_size(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<Option<(String, i64)>> {
    Ok(logs::table
        .filter(logs::merchant_id.eq(merchant.as_str()))
        .select((logs::id, logs::size))
        .first(conn)
        .optional()?)
}

/// The merchant of a check, of any of them: for who has proved that they may ask about it, and knows nothing else.
pub fn find_merchant_of(conn: &mut AnyConnection, check: &CheckId, kind: &str) -> Result<Option<String>> {
    let found: Option<Option<String>> = events::table
        .inner_join(logs::table.on(logs::id.eq(events::log_id)))
        .filter(events::about.eq(check.as_str()).and(events::kind.eq(kind)))
        .select(logs::merchant_id)
        .first(conn)
        .optional()?;
    Ok(found.flatten())
}

/// Those of `about` that the operator's log has an event of these kinds about.
pub fn list_recorded(conn: &mut AnyConnection, kinds: &[&str], about: &[String]) -> Result<Vec<String>> {
    Ok(on_either!(conn, |c| events::table
        .inner_join(logs::table.on(logs::id.eq(events::log_id)))
        .filter(logs::merchant_id.is_null())
        .filter(events::about.eq_any(about).and(events::kind.eq_any(kinds)))
        .select(events::about)
        .load(c)?))
}

/// When the event at `index` was, or the first one after it that is there.
pub fn find_instant(conn: &mut AnyConnection, log: &str, index: i64) -> Result<Option<i64>> {
    Ok(events::table
        .filter(events::log_id.eq(log).and(events::log_index.ge(index)))
        .order(events::log_index)
        .select(events::at)
        .first(conn)
        .optional()?)
}

/// The events of these kinds from the index `from` on and before `before`, in the log's order.
pub fn list_placed(
    conn: &mut AnyConnection,
    log: &str,
    kinds: &[&str],
    from: i64,
    before: i64,
) -> Result<Vec<PlacedRow>> {
    list_first_placed(conn, log, kinds, (from, before), i64::MAX)
}

/// The first of them.
pub fn list_first_placed(
    conn: &mut AnyConnection,
    log: &str,
    kinds: &[&str],
    (from, before): (i64, i64),
    most: i64,
) -> Result<Vec<PlacedRow>> {
    Ok(on_either!(conn, |c| events::table
        .filter(events::log_id.eq(log).and(events::log_index.ge(from)).and(events::log_index.lt(before)))
        .filter(events::kind.eq_any(kinds))
        .order(events::log_index)
        .limit(most)
        .select((events::log_index, events::id, events::at, events::kind, events::body))
        .load(c)?))
}

/// The events from the first index on and before the second, in the log's order: of this kind and
/// about this thing, where they are given.
pub fn list_logged(
    conn: &mut AnyConnection,
    log: &str,
    range: (i64, i64),
    kind: Option<&str>,
    about: Option<&str>,
) -> Result<Vec<LoggedRow>> {
    list_logged_of(conn, log, range, kind, about, &[], None)
}

/// An end of a part of the log, and how many events are read from there.
#[derive(Debug, Clone, Copy)]
pub enum End {
    Oldest(i64),
    /// In the order from there on, against the log's.
    Newest(i64),
}

/// [`list_logged`], and of this person where pseudonyms are given: one, or one more from before. Where an end is given, only
/// so many from there on.
pub fn list_logged_of(
    conn: &mut AnyConnection,
    log: &str,
    (from, before): (i64, i64),
    kind: Option<&str>,
    about: Option<&str>,
    subjects: &[String],
    end: Option<End>,
) -> Result<Vec<LoggedRow>> {
    // Bodies are canonical, so this text stands in every event of the person; what callers write is
    // escaped where it holds quotes.
    let mut of_the_person = subjects.iter().map(|pseudonym| format!(r#"%"subject":"{pseudonym}"%"#));
    let of_the_person = (of_the_person.next(), of_the_person.next());
    Ok(on_either!(conn, |c| {
        let mut query = events::table
            .filter(events::log_id.eq(log).and(events::log_index.ge(from)).and(events::log_index.lt(before)))
            .order(events::log_index)
            .select((
                events::log_index,
                events::id,
                events::kind,
                events::about,
                events::at,
                events::leaf_hash,
                events::body,
            ))
            .into_boxed();
        if let Some(kind) = kind {
            query = query.filter(events::kind.eq(kind));
        }
        if let Some(about) = about {
            query = query.filter(events::about.eq(about));
        }
        query = match end {
            None => query,
            Some(End::Oldest(most)) => query.limit(most),
            Some(End::Newest(most)) => query.order(events::log_index.desc()).limit(most),
        };
        query = match &of_the_person {
            (None, _) => query,
            (Some(name), None) => query.filter(events::body.like(name)),
            (Some(name), Some(former)) => query.filter(events::body.like(name).or(events::body.like(former))),
        };
        query.load(c)?
    }))
}

/// Those of the merchant's subjects that go by one of these pseudonyms.
pub fn list_subjects_called(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    pseudonyms: &[&str],
) -> Result<Vec<SubjectRow>> {
    Ok(on_either!(conn, |c| subjects::table
        .filter(subjects::pseudonym.eq_any(pseudonyms))
        // By a bare `merchant_id` SQLite would go through all of the merchant's subjects, once for each page.
        .filter(subjects::merchant_id.concat("").eq(merchant.as_str()))
        .select(SubjectRow::as_select())
        .load(c)?))
}
