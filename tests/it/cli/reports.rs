//! `perkgate report`: its table, its documents and its files.

use perkgate::access::Role;
use serde_json::json;

use super::{json_of, perkgate};
use crate::support::world::{World, question};

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_a_table_a_document_or_a_file() {
    for world in World::all().await {
        let cathay = world.merchant("cathay").await;
        let kiosk = world.principal(&cathay, Role::Kiosk).await;
        world.perk(&cathay, "sfo-lounge", r#"{"at_least":40,"score":"klout"}"#).await;
        world.score(&cathay, "twitter:ada", "47.25").await;
        world.check(&kiosk, question("sfo-lounge", "twitter:ada")).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("key"), crate::support::world::MASTER_KEY).unwrap();
        let url = world.database.setting();
        let report = |more: &[&str]| {
            let mut arguments = vec!["report"];
            arguments.extend(more);
            arguments.extend(["--merchant", "cathay", "--database-url", &url, "--master-key-file", "key"]);
            perkgate(directory.path(), &arguments)
        };
        let told = report(&["grants", "--group-by", "perk", "--json"]);
        assert_eq!(told.status.code(), Some(0), "{}", String::from_utf8_lossy(&told.stderr));
        let told = json_of(&told.stdout);
        assert_eq!((&told["totals"]["granted"], &told["groups"][0]["group"]), (&json!(1), &json!("sfo-lounge")));
        let table = String::from_utf8(report(&["fairness"]).stdout).unwrap();
        assert!(table.contains("40 to below 50") && table.contains("Fairness of cathay"), "{table}");
        assert!(table.contains("Admitted, %") && table.contains("100") && !table.contains('‰'), "{table}");
        for (by, group) in [("week", "2012-W19"), ("month", "2012-05")] {
            assert_eq!(json_of(&report(&["grants", "--group-by", by, "--json"]).stdout)["groups"][0]["group"], group);
        }
        let tiers = json_of(&report(&["grants", "--group-by", "tier", "--json"]).stdout)["groups"].clone();
        assert_eq!((&tiers[0]["group"], &tiers[0]["name"]), (&json!("standard"), &json!("Standard")));
        let table = String::from_utf8(report(&["grants", "--group-by", "tier"]).stdout).unwrap();
        assert!(table.contains("\n Standard ") && !table.contains("standard"), "{table}");
        let table = String::from_utf8(report(&["grants", "--group-by", "rule_version"]).stdout).unwrap();
        assert!(table.contains("rule version") && !table.contains("rule_version"), "{table}");
        let marked = String::from_utf8(report(&["billing", "--format", "csv", "--bom"]).stdout).unwrap();
        assert!(marked.starts_with("\u{feff}row,merchant,"), "{marked}");
        let csv = String::from_utf8(report(&["billing", "--format", "csv"]).stdout).unwrap();
        assert!(csv.starts_with("row,merchant,perk,from,to,") && csv.lines().count() == 2, "{csv}");

        let written = ["grants", "--format", "html", "-o", "page.html"];
        assert_eq!(report(&written).status.code(), Some(0));
        let page = std::fs::read_to_string(directory.path().join("page.html")).unwrap();
        assert!(page.contains("<h1>Grants: cathay</h1>"));
        assert_eq!(report(&written).status.code(), Some(1), "a file is never written over");
        for (refused, code) in [
            (&["grants", "--from", "yesterday"][..], 2),
            (&["grants", "--group-by", "subject"], 2),
            (&["grants", "--bom"], 2),
            (&["grants", "--bom", "--format", "html"], 2),
            (&["grants", "--from", "2012-05-09", "--to", "2012-05-08"], 1),
            (&["grants", "--time-zone", "Mars/Olympus"], 1),
            (&["fairness", "--perk", "nothing"], 1),
        ] {
            assert_eq!(report(refused).status.code(), Some(code), "{refused:?}");
        }
    }
}
