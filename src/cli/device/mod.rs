//! `perkgate device`: the screens of kiosks, desks and doors, which a browser shows.

use std::fmt;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use jiff::Timestamp;
use serde::Serialize;

use super::error::CliError;
use super::once::{self, ACTOR, MerchantFlag, Needs};
use super::output::confirmation::Confirmation;
use super::output::{table, write_line, write_part};
use super::{Completion, Invocation};
use crate::access::devices::{Device, NewCode, ROLES};
use crate::access::{AccessError, Merchant, NewKey, Role};
use crate::foundation::ids::{KeyId, PerkSlug};
use crate::gateway::Gateway;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a screen, and print the code that is typed at /pair in its browser: for ten minutes.
    Create(New),
    /// List the screens that were not signed off.
    List {
        #[command(flatten)]
        merchant: MerchantFlag,
    },
    /// Let a screen work that shows these two words, within ten minutes after its code was typed.
    Confirm {
        #[command(flatten)]
        of: OfDevice,
        /// The two words, read off the screen itself.
        #[arg(long, value_name = "WORDS")]
        words: String,
    },
    /// Sign a screen off. It stops within a second, everywhere.
    Remove {
        #[command(flatten)]
        of: OfDevice,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

#[derive(clap::Args)]
struct New {
    /// The kind of screen.
    #[arg(
        long,
        value_parser = PossibleValuesParser::new(ROLES.map(Role::as_str)).try_map(|text| text.parse::<Role>())
    )]
    role: Role,
    /// Its name, as people call it.
    #[arg(long, value_name = "TEXT")]
    label: String,
    /// Where it stands: limits and rules read it from here.
    #[arg(long, value_name = "PLACE")]
    location: Option<String>,
    /// Its name at the location.
    #[arg(long, value_name = "NAME")]
    kiosk: Option<String>,
    /// The one audience that a door redeems.
    #[arg(long, value_name = "AUDIENCE")]
    audience: Option<String>,
    /// The perk that it is for, by its short name; the merchant's only one unless given. Needed where it has several.
    #[arg(long, value_name = "PERK")]
    perk: Option<PerkSlug>,
    /// An airport at which it is used (IATA code); may be repeated.
    #[arg(long = "airport", value_name = "CODE")]
    airports: Vec<String>,
    #[command(flatten)]
    merchant: MerchantFlag,
}

#[derive(clap::Args)]
struct OfDevice {
    /// The screen's id (`key_…`).
    #[arg(value_name = "DEVICE")]
    device: KeyId,
    #[command(flatten)]
    merchant: MerchantFlag,
}

#[derive(Serialize)]
struct DeviceView {
    device: KeyId,
    role: Role,
    label: String,
    location: Option<String>,
    perk: Option<PerkSlug>,
    status: &'static str,
    words: Option<String>,
    seen_at: Option<Timestamp>,
    page: Option<String>,
}

impl DeviceView {
    fn of(device: Device, now: Timestamp) -> Self {
        let status = device.status(now).as_str();
        let Device { key, perk, words, seen_at, page, .. } = device;
        Self {
            device: key.id,
            role: key.role,
            label: key.label,
            location: key.location,
            perk,
            status,
            words,
            seen_at,
            page,
        }
    }
}

/// A new screen, and the code that is typed into it.
#[derive(Serialize)]
struct Made {
    #[serde(flatten)]
    device: DeviceView,
    code: String,
    expires_at: Timestamp,
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeviceView { device, label, role, .. } = &self.device;
        write_line!(f, "{label} is a {role} ({device})")?;
        write_line!(f, "Open /pair in its browser and type, until {}:", self.expires_at)?;
        write_line!(f, "  {}", self.code)?;
        write_part!(f, "Then confirm the two words that it shows: perkgate device confirm {device} --words '…'")
    }
}

#[derive(Serialize)]
struct Listed {
    devices: Vec<DeviceView>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.devices.is_empty() {
            return f.write_str("There are no screens.");
        }
        let rows = self.devices.iter().map(|it| {
            let (role, device) = (it.role.to_string(), it.device.to_string());
            let seen = it.seen_at.map_or_else(|| "never".to_owned(), |at| at.to_string());
            let place = it.location.clone().unwrap_or_default();
            [it.label.clone(), role, place, it.status.to_owned(), it.words.clone().unwrap_or_default(), seen, device]
        });
        f.write_str(&table(["label", "role", "location", "status", "words", "last seen", "device"], rows))
    }
}

#[derive(Serialize)]
struct NowWorks {
    device: KeyId,
    label: String,
    confirmed: bool,
}

impl fmt::Display for NowWorks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_part!(f, "{} works", self.label)
    }
}

#[derive(Serialize)]
struct Removed {
    device: KeyId,
    removed: bool,
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_part!(f, "{} is signed off", self.device)
    }
}

async fn create(gateway: &Gateway, new: New) -> Result<Made, CliError> {
    let New { role, label, location, kiosk, audience, perk, airports, merchant } = new;
    let merchant = once::merchant(gateway, &merchant).await?.id;
    let key = NewKey { location, kiosk, audience, airports, ..NewKey::of(role, Some(merchant), &label) };
    let (device, NewCode { code, expires_at }) = gateway.create_device(key, perk, ACTOR).await?;
    let device = DeviceView::of(device, gateway.clock.now());
    Ok(Made { device, code: code.expose().to_owned(), expires_at })
}

/// The error of a screen, by its merchant.
fn of_device(error: AccessError, device: KeyId, merchant: &Merchant) -> CliError {
    match error {
        AccessError::UnknownKey => CliError::UnknownKey { key: device, merchant: Some(merchant.slug.clone()) },
        error => error.into(),
    }
}

pub(super) fn run(args: Args, invocation: &Invocation) -> Result<Completion, CliError> {
    match args.action {
        Action::Create(new) => {
            let made = invocation.with_gateway(Needs::Existing, async |gateway| create(gateway, new).await)?;
            invocation.output.show(&made)?;
        }
        Action::List { merchant } => {
            let listed = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?.id;
                let (devices, now) = (gateway.directory.list_devices(merchant).await?, gateway.clock.now());
                Ok(Listed { devices: devices.into_iter().map(|device| DeviceView::of(device, now)).collect() })
            })?;
            invocation.output.show(&listed)?;
        }
        Action::Confirm { of: OfDevice { device, merchant }, words } => {
            let confirmed = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?;
                let done = gateway.directory.confirm_device(merchant.id.clone(), device.clone(), &words, ACTOR).await;
                done.map_err(|error| of_device(error, device, &merchant))
            })?;
            let Device { key, .. } = confirmed;
            invocation.output.show(&NowWorks { device: key.id, label: key.label, confirmed: true })?;
        }
        Action::Remove { of: OfDevice { device, merchant }, confirmation } => {
            let removed = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?;
                let found = gateway.directory.find_device(merchant.id.clone(), device.clone()).await;
                let found = found.map_err(|error| of_device(error, device, &merchant))?;
                confirmation.ask(&format!("sign off the screen `{}`", found.key.label))?;
                Ok(gateway.directory.remove_device(merchant.id, found.key.id, ACTOR).await?)
            })?;
            invocation.output.show(&Removed { device: removed.id, removed: true })?;
        }
    }
    Ok(Completion::Succeeded)
}
