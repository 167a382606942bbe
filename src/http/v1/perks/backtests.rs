//! `/v1/perks/{perk}/backtest`: what a rule would have made of the checks of a period.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, post};
use serde::Deserialize;
use utoipa::ToSchema;

use super::rules::RuleView;
use super::simulations::{read_choice, read_instant};
use crate::access::role::permit::ManagePerks;
use crate::eligibility::backtester::PastTrial;
use crate::foundation::ids::PerkSlug;
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::http::ndjson;
use crate::http::openapi::problems::{
    ProblemsOfBody, ProblemsOfKeys, ProblemsOfNames, ProblemsOfRules, ProblemsOfRuns,
};
use crate::web::auth::Authorized;
use crate::web::extract::{Body, Path};
use crate::web::problem::Problem;
use crate::web::request::RequestId;

/// A period, and the rule to try on it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"version": 3, "from": "2012-05-01T00:00:00Z", "to": "2012-05-08T00:00:00Z"}))]
pub struct BacktestBody {
    /// Which version; the published one without it, or the latest draft while nothing is published.
    version: Option<i32>,
    /// A rule that is no version, in place of `version`.
    #[schema(value_type = Option<RuleView>)]
    rule: Option<Json>,
    /// The first instant of the period (RFC 3339).
    #[schema(format = DateTime)]
    from: String,
    /// The first instant after it (RFC 3339); now without it.
    #[schema(format = DateTime)]
    to: Option<String>,
}

/// Backtest a rule
///
/// Replays the checks of a period, with the score and the context seen then, and says who would newly
/// be admitted or refused. Limits are replayed in order: those that the perk had go on from what was
/// used before the period, those that the rule adds begin at 0. Guests come and leave as they did;
/// a person who would newly be admitted holds a place until the token lapses (`stays_not_known`). Replaying the version that ran must
/// reproduce what it decided: `reproduction.mismatches` is 0, or it is a defect. Checks of persons who
/// were erased, those that a person granted, and those for which the rule looks at something that was
/// not kept, count as they were.
/// With `Accept: application/x-ndjson` lines of `{"progress":{"done","of"}}` come first, and
/// `{"result":…}` or `{"problem":…}` last. A merchant runs one at a time.
#[utoipa::path(
    tag = "perks",
    params(("perk" = String, Path, description = "The perk's short name", example = "sfo-lounge")),
    request_body = BacktestBody,
    responses(
        (status = 200, description = "What it would have made of them", content(
            (super::trials::BacktestView = "application/json"),
            (String = "application/x-ndjson")
        )),
        ProblemsOfNames, ProblemsOfRules, ProblemsOfBody, ProblemsOfRuns, ProblemsOfKeys
    )
)]
#[post("/perks/{perk}/backtest")]
pub(crate) async fn backtest_perk(
    req: HttpRequest,
    id: RequestId,
    caller: Authorized<ManagePerks>,
    gateway: Data<Gateway>,
    perk: Path<PerkSlug>,
    body: Body<BacktestBody>,
) -> Result<HttpResponse, Problem> {
    let BacktestBody { version, rule, from, to } = body.into_inner();
    let trial = PastTrial {
        perk: perk.into_inner(),
        choice: read_choice(version, rule)?,
        from: read_instant("/from", Some(&from))?.unwrap_or_default(),
        to: read_instant("/to", to.as_deref())?,
    };
    let run = gateway.backtester.backtest(caller.merchant()?, trial).await?;
    ndjson::answer(&req, id, run).await
}
