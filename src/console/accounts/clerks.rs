//! `/console/clerks`: the people at a merchant's desks, who sign in there with a PIN.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use serde::Deserialize;

use super::SECTION;
use crate::access::clerks::pin::Pin;
use crate::access::role::permit::ManageClerks;
use crate::access::{AccessError, ApiKey};
use crate::console::caller::Caller;
use crate::console::door::{page, page_of, see_other};
use crate::console::form::{Faults, Nothing, Posted};
use crate::console::frame::Frame;
use crate::console::icon::Icon;
use crate::console::words::{When, zone_of};
use crate::foundation::ids::KeyId;
use crate::gateway::Gateway;
use crate::web::extract::Path;
use crate::web::problem::{Problem, sentence};

#[derive(Template)]
#[template(path = "clerks.html", config = "src/console/askama.toml")]
struct ClerksPage {
    frame: Frame,
    clerks: Vec<ClerkRow>,
    name: String,
    faults: Faults,
}

struct ClerkRow {
    key: String,
    name: String,
    since: When,
}

#[derive(Template)]
#[template(path = "clerk.html", config = "src/console/askama.toml")]
struct ClerkPage {
    frame: Frame,
    key: String,
    name: String,
    faults: Faults,
}

impl ClerksPage {
    async fn of(
        caller: &Caller<ManageClerks>,
        gateway: &Gateway,
        name: String,
        faults: Faults,
    ) -> Result<Self, Problem> {
        let zone = zone_of(caller.zone());
        let clerks = gateway.directory.list_clerks(caller.merchant()?.id.clone()).await?;
        let row = |key: ApiKey| ClerkRow {
            key: key.id.to_string(),
            name: key.label,
            since: When::day(key.created_at, &zone),
        };
        let frame = Frame::of("Clerks", SECTION, caller.session(), gateway.clock.now());
        Ok(Self { frame, clerks: clerks.into_iter().map(row).collect(), name, faults })
    }
}

impl ClerkPage {
    async fn of(
        caller: &Caller<ManageClerks>,
        gateway: &Gateway,
        key: &KeyId,
        faults: Faults,
    ) -> Result<Self, Problem> {
        let clerks = gateway.directory.list_clerks(caller.merchant()?.id.clone()).await?;
        let clerk = clerks.into_iter().find(|clerk| clerk.id == *key).ok_or_else(Problem::not_found)?;
        let frame = Frame::of(clerk.label.clone(), SECTION, caller.session(), gateway.clock.now());
        Ok(Self { frame, key: clerk.id.to_string(), name: clerk.label, faults })
    }
}

/// The PIN that was typed, if a clerk may have it.
fn good_pin(pin: Option<Pin>) -> Result<Pin, Faults> {
    let pin = pin.ok_or_else(|| Faults::at("pin", "Type the PIN that they sign in with."))?;
    pin.check().map_err(|weak| Faults::at("pin", sentence(&weak.to_string())))?;
    Ok(pin)
}

#[get("/clerks")]
pub(in crate::console) async fn get_clerks(
    caller: Caller<ManageClerks>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    page(&ClerksPage::of(&caller, &gateway, String::new(), Faults::default()).await?)
}

#[derive(Deserialize)]
pub(in crate::console) struct ClerkFields {
    #[serde(default)]
    name: String,
    pin: Option<Pin>,
}

#[post("/clerks")]
pub(in crate::console) async fn post_clerk(
    caller: Caller<ManageClerks>,
    gateway: Data<Gateway>,
    form: Posted<ClerkFields>,
) -> Result<HttpResponse, Problem> {
    let ClerkFields { name, pin } = form.0;
    let made = match good_pin(pin) {
        Ok(pin) => {
            let merchant = caller.merchant()?.id.clone();
            match gateway.directory.create_clerk(merchant, &name, pin, caller.actor()).await {
                Ok(_) => return Ok(see_other(&"/console/clerks")),
                Err(AccessError::Unfit(errors)) => Faults::of(&errors, &["name", "pin"]),
                Err(error @ AccessError::TooManyClerks) => Faults::at("name", sentence(&error.to_string())),
                Err(error) => return Err(error.into()),
            }
        }
        Err(faults) => faults,
    };
    page_of(StatusCode::UNPROCESSABLE_ENTITY, &ClerksPage::of(&caller, &gateway, name, made).await?)
}

#[get("/clerks/{key}")]
pub(in crate::console) async fn get_clerk(
    caller: Caller<ManageClerks>,
    gateway: Data<Gateway>,
    key: Path<KeyId>,
) -> Result<HttpResponse, Problem> {
    page(&ClerkPage::of(&caller, &gateway, &key, Faults::default()).await?)
}

#[derive(Deserialize)]
pub(in crate::console) struct PinFields {
    pin: Option<Pin>,
}

#[post("/clerks/{key}/pin")]
pub(in crate::console) async fn post_pin(
    caller: Caller<ManageClerks>,
    gateway: Data<Gateway>,
    key: Path<KeyId>,
    form: Posted<PinFields>,
) -> Result<HttpResponse, Problem> {
    let shown = ClerkPage::of(&caller, &gateway, &key, Faults::default()).await?;
    match good_pin(form.0.pin) {
        Ok(pin) => {
            let merchant = caller.merchant()?.id.clone();
            gateway.directory.reset_clerk(merchant, key.into_inner(), Some(pin), caller.actor()).await?;
            Ok(see_other(&"/console/clerks"))
        }
        Err(faults) => page_of(StatusCode::UNPROCESSABLE_ENTITY, &ClerkPage { faults, ..shown }),
    }
}

#[post("/clerks/{key}/end")]
pub(in crate::console) async fn post_end(
    caller: Caller<ManageClerks>,
    gateway: Data<Gateway>,
    key: Path<KeyId>,
    _form: Posted<Nothing>,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?.id.clone();
    gateway.directory.remove_clerk(merchant, key.into_inner(), caller.actor()).await?;
    Ok(see_other(&"/console/clerks"))
}
