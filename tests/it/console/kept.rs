//! Forms that come after their session has ended: not done, not lost, and sent only when their person says so.

use diesel::prelude::*;
use perkgate::access::Role;
use perkgate::database::DatabaseError;
use perkgate::ledger::LedgerError;

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
        assert!(!late.text.contains("type=\"password\""), "a password is never sent with it: {}", late.text);
        assert!(!late.text.contains("<script>alert"), "{}", late.text);
        let proof = hidden(&late.text, "form_token");
        let still = browser.send("/console/keys/new", &fields(&proof, label)).await;
        assert_eq!(
            (still.status, hidden(&still.text, "form_token")),
            (401, proof.clone()),
            "they have not logged in yet"
        );

        // In another tab: the answer to the password is the way to another page, so that nothing sends it twice.
        let logged_in = browser.send("/console/login", &[("account", MEI), ("password", PASSWORD)]).await;
        assert_eq!((logged_in.status, logged_in.header("location")), (303, "/console"), "{}", logged_in.text);
        let shown = browser.send("/console/keys/new", &fields(&proof, label)).await;
        assert!(
            shown.text.contains("What you typed is still here") && shown.text.contains("The books"),
            "{}",
            shown.text
        );
        assert!(!shown.text.contains("<script>alert"), "{}", shown.text);
        let list = browser.open("/console/keys").await.into_text();
        assert!(!list.contains("The books"), "nothing is done before they say so: {list}");

        let fresh = hidden(&shown.text, "form_token");
        assert!(fresh != token && fresh != proof, "{fresh}");
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
async fn what_one_person_typed_is_shown_to_no_other() {
    for app in TestApp::all().await {
        let mut browser = Browser::logged_in(&app, Role::Admin, MEI).await;
        let hers = browser.form_token().await;
        app.world.pass(31 * 60);
        let late = browser.send("/console/keys/new", &fields(&hers, "The till")).await;
        let proof = hidden(&late.text, "form_token");
        // Someone else logs in on the same machine, and finds her tab.
        let mut bo = Browser::logged_in(&app, Role::Admin, "bo@cathay.example").await;
        let his = bo.form_token().await;
        let half = |token: &str| token.split_once('.').unwrap().0.to_owned();
        let forged = format!("{}.{}", half(&his), proof.trim_start_matches('.'));
        for token in [&hers, &proof, &forged] {
            let refused = bo.send("/console/keys/new", &fields(token, "The till")).await;
            assert_eq!(refused.status, 403, "{}", refused.text);
            assert!(!refused.text.contains("The till") && !refused.text.contains("still here"), "{}", refused.text);
        }
        let keys = bo.open("/console/keys").await.into_text();
        assert!(!keys.contains("The till"), "{keys}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_nothing_that_decides_about_someone_is_kept() {
    let app = TestApp::start(&[]).await;
    let mut browser = Browser::logged_in(&app, Role::Admin, MEI).await;
    let token = browser.form_token().await;
    app.world.pass(31 * 60);
    let secret = "an old horse of another colour";
    let change = [("form_token", token.as_str()), ("old", secret), ("password", secret), ("again", secret)];
    let decision = [("form_token", token.as_str()), ("decision", "grant"), ("note", secret), ("role", "admin")];
    for (at, sent) in [
        ("/console/account/password", &change),
        ("/console/waiting/cases/chk_00000000000070008000000000000001", &decision),
        ("/console/accounts/key_00000000000070008000000000000001/role", &decision),
        ("/console/keys/new", &[("label", secret), ("role", "auditor"), ("location", "SFO"), ("form_token", "x")]),
    ] {
        let late = browser.send(at, sent).await;
        assert_eq!(late.status, 401, "{at}: {}", late.text);
        assert!(!late.text.contains("horse") && !late.text.contains("<form"), "{at}: {}", late.text);
        assert!(late.text.contains("type it once more") && !late.text.contains("Back"), "{at}: {}", late.text);
    }
    let stranger =
        Browser::new(&app).send_from("/console/keys/new", &[("label", "x")], &[("sec-fetch-site", "cross-site")]).await;
    assert!(stranger.status == 403 && !stranger.text.contains("\"label\""), "{}", stranger.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_finds_what_they_typed_in_the_refusal() {
    let app = TestApp::start(&[("rate_per_key", "1")]).await;
    let mut browser = Browser::logged_in(&app, Role::Admin, MEI).await;
    let mut refused = None;
    let token = format!("x.{}", "0".repeat(64));
    for _ in 0..50 {
        let reply = browser.send("/console/keys/new", &fields(&token, "The <i>till")).await;
        if reply.status == 429 {
            refused = Some(reply.text);
            break;
        }
    }
    let page = refused.expect("the fiftieth form of a second is one too many");
    assert!(page.contains("Send it again") && !page.contains("<i>till"), "{page}");
    assert_eq!(hidden(&page, "label"), "The &#60;i&#62;till");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_says_nothing_was_done_has_done_nothing() {
    let app = TestApp::start(&[]).await;
    let mut browser = Browser::logged_in(&app, Role::Admin, MEI).await;
    let token = browser.form_token().await;
    let busy = app.world.gateway.database.write(|conn| {
        // As where another process writes for too long.
        let trigger = "CREATE TRIGGER held BEFORE UPDATE OF name ON merchants \
                       BEGIN SELECT RAISE(ABORT, 'database is locked'); END";
        perkgate::on_either!(conn, |c| diesel::sql_query(trigger).execute(c)).map(drop).map_err(DatabaseError::from)
    });
    busy.await.unwrap();
    let before = app.footprint().await;
    let typed = [("form_token", token.as_str()), ("name", "Cathay <i>x"), ("time_zone", "Asia/Tokyo")];
    let refused = browser.send("/console/settings", &typed).await;
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert_eq!(refused.text.matches("Nothing was done.").count(), 1, "{}", refused.text);
    assert_eq!(hidden(&refused.text, "name"), "Cathay &#60;i&#62;x");
    assert_eq!(app.footprint().await, before);
    assert!(!browser.open("/console/settings").await.into_text().contains("Asia/Tokyo"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_been_done_is_not_sent_again_unseen() {
    // On SQLite, whose writer waits for its disk without a deadline of its own.
    let app = TestApp::start(&[("request_timeout", "5s")]).await;
    let mut browser = Browser::logged_in(&app, Role::Admin, MEI).await;
    let token = browser.form_token().await;
    let (release, waits) = std::sync::mpsc::channel::<()>();
    let (begin, started) = tokio::sync::oneshot::channel();
    let ledger = app.world.gateway.ledger.clone();
    let holding = tokio::spawn(async move {
        let hold = move |_: &mut _, _: &mut Vec<_>| {
            begin.send(()).ok();
            waits.recv().ok();
            Ok::<_, LedgerError>(())
        };
        // Nobody waits for it any more when it is let go.
        drop(ledger.change(hold).await);
    });
    started.await.unwrap();
    let typed = [("form_token", token.as_str()), ("name", "Cathay"), ("time_zone", "Asia/Tokyo")];
    let doubt = browser.send("/console/settings", &typed).await;
    release.send(()).unwrap();
    holding.await.unwrap();
    assert_eq!(doubt.status, 503, "{}", doubt.text);
    assert!(doubt.text.contains("We don’t know whether that was done"), "{}", doubt.text);
    assert!(doubt.text.contains("and look, before you send it once more"), "{}", doubt.text);
    for wrong in ["Idempotency-Key", "Nothing was done", "Send it again"] {
        assert!(!doubt.text.contains(wrong), "{wrong}: {}", doubt.text);
    }
}
