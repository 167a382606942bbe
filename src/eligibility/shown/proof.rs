//! The proof that an event stands in the log.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

use crate::foundation::subject::hex;
use crate::ledger::read::evidence::InclusionProof;

/// The proof that an event stands in the log.
#[derive(Debug, Clone, Serialize)]
pub struct InclusionProofShown {
    pub event: String,
    pub log: String,
    pub index: u64,
    /// In hexadecimal, as in receipts.
    pub leaf_hash: String,
    /// The size of the tree that the path leads to.
    pub size: u64,
    /// Its root, in base64 as checkpoints have it.
    pub root: String,
    /// From the leaf up, each in hexadecimal.
    pub path: Vec<String>,
    /// None when nothing was signed at that size.
    pub checkpoint: Option<String>,
    /// The event's own bytes; none once they are pruned.
    pub body: Option<String>,
}

impl From<InclusionProof> for InclusionProofShown {
    fn from(proof: InclusionProof) -> Self {
        let InclusionProof { event, log, index, leaf_hash, size, root, path, head, body } = proof;
        Self {
            event,
            log,
            index,
            leaf_hash: hex(&leaf_hash),
            size,
            root: BASE64.encode(root),
            path: path.iter().map(|hash| hex(hash)).collect(),
            checkpoint: head.map(|head| head.note),
            body,
        }
    }
}
