//! `/console/reports/{report}`: what the log adds up to, as a chart and a table, as CSV, and on paper.

mod chart;

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use askama::Template;
use serde::Deserialize;

use super::caller::Caller;
use super::door::{page_of, see_other};
use super::frame::{Frame, Section};
use super::icon::Icon;
use super::words::{When, encoded, grouped, zone_of};
use crate::access::Merchant;
use crate::access::role::permit::Audit;
use crate::audit::reports::asked::{Bound, GroupBy, ReportKind};
use crate::audit::reports::sheet::{BOM, LimitRow, ReportSheet, Row};
use crate::audit::reports::{Asked, ReportError};
use crate::foundation::ids::{PerkId, PerkSlug};
use crate::gateway::Gateway;
use crate::perks::error::PerkError;
use crate::web::deadline::Deadline;
use crate::web::extract::{Params, Path};
use crate::web::problem::{Problem, sentence};
use chart::Chart;

/// The properties that a report is grouped by, in the words of a page.
const GROUPINGS: [(&str, &str, GroupBy); 9] = [
    ("day", "Day", GroupBy::Day),
    ("hour", "Hour", GroupBy::Hour),
    ("week", "Week", GroupBy::Week),
    ("month", "Month", GroupBy::Month),
    ("perk", "Perk", GroupBy::Perk),
    ("tier", "Tier", GroupBy::Tier),
    ("location", "Location", GroupBy::Location),
    ("kiosk", "Kiosk", GroupBy::Kiosk),
    ("rule_version", "Version of the rule", GroupBy::RuleVersion),
];

const KINDS: [ReportKind; 3] = [ReportKind::Grants, ReportKind::Billing, ReportKind::Fairness];

/// The columns that are shown also where nothing was counted.
const ALWAYS: [&str; 4] = ["checks", "granted", "denied", "visits"];

/// The question of a page: empty where nothing is asked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ReportQuery {
    from: String,
    to: String,
    perk: String,
    by: String,
}

#[derive(Template)]
#[template(path = "report.html", config = "src/console/askama.toml")]
struct ReportPage {
    frame: Frame,
    kind: &'static str,
    /// Every report, and whether it is this one.
    kinds: Vec<(&'static str, &'static str, bool)>,
    title: &'static str,
    query: ReportQuery,
    /// Every grouping, and whether it is chosen; none where the report has groups of its own.
    groupings: Vec<(&'static str, &'static str, bool)>,
    errors: Vec<String>,
    csv: String,
    answer: Option<AnswerView>,
}

struct AnswerView {
    period: String,
    as_of: When,
    zone: String,
    log_size: String,
    pruned: Option<String>,
    unprovable: Option<String>,
    meaning: &'static str,
    group: &'static str,
    columns: Vec<&'static str>,
    rows: Vec<(String, Vec<String>)>,
    totals: Vec<String>,
    chart: Option<Chart>,
    limits: Vec<LimitView>,
}

struct LimitView {
    perk: String,
    limit: String,
    used: String,
    peak: String,
    max: String,
    refused: String,
}

impl From<LimitRow> for LimitView {
    fn from(row: LimitRow) -> Self {
        Self {
            perk: row.perk_name,
            limit: row.limit,
            used: grouped(row.used),
            peak: grouped(row.peak),
            max: grouped(row.max),
            refused: grouped(row.refused),
        }
    }
}

#[get("/reports")]
pub(super) async fn get_reports(_caller: Caller<Audit>) -> Result<HttpResponse, Problem> {
    Ok(see_other(&"/console/reports/grants"))
}

#[get("/reports/{report}")]
pub(super) async fn get_report(
    req: HttpRequest,
    caller: Caller<Audit>,
    gateway: Data<Gateway>,
    name: Path<String>,
    query: Params<ReportQuery>,
) -> Result<HttpResponse, Problem> {
    let kind = kind_of(&name)?;
    let query = query.into_inner();
    let merchant = caller.merchant()?;
    let read = read(&gateway, merchant, kind, &query).await?;
    let (answer, errors) = match read {
        Err(errors) => (None, errors),
        Ok(asked) => match gateway.reporter.report(merchant, asked, || Deadline::progress(&req)).await {
            Ok(sheet) => (Some(answer(sheet, gateway.clock.now())), Vec::new()),
            Err(error @ (ReportError::Asked(_) | ReportError::TooManyGroups)) => (None, vec![said(&error.to_string())]),
            Err(error) => return Err(error.into()),
        },
    };
    let by = if query.by.is_empty() && kind != ReportKind::Fairness { "" } else { query.by.as_str() };
    let groupings = GROUPINGS.iter().filter(|_| kind != ReportKind::Fairness);
    let csv = [("from", &query.from), ("to", &query.to), ("perk", &query.perk), ("by", &query.by)];
    let csv: Vec<_> = csv
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    let view = ReportPage {
        frame: Frame::of(kind.title(), Section::Reports, caller.session(), gateway.clock.now()),
        kind: kind.as_str(),
        kinds: KINDS.iter().map(|it| (it.as_str(), it.title(), *it == kind)).collect(),
        title: kind.title(),
        groupings: groupings.map(|(name, words, _)| (*name, *words, *name == by)).collect(),
        csv: format!("/console/reports/{}/csv?{}", kind.as_str(), csv.join("&")),
        query: query.clone(),
        errors,
        answer,
    };
    page_of(if view.errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY }, &view)
}

#[get("/reports/{report}/csv")]
pub(super) async fn get_report_csv(
    req: HttpRequest,
    caller: Caller<Audit>,
    gateway: Data<Gateway>,
    name: Path<String>,
    query: Params<ReportQuery>,
) -> Result<HttpResponse, Problem> {
    let kind = kind_of(&name)?;
    let merchant = caller.merchant()?;
    let asked = read(&gateway, merchant, kind, &query.into_inner()).await?;
    let asked = asked.map_err(|errors| Problem::new(crate::web::problem::Kind::InvalidRequest, errors.join(" ")))?;
    let sheet = gateway.reporter.report(merchant, asked, || Deadline::progress(&req)).await?;
    let file = format!("attachment; filename=\"perkgate-{}.csv\"", kind.as_str());
    // By the mark spreadsheets know that it is UTF-8.
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8; header=present")
        .insert_header((header::CONTENT_DISPOSITION, file))
        .body(format!("{BOM}{}", sheet.to_csv())))
}

fn kind_of(name: &str) -> Result<ReportKind, Problem> {
    KINDS.into_iter().find(|kind| kind.as_str() == name).ok_or_else(Problem::not_found)
}

/// The question, or what doesn't fit in it.
///
/// # Errors
/// The outer one is the database's.
async fn read(
    gateway: &Gateway,
    merchant: &Merchant,
    kind: ReportKind,
    query: &ReportQuery,
) -> Result<Result<Asked, Vec<String>>, Problem> {
    let mut errors = Vec::new();
    let mut bound = |text: &str| {
        let read = (!text.trim().is_empty()).then(|| Bound::parse(text.trim())).transpose();
        read.unwrap_or_else(|error| {
            errors.push(said(&error.to_string()));
            None
        })
    };
    let (from, to) = (bound(&query.from), bound(&query.to));
    let perk: Option<(PerkSlug, PerkId)> = match query.perk.trim() {
        "" => None,
        text => match text.parse::<PerkSlug>() {
            Err(error) => {
                errors.push(format!("The perk can’t be that: {error}."));
                None
            }
            Ok(slug) => match gateway.catalog.find_perk(&merchant.id, &slug).await {
                Ok(perk) => Some((slug, perk.id)),
                Err(PerkError::NotFound(slug)) => {
                    errors.push(format!("There is no perk with the short name “{slug}”."));
                    None
                }
                Err(error) => return Err(error.into()),
            },
        },
    };
    let group_by = GROUPINGS.iter().find(|(name, ..)| *name == query.by).map(|(_, _, group_by)| *group_by);
    if group_by.is_none() && !query.by.is_empty() {
        errors.push(format!("Reports aren’t grouped by “{}”.", query.by));
    }
    if !errors.is_empty() {
        return Ok(Err(errors));
    }
    Ok(Ok(Asked { kind, group_by, from, to, time_zone: None, perk }))
}

/// The error as a page says it.
fn said(text: &str) -> String {
    sentence(
        &text.replace("`from`", "“From”").replace("`to`", "“To”").replace("`group_by`", "grouping").replace('`', "“"),
    )
}

fn answer(sheet: ReportSheet, now: jiff::Timestamp) -> AnswerView {
    let zone = zone_of(&sheet.time_zone);
    let day = |at| When::of(at, &zone, now).text;
    let from = sheet.from.map_or_else(|| "the log’s beginning".to_owned(), day);
    let columns: Vec<_> = sheet
        .report
        .columns()
        .into_iter()
        .filter(|(name, _)| ALWAYS.contains(name) || sheet.totals.get(name) > 0)
        .filter(|(name, _)| sheet.totals.0.iter().any(|(known, _)| known == name))
        .collect();
    let cells = |row: &Row| columns.iter().map(|(name, _)| cell(row, name)).collect::<Vec<_>>();
    AnswerView {
        period: format!("From {from} until {}", day(sheet.to)),
        as_of: When::of(sheet.as_of, &zone, now),
        zone: sheet.time_zone.clone(),
        log_size: grouped(sheet.log_size.unsigned_abs()),
        pruned: (sheet.pruned > 0).then(|| grouped(sheet.pruned)),
        unprovable: (sheet.unprovable > 0).then(|| grouped(sheet.unprovable)),
        meaning: sheet.meaning,
        group: sheet.group_by.map_or("", group_words),
        rows: sheet.groups.iter().map(|group| (group.label().to_owned(), cells(&group.counts))).collect(),
        totals: cells(&sheet.totals),
        chart: Chart::of(&sheet),
        columns: columns.iter().map(|(_, title)| *title).collect(),
        limits: sheet.limits.into_iter().map(LimitView::from).collect(),
    }
}

fn group_words(group_by: GroupBy) -> &'static str {
    GROUPINGS.iter().find(|(_, _, known)| *known == group_by).map_or("Score", |(_, words, _)| *words)
}

/// A count, grouped; a share as it is, under a heading that says what it is of.
fn cell(row: &Row, name: &str) -> String {
    let text = row.text(name);
    text.parse::<u64>().map_or(text, grouped)
}
