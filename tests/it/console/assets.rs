//! Styles and scripts: kept for good under their hash, small, and our own.

use perkgate::access::Role;
use reqwest::Method;

use super::browser::Browser;
use crate::support::app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn assets_are_kept_for_good_under_their_hash() {
    let app = TestApp::start(&[]).await;
    let browser = Browser::new(&app);
    let page = browser.open("/console/login").await.into_text();
    let addresses: Vec<&str> = page.split('"').filter(|part| part.starts_with("/console/assets/")).collect();
    assert_eq!(addresses.len(), 3, "{page}");
    for address in addresses {
        let reply = browser.open(address).await;
        assert_eq!(reply.status, 200, "{address}");
        assert_eq!(reply.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(reply.header("vary"), "Accept-Encoding");
        assert!(reply.text.len() <= 40_000, "{address}");
        let tag = reply.header("etag").to_owned();
        let held = browser.ask(Method::GET, address, &[("if-none-match", &tag)]).await;
        assert_eq!((held.status, held.text.as_str()), (304, ""));
        let packed = browser.ask(Method::GET, address, &[("accept-encoding", "gzip")]).await;
        assert_eq!((packed.status, packed.header("content-encoding")), (200, "gzip"));
        let (_, name) = address.rsplit_once('/').unwrap();
        let of_another_build = browser.open(&format!("/console/assets/0000000000000000/{name}")).await;
        assert_eq!((of_another_build.status, of_another_build.header("cache-control")), (200, "no-store"));
    }
    assert_eq!(browser.open("/console/assets/x/..%2Fmod.rs").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_view_is_small_and_loads_nothing_from_elsewhere() {
    let app = TestApp::start(&[]).await;
    app.lounge(r#"{"at_least":40,"score":"klout"}"#, "50").await;
    let browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
    let page = browser.open("/console/perks").await.into_text();
    let mut whole = page.len();
    for address in page.split('"').filter(|part| part.starts_with("/console/assets/")) {
        whole += browser.open(address).await.text.len();
    }
    assert!(whole <= 100_000, "{whole}");
    for part in ["http://", "https://", "style=", "<style", "onclick", "<script>"] {
        let page = page.replace("http://www.w3.org", "");
        assert!(!page.contains(part), "{part} in {page}");
    }
}
