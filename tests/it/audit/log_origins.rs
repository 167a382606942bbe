//! What logs are called in their checkpoints: decided when a log is made, kept whatever the gateway is called
//! later, and the name of the key that signs it.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use perkgate::access::{Merchant, Role};
use perkgate::audit::export::record::Form;
use perkgate::audit::receipt::{Receipt, examine};
use perkgate::audit::{Anchor, ExportFile, Report, Request, verify_exports};
use perkgate::database::Backend;
use perkgate::database::schema::logs;
use perkgate::eligibility::checker::Answer;
use perkgate::foundation::entropy::Entropy;
use perkgate::foundation::subject::hex;
use perkgate::gateway::Gateway;
use perkgate::ledger::read::published::PublishedLogKey;
use perkgate::on_either;
use perkgate::tlog::note::{Checkpoint, VerifierKey};
use serde_json::json;

use super::history::{events_of, log, rebuild};
use super::written::{Part, write};
use crate::support::world::{CLI, World, question};

const RULE: &str = r#"{"at_least":40,"score":"klout"}"#;

/// A merchant with a lounge and somebody who may enter it.
async fn open(world: &World, slug: &str) -> Merchant {
    let merchant = world.merchant(slug).await;
    world.perk(&merchant, "lounge", RULE).await;
    world.score(&merchant, "twitter:ada", "50").await;
    merchant
}

async fn check(world: &World, gateway: &Gateway, merchant: &Merchant) -> Answer {
    let kiosk = world.principal(merchant, Role::Kiosk).await;
    gateway.catalog.reload().await.unwrap();
    gateway.checker.check(&kiosk, merchant, question("lounge", "twitter:ada")).await.unwrap()
}

fn verify(world: &World, keys: &[VerifierKey], anchors: &[Anchor]) -> Report {
    let request = Request { keys: keys.to_vec(), anchors: anchors.to_vec(), every_signature: true };
    perkgate::audit::verify(&world.database.open(), &request, &Entropy::System, &mut |_| {}).unwrap()
}

fn export(world: &World, name: &str, keys: &[VerifierKey]) -> Report {
    let (mut text, key) = (Vec::new(), world.gateway.keyring.log_key().verifier().clone());
    write(&mut world.database.open().dedicated().unwrap(), name, &key, Form::Ndjson, &Part::default(), &mut text);
    let request = Request { keys: keys.to_vec(), ..Request::default() };
    let file = ExportFile { label: "export".to_owned(), reader: text.as_slice() };
    verify_exports(vec![file], &request, &Entropy::System, &mut |_| {}).unwrap()
}

fn codes(report: &Report) -> Vec<&'static str> {
    report.findings.counts().keys().copied().collect()
}

fn receipt(answer: &Answer) -> String {
    let it = answer.receipt.clone().unwrap();
    json!({"log": it.log, "index": it.index, "leaf_hash": hex(&it.leaf_hash), "checkpoint": it.checkpoint}).to_string()
}

/// Whether a receipt is good by these keys.
fn is_good(answer: &Answer, keys: &[VerifierKey]) -> bool {
    examine(&Receipt::parse(&receipt(answer)).unwrap(), &[], keys).is_sound()
}

/// The origin of a receipt's checkpoint and the name of the key that signed it.
fn names(answer: &Answer) -> (String, String) {
    let note = answer.receipt.clone().unwrap().checkpoint;
    let signed = note.lines().last().unwrap().split(' ').nth(1).unwrap().to_owned();
    (note.lines().next().unwrap().to_owned(), signed)
}

fn both(name: &str) -> (String, String) {
    (name.to_owned(), name.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_called_after_the_gateway_and_the_merchant_for_good() {
    for world in World::all().await {
        let cathay = open(&world, "cathay").await;
        let before = check(&world, &world.gateway, &cathay).await;
        assert_eq!(names(&before), both("gate.example/cathay"));

        // The gateway is called otherwise: what there is keeps its name, and what is new gets the new one.
        let renamed = world.replica_with(&[("log_origin", "perks.example.com/gate")]).await;
        let after = check(&world, &renamed, &cathay).await;
        assert_eq!(names(&after), both("gate.example/cathay"));
        let qantas = renamed.directory.create_merchant("qantas".parse().unwrap(), "Qantas", None, CLI).await.unwrap();
        world.gateway.directory.reload().await.unwrap();
        world.perk(&qantas, "lounge", RULE).await;
        world.score(&qantas, "twitter:ada", "50").await;
        let new = check(&world, &world.gateway, &qantas).await;
        assert_eq!(names(&new), both("perks.example.com/gate/qantas"));

        renamed.keys.catch_up().await.unwrap();
        let published = renamed.keys.log_keys();
        let told: Vec<_> = published.iter().map(|it| (it.log.as_deref().unwrap(), it.key.name())).collect();
        let named = [
            ("cathay", "gate.example/cathay"),
            ("operator", "gate.example/operator"),
            ("qantas", "perks.example.com/gate/qantas"),
        ];
        assert_eq!(told, named);
        let keys: Vec<VerifierKey> = published.into_iter().map(|it| it.key).collect();
        let anchors = Anchor::parse("kept", &format!("{}\n{}", receipt(&before), receipt(&new))).unwrap();
        assert_eq!(verify(&world, &keys, &anchors).findings.listed(), []);
        assert_eq!(verify(&world, &[], &anchors).findings.listed(), [], "by the database's own keys");

        // A key line is for its log alone, though the same key signs the others.
        let cathays = &keys[..1];
        assert!(is_good(&after, cathays) && !is_good(&new, cathays));
        assert!(is_good(&new, &keys));
        assert_eq!(
            (codes(&export(&world, "cathay", cathays)), codes(&export(&world, "qantas", cathays))),
            (vec![], vec!["log_key_missing"])
        );
        assert_eq!(codes(&verify(&world, cathays, &[])), ["log_key_missing"]);
        // Not even when it is put on the other log's note.
        let note = new.receipt.clone().unwrap().checkpoint;
        let key = world.gateway.keyring.log_key();
        let lent = Checkpoint::unverified(&note).unwrap().sign(&keys[0], |text| key.sign(text));
        assert!(Checkpoint::open(&lent, &keys).is_ok(), "its signature fits");
        assert!(perkgate::ledger::origin::open(&note, &keys[2..]).is_ok());
        assert!(perkgate::ledger::origin::open(&lent, &keys).is_err());
    }
}

/// Makes the logs what the build before made of them.
fn make_old(world: &World) {
    let key = world.gateway.keyring.log_key();
    let mut conn = world.database.open().dedicated().unwrap();
    let names: Vec<String> = logs::table.select(logs::name).load(&mut conn).unwrap();
    for name in names {
        let id = log(&mut conn, &name).id;
        let origin = logs::origin.eq(format!("perkgate/{id}"));
        diesel::update(logs::table.find(&id)).set(origin).execute(&mut conn).unwrap();
        let all = events_of(&mut conn, &name);
        rebuild(&mut conn, &name, all, key.verifier(), &|text| key.sign(text));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_the_build_before_keep_their_names() {
    for world in World::all().await {
        let cathay = open(&world, "cathay").await;
        check(&world, &world.gateway, &cathay).await;
        make_old(&world);
        // As the schema was then, and is brought to what it is.
        let backend = if world.database.backend() == Backend::Sqlite { "sqlite" } else { "postgres" };
        let mut conn = world.database.open().dedicated().unwrap();
        for step in ["down", "up"] {
            let root = env!("CARGO_MANIFEST_DIR");
            let path = format!("{root}/migrations/{backend}/2026-11-28-000018_log_origin/{step}.sql");
            let sql = std::fs::read_to_string(path).unwrap();
            on_either!(&mut conn, |c| c.batch_execute(&sql)).unwrap();
        }
        let id = log(&mut conn, "cathay").id;
        // As a replica that still runs that build leaves a log which it makes now.
        let cathays = logs::table.filter(logs::name.eq("cathay"));
        diesel::update(cathays).set(logs::origin.eq("")).execute(&mut conn).unwrap();
        drop(conn);

        let gateway = world.replica().await;
        let key = gateway.keyring.log_key();
        let answer = check(&world, &gateway, &cathay).await;
        assert_eq!(names(&answer), (format!("perkgate/{id}"), key.name().to_owned()));
        assert!(key.name().starts_with("perkgate-"));
        let note = answer.receipt.clone().unwrap().checkpoint;
        assert!(Checkpoint::open(&note, &[key.verifier().clone()]).is_ok());

        let qantas = open(&world, "qantas").await;
        let new = check(&world, &world.gateway, &qantas).await;
        assert_eq!(names(&new), both("gate.example/qantas"));
        gateway.keys.catch_up().await.unwrap();
        let older = PublishedLogKey { log: None, key: key.verifier().clone() };
        let newer = PublishedLogKey { log: Some("qantas".to_owned()), key: world.log_key("qantas") };
        assert_eq!(gateway.keys.log_keys(), [older, newer]);

        let kept = Anchor::parse("kept", &format!("{}\n{}", receipt(&answer), receipt(&new))).unwrap();
        let line = [key.verifier().clone()];
        for keys in [&line[..], &[], &[line[0].clone(), world.log_key("qantas")]] {
            assert_eq!(verify(&world, keys, &kept).findings.listed(), [], "{keys:?}");
        }
        for (name, answer) in [("cathay", &answer), ("qantas", &new)] {
            assert!(is_good(answer, &line), "{name}");
            assert_eq!(export(&world, name, &line).findings.listed(), []);
        }
        assert!(!is_good(&answer, &[world.log_key("qantas")]));
        assert_eq!(codes(&export(&world, "cathay", &[world.log_key("qantas")])), ["log_key_missing"]);
    }
}
