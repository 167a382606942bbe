//! `/v1/attributes` and the feeds that fill them: what is declared, what is kept, and what checks make of it.

mod changes;
mod feeds;

use perkgate::access::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::shape::assert_shape;
use crate::support::world::question;

const STATUS: &str = "/v1/attributes/status";

async fn import(client: &Client, feed: &str) -> Value {
    let sent = client.ask(Method::POST, "/v1/subjects/attributes/import").body("text/csv", feed.to_owned()).await;
    sent.is(200)
}

/// Declares `status`, a text, with these terms beside.
async fn declare(admin: &Client, terms: Value) -> Reply {
    let mut body = json!({"type": "text", "purpose": "lounge"});
    body.as_object_mut().unwrap().extend(terms.as_object().unwrap().clone());
    admin.put(STATUS, &body).await
}

/// A perk for those whose status is gold.
async fn members_only(admin: &Client) {
    let when = json!({"attr": "subject.status", "op": "eq", "value": "gold"});
    let rule = json!({"tiers": [{"id": "member", "when": when}]});
    let perk = json!({"perk": "club", "name": "Club", "rule": rule, "publish": true});
    admin.post("/v1/perks", &perk).await.is(201);
}

async fn check(client: &Client, subject: &str) -> Value {
    client.post("/v1/checks", &json!({"perk": "club", "subject": subject})).await.is(200)
}

fn why(answer: &Value) -> (String, String, String) {
    let of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let reason = &answer["reasons"][0];
    (of(&answer["decision"]), of(&reason["code"]), of(&reason["attribute"]))
}

fn said(decision: &str, code: &str, attribute: &str) -> (String, String, String) {
    (decision.to_owned(), code.to_owned(), attribute.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attribute_is_declared_changed_and_deleted() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        admin.get(STATUS).await.problem(404, "not_found");
        let made = declare(&admin, json!({"max_age": "P30D"})).await;
        assert_shape!(made, @r#"
        201
        {
          "attribute":"status",
          "type":"text",
          "purpose":"lounge",
          "max_age":"P30D",
          "on_missing":"ignore"
        }
        "#);
        let tag = made.header("etag").to_owned();
        let again = declare(&admin, json!({"max_age": "P30D"})).await;
        assert_eq!((again.status, again.header("etag")), (200, &*tag), "nothing changed");
        let shown = admin.get(STATUS).await;
        assert_eq!((shown.status, shown.header("etag"), &shown.text), (200, &*tag, &made.text));
        assert_eq!(admin.get("/v1/attributes").await.is(200)["attributes"], json!([shown.is(200)]));

        let body = json!({"type": "text", "purpose": "event", "on_missing": "refer"}).to_string();
        let other = admin.ask(Method::PUT, STATUS).header("if-match", "\"0\"").json(body.clone()).await;
        other.problem(412, "precondition_failed");
        let changed = admin.ask(Method::PUT, STATUS).header("if-match", &tag).json(body).await;
        assert_eq!((changed.status, &changed.is(200)["on_missing"]), (200, &json!("refer")));
        assert_ne!(changed.header("etag"), tag);

        // Tenants are walls.
        let theirs = app.admin(&app.american).await;
        theirs.get(STATUS).await.problem(404, "not_found");
        theirs.delete(STATUS).await.problem(404, "not_found");
        assert_eq!(theirs.get("/v1/attributes").await.is(200)["attributes"], json!([]));

        // A type is changed while there is nothing of it.
        admin.put(STATUS, &json!({"type": "list", "purpose": "event"})).await.is(200);
        admin.put(STATUS, &json!({"type": "text", "purpose": "event"})).await.is(200);
        assert_eq!(import(&admin, "subject,attribute,value\nada,status,gold\n").await["accepted"], 1);
        let kept = admin.put(STATUS, &json!({"type": "list", "purpose": "event"})).await;
        kept.problem(409, "attribute_in_use");
        admin.delete(STATUS).await.is(204);
        admin.delete(STATUS).await.problem(404, "not_found");
        let record = admin.post("/v1/subjects/record", &json!({"subject": "ada"})).await;
        assert_eq!(record.is(200)["attributes"], Value::Null, "its values went with it");
        admin.put(STATUS, &json!({"type": "list", "purpose": "event"})).await.is(201);

        let events = admin.get("/v1/audit/events?limit=200").await.is(200);
        let kinds: Vec<&str> =
            events["events"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect();
        for kind in ["attribute.declared", "attribute.changed", "attribute.deleted"] {
            assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
        }
        app.world.tally(&app.cathay);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_perks_must_not_be_for_attributes_must_not_either() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        for purpose in ["employment", "credit", "insurance", "housing", "essential_service"] {
            let refused = admin.put(STATUS, &json!({"type": "text", "purpose": purpose})).await;
            assert_eq!(refused.spot(422, "invalid_request"), ("/purpose".into(), "purpose_refused".into()));
        }
        for (body, pointer, code) in [
            (json!({"type": "text"}), "/purpose", "missing_field"),
            (json!({"purpose": "lounge"}), "/type", "missing_field"),
            (json!({"type": "instant", "purpose": "lounge"}), "/type", "invalid_value"),
            (json!({"type": "text", "purpose": "lounges"}), "/purpose", "unknown_purpose"),
            (json!({"type": "text", "purpose": "lounge", "on_missing": "grant"}), "/on_missing", "invalid_value"),
            (json!({"type": "text", "purpose": "lounge", "max_age": "P4000D"}), "/max_age", "invalid_value"),
            (json!({"type": "text", "purpose": "lounge", "unit": "x"}), "/unit", "unknown_field"),
        ] {
            let refused = admin.put(STATUS, &body).await.spot(422, "invalid_request");
            assert_eq!(refused, (pointer.to_owned(), code.to_owned()), "{body}");
        }
        for name in ["network", "Status", "a.b", "1st", &"a".repeat(33), "%E2%80%AE"] {
            let refused =
                admin.put(&format!("/v1/attributes/{name}"), &json!({"type": "text", "purpose": "lounge"})).await;
            assert_eq!(refused.status, 422, "{name}: {}", refused.text);
        }
        let one_more = |nth: usize| (format!("/v1/attributes/a{nth}"), json!({"type": "number", "purpose": "lounge"}));
        for nth in 0..100 {
            let (path, body) = one_more(nth);
            admin.put(&path, &body).await.is(201);
        }
        let (path, body) = one_more(100);
        admin.put(&path, &body).await.problem(422, "invalid_request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_looks_at_what_is_declared_and_as_it_is_declared() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let publish = async |when: Value| {
            let rule = json!({"tiers": [{"id": "member", "when": when}]});
            admin.post("/v1/perks", &json!({"perk": "club", "name": "Club", "rule": rule, "publish": true})).await
        };
        let gold = json!({"attr": "subject.status", "op": "eq", "value": "gold"});
        let refused = publish(gold.clone()).await;
        assert_eq!(
            refused.spot(422, "invalid_request"),
            ("/rule/tiers/0/when/attr".into(), "undeclared_attribute".into())
        );
        assert!(refused.text.contains("PUT /v1/attributes/status"), "{}", refused.text);
        declare(&admin, json!({})).await.is(201);
        let refused = publish(json!({"attr": "subject.status", "op": "gte", "value": 3})).await;
        assert_eq!(refused.spot(422, "invalid_request"), ("/rule/tiers/0/when".into(), "wrong_type".into()));
        publish(gold).await.is(201);
        // A rule looks at it: it can't be taken away.
        admin.delete(STATUS).await.problem(409, "attribute_in_use");
        admin.post("/v1/perks/club/retire", &json!({})).await.is(200);
        admin.delete(STATUS).await.is(204);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_let_in_whatever_their_score_from_the_moment_they_are_known() {
    for app in TestApp::all().await {
        let (admin, kiosk) = (app.admin(&app.cathay).await, app.kiosk().await);
        declare(&admin, json!({})).await.is(201);
        members_only(&admin).await;
        let unknown = check(&kiosk, "twitter:ada").await;
        assert_eq!(why(&unknown), said("denied", "attribute_missing", "subject.status"));
        assert_eq!((&unknown["score"], &unknown["next_eligible_at"]), (&Value::Null, &Value::Null));
        let feed = "subject,attribute,value,valid_until\ntwitter:ada,status,gold,2012-05-08T20:00:00Z\ntwitter:bob,status,blue,\n";
        assert_eq!(import(&app.feeder(&app.cathay).await, feed).await["accepted"], 2);
        let granted = check(&kiosk, "Twitter:Ada").await;
        assert_eq!((&granted["decision"], &granted["tier"]), (&json!("granted"), &json!("member")));
        assert_eq!(granted["score"], Value::Null, "no score is looked up");
        assert_eq!(why(&check(&kiosk, "twitter:bob").await), said("denied", "condition_not_met", "subject.status"));
        // Another merchant's members are nobody here, and ours nobody there.
        let theirs = app.admin(&app.american).await;
        declare(&theirs, json!({})).await.is(201);
        members_only(&theirs).await;
        assert_eq!(why(&check(&theirs, "twitter:ada").await), said("denied", "attribute_missing", "subject.status"));

        // The last value stands, and is seen at once.
        import(&admin, "subject,attribute,value\ntwitter:bob,status,gold\n").await;
        assert_eq!(check(&kiosk, "twitter:bob").await["decision"], "granted");
        import(&admin, "subject,attribute,value,valid_until\ntwitter:bob,status,gold,2012-05-08T00:00:00Z\n").await;
        assert_eq!(why(&check(&kiosk, "twitter:bob").await), said("denied", "attribute_stale", "subject.status"));

        // From its end on a value is not known any more.
        app.world.pass(3_599);
        assert_eq!(check(&kiosk, "twitter:ada").await["decision"], "granted");
        app.world.pass(1);
        let ended = check(&kiosk, "twitter:ada").await;
        assert_eq!(why(&ended), said("denied", "attribute_stale", "subject.status"));
        let message = ended["reasons"][0]["message"].as_str().unwrap();
        assert!(message.ends_with("subject.status is known no longer."), "{message}");

        let meanwhile = json!({"from": "2012-05-08T00:00:00Z"});
        app.world.pass(1);
        let replayed = admin.post("/v1/perks/club/backtest", &meanwhile).await.is(200);
        assert_eq!(
            (&replayed["reproduction"]["checks"], &replayed["reproduction"]["mismatches"]),
            (&json!(7), &json!(0)),
            "{replayed}"
        );
        app.world.tally(&app.cathay);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_ages_from_when_it_was_last_said() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        declare(&admin, json!({"max_age": "P1D"})).await.is(201);
        members_only(&admin).await;
        let feed = "subject,attribute,value\nada,status,gold\n";
        import(&admin, feed).await;
        app.world.pass(24 * 3600);
        assert_eq!(check(&admin, "ada").await["decision"], "granted");
        app.world.pass(1);
        assert_eq!(why(&check(&admin, "ada").await), said("denied", "attribute_stale", "subject.status"));
        assert_eq!(import(&admin, feed).await["unchanged"], 1);
        assert_eq!(check(&admin, "ada").await["decision"], "granted");
        // Where its terms change, the next check goes by them.
        declare(&admin, json!({"max_age": "PT1H"})).await.is(200);
        app.world.pass(3_601);
        assert_eq!(check(&admin, "ada").await["decision"], "denied");
        declare(&admin, json!({})).await.is(200);
        assert_eq!(check(&admin, "ada").await["decision"], "granted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_no_value_is_dealt_with_as_declared() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        declare(&admin, json!({})).await.is(201);
        // The lesser tier asks for no status.
        let tiers = json!([{"id": "gold", "rank": 2, "when": {"attr": "subject.status", "op": "eq", "value": "gold"}},
                           {"id": "guest", "rank": 1}]);
        let perk = json!({"perk": "club", "name": "Club", "rule": {"tiers": tiers}, "publish": true});
        admin.post("/v1/perks", &perk).await.is(201);
        assert_eq!(check(&admin, "ada").await["tier"], "guest");
        for (on_missing, decision) in [("deny", "denied"), ("refer", "referred")] {
            declare(&admin, json!({"on_missing": on_missing})).await.is(200);
            assert_eq!(why(&check(&admin, "ada").await), said(decision, "attribute_missing", "subject.status"));
            let tried = admin.post("/v1/perks/club/simulate", &json!({"subject": "ada"})).await.is(200);
            assert_eq!(tried["trace"]["attributes"], json!({"passed": false, "missing": ["subject.status"]}));
            assert_eq!((&tried["decision"], &tried["trace"]["decision"]), (&json!(decision), &json!(decision)));
            let assumed = json!({"subject": "ada", "attributes": {"status": "gold"}});
            let tried = admin.post("/v1/perks/club/simulate", &assumed).await.is(200);
            assert_eq!((&tried["tier"], &tried["trace"]["attributes"]), (&json!("gold"), &Value::Null));
        }
        // Of one whose value has ended it is said that it has.
        import(&admin, "subject,attribute,value,valid_until\neve,status,gold,2012-05-08T00:00:00Z\n").await;
        assert_eq!(why(&check(&admin, "eve").await), said("referred", "attribute_stale", "subject.status"));
        let unfit = json!({"attributes": {"status": {"a": 1}}});
        let refused = admin.post("/v1/perks/club/simulate", &unfit).await.spot(422, "invalid_request");
        assert_eq!(refused, ("/attributes/status".into(), "wrong_type".into()));
        let unused = json!({"attributes": {"nights": 3}});
        let tried = admin.post("/v1/perks/club/simulate", &unused).await.is(200);
        let codes: Vec<&Value> = tried["warnings"].as_array().unwrap().iter().map(|it| &it["code"]).collect();
        assert!(codes.contains(&&json!("attribute_unused")), "{tried}");
        app.world.pass(1);
        let replayed = admin.post("/v1/perks/club/backtest", &json!({"from": "2012-05-08T00:00:00Z"})).await.is(200);
        assert_eq!(
            (&replayed["reproduction"]["checks"], &replayed["reproduction"]["mismatches"]),
            (&json!(4), &json!(0)),
            "{replayed}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_where_a_value_does() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        admin.put("/v1/attributes/banned", &json!({"type": "boolean", "purpose": "lounge"})).await.is(201);
        let when = json!({"not": {"attr": "subject.banned", "op": "exists"}});
        let perk =
            json!({"perk": "club", "name": "Club", "rule": {"tiers": [{"id": "t", "when": when}]}, "publish": true});
        admin.post("/v1/perks", &perk).await.is(201);
        import(&admin, "subject,attribute,value,valid_until\nada,banned,true,2012-05-09T00:00:00Z\nbob,banned,true,2012-06-09T00:00:00Z\n").await;
        let ada = check(&admin, "ada").await;
        assert_eq!((&ada["decision"], &ada["next_eligible_at"]), (&json!("denied"), &json!("2012-05-09T00:00:00Z")));
        assert_eq!(check(&admin, "bob").await["next_eligible_at"], Value::Null, "beyond the horizon");
        app.world.pass(5 * 3600);
        assert_eq!(check(&admin, "ada").await["decision"], "granted");
        app.world.pass(1);
        let replayed = admin.post("/v1/perks/club/backtest", &json!({"from": "2012-05-08T00:00:00Z"})).await.is(200);
        assert_eq!(
            (&replayed["reproduction"]["checks"], &replayed["reproduction"]["mismatches"]),
            (&json!(3), &json!(0)),
            "{replayed}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_looked_at_is_sealed_shown_to_the_person_and_erased_with_them() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        declare(&admin, json!({})).await.is(201);
        admin.put("/v1/attributes/nights", &json!({"type": "number", "purpose": "lounge"})).await.is(201);
        members_only(&admin).await;
        import(&admin, "subject,attribute,value,valid_until\nada,status,gold,2013-01-01T00:00:00Z\nada,nights,12.5,\n")
            .await;
        assert_eq!(check(&admin, "ada").await["decision"], "granted");
        let events = admin.get("/v1/audit/events?limit=200").await;
        assert!(!events.text.contains("gold"), "it is sealed: {}", events.text);
        let record = admin.post("/v1/subjects/record", &json!({"subject": "ada"})).await.is(200);
        let at = "2012-05-08T19:00:00Z";
        let held = json!([{"attribute": "nights", "value": 12.5, "valid_until": null, "recorded_at": at},
                          {"attribute": "status", "value": "gold", "valid_until": "2013-01-01T00:00:00Z", "recorded_at": at}]);
        assert_eq!(record["attributes"], held);
        let checked = record["events"].as_array().unwrap().iter().find(|it| it["kind"] == "check.decided").unwrap();
        let context = json!({"subject.status": "gold", "subject.status.until": "2013-01-01T00:00:00Z"});
        assert_eq!(checked["personal"]["context"], context, "what it looked at, and no more");

        let erased = admin.post("/v1/subjects/erase", &json!({"subject": "ada"})).await.is(200);
        assert_eq!((&erased["erased"], &erased["attributes"], &erased["scores"]), (&json!(true), &json!(2), &json!(0)));
        assert_eq!(why(&check(&admin, "ada").await), said("denied", "attribute_missing", "subject.status"));
        let again = admin.post("/v1/subjects/record", &json!({"subject": "ada"})).await.is(200);
        assert_eq!(again["attributes"], Value::Null);
        // Of whom only an attribute is kept there is something to erase, too.
        import(&admin, "subject,attribute,value\neve,status,gold\n").await;
        let erased = admin.post("/v1/subjects/erase", &json!({"subject": "eve"})).await.is(200);
        assert_eq!((&erased["erased"], &erased["attributes"]), (&json!(true), &json!(1)));
        app.world.tally(&app.cathay);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_of_the_past_says_what_was_not_known_then_and_can_do_without_what_is() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        declare(&admin, json!({})).await.is(201);
        members_only(&admin).await;
        import(&admin, "subject,attribute,value\nada,status,gold\n").await;
        let codes = |tried: &Value| -> Vec<String> {
            let all = tried["warnings"].as_array().unwrap().iter().map(|it| it["code"].as_str().unwrap().to_owned());
            all.filter(|code| code.starts_with("attribute")).collect()
        };
        let simulate = async |body: Value| admin.post("/v1/perks/club/simulate", &body).await.is(200);
        let now = simulate(json!({"subject": "ada"})).await;
        assert_eq!((&now["tier"], codes(&now)), (&json!("member"), vec![]));
        let past = simulate(json!({"subject": "ada", "at": "2012-05-07T19:00:00Z"})).await;
        assert_eq!((&past["tier"], codes(&past)), (&json!("member"), vec!["attribute_is_newer".to_owned()]));
        let assumed = json!({"subject": "ada", "at": "2012-05-07T19:00:00Z", "attributes": {"status": "gold"}});
        assert_eq!(codes(&simulate(assumed).await), [""; 0]);
        let without = simulate(json!({"subject": "ada", "attributes": {"status": null}})).await;
        assert_eq!((&without["decision"], codes(&without)), (&json!("denied"), vec![]));
        let other = simulate(json!({"subject": "ada", "attributes": {"status": ["gold"]}})).await;
        assert_eq!(codes(&other), ["attribute_of_other_type"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_has_not_heard_of_a_new_declaration_goes_by_it_once_it_meets_its_values() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        declare(&admin, json!({"on_missing": "deny"})).await.is(201);
        let replica = app.world.replica().await;
        let here = &app.world.gateway;
        let kiosk = app.world.principal(&app.cathay, Role::Kiosk).await;
        members_only(&admin).await;
        replica.catalog.reload().await.unwrap();
        // Deleted and declared again, of which the replica hears at its next poll, and it never polls.
        admin.post("/v1/perks/club/retire", &json!({})).await.is(200);
        admin.delete(STATUS).await.is(204);
        declare(&admin, json!({})).await.is(201);
        let when = json!({"attr": "subject.status", "op": "eq", "value": "gold"});
        let perk =
            json!({"perk": "bar", "name": "Bar", "rule": {"tiers": [{"id": "member", "when": when}]}, "publish": true});
        admin.post("/v1/perks", &perk).await.is(201);
        import(&admin, "subject,attribute,value\nada,status,gold\n").await;
        for gateway in [&replica, &**here] {
            let asked = gateway.checker.check(&kiosk, &app.cathay, question("bar", "ada")).await.unwrap();
            assert!(asked.decided.is_granted(), "{:?}", asked.decided);
        }
    }
}

/// As many as a rule can look at, each with all that is recorded of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_of_many_attributes_is_read_again() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let name = |nth: usize| format!("a{nth:02}");
        let mut feed = "subject,attribute,value,valid_until\n".to_owned();
        for nth in 0..80 {
            let terms = json!({"type": "text", "purpose": "lounge", "on_missing": "refer"});
            admin.put(&format!("/v1/attributes/{}", name(nth)), &terms).await.is(201);
            feed.push_str(&["ada,", &name(nth), ",gold,2013-01-01T00:00:00Z\n"].concat());
        }
        import(&admin, &feed).await;
        let pair = |nth: usize| json!({"attr": format!("subject.{}", name(nth)), "op": "eq", "ref": format!("subject.{}", name(nth + 1))});
        let all: Vec<Value> = (0..80).step_by(2).map(pair).collect();
        let rule = json!({"tiers": [{"id": "t", "when": {"all": all}}]});
        admin.post("/v1/perks", &json!({"perk": "club", "name": "Club", "rule": rule, "publish": true})).await.is(201);
        assert_eq!(check(&admin, "ada").await["decision"], "granted");
        app.world.pass(1);
        let replayed = admin.post("/v1/perks/club/backtest", &json!({"from": "2012-05-08T00:00:00Z"})).await.is(200);
        let counts = (&replayed["reproduction"]["checks"], &replayed["reproduction"]["mismatches"]);
        assert_eq!(counts, (&json!(1), &json!(0)), "{replayed}");
    }
}
