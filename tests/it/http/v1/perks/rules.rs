//! `POST /v1/perks`: rules that can't be read or can't work, and wall time over changes of the clocks.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::http::v1::OPEN_LOUNGE;
use crate::support::app::TestApp;
use crate::support::shape::assert_shape;

fn tier() -> Value {
    json!([{"id": "standard", "when": {"attr": "score", "op": "gte", "value": 40}}])
}

/// A rule of this many leaves.
fn leaves(count: usize) -> Value {
    let leaf = json!({"attr": "context.a", "op": "eq", "value": 1});
    let groups: Vec<_> = (0..count).map(|_| leaf.clone()).collect();
    json!({"tiers": [{"id": "t", "when": {"any": groups}}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_can_not_be_read_or_can_not_work_is_refused_at_the_spot() {
    let score = json!({"source": "klout"});
    let limit = |max: Value| json!([{"id": "l", "scope": ["subject"], "max": max, "window": {"calendar": "day"}}]);
    let open = |from: &str, to: &str| json!({"open": [{"days": ["mon"], "from": from, "to": to}]});
    let deep = (0..9).fold(json!({"attr": "context.a", "op": "exists"}), |inner, _| json!({"not": inner}));
    let cases = [
        (json!({}), "/rule/tiers", "missing"),
        (json!("at least 40"), "/rule", "wrong_type"),
        (json!({"at_least": 40, "score": "klout", "limit": 1}), "/rule/limit", "unknown_field"),
        (json!({"at_least": "40", "score": "klout"}), "/rule/at_least", "wrong_type"),
        (json!({"at_least": 101, "score": "klout"}), "/rule/at_least", "unreachable_tier"),
        (json!({"at_least": 40, "score": "kred"}), "/rule/score", "unknown_source"),
        (json!({"score": {"source": "kred"}, "tiers": tier()}), "/rule/score/source", "unknown_source"),
        (json!({"score": score, "time_zone": "America/Gotham", "tiers": tier()}), "/rule/time_zone", "unknown_zone"),
        (json!({"score": score, "time_zone": "a\u{0}b", "tiers": tier()}), "/rule", "invalid_value"),
        (json!({"score": score, "time_zone": "a\u{202E}b", "tiers": tier()}), "/rule/time_zone", "bad_form"),
        (json!({"score": score, "tiers": []}), "/rule/tiers", "empty"),
        (json!({"score": score, "tiers": tier(), "limits": limit(json!(0))}), "/rule/limits/0/max", "out_of_range"),
        (json!({"score": score, "tiers": tier(), "limits": limit(json!(-1))}), "/rule/limits/0/max", "out_of_range"),
        (json!({"score": score, "tiers": tier(), "limits": limit(json!(1.5))}), "/rule/limits/0/max", "out_of_range"),
        (
            json!({"score": score, "tiers": tier(), "schedule": open("06:00", "06:00")}),
            "/rule/schedule/open/0",
            "empty",
        ),
        (
            json!({"score": score, "tiers": tier(), "schedule": open("25:00", "26:00")}),
            "/rule/schedule/open/0/from",
            "bad_form",
        ),
        (
            json!({"score": score, "tiers": tier(), "valid": {"from": "2012-06-01T00:00", "until": "2012-06-01T00:00"}}),
            "/rule/valid/until",
            "until_not_after_from",
        ),
        (leaves(65), "/rule/tiers/0/when", "too_many"),
        (json!({"tiers": [{"id": "t", "when": deep}]}), "/rule/tiers/0/when", "too_deep"),
        (
            json!({"score": score, "tiers": tier(), "rollout": {"percent": 101}}),
            "/rule/rollout/percent",
            "out_of_range",
        ),
        (
            json!({"score": {"source": "klout", "on_stale": "allow"}, "tiers": tier()}),
            "/rule/score/on_stale",
            "bad_form",
        ),
        (json!({"score": score, "tiers": tier(), "otherwise": "grant"}), "/rule/otherwise", "bad_form"),
        (
            json!({"tiers": [{"id": "t", "when": {"attr": "context.a", "op": "in", "ref": "context.b"}}]}),
            "/rule/tiers/0/when/ref",
            "unknown_field",
        ),
    ];
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let before = app.footprint().await;
        for (rule, pointer, code) in &cases {
            let refused = admin.post("/v1/perks", &json!({"perk": "p", "name": "P", "rule": rule})).await;
            let spots = refused.problem(422, "invalid_request");
            assert!(
                spots.iter().any(|(at, why)| at.starts_with(pointer) && why == code),
                "{pointer} {code} for {rule}: {spots:?}"
            );
        }
        assert_eq!(app.footprint().await, before, "nothing was made");
        admin.get("/v1/perks/p").await.problem(404, "not_found");
        admin.post("/v1/perks", &json!({"perk": "p", "name": "P", "rule": leaves(64)})).await.is(201);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_names_around_a_rule_are_held_to_their_forms() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let rule: Value = serde_json::from_str(OPEN_LOUNGE).unwrap();
        let note = "n".repeat(501);
        for (body, pointer, code) in [
            (json!({"perk": "p\u{0}", "name": "P", "rule": rule}), "/perk", "invalid_value"),
            (json!({"perk": "\u{202E}p", "name": "P", "rule": rule}), "/perk", "invalid_value"),
            (json!({"perk": "P", "name": "P", "rule": rule}), "/perk", "invalid_value"),
            (json!({"perk": "p".repeat(64), "name": "P", "rule": rule}), "/perk", "invalid_value"),
            (json!({"perk": "p", "name": "", "rule": rule}), "/name", "invalid_value"),
            (json!({"perk": "p", "name": "a\u{0}", "rule": rule}), "/name", "invalid_value"),
            (json!({"perk": "p", "name": "a\u{202E}b", "rule": rule}), "/name", "invalid_value"),
            (json!({"perk": "p", "name": "P", "rule": rule, "change_note": note}), "/change_note", "invalid_value"),
            (json!({"perk": "p", "name": "P", "rule": rule, "publish": 1}), "/publish", "wrong_type"),
            (json!({"perk": "p", "name": "P", "rule": rule, "tier": 1}), "/tier", "unknown_field"),
            (json!({"perk": "p", "name": "P"}), "/rule", "missing_field"),
        ] {
            let spot = admin.post("/v1/perks", &body).await.spot(422, "invalid_request");
            assert_eq!(spot, (pointer.to_owned(), code.to_owned()), "{body}");
        }
        // All of it at once, and a misspelt field is named.
        let several = json!({"perk": "P", "name": "", "rule": {"at_leest": "40", "score": "klout"}});
        let spots = admin.post("/v1/perks", &several).await.problem(422, "invalid_request");
        let spots: Vec<&str> = spots.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(spots, ["/perk", "/name", "/rule/at_leest"]);
        let misspelt = json!({"perk": "p", "name": "P", "rule": {"at_leest": 40, "score": "klout"}});
        let refused = admin.post("/v1/perks", &misspelt).await.is(422);
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.starts_with("There is no field `at_leest` here; it has at_least, "), "{detail}");
        assert!(detail.ends_with(": did you mean `at_least`?"), "{detail}");
        let exact = r#"{"perk":"p","name":"P","rule":{"at_least":40.000000000000000000000000000001,"score":"klout"}}"#;
        assert_shape!(admin.post_text("/v1/perks", exact).await, @r#"
        422
        {
          "type":"urn:perkgate:problem:invalid_request",
          "title":"Something in the request doesn't fit",
          "status":422,
          "detail":"The number at \"/at_least\" can't be taken: it has more than three decimals.",
          "code":"invalid_request",
          "request_id":"req_…",
          "errors":[{"pointer":"/rule","code":"invalid_value","detail":"The number at \"/at_least\" can't be taken: it has more than three decimals."}]
        }
        "#);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_odd_rule_is_made_with_a_warning() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let everyone = json!({"perk": "p", "name": "P", "rule": {"at_least": 0, "score": "klout"}, "publish": true});
        assert_shape!(admin.post("/v1/perks", &everyone).await, @r#"
        201
        {
          "perk":"p",
          "name":"P",
          "status":"published",
          "version":1,
          "rule_hash":"sha256:3d397e6b957a33ff262f963586f928d24339c3e8613ebf11d3cdcdb68bc87c67",
          "warnings":[{"pointer":"/rule/at_least","code":"admits_everyone","detail":"`standard` admits everyone: no score is below it."}]
        }
        "#);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_hours_are_wall_time_when_the_clocks_change() {
    let open = |from: &str, to: &str| {
        json!({"perk": "p", "name": "P", "publish": true, "rule": {
            "time_zone": "America/Los_Angeles", "tiers": [{"id": "all"}],
            "schedule": {"open": [{"days": ["sun"], "from": from, "to": to}]}}})
    };
    let in_gap = json!({"perk": "g", "name": "G", "publish": true, "rule": {
        "time_zone": "America/Los_Angeles", "tiers": [{"id": "all"}], "valid": {"from": "2013-03-10T02:30"}}});
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let at = async |perk: &str, now: &str| {
            app.world.clock.set(now.parse::<Timestamp>().unwrap());
            let body = json!({"perk": perk, "subject": "twitter:ada", "dry_run": true});
            let answer = admin.post("/v1/checks", &body).await.is(200);
            (answer["decision"].as_str().unwrap().to_owned(), answer["next_eligible_at"].clone())
        };
        let granted = || ("granted".to_owned(), Value::Null);
        let denied = |until: &str| ("denied".to_owned(), json!(until));

        // 01:15 to 01:45 comes twice on the night the clocks go back.
        admin.post("/v1/perks", &open("01:15", "01:45")).await.is(201);
        assert_eq!(at("p", "2012-11-04T08:14:59Z").await, denied("2012-11-04T08:15:00Z"));
        assert_eq!(at("p", "2012-11-04T08:15:00Z").await, granted());
        assert_eq!(at("p", "2012-11-04T08:45:00Z").await, denied("2012-11-04T09:15:00Z"));
        assert_eq!(at("p", "2012-11-04T09:15:00Z").await, granted());
        assert_eq!(at("p", "2012-11-04T09:45:00Z").await, denied("2012-11-11T09:15:00Z"));

        // Of 02:30 to 03:30 the half before 03:00 is skipped on the night they go forward.
        let rule = open("02:30", "03:30")["rule"].clone();
        admin.post("/v1/perks/p/versions", &json!({"rule": rule, "publish": true})).await.is(201);
        admin.post("/v1/perks", &in_gap).await.is(201);
        assert_eq!(at("p", "2013-03-10T09:59:59Z").await, denied("2013-03-10T10:00:00Z"));
        assert_eq!(at("p", "2013-03-10T10:00:00Z").await, granted());
        assert_eq!(at("p", "2013-03-10T10:30:00Z").await, denied("2013-03-17T09:30:00Z"));
        let (decision, from) = at("g", "2013-03-10T09:59:59Z").await;
        assert_eq!(decision, "denied");
        assert_eq!(at("g", from.as_str().unwrap()).await, granted(), "what is promised holds");
    }
}
