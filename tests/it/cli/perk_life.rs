//! `perkgate perk submit|publish|schedule|rollback|pause|…`: the life of a rule from a terminal.

use perkgate::access::{NewKey, Role};
use perkgate::foundation::json::Json;
use perkgate::ledger::entry::Actor;
use perkgate::perks::perk::NewVersion;
use perkgate::perks::versions::{Taken, VersionStep};
use serde_json::{Value, json};

use super::terminal::{LOUNGE, Terminal, answer};
use crate::support::world::CLI;

fn cathay(terminal: &Terminal) {
    if terminal.is_on_postgres() {
        terminal.ask("migrate");
    }
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    terminal.write("lounge.json", LOUNGE);
    terminal.write("strict.json", &LOUNGE.replace("40", "55"));
    terminal.ask("perk apply -f lounge.json --merchant cathay --publish --note First");
}

fn standing(stepped: &Value) -> (i64, &str) {
    (stepped["version"].as_i64().unwrap(), stepped["status"].as_str().unwrap())
}

#[test]
fn a_version_is_submitted_published_and_gone_back_from() {
    for terminal in Terminal::all() {
        cathay(&terminal);
        let perk = |line: &str| terminal.ask(&format!("perk {line} --merchant cathay"));
        terminal.ask("perk apply -f strict.json --merchant cathay");
        assert_eq!(standing(&perk("submit sfo-lounge --note Look")), (2, "in_review"));
        for (step, past) in [("publish", "published"), ("submit", "submitted")] {
            assert_eq!(
                terminal.refused(&format!("perk {step} sfo-lounge --merchant cathay"), 1),
                [
                    format!("error: version 2 of `sfo-lounge` can't be {past}: it is in review"),
                    "  try: an admin key approves it, with POST /v1/perks/sfo-lounge/versions/2/approve; `perkgate perk \
                     withdraw sfo-lounge` takes it back"
                        .to_owned()
                ]
            );
        }
        assert_eq!(standing(&perk("withdraw sfo-lounge --version 2")), (2, "draft"));
        let published = perk("publish sfo-lounge --note Busy");
        assert_eq!(standing(&published), (2, "published"));
        assert!(published["published_at"].is_string());
        for (step, past, code) in [
            ("publish", "published", "not_a_draft"),
            ("submit", "submitted", "not_a_draft"),
            ("withdraw", "withdrawn", "wrong_status"),
        ] {
            let refused = terminal.run(&format!("perk {step} sfo-lounge --merchant cathay --json"));
            let told: Value = serde_json::from_slice(&refused.stderr).unwrap();
            assert_eq!(
                told["errors"][0],
                json!({
                    "detail": format!(
                        "version 2 of `sfo-lounge` can't be {past}: it is published, and decides already"
                    ),
                    "code": code,
                    "try": "`perkgate perk apply` with another rule adds a version"
                })
            );
        }
        assert_eq!(
            terminal.refused("perk unschedule sfo-lounge --merchant cathay", 1),
            ["error: nothing is scheduled for `sfo-lounge`: version 2 is published, and decides already"]
        );
        assert_eq!(standing(&perk("rollback sfo-lounge --to 1 --note 'Too strict'")), (3, "published"));
        let history = perk("history sfo-lounge");
        let of = |nth: usize, member: &str| history["versions"][nth][member].clone();
        assert_eq!((of(0, "version"), of(0, "change_note")), (json!(3), json!("Too strict")));
        assert_eq!((of(1, "status"), of(1, "step_note")), (json!("retired"), json!("Busy")));
        assert_eq!((of(2, "created_by"), of(2, "published_by")), (json!("cli"), json!("cli")));
        assert!(terminal.read("perk history sfo-lounge --merchant cathay").contains("Too strict"));
        assert_eq!(of(2, "key_labels"), json!({}), "the command line has no key");
        assert_eq!(
            terminal.refused("perk rollback sfo-lounge --to 9 --merchant cathay", 1)[0],
            "error: the perk `sfo-lounge` has no version 9"
        );
        assert_eq!(
            terminal.refused("perk pause nowhere --merchant cathay", 1)[0],
            "error: the merchant has no perk `nowhere`"
        );
    }
}

#[test]
fn a_version_is_scheduled_and_taken_back() {
    let terminal = Terminal::new();
    cathay(&terminal);
    terminal.ask("perk apply -f strict.json --merchant cathay");
    let perk = |line: &str| terminal.ask(&format!("perk {line} --merchant cathay"));
    let scheduled = perk("schedule sfo-lounge --at 2999-01-01T09:00");
    assert_eq!(standing(&scheduled), (2, "scheduled"));
    assert_eq!(scheduled["scheduled_at"], "2999-01-01T09:00:00Z");
    let waits = |perk: &Value| (perk["scheduled_version"].clone(), perk["scheduled_at"].clone());
    let waiting = (json!(2), json!("2999-01-01T09:00:00Z"));
    assert_eq!(waits(&terminal.ask("perk list")["perks"][0]), waiting);
    assert!(terminal.read("perk list").contains("2 from 2999-01-01T09:00:00Z"));
    assert_eq!(waits(&terminal.ask("perk show sfo-lounge")), waiting);
    let refused = terminal.refused("perk schedule sfo-lounge --version 1 --at 2012-05-08T09:00 --merchant cathay", 1);
    assert!(refused[0].contains("has passed"), "{refused:?}");
    // Of several, the one that is scheduled is meant.
    terminal.write("stricter.json", &LOUNGE.replace("40", "70"));
    terminal.ask("perk apply -f stricter.json --merchant cathay");
    let refused = terminal.refused("perk unschedule sfo-lounge --version 3 --merchant cathay", 1);
    assert_eq!(refused, ["error: version 3 is a draft; the version of `sfo-lounge` that is scheduled is 2"]);
    assert_eq!(standing(&perk("unschedule sfo-lounge")), (2, "draft"));
    assert_eq!(waits(&terminal.ask("perk list")["perks"][0]), (Value::Null, Value::Null));
}

#[test]
fn a_perk_is_paused_resumed_and_retired() {
    let terminal = Terminal::new();
    cathay(&terminal);
    for (word, status) in [("pause", "paused"), ("resume", "published"), ("retire --yes", "retired")] {
        if status == "retired" {
            terminal.ask("perk pause sfo-lounge --merchant cathay");
            terminal.ask("perk apply -f strict.json --merchant cathay");
            let told = terminal.read("perk publish sfo-lounge --merchant cathay");
            assert!(told.contains("is published") && told.contains("the perk is paused: it grants nothing"), "{told}");
        }
        let stood = terminal.ask(&format!("perk {word} sfo-lounge --merchant cathay --note Why"));
        assert_eq!(stood, json!({"perk": "sfo-lounge", "status": status}));
        let listed = terminal.ask("perk list --merchant cathay")["perks"][0].clone();
        assert_eq!((&listed["status"], &listed["status_note"]), (&json!(status), &json!("Why")));
        let is_halted = status != "published";
        assert_eq!(terminal.read("perk list --merchant cathay").contains("Why"), is_halted);
        let shown = terminal.read("perk show sfo-lounge --merchant cathay");
        let since = format!("the perk is {status} since {}, by cli: Why", listed["status_at"].as_str().unwrap());
        assert_eq!(shown.contains(&since), is_halted, "{shown}");
    }
    terminal.write("stricter.json", &LOUNGE.replace("40", "70"));
    let refused = terminal.refused("perk apply -f stricter.json --merchant cathay --publish", 1);
    assert!(refused[0].contains("retired"), "{refused:?}");
}

#[test]
fn a_perk_file_says_what_it_is_for() {
    let terminal = Terminal::new();
    cathay(&terminal);
    let of = |purpose: &str| LOUNGE.replacen('{', &format!(r#"{{"purpose":"{purpose}","#), 1);
    let apply = |file: &str, code| answer_of(&terminal, file, code);
    let (applied, _) = apply(&of("lounge"), 0);
    assert_eq!(applied["outcome"], "renamed");
    assert_eq!(terminal.ask("perk show sfo-lounge --merchant cathay")["purpose"], "lounge");
    assert_eq!(apply(&of("lounge"), 0).0["outcome"], "unchanged");
    assert_eq!(apply(LOUNGE, 0).0["outcome"], "unchanged", "a file that says none changes none");
    let (_, told) = apply(&of("credit"), 1);
    assert!(told.contains("purpose_refused") && told.contains("must not decide"), "{told}");
}

fn answer_of(terminal: &Terminal, file: &str, code: i32) -> (Value, String) {
    let output = terminal.run_with_stdin("perk apply -f - --merchant cathay --json", file);
    assert_eq!(output.status.code(), Some(code));
    let told = String::from_utf8(output.stderr.clone()).unwrap();
    (if code == 0 { answer(&output, 0) } else { Value::Null }, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn under_four_eyes_applying_submits_and_somebody_with_a_key_approves() {
    for terminal in Terminal::all() {
        cathay(&terminal);
        let gateway = terminal.gateway().await;
        let merchant = gateway.directory.find_merchant("cathay".parse().unwrap()).await.unwrap().id;
        let new = NewKey::of(Role::Admin, Some(merchant.clone()), "Ada");
        let (key, _) = gateway.directory.create_key(new, CLI).await.unwrap();
        let ada = Actor { key: Some(key.id), role: "admin" };
        gateway.catalog.set_four_eyes(&merchant, ada.clone(), true).await.unwrap();
        let slug = "sfo-lounge".parse().unwrap();
        let apply = |code: i32| {
            let line = "perk apply -f strict.json --merchant cathay --publish --json";
            let applied = answer(&terminal.run(line), code);
            (applied["version"].as_i64().unwrap(), applied["status"].as_str().unwrap().to_owned())
        };
        assert_eq!(apply(1), (2, "in_review".to_owned()));
        assert_eq!(apply(1), (2, "in_review".to_owned()), "applying again submits no other");
        let told = terminal.run("perk apply -f strict.json --merchant cathay --publish");
        let told = String::from_utf8(told.stdout).unwrap();
        assert!(told.contains("someone other than its author must approve"), "{told}");
        let refused = terminal.refused("perk publish sfo-lounge --merchant cathay", 1);
        assert!(
            refused[0].contains("four eyes") && refused[1].contains("POST /v1/perks/sfo-lounge/versions/2/approve"),
            "{refused:?}"
        );
        // A draft from before is submitted, too.
        terminal.ask("perk withdraw sfo-lounge --merchant cathay");
        assert_eq!(apply(1), (2, "in_review".to_owned()));
        gateway.catalog.step(&merchant, ada.clone(), &slug, 2, Taken::of(VersionStep::Approve)).await.unwrap();
        assert_eq!(apply(0), (2, "published".to_owned()));
        let back = answer(&terminal.run("perk rollback sfo-lounge --to 1 --merchant cathay --json"), 1);
        assert_eq!(standing(&back), (3, "in_review"));
        assert_eq!(terminal.ask("perk show sfo-lounge --merchant cathay")["shown"]["version"], 2);
        // One person may always stop it.
        terminal.ask("perk pause sfo-lounge --merchant cathay");
        terminal.ask("perk resume sfo-lounge --merchant cathay");
    }
}

#[test]
fn applying_publishes_what_is_scheduled_at_once() {
    let terminal = Terminal::new();
    cathay(&terminal);
    terminal.ask("perk apply -f strict.json --merchant cathay");
    terminal.ask("perk schedule sfo-lounge --at 2999-01-01T09:00 --merchant cathay");
    let kept = terminal.ask("perk apply -f strict.json --merchant cathay");
    assert_eq!((standing(&kept), &kept["outcome"]), ((2, "scheduled"), &json!("unchanged")));
    let plan = terminal.ask("perk apply -f strict.json --merchant cathay --publish --dry-run");
    assert_eq!((&plan["perks"][0]["outcome"], &plan["perks"][0]["waits"]), (&json!("published"), &json!(false)));
    let published = terminal.ask("perk apply -f strict.json --merchant cathay --publish");
    assert_eq!((standing(&published), &published["outcome"]), ((2, "published"), &json!("published")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_approval_is_told_as_it_is() {
    let terminal = Terminal::new();
    cathay(&terminal);
    terminal.ask("perk apply -f strict.json --merchant cathay");
    terminal.ask("perk submit sfo-lounge --merchant cathay");
    let told = || {
        let done = terminal.run("perk apply -f strict.json --merchant cathay --publish");
        assert_eq!(done.status.code(), Some(1));
        String::from_utf8(done.stdout).unwrap()
    };
    let in_review = told();
    assert!(in_review.contains("must approve it first") && !in_review.contains("four eyes"), "{in_review}");

    let gateway = terminal.gateway().await;
    let merchant = gateway.directory.find_merchant("cathay".parse().unwrap()).await.unwrap().id;
    let (key, _) =
        gateway.directory.create_key(NewKey::of(Role::Admin, Some(merchant.clone()), "Ada"), CLI).await.unwrap();
    let ada = Actor { key: Some(key.id), role: "admin" };
    // Ada approves her own, while nobody minds.
    let slug = "sfo-lounge".parse().unwrap();
    let rule = Json::parse(r#"{"at_least":60,"score":"klout"}"#).unwrap();
    let new = NewVersion { rule, publish: false, change_note: None };
    gateway.catalog.create_version(&merchant, ada.clone(), &slug, new).await.unwrap();
    for step in [VersionStep::Submit, VersionStep::Approve] {
        gateway.catalog.step(&merchant, ada.clone(), &slug, 3, Taken::of(step)).await.unwrap();
    }
    gateway.catalog.set_four_eyes(&merchant, ada.clone(), true).await.unwrap();
    let history = terminal.ask("perk history sfo-lounge");
    let key = history["versions"][0]["created_by"].as_str().unwrap();
    assert_eq!(Some(key), ada.key.as_ref().map(perkgate::foundation::ids::KeyId::as_str));
    assert_eq!(history["versions"][0]["key_labels"], json!({key: "Ada"}));
    let text = terminal.read("perk history sfo-lounge");
    assert!(text.lines().nth(1).unwrap().matches("Ada").count() == 2 && !text.contains("key_"), "{text}");
    assert_eq!(terminal.ask("perk show sfo-lounge --version 3")["shown"]["key_labels"], json!({key: "Ada"}));

    terminal.write("hers.json", &LOUNGE.replace("40", "60").replace("SFO lounge", "Lounge"));
    for line in ["perk apply -f hers.json --publish --merchant cathay", "perk publish sfo-lounge --merchant cathay"] {
        let refused = terminal.refused(line, 1);
        assert!(refused[0].contains("four eyes") && refused[0].contains("version 3"), "{refused:?}");
        assert!(refused[1].contains("withdraw it, then submit it again"), "{refused:?}");
    }
    terminal.write("spa.json", &LOUNGE.replace("sfo-lounge", "spa"));
    for files in ["-f spa.json -f hers.json", "-f hers.json -f spa.json"] {
        let refused = terminal.run(&format!("perk apply {files} --publish --json"));
        let told: Value = serde_json::from_slice(&refused.stderr).unwrap();
        assert_eq!((refused.status.code(), &told["errors"][0]["file"]), (Some(1), &json!("hers.json")), "{told}");
        assert!(told["errors"][0]["detail"].as_str().unwrap().starts_with("hers.json: this merchant asks"), "{told}");
    }
    let name = terminal.ask("perk show sfo-lounge --merchant cathay")["name"].clone();
    assert_eq!(name, "SFO lounge", "what can't be published changes no name");

    terminal.write("new.json", &LOUNGE.replace("40", "65"));
    let plan = terminal.read("perk apply -f new.json --merchant cathay --publish --dry-run");
    assert!(plan.contains("a version after 3 would go into review"), "{plan}");
    terminal.ask("perk withdraw sfo-lounge --merchant cathay");
    let plan = terminal.read("perk apply -f hers.json --merchant cathay --publish --dry-run");
    assert!(plan.contains("version 3, draft, would go into review"), "{plan}");
}
