//! The problems that the errors of the rooms become at this door: one exhaustive `From` a room, so that a new
//! error does not compile until someone has said how it is answered.

use actix_web::http::header::{self, HeaderValue};

use crate::access::{AccessError, Forbidden, Refused, Role};
use crate::audit::export::ExportError;
use crate::database::DatabaseError;
use crate::decision::decide::Decision;
use crate::eligibility::checker::CheckError;
use crate::eligibility::referral_decision::ReferralDecisionError;
use crate::eligibility::rule_selection::TrialError;
use crate::eligibility::subject_access::DisclosureError;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::NameError;
use crate::http::v1::perks::version_steps::next_step;
use crate::ledger::LedgerError;
use crate::ledger::cases::contest::{ContestError, MOST_ADDED};
use crate::ledger::read::browse::BrowseError;
use crate::perks::error::{PerkError, WrongStatus};
use crate::scores::ScoreError;
use crate::scores::score::SourceFault;
use crate::web::problem::{Kind, Problem, sentence};

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        // RFC 6750 §3: no error code when no key was sent.
        let challenge = match refused {
            Refused::Missing => "Bearer realm=\"perkgate\"",
            Refused::Malformed
            | Refused::Unknown
            | Refused::Expired
            | Refused::Revoked
            | Refused::Suspended
            | Refused::Unchecked => "Bearer realm=\"perkgate\", error=\"invalid_token\"",
        };
        let (kind, detail) = match refused {
            Refused::Missing => {
                (Kind::MissingKey, "Send an API key in the header `Authorization: Bearer pgk_…`, and nowhere else.")
            }
            Refused::Malformed | Refused::Unknown => {
                (Kind::InvalidKey, "This is no key of this gateway. Check that it was copied whole.")
            }
            Refused::Expired => (Kind::ExpiredKey, "This key has passed its expiry. Ask an admin for a new one."),
            Refused::Revoked => (Kind::RevokedKey, "This key was revoked. Ask an admin for a new one."),
            Refused::Suspended => (
                Kind::SuspendedKey,
                "The account that acts under this key is suspended. Ask an admin to let it in again.",
            ),
            Refused::Unchecked => return Self::unavailable(&refused),
        };
        Self::new(kind, detail).with(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }
}

impl From<Forbidden> for Problem {
    fn from(forbidden: Forbidden) -> Self {
        let names = |roles: &[Role]| roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
        let detail = match forbidden {
            Forbidden::Role { role, permission } => {
                format!("This key's role is {role}; this is for: {}.", names(permission.roles()))
            }
            Forbidden::NoMerchant { role } => {
                format!("This key's role is {role}, which belongs to no merchant; use a merchant's key.")
            }
            Forbidden::ManageRole { role, other } => {
                let able: Vec<_> = Role::ALL.into_iter().filter(|by| by.may_manage(other)).collect();
                format!("This key's role is {role}; keys of role {other} are managed by: {}.", names(&able))
            }
        };
        Self::new(Kind::Forbidden, detail)
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::MerchantExists(ref slug) => {
                Self::new(Kind::from(&error), format!("There is a merchant `{slug}` already."))
            }
            AccessError::UnknownMerchant | AccessError::UnknownKey | AccessError::UnknownAccount => Self::not_found(),
            AccessError::AccountExists(_)
            | AccessError::TooManyClerks
            | AccessError::OwnAccount
            | AccessError::LastAdmin => Self::new(Kind::from(&error), error.to_string()),
            AccessError::Unfit(errors) => Self::invalid(errors),
            AccessError::Forbidden(forbidden) => forbidden.into(),
            AccessError::Ledger(error) => error.into(),
            AccessError::Database(error) => error.into(),
        }
    }
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        let refused = |parameter, error: &ExportError| {
            Self::invalid(vec![FieldError::of_parameter(parameter, "invalid_value", error.to_string())])
        };
        match error {
            ExportError::Reversed => refused("to", &error),
            ExportError::FromAndSince | ExportError::Since(_) => refused("since", &error),
            ExportError::Ledger(error) => error.into(),
            ExportError::Database(error) => error.into(),
        }
    }
}

impl From<BrowseError> for Problem {
    fn from(error: BrowseError) -> Self {
        match error {
            BrowseError::Cursor => Self::invalid(vec![FieldError::of_parameter(
                "cursor",
                "invalid_value",
                BrowseError::Cursor.to_string(),
            )]),
            BrowseError::Crowded => Self::new(Kind::RateLimited, BrowseError::Crowded.to_string()).retry_after(1),
            BrowseError::Ledger(error) => error.into(),
        }
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Busy | LedgerError::Unavailable => Self::unavailable(&error),
            LedgerError::InDoubt => Self::in_doubt(&error),
            LedgerError::Mismatch(ref mismatch) => Self::lost_database(mismatch),
            LedgerError::KeyReused => Self::new(
                Kind::IdempotencyKeyReused,
                "This key was sent with another request in the last 24 hours. Take a new key for a new question.",
            ),
            LedgerError::Pruned => Self::new(
                Kind::Pruned,
                "This was recorded, and what the log said of it has been pruned since. Its place in the log stands.",
            ),
            LedgerError::Failed(_) => Self::internal(&error),
            LedgerError::Database(error) => error.into(),
        }
    }
}

/// A 422 for the field, named by its pointer and with its code, that the error is about.
fn of_field(field: Option<(&'static str, &'static str)>, error: &impl std::fmt::Display) -> Problem {
    let (pointer, code) = field.unwrap_or(("", "invalid_value"));
    Problem::invalid(vec![FieldError::at(pointer, code, error.to_string())])
}

impl From<PerkError> for Problem {
    fn from(error: PerkError) -> Self {
        let unfit = |pointer: &'static str, error: NameError| {
            Self::invalid(vec![FieldError::at(pointer, "invalid_value", error.to_string())])
        };
        let kind = Kind::from(&error);
        match error {
            PerkError::NotFound(perk) => {
                Self::new(kind, format!("There is no perk `{perk}`, or nothing of it is published."))
            }
            PerkError::VersionNotFound { perk, version } => {
                let detail =
                    format!("The perk `{perk}` has no version {version}; if there was one, its draft was deleted.");
                Self::new(kind, detail)
            }
            PerkError::RuleNewer { .. } => Self::new(
                kind,
                "a newer build of the gateway wrote this perk's rule, and the replica that answered can't read it: \
                 try again, another replica may; and bring them all to one build",
            )
            .retry_after(1),
            PerkError::Exists => {
                let detail = "There is a perk of this name already: add a version to it instead.";
                Self::new(kind, detail)
            }
            PerkError::NotADraft(WrongStatus { status, .. }) | PerkError::WrongStatus(WrongStatus { status, .. }) => {
                Self::new(kind, format!("{error}. {}", next_step(status)))
            }
            PerkError::NotScheduled { .. } | PerkError::TooLate => Self::new(kind, error.to_string()),
            PerkError::Stale => {
                let detail = "It was changed since you looked: GET it again, and decide again.";
                Self::new(kind, detail)
            }
            PerkError::Retired => {
                Self::new(kind, "This perk is retired, for good. Make another one under another name.")
            }
            PerkError::AlreadyScheduled(_) | PerkError::ApprovalRequired | PerkError::NoPerson => {
                Self::new(kind, error.to_string())
            }
            PerkError::SelfApproval => Self::new(
                kind,
                "Who wrote or asked for this can't be the one who approves it, and all keys that go back to one \
                 key count as one person. Ask an admin whose key the operator made for them.",
            ),
            PerkError::YoungKey => Self::new(
                kind,
                "This key, or the one it goes back to, was made after what it would approve was asked for, so it can't \
                 count as a second person. Withdraw and submit it again, or ask an admin with an older key.",
            ),
            PerkError::Field(error) => Self::of_fields("", vec![*error]),
            PerkError::Fields(errors) => Self::of_fields("", errors),
            PerkError::CantReturn(errors) => {
                let of_version = |FieldError { path, code, detail }: FieldError| {
                    let detail = format!("That version's rule can't work any more, at {path}: {detail}");
                    FieldError::at("/to", code, detail)
                };
                Self::invalid(errors.into_iter().map(of_version).collect())
            }
            PerkError::Name(error) => unfit("/name", error),
            PerkError::Note(error) => unfit("/change_note", error),
            PerkError::Rule(errors) => Self::of_fields("/rule", errors),
            PerkError::Ledger(error) => error.into(),
            PerkError::Database(error) => error.into(),
        }
    }
}

impl From<ScoreError> for Problem {
    fn from(error: ScoreError) -> Self {
        match &error {
            ScoreError::Score(_) | ScoreError::Source(SourceFault::EmptyScale) => of_field(error.field(), &error),
            ScoreError::Source(SourceFault::Reserved) | ScoreError::SourceExists(_) => {
                Self::new(Kind::from(&error), "There is a source of this name already.")
            }
            ScoreError::Unfit(faults) => Self::invalid(faults.clone()),
            ScoreError::Computed(_)
            | ScoreError::NotComputed(_)
            | ScoreError::Pulled(_)
            | ScoreError::NotPulled(_)
            | ScoreError::NoSecret(_)
            | ScoreError::UnderWay => Self::new(Kind::from(&error), sentence(&error.to_string())),
            // Shared by all who waited for one look-up, so it can't be moved out.
            ScoreError::Database(inner) if matches!(**inner, DatabaseError::InDoubt) => Self::in_doubt(&error),
            ScoreError::Database(inner) if inner.is_passing() => {
                inner.mismatch().map_or_else(|| Self::unavailable(&error), Self::lost_database)
            }
            ScoreError::Ledger(inner) => match inner.as_ref() {
                LedgerError::Busy | LedgerError::Unavailable => Self::unavailable(&error),
                LedgerError::InDoubt => Self::in_doubt(&error),
                LedgerError::Mismatch(mismatch) => Self::lost_database(mismatch),
                LedgerError::KeyReused | LedgerError::Pruned | LedgerError::Failed(_) | LedgerError::Database(_) => {
                    Self::internal(&error)
                }
            },
            ScoreError::Database(_) => Self::internal(&error),
        }
    }
}

impl From<CheckError> for Problem {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Perk(error) => error.into(),
            CheckError::Score(error) => error.into(),
            CheckError::Ledger(error) => error.into(),
            // Signing what the ledger has recorded can't fail for anything that the caller did.
            CheckError::Token(error) => Self::internal(&error),
            CheckError::Context(errors) => Self::of_fields("/context", errors),
        }
    }
}

impl From<DisclosureError> for Problem {
    fn from(error: DisclosureError) -> Self {
        match error {
            DisclosureError::Score(error) => error.into(),
            DisclosureError::Perk(error) => error.into(),
            DisclosureError::Browse(error) => error.into(),
            DisclosureError::Ledger(error) => error.into(),
        }
    }
}

impl From<ContestError> for Problem {
    fn from(error: ContestError) -> Self {
        let kind = Kind::from(&error);
        match error {
            ContestError::NotFound => Self::not_found(),
            ContestError::NotRefused(Decision::Referred) => {
                Self::new(kind, "A person decides this check anyway: wait for their decision.")
            }
            ContestError::Decided { .. } => {
                let detail = format!("This can't be contested: {error}, and what a person decides stands.");
                Self::new(kind, detail)
            }
            ContestError::NotRefused(_) => Self::new(kind, format!("This can't be contested: {error}.")),
            ContestError::AlreadyContested => {
                Self::new(kind, "This refusal was contested before: see its case for how it stands.")
            }
            ContestError::Overridden { granted } => {
                let detail = format!("A desk has made this good: `{granted}` was granted in its place.");
                Self::new(kind, detail)
            }
            ContestError::Full(case) => {
                let detail = format!(
                    "The case about {case} is open, and {MOST_ADDED} more refusals were added to it already: wait until \
                     it is decided."
                );
                Self::new(kind, detail)
            }
            ContestError::Erased => {
                let detail = "The person that this check was about has been erased: nobody could learn the outcome.";
                Self::new(kind, detail)
            }
            ContestError::Ledger(error) => error.into(),
        }
    }
}

impl From<ReferralDecisionError> for Problem {
    fn from(error: ReferralDecisionError) -> Self {
        let kind = Kind::from(&error);
        match error {
            ReferralDecisionError::NotFound => Self::not_found(),
            ReferralDecisionError::AlreadyDecided => {
                Self::new(kind, "A person has decided this already: see how at its address.")
            }
            ReferralDecisionError::AlreadyOverridden { granted } => {
                let detail =
                    format!("A desk overrode this, and `{granted}` was granted: all that is left is to uphold it.");
                Self::new(kind, detail)
            }
            ReferralDecisionError::UnknownTier(known) => Self::invalid(vec![FieldError::at(
                "/tier",
                "unknown_tier",
                format!("the rule that referred this has no such tier: use {}", known.join(", ")),
            )]),
            ReferralDecisionError::NoRoom(reasons) => {
                let mut detail = String::new();
                for reason in &reasons {
                    detail.push_str(&reason.message());
                    detail.push(' ');
                }
                detail.push_str(if reasons.iter().any(|reason| reason.at_most.is_some()) {
                    "Nothing was granted and it remains open: no wait makes room for this, deny it."
                } else {
                    "Nothing was granted and it remains open: decide again later, or deny it."
                });
                Self::new(kind, detail)
            }
            ReferralDecisionError::PerkPaused => {
                Self::new(kind, "The perk is paused: resume it and grant this then, or deny it now.")
            }
            ReferralDecisionError::PlaceClosed(until) => {
                Self::new(kind, format!("The place is closed until {until}: grant this then, or deny it now."))
            }
            ReferralDecisionError::PerkRetired => {
                Self::new(kind, "The perk is retired and grants nothing any more: this can only be denied.")
            }
            ReferralDecisionError::Check(error) => error.into(),
        }
    }
}

impl From<TrialError> for Problem {
    fn from(error: TrialError) -> Self {
        match error {
            TrialError::Perk(error) => error.into(),
            TrialError::Score(error) => error.into(),
            TrialError::Ledger(error) => error.into(),
            TrialError::Database(error) => error.into(),
            TrialError::Context(errors) => Self::of_fields("/context", errors),
            TrialError::OffScale { .. }
            | TrialError::Unobserved
            | TrialError::SourceMissing { .. }
            | TrialError::NoScore
            | TrialError::PeriodReversed
            | TrialError::PeriodInFuture { .. }
            | TrialError::PeriodTooLong { .. } => of_field(error.field(), &error),
            TrialError::Running => Self::new(Kind::from(&error), error.to_string()).retry_after(2),
            TrialError::Crowded => Self::new(Kind::from(&error), error.to_string()).retry_after(5),
        }
    }
}

impl From<DatabaseError> for Problem {
    fn from(error: DatabaseError) -> Self {
        match &error {
            DatabaseError::Unavailable(_)
            | DatabaseError::Busy
            | DatabaseError::Interrupted
            | DatabaseError::File(_)
            | DatabaseError::Unclassified(_)
            | DatabaseError::Conflict => Self::unavailable(&error),
            DatabaseError::Mismatch(mismatch) => Self::lost_database(mismatch),
            DatabaseError::InDoubt => Self::in_doubt(&error),
            DatabaseError::Duplicate(_)
            | DatabaseError::Constraint(_)
            | DatabaseError::NotFound
            | DatabaseError::Corrupt { .. }
            | DatabaseError::Schema(_)
            | DatabaseError::Unfit { .. }
            | DatabaseError::Query(_) => Self::internal(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_wrong_inside_is_not_shown_outside() {
        let away = Problem::from(DatabaseError::Unavailable("password authentication failed for perk".into()));
        assert_eq!(away.kind, Kind::Unavailable);
        assert!(away.headers.iter().any(|(name, _)| name == header::RETRY_AFTER));
        let broken = Problem::from(AccessError::from(LedgerError::from(DatabaseError::Query("no column x".into()))));
        assert_eq!(broken.kind, Kind::Internal);
        for (problem, inner) in [(away, "password"), (broken, "column")] {
            assert!(!problem.body("req_1").contains(inner), "{}", problem.body("req_1"));
            assert!(problem.cause.unwrap().contains(inner), "the log has it");
        }
    }
}
