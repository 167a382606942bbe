//! `/console/perks`: the board.

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use askama::Template;
use serde::Deserialize;

use super::board::PerkRow;
use crate::access::role::permit::ManagePerks;
use crate::console::caller::Caller;
use crate::console::door::page;
use crate::console::frame::{Frame, Section};
use crate::console::words::{When, encoded, zone_of};
use crate::foundation::ids::PerkSlug;
use crate::gateway::Gateway;
use crate::web::extract::{PageLimit, Params};
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "perks.html", config = "src/console/askama.toml")]
struct PerksPage {
    frame: Frame,
    query: String,
    rows: Vec<PerkRow>,
    at: When,
    is_complete: bool,
    /// The address of the next page.
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "first_perk.html", config = "src/console/askama.toml")]
struct FirstPerkPage {
    frame: Frame,
    merchant: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct PerksQuery {
    /// A part of the name.
    q: Option<String>,
    cursor: Option<PerkSlug>,
}

#[get("/perks")]
pub(in crate::console) async fn get_perks(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    query: Params<PerksQuery>,
) -> Result<HttpResponse, Problem> {
    let PerksQuery { q, cursor } = query.into_inner();
    let text = q.unwrap_or_default().trim().to_owned();
    let merchant = caller.merchant()?;
    let (limit, is_first_page) = (PageLimit::default(), cursor.is_none());
    let (after, most) = (cursor.map(String::from), u32::from(limit.get()) + 1);
    let fetched = if text.is_empty() {
        gateway.catalog.list_perks(&merchant.id, after, most).await?
    } else {
        gateway.catalog.search_perks(&merchant.id, &text, after, most).await?
    };
    let (perks, next) = limit.page(fetched, |perk| perk.slug.to_string());
    if perks.is_empty() && text.is_empty() && is_first_page {
        let frame = Frame::of("Your first perk", Section::Perks, caller.session(), gateway.clock.now());
        return page(&FirstPerkPage { frame, merchant: merchant.slug.to_string() });
    }
    let numbers = gateway.today.numbers(merchant, &perks).await?;
    let schedules = gateway.catalog.list_schedules(&merchant.id).await?;
    let row = |(perk, today)| {
        let perk: &crate::perks::perk::Perk = perk;
        PerkRow::of(perk, today, schedules.get(&perk.id).copied(), numbers.at)
    };
    let rows = perks.iter().zip(&numbers.perks).map(row).collect();
    let zone = zone_of(&merchant.time_zone);
    let at = When { iso: numbers.at.to_string(), text: numbers.at.to_zoned(zone).strftime("%H:%M:%S").to_string() };
    let search = if text.is_empty() { String::new() } else { format!("q={}&", encoded(&text)) };
    let next = next.map(|cursor| format!("/console/perks?{search}cursor={cursor}"));
    let frame = Frame::of("Perks", Section::Perks, caller.session(), numbers.at);
    page(&PerksPage { frame, query: text, rows, at, is_complete: numbers.is_complete, next })
}
