//! Sessions: how long they last, what ends them, and what a page says to someone whose session has ended.

use perkgate::access::Role;

use super::browser::{Browser, PASSWORD};
use crate::support::app::TestApp;
use crate::support::world::CLI;

const MEI: &str = "mei@cathay.example";

async fn is_in(browser: &Browser) -> bool {
    match browser.open("/console/perks").await.status {
        200 => true,
        303 => false,
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_idle_and_at_last() {
    for app in TestApp::all().await {
        let browser = Browser::logged_in(&app, Role::Admin, MEI).await;
        app.world.pass(29 * 60);
        assert!(is_in(&browser).await);
        app.world.pass(29 * 60);
        assert!(is_in(&browser).await, "its use was noted");
        app.world.pass(30 * 60);
        assert!(!is_in(&browser).await, "nobody used it for half an hour");

        let mut browser = Browser::new(&app);
        browser.send("/console/login", &[("account", MEI), ("password", PASSWORD)]).await;
        for _ in 0..35 {
            app.world.pass(20 * 60);
            assert!(is_in(&browser).await);
        }
        app.world.pass(20 * 60);
        assert!(!is_in(&browser).await, "it is twelve hours old");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_an_account_ends_its_sessions_everywhere() {
    for app in TestApp::all().await {
        let browser = Browser::logged_in(&app, Role::Admin, MEI).await;
        let directory = &app.world.gateway.directory;
        let merchant = Some(app.cathay.id.clone());
        let name = || MEI.parse().unwrap();
        let (_, link) = directory.reset_account(merchant.clone(), name(), CLI).await.unwrap();
        assert!(!is_in(&browser).await, "a reset ends it");
        let mut old = Browser::new(&app);
        let reply = old.send("/console/login", &[("account", MEI), ("password", PASSWORD)]).await;
        assert_eq!(reply.status, 422, "and the old password");
        let fields = [("password", "another good password"), ("again", "another good password")];
        assert_eq!(old.send(&format!("/console/links/{}", link.token.expose()), &fields).await.status, 303);
        assert!(is_in(&old).await);
        directory.disable_account(merchant, name(), CLI).await.unwrap();
        assert!(!is_in(&old).await, "so does its end");
        let again = Browser::logged_in(&app, Role::Auditor, MEI).await;
        assert_eq!(again.open("/console/perks").await.status, 403, "the name is free, and is another account's");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_an_account_that_is_over() {
    for app in TestApp::all().await {
        let browser = Browser::logged_in(&app, Role::Admin, MEI).await;
        let directory = &app.world.gateway.directory;
        let account = directory.find_account(Some(app.cathay.id.clone()), MEI.parse().unwrap()).await.unwrap();
        directory.revoke_key(Some(app.cathay.id.clone()), account.key, CLI).await.unwrap();
        assert!(!is_in(&browser).await);
        assert!(directory.list_accounts(Some(app.cathay.id.clone())).await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_logs_out_everywhere() {
    for app in TestApp::all().await {
        let mut here = Browser::logged_in(&app, Role::Admin, MEI).await;
        let mut there = Browser::new(&app);
        there.send("/console/login", &[("account", MEI), ("password", PASSWORD)]).await;
        let page = here.open("/console/account").await.into_text();
        assert_eq!(page.matches("<td><time").count(), 4, "two sessions, with two times each: {page}");
        assert_eq!(page.matches("this one").count(), 1);
        let token = here.form_token().await;
        let reply = here.send("/console/account/sessions/end", &[("form_token", &token)]).await;
        assert_eq!(reply.header("location"), "/console/login?ended=yes");
        assert!(!is_in(&here).await && !is_in(&there).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_ends_the_other_sessions() {
    for app in TestApp::all().await {
        let mut here = Browser::logged_in(&app, Role::Admin, MEI).await;
        let mut there = Browser::new(&app);
        there.send("/console/login", &[("account", MEI), ("password", PASSWORD)]).await;
        let token = here.form_token().await;
        let change = |old: &'static str, new: &'static str, again: &'static str| {
            vec![
                ("form_token", token.clone()),
                ("old", old.to_owned()),
                ("password", new.to_owned()),
                ("again", again.to_owned()),
            ]
        };
        for (fields, wrong) in [
            (change("wrong", "something much better", "something much better"), "The old password is wrong."),
            (change(PASSWORD, "something much better", "something else"), "not the same"),
            (change(PASSWORD, "short", "short"), "Use at least 12 characters"),
            (change(PASSWORD, "mei@cathay.example", "mei@cathay.example"), "Leave your account’s name out of it"),
        ] {
            let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let reply = here.send("/console/account/password", &fields).await;
            let text = reply.text.replace("&#39;", "’").replace('\'', "’");
            assert!(reply.status == 422 && text.contains(wrong), "{} {text}", reply.status);
        }
        let fields = change(PASSWORD, "something much better", "something much better");
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let reply = here.send("/console/account/password", &fields).await;
        assert_eq!(reply.header("location"), "/console/account?changed=yes", "{}", reply.text);
        assert!(is_in(&here).await && !is_in(&there).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_sent_after_the_end_says_so() {
    let app = TestApp::start(&[]).await;
    let mut browser = Browser::logged_in(&app, Role::Admin, MEI).await;
    let token = browser.form_token().await;
    app.world.pass(31 * 60);
    let reply = browser.send("/console/account/password", &[("form_token", &token)]).await;
    assert_eq!(reply.status, 401);
    assert!(reply.text.contains("Your session has ended") && reply.text.contains("Nothing was done"), "{}", reply.text);
    assert_eq!(reply.header("www-authenticate"), "");
}
