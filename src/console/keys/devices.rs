//! `/console/devices`: the screens of a merchant, made with a code, confirmed by two words, and signed off.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use jiff::Timestamp;
use serde::Deserialize;

use crate::access::devices::{Device, DeviceStatus, NewCode, ROLES};
use crate::access::role::permit::ManageDevices;
use crate::access::{AccessError, NewKey, Role};
use crate::console::caller::Caller;
use crate::console::door::{page, page_of, see_other};
use crate::console::form::{Faults, Nothing, Posted};
use crate::console::frame::{Frame, Section};
use crate::console::icon::Icon;
use crate::console::words::{When, role_words, zone_of};
use crate::foundation::ids::{KeyId, PerkSlug};
use crate::gateway::Gateway;
use crate::perks::perk::{Perk, PerkStatus};
use crate::web::extract::Path;
use crate::web::problem::Problem;

/// The most perks that a list is offered of.
const MOST_PERKS: u32 = 200;

const FIELDS: [&str; 7] = ["role", "label", "location", "kiosk", "audience", "perk", "airports"];

#[derive(Template)]
#[template(path = "devices.html", config = "src/console/askama.toml")]
struct DevicesPage {
    frame: Frame,
    devices: Vec<DeviceRow>,
    roles: Vec<Choice>,
    /// None where there are too many to choose from: its short name is then typed.
    perks: Option<Vec<Choice>>,
    fields: DeviceFields,
    faults: Faults,
    /// The code of the screen that was just made.
    code: Option<CodeView>,
    /// Why a screen was not confirmed.
    unconfirmed: Option<String>,
}

#[derive(Template)]
#[template(path = "device_remove.html", config = "src/console/askama.toml")]
struct RemovePage {
    frame: Frame,
    device: String,
    label: String,
}

struct CodeView {
    label: String,
    role: &'static str,
    letters: Vec<char>,
    until: When,
}

struct Choice {
    value: String,
    words: String,
    is_chosen: bool,
}

struct DeviceRow {
    device: String,
    label: String,
    role: &'static str,
    places: String,
    class: &'static str,
    status: &'static str,
    /// Two words wait to be confirmed. They are typed, not shown: who had them before them would not look at the screen.
    is_typed: bool,
    /// The words that were typed are not those.
    is_refused: bool,
    seen: Option<When>,
    page: Option<String>,
}

/// A new screen as it is typed.
#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::console) struct DeviceFields {
    #[serde(default)]
    role: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    location: String,
    #[serde(default)]
    kiosk: String,
    #[serde(default)]
    audience: String,
    #[serde(default)]
    perk: String,
    #[serde(default)]
    airports: String,
}

impl DeviceFields {
    /// The key that the screen acts under, and its perk.
    fn read(&self, caller: &Caller<ManageDevices>) -> Result<(NewKey, Option<PerkSlug>), Faults> {
        let role = self.role.parse::<Role>().ok().filter(|role| ROLES.contains(role));
        let role = role.ok_or_else(|| Faults::at("role", "Choose what the screen is for."))?;
        let optional = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let perk = optional(&self.perk).map(|perk| perk.parse::<PerkSlug>()).transpose();
        let perk = perk.map_err(|_| Faults::at("perk", "Choose one of the perks."))?;
        let key = NewKey {
            location: optional(&self.location),
            kiosk: optional(&self.kiosk),
            audience: optional(&self.audience),
            airports: self.airports.split([' ', ',']).filter_map(optional).collect(),
            ..NewKey::of(role, caller.owner(), &self.label)
        };
        Ok((key, perk))
    }
}

impl DeviceRow {
    fn of(device: Device, caller: &Caller<ManageDevices>, now: Timestamp) -> Self {
        let status = device.status(now);
        let Device { key, perk, seen_at, page, .. } = device;
        let (class, status_words) = match status {
            DeviceStatus::Waiting => ("", "waits for its code"),
            DeviceStatus::Expired => ("", "code is over"),
            DeviceStatus::Typed => ("warn", "shows two words"),
            DeviceStatus::Paired => ("live", "works"),
        };
        let zone = zone_of(caller.zone());
        let places = [key.location, key.kiosk, key.audience, perk.map(|perk| perk.to_string())];
        Self {
            device: key.id.to_string(),
            label: key.label,
            role: role_words(key.role),
            places: places.into_iter().flatten().collect::<Vec<_>>().join(" · "),
            class,
            status: status_words,
            is_typed: status == DeviceStatus::Typed,
            is_refused: false,
            seen: seen_at.map(|at| When::of(at, &zone, now)),
            page,
        }
    }
}

impl DevicesPage {
    async fn of(
        caller: &Caller<ManageDevices>,
        gateway: &Gateway,
        fields: DeviceFields,
        faults: Faults,
    ) -> Result<Self, Problem> {
        let (merchant, now) = (caller.merchant()?.id.clone(), gateway.clock.now());
        let perks = gateway.catalog.list_perks(&merchant, None, MOST_PERKS + 1).await?;
        let are_few = perks.len() <= MOST_PERKS as usize;
        let devices = gateway.directory.list_devices(merchant).await?;
        let role = |role: Role| Choice {
            value: role.to_string(),
            words: role_words(role).to_owned(),
            is_chosen: role.as_str() == fields.role,
        };
        let is_offered = |perk: &Perk| perk.status != PerkStatus::Retired && perk.published_version.is_some();
        let offered = perks.into_iter().filter(is_offered);
        let perks = offered.map(|perk| Choice {
            is_chosen: perk.slug.as_str() == fields.perk,
            value: perk.slug.to_string(),
            words: perk.name,
        });
        Ok(Self {
            frame: Frame::of("Screens", Section::Keys, caller.session(), now),
            devices: devices.into_iter().map(|device| DeviceRow::of(device, caller, now)).collect(),
            roles: ROLES.map(role).into_iter().collect(),
            perks: are_few.then(|| perks.collect()),
            fields,
            faults,
            code: None,
            unconfirmed: None,
        })
    }
}

#[get("/devices")]
pub(in crate::console) async fn get_devices(
    caller: Caller<ManageDevices>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    page(&DevicesPage::of(&caller, &gateway, DeviceFields::default(), Faults::default()).await?)
}

#[post("/devices")]
pub(in crate::console) async fn post_device(
    caller: Caller<ManageDevices>,
    gateway: Data<Gateway>,
    form: Posted<DeviceFields>,
) -> Result<HttpResponse, Problem> {
    let fields = form.0;
    let (key, perk) = match fields.read(&caller) {
        Ok(read) => read,
        Err(faults) => return refused(&caller, &gateway, fields, faults).await,
    };
    let made = gateway.create_device(key, perk, caller.actor()).await;
    match made {
        Ok((Device { key, .. }, NewCode { code, expires_at })) => {
            let shown = DevicesPage::of(&caller, &gateway, DeviceFields::default(), Faults::default()).await?;
            let code = CodeView {
                label: key.label,
                role: role_words(key.role),
                letters: code.expose().chars().collect(),
                until: When::of(expires_at, &zone_of(caller.zone()), gateway.clock.now()),
            };
            // Only this answer has the code: a hash of it is stored.
            page(&DevicesPage { code: Some(code), ..shown })
        }
        Err(AccessError::Unfit(errors)) => refused(&caller, &gateway, fields, Faults::of(&errors, &FIELDS)).await,
        Err(error) => Err(error.into()),
    }
}

async fn refused(
    caller: &Caller<ManageDevices>,
    gateway: &Gateway,
    fields: DeviceFields,
    faults: Faults,
) -> Result<HttpResponse, Problem> {
    page_of(StatusCode::UNPROCESSABLE_ENTITY, &DevicesPage::of(caller, gateway, fields, faults).await?)
}

/// The words that someone has seen on a screen.
#[derive(Deserialize)]
pub(in crate::console) struct WordsFields {
    #[serde(default)]
    words: String,
}

#[post("/devices/{device}/confirm")]
pub(in crate::console) async fn post_confirm(
    caller: Caller<ManageDevices>,
    gateway: Data<Gateway>,
    device: Path<KeyId>,
    form: Posted<WordsFields>,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?.id.clone();
    let device = device.into_inner();
    match gateway.directory.confirm_device(merchant, device.clone(), &form.0.words, caller.actor()).await {
        Ok(_) => Ok(see_other(&"/console/devices")),
        Err(AccessError::Unfit(errors)) => {
            let mut shown = DevicesPage::of(&caller, &gateway, DeviceFields::default(), Faults::default()).await?;
            shown.unconfirmed = Faults::of(&errors, &["words"]).of_field("words").map(str::to_owned);
            for row in shown.devices.iter_mut().filter(|row| row.device == device.as_str()) {
                row.is_refused = true;
            }
            page_of(StatusCode::UNPROCESSABLE_ENTITY, &shown)
        }
        Err(error) => Err(error.into()),
    }
}

#[get("/devices/{device}/remove")]
pub(in crate::console) async fn get_remove(
    caller: Caller<ManageDevices>,
    gateway: Data<Gateway>,
    device: Path<KeyId>,
) -> Result<HttpResponse, Problem> {
    let found = gateway.directory.find_device(caller.merchant()?.id.clone(), device.into_inner()).await?;
    let frame = Frame::of("Sign a screen off", Section::Keys, caller.session(), gateway.clock.now());
    page(&RemovePage { frame, device: found.key.id.to_string(), label: found.key.label })
}

#[post("/devices/{device}/remove")]
pub(in crate::console) async fn post_remove(
    caller: Caller<ManageDevices>,
    gateway: Data<Gateway>,
    device: Path<KeyId>,
    _form: Posted<Nothing>,
) -> Result<HttpResponse, Problem> {
    gateway.directory.remove_device(caller.merchant()?.id.clone(), device.into_inner(), caller.actor()).await?;
    Ok(see_other(&"/console/devices"))
}
