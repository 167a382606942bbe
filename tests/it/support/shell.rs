//! The blocks of a document that are meant to be pasted, and a shell that runs them as they stand.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// For what is waited for by looking; a run that takes so long has failed.
const PATIENCE: Duration = Duration::from_mins(2);

/// A fenced block.
pub(crate) struct Block {
    /// Of its first line in the file.
    pub line: usize,
    pub language: String,
    pub text: String,
}

/// The fenced blocks of a document, in its order.
pub(crate) fn blocks(document: &str) -> Vec<Block> {
    let (mut blocks, mut open) = (Vec::new(), None::<Block>);
    for (nth, line) in document.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                open = Some(Block { line: nth + 2, language: language.to_owned(), text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    blocks
}

/// A shell that runs block after block.
pub(crate) struct Shell {
    child: Child,
    lines: Receiver<String>,
    /// All that it said so far.
    pub said: String,
}

impl Shell {
    /// Starts it in an empty directory, with the binary under test as `perkgate`.
    pub(crate) fn start(directory: &Path, environment: &[(&str, &str)]) -> Self {
        let programs = directory.join("programs");
        std::fs::create_dir(&programs).unwrap();
        symlink(env!("CARGO_BIN_EXE_perkgate"), programs.join("perkgate")).unwrap();
        let work = directory.join("work");
        std::fs::create_dir(&work).unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc"]).current_dir(&work).env_clear();
        command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display())).env("TMPDIR", directory);
        // What is logged is no part of what a block shows.
        command.env("PERKGATE_LOG", "error").envs(environment.iter().copied());
        command.stdin(Stdio::piped()).stdout(writer.try_clone().unwrap()).stderr(writer);
        // A group of its own, which ends as a whole.
        let child = command.process_group(0).spawn().expect("bash is there");
        drop(command);
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(reader).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut this = Self { child, lines, said: String::new() };
        this.send("set -euo pipefail");
        this
    }

    /// Hands it something to do.
    pub(crate) fn send(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        // Of a shell that has ended, what it said tells why.
        let _ = writeln!(stdin, "{text}").and_then(|()| stdin.flush());
    }

    /// Runs a block and returns what it said.
    ///
    /// # Errors
    /// What it said, when a command of it failed: the shell ends with that.
    pub(crate) fn run(&mut self, text: &str) -> Result<String, String> {
        const END: &str = "-- end of the block --";
        self.send(&format!("{{\n{text}\n}}\nprintf '\\n%s\\n' '{END}'"));
        self.until(|line| line == END)
    }

    /// What it says before that line.
    ///
    /// # Errors
    /// What it said, when the line never comes.
    pub(crate) fn until(&mut self, is_last: impl Fn(&str) -> bool) -> Result<String, String> {
        let deadline = Instant::now() + PATIENCE;
        let mut said = String::new();
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.said.extend([&line, "\n"]);
            if is_last(&line) {
                return Ok(said);
            }
            said.extend([&line, "\n"]);
        }
        Err(said)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-s", "KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}
