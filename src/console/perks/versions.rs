//! `/console/perks/{perk}/versions/{version}`: one version, what it changes, and the steps that can be taken with it:
//! the same as the API takes.

use std::collections::BTreeMap;

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use serde::Deserialize;

use super::sentences::{Part, parts};
use super::show::status_words;
use crate::access::role::permit::ManagePerks;
use crate::console::caller::Caller;
use crate::console::door::{page, see_other};
use crate::console::form::Posted;
use crate::console::frame::{Frame, Section};
use crate::console::icon::Icon;
use crate::console::words::{When, zone_of};
use crate::foundation::ids::PerkSlug;
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::perks::life::Expected;
use crate::perks::perk::{RuleVersion, VersionStatus};
use crate::perks::versions::{Taken, VersionStep};
use crate::rules::diff::diff_documents;
use crate::rules::lint::restarts;
use crate::rules::rule::Rule;
use crate::web::extract::Path;
use crate::web::problem::{Kind, Problem, sentence};

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
    /// Why it can't be approved by the one who looks.
    advice: Option<String>,
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

/// A step that can be taken, and what will happen.
struct StepView {
    name: &'static str,
    words: String,
    class: &'static str,
    effect: String,
}

#[get("/perks/{perk}/versions/{version}")]
pub(in crate::console) async fn get_version(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    path: Path<(PerkSlug, i32)>,
) -> Result<HttpResponse, Problem> {
    let (slug, number) = path.into_inner();
    let merchant = caller.merchant()?;
    let perk = gateway.catalog.find_perk(&merchant.id, &slug).await?;
    let version = gateway.catalog.find_version(&merchant.id, &slug, number).await?;
    let before = perk.published_version.filter(|published| *published != number);
    let compared = match before {
        Some(before) => Some(gateway.catalog.find_version(&merchant.id, &slug, before).await?),
        None => None,
    };
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
    let four_eyes = gateway.catalog.four_eyes(&merchant.id).await?;
    let labels = gateway.directory.labels_of(&merchant.id, version.people().map(str::to_owned).collect()).await?;
    let is_author = gateway.catalog.wrote_on(&merchant.id, &version, &caller.key).await?;
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
        steps,
        advice,
    };
    page(&view)
}

fn document(version: &RuleVersion) -> Result<Json, Problem> {
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

/// The steps that a version of this status takes, the likeliest first.
fn steps(version: &RuleVersion, before: Option<i32>, four_eyes: bool, is_author: bool) -> Vec<StepView> {
    let number = version.version;
    let instead = before.map_or_else(String::new, |before| format!(", and version {before} no longer"));
    let step = |name, words: &str, class, effect: String| StepView { name, words: words.to_owned(), class, effect };
    let publish = |class| {
        let effect =
            format!("It decides from this moment on{instead}. Limits go on counting, and kiosks need nothing.");
        step("publish", "Publish now", class, effect)
    };
    let submit = |class| {
        step(
            "submit",
            "Send for approval",
            class,
            "Nobody can edit it then, and another admin is asked to look at it.".to_owned(),
        )
    };
    let withdraw = step("withdraw", "Take it back", "", "It is a draft again, and can be edited.".to_owned());
    match version.status {
        VersionStatus::Draft if four_eyes => vec![submit("first")],
        VersionStatus::Draft => vec![publish("first"), submit("")],
        VersionStatus::InReview if four_eyes && is_author => vec![withdraw],
        VersionStatus::InReview => vec![
            step(
                "approve",
                "Approve",
                "first",
                "It may then be published. Your key stands beside it in the log.".to_owned(),
            ),
            step("reject", "Send it back", "", "It is a draft again, with what you write below.".to_owned()),
            withdraw,
        ],
        VersionStatus::Approved => vec![publish("first"), withdraw],
        VersionStatus::Scheduled => vec![
            publish(""),
            step(
                "unschedule",
                "Don’t begin by itself",
                "",
                "It is approved again, and waits to be published.".to_owned(),
            ),
        ],
        VersionStatus::Retired => vec![step(
            "rollback",
            "Roll back to this",
            "risk",
            format!(
                "A new version with this very rule decides from this moment on{instead}. Version {number} remains as it is."
            ),
        )],
        VersionStatus::Published => Vec::new(),
    }
}

#[derive(Deserialize)]
pub(in crate::console) struct StepFields {
    /// The version as it was looked at: one that has changed since is left alone.
    etag: String,
    note: Option<String>,
}

#[post("/perks/{perk}/versions/{version}/{step}")]
pub(in crate::console) async fn post_step(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    path: Path<(PerkSlug, i32, String)>,
    fields: Posted<StepFields>,
) -> Result<HttpResponse, Problem> {
    let (slug, number, step) = path.into_inner();
    let StepFields { etag, note } = fields.0;
    let merchant = &caller.merchant()?.id;
    let expected = Expected::OneOf(vec![etag.clone()]);
    let step = match step.as_str() {
        "submit" => VersionStep::Submit,
        "approve" => VersionStep::Approve,
        "reject" => VersionStep::Reject,
        "withdraw" => VersionStep::Withdraw,
        "publish" => VersionStep::Publish,
        "unschedule" => VersionStep::Unschedule,
        "rollback" => {
            let seen = gateway.catalog.find_version(merchant, &slug, number).await?;
            if seen.etag() != etag {
                return Err(Problem::new(
                    Kind::PreconditionFailed,
                    "It was changed since you looked at it. Look again, and decide again.",
                ));
            }
            gateway.catalog.roll_back(merchant, caller.actor(), &slug, number, note).await?;
            return Ok(see_other(&format!("/console/perks/{slug}")));
        }
        _ => return Err(Problem::not_found()),
    };
    gateway.catalog.step(merchant, caller.actor(), &slug, number, Taken { step, note, expected }).await?;
    Ok(see_other(&format!("/console/perks/{slug}/versions/{number}")))
}
