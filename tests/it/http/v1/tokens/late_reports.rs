//! What doors report afterwards, whatever became of the keys meanwhile: it is recorded once, and billed as it was.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::SignedDuration;
use perkgate::audit::Request;
use perkgate::eligibility::late_reports::{LateItem, LateOutcome};
use perkgate::foundation::entropy::Entropy;
use reqwest::Method;
use serde_json::{Value, json};

use crate::http::v1::OPEN_LOUNGE;
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::world::{CLI, World};

/// A party of up to four; doors may let people in by a token as often as they like.
const OFTEN: &str = r#"{"tiers":[{"id":"t","name":"T","guests":{"free":1,"max":3}}],"token":{"single_use":false}}"#;
const PARTIES: &str = r#"{"tiers":[{"id":"t","name":"T","guests":{"free":1,"max":3}}]}"#;

async fn granted(kiosk: &Client) -> Reply {
    let reply = kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada"})).await;
    assert_eq!(reply.is(200)["decision"], "granted", "{}", reply.text);
    reply
}

fn item(token: &str, attempt: &str, at: &str) -> Value {
    json!({"token": token, "door": "A", "attempt": attempt, "at": at})
}

async fn report(client: &Client, items: &[Value]) -> Vec<Value> {
    let told = client.post("/v1/tokens/redeem/late", &json!({"items": items})).await.is(200);
    told["results"].as_array().unwrap().clone()
}

fn outcome(result: &Value) -> (&str, Option<&str>) {
    let more = result.get("code").or(result.get("meanwhile")).and_then(Value::as_str);
    (result["outcome"].as_str().unwrap(), more)
}

#[track_caller]
fn findings(world: &World) -> Vec<String> {
    let report = perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
    report.unwrap().findings.listed().iter().map(ToString::to_string).collect()
}

async fn billed(app: &TestApp) -> Value {
    app.world.pass(1);
    app.auditor(&app.cathay).await.get("/v1/reports/billing").await.is(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_visit_is_billed_as_it_was_corrected_before_or_after_the_report() {
    for app in TestApp::all().await {
        app.lounge(PARTIES, "50").await;
        let (kiosk, door) = (app.kiosk().await, app.door(&app.cathay, "sfo-lounge").await);
        for report_first in [true, false] {
            let granted = granted(&kiosk).await;
            let late = [item(&granted.text_of("token"), "1", &app.world.now().to_string())];
            let path = format!("/v1/grants/{}", granted.text_of("grant"));
            let correct = async || {
                let tag = kiosk.get(&path).await.header("etag").to_owned();
                let body = json!({"party": {"adults": 4}, "reason": "Counted at the desk."});
                kiosk.ask(Method::PATCH, &path).header("if-match", &tag).json(body.to_string()).await.is(200);
            };
            app.world.pass(60);
            if report_first {
                assert_eq!(outcome(&report(&door, &late).await[0]), ("recorded", None));
                correct().await;
            } else {
                correct().await;
                assert_eq!(outcome(&report(&door, &late).await[0]), ("recorded", None));
            }
        }
        let billing = billed(&app).await;
        let counts = ["visits", "late_visits", "guests", "charged"].map(|it| billing["totals"][it].clone());
        assert_eq!(counts, [2, 2, 8, 4].map(Value::from), "{billing}");
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_taken_though_the_key_of_its_token_is_retired() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let (kiosk, door) = (app.kiosk().await, app.door(&app.cathay, "sfo-lounge").await);
        let [first, second] = [granted(&kiosk).await.text_of("token"), granted(&kiosk).await.text_of("token")];
        let ledger = &app.world.gateway.ledger;
        ledger.rotate_token_key(SignedDuration::ZERO, CLI).await.unwrap();
        app.world.pass(71 * 3600);
        let at = "2012-05-08T19:05:00Z";
        assert_eq!(outcome(&report(&door, &[item(&first, "1", at)]).await[0]), ("recorded", Some("expired")));
        // It is believed in reports alone.
        let online = json!({"token": second, "door": "A", "attempt": "1"});
        door.post("/v1/tokens/redeem", &online).await.problem(422, "invalid_token");
        let jwks = app.anonymous().get("/.well-known/jwks.json").await.is(200);
        assert_eq!(jwks["keys"].as_array().unwrap().len(), 1);
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_by_a_withdrawn_key_is_believed_if_the_grant_says_the_same() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let (kiosk, door) = (app.kiosk().await, app.door(&app.cathay, "sfo-lounge").await);
        let [taken, other, voided] = [granted(&kiosk).await, granted(&kiosk).await, granted(&kiosk).await];
        let stolen = app.world.gateway.keyring.token_key();
        app.world.pass(60);
        let ledger = &app.world.gateway.ledger;
        ledger.revoke_token_key(stolen.kid().to_owned(), CLI).await.unwrap().unwrap();
        let void = format!("/v1/grants/{}/void", voided.text_of("grant"));
        app.admin(&app.cathay).await.post(&void, &json!({"note": "x"})).await.is(200);
        // The thief signs what the grant doesn't say, and a grant that nobody made.
        let forged = |name: &str, value: Value| {
            let real = other.text_of("token");
            let claims = BASE64URL.decode(real.split('.').nth(1).unwrap()).unwrap();
            let mut claims: Value = serde_json::from_slice(&claims).unwrap();
            claims[name] = value;
            let message = format!("{}.{}", stolen.protected_header(), BASE64URL.encode(claims.to_string()));
            format!("{message}.{}", BASE64URL.encode(stolen.sign(message.as_bytes())))
        };
        let at = "2012-05-08T19:00:30Z";
        let told = report(
            &door,
            &[
                item(&taken.text_of("token"), "1", at),
                item(&forged("tier", json!("first")), "2", at),
                item(&forged("jti", json!(format!("grt_{}", "0".repeat(32)))), "3", at),
                item(&voided.text_of("token"), "4", at),
            ],
        )
        .await;
        let outcomes: Vec<_> = told.iter().map(outcome).collect();
        assert_eq!(
            outcomes,
            [
                ("recorded", Some("key_revoked")),
                ("refused", Some("key_revoked")),
                ("refused", Some("bad_signature")),
                ("recorded", Some("voided")),
            ]
        );
        assert_eq!(app.footprint().await.redemptions, 2);
        assert_eq!(billed(&app).await["totals"]["visits"], 2);
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_one_by_whichever_key_it_is_reported() {
    for rule in [OPEN_LOUNGE, OFTEN] {
        for app in TestApp::all().await {
            app.lounge(rule, "47.25").await;
            let (kiosk, world) = (app.kiosk().await, &app.world);
            let [first, second] =
                [app.door(&app.cathay, "sfo-lounge").await, app.door(&app.cathay, "sfo-lounge").await];
            let [at_once, late] = [granted(&kiosk).await.text_of("token"), granted(&kiosk).await.text_of("token")];
            let online = json!({"token": at_once, "door": "A", "attempt": "x"});
            first.post("/v1/tokens/redeem", &online).await.is(200);
            let at = "2012-05-08T19:00:00Z";
            let items = [item(&at_once, "x", at), item(&late, "y", at)];
            world.pass(60);
            let told = report(&first, &items).await;
            assert_eq!(report(&second, &items).await, told);
            let read = |token: &str, attempt: &str| Ok(LateItem::read(token.to_owned(), "A", attempt, at).unwrap());
            let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
            let by_file = vec![read(&at_once, "x"), read(&late, "y")];
            let by_file = world.gateway.redeemer.redeem_late(None, &app.cathay, by_file, deadline).await.unwrap();
            assert!(by_file.iter().all(|it| matches!(it, LateOutcome::Recorded(_))));
            assert_eq!(app.footprint().await.redemptions, 2, "{rule}");
            assert_eq!(billed(&app).await["totals"]["visits"], 2);
            assert_eq!(findings(world), [""; 0]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_handed_in_counts_for_the_place_of_the_grant() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let key = perkgate::access::NewKey::of(perkgate::access::Role::Kiosk, Some(app.cathay.id.clone()), "test");
        let kiosk = app.client(perkgate::access::NewKey { location: Some("SFO-A".into()), ..key }).await;
        let token = granted(&kiosk).await.text_of("token");
        let item = LateItem::read(token, "A", "1", "2012-05-08T19:00:00Z").unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
        let told = app.world.gateway.redeemer.redeem_late(None, &app.cathay, vec![Ok(item)], deadline).await.unwrap();
        assert!(matches!(told[0], LateOutcome::Recorded(_)));
        let auditor = app.auditor(&app.cathay).await;
        let events = auditor.get("/v1/audit/events?kind=token.redeemed_offline").await.is(200);
        assert_eq!(events["events"][0]["facts"]["location"], "SFO-A", "{events}");
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_a_sentence_that_says_what_to_do_and_points_into_the_report() {
    let settings = [("rate_per_key", "20")];
    for app in TestApp::all_with(&settings).await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let kiosk = app.kiosk().await;
        let token = granted(&kiosk).await.text_of("token");
        app.world.pass(3600);
        let items = [
            item(&token, "1", "2012-05-08T21:00:00Z"),
            item(&token, "1", "2012-05-04T19:00:00Z"),
            item(&token, "1", "2012-05-08T19:30:00Z"),
            item(&token, "1", "2012-05-08T18:00:00Z"),
            item("a.b.c", "1", "2012-05-08T19:00:00Z"),
            json!("token"),
            json!({"token": token, "door": "A", "attempt": "1", "at": "x"}),
        ];
        let told = report(&kiosk, &items).await;
        for result in &told {
            let detail = result["detail"].as_str().unwrap();
            let first = detail.chars().next().unwrap();
            assert!(detail.ends_with('.') && !detail.ends_with("..") && !detail.starts_with(": "), "{detail}");
            assert!(first.is_uppercase() || first == '/', "{detail}");
        }
        assert!(told[0]["detail"].as_str().unwrap().contains("set the door's clock right"));
        assert!(told[1]["detail"].as_str().unwrap().contains("settle this visit by hand"));
        let many = vec![item(&token, "1", "2012-05-08T19:00:00Z"); 100];
        let refused = kiosk.post("/v1/tokens/redeem/late", &json!({"items": many})).await;
        assert_eq!(refused.spot(422, "invalid_request"), ("/items".to_owned(), "too_many".to_owned()));
    }
}
