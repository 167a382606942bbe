//! Accounts and their links: each opens once and for an hour, and what an account does stands in the log under its key.

use perkgate::access::{AccessError, NewKey, Role};
use perkgate::audit::Request;
use perkgate::foundation::entropy::Entropy;
use perkgate::ledger::entry::Actor;

use super::browser::{Browser, PASSWORD, hidden, invite};
use crate::support::app::TestApp;
use crate::support::world::CLI;

const MEI: &str = "mei@cathay.example";

#[tokio::test(flavor = "multi_thread")]
async fn a_link_opens_once_and_looking_does_not_use_it() {
    for app in TestApp::all().await {
        let (_, link) = invite(&app, Some(&app.cathay), Role::Admin, MEI).await;
        let at = format!("/console/links/{}", link.token.expose());
        let mut browser = Browser::new(&app);
        for _ in 0..2 {
            let page = browser.open(&at).await.into_text();
            assert!(page.contains("<h1>Choose a password</h1>") && page.contains(MEI), "{page}");
        }
        for (fields, wrong) in [
            (vec![("password", "short"), ("again", "short")], "at least 12 characters"),
            (vec![("password", PASSWORD), ("again", "another one altogether")], "not the same"),
            (vec![], "Choose a password, and type it twice."),
        ] {
            let reply = browser.send(&at, &fields).await;
            assert!(reply.status == 422 && reply.text.contains(wrong), "{} {}", reply.status, reply.text);
        }
        let good = [("password", PASSWORD), ("again", PASSWORD)];
        let tries = (0..3).map(|_| async { Browser::new(&app).send(&at, &good).await.status });
        let both = futures_util::future::join_all(tries).await;
        assert_eq!(both.iter().filter(|status| **status == 303).count(), 1, "{both:?}");
        for path in [at.as_str(), "/console/links/x", &format!("/console/links/{}", "a".repeat(43))] {
            let over = browser.open(path).await;
            assert!(over.status == 404 && over.text.contains("This link is over"), "{}", over.text);
            assert_eq!(browser.send(path, &good).await.status, 404);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_lasts_an_hour_and_the_newest_counts() {
    for app in TestApp::all().await {
        let (account, first) = invite(&app, Some(&app.cathay), Role::Admin, MEI).await;
        let directory = &app.world.gateway.directory;
        let (_, second) = directory.reset_account(account.merchant.clone(), account.name.clone(), CLI).await.unwrap();
        let browser = Browser::new(&app);
        let open = async |token: &str| browser.open(&format!("/console/links/{token}")).await.status;
        assert_eq!(open(first.token.expose()).await, 404);
        app.world.pass(59 * 60);
        assert_eq!(open(second.token.expose()).await, 200);
        app.world.pass(60);
        assert_eq!(open(second.token.expose()).await, 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_link_asks_for_no_password() {
    let app = TestApp::start(&[]).await;
    let (account, _) = invite(&app, Some(&app.cathay), Role::Admin, MEI).await;
    let directory = &app.world.gateway.directory;
    let (_, link) = directory.create_log_in_link(account.merchant.clone(), account.name.clone(), CLI).await.unwrap();
    let mut browser = Browser::new(&app);
    let at = format!("/console/links/{}", link.token.expose());
    assert!(browser.open(&at).await.into_text().contains("This link logs you in once"));
    assert_eq!(browser.send(&at, &[]).await.status, 303);
    assert_eq!(browser.open("/console/perks").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_unique_and_only_people_have_them() {
    for app in TestApp::all().await {
        invite(&app, Some(&app.cathay), Role::Admin, MEI).await;
        let directory = &app.world.gateway.directory;
        let new = |name: &str, role: Role| perkgate::access::accounts::NewAccount {
            name: name.parse().unwrap(),
            role,
            merchant: Some(app.american.id.clone()),
            label: None,
        };
        let taken = directory.create_account(new("MEI@cathay.example", Role::Admin), CLI).await;
        assert!(matches!(taken, Err(AccessError::AccountExists(_))), "{taken:?}");
        for role in [Role::Kiosk, Role::Door, Role::Feeder, Role::Desk, Role::Operator] {
            let refused = directory.create_account(new("other", role), CLI).await;
            assert!(matches!(refused, Err(AccessError::Unfit(_))), "{role}");
        }
        let foreign = directory.find_account(Some(app.american.id.clone()), MEI.parse().unwrap()).await;
        assert!(matches!(foreign, Err(AccessError::UnknownAccount)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_account_does_stands_in_the_log_under_its_key() {
    for app in TestApp::all().await {
        app.lounge(r#"{"at_least":40,"score":"klout"}"#, "50").await;
        let admin = app.admin(&app.cathay).await;
        let body = serde_json::json!({"rule": {"at_least": 45, "score": "klout"}, "publish": false});
        admin.post("/v1/perks/sfo-lounge/versions", &body).await.is(201);
        let mut browser = Browser::logged_in(&app, Role::Admin, MEI).await;
        let at = "/console/perks/sfo-lounge/versions/2";
        let page = browser.open(at).await.into_text();
        assert!(page.contains("<del>at least 40</del>") && page.contains("<ins>at least 45</ins>"), "{page}");
        let (token, etag) = (hidden(&page, "form_token"), hidden(&page, "etag"));
        let stale = browser.send(&format!("{at}/publish"), &[("form_token", &token), ("etag", "another")]).await;
        assert_eq!(stale.status, 412, "{}", stale.text);
        let fields = [("form_token", token.as_str()), ("etag", etag.as_str()), ("note", "It was too full.")];
        let reply = browser.send(&format!("{at}/publish"), &fields).await;
        assert_eq!((reply.status, reply.header("location")), (303, at), "{}", reply.text);
        assert!(browser.open(at).await.into_text().contains("decides"));

        let directory = &app.world.gateway.directory;
        let account = directory.find_account(Some(app.cathay.id.clone()), MEI.parse().unwrap()).await.unwrap();
        let auditor = app.auditor(&app.cathay).await;
        let events = auditor.get("/v1/audit/events?kind=rule.published").await.is(200);
        assert!(events.to_string().contains(account.key.as_str()), "{events}");
        let report =
            perkgate::audit::verify(&app.world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
        let findings: Vec<String> = report.unwrap().findings.listed().iter().map(ToString::to_string).collect();
        assert_eq!(findings, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wrote_under_another_key_of_theirs_is_the_author_too() {
    for app in TestApp::all().await {
        app.lounge(r#"{"at_least":40,"score":"klout"}"#, "50").await;
        let browser = Browser::logged_in(&app, Role::Admin, MEI).await;
        let directory = &app.world.gateway.directory;
        let account = directory.find_account(Some(app.cathay.id.clone()), MEI.parse().unwrap()).await.unwrap();
        let mei = Actor { key: Some(account.key), role: "admin" };
        let (_, secret) =
            directory.create_key(NewKey::of(Role::Admin, Some(app.cathay.id.clone()), "Mei's"), mei).await.unwrap();
        let hers = app.bearing(Some(format!("Bearer {}", secret.expose())));
        let body = serde_json::json!({"rule": {"at_least": 45, "score": "klout"}, "publish": false});
        hers.post("/v1/perks/sfo-lounge/versions", &body).await.is(201);
        app.world.gateway.catalog.set_four_eyes(&app.cathay.id, CLI, true).await.unwrap();
        hers.post("/v1/perks/sfo-lounge/versions/2/submit", &serde_json::json!({})).await.is(200);
        let page = browser.open("/console/perks/sfo-lounge/versions/2").await.into_text();
        assert!(page.contains("You wrote on it") && !page.contains("/versions/2/approve"), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_stands_in_the_log_and_leaves_the_keys_that_were_made() {
    for app in TestApp::all().await {
        Browser::logged_in(&app, Role::Admin, MEI).await;
        let (directory, cathay) = (&app.world.gateway.directory, Some(app.cathay.id.clone()));
        let account = directory.find_account(cathay.clone(), MEI.parse().unwrap()).await.unwrap();
        let mei = || Actor { key: Some(account.key.clone()), role: "admin" };
        let [one, other] = ["one", "other"].map(|label| NewKey::of(Role::Auditor, cathay.clone(), label));
        let (kept, _) = directory.create_key(one, mei()).await.unwrap();
        let (ended, _) = directory.create_key(other, mei()).await.unwrap();
        directory.revoke_key(cathay.clone(), ended.id, mei()).await.unwrap();
        directory.create_log_in_link(cathay.clone(), account.name.clone(), CLI).await.unwrap();
        let (account, _) = directory.reset_account(cathay, account.name, CLI).await.unwrap();
        assert!(!account.has_password && !account.has_code);
        let made = directory.list_keys_made_by(&account).await.unwrap();
        assert_eq!(made.iter().map(|key| &key.id).collect::<Vec<_>>(), [&kept.id]);
        let told = app.auditor(&app.cathay).await.get("/v1/audit/events?kind=account.reset").await.is(200);
        let events = told["events"].as_array().unwrap();
        assert!(events.len() == 1 && told.to_string().contains(account.key.as_str()), "{told}");
        let report =
            perkgate::audit::verify(&app.world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
        let findings: Vec<String> = report.unwrap().findings.listed().iter().map(ToString::to_string).collect();
        assert_eq!(findings, [""; 0]);
    }
}
