//! The errors of this room, as facts.

use super::perk::VersionStatus;
use crate::database::DatabaseError;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{NameError, PerkSlug};
use crate::ledger::LedgerError;
use crate::rules::rule::UnreadableRule;

/// A version whose status doesn't allow a step. It says how the version is; each door adds what can be done there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("version {version} of `{perk}` can't be {step}: it is {}", .status.description())]
pub struct WrongStatus {
    pub perk: String,
    pub version: i32,
    /// The step, as it would be done: `withdrawn`.
    pub step: &'static str,
    pub status: VersionStatus,
}

fn unscheduled(WrongStatus { perk, version, status, .. }: &WrongStatus, other: Option<i32>) -> String {
    let is = format!("version {version} is {}", status.description());
    match other {
        Some(other) => format!("{is}; the version of `{perk}` that is scheduled is {other}"),
        None => format!("nothing is scheduled for `{perk}`: {is}"),
    }
}

impl PerkError {
    /// The error about a rule of the perk that can't be read.
    pub(crate) fn unreadable(perk: &str, error: UnreadableRule) -> Self {
        match error {
            UnreadableRule::Newer(detail) => Self::RuleNewer { perk: perk.to_owned(), detail },
            UnreadableRule::Damaged(detail) => DatabaseError::Corrupt { what: "rule", detail }.into(),
        }
    }
}

/// Why a perk or a version could not be made or found.
#[derive(Debug, thiserror::Error)]
pub enum PerkError {
    #[error("there is no perk `{0}`")]
    NotFound(PerkSlug),
    #[error("the perk `{perk}` has no version {version}")]
    VersionNotFound { perk: PerkSlug, version: i32 },
    /// A replica of a build before the one that wrote the rule: it can't decide by it.
    #[error("a newer build of the gateway wrote the rule of `{perk}`, and this one can't read it: {detail}")]
    RuleNewer { perk: String, detail: String },
    #[error("a perk of this name is there already: add a version to it")]
    Exists,
    #[error(transparent)]
    NotADraft(WrongStatus),
    #[error(transparent)]
    WrongStatus(WrongStatus),
    /// There is no schedule to take back; `other` is the version that one stands for, where it is another.
    #[error("{}", unscheduled(.status, *.other))]
    NotScheduled { status: WrongStatus, other: Option<i32> },
    #[error("this version decides within a moment, and a replica might not hear in time: roll back once it does")]
    TooLate,
    #[error("it was changed meanwhile: look at it as it is now, then decide again")]
    Stale,
    #[error("the perk is retired, for good: make another")]
    Retired,
    #[error("version {0} is scheduled already, and one at a time can be: unschedule it first")]
    AlreadyScheduled(i32),
    #[error("this merchant asks for four eyes: submit the version, then someone other than its author approves it")]
    ApprovalRequired,
    #[error(
        "this must be done by someone else: an admin key that was not made by you, by a key of yours, or by who \
         made yours"
    )]
    SelfApproval,
    /// The approver's first key was made after what it would approve was submitted.
    #[error("this key was made after what it would approve was asked for")]
    YoungKey,
    #[error("the command line has no key, so it is no second person: use an admin key over HTTP")]
    NoPerson,
    /// A field of the request, by its pointer.
    #[error("{}", .0.detail)]
    Field(Box<FieldError>),
    /// Several, each by its pointer.
    #[error("{}", .0.first().map_or("", |error| error.detail.as_str()))]
    Fields(Vec<FieldError>),
    /// Pointers are relative to the earlier rule.
    #[error("the earlier rule can't work any more: {}", .0.first().map_or("", |error| error.detail.as_str()))]
    CantReturn(Vec<FieldError>),
    #[error("the name can't be taken: {0}")]
    Name(NameError),
    #[error("the change note can't be taken: {0}")]
    Note(NameError),
    /// Pointers are relative to the rule.
    #[error("the rule can't work")]
    Rule(Vec<FieldError>),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}
