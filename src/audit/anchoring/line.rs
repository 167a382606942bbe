//! An anchor as it is kept outside: one JSON object a line.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::audit::anchor::root_text;
use crate::tlog::note::Checkpoint;

/// A log's signed head at some moment. `audit verify --anchor` takes a file of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnchorLine {
    /// The log's name: a merchant's slug, or `operator`.
    pub log: String,
    pub origin: String,
    pub size: u64,
    /// Base64, as in the checkpoint.
    pub root: String,
    /// The signed note.
    pub checkpoint: String,
    /// When it was anchored.
    pub at: Timestamp,
}

impl AnchorLine {
    /// The anchor of a head that was just read; none when it holds no checkpoint, or when that can't be read.
    #[must_use]
    pub fn of(log: &str, note: &str, at: Timestamp) -> Option<Self> {
        let Checkpoint { origin, size, root } = Checkpoint::unverified(note).ok()?;
        let (log, checkpoint) = (log.to_owned(), note.to_owned());
        Some(Self { log, origin, size, root: root_text(&root), checkpoint, at })
    }

    /// The line with its newline.
    #[must_use]
    pub fn to_line(&self) -> String {
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }
}
