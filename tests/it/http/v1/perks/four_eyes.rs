//! `/v1/approvals`: nobody lets what they wrote decide alone, whatever key they take for it.

use perkgate::access::{NewKey, Role};
use perkgate::perks::error::PerkError;
use perkgate::perks::perk::NewVersion;
use perkgate::perks::versions::{Taken, VersionStep};
use serde_json::{Value, json};

use crate::http::v1::{admin_made_by, kinds, life};
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::world::CLI;

const PERK: &str = "/v1/perks/sfo-lounge";
const SECOND: &str = "/v1/perks/sfo-lounge/versions/2";

fn version(least: i64, publish: bool) -> Value {
    json!({"rule": {"at_least": least, "score": "klout"}, "publish": publish})
}

async fn require(admin: &Client, required: bool) -> Reply {
    admin.put("/v1/approvals", &json!({"required": required})).await
}

async fn step(admin: &Client, path: &str, step: &str) -> Reply {
    let body = if step == "schedule" { json!({"at": "2012-06-01T00:00:00Z"}) } else { json!({}) };
    admin.post(&format!("{path}/{step}"), &body).await
}

/// A published perk of `admin`'s, and four eyes from then on.
async fn lounge(admin: &Client) {
    let body =
        json!({"perk": "sfo-lounge", "name": "SFO", "rule": {"at_least": 40, "score": "klout"}, "publish": true});
    admin.post("/v1/perks", &body).await.is(201);
    assert_eq!(require(admin, true).await.is(200), json!({"required": true, "lift": null}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_made_for_the_purpose_is_no_second_person() {
    for app in TestApp::all().await {
        let ada = app.admin(&app.cathay).await;
        lounge(&ada).await;
        ada.post(&format!("{PERK}/versions"), &version(45, false)).await.is(201);
        step(&ada, SECOND, "submit").await.is(200);
        require(&ada, false).await.is(200);
        app.world.pass(1);
        // Whoever has the command line can make one at any time.
        let sock = app.admin(&app.cathay).await;
        let refused = step(&sock, SECOND, "approve").await;
        refused.problem(403, "self_approval");
        assert!(refused.json()["detail"].as_str().unwrap().contains("made after"), "{}", refused.text);
        require(&sock, false).await.problem(403, "self_approval");
        // What is submitted from now on is another matter: everybody can know of the key.
        step(&ada, SECOND, "withdraw").await.is(200);
        step(&ada, SECOND, "submit").await.is(200);
        step(&sock, SECOND, "approve").await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_decides_was_approved_by_somebody_else() {
    for app in TestApp::all().await {
        let (ada, bob) = (app.admin(&app.cathay).await, app.admin(&app.cathay).await);
        lounge(&ada).await;
        ada.post(&format!("{PERK}/versions"), &version(45, false)).await.is(201);
        for way in ["publish", "schedule"] {
            step(&ada, SECOND, way).await.problem(409, "approval_required");
            step(&bob, SECOND, way).await.problem(409, "approval_required");
        }
        step(&ada, SECOND, "submit").await.is(200);
        step(&ada, SECOND, "publish").await.problem(409, "approval_required");
        let before = life(&app).await.len();
        let refused = step(&ada, SECOND, "approve").await;
        refused.problem(403, "self_approval");
        assert!(refused.json()["detail"].as_str().unwrap().contains("operator"), "it says what to do");
        assert_eq!(kinds(&app, before).await, [""; 0]);
        step(&bob, SECOND, "approve").await.is(200);
        // An approval is of this content: what is edited needs another.
        step(&ada, SECOND, "withdraw").await.is(200);
        ada.put(SECOND, &version_body(50)).header("if-match", "*").await.is(200);
        step(&ada, SECOND, "publish").await.problem(409, "approval_required");
        step(&ada, SECOND, "submit").await.is(200);
        step(&bob, SECOND, "approve").await.is(200);
        assert_eq!(step(&ada, SECOND, "schedule").await.is(200)["status"], "scheduled");
        assert_eq!(step(&ada, SECOND, "publish").await.is(200)["status"], "published");
    }
}

fn version_body(least: i64) -> Value {
    json!({"rule": {"at_least": least, "score": "klout"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_edits_is_an_author_and_who_approves_approves_what_they_saw() {
    for app in TestApp::all().await {
        let (ada, bob, cy) = (app.admin(&app.cathay).await, app.admin(&app.cathay).await, app.admin(&app.cathay).await);
        lounge(&ada).await;
        ada.post(&format!("{PERK}/versions"), &version(45, false)).await.is(201);
        bob.put(SECOND, &version_body(46)).header("if-match", "*").await.is(200);
        step(&cy, SECOND, "submit").await.is(200);
        for author in [&ada, &bob] {
            step(author, SECOND, "approve").await.problem(403, "self_approval");
        }
        // Cy looks; meanwhile it is withdrawn, changed and submitted again.
        let seen = cy.get(SECOND).await.header("etag").to_owned();
        step(&bob, SECOND, "withdraw").await.is(200);
        bob.put(SECOND, &version_body(0)).header("if-match", "*").await.is(200);
        step(&bob, SECOND, "submit").await.is(200);
        let approve = format!("{SECOND}/approve");
        cy.post(&approve, &json!({})).header("if-match", &seen).await.problem(412, "precondition_failed");
        let now = cy.get(SECOND).await.header("etag").to_owned();
        cy.post(&approve, &json!({})).header("if-match", &now).await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_go_back_to_one_are_one_person() {
    for app in TestApp::all().await {
        let (ada_key, ada) = admin_made_by(&app, None).await;
        let (child_key, child) = admin_made_by(&app, Some(&ada_key)).await;
        let (_, grandchild) = admin_made_by(&app, Some(&child_key)).await;
        let (_, sibling) = admin_made_by(&app, Some(&ada_key)).await;
        let operator = NewKey::of(Role::Operator, None, "operator");
        let (operator, _) = app.world.gateway.directory.create_key(operator, CLI).await.unwrap();
        let (_, bob) = admin_made_by(&app, Some(&operator.id)).await;
        let (_, cy) = admin_made_by(&app, Some(&operator.id)).await;
        lounge(&ada).await;
        let family = [&ada, &child, &grandchild, &sibling];
        let mut number = 1;
        for author in family {
            number += 1;
            let path = format!("{PERK}/versions/{number}");
            author.post(&format!("{PERK}/versions"), &version(45, true)).await.is(201);
            for relative in family {
                step(relative, &path, "approve").await.problem(403, "self_approval");
            }
            step(&bob, &path, "approve").await.is(200);
            step(author, &path, "publish").await.is(200);
        }
        // Those that the operator made are people of their own.
        bob.post(&format!("{PERK}/versions"), &version(60, true)).await.is(201);
        let path = format!("{PERK}/versions/{}", number + 1);
        step(&bob, &path, "approve").await.problem(403, "self_approval");
        step(&cy, &path, "approve").await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_to_be_published_waits_in_review_and_the_answer_says_so() {
    for app in TestApp::all().await {
        let (ada, bob) = (app.admin(&app.cathay).await, app.admin(&app.cathay).await);
        lounge(&ada).await;
        let before = life(&app).await.len();
        let made = ada.post(&format!("{PERK}/versions"), &version(45, true)).await.is(201);
        assert_eq!(made["status"], "in_review");
        assert_eq!(made["warnings"][0]["code"], "approval_required");
        let new = json!({"perk": "spa", "name": "Spa", "rule": {"at_least": 1, "score": "klout"}, "publish": true});
        assert_eq!(ada.post("/v1/perks", &new).await.is(201)["status"], "in_review");
        assert_eq!(
            kinds(&app, before).await,
            ["rule.drafted", "rule.submitted", "perk.created", "rule.drafted", "rule.submitted"]
        );
        assert_eq!(ada.get(PERK).await.is(200)["published_version"], 1);
        step(&bob, SECOND, "approve").await.is(200);
        step(&bob, SECOND, "publish").await.is(200);
        let back = ada.post(&format!("{PERK}/rollback"), &json!({"to": 1})).await.is(201);
        assert_eq!((&back["version"], &back["status"]), (&json!(3), &json!("in_review")));
        assert_eq!(ada.get(PERK).await.is(200)["published_version"], 2);
        let third = format!("{PERK}/versions/3");
        step(&ada, &third, "approve").await.problem(403, "self_approval");
        step(&bob, &third, "approve").await.is(200);
        step(&ada, &third, "publish").await.is(200);
        // One person can always stop it, and let go on what was approved.
        for (path, status) in [("pause", "paused"), ("resume", "published")] {
            assert_eq!(ada.post(&format!("{PERK}/{path}"), &json!({})).await.is(200)["status"], status);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_of_ones_own_from_before_does_not_count() {
    for app in TestApp::all().await {
        let (ada, bob) = (app.admin(&app.cathay).await, app.admin(&app.cathay).await);
        let body = json!({"perk": "sfo-lounge", "name": "SFO", "rule": {"at_least": 40, "score": "klout"}});
        ada.post("/v1/perks", &body).await.is(201);
        let first = format!("{PERK}/versions/1");
        step(&ada, &first, "submit").await.is(200);
        step(&ada, &first, "approve").await.is(200);
        require(&bob, true).await.is(200);
        step(&ada, &first, "publish").await.problem(409, "approval_required");
        step(&bob, &first, "publish").await.problem(409, "approval_required");
        step(&bob, &first, "reject").await.is(200);
        step(&ada, &first, "submit").await.is(200);
        step(&bob, &first, "approve").await.is(200);
        step(&bob, &first, "publish").await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_requirement_holds_at_once_and_takes_two_to_lift() {
    for app in TestApp::all().await {
        let (ada_key, ada) = admin_made_by(&app, None).await;
        let (_, twin) = admin_made_by(&app, Some(&ada_key)).await;
        let (_, bob) = admin_made_by(&app, None).await;
        let stranger = app.admin(&app.american).await;
        let shown = async |who: &Client| who.get("/v1/approvals").await.is(200);
        assert_eq!(shown(&ada).await, json!({"required": false, "lift": null}));
        require(&ada, false).await.is(200);
        assert_eq!(kinds(&app, 0).await, [""; 0], "nothing to lift");
        require(&ada, true).await.is(200);
        require(&bob, true).await.is(200);
        let asked = require(&ada, false).await.is(200);
        assert_eq!((&asked["required"], &asked["lift"]["requested_by"]), (&json!(true), &json!(ada_key.as_str())));
        assert!(asked["lift"]["key_labels"][ada_key.as_str()].is_string(), "{asked}");
        for same in [&ada, &twin] {
            require(same, false).await.problem(403, "self_approval");
        }
        assert_eq!(shown(&stranger).await, json!({"required": false, "lift": null}));
        assert_eq!(require(&stranger, false).await.is(200)["required"], false);
        assert_eq!(shown(&bob).await["required"], true, "another merchant's word lifts nothing");
        // Anybody may insist; and what was asked long ago is not confirmed by accident.
        assert_eq!(require(&bob, true).await.is(200)["lift"], Value::Null);
        require(&bob, false).await.is(200);
        app.world.pass(7 * 86_400);
        assert_eq!(shown(&ada).await, json!({"required": true, "lift": null}));
        assert_eq!(require(&ada, false).await.is(200)["lift"]["requested_by"], ada_key.as_str());
        assert_eq!(require(&bob, false).await.is(200), json!({"required": false, "lift": null}));
        assert_eq!(
            kinds(&app, 0).await,
            [
                "approvals.required",
                "approvals.lift_requested",
                "approvals.kept",
                "approvals.lift_requested",
                "approvals.lift_requested",
                "approvals.lifted"
            ]
        );
        assert_eq!(ada.put("/v1/approvals", &json!({})).await.spot(422, "invalid_request").0, "/required");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_lift_at_once_two_are_needed() {
    for app in TestApp::all().await {
        let (ada_key, ada) = admin_made_by(&app, None).await;
        let (_, twin) = admin_made_by(&app, Some(&ada_key)).await;
        require(&ada, true).await.is(200);
        let asks = (0..8).map(|nth| require(if nth % 2 == 0 { &ada } else { &twin }, false));
        let replies = futures_util::future::join_all(asks).await;
        assert_eq!(replies.iter().filter(|it| it.status == 200).count(), 1);
        replies.iter().filter(|it| it.status != 200).for_each(|it| drop(it.problem(403, "self_approval")));
        assert_eq!(ada.get("/v1/approvals").await.is(200)["required"], true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_writes_and_submits_and_is_nobody_who_approves() {
    for app in TestApp::all().await {
        let ada = app.admin(&app.cathay).await;
        lounge(&ada).await;
        let (catalog, merchant) = (&app.world.gateway.catalog, &app.cathay.id);
        let slug = "sfo-lounge".parse().unwrap();
        let rule = perkgate::foundation::json::Json::parse(r#"{"at_least":45,"score":"klout"}"#).unwrap();
        let new = NewVersion { rule, publish: true, change_note: None };
        let made = catalog.create_version(merchant, CLI, &slug, new).await.unwrap();
        assert_eq!(made.version.status.as_str(), "in_review");
        let approve = Taken::of(VersionStep::Approve);
        let refused = catalog.step(merchant, CLI, &slug, 2, approve).await.unwrap_err();
        assert!(matches!(refused, PerkError::NoPerson), "{refused}");
        let refused = catalog.set_four_eyes(merchant, CLI, false).await.unwrap_err();
        assert!(matches!(refused, PerkError::NoPerson), "{refused}");
        step(&ada, SECOND, "approve").await.is(200);
        assert_eq!(
            catalog.publish_version(merchant, CLI, &slug, 2).await.unwrap().version.status.as_str(),
            "published"
        );
    }
}
