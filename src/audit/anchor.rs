//! What somebody kept from earlier: a checkpoint, a receipt, or an earlier report of `verify`.

use base64::Engine as _;
use serde::Deserialize;

use crate::ledger::merkle::Hash;
use crate::ledger::note::{Checkpoint, NoteError};

/// A signed head that the history must still lead to, and perhaps a leaf that must stand in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Where it came from, for people: a file's name.
    pub label: String,
    /// The signed note. Its signature is checked when it is held against a history.
    pub note: String,
    /// Index and leaf hash of a receipt.
    pub leaf: Option<(u64, Hash)>,
}

/// Why a text is no anchor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    #[error("it is neither a signed checkpoint nor a receipt: {0}")]
    Form(String),
    #[error("its checkpoint can't be read: {0}")]
    Note(#[from] NoteError),
    #[error("a leaf hash is 64 hexadecimal digits")]
    LeafHash,
}

#[derive(Deserialize)]
struct Receipt {
    index: u64,
    leaf_hash: String,
    checkpoint: String,
}

/// The answer of a check, which holds its receipt.
#[derive(Deserialize)]
struct Answer {
    receipt: Receipt,
}

/// What `verify --json` answered: a checkpoint for each log.
#[derive(Deserialize)]
struct Report {
    logs: Vec<Log>,
}

#[derive(Deserialize)]
struct Log {
    checkpoint: String,
}

impl Anchor {
    /// Reads what was kept: a checkpoint note, a receipt's JSON (alone or inside the answer it came
    /// with), or an earlier report's.
    ///
    /// # Errors
    /// [`AnchorError`]. Whether its signature holds is not asked here.
    pub fn parse(label: &str, text: &str) -> Result<Vec<Self>, AnchorError> {
        let anchors = if text.trim_start().starts_with('{') {
            Self::of_json(label, text)?
        } else {
            vec![Self::of_note(label, text)]
        };
        for anchor in &anchors {
            Checkpoint::unverified(&anchor.note)?;
        }
        Ok(anchors)
    }

    fn of_note(label: &str, note: &str) -> Self {
        Self { label: label.to_owned(), note: note.to_owned(), leaf: None }
    }

    fn of_json(label: &str, text: &str) -> Result<Vec<Self>, AnchorError> {
        if let Ok(report) = serde_json::from_str::<Report>(text) {
            return Ok(report.logs.iter().map(|log| Self::of_note(label, &log.checkpoint)).collect());
        }
        let receipt = match serde_json::from_str::<Answer>(text) {
            Ok(answer) => answer.receipt,
            Err(_) => serde_json::from_str(text).map_err(|e| AnchorError::Form(e.to_string()))?,
        };
        let leaf = parse_hex(&receipt.leaf_hash).ok_or(AnchorError::LeafHash)?;
        Ok(vec![Self { leaf: Some((receipt.index, leaf)), ..Self::of_note(label, &receipt.checkpoint) }])
    }
}

fn parse_hex(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}

/// A root as checkpoints write it.
pub(super) fn root_text(root: &Hash) -> String {
    base64::engine::general_purpose::STANDARD.encode(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: &str =
        "perkgate/log_1\n3\nCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=\n\n\u{2014} perkgate-1 AAAAAAAA\n";

    #[test]
    fn a_note_a_receipt_an_answer_and_a_report_are_anchors() {
        let note = Anchor { label: "kept".into(), note: NOTE.into(), leaf: None };
        assert_eq!(Anchor::parse("kept", NOTE), Ok(vec![note.clone()]));
        let receipt =
            serde_json::json!({"log": "cathay", "index": 2, "leaf_hash": "0a".repeat(32), "checkpoint": NOTE});
        let with_leaf = Anchor { leaf: Some((2, [10; 32])), ..note.clone() };
        assert_eq!(Anchor::parse("kept", &receipt.to_string()), Ok(vec![with_leaf.clone()]));
        let answer = serde_json::json!({"check": "chk_1", "receipt": receipt});
        assert_eq!(Anchor::parse("kept", &answer.to_string()), Ok(vec![with_leaf]));
        let report = serde_json::json!({"ok": true, "logs": [{"name": "a", "checkpoint": NOTE}, {"checkpoint": NOTE}]});
        assert_eq!(Anchor::parse("kept", &report.to_string()), Ok(vec![note.clone(), note]));
    }

    #[test]
    fn what_is_no_anchor_is_refused() {
        assert!(matches!(Anchor::parse("x", ""), Err(AnchorError::Note(_))));
        assert!(matches!(Anchor::parse("x", "hello"), Err(AnchorError::Note(_))));
        assert!(matches!(Anchor::parse("x", "{}"), Err(AnchorError::Form(_))));
        let receipt =
            |hash: &str, note: &str| serde_json::json!({"index": 0, "leaf_hash": hash, "checkpoint": note}).to_string();
        assert_eq!(Anchor::parse("x", &receipt("0a", NOTE)), Err(AnchorError::LeafHash));
        assert_eq!(Anchor::parse("x", &receipt(&"é".repeat(32), NOTE)), Err(AnchorError::LeafHash));
        assert!(matches!(Anchor::parse("x", &receipt(&"0a".repeat(32), "no note")), Err(AnchorError::Note(_))));
    }
}
