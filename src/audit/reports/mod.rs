//! Reports: what was granted, what is to be billed, and whom the rules turned away.
//!
//! Each is counted from the log as it stood when it was begun: what was summed up of it (`summaries/`) and the events behind
//! that. Whatever isn't summed up is read (`reading.rs`) in one pass over pages of bounded size: nothing is locked,
//! memory holds a page and the groups, and a caller that stops waiting ends it. `counting.rs` says what an event counts,
//! `tally.rs` groups it, `columns.rs` names it, `sheet.rs` and `html.rs` write it down.
//!
//! To count something new: its column in `columns.rs`, and where it is counted in `counting.rs`. What was summed up lacks
//! it. A migration that empties `report_quarters` and `report_people` and sets the heads back to 0 has all summed up again, of
//! the merchants of whom nothing is pruned: of the others sums are all that is left.

pub mod asked;
pub mod columns;
mod counting;
mod facts;
pub mod html;
mod reading;
pub mod sheet;
mod store;
pub mod summaries;
mod tally;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::access::Merchant;
use crate::database::DatabaseError;
use crate::foundation::clock::Clock;
use crate::foundation::ids::{MerchantId, PerkId, PerkSlug};
use crate::foundation::json::Json;
use crate::ledger::door::LATEST_REPORT;
use crate::ledger::read::history::Stretch;
use crate::ledger::{Ledger, LedgerError};
use asked::{AskedError, Bound, GroupBy, ReportKind, ReportPeriod};
use reading::{PAGE, Wanted};
use sheet::{Head, ReportSheet};
use summaries::Summarizer;
use summaries::asking::{AddedUp, Unfit, WantedSums, WholeQuarters};
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
    summarizer: Summarizer,
}

impl Reporter {
    #[must_use]
    pub fn new(ledger: Ledger, clock: Clock) -> Self {
        let context = ledger.context();
        let summarizer = Summarizer::new(context.database.clone(), context.keyring.clone());
        Self { ledger, clock, turns: Arc::new(Semaphore::new(AT_ONCE)), summarizer }
    }

    /// The same with summaries of another grain: made from `least` events on, in pages of `page`.
    #[must_use]
    pub fn summing(mut self, least: i64, page: i64) -> Self {
        let page = page.max(1);
        self.summarizer = Summarizer { least: least.max(1), page, rest: page, ..self.summarizer };
        self
    }

    /// The same that sums up at most so many events for one report.
    #[must_use]
    pub const fn summing_at_most(mut self, events: i64) -> Self {
        self.summarizer.most_asked = events;
        self
    }

    /// Sums up what the logs gain, until cancelled; every replica may. Without it the first report does.
    pub async fn follow(self, cancel: CancellationToken) {
        self.summarizer.follow(&cancel).await;
    }

    /// Sums up the merchant's log as far as that is worth while.
    ///
    /// # Errors
    /// The database's.
    pub async fn sum_up(&self, merchant: &MerchantId) -> Result<(), DatabaseError> {
        self.summarizer.extend(merchant, i64::MAX, Duration::ZERO, || {}).await
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
        self.count(merchant, asked, true, progress).await
    }

    /// The same from the events alone.
    ///
    /// # Errors
    /// [`ReportError`].
    pub async fn report_events(&self, merchant: &Merchant, asked: Asked) -> Result<ReportSheet, ReportError> {
        self.count(merchant, asked, false, || {}).await
    }

    async fn count(
        &self,
        merchant: &Merchant,
        asked: Asked,
        is_summed: bool,
        progress: impl Fn(),
    ) -> Result<ReportSheet, ReportError> {
        let Asked { kind, group_by, from, to, time_zone, perk } = asked;
        let zone = asked::zone(time_zone.as_deref().unwrap_or(&merchant.time_zone))?;
        let period_at = |now| ReportPeriod::between(from, to, zone.clone(), now);
        let group_by = if kind == ReportKind::Fairness { Some(GroupBy::ScoreBand) } else { group_by };
        let _turn = self.turns.try_acquire().map_err(|_| ReportError::Crowded)?;
        if is_summed && WholeQuarters::of(&period_at(self.clock.now())?).is_some() {
            let extended =
                self.summarizer.extend(&merchant.id, self.summarizer.most_asked, Duration::ZERO, &progress).await;
            if let Err(error) = extended {
                // What is not summed up is read: that needs no database that can be written.
                tracing::warn!(merchant = merchant.slug.as_str(), %error, "a log can't be summed up");
            }
        }
        let as_of = self.clock.now();
        let period = period_at(as_of)?;
        let quarters = WholeQuarters::of(&period).filter(|_| is_summed);
        let whole = self.ledger.reader().stretch(&merchant.id, None, Timestamp::MAX).await?;
        let (perk, perk_id) = perk.unzip();
        let merchant_id = merchant.id.clone();
        let wanted = Wanted {
            kind,
            merchant: merchant_id,
            perk: perk_id,
            period: period.clone(),
            head: whole.before,
            is_late: false,
        };
        let fresh = || Tally::new(kind, group_by, &period, as_of);
        let (tally, log_size) = match quarters {
            Some(quarters) => self.add_up(&wanted, quarters, fresh, &progress).await?,
            None => (self.read(wanted.clone(), fresh(), &progress).await?, wanted.head),
        };
        let means = self.ledger.context();
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
            log_size,
        };
        Ok(ReportSheet::of(head, tally))
    }
}

impl Reporter {
    async fn add_up(
        &self,
        wanted: &Wanted,
        quarters: WholeQuarters,
        fresh: impl Fn() -> Tally,
        progress: impl Fn(),
    ) -> Result<(Tally, i64), ReportError> {
        let Wanted { kind, merchant, perk, head, .. } = wanted.clone();
        let sums = WantedSums { kind, merchant, perk, quarters };
        let AddedUp { mut tally, head, odd } = match self.summarizer.count(&sums, &fresh, &progress).await {
            Ok(counted) => counted,
            Err(Unfit::ReadEvents) => return Ok((self.read(wanted.clone(), fresh(), progress).await?, head)),
            Err(Unfit::TooMany) => return Err(ReportError::TooManyGroups),
            Err(Unfit::Database(error)) => return Err(error.into()),
        };
        let odd = odd.into_iter().map(|quarter| WholeQuarters::period_of(quarter, &wanted.period));
        for period in quarters.ends(&wanted.period).into_iter().flatten().chain(odd) {
            tally = self.read_end(Wanted { period, head, ..wanted.clone() }, tally, &progress).await?;
        }
        Ok((tally, head))
    }

    /// Counts a period from its events. What doors report late stands in the log up to so much later than it happened.
    async fn read(&self, wanted: Wanted, tally: Tally, progress: impl Fn()) -> Result<Tally, ReportError> {
        let stretch = self.stretch(&wanted, LATEST_REPORT).await?;
        self.read_stretch(&wanted, stretch, tally, progress).await
    }

    /// Counts an end of a period, minutes long: what doors reported late is found by its kind, of which few stand in days
    /// of the log.
    async fn read_end(&self, wanted: Wanted, tally: Tally, progress: impl Fn()) -> Result<Tally, ReportError> {
        let near = self.stretch(&wanted, SignedDuration::ZERO).await?;
        let tally = self.read_stretch(&wanted, near, tally, &progress).await?;
        let late = Stretch { from: near.before, ..self.stretch(&wanted, LATEST_REPORT).await? };
        let wanted = Wanted { is_late: true, ..wanted };
        self.read_stretch(&wanted, late, tally, progress).await
    }

    /// The events of the period, and those that came so much later.
    async fn stretch(&self, wanted: &Wanted, later: SignedDuration) -> Result<Stretch, LedgerError> {
        let until = wanted.period.to.saturating_add(later + SignedDuration::from_mins(1)).unwrap_or(Timestamp::MAX);
        let stretch = self.ledger.reader().stretch(&wanted.merchant, wanted.period.from, until).await?;
        Ok(Stretch { before: stretch.before.min(wanted.head), ..stretch })
    }

    async fn read_stretch(
        &self,
        wanted: &Wanted,
        Stretch { mut from, before }: Stretch,
        mut tally: Tally,
        progress: impl Fn(),
    ) -> Result<Tally, ReportError> {
        while from < before {
            // Few events of a long stretch were reported late.
            let next = if wanted.is_late { before } else { before.min(from.saturating_add(PAGE)) };
            (tally, from) = self.read_page(wanted.clone(), (from, next), tally).await?;
            progress();
        }
        Ok(tally)
    }

    async fn read_page(&self, wanted: Wanted, at: (i64, i64), mut tally: Tally) -> Result<(Tally, i64), ReportError> {
        let context = self.ledger.context();
        let keyring = context.keyring.clone();
        let read = context.database.read(move |conn| {
            let counted = reading::page(conn, &keyring, &wanted, at, &mut tally)?;
            Ok::<_, DatabaseError>(counted.map(|next| (tally, next)))
        });
        read.await?.map_err(|TooMany| ReportError::TooManyGroups)
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
