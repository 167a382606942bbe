//! A transparency log, without a business word: RFC 6962's Merkle tree and the C2SP notes that sign its heads.
//!
//! - `merkle`: hashes, roots, frontiers and proofs over leaves that are all at hand
//! - `tree`: the same of a long log, through the stored roots of its subtrees
//! - `note`: checkpoints and their signatures

pub mod merkle;
pub mod note;
pub mod tree;
