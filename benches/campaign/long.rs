//! A long history of one merchant, recorded by the real ledger, and how fast the program verifies it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use futures_util::StreamExt as _;
use futures_util::stream;
use perkgate::access::{Merchant, Principal, Role};
use perkgate::eligibility::checker::Answer;

use crate::support::databases::TestDatabase;
use crate::support::world::{World, question};

const PEOPLE: usize = 20_000;
const VISITS_A_DAY: i64 = 20_000;
/// A busy machine's database may have no connection free for a while.
const TRIES: usize = 100;

const LOUNGE: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"standard","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"person-day","scope":["subject"],"max":100,"window":{"calendar":"day"}},
            {"id":"house-day","scope":["perk"],"max":1000000,"window":{"calendar":"day"}}],
  "token":{"audience":"sfo-lounge"}}"#;

const SHOWER: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"standard","rank":1,"name":"Shower","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"person-week","scope":["subject"],"max":100,"window":{"rolling":"PT168H"}}],
  "token":{"audience":"sfo-lounge"}}"#;

/// Who comes, and where to.
struct Place<'a> {
    world: &'a World,
    cathay: Merchant,
    kiosk: Principal,
}

/// Some `events` of a lounge and, for one visit in ten, a shower: three in four people are let in, and
/// every other one of them goes in at once. `at_once` stand at the kiosks at any time, which is what
/// decides how many share a checkpoint. The clock goes on as if 20,000 came every day.
pub(crate) async fn record(world: &World, events: usize, at_once: usize) {
    let cathay = world.merchant("cathay").await;
    let kiosk = world.principal(&cathay, Role::Kiosk).await;
    world.perk(&cathay, "lounge", LOUNGE).await;
    world.perk(&cathay, "shower", SHOWER).await;
    let score = |nth: usize| if nth.is_multiple_of(4) { "37" } else { "47.25" };
    world.import_scores(&cathay, (0..PEOPLE).map(|nth| (person(nth), score(nth)))).await;
    let place = Place { world, cathay, kiosk };
    // 8 checks come with 3 redemptions.
    let visits = events * 8 / 11;
    stream::iter(0..visits).map(|nth| place.visit(nth)).buffer_unordered(at_once).collect::<()>().await;
}

fn person(nth: usize) -> String {
    format!("twitter:person{nth}")
}

impl Place<'_> {
    async fn visit(&self, nth: usize) {
        if nth.is_multiple_of(20) {
            self.world.pass(86_400 * 20 / VISITS_A_DAY);
        }
        let perk = if nth % 10 == 9 { "shower" } else { "lounge" };
        // No multiple of four, so that everybody comes to everything.
        let answer = self.ask(perk, &person(nth * 7 % PEOPLE)).await;
        if let Some(token) = answer.token.filter(|_| nth % 8 < 4) {
            let (redeemer, deadline) = (&self.world.gateway.redeemer, question(perk, "nobody").deadline);
            let (door, attempt) = (format!("SFO-A-{}", nth % 7), format!("attempt {nth}"));
            redeemer.redeem(&self.kiosk, &self.cathay, &token, door, attempt, deadline).await.unwrap();
        }
    }
}

impl Place<'_> {
    /// Asks again when the gateway says that it is busy, as a kiosk would.
    async fn ask(&self, perk: &str, who: &str) -> Answer {
        let mut tries = 0;
        loop {
            match self.world.check(&self.kiosk, question(perk, who)).await {
                Ok(answer) => return answer,
                Err(error) if tries == TRIES => panic!("{error}"),
                Err(_) => tries += 1,
            }
        }
    }
}

/// What a run of the program took.
pub(crate) struct Figures {
    pub answer: serde_json::Value,
    pub seconds: f64,
    pub cpu_seconds: f64,
    pub max_rss_mb: f64,
}

/// Runs `perkgate audit verify` on one core, where the machine has `taskset` and `time`.
pub(crate) fn verify(program: &Path, database: Option<&TestDatabase>, more: &[&str]) -> Figures {
    let mut command = Command::new("taskset");
    command.args(["-c", "0", "time", "-f", "%U %S %M"]).arg(program).args(["audit", "verify", "--json"]).args(more);
    if let Some(database) = database {
        command.args(["--database-url", &database.setting()]);
    }
    let began = Instant::now();
    let done = command.stdin(Stdio::null()).output().expect("taskset and time are there");
    let seconds = began.elapsed().as_secs_f64();
    let (stdout, stderr) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    let answer = serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{e}: {stdout}{stderr}"));
    let told: Vec<f64> = stderr.lines().last().unwrap().split(' ').map(|it| it.parse().expect(&stderr)).collect();
    let [user, system, kilobytes] = told[..] else { panic!("{stderr}") };
    Figures { answer, seconds, cpu_seconds: user + system, max_rss_mb: kilobytes / 1000.0 }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = |name: &str| self.answer["checked"][name].as_f64().unwrap_or_default();
        let events = of("events");
        write!(
            f,
            "{events} events, {} checkpoints, {} grants: {:.2} s, of which {:.2} on the core; {:.0} events/s by the clock, \
             {:.0} by the core; at most {:.0} MB",
            of("checkpoints"),
            of("grants"),
            self.seconds,
            self.cpu_seconds,
            events / self.seconds,
            events / self.cpu_seconds,
            self.max_rss_mb,
        )
    }
}
