//! A tree of any size seen through the roots of its subtrees: proofs that read little of a long log.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::merkle::{Frontier, Hash, LEVEL, root_of};

/// Number of nodes of one level that are below one of the next.
pub const WIDTH: u64 = 1 << LEVEL;

/// Neighbours on one level: leaves on level 0, on level 1 the roots over 256 leaves each, on level 2
/// those over 65,536, and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nodes {
    pub level: u32,
    pub from: u64,
    pub before: u64,
}

/// A node that had to be there is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("node {nth} of level {level} is missing")]
pub struct Short {
    pub level: u32,
    pub nth: u64,
}

/// The tree of the first `size` leaves. `read` answers with all nodes that it is asked for; it is asked
/// at most twice a level for any proof, for at most 256 nodes each time, and only for whole subtrees.
pub struct Tree<R> {
    size: u64,
    read: R,
    tiles: BTreeMap<(u32, u64), Vec<Hash>>,
}

impl<R> Tree<R> {
    pub const fn new(size: u64, read: R) -> Self {
        Self { size, read, tiles: BTreeMap::new() }
    }
}

impl<E: From<Short>, R: FnMut(Nodes) -> Result<Vec<Hash>, E>> Tree<R> {
    /// The frontier that the tree of the first `size` leaves was appended to with; `size` is not above the tree's.
    ///
    /// # Errors
    /// The errors of reading.
    pub fn frontier(&mut self, size: u64) -> Result<Frontier, E> {
        self.range(0, size)
    }

    /// The path from a leaf to the root, lowest first (RFC 9162 §2.1.3.1); none when there is no such
    /// leaf.
    ///
    /// # Errors
    /// The errors of reading.
    pub fn inclusion_proof(&mut self, index: u64) -> Result<Option<Vec<Hash>>, E> {
        if index >= self.size {
            return Ok(None);
        }
        let (mut from, mut len, mut path) = (0, self.size, Vec::new());
        while len > 1 {
            let left = split_point(len);
            if index < from + left {
                path.push(self.root(from + left, len - left)?);
                len = left;
            } else {
                path.push(self.root(from, left)?);
                from += left;
                len -= left;
            }
        }
        path.reverse();
        Ok(Some(path))
    }

    /// The proof that the first `first` leaves are what a tree of that size held (RFC 9162 §2.1.4.1); none when
    /// there are fewer. Empty for 0 and for all of them.
    ///
    /// # Errors
    /// The errors of reading.
    pub fn consistency_proof(&mut self, first: u64) -> Result<Option<Vec<Hash>>, E> {
        if first > self.size {
            return Ok(None);
        }
        let (mut from, mut len, mut proof) = (0, self.size, Vec::new());
        if first == 0 || first == len {
            return Ok(Some(proof));
        }
        // Until the right half is entered, what is left of the old tree is all of it, whose root the
        // verifier has already.
        let mut is_old_root = true;
        while first != from + len {
            let left = split_point(len);
            if first <= from + left {
                proof.push(self.root(from + left, len - left)?);
                len = left;
            } else {
                proof.push(self.root(from, left)?);
                from += left;
                len -= left;
                is_old_root = false;
            }
        }
        if !is_old_root {
            proof.push(self.root(from, len)?);
        }
        proof.reverse();
        Ok(Some(proof))
    }

    fn root(&mut self, from: u64, len: u64) -> Result<Hash, E> {
        Ok(self.range(from, len)?.root())
    }

    /// The tree over `len` leaves from `from` on, where every larger perfect subtree begins too.
    fn range(&mut self, from: u64, len: u64) -> Result<Frontier, E> {
        let (mut at, mut peaks) = (from, Vec::new());
        for height in (0..u64::BITS).rev().filter(|height| len >> height & 1 == 1) {
            peaks.push(self.perfect(height, at >> height)?);
            at += 1 << height;
        }
        Frontier::from_peaks(len, peaks).map_err(|_| Short { level: 0, nth: from }.into())
    }

    /// The `nth` node of a height of the binary tree: over so many nodes of the level at or below it.
    fn perfect(&mut self, height: u32, nth: u64) -> Result<Hash, E> {
        let (level, above) = (height / LEVEL, height % LEVEL);
        let first = nth << above;
        let begins = first - first % WIDTH;
        let tile = self.tile(level, begins)?;
        let short = Short { level, nth: first };
        let skipped = usize::try_from(first - begins).map_err(|_| short)?;
        Ok(root_of(tile.get(skipped..skipped + (1 << above)).ok_or(short)?))
    }

    /// All nodes of the level, within the tree, that share a parent with the one at `begins`.
    fn tile(&mut self, level: u32, begins: u64) -> Result<&[Hash], E> {
        let Self { size, read, tiles } = self;
        Ok(match tiles.entry((level, begins)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let before = (begins + WIDTH).min(*size >> (LEVEL * level));
                place.insert(read(Nodes { level, from: begins, before })?)
            }
        })
    }
}

/// The largest power of two below `n`, for `n` ≥ 2: where a tree of `n` leaves is split.
const fn split_point(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tlog::merkle::{self, Subtree, leaf_hash, verify_consistency, verify_inclusion};

    fn to(number: impl TryInto<usize, Error: std::fmt::Debug>) -> usize {
        number.try_into().unwrap()
    }

    /// Leaves, and the subtrees that appending them completed.
    struct Stored {
        levels: Vec<Vec<Hash>>,
        roots: Vec<Hash>,
    }

    impl Stored {
        fn of(size: u64) -> Self {
            let (mut frontier, mut levels, mut roots) = (Frontier::default(), vec![Vec::new()], Vec::new());
            roots.push(frontier.root());
            for index in 0..size {
                let leaf = leaf_hash(&index.to_be_bytes());
                levels[0].push(leaf);
                frontier.append_telling(leaf, |Subtree { level, nth, hash }| {
                    let level = to(level);
                    if levels.len() == level {
                        levels.push(Vec::new());
                    }
                    assert_eq!(levels[level].len() as u64, nth, "each is reported once, in its order");
                    levels[level].push(hash);
                });
                roots.push(frontier.root());
            }
            Self { levels, roots }
        }

        fn leaves(&self, size: u64) -> &[Hash] {
            &self.levels[0][..to(size)]
        }

        fn tree(&self, size: u64) -> Tree<impl FnMut(Nodes) -> Result<Vec<Hash>, Short>> {
            Tree::new(size, |Nodes { level, from, before }| {
                let nodes = self.levels.get(to(level)).and_then(|it| it.get(to(from)..to(before)));
                nodes.map(<[Hash]>::to_vec).ok_or(Short { level, nth: from })
            })
        }

        /// Proofs are verified here, and compared with the plain ones where that doesn't take for ever.
        fn check_inclusion(&self, index: u64, size: u64) {
            let proof = self.tree(size).inclusion_proof(index).unwrap().unwrap();
            let root = &self.roots[to(size)];
            assert!(verify_inclusion(&self.levels[0][to(index)], index, size, &proof, root), "{index} of {size}");
            if size < 1000 {
                assert_eq!(Some(proof), merkle::inclusion_proof(self.leaves(size), to(index)));
            }
        }

        fn check_consistency(&self, first: u64, size: u64) {
            let proof = self.tree(size).consistency_proof(first).unwrap().unwrap();
            let (old, new) = (&self.roots[to(first)], &self.roots[to(size)]);
            assert!(verify_consistency(first, old, size, new, &proof), "{first} of {size}");
            if size < 1000 {
                assert_eq!(Some(proof), merkle::consistency_proof(self.leaves(size), to(first)));
            }
        }

        fn check_frontier(&self, at: u64, size: u64) {
            let frontier = self.tree(size).frontier(at).unwrap();
            assert_eq!((frontier.size(), frontier.root()), (at, self.roots[to(at)]), "{at} of {size}");
            let mut grown = frontier;
            self.leaves(size)[to(at)..].iter().take(3).for_each(|leaf| grown.append(*leaf));
            assert_eq!(grown.root(), self.roots[to(grown.size())]);
        }
    }

    #[test]
    fn all_proofs_of_small_trees_are_the_plain_ones() {
        let stored = Stored::of(70);
        for size in 0..=70 {
            for at in 0..size {
                stored.check_inclusion(at, size);
            }
            for at in 0..=size {
                stored.check_consistency(at, size);
                stored.check_frontier(at, size);
            }
            assert_eq!(stored.tree(size).inclusion_proof(size), Ok(None));
            assert_eq!(stored.tree(size).consistency_proof(size + 1), Ok(None));
        }
    }

    #[test]
    fn proofs_hold_on_both_sides_of_every_border() {
        let stored = Stored::of(65_536 + 520);
        let borders = [1, 2, 255, 256, 257, 511, 512, 513, 768, 65_279, 65_280, 65_535, 65_536, 65_537, 65_792, 66_056];
        for size in borders {
            for at in borders.into_iter().chain([size - 1, size / 2, size / 3]).filter(|at| *at <= size) {
                stored.check_consistency(at, size);
                stored.check_frontier(at, size);
                if at < size {
                    stored.check_inclusion(at, size);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_proof_of_any_size_holds(size in 1_u64..3000, at in 0_u64..3000) {
            thread_local!(static STORED: Stored = Stored::of(3000));
            let at = at % size;
            STORED.with(|stored| {
                stored.check_inclusion(at, size);
                stored.check_consistency(at, size);
                stored.check_frontier(at, size);
            });
        }
    }

    #[test]
    fn a_proof_in_a_million_leaves_reads_a_few_hundred_hashes() {
        const SIZE: u64 = 1_000_003;
        let stored = Stored::of(SIZE);
        let root = stored.roots[to(SIZE)];
        for index in [0, 1, 255, 256, 65_535, 65_536, 500_000, 999_936, 1_000_002] {
            let (mut reads, mut hashes) = (0, 0);
            let mut within = stored.tree(SIZE);
            let mut tree = Tree::new(SIZE, |nodes: Nodes| {
                reads += 1;
                hashes += nodes.before - nodes.from;
                assert!(nodes.from < nodes.before && nodes.before - nodes.from <= WIDTH);
                (within.read)(nodes)
            });
            let proof = tree.inclusion_proof(index).unwrap().unwrap();
            assert!(verify_inclusion(&stored.levels[0][to(index)], index, SIZE, &proof, &root), "{index}");
            assert!(proof.len() <= 20 && reads <= 5 && hashes <= 5 * WIDTH, "{reads} reads, {hashes} hashes");

            let (mut reads, mut hashes) = (0, 0);
            let mut tree = Tree::new(SIZE, |nodes: Nodes| {
                reads += 1;
                hashes += nodes.before - nodes.from;
                (within.read)(nodes)
            });
            let proof = tree.consistency_proof(index + 1).unwrap().unwrap();
            assert!(verify_consistency(index + 1, &stored.roots[to(index) + 1], SIZE, &root, &proof));
            assert!(reads <= 5 && hashes <= 5 * WIDTH, "{reads} reads, {hashes} hashes");
        }
    }

    #[test]
    fn a_reader_that_holds_back_is_found_out() {
        let stored = Stored::of(1000);
        for missing in [1, 200] {
            let mut tree = Tree::new(1000, |nodes: Nodes| {
                let mut all = (stored.tree(1000).read)(nodes)?;
                all.truncate(all.len().saturating_sub(missing));
                Ok::<_, Short>(all)
            });
            assert!(tree.frontier(1000).is_err());
        }
    }
}
