//! `perkgate perk apply|diff|publish|rollback`: a limit that begins again is told in every one of them.

use serde_json::Value;

use super::terminal::{Terminal, answer};

fn perk(id: &str) -> String {
    format!(
        r#"{{"perk":"lounge","name":"Lounge","rule":{{"score":{{"source":"klout"}},
            "tiers":[{{"id":"t","when":{{"attr":"score","op":"gte","value":40}}}}],
            "limits":[{{"id":"{id}","scope":["subject"],"max":1,"window":{{"calendar":"day"}}}}]}}}}"#
    )
}

#[track_caller]
fn begins_again(answer: &Value, to: &str) {
    let warning = &answer["warnings"][0];
    assert_eq!(
        (&warning["pointer"], &warning["code"]),
        (&"/rule/limits/0".into(), &"limits_restart".into()),
        "{answer}"
    );
    assert!(warning["detail"].as_str().unwrap().contains(&format!("`{to}`")), "{warning}");
}

#[test]
fn a_limit_that_begins_again_is_told_before_and_when_it_does() {
    for terminal in Terminal::all() {
        if terminal.is_on_postgres() {
            terminal.ask("migrate");
        }
        terminal.ask("merchant create cathay --name 'Cathay Pacific'");
        std::fs::create_dir(terminal.path().join("perks")).unwrap();
        terminal.write("perks/lounge.json", &perk("person-day"));
        terminal.ask("perk apply -f perks --merchant cathay --publish");

        terminal.write("perks/lounge.json", &perk("visits"));
        let different = answer(&terminal.run("perk diff -f perks --merchant cathay --json"), 1);
        begins_again(&different["perks"][0], "visits");
        let told = terminal.run("perk diff -f perks --merchant cathay");
        let told = String::from_utf8(told.stdout).unwrap();
        assert!(told.contains("  warning: /rule/limits/0: ") && told.contains("counts no more"), "{told}");
        let plan = terminal.ask("perk apply -f perks --merchant cathay --publish --dry-run");
        begins_again(&plan["perks"][0], "visits");
        let drafted = terminal.ask("perk apply -f perks --merchant cathay");
        begins_again(&drafted["perks"][0], "visits");
        // The draft says the same already, so that applying only publishes it.
        let published = terminal.ask("perk apply -f perks --merchant cathay --publish");
        begins_again(&published["perks"][0], "visits");

        begins_again(&terminal.ask("perk rollback lounge --to 1 --merchant cathay"), "person-day");
        terminal.ask("perk apply -f perks/lounge.json --merchant cathay");
        let published = terminal.run("perk publish lounge --merchant cathay");
        let published = String::from_utf8(published.stdout).unwrap();
        assert!(published.contains("warning: /rule/limits/0: "), "{published}");
        begins_again(&terminal.ask("perk rollback lounge --to 1 --merchant cathay"), "person-day");
    }
}
