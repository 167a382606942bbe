//! Exports of what stands in the database, whatever that is: the gateway's own would refuse some of it.

use std::io;

use diesel::prelude::*;
use jiff::Timestamp;
use perkgate::audit::export::record::{End, FORMAT, Form, Header, Key, PeriodAsked, Placed, base64};
use perkgate::database::AnyConnection;
use perkgate::database::schema::{checkpoints, events, logs};
use perkgate::foundation::clock::from_micros;
use perkgate::ledger::store::{CheckpointRow, EventRow, LogRow};
use perkgate::tlog::merkle::Frontier;
use perkgate::tlog::note::VerifierKey;

use crate::support::world::NOW;

/// How many events are read at a time.
const PAGE: i64 = 1000;

/// Which part of a log is written.
#[derive(Debug, Clone, Default)]
pub(super) struct Part {
    /// From this size on, which has a checkpoint, or from the beginning.
    pub since: Option<i64>,
    /// Up to this size, which has a checkpoint, or to the end.
    pub to: Option<i64>,
    /// Events before this index only as leaves.
    pub bare_before: i64,
}

/// Writes the log `name` as an export.
pub(super) fn write(
    conn: &mut AnyConnection,
    name: &str,
    key: &VerifierKey,
    form: Form,
    part: &Part,
    to: &mut impl io::Write,
) {
    let head: LogRow = logs::table.filter(logs::name.eq(name)).select(LogRow::as_select()).first(conn).unwrap();
    let (from, end) = (part.since.unwrap_or(0), part.to.unwrap_or(head.size));
    let of_log = || checkpoints::table.filter(checkpoints::log_id.eq(&head.id));
    let since = part.since.map(|size| {
        of_log().filter(checkpoints::size.eq(size)).select(checkpoints::note).first::<String>(conn).unwrap()
    });
    let mut notes: Vec<CheckpointRow> = of_log()
        .filter(checkpoints::size.gt(from).and(checkpoints::size.le(end)))
        .order(checkpoints::size.desc())
        .select(CheckpointRow::as_select())
        .load(conn)
        .unwrap();
    let mut frontier = frontier_at(conn, &head.id, from);
    let now: Timestamp = NOW.parse().unwrap();
    let mut out = form.opening();
    form.header(
        &mut out,
        &Header {
            format: FORMAT,
            log: head.name,
            origin: head.origin,
            merchant: head.merchant_id,
            from_index: u64::try_from(from).unwrap(),
            to_index: u64::try_from(end).unwrap(),
            period: PeriodAsked::default(),
            frontier: base64(&frontier.to_bytes()),
            since,
            exported_at: now,
            gateway_version: "0.1.0".to_owned(),
        },
    );
    form.key(&mut out, &Key { key: key.to_string(), signs_from: now, retires_at: None });
    let mut told = End { events: 0, leaves: 0, checkpoints: 0, size: 0, root: String::new() };
    let mut last = from - 1;
    loop {
        let page: Vec<EventRow> = events::table
            .filter(events::log_id.eq(&head.id).and(events::log_index.gt(last)).and(events::log_index.lt(end)))
            .order(events::log_index)
            .limit(PAGE)
            .select(EventRow::as_select())
            .load(conn)
            .unwrap();
        let Some(row) = page.last() else { break };
        last = row.log_index;
        for event in &page {
            let (index, leaf_hash) =
                (u64::try_from(event.log_index).unwrap(), event.leaf_hash.as_slice().try_into().unwrap());
            if event.log_index < part.bare_before {
                form.leaf(&mut out, index, &leaf_hash);
                told.leaves += 1;
            } else {
                let EventRow { id, kind, about, body, .. } = event;
                let (at, body) = (from_micros(event.at), body.as_deref());
                form.event(&mut out, &Placed { index, leaf_hash: &leaf_hash, id, kind, at, about, body });
                told.events += 1;
            }
            frontier.append(leaf_hash);
            if let Some(note) = notes.pop_if(|note| note.size == event.log_index + 1) {
                form.checkpoint(&mut out, index + 1, &note.note);
                told.checkpoints += 1;
            }
        }
        to.write_all(out.as_bytes()).unwrap();
        out.clear();
    }
    told.size = frontier.size();
    told.root = base64(&frontier.root());
    form.end(&mut out, &told);
    to.write_all(out.as_bytes()).unwrap();
}

fn frontier_at(conn: &mut AnyConnection, log: &str, size: i64) -> Frontier {
    let leaves: Vec<Vec<u8>> = events::table
        .filter(events::log_id.eq(log).and(events::log_index.lt(size)))
        .order(events::log_index)
        .select(events::leaf_hash)
        .load(conn)
        .unwrap();
    let mut frontier = Frontier::default();
    for leaf in leaves {
        frontier.append(leaf.try_into().unwrap());
    }
    frontier
}
