//! The rooms' errors on the command line, where it words them otherwise than they do themselves.

use super::CliError;
use crate::eligibility::checker::CheckError;
use crate::eligibility::grants::CorrectionRequestError;
use crate::eligibility::occupancy::OccupancyRequestError;
use crate::eligibility::overrides::OverrideError;
use crate::eligibility::referral_decision::ReferralDecisionError;
use crate::foundation::field_error::FieldError;
use crate::gateway::GatewayError;
use crate::ledger::cases::contest::ContestError;
use crate::ledger::cases::requests::SubjectRequestError;
use crate::ledger::grants::correction::CorrectionError;
use crate::ledger::grants::ending::ReturnError;
use crate::ledger::occupancy::OccupancyError;
use crate::ledger::write::gateway_keys::RotationError;
use crate::perks::error::PerkError;
use crate::perks::models::ModelError;
use crate::scores::ScoreError;

impl From<PerkError> for CliError {
    fn from(error: PerkError) -> Self {
        match error {
            PerkError::NotFound(perk) => Self::UnknownPerk(perk),
            PerkError::VersionNotFound { perk, version } => Self::UnknownVersion { perk, version },
            other => Self::Perk(other),
        }
    }
}

impl From<ScoreError> for CliError {
    fn from(error: ScoreError) -> Self {
        match error {
            ScoreError::Unfit(faults) => Self::Faulty(faults),
            other => Self::Score(other),
        }
    }
}

impl From<ModelError> for CliError {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Unfit(errors) => Self::Faulty(errors),
            ModelError::Graces => {
                Self::Faulty(vec![FieldError::of_parameter("--grace-days", "too_many", error.to_string())])
            }
            ModelError::NotComputed(source) => Self::Score(ScoreError::NotComputed(source)),
            ModelError::NotSubmitted | ModelError::Unknown => Self::Absent { kind: "model", id: String::new() },
            ModelError::Perk(error) => error.into(),
            ModelError::Ledger(error) => error.into(),
            ModelError::Database(error) => error.into(),
        }
    }
}

impl From<CheckError> for CliError {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Perk(error) => error.into(),
            CheckError::Score(error) => error.into(),
            CheckError::Ledger(error) => error.into(),
            CheckError::Context(errors) => Self::Context(errors),
            CheckError::Token(_) => Self::Check(error),
        }
    }
}

impl From<ReferralDecisionError> for CliError {
    fn from(error: ReferralDecisionError) -> Self {
        match error {
            ReferralDecisionError::Check(error) => error.into(),
            other => Self::ReferralDecision(other),
        }
    }
}

impl From<ContestError> for CliError {
    fn from(error: ContestError) -> Self {
        match error {
            ContestError::Ledger(error) => error.into(),
            other => Self::Contest(other),
        }
    }
}

impl From<OverrideError> for CliError {
    fn from(error: OverrideError) -> Self {
        match error {
            OverrideError::Check(error) => error.into(),
            other => Self::Override(other),
        }
    }
}

impl From<SubjectRequestError> for CliError {
    fn from(error: SubjectRequestError) -> Self {
        match error {
            SubjectRequestError::Ledger(error) => error.into(),
            SubjectRequestError::Database(error) => error.into(),
            other => Self::SubjectRequest(other),
        }
    }
}

impl From<ReturnError> for CliError {
    fn from(error: ReturnError) -> Self {
        match error {
            ReturnError::Ledger(error) => error.into(),
            ReturnError::Database(error) => error.into(),
            other => Self::Return(other),
        }
    }
}

impl From<CorrectionRequestError> for CliError {
    fn from(error: CorrectionRequestError) -> Self {
        match error {
            CorrectionRequestError::Perk(error) => error.into(),
            CorrectionRequestError::Correction(CorrectionError::Ledger(error)) => error.into(),
            CorrectionRequestError::Correction(CorrectionError::Database(error)) => error.into(),
            other @ CorrectionRequestError::Correction(_) => Self::Correction(other),
        }
    }
}

impl From<OccupancyRequestError> for CliError {
    fn from(error: OccupancyRequestError) -> Self {
        match error {
            OccupancyRequestError::Perk(error) => error.into(),
            OccupancyRequestError::Correction(OccupancyError::Ledger(error)) => error.into(),
            OccupancyRequestError::Correction(OccupancyError::Database(error)) => error.into(),
            other => Self::Occupancy(other),
        }
    }
}

impl From<RotationError> for CliError {
    fn from(error: RotationError) -> Self {
        match error {
            RotationError::Keyring(error) => GatewayError::from(error).into(),
            RotationError::Ledger(error) => error.into(),
            RotationError::Database(error) => error.into(),
        }
    }
}
