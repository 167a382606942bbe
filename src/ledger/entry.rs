//! The entries that are handed to the ledger, and the records that come back once they are committed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use crate::decision::decided::Decided;
use crate::decision::forecast::Outlook;
use crate::foundation::entropy::Entropy;
use crate::foundation::ids::{CheckId, EventId, GrantId, KeyId, MerchantId, PerkId, PerkSlug};
use crate::foundation::json::Json;
use crate::foundation::subject::{SubjectHandle, SubjectRefs};
use crate::ledger::events::WrittenFacts;
use crate::ledger::payment::Payment;
use crate::rules::limit::{LimitClaim, Place, Scope, ScopeDigests};
use crate::rules::rule::Rule;
use crate::rules::tier::age_bounds;
use crate::rules::tier::party::Party;
use crate::rules::window::months_of;
use crate::tokens::claims::Claims;

/// The `about` of an event that concerns someone whom no event names.
pub(crate) const NOBODY: &str = "nobody";

/// Whose log an event goes to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogOwner {
    /// The operator of the gateway.
    Operator,
    Merchant(MerchantId),
}

impl LogOwner {
    /// The merchant, unless it is the operator.
    pub const fn merchant(&self) -> Option<&MerchantId> {
        match self {
            Self::Operator => None,
            Self::Merchant(id) => Some(id),
        }
    }
}

/// The one who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The API key, or none for the command line.
    pub key: Option<KeyId>,
    /// The role's name, or `cli`.
    pub role: &'static str,
}

impl Actor {
    /// As rows keep it: the key's id, or `cli`.
    pub fn name(&self) -> String {
        self.key.as_ref().map_or_else(|| self.role.to_owned(), |key| key.as_str().to_owned())
    }
}

/// An audit event that has no place in a log yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventDraft {
    pub log: LogOwner,
    /// `key.created`, `rule.published` …
    pub kind: &'static str,
    /// The id of what it is about.
    pub about: String,
    pub actor: Actor,
    /// The facts, which name nobody.
    pub facts: WrittenFacts,
    pub personal: Option<SealedFields>,
}

/// The part of an event that may name a person: it is sealed under their key, and lost with it. Where the key is
/// lost already, so is this.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedFields {
    /// The name that the merchant's events have for the person.
    pub subject: String,
    /// An object.
    pub fields: Json,
}

impl fmt::Debug for SealedFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedFields").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// A repeatable request: the same key and body get the same answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The key that the caller chose; scoped to merchant, API key and operation.
    pub key: String,
    /// SHA-256 of the request, to tell a retry from another question under the same key.
    pub request_hash: [u8; 32],
}

/// The question that a check asks: who wants to know, where, and about whom.
#[derive(Debug, Clone)]
pub struct CheckRequest {
    pub at: Timestamp,
    pub merchant: MerchantId,
    pub key: KeyId,
    pub role: &'static str,
    pub location: Option<String>,
    pub kiosk: Option<String>,
    pub subject: SubjectRefs,
    pub handle: SubjectHandle,
    /// The people, the subject among them; of children's ages only what the rule looks at.
    pub party: Party,
    /// The part of the caller's context that the rule looks at; an object.
    pub context: Json,
    /// The boarding pass that was shown, as limits count it.
    pub pass: Option<Brought>,
    /// The digests that an earlier check recorded, which this one counts by.
    pub digests: ScopeDigests,
    /// After this nobody waits for the answer any more, so nothing is recorded.
    pub deadline: Instant,
}

impl CheckRequest {
    /// The uses that a grant of `tier` would make of the rule's limits.
    pub(crate) fn claims(&self, rule: &Rule, tier: &str) -> Vec<LimitClaim> {
        let (location, kiosk) = (self.location.as_deref(), self.kiosk.as_deref());
        let pass_month = self.pass.as_ref().map(|pass| pass.month.as_str()).or_else(|| self.digests.pass_month());
        let place = Place { merchant: self.merchant.as_str(), location, kiosk, pass_month };
        rule.claims(tier, &self.party, &place, self.at)
    }
}

/// The bytes that tell a visit from others, to be digested with the secret of a month. Personal.
#[derive(Clone, PartialEq, Eq)]
pub struct Brought {
    pub month: String,
    pub value: Vec<u8>,
}

impl fmt::Debug for Brought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Brought").field("month", &self.month).finish_non_exhaustive()
    }
}

/// A value that a check brought for a scope that counters know by a digest, before it is digested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undigested {
    pub scope: String,
    pub brought: Brought,
}

/// The rule that decides a check, and the version of a perk that it is.
#[derive(Debug, Clone)]
pub struct DecidingRule<'a> {
    pub perk: &'a PerkId,
    pub slug: &'a PerkSlug,
    /// 0 for a rule that is no version; its checks are previewed and never recorded.
    pub version: i32,
    pub hash: Arc<str>,
    pub rule: &'a Arc<Rule>,
}

/// One check, decided but not admitted yet: limits have the last word. [`CheckEntry::new`] makes it. It reads as the
/// question that it answers.
#[derive(Debug, Clone)]
pub struct CheckEntry {
    pub check: CheckId,
    pub event: EventId,
    pub request: CheckRequest,
    pub perk: PerkId,
    pub perk_slug: PerkSlug,
    pub rule_version: i32,
    pub rule_hash: Arc<str>,
    /// The reading of the rule, [`Rule::engine`].
    pub engine: u32,
    /// By the rule; the limits are still to be asked.
    pub decided: Decided,
    pub claims: Vec<LimitClaim>,
    /// True if when waiting is enough depends on the facts, and is personal as they are.
    pub seals_hint: bool,
    /// The question as it was decided, where the rule has limits: none where nobody asks when waiting is enough.
    pub outlook: Option<Box<Outlook>>,
    /// The values to be digested, for the claims and for who decides later.
    pub undigested: Vec<Undigested>,
    /// The grant that would be made; none unless the rule grants, or where nothing is recorded.
    pub grant: Option<GrantTerms>,
    /// The check in whose place this one is granted, by a person.
    pub resolves: Option<CheckId>,
    /// Why a desk grants it, in the place of one that was refused.
    pub overrides: Option<OverrideReason>,
    pub idempotency: Option<Idempotency>,
}

/// Why a desk overrides a refusal.
#[derive(Clone, PartialEq, Eq)]
pub struct OverrideReason {
    /// One of those that the rule names, or that it was paid.
    pub reason: String,
    /// Personal, as it may name people.
    pub note: Option<String>,
    /// Paid entries only: what was paid.
    pub payment: Option<Payment>,
}

impl fmt::Debug for OverrideReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OverrideReason").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl CheckEntry {
    /// The question as the rule decided it, with what a grant claims of the rule's limits. It has no grant, resolves
    /// nothing, can't be retried and has no outlook: the caller adds what is so.
    pub fn new(mut request: CheckRequest, by: DecidingRule<'_>, decided: Decided, entropy: &Entropy) -> Self {
        let at = request.at;
        request.party = request.party.lowered_to(&age_bounds(by.rule.tiers()));
        let undigested = undigested(&request, by.rule);
        let tier = decided.tier.as_deref().filter(|_| decided.is_granted());
        let claims = tier.map(|tier| request.claims(by.rule, tier)).unwrap_or_default();
        Self {
            check: CheckId::new(at, entropy),
            event: EventId::new(at, entropy),
            request,
            perk: by.perk.clone(),
            perk_slug: by.slug.clone(),
            rule_version: by.version,
            rule_hash: by.hash,
            engine: by.rule.engine(),
            decided,
            claims,
            seals_hint: by.rule.turns_by_facts(),
            outlook: None,
            undigested,
            grant: None,
            resolves: None,
            overrides: None,
            idempotency: None,
        }
    }
}

/// The values that the rule's limits count by and the check brings, but for those that are digested for the month already.
fn undigested(request: &CheckRequest, rule: &Rule) -> Vec<Undigested> {
    let mut found = BTreeMap::new();
    for limit in rule.limits() {
        for scope in &limit.scope {
            let name = scope.name().into_owned();
            match (scope, &request.pass) {
                (Scope::BoardingPass, Some(pass)) => {
                    found.insert((name, pass.month.clone()), pass.value.clone());
                }
                (Scope::Context(member), _) => {
                    let Some(value) = request.context.member(member).and_then(digestible) else { continue };
                    // Those that any window counts by: a backtest may have another one.
                    for month in months_of(rule.time_zone(), request.at) {
                        found.insert((name.clone(), month), value.clone());
                    }
                }
                _ => {}
            }
        }
    }
    // What an earlier check recorded of another month stands for another counter.
    found.retain(|(scope, month), _| request.digests.find(scope, month).is_none());
    let each = found.into_iter().map(|((scope, month), value)| (scope, Brought { month, value }));
    each.map(|(scope, brought)| Undigested { scope, brought }).collect()
}

/// The bytes of a member of the context: canonical JSON, so that 1, "1" and true are three.
fn digestible(value: &Json) -> Option<Vec<u8>> {
    matches!(value, Json::Text(_) | Json::Number(_) | Json::Bool(_)).then(|| value.canonical().into_bytes())
}

impl CheckEntry {
    /// Tells whether limits count it, or will when a person grants it, by digests.
    pub fn needs_digests(&self) -> bool {
        !self.undigested.is_empty() || !self.request.digests.is_empty()
    }

    /// The scopes that its claims count by and that it brings nothing for: it must not be granted.
    pub fn lacking(&self) -> BTreeSet<&Scope> {
        let brings = |scope: &Scope, month: &str| {
            let name = scope.name();
            let of_request = self.undigested.iter().any(|it| it.scope == name && it.brought.month == month);
            of_request || self.request.digests.find(&name, month).is_some()
        };
        let scopes = self.claims.iter().flat_map(|claim| claim.scope.digested());
        scopes.filter(|(scope, month)| !brings(scope, month)).map(|(scope, _)| scope).collect()
    }
}

impl Deref for CheckEntry {
    type Target = CheckRequest;
    fn deref(&self) -> &CheckRequest {
        &self.request
    }
}

/// A grant as it will be if the limits admit it.
#[derive(Debug, Clone)]
pub struct GrantTerms {
    pub id: GrantId,
    pub kid: String,
    /// Complete but for `sub`, which only the ledger knows.
    pub claims: Claims,
    pub single_use: bool,
}

/// A positive decision, as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub id: GrantId,
    /// The token key that signs it, now and at every replay.
    pub kid: String,
    /// The token's claims: canonical JSON, exactly the bytes that are signed.
    pub claims: String,
    pub expires_at: Timestamp,
    pub single_use: bool,
    /// The end, if it ended before its time.
    pub end: Option<Ended>,
}

/// The way in which a grant ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The guest left, or doesn't want it.
    Released(Timestamp),
    /// It was taken back: a mistake or an abuse.
    Voided(Timestamp),
}

/// Where a decision stands, so that its holder can hold the gateway to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The log's name: the merchant's slug.
    pub log: String,
    pub index: u64,
    pub leaf_hash: [u8; 32],
    /// The first signed checkpoint that covers it (C2SP signed note).
    pub checkpoint: String,
}

/// A check as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRecord {
    pub check: CheckId,
    pub at: Timestamp,
    pub key: KeyId,
    pub perk: PerkSlug,
    pub rule_version: i32,
    pub rule_hash: Arc<str>,
    pub decided: Decided,
    /// Where the key that asked is used.
    pub location: Option<String>,
    pub kiosk: Option<String>,
    /// The check in whose place this one was granted, by a person.
    pub resolves: Option<CheckId>,
    /// The check about the same person and perk whose open referral this one belongs to.
    pub joins: Option<CheckId>,
    pub grant: Option<Grant>,
    pub receipt: Receipt,
}
