//! `perkgate contest`: refusals that someone says are wrong. To overturn one takes a key, as to grant a referral does.

use std::fmt;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Serialize;

use super::error::CliError;
use super::once::{self, ACTOR, MerchantFlag, Needs};
use super::output::{counted, table, write_line, write_part};
use super::referral::{Judgement, OfCheck, case_of, deny, list};
use super::{Completion, Invocation};
use crate::eligibility::shown::case::CaseShown;
use crate::eligibility::shown::referral::{AdditionShown, ContestShown};
use crate::foundation::ids::{self, CheckId, EventId};
use crate::ledger::cases::contest::{Contest, ContestError, ContestStatus, MAX_REASON, Objection};
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
struct Listed {
    contests: Vec<ContestShown>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.contests.is_empty() {
            return f.write_str("There is no contest.");
        }
        let rows = self.contests.iter().map(|it| {
            let decided = it.outcome.decided_at.map_or_else(String::new, |at| at.to_string());
            let (status, opened) = (it.status.as_str().to_owned(), it.opened_at.to_string());
            [it.check.to_string(), it.perk.to_string(), status, opened, decided]
        });
        f.write_str(&table(["check", "perk", "status", "opened", "decided"], rows))
    }
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    contest: ContestShown,
    /// Why the refusal is said to be wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The refusals that were added to it, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    added: Vec<AdditionShown>,
    #[serde(flatten)]
    case: CaseShown,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ContestShown { check, perk, rule_version, status, opened_at, opened_by, additions, outcome } =
            &self.contest;
        write_line!(f, "{check}: {}", status.as_str())?;
        write_line!(f, "  {perk}, version {rule_version}, contested {opened_at} by {opened_by}")?;
        if let Some(reason) = &self.reason {
            write_line!(f, "  because: {reason}")?;
        }
        if *additions > 0 {
            write_line!(f, "  {} more decided with it", counted(*additions, "refusal"))?;
        }
        for AdditionShown { check, added_at, reason, .. } in &self.added {
            let reason = reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
            write_line!(f, "    {check}, {added_at}{reason}")?;
        }
        if let Some((at, by)) = outcome.decided_at.zip(outcome.decided_by.as_ref()) {
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
    contest: ContestShown,
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
            invocation.output.show(&Listed { contests: contests.iter().filter_map(ContestShown::of).collect() })?;
        }
        Action::Show(OfCheck { check, merchant }) => {
            let shown = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?;
                let found = gateway.ledger.reader().find_referred(&merchant.id, &check).await?;
                let seen = |referred: Referred| Some((ContestShown::of(&referred.referral)?, referred));
                let found = found.and_then(seen);
                let (contest, referred) =
                    found.ok_or_else(|| CliError::absent("contest of the check", check.as_str()))?;
                let (reason, added) = (referred.objection.clone(), AdditionShown::all(&referred));
                Ok(Shown { contest, reason, added, case: case_of(gateway, &merchant, referred).await? })
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
                let contest = ContestShown::of(&case);
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
