//! `POST /v1/tokens/redeem/late`: what doors took while they were offline, and that nothing of it is lost or counted twice.

use std::time::{Duration, Instant};

use diesel::RunQueryDsl as _;
use futures_util::future::join_all;
use perkgate::access::Role;
use perkgate::audit::Request;
use perkgate::database::DatabaseError;
use perkgate::eligibility::late_reports::{LateItem, LateOutcome};
use perkgate::foundation::entropy::Entropy;
use serde_json::{Value, json};

use crate::http::v1::OPEN_LOUNGE;
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::shape::assert_shape;
use crate::support::world::{World, question};

/// One guest at a time, who may stay for an hour.
const ONE_SEAT: &str = r#"{"tiers":[{"id":"seat","name":"Seat"}],
  "limits":[{"id":"seats","scope":["perk"],"max":1,"window":{"concurrent":{"max_stay":"PT1H"}}}]}"#;

async fn granted(kiosk: &Client) -> Reply {
    let reply = kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada"})).await;
    assert_eq!(reply.is(200)["decision"], "granted", "{}", reply.text);
    reply
}

fn item(token: &str, door: &str, attempt: &str, at: &str) -> Value {
    json!({"token": token, "door": door, "attempt": attempt, "at": at})
}

async fn report(client: &Client, items: &[Value]) -> Reply {
    client.post("/v1/tokens/redeem/late", &json!({"items": items})).await
}

/// The outcomes, in a word each: with the code where it is refused, and how the grant had ended.
fn outcomes(reply: &Reply) -> Vec<String> {
    let word = |result: &Value| {
        let more = result.get("code").or(result.get("meanwhile")).and_then(Value::as_str);
        let outcome = result["outcome"].as_str().unwrap();
        more.map_or_else(|| outcome.to_owned(), |more| format!("{outcome} {more}"))
    };
    reply.is(200)["results"].as_array().unwrap().iter().map(word).collect()
}

#[track_caller]
fn findings(world: &World) -> Vec<String> {
    let report = perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
    report.unwrap().findings.listed().iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_that_was_offline_reports_what_it_took_and_a_duplicate_is_told_of_the_first() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let (kiosk, door) = (app.kiosk().await, app.door(&app.cathay, "sfo-lounge").await);
        let tokens = [granted(&kiosk).await.text_of("token"), granted(&kiosk).await.text_of("token")];
        app.world.pass(2 * 3600);
        let [first, second] = [
            item(&tokens[0], "SFO-A-3", "1", "2012-05-08T19:05:00.25Z"),
            item(&tokens[0], "SFO-A-4", "1", "2012-05-08T19:04:00Z"),
        ];
        let told = report(&door, &[first.clone(), second.clone(), first.clone()]).await;
        assert_shape!(told, @r#"
        200
        {
          "results":[{"outcome":"recorded","grant":"grt_…","perk":"sfo-lounge","tier":"standard","redeemed_at":"2012-05-08T19:05:00.25Z","heard_at":"2012-05-08T21:00:00Z","meanwhile":"expired"},{"outcome":"duplicate","grant":"grt_…","door":"SFO-A-3","redeemed_at":"2012-05-08T19:05:00.25Z"},{"outcome":"recorded","grant":"grt_…","perk":"sfo-lounge","tier":"standard","redeemed_at":"2012-05-08T19:05:00.25Z","heard_at":"2012-05-08T21:00:00Z","meanwhile":"expired"}]
        }
        "#);
        let after = app.footprint().await;
        // The same again, also days later and with another instant: the first answer stands.
        app.world.pass(5 * 24 * 3600);
        let again =
            report(&door, &[first.clone(), second, item(&tokens[0], "SFO-A-3", "1", "2012-05-08T19:09:00Z")]).await;
        assert_eq!(again.text, told.text);
        let online = json!({"token": tokens[0], "door": "SFO-A-9", "attempt": "1"});
        door.post("/v1/tokens/redeem", &online).await.problem(409, "already_redeemed");
        assert_eq!(app.footprint().await, after, "nothing of it is recorded again");
        // Nobody reported the other one in time.
        assert_eq!(
            outcomes(&report(&door, &[item(&tokens[1], "A", "1", "2012-05-08T19:05:00Z")]).await),
            ["refused too_old"]
        );
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_redeemed_at_once_is_a_duplicate_and_the_same_attempt_is_the_same() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let (kiosk, door) = (app.kiosk().await, app.door(&app.cathay, "sfo-lounge").await);
        let token = granted(&kiosk).await.text_of("token");
        door.post("/v1/tokens/redeem", &json!({"token": token, "door": "A-1", "attempt": "x"})).await.is(200);
        app.world.pass(60);
        let told = report(
            &door,
            &[item(&token, "A-1", "x", "2012-05-08T19:00:30Z"), item(&token, "A-2", "x", "2012-05-08T19:00:30Z")],
        )
        .await;
        assert_eq!(outcomes(&told), ["recorded", "duplicate"]);
        let results = &told.is(200)["results"];
        assert_eq!(
            (&results[0]["redeemed_at"], &results[0]["heard_at"]),
            (&json!("2012-05-08T19:00:00Z"), &Value::Null)
        );
        assert_eq!((&results[1]["door"], &results[1]["redeemed_at"]), (&json!("A-1"), &json!("2012-05-08T19:00:00Z")));
        // And the other way round: the door lost the answer to its report, and asks at once.
        let token = granted(&kiosk).await.text_of("token");
        assert_eq!(outcomes(&report(&door, &[item(&token, "A-1", "y", "2012-05-08T19:01:00Z")]).await), ["recorded"]);
        let at_once = door.post("/v1/tokens/redeem", &json!({"token": token, "door": "A-1", "attempt": "y"})).await;
        assert_eq!(at_once.is(200)["redeemed_at"], "2012-05-08T19:01:00Z");
        assert_eq!(app.footprint().await.redemptions, 2);
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_the_grant_meanwhile_is_said_and_keeps_nothing_from_being_recorded() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let mut items = Vec::new();
        for step in ["void", "release", "nothing"] {
            let granted = granted(&kiosk).await;
            let path = format!("/v1/grants/{}/{step}", granted.text_of("grant"));
            if step != "nothing" {
                admin
                    .post(&path, &if step == "void" { json!({"note": "A mistake."}) } else { json!({}) })
                    .await
                    .is(200);
            }
            items.push(item(&granted.text_of("token"), "A", step, "2012-05-08T19:00:00Z"));
        }
        let expected = ["recorded voided", "recorded released", "recorded"];
        app.world.pass(10 * 60);
        let told = report(&kiosk, &items).await;
        assert_eq!(outcomes(&told), expected);
        // By now the last one has expired, but the answer is the first one's.
        app.world.pass(3600);
        assert_eq!(report(&kiosk, &items).await.text, told.text);
        // It stands in the grant, and is billed when it happened: an hour before it was heard of.
        let shown = kiosk.get(&format!("/v1/grants/{}", told.is(200)["results"][0]["grant"].as_str().unwrap())).await;
        assert_eq!(shown.is(200)["redeemed_at"], json!(["2012-05-08T19:00:00Z"]));
        app.world.pass(1);
        let auditor = app.auditor(&app.cathay).await;
        let from_to = "from=2012-05-08T19:00:00Z&to=2012-05-08T19:05:00Z";
        let billing = auditor.get(&format!("/v1/reports/billing?{from_to}&group_by=hour")).await.is(200);
        let counts = ["visits", "guests", "late_visits", "ended_visits", "voided_visits"]
            .map(|it| billing["totals"][it].clone());
        assert_eq!(counts, [3, 3, 3, 2, 0].map(Value::from), "{billing}");
        let later = auditor.get("/v1/reports/billing?from=2012-05-08T19:05:00Z").await.is(200);
        assert_eq!(later["totals"]["visits"], 0);
        let grants = auditor.get(&format!("/v1/reports/grants?{from_to}")).await.is(200);
        assert_eq!((&grants["totals"]["redeemed"], &grants["totals"]["grants_redeemed"]), (&json!(3), &json!(3)));
        assert_eq!(findings(&app.world), [""; 0]);
        let events = auditor.get("/v1/audit/events?kind=token.redeemed_offline").await.is(200);
        let facts: Vec<_> =
            events["events"].as_array().unwrap().iter().map(|event| event["facts"]["meanwhile"].clone()).collect();
        assert_eq!(facts.len(), 3);
        assert!(facts.contains(&json!("voided")) && facts.contains(&json!("released")) && facts.contains(&Value::Null));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_who_is_in_holds_the_place_since_the_door_let_them_in() {
    for app in TestApp::all().await {
        app.lounge(ONE_SEAT, "50").await;
        let (kiosk, door) = (app.kiosk().await, app.door(&app.cathay, "sfo-lounge").await);
        let token = granted(&kiosk).await.text_of("token");
        let ask =
            async || kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "member:2"})).await.is(200);
        app.world.pass(600);
        assert_eq!(outcomes(&report(&door, &[item(&token, "A", "1", "2012-05-08T19:05:00Z")]).await), ["recorded"]);
        app.world.pass(54 * 60 + 59);
        assert_eq!(ask().await["decision"], "denied");
        // An hour since five past.
        app.world.pass(1);
        let next = ask().await;
        assert_eq!(next["decision"], "granted");
        // The place lapsed with the token, and is the next guest's: what is heard of then takes none.
        app.world.pass(930);
        assert_eq!(ask().await["decision"], "granted");
        let late = item(next["token"].as_str().unwrap(), "A", "1", "2012-05-08T20:06:00Z");
        assert_eq!(outcomes(&report(&door, &[late]).await), ["recorded expired"]);
        assert_eq!(ask().await["decision"], "denied", "one is in by the counter, as before");
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_whose_stay_was_over_when_it_was_heard_of_is_not_inside() {
    // The token lives for longer than anyone may stay.
    let rule = ONE_SEAT.replace(r#""tiers""#, r#""token":{"ttl":"PT3H"},"tiers""#);
    for app in TestApp::all().await {
        app.lounge(&rule, "50").await;
        let (kiosk, door) = (app.kiosk().await, app.door(&app.cathay, "sfo-lounge").await);
        let admin = app.admin(&app.cathay).await;
        let inside = async || admin.get("/v1/perks/sfo-lounge/occupancy").await.is(200)["inside"].clone();
        let token = granted(&kiosk).await.text_of("token");
        app.world.pass(90 * 60);
        assert_eq!(inside().await, 1, "the place is held for the token");
        // In since five past, and out an hour later; it is half past eight.
        assert_eq!(outcomes(&report(&door, &[item(&token, "A", "1", "2012-05-08T19:05:00Z")]).await), ["recorded"]);
        assert_eq!(inside().await, 0);
        assert_eq!(findings(&app.world), [""; 0]);
        granted(&kiosk).await;
        assert_eq!(inside().await, 1);
        app.world.pass(1);
        let run = admin.post("/v1/perks/sfo-lounge/backtest", &json!({"from": "2012-05-08T00:00:00Z"})).await.is(200);
        assert_eq!(run["reproduction"]["mismatches"], 0, "{run}");
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_can_not_be_so_is_refused_item_by_item() {
    let rule = r#"{"at_least":40,"score":"klout"}"#;
    for app in TestApp::all().await {
        app.lounge(rule, "47.25").await;
        app.world.perk(&app.american, "sfo-lounge", rule).await;
        app.world.score(&app.american, "twitter:ada", "80").await;
        let (kiosk, door) = (app.kiosk().await, app.door(&app.cathay, "sfo-lounge").await);
        let elsewhere = app.door(&app.cathay, "hkg-lounge").await;
        let token = granted(&kiosk).await.text_of("token");
        let theirs = granted(&app.role(&app.american, Role::Kiosk).await).await.text_of("token");
        app.world.pass(3600);
        let said = "2012-05-08T19:05:00Z";
        let items = [
            item(&theirs, "A", "1", said),
            item("a.b.c", "A", "1", said),
            item(&token, "A", "1", "2012-05-08T20:00:31Z"),
            item(&token, "A", "1", "2099-01-01T00:00:00Z"),
            item(&token, "A", "1", "2012-05-08T18:59:29Z"),
            item(&token, "A", "1", "2012-05-08T19:15:30Z"),
            item(&token, "A", "1", "2012-05-05T19:59:59Z"),
            item(&token, "", "1", said),
            item(&token, "A", &"1".repeat(129), said),
            item(&token, "A", "1", "2012-05-08T19:05:00"),
            item(&token, "A", "1", "0000-00-00T00:00:00Z"),
            json!({"token": token, "door": "A", "attempt": "1"}),
            json!({"token": token, "door": "A", "attempt": "1", "at": said, "force": true}),
            json!({"token": token, "door": "A\u{0}", "attempt": "1", "at": said}),
            json!("token"),
            json!(null),
        ];
        let before = app.footprint().await;
        let told = report(&door, &items).await;
        assert_eq!(
            outcomes(&told)[..7],
            [
                "refused bad_signature",
                "refused malformed",
                "refused in_the_future",
                "refused in_the_future",
                "refused not_yet_valid",
                "refused expired",
                "refused too_old",
            ]
        );
        assert_eq!(outcomes(&told)[7..], ["refused invalid_item"; 9]);
        let details: Vec<_> = told.is(200)["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["detail"].as_str().unwrap().to_owned())
            .collect();
        for (nth, place) in
            [(7, "/door: "), (8, "/attempt: "), (9, "/at: "), (10, "/at: "), (11, "/at: "), (12, "/force: ")]
        {
            assert!(details[nth].starts_with(place), "{}", details[nth]);
        }
        let good = item(&token, "A", "1", said);
        assert_eq!(outcomes(&report(&elsewhere, std::slice::from_ref(&good)).await), ["refused wrong_audience"]);
        assert_eq!(app.footprint().await, before);
        for (items, code) in [(Vec::new(), "out_of_range"), (vec![good.clone(); 101], "out_of_range")] {
            let spot = report(&door, &items).await.spot(422, "invalid_request");
            assert_eq!(spot, ("/items".to_owned(), code.to_owned()));
        }
        // Among ninety-nine that can't be read one is recorded, and the last second of the token's life is one of it.
        let mut many = vec![json!(7); 99];
        many.insert(50, item(&token, "A", "1", "2012-05-08T19:15:29Z"));
        assert_eq!(outcomes(&report(&door, &many).await)[50], "recorded expired");
        // Of another audience's door it is no business who took it.
        assert_eq!(outcomes(&report(&elsewhere, &[good]).await), ["refused wrong_audience"]);
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_rush_at_once_and_afterwards_one_wins() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        let kiosk = world.principal(&cathay, Role::Kiosk).await;
        world.perk(&cathay, "lounge", OPEN_LOUNGE).await;
        world.score(&cathay, "twitter:ada", "60").await;
        let replica = world.replica().await;
        for _ in 0..4 {
            let token = world.check(&kiosk, question("lounge", "twitter:ada")).await.unwrap().token.unwrap();
            let deadline = Instant::now() + Duration::from_mins(1);
            let (kiosk, cathay, token, now) = (&kiosk, &cathay, &token, world.now().to_string());
            let gateways = [world.gateway.as_ref(), &replica];
            let now = now.as_str();
            let rush = (0..16).map(async |nth: usize| {
                let redeemer = &gateways[nth / 2 % 2].redeemer;
                let attempt = nth.to_string();
                if nth.is_multiple_of(2) {
                    let door = "at once".to_owned();
                    return redeemer.redeem(kiosk, cathay, token, door, attempt, deadline).await.is_ok();
                }
                let item = LateItem::read(token.clone(), "afterwards", &attempt, now).unwrap();
                let told = redeemer.redeem_late(Some(kiosk), cathay, vec![Ok(item)], deadline).await.unwrap();
                match &told[0] {
                    LateOutcome::Recorded(_) => true,
                    LateOutcome::Duplicate { .. } => false,
                    LateOutcome::Refused(why) => panic!("{why}"),
                }
            });
            let won = join_all(rush).await.into_iter().filter(|won| *won).count();
            assert_eq!(won, 1);
        }
        assert_eq!(world.tally(&cathay).redeemed.len(), 4);
        assert_eq!(findings(&world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bent_report_is_found() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let kiosk = app.kiosk().await;
        let token = granted(&kiosk).await.text_of("token");
        app.world.pass(3600);
        assert_eq!(
            outcomes(&report(&kiosk, &[item(&token, "A", "1", "2012-05-08T19:05:00Z")]).await),
            ["recorded expired"]
        );
        assert_eq!(findings(&app.world), [""; 0]);
        for (bend, mend) in [
            ("meanwhile = 'voided'", "meanwhile = 'expired'"),
            ("heard_at = heard_at + 1", "heard_at = heard_at - 1"),
            ("redeemed_at = redeemed_at + 1", "redeemed_at = redeemed_at - 1"),
        ] {
            for (set, expected) in [(bend, 1), (mend, 0)] {
                let set = format!("UPDATE redemptions SET {set}");
                let write = app.world.gateway.database.write(move |conn| {
                    perkgate::on_either!(conn, |c| diesel::sql_query(set).execute(c)).map_err(DatabaseError::from)
                });
                write.await.unwrap();
                assert_eq!(findings(&app.world).len(), expected, "{bend}: {:?}", findings(&app.world));
            }
        }
    }
}
