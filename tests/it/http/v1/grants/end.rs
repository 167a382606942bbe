//! `POST /v1/grants/{grant}/release`, `…/void` and `/v1/grants/void`: grants that end before their time.

use diesel::RunQueryDsl as _;
use serde_json::{Value, json};

use crate::http::v1::{LOUNGE, OPEN_LOUNGE};
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::shape::assert_shape;

/// One guest at a time, who may stay for an hour.
const ONE_SEAT: &str = r#"{"tiers":[{"id":"seat","name":"Seat"}],
  "limits":[{"id":"seats","scope":["perk"],"max":1,"window":{"concurrent":{"max_stay":"PT1H"}}}]}"#;

fn ada() -> Value {
    json!({"perk": "sfo-lounge", "subject": "twitter:ada"})
}

async fn ask(kiosk: &Client, who: &str) -> Reply {
    kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": who})).await
}

async fn redeem(door: &Client, granted: &Reply, attempt: &str) -> Reply {
    let token = granted.text_of("token");
    door.post("/v1/tokens/redeem", &json!({"token": token, "door": "A-3", "attempt": attempt})).await
}

fn is_granted(reply: &Reply) -> bool {
    reply.is(200)["decision"] == "granted"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_is_free_when_its_guest_leaves() {
    for app in TestApp::all().await {
        app.lounge(ONE_SEAT, "50").await;
        let (kiosk, door) = (app.kiosk().await, app.door(&app.cathay, "sfo-lounge").await);
        let ada = ask(&kiosk, "twitter:ada").await;
        redeem(&door, &ada, "1").await.is(200);
        let full = ask(&kiosk, "twitter:bob").await;
        assert_eq!(full.is(200)["reasons"][0]["code"], "limit_reached");
        assert_eq!(full.is(200)["next_eligible_at"], Value::Null, "nobody knows when guests leave");

        let path = format!("/v1/grants/{}/release", ada.text_of("grant"));
        let standing = kiosk.get(&format!("/v1/grants/{}", ada.text_of("grant"))).await.is(200);
        assert_eq!(standing.get("ended_at"), Some(&Value::Null), "as in the list");
        let left = door.post(&path, &json!({})).await;
        assert_shape!(left, @r#"
        200
        {
          "grant":"grt_…",
          "released_at":"2012-05-08T19:00:00Z"
        }
        "#);
        app.world.pass(60);
        assert_eq!(kiosk.post(&path, &json!({})).await.text, left.text, "said twice is said once");
        let shown = kiosk.get(&format!("/v1/grants/{}", ada.text_of("grant"))).await;
        assert_eq!(
            (&shown.is(200)["status"], &shown.is(200)["ended_at"]),
            (&json!("released"), &json!("2012-05-08T19:00:00Z"))
        );
        assert!(is_granted(&ask(&kiosk, "twitter:bob").await));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_that_nobody_took_lapses_and_its_token_with_it() {
    for app in TestApp::all().await {
        app.lounge(ONE_SEAT, "50").await;
        let (kiosk, door) = (app.kiosk().await, app.door(&app.cathay, "sfo-lounge").await);
        let ada = ask(&kiosk, "twitter:ada").await;
        // Fifteen minutes, and the half minute for which doors still take it.
        app.world.pass(15 * 60 + 29);
        assert!(!is_granted(&ask(&kiosk, "twitter:bob").await));
        app.world.pass(1);
        assert!(is_granted(&ask(&kiosk, "twitter:bob").await));
        redeem(&door, &ada, "1").await.problem(422, "invalid_token");
        // A guest who doesn't leave has left when the longest stay is over.
        app.world.pass(3600);
        assert!(is_granted(&ask(&kiosk, "twitter:ada").await));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doors_release_their_own_guests_only() {
    for app in TestApp::all().await {
        app.lounge(ONE_SEAT, "50").await;
        let granted = ask(&app.kiosk().await, "twitter:ada").await;
        let path = format!("/v1/grants/{}/release", granted.text_of("grant"));
        app.door(&app.cathay, "jfk-lounge").await.post(&path, &json!({})).await.problem(404, "not_found");
        app.admin(&app.american).await.post(&path, &json!({})).await.problem(404, "not_found");
        app.auditor(&app.cathay).await.post(&path, &json!({})).await.problem(403, "forbidden");
        app.admin(&app.cathay).await.post(&path, &json!({})).await.is(200);
        redeem(&app.kiosk().await, &granted, "1").await.problem(422, "invalid_token");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_never_surfaces_again() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let first = kiosk.post("/v1/checks", &ada()).header("idempotency-key", "visit").await;
        let path = format!("/v1/grants/{}", first.text_of("grant"));
        let void = json!({"note": "Given to the wrong guest."});
        let taken = admin.post(&format!("{path}/void"), &void).await;
        assert_shape!(taken, @r#"
        200
        {
          "voided":1,
          "redeemed":0,
          "released":0,
          "already_voided":0,
          "more":false
        }
        "#);
        assert_eq!(admin.post(&format!("{path}/void"), &void).await.is(200)["already_voided"], 1);
        redeem(&kiosk, &first, "1").await.problem(422, "invalid_token");
        admin.post(&format!("{path}/release"), &json!({})).await.problem(409, "grant_voided");
        assert_eq!(kiosk.get(&path).await.is(200)["status"], "voided");

        // The same question gets the same decision, and never the token again.
        let again = kiosk.post("/v1/checks", &ada()).header("idempotency-key", "visit").await;
        assert_eq!((again.text_of("check"), again.text_of("grant")), (first.text_of("check"), first.text_of("grant")));
        assert_eq!(again.is(200).get("token"), None);
        assert_eq!(again.is(200)["voided_at"], "2012-05-08T19:00:00Z");
        let shown = kiosk.get(&format!("/v1/checks/{}", first.text_of("check"))).await;
        assert_eq!(shown.is(200).get("token"), None);

        // The visit is given back, once.
        assert!(is_granted(&kiosk.post("/v1/checks", &ada()).await));
        assert!(!is_granted(&kiosk.post("/v1/checks", &ada()).await));
    }
}

/// A grant that ended tells so wherever it is asked for again, and sends its token nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_whose_grant_ended_opens_no_door_again_and_is_not_sent_again() {
    for app in TestApp::all().await {
        app.lounge(ONE_SEAT, "50").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let door = app.door(&app.cathay, "sfo-lounge").await;
        let many = json!({"checks": [ada()]});
        for (step, body, end) in
            [("release", json!({}), "released"), ("void", json!({"note": "Not a guest of ours."}), "voided")]
        {
            let asked = || kiosk.post("/v1/checks", &ada()).header("idempotency-key", end);
            let first = asked().await;
            let path = format!("/v1/grants/{}", first.text_of("grant"));
            let opened = redeem(&door, &first, "1").await;
            assert_eq!(redeem(&door, &first, "1").await.text, opened.text, "a retry while the guest is in");
            admin.post(&format!("{path}/{step}"), &body).await.is(200);
            if end == "voided" {
                kiosk.post(&format!("{path}/release"), &json!({})).await.is(200);
            }
            // The place is the next guest's.
            let next = ask(&kiosk, "twitter:bob").await;
            redeem(&door, &next, "next").await.is(200);
            let refused = redeem(&door, &first, "1").await.spot(422, "invalid_token");
            assert_eq!(refused, ("/token".to_owned(), end.to_owned()));
            let form = format!("token={}", first.text_of("token"));
            let introspected = door.ask(reqwest::Method::POST, "/v1/tokens/introspect").form(&form).await;
            assert_eq!(introspected.is(200), json!({"active": false}));

            let shown = kiosk.get(&format!("/v1/checks/{}", first.text_of("check"))).await;
            for told in [asked().await, shown] {
                let told = told.is(200);
                assert_eq!((&told["decision"], &told["tier"]), (&json!("granted"), &json!("seat")));
                assert_eq!(told["check"], first.is(200)["check"]);
                assert_eq!(told["grant"], first.is(200)["grant"]);
                assert_eq!(told[format!("{end}_at")], "2012-05-08T19:00:00Z");
                assert_eq!((told.get("token"), told.get("token_expires_at")), (None, None));
            }
            kiosk.post(&format!("/v1/grants/{}/release", next.text_of("grant")), &json!({})).await.is(200);
        }

        let asked = || kiosk.post("/v1/checks/batch", &many).header("idempotency-key", "many");
        let first = asked().await.is(200)["results"][0].clone();
        assert!(first["token"].is_string(), "{first}");
        let path = format!("/v1/grants/{}/release", first["grant"].as_str().unwrap());
        kiosk.post(&path, &json!({})).await.is(200);
        let again = asked().await.is(200)["results"][0].clone();
        assert_eq!((&again["decision"], &again["grant"]), (&json!("granted"), &first["grant"]));
        assert_eq!((&again["released_at"], again.get("token")), (&json!("2012-05-08T19:00:00Z"), None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_many_uses_opens_no_door_once_its_guest_has_left() {
    let rule = r#"{"tiers":[{"id":"seat"}],"token":{"audience":"sfo-lounge","single_use":false}}"#;
    for app in TestApp::all().await {
        app.lounge(rule, "50").await;
        let (kiosk, door) = (app.kiosk().await, app.door(&app.cathay, "sfo-lounge").await);
        let ada = ask(&kiosk, "twitter:ada").await;
        redeem(&door, &ada, "1").await.is(200);
        door.post(&format!("/v1/grants/{}/release", ada.text_of("grant")), &json!({})).await.is(200);
        for attempt in ["1", "2"] {
            let refused = redeem(&door, &ada, attempt).await.spot(422, "invalid_token");
            assert_eq!(refused, ("/token".to_owned(), "released".to_owned()), "{attempt}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abuse_and_a_visit_stay_counted() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let abused = kiosk.post("/v1/checks", &ada()).await;
        let void = json!({"note": "Sold on.", "keep_uses": true});
        admin.post(&format!("/v1/grants/{}/void", abused.text_of("grant")), &void).await.is(200);
        assert!(!is_granted(&kiosk.post("/v1/checks", &ada()).await));

        app.world.pass(24 * 3600);
        let visited = kiosk.post("/v1/checks", &ada()).await;
        redeem(&kiosk, &visited, "1").await.is(200);
        let path = format!("/v1/grants/{}/void", visited.text_of("grant"));
        assert_eq!(admin.post(&path, &json!({"note": "A mistake."})).await.is(200)["redeemed"], 1);
        assert!(!is_granted(&kiosk.post("/v1/checks", &ada()).await), "the visit took place");
        for attempt in ["1", "2"] {
            redeem(&kiosk, &visited, attempt).await.problem(422, "invalid_token");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_whose_grant_was_taken_back_still_leaves() {
    for app in TestApp::all().await {
        app.lounge(ONE_SEAT, "50").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let ada = ask(&kiosk, "twitter:ada").await;
        redeem(&kiosk, &ada, "1").await.is(200);
        let path = format!("/v1/grants/{}", ada.text_of("grant"));
        admin.post(&format!("{path}/void"), &json!({"note": "Not a guest of ours."})).await.is(200);
        assert!(!is_granted(&ask(&kiosk, "twitter:bob").await), "she is still in");
        kiosk.post(&format!("{path}/release"), &json!({})).await.is(200);
        assert!(is_granted(&ask(&kiosk, "twitter:bob").await));
        assert_eq!(kiosk.get(&path).await.is(200)["status"], "voided");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_whose_claims_cant_be_read_holds_up_no_other() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "50").await;
        app.world.score(&app.cathay, "twitter:bob", "50").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let first = ask(&kiosk, "twitter:ada").await;
        let second = ask(&kiosk, "twitter:bob").await;
        let mut conn = app.world.database.open().dedicated().unwrap();
        let damaged = format!("UPDATE grants SET claims = 'x' || claims WHERE id = '{}'", first.text_of("grant"));
        assert_eq!(diesel::sql_query(damaged).execute(&mut conn).unwrap(), 1);
        let all = json!({"filter": {"perk": "sfo-lounge"}, "note": "The rule was wrong."});
        // It may be one of those that are meant, so nobody is made to believe that all are taken back.
        admin.post("/v1/grants/void", &all).await.problem(500, "internal");
        let shown = kiosk.get(&format!("/v1/grants/{}", second.text_of("grant"))).await;
        assert_eq!(shown.is(200)["status"], "voided");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_taken_back_by_a_filter() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "50").await;
        app.world.perk(&app.cathay, "bar", OPEN_LOUNGE).await;
        app.world.score(&app.cathay, "twitter:bob", "50").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let mut granted = Vec::new();
        for (perk, who) in [("sfo-lounge", "ada"), ("sfo-lounge", "bob"), ("bar", "ada"), ("sfo-lounge", "ada")] {
            let asked = json!({"perk": perk, "subject": format!("twitter:{who}")});
            granted.push(kiosk.post("/v1/checks", &asked).await);
            app.world.pass(60);
        }
        let void = async |filter: Value, dry_run: bool| {
            let body = json!({"filter": filter, "note": "The rule was wrong.", "dry_run": dry_run});
            let reply = admin.post("/v1/grants/void", &body).await;
            reply.is(200)["voided"].as_u64().unwrap()
        };
        let lounge = json!({"perk": "sfo-lounge", "subject": "Twitter:Ada"});
        assert_eq!(void(lounge.clone(), true).await, 2);
        assert_eq!(void(json!({"from": "2012-05-08T19:03:00Z"}), true).await, 1);
        assert_eq!(void(json!({"to": "2012-05-08T19:01:00Z"}), true).await, 1);
        assert_eq!(void(json!({"tier": "gold"}), true).await, 0);
        assert_eq!(void(json!({"rule_version": 1, "subject": "twitter:nobody"}), true).await, 0);
        assert_eq!(void(lounge.clone(), false).await, 2);
        assert_eq!(void(lounge, false).await, 0, "they are gone already");
        let mut statuses = Vec::new();
        for reply in &granted {
            let shown = kiosk.get(&format!("/v1/grants/{}", reply.text_of("grant"))).await;
            statuses.push(shown.is(200)["status"].as_str().unwrap().to_owned());
        }
        assert_eq!(statuses, ["voided", "active", "active", "voided"]);

        for (body, pointer) in [
            (json!({"filter": {}, "note": "n"}), "/filter"),
            (json!({"filter": {"perk": "bar"}, "note": " "}), "/note"),
            (json!({"filter": {"subject": "\u{0}"}, "note": "n"}), "/filter/subject"),
            (
                json!({"filter": {"from": "2012-05-08T19:00:00Z", "to": "2012-05-08T19:00:00Z"}, "note": "n"}),
                "/filter/to",
            ),
        ] {
            let refused = admin.post("/v1/grants/void", &body).await;
            let problem = refused.problem(422, "invalid_request");
            assert_eq!(problem[0].0, pointer, "{problem:?}");
        }
        app.admin(&app.american)
            .await
            .post("/v1/grants/void", &json!({"filter": {"tier": "standard"}, "note": "n"}))
            .await
            .is(200);
        assert_eq!(void(json!({"tier": "standard"}), true).await, 2, "another merchant's stay");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_taken_back_a_few_at_a_time() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "50").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        // All in one instant: the pages go on by id where times are equal.
        for _ in 0..60 {
            assert!(is_granted(&ask(&kiosk, "twitter:ada").await));
        }
        let sizes = || {
            let read = app.world.database.open().read_blocking(|conn| {
                use diesel::prelude::*;
                use perkgate::database::schema::{checkpoints, logs};
                let mine = checkpoints::table
                    .inner_join(logs::table.on(logs::id.eq(checkpoints::log_id)))
                    .filter(logs::name.eq("cathay"));
                Ok::<_, perkgate::database::DatabaseError>(
                    mine.order(checkpoints::size).select(checkpoints::size).load::<i64>(conn)?,
                )
            });
            read.unwrap()
        };
        let before = sizes().len();
        let body = json!({"filter": {"perk": "sfo-lounge"}, "note": "The rule was wrong.", "limit": 59});
        let first = admin.post("/v1/grants/void", &body).await;
        assert_eq!((&first.is(200)["voided"], &first.is(200)["more"]), (&json!(59), &json!(true)));
        let sizes = sizes();
        let steps: Vec<i64> = sizes[before - 1..].windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(steps, [25, 25, 9], "how many events each change wrote");
        let again = admin.post("/v1/grants/void", &body).await;
        assert_eq!((&again.is(200)["voided"], &again.is(200)["more"]), (&json!(1), &json!(false)), "it goes on");
        assert_eq!(admin.post("/v1/grants/void", &body).await.is(200)["voided"], 0);
        for limit in [0, 10_001] {
            let body = json!({"filter": {"perk": "sfo-lounge"}, "note": "n", "limit": limit});
            let refused = admin.post("/v1/grants/void", &body).await;
            assert_eq!(refused.problem(422, "invalid_request")[0].0, "/limit");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_grant_was_taken_back_is_read_by_who_may_and_by_nobody_once_the_person_is_erased() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let path = format!("/v1/grants/{}", kiosk.post("/v1/checks", &ada()).await.text_of("grant"));
        app.world.pass(24 * 3600);
        let later = format!("/v1/grants/{}", kiosk.post("/v1/checks", &ada()).await.text_of("grant"));
        admin.post(&format!("{path}/void"), &json!({"note": "Ada Quux sold it on."})).await.is(200);
        assert_eq!(admin.get(&path).await.is(200)["note"], "Ada Quux sold it on.");
        assert_eq!(kiosk.get(&path).await.is(200).get("note"), None);
        let told = admin.get("/v1/audit/events?kind=grant.voided").await;
        assert_eq!(told.is(200)["events"][0]["facts"].get("note"), None);
        assert!(!told.text.contains("Quux"), "{}", told.text);
        let person = json!({"subject": "twitter:ada"});
        let record = admin.post("/v1/subjects/record", &person).await;
        assert!(record.text.contains("Ada Quux sold it on."), "{}", record.text);

        admin.post("/v1/subjects/erase", &person).await.is(200);
        let shown = admin.get(&path).await.is(200);
        assert_eq!((&shown["status"], shown.get("note")), (&json!("voided"), None));
        // There is no key left to seal this one with, and it stands nowhere else.
        admin.post(&format!("{later}/void"), &json!({"note": "Ada Quux again."})).await.is(200);
        assert_eq!(admin.get(&later).await.is(200).get("note"), None);
        assert!(!admin.get("/v1/audit/export").await.text.contains("Quux"));
    }
}
