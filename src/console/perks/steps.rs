//! The steps that can be taken with a version, each with a sentence of what will happen: the same as the API takes.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use serde::Deserialize;

use super::versions::{ChangeView, Typed, document, show};
use crate::access::role::permit::ManagePerks;
use crate::console::caller::Caller;
use crate::console::door::{page, see_other};
use crate::console::form::Posted;
use crate::console::frame::{Frame, Section};
use crate::foundation::ids::PerkSlug;
use crate::gateway::Gateway;
use crate::perks::error::PerkError;
use crate::perks::life::Expected;
use crate::perks::perk::{RuleVersion, VersionStatus};
use crate::perks::versions::{Taken, VersionStep};
use crate::rules::diff::diff_documents;
use crate::web::extract::Path;
use crate::web::problem::{Kind, Problem, sentence};

/// A step that can be taken, and what will happen.
pub(super) struct StepView {
    pub name: &'static str,
    pub words: String,
    pub class: &'static str,
    pub effect: String,
    /// It asks on a page of its own.
    pub asks: bool,
}

/// Tells whether a version of this status may be given an instant to decide from.
pub(super) fn may_schedule(status: VersionStatus, four_eyes: bool) -> bool {
    matches!((status, four_eyes), (VersionStatus::Approved, _) | (VersionStatus::Draft, false))
}

/// The steps that a version of this status takes, the likeliest first.
pub(super) fn steps(version: &RuleVersion, before: Option<i32>, four_eyes: bool, is_author: bool) -> Vec<StepView> {
    let number = version.version;
    let instead = before.map_or_else(String::new, |before| format!(", and version {before} no longer"));
    let step = |name, words: &str, class, effect: String| StepView {
        name,
        words: words.to_owned(),
        class,
        effect,
        asks: false,
    };
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
        VersionStatus::Retired => {
            let effect = returns(number, before, four_eyes);
            vec![StepView { asks: true, ..step("rollback", "Roll back to this…", "risk", effect) }]
        }
        VersionStatus::Published => Vec::new(),
    }
}

/// The effect of rolling back to a version.
fn returns(number: i32, before: Option<i32>, four_eyes: bool) -> String {
    let instead = before.map_or_else(String::new, |before| format!(", and version {before} no longer"));
    if four_eyes {
        format!(
            "A new version with this very rule waits for someone else’s approval. Version {number} remains as it is."
        )
    } else {
        format!(
            "A new version with this very rule decides from this moment on{instead}. Version {number} remains as it is."
        )
    }
}

#[derive(Template)]
#[template(path = "rollback.html", config = "src/console/askama.toml")]
struct RollbackPage {
    frame: Frame,
    slug: String,
    name: String,
    number: i32,
    /// The version that decides.
    before: Option<i32>,
    changes: Vec<ChangeView>,
    effect: String,
    etag: String,
}

/// Asks once more, with what would change.
#[get("/perks/{perk}/versions/{version}/rollback")]
pub(in crate::console) async fn get_rollback(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    path: Path<(PerkSlug, i32)>,
) -> Result<HttpResponse, Problem> {
    let (slug, number) = path.into_inner();
    let merchant = caller.merchant()?;
    let perk = gateway.catalog.find_perk(&merchant.id, &slug).await?;
    let version = gateway.catalog.find_version(&merchant.id, &slug, number).await?;
    if version.status != VersionStatus::Retired {
        let detail = format!("Version {number} never decided before, so there is nothing to return to.");
        return Err(Problem::new(Kind::WrongStatus, detail));
    }
    let four_eyes = gateway.catalog.four_eyes(&merchant.id).await?;
    let mut changes = Vec::new();
    if let Some(before) = perk.published_version {
        let deciding = gateway.catalog.find_version(&merchant.id, &slug, before).await?;
        let found = diff_documents(&document(&deciding)?, &document(&version)?);
        changes = found.into_iter().map(|change| ChangeView::of(&change.sentence)).collect();
    }
    let title = format!("Roll {} back to version {number}", perk.name);
    page(&RollbackPage {
        frame: Frame::of(title, Section::Perks, caller.session(), gateway.clock.now()),
        slug: slug.to_string(),
        name: perk.name,
        number,
        before: perk.published_version,
        changes,
        effect: returns(number, perk.published_version, four_eyes.required),
        etag: version.etag(),
    })
}

#[derive(Deserialize)]
pub(in crate::console) struct StepFields {
    /// The version as it was looked at: one that has changed since is left alone.
    etag: String,
    note: Option<String>,
    /// From when it is to decide, in the rule's own time.
    at: Option<String>,
}

#[post("/perks/{perk}/versions/{version}/{step}")]
pub(in crate::console) async fn post_step(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    path: Path<(PerkSlug, i32, String)>,
    fields: Posted<StepFields>,
) -> Result<HttpResponse, Problem> {
    let (slug, number, step) = path.into_inner();
    let StepFields { etag, note, at } = fields.0;
    let merchant = &caller.merchant()?.id;
    let expected = Expected::OneOf(vec![etag.clone()]);
    let step = match step.as_str() {
        "submit" => VersionStep::Submit,
        "approve" => VersionStep::Approve,
        "reject" => VersionStep::Reject,
        "withdraw" => VersionStep::Withdraw,
        "publish" => VersionStep::Publish,
        "schedule" => VersionStep::Schedule(at.clone().unwrap_or_default().trim().replacen(' ', "T", 1)),
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
    let taken = Taken { step, note: note.clone(), expected };
    match gateway.catalog.step(merchant, caller.actor(), &slug, number, taken).await {
        Ok(_) => Ok(see_other(&format!("/console/perks/{slug}/versions/{number}"))),
        // What was typed is not lost.
        Err(PerkError::Field(error)) => {
            let error = Some(sentence(&error.detail));
            let typed = Typed { note: note.unwrap_or_default(), at: at.unwrap_or_default(), error };
            show(&gateway, &caller, &slug, number, typed).await
        }
        Err(error) => Err(error.into()),
    }
}
