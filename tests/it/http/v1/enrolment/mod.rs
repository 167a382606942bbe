//! `/v1/subjects/accounts`, `/v1/subjects/consents` and `/v1/signals/import`: who is scored, and what is known of them.

mod computing;
mod models;
mod signals;

use perkgate::audit::Request;
use perkgate::database::{AnyConnection, DatabaseError};
use perkgate::foundation::entropy::Entropy;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::world::World;

const ACCOUNTS: &str = "/v1/subjects/accounts";

async fn link(client: &Client, subject: &str, accounts: Value) -> Reply {
    client.put(ACCOUNTS, &json!({"subject": subject, "accounts": accounts})).await
}

/// Enrols a person by one account that the merchant vouches for.
async fn enrol(client: &Client, subject: &str) {
    link(client, subject, json!([{"network": "bluesky", "account": "did:plc:ada", "proof": "vouched"}])).await.is(200);
}

async fn import(client: &Client, content_type: &str, feed: impl Into<Vec<u8>>) -> Value {
    client.ask(reqwest::Method::POST, "/v1/signals/import").body(content_type, feed).await.is(200)
}

/// What verifying the database finds.
pub(crate) fn codes(world: &World) -> Vec<&'static str> {
    let report =
        perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::System, &mut |_| {}).unwrap();
    report.findings.listed().iter().map(|finding| finding.wrong.code()).collect()
}

pub(crate) async fn run(world: &World, statement: &'static str) -> usize {
    use diesel::RunQueryDsl as _;
    let run = move |conn: &mut AnyConnection| Ok::<_, DatabaseError>(diesel::sql_query(statement).execute(conn)?);
    world.gateway.database.write(run).await.unwrap()
}

async fn kinds(client: &Client) -> Vec<String> {
    let page = client.get("/v1/audit/events?limit=200").await.is(200);
    let kinds = page["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap().to_owned());
    kinds.filter(|kind| kind.starts_with("subject.")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_linked_shown_and_unlinked() {
    for app in TestApp::all().await {
        let (feeder, admin) = (app.feeder(&app.cathay).await, app.admin(&app.cathay).await);
        let wanted = json!([
            {"network": "mastodon", "account": " https://example.social/@ada ", "proof": "rel_me"},
            {"network": "bluesky", "account": "did:plc:ada", "proof": "vouched"},
            {"network": "github", "account": "ada", "proof": "profile_code"},
        ]);
        let linked = link(&feeder, "CX:123", wanted.clone()).await.is(200);
        assert_eq!((&linked["subject"], &linked["enrolled_at"]), (&json!("cx:123"), &json!("2012-05-08T19:00:00Z")));
        let states: Vec<_> = linked["accounts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| (it["network"].clone(), it["state"].clone()))
            .collect();
        assert_eq!(
            states,
            [
                (json!("bluesky"), json!("proven")),
                (json!("github"), json!("pending")),
                (json!("mastodon"), json!("pending"))
            ]
        );
        assert_eq!(linked["accounts"][2]["account"], "https://example.social/@ada");
        let code = linked["accounts"][1]["code"].as_str().unwrap().to_owned();
        assert!(code.starts_with("perkgate-") && linked["accounts"][2].get("code").is_none(), "{linked}");

        // The same again changes nothing and is no event; the code stands until its time is over.
        assert_eq!(link(&feeder, "cx:123", wanted.clone()).await.is(200), linked);
        assert_eq!(kinds(&admin).await, ["subject.enrolled"]);
        let shown = async || feeder.post("/v1/subjects/accounts/search", &json!({"subject": "cx:123"})).await.is(200);
        assert_eq!(shown().await, linked);
        app.world.pass(7 * 86_400);
        let failed = shown().await["accounts"][1].clone();
        assert_eq!((&failed["state"], failed.get("code")), (&json!("failed"), None));
        let again = link(&feeder, "cx:123", wanted).await.is(200)["accounts"][1].clone();
        assert_eq!(again["state"], "pending");
        assert_ne!(again["code"], code);

        // What they agreed to is kept beside, and another merchant knows nothing of it.
        let consents = json!({"leaderboard": true, "comparison": false});
        let put = json!({"subject": "cx:123", "consents": consents});
        assert_eq!(feeder.put("/v1/subjects/consents", &put).await.is(200), consents);
        assert_eq!(shown().await["consents"], consents);
        app.feeder(&app.american).await.put("/v1/subjects/consents", &put).await.problem(404, "not_found");
        assert_eq!(codes(&app.world), [""; 0]);

        // The log names nobody.
        let log = admin.get("/v1/audit/events?limit=200").await;
        assert!(!log.text.contains("did:plc") && !log.text.contains("example.social"), "{}", log.text);

        feeder.post("/v1/subjects/accounts/delete", &json!({"subject": "cx:123"})).await.is(204);
        feeder.post("/v1/subjects/accounts/delete", &json!({"subject": "cx:123"})).await.problem(404, "not_found");
        assert_eq!(shown().await, json!({"subject": "cx:123", "accounts": []}));
        assert_eq!(codes(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_do_not_fit_are_pointed_at_and_nothing_is_linked() {
    for app in TestApp::all().await {
        let feeder = app.feeder(&app.cathay).await;
        let account =
            |network: &str, account: &str| json!({"network": network, "account": account, "proof": "vouched"});
        for (accounts, pointer, code) in [
            (json!([account("blusky", "did:plc:ada")]), "/accounts/0/network", "unknown_value"),
            (json!([account("bluesky", " ")]), "/accounts/0/account", "invalid_value"),
            (json!([account("bluesky", "a\u{202e}b")]), "/accounts/0/account", "invalid_value"),
            (json!([account("bluesky", "a"), account("bluesky", "a ")]), "/accounts/1", "duplicate"),
            (
                json!((0..40).map(|nth| account("bluesky", &format!("a{nth}"))).collect::<Vec<_>>()),
                "/accounts/32",
                "too_many",
            ),
        ] {
            let refused = link(&feeder, "cx:123", accounts.clone()).await;
            assert_eq!(refused.spot(422, "invalid_request"), (pointer.to_owned(), code.to_owned()), "{accounts}");
        }
        let shown = feeder.post("/v1/subjects/accounts/search", &json!({"subject": "cx:123"})).await.is(200);
        assert_eq!(shown["accounts"], json!([]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_log_does_not_make_so_are_found() {
    for app in TestApp::all().await {
        let feeder = app.feeder(&app.cathay).await;
        enrol(&feeder, "cx:1").await;
        enrol(&feeder, "cx:2").await;
        assert_eq!(codes(&app.world), [""; 0]);
        assert_eq!(run(&app.world, "UPDATE enrolments SET leaderboard_at = 1").await, 2);
        assert_eq!(codes(&app.world), ["enrolment_mismatch"; 2]);
        assert_eq!(run(&app.world, "UPDATE enrolments SET leaderboard_at = NULL").await, 2);
        assert_eq!(run(&app.world, "DELETE FROM linked_accounts").await, 2);
        assert_eq!(codes(&app.world), ["enrolment_mismatch"; 2]);
        run(&app.world, "DELETE FROM enrolments").await;
        assert_eq!(codes(&app.world), ["enrolment_mismatch"; 2]);
    }
}
