//! A transparency log, without a business word: RFC 6962's Merkle tree and the C2SP notes that sign its heads.
//!
//! - `merkle`: hashes, roots, frontiers and proofs over leaves that are all in memory
//! - `tree`: the same for a long log, from the stored roots of its subtrees
//! - `note`: checkpoints and their signatures

pub mod merkle;
pub mod note;
pub mod tree;
