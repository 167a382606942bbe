//! `/console/today`: a perk's day as it happens. The page is whole without a script; with one, `stream` brings it what
//! happens, written by the same templates.
//!
//! - `figures`: the numbers of the day, which streams share by `shared`; `rows`: decisions, one a row

mod figures;
mod rows;
pub(super) mod shared;
pub(super) mod stream;

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use askama::Template;
use serde::Deserialize;

use super::assets;
use super::caller::Caller;
use super::door::page;
use super::frame::{Frame, Section};
use super::words::place_of;
use crate::access::Permission;
use crate::access::role::permit::Audit;
use crate::foundation::ids::PerkSlug;
use crate::gateway::Gateway;
use crate::web::extract::Params;
use crate::web::problem::Problem;
use figures::{Figures, figures};
use rows::{FeedRow, feed_rows};

/// The most perks of a list to choose from: of more, one is typed.
const CHOICE: u32 = 100;

/// Number of decisions that the page begins with.
const ROWS: usize = 12;

#[derive(Template)]
#[template(path = "today.html", config = "src/console/askama.toml")]
struct TodayPage {
    frame: Frame,
    script: &'static str,
    name: String,
    slug: String,
    /// Where the stream goes on.
    next: i64,
    perks: Vec<(String, String, bool)>,
    /// There are more of them than can be listed.
    is_typed: bool,
    day: String,
    sees_perks: bool,
    rows: Vec<FeedRow>,
    more: u64,
    figures: Figures,
}

#[derive(Template)]
#[template(path = "today_none.html", config = "src/console/askama.toml")]
struct NothingPage {
    frame: Frame,
    sees_perks: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TodayQuery {
    perk: Option<PerkSlug>,
}

#[get("/today")]
pub(super) async fn get_today(
    caller: Caller<Audit>,
    gateway: Data<Gateway>,
    query: Params<TodayQuery>,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?;
    let mut known = gateway.catalog.list_perks(&merchant.id, None, CHOICE + 1).await?;
    let is_typed = known.len() > CHOICE as usize;
    known.truncate(CHOICE as usize);
    let sees_perks = caller.role.may(Permission::ManagePerks);
    let perk = match &query.perk {
        Some(slug) => Some(gateway.catalog.find_perk(&merchant.id, slug).await?),
        // One that decides, if there is any.
        None => gateway.catalog.first_active(&merchant.id).await?.or_else(|| known.first().cloned()),
    };
    let Some(perk) = perk else {
        let frame = Frame::of("Today", Section::Today, caller.session(), gateway.clock.now());
        return page(&NothingPage { frame, sees_perks });
    };
    let sees_handles = caller.role.may(Permission::AnswerSubjects);
    // Before the numbers: what happens in between is in both rather than in neither.
    let seen = gateway.live.newest((&merchant.id, &perk.id), None, ROWS, sees_handles).await?;
    let figures = figures(&gateway, &caller, &perk).await?;
    let local = figures.at.to_zoned(figures.zone.clone());
    let mut perks: Vec<_> =
        known.iter().map(|it| (it.slug.to_string(), it.name.clone(), it.slug == perk.slug)).collect();
    if !perks.iter().any(|(.., is_chosen)| *is_chosen) {
        perks.push((perk.slug.to_string(), perk.name.clone(), true));
    }
    let zone_name = figures.zone_name.clone();
    let view = TodayPage {
        frame: Frame::of("Today", Section::Today, caller.session(), figures.at).in_zone(&zone_name, figures.at),
        script: assets::today_script(),
        next: seen.next,
        perks,
        is_typed,
        day: format!("{}, since 00:00 in {}", local.strftime("%A %-d %B"), place_of(&zone_name)),
        sees_perks,
        more: 0,
        rows: feed_rows(&seen, &figures),
        figures,
        name: perk.name,
        slug: perk.slug.to_string(),
    };
    page(&view)
}
