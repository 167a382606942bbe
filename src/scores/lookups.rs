//! Look-ups in the database, gathered: a query asks for all scores that were missed while the one before it ran.

use std::sync::Arc;

use super::gathering::{Duty, Gathering};
use super::memory::ScoreKey;
use super::score::Score;
use super::store;
use crate::database::{Database, DatabaseError};

/// The most queries at one time: one that takes long must not hold all others up.
const MOST_QUERIES: usize = 2;

type Answer = Result<Option<Score>, DatabaseError>;

/// Look-ups of single scores; cheap to clone.
#[derive(Clone)]
pub(super) struct Lookups {
    database: Database,
    gathering: Arc<Gathering<ScoreKey, Answer>>,
}

impl Lookups {
    pub(super) fn new(database: Database) -> Self {
        Self { database, gathering: Gathering::new(MOST_QUERIES) }
    }

    /// The score that stands in the database when this is asked, or later.
    ///
    /// # Errors
    /// Those of the query, for all whom it asked about.
    pub(super) async fn find(&self, key: &ScoreKey) -> Answer {
        let (answered, duty) = self.gathering.add(key.clone());
        if let Some(duty) = duty {
            let database = self.database.clone();
            drop(tokio::task::spawn_blocking(move || ask_all(&database, duty)));
        }
        answered.await.unwrap_or(Err(DatabaseError::Interrupted))
    }
}

fn ask_all(database: &Database, mut duty: Duty<ScoreKey, Answer>) {
    while let Some(lot) = duty.next_lot() {
        let found = database.read_blocking(|conn| {
            let keys: Vec<&ScoreKey> = lot.iter().map(|question| &question.asked).collect();
            store::find_scores(conn, &keys)
        });
        match found {
            Ok(found) => lot.into_iter().zip(found).for_each(|(question, score)| question.answer(Ok(score))),
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
        let lookups = Lookups::new(Database::connect(&url, 1).unwrap());
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
