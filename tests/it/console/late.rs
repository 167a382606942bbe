//! A page that takes too long: it is answered with a page all the same, whatever hangs behind it.

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use perkgate::access::Role;
use perkgate::database::Backend;

use super::browser::Browser;
use crate::support::app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_database_hangs_is_answered_with_a_page_in_its_time() {
    for app in TestApp::all_with(&[("request_timeout", "2s")]).await {
        // SQLite has no lock that a reader waits for.
        if app.world.database.backend() != Backend::Postgres {
            continue;
        }
        let browser = Browser::logged_in(&app, Role::Auditor, "mei@cathay.example").await;
        assert_eq!(browser.open("/console/log").await.status, 200);
        // The one holds up the page itself, the other the look at whose session it is.
        for (table, is_known) in [("events", true), ("account_sessions", false)] {
            let mut other = PgConnection::establish(&app.world.database.setting()).unwrap();
            other.batch_execute(&format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")).unwrap();
            let late = browser.open("/console/log").await;
            assert_eq!(late.status, 503, "{table}: {}", late.text);
            assert_eq!(late.header("content-type"), "text/html; charset=utf-8", "{table}: {}", late.text);
            assert!(late.header("content-security-policy").starts_with("default-src 'none'"), "{table}");
            assert!(late.text.contains("<h1>") && late.text.contains("· perkgate</title>"), "{table}: {}", late.text);
            assert_eq!(late.text.contains(">Reports</a>"), is_known, "{table}: {}", late.text);
            other.batch_execute("ROLLBACK").unwrap();
            assert_eq!(browser.open("/console/log").await.status, 200, "{table}: it goes on");
        }
    }
}
