//! `perkgate source`: makes, lists and fetches the sources that scores come from, and decides about what is held of them.

pub(in crate::cli) mod held;
mod pull;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use super::error::CliError;
use super::once::{self, ACTOR, MerchantFlag, Needs};
use super::output::{table, write_part};
use super::{Completion, Invocation};
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{HeldFeedId, SourceName};
use crate::foundation::period::Period;
use crate::scores::Source;
use crate::scores::held::HeldDecision;
use crate::scores::pulling::views::PullState;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a source with its scale. `klout`, 0 to 100, is there for every merchant.
    Create {
        /// Its short name: a-z, 0-9 and hyphens.
        #[arg(value_name = "NAME")]
        source: SourceName,
        #[command(flatten)]
        merchant: MerchantFlag,
        /// The lowest score there is, with up to three decimals.
        #[arg(long, value_name = "N", allow_negative_numbers = true, required_unless_present_any = ["computed", "pull"])]
        min: Option<Decimal>,
        /// The highest score there is.
        #[arg(long, value_name = "N", allow_negative_numbers = true, required_unless_present_any = ["computed", "pull"])]
        max: Option<Decimal>,
        /// Computed from the signals of people who are enrolled, by the shipped model, from 1 to 100.
        #[arg(long, conflicts_with_all = ["min", "max"])]
        computed: bool,
        /// Fetched as this file (JSON or YAML) says: a connector that brings signals, or a URL and where its scores stand.
        #[arg(long, value_name = "FILE", conflicts_with = "computed")]
        pull: Option<PathBuf>,
        /// How often its scores are renewed, such as P1D: rules that count on fresher ones are warned of.
        #[arg(long, value_name = "DURATION")]
        refresh: Option<Period>,
    },
    /// Fetch the scores or signals of a source for the accounts that are due.
    ///
    /// A gateway that serves does so by itself, every minute. Broken off, it goes on where it was when it is run again. While
    /// the day's requests are spent, or the service asks for patience, nothing is sent.
    Pull {
        /// A source that is fetched.
        #[arg(value_name = "SOURCE")]
        source: SourceName,
        #[command(flatten)]
        merchant: MerchantFlag,
        /// Ask about the next accounts only: one batch.
        #[arg(long)]
        once: bool,
    },
    /// List a merchant's sources.
    List {
        #[command(flatten)]
        merchant: MerchantFlag,
    },
    /// List the feeds and runs that wait for a person, as they would move too many people too far.
    Held {
        /// The source; without it those of all.
        #[arg(value_name = "NAME")]
        source: Option<SourceName>,
        #[command(flatten)]
        merchant: MerchantFlag,
    },
    /// Release a feed or run that is held: it counts from now on.
    Release {
        #[arg(value_name = "NAME", help = "The source")]
        source: SourceName,
        #[arg(value_name = "HELD", help = "The held feed or run, as `perkgate source held` lists it")]
        held: HeldFeedId,
        #[command(flatten)]
        merchant: MerchantFlag,
    },
    /// Drop a feed or run that is held: it never counts, and the next run is judged by itself.
    Drop {
        #[arg(value_name = "NAME", help = "The source")]
        source: SourceName,
        #[arg(value_name = "HELD", help = "The held feed or run, as `perkgate source held` lists it")]
        held: HeldFeedId,
        #[command(flatten)]
        merchant: MerchantFlag,
    },
    /// Set how far a feed or run may move scores before it is held.
    Guard {
        #[arg(value_name = "NAME", help = "The source")]
        source: SourceName,
        #[command(flatten)]
        merchant: MerchantFlag,
        /// The share of the people with a score, from 0 to 1; at 1 nothing is ever held.
        #[arg(long, value_name = "N")]
        share: Decimal,
        /// The points above which a person counts as moved.
        #[arg(long, value_name = "N")]
        points: Decimal,
    },
}

#[derive(Serialize)]
struct SourceView {
    name: SourceName,
    min: Decimal,
    max: Decimal,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh: Option<Period>,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull: Option<PullState>,
}

impl From<Source> for SourceView {
    fn from(source: Source) -> Self {
        let Source { name, minimum: min, maximum: max, refresh, kind, model, .. } = source;
        Self { name, min, max, refresh, kind: kind.as_str(), model, pull: None }
    }
}

impl fmt::Display for SourceView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_part!(f, "Made the source `{}`, {} to {}", self.name, self.min, self.max)?;
        self.refresh.map_or(Ok(()), |every| write_part!(f, ", renewed every {every}"))?;
        self.model.as_ref().map_or(Ok(()), |model| write_part!(f, ", computed by the model {model}"))
    }
}

#[derive(Serialize)]
struct Listed {
    sources: Vec<SourceView>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.sources.iter().map(|it| {
            let refresh = it.refresh.map_or_else(String::new, |every| every.to_string());
            let (status, left) = it.pull.as_ref().map_or_else(Default::default, |pull| {
                (pull.status.replace('_', " "), format!("{} of {}", pull.budget_left, pull.budget))
            });
            [it.name.to_string(), it.min.to_string(), it.max.to_string(), refresh, it.kind.to_owned(), status, left]
        });
        f.write_str(&table(["name", "min", "max", "refresh", "kind", "status", "requests left"], rows))
    }
}

pub(super) fn run(args: Args, invocation: &Invocation) -> Result<Completion, CliError> {
    match args.action {
        Action::Create { source, merchant, min, max, computed: _, pull, refresh } => {
            let spec = pull.map(|file| pull::read(&file)).transpose()?;
            let made = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?;
                let (scores, now) = (&gateway.scores, gateway.clock.now());
                let (ledger, merchant) = (&gateway.ledger, &merchant.id);
                if let Some(spec) = &spec {
                    let new = (source, min.zip(max), refresh);
                    return Ok(gateway.pulls.create_source(ACTOR, merchant, new, spec).await?);
                }
                Ok(match min.zip(max) {
                    Some((min, max)) => {
                        scores.create_source(ledger, ACTOR, merchant, source, min, max, refresh, now).await?
                    }
                    None => scores.create_computed_source(ledger, ACTOR, merchant, source, refresh, now).await?,
                })
            })?;
            invocation.output.show(&SourceView::from(made))?;
        }
        Action::List { merchant } => {
            let (sources, mut states) = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?.id;
                let states: BTreeMap<String, PullState> = gateway.pulls.states(&merchant).await?;
                Ok((gateway.scores.list_sources(&merchant).await?, states))
            })?;
            let view = |source: Source| {
                let pull = states.remove(source.name.as_str());
                SourceView { pull, ..SourceView::from(source) }
            };
            invocation.output.show(&Listed { sources: sources.into_iter().map(view).collect() })?;
        }
        Action::Held { source, merchant } => return held::list(source.as_ref(), &merchant, invocation),
        Action::Release { source, held, merchant } => {
            return held::decide((&source, &held), &merchant, HeldDecision::Release, invocation);
        }
        Action::Drop { source, held, merchant } => {
            return held::decide((&source, &held), &merchant, HeldDecision::Drop, invocation);
        }
        Action::Guard { source, merchant, share, points } => {
            return held::set_guard(source, &merchant, (share, points), invocation);
        }
        Action::Pull { source, merchant, once } => pull::run(&source, &merchant, once, invocation)?,
    }
    Ok(Completion::Succeeded)
}
