//! `/console/perks/{perk}/everyone`: whom a version would let in of all whose score is known, against the one that decides.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use serde::Deserialize;

use super::run;
use super::simulate::read_context;
use super::trial_form::{TrialQuery, VersionChoice, asked_version, trial_faults, words_of_code};
use crate::access::role::permit::ManagePerks;
use crate::console::caller::Caller;
use crate::console::door::{page, page_of};
use crate::console::form::Posted;
use crate::console::frame::{Frame, Section};
use crate::console::icon::Icon;
use crate::console::words::grouped;
use crate::eligibility::population::Everyone;
use crate::eligibility::rule_selection::Choice;
use crate::eligibility::simulator::EveryoneTrial;
use crate::foundation::ids::PerkSlug;
use crate::gateway::Gateway;
use crate::rules::tier::party::MAX_PARTY;
use crate::web::extract::{Params, Path};
use crate::web::params::VersionNumber;
use crate::web::problem::{Problem, sentence};

#[derive(Template)]
#[template(path = "everyone.html", config = "src/console/askama.toml")]
struct EveryonePage {
    frame: Frame,
    slug: String,
    name: String,
    versions: Vec<VersionChoice>,
    fields: EveryoneFields,
    most_people: i64,
    errors: Vec<String>,
    runs: bool,
}

#[derive(Template)]
#[template(path = "everyone_answer.html", config = "src/console/askama.toml")]
struct AnswerPart {
    slug: String,
    number: i32,
    source: String,
    total: String,
    heads: Vec<(String, String)>,
    against: Option<(i32, Vec<(&'static str, String)>)>,
    bars: Vec<BarView>,
    lines: Vec<(u64, String)>,
    refused: Vec<(String, String)>,
    near: Option<String>,
    stale: Option<String>,
    warnings: Vec<String>,
}

/// A bar of the histogram.
struct BarView {
    x: usize,
    width: usize,
    y: u64,
    height: u64,
    from: String,
    to: String,
    people: String,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(in crate::console) struct EveryoneFields {
    version: Option<VersionNumber>,
    people: String,
    facts: String,
}

#[get("/perks/{perk}/everyone")]
pub(in crate::console) async fn get_everyone(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    slug: Path<PerkSlug>,
    query: Params<TrialQuery>,
) -> Result<HttpResponse, Problem> {
    let version = query.into_inner().version;
    let fields = EveryoneFields { version, people: "1".to_owned(), facts: String::new() };
    let (view, _) = view(&gateway, &caller, &slug, fields).await?;
    page(&view)
}

async fn view(
    gateway: &Gateway,
    caller: &Caller<ManagePerks>,
    slug: &PerkSlug,
    fields: EveryoneFields,
) -> Result<(EveryonePage, i32), Problem> {
    let merchant = caller.merchant()?;
    let (perk, version) = asked_version(gateway, &merchant.id, slug, fields.version).await?;
    let (number, now) = (version.version, gateway.clock.now());
    let view = EveryonePage {
        frame: Frame::of(format!("Everyone · {}", perk.name), Section::Perks, caller.session(), now),
        slug: slug.to_string(),
        name: perk.name,
        versions: VersionChoice::list(gateway, &merchant.id, slug, number).await?,
        fields,
        most_people: MAX_PARTY,
        errors: Vec::new(),
        runs: false,
    };
    Ok((view, number))
}

#[post("/perks/{perk}/everyone")]
pub(in crate::console) async fn post_everyone(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    slug: Path<PerkSlug>,
    fields: Posted<EveryoneFields>,
) -> Result<HttpResponse, Problem> {
    let (mut view, number) = view(&gateway, &caller, &slug, fields.0).await?;
    let mut errors = Vec::new();
    let context = read_context(&view.fields.facts, &view.fields.people, &mut errors);
    if !errors.is_empty() {
        view.errors = errors;
        return page_of(StatusCode::UNPROCESSABLE_ENTITY, &view);
    }
    let trial = EveryoneTrial { perk: slug.clone(), choice: Choice::Version(number), context, at: None };
    match gateway.simulator.everyone(caller.merchant()?, trial).await {
        Ok(run) => {
            view.runs = true;
            let slug = slug.into_inner();
            run::answer(&gateway, &view, "Counted", run, move |found| part(&slug, number, found).render())
        }
        Err(error) => {
            let (status, errors) = trial_faults(error)?;
            view.errors = errors;
            page_of(status, &view)
        }
    }
}

fn part(slug: &PerkSlug, number: i32, found: Everyone) -> AnswerPart {
    let tiers = found.tiers.iter().map(|tier| (tier.name.clone(), grouped(tier.subjects)));
    let mut heads: Vec<_> = tiers.collect();
    heads.extend([("Refused".to_owned(), grouped(found.denied)), ("Ask a person".to_owned(), grouped(found.referred))]);
    let bins = &found.scores.bins;
    let most = bins.iter().map(|bin| bin.subjects).max().unwrap_or(0).max(1);
    let step = 1000 / bins.len().max(1);
    let bar = |(at, bin): (usize, &crate::eligibility::population::Bin)| {
        let height = bin.subjects * 200 / most;
        BarView {
            x: at * step,
            width: step.saturating_sub(4).max(1),
            y: 220 - height,
            height,
            from: bin.from.to_string(),
            to: bin.to.to_string(),
            people: grouped(bin.subjects),
        }
    };
    let drawn = u64::try_from(step * bins.len()).unwrap_or(1000);
    let (least, span) = (found.scores.minimum, found.scores.maximum.minus(found.scores.minimum).thousandths().max(1));
    let line = |threshold: &crate::eligibility::population::Threshold| {
        let above = u64::try_from(threshold.value.minus(least).thousandths()).unwrap_or(0);
        (above * drawn / u64::try_from(span).unwrap_or(1), threshold.value.to_string())
    };
    let against = found.published.map(|it| {
        let numbers = vec![
            ("Newly in", grouped(it.newly_admitted)),
            ("No longer in", grouped(it.newly_refused)),
            ("Another tier", grouped(it.tier_changed)),
        ];
        (it.version, numbers)
    });
    let near = found.near.map(|near| {
        format!(
            "{} are within {} points below {}, and {} within as many at it or above.",
            grouped(near.below),
            near.within,
            near.threshold,
            grouped(near.above)
        )
    });
    AnswerPart {
        slug: slug.to_string(),
        number,
        source: found.source.to_string(),
        total: grouped(found.total),
        heads,
        against,
        bars: bins.iter().enumerate().map(bar).collect(),
        lines: found.thresholds.iter().map(line).collect(),
        refused: found.refused.iter().map(|it| (words_of_code(it.code.as_str()), grouped(it.subjects))).collect(),
        near,
        stale: (found.stale > 0).then(|| grouped(found.stale)),
        warnings: found.warnings.into_iter().map(|warning| sentence(&warning.detail)).collect(),
    }
}
