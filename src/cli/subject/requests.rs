//! `perkgate subject requests`, `confirm` and `decline`: what people asked for by the links of their answers.

use std::fmt;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::Timestamp;
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::once::{self, ACTOR, MerchantFlag, Needs, all_pages};
use crate::cli::output::confirmation::Confirmation;
use crate::cli::output::{table, write_part};
use crate::cli::{Completion, Invocation};
use crate::eligibility::requests::RequestOf;
use crate::foundation::ids::{self, CheckId, MAX_NOTE, SubjectRequestId};
use crate::ledger::cases::requests::{RequestKind, RequestStatus, SubjectRequest, SubjectRequestError};

/// The number of requests that are read at once.
const PAGE: u32 = 200;

#[derive(clap::Args)]
pub(super) struct ListArgs {
    /// Only those of this status.
    #[arg(long, value_parser = statuses())]
    status: Option<RequestStatus>,
    #[command(flatten)]
    merchant: MerchantFlag,
}

#[derive(clap::Args)]
pub(super) struct Confirmed {
    #[command(flatten)]
    decided: Decided,
    #[command(flatten)]
    confirmation: Confirmation,
}

#[derive(clap::Args)]
pub(super) struct Decided {
    /// The request's id (`srq_…`).
    #[arg(value_name = "REQUEST")]
    request: SubjectRequestId,
    /// Why. It is sealed under the person's key.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    merchant: MerchantFlag,
}

fn statuses() -> impl TypedValueParser<Value = RequestStatus> {
    PossibleValuesParser::new(RequestStatus::ALL.map(RequestStatus::as_str)).map(|text| {
        // The parser took it: it is one of them.
        RequestStatus::ALL.into_iter().find(|status| status.as_str() == text).unwrap_or(RequestStatus::Open)
    })
}

#[derive(Serialize)]
struct RequestView {
    request: SubjectRequestId,
    kind: RequestKind,
    status: RequestStatus,
    check: CheckId,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    asked_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    waits_for_record: bool,
}

impl RequestView {
    fn of(request: SubjectRequest, subject: Option<String>, waits_for_record: bool) -> Self {
        let SubjectRequest { id, check, kind, status, asked_at, decided_at, decided_by, due_at, .. } = request;
        Self { request: id, kind, status, check, subject, asked_at, decided_at, decided_by, due_at, waits_for_record }
    }
}

impl fmt::Display for RequestView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { request, kind, status, due_at, .. } = self;
        write_part!(f, "{request}: {}, {}", kind.as_str(), status.as_str())?;
        if let Some(due_at) = due_at {
            write_part!(f, ", to be carried out at {due_at}")?;
        }
        if self.waits_for_record {
            write_part!(f, "; sooner where the record that they asked for too is handed over or declined")?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Listed {
    requests: Vec<RequestView>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.requests.is_empty() {
            return f.write_str("Nobody asked for anything.");
        }
        let rows = self.requests.iter().map(|it| {
            let subject = it.subject.clone().unwrap_or_default();
            let due = it.due_at.map(|at| at.to_string()).unwrap_or_default();
            let waits = if it.waits_for_record { "the record" } else { "" }.to_owned();
            let (kind, status) = (it.kind.as_str().to_owned(), it.status.as_str().to_owned());
            [it.request.to_string(), kind, status, subject, it.asked_at.to_string(), due, waits]
        });
        f.write_str(&table(["request", "kind", "status", "person", "asked", "due", "waits for"], rows))
    }
}

pub(super) fn list(args: &ListArgs, invocation: &Invocation) -> Result<Completion, CliError> {
    let requests = invocation.with_gateway(Needs::Existing, async |gateway| {
        let merchant = once::merchant(gateway, &args.merchant).await?.id;
        let page = async |last: Option<&RequestOf>| {
            let after = last.map(|it| it.request.id.clone());
            gateway.requests.list(&merchant, args.status, after, PAGE).await
        };
        Ok(all_pages(usize::try_from(PAGE).unwrap_or(usize::MAX), page).await?)
    })?;
    let view = |RequestOf { request, handle, waits_for_record }| {
        RequestView::of(request, handle.map(|it| it.as_str().to_owned()), waits_for_record)
    };
    invocation.output.show(&Listed { requests: requests.into_iter().map(view).collect() })?;
    Ok(Completion::Succeeded)
}

pub(super) fn confirm(args: &Confirmed, invocation: &Invocation) -> Result<Completion, CliError> {
    decide(&args.decided, Some(args.confirmation), invocation)
}

pub(super) fn decline(args: &Decided, invocation: &Invocation) -> Result<Completion, CliError> {
    decide(args, None, invocation)
}

/// Confirms, or declines where there is no `confirmation`, which an erasure is asked for.
fn decide(args: &Decided, confirmation: Option<Confirmation>, invocation: &Invocation) -> Result<Completion, CliError> {
    let note = args.note.as_deref().map(|note| ids::label(note, MAX_NOTE)).transpose().map_err(CliError::Note)?;
    let (decided, waits) = invocation.with_gateway(Needs::Existing, async |gateway| {
        let merchant = once::merchant(gateway, &args.merchant).await?;
        let absent = || CliError::Absent { kind: "request of a person", id: args.request.to_string() };
        if let Some(confirmation) = confirmation {
            let found = gateway.requests.find(&merchant.id, &args.request).await?.ok_or_else(absent)?;
            if found.kind == RequestKind::Erasure && found.status == RequestStatus::Open {
                confirmation.ask(&format!(
                    "have the person of {} of `{}` erased for good once limits count no visit of theirs",
                    args.request, merchant.slug
                ))?;
            }
        }
        let confirms = confirmation.is_some();
        let decided = gateway.requests.decide(&merchant, &args.request, confirms, (note.clone(), ACTOR)).await;
        decided.map_err(|error| match error {
            SubjectRequestError::NotFound => absent(),
            other => other.into(),
        })
    })?;
    invocation.output.show(&RequestView::of(decided, None, waits))?;
    Ok(Completion::Succeeded)
}
