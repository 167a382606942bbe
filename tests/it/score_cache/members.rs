//! Attributes of people lie in the tiers of scores: seen as soon, believed as little, erased as surely.

use perkgate::gateway::Gateway;
use perkgate::ledger::retention::erasure::Erasure;
use perkgate::perks::attributes::AttributeTerms;
use perkgate::perks::life::Expected;
use perkgate::scores::Format;
use perkgate::scores::attributes::AttributeImport;

use super::{Lounge, until};
use crate::support::world::{CLI, question};

const CLUB: &str = r#"{"tiers":[{"id":"member","when":{"attr":"subject.status","op":"eq","value":"gold"}}]}"#;

impl Lounge {
    async fn members_only(&self) {
        let terms = AttributeTerms::read("text", "lounge", None, None).unwrap();
        let catalog = &self.world.gateway.catalog;
        catalog.put_attribute(&self.merchant.id, CLI, "status", terms, Expected::Anything).await.unwrap();
        self.world.perk(&self.merchant, "club", CLUB).await;
    }

    /// Says through one gateway that these people have this status.
    async fn say(&self, through: &Gateway, who: &[&str], status: &str) {
        let declared = through.catalog.declared_attributes(&self.merchant.id).await.unwrap();
        let (merchant, clock) = (self.merchant.id.clone(), self.world.clock.clone());
        let config = AttributeImport { merchant: merchant.clone(), declared, format: Format::Csv, clock };
        let keyring = through.keyring.clone();
        let mut import = through.scores.attributes().import(config, move |it| keyring.subject_ref(&merchant, it));
        let rows: Vec<String> = who.iter().map(|who| format!("{who},status,{status}")).collect();
        import.push(format!("subject,attribute,value\n{}", rows.join("\n")).as_bytes()).await.unwrap();
        assert_eq!(import.finish().await.unwrap().rejected, 0);
    }

    async fn is_member(&self, gateway: &Gateway, who: &str) -> bool {
        let asked = gateway.checker.check(&self.kiosk, self.kiosk.merchant().unwrap(), question("club", who)).await;
        asked.unwrap().decided.is_granted()
    }

    fn key_of_attributes(&self, who: &str) -> String {
        let reference = self.world.gateway.keyring.subject_ref(&self.merchant.id, &who.parse().unwrap());
        format!("perkgate:attributes:{}:{reference}", self.merchant.id)
    }

    fn attributes_in_redis(&self, who: &str) -> Option<Vec<u8>> {
        self.redis.command(&[b"GET", self.key_of_attributes(who).as_bytes()])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_of_people_is_shared_by_replicas_and_heard_of_at_once() {
    for lounge in Lounge::all().await {
        let here = &lounge.world.gateway;
        lounge.members_only().await;
        let there = lounge.replica().await;
        assert!(!lounge.is_member(here, "twitter:ada").await && !lounge.is_member(&there, "twitter:ada").await);
        lounge.say(&there, &["twitter:ada", "twitter:bob"], "gold").await;
        assert!(lounge.is_member(&there, "twitter:ada").await, "seen at once by who wrote it");
        until(async || lounge.is_member(here, "twitter:ada").await).await;
        // A reader fills Redis once the mark of the write is over.
        lounge.redis.command::<()>(&[b"DEL", lounge.key_of_attributes("twitter:bob").as_bytes()]);
        assert!(lounge.is_member(here, "twitter:bob").await);
        let kept = lounge.attributes_in_redis("twitter:bob").expect("it is filled");
        assert!(String::from_utf8_lossy(&kept).contains("gold") && !String::from_utf8_lossy(&kept).contains("bob"));

        let subject = there.keyring.subject_ref(&lounge.merchant.id, &"twitter:bob".parse().unwrap()).into();
        let erasure = Erasure { merchant: lounge.merchant.id.clone(), subject, by: CLI, asked: None };
        let erased = there.scores.erase(&there.ledger, erasure).await.unwrap().unwrap();
        assert_eq!((erased.forgotten.scores, erased.forgotten.attributes), (0, 1));
        assert!(!lounge.is_member(&there, "twitter:bob").await);
        until(async || !lounge.is_member(here, "twitter:bob").await).await;
        let left = lounge.attributes_in_redis("twitter:bob").unwrap_or_default();
        assert!(!String::from_utf8_lossy(&left).contains("gold"), "nor does Redis hold it any more");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_that_no_gateway_wrote_make_nobody_a_member() {
    for lounge in Lounge::all().await {
        let here = &lounge.world.gateway;
        lounge.members_only().await;
        lounge.say(here, &["twitter:ada"], "blue").await;
        lounge.say(here, &["twitter:bob"], "gold").await;
        let read_back = async |who: &str| {
            lounge.redis.command::<()>(&[b"DEL", lounge.key_of_attributes(who).as_bytes()]);
            let replica = lounge.replica().await;
            lounge.is_member(&replica, who).await;
            lounge.attributes_in_redis(who).unwrap()
        };
        let (of_ada, of_bob) = (read_back("twitter:ada").await, read_back("twitter:bob").await);
        let blue = of_ada.windows(4).position(|bytes| bytes == b"blue").unwrap();
        let mut painted = of_ada.clone();
        painted[blue..blue + 4].copy_from_slice(b"gold");
        for value in [of_bob, painted, of_ada[..of_ada.len() - 1].to_vec(), b"{}".to_vec()] {
            lounge.redis.command::<()>(&[b"SET", lounge.key_of_attributes("twitter:ada").as_bytes(), &value]);
            let replica = lounge.replica().await;
            assert!(!lounge.is_member(&replica, "twitter:ada").await, "by {value:02x?}");
        }
    }
}
