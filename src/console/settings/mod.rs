//! `/console/settings`: a merchant's own name and time zone, and the ways to what else is set: `sources` of scores,
//! `members`, what rules may look at of people beside them, and `privacy`, what is held on people.

pub(super) mod members;
pub(super) mod privacy;
pub(super) mod sources;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use serde::Deserialize;

use crate::access::AccessError;
use crate::access::role::permit::ChangeMerchant;
use crate::console::caller::Caller;
use crate::console::door::{page, page_of, see_other};
use crate::console::form::{Faults, Posted};
use crate::console::frame::{Frame, Section};
use crate::console::icon::Icon;
use crate::gateway::Gateway;
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "settings.html", config = "src/console/askama.toml")]
struct SettingsPage {
    frame: Frame,
    slug: String,
    four_eyes: bool,
    fields: SettingsFields,
    faults: Faults,
}

/// The settings as they are typed.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::console) struct SettingsFields {
    #[serde(default)]
    name: String,
    #[serde(default)]
    time_zone: String,
}

impl SettingsPage {
    async fn of(
        caller: &Caller<ChangeMerchant>,
        gateway: &Gateway,
        fields: Option<SettingsFields>,
        faults: Faults,
    ) -> Result<Self, Problem> {
        let merchant = caller.merchant()?;
        let own = || SettingsFields { name: merchant.name.clone(), time_zone: merchant.time_zone.clone() };
        Ok(Self {
            frame: Frame::of("Settings", Section::Settings, caller.session(), gateway.clock.now()),
            slug: merchant.slug.to_string(),
            four_eyes: gateway.catalog.four_eyes(&merchant.id).await?.required,
            fields: fields.unwrap_or_else(own),
            faults,
        })
    }
}

#[get("/settings")]
pub(in crate::console) async fn get_settings(
    caller: Caller<ChangeMerchant>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    page(&SettingsPage::of(&caller, &gateway, None, Faults::default()).await?)
}

#[post("/settings")]
pub(in crate::console) async fn post_settings(
    caller: Caller<ChangeMerchant>,
    gateway: Data<Gateway>,
    form: Posted<SettingsFields>,
) -> Result<HttpResponse, Problem> {
    let fields = form.0;
    let slug = caller.merchant()?.slug.clone();
    let typed = (fields.name.as_str(), fields.time_zone.trim());
    match gateway.directory.change_merchant(slug, typed, caller.actor()).await {
        Ok(_) => Ok(see_other(&"/console/settings")),
        Err(AccessError::Unfit(errors)) => {
            let faults = Faults::of(&errors, &["name", "time_zone"]);
            let shown = SettingsPage::of(&caller, &gateway, Some(fields), faults).await?;
            page_of(StatusCode::UNPROCESSABLE_ENTITY, &shown)
        }
        Err(error) => Err(error.into()),
    }
}
