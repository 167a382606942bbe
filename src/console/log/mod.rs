//! `/console/log`: the merchant's events, with filters, page by page.
//!
//! - `check`: one decision; `verify`: any receipt

pub(super) mod check;
pub(super) mod verify;

use std::collections::{BTreeSet, HashMap};

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use askama::Template;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::caller::Caller;
use super::door::page_of;
use super::frame::{Frame, Section};
use super::words::{When, encoded, grouped, zone_of};
use crate::access::Permission;
use crate::access::role::permit::Audit;
use crate::audit::reports::asked::Bound;
use crate::foundation::ids::PerkSlug;
use crate::foundation::json::Json;
use crate::foundation::subject::SubjectHandle;
use crate::gateway::Gateway;
use crate::ledger::events::KINDS;
use crate::ledger::read::browse::{EventFilter, LoggedEvent};
use crate::web::extract::Params;
use crate::web::problem::{Problem, sentence};

/// Number of events a page: each comes with all its facts.
const ROWS: usize = 25;

/// The question of a page: empty where nothing is asked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LogQuery {
    kind: String,
    from: String,
    to: String,
    perk: String,
    cursor: String,
}

#[derive(Template)]
#[template(path = "log.html", config = "src/console/askama.toml")]
struct LogPage {
    frame: Frame,
    query: LogQuery,
    kinds: Vec<(&'static str, bool)>,
    errors: Vec<String>,
    rows: Vec<EventRow>,
    zone: String,
    next: Option<String>,
    is_first: bool,
}

/// An event of the list.
struct EventRow {
    index: String,
    at: When,
    kind: String,
    /// Who did it.
    by: String,
    /// The person it is about.
    person: Option<String>,
    what: String,
    /// The page of the thing it is about.
    page: Option<String>,
    facts: Option<String>,
}

#[get("/log")]
pub(super) async fn get_log(
    caller: Caller<Audit>,
    gateway: Data<Gateway>,
    query: Params<LogQuery>,
) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let merchant = caller.merchant()?;
    let (zone, now) = (zone_of(&merchant.time_zone), gateway.clock.now());
    let mut page = LogPage {
        frame: Frame::of("Log", Section::Log, caller.session(), now),
        kinds: KINDS.iter().map(|kind| (*kind, *kind == query.kind)).collect(),
        errors: Vec::new(),
        rows: Vec::new(),
        zone: merchant.time_zone.clone(),
        next: None,
        is_first: query.cursor.is_empty(),
        query,
    };
    let filter = match read(&page.query, &zone) {
        Ok(filter) => filter,
        Err(errors) => {
            page.errors = errors;
            return page_of(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
    };
    let cursor = Some(page.query.cursor.as_str()).filter(|cursor| !cursor.is_empty());
    let found = gateway.ledger.reader().browse(&merchant.id, filter, None, cursor, ROWS).await?;
    let people: BTreeSet<String> = found.events.iter().filter_map(|event| fact(event, "subject")).collect();
    let handles = if caller.role.may(Permission::AnswerSubjects) {
        gateway.live.handles(&merchant.id, people).await?
    } else {
        HashMap::new()
    };
    let keys = found.events.iter().filter_map(|event| actor(event, "key")).collect();
    let labels = gateway.directory.labels_of(&merchant.id, keys).await?;
    let sees_perks = caller.role.may(Permission::ManagePerks);
    let row = |event: &LoggedEvent| {
        let by = actor(event, "key").map(|key| labels.get(&key).cloned().unwrap_or(key));
        let by = by.or_else(|| actor(event, "role")).unwrap_or_default();
        row(event, by, &handles, sees_perks, (&zone, now))
    };
    page.rows = found.events.iter().map(row).collect();
    page.next = found.next.map(|cursor| address(&page.query, &cursor));
    page_of(StatusCode::OK, &page)
}

/// The address of the page that goes on at a cursor.
fn address(query: &LogQuery, cursor: &str) -> String {
    let LogQuery { kind, from, to, perk, .. } = query;
    let given = [("kind", kind.as_str()), ("from", from), ("to", to), ("perk", perk), ("cursor", cursor)];
    let given = given.iter().filter(|(_, value)| !value.is_empty());
    let pairs: Vec<_> = given.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    format!("/console/log?{}", pairs.join("&"))
}

/// The filter that is asked for, or the parts that don't fit in it.
fn read(query: &LogQuery, zone: &TimeZone) -> Result<EventFilter, Vec<String>> {
    let mut errors = Vec::new();
    let text = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let mut bound = |name: &str, value: &str| {
        let read = Bound::parse(&text(value)?).and_then(|bound| bound.instant(zone));
        read.map_err(|_| {
            errors.push(format!("“{name}” is a day, such as 2026-11-01, or an instant, such as 2026-11-01T18:00:00Z."));
        })
        .ok()
    };
    let (from, to) = (bound("From", &query.from), bound("To", &query.to));
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        errors.push("“To” is not after “From”: swap them. “To” itself is not included.".to_owned());
    }
    let kind = text(&query.kind);
    if kind.as_ref().is_some_and(|kind| !KINDS.contains(&kind.as_str())) {
        errors.push("There is no such kind of event.".to_owned());
    }
    let perk = text(&query.perk);
    if let Some(error) = perk.as_ref().and_then(|perk| perk.parse::<PerkSlug>().err()) {
        errors.push(sentence(&format!("the perk can’t be that: {error}")));
    }
    if errors.is_empty() { Ok(EventFilter { from, to, kind, perk, ..EventFilter::default() }) } else { Err(errors) }
}

fn text_of(value: &Json) -> Option<String> {
    value.as_text().map(str::to_owned)
}

fn fact(event: &LoggedEvent, name: &str) -> Option<String> {
    event.facts.as_ref()?.member(name).and_then(text_of)
}

fn actor(event: &LoggedEvent, name: &str) -> Option<String> {
    event.actor.as_ref()?.member(name).and_then(text_of)
}

fn row(
    event: &LoggedEvent,
    by: String,
    handles: &HashMap<String, SubjectHandle>,
    sees_perks: bool,
    (zone, now): (&TimeZone, Timestamp),
) -> EventRow {
    let person = fact(event, "subject");
    let perk = fact(event, "perk").filter(|perk| perk.parse::<PerkSlug>().is_ok());
    let page = if event.about.starts_with("chk_") {
        Some(format!("/console/checks/{}", event.about))
    } else {
        perk.as_ref().filter(|_| sees_perks).map(|perk| format!("/console/perks/{perk}"))
    };
    EventRow {
        index: grouped(event.index.unsigned_abs()),
        at: When::of(event.at, zone, now),
        kind: event.kind.clone(),
        by,
        person: person.map(|name| handles.get(&name).map_or(name, |handle| handle.as_str().to_owned())),
        what: what(event),
        page,
        facts: event.facts.as_ref().map(Json::canonical),
    }
}

/// The facts by which most events differ.
fn what(event: &LoggedEvent) -> String {
    let Some(facts) = &event.facts else { return "Its body is pruned: the hash is all that is left.".to_owned() };
    let number = facts.member("rule_version").or_else(|| facts.member("version")).and_then(Json::as_whole);
    let texts = ["decision", "tier", "perk", "label", "name", "slug", "role", "kiosk", "location"];
    let mut words: Vec<String> = texts.iter().filter_map(|name| fact(event, name)).collect();
    words.dedup();
    words.extend(number.map(|number| format!("version {number}")));
    let reasons = facts.member("reasons").and_then(Json::as_list).unwrap_or_default();
    words.extend(reasons.iter().filter_map(|reason| reason.member("code").and_then(text_of)));
    words.join(", ")
}
