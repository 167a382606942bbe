//! The floor from a terminal: a door's report, what was undone, and places that are closed.

use perkgate::access::{NewKey, Role};
use perkgate::foundation::clock::Clock;
use perkgate::ledger::cases::requests::RequestKind;
use perkgate::ledger::grants::undo::{UndoReason, Undoing};
use serde_json::{Value, json};

use super::terminal::{LOUNGE, Terminal, answer};
use crate::support::world::{CLI, question};

#[tokio::test(flavor = "multi_thread")]
async fn a_doors_report_is_read_from_a_file_and_places_are_closed_and_opened() {
    for terminal in Terminal::all() {
        if terminal.is_on_postgres() {
            terminal.run("migrate");
        }
        terminal.write("perkgate.toml", "issuer = \"http://gate.example\"\n");
        terminal.ask("merchant create cathay --name 'Cathay Pacific'");
        terminal.write("lounge.json", LOUNGE);
        terminal.ask("perk apply -f lounge.json --merchant cathay --publish");
        let observed_at = Clock::System.now() - jiff::SignedDuration::from_hours(1);
        terminal.write("feed.csv", &format!("subject,value,observed_at\ntwitter:ada,47,{observed_at}\n"));
        terminal.ask("score import feed.csv --source klout --merchant cathay");

        let gateway = terminal.gateway().await;
        let cathay = gateway.directory.find_merchant("cathay".parse().unwrap()).await.unwrap();
        let key = NewKey::of(Role::Kiosk, Some(cathay.id.clone()), "A12");
        let (_, secret) = gateway.directory.create_key(key, CLI).await.unwrap();
        let kiosk = gateway.directory.authenticate(secret.expose(), gateway.clock.now()).await.unwrap();
        let check = async || {
            Box::pin(gateway.checker.check(&kiosk, &cathay, question("sfo-lounge", "twitter:ada"))).await.unwrap()
        };
        let (first, undone) = (check().await, check().await);
        let grant = undone.grant.unwrap().id;
        gateway
            .ledger
            .undo_grant(&cathay.id, &grant, Undoing::of_key(kiosk.key.clone(), "kiosk"), UndoReason::WrongPerson)
            .await
            .unwrap();
        let shown = terminal.ask(&format!("grant show {grant}"));
        assert_eq!((&shown["status"], &shown["undone"]), (&json!("voided"), &json!("wrong_person")));

        let at = gateway.clock.now().to_string();
        let item = |token: &str, door: &str| json!({"token": token, "door": door, "attempt": "1", "at": at});
        let (token, undone) = (first.token.unwrap(), undone.token.unwrap());
        let items = json!({"items": [item(&token, "A"), item(&token, "B"), item(&undone, "A"), item("a.b.c", "A"), 7]});
        terminal.write("report.json", &items.to_string());
        let told = terminal.ask("token redeem-late report.json --config perkgate.toml");
        let outcomes: Vec<_> = told["results"].as_array().unwrap().iter().map(|it| it["outcome"].clone()).collect();
        assert_eq!(outcomes, ["recorded", "duplicate", "recorded", "refused", "refused"]);
        assert_eq!(told["results"][2]["meanwhile"], "voided");
        let text = terminal.read("token redeem-late report.json --config perkgate.toml");
        assert!(
            text.contains("a duplicate, the door A took it at ") && text.contains("item 4: refused, malformed: "),
            "{text}"
        );
        terminal.write("bad.json", &json!({"items": [item("a.b.c", "A")]}).to_string());
        let refused = terminal.run("token redeem-late bad.json --config perkgate.toml --json");
        assert_eq!(answer(&refused, 1)["results"][0]["code"], "malformed");
        terminal.write("none.json", r#"{"items":[]}"#);
        assert!(terminal.refused("token redeem-late none.json", 1)[0].contains("/items"));

        let until = gateway.clock.now() + jiff::SignedDuration::from_hours(1);
        let closed =
            terminal.ask(&format!("perk close sfo-lounge --until {until} --message '{{\"en\":\"Back at ten.\"}}'"));
        assert_eq!((&closed["location"], &closed["warnings"]), (&Value::Null, &json!([])));
        assert_eq!(closed["message"], json!({"en": "Back at ten."}));
        let listed = terminal.ask("perk closures sfo-lounge");
        assert_eq!(
            (&listed["closures"][0]["perk"], &listed["closures"][0]["message"]["en"]),
            (&json!("sfo-lounge"), &json!("Back at ten."))
        );
        assert!(terminal.read("perk closures sfo-lounge").contains("all"));
        let asked = terminal.ask("check sfo-lounge twitter:ada");
        assert_eq!(
            (&asked["reasons"][0]["code"], &asked["reasons"][0]["guest_message"]),
            (&json!("place_closed"), &json!("Back at ten."))
        );
        let id = closed["closure"].as_str().unwrap();
        assert_eq!(terminal.ask(&format!("perk open sfo-lounge {id}"))["opened"], true);
        assert_eq!(terminal.read("perk closures sfo-lounge"), "No place is closed.\n");
        assert_eq!(terminal.ask("check sfo-lounge twitter:ada")["decision"], "granted");
        terminal.refused(&format!("perk open sfo-lounge {id}"), 1);
        terminal.refused("perk close sfo-lounge --until 2012-05-08T19:00:00Z", 1);
        assert_eq!(terminal.ask("audit verify")["ok"], true);
    }
}

#[test]
fn clerks_are_made_listed_and_removed_and_no_pin_is_an_argument() {
    let terminal = Terminal::new();
    terminal.ask("merchant create cathay --name 'Cathay Pacific'");
    assert_eq!(terminal.read("desk clerks"), "There are no clerks: desks act by their keys.\n");
    terminal.write("pin.txt", "470283\n");
    let made = terminal.ask("desk add-clerk --name Grace --pin-file pin.txt");
    let id = made["clerk"].as_str().unwrap();
    assert!(terminal.read("desk clerks").contains("Grace"));
    let other = terminal.run_with_stdin("desk add-clerk --name Ada --pin-file - --json", "918273\n");
    assert_eq!(answer(&other, 0)["name"], "Ada");
    terminal.write("weak.txt", "1234\n");
    let refused = terminal.refused("desk add-clerk --name Eve --pin-file weak.txt", 1).concat();
    assert!(refused.contains("--pin-file") && !refused.contains("1234"), "{refused}");
    terminal.refused("desk add-clerk --name Eve --pin-file nowhere.txt", 1);
    let unlocked = terminal.ask(&format!("desk unlock-clerk {id}"));
    assert_eq!(unlocked, json!({"clerk": id, "unlocked": true, "has_new_pin": false}));
    terminal.refused(&format!("desk set-pin {id} --pin-file weak.txt"), 1);
    terminal.write("other.txt", "593146\n");
    assert_eq!(terminal.ask(&format!("desk set-pin {id} --pin-file other.txt"))["has_new_pin"], true);
    terminal.refused("desk unlock-clerk key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70", 1);
    assert_eq!(terminal.ask(&format!("desk remove-clerk {id} --yes"))["removed"], true);
    terminal.refused(&format!("desk remove-clerk {id} --yes"), 1);
    assert_eq!(terminal.ask("desk clerks")["clerks"].as_array().unwrap().len(), 1);
    assert_eq!(terminal.read("desk overrides"), "Nothing was overridden.\n");
    assert_eq!(terminal.ask("audit verify")["ok"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn someone_is_let_in_by_hand_and_for_pay_with_a_key_from_a_file() {
    for terminal in Terminal::all() {
        if terminal.is_on_postgres() {
            terminal.run("migrate");
        }
        terminal.ask("merchant create cathay --name 'Cathay Pacific'");
        let rule = r#"{"tiers":[{"id":"main","when":{"attr":"context.x","op":"exists"}}],
          "paid":{"max":1,"window":{"calendar":"day"}},
          "override":{"reasons":["courtesy"],"max":1,"window":{"calendar":"day"}}}"#;
        terminal.write("lounge.json", &format!(r#"{{"perk":"sfo-lounge","name":"SFO","rule":{rule}}}"#));
        terminal.ask("perk apply -f lounge.json --merchant cathay --publish");
        let gateway = terminal.gateway().await;
        let cathay = gateway.directory.find_merchant("cathay".parse().unwrap()).await.unwrap();
        let mut kiosk = None;
        for role in [Role::Desk, Role::Kiosk] {
            let key = NewKey::of(role, Some(cathay.id.clone()), "A12");
            let (_, secret) = gateway.directory.create_key(key, CLI).await.unwrap();
            terminal.write(&format!("{role}.key"), secret.expose());
            kiosk = Some(gateway.directory.authenticate(secret.expose(), gateway.clock.now()).await.unwrap());
        }
        let kiosk = kiosk.unwrap();
        let refused = async |who: &str| {
            let answer = Box::pin(gateway.checker.check(&kiosk, &cathay, question("sfo-lounge", who))).await.unwrap();
            answer.check.unwrap()
        };
        let (ada, bob) = (refused("twitter:ada").await, refused("twitter:bob").await);
        let by_hand = format!("desk override {ada} --reason courtesy --tier main");
        let answer = terminal.ask(&format!("{by_hand} --key-file desk.key"));
        assert_eq!((&answer["decision"], &answer["resolves"]), (&json!("granted"), &json!(ada)));
        let again = terminal.refused(&format!("{by_hand} --key-file desk.key"), 1).concat();
        assert!(again.contains("overridden before"), "{again}");
        let other = terminal.refused(&format!("{by_hand} --key-file kiosk.key"), 1).concat();
        assert!(other.contains("--key-file"), "{other}");
        let paid = |reference: &str| {
            format!("desk paid {bob} --reference '{reference}' --amount 45.00 --currency USD --key-file desk.key")
        };
        let card = terminal.refused(&paid("4111 1111 1111 1111"), 1).concat();
        assert!(card.contains("--reference") && !card.contains("4111"), "{card}");
        let text = terminal.read(&paid("R-1"));
        assert!(text.starts_with("granted (main): sfo-lounge, version 1") && text.contains("token eyJ"), "{text}");
        let listed = terminal.read("desk overrides");
        assert!(listed.contains("45.00 USD, R-1") && listed.contains("courtesy"), "{listed}");
        assert_eq!(terminal.ask("audit verify")["ok"], true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_asked_for_is_listed_confirmed_and_declined() {
    for terminal in Terminal::all() {
        if terminal.is_on_postgres() {
            terminal.run("migrate");
        }
        terminal.ask("merchant create cathay --name 'Cathay Pacific'");
        terminal.write("lounge.json", LOUNGE);
        terminal.ask("perk apply -f lounge.json --merchant cathay --publish");
        assert_eq!(terminal.read("subject requests"), "Nobody asked for anything.\n");
        let gateway = terminal.gateway().await;
        let cathay = gateway.directory.find_merchant("cathay".parse().unwrap()).await.unwrap();
        let key = NewKey::of(Role::Kiosk, Some(cathay.id.clone()), "A12");
        let (_, secret) = gateway.directory.create_key(key, CLI).await.unwrap();
        let kiosk = gateway.directory.authenticate(secret.expose(), gateway.clock.now()).await.unwrap();
        let refused = Box::pin(gateway.checker.check(&kiosk, &cathay, question("sfo-lounge", "twitter:ada"))).await;
        let check = refused.unwrap().check.unwrap();
        for kind in RequestKind::ALL {
            gateway.requests.make(&cathay.id, &check, kind).await.unwrap();
        }
        let listed = terminal.ask("subject requests --status open");
        let of = |kind: &str| {
            let mut all = listed["requests"].as_array().unwrap().iter();
            all.find(|it| it["kind"] == kind).unwrap()["request"].as_str().unwrap().to_owned()
        };
        let (record, erasure) = (of("record"), of("erasure"));
        assert_eq!(listed["requests"][0]["subject"], "twitter:ada");
        // What can't be undone is asked for first; a record is only handed over.
        let unasked = terminal.refused(&format!("subject confirm {erasure}"), 2).concat();
        assert!(unasked.contains("--yes") && unasked.contains("erased for good"), "{unasked}");
        let confirm = |request: &str| format!("subject confirm {request} --yes --note 'They showed their passport.'");
        let waiting: Vec<_> =
            listed["requests"].as_array().unwrap().iter().filter(|it| it["waits_for_record"] == true).collect();
        assert_eq!((waiting.len(), &waiting[0]["kind"]), (1, &json!("erasure")));
        let confirmed = terminal.ask(&confirm(&erasure));
        assert_eq!((&confirmed["status"], confirmed["due_at"].is_string()), (&json!("confirmed"), true));
        assert_eq!(terminal.ask(&format!("subject decline {erasure}"))["status"], "declined");
        let again = terminal.refused(&confirm(&erasure), 1).concat();
        assert!(again.contains("declined already"), "{again}");
        assert_eq!(gateway.requests.carry_out_due().await.unwrap(), 0);
        assert_eq!(terminal.ask(&format!("subject confirm {record}"))["status"], "confirmed");
        let again = terminal.refused(&format!("subject decline {record}"), 1).concat();
        assert!(again.contains("confirmed already"), "{again}");
        terminal.refused("subject confirm srq_00000000000070008000000000000001 --yes", 1);
        let (request, _) = gateway.requests.make(&cathay.id, &check, RequestKind::Erasure).await.unwrap();
        terminal.ask(&confirm(request.id.as_str()));
        let text = terminal.read("subject requests");
        assert!(text.contains("declined") && text.contains("erasure"), "{text}");
        assert!(text.matches("the record").count() == 1, "{text}");
        assert_eq!(gateway.requests.carry_out_due().await.unwrap(), 0, "the record comes first");
        answer(&terminal.run_with_stdin("subject record - --json", "twitter:ada\n"), 0);
        assert!(!terminal.read("subject requests").contains("the record"));
        assert_eq!(gateway.requests.carry_out_due().await.unwrap(), 1);
        assert_eq!(terminal.ask("audit verify")["ok"], true);
    }
}
