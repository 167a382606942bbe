//! More perks than a replica reads the rules of: each rule is read at its first check, and a change reads what changed.

use diesel::RunQueryDsl;
use jiff::SignedDuration;
use perkgate::access::Role;
use perkgate::database::DatabaseError;
use perkgate::eligibility::checker::CheckError;
use perkgate::foundation::json::Json;
use perkgate::perks::apply::{AT_ONCE, Wanted};
use perkgate::perks::error::PerkError;
use perkgate::perks::perk::{NewVersion, PerkStatus};
use perkgate::perks::versions::{Taken, VersionStep};

use crate::support::world::{CLI, World, question};

/// More than are read with the snapshot.
const PERKS: usize = 1_010;

fn name(nth: usize) -> String {
    format!("perk-{nth:04}")
}

/// The threshold of the nth perk; it differs from its neighbours'.
fn threshold(nth: usize) -> usize {
    10 + nth % 80
}

fn version(at_least: usize, publish: bool) -> NewVersion {
    let rule = Json::parse(&format!(r#"{{"at_least":{at_least},"score":"klout"}}"#)).unwrap();
    NewVersion { rule, publish, change_note: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_decides_by_each_of_very_many_rules_and_follows_what_changes() {
    for world in World::all().await {
        let merchant = world.merchant("cathay").await;
        let (kiosk, id) = (world.principal(&merchant, Role::Kiosk).await, &merchant.id);
        world.score(&merchant, "twitter:ada", "45").await;
        let all: Vec<Wanted> = (0..PERKS)
            .map(|nth| Wanted {
                perk: name(nth).parse().unwrap(),
                name: name(nth),
                purpose: None,
                version: version(threshold(nth), true),
            })
            .collect();
        let catalog = &world.gateway.catalog;
        for some in all.chunks(AT_ONCE) {
            catalog.apply(id, CLI, some.to_vec()).await.unwrap();
        }
        // A rule that a newer build stored, and one that was damaged.
        let newer = "UPDATE rule_versions SET rule = '{\"later\":true}', rule_hash = \
                     'sha256:a6f880b537f652ed04c6413222b34e55e96d725bf9aa56d72f15104169fe099a' WHERE perk_id = \
                     (SELECT id FROM perks WHERE slug = 'perk-0007')";
        let damaged = "UPDATE rule_versions SET rule = '{\"later\":true}' WHERE perk_id = \
                       (SELECT id FROM perks WHERE slug = 'perk-0008')";
        for statement in [newer, damaged] {
            let change = |conn: &mut _| diesel::sql_query(statement).execute(conn).map_err(DatabaseError::from);
            assert_eq!(world.gateway.database.write_blocking(change).unwrap(), 1);
        }
        let replica = world.replica().await;
        let decide = async |perk: usize| {
            let asked = question(&name(perk), "twitter:ada");
            let answer = replica.checker.check(&kiosk, kiosk.merchant().unwrap(), asked).await?;
            Ok::<_, CheckError>((answer.rule_version, answer.decided.is_granted()))
        };
        for nth in (0..PERKS).step_by(97).chain([PERKS - 1]) {
            assert_eq!(decide(nth).await.unwrap(), (1, threshold(nth) <= 45), "{nth}");
        }
        assert!(matches!(decide(7).await, Err(CheckError::Perk(PerkError::RuleNewer { .. }))));
        assert!(matches!(decide(8).await, Err(CheckError::Perk(PerkError::Database(_)))));
        assert!(matches!(decide(7).await, Err(CheckError::Perk(PerkError::RuleNewer { .. }))), "for good");

        // One is published anew, one scheduled, one paused, one retired, one made, by the first replica.
        let slug = |nth: usize| name(nth).parse().unwrap();
        catalog.create_version(id, CLI, &slug(0), version(46, true)).await.unwrap();
        catalog.create_version(id, CLI, &slug(1), version(47, false)).await.unwrap();
        let from = (world.now() + SignedDuration::from_mins(1)).to_string();
        catalog.step(id, CLI, &slug(1), 2, Taken::of(VersionStep::Schedule(from))).await.unwrap();
        catalog.set_status(id, CLI, &slug(2), PerkStatus::Paused, None).await.unwrap();
        catalog.set_status(id, CLI, &slug(3), PerkStatus::Retired, None).await.unwrap();
        let made = catalog.create_perk(id, CLI, slug(PERKS), "One more", version(45, true)).await.unwrap();
        assert_eq!(decide(0).await.unwrap(), (1, true), "it has not looked yet");
        replica.catalog.reload().await.unwrap();
        assert_eq!(decide(0).await.unwrap(), (2, false));
        assert_eq!(decide(1).await.unwrap(), (1, true));
        assert_eq!(decide(2).await.unwrap(), (1, false), "it is paused");
        assert!(matches!(decide(3).await, Err(CheckError::Perk(PerkError::NotFound(_)))), "it is retired");
        assert_eq!(decide(4).await.unwrap(), (1, true), "it is as it was");
        assert_eq!((made.version.version, decide(PERKS).await.unwrap()), (1, (1, true)));
        world.pass(60);
        assert_eq!(decide(1).await.unwrap(), (2, false), "its instant has come");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_went_back_is_read_as_a_new_one() {
    for world in World::all().await {
        let merchant = world.merchant("cathay").await;
        let kiosk = world.principal(&merchant, Role::Kiosk).await;
        world.score(&merchant, "twitter:ada", "45").await;
        world.perk(&merchant, "lounge", r#"{"at_least":40,"score":"klout"}"#).await;
        let catalog = &world.gateway.catalog;
        catalog.create_version(&merchant.id, CLI, &"lounge".parse().unwrap(), version(50, true)).await.unwrap();
        let granted = async || world.check(&kiosk, question("lounge", "twitter:ada")).await.unwrap();
        assert!(!granted().await.decided.is_granted());
        // As after a fail-over to a database that lacked the last change.
        let back = "UPDATE perks SET published_version = 1, revision = 1 WHERE slug = 'lounge'";
        let change = |conn: &mut _| diesel::sql_query(back).execute(conn).map_err(DatabaseError::from);
        assert_eq!(world.gateway.database.write_blocking(change).unwrap(), 1);
        catalog.reload().await.unwrap();
        let answer = granted().await;
        assert_eq!((answer.rule_version, answer.decided.is_granted()), (1, true));
    }
}
