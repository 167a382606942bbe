//! The numbers of each perk's own day: what was granted and refused, what is used of the daily limit, who is inside, and
//! until when it is open. They are for people who look at a list of perks; nothing is decided by them.
//!
//! - `tally`: the decisions of the last day, read off the log's end as it grows
//! - `live`: decisions as they happen

pub mod live;
mod tally;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::access::Merchant;
use crate::foundation::clock::Clock;
use crate::foundation::ids::MerchantId;
use crate::foundation::subject::Pseudonym;
use crate::ledger::Ledger;
use crate::ledger::occupancy::CountedPlace;
use crate::ledger::read::today::{CountersAsked, read_counters};
use crate::perks::active_perk::ActivePerk;
use crate::perks::catalog::Catalog;
use crate::perks::error::PerkError;
use crate::perks::perk::{Perk, PerkStatus};
use crate::rules::availability::Availability;
use crate::rules::limit::{Cost, Limit, Place, Scope, ScopeDigests, Unit, Window};
use crate::rules::occupancy::House;
use crate::rules::rule::Rule;
use tally::Tally;

/// The ability of a perk to admit anyone now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PerkState {
    /// Nothing of it is published.
    Draft,
    Paused,
    Retired,
    /// This build can't read its rule.
    Unreadable,
    Open {
        until: Option<Timestamp>,
    },
    /// Out of hours.
    Closed {
        opens: Option<Timestamp>,
    },
    /// Someone closed the place.
    PlaceClosed {
        until: Timestamp,
    },
    Blackout {
        until: Timestamp,
    },
    NotYetValid {
        from: Timestamp,
    },
    NoLongerValid,
}

/// The use of a limit, of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedOf {
    pub used: u64,
    pub most: u64,
    /// It counts each person of a party.
    pub counts_people: bool,
}

/// The decisions of a day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DayDecisions {
    pub granted: u64,
    pub refused: u64,
    /// The refusals by the code of their first reason.
    pub reasons: BTreeMap<String, u64>,
    /// Granted and refused in each hour from midnight on, up to the last in which there was any.
    pub hours: Vec<(u64, u64)>,
}

/// One perk's numbers of its own day.
#[derive(Debug, Clone)]
pub struct PerkToday {
    /// The version that decides, and its rule.
    pub deciding: Option<(i32, Arc<Rule>)>,
    pub state: PerkState,
    pub day: DayDecisions,
    /// The limits of the perk as a whole that count by the calendar, by their ids: the daily one first.
    pub limits: Vec<(String, UsedOf)>,
    /// The daily limit of the perk as a whole; none where it has none.
    pub limit: Option<UsedOf>,
    /// Who is inside; none where nobody counts.
    pub inside: Option<UsedOf>,
}

/// The numbers of several perks.
#[derive(Debug, Clone)]
pub struct Numbers {
    pub at: Timestamp,
    /// False while so many decisions of the day are unread that the next look will find more.
    pub is_complete: bool,
    /// In the order of the perks.
    pub perks: Vec<PerkToday>,
}

/// The numbers of each perk's day. Cheap to clone.
#[derive(Clone)]
pub struct Today {
    catalog: Catalog,
    ledger: Ledger,
    clock: Clock,
    tallies: Arc<Mutex<HashMap<MerchantId, Arc<tokio::sync::Mutex<Tally>>>>>,
}

/// A perk as the catalog has it.
struct Found {
    state: PerkState,
    active: Option<Arc<ActivePerk>>,
    deciding: Option<(i32, Arc<Rule>)>,
}

/// Where the counters of a perk are among those that were asked for.
#[derive(Default)]
struct Places {
    limits: Vec<AskedLimit>,
    inside: Option<(usize, u64)>,
}

/// A limit whose counter was asked for.
struct AskedLimit {
    id: String,
    nth: usize,
    most: u64,
    counts_people: bool,
    is_daily: bool,
}

impl Today {
    pub(crate) fn new(catalog: Catalog, ledger: Ledger, clock: Clock) -> Self {
        Self { catalog, ledger, clock, tallies: Arc::default() }
    }

    /// The numbers of these perks of the merchant, now.
    ///
    /// # Errors
    /// The database's.
    pub async fn numbers(&self, merchant: &Merchant, perks: &[Perk]) -> Result<Numbers, PerkError> {
        let now = self.clock.now();
        let (mut shown, mut places, mut asked) = (Vec::new(), Vec::new(), CountersAsked::default());
        for perk in perks {
            let Found { state, active, deciding } = self.find(merchant, perk, now).await?;
            let rule = deciding.as_ref().map(|(_, rule)| rule);
            let of = rule.zip(active.as_ref()).map(|(rule, active)| ask(merchant, active, rule, now, &mut asked));
            places.push(of.unwrap_or_default());
            let day = DayDecisions::default();
            shown.push(PerkToday { deciding, state, day, limits: Vec::new(), limit: None, inside: None });
        }
        let of = merchant.id.clone();
        let read = self
            .ledger
            .context()
            .database
            .read(move |conn| read_counters(conn, &of, &asked, now).map(|it| (it, asked)));
        let (counters, asked) = read.await.map_err(PerkError::from)?;
        let tally = self.tally_of(&merchant.id);
        let mut tally = tally.lock().await;
        let is_complete = tally.catch_up(&self.ledger, &merchant.id, now).await?;
        for ((perk, shown), place) in perks.iter().zip(&mut shown).zip(&places) {
            let zone = shown.deciding.as_ref().map(|(_, rule)| rule.time_zone().clone());
            let midnight = zone.and_then(|zone| now.to_zoned(zone).start_of_day().ok()).map(|day| day.timestamp());
            shown.day = tally.since(perk.id.as_str(), midnight.unwrap_or(now));
            for AskedLimit { id, nth, most, counts_people, is_daily } in &place.limits {
                let Some(counter) = asked.counters.get(*nth) else { continue };
                let used = counters.used.get(counter).copied().unwrap_or(0);
                let used = UsedOf { used, most: *most, counts_people: *counts_people };
                shown.limits.push((id.clone(), used));
                shown.limit = shown.limit.or(is_daily.then_some(used));
            }
            shown.inside = place
                .inside
                .and_then(|(nth, most)| Some(UsedOf { used: *counters.inside.get(nth)?, most, counts_people: true }));
        }
        Ok(Numbers { at: now, is_complete, perks: shown })
    }

    async fn find(&self, merchant: &Merchant, perk: &Perk, now: Timestamp) -> Result<Found, PerkError> {
        let found = |state, active| Found { state, active, deciding: None };
        if perk.status == PerkStatus::Retired {
            return Ok(found(PerkState::Retired, None));
        }
        let active = match self.catalog.open_perk(&merchant.id, &perk.slug).await {
            Ok(active) => active,
            Err(PerkError::NotFound(_)) => return Ok(found(PerkState::Draft, None)),
            Err(error) => return Err(error),
        };
        let deciding = match self.catalog.deciding(&merchant.id, &active, now).await {
            Ok(deciding) => deciding,
            Err(PerkError::RuleNewer { .. }) => return Ok(found(PerkState::Unreadable, Some(active))),
            Err(PerkError::NotFound(_)) => return Ok(found(PerkState::Draft, Some(active))),
            Err(error) => return Err(error),
        };
        let state = match active.status {
            PerkStatus::Paused => PerkState::Paused,
            PerkStatus::Active | PerkStatus::Retired => state_at(&active, &deciding.rule, now),
        };
        Ok(Found { state, active: Some(active), deciding: Some((deciding.version, deciding.rule.clone())) })
    }

    fn tally_of(&self, merchant: &MerchantId) -> Arc<tokio::sync::Mutex<Tally>> {
        /// Each is read off the log again.
        const MOST: usize = 1_000;
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        if tallies.len() >= MOST && !tallies.contains_key(merchant) {
            tallies.clear();
        }
        tallies.entry(merchant.clone()).or_default().clone()
    }
}

/// The state of a perk that is on offer, for people at no location in particular.
fn state_at(active: &ActivePerk, rule: &Rule, now: Timestamp) -> PerkState {
    if let Some(closure) = active.closures.iter().find(|closure| closure.closes(None, now)) {
        return PerkState::PlaceClosed { until: closure.until };
    }
    match rule.availability(now) {
        Availability::NotYetValid { from } => PerkState::NotYetValid { from },
        Availability::NoLongerValid => PerkState::NoLongerValid,
        Availability::Blackout { until, .. } => PerkState::Blackout { until },
        Availability::Closed { opens } => PerkState::Closed { opens },
        Availability::Open => {
            let hours = rule.schedule().next_closing(rule.time_zone(), now);
            let valid = rule.valid().until.map(|(_, until)| until);
            let blackouts =
                rule.blackouts().iter().filter_map(|it| it.next(rule.time_zone(), now)).map(|(from, _)| from);
            // One that is far off is no part of today.
            let near = blackouts.filter(|from| from.duration_since(now) < jiff::SignedDuration::from_hours(24)).min();
            PerkState::Open { until: [hours, valid, near].into_iter().flatten().min() }
        }
    }
}

/// Asks for the counters of a perk.
fn ask(merchant: &Merchant, active: &ActivePerk, rule: &Rule, now: Timestamp, asked: &mut CountersAsked) -> Places {
    let mut places = Places::default();
    let of_perk = |limit: &&Limit| limit.scope == [Scope::Perk] && matches!(limit.window, Window::Calendar(_));
    for limit in rule.limits().iter().filter(of_perk) {
        let at = Place { merchant: merchant.id.as_str(), location: None, kiosk: None, pass_month: None };
        let claim = limit.claims(rule.time_zone(), "", 1, &at, now).next();
        let scope =
            claim.as_ref().and_then(|it| it.scope.resolve(&Pseudonym::stored(""), &ScopeDigests::default()).ok());
        if let Some((claim, scope)) = claim.zip(scope) {
            places.limits.push(AskedLimit {
                id: limit.id.clone(),
                nth: asked.counters.len(),
                most: claim.max,
                counts_people: limit.cost == Cost::Party,
                is_daily: matches!(limit.window, Window::Calendar(Unit::Day)),
            });
            asked.counters.push([active.id.as_str().to_owned(), limit.id.clone(), scope, claim.window_key]);
        }
    }
    places.limits.sort_by_key(|limit| !limit.is_daily);
    if let Ok(house) = House::of(rule, None, None) {
        places.inside = Some((asked.places.len(), house.capacity));
        let (merchant, perk, slug) = (merchant.id.clone(), active.id.clone(), active.slug.clone());
        asked.places.push(CountedPlace { merchant, perk, slug, house });
    }
    places
}
