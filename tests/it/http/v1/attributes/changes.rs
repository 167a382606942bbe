//! Changes of what is declared: under four eyes, under rules that look at it, at once with what publishes one, and cut
//! short.

use aws_lc_rs::digest::{SHA256, digest};
use futures_util::future::join_all;
use perkgate::access::Merchant;
use perkgate::database::{AnyConnection, DatabaseError};
use perkgate::gateway::Gateway;
use perkgate::perks::attributes::{AttributeError, AttributeTerms};
use perkgate::perks::catalog::Catalog;
use perkgate::perks::error::PerkError;
use perkgate::perks::life::Expected;
use perkgate::perks::perk::NewVersion;
use serde_json::{Value, json};

use super::{STATUS, check, declare, import, members_only, said, why};
use crate::support::app::TestApp;
use crate::support::client::Client;
use crate::support::world::{CLI, World};

/// Gold members, and everyone else as a guest.
fn club() -> Value {
    json!({"tiers": [{"id": "gold", "rank": 2, "when": {"attr": "subject.status", "op": "eq", "value": "gold"}},
                     {"id": "guest", "rank": 1}]})
}

/// A second person, whose key is as old as the first's.
async fn two_admins(app: &TestApp) -> (Client, Client) {
    (app.admin(&app.cathay).await, app.admin(&app.cathay).await)
}

fn terms(on_missing: &str) -> AttributeTerms {
    AttributeTerms::read("text", "lounge", None, Some(on_missing)).unwrap()
}

async fn run(gateway: &Gateway, statement: &'static str) -> usize {
    use diesel::RunQueryDsl as _;
    let run = move |conn: &mut AnyConnection| Ok::<_, DatabaseError>(diesel::sql_query(statement).execute(conn)?);
    gateway.database.write(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_four_eyes_nobody_changes_alone_what_an_approved_rule_goes_by() {
    for app in TestApp::all().await {
        let (ann, bob) = two_admins(&app).await;
        declare(&ann, json!({"on_missing": "deny"})).await.is(201);
        ann.put("/v1/approvals", &json!({"required": true})).await.is(200);
        app.world.pass(1);
        let perk = json!({"perk": "club", "name": "Club", "rule": club(), "publish": true});
        ann.post("/v1/perks", &perk).await.is(201);
        // Nobody has approved of anything yet.
        declare(&ann, json!({"on_missing": "deny", "max_age": "P30D"})).await.is(200);
        bob.post("/v1/perks/club/versions/1/approve", &json!({})).await.is(200);
        let refused = async |terms: Value| {
            for admin in [&ann, &bob] {
                let refused = declare(admin, terms.clone()).await;
                refused.problem(409, "approval_required");
                let detail = refused.json()["detail"].as_str().unwrap().to_owned();
                assert!(detail.contains("`club`") && detail.contains("declare another attribute"), "{detail}");
            }
        };
        let changes = [
            json!({}),
            json!({"on_missing": "deny"}),
            json!({"on_missing": "refer", "max_age": "P30D"}),
            json!({"on_missing": "deny", "max_age": "P31D"}),
            json!({"on_missing": "deny", "max_age": "P30D", "type": "list"}),
        ];
        // Approved, it can be published at any time; published, it decides.
        for publish in [false, true] {
            if publish {
                ann.post("/v1/perks/club/versions/1/publish", &json!({})).await.is(200);
            }
            for terms in &changes {
                refused(terms.clone()).await;
            }
        }
        let catalog = &app.world.gateway.catalog;
        let of_cli = catalog.put_attribute(&app.cathay.id, CLI, "status", terms("ignore"), Expected::Anything).await;
        assert!(matches!(of_cli, Err(AttributeError::ApprovalRequired { .. })), "{of_cli:?}");
        assert_eq!(why(&check(&ann, "ada").await), said("denied", "attribute_missing", "subject.status"));
        // It can't be deleted either, whoever asks.
        ann.delete(STATUS).await.problem(409, "attribute_in_use");
        // What decides nothing may change: the same again, what it is for, and what no rule looks at.
        let same = json!({"on_missing": "deny", "max_age": "P30D", "purpose": "event"});
        declare(&ann, same).await.is(200);
        let other = "/v1/attributes/nights";
        ann.put(other, &json!({"type": "number", "purpose": "lounge"})).await.is(201);
        ann.put(other, &json!({"type": "text", "purpose": "lounge", "on_missing": "deny"})).await.is(200);
        ann.delete(other).await.is(204);
        // A rule that looks at it no more, looked at by two, frees it.
        let version = json!({"rule": {"tiers": [{"id": "guest"}]}, "publish": true});
        ann.post("/v1/perks/club/versions", &version).await.is(201);
        bob.post("/v1/perks/club/versions/2/approve", &json!({})).await.is(200);
        ann.post("/v1/perks/club/versions/2/publish", &json!({})).await.is(200);
        declare(&ann, json!({})).await.is(200);
        app.world.tally(&app.cathay);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_four_eyes_only_the_type_is_held_by_a_rule_that_looks_at_it() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        declare(&admin, json!({})).await.is(201);
        members_only(&admin).await;
        declare(&admin, json!({"on_missing": "deny", "max_age": "P1D"})).await.is(200);
        declare(&admin, json!({"type": "list"})).await.problem(409, "attribute_in_use");
        admin.post("/v1/perks/club/pause", &json!({})).await.is(200);
        declare(&admin, json!({"type": "list"})).await.problem(409, "attribute_in_use");
        admin.post("/v1/perks/club/retire", &json!({})).await.is(200);
        declare(&admin, json!({"type": "list"})).await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_cannot_be_read_holds_every_attribute() {
    for app in TestApp::all().await {
        let (ann, bob) = two_admins(&app).await;
        declare(&ann, json!({})).await.is(201);
        members_only(&ann).await;
        ann.put("/v1/attributes/nights", &json!({"type": "number", "purpose": "lounge"})).await.is(201);
        // As a newer build would have stored it: a member that this one doesn't know, and the hash of the whole.
        let newer = r#"{"tiers":[{"id":"t","rank":1,"aura":"blue"}]}"#;
        let hash = perkgate::foundation::subject::hex(digest(&SHA256, newer.as_bytes()).as_ref());
        let write = move |conn: &mut AnyConnection| {
            use diesel::RunQueryDsl as _;
            let statement = format!("UPDATE rule_versions SET rule = '{newer}', rule_hash = 'sha256:{hash}'");
            Ok::<_, DatabaseError>(diesel::sql_query(statement).execute(conn)?)
        };
        assert_eq!(app.world.gateway.database.write(write).await.unwrap(), 1);
        ann.delete("/v1/attributes/nights").await.problem(503, "rule_newer");
        let put = json!({"type": "text", "purpose": "lounge"});
        ann.put("/v1/attributes/nights", &put).await.problem(503, "rule_newer");
        bob.get("/v1/attributes/nights").await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_lacks_what_is_not_declared_any_more_is_not_let_in() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        declare(&admin, json!({})).await.is(201);
        let perk = json!({"perk": "club", "name": "Club", "rule": club(), "publish": true});
        admin.post("/v1/perks", &perk).await.is(201);
        assert_eq!(check(&admin, "ada").await["tier"], "guest");
        assert_eq!(run(&app.world.gateway, "DELETE FROM attributes").await, 1);
        app.world.gateway.catalog.reload().await.unwrap();
        assert_eq!(why(&check(&admin, "ada").await), said("denied", "attribute_missing", "subject.status"));
        assert_eq!(why(&check(&admin, "bob").await), said("denied", "attribute_missing", "subject.status"));
        // Declared again it decides as declared.
        declare(&admin, json!({})).await.is(201);
        assert_eq!(check(&admin, "ada").await["tier"], "guest");
    }
}

/// A rule is published while what it looks at is deleted, or becomes another type, on another replica.
#[tokio::test(flavor = "multi_thread")]
async fn no_rule_is_published_that_looks_at_what_goes_at_the_same_time() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        let replica = world.replica().await;
        let (here, there) = (&world.gateway.catalog, &replica.catalog);
        for round in 0..60 {
            let name = format!("a{round}");
            declared(here, &cathay, &name).await;
            let when = json!({"attr": format!("subject.{name}"), "op": "eq", "value": "gold"});
            let rule = json!({"tiers": [{"id": "t", "when": when}]}).to_string();
            let version = NewVersion {
                rule: perkgate::foundation::json::Json::parse(&rule).unwrap(),
                publish: true,
                change_note: None,
            };
            let slug: perkgate::foundation::ids::PerkSlug = format!("p{round}").parse().unwrap();
            let publish = here.create_perk(&cathay.id, CLI, slug, "P", version);
            let change = async {
                if round % 2 == 0 {
                    there.delete_attribute(&cathay.id, CLI, &name, Expected::Anything).await
                } else {
                    let list = AttributeTerms::read("list", "lounge", None, None).unwrap();
                    there.put_attribute(&cathay.id, CLI, &name, list, Expected::Anything).await.map(|_| ())
                }
            };
            match Box::pin(async { tokio::join!(publish, change) }).await {
                (Ok(_), Err(AttributeError::InUse { .. })) | (Err(PerkError::Rule(_)), Ok(())) => {}
                (published, changed) => panic!("{round}: {published:?} {changed:?}"),
            }
        }
    }
}

async fn declared(catalog: &Catalog, merchant: &Merchant, name: &str) {
    catalog.put_attribute(&merchant.id, CLI, name, terms("ignore"), Expected::Anything).await.unwrap();
}

/// Without `If-Match` nobody asked for a state: both are as if one had come after the other.
#[tokio::test(flavor = "multi_thread")]
async fn two_who_declare_the_same_at_once_both_do() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        let replica = world.replica().await;
        for round in 0..20 {
            let name = format!("a{round}");
            let gateways = [&*world.gateway, &replica, &*world.gateway, &replica];
            let put = gateways.map(|gateway| {
                gateway.catalog.put_attribute(&cathay.id, CLI, &name, terms("deny"), Expected::Anything)
            });
            let made: Vec<bool> = join_all(put).await.into_iter().map(|put| put.unwrap().1).collect();
            assert_eq!(made.iter().filter(|is_new| **is_new).count(), 1, "{made:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_was_cut_short_is_finished_by_the_sweep_or_by_asking_again() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let gateway = &app.world.gateway;
        let feed = "subject,attribute,value\nada,status,gold\nbob,status,blue\n";
        let kept =
            async || admin.post("/v1/subjects/record", &json!({"subject": "ada"})).await.is(200)["attributes"].clone();
        let cut = async || {
            declare(&admin, json!({})).await.is(201);
            import(&admin, feed).await;
            // The declaration goes first; then the gateway ends.
            gateway.catalog.delete_attribute(&app.cathay.id, CLI, "status", Expected::Anything).await.unwrap();
            assert_ne!(kept().await, Value::Null);
        };
        cut().await;
        assert_eq!(gateway.scores.attributes().sweep_once(app.world.now()).await.unwrap(), 2);
        assert_eq!(kept().await, Value::Null);
        admin.delete(STATUS).await.problem(404, "not_found");
        cut().await;
        admin.delete(STATUS).await.is(204);
        assert_eq!(kept().await, Value::Null);
        admin.delete(STATUS).await.problem(404, "not_found");
        // Declared again in the same instant it is another, and what it has is left to it.
        cut().await;
        declare(&admin, json!({})).await.is(201);
        import(&admin, "subject,attribute,value\nada,status,silver\n").await;
        assert_eq!(gateway.scores.attributes().sweep_once(app.world.now()).await.unwrap(), 1, "Bob's");
        assert_eq!(kept().await[0]["value"], "silver");
        assert_eq!(gateway.scores.attributes().sweep_once(app.world.now()).await.unwrap(), 0);
    }
}
