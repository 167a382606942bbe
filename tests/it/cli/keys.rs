//! `perkgate key`: secrets are shown once, and a revoked key is dead.

use perkgate::access::{Refused, Role};
use perkgate::foundation::clock::Clock;
use serde_json::Value;

use super::terminal::{Terminal, members};

const VIEW: [&str; 15] = [
    "airports",
    "audience",
    "created_at",
    "created_by",
    "expires_at",
    "id",
    "kiosk",
    "label",
    "last_used_at",
    "location",
    "merchant",
    "origins",
    "revoked_at",
    "role",
    "status",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_key_works_until_it_is_revoked() {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    let made = terminal
        .ask("key create --merchant cathay --role kiosk --label 'SFO A12' --location SFO-A --kiosk A12 --expires 90d");
    assert_eq!((&made["role"], &made["created_by"]), (&"kiosk".into(), &"cli".into()));
    assert_eq!((&made["location"], &made["kiosk"], &made["audience"]), (&"SFO-A".into(), &"A12".into(), &Value::Null));
    let (id, secret) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let day = |member: &str| made[member].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second() / 86_400;
    assert_eq!(day("expires_at") - day("created_at"), 90);

    let gateway = terminal.gateway().await;
    let principal = gateway.directory.authenticate(secret, Clock::System.now()).await.unwrap();
    assert_eq!((principal.role, principal.location.as_deref()), (Role::Kiosk, Some("SFO-A")));

    let foreign = terminal.refused(&format!("key revoke {id} --operator"), 1);
    assert_eq!(foreign[0], format!("error: the operator has no key `{id}`"));
    let revoked = terminal.ask(&format!("key revoke {id} --merchant cathay --yes"));
    assert_eq!((&revoked["id"], &revoked["status"]), (&made["id"], &"revoked".into()));
    let again = terminal.ask(&format!("key revoke {id} --merchant cathay --yes"));
    assert_eq!(again["revoked_at"], revoked["revoked_at"]);
    gateway.directory.poll().await.unwrap();
    assert_eq!(gateway.directory.authenticate(secret, Clock::System.now()).await.unwrap_err(), Refused::Revoked);
}

#[test]
fn a_key_in_the_wrong_directory_makes_no_database() {
    let terminal = Terminal::new();
    for line in ["key create --role operator --label ops", "key list", "source list --merchant cathay"] {
        let refused = terminal.refused(line, 1);
        assert!(refused[0].starts_with("error: there is no database at "), "{line}: {refused:?}");
        assert!(refused[1].contains("`perkgate serve` makes a new one"), "{line}: {refused:?}");
        assert_eq!(terminal.files(), Vec::<String>::new(), "{line}");
    }
    terminal.ask("migrate");
    let operator = terminal.ask("key create --role operator --label ops");
    assert!(operator["key"].as_str().unwrap().starts_with("pgk_"));
}

#[test]
fn a_secret_is_shown_once_and_stored_nowhere() {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    let operator = terminal.ask("key create --role operator --label ops");
    assert_eq!(operator["merchant"], Value::Null);
    let shown = terminal.run("key create --merchant cathay --role admin --label Ada");
    let (text, note) = (String::from_utf8(shown.stdout).unwrap(), String::from_utf8(shown.stderr).unwrap());
    let secret = text.lines().last().unwrap().split_whitespace().last().unwrap().to_owned();
    assert!(secret.starts_with("pgk_") && secret.len() == 61, "{text}");
    assert!(note.contains("shown this once") && !note.contains("pgk_"), "{note}");

    let operators = terminal.ask("key list --operator");
    let admins = terminal.ask("key list --merchant cathay");
    for listed in [&operators, &admins] {
        assert_eq!(listed["keys"].as_array().unwrap().len(), 1);
        assert_eq!(members(&listed["keys"][0]), VIEW);
        assert!(!listed.to_string().contains("pgk_"));
    }
    assert_eq!(operators["keys"][0]["id"], operator["id"]);
    assert_eq!((&admins["keys"][0]["label"], &admins["keys"][0]["merchant"]), (&"Ada".into(), &"cathay".into()));
    assert!(!terminal.read("key list --merchant cathay").contains("pgk_"));
    let stored = std::fs::read(terminal.path().join("perkgate.db")).unwrap();
    assert!(!stored.windows(secret.len()).any(|part| part == secret.as_bytes()));
}

#[test]
fn a_key_for_pages_names_their_origins() {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    let create = "key create --merchant cathay --role kiosk --label page";
    let made = terminal.ask(&format!("{create} --origin HTTPS://Kiosk.Example.com --origin http://localhost:5173"));
    assert_eq!(made["origins"], serde_json::json!(["http://localhost:5173", "https://kiosk.example.com"]));
    assert!(terminal.read("key list --merchant cathay").contains("kiosk.example.com"));
    for (origin, why) in [("*", "every page"), ("null", "sandboxed"), ("https://a.example/", "no path")] {
        let refused = terminal.refused(&format!("{create} --origin {origin}"), 2).join(" ");
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn what_does_not_fit_together_is_told_by_its_flag() {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    assert_eq!(
        terminal.refused(
            "key create --merchant cathay --role kiosk --label x --audience a --expires 2012-05-08T00:00:00Z",
            1
        ),
        ["error: --audience: only door keys have an audience", "error: --expires: the expiry must lie in the future"]
    );
    terminal.ask("merchant create american --name 'American Airlines'");
    let unowned = terminal.refused("key create --role kiosk --label x", 1);
    assert_eq!(unowned[0], "error: which merchant? There are `cathay`, `american`");
    let operators = terminal.refused("key create --role operator --label x --merchant cathay", 1);
    assert_eq!(operators, ["error: --merchant: an operator key belongs to no merchant"]);
    let unknown = terminal.refused("key create --merchant nobody --role kiosk --label x", 1);
    assert_eq!(unknown[0], "error: there is no merchant `nobody`");
    assert!(unknown[1].starts_with("  try: "));
    for usage in [
        "key create --merchant cathay --role king --label x",
        "key create --merchant cathay --role kiosk --label x --expires tomorrow",
        "key revoke pgk_secret --merchant cathay",
        "key create --merchant cathay --role kiosk",
    ] {
        terminal.refused(usage, 2);
    }
    // A key that is given where something else belongs is not repeated: the complaint may be kept.
    let secret = format!("pgk_{}_0123abcd", "5e".repeat(24));
    for line in ["key revoke", "key revoke --json", "perk show", "source list --merchant", "audit verify --anchor"] {
        let told = terminal.run(&format!("{line} {secret}"));
        let told = [told.stdout, told.stderr].concat();
        assert!(!String::from_utf8_lossy(&told).contains(&secret), "{line}");
    }
    assert_eq!(terminal.ask("key list --merchant cathay")["keys"], Value::Array(vec![]));
}
