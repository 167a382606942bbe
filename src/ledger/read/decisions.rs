//! The past as it is replayed: checks with everything that is needed to decide them again, and what
//! became of their grants.

use crate::database::DatabaseError;
use crate::decision::decided::Decided;
use crate::foundation::ids::CheckId;
use crate::foundation::json::Json;
use crate::foundation::subject::{Pseudonym, SubjectRef};
use crate::ledger::events::correction::{GrantCorrected, LimitCorrected};
use crate::ledger::events::ending::{GrantEnded, UseReturned};
use crate::ledger::events::occupancy::{OccupancyCorrected, OccupancyOfLimit, OccupancyUse};
use crate::ledger::events::redemption::{PlaceHeld, TokenRedeemed};
use crate::ledger::events::{Nullable, StoredEvent, Text};
use crate::ledger::write::check::{StoredCheck, decided_of, open, party_of};
use crate::ledger::write::subjects::Subject;
use crate::rules::limit::ScopeDigests;
use crate::rules::tier::party::Party;

/// Something that a replay has to know of, in the log's order.
#[derive(Debug, Clone)]
pub enum PastEvent {
    Check(Box<PastCheck>),
    Redeemed(PastRedemption),
    Corrected(PastCorrection),
    Ended(PastEnd),
    Occupied(PastOccupancy),
}

/// More or fewer were inside than were counted.
#[derive(Debug, Clone)]
pub struct PastOccupancy {
    /// By the time of the first counter.
    pub at: jiff::Timestamp,
    /// The perk's id.
    pub perk: String,
    /// Each limit that counted another number from then on.
    pub limits: Vec<PastInside>,
}

/// How many a limit counted from a correction on.
#[derive(Debug, Clone)]
pub struct PastInside {
    /// By the counter's time.
    pub at: jiff::Timestamp,
    pub limit: String,
    pub scope: String,
    /// How many were inside from then on.
    pub used: u64,
    pub uses: Vec<PastOccupancyUse>,
}

/// One use of such a correction.
#[derive(Debug, Clone)]
pub struct PastOccupancyUse {
    pub name: String,
    pub cost: i64,
    pub until: jiff::Timestamp,
}

/// A door took a grant's token.
#[derive(Debug, Clone)]
pub struct PastRedemption {
    pub grant: String,
    pub at: jiff::Timestamp,
    /// When the guest came in, where the door said so afterwards.
    pub entered: Option<jiff::Timestamp>,
    /// The places that it goes on holding.
    pub holds: Vec<PastHold>,
}

/// A place, and when it is free at the latest.
#[derive(Debug, Clone)]
pub struct PastHold {
    pub limit: String,
    pub scope: String,
    pub until: jiff::Timestamp,
}

/// More or fewer came by a grant than it was made to.
#[derive(Debug, Clone)]
pub struct PastCorrection {
    pub grant: String,
    pub at: jiff::Timestamp,
    /// The time by which limits counted: a moment before.
    pub corrected_at: jiff::Timestamp,
    /// The perk's id.
    pub perk: String,
    /// Number of people that limits count, and counted before.
    pub counted: u64,
    pub was_counted: u64,
    /// The counters that count another number.
    pub limits: Vec<PastRecount>,
}

/// A limit that counts a grant at another cost.
#[derive(Debug, Clone)]
pub struct PastRecount {
    pub limit: String,
    pub scope: String,
    pub window: String,
    pub cost: u64,
    pub was_cost: u64,
    /// The sum that counted then.
    pub used: u64,
    /// Up to where uses had lapsed, where they lapse one by one.
    pub horizon: Option<jiff::Timestamp>,
}

/// A grant was released or voided.
#[derive(Debug, Clone)]
pub struct PastEnd {
    pub grant: String,
    pub at: jiff::Timestamp,
    /// The perk's id.
    pub perk: String,
    pub is_void: bool,
    /// True if a void left what was used as it was.
    pub keeps_uses: bool,
    /// True if what it used is free later only, as another such event says.
    pub waits: bool,
    /// The uses of limits that it gave back.
    pub returned: Vec<PastReturn>,
}

/// The uses of one limit that came back.
#[derive(Debug, Clone)]
pub struct PastReturn {
    pub limit: String,
    pub scope: String,
    pub window: String,
    pub cost: u64,
    /// When it had been free by itself, where it was.
    pub lapsed_at: Option<jiff::Timestamp>,
}

/// One `check.decided` of the log.
#[derive(Debug, Clone)]
pub struct PastCheck {
    pub check: CheckId,
    pub at: jiff::Timestamp,
    /// The perk's id.
    pub perk: String,
    pub rule_version: i32,
    pub rule_hash: String,
    /// Which reading of rules decided it.
    pub engine: i64,
    /// Codes of reasons only and no score, where there is no personal part.
    pub decided: Decided,
    /// The ages of its children are known with its person only.
    pub party: Party,
    pub subject: Pseudonym,
    pub location: Option<String>,
    pub kiosk: Option<String>,
    /// A person granted it, in the place of a check that was referred.
    pub is_by_person: bool,
    /// The grant's id.
    pub grant: Option<String>,
    /// The codes of its reasons, each once.
    pub codes: Vec<String>,
    /// The digests of what it brought, for limits to count by.
    pub digests: ScopeDigests,
    /// None once the person was erased, and where nobody asked for it.
    pub personal: Option<PastPersonal>,
}

/// The part that is sealed under the person's key.
#[derive(Debug, Clone)]
pub struct PastPersonal {
    pub subject: SubjectRef,
    pub network: Option<String>,
    /// The part of the caller's context that the rule looked at; an object.
    pub context: Json,
}

/// The check as its event records it; `subject` opens what is personal.
pub(crate) fn read(event: &StoredCheck, subject: Option<&(SubjectRef, Subject)>) -> Result<PastCheck, DatabaseError> {
    let facts = &event.facts;
    let opened = open(event, subject.map(|(_, subject)| subject))?;
    let decided = decided_of(facts, opened.as_ref());
    let children = opened.as_ref().map(|personal| personal.children.clone()).unwrap_or_default();
    let personal = opened.zip(subject).map(|(personal, (subject, _))| PastPersonal {
        subject: *subject,
        network: personal.network,
        context: personal.context,
    });
    let text = |text: &Nullable<Text<'_>>| text.0.as_deref().map(str::to_owned);
    Ok(PastCheck {
        check: event.about.parse().map_err(|e| DatabaseError::corrupt("check id", e))?,
        at: event.at,
        perk: facts.perk_id.clone().into_owned(),
        rule_version: facts.rule_version,
        rule_hash: facts.rule_hash.clone().into_owned(),
        engine: facts.engine,
        decided,
        party: party_of(facts, children)?,
        subject: Pseudonym::stored(&facts.subject),
        location: text(&facts.location),
        kiosk: text(&facts.kiosk),
        is_by_person: facts.resolves.is_some(),
        grant: facts.grant.0.as_ref().map(|grant| grant.id.clone().into_owned()),
        codes: facts.codes(),
        digests: facts.scope_digests(),
        personal,
    })
}

/// The redemption as its event records it.
pub(crate) fn redemption(event: StoredEvent<TokenRedeemed<'static>>) -> PastRedemption {
    let holds = event.facts.holds.unwrap_or_default().into_iter();
    let hold = |hold: PlaceHeld<'static>| PastHold {
        limit: hold.id.into_owned(),
        scope: hold.scope.into_owned(),
        until: hold.until,
    };
    PastRedemption {
        grant: event.about,
        at: event.at,
        entered: event.facts.redeemed_at,
        holds: holds.map(hold).collect(),
    }
}

/// The correction as its event records it.
pub(crate) fn correction(event: StoredEvent<GrantCorrected<'static>>) -> PastCorrection {
    let recount = |limit: LimitCorrected<'static>| PastRecount {
        limit: limit.id.into_owned(),
        scope: limit.scope.into_owned(),
        window: limit.window.into_owned(),
        cost: limit.cost,
        was_cost: limit.was_cost,
        used: limit.used,
        horizon: limit.horizon,
    };
    PastCorrection {
        grant: event.about,
        at: event.at,
        corrected_at: event.facts.corrected_at,
        perk: event.facts.perk_id.into_owned(),
        counted: event.facts.counted,
        was_counted: event.facts.was_counted,
        limits: event.facts.limits.into_iter().map(recount).collect(),
    }
}

/// The correction of how many are inside as its event records it.
pub(crate) fn occupancy(event: StoredEvent<OccupancyCorrected<'static>>) -> PastOccupancy {
    let facts = event.facts;
    let one_use = |stand: OccupancyUse<'static>| PastOccupancyUse {
        name: stand.id.into_owned(),
        cost: stand.cost,
        until: stand.until,
    };
    let inside = |it: OccupancyOfLimit<'static>| PastInside {
        at: it.corrected_at,
        limit: it.id.into_owned(),
        scope: it.scope.into_owned(),
        used: it.used,
        uses: it.uses.into_iter().map(one_use).collect(),
    };
    let first = OccupancyOfLimit {
        corrected_at: facts.corrected_at,
        delta: facts.delta,
        id: facts.limit,
        max: facts.max,
        scope: facts.scope,
        used: facts.used,
        uses: facts.uses,
    };
    PastOccupancy {
        at: facts.corrected_at,
        perk: facts.perk_id.into_owned(),
        limits: std::iter::once(first).chain(facts.also.into_iter().flatten()).map(inside).collect(),
    }
}

/// The end of a grant as its event records it.
pub(crate) fn end(event: StoredEvent<GrantEnded<'static>>, is_void: bool) -> PastEnd {
    let returned = |part: UseReturned<'static>| PastReturn {
        limit: part.id.into_owned(),
        scope: part.scope.into_owned(),
        window: part.window.into_owned(),
        cost: part.cost,
        lapsed_at: part.lapsed_at,
    };
    PastEnd {
        grant: event.about,
        at: event.at,
        perk: event.facts.perk_id.into_owned(),
        is_void,
        keeps_uses: event.facts.keeps_uses == Some(true),
        waits: event.facts.frees_at.is_some(),
        returned: event.facts.returned.into_iter().map(returned).collect(),
    }
}
