//! Counting what a picture shows: everybody's scores, and whom last week's checks were about.

use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use moka::sync::Cache;
use tokio::sync::{Mutex, Semaphore};

use super::handles::handles;
use super::{DailyLimit, DayAsked, Handle, Picture, PublishedThresholds, Scale};
use crate::access::Merchant;
use crate::database::DatabaseError;
use crate::eligibility::rule_selection::{Choice, Chosen, TrialError, choose, rule_of};
use crate::eligibility::runs::compute;
use crate::foundation::clock::Clock;
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{MerchantId, PerkId, PerkSlug, SourceName};
use crate::foundation::period::Period;
use crate::ledger::read::decisions::{PastCheck, PastEvent};
use crate::ledger::read::history::{Interest, Stretch};
use crate::ledger::{Ledger, LedgerError};
use crate::perks::catalog::Catalog;
use crate::rules::limit::{Cost, Unit, Window};
use crate::rules::rule::Rule;
use crate::rules::scope::Scope;
use crate::scores::Scores;
use crate::scores::score::Source;

/// The most scores that are looked at: of more, those whose references come first. References are keyed digests, so
/// these are as good a sample as any.
const MOST_SCORES: u64 = 1_000_000;
/// The most events that are looked at: of a longer week, every so manieth page.
const MOST_EVENTS: i64 = 200_000;
/// Number of events that are read at once.
const PAGE: i64 = 500;
/// The days of a picture.
const DAYS: i64 = 7;
/// How long a count of scores is shown again.
const SCORES_KEPT: SignedDuration = SignedDuration::from_mins(1);
/// How long a count of checks is shown again: of days that are over only erasures and late batches change anything.
const WEEK_KEPT: SignedDuration = SignedDuration::from_mins(10);
/// The most counts at once in a process.
const AT_ONCE: usize = 2;
/// Number of turns that merchants share.
const STRIPES: usize = 64;
/// The most counts of each kind that are kept.
const KEPT: u64 = 500;

/// Makes pictures; records and consumes nothing. Cheap to clone.
#[derive(Clone)]
pub struct Pictures {
    catalog: Catalog,
    scores: Scores,
    ledger: Ledger,
    clock: Clock,
    people: Cache<PeopleKey, Arc<People>>,
    weeks: Cache<WeekKey, Arc<Week>>,
    /// One count of a merchant at a time, so that those who wait find it done; and few in a process, so that checks keep
    /// the processors.
    turns: Arc<[Mutex<()>; STRIPES]>,
    counting: Arc<Semaphore>,
}

/// The scores of a source, by the age that a rule takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PeopleKey {
    merchant: MerchantId,
    source: SourceName,
    /// In thousandths: a source whose scale changed is counted again.
    scale: (i64, i64),
    max_age: Option<i64>,
}

#[derive(Debug)]
struct People {
    at: Timestamp,
    counts: Vec<u64>,
    total: u64,
    counted: u64,
    stale: u64,
}

/// The week of a perk, by the source whose scores were seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct WeekKey {
    merchant: MerchantId,
    perk: PerkId,
    source: SourceName,
    scale: (i64, i64),
    zone: String,
    first: Date,
}

#[derive(Debug)]
struct Week {
    at: Timestamp,
    days: Vec<DayAsked>,
    is_estimated: bool,
    party: Decimal,
}

impl Pictures {
    /// Pictures of what these handles hold.
    pub(crate) fn new(catalog: Catalog, scores: Scores, ledger: Ledger, clock: Clock) -> Self {
        let (people, weeks) = (Cache::new(KEPT), Cache::new(KEPT));
        let turns = Arc::new(std::array::from_fn(|_| Mutex::new(())));
        Self { catalog, scores, ledger, clock, people, weeks, turns, counting: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The turn of a merchant to count.
    fn turn(&self, merchant: &MerchantId) -> &Mutex<()> {
        let stripe =
            merchant.as_str().bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let [first, ..] = &*self.turns;
        self.turns.get(stripe % STRIPES).unwrap_or(first)
    }

    /// The picture of a perk's version; without one, of the version that decides, or of the latest draft while none does.
    /// Scores are counted at most once a minute, days that are over at most every ten.
    ///
    /// # Errors
    /// [`TrialError`]; [`TrialError::NoScore`] when no condition looks at one.
    pub async fn picture(
        &self,
        merchant: &Merchant,
        perk: &PerkSlug,
        version: Option<i32>,
    ) -> Result<Picture, TrialError> {
        let choice = version.map_or(Choice::Deciding, Choice::Version);
        let Chosen { perk, version, rule, source } =
            choose(&self.catalog, &self.scores, &merchant.id, perk, choice).await?;
        let source = source.ok_or(TrialError::NoScore)?;
        let (mut published, mut incomparable) = (None, None);
        if let Some(deciding) = perk.published_version.filter(|deciding| Some(*deciding) != version) {
            let rule = rule_of(&self.catalog, &merchant.id, &perk, deciding).await?;
            if rule.score().is_some_and(|policy| policy.source == source.name) {
                published = Some(PublishedThresholds { version: deciding, tiers: handles(&rule) });
            } else {
                incomparable = Some(deciding);
            }
        }
        let scale = Scale::new(source.minimum, source.maximum);
        let tiers = handles(&rule);
        let now = self.clock.now();
        let people = self.people(&merchant.id, &source, &rule, scale, now).await?;
        let week = self.week(&merchant.id, &perk.id, &source.name, rule.time_zone(), scale, now).await?;
        Ok(Picture {
            perk: perk.slug,
            version: version.unwrap_or(perk.latest_version),
            source: source.name,
            at: people.at,
            minimum: source.minimum,
            maximum: source.maximum,
            within: scale.within(),
            counts: people.counts.clone(),
            total: people.total,
            counted: people.counted,
            stale: people.stale,
            without_threshold: without_threshold(&rule, &tiers),
            tiers,
            published,
            incomparable,
            limit: daily_limit(&rule),
            party: week.party,
            week: week.days.clone(),
            is_week_estimated: week.is_estimated,
        })
    }

    async fn people(
        &self,
        merchant: &MerchantId,
        source: &Source,
        rule: &Rule,
        scale: Scale,
        now: Timestamp,
    ) -> Result<Arc<People>, TrialError> {
        let max_age = rule.score().and_then(|policy| policy.max_age).map(Period::seconds);
        let key = PeopleKey {
            merchant: merchant.clone(),
            source: source.name.clone(),
            scale: (scale.minimum.thousandths(), scale.maximum.thousandths()),
            max_age,
        };
        let is_kept = |people: &Arc<People>| now.duration_since(people.at) < SCORES_KEPT;
        if let Some(people) = self.people.get(&key).filter(is_kept) {
            return Ok(people);
        }
        let _turn = self.turn(merchant).lock().await;
        if let Some(people) = self.people.get(&key).filter(is_kept) {
            return Ok(people);
        }
        let _room = self.counting.acquire().await.map_err(|_| DatabaseError::Interrupted)?;
        let oldest = max_age.and_then(|age| now.checked_sub(SignedDuration::from_secs(age)).ok());
        let mut people = People { at: now, counts: vec![0; scale.bins], total: 0, counted: 0, stale: 0 };
        let mut after = None;
        while people.counted < MOST_SCORES {
            let page = self.scores.page(merchant, &source.name, after).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            people = compute(move || {
                for (_, score) in &page {
                    people.counted += 1;
                    people.stale += u64::from(oldest.is_some_and(|oldest| score.observed_at < oldest));
                    if let Some(count) = people.counts.get_mut(scale.bin_of(score.value)) {
                        *count += 1;
                    }
                }
                people
            })
            .await?;
        }
        people.total = people.counted;
        if people.counted >= MOST_SCORES {
            people.total = self.scores.count(merchant, &source.name).await?.max(people.counted);
            people.project();
        }
        let people = Arc::new(people);
        self.people.insert(key, people.clone());
        Ok(people)
    }

    async fn week(
        &self,
        merchant: &MerchantId,
        perk: &PerkId,
        source: &SourceName,
        zone: &TimeZone,
        scale: Scale,
        now: Timestamp,
    ) -> Result<Arc<Week>, TrialError> {
        let today = now.to_zoned(zone.clone()).date();
        let first = today.saturating_sub(DAYS.days());
        let key = WeekKey {
            merchant: merchant.clone(),
            perk: perk.clone(),
            source: source.clone(),
            scale: (scale.minimum.thousandths(), scale.maximum.thousandths()),
            zone: zone.iana_name().unwrap_or_default().to_owned(),
            first,
        };
        let is_kept = |week: &Arc<Week>| now.duration_since(week.at) < WEEK_KEPT;
        if let Some(week) = self.weeks.get(&key).filter(is_kept) {
            return Ok(week);
        }
        let _turn = self.turn(merchant).lock().await;
        if let Some(week) = self.weeks.get(&key).filter(is_kept) {
            return Ok(week);
        }
        let _room = self.counting.acquire().await.map_err(|_| DatabaseError::Interrupted)?;
        let start = |date: Date| date.to_zoned(zone.clone()).map(|midnight| midnight.timestamp());
        let from = start(first).map_err(|e| DatabaseError::corrupt("day", e))?;
        let to = start(today).map_err(|e| DatabaseError::corrupt("day", e))?;
        let whole = self.ledger.reader().stretch(merchant, Some(from), to).await?;
        // Every so manieth page of a long week stands for those between.
        let step = ((whole.before - whole.from) / MOST_EVENTS).max(0) + 1;
        let mut tally = WeekTally::new(first, zone.clone(), source.clone(), scale);
        let interest =
            Interest { perk: perk.clone(), personal_from: from, moves: false, other_perks: false, person: None };
        let mut at = whole.from;
        while at < whole.before {
            let stretch = Stretch { from: at, before: whole.before.min(at + PAGE) };
            let (ledger, of, wanted) = (self.ledger.clone(), merchant.clone(), interest.clone());
            tally = compute(move || {
                let page = ledger.reader().past_events_blocking(&of, stretch, &wanted)?;
                for event in &page.events {
                    if let PastEvent::Check(check) = event
                        && (from..to).contains(&check.at)
                    {
                        tally.count(check);
                    }
                }
                Ok::<_, LedgerError>(tally)
            })
            .await??;
            at += PAGE * step;
        }
        let week = Arc::new(tally.finish(now, u64::try_from(step).unwrap_or(1)));
        self.weeks.insert(key, week.clone());
        Ok(week)
    }
}

impl People {
    /// Takes what was counted as a part of all, in proportion.
    fn project(&mut self) {
        let (total, counted) = (u128::from(self.total), u128::from(self.counted.max(1)));
        let project = |count: &mut u64| {
            let projected = (u128::from(*count) * total + counted / 2) / counted;
            *count = u64::try_from(projected).unwrap_or(u64::MAX);
        };
        self.counts.iter_mut().for_each(project);
        project(&mut self.stale);
    }
}

/// A week being counted.
struct WeekTally {
    zone: TimeZone,
    source: SourceName,
    scale: Scale,
    days: Vec<DayAsked>,
    grants: u64,
    people: u64,
}

impl WeekTally {
    fn new(first: Date, zone: TimeZone, source: SourceName, scale: Scale) -> Self {
        let day =
            |nth: i64| DayAsked { date: first.saturating_add(nth.days()), asked: vec![0; scale.bins], unknown: 0 };
        Self { zone, source, scale, days: (0..DAYS).map(day).collect(), grants: 0, people: 0 }
    }

    /// Counts a visitor. Who is let in by a person afterwards was counted when refused.
    fn count(&mut self, check: &PastCheck) {
        if check.grant.is_some() {
            self.grants += 1;
            self.people += check.decided.guests.map_or(check.party.size(), |guests| guests.counted() + 1);
        }
        if check.is_by_person {
            return;
        }
        let date = check.at.to_zoned(self.zone.clone()).date();
        let Some(day) = self.days.iter_mut().find(|day| day.date == date) else { return };
        match check.decided.score.as_ref().filter(|score| score.source == self.source) {
            Some(score) => {
                if let Some(count) = day.asked.get_mut(self.scale.bin_of(score.value)) {
                    *count += 1;
                }
            }
            None => day.unknown += 1,
        }
    }

    fn finish(mut self, at: Timestamp, step: u64) -> Week {
        for day in &mut self.days {
            day.asked.iter_mut().for_each(|count| *count *= step);
            day.unknown *= step;
        }
        let party = (self.people * 1000 + self.grants / 2).checked_div(self.grants);
        let party = party.and_then(|party| i64::try_from(party).ok()).unwrap_or(1000);
        Week { at, days: self.days, is_estimated: step > 1, party: Decimal::from_thousandths(party) }
    }
}

/// The names of the tiers that have no handle.
fn without_threshold(rule: &Rule, handles: &[Handle]) -> Vec<String> {
    let has_handle = |id: &str| handles.iter().any(|handle| handle.tier == id);
    rule.tiers().iter().filter(|tier| !has_handle(&tier.id)).map(|tier| tier.name.clone()).collect()
}

/// The limit of the rule that counts the whole perk by the day; the tightest of several.
fn daily_limit(rule: &Rule) -> Option<DailyLimit> {
    let daily = rule.limits().iter().filter(|limit| {
        limit.window == Window::Calendar(Unit::Day) && limit.scope == [Scope::Perk] && !limit.max.is_by_location()
    });
    let tightest = daily.min_by_key(|limit| limit.max.default)?;
    let cost = match tightest.cost {
        Cost::Party => "party",
        Cost::Fixed(_) => "visit",
    };
    let uses = match tightest.cost {
        Cost::Party => 1,
        Cost::Fixed(uses) => uses.max(1),
    };
    Some(DailyLimit { id: tightest.id.clone(), max: tightest.max.default / uses, cost })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_stands_for_all_in_proportion() {
        let at = Timestamp::UNIX_EPOCH;
        let mut people = People { at, counts: vec![1, 2, 0, 7], total: 25, counted: 10, stale: 3 };
        people.project();
        assert_eq!((people.counts, people.stale), (vec![3, 5, 0, 18], 8));
    }
}
