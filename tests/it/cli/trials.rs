//! `perkgate perk simulate` and `perkgate perk backtest`: before a rule is published.

use serde_json::json;

use super::terminal::{LOUNGE, Terminal};

const FEED: &str =
    "subject,value,observed_at\ntwitter:ada,47.25,2026-01-01T00:00:00Z\ntwitter:bob,36,2026-01-01T00:00:00Z\n";

fn cathay() -> Terminal {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    terminal.write("lounge.json", LOUNGE);
    terminal.write("draft.json", &LOUNGE.replace("40", "36"));
    terminal.write("scores.csv", FEED);
    terminal.ask("perk apply -f lounge.json --merchant cathay --publish");
    terminal.ask("score import scores.csv --source klout --merchant cathay");
    terminal
}

#[test]
fn a_subject_and_everyone_are_tried_against_a_file() {
    let terminal = cathay();
    let bob =
        |more: &str| terminal.ask(&format!("perk simulate sfo-lounge --merchant cathay --subject twitter:bob {more}"));
    assert_eq!((&bob("")["decision"], &bob("")["version"]), (&json!("denied"), &json!(1)));
    let denied = bob("");
    assert_eq!((&denied["score"]["value"], &denied["score"]["fresh"]), (&json!(36), &json!(true)));
    assert!(denied["score"]["age_seconds"].is_i64() && denied["reasons"][0]["message"].is_string(), "{denied}");
    let granted = bob("-f draft.json");
    assert_eq!((&granted["decision"], &granted["version"]), (&json!("granted"), &json!(null)));
    assert_eq!(granted["trace"]["tiers"][0]["when"]["had"], 36);
    let told = terminal.read("perk simulate sfo-lounge --merchant cathay --score 39.5 --context '{\"party\":2}'");
    assert!(told.starts_with("denied, by version 1 at "), "{told}");
    assert!(told.contains("no  score gte 40: had 39.5"), "{told}");

    let everyone = terminal.ask("perk simulate sfo-lounge --merchant cathay --everyone -f draft.json");
    assert_eq!((&everyone["total"], &everyone["granted"]), (&json!(2), &json!(2)));
    assert_eq!(
        everyone["published"],
        json!({"version": 1, "newly_admitted": 1, "newly_refused": 0, "tier_changed": 0})
    );
    let told = terminal.read("perk simulate sfo-lounge --merchant cathay --everyone -f draft.json");
    assert!(told.contains("against version 1: 1 newly admitted, 0 newly refused"), "{told}");
    assert!(told.contains("within 3 points of 36: 0 below, 1 at it or above"), "{told}");
}

#[test]
fn a_party_that_never_fits_is_told_the_most() {
    let terminal = cathay();
    let limited = LOUNGE.replace(
        r#"{"at_least":40,"score":"klout"}"#,
        r#"{"tiers":[{"id":"in"}],
            "limits":[{"id":"house","scope":["perk"],"max":5,"cost":"party","window":{"calendar":"day"}}]}"#,
    );
    terminal.write("house.json", &limited);
    for whom in ["--subject twitter:bob", "--score 40"] {
        let line =
            format!("perk simulate sfo-lounge --merchant cathay -f house.json {whom} --context '{{\"party\":6}}'");
        let told = terminal.read(&line);
        assert!(told.starts_with("denied, by "), "{told}");
        assert!(told.contains("  The limit house admits at most 5 at once.\n"), "{told}");
        assert!(!told.contains("would be granted from"), "{told}");
        let told = terminal.ask(&line);
        assert_eq!((&told["reasons"][0]["at_most"], &told["next_eligible_at"]), (&json!(5), &json!(null)));
        assert_eq!(told["reasons"][0]["message"], "The limit house admits at most 5 at once.");
        assert!(told["score"].is_null(), "the rule looks at none");
        assert_eq!((&told["decision"], &told["trace"]["decision"]), (&json!("denied"), &json!("denied")));
    }
}

#[test]
fn a_number_that_the_rule_ignores_refuses_no_trial() {
    let terminal = cathay();
    let simulate = |more: &str| format!("perk simulate sfo-lounge --merchant cathay --score 40 {more}");
    let around = "--context '{\"lat\":37.61882}'";
    assert_eq!(terminal.ask(&simulate(around))["decision"], "granted");
    terminal.ask(&format!("perk simulate sfo-lounge --merchant cathay --everyone {around}"));
    let looking = LOUNGE.replace(
        r#"{"at_least":40,"score":"klout"}"#,
        r#"{"tiers":[{"id":"in","when":{"attr":"context.lat","op":"gte","value":37}}]}"#,
    );
    terminal.write("looking.json", &looking);
    assert!(terminal.refused(&simulate("--context {x}"), 1)[0].starts_with("error: --context: not valid JSON"));
    let refused = terminal.refused(&simulate(&format!("-f looking.json {around}")), 1);
    assert_eq!(refused[0], "error: --context /lat: the rule looks at this number, and it has more than three decimals");
}

#[test]
fn what_cannot_be_tried_is_told() {
    let terminal = cathay();
    let simulate =
        |more: &str, code| terminal.refused(&format!("perk simulate sfo-lounge --merchant cathay {more}"), code);
    assert!(simulate("", 2)[0].contains("required"), "someone has to be meant");
    assert!(simulate("--everyone --subject a", 2)[0].contains("cannot be used with"));
    assert_eq!(simulate("--score 101", 1)[0], "error: the value is off the source's scale, 0 to 100");
    assert!(simulate("--score 1 --context '{\"party\":0}'", 1)[0].starts_with("error: --context /party: "));
    assert_eq!(simulate("--score 1 --version 7", 1)[0], "error: the perk `sfo-lounge` has no version 7");
    terminal.write("spa.json", &LOUNGE.replace("sfo-lounge", "spa"));
    assert!(
        simulate("--score 1 -f spa.json", 1)[0]
            .starts_with("error: spa.json:1:2: /perk: the file is about the perk `spa`")
    );
    assert_eq!(
        terminal.refused("perk simulate spa --merchant cathay --everyone", 1)[0],
        "error: the merchant has no perk `spa`"
    );
    let backtest =
        |more: &str, code| terminal.refused(&format!("perk backtest sfo-lounge --merchant cathay {more}"), code);
    assert!(backtest("", 2).join(" ").contains("--from"));
    assert!(backtest("--from yesterday", 2)[0].contains("RFC 3339"));
    assert_eq!(backtest("--from 2999-01-01T00:00:00Z", 1)[0], "error: the period ends before it begins");
}

#[test]
fn a_period_without_checks_says_so() {
    let terminal = cathay();
    let found = terminal.ask("perk backtest sfo-lounge --merchant cathay --from 2026-01-01T00:00:00Z");
    assert_eq!((&found["checks"], &found["warnings"][0]["code"]), (&json!(0), &json!("no_checks")));
    let told = terminal.read("perk backtest sfo-lounge --merchant cathay --from 2026-01-01T00:00:00Z -f draft.json");
    assert!(told.contains("the rule of the file on 0 checks"), "{told}");
    assert!(told.contains("Nobody was checked for this perk"), "{told}");
}
