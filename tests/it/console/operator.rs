//! The operator's pages: merchants made and opened, their first admin invited, and the health of the gateway.

use perkgate::access::Role;

use super::browser::{Browser, PASSWORD};
use crate::support::app::TestApp;

const OPS: &str = "ops@gate.example";

#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_is_made_and_its_first_admin_gets_in() {
    for app in TestApp::all().await {
        let mut ops = Browser::logged_in(&app, Role::Operator, OPS).await;
        let token = ops.form_token().await;
        let new = |slug: &str, zone: &str| {
            [("form_token", token.as_str()), ("name", "Swiss <b>x"), ("slug", slug), ("time_zone", zone)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        let send = async |ops: &mut Browser, fields: [(String, String); 4]| {
            let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            ops.send("/console/merchants/new", &fields).await
        };
        for (slug, zone, field) in [
            ("cathay", "UTC", "slug"),
            ("Not a slug", "UTC", "slug"),
            ("new", "", "slug"),
            ("swiss", "Mars", "time_zone"),
        ] {
            let refused = send(&mut ops, new(slug, zone)).await;
            assert_eq!(refused.status, 422, "{slug}: {}", refused.text);
            assert!(
                refused.text.contains(&format!("id=\"{field}-e\"")) && !refused.text.contains("<b>x"),
                "{}",
                refused.text
            );
        }
        let made = send(&mut ops, new("swiss", "Europe/Zurich")).await;
        assert_eq!((made.status, made.header("location")), (303, "/console/merchants/swiss"), "{}", made.text);
        let page = ops.open("/console/merchants/swiss").await.into_text();
        assert!(page.contains("Nobody runs it yet") && page.contains("Europe/Zurich"), "{page}");

        let fields = [("form_token", token.as_str()), ("name", "uma@swiss.example")];
        let invited = ops.send("/console/merchants/swiss/admins", &fields).await;
        let link = invited.text.split_once("/console/links/").unwrap().1.split_once('<').unwrap().0.to_owned();
        let mut uma = Browser::new(&app);
        let at = format!("/console/links/{link}");
        assert_eq!(uma.send(&at, &[("password", PASSWORD), ("again", PASSWORD)]).await.status, 303);
        assert_eq!(uma.open("/console/perks").await.status, 200);
        let directory = &app.world.gateway.directory;
        let swiss = directory.find_merchant("swiss".parse().unwrap()).await.unwrap();
        let account = directory.find_account(Some(swiss.id), "uma@swiss.example".parse().unwrap()).await.unwrap();
        let revoke = format!("/console/merchants/swiss/keys/{}/revoke", account.key);
        assert!(ops.open(&revoke).await.into_text().contains("Revoke uma?"));
        assert_eq!(ops.send(&revoke, &[("form_token", &token)]).await.status, 303);
        assert_eq!(uma.open("/console/perks").await.status, 303, "she is logged out");
        let page = ops.open("/console/merchants/swiss").await.into_text();
        assert!(page.contains(">over</span>"), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_manages_admins_and_nobody_else() {
    for app in TestApp::all().await {
        let mut ops = Browser::logged_in(&app, Role::Operator, OPS).await;
        let token = ops.form_token().await;
        let kiosk = app.auditor(&app.cathay).await.get("/v1/me").await.text_of("id");
        let american = app.admin(&app.american).await.get("/v1/me").await.text_of("id");
        let cathay = app.cathay.slug.as_str();
        for key in [kiosk.as_str(), &american, "key_00000000000070008000000000000001"] {
            let at = format!("/console/merchants/{cathay}/keys/{key}/revoke");
            assert_eq!(ops.open(&at).await.status, 404, "{key}");
            assert_eq!(ops.send(&at, &[("form_token", &token)]).await.status, 404, "{key}");
        }
        assert_eq!(ops.open("/console/merchants/nobody").await.status, 404);
        assert_eq!(ops.open("/console/merchants/Not%20a%20slug").await.status, 404);
        let page = ops.open(&format!("/console/merchants/{cathay}")).await.into_text();
        assert!(!page.contains(&kiosk) && !page.contains(&american), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_what_works() {
    for app in TestApp::all().await {
        let ops = Browser::logged_in(&app, Role::Operator, OPS).await;
        let page = ops.open("/console/health").await.into_text();
        for words in ["All is well", "Database", "Ledger", "It writes.", "Token keys", "Log key", "Anchors", "with "] {
            assert!(page.contains(words), "{words}: {page}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tests_data_is_called_so_on_every_page() {
    for app in TestApp::all().await {
        let directory = &app.world.gateway.directory;
        let trial = directory.create_test_merchant("trial".parse().unwrap(), "Trial", crate::support::world::CLI).await;
        let ann = Browser::logged_in_at(&app, Some(&trial.unwrap()), Role::Admin, "ann@trial.example").await;
        let mei = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        for path in ["/console/perks", "/console/keys", "/console/nothing"] {
            assert!(ann.open(path).await.text.contains("A test: its people"), "{path}");
            assert!(!mei.open(path).await.text.contains("A test: its people"), "{path}");
        }
        let report = perkgate::audit::verify(
            &app.world.database.open(),
            &perkgate::audit::Request::default(),
            &perkgate::foundation::entropy::Entropy::System,
            &mut |_| {},
        );
        let findings: Vec<String> = report.unwrap().findings.listed().iter().map(ToString::to_string).collect();
        assert_eq!(findings, [""; 0]);
    }
}
