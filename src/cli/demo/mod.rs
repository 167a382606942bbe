//! `perkgate demo`: two real offers of 2012 and 2013, one person let in, one turned away, all of it
//! over HTTP as a kiosk and a door would.

pub(crate) mod stage;

use std::fmt;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::error::CliError;
use super::flags::ServingFlags;
use super::output::{write_block, write_line, write_part};
use super::serve::{LAST_WORDS, Running, stop_signal};
use super::{Completion, Invocation};
use crate::access::accounts::{AccountName, NewAccount};
use crate::access::{AccessError, Merchant, NewKey, Role};
use crate::foundation::clock::from_seconds;
use crate::foundation::ids::MerchantSlug;
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::ledger::entry::Actor;
use crate::perks::error::PerkError;
use crate::perks::perk::NewVersion;
use crate::scores::score::{Score, Source};
use crate::settings::table;
use crate::tokens::Verifier;
use crate::tokens::jwks::Jwks;
use stage::Stage;

/// A SQLite database of its own, made for the show; nothing else is touched.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Where the database is made; a new temporary directory unless given.
    #[arg(long, value_name = "DIRECTORY")]
    pub dir: Option<PathBuf>,
    /// Seed the database of --database-url instead, which must be empty.
    #[arg(long, conflicts_with = "dir")]
    pub into: bool,
    /// End after the show: 0 if all of it held, 1 if not.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    pub serving: ServingFlags,
}

const ACTOR: Actor = Actor { key: None, role: "cli" };

/// The account of the show.
const ADMIN: &str = "demo@cathay.example";

/// Cathay Pacific, San Francisco: from 8 May 2012 its lounge on the A concourse of the
/// international terminal was open to anyone with a score of 40 or more, without a ticket on the
/// airline (`TechCrunch`, 8 May 2012; crankyflier.com, 22 May 2012).
const LOUNGE: &str = r#"{
  "time_zone": "America/Los_Angeles",
  "valid": {"from": "2012-05-08T00:00"},
  "score": {"source": "klout"},
  "when": {"attr": "context.concourse", "op": "eq", "value": "A"},
  "tiers": [{"id": "standard", "rank": 1, "name": "Cathay Pacific's lounge",
             "when": {"attr": "score", "op": "gte", "value": 40}}],
  "token": {"audience": "sfo-lounge", "ttl": "PT30M"}
}"#;

/// American Airlines: from 7 May 2013 a score of 55 or more opened about 40 Admirals Clubs for one
/// day, whatever airline one flew with (American Airlines' and Klout's announcement, 7 May 2013).
const CLUB: &str = r#"{
  "time_zone": "America/Chicago",
  "valid": {"from": "2013-05-07T00:00"},
  "score": {"source": "klout"},
  "tiers": [{"id": "day-pass", "rank": 1, "name": "Admirals Club for a day",
             "when": {"attr": "score", "op": "gte", "value": 55}}],
  "limits": [{"id": "once", "scope": ["subject"], "max": 1, "window": {"lifetime": true}}],
  "token": {"audience": "admirals-club", "ttl": "P1D"}
}"#;

/// Scores that were published when the formula changed on 14 August 2012 (Reuters, 15 August 2012:
/// Obama from 94 to 99, Bieber from 100 to 92; Slate, 15 August 2012: Romney 90), and one that is
/// made up: nobody real is turned away here. The show takes them for scores of today.
const SCORES: [(&str, &str); 4] =
    [("twitter:barackobama", "99"), ("twitter:justinbieber", "92"), ("twitter:mittromney", "90"), (VISITOR, "37")];
const VISITOR: &str = "demo:a-visitor";

/// The answer of a show.
#[derive(Serialize)]
struct Show {
    database: String,
    url: String,
    steps: Vec<Step>,
    keys: Vec<(String, String)>,
    curl: String,
    /// Logs an admin of cathay in, once.
    console: String,
    held: bool,
    #[serde(skip)]
    once: bool,
}

/// One thing that was done, and whether it came out as it must.
#[derive(Serialize)]
struct Step {
    title: String,
    lines: Vec<String>,
    held: bool,
    answer: Value,
}

impl fmt::Display for Show {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_line!(f, "perkgate demo, on {}\n", self.database)?;
        write_line!(f, "Two offers, as they were made:")?;
        write_line!(f, "  cathay/sfo-lounge       Cathay Pacific, San Francisco, May 2012: a score of 40 or more")?;
        write_line!(f, "  american/admirals-club  American Airlines, May 2013: 55 or more, one day's entry\n")?;
        for (nth, step) in self.steps.iter().enumerate() {
            let mark = if step.held { "" } else { "   <- this did NOT hold" };
            write_line!(f, "{}. {}{mark}", nth + 1, step.title)?;
            for line in &step.lines {
                write_line!(f, "   {line}")?;
            }
            write_line!(f)?;
        }
        if self.once {
            return write_part!(f, "{}", if self.held { "All of it held." } else { "Not all of it held." });
        }
        write_line!(f, "Serving at {0}  (API: {0}/docs, keys: {0}/.well-known/jwks.json)\n", self.url)?;
        write_line!(f, "The console, as an admin of cathay (the link logs you in once, within an hour):")?;
        write_line!(f, "  {}\n", self.console)?;
        write_line!(f, "One key per role, of the merchant cathay where a role has one:")?;
        for (role, key) in &self.keys {
            write_line!(f, "  {role:<9} {key}")?;
        }
        write_line!(f, "\nTry it:")?;
        write_block(f, &self.curl)?;
        write_part!(f, "\nCtrl-C ends it; the database is kept.")
    }
}

pub(super) fn run(args: &Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let stage = Stage::set(args, invocation)?;
    let runtime = super::runtime()?;
    let mut is_shown = false;
    let played = runtime.block_on(async {
        let running = start(&stage, invocation).await?;
        let gateway = running.gateway.clone();
        let url = format!("http://{}", running.address);
        let (stop, signal) = (CancellationToken::new(), stop_signal());
        let serving = tokio::spawn(running.until(stop.clone()));
        let result = show(&gateway, url, args.once).await;
        // The ledger ends with its last handle.
        drop(gateway);
        let held = match result {
            Ok(show) => {
                invocation.output.show(&show)?;
                is_shown = true;
                show.held
            }
            Err(error) => {
                stop.cancel();
                let _ = serving.await;
                return Err(error);
            }
        };
        if !args.once {
            signal.await;
        }
        stop.cancel();
        serving.await.map_err(|error| CliError::Output(std::io::Error::other(error)))??;
        Ok::<_, CliError>(held)
    });
    // As `serve` does: a thread may still read from a database that hangs.
    runtime.shutdown_timeout(LAST_WORDS);
    // Nothing of a show that is over, or that never began, is worth keeping, least of all its master key.
    let own = stage.dir.filter(|_| args.dir.is_none() && (args.once || !is_shown));
    let removed = own.map_or(Ok(()), std::fs::remove_dir_all);
    let held = played?;
    removed?;
    Ok(if held { Completion::Succeeded } else { Completion::Failed })
}

/// On the usual port, or on a free one when that is taken and nobody asked for it.
async fn start(stage: &Stage, invocation: &Invocation) -> Result<Running, CliError> {
    let mut settings = stage.settings.clone();
    let asked = settings.is_given(&table::LISTEN);
    match Running::start_with(settings.clone(), stage.dir.is_none(), invocation, true).await {
        Err(CliError::Listen { error, .. }) if !asked && error.kind() == std::io::ErrorKind::AddrInUse => {
            settings.server.listen.set_port(0);
            Running::start_with(settings, stage.dir.is_none(), invocation, true).await
        }
        started => started,
    }
}

async fn show(gateway: &Gateway, url: String, once: bool) -> Result<Show, CliError> {
    let cathay = seed(gateway, "cathay", "Cathay Pacific", "sfo-lounge", "San Francisco lounge", LOUNGE).await?;
    seed(gateway, "american", "American Airlines", "admirals-club", "Admirals Club", CLUB).await?;
    let mut keys = Vec::new();
    for role in Role::ALL {
        let merchant = role.has_merchant().then(|| cathay.id.clone());
        let mut key = NewKey::of(role, merchant, &format!("demo {role}"));
        match role {
            Role::Kiosk | Role::Desk => key.location = Some("SFO-A".to_owned()),
            Role::Door => key.audience = Some("sfo-lounge".to_owned()),
            Role::Operator | Role::Admin | Role::Feeder | Role::Auditor | Role::Reader => {}
        }
        let (_, secret) = gateway.directory.create_key(key, ACTOR).await?;
        keys.push((role.as_str().to_owned(), secret.expose().to_owned()));
    }
    let key_of = |role: Role| keys.iter().find(|(name, _)| name == role.as_str()).map_or("", |(_, key)| key.as_str());
    let http = Http { client: reqwest::Client::new(), url: url.clone() };
    let steps = act(&http, gateway, key_of(Role::Kiosk), key_of(Role::Door)).await?;
    let curl = format!(
        "curl -s {url}/v1/checks -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' \\\n  \
         -d '{{\"perk\":\"sfo-lounge\",\"subject\":\"twitter:justinbieber\",\"context\":{{\"concourse\":\"A\"}}}}'",
        key_of(Role::Kiosk)
    );
    let console = console_link(gateway, &cathay, &url).await?;
    let held = steps.iter().all(|step| step.held);
    let database = gateway.settings.storage.database_url.to_string();
    Ok(Show { database, url, steps, keys, curl, console, held, once })
}

/// A link that logs the show's own admin in; an earlier show may have made the account.
async fn console_link(gateway: &Gateway, cathay: &Merchant, url: &str) -> Result<String, CliError> {
    let name: AccountName = ADMIN.parse().map_err(|error| CliError::Demo(format!("{error}")))?;
    let merchant = Some(cathay.id.clone());
    let new = NewAccount::of(name.clone(), Role::Admin, merchant.clone());
    match gateway.directory.create_account(new, ACTOR).await {
        Ok(_) | Err(AccessError::AccountExists(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let (_, link) = gateway.directory.create_log_in_link(merchant, name, ACTOR).await?;
    Ok(link.address(url))
}

/// The merchant, its perk and the scores; what an earlier show left in the directory is kept.
async fn seed(
    gateway: &Gateway,
    slug: &str,
    name: &str,
    perk: &str,
    perk_name: &str,
    rule: &str,
) -> Result<Merchant, CliError> {
    let unreadable = |error: &dyn fmt::Display| CliError::Demo(error.to_string());
    let slug: MerchantSlug = slug.parse().map_err(|e| unreadable(&e))?;
    let merchant = match gateway.directory.create_test_merchant(slug.clone(), name, ACTOR).await {
        Err(AccessError::MerchantExists(_)) => gateway.directory.find_merchant(slug).await?,
        made => made?,
    };
    let rule = Json::parse(rule).map_err(|e| unreadable(&e))?;
    let version = NewVersion { rule, publish: true, change_note: Some("As it was announced.".to_owned()) };
    let perk = perk.parse().map_err(|e| unreadable(&e))?;
    match gateway.catalog.create_perk(&merchant.id, ACTOR, perk, perk_name, version).await {
        Ok(_) | Err(PerkError::Exists) => {}
        Err(error) => return Err(CliError::Demo(error.to_string())),
    }
    // As if the feed had just come: what was published years ago would be no score to decide by.
    let observed_at = from_seconds(gateway.clock.now().as_second());
    for (subject, value) in SCORES {
        let subject = subject.parse().map_err(|e| unreadable(&e))?;
        let reference = gateway.keyring.subject_refs(&merchant.id, &subject);
        let score = Score::new(value.parse().map_err(|e| unreadable(&e))?, observed_at);
        let now = gateway.clock.now();
        let put = gateway.scores.put(&merchant.id, &Source::klout(), reference, score, now).await;
        put.map_err(|e| unreadable(&e))?;
    }
    Ok(merchant)
}

struct Http {
    client: reqwest::Client,
    url: String,
}

impl Http {
    async fn post(&self, path: &str, key: &str, body: Value) -> Result<(u16, Value), CliError> {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(key);
        let request = request.header("content-type", "application/json").body(body.to_string());
        Self::read(request.send().await.map_err(failed)?).await
    }

    async fn get(&self, path: &str) -> Result<(u16, Value), CliError> {
        Self::read(self.client.get(format!("{}{path}", self.url)).send().await.map_err(failed)?).await
    }

    async fn read(response: reqwest::Response) -> Result<(u16, Value), CliError> {
        let status = response.status().as_u16();
        let text = response.text().await.map_err(failed)?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }
}

fn failed(error: reqwest::Error) -> CliError {
    CliError::Demo(error.without_url().to_string())
}

async fn act(http: &Http, gateway: &Gateway, kiosk: &str, door: &str) -> Result<Vec<Step>, CliError> {
    let ask = |subject: &str| json!({"perk": "sfo-lounge", "subject": subject, "context": {"concourse": "A"}});
    let mut steps = Vec::new();

    let (status, granted) = http.post("/v1/checks", kiosk, ask("twitter:barackobama")).await?;
    steps.push(check_step(
        "May twitter:barackobama enter the lounge? (published score: 99)",
        status,
        granted.clone(),
        "granted",
    ));

    let (status, denied) = http.post("/v1/checks", kiosk, ask(VISITOR)).await?;
    let mut refusal = check_step("May demo:a-visitor enter it? (made-up score: 37)", status, denied.clone(), "denied");
    refusal.held &= denied.pointer("/reasons/0/short_by") == Some(&json!(3));
    steps.push(refusal);

    let token = granted.get("token").and_then(Value::as_str).unwrap_or_default();
    let (_, keys) = http.get("/.well-known/jwks.json").await?;
    let jwks = Jwks::parse(&keys.to_string()).map_err(|e| CliError::Demo(e.to_string()))?;
    let verifier = Verifier::offline(jwks, &gateway.issuer_url);
    let outcome = verifier.verify(token, "cathay/sfo-lounge", gateway.clock.now());
    let lines = match &outcome {
        Ok(claims) => vec![
            format!("genuine: made by {} for {}", claims.iss, claims.aud),
            format!("it says tier {:?}, and no score; the person is {}", claims.tier, claims.sub),
        ],
        Err(error) => vec![error.to_string()],
    };
    let title = format!("The token, verified with the keys of {}/.well-known/jwks.json", http.url);
    steps.push(Step { title, lines, held: outcome.is_ok(), answer: keys });

    let redeem = |attempt: &str| json!({"token": token, "door": "SFO-A-3", "attempt": attempt});
    let (status, redeemed) = http.post("/v1/tokens/redeem", door, redeem("first")).await?;
    let lines = vec![format!("the door opens: {}", text(&redeemed, "grant"))];
    steps.push(Step { title: "The door redeems it".to_owned(), lines, held: status == 200, answer: redeemed });

    let (status, refused) = http.post("/v1/tokens/redeem", door, redeem("second")).await?;
    let held = status == 409 && text(&refused, "code") == "already_redeemed";
    let lines = vec![format!("refused with {status} {}: {}", text(&refused, "code"), text(&refused, "detail"))];
    steps.push(Step { title: "Someone tries it again".to_owned(), lines, held, answer: refused });
    Ok(steps)
}

/// A check's answer as a person would like to read it.
fn check_step(title: &str, status: u16, answer: Value, wanted: &str) -> Step {
    let decision = text(&answer, "decision");
    let mut lines = vec![decision.to_uppercase()];
    for reason in answer.get("reasons").and_then(Value::as_array).into_iter().flatten() {
        lines.push(text(reason, "message").to_owned());
    }
    if let Some(token) = answer.get("token").and_then(Value::as_str) {
        let shown: String = token.chars().take(48).collect();
        lines.push(format!("token {shown}… until {}", text(&answer, "token_expires_at")));
    }
    if let Some(receipt) = answer.get("receipt") {
        let mut line = format!("recorded in the log {:?}", text(receipt, "log"));
        let _ = write!(line, " as number {}", receipt.get("index").unwrap_or(&Value::Null));
        lines.push(line);
    }
    let held = status == 200 && decision == wanted;
    if status != 200 {
        lines.push(text(&answer, "detail").to_owned());
    }
    Step { title: title.to_owned(), lines, held, answer }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
