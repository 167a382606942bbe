//! `perkgate model`: models of scores as files (lint, diff, fit), and a score taken apart, without a gateway; and publishing
//! one.

mod explain;
mod files;
mod fit;

use std::fmt;
use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use super::error::CliError;
use super::once::{self, ACTOR, MerchantFlag, Needs};
use super::output::{table, write_block, write_line, write_part};
use super::{Completion, Invocation};
use crate::foundation::count::counted_as;
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::SourceName;
use crate::perks::models::{GRACE_DAYS, LONGEST_GRACE};
use crate::scoring::diff::diff;
use crate::scoring::model::Model;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show a model: its networks, what counts on them, and its hash.
    Show {
        #[arg(value_name = "FILE", help = "The model, JSON or YAML; `-` is standard input [default: the shipped one]")]
        model: Option<PathBuf>,
    },
    /// Check that a model can score: that its weights add up, its signals are known, and bought followers open no door.
    Lint {
        #[arg(value_name = "FILE", help = "The model, JSON or YAML; `-` is standard input")]
        model: PathBuf,
    },
    /// Tell in sentences how two models differ. Exits with 1 when they do.
    Diff {
        #[arg(value_name = "BEFORE", help = "The model that counts now")]
        before: PathBuf,
        #[arg(value_name = "AFTER", help = "The model that would count then")]
        after: PathBuf,
    },
    /// Fit a draft to a population: the full value of each signal, and the curve.
    Fit(fit::Args),
    /// Publish a model: a computed source computes by it from now on, for everyone.
    ///
    /// Where the merchant asks for four eyes, it waits until someone has approved it over HTTP.
    Publish {
        #[arg(value_name = "FILE", help = "The model, JSON or YAML; `-` is standard input")]
        model: PathBuf,
        /// A computed source.
        #[arg(long, value_name = "NAME")]
        source: SourceName,
        #[command(flatten)]
        merchant: MerchantFlag,
        /// For how many days the model before counts too, where it makes a score the better one.
        #[arg(long, value_name = "N", default_value_t = GRACE_DAYS, value_parser = clap::value_parser!(u16).range(0..=i64::from(LONGEST_GRACE)))]
        grace_days: u16,
    },
    /// Take a person's score apart: what each signal contributes, and what a little more would add.
    Explain(explain::Args),
}

#[derive(Serialize)]
struct Shown {
    hash: String,
    model: crate::foundation::json::Json,
    #[serde(skip)]
    read: Model,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Model { name, population, networks, curve } = &self.read;
        let people = counted_as(population.people, "person", "people");
        write_line!(f, "{name}, fitted on {people} ({}, {})", population.name, population.at)?;
        write_line!(f, "{}", self.hash)?;
        let rows = networks.iter().flat_map(|network| {
            network.features.iter().map(|feature| {
                let (reach, weight) = (thousandths(network.reach), thousandths(feature.weight));
                let (signal, measure) = (feature.signal.clone(), feature.measure.as_str().to_owned());
                [network.network.clone(), reach, signal, measure, weight, feature.full.to_string()]
            })
        });
        write_line!(f)?;
        write_block(f, &table(["network", "reach", "signal", "measure", "weight", "full"], rows))?;
        write_line!(f)?;
        let rows = curve.iter().map(|point| [point.level.to_string(), point.score.to_string()]);
        f.write_str(&table(["level", "score"], rows))
    }
}

fn thousandths(number: u64) -> String {
    Decimal::from_thousandths(i64::try_from(number).unwrap_or(i64::MAX)).to_string()
}

#[derive(Serialize)]
struct Published {
    source: SourceName,
    model: String,
    status: &'static str,
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, model, status } = self;
        match *status {
            "submitted" => write_part!(f, "The model {model} waits for someone else to approve it for `{source}`"),
            _ => write_part!(f, "`{source}` computes by the model {model} from now on"),
        }
    }
}

#[derive(Serialize)]
struct Linted {
    hash: String,
}

impl fmt::Display for Linted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_part!(f, "Nothing is wrong with it: {}", self.hash)
    }
}

#[derive(Serialize)]
struct Difference {
    part: String,
    sentence: String,
}

#[derive(Serialize)]
struct Differences {
    before: String,
    after: String,
    changes: Vec<Difference>,
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changes.is_empty() {
            return f.write_str("No difference.");
        }
        self.changes.iter().try_for_each(|change| write_line!(f, "{}", change.sentence))?;
        write_part!(f, "Before {}, after {}", self.before, self.after)
    }
}

pub(super) fn run(args: Args, invocation: &Invocation) -> Result<Completion, CliError> {
    match args.action {
        Action::Show { model } => {
            let read = files::model_or_shipped(model.as_deref())?;
            invocation.output.show(&Shown { hash: read.hash(), model: read.to_json(), read })?;
        }
        Action::Lint { model } => {
            let model = files::sound_model(&model)?;
            invocation.output.show(&Linted { hash: model.hash() })?;
        }
        Action::Publish { model, source, merchant, grace_days } => {
            let json = files::sound_model(&model)?.to_json();
            let published = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?.id;
                Ok(gateway.catalog.submit_model(&merchant, ACTOR, &source, (&json, grace_days)).await?)
            })?;
            let (model, status) = (published.hash, published.status.as_str());
            invocation.output.show(&Published { source, model, status })?;
        }
        Action::Diff { before, after } => {
            let of = |path| files::model(path).map_err(|error| CliError::NoAnswer(Box::new(error)));
            let (before, after) = (of(&before)?, of(&after)?);
            let changes = diff(&before, &after).into_iter();
            let changes: Vec<Difference> =
                changes.map(|it| Difference { part: it.part, sentence: it.sentence }).collect();
            let differs = !changes.is_empty();
            invocation.output.show(&Differences { before: before.hash(), after: after.hash(), changes })?;
            return Ok(if differs { Completion::Failed } else { Completion::Succeeded });
        }
        Action::Fit(args) => fit::run(&args, invocation)?,
        Action::Explain(args) => explain::run(&args, invocation)?,
    }
    Ok(Completion::Succeeded)
}
