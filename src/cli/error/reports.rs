//! The reports of a command's error, each with the code that the API answers the same with.

use std::io::ErrorKind;

use super::CliError;
use crate::access::AccessError;
use crate::cli::output::error_report::ErrorReport;
use crate::database::{DatabaseError, Mismatch};
use crate::foundation::field_error::FieldError;
use crate::perks::attributes::AttributeError;
use crate::perks::error::PerkError;
use crate::web::problem::Kind;

impl CliError {
    /// The reports to write: one, or one for each thing that is wrong.
    #[must_use]
    pub fn reports(&self) -> Vec<ErrorReport> {
        let below = |root: &'static str| move |error: &FieldError| ErrorReport::of_field(&error.clone().below(root));
        match self {
            Self::Settings(all) => all
                .iter()
                .map(|each| ErrorReport {
                    detail: each.to_string(),
                    code: Some("bad_setting"),
                    remedy: Some(each.remedy()),
                    ..ErrorReport::default()
                })
                .collect(),
            Self::Context(errors) => errors.iter().map(|error| ErrorReport::of_json_flag("--context", error)).collect(),
            Self::Faulty(errors) => errors.iter().map(ErrorReport::of_field).collect(),
            Self::Several(errors) => errors.iter().flat_map(Self::reports).collect(),
            Self::NoAnswer(error) => error.reports(),
            Self::InFile { path, source } => source.reports().into_iter().map(|report| report.in_file(path)).collect(),
            Self::NothingApplied { source, .. } => {
                let mut reports = source.reports();
                let detail = self.to_string();
                reports.push(ErrorReport { detail, remedy: self.remedy(), ..ErrorReport::default() });
                reports
            }
            // These paths begin at the rule; the person looks at the whole file.
            Self::Perk(PerkError::Rule(errors) | PerkError::CantReturn(errors)) => {
                errors.iter().map(below("/rule")).collect()
            }
            Self::Perk(PerkError::Field(error)) => vec![ErrorReport::of_flag(error)],
            Self::Perk(PerkError::Fields(errors))
            | Self::Attribute(AttributeError::Unfit(errors))
            | Self::Access(AccessError::Unfit(errors)) => errors.iter().map(ErrorReport::of_flag).collect(),
            other => {
                let (detail, remedy, code) = (other.to_string(), other.remedy(), other.code());
                vec![ErrorReport { detail, code, remedy, ..ErrorReport::default() }]
            }
        }
    }

    /// The stable code: the API's for the same error, where it has one, or the way in which the database was lost; `usage`
    /// where the command line is not enough to go by.
    fn code(&self) -> Option<&'static str> {
        if let Some(mismatch) = self.database().and_then(DatabaseError::mismatch) {
            return Some(Mismatch::code(mismatch));
        }
        match self {
            Self::Listen { error, .. } if error.kind() == ErrorKind::AddrInUse => return Some("address_in_use"),
            Self::Listen { .. } => return Some("cant_listen"),
            _ if self.exit_code() == 2 && !matches!(self, Self::NoAnswer(_)) => return Some("usage"),
            _ => {}
        }
        let field = match self {
            Self::Trial(error) => error.field(),
            Self::Score(error) => error.field(),
            _ => None,
        };
        match self.kind()? {
            // One for any field, which says nothing; and one for what the API's callers are not to see.
            Kind::InvalidRequest | Kind::Internal => field.map(|(_, code)| code),
            kind => Some(kind.code()),
        }
    }

    /// The kind of problem that it is at the API; none for what can only go wrong here.
    fn kind(&self) -> Option<Kind> {
        Some(match self {
            Self::UnknownMerchant(_)
            | Self::UnknownKey { .. }
            | Self::Absent { .. }
            | Self::UnknownPerk(_)
            | Self::UnknownVersion { .. }
            | Self::NoVersion(_)
            | Self::UnknownSource(_)
            | Self::NoScore(_)
            | Self::UnknownLog(_) => Kind::NotFound,
            Self::Unapproved { .. } => Kind::ApprovalRequired,
            Self::Access(error) => error.into(),
            Self::Perk(error) => error.into(),
            Self::Attribute(error) => error.into(),
            Self::Score(error) => error.into(),
            Self::Check(error) => error.into(),
            Self::ReferralDecision(error) => error.into(),
            Self::Contest(error) => error.into(),
            Self::Override(error) => error.into(),
            Self::SubjectRequest(error) => error.into(),
            Self::Return(error) => error.into(),
            Self::Correction(error) => error.into(),
            Self::Occupancy(error) => error.into(),
            Self::Trial(error) => error.into(),
            Self::Ledger(error) => error.into(),
            Self::Disclosure(error) => error.into(),
            Self::Export(error) => error.into(),
            _ => return None,
        })
    }
}
