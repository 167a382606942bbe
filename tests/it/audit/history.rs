//! A history with something of everything, and the hands of somebody who can write to its database.

use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use perkgate::access::{Merchant, NewKey, Principal, Role};
use perkgate::audit::{Anchor, Report, Request};
use perkgate::database::schema::{checkpoints, events, logs};
use perkgate::database::{AnyConnection, Database, connection};
use perkgate::decision::decide::Decision;
use perkgate::decision::facts::Context;
use perkgate::eligibility::checker::{Answer, Question};
use perkgate::foundation::entropy::Entropy;
use perkgate::foundation::json::Json;
use perkgate::foundation::subject::hex;
use perkgate::ledger::entry::Receipt;
use perkgate::ledger::events::leaf_hash;
use perkgate::ledger::store::{CheckpointRow, EventRow, LogRow};
use perkgate::perks::perk::NewVersion;
use perkgate::tlog::merkle::Frontier;
use perkgate::tlog::note::{Checkpoint, VerifierKey};

use crate::support::databases::TestDatabase;
use crate::support::world::{CLI, World, idempotent, question};

const LOUNGE: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"standard","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"person-day","scope":["subject"],"max":1,"window":{"calendar":"day"}},
            {"id":"house-day","scope":["perk"],"max":200,"cost":"party","window":{"calendar":"day"}},
            {"id":"all-perks","scope":["merchant"],"max":500,"window":{"lifetime":true}}],
  "token":{"audience":"sfo-lounge"}}"#;

/// Spent as often as one likes; its limit is shared with the lounge's.
const SHOWER: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"standard","rank":1,"name":"Shower","when":{"attr":"score","op":"gte","value":30}}],
  "limits":[{"id":"all-perks","scope":["merchant"],"max":500,"window":{"lifetime":true}}],
  "token":{"audience":"sfo-lounge","single_use":false}}"#;

/// Every table that somebody might lay hands on. Those that name others come last.
const TABLES: [&str; 12] = [
    "merchants",
    "keyring_keys",
    "events",
    "checkpoints",
    "subtrees",
    "logs",
    "grants",
    "redemptions",
    "limit_counters",
    "perks",
    "rule_versions",
    "api_keys",
];

/// Two merchants and what happened to them.
pub(super) struct History {
    pub world: World,
    pub database: Database,
    /// The answer to the last check of `cathay`, a denial in a batch of its own.
    pub last: Answer,
}

impl History {
    pub(super) async fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for world in World::all().await {
            all.push(Self::of(world).await);
        }
        all
    }

    /// Of a gateway that calls its logs otherwise.
    pub(super) async fn elsewhere() -> Self {
        let database = TestDatabase::migrated().remove(0);
        Self::of(World::on(database, &[("log_origin", "elsewhere.example")]).await).await
    }

    /// Granted, denied, refused by limits, repeated, redeemed, replayed; rules and keys that changed.
    async fn of(world: World) -> Self {
        let directory = world.gateway.directory.clone();
        let (cathay, united) = (world.merchant("cathay").await, world.merchant("united").await);
        directory.set_time_zone(cathay.slug.clone(), "Asia/Hong_Kong", CLI).await.unwrap();
        directory.create_key(NewKey::of(Role::Operator, None, "root"), CLI).await.unwrap();
        let kiosk = NewKey {
            location: Some("SFO-A".to_owned()),
            ..NewKey::of(Role::Kiosk, Some(cathay.id.clone()), "SFO A12")
        };
        let kiosk = world.principal_with(kiosk).await;
        let door = NewKey {
            audience: Some("sfo-lounge".to_owned()),
            ..NewKey::of(Role::Door, Some(cathay.id.clone()), "door")
        };
        let door = world.principal_with(door).await;
        let mislaid = world.principal(&cathay, Role::Kiosk).await;
        directory.revoke_key(Some(cathay.id.clone()), mislaid.key, CLI).await.unwrap();
        world.perk(&cathay, "sfo-lounge", LOUNGE).await;
        world.perk(&cathay, "sfo-shower", SHOWER).await;
        for (who, score) in [("ada", "47.25"), ("bob", "37"), ("cy", "92"), ("dee", "12")] {
            world.score(&cathay, &format!("twitter:{who}"), score).await;
        }
        let ask = |perk: &str, who: &str| question(perk, &format!("twitter:{who}"));

        let ada = granted(&world, &kiosk, ask("sfo-lounge", "ada")).await;
        denied(&world, &kiosk, ask("sfo-lounge", "bob")).await;
        denied(&world, &kiosk, ask("sfo-lounge", "ada")).await;
        denied(&world, &kiosk, ask("sfo-lounge", "nobody")).await;
        let cy = granted(&world, &kiosk, idempotent(party(ask("sfo-lounge", "cy"), 3), "k1", 1)).await;
        granted(&world, &kiosk, idempotent(party(ask("sfo-lounge", "cy"), 3), "k1", 1)).await;
        redeem(&world, &door, &cathay, &ada, "a1").await;
        redeem(&world, &door, &cathay, &ada, "a1").await;
        redeem(&world, &door, &cathay, &cy, "a2").await;
        let shower = granted(&world, &kiosk, ask("sfo-shower", "cy")).await;
        redeem(&world, &door, &cathay, &shower, "b \"1\"").await;
        redeem(&world, &door, &cathay, &shower, "b2").await;

        let version = NewVersion {
            rule: Json::parse(&LOUNGE.replace("\"value\":40", "\"value\":35")).unwrap(),
            publish: true,
            change_note: None,
        };
        world.gateway.catalog.create_version(&cathay.id, CLI, &"sfo-lounge".parse().unwrap(), version).await.unwrap();
        let draft = NewVersion { rule: Json::parse(SHOWER).unwrap(), publish: false, change_note: None };
        world.gateway.catalog.create_version(&cathay.id, CLI, &"sfo-shower".parse().unwrap(), draft).await.unwrap();
        granted(&world, &kiosk, ask("sfo-lounge", "bob")).await;

        let united_kiosk = world.principal(&united, Role::Kiosk).await;
        world.perk(&united, "club", LOUNGE).await;
        world.score(&united, "twitter:ada", "60").await;
        granted(&world, &united_kiosk, ask("club", "ada")).await;
        world.pass(5 * 3600);
        granted(&world, &united_kiosk, ask("club", "ada")).await;

        // Ten at once: batches of more than one.
        let burst = (0..10).map(|nth| world.check(&kiosk, question("sfo-lounge", &format!("twitter:none-{nth}"))));
        futures_util::future::join_all(burst).await.into_iter().for_each(|answer| drop(answer.unwrap()));
        let last = denied(&world, &kiosk, ask("sfo-lounge", "dee")).await;
        let database = world.database.open();
        Self { world, database, last }
    }

    #[track_caller]
    pub(super) fn verify(&self, request: &Request) -> Report {
        perkgate::audit::verify(&self.database, request, &Entropy::seeded(1), &mut |_| {}).unwrap()
    }

    /// The verdict with only the database's own keys and no anchor.
    #[track_caller]
    pub(super) fn verdict(&self) -> Report {
        self.verify(&Request::default())
    }

    /// The published log key.
    pub(super) fn log_key(&self) -> VerifierKey {
        self.world.gateway.keyring.log_key().verifier().clone()
    }

    pub(super) fn receipt(&self) -> Vec<Anchor> {
        let Receipt { log, index, leaf_hash, checkpoint } = self.last.receipt.clone().unwrap();
        let receipt =
            serde_json::json!({"log": log, "index": index, "leaf_hash": hex(&leaf_hash), "checkpoint": checkpoint});
        Anchor::parse("receipt.json", &receipt.to_string()).unwrap()
    }

    /// Runs `f` on a connection that nobody watches, and keeps what it did.
    pub(super) fn lay_hands<T>(&self, f: impl FnOnce(&mut AnyConnection) -> T) -> T {
        let mut conn = self.database.dedicated().unwrap();
        connection::transaction(&mut conn, |conn| Ok::<_, perkgate::database::DatabaseError>(f(conn))).unwrap()
    }

    /// Keeps a copy of every table, to come back to.
    pub(super) fn keep(&self) {
        self.lay_hands(|conn| {
            for table in TABLES {
                conn.batch_execute(&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")).unwrap();
            }
        });
    }

    /// Back to the copy.
    pub(super) fn restore(&self) {
        self.lay_hands(|conn| {
            for table in TABLES.into_iter().rev() {
                conn.batch_execute(&format!("DELETE FROM {table}")).unwrap();
            }
            for table in TABLES {
                conn.batch_execute(&format!("INSERT INTO {table} SELECT * FROM kept_{table}")).unwrap();
            }
        });
    }
}

async fn granted(world: &World, kiosk: &Principal, question: Question) -> Answer {
    let answer = world.check(kiosk, question).await.unwrap();
    assert_eq!(answer.decided.decision, Decision::Granted, "{:?}", answer.decided.reasons);
    answer
}

async fn denied(world: &World, kiosk: &Principal, question: Question) -> Answer {
    let answer = world.check(kiosk, question).await.unwrap();
    assert_eq!(answer.decided.decision, Decision::Denied);
    answer
}

fn party(question: Question, people: i64) -> Question {
    Question { context: Context::parse(&Json::object([("party", Json::whole(people))])).unwrap(), ..question }
}

async fn redeem(world: &World, door: &Principal, merchant: &Merchant, answer: &Answer, attempt: &str) {
    let deadline = Instant::now() + Duration::from_mins(1);
    let token = answer.token.as_deref().unwrap();
    let redeemer = &world.gateway.redeemer;
    redeemer.redeem(door, merchant, token, "SFO-A-3".to_owned(), attempt.to_owned(), deadline).await.unwrap();
}

pub(super) fn log(conn: &mut AnyConnection, name: &str) -> LogRow {
    logs::table.filter(logs::name.eq(name)).select(LogRow::as_select()).first(conn).unwrap()
}

pub(super) fn events_of(conn: &mut AnyConnection, name: &str) -> Vec<EventRow> {
    let id = log(conn, name).id;
    events::table
        .filter(events::log_id.eq(id))
        .order(events::log_index)
        .select(EventRow::as_select())
        .load(conn)
        .unwrap()
}

/// The first event of the log whose body holds `text`.
#[track_caller]
pub(super) fn event_with(conn: &mut AnyConnection, name: &str, text: &str) -> EventRow {
    let mut all = events_of(conn, name).into_iter();
    all.find(|event| event.body.as_deref().unwrap_or_default().contains(text)).expect(text)
}

/// Puts `all` in the place of the log's events.
pub(super) fn replace_events(conn: &mut AnyConnection, log: &str, all: &[EventRow]) {
    diesel::delete(events::table.filter(events::log_id.eq(log))).execute(conn).unwrap();
    for event in all {
        diesel::insert_into(events::table).values(event).execute(conn).unwrap();
    }
}

/// A key that the gateway doesn't know.
pub(super) fn foreign_key() -> (VerifierKey, impl Fn(&[u8]) -> [u8; 64]) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[66; 32]).unwrap();
    let public: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
    // As the gateway would call it.
    let name = format!("perkgate-{}", &hex(digest::digest(&digest::SHA256, &public).as_ref())[..8]);
    let key = VerifierKey::new(&name, public).unwrap();
    (key, move |text: &[u8]| pair.sign(text).as_ref().try_into().unwrap())
}

/// Makes the log whole again after its events were changed: dense indexes, leaf hashes, head and
/// a checkpoint at every size, all signed by `key`.
pub(super) fn rebuild(
    conn: &mut AnyConnection,
    name: &str,
    mut all: Vec<EventRow>,
    key: &VerifierKey,
    sign: &dyn Fn(&[u8]) -> [u8; 64],
) {
    let mut head = log(conn, name);
    let mut frontier = Frontier::default();
    diesel::delete(checkpoints::table.filter(checkpoints::log_id.eq(&head.id))).execute(conn).unwrap();
    for (index, event) in (0..).zip(&mut all) {
        event.log_index = index;
        let hash = leaf_hash(event.body.as_deref().unwrap());
        event.leaf_hash = hash.to_vec();
        frontier.append(hash);
        let checkpoint = Checkpoint { origin: head.origin.clone(), size: frontier.size(), root: frontier.root() };
        head.size = index + 1;
        head.root = checkpoint.root.to_vec();
        head.frontier = frontier.to_bytes();
        head.checkpoint = checkpoint.sign(key, sign);
        let row = CheckpointRow {
            log_id: head.id.clone(),
            size: head.size,
            note: head.checkpoint.clone(),
            signed_at: event.at,
        };
        diesel::insert_into(checkpoints::table).values(row).execute(conn).unwrap();
    }
    replace_events(conn, &head.id, &all);
    diesel::update(logs::table.find(&head.id))
        .set((
            logs::size.eq(head.size),
            logs::frontier.eq(&head.frontier),
            logs::root.eq(&head.root),
            logs::checkpoint.eq(&head.checkpoint),
        ))
        .execute(conn)
        .unwrap();
}
