//! The explanation of a decision: its reasons, the score and the limits that it looked at, and where it is recorded.

use jiff::Timestamp;
use serde::Serialize;

use crate::decision::decide::Decision;
use crate::decision::decided::{LimitTouched, ScoreSeen};
use crate::decision::guest::{self, Refusal};
use crate::decision::reason::{Reason, ReasonCode};
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::SourceName;
use crate::foundation::language::Languages;
use crate::foundation::subject::hex;
use crate::ledger::entry::Receipt;
use crate::rules::attribute::ValueType;
use crate::rules::messages::Messages;
use crate::rules::offers::Offer;
use crate::rules::rule::Rule;
use crate::rules::tier::guests::{Admitted, Guests};

/// One reason, with its sentence.
#[derive(Debug, Serialize)]
pub struct ReasonShown {
    pub code: ReasonCode,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short_by: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted_type: Option<ValueType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_type: Option<ValueType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over_by: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blackout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_eligible_at: Option<Timestamp>,
    /// A sentence to read out.
    pub message: String,
    /// A sentence for the guest: [`ReasonShown::all_for_guests`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest_message: Option<String>,
    /// The tag of its language (BCP 47).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest_language: Option<String>,
}

impl ReasonShown {
    /// The reasons with the sentences for a guest, if `decision` refused them: each sentence once. `limits` are those of
    /// the decision.
    #[must_use]
    pub fn all_for_guests(
        reasons: Vec<Self>,
        limits: &[LimitShown],
        decision: Decision,
        rule: Option<&Rule>,
        languages: &Languages,
    ) -> Vec<Self> {
        let mut shown: Vec<Self> = Vec::with_capacity(reasons.len());
        for reason in reasons {
            let limit = reason.limit.as_ref().and_then(|id| limits.iter().find(|limit| limit.id == *id));
            let left = limit.map(|limit| limit.remaining);
            let bare = (reason.guest_message.clone(), reason.guest_language.clone());
            let mut reason = reason.for_guests(decision, rule, languages, left);
            if shown.iter().any(|known| known.guest_message == reason.guest_message) {
                (reason.guest_message, reason.guest_language) = bare;
            }
            shown.push(reason);
        }
        shown
    }

    /// The same with the words of the rule alone, for doors that have standard words of their own.
    #[must_use]
    pub fn in_words_of(self, rule: Option<&Rule>, decision: Decision, languages: &Languages) -> Self {
        match guest::own_sentence(rule, &self.refusal(decision, None), languages) {
            Some(said) => Self { guest_message: Some(said.text), guest_language: Some(said.language), ..self },
            None => self,
        }
    }

    fn refusal(&self, decision: Decision, left: Option<u64>) -> Refusal<'_> {
        Refusal {
            decision,
            code: self.code,
            tier: self.tier.as_deref(),
            attribute: self.attribute.as_deref(),
            limit: self.limit.as_deref(),
            blackout: self.blackout.as_deref(),
            at_most: self.at_most,
            left,
        }
    }

    fn for_guests(self, decision: Decision, rule: Option<&Rule>, languages: &Languages, left: Option<u64>) -> Self {
        match guest::sentence(rule, &self.refusal(decision, left), languages) {
            Some(said) => Self { guest_message: Some(said.text), guest_language: Some(said.language), ..self },
            None => self,
        }
    }
}

/// The guests of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct GuestsShown {
    pub admitted: u64,
    pub free: u64,
    pub charged: u64,
    pub uncounted: u64,
    pub refused: u64,
}

impl From<Guests> for GuestsShown {
    fn from(guests: Guests) -> Self {
        let Guests { free, charged, uncounted, refused } = guests;
        Self { admitted: guests.admitted(), free, charged, uncounted, refused }
    }
}

/// Those who came by a grant, once it was corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CorrectedPartyShown {
    pub party: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guests: Option<GuestsShown>,
}

impl From<Admitted> for CorrectedPartyShown {
    fn from(admitted: Admitted) -> Self {
        Self { party: admitted.party, guests: admitted.guests.map(Into::into) }
    }
}

/// Something else that a guest who is refused can have.
#[derive(Debug, Serialize)]
pub struct OfferShown {
    pub text: String,
    /// The tag of its language (BCP 47).
    pub language: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceShown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A price.
#[derive(Debug, Serialize)]
pub struct PriceShown {
    pub amount: String,
    pub currency: String,
}

impl OfferShown {
    /// The offers of the rule for those whom it refuses; none for others.
    #[must_use]
    pub fn all(decision: Decision, rule: Option<&Rule>, languages: &Languages) -> Vec<Self> {
        let offers = rule.filter(|_| decision == Decision::Denied).map(Rule::offers).unwrap_or_default();
        let shown = |offer: &Offer| {
            let said = offer.text.choose_any(languages)?;
            let price = offer.price.as_ref();
            Some(Self {
                text: said.text.to_owned(),
                language: said.language.to_owned(),
                price: price.map(|it| PriceShown { amount: it.amount.clone(), currency: it.currency.clone() }),
                url: offer.url.clone(),
            })
        };
        offers.iter().filter_map(shown).collect()
    }
}

/// A name to guests, where the rule has it by language.
#[derive(Debug, Serialize)]
pub struct NameShown {
    pub name: String,
    /// The tag of its language (BCP 47).
    pub language: String,
}

impl NameShown {
    /// The name in the language that fits best; none where the plain name is to be shown.
    #[must_use]
    pub fn of(names: Option<&Messages>, languages: &Languages) -> Option<Self> {
        let said = names?.choose(languages)?;
        Some(Self { name: said.text.to_owned(), language: said.language.to_owned() })
    }
}

/// The languages that guests are addressed in, each once, in the order of the sentences: a `Content-Language`.
#[must_use]
pub fn guest_languages<'a>(reasons: &'a [ReasonShown], offers: &'a [OfferShown]) -> Vec<&'a str> {
    let mut languages: Vec<&str> = Vec::new();
    let said = reasons.iter().filter_map(|reason| reason.guest_language.as_deref());
    for language in said.chain(offers.iter().map(|offer| offer.language.as_str())) {
        if !languages.contains(&language) {
            languages.push(language);
        }
    }
    languages
}

/// The score that was looked at.
#[derive(Debug, Serialize)]
pub struct ScoreShown {
    pub source: SourceName,
    /// Only for those who may read scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Decimal>,
    pub observed_at: Timestamp,
    pub age_seconds: i64,
    /// True if it is young enough for the rule.
    pub fresh: bool,
}

/// The remaining uses of a limit.
#[derive(Debug, Serialize)]
pub struct LimitShown {
    pub id: String,
    pub remaining: u64,
    /// None for a limit that never resets.
    pub resets_at: Option<Timestamp>,
}

/// Where the decision stands in the merchant's log.
#[derive(Debug, Serialize)]
pub struct ReceiptShown {
    pub log: String,
    pub index: u64,
    pub leaf_hash: String,
    pub checkpoint: String,
}

impl From<Reason> for ReasonShown {
    /// The reason with all that it holds: what the caller may not see was taken out of it before.
    fn from(reason: Reason) -> Self {
        let message = reason.message();
        let Reason {
            code,
            tier,
            tier_name: _,
            wanted,
            short_by,
            attribute,
            wanted_type,
            given_type,
            limit,
            at_most,
            over_by,
            blackout,
            closure: _,
            next_eligible_at,
        } = reason;
        Self {
            code,
            tier,
            wanted,
            short_by,
            attribute,
            wanted_type,
            given_type,
            limit,
            at_most,
            over_by,
            blackout,
            next_eligible_at,
            message,
            guest_message: None,
            guest_language: None,
        }
    }
}

impl ScoreShown {
    /// The score of a decision at `at`.
    #[must_use]
    pub fn of(score: ScoreSeen, at: Timestamp, reads_scores: bool) -> Self {
        Self {
            value: reads_scores.then_some(score.value),
            age_seconds: (at.as_second() - score.observed_at.as_second()).max(0),
            source: score.source,
            observed_at: score.observed_at,
            fresh: score.fresh,
        }
    }
}

impl LimitShown {
    /// Each limit once: of one with a counter of each month the counter with the least left.
    #[must_use]
    pub fn all(touched: Vec<LimitTouched>) -> Vec<Self> {
        let mut shown: Vec<Self> = Vec::with_capacity(touched.len());
        for limit in touched.into_iter().map(Self::from) {
            match shown.iter_mut().find(|known| known.id == limit.id) {
                Some(known) if limit.remaining < known.remaining => *known = limit,
                Some(_) => {}
                None => shown.push(limit),
            }
        }
        shown
    }
}

impl From<LimitTouched> for LimitShown {
    fn from(limit: LimitTouched) -> Self {
        Self { remaining: limit.remaining(), id: limit.id, resets_at: limit.resets_at }
    }
}

impl From<Receipt> for ReceiptShown {
    fn from(receipt: Receipt) -> Self {
        let Receipt { log, index, leaf_hash, checkpoint } = receipt;
        Self { log, index, leaf_hash: hex(&leaf_hash), checkpoint }
    }
}
