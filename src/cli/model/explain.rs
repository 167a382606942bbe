//! `perkgate model explain`: a person's score, its parts, and what a little more would add.

use std::fmt;
use std::path::PathBuf;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::files;
use crate::cli::Invocation;
use crate::cli::error::CliError;
use crate::cli::output::{table, write_line, write_part};
use crate::foundation::decimal::Decimal;
use crate::foundation::field_error::FieldError;
use crate::scoring::activity::gather;
use crate::scoring::change::change;
use crate::scoring::explain::{parts, steps};
use crate::scoring::observation::day_of;
use crate::scoring::score::compute;
use crate::scoring::signs::{Sign, shapes, signs};

const EXAMPLES: &str = "\
The parts add up to the score less 1, which everyone has. What the person did themselves is never counted.

Examples:
  perkgate model explain cx:123 --signals signals.ndjson
  perkgate model explain cx:123 --signals signals.ndjson --model model.json --since 2026-11-20 --json";

/// Number of people in a step: what a little more means.
const A_LITTLE: u64 = 10;

/// The most steps that are shown.
const MOST_STEPS: usize = 5;

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The person, as the signals name them.
    #[arg(value_name = "SUBJECT")]
    subject: String,
    /// The signals, one JSON object a line; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    signals: PathBuf,
    /// The model, JSON or YAML [default: the shipped one].
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// The UTC day as of which to look [default: today].
    #[arg(long, value_name = "DATE")]
    on: Option<Date>,
    /// An earlier UTC day, to tell what has changed since.
    #[arg(long, value_name = "DATE")]
    since: Option<Date>,
}

#[derive(Serialize)]
struct PartView {
    network: String,
    signal: String,
    measure: &'static str,
    points: Decimal,
    words: String,
}

#[derive(Serialize)]
struct StepView {
    network: String,
    signal: String,
    people: u64,
    points: Decimal,
    words: String,
}

#[derive(Serialize)]
struct SignView {
    kind: &'static str,
    network: String,
    signal: String,
    share: u64,
    acts: u64,
    words: String,
}

#[derive(Serialize)]
struct CauseView {
    cause: &'static str,
    points: Decimal,
}

#[derive(Serialize)]
struct Changed {
    since: Date,
    was: Option<Decimal>,
    causes: Vec<CauseView>,
}

#[derive(Serialize)]
struct Explained {
    model: String,
    on: Date,
    /// Null where there is nothing to score.
    score: Option<Decimal>,
    /// Number of days on which others acted, and of the people who did.
    days: u64,
    engagers: u64,
    parts: Vec<PartView>,
    steps: Vec<StepView>,
    /// The signs that are worth a look: it lowers nothing.
    signs: Vec<SignView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<Changed>,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(score) = self.score else {
            return write_part!(
                f,
                "There is no score: nothing that counts was seen in the 90 days before {}.",
                self.on
            );
        };
        let Self { on, days, engagers, model, .. } = self;
        write_line!(f, "{score} on {on}, from {engagers} people on {days} days ({model})")?;
        let rows = self.parts.iter().map(|part| [format!("+{}", part.points), part.words.clone()]);
        let rows = std::iter::once(["1".to_owned(), "what everyone has who has signals".to_owned()]).chain(rows);
        write_line!(f)?;
        f.write_str(&table(["points", "for"], rows))?;
        if !self.steps.is_empty() {
            f.write_str("\n\nA little more would add:")?;
            self.steps.iter().try_for_each(|step| write_part!(f, "\n  {}", step.words))?;
        }
        if !self.signs.is_empty() {
            f.write_str("\n\nWorth a look, though it lowers nothing:")?;
            self.signs.iter().try_for_each(|sign| write_part!(f, "\n  {}", sign.words))?;
        }
        if let Some(Changed { since, was, causes }) = &self.changed {
            let was = was.map_or_else(|| "no score".to_owned(), |was| was.to_string());
            write_part!(f, "\n\nOn {since} it was {was}. Since then:")?;
            for CauseView { cause, points } in causes {
                write_part!(f, "\n  {points} {cause}")?;
            }
        }
        Ok(())
    }
}

pub(super) fn run(args: &Args, invocation: &Invocation) -> Result<(), CliError> {
    let model = files::model_or_shipped(args.model.as_deref())?;
    let now = invocation.clock.now();
    let on = args.on.unwrap_or_else(|| now.to_zoned(TimeZone::UTC).date());
    if args.since.is_some_and(|since| since >= on) {
        let detail = format!("give a day before {on}");
        return Err(CliError::Faulty(vec![FieldError::of_parameter("--since", "out_of_range", detail)]));
    }
    let day = |date: Date| date.to_zoned(TimeZone::UTC).map_or(0, |at| day_of(at.timestamp()));
    let all = files::signals(&args.signals, Some(&args.subject), now)?.remove(&args.subject).unwrap_or_default();
    // A day that is over is looked at as it was: what came later is not known then.
    let seen: Vec<_> = all.into_iter().filter(|it| day_of(it.at.max(it.seen_at)) <= day(on)).collect();
    let activity = gather(&seen, day(on));
    let computed = compute(&model, &activity);
    let part = |part: crate::scoring::explain::Part| PartView {
        words: part.words(),
        network: part.network,
        signal: part.signal,
        measure: part.measure.as_str(),
        points: part.points,
    };
    let step = |step: crate::scoring::explain::Step| StepView {
        words: step.words(),
        network: step.network,
        signal: step.signal,
        people: step.people,
        points: step.points,
    };
    let sign = |sign: Sign| SignView {
        words: sign.words(),
        kind: sign.kind.as_str(),
        network: sign.network,
        signal: sign.signal,
        share: sign.share,
        acts: sign.acts,
    };
    let changed = args.since.map(|since| {
        let change = change(&seen, (&model, day(since)), (&model, day(on)));
        let causes = change.causes.into_iter().filter(|(_, points)| *points != Decimal::default());
        let causes = causes.map(|(cause, points)| CauseView { cause: cause.words(), points }).collect();
        Changed { since, was: change.was, causes }
    });
    invocation.output.show(&Explained {
        model: model.hash(),
        on,
        score: computed.as_ref().map(|it| it.score),
        days: activity.days,
        engagers: activity.engagers,
        parts: computed.as_ref().map(parts).unwrap_or_default().into_iter().map(part).collect(),
        steps: steps(&model, &activity, A_LITTLE).into_iter().take(MOST_STEPS).map(step).collect(),
        signs: signs(&shapes(&seen, day(on))).into_iter().map(sign).collect(),
        changed,
    })
}
