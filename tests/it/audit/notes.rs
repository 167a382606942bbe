//! Notes on grants that were taken back, as they stand in the log.

use perkgate::audit::Request;
use perkgate::database::{AnyConnection, DatabaseError, connection};
use perkgate::foundation::entropy::Entropy;
use perkgate::foundation::json::Json;
use serde_json::json;

use super::history::{events_of, rebuild};
use crate::support::app::TestApp;

const RULE: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"main","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
  "token":{"audience":"sfo-lounge"}}"#;

/// As notes were written before they were sealed.
#[tokio::test(flavor = "multi_thread")]
async fn a_note_in_the_clear_is_still_read_and_verified() {
    for app in TestApp::all().await {
        app.lounge(RULE, "47.25").await;
        let ask = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let path = format!("/v1/grants/{}", kiosk.post("/v1/checks", &ask).await.text_of("grant"));
        admin.post(&format!("{path}/void"), &json!({"note": "A mistake."})).await.is(200);
        let (database, key) = (app.world.database.open(), app.world.gateway.keyring.log_key());
        let rewrite = |conn: &mut AnyConnection| {
            let mut all = events_of(conn, "cathay");
            let voided = all.iter_mut().find(|event| event.kind == "grant.voided").unwrap();
            let mut body: serde_json::Value = serde_json::from_str(voided.body.as_deref().unwrap()).unwrap();
            assert!(body.as_object_mut().unwrap().remove("sealed").is_some());
            body["facts"]["note"] = json!("In the clear.");
            voided.body = Some(Json::parse(&body.to_string()).unwrap().canonical());
            rebuild(conn, "cathay", all, key.verifier(), &|text| key.sign(text));
            Ok::<_, DatabaseError>(())
        };
        connection::transaction(&mut database.dedicated().unwrap(), rewrite).unwrap();
        assert_eq!(admin.get(&path).await.is(200)["note"], "In the clear.");
        let verdict =
            perkgate::audit::verify(&database, &Request::default(), &Entropy::seeded(1), &mut |_| {}).unwrap();
        assert_eq!(verdict.findings.listed(), []);
    }
}
