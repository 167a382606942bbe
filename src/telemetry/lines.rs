//! Lines to a standard stream whose reader may be slow, stuck or closed, or whose disk may be full. A thread of their own writes
//! them, from a queue with bounds: a thread that has a line hands it over and goes on. What doesn't fit or can't be written is lost and
//! counted, and one line says how many when the stream takes lines again.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use super::meters;

/// The most lines that may wait.
const MAX_LINES: usize = 4096;
/// The most bytes that they may have together.
const MAX_BYTES: usize = 4 << 20;
/// Between two attempts to say how many lines were lost, when there is nothing else to write.
const REPORT_EVERY: Duration = Duration::from_millis(500);
/// Until a stream that takes nothing now, because it doesn't block, is tried again.
const FULL_PAUSE: Duration = Duration::from_millis(10);

/// The function that says that lines were lost, and how many.
pub type Report = fn(u64) -> String;

/// The queue's end that takes lines; cheap to clone.
#[derive(Clone)]
pub struct Lines {
    sender: SyncSender<Vec<u8>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The number of bytes of the lines that wait.
    bytes: AtomicUsize,
    /// Lost since it was last said.
    lost: AtomicU64,
    /// Lines that were handed over and are neither written nor lost.
    open: Mutex<usize>,
    settled: Condvar,
}

impl Shared {
    fn lose(&self, lines: u64) {
        self.lost.fetch_add(lines, Ordering::Relaxed);
        meters().log_lines_lost.add([], lines);
    }

    fn change_open(&self, change: impl FnOnce(&mut usize)) -> usize {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut open);
        if *open == 0 {
            self.settled.notify_all();
        }
        *open
    }
}

impl Lines {
    /// Starts the thread that writes to a stream of this process. The stream's own lock is never taken: who holds it while the
    /// stream is stuck would hold up everybody else who writes there.
    ///
    /// # Errors
    /// When the stream or the thread can't be had.
    pub fn to(stream: &impl AsFd, report: Report) -> std::io::Result<Self> {
        let stream = File::from(stream.as_fd().try_clone_to_owned()?);
        Self::into_writer(stream, report)
    }

    fn into_writer(stream: impl Write + Send + 'static, report: Report) -> std::io::Result<Self> {
        let (sender, lines) = sync_channel(MAX_LINES);
        let shared = Arc::new(Shared::default());
        let writer = LineWriter { stream, torn: false, shared: shared.clone(), report };
        std::thread::Builder::new().name("lines".to_owned()).spawn(move || writer.run(&lines))?;
        Ok(Self { sender, shared })
    }

    /// Hands over one line with its newline, or loses it. Never waits.
    pub fn push(&self, line: Vec<u8>) {
        let (shared, length) = (&self.shared, line.len());
        if shared.bytes.fetch_add(length, Ordering::Relaxed).saturating_add(length) > MAX_BYTES {
            shared.bytes.fetch_sub(length, Ordering::Relaxed);
            return shared.lose(1);
        }
        shared.change_open(|open| *open += 1);
        if self.sender.try_send(line).is_err() {
            shared.bytes.fetch_sub(length, Ordering::Relaxed);
            shared.lose(1);
            shared.change_open(|open| *open -= 1);
        }
    }

    /// Waits until all that was handed over is written or lost, for `patience` at most.
    pub fn flush(&self, patience: Duration) {
        let open = self.shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.shared.settled.wait_timeout_while(open, patience, |open| *open > 0);
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lines")
    }
}

/// Gathers what one event writes, and hands it over whole when dropped.
pub struct Line<'a> {
    text: Vec<u8>,
    lines: &'a Lines,
}

impl Write for Line<'_> {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        self.text.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            self.lines.push(std::mem::take(&mut self.text));
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { text: Vec::new(), lines: self }
    }
}

struct LineWriter<W> {
    stream: W,
    /// Half a line stands at the end, from when the disk was full.
    torn: bool,
    shared: Arc<Shared>,
    report: Report,
}

impl<W: Write> LineWriter<W> {
    /// Until nobody can hand over anything any more.
    fn run(mut self, lines: &Receiver<Vec<u8>>) {
        loop {
            let lost = self.shared.lost.load(Ordering::Relaxed);
            let next = if lost == 0 {
                lines.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                lines.recv_timeout(REPORT_EVERY)
            };
            let (well, open) = match next {
                Ok(line) => {
                    let well = self.write(&line).is_ok();
                    if !well {
                        self.shared.lose(1);
                    }
                    self.shared.bytes.fetch_sub(line.len(), Ordering::Relaxed);
                    (well, self.shared.change_open(|open| *open -= 1))
                }
                Err(RecvTimeoutError::Timeout) => (true, 0),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // Not while more wait: they may be lost too, and it is said once.
            if well && open == 0 {
                self.say_what_was_lost();
            }
        }
    }

    fn say_what_was_lost(&mut self) {
        let lost = self.shared.lost.load(Ordering::Relaxed);
        if lost > 0 && self.write((self.report)(lost).as_bytes()).is_ok() {
            self.shared.lost.fetch_sub(lost, Ordering::Relaxed);
        }
    }

    fn write(&mut self, line: &[u8]) -> std::io::Result<()> {
        if self.torn {
            self.write_all(b"\n")?;
            self.torn = false;
        }
        self.write_all(line)
    }

    fn write_all(&mut self, mut rest: &[u8]) -> std::io::Result<()> {
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = rest.get(written..).unwrap_or_default();
                    self.torn = !rest.is_empty();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Another process that shares the stream made it not to block: it is full for now.
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(FULL_PAUSE),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `room` bytes, and no more until it is given more.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(usize, Vec<u8>)>>);

    impl Write for Disk {
        fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
            let mut disk = self.0.lock().unwrap();
            let taken = piece.len().min(disk.0);
            if taken == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            disk.0 -= taken;
            disk.1.extend_from_slice(&piece[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    const PATIENCE: Duration = Duration::from_mins(1);

    #[test]
    fn a_disk_that_was_full_says_how_much_is_missing_and_tears_no_line() {
        let disk = Disk::default();
        disk.0.lock().unwrap().0 = 7;
        let lines = Lines::into_writer(disk.clone(), |lost| format!("{lost} lost\n")).unwrap();
        for line in ["one\n", "two three\n", "four\n"] {
            lines.push(line.as_bytes().to_vec());
        }
        lines.flush(PATIENCE);
        disk.0.lock().unwrap().0 = usize::MAX;
        // The report comes by itself, and again by itself once more lines were lost.
        let text = || String::from_utf8(disk.0.lock().unwrap().1.clone()).unwrap();
        while !text().ends_with("lost\n") {
            std::thread::yield_now();
        }
        assert_eq!(text(), "one\ntwo\n2 lost\n");
        lines.push(b"five\n".to_vec());
        lines.flush(PATIENCE);
        assert_eq!(text(), "one\ntwo\n2 lost\nfive\n");
    }

    #[test]
    fn a_thread_with_too_many_lines_waits_for_nothing() {
        struct Stuck(Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
                let _ = self.0.recv();
                Ok(piece.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let (release, stuck) = std::sync::mpsc::channel();
        let lines = Lines::into_writer(Stuck(stuck), |_| String::new()).unwrap();
        for _ in 0..MAX_LINES + 100 {
            lines.push(b"x\n".to_vec());
        }
        // One is under way, as many as may wait do.
        let lost = lines.shared.lost.load(Ordering::Relaxed);
        assert!((99..=100).contains(&lost), "{lost}");
        lines.push(vec![b'x'; MAX_BYTES]);
        assert_eq!(lines.shared.lost.load(Ordering::Relaxed), lost + 1);
        lines.flush(Duration::from_millis(1));
        drop(release);
        lines.flush(PATIENCE);
    }
}
