//! Fingerprints, by which many short records are known while they are counted: 16 bytes each, and fast to find.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, DefaultHasher, Hasher};

/// Fingerprints of texts under a random key, which is made after the texts and for one run: their writer
/// could not choose any that have the same mark. By accident two have it with a probability of 2⁻¹²⁸.
#[derive(Clone, Default)]
pub(crate) struct Fingerprints {
    key: [u8; 16],
}

/// A mark for each of what is counted.
pub(crate) type ByFingerprint<K, V> = HashMap<K, V, BuildHasherDefault<Ready>>;

/// Fingerprints of what was met.
pub(crate) type MarkedOnly<K> = HashSet<K, BuildHasherDefault<Ready>>;

impl Fingerprints {
    /// `key` is random.
    pub(crate) const fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// The mark of these texts, in this order.
    pub(crate) fn of<T: AsRef<[u8]>>(&self, texts: &[T]) -> u128 {
        let mut hasher = self.read(texts);
        let high = hasher.finish();
        // A byte that no text could stand for: each is behind the eight of its length.
        hasher.write(&[0xFF]);
        u128::from(high) << 64 | u128::from(hasher.finish())
    }

    /// Half a mark: enough where only sums are compared, and none is looked up.
    pub(crate) fn half_of<T: AsRef<[u8]>>(&self, texts: &[T]) -> u64 {
        self.read(texts).finish()
    }

    /// `SipHash` of the key and all texts, each behind its length: `ab, c` is not `a, bc`.
    fn read<T: AsRef<[u8]>>(&self, texts: &[T]) -> DefaultHasher {
        let mut gathered = Gathered { hasher: DefaultHasher::new(), room: [0; 512], len: 0 };
        gathered.add(&self.key);
        for text in texts {
            let text = text.as_ref();
            gathered.add(&text.len().to_le_bytes());
            gathered.add(text);
        }
        gathered.hash()
    }
}

/// Bytes on their way to a hash, which takes many short pieces several times slower than one long one.
struct Gathered {
    hasher: DefaultHasher,
    room: [u8; 512],
    len: usize,
}

impl Gathered {
    fn add(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len());
        if let Some(room) = self.room.get_mut(self.len..end) {
            room.copy_from_slice(bytes);
            self.len = end;
        } else {
            self.flush();
            self.hasher.write(bytes);
        }
    }

    fn flush(&mut self) {
        self.hasher.write(self.room.get(..self.len).unwrap_or_default());
        self.len = 0;
    }

    fn hash(mut self) -> DefaultHasher {
        self.flush();
        self.hasher
    }
}

/// Fingerprints are as good as random: what a table of them needs is there.
#[derive(Default)]
pub(crate) struct Ready(u64);

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
        let fingerprints = Fingerprints::new([1; 16]);
        assert_eq!(fingerprints.of(&["ab", "c"]), fingerprints.of(&["ab", "c"]));
        for other in [&["a", "bc"][..], &["abc"], &["ab", "c", ""], &["c", "ab"], &[]] {
            assert_ne!(fingerprints.of(&["ab", "c"]), fingerprints.of(other), "{other:?}");
        }
        let long = "x".repeat(600);
        assert_ne!(fingerprints.of(&["a", &*long, "b"]), fingerprints.of(&["a", &long, "c"]), "more than is gathered");
        let other = Fingerprints::new([3; 16]);
        assert_ne!(fingerprints.of(&["ab", "c"]), other.of(&["ab", "c"]), "another run, another key");
        let mark = fingerprints.of(&["ab"]);
        assert_ne!(mark >> 64, mark & u128::from(u64::MAX), "its halves are two marks");
    }

    #[test]
    fn a_table_finds_what_was_put_there() {
        let fingerprints = Fingerprints::default();
        let mut table: ByFingerprint<(u128, u128), usize> = ByFingerprint::default();
        for nth in 0..1000 {
            table.insert((fingerprints.of(&["a"]), fingerprints.of(&[&nth.to_string()])), nth);
        }
        assert_eq!(table.len(), 1000);
        assert_eq!(table.get(&(fingerprints.of(&["a"]), fingerprints.of(&["7"]))), Some(&7));
    }
}
