//! One evening at a lounge's door, from filling it to the reports, which agree with what was done to the number.

use perkgate::access::{NewKey, Role};
use perkgate::audit::Request;
use perkgate::foundation::entropy::Entropy;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::world::World;

const BASE: &str = "https://perks.example.com";
const PIN: &str = "470283915274";
const OCCUPANCY: &str = "/v1/perks/sfo-lounge/occupancy";
const CLOSURES: &str = "/v1/perks/sfo-lounge/closures";

/// Six seats at each location, for members. Two are let in by hand and two for pay, also when all are taken.
const RULE: &str = r#"{"tiers":[{"id":"main","name":"Main lounge","when":{"attr":"subject.network","op":"eq","value":"member"}}],
  "token":{"ttl":"PT2H"},
  "limits":[{"id":"seats","scope":["location"],"max":6,"cost":"party","window":{"concurrent":{"max_stay":"PT4H"}}}],
  "override":{"reasons":["courtesy"],"max":2,"window":{"calendar":"day"},"past_limits":["seats"]},
  "paid":{"max":2,"window":{"calendar":"day"},"past_limits":["seats"]}}"#;

/// Those who work that evening.
struct House {
    app: TestApp,
    kiosk: Client,
    desk: Client,
    /// The session of the desk's clerk.
    clerk: String,
    door: Client,
    admin: Client,
    auditor: Client,
}

impl House {
    async fn open(app: TestApp) -> Self {
        app.lounge(RULE, "50").await;
        let at = |role, location: &str| NewKey {
            location: Some(location.to_owned()),
            ..NewKey::of(role, Some(app.cathay.id.clone()), "test")
        };
        app.client(at(Role::Kiosk, "SFO-B")).await;
        let (kiosk, desk) = (app.client(at(Role::Kiosk, "SFO-A")).await, app.client(at(Role::Desk, "SFO-A")).await);
        let (door, admin) = (app.door(&app.cathay, "sfo-lounge").await, app.admin(&app.cathay).await);
        let auditor = app.auditor(&app.cathay).await;
        let grace = admin.post("/v1/desk/clerks", &json!({"name": "Grace", "pin": PIN})).await.text_of("clerk");
        let signed_in = desk.post("/v1/desk/sign-in", &json!({"clerk": grace, "pin": PIN})).await;
        let clerk = signed_in.text_of("session");
        Self { app, kiosk, desk, clerk, door, admin, auditor }
    }

    async fn ask(&self, who: &str) -> Reply {
        self.kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": who})).await
    }

    /// Granted, or the code of the first reason why not.
    async fn decided(&self, who: &str) -> String {
        let answer = self.ask(who).await.is(200);
        match answer["decision"].as_str().unwrap() {
            "granted" => "granted".to_owned(),
            _ => answer["reasons"][0]["code"].as_str().unwrap().to_owned(),
        }
    }

    /// Something that the clerk does at the desk.
    async fn by_clerk(&self, method: Method, path: &str, body: &Value) -> Reply {
        self.desk.ask(method, path).header("perkgate-clerk", &self.clerk).json(body.to_string()).await
    }

    async fn make_good(&self, refused: &Reply, step: &str, body: &Value) -> Reply {
        self.by_clerk(Method::POST, &format!("/v1/checks/{}/{step}", refused.text_of("check")), body).await
    }

    async fn enter(&self, granted: &Reply) {
        let spent = json!({"token": granted.text_of("token"), "door": "A", "attempt": granted.text_of("grant")});
        self.door.post("/v1/tokens/redeem", &spent).await.is(200);
    }

    async fn inside(&self) -> u64 {
        self.desk.get(&format!("{OCCUPANCY}?location=SFO-A")).await.is(200)["inside"].as_u64().unwrap()
    }

    /// The columns of a report's totals.
    async fn totals<const N: usize>(&self, report: &str, columns: [&str; N]) -> Vec<(String, u64)> {
        let report = self.auditor.get(&format!("/v1/reports/{report}")).await.is(200);
        columns.into_iter().map(|column| (column.to_owned(), report["totals"][column].as_u64().unwrap())).collect()
    }
}

#[track_caller]
fn findings(world: &World) -> Vec<String> {
    let report = perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
    report.unwrap().findings.listed().iter().map(ToString::to_string).collect()
}

fn courtesy() -> Value {
    json!({"reason": "courtesy", "tier": "main"})
}

fn paying(reference: &str) -> Value {
    json!({"reference": reference, "amount": {"amount": "45.00", "currency": "USD"}})
}

fn expected<const N: usize>(columns: [(&str, u64); N]) -> Vec<(String, u64)> {
    columns.into_iter().map(|(column, count)| (column.to_owned(), count)).collect()
}

#[expect(clippy::too_many_lines, reason = "one evening, in its order")]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_in_one_evening_stands_in_its_reports() {
    for app in TestApp::all_with(&[("link_base", BASE)]).await {
        let house = House::open(app).await;
        // Six members fill it, and three of them are in.
        let mut members = Vec::new();
        for nth in 1..=6 {
            members.push(house.ask(&format!("member:{nth}")).await);
            assert_eq!(members[nth - 1].is(200)["decision"], "granted");
        }
        for member in &members[..3] {
            house.enter(member).await;
        }
        assert_eq!(house.inside().await, 6);
        let seventh = house.ask("member:7").await;
        assert_eq!(seventh.is(200)["reasons"][0]["code"], "limit_reached");
        let [bob, cy, dee] =
            [house.ask("twitter:bob").await, house.ask("twitter:cy").await, house.ask("twitter:dee").await];

        // Two by hand, past the seats, and no third; two for pay, each payment once.
        let [seventh, bob] = [
            house.make_good(&seventh, "override", &courtesy()).await,
            house.make_good(&bob, "override", &courtesy()).await,
        ];
        assert_eq!(
            (seventh.is(201)["decision"].clone(), bob.is(201)["decision"].clone()),
            (json!("granted"), json!("granted"))
        );
        house.make_good(&cy, "override", &courtesy()).await.problem(409, "override_exhausted");
        let cy = house.make_good(&cy, "paid", &paying("R-1")).await;
        assert_eq!(cy.is(201)["decision"], "granted");
        house.make_good(&dee, "paid", &paying("R-1")).await.problem(409, "payment_used");
        assert_eq!(house.inside().await, 9);

        // It was not Bob after all; a door that is offline may still take his token.
        let undo = format!("/v1/grants/{}/undo", bob.text_of("grant"));
        let undone = house.by_clerk(Method::POST, &undo, &json!({"reason": "wrong_person"})).await;
        assert_eq!(undone.is(200)["limits_free_at"], "2012-05-08T21:00:30Z");
        let redeem = json!({"token": bob.text_of("token"), "door": "A", "attempt": "1"});
        house.door.post("/v1/tokens/redeem", &redeem).await.problem(422, "invalid_token");
        for granted in [&seventh, &cy] {
            house.enter(granted).await;
        }

        // Two came in by the other door; more than are inside never left.
        let corrections = format!("{OCCUPANCY}/corrections");
        let correct = async |delta: i64, location: &str| {
            let body = json!({"delta": delta, "reason": "By the other door.", "location": location});
            house.by_clerk(Method::POST, &corrections, &body).await
        };
        assert_eq!(correct(2, "SFO-A").await.is(201)["inside"], 11);
        correct(-12, "SFO-A").await.problem(409, "too_few_inside");
        correct(1, "SFO-B").await.problem(403, "other_location");
        assert_eq!(house.inside().await, 11);

        // A door was offline: one is new, one a duplicate, one was undone meanwhile, and one is no token.
        house.app.world.pass(300);
        let item = |token: &str, door: &str| json!({"token": token, "door": door, "attempt": "offline", "at": "2012-05-08T19:02:00Z"});
        let items = [
            item(&members[3].text_of("token"), "B"),
            item(&members[0].text_of("token"), "B"),
            item(&bob.text_of("token"), "B"),
            item("a.b.c", "B"),
        ];
        let heard = house.door.post("/v1/tokens/redeem/late", &json!({"items": items})).await.is(200);
        let heard: Vec<_> = heard["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| [&it["outcome"], &it["meanwhile"], &it["code"]])
            .collect();
        assert_eq!(
            heard,
            [
                [&json!("recorded"), &Value::Null, &Value::Null],
                [&json!("duplicate"), &Value::Null, &Value::Null],
                [&json!("recorded"), &json!("voided"), &Value::Null],
                [&json!("refused"), &Value::Null, &json!("malformed")],
            ]
        );

        // It closes for a while. Nobody is let in by hand either, and those inside stay there.
        let closing = |location: Value| json!({"location": location, "until": "2012-05-08T21:00:00Z", "message": {"en": "A pipe has burst."}});
        house.by_clerk(Method::POST, CLOSURES, &closing(Value::Null)).await.problem(403, "other_location");
        let closed = house.by_clerk(Method::POST, CLOSURES, &closing(json!("SFO-A"))).await.text_of("closure");
        let ninth = house.ask("member:9").await;
        assert_eq!(ninth.is(200)["reasons"][0]["code"], "place_closed");
        house.make_good(&dee, "paid", &paying("R-2")).await.problem(409, "place_closed");
        let opened = house.by_clerk(Method::DELETE, &format!("{CLOSURES}/{closed}"), &json!({})).await;
        assert_eq!(opened.status, 204);
        assert_eq!(house.inside().await, 11);

        // It is over-full until enough have left.
        assert_eq!(house.decided("member:8").await, "limit_reached");
        for left in [&members[0], &members[1], &members[2], &seventh, &cy] {
            house.door.post(&format!("/v1/grants/{}/release", left.text_of("grant")), &json!({})).await.is(200);
        }
        assert_eq!(house.inside().await, 6);
        house.door.post(&format!("/v1/grants/{}/release", members[3].text_of("grant")), &json!({})).await.is(200);
        assert_eq!(house.decided("member:8").await, "granted");
        assert_eq!(house.inside().await, 6);

        // Who was refused looks at it on their phone, and says that it was wrong. It was not.
        let guest = house.app.anonymous();
        let link = format!("/v1{}", ninth.text_of("link").strip_prefix(BASE).unwrap());
        assert_eq!(guest.get(&link).await.is(200)["messages"], json!(["A pipe has burst."]));
        let objection = json!({"reason": "I saw no water."});
        for _ in 0..2 {
            let contested = guest.post(&format!("{link}/contest"), &objection).await;
            assert_eq!(contested.is(201), json!({"contest": "open"}));
        }
        let uphold = format!("/v1/contests/{}/uphold", ninth.text_of("check"));
        house.admin.post(&uphold, &json!({"note": "It was closed."})).await.is(201);
        assert_eq!(guest.get(&link).await.is(200)["contest"], "upheld");

        house.app.world.pass(1);
        // What was let in by hand is a check among those of grants, and no asking of its own for fairness.
        let decided = [("checks", 16), ("granted", 10), ("denied", 6), ("overridden", 2), ("paid", 1)];
        let names = decided.map(|(name, _)| name);
        assert_eq!(house.totals("grants", names).await, expected(decided));
        let askings = [("checks", 13), ("granted", 7), ("denied", 6), ("overridden", 2), ("paid", 1)];
        assert_eq!(house.totals("fairness", names).await, expected(askings));
        let refused = [("refused_limit_reached", 2), ("refused_condition_not_met", 3), ("refused_place_closed", 1)];
        assert_eq!(house.totals("grants", refused.map(|(name, _)| name)).await, expected(refused));
        let ends = [("redeemed", 7), ("grants_redeemed", 7), ("undone", 1), ("released", 6)];
        assert_eq!(house.totals("grants", ends.map(|(name, _)| name)).await, expected(ends));
        let contests = [("contested", 1), ("upheld", 1), ("overturned", 0)];
        assert_eq!(house.totals("fairness", contests.map(|(name, _)| name)).await, expected(contests));
        let billing =
            [("visits", 7), ("late_visits", 2), ("ended_visits", 1), ("overridden_visits", 2), ("paid_visits", 1)];
        assert_eq!(house.totals("billing", billing.map(|(name, _)| name)).await, expected(billing));
        let listed = house.auditor.get("/v1/overrides").await.is(200);
        let listed = listed["overrides"].as_array().unwrap();
        let mut reasons: Vec<_> = listed.iter().map(|it| it["reason"].as_str().unwrap()).collect();
        reasons.sort_unstable();
        assert_eq!(reasons, ["courtesy", "courtesy", "paid"]);
        let grace = house.desk.get("/v1/desk/clerks").await.is(200)["clerks"][0]["clerk"].clone();
        assert!(listed.iter().all(|it| it["overridden_by"] == grace), "{listed:?}");
        assert_eq!(findings(&house.app.world), [""; 0]);
    }
}
