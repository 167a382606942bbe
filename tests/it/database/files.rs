//! A SQLite database is one file of its owner's, and says what is wrong with a path that can be none.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

fn perkgate(directory: &Path, umask: &str, line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("umask {umask}; exec \"$0\" {line}"), env!("CARGO_BIN_EXE_perkgate")]);
    command.current_dir(directory).env_clear().stdin(Stdio::null());
    command
}

fn modes(directory: &Path) -> Vec<(String, u32)> {
    let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    let mode = |entry: &std::fs::DirEntry| entry.metadata().unwrap().permissions().mode() & 0o7777;
    let mut all: Vec<_> = entries.map(|entry| (entry.file_name().into_string().unwrap(), mode(&entry))).collect();
    all.sort();
    all
}

const SERVE: &str = "serve --listen 127.0.0.1:0";

#[test]
fn files_are_their_owners_alone_whatever_the_umask_and_a_clean_stop_leaves_one() {
    for umask in ["000", "022", "077", "277"] {
        let directory = tempfile::tempdir().unwrap();
        let mut serve = perkgate(directory.path(), umask, SERVE).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(serve.stderr.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains(": serving ")), "umask {umask}: it does not serve");
        let reading = std::thread::spawn(move || lines.for_each(drop));
        let all = ["perkgate.db", "perkgate.db-shm", "perkgate.db-wal", "perkgate.key"];
        // Beside it, as an operator would: their process is not the last that has it open.
        let made = perkgate(directory.path(), umask, "merchant create cathay --name Cathay").output().unwrap();
        assert!(made.status.success(), "umask {umask}: {}", String::from_utf8_lossy(&made.stderr));
        let expected: Vec<_> = all.iter().map(|name| ((*name).to_owned(), 0o600)).collect();
        assert_eq!(modes(directory.path()), expected, "umask {umask}");

        assert!(Command::new("kill").arg(serve.id().to_string()).status().unwrap().success());
        assert_eq!(serve.wait().unwrap().code(), Some(0));
        reading.join().unwrap();
        let left: Vec<String> = modes(directory.path()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(left, ["perkgate.db", "perkgate.key"], "umask {umask}: all is in the database's file");
    }
}

#[test]
fn a_command_that_writes_leaves_all_of_it_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    for line in ["migrate", "merchant create cathay --name Cathay", "merchant list", "audit verify", "token rotate-key"]
    {
        let done = perkgate(directory.path(), "022", line).output().unwrap();
        assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
        let left: Vec<String> = modes(directory.path()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(left, ["perkgate.db", "perkgate.key"], "{line}");
    }
    // A copy of that file is the database.
    let copy = tempfile::tempdir().unwrap();
    for name in ["perkgate.db", "perkgate.key"] {
        std::fs::copy(directory.path().join(name), copy.path().join(name)).unwrap();
    }
    let listed = perkgate(copy.path(), "022", "merchant list").output().unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains("Cathay"));
}

#[test]
fn a_path_that_can_be_no_database_is_told_why() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::create_dir(at("perkgate.db")).unwrap();
    std::fs::write(at("text.db"), "This is no database. ".repeat(100)).unwrap();
    for (url, why, remedy) in [
        ("perkgate.db", "perkgate.db is a directory", "sqlite:perkgate.db/perkgate.db"),
        ("none/at/all/perkgate.db", "the directory none/at/all is not there", "mkdir -p none/at/all"),
        ("text.db/perkgate.db", "text.db is no directory", "--database-url"),
        ("/dev/null", "/dev/null is no regular file", "--database-url"),
        ("text.db", "is a file, but no SQLite database", "--database-url"),
    ] {
        for command in [
            SERVE,
            "migrate",
            "merchant list",
            "merchant create x --name X",
            "audit verify",
            "audit checkpoint",
            "doctor",
            "demo --once --into --listen 127.0.0.1:0",
        ] {
            // A file has a key beside it, or that is what is missing.
            std::fs::write(at("key"), "pIpRqCRXvnZ6Rt7TdcGAmrsHY2ej0JjlQvG2p5vFh2k=").unwrap();
            let line = format!("{command} --database-url sqlite:{url} --master-key-file key");
            let done = perkgate(directory.path(), "022", &line).output().unwrap();
            let told = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
            assert_eq!(done.status.code(), Some(1), "{line}: {told}");
            assert!(told.contains(why) && told.contains(remedy), "{line}: {told}");
        }
    }
    assert_eq!(modes(directory.path()).len(), 3, "nothing was made");
    assert!(std::fs::read_dir(at("perkgate.db")).unwrap().next().is_none());
}
