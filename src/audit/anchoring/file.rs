//! A file of anchors that is only appended to: whole lines, reported only once they are on disk, none twice.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::line::AnchorLine;
use crate::foundation::unicode::without_bom;

/// The longest line that is taken for an anchor: a note with many witnesses fits.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// Why anchors were not appended.
#[derive(Debug, thiserror::Error)]
pub enum AnchorFileError {
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: std::io::Error },
    #[error("{} is no file of anchors: line {line} is none, so nothing is appended to it", path.display())]
    Foreign { path: PathBuf, line: u64 },
    /// The history was rewritten since.
    #[error("{} holds another root of `{log}` at size {size} than its checkpoint has: run `perkgate audit verify --anchor` with it", path.display())]
    Contradicted { path: PathBuf, log: String, size: u64 },
}

/// The file's record of one log at its largest size.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Last {
    size: u64,
    root: String,
}

/// The file, and how far it has been read.
#[derive(Debug)]
pub struct AnchorFile {
    path: PathBuf,
    last: HashMap<String, Last>,
    read_to: u64,
    lines: u64,
}

impl AnchorFile {
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), last: HashMap::new(), read_to: 0, lines: 0 }
    }

    /// Appends those that the file doesn't have yet, and returns how many once they are on disk.
    /// Blocks. Others may append meanwhile: the file is locked, and what they wrote is read first.
    ///
    /// # Errors
    /// [`AnchorFileError`]. A log that contradicts the file is left out, and reported after the others.
    pub fn append(&mut self, anchors: &[AnchorLine]) -> Result<usize, AnchorFileError> {
        let is_new = !self.path.exists();
        let io = |error| AnchorFileError::Io { path: self.path.clone(), error };
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(&self.path).map_err(io)?;
        // Not waiting: this would keep the process from ending, and is tried again anyway.
        file.try_lock().map_err(|error| io(error.into()))?;
        self.catch_up(&mut file)?;
        let (mut text, mut count, mut contradicted) = (String::new(), 0, None);
        for anchor in anchors {
            let last = self.last.get(&anchor.origin);
            // One that is smaller than the last was read before another process wrote that.
            if last.is_some_and(|last| last.size == anchor.size && last.root != anchor.root) {
                let (log, size) = (anchor.log.clone(), anchor.size);
                contradicted.get_or_insert(AnchorFileError::Contradicted { path: self.path.clone(), log, size });
            } else if last.is_none_or(|last| last.size < anchor.size) {
                text.push_str(&anchor.to_line());
                count += 1;
            }
        }
        if count > 0 {
            self.write(&mut file, &text, is_new)?;
            for anchor in anchors {
                self.note(anchor);
            }
        }
        contradicted.map_or(Ok(count), Err)
    }

    fn write(&mut self, file: &mut File, text: &str, is_new: bool) -> Result<(), AnchorFileError> {
        let io = |error| AnchorFileError::Io { path: self.path.clone(), error };
        if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()) {
            // Half a line would be in the way of the next.
            let _ = file.set_len(self.read_to);
            return Err(io(error));
        }
        if is_new {
            // The name stands in the directory: that must be on disk too.
            let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new("."))).and_then(|directory| directory.sync_all()).map_err(io)?;
        }
        self.read_to += u64::try_from(text.len()).unwrap_or(0);
        self.lines += u64::try_from(text.lines().count()).unwrap_or(0);
        Ok(())
    }

    fn note(&mut self, anchor: &AnchorLine) {
        let AnchorLine { origin, size, root, .. } = anchor;
        let is_newer = self.last.get(origin).is_none_or(|last| last.size < *size);
        if is_newer {
            self.last.insert(origin.clone(), Last { size: *size, root: root.clone() });
        }
    }

    /// Reads what was appended since the last time; all of it when the file was replaced.
    fn catch_up(&mut self, file: &mut File) -> Result<(), AnchorFileError> {
        let path = self.path.clone();
        let io = |error| AnchorFileError::Io { path: path.clone(), error };
        if file.metadata().map_err(io)?.len() < self.read_to {
            *self = Self::new(&path);
        }
        file.seek(SeekFrom::Start(self.read_to)).map_err(io)?;
        let mut reader = BufReader::new(&*file);
        let mut torn = false;
        loop {
            let mut whole = Vec::new();
            let read = reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut whole).map_err(io)?;
            let line = if self.lines == 0 { without_bom(&whole) } else { &whole };
            if read == 0 {
                break;
            }
            if line.last() != Some(&b'\n') {
                torn = true;
                // Only what begins like a line of ours may be cut off: any other file is not ours.
                if !is_begun(line) {
                    return Err(AnchorFileError::Foreign { path, line: self.lines + 1 });
                }
                break;
            }
            let anchor: AnchorLine = serde_json::from_slice(line)
                .map_err(|_| AnchorFileError::Foreign { path: path.clone(), line: self.lines + 1 })?;
            self.note(&anchor);
            self.read_to += u64::try_from(read).unwrap_or(0);
            self.lines += 1;
        }
        if torn {
            // A write that was cut off: it was never reported to be on disk, and is written again.
            tracing::warn!(path = %path.display(), "the anchor file ended in half a line, which is taken away");
            file.set_len(self.read_to).map_err(io)?;
        }
        Ok(())
    }
}

/// Tells whether these bytes are the beginning of a line.
fn is_begun(bytes: &[u8]) -> bool {
    const BEGINNING: &[u8] = b"{\"log\":\"";
    bytes.iter().zip(BEGINNING).all(|(is, wanted)| is == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor(log: &str, size: u64) -> AnchorLine {
        AnchorLine {
            log: log.into(),
            origin: format!("perkgate/log_{log}"),
            size,
            root: format!("root of {size}"),
            checkpoint: "note".into(),
            at: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn no_line_stands_twice_however_many_write_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("anchors");
        let (mut one, mut other) = (AnchorFile::new(&path), AnchorFile::new(&path));
        assert_eq!(one.append(&[anchor("a", 3), anchor("b", 1)]).unwrap(), 2);
        assert_eq!(other.append(&[anchor("a", 3), anchor("b", 2)]).unwrap(), 1);
        assert_eq!(one.append(&[anchor("a", 3), anchor("b", 2)]).unwrap(), 0);
        assert_eq!(one.append(&[]).unwrap(), 0);
        let expected = [anchor("a", 3), anchor("b", 1), anchor("b", 2)].map(|it| it.to_line()).concat();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);

        std::fs::remove_file(&path).unwrap();
        assert_eq!(one.append(&[anchor("a", 3)]).unwrap(), 1, "the file was put away, and begins again");
    }

    #[test]
    fn half_a_line_goes_and_what_is_not_ours_is_retained() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("anchors");
        let whole = anchor("a", 3).to_line();
        std::fs::write(&path, format!("{whole}{}", &whole[..40])).unwrap();
        assert_eq!(AnchorFile::new(&path).append(&[anchor("a", 4)]).unwrap(), 1);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{whole}{}", anchor("a", 4).to_line()));

        for foreign in ["127.0.0.1 localhost", "127.0.0.1 localhost\n", "{\"log\":7}\n", "\n"] {
            std::fs::write(&path, foreign).unwrap();
            let refused = AnchorFile::new(&path).append(&[anchor("a", 4)]);
            assert!(matches!(refused, Err(AnchorFileError::Foreign { line: 1, .. })), "{refused:?}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), foreign);
        }
    }

    #[test]
    fn a_head_that_contradicts_the_file_is_reported_and_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("anchors");
        AnchorFile::new(&path).append(&[anchor("a", 3)]).unwrap();
        let rewritten = AnchorLine { root: "another".into(), ..anchor("a", 3) };
        let refused = AnchorFile::new(&path).append(&[rewritten, anchor("b", 1)]);
        let Err(AnchorFileError::Contradicted { log, size, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!((log.as_str(), size), ("a", 3));
        let read_before = [anchor("a", 2), anchor("b", 1)];
        assert_eq!(AnchorFile::new(&path).append(&read_before).unwrap(), 0, "the other log was not held up");
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, [anchor("a", 3), anchor("b", 1)].map(|it| it.to_line()).concat());
    }
}
