//! `perkgate perk test`: a merchant's own cases, run as a test runner does, without a gateway.

use std::fmt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::files::{self, Kind, Sheet};
use crate::cli::document::Document;
use crate::cli::error::CliError;
use crate::cli::output::{counted, write_line, write_part};
use crate::cli::{Completion, Invocation};
use crate::decision::decide::Decision;
use crate::decision::decided::Decided;
use crate::eligibility::cases::{Case, Expected, ExpectedGuests, Tested, Waiting, codes_of, read_cases, tested};
use crate::rules::rule::Rule;

/// The largest file of cases that is read.
const MAX_BYTES: u64 = 16 << 20;

const EXAMPLES: &str = "\
A file of cases, YAML or JSON:
  perk_file: lounge.yaml            # from where this file is; or `rule:` with a rule
  cases:
    - name: A score of 40 opens the lounge
      at: 2012-05-08T10:00          # wall time in the rule's zone, or an instant with its offset
      subject: {score: 40, age: P1D, network: twitter}
      context: {terminal: A, party: 2}
      expect: {decision: granted, tier: standard, reasons: [score_met]}

`subject` without a score is a person without one; `observed_at` stands for `age`; `in_rollout: false` is
a person whom a partial rollout leaves out. `boarding_pass` is the text of the pass that they show, and `airports`
where the key is that asks: [SFO]. `party: {adults: 2, children: [1, 7]}` is who comes. `expect` may also say `next_eligible_at` (within 14 days, or null),
`max_wait` and `guests: {admitted: 2, free: 1, charged: 1}`; what it leaves out may be anything. Limits are no part of a case.
`attributes: {status: gold}` of a subject is what is kept of them; beside the cases, `on_missing: {status: deny}` says how
an attribute is declared, which leaves the decision to the rule where it says nothing.

Exit codes: 0 all passed, 1 one failed, 2 a file can't be taken.

Examples:
  perkgate perk test -f lounge.test.yaml
  perkgate perk test -f perks/ --json";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A file of cases, or a directory: all of its `*.test.yaml`, `.yml` and `.json`. May be given several times.
    #[arg(short = 'f', long = "file", value_name = "FILE|DIR", required = true)]
    files: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Report {
    passed: usize,
    failed: usize,
    files: Vec<FileReport>,
}

#[derive(Serialize)]
struct FileReport {
    file: String,
    /// None when the rule stands in the file of cases.
    perk_file: Option<String>,
    passed: usize,
    failures: Vec<Failure>,
}

#[derive(Serialize)]
struct Failure {
    name: String,
    line: Option<usize>,
    expected: ExpectedView,
    got: GotView,
}

#[derive(Serialize)]
struct ExpectedView {
    decision: Decision,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasons: Option<Vec<&'static str>>,
    /// Null when waiting must not be enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_eligible_at: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_wait: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guests: Option<ExpectedGuests>,
}

#[derive(Serialize)]
struct GotView {
    decision: Decision,
    tier: Option<String>,
    reasons: Vec<&'static str>,
    next_eligible_at: Option<Timestamp>,
    max_wait: Option<String>,
    /// None where the tier says nothing of guests.
    #[serde(skip_serializing_if = "Option::is_none")]
    guests: Option<ExpectedGuests>,
    messages: Vec<String>,
}

impl From<Expected> for ExpectedView {
    fn from(expected: Expected) -> Self {
        let Expected { decision, tier, reasons, next_eligible_at, max_wait, guests } = expected;
        let reasons = reasons.map(|codes| codes.into_iter().collect());
        let next_eligible_at = match next_eligible_at {
            Waiting::Anything => None,
            Waiting::InVain => Some(Value::Null),
            Waiting::Until(at) => Some(Value::String(at.to_string())),
        };
        let max_wait = max_wait.map(|wait| wait.to_string());
        Self { decision, tier, reasons, next_eligible_at, max_wait, guests }
    }
}

impl From<Decided> for GotView {
    fn from(decided: Decided) -> Self {
        let reasons = codes_of(&decided).into_iter().collect();
        let messages = decided.reasons.iter().map(crate::decision::reason::Reason::message).collect();
        let Decided { decision, tier, next_eligible_at, max_wait, guests, .. } = decided;
        let max_wait = max_wait.map(|wait| wait.to_string());
        let guests = guests.as_ref().map(|guests| ExpectedGuests::of(Some(guests)));
        Self { decision, tier, reasons, next_eligible_at, max_wait, guests, messages }
    }
}

/// One side of a failure, as far as it is said.
struct CaseReport<'a> {
    decision: Decision,
    tier: Option<&'a str>,
    reasons: Option<&'a [&'static str]>,
    /// An empty one is none.
    next_eligible_at: Option<String>,
    max_wait: Option<&'a str>,
    guests: Option<ExpectedGuests>,
}

impl fmt::Display for CaseReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.decision.as_str())?;
        if let Some(tier) = self.tier {
            write_part!(f, ", tier {tier}")?;
        }
        if let Some(wait) = self.max_wait {
            write_part!(f, ", waiting {wait} at most")?;
        }
        if let Some(guests) = self.guests {
            let numbers = guests.numbers().into_iter().filter_map(|(name, number)| Some(format!("{} {name}", number?)));
            write_part!(f, ", guests: {}", numbers.collect::<Vec<_>>().join(", "))?;
        }
        match self.reasons {
            Some([]) => f.write_str(", without reasons")?,
            Some(codes) => write_part!(f, ", because of {}", codes.join(" and "))?,
            None => {}
        }
        match self.next_eligible_at.as_deref() {
            Some("") => f.write_str(", with no time that would change it"),
            Some(at) => write_part!(f, ", eligible from {at}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, line, expected, got } = self;
        let line = line.map(|line| format!(" (line {line})")).unwrap_or_default();
        write_line!(f, "  FAILED  {name}{line}")?;
        let wanted = CaseReport {
            decision: expected.decision,
            tier: expected.tier.as_deref(),
            reasons: expected.reasons.as_deref(),
            next_eligible_at: expected.next_eligible_at.as_ref().map(|at| at.as_str().unwrap_or_default().to_owned()),
            max_wait: expected.max_wait.as_deref(),
            guests: expected.guests,
        };
        write_line!(f, "          expected  {wanted}")?;
        let had = CaseReport {
            decision: got.decision,
            tier: got.tier.as_deref(),
            reasons: Some(&got.reasons),
            // What nobody asked about is left out.
            next_eligible_at: expected
                .next_eligible_at
                .as_ref()
                .map(|_| got.next_eligible_at.map(|at| at.to_string()).unwrap_or_default()),
            max_wait: got.max_wait.as_deref().filter(|_| expected.max_wait.is_some()),
            guests: got.guests.filter(|_| expected.guests.is_some()),
        };
        write_line!(f, "          got       {had}")?;
        got.messages.iter().try_for_each(|message| write_line!(f, "                    {message}"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for FileReport { file, perk_file, passed, failures } in &self.files {
            let of = perk_file.as_ref().map(|path| format!(" of {path}")).unwrap_or_default();
            let cases = counted(passed + failures.len(), "case");
            write_line!(f, "{file}: {cases}{of}")?;
            failures.iter().try_for_each(|failure| failure.fmt(f))?;
        }
        write_part!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

pub(super) fn run(args: &Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let no_answer = |error| CliError::NoAnswer(Box::new(error));
    let report = test_all(&args.files).map_err(no_answer)?;
    invocation.output.show(&report)?;
    Ok(if report.failed == 0 { Completion::Succeeded } else { Completion::Failed })
}

fn test_all(paths: &[PathBuf]) -> Result<Report, CliError> {
    let files = files::expand(paths, Kind::Cases)?;
    let (mut reports, mut wrong) = (Vec::new(), Vec::new());
    for file in &files {
        match test(file) {
            Ok(report) => reports.push(report),
            Err(error) => wrong.push(error),
        }
    }
    if !wrong.is_empty() {
        return Err(CliError::Several(wrong));
    }
    let passed = reports.iter().map(|report| report.passed).sum();
    let failed = reports.iter().map(|report| report.failures.len()).sum();
    Ok(Report { passed, failed, files: reports })
}

fn test(path: &Path) -> Result<FileReport, CliError> {
    let document = Document::open_loose(path, MAX_BYTES)?;
    let faulty = |issues| CliError::Faulty(document.located("", issues));
    let (rule, perk_file) = match tested(document.loose()).map_err(faulty)? {
        Tested::PerkFile(name) => {
            let perk_file = path.parent().unwrap_or(Path::new("")).join(name);
            (Sheet::open(&perk_file)?.rule, Some(perk_file.display().to_string()))
        }
        Tested::Rule(rule) => {
            let rule = Rule::parse(&rule, "perk");
            (rule.map_err(|errors| CliError::Faulty(document.located("/rule", errors)))?, None)
        }
    };
    let cases = read_cases(document.loose(), &rule).map_err(faulty)?;
    let total = cases.len();
    let failed: Vec<(Case, Decided)> = cases
        .into_iter()
        .filter_map(|case| {
            let (decided, passed) = case.run(&rule);
            (!passed).then_some((case, decided))
        })
        .collect();
    let pointers: Vec<&str> = failed.iter().map(|(case, _)| case.pointer.as_str()).collect();
    let lines = if pointers.is_empty() { Vec::new() } else { document.lines(&pointers) };
    let passed = total - failed.len();
    let failures = failed
        .into_iter()
        .zip(lines)
        .map(|((case, got), line)| Failure { name: case.name, line, expected: case.expected.into(), got: got.into() })
        .collect();
    Ok(FileReport { file: path.display().to_string(), perk_file, passed, failures })
}
