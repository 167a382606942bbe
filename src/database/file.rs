//! A SQLite database as the files that it is: made for their owner alone, explained where they can't be used,
//! and distinguished from others at the same path.
//!
//! Nothing here opens a file that may be in use. POSIX takes all of a process's locks off a file as soon as the
//! process closes any descriptor of it, SQLite's locks among them (sqlite.org/howtocorrupt.html, 2.2); so files
//! are distinguished by `stat` alone, by device and inode.

use std::fs::{Metadata, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::mismatch::Mismatch;

/// Readable and writable by the owner only. SQLite gives the write-ahead log and the shared memory the mode
/// of the database.
const PRIVATE: u32 = 0o600;

/// The longest chain of links that is followed to where a new database goes.
const MAX_LINKS: usize = 16;

/// Why a path can't be used as a database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    #[error("{} is a directory, and a SQLite database is a file", .0.display())]
    Directory(PathBuf),
    #[error("{} is no regular file", .0.display())]
    Special(PathBuf),
    #[error("the directory {} is not there", .0.display())]
    NoDirectory(PathBuf),
    #[error("{} is no directory", .0.display())]
    NotADirectory(PathBuf),
    #[error("{} is a file, but no SQLite database", .0.display())]
    Foreign(PathBuf),
    #[error("the database {} can be read, but not written", .0.display())]
    ReadOnly(PathBuf),
    #[error("the database {} can't be used: {why}", path.display())]
    Denied { path: PathBuf, why: String },
}

impl FileFault {
    /// The way to fix it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Directory(path) => {
                format!("name a file in it: --database-url 'sqlite:{}'", path.join("perkgate.db").display())
            }
            Self::Special(_) | Self::Foreign(_) => {
                "--database-url with the path of the gateway's database, or of one that is not there yet".to_owned()
            }
            Self::NoDirectory(path) => format!("mkdir -p {}", path.display()),
            Self::NotADirectory(_) => "--database-url with a path whose directory is one".to_owned(),
            Self::ReadOnly(path) => format!(
                "let this process write {0} and make files beside it ({0}-wal and {0}-shm), on a file system that is not read-only",
                path.display()
            ),
            Self::Denied { path, .. } => format!(
                "let this process read and write {0}, search its directory and make files there ({0}-wal and {0}-shm)",
                path.display()
            ),
        }
    }
}

/// Looks whether there can be a database at `path`, without opening or making anything.
///
/// # Errors
/// [`FileFault`].
pub(super) fn check(path: &Path) -> Result<(), FileFault> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(FileFault::Directory(path.to_owned())),
        Ok(found) if !found.is_file() => Err(FileFault::Special(path.to_owned())),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => check_directory(directory_of(&led_to(path))),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            Err(FileFault::NotADirectory(directory_of(path).to_owned()))
        }
        Err(error) => Err(denied(path, &error)),
    }
}

fn check_directory(directory: &Path) -> Result<(), FileFault> {
    match std::fs::metadata(directory) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(FileFault::NotADirectory(directory.to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(FileFault::NoDirectory(directory.to_owned())),
        Err(error) => Err(denied(directory, &error)),
    }
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Where a chain of links leads, though nothing is there yet.
fn led_to(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match std::fs::read_link(&path) {
            Ok(target) => path = directory_of(&path).join(target),
            Err(_) => break,
        }
    }
    path
}

fn denied(path: &Path, why: &dyn std::fmt::Display) -> FileFault {
    FileFault::Denied { path: path.to_owned(), why: why.to_string() }
}

/// Makes the file when it is not there, readable by its owner only from the first moment, whatever the umask.
///
/// # Errors
/// [`FileFault`].
pub(super) fn prepare(path: &Path) -> Result<(), FileFault> {
    /// A gate that everyone who opens a database passes first. So nobody in this process has it open, and a lock on
    /// it, while the descriptor that makes it is closed.
    static MAKING: Mutex<()> = Mutex::new(());
    check(path)?;
    let _alone = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if path.exists() {
        return Ok(());
    }
    let made = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(led_to(path));
    match made.and_then(|file| file.set_permissions(Permissions::from_mode(PRIVATE))) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(denied(path, &error)),
    }
}

/// SQLite's error about the file at `path` in words that lead somewhere; `None` when it is about something else.
pub(super) fn explain(path: &Path, message: &str) -> Option<FileFault> {
    if let Err(fault) = check(path) {
        return Some(fault);
    }
    let says = |words: &str| message.to_ascii_lowercase().contains(words);
    if says("not a database") {
        Some(FileFault::Foreign(path.to_owned()))
    } else if says("readonly") || says("read-only") {
        Some(FileFault::ReadOnly(path.to_owned()))
    } else if says("unable to open") || says("permission") || says("authorization") {
        Some(denied(path, &message))
    } else {
        None
    }
}

/// The mode in which SQLite opens a database for writing: never making a file. A pool that made one in the place of a
/// file that was deleted would go on with an empty database.
pub(super) const READ_WRITE: &str = "mode=rw";

/// The path as SQLite's URIs have it, which keep it as it is, and how to open it: [`READ_WRITE`], `mode=ro`, …
pub(super) fn uri(path: &str, how: &str) -> String {
    use std::fmt::Write as _;
    let mut uri = "file:".to_owned();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri.push('?');
    uri.push_str(how);
    uri
}

/// Which file it is, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(found: &Metadata) -> Self {
        Self { device: found.dev(), inode: found.ino() }
    }
}

/// When the database file was last written, and how long it is: a checkpoint of the write-ahead log changes it, and so
/// does someone who writes over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    seconds: i64,
    nanoseconds: i64,
    bytes: u64,
}

/// The files of a database that is in use.
#[derive(Debug)]
pub(super) struct Files {
    /// As it was named, from the root: through links.
    named: PathBuf,
    /// Where it is: SQLite keeps its other files beside that.
    real: PathBuf,
    database: Identity,
    /// The write-ahead log and the shared memory, from when they were first seen. They stay the same for as long as a
    /// connection is open, which the holder of this keeps.
    beside: [(PathBuf, Mutex<Option<Identity>>); 2],
}

impl Files {
    /// Those of the database at an absolute path.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn of(named: &Path) -> std::io::Result<Self> {
        let real = std::fs::canonicalize(named)?;
        let beside = |suffix: &str| {
            let mut path = real.clone().into_os_string();
            path.push(suffix);
            (PathBuf::from(path), Mutex::new(None))
        };
        let beside = [beside("-wal"), beside("-shm")];
        let database = Identity::of(&std::fs::metadata(&real)?);
        Ok(Self { named: named.to_owned(), real, database, beside })
    }

    /// Checks that the files at the path are those that were opened, and returns when the database was last written.
    ///
    /// # Errors
    /// [`Mismatch`] when they are others or deleted; `Err(None)` when the system doesn't say.
    pub(super) fn confirm(&self) -> Result<Stamp, Option<Mismatch>> {
        let found = look(&self.named)?;
        let there = if self.real == self.named { Identity::of(&found) } else { Identity::of(&look(&self.real)?) };
        if Identity::of(&found) != self.database || there != self.database {
            return Err(Some(Mismatch::Replaced(self.named.clone())));
        }
        for (path, known) in &self.beside {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            match (*known, look(path)) {
                // A database that is only read may have none.
                (None, Err(Some(Mismatch::Deleted(_)))) => {}
                (None, Ok(found)) => *known = Some(Identity::of(&found)),
                (Some(known), Ok(found)) if known == Identity::of(&found) => {}
                (Some(_), Ok(_)) => return Err(Some(Mismatch::Replaced(path.clone()))),
                (_, Err(mismatch)) => return Err(mismatch),
            }
        }
        Ok(Stamp { seconds: found.mtime(), nanoseconds: found.mtime_nsec(), bytes: found.len() })
    }
}

fn look(path: &Path) -> Result<Metadata, Option<Mismatch>> {
    std::fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Some(Mismatch::Deleted(path.to_owned())),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_written_as_a_uri() {
        assert_eq!(
            uri("/var/lib/perk gate/50%?#ü.db", READ_WRITE),
            "file:/var/lib/perk%20gate/50%25%3F%23%C3%BC.db?mode=rw"
        );
    }

    #[test]
    fn a_path_that_can_be_no_database_is_explained() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("file"), "").unwrap();
        assert_eq!(check(directory.path()), Err(FileFault::Directory(directory.path().to_owned())));
        assert_eq!(check(&path("none/perkgate.db")), Err(FileFault::NoDirectory(path("none"))));
        assert_eq!(check(&path("file/perkgate.db")), Err(FileFault::NotADirectory(path("file"))));
        assert_eq!(check(Path::new("/dev/null")), Err(FileFault::Special("/dev/null".into())));
        assert_eq!(check(&path("perkgate.db")), Ok(()));
        std::os::unix::fs::symlink("none/perkgate.db", path("link")).unwrap();
        assert_eq!(check(&path("link")), Err(FileFault::NoDirectory(path("none"))));
    }

    #[test]
    fn a_new_file_is_its_owners_alone_where_the_links_lead() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::os::unix::fs::symlink("second", path("first")).unwrap();
        std::os::unix::fs::symlink("real", path("second")).unwrap();
        prepare(&path("first")).unwrap();
        assert_eq!(std::fs::symlink_metadata(path("real")).unwrap().mode() & 0o7777, 0o600);
        prepare(&path("first")).unwrap();
    }

    #[test]
    fn other_files_at_the_path_are_distinguished_from_those_that_were_opened() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("db"), "1").unwrap();
        let files = Files::of(&path("db")).unwrap();
        let first = files.confirm().unwrap();
        std::fs::write(path("db-wal"), "1").unwrap();
        assert_eq!(files.confirm(), Ok(first));
        std::fs::write(path("db"), "22").unwrap();
        assert_ne!(files.confirm().unwrap(), first, "written over");

        std::fs::remove_file(path("db-wal")).unwrap();
        assert_eq!(files.confirm(), Err(Some(Mismatch::Deleted(path("db-wal")))));
        std::fs::write(path("new"), "1").unwrap();
        std::fs::write(path("db-wal"), "1").unwrap();
        std::fs::rename(path("new"), path("db")).unwrap();
        assert_eq!(files.confirm(), Err(Some(Mismatch::Replaced(path("db")))));
        std::fs::remove_file(path("db")).unwrap();
        assert_eq!(files.confirm(), Err(Some(Mismatch::Deleted(path("db")))));
    }
}
