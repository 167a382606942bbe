//! The place of a screen: its perk, whom it lets in, until when it is open, and how full it is.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::access::Merchant;
use crate::access::devices::Screen;
use crate::eligibility::today::PerkState;
use crate::foundation::ids::{KeyId, PerkSlug};
use crate::gateway::Gateway;
use crate::perks::perk::{Perk, PerkStatus};
use crate::rules::rule::Rule;
use crate::web::problem::{Kind, Problem};

/// Perks of a merchant that are looked at for the only one.
const MOST_PERKS: u32 = 20;

/// The interval at which a screen that is there is noted.
const NOTED_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// When screens were last noted to be there, and with which page.
#[derive(Default)]
pub(super) struct SeenScreens(Mutex<HashMap<KeyId, (Timestamp, String)>>);

impl SeenScreens {
    /// Notes that a screen is there, unless that was noted a moment ago.
    pub(super) async fn note(&self, gateway: &Gateway, screen: &Screen, page: &str) {
        let (now, key) = (gateway.clock.now(), screen.principal.key.clone());
        let is_due = {
            let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let is_due = seen.get(&key).is_none_or(|(at, with)| with != page || now.duration_since(*at) >= NOTED_EVERY);
            if is_due {
                seen.insert(key.clone(), (now, page.to_owned()));
            }
            is_due
        };
        let Some(merchant) = screen.principal.merchant.as_ref().filter(|_| is_due) else { return };
        if let Err(error) = gateway.directory.note_device(merchant.id.clone(), key, page).await {
            tracing::debug!(%error, "that a screen is there could not be written");
        }
    }
}

/// The version of the page that a screen shows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    #[serde(default)]
    pub page: String,
}

/// The place as a screen shows it.
#[derive(Serialize)]
pub(super) struct PlaceView {
    merchant: String,
    perk: String,
    location: Option<String>,
    kiosk: Option<String>,
    /// The zone of its clock.
    zone: String,
    state: &'static str,
    /// Until when it is open, or from when on.
    until: Option<Timestamp>,
    tiers: Vec<TierView>,
    inside: Option<u64>,
    capacity: Option<u64>,
    /// The rule looks at how many come.
    asks_party: bool,
    now: Timestamp,
}

#[derive(Serialize)]
struct TierView {
    name: String,
    /// Guests who cost nothing.
    free: Option<u64>,
}

/// The perk that a screen is for.
///
/// # Errors
/// Where it is for none in particular, and its merchant has several.
pub(super) async fn perk_of(gateway: &Gateway, screen: &Screen, merchant: &Merchant) -> Result<PerkSlug, Problem> {
    if let Some(perk) = &screen.perk {
        return Ok(perk.clone());
    }
    let perks = gateway.catalog.list_perks(&merchant.id, None, MOST_PERKS).await?;
    let mut offered =
        perks.into_iter().filter(|perk| perk.status != PerkStatus::Retired && perk.published_version.is_some());
    match (offered.next(), offered.next()) {
        (Some(only), None) => Ok(only.slug),
        _ => Err(Problem::new(
            Kind::WrongStatus,
            "This screen is for no perk in particular, and there is not exactly one: pair it again, and name its perk.",
        )),
    }
}

/// The place as it is now.
///
/// # Errors
/// The database's, and [`perk_of`]'s.
pub(super) async fn look(gateway: &Gateway, screen: &Screen, merchant: &Merchant) -> Result<PlaceView, Problem> {
    let slug = perk_of(gateway, screen, merchant).await?;
    let perk = gateway.catalog.find_perk(&merchant.id, &slug).await?;
    let mut numbers = gateway.today.numbers(merchant, std::slice::from_ref(&perk)).await?;
    let today = numbers.perks.pop();
    let (state, until) = today.as_ref().map_or(("closed", None), |today| words_of(today.state));
    let rule = today.as_ref().and_then(|today| today.deciding.as_ref()).map(|(_, rule)| &**rule);
    let inside = today.as_ref().and_then(|today| today.inside);
    let Perk { name, .. } = perk;
    Ok(PlaceView {
        merchant: merchant.name.clone(),
        perk: name,
        location: screen.principal.location.clone(),
        kiosk: screen.principal.kiosk.clone(),
        zone: rule.and_then(|rule| rule.time_zone().iana_name()).unwrap_or(&merchant.time_zone).to_owned(),
        state,
        until,
        tiers: rule.map(tiers).unwrap_or_default(),
        inside: inside.map(|of| of.used),
        capacity: inside.map(|of| of.most),
        asks_party: rule.is_some_and(|rule| rule.tiers().iter().any(|tier| tier.guests.is_some())),
        now: numbers.at,
    })
}

fn tiers(rule: &Rule) -> Vec<TierView> {
    let mut tiers: Vec<_> = rule.tiers().iter().collect();
    tiers.sort_by_key(|tier| std::cmp::Reverse(tier.rank));
    tiers.iter().map(|tier| TierView { name: tier.name.clone(), free: tier.guests.map(|terms| terms.free) }).collect()
}

fn words_of(state: PerkState) -> (&'static str, Option<Timestamp>) {
    match state {
        PerkState::Open { until } => ("open", until),
        PerkState::Closed { opens } => ("closed", opens),
        PerkState::PlaceClosed { until } | PerkState::Blackout { until } => ("closed", Some(until)),
        PerkState::NotYetValid { from } => ("closed", Some(from)),
        PerkState::Draft
        | PerkState::Paused
        | PerkState::Retired
        | PerkState::Unreadable
        | PerkState::NoLongerValid => ("closed", None),
    }
}
