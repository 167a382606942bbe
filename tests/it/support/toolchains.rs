//! Node and Python with what `tests/clients` pins, installed once for each version of its lock files by the machine's
//! own npm and pip, under `target/tmp`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::services::{find, skip};

/// Where the lock files are, and the programs that use what they pin.
pub(crate) fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// What was installed: `node_modules`, and a virtual environment of Python.
pub(crate) struct Toolchains {
    directory: PathBuf,
}

impl Toolchains {
    /// None when this machine has no Node, npm or Python that is new enough, or when a registry is away; it is said.
    pub(crate) fn installed() -> Option<Self> {
        let node = find("node").and_then(|node| version(Command::new(node).arg("--version")));
        if node.is_none_or(|version| version < (18, 18)) || find("npm").is_none() {
            skip("generated clients", "Node 18.18 or newer with npm");
            return None;
        }
        let python = find("python3").and_then(|python| version(Command::new(python).arg("--version")));
        let has_venv = || Command::new("python3").args(["-c", "import ensurepip, venv"]).output().unwrap();
        if python.is_none_or(|version| version < (3, 10)) || !has_venv().status.success() {
            skip("generated clients", "Python 3.10 or newer with venv");
            return None;
        }
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
        fs::create_dir_all(&directory).unwrap();
        // Held while installing: another test process may want the same.
        let lock = File::create(directory.join("lock")).unwrap();
        lock.lock().unwrap();
        let this = Self { directory };
        let (npm, pip) = std::thread::scope(|scope| {
            let npm = scope.spawn(|| this.install_packages_of_node());
            (this.install_packages_of_python(), npm.join().unwrap())
        });
        for (tool, result) in [("npm", npm), ("pip", pip)] {
            if let Err(error) = result {
                skip("generated clients", &format!("package registry that {tool} can reach ({})", error.trim()));
                return None;
            }
        }
        Some(this)
    }

    /// A program of the Node packages.
    pub(crate) fn node(&self, program: &str, directory: &Path) -> Command {
        let mut command = Command::new(self.directory.join("node_modules/.bin").join(program));
        command.current_dir(directory);
        command
    }

    /// Python with the packages, in a directory of the caller's.
    pub(crate) fn python(&self, directory: &Path) -> Command {
        let mut command = Command::new(self.directory.join("venv/bin/python"));
        command.current_dir(directory).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// `node_modules` as seen from this directory, where programs look for it.
    pub(crate) fn link_node_modules(&self, directory: &Path) {
        std::os::unix::fs::symlink(self.directory.join("node_modules"), directory.join("node_modules")).unwrap();
    }

    fn install_packages_of_node(&self) -> Result<(), String> {
        self.unless_installed("package-lock.json", || {
            fs::copy(sources().join("package.json"), self.directory.join("package.json")).unwrap();
            let mut npm = Command::new("npm");
            npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]);
            run(npm.current_dir(&self.directory))
        })
    }

    fn install_packages_of_python(&self) -> Result<(), String> {
        self.unless_installed("requirements.txt", || {
            let environment = self.directory.join("venv");
            run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
            let mut pip = Command::new(environment.join("bin/python"));
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"]);
            run(pip.arg(sources().join("requirements.txt")))
        })
    }

    /// Installs what a lock file pins, unless the very same was installed before.
    fn unless_installed(&self, lock_file: &str, install: impl Fn() -> Result<(), String>) -> Result<(), String> {
        let (wanted, mark) = (fs::read(sources().join(lock_file)).unwrap(), self.directory.join(lock_file));
        let done = self.directory.join(format!("{lock_file}.installed"));
        if fs::read(&done).is_ok_and(|installed| installed == wanted) {
            return Ok(());
        }
        let _ = fs::remove_file(&done);
        fs::write(mark, &wanted).unwrap();
        install()?;
        fs::write(done, wanted).unwrap();
        Ok(())
    }
}

/// What went wrong, in the tool's own last words.
fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let words = String::from_utf8_lossy(&output.stderr);
    let last = words.lines().rev().take(3).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("; ");
    if output.status.success() { Ok(()) } else { Err(last) }
}

/// The major and the minor version that a program says it has: of `v20.20.2`, and of `Python 3.11.7`.
fn version(command: &mut Command) -> Option<(u32, u32)> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut numbers = text.trim_start_matches(|c: char| !c.is_ascii_digit()).split('.').map(|part| part.trim().parse());
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}
