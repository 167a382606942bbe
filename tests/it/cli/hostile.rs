//! What comes from files, rows, names and servers never steers the terminal it is shown on, nor passes for a line of the
//! program's own.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Output;

use diesel::connection::SimpleConnection as _;
use perkgate::access::{NewKey, Role};
use perkgate::database::DatabaseError;

use super::terminal::{LOUNGE, Terminal};
use crate::support::world::{CLI, question};

/// Clears the screen, colours it, turns the order of reading, goes back to the line's begin and claims what isn't so.
const HOSTILE: &str =
    "x\u{1b}[2J\u{1b}]0;t\u{7}\u{9b}31m\u{85}\u{7f}\u{202e}\u{2066}\u{200f}\u{61c}\rforged\nforged\tverdict";

fn steers(letter: char) -> bool {
    letter.is_control() && letter != '\n'
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether what was shown holds what was to be escaped, and that it was.
#[track_caller]
fn is_escaped(what: &str, done: &Output) -> bool {
    let mut shows = false;
    for bytes in [&done.stdout, &done.stderr] {
        let text = String::from_utf8(bytes.clone()).unwrap();
        // Rows of CSV end as RFC 4180 has it.
        let wrong = text.replace("\r\n", "\n").chars().find(|letter| steers(*letter));
        assert_eq!(wrong, None, "{what}: {text:?}");
        assert!(!text.lines().any(|line| line.starts_with("forged")), "{what}: {text}");
        shows |= text.contains(r"\u001b[2J");
    }
    shows
}

/// Runs it for people and for programs.
#[track_caller]
fn walk(terminal: &Terminal, lines: &[&str]) -> usize {
    let mut shown = 0;
    for line in lines {
        for line in [(*line).to_owned(), format!("{line} --json")] {
            shown += usize::from(is_escaped(&line, &terminal.run(&line)));
        }
    }
    shown
}

/// Answers every connection with `response`, from a thread that ends with the tests.
fn answering(response: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(response.as_bytes());
        }
    });
    port
}

/// A perk with two versions, scores, keys, and a visit.
async fn house(terminal: &Terminal) -> String {
    terminal.ask("migrate");
    terminal.ask("merchant create cathay --name Cathay");
    terminal.write("lounge.json", LOUNGE);
    terminal.ask("perk apply -f lounge.json --merchant cathay --publish");
    terminal.write("scores.csv", "subject,value,observed_at\ntwitter:ada,47.25,2026-01-02T09:00:00Z\n");
    terminal.ask("score import scores.csv --source klout --merchant cathay");
    let gateway = terminal.gateway().await;
    let cathay = gateway.directory.find_merchant("cathay".parse().unwrap()).await.unwrap();
    let kiosk = NewKey { kiosk: Some("A1".into()), ..NewKey::of(Role::Kiosk, Some(cathay.id.clone()), "A1") };
    let (_, secret) = gateway.directory.create_key(kiosk, CLI).await.unwrap();
    let kiosk = gateway.directory.authenticate(secret.expose(), gateway.clock.now()).await.unwrap();
    let answer = gateway.checker.check(&kiosk, &cathay, question("sfo-lounge", "twitter:ada")).await.unwrap();
    answer.token.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_the_database_steer_nothing() {
    for terminal in Terminal::all() {
        Box::pin(house(&terminal)).await;
        // Kept: a gateway on what is to come would not begin.
        let database = terminal.gateway().await.database.clone();
        let lay_hands = |sql: &str| {
            database.write_blocking(|conn| conn.batch_execute(sql).map_err(DatabaseError::from)).unwrap();
        };
        lay_hands(&format!(
            "UPDATE merchants SET name = '{HOSTILE}';
             UPDATE perks SET name = '{HOSTILE}', status_note = '{HOSTILE}', status_by = '{HOSTILE}';
             UPDATE rule_versions SET author = '{HOSTILE}', change_note = '{HOSTILE}', step_note = '{HOSTILE}',
                 approved_by = '{HOSTILE}', approved_at = 1, published_by = '{HOSTILE}';
             UPDATE api_keys SET label = '{HOSTILE}', location = '{HOSTILE}', kiosk = '{HOSTILE}';
             UPDATE grants SET kid = '{HOSTILE}';
             INSERT INTO limit_counters VALUES ('{HOSTILE}', 'prk_x', 'x', '/perk', 'lifetime', 7, 0, 0)"
        ));
        let everyday = [
            "merchant list",
            "key list --merchant cathay",
            "perk list --merchant cathay",
            "perk show sfo-lounge --merchant cathay",
            "perk history sfo-lounge --merchant cathay",
            "perk simulate sfo-lounge --merchant cathay --score 50",
            "perk simulate sfo-lounge --merchant cathay --everyone",
            "perk diff -f lounge.json --merchant cathay",
            "source list --merchant cathay",
            "score show twitter:ada --source klout --merchant cathay",
            "report grants --merchant cathay --group-by kiosk",
            "report grants --merchant cathay --group-by kiosk --format csv",
            "report billing --merchant cathay --format html",
            "subject record twitter:ada --merchant cathay",
            "audit verify",
            "audit checkpoint",
            "audit prune --before 2026-01-01T00:00:00Z --all --dry-run",
            "perk pull --merchant cathay --out pulled",
            "doctor",
        ];
        assert!(walk(&terminal, &everyday) >= 10);
        // What can't be read any more is told with what stands there.
        for (table, column) in [
            ("perks", "purpose"),
            ("rule_versions", "status"),
            ("merchants", "slug"),
            ("logs", "name"),
            ("events", "kind"),
            ("keyring_keys", "purpose"),
        ] {
            // Names are there once.
            let more = if table == "logs" { " || id" } else { "" };
            lay_hands(&format!("UPDATE {table} SET {column} = '{HOSTILE}'{more}"));
            let lines = ["merchant list", "perk list --merchant cathay", "audit verify", "audit checkpoint", "doctor"];
            walk(&terminal, &lines);
        }
        assert!(is_escaped("verify", &terminal.run("audit verify")), "it tells of the log by its name");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_arguments_steer_nothing() {
    let terminal = Terminal::new();
    let token = Box::pin(house(&terminal)).await;
    terminal.ask("audit export --merchant cathay --out cathay.ndjson");
    terminal.ask("audit export --merchant cathay --format csv --out cathay.csv");
    let json = serde_json::to_string(HOSTILE).unwrap();
    let export = std::fs::read_to_string(terminal.path().join("cathay.ndjson")).unwrap();
    let tampered = export.replace(r#""log":"cathay""#, &format!(r#""log":{json}"#)).replace("score_met", "score_mat");
    assert_ne!(export, tampered);
    terminal.write("hostile.ndjson", &tampered);
    let csv = std::fs::read_to_string(terminal.path().join("cathay.csv")).unwrap();
    terminal.write("hostile.csv", &csv.replacen("check.decided", &format!("\"{HOSTILE}\""), 1));
    terminal.write(HOSTILE, &tampered);
    terminal.write(&format!("{HOSTILE}.toml"), &format!("listen = {json}\n{json} = 1\n[x\u{1b}[2J\n"));
    terminal.write("hostile.toml", &format!("listen = {json}\nlog = {json}\n{json} = 1\n"));
    let receipt = format!(r#"{{"log":{json},"index":0,"leaf_hash":"{}","checkpoint":{json}}}"#, "0a".repeat(32));
    terminal.write("receipt.json", &receipt);
    let perk = LOUNGE.replace(r#""SFO lounge""#, &json);
    terminal.write("perk.json", &perk);
    terminal.write("bad.json", &LOUNGE.replace("\"score\"", &json));
    terminal.write("bad.yaml", &format!("perk: a\n{HOSTILE}: [\n"));
    terminal.write("perk.test.yaml", &format!("perk: lounge.json\ncases:\n  - name: {json}\n    score: 10\n    expect: {{decision: granted, tier: {json}}}\n"));
    terminal.write("scores.csv", &format!("subject,value,observed_at\n\"{HOSTILE}\",\"{HOSTILE}\",\"{HOSTILE}\"\n"));
    terminal.write("jwks.json", &format!(r#"{{"keys":[{{"kty":{json}}}]}}"#));
    let refusal = answering(format!("HTTP/1.1 500 {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", "x\u{9b}31m"));
    let nonsense = answering(format!("-ERR {}\r\n", HOSTILE.replace(['\r', '\n'], " ")));
    let stranger = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    let verify = "--issuer http://gate.example --audience cathay/sfo-lounge";
    let lines = [
        "audit verify hostile.ndjson".to_owned(),
        "audit verify hostile.csv".to_owned(),
        format!("audit verify '{HOSTILE}'"),
        format!("audit verify '{HOSTILE}-lost'"),
        format!("audit verify cathay.ndjson --anchor '{HOSTILE}'"),
        format!("audit verify cathay.ndjson --anchor receipt.json --key '{HOSTILE}'"),
        format!("audit receipt receipt.json --key {stranger}"),
        format!("audit receipt '{HOSTILE}' --key {stranger}"),
        format!("audit receipt receipt.json --key {stranger} --proof '{HOSTILE}'"),
        format!("audit export --merchant cathay --since '{HOSTILE}' --out x.ndjson"),
        format!("audit export --merchant '{HOSTILE}' --out x.ndjson"),
        format!("audit export --merchant cathay --out '{HOSTILE}.ndjson'"),
        format!("merchant list --config '{HOSTILE}.toml'"),
        "doctor --config hostile.toml".to_owned(),
        format!("doctor --database-url 'postgres://127.0.0.1:{nonsense}/x' --redis-url redis://127.0.0.1:{nonsense}"),
        format!("doctor --database-url '{HOSTILE}' --redis-url '{HOSTILE}'"),
        format!("merchant list --database-url 'sqlite:{HOSTILE}.db'"),
        format!("merchant list --master-key-file '{HOSTILE}'"),
        format!("merchant create '{HOSTILE}' --name x"),
        format!("merchant create other --name '{HOSTILE}'"),
        format!("merchant set cathay --time-zone '{HOSTILE}'"),
        format!("key create --merchant cathay --role kiosk --label '{HOSTILE}'"),
        format!("key create --merchant cathay --role '{HOSTILE}' --label x"),
        format!("key revoke '{HOSTILE}' --merchant cathay"),
        format!("perk show '{HOSTILE}' --merchant cathay"),
        format!("perk publish sfo-lounge --merchant cathay --note '{HOSTILE}'"),
        "perk apply -f perk.json --merchant cathay --dry-run".to_owned(),
        "perk apply -f perk.json --merchant cathay".to_owned(),
        "perk apply -f bad.json --merchant cathay".to_owned(),
        "perk diff -f bad.yaml -f perk.json --merchant cathay".to_owned(),
        format!("perk diff -f '{HOSTILE}' --merchant cathay"),
        "perk test -f perk.test.yaml".to_owned(),
        format!("perk new --template lounge --out '{HOSTILE}'"),
        format!("perk new --template lounge --out '{HOSTILE}.yaml'"),
        format!("perk simulate sfo-lounge --merchant cathay --score 50 --context '{{\"{HOSTILE}\":1}}'"),
        format!("perk simulate sfo-lounge --merchant cathay --score '{HOSTILE}'"),
        "score import scores.csv --source klout --merchant cathay".to_owned(),
        format!("score import scores.csv --source '{HOSTILE}' --merchant cathay"),
        format!("score show '{HOSTILE}' --source klout --merchant cathay"),
        format!("source create '{HOSTILE}' --merchant cathay --min 1 --max 5"),
        format!("subject erase '{HOSTILE}' --merchant cathay"),
        format!("report grants --merchant cathay --from '{HOSTILE}'"),
        format!("report grants --merchant cathay --format csv --out '{HOSTILE}'"),
        format!("token verify {token} --jwks jwks.json {verify}"),
        format!("token verify {token} --jwks http://127.0.0.1:{refusal}/ {verify}"),
        format!("token verify {token} --jwks http://127.0.0.1:{nonsense}/ {verify}"),
        format!("token verify {token} --jwks '{HOSTILE}' {verify}"),
        format!("token verify '{HOSTILE}' --jwks '{HOSTILE}' --issuer '{HOSTILE}' --audience '{HOSTILE}'"),
        format!("token rotate-key --after '{HOSTILE}'"),
        format!("migrate --nonsense='{HOSTILE}'"),
        format!("'{HOSTILE}'"),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let shown = walk(&terminal, &lines);
    assert!(shown >= 30, "only {shown} answers repeat what they were given");

    let told = terminal.run("audit verify hostile.ndjson");
    let text = String::from_utf8(told.stdout).unwrap();
    assert_eq!(told.status.code(), Some(1));
    assert!(text.contains(r"log x\u001b[2J") && text.contains("(leaf_hash_mismatch)"), "{text}");
}
