//! `perkgate audit prune`: what goes, what stands in the way, and what is asked for afterwards.

use std::process::{Command, Output};

use perkgate::access::Role;
use serde_json::{Value, json};

use super::json_of;
use crate::support::world::{World, question, test_sources};

/// Today's program on a database of 2012.
fn prune(world: &World, more: &[&str]) -> Output {
    let sources = test_sources(&world.database, &[]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_perkgate"));
    for setting in perkgate::settings::table::TABLE {
        command.env_remove(setting.variable()).env_remove(format!("{}_FILE", setting.variable()));
    }
    command.envs(sources.environment);
    for (name, value) in sources.flags {
        command.env(format!("PERKGATE_{}", name.to_ascii_uppercase()), value);
    }
    command.args(["audit", "prune"]).args(more).output().unwrap()
}

fn answered(done: &Output, code: i32) -> Value {
    assert_eq!(done.status.code(), Some(code), "{}", String::from_utf8_lossy(&done.stderr));
    json_of(&done.stdout)
}

#[tokio::test(flavor = "multi_thread")]
async fn old_events_are_pruned_and_asked_for_they_say_so() {
    for world in World::all().await {
        let (cathay, united) = (world.merchant("cathay").await, world.merchant("united").await);
        let kiosk = world.principal(&cathay, Role::Kiosk).await;
        let other = world.principal(&united, Role::Kiosk).await;
        world.perk(&cathay, "sfo-lounge", r#"{"at_least":40,"score":"klout"}"#).await;
        world
            .perk(
                &united,
                "club",
                r#"{"otherwise":"refer","tiers":[{"id":"t","when":{"attr":"context.x","op":"exists"}}]}"#,
            )
            .await;
        world.score(&cathay, "twitter:ada", "47.25").await;
        let check = world.check(&kiosk, question("sfo-lounge", "twitter:ada")).await.unwrap();
        world.check(&other, question("club", "twitter:ada")).await.unwrap();

        let before = ["--before", "2013-01-01", "--json"];
        let log = |count: i64, at: i64| {
            json!({"merchant": "cathay", "count": count, "kept": 0, "from_index": if count > 0 { at } else { 0 },
                   "to_index": if count > 0 { at + 1 } else { 0 }})
        };
        let of_cathay = [&before[..], &["--merchant", "cathay"]].concat();
        let dry = answered(&prune(&world, &[&of_cathay[..], &["--dry-run"]].concat()), 0);
        let at = dry["logs"][0]["from_index"].as_i64().unwrap();
        let expected =
            json!({"before": "2013-01-01T00:00:00Z", "dry_run": true, "refused": false, "logs": [log(1, at)]});
        assert_eq!(dry, expected);
        assert!(
            world
                .gateway
                .ledger
                .reader()
                .find_check(&cathay.id, check.check.as_ref().unwrap())
                .await
                .unwrap()
                .is_some()
        );

        // All or none: a referral of the other merchant is open.
        let refused = answered(&prune(&world, &[&before[..], &["--all"]].concat()), 1);
        assert_eq!((&refused["refused"], &refused["logs"][0]), (&json!(true), &log(1, at)));
        assert_eq!(
            refused["logs"][1]["obstacles"],
            json!([{"code": "open_referrals", "count": 1, "until": null, "detail": "referrals and contests that nobody has decided"}])
        );
        assert!(
            world
                .gateway
                .ledger
                .reader()
                .find_check(&cathay.id, check.check.as_ref().unwrap())
                .await
                .unwrap()
                .is_some()
        );

        let unasked = prune(&world, &of_cathay);
        let told = String::from_utf8(unasked.stderr).unwrap();
        assert!(
            !unasked.status.success() && told.contains("take the bodies of 1 event from") && told.contains("--yes"),
            "{told}"
        );
        assert!(
            world
                .gateway
                .ledger
                .reader()
                .find_check(&cathay.id, check.check.as_ref().unwrap())
                .await
                .unwrap()
                .is_some()
        );

        let done = answered(&prune(&world, &[&of_cathay[..], &["--yes"]].concat()), 0);
        assert_eq!((&done["dry_run"], &done["logs"]), (&json!(false), &json!([log(1, at)])));
        assert!(world.gateway.ledger.reader().find_check(&cathay.id, check.check.as_ref().unwrap()).await.is_err());
        let again = answered(&prune(&world, &of_cathay), 0);
        assert_eq!(again["logs"], json!([log(0, 0)]));
        let text = prune(&world, &["--before", "2013-01-01T00:00:00Z", "--all"]);
        assert_eq!(text.status.code(), Some(1));
        let text = String::from_utf8(text.stdout).unwrap();
        assert!(
            text.contains("in the way: referrals and contests that nobody has decided: 1 (open_referrals)"),
            "{text}"
        );
        assert!(text.ends_with("Nothing was pruned: take an earlier date, or wait\n"), "{text}");
    }
}

#[test]
fn what_cannot_be_a_date_is_a_usage_error() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [
        &["audit", "prune", "--before", "yesterday", "--all"][..],
        &["audit", "prune", "--before", "2012-13-01", "--all"],
        &["audit", "prune", "--before", "2012-05-08T10:00", "--all"],
        &["audit", "prune", "--all"],
        &["audit", "prune", "--before", "2012-05-08", "--all", "--merchant", "cathay"],
    ] {
        let told = super::perkgate(directory.path(), arguments);
        assert_eq!(told.status.code(), Some(2), "{arguments:?}");
    }
}
