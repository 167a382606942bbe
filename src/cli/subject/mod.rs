//! `perkgate subject`: erases a person, and tells a person what is held on them.

mod requests;

use std::fmt;
use std::time::Duration;

use clap::Subcommand;
use serde::Serialize;

use super::error::CliError;
use super::once::{self, ACTOR, MerchantFlag, Needs};
use super::output::confirmation::Confirmation;
use super::output::{counted, table, write_block, write_line, write_part};
use super::{Completion, Invocation};
use crate::access::Merchant;
use crate::database::followed::POLL_EVERY;
use crate::eligibility::disclosure::{
    DisclosedAccount, DisclosedAttribute, DisclosedEvent, DisclosedLimit, DisclosedRecord, DisclosedScore,
    DisclosedSignals, DisclosedStretch, ErasureOutcome,
};
use crate::foundation::boarding_pass::BoardingPass;
use crate::foundation::ids::MerchantId;
use crate::foundation::json::Json;
use crate::foundation::subject::SubjectHandle;
use crate::gateway::Gateway;
use crate::ledger::retention::erasure::{Erased, Erasure, Forgotten};
use crate::scores::enrolment::Consents;

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
    /// shouldn't. Limits begin again for someone who comes back, and a feed that still has the person brings
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
    /// List what people asked for by the links of their answers: to be shown what is held on them, or to be erased.
    Requests(requests::ListArgs),
    /// Confirm what a person asked for: a record is then handed over by `subject record`, an erasure carried out when limits
    /// count no visit of theirs any more, after 30 days at most.
    Confirm(requests::Confirmed),
    /// Decline what a person asked for: also an erasure that was confirmed, until it is carried out.
    Decline(requests::Decided),
}

#[derive(clap::Args)]
struct Whose {
    /// The person: `network:handle` or a member number. What stands here shows in process lists and
    /// shell histories: `-` reads it from standard input, or asks for it at the terminal.
    #[arg(value_name = "SUBJECT")]
    handle: String,
    /// SUBJECT is the text of a boarding pass: the person whom it names.
    #[arg(long)]
    from_boarding_pass: bool,
    #[command(flatten)]
    merchant: MerchantFlag,
}

/// The person, before it is known which merchant's.
enum Person {
    Handle(SubjectHandle),
    OfPass(BoardingPass),
}

impl Person {
    fn handle(&self, gateway: &Gateway, merchant: &MerchantId) -> SubjectHandle {
        match self {
            Self::Handle(handle) => handle.clone(),
            Self::OfPass(pass) => gateway.keyring.visitor(merchant, pass),
        }
    }
}

impl Whose {
    fn person(&self) -> Result<Person, CliError> {
        let what = if self.from_boarding_pass { "boarding pass" } else { "handle" };
        let text = if self.handle == "-" { once::read_line(what)? } else { self.handle.clone() };
        if self.from_boarding_pass {
            text.parse().map(Person::OfPass).map_err(CliError::BoardingPass)
        } else {
            text.parse().map(Person::Handle).map_err(CliError::Handle)
        }
    }
}

/// The outcome of an erasure, in words.
#[derive(Serialize)]
#[serde(transparent)]
struct ErasureView(ErasureOutcome);

/// The data held on a person, in words.
#[derive(Serialize)]
#[serde(transparent)]
struct RecordView(DisclosedRecord);

fn limits(held: &[DisclosedLimit]) -> String {
    let row = |it: &DisclosedLimit| {
        let perk = it.perk.clone().unwrap_or_else(|| "all perks".to_owned());
        [format!("  {perk}"), it.limit.clone(), it.window.clone(), it.used.to_string(), it.last_used_at.to_string()]
    };
    table(["  perk", "limit", "window", "used", "last"], held.iter().map(row))
}

impl fmt::Display for ErasureView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ErasureOutcome {
            erased,
            pseudonym,
            former_pseudonym,
            scores,
            attributes,
            accounts,
            signals,
            referrals_closed,
            limits_restarted,
            purged,
        } = &self.0;
        if !erased {
            return f.write_str("Nothing is held on this person: never known here, or erased before");
        }
        match (pseudonym, former_pseudonym) {
            (Some(pseudonym), None) => write_part!(f, "Erased: {pseudonym} is nobody now")?,
            (Some(pseudonym), Some(former)) => write_part!(f, "Erased: {pseudonym} and {former} are nobody now")?,
            (None, _) => f.write_str("Erased: no event was about this person")?,
        }
        let (scores, referrals) = (counted(*scores, "score"), counted(*referrals_closed, "open referral"));
        write_part!(f, "; {scores} deleted")?;
        if let Some(attributes) = attributes {
            write_part!(f, ", {} deleted", counted(*attributes, "attribute"))?;
        }
        for (number, of) in [(accounts, "account"), (signals, "signal")] {
            if let Some(number) = number {
                write_part!(f, ", {} deleted", counted(*number, of))?;
            }
        }
        write_line!(f, ", {referrals} closed")?;
        if !limits_restarted.is_empty() {
            write_line!(f, "For someone who comes back these limits begin again:")?;
            write_block(f, &limits(limits_restarted))?;
        }
        if !purged {
            write_line!(f, "Something still reads old copies in the database's files: a server that runs clears them")?;
        }
        Ok(())
    }
}

impl fmt::Display for RecordView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(record) = self;
        write_line!(f, "What is held on {}", record.subject)?;
        match (&record.pseudonym, record.since) {
            (Some(pseudonym), Some(since)) => {
                let former =
                    record.former_pseudonym.as_ref().map_or_else(String::new, |former| format!(" or {former}"));
                write_line!(f, "Known since {since}; events say {pseudonym}{former}")?;
            }
            _ => write_line!(f, "No event is about this person")?,
        }
        for DisclosedScore { source, value, observed_at, recorded_at } in record.scores.iter().flatten() {
            write_line!(f, "Score {value} from `{source}`, observed {observed_at}, written {recorded_at}")?;
        }
        for DisclosedStretch { source, value, first_day, last_day } in record.score_history.iter().flatten() {
            write_line!(f, "Score {value} from `{source}`, from {first_day} to {last_day}")?;
        }
        if let Some(id) = &record.klout_id {
            write_line!(f, "Known as {id} to clients of Klout's API")?;
        }
        for DisclosedAttribute { attribute, value, valid_until, recorded_at } in record.attributes.iter().flatten() {
            write_part!(f, "Attribute `{attribute}` {}", value.canonical())?;
            if let Some(end) = valid_until {
                write_part!(f, ", until {end}")?;
            }
            write_line!(f, ", written {recorded_at}")?;
        }
        for DisclosedAccount { network, account, state, linked_at } in record.accounts.iter().flatten() {
            write_line!(f, "Account {account} on {network}, {state}, linked {linked_at}")?;
        }
        if let Some(Consents { leaderboard, comparison }) = record.consents {
            write_line!(f, "Agreed to a list of the best: {leaderboard}; to comparison: {comparison}")?;
        }
        for DisclosedSignals { network, signal, number, first_day, last_day } in record.signals.iter().flatten() {
            write_line!(f, "Signals: {number} of `{network}/{signal}`, from {first_day} to {last_day}")?;
        }
        if let Some(held) = record.limits.as_deref().filter(|held| !held.is_empty()) {
            write_line!(f, "Limits in use:")?;
            write_block(f, &limits(held))?;
        }
        if let Some(before) = record.pruned_before {
            write_line!(f, "Events from before {before} were pruned: some may be missing")?;
        }
        record.events.iter().try_for_each(|event| write_event(f, event))
    }
}

fn write_event(f: &mut fmt::Formatter<'_>, event: &DisclosedEvent) -> fmt::Result {
    let fact = |name: &str| event.facts.as_ref().and_then(|facts| facts.member(name)).and_then(Json::as_text);
    write_part!(f, "\n{} {} {}", event.at, event.kind, event.about)?;
    for name in ["perk", "decision", "tier", "door"] {
        if let Some(value) = fact(name) {
            write_part!(f, ", {name} {value}")?;
        }
    }
    write_line!(f)?;
    for sentence in &event.explanation {
        write_line!(f, "  {sentence}")?;
    }
    for sentence in &event.would_have_changed {
        write_line!(f, "  would have changed it: {sentence}")?;
    }
    match &event.personal {
        Some(personal) => write_line!(f, "  {}", personal.canonical()),
        None => Ok(()),
    }
}

pub(super) fn run(args: &Args, invocation: &Invocation) -> Result<Completion, CliError> {
    match &args.action {
        Action::Requests(args) => return requests::list(args, invocation),
        Action::Confirm(args) => return requests::confirm(args, invocation),
        Action::Decline(args) => return requests::decline(args, invocation),
        Action::Erase { whose, confirmation } => {
            let person = whose.person()?;
            let erased = invocation.with_gateway(Needs::Existing, async |gateway| {
                erase(gateway, &whose.merchant, &person, *confirmation, invocation).await
            })?;
            invocation.output.show(&ErasureView(erased.into()))?;
        }
        Action::Record(whose) => {
            let person = whose.person()?;
            let record = invocation
                .with_gateway(Needs::Existing, async |gateway| record(gateway, &whose.merchant, &person).await)?;
            invocation.output.show(&RecordView(record))?;
        }
    }
    Ok(Completion::Succeeded)
}

async fn erase(
    gateway: &Gateway,
    merchant: &MerchantFlag,
    person: &Person,
    confirmation: Confirmation,
    invocation: &Invocation,
) -> Result<Option<Erased>, CliError> {
    let Merchant { id: merchant, slug, .. } = once::merchant(gateway, merchant).await?;
    confirmation.ask(&format!("erase this person of `{slug}` for good, with their scores and what names them"))?;
    let servers_hear = match &gateway.redis {
        Some(redis) => redis.wait_until_up(REDIS_PATIENCE).await,
        None => false,
    };
    let subject = gateway.keyring.subject_refs(&merchant, &person.handle(gateway, &merchant));
    let erased = gateway.scores.erase(&gateway.ledger, Erasure { merchant, subject, by: ACTOR, asked: None }).await?;
    if !servers_hear && erased.as_ref().is_some_and(|erased| erased.forgotten != Forgotten::default()) {
        let note = format!("A server that runs may go by what is in its memory for up to {POLL_EVERY:?} more.");
        invocation.output.note(&note);
    }
    Ok(erased)
}

async fn record(gateway: &Gateway, merchant: &MerchantFlag, person: &Person) -> Result<DisclosedRecord, CliError> {
    let merchant = once::merchant(gateway, merchant).await?;
    let handle = person.handle(gateway, &merchant.id);
    let part = async |cursor: Option<&str>| {
        let part = gateway.subject_access.record(&merchant, ACTOR, &handle, cursor, PAGE).await?;
        Ok::<_, CliError>(DisclosedRecord::of(&handle, part))
    };
    let (mut record, mut next) = part(None).await?;
    while let Some(cursor) = next {
        let (more, then) = part(Some(&cursor)).await?;
        record.events.extend(more.events);
        next = then;
    }
    Ok(record)
}
