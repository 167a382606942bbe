//! What is odd about a rule is said when it is drafted, and held against what the checks bring.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::v1::OPEN_LOUNGE;
use crate::support::app::TestApp;
use crate::support::client::Client;

/// The warnings of a new draft that looks at these attributes, as (pointer, code).
async fn warned(admin: &Client, names: &[&str]) -> Vec<(String, String)> {
    let leaves: Vec<_> = names.iter().map(|name| json!({"attr": format!("context.{name}"), "op": "exists"})).collect();
    let rule = json!({"tiers": [{"id": "t", "when": {"all": leaves}}]});
    let made = admin.post("/v1/perks/sfo-lounge/versions", &json!({"rule": rule})).await.is(201);
    let text = |warning: &Value, member: &str| warning[member].as_str().unwrap().to_owned();
    made["warnings"].as_array().unwrap().iter().map(|it| (text(it, "pointer"), text(it, "code"))).collect()
}

/// Drafts until the warnings are `wanted`: names are noted beside the checks, a moment later.
async fn until_warned(admin: &Client, names: &[&str], wanted: &[(String, String)], again: impl AsyncFn()) {
    let patience = Instant::now() + Duration::from_mins(1);
    loop {
        let last = warned(admin, names).await;
        if last == wanted {
            return;
        }
        assert!(Instant::now() < patience, "{last:?} and never {wanted:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
        again().await;
    }
}

fn not_sent(at: usize) -> (String, String) {
    (format!("/rule/tiers/0/when/all/{at}/attr"), "attribute_not_sent".to_owned())
}

async fn check(kiosk: &Client, context: Value, dry_run: bool) {
    let body = json!({"perk": "sfo-lounge", "subject": "twitter:ada", "context": context, "dry_run": dry_run});
    kiosk.post("/v1/checks", &body).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_that_no_kiosk_has_sent_are_warned_of() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47").await;
        let admin = app.admin(&app.cathay).await;
        let kiosk = app.kiosk().await;
        // Nothing is known before the first check, and a dry run leaves nothing behind.
        check(&kiosk, json!({"gate": 1}), true).await;
        assert_eq!(warned(&admin, &["terminal", "gate"]).await, []);

        check(&kiosk, json!({"terminal": "A", "nothing": null}), false).await;
        until_warned(&admin, &["terminal", "gate", "party", "nothing"], &[not_sent(1), not_sent(3)], async || {}).await;
        check(&kiosk, json!({"gate": 7}), false).await;
        until_warned(&admin, &["terminal", "gate", "nothing"], &[not_sent(2)], async || {}).await;

        // Another merchant's checks are no matter.
        let stranger = app.admin(&app.american).await;
        let perk = json!({"perk": "sfo-lounge", "name": "L", "rule": {"at_least": 40, "score": "klout"}});
        stranger.post("/v1/perks", &perk).await.is(201);
        assert_eq!(warned(&stranger, &["nothing"]).await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_dates_and_shares_that_were_hardly_meant_are_warned_of() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47").await;
        let admin = app.admin(&app.cathay).await;
        // It is 8 May 2012.
        let rule = json!({
            "score": {"source": "klout"}, "valid": {"until": "2012-12-31T23:59"},
            "schedule": {"open": [{"days": ["mon", "tue"], "from": "08:00", "to": "23:59"},
                                  {"days": ["mon"], "from": "10:00", "to": "12:00"}],
                         "closed_dates": ["2011-12-25", "2011-12-26", "2012-05-08"]},
            "tiers": [{"id": "t", "when": {"attr": "score", "op": "gte", "value": 40}}],
            "rollout": {"percent": 0},
        });
        let made = admin.post("/v1/perks/sfo-lounge/versions", &json!({"rule": rule})).await.is(201);
        let wanted = [
            ("/rule/schedule/open/1", "overlapping_hours", "10:00–12:00 is open already by the opening 0"),
            ("/rule/schedule/open/0/to", "last_minute_closed", "it closes at 23:59 and not at 24:00: write 24:00"),
            ("/rule/valid/until", "last_minute_closed", "the rule ends at 23:59:00"),
            ("/rule/schedule/closed_dates", "closed_dates_past", "2011-12-25 and 1 more are past"),
            ("/rule/rollout/percent", "rollout_of_nobody", "admits nobody"),
        ];
        let warnings = made["warnings"].as_array().unwrap();
        assert_eq!(warnings.len(), wanted.len(), "{warnings:?}");
        for (warning, (pointer, code, detail)) in warnings.iter().zip(wanted) {
            assert_eq!((&warning["pointer"], &warning["code"]), (&json!(pointer), &json!(code)));
            assert!(warning["detail"].as_str().unwrap().contains(detail), "{warning}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_more_names_than_are_kept_nothing_is_said() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47").await;
        let admin = app.admin(&app.cathay).await;
        let kiosk = app.kiosk().await;
        check(&kiosk, json!({}), false).await;
        until_warned(&admin, &["nothing"], &[not_sent(0)], async || {}).await;
        let flood = async || {
            for part in 0..7 {
                let names = (0..32).map(|n| (format!("n{part}_{n}"), json!(1))).collect::<serde_json::Map<_, _>>();
                check(&kiosk, Value::Object(names), false).await;
            }
        };
        flood().await;
        until_warned(&admin, &["nothing"], &[], flood).await;
    }
}
