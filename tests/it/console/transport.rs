//! Plain http is for this machine only; a proxy with TLS has to be trusted.

use perkgate::access::Role;
use reqwest::Method;

use super::browser::{Browser, PASSWORD, encoded};
use crate::support::app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_from_elsewhere_is_refused_with_the_reason() {
    let app = TestApp::start(&[]).await;
    let browser = Browser::new(&app);
    for headers in [
        &[("host", "gate.example")][..],
        &[("host", "gate.example"), ("x-forwarded-proto", "https")],
        &[("x-forwarded-for", "203.0.113.9")],
        &[("x-forwarded-proto", "http")],
    ] {
        for path in ["/console/login", "/console", "/console/assets/x/console.css"] {
            let reply = browser.ask(Method::GET, path, headers).await;
            assert_eq!(reply.status, 403, "{path} {headers:?}");
            assert!(
                reply.text.contains("answered over HTTPS") && reply.text.contains("trusted_proxies"),
                "{}",
                reply.text
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_with_tls_the_cookie_is_secure() {
    let app = TestApp::start(&[("trusted_proxies", "127.0.0.1")]).await;
    Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
    let tls = [("host", "gate.example"), ("x-forwarded-proto", "https"), ("x-forwarded-for", "203.0.113.9")];
    let mut browser = Browser::new(&app);
    assert_eq!(browser.ask(Method::GET, "/console/login", &tls).await.status, 200);
    let sent: Vec<_> = tls.iter().copied().chain([("sec-fetch-site", "same-origin")]).collect();
    let fields = [("account", "mei@cathay.example"), ("password", PASSWORD)];
    let reply = browser.send_from("/console/login", &fields, &sent).await;
    let cookie = reply.header("set-cookie");
    assert!(
        cookie.starts_with("__Host-perkgate=") && cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"),
        "{cookie}"
    );
    assert_eq!(browser.ask(Method::GET, "/console/perks", &tls).await.status, 200);
    assert_eq!(browser.open("/console/perks").await.status, 303, "over plain http it is no session");
    let by_origin: Vec<_> = tls.iter().copied().chain([("origin", "https://gate.example")]).collect();
    assert_eq!(browser.send_from("/console/login", &fields, &by_origin).await.status, 303);
    assert!(encoded(&[("a b", "ü&=")]).starts_with("a%20b="));
}
