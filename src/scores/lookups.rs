//! Look-ups in the database, gathered: a query asks for all that was missed while the one before it ran.

use std::sync::Arc;

use super::gathering::{Duty, Gathering};
use super::kept::CachedKey;
use super::memory::ScoreKey;
use crate::database::{AnyConnection, Database, DatabaseError};

/// The most queries at one time: one that takes long must not hold all others up.
const MOST_QUERIES: usize = 2;

type Answer<K> = Result<Option<<K as CachedKey>::Value>, DatabaseError>;

/// The query for many keys: for each the value that stands, if one does.
type Query<K> = fn(&mut AnyConnection, &[&K]) -> Result<Vec<Option<<K as CachedKey>::Value>>, DatabaseError>;

/// Look-ups of single scores, or of what else is kept under keys `K`; cheap to clone.
#[derive(Clone)]
pub(super) struct Lookups<K: CachedKey = ScoreKey> {
    database: Database,
    query: Query<K>,
    gathering: Arc<Gathering<K, Answer<K>>>,
}

impl<K: CachedKey> Lookups<K> {
    pub(super) fn new(database: Database, query: Query<K>) -> Self {
        Self { database, query, gathering: Gathering::new(MOST_QUERIES) }
    }

    /// The value that stands in the database when this is asked, or later.
    ///
    /// # Errors
    /// Those of the query, for all whom it asked about.
    pub(super) async fn find(&self, key: &K) -> Answer<K> {
        let (answered, duty) = self.gathering.add(key.clone());
        if let Some(duty) = duty {
            let (database, query) = (self.database.clone(), self.query);
            drop(tokio::task::spawn_blocking(move || ask_all(&database, query, duty)));
        }
        answered.await.unwrap_or(Err(DatabaseError::Interrupted))
    }
}

fn ask_all<K: CachedKey>(database: &Database, query: Query<K>, mut duty: Duty<K, Answer<K>>) {
    while let Some(lot) = duty.next_lot() {
        let found = database.read_blocking(|conn| {
            let keys: Vec<&K> = lot.iter().map(|question| &question.asked).collect();
            query(conn, &keys)
        });
        match found {
            Ok(found) => lot.into_iter().zip(found).for_each(|(question, value)| question.answer(Ok(value))),
            Err(error) => lot.into_iter().for_each(|question| question.answer(Err(error.clone()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::foundation::subject::SubjectRef;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_error_of_a_query_reaches_all_whom_it_asked_about() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("perkgate.db").display()).parse().unwrap();
        // There are no tables in it.
        let lookups = Lookups::new(Database::connect(&url, 1).unwrap(), crate::scores::store::find_scores);
        let key = |number| ScoreKey {
            merchant: "mer_018f3c2e7b7a7000800000000000abcd".parse().unwrap(),
            source: "klout".parse().unwrap(),
            subject: SubjectRef([number; 32]),
        };
        let keys: Vec<ScoreKey> = (0..40).map(key).collect();
        // More than there are queries at one time: they share some.
        for answer in join_all(keys.iter().map(|key| lookups.find(key))).await {
            let Err(DatabaseError::Query(why)) = answer else { panic!("{answer:?}") };
            assert!(why.contains("scores"), "{why}");
        }
    }
}
