//! `check.decided`: a check, its limits and its grant.

use jiff::Timestamp;

use super::canonical::{Nullable, Text, facts, present};
use crate::decision::decide::Decision;
use crate::decision::decided::{LimitTouched, UseTouched};
use crate::decision::reason::{Reason, ReasonCode};
use crate::foundation::ids::CheckId;
use crate::foundation::period::Period;
use crate::rules::limit::ScopeDigests;
use crate::rules::tier::guests::Guests;

facts! {
    /// The facts of `check.decided`.
    pub struct CheckDecided<'a> {
        decision: Decision,
        /// The values that limits count by and the check brought, digested.
        digests: Option<Vec<ScopeDigest<'a>>>,
        /// The reading of rules that decided.
        engine: i64,
        grant: Nullable<GrantMade<'a>>,
        /// Grants of a tier that says something of guests.
        guests: Option<GuestsGranted>,
        /// The check whose open referral it belongs to.
        joins: Option<CheckId>,
        kiosk: Nullable<Text<'a>>,
        limits: Vec<LimitAsked<'a>>,
        location: Nullable<Text<'a>>,
        max_wait: Option<Period>,
        next_eligible_at: Nullable<Timestamp>,
        /// Overrides only: the reason that the desk gave.
        override_reason: Option<Text<'a>>,
        /// Paid entries only: what was paid.
        paid: Option<PaymentMade<'a>>,
        /// The first checks were of one person each, and did not say so.
        party: Option<u64>,
        perk: Text<'a>,
        perk_id: Text<'a>,
        reasons: Vec<ReasonGiven<'a>>,
        /// The tier that the rule granted and the limits refused.
        refused_tier: Nullable<Text<'a>>,
        /// The check in whose place a person granted it.
        resolves: Option<CheckId>,
        rule_hash: Text<'a>,
        rule_version: i32,
        subject: Text<'a>,
        tier: Nullable<Text<'a>>,
    }

    /// A reason, without what is personal.
    pub struct ReasonGiven<'a> {
        at_most: Option<u64>,
        attribute: Option<Text<'a>>,
        blackout: Option<Text<'a>>,
        /// The closure of the place. The first that refused were not named.
        closure: Option<Text<'a>>,
        /// A newer build may have written one that this one doesn't know.
        code: Text<'a>,
        limit: Option<Text<'a>>,
        over_by: Option<u64>,
        tier: Option<Text<'a>>,
    }

    /// A value that a check brought for a scope, as an HMAC under the secret of merchant and month.
    pub struct ScopeDigest<'a> {
        digest: Text<'a>,
        month: Text<'a>,
        scope: Text<'a>,
    }

    /// The guests of a grant. `admitted` of them are let in, the uncounted ones among them.
    #[derive(Copy)]
    pub struct GuestsGranted {
        admitted: u64,
        charged: u64,
        free: u64,
        refused: u64,
        uncounted: u64,
    }

    /// A payment, without its reference.
    pub struct PaymentMade<'a> {
        amount: Text<'a>,
        currency: Text<'a>,
        reference_sha256: Text<'a>,
    }

    /// A limit's answer.
    pub struct LimitAsked<'a> {
        cost: u64,
        /// Where the use stands: beside `horizon` only.
        #[serde(default, deserialize_with = "present")]
        counts_at: Option<Nullable<Timestamp>>,
        /// Up to where uses had lapsed, where they lapse one by one.
        horizon: Option<Timestamp>,
        id: Text<'a>,
        max: u64,
        /// True where an override used it past its maximum, as its rule lets it; absent everywhere else.
        past_max: Option<bool>,
        resets_at: Nullable<Timestamp>,
        scope: Text<'a>,
        used: u64,
        window: Text<'a>,
    }

    /// The grant of a check.
    pub struct GrantMade<'a> {
        claims_sha256: Text<'a>,
        expires_at: Timestamp,
        id: Text<'a>,
        kid: Text<'a>,
        /// True where doors may not take the token without asking; absent where they may.
        online_only: Option<bool>,
        single_use: bool,
    }
}

impl CheckDecided<'_> {
    /// The limits as entries hold them.
    pub fn limits_touched(&self) -> Vec<LimitTouched> {
        self.limits.iter().map(LimitTouched::from).collect()
    }

    /// The digests as entries hold them.
    pub fn scope_digests(&self) -> ScopeDigests {
        let mut digests = ScopeDigests::default();
        for it in self.digests.iter().flatten() {
            let [scope, month, digest] = [&it.scope, &it.month, &it.digest].map(|text| text.clone().into_owned());
            digests.insert(scope, month, digest);
        }
        digests
    }

    /// The reasons with all that is left of them once the person was erased.
    pub fn bare_reasons(&self) -> Vec<Reason> {
        self.reasons.iter().map(ReasonGiven::bare).collect()
    }

    /// The codes of the reasons, each once.
    pub fn codes(&self) -> Vec<String> {
        let mut codes: Vec<String> = Vec::new();
        for reason in &self.reasons {
            if !codes.iter().any(|known| *known == reason.code) {
                codes.push(reason.code.clone().into_owned());
            }
        }
        codes
    }
}

impl From<Guests> for GuestsGranted {
    fn from(guests: Guests) -> Self {
        let Guests { free, charged, uncounted, refused } = guests;
        Self { admitted: guests.admitted(), charged, free, refused, uncounted }
    }
}

impl From<GuestsGranted> for Guests {
    fn from(granted: GuestsGranted) -> Self {
        let GuestsGranted { admitted: _, charged, free, refused, uncounted } = granted;
        Self { free, charged, uncounted, refused }
    }
}

impl<'a> From<&'a Reason> for ReasonGiven<'a> {
    fn from(reason: &'a Reason) -> Self {
        let text = |text: &'a Option<String>| text.as_deref().map(Text::Borrowed);
        Self {
            at_most: reason.at_most,
            attribute: text(&reason.attribute),
            blackout: text(&reason.blackout),
            closure: text(&reason.closure),
            code: reason.code.written().into(),
            limit: text(&reason.limit),
            over_by: reason.over_by,
            tier: text(&reason.tier),
        }
    }
}

impl ReasonGiven<'_> {
    fn bare(&self) -> Reason {
        let text = |text: &Option<Text<'_>>| text.as_deref().map(str::to_owned);
        Reason {
            at_most: self.at_most,
            attribute: text(&self.attribute),
            blackout: text(&self.blackout),
            closure: text(&self.closure),
            limit: text(&self.limit),
            over_by: self.over_by,
            tier: text(&self.tier),
            ..Reason::new(ReasonCode::stored(&self.code))
        }
    }
}

impl<'a> From<&'a LimitTouched> for LimitAsked<'a> {
    fn from(limit: &'a LimitTouched) -> Self {
        Self {
            cost: limit.cost,
            counts_at: limit.counted.map(|counted| counted.counts_at.into()),
            horizon: limit.counted.map(|counted| counted.horizon),
            id: limit.id.as_str().into(),
            max: limit.max,
            past_max: limit.past_max.then_some(true),
            resets_at: limit.resets_at.into(),
            scope: limit.scope.as_str().into(),
            used: limit.used,
            window: limit.window.as_str().into(),
        }
    }
}

impl From<&LimitAsked<'_>> for LimitTouched {
    fn from(limit: &LimitAsked<'_>) -> Self {
        let counts_at = limit.counts_at.and_then(|at| at.0);
        Self {
            id: limit.id.clone().into_owned(),
            scope: limit.scope.clone().into_owned(),
            window: limit.window.clone().into_owned(),
            cost: limit.cost,
            max: limit.max,
            used: limit.used,
            past_max: limit.past_max == Some(true),
            resets_at: limit.resets_at.0,
            counted: limit.horizon.map(|horizon| UseTouched { horizon, counts_at }),
        }
    }
}
