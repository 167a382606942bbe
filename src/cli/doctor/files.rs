//! Checks that files that hold secrets are kept from others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Finding;
use crate::database::DatabaseUrl;
use crate::settings::{Origin, Settings, master_key};

const CHECK: &str = "secrets";

pub(super) fn secrets(settings: &Settings) -> Finding {
    let open: BTreeMap<PathBuf, Vec<&'static str>> =
        files(settings).into_iter().filter(|(path, _)| others_may(path)).collect();
    if open.is_empty() {
        return Finding::ok(CHECK, "no file that holds one is open to others");
    }
    let each = open.iter().map(|(path, what)| format!("{} ({})", path.display(), what.join(", ")));
    let paths: Vec<String> = open.keys().map(|path| path.display().to_string()).collect();
    Finding::warning(
        CHECK,
        format!("every account of this machine can use {}", each.collect::<Vec<_>>().join(", ")),
        format!("chmod 600 {}, and see that it belongs to the account that serves", paths.join(" ")),
    )
}

/// The files that hold secrets, with which.
fn files(settings: &Settings) -> BTreeMap<PathBuf, Vec<&'static str>> {
    let mut files: BTreeMap<PathBuf, Vec<&'static str>> = BTreeMap::new();
    let mut holds = |path: &Path, what: &'static str| files.entry(path.to_owned()).or_default().push(what);
    for (setting, origin) in &settings.origins {
        match origin {
            Origin::File { path, .. } | Origin::Toml(path) if settings.holds_secret(setting) => {
                holds(path, setting.name);
            }
            _ => {}
        }
    }
    if let (None, DatabaseUrl::Sqlite(database)) = (&settings.storage.master_key, &settings.storage.database_url) {
        holds(&master_key::path_beside(Path::new(database)), "master_key");
    }
    files
}

#[cfg(unix)]
fn others_may(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    // Not the group: giving it a file is a way of handing out a secret.
    std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o007 != 0)
}

#[cfg(not(unix))]
const fn others_may(_: &Path) -> bool {
    false
}
