//! Who is inside equals the sum of the log's events, after any number of kills.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

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
const RULE: &str = r#"{"tiers":[{"id":"t","name":"T"}],"token":{"ttl":"PT12H"},"limits":[
  {"id":"seats","scope":["perk"],"max":1000000,"window":{"concurrent":{"max_stay":"PT4H"}}}]}"#;

/// What the log's events come to, and how many corrections there are.
async fn sum_of_events(world: &World, merchant: &Merchant) -> (i64, usize) {
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
    let (mut inside, mut corrections) = (0, 0);
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
        match event.kind.as_str() {
            "check.decided" if event.facts.member("decision").and_then(Json::as_text) == Some("granted") => {
                let limits = event.facts.member("limits").and_then(Json::as_list).unwrap();
                inside += limits.iter().map(|limit| whole(limit, "cost")).sum::<i64>();
            }
            "grant.released" => {
                let returned = event.facts.member("returned").and_then(Json::as_list).unwrap();
                inside -= returned.iter().map(|part| whole(part, "cost")).sum::<i64>();
                for part in returned {
                    if let Some(left) = part.member("corrections") {
                        take(left);
                    }
                }
            }
            "occupancy.corrected" => {
                take(event.facts.member("uses").unwrap());
                corrections += 1;
            }
            _ => {}
        }
    }
    (inside + uses.values().sum::<i64>(), corrections)
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

    async fn inside(&self) -> i64 {
        let answer = self.http.get(self.serve.url("/v1/perks/lounge/occupancy")).bearer_auth(&self.secret).send();
        let answer: Value = serde_json::from_slice(&answer.await.unwrap().bytes().await.unwrap()).unwrap();
        answer["inside"].as_i64().unwrap_or_else(|| panic!("{answer}"))
    }
}

/// Guests come and leave and are miscounted until so many answers have come; then the program is killed, wherever it is.
async fn load(gate: Gate, round: usize, enough: usize) {
    let (answered, fed_up, gone) = (AtomicUsize::new(0), Notify::new(), AtomicBool::new(false));
    let client = |nth: usize| {
        let (gate, answered, fed_up, gone) = (&gate, &answered, &fed_up, &gone);
        async move {
            for time in 0.. {
                if gone.load(Ordering::SeqCst) {
                    break;
                }
                let answer = if (nth + time).is_multiple_of(4) {
                    let delta = if time % 3 == 0 { 2 } else { -1 };
                    let body = json!({"delta": delta, "reason": "Seen."});
                    gate.post("/v1/perks/lounge/occupancy/corrections", &body).await
                } else {
                    let subject = format!("twitter:p{round}-{nth}-{time}");
                    let came = gate.post("/v1/checks", &json!({"perk": "lounge", "subject": subject})).await;
                    match &came {
                        Some((200, came)) if time % 2 == 0 => {
                            let grant = came["grant"].as_str().unwrap();
                            gate.post(&format!("/v1/grants/{grant}/release"), &json!({})).await
                        }
                        _ => came,
                    }
                };
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

/// Kills the program so often, each time after a few answers, and looks after each who is inside; how many corrections
/// there were.
async fn killed(database: TestDatabase, program: &Path, kills: usize) -> usize {
    let world = World::live(database).await;
    let merchant = world.merchant("cathay").await;
    world.perk(&merchant, "lounge", RULE).await;
    let key = NewKey::of(Role::Admin, Some(merchant.id.clone()), "floor");
    let (_, secret) = world.gateway.directory.create_key(key, CLI).await.unwrap();
    let mut gate = Gate::start(&world, secret.expose(), program);
    let mut corrections = 0;
    for round in 0..kills {
        // Wherever that meets the writer's batches.
        let enough = 1 + usize::from(Entropy::System.bytes::<1>()[0]) % 40;
        load(gate, round, enough).await;
        gate = Gate::start(&world, secret.expose(), program);
        let inside = gate.inside().await;
        let sum = sum_of_events(&world, &merchant).await;
        assert_eq!(inside, sum.0, "after {} kills, the last one after {enough} answers", round + 1);
        corrections = sum.1;
    }
    let report = perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
    let findings: Vec<_> = report.unwrap().findings.listed().iter().map(ToString::to_string).collect();
    assert_eq!(findings, [""; 0]);
    corrections
}

/// `FLOOR_KILLS` asks for more; the program would refuse a setting that it does not know.
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "a wish of the test run, not a setting of the gateway")]
async fn who_is_inside_equals_the_sum_of_events_after_kills() {
    let kills = std::env::var("FLOOR_KILLS").map_or(8, |text| text.parse().unwrap());
    for database in TestDatabase::migrated() {
        let corrections = killed(database, Path::new(env!("CARGO_BIN_EXE_perkgate")), kills).await;
        assert!(corrections > 0);
    }
}
