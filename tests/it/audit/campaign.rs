//! Random tampering, small: a fixed seed, every kind three times, on every database.

use super::history::History;
use super::random::{Dice, Target};

#[tokio::test(flavor = "multi_thread")]
async fn random_tampering_with_a_database_is_found_and_named() {
    for history in History::all().await {
        let target = Target::new(&history.database, "cathay", history.log_key());
        let done = target.campaign(&mut Dice::new(17), 78);
        assert_eq!(done.values().sum::<usize>(), 78);
        let kinds: Vec<_> = done.keys().copied().collect();
        assert_eq!(kinds, ["deletion", "edit", "insertion", "reordering", "swapped rows", "truncation"]);
    }
}
