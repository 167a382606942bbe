//! Forms that come after their session has ended: not done, not lost, and sent only when their person says so.

use perkgate::access::Role;

use super::browser::{Browser, PASSWORD, hidden};
use crate::support::app::TestApp;

const MEI: &str = "mei@cathay.example";
const ONCE: &str = "0123456789abcdef0123456789abcdef";

fn fields<'a>(token: &'a str, label: &'a str) -> [(&'a str, &'a str); 4] {
    [("form_token", token), ("role", "auditor"), ("label", label), ("once", ONCE)]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_typed_is_shown_again_after_the_log_in() {
    for app in TestApp::all().await {
        let mut browser = Browser::logged_in(&app, Role::Admin, MEI).await;
        let token = browser.form_token().await;
        app.world.pass(31 * 60);
        let label = "The books \"<script>alert(1)</script>& more";
        let late = browser.send("/console/keys/new", &fields(&token, label)).await;
        assert_eq!(late.status, 401, "{}", late.text);
        assert!(late.text.contains("what you typed is not lost") && !late.text.contains(&token), "{}", late.text);
        let unescape = |text: String| text.replace("&#38;", "&").replace("&amp;", "&");
        let (at, kept) = (hidden(&late.text, "kept_at"), unescape(hidden(&late.text, "kept")));
        assert_eq!(at, "/console/keys/new");

        let mut log_in = vec![
            ("account", MEI),
            ("password", "wrong wrong wrong"),
            ("kept_at", at.as_str()),
            ("kept", kept.as_str()),
        ];
        let refused = browser.send("/console/login", &log_in).await;
        assert_eq!(refused.status, 422);
        assert_eq!(unescape(hidden(&refused.text, "kept")), kept, "a wrong password loses nothing");
        log_in[1].1 = PASSWORD;
        let shown = browser.send("/console/login", &log_in).await;
        assert_eq!(shown.status, 200, "{}", shown.text);
        assert!(
            shown.text.contains("What you typed is still here") && shown.text.contains("The books"),
            "{}",
            shown.text
        );
        assert!(!shown.text.contains("<script>alert"), "{}", shown.text);
        let list = browser.open("/console/keys").await.into_text();
        assert!(!list.contains("The books"), "nothing is done before they say so: {list}");

        let fresh = hidden(&shown.text, "form_token");
        assert_ne!(fresh, token);
        let made = browser.send("/console/keys/new", &fields(&fresh, label)).await;
        assert!(made.status == 200 && made.text.contains("pgk_"), "{}", made.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_an_earlier_session_is_shown_again() {
    let app = TestApp::start(&[]).await;
    let mut browser = Browser::logged_in(&app, Role::Admin, MEI).await;
    let stale = browser.form_token().await;
    browser.send("/console/login", &[("account", MEI), ("password", PASSWORD)]).await;
    let reply = browser.send("/console/keys/new", &fields(&stale, "The till")).await;
    assert_eq!(reply.status, 403, "{}", reply.text);
    assert!(reply.text.contains("What you typed is still here") && reply.text.contains("The till"), "{}", reply.text);
    let keys = browser.open("/console/keys").await.into_text();
    assert!(!keys.contains("The till"), "{keys}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_no_foreign_address_is_kept() {
    let app = TestApp::start(&[]).await;
    let mut browser = Browser::logged_in(&app, Role::Admin, MEI).await;
    let token = browser.form_token().await;
    app.world.pass(31 * 60);
    let secret = "an old horse of another colour";
    let change = [("form_token", token.as_str()), ("old", secret), ("password", secret), ("again", secret)];
    let late = browser.send("/console/account/password", &change).await;
    assert!(late.status == 401 && !late.text.contains("horse") && !late.text.contains("kept_at"), "{}", late.text);
    for at in ["https://evil.example/console", "//evil.example", "/v1/keys", "/console/logout", "/console/links/x"] {
        let fields = [("account", MEI), ("password", PASSWORD), ("kept_at", at), ("kept", "label=x")];
        let reply = browser.send("/console/login", &fields).await;
        assert_eq!((reply.status, reply.header("location")), (303, "/console"), "{at}");
    }
    let stranger =
        Browser::new(&app).send_from("/console/keys/new", &[("label", "x")], &[("sec-fetch-site", "cross-site")]).await;
    assert!(stranger.status == 403 && !stranger.text.contains("kept_at"), "{}", stranger.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_finds_what_they_typed_in_the_refusal() {
    let app = TestApp::start(&[("rate_per_key", "1")]).await;
    let mut browser = Browser::logged_in(&app, Role::Admin, MEI).await;
    let mut refused = None;
    for _ in 0..50 {
        let reply = browser.send("/console/keys/new", &fields("", "The <i>till")).await;
        if reply.status == 429 {
            refused = Some(reply.text);
            break;
        }
    }
    let page = refused.expect("the fiftieth form of a second is one too many");
    assert!(page.contains("Send it again") && !page.contains("<i>till"), "{page}");
    assert_eq!(hidden(&page, "label"), "The &#60;i&#62;till");
}
