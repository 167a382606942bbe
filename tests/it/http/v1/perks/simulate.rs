//! `POST /v1/perks/{perk}/simulate`: one subject with the whole trace, everyone with the distribution.

use std::time::Duration;

use perkgate::http::openapi;
use serde_json::{Value, json};

use crate::http::v1::{LOUNGE, OPEN_LOUNGE};
use crate::support::app::TestApp;
use crate::support::shape::assert_shape;

const ONE: &str = "/v1/perks/sfo-lounge/simulate";
const EVERYONE: &str = "/v1/perks/sfo-lounge/simulate/everyone";

#[tokio::test(flavor = "multi_thread")]
async fn one_subject_is_decided_with_the_whole_trace_and_nothing_is_recorded() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47.25").await;
        let admin = app.admin(&app.cathay).await;
        let before = app.footprint().await;
        let simulated = admin.post(ONE, &json!({"subject": "Twitter:Ada"})).await;
        assert_shape!(simulated, @r#"
        200
        {
          "perk":"sfo-lounge",
          "version":1,
          "rule_hash":"sha256:c150e2fef180944250ff6cf67bfd791d184ed9570900a8fd12ca6e25d9daa9f3",
          "at":"2012-05-08T19:00:00Z",
          "decision":"granted",
          "tier":"standard",
          "reasons":[{"code":"score_met","tier":"standard","wanted":40,"message":"The score meets the 40 that Main lounge asks for."}],
          "score":{"source":"klout","value":47.25,"observed_at":"2012-05-08T18:00:00Z","age_seconds":3600,"fresh":true},
          "limits":[{"id":"person-day","remaining":0,"resets_at":"2012-05-09T00:00:00Z"}],
          "next_eligible_at":null,
          "trace":{"valid":{"passed":true,"from":null,"until":null},"schedule":{"passed":true},"score":{"passed":true,"source":"klout","had":47.25,"observed_at":"2012-05-08T18:00:00Z","age_seconds":3600,"max_age_seconds":604800},"tiers":[{"tier":"standard","name":"Main lounge","passed":"true","when":{"kind":"leaf","passed":"true","attr":"score","op":"gte","wanted":40,"had":47.25}}],"decision":"granted","tier":"standard"},
          "warnings":[]
        }
        "#);
        // As often as one likes: nothing is used up.
        assert_eq!(admin.post(ONE, &json!({"subject": "twitter:ada"})).await.text, simulated.text);
        assert_eq!(app.footprint().await, before);
        // What a real check used is seen.
        app.kiosk().await.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada"})).await.is(200);
        let before = app.footprint().await;
        let refused = admin.post(ONE, &json!({"subject": "twitter:ada"})).await.is(200);
        assert_eq!((&refused["decision"], &refused["reasons"][0]["code"]), (&json!("denied"), &json!("limit_reached")));
        assert_eq!((&refused["trace"]["decision"], refused["trace"].get("tier")), (&json!("denied"), None));
        assert_eq!(refused["trace"]["tiers"][0]["passed"], "true", "the rule would; the limit doesn't");
        let tomorrow = json!({"subject": "twitter:ada", "at": "2012-05-09T00:00:00Z"});
        assert_eq!(admin.post(ONE, &tomorrow).await.is(200)["decision"], "granted");
        assert_eq!(app.footprint().await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_rules_instants_and_scores_can_be_assumed() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47.25").await;
        let admin = app.admin(&app.cathay).await;
        let decided = async |body: Value| {
            let told = admin.post(ONE, &body).await.is(200);
            (told["decision"].as_str().unwrap().to_owned(), told["reasons"][0]["code"].clone())
        };
        let denied = |code: &str| ("denied".to_owned(), json!(code));
        let granted = ("granted".to_owned(), json!("score_met"));
        let draft = json!({"rule": {"at_least": 60, "score": "klout"}});
        admin.post("/v1/perks/sfo-lounge/versions", &draft).await.is(201);
        assert_eq!(decided(json!({"subject": "twitter:ada"})).await, granted, "the published one");
        assert_eq!(decided(json!({"subject": "twitter:ada", "version": 2})).await, denied("score_below_threshold"));
        assert_eq!(decided(json!({"score": {"value": 60}, "version": 2})).await, granted);
        // Seven days after the score was seen, and a microsecond more.
        let later = |at: &str| json!({"subject": "twitter:ada", "at": at});
        assert_eq!(decided(later("2012-05-15T18:00:00Z")).await, granted);
        assert_eq!(decided(later("2012-05-15T18:00:00.000001Z")).await, denied("score_stale"));
        assert_eq!(
            decided(json!({"score": {"value": 50, "observed_at": "2012-05-01T18:59:59Z"}})).await,
            denied("score_stale")
        );
        assert_eq!(decided(json!({"subject": "twitter:nobody"})).await, denied("score_missing"));
        assert_eq!(decided(json!({})).await, denied("score_missing"));
        let rule = json!({"tiers": [{"id": "t", "when": {"all": [
            {"attr": "subject.network", "op": "eq", "value": "twitter"},
            {"not": {"attr": "context.terminal", "op": "in", "values": ["B"]}}]}}]});
        let told = admin.post(ONE, &json!({"rule": rule, "subject": "twitter:ada"})).await.is(200);
        assert_eq!((&told["version"], &told["decision"]), (&Value::Null, &json!("denied")));
        let when = &told["trace"]["tiers"][0]["when"];
        assert_eq!((&when["kind"], &when["passed"]), (&json!("all"), &json!("unknown")));
        assert_eq!(
            when["members"][0],
            json!({"kind": "leaf", "passed": "true", "attr": "subject.network", "op": "eq",
            "wanted": "twitter", "had": "twitter"})
        );
        assert_eq!(
            when["members"][1]["member"],
            json!({"kind": "leaf", "passed": "unknown", "attr": "context.terminal",
            "op": "in", "wanted": ["B"]})
        );
        let told = admin.post(
            ONE,
            &json!({"rule": rule, "network": "twitter", "context": {"terminal": "A"}, "score": {"value": 1}}),
        );
        let told = told.await.is(200);
        assert_eq!((&told["decision"], &told["warnings"][0]["code"]), (&json!("granted"), &json!("score_unused")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promised_wait_and_a_place_are_told_as_a_check_tells_them() {
    for app in TestApp::all().await {
        let rule = r#"{"tiers":[{"id":"in","max_wait":"PT30M"}],
            "limits":[{"id":"house","scope":["perk"],"max":5,"window":{"concurrent":{"max_stay":"PT2H"}}}]}"#;
        app.lounge(rule, "47.25").await;
        let told = app.admin(&app.cathay).await.post(ONE, &json!({"subject": "twitter:ada"})).await.is(200);
        let body = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
        let checked = app.kiosk().await.post("/v1/checks", &body).await.is(200);
        assert_eq!((&told["max_wait"], &told["limits"][0]["remaining"]), (&json!("PT30M"), &json!(4)));
        assert_eq!((&told["max_wait"], &told["limits"]), (&checked["max_wait"], &checked["limits"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_simulated_is_refused_at_its_spot() {
    let app = TestApp::start(&[]).await;
    app.lounge(LOUNGE, "47.25").await;
    let admin = app.admin(&app.cathay).await;
    for (body, pointer, code) in [
        (json!({"version": 1, "rule": {"at_least": 4, "score": "klout"}}), "/rule", "not_both"),
        (json!({"rule": {"at_least": "x", "score": "klout"}}), "/rule/at_least", "wrong_type"),
        (json!({"rule": {"at_least": 4, "score": "kred"}}), "/rule/score", "unknown_source"),
        (json!({"at": "yesterday"}), "/at", "bad_time"),
        (json!({"context": {"party": 0}}), "/context/party", "out_of_range"),
        (json!({"whom": "ada"}), "/whom", "unknown_field"),
    ] {
        for path in [ONE, EVERYONE] {
            assert_eq!(admin.post(path, &body).await.spot(422, "invalid_request"), (pointer.into(), code.into()));
        }
    }
    for (body, pointer, code) in [
        (json!({"subject": ""}), "/subject", "bad_subject"),
        (json!({"score": {"value": 100.001}}), "/score/value", "off_scale"),
        (json!({"score": {"value": 1, "observed_at": "2012"}}), "/score/observed_at", "bad_time"),
    ] {
        assert_eq!(admin.post(ONE, &body).await.spot(422, "invalid_request"), (pointer.into(), code.into()));
    }
    let unscored = json!({"rule": {"tiers": [{"id": "t"}]}});
    assert_eq!(admin.post(EVERYONE, &unscored).await.spot(422, "invalid_request").1, "no_score");
    for path in [ONE, EVERYONE] {
        admin.post(path, &json!({"version": 9})).await.problem(404, "not_found");
        admin.post(&path.replace("sfo", "lax"), &json!({})).await.problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_is_counted_per_tier_with_the_thresholds_place_among_them() {
    for app in TestApp::all().await {
        app.world.perk(&app.cathay, "sfo-lounge", OPEN_LOUNGE).await;
        let admin = app.admin(&app.cathay).await;
        let nobody = admin.post(EVERYONE, &json!({})).await.is(200);
        assert_eq!((&nobody["total"], &nobody["warnings"][0]["code"]), (&json!(0), &json!("empty_population")));
        // 12,001 subjects over three pages, scores 0 to 100 in turn.
        let values: Vec<String> = (0..101).map(|value| value.to_string()).collect();
        let scores = (0..12_001).map(|at| (format!("twitter:s{at}"), values[at % 101].as_str()));
        app.world.import_scores(&app.cathay, scores).await;
        app.world.import_scores(&app.american, [("twitter:other".to_owned(), "50")].into_iter()).await;
        let expected = |keep: fn(usize) -> bool| (0..12_001).filter(|at| keep(at % 101)).count();
        let draft = json!({"rule": {"score": {"source": "klout"}, "tiers": [
            {"id": "first", "rank": 2, "name": "First", "when": {"attr": "score", "op": "gt", "value": 90}},
            {"id": "main", "rank": 1, "when": {"attr": "score", "op": "gte", "value": 45}}]}});
        let before = app.footprint().await;
        let got = admin.post(EVERYONE, &draft).await.is(200);
        assert_eq!(got["total"], 12_001);
        assert_eq!(
            got["tiers"],
            json!([
            {"tier": "first", "name": "First", "subjects": expected(|score| score > 90)},
            {"tier": "main", "name": "main", "subjects": expected(|score| (45..=90).contains(&score))}])
        );
        assert_eq!(
            got["refused"],
            json!([{"code": "score_below_threshold", "subjects": expected(|score| score < 45)}])
        );
        assert_eq!(
            got["thresholds"][0],
            json!({"value": 45, "tiers": ["main"], "below": expected(|score| score < 45),
            "at": expected(|score| score == 45), "above": expected(|score| score > 45)})
        );
        assert_eq!(
            got["near"],
            json!({"threshold": 45, "within": 3, "below": expected(|score| (42..45).contains(&score)),
            "above": expected(|score| (45..=48).contains(&score))})
        );
        assert_eq!(
            got["published"],
            json!({"version": 1, "newly_admitted": 0,
            "newly_refused": expected(|score| (40..45).contains(&score)), "tier_changed": expected(|score| score >= 45)})
        );
        assert_eq!(got["scores"]["bins"][0], json!({"from": 0, "to": 5, "subjects": expected(|score| score < 5)}));
        assert_eq!(
            got["scores"]["bins"][19],
            json!({"from": 95, "to": 100, "subjects": expected(|score| score >= 95)})
        );
        assert_eq!(got["scores"]["bins"].as_array().unwrap().len(), 20);
        assert_eq!((&got["stale"], &got["warnings"]), (&json!(0), &json!([])));
        assert_eq!(app.footprint().await, before);
        // As lines: progress first, the same result last.
        let lines = admin.post(EVERYONE, &draft).header("accept", "application/x-ndjson").await;
        assert_eq!((lines.status, lines.header("content-type")), (200, "application/x-ndjson"));
        let lines: Vec<Value> = lines.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let done: Vec<_> = lines.iter().filter_map(|line| line["progress"]["done"].as_u64()).collect();
        assert_eq!(done, [5_000, 10_000, 12_001]);
        assert_eq!(lines[0]["progress"]["of"], 12_001);
        assert_eq!(lines.last().unwrap()["result"], got);
        // All are stale in a year.
        let old = admin.post(
            EVERYONE,
            &json!({"at": "2013-05-08T19:00:00Z", "rule": {"score": {"source": "klout", "max_age": "P7D"},
            "tiers": [{"id": "t", "when": {"attr": "score", "op": "gte", "value": 0}}]}}),
        );
        let old = old.await.is(200);
        assert_eq!((&old["stale"], &old["granted"]), (&json!(12_001), &json!(0)));
        assert_eq!(old["refused"], json!([{"code": "score_stale", "subjects": 12_001}]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_runs_one_at_a_time_and_a_client_that_leaves_ends_its_own() {
    let app = TestApp::start(&[]).await;
    app.world.perk(&app.cathay, "sfo-lounge", OPEN_LOUNGE).await;
    app.world.perk(&app.american, "sfo-lounge", OPEN_LOUNGE).await;
    app.world.import_scores(&app.cathay, (0..6_000).map(|at| (format!("s{at}"), "50"))).await;
    let admin = app.admin(&app.cathay).await;
    // A run that nobody works off, as of a client that reads nothing.
    let trial = perkgate::eligibility::simulator::EveryoneTrial {
        perk: "sfo-lounge".parse().unwrap(),
        choice: perkgate::eligibility::rule_selection::Choice::Deciding,
        context: perkgate::decision::facts::Context::default(),
        at: None,
    };
    let held = app.world.gateway.simulator.everyone(&app.cathay, trial).await.unwrap();
    let refused = admin.post(EVERYONE, &json!({})).await;
    refused.problem(429, "too_many_runs");
    assert_eq!(refused.header("retry-after"), "2");
    let past = json!({"from": "2012-05-08T00:00:00Z"});
    admin.post("/v1/perks/sfo-lounge/backtest", &past).await.problem(429, "too_many_runs");
    app.admin(&app.american).await.post(EVERYONE, &json!({})).await.is(200);
    drop(held);
    admin.post(EVERYONE, &json!({})).await.is(200);
    // A client that leaves after the first line.
    let http = crate::support::client::Client::http();
    let asked = http
        .post(format!("http://{}{EVERYONE}", app.address))
        .header("authorization", admin.authorization.clone().unwrap())
        .header("accept", "application/x-ndjson")
        .header("content-type", "application/json")
        .body("{}")
        .send();
    let mut lines = asked.await.unwrap();
    assert!(lines.chunk().await.unwrap().unwrap().starts_with(b"{\"progress\""));
    drop(lines);
    let ended = async {
        while admin.post(EVERYONE, &json!({})).await.status == 429 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), ended).await.expect("the run that was left has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instant_that_is_past_has_the_limits_of_then() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47.25").await;
        let (admin, kiosk) = (app.admin(&app.cathay).await, app.kiosk().await);
        let check = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
        let told = async |at: Option<&str>| {
            let mut told = admin.post(ONE, &json!({"subject": "twitter:ada", "at": at})).await.is(200);
            assert_eq!(told["warnings"], json!([]));
            json!([told["decision"].take(), told["reasons"][0]["code"].take(), told["limits"][0]["remaining"].take()])
        };
        let free = json!(["granted", "score_met", 0]);
        let used_up = json!(["denied", "limit_reached", 0]);
        app.world.pass(1800);
        let granted = kiosk.post("/v1/checks", &check).await.is(200);
        app.world.pass(3600);
        admin
            .post(&format!("/v1/grants/{}/void", granted["grant"].as_str().unwrap()), &json!({"note": "A mistake."}))
            .await
            .is(200);
        app.world.pass(3600);
        let before = app.footprint().await;
        assert_eq!(told(Some("2012-05-08T19:00:00Z")).await, free);
        assert_eq!(told(Some("2012-05-08T19:30:00Z")).await, free, "what the check itself found");
        assert_eq!(told(Some("2012-05-08T19:30:00.000001Z")).await, used_up);
        assert_eq!(told(Some("2012-05-08T20:30:00Z")).await, used_up, "it was taken back a moment later");
        assert_eq!(told(Some("2012-05-08T20:30:00.000001Z")).await, free);
        assert_eq!(told(None).await, free);
        assert_eq!(app.footprint().await, before);
    }
}

/// The members of every object in an answer are those that the document describes.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_is_what_is_described() {
    let app = TestApp::start(&[]).await;
    app.lounge(LOUNGE, "47.25").await;
    let admin = app.admin(&app.cathay).await;
    app.kiosk().await.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada"})).await.is(200);
    app.world.pass(1);
    let document: Value = serde_json::from_str(&openapi::json(&openapi::document())).unwrap();
    let rule = json!({"at_least": 60, "score": "klout"});
    let everyone = admin.post(EVERYONE, &json!({"rule": rule})).await.is(200);
    let backtest = json!({"rule": rule, "from": "2012-05-08T00:00:00Z"});
    let backtest = admin.post("/v1/perks/sfo-lounge/backtest", &backtest).await.is(200);
    for (name, answer) in [("Everyone", everyone), ("Backtest", backtest)] {
        described(&document, &json!({"$ref": format!("#/components/schemas/{name}")}), &answer, name);
    }
}

fn described(document: &Value, schema: &Value, answer: &Value, at: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    if let Some(either) = schema["oneOf"].as_array().filter(|_| !answer.is_null()) {
        let object = either.iter().find(|one| one["type"] != "null").unwrap();
        return described(document, object, answer, at);
    }
    match answer {
        Value::Object(members) => {
            let mut named: Vec<_> = schema["properties"].as_object().expect(at).keys().collect();
            let mut members_named: Vec<_> = members.keys().collect();
            named.sort();
            members_named.sort();
            assert_eq!(members_named, named, "{at}");
            for (name, member) in members {
                described(document, &schema["properties"][name], member, &format!("{at}/{name}"));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| described(document, &schema["items"], item, at)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_answer_leaves_open_is_said_beside_it() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47.25").await;
        let admin = app.admin(&app.cathay).await;
        let codes = async |body: Value| {
            let told = admin.post(ONE, &body).await.is(200);
            let warnings = told["warnings"].as_array().unwrap().iter();
            warnings.map(|it| it["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let none: [&str; 0] = [];
        let ada = |more: Value| {
            let mut body = json!({"subject": "twitter:ada"});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        // Published at 19:00, seen at 18:00.
        let early = "2012-05-08T18:59:59Z";
        assert_eq!(codes(ada(json!({"at": early}))).await, ["no_version_decides"]);
        assert_eq!(codes(ada(json!({"at": "2012-05-08T17:00:00Z"}))).await, ["no_version_decides", "score_is_newer"]);
        let assumed = json!({"at": "2012-05-08T17:00:00Z", "score": {"value": 50}});
        assert_eq!(codes(ada(assumed)).await, ["no_version_decides"]);
        assert_eq!(codes(ada(json!({"at": "2012-06-08T19:00:00Z"}))).await, none);

        app.world.pass(3600);
        let half = json!({"rule": {"score": {"source": "klout"}, "rollout": {"percent": 50}, "tiers": [
            {"id": "standard", "when": {"attr": "score", "op": "gte", "value": 40}}]}});
        admin.post("/v1/perks/sfo-lounge/versions", &half).await.is(201);
        assert_eq!(codes(ada(json!({"version": 2}))).await, none, "a draft decides nothing, as everybody knows");
        let nobody = json!({"version": 2, "score": {"value": 50}});
        assert_eq!(codes(nobody).await, ["rollout_not_applied"]);
        let at = json!({"at": "2012-05-08T21:00:00Z"});
        admin.post("/v1/perks/sfo-lounge/versions/2/schedule", &at).await.is(200);
        assert_eq!(codes(ada(json!({"at": "2012-05-08T20:59:59Z"}))).await, none);
        let told = admin.post(ONE, &ada(at)).await.is(200);
        assert_eq!(
            told["warnings"],
            json!([{"code": "other_version_decides", "detail": "At 2012-05-08T21:00:00Z version 2 decides, since \
                2012-05-08T21:00:00Z; this is what version 1 says."}])
        );
        let second = json!({"version": 2, "at": "2012-05-08T20:00:00Z"});
        assert_eq!(codes(ada(second)).await, ["other_version_decides"]);

        admin.post("/v1/perks/sfo-lounge/pause", &json!({"change_note": "Water damage."})).await.is(200);
        assert_eq!(codes(ada(json!({}))).await, ["perk_paused"]);
        assert_eq!(codes(ada(json!({"at": "2012-05-08T19:30:00Z"}))).await, ["status_is_newer"]);
        admin.post("/v1/perks/sfo-lounge/resume", &json!({"change_note": "Dry."})).await.is(200);
        assert_eq!(codes(ada(json!({}))).await, none);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_is_dealt_with_as_is_declared_for_those_of_whom_nothing_is_known() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let declare = async |on_missing: &str| {
            let terms = json!({"type": "text", "purpose": "lounge", "on_missing": on_missing});
            assert!(admin.put("/v1/attributes/status", &terms).await.status < 300);
        };
        declare("ignore").await;
        let gold = json!({"attr": "subject.status", "op": "eq", "value": "gold"});
        let rule = json!({"score": {"source": "klout"}, "tiers": [{"id": "gold", "rank": 2, "when": gold},
            {"id": "guest", "rank": 1, "when": {"attr": "score", "op": "gte", "value": 40}}]});
        let perk = json!({"perk": "sfo-lounge", "name": "SFO", "rule": rule, "publish": true});
        admin.post("/v1/perks", &perk).await.is(201);
        app.world.import_scores(&app.cathay, (0..10).map(|at| (format!("s{at}"), "50"))).await;
        for (on_missing, [granted, denied, referred], said) in [
            ("ignore", [10, 0, 0], None),
            ("deny", [0, 10, 0], Some("all who have none are denied")),
            ("refer", [0, 0, 10], Some("all who have none are referred")),
        ] {
            declare(on_missing).await;
            let got = admin.post(EVERYONE, &json!({})).await.is(200);
            assert_eq!(
                ["granted", "denied", "referred"].map(|it| got[it].clone()),
                [granted, denied, referred].map(|it| json!(it))
            );
            let warning = got["warnings"].as_array().unwrap().iter().find(|it| it["code"] == "attributes_unknown");
            let detail = warning.unwrap()["detail"].as_str().unwrap();
            assert_eq!(
                said.map_or(!detail.contains("declared"), |said| detail.contains(said)).then_some(()),
                Some(()),
                "{detail}"
            );
            // Against a rule that doesn't look at it, all are new.
            let open = json!({"rule": {"at_least": 40, "score": "klout"}});
            let got = admin.post(EVERYONE, &open).await.is(200);
            assert_eq!((&got["granted"], &got["published"]["newly_admitted"]), (&json!(10), &json!(10 - granted)));
        }
    }
}
