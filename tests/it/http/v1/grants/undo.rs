//! `POST /v1/grants/{grant}/undo`: by the key that granted, at once, and the limits are free exactly when no door can take
//! the token any more.

use std::time::{Duration, Instant};

use diesel::RunQueryDsl as _;
use futures_util::future::join_all;
use perkgate::access::Role;
use perkgate::audit::Request;
use perkgate::database::DatabaseError;
use perkgate::eligibility::redeemer::RedeemError;
use perkgate::foundation::entropy::Entropy;
use perkgate::ledger::grants::undo::{UndoError, UndoReason, Undoing};
use perkgate::tokens::TokenError;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::shape::assert_shape;
use crate::support::world::{World, question};

/// One a day, one in 24 hours, one inside, one for ever: the same for everybody.
const ONE: &str = r#"{"tiers":[{"id":"seat","name":"Seat"}],"limits":[
  {"id":"day","scope":["perk"],"max":1,"window":{"calendar":"day"}},
  {"id":"rolling","scope":["perk"],"max":1,"window":{"rolling":"PT24H"}},
  {"id":"inside","scope":["perk"],"max":1,"window":{"concurrent":{"max_stay":"PT4H"}}},
  {"id":"ever","scope":["perk"],"max":1,"window":{"lifetime":true}}]TOKEN}"#;

fn rule(token: &str) -> String {
    ONE.replace("TOKEN", token)
}

async fn ask(kiosk: &Client, who: &str) -> Reply {
    kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": who})).await
}

async fn undo(client: &Client, granted: &Reply, reason: &str) -> Reply {
    client.post(&format!("/v1/grants/{}/undo", granted.text_of("grant")), &json!({"reason": reason})).await
}

async fn redeem(client: &Client, granted: &Reply) -> Reply {
    let token = granted.text_of("token");
    client.post("/v1/tokens/redeem", &json!({"token": token, "door": "A", "attempt": "1"})).await
}

fn is_granted(reply: &Reply) -> bool {
    reply.is(200)["decision"] == "granted"
}

#[track_caller]
fn findings(world: &World) -> Vec<String> {
    let report = perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
    report.unwrap().findings.listed().iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_doors_take_online_only_is_free_at_once() {
    for app in TestApp::all().await {
        app.lounge(&rule(r#","token":{"online_only":true}"#), "50").await;
        let kiosk = app.kiosk().await;
        let granted = ask(&kiosk, "twitter:ada").await;
        assert!(is_granted(&granted) && !is_granted(&ask(&kiosk, "twitter:bob").await));
        let introspected = kiosk.ask(reqwest::Method::POST, "/v1/tokens/introspect");
        let introspected = introspected.form(&format!("token={}", granted.text_of("token"))).await;
        assert_eq!(introspected.is(200)["online_only"], true);
        app.world.pass(60);
        assert_shape!(undo(&kiosk, &granted, "wrong_person").await, @r#"
        200
        {
          "grant":"grt_…",
          "undone_at":"2012-05-08T19:01:00Z",
          "limits_free_at":"2012-05-08T19:01:00Z"
        }
        "#);
        redeem(&kiosk, &granted).await.problem(422, "invalid_token");
        let shown = kiosk.get(&format!("/v1/grants/{}", granted.text_of("grant"))).await.is(200);
        assert_eq!((&shown["status"], &shown["undone"]), (&json!("voided"), &json!("wrong_person")));
        assert!(is_granted(&ask(&kiosk, "twitter:bob").await) && !is_granted(&ask(&kiosk, "twitter:cy").await));
        assert_eq!(findings(&app.world), [""; 0]);
        app.world.pass(1);
        let report = app.auditor(&app.cathay).await.get("/v1/reports/grants").await.is(200);
        let counts = ["granted", "voided", "undone", "grants_voided"].map(|it| report["totals"][it].clone());
        assert_eq!(counts, [2, 1, 1, 1].map(Value::from));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_offline_door_may_take_is_free_when_the_token_is_over() {
    for app in TestApp::all().await {
        app.lounge(&rule(""), "50").await;
        let kiosk = app.kiosk().await;
        let granted = ask(&kiosk, "twitter:ada").await;
        let undone = undo(&kiosk, &granted, "left").await.is(200);
        assert_eq!(undone["limits_free_at"], "2012-05-08T19:15:30Z");
        let ledger = &app.world.gateway.ledger;
        // Until the last second in which a door takes it, nobody else has what it used.
        app.world.pass(15 * 60 + 29);
        assert_eq!(ledger.free_undone().await.unwrap(), 0);
        assert!(!is_granted(&ask(&kiosk, "twitter:bob").await));
        assert_eq!(findings(&app.world), [""; 0]);
        app.world.pass(1);
        // The gateway does it by itself each second; here it is done by then, by whichever was first.
        ledger.free_undone().await.unwrap();
        assert!(is_granted(&ask(&kiosk, "twitter:bob").await) && !is_granted(&ask(&kiosk, "twitter:cy").await));
        assert_eq!(findings(&app.world), [""; 0]);
        let events = app.auditor(&app.cathay).await.get("/v1/audit/events?kind=grant.freed").await.is(200);
        assert_eq!(events["events"].as_array().unwrap().len(), 1, "and once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_that_did_take_it_keeps_what_it_used() {
    for app in TestApp::all().await {
        app.lounge(&rule(""), "50").await;
        let kiosk = app.kiosk().await;
        let granted = ask(&kiosk, "twitter:ada").await;
        undo(&kiosk, &granted, "mistake").await.is(200);
        let item =
            json!({"token": granted.text_of("token"), "door": "A", "attempt": "1", "at": "2012-05-08T19:00:00Z"});
        let told = kiosk.post("/v1/tokens/redeem/late", &json!({"items": [item]})).await.is(200);
        assert_eq!(
            (&told["results"][0]["outcome"], &told["results"][0]["meanwhile"]),
            (&json!("recorded"), &json!("voided"))
        );
        app.world.pass(5 * 3600);
        assert_eq!(app.world.gateway.ledger.free_undone().await.unwrap(), 0);
        assert!(!is_granted(&ask(&kiosk, "twitter:bob").await));
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_that_comes_too_late_or_from_another_is_refused() {
    let open = r#"{"tiers":[{"id":"seat","name":"Seat"}],"token":{"ttl":"PT1H"}}"#;
    for app in TestApp::all().await {
        app.lounge(open, "50").await;
        let (kiosk, other) = (app.kiosk().await, app.kiosk().await);
        let granted = ask(&kiosk, "twitter:ada").await;
        for reason in ["", "because", "Mistake"] {
            let spot = undo(&kiosk, &granted, reason).await.spot(422, "invalid_request");
            assert_eq!(spot, ("/reason".to_owned(), "invalid_value".to_owned()));
        }
        undo(&other, &granted, "mistake").await.problem(403, "forbidden");
        undo(&app.admin(&app.cathay).await, &granted, "mistake").await.problem(403, "forbidden");
        undo(&app.door(&app.cathay, "sfo-lounge").await, &granted, "mistake").await.problem(403, "forbidden");
        undo(&app.admin(&app.american).await, &granted, "mistake").await.problem(404, "not_found");
        let unknown = "/v1/grants/grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70/undo";
        kiosk.post(unknown, &json!({"reason": "mistake"})).await.problem(404, "not_found");

        undo(&kiosk, &granted, "mistake").await.is(200);
        undo(&kiosk, &granted, "left").await.problem(409, "grant_voided");

        let [redeemed, released, old] =
            [ask(&kiosk, "member:1").await, ask(&kiosk, "member:2").await, ask(&kiosk, "member:3").await];
        redeem(&kiosk, &redeemed).await.is(200);
        undo(&kiosk, &redeemed, "mistake").await.problem(409, "already_redeemed");
        kiosk.post(&format!("/v1/grants/{}/release", released.text_of("grant")), &json!({})).await.is(200);
        undo(&kiosk, &released, "left").await.problem(409, "grant_released");
        let minute_ten = ask(&kiosk, "member:4").await;
        app.world.pass(600);
        undo(&kiosk, &minute_ten, "left").await.is(200);
        app.world.pass(1);
        undo(&kiosk, &old, "left").await.problem(409, "undo_over");
        undo(&other, &old, "left").await.problem(403, "forbidden");
        redeem(&kiosk, &old).await.is(200);
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_undo_and_a_door_at_once_one_wins() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        let kiosk = world.principal(&cathay, Role::Kiosk).await;
        let rule = r#"{"tiers":[{"id":"seat","name":"Seat"}],"token":{"online_only":true},
          "limits":[{"id":"day","scope":["perk"],"max":12,"window":{"calendar":"day"}}]}"#;
        world.perk(&cathay, "lounge", rule).await;
        let replica = world.replica().await;
        let gateways = [world.gateway.as_ref(), &replica];
        let mut undone = 0;
        for round in 0..12 {
            let asked = question("lounge", &format!("member:{round}"));
            let answer = world.check(&kiosk, asked).await.unwrap();
            let (token, grant) = (answer.token.unwrap(), answer.grant.unwrap().id);
            let deadline = Instant::now() + Duration::from_mins(1);
            let (kiosk, cathay, token, grant) = (&kiosk, &cathay, &token, &grant);
            let rush = (0..6).map(async |nth: usize| {
                let gateway = gateways[(nth / 2 + round) % 2];
                if (nth + round).is_multiple_of(2) {
                    let attempt = nth.to_string();
                    let spent = gateway.redeemer.redeem(kiosk, cathay, token, "A".into(), attempt, deadline).await;
                    return match spent {
                        Ok(_) => "redeemed",
                        Err(RedeemError::AlreadyRedeemed(_) | RedeemError::Token(TokenError::Voided)) => "",
                        Err(other) => panic!("{other}"),
                    };
                }
                match gateway
                    .ledger
                    .undo_grant(&cathay.id, grant, Undoing::of_key(kiosk.key.clone(), "kiosk"), UndoReason::Mistake)
                    .await
                {
                    Ok(_) => "undone",
                    Err(UndoError::Redeemed | UndoError::Voided) => "",
                    Err(other) => panic!("{other}"),
                }
            });
            let won: Vec<_> = join_all(rush).await.into_iter().filter(|won| !won.is_empty()).collect();
            // An undo that comes again is answered like the first.
            let is_one = won == ["redeemed"] || (!won.is_empty() && won.iter().all(|won| *won == "undone"));
            assert!(is_one, "{won:?}");
            undone += usize::from(won[0] == "undone");
        }
        assert_eq!(findings(&world), [""; 0]);
        // As many as were undone find room again.
        let mut granted = 0;
        for nth in 0..12 {
            let answer = world.check(&kiosk, question("lounge", &format!("member:again{nth}"))).await.unwrap();
            granted += usize::from(answer.grant.is_some());
        }
        assert_eq!(granted, undone);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_free_it_once_and_a_bent_row_is_found() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        let kiosk = world.principal(&cathay, Role::Kiosk).await;
        world.perk(&cathay, "lounge", &rule("").replace("\"max\":1", "\"max\":40")).await;
        let replica = world.replica().await;
        for nth in 0..40 {
            let answer = world.check(&kiosk, question("lounge", &format!("member:{nth}"))).await.unwrap();
            let grant = answer.grant.unwrap().id;
            world
                .gateway
                .ledger
                .undo_grant(&cathay.id, &grant, Undoing::of_key(kiosk.key.clone(), "kiosk"), UndoReason::Left)
                .await
                .unwrap();
        }
        let refused = world.check(&kiosk, question("lounge", "member:x")).await.unwrap();
        assert!(refused.grant.is_none());
        for (set, expected) in [("frees_at = frees_at + 1", true), ("frees_at = frees_at - 1", false)] {
            let set = format!("UPDATE grants SET {set} WHERE frees_at IS NOT NULL");
            let write = world.gateway.database.write(move |conn| {
                perkgate::on_either!(conn, |c| diesel::sql_query(set).execute(c)).map_err(DatabaseError::from)
            });
            write.await.unwrap();
            assert_eq!(!findings(&world).is_empty(), expected);
        }
        world.pass(15 * 60 + 30);
        let freed = join_all([world.gateway.as_ref(), &replica].map(|it| it.ledger.free_undone())).await;
        assert!(freed.into_iter().map(Result::unwrap).sum::<usize>() >= 40);
        assert_eq!(findings(&world), [""; 0]);
        for nth in 0..41 {
            let answer = world.check(&kiosk, question("lounge", &format!("member:again{nth}"))).await.unwrap();
            assert_eq!(answer.grant.is_some(), nth < 40, "{nth}");
        }
        assert_eq!(findings(&world), [""; 0]);
    }
}

/// Four limits of ten people, that count them in every way.
const PEOPLE: &str = r#"{"tiers":[{"id":"seat","guests":{"free":1,"max":9}}],"limits":[
  {"id":"day","scope":["perk"],"max":10,"cost":"party","window":{"calendar":"day"}},
  {"id":"rolling","scope":["perk"],"max":10,"cost":"party","window":{"rolling":"PT24H"}},
  {"id":"inside","scope":["perk"],"max":10,"cost":"party","window":{"concurrent":{"max_stay":"PT4H"}}},
  {"id":"ever","scope":["perk"],"max":10,"cost":"party","window":{"lifetime":true}}]TOKEN}"#;

#[tokio::test(flavor = "multi_thread")]
async fn of_a_grant_that_was_corrected_those_are_given_back_who_came() {
    for online_only in [true, false] {
        for app in TestApp::all().await {
            let token = if online_only { r#","token":{"online_only":true}"# } else { "" };
            app.lounge(&PEOPLE.replace("TOKEN", token), "50").await;
            let kiosk = app.kiosk().await;
            let of =
                |who: &str, adults: u64| json!({"perk": "sfo-lounge", "subject": who, "party": {"adults": adults}});
            // Bob's three remain, whatever becomes of Ada's.
            assert!(is_granted(&kiosk.post("/v1/checks", &of("twitter:bob", 3)).await));
            let used = async || {
                let mut dry = of("twitter:cy", 1);
                dry["dry_run"] = json!(true);
                let answer = kiosk.post("/v1/checks", &dry).await.is(200);
                let used = |limit: &Value| 10 - 1 - limit["remaining"].as_i64().unwrap();
                answer["limits"].as_array().unwrap().iter().map(used).collect::<Vec<_>>()
            };
            // A place is held for Bob until his token expires.
            let mut held = 3;
            for (granted, came) in [(4, 2), (2, 5)] {
                let ada = kiosk.post("/v1/checks", &of("twitter:ada", granted)).await;
                let path = format!("/v1/grants/{}", ada.text_of("grant"));
                let body = json!({"party": {"adults": came}, "reason": "Counted at the desk."}).to_string();
                kiosk.ask(reqwest::Method::PATCH, &path).header("if-match", "*").json(body).await.is(200);
                let came = i64::from(came);
                assert_eq!(used().await, [3 + came, 3 + came, held + came, 3 + came]);
                undo(&kiosk, &ada, "mistake").await.is(200);
                assert_eq!(findings(&app.world), [""; 0]);
                if !online_only {
                    assert_eq!(used().await[0], 3 + came, "a door may take the token yet");
                    app.world.pass(15 * 60 + 30);
                    app.world.gateway.ledger.free_undone().await.unwrap();
                    held = 0;
                }
                let [day, rolling, inside, ever] = used().await[..] else { panic!("four limits") };
                assert_eq!((day, rolling, inside, ever), (3, 3, held, 3), "{granted} {came}");
                assert_eq!(findings(&app.world), [""; 0]);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_undone_and_waits_is_not_released() {
    for app in TestApp::all().await {
        app.lounge(&rule(""), "50").await;
        let kiosk = app.kiosk().await;
        let granted = ask(&kiosk, "twitter:ada").await;
        undo(&kiosk, &granted, "left").await.is(200);
        let release = format!("/v1/grants/{}/release", granted.text_of("grant"));
        kiosk.post(&release, &json!({})).await.problem(409, "grant_voided");
        app.world.pass(15 * 60 + 29);
        assert!(!is_granted(&ask(&kiosk, "twitter:bob").await));
        app.world.pass(1);
        app.world.gateway.ledger.free_undone().await.unwrap();
        assert!(is_granted(&ask(&kiosk, "twitter:bob").await));
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_can_not_be_read_keeps_no_other_from_being_freed() {
    for app in TestApp::all().await {
        app.lounge(&rule(""), "50").await;
        app.world.perk(&app.american, "sfo-lounge", &rule("")).await;
        let kiosks = [app.kiosk().await, app.role(&app.american, Role::Kiosk).await];
        let [broken, whole] = [ask(&kiosks[0], "twitter:ada").await, ask(&kiosks[1], "twitter:ada").await];
        undo(&kiosks[0], &broken, "left").await.is(200);
        app.world.pass(2);
        undo(&kiosks[1], &whole, "left").await.is(200);
        let set = format!("UPDATE grants SET claims = '{{' WHERE id = '{}'", broken.text_of("grant"));
        let write = app.world.gateway.database.write(move |conn| {
            perkgate::on_either!(conn, |c| diesel::sql_query(set).execute(c)).map_err(DatabaseError::from)
        });
        write.await.unwrap();
        app.world.pass(15 * 60 + 30);
        app.world.gateway.ledger.free_undone().await.unwrap_err();
        assert!(is_granted(&ask(&kiosks[1], "twitter:bob").await), "the other merchant's");
        assert!(!is_granted(&ask(&kiosks[0], "twitter:bob").await), "it waits until it can be read");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_whose_answer_was_lost_is_answered_again_and_another_is_not() {
    for app in TestApp::all().await {
        app.lounge(&rule(""), "50").await;
        let kiosk = app.kiosk().await;
        let granted = ask(&kiosk, "twitter:ada").await;
        let first = undo(&kiosk, &granted, "left").await;
        app.world.pass(60);
        assert_eq!((undo(&kiosk, &granted, "left").await.is(200), first.status), (first.is(200), 200));
        undo(&kiosk, &granted, "mistake").await.problem(409, "grant_voided");
        undo(&app.kiosk().await, &granted, "left").await.problem(403, "forbidden");
        let events = app.auditor(&app.cathay).await.get("/v1/audit/events?kind=grant.voided").await.is(200);
        assert_eq!(events["events"].as_array().unwrap().len(), 1);
        assert_eq!(findings(&app.world), [""; 0]);
    }
}
