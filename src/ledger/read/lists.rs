//! Lists of checks and of grants, as the log has them: filtered pages, bounded in what one request looks at.

use std::collections::HashMap;

use jiff::Timestamp;

use super::LedgerReader;
use super::browse::{self, BrowseError, EventFilter, LoggedEvent};
use crate::database::{AnyConnection, DatabaseError};
use crate::decision::decide::Decision;
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{CheckId, GrantId, MerchantId, PerkSlug};
use crate::foundation::subject::SubjectHandle;
use crate::ledger::entry::Ended;
use crate::ledger::error::unreadable;
use crate::ledger::events::{Nullable, Text};
use crate::ledger::grants::party::{self, PartyStanding};
use crate::ledger::idempotency::replay::end_of;
use crate::ledger::write::check::{self, StoredCheck};
use crate::ledger::{LedgerError, store};
use crate::rules::tier::guests::Admitted;

/// One check, by what its event says in the clear.
#[derive(Debug, Clone)]
pub struct ListedCheck {
    pub check: CheckId,
    pub at: Timestamp,
    pub decision: Decision,
    pub perk: PerkSlug,
    pub rule_version: i32,
    pub tier: Option<String>,
    /// The codes of its reasons, each once.
    pub reasons: Vec<String>,
    pub location: Option<String>,
    pub kiosk: Option<String>,
    pub grant: Option<GrantId>,
    pub resolves: Option<CheckId>,
    pub joins: Option<CheckId>,
}

/// One grant and what became of it.
#[derive(Debug, Clone)]
pub struct ListedGrant {
    pub grant: GrantId,
    /// The check that it was granted by.
    pub check: ListedCheck,
    /// The token key.
    pub kid: String,
    pub single_use: bool,
    pub expires_at: Timestamp,
    pub redeemed_at: Vec<Timestamp>,
    pub end: Option<Ended>,
    /// The party as the token says it.
    pub granted: Admitted,
    /// The party since it was corrected, if it was.
    pub corrected: Option<Admitted>,
}

/// Some of what was looked for.
#[derive(Debug, Clone)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where to go on; none when the log's end was reached.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A page on which nothing is, and the last.
    const EMPTY: Self = Self { items: Vec::new(), next: None };
}

/// A page of checks that `filter` means, of one person where one is given.
pub(crate) async fn list_checks(
    reader: &LedgerReader,
    merchant: &MerchantId,
    filter: EventFilter,
    person: Option<&SubjectHandle>,
    cursor: Option<&str>,
    most: usize,
) -> Result<Page<ListedCheck>, BrowseError> {
    let filter = EventFilter { kind: Some(check::KIND.to_owned()), ..filter };
    let page = match person {
        None => browse::page(reader, merchant, filter, None, cursor, most).await?,
        Some(handle) => match reader.find_person(merchant, handle).await? {
            Some(person) => browse::page(reader, merchant, filter, Some(&person), cursor, most).await?,
            None => return Ok(Page::EMPTY),
        },
    };
    let items: Result<Vec<_>, _> = page.events.iter().filter_map(|event| listed(event).transpose()).collect();
    Ok(Page { items: items.map_err(LedgerError::from)?, next: page.next })
}

/// The same of grants.
pub(crate) async fn list_grants(
    reader: &LedgerReader,
    merchant: &MerchantId,
    filter: EventFilter,
    person: Option<&SubjectHandle>,
    cursor: Option<&str>,
    most: usize,
) -> Result<Page<ListedGrant>, BrowseError> {
    let filter = EventFilter { decision: Some(Decision::Granted.as_str().to_owned()), ..filter };
    let page = list_checks(reader, merchant, filter, person, cursor, most).await?;
    let of = merchant.clone();
    let read = reader.context.database.read(move |conn| grants_of(conn, &of, page.items));
    Ok(Page { items: read.await.map_err(LedgerError::from)?, next: page.next })
}

/// The grants of these checks with what became of them, in their order.
fn grants_of(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    checks: Vec<ListedCheck>,
) -> Result<Vec<ListedGrant>, DatabaseError> {
    let ids: Vec<&str> = checks.iter().filter_map(|check| check.grant.as_ref()).map(GrantId::as_str).collect();
    let rows = store::list_grants(conn, merchant, &ids)?;
    let mut redeemed: HashMap<String, Vec<Timestamp>> = HashMap::new();
    for row in store::list_redemptions(conn, &ids)? {
        redeemed.entry(row.grant_id).or_default().push(from_micros(row.redeemed_at));
    }
    let mut rows: HashMap<_, _> = rows.into_iter().map(|row| (row.id.clone(), row)).collect();
    let found = checks.into_iter().filter_map(|check| {
        let grant = check.grant.clone()?;
        Some((check, rows.remove(grant.as_str())?, grant))
    });
    let listed = found.map(|(check, row, grant)| {
        Ok(ListedGrant {
            check,
            granted: party::as_granted(&row)?,
            corrected: PartyStanding::of(&row)?.corrected(),
            kid: row.kid,
            single_use: row.single_use,
            expires_at: from_micros(row.expires_at),
            redeemed_at: redeemed.remove(grant.as_str()).unwrap_or_default(),
            end: end_of(row.released_at, row.voided_at),
            grant,
        })
    });
    listed.collect()
}

/// The check that the event records; none once its body was pruned.
fn listed(event: &LoggedEvent) -> Result<Option<ListedCheck>, DatabaseError> {
    let Some(body) = &event.body else { return Ok(None) };
    let facts = StoredCheck::from_body(body).map_err(|error| unreadable(&event.id, error))?.facts;
    let codes = facts.codes();
    let text = |text: Nullable<Text<'static>>| text.0.map(Text::into_owned);
    let grant = facts.grant.0.map(|grant| grant.id.parse());
    Ok(Some(ListedCheck {
        check: event.about.parse().map_err(|e| DatabaseError::corrupt("check id", e))?,
        at: event.at,
        decision: facts.decision,
        perk: facts.perk.parse().map_err(|e| DatabaseError::corrupt("perk", e))?,
        rule_version: facts.rule_version,
        tier: text(facts.tier),
        reasons: codes,
        location: text(facts.location),
        kiosk: text(facts.kiosk),
        grant: grant.transpose().map_err(|e| DatabaseError::corrupt("grant id", e))?,
        resolves: facts.resolves,
        joins: facts.joins,
    }))
}
