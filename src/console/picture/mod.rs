//! `/console/perks/{perk}/picture`: whom a threshold lets in. Handles move it, a page counts at once, and a button makes a
//! draft of it. `plot` is the drawing, made here as well as by the page's script from the same counts.

mod plot;

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use serde::Deserialize;

use super::assets;
use super::caller::Caller;
use super::door::{page, page_of, see_other};
use super::form::Posted;
use super::frame::{Frame, Section};
use super::icon::Icon;
use super::words::{When, encoded, grouped, zone_of};
use crate::access::role::permit::ManagePerks;
use crate::eligibility::picture::{Handle, Picture, with_thresholds};
use crate::eligibility::rule_selection::TrialError;
use crate::foundation::decimal::Decimal;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::PerkSlug;
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::perks::error::PerkError;
use crate::perks::perk::{NewVersion, VersionStatus};
use crate::web::extract::{Params, Path};
use crate::web::params::VersionNumber;
use crate::web::problem::Problem;
use plot::Plot;

/// The beginning of the name of a threshold's field.
const FIELD: &str = "from-";

/// The version and the thresholds that a picture is of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PictureQuery {
    version: Option<VersionNumber>,
    /// Thresholds by tier: `main:45,first:60`.
    at: Option<String>,
}

#[derive(Template)]
#[template(path = "picture.html", config = "src/console/askama.toml")]
struct PicturePage {
    frame: Frame,
    slug: String,
    name: String,
    number: i32,
    is_draft: bool,
    etag: String,
    script: &'static str,
    /// Where the script finds the counts.
    data: String,
    lead: String,
    /// None where no tier has a handle.
    plot: Option<Plot>,
    asks_more: Vec<String>,
    /// Tiers whose threshold is not theirs to move.
    fixed: Vec<String>,
    without_threshold: Vec<String>,
    incomparable: Option<i32>,
    is_week_estimated: bool,
    /// The version has changed since it was looked at.
    is_changed: bool,
    /// The thresholds as they were sent, by tier, where they were not taken.
    sent: BTreeMap<String, String>,
    /// The faults of what was sent, with the tier that each is about.
    errors: Vec<(String, String)>,
}

impl PicturePage {
    /// The text of a tier's field.
    fn typed<'a>(&'a self, tier: &str, value: &'a str) -> &'a str {
        self.sent.get(tier).map_or(value, String::as_str)
    }

    fn is_wrong(&self, tier: &str) -> bool {
        self.errors.iter().any(|(wrong, _)| wrong == tier)
    }
}

/// The page of a rule without a score.
#[derive(Template)]
#[template(path = "picture_none.html", config = "src/console/askama.toml")]
struct NoPicture {
    frame: Frame,
    slug: String,
    name: String,
}

#[get("/perks/{perk}/picture")]
pub(super) async fn get_picture(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    slug: Path<PerkSlug>,
    query: Params<PictureQuery>,
) -> Result<HttpResponse, Problem> {
    let PictureQuery { version, at } = query.into_inner();
    let mut sent = BTreeMap::new();
    for part in at.as_deref().unwrap_or_default().split(',').filter(|part| !part.is_empty()) {
        let (tier, at) = part.split_once(':').unwrap_or((part, ""));
        sent.insert(tier.to_owned(), at.to_owned());
    }
    show(&caller, &gateway, &slug, version.map(|VersionNumber(version)| version), sent, StatusCode::OK).await
}

/// The page with the thresholds that were sent, by tier; where one doesn't fit, or they were not taken, which the status
/// says, the page says so and keeps them all.
async fn show(
    caller: &Caller<ManagePerks>,
    gateway: &Gateway,
    slug: &PerkSlug,
    version: Option<i32>,
    sent: BTreeMap<String, String>,
    status: StatusCode,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?;
    let perk = gateway.catalog.find_perk(&merchant.id, slug).await?;
    let now = gateway.clock.now();
    let title = format!("Who comes in · {}", perk.name);
    let picture = match gateway.pictures.picture(merchant, slug, version).await {
        Ok(picture) => picture,
        Err(TrialError::NoScore) => {
            let frame = Frame::of(title, Section::Perks, caller.session(), now);
            return page(&NoPicture { frame, slug: slug.to_string(), name: perk.name });
        }
        Err(error) => return Err(error.into()),
    };
    let (thresholds, errors) = thresholds(&picture, &sent);
    let version = gateway.catalog.find_version(&merchant.id, slug, picture.version).await?;
    let rule = Json::parse(&version.rule).map_err(|error| Problem::internal(&error))?;
    let zone_name = rule.member("time_zone").and_then(Json::as_text).unwrap_or(&merchant.time_zone).to_owned();
    let names = |of: fn(&Handle) -> bool| {
        let tiers = picture.tiers.iter().filter(move |it| of(it));
        tiers.map(|it| it.name.clone()).collect::<Vec<_>>()
    };
    let view = PicturePage {
        frame: Frame::of(title, Section::Perks, caller.session(), now).in_zone(&zone_name, now),
        slug: slug.to_string(),
        name: perk.name,
        number: picture.version,
        is_draft: version.status == VersionStatus::Draft,
        etag: version.etag(),
        script: assets::picture_script(),
        data: format!("/console/perks/{slug}/picture.json?version={}", picture.version),
        lead: lead(&picture, &When::of(picture.at, &zone_of(&zone_name), now)),
        asks_more: names(|it| it.asks_more),
        fixed: names(|it| !it.is_own),
        plot: (!picture.tiers.is_empty()).then(|| Plot::of(&picture, &thresholds)),
        without_threshold: picture.without_threshold,
        incomparable: picture.incomparable,
        is_week_estimated: picture.is_week_estimated,
        is_changed: status == StatusCode::PRECONDITION_FAILED,
        sent: if errors.is_empty() { BTreeMap::new() } else { sent },
        errors,
    };
    let is_wrong = status == StatusCode::OK && !view.errors.is_empty();
    page_of(if is_wrong { StatusCode::UNPROCESSABLE_ENTITY } else { status }, &view)
}

#[get("/perks/{perk}/picture.json")]
pub(super) async fn get_picture_data(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    slug: Path<PerkSlug>,
    query: Params<PictureQuery>,
) -> Result<HttpResponse, Problem> {
    let version = query.version.map(|VersionNumber(version)| version);
    let picture = gateway.pictures.picture(caller.merchant()?, &slug, version).await?;
    Ok(HttpResponse::Ok().json(picture))
}

/// The picture again, with other thresholds: for browsers without scripts.
#[post("/perks/{perk}/picture/redraw")]
pub(super) async fn post_redraw(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    slug: Path<PerkSlug>,
    fields: Posted<BTreeMap<String, String>>,
) -> Result<HttpResponse, Problem> {
    let version = version_of(&fields.0)?;
    let picture = gateway.pictures.picture(caller.merchant()?, &slug, Some(version)).await?;
    let sent = sent_thresholds(&fields.0);
    let (thresholds, errors) = thresholds(&picture, &sent);
    if !errors.is_empty() {
        return show(&caller, &gateway, &slug, Some(version), sent, StatusCode::UNPROCESSABLE_ENTITY).await;
    }
    let at = picture.tiers.iter().zip(&thresholds).map(|(tier, at)| format!("{}:{at}", tier.tier));
    let at = encoded(&at.collect::<Vec<_>>().join(","));
    Ok(see_other(&format!("/console/perks/{}/picture?version={version}&at={at}#picture", *slug)))
}

/// The draft with these thresholds: the one that was looked at, or a new one beside a version that is none.
#[post("/perks/{perk}/picture")]
pub(super) async fn post_picture(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    slug: Path<PerkSlug>,
    fields: Posted<BTreeMap<String, String>>,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?;
    let number = version_of(&fields.0)?;
    let picture = gateway.pictures.picture(merchant, &slug, Some(number)).await?;
    let sent = sent_thresholds(&fields.0);
    let (thresholds, errors) = thresholds(&picture, &sent);
    if !errors.is_empty() {
        return show(&caller, &gateway, &slug, Some(number), sent, StatusCode::UNPROCESSABLE_ENTITY).await;
    }
    let pairs = picture.tiers.iter().zip(&thresholds).filter(|(tier, at)| tier.at_least != **at);
    let changed: Vec<_> = pairs.collect();
    if changed.is_empty() {
        let detail = "No threshold was moved, so there is nothing to save.";
        return Err(Problem::invalid(vec![FieldError::of_parameter("thresholds", "unchanged", detail)]));
    }
    let version = gateway.catalog.find_version(&merchant.id, &slug, number).await?;
    let rule = Json::parse(&version.rule).map_err(|error| Problem::internal(&error))?;
    let moved: Vec<_> = changed.iter().map(|(tier, at)| (tier.tier.clone(), **at)).collect();
    let rule = with_thresholds(&rule, &moved).ok_or_else(|| {
        let detail = "One of these thresholds can't be moved by itself: change the rule where it says so.";
        Problem::invalid(vec![FieldError::of_parameter("thresholds", "not_alone", detail)])
    })?;
    let note = changed.iter().map(|(tier, at)| format!("{} from {at} (was {})", tier.name, tier.at_least));
    let change_note = Some(note.collect::<Vec<_>>().join(", "));
    let new = NewVersion { rule, publish: false, change_note };
    let etag = fields.0.get("etag").map_or("", String::as_str);
    match gateway.catalog.save_rule(&merchant.id, caller.actor(), &slug, (&version, etag), new).await {
        Ok(made) => Ok(see_other(&format!("/console/perks/{}/versions/{}", *slug, made.version.version))),
        // Where the handles stood is not lost, and what the other saved is not overwritten unseen.
        Err(PerkError::Stale | PerkError::NotADraft(_)) => {
            show(&caller, &gateway, &slug, Some(number), sent, StatusCode::PRECONDITION_FAILED).await
        }
        Err(error) => Err(error.into()),
    }
}

fn version_of(fields: &BTreeMap<String, String>) -> Result<i32, Problem> {
    fields.get("version").and_then(|text| text.parse().ok()).ok_or_else(Problem::not_found)
}

/// The thresholds that a form sent, by tier.
fn sent_thresholds(fields: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let threshold = |(name, value): (&String, &String)| Some((name.strip_prefix(FIELD)?.to_owned(), value.clone()));
    fields.iter().filter_map(threshold).collect()
}

/// The thresholds, one for each handle: the version's own where none was sent, or one that doesn't fit; and what doesn't
/// fit, by tier.
fn thresholds(picture: &Picture, sent: &BTreeMap<String, String>) -> (Vec<Decimal>, Vec<(String, String)>) {
    let mut errors = Vec::new();
    let mut read = |tier: &Handle| {
        let Some(text) = sent.get(&tier.tier).filter(|_| tier.is_own) else { return tier.at_least };
        let least = tier.floor.unwrap_or(picture.minimum).max(picture.minimum);
        match Decimal::typed(text) {
            Ok(at) if (least..=picture.maximum).contains(&at) => at,
            _ => {
                let (name, most) = (&tier.name, picture.maximum);
                let detail =
                    format!("The threshold of {name} is a score from {least} to {most}, with at most three decimals.");
                errors.push((tier.tier.clone(), detail));
                tier.at_least
            }
        }
    };
    let thresholds = picture.tiers.iter().map(&mut read).collect();
    (thresholds, errors)
}

fn lead(picture: &Picture, at: &When) -> String {
    let about = if picture.is_estimated() { "About " } else { "" };
    let (total, source) = (grouped(picture.total), &picture.source);
    let (people, have) = if picture.total == 1 { ("person", "has") } else { ("people", "have") };
    let stale = match picture.stale {
        0 => String::new(),
        1 => " One of them is too old to count now.".to_owned(),
        stale => format!(" {}{} of them are too old to count now.", about, grouped(stale)),
    };
    let sample = if picture.is_estimated() {
        format!(" Counted from {} of them, taken at random.", grouped(picture.counted))
    } else {
        String::new()
    };
    format!("{about}{total} {people} {have} a {source} score, read at {}.{stale}{sample}", at.text)
}
