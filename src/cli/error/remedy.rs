//! Remedies to try when a room below could not do its part.

use crate::database::DatabaseError;
use crate::ledger::LedgerError;
use crate::scores::score::SourceFault;
use crate::scores::{ScoreError, Source};

pub(crate) fn of_score(error: &ScoreError) -> Option<String> {
    match error {
        ScoreError::Source(SourceFault::Reserved) => {
            Some(format!("another name; `{}` is there for every merchant", Source::klout().name))
        }
        ScoreError::Source(SourceFault::EmptyScale) => Some("--min 1 --max 1000".to_owned()),
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
