//! The hot path: from a question to a recorded decision and its token.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::issuer::Issuer;
use super::known_person::known_of;
use super::occupancy::sample::Samples;
use crate::access::{Merchant, Principal};
use crate::decision::decide::{decide, looked_at};
use crate::decision::decided::Decided;
use crate::decision::facts::{Context, Facts, ScoreFact};
use crate::decision::forecast::Outlook;
use crate::decision::person::PersonFacts;
use crate::decision::reason::Reason;
use crate::decision::rollout::rollout_bucket;
use crate::foundation::boarding_pass::{BoardingPass, may_be_countable};
use crate::foundation::clock::Clock;
use crate::foundation::entropy::Entropy;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{CheckId, GrantId, KeyId, PerkSlug};
use crate::foundation::subject::{Pseudonym, SubjectHandle, SubjectRefs};
use crate::keyring::Keyring;
use crate::ledger::entry::{Brought, CheckEntry, CheckRecord, CheckRequest, Grant, GrantTerms, Idempotency, Receipt};
use crate::ledger::{Ledger, LedgerError, Recorded};
use crate::perks::active_perk::{ActivePerk, Deciding};
use crate::perks::catalog::Catalog;
use crate::perks::closures::closing;
use crate::perks::error::PerkError;
use crate::perks::observed_attributes::ObservedAttributes;
use crate::perks::perk::PerkStatus;
use crate::rules::limit::ScopeDigests;
use crate::rules::window::month_of;
use crate::scores::score::Score;
use crate::scores::{ScoreError, Scores};
use crate::telemetry::meters;
use crate::tokens::TokenError;
use crate::tokens::claims::{Claims, short_hash};

/// One question: may this person have this perk?
#[derive(Debug, Clone)]
pub struct Question {
    pub perk: PerkSlug,
    pub subject: SubjectHandle,
    pub context: Context,
    /// The boarding pass that the visitor showed.
    pub boarding_pass: Option<BoardingPass>,
    /// Ask without recording anything; no token.
    pub dry_run: bool,
    pub idempotency: Option<Idempotency>,
    /// After this the caller no longer waits.
    pub deadline: Instant,
}

/// The answer to a check.
#[derive(Debug, Clone)]
pub struct Answer {
    /// None for a dry run.
    pub check: Option<CheckId>,
    /// The key that asked.
    pub key: KeyId,
    pub at: Timestamp,
    pub perk: PerkSlug,
    pub rule_version: i32,
    pub decided: Decided,
    /// Where the key that asked is used; none for a dry run.
    pub location: Option<String>,
    pub kiosk: Option<String>,
    /// The check in whose place this one was granted, by a person.
    pub resolves: Option<CheckId>,
    /// The check about the same person and perk whose open referral this one belongs to.
    pub joins: Option<CheckId>,
    pub grant: Option<Grant>,
    pub token: Option<String>,
    /// When the key that signed the grant's token was withdrawn: the token opens no door.
    pub token_key_revoked_at: Option<Timestamp>,
    pub receipt: Option<Receipt>,
}

impl Question {
    /// The key that an earlier answer to it is found by; nothing is kept of a dry run.
    fn retried(&self) -> Option<Idempotency> {
        self.idempotency.clone().filter(|_| !self.dry_run)
    }
}

impl Answer {
    /// Its reasons as a caller may see them. A recorded check can be held against a caller who asks for many; a dry run
    /// can't, so it tells those who may not read scores no gap at all.
    #[must_use]
    pub fn visible_reasons(&self, reads_scores: bool) -> Vec<Reason> {
        let visible = |reason: Reason| match (reads_scores, &self.check) {
            (true, _) => reason,
            (false, Some(_)) => reason.for_roles_without_scores(),
            (false, None) => reason.without_gap(),
        };
        self.decided.reasons.iter().cloned().map(visible).collect()
    }
}

/// Why a question got no decision.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error(transparent)]
    Perk(#[from] PerkError),
    #[error(transparent)]
    Score(#[from] ScoreError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A part of the context that the rule looks at can't be taken.
    #[error("the context can't be taken")]
    Context(Vec<FieldError>),
}

/// Answers questions; cheap to clone.
#[derive(Clone)]
pub struct Checker {
    pub(crate) catalog: Catalog,
    pub(crate) scores: Scores,
    pub(crate) ledger: Ledger,
    pub(crate) keyring: Keyring,
    pub(crate) issuer: Issuer,
    pub(crate) issuer_url: Arc<str>,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) seen: ObservedAttributes,
    pub(crate) samples: Samples,
}

impl Checker {
    /// Decides, records, signs; in that order, which the types hold it to.
    ///
    /// # Errors
    /// [`CheckError`]; then nothing was granted, or (a lost commit) nobody has the token.
    pub async fn check(
        &self,
        principal: &Principal,
        merchant: &Merchant,
        question: Question,
    ) -> Result<Answer, CheckError> {
        let perk = match self.catalog.open_perk(&merchant.id, &question.perk).await {
            Err(error @ PerkError::NotFound(_)) => {
                return self.answer_earlier(principal, merchant, question.retried(), error.into()).await;
            }
            found => found?,
        };
        let (dry_run, retried) = (question.dry_run, question.retried());
        if !dry_run {
            self.seen.note(&merchant.id, question.context.names());
        }
        // All that a check is made of would lie in the future of everyone who asks.
        let entry = match Box::pin(self.decide(principal, merchant, &perk, question)).await {
            Err(error @ CheckError::Context(_)) => {
                return self.answer_earlier(principal, merchant, retried, error).await;
            }
            decided => decided?,
        };
        if !dry_run {
            let recorded = self.ledger.check(entry).await?;
            note(recorded.get());
            return self.answer(recorded);
        }
        let (at, perk, rule_version) = (entry.at, entry.perk_slug.clone(), entry.rule_version);
        Ok(Answer {
            check: None,
            key: principal.key.clone(),
            at,
            perk,
            rule_version,
            decided: self.ledger.reader().preview(entry).await?,
            location: None,
            kiosk: None,
            resolves: None,
            joins: None,
            grant: None,
            token: None,
            token_key_revoked_at: None,
            receipt: None,
        })
    }

    /// A perk that is retired, or whose rule looks at something else by now, still gives a caller who asks again the
    /// earlier answer; everybody else gets the error.
    async fn answer_earlier(
        &self,
        principal: &Principal,
        merchant: &Merchant,
        retried: Option<Idempotency>,
        error: CheckError,
    ) -> Result<Answer, CheckError> {
        let earlier = match retried {
            Some(idempotency) => self.ledger.reader().find_answered(&merchant.id, &principal.key, idempotency).await?,
            None => None,
        };
        earlier.map_or(Err(error), |recorded| self.answer(recorded))
    }

    /// A check that was made earlier, with its token signed again: the very same bytes. A token whose key
    /// is retired has expired long since and is left out, as is one whose key was withdrawn.
    ///
    /// # Errors
    /// [`CheckError`].
    pub async fn find_check(&self, merchant: &Merchant, check: &CheckId) -> Result<Option<Answer>, CheckError> {
        match self.ledger.reader().find_check(&merchant.id, check).await? {
            Some(record) => Ok(Some(self.answer(record)?)),
            None => Ok(None),
        }
    }

    pub(super) fn answer(&self, recorded: Recorded<CheckRecord>) -> Result<Answer, CheckError> {
        // The token of a grant that has ended must never surface again, not even as the answer to a retry.
        let standing = recorded.grant().filter(|grant| grant.get().end.is_none());
        let token_key_revoked_at = standing.as_ref().and_then(|grant| self.keyring.revoked_at(&grant.get().kid));
        let token = match standing.map(|grant| self.issuer.sign(&grant)).transpose() {
            Ok(token) => token,
            Err(TokenError::UnknownKey) => None,
            Err(error) => return Err(error.into()),
        };
        let record = recorded.into_inner();
        Ok(Answer {
            check: Some(record.check),
            key: record.key,
            at: record.at,
            perk: record.perk,
            rule_version: record.rule_version,
            decided: record.decided,
            location: record.location,
            kiosk: record.kiosk,
            resolves: record.resolves,
            joins: record.joins,
            grant: record.grant,
            token,
            token_key_revoked_at,
            receipt: Some(record.receipt),
        })
    }

    /// The rule that decides, with the score that it asks for, at one instant: a look-up takes its
    /// time, and another version may take over meanwhile.
    async fn look_up(
        &self,
        merchant: &Merchant,
        perk: &ActivePerk,
        subject: &SubjectRefs,
    ) -> Result<(Arc<Deciding>, Option<Score>, PersonFacts, Timestamp), CheckError> {
        let mut deciding = self.catalog.deciding(&merchant.id, perk, self.clock.now()).await?;
        loop {
            let rule = &deciding.rule;
            let (score, person) = match perk.status {
                PerkStatus::Active => known_of(&self.catalog, &self.scores, merchant, rule, subject).await?,
                PerkStatus::Paused | PerkStatus::Retired => (None, PersonFacts::default()),
            };
            // Read after the look-up: a score can't be older than the question.
            let at = self.clock.now();
            let decides = self.catalog.deciding(&merchant.id, perk, at).await?;
            if Arc::ptr_eq(&decides, &deciding) {
                return Ok((deciding, score, person, at));
            }
            deciding = decides;
        }
    }

    async fn decide(
        &self,
        principal: &Principal,
        merchant: &Merchant,
        perk: &ActivePerk,
        question: Question,
    ) -> Result<CheckEntry, CheckError> {
        let subject = self.keyring.subject_refs(&merchant.id, &question.subject);
        let (deciding, score, person, at) = self.look_up(merchant, perk, &subject).await?;
        let rule = &deciding.rule;
        let airports = &principal.airports;
        let pass = question.boarding_pass.as_ref().and_then(|pass| pass_visit(pass, rule.time_zone(), at, airports));
        let context = match &question.boarding_pass {
            Some(pass) => question.context.with_pass(pass, rule.time_zone(), at, airports),
            None => question.context,
        };
        let own = principal.location.as_deref();
        let occupancy = self.samples.percent(&self.ledger, (merchant, perk, rule), own, at).await;
        let context = context.of_person(person).with_occupancy(occupancy.map_err(LedgerError::from)?);
        let closure = closing(&perk.closures, principal.location.as_deref(), at);
        let facts = Facts {
            score: score.map(|score| ScoreFact { value: score.value, observed_at: score.observed_at }),
            network: question.subject.network().map(str::to_owned),
            context,
            rollout_bucket: Some(rollout_bucket(&perk.id, &subject.current)),
            location: principal.location.clone(),
            closed_until: closure.map(|closure| closure.until),
        };
        let decided = match perk.status {
            PerkStatus::Paused => Decided::paused(),
            PerkStatus::Active | PerkStatus::Retired => {
                facts.context.check_for(rule).map_err(CheckError::Context)?;
                decide(rule, &facts, at).naming_closure(closure.map(|closure| closure.id.as_str()))
            }
        };
        let request = CheckRequest {
            at,
            merchant: merchant.id.clone(),
            key: principal.key.clone(),
            role: principal.role.as_str(),
            location: principal.location.clone(),
            kiosk: principal.kiosk.clone(),
            subject,
            handle: question.subject,
            party: facts.context.party().clone(),
            context: looked_at(rule, &facts),
            pass,
            digests: ScopeDigests::default(),
            deadline: question.deadline,
        };
        let entry = CheckEntry::new(request, deciding.of_perk(&perk.id, &perk.slug), decided, &self.entropy);
        let outlook = (!rule.limits().is_empty()).then(|| Box::new(Outlook { rule: rule.clone(), facts }));
        let grant = self.terms(merchant, &deciding, &entry);
        let entry = CheckEntry { grant, outlook, idempotency: question.idempotency, ..entry };
        self.with_room(entry).await
    }

    /// The same entry; where its rule refuses it until an instant at which limits would be asked, with when they have
    /// room. Their counters are read beside the ledger's writer: what needs no limit must not wait for one there.
    async fn with_room(&self, mut entry: CheckEntry) -> Result<CheckEntry, CheckError> {
        if entry.decided.is_granted() {
            return Ok(entry);
        }
        if entry.decided.next_eligible_at.is_some() && entry.outlook.is_some() {
            entry.decided.next_eligible_at = self.ledger.reader().next_admitted(entry.clone()).await?;
        }
        Ok(CheckEntry { outlook: None, ..entry })
    }

    /// The grant that is made of the entry, if its rule grants.
    pub(super) fn terms(&self, merchant: &Merchant, deciding: &Deciding, entry: &CheckEntry) -> Option<GrantTerms> {
        let tier = entry.decided.tier.clone().filter(|_| entry.decided.is_granted())?;
        let (terms, at) = (deciding.rule.token(), entry.at);
        let id = GrantId::new(at, &self.entropy);
        let admitted = entry.decided.admitted(&entry.party);
        let party = (admitted > 1).then(|| i32::try_from(admitted).unwrap_or(i32::MAX));
        Some(GrantTerms {
            kid: self.keyring.token_key().kid().to_owned(),
            claims: Claims {
                iss: self.issuer_url.as_ref().to_owned(),
                aud: format!("{}/{}", merchant.slug, terms.audience),
                // The ledger fills it in: a person it meets for the first time has no pseudonym yet.
                sub: Pseudonym::stored(""),
                jti: id.clone(),
                iat: at.as_second(),
                nbf: at.as_second(),
                exp: at.as_second().saturating_add(terms.ttl.seconds()),
                merchant: merchant.slug.clone(),
                perk: entry.perk_slug.clone(),
                tier,
                rule: deciding.version,
                rule_hash: short_hash(&deciding.hash),
                party,
                loc: entry.location.clone(),
                online_only: terms.online_only,
                override_reason: None,
                is_paid: false,
            },
            single_use: terms.single_use,
            id,
        })
    }
}

/// The visit that a boarding pass stands for, by the leg that counts at `now`; none of a pass that limits count neither
/// now nor soon.
pub(super) fn pass_visit(pass: &BoardingPass, zone: &TimeZone, now: Timestamp, airports: &[String]) -> Option<Brought> {
    let counting = pass.counting_leg(zone.to_datetime(now).date(), airports)?;
    if !may_be_countable(counting.days_from_today) {
        return None;
    }
    Some(Brought { month: month_of(counting.date), value: pass.visit(&counting) })
}

/// Counts what was decided. The score's age is counted for repeated answers too: a few retries don't matter.
fn note(record: &CheckRecord) {
    let meters = meters();
    meters.checks.count([record.decided.decision.as_str()]);
    for reason in &record.decided.reasons {
        meters.check_reasons.count([reason.code.as_str()]);
    }
    if let Some(score) = &record.decided.score {
        meters.score_age.record(record.at.duration_since(score.observed_at).as_secs_f64().max(0.0));
    }
}
