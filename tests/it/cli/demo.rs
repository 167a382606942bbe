//! `perkgate demo` touches nothing that anything is in, and says where it really is.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::terminal::{Terminal, answer};
use crate::support::databases::TestDatabase;
use crate::support::ports::free_port;

const ANY_PORT: &str = "--listen 127.0.0.1:0";

#[track_caller]
fn held(shown: &Value, database: &str) {
    assert_eq!(shown["held"], true, "{shown}");
    assert_eq!(shown["database"], database, "it says where it really is");
    let score = &shown["steps"][0]["answer"]["score"];
    assert!(score["fresh"] == true && score["age_seconds"].as_i64().unwrap() < 3600, "{score}");
}

#[test]
fn a_database_that_something_is_in_is_left_alone() {
    for terminal in Terminal::all() {
        if terminal.is_on_postgres() {
            terminal.ask("migrate");
        }
        terminal.ask("merchant create lufthansa --name Lufthansa");
        let url = terminal.setting("PERKGATE_DATABASE_URL").unwrap_or_else(|| "sqlite:perkgate.db".to_owned());
        terminal.write("key", "pIpRqCRXvnZ6Rt7TdcGAmrsHY2ej0JjlQvG2p5vFh2k=");
        let keys = terminal.ask("key list");
        for into in ["", "--into"] {
            let line = format!("demo --once {ANY_PORT} --database-url {url} --master-key-file key {into}");
            let told = terminal.refused(&line, 1).join("\n");
            assert!(told.contains("--database-url") || told.contains("is in"), "{told}");
        }
        assert_eq!(terminal.ask("merchant list")["merchants"].as_array().unwrap().len(), 1);
        assert_eq!(terminal.ask("key list"), keys);
    }
}

#[test]
fn a_directory_with_somebody_elses_database_is_left_alone() {
    let terminal = Terminal::new();
    terminal.ask("merchant create lufthansa --name Lufthansa");
    let told = terminal.refused(&format!("demo --once {ANY_PORT} --dir ."), 1).join("\n");
    assert!(told.contains("perkgate.db"), "{told}");
    assert_eq!(terminal.ask("merchant list")["merchants"].as_array().unwrap().len(), 1);
}

#[test]
fn an_empty_database_is_seeded_where_it_was_asked_for() {
    let terminal = Terminal::new();
    let shown = terminal.ask(&format!("demo --once {ANY_PORT} --database-url sqlite:empty.db --into"));
    held(&shown, "sqlite:empty.db");
    let shown = terminal.run(&format!("demo --once {ANY_PORT} --database-url sqlite:empty.db --into"));
    assert_eq!(shown.status.code(), Some(1), "it is not empty any more");
    let merchants = terminal.ask("merchant list --database-url sqlite:empty.db");
    assert_eq!(merchants["merchants"].as_array().unwrap().len(), 2);
    for database in TestDatabase::empty() {
        let terminal = Terminal::new();
        terminal.write("key", "pIpRqCRXvnZ6Rt7TdcGAmrsHY2ej0JjlQvG2p5vFh2k=");
        let url = database.setting();
        let line = format!("demo --once {ANY_PORT} --database-url {url} --into --master-key-file key");
        held(&terminal.ask(&line), &database.url.to_string());
    }
}

#[test]
fn a_show_in_a_directory_of_its_own_can_be_gone_on_with_and_leaves_one_file() {
    let terminal = Terminal::new();
    for _ in 0..2 {
        let shown = terminal.ask(&format!("demo --once {ANY_PORT} --dir show"));
        held(&shown, "sqlite:show/perkgate.db");
    }
    let mut files: Vec<_> = std::fs::read_dir(terminal.path().join("show")).unwrap().collect();
    files.sort_by_key(|file| file.as_ref().unwrap().file_name());
    let files: Vec<String> = files.into_iter().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, ["perkgate.db", "perkgate.demo", "perkgate.key"], "all is in the database's file");
    assert_eq!(terminal.files(), ["show"]);
}

#[test]
fn into_and_database_url_go_together() {
    let terminal = Terminal::new();
    assert!(terminal.refused("demo --once --into", 1)[0].contains("--into"));
    assert!(terminal.refused("demo --once --database-url sqlite:x.db", 1)[1].contains("--into"));
    assert_eq!(terminal.files(), [""; 0], "nothing was made");
}

#[test]
fn the_environment_of_a_production_leads_it_nowhere_and_its_port_counts() {
    let terminal = Terminal::new();
    terminal.ask("merchant create lufthansa --name Lufthansa");
    let port = free_port();
    let mut command = terminal.command("demo --once --json");
    command.env("PERKGATE_LISTEN", format!("127.0.0.1:{port}"));
    command.env("PERKGATE_DATABASE_URL", "sqlite:perkgate.db").env("PERKGATE_REDIS_URL", "redis://nowhere.invalid");
    command.env("PERKGATE_ANCHOR_FILE", "anchors").env("PERKGATE_ISSUER", "https://perks.example.com");
    command.env("PERKGATE_MASTER_KEY_FILE", "nowhere");
    let shown = answer(&command.output().unwrap(), 0);
    assert_eq!((&shown["held"], &shown["url"]), (&true.into(), &format!("http://127.0.0.1:{port}").into()));
    assert!(!shown["database"].as_str().unwrap().ends_with("sqlite:perkgate.db"), "{shown}");
    assert_eq!(terminal.ask("merchant list")["merchants"].as_array().unwrap().len(), 1);
    assert_eq!(terminal.files(), ["perkgate.db", "perkgate.key"]);

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = terminal.command("demo --once");
    command.env("PERKGATE_LISTEN", &address).env("TMPDIR", terminal.path());
    let refused = command.output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "a port that was asked for is not exchanged for another");
    assert!(String::from_utf8_lossy(&refused.stderr).contains(&address));
    assert_eq!(terminal.files(), ["perkgate.db", "perkgate.key"], "nothing is left of a show that never began");
}

#[test]
fn a_show_that_is_stopped_leaves_all_of_it_in_one_file() {
    let terminal = Terminal::new();
    let mut command = terminal.command(&format!("demo --dir show --json {ANY_PORT}"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut shown = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut shown).unwrap();
    assert!(shown.contains("\"held\":true"), "{shown}");
    let show = terminal.path().join("show");
    assert!(show.join("perkgate.db-wal").exists(), "it is serving");
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let left: Vec<String> = std::fs::read_dir(&show)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with("-wal") || name.ends_with("-shm"))
        .collect();
    assert_eq!(left, [""; 0]);
}
