//! All that stands around the pages of a desk: its band, the field to scan into, and who is inside. What can't be read
//! now is left out and said, so that there is a page also while the database is away.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::caller::AtDesk;
use super::visits::{VisitView, list_visits};
use super::words::Moment;
use crate::access::{ApiKey, Merchant};
use crate::eligibility::occupancy::{Occupancy, OccupancyRequestError, PlaceAsked};
use crate::foundation::ids::{KeyId, PerkSlug};
use crate::foundation::subject::hex;
use crate::gateway::Gateway;
use crate::perks::active_perk::ActivePerk;
use crate::perks::closures::closing;
use crate::rules::rule::Rule;
use crate::screens::assets;
use crate::screens::place::perk_of;

/// The number of visits that stand beside every page.
const LAST_VISITS: usize = 5;

/// The time ahead of which those who leave by themselves are said.
const SOON: SignedDuration = SignedDuration::from_mins(30);

/// The parts that every page of a desk has.
pub(super) struct Frame {
    pub styles: &'static str,
    pub script: &'static str,
    pub icon: &'static str,
    pub page_token: String,
    /// The attempt that a form of this page is.
    pub attempt: String,
    pub merchant: String,
    pub perk: String,
    pub place: String,
    pub clock: Moment,
    pub city: String,
    /// The name of the clerk who is signed in.
    pub clerk: Option<String>,
    /// Those who can sign in, where nobody is.
    pub clerks: Vec<(String, String)>,
    /// All who can.
    pub everyone: Vec<(String, String)>,
    /// The database can't be asked.
    pub is_away: bool,
    /// Why the desk can't work at all.
    pub trouble: Option<String>,
    pub inside: Option<InsideView>,
    pub visits: Vec<VisitView>,
    /// There are more than were looked at.
    pub has_earlier: bool,
    pub closed: Option<ClosedView>,
    /// The rule looks at how many come.
    pub asks_party: bool,
    pub typed: Typed,
    zone: TimeZone,
    now: Timestamp,
}

/// The text in the field to scan into, and how many come.
pub(super) struct Typed {
    pub read: String,
    pub people: String,
    /// Why it was not taken.
    pub error: Option<String>,
}

/// How full the place is.
pub(super) struct InsideView {
    pub used: u64,
    pub digits: Vec<char>,
    pub capacity: u64,
    pub free: u64,
    /// From here on it is nearly full.
    pub high: u64,
    /// Those who leave soon by themselves, and by when.
    pub leaving: Option<(u64, Moment)>,
    /// The count is this desk's to correct.
    pub is_own: bool,
}

/// A place that is closed.
pub(super) struct ClosedView {
    pub id: String,
    pub until: Moment,
    /// It can be opened here.
    pub is_own: bool,
}

impl InsideView {
    fn of(it: &Occupancy, is_own: bool, zone: &TimeZone, now: Timestamp) -> Self {
        let soon = now.saturating_add(SOON).unwrap_or(Timestamp::MAX);
        let leaving: Vec<_> = it.expected_releases.iter().filter(|release| release.by <= soon).collect();
        let count = leaving.iter().map(|release| release.count).sum();
        Self {
            used: it.inside,
            digits: it.inside.to_string().chars().collect(),
            capacity: it.capacity,
            free: it.free,
            high: it.capacity.saturating_mul(9) / 10,
            is_own,
            leaving: leaving.last().map(|last| (count, Moment::of(last.by, zone, now))),
        }
    }
}

impl Frame {
    /// The frame as things are.
    pub(super) async fn load(gateway: &Gateway, desk: &AtDesk) -> Self {
        let now = gateway.clock.now();
        let merchant = desk.principal.merchant.as_ref();
        let place = [desk.principal.location.as_deref(), desk.principal.kiosk.as_deref()];
        let mut frame = Self {
            styles: assets::desk_styles(),
            script: assets::desk_script(),
            icon: assets::icon(),
            page_token: desk.page_token.clone(),
            attempt: hex(&gateway.entropy.bytes::<16>()),
            merchant: merchant.map(|merchant| merchant.name.clone()).unwrap_or_default(),
            perk: String::new(),
            place: place.into_iter().flatten().collect::<Vec<_>>().join(" · "),
            clock: Moment::of(now, &TimeZone::UTC, now),
            city: String::new(),
            clerk: None,
            clerks: Vec::new(),
            everyone: Vec::new(),
            is_away: false,
            trouble: None,
            inside: None,
            visits: Vec::new(),
            has_earlier: false,
            closed: None,
            asks_party: false,
            typed: Typed { read: String::new(), people: String::new(), error: None },
            zone: TimeZone::UTC,
            now,
        };
        let Some(merchant) = merchant else { return frame };
        let perk = perk_of(gateway, desk, merchant);
        let active = match &perk {
            Ok(slug) => gateway.catalog.open_perk(&merchant.id, slug).await.ok(),
            Err(_) => None,
        };
        let rule = rule_of(gateway, merchant, active.as_deref(), now).await;
        frame.zone = zone_for(rule.as_deref(), merchant);
        frame.clock = Moment::of(now, &frame.zone, now);
        frame.city = city_of(&frame.zone);
        frame.asks_party = rule.as_deref().is_some_and(Rule::looks_at_party);
        let slug = match perk {
            Ok(slug) => slug,
            Err(problem) => {
                frame.trouble = Some(problem.detail.into_owned());
                return frame;
            }
        };
        frame.perk = slug.to_string();
        if let Some(active) = &active {
            frame.closed = closed_of(desk, active, &frame.zone, now);
        }
        // The first question to the database: while it is away, no page waits for a second one.
        let Ok(clerks) = gateway.directory.list_clerks(merchant.id.clone()).await else {
            frame.is_away = true;
            return frame;
        };
        frame.set_clerks(desk.clerk(gateway).await.as_ref().map(KeyId::as_str), clerks);
        frame.read_place(gateway, desk, merchant, &slug).await;
        frame
    }

    fn set_clerks(&mut self, signed_in: Option<&str>, clerks: Vec<ApiKey>) {
        let named = clerks.into_iter().map(|key| (key.id.to_string(), key.label));
        let named: Vec<_> = named.collect();
        self.everyone.clone_from(&named);
        let (own, others): (Vec<_>, Vec<_>) = named.into_iter().partition(|(id, _)| Some(id.as_str()) == signed_in);
        self.clerk = own.into_iter().next().map(|(_, name)| name);
        if self.clerk.is_none() {
            self.clerks = others;
        }
    }

    async fn read_place(&mut self, gateway: &Gateway, desk: &AtDesk, merchant: &Merchant, slug: &PerkSlug) {
        if let Ok(perk) = gateway.catalog.find_perk(&merchant.id, slug).await {
            self.perk = perk.name;
        }
        let asked = PlaceAsked { perk: slug.clone(), location: None, own: desk.principal.location.clone() };
        match gateway.floor.occupancy(merchant, &asked).await {
            Ok(found) => {
                let is_own = desk.require_all_of(found.location.as_deref()).is_ok();
                self.inside = Some(InsideView::of(&found, is_own, &self.zone, self.now));
            }
            Err(OccupancyRequestError::NoOccupancy(_)) => {}
            Err(_) => self.is_away = true,
        }
        match Box::pin(list_visits(gateway, desk, self, None, LAST_VISITS)).await {
            Ok((visits, next)) => {
                self.has_earlier = next.is_some();
                self.visits = visits;
            }
            Err(_) => self.is_away = true,
        }
    }

    /// The zone of the place. No I/O where its rule is known.
    pub(super) async fn zone_of(gateway: &Gateway, desk: &AtDesk) -> TimeZone {
        let Some(merchant) = &desk.principal.merchant else { return TimeZone::UTC };
        let active = match perk_of(gateway, desk, merchant) {
            Ok(slug) => gateway.catalog.open_perk(&merchant.id, &slug).await.ok(),
            Err(_) => None,
        };
        let rule = rule_of(gateway, merchant, active.as_deref(), gateway.clock.now()).await;
        zone_for(rule.as_deref(), merchant)
    }

    /// The instant in the words of the place.
    pub(super) fn moment(&self, at: Timestamp) -> Moment {
        Moment::of(at, &self.zone, self.now)
    }

    /// The name of the zone, for the script's clock.
    pub(super) fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    pub(super) const fn zone(&self) -> &TimeZone {
        &self.zone
    }

    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    /// The count can be corrected here.
    pub(super) fn may_count(&self) -> bool {
        self.inside.as_ref().is_some_and(|inside| inside.is_own)
    }

    /// Someone has to sign in before they can do what clerks do.
    pub(super) fn asks_clerk(&self) -> bool {
        !self.clerks.is_empty()
    }
}

async fn rule_of(
    gateway: &Gateway,
    merchant: &Merchant,
    active: Option<&ActivePerk>,
    now: Timestamp,
) -> Option<Arc<Rule>> {
    let deciding = gateway.catalog.deciding(&merchant.id, active?, now).await.ok()?;
    Some(deciding.rule.clone())
}

fn zone_for(rule: Option<&Rule>, merchant: &Merchant) -> TimeZone {
    let own = || TimeZone::get(&merchant.time_zone).unwrap_or(TimeZone::UTC);
    rule.map_or_else(own, |rule| rule.time_zone().clone())
}

/// The place that a zone is called by: `Hong Kong`.
fn city_of(zone: &TimeZone) -> String {
    let name = zone.iana_name().unwrap_or("UTC");
    name.rsplit('/').next().unwrap_or(name).replace('_', " ")
}

fn closed_of(desk: &AtDesk, active: &ActivePerk, zone: &TimeZone, now: Timestamp) -> Option<ClosedView> {
    let closure = closing(&active.closures, desk.principal.location.as_deref(), now)?;
    Some(ClosedView {
        id: closure.id.to_string(),
        until: Moment::of(closure.until, zone, now),
        is_own: desk.require_all_of(closure.location.as_deref()).is_ok(),
    })
}
