//! `/v1/scores/{source}/{subject}/history`: what a score was, day by day.

use perkgate::access::Role;
use serde_json::{Value, json};

use super::{ADA, import, score};
use crate::support::app::TestApp;
use crate::support::client::Client;
use crate::support::shape::assert_shape;

const HISTORY: &str = "/v1/scores/klout/twitter:ada/history";
const DAY: i64 = 86_400;

/// The values of the days, the earliest first, as far back as `days`.
async fn values(client: &Client, days: u32) -> Vec<Value> {
    let history = client.get(&format!("{HISTORY}?days={days}")).await.is(200);
    history["days"].as_array().unwrap().iter().map(|day| day["value"].clone()).collect()
}

async fn put(app: &TestApp, client: &Client, value: Value) {
    client.put(ADA, &score(value, &app.world.now().to_string())).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_each_day_the_last_value_is_kept_and_the_rest_is_told_from_them() {
    for app in TestApp::all().await {
        let feeder = app.feeder(&app.cathay).await;
        assert_shape!(feeder.get(HISTORY).await, @r#"
        200
        {
          "source":"klout",
          "subject":"twitter:ada",
          "changes":{"day":null,"week":null,"month":null},
          "low":null,
          "high":null,
          "days":[]
        }
        "#);
        put(&app, &feeder, json!(50)).await;
        app.world.pass(60);
        put(&app, &feeder, json!(40)).await;
        assert_eq!(values(&feeder, 400).await, [json!(40)], "of two on one day the last");
        app.world.pass(29 * DAY);
        put(&app, &feeder, json!(41.5)).await;
        app.world.pass(DAY);
        let feed = format!("subject,value,observed_at\ntwitter:ada,47.25,{}\n", app.world.now());
        import(&feeder, "text/csv", feed).await.is(200);
        assert_shape!(feeder.get(&format!("{HISTORY}?days=3")).await, @r#"
        200
        {
          "source":"klout",
          "subject":"twitter:ada",
          "changes":{"day":5.75,"week":7.25,"month":7.25},
          "low":40,
          "high":47.25,
          "days":[{"day":"2012-06-05","value":40},{"day":"2012-06-06","value":41.5},{"day":"2012-06-07","value":47.25}]
        }
        "#);
        assert_eq!(values(&feeder, 400).await.len(), 31);
        assert_eq!(feeder.get(HISTORY).await.is(200)["days"].as_array().unwrap().len(), 31);
        // Beyond what is kept.
        app.world.pass(400 * DAY);
        put(&app, &feeder, json!(10)).await;
        assert_eq!(values(&feeder, 400).await.len(), 400);
        assert_eq!(values(&feeder, 400).await[398..], [json!(47.25), json!(10)]);
        let foreign = app.feeder(&app.american).await.get(HISTORY).await.is(200);
        assert_eq!(foreign["days"], json!([]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_goes_with_the_score_with_the_person_and_with_time() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let person = json!({"subject": "twitter:ada"});
        put(&app, &admin, json!(50)).await;
        assert_eq!(admin.post("/v1/subjects/record", &person).await.is(200)["score_history"], Value::Null);
        app.world.pass(3 * DAY);
        put(&app, &admin, json!(60)).await;
        let held = admin.post("/v1/subjects/record", &person).await.is(200);
        let wanted = json!([{"source": "klout", "value": 50, "first_day": "2012-05-08", "last_day": "2012-05-10"}]);
        assert_eq!(held["score_history"], wanted);
        admin.delete(ADA).await.is(204);
        assert_eq!(values(&admin, 400).await, [] as [Value; 0], "a score that is deleted takes its history along");

        put(&app, &admin, json!(50)).await;
        app.world.pass(DAY);
        put(&app, &admin, json!(60)).await;
        let erased = admin.post("/v1/subjects/erase", &person).await.is(200);
        assert_eq!(erased["scores"], 1);
        assert_eq!(values(&admin, 400).await, [] as [Value; 0]);
        assert_eq!(admin.post("/v1/subjects/record", &person).await.is(200)["score_history"], Value::Null);

        put(&app, &admin, json!(50)).await;
        app.world.pass(DAY);
        put(&app, &admin, json!(60)).await;
        app.world.pass(398 * DAY);
        let sweep = async || app.world.gateway.enrolments.sweep_once(app.world.now()).await.unwrap();
        let kept = async || admin.post("/v1/subjects/record", &person).await.is(200)["score_history"].clone();
        sweep().await;
        assert_eq!(kept().await.as_array().map(Vec::len), Some(1), "its last day is still shown");
        app.world.pass(DAY);
        sweep().await;
        assert_eq!(kept().await, Value::Null);
        assert_eq!(values(&admin, 400).await.len(), 400, "the one that stands is no history");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn days_are_asked_for_in_numbers_and_readers_may() {
    let app = TestApp::start(&[]).await;
    let reader = app.role(&app.cathay, Role::Reader).await;
    for days in ["0", "401", "-1", "+7", "x", "", "1e2", "99999999999999999999"] {
        let refused = reader.get(&format!("{HISTORY}?days={days}")).await.spot(422, "invalid_request");
        assert_eq!(refused, ("days".to_owned(), "invalid_value".to_owned()), "{days}");
    }
    reader.get(HISTORY).await.is(200);
    reader.get("/v1/scores/kred/twitter:ada/history").await.problem(404, "not_found");
    reader.get("/v1/scores/klout/a%20b/history").await.problem(422, "invalid_request");
    put(&app, &app.feeder(&app.cathay).await, json!(40)).await;
    reader.get(ADA).await.is(200);
    for path in ["/v1/sources", "/v1/keys", "/v1/perks", "/v1/audit/events", "/v1/reports/grants"] {
        reader.get(path).await.problem(403, "forbidden");
    }
    reader.put(ADA, &score(1, "2012-05-08T18:00:00Z")).await.problem(403, "forbidden");
    app.kiosk().await.get(HISTORY).await.problem(403, "forbidden");
}
