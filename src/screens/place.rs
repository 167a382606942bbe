//! The place of a screen: its perk, whom it lets in, until when it is open, and how full it is.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::assets;
use super::messages::LANGUAGES;
use crate::access::Merchant;
use crate::access::devices::Screen;
use crate::eligibility::today::PerkState;
use crate::foundation::ids::PerkSlug;
use crate::foundation::language::Languages;
use crate::gateway::Gateway;
use crate::perks::perk::Perk;
use crate::rules::messages::Messages;
use crate::rules::rule::Rule;
use crate::rules::tier::Tier;
use crate::web::problem::{Kind, Problem};

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
    /// The version of the kiosk's page that this gateway has.
    version: &'static str,
    now: Timestamp,
}

#[derive(Serialize)]
struct TierView {
    name: String,
    /// By language, where it is not the plain one.
    names: BTreeMap<&'static str, String>,
    /// Guests who cost nothing.
    free: Option<u64>,
}

/// The perk that a screen is for.
///
/// # Errors
/// Where it is for none in particular, and its merchant has several.
pub(super) fn perk_of(gateway: &Gateway, screen: &Screen, merchant: &Merchant) -> Result<PerkSlug, Problem> {
    if let Some(perk) = &screen.perk {
        return Ok(perk.clone());
    }
    let mut offered = gateway.catalog.some_open_perks(&merchant.id, 2).into_iter();
    match (offered.next(), offered.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(Problem::new(
            Kind::WrongStatus,
            "This screen is for no perk in particular, and there is not exactly one: pair it again, and name its perk.",
        )),
    }
}

/// The place as it is now. Who looks is there, with the page that it shows.
///
/// # Errors
/// The database's, and [`perk_of`]'s.
pub(super) async fn look(
    gateway: &Gateway,
    screen: &Screen,
    merchant: &Merchant,
    with: &PageQuery,
) -> Result<PlaceView, Problem> {
    gateway.directory.note_device(merchant.id.clone(), screen.principal.key.clone(), &with.page);
    let slug = perk_of(gateway, screen, merchant)?;
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
        asks_party: rule.is_some_and(Rule::looks_at_party),
        version: assets::version(),
        now: numbers.at,
    })
}

fn tiers(rule: &Rule) -> Vec<TierView> {
    let mut tiers: Vec<_> = rule.tiers().iter().collect();
    tiers.sort_by_key(|tier| std::cmp::Reverse(tier.rank));
    let view = |tier: &&Tier| TierView {
        name: tier.name.clone(),
        names: tier.names.as_ref().map(spoken).unwrap_or_default(),
        free: tier.guests.map(|terms| terms.free),
    };
    tiers.iter().map(view).collect()
}

/// A name in each language that the screens speak and the rule has.
fn spoken(names: &Messages) -> BTreeMap<&'static str, String> {
    let name = |tag| Some((tag, names.choose(&Languages::of_header(tag))?.text.to_owned()));
    LANGUAGES.iter().filter_map(|language| name(language.tag)).collect()
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
