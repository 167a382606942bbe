//! Those who are inside, as far as a desk may see: when they came, by which tier, and how many.

use jiff::SignedDuration;

use super::caller::AtDesk;
use super::frame::Frame;
use super::words::Moment;
use crate::eligibility::grants::GrantStatus;
use crate::gateway::Gateway;
use crate::ledger::read::browse::EventFilter;
use crate::ledger::read::lists::ListedGrant;
use crate::rules::occupancy::House;
use crate::screens::place::perk_of;
use crate::web::problem::Problem;

/// The most pages of grants that are looked at for one list.
const PAGES: usize = 5;

/// The longest time back that is looked at, where no limit says how long guests may stay.
const A_DAY: SignedDuration = SignedDuration::from_hours(24);

/// A visit, by what the log says in the clear.
pub(super) struct VisitView {
    pub grant: String,
    pub at: Moment,
    pub tier: String,
    pub people: u64,
    pub charged: u64,
    /// A door has taken the token.
    pub is_redeemed: bool,
}

/// Those who hold a place and have not left, the last to come first; and where the list goes on.
pub(super) async fn list_visits(
    gateway: &Gateway,
    desk: &AtDesk,
    frame: &Frame,
    cursor: Option<&str>,
    most: usize,
) -> Result<(Vec<VisitView>, Option<String>), Problem> {
    let merchant = desk.merchant()?;
    let perk = perk_of(gateway, desk, merchant)?;
    let active = gateway.catalog.open_perk(&merchant.id, &perk).await?;
    let deciding = gateway.catalog.deciding(&merchant.id, &active, frame.now()).await?;
    let rule = &deciding.rule;
    let house = House::around(rule, desk.principal.location.as_deref()).ok();
    let longest = house.map_or(A_DAY, |house| SignedDuration::from_micros(house.max_stay.micros()));
    // Someone may come in as late as their token ends, and be inside from then on.
    let from = frame.now().checked_sub(longest.saturating_add(A_DAY)).ok();
    let filter = EventFilter { perk: Some(perk.to_string()), location: desk.place(), from, ..EventFilter::default() };
    let name_of = |id: &str| rule.tier(id).map_or_else(|| id.to_owned(), |tier| tier.name.clone());
    let is_inside = |grant: &ListedGrant| {
        let came = grant.redeemed_at.first().copied();
        let status = gateway.checker.grant_status(&grant.kid, grant.end, grant.expires_at, came.is_some()).0;
        match came {
            Some(came) if status == GrantStatus::Redeemed => frame.now().duration_since(came) < longest,
            _ => status == GrantStatus::Active,
        }
    };
    let mut visits = Vec::new();
    let mut next = cursor.map(str::to_owned);
    // Few of a page may be inside still: more are looked at before the list is short.
    for _ in 0..PAGES {
        let reader = gateway.ledger.reader();
        let found = reader.list_grants(&merchant.id, filter.clone(), None, next.as_deref(), most).await?;
        let inside = found.items.into_iter().filter(is_inside).map(|grant| {
            let came = grant.corrected.unwrap_or(grant.granted);
            VisitView {
                at: frame.moment(grant.check.at),
                tier: grant.check.tier.as_deref().map(name_of).unwrap_or_default(),
                people: came.party,
                charged: came.guests.map_or(0, |guests| guests.charged),
                is_redeemed: !grant.redeemed_at.is_empty(),
                grant: grant.grant.to_string(),
            }
        });
        visits.extend(inside);
        next = found.next;
        if visits.len() >= most || next.is_none() {
            break;
        }
    }
    Ok((visits, next))
}
