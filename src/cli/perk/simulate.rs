//! `perkgate perk simulate`: what a rule would do, to one subject or to everyone.

use std::fmt;
use std::path::PathBuf;

use clap::ArgGroup;
use jiff::Timestamp;

use super::file::PerkFile;
use super::occupancy::percent;
use crate::cli::error::CliError;
use crate::cli::once::{self, ACTOR, MerchantFlag, Needs};
use crate::cli::output::guest_words::{LanguageFlag, write_reasons};
use crate::cli::output::limits_left::LimitsLeft;
use crate::cli::output::progress::work_off;
use crate::cli::output::{counted, table, write_block, write_line, write_part};
use crate::cli::{Completion, Invocation};
use crate::decision::facts::Context;
use crate::decision::person::PersonFacts;
use crate::decision::shown_value::ShownValue;
use crate::decision::trace::{LeafTrace, Node, Passed, Trace};
use crate::eligibility::population::{Everyone, Warning};
use crate::eligibility::rule_selection::{Choice, TrialError};
use crate::eligibility::shown::simulation::SimulationShown;
use crate::eligibility::simulator::EveryoneTrial;
use crate::eligibility::trial::Trial;
use crate::foundation::boarding_pass::{AIRPORT_FORM, BoardingPass, airport};
use crate::foundation::decimal::Decimal;
use crate::foundation::document::{FieldErrors, Node as DocumentNode};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::PerkSlug;
use crate::foundation::json::{Json, JsonError, LooseJson};
use crate::foundation::subject::SubjectHandle;
use crate::gateway::Gateway;
use crate::perks::attributes::AttributeError;
use crate::rules::time_window::WITHIN;
use crate::scores::score::parse_instant;

/// Which rule is tried out.
#[derive(clap::Args)]
pub(crate) struct RuleArgs {
    #[arg(value_name = "PERK", help = "The perk's short name, as `perk list` shows it")]
    pub perk: PerkSlug,
    #[command(flatten)]
    pub merchant: MerchantFlag,
    /// A version: without it the published one, or the latest draft while nothing is published.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..), conflicts_with = "file")]
    version: Option<i32>,
    /// The rule of a perk file instead; `-` is standard input.
    #[arg(short = 'f', long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl RuleArgs {
    /// The rule that is meant.
    ///
    /// # Errors
    /// The errors of reading the perk file; [`CliError::Faulty`] when it is another perk's.
    pub(crate) fn choice(&self) -> Result<Choice, CliError> {
        let Some(path) = &self.file else {
            return Ok(self.version.map_or(Choice::Deciding, Choice::Version));
        };
        let (document, file) = PerkFile::open(path)?;
        if file.perk != self.perk {
            let detail = format!("the file is about the perk `{}`, and `{}` was asked for", file.perk, self.perk);
            let error = FieldError::at("/perk", "other_perk", detail);
            return Err(CliError::Faulty(document.located("", vec![error])));
        }
        Ok(Choice::Rule(file.rule))
    }
}

/// The boarding pass that the visitor would show, and where.
#[derive(clap::Args)]
pub(crate) struct PassArgs {
    /// The text of the boarding pass that the visitor shows. What stands here shows in process lists and shell
    /// histories: `-` reads it from standard input.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    boarding_pass: Option<String>,
    /// The airports at which the key that asks is used, by IATA code: `SFO,OAK`.
    #[arg(long, value_name = "CODE", value_delimiter = ',', value_parser = airport_code, requires = "boarding_pass")]
    airports: Vec<String>,
}

impl PassArgs {
    /// The pass, and the airports.
    ///
    /// # Errors
    /// [`CliError::BoardingPass`]; nothing of the text is repeated.
    pub(crate) fn read(self) -> Result<(Option<BoardingPass>, Vec<String>), CliError> {
        let text = match self.boarding_pass.as_deref() {
            Some("-") => Some(once::read_line("boarding pass")?),
            _ => self.boarding_pass,
        };
        let pass = text.map(|text| text.parse().map_err(CliError::BoardingPass)).transpose()?;
        Ok((pass, self.airports))
    }
}

/// The people who come, in the place of the context's `party`.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct PartyArgs {
    /// How many adults come, the person included; instead of the context's `party`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    adults: Option<u64>,
    /// The ages of the children who come with them, in years: `1,7`.
    #[arg(long, value_name = "AGE", value_delimiter = ',', requires = "adults")]
    children: Vec<u8>,
}

impl PartyArgs {
    /// The context for these people, if they were given.
    ///
    /// # Errors
    /// [`CliError::Context`]: too many, an age that is none, or a context that says how many come too.
    pub(crate) fn with(&self, context: Context) -> Result<Context, CliError> {
        let Some(json) = self.as_json() else { return Ok(context) };
        let mut errors = FieldErrors::default();
        let read = context.with_party_read(&DocumentNode::root(&json), &mut errors);
        errors.unless_any(read).map_err(CliError::Context)
    }

    /// As bodies have it.
    pub(crate) fn as_json(&self) -> Option<Json> {
        let adults = Json::whole(i64::try_from(self.adults?).unwrap_or(i64::MAX));
        let children = self.children.iter().map(|age| Json::whole((*age).into())).collect();
        Some(Json::object([("adults", adults), ("children", Json::List(children))]))
    }
}

#[derive(clap::Args)]
#[command(group = ArgGroup::new("whom").required(true).multiple(true).args(["subject", "score", "attributes", "boarding_pass", "everyone"]))]
pub(crate) struct Args {
    #[command(flatten)]
    rule: RuleArgs,
    /// The person: `network:handle` or a member number. Their cached score and limits are looked at. Without it, the
    /// boarding pass names them, unless a score is assumed.
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<SubjectHandle>,
    /// This score, in the place of the subject's own.
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    score: Option<Decimal>,
    /// Attributes of the person, one by one in the place of what is kept, as a JSON object: '{"status":"gold"}'.
    #[arg(long, value_name = "JSON")]
    attributes: Option<String>,
    /// Everyone whose score is known.
    #[arg(long, conflicts_with_all = ["subject", "score", "attributes", "location", "kiosk", "boarding_pass"])]
    everyone: bool,
    /// The context that the visitor brings, as a JSON object: '{"terminal":"A","party":2}'.
    #[arg(long, value_name = "JSON")]
    context: Option<String>,
    #[command(flatten)]
    party: PartyArgs,
    /// Any instant, past or future (RFC 3339); now without it.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    at: Option<Timestamp>,
    #[arg(long, value_name = "NAME", help = "Where the check would be made")]
    location: Option<String>,
    /// How full the place is, in percent.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    occupancy: Option<Decimal>,
    #[arg(long, value_name = "NAME", help = "The kiosk that would ask")]
    kiosk: Option<String>,
    #[command(flatten)]
    pass: PassArgs,
    #[command(flatten)]
    language: LanguageFlag,
}

/// An airport on the command line.
fn airport_code(text: &str) -> Result<String, &'static str> {
    airport(text).ok_or(AIRPORT_FORM)
}

/// An instant on the command line.
pub(crate) fn instant(text: &str) -> Result<Timestamp, &'static str> {
    parse_instant(text).ok_or("write the time as RFC 3339 does, with its offset: 2026-11-22T09:00:00Z")
}

pub(crate) fn run(args: Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let context = args.party.with(read_context(args.context.as_deref())?)?.with_occupancy(args.occupancy);
    let (choice, perk) = (args.rule.choice()?, args.rule.perk.clone());
    let merchant = args.rule.merchant.clone();
    if args.everyone {
        let trial = EveryoneTrial { perk, choice, context, at: args.at };
        let found = invocation.with_gateway(Needs::Existing, async |gateway| {
            let merchant = once::merchant(gateway, &merchant).await?;
            let run = gateway.simulator.everyone(&merchant, trial).await.map_err(known)?;
            work_off(invocation.output, "scores", run).await
        })?;
        invocation.output.show(&found)?;
        return Ok(Completion::Succeeded);
    }
    let (boarding_pass, airports) = args.pass.read()?;
    let mut trial = Trial {
        perk,
        choice,
        subject: args.subject,
        score: args.score.map(|value| (value, None)),
        attributes: read_attributes(args.attributes.as_deref())?,
        network: None,
        context,
        at: args.at,
        location: args.location,
        kiosk: args.kiosk,
        boarding_pass,
        airports,
    };
    let simulated = invocation.with_gateway(Needs::Existing, async |gateway: &Gateway| {
        let merchant = once::merchant(gateway, &merchant).await?;
        let named = trial.boarding_pass.as_ref().filter(|_| trial.subject.is_none() && trial.score.is_none());
        if let Some(visitor) = named.map(|pass| gateway.keyring.visitor(&merchant.id, pass)) {
            trial.subject = Some(visitor);
        }
        gateway.simulator.simulate(&merchant, &ACTOR, trial).await.map_err(known)
    })?;
    invocation.output.show(&SimulationShown::of(simulated, &args.language.languages))?;
    Ok(Completion::Succeeded)
}

/// The error, as other commands report it.
pub(crate) fn known(error: TrialError) -> CliError {
    match error {
        TrialError::Perk(error) => error.into(),
        TrialError::Score(error) => error.into(),
        TrialError::Database(error) => error.into(),
        TrialError::Context(errors) => CliError::Context(errors),
        other => CliError::Trial(other),
    }
}

/// Attributes that are assumed.
fn read_attributes(text: Option<&str>) -> Result<PersonFacts, CliError> {
    let Some(text) = text else { return Ok(PersonFacts::default()) };
    let unfit = |errors: Vec<FieldError>| {
        let below = |error: FieldError| error.below("/attributes");
        CliError::Attribute(AttributeError::Unfit(errors.into_iter().map(below).collect()))
    };
    let malformed = |error: JsonError| vec![FieldError::at(error.pointer(), "malformed", error.to_string())];
    let json = Json::parse(text).map_err(|error| unfit(malformed(error)))?;
    PersonFacts::parse(&json).map_err(unfit)
}

pub(crate) fn read_context(text: Option<&str>) -> Result<Context, CliError> {
    let Some(text) = text else { return Ok(Context::default()) };
    let json = LooseJson::parse(text).map_err(|error| {
        let pointer = error.pointer().to_owned();
        CliError::Context(vec![FieldError::at(pointer, "malformed", error.to_string())])
    })?;
    Context::parse_loose(&json).map_err(CliError::Context)
}

impl fmt::Display for SimulationShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tier = self.tier.as_ref().map(|tier| format!(" ({tier})")).unwrap_or_default();
        write_line!(f, "{}{tier}, by {} at {}", self.decision.as_str(), named(self.version), self.at)?;
        write_reasons(f, &self.reasons, &self.offers)?;
        LimitsLeft::from(self).fmt(f)?;
        write_line!(f)?;
        write_trace(f, &self.trace)?;
        warned(f, &self.warnings)
    }
}

fn write_trace(f: &mut fmt::Formatter<'_>, trace: &Trace) -> fmt::Result {
    let of = |passed| if passed { Passed::True } else { Passed::False };
    write_line!(f, "{} valid", mark(of(trace.valid.passed)))?;
    if let Some(blackouts) = &trace.blackouts {
        let named = blackouts.id.as_ref().map(|id| format!(" (`{id}` is in force)")).unwrap_or_default();
        write_line!(f, "{} no blackout{named}", mark(of(blackouts.passed)))?;
    }
    write_line!(f, "{} open", mark(of(trace.schedule.passed)))?;
    if let Some(score) = &trace.score {
        let had = score.had.map_or_else(|| "none".to_owned(), |had| had.to_string());
        write_line!(f, "{} score from {}: {had}", mark(of(score.passed)), score.source)?;
    }
    if let Some(attributes) = &trace.attributes {
        write_line!(f, "{} {} known", mark(of(attributes.passed)), attributes.missing.join(", "))?;
    }
    if let Some(when) = &trace.when {
        write_line!(f, "{} when", mark(when.passed()))?;
        write_node(f, when, 1)?;
    }
    for tier in &trace.tiers {
        write_line!(f, "{} tier {} ({})", mark(tier.passed), tier.tier, tier.name)?;
        if let Some(when) = &tier.when {
            write_node(f, when, 1)?;
        }
        if let Some(guests) = &tier.guests {
            write_line!(f, "  {} at most {} guests: had {}", mark(of(guests.passed)), guests.max, guests.had)?;
        }
    }
    Ok(())
}

fn write_node(f: &mut fmt::Formatter<'_>, node: &Node, depth: usize) -> fmt::Result {
    let indent = "  ".repeat(depth);
    match node {
        Node::All { passed, members } | Node::Any { passed, members } => {
            let kind = if matches!(node, Node::All { .. }) { "all of" } else { "any of" };
            write_line!(f, "{indent}{} {kind}", mark(*passed))?;
            members.iter().try_for_each(|member| write_node(f, member, depth + 1))
        }
        Node::Not { passed, member } => {
            write_line!(f, "{indent}{} not", mark(*passed))?;
            write_node(f, member, depth + 1)
        }
        Node::Leaf(LeafTrace { passed, attr, op: WITHIN, wanted, against, had }) => {
            let by = against.as_ref().map(|other| format!(" and {other}")).unwrap_or_default();
            let had = had.as_ref().map_or_else(|| "nothing".to_owned(), shown);
            let reach = match wanted {
                Some(ShownValue::List(ends)) if *passed != Passed::Unknown => {
                    let ends: Vec<_> = ends.iter().map(bare).collect();
                    format!("now is within {}", ends.join(" to "))
                }
                _ => "now is within a time that isn't known".to_owned(),
            };
            write_line!(f, "{indent}{} {reach}, by {attr}{by}: had {had}", mark(*passed))
        }
        Node::Leaf(LeafTrace { passed, attr, op, wanted, against, had }) => {
            let against = against.as_ref().map(|other| format!(" {other}:")).unwrap_or_default();
            let wanted = wanted.as_ref().map(|wanted| format!(" {}", shown(wanted))).unwrap_or_default();
            let had = had.as_ref().map_or_else(|| "nothing".to_owned(), shown);
            write_line!(f, "{indent}{} {attr} {op}{against}{wanted}: had {had}", mark(*passed))
        }
    }
}

const fn mark(passed: Passed) -> &'static str {
    match passed {
        Passed::True => "yes",
        Passed::False => "no ",
        Passed::Unknown => "?  ",
    }
}

/// A value without its quotes.
fn bare(value: &ShownValue) -> String {
    match value {
        ShownValue::Text(text) => text.clone(),
        other => shown(other),
    }
}

fn shown(value: &ShownValue) -> String {
    match value {
        ShownValue::Bool(value) => value.to_string(),
        ShownValue::Number(number) => number.to_string(),
        ShownValue::Text(text) => format!("{text:?}"),
        ShownValue::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
    }
}

/// The name that the rule goes by.
pub(crate) fn named(version: Option<i32>) -> String {
    version.map_or_else(|| "the rule of the file".to_owned(), |version| format!("version {version}"))
}

pub(crate) fn warned(f: &mut fmt::Formatter<'_>, warnings: &[Warning]) -> fmt::Result {
    warnings.iter().try_for_each(|warning| write_line!(f, "warning: {}", warning.detail))
}

impl fmt::Display for Everyone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { perk, total, granted, denied, referred, stale, source, .. } = self;
        let scores = counted(*total, "score");
        write_line!(f, "{perk}, {} at {}: {scores} from {source}", named(self.version), self.at)?;
        write_line!(f, "  {granted} would be granted, {denied} denied, {referred} referred; {stale} stale")?;
        let tiers = self.tiers.iter().map(|it| [format!("  {} ({})", it.tier, it.name), it.subjects.to_string()]);
        write_line!(f)?;
        write_block(f, &table(["  tier", "subjects"], tiers))?;
        if !self.refused.is_empty() {
            let refused = self.refused.iter().map(|it| [format!("  {}", it.code.as_str()), it.subjects.to_string()]);
            write_line!(f)?;
            write_block(f, &table(["  not granted", "subjects"], refused))?;
        }
        for it in &self.thresholds {
            write_part!(f, "\n  {}: {} below, {} at it, {} above", it.value, it.below, it.at, it.above)?;
        }
        if let Some(near) = self.near {
            write_part!(f, "\n  within {} points of {}: {} below, ", near.within, near.threshold, near.below)?;
            write_part!(f, "{} at it or above", near.above)?;
        }
        if let Some(against) = self.published {
            write_part!(f, "\n  against version {}: {} newly admitted, ", against.version, against.newly_admitted)?;
            write_part!(f, "{} newly refused, {} in another tier", against.newly_refused, against.tier_changed)?;
        }
        write_line!(f, "\n")?;
        let most = self.scores.bins.iter().map(|bin| bin.subjects).max().unwrap_or_default().max(1);
        for bin in &self.scores.bins {
            let length = usize::try_from(bin.subjects.saturating_mul(40).div_ceil(most)).unwrap_or(0);
            let edges = format!("{}–{}", bin.from, bin.to);
            write_line!(f, "{edges:>14} {:<40} {}", "#".repeat(length), bin.subjects)?;
        }
        warned(f, &self.warnings)
    }
}
