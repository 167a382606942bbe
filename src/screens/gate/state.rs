//! The keys and the terms by which a door's page checks tokens alone.

use std::collections::BTreeMap;

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::ask::MOST_WAITING;
use super::caller::{FromDoor, name_of};
use crate::access::Merchant;
use crate::foundation::ids::PerkSlug;
use crate::gateway::Gateway;
use crate::rules::rule::Rule;
use crate::screens::assets;
use crate::screens::place::PageQuery;
use crate::tokens::Jwks;
use crate::web::extract::Params;
use crate::web::problem::{Kind, Problem};

/// The most perks whose terms a door is given. Of one beyond them it shows ids instead of names.
const MOST_PERKS: usize = 100;

/// A door's state.
#[derive(Serialize)]
struct DoorView {
    door: String,
    /// The one `aud` that it opens for.
    audience: String,
    issuer: String,
    /// The public token keys, as they are published.
    keys: Box<RawValue>,
    zone: String,
    perks: Vec<PerkTerms>,
    /// The most tokens that it may keep while it can't report them.
    most: usize,
    /// The version of the page that this gateway has.
    version: &'static str,
    now: Timestamp,
}

/// The terms of a perk that this door is for.
#[derive(Serialize)]
struct PerkTerms {
    perk: PerkSlug,
    /// The version that decides now: a token tells by which one it was granted.
    version: i32,
    /// The tokens of this version open the door more than once.
    reusable: bool,
    tiers: BTreeMap<String, TierTerms>,
}

#[derive(Serialize)]
struct TierTerms {
    name: String,
    /// Guests who cost nothing; none where the tier says nothing of guests.
    free: Option<u64>,
}

impl PerkTerms {
    fn of(perk: PerkSlug, version: i32, rule: &Rule) -> Self {
        let tiers = rule.tiers().iter().map(|tier| {
            (tier.id.clone(), TierTerms { name: tier.name.clone(), free: tier.guests.map(|terms| terms.free) })
        });
        Self { perk, version, reusable: !rule.token().single_use, tiers: tiers.collect() }
    }
}

#[get("/state")]
pub(in crate::screens) async fn get_state(
    screen: FromDoor,
    gateway: Data<Gateway>,
    query: Params<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let merchant = screen.merchant()?;
    gateway.directory.note_device(merchant.id.clone(), screen.principal.key.clone(), &query.page);
    let audience =
        screen.principal.audience.as_deref().ok_or_else(|| {
            Problem::new(Kind::Forbidden, "This door opens for nobody: pair it again, with an audience.")
        })?;
    let keys = Jwks::new(gateway.keyring.token_keys().iter().map(|key| *key.public_key())).to_json();
    let now = gateway.clock.now();
    Ok(HttpResponse::Ok().json(DoorView {
        door: name_of(&screen),
        audience: format!("{}/{audience}", merchant.slug),
        issuer: gateway.issuer_url.to_string(),
        keys: RawValue::from_string(keys).map_err(|_| Problem::new(Kind::Internal, "The keys can't be written."))?,
        zone: merchant.time_zone.clone(),
        perks: terms_of(&gateway, merchant, audience, now).await,
        most: MOST_WAITING,
        version: assets::gate_version(),
        now,
    }))
}

/// The terms of the perks whose tokens name this audience. One that can't be read is left out: its tokens open all the
/// same.
async fn terms_of(gateway: &Gateway, merchant: &Merchant, audience: &str, now: Timestamp) -> Vec<PerkTerms> {
    let mut terms = Vec::new();
    for slug in gateway.catalog.some_open_perks(&merchant.id, MOST_PERKS) {
        let Ok(perk) = gateway.catalog.open_perk(&merchant.id, &slug).await else { continue };
        let Ok(deciding) = gateway.catalog.deciding(&merchant.id, &perk, now).await else { continue };
        if deciding.rule.token().audience == audience {
            terms.push(PerkTerms::of(slug, deciding.version, &deciding.rule));
        }
    }
    terms
}
