//! `dry_run`: what somebody who may not read scores can learn by asking without being recorded.

use perkgate::access::Role;
use serde_json::{Value, json};

use crate::http::v1::OPEN_LOUNGE;
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};

/// Whoever asks sets the bar.
const SEARCHED: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"t","when":{"attr":"score","op":"gte","ref":"context.bar"}}]}"#;

fn dry(subject: &str) -> Value {
    json!({"perk": "sfo-lounge", "subject": subject, "dry_run": true})
}

async fn batch(client: &Client, checks: &[Value]) -> Vec<Value> {
    let answer = client.post("/v1/checks/batch", &json!({"checks": checks})).await.is(200);
    answer["results"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_no_gap_to_a_role_that_may_not_read_scores() {
    for app in TestApp::all().await {
        app.world.perk(&app.cathay, "sfo-lounge", OPEN_LOUNGE).await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let mut refused = Vec::new();
        for score in (0..40).chain([39]) {
            let subject = format!("twitter:s{score}");
            app.world.score(&app.cathay, &subject, &format!("{score}.5")).await;
            refused.push(kiosk.post("/v1/checks", &dry(&subject)).await.shape());
            let in_batch = batch(&kiosk, &[dry(&subject)]).await;
            assert!(!in_batch[0].to_string().contains("short"), "{}", in_batch[0]);
        }
        refused.dedup();
        assert_eq!(refused.len(), 1, "39.5 looks like 0.5: {refused:?}");
        assert!(!refused[0].contains("short"), "{refused:?}");
        assert!(refused[0].contains("The score is below the 40"), "{refused:?}");
        // What is recorded keeps its promise, and so does a role that may read scores anyway.
        let recorded = json!({"perk": "sfo-lounge", "subject": "twitter:s39"});
        assert_eq!(kiosk.post("/v1/checks", &recorded).await.is(200)["reasons"][0]["short_by"], 1);
        let shown = admin.post("/v1/checks", &dry("twitter:s39")).await.is(200);
        assert_eq!((&shown["reasons"][0]["short_by"], &shown["score"]["value"]), (&json!(0.5), &json!(39.5)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_thirty_dry_runs_an_hour_about_one_person() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "12").await;
        let (kiosk, other) = (app.kiosk().await, app.kiosk().await);
        let before = app.footprint().await;
        // However they are written, and whatever they are about: it is one person.
        let ask = async |nth: usize| -> Reply {
            let subject = ["twitter:ada", " Twitter:ADA ", "ｔwitter:ada"][nth % 3];
            let perk = if nth == 7 { "no-such-perk" } else { "sfo-lounge" };
            kiosk.post("/v1/checks", &json!({"perk": perk, "subject": subject, "dry_run": true})).await
        };
        for nth in 0..20 {
            assert_eq!(ask(nth).await.status, if nth == 7 { 404 } else { 200 });
            app.world.pass(60);
        }
        // In a batch each question counts, and each has its own outcome.
        let mut asked = vec![dry("twitter:ada"); 12];
        asked.insert(3, dry("twitter:grace"));
        let results = batch(&kiosk, &asked).await;
        let statuses: Vec<_> = results.iter().map(|result| result["status"].as_u64().unwrap()).collect();
        assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 429, 429]);
        assert_eq!(results[12]["problem"]["code"], "too_many_dry_runs");
        let limited = ask(0).await;
        limited.problem(429, "too_many_dry_runs");
        // The first was asked twenty minutes ago.
        assert_eq!(limited.header("retry-after"), "2400");
        assert_eq!(app.footprint().await, before, "nothing is recorded of it");

        // Others, other keys, who may read scores, and what is recorded are not concerned.
        kiosk.post("/v1/checks", &dry("twitter:grace")).await.is(200);
        other.post("/v1/checks", &dry("twitter:ada")).await.is(200);
        let admin = app.admin(&app.cathay).await;
        for _ in 0..31 {
            admin.post("/v1/checks", &dry("twitter:ada")).await.is(200);
        }
        let recorded = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
        kiosk.post("/v1/checks", &recorded).await.is(200);

        app.world.pass(2399);
        assert_eq!(ask(0).await.header("retry-after"), "1");
        app.world.pass(1);
        ask(0).await.is(200);
        assert_eq!(ask(0).await.header("retry-after"), "60", "no more than thirty in any hour");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_merchants_person_of_the_same_name_is_somebody_else() {
    let app = TestApp::start(&[]).await;
    app.lounge(OPEN_LOUNGE, "12").await;
    app.world.perk(&app.american, "sfo-lounge", OPEN_LOUNGE).await;
    let (kiosk, theirs) = (app.kiosk().await, app.role(&app.american, Role::Kiosk).await);
    for _ in 0..30 {
        kiosk.post("/v1/checks", &dry("twitter:ada")).await.is(200);
    }
    kiosk.post("/v1/checks", &dry("twitter:ada")).await.problem(429, "too_many_dry_runs");
    theirs.post("/v1/checks", &dry("twitter:ada")).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_whose_bar_the_caller_sets_is_warned_of_wherever_it_is_published() {
    let app = TestApp::start(&[]).await;
    let admin = app.admin(&app.cathay).await;
    let rule: Value = serde_json::from_str(SEARCHED).unwrap();
    let plainly = |answer: &Value| {
        let warnings = answer["warnings"].as_array().unwrap();
        let warning =
            warnings.iter().find(|it| it["code"] == "caller_sets_threshold").unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(warning["pointer"], "/rule/tiers/0/when", "{warning}");
        let detail = warning["detail"].as_str().unwrap();
        assert!(detail.contains("context.bar") && detail.contains("find out anybody's score"), "{detail}");
    };
    let body = json!({"perk": "searched", "name": "Searched", "rule": rule});
    plainly(&admin.post("/v1/perks", &body).await.is(201));
    plainly(&admin.post("/v1/perks/searched/versions/1/submit", &json!({})).await.is(200));
    plainly(&admin.post("/v1/perks/searched/versions/1/approve", &json!({})).await.is(200));
    plainly(&admin.post("/v1/perks/searched/versions/1/publish", &json!({})).await.is(200));
    let at_once = json!({"rule": rule, "publish": true});
    plainly(&admin.post("/v1/perks/searched/versions", &at_once).await.is(201));
    plainly(&admin.post("/v1/perks/searched/versions", &json!({"rule": rule})).await.is(201));
    let at = json!({"at": "2012-06-01T00:00"});
    plainly(&admin.post("/v1/perks/searched/versions/3/schedule", &at).await.is(200));
    plainly(&admin.post("/v1/perks/searched/rollback", &json!({"to": 1})).await.is(201));
}
