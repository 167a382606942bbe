//! What many short records are known by while they are counted: 16 bytes each, and fast to find.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};

/// Marks of texts under a random key. Two lists of texts that differ have the same mark with a
/// probability of 2⁻¹²⁸: whoever wrote them could not know the key, which is made after them and for
/// one run.
#[derive(Clone, Default)]
pub(super) struct Marks(RandomState);

/// A mark for each of what is counted.
pub(super) type Marked<K, V> = HashMap<K, V, BuildHasherDefault<Ready>>;

impl Marks {
    /// The mark of these texts, in this order.
    pub(super) fn of(&self, texts: &[&str]) -> u128 {
        let half = |which: u8| u128::from(self.0.hash_one((which, texts)));
        half(0) << 64 | half(1)
    }
}

/// Marks are as good as random: what a table of them needs is there.
#[derive(Default)]
pub(super) struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64((*byte).into());
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = self.0.rotate_left(5) ^ number;
    }

    fn write_u128(&mut self, mark: u128) {
        #[expect(clippy::cast_possible_truncation, reason = "its lower half is as random as the whole")]
        self.write_u64(mark as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_tells_texts_and_where_one_ends() {
        let marks = Marks::default();
        assert_eq!(marks.of(&["ab", "c"]), marks.of(&["ab", "c"]));
        for other in [&["a", "bc"][..], &["abc"], &["ab", "c", ""], &["c", "ab"], &[]] {
            assert_ne!(marks.of(&["ab", "c"]), marks.of(other), "{other:?}");
        }
        assert_ne!(marks.of(&["ab", "c"]), Marks::default().of(&["ab", "c"]), "another run, another key");
    }

    #[test]
    fn a_table_finds_what_was_put_there() {
        let marks = Marks::default();
        let mut table: Marked<(u128, u128), usize> = Marked::default();
        for nth in 0..1000 {
            table.insert((marks.of(&["a"]), marks.of(&[&nth.to_string()])), nth);
        }
        assert_eq!(table.len(), 1000);
        assert_eq!(table.get(&(marks.of(&["a"]), marks.of(&["7"]))), Some(&7));
    }
}
