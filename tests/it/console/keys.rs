//! Keys: listed, made and shown once, revoked after a question.

use perkgate::access::Role;

use super::browser::{Browser, hidden};
use crate::support::app::TestApp;

const MEI: &str = "mei@cathay.example";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_shown_once_and_revoked() {
    for app in TestApp::all().await {
        app.lounge(r#"{"at_least":40,"score":"klout"}"#, "50").await;
        let mut browser = Browser::logged_in(&app, Role::Admin, MEI).await;
        let token = browser.form_token().await;
        let fields = [
            ("form_token", token.as_str()),
            ("role", "kiosk"),
            ("label", "SFO A12"),
            ("location", "SFO-A"),
            ("expires", "90"),
            ("once", "0123456789abcdef0123456789abcdef"),
        ];
        let made = browser.send("/console/keys/new", &fields).await;
        assert_eq!(made.status, 200, "{}", made.text);
        let secret = made.text.split_once("pgk_").unwrap().1.split_once('<').unwrap().0;
        let kiosk = app.bearing(Some(format!("Bearer pgk_{secret}")));
        let body = serde_json::json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
        assert_eq!(kiosk.post("/v1/checks", &body).await.is(200)["decision"], "granted");
        let page = browser.open("/console/keys").await.into_text();
        assert!(
            page.contains("SFO A12") && page.contains("SFO-A") && page.contains("6 Aug") && !page.contains("pgk_"),
            "{page}"
        );
        assert!(page.contains(r#"<span class="tag">account</span>"#), "{page}");

        let id = kiosk.get("/v1/me").await.text_of("id");
        let question = browser.open(&format!("/console/keys/{id}/revoke")).await.into_text();
        assert!(question.contains("Revoke SFO A12?"), "{question}");
        assert_eq!(kiosk.post("/v1/checks", &body).await.status, 200, "a question revokes nothing");
        let reply = browser.send(&format!("/console/keys/{id}/revoke"), &[("form_token", &token)]).await;
        assert_eq!((reply.status, reply.header("location")), (303, "/console/keys"));
        kiosk.post("/v1/checks", &body).await.problem(401, "revoked_key");
        let question = browser.open(&format!("/console/keys/{id}/revoke")).await.into_text();
        assert!(question.contains("SFO A12 is revoked"), "{question}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_says_at_its_field_what_to_do() {
    let app = TestApp::start(&[]).await;
    let mut browser = Browser::logged_in(&app, Role::Admin, MEI).await;
    let token = browser.form_token().await;
    let before = app.footprint().await;
    for (fields, field, words) in [
        (vec![("label", "x")], "role", "Choose what the key is for."),
        (vec![("role", "operator"), ("label", "x")], "role", "Choose what the key is for."),
        (vec![("role", "kiosk")], "label", "Use 1 to"),
        (vec![("role", "door"), ("label", "x")], "audience", "A door key redeems one audience"),
        (
            vec![("role", "feeder"), ("label", "x"), ("location", "SFO")],
            "location",
            "Kiosk, desk and door keys have a location.",
        ),
    ] {
        let fields: Vec<_> = fields
            .into_iter()
            .chain([("form_token", token.as_str()), ("once", "0123456789abcdef0123456789abcdef")])
            .collect();
        let reply = browser.send("/console/keys/new", &fields).await;
        assert_eq!(reply.status, 422, "{}", reply.text);
        let error = format!(r#"id="{field}-e""#);
        assert!(reply.text.contains(&error) && reply.text.contains(words), "{field}: {}", reply.text);
        assert!(reply.text.contains(&format!(r##"<a href="#{field}">"##)), "{}", reply.text);
    }
    assert_eq!(app.footprint().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_sent_again_makes_no_second_key() {
    for app in TestApp::all().await {
        let mut browser = Browser::logged_in(&app, Role::Admin, MEI).await;
        let page = browser.open("/console/keys/new").await.into_text();
        let (token, once) = (hidden(&page, "form_token"), hidden(&page, "once"));
        let fields = |once: &str, role: &str, label: &str| {
            [("form_token", token.as_str()), ("once", once), ("role", role), ("label", label)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        let send = async |browser: &mut Browser, fields: [(String, String); 4]| {
            let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            browser.send("/console/keys/new", &fields).await
        };
        let refused = send(&mut browser, fields(&once, "door", "The door")).await;
        assert_eq!((refused.status, hidden(&refused.text, "once")), (422, once.clone()), "it may be mended and sent");
        let made = send(&mut browser, fields(&once, "auditor", "The books")).await;
        assert!(made.status == 200 && made.text.contains("pgk_"), "{}", made.text);
        for label in ["The books", "Other books"] {
            let again = send(&mut browser, fields(&once, "auditor", label)).await;
            assert_eq!(again.status, 200, "{}", again.text);
            assert!(again.text.contains("This key was made already") && !again.text.contains("pgk_"), "{}", again.text);
        }
        let other = hidden(&browser.open("/console/keys/new").await.into_text(), "once");
        assert_ne!(other, once);
        assert!(send(&mut browser, fields(&other, "auditor", "The till")).await.text.contains("pgk_"));
        let without = send(&mut browser, fields("", "auditor", "No form")).await;
        assert_eq!(without.status, 400, "{}", without.text);
        let list = browser.open("/console/keys").await.into_text();
        let keys =
            app.world.gateway.directory.list_keys(Some(app.cathay.id.clone()), Some(Role::Auditor), None, 50).await;
        let mut labels: Vec<String> = keys.unwrap().into_iter().map(|key| key.label).collect();
        labels.sort();
        assert_eq!(labels, ["The books", "The till"]);
        assert!(list.contains("The till") && !list.contains("Other books") && !list.contains("No form"), "{list}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_others_are_not_there() {
    for app in TestApp::all().await {
        let mut cathay = Browser::logged_in(&app, Role::Admin, MEI).await;
        let american = app.admin(&app.american).await;
        let foreign = american.get("/v1/me").await.text_of("id");
        let operator = app.operator().await.get("/v1/me").await.text_of("id");
        let token = cathay.form_token().await;
        for id in [foreign.as_str(), &operator, "key_00000000000070008000000000000001", "x"] {
            let at = format!("/console/keys/{id}/revoke");
            assert_eq!(cathay.open(&at).await.status, 404, "{id}");
            assert_eq!(cathay.send(&at, &[("form_token", &token)]).await.status, 404, "{id}");
        }
        assert_eq!(american.get("/v1/perks").await.status, 200);
        let operator = Browser::logged_in(&app, Role::Operator, "ops@gate.example").await;
        let page = operator.open("/console/keys").await.into_text();
        assert!(page.contains("ops") && !page.contains(&foreign), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_that_a_person_acts_under_ends_with_their_account_and_nobody_ends_their_own() {
    for app in TestApp::all().await {
        let mut browser = Browser::logged_in(&app, Role::Admin, MEI).await;
        let bo = Browser::logged_in(&app, Role::Admin, "bo@cathay.example").await;
        let directory = &app.world.gateway.directory;
        let key_of = async |name: &str| {
            directory.find_account(Some(app.cathay.id.clone()), name.parse().unwrap()).await.unwrap().key
        };
        let (own, other) = (key_of(MEI).await, key_of("bo@cathay.example").await);
        let (at, of_bo) = (format!("/console/keys/{own}/revoke"), format!("/console/keys/{other}/revoke"));
        let token = browser.form_token().await;
        for refused in [browser.open(&at).await, browser.send(&at, &[("form_token", &token)]).await] {
            assert!(refused.status == 403 && refused.text.contains("You act under this key"), "{}", refused.text);
        }
        let end = format!("/console/accounts/{other}/end");
        for led in [browser.open(&of_bo).await, browser.send(&of_bo, &[("form_token", &token)]).await] {
            assert_eq!((led.status, led.header("location")), (303, end.as_str()), "{}", led.text);
        }
        assert_eq!((browser.open("/console/keys").await.status, bo.open("/console/keys").await.status), (200, 200));
        let list = browser.open("/console/keys").await.into_text();
        assert!(list.contains(&end) && !list.contains(&at) && !list.contains(&of_bo), "{list}");
        assert!(!list.contains(&format!("/console/accounts/{own}/end")), "{list}");
    }
}
