//! A rule that a newer build has stored: this one can't decide by it, says so, and decides by all others.

use aws_lc_rs::digest;
use diesel::prelude::*;
use perkgate::database::followed::bump_epoch;
use perkgate::database::schema::{perks, rule_versions};
use perkgate::database::{AnyConnection, DatabaseError};
use perkgate::foundation::subject::hex;
use serde_json::json;

use crate::http::v1::OPEN_LOUNGE;
use crate::support::app::TestApp;

/// Canonical, with a member that no build knows yet.
const NEWER: &str = r#"{"engine":99,"telepathy":true,"tiers":[{"id":"t","when":{"attr":"context.a","op":"exists"}}]}"#;

fn hash_of(text: &str) -> String {
    format!("sha256:{}", hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref()))
}

/// Makes a rule the spa's next version, as another build would; the catalog follows.
async fn store(app: &TestApp, rule: &'static str, hash: String) {
    let put = move |conn: &mut AnyConnection| {
        let found = perks::table.filter(perks::slug.eq("spa")).select((perks::id, perks::published_version));
        let (spa, before): (String, Option<i32>) = found.first(conn)?;
        let next = before.unwrap() + 1;
        let versions = rule_versions::table.filter(rule_versions::perk_id.eq(&spa));
        let set = (rule_versions::rule.eq(rule), rule_versions::rule_hash.eq(hash), rule_versions::version.eq(next));
        assert_eq!(diesel::update(versions).set(set).execute(conn)?, 1);
        let revision = perks::revision.eq(bump_epoch(conn, "catalog")?);
        let published = (perks::published_version.eq(next), perks::latest_version.eq(next), revision);
        Ok::<_, DatabaseError>(diesel::update(perks::table.find(&spa)).set(published).execute(conn)?)
    };
    app.world.gateway.database.write(put).await.unwrap();
    app.world.gateway.catalog.reload().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_a_newer_build_sends_its_own_checks_back_and_no_others() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        app.world.perk(&app.cathay, "spa", OPEN_LOUNGE).await;
        let kiosk = app.kiosk().await;
        let ask = |perk: &str| json!({"perk": perk, "subject": "twitter:ada"});
        kiosk.post("/v1/checks", &ask("spa")).await.is(200);
        store(&app, NEWER, hash_of(NEWER)).await;

        let before = app.footprint().await;
        let dry = json!({"perk": "spa", "subject": "twitter:ada", "dry_run": true});
        for question in [&ask("spa"), &dry] {
            let refused = kiosk.post("/v1/checks", question).await;
            refused.problem(503, "rule_newer");
            assert_eq!(refused.header("retry-after"), "1");
            assert!(refused.json()["detail"].as_str().unwrap().contains("newer build"), "{}", refused.text);
        }
        assert_eq!(app.footprint().await, before);
        let many = json!({"checks": [ask("sfo-lounge"), ask("spa"), ask("sfo-lounge")]});
        let results = kiosk.post("/v1/checks/batch", &many).await.is(200)["results"].clone();
        let statuses: Vec<_> = results.as_array().unwrap().iter().map(|it| it["status"].clone()).collect();
        assert_eq!(statuses, [200, 503, 200], "{results}");
        assert_eq!(results[1]["problem"]["code"], "rule_newer");
        assert_eq!(kiosk.post("/v1/checks", &ask("sfo-lounge")).await.is(200)["decision"], "granted");

        let admin = app.admin(&app.cathay).await;
        let trial = json!({"subject": "twitter:ada"});
        admin.post("/v1/perks/spa/simulate", &trial).await.problem(503, "rule_newer");
        admin.post("/v1/perks/sfo-lounge/simulate", &trial).await.is(200);

        // A text that isn't the one that was stored is no build's rule.
        store(&app, NEWER, hash_of("another")).await;
        kiosk.post("/v1/checks", &ask("spa")).await.problem(500, "internal");
        assert_eq!(kiosk.post("/v1/checks", &ask("sfo-lounge")).await.is(200)["decision"], "granted");
    }
}
