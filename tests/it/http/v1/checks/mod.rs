//! `/v1/checks`: the whole shape of an answer, and what is refused.

mod batch;
mod blackouts;
mod boarding_passes;
mod context;
mod dry_runs;
mod fallbacks;
mod guest_terms;
mod guests;
mod handles;
mod how_full;
mod limits_restart;
mod lists;
mod maxima;
mod overrides;
mod paid;
mod parties;
mod promises;
mod windows;

use serde_json::{Value, json};

use super::{LOUNGE, OPEN_LOUNGE};
use crate::support::app::TestApp;
use crate::support::shape::assert_shape;

fn ada() -> Value {
    json!({"perk": "sfo-lounge", "subject": "twitter:ada"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_says_why_what_is_left_and_where_it_is_recorded() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47.25").await;
        let kiosk = app.kiosk().await;
        let granted = kiosk.post("/v1/checks", &ada()).await;
        assert_shape!(granted, @r#"
        200
        {
          "check":"chk_…",
          "decision":"granted",
          "perk":"sfo-lounge",
          "rule_version":1,
          "tier":"standard",
          "reasons":[{"code":"score_met","tier":"standard","wanted":40,"message":"The score meets the 40 that Main lounge asks for."}],
          "score":{"source":"klout","observed_at":"2012-05-08T18:00:00Z","age_seconds":3600,"fresh":true},
          "limits":[{"id":"person-day","remaining":0,"resets_at":"2012-05-09T00:00:00Z"}],
          "next_eligible_at":null,
          "grant":"grt_…",
          "token":"eyJ…",
          "token_expires_at":"2012-05-08T19:15:00Z",
          "receipt":{"log":"cathay","index":5,"leaf_hash":"…","checkpoint":"…"}
        }
        "#);
        assert_eq!(granted.header("content-type"), "application/json");
        let shown = kiosk.get(&format!("/v1/checks/{}", granted.text_of("check"))).await;
        assert_eq!(shown.text, granted.text, "it reads back as it was given, token and all");

        let refused = kiosk.post("/v1/checks", &ada()).await;
        assert_shape!(refused, @r#"
        200
        {
          "check":"chk_…",
          "decision":"denied",
          "perk":"sfo-lounge",
          "rule_version":1,
          "reasons":[{"code":"limit_reached","limit":"person-day","next_eligible_at":"2012-05-09T00:00:00Z","message":"The limit person-day has no room left for this.","guest_message":"You have already used this today.","guest_language":"en"}],
          "score":{"source":"klout","observed_at":"2012-05-08T18:00:00Z","age_seconds":3600,"fresh":true},
          "limits":[{"id":"person-day","remaining":0,"resets_at":"2012-05-09T00:00:00Z"}],
          "next_eligible_at":"2012-05-09T00:00:00Z",
          "receipt":{"log":"cathay","index":6,"leaf_hash":"…","checkpoint":"…"}
        }
        "#);
        let shown = kiosk.get(&format!("/v1/checks/{}", refused.text_of("check"))).await;
        assert_eq!(shown.text, refused.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_tells_a_kiosk_whole_points_and_an_admin_the_score() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "36.75").await;
        assert_shape!(app.kiosk().await.post("/v1/checks", &ada()).await, @r#"
        200
        {
          "check":"chk_…",
          "decision":"denied",
          "perk":"sfo-lounge",
          "rule_version":1,
          "reasons":[{"code":"score_below_threshold","tier":"standard","wanted":40,"short_by":4,"message":"The score is 4 points short of the 40 that Main lounge asks for.","guest_message":"This is not open to you at the moment.","guest_language":"en"}],
          "score":{"source":"klout","observed_at":"2012-05-08T18:00:00Z","age_seconds":3600,"fresh":true},
          "limits":[],
          "next_eligible_at":null,
          "receipt":{"log":"cathay","index":5,"leaf_hash":"…","checkpoint":"…"}
        }
        "#);
        assert_shape!(app.admin(&app.cathay).await.post("/v1/checks", &ada()).await, @r#"
        200
        {
          "check":"chk_…",
          "decision":"denied",
          "perk":"sfo-lounge",
          "rule_version":1,
          "reasons":[{"code":"score_below_threshold","tier":"standard","wanted":40,"short_by":3.25,"message":"The score is 3.25 points short of the 40 that Main lounge asks for.","guest_message":"This is not open to you at the moment.","guest_language":"en"}],
          "score":{"source":"klout","value":36.75,"observed_at":"2012-05-08T18:00:00Z","age_seconds":3600,"fresh":true},
          "limits":[],
          "next_eligible_at":null,
          "receipt":{"log":"cathay","index":7,"leaf_hash":"…","checkpoint":"…"}
        }
        "#);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_and_a_stale_score_are_told_apart() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "99").await;
        let kiosk = app.kiosk().await;
        let nobody = json!({"perk": "sfo-lounge", "subject": "twitter:nobody"});
        assert_shape!(kiosk.post("/v1/checks", &nobody).await, @r#"
        200
        {
          "check":"chk_…",
          "decision":"denied",
          "perk":"sfo-lounge",
          "rule_version":1,
          "reasons":[{"code":"score_missing","message":"There is no score for this person.","guest_message":"We can't tell whether this is open to you. Please ask our staff.","guest_language":"en"}],
          "limits":[],
          "next_eligible_at":null,
          "receipt":{"log":"cathay","index":5,"leaf_hash":"…","checkpoint":"…"}
        }
        "#);
        app.world.pass(7 * 24 * 3600);
        assert_shape!(kiosk.post("/v1/checks", &ada()).await, @r#"
        200
        {
          "check":"chk_…",
          "decision":"denied",
          "perk":"sfo-lounge",
          "rule_version":1,
          "reasons":[{"code":"score_stale","message":"The score is too old to rely on.","guest_message":"We can't tell whether this is open to you. Please ask our staff.","guest_language":"en"}],
          "score":{"source":"klout","observed_at":"2012-05-08T18:00:00Z","age_seconds":608400,"fresh":false},
          "limits":[],
          "next_eligible_at":null,
          "receipt":{"log":"cathay","index":6,"leaf_hash":"…","checkpoint":"…"}
        }
        "#);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tier_a_context_and_a_party_show_in_the_answer() {
    let rule = r#"{"score":{"source":"klout"},
      "when":{"attr":"context.terminal","op":"in","values":["A","G"]},
      "tiers":[{"id":"first","rank":2,"when":{"attr":"score","op":"gte","value":60}},
               {"id":"standard","rank":1,"when":{"attr":"score","op":"gte","value":40}}],
      "limits":[{"id":"house","scope":["perk"],"max":5,"cost":"party","window":{"lifetime":true}}]}"#;
    for app in TestApp::all().await {
        app.lounge(rule, "61").await;
        let kiosk = app.kiosk().await;
        let ask = |context: Value| json!({"perk": "sfo-lounge", "subject": "twitter:ada", "context": context});
        assert_shape!(kiosk.post("/v1/checks", &ask(json!({"terminal": "A", "party": 3}))).await, @r#"
        200
        {
          "check":"chk_…",
          "decision":"granted",
          "perk":"sfo-lounge",
          "rule_version":1,
          "tier":"first",
          "reasons":[{"code":"score_met","tier":"first","wanted":60,"message":"The score meets the 60 that first asks for."}],
          "score":{"source":"klout","observed_at":"2012-05-08T18:00:00Z","age_seconds":3600,"fresh":true},
          "limits":[{"id":"house","remaining":2,"resets_at":null}],
          "next_eligible_at":null,
          "grant":"grt_…",
          "token":"eyJ…",
          "token_expires_at":"2012-05-08T19:15:00Z",
          "receipt":{"log":"cathay","index":5,"leaf_hash":"…","checkpoint":"…"}
        }
        "#);
        assert_shape!(kiosk.post("/v1/checks", &ask(json!({"terminal": "A", "party": 3}))).await, @r#"
        200
        {
          "check":"chk_…",
          "decision":"denied",
          "perk":"sfo-lounge",
          "rule_version":1,
          "reasons":[{"code":"limit_reached","limit":"house","message":"The limit house has no room left for this.","guest_message":"There is room for 2 at the moment, and not for all of you.","guest_language":"en"}],
          "score":{"source":"klout","observed_at":"2012-05-08T18:00:00Z","age_seconds":3600,"fresh":true},
          "limits":[{"id":"house","remaining":2,"resets_at":null}],
          "next_eligible_at":null,
          "receipt":{"log":"cathay","index":6,"leaf_hash":"…","checkpoint":"…"}
        }
        "#);
        assert_shape!(kiosk.post("/v1/checks", &ask(json!({"terminal": "B"}))).await, @r#"
        200
        {
          "check":"chk_…",
          "decision":"denied",
          "perk":"sfo-lounge",
          "rule_version":1,
          "reasons":[{"code":"condition_not_met","attribute":"context.terminal","message":"What is asked of context.terminal is not met.","guest_message":"This is not open to you at the moment.","guest_language":"en"}],
          "score":{"source":"klout","observed_at":"2012-05-08T18:00:00Z","age_seconds":3600,"fresh":true},
          "limits":[],
          "next_eligible_at":null,
          "receipt":{"log":"cathay","index":7,"leaf_hash":"…","checkpoint":"…"}
        }
        "#);
        assert_shape!(kiosk.post("/v1/checks", &ask(json!({}))).await, @r#"
        200
        {
          "check":"chk_…",
          "decision":"denied",
          "perk":"sfo-lounge",
          "rule_version":1,
          "reasons":[{"code":"attribute_missing","attribute":"context.terminal","message":"This can't be decided without context.terminal.","guest_message":"We can't tell whether this is open to you. Please ask our staff.","guest_language":"en"}],
          "score":{"source":"klout","observed_at":"2012-05-08T18:00:00Z","age_seconds":3600,"fresh":true},
          "limits":[],
          "next_eligible_at":null,
          "receipt":{"log":"cathay","index":8,"leaf_hash":"…","checkpoint":"…"}
        }
        "#);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_has_one_handle_however_it_is_written() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "40").await;
        let kiosk = app.kiosk().await;
        for (subject, decision) in [(" Twitter:ADA ", "granted"), ("twitter:ada", "denied"), ("ｔwitter:ada", "denied")]
        {
            let answer = kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": subject})).await;
            assert_eq!(answer.is(200)["decision"], decision, "{subject}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_asked_is_pointed_at() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let kiosk = app.kiosk().await;
        let before = app.footprint().await;
        let long = "a".repeat(4096);
        let name_of_33 = "a".repeat(33);
        for (body, pointer, code) in [
            (json!({"subject": "a"}), "/perk", "missing_field"),
            (json!({"perk": "sfo-lounge"}), "/subject", "missing_field"),
            (json!({"perk": 7, "subject": "a"}), "/perk", "wrong_type"),
            (json!({"perk": "SFO Lounge", "subject": "a"}), "/perk", "invalid_value"),
            (json!({"perk": "sfo\u{0}lounge", "subject": "a"}), "/perk", "invalid_value"),
            (json!({"perk": "sfo\u{202E}lounge", "subject": "a"}), "/perk", "invalid_value"),
            (json!({"perk": "sfo-lounge", "subject": ""}), "/subject", "bad_subject"),
            (json!({"perk": "sfo-lounge", "subject": " \t"}), "/subject", "bad_subject"),
            (json!({"perk": "sfo-lounge", "subject": "twitter:"}), "/subject", "bad_subject"),
            (json!({"perk": "sfo-lounge", "subject": "twitter:a\u{0}da"}), "/subject", "bad_subject"),
            (json!({"perk": "sfo-lounge", "subject": "twitter:\u{202E}ada"}), "/subject", "bad_subject"),
            (json!({"perk": "sfo-lounge", "subject": "twitter:\u{200B}ada"}), "/subject", "bad_subject"),
            (json!({"perk": "sfo-lounge", "subject": long}), "/subject", "bad_subject"),
            (json!({"perk": "sfo-lounge", "subject": ["a"]}), "/subject", "wrong_type"),
            (json!({"perk": "sfo-lounge", "subject": "a", "dry_run": "yes"}), "/dry_run", "wrong_type"),
            (json!({"perk": "sfo-lounge", "subject": "a", "score": 99}), "/score", "unknown_field"),
            (json!({"perk": "sfo-lounge", "subject": "a", "context": []}), "/context", "wrong_type"),
            (json!({"perk": "sfo-lounge", "subject": "a", "context": {"party": 0}}), "/context/party", "out_of_range"),
            (
                json!({"perk": "sfo-lounge", "subject": "a", "context": {"party": 1.5}}),
                "/context/party",
                "out_of_range",
            ),
            (
                json!({"perk": "sfo-lounge", "subject": "a", "context": {"party": 101}}),
                "/context/party",
                "out_of_range",
            ),
            (json!({"perk": "sfo-lounge", "subject": "a", "context": {name_of_33: 1}}), "/context", "bad_form"),
            (json!({"perk": "sfo-lounge", "subject": "a", "context": {"a\u{0}": 1}}), "/context", "invalid_value"),
            (
                json!({"perk": "sfo-lounge", "subject": "a", "context": {"seat": "1\u{202E}2"}}),
                "/context/seat",
                "bad_form",
            ),
            (
                json!({"perk": "sfo-lounge", "subject": "a", "context": {"deep": {"er": 1}}}),
                "/context/deep",
                "wrong_type",
            ),
        ] {
            let spot = kiosk.post("/v1/checks", &body).await.spot(422, "invalid_request");
            assert_eq!(spot, (pointer.to_owned(), code.to_owned()), "{body}");
        }
        assert_eq!(app.footprint().await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_about_a_subject_does_not_repeat_it() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let body = json!({"perk": "sfo-lounge", "subject": "twitter:grace\u{202E}hopper"});
        let refused = app.kiosk().await.post("/v1/checks", &body).await;
        assert_shape!(refused, @r#"
        422
        {
          "type":"urn:perkgate:problem:invalid_request",
          "title":"Something in the request doesn't fit",
          "status":422,
          "detail":"A subject has no white space, and no control, direction, private or unassigned characters: its character 14 is U+202E, so leave it out.",
          "code":"invalid_request",
          "request_id":"req_…",
          "errors":[{"pointer":"/subject","code":"bad_subject","detail":"A subject has no white space, and no control, direction, private or unassigned characters: its character 14 is U+202E, so leave it out."}]
        }
        "#);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_perk_that_is_unknown_foreign_or_a_draft_is_not_there() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let draft = json!({"perk": "draft", "name": "Draft", "rule": {"at_least": 1, "score": "klout"}});
        admin.post("/v1/perks", &draft).await.is(201);
        app.world.perk(&app.american, "admirals", OPEN_LOUNGE).await;
        let kiosk = app.kiosk().await;
        let ask = |perk: &str| json!({"perk": perk, "subject": "twitter:ada"});
        let unknown = kiosk.post("/v1/checks", &ask("nowhere")).await;
        assert_shape!(unknown, @r#"
        404
        {
          "type":"urn:perkgate:problem:not_found",
          "title":"There is nothing here",
          "status":404,
          "detail":"There is no perk `nowhere`, or nothing of it is published.",
          "code":"not_found",
          "request_id":"req_…"
        }
        "#);
        for perk in ["draft", "admirals"] {
            let absent = kiosk.post("/v1/checks", &ask(perk)).await;
            assert_eq!(absent.shape().replace(perk, "nowhere"), unknown.shape(), "{perk}");
        }
        assert_eq!(app.footprint().await.grants, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_is_shown_to_the_key_that_made_it_and_to_admins_of_its_merchant() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let kiosk = app.kiosk().await;
        let granted = kiosk.post("/v1/checks", &ada()).await;
        let path = format!("/v1/checks/{}", granted.text_of("check"));
        assert_eq!(kiosk.get(&path).await.text, granted.text);
        let admin = app.admin(&app.cathay).await;
        let seen = admin.get(&path).await.is(200);
        assert_eq!((&seen["token"], &seen["score"]["value"]), (&granted.json()["token"], &json!(47.25)));
        app.kiosk().await.get(&path).await.problem(404, "not_found");
        app.admin(&app.american).await.get(&path).await.problem(404, "not_found");
        for odd in ["chk_", "chk_%00", "grt_00000000000000000000000000000000", "%E2%80%AE", "chk_x/y"] {
            kiosk.get(&format!("/v1/checks/{odd}")).await.problem(404, "not_found");
        }
        let absent = format!("/v1/checks/chk_{}", "0".repeat(32));
        kiosk.get(&absent).await.problem(404, "not_found");
    }
}
