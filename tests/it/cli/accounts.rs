//! `perkgate account`: a link is printed once, and an account that is over leaves its key in the log.

use serde_json::Value;

use super::terminal::{Terminal, members};

const INVITED: [&str; 9] =
    ["account", "created_at", "has_password", "key", "label", "link", "link_expires_at", "merchant", "role"];

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_made_listed_reset_and_ended() {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    let made = terminal.ask("account create Mei@cathay.example --role admin --merchant cathay");
    assert_eq!(members(&made), INVITED);
    assert_eq!((&made["account"], &made["label"]), (&"mei@cathay.example".into(), &"mei".into()));
    assert_eq!((&made["role"], &made["has_password"]), (&"admin".into(), &false.into()));
    let link = made["link"].as_str().unwrap();
    let (_, token) = link.split_once("/console/links/").unwrap();
    assert_eq!(token.len(), 43);
    let second = |member: &str| made[member].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
    assert_eq!(second("link_expires_at") - second("created_at"), 3_600);

    let listed = terminal.ask("account list");
    assert_eq!(listed["accounts"].as_array().unwrap().len(), 1);
    assert!(!listed.to_string().contains(token), "a link is shown once");
    let again = terminal.ask("account reset mei@cathay.example --yes");
    assert!(again["link"] != made["link"] && again["key"] == made["key"], "{again}");

    assert_eq!(again["keys_made"], Value::Array(Vec::new()));

    let operator = terminal.ask("account create ops@gate.example --role operator --label 'The night shift'");
    assert_eq!((&operator["merchant"], &operator["label"]), (&Value::Null, &"The night shift".into()));
    assert_eq!(terminal.ask("account list --operator")["accounts"][0]["account"], "ops@gate.example");

    let ended = terminal.ask("account disable mei@cathay.example --yes");
    assert_eq!((&ended["key"], &ended["disabled"]), (&made["key"], &true.into()));
    assert_eq!(terminal.ask("account list")["accounts"], Value::Array(Vec::new()));
    let keys = terminal.ask("key list").to_string();
    assert!(keys.contains("revoked") && keys.contains(made["key"].as_str().unwrap()), "{keys}");
}

#[test]
fn a_person_with_a_key_gets_an_account_that_acts_under_it() {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    let key = terminal.ask("key create --role admin --label Mei");
    let id = key["id"].as_str().unwrap();
    let made = terminal.ask(&format!("account create mei@cathay.example --as {id}"));
    assert_eq!((&made["key"], &made["label"], &made["role"]), (&id.into(), &"Mei".into(), &"admin".into()));
    let refused = |line: &str| terminal.refused(line, 1)[0].clone();
    assert!(refused(&format!("account create bo@cathay.example --as {id}")).contains("another account acts under it"));
    let kiosk = terminal.ask("key create --role kiosk --label A");
    let kiosk = kiosk["id"].as_str().unwrap();
    assert!(refused(&format!("account create bo@cathay.example --as {kiosk}")).contains("people act under keys of"));
    let unknown = "account create bo@cathay.example --as key_00000000000070008000000000000001";
    assert!(refused(unknown).starts_with("error: no such key"), "{}", refused(unknown));
    terminal.refused(&format!("account create bo@cathay.example --as {id} --role admin"), 2);
    terminal.refused("account create bo@cathay.example", 2);
    assert_eq!(terminal.ask("account list")["accounts"].as_array().unwrap().len(), 1);
    terminal.ask("audit verify");
}

#[test]
fn what_can_not_be_an_account_is_refused_with_what_can() {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    terminal.ask("account create mei --role auditor");
    let taken = terminal.refused("account create MEI --role admin", 1);
    assert_eq!(taken[0], "error: there is an account `mei` already");
    let unknown = terminal.refused("account reset rafael --yes", 1);
    assert_eq!(unknown[0], "error: no such account");
    assert!(unknown[1].contains("perkgate account list"), "{unknown:?}");
    let operator = terminal.refused("account create ops --role operator --merchant cathay", 1);
    assert!(operator[0].contains("an operator key belongs to no merchant"), "{operator:?}");
    terminal.refused("account create ops --role kiosk", 2);
    terminal.refused("account create 'a b' --role admin", 2);
    terminal.refused("account disable mei", 2);
}

#[test]
#[cfg(feature = "oidc")]
fn an_account_is_linked_to_a_subject_and_unlinked() {
    for terminal in Terminal::all() {
        terminal.ask("migrate");
        terminal.ask("merchant create cathay --name 'Cathay Pacific'");
        let made = terminal.ask("account create mei@cathay.example --role admin --merchant cathay");
        terminal.ask("account create bo@cathay.example --role auditor --merchant cathay");
        let without = terminal.refused("account link mei@cathay.example 00u7", 1);
        assert!(without[0].contains("no provider is set"), "{without:?}");
        terminal.write("login.toml", "oidc_issuer = \"https://id.example\"\noidc_client_id = \"perkgate\"\n");
        let linked = terminal.ask("--config login.toml account link mei@cathay.example 00u7 --merchant cathay");
        assert_eq!((&linked["key"], &linked["issuer"]), (&made["key"], &"https://id.example".into()));
        assert_eq!(linked["subject"], "00u7");
        let taken = terminal.refused("--config login.toml account link bo@cathay.example 00u7", 1);
        assert!(taken[0].contains("another account is linked to this subject"), "{taken:?}");
        let unfit = terminal.refused("--config login.toml account link bo@cathay.example ' '", 1);
        assert!(unfit[0].contains("at most 255 plain ASCII characters"), "{unfit:?}");
        let unlinked = terminal.ask("account unlink mei@cathay.example --yes");
        assert_eq!((&unlinked["issuer"], &unlinked["subject"]), (&Value::Null, &Value::Null));
        terminal.write("half.toml", "oidc_issuer = \"https://id.example\"\n");
        let half = terminal.refused("--config half.toml account list", 1);
        assert!(half[0].contains("oidc_client_id"), "{half:?}");
    }
}
