//! `perkgate signal import` and `perkgate score compute`: from a file to a score.

use serde_json::json;

use super::terminal::Terminal;

#[test]
fn a_source_is_declared_by_a_file_and_fetched() {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    terminal.write("bluesky.yaml", "connector: bluesky\nbudget: 100\n");
    let made = terminal.ask("source create sky --merchant cathay --pull bluesky.yaml");
    assert_eq!((&made["kind"], &made["name"]), (&json!("pull"), &json!("sky")));
    // Nobody has linked an account, so nothing is sent.
    let done = terminal.ask("source pull sky --merchant cathay");
    assert_eq!((&done["accounts"], &done["requests"]), (&json!(0), &json!(0)));
    let listed = terminal.ask("source list --merchant cathay");
    assert_eq!(listed["sources"][1]["pull"]["budget_left"], 100);
    terminal.write("wrong.json", "{\"connector\": \"myspace\"}");
    let refused = terminal.refused("source create other --merchant cathay --pull wrong.json", 1);
    assert!(refused.concat().contains("the connectors are json, bluesky"), "{refused:?}");
    let refused = terminal.refused("source pull klout --merchant cathay", 1);
    assert!(refused.concat().contains("no source `klout` that is fetched"), "{refused:?}");
}

#[test]
fn signals_are_imported_and_a_source_is_computed() {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    let made = terminal.ask("source create influence --merchant cathay --computed");
    assert_eq!((&made["kind"], &made["min"], &made["max"]), (&json!("computed"), &json!(1), &json!(100)));
    let old = r#"{"subject":"cx:1","network":"bluesky","signal":"repost","at":"2012-05-07T14:32:00Z","by":"ann"}"#;
    terminal.write("signals.ndjson", &format!("{old}\nnonsense\n"));
    let done = terminal.run("signal import signals.ndjson --merchant cathay");
    assert_eq!(done.status.code(), Some(1), "every line was rejected");
    let text = String::from_utf8(done.stdout).unwrap();
    let expected = "0 accepted, 0 unchanged, 0 about people who are not enrolled, 2 rejected\n  line 1: ";
    assert!(text.starts_with(expected) && text.contains("line 2: ") && text.contains("(too_old)"), "{text}");
    let computed = terminal.ask("score compute influence --merchant cathay --dry-run");
    assert_eq!((&computed["people"], &computed["dry_run"]), (&json!(0), &json!(true)));
    let refused = terminal.refused("score compute klout --merchant cathay", 1);
    assert!(refused[0].contains("there is no computed source `klout`"), "{refused:?}");
    let refused = terminal.refused("score compute klout --merchant cathay --all", 1);
    assert!(refused[0].contains("there is no computed source `klout`"), "{refused:?}");
    terminal.write("scores.csv", "subject,value,observed_at\ncx:1,9,2012-05-07T14:32:00Z\n");
    let refused = terminal.refused("score import scores.csv --source influence --merchant cathay", 1);
    assert!(refused[0].contains("is computed"), "{refused:?}");
}
