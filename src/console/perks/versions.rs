//! `/console/perks/{perk}/versions/{version}`: one version, what it changes, and the steps that can be taken with it.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use askama::Template;
use futures_util::try_join;

use super::sentences::{Part, parts};
use super::show::status_words;
use super::steps::{StepView, may_schedule, steps};
use crate::access::role::permit::ManagePerks;
use crate::console::caller::Caller;
use crate::console::door::page_of;
use crate::console::frame::{Frame, Section};
use crate::console::icon::Icon;
use crate::console::words::{When, place_of, zone_of};
use crate::foundation::ids::PerkSlug;
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::perks::perk::{RuleVersion, VersionStatus};
use crate::rules::diff::diff_documents;
use crate::rules::lint::restarts;
use crate::rules::rule::Rule;
use crate::web::extract::Path;
use crate::web::problem::{Problem, sentence};

#[derive(Template)]
#[template(path = "version.html", config = "src/console/askama.toml")]
struct VersionPage {
    frame: Frame,
    slug: String,
    name: String,
    number: i32,
    class: &'static str,
    status: &'static str,
    /// The version that decides, where it is another.
    before: Option<i32>,
    changes: Vec<ChangeView>,
    warnings: Vec<String>,
    parts: Vec<Part>,
    people: Vec<(&'static str, String, Option<When>)>,
    note: Option<String>,
    hash: String,
    etag: String,
    steps: Vec<StepView>,
    /// It may be given an instant to decide from.
    schedules: bool,
    /// An instant of tomorrow, as it is typed.
    example: String,
    place: String,
    /// Why it can't be approved by the one who looks.
    advice: Option<String>,
    typed: Typed,
}

/// A change: what it is about, and the old and the new where its sentence has both.
pub(super) struct ChangeView {
    pub about: String,
    pub both: Option<(String, String)>,
}

impl ChangeView {
    pub(super) fn of(sentence: &str) -> Self {
        let whole = || Self { about: sentence.to_owned(), both: None };
        let Some((left, new)) = sentence.split_once(" → ").filter(|(_, new)| !new.contains(" → ")) else {
            return whole();
        };
        let Some((about, old)) = left.split_once(": ") else { return whole() };
        Self { about: format!("{about}:"), both: Some((old.to_owned(), new.to_owned())) }
    }
}

#[get("/perks/{perk}/versions/{version}")]
pub(in crate::console) async fn get_version(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    path: Path<(PerkSlug, i32)>,
) -> Result<HttpResponse, Problem> {
    let (slug, number) = path.into_inner();
    show(&gateway, &caller, &slug, number, Typed::default()).await
}

/// A step that was not taken: what was typed for it, and why.
#[derive(Default)]
pub(super) struct Typed {
    pub note: String,
    pub at: String,
    pub error: Option<String>,
}

/// The page of a version.
pub(super) async fn show(
    gateway: &Gateway,
    caller: &Caller<ManagePerks>,
    slug: &PerkSlug,
    number: i32,
    typed: Typed,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?;
    let (perk, version, compared) = gateway.catalog.find_version_beside(&merchant.id, slug, number).await?;
    let before = compared.as_ref().map(|compared| compared.version);
    let rule = document(&version)?;
    let now = gateway.clock.now();
    let zone_name = rule.member("time_zone").and_then(Json::as_text).unwrap_or(&merchant.time_zone).to_owned();
    let (mut changes, mut warnings) = (Vec::new(), Vec::new());
    if let Some(compared) = &compared {
        let old = document(compared)?;
        changes = diff_documents(&old, &rule).into_iter().map(|change| ChangeView::of(&change.sentence)).collect();
        let read = |document: &Json| Rule::parse(document, slug.as_str()).ok();
        let restarted = read(&old).zip(read(&rule)).map(|(old, new)| restarts(&old, &new, now)).unwrap_or_default();
        warnings = restarted.into_iter().map(|warning| sentence(&warning.detail)).collect();
    }
    let four_eyes = async { Ok::<_, Problem>(gateway.catalog.four_eyes(&merchant.id).await?) };
    let people_of = version.people().map(str::to_owned).collect();
    let labels = async { Ok::<_, Problem>(gateway.directory.labels_of(&merchant.id, people_of).await?) };
    let (four_eyes, labels) = try_join!(four_eyes, labels)?;
    // Only there it makes a difference.
    let is_author = four_eyes.required
        && version.status == VersionStatus::InReview
        && gateway.catalog.wrote_on(&merchant.id, &version, &caller.key).await?;
    let steps = steps(&version, before, four_eyes.required, is_author);
    let waits = four_eyes.required && matches!(version.status, VersionStatus::Draft | VersionStatus::InReview);
    let advice = waits.then(|| match (version.status, is_author) {
        (VersionStatus::InReview, true) => "You wrote on it, so someone else has to approve it.".to_owned(),
        (VersionStatus::InReview, false) => {
            "It decides nothing until someone who did not write on it has approved it.".to_owned()
        }
        _ => "Two people have to look at what decides: send it for approval first.".to_owned(),
    });
    let (class, status) = status_words(version.status);
    let zone = zone_of(&zone_name);
    let title = format!("Version {number} of {}", perk.name);
    let view = VersionPage {
        frame: Frame::of(title, Section::Perks, caller.session(), now).in_zone(&zone_name, now),
        slug: slug.to_string(),
        name: perk.name,
        number,
        class,
        status,
        before,
        changes,
        warnings,
        parts: parts(&rule),
        people: people(&version, &labels, |at| When::of(at, &zone, now)),
        note: version.change_note.clone(),
        etag: version.etag(),
        hash: version.rule_hash,
        example: (now + jiff::SignedDuration::from_hours(24)).to_zoned(zone).strftime("%Y-%m-%d %H:00").to_string(),
        place: place_of(&zone_name),
        schedules: may_schedule(version.status, four_eyes.required),
        steps,
        advice,
        typed,
    };
    let status = if view.typed.error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    page_of(status, &view)
}

pub(super) fn document(version: &RuleVersion) -> Result<Json, Problem> {
    Json::parse(&version.rule).map_err(|error| Problem::internal(&error))
}

fn people(
    version: &RuleVersion,
    labels: &BTreeMap<String, String>,
    when: impl Fn(jiff::Timestamp) -> When,
) -> Vec<(&'static str, String, Option<When>)> {
    let name = |by: &str| labels.get(by).cloned().unwrap_or_else(|| by.to_owned());
    let mut people = vec![("Written by", name(&version.author), Some(when(version.created_at)))];
    for editor in &version.editors {
        people.push(("Changed by", name(editor), None));
    }
    for (what, signed) in [("Sent for approval by", &version.submitted), ("Approved by", &version.approved)] {
        people.extend(signed.as_ref().map(|it| (what, name(&it.by), Some(when(it.at)))));
    }
    if let Some(scheduled) = &version.scheduled {
        people.push(("Decides from", name(&scheduled.by), Some(when(scheduled.at))));
    }
    if let Some(by) = &version.published_by {
        people.push(("Published by", name(by), version.published_at.map(when)));
    }
    people
}
