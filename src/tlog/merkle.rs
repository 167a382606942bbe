//! The Merkle tree of RFC 6962 §2.1 (= RFC 9162 §2.1) over SHA-256: roots, a compact frontier to
//! append to, inclusion and consistency proofs and their verification.

use aws_lc_rs::digest;

/// A node of the tree: 32 bytes of SHA-256.
pub type Hash = [u8; 32];

/// Keeps a leaf from passing for a node, and the other way round (second preimages).
const LEAF: u8 = 0x00;
const NODE: u8 = 0x01;

/// Room for a leaf of the usual length.
const ROOM: usize = 2048;

/// The hash of a leaf: SHA-256(0x00 ‖ bytes).
#[must_use]
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    // In one piece where it can be: a digest in steps is an allocation and a copy of its own.
    let mut leaf = [LEAF; ROOM];
    if let Some(room) = leaf.get_mut(1..=bytes.len()) {
        room.copy_from_slice(bytes);
    }
    leaf.get(..=bytes.len()).map_or_else(|| sha256(&[&[LEAF], bytes]), digest_of)
}

/// A subtree of level `n` has 256^n leaves: `n` times this many levels of the binary tree.
pub const LEVEL: u32 = 8;

/// The root of a whole subtree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subtree {
    /// 1 for 256 leaves, 2 for 65,536, and so on.
    pub level: u32,
    /// Which of its level, from 0.
    pub nth: u64,
    pub hash: Hash,
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut node = [NODE; 65];
    let (_, children) = node.split_at_mut(1);
    let (first, second) = children.split_at_mut(32);
    first.copy_from_slice(left);
    second.copy_from_slice(right);
    digest_of(&node)
}

/// The root of the tree without leaves: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    digest_of(&[])
}

fn digest_of(whole: &[u8]) -> Hash {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, whole).as_ref());
    out
}

fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// The part of a tree that must be known to append to it: its size, and the roots of the perfect subtrees
/// it falls into, the largest first (one for every bit that is set in the size).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

/// Stored bytes that are no frontier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frontier is a size and one hash for every bit that is set in it")]
pub struct FrontierError;

impl Frontier {
    /// Number of leaves that the tree has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds the next leaf, by its [`leaf_hash`]. The leaf's index is the size before.
    pub fn append(&mut self, leaf: Hash) {
        self.append_telling(leaf, |_| {});
    }

    /// The same, and tells which subtrees are whole with it, the smallest first.
    pub fn append_telling(&mut self, leaf: Hash, mut whole: impl FnMut(Subtree)) {
        let mut node = leaf;
        // Each trailing 1 of the size is a perfect subtree of the same height as `node` is now.
        for below in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = node_hash(&left, &node);
            }
            let height = below + 1;
            if height % LEVEL == 0 {
                whole(Subtree { level: height / LEVEL, nth: self.size >> height, hash: node });
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut from_right = self.peaks.iter().rev();
        let Some(smallest) = from_right.next() else { return empty_root() };
        from_right.fold(*smallest, |right, left| node_hash(left, &right))
    }

    /// The frontier of a tree that falls into these perfect subtrees.
    ///
    /// # Errors
    /// [`FrontierError`] when the number of peaks doesn't fit the size.
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Result<Self, FrontierError> {
        if u32::try_from(peaks.len()) != Ok(size.count_ones()) {
            return Err(FrontierError);
        }
        Ok(Self { size, peaks })
    }

    /// The size as 8 bytes, big-endian, then the peaks.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.size.to_be_bytes().to_vec();
        for peak in &self.peaks {
            out.extend_from_slice(peak);
        }
        out
    }

    /// Reads what [`Frontier::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`FrontierError`] when the number of peaks doesn't fit the size.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        let (size, rest) = bytes.split_first_chunk::<8>().ok_or(FrontierError)?;
        let size = u64::from_be_bytes(*size);
        let (peaks, tail) = rest.as_chunks::<32>();
        if tail.is_empty() { Self::from_peaks(size, peaks.to_vec()) } else { Err(FrontierError) }
    }
}

/// The root over these leaf hashes, in their order.
#[must_use]
pub fn root_of(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::default();
    for leaf in leaves {
        frontier.append(*leaf);
    }
    frontier.root()
}

/// The largest power of two below `n`, for `n` ≥ 2: where a tree of `n` leaves is split.
const fn split_point(n: usize) -> usize {
    1 << (n - 1).ilog2()
}

/// The path from a leaf to the root, lowest first (RFC 9162 §2.1.3.1); none when there is no such
/// leaf.
#[must_use]
pub fn inclusion_proof(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    if index >= leaves.len() {
        return None;
    }
    let (mut leaves, mut index, mut path) = (leaves, index, Vec::new());
    while leaves.len() > 1 {
        let (left, right) = leaves.split_at(split_point(leaves.len()));
        if index < left.len() {
            path.push(root_of(right));
            leaves = left;
        } else {
            path.push(root_of(left));
            index -= left.len();
            leaves = right;
        }
    }
    path.reverse();
    Some(path)
}

/// Tells whether `leaf` stands at `index` in the tree of `size` leaves with this root (RFC 9162
/// §2.1.3.2).
#[must_use]
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            // A node without a sibling was carried up unchanged: skip the levels it was carried.
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// The proof that the first `first` of these leaves are what a tree of that size held (RFC 9162 §2.1.4.1);
/// none when there are fewer. Empty for 0 and for all of them.
#[must_use]
pub fn consistency_proof(leaves: &[Hash], first: usize) -> Option<Vec<Hash>> {
    if first > leaves.len() {
        return None;
    }
    let (mut leaves, mut first, mut proof) = (leaves, first, Vec::new());
    if first == 0 || first == leaves.len() {
        return Some(proof);
    }
    // Whether `leaves` is the whole old tree's own subtree, whose root the verifier has already.
    let mut is_old_root = true;
    while first != leaves.len() {
        let (left, right) = leaves.split_at(split_point(leaves.len()));
        if first <= left.len() {
            proof.push(root_of(right));
            leaves = left;
        } else {
            proof.push(root_of(left));
            first -= left.len();
            leaves = right;
            is_old_root = false;
        }
    }
    if !is_old_root {
        proof.push(root_of(leaves));
    }
    proof.reverse();
    Some(proof)
}

/// Tells whether the tree of `second` leaves only appended to the tree of `first` (RFC 9162 §2.1.4.2).
/// Everything appends to the empty tree.
#[must_use]
pub fn verify_consistency(first: u64, first_root: &Hash, second: u64, second_root: &Hash, proof: &[Hash]) -> bool {
    if first > second {
        return false;
    }
    if first == second {
        return proof.is_empty() && first_root == second_root;
    }
    if first == 0 {
        return proof.is_empty() && *first_root == empty_root();
    }
    // A perfect old tree is its own first node, so the proof leaves it out.
    let (seed, rest) = if first.is_power_of_two() {
        (first_root, proof)
    } else {
        let Some((seed, rest)) = proof.split_first() else { return false };
        (seed, rest)
    };
    let (mut at, mut last) = (first - 1, second - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut old, mut new) = (*seed, *seed);
    for node in rest {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old = node_hash(node, &old);
            new = node_hash(node, &new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, node);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && old == *first_root && new == *second_root
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::subject::hex;

    /// More than a power of two on either side of 64.
    const MOST: usize = 70;

    fn leaves(n: usize) -> Vec<Hash> {
        (0..n).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }

    /// RFC 6962 §2.1 as it is written there, to compare with.
    fn naive_root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            more => {
                let mut k = 1;
                while k * 2 < more.len() {
                    k *= 2;
                }
                node_hash(&naive_root(&more[..k]), &naive_root(&more[k..]))
            }
        }
    }

    /// The leaves and roots of certificate-transparency's own tests.
    const KNOWN: [(&[u8], &str); 8] = [
        (b"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (b"\x00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (b"\x10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (b"\x20\x21", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
        (b"\x30\x31", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
        (b"\x40\x41\x42\x43", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
        (b"\x50\x51\x52\x53\x54\x55\x56\x57", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
        (
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ),
    ];

    #[test]
    fn roots_are_those_of_certificate_transparency() {
        let mut frontier = Frontier::default();
        assert_eq!(hex(&frontier.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for (leaf, root) in KNOWN {
            frontier.append(leaf_hash(leaf));
            assert_eq!(hex(&frontier.root()), root);
        }
    }

    #[test]
    fn proofs_are_those_of_certificate_transparency() {
        let all: Vec<_> = KNOWN.iter().map(|(leaf, _)| leaf_hash(leaf)).collect();
        let shown = |proof: Option<Vec<Hash>>| proof.unwrap().iter().map(|h| hex(&h[..4])).collect::<Vec<_>>();
        assert_eq!(shown(inclusion_proof(&all, 0)), ["96a296d2", "5f083f0a", "6b47aaf2"]);
        assert_eq!(shown(inclusion_proof(&all, 5)), ["bc1a0643", "ca854ea1", "d37ee418"]);
        assert_eq!(shown(inclusion_proof(&all[..3], 2)), ["fac54203"]);
        assert_eq!(shown(consistency_proof(&all, 1)), ["96a296d2", "5f083f0a", "6b47aaf2"]);
        assert_eq!(shown(consistency_proof(&all, 6)), ["0ebc5d34", "ca854ea1", "d37ee418"]);
        assert_eq!(shown(consistency_proof(&all[..5], 2)), ["5f083f0a", "bc1a0643"]);
    }

    #[test]
    fn a_frontier_has_the_root_of_its_leaves_and_survives_storage() {
        let all = leaves(MOST);
        let mut frontier = Frontier::default();
        for n in 0..=MOST {
            assert_eq!(frontier.size(), n as u64);
            assert_eq!(frontier.root(), naive_root(&all[..n]), "{n}");
            assert_eq!(root_of(&all[..n]), frontier.root());
            frontier = Frontier::from_bytes(&frontier.to_bytes()).unwrap();
            if n < MOST {
                frontier.append(all[n]);
            }
        }
    }

    #[test]
    fn a_frontier_of_another_length_is_refused() {
        let mut frontier = Frontier::default();
        (0..5).for_each(|_| frontier.append([7; 32]));
        let bytes = frontier.to_bytes();
        for cut in 0..bytes.len() {
            assert!(Frontier::from_bytes(&bytes[..cut]).is_err(), "{cut}");
        }
        let mut longer = bytes.clone();
        longer.extend([0; 32]);
        assert!(Frontier::from_bytes(&longer).is_err());
        let mut other_size = bytes;
        other_size[7] = 7;
        assert!(Frontier::from_bytes(&other_size).is_err());
    }

    #[test]
    fn every_leaf_of_every_tree_is_proved_and_nothing_else_is() {
        let all = leaves(MOST);
        let other = leaf_hash(b"another");
        for n in 1..=MOST {
            let root = root_of(&all[..n]);
            for index in 0..n {
                let proof = inclusion_proof(&all[..n], index).unwrap();
                let holds = |leaf: &Hash, i: usize, size: usize, proof: &[Hash], root: &Hash| {
                    verify_inclusion(leaf, i as u64, size as u64, proof, root)
                };
                assert!(holds(&all[index], index, n, &proof, &root), "{index} of {n}");
                assert!(!holds(&other, index, n, &proof, &root));
                assert!(!holds(&all[index], index, n, &proof, &other));
                for wrong in (0..n).filter(|wrong| *wrong != index) {
                    assert!(!holds(&all[index], wrong, n, &proof, &root), "{index} at {wrong} of {n}");
                }
                for cut in 0..proof.len() {
                    assert!(!holds(&all[index], index, n, &proof[..cut], &root));
                    let mut bent = proof.clone();
                    bent[cut][0] ^= 1;
                    assert!(!holds(&all[index], index, n, &bent, &root));
                }
                let mut longer = proof;
                longer.push(other);
                assert!(!holds(&all[index], index, n, &longer, &root));
            }
            assert_eq!(inclusion_proof(&all[..n], n), None);
            assert!(!verify_inclusion(&all[0], n as u64, n as u64, &[], &root));
        }
        assert!(!verify_inclusion(&other, 0, 0, &[], &empty_root()));
    }

    #[test]
    fn every_older_tree_is_consistent_and_a_rewritten_one_is_not() {
        let all = leaves(MOST);
        for n in 0..=MOST {
            let new = root_of(&all[..n]);
            for m in 0..=n {
                let old = root_of(&all[..m]);
                let proof = consistency_proof(&all[..n], m).unwrap();
                let holds = |m: usize, old: &Hash, n: usize, new: &Hash, proof: &[Hash]| {
                    verify_consistency(m as u64, old, n as u64, new, proof)
                };
                assert!(holds(m, &old, n, &new, &proof), "{m} of {n}");
                if m > 0 {
                    let mut rewritten = all[..m].to_vec();
                    rewritten[m / 2] = leaf_hash(b"another");
                    assert!(!holds(m, &root_of(&rewritten), n, &new, &proof), "{m} of {n}");
                    assert!(!holds(m, &old, n, &leaf_hash(b"another"), &proof));
                }
                for cut in 0..proof.len() {
                    assert!(!holds(m, &old, n, &new, &proof[..cut]), "{m} of {n}, cut at {cut}");
                    let mut bent = proof.clone();
                    bent[cut][31] ^= 0x80;
                    assert!(!holds(m, &old, n, &new, &bent), "{m} of {n}, bent at {cut}");
                }
                let mut longer = proof.clone();
                longer.push([0; 32]);
                assert!(!holds(m, &old, n, &new, &longer), "{m} of {n}");
                assert!(m == n || !holds(n, &new, m, &old, &proof), "backwards");
            }
            assert_eq!(consistency_proof(&all[..n], n + 1), None);
        }
    }
}
