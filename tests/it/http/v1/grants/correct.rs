//! `PATCH /v1/grants/{grant}`: who came after all, counted where the check was.

use perkgate::audit::Request;
use perkgate::foundation::entropy::Entropy;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};

/// Three guests a person, ten people a day, six at once.
const LOUNGE: &str = r#"{"time_zone":"America/Los_Angeles",
  "tiers":[{"id":"main","name":"Main lounge","guests":{"free":1,"max":3,"under":2}}],
  "limits":[{"id":"day","scope":["perk"],"max":10,"cost":"party","window":{"calendar":"day"}},
            {"id":"seats","scope":["perk"],"max":6,"cost":"party","window":{"concurrent":{"max_stay":"PT4H"}}},
            {"id":"person","scope":["subject"],"max":9,"window":{"rolling":"P7D"}}],
  "token":{"ttl":"PT8H"}}"#;

async fn ask(kiosk: &Client, who: &str, party: Value) -> Reply {
    kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": who, "party": party})).await
}

async fn correct(client: &Client, grant: &str, tag: &str, party: Value) -> Reply {
    let body = json!({"party": party, "reason": "Counted at the desk."});
    let ask = client.ask(Method::PATCH, &format!("/v1/grants/{grant}"));
    ask.header("if-match", tag).json(body.to_string()).await
}

async fn tag_of(client: &Client, grant: &str) -> String {
    client.get(&format!("/v1/grants/{grant}")).await.header("etag").to_owned()
}

/// The auditor finds the counters and the parties to be what the events say.
#[track_caller]
fn verify(app: &TestApp) {
    let database = app.world.database.open();
    let report = perkgate::audit::verify(&database, &Request::default(), &Entropy::seeded(1), &mut |_| {}).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings.listed());
}

/// What is left of the day and of the seats, as the next check is answered.
async fn left(kiosk: &Client) -> [i64; 2] {
    let dry = json!({"perk": "sfo-lounge", "subject": "twitter:nobody", "dry_run": true});
    let answer = kiosk.post("/v1/checks", &dry).await.is(200);
    [0, 1].map(|nth| answer["limits"][nth]["remaining"].as_i64().unwrap() + i64::from(answer["decision"] == "granted"))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_came_is_counted_and_told_beside_what_was_granted() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "50").await;
        let (kiosk, door) = (app.kiosk().await, app.door(&app.cathay, "sfo-lounge").await);
        let family = json!({"adults": 2, "children": [1, 7]});
        let granted = ask(&kiosk, "twitter:ada", family.clone()).await;
        let grant = granted.text_of("grant");
        assert_eq!(left(&kiosk).await, [7, 3]);
        let tag = tag_of(&kiosk, &grant).await;

        let body = json!({"party": {"adults": 2}, "reason": "x"});
        let path = format!("/v1/grants/{grant}");
        let blind = kiosk.ask(Method::PATCH, &path).json(body.to_string()).await;
        blind.problem(428, "precondition_required");
        assert!(blind.text.contains("GET the grant"), "{}", blind.text);
        let fewer = correct(&kiosk, &grant, &tag, json!({"adults": 1, "children": [1]})).await;
        let answer = fewer.is(200);
        let guests = json!({"admitted": 1, "free": 0, "charged": 0, "uncounted": 1, "refused": 0});
        assert_eq!(answer["corrected"], json!({"party": 2, "guests": guests}));
        assert_eq!((&answer["party"], &answer["guests"]["admitted"]), (&json!(4), &json!(3)), "as it was granted");
        assert_eq!(left(&kiosk).await, [9, 5]);

        // What was seen is not what stands now.
        correct(&kiosk, &grant, &tag, family.clone()).await.problem(412, "precondition_failed");
        let shown = kiosk.get(&path).await;
        assert_eq!((shown.header("etag"), &shown.is(200)["corrected"]), (fewer.header("etag"), &answer["corrected"]));
        let form = format!("token={}", granted.text_of("token"));
        let active = door.ask(Method::POST, "/v1/tokens/introspect").form(&form).await.is(200);
        assert_eq!((&active["party"], &active["corrected"]), (&json!(4), &answer["corrected"]));
        let opened = json!({"token": granted.text_of("token"), "door": "A-3", "attempt": "1"});
        let redeemed = door.post("/v1/tokens/redeem", &opened).await.is(200);
        assert_eq!((&redeemed["party"], &redeemed["corrected"]), (&json!(4), &answer["corrected"]));

        // One more after the door let them in: the seats are held for them now.
        correct(&kiosk, &grant, fewer.header("etag"), family.clone()).await.problem(412, "precondition_failed");
        let more = correct(&kiosk, &grant, &tag_of(&kiosk, &grant).await, family.clone()).await.is(200);
        assert_eq!(
            more["corrected"]["guests"],
            json!({"admitted": 3, "free": 1, "charged": 1, "uncounted": 1, "refused": 0})
        );
        assert_eq!(left(&kiosk).await, [7, 3]);
        kiosk.post(&format!("{path}/release"), &json!({})).await.is(200);
        assert_eq!(left(&kiosk).await, [7, 6], "they have left, and were here");
        verify(&app);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_come_in_only_with_room_where_the_check_was_counted() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "50").await;
        let kiosk = app.kiosk().await;
        let ada = ask(&kiosk, "twitter:ada", json!({"adults": 2})).await.text_of("grant");
        let bob = ask(&kiosk, "twitter:bob", json!({"adults": 3})).await.text_of("grant");
        let path = format!("/v1/grants/{ada}");
        let before = kiosk.get(&path).await;
        correct(&kiosk, &ada, "*", json!({"adults": 4})).await.problem(409, "limit_reached");
        let after = kiosk.get(&path).await;
        assert_eq!((&after.text, after.header("etag")), (&before.text, before.header("etag")), "nothing changes");
        assert_eq!(left(&kiosk).await, [5, 1]);
        correct(&kiosk, &ada, "*", json!({"adults": 5})).await.problem(409, "guests_exceeded");
        correct(&kiosk, &bob, "*", json!({"adults": 1})).await.is(200);
        correct(&kiosk, &ada, "*", json!({"adults": 4})).await.is(200);
        assert_eq!(left(&kiosk).await, [5, 1]);
        for bad in [json!(-1), json!({"adults": 0}), json!({"adults": 1, "children": [200]})] {
            correct(&kiosk, &ada, "*", bad).await.problem(422, "invalid_request");
        }
        let mute = json!({"party": {"adults": 1}, "reason": " "});
        kiosk
            .ask(Method::PATCH, &path)
            .header("if-match", "*")
            .json(mute.to_string())
            .await
            .problem(422, "invalid_request");
        verify(&app);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_is_corrected_in_the_window_that_it_was_counted_in() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "50").await;
        let kiosk = app.kiosk().await;
        // Two minutes before midnight in San Francisco.
        app.world.clock.set("2012-05-09T06:58:00Z".parse().unwrap());
        let granted = ask(&kiosk, "twitter:ada", json!({"adults": 3})).await;
        let ada = granted.text_of("grant");
        app.world.pass(240);
        assert_eq!(left(&kiosk).await[0], 10, "another day");
        // Another version decides by now.
        let version = json!({"rule": {"tiers": [{"id": "main", "guests": {"free": 0, "max": 1}}]}, "publish": true});
        app.admin(&app.cathay).await.post("/v1/perks/sfo-lounge/versions", &version).await.is(201);
        let four = correct(&kiosk, &ada, "*", json!({"adults": 4})).await.is(200);
        assert_eq!(four["corrected"]["guests"]["charged"], 2, "by the version that granted it");
        correct(&kiosk, &ada, "*", json!({"adults": 1})).await.is(200);
        app.world.pass(7 * 60);
        correct(&kiosk, &ada, "*", json!({"adults": 2})).await.problem(409, "correction_closed");
        // A door takes the token, and ten minutes more begin.
        let opened = json!({"token": granted.text_of("token"), "door": "A-3", "attempt": "1"});
        kiosk.post("/v1/tokens/redeem", &opened).await.is(200);
        app.world.pass(600);
        correct(&kiosk, &ada, "*", json!({"adults": 2})).await.is(200);
        app.world.pass(1);
        correct(&kiosk, &ada, "*", json!({"adults": 1})).await.problem(409, "correction_closed");
        verify(&app);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_is_not_corrected() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "50").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let two = json!({"adults": 2});
        let grant = async |who: &str| ask(&kiosk, who, json!({"adults": 1})).await.text_of("grant");
        let released = grant("twitter:a").await;
        kiosk.post(&format!("/v1/grants/{released}/release"), &json!({})).await.is(200);
        correct(&kiosk, &released, "*", two.clone()).await.problem(409, "grant_released");
        let voided = grant("twitter:b").await;
        let tag = tag_of(&kiosk, &voided).await;
        admin.post(&format!("/v1/grants/{voided}/void"), &json!({"note": "No."})).await.is(200);
        correct(&kiosk, &voided, &tag, two.clone()).await.problem(409, "grant_voided");
        let erased = grant("twitter:c").await;
        admin.post("/v1/subjects/erase", &json!({"subject": "twitter:c"})).await.is(200);
        correct(&kiosk, &erased, "*", two.clone()).await.problem(409, "subject_erased");

        // Those of other keys and merchants are not there; an admin corrects any of theirs.
        let own = grant("twitter:e").await;
        correct(&app.kiosk().await, &own, "*", two.clone()).await.problem(404, "not_found");
        correct(&app.admin(&app.american).await, &own, "*", two.clone()).await.problem(404, "not_found");
        correct(&app.auditor(&app.cathay).await, &own, "*", two.clone()).await.problem(403, "forbidden");
        correct(&app.door(&app.cathay, "sfo-lounge").await, &own, "*", two.clone()).await.problem(403, "forbidden");
        correct(&admin, &own, "*", two).await.is(200);
        verify(&app);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_billed_is_who_came() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "50").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let enter = async |who: &str, party: Value| {
            let granted = ask(&kiosk, who, party).await;
            let opened = json!({"token": granted.text_of("token"), "door": "A-3", "attempt": who});
            kiosk.post("/v1/tokens/redeem", &opened).await.is(200);
            granted.text_of("grant")
        };
        let ada = enter("twitter:ada", json!({"adults": 4})).await;
        enter("twitter:bob", json!({"adults": 1, "children": [0]})).await;
        correct(&kiosk, &ada, "*", json!({"adults": 3, "children": [1]})).await.is(200);
        let cleo = ask(&kiosk, "twitter:cleo", json!({"adults": 1})).await.text_of("grant");
        correct(&kiosk, &cleo, "*", json!({"adults": 2})).await.is(200);
        app.world.pass(1);
        let billed = admin.get("/v1/reports/billing").await.is(200);
        let wanted = json!({"visits": 2, "guests": 6, "free": 1, "charged": 1, "corrected": 1,
                            "late_visits": 0, "ended_visits": 0, "overridden_visits": 0, "paid_visits": 0, "voided_visits": 0, "voided_guests": 0, "voided_charged": 0});
        assert_eq!(billed["totals"], wanted, "{billed}");
        admin.post(&format!("/v1/grants/{ada}/void"), &json!({"note": "No."})).await.is(200);
        app.world.pass(1);
        let billed = admin.get("/v1/reports/billing").await.is(200);
        assert_eq!((&billed["totals"]["voided_guests"], &billed["totals"]["voided_charged"]), (&json!(4), &json!(1)));
    }
}

/// A door that verifies offline takes the token and says nothing of it: whether it expired unspent tells nobody who came.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expired_unspent_is_corrected_within_ten_minutes_as_any() {
    const QUICK: &str = r#"{"tiers":[{"id":"t"}],"token":{"ttl":"PT1M"},
      "limits":[{"id":"day","scope":["perk"],"max":10,"cost":"party","window":{"calendar":"day"}},
                {"id":"seats","scope":["perk"],"max":9,"cost":"party","window":{"concurrent":{"max_stay":"PT4H"}}}]}"#;
    for app in TestApp::all().await {
        app.lounge(QUICK, "50").await;
        let kiosk = app.kiosk().await;
        let grant = ask(&kiosk, "twitter:ada", json!({"adults": 4})).await.text_of("grant");
        assert_eq!(left(&kiosk).await, [6, 5]);
        app.world.pass(5 * 60);
        assert_eq!(left(&kiosk).await, [6, 9], "nobody is held a seat");
        correct(&kiosk, &grant, "*", json!({"adults": 1})).await.is(200);
        assert_eq!(left(&kiosk).await, [9, 9]);
        correct(&kiosk, &grant, "*", json!({"adults": 3})).await.is(200);
        assert_eq!(left(&kiosk).await, [7, 9]);
        app.world.pass(5 * 60 + 1);
        correct(&kiosk, &grant, "*", json!({"adults": 1})).await.problem(409, "correction_closed");
        verify(&app);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_as_a_person_granted_may_come_whatever_was_counted_between() {
    for app in TestApp::all().await {
        app.lounge(&LOUNGE.replacen('{', r#"{"otherwise":"refer","#, 1), "50").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let check = ask(&kiosk, "twitter:ada", json!({"adults": 6})).await.text_of("check");
        let ruling = json!({"decision": "grant", "tier": "main", "note": "The whole team, this once."});
        let grant = admin.post(&format!("/v1/referrals/{check}/decide"), &ruling).await.text_of("grant");
        // Mistyped, and mended; and no more than were granted.
        correct(&admin, &grant, "*", json!({"adults": 2})).await.is(200);
        correct(&admin, &grant, "*", json!({"adults": 6})).await.is(200);
        let more = correct(&admin, &grant, "*", json!({"adults": 7})).await;
        more.problem(409, "guests_exceeded");
        assert!(more.json()["detail"].as_str().unwrap().ends_with("Nothing was changed."), "{}", more.text);
        // Of what has ended it is said that it has, not that too many came.
        let tag = tag_of(&admin, &grant).await;
        correct(&admin, &grant, "*", json!({"adults": 5})).await.is(200);
        correct(&admin, &grant, &tag, json!({"adults": 7})).await.problem(412, "precondition_failed");
        admin.post(&format!("/v1/grants/{grant}/release"), &json!({})).await.is(200);
        correct(&admin, &grant, "*", json!({"adults": 7})).await.problem(409, "grant_released");
        verify(&app);
    }
}
