//! `/v1/reports`: what the log adds up to.

use std::collections::BTreeMap;

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::access::role::permit::Audit;
use crate::audit::reports::asked::{AskedError, Bound, GroupBy, ReportKind};
use crate::audit::reports::sheet::BOM;
use crate::audit::reports::{Asked, ReportError, html};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{NameError, PerkSlug};
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{ProblemsOfKeys, ProblemsOfQuery, ProblemsOfRuns};
use crate::perks::error::PerkError;
use crate::web::auth::Authorized;
use crate::web::deadline::Deadline;
use crate::web::extract::Params;
use crate::web::problem::Problem;

/// The format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReportFormat {
    #[default]
    Json,
    Csv,
    Html,
}

/// The property that a report is grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupedBy {
    Day,
    Hour,
    Week,
    Month,
    Perk,
    Tier,
    Location,
    Kiosk,
    RuleVersion,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReportQuery {
    /// From this instant (RFC 3339) or the beginning of this date on; from the log's beginning unless given.
    #[param(example = "2012-05-08")]
    from: Option<String>,
    /// Before this instant or the beginning of this date; now unless given.
    #[param(example = "2012-05-15")]
    to: Option<String>,
    /// Whose dates, days and hours: a name of the IANA time zone database; the merchant's unless given.
    #[param(example = "America/Los_Angeles")]
    time_zone: Option<String>,
    /// This perk only.
    #[param(example = "sfo-lounge")]
    perk: Option<String>,
    /// Totals only unless given.
    group_by: Option<GroupedBy>,
    /// `json` unless given.
    format: Option<ReportFormat>,
    /// True if `csv` begins with a byte order mark, by which Excel knows that it is UTF-8; false unless given.
    #[param(value_type = Option<bool>)]
    bom: Option<Mark>,
}

/// True if something is marked; query parameters come as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    True,
    False,
}

/// The same without groups: the fairness report has bands of scores.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FairnessQuery {
    /// From this instant (RFC 3339) or the beginning of this date on; from the log's beginning unless given.
    #[param(example = "2012-05-08")]
    from: Option<String>,
    /// Before this instant or the beginning of this date; now unless given.
    #[param(example = "2012-05-15")]
    to: Option<String>,
    /// Whose dates: a name of the IANA time zone database; the merchant's unless given.
    #[param(example = "America/Los_Angeles")]
    time_zone: Option<String>,
    /// This perk only.
    #[param(example = "sfo-lounge")]
    perk: Option<String>,
    /// `json` unless given.
    format: Option<ReportFormat>,
    /// True if `csv` begins with a byte order mark, by which Excel knows that it is UTF-8; false unless given.
    #[param(value_type = Option<bool>)]
    bom: Option<Mark>,
}

/// A report. What is counted stands under the names of its columns, in `totals` and in each group.
#[derive(ToSchema)]
#[schema(as = Report)]
#[expect(dead_code, reason = "describes what audit's own types write")]
pub struct ReportView {
    report: enumerations::ReportKind,
    merchant: String,
    merchant_name: String,
    perk: Option<String>,
    perk_name: Option<String>,
    /// Null for the log's beginning.
    #[schema(format = DateTime)]
    from: Option<String>,
    #[schema(format = DateTime)]
    to: String,
    time_zone: String,
    #[schema(format = DateTime)]
    as_of: String,
    /// The number of events that the log had then: a client that counts them again comes to the same.
    log_size: i64,
    /// The meaning of the period and the columns.
    meaning: String,
    /// The number of events of the period that have lost their bodies and are counted nowhere, whatever their perk: at an
    /// end that is no whole quarter of an hour, and where no sums are left.
    pruned: u64,
    /// The number of events of the period, whatever their perk, that lost their bodies after they were summed up: they are
    /// counted, with all that had become of them by then, and nothing proves it any more.
    unprovable: u64,
    #[schema(example = json!({"checks": 3, "granted": 2, "denied": 1}))]
    totals: BTreeMap<String, f64>,
    group_by: Option<enumerations::ReportGrouping>,
    groups: Vec<GroupView>,
    /// The use against each limit, in the grants report.
    limits: Vec<LimitUseView>,
}

/// The columns of one group: counts, and shares in percent.
#[derive(ToSchema)]
#[schema(as = ReportGroup, example = json!({"group": "2012-05-08", "checks": 3, "granted": 2, "denied": 1}))]
#[expect(dead_code, reason = "describes what audit's own types write")]
pub struct GroupView {
    /// Null where events don't say; a week is `2012-W19` (ISO 8601), a month `2012-05`.
    group: Option<String>,
    /// The display name of a group that is a perk, a version of its rule, or a tier that is called the same wherever a
    /// published rule has it.
    name: Option<String>,
    #[serde(flatten)]
    counts: BTreeMap<String, f64>,
}

#[derive(ToSchema)]
#[schema(as = LimitUse)]
#[expect(dead_code, reason = "describes what audit's own types write")]
pub struct LimitUseView {
    perk: String,
    perk_name: String,
    limit: String,
    /// The amount that the checks of the period used of it.
    used: u64,
    /// The amount that ends of grants in the period gave back.
    returned: u64,
    /// The most that stood against it at once, in any one window.
    peak: u64,
    /// The maximum that the last check was held to, at its location.
    max: u64,
    /// The maxima that the last checks at each location were held to; absent unless they differ.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(example = json!({"SFO-A": 120, "SFO-G": 80}))]
    max_by_location: BTreeMap<String, u64>,
    refused: u64,
}

impl From<GroupedBy> for GroupBy {
    fn from(by: GroupedBy) -> Self {
        match by {
            GroupedBy::Day => Self::Day,
            GroupedBy::Hour => Self::Hour,
            GroupedBy::Week => Self::Week,
            GroupedBy::Month => Self::Month,
            GroupedBy::Perk => Self::Perk,
            GroupedBy::Tier => Self::Tier,
            GroupedBy::Location => Self::Location,
            GroupedBy::Kiosk => Self::Kiosk,
            GroupedBy::RuleVersion => Self::RuleVersion,
        }
    }
}

impl From<FairnessQuery> for ReportQuery {
    fn from(query: FairnessQuery) -> Self {
        let FairnessQuery { from, to, time_zone, perk, format, bom } = query;
        Self { from, to, time_zone, perk, group_by: None, format, bom }
    }
}

macro_rules! reports {
    ($($(#[$($doc:tt)*])* $name:ident, $path:tt, $kind:ident, $query:ident;)*) => {$(
        $(#[$($doc)*])*
        #[utoipa::path(
            tag = "audit",
            params($query),
            responses(
                (status = 200, description = "The report", content(
                    (ReportView = "application/json"), (String = "text/csv"), (String = "text/html")
                )),
                ProblemsOfQuery, ProblemsOfRuns, ProblemsOfKeys
            )
        )]
        #[get($path)]
        pub(crate) async fn $name(
            req: HttpRequest,
            caller: Authorized<Audit>,
            gateway: Data<Gateway>,
            query: Params<$query>,
        ) -> Result<HttpResponse, Problem> {
            answer(&req, &caller, &gateway, ReportKind::$kind, query.into_inner().into()).await
        }
    )*};
}

reports! {
    /// Report grants
    ///
    /// Checks, grants, refusals by their first reason, near misses, what became of grants, and use against limits.
    /// Everything counts by its own instant, from `from` on and before `to`: checks when they were decided;
    /// redemptions, releases and voids when they happened, whenever the grant was made. `expired_unused` and the
    /// columns `grants_…` say what had become of the period's grants by `as_of`. Dates, days and
    /// hours are those of the merchant's time zone, unless another is given. Counted from the events of the log, whole quarters
    /// of an hour of which are summed up beforehand; `meaning` says all of this in the report itself.
    get_grants_report, "/reports/grants", Grants, ReportQuery;
    /// Report visits for billing
    ///
    /// Redeemed visits and their guests (the party of the token, or who came as it was corrected by `as_of`), by the
    /// instant of the redemption; of the guests whom they brought `free` and `charged` ones, where the tier says something
    /// of guests; and how many visits were `corrected`. Visits whose grants were voided later stay counted;
    /// `voided_visits`, `voided_guests` and `voided_charged` count them once more, by the instant of the void.
    get_billing_report, "/reports/billing", Billing, ReportQuery;
    /// Report fairness
    ///
    /// By bands of 10 points of the score that was seen: the share admitted of those who asked, what a person
    /// granted afterwards, contests and what became of them, refusals by their first reason, how many were
    /// turned away within 3 points, and the wait that grants of priority promised. Persons who were erased
    /// stand under `unknown`.
    get_fairness_report, "/reports/fairness", Fairness, FairnessQuery;
}

async fn answer(
    req: &HttpRequest,
    caller: &Authorized<Audit>,
    gateway: &Gateway,
    kind: ReportKind,
    query: ReportQuery,
) -> Result<HttpResponse, Problem> {
    let ReportQuery { from, to, time_zone, perk, group_by, format, bom } = query;
    let merchant = caller.merchant()?;
    let bound = |name: &'static str, text: Option<String>| {
        let read = text.map(|text| Bound::parse(&text)).transpose();
        read.map_err(|error| Problem::invalid(vec![FieldError::of_parameter(name, "invalid_value", error.to_string())]))
    };
    let (from, to) = (bound("from", from)?, bound("to", to)?);
    let perk = match perk {
        None => None,
        Some(slug) => Some(find(gateway, merchant, &slug).await?),
    };
    let asked = Asked { kind, group_by: group_by.map(GroupBy::from), from, to, time_zone, perk };
    let report = gateway.reporter.report(merchant, asked, || Deadline::progress(req)).await?;
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    Ok(match format.unwrap_or_default() {
        ReportFormat::Json => answer.json(report),
        ReportFormat::Csv => {
            let mark = if bom == Some(Mark::True) { BOM } else { "" };
            answer.content_type("text/csv; charset=utf-8; header=present").body(format!("{mark}{}", report.to_csv()))
        }
        ReportFormat::Html => answer
            .content_type("text/html; charset=utf-8")
            .insert_header((header::CONTENT_SECURITY_POLICY, format!("{}; frame-ancestors 'none'", html::policy())))
            .body(report.to_html()),
    })
}

async fn find(
    gateway: &Gateway,
    merchant: &crate::access::Merchant,
    slug: &str,
) -> Result<(PerkSlug, crate::foundation::ids::PerkId), Problem> {
    let unknown = |detail: String| Problem::invalid(vec![FieldError::of_parameter("perk", "unknown_perk", detail)]);
    let slug: PerkSlug = slug.parse().map_err(|error: NameError| unknown(error.to_string()))?;
    match gateway.catalog.find_perk(&merchant.id, &slug).await {
        Ok(perk) => Ok((slug, perk.id)),
        Err(PerkError::NotFound(_)) => Err(unknown(format!("there is no perk `{slug}`: `GET /v1/perks` lists them"))),
        Err(error) => Err(error.into()),
    }
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        let unfit = |name: &'static str, code: &'static str, error: &ReportError| {
            Self::invalid(vec![FieldError::of_parameter(name, code, error.to_string())])
        };
        match error {
            ReportError::Asked(AskedError::Zone(_)) => unfit("time_zone", "unknown_time_zone", &error),
            ReportError::Asked(AskedError::Reversed) => unfit("to", "period_reversed", &error),
            ReportError::Asked(AskedError::Ahead) => unfit("from", "period_in_future", &error),
            ReportError::Asked(AskedError::Bound(_) | AskedError::OutOfRange(_)) => {
                unfit("from", "invalid_value", &error)
            }
            ReportError::TooManyGroups => unfit("group_by", "too_many_groups", &error),
            ReportError::Crowded => Self::new(crate::web::problem::Kind::TooManyRuns, error.to_string()).retry_after(5),
            ReportError::Ledger(error) => error.into(),
            ReportError::Database(error) => error.into(),
        }
    }
}
