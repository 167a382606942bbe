//! `perkgate perk backtest`: what a rule would have made of the checks of a period.

use std::fmt;

use jiff::Timestamp;

use super::simulate::{RuleArgs, instant, known, named, warned};
use crate::cli::error::CliError;
use crate::cli::once::{self, Needs};
use crate::cli::output::progress::work_off;
use crate::cli::output::{counted, counted_as, table, write_block, write_line, write_part};
use crate::cli::{Completion, Invocation};
use crate::eligibility::backtest::{Backtest, Shift};
use crate::eligibility::backtester::PastTrial;
use crate::foundation::ids::CheckId;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    rule: RuleArgs,
    /// The first instant of the period (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = instant)]
    from: Timestamp,
    /// The first instant after it (RFC 3339); now without it.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    to: Option<Timestamp>,
}

/// Exits with 1 when what ran is not reproduced: then the record or the gateway is not as it must be.
pub(crate) fn run(args: &Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let Args { rule, from, to } = args;
    let trial = PastTrial { perk: rule.perk.clone(), choice: rule.choice()?, from: *from, to: *to };
    let found = invocation.with_gateway(Needs::Existing, async |gateway| {
        let merchant = once::merchant(gateway, &rule.merchant).await?;
        let run = gateway.backtester.backtest(&merchant, trial).await.map_err(known)?;
        work_off(invocation.output, "events", run).await
    })?;
    invocation.output.show(&found)?;
    Ok(if found.reproduction.mismatches == 0 { Completion::Succeeded } else { Completion::Failed })
}

impl fmt::Display for Backtest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { perk, from, to, checks, replayed, .. } = self;
        let (rule, checks) = (named(self.version), counted(*checks, "check"));
        write_line!(f, "{perk}, {rule} on {checks} from {from} to {to}, {replayed} replayed")?;
        let samples = &self.samples;
        for (count, what, ids) in [
            (self.newly_admitted, "newly admitted", &samples.newly_admitted),
            (self.newly_refused, "newly refused", &samples.newly_refused),
            (self.tier_changed, "in another tier", &samples.tier_changed),
            (self.otherwise_decided, "otherwise decided", &samples.otherwise_decided),
        ] {
            write_line!(f, "  {count:>8} {what}{}", first(ids))?;
        }
        write_line!(f, "  {:>8} the same", self.same)?;
        for (heading, shifts) in [("  tier", &self.tiers), ("  reason", &self.reasons)] {
            if !shifts.is_empty() {
                let row = |it: &Shift| [format!("  {}", it.name), it.was.to_string(), it.would_be.to_string()];
                write_line!(f)?;
                write_block(f, &table([heading, "was", "would be"], shifts.iter().map(row)))?;
            }
        }
        let not = &self.not_replayed;
        if not.erased + not.pruned + not.paused + not.by_person + not.unkept > 0 {
            write_part!(f, "\nnot replayed: {} of erased persons, {} pruned, ", not.erased, not.pruned)?;
            write_part!(f, "{} while paused, {} granted by a person, ", not.paused, not.by_person)?;
            write_line!(f, "{} for want of what was not kept", not.unkept)?;
            not.unkept_attributes.iter().try_for_each(|name| write_line!(f, "  {name}"))?;
        }
        let again = &self.reproduction;
        if again.checks > 0 {
            write_part!(f, "\n{} decided by this rule: ", counted_as(again.checks, "check was", "checks were"))?;
            let otherwise = counted_as(again.mismatches, "comes out otherwise", "come out otherwise");
            write_line!(f, "{otherwise}{}", first(&again.mismatched))?;
        }
        warned(f, &self.warnings)
    }
}

fn first(ids: &[CheckId]) -> String {
    ids.first().map(|id| format!(", such as {id}")).unwrap_or_default()
}
