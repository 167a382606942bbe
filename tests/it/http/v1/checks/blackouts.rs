//! Blackouts: the dates on which a perk is not offered, from outside.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::app::TestApp;

const GOLDEN_WEEK: &str = r#"{"time_zone":"Asia/Shanghai","tiers":[{"id":"all"}],
    "blackouts":[{"id":"golden-week","from":"2012-10-01T00:00","until":"2012-10-08T00:00"},
        {"id":"new-year","yearly":{"from":"12-31","to":"01-01"}}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_blackout_is_named_with_its_end_and_counted() {
    for app in TestApp::all().await {
        app.lounge(GOLDEN_WEEK, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let ask = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
        let at = |now: &str| app.world.clock.set(now.parse::<Timestamp>().unwrap());
        for (now, id, until) in [
            ("2012-09-30T16:00:00Z", "golden-week", "2012-10-07T16:00:00Z"),
            ("2012-10-07T15:59:59Z", "golden-week", "2012-10-07T16:00:00Z"),
            ("2012-12-31T12:00:00Z", "new-year", "2013-01-01T16:00:00Z"),
        ] {
            at(now);
            let refused = kiosk.post("/v1/checks", &ask).await;
            assert_eq!(refused.is(200)["decision"], "denied");
            let reasons = json!([{"code": "blackout", "blackout": id, "next_eligible_at": until,
                                  "message": "This perk is not offered on these dates.",
                                  "guest_message": "We are closed at the moment.", "guest_language": "en"}]);
            let (answer, simulated) =
                (refused.json(), admin.post("/v1/perks/sfo-lounge/simulate", &json!({})).await.is(200));
            assert_eq!((&answer["reasons"], &answer["next_eligible_at"]), (&reasons, &json!(until)));
            assert_eq!((&simulated["reasons"], &simulated["next_eligible_at"]), (&reasons, &json!(until)));
            let traced = json!({"passed": false, "id": id, "until": until});
            assert_eq!(
                (&simulated["trace"]["blackouts"], &simulated["trace"]["decision"]),
                (&traced, &json!("denied"))
            );
            let shown = kiosk.get(&format!("/v1/checks/{}", refused.text_of("check"))).await;
            assert_eq!(shown.text, refused.text, "it reads back as it was answered");
        }
        for open in ["2012-09-30T15:59:59Z", "2012-10-07T16:00:00Z", "2013-01-01T16:00:00Z"] {
            at(open);
            assert_eq!(kiosk.post("/v1/checks", &ask).await.is(200)["decision"], "granted", "{open}");
        }
        app.world.pass(1);
        let report = app.auditor(&app.cathay).await.get("/v1/reports/grants?from=2012-05-08T00:00:00Z").await;
        assert_eq!(report.is(200)["totals"]["refused_blackout"], 3);
        // What was decided comes out of the same rule again.
        let backtest = json!({"version": 1, "from": "2012-05-08T00:00:00Z"});
        let again = admin.post("/v1/perks/sfo-lounge/backtest", &backtest).await.is(200);
        assert_eq!((&again["reproduction"]["checks"], &again["reproduction"]["mismatches"]), (&json!(6), &json!(0)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_blackout_is_refused_at_its_spot() {
    let app = TestApp::start(&[]).await;
    let admin = app.admin(&app.cathay).await;
    let publish = async |blackouts: Value| {
        let rule = json!({"tiers": [{"id": "all"}], "blackouts": blackouts});
        admin.post("/v1/perks", &json!({"perk": "p", "name": "P", "rule": rule, "publish": true})).await
    };
    let day = json!([{"id": "leap", "yearly": {"from": "02-28", "to": "02-30"}}]);
    assert_eq!(publish(day).await.spot(422, "invalid_request").0, "/rule/blackouts/0/yearly/to");
    let always = json!([{"id": "always", "yearly": {"from": "01-01", "to": "12-31"}}]);
    assert_eq!(publish(always).await.spot(422, "invalid_request"), ("/rule/blackouts".into(), "never_open".into()));
}
