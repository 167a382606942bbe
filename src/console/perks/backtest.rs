//! `/console/perks/{perk}/backtest`: what a version would have made of the checks of a period, limits in order.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::Deserialize;

use super::run;
use super::trial_form::{TrialQuery, VersionChoice, asked_version, tier_names, trial_faults, words_of_code};
use super::versions::document;
use crate::access::role::permit::ManagePerks;
use crate::console::caller::Caller;
use crate::console::door::{page, page_of};
use crate::console::form::Posted;
use crate::console::frame::{Frame, Section};
use crate::console::icon::Icon;
use crate::console::words::{grouped, place_of, zone_of};
use crate::decision::decide::Decision;
use crate::eligibility::backtest::{Backtest, ScoreBar, ScoreBars, Shift};
use crate::eligibility::backtester::PastTrial;
use crate::eligibility::rule_selection::Choice;
use crate::foundation::count::counted_as;
use crate::foundation::ids::PerkSlug;
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::web::extract::{Params, Path};
use crate::web::params::VersionNumber;
use crate::web::problem::{Problem, sentence};

/// Number of days of a period unless another is asked for.
const DAYS: i32 = 7;

#[derive(Template)]
#[template(path = "backtest.html", config = "src/console/askama.toml")]
struct BacktestPage {
    frame: Frame,
    slug: String,
    name: String,
    versions: Vec<VersionChoice>,
    from: String,
    to: String,
    place: String,
    errors: Vec<String>,
    /// An answer follows.
    runs: bool,
}

#[derive(Template)]
#[template(path = "backtest_answer.html", config = "src/console/askama.toml")]
struct AnswerPart {
    slug: String,
    number: i32,
    heads: Vec<(&'static str, String)>,
    replayed: String,
    not_replayed: Vec<String>,
    reproduction: Option<String>,
    tiers: Vec<ShiftView>,
    reasons: Vec<ShiftView>,
    crossings: Vec<(&'static str, &'static str, String)>,
    scores: Option<ScorePlot>,
    samples: Vec<(&'static str, Vec<String>)>,
    warnings: Vec<String>,
    height: usize,
}

/// The checks by their scores, drawn.
struct ScorePlot {
    bars: Vec<PlotBar>,
    /// The scores under the axis.
    ticks: Vec<(u64, String)>,
    rows: Vec<ScoreRow>,
    unknown: Option<String>,
    description: String,
}

/// A part of a bar: its class, and where it stands.
struct PlotBar {
    class: &'static str,
    x: u64,
    width: u64,
    y: u64,
    height: u64,
}

/// A row of the table that says the same: the scores, and how many were and would be in and out.
struct ScoreRow {
    from: String,
    to: String,
    remained_in: String,
    newly_admitted: String,
    newly_refused: String,
    remained_out: String,
}

/// A number as it was and as it would have been, with bars.
struct ShiftView {
    name: String,
    was: String,
    would_be: String,
    change: String,
    was_width: u64,
    would_be_width: u64,
    /// Where the longer bar ends.
    end: u64,
    y: usize,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(in crate::console) struct BacktestFields {
    version: Option<VersionNumber>,
    from: String,
    to: String,
}

#[get("/perks/{perk}/backtest")]
pub(in crate::console) async fn get_backtest(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    slug: Path<PerkSlug>,
    query: Params<TrialQuery>,
) -> Result<HttpResponse, Problem> {
    let fields = BacktestFields { version: query.into_inner().version, ..BacktestFields::default() };
    let (view, ..) = view(&gateway, &caller, &slug, &fields).await?;
    page(&view)
}

/// The page without an answer, the version that is meant, its rule, and the zone of its days.
async fn view(
    gateway: &Gateway,
    caller: &Caller<ManagePerks>,
    slug: &PerkSlug,
    fields: &BacktestFields,
) -> Result<(BacktestPage, i32, Json, TimeZone), Problem> {
    let merchant = caller.merchant()?;
    let (perk, version) = asked_version(gateway, &merchant.id, slug, fields.version).await?;
    let number = version.version;
    let rule = document(&version)?;
    let zone_name = rule.member("time_zone").and_then(Json::as_text).unwrap_or(&merchant.time_zone).to_owned();
    let (zone, now) = (zone_of(&zone_name), gateway.clock.now());
    let today = now.to_zoned(zone.clone()).date();
    let begin = today.checked_sub(DAYS.days()).unwrap_or(today);
    let or = |typed: &str, day: Date| if typed.is_empty() { day.to_string() } else { typed.to_owned() };
    let view = BacktestPage {
        frame: Frame::of(format!("Backtest {}", perk.name), Section::Perks, caller.session(), now)
            .in_zone(&zone_name, now),
        slug: slug.to_string(),
        name: perk.name,
        versions: VersionChoice::list(gateway, &merchant.id, slug, number).await?,
        from: or(fields.from.trim(), begin),
        to: or(fields.to.trim(), today),
        place: place_of(&zone_name),
        errors: Vec::new(),
        runs: false,
    };
    Ok((view, number, rule, zone))
}

#[post("/perks/{perk}/backtest")]
pub(in crate::console) async fn post_backtest(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    slug: Path<PerkSlug>,
    fields: Posted<BacktestFields>,
) -> Result<HttpResponse, Problem> {
    let (mut view, number, rule, zone) = view(&gateway, &caller, &slug, &fields.0).await?;
    let (from, to) = match period(&view.from, &view.to, &zone, gateway.clock.now()) {
        Ok(period) => period,
        Err(error) => {
            view.errors.push(error);
            return page_of(StatusCode::UNPROCESSABLE_ENTITY, &view);
        }
    };
    let trial = PastTrial { perk: slug.clone(), choice: Choice::Version(number), from, to };
    match gateway.backtester.backtest(caller.merchant()?, trial).await {
        Ok(run) => {
            view.runs = true;
            let slug = slug.into_inner();
            run::answer(&gateway, &view, "Looked at", run, move |found| part(&slug, number, &rule, found).render())
        }
        Err(error) => {
            let (status, errors) = trial_faults(error)?;
            view.errors = errors;
            page_of(status, &view)
        }
    }
}

/// The instants of a period of whole days; of one that isn't over yet, up to now.
fn period(from: &str, to: &str, zone: &TimeZone, now: Timestamp) -> Result<(Timestamp, Option<Timestamp>), String> {
    let day = |text: &str| {
        text.parse::<Date>()
            .map_err(|_| format!("“{text}” is no day: write it as {}.", now.to_zoned(zone.clone()).date()))
    };
    let begin = |day: Date| {
        let start = zone.to_ambiguous_timestamp(day.to_datetime(jiff::civil::Time::midnight())).compatible();
        start.map_err(|_| format!("{day} is too far away."))
    };
    let (from, to) = (day(from)?, day(to)?);
    let after = to.checked_add(1.day()).map_err(|_| format!("{to} is too far away."))?;
    let end = begin(after)?;
    Ok((begin(from)?, (end <= now).then_some(end)))
}

fn decision_words(decision: Decision) -> &'static str {
    match decision {
        Decision::Granted => "granted",
        Decision::Denied => "refused",
        Decision::Referred => "asked a person",
    }
}

fn part(slug: &PerkSlug, number: i32, rule: &Json, found: Backtest) -> AnswerPart {
    let names = tier_names(rule);
    let most = found.tiers.iter().chain(&found.reasons).map(|it| it.was.max(it.would_be)).max().unwrap_or(0).max(1);
    let mut rows = 0;
    let mut shift = |it: &Shift, name: String| {
        rows += 1;
        let width = |number: u64| number * 560 / most;
        ShiftView {
            name,
            was: grouped(it.was),
            would_be: grouped(it.would_be),
            change: changed(it.was, it.would_be),
            was_width: width(it.was),
            would_be_width: width(it.would_be),
            end: width(it.was.max(it.would_be)) + 308,
            y: (rows - 1) * 44,
        }
    };
    let tier = |it: &Shift| names.get(&it.name).unwrap_or(&it.name).clone();
    let tiers: Vec<_> = found.tiers.iter().map(|it| shift(it, tier(it))).collect();
    let reasons: Vec<_> = found.reasons.iter().map(|it| shift(it, words_of_code(&it.name))).collect();
    let height = rows * 44;
    let not = &found.not_replayed;
    let unkept: Vec<&str> = not.unkept_attributes.iter().map(String::as_str).collect();
    let left_out = [
        (not.erased, "of people who were erased since".to_owned()),
        (not.pruned, "whose records were pruned from the log, of all perks".to_owned()),
        (not.paused, "refused because the perk was paused".to_owned()),
        (not.by_person, "granted by a person".to_owned()),
        (not.unkept, format!("of which nobody kept what the rule looks at ({})", unkept.join(", "))),
    ];
    let again = &found.reproduction;
    let reproduction = (again.checks > 0).then(|| match again.mismatches {
        0 => format!("{} by this very rule came out exactly as then.", counted_as(again.checks, "check", "checks")),
        wrong => format!(
            "{} of {} checks by this very rule come out otherwise than then: please report it.",
            grouped(wrong),
            grouped(again.checks)
        ),
    });
    let ids = |list: &[crate::foundation::ids::CheckId]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let samples = &found.samples;
    AnswerPart {
        slug: slug.to_string(),
        number,
        heads: vec![
            ("Same answer", grouped(found.same)),
            ("No longer in", grouped(found.newly_refused)),
            ("Newly in", grouped(found.newly_admitted)),
            ("Another tier", grouped(found.tier_changed)),
        ],
        replayed: format!("{} of {} checks replayed.", grouped(found.replayed), grouped(found.checks)),
        not_replayed: left_out
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, words)| format!("{} {words}", grouped(count)))
            .collect(),
        reproduction,
        tiers,
        reasons,
        crossings: found
            .decisions
            .iter()
            .map(|it| (decision_words(it.was), decision_words(it.would_be), grouped(it.checks)))
            .collect(),
        scores: found.scores.as_ref().map(ScorePlot::of),
        samples: [
            ("No longer in", ids(&samples.newly_refused)),
            ("Newly in", ids(&samples.newly_admitted)),
            ("Another tier", ids(&samples.tier_changed)),
        ]
        .into_iter()
        .filter(|(_, ids)| !ids.is_empty())
        .collect(),
        warnings: found.warnings.into_iter().map(|warning| sentence(&warning.detail)).collect(),
        height,
    }
}

impl ScorePlot {
    fn of(found: &ScoreBars) -> Self {
        // From the axis up.
        let parts = |bar: &ScoreBar| {
            [
                ("in", bar.remained_in),
                ("new", bar.newly_admitted),
                ("out", bar.newly_refused),
                ("was", bar.remained_out),
            ]
        };
        let whole = |bar: &ScoreBar| parts(bar).iter().map(|(_, count)| count).sum::<u64>();
        let most = found.bars.iter().map(whole).max().unwrap_or(0).max(1);
        let count = u64::try_from(found.bars.len()).unwrap_or(1).max(1);
        let at = |nth: usize| u64::try_from(nth).unwrap_or(0) * 1000 / count;
        let mut bars = Vec::new();
        for (nth, bar) in found.bars.iter().enumerate() {
            let (x, mut below) = (at(nth), 0);
            for (class, number) in parts(bar).into_iter().filter(|(_, number)| *number > 0) {
                // Rounded as a whole, so that the parts meet.
                let (from, to) = (below * 150 / most, (below + number) * 150 / most);
                below += number;
                bars.push(PlotBar {
                    class,
                    x,
                    width: (at(nth + 1) - x).saturating_sub(1).max(1),
                    y: 150 - to,
                    height: (to - from).max(1),
                });
            }
        }
        let every = found.bars.len().div_ceil(10).max(1);
        let ticks = found.bars.iter().enumerate().step_by(every).map(|(nth, bar)| (at(nth), bar.from.to_string()));
        let row = |bar: &ScoreBar| ScoreRow {
            from: bar.from.to_string(),
            to: bar.to.to_string(),
            remained_in: grouped(bar.remained_in),
            newly_admitted: grouped(bar.newly_admitted),
            newly_refused: grouped(bar.newly_refused),
            remained_out: grouped(bar.remained_out),
        };
        let sum = |of: fn(&ScoreBar) -> u64| grouped(found.bars.iter().map(of).sum());
        Self {
            bars,
            ticks: ticks.collect(),
            rows: found.bars.iter().filter(|bar| whole(bar) > 0).map(row).collect(),
            unknown: (found.unknown > 0).then(|| grouped(found.unknown)),
            description: format!(
                "Checks by the score of then: {} newly in, {} no longer in, {} in as before, {} out as before; the table below \
                 has them by score.",
                sum(|bar| bar.newly_admitted),
                sum(|bar| bar.newly_refused),
                sum(|bar| bar.remained_in),
                sum(|bar| bar.remained_out),
            ),
        }
    }
}

fn changed(was: u64, is: u64) -> String {
    match is.cmp(&was) {
        std::cmp::Ordering::Less => format!("\u{2212}{}", grouped(was - is)),
        std::cmp::Ordering::Equal => "0".to_owned(),
        std::cmp::Ordering::Greater => format!("+{}", grouped(is - was)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_of_whole_days_in_the_perks_zone() {
        let zone = zone_of("America/Los_Angeles");
        let now = "2026-11-27T22:32:00Z".parse().unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let over = period("2026-11-20", "2026-11-26", &zone, now);
        assert_eq!(over, Ok((at("2026-11-20T08:00:00Z"), Some(at("2026-11-27T08:00:00Z")))));
        let running = period("2026-11-20", "2026-11-27", &zone, now);
        assert_eq!(running, Ok((at("2026-11-20T08:00:00Z"), None)));
        assert_eq!(
            period("soon", "2026-11-27", &zone, now),
            Err("“soon” is no day: write it as 2026-11-27.".to_owned())
        );
        assert_eq!(
            (changed(3, 1), changed(1, 1), changed(1, 1_002)),
            ("\u{2212}2".into(), "0".into(), "+1,001".into())
        );
    }
}
