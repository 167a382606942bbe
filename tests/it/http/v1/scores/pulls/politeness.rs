//! Budgets, back-off, the breaker and the lease: no service is asked more than it wants to be.

use perkgate::scores::ScoreError;
use serde_json::{Value, json};

use super::{SETTINGS, declare_score, link, pulled, pulled_by, state};
use crate::support::app::TestApp;
use crate::support::client::Client;
use crate::support::elsewhere::{Elsewhere, Reply};

async fn three_people(admin: &Client, service: &Elsewhere, name: &str, budget: u32) {
    for (subject, account) in [("cx:1", "ada"), ("cx:2", "grace"), ("cx:3", "edith")] {
        link(admin, subject, "x", account).await;
    }
    let url = format!("{}/{{account}}", service.url());
    declare_score(admin, name, json!({"network": "x", "url": url, "value": "/score", "budget": budget})).await;
}

fn good() -> Reply {
    Reply::json(&json!({"score": 40}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_days_budget_is_spent_once_and_those_wait_least_who_waited_longest() {
    let service = Elsewhere::start(|_| good()).await;
    for app in TestApp::all_with(&SETTINGS).await {
        let admin = app.admin(&app.cathay).await;
        three_people(&admin, &service, "thrifty", 2).await;
        let report = pulled(&app, "thrifty").await;
        assert_eq!((report.requests, report.wait), (2, Some("budget_spent")));
        assert_eq!(report.waits_until.unwrap().to_string(), "2012-05-09T00:00:00Z");
        let first = service.targets();
        let now = state(&admin, "thrifty").await;
        assert_eq!((&now["status"], &now["budget_left"]), (&json!("budget_spent"), &json!(0)));
        // Another replica spends no more of it.
        let replica = app.world.replica_with(&SETTINGS).await;
        let report = pulled_by(&replica.pulls, &app, "thrifty").await.unwrap();
        assert_eq!((report.requests, report.wait), (0, Some("budget_spent")));
        // The next day begins with the one who is still to be asked about.
        app.world.pass(5 * 3_600);
        assert_eq!(pulled_by(&replica.pulls, &app, "thrifty").await.unwrap().requests, 1);
        let third = service.targets();
        assert!(third.len() == 1 && !first.contains(&third[0]), "{first:?} {third:?}");
        assert_eq!(state(&admin, "thrifty").await["status"], "ready");
        app.world.pass(86_400);
        assert_eq!(pulled(&app, "thrifty").await.requests, 2);
        assert_eq!(service.targets(), first);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_asks_for_patience_gets_it() {
    let service = Elsewhere::start(|_| good()).await;
    for app in TestApp::all_with(&SETTINGS).await {
        let admin = app.admin(&app.cathay).await;
        let reset = app.world.now().as_second() + 90;
        for (name, reply, seconds) in [
            ("retry-after", Reply::status(429).with("retry-after", 30), 30),
            ("no-word", Reply::status(429), 60),
            ("unavailable", Reply::status(503).with("retry-after", 45), 45),
            ("forbidden", Reply::status(403).with("x-ratelimit-remaining", 0).with("x-ratelimit-reset", reset), 90),
            ("spent", good().with("ratelimit-remaining", 0).with("ratelimit-reset", 20), 20),
            ("backoff", Reply::json(&json!({"score": 40, "backoff": 10})), 10),
        ] {
            three_people(&admin, &service, name, 100).await;
            let limited = reply.clone();
            service.answer(move |_| limited.clone());
            service.asked();
            let report = pulled(&app, name).await;
            assert_eq!((report.requests, report.wait), (1, Some("backing_off")), "{name}");
            let waits = report.waits_until.unwrap().as_second() - app.world.now().as_second();
            assert_eq!(waits, seconds, "{name}");
            let now = state(&admin, name).await;
            assert_eq!(
                (&now["status"], &now["waits_until"]),
                (&json!("backing_off"), &json!(report.waits_until)),
                "{name}"
            );
            // Until then nothing is sent, by nobody.
            service.answer(|_| good());
            assert_eq!((pulled(&app, name).await.requests, service.asked().len()), (0, 1), "{name}");
        }
        app.world.pass(120);
        assert!(pulled(&app, "retry-after").await.scores >= 2);
        service.asked();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_fails_again_and_again_is_let_be_for_ever_longer() {
    let service = Elsewhere::start(|_| Reply::of(200, "text/html", "<h1>Sorry</h1>")).await;
    for app in TestApp::all_with(&SETTINGS).await {
        let admin = app.admin(&app.cathay).await;
        for at in 0..8 {
            link(&admin, &format!("cx:{at}"), "x", &format!("account-{at}")).await;
        }
        let url = format!("{}/{{account}}", service.url());
        declare_score(&admin, "failing", json!({"network": "x", "url": url, "value": "/score"})).await;
        let waits = async || {
            let report = pulled(&app, "failing").await;
            assert_eq!(report.wait, Some("failing"));
            let requests = service.asked().len();
            (requests, report.waits_until.unwrap().as_second() - app.world.now().as_second())
        };
        assert_eq!(waits().await, (5, 60));
        app.world.pass(60);
        // One is enough to see that it fails still.
        assert_eq!(waits().await, (1, 120));
        app.world.pass(120);
        assert_eq!(waits().await, (1, 240));
        assert_eq!(state(&admin, "failing").await["status"], "failing");
        app.world.pass(240);
        service.answer(|_| good());
        assert!(pulled(&app, "failing").await.scores > 0);
        let now: Value = state(&admin, "failing").await;
        assert_eq!(now["status"], "ready");
        service.answer(|_| Reply::of(200, "text/html", "<h1>Sorry</h1>"));
        service.asked();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_replica_at_a_time_fetches_a_source() {
    let service = Elsewhere::start(|_| good()).await;
    for app in TestApp::all_with(&SETTINGS).await {
        let admin = app.admin(&app.cathay).await;
        three_people(&admin, &service, "leased", 100).await;
        let replica = app.world.replica_with(&SETTINGS).await;
        let mut run = app.world.gateway.pulls.pull(&app.cathay.id, &"leased".parse().unwrap()).await.unwrap();
        run.step().await.unwrap();
        let refused = pulled_by(&replica.pulls, &app, "leased").await.unwrap_err();
        assert!(matches!(refused, ScoreError::UnderWay));
        // Left in the middle, the rest is due still.
        run.leave().await.unwrap();
        let report = pulled_by(&replica.pulls, &app, "leased").await.unwrap();
        assert_eq!(report.scores, 2);
        // A run that was held up and overtaken sends nothing more.
        app.world.pass(86_400);
        let mut run = app.world.gateway.pulls.pull(&app.cathay.id, &"leased".parse().unwrap()).await.unwrap();
        expire_leases(&app).await;
        let mut other = replica.pulls.pull(&app.cathay.id, &"leased".parse().unwrap()).await.unwrap();
        service.asked();
        assert!(matches!(run.step().await, Err(ScoreError::UnderWay)));
        assert!(service.asked().is_empty());
        other.step().await.unwrap();
        other.leave().await.unwrap();
    }
}

async fn expire_leases(app: &TestApp) {
    use diesel::RunQueryDsl as _;
    use perkgate::database::{AnyConnection, DatabaseError};
    let expire = |conn: &mut AnyConnection| {
        Ok::<_, DatabaseError>(diesel::sql_query("UPDATE leases SET held_until = 0").execute(conn)?)
    };
    app.world.gateway.database.write(expire).await.unwrap();
}
