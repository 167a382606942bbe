//! What a desk does by hand is a clerk's to do, once there are clerks, and is recorded as theirs.

use perkgate::access::Role;
use perkgate::audit::Request;
use perkgate::foundation::entropy::Entropy;
use reqwest::Method;
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};

const PIN: &str = "470283915274";
const RULE: &str = r#"{"tiers":[{"id":"main","name":"Main lounge","when":{"attr":"subject.network","op":"eq","value":"member"}}],
  "token":{"ttl":"PT1H"},
  "limits":[{"id":"seats","scope":["perk"],"max":50,"cost":"party","window":{"concurrent":{"max_stay":"PT4H"}}}],
  "override":{"reasons":["courtesy"],"max":20,"window":{"calendar":"day"}},"paid":{"max":20,"window":{"calendar":"day"}}}"#;

async fn ask(desk: &Client, who: &str) -> Reply {
    let asked = desk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": who, "context": {"party": 2}})).await;
    asked.is(200);
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn each_needs_a_clerk_once_there_are_some_and_names_them() {
    for app in TestApp::all().await {
        app.lounge(RULE, "50").await;
        let (admin, desk) = (app.admin(&app.cathay).await, app.role(&app.cathay, Role::Desk).await);
        let auditor = app.auditor(&app.cathay).await;
        let (ada, bob, granted) =
            (ask(&desk, "twitter:ada").await, ask(&desk, "twitter:bob").await, ask(&desk, "member:1").await);
        let paid = json!({"reference": "R-1", "amount": {"amount": "45.00", "currency": "USD"}});
        let fewer = json!({"party": {"adults": 1}, "reason": "One stayed outside."});
        let steps = [
            (
                Method::POST,
                format!("/v1/checks/{}/override", ada.text_of("check")),
                json!({"reason": "courtesy", "tier": "main"}),
            ),
            (Method::POST, format!("/v1/checks/{}/paid", bob.text_of("check")), paid),
            (Method::PATCH, format!("/v1/grants/{}", granted.text_of("grant")), fewer),
            (
                Method::POST,
                "/v1/perks/sfo-lounge/occupancy/corrections".to_owned(),
                json!({"delta": 1, "reason": "By the other door."}),
            ),
        ];
        let grace = admin.post("/v1/desk/clerks", &json!({"name": "Grace", "pin": PIN})).await.text_of("clerk");
        let signed_in = desk.post("/v1/desk/sign-in", &json!({"clerk": grace, "pin": PIN})).await;
        let session = signed_in.text_of("session");
        let newest = async || auditor.get("/v1/audit/events").await.is(200)["events"][0].clone();
        for (method, path, body) in steps {
            let before = newest().await;
            let send = || desk.ask(method.clone(), &path).header("if-match", "*").json(body.to_string());
            send().await.problem(403, "clerk_required");
            assert_eq!(newest().await, before, "{path}: nothing is recorded of it");
            let done = send().header("perkgate-clerk", &session).await;
            assert!(matches!(done.status, 200 | 201), "{path}: {}", done.text);
            let event = newest().await;
            assert_ne!(event, before, "{path}");
            assert_eq!(event["actor"], json!({"key": grace, "role": "desk"}), "{path}");
        }
        let report =
            perkgate::audit::verify(&app.world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
        assert!(report.unwrap().findings.listed().is_empty());
    }
}
