//! Exports written by the letter of the format, from what stands in the database.

use std::fmt::Write as _;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use diesel::prelude::*;
use perkgate::database::AnyConnection;
use perkgate::database::schema::{checkpoints, events, logs};
use perkgate::ledger::merkle::Frontier;
use perkgate::ledger::note::VerifierKey;
use perkgate::ledger::origin;
use perkgate::ledger::store::{CheckpointRow, EventRow, LogRow};
use perkgate::subject::hex;
use serde_json::{Value, json};

/// How many events are read at a time.
const PAGE: i64 = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Ndjson,
    Csv,
}

/// Which part of a log is written.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// From this size on, which has a checkpoint, or from the beginning.
    pub since: Option<i64>,
    /// Up to this size, which has a checkpoint, or to the end.
    pub to: Option<i64>,
    /// Events before this index only as leaves.
    pub bare_before: i64,
}

/// Writes the log `name` as an export.
pub fn write(
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
    let mut out = Out { form, to };
    out.begin();
    out.framing(&json!({"record": "header", "format": 1, "log": head.name, "origin": origin(&head.id), "merchant": head.merchant_id,
        "from_index": from, "to_index": end, "period": {"from": null, "to": null}, "frontier": STANDARD.encode(frontier.to_bytes()),
        "since": since, "exported_at": "2012-05-09T00:00:00Z", "gateway_version": "0.1.0"}));
    out.framing(
        &json!({"record": "key", "key": key.to_string(), "signs_from": "2012-05-08T00:00:00Z", "retires_at": null}),
    );
    let (mut written, mut leaves, mut signed, mut last) = (0, 0, 0, from - 1);
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
            let is_bare = event.log_index < part.bare_before;
            out.leaf(event, is_bare);
            *(if is_bare { &mut leaves } else { &mut written }) += 1;
            frontier.append(event.leaf_hash.as_slice().try_into().unwrap());
            if let Some(note) = notes.pop_if(|note| note.size == event.log_index + 1) {
                out.checkpoint(&note);
                signed += 1;
            }
        }
    }
    out.framing(&json!({"record": "end", "events": written, "leaves": leaves, "checkpoints": signed, "size": end,
        "root": STANDARD.encode(frontier.root())}));
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

struct Out<'a, W> {
    form: Form,
    to: &'a mut W,
}

impl<W: io::Write> Out<'_, W> {
    fn begin(&mut self) {
        if self.form == Form::Csv {
            self.line("record,index,id,kind,at,actor,about,leaf_hash,event,checkpoint,note");
        }
    }

    fn line(&mut self, line: &str) {
        self.to.write_all(line.as_bytes()).unwrap();
        self.to.write_all(b"\n").unwrap();
    }

    fn row(&mut self, cells: [&str; 11]) {
        let mut line = String::new();
        for (nth, cell) in cells.into_iter().enumerate() {
            let comma = if nth > 0 { "," } else { "" };
            if cell.contains(['"', ',', '\n']) {
                write!(line, "{comma}\"{}\"", cell.replace('"', "\"\"")).unwrap();
            } else {
                write!(line, "{comma}{cell}").unwrap();
            }
        }
        self.line(&line);
    }

    fn framing(&mut self, record: &Value) {
        let text = record.to_string();
        match self.form {
            Form::Ndjson => self.line(&text),
            Form::Csv => self.row([record["record"].as_str().unwrap(), "", "", "", "", "", "", "", "", "", &text]),
        }
    }

    fn leaf(&mut self, event: &EventRow, is_bare: bool) {
        let (index, leaf_hash) = (event.log_index.to_string(), hex(&event.leaf_hash));
        match (self.form, is_bare) {
            (Form::Ndjson, false) => {
                let body = event.body.as_deref().unwrap_or("null");
                self.line(&format!(r#"{{"record":"event","index":{index},"leaf_hash":"{leaf_hash}","event":{body}}}"#));
            }
            (Form::Ndjson, true) => {
                self.line(&format!(r#"{{"record":"leaf","index":{index},"leaf_hash":"{leaf_hash}"}}"#));
            }
            (Form::Csv, true) => self.row(["leaf", &index, "", "", "", "", "", &leaf_hash, "", "", ""]),
            (Form::Csv, false) => {
                let body = event.body.as_deref().unwrap_or_default();
                let read: Value = serde_json::from_str(body).unwrap_or_default();
                let of = |name: &str| read[name].as_str().unwrap_or_default();
                let actor = read["actor"]["key"].as_str().or(read["actor"]["role"].as_str()).unwrap_or_default();
                self.row([
                    "event",
                    &index,
                    of("id"),
                    of("kind"),
                    of("at"),
                    actor,
                    of("about"),
                    &leaf_hash,
                    body,
                    "",
                    "",
                ]);
            }
        }
    }

    fn checkpoint(&mut self, row: &CheckpointRow) {
        match self.form {
            Form::Ndjson => {
                let record = json!({"record": "checkpoint", "size": row.size, "checkpoint": row.note});
                self.line(&record.to_string());
            }
            Form::Csv => self.row(["checkpoint", "", "", "", "", "", "", "", "", &row.note, ""]),
        }
    }
}
