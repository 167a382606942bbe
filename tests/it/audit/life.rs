//! The life of versions and perks, held to the events that tell it.

use diesel::connection::SimpleConnection as _;
use perkgate::access::{Merchant, Role};
use perkgate::audit::{Report, Request};
use perkgate::database::{Database, DatabaseError, connection};
use perkgate::foundation::entropy::Entropy;
use perkgate::foundation::json::Json;
use perkgate::perks::life::Expected;
use perkgate::perks::perk::NewVersion;
use perkgate::perks::perk::PerkStatus;
use perkgate::perks::purpose::Purpose;
use perkgate::perks::versions::{Taken, VersionStep};

use super::history::{events_of, rebuild};
use crate::support::world::{CLI, World, question};

const RULE: &str = r#"{"at_least":40,"score":"klout"}"#;

fn version(least: u32, publish: bool) -> NewVersion {
    NewVersion { rule: Json::parse(&RULE.replace("40", &least.to_string())).unwrap(), publish, change_note: None }
}

fn verdict(database: &Database) -> Report {
    perkgate::audit::verify(database, &Request::default(), &Entropy::seeded(1), &mut |_| {}).unwrap()
}

/// Versions in every status, a perk paused and one retired, and a check by a version that decides by
/// its schedule and is not marked yet.
async fn live(world: &World) -> Merchant {
    let cathay = world.merchant("cathay").await;
    let admin = world.principal(&cathay, Role::Admin).await.actor();
    let kiosk = world.principal(&cathay, Role::Kiosk).await;
    let catalog = &world.gateway.catalog;
    let (lounge, spa) = ("lounge".parse().unwrap(), "spa".parse().unwrap());
    for slug in [&lounge, &spa] {
        catalog.create_perk(&cathay.id, admin.clone(), Clone::clone(slug), "A", version(40, true)).await.unwrap();
    }
    let step = async |number: i32, step: VersionStep| {
        catalog.step(&cathay.id, admin.clone(), &lounge, number, Taken::of(step)).await.unwrap();
    };
    for least in 41..=46 {
        catalog.create_version(&cathay.id, admin.clone(), &lounge, version(least, false)).await.unwrap();
    }
    // 2 decides by its schedule, 3 waits for its own, 4 is in review, 5 approved, 6 a draft, 7 deleted.
    step(2, VersionStep::Schedule("2012-05-08T20:00:00Z".to_owned())).await;
    for number in [4, 5] {
        step(number, VersionStep::Submit).await;
    }
    step(5, VersionStep::Approve).await;
    step(5, VersionStep::Withdraw).await;
    let anything = Expected::Anything;
    let edited = catalog.edit_version(&cathay.id, CLI, &lounge, 5, version(50, false), anything.clone()).await.unwrap();
    assert_eq!(edited.version.editors, ["cli"]);
    step(5, VersionStep::Submit).await;
    step(5, VersionStep::Approve).await;
    catalog.delete_version(&cathay.id, CLI, &lounge, 7, anything).await.unwrap();
    world.score(&cathay, "twitter:ada", "92").await;
    world.pass(3600);
    let answer = world.check(&kiosk, question("lounge", "twitter:ada")).await.unwrap();
    assert_eq!(answer.rule_version, 2);
    step(3, VersionStep::Schedule("2012-06-08T20:00:00Z".to_owned())).await;
    step(3, VersionStep::Unschedule).await;
    step(3, VersionStep::Schedule("2012-07-08T20:00:00Z".to_owned())).await;
    // Going back takes the schedule back; it is made again.
    catalog.roll_back(&cathay.id, CLI, &lounge, 1, None).await.unwrap();
    step(3, VersionStep::Schedule("2012-07-08T20:00:00Z".to_owned())).await;
    catalog.set_status(&cathay.id, CLI, &lounge, PerkStatus::Paused, None).await.unwrap();
    catalog.set_status(&cathay.id, CLI, &spa, PerkStatus::Retired, None).await.unwrap();
    world.check(&kiosk, question("lounge", "twitter:ada")).await.unwrap();
    let (name, purpose) = (Some("Another".to_owned()), Some(Purpose::Lounge));
    catalog.update_perk(&cathay.id, CLI, &lounge, name, purpose).await.unwrap();
    catalog.set_four_eyes(&cathay.id, CLI, true).await.unwrap();
    let waits = catalog.create_version(&cathay.id, CLI, &lounge, version(60, true)).await.unwrap().version;
    assert_eq!((waits.version, waits.status.as_str()), (9, "in_review"));
    step(9, VersionStep::Approve).await;
    catalog.publish_version(&cathay.id, CLI, &lounge, 9).await.unwrap();
    cathay
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_life_is_well_and_what_was_changed_behind_its_back_is_found() {
    for world in World::all().await {
        live(&world).await;
        let database = world.database.open();
        assert_eq!(verdict(&database).findings.listed(), []);
        for (change, back, code) in [
            (
                "UPDATE rule_versions SET status = 'approved' WHERE status = 'in_review'",
                "UPDATE rule_versions SET status = 'in_review' WHERE version = 4",
                "rule_mismatch",
            ),
            (
                "UPDATE rule_versions SET status = 'draft' WHERE status = 'approved'",
                "UPDATE rule_versions SET status = 'approved' WHERE version = 5",
                "rule_mismatch",
            ),
            (
                "UPDATE rule_versions SET scheduled_at = scheduled_at - 1 WHERE status = 'scheduled'",
                "UPDATE rule_versions SET scheduled_at = scheduled_at + 1 WHERE status = 'scheduled'",
                "rule_mismatch",
            ),
            (
                "UPDATE perks SET status = 'active' WHERE slug = 'lounge'",
                "UPDATE perks SET status = 'paused' WHERE slug = 'lounge'",
                "perk_mismatch",
            ),
            (
                "UPDATE perks SET status = 'active' WHERE slug = 'spa'",
                "UPDATE perks SET status = 'retired' WHERE slug = 'spa'",
                "perk_mismatch",
            ),
            (
                "UPDATE perks SET purpose = 'other' WHERE slug = 'lounge'",
                "UPDATE perks SET purpose = 'lounge' WHERE slug = 'lounge'",
                "perk_mismatch",
            ),
            (
                "UPDATE perks SET name = 'B' WHERE slug = 'spa'",
                "UPDATE perks SET name = 'A' WHERE slug = 'spa'",
                "perk_mismatch",
            ),
            (
                "UPDATE four_eyes SET required = NOT required",
                "UPDATE four_eyes SET required = NOT required",
                "approvals_mismatch",
            ),
        ] {
            let sql = |text: &str| {
                database.write_blocking(|conn| conn.batch_execute(text).map_err(DatabaseError::from)).unwrap();
            };
            sql(change);
            let report = verdict(&database);
            assert_eq!(report.findings.counts().keys().copied().collect::<Vec<_>>(), [code], "{change}");
            sql(back);
            assert_eq!(verdict(&database).findings.listed(), [], "{back}");
        }
    }
}

/// The approval is taken out of the log, and all that is left is signed anew.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_person_let_decide_is_found_even_when_it_is_signed() {
    for world in World::all().await {
        live(&world).await;
        let database = world.database.open();
        let key = world.gateway.keyring.log_key();
        let mut conn = database.dedicated().unwrap();
        let mut all = events_of(&mut conn, "cathay");
        let before = all.len();
        all.retain(|it| {
            let is_the_approval = it.kind == "rule.approved" || it.kind == "rule.submitted";
            !(is_the_approval && it.body.as_ref().unwrap().contains(r#""version":9}"#))
        });
        assert_eq!(all.len(), before - 2);
        connection::transaction(&mut conn, |conn| {
            rebuild(conn, "cathay", all, key.verifier(), &|text| key.sign(text));
            Ok::<_, DatabaseError>(())
        })
        .unwrap();
        let codes: Vec<_> = verdict(&database).findings.counts().keys().copied().collect();
        // And the row still says who submitted and approved it, which no event does.
        assert_eq!(codes, ["rule_mismatch", "rule_not_approved"]);
    }
}

/// Each lie is signed by the log's own key.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_can_t_have_been_taken_is_found_even_when_it_is_signed() {
    for world in World::all().await {
        live(&world).await;
        let database = world.database.open();
        let key = world.gateway.keyring.log_key();
        let mut conn = database.dedicated().unwrap();
        let all = events_of(&mut conn, "cathay");
        for (kind, from, to, code) in [
            ("rule.approved", r#""rule_hash":"sha256:"#, r#""rule_hash":"sha256:0"#, "rule_step_mismatch"),
            ("rule.submitted", "rule.submitted", "rule.unscheduled", "rule_step_mismatch"),
            // The check at 20:00 was decided by a version that then began later.
            ("rule.scheduled", "2012-05-08T20:00:00Z", "2012-05-08T20:00:01Z", "rule_cited_mismatch"),
        ] {
            let mut lied = all.clone();
            let event = lied.iter_mut().find(|it| it.kind == kind).unwrap();
            let body = event.body.take().unwrap().replace(from, to);
            if to.starts_with("rule.") {
                to.clone_into(&mut event.kind);
            }
            event.body = Some(body);
            connection::transaction(&mut conn, |conn| {
                rebuild(conn, "cathay", lied, key.verifier(), &|text| key.sign(text));
                Ok::<_, DatabaseError>(())
            })
            .unwrap();
            let report = verdict(&database);
            assert!(report.findings.counts().contains_key(code), "{kind}: {:#?}", report.findings.listed());
        }
    }
}
