//! The status that a version must have for a step, and the error that says which it has.

use super::error::{PerkError, WrongStatus};
use super::perk::VersionStatus;
use super::store::{PerkRow, VersionRow};

/// The error of a step that the version's status doesn't allow; `step` is what was to be done with it: `withdrawn`.
pub(super) fn wrong_status(perk: &PerkRow, row: &VersionRow, status: VersionStatus, step: &'static str) -> WrongStatus {
    WrongStatus { perk: perk.slug.clone(), version: row.version, step, status }
}

/// Passes a draft.
pub(super) fn require_draft(
    perk: &PerkRow,
    row: &VersionRow,
    status: VersionStatus,
    step: &'static str,
) -> Result<(), PerkError> {
    match status {
        VersionStatus::Draft => Ok(()),
        _ => Err(PerkError::NotADraft(wrong_status(perk, row, status, step))),
    }
}

/// Passes a version in one of these statuses.
pub(super) fn require(
    wanted: &[VersionStatus],
    perk: &PerkRow,
    row: &VersionRow,
    status: VersionStatus,
    step: &'static str,
) -> Result<(), PerkError> {
    if wanted.contains(&status) { Ok(()) } else { Err(PerkError::WrongStatus(wrong_status(perk, row, status, step))) }
}
