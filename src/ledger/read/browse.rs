//! Reading a merchant's log as it stands: filtered pages, bounded in what one request looks at.

use std::borrow::Cow;

use aws_lc_rs::constant_time;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;

use super::LedgerReader;
use super::person::Person;
use crate::database::DatabaseError;
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{KeyId, MerchantId, PerkSlug};
use crate::foundation::json::Json;
use crate::foundation::subject::hex;
use crate::keyring::Keyring;
use crate::ledger::LedgerError;
use crate::ledger::error::unreadable;
use crate::ledger::events::excerpt::{ActorAndFacts, Excerpt, member_of_unreadable};
use crate::ledger::store::history::{self as rows, End, LoggedRow};
use crate::ledger::write::check::{self, StoredCheck};

/// Number of places of the log that one request looks at, whatever it finds.
const SCAN: i64 = 5_000;

/// Number of them that one query reads.
const CHUNK: i64 = 500;

/// The factor by which both grow when the events of one person are looked for: the database passes over
/// all others by itself.
const PERSONAL: i64 = 10;

/// Which events: those of which everything that is given holds.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// At or after.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
    pub kind: Option<String>,
    pub about: Option<String>,
    pub perk: Option<String>,
    pub tier: Option<String>,
    pub decision: Option<String>,
    /// The code of one of its reasons.
    pub reason: Option<String>,
    pub kiosk: Option<String>,
    pub location: Option<String>,
    pub rule_version: Option<i32>,
    /// The key that did it.
    pub actor: Option<KeyId>,
    /// The pseudonyms of a person (`LedgerReader::find_person`): one of these; nothing is asked when there are none.
    pub subjects: Vec<String>,
    /// The other way round than the newest first.
    pub oldest_first: bool,
}

/// An event in its place.
#[derive(Debug, Clone)]
pub struct LoggedEvent {
    pub index: i64,
    pub id: String,
    pub kind: String,
    pub at: Timestamp,
    pub about: String,
    /// In hexadecimal.
    pub leaf_hash: String,
    /// None once the body was pruned; so are the facts.
    pub actor: Option<Json>,
    pub facts: Option<Json>,
    /// All of it, with what is sealed in it; never shown.
    pub(crate) body: Option<String>,
}

impl LoggedEvent {
    /// The perk and the version of its rule that decided, of a check whose body is there.
    ///
    /// # Errors
    /// [`LedgerError::Database`] when the body can't be read.
    pub(crate) fn rule_of_check(&self) -> Result<Option<(String, i32)>, LedgerError> {
        let check = self.body.as_deref().filter(|_| self.kind == check::KIND).map(StoredCheck::from_body).transpose();
        let check = check.map_err(|error| unreadable(&self.id, error))?;
        Ok(check.map(|check| (check.facts.perk.into_owned(), check.facts.rule_version)))
    }
}

/// Some of the events that were looked for.
#[derive(Debug, Clone, Default)]
pub struct EventPage {
    pub events: Vec<LoggedEvent>,
    /// Where to go on; none when the log's end was reached.
    pub next: Option<String>,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum BrowseError {
    /// A cursor of another merchant, of other filters, or made up.
    #[error("the cursor belongs to no page of this search: start again without it")]
    Cursor,
    #[error("the searches asked for before are not answered yet: ask again when they are")]
    Crowded,
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Up to `most` events behind `cursor` that `filter` means, of one person where one is given.
pub(crate) async fn page(
    reader: &LedgerReader,
    merchant: &MerchantId,
    filter: EventFilter,
    person: Option<&Person>,
    cursor: Option<&str>,
    most: usize,
) -> Result<EventPage, BrowseError> {
    let filter = match person {
        Some(person) => filter.about_person(person),
        None => filter,
    };
    let context = &reader.context;
    let place = match cursor {
        None => None,
        Some(text) => Some(read_cursor(&context.keyring, merchant, &filter, text).ok_or(BrowseError::Cursor)?),
    };
    let permit = reader.searches.begin(merchant).await.ok_or(BrowseError::Crowded)?;
    // Nothing about a person stands before the first check about them.
    let from = filter.from.max(person.map(|person| person.since));
    let stretch = reader.stretch(merchant, from, filter.to.unwrap_or(Timestamp::MAX)).await?;
    let (low, high) = match place {
        None => (stretch.from, stretch.before),
        Some(place) if filter.oldest_first => (place.max(stretch.from), stretch.before),
        Some(place) => (stretch.from, place.min(stretch.before)),
    };
    let (asked, of) = (filter.clone(), merchant.clone());
    let read = context.database.read(move |conn| {
        // Not before it is over: the caller may have left by then.
        let _permit = permit;
        let Some((log, _)) = rows::find_log_size(conn, &of)? else { return Ok((Vec::new(), None)) };
        let (kind, about, subjects) = (asked.kind.as_deref(), asked.about.as_deref(), &asked.subjects);
        let end = if asked.oldest_first { End::Oldest(CHUNK) } else { End::Newest(CHUNK) };
        let end = Some(end).filter(|_| asked.is_by_kind());
        scan(|chunk| rows::list_logged_of(conn, &log, chunk, kind, about, subjects, end), &asked, (low, high), most)
    });
    let (events, next) = read.await.map_err(LedgerError::from)?;
    Ok(EventPage { events, next: next.map(|place| write_cursor(&context.keyring, merchant, &filter, place)) })
}

/// The place, and what only this gateway can say of it: that it is of this merchant's search.
fn write_cursor(keyring: &Keyring, merchant: &MerchantId, filter: &EventFilter, place: i64) -> String {
    let place = place.to_be_bytes();
    let search = format!("{filter:?}");
    let seal = keyring.blind(&[b"events", merchant.as_str().as_bytes(), &place, search.as_bytes()]);
    URL_SAFE_NO_PAD.encode([&place[..], &seal].concat())
}

fn read_cursor(keyring: &Keyring, merchant: &MerchantId, filter: &EventFilter, text: &str) -> Option<i64> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let place = i64::from_be_bytes(*bytes.first_chunk::<8>()?);
    let ours = write_cursor(keyring, merchant, filter, place);
    constant_time::verify_slices_are_equal(ours.as_bytes(), text.as_bytes()).ok().map(|()| place)
}

type Scanned = (Vec<LoggedEvent>, Option<i64>);

/// The events that the filter means between the two indexes, and where to go on.
fn scan(
    mut list: impl FnMut((i64, i64)) -> Result<Vec<LoggedRow>, DatabaseError>,
    filter: &EventFilter,
    (mut low, mut high): (i64, i64),
    most: usize,
) -> Result<Scanned, DatabaseError> {
    let mut found = Vec::new();
    let wide = if filter.subjects.is_empty() { 1 } else { PERSONAL };
    let (mut left, step) = (SCAN * wide, CHUNK * wide);
    let by_kind = filter.is_by_kind();
    while low < high && left > 0 {
        let mut chunk = if by_kind {
            (low, high)
        } else if filter.oldest_first {
            (low, high.min(low.saturating_add(step)))
        } else {
            (low.max(high.saturating_sub(step)), high)
        };
        let mut rows = list(chunk)?;
        let listed = i64::try_from(rows.len()).unwrap_or(step);
        left -= if by_kind { listed } else { step };
        match rows.last().filter(|_| by_kind && listed >= CHUNK) {
            Some(furthest) if filter.oldest_first => chunk.1 = furthest.log_index + 1,
            Some(furthest) => chunk.0 = furthest.log_index,
            None => {}
        }
        if !by_kind && !filter.oldest_first {
            rows.reverse();
        }
        for row in rows {
            let index = row.log_index;
            let Some(event) = read(row, filter)? else { continue };
            found.push(event);
            if found.len() == most {
                let next = if filter.oldest_first { index + 1 } else { index };
                let more = if filter.oldest_first { next < high } else { low < next };
                return Ok((found, more.then_some(next)));
            }
        }
        if filter.oldest_first {
            low = chunk.1;
        } else {
            high = chunk.0;
        }
    }
    let next = if filter.oldest_first { low } else { high };
    Ok((found, (low < high).then_some(next)))
}

/// The event, when the filter means it.
fn read(row: LoggedRow, filter: &EventFilter) -> Result<Option<LoggedEvent>, DatabaseError> {
    let at = from_micros(row.at);
    if filter.from.is_some_and(|from| at < from) || filter.to.is_some_and(|to| at >= to) {
        return Ok(None);
    }
    if !filter.means(&row)? {
        return Ok(None);
    }
    let shown = row.body.as_deref().map(ActorAndFacts::of).transpose().map_err(|error| unreadable(&row.id, error))?;
    let (actor, facts) = shown.map(|shown| (shown.actor, shown.facts)).unzip();
    let leaf_hash = hex(&row.leaf_hash);
    let LoggedRow { log_index: index, id, kind, about, body, .. } = row;
    Ok(Some(LoggedEvent { index, id, kind, at, about, leaf_hash, actor, facts, body }))
}

impl EventFilter {
    /// Tells whether the database passes over all others by its index of kinds. What is a person's is looked for in bodies,
    /// of which it reads no more than a stretch at a time.
    fn is_by_kind(&self) -> bool {
        self.kind.is_some() && self.subjects.is_empty()
    }

    /// The same, of those about this person.
    fn about_person(self, person: &Person) -> Self {
        Self { subjects: person.names().map(|name| name.as_str().to_owned()).collect(), ..self }
    }

    /// Tells whether it means this event. A body is read only for what it alone says; one that can't be read is an
    /// error unless it is certain to be of another perk.
    fn means(&self, row: &LoggedRow) -> Result<bool, DatabaseError> {
        if !self.looks_inside() {
            return Ok(true);
        }
        match row.body.as_deref().map(Excerpt::of).transpose() {
            Ok(excerpt) => Ok(self.matches(excerpt.as_ref())),
            Err(_) if self.is_of_another(row.body.as_deref()) => Ok(false),
            Err(error) => Err(unreadable(&row.id, error)),
        }
    }

    /// True if it asks for a perk, and a body that can't be read still says that it is of another.
    fn is_of_another(&self, body: Option<&str>) -> bool {
        let said = body.and_then(|body| member_of_unreadable(body, "perk"));
        let said = said.filter(|perk| perk.parse::<PerkSlug>().is_ok());
        said.zip(self.perk.as_deref()).is_some_and(|(said, wanted)| said != wanted)
    }

    /// Tells whether it means an event of which this can be read: nothing, once it was pruned.
    fn matches(&self, excerpt: Option<&Excerpt<'_>>) -> bool {
        let Some(Excerpt { actor, facts }) = excerpt else { return !self.looks_inside() };
        let is =
            |fact: &Option<Cow<'_, str>>, wanted: Option<&str>| wanted.is_none_or(|it| fact.as_deref() == Some(it));
        is(&facts.perk, self.perk.as_deref())
            && is(&facts.tier, self.tier.as_deref())
            && is(&facts.decision, self.decision.as_deref())
            && is(&facts.kiosk, self.kiosk.as_deref())
            && is(&facts.location, self.location.as_deref())
            && is(&actor.key, self.actor.as_ref().map(KeyId::as_str))
            && (self.subjects.is_empty() || self.subjects.iter().any(|name| is(&facts.subject, Some(name))))
            && self.reason.as_deref().is_none_or(|code| facts.gives(code))
            && self.rule_version.is_none_or(|version| facts.rule_version == Some(i64::from(version)))
    }

    /// Tells whether it asks for anything that only a body says.
    fn looks_inside(&self) -> bool {
        let Self { perk, tier, decision, reason, kiosk, location, rule_version, actor, subjects, .. } = self;
        let texts = [perk, tier, decision, reason, kiosk, location];
        texts.iter().any(|text| text.is_some()) || rule_version.is_some() || actor.is_some() || !subjects.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: i64 = 12_003;

    fn row(log_index: i64) -> LoggedRow {
        let (id, leaf_hash) = (format!("evt_{log_index}"), vec![0; 32]);
        LoggedRow { log_index, id, kind: "k".into(), about: "a".into(), at: log_index, leaf_hash, body: None }
    }

    /// All that following the pages finds, and how many pages there were. Every 7th event only is listed.
    fn follow(filter: &EventFilter, most: usize) -> (Vec<i64>, usize) {
        let (mut low, mut high, mut found, mut pages) = (0, SIZE, Vec::new(), 0);
        loop {
            let mut looked_at = 0;
            let list = |(from, before): (i64, i64)| {
                assert!(from < before && before - from <= CHUNK && before <= SIZE);
                looked_at += before - from;
                Ok((from..before).filter(|index| index % 7 == 0).map(row).collect())
            };
            let (events, next) = scan(list, filter, (low, high), most).unwrap();
            assert!(looked_at <= SCAN && events.len() <= most);
            found.extend(events.iter().map(|event| event.index));
            pages += 1;
            match next {
                None => return (found, pages),
                Some(next) if filter.oldest_first => low = next,
                Some(next) => high = next,
            }
        }
    }

    #[test]
    fn one_of_a_kind_in_a_long_log_is_on_the_first_page() {
        for oldest_first in [true, false] {
            let filter = EventFilter { oldest_first, kind: Some("k".into()), ..EventFilter::default() };
            let mut looks = 0;
            let list = |of: &[i64], (from, before): (i64, i64)| {
                let mut of: Vec<_> = of.iter().copied().filter(|index| (from..before).contains(index)).collect();
                if !oldest_first {
                    of.reverse();
                }
                of.truncate(usize::try_from(CHUNK).unwrap());
                of.into_iter().map(row).collect::<Vec<_>>()
            };
            let found = scan(
                |range| {
                    looks += 1;
                    Ok(list(&[3, 900_000], range))
                },
                &filter,
                (0, 1_000_000),
                50,
            );
            let (events, next) = found.unwrap();
            let mut found: Vec<_> = events.iter().map(|event| event.index).collect();
            found.sort_unstable();
            assert_eq!((found, next, looks), (vec![3, 900_000], None, 1));
            // Of a common kind a request reads so many, and the next goes on behind them.
            let all: Vec<i64> = (0..SIZE).collect();
            let tier = EventFilter { tier: Some("main".into()), ..filter };
            let (events, next) = scan(|range| Ok(list(all.as_slice(), range)), &tier, (0, SIZE), 50).unwrap();
            let expected = if oldest_first { SCAN } else { SIZE - SCAN };
            assert_eq!((events.len(), next), (0, Some(expected)));
        }
    }

    #[test]
    fn pages_over_a_long_log_find_each_event_once_and_look_at_little() {
        for oldest_first in [true, false] {
            let mut expected: Vec<i64> = (0..SIZE).filter(|index| index % 7 == 0).collect();
            if !oldest_first {
                expected.reverse();
            }
            let filter = EventFilter { oldest_first, ..EventFilter::default() };
            for most in [1, 7, 200, 5_000] {
                assert_eq!(follow(&filter, most).0, expected, "{most}");
            }
            assert_eq!(follow(&filter, 5_000).1, 3, "a page ends where enough was looked at");
            let none = EventFilter { tier: Some("main".into()), ..filter };
            assert_eq!(
                follow(&none, 50),
                (Vec::new(), 3),
                "pruned bodies have no facts, and pages without events go on"
            );
        }
    }
}
