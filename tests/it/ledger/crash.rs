//! The program is killed under load, started anew, and asked again: what anybody was told is there.
//! `benches/campaign` runs the same with more kills.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use perkgate::access::{NewKey, Role};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::databases::TestDatabase;
use crate::support::serve::Serve;
use crate::support::tally::Tally;
use crate::support::world::{CLI, ISSUER, World};

const CLIENTS: usize = 16;
/// People who are asked about between two kills; each is asked about until their limit says no.
const PEOPLE: usize = 40;

const RULE: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"standard","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"person","scope":["subject"],"max":2,"window":{"lifetime":true}},
            {"id":"house-day","scope":["perk"],"max":1000000,"window":{"calendar":"day"}}]}"#;

/// What a run of kills came to.
#[derive(Debug)]
pub(super) struct Losses {
    /// Answers that a client had received when the program was killed.
    pub answers: usize,
    /// Tokens among them and among the retries; each was found in the ledger.
    pub tokens: usize,
    pub redemptions: usize,
    /// Requests that were cut off and asked again.
    pub cut_off: usize,
    /// Of those, how many had been recorded before the kill.
    pub cut_off_but_recorded: usize,
}

/// What the clients know.
#[derive(Default)]
struct Known {
    /// By idempotency key: the whole answer.
    answers: HashMap<String, Value>,
    /// Keys whose answer never came, with the person.
    cut_off: Vec<(String, usize)>,
    /// Tokens by their grant, with the attempt that redeemed them.
    redeemed: HashMap<String, (String, String)>,
    redemptions_cut_off: Vec<(String, String)>,
}

struct Clients {
    http: reqwest::Client,
    serve: Serve,
    key: String,
}

impl Clients {
    fn start(world: &World, key: &str, program: &Path) -> Self {
        let serve = Serve::start(program, &world.database, &[("rate_per_key", "0"), ("issuer", ISSUER)]);
        Self { http: reqwest::Client::new(), serve, key: key.to_owned() }
    }

    /// The status and the answer; `None` when the connection died.
    async fn post(&self, path: &str, idempotency: Option<&str>, body: &Value) -> Option<(u16, Value)> {
        let request = self.http.post(self.serve.url(path)).bearer_auth(&self.key);
        let mut request = request.header("Content-Type", "application/json").body(body.to_string());
        if let Some(key) = idempotency {
            request = request.header("Idempotency-Key", key);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, serde_json::from_slice(&answer.bytes().await.ok()?).unwrap()))
    }

    async fn check(&self, key: &str, person: usize) -> Option<(u16, Value)> {
        let body = json!({"perk": "lounge", "subject": subject(person)});
        self.post("/v1/checks", Some(key), &body).await
    }

    async fn redeem(&self, token: &str, attempt: &str) -> Option<(u16, Value)> {
        let body = json!({"token": token, "door": "SFO-A-3", "attempt": attempt});
        self.post("/v1/tokens/redeem", None, &body).await
    }
}

fn subject(person: usize) -> String {
    format!("twitter:person{person}")
}

/// Kills the program `kills` times, each time with [`CLIENTS`] requests under way.
pub(super) async fn killed(database: TestDatabase, program: &Path, kills: usize) -> Losses {
    let world = World::live(database).await;
    let merchant = world.merchant("cathay").await;
    world.perk(&merchant, "lounge", RULE).await;
    world.import_scores(&merchant, (0..(kills + 1) * PEOPLE).map(|nth| (subject(nth), "47.25"))).await;
    let key = NewKey::of(Role::Kiosk, Some(merchant.id.clone()), "crash");
    let (_, secret) = world.gateway.directory.create_key(key, CLI).await.unwrap();
    let mut losses = Losses { answers: 0, tokens: 0, redemptions: 0, cut_off: 0, cut_off_but_recorded: 0 };
    let mut known = Known::default();
    let mut clients = Clients::start(&world, secret.expose(), program);
    for round in 0..kills {
        // Another number each time, so that the kill meets the ledger at another point.
        let enough = 60 + round * 37 % 90;
        let answered = load(clients, &mut known, round, enough).await;
        losses.answers += answered;
        clients = Clients::start(&world, secret.expose(), program);
        let tally = world.tally(&merchant);
        found(&known, &tally);
        ask_again(&clients, &mut known, &tally, &mut losses).await;
    }
    drop(clients);
    let tally = world.tally(&merchant);
    found(&known, &tally);
    losses.tokens = known.answers.values().filter(|answer| answer["token"].is_string()).count();
    losses.redemptions = known.redeemed.len();
    verify_tokens(&world, &known);
    losses
}

/// Clients ask until `enough` answers have come; then the program is killed. Returns how many came.
async fn load(clients: Clients, known: &mut Known, round: usize, enough: usize) -> usize {
    let shared = Arc::new(Mutex::new(std::mem::take(known)));
    let (answered, fed_up, gone) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()), AtomicBool::new(false));
    let client = |nth: usize| {
        let (shared, answered, fed_up, clients, gone) = (&shared, &answered, &fed_up, &clients, &gone);
        async move {
            for time in 0.. {
                if gone.load(Ordering::SeqCst) {
                    break;
                }
                let (key, person) = (format!("{round}-{nth}-{time}"), round * PEOPLE + (nth + time * 7) % PEOPLE);
                let Some((status, answer)) = clients.check(&key, person).await else {
                    shared.lock().unwrap().cut_off.push((key, person));
                    break;
                };
                assert_eq!(status, 200, "{answer}");
                shared.lock().unwrap().answers.insert(key.clone(), answer.clone());
                if answered.fetch_add(1, Ordering::SeqCst) + 1 == enough {
                    fed_up.notify_one();
                }
                let Some(token) = answer["token"].as_str().filter(|_| time % 3 == 0) else { continue };
                let Some((status, answer)) = clients.redeem(token, &key).await else {
                    shared.lock().unwrap().redemptions_cut_off.push((token.to_owned(), key));
                    break;
                };
                assert_eq!(status, 200, "{answer}");
                let grant = answer["grant"].as_str().unwrap().to_owned();
                shared.lock().unwrap().redeemed.insert(grant, (token.to_owned(), key));
            }
        }
    };
    let pid = clients.serve.id();
    let kill = async {
        fed_up.notified().await;
        // By its own id, while the clients wait for their answers.
        assert!(std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
        gone.store(true, Ordering::SeqCst);
    };
    let load = futures_util::future::join_all((0..CLIENTS).map(client));
    let both = tokio::time::timeout(Duration::from_mins(2), async { tokio::join!(load, kill) });
    both.await.expect("the clients come to an end");
    clients.serve.kill();
    *known = std::mem::take(&mut *shared.lock().unwrap());
    answered.load(Ordering::SeqCst)
}

/// Whatever anybody was told is recorded.
fn found(known: &Known, tally: &Tally) {
    for answer in known.answers.values().filter(|answer| answer["token"].is_string()) {
        let check = tally.grants.get(answer["grant"].as_str().unwrap());
        assert_eq!(check.map(String::as_str), answer["check"].as_str(), "a token without its record: {answer}");
    }
    for grant in known.redeemed.keys() {
        assert!(tally.redeemed.contains(grant), "a redemption was lost: {grant}");
    }
}

/// The same questions get the same answers; those that were cut off get one now, and only one grant.
async fn ask_again(clients: &Clients, known: &mut Known, tally: &Tally, losses: &mut Losses) {
    let before: Vec<(String, Value)> = known.answers.iter().map(|(key, it)| (key.clone(), it.clone())).collect();
    for (key, answer) in before.iter().filter(|(key, _)| key.ends_with('0')).take(20) {
        let person = key.split('-').map(|part| part.parse::<usize>().unwrap()).collect::<Vec<_>>();
        let person = person[0] * PEOPLE + (person[1] + person[2] * 7) % PEOPLE;
        let (status, again) = clients.check(key, person).await.unwrap();
        assert_eq!((status, &again), (200, answer), "the same question, the very same answer");
    }
    let cut_off = std::mem::take(&mut known.cut_off);
    losses.cut_off += cut_off.len() + known.redemptions_cut_off.len();
    for (key, person) in cut_off {
        let (status, answer) = clients.check(&key, person).await.unwrap();
        assert_eq!(status, 200, "{answer}");
        let index = usize::try_from(answer["receipt"]["index"].as_u64().unwrap()).unwrap();
        losses.cut_off_but_recorded += usize::from(index < tally.events);
        known.answers.insert(key, answer);
    }
    for (token, attempt) in std::mem::take(&mut known.redemptions_cut_off) {
        let (status, answer) = clients.redeem(&token, &attempt).await.unwrap();
        assert_eq!(status, 200, "{answer}");
        known.redeemed.insert(answer["grant"].as_str().unwrap().to_owned(), (token, attempt));
    }
    for (token, attempt) in known.redeemed.values().take(10) {
        assert_eq!(clients.redeem(token, attempt).await.unwrap().0, 200);
        assert_eq!(clients.redeem(token, "another").await.unwrap().0, 409);
    }
}

fn verify_tokens(world: &World, known: &Known) {
    for answer in known.answers.values() {
        let Some(token) = answer["token"].as_str() else { continue };
        let claims = world.gateway.redeemer.verify(token).unwrap();
        assert_eq!(answer["grant"], claims.jti.as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_anybody_was_told_before_a_kill_is_there_after_it() {
    for database in TestDatabase::migrated() {
        let losses = killed(database, Path::new(env!("CARGO_BIN_EXE_perkgate")), 2).await;
        assert!(losses.tokens > 0 && losses.redemptions > 0 && losses.cut_off > 0, "{losses:?}");
    }
}
