//! A record that someone kept from earlier: a checkpoint, a receipt, or an earlier report of `verify`.

use base64::Engine as _;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::foundation::unicode::text_without_bom;
use crate::tlog::merkle::Hash;
use crate::tlog::note::{Checkpoint, NoteError};

/// A signed head that the history must still lead to, and perhaps a leaf that must stand in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Where it came from, for people: a file's name, with the line where there are several.
    pub label: String,
    /// Where it came from, without the line.
    pub file: String,
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

/// The answer of `verify --json`: a checkpoint for each log.
#[derive(Deserialize)]
struct Report {
    logs: Vec<Log>,
}

#[derive(Deserialize)]
struct Log {
    checkpoint: String,
}

/// A line of an anchor file or a webhook, and the answer to a proof: a checkpoint with words around it.
#[derive(Deserialize)]
struct Signed {
    checkpoint: Option<String>,
}

/// The answer of `/v1/audit/checkpoints` or `/v1/audit/consistency`.
#[derive(Deserialize)]
struct Checkpoints {
    checkpoints: Vec<Log>,
}

impl Anchor {
    /// Reads what was kept, any number of them one after another: checkpoint notes, and JSON in any
    /// layout: a receipt (alone or inside the answer it came with), lines of an anchor file, an earlier
    /// report's, answers of the endpoints that show checkpoints.
    ///
    /// # Errors
    /// [`AnchorError`]. Whether its signature holds is not asked here.
    pub fn parse(label: &str, text: &str) -> Result<Vec<Self>, AnchorError> {
        let text = text_without_bom(text);
        let (mut anchors, mut rest, mut places) = (Vec::new(), text, 0);
        loop {
            rest = rest.trim_start();
            // Nothing at all is no note, either.
            if rest.is_empty() && places > 0 {
                break;
            }
            let before = text.get(..text.len() - rest.len()).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let found = if rest.starts_with('{') {
                let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
                let value = values.next().transpose().map_err(|e| AnchorError::Form(e.to_string()))?;
                let (value, length) = (value.map_or("", RawValue::get), values.byte_offset());
                rest = rest.get(length..).unwrap_or_default();
                Self::of_json(label, value)?
            } else {
                let (note, behind) = split_note(rest);
                rest = behind;
                vec![Self::of_note(label, note)]
            };
            places += 1;
            let is_alone = places == 1 && rest.trim().is_empty();
            for mut anchor in found {
                Checkpoint::unverified(&anchor.note)?;
                if !is_alone {
                    // So that a finding says which of many.
                    anchor.label = format!("{label}:{line}");
                }
                anchors.push(anchor);
            }
        }
        Ok(anchors)
    }

    fn of_note(label: &str, note: &str) -> Self {
        Self { label: label.to_owned(), file: label.to_owned(), note: note.to_owned(), leaf: None }
    }

    fn of_json(label: &str, text: &str) -> Result<Vec<Self>, AnchorError> {
        let of_logs = |logs: Vec<Log>| logs.iter().map(|log| Self::of_note(label, &log.checkpoint)).collect();
        if let Ok(report) = serde_json::from_str::<Report>(text) {
            return Ok(of_logs(report.logs));
        }
        if let Ok(answer) = serde_json::from_str::<Checkpoints>(text) {
            return Ok(of_logs(answer.checkpoints));
        }
        let receipt = match serde_json::from_str::<Answer>(text) {
            Ok(answer) => Ok(answer.receipt),
            Err(_) => serde_json::from_str::<Receipt>(text),
        };
        match (receipt, serde_json::from_str::<Signed>(text)) {
            (Ok(receipt), _) => {
                let leaf = parse_hex(&receipt.leaf_hash).ok_or(AnchorError::LeafHash)?;
                Ok(vec![Self { leaf: Some((receipt.index, leaf)), ..Self::of_note(label, &receipt.checkpoint) }])
            }
            (Err(_), Ok(Signed { checkpoint: Some(note) })) => Ok(vec![Self::of_note(label, &note)]),
            (Err(error), _) => Err(AnchorError::Form(error.to_string())),
        }
    }
}

/// The first note of several, and what is behind it: its signature lines end it.
fn split_note(text: &str) -> (&str, &str) {
    let (mut at, mut is_signed) = (0, false);
    for line in text.split_inclusive('\n') {
        let signs = line.starts_with("\u{2014} ");
        if is_signed && !signs {
            break;
        }
        is_signed |= signs;
        at += line.len();
    }
    text.split_at(at)
}

pub(super) fn parse_hex(text: &str) -> Option<Hash> {
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
        let note = Anchor { label: "kept".into(), file: "kept".into(), note: NOTE.into(), leaf: None };
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
    fn many_in_one_file_are_all_read_and_distinguished() {
        let line = |size: u32| {
            let note = NOTE.replace("\n3\n", &format!("\n{size}\n"));
            serde_json::json!({"log": "cathay", "origin": "perkgate/log_1", "size": size, "checkpoint": note})
        };
        let sizes = |text: &str| -> Vec<(String, u64)> {
            let anchors = Anchor::parse("kept", text).unwrap();
            let size = |anchor: Anchor| (anchor.label, Checkpoint::unverified(&anchor.note).unwrap().size);
            anchors.into_iter().map(size).collect()
        };
        let labelled = |label: &str, size: u64| (label.to_owned(), size);
        let lines = format!("{}\n{}\n", line(5), line(9));
        assert_eq!(sizes(&lines), [labelled("kept:1", 5), labelled("kept:2", 9)]);
        assert_eq!(sizes(&line(5).to_string()), [labelled("kept", 5)]);
        let notes = format!("{NOTE}{NOTE}\n{}", NOTE.replace("\n3\n", "\n4\n"));
        assert_eq!(sizes(&notes).iter().map(|(_, size)| *size).collect::<Vec<_>>(), [3, 3, 4]);
        let witnessed = format!("{NOTE}\u{2014} witness AAAAAAAA\n{lines}");
        assert_eq!(sizes(&witnessed).iter().map(|(_, size)| *size).collect::<Vec<_>>(), [3, 5, 9]);
        let answer = serde_json::json!({"checkpoints": [line(7), line(8)], "next_cursor": null});
        assert_eq!(sizes(&answer.to_string()), [labelled("kept", 7), labelled("kept", 8)]);

        let torn = &lines[..lines.len() - 9];
        for bad in [torn, &format!("{lines}hello"), &format!("{lines}{{}}"), &format!("{NOTE}{}", &NOTE[..30])] {
            assert!(Anchor::parse("kept", bad).is_err(), "{bad}");
        }
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
