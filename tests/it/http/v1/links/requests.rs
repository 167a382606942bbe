//! `POST /v1/my/{link}/requests`, and `/v1/subject-requests` where the merchant confirms or declines.

use diesel::RunQueryDsl as _;
use perkgate::access::Role;
use perkgate::database::DatabaseError;
use serde_json::{Value, json};

use super::{apps, ask, findings, path_of};
use crate::support::app::TestApp;

/// One visit a day, and three in a rolling week.
const RULE: &str = r#"{"tiers":[{"id":"main","name":"Main lounge","when":{"attr":"subject.network","op":"eq","value":"member"}}],
  "limits":[{"id":"person","scope":["subject"],"max":1,"window":{"calendar":"day"}},
    {"id":"week","scope":["subject"],"max":3,"window":{"rolling":"P7D"}},
    {"id":"ever","scope":["subject"],"max":99,"window":{"lifetime":true}}]}"#;

async fn list(app: &TestApp) -> Vec<Value> {
    let listed = app.admin(&app.cathay).await.get("/v1/subject-requests").await;
    assert_eq!(listed.header("cache-control"), "no-store");
    listed.is(200)["requests"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_was_asked_for_waits_for_the_merchant_and_for_the_limits() {
    for app in apps().await {
        app.lounge(RULE, "50").await;
        let (kiosk, guest, admin) = (app.kiosk().await, app.anonymous(), app.admin(&app.cathay).await);
        let granted = ask(&kiosk, "member:1").await;
        assert_eq!(granted.is(200)["decision"], "granted");
        let path = format!("{}/requests", path_of(&granted));
        app.world.pass(60);
        let asked = guest.post(&path, &json!({"kind": "erasure"})).await;
        // The week since the visit is the last window that ends; what counts for ever holds nobody.
        let due = "2012-05-15T19:00:00Z";
        let mut view =
            json!({"kind": "erasure", "status": "open", "asked_at": "2012-05-08T19:01:00Z", "carried_out_at": due});
        assert_eq!(asked.is(201), view);
        assert_eq!((asked.header("cache-control"), asked.header("referrer-policy")), ("no-store", "no-referrer"));
        assert_eq!(guest.post(&path, &json!({"kind": "erasure"})).await.is(200), view, "one is pending");
        let listed = list(&app).await;
        assert_eq!((&listed[0]["subject"], &listed[0]["status"]), (&json!("member:1"), &json!("open")));
        assert_eq!((listed.len(), &listed[0]["check"]), (1, &json!(granted.text_of("check"))));
        let request = listed[0]["request"].as_str().unwrap().to_owned();
        let confirmed =
            admin.post(&format!("/v1/subject-requests/{request}/confirm"), &json!({"note": "In person."})).await;
        assert_eq!((&confirmed.is(200)["status"], &confirmed.is(200)["due_at"]), (&json!("confirmed"), &json!(due)));
        let decline = format!("/v1/subject-requests/{request}/decline");
        admin.post(&decline, &json!({})).await.problem(409, "already_decided");
        view["status"] = json!("confirmed");
        assert_eq!(guest.get(&path_of(&granted)).await.is(200)["requests"], json!([view]));
        assert_eq!(findings(&app.world), [""; 0]);

        let requests = &app.world.gateway.requests;
        app.world.pass(7 * 24 * 3600 - 61);
        assert_eq!(requests.carry_out_due().await.unwrap(), 0, "a second too early");
        assert_eq!(ask(&kiosk, "member:1").await.is(200)["decision"], "granted");
        app.world.pass(1);
        assert_eq!(requests.carry_out_due().await.unwrap(), 0, "another visit holds the person");
        app.world.pass(8 * 24 * 3600);
        assert_eq!(requests.carry_out_due().await.unwrap(), 1);
        assert_eq!(requests.carry_out_due().await.unwrap(), 0);
        let listed = list(&app).await;
        assert_eq!((&listed[0]["status"], listed[0].get("subject")), (&json!("carried_out"), None));
        let events = app.auditor(&app.cathay).await.get("/v1/audit/events?kind=subject.erased").await.is(200);
        assert_eq!(events["events"][0]["actor"]["role"], "person");
        assert!(!events.to_string().contains("In person"), "the note is sealed");
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_thirty_days_at_most() {
    for app in apps().await {
        let rule = RULE.replace("P7D", "P90D");
        app.lounge(&rule, "50").await;
        let (kiosk, guest, admin) = (app.kiosk().await, app.anonymous(), app.admin(&app.cathay).await);
        let granted = ask(&kiosk, "member:1").await;
        let path = format!("{}/requests", path_of(&granted));
        let asked = guest.post(&path, &json!({"kind": "erasure"})).await;
        assert_eq!(asked.is(201)["carried_out_at"], "2012-06-07T19:00:00Z");
        let request = list(&app).await[0]["request"].as_str().unwrap().to_owned();
        admin.post(&format!("/v1/subject-requests/{request}/confirm"), &json!({})).await.is(200);
        app.world.pass(30 * 24 * 3600);
        assert_eq!(app.world.gateway.requests.carry_out_due().await.unwrap(), 1);
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_the_merchants_to_hand_over_and_both_can_be_declined() {
    for app in apps().await {
        app.lounge(RULE, "50").await;
        let (kiosk, guest, admin) = (app.kiosk().await, app.anonymous(), app.admin(&app.cathay).await);
        let refused = ask(&kiosk, "twitter:ada").await;
        let path = format!("{}/requests", path_of(&refused));
        for (body, pointer) in [
            (json!({"kind": "everything"}), "/kind"),
            (json!({}), "/kind"),
            (json!({"kind": "record", "note": "x"}), "/note"),
        ] {
            assert_eq!(guest.post(&path, &body).await.spot(422, "invalid_request").0, pointer, "{body}");
        }
        let asked = guest.post(&path, &json!({"kind": "record"})).await.is(201);
        assert_eq!((&asked["kind"], asked.get("carried_out_at")), (&json!("record"), None));
        // Who was only refused is held by no limit: the erasure is due at once. Ids of one instant have no order.
        app.world.pass(1);
        let asked = guest.post(&path, &json!({"kind": "erasure"})).await.is(201);
        assert_eq!(asked["carried_out_at"], asked["asked_at"]);
        let ids: Vec<String> = list(&app).await.iter().map(|it| it["request"].as_str().unwrap().to_owned()).collect();
        let decide = async |id: &str, step: &str, body: &Value| {
            admin.post(&format!("/v1/subject-requests/{id}/{step}"), body).await
        };
        decide(&ids[0], "confirm", &json!({"note": "x".repeat(501)})).await.problem(422, "invalid_request");
        assert_eq!(decide(&ids[0], "confirm", &json!({})).await.is(200).get("due_at"), None);
        assert_eq!(decide(&ids[1], "decline", &json!({"note": "Not she."})).await.is(200)["status"], "declined");
        assert_eq!(app.world.gateway.requests.carry_out_due().await.unwrap(), 0);
        // What was decided can be asked for again.
        app.world.pass(1);
        assert_eq!(guest.post(&path, &json!({"kind": "record"})).await.is(201)["status"], "open");
        let open = admin.get("/v1/subject-requests?status=open").await.is(200)["requests"].clone();
        assert_eq!(open.as_array().unwrap().len(), 1);
        let page = admin.get("/v1/subject-requests?limit=2").await.is(200);
        let next = page["next_cursor"].as_str().unwrap();
        let rest = admin.get(&format!("/v1/subject-requests?limit=2&cursor={next}")).await.is(200);
        assert_eq!((rest["requests"].as_array().unwrap().len(), &rest["next_cursor"]), (1, &Value::Null));
        // Another merchant's are not there, and no other role sees them.
        app.admin(&app.american)
            .await
            .post(&format!("/v1/subject-requests/{}/confirm", ids[0]), &json!({}))
            .await
            .problem(404, "not_found");
        app.role(&app.cathay, Role::Desk).await.get("/v1/subject-requests").await.problem(403, "forbidden");
        assert_eq!(findings(&app.world), [""; 0]);
        // An erasure settles what is open.
        admin.post("/v1/subjects/erase", &json!({"subject": "twitter:ada"})).await.is(200);
        let statuses: Vec<Value> = list(&app).await.iter().map(|it| it["status"].clone()).collect();
        assert_eq!(statuses, ["confirmed", "declined", "closed"]);
        guest.post(&path, &json!({"kind": "record"})).await.problem(409, "subject_erased");
        assert_eq!(findings(&app.world), [""; 0]);
        for (bend, mend) in [
            (
                "UPDATE subject_requests SET status = 'x' || status",
                "UPDATE subject_requests SET status = substr(status, 2)",
            ),
            (
                "UPDATE subject_requests SET asked_at = asked_at + 1",
                "UPDATE subject_requests SET asked_at = asked_at - 1",
            ),
            (
                "UPDATE subject_requests SET subject = 'x' || subject",
                "UPDATE subject_requests SET subject = substr(subject, 2)",
            ),
            ("UPDATE subject_requests SET id = 'x' || id", "UPDATE subject_requests SET id = substr(id, 2)"),
        ] {
            for (statement, is_found) in [(bend, true), (mend, false)] {
                let write = app.world.gateway.database.write(move |conn| {
                    perkgate::on_either!(conn, |c| diesel::sql_query(statement).execute(c)).map_err(DatabaseError::from)
                });
                write.await.unwrap();
                assert_eq!(!findings(&app.world).is_empty(), is_found, "{statement}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_ask_at_once_one_request_is_made() {
    for app in apps().await {
        app.lounge(RULE, "50").await;
        let (kiosk, guest) = (app.kiosk().await, app.anonymous());
        let paths: Vec<String> = {
            let mut paths = Vec::new();
            for _ in 0..4 {
                paths.push(format!("{}/requests", path_of(&ask(&kiosk, "twitter:ada").await)));
            }
            paths
        };
        let asked = futures_util::future::join_all(
            paths.iter().chain(&paths).map(async |path| guest.post(path, &json!({"kind": "erasure"})).await.status),
        );
        let statuses = asked.await;
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| matches!(status, 200 | 201)), "{statuses:?}");
        assert_eq!(list(&app).await.len(), 1);
        assert_eq!(findings(&app.world), [""; 0]);
    }
}
