//! `/v1/my/{link}`: what the person of a check sees of it by the link of its answer, and says about it. No key is needed.

pub mod requests;

use std::net::{IpAddr, Ipv4Addr};

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, get, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::checks::explanation::{GuestsView, NameView, OfferView};
use crate::decision::decide::Decision;
use crate::eligibility::links::Linked;
use crate::eligibility::links::own::OwnAnswer;
use crate::eligibility::shown::check::CheckShown;
use crate::eligibility::shown::explanation::{GuestsShown, NameShown, OfferShown};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{self, PerkSlug};
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{
    ProblemsOfBody, ProblemsOfContests, ProblemsOfLinks, ProblemsOfNames, ProblemsOfPruning,
};
use crate::ledger::cases::contest::{ContestStatus, MAX_REASON};
use crate::ledger::cases::model::ReferralStatus;
use crate::web::address;
use crate::web::extract::{Body, GuestLanguages, Path};
use crate::web::problem::{Kind, Problem};
use crate::web::state::State;
use requests::OwnRequestView;

/// An answer as its person may see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OwnAnswer)]
pub struct OwnAnswerView {
    #[schema(example = "Cathay Pacific")]
    merchant: String,
    #[schema(value_type = String, example = "sfo-lounge")]
    perk: PerkSlug,
    /// The perk's name in the person's language, where its rule has one that fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<NameView>)]
    guest_perk: Option<NameShown>,
    #[schema(value_type = enumerations::Decision)]
    decision: Decision,
    #[schema(value_type = String, format = DateTime)]
    decided_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<String>,
    /// The same of the tier's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<NameView>)]
    guest_tier: Option<NameShown>,
    /// The reasons that speak against it, in the words for guests.
    messages: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<OfferView>)]
    offers: Vec<OfferShown>,
    /// When waiting alone would help.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_eligible_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<GuestsView>)]
    guests: Option<GuestsShown>,
    /// True if the answer can be contested: it is a refusal that nobody has contested or made good.
    can_be_contested: bool,
    /// The status of the contest that it belongs to, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<enumerations::ContestStatus>)]
    contest: Option<ContestStatus>,
    /// The status of the referral that it belongs to, where a person decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<enumerations::ReferralStatus>)]
    referral: Option<ReferralStatus>,
    /// The requests that were made by this link.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    requests: Vec<OwnRequestView>,
    /// When the link leads nowhere any more.
    #[schema(value_type = String, format = DateTime)]
    link_expires_at: Timestamp,
}

/// Why a refusal is wrong, in the person's own words.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "My account was renamed last week."}))]
pub struct OwnObjectionBody {
    /// Up to 1,000 characters. It is sealed under the person's key.
    reason: String,
}

/// A contest that was opened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OwnContest)]
pub struct OwnContestView {
    #[schema(value_type = enumerations::ContestStatus)]
    contest: ContestStatus,
}

/// Show one's own answer
///
/// By the `link` of a check's answer, for 24 hours from the check: the decision in the words for guests, and what became of
/// it. No key is needed, and nothing is changed. Of a link that is bent, invented or too old there is one and the same 404.
#[utoipa::path(
    tag = "links",
    security(()),
    params(
        ("link" = String, Path, description = "The end of the address that the check's answer has as `link`", example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70.9f86d081884c7d659a2feaa0c55ad015"),
        ("Accept-Language" = Option<String>, Header, description = "The person's languages, as when they were checked")
    ),
    responses((status = 200, description = "The answer", body = OwnAnswerView), ProblemsOfLinks, ProblemsOfNames, ProblemsOfPruning)
)]
#[get("/{link}")]
pub(crate) async fn get_own_answer(
    req: HttpRequest,
    gateway: Data<Gateway>,
    state: Data<State>,
    link: Path<String>,
    languages: GuestLanguages,
) -> Result<HttpResponse, Problem> {
    let linked = follow(&req, &gateway, &state, &link).await?;
    let own = gateway.own_answers.read(&linked).await?.ok_or_else(leads_nowhere)?;
    let (can_be_contested, contest, referral) = (own.can_be_contested(), own.contest(), own.referral());
    let OwnAnswer { answer, deciding, closure, requests, .. } = own;
    let decided_at = answer.at;
    let shown = CheckShown::of(answer, false).for_guests(deciding.as_ref().map(|it| &*it.rule), &languages.0);
    let shown = shown.with_closure(closure.as_ref(), &languages.0);
    let spoken = shown.guest_languages().join(", ");
    let mut response = guarded(HttpResponse::Ok());
    response.insert_header((header::VARY, "Accept-Language"));
    if !spoken.is_empty() {
        response.insert_header((header::CONTENT_LANGUAGE, spoken));
    }
    Ok(response.json(OwnAnswerView {
        merchant: linked.merchant.name.clone(),
        perk: shown.perk,
        guest_perk: shown.guest_perk,
        decision: shown.decision,
        decided_at,
        tier: shown.tier,
        guest_tier: shown.guest_tier,
        messages: shown.reasons.into_iter().filter_map(|reason| reason.guest_message).collect(),
        offers: shown.offers,
        next_eligible_at: shown.next_eligible_at,
        guests: shown.guests,
        can_be_contested,
        contest,
        referral,
        requests: requests.into_iter().map(OwnRequestView::from).collect(),
        link_expires_at: linked.expires_at,
    }))
}

/// Contest one's own refusal
///
/// As a kiosk does in the person's name: a person decides about it. Once a check; the same again gets the same answer, and
/// another reason none.
#[utoipa::path(
    tag = "links",
    security(()),
    params(("link" = String, Path, description = "The end of the address that the check's answer has as `link`", example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70.9f86d081884c7d659a2feaa0c55ad015")),
    request_body = OwnObjectionBody,
    responses(
        (status = 201, description = "It is contested", body = OwnContestView),
        ProblemsOfLinks, ProblemsOfNames, ProblemsOfContests, ProblemsOfPruning, ProblemsOfBody
    )
)]
#[post("/{link}/contest")]
pub(crate) async fn create_own_contest(
    req: HttpRequest,
    gateway: Data<Gateway>,
    state: Data<State>,
    link: Path<String>,
    body: Body<OwnObjectionBody>,
) -> Result<HttpResponse, Problem> {
    let linked = follow(&req, &gateway, &state, &link).await?;
    // The text is not repeated: problems end up in logs.
    let reason = ids::label(&body.into_inner().reason, MAX_REASON);
    let reason = reason
        .map_err(|error| Problem::invalid(vec![FieldError::at("/reason", "invalid_value", error.to_string())]))?;
    let contest = gateway.own_answers.contest(&linked, reason).await?;
    Ok(guarded(HttpResponse::Created()).json(OwnContestView { contest }))
}

/// The check of a link. Each request counts against its address, as nobody has a key here.
async fn follow(req: &HttpRequest, gateway: &Gateway, state: &State, link: &str) -> Result<Linked, Problem> {
    let peer = req.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    let client = address::client(peer, req.headers(), &gateway.settings.server.trusted_proxies);
    state.limits.take_link(client)?;
    gateway.own_answers.find(link).await?.ok_or_else(leads_nowhere)
}

/// The one answer to links that are bent, invented or too old. It doesn't repeat them.
fn leads_nowhere() -> Problem {
    Problem::new(Kind::NotFound, "This link leads nowhere: it is not whole, or its day is over.")
}

/// An answer at a secret address: it lies in no cache, and pages that it leads to don't learn the address.
fn guarded(mut response: HttpResponseBuilder) -> HttpResponseBuilder {
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    response.insert_header((header::REFERRER_POLICY, "no-referrer"));
    response
}
