//! The things about a person that caches keep: under which key, in which bytes, and how a look-up is counted.

use std::fmt;
use std::hash::Hash;

use crate::foundation::subject::SubjectRef;

/// A key that something about a person is cached under. It names nobody.
pub trait CachedKey: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static {
    /// The thing that is kept under it.
    type Value: Clone + PartialEq + fmt::Debug + Send + Sync + 'static;

    fn subject(&self) -> &SubjectRef;

    /// The key in Redis: no other kind of key makes the same.
    fn name(&self) -> String;

    /// The bytes that a value's tag is over, before those of the value: no other key, of whatever kind, and no other
    /// value give the same together.
    fn authenticated(&self) -> Vec<u8>;

    /// Writes a value as it lies in Redis.
    fn encode(value: &Self::Value, into: &mut Vec<u8>);

    /// Reads what [`CachedKey::encode`] wrote, whose tag was verified.
    fn decode(bytes: &[u8]) -> Option<Self::Value>;

    /// The room that a value takes in memory, in the places of scores.
    fn weight(_: &Self::Value) -> u32 {
        1
    }

    /// Counts a look-up that `tier` answered.
    fn count(tier: &'static str);

    /// The same on every replica: the reference is a keyed hash, so its bytes are spread already.
    fn stripe(&self) -> u16 {
        let SubjectRef([first, second, ..]) = self.subject();
        u16::from_be_bytes([*first, *second])
    }
}
