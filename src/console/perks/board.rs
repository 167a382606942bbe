//! A perk's numbers as the board has them.

use jiff::{SignedDuration, Timestamp};

use crate::console::icon::Icon;
use crate::console::words::{When, grouped};
use crate::eligibility::today::{PerkState, PerkToday, UsedOf};
use crate::foundation::json::Json;
use crate::perks::perk::{Perk, Scheduled};
use crate::rules::describe;
use crate::rules::rule::Rule;

/// A place that closes within this time closes soon.
const SOON: SignedDuration = SignedDuration::from_mins(30);

/// A state in a sign, a word and a line below.
#[derive(Debug, Clone)]
pub(in crate::console) struct StateView {
    pub class: &'static str,
    pub icon: Icon,
    pub words: &'static str,
    pub more: String,
}

/// The score that a tier is open from.
#[derive(Debug, Clone)]
pub(in crate::console) struct ThresholdView {
    pub score: String,
    pub tier: String,
}

/// A number of so many, with a bar.
#[derive(Debug, Clone)]
pub(in crate::console) struct UsedView {
    pub used: u64,
    pub most: u64,
    pub low: u64,
    pub high: u64,
    pub shown: String,
    pub of: String,
}

/// A row of the board.
#[derive(Debug, Clone)]
pub(in crate::console) struct PerkRow {
    pub slug: String,
    pub name: String,
    pub state: StateView,
    pub thresholds: Vec<ThresholdView>,
    /// None while nothing decides.
    pub granted: Option<String>,
    pub refused: Option<String>,
    pub limit: Option<UsedView>,
    pub inside: Option<UsedView>,
    pub version: String,
    /// The version that decides from an instant on.
    pub next: Option<(i32, String)>,
}

impl UsedView {
    pub(in crate::console) fn of(used: UsedOf) -> Self {
        let UsedOf { used, most, counts_people } = used;
        // Under three quarters there is nothing to look at; at 97 percent it is as good as full.
        let (low, high) = (most.saturating_mul(3) / 4, most.saturating_mul(97) / 100);
        let of = if counts_people { format!("of {} people", grouped(most)) } else { format!("of {}", grouped(most)) };
        Self { used: used.min(most), most, low, high: high.max(low), shown: grouped(used), of }
    }
}

impl PerkRow {
    pub(in crate::console) fn of(perk: &Perk, today: &PerkToday, scheduled: Option<Scheduled>, now: Timestamp) -> Self {
        let rule = today.deciding.as_ref().map(|(_, rule)| rule.as_ref());
        let decides = rule.is_some();
        let zone = rule.map_or(jiff::tz::TimeZone::UTC, |rule| rule.time_zone().clone());
        let version = match (today.deciding.as_ref(), perk.latest_version) {
            (Some((version, _)), _) => format!("v{version}"),
            (None, latest) => format!("v{latest}"),
        };
        let next = scheduled.map(|it| (it.version, When::of(it.at, &zone, now).text));
        Self {
            slug: perk.slug.to_string(),
            name: perk.name.clone(),
            state: state_view(perk, today.state, &zone, now),
            thresholds: rule.map(thresholds).unwrap_or_default(),
            granted: decides.then(|| grouped(today.day.granted)),
            refused: decides.then(|| grouped(today.day.refused)),
            limit: today.limit.map(UsedView::of),
            inside: today.inside.map(UsedView::of),
            version,
            next,
        }
    }

    pub(super) fn has_rule(&self) -> bool {
        self.granted.is_some()
    }
}

/// The thresholds of a rule, the highest tier first. A tier that asks for more than a score says so.
pub(super) fn thresholds(rule: &Rule) -> Vec<ThresholdView> {
    let Ok(document) = Json::parse(rule.canonical()) else { return Vec::new() };
    let mut tiers: Vec<&Json> = document.member("tiers").and_then(Json::as_list).unwrap_or_default().iter().collect();
    tiers.sort_by_key(|tier| std::cmp::Reverse(rank(rule, tier)));
    tiers.into_iter().map(|tier| ThresholdView { score: score_of(tier), tier: tier_name(tier) }).collect()
}

fn rank(rule: &Rule, tier: &Json) -> i64 {
    tier.member("id").and_then(Json::as_text).and_then(|id| rule.tier(id)).map_or(0, |tier| tier.rank)
}

pub(super) fn tier_name(tier: &Json) -> String {
    let text = |name: &str| tier.member(name).and_then(Json::as_text).map(str::to_owned);
    text("name").or_else(|| text("id")).unwrap_or_default()
}

/// The least score of a tier: `any` for one without a condition, `…` for one that asks for something else.
fn score_of(tier: &Json) -> String {
    let Some(when) = tier.member("when").filter(|when| **when != Json::Null) else { return "any".to_owned() };
    let words = describe::condition(when);
    let least = words.strip_prefix("at least ").or_else(|| words.strip_prefix("more than "));
    match least.filter(|rest| rest.bytes().all(|b| b.is_ascii_digit() || b == b'.')) {
        Some(score) => score.to_owned(),
        None => "…".to_owned(),
    }
}

fn state_view(perk: &Perk, state: PerkState, zone: &jiff::tz::TimeZone, now: Timestamp) -> StateView {
    let when = |at: Timestamp| When::of(at, zone, now).text;
    let until = |at: Timestamp| format!("until {}", when(at));
    let (class, icon, words, more) = match state {
        PerkState::Draft => ("off", Icon::Pen, "Draft", "never published".to_owned()),
        PerkState::Paused => ("off", Icon::Pause, "Paused", perk.status_note.clone().unwrap_or_default()),
        PerkState::Retired => ("off", Icon::Cross, "Retired", "for good".to_owned()),
        PerkState::Unreadable => {
            ("denied", Icon::Warning, "Not readable here", "a newer build wrote its rule".to_owned())
        }
        PerkState::Open { until: Some(at) } if at.duration_since(now) <= SOON => {
            let minutes = (at.duration_since(now).as_secs() + 59) / 60;
            ("wait", Icon::Clock, "Closes soon", format!("at {}, in {minutes} min", when(at)))
        }
        PerkState::Open { until: at } => ("granted", Icon::Tick, "Open", at.map_or_else(String::new, until)),
        PerkState::Closed { opens: Some(at) } => ("off", Icon::Clock, "Closed", format!("opens {}", when(at))),
        PerkState::Closed { opens: None } => ("off", Icon::Clock, "Closed", "no opening in sight".to_owned()),
        PerkState::PlaceClosed { until: at } => ("denied", Icon::Cross, "Closed by hand", until(at)),
        PerkState::Blackout { until: at } => ("off", Icon::Cross, "Blackout", until(at)),
        PerkState::NotYetValid { from } => ("wait", Icon::Clock, "Not yet valid", format!("from {}", when(from))),
        PerkState::NoLongerValid => ("off", Icon::Cross, "Over", "its validity has ended".to_owned()),
    };
    StateView { class, icon, words, more }
}
