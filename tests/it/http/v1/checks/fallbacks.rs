//! `POST /v1/checks` under rules that ignore a missing score, promise a wait, compare attributes or
//! are open to some of the people.

use perkgate::decision::rollout::rollout_bucket;
use serde_json::json;

use crate::support::app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn bands_refuse_nobody_and_promise_a_wait() {
    let bands = r#"{"score":{"source":"klout","max_age":"PT4H","on_missing":"ignore","on_stale":"ignore"},
      "tiers":[{"id":"gold","rank":2,"max_wait":"PT2M","when":{"attr":"score","op":"gte","value":40}},
               {"id":"everyone","rank":1,"name":"Everyone","max_wait":"PT10M"}]}"#;
    for app in TestApp::all().await {
        app.lounge(bands, "47.25").await;
        let kiosk = app.kiosk().await;
        let ask = async |subject: &str| {
            let answer = kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": subject})).await;
            let shown = kiosk.get(&format!("/v1/checks/{}", answer.text_of("check"))).await;
            assert_eq!(shown.text, answer.text, "it reads back as it was given");
            let json = answer.is(200);
            (json["tier"].clone(), json["max_wait"].clone(), json["reasons"][0]["code"].clone())
        };
        assert_eq!(ask("twitter:ada").await, (json!("gold"), json!("PT2M"), json!("score_met")));
        let unscored = (json!("everyone"), json!("PT10M"), json!("score_missing"));
        assert_eq!(ask("twitter:nobody").await, unscored, "a grant that took no notice of a score says so");
        app.world.pass(4 * 3600);
        assert_eq!(ask("twitter:ada").await, (json!("everyone"), json!("PT10M"), json!("score_stale")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_kiosk_says_may_be_the_threshold() {
    let rule = r#"{"tiers":[{"id":"table","when":{"attr":"context.party","op":"lte","ref":"context.seats"}}]}"#;
    for app in TestApp::all().await {
        app.lounge(rule, "1").await;
        let kiosk = app.kiosk().await;
        let ask = async |context: serde_json::Value| {
            let body = json!({"perk": "sfo-lounge", "subject": "twitter:ada", "context": context, "dry_run": true});
            kiosk.post("/v1/checks", &body).await.is(200)
        };
        assert_eq!(ask(json!({"party": 3, "seats": 3})).await["decision"], "granted");
        let small = ask(json!({"party": 4, "seats": 3})).await;
        assert_eq!(small["reasons"][0]["code"], "condition_not_met");
        let unsaid = ask(json!({"party": 4})).await;
        assert_eq!(
            (&unsaid["reasons"][0]["code"], &unsaid["reasons"][0]["attribute"]),
            (&json!("attribute_missing"), &json!("context.seats"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_admits_the_same_people_and_more_as_it_grows() {
    let rule = |percent: u8| format!(r#"{{"tiers":[{{"id":"all"}}],"rollout":{{"percent":{percent}}}}}"#);
    for app in TestApp::all().await {
        let made = app.world.perk(&app.cathay, "sfo-lounge", &rule(30)).await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let keyring = &app.world.gateway.keyring;
        for percent in [30_u8, 70] {
            let mut admitted = 0;
            for nth in 0..60 {
                let subject = format!("m-{nth}");
                let reference = keyring.subject_ref(&app.cathay.id, &subject.parse().unwrap());
                let inside = rollout_bucket(&made.perk.id, &reference) < u16::from(percent) * 100;
                let answer = kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": subject})).await.is(200);
                let wanted = if inside { json!("granted") } else { json!("denied") };
                assert_eq!(answer["decision"], wanted, "{subject} at {percent}: {answer}");
                if !inside {
                    assert_eq!(answer["reasons"][0]["code"], "not_in_rollout");
                    assert_eq!(answer["next_eligible_at"], json!(null));
                }
                admitted += usize::from(inside);
            }
            assert!((1..60).contains(&admitted), "{admitted} of 60 at {percent}");
            let version =
                json!({"rule": serde_json::from_str::<serde_json::Value>(&rule(70)).unwrap(), "publish": true});
            admin.post("/v1/perks/sfo-lounge/versions", &version).await.is(201);
        }
    }
}
