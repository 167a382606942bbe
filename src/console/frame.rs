//! The frame around every page: its title, the navigation of a role, the clocks, and who is logged in.

use jiff::Timestamp;

use super::caller::{Visit, Waiting};
use super::words::{place_of, zone_of};
use super::{assets, icon::Icon};
use crate::access::Role;

/// A part of the console that the navigation names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Perks,
    Today,
    Waiting,
    Reports,
    Log,
    Keys,
    Accounts,
    Settings,
    Merchants,
    Health,
    Account,
    None,
}

impl Section {
    /// The parts that each role has, in their order.
    const ALL: [(Self, &'static str, &'static str, &'static [Role]); 10] = [
        (Self::Merchants, "/console/merchants", "Merchants", &[Role::Operator]),
        (Self::Health, "/console/health", "Health", &[Role::Operator]),
        (Self::Perks, "/console/perks", "Perks", &[Role::Admin]),
        (Self::Today, "/console/today", "Today", &[Role::Admin, Role::Auditor]),
        (Self::Waiting, "/console/waiting", "Waiting", &[Role::Admin]),
        (Self::Reports, "/console/reports/grants", "Reports", &[Role::Admin, Role::Auditor]),
        (Self::Log, "/console/log", "Log", &[Role::Admin, Role::Auditor]),
        (Self::Keys, "/console/keys", "Keys", &[Role::Admin, Role::Operator]),
        (Self::Accounts, "/console/accounts", "Accounts", &[Role::Admin, Role::Operator]),
        (Self::Settings, "/console/settings", "Settings", &[Role::Admin]),
    ];
}

/// Where people of a role begin.
pub(super) fn home_of(role: Role) -> &'static str {
    let own = Section::ALL.iter().find(|(_, _, _, roles)| roles.contains(&role));
    own.map_or("/console/account", |(_, address, _, _)| address)
}

/// A link of the navigation.
pub(super) struct NavLink {
    pub address: &'static str,
    pub words: &'static str,
    pub is_current: bool,
    /// Number of things there that wait for a person.
    pub count: Option<String>,
}

/// A clock of the band.
pub(super) struct ClockView {
    pub zone: String,
    pub place: String,
    pub time: String,
    /// The day of the week, where it is another than the first clock's.
    pub day: String,
    /// A script puts the viewer's own zone there.
    pub is_own: bool,
    /// Another one shows this zone already.
    pub is_hidden: bool,
}

/// The parts around a page.
pub(super) struct Frame {
    pub page: String,
    pub merchant: Option<String>,
    /// The label of who is logged in.
    pub me: Option<String>,
    pub is_account: bool,
    /// The data is a test's.
    pub is_test: bool,
    pub nav: Vec<NavLink>,
    pub clocks: Vec<ClockView>,
    pub form_token: String,
    pub styles: &'static str,
    pub scripts: &'static str,
    pub icon: &'static str,
    /// The sign of a person.
    pub person: Icon,
}

impl Frame {
    /// The frame of a page for someone who is logged in.
    pub(super) fn of(page: impl Into<String>, section: Section, session: &Visit, now: Timestamp) -> Self {
        let role = session.principal.role;
        let merchant = session.principal.merchant.as_ref();
        let own = Section::ALL.iter().filter(|(_, _, _, roles)| roles.contains(&role));
        let count = |it: Section| counted(session.waiting.map(Waiting::total)).filter(|_| it == Section::Waiting);
        let nav = own.map(|(it, address, words, _)| NavLink {
            address,
            words,
            is_current: *it == section,
            count: count(*it),
        });
        let zones = merchant.map(|merchant| merchant.time_zone.as_str()).into_iter().chain(["UTC"]);
        Self {
            merchant: Some(merchant.map_or_else(|| "Operator".to_owned(), |merchant| merchant.name.clone())),
            me: Some(session.label.clone()),
            is_account: section == Section::Account,
            is_test: merchant.is_some_and(|merchant| merchant.is_test),
            nav: nav.collect(),
            clocks: clocks(zones, now),
            form_token: session.form_token.clone(),
            ..Self::bare(page)
        }
    }

    /// The frame of a page for anyone: it names no merchant.
    pub(super) fn bare(page: impl Into<String>) -> Self {
        Self {
            page: page.into(),
            merchant: None,
            me: None,
            is_account: false,
            is_test: false,
            nav: Vec::new(),
            clocks: Vec::new(),
            form_token: String::new(),
            styles: assets::styles(),
            scripts: assets::scripts(),
            icon: assets::icon(),
            person: Icon::Person,
        }
    }

    /// Adds the clock of a perk, which comes first.
    pub(super) fn in_zone(mut self, zone: &str, now: Timestamp) -> Self {
        if !self.clocks.iter().any(|clock| clock.zone == zone) {
            let mut known: Vec<String> = self.clocks.iter().map(|clock| clock.zone.clone()).collect();
            known.dedup();
            self.clocks = clocks(std::iter::once(zone).chain(known.iter().map(String::as_str)), now);
        }
        self
    }

    /// The title: the page, the merchant, and whose console it is.
    pub(super) fn title(&self) -> String {
        let merchant = self.merchant.as_ref().map_or(String::new(), |name| format!(" · {name}"));
        format!("{}{merchant} · perkgate", self.page)
    }
}

/// A number in the band: nothing for none, and no more than two digits.
fn counted(number: Option<usize>) -> Option<String> {
    match number {
        None | Some(0) => None,
        Some(number @ 1..=99) => Some(number.to_string()),
        Some(_) => Some("99+".to_owned()),
    }
}

fn clocks<'a>(zones: impl Iterator<Item = &'a str>, now: Timestamp) -> Vec<ClockView> {
    let mut shown: Vec<ClockView> = Vec::new();
    let mut first_day = None;
    for zone in zones {
        let local = now.to_zoned(zone_of(zone));
        let day = local.date();
        let first = *first_day.get_or_insert(day);
        let is_hidden = shown.iter().any(|clock| clock.zone == zone);
        shown.push(ClockView {
            is_hidden,
            zone: zone.to_owned(),
            place: place_of(zone),
            time: local.strftime("%H:%M").to_string(),
            day: if day == first { String::new() } else { format!(" {}", local.strftime("%a")) },
            is_own: false,
        });
    }
    if let Some(last) = shown.last_mut() {
        last.is_own = true;
    }
    shown
}
