//! Anchors taken outside: what arrives, what happens when it can't, and what they prove afterwards.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use diesel::prelude::*;
use perkgate::audit::anchoring::{AnchorFileError, AnchorLine, AnchoringError, Round, Target, WebhookError};
use perkgate::audit::{Anchor, Report, Request};
use perkgate::database::DatabaseError;
use perkgate::database::schema::logs;
use perkgate::foundation::entropy::Entropy;
use perkgate::tlog::note::Checkpoint;

use super::history::{events_of, rebuild};
use crate::support::databases::TestDatabase;
use crate::support::ports::free_address;
use crate::support::receiver::Receiver;
use crate::support::serve::Serve;
use crate::support::world::World;

fn lines(text: &str) -> Vec<AnchorLine> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn names(lines: &[AnchorLine]) -> Vec<&str> {
    lines.iter().map(|line| line.log.as_str()).collect()
}

/// How many lines the only place got.
#[track_caller]
fn sent(round: Round) -> usize {
    let [(_, outcome)] = <[_; 1]>::try_from(round).unwrap();
    outcome.unwrap()
}

#[track_caller]
fn failed(round: Round) -> AnchoringError {
    let [(_, outcome)] = <[_; 1]>::try_from(round).unwrap();
    outcome.unwrap_err()
}

fn verify(world: &World, anchors: Vec<Anchor>) -> Report {
    let request =
        Request { keys: vec![world.gateway.keyring.log_key().verifier().clone()], anchors, ..Request::default() };
    perkgate::audit::verify(&world.database.open(), &request, &Entropy::System, &mut |_| {}).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_gets_each_log_when_it_moves_and_the_auditor_takes_it() {
    let directory = tempfile::tempdir().unwrap();
    for (nth, database) in TestDatabase::migrated().into_iter().enumerate() {
        let path = directory.path().join(format!("anchors-{nth}"));
        let world = World::on(database, &[("anchor_file", path.to_str().unwrap())]).await;
        let anchorer = &world.gateway.anchorer;
        assert_eq!(sent(anchorer.anchor_now().await.unwrap()), 0, "there is no log yet");
        world.merchant("cathay").await;
        let american = world.merchant("american").await;
        world.perk(&american, "club", r#"{"at_least":40,"score":"klout"}"#).await;
        assert_eq!(sent(anchorer.anchor_now().await.unwrap()), 3);
        assert_eq!(sent(anchorer.anchor_now().await.unwrap()), 0, "nothing moved");
        world.pass(3600);
        world.merchant("qantas").await;
        assert_eq!(sent(anchorer.anchor_now().await.unwrap()), 2);
        // A second replica, which has anchored nothing yet, shares the file.
        let replica = world.replica_with(&[("anchor_file", path.to_str().unwrap())]).await;
        assert_eq!(sent(replica.anchorer.anchor_now().await.unwrap()), 0);

        let text = std::fs::read_to_string(&path).unwrap();
        let kept = lines(&text);
        assert_eq!(names(&kept), ["american", "cathay", "operator", "operator", "qantas"]);
        assert_eq!(kept[3].at, world.now());
        for line in &kept {
            let signed = Checkpoint::open(&line.checkpoint, &[world.log_key(&line.log)]).unwrap();
            assert_eq!((&signed.origin, signed.size), (&line.origin, line.size));
        }
        let anchors = Anchor::parse("anchors", &text).unwrap();
        let report = verify(&world, anchors.clone());
        assert_eq!(report.findings.listed(), []);
        assert_eq!(report.checked.anchors, 5);

        // Rewritten with the log key itself, so that nothing inside the database tells.
        let mut conn = world.database.open().dedicated().unwrap();
        let mut all = events_of(&mut conn, "operator");
        let gone = all.iter().position(|event| event.kind == "merchant.created").unwrap();
        all.remove(gone);
        let log_key = world.gateway.keyring.log_key();
        rebuild(&mut conn, "operator", all, log_key.verifier(), &|text| log_key.sign(text));
        let report = verify(&world, anchors);
        assert!(report.findings.counts().contains_key("history_rewritten"), "{:?}", report.findings.listed());
        let wrong = report.findings.listed().iter().find(|it| it.wrong.code() == "history_rewritten").unwrap();
        assert!(wrong.to_string().contains("the anchor anchors:3"), "which line: {wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_contradicts_the_file_is_told_while_others_go_on() {
    let directory = tempfile::tempdir().unwrap();
    for (nth, database) in TestDatabase::migrated().into_iter().enumerate() {
        let path = directory.path().join(format!("anchors-{nth}"));
        let world = World::on(database, &[("anchor_file", path.to_str().unwrap())]).await;
        world.merchant("cathay").await;
        assert_eq!(sent(world.gateway.anchorer.anchor_now().await.unwrap()), 2);
        let text = std::fs::read_to_string(&path).unwrap();
        let mut line = lines(&text).remove(0);
        line.root = "another".to_owned();
        std::fs::write(&path, line.to_line()).unwrap();
        // As after a restart: what the file says counts, not what this process remembers.
        let again = world.replica_with(&[("anchor_file", path.to_str().unwrap())]).await;
        let error = failed(again.anchorer.anchor_now().await.unwrap());
        assert!(matches!(&error, AnchoringError::File(AnchorFileError::Contradicted { log, .. }) if log == "cathay"));
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(names(&lines(&text)), ["cathay", "operator"], "the other log goes on");
        assert!(text.starts_with(&line.to_line()), "and what stood there stands");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_every_head_once_and_again_until_it_has_it() {
    for database in TestDatabase::migrated() {
        let mut receiver = Receiver::start(&["500 No", "200 OK"]).await;
        let url = receiver.url();
        let settings = [("anchor_webhook", &*url), ("anchor_webhook_token", "t0ken")];
        let world = World::on(database, &settings).await;
        world.merchant("cathay").await;
        let anchorer = &world.gateway.anchorer;

        let error = failed(anchorer.anchor_now().await.unwrap());
        assert!(matches!(error, AnchoringError::Webhook(WebhookError::Status(500))), "{error}");
        let refused = receiver.next().await;
        assert_eq!(sent(anchorer.anchor_now().await.unwrap()), 2);
        let taken = receiver.next().await;
        assert_eq!(taken.body, refused.body, "what was refused came again");
        assert!(taken.head.starts_with("POST /anchors HTTP/1.1"), "{}", taken.head);
        assert_eq!(taken.header("authorization"), Some("Bearer t0ken"));
        assert_eq!(taken.header("content-type"), Some("application/x-ndjson"));
        assert_eq!(names(&lines(&taken.body)), ["cathay", "operator"]);

        assert_eq!(sent(anchorer.anchor_now().await.unwrap()), 0);
        assert_eq!(receiver.waiting(), 0, "nothing moved, nothing is sent");
        let american = world.merchant("american").await;
        world.perk(&american, "club", r#"{"at_least":40,"score":"klout"}"#).await;
        assert_eq!(sent(anchorer.anchor_now().await.unwrap()), 2);
        let moved = receiver.next().await;
        assert_eq!(names(&lines(&moved.body)), ["american", "operator"]);
        assert_eq!(verify(&world, Anchor::parse("kept", &(taken.body + &moved.body)).unwrap()).findings.listed(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let mut elsewhere = Receiver::start(&[]).await;
    let redirect = format!("307 Temporary Redirect\r\nlocation: {}", elsewhere.url());
    let mut receiver = Receiver::start(&[&redirect]).await;
    let (database, url) = (TestDatabase::empty_sqlite(), receiver.url());
    let world = World::on(database, &[("anchor_webhook", &url), ("anchor_webhook_token", "t0ken")]).await;
    world.merchant("cathay").await;
    let error = failed(world.gateway.anchorer.anchor_now().await.unwrap());
    assert!(matches!(error, AnchoringError::Webhook(WebhookError::Redirected(307))), "{error}");
    receiver.next().await;
    assert_eq!(elsewhere.waiting(), 0, "neither the anchors nor the token went there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_down_is_tried_again_and_in_nobodys_way() {
    // Its port is known, and nobody listens there yet.
    let address = free_address();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("anchors");
    let url = format!("http://{address}/s3cret-path");
    let settings = [("anchor_webhook", &*url), ("anchor_file", file.to_str().unwrap())];
    let world = World::on(TestDatabase::empty_sqlite(), &settings).await;
    world.merchant("cathay").await;
    let anchorer = &world.gateway.anchorer;
    let round = anchorer.anchor_now().await.unwrap();
    let [(Target::File, Ok(2)), (Target::Webhook, Err(error))] = &round[..] else { panic!("{round:?}") };
    assert!(matches!(error, AnchoringError::Webhook(WebhookError::Unreachable(_))), "{error}");
    assert!(!error.to_string().contains("s3cret"), "{error}");

    let mut receiver = Receiver::on(tokio::net::TcpListener::bind(address).await.unwrap(), &[]);
    let round = anchorer.anchor_now().await.unwrap();
    let [(Target::File, Ok(0)), (Target::Webhook, Ok(2))] = &round[..] else { panic!("{round:?}") };
    assert_eq!(names(&lines(&receiver.next().await.body)), ["cathay", "operator"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_this_machine_reaches_is_never_asked() {
    for url in ["https://169.254.169.254/latest", "https://[fe80::1]/x", "https://[::ffff:169.254.169.254]/x"] {
        let world = World::on(TestDatabase::empty_sqlite(), &[("anchor_webhook", url)]).await;
        world.merchant("cathay").await;
        let error = failed(world.gateway.anchorer.anchor_now().await.unwrap());
        assert!(matches!(error, AnchoringError::Webhook(WebhookError::Refused { .. })), "{url}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_anchors_by_itself() {
    for world in World::all().await {
        world.merchant("cathay").await;
        let mut receiver = Receiver::start(&["503 Later"]).await;
        let program = Path::new(env!("CARGO_BIN_EXE_perkgate"));
        let settings = [("anchor_webhook", &*receiver.url()), ("anchor_every", "50ms")];
        let _serve = Serve::start(program, &world.database, &settings);
        let first = receiver.next().await.body;
        let again = receiver.next().await.body;
        let heads = |text: &str| lines(text).into_iter().map(|line| line.checkpoint).collect::<Vec<_>>();
        assert_eq!(heads(&again), heads(&first), "again, as it was not taken");
        world.merchant("american").await;
        let moved = lines(&receiver.next().await.body);
        // The next round may have come between the two logs' looks; what it left out comes with another.
        assert_eq!(names(&moved), ["american", "operator"], "and what moved since");
    }
}

#[test]
fn serve_writes_anchors_to_standard_output() {
    let directory = tempfile::tempdir().unwrap();
    let program = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_perkgate"));
        for setting in perkgate::settings::table::TABLE {
            command.env_remove(setting.variable()).env_remove(format!("{}_FILE", setting.variable()));
        }
        command.env_remove("PERKGATE_CONFIG").current_dir(directory.path()).args(arguments);
        command
    };
    let made = program(&["merchant", "create", "cathay", "--name", "Cathay"]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut serve = program(&["serve", "--listen", "127.0.0.1:0", "--anchor-stdout", "true"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(serve.stdout.take().unwrap()).read_line(&mut line).unwrap();
    serve.kill().unwrap();
    serve.wait().unwrap();
    assert_eq!(names(&lines(&line)), ["cathay"]);
}

/// What `audit checkpoint` prints and appends is what anchors are.
#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_printed_and_appended_by_hand() {
    for world in World::all().await {
        let american = world.merchant("american").await;
        world.perk(&american, "club", r#"{"at_least":40,"score":"klout"}"#).await;
        let directory = tempfile::tempdir().unwrap();
        let url = world.database.setting();
        let run = |arguments: &[&str]| {
            let arguments = [&["audit"], arguments, &["--database-url", &url]].concat();
            let done = Command::new(env!("CARGO_BIN_EXE_perkgate"))
                .current_dir(directory.path())
                .args(arguments)
                .output()
                .unwrap();
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
        };
        let (code, notes, _) = run(&["checkpoint"]);
        assert_eq!((code, Anchor::parse("kept", &notes).unwrap().len()), (0, 2));
        let (_, one, _) = run(&["checkpoint", "--merchant", "american"]);
        assert!(notes.starts_with(&one), "by name: {notes}");
        let (_, json, _) = run(&["checkpoint", "--operator", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["logs"][0]["log"], "operator");
        let (code, _, complaint) = run(&["checkpoint", "--merchant", "qantas"]);
        assert!(code == 1 && complaint.contains("no log `qantas`"), "{complaint}");

        std::fs::write(directory.path().join("notes"), &notes).unwrap();
        assert_eq!(run(&["verify", "--anchor", "notes"]).0, 0);
        assert_eq!(run(&["checkpoint", "--append", "kept"]).0, 0);
        let kept = || std::fs::read_to_string(directory.path().join("kept")).unwrap();
        assert_eq!(names(&lines(&kept())), ["american", "operator"]);
        let (_, told, _) = run(&["checkpoint", "--append", "kept", "--json"]);
        assert_eq!(told.trim(), r#"{"appended":0,"logs":2}"#);
        let (_, told, _) = run(&["checkpoint", "--append", "kept"]);
        assert_eq!(told.trim(), "nothing to append: 2 checkpoints stood there already");
        world.merchant("qantas").await;
        let (_, told, _) = run(&["checkpoint", "--append", "kept"]);
        assert_eq!(told.trim(), "appended 2 of 3 checkpoints; the other one stood there already");
        assert_eq!(names(&lines(&kept())), ["american", "operator", "operator", "qantas"]);
        let (code, told, _) = run(&["verify", "--anchor", "kept"]);
        assert_eq!(code, 0, "{told}");
        assert!(told.contains("4 anchors"), "{told}");
        std::fs::write(directory.path().join("hosts"), "127.0.0.1 localhost\n").unwrap();
        let (code, _, complaint) = run(&["checkpoint", "--append", "hosts"]);
        assert!(code == 1 && complaint.contains("no file of anchors"), "{complaint}");
        // Its size is what the file is held to.
        let heads: i64 = world
            .gateway
            .database
            .read(|conn| {
                let operators = logs::table.filter(logs::merchant_id.is_null());
                Ok::<_, DatabaseError>(operators.select(logs::size).first(conn)?)
            })
            .await
            .unwrap();
        assert_eq!(i64::try_from(lines(&kept())[2].size).unwrap(), heads);
    }
}
