//! `perkgate token verify`: what a door can know with the published keys alone.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use perkgate::access::Role;
use perkgate::foundation::clock::Clock;
use perkgate::tokens::Jwks;
use serde_json::Value;

use super::terminal::{Terminal, answer, complaints};
use crate::support::databases::TestDatabase;
use crate::support::world::{ISSUER, World, question};

/// A token granted so many seconds ago, and the key set that verifies it.
async fn granted(seconds_ago: i64) -> (String, String) {
    let database = TestDatabase::empty_sqlite();
    database.open().migrate().unwrap();
    let world = World::on(database, &[]).await;
    world.clock.set(Clock::System.now() - jiff::SignedDuration::from_secs(seconds_ago));
    let cathay = world.merchant("cathay").await;
    let kiosk = world.principal(&cathay, Role::Kiosk).await;
    world.perk(&cathay, "sfo-lounge", r#"{"at_least":40,"score":"klout"}"#).await;
    world.score(&cathay, "twitter:ada", "47.25").await;
    let answer = world.check(&kiosk, question("sfo-lounge", "twitter:ada")).await.unwrap();
    let keys = world.gateway.keyring.token_keys();
    (answer.token.unwrap(), Jwks::new(keys.iter().map(|key| *key.public_key())).to_json())
}

fn line(token: &str, jwks: &str, audience: &str) -> String {
    format!("token verify {token} --jwks {jwks} --issuer {ISSUER} --audience {audience}")
}

/// Answers every request with `response`, from a thread that ends with the tests.
fn answering(response: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(response.as_bytes());
        }
    });
    format!("http://{place}/.well-known/jwks.json")
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_token_is_valid_from_a_file_from_a_url_and_from_standard_input() {
    let (token, jwks) = granted(0).await;
    let terminal = Terminal::new();
    terminal.write("jwks.json", &jwks);
    let url = answering(ok(&jwks));
    for place in ["jwks.json", &url] {
        let told = terminal.ask(&line(&token, place, "cathay/sfo-lounge"));
        assert_eq!(told["valid"], true);
        assert_eq!((&told["rule"], &told["rule_hash"]), (&Value::from(1), &Value::from("042a2fa690be5b43")));
        assert_eq!(
            (&told["iss"], &told["perk"], &told["tier"]),
            (&ISSUER.into(), &"sfo-lounge".into(), &"standard".into())
        );
        assert!(told["jti"].as_str().unwrap().starts_with("grt_") && told["exp"].is_i64());
    }
    for around in [["", "\n"], ["", "\r\n"], ["\u{FEFF}", "\r\n"], [" \t", "\r"]] {
        let piped = terminal.run_with_stdin(&line("-", "jwks.json", "cathay/sfo-lounge"), &around.join(token.as_str()));
        let text = String::from_utf8(piped.stdout).unwrap();
        assert!(text.starts_with("valid until ") && text.contains("sfo-lounge of cathay, tier standard"), "{text}");
    }
    let scanned = line(&format!("'{token}\r\n'"), "jwks.json", "cathay/sfo-lounge");
    assert_eq!(terminal.ask(&scanned)["valid"], true);
    terminal.write("jwks.json", &format!("\u{FEFF}{jwks}"));
    let url = answering(ok(&format!("\u{FEFF}{jwks}")));
    for place in ["jwks.json", &url] {
        assert_eq!(terminal.ask(&line(&token, place, "cathay/sfo-lounge"))["valid"], true);
    }
    assert_eq!(terminal.files(), ["jwks.json"], "no database and no key are made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_is_refused_with_its_reason() {
    let (token, jwks) = granted(0).await;
    let (late, late_jwks) = granted(3600).await;
    let terminal = Terminal::new();
    terminal.write("jwks.json", &jwks);
    terminal.write("late.json", &late_jwks);
    let refusal = |token: &str, jwks: &str, audience: &str| -> Value {
        let told = answer(&terminal.run(&format!("{} --json", line(token, jwks, audience))), 1);
        assert_eq!(told["valid"], false);
        assert!(!told["detail"].as_str().unwrap().is_empty());
        told["reason"].clone()
    };
    let door = "cathay/sfo-lounge";
    assert_eq!(refusal(&late, "late.json", door), "expired");
    assert_eq!(refusal(&token, "jwks.json", "american/sfo-lounge"), "wrong_audience");
    assert_eq!(refusal(&token, "late.json", door), "unknown_key");
    assert_eq!(refusal("a.b.c", "jwks.json", door), "malformed");
    // One bit of the signature.
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    assert_eq!(refusal(&format!("{signed}.{first}{}", &signature[1..]), "jwks.json", door), "bad_signature");
    let elsewhere = line(&token, "jwks.json", door).replace(ISSUER, "http://other.example");
    let told = terminal.run(&elsewhere);
    assert_eq!(told.status.code(), Some(1));
    assert_eq!(String::from_utf8(told.stdout).unwrap(), "not valid: the token is of another issuer (wrong_issuer)\n");
}

#[test]
fn a_key_set_that_cannot_be_trusted_is_an_error() {
    let terminal = Terminal::new();
    terminal.write("junk.json", "[]");
    let elsewhere = answering(ok(r#"{"keys":[]}"#));
    let moved = answering(format!(
        "HTTP/1.1 302 Found\r\nlocation: {elsewhere}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    ));
    let huge = answering(ok(&" ".repeat((1 << 20) + 1)));
    for (place, why) in [
        ("absent.json", "can't be read"),
        ("junk.json", "not a JWK set"),
        (&moved, "it answers 302"),
        (&huge, "larger than 1048576 bytes"),
        ("http://127.0.0.1:1/jwks.json", "can't be fetched"),
    ] {
        let told = complaints(&terminal.run(&line("a.b.c", place, "cathay/sfo-lounge")), 1);
        assert!(told[0].contains(why), "{told:?}");
    }
    // A broken setting of the gateway is none of a door's business.
    let told = terminal.run(&format!("{} --database-url mysql://x", line("a.b.c", &elsewhere, "cathay/sfo-lounge")));
    assert!(String::from_utf8(told.stdout).unwrap().contains("malformed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_key_is_withdrawn_everywhere_while_servers_run() {
    for terminal in Terminal::all() {
        if terminal.is_on_postgres() {
            terminal.read("migrate");
        }
        terminal.ask("merchant create cathay --name 'Cathay Pacific'");
        let (tasks, cancel) = (tokio_util::task::TaskTracker::new(), tokio_util::sync::CancellationToken::new());
        let servers = [terminal.gateway().await, terminal.gateway().await];
        for server in &servers {
            server.follow(&tasks, &cancel);
        }
        let stolen = servers[0].keyring.token_key().kid().to_owned();
        let told = terminal.ask(&format!("token revoke-key {stolen} --yes"));
        assert_eq!(told["kid"], stolen);
        let next = told["next"]["kid"].as_str().unwrap();
        for server in &servers {
            while server.keyring.find_token_key(&stolen).is_some() {
                tokio::task::yield_now().await;
            }
            assert_eq!(server.keyring.token_key().kid(), next);
            assert_eq!(server.keyring.token_keys().len(), 1);
        }
        let again = terminal.ask(&format!("token revoke-key {stolen} --yes"));
        assert_eq!((&again["revoked_at"], &again["next"]), (&told["revoked_at"], &Value::Null));
        let told = terminal.refused("token revoke-key unknown --yes", 1);
        assert_eq!(told[0], "error: no token key of this gateway goes by the name `unknown`");
        assert_eq!(told[1], format!("  try: one of those that are published: {next}"));
        let told = terminal.read(&format!("token revoke-key {next} --yes"));
        assert!(told.contains(" is withdrawn: ") && told.contains(" signs, since "), "{told}");
        assert_eq!(terminal.ask("audit verify")["ok"], true);
        cancel.cancel();
        tasks.close();
        tasks.wait().await;
    }
}

#[test]
fn a_key_takes_over_and_the_operators_log_tells_who_let_it() {
    for terminal in Terminal::all() {
        if terminal.is_on_postgres() {
            terminal.read("migrate");
        }
        terminal.ask("merchant create cathay --name 'Cathay Pacific'");
        let first = terminal.ask("token rotate-key");
        let second = terminal.ask("token rotate-key --after 24h");
        assert_eq!(second["retires"][0]["kid"], first["kid"], "the one that waited is superseded in its turn");
        assert_ne!(second["kid"], first["kid"]);
        let told = terminal.read("token rotate-key --after 0s");
        assert!(told.starts_with("The token key ") && told.contains(" signs from "), "{told}");

        terminal.read("audit export --operator -o log.ndjson");
        let log = std::fs::read_to_string(terminal.path().join("log.ndjson")).unwrap();
        let told = |kind: &str| log.lines().filter(|line| line.contains(&format!(r#""kind":"{kind}""#))).count();
        assert_eq!((told("gateway_key.created"), told("gateway_key.rotated")), (3, 3), "{log}");
        assert!(log.contains(first["kid"].as_str().unwrap()) && log.contains(second["kid"].as_str().unwrap()));
        assert_eq!(terminal.ask("audit verify")["ok"], true);
        for wrong in ["-1s", "32d", "soon"] {
            let told = terminal.refused(&format!("token rotate-key --after={wrong}"), 2);
            assert!(told[0].contains("use a duration from 0s to 31 days"), "{told:?}");
        }
    }
    let told = Terminal::new().refused("token rotate-key", 1);
    assert_eq!(told[0], "error: there is no database at sqlite:perkgate.db");
}
