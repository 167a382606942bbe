//! `perkgate contest`: refusals that someone says are wrong. To overturn one takes a key, as to grant a referral does.

use std::fmt;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::Timestamp;
use serde::Serialize;

use super::error::CliError;
use super::once::{self, ACTOR, MerchantFlag, Needs};
use super::output::{counted, table, write_line, write_part};
use super::referral::{CaseView, DecidedView, Judgement, OfCheck, deny, list};
use super::{Completion, Invocation};
use crate::foundation::ids::{self, CheckId, EventId, PerkSlug};
use crate::ledger::cases::contest::{Contest, ContestError, ContestStatus, MAX_REASON, Objection};
use crate::ledger::cases::model::{Added, Referral};
use crate::ledger::cases::referral::Referred;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List refusals that were contested, by their checks, oldest first.
    List {
        #[command(flatten)]
        merchant: MerchantFlag,
        /// Only those of this status.
        #[arg(long, value_parser = statuses())]
        status: Option<ContestStatus>,
    },
    /// Show a case with all there is to decide it by, and how it was decided.
    Show(OfCheck),
    /// Contest a refusal in the name of the person who was refused: a person decides about it.
    Open {
        #[command(flatten)]
        of: OfCheck,
        /// Why the refusal is said to be wrong. It is sealed under the person's key.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Let a refusal stand. To overturn it, send its tier to POST /v1/contests/CHECK/overturn with an admin key.
    Uphold(Judgement),
}

fn statuses() -> impl TypedValueParser<Value = ContestStatus> {
    PossibleValuesParser::new(ContestStatus::ALL.map(ContestStatus::as_str)).map(|text| {
        // The parser took it: it is one of them.
        ContestStatus::ALL.into_iter().find(|status| status.as_str() == text).unwrap_or(ContestStatus::Open)
    })
}

#[derive(Serialize)]
struct ContestView {
    check: CheckId,
    perk: PerkSlug,
    rule_version: i32,
    status: ContestStatus,
    opened_at: Timestamp,
    /// The key that opened it, or `cli`.
    opened_by: String,
    /// The number of further refusals that are decided with it.
    additions: usize,
    #[serde(flatten)]
    decided: DecidedView,
}

impl ContestView {
    /// None for a check that its rule referred by itself.
    fn of(referral: &Referral) -> Option<Self> {
        let contest = referral.contest.as_ref()?;
        Some(Self {
            check: referral.check.clone(),
            perk: referral.perk.clone(),
            rule_version: referral.rule_version,
            status: ContestStatus::of(referral.status),
            opened_at: contest.at,
            opened_by: contest.by.clone(),
            additions: contest.added.len(),
            decided: DecidedView::of(referral),
        })
    }
}

#[derive(Serialize)]
struct Listed {
    contests: Vec<ContestView>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.contests.is_empty() {
            return f.write_str("There is no contest.");
        }
        let rows = self.contests.iter().map(|it| {
            let decided = it.decided.decided_at.map_or_else(String::new, |at| at.to_string());
            let (status, opened) = (it.status.as_str().to_owned(), it.opened_at.to_string());
            [it.check.to_string(), it.perk.to_string(), status, opened, decided]
        });
        f.write_str(&table(["check", "perk", "status", "opened", "decided"], rows))
    }
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    contest: ContestView,
    /// Why the refusal is said to be wrong.
    reason: Option<String>,
    /// The refusals that were added to it, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    added: Vec<AdditionView>,
    #[serde(flatten)]
    case: CaseView,
}

/// Another refusal of the same person and perk, contested while the case was open.
#[derive(Serialize)]
struct AdditionView {
    check: CheckId,
    added_at: Timestamp,
    /// The key that added it, or `cli`.
    added_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl AdditionView {
    /// The refusals that were added to a case, each with why.
    fn all(referred: &Referred) -> Vec<Self> {
        let added = referred.referral.contest.iter().flat_map(|contest| contest.added.clone());
        let reasons = referred.added_objections.iter().cloned();
        let view = |(Added { check, at, by }, reason)| Self { check, added_at: at, added_by: by, reason };
        added.zip(reasons).map(view).collect()
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ContestView { check, perk, rule_version, status, opened_at, opened_by, additions, decided } = &self.contest;
        write_line!(f, "{check}: {}", status.as_str())?;
        write_line!(f, "  {perk}, version {rule_version}, contested {opened_at} by {opened_by}")?;
        if let Some(reason) = &self.reason {
            write_line!(f, "  because: {reason}")?;
        }
        if *additions > 0 {
            write_line!(f, "  {} more decided with it", counted(*additions, "refusal"))?;
        }
        for AdditionView { check, added_at, reason, .. } in &self.added {
            let reason = reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
            write_line!(f, "    {check}, {added_at}{reason}")?;
        }
        if let Some((at, by)) = decided.decided_at.zip(decided.decided_by.as_ref()) {
            write_line!(f, "  decided {at} by {by}")?;
        }
        self.case.fmt(f)
    }
}

#[derive(Serialize)]
struct Opened {
    /// True if it is a case of its own; else it was added to the open one about the same person and perk.
    opened: bool,
    #[serde(flatten)]
    contest: ContestView,
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let check = &self.contest.check;
        if self.opened {
            write_part!(f, "The refusal {check} is contested: a person decides")
        } else {
            write_part!(f, "The refusal was added to the open case about {check}")
        }
    }
}

#[derive(Serialize)]
struct Upheld {
    check: CheckId,
    status: ContestStatus,
}

impl fmt::Display for Upheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_part!(f, "The refusal {} is {}", self.check, self.status.as_str())
    }
}

pub(super) fn run(args: Args, invocation: &Invocation) -> Result<Completion, CliError> {
    match args.action {
        Action::List { merchant, status } => {
            let contests = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?;
                list(gateway, &merchant, true, status.map(ContestStatus::stored)).await
            })?;
            invocation.output.show(&Listed { contests: contests.iter().filter_map(ContestView::of).collect() })?;
        }
        Action::Show(OfCheck { check, merchant }) => {
            let shown = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?;
                let found = gateway.ledger.reader().find_referred(&merchant.id, &check).await?;
                let seen = |referred: Referred| Some((ContestView::of(&referred.referral)?, referred));
                let found = found.and_then(seen);
                let (contest, referred) =
                    found.ok_or_else(|| CliError::absent("contest of the check", check.as_str()))?;
                let (reason, added) = (referred.objection.clone(), AdditionView::all(&referred));
                Ok(Shown { contest, reason, added, case: CaseView::of(gateway, &merchant, referred).await? })
            })?;
            invocation.output.show(&shown)?;
        }
        Action::Open { of: OfCheck { check, merchant }, reason } => {
            let reason = ids::label(&reason, MAX_REASON).map_err(CliError::Reason)?;
            let opened = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?.id;
                let at = gateway.clock.now();
                let event = EventId::new(at, &gateway.entropy);
                let objection = Objection { merchant, check: check.clone(), event, at, by: ACTOR, reason };
                let (opened, case) = match gateway.ledger.contest(objection).await {
                    Ok(Contest::Opened(case)) => (true, case),
                    Ok(Contest::Added(case)) => (false, case),
                    Err(ContestError::NotFound) => return Err(CliError::absent("check", check.as_str())),
                    Err(error) => return Err(error.into()),
                };
                let contest = ContestView::of(&case);
                let contest = contest.ok_or_else(|| CliError::absent("contest of the check", check.as_str()))?;
                Ok(Opened { opened, contest })
            })?;
            invocation.output.show(&opened)?;
        }
        Action::Uphold(judgement) => {
            let check = judgement.of.check.clone();
            deny(judgement, true, "uphold the refusal in", invocation)?;
            invocation.output.show(&Upheld { check, status: ContestStatus::Upheld })?;
        }
    }
    Ok(Completion::Succeeded)
}
