//! `GET /v1/checks` and `POST /v1/checks/search`: what was decided, page by page.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::visitor::{PassBody, VisitorBody, VisitorView, read_person};
use crate::access::role::permit::Check;
use crate::access::{Permission, Principal};
use crate::decision::decide::Decision;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{CheckId, GrantId, PerkSlug};
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{ProblemsOfBody, ProblemsOfKeys, ProblemsOfQuery};
use crate::http::v1::audit::Order;
use crate::http::v1::audit::search::{in_body, read_limit};
use crate::ledger::read::browse::EventFilter;
use crate::ledger::read::lists::ListedCheck;
use crate::web::auth::Authorized;
use crate::web::extract::{Body, PageLimit, Params};
use crate::web::problem::Problem;

/// One check of a list: its own address tells the rest.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListedCheck)]
pub struct ListedCheckView {
    #[schema(value_type = String, example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    check: CheckId,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    #[schema(value_type = enumerations::Decision)]
    decision: Decision,
    #[schema(value_type = String, example = "sfo-lounge")]
    perk: PerkSlug,
    rule_version: i32,
    /// The tier that was granted.
    #[schema(example = "standard")]
    tier: Option<String>,
    /// The codes of its reasons.
    #[schema(value_type = Vec<enumerations::ReasonCode>, example = json!(["score_met"]))]
    reasons: Vec<String>,
    /// Where the key that asked is used.
    #[schema(example = "SFO-A")]
    location: Option<String>,
    #[schema(example = "A12")]
    kiosk: Option<String>,
    #[schema(value_type = Option<String>)]
    grant: Option<GrantId>,
    /// The check in whose place a person granted this one.
    #[schema(value_type = Option<String>)]
    resolves: Option<CheckId>,
    /// The check whose open referral this one belongs to.
    #[schema(value_type = Option<String>)]
    joins: Option<CheckId>,
}

impl From<ListedCheck> for ListedCheckView {
    fn from(check: ListedCheck) -> Self {
        let ListedCheck {
            check,
            at,
            decision,
            perk,
            rule_version,
            tier,
            reasons,
            location,
            kiosk,
            grant,
            resolves,
            joins,
        } = check;
        Self { check, at, decision, perk, rule_version, tier, reasons, location, kiosk, grant, resolves, joins }
    }
}

/// A page of checks. One request looks at 5,000 places of the log at most, so a page can have few or none and still
/// not be the last.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChecksView {
    checks: Vec<ListedCheckView>,
    /// Null when all was looked at.
    next_cursor: Option<String>,
}

/// Checks of which all that is given holds.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ChecksQuery {
    #[param(value_type = Option<String>, example = "sfo-lounge")]
    perk: Option<PerkSlug>,
    #[param(value_type = Option<enumerations::Decision>, example = "denied")]
    decision: Option<Decision>,
    /// The kiosk name of the key that asked.
    kiosk: Option<String>,
    /// The location of the key that asked.
    location: Option<String>,
    /// At or after this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Before this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// `desc`, the newest first, unless given.
    order: Option<Order>,
    /// Entries a page, 1–200; 50 unless given.
    #[param(value_type = Option<u16>)]
    limit: Option<PageLimit>,
    /// `next_cursor` of the page before, with the same filters.
    cursor: Option<String>,
}

/// Whose checks, and which of them: those of which all that is given holds.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"subject": "twitter:ada", "perk": "sfo-lounge", "decision": "denied"}))]
pub struct CheckSearchBody {
    /// The person: `network:handle`, a member number, or whom the boarding pass names.
    #[schema(value_type = VisitorView)]
    subject: VisitorBody,
    /// The text of the boarding pass that names the person.
    #[schema(value_type = Option<String>)]
    boarding_pass: Option<PassBody>,
    #[schema(value_type = Option<String>, example = "sfo-lounge")]
    perk: Option<PerkSlug>,
    #[schema(value_type = Option<enumerations::Decision>)]
    decision: Option<Decision>,
    kiosk: Option<String>,
    location: Option<String>,
    /// At or after this instant.
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Before this instant.
    #[schema(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// `desc`, the newest first, unless given.
    order: Option<Order>,
    /// Entries a page, 1–200; 50 unless given.
    limit: Option<u16>,
    /// `next_cursor` of the page before, with the same filters.
    cursor: Option<String>,
}

/// The filters that checks and grants are both looked for by.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub perk: Option<PerkSlug>,
    pub decision: Option<Decision>,
    pub kiosk: Option<String>,
    pub location: Option<String>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub order: Option<Order>,
}

impl Wanted {
    /// Limits it to what this caller may see: admins and desks see their merchant's, others what their own key asked.
    pub(crate) fn seen_by(self, caller: &Principal) -> Result<EventFilter, Problem> {
        let Self { perk, decision, kiosk, location, from, to, order } = self;
        if from.zip(to).is_some_and(|(from, to)| from >= to) {
            let detail = "`to` is not after `from`: swap them";
            return Err(Problem::invalid(vec![FieldError::of_parameter("to", "invalid_value", detail)]));
        }
        Ok(EventFilter {
            from,
            to,
            perk: perk.map(|perk| perk.to_string()),
            decision: decision.map(|decision| decision.as_str().to_owned()),
            kiosk,
            location,
            actor: (!caller.role.may(Permission::SeeChecks)).then(|| caller.key.clone()),
            oldest_first: order == Some(Order::Asc),
            ..EventFilter::default()
        })
    }
}

/// List checks
///
/// The newest first, by what is asked for; a kiosk sees the checks that its own key made, a desk those of all. Dry runs are recorded
/// nowhere and checks whose records were pruned are not listed. By person: `POST /v1/checks/search`.
#[utoipa::path(
    tag = "checks",
    params(ChecksQuery),
    responses((status = 200, description = "One page", body = ChecksView), ProblemsOfQuery, ProblemsOfKeys)
)]
#[get("/checks")]
pub(crate) async fn list_checks(
    caller: Authorized<Check>,
    gateway: Data<Gateway>,
    query: Params<ChecksQuery>,
) -> Result<HttpResponse, Problem> {
    let ChecksQuery { perk, decision, kiosk, location, from, to, order, limit, cursor } = query.into_inner();
    let filter = Wanted { perk, decision, kiosk, location, from, to, order }.seen_by(&caller)?;
    let (merchant, most) = (&caller.merchant()?.id, limit.unwrap_or_default().get().into());
    let page = gateway.ledger.reader().list_checks(merchant, filter, None, cursor.as_deref(), most).await?;
    let checks = page.items.into_iter().map(ListedCheckView::from).collect();
    Ok(HttpResponse::Ok().json(ChecksView { checks, next_cursor: page.next }))
}

/// Search checks of a person
///
/// The checks of one person, as the list of all has them; the handle is in the body, so that it stands in no URL and
/// no log. A person who was never checked, and one who was erased, have none.
#[utoipa::path(
    tag = "checks",
    request_body = CheckSearchBody,
    responses((status = 200, description = "One page", body = ChecksView), ProblemsOfBody, ProblemsOfKeys)
)]
#[post("/checks/search")]
pub(crate) async fn search_checks(
    caller: Authorized<Check>,
    gateway: Data<Gateway>,
    body: Body<CheckSearchBody>,
) -> Result<HttpResponse, Problem> {
    let CheckSearchBody { subject, boarding_pass, perk, decision, kiosk, location, from, to, order, limit, cursor } =
        body.into_inner();
    let (person, limit) =
        (read_person(&subject, boarding_pass, &gateway.keyring, caller.merchant()?)?, read_limit(limit)?);
    let filter = Wanted { perk, decision, kiosk, location, from, to, order }.seen_by(&caller).map_err(in_body)?;
    let (merchant, most) = (&caller.merchant()?.id, limit.get().into());
    let page = gateway.ledger.reader().list_checks(merchant, filter, Some(&person), cursor.as_deref(), most).await;
    let page = page.map_err(|error| in_body(error.into()))?;
    let checks = page.items.into_iter().map(ListedCheckView::from).collect();
    Ok(HttpResponse::Ok().json(ChecksView { checks, next_cursor: page.next }))
}
