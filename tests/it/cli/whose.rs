//! Which merchant a command is about, and what is asked before something that can't be undone.

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use super::terminal::{LOUNGE, Terminal, answer, complaints};
use crate::support::services::skip;

const FEED: &str = "subject,value,observed_at\ntwitter:ada,37,2012-05-08T09:00:00Z\n";

#[test]
fn the_only_merchant_is_meant_where_none_is_named() {
    for terminal in Terminal::all() {
        terminal.ask("migrate");
        assert_eq!(terminal.refused("perk list", 1)[0], "error: there is no merchant yet");
        terminal.ask("merchant create cathay --name 'Cathay Pacific'");
        terminal.write("lounge.json", LOUNGE);
        terminal.write("feed.csv", FEED);
        terminal.ask("perk apply -f lounge.json --publish");
        assert_eq!(terminal.ask("key create --role kiosk --label A12")["merchant"], "cathay");
        assert_eq!(terminal.ask("key create --role operator --label ops")["merchant"], Value::Null);
        terminal.ask("source create kred --min 1 --max 1000");
        assert_eq!(terminal.ask("score import feed.csv --source klout")["accepted"], 1);
        for line in [
            "perk list",
            "perk show sfo-lounge",
            "perk history sfo-lounge",
            "perk diff -f lounge.json",
            "perk pull pulled",
            "perk simulate sfo-lounge --score 50",
            "source list",
            "score show twitter:ada --source klout",
            "subject record twitter:ada",
            "report grants",
            "audit export -o log.ndjson",
            "audit prune --before 2012-05-08 --dry-run",
        ] {
            terminal.ask(line);
        }
        // A setting that means another one is no slip of the pen where bodies go for good.
        let mut other = terminal.command("audit prune --before 2012-05-08 --dry-run");
        let refused = complaints(&other.env("PERKGATE_MERCHANT", "nobody").output().unwrap(), 1);
        assert_eq!(refused[0], "error: there is no merchant `nobody`");
        let listed = |line: &str| terminal.ask(line)["keys"].as_array().unwrap().clone();
        assert_eq!(listed("key list"), listed("key list --merchant cathay"));
        let (kiosk, ops) = (listed("key list").remove(0), listed("key list --operator").remove(0));
        assert_eq!((&kiosk["label"], &ops["label"]), (&"A12".into(), &"ops".into()));
        let ops = ops["id"].as_str().unwrap();
        assert_eq!(
            terminal.refused(&format!("key revoke {ops}"), 1)[0],
            format!("error: the merchant `cathay` has no key `{ops}`")
        );
        assert_eq!(terminal.ask(&format!("key revoke {ops} --operator --yes"))["status"], "revoked");
        let kiosk = kiosk["id"].as_str().unwrap();
        assert_eq!(terminal.ask(&format!("key revoke {kiosk} --yes"))["status"], "revoked");
    }
}

#[test]
fn of_several_merchants_one_is_named_by_a_flag_or_a_variable() {
    let terminal = Terminal::new();
    for nth in 0..12 {
        terminal.ask(&format!("merchant create m{nth} --name M{nth}"));
    }
    terminal.ask("key create --role admin --label Ada --merchant m1");
    let several = terminal.refused("source list", 1);
    let whose = terminal.refused("key list", 1);
    assert!(
        whose[0].starts_with("error: whose? There are `m0`, `m1`") && whose[0].ends_with("the operator's"),
        "{whose:?}"
    );
    assert_eq!(whose[1], "  try: --merchant SLUG, or --operator");
    assert_eq!(terminal.refused("key revoke key_00000000000070008000000000000000", 1), whose);
    assert_eq!(
        several,
        [
            "error: which merchant? There are `m0`, `m1`, `m2`, `m3`, `m4`, `m5`, `m6`, `m7`, `m8`, `m9` and more",
            "  try: --merchant SLUG, or PERKGATE_MERCHANT=SLUG in the environment",
        ]
    );
    let with = |line: &str, slug: &str| terminal.command(line).env("PERKGATE_MERCHANT", slug).output().unwrap();
    assert_eq!(answer(&with("report grants --json", "m1"), 0)["merchant"], "m1");
    let heads = |line: &str| {
        let logs = answer(&with(line, "m1"), 0)["logs"].clone();
        logs.as_array().unwrap().iter().map(|head| head["log"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(heads("audit checkpoint --json"), ["m1"]);
    assert_eq!(heads("audit checkpoint --operator --json"), ["operator"]);
    let unnamed = complaints(&with("audit prune --before 2012-05-08 --dry-run", "m1"), 1);
    assert!(unnamed[0].starts_with("error: whose log? There are `m0`"), "{unnamed:?}");
    assert!(unnamed[1].contains("--merchant SLUG, or --all"), "{unnamed:?}");
    assert_eq!(answer(&with("report grants --merchant m2 --json", "m1"), 0)["merchant"], "m2");
    assert_eq!(complaints(&with("source list", "nobody"), 1)[0], "error: there is no merchant `nobody`");
    assert!(complaints(&with("source list", "No Slug"), 1)[0].contains("merchant"));
    let keys = |line: &str| answer(&with(line, "m1"), 0)["keys"].as_array().unwrap().len();
    assert_eq!((keys("key list --json"), keys("key list --operator --json")), (1, 0));
    terminal.write("perkgate.toml", "merchant = \"m3\"\n");
    assert_eq!(terminal.ask("report grants --config perkgate.toml")["merchant"], "m3");
    assert_eq!(answer(&with("key create --role operator --label ops --json", "m1"), 0)["merchant"], Value::Null);
}

#[test]
fn what_can_not_be_undone_is_confirmed() {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    terminal.write("lounge.json", LOUNGE);
    terminal.ask("perk apply -f lounge.json --publish");
    let key = terminal.ask("key create --role kiosk --label A12")["id"].as_str().unwrap().to_owned();
    let before = terminal.ask("audit verify")["checked"]["events"].clone();
    for (line, deed) in [
        (format!("key revoke {key} --merchant cathay"), "revoke the kiosk key `A12` for good"),
        ("perk retire sfo-lounge".to_owned(), "retire `sfo-lounge`, SFO lounge, for good"),
        ("subject erase twitter:ada".to_owned(), "erase this person of `cathay` for good"),
        ("token revoke-key x".to_owned(), "withdraw the token key x"),
    ] {
        let refused = terminal.refused(&line, 2);
        assert!(refused[0].contains(deed) && refused[0].ends_with("nothing was done"), "{refused:?}");
        assert_eq!(refused[1], "  try: --yes, if it is meant");
    }
    assert_eq!(terminal.ask("audit verify")["checked"]["events"], before);
    assert_eq!(terminal.ask("perk list")["perks"][0]["status"], "published");
    // What isn't there is told before anything is asked.
    assert_eq!(terminal.refused("perk retire nothing", 1)[0], "error: the merchant has no perk `nothing`");

    let Some(declined) = at_a_terminal(&terminal, "perk retire sfo-lounge", "no\n") else { return };
    let told = String::from_utf8_lossy(&declined.stdout).into_owned();
    assert_eq!(declined.status.code(), Some(1), "{told}");
    assert!(told.contains("This would retire `sfo-lounge`") && told.contains("nothing was done"), "{told}");
    let confirmed = at_a_terminal(&terminal, "perk retire sfo-lounge", "yes\n").unwrap();
    assert_eq!(confirmed.status.code(), Some(0), "{}", String::from_utf8_lossy(&confirmed.stdout));
    assert_eq!(terminal.ask("perk list")["perks"][0]["status"], "retired");
    assert_eq!(terminal.ask(&format!("key revoke {key} --merchant cathay --yes"))["status"], "revoked");
    assert_eq!(terminal.ask("subject erase twitter:ada --yes")["erased"], false);
}

/// The command with a pseudo-terminal of `script`, which types `input`; none where there is no such program.
fn at_a_terminal(terminal: &Terminal, line: &str, input: &str) -> Option<Output> {
    let program = env!("CARGO_BIN_EXE_perkgate");
    let mut command = Command::new("script");
    command.args(["-qec", &format!("{program} {line}"), "/dev/null"]).current_dir(terminal.path());
    for setting in perkgate::settings::table::TABLE {
        command.env_remove(setting.variable()).env_remove(format!("{}_FILE", setting.variable()));
    }
    command.env("SHELL", "/bin/sh").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        skip("questions at a terminal", "script");
        return None;
    };
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    Some(child.wait_with_output().unwrap())
}

#[test]
fn a_key_that_does_not_fit_the_rules_is_told_when_it_is_made_and_by_the_doctor() {
    for terminal in Terminal::all() {
        if terminal.is_on_postgres() {
            terminal.ask("migrate");
        }
        terminal.ask("merchant create cathay --name 'Cathay Pacific'");
        let house = r#""limits":[{"id":"house","scope":["location"],"max":9,"window":{"calendar":"day"}}]"#;
        let rule = LOUNGE.replace(r#""score":"klout""#, &format!(r#""score":"klout",{house}"#));
        terminal.write("lounge.json", &rule);
        let doctor = || {
            let told = terminal.run("doctor --listen 127.0.0.1:0 --json");
            let told: Value = serde_json::from_slice(&told.stdout).unwrap();
            let findings = told["findings"].as_array().unwrap().clone();
            findings.into_iter().find(|it| it["check"] == "keys and rules").unwrap()
        };
        let early = terminal.ask("key create --role kiosk --label Early");
        assert_eq!(early["warnings"], json!([]), "no limit counts by place yet");
        assert_eq!(doctor()["status"], "ok");
        let applied = terminal.ask("perk apply -f lounge.json --publish");
        assert_eq!(
            applied["warnings"],
            json!([{"pointer": "/rule/limits/0/scope", "code": "keys_without_location",
                    "detail": "it counts by location, and kiosk keys without one share one count: `Early`"}])
        );
        let kiosk = terminal.ask("key create --role kiosk --label A12");
        assert_eq!(kiosk["warnings"][0]["code"], "key_without_location");
        assert_eq!(terminal.ask("key create --role kiosk --label B1 --location SFO")["warnings"], json!([]));
        let door = terminal.ask("key create --role door --label North --audience sfo-longue");
        assert_eq!(door["warnings"][0]["code"], "audience_not_named");
        assert!(door["warnings"][0]["detail"].as_str().unwrap().ends_with("they name `sfo-lounge`"), "{door}");
        assert_eq!(terminal.ask("key create --role door --label S --audience sfo-lounge")["warnings"], json!([]));
        let text = terminal.read("key create --role kiosk --label C3");
        assert!(text.contains("warning   --location: the limit `house` of `sfo-lounge` counts by location"), "{text}");
        let found = doctor();
        assert_eq!(found["status"], "warning");
        for part in ["`Early` of cathay", "`North` of cathay", "audience `sfo-longue`"] {
            assert!(found["detail"].as_str().unwrap().contains(part), "{found}");
        }
        // A version that names another audience leaves the doors of the one before behind.
        let moved = rule.replace(house, r#""token":{"audience":"sfo-east"}"#);
        terminal.write("moved.json", &moved);
        let applied = terminal.ask("perk apply -f moved.json --publish");
        let codes: Vec<&Value> = applied["warnings"].as_array().unwrap().iter().map(|it| &it["code"]).collect();
        assert!(codes.contains(&&json!("audience_not_named")), "{applied}");
    }
}

#[test]
fn a_log_called_after_this_machine_is_a_warning() {
    let terminal = Terminal::new();
    let made = terminal.run("merchant create cathay --name 'Cathay Pacific' --json");
    let told = String::from_utf8(made.stderr).unwrap();
    assert!(told.contains("`127.0.0.1:8080/cathay` for good") && told.contains("PERKGATE_LOG_ORIGIN"), "{told}");
    let said = terminal.run("merchant create american --name American --log-origin perks.example.com");
    assert!(!String::from_utf8(said.stderr).unwrap().contains("for good"));
    let finding = |line: &str| {
        let told: Value = serde_json::from_slice(&terminal.run(line).stdout).unwrap();
        let findings = told["findings"].as_array().unwrap().clone();
        findings.into_iter().find(|it| it["check"] == "log_origins").unwrap()
    };
    assert_eq!(finding("doctor --listen 127.0.0.1:0 --json")["status"], "ok");
    let found = finding("doctor --listen 127.0.0.1:0 --issuer https://perks.example.com --json");
    assert_eq!(found["status"], "warning");
    let detail = found["detail"].as_str().unwrap();
    assert!(detail.contains("`127.0.0.1:8080/cathay`") && !detail.contains("perks.example.com"), "{detail}");
}
