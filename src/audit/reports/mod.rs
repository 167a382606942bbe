//! Reports: what was granted, what is to be billed, and whom the rules turned away.
//!
//! Each is counted from the events of the log as they stood when it was begun, in one pass over pages of
//! bounded size: nothing is locked, memory holds a page and the groups, and a caller that stops waiting ends it.
//! `tally.rs` counts, `columns.rs` names what is counted, `sheet.rs` and `html.rs` write it down.
//!
//! To count something new: its column in `columns.rs`, and where it is counted in `tally.rs`.

pub mod asked;
pub mod columns;
mod facts;
pub mod html;
mod reading;
pub mod sheet;
mod store;
mod tally;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;

use crate::access::Merchant;
use crate::database::DatabaseError;
use crate::foundation::clock::Clock;
use crate::foundation::ids::{PerkId, PerkSlug};
use crate::foundation::json::Json;
use crate::ledger::door::LATEST_REPORT;
use crate::ledger::{Ledger, LedgerError};
use asked::{AskedError, Bound, GroupBy, ReportKind, ReportPeriod};
use reading::{PAGE, Wanted};
use sheet::{Head, ReportSheet};
use tally::{MOST_GROUPS, Tally, TooMany};

/// The most reports that are counted at once in a process.
const AT_ONCE: usize = 4;

/// The report that is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    pub kind: ReportKind,
    /// The fairness report has groups of its own.
    pub group_by: Option<GroupBy>,
    pub from: Option<Bound>,
    pub to: Option<Bound>,
    /// A name of the IANA time zone database; the merchant's own zone without it.
    pub time_zone: Option<String>,
    /// This perk only.
    pub perk: Option<(PerkSlug, PerkId)>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(transparent)]
    Asked(#[from] AskedError),
    #[error(
        "there are more than {MOST_GROUPS} groups or limits: ask for a shorter period, one perk, or another `group_by`"
    )]
    TooManyGroups,
    #[error("this gateway counts {AT_ONCE} reports at once: try again in a moment")]
    Crowded,
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Makes reports; cheap to clone.
#[derive(Clone)]
pub struct Reporter {
    ledger: Ledger,
    clock: Clock,
    turns: Arc<Semaphore>,
}

impl Reporter {
    #[must_use]
    pub fn new(ledger: Ledger, clock: Clock) -> Self {
        Self { ledger, clock, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Counts the period; `progress` hears of each page that was read. Dropping the future ends it after the page
    /// that is being read.
    ///
    /// # Errors
    /// [`ReportError`].
    pub async fn report(
        &self,
        merchant: &Merchant,
        asked: Asked,
        progress: impl Fn(),
    ) -> Result<ReportSheet, ReportError> {
        let Asked { kind, group_by, from, to, time_zone, perk } = asked;
        let as_of = self.clock.now();
        let period =
            ReportPeriod::between(from, to, asked::zone(time_zone.as_deref().unwrap_or(&merchant.time_zone))?, as_of)?;
        let group_by = if kind == ReportKind::Fairness { Some(GroupBy::ScoreBand) } else { group_by };
        let _turn = self.turns.try_acquire().map_err(|_| ReportError::Crowded)?;
        let whole = self.ledger.reader().stretch(&merchant.id, None, Timestamp::MAX).await?;
        // What doors report late stands in the log up to so much later than it happened.
        let until = period.to.saturating_add(LATEST_REPORT + SignedDuration::from_mins(1)).unwrap_or(Timestamp::MAX);
        let mut stretch = self.ledger.reader().stretch(&merchant.id, period.from, until).await?;
        stretch.before = stretch.before.min(whole.before);
        let mut tally = Tally::new(kind, group_by, &period, as_of);
        let (perk, perk_id) = perk.unzip();
        let merchant_id = merchant.id.clone();
        let wanted = Wanted { kind, merchant: merchant_id, perk: perk_id, period: period.clone(), head: whole.before };
        let means = self.ledger.context();
        while stretch.from < stretch.before {
            let next = stretch.before.min(stretch.from + PAGE);
            let (keyring, asked, at) = (means.keyring.clone(), wanted.clone(), (stretch.from, next));
            let read = means.database.read(move |conn| {
                let counted = reading::page(conn, &keyring, &asked, at, &mut tally)?;
                Ok::<_, DatabaseError>(counted.map(|()| tally))
            });
            tally = read.await?.map_err(|TooMany| ReportError::TooManyGroups)?;
            stretch.from = next;
            progress();
        }
        let id = merchant.id.clone();
        let read = means.database.read(move |conn| {
            Ok::<_, DatabaseError>((store::list_perk_names(conn, &id)?, store::list_published_rules(conn, &id)?))
        });
        let (perk_names, rules) = read.await?;
        let rules = rules.iter().filter(|(of, _)| wanted.perk.as_ref().is_none_or(|perk| perk.as_str() == of));
        let head = Head {
            kind,
            group_by,
            merchant: merchant.slug.to_string(),
            merchant_name: merchant.name.clone(),
            perk_names: perk_names.into_iter().collect(),
            tier_names: tier_names(rules.map(|(_, rule)| rule.as_str())),
            perk: perk.map(|slug| slug.to_string()),
            period,
            as_of,
            log_size: whole.before,
        };
        Ok(ReportSheet::of(head, tally))
    }
}

/// The names of tiers by their ids, where the rules agree: two perks may mean different things by one id.
fn tier_names<'a>(rules: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    let mut names: BTreeMap<String, Option<String>> = BTreeMap::new();
    for rule in rules.filter_map(|rule| Json::parse(rule).ok()) {
        for tier in rule.member("tiers").and_then(Json::as_list).unwrap_or_default() {
            let text = |name: &str| tier.member(name).and_then(Json::as_text).map(str::to_owned);
            let Some((id, name)) = text("id").zip(text("name")) else { continue };
            let known = names.entry(id).or_insert_with(|| Some(name.clone()));
            if known.as_ref() != Some(&name) {
                *known = None;
            }
        }
    }
    names.into_iter().filter_map(|(id, name)| Some((id, name?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_has_a_name_where_the_rules_agree_about_it() {
        let rule =
            |name: &str| format!(r#"{{"tiers":[{{"id":"standard","name":"{name}"}},{{"id":"{name}","name":"x"}}]}}"#);
        let rules = [rule("Main lounge"), rule("First")];
        let names = |rules: &[String]| tier_names(rules.iter().map(String::as_str));
        assert_eq!(names(&rules[..1]).get("standard").map(String::as_str), Some("Main lounge"));
        let both = names(&rules);
        assert_eq!((both.get("standard"), both.get("First").map(String::as_str)), (None, Some("x")));
        assert!(names(&["{".to_owned(), "{}".to_owned()]).is_empty());
    }
}
