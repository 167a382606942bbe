//! Which rule is tried out: one that someone just wrote, a version, or the one that decides.

use std::sync::Arc;

use jiff::Timestamp;

use super::simulated_limits::MaxStays;
use crate::database::DatabaseError;
use crate::foundation::decimal::Decimal;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{MerchantId, PerkSlug, SourceName};
use crate::foundation::json::Json;
use crate::ledger::LedgerError;
use crate::perks::catalog::Catalog;
use crate::perks::error::PerkError;
use crate::perks::perk::Perk;
use crate::rules::limit::Window;
use crate::rules::rule::Rule;
use crate::scores::score::{ScoreFault, Source};
use crate::scores::{ScoreError, Scores};

/// The rule that is to be tried out.
#[derive(Debug, Clone)]
pub enum Choice {
    /// The published version; the latest draft while nothing is published.
    Deciding,
    Version(i32),
    /// A rule that is no version.
    Rule(Json),
}

/// Why nothing was tried out.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    #[error(transparent)]
    Perk(#[from] PerkError),
    #[error(transparent)]
    Score(#[from] ScoreError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The version's score source is not there any more.
    #[error("version {version} asks for the score source `{source_name}`, which is not there")]
    SourceMissing { version: i32, source_name: SourceName },
    #[error("no condition of this rule looks at a score, so there is nobody to count: simulate one subject instead")]
    NoScore,
    #[error("the value is off the source's scale, {minimum} to {maximum}")]
    OffScale { minimum: Decimal, maximum: Decimal },
    /// A part of the context that the rule looks at can't be taken.
    #[error("the context can't be taken")]
    Context(Vec<FieldError>),
    #[error("{}", ScoreFault::Unobserved)]
    Unobserved,
    #[error("the period ends before it begins")]
    PeriodReversed,
    #[error("the period ends in the future: there are checks up to {now} only")]
    PeriodInFuture { now: Timestamp },
    #[error("the period is longer than {days} days: take a shorter one")]
    PeriodTooLong { days: i64 },
    /// One at a time.
    #[error("a simulation for everyone or a backtest of this merchant is running: wait for it, or end it")]
    Running,
    #[error("other merchants' simulations take all the room there is")]
    Crowded,
}

impl TrialError {
    /// The field of a request that it is about, by its pointer, and the error's code; none where it is about no field,
    /// or another room's error.
    #[must_use]
    pub const fn field(&self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::OffScale { .. } => ("/score/value", "off_scale"),
            Self::Unobserved => ("/score/observed_at", "too_old"),
            Self::SourceMissing { .. } => ("/version", "unknown_source"),
            Self::NoScore => ("", "no_score"),
            Self::PeriodReversed => ("/to", "period_reversed"),
            Self::PeriodInFuture { .. } => ("/to", "period_in_future"),
            Self::PeriodTooLong { .. } => ("/from", "period_too_long"),
            Self::Perk(_)
            | Self::Score(_)
            | Self::Ledger(_)
            | Self::Database(_)
            | Self::Context(_)
            | Self::Running
            | Self::Crowded => return None,
        })
    }
}

/// A rule and what it belongs to.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    pub perk: Perk,
    /// None for a rule that is no version.
    pub version: Option<i32>,
    pub rule: Arc<Rule>,
    /// The source of the score that its conditions look at.
    pub source: Option<Source>,
}

/// Finds the perk and the rule that is meant.
pub(super) async fn choose(
    catalog: &Catalog,
    scores: &Scores,
    merchant: &MerchantId,
    slug: &PerkSlug,
    choice: Choice,
) -> Result<Chosen, TrialError> {
    let perk = catalog.find_perk(merchant, slug).await?;
    let (version, rule) = match choice {
        Choice::Rule(json) => (None, Rule::parse(&json, slug.as_str()).map_err(PerkError::Rule)?),
        Choice::Version(version) => (Some(version), rule_of(catalog, merchant, &perk, version).await?),
        Choice::Deciding => {
            let version = perk.published_version.unwrap_or(perk.latest_version);
            (Some(version), rule_of(catalog, merchant, &perk, version).await?)
        }
    };
    let source = match rule.score() {
        None => None,
        Some(policy) => match (scores.find_source(merchant, &policy.source).await?, version) {
            (Some(source), _) => Some(source).filter(|_| rule.looks_at_score()),
            (None, Some(version)) => {
                return Err(TrialError::SourceMissing { version, source_name: policy.source.clone() });
            }
            (None, None) => return Err(PerkError::Rule(vec![rule.unknown_source(policy)]).into()),
        },
    };
    Ok(Chosen { perk, version, rule: Arc::new(rule), source })
}

/// The rule of one version.
pub(super) async fn rule_of(
    catalog: &Catalog,
    merchant: &MerchantId,
    perk: &Perk,
    version: i32,
) -> Result<Rule, TrialError> {
    Ok(catalog.find_version(merchant, &perk.slug, version).await?.read(&perk.slug)?)
}

/// The longest time guests could stay, by limit, under any version of the perk: what they
/// were granted under one goes on counting under the next.
pub(super) async fn longest_max_stays(
    catalog: &Catalog,
    merchant: &MerchantId,
    perk: &Perk,
    rule: &Rule,
) -> Result<MaxStays, TrialError> {
    let mut max_stays = MaxStays::new();
    if !rule.limits().iter().any(|limit| matches!(limit.window, Window::Concurrent { .. })) {
        return Ok(max_stays);
    }
    for version in 1..=perk.latest_version {
        let rule = match rule_of(catalog, merchant, perk, version).await {
            Ok(rule) => rule,
            // A draft that was deleted: it never decided.
            Err(TrialError::Perk(PerkError::VersionNotFound { .. })) => continue,
            Err(error) => return Err(error),
        };
        for limit in rule.limits() {
            if let Window::Concurrent { max_stay } = limit.window {
                let longest = max_stays.entry(limit.id.clone()).or_insert(max_stay);
                *longest = (*longest).max(max_stay);
            }
        }
    }
    Ok(max_stays)
}
