//! `GET /v1/grants` and `POST /v1/grants/search`: what was granted and what became of it, page by page.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Principal;
use crate::access::role::permit::Check;
use crate::eligibility::grants::GrantStatus;
use crate::eligibility::shown::explanation::{CorrectedPartyShown, GuestsShown};
use crate::foundation::ids::{CheckId, GrantId, PerkSlug};
use crate::foundation::subject::SubjectHandle;
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{ProblemsOfBody, ProblemsOfKeys, ProblemsOfQuery};
use crate::http::v1::audit::Order;
use crate::http::v1::audit::search::{in_body, read_limit};
use crate::http::v1::checks::explanation::{CorrectedPartyView, GuestsView};
use crate::http::v1::checks::lists::Wanted;
use crate::http::v1::checks::visitor::{PassBody, VisitorBody, VisitorView, read_person};
use crate::ledger::read::browse::EventFilter;
use crate::ledger::read::lists::ListedGrant;
use crate::web::auth::Authorized;
use crate::web::extract::{Body, PageLimit, Params};
use crate::web::problem::Problem;

/// The most times one request looks when few of what it found are in the wanted state.
const ROUNDS: usize = 5;

/// One grant of a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListedGrant)]
pub struct ListedGrantView {
    #[schema(value_type = String, example = "grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    grant: GrantId,
    #[schema(value_type = String, example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    check: CheckId,
    #[schema(value_type = String, example = "sfo-lounge")]
    perk: PerkSlug,
    #[schema(example = "standard")]
    tier: Option<String>,
    rule_version: i32,
    #[schema(value_type = enumerations::GrantStatus)]
    status: GrantStatus,
    single_use: bool,
    /// Number of people that it was granted to, the person included: what the token says.
    #[schema(example = 3)]
    party: u64,
    /// The guests among them, where the tier says something of guests.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<GuestsView>)]
    guests: Option<GuestsShown>,
    /// Those who came, once it was corrected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<CorrectedPartyView>)]
    corrected: Option<CorrectedPartyShown>,
    #[schema(value_type = String, format = DateTime)]
    granted_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    token_expires_at: Timestamp,
    /// When its token was spent: once at most, if it is for single use.
    #[schema(value_type = Vec<String>)]
    redeemed_at: Vec<Timestamp>,
    /// When it ended before its time.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// Where the key that asked is used.
    #[schema(example = "SFO-A")]
    location: Option<String>,
    #[schema(example = "A12")]
    kiosk: Option<String>,
}

impl ListedGrantView {
    fn of(gateway: &Gateway, listed: ListedGrant) -> Self {
        let ListedGrant { grant, check, kid, single_use, expires_at, redeemed_at, end, granted, corrected } = listed;
        let (status, ended_at) = gateway.checker.grant_status(&kid, end, expires_at, !redeemed_at.is_empty());
        Self {
            grant,
            check: check.check,
            perk: check.perk,
            tier: check.tier,
            rule_version: check.rule_version,
            status,
            single_use,
            party: granted.party,
            guests: granted.guests.map(Into::into),
            corrected: corrected.map(Into::into),
            granted_at: check.at,
            token_expires_at: expires_at,
            redeemed_at,
            ended_at,
            location: check.location,
            kiosk: check.kiosk,
        }
    }
}

/// A page of grants. One request looks at a bounded part of the log, so a page can have few or none and still not be
/// the last.
#[derive(Debug, Serialize, ToSchema)]
pub struct GrantsView {
    grants: Vec<ListedGrantView>,
    /// Null when all was looked at.
    next_cursor: Option<String>,
}

/// Grants of which all that is given holds.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct GrantsQuery {
    #[param(value_type = Option<String>, example = "sfo-lounge")]
    perk: Option<PerkSlug>,
    /// Where it is in its life.
    #[param(value_type = Option<enumerations::GrantStatus>)]
    status: Option<GrantStatus>,
    /// The kiosk name of the key that asked.
    kiosk: Option<String>,
    /// The location of the key that asked.
    location: Option<String>,
    /// Granted at or after this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Granted before this instant.
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

/// Whose grants, and which of them: those of which all that is given holds.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"subject": "twitter:ada", "perk": "sfo-lounge", "status": "active"}))]
pub struct GrantSearchBody {
    /// The person: `network:handle`, a member number, or whom the boarding pass names.
    #[schema(value_type = VisitorView)]
    subject: VisitorBody,
    /// The text of the boarding pass that names the person.
    #[schema(value_type = Option<String>)]
    boarding_pass: Option<PassBody>,
    #[schema(value_type = Option<String>, example = "sfo-lounge")]
    perk: Option<PerkSlug>,
    #[schema(value_type = Option<enumerations::GrantStatus>)]
    status: Option<GrantStatus>,
    kiosk: Option<String>,
    location: Option<String>,
    /// Granted at or after this instant.
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Granted before this instant.
    #[schema(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// `desc`, the newest first, unless given.
    order: Option<Order>,
    /// Entries a page, 1–200; 50 unless given.
    limit: Option<u16>,
    /// `next_cursor` of the page before, with the same filters.
    cursor: Option<String>,
}

struct Search<'a> {
    filter: EventFilter,
    status: Option<GrantStatus>,
    person: Option<&'a SubjectHandle>,
    cursor: Option<String>,
    limit: PageLimit,
}

/// One page. The state of a grant stands in no event, so it is looked at once the grant is found.
async fn page(caller: &Principal, gateway: &Gateway, search: Search<'_>) -> Result<GrantsView, Problem> {
    let Search { filter, status, person, mut cursor, limit } = search;
    let merchant = &caller.merchant()?.id;
    let most = usize::from(limit.get());
    let mut grants = Vec::new();
    for _ in 0..ROUNDS {
        let wanted = most - grants.len();
        let page =
            gateway.ledger.reader().list_grants(merchant, filter.clone(), person, cursor.as_deref(), wanted).await?;
        let views = page.items.into_iter().map(|grant| ListedGrantView::of(gateway, grant));
        grants.extend(views.filter(|view| status.is_none_or(|status| view.status == status)));
        cursor = page.next;
        if cursor.is_none() || grants.len() == most {
            break;
        }
    }
    Ok(GrantsView { grants, next_cursor: cursor })
}

/// List grants
///
/// The newest first, by what is asked for; a kiosk sees the grants of its own key's checks. Grants whose records were
/// pruned are not listed. By person: `POST /v1/grants/search`.
#[utoipa::path(
    tag = "checks",
    params(GrantsQuery),
    responses((status = 200, description = "One page", body = GrantsView), ProblemsOfQuery, ProblemsOfKeys)
)]
#[get("/grants")]
pub(crate) async fn list_grants(
    caller: Authorized<Check>,
    gateway: Data<Gateway>,
    query: Params<GrantsQuery>,
) -> Result<HttpResponse, Problem> {
    let GrantsQuery { perk, status, kiosk, location, from, to, order, limit, cursor } = query.into_inner();
    let filter = Wanted { perk, decision: None, kiosk, location, from, to, order }.seen_by(&caller)?;
    let search = Search { filter, status, person: None, cursor, limit: limit.unwrap_or_default() };
    Ok(HttpResponse::Ok().json(page(&caller, &gateway, search).await?))
}

/// Search grants of a person
///
/// The grants of one person, as the list of all has them; the handle is in the body, so that it stands in no URL and
/// no log. A person who was never checked, and one who was erased, have none.
#[utoipa::path(
    tag = "checks",
    request_body = GrantSearchBody,
    responses((status = 200, description = "One page", body = GrantsView), ProblemsOfBody, ProblemsOfKeys)
)]
#[post("/grants/search")]
pub(crate) async fn search_grants(
    caller: Authorized<Check>,
    gateway: Data<Gateway>,
    body: Body<GrantSearchBody>,
) -> Result<HttpResponse, Problem> {
    let GrantSearchBody { subject, boarding_pass, perk, status, kiosk, location, from, to, order, limit, cursor } =
        body.into_inner();
    let (person, limit) =
        (read_person(&subject, boarding_pass, &gateway.keyring, caller.merchant()?)?, read_limit(limit)?);
    let wanted = Wanted { perk, decision: None, kiosk, location, from, to, order };
    let filter = wanted.seen_by(&caller).map_err(in_body)?;
    let search = Search { filter, status, person: Some(&person), cursor, limit };
    Ok(HttpResponse::Ok().json(page(&caller, &gateway, search).await.map_err(in_body)?))
}
