//! A decision as commands show it: with the API's members.

use jiff::Timestamp;
use serde::Serialize;

use super::output::limits_left::LimitsLeft;
use crate::decision::decide::Decision;
use crate::decision::decided::ScoreSeen;
use crate::decision::reason::Reason;
use crate::eligibility::checker::Answer;
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{CheckId, PerkSlug, SourceName};
use crate::foundation::subject::hex;
use crate::ledger::entry::Receipt;

/// The answer to a check.
#[derive(Serialize)]
pub(super) struct AnswerView {
    /// Absent for a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<CheckId>,
    pub decision: Decision,
    pub perk: PerkSlug,
    pub rule_version: i32,
    pub tier: Option<String>,
    pub reasons: Vec<ReasonView>,
    pub score: Option<ScoreView>,
    #[serde(flatten)]
    pub limits: LimitsLeft,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<ReceiptView>,
}

#[derive(Serialize)]
pub(super) struct ReasonView {
    #[serde(flatten)]
    reason: Reason,
    pub message: String,
}

#[derive(Serialize)]
pub(super) struct ScoreView {
    pub source: SourceName,
    /// For those who may read scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Decimal>,
    pub observed_at: Timestamp,
    age_seconds: i64,
    pub fresh: bool,
}

#[derive(Serialize)]
struct ReceiptView {
    log: String,
    index: u64,
    leaf_hash: String,
    checkpoint: String,
}

impl AnswerView {
    /// The answer as those see it who may read scores, or as the others do.
    pub(super) fn of(answer: Answer, reads_scores: bool) -> Self {
        let (at, decided) = (answer.at, &answer.decided);
        let score = decided.score.clone().map(|score| ScoreView::of(score, at, reads_scores));
        Self {
            decision: decided.decision,
            tier: decided.tier.clone(),
            reasons: answer.visible_reasons(reads_scores).into_iter().map(ReasonView::from).collect(),
            score,
            limits: decided.into(),
            check: answer.check,
            perk: answer.perk,
            rule_version: answer.rule_version,
            receipt: answer.receipt.map(ReceiptView::from),
        }
    }
}

impl From<Reason> for ReasonView {
    fn from(reason: Reason) -> Self {
        Self { message: reason.message(), reason }
    }
}

impl ScoreView {
    /// The score of a decision at `at`.
    pub(super) fn of(score: ScoreSeen, at: Timestamp, reads_scores: bool) -> Self {
        Self {
            value: reads_scores.then_some(score.value),
            age_seconds: (at.as_second() - score.observed_at.as_second()).max(0),
            source: score.source,
            observed_at: score.observed_at,
            fresh: score.fresh,
        }
    }
}

impl From<Receipt> for ReceiptView {
    fn from(receipt: Receipt) -> Self {
        let Receipt { log, index, leaf_hash, checkpoint } = receipt;
        Self { log, index, leaf_hash: hex(&leaf_hash), checkpoint }
    }
}
