//! `POST /v1/checks/{check}/paid`: an override of its own kind, on its own terms, for a payment that lets one visit in.

use diesel::RunQueryDsl as _;
use futures_util::future::join_all;
use perkgate::access::Role;
use perkgate::audit::Request;
use perkgate::database::DatabaseError;
use perkgate::eligibility::overrides::{OverrideError, Overrider, PaidEntryRequest};
use perkgate::foundation::entropy::Entropy;
use perkgate::ledger::payment::Payment;
use perkgate::tokens::claims::Claims;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::shape::assert_shape;
use crate::support::world::{World, question};

/// Members come in, two a day; three of the others for pay, also when the house is full; and one by hand.
const RULE: &str = r#"{"tiers":[{"id":"main","rank":1,"name":"Main lounge","when":{"attr":"subject.network","op":"eq","value":"member"}},
     {"id":"top","rank":2,"name":"Top lounge","when":{"attr":"context.top","op":"exists"}}],
  "limits":[{"id":"person","scope":["subject"],"max":1,"window":{"calendar":"day"}},
     {"id":"house","scope":["perk"],"max":2,"window":{"calendar":"day"}}],
  "paid":{"max":3,"window":{"calendar":"day"},"tiers":["main"],"past_limits":["house"]},
  "override":{"reasons":["courtesy"],"max":1,"window":{"calendar":"day"},"tiers":["main"]}}"#;

async fn ask(client: &Client, who: &str) -> Reply {
    client.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": who})).await
}

fn paying(reference: &str) -> Value {
    json!({"reference": reference, "amount": {"amount": "45.00", "currency": "USD"}})
}

async fn pay(client: &Client, refused: &Reply, body: &Value) -> Reply {
    client.post(&format!("/v1/checks/{}/paid", refused.text_of("check")), body).await
}

#[track_caller]
fn findings(world: &World) -> Vec<String> {
    let report = perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
    report.unwrap().findings.listed().iter().map(ToString::to_string).collect()
}

async fn desk_and_kiosk(app: &TestApp) -> (Client, Client) {
    app.lounge(RULE, "50").await;
    (app.role(&app.cathay, Role::Desk).await, app.kiosk().await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_lets_someone_in_and_all_that_is_recorded_says_so() {
    for app in TestApp::all().await {
        let (desk, kiosk) = desk_and_kiosk(&app).await;
        let refused = ask(&kiosk, "twitter:ada").await;
        app.world.pass(60);
        let granted = pay(&desk, &refused, &paying("R-0508/17")).await;
        assert_shape!(granted, @r#"
        201
        {
          "check":"chk_…",
          "decision":"granted",
          "perk":"sfo-lounge",
          "rule_version":1,
          "tier":"main",
          "reasons":[{"code":"granted_by_person","tier":"main","message":"A person decided to grant Main lounge."}],
          "limits":[{"id":"person","remaining":0,"resets_at":"2012-05-09T00:00:00Z"},{"id":"house","remaining":1,"resets_at":"2012-05-09T00:00:00Z"},{"id":"_paid","remaining":2,"resets_at":"2012-05-09T00:00:00Z"}],
          "next_eligible_at":null,
          "grant":"grt_…",
          "token":"eyJ…",
          "token_expires_at":"2012-05-08T19:16:00Z",
          "resolves":"chk_…",
          "receipt":{"log":"cathay","index":7,"leaf_hash":"…","checkpoint":"…"}
        }
        "#);
        let token = granted.text_of("token");
        let claims = token.split('.').nth(1).unwrap();
        let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims).unwrap();
        let claims = Claims::parse(std::str::from_utf8(&claims).unwrap()).unwrap();
        assert_eq!((claims.override_reason.as_deref(), claims.is_paid), (Some("paid"), true));

        let auditor = app.auditor(&app.cathay).await;
        let events = auditor.get("/v1/audit/events?kind=check.decided").await.is(200);
        let facts = &events["events"][0]["facts"];
        assert_eq!((&facts["override_reason"], &facts["paid"]["amount"]), (&json!("paid"), &json!("45.00")));
        assert!(!events.to_string().contains("R-0508"), "of the reference a digest stands in the log");
        let listed = auditor.get("/v1/overrides").await.is(200);
        assert_eq!(listed["overrides"][0]["paid"], paying("R-0508/17"));
        assert_eq!(listed["overrides"][0]["check"], refused.text_of("check"));
        let spent = json!({"token": token, "door": "A", "attempt": "1"});
        kiosk.post("/v1/tokens/redeem", &spent).await.is(200);
        let by_hand = ask(&kiosk, "twitter:bob").await;
        let path = format!("/v1/checks/{}/override", by_hand.text_of("check"));
        let by_hand = desk.post(&path, &json!({"reason": "courtesy", "tier": "main"})).await;
        let spent = json!({"token": by_hand.is(201)["token"], "door": "A", "attempt": "2"});
        kiosk.post("/v1/tokens/redeem", &spent).await.is(200);
        assert_eq!(findings(&app.world), [""; 0]);
        app.world.pass(1);
        for (report, columns) in [
            ("grants", ["paid", "overridden"]),
            ("fairness", ["paid", "overridden"]),
            ("billing", ["paid_visits", "overridden_visits"]),
        ] {
            let totals = auditor.get(&format!("/v1/reports/{report}")).await.is(200)["totals"].clone();
            assert_eq!(columns.map(|column| totals[column].clone()), [json!(1), json!(1)], "{report}: {totals}");
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
        pay(&desk, &ask(&kiosk, "member:3").await, &paying("1")).await.is(201);
        let again = ask(&kiosk, "member:3").await;
        pay(&desk, &again, &paying("2")).await.problem(409, "limit_reached");
        // What was refused has used no payment.
        pay(&desk, &ask(&kiosk, "twitter:ada").await, &paying("2")).await.is(201);
        pay(&desk, &ask(&kiosk, "twitter:bob").await, &paying("3")).await.is(201);
        let exhausted = pay(&desk, &ask(&kiosk, "twitter:cy").await, &paying("4")).await;
        exhausted.problem(409, "override_exhausted");
        assert!(exhausted.text.contains("The paid entries of this time are used up."), "{}", exhausted.text);
        assert_eq!(findings(&app.world), [""; 0]);
        app.world.pass(24 * 3600);
        pay(&desk, &ask(&kiosk, "twitter:cy").await, &paying("4")).await.is(201);
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_used_once_and_a_refusal_is_made_good_once() {
    for app in TestApp::all().await {
        let (desk, kiosk) = desk_and_kiosk(&app).await;
        let (ada, bob) = (ask(&kiosk, "twitter:ada").await, ask(&kiosk, "twitter:bob").await);
        let path = format!("/v1/checks/{}/paid", ada.text_of("check"));
        let retried = async || {
            let ask = desk.ask(Method::POST, &path).header("idempotency-key", "one");
            ask.json(paying("R-1").to_string()).await
        };
        let (first, second) = (retried().await, retried().await);
        assert_eq!((first.is(201), first.text.as_str()), (second.is(201), second.text.as_str()));
        for (refused, code) in [(&ada, "already_overridden"), (&bob, "payment_used")] {
            let again = pay(&desk, refused, &paying(" R-1 ")).await;
            again.problem(409, code);
            assert!(again.text.contains(&first.text_of("check")) && !again.text.contains("R-1"), "{}", again.text);
        }
        // The visit stands: nothing is said of how to let another in for the same payment.
        let again = pay(&desk, &bob, &paying("R-1")).await;
        assert!(!again.text.contains("ending"), "{}", again.text);
        pay(&desk, &ada, &paying("R-2")).await.problem(409, "already_overridden");
        pay(&desk, &first, &paying("R-2")).await.problem(409, "not_refused");
        let by_hand = format!("/v1/checks/{}/override", ada.text_of("check"));
        let courtesy = json!({"reason": "courtesy", "tier": "main"});
        desk.post(&by_hand, &courtesy).await.problem(409, "already_overridden");
        // Of another merchant it is another payment.
        let theirs = app.role(&app.american, Role::Desk).await;
        app.world.perk(&app.american, "sfo-lounge", RULE).await;
        pay(&theirs, &ask(&theirs, "twitter:ada").await, &paying("R-1")).await.is(201);
        pay(&theirs, &bob, &paying("R-3")).await.problem(404, "not_found");

        let erased = ask(&kiosk, "twitter:dee").await;
        app.admin(&app.cathay).await.post("/v1/subjects/erase", &json!({"subject": "twitter:dee"})).await.is(200);
        pay(&desk, &erased, &paying("R-4")).await.problem(409, "subject_erased");
        pay(&kiosk, &bob, &paying("R-4")).await.problem(403, "forbidden");
        app.world.pass(30 * 60 + 1);
        pay(&desk, &bob, &paying("R-4")).await.problem(409, "override_window_closed");
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_payments_are_pointed_at_and_no_card_is_repeated() {
    for app in TestApp::all().await {
        let (desk, kiosk) = desk_and_kiosk(&app).await;
        let refused = ask(&kiosk, "twitter:ada").await;
        let with = |name: &str, value: Value| {
            let mut body = paying("R-1");
            body[name] = value;
            body
        };
        let amount = |amount: &str, currency: &str| with("amount", json!({"amount": amount, "currency": currency}));
        for (body, pointer) in [
            (with("reference", json!("4111 1111-1111 1111")), "/reference"),
            (with("reference", json!("")), "/reference"),
            (with("reference", json!("x".repeat(101))), "/reference"),
            (with("reference", json!("a\u{202e}b")), "/reference"),
            (with("reference", json!("VISA 4111.1111.1111.1111 12/28")), "/reference"),
            (with("reference", json!(4_111_111_111_111_111_i64)), "/reference"),
            (with("reference", json!(4_111_111_111_111_111.5)), "/reference"),
            (with("tier", json!(4_111_111_111_111_111_i64)), "/tier"),
            (with("tier", json!("top")), "/tier"),
            (with("tier", json!("none")), "/tier"),
            (with("reason", json!("courtesy")), "/reason"),
            (with("amount", json!("45.00")), "/amount"),
            (amount("0", "USD"), "/amount/amount"),
            (amount("45.001", "USD"), "/amount/amount"),
            (amount("45.00", "dollars"), "/amount/currency"),
            (json!({"reference": "R-1"}), "/amount"),
            (json!({"amount": {"amount": "45.00", "currency": "USD"}}), "/reference"),
        ] {
            let reply = pay(&desk, &refused, &body).await;
            assert_eq!(reply.spot(422, "invalid_request").0, pointer, "{body}");
            assert!(!reply.text.contains("4111"), "{}", reply.text);
        }
        // A rule that says nothing of it has none.
        let none = r#"{"tiers":[{"id":"main","when":{"attr":"context.x","op":"exists"}}]}"#;
        app.world.perk(&app.cathay, "bar", none).await;
        let bar = kiosk.post("/v1/checks", &json!({"perk": "bar", "subject": "twitter:ada"})).await;
        pay(&desk, &bar, &paying("R-1")).await.problem(409, "not_overridable");
        // Where several tiers are sold, one is named.
        let several = RULE
            .replace(r#""window":{"calendar":"day"},"tiers":["main"],"past"#, r#""window":{"calendar":"day"},"past"#);
        app.world.perk(&app.cathay, "both", &several).await;
        let both = kiosk.post("/v1/checks", &json!({"perk": "both", "subject": "twitter:ada"})).await;
        let (pointer, _) = pay(&desk, &both, &paying("R-1")).await.spot(422, "invalid_request");
        assert_eq!(pointer, "/tier");
        let top = pay(&desk, &both, &with("tier", json!("top"))).await;
        assert_eq!(top.is(201)["tier"], "top");
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_desks_at_once_one_wins() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        let (kiosk, desk) = (world.principal(&cathay, Role::Kiosk).await, world.principal(&cathay, Role::Desk).await);
        let rule = RULE.replace(r#""max":3,"#, r#""max":5,"#);
        world.perk(&cathay, "lounge", &rule).await;
        let mut refused = Vec::new();
        for nth in 0..12 {
            let answer = world.check(&kiosk, question("lounge", &format!("twitter:{nth}"))).await.unwrap();
            refused.push(answer.check.unwrap());
        }
        let replica = world.replica().await;
        let gateways = [world.gateway.as_ref(), &replica];
        let pay = async |nth: usize, check: usize, reference: &str| {
            let payment = Payment::new(reference, "45.00", "USD").unwrap();
            let request = PaidEntryRequest { check: refused[check].clone(), payment, tier: None };
            gateways[nth % 2]
                .checker
                .enter_paid(Overrider { key: desk.key.clone(), role: "desk", place: None }, &cathay, request)
                .await
        };
        // One payment for as many refusals as there are.
        let one = join_all((0..12).map(|nth| pay(nth, nth, "one"))).await;
        let won: Vec<usize> = (0..12).filter(|nth| one[*nth].is_ok()).collect();
        assert_eq!(won.len(), 1);
        for lost in one.into_iter().filter_map(Result::err) {
            assert!(matches!(lost, OverrideError::ReferenceUsed { .. }), "{lost}");
        }
        // As many payments for one refusal.
        let check = usize::from(won[0] == 0);
        let references: Vec<String> = (0..6).map(|nth| format!("many-{nth}")).collect();
        let many = join_all((0..6).map(|nth| pay(nth, check, &references[nth]))).await;
        assert_eq!(many.iter().filter(|it| it.is_ok()).count(), 1);
        for lost in many.into_iter().filter_map(Result::err) {
            assert!(matches!(lost, OverrideError::AlreadyOverridden { .. }), "{lost}");
        }
        // A payment for each: as many as the rule sells, and no more.
        let references: Vec<String> = (0..12).map(|nth| format!("own-{nth}")).collect();
        let all = join_all((0..12).map(|nth| pay(nth, nth, &references[nth]))).await;
        assert_eq!(all.iter().filter(|it| it.is_ok()).count(), 3);
        assert_eq!(findings(&world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_bent_is_found() {
    for app in TestApp::all().await {
        let (desk, kiosk) = desk_and_kiosk(&app).await;
        pay(&desk, &ask(&kiosk, "twitter:ada").await, &paying("R-1")).await.is(201);
        let by_hand = format!("/v1/checks/{}/override", ask(&kiosk, "twitter:bob").await.text_of("check"));
        desk.post(&by_hand, &json!({"reason": "courtesy", "tier": "main"})).await.is(201);
        assert_eq!(findings(&app.world), [""; 0]);
        for (bend, mend) in [
            ("reference = 'R-2' WHERE reason = 'paid'", "reference = 'R-1' WHERE reason = 'paid'"),
            ("reference = NULL WHERE reason = 'paid'", "reference = 'R-1' WHERE reason = 'paid'"),
            ("amount = '4.50' WHERE reason = 'paid'", "amount = '45.00' WHERE reason = 'paid'"),
            ("amount = NULL WHERE reason = 'paid'", "amount = '45.00' WHERE reason = 'paid'"),
            ("currency = 'EUR' WHERE reason = 'paid'", "currency = 'USD' WHERE reason = 'paid'"),
            // Of an override for which nobody paid.
            ("reference = 'R-2' WHERE reason <> 'paid'", "reference = NULL WHERE reason <> 'paid'"),
            ("amount = '45.00' WHERE reason <> 'paid'", "amount = NULL WHERE reason <> 'paid'"),
            ("currency = 'USD' WHERE reason <> 'paid'", "currency = NULL WHERE reason <> 'paid'"),
        ] {
            for (set, is_found) in [(bend, true), (mend, false)] {
                let statement = format!("UPDATE overrides SET {set}");
                let executed = statement.clone();
                let write = app.world.gateway.database.write(move |conn| {
                    perkgate::on_either!(conn, |c| diesel::sql_query(executed).execute(c)).map_err(DatabaseError::from)
                });
                write.await.unwrap();
                assert_eq!(!findings(&app.world).is_empty(), is_found, "{statement}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_entry_ends_as_any_other_and_its_payment_stays_used() {
    for app in TestApp::all().await {
        let (desk, kiosk) = desk_and_kiosk(&app).await;
        let undo = async |granted: &Reply| {
            let path = format!("/v1/grants/{}/undo", granted.text_of("grant"));
            desk.post(&path, &json!({"reason": "mistake"})).await.is(200);
        };
        let used = async |who: &str, reference: &str| {
            let again = pay(&desk, &ask(&kiosk, who).await, &paying(reference)).await;
            again.problem(409, "payment_used");
            again.text
        };
        let ada = pay(&desk, &ask(&kiosk, "twitter:ada").await, &paying("R-1")).await;
        undo(&ada).await;
        app.world.pass(24 * 3600);
        assert!(used("twitter:ada", "R-1").await.contains("the ending `/2`"));
        let second = pay(&desk, &ask(&kiosk, "twitter:ada").await, &paying("R-1/2")).await;
        second.is(201);
        // Another visit stands for the payment now, until it is undone too.
        assert!(!used("twitter:bob", "R-1").await.contains("ending"));
        undo(&second).await;
        assert!(used("twitter:bob", "R-1").await.contains("the ending `/3`"));
        pay(&desk, &ask(&kiosk, "twitter:bob").await, &paying("R-1/3")).await.is(201);
        // No name is longer than names may be.
        let long = "x".repeat(99);
        let cy = pay(&desk, &ask(&kiosk, "twitter:cy").await, &paying(&long)).await;
        undo(&cy).await;
        assert!(!used("twitter:cy", &long).await.contains("ending"));
        assert_eq!(findings(&app.world), [""; 0]);
    }
}
