//! `/v1/audit`: the merchant's log, readable.

pub mod export;
pub mod proofs;
pub mod search;

use std::collections::BTreeMap;

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::role::permit::Audit;
use crate::decision::decide::Decision;
use crate::decision::reason::ReasonCode;
use crate::foundation::field_error::FieldError;
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{ProblemsOfKeys, ProblemsOfQuery};
use crate::ledger::events::KINDS;
use crate::ledger::read::browse::{EventFilter, LoggedEvent};
use crate::web::auth::Authorized;
use crate::web::extract::{PageLimit, Params};
use crate::web::problem::Problem;

/// One record of the log. What is personal is sealed, and not in here.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventView {
    #[schema(example = "evt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    id: String,
    #[schema(value_type = enumerations::EventKind)]
    kind: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Which key did it, in which role; null once the body was pruned.
    #[schema(value_type = Option<ActorView>)]
    actor: Option<Json>,
    /// The thing it is about: a check, a grant, a key, a perk.
    #[schema(example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    about: String,
    /// The facts of the event; null once the body was pruned.
    #[schema(value_type = Option<FactsView>)]
    facts: Option<Json>,
    /// Its place in the log.
    #[schema(example = 6)]
    index: i64,
    /// RFC 6962's hash of the event's canonical bytes, in hexadecimal.
    leaf_hash: String,
}

/// The one who did something.
#[derive(ToSchema)]
#[schema(as = Actor)]
#[expect(dead_code, reason = "describes what the ledger writes")]
pub struct ActorView {
    /// Null for the command line and for the gateway itself.
    #[schema(example = "key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    key: Option<String>,
    /// The key's role, `cli` or `gateway`.
    #[schema(example = "kiosk")]
    role: String,
}

/// The facts of an event, by its kind. Members are added under a new version only.
#[derive(ToSchema)]
#[schema(as = EventFacts, example = json!({"decision": "granted", "perk": "sfo-lounge", "tier": "standard"}))]
#[expect(dead_code, reason = "describes what the ledger writes")]
pub struct FactsView(BTreeMap<String, serde_json::Value>);

/// A page of the log. One request looks at 5,000 places at most, so a page can have few events or none
/// and still not be the last.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventsView {
    pub(super) events: Vec<EventView>,
    /// Null when all was looked at.
    pub(super) next_cursor: Option<String>,
}

/// Which end comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    Asc,
    Desc,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// At or after this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Before this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    #[param(value_type = Option<enumerations::EventKind>, example = "check.decided")]
    kind: Option<String>,
    /// The id of the thing it is about.
    about: Option<String>,
    #[param(example = "sfo-lounge")]
    perk: Option<String>,
    tier: Option<String>,
    #[param(value_type = Option<enumerations::Decision>, example = "granted")]
    decision: Option<String>,
    /// The code of one of its reasons.
    #[param(value_type = Option<enumerations::ReasonCode>, example = "score_below_threshold")]
    reason: Option<String>,
    kiosk: Option<String>,
    location: Option<String>,
    #[param(value_type = Option<i32>)]
    rule_version: Option<String>,
    /// `desc`, the newest first, unless given.
    order: Option<Order>,
    /// Entries a page, 1–200; 50 unless given.
    #[param(value_type = Option<u16>)]
    limit: Option<PageLimit>,
    /// `next_cursor` of the page before, with the same filters.
    cursor: Option<String>,
}

impl From<LoggedEvent> for EventView {
    fn from(event: LoggedEvent) -> Self {
        let LoggedEvent { index, id, kind, at, about, leaf_hash, actor, facts, .. } = event;
        Self { id, kind, at, actor, about, facts, index, leaf_hash }
    }
}

/// The values that no event can have, by the filter's name: nothing would be found, and a misspelt word looks just so.
pub(super) fn unknown_values(
    kind: Option<&str>,
    decision: Option<&str>,
    reason: Option<&str>,
) -> Vec<(&'static str, String)> {
    let decisions = [Decision::Granted, Decision::Denied, Decision::Referred].map(Decision::as_str);
    let reasons: Vec<&str> = ReasonCode::ALL.iter().map(|code| code.as_str()).collect();
    let filters: [(&str, Option<&str>, &[&str]); 3] =
        [("kind", kind, &KINDS), ("decision", decision, &decisions), ("reason", reason, &reasons)];
    let unknown = filters.into_iter().filter(|(_, given, known)| given.is_some_and(|given| !known.contains(&given)));
    unknown
        .map(|(name, _, known)| (name, format!("there is no such {name}: use one of {}", known.join(", "))))
        .collect()
}

impl EventsQuery {
    /// Returns what is looked for, and from where.
    fn read(self) -> Result<(EventFilter, Option<String>), Problem> {
        let mut errors = Vec::new();
        if self.from.zip(self.to).is_some_and(|(from, to)| from >= to) {
            errors.push(FieldError::of_parameter("to", "invalid_value", "`to` is not after `from`: swap them"));
        }
        let rule_version = self.rule_version.map(|text| text.parse::<i32>().ok().filter(|version| *version > 0));
        for (name, wrong) in unknown_values(self.kind.as_deref(), self.decision.as_deref(), self.reason.as_deref()) {
            errors.push(FieldError::of_parameter(name, "unknown_value", wrong));
        }
        if rule_version == Some(None) {
            errors.push(FieldError::of_parameter(
                "rule_version",
                "invalid_value",
                "a rule version is a number from 1 on",
            ));
        }
        if !errors.is_empty() {
            return Err(Problem::invalid(errors));
        }
        let Self { from, to, kind, about, perk, tier, decision, reason, kiosk, location, order, cursor, .. } = self;
        let (rule_version, oldest_first) = (rule_version.flatten(), order == Some(Order::Asc));
        let filter = EventFilter {
            from,
            to,
            kind,
            about,
            perk,
            tier,
            decision,
            reason,
            kiosk,
            location,
            rule_version,
            actor: None,
            subjects: Vec::new(),
            oldest_first,
        };
        Ok((filter, cursor))
    }
}

/// Read the log
///
/// The merchant's events of which everything that is given holds. Following `next_cursor` shows each
/// of them once, whatever is recorded meanwhile.
#[utoipa::path(
    tag = "audit",
    params(EventsQuery),
    responses((status = 200, description = "One page", body = EventsView), ProblemsOfQuery, ProblemsOfKeys)
)]
#[get("/audit/events")]
pub(crate) async fn list_events(
    caller: Authorized<Audit>,
    gateway: Data<Gateway>,
    query: Params<EventsQuery>,
) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let most = usize::from(query.limit.unwrap_or_default().get());
    let (filter, cursor) = query.read()?;
    let page = gateway.ledger.reader().browse(&caller.merchant()?.id, filter, None, cursor.as_deref(), most).await?;
    let events = page.events.into_iter().map(EventView::from).collect();
    Ok(HttpResponse::Ok().json(EventsView { events, next_cursor: page.next }))
}
