//! Several perks applied at once: all of them or none.

use perkgate::foundation::ids::MerchantId;
use perkgate::foundation::json::Json;
use perkgate::gateway::Gateway;
use perkgate::perks::apply::{AT_ONCE, Applied, ApplyError, Outcome, Wanted};
use perkgate::perks::error::PerkError;
use perkgate::perks::life::Expected;
use perkgate::perks::perk::NewVersion;
use perkgate::perks::perk::{PerkStatus, VersionStatus};
use perkgate::perks::purpose::Purpose;

use crate::support::world::{CLI, World};

const PERKS: [&str; 4] = ["bar", "gym", "lounge", "spa"];

fn wanted(perk: &str, at_least: u32) -> Wanted {
    let rule = Json::parse(&format!(r#"{{"at_least":{at_least},"score":"klout"}}"#)).unwrap();
    let version = NewVersion { rule, publish: true, change_note: None };
    Wanted { perk: perk.parse().unwrap(), name: perk.to_owned(), purpose: None, version }
}

/// What a merchant's perks are, and how long the log is.
async fn standing(gateway: &Gateway, merchant: &MerchantId) -> (Vec<String>, u64) {
    let mut all = Vec::new();
    for perk in gateway.catalog.list_perks(merchant, None, 100).await.unwrap() {
        let latest = gateway.catalog.latest_version(merchant, &perk.slug).await.unwrap();
        let latest = latest.map(|it| (it.version, it.status.as_str(), it.rule_hash));
        all.push(format!("{} {} {} {latest:?}", perk.slug, perk.name, perk.purpose.as_str()));
    }
    let stretch = gateway.ledger.reader().stretch(merchant, None, jiff::Timestamp::MAX).await.unwrap();
    (all, stretch.before.unsigned_abs())
}

fn told(applied: &[Applied]) -> Vec<(i32, VersionStatus, bool)> {
    applied.iter().map(|it| (it.version.version, it.version.status, it.outcome != Outcome::Unchanged)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wanted_is_done_once_and_told_of_each() {
    for world in World::all().await {
        let (merchant, catalog) = (world.merchant("cathay").await.id, &world.gateway.catalog);
        let apply = async |wanted: Vec<Wanted>| catalog.apply(&merchant, CLI, wanted).await.unwrap();
        assert!(apply(Vec::new()).await.is_empty());
        let published = VersionStatus::Published;
        // In the order in which they were given, which is not that of the locks.
        let all = || vec![wanted("spa", 40), wanted("bar", 50)];
        let made = apply(all()).await;
        assert_eq!(told(&made), [(1, published, true); 2]);
        assert_eq!(made.iter().map(|it| it.perk.slug.as_str()).collect::<Vec<_>>(), ["spa", "bar"]);
        let before = standing(&world.gateway, &merchant).await;
        assert_eq!(told(&apply(all()).await), [(1, published, false); 2]);
        assert_eq!(standing(&world.gateway, &merchant).await, before, "applying twice changes nothing");

        let renamed = Wanted { name: "The spa".into(), purpose: Some(Purpose::Lounge), ..wanted("spa", 40) };
        let mut drafted = wanted("gym", 30);
        drafted.version.publish = false;
        let applied = apply(vec![renamed, wanted("bar", 55), drafted.clone()]).await;
        assert_eq!(told(&applied), [(1, published, true), (2, published, true), (1, VersionStatus::Draft, true)]);
        assert_eq!((applied[0].perk.name.as_str(), applied[0].perk.purpose), ("The spa", Purpose::Lounge));
        assert_eq!(applied[1].perk.published_version, Some(2));
        drafted.version.publish = true;
        assert_eq!(told(&apply(vec![drafted]).await), [(1, published, true)], "what was drafted decides");
        let report = perkgate::audit::verify(
            &world.gateway.database,
            &perkgate::audit::Request::default(),
            &perkgate::foundation::entropy::Entropy::System,
            &mut |_| {},
        );
        assert!(report.unwrap().findings.counts().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_of_one_leaves_all_as_they_were() {
    for world in World::all().await {
        let (merchant, catalog) = (world.merchant("cathay").await.id, &world.gateway.catalog);
        catalog.apply(&merchant, CLI, vec![wanted("gym", 40), wanted("lounge", 40)]).await.unwrap();
        catalog.set_status(&merchant, CLI, &"lounge".parse().unwrap(), PerkStatus::Retired, None).await.unwrap();
        let before = standing(&world.gateway, &merchant).await;
        let refused = async |wanted: Vec<Wanted>| {
            let error = catalog.apply(&merchant, CLI, wanted).await.unwrap_err();
            assert_eq!(standing(&world.gateway, &merchant).await, before, "{error:?}");
            match error {
                ApplyError::Perk { perk, latest, source } => (perk.to_string(), latest.map(|it| it.version), source),
                other => panic!("{other:?}"),
            }
        };
        let renamed = || Wanted { name: "The gym".into(), ..wanted("gym", 45) };
        let all = |third| vec![wanted("bar", 50), renamed(), third, wanted("spa", 60)];
        let (perk, latest, source) = refused(all(wanted("lounge", 45))).await;
        assert_eq!((perk.as_str(), latest, matches!(source, PerkError::Retired)), ("lounge", Some(1), true));
        let (perk, latest, source) = refused(all(wanted("sauna", 400))).await;
        assert_eq!((perk.as_str(), latest, matches!(source, PerkError::Rule(_))), ("sauna", None, true));
        let (perk, _, source) = refused(all(Wanted { name: String::new(), ..wanted("sauna", 40) })).await;
        assert_eq!((perk.as_str(), matches!(source, PerkError::Name(_))), ("sauna", true));
        // It says the same as it did: a perk that is retired is not in the way of others.
        let applied = catalog.apply(&merchant, CLI, all(wanted("lounge", 40))).await.unwrap();
        assert_eq!(
            applied.iter().map(|it| it.outcome != Outcome::Unchanged).collect::<Vec<_>>(),
            [true, true, false, true]
        );

        let many = vec![wanted("bar", 70); AT_ONCE + 1];
        assert!(
            matches!(catalog.apply(&merchant, CLI, many).await, Err(ApplyError::TooMany(count)) if count > AT_ONCE)
        );
        // A draft that was deleted leaves its number behind and no version.
        let draft =
            Wanted { version: NewVersion { publish: false, ..wanted("pool", 10).version }, ..wanted("pool", 10) };
        catalog.apply(&merchant, CLI, vec![draft.clone()]).await.unwrap();
        catalog.delete_version(&merchant, CLI, &draft.perk, 1, Expected::Anything).await.unwrap();
        let again = catalog.apply(&merchant, CLI, vec![draft]).await.unwrap();
        assert_eq!(told(&again), [(2, VersionStatus::Draft, true)]);
    }
}

/// Each wants all perks to say the same, in another order: nobody waits in a circle, and whoever looks
/// sees what one of them wanted.
#[tokio::test(flavor = "multi_thread")]
async fn two_who_apply_the_same_perks_come_one_after_the_other() {
    for world in World::all().await {
        let merchant = world.merchant("cathay").await.id;
        let all = |at_least| PERKS.map(|perk| wanted(perk, at_least)).to_vec();
        world.gateway.catalog.apply(&merchant, CLI, all(1)).await.unwrap();
        let replica = world.replica().await;
        for round in 0..12 {
            let (one, mut other) = (all(10 + round), all(30 + round));
            other.reverse();
            let (first, second) = tokio::join!(
                world.gateway.catalog.apply(&merchant, CLI, one),
                replica.catalog.apply(&merchant, CLI, other),
            );
            // The audience is the perk's own; all else of the rules is the same.
            let said = |applied: &[Applied]| {
                let rules = applied.iter().map(|it| it.version.rule.replace(it.perk.slug.as_str(), "perk"));
                let mut rules: Vec<String> = rules.collect();
                rules.dedup();
                rules
            };
            let (first, second) = (said(&first.unwrap()), said(&second.unwrap()));
            assert_eq!((first.len(), second.len()), (1, 1));
            let mut decides = Vec::new();
            for perk in PERKS {
                let perk = world.gateway.catalog.find_perk(&merchant, &perk.parse().unwrap()).await.unwrap();
                let version = perk.published_version.unwrap();
                let found = world.gateway.catalog.find_version(&merchant, &perk.slug, version).await.unwrap();
                decides.push(found.rule.replace(perk.slug.as_str(), "perk"));
            }
            decides.dedup();
            assert!(decides == first || decides == second, "{decides:?}");
        }
    }
}
