//! Who is inside equals the sum of the log's events, after any number of kills.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use perkgate::access::{Merchant, NewKey, Role};
use perkgate::audit::Request;
use perkgate::database::{DatabaseError, schema};
use perkgate::foundation::entropy::Entropy;
use perkgate::foundation::json::Json;
use perkgate::ledger::events::StoredEvent;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::databases::TestDatabase;
use crate::support::serve::Serve;
use crate::support::world::{CLI, ISSUER, World};

const CLIENTS: usize = 8;
/// People of one network come in, and others by hand. A token is good at doors that are offline, so that what an undone grant
/// used is free only when it expires.
const RULE: &str = r#"{"tiers":[{"id":"t","name":"T","when":{"attr":"subject.network","op":"eq","value":"twitter"}}],
  "token":{"ttl":"PT12H"},"override":{"reasons":["courtesy"],"max":1000000,"window":{"calendar":"day"}},"limits":[
  {"id":"seats","scope":["perk"],"max":1000000,"window":{"concurrent":{"max_stay":"PT4H"}}}]}"#;
/// How long a token is good.
const TTL: SignedDuration = SignedDuration::from_hours(12);

/// What a log's events come to.
#[derive(Default)]
struct Sum {
    inside: i64,
    /// How many of each kind there are; `override` and `pending` are kinds of their own here.
    seen: BTreeMap<String, usize>,
}

async fn sum_of_events(world: &World, merchant: &Merchant) -> Sum {
    use diesel::prelude::*;
    let merchant = merchant.id.as_str().to_owned();
    let bodies = world.gateway.database.read(move |conn| {
        let bodies: Vec<Option<String>> = schema::events::table
            .inner_join(schema::logs::table.on(schema::logs::id.eq(schema::events::log_id)))
            .filter(schema::logs::merchant_id.eq(merchant))
            .order(schema::events::log_index)
            .select(schema::events::body)
            .load(conn)?;
        Ok::<_, DatabaseError>(bodies)
    });
    let mut sum = Sum::default();
    let mut uses: BTreeMap<String, i64> = BTreeMap::new();
    for body in bodies.await.unwrap() {
        let event = StoredEvent::parse(&body.unwrap()).unwrap();
        let whole = |json: &Json, name: &str| json.member(name).and_then(Json::as_whole).unwrap();
        // What a use of a correction costs from now on.
        let mut take = |list: &Json| {
            for one in list.as_list().unwrap() {
                uses.insert(one.member("id").and_then(Json::as_text).unwrap().to_owned(), whole(one, "cost"));
            }
        };
        let seats = |list: &str| {
            let list = event.facts.member(list).and_then(Json::as_list).unwrap_or_default();
            list.iter().filter(|one| one.member("id").and_then(Json::as_text) == Some("seats")).collect::<Vec<_>>()
        };
        let cost = |list: &str| seats(list).into_iter().map(|one| whole(one, "cost")).sum::<i64>();
        match event.kind.as_str() {
            "check.decided" if event.facts.member("decision").and_then(Json::as_text) == Some("granted") => {
                sum.inside += cost("limits");
            }
            "grant.released" | "grant.voided" | "grant.freed" => {
                sum.inside -= cost("returned");
                for left in seats("returned").into_iter().filter_map(|part| part.member("corrections")) {
                    take(left);
                }
            }
            "token.redeemed_offline" => {
                for left in seats("holds").into_iter().filter_map(|held| held.member("corrections")) {
                    take(left);
                }
            }
            "occupancy.corrected" => take(event.facts.member("uses").unwrap()),
            _ => {}
        }
        let own = [("override_reason", "override"), ("frees_at", "pending")];
        let own = own.into_iter().filter(|(member, _)| event.facts.member(member).is_some()).map(|(_, kind)| kind);
        for kind in own.chain([event.kind.as_str()]) {
            *sum.seen.entry(kind.to_owned()).or_default() += 1;
        }
    }
    sum.inside += uses.values().sum::<i64>();
    sum
}

struct Gate {
    http: reqwest::Client,
    serve: Serve,
    secret: String,
}

impl Gate {
    fn start(world: &World, secret: &str, program: &Path) -> Self {
        let serve = Serve::start(program, &world.database, &[("rate_per_key", "0"), ("issuer", ISSUER)]);
        Self { http: reqwest::Client::new(), serve, secret: secret.to_owned() }
    }

    /// None when the connection died.
    async fn post(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        let request = self.http.post(self.serve.url(path)).bearer_auth(&self.secret);
        let answer = request.header("content-type", "application/json").body(body.to_string()).send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, serde_json::from_slice(&answer.bytes().await.ok()?).unwrap()))
    }

    /// The answer to a check.
    async fn ask(&self, subject: &str) -> Option<(u16, Value)> {
        self.post("/v1/checks", &json!({"perk": "lounge", "subject": subject})).await
    }

    /// What is answered at last of the step of this number, which people take by this name.
    async fn step(&self, nth: usize, name: &str) -> Option<(u16, Value)> {
        let text =
            |answer: &Value, member: &str| answer[member].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        if nth.is_multiple_of(4) {
            let delta = if nth.is_multiple_of(8) { 2 } else { -1 };
            let body = json!({"delta": delta, "reason": "Seen."});
            return self.post("/v1/perks/lounge/occupancy/corrections", &body).await;
        }
        if nth % 8 == 1 {
            let (_, refused) = self.ask(&format!("member:{name}")).await?;
            let path = format!("/v1/checks/{}/override", text(&refused, "check"));
            return self.post(&path, &json!({"reason": "courtesy", "tier": "t"})).await;
        }
        let (status, came) = self.ask(&format!("twitter:{name}")).await?;
        let grant = text(&came, "grant");
        match nth % 8 {
            2 => self.post(&format!("/v1/grants/{grant}/undo"), &json!({"reason": "mistake"})).await,
            3 => {
                let until: Timestamp = text(&came, "token_expires_at").parse().unwrap();
                let item =
                    json!({"token": came["token"], "door": "A", "attempt": name, "at": (until - TTL).to_string()});
                let (status, heard) = self.post("/v1/tokens/redeem/late", &json!({"items": [item]})).await?;
                assert_eq!(heard["results"][0]["outcome"], "recorded", "{heard}");
                Some((status, heard))
            }
            5 | 6 => self.post(&format!("/v1/grants/{grant}/release"), &json!({})).await,
            _ => Some((status, came)),
        }
    }

    async fn inside(&self) -> i64 {
        let answer = self.http.get(self.serve.url("/v1/perks/lounge/occupancy")).bearer_auth(&self.secret).send();
        let answer: Value = serde_json::from_slice(&answer.await.unwrap().bytes().await.unwrap()).unwrap();
        answer["inside"].as_i64().unwrap_or_else(|| panic!("{answer}"))
    }
}

/// Guests come, are let in by hand, leave, are undone, reported late and miscounted until so many answers have come; then the
/// program is killed, wherever it is.
async fn load(gate: Gate, round: usize, enough: usize) {
    let (answered, fed_up, gone) = (AtomicUsize::new(0), Notify::new(), AtomicBool::new(false));
    let client = |nth: usize| {
        let (gate, answered, fed_up, gone) = (&gate, &answered, &fed_up, &gone);
        async move {
            for time in 0.. {
                if gone.load(Ordering::SeqCst) {
                    break;
                }
                let answer = gate.step(nth + time, &format!("p{round}-{nth}-{time}")).await;
                let Some((status, answer)) = answer else { break };
                assert!(status < 300 || answer["code"] == "too_few_inside", "{answer}");
                if answered.fetch_add(1, Ordering::SeqCst) + 1 == enough {
                    fed_up.notify_one();
                }
            }
        }
    };
    let pid = gate.serve.id();
    let kill = async {
        fed_up.notified().await;
        assert!(std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
        gone.store(true, Ordering::SeqCst);
    };
    let load = futures_util::future::join_all((0..CLIENTS).map(client));
    let both = tokio::time::timeout(Duration::from_mins(2), async { tokio::join!(load, kill) });
    both.await.expect("the clients come to an end");
    gate.serve.kill();
}

/// Kills the program so often, each time after a few answers, and looks after each who is inside; what happened in all.
async fn killed(database: TestDatabase, program: &Path, kills: usize) -> Sum {
    let world = World::live(database).await;
    let merchant = world.merchant("cathay").await;
    world.perk(&merchant, "lounge", RULE).await;
    let key = NewKey::of(Role::Admin, Some(merchant.id.clone()), "floor");
    let (_, secret) = world.gateway.directory.create_key(key, CLI).await.unwrap();
    let mut gate = Gate::start(&world, secret.expose(), program);
    let mut sum = Sum::default();
    for round in 0..kills {
        // Wherever that meets the writer's batches.
        let enough = 1 + usize::from(Entropy::System.bytes::<1>()[0]) % 40;
        load(gate, round, enough).await;
        gate = Gate::start(&world, secret.expose(), program);
        let inside = gate.inside().await;
        sum = sum_of_events(&world, &merchant).await;
        assert_eq!(inside, sum.inside, "after {} kills, the last one after {enough} answers", round + 1);
    }
    let report = perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
    let findings: Vec<_> = report.unwrap().findings.listed().iter().map(ToString::to_string).collect();
    assert_eq!(findings, [""; 0]);
    sum
}

/// `FLOOR_KILLS` asks for more; the program would refuse a setting that it does not know.
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "a wish of the test run, not a setting of the gateway")]
async fn who_is_inside_equals_the_sum_of_events_after_kills() {
    let kills = std::env::var("FLOOR_KILLS").map_or(8, |text| text.parse().unwrap());
    for database in TestDatabase::migrated() {
        let seen = killed(database, Path::new(env!("CARGO_BIN_EXE_perkgate")), kills).await.seen;
        for kind in ["occupancy.corrected", "grant.released", "pending", "token.redeemed_offline", "override"] {
            assert!(seen.contains_key(kind), "{kind}: {seen:?}");
        }
    }
}
