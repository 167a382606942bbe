//! `/v1/reports`: over HTTP, in every format, and what can't be asked.

use perkgate::access::Role;
use serde_json::json;

use crate::support::app::TestApp;

const RULE: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"main","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
  "token":{"audience":"sfo-lounge"}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_report_comes_in_three_formats() {
    for app in TestApp::all().await {
        app.lounge(RULE, "62").await;
        let (kiosk, auditor) = (app.role(&app.cathay, Role::Kiosk).await, app.auditor(&app.cathay).await);
        for subject in ["twitter:ada", "twitter:unknown"] {
            kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": subject})).await.is(200);
        }
        app.world.pass(1);
        let grants = auditor.get("/v1/reports/grants?group_by=day&time_zone=Asia/Tokyo&perk=sfo-lounge").await.is(200);
        assert_eq!((&grants["totals"]["checks"], &grants["totals"]["granted"]), (&json!(2), &json!(1)));
        assert_eq!(grants["totals"]["refused_score_missing"], 1);
        assert_eq!((&grants["groups"][0]["group"], &grants["time_zone"]), (&json!("2012-05-09"), &json!("Asia/Tokyo")));
        let fairness = auditor.get("/v1/reports/fairness").await.is(200);
        assert_eq!(fairness["group_by"], "score_band");
        assert_eq!(fairness["groups"][0]["group"], "60 to below 70");
        assert_eq!(fairness["groups"][0]["admitted_percent"], 100);
        assert_eq!(auditor.get("/v1/reports/billing").await.is(200)["totals"]["visits"], 0);

        assert_eq!((&grants["merchant_name"], &grants["perk_name"]), (&json!("cathay"), &json!("sfo-lounge")));
        for (by, group) in [("week", "2012-W19"), ("month", "2012-05")] {
            for report in ["grants", "billing"] {
                let told = auditor.get(&format!("/v1/reports/{report}?group_by={by}")).await.is(200);
                assert_eq!(told["group_by"], by);
                assert!(report == "billing" || told["groups"][0]["group"] == group, "{told}");
            }
        }
        let renamed = json!({"name": "San Francisco lounge"}).to_string();
        let admin = app.admin(&app.cathay).await;
        admin.ask(reqwest::Method::PATCH, "/v1/perks/sfo-lounge").json(renamed).await.is(200);
        for (by, group, name) in [
            ("perk", "sfo-lounge", "San Francisco lounge"),
            ("rule_version", "sfo-lounge v1", "San Francisco lounge v1"),
        ] {
            let told = auditor.get(&format!("/v1/reports/grants?group_by={by}")).await.is(200);
            assert_eq!((&told["groups"][0]["group"], &told["groups"][0]["name"]), (&json!(group), &json!(name)));
            let page = auditor.get(&format!("/v1/reports/grants?group_by={by}&format=html")).await;
            assert!(page.text.contains(name) && !page.text.contains("sfo-lounge"), "{}", page.text);
        }
        let plain = auditor.get("/v1/reports/grants?format=csv").await;
        let marked = auditor.get("/v1/reports/grants?format=csv&bom=true").await;
        assert_eq!(marked.text, format!("\u{feff}{}", plain.text));
        assert!(auditor.get("/v1/reports/fairness?format=html").await.text.contains("Admitted, %"));

        let csv = auditor.get("/v1/reports/grants?format=csv").await;
        assert_eq!((csv.status, csv.header("content-type")), (200, "text/csv; charset=utf-8; header=present"));
        let page = auditor.get("/v1/reports/grants?format=html&group_by=hour").await;
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_asked_is_told_apart() {
    for app in TestApp::all().await {
        app.lounge(RULE, "62").await;
        let auditor = app.auditor(&app.cathay).await;
        for (query, parameter, code) in [
            ("grants?from=2012-05-09&to=2012-05-08", "to", "period_reversed"),
            ("grants?from=2012-05-09&to=2012-05-09", "to", "period_reversed"),
            ("grants?from=2099-01-01", "from", "period_in_future"),
            ("billing?to=yesterday", "to", "invalid_value"),
            ("billing?from=2012-02-30", "from", "invalid_value"),
            ("grants?time_zone=Mars/Olympus", "time_zone", "unknown_time_zone"),
            ("grants?perk=nothing", "perk", "unknown_perk"),
            ("grants?perk=No%20Slug", "perk", "unknown_perk"),
            ("grants?group_by=subject", "group_by", "unknown_value"),
            ("fairness?group_by=day", "group_by", "unknown_field"),
            ("grants?format=pdf", "format", "unknown_value"),
        ] {
            let refused = auditor.get(&format!("/v1/reports/{query}")).await.spot(422, "invalid_request");
            assert_eq!(refused, (parameter.to_owned(), code.to_owned()), "{query}");
        }
        auditor.get("/v1/reports/grants?from=1912-01-01&to=2012-01-01&group_by=hour").await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn days_are_those_of_the_merchants_zone_unless_another_is_asked_for() {
    for app in TestApp::all().await {
        app.lounge(RULE, "62").await;
        // 17:00Z of the 9th: one o'clock at night of the 10th in Hong Kong.
        app.world.pass(22 * 3600);
        app.world.score(&app.cathay, "twitter:ada", "62").await;
        let (kiosk, auditor) = (app.role(&app.cathay, Role::Kiosk).await, app.auditor(&app.cathay).await);
        let ask = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
        assert_eq!(kiosk.post("/v1/checks", &ask).await.is(200)["decision"], "granted");
        app.world.pass(1);
        let day_of = async |query: &str| {
            let report = auditor.get(&format!("/v1/reports/grants?group_by=day{query}")).await.is(200);
            assert_eq!(report["totals"]["granted"], 1, "{report}");
            (report["time_zone"].clone(), report["groups"][0]["group"].clone())
        };
        assert_eq!(day_of("").await, (json!("UTC"), json!("2012-05-09")));
        let zone = json!({"time_zone": "Asia/Hong_Kong"}).to_string();
        let operator = app.operator().await;
        operator.ask(reqwest::Method::PATCH, "/v1/merchants/cathay").json(zone).await.is(200);
        assert_eq!(day_of("").await, (json!("Asia/Hong_Kong"), json!("2012-05-10")));
        assert_eq!(day_of("&from=2012-05-10").await.1, json!("2012-05-10"), "a date begins there too");
        assert_eq!(day_of("&time_zone=UTC").await, (json!("UTC"), json!("2012-05-09")));
        let page = auditor.get("/v1/reports/grants?group_by=hour&format=html").await;
        assert!(page.text.contains("Asia/Hong_Kong"), "{}", page.text);
    }
}
