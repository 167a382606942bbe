//! `perkgate model`: models as files, and a score that is taken apart.

use perkgate::foundation::decimal::Decimal;
use serde_json::{Value, json};

use super::json_of;
use super::terminal::Terminal;

const DAY: &str = "2020-11-27";

/// Thirty people repost one thing, and the account has followers; the person's own posts say nothing.
fn signals() -> String {
    let at = format!("{DAY}T09:00:00Z");
    let by = |nth: usize| format!("p{nth}");
    let repost =
        |nth| json!({"subject":"cx:1","network":"bluesky","signal":"repost","at":at,"by":by(nth),"object":"o"});
    let others = [
        json!({"subject":"cx:1","network":"github","signal":"followers","at":at,"value":120}),
        json!({"subject":"cx:1","network":"bluesky","signal":"post_made","at":at,"object":"o"}),
        json!({"subject":"cx:2","network":"bluesky","signal":"like_given","at":at}),
    ];
    let lines: Vec<String> = (0..30).map(repost).chain(others).map(|line| line.to_string()).collect();
    format!("{}\n\n", lines.join("\n"))
}

fn thousandths(points: &Value) -> i64 {
    points.to_string().parse::<Decimal>().unwrap().thousandths()
}

#[test]
fn the_shipped_model_is_sound_and_says_what_it_was_fitted_on() {
    let terminal = Terminal::new();
    let shown = terminal.ask("model show");
    assert_eq!(shown["model"]["population"]["name"], "generated, seed 1");
    terminal.write("model.json", &shown["model"].to_string());
    assert_eq!(terminal.ask("model lint model.json")["hash"], shown["hash"]);
    assert_eq!(terminal.ask("model diff model.json model.json")["changes"], json!([]));
    assert!(terminal.read("model show").contains("generated, seed 1"));
}

#[test]
fn what_is_wrong_with_a_model_is_pointed_at_and_differences_are_sentences() {
    let terminal = Terminal::new();
    let mut model = terminal.ask("model show")["model"].clone();
    terminal.write("before.json", &model.to_string());
    model["networks"][0]["reach"] = json!(0.5);
    terminal.write("after.json", &model.to_string());
    let done = terminal.run("model diff before.json after.json --json");
    assert_eq!(done.status.code(), Some(1));
    let changes = json_of(&done.stdout)["changes"].clone();
    assert_eq!(changes[0]["sentence"], "bluesky's reach was 0.8, and is 0.5.");
    model["networks"][0]["features"][0]["weight"] = json!(0.9);
    terminal.write("bad.json", &model.to_string());
    let complaint = terminal.refused("model lint bad.json", 1).join("\n");
    assert!(complaint.contains("the weights of `bluesky` add up to") && complaint.contains("bad.json"), "{complaint}");
    assert_eq!(terminal.run("model diff before.json nowhere.json").status.code(), Some(2));
}

#[test]
fn parts_add_up_and_say_what_would_add_more() {
    let terminal = Terminal::new();
    terminal.write("signals.ndjson", &signals());
    let explained = terminal.ask(&format!("model explain cx:1 --signals signals.ndjson --on {DAY}"));
    let parts = explained["parts"].as_array().unwrap();
    let sum: i64 = parts.iter().map(|part| thousandths(&part["points"])).sum();
    assert_eq!(sum, thousandths(&explained["score"]) - 1_000);
    assert_eq!((&explained["engagers"], &explained["days"]), (&json!(30), &json!(1)));
    let signals: Vec<_> = parts.iter().map(|part| part["signal"].as_str().unwrap()).collect();
    assert_eq!(signals, ["repost", "repost", "followers"]);
    assert!(!explained["steps"].as_array().unwrap().is_empty());
    let read = terminal.read(&format!("model explain cx:1 --signals signals.ndjson --on {DAY} --since 2020-11-20"));
    assert!(read.contains("A little more would add:") && read.contains("On 2020-11-20 it was no score."), "{read}");
    let later = terminal.ask("model explain cx:1 --signals signals.ndjson --on 2020-11-30");
    assert_eq!(later["score"], explained["score"], "within a week nothing ages");
    let over = terminal.ask("model explain cx:1 --signals signals.ndjson --on 2021-02-25");
    assert_eq!(over["score"], Value::Null, "after ninety days");
    let own = terminal.ask(&format!("model explain cx:2 --signals signals.ndjson --on {DAY}"));
    assert_eq!((&own["score"], &own["parts"]), (&Value::Null, &json!([])));
}

#[test]
fn lines_that_are_no_signals_are_named() {
    let terminal = Terminal::new();
    let bad = r#"{"subject":"cx:1","network":"bluesky","signal":"repost","at":"2020-11-27T09:00:00Z"}"#;
    terminal.write("signals.ndjson", &format!("{}{bad}\nnonsense\n", signals()));
    let complaint = terminal.refused("model explain cx:1 --signals signals.ndjson", 1).join("\n");
    assert!(complaint.contains("signals.ndjson:35") && complaint.contains("give `by`"), "{complaint}");
    assert!(complaint.contains("signals.ndjson:36"), "{complaint}");
    terminal.refused("model explain cx:1 --signals absent.ndjson", 1);
    terminal.refused(&format!("model explain cx:1 --signals signals.ndjson --on {DAY} --since {DAY}"), 1);
}

#[test]
fn a_model_is_fitted_on_people_and_written_over_nothing() {
    let terminal = Terminal::new();
    terminal.write("draft.json", &terminal.ask("model show")["model"].to_string());
    let fitted = terminal.ask("model fit draft.json --generated 2000 --on 2020-11-30 --out model.json");
    assert!(
        fitted["people"].as_u64().unwrap() >= 1000 && fitted["hash"] == terminal.ask("model show model.json")["hash"]
    );
    let again = terminal.refused("model fit draft.json --generated 2000 --out model.json", 1);
    assert!(again[0].contains("model.json is there already"), "{again:?}");
    terminal.write("few.ndjson", &signals());
    let few =
        terminal.refused("model fit draft.json --signals few.ndjson --population few --out few.json", 1).join("\n");
    assert!(few.contains("at least 1000 people"), "{few}");
}

#[test]
fn a_model_is_published_for_a_computed_source() {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    terminal.ask("source create influence --merchant cathay --computed");
    let mut model = terminal.ask("model show")["model"].clone();
    model["name"] = json!("ours");
    terminal.write("ours.json", &model.to_string());
    let published = terminal.ask("model publish ours.json --source influence --merchant cathay --grace-days 0");
    assert_eq!((&published["source"], &published["status"]), (&json!("influence"), &json!("published")));
    assert_eq!(published["model"], terminal.ask("model lint ours.json")["hash"]);
    let read = terminal.read("model publish ours.json --source influence --merchant cathay");
    assert!(read.contains("computes by the model"), "the same again: {read}");
    terminal.refused("model publish ours.json --source klout --merchant cathay", 1);
    terminal.refused("model publish ours.json --source influence --merchant cathay --grace-days 367", 2);
}
