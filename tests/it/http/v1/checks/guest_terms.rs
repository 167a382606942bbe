//! The guests of a tier: who comes in free, who is charged, who isn't counted, and who stays outside.

use serde_json::{Value, json};

use crate::support::app::TestApp;

const LOUNGE: &str = r#"{"tiers":[
    {"id":"gold","rank":2,"name":"Gold","when":{"attr":"context.gold","op":"eq","value":true},
     "guests":{"free":1,"max":3,"under":2}},
    {"id":"main","rank":1,"name":"Main lounge","when":{"attr":"context.member","op":"eq","value":true},
     "guests":{"max":1,"over":"admit_max"}}],
  "limits":[{"id":"house","scope":["perk"],"max":20,"cost":"party","window":{"calendar":"day"}}]}"#;

fn ask(context: &Value, party: &Value) -> Value {
    json!({"perk": "sfo-lounge", "subject": "twitter:ada", "context": context, "party": party})
}

fn gold() -> Value {
    json!({"gold": true})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_who_comes_in_free_who_is_charged_and_who_is_not_counted() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "50").await;
        let (kiosk, door) = (app.kiosk().await, app.door(&app.cathay, "sfo-lounge").await);
        let family = ask(&gold(), &json!({"adults": 2, "children": [1, 7]}));
        let first = kiosk.post("/v1/checks", &family).header("idempotency-key", "visit").await;
        let answer = first.is(200);
        let guests = json!({"admitted": 3, "free": 1, "charged": 1, "uncounted": 1, "refused": 0});
        assert_eq!((&answer["tier"], &answer["guests"]), (&json!("gold"), &guests));
        assert_eq!(answer["limits"][0]["remaining"], 17, "the child of one takes no place");
        let again = kiosk.post("/v1/checks", &family).header("idempotency-key", "visit").await;
        assert_eq!(again.text, first.text, "the same question, the same answer");
        let shown = kiosk.get(&format!("/v1/checks/{}", first.text_of("check"))).await.is(200);
        assert_eq!(shown["guests"], guests);

        let form = format!("token={}", first.text_of("token"));
        let claims = door.ask(reqwest::Method::POST, "/v1/tokens/introspect").form(&form).await.is(200);
        assert_eq!((&claims["party"], claims.get("corrected")), (&json!(4), None), "all who are let in");
        let grant = kiosk.get(&format!("/v1/grants/{}", first.text_of("grant"))).await.is(200);
        assert_eq!((&grant["party"], &grant["guests"], grant.get("corrected")), (&json!(4), &guests, None));
        let opened = json!({"token": first.text_of("token"), "door": "A-3", "attempt": "1"});
        assert_eq!(door.post("/v1/tokens/redeem", &opened).await.is(200)["party"], 4);

        // The plain number goes on working: all of them adults.
        let plain = json!({"perk": "sfo-lounge", "subject": "twitter:bob", "context": {"gold": true, "party": 4}});
        let plain = kiosk.post("/v1/checks", &plain).await.is(200);
        assert_eq!(plain["guests"], json!({"admitted": 3, "free": 1, "charged": 2, "uncounted": 0, "refused": 0}));
        // A tier that says nothing of guests has none in the answer.
        let alone = r#"{"tiers":[{"id":"all"}]}"#;
        app.world.perk(&app.cathay, "garden", alone).await;
        let alone = json!({"perk": "garden", "subject": "twitter:ada", "party": {"adults": 3}});
        assert_eq!(kiosk.post("/v1/checks", &alone).await.is(200).get("guests"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parties_with_more_guests_are_turned_away_cut_to_the_most_or_taken_by_a_lower_tier() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "50").await;
        let kiosk = app.kiosk().await;
        let many = kiosk.post("/v1/checks", &ask(&gold(), &json!({"adults": 6, "children": [1]}))).await;
        let answer = many.is(200);
        let reasons = json!([{
            "code": "guests_exceeded", "tier": "gold", "at_most": 3, "over_by": 2,
            "message": "Gold admits at most 3 guests, and 2 too many came.",
            "guest_message": "You may bring at most 3 guests.", "guest_language": "en",
        }]);
        assert_eq!((&answer["decision"], &answer["reasons"]), (&json!("denied"), &reasons));
        assert_eq!((answer.get("guests"), &answer["next_eligible_at"]), (None, &Value::Null));
        assert_eq!(kiosk.get(&format!("/v1/checks/{}", many.text_of("check"))).await.text, many.text);
        // A lower tier may still admit them, or some of them.
        let both = kiosk.post("/v1/checks", &ask(&json!({"gold": true, "member": true}), &json!({"adults": 6}))).await;
        let answer = both.is(200);
        let cut = json!({"admitted": 1, "free": 0, "charged": 1, "uncounted": 0, "refused": 4});
        assert_eq!((&answer["tier"], &answer["guests"]), (&json!("main"), &cut));
        assert_eq!(answer["limits"][0]["remaining"], 18);
        let grant = kiosk.get(&format!("/v1/grants/{}", both.text_of("grant"))).await.is(200);
        assert_eq!(grant["party"], 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_admits_no_part_of_a_party() {
    for app in TestApp::all().await {
        app.lounge(&LOUNGE.replace("\"max\":20", "\"max\":5"), "50").await;
        let kiosk = app.kiosk().await;
        let three = ask(&json!({"member": true}), &json!({"adults": 6}));
        assert_eq!(kiosk.post("/v1/checks", &three).await.is(200)["limits"][0]["remaining"], 3);
        // Four of the gold party count, and three are left.
        let four = kiosk.post("/v1/checks", &ask(&gold(), &json!({"adults": 4, "children": [0, 1]}))).await.is(200);
        assert_eq!((&four["decision"], &four["reasons"][0]["code"]), (&json!("denied"), &json!("limit_reached")));
        assert_eq!(four["next_eligible_at"], "2012-05-09T00:00:00Z");
        let fits = kiosk.post("/v1/checks", &ask(&gold(), &json!({"adults": 3, "children": [0, 1, 1]}))).await.is(200);
        assert_eq!((&fits["decision"], &fits["limits"][0]["remaining"]), (&json!("granted"), &json!(0)));
        // Four who count never fit a house of two; with gold and one guest they wait for tomorrow.
        let small = LOUNGE.replace("\"max\":20", "\"max\":2");
        app.world.perk(&app.cathay, "closet", &small).await;
        let mut ask = ask(&gold(), &json!({"adults": 4}));
        ask["perk"] = json!("closet");
        let never = kiosk.post("/v1/checks", &ask).await.is(200);
        assert_eq!((&never["reasons"][0]["at_most"], &never["next_eligible_at"]), (&json!(2), &Value::Null));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_party_is_refused_at_its_spot_wherever_it_is_said() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "50").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        for (party, pointer) in [
            (json!(-1), "/party"),
            (json!({"adults": 0}), "/party/adults"),
            (json!({"adults": 101}), "/party/adults"),
            (json!({"adults": -1}), "/party/adults"),
            (json!({"adults": 1, "children": [-1]}), "/party/children/0"),
            (json!({"adults": 1, "children": [3, 200]}), "/party/children/1"),
            (json!({"adults": 100, "children": [3]}), "/party"),
            (json!({"children": [3]}), "/party/adults"),
        ] {
            let spots = kiosk.post("/v1/checks", &ask(&gold(), &party)).await.problem(422, "invalid_request");
            assert_eq!(spots[0].0, pointer, "{party}");
            let trial = json!({"subject": "twitter:ada", "party": party});
            let spots = admin.post("/v1/perks/sfo-lounge/simulate", &trial).await.problem(422, "invalid_request");
            assert_eq!(spots[0].0, pointer, "{party}");
        }
        let twice = ask(&json!({"gold": true, "party": 2}), &json!({"adults": 2}));
        let spots = kiosk.post("/v1/checks", &twice).await.problem(422, "invalid_request");
        assert_eq!(spots, [("/party".to_owned(), "contradiction".to_owned())]);
        for party in [-1, 0, 101] {
            let plain = json!({"perk": "sfo-lounge", "subject": "twitter:ada", "context": {"party": party}});
            kiosk.post("/v1/checks", &plain).await.problem(422, "invalid_request");
        }
        let before = app.footprint().await;
        let batch = json!({"checks": [ask(&gold(), &json!({"adults": 0})), ask(&gold(), &json!({"adults": 2}))]});
        let results = kiosk.post("/v1/checks/batch", &batch).await.is(200);
        assert_eq!(results["results"][0]["problem"]["code"], "invalid_request", "{results}");
        assert_eq!(results["results"][1]["guests"]["free"], 1, "{results}");
        assert_eq!(app.footprint().await.grants, before.grants + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_shows_what_becomes_of_guests() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "50").await;
        let admin = app.admin(&app.cathay).await;
        let simulate = async |party: Value| {
            let body = json!({"subject": "twitter:ada", "context": {"gold": true}, "party": party});
            admin.post("/v1/perks/sfo-lounge/simulate", &body).await.is(200)
        };
        let granted = simulate(json!({"adults": 2, "children": [1]})).await;
        assert_eq!(granted["guests"]["admitted"], 2);
        let trace = json!({"passed": true, "max": 3, "had": 1, "admitted": 2});
        assert_eq!(granted["trace"]["tiers"][0]["guests"], trace);
        let denied = simulate(json!({"adults": 5})).await;
        assert_eq!(denied["reasons"][0]["code"], "guests_exceeded");
        assert_eq!(denied["trace"]["tiers"][0]["guests"], json!({"passed": false, "max": 3, "had": 4}));
        assert_eq!(denied["trace"]["decision"], "denied");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_may_admit_more_than_the_tier_and_they_are_charged() {
    for app in TestApp::all().await {
        app.lounge(&LOUNGE.replacen('{', r#"{"otherwise":"refer","#, 1), "50").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let many = kiosk.post("/v1/checks", &ask(&gold(), &json!({"adults": 6, "children": [1]}))).await;
        let answer = many.is(200);
        let said = (&answer["decision"], &answer["reasons"][0]["code"]);
        assert_eq!(said, (&json!("referred"), &json!("guests_exceeded")));
        // Who decides sees whom they would let in, and how many of them are charged.
        let case = admin.get(&format!("/v1/referrals/{}", many.text_of("check"))).await.is(200);
        let by_gold = json!({"admitted": 6, "free": 1, "charged": 4, "uncounted": 1, "refused": 0});
        let shown = case["tiers"].as_array().unwrap().iter().find(|it| it["tier"] == "gold").unwrap();
        assert_eq!(shown["guests"], by_gold, "{case}");
        let path = format!("/v1/referrals/{}/decide", many.text_of("check"));
        let ruling = json!({"decision": "grant", "tier": "gold", "note": "The whole team, this once."});
        let granted = admin.post(&path, &ruling).await.is(201);
        let guests = json!({"admitted": 6, "free": 1, "charged": 4, "uncounted": 1, "refused": 0});
        assert_eq!((&granted["guests"], &granted["limits"][0]["remaining"]), (&guests, &json!(14)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_that_is_too_large_hides_neither_the_gap_of_the_score_nor_that_it_is() {
    let rule = r#"{"score":{"source":"klout"},"tiers":[{"id":"standard","when":{"attr":"score","op":"gte","value":40},
        "guests":{"max":1}}]}"#;
    for app in TestApp::all().await {
        app.lounge(rule, "37").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let check = json!({"perk": "sfo-lounge", "subject": "twitter:ada", "party": {"adults": 4}});
        let denied = kiosk.post("/v1/checks", &check).await.is(200);
        let of = |nth: usize| {
            let mut reason = denied["reasons"][nth].clone();
            reason
                .as_object_mut()
                .unwrap()
                .retain(|name, _| ["code", "wanted", "short_by", "at_most", "over_by"].contains(&name.as_str()));
            reason
        };
        assert_eq!(of(0), json!({"code": "score_below_threshold", "wanted": 40, "short_by": 3}));
        assert_eq!(of(1), json!({"code": "guests_exceeded", "at_most": 1, "over_by": 2}));
        assert_eq!(denied["reasons"].as_array().unwrap().len(), 2);
        app.world.pass(1);
        let report = admin.get("/v1/reports/grants?from=2012-05-08T00:00:00Z").await.is(200);
        let totals = &report["totals"];
        assert_eq!(
            (&totals["near_misses"], &totals["refused_score_below_threshold"]),
            (&json!(1), &json!(1)),
            "{report}"
        );
        // Alone they lack the same.
        let alone = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
        let denied = kiosk.post("/v1/checks", &alone).await.is(200);
        assert_eq!((&denied["reasons"][0]["short_by"], denied["reasons"].as_array().unwrap().len()), (&json!(3), 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_whom_a_tier_admits_with_fewer_are_not_sent_away_to_wait() {
    let rule = r#"{"otherwise":"refer","tiers":[
        {"id":"gold","rank":2,"when":{"attr":"context.gold","op":"eq","value":true},"guests":{"max":3}},
        {"id":"main","rank":1,"when":{"attr":"context.departure","op":"within","before":"PT3H"}}]}"#;
    for app in TestApp::all().await {
        app.lounge(rule, "50").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        // It is 19:00.
        let context = json!({"gold": true, "departure": "2012-05-08T23:00:00Z"});
        let check = json!({"perk": "sfo-lounge", "subject": "twitter:ada", "context": context, "party": {"adults": 6}});
        let answer = kiosk.post("/v1/checks", &check).await.is(200);
        assert_eq!(
            (&answer["decision"], &answer["reasons"][0]["code"]),
            (&json!("referred"), &json!("guests_exceeded"))
        );
        assert_eq!(answer["next_eligible_at"], "2012-05-08T20:00:00Z");
        let tried =
            admin.post("/v1/perks/sfo-lounge/simulate", &json!({"context": context, "party": {"adults": 6}})).await;
        assert_eq!(tried.is(200)["trace"]["decision"], "referred");
    }
}
