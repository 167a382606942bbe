//! What is changed while someone's password is being hashed: whoever comes later finds it changed.

use diesel::prelude::*;
use perkgate::access::Role;
use perkgate::access::accounts::link::LinkError;
use perkgate::access::accounts::{LogInError, Password, Session};
use perkgate::database::{DatabaseError, schema};

use super::browser::{Browser, PASSWORD, invite};
use crate::support::app::TestApp;
use crate::support::world::CLI;

const MEI: &str = "mei@cathay.example";
const BETTER: &str = "something much better";
const ADDRESS: &str = "192.0.2.7";

fn password(text: &str) -> Password {
    Password::from(text.to_owned())
}

/// An account that is logged in.
async fn logged_in(app: &TestApp) -> Session {
    let (_, link) = invite(app, Some(&app.cathay), Role::Admin, MEI).await;
    let directory = &app.world.gateway.directory;
    let token = directory.take_link(&link.token, Some(password(PASSWORD))).await.unwrap();
    directory.session(&token).await.unwrap().unwrap()
}

async fn reset(app: &TestApp) {
    let directory = &app.world.gateway.directory;
    directory.reset_account(Some(app.cathay.id.clone()), MEI.parse().unwrap(), CLI).await.unwrap();
}

async fn has_password(app: &TestApp) -> bool {
    let directory = &app.world.gateway.directory;
    directory.find_account(Some(app.cathay.id.clone()), MEI.parse().unwrap()).await.unwrap().has_password
}

async fn count_sessions(app: &TestApp) -> i64 {
    let read = app
        .world
        .gateway
        .database
        .read(|conn| schema::account_sessions::table.count().get_result::<i64>(conn).map_err(DatabaseError::from));
    read.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_is_not_undone_by_a_password_that_is_being_changed() {
    for app in TestApp::all().await {
        let session = logged_in(&app).await;
        let directory = &app.world.gateway.directory;
        let change = directory.change_password(&session, password(PASSWORD), None, password(BETTER), ADDRESS);
        let interrupt = async {
            // The old password was right; the new one is being hashed.
            while count_sessions(&app).await < 2 {
                tokio::task::yield_now().await;
            }
            reset(&app).await;
        };
        let (changed, ()) = tokio::join!(change, interrupt);
        assert!(matches!(changed, Err(LogInError::Ended)), "{changed:?}");
        assert!(!has_password(&app).await, "the reset stands");
        assert_eq!(count_sessions(&app).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_in_survives_a_reset() {
    for app in TestApp::all().await {
        logged_in(&app).await;
        let directory = &app.world.gateway.directory;
        let names = (0..4).map(|nth| format!("192.0.2.{nth}")).collect::<Vec<_>>();
        let tries = names.iter().map(|address| directory.log_in(MEI, password(PASSWORD), None, address));
        let interrupt = async {
            while count_sessions(&app).await < 2 {
                tokio::task::yield_now().await;
            }
            reset(&app).await;
        };
        let (tries, ()) = tokio::join!(futures_util::future::join_all(tries), interrupt);
        assert!(tries.iter().any(Result::is_ok), "{tries:?}");
        assert_eq!(count_sessions(&app).await, 0, "{tries:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_runs_out_during_the_hashing_sets_no_password() {
    for app in TestApp::all().await {
        let (_, link) = invite(&app, Some(&app.cathay), Role::Admin, MEI).await;
        let taken = app.world.gateway.directory.take_link(&link.token, Some(password(PASSWORD)));
        let (taken, ()) = tokio::join!(taken, async { app.world.pass(60 * 60) });
        assert!(matches!(taken, Err(LinkError::Unknown)), "{taken:?}");
        assert!(!has_password(&app).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_try_without_an_answer_is_not_counted() {
    for app in TestApp::all_with(&[("rate_failed_keys", "0")]).await {
        Browser::logged_in(&app, Role::Admin, MEI).await;
        let rename = async |from: &'static str, to: &'static str| {
            let statement = format!("ALTER TABLE {from} RENAME TO {to}");
            let renamed = app.world.gateway.database.write(move |conn| {
                perkgate::on_either!(conn, |c| diesel::sql_query(statement.as_str()).execute(c))
                    .map_err(DatabaseError::from)
            });
            renamed.await.unwrap();
        };
        let mut browser = Browser::new(&app);
        rename("account_sessions", "account_sessions_away").await;
        for _ in 0..6 {
            let reply = browser.send("/console/login", &[("account", MEI), ("password", PASSWORD)]).await;
            assert!(reply.status >= 500, "{} {}", reply.status, reply.text);
        }
        rename("account_sessions_away", "account_sessions").await;
        let wrong = browser.send("/console/login", &[("account", MEI), ("password", "wrong")]).await;
        assert!(wrong.text.contains("4 more tries are taken"), "{}", wrong.text);
    }
}
