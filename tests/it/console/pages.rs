//! Every page: who sees it, what stands in its head, and what a foreign or unknown thing is answered.

use perkgate::access::Role;
use reqwest::Method;

use super::browser::Browser;
use crate::support::app::TestApp;

const RULE: &str = r#"{"at_least":40,"score":"klout"}"#;
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'; manifest-src 'self'; worker-src 'self'";

/// Every page and the roles that see it.
const PAGES: [(&str, &[Role]); 37] = [
    ("/console/today", &[Role::Admin, Role::Auditor]),
    ("/console/today?perk=sfo-lounge", &[Role::Admin, Role::Auditor]),
    ("/console/waiting", &[Role::Admin]),
    ("/console/waiting?kind=contest", &[Role::Admin]),
    ("/console/log", &[Role::Admin, Role::Auditor]),
    ("/console/log?kind=key.created&from=2012-05-01&perk=", &[Role::Admin, Role::Auditor]),
    ("/console/verify", &[Role::Admin, Role::Auditor]),
    ("/console/reports/grants", &[Role::Admin, Role::Auditor]),
    ("/console/reports/billing?by=day", &[Role::Admin, Role::Auditor]),
    ("/console/reports/fairness", &[Role::Admin, Role::Auditor]),
    ("/console/account/code", &[Role::Admin, Role::Auditor, Role::Operator]),
    ("/console/keys", &[Role::Admin, Role::Operator]),
    ("/console/keys/new", &[Role::Admin, Role::Operator]),
    ("/console/devices", &[Role::Admin]),
    ("/console/account", &[Role::Admin, Role::Auditor, Role::Operator]),
    ("/console/perks", &[Role::Admin]),
    ("/console/perks/sfo-lounge", &[Role::Admin]),
    ("/console/new-perk", &[Role::Admin]),
    ("/console/perks/sfo-lounge/picture", &[Role::Admin]),
    ("/console/perks/sfo-lounge/rule", &[Role::Admin]),
    ("/console/perks/sfo-lounge/close", &[Role::Admin]),
    ("/console/perks/sfo-lounge/backtest", &[Role::Admin]),
    ("/console/perks/sfo-lounge/everyone", &[Role::Admin]),
    ("/console/perks/sfo-lounge/rule.json", &[Role::Admin]),
    ("/console/perks/sfo-lounge/try", &[Role::Admin]),
    ("/console/perks/sfo-lounge/versions/1", &[Role::Admin]),
    ("/console/merchants", &[Role::Operator]),
    ("/console/merchants/new", &[Role::Operator]),
    ("/console/merchants/cathay", &[Role::Operator]),
    ("/console/health", &[Role::Operator]),
    ("/console/accounts", &[Role::Admin, Role::Operator]),
    ("/console/accounts/new", &[Role::Admin, Role::Operator]),
    ("/console/clerks", &[Role::Admin]),
    ("/console/settings", &[Role::Admin]),
    ("/console/sources", &[Role::Admin]),
    ("/console/members", &[Role::Admin]),
    ("/console/settings/privacy", &[Role::Admin]),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_role_sees_its_own_pages() {
    for app in TestApp::all().await {
        app.lounge(RULE, "50").await;
        for role in [Role::Admin, Role::Auditor, Role::Operator] {
            let browser = Browser::logged_in(&app, role, &format!("{role}@cathay.example")).await;
            for (path, roles) in PAGES {
                let reply = browser.open(path).await;
                assert_eq!(
                    reply.status,
                    if roles.contains(&role) { 200 } else { 403 },
                    "{role} {path}: {}",
                    reply.text
                );
                assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
                assert!(reply.text.contains("<h1>") && reply.text.contains("· perkgate</title>"), "{}", reply.text);
            }
            let home = browser.open("/console").await;
            assert_eq!(home.status, 303);
            assert_eq!(browser.open(home.header("location")).await.status, 200, "{role} has somewhere to begin");
            let page = browser.open("/console/account").await.into_text();
            for (path, words) in
                [("/console/perks", "Perks"), ("/console/keys", "Keys"), ("/console/merchants", "Merchants")]
            {
                let sees = PAGES.iter().any(|(page, roles)| *page == path && roles.contains(&role));
                assert_eq!(page.contains(&format!(">{words}</a>")), sees, "{role} {words}: {page}");
            }
        }
        let stranger = Browser::new(&app);
        for (path, _) in PAGES.iter().chain(&[("/console/nothing", &[][..])]) {
            let reply = stranger.open(path).await;
            assert_eq!((reply.status, reply.text.as_str()), (303, ""), "{path}");
            assert!(reply.header("location").starts_with("/console/login?return=/console/"), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_headers_that_keep_others_out() {
    let app = TestApp::start(&[]).await;
    app.lounge(RULE, "50").await;
    let admin = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
    let paths = PAGES.iter().map(|(path, _)| *path).chain([
        "/console/login",
        "/console/nothing",
        "/console",
        "/console/links/x",
        "/console/openid/return?code=x",
    ]);
    for path in paths {
        for browser in [&admin, &Browser::new(&app)] {
            let reply = browser.open(path).await;
            assert_eq!(reply.header("content-security-policy"), POLICY, "{path}");
            assert_eq!(reply.header("x-content-type-options"), "nosniff");
            assert_eq!(reply.header("referrer-policy"), "same-origin");
            assert_eq!(reply.header("x-frame-options"), "DENY");
            assert_eq!(reply.header("cache-control"), "no-store");
            assert!(!reply.header("x-request-id").is_empty());
        }
    }
    let head = admin.ask(Method::HEAD, "/console/perks", &[]).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_and_unknown_things_are_the_same_page() {
    for app in TestApp::all().await {
        app.lounge(RULE, "50").await;
        let american = Browser::logged_in_at(&app, Some(&app.american), Role::Admin, "jo@american.example").await;
        let plain = |reply: &crate::support::client::Reply| reply.text.replace(reply.header("x-request-id"), "req");
        let unknown = american.open("/console/perks/no-such-perk").await;
        assert_eq!(unknown.status, 404);
        assert!(
            unknown.text.contains("There is nothing here") && !unknown.text.contains("no-such-perk"),
            "{}",
            unknown.text
        );
        for foreign in [
            "/console/perks/sfo-lounge",
            "/console/perks/sfo-lounge/versions/1",
            "/console/perks/sfo-lounge/picture",
            "/console/perks/sfo-lounge/picture.json",
            "/console/perks/sfo-lounge/rule",
            "/console/perks/sfo-lounge/close",
            "/console/perks/sfo-lounge/backtest",
            "/console/perks/sfo-lounge/everyone",
            "/console/perks/sfo-lounge/versions/1/rollback",
            "/console/perks/sfo-lounge/rule.json",
            "/console/perks/sfo-lounge/try",
            "/console/today?perk=sfo-lounge",
            "/console/today?perk=no-such-perk",
            "/console/today/events?perk=sfo-lounge",
            "/console/checks/chk_00000000000070008000000000000001",
            "/console/checks/nothing",
            "/console/perks/Not%20A%20Slug",
            "/console/nothing/at/all",
        ] {
            let reply = american.open(foreign).await;
            assert_eq!((reply.status, plain(&reply)), (404, plain(&unknown)), "{foreign}");
        }
        let list = american.open("/console/perks").await.into_text();
        assert!(list.contains("Who may come in?") && !list.contains("sfo-lounge"), "{list}");
        let token = american.form_token().await;
        let mut american = american;
        let fields = [("form_token", token.as_str()), ("etag", "x")];
        let step = american.send("/console/perks/sfo-lounge/versions/1/rollback", &fields).await;
        assert_eq!(step.status, 404, "{}", step.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_can_not_be_read_is_a_page_too() {
    let app = TestApp::start(&[]).await;
    let browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
    for (path, status) in [
        ("/console/log?cursor=made-up", 422),
        ("/console/waiting?kind=nothing", 422),
        ("/console/today?perk=A%20B", 422),
        ("/console/today/events?perk=x&from=-1", 422),
        ("/console/perks?nothing=1", 422),
        ("/console/perks?q=%00", 422),
        ("/console/perks?cursor=A%20B", 422),
    ] {
        let reply = browser.open(path).await;
        assert_eq!(reply.status, status, "{path}");
        assert!(reply.header("content-type").starts_with("text/html") && reply.text.contains("req_"), "{}", reply.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_takes_no_cookie() {
    let app = TestApp::start(&[]).await;
    let browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
    browser.open("/v1/perks").await.problem(401, "missing_key");
    let document = app.anonymous().get("/openapi.json").await.into_text();
    assert!(!document.contains("/console"), "the document describes the API alone");
}
