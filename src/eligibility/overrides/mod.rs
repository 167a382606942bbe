//! A desk lets someone in by hand whom a rule refused, for a reason or for pay: by that very version of the rule, on the
//! terms that it gives.

pub mod handed_out;
pub mod openings;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::checker::{Answer, CheckError, Checker};
use crate::access::Merchant;
use crate::decision::decide::Decision;
use crate::decision::decided::Decided;
use crate::decision::reason::{Reason, ReasonCode};
use crate::foundation::ids::{CheckId, KeyId};
use crate::ledger::LedgerError;
use crate::ledger::cases::overrides::{Overridden, OverrideEntry, OverrideRefused, Refusal, Visitor};
use crate::ledger::entry::{CheckEntry, CheckRecord, CheckRequest, OverrideReason};
use crate::ledger::payment::{Payment, REASON};
use crate::perks::active_perk::Deciding;
use crate::perks::closures::closing;
use crate::perks::error::PerkError;
use crate::perks::perk::PerkStatus;
use crate::rules::limit::{Place, Scope};
use crate::rules::overrides::OverrideTerms;
use crate::rules::tier::Tier;
use crate::telemetry::meters;

/// The longest time an override may wait for the ledger.
const PATIENCE: Duration = Duration::from_secs(30);

/// The time after a refusal in which it can be overridden.
pub const OPEN_FOR: SignedDuration = SignedDuration::from_mins(30);

/// The one who lets in by hand.
#[derive(Debug, Clone)]
pub struct Overrider {
    /// The key or clerk that events name, with the role.
    pub key: KeyId,
    pub role: &'static str,
    /// The only location at which they act.
    pub place: Option<String>,
}

/// A desk's wish to override a refusal.
#[derive(Debug, Clone)]
pub struct OverrideRequest {
    pub check: CheckId,
    /// One of those that the rule names.
    pub reason: String,
    /// The tier that is granted.
    pub tier: String,
    /// Personal, as it may name people.
    pub note: Option<String>,
}

/// A desk's wish to let someone in for pay whom a rule refused.
#[derive(Debug, Clone)]
pub struct PaidEntryRequest {
    pub check: CheckId,
    pub payment: Payment,
    /// The tier that was bought; none where the rule sells one alone.
    pub tier: Option<String>,
}

/// The wish, whatever it is for.
struct Asked {
    check: CheckId,
    tier: Option<String>,
    given: OverrideReason,
}

/// The reasons for which a refusal is not overridden. Everything is as it was.
#[derive(Debug, thiserror::Error)]
pub enum OverrideError {
    #[error("there is no such check")]
    NotFound,
    #[error("the check was {}", .0.as_str())]
    NotRefused(Decision),
    #[error("it was asked at {location}")]
    Elsewhere { location: String },
    #[error("it was refused more than {} minutes ago", OPEN_FOR.as_mins())]
    TooLate,
    #[error("the rule that refused it lets nobody override")]
    NotOverridable,
    #[error("the rule that refused it lets nobody in for pay")]
    NotForPay,
    #[error("the rule takes these reasons: {}", .0.join(", "))]
    UnknownReason(Vec<String>),
    #[error("the rule lets these tiers be granted so: {}", .0.join(", "))]
    UnknownTier(Vec<String>),
    #[error("it was overridden before")]
    AlreadyOverridden { granted: CheckId },
    #[error("the payment let someone in before")]
    ReferenceUsed { granted: CheckId, free: Option<String> },
    #[error("a person has granted it already")]
    AlreadyGranted,
    #[error("the person was erased")]
    Erased,
    #[error("a limit has no room for it")]
    NoRoom(Vec<Reason>),
    #[error("the perk is paused, and grants nothing")]
    PerkPaused,
    #[error("the perk is retired, and grants nothing any more")]
    PerkRetired,
    #[error("the place is closed until {until}")]
    PlaceClosed { until: Timestamp },
    #[error(transparent)]
    Check(#[from] CheckError),
}

impl OverrideError {
    /// True if it is the overrides themselves that are used up.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        match self {
            Self::NoRoom(reasons) => reasons.iter().any(|reason| reason.code == ReasonCode::OverrideExhausted),
            _ => false,
        }
    }
}

impl From<OverrideRefused> for OverrideError {
    fn from(refused: OverrideRefused) -> Self {
        match refused {
            OverrideRefused::AlreadyOverridden { granted } => Self::AlreadyOverridden { granted },
            OverrideRefused::ReferenceUsed { granted, free } => Self::ReferenceUsed { granted, free },
            OverrideRefused::AlreadyGranted => Self::AlreadyGranted,
            OverrideRefused::Erased => Self::Erased,
            OverrideRefused::NoRoom(reasons) => Self::NoRoom(reasons),
            OverrideRefused::Ledger(error) => Self::Check(error.into()),
        }
    }
}

impl Checker {
    /// Overrides a refusal. The answer is that of the check which is granted in its place, with its token.
    ///
    /// # Errors
    /// [`OverrideError`].
    pub async fn override_check(
        &self,
        by: Overrider,
        merchant: &Merchant,
        request: OverrideRequest,
    ) -> Result<Answer, OverrideError> {
        let OverrideRequest { check, reason, tier, note } = request;
        let asked = Asked { check, tier: Some(tier), given: OverrideReason { reason, note, payment: None } };
        self.let_in(by, merchant, asked).await
    }

    /// Lets in for pay, as [`Checker::override_check`] does by hand.
    ///
    /// # Errors
    /// [`OverrideError`].
    pub async fn enter_paid(
        &self,
        by: Overrider,
        merchant: &Merchant,
        request: PaidEntryRequest,
    ) -> Result<Answer, OverrideError> {
        let PaidEntryRequest { check, payment, tier } = request;
        let given = OverrideReason { reason: REASON.to_owned(), note: None, payment: Some(payment) };
        self.let_in(by, merchant, Asked { check, tier, given }).await
    }

    async fn let_in(&self, by: Overrider, merchant: &Merchant, asked: Asked) -> Result<Answer, OverrideError> {
        let overridden = Box::pin(self.try_override(by, merchant, asked)).await;
        match &overridden {
            Ok(_) => meters().overrides.count(["granted"]),
            Err(error) if error.is_exhausted() => meters().overrides.count(["exhausted"]),
            Err(OverrideError::NoRoom(_)) => meters().overrides.count(["limit_reached"]),
            Err(_) => {}
        }
        overridden
    }

    async fn try_override(&self, by: Overrider, merchant: &Merchant, request: Asked) -> Result<Answer, OverrideError> {
        let (refusal, visitor) = self.open_refusal(merchant, by.place.as_deref(), &request.check).await?;
        let entry = self.overriding(by, merchant, (&refusal, visitor), &request).await?;
        let overriding = OverrideEntry { check: request.check, subject: refusal.subject, entry: Box::new(entry) };
        let recorded = self.ledger.override_refusal(overriding).await?;
        Ok(self.answer(recorded)?)
    }

    /// A refusal that can be overridden as things are, by who acts at `place` only, whatever its rule says of it.
    async fn open_refusal(
        &self,
        merchant: &Merchant,
        place: Option<&str>,
        check: &CheckId,
    ) -> Result<(Refusal, Visitor), OverrideError> {
        let found = match self.ledger.reader().find_refusal(&merchant.id, check).await {
            // Nothing is pruned as young as that.
            Err(LedgerError::Pruned) => return Err(OverrideError::TooLate),
            found => found.map_err(CheckError::from)?,
        };
        let refusal = found.ok_or(OverrideError::NotFound)?;
        match refusal.asked.decided.decision {
            Decision::Denied => {}
            other => return Err(OverrideError::NotRefused(other)),
        }
        if let Some(location) = elsewhere(place, refusal.asked.location.as_deref()) {
            return Err(OverrideError::Elsewhere { location: location.to_owned() });
        }
        if self.clock.now().duration_since(refusal.asked.at) > OPEN_FOR {
            return Err(OverrideError::TooLate);
        }
        let visitor = refusal.visitor.clone().ok_or(OverrideError::Erased)?;
        self.require_open(merchant, &refusal.asked).await?;
        Ok((refusal, visitor))
    }

    /// A perk that grants nothing, or a place that is closed, lets nobody in by hand either.
    async fn require_open(&self, merchant: &Merchant, asked: &CheckRecord) -> Result<(), OverrideError> {
        let perk = match self.catalog.open_perk(&merchant.id, &asked.perk).await {
            Ok(perk) => perk,
            Err(PerkError::NotFound(_)) => return Err(OverrideError::PerkRetired),
            Err(error) => return Err(CheckError::from(error).into()),
        };
        match perk.status {
            PerkStatus::Active => {}
            PerkStatus::Paused => return Err(OverrideError::PerkPaused),
            PerkStatus::Retired => return Err(OverrideError::PerkRetired),
        }
        match closing(&perk.closures, asked.location.as_deref(), self.clock.now()) {
            Some(closure) => Err(OverrideError::PlaceClosed { until: closure.until }),
            None => Ok(()),
        }
    }

    /// The check that is granted: about the same visit, at the place where it was asked, by the version that refused it.
    async fn overriding(
        &self,
        by: Overrider,
        merchant: &Merchant,
        (refusal, visitor): (&Refusal, Visitor),
        request: &Asked,
    ) -> Result<CheckEntry, OverrideError> {
        let deciding = self.refused_by(merchant, &refusal.asked).await?;
        let rule = &deciding.rule;
        let given = &request.given;
        let is_paid = given.payment.is_some();
        let terms = if is_paid {
            rule.paid().ok_or(OverrideError::NotForPay)?
        } else {
            rule.overrides().ok_or(OverrideError::NotOverridable)?
        };
        if !is_paid && !terms.reasons.contains(&given.reason) {
            return Err(OverrideError::UnknownReason(terms.reasons.clone()));
        }
        let wanted = match (&request.tier, terms.tiers.as_slice()) {
            (Some(named), _) => Some(named),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        let tier = wanted.and_then(|id| rule.tier(id)).filter(|tier| terms.tiers.contains(&tier.id));
        let tier = tier.ok_or_else(|| OverrideError::UnknownTier(terms.tiers.clone()))?;
        let entry = self.in_place(by, merchant, (refusal, visitor), (&deciding, terms, tier));
        // What isn't counted must not be granted, by hand either.
        let missing = |scope: &Scope| Reason {
            attribute: Some(scope.name().into_owned()),
            ..Reason::new(ReasonCode::AttributeMissing)
        };
        let missing: Vec<Reason> = entry.lacking().into_iter().map(missing).collect();
        if !missing.is_empty() {
            return Err(OverrideError::NoRoom(missing));
        }
        let mut grant = self.terms(merchant, &deciding, &entry);
        if let Some(grant) = &mut grant {
            grant.claims.override_reason = Some(given.reason.clone());
            grant.claims.is_paid = is_paid;
        }
        Ok(CheckEntry { grant, overrides: Some(given.clone()), resolves: Some(request.check.clone()), ..entry })
    }

    /// The version of the rule that refused.
    async fn refused_by(&self, merchant: &Merchant, asked: &CheckRecord) -> Result<Deciding, CheckError> {
        let version = self.catalog.find_version(&merchant.id, &asked.perk, asked.rule_version).await?;
        let rule = Arc::new(version.read(&asked.perk)?);
        Ok(Deciding { version: version.version, rule, hash: version.rule_hash.as_str().into() })
    }

    /// The check that is granted in the place of the refused one, with what it claims of limits and without its grant.
    fn in_place(
        &self,
        by: Overrider,
        merchant: &Merchant,
        (refusal, visitor): (&Refusal, Visitor),
        (deciding, terms, tier): (&Deciding, &OverrideTerms, &Tier),
    ) -> CheckEntry {
        let asked = &refusal.asked;
        let reason = Reason {
            tier: Some(tier.id.clone()),
            tier_name: Some(tier.name.clone()),
            ..Reason::new(ReasonCode::GrantedByPerson)
        };
        let decided = Decided {
            // What the rule saw is what was overridden.
            score: asked.decided.score.clone(),
            ..Decided::granted(tier, &visitor.party, vec![reason])
        };
        let check = CheckRequest {
            at: self.clock.now(),
            merchant: merchant.id.clone(),
            key: by.key,
            role: by.role,
            location: asked.location.clone(),
            kiosk: asked.kiosk.clone(),
            // As their row stands, whatever the handle would be written like today.
            subject: visitor.subject_ref.into(),
            handle: visitor.handle,
            party: visitor.party,
            context: visitor.context,
            pass: None,
            digests: refusal.digests.clone(),
            deadline: Instant::now() + PATIENCE,
        };
        let entry = CheckEntry::new(check, deciding.of_perk(&refusal.perk_id, &asked.perk), decided, &self.entropy);
        let place = Place {
            merchant: merchant.id.as_str(),
            location: asked.location.as_deref(),
            kiosk: asked.kiosk.as_deref(),
            pass_month: None,
        };
        let claims = terms.claims(entry.claims.clone(), deciding.rule.time_zone(), &tier.id, &place, entry.at);
        CheckEntry { claims, ..entry }
    }

    /// The check that was granted in the place of this one, for a caller who asks again.
    ///
    /// # Errors
    /// [`CheckError`].
    pub async fn find_overridden(&self, merchant: &Merchant, check: &CheckId) -> Result<Option<Answer>, CheckError> {
        let found = self.ledger.reader().find_override(&merchant.id, check).await?;
        let Some(Overridden { granted_check, .. }) = found else { return Ok(None) };
        self.find_check(merchant, &granted_check).await
    }
}

/// Where a check was asked, if that is another location than the only one of who acts.
fn elsewhere<'a>(own: Option<&str>, asked_at: Option<&'a str>) -> Option<&'a str> {
    asked_at.filter(|at| own.is_some_and(|own| own != *at))
}
