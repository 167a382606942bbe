//! Anchors on standard output, which may be full, or read by nobody: one writing at a time, on a thread of its own that nothing
//! waits for. What was not written is not anchored, and is tried again.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::os::fd::AsFd as _;
use std::time::Duration;

use tokio::sync::oneshot;

use super::AnchorLine;

/// The longest time a round waits for the reader of standard output.
const PATIENCE: Duration = Duration::from_secs(5);

/// The place, and what is being written to it.
#[derive(Default)]
pub(super) struct StandardOutput {
    /// True if the last thing written may end in half a line.
    torn: bool,
    under_way: Option<(Vec<AnchorLine>, oneshot::Receiver<std::io::Result<()>>)>,
}

impl StandardOutput {
    /// Writes the lines; returns those that are out. While an earlier writing is stuck, only that one is waited for.
    ///
    /// # Errors
    /// When it can't be written, or nobody reads it.
    pub(super) async fn print(&mut self, anchors: Vec<AnchorLine>) -> std::io::Result<Vec<AnchorLine>> {
        let (anchors, mut written) = match self.under_way.take() {
            Some(under_way) => under_way,
            None if anchors.is_empty() => return Ok(anchors),
            None => {
                let written = start(&anchors, self.torn)?;
                (anchors, written)
            }
        };
        let Ok(outcome) = tokio::time::timeout(PATIENCE, &mut written).await else {
            self.under_way = Some((anchors, written));
            return Err(std::io::Error::new(ErrorKind::TimedOut, "nobody reads it"));
        };
        let outcome = outcome.unwrap_or_else(|_| Err(ErrorKind::Interrupted.into()));
        self.torn = outcome.is_err();
        outcome.map(|()| anchors)
    }
}

/// Not through the stream's own lock, which a stuck writer would hold; and not on the runtime's threads, which the end of the
/// process waits for.
fn start(anchors: &[AnchorLine], torn: bool) -> std::io::Result<oneshot::Receiver<std::io::Result<()>>> {
    let mut text = if torn { "\n".to_owned() } else { String::new() };
    text.extend(anchors.iter().map(AnchorLine::to_line));
    let mut stdout = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    let (sender, written) = oneshot::channel();
    std::thread::Builder::new().name("anchors".to_owned()).spawn(move || {
        let _ = sender.send(stdout.write_all(text.as_bytes()));
    })?;
    Ok(written)
}
