//! `perkgate key`: makes, lists and revokes keys.

use std::fmt;
use std::str::FromStr;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::error::CliError;
use super::once::{self, ACTOR, MerchantFlag, Needs, OwnerFlag, all_pages};
use super::output::confirmation::Confirmation;
use super::output::{table, write_line, write_part};
use super::{Completion, Invocation};
use crate::access::{AccessError, ApiKey, KeyStatus, NewKey, Role};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{KeyId, MerchantSlug};
use crate::foundation::web_origin::WebOrigin;
use crate::scores::score::parse_instant;
use crate::settings::master_key;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Print a fresh master key. It is stored nowhere: keep it safe.
    Master,
    /// Make an API key. It is shown this once: only a hash of it is stored.
    Create(Box<New>),
    /// List the keys of a merchant, or with --operator those of the operator.
    List {
        #[command(flatten)]
        owner: OwnerFlag,
    },
    /// Revoke a key. It stops working within a second, everywhere and for good.
    Revoke {
        /// The key's id (`key_…`), not the key itself.
        #[arg(value_name = "KEY_ID")]
        key: KeyId,
        #[command(flatten)]
        owner: OwnerFlag,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

#[derive(clap::Args)]
struct New {
    #[command(flatten)]
    merchant: MerchantFlag,
    /// The role that it is for.
    #[arg(long, value_parser = PossibleValuesParser::new(Role::ALL.map(Role::as_str)).try_map(|text| text.parse::<Role>()))]
    role: Role,
    /// The name that people call it by.
    #[arg(long, value_name = "TEXT")]
    label: String,
    /// Where it is used (kiosk, desk and door keys).
    #[arg(long, value_name = "TEXT")]
    location: Option<String>,
    /// The kiosk's name (kiosk, desk and door keys).
    #[arg(long, value_name = "TEXT")]
    kiosk: Option<String>,
    /// The only audience whose tokens it may redeem (door keys).
    #[arg(long, value_name = "NAME")]
    audience: Option<String>,
    /// The airports at which it is used, by IATA code: `SFO,OAK` (keys that check). A boarding pass counts by the leg
    /// that departs from one of them, nearest today.
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    airports: Vec<String>,
    /// A web origin whose pages may use it from a browser, as in `https://kiosk.example.com`; may be given more than
    /// once. Without it, those of `allowed_origins` may.
    #[arg(long = "origin", value_name = "ORIGIN")]
    origins: Vec<WebOrigin>,
    /// When it stops working: an RFC 3339 time, or how long from now (90d, 12h, P1Y).
    #[arg(long, value_name = "TIME|DURATION")]
    expires: Option<Expiry>,
}

/// When a key ends, as it was asked for.
#[derive(Debug, Clone, Copy)]
enum Expiry {
    At(Timestamp),
    After(Span),
}

/// A text that is no [`Expiry`].
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("use an RFC 3339 time such as 2027-01-31T12:00:00Z, or a duration such as 90d")]
struct NoExpiry;

impl FromStr for Expiry {
    type Err = NoExpiry;

    fn from_str(text: &str) -> Result<Self, NoExpiry> {
        if let Some(at) = parse_instant(text) {
            return Ok(Self::At(at));
        }
        let span: Span = text.parse().map_err(|_| NoExpiry)?;
        if span.is_positive() { Ok(Self::After(span)) } else { Err(NoExpiry) }
    }
}

impl Expiry {
    /// A day is 24 hours and a month is a calendar month, both in UTC; what lies beyond the
    /// calendar's end is cut to it.
    fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::After(span) => {
                let end = now.to_zoned(TimeZone::UTC).checked_add(span);
                end.map_or(Timestamp::MAX, |end| end.timestamp())
            }
        }
    }
}

/// The one answer that shows a secret: it is what was asked for.
#[derive(Serialize)]
struct MasterKey {
    master_key: String,
}

impl fmt::Display for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.master_key)
    }
}

/// A key without its secret.
#[derive(Serialize)]
struct KeyView {
    id: KeyId,
    role: Role,
    label: String,
    /// Null for operator keys.
    merchant: Option<MerchantSlug>,
    location: Option<String>,
    kiosk: Option<String>,
    audience: Option<String>,
    airports: Vec<String>,
    origins: Vec<WebOrigin>,
    status: KeyStatus,
    /// The key that made it, or `cli`.
    created_by: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    /// The hour of its last use.
    last_used_at: Option<Timestamp>,
}

impl KeyView {
    fn of(key: ApiKey, merchant: Option<MerchantSlug>, now: Timestamp) -> Self {
        let status = key.status(now);
        let ApiKey {
            id,
            role,
            label,
            location,
            kiosk,
            audience,
            airports,
            origins,
            created_by,
            created_at,
            expires_at,
            revoked_at,
            last_used_at,
            ..
        } = key;
        Self {
            id,
            role,
            label,
            merchant,
            location,
            kiosk,
            audience,
            airports,
            origins,
            status,
            created_by: created_by.map_or_else(|| ACTOR.role.to_owned(), String::from),
            created_at,
            expires_at,
            revoked_at,
            last_used_at,
        }
    }
}

/// Shown once.
#[derive(Serialize)]
struct Created {
    key: String,
    #[serde(flatten)]
    rest: KeyView,
    /// Pointers into the key.
    warnings: Vec<FieldError>,
}

impl fmt::Display for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KeyView { id, role, label, merchant, location, kiosk, audience, airports, origins, expires_at, .. } =
            &self.rest;
        let expires_at = expires_at.map(|at| at.to_string());
        let airports = (!airports.is_empty()).then(|| airports.join(", "));
        let origins = (!origins.is_empty()).then(|| joined(origins));
        let merchant = merchant.as_ref().map(MerchantSlug::to_string);
        for (name, value) in [
            ("id", Some(id.as_str())),
            ("merchant", merchant.as_deref()),
            ("role", Some(role.as_str())),
            ("label", Some(label)),
            ("location", location.as_deref()),
            ("kiosk", kiosk.as_deref()),
            ("audience", audience.as_deref()),
            ("airports", airports.as_deref()),
            ("origins", origins.as_deref()),
            ("expires", expires_at.as_deref()),
        ] {
            if let Some(value) = value {
                write_line!(f, "{name:<9} {value}")?;
            }
        }
        for warning in &self.warnings {
            write_line!(f, "warning   --{}: {}", warning.path.as_str().trim_start_matches('/'), warning.detail)?;
        }
        write_part!(f, "{:<9} {}", "key", self.key)
    }
}

fn joined(origins: &[WebOrigin]) -> String {
    origins.iter().map(WebOrigin::as_str).collect::<Vec<_>>().join(", ")
}

#[derive(Serialize)]
struct Listed {
    keys: Vec<KeyView>,
}

/// The columns of a list of keys.
const COLUMNS: [&str; 10] = [
    "id",
    "role",
    "label",
    "location",
    "kiosk",
    "airports",
    "audience, origins",
    "status",
    "expires",
    "last used (hour)",
];

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.keys.is_empty() {
            return f.write_str("There are no keys.");
        }
        let rows = self.keys.iter().map(|it| {
            let origins = it.origins.iter().map(WebOrigin::to_string);
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let doors = it.audience.iter().cloned().chain(origins);
            [
                it.id.to_string(),
                it.role.to_string(),
                it.label.clone(),
                text(&it.location),
                text(&it.kiosk),
                it.airports.join(", "),
                doors.collect::<Vec<_>>().join(", "),
                it.status.as_str().to_owned(),
                it.expires_at.map_or_else(|| "never".to_owned(), |at| at.to_string()),
                it.last_used_at.map_or_else(|| "never".to_owned(), |at| at.to_string()),
            ]
        });
        f.write_str(&table(COLUMNS, rows))
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Revoked(KeyView);

impl fmt::Display for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KeyView { id, role, label, revoked_at, .. } = &self.0;
        let since = revoked_at.map_or_else(String::new, |at| format!(" since {at}"));
        write_part!(f, "The {role} key `{label}` ({id}) is revoked{since}")
    }
}

pub(super) fn run(args: Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let now = invocation.clock.now();
    match args.action {
        Action::Master => {
            let key = master_key::fresh(&invocation.entropy);
            invocation.output.show(&MasterKey { master_key: key.expose_secret().to_owned() })?;
        }
        Action::Create(new) => {
            let created = create(*new, invocation, now)?;
            invocation.output.show(&created)?;
            invocation.output.note("This key is shown this once, and only its hash is stored: keep it now.");
        }
        Action::List { owner } => {
            let (keys, merchant) = invocation.with_gateway(Needs::Existing, async |gateway| {
                let (owner, slug) = once::owner(gateway, &owner).await?.map(|it| (it.id, it.slug)).unzip();
                let page = async |last: Option<&ApiKey>| {
                    gateway.directory.list_keys(owner.clone(), None, last.map(|it| it.id.clone()), 200).await
                };
                Ok((all_pages(200, page).await?, slug))
            })?;
            let keys = keys.into_iter().map(|key| KeyView::of(key, merchant.clone(), now)).collect();
            invocation.output.show(&Listed { keys })?;
        }
        Action::Revoke { key, owner, confirmation } => {
            let (revoked, merchant) = invocation.with_gateway(Needs::Existing, async |gateway| {
                let (owner, slug) = once::owner(gateway, &owner).await?.map(|it| (it.id, it.slug)).unzip();
                let found = gateway.directory.find_key(owner.clone(), key.clone()).await;
                let found = found.map_err(|error| match error {
                    AccessError::UnknownKey => CliError::UnknownKey { key, merchant: slug.clone() },
                    other => other.into(),
                })?;
                confirmation.ask(&format!("revoke the {} key `{}` for good", found.role, found.label))?;
                Ok((gateway.directory.revoke_key(owner, found.id, ACTOR).await?, slug))
            })?;
            invocation.output.show(&Revoked(KeyView::of(revoked, merchant, now)))?;
        }
    }
    Ok(Completion::Succeeded)
}

fn create(new: New, invocation: &Invocation, now: Timestamp) -> Result<Created, CliError> {
    let New { merchant: flag, role, label, location, kiosk, audience, airports, origins, expires } = new;
    // The operator's belongs to no merchant, whichever the settings name; naming one is refused below.
    let is_operators = !role.has_merchant() && flag.merchant.is_none();
    let (key, secret, merchant, warnings) = invocation.with_gateway(Needs::Existing, async |gateway| {
        let owner = if is_operators { None } else { Some(once::merchant(gateway, &flag).await?) };
        let new = NewKey {
            role,
            merchant: owner.as_ref().map(|found| found.id.clone()),
            label,
            location,
            kiosk,
            audience,
            airports,
            origins,
            expires_at: expires.map(|expiry| expiry.from(now)),
        };
        let (key, secret) = gateway.directory.create_key(new, ACTOR).await?;
        // The key is made and this is the only answer that shows it: what can't be looked up is left out.
        let warnings = gateway.warnings_of_key(&key).await.unwrap_or_default();
        Ok((key, secret, owner.map(|found| found.slug), warnings))
    })?;
    Ok(Created { key: secret.expose().to_owned(), rest: KeyView::of(key, merchant, now), warnings })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_an_instant_or_a_time_from_now() {
        let now: Timestamp = "2026-11-22T09:00:00Z".parse().unwrap();
        let end = |text: &str| text.parse::<Expiry>().unwrap().from(now).to_string();
        assert_eq!(end("2027-01-31T13:00:00+01:00"), "2027-01-31T12:00:00Z");
        assert_eq!(end("90d"), "2027-02-20T09:00:00Z");
        assert_eq!(end("12h"), "2026-11-22T21:00:00Z");
        assert_eq!(end("P1Y"), "2027-11-22T09:00:00Z");
        for bad in ["", "tomorrow", "-1d", "0d", "90", "2027-01-31", "2027-01-31T12:00:00"] {
            assert!(bad.parse::<Expiry>().is_err(), "{bad}");
        }
    }
}
