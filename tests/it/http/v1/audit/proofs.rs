//! `/v1/audit/events/{event}/proof`, `/v1/audit/checkpoints` and `/v1/audit/consistency`: a receipt is
//! good years later, and whoever asks can check it with a log key and nothing else.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use diesel::prelude::*;
use perkgate::access::{Merchant, Role};
use perkgate::database::schema::{events, logs, subtrees};
use perkgate::database::{AnyConnection, DatabaseError};
use perkgate::foundation::entropy::Entropy;
use perkgate::foundation::json::Json;
use perkgate::ledger::LedgerError;
use perkgate::ledger::entry::{EventDraft, LogOwner};
use perkgate::ledger::events::WrittenFacts;
use perkgate::on_either;
use perkgate::tlog::merkle::{Hash, verify_consistency, verify_inclusion};
use perkgate::tlog::note::{Checkpoint, VerifierKey};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::Client;
use crate::support::world::CLI;

const RULE: &str = r#"{"at_least":40,"score":"klout"}"#;

/// Some events in one transaction, and one checkpoint over them.
async fn record(app: &TestApp, merchant: &Merchant, count: usize) {
    let log = LogOwner::Merchant(merchant.id.clone());
    let recorded = app.world.gateway.ledger.change(move |_, drafts| {
        drafts.extend((0..count).map(|nth| EventDraft {
            log: log.clone(),
            kind: "test.happened",
            about: format!("test_{nth}"),
            actor: CLI,
            facts: WrittenFacts::of(&Json::object([])),
            personal: None,
        }));
        Ok::<_, LedgerError>(())
    });
    recorded.await.unwrap();
}

fn key(app: &TestApp) -> VerifierKey {
    app.world.log_key("cathay")
}

fn hash(hex: &Value) -> Hash {
    let text = hex.as_str().unwrap();
    let bytes: Vec<u8> = (0..64).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

fn path(proof: &Value) -> Vec<Hash> {
    proof["path"].as_array().unwrap().iter().map(hash).collect()
}

fn root(view: &Value) -> Hash {
    STANDARD.decode(view["root"].as_str().unwrap()).unwrap().try_into().unwrap()
}

/// The size and root of every checkpoint of the merchant, by following the pages.
async fn all_checkpoints(auditor: &Client, key: &VerifierKey, limit: u16) -> Vec<(u64, Hash)> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = auditor.get(&format!("/v1/audit/checkpoints?limit={limit}{cursor}")).await.is(200);
        for view in page["checkpoints"].as_array().unwrap() {
            let signed = Checkpoint::open(view["checkpoint"].as_str().unwrap(), std::slice::from_ref(key)).unwrap();
            assert_eq!((&view["log"], &view["origin"]), (&json!("cathay"), &json!(signed.origin)));
            assert_eq!((view["size"].as_u64().unwrap(), root(view)), (signed.size, signed.root));
            assert!(view["signed_at"].as_str().unwrap().ends_with('Z'));
            found.push((signed.size, signed.root));
        }
        let Some(next) = page["next_cursor"].as_str() else { return found };
        cursor = format!("&cursor={next}");
    }
}

/// `perkgate audit receipt` on these files: its exit code and what it says of each step.
fn examine(directory: &Path, key: &VerifierKey, receipt: &Value, proofs: &[Value]) -> (i32, Vec<(String, String)>) {
    let write = |name: &str, value: &Value| std::fs::write(directory.join(name), value.to_string()).unwrap();
    write("receipt.json", receipt);
    let mut command = Command::new(env!("CARGO_BIN_EXE_perkgate"));
    command.current_dir(directory).args(["audit", "receipt", "receipt.json", "--json", "--key", &key.to_string()]);
    for (nth, proof) in proofs.iter().enumerate() {
        let name = format!("proof-{nth}.json");
        write(&name, proof);
        command.args(["--proof", &name]);
    }
    let done = command.output().unwrap();
    let told: Value = serde_json::from_slice(&done.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&done.stderr)));
    assert_eq!(told["ok"], json!(done.status.success()));
    let word = |step: &Value, name: &str| step[name].as_str().unwrap().to_owned();
    let steps = told["steps"].as_array().unwrap().iter().map(|step| (word(step, "step"), word(step, "status")));
    (done.status.code().unwrap(), steps.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_receipt_is_proved_in_a_much_later_log() {
    for app in TestApp::all().await {
        app.lounge(RULE, "47.25").await;
        let (kiosk, auditor) = (app.kiosk().await, app.auditor(&app.cathay).await);
        let ask = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
        let answer = kiosk.post("/v1/checks", &ask).await.is(200);
        let receipt = &answer["receipt"];
        let first = Checkpoint::unverified(receipt["checkpoint"].as_str().unwrap()).unwrap();
        for count in [1, 300, 1, 900] {
            record(&app, &app.cathay, count).await;
        }
        kiosk.post("/v1/checks", &ask).await.is(200);

        // By the check's id, which is what holders of receipts have; and by the event's.
        let check = answer["check"].as_str().unwrap();
        let proof = auditor.get(&format!("/v1/audit/events/{check}/proof")).await.is(200);
        let event = proof["event"].as_str().unwrap();
        assert_eq!(auditor.get(&format!("/v1/audit/events/{event}/proof")).await.is(200), proof);
        assert_eq!(
            (&proof["log"], &proof["index"], &proof["leaf_hash"]),
            (&receipt["log"], &receipt["index"], &receipt["leaf_hash"])
        );
        let newest = Checkpoint::open(proof["checkpoint"].as_str().unwrap(), &[key(&app)]).unwrap();
        assert_eq!((proof["size"].as_u64().unwrap(), root(&proof)), (newest.size, newest.root));
        assert!(newest.size > first.size + 1200);
        let index = receipt["index"].as_u64().unwrap();
        assert!(verify_inclusion(&hash(&receipt["leaf_hash"]), index, newest.size, &path(&proof), &newest.root));

        let consistency = auditor.get(&format!("/v1/audit/consistency?from={}", first.size)).await.is(200);
        assert_eq!((&consistency["from"], &consistency["to"]), (&json!(first.size), &json!(newest.size)));
        assert!(verify_consistency(first.size, &first.root, newest.size, &newest.root, &path(&consistency)));
        let signed: Vec<&Value> = consistency["checkpoints"].as_array().unwrap().iter().map(|it| &it["size"]).collect();
        assert_eq!(signed, [&json!(first.size), &json!(newest.size)]);

        // The same by the program, offline, from files.
        let directory = tempfile::tempdir().unwrap();
        let run = |receipt: &Value, proofs: &[Value]| examine(directory.path(), &key(&app), receipt, proofs);
        let steps = |words: &[(&str, &str)]| -> Vec<(String, String)> {
            words.iter().map(|(step, state)| ((*step).to_owned(), (*state).to_owned())).collect()
        };
        let signed = [("signature", "holds"), ("index", "holds")];
        let shown = [("leaf", "holds"), ("consistency", "holds")];
        let whole = [proof.clone(), consistency.clone()];
        let said = [("answer", "holds")];
        assert_eq!(run(&answer, &whole), (0, steps(&[&signed[..], &shown, &said].concat())));
        assert_eq!(run(receipt, &[]), (0, steps(&[&signed[..], &[("leaf", "not_shown")]].concat())));

        // Bent anywhere, it is found and said which.
        let bent = |value: &Value, pointer: &str, to: Value| {
            let mut value = value.clone();
            let member = value.pointer_mut(pointer).unwrap();
            assert_ne!(*member, to);
            *member = to;
            value
        };
        let other = json!("0a".repeat(32));
        for (receipt, proofs, wrong) in [
            (bent(receipt, "/leaf_hash", other.clone()), whole.to_vec(), "leaf"),
            (bent(receipt, "/index", json!(index + 1)), whole.to_vec(), "leaf"),
            (bent(receipt, "/index", json!(9999)), vec![], "index"),
            (
                bent(receipt, "/checkpoint", json!(receipt["checkpoint"].as_str().unwrap().replacen('\n', "x\n", 1))),
                vec![],
                "signature",
            ),
            (receipt.clone(), vec![bent(&proof, "/path/2", other.clone())], "leaf"),
            (receipt.clone(), vec![bent(&proof, "/root", json!(STANDARD.encode([7; 32])))], "leaf"),
            (
                receipt.clone(),
                vec![bent(&proof, "/checkpoint", json!(consistency["checkpoints"][0]["checkpoint"]))],
                "leaf",
            ),
            (receipt.clone(), vec![proof.clone(), bent(&consistency, "/path/0", other.clone())], "consistency"),
            (receipt.clone(), vec![bent(&consistency, "/from", json!(first.size - 1))], "consistency"),
        ] {
            let (code, steps) = run(&receipt, &proofs);
            assert_eq!(code, 1, "{wrong}: {steps:?}");
            let failed: Vec<&str> =
                steps.iter().filter(|(_, state)| state == "fails").map(|(step, _)| &**step).collect();
            assert!(failed.contains(&wrong), "{wrong}: {steps:?}");
        }
        let stranger = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8".parse().unwrap();
        let (code, steps) = examine(directory.path(), &stranger, receipt, &whole);
        assert_eq!((code, steps.len(), &*steps[0].1), (1, 1, "fails"), "signed by no key that was named");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_event_at_any_size_leads_to_what_was_signed() {
    for app in TestApp::all().await {
        for count in [1, 2, 40, 1, 255, 1, 1, 300] {
            record(&app, &app.cathay, count).await;
        }
        let (auditor, key) = (app.auditor(&app.cathay).await, key(&app));
        let signed = all_checkpoints(&auditor, &key, 200).await;
        assert!(signed.len() >= 8 && signed.is_sorted_by(|a, b| a.0 > b.0), "the newest first");
        assert_eq!(all_checkpoints(&auditor, &key, 2).await, signed, "whatever a page holds");
        let (newest, _) = signed[0];
        let ids: Vec<String> = app
            .world
            .gateway
            .database
            .read(|conn| {
                let of_it = events::kind.eq("test.happened");
                Ok::<_, DatabaseError>(
                    events::table.filter(of_it).order(events::log_index).select(events::id).load(conn)?,
                )
            })
            .await
            .unwrap();
        let random = Entropy::seeded(1);
        let below = |bound: u64| u64::from_be_bytes(random.bytes::<8>()) % bound;
        for nth in 0..60 {
            let id = &ids[usize::try_from(below(ids.len() as u64)).unwrap()];
            let size = if nth % 2 == 0 { signed[nth % signed.len()].0 } else { 1 + below(newest) };
            let reply = auditor.get(&format!("/v1/audit/events/{id}/proof?size={size}")).await;
            if reply.status == 422 {
                assert_eq!(reply.spot(422, "invalid_request").0, "size");
                assert!(reply.text.contains("stands at index"), "{}", reply.text);
                continue;
            }
            let proof = reply.is(200);
            let index = proof["index"].as_u64().unwrap();
            assert!(verify_inclusion(&hash(&proof["leaf_hash"]), index, size, &path(&proof), &root(&proof)));
            match signed.iter().find(|(at, _)| *at == size) {
                Some((_, is)) => assert_eq!(*is, root(&proof)),
                None => assert_eq!(proof["checkpoint"], Value::Null),
            }
            let (old, old_root) = signed[usize::try_from(below(signed.len() as u64)).unwrap()];
            if old <= size {
                let proof_of_both = auditor.get(&format!("/v1/audit/consistency?from={old}&to={size}")).await.is(200);
                assert!(
                    verify_consistency(old, &old_root, size, &root(&proof), &path(&proof_of_both)),
                    "{old}, {size}"
                );
            }
        }
        let (size, is) = signed[2];
        let one = auditor.get(&format!("/v1/audit/checkpoints?size={size}")).await.is(200);
        assert_eq!((one["checkpoints"].as_array().unwrap().len(), root(&one["checkpoints"][0])), (1, is));
        let unsigned = (1..newest).find(|size| signed.iter().all(|(at, _)| at != size)).unwrap();
        let none = auditor.get(&format!("/v1/audit/checkpoints?size={unsigned}")).await.is(200);
        assert_eq!(none, json!({"checkpoints": [], "next_cursor": null}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_proved_is_said_with_what_to_do() {
    for app in TestApp::all().await {
        app.lounge(RULE, "47.25").await;
        let (kiosk, auditor) = (app.kiosk().await, app.auditor(&app.cathay).await);
        let answer = kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada"})).await.is(200);
        let check = answer["check"].as_str().unwrap();
        let proof = auditor.get(&format!("/v1/audit/events/{check}/proof")).await.is(200);
        let (event, index, size) =
            (proof["event"].as_str().unwrap(), proof["index"].as_u64().unwrap(), proof["size"].as_u64().unwrap());

        for (query, says) in [
            ("size=0", "from 1 on"),
            ("size=-1", "from 1 on"),
            ("size=x", "from 1 on"),
            ("size=%2B1", "from 1 on"),
            ("size=99999999999999999999999", "from 1 on"),
            (&*format!("size={}", size + 1), &*format!("has {size} events")),
            ("size=18446744073709551615", "leave it out"),
            (&*format!("size={index}"), &*format!("index {index}")),
        ] {
            let refused = auditor.get(&format!("/v1/audit/events/{event}/proof?{query}")).await;
            assert_eq!(refused.spot(422, "invalid_request"), ("size".into(), "invalid_value".into()));
            assert!(refused.text.contains(says), "{query}: {}", refused.text);
        }
        for (query, parameter) in [
            ("from=0", "from"),
            (&*format!("from={size}&to=1"), "from"),
            (&*format!("from={}", size + 1), "from"),
            (&*format!("from=1&to={}", size + 1), "to"),
            ("from=1&to=0", "to"),
            ("to=1", "from"),
        ] {
            let refused = auditor.get(&format!("/v1/audit/consistency?{query}")).await;
            assert_eq!(refused.spot(422, "invalid_request").0, parameter, "{query}");
        }
        for query in ["size=0", "limit=0", "limit=201", "cursor=x", "cursor=0", "cursor=-5", "page=2"] {
            auditor.get(&format!("/v1/audit/checkpoints?{query}")).await.spot(422, "invalid_request");
        }
        auditor.get(&format!("/v1/audit/consistency?from={size}&to={size}")).await.is(200);

        // Another merchant's, the operator's, and what is not there at all: there is nothing here.
        let foreign = app.auditor(&app.american).await;
        record(&app, &app.american, 20).await;
        let operators: String = app
            .world
            .gateway
            .database
            .read(|conn| {
                let operators = logs::table.filter(logs::merchant_id.is_null()).select(logs::id);
                let of_it = events::log_id.eq_any(operators);
                Ok::<_, DatabaseError>(on_either!(conn, |c| events::table.filter(of_it).select(events::id).first(c)?))
            })
            .await
            .unwrap();
        for (client, id) in [
            (&foreign, event),
            (&foreign, check),
            (&auditor, &*operators),
            (&auditor, "evt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70"),
            (&auditor, "grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70"),
            (&auditor, "17"),
        ] {
            client.get(&format!("/v1/audit/events/{id}/proof?size=1")).await.problem(404, "not_found");
        }
        for role in [Role::Kiosk, Role::Door, Role::Feeder, Role::Operator] {
            let client = app.role(&app.cathay, role).await;
            client.get("/v1/audit/checkpoints").await.problem(403, "forbidden");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_merchants_log_begins_with_the_merchant() {
    for app in TestApp::all().await {
        let fresh = app.world.merchant("qantas").await;
        let auditor = app.auditor(&fresh).await;
        let checkpoints = auditor.get("/v1/audit/checkpoints").await.is(200);
        // That it was made, and the auditor's own key.
        let sizes: Vec<&Value> = checkpoints["checkpoints"].as_array().unwrap().iter().map(|it| &it["size"]).collect();
        assert_eq!(sizes, [&json!(2), &json!(1)]);
        let proof = auditor.get("/v1/audit/consistency?from=1").await.is(200);
        assert_eq!((&proof["to"], proof["path"].as_array().unwrap().len()), (&json!(2), 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_would_not_hold_never_leaves_the_house() {
    for app in TestApp::all().await {
        record(&app, &app.cathay, 700).await;
        let auditor = app.auditor(&app.cathay).await;
        let id: String = app
            .world
            .gateway
            .database
            .write(|conn: &mut AnyConnection| {
                let second = subtrees::level.eq(1).and(subtrees::nth.eq(1));
                let bent = on_either!(conn, |c| diesel::update(subtrees::table.filter(second))
                    .set(subtrees::hash.eq(vec![7_u8; 32]))
                    .execute(c)?);
                assert_eq!(bent, 1);
                let early = events::kind.eq("test.happened").and(events::log_index.lt(200));
                Ok::<_, DatabaseError>(events::table.filter(early).select(events::id).first(conn)?)
            })
            .await
            .unwrap();
        auditor.get(&format!("/v1/audit/events/{id}/proof")).await.problem(500, "internal");
        auditor.get(&format!("/v1/audit/events/{id}/proof?size=256")).await.is(200);
        auditor.get("/v1/audit/consistency?from=100").await.problem(500, "internal");
    }
}
