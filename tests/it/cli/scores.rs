//! `perkgate source` and `perkgate score`.

use serde_json::json;

use super::terminal::{Terminal, answer, members};

fn cathay() -> Terminal {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    terminal
}

const FEED: &str = "subject,value,observed_at\n\
    twitter:ada,47.25,2012-05-08T09:00:00Z\n\
    twitter:bob,101,2012-05-08T09:00:00Z\n\
    Twitter:Ada,40,2012-05-07T09:00:00Z\n\
    twitter:eve,39.9999,2012-05-08T09:00:00Z\n\
    twitter:joe,12,2012-05-08T09:00:00Z\n";

#[test]
fn an_import_keeps_the_good_lines_and_lists_the_bad_ones() {
    let terminal = cathay();
    terminal.write("feed.csv", FEED);
    let first = terminal.ask("score import feed.csv --source klout --merchant cathay");
    assert_eq!(members(&first), ["accepted", "errors", "rejected", "stale", "unchanged"]);
    let counts = json!([first["accepted"], first["unchanged"], first["stale"], first["rejected"]]);
    assert_eq!(counts, json!([2, 0, 1, 2]));
    let errors: Vec<_> = first["errors"].as_array().unwrap().iter().map(|it| json!([it["line"], it["code"]])).collect();
    assert_eq!(errors, [json!([3, "off_scale"]), json!([4, "stale"]), json!([5, "too_precise"])]);
    assert!(first["errors"][0]["detail"].as_str().unwrap().contains("0 to 100"));

    let again = terminal.run("score import feed.csv --source klout --merchant cathay");
    assert_eq!(again.status.code(), Some(0), "some lines were good");
    let text = String::from_utf8(again.stdout).unwrap();
    assert!(text.starts_with("0 accepted, 2 unchanged, 1 stale, 2 rejected\n  line 3: "), "{text}");
    assert!(again.stderr.is_empty(), "no progress is drawn where there is no terminal");

    let shown = terminal.ask("score show TWITTER:ada --source klout --merchant cathay");
    assert_eq!(
        shown,
        json!({"source": "klout", "subject": "twitter:ada", "value": 47.25, "observed_at": "2012-05-08T09:00:00Z"})
    );
    let history = terminal.ask("score history TWITTER:ada --source klout --merchant cathay");
    assert_eq!((&history["high"], &history["changes"]["day"]), (&json!(47.25), &json!(null)));
    assert_eq!(history["days"].as_array().map(Vec::len), Some(1));
    let read = terminal.read("score history twitter:ada --source klout --merchant cathay --days 400");
    assert!(read.contains("  47.25") && read.contains("From 47.25 to 47.25 in 90 days"), "{read}");
    let none = terminal.read("score history twitter:eve --source klout --merchant cathay");
    assert!(none.contains("has had no score from `klout`"), "{none}");
    terminal.refused("score history twitter:ada --source klout --merchant cathay --days 401", 2);
    let absent = terminal.refused("score show twitter:eve --source klout --merchant cathay", 1);
    assert_eq!(
        absent,
        [
            "error: there is no score of this person from `klout`",
            "  try: the person as the feed writes them, `network:handle` or a member number",
        ]
    );
}

#[test]
fn a_feed_comes_from_standard_input_too_and_its_format_must_be_known() {
    let terminal = cathay();
    let line = r#"{"subject":"twitter:ada","value":92,"observed_at":"2012-08-14T00:00:00Z"}"#;
    let import = "score import - --source klout --merchant cathay --json";
    let told = terminal.run_with_stdin(import, line);
    assert_eq!(told.status.code(), Some(2));
    let imported = terminal.run_with_stdin(&format!("{import} --format ndjson"), line);
    assert_eq!(answer(&imported, 0)["accepted"], 1);
    terminal.write("feed.jsonl", line);
    assert_eq!(terminal.ask("score import feed.jsonl --source klout --merchant cathay")["unchanged"], 1);
    terminal.write("feed.txt", line);
    let told = terminal.refused("score import feed.txt --source klout --merchant cathay", 2);
    assert_eq!(told[1], "  try: --format csv or --format ndjson");
}

#[test]
fn an_import_of_which_nothing_is_good_fails() {
    let terminal = cathay();
    terminal.write("feed.ndjson", "{\"subject\":\"a\"}\nnonsense\n");
    let done = terminal.run("score import feed.ndjson --source klout --merchant cathay --json");
    assert_eq!(answer(&done, 1)["rejected"], 2);
    terminal.write("odd.csv", "subject,valu,observed_at\na,1,2012-05-08T00:00:00Z\nb,1,2012-05-08T00:00:00Z\n");
    let odd = terminal.run("score import odd.csv --source klout --merchant cathay");
    let told = String::from_utf8(odd.stdout).unwrap();
    assert_eq!((odd.status.code(), told.matches("the header must name").count()), (Some(1), 1), "{told}");
    assert!(told.starts_with("0 accepted, 0 unchanged, 0 stale, 3 rejected\n") && told.lines().count() == 2, "{told}");
    terminal.write("empty.csv", "");
    terminal.write("headed.csv", "subject,value,observed_at\n");
    terminal.write("empty.ndjson", "");
    for empty in ["empty.csv", "headed.csv", "empty.ndjson"] {
        let import = format!("score import {empty} --source klout --merchant cathay");
        assert_eq!(terminal.ask(&import)["rejected"], 0);
        assert_eq!(terminal.read(&import), "there was no row in it: nothing was imported\n");
    }
    let absent = terminal.refused("score import absent.csv --source klout --merchant cathay", 1);
    assert!(absent[0].starts_with("error: absent.csv can't be read"), "{absent:?}");
    let unknown = terminal.refused("score import empty.csv --source kred --merchant cathay", 1);
    assert_eq!(unknown[0], "error: the merchant has no source `kred`");
}

#[test]
fn a_source_is_made_with_its_scale_once() {
    let terminal = cathay();
    let made = terminal.ask("source create kred --merchant cathay --min 1 --max 1000");
    assert_eq!(made, json!({"name": "kred", "min": 1, "max": 1000, "kind": "push"}));
    terminal.ask("source create mood --merchant cathay --min -2.5 --max -0.5");
    let listed = terminal.ask("source list --merchant cathay");
    assert_eq!(
        listed["sources"],
        json!([
            {"name": "klout", "min": 0, "max": 100, "kind": "push"},
            {"name": "kred", "min": 1, "max": 1000, "kind": "push"},
            {"name": "mood", "min": -2.5, "max": -0.5, "kind": "push"},
        ])
    );
    for (line, told) in [
        ("source create kred --merchant cathay --min 1 --max 9", "error: the merchant has a source `kred` already"),
        ("source create klout --merchant cathay --min 1 --max 9", "error: the source `klout` is there from the start"),
        ("source create flat --merchant cathay --min 1 --max 1", "error: a scale's minimum must be below its maximum"),
    ] {
        let refused = terminal.refused(line, 1);
        assert_eq!(refused[0], told);
        assert!(refused[1].starts_with("  try: "), "{refused:?}");
    }
    terminal.refused("source create fine --merchant cathay --min 1.2345 --max 9", 2);
}
