//! The life of a version: what each step allows, who may lose what, and that nobody's edit is lost.

use reqwest::Method;
use serde_json::{Value, json};

use crate::http::v1::{fact, kinds, life};
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};

const LOUNGE: &str = "/v1/perks/sfo-lounge";
const SECOND: &str = "/v1/perks/sfo-lounge/versions/2";

fn rule(least: i64) -> Value {
    json!({"at_least": least, "score": "klout"})
}

async fn perk(admin: &Client) {
    let body = json!({"perk": "sfo-lounge", "name": "SFO", "rule": rule(40), "publish": true});
    admin.post("/v1/perks", &body).await.is(201);
}

/// Adds a draft; its number.
async fn draft(admin: &Client, least: i64) -> i64 {
    let made = admin.post(&format!("{LOUNGE}/versions"), &json!({"rule": rule(least)})).await.is(201);
    made["version"].as_i64().unwrap()
}

async fn edit(admin: &Client, path: &str, tag: &str, least: i64) -> Reply {
    admin.put(path, &json!({"rule": rule(least), "change_note": "Edited."})).header("if-match", tag).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_edited_by_those_who_saw_it_as_it_is() {
    for app in TestApp::all().await {
        let (ada, bob) = (app.admin(&app.cathay).await, app.admin(&app.cathay).await);
        perk(&ada).await;
        draft(&ada, 45).await;
        let seen = ada.get(SECOND).await;
        let tag = seen.header("etag").to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() == 34, "{tag}");
        assert_eq!(ada.get(SECOND).await.header("etag"), tag, "it stays while nothing changes");

        ada.put(SECOND, &json!({"rule": rule(50)})).await.problem(428, "precondition_required");
        let before = life(&app).await.len();
        let edited = edit(&bob, SECOND, &tag, 50).await;
        assert_eq!(edited.is(200)["status"], "draft");
        assert_eq!(kinds(&app, before).await, ["rule.edited"]);
        let now = bob.get(SECOND).await;
        assert_eq!(now.header("etag"), edited.header("etag"));
        let version = now.is(200);
        assert_eq!(version["rule"]["tiers"][0]["when"]["value"], 50);
        assert_eq!((&version["change_note"], version["editors"].as_array().unwrap().len()), (&json!("Edited."), 1));
        assert_ne!(version["created_by"], version["editors"][0]);

        for stale in [tag.as_str(), "\"x\""] {
            edit(&ada, SECOND, stale, 55).await.problem(412, "precondition_failed");
        }
        edit(&ada, SECOND, &format!("\"x\", {}", edited.header("etag")), 55).await.is(200);
        edit(&ada, SECOND, "*", 60).await.is(200);
        let refused = admin_put(&ada, &json!({"rule": {"at_least": "x"}})).await;
        assert_eq!(refused.problem(422, "invalid_request")[0].0, "/rule/at_least");
        assert_eq!(ada.get(SECOND).await.is(200)["rule"]["tiers"][0]["when"]["value"], 60, "nothing half-done");
        for nowhere in ["/v1/perks/sfo-lounge/versions/9", "/v1/perks/nowhere/versions/1"] {
            edit(&ada, nowhere, "*", 40).await.problem(404, "not_found");
            ada.put(nowhere, &json!({"rule": rule(40)})).await.problem(404, "not_found");
        }
    }
}

async fn admin_put(admin: &Client, body: &Value) -> Reply {
    admin.put(SECOND, body).header("if-match", "*").await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_edits_at_once_one_is_told_and_none_is_lost() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        perk(&admin).await;
        draft(&admin, 45).await;
        for round in 0..4 {
            let tag = admin.get(SECOND).await.header("etag").to_owned();
            let edits = (0..6).map(|nth| edit(&admin, SECOND, &tag, 50 + round * 6 + nth));
            let replies = futures_util::future::join_all(edits).await;
            let won: Vec<_> = replies.iter().filter(|it| it.status == 200).collect();
            assert_eq!(won.len(), 1);
            replies.iter().filter(|it| it.status != 200).for_each(|it| drop(it.problem(412, "precondition_failed")));
            assert_eq!(admin.get(SECOND).await.header("etag"), won[0].header("etag"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_while_it_is_edited_is_one_of_the_two_and_whole() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        perk(&admin).await;
        for _ in 0..4 {
            let number = draft(&admin, 45).await;
            let path = format!("{LOUNGE}/versions/{number}");
            let tag = admin.get(&path).await.header("etag").to_owned();
            let publish = format!("{path}/publish");
            let (edited, published, again) = tokio::join!(
                edit(&admin, &path, &tag, 50),
                async { admin.ask(Method::POST, &publish).header("if-match", &tag).await },
                async { admin.ask(Method::POST, &publish).header("if-match", &tag).await },
            );
            let all = [&edited, &published, &again].map(|it| it.status);
            assert_eq!(all.iter().filter(|status| **status == 200).count(), 1, "{all:?}");
            let stands = admin.get(&path).await.is(200);
            let wanted = if edited.status == 200 { ("draft", 50) } else { ("published", 45) };
            assert_eq!(
                (&stands["status"], &stands["rule"]["tiers"][0]["when"]["value"]),
                (&json!(wanted.0), &json!(wanted.1))
            );
        }
        app.world.gateway.catalog.reload().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_publish_at_once_the_last_decides_and_the_others_are_retired() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        perk(&admin).await;
        for least in 41..45 {
            draft(&admin, least).await;
        }
        let publish = (2..6).map(|number| {
            let path = format!("{LOUNGE}/versions/{number}/publish");
            let admin = &admin;
            async move { admin.ask(Method::POST, &path).await.is(200) }
        });
        futures_util::future::join_all(publish).await;
        let versions = admin.get(&format!("{LOUNGE}/versions")).await.is(200);
        let of = |status: &str| {
            let all = versions["versions"].as_array().unwrap().iter();
            all.filter(|it| it["status"] == status).map(|it| it["version"].as_i64().unwrap()).collect::<Vec<_>>()
        };
        let published = of("published");
        assert_eq!((published.len(), of("retired").len()), (1, 4));
        assert_eq!(admin.get(LOUNGE).await.is(200)["published_version"], published[0]);
    }
}

/// Every step from every status: what it becomes, or the code of the refusal.
const TABLE: [(&str, [&str; 6]); 9] = [
    //            draft            in_review        approved         scheduled          published      retired
    ("edit", ["draft", "!not_a_draft", "!not_a_draft", "!not_a_draft", "!not_a_draft", "!not_a_draft"]),
    ("delete", ["gone", "!not_a_draft", "!not_a_draft", "!not_a_draft", "!not_a_draft", "!not_a_draft"]),
    ("submit", ["in_review", "!not_a_draft", "!not_a_draft", "!not_a_draft", "!not_a_draft", "!not_a_draft"]),
    ("approve", ["!wrong_status", "approved", "!wrong_status", "!wrong_status", "!wrong_status", "!wrong_status"]),
    ("reject", ["!wrong_status", "draft", "draft", "!wrong_status", "!wrong_status", "!wrong_status"]),
    ("withdraw", ["!wrong_status", "draft", "draft", "!wrong_status", "!wrong_status", "!wrong_status"]),
    ("publish", ["published", "!wrong_status", "published", "published", "!not_a_draft", "!not_a_draft"]),
    ("schedule", ["scheduled", "!wrong_status", "scheduled", "!wrong_status", "!not_a_draft", "!not_a_draft"]),
    ("unschedule", ["!wrong_status", "!wrong_status", "!wrong_status", "approved", "!wrong_status", "!wrong_status"]),
];
const STATUSES: [&str; 6] = ["draft", "in_review", "approved", "scheduled", "published", "retired"];

async fn post(admin: &Client, path: &str, step: &str) -> Reply {
    let path = format!("{path}/{step}");
    match step {
        "schedule" => admin.post(&path, &json!({"at": "2012-06-01T00:00:00Z"})).await,
        _ => admin.post(&path, &json!({"change_note": format!("To {step}.")})).await,
    }
}

/// A new version of the perk, brought to this status.
async fn version_in(admin: &Client, perk: &str, status: &str) -> String {
    let made = admin.post(&format!("/v1/perks/{perk}/versions"), &json!({"rule": rule(45)})).await.is(201);
    let path = format!("/v1/perks/{perk}/versions/{}", made["version"]);
    let steps: &[&str] = match status {
        "draft" => &[],
        "in_review" => &["submit"],
        "approved" => &["submit", "approve"],
        "scheduled" => &["submit", "approve", "schedule"],
        _ => &["submit", "approve", "publish"],
    };
    for step in steps {
        post(admin, &path, step).await.is(200);
    }
    if status == "retired" {
        let next = json!({"rule": rule(46), "publish": true});
        admin.post(&format!("/v1/perks/{perk}/versions"), &next).await.is(201);
    }
    assert_eq!(admin.get(&path).await.is(200)["status"], status);
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_is_taken_from_where_it_can_be_and_refused_from_elsewhere() {
    for app in TestApp::all_with(&[("rate_per_key", "0")]).await {
        let admin = app.admin(&app.cathay).await;
        for (step, outcomes) in TABLE {
            for (status, outcome) in STATUSES.into_iter().zip(outcomes) {
                let perk = format!("p-{step}-{}", status.replace('_', "-"));
                let body = json!({"perk": perk, "name": "P", "rule": rule(40), "publish": true});
                admin.post("/v1/perks", &body).await.is(201);
                let path = version_in(&admin, &perk, status).await;
                let (at, before) = (format!("{step} from {status}"), life(&app).await.len());
                let seen = admin.get(&path).await.text;
                let reply = match step {
                    "edit" => edit(&admin, &path, "*", 47).await,
                    "delete" => admin.delete(&path).await,
                    step => post(&admin, &path, step).await,
                };
                match (outcome.strip_prefix('!'), outcome) {
                    (Some(code), _) => {
                        reply.problem(409, code);
                        assert_eq!(admin.get(&path).await.text, seen, "{at}");
                        assert_eq!(kinds(&app, before).await, [""; 0], "{at}");
                    }
                    (None, "gone") => {
                        assert_eq!(reply.status, 204);
                        admin.get(&path).await.problem(404, "not_found");
                        assert_eq!(kinds(&app, before).await, ["rule.deleted"]);
                    }
                    (None, becomes) => {
                        assert_eq!(reply.is(200)["status"], *becomes, "{at}");
                        assert_eq!(admin.get(&path).await.is(200)["status"], *becomes, "{at}");
                        assert_eq!(kinds(&app, before).await.len(), 1, "{at}");
                    }
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_names_who_when_and_why() {
    for app in TestApp::all().await {
        let (ada, bob) = (app.admin(&app.cathay).await, app.admin(&app.cathay).await);
        perk(&ada).await;
        draft(&ada, 45).await;
        let before = life(&app).await.len();
        for (who, step) in [(&ada, "submit"), (&bob, "reject"), (&ada, "submit"), (&bob, "approve"), (&ada, "publish")]
        {
            app.world.pass(60);
            post(who, SECOND, step).await.is(200);
        }
        let events = life(&app).await;
        let told: Vec<_> = events[before..]
            .iter()
            .map(|it| (it.kind.as_str(), fact(it, "change_note").unwrap(), it.at.to_string()))
            .collect();
        assert_eq!(
            told,
            [
                ("rule.submitted", "To submit.", "2012-05-08T19:01:00Z".to_owned()),
                ("rule.rejected", "To reject.", "2012-05-08T19:02:00Z".to_owned()),
                ("rule.submitted", "To submit.", "2012-05-08T19:03:00Z".to_owned()),
                ("rule.approved", "To approve.", "2012-05-08T19:04:00Z".to_owned()),
                ("rule.published", "To publish.", "2012-05-08T19:05:00Z".to_owned()),
            ]
        );
        let version = ada.get(SECOND).await.is(200);
        let hash = version["rule_hash"].as_str().unwrap();
        assert!(events[before..].iter().all(|it| fact(it, "rule_hash") == Some(hash)));
        let actors: Vec<_> = events[before..].iter().map(|it| it.actor.key.0.clone().unwrap()).collect();
        assert_eq!((&version["created_by"], &version["submitted_by"]), (&json!(actors[0]), &json!(actors[0])));
        assert_eq!(
            (&version["approved_by"], &version["approved_at"]),
            (&json!(actors[1]), &json!("2012-05-08T19:04:00Z"))
        );
        assert_eq!((&version["published_by"], &version["step_note"]), (&json!(actors[0]), &json!("To publish.")));
        // A body may be left out, and a malformed one is not taken for none.
        let number = draft(&ada, 46).await;
        let path = format!("{LOUNGE}/versions/{number}/submit");
        ada.post_text(&path, "{").await.problem(400, "malformed_json");
        assert_eq!(ada.post(&path, &json!({"note": "x"})).await.spot(422, "invalid_request").0, "/note");
        let long = json!({"change_note": "x".repeat(501)});
        assert_eq!(ada.post(&path, &long).await.spot(422, "invalid_request").0, "/change_note");
        ada.ask(Method::POST, &path).await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_drafts_number_is_not_given_again_and_it_cant_be_published() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        perk(&admin).await;
        assert_eq!(draft(&admin, 45).await, 2);
        let tag = admin.get(SECOND).await.header("etag").to_owned();
        edit(&admin, SECOND, &tag, 46).await.is(200);
        admin.delete(SECOND).header("if-match", &tag).await.problem(412, "precondition_failed");
        assert_eq!(admin.delete(SECOND).await.status, 204);
        admin.delete(SECOND).await.problem(404, "not_found");
        admin.post(&format!("{SECOND}/publish"), &json!({})).await.problem(404, "not_found");
        assert_eq!(draft(&admin, 47).await, 3);
        assert_eq!(admin.get(LOUNGE).await.is(200)["latest_version"], 3);
        let listed = admin.get(&format!("{LOUNGE}/versions")).await.is(200);
        let numbers: Vec<_> = listed["versions"].as_array().unwrap().iter().map(|it| it["version"].clone()).collect();
        assert_eq!(numbers, [json!(3), json!(1)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_a_proxy_made_weak_is_called_weak_and_what_is_no_tag_is_called_that() {
    let app = TestApp::start(&[]).await;
    let ada = app.admin(&app.cathay).await;
    perk(&ada).await;
    draft(&ada, 45).await;
    let tag = ada.get(SECOND).await.header("etag").to_owned();
    let weak = format!("W/{tag}");
    let publish = format!("{SECOND}/publish");
    for reply in [
        edit(&ada, SECOND, &weak, 50).await,
        ada.delete(SECOND).header("if-match", &weak).await,
        ada.ask(Method::POST, &publish).header("if-match", &weak).await,
    ] {
        reply.problem(412, "weak_tag");
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("weak") && detail.contains("proxy") && detail.contains("Accept-Encoding"), "{detail}");
    }
    for malformed in [tag.trim_matches('"'), "", "W/", "\"a", "*, \"a\""] {
        let reply = edit(&ada, SECOND, malformed, 50).await;
        reply.problem(400, "bad_request");
        assert!(reply.text.contains("If-Match: \\\"2f0c9a\\\""), "{malformed}: {}", reply.text);
    }
    // Nothing of that was done, and a strong tag beside a weak one counts.
    assert_eq!(ada.get(SECOND).await.header("etag"), tag);
    edit(&ada, SECOND, &format!("{weak}, {tag}"), 50).await.is(200);
    edit(&ada, SECOND, &tag, 55).await.problem(412, "precondition_failed");
}
