//! `perkgate subject`: erases a person, and tells a person what is held on them.

use std::fmt;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use super::error::CliError;
use super::once::{self, ACTOR, MerchantFlag, Needs};
use super::output::confirmation::Confirmation;
use super::output::{table, write_block, write_line, write_part};
use super::{Completion, Invocation};
use crate::access::Merchant;
use crate::eligibility::subject_access::{Held, ToldEvent};
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::SourceName;
use crate::foundation::json::Json;
use crate::foundation::subject::SubjectHandle;
use crate::gateway::Gateway;
use crate::ledger::read::person::LimitHeld;
use crate::ledger::retention::erasure::{Erased, Erasure};

/// The number of events of a record that are read at once.
const PAGE: usize = 200;

/// The longest time an erasure waits for Redis, through which replicas hear that scores are deleted.
const REDIS_PATIENCE: Duration = Duration::from_secs(2);

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Erase a person: what names them, their scores, and the key that their events are sealed with.
    ///
    /// It can't be undone. The log goes on proving every event, and nobody can tell any more whose they
    /// were. Tokens that are out open doors until they expire: void their grants first if they
    /// shouldn't. Limits begin anew for whoever comes back, and a feed that still has the person brings
    /// them back: take them out of it first. Backups hold the row, sealed, until you let them expire.
    Erase {
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Tell a person everything that is held on them, for a request under GDPR art. 15.
    ///
    /// Scores, limits in use, and every event about them, opened, with the reasons of each decision and
    /// what would have changed it. That it was read is an event in the log; it names nobody.
    Record(Whose),
}

#[derive(clap::Args)]
struct Whose {
    /// The person: `network:handle` or a member number. What stands here shows in process lists and
    /// shell histories: `-` reads it from standard input, or asks for it at the terminal.
    #[arg(value_name = "HANDLE")]
    handle: String,
    #[command(flatten)]
    merchant: MerchantFlag,
}

impl Whose {
    fn handle(&self) -> Result<SubjectHandle, CliError> {
        let text = if self.handle == "-" { read_line()? } else { self.handle.clone() };
        text.parse().map_err(CliError::Handle)
    }
}

/// One line of standard input.
fn read_line() -> Result<String, CliError> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "handle: ").and_then(|()| stderr.flush());
    }
    let mut line = String::new();
    // A handle is short; a file that was piped in by mistake need not be read whole.
    let mut bounded = std::io::Read::take(stdin.lock(), 4096);
    match bounded.read_line(&mut line) {
        Ok(_) => Ok(line.strip_prefix('\u{feff}').unwrap_or(&line).to_owned()),
        Err(error) => Err(CliError::Unreadable { path: PathBuf::from("-"), why: error.to_string() }),
    }
}

#[derive(Serialize)]
struct ErasedView {
    erased: bool,
    pseudonym: Option<String>,
    /// The pseudonym of events about an earlier spelling of the handle, where there are both.
    #[serde(skip_serializing_if = "Option::is_none")]
    former_pseudonym: Option<String>,
    scores: u64,
    referrals_closed: u64,
    limits_restarted: Vec<LimitView>,
    purged: bool,
}

#[derive(Serialize)]
struct LimitView {
    perk: Option<String>,
    limit: String,
    window: String,
    used: u64,
    last_used_at: Timestamp,
}

impl From<LimitHeld> for LimitView {
    fn from(held: LimitHeld) -> Self {
        let LimitHeld { perk, limit, window, used, last_used_at } = held;
        Self { perk, limit, window, used, last_used_at }
    }
}

fn limits(held: &[LimitView]) -> String {
    let row = |it: &LimitView| {
        let perk = it.perk.clone().unwrap_or_else(|| "all perks".to_owned());
        [format!("  {perk}"), it.limit.clone(), it.window.clone(), it.used.to_string(), it.last_used_at.to_string()]
    };
    table(["  perk", "limit", "window", "used", "last"], held.iter().map(row))
}

impl From<Option<Erased>> for ErasedView {
    fn from(erased: Option<Erased>) -> Self {
        let is_known = erased.is_some();
        let purged = erased.as_ref().is_none_or(|erased| erased.is_purged);
        let (pseudonym, former, scores, referrals, limits) = erased.map_or((None, None, 0, 0, Vec::new()), |erased| {
            (erased.pseudonym, erased.former, erased.scores, erased.referrals, erased.limits)
        });
        Self {
            erased: is_known,
            pseudonym: pseudonym.map(|it| it.as_str().to_owned()),
            former_pseudonym: former.map(|it| it.as_str().to_owned()),
            scores,
            referrals_closed: referrals,
            limits_restarted: limits.into_iter().map(LimitView::from).collect(),
            purged,
        }
    }
}

impl fmt::Display for ErasedView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { erased, pseudonym, former_pseudonym, scores, referrals_closed, limits_restarted, purged } = self;
        if !erased {
            return f.write_str("Nothing is held on this person: never known here, or erased before");
        }
        match (pseudonym, former_pseudonym) {
            (Some(pseudonym), None) => write_part!(f, "Erased: {pseudonym} is nobody now")?,
            (Some(pseudonym), Some(former)) => write_part!(f, "Erased: {pseudonym} and {former} are nobody now")?,
            (None, _) => f.write_str("Erased: no event was about this person")?,
        }
        write_line!(f, "; {scores} scores deleted, {referrals_closed} open referrals closed")?;
        if !limits_restarted.is_empty() {
            write_line!(f, "Whoever comes back begins these limits anew:")?;
            write_block(f, &limits(limits_restarted))?;
        }
        if !purged {
            write_line!(f, "Something still reads old copies in the database's files: a server that runs clears them")?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct RecordView {
    subject: String,
    pseudonym: Option<String>,
    /// The pseudonym of events about an earlier spelling of the handle, where there are both.
    #[serde(skip_serializing_if = "Option::is_none")]
    former_pseudonym: Option<String>,
    since: Option<Timestamp>,
    scores: Vec<ScoreView>,
    limits: Vec<LimitView>,
    /// Before when events may be missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pruned_before: Option<Timestamp>,
    events: Vec<EventView>,
}

#[derive(Serialize)]
struct ScoreView {
    source: SourceName,
    value: Decimal,
    observed_at: Timestamp,
    recorded_at: Timestamp,
}

#[derive(Serialize)]
struct EventView {
    kind: String,
    at: Timestamp,
    about: String,
    facts: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    personal: Option<Json>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    explanation: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    would_have_changed: Vec<String>,
    index: i64,
    event: String,
}

impl From<ToldEvent> for EventView {
    fn from(told: ToldEvent) -> Self {
        let ToldEvent { event, explanation, would_have_changed } = told;
        let (event, personal) = (event.event, event.personal);
        Self {
            kind: event.kind,
            at: event.at,
            about: event.about,
            facts: event.facts,
            personal,
            explanation,
            would_have_changed,
            index: event.index,
            event: event.id,
        }
    }
}

impl fmt::Display for RecordView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_line!(f, "What is held on {}", self.subject)?;
        match (&self.pseudonym, self.since) {
            (Some(pseudonym), Some(since)) => {
                let former = self.former_pseudonym.as_ref().map_or_else(String::new, |former| format!(" or {former}"));
                write_line!(f, "Known since {since}; events say {pseudonym}{former}")?;
            }
            _ => write_line!(f, "No event is about this person")?,
        }
        for ScoreView { source, value, observed_at, recorded_at } in &self.scores {
            write_line!(f, "Score {value} from `{source}`, observed {observed_at}, written {recorded_at}")?;
        }
        if !self.limits.is_empty() {
            write_line!(f, "Limits in use:")?;
            write_block(f, &limits(&self.limits))?;
        }
        if let Some(before) = self.pruned_before {
            write_line!(f, "Events from before {before} were pruned: some may be missing")?;
        }
        for event in &self.events {
            event.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for EventView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |name: &str| self.facts.as_ref().and_then(|facts| facts.member(name)).and_then(Json::as_text);
        write_part!(f, "\n{} {} {}", self.at, self.kind, self.about)?;
        for name in ["perk", "decision", "tier", "door"] {
            if let Some(value) = told(name) {
                write_part!(f, ", {name} {value}")?;
            }
        }
        write_line!(f)?;
        for sentence in &self.explanation {
            write_line!(f, "  {sentence}")?;
        }
        for sentence in &self.would_have_changed {
            write_line!(f, "  would have changed it: {sentence}")?;
        }
        match &self.personal {
            Some(personal) => write_line!(f, "  {}", personal.canonical()),
            None => Ok(()),
        }
    }
}

pub(super) fn run(args: &Args, invocation: &Invocation) -> Result<Completion, CliError> {
    match &args.action {
        Action::Erase { whose, confirmation } => {
            let handle = whose.handle()?;
            let erased = invocation.with_gateway(Needs::Existing, async |gateway| {
                erase(gateway, &whose.merchant, &handle, *confirmation, invocation).await
            })?;
            invocation.output.show(&ErasedView::from(erased))?;
        }
        Action::Record(whose) => {
            let handle = whose.handle()?;
            let record = invocation
                .with_gateway(Needs::Existing, async |gateway| record(gateway, &whose.merchant, &handle).await)?;
            invocation.output.show(&record)?;
        }
    }
    Ok(Completion::Succeeded)
}

async fn erase(
    gateway: &Gateway,
    merchant: &MerchantFlag,
    handle: &SubjectHandle,
    confirmation: Confirmation,
    invocation: &Invocation,
) -> Result<Option<Erased>, CliError> {
    let Merchant { id: merchant, slug, .. } = once::merchant(gateway, merchant).await?;
    confirmation.ask(&format!("erase this person of `{slug}` for good, with their scores and what names them"))?;
    let servers_hear = match &gateway.redis {
        Some(redis) => redis.wait_until_up(REDIS_PATIENCE).await,
        None => false,
    };
    let subject = gateway.keyring.subject_refs(&merchant, handle);
    let erased = gateway.lookup.erase(&gateway.ledger, Erasure { merchant, subject, by: ACTOR }).await?;
    if !servers_hear && erased.as_ref().is_some_and(|erased| erased.scores > 0) {
        let ttl = gateway.settings.bounds.score_cache_ttl;
        let note = format!("A server that runs may go by the score in its memory for up to {ttl:?} more.");
        invocation.output.note(&note);
    }
    Ok(erased)
}

async fn record(gateway: &Gateway, merchant: &MerchantFlag, handle: &SubjectHandle) -> Result<RecordView, CliError> {
    let merchant = once::merchant(gateway, merchant).await?;
    let subject_access = &gateway.subject_access;
    let mut part = subject_access.record(&merchant, ACTOR, handle, None, PAGE).await?;
    let nothing = Held { scores: Vec::new(), limits: Vec::new(), pruned_before: None };
    let Held { scores, limits, pruned_before } = part.held.take().unwrap_or(nothing);
    let former = part.person.as_ref().and_then(|it| it.former.as_ref()).map(|it| it.as_str().to_owned());
    let (pseudonym, since) = part.person.as_ref().map(|it| (it.pseudonym.as_str().to_owned(), it.since)).unzip();
    let mut events: Vec<EventView> = part.events.into_iter().map(EventView::from).collect();
    while let Some(cursor) = part.next {
        part = subject_access.record(&merchant, ACTOR, handle, Some(&cursor), PAGE).await?;
        events.extend(part.events.drain(..).map(EventView::from));
    }
    let score = |it: crate::scores::erasing::ScoreHeld| ScoreView {
        source: it.source,
        value: it.score.value,
        observed_at: it.score.observed_at,
        recorded_at: it.recorded_at,
    };
    Ok(RecordView {
        subject: handle.as_str().to_owned(),
        pseudonym,
        former_pseudonym: former,
        since,
        scores: scores.into_iter().map(score).collect(),
        limits: limits.into_iter().map(LimitView::from).collect(),
        pruned_before,
        events,
    })
}
