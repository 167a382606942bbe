//! `/console/perks/{perk}/rule.json`: the rule as text, with what is wrong or odd at its lines. It is checked without being
//! saved, and saved as a draft; the form goes on with what was written here, and the other way round.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use serde::Deserialize;

use super::editor;
use super::judge::judge;
use super::rule_text::{Finding, MAX_TEXT, located, read};
use super::saved::Saved;
use super::trial_form::asked_version;
use super::versions::document;
use crate::access::role::permit::ManagePerks;
use crate::console::caller::Caller;
use crate::console::door::{page, page_of, see_other};
use crate::console::form::Posted;
use crate::console::frame::{Frame, Section};
use crate::console::icon::Icon;
use crate::foundation::ids::{MerchantId, PerkSlug};
use crate::foundation::json::Json;
use crate::foundation::yaml;
use crate::gateway::Gateway;
use crate::perks::error::PerkError;
use crate::perks::perk::{NewVersion, RuleVersion, VersionStatus};
use crate::web::extract::{Params, Path};
use crate::web::params::VersionNumber;
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "rule_text.html", config = "src/console/askama.toml")]
struct RulePage {
    frame: Frame,
    slug: String,
    name: String,
    number: i32,
    is_draft: bool,
    etag: String,
    text: String,
    rows: usize,
    most: usize,
    note: String,
    saved: Option<Saved>,
    /// None until it was checked.
    errors: Option<Vec<Finding>>,
    warnings: Vec<Finding>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct RuleQuery {
    pub(super) version: Option<VersionNumber>,
}

#[derive(Deserialize)]
pub(in crate::console) struct RuleFields {
    version: VersionNumber,
    #[serde(default)]
    etag: String,
    #[serde(default)]
    text: String,
    note: Option<String>,
    /// Given by the button that saves.
    save: Option<String>,
    /// Given by the button that goes on in the form.
    form: Option<String>,
}

#[get("/perks/{perk}/rule.json")]
pub(in crate::console) async fn get_rule_text(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    slug: Path<PerkSlug>,
    query: Params<RuleQuery>,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?;
    let (perk, version) = asked_version(&gateway, &merchant.id, &slug, query.version).await?;
    let rule = document(&version)?;
    let text = yaml::write::write(&rule);
    let saved = Saved::of(&gateway, &caller, &version).await?;
    page(&RulePage { saved, ..view(&gateway, &caller, &slug, perk.name, &version, text) })
}

/// The page with a document that isn't saved yet.
pub(super) fn page_of_document(
    gateway: &Gateway,
    caller: &Caller<ManagePerks>,
    at: editor::view::At<'_>,
    document: &Json,
    note: String,
) -> Result<HttpResponse, Problem> {
    let view = view(gateway, caller, at.slug, at.name, at.version, yaml::write::write(document));
    page(&RulePage { note, etag: at.etag, ..view })
}

fn view(
    gateway: &Gateway,
    caller: &Caller<ManagePerks>,
    slug: &PerkSlug,
    name: String,
    version: &RuleVersion,
    text: String,
) -> RulePage {
    RulePage {
        frame: Frame::of(format!("Rule of {name}"), Section::Perks, caller.session(), gateway.clock.now()),
        slug: slug.to_string(),
        name,
        number: version.version,
        is_draft: version.status == VersionStatus::Draft,
        etag: version.etag(),
        rows: text.lines().count().clamp(12, 60) + 2,
        text,
        most: MAX_TEXT,
        note: String::new(),
        saved: None,
        errors: None,
        warnings: Vec::new(),
    }
}

#[post("/perks/{perk}/rule.json")]
pub(in crate::console) async fn post_rule_text(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    slug: Path<PerkSlug>,
    fields: Posted<RuleFields>,
) -> Result<HttpResponse, Problem> {
    let RuleFields { version: VersionNumber(number), etag, text, note, save, form } = fields.0;
    let merchant = &caller.merchant()?.id;
    let perk = gateway.catalog.find_perk(merchant, &slug).await?;
    let version = gateway.catalog.find_version(merchant, &slug, number).await?;
    // A browser sends the ends of lines of its own.
    let text = text.replace("\r\n", "\n");
    if form.is_some()
        && let Ok(document @ Json::Object(_)) = read(&text)
    {
        let at = editor::view::At { slug: &slug, name: perk.name, version: &version, etag };
        return editor::view::go_on(&gateway, &caller, at, document, note.unwrap_or_default()).await;
    }
    let checked = check(&gateway, merchant, &slug, &text).await?;
    let mut view = view(&gateway, &caller, &slug, perk.name, &version, text);
    view.saved = Saved::of(&gateway, &caller, &version).await?;
    view.etag.clone_from(&etag);
    view.note = note.clone().unwrap_or_default();
    let rule = match checked {
        Ok((rule, warnings)) => {
            view.errors = Some(Vec::new());
            view.warnings = warnings;
            rule
        }
        Err(errors) => {
            view.errors = Some(errors);
            let status = if save.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
            return page_of(status, &view);
        }
    };
    if save.is_none() {
        return page(&view);
    }
    let new = NewVersion { rule, publish: false, change_note: note };
    match gateway.catalog.save_rule(merchant, caller.actor(), &slug, (&version, &etag), new).await {
        Ok(made) => Ok(see_other(&format!("/console/perks/{}/versions/{}", *slug, made.version.version))),
        // What was written is not lost: it stands in the page that says so.
        Err(PerkError::Rule(errors)) => {
            view.errors = Some(located(&view.text, &errors));
            page_of(StatusCode::UNPROCESSABLE_ENTITY, &view)
        }
        Err(error @ (PerkError::Stale | PerkError::NotADraft(_))) => {
            let theirs = gateway.catalog.find_version(merchant, &slug, number).await?;
            let detail = if theirs.status == VersionStatus::Draft {
                format!(
                    "{} Your text stands below and was not saved: copy it before you open the draft again.",
                    Problem::from(error).detail
                )
            } else {
                // They know now: saving it again is their decision.
                view.is_draft = false;
                view.etag = theirs.etag();
                let status = super::show::status_words(theirs.status).1;
                format!(
                    "Version {number} has changed meanwhile: {status}. Your text stands below and was not saved. Saving it \
                     again makes a new draft."
                )
            };
            view.errors = Some(vec![Finding { line: None, pointer: String::new(), detail }]);
            page_of(StatusCode::PRECONDITION_FAILED, &view)
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads a text and lints it as the perk's next version, or as the first of a new perk.
///
/// # Errors
/// The outer one is the database's; the inner one is what stops the rule.
pub(super) async fn check(
    gateway: &Gateway,
    merchant: &MerchantId,
    slug: &PerkSlug,
    text: &str,
) -> Result<Result<(Json, Vec<Finding>), Vec<Finding>>, Problem> {
    let json = match read(text) {
        Ok(json) => json,
        Err(finding) => return Ok(Err(vec![finding])),
    };
    let judged = judge(gateway, merchant, slug, &json).await?;
    if judged.errors.is_empty() {
        return Ok(Ok((json, located(text, &judged.warnings))));
    }
    Ok(Err(located(text, &judged.errors)))
}
