//! A person decides what a rule has referred: the grant goes the way of every grant.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::checker::{Answer, CheckError, Checker};
use crate::access::{Merchant, Principal};
use crate::decision::decide::Decision;
use crate::decision::decided::Decided;
use crate::decision::reason::{Reason, ReasonCode};
use crate::foundation::ids::{CheckId, EventId};
use crate::ledger::LedgerError;
use crate::ledger::cases::model::{Referral, ReferralStatus};
use crate::ledger::cases::referral::{Referred, Resolution, ResolveError, Resolved};
use crate::ledger::entry::{Actor, CheckEntry, CheckRequest};
use crate::perks::active_perk::Deciding;
use crate::perks::closures::closing;
use crate::perks::error::PerkError;
use crate::perks::perk::PerkStatus;
use crate::rules::limit::Scope;
use crate::rules::tier::Tier;
use crate::telemetry::meters;

/// The longest time a decision may wait for the ledger.
const PATIENCE: Duration = Duration::from_secs(30);

/// A person's decision about a check that was referred.
#[derive(Debug, Clone)]
pub struct ReferralDecision {
    pub check: CheckId,
    /// The tier that is granted; none to deny.
    pub tier: Option<String>,
    /// Why.
    pub note: String,
}

/// Why a decision was not recorded. The referral is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReferralDecisionError {
    #[error("there is no such referral")]
    NotFound,
    #[error("a person has decided this already")]
    AlreadyDecided,
    #[error("a desk overrode it: `{granted}` was granted in its place")]
    AlreadyOverridden { granted: CheckId },
    #[error("the rule that referred it has no such tier; it has {}", .0.join(", "))]
    UnknownTier(Vec<String>),
    #[error("a limit has no room for it")]
    NoRoom(Vec<Reason>),
    #[error("the perk is paused, and grants nothing")]
    PerkPaused,
    #[error("the place is closed until {0}, and nothing is granted there")]
    PlaceClosed(Timestamp),
    #[error("the perk is retired, and grants nothing any more")]
    PerkRetired,
    #[error(transparent)]
    Check(#[from] CheckError),
}

impl From<ResolveError> for ReferralDecisionError {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::NotFound => Self::NotFound,
            ResolveError::AlreadyDecided => Self::AlreadyDecided,
            ResolveError::AlreadyOverridden { granted } => Self::AlreadyOverridden { granted },
            ResolveError::NoRoom(reasons) => Self::NoRoom(reasons),
            ResolveError::Ledger(error) => Self::Check(error.into()),
        }
    }
}

/// The answer to a check once its event is pruned: where it stood, and nothing of why.
fn pruned_answer(principal: &Principal, referral: &Referral) -> Answer {
    let granted = referral.decided.as_ref().and_then(|decided| decided.granted.as_ref());
    let decision = match (granted, &referral.contest) {
        (Some(_), _) => Decision::Granted,
        (None, Some(_)) => Decision::Denied,
        (None, None) => Decision::Referred,
    };
    Answer {
        check: Some(granted.map_or_else(|| referral.check.clone(), |(check, _)| check.clone())),
        key: principal.key.clone(),
        at: referral.created_at,
        perk: referral.perk.clone(),
        rule_version: referral.rule_version,
        decided: Decided::because(decision, Vec::new()),
        location: None,
        kiosk: None,
        resolves: granted.map(|_| referral.check.clone()),
        joins: None,
        grant: None,
        token: None,
        token_key_revoked_at: None,
        receipt: None,
    }
}

impl Checker {
    /// A person's decision about this check as it is known now, for a caller who asks again: the check that was
    /// granted in its place, or the check itself.
    ///
    /// # Errors
    /// [`CheckError`].
    pub async fn find_referral_decision(
        &self,
        principal: &Principal,
        merchant: &Merchant,
        check: &CheckId,
    ) -> Result<Option<(Answer, Referral)>, CheckError> {
        let Some(referral) = self.ledger.reader().referral_of(&merchant.id, check).await? else { return Ok(None) };
        let granted = referral.decided.as_ref().and_then(|decided| decided.granted.as_ref());
        let answer = match self.find_check(merchant, granted.map_or(check, |(granted, _)| granted)).await {
            Ok(Some(answer)) => answer,
            Ok(None) | Err(CheckError::Ledger(LedgerError::Pruned)) => pruned_answer(principal, &referral),
            Err(error) => return Err(error),
        };
        Ok(Some((answer, referral)))
    }

    /// Records what a person decided about a check that was referred. The answer is that of the check
    /// which was granted in its place, with its token, or that of the check itself when denied.
    ///
    /// # Errors
    /// [`ReferralDecisionError`].
    pub async fn decide_referral(
        &self,
        principal: &Principal,
        merchant: &Merchant,
        decision: ReferralDecision,
    ) -> Result<Answer, ReferralDecisionError> {
        let referral =
            self.ledger.reader().referral_of(&merchant.id, &decision.check).await.map_err(CheckError::from)?;
        let referral = referral.ok_or(ReferralDecisionError::NotFound)?;
        self.require_judge(merchant, &referral, &principal.actor()).await?;
        let grant = match &decision.tier {
            // Even when the person has been erased meanwhile: what is left of them can be closed.
            None => None,
            Some(tier) => {
                let found = match self.ledger.reader().find_referred(&merchant.id, &decision.check).await {
                    Err(LedgerError::Pruned) if referral.status != ReferralStatus::Open => {
                        return Err(ReferralDecisionError::AlreadyDecided);
                    }
                    found => found.map_err(CheckError::from)?,
                };
                let referred = found.ok_or(ReferralDecisionError::NotFound)?;
                if referred.referral.status != ReferralStatus::Open {
                    return Err(ReferralDecisionError::AlreadyDecided);
                }
                Some(Box::new(self.granted_by(principal, merchant, &referred, tier).await?))
            }
        };
        // Read before it is decided: what is committed is answered, whatever can be read of it then.
        let asked = match self.find_check(merchant, &decision.check).await {
            Ok(asked) => asked,
            Err(CheckError::Ledger(LedgerError::Pruned)) => None,
            Err(error) => return Err(error.into()),
        };
        match self.resolve(merchant, decision.check, principal.actor(), decision.note, grant).await? {
            Resolved::Granted(recorded) => Ok(self.answer(*recorded)?),
            Resolved::Denied => Ok(asked.unwrap_or_else(|| pruned_answer(principal, &referral))),
        }
    }

    /// Records that a check which was referred is denied, or that a refusal which was contested stands; `by` needs no
    /// key, as nothing is granted.
    ///
    /// # Errors
    /// [`ReferralDecisionError`].
    pub async fn deny(
        &self,
        by: Actor,
        merchant: &Merchant,
        check: &CheckId,
        note: String,
    ) -> Result<(), ReferralDecisionError> {
        let referral = self.ledger.reader().referral_of(&merchant.id, check).await.map_err(CheckError::from)?;
        self.require_judge(merchant, &referral.ok_or(ReferralDecisionError::NotFound)?, &by).await?;
        self.resolve(merchant, check.clone(), by, note, None).await?;
        Ok(())
    }

    /// Requires another judge than those who say that the decision is wrong, or that one judged with it is.
    async fn require_judge(&self, merchant: &Merchant, referral: &Referral, by: &Actor) -> Result<(), CheckError> {
        let Some(contest) = &referral.contest else { return Ok(()) };
        let added = contest.added.iter().map(|added| (&added.by, added.at));
        for (first, at) in std::iter::once((&contest.by, contest.at)).chain(added) {
            self.catalog.require_another(&merchant.id, first, at, by).await?;
        }
        Ok(())
    }

    async fn resolve(
        &self,
        merchant: &Merchant,
        check: CheckId,
        by: Actor,
        note: String,
        grant: Option<Box<CheckEntry>>,
    ) -> Result<Resolved, ReferralDecisionError> {
        let (merchant, at) = (merchant.id.clone(), self.clock.now());
        let event = EventId::new(at, &self.entropy);
        let resolved = self.ledger.resolve(Resolution { merchant, check, event, at, by, note, grant }).await?;
        let decision = if matches!(resolved, Resolved::Granted(_)) { "granted" } else { "denied" };
        meters().referrals.count([decision]);
        Ok(resolved)
    }

    /// The tiers that the rule which referred a check has, by id and name, highest rank first: what a
    /// person can grant.
    ///
    /// # Errors
    /// [`CheckError`].
    pub async fn grantable(&self, merchant: &Merchant, referred: &Referred) -> Result<Vec<Tier>, CheckError> {
        Ok(self.version_of(merchant, referred).await?.rule.tiers().to_vec())
    }

    /// The version that referred the check, whatever has become of it since.
    async fn version_of(&self, merchant: &Merchant, referred: &Referred) -> Result<Deciding, CheckError> {
        let (perk, version) = (&referred.referral.perk, referred.referral.rule_version);
        let version = self.catalog.find_version(&merchant.id, perk, version).await?;
        let rule = Arc::new(version.read(perk)?);
        Ok(Deciding { version: version.version, rule, hash: version.rule_hash.as_str().into() })
    }

    /// The check that a person grants: about the same visit, at the place where it was asked.
    async fn granted_by(
        &self,
        principal: &Principal,
        merchant: &Merchant,
        referred: &Referred,
        tier: &str,
    ) -> Result<CheckEntry, ReferralDecisionError> {
        let perk = self.catalog.open_perk(&merchant.id, &referred.referral.perk).await;
        match perk.as_ref().map(|perk| perk.status) {
            Ok(PerkStatus::Paused) => return Err(ReferralDecisionError::PerkPaused),
            Ok(PerkStatus::Retired) | Err(PerkError::NotFound(_)) => return Err(ReferralDecisionError::PerkRetired),
            Ok(PerkStatus::Active) | Err(_) => {}
        }
        let perk = perk.map_err(CheckError::from)?;
        let closure = closing(&perk.closures, referred.location.as_deref(), self.clock.now());
        if let Some(closure) = closure {
            return Err(ReferralDecisionError::PlaceClosed(closure.until));
        }
        let deciding = self.version_of(merchant, referred).await?;
        let Some(granted) = deciding.rule.tier(tier) else {
            return Err(ReferralDecisionError::UnknownTier(
                deciding.rule.tiers().iter().map(|tier| tier.id.clone()).collect(),
            ));
        };
        let reason = Reason {
            tier: Some(granted.id.clone()),
            tier_name: Some(granted.name.clone()),
            ..Reason::new(ReasonCode::GrantedByPerson)
        };
        let decided = Decided {
            // What the rule saw is what the person decided on.
            score: referred.asked.decided.score.clone(),
            ..Decided::granted(granted, &referred.party, vec![reason])
        };
        let request = CheckRequest {
            at: self.clock.now(),
            merchant: merchant.id.clone(),
            key: principal.key.clone(),
            role: principal.role.as_str(),
            location: referred.location.clone(),
            kiosk: referred.kiosk.clone(),
            // As their row stands, whatever the handle would be written like today.
            subject: referred.subject_ref.into(),
            handle: referred.handle.clone(),
            party: referred.party.clone(),
            context: referred.context.clone(),
            pass: None,
            digests: referred.digests.clone(),
            deadline: Instant::now() + PATIENCE,
        };
        let by = deciding.of_perk(&referred.referral.perk_id, &referred.referral.perk);
        let entry = CheckEntry::new(request, by, decided, &self.entropy);
        // What isn't counted must not be granted, by a person either.
        let missing = |scope: &Scope| Reason {
            attribute: Some(scope.name().into_owned()),
            ..Reason::new(ReasonCode::AttributeMissing)
        };
        let missing: Vec<Reason> = entry.lacking().into_iter().map(missing).collect();
        if !missing.is_empty() {
            return Err(ReferralDecisionError::NoRoom(missing));
        }
        let grant = self.terms(merchant, &deciding, &entry);
        Ok(CheckEntry { grant, resolves: Some(referred.referral.check.clone()), ..entry })
    }
}
