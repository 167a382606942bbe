//! `GET /v1/audit/export`: held to what a stranger can verify with nothing but the format's description, RFC 6962
//! and the log key.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use diesel::connection::SimpleConnection as _;
use futures_util::future::join_all;
use perkgate::access::Role;
use perkgate::on_either;
use serde_json::{Value, json};

use crate::http::v1::LOUNGE;
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::world::question;

const EXPORT: &str = "/v1/audit/export";

fn sha256(parts: &[&[u8]]) -> Vec<u8> {
    digest(&SHA256, &parts.concat()).as_ref().to_vec()
}

/// A tree that only grows: its perfect subtrees, the largest first, each with its number of leaves.
struct Tree(Vec<(u64, Vec<u8>)>);

impl Tree {
    /// Of the header's `frontier`: the size, then the subtrees' roots.
    fn of(frontier: &str) -> Self {
        let bytes = STANDARD.decode(frontier).unwrap();
        let size = u64::from_be_bytes(bytes[..8].try_into().unwrap());
        let widths = (0..64).rev().map(|bit| 1_u64 << bit).filter(|width| size & width != 0);
        Self(widths.zip(bytes[8..].chunks(32).map(<[u8]>::to_vec)).collect())
    }

    fn size(&self) -> u64 {
        self.0.iter().map(|(width, _)| width).sum()
    }

    fn push(&mut self, leaf: Vec<u8>) {
        self.0.push((1, leaf));
        while let [.., (left, _), (right, _)] = self.0[..]
            && left == right
        {
            let (right, left) = (self.0.pop().unwrap(), self.0.pop().unwrap());
            self.0.push((left.0 * 2, sha256(&[&[1], &left.1, &right.1])));
        }
    }

    fn root(&self) -> Vec<u8> {
        let mut from_right = self.0.iter().rev().map(|(_, hash)| hash.clone());
        let smallest = from_right.next().unwrap();
        from_right.fold(smallest, |right, left| sha256(&[&[1], &left, &right]))
    }
}

/// What a stranger finds in an export that holds.
struct Held {
    header: Value,
    /// Index and canonical text; none where it was pruned.
    events: Vec<(u64, Option<String>)>,
    leaves: u64,
    last_note: String,
}

/// Panics where the export does not prove itself under the key.
fn hold(export: &str, key: &[u8]) -> Held {
    let mut lines = export.split_terminator('\n');
    let header: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!((&header["record"], &header["format"]), (&json!("header"), &json!(1)));
    let mut tree = Tree::of(header["frontier"].as_str().unwrap());
    assert_eq!(tree.size(), header["from_index"].as_u64().unwrap());
    let (mut events, mut leaves, mut checkpoints) = (Vec::new(), 0, 0);
    let (mut last_note, mut is_over) = (String::new(), false);
    for line in lines {
        assert!(!is_over, "nothing comes behind the end");
        let record: Value = serde_json::from_str(line).unwrap();
        match record["record"].as_str().unwrap() {
            "key" => assert!(events.is_empty()),
            kind @ ("event" | "leaf") => {
                assert_eq!(record["index"].as_u64().unwrap(), tree.size());
                let mut hash = record["leaf_hash"].as_str().unwrap().to_owned();
                if kind == "leaf" {
                    leaves += 1;
                } else {
                    let text = line.split_once(r#","event":"#).unwrap().1.strip_suffix('}').unwrap();
                    let body = (text != "null").then(|| text.to_owned());
                    if let Some(body) = &body {
                        let computed = sha256(&[&[0], body.as_bytes()]);
                        let computed = perkgate::foundation::subject::hex(&computed);
                        assert_eq!(hash, computed);
                        hash = computed;
                    }
                    events.push((tree.size(), body));
                }
                let bytes = (0..32).map(|at| u8::from_str_radix(&hash[at * 2..at * 2 + 2], 16).unwrap());
                tree.push(bytes.collect());
            }
            "checkpoint" => {
                checkpoints += 1;
                let note = record["checkpoint"].as_str().unwrap();
                let (text, signature) = note.split_once("\n\n").unwrap();
                let mut said = text.split('\n');
                assert_eq!(said.next(), header["origin"].as_str());
                assert_eq!(said.next().unwrap().parse::<u64>().unwrap(), tree.size());
                assert_eq!(said.next(), Some(STANDARD.encode(tree.root()).as_str()));
                let signature = STANDARD.decode(signature.trim_end().rsplit_once(' ').unwrap().1).unwrap();
                let text = format!("{text}\n");
                UnparsedPublicKey::new(&ED25519, key).verify(text.as_bytes(), &signature[4..]).unwrap();
                note.clone_into(&mut last_note);
            }
            "end" => {
                let count = u64::try_from(events.len()).unwrap();
                let wanted = json!({"record": "end", "events": count, "leaves": leaves, "checkpoints": checkpoints,
                                    "size": tree.size(), "root": STANDARD.encode(tree.root())});
                assert_eq!(record, wanted);
                is_over = true;
            }
            other => panic!("{other}"),
        }
    }
    assert!(is_over && checkpoints > 0);
    assert_eq!(tree.size(), header["to_index"].as_u64().unwrap());
    assert_eq!(last_note.split('\n').nth(1), Some(tree.size().to_string().as_str()), "it ends with a signed root");
    Held { header, events, leaves, last_note }
}

async fn log_key(app: &TestApp) -> Vec<u8> {
    let keys = app.anonymous().get("/.well-known/log-keys").await.is(200);
    let key = keys["keys"][0]["verifier_key"].as_str().unwrap().splitn(3, '+').nth(2).unwrap().to_owned();
    STANDARD.decode(key).unwrap()[1..].to_vec()
}

/// Some who are let in and some who are not, a guest who enters, and a rule that changes.
async fn days(app: &TestApp, names: &[&str]) {
    let kiosk = app.kiosk().await;
    let mut door = None;
    for (nth, name) in names.iter().enumerate() {
        let subject = format!("twitter:{name}");
        if nth % 2 == 0 {
            app.world.score(&app.cathay, &subject, "62.5").await;
        }
        let asked = json!({"perk": "sfo-lounge", "subject": subject, "context": {"party": 2}});
        let answer = kiosk.post("/v1/checks", &asked).await.is(200);
        if let Some(token) = answer["token"].as_str() {
            let door = match &door {
                Some(door) => door,
                None => door.insert(app.door(&app.cathay, "sfo-lounge").await),
            };
            let spent = json!({"token": token, "door": "SFO-A-3", "attempt": name});
            door.post("/v1/tokens/redeem", &spent).await.is(200);
        }
        app.world.pass(60);
    }
}

fn whole(reply: &Reply) -> &str {
    assert_eq!(reply.status, 200, "{}", reply.text);
    &reply.text
}

async fn begun() -> Vec<(TestApp, Client, Vec<u8>)> {
    let mut all = Vec::new();
    for app in TestApp::all_with(&[("rate_per_key", "0")]).await {
        app.lounge(LOUNGE, "47.25").await;
        let (auditor, key) = (app.auditor(&app.cathay).await, log_key(&app).await);
        all.push((app, auditor, key));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_log_proves_itself_and_names_nobody() {
    for (app, auditor, key) in begun().await {
        days(&app, &["canaryada", "canarybob", "canarycy"]).await;
        let reply = auditor.get(EXPORT).await;
        assert_eq!(reply.header("content-type"), "application/x-ndjson");
        assert!(reply.header("content-disposition").starts_with("attachment; filename=\"cathay-audit-2012"));
        let held = hold(whole(&reply), &key);
        assert_eq!((&held.header["log"], &held.header["from_index"]), (&json!("cathay"), &json!(0)));
        assert_eq!(held.leaves, 0);
        let kinds: Vec<String> = held
            .events
            .iter()
            .map(|(_, body)| serde_json::from_str::<Value>(body.as_ref().unwrap()).unwrap()["kind"].to_string())
            .collect();
        for kind in ["perk.created", "rule.published", "key.created", "check.decided", "token.redeemed"] {
            assert!(kinds.contains(&format!("\"{kind}\"")), "{kinds:?}");
        }
        assert_eq!(kinds.last().unwrap(), "\"audit.exported\"", "the export is the last thing that it shows");
        assert!(!reply.text.contains("canary") && !reply.text.contains("62.5"));
        // Another merchant's export holds its own log and nothing else.
        let theirs = hold(whole(&app.auditor(&app.american).await.get(EXPORT).await), &key);
        assert_eq!(theirs.header["log"], "american");
        assert!(theirs.events.iter().all(|(_, body)| !body.as_ref().unwrap().contains(app.cathay.id.as_str())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_that_go_on_from_each_other_are_one_history() {
    for (app, auditor, key) in begun().await {
        let mut parts = Vec::new();
        let mut since = String::new();
        for (nth, names) in [["ada", "bob"], ["cy", "dee"], ["eve", "fay"]].into_iter().enumerate() {
            days(&app, &names).await;
            let part = hold(whole(&auditor.get(&format!("{EXPORT}?{since}")).await), &key);
            // By the note, and by its size.
            since = if nth == 0 {
                format!("since={}", URL_SAFE_NO_PAD.encode(&part.last_note))
            } else {
                format!("since={}", part.header["to_index"])
            };
            parts.push(part);
        }
        for pair in parts.windows(2) {
            assert_eq!(pair[0].header["to_index"], pair[1].header["from_index"]);
            assert_eq!(pair[1].header["since"], pair[0].last_note);
        }
        let all = hold(whole(&auditor.get(EXPORT).await), &key);
        let joined: Vec<_> = parts.into_iter().flat_map(|part| part.events).collect();
        assert_eq!(all.events[..joined.len()], joined);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_goes_on_from_the_end_of_a_period_misses_nothing() {
    for (app, auditor, key) in begun().await {
        days(&app, &["ada", "bob"]).await;
        // One batch at the border: its events are of before and after the period's end.
        let to = app.world.now() + jiff::SignedDuration::from_secs(1);
        let before = hold(whole(&auditor.get(EXPORT).await), &key).events.len();
        let kiosk = app.world.principal(&app.cathay, Role::Kiosk).await;
        let asks = (0..40).map(|nth| {
            let (app, kiosk) = (&app, &kiosk);
            async move {
                app.world.pass(i64::from(nth == 20));
                app.world.check(kiosk, question("sfo-lounge", &format!("m:{nth}"))).await
            }
        });
        join_all(asks).await.into_iter().for_each(|answer| drop(answer.unwrap()));
        let first = hold(whole(&auditor.get(&format!("{EXPORT}?to={to}")).await), &key);
        assert!(first.events.len() >= before && first.leaves == 0);
        let next = hold(whole(&auditor.get(&format!("{EXPORT}?since={}", first.header["to_index"])).await), &key);
        let all = hold(whole(&auditor.get(EXPORT).await), &key);
        let joined: Vec<_> = first.events.into_iter().chain(next.events).collect();
        assert_eq!(all.events[..joined.len()], joined);
        assert!(joined.len() >= before + 41);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_period_leads_to_a_signed_root_with_pruned_bodies_too() {
    for (app, auditor, key) in begun().await {
        days(&app, &["ada", "bob", "cy", "dee", "eve", "fay"]).await;
        let all = hold(whole(&auditor.get(EXPORT).await), &key);
        let at = |body: &Option<String>| -> String {
            serde_json::from_str::<Value>(body.as_ref().unwrap()).unwrap()["at"].as_str().unwrap().to_owned()
        };
        let (from, to) = ("2012-05-08T19:02:00Z", "2012-05-08T19:04:00Z");
        let expected: Vec<_> =
            all.events.iter().filter(|(_, body)| (from..to).contains(&at(body).as_str())).cloned().collect();
        assert!(expected.len() >= 2 && expected.len() < all.events.len());
        let path = format!("{EXPORT}?from={from}&to={to}");
        let part = hold(whole(&auditor.get(&path).await), &key);
        assert_eq!(part.events, expected);
        assert_eq!(part.header["period"], json!({"from": from, "to": to}));

        let gone = expected[0].0;
        let mut conn = app.world.database.open().dedicated().unwrap();
        let log = "SELECT id FROM logs WHERE name = 'cathay'";
        let sql = format!("UPDATE events SET body = NULL WHERE log_id = ({log}) AND log_index = {gone}");
        on_either!(&mut conn, |c| c.batch_execute(&sql)).unwrap();
        let pruned = hold(whole(&auditor.get(&path).await), &key);
        assert_eq!(pruned.events[0], (gone, None));
        assert_eq!(pruned.events[1..], expected[1..]);
        // A period in which nothing was, and one that is longer than any log.
        let none = hold(whole(&auditor.get(&format!("{EXPORT}?from=2013-01-01T00:00:00Z")).await), &key);
        assert_eq!(none.events, []);
        let century = format!("{EXPORT}?from=1950-01-01T00:00:00Z&to=2050-01-01T00:00:00Z");
        assert!(hold(whole(&auditor.get(&century).await), &key).events.len() > all.events.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_many_pages_is_whole_while_it_grows() {
    for (app, auditor, key) in begun().await {
        let kiosk = app.world.principal(&app.cathay, Role::Kiosk).await;
        for first in [0, 400, 800] {
            let asks =
                (first..first + 400).map(|nth| app.world.check(&kiosk, question("sfo-lounge", &format!("m:{nth}"))));
            join_all(asks).await.into_iter().for_each(|answer| drop(answer.unwrap()));
        }
        let growing = async {
            for nth in 0..50 {
                app.world.check(&kiosk, question("sfo-lounge", &format!("late:{nth}"))).await.unwrap();
            }
        };
        let (reply, ()) = tokio::join!(auditor.get(EXPORT).into_future(), growing);
        let held = hold(whole(&reply), &key);
        assert!(held.events.len() > 1200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_has_the_same_records_and_no_formulas() {
    for (app, auditor, _) in begun().await {
        days(&app, &["ada", "bob"]).await;
        let label = json!({"role": "kiosk", "label": "=HYPERLINK(\"http://example.com\")", "location": "@SUM(A1)"});
        app.admin(&app.cathay).await.post("/v1/keys", &label).await.is(201);
        let to = "2030-01-01T00:00:00Z";
        let table = auditor.get(&format!("{EXPORT}?format=csv&to={to}")).await;
        assert!(table.header("content-type").starts_with("text/csv"));
        let lines = auditor.get(&format!("{EXPORT}?to={to}")).await;
        let mut reader = csv::Reader::from_reader(whole(&table).as_bytes());
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert!(rows.iter().flatten().all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])));
        let kinds = |text: &str| {
            let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            lines.map(|record| record["record"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let (in_rows, in_lines): (Vec<_>, _) = (rows.iter().map(|row| row[0].to_owned()).collect(), kinds(&lines.text));
        // The second export has the first one's event, and its checkpoint.
        assert_eq!(in_lines.len(), in_rows.len() + 2);
        let bodies: Vec<&str> = rows.iter().filter(|row| &row[0] == "event").map(|row| &row[8]).collect();
        for (line, body) in lines.text.lines().filter(|line| line.contains(r#""record":"event""#)).zip(bodies) {
            assert!(line.ends_with(&format!(r#","event":{body}}}"#)), "{line}\n{body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cant_be_exported_is_said() {
    for (app, auditor, key) in begun().await {
        let before = app.footprint().await;
        let refused = |query: String| {
            let auditor = auditor.clone();
            async move { auditor.get(&format!("{EXPORT}?{query}")).await.spot(422, "invalid_request").0 }
        };
        assert_eq!(refused("from=2012-05-09T00:00:00Z&to=2012-05-08T00:00:00Z".into()).await, "to");
        assert_eq!(refused("from=2012-05-08T00:00:00Z&since=1".into()).await, "since");
        assert_eq!(refused("format=pdf".into()).await, "format");
        for since in ["0", "99999", "not a note", "", "18446744073709551616"] {
            assert_eq!(refused(format!("since={}", since.replace(' ', "%20"))).await, "since", "{since}");
        }
        assert_eq!(app.footprint().await, before, "what is refused is no event");
        // Another log's checkpoint, and one that was made up.
        let theirs = hold(whole(&app.auditor(&app.american).await.get(EXPORT).await), &key);
        assert_eq!(refused(format!("since={}", URL_SAFE_NO_PAD.encode(&theirs.last_note))).await, "since");
        let ours = hold(whole(&auditor.get(EXPORT).await), &key).last_note;
        let root = ours.split('\n').nth(2).unwrap();
        let forged = ours.replace(root, &STANDARD.encode([7; 32]));
        assert_eq!(refused(format!("since={}", URL_SAFE_NO_PAD.encode(forged))).await, "since");
        // A true root that nobody signed.
        let unsigned =
            format!("{}\n\u{2014} nobody {}\n", ours.split_once("\n\n").unwrap().0, STANDARD.encode([7; 68]));
        let unsigned = unsigned.replacen("\n\u{2014}", "\n\n\u{2014}", 1);
        assert_eq!(refused(format!("since={}", URL_SAFE_NO_PAD.encode(unsigned))).await, "since");
        let before = app.footprint().await;
        let head = auditor.ask(reqwest::Method::HEAD, EXPORT).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""));
        assert_eq!(app.footprint().await, before, "no byte leaves, so it is no export");
        app.kiosk().await.get(EXPORT).await.problem(403, "forbidden");
    }
}
