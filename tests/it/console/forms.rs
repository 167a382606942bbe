//! Forms are taken from our own pages only, and with the token of the session that sends them.

use perkgate::access::Role;
use reqwest::Method;

use super::browser::Browser;
use crate::support::app::TestApp;

/// Every form but the log-in and links, which nobody's session sends.
const FORMS: [&str; 37] = [
    "/console/waiting/cases/chk_00000000000070008000000000000001",
    "/console/waiting/requests/srq_00000000000070008000000000000001",
    "/console/verify",
    "/console/account/code",
    "/console/account/code/remove",
    "/console/account/code/renew",
    "/console/accounts/new",
    "/console/accounts/key_00000000000070008000000000000001/suspend",
    "/console/accounts/key_00000000000070008000000000000001/end",
    "/console/accounts/key_00000000000070008000000000000001/subject",
    "/console/clerks",
    "/console/clerks/key_00000000000070008000000000000001/end",
    "/console/clerks/key_00000000000070008000000000000001/pin",
    "/console/settings",
    "/console/sources",
    "/console/members",
    "/console/keys/new",
    "/console/devices",
    "/console/devices/key_00000000000070008000000000000001/confirm",
    "/console/devices/key_00000000000070008000000000000001/remove",
    "/console/keys/key_00000000000070008000000000000001/revoke",
    "/console/logout",
    "/console/account/password",
    "/console/account/sessions/end",
    "/console/perks/sfo-lounge/versions/1/publish",
    "/console/new-perk",
    "/console/perks/sfo-lounge/picture",
    "/console/perks/sfo-lounge/picture/redraw",
    "/console/perks/sfo-lounge/rule",
    "/console/perks/sfo-lounge/rule/check",
    "/console/perks/sfo-lounge/close",
    "/console/perks/sfo-lounge/close/clo_019abf3e5c1f7d0a8e4b2f6c1d3a5b70/open",
    "/console/perks/sfo-lounge/status",
    "/console/perks/sfo-lounge/backtest",
    "/console/perks/sfo-lounge/everyone",
    "/console/perks/sfo-lounge/rule.json",
    "/console/perks/sfo-lounge/try",
];

const OWN: [(&str, &str); 1] = [("sec-fetch-site", "same-origin")];

#[tokio::test(flavor = "multi_thread")]
async fn a_form_without_its_token_does_nothing() {
    let app = TestApp::start(&[]).await;
    app.lounge(r#"{"at_least":40,"score":"klout"}"#, "50").await;
    let mut browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
    let other = Browser::logged_in(&app, Role::Admin, "rafael@cathay.example").await;
    let (own, foreign) = (browser.form_token().await, other.form_token().await);
    assert_ne!(own, foreign);
    let before = app.footprint().await;
    for form in FORMS {
        for token in [None, Some(""), Some("0"), Some(foreign.as_str())] {
            let fields: Vec<_> = token.map(|token| ("form_token", token)).into_iter().chain([("etag", "x")]).collect();
            let reply = browser.send_from(form, &fields, &OWN).await;
            assert_eq!(reply.status, 403, "{form} {token:?}");
            assert!(reply.text.contains("made for another session"), "{}", reply.text);
        }
    }
    assert_eq!(app.footprint().await, before);
    assert_eq!(browser.open("/console/perks").await.status, 200, "nobody was logged out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_from_a_foreign_page_does_nothing() {
    let app = TestApp::start(&[]).await;
    let mut browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
    let token = browser.form_token().await;
    let own = format!("http://{}", app.address);
    for headers in [
        &[][..],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site"), ("origin", own.as_str())],
        &[("sec-fetch-site", "same-origin"), ("origin", "http://127.0.0.1:1")],
    ] {
        for form in FORMS.iter().chain(&["/console/login"]) {
            let reply =
                browser.send_from(form, &[("form_token", &token), ("account", "a"), ("password", "b")], headers).await;
            assert_eq!(reply.status, 403, "{form} {headers:?}");
            assert!(reply.text.contains("from a page that is not ours"), "{}", reply.text);
        }
    }
    let reply = browser.send_from("/console/logout", &[("form_token", &token)], &[("origin", &own)]).await;
    assert_eq!(reply.status, 303, "an older browser says where it comes from by its origin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_no_form_and_a_form_no_page() {
    let app = TestApp::start(&[]).await;
    let browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
    for form in ["/console/account/password", "/console/account/sessions/end"] {
        let reply = browser.ask(Method::GET, form, &[]).await;
        assert!(matches!(reply.status, 404 | 405), "{form} {}", reply.status);
        assert!(reply.header("content-type").starts_with("text/html"));
    }
    for method in [Method::PUT, Method::DELETE, Method::PATCH] {
        let reply = browser.ask(method, "/console/perks", &OWN).await;
        assert!(matches!(reply.status, 404 | 405), "{}", reply.status);
    }
}
