//! A campaign of tampering: every kind of it is found, and named at its place.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use perkgate::audit::Report;
use perkgate::database::AnyConnection;
use perkgate::database::schema::{checkpoints, events, logs};
use perkgate::ledger::events::leaf_hash;
use perkgate::ledger::store::EventRow;

use super::history::{History, event_with, events_of, foreign_key, log, rebuild, replace_events};

/// What must be found: code, log and index.
type Expected = (&'static str, Option<&'static str>, Option<i64>);
type Hands = fn(&mut AnyConnection) -> Vec<Expected>;

const CATHAY: Option<&str> = Some("cathay");

/// Ada's grant: the first of the log.
const GRANTED: &str = r#""decision":"granted""#;
const DENIED: &str = "score_below";
const REDEEMED: &str = "token.redeemed";

fn set_body(conn: &mut AnyConnection, event: &EventRow, body: &str) {
    diesel::update(events::table.find((&event.log_id, event.log_index)))
        .set(events::body.eq(body))
        .execute(conn)
        .unwrap();
}

fn set_leaf(conn: &mut AnyConnection, event: &EventRow, leaf: [u8; 32]) {
    let row = events::table.find((&event.log_id, event.log_index));
    diesel::update(row).set(events::leaf_hash.eq(leaf.to_vec())).execute(conn).unwrap();
}

#[track_caller]
fn edited(event: &EventRow, from: &str, to: &str) -> String {
    let body = event.body.as_deref().unwrap();
    assert!(body.contains(from), "{from}: {body}");
    body.replacen(from, to, 1)
}

/// `{ada}` stands for the id of Ada's grant.
#[track_caller]
fn sql(conn: &mut AnyConnection, text: &str) {
    let text = if text.contains("{ada}") { &text.replace("{ada}", &ada(conn)) } else { text };
    let changed = diesel::sql_query(text).execute(conn).unwrap();
    assert!(changed > 0, "nothing was changed: {text}");
}

/// The events of a log in another order, or others, with indexes from 0 and everything else as it was.
fn renumber(conn: &mut AnyConnection, name: &str, mut all: Vec<EventRow>) {
    let id = log(conn, name).id;
    for (index, event) in (0..).zip(&mut all) {
        event.log_index = index;
        event.log_id.clone_from(&id);
    }
    replace_events(conn, &id, &all);
}

/// Another event id, so that the table takes the copy.
fn copied(event: &EventRow) -> EventRow {
    let (from, to) = ("evt_0", "evt_1");
    let body = event.body.as_ref().map(|body| body.replace(from, to));
    let leaf_hash = leaf_hash(body.as_deref().unwrap()).to_vec();
    EventRow { id: event.id.replace(from, to), body, leaf_hash, ..event.clone() }
}

/// The first grant, in quotes.
fn ada(conn: &mut AnyConnection) -> String {
    let body = event_with(conn, "cathay", GRANTED).body.unwrap();
    let (_, rest) = body.split_once(r#""id":"grt_"#).unwrap();
    let (id, _) = rest.split_once('"').unwrap();
    format!("'grt_{id}'")
}

/// The merchant `mer_…` of the log.
fn owner(conn: &mut AnyConnection, name: &str) -> String {
    log(conn, name).merchant_id.unwrap()
}

const CASES: &[(&str, Hands)] = &[
    ("a body is edited", |conn| {
        let event = event_with(conn, "cathay", DENIED);
        set_body(conn, &event, &edited(&event, "score_below", "score_under"));
        vec![("leaf_hash_mismatch", CATHAY, Some(event.log_index))]
    }),
    ("a leaf hash is edited", |conn| {
        let event = event_with(conn, "cathay", DENIED);
        set_leaf(conn, &event, [9; 32]);
        let at = Some(event.log_index);
        vec![("leaf_hash_mismatch", CATHAY, at), ("root_mismatch", CATHAY, at)]
    }),
    ("a body is edited, and its leaf hash with it", |conn| {
        let event = event_with(conn, "cathay", DENIED);
        let body = edited(&event, "score_below", "score_under");
        set_body(conn, &event, &body);
        set_leaf(conn, &event, leaf_hash(&body));
        vec![("root_mismatch", CATHAY, Some(event.log_index))]
    }),
    ("a body is put out of form", |conn| {
        let event = event_with(conn, "cathay", DENIED);
        set_body(conn, &event, "{");
        let at = Some(event.log_index);
        vec![("leaf_hash_mismatch", CATHAY, at), ("event_unreadable", CATHAY, at)]
    }),
    ("a body is of a version that nobody wrote", |conn| {
        let event = event_with(conn, "cathay", DENIED);
        let body = edited(&event, r#""v":1}"#, r#""v":2}"#);
        set_body(conn, &event, &body);
        vec![("event_version", CATHAY, Some(event.log_index))]
    }),
    ("columns are edited", |conn| {
        let event = event_with(conn, "cathay", DENIED);
        let row = events::table.find((&event.log_id, event.log_index));
        diesel::update(row).set((events::kind.eq("x"), events::about.eq("y"), events::at.eq(1))).execute(conn).unwrap();
        vec![("column_mismatch", CATHAY, Some(event.log_index)); 3]
    }),
    ("a denial is deleted", |conn| {
        let event = event_with(conn, "cathay", DENIED);
        diesel::delete(events::table.find((&event.log_id, event.log_index))).execute(conn).unwrap();
        vec![("event_missing", CATHAY, Some(event.log_index))]
    }),
    ("a denial is deleted and the rest moved up", |conn| {
        let mut all = events_of(conn, "cathay");
        let at = all.iter().position(|event| event.body.as_ref().unwrap().contains(DENIED)).unwrap();
        all.remove(at);
        renumber(conn, "cathay", all.clone());
        let end = i64::try_from(all.len()).unwrap();
        vec![("root_mismatch", CATHAY, Some(i64::try_from(at).unwrap())), ("event_missing", CATHAY, Some(end))]
    }),
    ("the first event is deleted", |conn| {
        let event = events_of(conn, "cathay").remove(0);
        diesel::delete(events::table.find((&event.log_id, 0))).execute(conn).unwrap();
        vec![("event_missing", CATHAY, Some(0))]
    }),
    ("the tail is deleted and the head made to fit", |conn| {
        let mut all = events_of(conn, "cathay");
        all.pop();
        let id = log(conn, "cathay").id;
        let kept =
            checkpoints::table.filter(checkpoints::log_id.eq(&id)).select((checkpoints::size, checkpoints::note));
        let kept: Vec<(i64, String)> = kept.load(conn).unwrap();
        let (key, sign) = foreign_key();
        let end = i64::try_from(all.len()).unwrap();
        rebuild(conn, "cathay", all, &key, &sign);
        for (size, note) in kept {
            let row = checkpoints::table.find((&id, size));
            let there = diesel::update(row).set(checkpoints::note.eq(&note)).execute(conn).unwrap();
            assert_eq!(there, usize::from(size <= end), "the last one stays away");
        }
        // The head's own checkpoint is not the log's last one: only its signature could be.
        vec![("head_mismatch", CATHAY, None)]
    }),
    ("everything is deleted", |conn| {
        let id = log(conn, "united").id;
        replace_events(conn, &id, &[]);
        vec![("event_missing", Some("united"), Some(0)), ("grant_without_event", Some("united"), None)]
    }),
    ("two events change places", |conn| {
        let mut all = events_of(conn, "cathay");
        let at = all.iter().position(|event| event.body.as_ref().unwrap().contains(DENIED)).unwrap();
        all.swap(at, at + 1);
        renumber(conn, "cathay", all);
        vec![("root_mismatch", CATHAY, Some(i64::try_from(at).unwrap()))]
    }),
    ("a copy is inserted", |conn| {
        let mut all = events_of(conn, "cathay");
        let at = all.iter().position(|event| event.body.as_ref().unwrap().contains(DENIED)).unwrap();
        all.insert(at, copied(&all[at]));
        renumber(conn, "cathay", all.clone());
        let end = i64::try_from(all.len()).unwrap() - 1;
        vec![("root_mismatch", CATHAY, Some(i64::try_from(at).unwrap())), ("event_inserted", CATHAY, Some(end))]
    }),
    ("a copy is added at the end", |conn| {
        let mut all = events_of(conn, "cathay");
        let end = i64::try_from(all.len()).unwrap();
        all.push(copied(all.last().unwrap()));
        renumber(conn, "cathay", all);
        vec![("event_inserted", CATHAY, Some(end)), ("head_mismatch", CATHAY, None)]
    }),
    ("a copy is put before the first", |conn| {
        let event = copied(&events_of(conn, "cathay")[0]);
        diesel::insert_into(events::table).values(EventRow { log_index: -1, ..event }).execute(conn).unwrap();
        vec![("event_inserted", CATHAY, Some(-1))]
    }),
    ("events move between the logs of two merchants", |conn| {
        let (mut cathay, mut united) = (events_of(conn, "cathay"), events_of(conn, "united"));
        let at = cathay.iter().position(|event| event.body.as_ref().unwrap().contains(GRANTED)).unwrap();
        let to = united.iter().position(|event| event.body.as_ref().unwrap().contains(GRANTED)).unwrap();
        std::mem::swap(&mut cathay[at], &mut united[to]);
        for name in ["cathay", "united"] {
            let id = log(conn, name).id;
            replace_events(conn, &id, &[]);
        }
        renumber(conn, "cathay", cathay);
        renumber(conn, "united", united);
        let (at, to) = (i64::try_from(at).unwrap(), i64::try_from(to).unwrap());
        vec![
            ("event_foreign", CATHAY, Some(at)),
            ("root_mismatch", CATHAY, Some(at)),
            ("event_foreign", Some("united"), Some(to)),
            ("root_mismatch", Some("united"), Some(to)),
        ]
    }),
    ("a checkpoint is signed by another key", |conn| {
        let head = log(conn, "cathay");
        let (key, sign) = foreign_key();
        let signed = perkgate::tlog::note::Checkpoint::unverified(&head.checkpoint).unwrap().sign(&key, sign);
        let row = checkpoints::table.find((&head.id, head.size));
        diesel::update(row).set(checkpoints::note.eq(signed)).execute(conn).unwrap();
        vec![("checkpoint_signature", CATHAY, None), ("head_mismatch", CATHAY, None)]
    }),
    ("a checkpoint is replaced by an earlier one", |conn| {
        let head = log(conn, "cathay");
        let earlier = checkpoints::table.find((&head.id, head.size - 1)).select(checkpoints::note);
        let earlier: String = earlier.first(conn).unwrap();
        let row = checkpoints::table.find((&head.id, head.size));
        diesel::update(row).set(checkpoints::note.eq(earlier)).execute(conn).unwrap();
        vec![("checkpoint_mismatch", CATHAY, None)]
    }),
    ("a checkpoint is replaced by another log's", |conn| {
        let (head, other) = (log(conn, "cathay"), log(conn, "united"));
        let row = checkpoints::table.find((&head.id, head.size));
        diesel::update(row).set(checkpoints::note.eq(other.checkpoint)).execute(conn).unwrap();
        vec![("checkpoint_foreign", CATHAY, None)]
    }),
    ("the last checkpoint is deleted", |conn| {
        let head = log(conn, "cathay");
        diesel::delete(checkpoints::table.find((&head.id, head.size))).execute(conn).unwrap();
        vec![("checkpoint_missing", CATHAY, Some(head.size - 1)), ("head_mismatch", CATHAY, None)]
    }),
    ("the head's size is edited", |conn| {
        let head = log(conn, "cathay");
        diesel::update(logs::table.find(&head.id)).set(logs::size.eq(head.size + 1)).execute(conn).unwrap();
        vec![("event_missing", CATHAY, Some(head.size)), ("head_mismatch", CATHAY, None)]
    }),
    ("the head's root and frontier are edited", |conn| {
        let id = log(conn, "cathay").id;
        let other = log(conn, "united");
        diesel::update(logs::table.find(&id))
            .set((logs::root.eq(other.root), logs::frontier.eq(other.frontier)))
            .execute(conn)
            .unwrap();
        vec![("head_mismatch", CATHAY, None); 2]
    }),
    ("a log is deleted", |conn| {
        sql(conn, "DELETE FROM logs WHERE name = 'united'");
        vec![("log_missing", None, None); 2]
    }),
    ("the operator's log is deleted", |conn| {
        let id = log(conn, "operator").id;
        replace_events(conn, &id, &[]);
        sql(conn, &format!("DELETE FROM checkpoints WHERE log_id = '{id}'"));
        sql(conn, "DELETE FROM logs WHERE name = 'operator'");
        vec![("log_missing", None, None)]
    }),
    ("a merchant is renamed", |conn| {
        sql(conn, "UPDATE merchants SET slug = 'delta' WHERE slug = 'united'");
        vec![("log_owner_mismatch", Some("united"), None)]
    }),
    ("a merchant is added", |conn| {
        sql(conn, "INSERT INTO merchants (id, slug, name, created_at) VALUES ('mer_x', 'x', 'X', 0)");
        vec![("merchant_without_event", Some("operator"), None), ("log_missing", None, None)]
    }),
    ("a merchant is given another name and time zone", |conn| {
        sql(conn, "UPDATE merchants SET name = 'Delta', time_zone = 'Asia/Tokyo' WHERE slug = 'united'");
        vec![("merchant_mismatch", Some("united"), None); 2]
    }),
    ("a merchant's time zone is put back", |conn| {
        sql(conn, "UPDATE merchants SET time_zone = 'UTC' WHERE slug = 'cathay'");
        vec![("merchant_mismatch", CATHAY, None)]
    }),
    ("a grant's claims are edited", |conn| {
        let at = event_with(conn, "cathay", GRANTED).log_index;
        sql(conn, "UPDATE grants SET claims = replace(claims, 'standard', 'platinum') WHERE id = {ada}");
        vec![("grant_mismatch", CATHAY, Some(at))]
    }),
    ("a grant's expiry is edited", |conn| {
        sql(conn, "UPDATE grants SET expires_at = expires_at + 1000000 WHERE id = {ada}");
        vec![("grant_mismatch", CATHAY, None)]
    }),
    ("a grant's number of uses is edited", |conn| {
        let at = event_with(conn, "cathay", GRANTED).log_index;
        let no = if matches!(conn, AnyConnection::Postgres(_)) { "false" } else { "0" };
        sql(conn, &format!("UPDATE grants SET single_use = {no} WHERE id = {{ada}}"));
        vec![("grant_mismatch", CATHAY, Some(at))]
    }),
    ("a grant's claims are put out of form", |conn| {
        let at = event_with(conn, "cathay", GRANTED).log_index;
        sql(conn, "UPDATE grants SET claims = 'x' WHERE id = {ada}");
        vec![("grant_mismatch", CATHAY, Some(at))]
    }),
    ("a grant is added", |conn| {
        sql(
            conn,
            "INSERT INTO grants (id, merchant_id, perk_id, check_id, kid, claims, audience, single_use, granted_at, \
             expires_at, released_at, voided_at) \
             SELECT 'grt_ffffffffffffffffffffffffffffffff', merchant_id, perk_id, check_id, kid, \
             replace(claims, id, 'grt_ffffffffffffffffffffffffffffffff'), audience, single_use, granted_at, \
             expires_at, released_at, voided_at FROM grants WHERE id = {ada}",
        );
        vec![("grant_without_event", CATHAY, None)]
    }),
    ("a grant goes to another merchant", |conn| {
        let united = owner(conn, "united");
        sql(conn, &format!("UPDATE grants SET merchant_id = '{united}' WHERE id = {{ada}}"));
        vec![("grant_without_event", Some("united"), None)]
    }),
    ("a grant is deleted", |conn| {
        let at = event_with(conn, "cathay", GRANTED).log_index;
        sql(conn, "DELETE FROM grants WHERE id = {ada}");
        vec![("grant_missing", CATHAY, Some(at))]
    }),
    ("a redemption is deleted", |conn| {
        let at = event_with(conn, "cathay", REDEEMED).log_index;
        sql(conn, "DELETE FROM redemptions WHERE grant_id = {ada}");
        vec![("redemption_missing", CATHAY, Some(at))]
    }),
    ("a redemption is of another attempt", |conn| {
        let at = event_with(conn, "cathay", REDEEMED).log_index;
        sql(conn, "UPDATE redemptions SET attempt = 'x' WHERE grant_id = {ada}");
        vec![("redemption_mismatch", CATHAY, Some(at))]
    }),
    ("a redemption is of another time", |conn| {
        let at = event_with(conn, "cathay", REDEEMED).log_index;
        sql(conn, "UPDATE redemptions SET redeemed_at = redeemed_at + 1 WHERE grant_id = {ada}");
        vec![("redemption_mismatch", CATHAY, Some(at))]
    }),
    ("a redemption is added", |conn| {
        sql(
            conn,
            "INSERT INTO redemptions (grant_id, slot, merchant_id, key_id, door, attempt, redeemed_at) \
                 SELECT grant_id, 'x', merchant_id, key_id, door, attempt, redeemed_at \
             FROM redemptions WHERE grant_id = {ada}",
        );
        vec![("redemption_without_event", CATHAY, None)]
    }),
    ("a counter is lowered", |conn| {
        sql(conn, "UPDATE limit_counters SET used = used - 1 WHERE limit_id = 'house-day' AND used = 5");
        vec![("counter_mismatch", CATHAY, None)]
    }),
    ("a counter that perks share is raised", |conn| {
        let cathay = owner(conn, "cathay");
        sql(
            conn,
            &format!(
                "UPDATE limit_counters SET used = used + 1 WHERE limit_id = 'all-perks' AND merchant_id = '{cathay}'"
            ),
        );
        vec![("counter_mismatch", CATHAY, None)]
    }),
    ("a counter is deleted", |conn| {
        let at = event_with(conn, "cathay", GRANTED).log_index;
        let ada = event_with(conn, "cathay", GRANTED).body.unwrap();
        let (_, rest) = ada.split_once("/subject/").unwrap();
        let (ada, _) = rest.split_once('"').unwrap();
        sql(conn, &format!("DELETE FROM limit_counters WHERE scope_key = '/subject/{ada}'"));
        // Not at her second visit, which was refused and used nothing.
        vec![("counter_missing", CATHAY, Some(at))]
    }),
    ("a counter is added", |conn| {
        let cathay = owner(conn, "cathay");
        sql(
            conn,
            &format!("INSERT INTO limit_counters VALUES ('{cathay}', 'prk_x', 'x', '/perk', 'lifetime', 7, 0, 0)"),
        );
        vec![("counter_mismatch", CATHAY, None)]
    }),
    ("a counter is of nobody", |conn| {
        sql(conn, "INSERT INTO limit_counters VALUES ('mer_x', 'prk_x', 'x', '/perk', 'lifetime', 7, 0, 0)");
        vec![("log_missing", None, None)]
    }),
    ("a rule's text is edited", |conn| {
        sql(conn, "UPDATE rule_versions SET rule = replace(rule, '\"value\":35', '\"value\":1')");
        vec![("rule_text_mismatch", CATHAY, None)]
    }),
    ("a rule is edited, and its hash with it", |conn| {
        use perkgate::ledger::write::check::claims_digest;
        let rule: String = perkgate::database::schema::rule_versions::table
            .filter(perkgate::database::schema::rule_versions::rule.like("%\"value\":35%"))
            .select(perkgate::database::schema::rule_versions::rule)
            .first(conn)
            .unwrap();
        let hash = claims_digest(&rule.replace("\"value\":35", "\"value\":1"));
        sql(
            conn,
            &format!(
                "UPDATE rule_versions SET rule = replace(rule, '\"value\":35', '\"value\":1'), rule_hash = '{hash}' \
                 WHERE rule LIKE '%\"value\":35%'"
            ),
        );
        vec![("rule_mismatch", CATHAY, None)]
    }),
    ("a draft is made to look published", |conn| {
        sql(conn, "UPDATE rule_versions SET status = 'published' WHERE status = 'draft'");
        vec![("rule_mismatch", CATHAY, None)]
    }),
    ("a version is deleted", |conn| {
        sql(conn, "DELETE FROM rule_versions WHERE status = 'draft'");
        vec![("rule_missing", CATHAY, None)]
    }),
    ("a version is added", |conn| {
        sql(
            conn,
            "INSERT INTO rule_versions (merchant_id, perk_id, version, status, rule, rule_hash, author, created_at) \
             SELECT merchant_id, perk_id, 9, status, rule, rule_hash, author, created_at FROM rule_versions WHERE status = 'draft'",
        );
        vec![("rule_without_event", CATHAY, None)]
    }),
    ("an earlier version is put in force", |conn| {
        sql(conn, "UPDATE perks SET published_version = 1 WHERE published_version = 2");
        vec![("perk_mismatch", CATHAY, None)]
    }),
    ("a perk is added", |conn| {
        let cathay = owner(conn, "cathay");
        sql(
            conn,
            &format!(
                "INSERT INTO perks (id, merchant_id, slug, name, status, latest_version, created_at) VALUES ('prk_x', '{cathay}', 'x', 'X', 'active', 0, 0)"
            ),
        );
        vec![("perk_without_event", CATHAY, None)]
    }),
    ("a key becomes an admin's", |conn| {
        sql(conn, "UPDATE api_keys SET role = 'admin' WHERE label = 'SFO A12'");
        vec![("key_mismatch", CATHAY, None)]
    }),
    ("a revoked key is brought back", |conn| {
        sql(conn, "UPDATE api_keys SET revoked_at = NULL WHERE revoked_at IS NOT NULL");
        vec![("key_mismatch", CATHAY, None)]
    }),
    ("a key is added", |conn| {
        let hash = if matches!(conn, AnyConnection::Postgres(_)) { "'\\x00'" } else { "x'00'" };
        sql(
            conn,
            &format!(
                "INSERT INTO api_keys (id, hash, role, label, created_at) VALUES ('key_x', {hash}, 'operator', 'mine', 0)"
            ),
        );
        vec![("key_without_event", Some("operator"), None)]
    }),
    ("a key is deleted", |conn| {
        sql(conn, "DELETE FROM api_keys WHERE label = 'root'");
        vec![("key_missing", Some("operator"), None)]
    }),
];

#[track_caller]
fn expect(name: &str, report: &Report, expected: &[Expected]) {
    let mut found: Vec<_> =
        report.findings.listed().iter().map(|it| (it.wrong.code(), it.place.log.as_deref(), it.place.index)).collect();
    for expected in expected {
        let at = found.iter().position(|it| it == expected);
        let Some(at) = at else {
            panic!("{name}: {expected:?} was not found, but {:#?}", report.findings.listed());
        };
        found.remove(at);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_tampering_is_found_at_its_place() {
    for history in History::all().await {
        history.keep();
        for (name, hands) in CASES {
            let expected = history.lay_hands(hands);
            expect(name, &history.verdict(), &expected);
            history.restore();
        }
        assert_eq!(history.verdict().findings.listed(), [], "all was put back");
    }
}

/// A lie that is signed: what the tables and the events say of each other is the last guard.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_contradicts_itself_or_the_others_is_found_even_when_it_is_signed() {
    let lies: [(&str, &str, &str, &str); 7] = [
        (GRANTED, r#""used":1,"#, r#""used":2,"#, "used_mismatch"),
        (GRANTED, r#""max":1,"#, r#""max":0,"#, "limit_overrun"),
        (GRANTED, GRANTED, r#""decision":"denied""#, "event_incoherent"),
        (GRANTED, r#""rule_hash":"sha256:"#, r#""rule_hash":"sha256:0"#, "rule_cited_mismatch"),
        (GRANTED, r#""claims_sha256":"sha256:"#, r#""claims_sha256":"sha256:0"#, "grant_mismatch"),
        (REDEEMED, r#""door":"SFO-A-3""#, r#""door":"SFO-A-4""#, "redemption_mismatch"),
        (REDEEMED, r#""slot":"single""#, r#""slot":"double""#, "event_incoherent"),
    ];
    for history in History::all().await {
        history.keep();
        let key = history.world.gateway.keyring.log_key();
        for (which, from, to, code) in lies {
            let index = history.lay_hands(|conn| {
                let mut all = events_of(conn, "cathay");
                let at = all.iter().position(|event| event.body.as_ref().unwrap().contains(which)).unwrap();
                all[at].body = Some(edited(&all[at], from, to));
                rebuild(conn, "cathay", all, key.verifier(), &|text| key.sign(text));
                i64::try_from(at).unwrap()
            });
            expect(to, &history.verdict(), &[(code, CATHAY, Some(index))]);
            history.restore();
        }
        assert_eq!(history.verdict().findings.listed(), []);
    }
}

/// The same grant told twice, once for each of two checks, with one row: neither count nor look-up alone tells.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_two_events_tell_of_is_found_even_when_it_is_signed() {
    for history in History::all().await {
        let key = history.world.gateway.keyring.log_key();
        history.lay_hands(|conn| {
            let mut all = events_of(conn, "cathay");
            all.push(copied(&event_with(conn, "cathay", GRANTED)));
            all.push(copied(&event_with(conn, "cathay", REDEEMED)));
            rebuild(conn, "cathay", all, key.verifier(), &|text| key.sign(text));
        });
        let report = history.verdict();
        let codes: Vec<_> = report.findings.counts().keys().copied().collect();
        assert_eq!(codes, ["counter_mismatch", "grant_mismatch", "redemption_mismatch", "used_mismatch"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_a_thousand_times_over_is_counted_in_full_and_listed_in_part() {
    for history in History::all().await {
        history.lay_hands(|conn| {
            conn.batch_execute("UPDATE events SET kind = 'x', about = 'y', at = 1, id = id || 'z'").unwrap();
        });
        let report = history.verdict();
        assert_eq!(report.findings.listed().len(), 100);
        assert_eq!(report.findings.counts()["column_mismatch"], 4 * report.checked.events);
    }
}
