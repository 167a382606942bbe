//! The key of a desk that has a location acts there only, whatever it may look at.

use perkgate::access::{NewKey, Role};
use perkgate::audit::Request;
use perkgate::foundation::entropy::Entropy;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::world::World;

const PIN: &str = "470283915274";
const CLOSURES: &str = "/v1/perks/sfo-lounge/closures";
const CORRECTIONS: &str = "/v1/perks/sfo-lounge/occupancy/corrections";
const RULE: &str = r#"{"tiers":[{"id":"main","name":"Main lounge","when":{"attr":"subject.network","op":"eq","value":"member"}}],
  "token":{"ttl":"PT1H"},
  "limits":[{"id":"seats","scope":["location"],"max":50,"cost":"party","window":{"concurrent":{"max_stay":"PT4H"}}}],
  "override":{"reasons":["courtesy"],"max":20,"window":{"calendar":"day"}},"paid":{"max":20,"window":{"calendar":"day"}}}"#;

fn at(app: &TestApp, role: Role, location: Option<&str>) -> NewKey {
    NewKey { location: location.map(str::to_owned), ..NewKey::of(role, Some(app.cathay.id.clone()), "test") }
}

async fn ask(client: &Client, who: &str) -> Reply {
    client.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": who, "context": {"party": 2}})).await
}

async fn override_it(client: &Client, refused: &Reply) -> Reply {
    let path = format!("/v1/checks/{}/override", refused.text_of("check"));
    client.post(&path, &json!({"reason": "courtesy", "tier": "main"})).await
}

#[track_caller]
fn findings(world: &World) -> Vec<String> {
    let report = perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
    report.unwrap().findings.listed().iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desk_acts_where_it_is_and_one_without_a_location_everywhere() {
    for app in TestApp::all().await {
        app.lounge(RULE, "50").await;
        let client = async |role, location| app.client(at(&app, role, location)).await;
        let kiosks = [
            client(Role::Kiosk, Some("A")).await,
            client(Role::Kiosk, Some("B")).await,
            client(Role::Kiosk, None).await,
        ];
        let (here, anywhere) = (client(Role::Desk, Some("A")).await, client(Role::Desk, None).await);
        let admin = client(Role::Admin, None).await;
        // Overrides and paid entries: of its own place, and of what says no place.
        for (nth, kiosk) in kiosks.iter().enumerate() {
            let [by_hand, paid] =
                [ask(kiosk, &format!("twitter:a{nth}")).await, ask(kiosk, &format!("twitter:b{nth}")).await];
            let body = json!({"reference": format!("R-{nth}"), "amount": {"amount": "45.00", "currency": "USD"}});
            let path = format!("/v1/checks/{}/paid", paid.text_of("check"));
            if nth == 1 {
                let refused = override_it(&here, &by_hand).await;
                refused.problem(403, "other_location");
                assert!(refused.text.contains("asked at B"), "{}", refused.text);
                here.post(&path, &body).await.problem(403, "other_location");
                override_it(&anywhere, &by_hand).await.is(201);
                admin.post(&path, &body).await.is(201);
            } else {
                override_it(&here, &by_hand).await.is(201);
                here.post(&path, &body).await.is(201);
            }
        }
        // Corrections of grants, and of who is inside.
        for (kiosk, status) in [(&kiosks[0], 200), (&kiosks[1], 403), (&kiosks[2], 200)] {
            let granted = ask(kiosk, "member:1").await;
            let path = format!("/v1/grants/{}", granted.text_of("grant"));
            let body = json!({"party": {"adults": 1}, "reason": "One stayed outside."});
            let corrected = here.ask(Method::PATCH, &path).header("if-match", "*").json(body.to_string()).await;
            assert_eq!(corrected.status, status, "{}", corrected.text);
        }
        let correct = async |client: &Client, location: Value| {
            client.post(CORRECTIONS, &json!({"delta": 1, "reason": "Seen.", "location": location})).await
        };
        correct(&here, json!("B")).await.problem(403, "other_location");
        assert_eq!(correct(&here, Value::Null).await.is(201)["location"], "A");
        correct(&here, json!("A")).await.is(201);
        correct(&anywhere, json!("B")).await.is(201);
        // Nor of the perk as a whole, where that is what is counted.
        let whole = RULE.replace(r#""scope":["location"]"#, r#""scope":["perk"]"#);
        app.world.perk(&app.cathay, "bar", &whole).await;
        let of_bar = async |client: &Client| {
            let body = json!({"delta": 1, "reason": "Seen."});
            client.post("/v1/perks/bar/occupancy/corrections", &body).await
        };
        let refused = of_bar(&here).await;
        refused.problem(403, "other_location");
        assert!(refused.text.contains("every location"), "{}", refused.text);
        assert_eq!(of_bar(&anywhere).await.is(201)["inside"], 1);
        // It looks at the others all the same.
        here.get("/v1/perks/sfo-lounge/occupancy?location=B").await.is(200);
        // Closures: none of another place, and none of all of them.
        let close = async |client: &Client, location: Value| {
            client.post(CLOSURES, &json!({"location": location, "until": "2012-05-08T20:00:00Z"})).await
        };
        close(&here, json!("B")).await.problem(403, "other_location");
        let all = close(&here, Value::Null).await;
        all.problem(403, "other_location");
        assert!(all.text.contains("name `A`"), "{}", all.text);
        let [own, other, all] = [
            close(&here, json!("A")).await.text_of("closure"),
            close(&anywhere, json!("B")).await.text_of("closure"),
            close(&anywhere, Value::Null).await.text_of("closure"),
        ];
        for closure in [&other, &all] {
            here.delete(&format!("{CLOSURES}/{closure}")).await.problem(403, "other_location");
            assert_eq!(anywhere.delete(&format!("{CLOSURES}/{closure}")).await.status, 204);
        }
        assert_eq!(here.delete(&format!("{CLOSURES}/{own}")).await.status, 204);
        here.delete(&format!("{CLOSURES}/{own}")).await.problem(404, "not_found");
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clerk_who_goes_to_another_desk_undoes_nothing_of_the_first() {
    for app in TestApp::all().await {
        app.lounge(RULE, "50").await;
        let desks = [
            app.client(at(&app, Role::Desk, Some("A"))).await,
            app.client(at(&app, Role::Desk, Some("B"))).await,
            app.client(at(&app, Role::Desk, None)).await,
        ];
        let admin = app.admin(&app.cathay).await;
        let grace = admin.post("/v1/desk/clerks", &json!({"name": "Grace", "pin": PIN})).await.text_of("clerk");
        let mut sessions = Vec::new();
        for desk in &desks {
            let signed_in = desk.post("/v1/desk/sign-in", &json!({"clerk": grace, "pin": PIN})).await;
            sessions.push(signed_in.text_of("session"));
        }
        let by_clerk = async |nth: usize, path: &str, body: Value| {
            desks[nth].ask(Method::POST, path).header("perkgate-clerk", &sessions[nth]).json(body.to_string()).await
        };
        let mut grants = Vec::new();
        for who in ["twitter:a", "twitter:b"] {
            let path = format!("/v1/checks/{}/override", ask(&desks[0], who).await.text_of("check"));
            grants.push(by_clerk(0, &path, json!({"reason": "courtesy", "tier": "main"})).await.text_of("grant"));
        }
        let undo = async |nth: usize, grant: &str| {
            by_clerk(nth, &format!("/v1/grants/{grant}/undo"), json!({"reason": "mistake"})).await
        };
        let refused = undo(1, &grants[0]).await;
        refused.problem(403, "other_location");
        assert!(refused.text.contains("granted at A"), "{}", refused.text);
        undo(0, &grants[0]).await.is(200);
        undo(2, &grants[1]).await.is(200);
        assert_eq!(findings(&app.world), [""; 0]);
    }
}
