//! Remedies to try when a room below could not do its part.

use crate::database::DatabaseError;
use crate::foundation::ids::PerkSlug;
use crate::ledger::LedgerError;
use crate::perks::error::WrongStatus;
use crate::perks::perk::VersionStatus;
use crate::scores::score::SourceFault;
use crate::scores::{ScoreError, Source};

/// The way on with a version whose status doesn't allow what was asked.
pub(crate) fn of_status(WrongStatus { perk, version, status, .. }: &WrongStatus) -> String {
    match status {
        VersionStatus::Draft => format!("`perkgate perk submit {perk}`, or `perkgate perk publish {perk}`"),
        VersionStatus::InReview => format!(
            "an admin key approves it, with POST /v1/perks/{perk}/versions/{version}/approve; `perkgate perk withdraw \
             {perk}` takes it back"
        ),
        VersionStatus::Approved => format!(
            "`perkgate perk publish {perk}`, `perkgate perk schedule {perk} --at TIME`, or `perkgate perk withdraw {perk}`"
        ),
        VersionStatus::Scheduled => {
            format!("`perkgate perk unschedule {perk}`, or `perkgate perk publish {perk}` to let it decide at once")
        }
        VersionStatus::Published => "`perkgate perk apply` with another rule adds a version".to_owned(),
        VersionStatus::Retired => {
            format!("`perkgate perk rollback {perk} --to {version}`, or `perkgate perk apply` with another rule")
        }
    }
}

/// The way on with a version that someone other than its author must approve.
pub(crate) fn of_unapproved(perk: &PerkSlug, version: i32, status: VersionStatus) -> String {
    let approves = format!(
        "an admin key of someone other than its author approves it, with POST /v1/perks/{perk}/versions/{version}/approve"
    );
    match status {
        VersionStatus::Draft => format!("`perkgate perk submit {perk}`, then {approves}"),
        VersionStatus::InReview => format!("it waits for that: {approves}"),
        VersionStatus::Scheduled => {
            format!("`perkgate perk unschedule {perk}` takes the schedule back, then submit the version for approval")
        }
        VersionStatus::Approved | VersionStatus::Published | VersionStatus::Retired => format!(
            "withdraw it, then submit it again: `perkgate perk withdraw {perk}`, then `perkgate perk submit {perk}`"
        ),
    }
}

pub(crate) fn of_score(error: &ScoreError) -> Option<String> {
    match error {
        ScoreError::Source(SourceFault::Reserved) => {
            Some(format!("another name; `{}` is there for every merchant", Source::klout().name))
        }
        ScoreError::Source(SourceFault::EmptyScale) => Some("--min 1 --max 1000".to_owned()),
        ScoreError::NoSecret(source) => {
            Some(format!("the file MERCHANT.{source} with the key in the directory of PERKGATE_PULL_SECRETS_DIR"))
        }
        ScoreError::NotPulled(_) => Some("`perkgate source list` shows which are fetched".to_owned()),
        ScoreError::SourceExists(_) => Some("`perkgate source list --merchant SLUG` shows its scale".to_owned()),
        _ => None,
    }
}

pub(crate) fn of_ledger(error: &LedgerError) -> Option<String> {
    let words = match error {
        LedgerError::Busy | LedgerError::Unavailable => "run it again",
        LedgerError::InDoubt => "look whether it is there, then run it again if not",
        LedgerError::Database(error) => return of_database(error),
        LedgerError::Mismatch(mismatch) => mismatch.remedy(),
        LedgerError::KeyReused | LedgerError::Pruned | LedgerError::Failed(_) => return None,
    };
    Some(words.to_owned())
}

pub(crate) fn of_database(error: &DatabaseError) -> Option<String> {
    match error {
        DatabaseError::Unavailable(_) => {
            Some("`perkgate doctor` says what is wrong with the database's address".to_owned())
        }
        DatabaseError::Mismatch(mismatch) => Some(mismatch.remedy().to_owned()),
        DatabaseError::File(fault) => Some(fault.remedy()),
        DatabaseError::Unfit { remedy, .. } => Some((*remedy).to_owned()),
        error if error.is_passing() => Some("run it again".to_owned()),
        _ => None,
    }
}
