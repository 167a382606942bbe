//! `/console/perks/{perk}/close`: a place that is closed for a while, and the perk that is paused. Both say what will happen.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use jiff::SignedDuration;
use serde::Deserialize;

use super::editor::messages;
use super::rule_text::said;
use crate::access::role::permit::ManagePerks;
use crate::console::caller::Caller;
use crate::console::door::{page_of, see_other};
use crate::console::form::Posted;
use crate::console::frame::{Frame, Section};
use crate::console::icon::Icon;
use crate::console::words::{When, place_of, zone_of};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{ClosureId, PerkSlug};
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::perks::closures::{Closure, NewClosure};
use crate::perks::error::PerkError;
use crate::perks::perk::{Perk, PerkStatus};
use crate::rules::instant;
use crate::rules::messages::Messages;
use crate::web::extract::Path;
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "close.html", config = "src/console/askama.toml")]
struct ClosePage {
    frame: Frame,
    slug: String,
    name: String,
    place: String,
    example: String,
    status: PerkStatus,
    status_note: Option<String>,
    closures: Vec<ClosureView>,
    fields: CloseFields,
    errors: Vec<(&'static str, String)>,
}

impl ClosePage {
    fn is_wrong(&self, field: &str) -> bool {
        self.errors.iter().any(|(wrong, _)| *wrong == field)
    }
}

/// A place that is closed now.
struct ClosureView {
    id: String,
    location: Option<String>,
    until: When,
    since: When,
    words: Vec<(String, String)>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::console) struct CloseFields {
    location: String,
    until: String,
    message: String,
}

#[get("/perks/{perk}/close")]
pub(in crate::console) async fn get_close(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    slug: Path<PerkSlug>,
) -> Result<HttpResponse, Problem> {
    show(&gateway, &caller, &slug, CloseFields::default(), Vec::new()).await
}

async fn show(
    gateway: &Gateway,
    caller: &Caller<ManagePerks>,
    slug: &PerkSlug,
    fields: CloseFields,
    errors: Vec<(&'static str, String)>,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?;
    let perk = gateway.catalog.find_perk(&merchant.id, slug).await?;
    let (zone_name, now) = (zone_name(gateway, caller, &perk).await?, gateway.clock.now());
    let zone = zone_of(&zone_name);
    let view = |closure: Closure| ClosureView {
        id: closure.id.to_string(),
        location: closure.location,
        until: When::of(closure.until, &zone, now),
        since: When::of(closure.made_at, &zone, now),
        words: closure
            .message
            .iter()
            .flat_map(Messages::iter)
            .map(|(tag, text)| (tag.to_owned(), text.to_owned()))
            .collect(),
    };
    let closures = gateway.catalog.list_closures(&merchant.id, slug).await?.into_iter().map(view).collect();
    let title = format!("Close {}", perk.name);
    let example = (now + SignedDuration::from_hours(2)).to_zoned(zone.clone()).strftime("%Y-%m-%d %H:00").to_string();
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let page = ClosePage {
        frame: Frame::of(title, Section::Perks, caller.session(), now).in_zone(&zone_name, now),
        slug: slug.to_string(),
        name: perk.name,
        place: place_of(&zone_name),
        example,
        status: perk.status,
        status_note: perk.status_note,
        closures,
        fields,
        errors,
    };
    page_of(status, &page)
}

/// The zone of the rule that decides, or of the newest one.
async fn zone_name(gateway: &Gateway, caller: &Caller<ManagePerks>, perk: &Perk) -> Result<String, Problem> {
    let merchant = caller.merchant()?;
    let number = perk.published_version.unwrap_or(perk.latest_version);
    let version = gateway.catalog.find_version(&merchant.id, &perk.slug, number).await?;
    let rule = Json::parse(&version.rule).map_err(|error| Problem::internal(&error))?;
    Ok(rule.member("time_zone").and_then(Json::as_text).unwrap_or(&merchant.time_zone).to_owned())
}

#[post("/perks/{perk}/close")]
pub(in crate::console) async fn post_close(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    slug: Path<PerkSlug>,
    fields: Posted<CloseFields>,
) -> Result<HttpResponse, Problem> {
    let fields = fields.0;
    let merchant = &caller.merchant()?.id;
    let perk = gateway.catalog.find_perk(merchant, &slug).await?;
    let zone = zone_of(&zone_name(&gateway, &caller, &perk).await?);
    let typed = fields.until.trim().replacen(' ', "T", 1);
    let Ok(until) = instant::read(&typed, &zone, gateway.clock.now()) else {
        let detail = "Write when it opens again, a time ahead, such as the one below the field.".to_owned();
        return show(&gateway, &caller, &slug, fields, vec![("until", detail)]).await;
    };
    let trimmed = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let message = trimmed(&fields.message).map(|text| messages(&text.replace("\r\n", "\n")));
    let new = NewClosure { location: trimmed(&fields.location), until, message };
    match gateway.catalog.close_place(merchant, caller.actor(), &slug, new).await {
        Ok(_) => Ok(see_other(&format!("/console/perks/{}/close#closed", *slug))),
        Err(PerkError::Fields(errors)) => {
            let errors = errors.iter().map(|error| (field_of(error), said(&error.detail))).collect();
            show(&gateway, &caller, &slug, fields, errors).await
        }
        Err(error) => Err(error.into()),
    }
}

fn field_of(error: &FieldError) -> &'static str {
    match error.path.as_str().split('/').nth(1) {
        Some("location") => "location",
        Some("until") => "until",
        _ => "message",
    }
}

#[derive(Deserialize)]
pub(in crate::console) struct NoFields {}

/// Opens a place before its time. One that is open already is as it was to be.
#[post("/perks/{perk}/close/{closure}/open")]
pub(in crate::console) async fn post_open(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    path: Path<(PerkSlug, ClosureId)>,
    _fields: Posted<NoFields>,
) -> Result<HttpResponse, Problem> {
    let (slug, closure) = path.into_inner();
    gateway.catalog.open_place(&caller.merchant()?.id, caller.actor(), &slug, closure).await?;
    Ok(see_other(&format!("/console/perks/{slug}/close#closed")))
}

#[derive(Deserialize)]
pub(in crate::console) struct StatusFields {
    status: String,
    note: Option<String>,
}

/// Pauses the perk, or lets it go on.
#[post("/perks/{perk}/status")]
pub(in crate::console) async fn post_status(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    slug: Path<PerkSlug>,
    fields: Posted<StatusFields>,
) -> Result<HttpResponse, Problem> {
    let StatusFields { status, note } = fields.0;
    let status = match status.as_str() {
        "paused" => PerkStatus::Paused,
        "active" => PerkStatus::Active,
        _ => return Err(Problem::not_found()),
    };
    gateway.catalog.set_status(&caller.merchant()?.id, caller.actor(), &slug, status, note).await?;
    Ok(see_other(&format!("/console/perks/{}", *slug)))
}
