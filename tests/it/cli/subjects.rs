//! `perkgate subject`: erasing a person and telling them, without their name on a command line.

use serde_json::json;

use super::terminal::{LOUNGE, Terminal, answer, members};

const FEED: &str = "subject,value,observed_at\ntwitter:ada,37,2012-05-08T09:00:00Z\n";

#[test]
fn a_person_is_told_and_erased_by_a_handle_that_nobody_sees() {
    for terminal in Terminal::all() {
        if terminal.is_on_postgres() {
            terminal.run("migrate");
        }
        terminal.ask("merchant create cathay --name 'Cathay Pacific'");
        terminal.write("lounge.json", LOUNGE);
        terminal.ask("perk apply -f lounge.json --merchant cathay --publish");
        terminal.write("feed.csv", FEED);
        terminal.ask("score import feed.csv --source klout --merchant cathay");

        let told = terminal.run_with_stdin("subject record - --merchant cathay --json", " Twitter:Ada\n");
        let told = answer(&told, 0);
        assert_eq!(members(&told), ["events", "limits", "pseudonym", "scores", "since", "subject"]);
        assert_eq!((&told["subject"], &told["scores"][0]["value"]), (&json!("twitter:ada"), &json!(37)));
        let text = terminal.run("subject record twitter:ada --merchant cathay");
        let text = String::from_utf8(text.stdout).unwrap();
        assert!(
            text.starts_with("What is held on twitter:ada\nNo event is about this person\nScore 37 from"),
            "{text}"
        );

        let erased = terminal.run_with_stdin("subject erase - --merchant cathay --yes --json", "twitter:ada");
        let erased = answer(&erased, 0);
        assert_eq!((&erased["erased"], &erased["scores"], &erased["purged"]), (&json!(true), &json!(1), &json!(true)));
        let again = terminal.run("subject erase twitter:ada --merchant cathay --yes");
        assert_eq!(again.status.code(), Some(0));
        let text = String::from_utf8(again.stdout).unwrap();
        assert_eq!(text, "Nothing is held on this person: never known here, or erased before\n");
        assert_eq!(terminal.ask("audit verify")["checked"]["erased"], 1);
    }
}

#[test]
fn what_cannot_be_a_handle_is_refused_and_not_repeated() {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    let told = terminal.run_with_stdin("subject erase - --merchant cathay", "secret name\n");
    assert_eq!(told.status.code(), Some(1));
    let text = String::from_utf8(told.stderr).unwrap();
    assert!(text.contains("no white space") && !text.contains("secret"), "{text}");
    assert_eq!(terminal.run_with_stdin("subject erase - --merchant cathay", "").status.code(), Some(1));
    terminal.refused("subject erase twitter:ada --merchant nobody", 1);
    let help = String::from_utf8(terminal.run("subject erase --help").stdout).unwrap();
    assert!(help.contains("process lists"), "{help}");
}
