//! `perkgate perk`: applying is idempotent, drafts decide nothing, a bad rule is told spot by spot.

use serde_json::{Value, json};

use super::terminal::{LOUNGE, Terminal, answer, complaints, members};

fn cathay() -> Terminal {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    terminal.write("lounge.json", LOUNGE);
    terminal
}

/// Version, status, and whether the last `apply` changed anything.
fn standing(applied: &Value) -> (i64, &str, bool) {
    (applied["version"].as_i64().unwrap(), applied["status"].as_str().unwrap(), applied["outcome"] != "unchanged")
}

#[test]
fn applying_makes_a_version_only_when_something_changed() {
    let terminal = cathay();
    let apply = |more: &str| terminal.ask(&format!("perk apply -f lounge.json --merchant cathay {more}"));
    let drafted = apply("");
    assert_eq!(
        members(&drafted),
        ["at_once", "name", "outcome", "perk", "perks", "rule_hash", "rule_waits_for", "status", "version", "warnings"]
    );
    assert_eq!(standing(&drafted), (1, "draft", true));
    assert!(drafted["rule_hash"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(standing(&apply("")), (1, "draft", false));
    assert_eq!(standing(&apply("--publish")), (1, "published", true));
    assert_eq!(standing(&apply("--publish")), (1, "published", false));
    assert_eq!(standing(&apply("")), (1, "published", false));
    assert!(terminal.read("perk apply -f lounge.json --merchant cathay").contains("unchanged"));

    // The same rule in other words is the same rule.
    let long = r#"{"perk":"sfo-lounge","name":"SFO lounge","publish":true,
      "rule":{"score":{"source":"klout"},"time_zone":"UTC",
        "tiers":[{"id":"standard","rank":1,"name":"Standard","when":{"attr":"score","op":"gte","value":40.0}}]}}"#;
    terminal.write("lounge.json", long);
    assert_eq!(standing(&apply("")), (1, "published", false));
    terminal.write("lounge.json", &long.replace("40.0", "55"));
    assert_eq!(standing(&apply("--note 'Busy in May'")), (2, "published", true));
    let listed = terminal.ask("perk list --merchant cathay");
    assert_eq!(listed["perks"][0]["latest_version"], 2);
    assert_eq!(listed["perks"][0]["published_version"], 2);
    // Back to the first rule: a new version, as history is not rewritten.
    terminal.write("lounge.json", long);
    assert_eq!(standing(&apply("")), (3, "published", true));
}

#[test]
fn a_perk_shows_the_version_that_decides_or_the_one_asked_for() {
    let terminal = cathay();
    terminal.ask("perk apply -f lounge.json --merchant cathay --publish --note First");
    terminal.write("lounge.json", &LOUNGE.replace("40", "55"));
    terminal.ask("perk apply -f lounge.json --merchant cathay");
    let deciding = terminal.ask("perk show sfo-lounge --merchant cathay")["shown"].clone();
    assert_eq!((&deciding["version"], &deciding["status"]), (&json!(1), &json!("published")));
    assert_eq!((&deciding["change_note"], &deciding["created_by"]), (&json!("First"), &json!("cli")));
    assert_eq!(deciding["rule"]["tiers"][0]["when"]["value"], 40);
    let draft = terminal.ask("perk show sfo-lounge --merchant cathay --version 2")["shown"].clone();
    assert_eq!((&draft["status"], &draft["published_at"]), (&json!("draft"), &Value::Null));
    assert_eq!(draft["rule"]["tiers"][0]["when"]["value"], 55);
    assert!(
        terminal.read("perk show sfo-lounge --merchant cathay").starts_with("sfo-lounge, SFO lounge: version 1 of 2")
    );
    assert_eq!(
        terminal.refused("perk show sfo-lounge --merchant cathay --version 3", 1),
        [
            "error: the perk `sfo-lounge` has no version 3",
            "  try: `perkgate perk history sfo-lounge` lists its versions"
        ]
    );
    assert_eq!(terminal.refused("perk show spa --merchant cathay", 1)[0], "error: the merchant has no perk `spa`");
}

#[test]
fn a_bad_rule_is_told_spot_by_spot_and_makes_nothing() {
    let terminal = cathay();
    let bad = r#"{"perk":"spa","name":"Spa","rule":{"score":{"source":"klout"},"limits":[{"id":"d","scope":["subject"],"max":0,"window":{"calendar":"day"}}],
      "tiers":[{"id":"a","rank":1,"name":"A","when":{"attr":"score","op":"gte","value":"x"}}]}}"#;
    let told = complaints(&terminal.run_with_stdin("perk apply -f - --merchant cathay --publish", bad), 1);
    assert!(told.iter().any(|line| line.starts_with("error: /rule/tiers/0/when")), "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("error: /rule/limits/0/max")), "{told:?}");

    let unknown = LOUNGE.replace("klout", "kred");
    let refused = terminal.run_with_stdin("perk apply -f - --merchant cathay --json", &unknown);
    assert_eq!(refused.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&refused.stderr).unwrap();
    assert_eq!(told["errors"][0]["pointer"], "/rule/score", "where it was sent");
    assert_eq!(told["errors"][0]["code"], "unknown_source");
    assert!(told["errors"][0]["try"].as_str().unwrap().contains("perkgate source create"), "{told}");
    let misspelt = LOUNGE.replace("at_least", "atleast");
    let told = complaints(&terminal.run_with_stdin("perk apply -f - --merchant cathay", &misspelt), 1);
    assert!(told.len() == 1 && told[0].starts_with("error: /rule/atleast: there is no field `atleast`"), "{told:?}");
    assert!(told[0].contains(": did you mean `at_least`? (line 1, column 50)"), "{told:?}");

    // What is wrong beside the rule hides nothing of what is wrong in it.
    let both = LOUNGE.replace("40", "\"40\"").replace("SFO lounge", "");
    let told = terminal.run_with_stdin("perk apply -f - --merchant cathay --json", &both);
    let told: Value = serde_json::from_slice(&told.stderr).unwrap();
    let spots = |nth: usize| (&told["errors"][nth]["pointer"], &told["errors"][nth]["code"]);
    assert_eq!(spots(0), (&json!("/name"), &json!("invalid_value")));
    assert_eq!(spots(1), (&json!("/rule/at_least"), &json!("wrong_type")));

    let told =
        complaints(&terminal.run_with_stdin("perk apply -f - --merchant cathay", r#"{"perk":"Spa","extra":1}"#), 1);
    let pointers: Vec<_> = told.iter().map(|line| line.split(": ").nth(1).unwrap()).collect();
    assert_eq!(pointers, ["/extra", "/perk", "/name", "/rule"]);
    assert!(
        terminal.refused("perk apply -f absent.json --merchant cathay", 1)[0]
            .starts_with("error: absent.json can't be read")
    );
    assert_eq!(terminal.ask("perk list --merchant cathay")["perks"], json!([]));
}

#[test]
fn a_name_that_changes_is_the_perks_new_one() {
    let terminal = cathay();
    terminal.ask("perk apply -f lounge.json --merchant cathay --publish");
    let renamed = LOUNGE.replace("SFO lounge", "Lounge");
    let apply = || answer(&terminal.run_with_stdin("perk apply -f - --merchant cathay --publish --json", &renamed), 0);
    let applied = apply();
    assert_eq!((&applied["outcome"], &applied["name"]), (&json!("renamed"), &json!("Lounge")));
    assert_eq!((&applied["version"], &applied["warnings"]), (&json!(1), &json!([])));
    assert_eq!(apply()["outcome"], "unchanged");
}
