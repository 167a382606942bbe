//! `/console/health`: what works, and what does not, as far as this process knows.

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use askama::Template;
use jiff::tz::TimeZone;

use crate::access::role::permit::ManageMerchants;
use crate::console::caller::Caller;
use crate::console::door::page;
use crate::console::frame::{Frame, Section};
use crate::console::icon::Icon;
use crate::console::words::{When, grouped};
use crate::foundation::count::counted;
use crate::gateway::Gateway;
use crate::web::problem::Problem;
use crate::web::state::State;

#[derive(Template)]
#[template(path = "health.html", config = "src/console/askama.toml")]
struct HealthPage {
    frame: Frame,
    is_well: bool,
    parts: Vec<Part>,
    /// The codes of what is wrong, as `/readyz` has them.
    reasons: Vec<&'static str>,
}

/// One part of the gateway, and how it is.
struct Part {
    name: &'static str,
    icon: Icon,
    words: String,
}

impl Part {
    fn of(name: &'static str, is_well: bool, words: String) -> Self {
        Self { name, icon: if is_well { Icon::Tick } else { Icon::Cross }, words }
    }
}

#[get("/health")]
pub(in crate::console) async fn get_health(
    caller: Caller<ManageMerchants>,
    gateway: Data<Gateway>,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let reasons = state.unreadiness(&gateway);
    let mut parts = vec![database(&gateway, &reasons), redis(&gateway), ledger(&gateway)];
    parts.extend(keys(&gateway));
    parts.push(logs(&gateway).await);
    parts.push(anchors(&gateway));
    page(&HealthPage {
        frame: Frame::of("Health", Section::Health, caller.session(), gateway.clock.now()),
        is_well: reasons.is_empty(),
        parts,
        reasons,
    })
}

fn database(gateway: &Gateway, reasons: &[&'static str]) -> Part {
    let is_well = !reasons.iter().any(|reason| reason.starts_with("database") || reason.starts_with("schema"));
    let [read, write] = gateway.database.connections();
    let words = format!(
        "{} {} of {} to read and {} of {} to write are busy.",
        if is_well { "It answers." } else { "It does not answer, or is not the one it was." },
        read.busy,
        counted((read.busy + read.idle) as usize, "connection"),
        write.busy,
        counted((write.busy + write.idle) as usize, "connection"),
    );
    Part::of("Database", is_well, words)
}

fn redis(gateway: &Gateway) -> Part {
    match (&gateway.redis, gateway.redis_fault()) {
        (None, _) => Part::of("Redis", true, "None is used: each process has its own cache of scores.".to_owned()),
        (Some(_), None) => Part::of("Redis", true, "It answers.".to_owned()),
        (Some(_), Some(fault)) => {
            let words = format!("{}. Scores come from the database meanwhile, more slowly.", fault.code());
            Part::of("Redis", false, words)
        }
    }
}

fn ledger(gateway: &Gateway) -> Part {
    let load = gateway.ledger.load();
    let (waiting, capacity) = (grouped(load.waiting as u64), grouped(load.capacity as u64));
    let is_well = !gateway.ledger.is_failing() && load.waiting < load.capacity;
    let words = if gateway.ledger.is_failing() {
        format!("It can’t write: nothing is granted until it can. {waiting} of at most {capacity} wait.")
    } else {
        format!("It writes. {waiting} of at most {capacity} wait for their turn.")
    };
    Part::of("Ledger", is_well, words)
}

fn keys(gateway: &Gateway) -> [Part; 2] {
    let now = gateway.clock.now();
    let key = gateway.keyring.token_key();
    let published = gateway.keyring.token_keys().iter().filter(|key| key.is_published(now)).count();
    let since = When::of(key.signs_from(), &TimeZone::UTC, now).text;
    let tokens =
        format!("{} signs tokens since {since} UTC; doors are given {}.", key.kid(), counted(published, "key"));
    let log = gateway.keyring.log_key();
    [
        Part::of("Token keys", key.revoked_at().is_none(), tokens),
        Part::of("Log key", true, format!("{} signs the heads of all logs.", log.name())),
    ]
}

async fn logs(gateway: &Gateway) -> Part {
    match gateway.ledger.reader().log_totals().await {
        Ok((logs, events)) => {
            let logs = counted(usize::try_from(logs).unwrap_or(usize::MAX), "log");
            Part::of("Logs", true, format!("{logs} with {} events, each with a signed head.", grouped(events)))
        }
        Err(_) => Part::of("Logs", false, "They can’t be read.".to_owned()),
    }
}

fn anchors(gateway: &Gateway) -> Part {
    let anchors = &gateway.settings.anchors;
    let places = [
        (anchors.file.is_some(), "a file"),
        (anchors.stdout, "standard output"),
        (anchors.webhook.is_some(), "a webhook"),
    ];
    let places: Vec<&str> = places.into_iter().filter_map(|(is, place)| is.then_some(place)).collect();
    if places.is_empty() {
        return Part {
            name: "Anchors",
            icon: Icon::Warning,
            words: "Heads are kept nowhere else: who has the database and its keys could write another log. Set \
                    `anchor_file` or `anchor_webhook`."
                .to_owned(),
        };
    }
    Part::of(
        "Anchors",
        true,
        format!("Heads are taken to {}, every {} s.", places.join(" and "), anchors.every.as_secs()),
    )
}
