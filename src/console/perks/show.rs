//! `/console/perks/{perk}`: the perk, its numbers of today, its published rule in sentences, and its versions.

use std::collections::BTreeSet;

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use askama::Template;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::board::PerkRow;
use super::sentences::{Part, parts};
use crate::access::role::permit::ManagePerks;
use crate::console::caller::Caller;
use crate::console::door::page;
use crate::console::frame::{Frame, Section};
use crate::console::words::{When, place_of, zone_of};
use crate::foundation::ids::PerkSlug;
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::perks::perk::{Perk, PerkStatus, RuleVersion, VersionStatus};
use crate::web::extract::Path;
use crate::web::problem::Problem;

/// The most versions that are listed.
const MOST_VERSIONS: u32 = 50;

#[derive(Template)]
#[template(path = "perk.html", config = "src/console/askama.toml")]
struct PerkPage {
    frame: Frame,
    row: PerkRow,
    lead: String,
    /// The version whose rule is shown, and whether it decides.
    shown: Option<(i32, bool)>,
    parts: Vec<Part>,
    versions: Vec<VersionView>,
    is_complete: bool,
}

/// A version in a list.
pub(super) struct VersionView {
    pub number: i32,
    pub class: &'static str,
    pub status: &'static str,
    pub author: String,
    pub made: When,
    pub note: String,
}

/// A status in a word and its colour.
pub(super) const fn status_words(status: VersionStatus) -> (&'static str, &'static str) {
    match status {
        VersionStatus::Draft => ("", "draft"),
        VersionStatus::InReview => ("wait", "waits for approval"),
        VersionStatus::Approved => ("wait", "approved"),
        VersionStatus::Scheduled => ("wait", "scheduled"),
        VersionStatus::Published => ("live", "decides"),
        VersionStatus::Retired => ("", "decided before"),
    }
}

impl VersionView {
    fn of(version: &RuleVersion, author: String, zone: &TimeZone, now: Timestamp) -> Self {
        let (class, status) = status_words(version.status);
        let made = When::of(version.created_at, zone, now);
        Self {
            number: version.version,
            class,
            status,
            author,
            made,
            note: version.change_note.clone().unwrap_or_default(),
        }
    }
}

#[get("/perks/{perk}")]
pub(in crate::console) async fn get_perk(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    slug: Path<PerkSlug>,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?;
    let perk = gateway.catalog.find_perk(&merchant.id, &slug).await?;
    let versions = gateway.catalog.list_versions(&merchant.id, &slug, None, MOST_VERSIONS).await?;
    let numbers = gateway.today.numbers(merchant, std::slice::from_ref(&perk)).await?;
    let today = numbers.perks.first().ok_or_else(Problem::not_found)?;
    let scheduled = gateway.catalog.list_schedules(&merchant.id).await?.remove(&perk.id);
    let row = PerkRow::of(&perk, today, scheduled, numbers.at);
    let deciding = today.deciding.as_ref().map(|(version, rule)| (*version, rule.canonical().to_owned()));
    let latest = versions.first().map(|version| (version.version, version.rule.clone()));
    let is_deciding = deciding.is_some();
    let (shown, rule) = match deciding.or(latest) {
        Some((version, rule)) => (Some((version, is_deciding)), Json::parse(&rule).ok()),
        None => (None, None),
    };
    let zone_name = rule.as_ref().and_then(|rule| rule.member("time_zone")).and_then(Json::as_text);
    let zone_name = zone_name.unwrap_or(&merchant.time_zone).to_owned();
    let zone = zone_of(&zone_name);
    let people: BTreeSet<String> = versions.iter().map(|version| version.author.clone()).collect();
    let labels = gateway.directory.labels_of(&merchant.id, people).await?;
    let view = |version: &RuleVersion| {
        let author = labels.get(&version.author).cloned().unwrap_or_else(|| version.author.clone());
        VersionView::of(version, author, &zone, numbers.at)
    };
    let versions: Vec<_> = versions.iter().map(view).collect();
    let frame =
        Frame::of(perk.name.clone(), Section::Perks, caller.session(), numbers.at).in_zone(&zone_name, numbers.at);
    let lead = lead(&perk, shown, &zone_name);
    let parts = rule.as_ref().map(parts).unwrap_or_default();
    page(&PerkPage { frame, row, lead, shown, parts, versions, is_complete: numbers.is_complete })
}

fn lead(perk: &Perk, shown: Option<(i32, bool)>, zone: &str) -> String {
    let (place, latest) = (place_of(zone), perk.latest_version);
    match shown {
        _ if perk.status == PerkStatus::Retired => {
            format!("It is retired, for good: nobody comes in. All times are {place}’s.")
        }
        Some((version, true)) if version < latest => {
            format!("Version {version} decides, version {latest} is the newest. All times are {place}’s.")
        }
        Some((version, true)) => format!("Version {version} decides. All times are {place}’s."),
        _ if perk.published_version.is_some() => {
            format!("What decides was written by a newer build and can’t be shown here. All times are {place}’s.")
        }
        _ => format!("Nothing of it is published, so nobody comes in. All times are {place}’s."),
    }
}
