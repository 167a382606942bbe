//! From an empty database to a perk with scores, and commands beside a server that is at work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use perkgate::access::{NewKey, Role};
use perkgate::decision::decide::Decision;
use perkgate::foundation::clock::Clock;

use super::terminal::{LOUNGE, Terminal};
use crate::support::world::{CLI, question};

#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_is_set_up_from_the_terminal_on_every_database() {
    for terminal in Terminal::all() {
        if terminal.is_on_postgres() {
            let told = terminal.refused("merchant create cathay --name 'Cathay Pacific'", 1);
            assert_eq!(told.last().unwrap(), "  try: perkgate migrate");
            terminal.ask("migrate");
        }
        let merchant = terminal.ask("merchant create cathay --name 'Cathay Pacific'");
        let key = terminal.ask("key create --merchant cathay --role kiosk --label 'SFO A12'");
        terminal.write("lounge.json", LOUNGE);
        terminal.write("feed.csv", "subject,value,observed_at\ntwitter:ada,47.25,2012-05-08T09:00:00Z\n");
        let applied = terminal.ask("perk apply -f lounge.json --merchant cathay --publish");
        assert_eq!(applied["status"], "published");
        // The server runs and has looked the score up when the import comes.
        let gateway = terminal.gateway().await;
        let secret = key["key"].as_str().unwrap();
        let kiosk = gateway.directory.authenticate(secret, Clock::System.now()).await.unwrap();
        let cathay = kiosk.merchant().unwrap();
        assert_eq!(cathay.id.as_str(), merchant["id"]);
        if let Some(redis) = &gateway.redis {
            assert!(redis.wait_until_up(Duration::from_mins(1)).await);
        }
        let ask = || gateway.checker.check(&kiosk, cathay, question("sfo-lounge", "twitter:ada"));
        assert_eq!(ask().await.unwrap().decided.decision, Decision::Denied);

        let imported = terminal.run("score import feed.csv --source klout --merchant cathay");
        assert_eq!(String::from_utf8(imported.stdout).unwrap(), "1 accepted, 0 unchanged, 0 stale, 0 rejected\n");
        let warned = String::from_utf8(imported.stderr).unwrap();
        assert_eq!(warned.contains("may go by what is in its memory"), gateway.redis.is_none(), "{warned}");
        let again = terminal.ask("score import feed.csv --source klout --merchant cathay");
        assert_eq!(again["unchanged"], 1);
        // Through Redis at once, although the server keeps scores for a minute; without it when
        // the second is over that its memory is given here.
        let patience = Instant::now() + Duration::from_mins(1);
        loop {
            let answer = ask().await.unwrap();
            if answer.decided.decision == Decision::Granted {
                break;
            }
            assert!(Instant::now() < patience, "the server never saw the score: {:?}", answer.decided.reasons);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_wait_their_turn_beside_a_server_that_writes_without_pause() {
    let terminal = Arc::new(Terminal::new());
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    let gateway = terminal.gateway().await;
    let cathay = gateway.directory.find_merchant("cathay".parse().unwrap()).await.unwrap();
    let commands: Vec<_> = (0..4)
        .map(|nth| {
            let terminal = terminal.clone();
            std::thread::spawn(move || {
                for again in 0..3 {
                    let slug = format!("m{nth}-{again}");
                    terminal.ask(&format!("merchant create {slug} --name {slug}"));
                    terminal.ask(&format!("key create --merchant {slug} --role admin --label a"));
                }
            })
        })
        .collect();
    let mut made = 0;
    // At least so many that listing them takes a second page.
    while made <= 200 || commands.iter().any(|command| !command.is_finished()) {
        gateway.directory.create_key(NewKey::of(Role::Kiosk, Some(cathay.id.clone()), "busy"), CLI).await.unwrap();
        made += 1;
    }
    for command in commands {
        command.join().unwrap();
    }
    assert_eq!(terminal.ask("merchant list")["merchants"].as_array().unwrap().len(), 13);
    assert_eq!(terminal.ask("key list --merchant cathay")["keys"].as_array().unwrap().len(), made);
}
