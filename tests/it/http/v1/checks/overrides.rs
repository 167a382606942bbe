//! `POST /v1/checks/{check}/override`: on the rule's terms, once, counted in every limit, and past those alone that it names.

use diesel::RunQueryDsl as _;
use futures_util::future::join_all;
use perkgate::access::{Merchant, NewKey, Role};
use perkgate::audit::Request;
use perkgate::database::{DatabaseError, schema};
use perkgate::eligibility::overrides::{OverrideError, OverrideRequest, Overrider, PaidEntryRequest};
use perkgate::foundation::entropy::Entropy;
use perkgate::ledger::payment::Payment;
use perkgate::tokens::claims::Claims;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::shape::assert_shape;
use crate::support::world::{World, question};

/// Members come in, two a day; of the others a desk lets three in by hand, also when the house is full.
const RULE: &str = r#"{"tiers":[{"id":"main","name":"Main lounge","when":{"attr":"subject.network","op":"eq","value":"member"}},
     {"id":"top","rank":2,"name":"Top lounge","when":{"attr":"context.top","op":"exists"}}],
  "limits":[{"id":"person","scope":["subject"],"max":1,"window":{"calendar":"day"}},
     {"id":"house","scope":["perk"],"max":2,"window":{"calendar":"day"}}],
  "override":{"reasons":["courtesy","irregular_operations"],"max":3,"window":{"calendar":"day"},"tiers":["main"],
     "past_limits":["house"]}}"#;

fn rule() -> String {
    RULE.replace(r#""id":"main","name""#, r#""id":"main","rank":1,"name""#)
}

async fn ask(client: &Client, who: &str) -> Reply {
    client.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": who})).await
}

async fn override_it(client: &Client, refused: &Reply, body: &Value) -> Reply {
    client.post(&format!("/v1/checks/{}/override", refused.text_of("check")), body).await
}

fn courtesy() -> Value {
    json!({"reason": "courtesy", "tier": "main"})
}

/// The bodies of the merchant's decisions.
async fn check_events(world: &World, merchant: &Merchant) -> Vec<Value> {
    use diesel::prelude::*;
    let merchant = merchant.id.as_str().to_owned();
    let bodies = world.gateway.database.read(move |conn| {
        let bodies: Vec<Option<String>> = schema::events::table
            .inner_join(schema::logs::table.on(schema::logs::id.eq(schema::events::log_id)))
            .filter(schema::logs::merchant_id.eq(merchant))
            .filter(schema::events::kind.eq("check.decided"))
            .select(schema::events::body)
            .load(conn)?;
        Ok::<_, DatabaseError>(bodies)
    });
    bodies.await.unwrap().into_iter().map(|body| serde_json::from_str(&body.unwrap()).unwrap()).collect()
}

#[track_caller]
fn findings(world: &World) -> Vec<String> {
    let report = perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
    report.unwrap().findings.listed().iter().map(ToString::to_string).collect()
}

async fn desk_and_kiosk(app: &TestApp) -> (Client, Client) {
    app.lounge(&rule(), "50").await;
    (app.role(&app.cathay, Role::Desk).await, app.kiosk().await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desk_lets_someone_in_and_all_that_is_recorded_says_so() {
    for app in TestApp::all().await {
        let (desk, kiosk) = desk_and_kiosk(&app).await;
        let refused = ask(&kiosk, "twitter:ada").await;
        assert_eq!(refused.is(200)["decision"], "denied");
        app.world.pass(60);
        let body = json!({"reason": "irregular_operations", "tier": "main", "note": "Her flight was cancelled."});
        let granted = override_it(&desk, &refused, &body).await;
        assert_shape!(granted, @r#"
        201
        {
          "check":"chk_…",
          "decision":"granted",
          "perk":"sfo-lounge",
          "rule_version":1,
          "tier":"main",
          "reasons":[{"code":"granted_by_person","tier":"main","message":"A person decided to grant Main lounge."}],
          "limits":[{"id":"person","remaining":0,"resets_at":"2012-05-09T00:00:00Z"},{"id":"house","remaining":1,"resets_at":"2012-05-09T00:00:00Z"},{"id":"_override","remaining":2,"resets_at":"2012-05-09T00:00:00Z"}],
          "next_eligible_at":null,
          "grant":"grt_…",
          "token":"eyJ…",
          "token_expires_at":"2012-05-08T19:16:00Z",
          "resolves":"chk_…",
          "receipt":{"log":"cathay","index":7,"leaf_hash":"…","checkpoint":"…"}
        }
        "#);
        assert_eq!(granted.header("location"), format!("/v1/checks/{}", granted.text_of("check")));
        let token = granted.text_of("token");
        let claims = token.split('.').nth(1).unwrap();
        let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims).unwrap();
        let claims = Claims::parse(std::str::from_utf8(&claims).unwrap()).unwrap();
        assert_eq!(claims.override_reason.as_deref(), Some("irregular_operations"));

        let auditor = app.auditor(&app.cathay).await;
        let events = auditor.get("/v1/audit/events?kind=check.decided").await.is(200);
        let event = &events["events"][0];
        assert_eq!(event["facts"]["override_reason"], "irregular_operations");
        assert_eq!(event["actor"]["role"], "desk");
        assert!(!events.to_string().contains("cancelled"), "the note is sealed");
        let listed = auditor.get("/v1/overrides").await.is(200);
        let one = &listed["overrides"][0];
        for (name, value) in [
            ("check", json!(refused.text_of("check"))),
            ("granted_check", json!(granted.text_of("check"))),
            ("reason", json!("irregular_operations")),
            ("overridden_at", json!("2012-05-08T19:01:00Z")),
        ] {
            assert_eq!(one[name], value, "{name}");
        }
        assert_eq!(auditor.get("/v1/overrides?perk=another").await.is(200)["overrides"], json!([]));
        let spent = json!({"token": token, "door": "A", "attempt": "1"});
        kiosk.post("/v1/tokens/redeem", &spent).await.is(200);
        assert_eq!(findings(&app.world), [""; 0]);
        app.world.pass(1);
        for (report, column) in [("grants", "overridden"), ("fairness", "overridden"), ("billing", "overridden_visits")]
        {
            let totals = auditor.get(&format!("/v1/reports/{report}")).await.is(200)["totals"].clone();
            assert_eq!(totals[column], 1, "{report}: {totals}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_counts_in_every_limit_and_passes_only_those_that_are_named() {
    for app in TestApp::all().await {
        let (desk, kiosk) = desk_and_kiosk(&app).await;
        for who in ["member:1", "member:2"] {
            assert_eq!(ask(&kiosk, who).await.is(200)["decision"], "granted");
        }
        let full = ask(&kiosk, "member:3").await;
        assert_eq!(full.is(200)["reasons"][0]["limit"], "house");
        override_it(&desk, &full, &courtesy()).await.is(201);
        // The person's own limit is not named, and it has counted the override too.
        let again = ask(&kiosk, "member:3").await;
        override_it(&desk, &again, &courtesy()).await.problem(409, "limit_reached");
        for who in ["twitter:ada", "twitter:bob"] {
            override_it(&desk, &ask(&kiosk, who).await, &courtesy()).await.is(201);
        }
        let fourth = ask(&kiosk, "twitter:cy").await;
        let exhausted = override_it(&desk, &fourth, &courtesy()).await;
        exhausted.problem(409, "override_exhausted");
        assert!(exhausted.text.contains("There is room again at 2012-05-09T00:00:00Z"), "{}", exhausted.text);
        assert_eq!(
            ask(&kiosk, "member:4").await.is(200)["decision"],
            "denied",
            "the house is over-full, and stays full"
        );
        let events = app.auditor(&app.cathay).await.get("/v1/audit/events?kind=check.decided").await.is(200);
        let past: Vec<_> = events["events"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|event| event["facts"]["limits"].as_array().unwrap())
            .filter(|limit| limit["past_max"] == true)
            .map(|limit| {
                (limit["id"].as_str().unwrap(), limit["used"].as_i64().unwrap(), limit["max"].as_i64().unwrap())
            })
            .collect();
        assert_eq!(past, [("house", 5, 2), ("house", 4, 2), ("house", 3, 2)]);
        assert_eq!(findings(&app.world), [""; 0]);
        // Tomorrow all begins again.
        app.world.pass(24 * 3600);
        override_it(&desk, &ask(&kiosk, "twitter:cy").await, &courtesy()).await.is(201);
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_refusal_or_not_any_more_is_not_overridden() {
    for app in TestApp::all().await {
        let (desk, kiosk) = desk_and_kiosk(&app).await;
        let granted = ask(&kiosk, "member:1").await;
        override_it(&desk, &granted, &courtesy()).await.problem(409, "not_refused");
        let refused = ask(&kiosk, "twitter:ada").await;
        for (body, pointer) in [
            (json!({"reason": "friendship", "tier": "main"}), "/reason"),
            (json!({"reason": "courtesy", "tier": "top"}), "/tier"),
            (json!({"reason": "courtesy", "tier": "none"}), "/tier"),
            (json!({"reason": "courtesy"}), "/tier"),
            (json!({"tier": "main"}), "/reason"),
            (json!({"reason": "courtesy", "tier": "main", "note": "x".repeat(501)}), "/note"),
            (json!({"reason": "courtesy", "tier": "main", "party": 2}), "/party"),
        ] {
            assert_eq!(override_it(&desk, &refused, &body).await.spot(422, "invalid_request").0, pointer);
        }
        override_it(&kiosk, &refused, &courtesy()).await.problem(403, "forbidden");
        let theirs = app.role(&app.american, Role::Desk).await;
        override_it(&theirs, &refused, &courtesy()).await.problem(404, "not_found");
        let nobodys = "/v1/checks/chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70/override";
        desk.post(nobodys, &courtesy()).await.problem(404, "not_found");

        // Once; a retry under its key gets the same, and the very same token.
        let path = format!("/v1/checks/{}/override", refused.text_of("check"));
        let retried = async || {
            let ask = desk.ask(Method::POST, &path).header("idempotency-key", "one");
            ask.json(courtesy().to_string()).await
        };
        let (first, second) = (retried().await, retried().await);
        assert_eq!((first.is(201), first.text.as_str()), (second.is(201), second.text.as_str()));
        let again = override_it(&desk, &refused, &courtesy()).await;
        again.problem(409, "already_overridden");
        assert!(again.text.contains(&first.text_of("check")) && !again.text.contains("  "), "{}", again.text);
        override_it(&desk, &first, &courtesy()).await.problem(409, "not_refused");

        let (in_time, late, erased) =
            (ask(&kiosk, "twitter:bob").await, ask(&kiosk, "twitter:cy").await, ask(&kiosk, "twitter:dee").await);
        app.admin(&app.cathay).await.post("/v1/subjects/erase", &json!({"subject": "twitter:dee"})).await.is(200);
        override_it(&desk, &erased, &courtesy()).await.problem(409, "subject_erased");
        app.world.pass(30 * 60);
        override_it(&desk, &in_time, &courtesy()).await.is(201);
        app.world.pass(1);
        override_it(&desk, &late, &courtesy()).await.problem(409, "override_window_closed");

        // A rule that says nothing of overrides has none; a perk that is paused grants nothing.
        let paused = ask(&kiosk, "twitter:eve").await;
        let admin = app.admin(&app.cathay).await;
        admin.post("/v1/perks/sfo-lounge/pause", &json!({})).await.is(200);
        override_it(&desk, &paused, &courtesy()).await.problem(409, "perk_paused");
        app.world
            .perk(&app.cathay, "bar", r#"{"tiers":[{"id":"main","when":{"attr":"context.x","op":"exists"}}]}"#)
            .await;
        let bar = kiosk.post("/v1/checks", &json!({"perk": "bar", "subject": "twitter:ada"})).await;
        override_it(&desk, &bar, &courtesy()).await.problem(409, "not_overridable");
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contested_refusal_is_made_good_once() {
    for app in TestApp::all().await {
        let (desk, kiosk) = desk_and_kiosk(&app).await;
        let (admin, refused) = (app.admin(&app.cathay).await, ask(&kiosk, "twitter:ada").await);
        let check = refused.text_of("check");
        kiosk.post(&format!("/v1/checks/{check}/contest"), &json!({"reason": "It is me."})).await.is(201);
        override_it(&desk, &refused, &courtesy()).await.is(201);
        let overturn = json!({"tier": "main", "note": "in person"});
        admin.post(&format!("/v1/contests/{check}/overturn"), &overturn).await.problem(409, "already_overridden");
        let other = ask(&kiosk, "twitter:bob").await;
        let check = other.text_of("check");
        kiosk.post(&format!("/v1/checks/{check}/contest"), &json!({"reason": "It is me."})).await.is(201);
        admin.post(&format!("/v1/contests/{check}/overturn"), &overturn).await.is(201);
        override_it(&desk, &other, &courtesy()).await.problem(409, "already_decided");
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_added_to_a_case_is_made_good_with_it() {
    for app in TestApp::all().await {
        let (desk, kiosk) = desk_and_kiosk(&app).await;
        let (admin, overturn) = (app.admin(&app.cathay).await, json!({"tier": "main", "note": "in person"}));
        let contest = async |refused: &Reply| {
            let path = format!("/v1/checks/{}/contest", refused.text_of("check"));
            kiosk.post(&path, &json!({"reason": "It is me."})).await
        };
        // The added one is overridden: its case is not overturned any more.
        let (first, added) = (ask(&kiosk, "twitter:ada").await, ask(&kiosk, "twitter:ada").await);
        contest(&first).await.is(201);
        contest(&added).await.is(200);
        override_it(&desk, &added, &courtesy()).await.is(201);
        let case = format!("/v1/contests/{}", first.text_of("check"));
        admin.post(&format!("{case}/overturn"), &overturn).await.problem(409, "already_overridden");
        admin.post(&format!("{case}/uphold"), &json!({"note": "let in by hand"})).await.is(201);
        // The case is overturned: what was added to it is not overridden any more.
        let (first, added) = (ask(&kiosk, "twitter:bob").await, ask(&kiosk, "twitter:bob").await);
        contest(&first).await.is(201);
        contest(&added).await.is(200);
        admin.post(&format!("/v1/contests/{}/overturn", first.text_of("check")), &overturn).await.is(201);
        override_it(&desk, &added, &courtesy()).await.problem(409, "already_decided");
        // What a desk made good is not contested.
        let third = ask(&kiosk, "twitter:cy").await;
        override_it(&desk, &third, &courtesy()).await.is(201);
        contest(&third).await.problem(409, "already_overridden");
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_let_in_by_hand_where_it_is_closed() {
    for app in TestApp::all().await {
        let (desk, kiosk) = desk_and_kiosk(&app).await;
        let (before, admin) = (ask(&kiosk, "twitter:ada").await, app.admin(&app.cathay).await);
        let until = json!({"location": null, "until": "2012-05-08T19:10:00Z"});
        admin.post("/v1/perks/sfo-lounge/closures", &until).await.is(201);
        let closed = ask(&kiosk, "twitter:bob").await;
        assert_eq!(closed.is(200)["reasons"][0]["code"], "place_closed");
        for refused in [&before, &closed] {
            override_it(&desk, refused, &courtesy()).await.problem(409, "place_closed");
        }
        app.world.pass(10 * 60);
        for refused in [&before, &closed] {
            override_it(&desk, refused, &courtesy()).await.is(201);
        }
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_no_more_than_the_rule_lets_come_in() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        let (kiosk, desk) = (world.principal(&cathay, Role::Kiosk).await, world.principal(&cathay, Role::Desk).await);
        let rule = rule().replace(r#""max":2,"#, r#""max":7,"#).replace(r#""max":3,"#, r#""max":5,"#);
        let paid =
            r#""paid":{"max":2,"window":{"calendar":"day"},"tiers":["main"],"past_limits":["house"]},"override":"#;
        let rule = rule.replace(r#""override":"#, paid);
        world.perk(&cathay, "lounge", &rule).await;
        let mut refused = Vec::new();
        for nth in 0..8 {
            let answer = world.check(&kiosk, question("lounge", &format!("twitter:{nth}"))).await.unwrap();
            refused.push(answer.check.unwrap());
        }
        let replica = world.replica().await;
        let gateways = [world.gateway.as_ref(), &replica];
        // Each refusal is overridden by both desks, and sold at one of them, while members come in.
        let desks = (0..16).map(async |nth: usize| {
            let request = OverrideRequest {
                check: refused[nth / 2].clone(),
                reason: "courtesy".into(),
                tier: "main".into(),
                note: None,
            };
            let by = Overrider { key: desk.key.clone(), role: "desk", place: None };
            match gateways[nth % 2].checker.override_check(by, &cathay, request).await {
                Ok(answer) => Some(answer.grant.unwrap().id),
                Err(OverrideError::AlreadyOverridden { .. }) => None,
                Err(error) if error.is_exhausted() => None,
                Err(other) => panic!("{other}"),
            }
        });
        let tills = (0..8).map(async |nth: usize| {
            let payment = Payment::new(&format!("R-{nth}"), "45.00", "USD").unwrap();
            let request = PaidEntryRequest { check: refused[nth].clone(), payment, tier: None };
            let by = Overrider { key: desk.key.clone(), role: "desk", place: None };
            match gateways[nth % 2].checker.enter_paid(by, &cathay, request).await {
                Ok(answer) => Some(answer.grant.unwrap().id),
                Err(OverrideError::AlreadyOverridden { .. }) => None,
                Err(error) if error.is_exhausted() => None,
                Err(other) => panic!("{other}"),
            }
        });
        let members = (0..16).map(async |nth: usize| {
            let asked = question("lounge", &format!("member:{nth}"));
            gateways[nth % 2].checker.check(&kiosk, &cathay, asked).await.unwrap().grant.is_some()
        });
        let (by_hand, paid, by_rule) = tokio::join!(join_all(desks), join_all(tills), join_all(members));
        let by_hand = by_hand.into_iter().flatten().count();
        let by_rule = by_rule.into_iter().filter(|granted| *granted).count();
        let bodies = check_events(&world, &cathay).await;
        let paid = paid.into_iter().flatten().count();
        assert_eq!((by_hand, paid), (5, 2), "of eight refusals, each once");
        // Whatever these took of the house, checks alone never pass the maximum.
        let mut counted = 0;
        for body in bodies {
            let facts = &body["facts"];
            if facts["decision"] != "granted" || !facts["override_reason"].is_null() {
                continue;
            }
            let house = facts["limits"].as_array().unwrap().iter().find(|limit| limit["id"] == "house").unwrap();
            assert!(house["used"].as_u64().unwrap() <= house["max"].as_u64().unwrap(), "{facts}");
            counted += 1;
        }
        assert_eq!(counted, by_rule);
        assert_eq!(findings(&world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_tells_a_desk_what_it_may_make_good_and_a_kiosk_nothing() {
    for app in TestApp::all().await {
        let paid = r#""paid":{"max":1,"window":{"rolling":"PT6H"},"tiers":["top"]},"override":"#;
        app.lounge(&rule().replace(r#""override":"#, paid), "50").await;
        let at = |role, location: Option<&str>| NewKey {
            location: location.map(str::to_owned),
            ..NewKey::of(role, Some(app.cathay.id.clone()), "test")
        };
        let kiosk = app.client(at(Role::Kiosk, Some("SFO-A"))).await;
        let (desk, other) =
            (app.client(at(Role::Desk, Some("SFO-A"))).await, app.client(at(Role::Desk, Some("SFO-B"))).await);
        let refused = ask(&kiosk, "twitter:ada").await;
        let path = format!("/v1/checks/{}", refused.text_of("check"));
        let of = async |client: &Client| {
            let seen = client.get(&path).await.is(200);
            [seen["override"].clone(), seen["paid"].clone()]
        };
        let opening = |left: u64| {
            json!({"reasons": ["courtesy", "irregular_operations"], "tiers": ["main"], "left": left,
                "resets_at": "2012-05-09T00:00:00Z", "until": "2012-05-08T19:30:00Z"})
        };
        let for_pay = json!({"tiers": ["top"], "left": 1, "resets_at": null, "until": "2012-05-08T19:30:00Z"});
        for member in ["override", "paid"] {
            assert!(refused.is(200).get(member).is_none(), "{}", refused.text);
        }
        assert_eq!(of(&kiosk).await, [Value::Null, Value::Null]);
        assert_eq!(of(&other).await, [Value::Null, Value::Null], "it acts elsewhere");
        assert_eq!(of(&desk).await, [opening(3), for_pay]);
        // What it asks itself says so at once, what another made good not any more.
        let own = ask(&desk, "twitter:bob").await;
        assert_eq!(own.is(200)["override"], opening(3));
        override_it(&desk, &own, &courtesy()).await.is(201);
        assert_eq!(of(&desk).await[0], opening(2));
        let granted = desk.get(&format!("/v1/checks/{}", own.text_of("check"))).await.is(200);
        assert_eq!((granted.get("override"), granted.get("paid")), (None, None));
        for who in ["twitter:cy", "twitter:dee"] {
            override_it(&desk, &ask(&desk, who).await, &courtesy()).await.is(201);
        }
        assert_eq!(of(&desk).await[0], opening(0));
        // Where it is closed, or too late, nothing is left to do.
        let admin = app.admin(&app.cathay).await;
        let closing = json!({"location": "SFO-A", "until": "2012-05-08T19:20:00Z"});
        admin.post("/v1/perks/sfo-lounge/closures", &closing).await.is(201);
        assert_eq!(of(&desk).await, [Value::Null, Value::Null]);
        app.world.pass(20 * 60);
        assert_eq!(of(&desk).await[0], opening(0));
        app.world.pass(10 * 60 + 1);
        assert_eq!(of(&desk).await, [Value::Null, Value::Null]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_offered_that_would_be_refused() {
    for app in TestApp::all().await {
        let flights = r#""limits":[{"id":"flight","scope":["context.flight"],"max":9,"window":{"calendar":"day"}},"#;
        app.lounge(&rule().replace(r#""limits":["#, flights), "50").await;
        let (desk, admin) = (app.role(&app.cathay, Role::Desk).await, app.admin(&app.cathay).await);
        let refused = async |who: &str, context: Value| {
            let asked = json!({"perk": "sfo-lounge", "subject": who, "context": context});
            let refused = desk.post("/v1/checks", &asked).await;
            assert_eq!(refused.is(200)["decision"], "denied");
            refused
        };
        // A limit counts by what this check didn't bring.
        let lacking = refused("twitter:ada", json!({})).await;
        assert_eq!(lacking.is(200).get("override"), None);
        override_it(&desk, &lacking, &courtesy()).await.problem(409, "limit_reached");
        let flight = json!({"flight": "CX870"});
        let whole = refused("twitter:bob", flight.clone()).await;
        assert_eq!(whole.is(200)["override"]["left"], 3);
        let batch = json!({"checks": [{"perk": "sfo-lounge", "subject": "twitter:cy", "context": flight}]});
        let results = desk.post("/v1/checks/batch", &batch).await.is(200)["results"].clone();
        assert_eq!((&results[0]["decision"], results[0].get("override")), (&json!("denied"), None));
        // What a person granted already, of itself and of what was added to it.
        let added = refused("twitter:bob", flight).await;
        let path = |refused: &Reply| format!("/v1/checks/{}", refused.text_of("check"));
        for refused in [&whole, &added] {
            let contest = desk.post(&format!("{}/contest", path(refused)), &json!({"reason": "It is me."})).await;
            assert!(matches!(contest.status, 200 | 201), "{}", contest.text);
            assert_eq!(desk.get(&path(refused)).await.is(200)["override"]["left"], 3, "nobody has decided");
        }
        let overturn = json!({"tier": "main", "note": "In person."});
        let case = format!("/v1/contests/{}/overturn", whole.text_of("check"));
        admin.post(&case, &overturn).await.is(201);
        for refused in [&whole, &added] {
            assert_eq!(desk.get(&path(refused)).await.is(200).get("override"), None);
            override_it(&desk, refused, &courtesy()).await.problem(409, "already_decided");
        }
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_by_override_ends_as_any_other() {
    for app in TestApp::all().await {
        let (desk, kiosk) = desk_and_kiosk(&app).await;
        let admin = app.admin(&app.cathay).await;
        for (who, end, by, body) in [
            ("twitter:ada", "undo", &desk, json!({"reason": "mistake"})),
            ("twitter:bob", "void", &admin, json!({"note": "No."})),
            ("twitter:cy", "release", &admin, json!({})),
        ] {
            let granted = override_it(&desk, &ask(&kiosk, who).await, &courtesy()).await;
            let grant = granted.is(201)["grant"].as_str().unwrap().to_owned();
            by.post(&format!("/v1/grants/{grant}/{end}"), &body).await.is(200);
            assert_eq!(findings(&app.world), [""; 0], "{end}");
        }
        app.world.pass(24 * 3600);
        override_it(&desk, &ask(&kiosk, "twitter:ada").await, &courtesy()).await.is(201);
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desk_looks_at_every_check_and_opens_the_door_for_its_own() {
    for app in TestApp::all().await {
        let (desk, kiosk) = desk_and_kiosk(&app).await;
        let path = |check: &Value| format!("/v1/checks/{}", check["check"].as_str().unwrap());
        let theirs = ask(&kiosk, "member:1").await.is(200);
        assert_eq!(kiosk.get(&path(&theirs)).await.is(200)["token"], theirs["token"]);
        let seen = desk.get(&path(&theirs)).await.is(200);
        assert_eq!((&seen["decision"], seen.get("token").and_then(Value::as_str)), (&json!("granted"), None));
        let refused = ask(&kiosk, "twitter:ada").await;
        let listed = desk.get("/v1/checks?decision=denied").await.is(200);
        assert_eq!(listed["checks"][0]["check"], refused.text_of("check"));
        let by_hand = override_it(&desk, &refused, &courtesy()).await.is(201);
        for client in [&desk, &kiosk] {
            assert_eq!(client.get(&path(&by_hand)).await.is(200)["token"], by_hand["token"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_bent_is_found() {
    for app in TestApp::all().await {
        let (desk, kiosk) = desk_and_kiosk(&app).await;
        override_it(&desk, &ask(&kiosk, "twitter:ada").await, &courtesy()).await.is(201);
        override_it(&desk, &ask(&kiosk, "twitter:bob").await, &courtesy()).await.is(201);
        assert_eq!(findings(&app.world), [""; 0]);
        for (bend, mend) in [
            ("UPDATE overrides SET reason = 'x' || reason", "UPDATE overrides SET reason = 'courtesy'"),
            (
                "UPDATE overrides SET overridden_by = 'x' || overridden_by",
                "UPDATE overrides SET overridden_by = substr(overridden_by, 2)",
            ),
            (
                "UPDATE overrides SET overridden_at = overridden_at + 1",
                "UPDATE overrides SET overridden_at = overridden_at - 1",
            ),
            ("UPDATE overrides SET check_id = 'x' || check_id", "UPDATE overrides SET check_id = substr(check_id, 2)"),
        ] {
            for (statement, is_found) in [(bend, true), (mend, false)] {
                let write = app.world.gateway.database.write(move |conn| {
                    perkgate::on_either!(conn, |c| diesel::sql_query(statement).execute(c)).map_err(DatabaseError::from)
                });
                write.await.unwrap();
                assert_eq!(!findings(&app.world).is_empty(), is_found, "{statement}");
            }
        }
    }
}
