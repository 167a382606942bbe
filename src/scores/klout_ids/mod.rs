//! The numbers by which clients of Klout's API know people: only those who have a score from `klout` get one, when they are
//! first asked about, and it goes with the score and with the person.

pub(in crate::scores) mod store;

use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::subject::SubjectRefs;

use super::error::ScoreError;
use super::handle::Scores;
use super::score::Source;
use super::store::hold_score;

/// The numbers that are tried for one person. Of 2⁵³ hardly two people ever get the same.
pub const TRIES: usize = 4;

/// A person who is to have a number.
#[derive(Debug, Clone)]
pub struct NewKloutId {
    pub subject: SubjectRefs,
    /// The first that nobody else has is theirs.
    pub ids: [i64; TRIES],
    /// The handle as it is to be kept.
    pub sealed: Vec<u8>,
}

impl Scores {
    /// The person's number, which is made if they have none; none for one without a score from `klout`.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn klout_id(&self, merchant: &MerchantId, new: NewKloutId) -> Result<Option<i64>, ScoreError> {
        let (of, subject) = (merchant.clone(), new.subject.current);
        let find = move |conn: &mut AnyConnection| store::find_id(conn, &of, &subject);
        if let Some(id) = self.database.read(find).await? {
            let score = self.find(merchant, &Source::klout().name, new.subject).await?;
            return Ok(score.map(|_| id));
        }
        let merchant = merchant.clone();
        let make = move |conn: &mut AnyConnection| make(conn, &merchant, &Source::klout().name, &new);
        Ok(self.database.write(make).await?)
    }

    /// The sealed handle of the person whom a number stands for.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn find_klout_id(&self, merchant: &MerchantId, id: i64) -> Result<Option<Vec<u8>>, ScoreError> {
        let merchant = merchant.clone();
        Ok(self.database.read(move |conn| store::find(conn, &merchant, id)).await?)
    }

    /// The number that a person has.
    ///
    /// # Errors
    /// [`ScoreError::Database`].
    pub async fn klout_id_of(&self, merchant: &MerchantId, subject: SubjectRefs) -> Result<Option<i64>, ScoreError> {
        let merchant = merchant.clone();
        Ok(self.database.read(move |conn| store::find_id(conn, &merchant, &subject.current)).await?)
    }
}

fn make(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    source: &SourceName,
    new: &NewKloutId,
) -> Result<Option<i64>, DatabaseError> {
    // Held, so that its deletion finds the number.
    let mut has_score = false;
    for reference in new.subject.in_order() {
        has_score |= hold_score(conn, merchant, source, &reference)?;
    }
    if !has_score {
        return Ok(None);
    }
    for id in new.ids {
        store::insert(conn, merchant, id, new)?;
        // Another may have made it meanwhile.
        if let Some(id) = store::find_id(conn, merchant, &new.subject.current)? {
            return Ok(Some(id));
        }
    }
    Ok(None)
}
