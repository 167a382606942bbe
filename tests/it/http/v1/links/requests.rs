//! `POST /v1/my/{link}/requests`, and `/v1/subject-requests` where the merchant confirms or declines.

use diesel::RunQueryDsl as _;
use jiff::SignedDuration;
use perkgate::access::Role;
use perkgate::database::DatabaseError;
use perkgate::ledger::cases::requests::{PERSON, RequestStatus};
use perkgate::ledger::retention::erasure::{AskedFor, Erasure};
use serde_json::{Value, json};

use super::{apps, ask, findings, path_of};
use crate::support::app::TestApp;
use crate::support::world::CLI;

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
        view["status"] = json!("confirmed");
        assert_eq!(guest.get(&path_of(&granted)).await.is(200)["requests"], json!([view]));
        assert_eq!(findings(&app.world), [""; 0]);

        let requests = &app.world.gateway.requests;
        app.world.pass(7 * 24 * 3600 - 61);
        assert_eq!(requests.carry_out_due().await.unwrap(), 0, "a second too early");
        let again = ask(&kiosk, "member:1").await;
        assert_eq!(again.is(200)["decision"], "granted");
        app.world.pass(1);
        assert_eq!(requests.carry_out_due().await.unwrap(), 0, "another visit holds the person");
        // It is put off, and said so everywhere.
        view["carried_out_at"] = json!("2012-05-22T18:59:59Z");
        let pending = guest.post(&format!("{}/requests", path_of(&again)), &json!({"kind": "erasure"})).await;
        assert_eq!(pending.is(200), view);
        assert_eq!(list(&app).await[0]["due_at"], view["carried_out_at"]);
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
async fn it_waits_for_what_was_used_by_hand_as_long_as_that_counts() {
    let rule = RULE.replace(
        r#""limits":["#,
        r#""override":{"reasons":["courtesy"],"max":3,"window":{"rolling":"P2D"},"scope":["subject"]},"limits":["#,
    );
    for app in apps().await {
        let rule = rule.replace(r#""rolling":"P7D""#, r#""calendar":"day""#);
        app.lounge(&rule, "50").await;
        let (kiosk, desk) = (app.kiosk().await, app.role(&app.cathay, Role::Desk).await);
        let path = format!("/v1/checks/{}/override", ask(&kiosk, "twitter:ada").await.text_of("check"));
        let granted = desk.post(&path, &json!({"reason": "courtesy", "tier": "main"})).await;
        assert_eq!(granted.is(201)["decision"], "granted");
        let path = format!("{}/requests", path_of(&granted));
        let asked = app.anonymous().post(&path, &json!({"kind": "erasure"})).await.is(201);
        assert_eq!(asked["carried_out_at"], "2012-05-10T19:00:00Z");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_was_confirmed_can_be_declined_until_it_is_carried_out() {
    for app in apps().await {
        app.lounge(RULE, "50").await;
        let (kiosk, guest, admin) = (app.kiosk().await, app.anonymous(), app.admin(&app.cathay).await);
        let granted = ask(&kiosk, "member:1").await;
        let path = format!("{}/requests", path_of(&granted));
        let decide = async |request: &str, step: &str| {
            admin.post(&format!("/v1/subject-requests/{request}/{step}"), &json!({})).await
        };
        guest.post(&path, &json!({"kind": "erasure"})).await.is(201);
        let request = list(&app).await[0]["request"].as_str().unwrap().to_owned();
        decide(&request, "confirm").await.is(200);
        let declined = decide(&request, "decline").await.is(200);
        assert_eq!((&declined["status"], declined.get("due_at")), (&json!("declined"), None));
        decide(&request, "decline").await.problem(409, "already_decided");
        decide(&request, "confirm").await.problem(409, "already_decided");
        let shown = guest.get(&path_of(&granted)).await.is(200)["requests"].clone();
        assert_eq!(shown, json!([{"kind": "erasure", "status": "declined", "asked_at": "2012-05-08T19:00:00Z"}]));
        app.world.pass(30 * 24 * 3600);
        let gateway = &app.world.gateway;
        assert_eq!(gateway.requests.carry_out_due().await.unwrap(), 0);
        // Nor in the moment in which it was about to be.
        let subject = gateway.keyring.subject_refs(&app.cathay.id, &"member:1".parse().unwrap());
        let erasure = |by| Erasure { merchant: app.cathay.id.clone(), subject, by, asked: None };
        assert!(gateway.scores.erase(&gateway.ledger, erasure(PERSON)).await.unwrap().is_none());
        assert_eq!(list(&app).await[0]["subject"], "member:1");
        assert_eq!(findings(&app.world), [""; 0]);

        let path = format!("{}/requests", path_of(&ask(&kiosk, "member:1").await));
        app.world.pass(1);
        guest.post(&path, &json!({"kind": "erasure"})).await.is(201);
        let request = list(&app).await[1]["request"].as_str().unwrap().to_owned();
        decide(&request, "confirm").await.is(200);
        app.world.pass(30 * 24 * 3600);
        assert_eq!(gateway.requests.carry_out_due().await.unwrap(), 1);
        decide(&request, "decline").await.problem(409, "subject_erased");
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_does_not_overtake_the_record_that_was_asked_for_with_it() {
    // Nothing holds the person after midnight.
    let rule = RULE.replace(r#""rolling":"P7D""#, r#""calendar":"day""#);
    for app in apps().await {
        app.lounge(&rule, "50").await;
        let (kiosk, guest, admin) = (app.kiosk().await, app.anonymous(), app.admin(&app.cathay).await);
        let requests = &app.world.gateway.requests;
        let decide = async |request: &Value, step: &str| {
            let request = request["request"].as_str().unwrap();
            admin.post(&format!("/v1/subject-requests/{request}/{step}"), &json!({})).await.is(200)
        };
        // Declined, read once it was confirmed, and left undecided for a month.
        for (who, step) in [("member:1", "decline"), ("member:2", "confirm"), ("member:3", "")] {
            let path = format!("{}/requests", path_of(&ask(&kiosk, who).await));
            guest.post(&path, &json!({"kind": "record"})).await.is(201);
            guest.post(&path, &json!({"kind": "erasure"})).await.is(201);
            let listed = list(&app).await;
            let open = |kind: &str| listed.iter().find(|it| it["kind"] == kind && it["subject"] == who).unwrap();
            let (record, erasure) = (open("record"), open("erasure"));
            // Limits would let it be at midnight: everyone is told when it will be.
            let latest = (app.world.now() + SignedDuration::from_hours(30 * 24)).to_string();
            let told = async || {
                let listed = list(&app).await;
                let one = listed.iter().find(|it| it["request"] == erasure["request"]).unwrap();
                (one["due_at"].clone(), one["waits_for_record"].clone())
            };
            let shown = guest.get(&path.replace("/requests", "")).await.is(200);
            let own = shown["requests"].as_array().unwrap().iter().find(|it| it["kind"] == "erasure").unwrap();
            assert_eq!(own["carried_out_at"], latest, "{who}");
            assert_eq!(told().await, (Value::Null, json!(true)), "{who}");
            let decided = decide(erasure, "confirm").await;
            assert_eq!((&decided["due_at"], &decided["waits_for_record"]), (&json!(latest), &json!(true)), "{who}");
            assert_eq!(told().await, (json!(latest), json!(true)), "{who}");
            app.world.pass(24 * 3600);
            assert_eq!(requests.carry_out_due().await.unwrap(), 0, "{who}: the record comes first");
            if step.is_empty() {
                app.world.pass(29 * 24 * 3600);
            } else {
                decide(record, step).await;
            }
            if step == "confirm" {
                assert_eq!(requests.carry_out_due().await.unwrap(), 0, "it is not handed over");
                app.world.pass(1);
                admin.post("/v1/subjects/record", &json!({"subject": who})).await.is(200);
            }
            assert!(told().await.1.is_null(), "{who}");
            assert_eq!(requests.carry_out_due().await.unwrap(), 1, "{who}");
            assert_eq!(findings(&app.world), [""; 0]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_read_before_it_was_confirmed_is_waited_for_no_more() {
    let rule = RULE.replace(r#""rolling":"P7D""#, r#""calendar":"day""#);
    for app in apps().await {
        app.lounge(&rule, "50").await;
        let (kiosk, guest, admin) = (app.kiosk().await, app.anonymous(), app.admin(&app.cathay).await);
        let read = async || admin.post("/v1/subjects/record", &json!({"subject": "member:1"})).await.is(200);
        let path = format!("{}/requests", path_of(&ask(&kiosk, "member:1").await));
        // What was read before they asked is another one.
        read().await;
        app.world.pass(1);
        for kind in ["record", "erasure"] {
            guest.post(&path, &json!({"kind": kind})).await.is(201);
        }
        let confirm = async |kind: &str| {
            let listed = list(&app).await;
            let request = listed.iter().find(|it| it["kind"] == kind).unwrap()["request"].as_str().unwrap();
            admin.post(&format!("/v1/subject-requests/{request}/confirm"), &json!({})).await.is(200);
        };
        confirm("erasure").await;
        app.world.pass(24 * 3600);
        let requests = &app.world.gateway.requests;
        assert_eq!(requests.carry_out_due().await.unwrap(), 0);
        read().await;
        app.world.pass(60);
        assert_eq!(requests.carry_out_due().await.unwrap(), 0, "nobody has decided yet");
        confirm("record").await;
        assert_eq!(requests.carry_out_due().await.unwrap(), 1);
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_in_the_moment_of_an_erasure_puts_it_off() {
    for app in apps().await {
        app.lounge(RULE, "50").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let path = format!("{}/requests", path_of(&ask(&kiosk, "member:1").await));
        app.anonymous().post(&path, &json!({"kind": "erasure"})).await.is(201);
        let request = list(&app).await[0]["request"].as_str().unwrap().to_owned();
        admin.post(&format!("/v1/subject-requests/{request}/confirm"), &json!({})).await.is(200);
        app.world.pass(8 * 24 * 3600);
        let gateway = &app.world.gateway;
        let handle = "member:1".parse().unwrap();
        let subject = gateway.keyring.subject_refs(&app.cathay.id, &handle);
        let person = gateway.ledger.reader().find_person(&app.cathay.id, &handle).await.unwrap().unwrap();
        let limits = gateway.ledger.reader().limits_of(&app.cathay.id, &person).await.unwrap();
        // As it was found to be due, before the person came once more.
        assert_eq!(ask(&kiosk, "member:1").await.is(200)["decision"], "granted");
        let erase = async |limits| {
            let asked = AskedFor { name: person.pseudonym.clone(), limits, waits_until: app.world.now() };
            let merchant = app.cathay.id.clone();
            let erasure = Erasure { merchant, subject, by: PERSON, asked: Some(asked) };
            gateway.scores.erase(&gateway.ledger, erasure).await.unwrap().is_some()
        };
        assert!(!erase(limits).await);
        let limits = gateway.ledger.reader().limits_of(&app.cathay.id, &person).await.unwrap();
        assert!(erase(limits).await, "as it stands now");
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_are_held_and_rows_that_cannot_be_read_keep_no_other_waiting() {
    for app in apps().await {
        app.lounge(RULE, "50").await;
        let (kiosk, guest, admin) = (app.kiosk().await, app.anonymous(), app.admin(&app.cathay).await);
        let (held, ada) = (ask(&kiosk, "member:1").await, ask(&kiosk, "twitter:ada").await);
        for answer in [&held, &ada] {
            guest.post(&format!("{}/requests", path_of(answer)), &json!({"kind": "erasure"})).await.is(201);
        }
        for request in list(&app).await {
            let path = format!("/v1/subject-requests/{}/confirm", request["request"].as_str().unwrap());
            admin.post(&path, &json!({})).await.is(200);
        }
        // More than are read at once, of which limits hold the person; and before them two that nobody can read.
        let held = held.text_of("check");
        for (kind, from, to, due_at) in [("erasure", 1, 230, 1), ("x", 231, 232, 0)] {
            let insert = format!(
                "INSERT INTO subject_requests WITH RECURSIVE n(i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE \
                 i < {to}) SELECT 'srq_0000000000007000800000000' || (1000000 + n.i), r.merchant_id, r.check_id, r.subject, \
                 '{kind}', r.status, r.asked_at, r.decided_at, r.decided_by, {due_at} FROM n CROSS JOIN \
                 subject_requests r WHERE r.check_id = '{held}' AND r.id NOT LIKE 'srq_00000000000070008%'"
            );
            let write = app.world.gateway.database.write(move |conn| {
                perkgate::on_either!(conn, |c| diesel::sql_query(insert).execute(c)).map_err(DatabaseError::from)
            });
            assert_eq!(write.await.unwrap(), to - from + 1);
        }
        let requests = &app.world.gateway.requests;
        assert!(requests.carry_out_due().await.is_err(), "what failed is said");
        let check = ada.text_of("check").parse().unwrap();
        let status = requests.list_by(&app.cathay.id, &check).await.unwrap()[0].status;
        assert_eq!(status, RequestStatus::CarriedOut);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_held_to_the_whole_log_also_once_checks_are_pruned() {
    for app in apps().await {
        app.lounge(RULE, "50").await;
        let (kiosk, guest, admin) = (app.kiosk().await, app.anonymous(), app.admin(&app.cathay).await);
        for who in ["twitter:ada", "twitter:bob", "twitter:cy"] {
            let path = format!("{}/requests", path_of(&ask(&kiosk, who).await));
            for kind in ["erasure", "record"] {
                guest.post(&path, &json!({"kind": kind})).await.is(201);
                app.world.pass(1);
            }
        }
        for request in list(&app).await.iter().take(3) {
            let path = format!("/v1/subject-requests/{}/confirm", request["request"].as_str().unwrap());
            admin.post(&path, &json!({})).await.is(200);
        }
        // The records that they asked for too come first.
        assert_eq!(app.world.gateway.requests.carry_out_due().await.unwrap(), 0);
        for who in ["twitter:ada", "twitter:bob", "twitter:cy"] {
            admin.post("/v1/subjects/record", &json!({"subject": who})).await.is(200);
        }
        for request in list(&app).await.iter().filter(|it| it["kind"] == "record" && it["status"] == "open") {
            let path = format!("/v1/subject-requests/{}/decline", request["request"].as_str().unwrap());
            admin.post(&path, &json!({})).await.is(200);
        }
        assert_eq!(app.world.gateway.requests.carry_out_due().await.unwrap(), 2);
        let before = app.world.now().checked_add(SignedDuration::from_hours(1)).unwrap();
        app.world.pass(400 * 86_400);
        let ledger = &app.world.gateway.ledger;
        let plan = ledger.plan_pruning(&app.cathay.id, before, |_, _| ()).await.unwrap();
        assert!(ledger.prune(&plan, CLI, |_, _| ()).await.unwrap() >= 1);
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
            (
                "UPDATE subject_requests SET due_at = due_at + 1 WHERE due_at IS NOT NULL",
                "UPDATE subject_requests SET due_at = due_at - 1 WHERE due_at IS NOT NULL",
            ),
            (
                "INSERT INTO subject_requests SELECT 'srq_00000000000070008000000000000001', merchant_id, check_id, subject, \
                 'erasure', 'confirmed', 0, 0, 'cli', 0 FROM subject_requests LIMIT 1",
                "DELETE FROM subject_requests WHERE id = 'srq_00000000000070008000000000000001'",
            ),
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
        // Who was only refused is held by no limit, but the record that was asked for comes first. Ids of one instant have
        // no order.
        app.world.pass(1);
        let asked = guest.post(&path, &json!({"kind": "erasure"})).await.is(201);
        assert_eq!(asked["carried_out_at"], "2012-06-07T19:00:01Z");
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
