//! `/console/perks/{perk}/rule`: a rule as forms. A page carries the document that its fields were made from, and only fields
//! that differ from it change anything: what the forms can't say remains as it is.
//!
//! - `document`: a rule's document by pointers; `kind`, `period`: what a field shows of it, and what a text becomes
//! - `layout`: fields, rows and sections, and the parts that no field is for; `sections`: those of a rule; `week`: its hours
//! - `change`: what a form was sent with; `view`: the page

mod change;
mod document;
mod kind;
mod layout;
mod period;
mod sections;
pub(super) mod view;
mod week;

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};

use super::edit::{RuleQuery, page_of_document};
use super::judge::{Judged, in_words, judge};
use super::trial_form::asked_version;
use super::versions::document;
use crate::access::role::permit::ManagePerks;
use crate::console::caller::Caller;
use crate::console::door::{page, see_other};
use crate::console::form::PostedFields;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::PerkSlug;
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::perks::error::PerkError;
use crate::perks::perk::{NewVersion, RuleVersion, VersionStatus};
use crate::web::extract::{Params, Path};
use crate::web::problem::{Kind, Problem};
use change::{press, take};
pub(super) use kind::messages;
use view::{At, CheckedPart, Surroundings, checked, meanwhile, view};

#[get("/perks/{perk}/rule")]
pub(in crate::console) async fn get_rule(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    slug: Path<PerkSlug>,
    query: Params<RuleQuery>,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?;
    let (perk, version) = asked_version(&gateway, &merchant.id, &slug, query.version).await?;
    let document = document(&version)?;
    let surroundings = Surroundings::of(&gateway, &caller, &version).await?;
    let at = At { slug: &slug, name: perk.name, version: &version, etag: version.etag() };
    let mut view = view(&gateway, &caller, at, surroundings, &document, None);
    view.can_edit = version.status == VersionStatus::Draft;
    page(&view)
}

/// A form as it was sent: the version it is of, and the document with what was typed.
struct Sent {
    version: RuleVersion,
    perk_name: String,
    etag: String,
    note: String,
    button: String,
    document: Json,
    surroundings: Surroundings,
}

async fn read(
    gateway: &Gateway,
    caller: &Caller<ManagePerks>,
    slug: &PerkSlug,
    mut fields: BTreeMap<String, String>,
) -> Result<Sent, Problem> {
    let merchant = &caller.merchant()?.id;
    let perk = gateway.catalog.find_perk(merchant, slug).await?;
    let mut own = |name: &str| fields.remove(name).unwrap_or_default();
    let (number, etag, note, button, base) = (own("version"), own("etag"), own("note"), own("do"), own("base"));
    let number: i32 = number.parse().map_err(|_| Problem::not_found())?;
    let version = gateway.catalog.find_version(merchant, slug, number).await?;
    let document = Json::parse(&base).ok().filter(|json| matches!(json, Json::Object(_)));
    let mut document = document.ok_or_else(|| {
        let detail = "The form came without the rule that it was made from, so nothing was done. Open it again.";
        Problem::new(Kind::BadRequest, detail)
    })?;
    let surroundings = Surroundings::of(gateway, caller, &version).await?;
    let form = surroundings.form(&document);
    take(&mut document, &form, &fields);
    Ok(Sent { version, perk_name: perk.name, etag, note, button, document, surroundings })
}

#[post("/perks/{perk}/rule")]
pub(in crate::console) async fn post_rule(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    slug: Path<PerkSlug>,
    fields: PostedFields,
) -> Result<HttpResponse, Problem> {
    let sent = read(&gateway, &caller, &slug, fields.0).await?;
    let Sent { version, perk_name, etag, note, button, mut document, surroundings } = sent;
    let merchant = &caller.merchant()?.id;
    match button.as_str() {
        "text" => {
            let at = At { slug: &slug, name: perk_name, version: &version, etag };
            return page_of_document(&gateway, &caller, at, &document, note);
        }
        "change" => return begin(&gateway, &caller, &slug, &version).await,
        "save" => {}
        other => _ = press(&mut document, other),
    }
    let judged = judge(&gateway, merchant, &slug, &document).await?;
    let at = At { slug: &slug, name: perk_name, version: &version, etag: etag.clone() };
    let Some(rule) = judged.rule.clone().filter(|_| button == "save" && judged.errors.is_empty()) else {
        let status = if button == "save" { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        return view(&gateway, &caller, at, surroundings, &document, Some(judged)).with_note(note).answer(status);
    };
    let change_note = Some(note.trim().to_owned()).filter(|note| !note.is_empty());
    let new = NewVersion { rule: document.clone(), publish: false, change_note };
    match gateway.catalog.save_rule(merchant, caller.actor(), &slug, (&version, &etag), new).await {
        Ok(made) => Ok(see_other(&format!("/console/perks/{}/versions/{}", *slug, made.version.version))),
        Err(PerkError::Rule(errors)) => {
            let judged = Judged { errors: in_words(errors), ..judged };
            let view = view(&gateway, &caller, at, surroundings, &document, Some(judged)).with_note(note);
            view.answer(StatusCode::UNPROCESSABLE_ENTITY)
        }
        // What was typed is not lost, and what the other saved is not overwritten unseen.
        Err(PerkError::Stale | PerkError::NotADraft(_)) => {
            let theirs = gateway.catalog.find_version(merchant, &slug, version.version).await?;
            let meanwhile = meanwhile(&gateway, &caller, &theirs, &rule).await?;
            let at = At { version: &theirs, etag: theirs.etag(), ..at };
            let view = view(&gateway, &caller, at, surroundings, &document, Some(judged));
            view.with_note(note).with_meanwhile(meanwhile).answer(StatusCode::PRECONDITION_FAILED)
        }
        Err(PerkError::Note(error)) => {
            let note_error = FieldError::at("/note", "invalid_value", format!("The note can’t be taken: {error}."));
            let judged = Judged { errors: vec![note_error], ..judged };
            let view = view(&gateway, &caller, at, surroundings, &document, Some(judged)).with_note(note);
            view.answer(StatusCode::UNPROCESSABLE_ENTITY)
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes a draft of a version that remains as it is.
async fn begin(
    gateway: &Gateway,
    caller: &Caller<ManagePerks>,
    slug: &PerkSlug,
    version: &RuleVersion,
) -> Result<HttpResponse, Problem> {
    let rule = Json::parse(&version.rule).map_err(|error| Problem::internal(&error))?;
    let new = NewVersion { rule, publish: false, change_note: None };
    let made = gateway.catalog.create_version(&caller.merchant()?.id, caller.actor(), slug, new).await?;
    Ok(see_other(&format!("/console/perks/{slug}/rule?version={}", made.version.version)))
}

/// The verdict on a form as it stands, for its script: nothing is saved.
#[post("/perks/{perk}/rule/check")]
pub(in crate::console) async fn post_check(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    slug: Path<PerkSlug>,
    fields: PostedFields,
) -> Result<HttpResponse, Problem> {
    let Sent { document, surroundings, .. } = read(&gateway, &caller, &slug, fields.0).await?;
    let judged = judge(&gateway, &caller.merchant()?.id, &slug, &document).await?;
    page(&CheckedPart { checked: checked(&mut surroundings.form(&document), judged, true) })
}
