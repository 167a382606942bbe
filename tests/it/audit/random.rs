//! Random tampering with a database, each time somewhere else: edits, deletions, reorderings, insertions,
//! truncations and swapped rows. Each is done inside a transaction, looked at there, and taken back.
//! `benches/campaign` runs it at full size.

use std::collections::BTreeMap;

use diesel::prelude::*;
use perkgate::audit::{Anchor, Finding, Report, Request, Wrong, verify_snapshot};
use perkgate::database::schema::{
    api_keys, checkpoints, events, grants, limit_counters, logs, redemptions, rule_versions, subtrees,
};
use perkgate::database::{AnyConnection, Database, connection};
use perkgate::foundation::entropy::Entropy;
use perkgate::ledger::events::leaf_hash;
use perkgate::ledger::store::{CounterRow, EventRow, GrantRow, LogRow, RedemptionRow, SubtreeRow, put_subtrees};
use perkgate::tlog::merkle::Frontier;
use perkgate::tlog::note::VerifierKey;

/// How far an insertion moves what stands behind it.
const REACH: i64 = 200;

/// The same numbers every run (`SplitMix64`).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }

    fn index(&mut self, bound: i64) -> i64 {
        i64::try_from(self.below(usize::try_from(bound).unwrap())).unwrap()
    }

    fn one<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// The text with one letter or digit changed for another.
    pub(super) fn bend(&mut self, text: &str) -> String {
        let spots: Vec<usize> =
            text.char_indices().filter(|(_, c)| c.is_ascii_alphanumeric()).map(|(at, _)| at).collect();
        let at = *self.one(&spots);
        let to = if text[at..].starts_with('x') { "y" } else { "x" };
        format!("{}{to}{}", &text[..at], &text[at + 1..])
    }
}

/// What was done, and by which finding it is known for what it is.
pub(super) struct Done {
    pub what: String,
    is_named: Box<dyn Fn(&Finding) -> bool>,
}

/// A finding of one of these codes at this index, or that its range holds it.
fn at(index: i64, codes: &'static [&'static str]) -> Box<dyn Fn(&Finding) -> bool> {
    Box::new(move |finding| match finding.wrong {
        Wrong::Root { from, size } => (from..size).contains(&u64::try_from(index).unwrap()),
        _ => finding.place.index == Some(index) && codes.contains(&finding.wrong.code()),
    })
}

/// A finding of this code whose sentence holds this name.
fn naming(code: &'static str, name: &str) -> Box<dyn Fn(&Finding) -> bool> {
    let name = name.to_owned();
    Box::new(move |finding| finding.wrong.code() == code && finding.to_string().contains(&name))
}

/// A database, and what is known of it from before.
pub(super) struct Target<'a> {
    pub database: &'a Database,
    key: VerifierKey,
    anchors: Vec<Anchor>,
    head: LogRow,
    sizes: Vec<i64>,
    grants: Vec<String>,
    redemptions: Vec<(String, String)>,
    counters: Vec<CounterRow>,
}

impl<'a> Target<'a> {
    /// The log of the merchant `name`. What is kept outside is its head as it is now.
    pub(super) fn new(database: &'a Database, name: &str, key: VerifierKey) -> Self {
        let mut conn = database.dedicated().unwrap();
        let conn = &mut conn;
        let head: LogRow = logs::table.filter(logs::name.eq(name)).select(LogRow::as_select()).first(conn).unwrap();
        let merchant = head.merchant_id.clone().unwrap();
        let sizes = checkpoints::table.filter(checkpoints::log_id.eq(&head.id)).order(checkpoints::size);
        Self {
            database,
            key,
            anchors: Anchor::parse("kept", &head.checkpoint).unwrap(),
            sizes: sizes.select(checkpoints::size).load(conn).unwrap(),
            grants: grants::table.filter(grants::merchant_id.eq(&merchant)).select(grants::id).load(conn).unwrap(),
            redemptions: redemptions::table
                .filter(redemptions::merchant_id.eq(&merchant))
                .select((redemptions::grant_id, redemptions::slot))
                .load(conn)
                .unwrap(),
            counters: limit_counters::table
                .filter(limit_counters::merchant_id.eq(&merchant).and(limit_counters::used.gt(1)))
                .limit(1000)
                .select(CounterRow::as_select())
                .load(conn)
                .unwrap(),
            head,
        }
    }

    fn request(&self) -> Request {
        Request { keys: vec![self.key.clone()], anchors: self.anchors.clone(), every_signature: true }
    }

    /// Tampers `times` times, and counts how often with what.
    ///
    /// # Panics
    /// When one is not found, or not named.
    pub(super) fn campaign(&self, dice: &mut Dice, times: usize) -> BTreeMap<&'static str, usize> {
        let mut conn = self.database.dedicated().unwrap();
        let mut done = BTreeMap::new();
        assert_eq!(self.look(&mut conn).findings.listed(), [], "it was well before");
        for nth in 0..times {
            let (kind, hands) = HANDS[nth % HANDS.len()];
            connection::begin(&mut conn).unwrap();
            let Done { what, is_named } = hands(self, &mut conn, dice);
            let report = self.look(&mut conn);
            connection::rollback(&mut conn).unwrap();
            assert!(!report.findings.is_empty(), "{kind}: {what} was not found");
            let listed = report.findings.listed();
            assert!(listed.iter().any(is_named), "{kind}: {what} was not named: {listed:#?}");
            *done.entry(kind).or_default() += 1;
        }
        assert_eq!(self.look(&mut conn).findings.listed(), [], "all was taken back");
        done
    }

    fn look(&self, conn: &mut AnyConnection) -> Report {
        verify_snapshot(conn, &self.request(), &Entropy::System, &mut |_| {}).unwrap()
    }

    fn event(&self, conn: &mut AnyConnection, index: i64) -> EventRow {
        events::table.find((&self.head.id, index)).select(EventRow::as_select()).first(conn).unwrap()
    }

    fn any_event(&self, conn: &mut AnyConnection, dice: &mut Dice) -> EventRow {
        let index = dice.index(self.head.size);
        self.event(conn, index)
    }

    fn note(&self, conn: &mut AnyConnection, size: i64) -> String {
        checkpoints::table.find((&self.head.id, size)).select(checkpoints::note).first(conn).unwrap()
    }

    fn grant(&self, conn: &mut AnyConnection, dice: &mut Dice) -> GrantRow {
        grants::table.find(dice.one(&self.grants)).select(GrantRow::as_select()).first(conn).unwrap()
    }

    fn redemption(&self, conn: &mut AnyConnection, dice: &mut Dice) -> RedemptionRow {
        let (grant, slot) = dice.one(&self.redemptions);
        redemptions::table.find((grant, slot)).select(RedemptionRow::as_select()).first(conn).unwrap()
    }
}

type Hands = fn(&Target<'_>, &mut AnyConnection, &mut Dice) -> Done;

const HANDS: [(&str, Hands); 26] = [
    ("edit", edit_body),
    ("edit", edit_leaf),
    ("edit", edit_both),
    ("edit", edit_column),
    ("edit", edit_checkpoint),
    ("edit", edit_grant),
    ("edit", edit_redemption),
    ("edit", edit_counter),
    ("edit", edit_head),
    ("edit", edit_subtree),
    ("edit", edit_version),
    ("edit", edit_key),
    ("deletion", delete_events),
    ("deletion", delete_grant),
    ("deletion", delete_redemption),
    ("deletion", delete_counter),
    ("reordering", reorder),
    ("insertion", insert),
    ("insertion", insert_redemption),
    ("insertion", insert_subtree),
    ("truncation", truncate),
    ("truncation", rewind),
    ("swapped rows", swap_events),
    ("swapped rows", swap_leaves),
    ("swapped rows", swap_checkpoints),
    ("swapped rows", swap_counters),
];

fn put(conn: &mut AnyConnection, event: &EventRow) {
    diesel::update(events::table.find((&event.log_id, event.log_index)))
        .set((
            events::kind.eq(&event.kind),
            events::about.eq(&event.about),
            events::at.eq(event.at),
            events::leaf_hash.eq(&event.leaf_hash),
            events::body.eq(&event.body),
        ))
        .execute(conn)
        .unwrap();
}

/// Its bytes would be another's if nobody looked at them.
fn edit_body(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let mut event = target.any_event(conn, dice);
    event.body = event.body.map(|body| dice.bend(&body));
    put(conn, &event);
    let index = event.log_index;
    Done { what: format!("the body at {index} edited"), is_named: at(index, &["leaf_hash_mismatch"]) }
}

fn edit_leaf(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let mut event = target.any_event(conn, dice);
    event.leaf_hash[dice.below(32)] ^= 1 << dice.below(8);
    put(conn, &event);
    let index = event.log_index;
    Done { what: format!("the leaf hash at {index} edited"), is_named: at(index, &["leaf_hash_mismatch"]) }
}

fn edit_both(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let mut event = target.any_event(conn, dice);
    event.body = event.body.map(|body| dice.bend(&body));
    event.leaf_hash = leaf_hash(event.body.as_deref().unwrap()).to_vec();
    put(conn, &event);
    let index = event.log_index;
    Done { what: format!("the body and the leaf hash at {index} edited"), is_named: at(index, &["root_mismatch"]) }
}

fn edit_column(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let mut event = target.any_event(conn, dice);
    let column = *dice.one(&["kind", "about", "at"]);
    match column {
        "kind" => event.kind = dice.bend(&event.kind),
        "about" => event.about = dice.bend(&event.about),
        _ => event.at += 1 + dice.index(1_000_000),
    }
    put(conn, &event);
    let index = event.log_index;
    Done { what: format!("the column {column} at {index} edited"), is_named: at(index, &["column_mismatch"]) }
}

fn edit_checkpoint(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let size = *dice.one(&target.sizes);
    let note = target.note(conn, size);
    let bent = dice.bend(&note);
    let row = checkpoints::table.find((&target.head.id, size));
    diesel::update(row).set(checkpoints::note.eq(&bent)).execute(conn).unwrap();
    Done {
        what: format!("the checkpoint at size {size} edited to {bent:?}"),
        is_named: naming("checkpoint_signature", &format!("at size {size} ")),
    }
}

fn edit_grant(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let row = target.grant(conn, dice);
    let found = grants::table.find(&row.id);
    let column = dice.below(7);
    match column {
        0 => diesel::update(found).set(grants::claims.eq(dice.bend(&row.claims))).execute(conn),
        1 => diesel::update(found).set(grants::expires_at.eq(row.expires_at + 1_000_000)).execute(conn),
        2 => diesel::update(found).set(grants::single_use.eq(!row.single_use)).execute(conn),
        3 => diesel::update(found).set(grants::kid.eq(dice.bend(&row.kid))).execute(conn),
        4 => diesel::update(found).set(grants::check_id.eq(dice.bend(&row.check_id))).execute(conn),
        5 => diesel::update(found).set(grants::voided_at.eq(Some(row.granted_at))).execute(conn),
        _ => diesel::update(found).set(grants::audience.eq(dice.bend(&row.audience))).execute(conn),
    }
    .unwrap();
    let code = if column == 4 { "grant_without_event" } else { "grant_mismatch" };
    Done { what: format!("column {column} of {} edited", row.id), is_named: naming(code, &row.id) }
}

fn edit_redemption(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let row = target.redemption(conn, dice);
    let found = redemptions::table.find((&row.grant_id, &row.slot));
    match dice.below(4) {
        0 => diesel::update(found).set(redemptions::door.eq(dice.bend(&row.door))).execute(conn),
        1 => diesel::update(found).set(redemptions::attempt.eq(dice.bend(&row.attempt))).execute(conn),
        2 => diesel::update(found).set(redemptions::key_id.eq(dice.bend(&row.key_id))).execute(conn),
        _ => diesel::update(found).set(redemptions::redeemed_at.eq(row.redeemed_at - 1)).execute(conn),
    }
    .unwrap();
    Done {
        what: format!("the redemption of {} edited", row.grant_id),
        is_named: naming("redemption_mismatch", &row.grant_id),
    }
}

fn counter(row: &CounterRow) -> String {
    format!("{} {} {}", row.limit_id, row.scope_key, row.window_key)
}

fn set_used(conn: &mut AnyConnection, row: &CounterRow, used: i64) {
    let key = (&row.merchant_id, &row.perk_id, &row.limit_id, &row.scope_key, &row.window_key);
    diesel::update(limit_counters::table.find(key)).set(limit_counters::used.eq(used)).execute(conn).unwrap();
}

fn edit_counter(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let row = dice.one(&target.counters);
    set_used(conn, row, row.used - 1);
    Done { what: format!("the counter {} lowered", counter(row)), is_named: naming("counter_mismatch", &counter(row)) }
}

fn edit_head(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let head = &target.head;
    let found = logs::table.find(&head.id);
    let mut root = head.root.clone();
    root[dice.below(32)] ^= 1 << dice.below(8);
    let (part, code) = *dice.one(&[
        ("root", "head_mismatch"),
        ("checkpoint", "head_mismatch"),
        ("larger size", "event_missing"),
        ("smaller size", "event_inserted"),
    ]);
    match part {
        "root" => diesel::update(found).set(logs::root.eq(root)).execute(conn),
        "checkpoint" => diesel::update(found).set(logs::checkpoint.eq(dice.bend(&head.checkpoint))).execute(conn),
        "larger size" => diesel::update(found).set(logs::size.eq(head.size + 1 + dice.index(9))).execute(conn),
        _ => diesel::update(found).set(logs::size.eq(dice.index(head.size))).execute(conn),
    }
    .unwrap();
    Done { what: format!("the head's {part} edited"), is_named: naming(code, &format!("log {}", head.name)) }
}

/// One of those that are stored; of a log that has none yet, one is made up.
fn edit_subtree(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let stored: Vec<SubtreeRow> = subtrees::table
        .filter(subtrees::log_id.eq(&target.head.id))
        .order((subtrees::level, subtrees::nth))
        .select(SubtreeRow::as_select())
        .load(conn)
        .unwrap();
    if stored.is_empty() {
        return insert_subtree(target, conn, dice);
    }
    let mut row = dice.one(&stored).clone();
    row.hash[dice.below(32)] ^= 1 << dice.below(8);
    put_subtrees(conn, std::slice::from_ref(&row)).unwrap();
    let named = format!("subtree {}/{} ", row.level, row.nth);
    Done { what: format!("the hash of {named}edited"), is_named: naming("subtree_mismatch", &named) }
}

fn insert_subtree(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let level = 1 + i32::try_from(dice.below(3)).unwrap();
    let nth = (target.head.size >> (8 * level)) + dice.index(9);
    let row = SubtreeRow { log_id: target.head.id.clone(), level, nth, hash: vec![7; 32] };
    put_subtrees(conn, std::slice::from_ref(&row)).unwrap();
    let named = format!("subtree {level}/{nth} ");
    Done { what: format!("{named}inserted"), is_named: naming("subtree_mismatch", &named) }
}

/// Who did something with a version of a rule, or when.
fn edit_version(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let merchant = target.head.merchant_id.as_deref().unwrap();
    let all: Vec<(String, i32)> = rule_versions::table
        .filter(rule_versions::merchant_id.eq(merchant))
        .order((rule_versions::perk_id, rule_versions::version))
        .select((rule_versions::perk_id, rule_versions::version))
        .load(conn)
        .unwrap();
    let (perk, version) = dice.one(&all).clone();
    let found = rule_versions::table.find((&perk, version));
    let column = dice.below(6);
    match column {
        0 => diesel::update(found).set(rule_versions::author.eq("key_x")).execute(conn),
        1 => diesel::update(found).set(rule_versions::editors.eq("key_x")).execute(conn),
        2 => diesel::update(found).set(rule_versions::submitted_by.eq("key_x")).execute(conn),
        3 => diesel::update(found).set(rule_versions::approved_by.eq("key_x")).execute(conn),
        4 => diesel::update(found).set(rule_versions::published_by.eq("key_x")).execute(conn),
        _ => diesel::update(found).set(rule_versions::created_at.eq(1)).execute(conn),
    }
    .unwrap();
    let what = format!("column {column} of version {version} of {perk} edited");
    Done { what, is_named: naming("rule_mismatch", &format!("{perk}, version {version}")) }
}

/// Who made a key, or when.
fn edit_key(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let merchant = target.head.merchant_id.as_deref().unwrap();
    let all = api_keys::table.filter(api_keys::merchant_id.eq(merchant)).order(api_keys::id).select(api_keys::id);
    let all: Vec<String> = all.load(conn).unwrap();
    let key = dice.one(&all).clone();
    let found = api_keys::table.find(&key);
    match dice.below(2) {
        0 => diesel::update(found).set(api_keys::created_by.eq("key_x")).execute(conn),
        _ => diesel::update(found).set(api_keys::created_at.eq(0)).execute(conn),
    }
    .unwrap();
    Done { what: format!("who made {key} edited"), is_named: naming("key_mismatch", &key) }
}

fn delete_events(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let (from, count) = (dice.index(target.head.size), 1 + dice.index(20));
    let range =
        events::log_id.eq(&target.head.id).and(events::log_index.ge(from)).and(events::log_index.lt(from + count));
    diesel::delete(events::table.filter(range)).execute(conn).unwrap();
    Done { what: format!("up to {count} events from {from} deleted"), is_named: at(from, &["event_missing"]) }
}

fn delete_grant(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let grant = dice.one(&target.grants);
    diesel::delete(grants::table.find(grant)).execute(conn).unwrap();
    Done { what: format!("{grant} deleted"), is_named: naming("grant_missing", grant) }
}

fn delete_redemption(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let (grant, slot) = dice.one(&target.redemptions);
    diesel::delete(redemptions::table.find((grant, slot))).execute(conn).unwrap();
    Done { what: format!("the redemption of {grant} deleted"), is_named: naming("redemption_missing", grant) }
}

/// Not named by itself, but by the event that used it last.
fn delete_counter(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let row = dice.one(&target.counters);
    let key = (&row.merchant_id, &row.perk_id, &row.limit_id, &row.scope_key, &row.window_key);
    diesel::delete(limit_counters::table.find(key)).execute(conn).unwrap();
    let used = row.used;
    Done {
        what: format!("the counter {} deleted", counter(row)),
        is_named: naming("counter_missing", &format!("{used} in all")),
    }
}

/// Moves an event to another place, with all that stands between moved up or down by one.
fn reorder(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let from = dice.index(target.head.size - 1);
    let to = (from + 1 + dice.index(REACH)).min(target.head.size - 1);
    let mut run: Vec<EventRow> = (from..=to).map(|index| target.event(conn, index)).collect();
    run.rotate_left(1);
    replace(target, conn, from, run);
    Done { what: format!("the event at {from} moved to {to}"), is_named: at(from, &["root_mismatch"]) }
}

/// Puts `run` in the place of as many events from an index on.
fn replace(target: &Target<'_>, conn: &mut AnyConnection, from: i64, run: Vec<EventRow>) {
    let to = from + i64::try_from(run.len()).unwrap();
    let range = events::log_id.eq(&target.head.id).and(events::log_index.ge(from)).and(events::log_index.lt(to));
    diesel::delete(events::table.filter(range)).execute(conn).unwrap();
    for (index, event) in (from..).zip(run) {
        diesel::insert_into(events::table).values(EventRow { log_index: index, ..event }).execute(conn).unwrap();
    }
}

/// A copy with another id and a leaf hash that fits, and everything behind it moved by one, up to the
/// event whose place it takes, or to the end.
fn insert(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let at_end = dice.below(4) == 0;
    let from = if at_end { target.head.size } else { dice.index(target.head.size) };
    let to = (from + dice.index(REACH)).min(target.head.size);
    let template = target.event(conn, (from - 1).max(0));
    let body = template.body.as_deref().unwrap().replacen("evt_0", "evt_f", 1);
    let copy = EventRow {
        id: template.id.replacen("evt_0", "evt_f", 1),
        leaf_hash: leaf_hash(&body).to_vec(),
        body: Some(body),
        ..template
    };
    let mut run = vec![copy];
    run.extend((from..to).map(|index| target.event(conn, index)));
    if to < target.head.size {
        // One fewer at its end: the log has as many as before.
        run.truncate(usize::try_from((to - from).max(1)).unwrap());
    }
    replace(target, conn, from, run);
    Done {
        what: format!("an event inserted at {from}, to {to}"),
        is_named: at(from, &["root_mismatch", "event_inserted"]),
    }
}

fn insert_redemption(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let row = target.redemption(conn, dice);
    let grant = row.grant_id.clone();
    let slot = format!("again {}", dice.below(1000));
    diesel::insert_into(redemptions::table).values(RedemptionRow { slot, ..row }).execute(conn).unwrap();
    Done { what: format!("a redemption of {grant} inserted"), is_named: naming("redemption_without_event", &grant) }
}

/// The tail is gone, with its checkpoints or without.
fn truncate(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let from = target.head.size - 1 - dice.index(REACH.min(target.head.size - 1));
    diesel::delete(events::table.filter(events::log_id.eq(&target.head.id).and(events::log_index.ge(from))))
        .execute(conn)
        .unwrap();
    if dice.below(2) == 0 {
        let gone = checkpoints::log_id.eq(&target.head.id).and(checkpoints::size.gt(from));
        diesel::delete(checkpoints::table.filter(gone)).execute(conn).unwrap();
    }
    Done { what: format!("cut at {from}"), is_named: at(from, &["event_missing"]) }
}

/// Back to an earlier signed head, with nothing of its own to tell: the anchor does.
fn rewind(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let head = &target.head;
    let nth = target.sizes.len() - 2 - dice.below(target.sizes.len().min(20) - 2);
    let size = target.sizes[nth];
    let leaves: Vec<Vec<u8>> = events::table
        .filter(events::log_id.eq(&head.id).and(events::log_index.lt(size)))
        .order(events::log_index)
        .select(events::leaf_hash)
        .load(conn)
        .unwrap();
    let mut frontier = Frontier::default();
    for leaf in leaves {
        frontier.append(leaf.try_into().unwrap());
    }
    diesel::delete(events::table.filter(events::log_id.eq(&head.id).and(events::log_index.ge(size))))
        .execute(conn)
        .unwrap();
    diesel::delete(checkpoints::table.filter(checkpoints::log_id.eq(&head.id).and(checkpoints::size.gt(size))))
        .execute(conn)
        .unwrap();
    let note = target.note(conn, size);
    diesel::update(logs::table.find(&head.id))
        .set((
            logs::size.eq(size),
            logs::root.eq(frontier.root().to_vec()),
            logs::frontier.eq(frontier.to_bytes()),
            logs::checkpoint.eq(note),
        ))
        .execute(conn)
        .unwrap();
    Done { what: format!("rewound to {size}"), is_named: at(size, &["history_cut"]) }
}

/// Two that are not alike.
fn two(dice: &mut Dice, bound: i64) -> (i64, i64) {
    let one = dice.index(bound);
    (one, (one + 1 + dice.index(bound - 1)) % bound)
}

fn swap_events(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let (one, other) = two(dice, target.head.size);
    let (first, second) = (target.event(conn, one), target.event(conn, other));
    // Out of the way: an event's id stands once.
    diesel::delete(events::table.find((&target.head.id, one))).execute(conn).unwrap();
    diesel::delete(events::table.find((&target.head.id, other))).execute(conn).unwrap();
    for event in [EventRow { log_index: other, ..first }, EventRow { log_index: one, ..second }] {
        diesel::insert_into(events::table).values(event).execute(conn).unwrap();
    }
    let first = one.min(other);
    Done { what: format!("the events at {one} and {other} swapped"), is_named: at(first, &["root_mismatch"]) }
}

fn swap_leaves(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let (one, other) = two(dice, target.head.size);
    let (mut first, mut second) = (target.event(conn, one), target.event(conn, other));
    std::mem::swap(&mut first.leaf_hash, &mut second.leaf_hash);
    put(conn, &first);
    put(conn, &second);
    Done { what: format!("the leaf hashes at {one} and {other} swapped"), is_named: at(other, &["leaf_hash_mismatch"]) }
}

fn swap_checkpoints(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let (one, other) = two(dice, i64::try_from(target.sizes.len()).unwrap());
    let size = |nth: i64| target.sizes[usize::try_from(nth).unwrap()];
    let (one, other) = (size(one), size(other));
    let notes = [(one, target.note(conn, other)), (other, target.note(conn, one))];
    for (size, note) in notes {
        let row = checkpoints::table.find((&target.head.id, size));
        diesel::update(row).set(checkpoints::note.eq(note)).execute(conn).unwrap();
    }
    Done {
        what: format!("the checkpoints at {one} and {other} swapped"),
        is_named: naming("checkpoint_mismatch", &format!("at size {other} ")),
    }
}

fn swap_counters(target: &Target<'_>, conn: &mut AnyConnection, dice: &mut Dice) -> Done {
    let one = dice.one(&target.counters);
    // Two that stand alike are the same swapped.
    let Some(other) = target.counters.iter().find(|it| it.used != one.used) else {
        return edit_counter(target, conn, dice);
    };
    set_used(conn, one, other.used);
    set_used(conn, other, one.used);
    Done {
        what: format!("the counters {} and {} swapped", counter(one), counter(other)),
        is_named: naming("counter_mismatch", &counter(one)),
    }
}
