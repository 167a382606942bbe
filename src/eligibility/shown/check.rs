//! The answer to a check: the decision and everything that explains it.

use jiff::Timestamp;
use serde::Serialize;

use super::explanation::{
    GuestsShown, LimitShown, NameShown, OfferShown, ReasonShown, ReceiptShown, ScoreShown, guest_languages,
};
use super::opening::OpeningShown;
use super::referral::{ContestShown, ReferralStateShown};
use crate::decision::decide::Decision;
use crate::decision::reason::ReasonCode;
use crate::eligibility::checker::Answer;
use crate::eligibility::overrides::openings::Openings;
use crate::foundation::ids::{CheckId, GrantId, PerkSlug};
use crate::foundation::language::Languages;
use crate::ledger::cases::model::Referral;
use crate::ledger::entry::Ended;
use crate::rules::messages::Messages;
use crate::rules::rule::Rule;

/// A decision and everything that explains it.
#[derive(Debug, Serialize)]
pub struct CheckShown {
    /// None for a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckId>,
    pub decision: Decision,
    pub perk: PerkSlug,
    pub rule_version: i32,
    /// The perk's name to the guest: [`CheckShown::for_guests`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest_perk: Option<NameShown>,
    /// The tier that was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// Its name to the guest: [`CheckShown::for_guests`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest_tier: Option<NameShown>,
    pub reasons: Vec<ReasonShown>,
    /// Offers for a guest who is refused: [`CheckShown::for_guests`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<OfferShown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<ScoreShown>,
    pub limits: Vec<LimitShown>,
    /// When waiting alone would help.
    pub next_eligible_at: Option<Timestamp>,
    /// The ways by hand, and for pay, that a refusal leaves open: [`CheckShown::with_openings`].
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub by_override: Option<OpeningShown>,
    #[serde(rename = "paid", skip_serializing_if = "Option::is_none")]
    pub by_payment: Option<OpeningShown>,
    /// The longest that the granted tier promises to let the person wait (ISO 8601).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_wait: Option<String>,
    /// The guests of a grant, where its tier says something of guests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guests: Option<GuestsShown>,
    /// Where the key that asked is used: [`CheckShown::with_place`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kiosk: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voided_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_key_revoked_at: Option<Timestamp>,
    /// The state of its referral: [`CheckShown::with_referral`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referral: Option<ReferralStateShown>,
    /// The case that was opened about it: [`CheckShown::with_contest`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contest: Option<ContestShown>,
    /// The check in whose place a person granted this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolves: Option<CheckId>,
    /// The check whose open referral this one belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joins: Option<CheckId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<ReceiptShown>,
    /// The address at which its person sees it: [`CheckShown::with_link`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

impl CheckShown {
    /// The answer as those see it who may read scores, or as the others do.
    #[must_use]
    pub fn of(answer: Answer, reads_scores: bool) -> Self {
        let at = answer.at;
        let (released_at, voided_at) = match answer.grant.as_ref().and_then(|grant| grant.end) {
            Some(Ended::Released(at)) => (Some(at), None),
            Some(Ended::Voided(at)) => (None, Some(at)),
            None => (None, None),
        };
        let reasons = answer.visible_reasons(reads_scores).into_iter().map(ReasonShown::from).collect();
        let decided = answer.decided;
        Self {
            check: answer.check,
            decision: decided.decision,
            perk: answer.perk,
            rule_version: answer.rule_version,
            guest_perk: None,
            tier: decided.tier,
            guest_tier: None,
            reasons,
            offers: Vec::new(),
            score: decided.score.map(|score| ScoreShown::of(score, at, reads_scores)),
            limits: LimitShown::all(decided.limits),
            next_eligible_at: decided.next_eligible_at,
            by_override: None,
            by_payment: None,
            max_wait: decided.max_wait.map(|wait| wait.to_string()),
            guests: decided.guests.map(Into::into),
            location: None,
            kiosk: None,
            token_expires_at: answer.grant.as_ref().filter(|_| answer.token.is_some()).map(|grant| grant.expires_at),
            released_at,
            voided_at,
            token_key_revoked_at: answer.token_key_revoked_at,
            grant: answer.grant.map(|grant| grant.id),
            token: answer.token,
            referral: None,
            contest: None,
            resolves: answer.resolves,
            joins: answer.joins,
            receipt: answer.receipt.map(ReceiptShown::from),
            link: None,
        }
    }

    /// The same, with the address at which its person sees it.
    #[must_use]
    pub fn with_link(self, link: impl FnOnce(&CheckId) -> Option<String>) -> Self {
        Self { link: self.check.as_ref().and_then(link), ..self }
    }

    /// The same, with what a desk may do about it by hand.
    #[must_use]
    pub fn with_openings(self, openings: Openings) -> Self {
        let Openings { by_override, by_payment } = openings;
        Self { by_override: by_override.map(Into::into), by_payment: by_payment.map(Into::into), ..self }
    }

    /// The same, with the words for its guest. `rule` is the one that decided, as far as it can be read.
    #[must_use]
    pub fn for_guests(self, rule: Option<&Rule>, languages: &Languages) -> Self {
        let decision = self.decision;
        let reasons = ReasonShown::all_for_guests(self.reasons, &self.limits, decision, rule, languages);
        let tier = rule.zip(self.tier.as_deref()).and_then(|(rule, tier)| rule.tier(tier));
        Self {
            reasons,
            offers: OfferShown::all(decision, rule, languages),
            guest_perk: NameShown::of(rule.and_then(Rule::names), languages),
            guest_tier: NameShown::of(tier.and_then(|tier| tier.names.as_ref()), languages),
            ..self
        }
    }

    /// The same, with the words of the closure that refused, in the guest's language.
    #[must_use]
    pub fn with_closure(self, words: Option<&Messages>, languages: &Languages) -> Self {
        let Some(said) = words.and_then(|words| words.choose(languages)) else { return self };
        let with = |reason: ReasonShown| match reason.code {
            ReasonCode::PlaceClosed => ReasonShown {
                guest_message: Some(said.text.to_owned()),
                guest_language: Some(said.language.to_owned()),
                ..reason
            },
            _ => reason,
        };
        Self { reasons: self.reasons.into_iter().map(with).collect(), ..self }
    }

    /// The languages that its guest is addressed in.
    #[must_use]
    pub fn guest_languages(&self) -> Vec<&str> {
        let mut languages = guest_languages(&self.reasons, &self.offers);
        for name in self.guest_perk.iter().chain(&self.guest_tier) {
            if !languages.contains(&name.language.as_str()) {
                languages.push(&name.language);
            }
        }
        languages
    }

    /// The same, with where the key that asked is used.
    #[must_use]
    pub fn with_place(self, location: Option<String>, kiosk: Option<String>) -> Self {
        Self { location, kiosk, ..self }
    }

    /// The same, with what a person made of it.
    #[must_use]
    pub fn with_referral(self, referral: Option<&Referral>) -> Self {
        Self { referral: referral.map(ReferralStateShown::of), ..self }
    }

    /// The same, with the case that was opened about it.
    #[must_use]
    pub fn with_contest(self, referral: Option<&Referral>) -> Self {
        Self { contest: referral.and_then(ContestShown::of), ..self }
    }
}
