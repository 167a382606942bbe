//! `perkgate model fit`: from a draft and a population to a model.

use std::fmt;
use std::path::PathBuf;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::files;
use crate::cli::Invocation;
use crate::cli::document::write_new;
use crate::cli::error::CliError;
use crate::cli::output::{write_line, write_part};
use crate::foundation::count::counted_as;
use crate::foundation::decimal::Decimal;
use crate::foundation::field_error::FieldError;
use crate::scoring::activity::{Activity, gather};
use crate::scoring::fit::fit;
use crate::scoring::generated;
use crate::scoring::lint::lint;
use crate::scoring::observation::day_of;
use crate::scoring::score::compute;

const EXAMPLES: &str = "\
The draft says what counts and with which weight; the fit finds where each signal is full and which level has
which score, so that of the population the best twentieth has 50 or more. Anyone without signals is left out.

Examples:
  perkgate model fit draft.json --signals signals.ndjson --population 'members of November' --out model.json
  perkgate model fit draft.json --generated 20000 --out model.json
  zcat signals.ndjson.gz | perkgate model fit draft.json --signals - --population members --out model.json";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The draft: a model as JSON or YAML.
    #[arg(value_name = "FILE")]
    draft: PathBuf,
    /// The population's signals, one JSON object a line; `-` is standard input.
    #[arg(long, value_name = "FILE", requires = "population", required_unless_present = "generated")]
    signals: Option<PathBuf>,
    /// The name of the population, which the model carries.
    #[arg(long, value_name = "TEXT")]
    population: Option<String>,
    /// So many people who are made up, in place of real ones; the model says so.
    #[arg(long, value_name = "N", conflicts_with_all = ["signals", "population"], value_parser = clap::value_parser!(u64).range(2_000..=1_000_000))]
    generated: Option<u64>,
    /// Which people are made up.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "generated")]
    seed: u64,
    /// The UTC day as of which they are looked at [default: today].
    #[arg(long, value_name = "DATE")]
    on: Option<Date>,
    /// Where the model goes: a file that isn't there yet.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Serialize)]
struct Fitted {
    file: String,
    hash: String,
    people: u64,
    mean: Decimal,
    median: Decimal,
    /// Number of people of 1,000 whose score is 40 or more.
    admitted_at_40: u64,
}

impl fmt::Display for Fitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, hash, people, mean, median, admitted_at_40 } = self;
        write_line!(f, "Fitted on {}: {file}", counted_as(*people, "person", "people"))?;
        write_line!(f, "  the mean is {mean}, the median {median}; {admitted_at_40} of 1,000 have 40 or more")?;
        write_part!(f, "  {hash}")
    }
}

pub(super) fn run(args: &Args, invocation: &Invocation) -> Result<(), CliError> {
    let draft = files::model(&args.draft)?;
    let now = invocation.clock.now();
    let at = args.on.unwrap_or_else(|| now.to_zoned(TimeZone::UTC).date());
    let noon = at.at(12, 0, 0, 0).to_zoned(TimeZone::UTC).map_or(now, |it| it.timestamp());
    let today = day_of(noon);
    let (name, people): (String, Vec<Activity>) = match (args.generated, &args.signals) {
        (Some(many), _) => {
            let people = (0..many).map(|nth| gather(&generated::person(args.seed, nth, noon), today));
            (format!("generated, seed {}", args.seed), people.collect())
        }
        (None, Some(signals)) => {
            let signals = files::signals(signals, None, now)?;
            let name = args.population.clone().unwrap_or_default();
            (name, signals.values().map(|observations| gather(observations, today)).collect())
        }
        (None, None) => (String::new(), Vec::new()),
    };
    let faulty = |error: FieldError| CliError::Faulty(vec![error]);
    let model = fit(&draft, &name, at, &people).map_err(|e| faulty(FieldError::at("", "population", e.to_string())))?;
    let errors = lint(&model);
    if !errors.is_empty() {
        return Err(CliError::Faulty(errors));
    }
    let text = serde_json::to_string_pretty(&model.to_json())
        .map_err(|error| CliError::Unwritable { path: args.out.clone(), why: error.to_string() })?;
    write_new(&args.out, &format!("{text}\n"))?;
    let mut scores: Vec<Decimal> = people.iter().filter_map(|it| compute(&model, it).map(|it| it.score)).collect();
    scores.sort_unstable();
    let many = i64::try_from(scores.len()).unwrap_or(i64::MAX).max(1);
    let sum: i64 = scores.iter().map(|it| it.thousandths()).sum();
    let above = scores.iter().filter(|it| **it >= Decimal::from_whole(40)).count() as u64;
    invocation.output.show(&Fitted {
        file: args.out.display().to_string(),
        hash: model.hash(),
        people: model.population.people,
        mean: Decimal::from_thousandths(sum / many),
        median: scores.get(scores.len() / 2).copied().unwrap_or_default(),
        admitted_at_40: above * 1_000 / many.unsigned_abs(),
    })
}
