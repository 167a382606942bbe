//! Reports as pages: the same numbers as the API's, for auditors too.

use perkgate::access::Role;
use serde_json::json;

use super::browser::Browser;
use crate::support::app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn a_report_shows_what_the_api_counts() {
    for app in TestApp::all().await {
        app.lounge(r#"{"at_least":40,"score":"klout"}"#, "50").await;
        app.world.score(&app.cathay, "twitter:bob", "12").await;
        let kiosk = app.kiosk().await;
        for who in ["twitter:ada", "twitter:bob", "twitter:bob"] {
            kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": who})).await.is(200);
        }
        app.world.pass(60);
        let auditor = Browser::logged_in(&app, Role::Auditor, "ines@cathay.example").await;
        let page = auditor.open("/console/reports/grants?from=2012-05-08&to=&perk=sfo-lounge&by=day").await.into_text();
        for part in [
            "2012-05-08",
            "<th scope=\"row\">Total</th><td class=\"n\">3</td><td class=\"n\">1</td><td class=\"n\">2</td>",
            "Score too low",
            "1 of 3 granted",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        let csv = auditor.open("/console/reports/grants/csv?from=2012-05-08&perk=sfo-lounge&by=day").await;
        assert!(csv.header("content-disposition").contains("perkgate-grants.csv"));
        let api = app
            .auditor(&app.cathay)
            .await
            .get("/v1/reports/grants?from=2012-05-08&perk=sfo-lounge&group_by=day&format=csv&bom=true")
            .await;
        assert_eq!(csv.into_text(), api.into_text());

        for (query, says) in [
            ("from=yesterday", "is no instant"),
            ("from=2012-05-09&to=2012-05-08", "is not after"),
            ("by=colour", "grouped by"),
            ("perk=No%20Slug", "can’t be that"),
            ("perk=nowhere", "There is no perk"),
        ] {
            let refused = auditor.open(&format!("/console/reports/grants?{query}")).await;
            assert_eq!(refused.status, 422, "{query}");
            assert!(refused.text.contains(says), "{query}: {}", refused.text);
        }
        assert_eq!(auditor.open("/console/reports/tea-leaves").await.status, 404);

        // Another merchant's perk is one that isn't there.
        let american = Browser::logged_in_at(&app, Some(&app.american), Role::Admin, "jo@american.example").await;
        let foreign = american.open("/console/reports/grants?perk=sfo-lounge").await;
        assert!(foreign.status == 422 && foreign.text.contains("There is no perk"), "{}", foreign.text);
    }
}
