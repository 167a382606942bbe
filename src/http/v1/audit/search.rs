//! `POST /v1/audit/events/search`: the log's events about one person, whose handle stands in no URL.

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{EventView, EventsView, Order, unknown_values};
use crate::access::Merchant;
use crate::access::role::permit::Audit;
use crate::foundation::field_error::{FieldError, FieldPath, FieldTarget};
use crate::foundation::subject::SubjectHandle;
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{ProblemsOfBody, ProblemsOfKeys};
use crate::http::v1::checks::visitor::{PassBody, VisitorBody, VisitorView, read_person};
use crate::keyring::Keyring;
use crate::ledger::read::browse::EventFilter;
use crate::web::auth::Authorized;
use crate::web::extract::{Body, PageLimit};
use crate::web::problem::Problem;

/// Whose events, and which of them: those of which everything that is given holds.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"subject": "twitter:ada", "kind": "check.decided", "from": "2026-11-01T00:00:00Z"}))]
pub struct EventSearchBody {
    /// The person: `network:handle`, a member number, or whom the boarding pass names.
    #[schema(value_type = VisitorView)]
    subject: VisitorBody,
    /// The text of the boarding pass that names the person.
    #[schema(value_type = Option<String>)]
    boarding_pass: Option<PassBody>,
    /// At or after this instant.
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Before this instant.
    #[schema(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    #[schema(value_type = Option<enumerations::EventKind>)]
    kind: Option<String>,
    /// The id of the thing it is about.
    about: Option<String>,
    #[schema(example = "sfo-lounge")]
    perk: Option<String>,
    tier: Option<String>,
    #[schema(value_type = Option<enumerations::Decision>)]
    decision: Option<String>,
    /// The code of one of its reasons.
    #[schema(value_type = Option<enumerations::ReasonCode>)]
    reason: Option<String>,
    kiosk: Option<String>,
    location: Option<String>,
    rule_version: Option<i32>,
    /// `desc`, the newest first, unless given.
    order: Option<Order>,
    /// Entries a page, 1–200; 50 unless given.
    limit: Option<u16>,
    /// `next_cursor` of the page before, with the same filters.
    cursor: Option<String>,
}

/// Reads the number of entries on a page, as a body asks for it.
pub(crate) fn read_limit(limit: Option<u16>) -> Result<PageLimit, Problem> {
    let Some(limit) = limit else { return Ok(PageLimit::default()) };
    PageLimit::try_from(limit.to_string())
        .map_err(|error| Problem::invalid(vec![FieldError::at("/limit", "invalid_value", error.to_string())]))
}

/// A cursor that doesn't fit stands in the body here.
pub(crate) fn in_body(mut problem: Problem) -> Problem {
    for FieldError { path, .. } in &mut problem.errors {
        if let FieldTarget::Parameter(name) = &path.target {
            *path = FieldPath::pointer(format!("/{name}"));
        }
    }
    problem
}

impl EventSearchBody {
    fn read(
        mut self,
        keyring: &Keyring,
        merchant: &Merchant,
    ) -> Result<(SubjectHandle, EventFilter, PageLimit, Option<String>), Problem> {
        let handle = read_person(&self.subject, self.boarding_pass.take(), keyring, merchant)?;
        let limit = read_limit(self.limit)?;
        let mut errors = Vec::new();
        if self.from.zip(self.to).is_some_and(|(from, to)| from >= to) {
            errors.push(FieldError::at("/to", "invalid_value", "`to` is not after `from`: swap them"));
        }
        for (name, wrong) in unknown_values(self.kind.as_deref(), self.decision.as_deref(), self.reason.as_deref()) {
            errors.push(FieldError::at(format!("/{name}"), "unknown_value", wrong));
        }
        if self.rule_version.is_some_and(|version| version < 1) {
            errors.push(FieldError::at("/rule_version", "invalid_value", "a rule version is a number from 1 on"));
        }
        if !errors.is_empty() {
            return Err(Problem::invalid(errors));
        }
        let Self { from, to, kind, about, perk, tier, decision, reason, kiosk, location, rule_version, .. } = self;
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
            oldest_first: self.order == Some(Order::Asc),
        };
        Ok((handle, filter, limit, self.cursor))
    }
}

/// Search the log for a person
///
/// The merchant's events about one person of which everything that is given holds; the handle is in the
/// body, so that it stands in no URL and no log. A person whom no event is about, and one who was
/// erased, have none: nobody can tell which events were theirs. Following `next_cursor` shows each event
/// once, whatever is recorded meanwhile; one request looks at 50,000 places at most, so a page can have
/// few events or none and still not be the last.
#[utoipa::path(
    tag = "audit",
    request_body = EventSearchBody,
    responses((status = 200, description = "One page", body = EventsView), ProblemsOfBody, ProblemsOfKeys)
)]
#[post("/audit/events/search")]
pub(crate) async fn search_events(
    caller: Authorized<Audit>,
    gateway: Data<Gateway>,
    body: Body<EventSearchBody>,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?;
    let (handle, filter, limit, cursor) = body.into_inner().read(&gateway.keyring, merchant)?;
    let merchant = &merchant.id;
    let Some(person) = gateway.ledger.reader().find_person(merchant, &handle).await? else {
        return Ok(HttpResponse::Ok().json(EventsView { events: Vec::new(), next_cursor: None }));
    };
    let most = usize::from(limit.get());
    let page = gateway.ledger.reader().browse(merchant, filter, Some(&person), cursor.as_deref(), most).await;
    let page = page.map_err(|error| in_body(error.into()))?;
    let events = page.events.into_iter().map(EventView::from).collect();
    Ok(HttpResponse::Ok().json(EventsView { events, next_cursor: page.next }))
}
