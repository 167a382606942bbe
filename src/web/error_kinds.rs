//! The kind of problem, and so the stable code, that each room's error is: one exhaustive `From` a room. The API answers
//! with it, and the command line names the same code in its reports.

use super::problem::Kind;
use crate::access::AccessError;
use crate::audit::export::ExportError;
use crate::database::DatabaseError;
use crate::eligibility::checker::CheckError;
use crate::eligibility::grants::CorrectionRequestError;
use crate::eligibility::occupancy::OccupancyRequestError;
use crate::eligibility::overrides::OverrideError;
use crate::eligibility::referral_decision::ReferralDecisionError;
use crate::eligibility::rule_selection::TrialError;
use crate::eligibility::subject_access::DisclosureError;
use crate::ledger::LedgerError;
use crate::ledger::cases::contest::ContestError;
use crate::ledger::cases::requests::SubjectRequestError;
use crate::ledger::grants::correction::CorrectionError;
use crate::ledger::grants::ending::ReturnError;
use crate::ledger::occupancy::OccupancyError;
use crate::ledger::read::browse::BrowseError;
use crate::perks::attributes::AttributeError;
use crate::perks::error::PerkError;
use crate::scores::ScoreError;
use crate::scores::score::SourceFault;

impl From<&PerkError> for Kind {
    fn from(error: &PerkError) -> Self {
        match error {
            PerkError::NotFound(_) | PerkError::VersionNotFound { .. } => Self::NotFound,
            PerkError::RuleNewer { .. } => Self::RuleNewer,
            PerkError::Exists => Self::AlreadyExists,
            PerkError::NotADraft(_) => Self::NotADraft,
            PerkError::WrongStatus(_) | PerkError::NotScheduled { .. } | PerkError::TooLate => Self::WrongStatus,
            PerkError::Stale => Self::PreconditionFailed,
            PerkError::Retired => Self::PerkRetired,
            PerkError::AlreadyScheduled(_) => Self::AlreadyScheduled,
            PerkError::ApprovalRequired => Self::ApprovalRequired,
            PerkError::SelfApproval | PerkError::YoungKey => Self::SelfApproval,
            PerkError::NoPerson => Self::Forbidden,
            PerkError::Field(_)
            | PerkError::Fields(_)
            | PerkError::CantReturn(_)
            | PerkError::Name(_)
            | PerkError::Note(_)
            | PerkError::Rule(_) => Self::InvalidRequest,
            PerkError::Ledger(error) => error.into(),
            PerkError::Database(error) => error.into(),
        }
    }
}

impl From<&AttributeError> for Kind {
    fn from(error: &AttributeError) -> Self {
        match error {
            AttributeError::NotFound(_) => Self::NotFound,
            AttributeError::Stale => Self::PreconditionFailed,
            AttributeError::ValuesKept { .. } | AttributeError::InUse { .. } => Self::AttributeInUse,
            AttributeError::RuleNewer { .. } => Self::RuleNewer,
            AttributeError::ApprovalRequired { .. } => Self::ApprovalRequired,
            AttributeError::TooMany | AttributeError::Unfit(_) => Self::InvalidRequest,
            AttributeError::Ledger(error) => error.into(),
            AttributeError::Database(error) => error.into(),
        }
    }
}

impl From<&AccessError> for Kind {
    fn from(error: &AccessError) -> Self {
        match error {
            AccessError::MerchantExists(_) | AccessError::AccountExists(_) => Self::AlreadyExists,
            AccessError::UnknownMerchant | AccessError::UnknownKey | AccessError::UnknownAccount => Self::NotFound,
            AccessError::TooManyClerks => Self::TooManyClerks,
            AccessError::LastAdmin => Self::WrongStatus,
            AccessError::Unfit(_) => Self::InvalidRequest,
            AccessError::OwnAccount | AccessError::Forbidden(_) => Self::Forbidden,
            AccessError::Ledger(error) => error.into(),
            AccessError::Database(error) => error.into(),
        }
    }
}

impl From<&ScoreError> for Kind {
    fn from(error: &ScoreError) -> Self {
        match error {
            ScoreError::Score(_)
            | ScoreError::Source(SourceFault::EmptyScale)
            | ScoreError::Computed(_)
            | ScoreError::Pulled(_)
            | ScoreError::Unfit(_)
            | ScoreError::NoSecret(_) => Self::InvalidRequest,
            ScoreError::NotComputed(_) | ScoreError::NotPulled(_) | ScoreError::NotHeld => Self::NotFound,
            ScoreError::HeldDecided(_) | ScoreError::Held(_) => Self::AlreadyDecided,
            ScoreError::UnderWay => Self::TooManyRuns,
            ScoreError::Source(SourceFault::Reserved) | ScoreError::SourceExists(_) => Self::AlreadyExists,
            ScoreError::Database(error) => error.as_ref().into(),
            ScoreError::Ledger(error) => match error.as_ref() {
                LedgerError::KeyReused | LedgerError::Pruned | LedgerError::Database(_) => Self::Internal,
                error => error.into(),
            },
        }
    }
}

impl From<&CheckError> for Kind {
    fn from(error: &CheckError) -> Self {
        match error {
            CheckError::Perk(error) => error.into(),
            CheckError::Score(error) => error.into(),
            CheckError::Ledger(error) => error.into(),
            CheckError::Token(_) => Self::Internal,
            CheckError::Context(_) => Self::InvalidRequest,
        }
    }
}

impl From<&DisclosureError> for Kind {
    fn from(error: &DisclosureError) -> Self {
        match error {
            DisclosureError::Score(error) => error.into(),
            DisclosureError::Perk(error) => error.into(),
            DisclosureError::Browse(error) => error.into(),
            DisclosureError::Ledger(error) => error.into(),
        }
    }
}

impl From<&BrowseError> for Kind {
    fn from(error: &BrowseError) -> Self {
        match error {
            BrowseError::Cursor => Self::InvalidRequest,
            BrowseError::Crowded => Self::RateLimited,
            BrowseError::Ledger(error) => error.into(),
        }
    }
}

impl From<&ExportError> for Kind {
    fn from(error: &ExportError) -> Self {
        match error {
            ExportError::Reversed | ExportError::FromAndSince | ExportError::Since(_) => Self::InvalidRequest,
            ExportError::Ledger(error) => error.into(),
            ExportError::Database(error) => error.into(),
        }
    }
}

impl From<&ContestError> for Kind {
    fn from(error: &ContestError) -> Self {
        match error {
            ContestError::NotFound => Self::NotFound,
            ContestError::NotRefused(_) | ContestError::Decided { .. } | ContestError::Erased => Self::WrongStatus,
            ContestError::AlreadyContested => Self::AlreadyExists,
            ContestError::Full(_) => Self::CaseFull,
            ContestError::Overridden { .. } => Self::AlreadyOverridden,
            ContestError::Ledger(error) => error.into(),
        }
    }
}

impl From<&SubjectRequestError> for Kind {
    fn from(error: &SubjectRequestError) -> Self {
        match error {
            SubjectRequestError::NotFound => Self::NotFound,
            SubjectRequestError::Decided(_) => Self::AlreadyDecided,
            SubjectRequestError::Erased => Self::SubjectErased,
            SubjectRequestError::Ledger(error) => error.into(),
            SubjectRequestError::Database(error) => error.into(),
        }
    }
}

impl From<&ReferralDecisionError> for Kind {
    fn from(error: &ReferralDecisionError) -> Self {
        match error {
            ReferralDecisionError::NotFound => Self::NotFound,
            ReferralDecisionError::AlreadyDecided => Self::AlreadyDecided,
            ReferralDecisionError::AlreadyOverridden { .. } => Self::AlreadyOverridden,
            ReferralDecisionError::UnknownTier(_) => Self::InvalidRequest,
            ReferralDecisionError::NoRoom(_) => Self::LimitReached,
            ReferralDecisionError::PerkPaused => Self::PerkPaused,
            ReferralDecisionError::PlaceClosed(_) => Self::PlaceClosed,
            ReferralDecisionError::PerkRetired => Self::PerkRetired,
            ReferralDecisionError::Check(error) => error.into(),
        }
    }
}

impl From<&OverrideError> for Kind {
    fn from(error: &OverrideError) -> Self {
        match error {
            OverrideError::NotFound => Self::NotFound,
            OverrideError::NotRefused(_) => Self::NotRefused,
            OverrideError::Elsewhere { .. } => Self::OtherLocation,
            OverrideError::TooLate => Self::OverrideWindowClosed,
            OverrideError::NotOverridable | OverrideError::NotForPay => Self::NotOverridable,
            OverrideError::ReferenceUsed { .. } => Self::PaymentUsed,
            OverrideError::UnknownReason(_) | OverrideError::UnknownTier(_) => Self::InvalidRequest,
            OverrideError::AlreadyOverridden { .. } => Self::AlreadyOverridden,
            OverrideError::AlreadyGranted => Self::AlreadyDecided,
            OverrideError::Erased => Self::SubjectErased,
            OverrideError::NoRoom(_) if error.is_exhausted() => Self::OverrideExhausted,
            OverrideError::NoRoom(_) => Self::LimitReached,
            OverrideError::PerkPaused => Self::PerkPaused,
            OverrideError::PerkRetired => Self::PerkRetired,
            OverrideError::PlaceClosed { .. } => Self::PlaceClosed,
            OverrideError::Check(error) => error.into(),
        }
    }
}

impl From<&TrialError> for Kind {
    fn from(error: &TrialError) -> Self {
        match error {
            TrialError::Perk(error) => error.into(),
            TrialError::Score(error) => error.into(),
            TrialError::Ledger(error) => error.into(),
            TrialError::Database(error) => error.into(),
            TrialError::Running | TrialError::Crowded => Self::TooManyRuns,
            TrialError::SourceMissing { .. }
            | TrialError::NoScore
            | TrialError::OffScale { .. }
            | TrialError::Context(_)
            | TrialError::Unobserved
            | TrialError::PeriodReversed
            | TrialError::PeriodInFuture { .. }
            | TrialError::PeriodTooLong { .. } => Self::InvalidRequest,
        }
    }
}

impl From<&ReturnError> for Kind {
    fn from(error: &ReturnError) -> Self {
        match error {
            ReturnError::NotFound => Self::NotFound,
            ReturnError::Voided => Self::GrantVoided,
            ReturnError::Ledger(error) => error.into(),
            ReturnError::Database(error) => error.into(),
        }
    }
}

impl From<&CorrectionError> for Kind {
    fn from(error: &CorrectionError) -> Self {
        match error {
            CorrectionError::NotFound => Self::NotFound,
            CorrectionError::Stale => Self::PreconditionFailed,
            CorrectionError::Voided => Self::GrantVoided,
            CorrectionError::Released => Self::GrantReleased,
            CorrectionError::Erased => Self::SubjectErased,
            CorrectionError::TooLate => Self::CorrectionClosed,
            CorrectionError::TooMany(_) => Self::GuestsExceeded,
            CorrectionError::NoRoom(_) => Self::LimitReached,
            CorrectionError::Ledger(error) => error.into(),
            CorrectionError::Database(error) => error.into(),
        }
    }
}

impl From<&CorrectionRequestError> for Kind {
    fn from(error: &CorrectionRequestError) -> Self {
        match error {
            CorrectionRequestError::Perk(error) => error.into(),
            CorrectionRequestError::Correction(error) => error.into(),
        }
    }
}

impl From<&OccupancyRequestError> for Kind {
    fn from(error: &OccupancyRequestError) -> Self {
        match error {
            OccupancyRequestError::NoOccupancy(_) => Self::NoOccupancy,
            OccupancyRequestError::Perk(error) => error.into(),
            OccupancyRequestError::Correction(OccupancyError::BelowZero { .. }) => Self::TooFewInside,
            OccupancyRequestError::Correction(OccupancyError::Ledger(error)) => error.into(),
            OccupancyRequestError::Correction(OccupancyError::Database(error)) => error.into(),
        }
    }
}

impl From<&LedgerError> for Kind {
    fn from(error: &LedgerError) -> Self {
        match error {
            LedgerError::Busy | LedgerError::Unavailable | LedgerError::Mismatch(_) => Self::Unavailable,
            LedgerError::InDoubt => Self::InDoubt,
            LedgerError::KeyReused => Self::IdempotencyKeyReused,
            LedgerError::Pruned => Self::Pruned,
            LedgerError::Failed(_) => Self::Internal,
            LedgerError::Database(error) => error.into(),
        }
    }
}

impl From<&DatabaseError> for Kind {
    fn from(error: &DatabaseError) -> Self {
        match error {
            DatabaseError::Unavailable(_)
            | DatabaseError::Busy
            | DatabaseError::Interrupted
            | DatabaseError::File(_)
            | DatabaseError::Unclassified(_)
            | DatabaseError::Conflict
            | DatabaseError::Mismatch(_) => Self::Unavailable,
            DatabaseError::InDoubt => Self::InDoubt,
            DatabaseError::Duplicate(_)
            | DatabaseError::Constraint(_)
            | DatabaseError::NotFound
            | DatabaseError::Corrupt { .. }
            | DatabaseError::Schema(_)
            | DatabaseError::Unfit { .. }
            | DatabaseError::Query(_) => Self::Internal,
        }
    }
}
