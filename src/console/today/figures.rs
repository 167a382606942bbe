//! The numbers of a perk's day, for the page and for its stream.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::access::{Merchant, Permission, Principal, Role};
use crate::console::icon::Icon;
use crate::console::perks::board::{PerkRow, StateView, UsedView};
use crate::console::words::{When, grouped, zone_of};
use crate::eligibility::occupancy::PlaceAsked;
use crate::eligibility::today::DayDecisions;
use crate::foundation::count::counted;
use crate::gateway::Gateway;
use crate::ledger::read::waiting::open_referrals;
use crate::perks::perk::Perk;
use crate::rules::rule::Rule;
use crate::web::problem::Problem;

/// The most keys of a role that are named.
const MOST_KEYS: u16 = 10;

/// A number on the board, by its digits.
pub(super) struct Tile {
    pub label: &'static str,
    pub digits: Vec<char>,
    pub number: String,
    pub sub: String,
    /// The page behind it.
    pub page: Option<&'static str>,
}

/// A share of a whole, as a bar.
pub(super) struct Bar {
    pub label: String,
    pub number: String,
    pub share: u64,
    pub whole: u64,
}

/// An hour as a bar of the chart.
pub(super) struct HourBar {
    pub x: usize,
    pub label: String,
    pub title: String,
    pub total: String,
    pub granted_y: u64,
    pub granted_height: u64,
    pub refused_y: u64,
    pub refused_height: u64,
}

pub(super) struct Figures {
    pub at: Timestamp,
    pub time: String,
    pub zone: TimeZone,
    pub zone_name: String,
    pub state: StateView,
    pub tiles: Vec<Tile>,
    pub limits: Vec<(String, UsedView)>,
    pub reasons: Vec<Bar>,
    pub hours: Vec<HourBar>,
    pub health: Vec<(Icon, String)>,
    pub is_complete: bool,
    rule: Option<Arc<Rule>>,
}

impl Figures {
    /// The name of a tier, or its id where another version granted it.
    pub(super) fn tier_name(&self, id: &str) -> String {
        let tier = self.rule.as_ref().and_then(|rule| rule.tier(id));
        tier.map_or_else(|| id.to_owned(), |tier| tier.name.clone())
    }
}

/// The numbers now.
pub(super) async fn figures(gateway: &Gateway, caller: &Principal, perk: &Perk) -> Result<Figures, Problem> {
    let merchant = caller.merchant()?;
    let numbers = gateway.today.numbers(merchant, std::slice::from_ref(perk)).await?;
    let today = numbers.perks.first().ok_or_else(Problem::not_found)?;
    let now = numbers.at;
    let rule = today.deciding.as_ref().map(|(_, rule)| rule.clone());
    let zone = rule.as_ref().map_or_else(|| zone_of(&merchant.time_zone), |rule| rule.time_zone().clone());
    let zone_name = zone.iana_name().unwrap_or(&merchant.time_zone).to_owned();
    let row = PerkRow::of(perk, today, None, now);
    let cases = open_referrals(gateway.ledger.reader(), &merchant.id, &perk.id).await?;
    let asked = PlaceAsked { perk: perk.slug.clone(), location: None, own: None };
    let inside = match &row.inside {
        Some(inside) => {
            let counted = gateway.floor.occupancy(merchant, &asked).await.ok();
            let most = counted.map_or_else(String::new, |it| format!(", at most {} today", grouped(it.peak_today)));
            tile("Inside now", inside.used, format!("{}{most}", inside.of))
        }
        None => Tile {
            label: "Inside now",
            digits: Vec::new(),
            number: "–".to_owned(),
            sub: "no limit counts it".to_owned(),
            page: None,
        },
    };
    let oldest = cases.since.map(|at| When::of(at, &zone, now).text);
    let waits = oldest.map_or_else(|| "nobody waits".to_owned(), |at| format!("the first since {at}"));
    let decides = caller.role.may(Permission::Decide);
    let tiles = vec![
        inside,
        tile("Granted", today.day.granted, "today".to_owned()),
        tile("Refused", today.day.refused, "today, for the reasons below".to_owned()),
        Tile {
            page: Some("/console/waiting?kind=referral").filter(|_| decides && cases.number > 0),
            ..tile("With a person", cases.number, waits)
        },
    ];
    Ok(Figures {
        at: now,
        time: now.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string(),
        limits: today.limits.iter().map(|(id, used)| (id.clone(), UsedView::of(*used))).collect(),
        reasons: reasons(&today.day),
        hours: hours(&today.day, &zone, now),
        health: health(gateway, merchant, &today.day, (&zone, now)).await?,
        is_complete: numbers.is_complete,
        state: row.state,
        tiles,
        rule,
        zone,
        zone_name,
    })
}

fn tile(label: &'static str, number: u64, sub: String) -> Tile {
    let number = grouped(number);
    Tile { label, digits: number.chars().filter(char::is_ascii_digit).collect(), number, sub, page: None }
}

/// The refusals by their first reason, the commonest first.
fn reasons(day: &DayDecisions) -> Vec<Bar> {
    let mut reasons: Vec<_> = day.reasons.iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let whole = day.refused.max(1);
    let bar =
        |(code, count): (&String, &u64)| Bar { label: words_of(code), number: grouped(*count), share: *count, whole };
    reasons.into_iter().take(8).map(bar).collect()
}

/// A code as words.
fn words_of(code: &str) -> String {
    let words = code.replace('_', " ");
    let mut letters = words.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}", letters.as_str())
}

/// The height of the chart's highest bar.
const HEIGHT: u64 = 150;

fn hours(day: &DayDecisions, zone: &TimeZone, now: Timestamp) -> Vec<HourBar> {
    let most = day.hours.iter().map(|(granted, refused)| granted + refused).max().unwrap_or(0).max(1);
    let midnight = now.to_zoned(zone.clone()).start_of_day().map_or(now, |day| day.timestamp());
    let first = day.hours.iter().position(|hour| *hour != (0, 0)).unwrap_or(0);
    let bar = |(nth, (granted, refused)): (usize, &(u64, u64))| {
        let begins = midnight.saturating_add(SignedDuration::from_hours(i64::try_from(nth).unwrap_or(0)));
        let label = begins.map_or_else(|_| String::new(), |at| at.to_zoned(zone.clone()).strftime("%H").to_string());
        let (granted_height, refused_height) = (granted * HEIGHT / most, refused * HEIGHT / most);
        HourBar {
            x: 4 + (nth - first) * 40,
            title: format!("{label}: {} granted, {} refused", grouped(*granted), grouped(*refused)),
            total: grouped(granted + refused),
            label,
            granted_y: 20 + HEIGHT - granted_height,
            granted_height,
            refused_y: 20 + HEIGHT - granted_height - refused_height,
            refused_height,
        }
    };
    day.hours.iter().enumerate().skip(first).map(bar).collect()
}

/// The things that work and those that don't, as sentences.
async fn health(
    gateway: &Gateway,
    merchant: &Merchant,
    day: &DayDecisions,
    (zone, now): (&TimeZone, Timestamp),
) -> Result<Vec<(Icon, String)>, Problem> {
    let mut said = Vec::new();
    for (role, what) in [(Role::Kiosk, "Kiosk"), (Role::Door, "Door"), (Role::Desk, "Desk")] {
        let keys = gateway.directory.keys_least_seen(&merchant.id, role, MOST_KEYS).await?;
        for key in keys.first {
            // A use is noted to the hour.
            let (icon, seen) = match key.last_used_at {
                None => (Icon::Clock, "has not been seen yet".to_owned()),
                Some(at) if now.duration_since(at) < SignedDuration::from_hours(2) => {
                    (Icon::Tick, format!("was seen since {}", When::of(at, zone, now).text))
                }
                Some(at) => (Icon::Warning, format!("was last seen at about {}", When::of(at, zone, now).text)),
            };
            said.push((icon, format!("{what} {} {seen}", key.label)));
        }
        if keys.more > 0 {
            said.push((
                Icon::Clock,
                format!("{} more, seen later than these", counted(keys.more, &what.to_lowercase())),
            ));
        }
    }
    let refused_for = |code: &str| day.reasons.get(code).copied().unwrap_or(0);
    let (stale, missing) = (refused_for("score_stale"), refused_for("score_missing"));
    said.push(if stale + missing == 0 {
        (Icon::Tick, "Nobody was refused for want of a fresh score".to_owned())
    } else {
        let without = counted(missing, "refusal");
        (Icon::Warning, format!("{without} without a score, {} by one that is too old", grouped(stale)))
    });
    if !gateway.directory.is_reachable() {
        said.push((Icon::Warning, "The database can’t be reached at the moment".to_owned()));
    }
    if gateway.redis_fault().is_some() {
        said.push((Icon::Warning, "Redis is away: scores are read from the database".to_owned()));
    }
    Ok(said)
}
