//! A comparison in constant memory: whether two streams hold the same records, in any order.

use super::fingerprints::Fingerprints;

/// A record as its event gives it, or as its row does: the same fields in the same order, each with
/// the name that people know it by.
pub(crate) struct RecordedFields<'a, const N: usize> {
    pub fields: [(&'static str, Field<'a>); N],
}

/// The value of one field of a record.
pub(crate) enum Field<'a> {
    Text(&'a [u8]),
    Made(String),
    Number([u8; 8]),
}

impl Field<'_> {
    const fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(bytes) => bytes,
            Self::Made(text) => text.as_bytes(),
            Self::Number(bytes) => bytes,
        }
    }
}

impl<const N: usize> RecordedFields<'_, N> {
    pub(crate) fn add_to(&self, tally: &mut Tally) {
        tally.add(&self.fields.each_ref().map(|(_, field)| field.bytes()));
    }

    pub(crate) fn compare(&self, other: &RecordedFields<'_, N>) -> Likeness {
        let differing = self.fields.iter().zip(&other.fields).find(|((_, a), (_, b))| a.bytes() != b.bytes());
        differing.map_or(Likeness::Same, |((name, _), _)| Likeness::Differs(name))
    }
}

/// The comparison of two accounts of the same record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Likeness {
    Same,
    /// The first field that differs.
    Differs(&'static str),
}

/// A text as a field.
pub(crate) fn text<T: AsRef<[u8]> + ?Sized>(text: &T) -> Field<'_> {
    Field::Text(text.as_ref())
}

/// A number as a field.
pub(crate) const fn number(number: i64) -> Field<'static> {
    Field::Number(number.to_be_bytes())
}

/// The sum of half a fingerprint of each record: two tallies by the same fingerprints are equal when the same records
/// were added as often, and by accident with a probability of 2⁻⁶⁴. Nobody could choose records whose
/// fingerprints sum up alike: see [`Fingerprints`].
#[derive(Clone)]
pub(crate) struct Tally {
    fingerprints: Fingerprints,
    count: u64,
    sum: u128,
}

impl Tally {
    /// An empty one. Tallies that are to be compared need the same fingerprints.
    pub(crate) const fn new(fingerprints: Fingerprints) -> Self {
        Self { fingerprints, count: 0, sum: 0 }
    }

    /// Adds a record, given as its fields.
    pub(crate) fn add(&mut self, fields: &[&[u8]]) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(self.fingerprints.half_of(fields).into());
    }

    /// Number of records that were added.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// Tells whether the same records were added to both.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        (self.count, self.sum) == (other.count, other.sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(records: &[&[&[u8]]]) -> Tally {
        let mut tally = Tally::new(Fingerprints::default());
        for fields in records {
            tally.add(fields);
        }
        tally
    }

    #[test]
    fn the_order_does_not_matter_and_everything_else_does() {
        let all = tally(&[&[b"a", b"1"], &[b"b", b"2"], &[b"b", b"2"]]);
        assert!(all.agrees(&tally(&[&[b"b", b"2"], &[b"a", b"1"], &[b"b", b"2"]])));
        for other in [
            tally(&[&[b"a", b"1"], &[b"b", b"2"]]),
            tally(&[&[b"a", b"1"], &[b"a", b"1"], &[b"b", b"2"]]),
            tally(&[&[b"a", b"1"], &[b"b", b"2"], &[b"b", b"3"]]),
            tally(&[&[b"a1", b""], &[b"b", b"2"], &[b"b", b"2"]]),
        ] {
            assert!(!all.agrees(&other));
        }
        assert_eq!(all.count(), 3);
    }
}
