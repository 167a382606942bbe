//! Logging in and out: by password, how often one may be wrong, and where it leads.

use diesel::prelude::*;
use perkgate::access::Role;
use perkgate::database::{DatabaseError, schema};

use super::browser::{Browser, PASSWORD};
use crate::support::app::TestApp;
use crate::support::client::Reply;

const MEI: &str = "mei@cathay.example";

async fn log_in(browser: &mut Browser, account: &str, password: &str) -> Reply {
    browser.send("/console/login", &[("account", account), ("password", password)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_logs_in_and_out() {
    for app in TestApp::all().await {
        Browser::logged_in(&app, Role::Admin, MEI).await;
        let mut browser = Browser::new(&app);
        let page = browser.open("/console/login").await.into_text();
        assert!(page.contains("<h1>Log in</h1>") && !page.contains("cathay"), "no merchant is named before: {page}");

        let asked = browser.open("/console/perks?q=lounge").await;
        assert_eq!(
            (asked.status, asked.header("location")),
            (303, "/console/login?return=/console/perks%3Fq%3Dlounge")
        );
        let fields =
            [("account", " MEI@Cathay.example "), ("password", PASSWORD), ("return", "/console/perks?q=lounge")];
        let reply = browser.send("/console/login", &fields).await;
        assert_eq!((reply.status, reply.header("location")), (303, "/console/perks?q=lounge"));
        let cookie = reply.header("set-cookie");
        assert!(
            cookie.starts_with("perkgate-session=") && cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"),
            "{cookie}"
        );
        assert_eq!(browser.open("/console/perks?q=lounge").await.status, 200);
        assert_eq!(browser.open("/console/login").await.header("location"), "/console");

        let token = browser.form_token().await;
        let held = browser.cookie.clone();
        let reply = browser.send("/console/logout", &[("form_token", &token)]).await;
        assert_eq!((reply.status, reply.header("location")), (303, "/console/login?ended=yes"));
        assert!(reply.header("set-cookie").contains("Max-Age=0"), "{}", reply.header("set-cookie"));
        assert!(browser.open("/console/login?ended=yes").await.into_text().contains("You are logged out."));
        let again = Browser { cookie: held, ..browser };
        assert_eq!(again.open("/console/perks").await.status, 303, "the cookie opens nothing any more");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_not_said_and_too_much_of_it_locks() {
    for app in TestApp::all().await {
        Browser::logged_in(&app, Role::Admin, MEI).await;
        let mut browser = Browser::new(&app);
        let wrong = log_in(&mut browser, MEI, "not my password").await;
        assert_eq!(wrong.status, 422);
        assert!(wrong.text.contains("4 more tries are taken"), "{}", wrong.text);
        assert!(wrong.text.contains(r#"value="mei@cathay.example""#) && !wrong.text.contains("not my password"));
        let unknown = log_in(&mut browser, "nobody@cathay.example", "not my password").await;
        assert_eq!(unknown.text.replace("nobody@", "mei@"), wrong.text, "who has an account is not told");
        for _ in 0..3 {
            assert_eq!(log_in(&mut browser, MEI, "wrong again").await.status, 422);
        }
        let last = log_in(&mut browser, MEI, "wrong again").await;
        assert!(last.text.contains("No more tries are taken"), "{}", last.text);
        let locked = log_in(&mut browser, MEI, PASSWORD).await;
        assert_eq!(locked.status, 429, "with the right password neither");
        assert!(
            locked.text.contains("Too many passwords were wrong.") && locked.text.contains("15 minutes"),
            "{}",
            locked.text
        );
        assert_eq!(locked.header("retry-after"), "900");
        assert_eq!(log_in(&mut browser, "nobody@cathay.example", "x").await.status, 422, "others are not locked");

        app.world.pass(15 * 60);
        assert_eq!(log_in(&mut browser, MEI, PASSWORD).await.status, 303);
        let fresh = log_in(&mut Browser::new(&app), MEI, "wrong").await;
        assert!(fresh.text.contains("4 more tries"), "the count begins again: {}", fresh.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_tries_many_names_is_locked() {
    let app = TestApp::start(&[("rate_failed_keys", "0")]).await;
    let mut browser = Browser::new(&app);
    for nth in 0..50 {
        assert_eq!(log_in(&mut browser, &format!("guess{nth}@cathay.example"), "x").await.status, 422);
    }
    let locked = log_in(&mut browser, "another@cathay.example", "x").await;
    assert_eq!(locked.status, 429);
    assert_eq!(count_attempts(&app).await, 1 + 2 * 50, "a try that is refused leaves no row behind");
    app.world.pass(15 * 60);
    assert_eq!(log_in(&mut browser, "another@cathay.example", "x").await.status, 422);
}

async fn count_attempts(app: &TestApp) -> i64 {
    let read = app
        .world
        .gateway
        .database
        .read(|conn| schema::log_in_attempts::table.count().get_result::<i64>(conn).map_err(DatabaseError::from));
    read.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_tries_is_refused_before_anything_is_written() {
    for app in TestApp::all_with(&[("rate_failed_keys", "1")]).await {
        let tries = (0..40).map(|nth| {
            let app = &app;
            async move { log_in(&mut Browser::new(app), &format!("guess{nth}@cathay.example"), "x").await.status }
        });
        let statuses = futures_util::future::join_all(tries).await;
        let taken = statuses.iter().filter(|status| **status == 422).count();
        assert!(taken < 40 && statuses.iter().all(|status| matches!(status, 422 | 429)), "{statuses:?}");
        assert_eq!(count_attempts(&app).await, 1 + 2 * i64::try_from(taken).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_logged_in_is_not_locked_out_by_who_types_their_name() {
    for app in TestApp::all().await {
        let mut here = Browser::logged_in(&app, Role::Admin, MEI).await;
        for _ in 0..5 {
            assert_eq!(log_in(&mut Browser::new(&app), MEI, "wrong").await.status, 422);
        }
        assert_eq!(log_in(&mut Browser::new(&app), MEI, PASSWORD).await.status, 429);
        let token = here.form_token().await;
        let change = async |here: &mut Browser, old: &str| {
            let new = "something much better";
            let fields = [("form_token", token.as_str()), ("old", old), ("password", new), ("again", new)];
            here.send("/console/account/password", &fields).await
        };
        let wrong = change(&mut here, "wrong").await;
        assert!(wrong.status == 422 && wrong.text.contains("4 more tries are taken"), "{}", wrong.text);
        assert_eq!(change(&mut here, PASSWORD).await.header("location"), "/console/account?changed=yes");
        let token = here.form_token().await;
        for _ in 0..5 {
            let fields =
                [("form_token", token.as_str()), ("old", "wrong"), ("password", PASSWORD), ("again", PASSWORD)];
            assert_eq!(here.send("/console/account/password", &fields).await.status, 422);
        }
        let fields = [
            ("form_token", token.as_str()),
            ("old", "something much better"),
            ("password", PASSWORD),
            ("again", PASSWORD),
        ];
        let locked = here.send("/console/account/password", &fields).await;
        assert!(
            locked.text.contains("Too many passwords were wrong"),
            "a session has a bound of its own: {}",
            locked.text
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tries_at_once_are_no_more_than_one_by_one() {
    for app in TestApp::all().await {
        Browser::logged_in(&app, Role::Admin, MEI).await;
        let tries = (0..12).map(|_| async { log_in(&mut Browser::new(&app), MEI, "wrong").await.status });
        let statuses = futures_util::future::join_all(tries).await;
        assert_eq!(statuses.iter().filter(|status| **status == 422).count(), 5, "{statuses:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_leads_to_our_own_pages_only() {
    let app = TestApp::start(&[]).await;
    Browser::logged_in(&app, Role::Admin, MEI).await;
    for foreign in [
        "https://evil.example/console",
        "//evil.example",
        "/\\evil.example",
        "/console\\@evil.example",
        "/console/\r\nx: y",
        "/v1/perks",
        "javascript:alert(1)",
        "/console/login?return=//evil.example",
    ] {
        let mut browser = Browser::new(&app);
        let fields = [("account", MEI), ("password", PASSWORD), ("return", foreign)];
        let reply = browser.send("/console/login", &fields).await;
        assert_eq!((reply.status, reply.header("location")), (303, "/console"), "{foreign}");
        let page = browser.open("/console/login?return=https%3A%2F%2Fevil.example").await;
        assert_eq!(page.header("location"), "/console");
    }
    let page = Browser::new(&app).open("/console/login?return=https%3A%2F%2Fevil.example").await.into_text();
    assert!(!page.contains("evil"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_session_ends_where_a_new_one_begins() {
    for app in TestApp::all().await {
        let mut browser = Browser::logged_in(&app, Role::Admin, MEI).await;
        let planted = browser.cookie.clone();
        assert_eq!(log_in(&mut browser, MEI, PASSWORD).await.status, 303);
        assert_ne!(browser.cookie, planted, "a log-in gives a new session");
        assert_eq!(browser.open("/console/perks").await.status, 200);
        let holder = Browser { cookie: planted, ..Browser::new(&app) };
        assert_eq!(holder.open("/console/perks").await.status, 303, "who planted the old one has nothing");
        let made_up = Browser { cookie: Some(format!("perkgate-session={}", "a".repeat(43))), ..Browser::new(&app) };
        assert_eq!(made_up.open("/console/perks").await.status, 303);
    }
}
