//! `/v1/perks/{perk}/simulate`: what a rule would do, before it does it.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, post};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::rules::{ContextView, RuleView};
use super::trace::TraceView;
use crate::access::role::permit::ManagePerks;
use crate::decision::decide::Decision;
use crate::decision::person::PersonFacts;
use crate::decision::trace::Trace;
use crate::eligibility::rule_selection::Choice;
use crate::eligibility::shown::simulation::SimulationShown;
use crate::eligibility::simulator::EveryoneTrial;
use crate::eligibility::trial::Trial;
use crate::foundation::decimal::Decimal;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::PerkSlug;
use crate::foundation::json::{Json, LooseJson};
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::ndjson;
use crate::http::openapi::problems::{
    ProblemsOfBody, ProblemsOfKeys, ProblemsOfNames, ProblemsOfRules, ProblemsOfRuns,
};
use crate::http::v1::checks::explanation::{GuestsView, LimitView, OfferView, ReasonView, ScoreSeenView};
use crate::http::v1::checks::visitor::{
    PartyView, PassBody, VisitorBody, VisitorView, read_airports, read_pass, with_party,
};
use crate::http::v1::checks::{in_languages, read_context};
use crate::rules::attribute::percent_taken;
use crate::scores::score::parse_instant;
use crate::web::auth::Authorized;
use crate::web::extract::{Body, GuestLanguages, Path};
use crate::web::problem::Problem;
use crate::web::request::RequestId;

/// One question to a rule that need not be published.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"version": 3, "subject": "twitter:ada", "score": {"value": 47}, "context": {"terminal": "A"},
    "at": "2012-05-08T19:00:00Z"}))]
pub struct SimulationBody {
    /// Which version; the published one without it, or the latest draft while nothing is published.
    version: Option<i32>,
    /// A rule that is no version, in place of `version`.
    #[schema(value_type = Option<RuleView>)]
    rule: Option<Json>,
    /// Whose cached score and limits are looked at.
    #[schema(value_type = Option<VisitorView>)]
    subject: Option<VisitorBody>,
    /// In the place of the subject's own.
    score: Option<AssumedScore>,
    /// In the place of what is kept of the subject, one by one: attributes by their names, each with a value.
    #[schema(value_type = Option<ContextView>)]
    attributes: Option<Json>,
    /// In the place of the handle's.
    network: Option<String>,
    #[schema(value_type = Option<ContextView>)]
    context: Option<LooseJson>,
    /// The people who come, in the place of the context's `party`.
    #[schema(value_type = Option<PartyView>)]
    party: Option<Json>,
    /// Any instant, past or future (RFC 3339); now without it.
    #[schema(format = DateTime)]
    at: Option<String>,
    /// Where the check would be made, as the API key would say it.
    location: Option<String>,
    kiosk: Option<String>,
    /// How full the place is, in percent, for rules that look at `occupancy.percent`; not known without it.
    #[schema(value_type = Option<f64>, minimum = 0, example = 91.5)]
    occupancy: Option<Decimal>,
    /// The text of the boarding pass that the visitor would show.
    #[schema(value_type = Option<String>)]
    boarding_pass: Option<PassBody>,
    /// The airports of the API key (IATA codes): which leg of the pass counts.
    #[serde(default)]
    airports: Vec<String>,
}

/// A score to assume.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssumedScore {
    #[schema(value_type = f64, example = 47)]
    value: Decimal,
    /// The instant of the simulation unless it is given (RFC 3339).
    #[schema(format = DateTime)]
    observed_at: Option<String>,
}

/// A question about everyone whose score is known.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"version": 3, "context": {"terminal": "A"}}))]
pub struct EveryoneBody {
    /// Which version; the published one without it, or the latest draft while nothing is published.
    version: Option<i32>,
    /// A rule that is no version, in place of `version`.
    #[schema(value_type = Option<RuleView>)]
    rule: Option<Json>,
    /// The context that every visitor is taken to bring.
    #[schema(value_type = Option<ContextView>)]
    context: Option<LooseJson>,
    /// The people who every visitor is taken to come with.
    #[schema(value_type = Option<PartyView>)]
    party: Option<Json>,
    /// How full the place is for every visitor, in percent, for rules that look at `occupancy.percent`; not known without it.
    #[schema(value_type = Option<f64>, minimum = 0, example = 91.5)]
    occupancy: Option<Decimal>,
    /// Any instant, past or future (RFC 3339); now without it.
    #[schema(format = DateTime)]
    at: Option<String>,
}

/// The decision that would be made, and why.
#[derive(ToSchema)]
#[schema(as = Simulation)]
#[expect(dead_code, reason = "describes what `eligibility::shown` writes")]
pub struct SimulationView {
    #[schema(value_type = String, example = "sfo-lounge")]
    perk: PerkSlug,
    /// Null for a rule that is no version.
    version: Option<i32>,
    rule_hash: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    #[schema(value_type = enumerations::Decision)]
    decision: Decision,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<String>,
    reasons: Vec<ReasonView>,
    /// Offers for a guest who is refused; absent where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    offers: Vec<OfferView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<ScoreSeenView>,
    /// Limits, with what would be left: as they stand now, or as they stood just before an instant that is past.
    limits: Vec<LimitView>,
    #[schema(value_type = Option<String>, format = DateTime)]
    next_eligible_at: Option<Timestamp>,
    /// The longest that the tier promises to let the person wait (ISO 8601); only where it promises.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "PT30M")]
    max_wait: Option<String>,
    /// The guests of a grant, where its tier says something of guests.
    #[serde(skip_serializing_if = "Option::is_none")]
    guests: Option<GuestsView>,
    #[schema(value_type = TraceView)]
    trace: Trace,
    warnings: Vec<TrialWarningView>,
}

/// Something to know about an answer.
#[derive(ToSchema)]
#[schema(as = TrialWarning)]
#[expect(dead_code, reason = "describes what eligibility's own types write")]
pub struct TrialWarningView {
    #[schema(example = "limits_not_applied")]
    code: &'static str,
    detail: String,
}

/// Simulate a check
///
/// Decides about one subject, or about a score and a context that are assumed, by any version or by a
/// rule that is none, at any instant; and says of each part of the rule whether it held. At an instant
/// that is past, what limits held just before it is recounted from the log. Nothing is recorded or
/// consumed.
#[utoipa::path(
    tag = "perks",
    params(
        ("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge"),
        ("Accept-Language" = Option<String>, Header, description = "The guest's languages, as when a person is checked")
    ),
    request_body = SimulationBody,
    responses(
        (status = 200, description = "What would be decided", body = SimulationView),
        ProblemsOfNames, ProblemsOfRules, ProblemsOfBody, ProblemsOfRuns, ProblemsOfKeys
    )
)]
#[post("/perks/{perk}/simulate")]
pub(crate) async fn simulate_check(
    caller: Authorized<ManagePerks>,
    gateway: Data<Gateway>,
    perk: Path<PerkSlug>,
    languages: GuestLanguages,
    body: Body<SimulationBody>,
) -> Result<HttpResponse, Problem> {
    let body = body.into_inner();
    let observed_at = body.score.as_ref().and_then(|score| score.observed_at.as_deref());
    let observed_at = read_instant("/score/observed_at", observed_at)?;
    let pass = read_pass(body.boarding_pass)?;
    let merchant = caller.merchant()?;
    let subject = body.subject.map(|subject| subject.read(&gateway.keyring, merchant, pass.as_ref())).transpose()?;
    let trial = Trial {
        perk: perk.into_inner(),
        choice: read_choice(body.version, body.rule)?,
        subject,
        score: body.score.map(|score| (score.value, observed_at)),
        attributes: read_attributes(body.attributes.as_ref())?,
        network: body.network,
        context: with_party(read_context(body.context)?, body.party.as_ref())?
            .with_occupancy(read_occupancy(body.occupancy)?),
        at: read_instant("/at", body.at.as_deref())?,
        location: body.location,
        kiosk: body.kiosk,
        boarding_pass: pass,
        airports: read_airports(&body.airports)?,
    };
    let simulated = gateway.simulator.simulate(merchant, &caller.actor(), trial).await?;
    let view = SimulationShown::of(simulated, &languages.0);
    Ok(in_languages(&view.guest_languages()).json(view))
}

/// Simulate a rule for everyone
///
/// Over all scores that are known: how many would qualify for each tier, why the others would not, how
/// the scores are distributed, where the thresholds lie, how many are within 3 points of the lowest,
/// and what changes against the published version. Limits are not applied, and networks are not known.
/// With `Accept: application/x-ndjson` lines of `{"progress":{"done","of"}}` come first, and
/// `{"result":…}` or `{"problem":…}` last. A merchant runs one at a time.
#[utoipa::path(
    tag = "perks",
    params(("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge")),
    request_body = EveryoneBody,
    responses(
        (status = 200, description = "What it would mean", content(
            (super::trials::EveryoneView = "application/json"),
            (String = "application/x-ndjson")
        )),
        ProblemsOfNames, ProblemsOfRules, ProblemsOfBody, ProblemsOfRuns, ProblemsOfKeys
    )
)]
#[post("/perks/{perk}/simulate/everyone")]
pub(crate) async fn simulate_everyone(
    req: HttpRequest,
    id: RequestId,
    caller: Authorized<ManagePerks>,
    gateway: Data<Gateway>,
    perk: Path<PerkSlug>,
    body: Body<EveryoneBody>,
) -> Result<HttpResponse, Problem> {
    let body = body.into_inner();
    let trial = EveryoneTrial {
        perk: perk.into_inner(),
        choice: read_choice(body.version, body.rule)?,
        context: with_party(read_context(body.context)?, body.party.as_ref())?
            .with_occupancy(read_occupancy(body.occupancy)?),
        at: read_instant("/at", body.at.as_deref())?,
    };
    let run = gateway.simulator.everyone(caller.merchant()?, trial).await?;
    ndjson::answer(&req, id, run).await
}

/// Which rule is meant.
pub(crate) fn read_choice(version: Option<i32>, rule: Option<Json>) -> Result<Choice, Problem> {
    match (version, rule.filter(|rule| *rule != Json::Null)) {
        (None, None) => Ok(Choice::Deciding),
        (Some(version), None) => Ok(Choice::Version(version)),
        (None, Some(rule)) => Ok(Choice::Rule(rule)),
        (Some(_), Some(_)) => {
            let detail = "Name a version, or send a rule; not both.";
            Err(Problem::invalid(vec![FieldError::at("/rule", "not_both", detail)]))
        }
    }
}

/// The attributes that are assumed.
fn read_attributes(attributes: Option<&Json>) -> Result<PersonFacts, Problem> {
    let read = attributes.filter(|given| **given != Json::Null).map(PersonFacts::parse);
    Ok(read.transpose().map_err(|errors| Problem::of_fields("/attributes", errors))?.unwrap_or_default())
}

/// How full the place is, if that is said.
fn read_occupancy(percent: Option<Decimal>) -> Result<Option<Decimal>, Problem> {
    let read = percent.map(percent_taken).transpose();
    read.map_err(|detail| Problem::invalid(vec![FieldError::at("/occupancy", "out_of_range", detail)]))
}

/// An instant, if one is given.
pub(crate) fn read_instant(pointer: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let at = parse_instant(text).ok_or_else(|| {
        let detail = "Write the time as RFC 3339 does, with its offset: 2026-11-22T09:00:00Z.";
        Problem::invalid(vec![FieldError::at(pointer, "bad_time", detail)])
    })?;
    Ok(Some(at))
}
