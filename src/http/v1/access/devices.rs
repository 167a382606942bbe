//! `/v1/devices`: the screens of a merchant, that is kiosks, desks and doors in a browser.

use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::devices::{Device, NewCode};
use crate::access::role::permit::ManageDevices;
use crate::access::{NewKey, Role};
use crate::foundation::ids::{KeyId, PerkSlug};
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys, ProblemsOfNames};
use crate::web::auth::Authorized;
use crate::web::extract::{Body, IdempotencyKey, Path};
use crate::web::once::{Created, once};
use crate::web::problem::Problem;

/// A screen in a browser.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Device)]
pub struct DeviceView {
    /// The id by which events and reports name it: that of a key which has no secret.
    #[schema(value_type = String, example = "key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    device: KeyId,
    #[schema(value_type = enumerations::Role)]
    role: Role,
    #[schema(example = "SFO A12")]
    label: String,
    #[schema(example = "SFO-A")]
    location: Option<String>,
    #[schema(example = "A12")]
    kiosk: Option<String>,
    /// The one audience that a door redeems.
    audience: Option<String>,
    /// The perk that it is for; null where the merchant's only one is meant.
    #[schema(value_type = Option<String>, example = "sfo-lounge")]
    perk: Option<PerkSlug>,
    airports: Vec<String>,
    #[schema(value_type = enumerations::DeviceStatus)]
    status: &'static str,
    /// The two words that its screen must show before it is confirmed; null until someone has typed its code. They are over
    /// ten minutes after that.
    #[schema(example = "amber harbour")]
    words: Option<String>,
    /// The key that made it, or `cli`.
    created_by: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    confirmed_at: Option<Timestamp>,
    /// When its page was last there; written once a minute.
    #[schema(value_type = Option<String>, format = DateTime)]
    seen_at: Option<Timestamp>,
    /// The version of the page that it showed then.
    page: Option<String>,
}

impl DeviceView {
    fn of(device: Device, now: Timestamp) -> Self {
        let status = device.status(now).as_str();
        let Device { key, perk, words, confirmed_at, seen_at, page, .. } = device;
        Self {
            device: key.id,
            role: key.role,
            label: key.label,
            location: key.location,
            kiosk: key.kiosk,
            audience: key.audience,
            perk,
            airports: key.airports,
            status,
            words,
            created_by: key.created_by.map_or_else(|| "cli".to_owned(), String::from),
            created_at: key.created_at,
            confirmed_at,
            seen_at,
            page,
        }
    }
}

/// The screens.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Devices)]
pub struct DevicesView {
    devices: Vec<DeviceView>,
}

/// A new screen, with the code that is typed into it.
#[derive(Serialize, ToSchema)]
#[schema(as = NewDevice)]
pub struct NewDeviceView {
    #[serde(flatten)]
    device: DeviceView,
    /// Eight letters, to be typed at `/pair` in the browser of the screen. Only a hash of it is stored.
    #[schema(example = "KTRWAJDN")]
    code: String,
    /// In ten minutes.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// A screen to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"role": "kiosk", "label": "SFO A12", "location": "SFO-A", "kiosk": "A12", "perk": "sfo-lounge"}))]
pub struct DeviceBody {
    /// `kiosk`, `desk` or `door`.
    #[schema(value_type = enumerations::Role)]
    role: Role,
    /// Its name, as people call it, 1–80 characters.
    label: String,
    /// Where it stands: limits and rules read it from here.
    location: Option<String>,
    /// Its name at the location.
    kiosk: Option<String>,
    /// The one audience that a door redeems.
    audience: Option<String>,
    /// The perk that it is for; the merchant's only one unless given. Needed where it has several.
    #[schema(value_type = Option<String>)]
    perk: Option<PerkSlug>,
    /// The airports at which it is used (IATA codes).
    #[serde(default)]
    airports: Vec<String>,
}

/// The words that a screen shows.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"words": "amber harbour"}))]
pub struct WordsBody {
    /// As they are read off the screen.
    words: String,
}

/// Make a screen
///
/// A kiosk, a desk or a door in a browser. It acts under a key of its own that has no secret: no bearer key ever enters a
/// page. Type the code at `/pair` in its browser within ten minutes, compare the two words that it shows, and confirm them
/// within ten more. Ten wrong codes that begin like it end a code.
///
/// What the browser holds is a secret in a cookie that no script reads, and it is one for good: who copies it off the
/// machine has the screen, beside it, until it is signed off. Watch `seen_at`, and sign off what is lost.
#[utoipa::path(
    tag = "keys",
    params(("Idempotency-Key" = Option<String>, Header, description = "1–255 printable ASCII characters: a retry gets the first answer")),
    request_body = DeviceBody,
    responses(
        (status = 201, description = "Made", body = NewDeviceView),
        ProblemsOfNames, ProblemsOfBody, ProblemsOfIdempotency, ProblemsOfKeys
    )
)]
#[post("/devices")]
pub(crate) async fn create_device(
    caller: Authorized<ManageDevices>,
    gateway: Data<Gateway>,
    key: IdempotencyKey,
    body: Body<DeviceBody>,
) -> Result<HttpResponse, Problem> {
    let request = body.hash();
    let DeviceBody { role, label, location, kiosk, audience, perk, airports } = body.into_inner();
    let merchant = caller.merchant()?.id.clone();
    let new = NewKey { location, kiosk, audience, airports, ..NewKey::of(role, Some(merchant), &label) };
    let work = async {
        let (device, NewCode { code, expires_at }) = gateway.create_device(new, perk, caller.actor()).await?;
        let device = DeviceView::of(device, gateway.clock.now());
        Created::new(None, &NewDeviceView { device, code: code.expose().to_owned(), expires_at })
    };
    Box::pin(once(&gateway, &caller, "devices", key, request, work)).await
}

/// List screens
///
/// Those that were not signed off, in the order they were made.
#[utoipa::path(
    tag = "keys",
    responses((status = 200, description = "The screens", body = DevicesView), ProblemsOfKeys)
)]
#[get("/devices")]
pub(crate) async fn list_devices(
    caller: Authorized<ManageDevices>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    let (devices, now) = (gateway.directory.list_devices(caller.merchant()?.id.clone()).await?, gateway.clock.now());
    let devices = devices.into_iter().map(|device| DeviceView::of(device, now)).collect();
    Ok(HttpResponse::Ok().json(DevicesView { devices }))
}

/// Confirm a screen
///
/// It works from now on. Read the words off the screen itself: another browser that guessed the code shows other ones. Words
/// that have waited for more than ten minutes can't be confirmed: their browser may be one that nobody sees any more.
#[utoipa::path(
    tag = "keys",
    params(("device" = String, Path, description = "The screen's id", example = "key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")),
    request_body = WordsBody,
    responses(
        (status = 200, description = "It works", body = DeviceView),
        ProblemsOfNames, ProblemsOfBody, ProblemsOfKeys
    )
)]
#[post("/devices/{device}/confirm")]
pub(crate) async fn confirm_device(
    caller: Authorized<ManageDevices>,
    gateway: Data<Gateway>,
    device: Path<KeyId>,
    body: Body<WordsBody>,
) -> Result<HttpResponse, Problem> {
    let (merchant, device) = (caller.merchant()?.id.clone(), device.into_inner());
    let confirmed = gateway.directory.confirm_device(merchant, device, &body.words, caller.actor()).await?;
    Ok(HttpResponse::Ok().json(DeviceView::of(confirmed, gateway.clock.now())))
}

/// Sign a screen off
///
/// Here at once, and on every replica within a second. What it did goes on naming it.
#[utoipa::path(
    tag = "keys",
    params(("device" = String, Path, description = "The screen's id", example = "key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")),
    responses((status = 204, description = "Signed off"), ProblemsOfNames, ProblemsOfKeys)
)]
#[delete("/devices/{device}")]
pub(crate) async fn delete_device(
    caller: Authorized<ManageDevices>,
    gateway: Data<Gateway>,
    device: Path<KeyId>,
) -> Result<HttpResponse, Problem> {
    gateway.directory.remove_device(caller.merchant()?.id.clone(), device.into_inner(), caller.actor()).await?;
    Ok(HttpResponse::NoContent().finish())
}
