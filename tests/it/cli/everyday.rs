//! From an empty database to a perk with scores, and commands beside a server that is at work.

use std::sync::atomic::{AtomicBool, Ordering};

use perkgate::access::{NewKey, Role};
use perkgate::clock::Clock;
use perkgate::eligibility::decide::Decision;

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
            assert!(redis.wait_until_up(std::time::Duration::from_secs(10)).await);
        }
        let ask = || gateway.checker.check(&kiosk, cathay, question("sfo-lounge", "twitter:ada"));
        assert_eq!(ask().await.unwrap().decision, Decision::Denied);

        let import = "score import feed.csv --source klout --merchant cathay";
        assert_eq!(terminal.ask(import)["accepted"], 1);
        assert_eq!(terminal.ask(import)["unchanged"], 1);
        // Through Redis at once; without it when the memory's time is over.
        let patience =
            std::time::Instant::now() + std::time::Duration::from_secs(if terminal.is_on_postgres() { 3 } else { 15 });
        while ask().await.unwrap().decision != Decision::Granted {
            assert!(std::time::Instant::now() < patience, "the server never saw the score");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_wait_their_turn_beside_a_server_that_writes_without_pause() {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    let gateway = terminal.gateway().await;
    let cathay = gateway.directory.find_merchant("cathay".parse().unwrap()).await.unwrap();
    let stop = AtomicBool::new(false);
    let (stop, terminal, gateway) = (&stop, &terminal, &gateway);
    let writing = async {
        let mut made = 0;
        while !stop.load(Ordering::Relaxed) {
            gateway.directory.create_key(NewKey::of(Role::Door, Some(cathay.id.clone()), "busy"), CLI).await.unwrap();
            made += 1;
        }
        made
    };
    let commands = async {
        tokio::task::block_in_place(|| {
            std::thread::scope(|scope| {
                for nth in 0..4 {
                    scope.spawn(move || {
                        for again in 0..3 {
                            let slug = format!("m{nth}-{again}");
                            terminal.ask(&format!("merchant create {slug} --name {slug}"));
                            terminal.ask(&format!("key create --merchant {slug} --role admin --label a"));
                        }
                    });
                }
            });
        });
        stop.store(true, Ordering::Relaxed);
    };
    let (made, ()) = tokio::join!(writing, commands);
    assert_eq!(terminal.ask("merchant list")["merchants"].as_array().unwrap().len(), 13);
    assert_eq!(terminal.ask("key list --merchant cathay")["keys"].as_array().unwrap().len(), made);
}
