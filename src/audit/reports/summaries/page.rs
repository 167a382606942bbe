//! A page of the log, summed up: what its events count by themselves, and the difference that they make to what was counted
//! before them.
//!
//! An event is looked at as it stands in the log: with the events before it and none behind it. So it is the same on
//! whichever page it stands, and sums over pages are the sums of the log.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::Timestamp;

use super::sums::{Cell, Column, Sums, quarter_of};
use crate::audit::reports::asked::ReportKind;
use crate::audit::reports::counting::{self, Fate, Person};
use crate::audit::reports::facts::{PartyFacts, ReportedEvent};
use crate::audit::reports::reading::{self, Secrets, open, refused, secret_of};
use crate::audit::reports::store::{self, OutcomeRow, PlacedAbout};
use crate::audit::reports::tally::Moment;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::MerchantId;
use crate::keyring::Keyring;
use crate::ledger::grants::{correction, ending};
use crate::ledger::store::history::{self as rows, LoggedRow};
use crate::ledger::write::{check, redemption};

/// The kinds of events that end what became of a grant.
const OUTCOMES: [&str; 4] = [redemption::KIND, redemption::OFFLINE, ending::RELEASED, ending::VOIDED];

/// The log that is summed up.
pub(in crate::audit) struct SummedLog<'a> {
    pub id: &'a str,
    pub merchant: &'a MerchantId,
    /// None for who can't open what is sealed: to them nobody is known.
    pub keyring: Option<&'a Keyring>,
}

/// A page, summed up.
#[derive(Default)]
pub(in crate::audit) struct SummedPage {
    pub sums: Sums,
    /// The pseudonyms that its events name, by index: the personal part of what these count goes with an erasure. Without a
    /// keyring also of those who are erased.
    pub people: Vec<(String, i64)>,
    /// When the last of its events was whose body is pruned, and the last index of one.
    pub pruned_at: Option<Timestamp>,
    pub pruned_index: Option<i64>,
    /// Quarters in which visits are counted whose corrections are pruned: from now on they would be counted otherwise.
    pub uncertain: BTreeSet<i64>,
}

/// An event that is counted.
pub(super) struct Event<'a> {
    pub moment: Moment,
    pub kind: &'a str,
    pub body: ReportedEvent<'a>,
}

/// Everything that is looked up for a page.
#[derive(Default)]
struct LookedUp {
    /// By grant, in the log's order.
    outcomes: HashMap<String, Vec<OutcomeRow>>,
    /// The checks of grants that something became of, by grant.
    checks: HashMap<String, PlacedAbout>,
    /// The redemptions of grants that were corrected, by grant.
    visits: HashMap<String, Vec<PlacedAbout>>,
    /// By grant, in the log's order.
    corrections: HashMap<String, Vec<(i64, PartyFacts)>>,
    /// Grants some of whose corrections are pruned.
    uncertain: HashSet<String>,
    /// Grants some of whose corrections can't be read.
    damaged: HashSet<String>,
    refusals: HashMap<String, Option<String>>,
    secrets: Secrets,
}

/// Sums up the events from the index `from` on and before `before`.
pub(in crate::audit) fn sum(
    conn: &mut AnyConnection,
    log: &SummedLog<'_>,
    (from, before): (i64, i64),
) -> Result<SummedPage, DatabaseError> {
    let listed = rows::list_logged(conn, log.id, (from, before), None, None)?;
    let mut page = SummedPage::default();
    let mut events = Vec::with_capacity(listed.len());
    for row in &listed {
        match read(row) {
            Ok(Some(event)) => events.push(event),
            Ok(None) => note_pruned(row, &mut page),
            Err(error) => lose(row, &error, &mut page.sums),
        }
    }
    let known = look_up(conn, log, before, &listed, &events)?;
    let mut next = events.iter().peekable();
    for row in &listed {
        if let Some(event) = next.next_if(|event| event.moment.index == row.log_index) {
            match Personal::of(event, &known.refusals, &known.secrets) {
                Ok(person) => personal(event, &person, 1, &mut page.sums),
                Err(error) => lose(row, &error, &mut page.sums),
            }
            open_part(event, &known, &mut page.sums);
            if redemption::is_redemption(event.kind) && known.uncertain.contains(&*event.body.about) {
                page.uncertain.insert(quarter_of(event.moment.at));
            }
            // Of someone who is erased nothing is kept that leads to them.
            let is_known = |name: &&str| log.keyring.is_none() || known.secrets.contains_key(*name);
            let name = event.body.facts.subject.as_deref().filter(is_known);
            if let Some(name) = name.filter(|_| is_personal(event.kind)) {
                page.people.push((name.to_owned(), row.log_index));
            }
        }
        if OUTCOMES.contains(&row.kind.as_str()) {
            became(row, &known, &mut page.sums);
        }
        if row.kind == correction::CORRECTED && known.damaged.contains(&row.about) {
            for (_, at) in visits(&row.about, row.log_index, &known) {
                page.sums.quarter(ReportKind::Billing, at).lose();
            }
        }
    }
    Ok(page)
}

/// Gives the quarters up that an event would be counted in, if it could be read: reports read them from the events, which
/// is where someone finds out what is wrong.
pub(super) fn lose(row: &LoggedRow, error: &DatabaseError, sums: &mut Sums) {
    tracing::debug!(event = row.id, %error, "an event can't be summed up");
    for report in ReportKind::ALL.into_iter().filter(|report| reading::kinds(*report).contains(&row.kind.as_str())) {
        sums.quarter(report, from_micros(row.at)).lose();
    }
}

/// Tells whether what it counts depends on who the person is.
fn is_personal(kind: &str) -> bool {
    kind == check::KIND || counting::contest_column(kind).is_some()
}

fn is_counted(kind: &str) -> bool {
    ReportKind::ALL.into_iter().any(|report| reading::kinds(report).contains(&kind))
}

/// The event, if its kind is counted and its body is there.
pub(super) fn read(row: &LoggedRow) -> Result<Option<Event<'_>>, DatabaseError> {
    let Some(text) = row.body.as_deref().filter(|_| is_counted(&row.kind)) else { return Ok(None) };
    let body: ReportedEvent<'_> = parsed(&row.id, text)?;
    let at = body.facts.redeemed_at.unwrap_or_else(|| from_micros(row.at));
    Ok(Some(Event { moment: Moment { index: row.log_index, at }, kind: &row.kind, body }))
}

fn parsed<'a>(id: &str, text: &'a str) -> Result<ReportedEvent<'a>, DatabaseError> {
    serde_json::from_str(text).map_err(|e| DatabaseError::corrupt("event", format!("{id}: {e}")))
}

fn note_pruned(row: &LoggedRow, page: &mut SummedPage) {
    if row.body.is_some() {
        return;
    }
    let at = from_micros(row.at);
    for report in ReportKind::ALL.into_iter().filter(|report| reading::kinds(*report).contains(&row.kind.as_str())) {
        page.sums.quarter(report, at).pruned += 1;
        page.pruned_at = page.pruned_at.max(Some(at));
        page.pruned_index = Some(row.log_index);
    }
}

fn look_up(
    conn: &mut AnyConnection,
    log: &SummedLog<'_>,
    before: i64,
    listed: &[LoggedRow],
    events: &[Event<'_>],
) -> Result<LookedUp, DatabaseError> {
    let mut known = LookedUp::default();
    let ended: BTreeSet<&str> =
        listed.iter().filter(|row| OUTCOMES.contains(&row.kind.as_str())).map(|row| row.about.as_str()).collect();
    let ended: Vec<&str> = ended.into_iter().collect();
    for row in store::list_outcomes(conn, log.id, &ended, &OUTCOMES, before)? {
        known.outcomes.entry(row.grant.clone()).or_default().push(row);
    }
    let checks: HashMap<String, String> = store::list_checks_of(conn, &ended)?.into_iter().collect();
    let ids: Vec<&str> = checks.values().map(String::as_str).collect();
    let placed = store::list_placed_about(conn, log.id, &ids, &[check::KIND], before)?;
    let placed: HashMap<&str, &PlacedAbout> = placed.iter().map(|row| (row.about.as_str(), row)).collect();
    for (grant, check) in &checks {
        if let Some(row) = placed.get(check.as_str()) {
            known.checks.insert(grant.clone(), (*row).clone());
        }
    }
    let parties = listed.iter().filter(|row| row.kind == correction::CORRECTED || redemption::is_redemption(&row.kind));
    let parties: BTreeSet<&str> = parties.map(|row| row.about.as_str()).collect();
    let parties: Vec<&str> = parties.into_iter().collect();
    for row in store::list_placed_about(conn, log.id, &parties, &[correction::CORRECTED], before)? {
        let Some(text) = &row.body else {
            known.uncertain.insert(row.about);
            continue;
        };
        let Ok(body) = parsed(&row.about, text) else {
            known.damaged.insert(row.about);
            continue;
        };
        if let Some(party) = body.facts.corrected {
            known.corrections.entry(row.about.clone()).or_default().push((row.log_index, party));
        }
    }
    let corrected = listed.iter().filter(|row| row.kind == correction::CORRECTED).map(|row| row.about.as_str());
    let corrected: Vec<&str> = corrected.collect::<BTreeSet<_>>().into_iter().collect();
    let kinds = [redemption::KIND, redemption::OFFLINE];
    for row in store::list_placed_about(conn, log.id, &corrected, &kinds, before)? {
        known.visits.entry(row.about.clone()).or_default().push(row);
    }
    let contested = events.iter().filter(|event| counting::contest_column(event.kind).is_some());
    let contested: BTreeSet<&str> = contested.map(|event| &*event.body.about).collect();
    let contested: Vec<&str> = contested.into_iter().collect();
    known.refusals = store::list_bodies(conn, log.id, &contested, check::KIND)?.into_iter().collect();
    if let Some(keyring) = log.keyring {
        let personal = events.iter().filter(|event| is_personal(event.kind));
        let names = personal.filter_map(|event| event.body.facts.subject.as_deref()).collect();
        known.secrets = reading::secrets(conn, keyring, log.merchant, &names)?;
    }
    Ok(known)
}

/// The person of an event, as it knows them.
pub(super) struct Personal(Person);

impl Personal {
    pub(super) const UNKNOWN: Self = Self(Person::Unknown);

    pub(super) fn of(
        event: &Event<'_>,
        refusals: &HashMap<String, Option<String>>,
        secrets: &Secrets,
    ) -> Result<Self, DatabaseError> {
        let secret = || secret_of(secrets, event.body.facts.subject.as_deref());
        Ok(Self(match event.kind {
            check::KIND => open(&event.body, secret()?)?,
            kind if counting::contest_column(kind).is_some() => {
                refused(refusals.get(&*event.body.about).and_then(Option::as_deref), secret()?)?
            }
            _ => Person::Unasked,
        }))
    }
}

/// Counts what depends on who the person is, or takes it away.
pub(super) fn personal(event: &Event<'_>, person: &Personal, sign: i64, sums: &mut Sums) {
    let Event { moment, kind, body } = event;
    let (facts, Personal(person)) = (&body.facts, person);
    if *kind == check::KIND {
        for report in [ReportKind::Grants, ReportKind::Fairness] {
            let band = (report == ReportKind::Fairness).then(|| counting::band(person));
            let cell = Cell { band, ..Cell::of(report, facts) };
            sums.count((report, moment.at), &cell, &counting::check(report, facts, person), sign);
        }
    } else if let Some(column) = counting::contest_column(kind) {
        let cell = Cell { band: Some(counting::band(person)), ..Cell::of(ReportKind::Fairness, facts) };
        sums.count((ReportKind::Fairness, moment.at), &cell, &[(column, 1)], sign);
    }
}

/// Counts the rest of an event.
fn open_part(event: &Event<'_>, known: &LookedUp, sums: &mut Sums) {
    let Event { moment, kind, body } = event;
    let facts = &body.facts;
    let cell = Cell::of(ReportKind::Grants, facts);
    let (grants, billing) = ((ReportKind::Grants, moment.at), (ReportKind::Billing, moment.at));
    match *kind {
        check::KIND => {
            sums.moved(*moment, facts, &counting::limits_of_check(facts));
            if let Some(grant) = &facts.grant {
                sums.add(grants, &cell, Column::Unspent(grant.expires_at.as_microsecond()), 1);
            }
        }
        redemption::KIND | redemption::OFFLINE => {
            sums.count(grants, &cell, &[("redeemed", 1)], 1);
            let party = last_before(known.corrections.get(&*body.about), moment.index);
            if known.damaged.contains(&*body.about) {
                sums.quarter(ReportKind::Billing, moment.at).lose();
            }
            sums.count(billing, &cell, &counting::visit(facts, party), 1);
        }
        correction::CORRECTED => {
            sums.count(grants, &cell, &[("corrected", 1)], 1);
            sums.moved(*moment, facts, &counting::limits_of_correction(facts));
            if let Some(party) = facts.corrected {
                correct(&body.about, (moment.index, party), known, sums);
            }
        }
        ending::FREED => sums.moved(*moment, facts, &counting::limits_returned(facts)),
        ending::RELEASED | ending::VOIDED => {
            let is_void = *kind == ending::VOIDED;
            sums.moved(*moment, facts, &counting::limits_returned(facts));
            sums.count(grants, &cell, &counting::end(ReportKind::Grants, facts, is_void, 0), 1);
            let earlier = known.outcomes.get(&*body.about).into_iter().flatten();
            let visits = earlier.filter(|row| redemption::is_redemption(&row.kind) && row.log_index < moment.index);
            let visits = visits.count() as u64;
            sums.count(billing, &cell, &counting::end(ReportKind::Billing, facts, is_void, visits), 1);
        }
        _ => {}
    }
}

fn last_before(corrections: Option<&Vec<(i64, PartyFacts)>>, index: i64) -> Option<PartyFacts> {
    corrections.into_iter().flatten().filter(|(at, _)| *at < index).max_by_key(|(at, _)| *at).map(|(_, party)| *party)
}

/// The visits by a grant before an index, each with its instant. One that is pruned is counted as it was when it was summed
/// up.
fn visits<'a>(
    grant: &'a str,
    index: i64,
    known: &'a LookedUp,
) -> impl Iterator<Item = (ReportedEvent<'a>, Timestamp)> + 'a {
    let earlier = known.visits.get(grant).into_iter().flatten().filter(move |row| row.log_index < index);
    earlier.filter_map(|row| {
        let visit = parsed(&row.about, row.body.as_deref()?).ok()?;
        let at = visit.facts.redeemed_at.unwrap_or_else(|| from_micros(row.at));
        Some((visit, at))
    })
}

/// Counts the visits by a grant again, with those who came as they were corrected.
fn correct(grant: &str, (index, party): (i64, PartyFacts), known: &LookedUp, sums: &mut Sums) {
    if known.uncertain.contains(grant) || known.damaged.contains(grant) {
        // Nobody can say any more how its visits are counted: they stand as they do.
        return;
    }
    let before = last_before(known.corrections.get(grant), index);
    for (visit, at) in visits(grant, index, known) {
        let facts = &visit.facts;
        let cell = Cell::of(ReportKind::Billing, facts);
        sums.count((ReportKind::Billing, at), &cell, &counting::visit(facts, before), -1);
        sums.count((ReportKind::Billing, at), &cell, &counting::visit(facts, Some(party)), 1);
    }
}

/// Counts the grant of a check under what has become of it now.
fn became(row: &LoggedRow, known: &LookedUp, sums: &mut Sums) {
    let Some(check) = known.checks.get(&row.about).filter(|check| check.log_index < row.log_index) else { return };
    // Of a check that is pruned nobody knows where it was counted; the quarter of one that can't be read is given up.
    let Some(body) = check.body.as_deref().and_then(|text| parsed(&row.about, text).ok()) else { return };
    let Some(grant) = body.facts.grant.as_ref().filter(|grant| *grant.id == *row.about) else { return };
    let unspent = Column::Unspent(grant.expires_at.as_microsecond());
    let outcomes = known.outcomes.get(&row.about).map(Vec::as_slice).unwrap_or_default();
    let column = |until: i64| {
        let has = |kind: &str| outcomes.iter().any(|it| it.kind == kind && it.log_index < until);
        let redeemed = has(redemption::KIND) || has(redemption::OFFLINE);
        let fate = Fate { redeemed, voided: has(ending::VOIDED), released: has(ending::RELEASED) };
        fate.column().map_or(unspent, Column::Named)
    };
    let (was, is) = (column(row.log_index), column(row.log_index + 1));
    if was != is {
        let (cell, at) = (Cell::of(ReportKind::Grants, &body.facts), (ReportKind::Grants, from_micros(check.at)));
        sums.add(at, &cell, was, -1);
        sums.add(at, &cell, is, 1);
    }
}
