//! Text as Windows writes it: one byte order mark at the beginning of any file, a last line without its end, line ends
//! around a token. What is meant is read, and what is hashed stays what was hashed.

use std::path::Path;

use serde_json::json;

use super::terminal::{LOUNGE, Terminal, answer};
use super::{json_of, perkgate};

const BOM: &str = "\u{FEFF}";

fn marked(text: &str) -> String {
    format!("{BOM}{text}")
}

#[test]
fn every_file_that_people_write_may_begin_with_one() {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    terminal.write("lounge.json", &marked(LOUNGE));
    terminal.ask("perk apply -f lounge.json --merchant cathay --publish");
    terminal.write("lounge.yaml", &marked("perk: sfo-lounge\nname: SFO lounge\nrule: {at_least: 40, score: klout}\n"));
    let same = terminal.ask("perk apply -f lounge.yaml --merchant cathay --publish");
    assert_eq!(same["outcome"], "unchanged", "the rule is the same, to its hash");
    let piped = terminal.run_with_stdin("perk apply -f - --merchant cathay --publish --json", &marked(LOUNGE));
    assert_eq!(answer(&piped, 0)["outcome"], "unchanged");
    terminal.write(
        "lounge.test.json",
        &marked(
            r#"{"perk_file":"lounge.json","cases":[{"name":"in","at":"2026-01-01T00:00:00Z","subject":{"score":40},
                "expect":{"decision":"granted"}}]}"#,
        ),
    );
    terminal.read("perk test -f lounge.test.json");
    terminal.write("scores.csv", &marked("subject,value,observed_at,,\n,,,,\ntwitter:ada,47,2026-01-01T00:00:00Z,,\n"));
    let imported = terminal.ask("score import scores.csv --source klout --merchant cathay");
    assert_eq!((&imported["accepted"], &imported["rejected"]), (&json!(1), &json!(0)));
    terminal.write("perkgate.toml", &marked("score_cache_ttl = \"1s\"\n"));
    terminal.ask("merchant list --config perkgate.toml");
    // The master key, as the secret it is.
    let key = std::fs::read_to_string(terminal.path().join("perkgate.key")).unwrap();
    terminal.write("perkgate.key", &marked(&key));
    terminal.ask("merchant list");
    terminal.write("secret.txt", &marked(&key));
    terminal.ask("merchant list --master-key-file secret.txt");
    // A second mark is text like any other.
    terminal.write("lounge.json", &marked(&marked(LOUNGE)));
    terminal.refused("perk apply -f lounge.json --merchant cathay", 1);
}

/// A mark before the text, no line end behind it, or both.
fn variants(text: &str) -> [String; 3] {
    let bare = text.strip_suffix('\n').unwrap();
    [marked(text), bare.to_owned(), marked(bare)]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_proves_a_record_is_read_behind_one_and_proves_the_same() {
    for world in super::audit::visited().await {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let run = |path: &Path, line: &[&str], code: i32| {
            let done = perkgate(path, line);
            let told = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
            assert_eq!(done.status.code(), Some(code), "{line:?}: {told}");
            done
        };
        let key = world.gateway.keyring.log_key().vkey();
        std::fs::write(at("keys.txt"), marked(&format!("{key}\r\n"))).unwrap();
        let url = world.database.setting();
        let database = ["--database-url", url.as_str()];
        let told = run(directory.path(), &[&["audit", "verify", "--json"], &database[..]].concat(), 0);
        std::fs::write(at("kept.json"), marked(&String::from_utf8(told.stdout).unwrap())).unwrap();
        let verify = ["audit", "verify", "--key", "keys.txt", "--anchor", "kept.json", "--json"];
        let told = run(directory.path(), &[&verify[..], &database].concat(), 0);
        assert_eq!(json_of(&told.stdout)["checked"]["anchors"], 2);

        for file in super::audit::exported(directory.path(), &world) {
            let text = std::fs::read_to_string(at(&file)).unwrap();
            for variant in variants(&text) {
                std::fs::write(at(&file), &variant).unwrap();
                let told = run(directory.path(), &["audit", "verify", &file, "--key", "keys.txt", "--json"], 0);
                assert_eq!(json_of(&told.stdout)["ok"], true);
                let next = ["audit", "export", "--merchant", "cathay", "--since", &file, "-o", "next.ndjson"];
                let master = ["--master-key-file", "master.key"];
                run(directory.path(), &[&next[..], &database, &master].concat(), 0);
                std::fs::remove_file(at("next.ndjson")).unwrap();
            }
            // Of a record that is not the last of all, the missing end is told as before.
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            let cut = lines[..lines.len() - 1].concat();
            std::fs::write(at(&file), cut.trim_end_matches('\n')).unwrap();
            let told = run(directory.path(), &["audit", "verify", &file, "--json"], 1);
            assert!(json_of(&told.stdout)["counts"]["export_cut"].is_u64());
        }
    }
}
