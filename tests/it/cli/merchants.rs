//! `perkgate merchant`, and which commands may make a database.

use super::terminal::{Terminal, members};

#[test]
fn the_first_merchant_of_a_fresh_directory_makes_the_database_and_its_key() {
    let terminal = Terminal::new();
    let made = terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    assert_eq!(members(&made), ["created_at", "id", "name", "slug", "time_zone"]);
    assert!(made["id"].as_str().unwrap().starts_with("mer_"));
    assert_eq!((&made["slug"], &made["name"]), (&"cathay".into(), &"Cathay Pacific".into()));
    // No write-ahead log is left: the file alone is the whole database.
    assert_eq!(terminal.files(), ["perkgate.db", "perkgate.key"]);

    terminal.ask("merchant create american --name 'American Airlines'");
    let listed = terminal.ask("merchant list");
    let slugs: Vec<_> = listed["merchants"].as_array().unwrap().iter().map(|it| it["slug"].as_str().unwrap()).collect();
    assert_eq!(slugs, ["cathay", "american"]);
    assert!(terminal.read("merchant list").contains("American Airlines"));
}

#[test]
fn a_new_database_is_told_of_with_how_to_name_another() {
    let terminal = Terminal::new();
    let told = |line: &str| String::from_utf8(terminal.run(line).stderr).unwrap();
    let first = told("merchant create cathay --name 'Cathay Pacific'");
    assert!(first.contains("no database at sqlite:perkgate.db, so a new one was made"), "{first}");
    assert!(first.contains("--database-url or PERKGATE_DATABASE_URL"), "{first}");
    let second = told("merchant create american --name 'American Airlines'");
    assert!(!second.contains("a new one was made"), "{second}");
}

#[test]
fn what_begins_nothing_makes_no_database() {
    let terminal = Terminal::new();
    terminal.write("f.json", super::terminal::LOUNGE);
    terminal.write("f.csv", "subject,value,observed_at\n");
    for line in [
        "merchant list",
        "key list",
        "key list --merchant cathay",
        "key create --merchant cathay --role admin --label a",
        "key revoke key_00000000000070008000000000000000",
        "perk apply -f f.json --merchant cathay",
        "perk list --merchant cathay",
        "perk show sfo-lounge --merchant cathay",
        "source create kred --merchant cathay --min 1 --max 1000",
        "source list --merchant cathay",
        "score import f.csv --source klout --merchant cathay",
        "score show twitter:ada --source klout --merchant cathay",
        "score compute influence --merchant cathay",
        "signal import f.csv --merchant cathay",
    ] {
        let told = terminal.refused(line, 1);
        assert_eq!(told[0], "error: there is no database at sqlite:perkgate.db", "{line}");
        assert!(told[1].starts_with("  try: --database-url"), "{line}");
        assert_eq!(terminal.files(), ["f.csv", "f.json"], "{line}");
    }
}

#[test]
fn a_merchant_is_made_once_and_its_names_must_fit() {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    assert_eq!(
        terminal.refused("merchant create cathay --name Other", 1),
        ["error: there is a merchant `cathay` already", "  try: `perkgate merchant list` shows it"]
    );
    assert_eq!(
        terminal.refused("merchant create other --name ''", 1),
        ["error: --name: use 1 to 120 characters without control or direction characters"]
    );
    for slug in ["Cathay", "a/b", "operator", "''"] {
        let told = terminal.refused(&format!("merchant create {slug} --name Other"), 2);
        assert!(told[0].contains("for '<SLUG>'"), "{told:?}");
    }
    assert_eq!(terminal.ask("merchant list")["merchants"].as_array().unwrap().len(), 1);
}

#[test]
fn a_merchants_time_zone_is_said_when_it_is_made_or_later() {
    let terminal = Terminal::new();
    let made = terminal.ask("merchant create cathay --name 'Cathay Pacific' --time-zone Asia/Hong_Kong");
    assert_eq!(made["time_zone"], "Asia/Hong_Kong");
    assert_eq!(terminal.ask("report grants --merchant cathay")["time_zone"], "Asia/Hong_Kong");
    assert_eq!(terminal.ask("report grants --merchant cathay --time-zone UTC")["time_zone"], "UTC");
    assert_eq!(terminal.ask("merchant set cathay --time-zone America/Los_Angeles")["time_zone"], "America/Los_Angeles");
    assert_eq!(terminal.ask("merchant list")["merchants"][0]["time_zone"], "America/Los_Angeles");
    assert!(terminal.read("report billing --merchant cathay").contains("days are those of America/Los_Angeles"));
    assert_eq!(terminal.ask("audit verify")["ok"], true);
    for line in ["merchant set cathay --time-zone Mars", "merchant create other --name Other --time-zone Mars"] {
        let told = terminal.refused(line, 1);
        assert!(told[0].starts_with("error: --time-zone: there is no time zone `Mars`"), "{told:?}");
    }
    let told = terminal.refused("merchant set nobody --time-zone UTC", 1);
    assert_eq!(told[0], "error: there is no merchant `nobody`");
    terminal.refused("merchant set cathay", 2);
}

#[test]
fn a_database_is_opened_with_its_own_master_key_only() {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    terminal.write("other.key", &terminal.read("key master"));
    let told = terminal.refused("merchant list --master-key-file other.key", 1);
    assert!(told[0].starts_with("error: the master key is not the one"), "{told:?}");
    assert!(told[1].contains("--master-key-file"), "{told:?}");
}

#[test]
fn a_source_says_how_often_it_is_renewed() {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    let made = terminal.ask("source create kred --merchant cathay --min 1 --max 1000 --refresh P1W");
    assert_eq!(made, serde_json::json!({"name": "kred", "min": 1, "max": 1000, "refresh": "P7D", "kind": "push"}));
    let listed = terminal.ask("source list --merchant cathay");
    assert_eq!(listed["sources"][0].get("refresh"), None);
    assert_eq!(listed["sources"][1]["refresh"], "P7D");
    let told = terminal.refused("source create s --merchant cathay --min 1 --max 2 --refresh P1M", 2);
    assert!(told[0].contains("years and months have no fixed length"), "{told:?}");
}
