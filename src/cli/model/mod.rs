//! `perkgate model`: models of scores as files (lint, diff, fit), and a score taken apart. It needs no gateway.

mod explain;
mod files;
mod fit;

use std::fmt;
use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use super::error::CliError;
use super::output::{table, write_block, write_line, write_part};
use super::{Completion, Invocation};
use crate::foundation::count::counted_as;
use crate::foundation::decimal::Decimal;
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
