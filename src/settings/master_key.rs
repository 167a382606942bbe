//! Which master key is in force: the one that was given, or the file beside a SQLite database.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};

use super::Settings;
use crate::database::DatabaseUrl;
use crate::foundation::entropy::Entropy;
use crate::foundation::unicode::text_without_bom;

/// Why there is no master key to use.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeySourceError {
    /// PostgreSQL is shared by replicas, so a key made here would be nobody else's.
    #[error("PostgreSQL needs a master key, and none was given")]
    Required,
    /// A new key could not open what the old one closed.
    #[error("the database exists, but its master key {} does not", path.display())]
    Lost { path: PathBuf },
    #[error("the master key {} can't be read: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("the master key {} can't be made: {reason}", path.display())]
    Unwritable { path: PathBuf, reason: String },
    #[error("the master key {} is wrong: {reason}", path.display())]
    Wrong { path: PathBuf, reason: &'static str },
}

impl MasterKeySourceError {
    /// The way to fix it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Required => {
                "make one with `perkgate key master`, keep it safe, and give it as --master-key-file PATH, PERKGATE_MASTER_KEY_FILE=PATH or PERKGATE_MASTER_KEY".to_owned()
            }
            Self::Lost { path } => format!(
                "put the key back at {} or give it as PERKGATE_MASTER_KEY_FILE; without it the keys in the database are lost, and only a new database can start",
                path.display()
            ),
            Self::Unreadable { path, .. } => format!("let this process read {}", path.display()),
            Self::Unwritable { path, .. } => {
                format!("let this process write beside {}, or give PERKGATE_MASTER_KEY_FILE", path.display())
            }
            Self::Wrong { path, .. } => {
                format!("put the key that was made with the database back at {}", path.display())
            }
        }
    }
}

/// The key file beside a SQLite database: `perkgate.key` beside `perkgate.db`.
#[must_use]
pub fn path_beside(database: &Path) -> PathBuf {
    database.with_extension("key")
}

/// A fresh master key: 32 random bytes in base64.
#[must_use]
pub fn fresh(entropy: &Entropy) -> SecretString {
    SecretString::from(STANDARD.encode(entropy.bytes::<32>()))
}

/// Base64 of exactly 32 bytes. The words of the error never repeat it.
pub(super) fn parse(text: &str) -> Result<SecretString, &'static str> {
    match STANDARD.decode(text) {
        Ok(bytes) if bytes.len() == 32 => Ok(SecretString::from(text)),
        Ok(_) => Err("it must be exactly 32 bytes in base64"),
        Err(_) => Err("it is no base64"),
    }
}

/// True if nothing has been stored there yet: the SQLite file is absent or empty. PostgreSQL has no
/// key file, so the question never matters there.
#[must_use]
pub fn is_new(database: &DatabaseUrl) -> bool {
    match database {
        DatabaseUrl::Sqlite(path) => std::fs::metadata(path).map_or(true, |file| file.len() == 0),
        DatabaseUrl::Postgres(_) => false,
    }
}

/// The master key in base64, or `None` when one is to be made beside a new SQLite database.
///
/// # Errors
/// [`MasterKeySourceError`] when it can't be read or must have been there.
pub fn find(settings: &Settings, database_is_new: bool) -> Result<Option<SecretString>, MasterKeySourceError> {
    if let Some(given) = &settings.storage.master_key {
        return Ok(Some(given.clone()));
    }
    let DatabaseUrl::Sqlite(database) = &settings.storage.database_url else {
        return Err(MasterKeySourceError::Required);
    };
    let path = path_beside(Path::new(database));
    match read(&path) {
        Ok(text) => parse(text_without_bom(&text).trim())
            .map(Some)
            .map_err(|reason| MasterKeySourceError::Wrong { path, reason }),
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(MasterKeySourceError::Unreadable { path, reason: error.to_string() })
        }
        Err(_) if database_is_new => Ok(None),
        Err(_) => Err(MasterKeySourceError::Lost { path }),
    }
}

/// The master key in base64. For a SQLite database that is new and has no key given, one is made
/// beside it: call this before the database's file is made, or a crash between the two leaves a
/// database without its key.
///
/// # Errors
/// [`MasterKeySourceError`]; nothing was changed then.
pub fn resolve(
    settings: &Settings,
    database_is_new: bool,
    entropy: &Entropy,
) -> Result<SecretString, MasterKeySourceError> {
    if let Some(key) = find(settings, database_is_new)? {
        return Ok(key);
    }
    let DatabaseUrl::Sqlite(database) = &settings.storage.database_url else {
        return Err(MasterKeySourceError::Required);
    };
    let path = path_beside(Path::new(database));
    let key = fresh(entropy);
    match write_new(&path, key.expose_secret(), entropy) {
        Ok(()) => {
            tracing::warn!(path = %path.display(), "made a master key beside the new database: back it up, apart from the database");
            Ok(key)
        }
        // Another process began on the same new database; its key is the one that counts.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            find(settings, false)?.ok_or(MasterKeySourceError::Lost { path })
        }
        Err(error) => Err(MasterKeySourceError::Unwritable { path, reason: error.to_string() }),
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(4096).read_to_string(&mut text)?;
    Ok(text)
}

/// Never over an existing file, never half written, and readable by its owner only from the first
/// moment: written under another name, then linked to its own, which fails when that is taken.
fn write_new(path: &Path, key: &str, entropy: &Entropy) -> std::io::Result<()> {
    let draft = path.with_extension(format!("key.{}", crate::foundation::subject::hex(&entropy.bytes::<8>())));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    let linked = (|| {
        // Whatever the umask took.
        #[cfg(unix)]
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        file.write_all(key.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        std::fs::hard_link(&draft, path)
    })();
    std::fs::remove_file(&draft)?;
    linked?;
    #[cfg(unix)]
    {
        // The name stands in the directory: that must be on disk too.
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::File::open(directory)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Sources;

    fn settings(url: &str) -> Settings {
        let flags = vec![("database_url".to_owned(), url.to_owned())];
        Settings::load(&Sources { flags, ..Sources::default() }).unwrap()
    }

    #[test]
    fn a_new_sqlite_database_gets_a_key_that_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(&format!("sqlite:{}/perkgate.db", directory.path().display()));
        let made = resolve(&settings, true, &Entropy::System).unwrap();
        let path = directory.path().join("perkgate.key");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let found = resolve(&settings, false, &Entropy::System).unwrap();
        assert_eq!(made.expose_secret(), found.expose_secret());
        assert_eq!(STANDARD.decode(found.expose_secret()).unwrap().len(), 32);

        std::fs::write(&path, "c2hvcnQ=\n").unwrap();
        assert!(matches!(resolve(&settings, false, &Entropy::System), Err(MasterKeySourceError::Wrong { .. })));
    }

    #[test]
    fn all_who_start_at_once_on_a_new_database_get_one_key() {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(&format!("sqlite:{}/perkgate.db", directory.path().display()));
        let keys: Vec<String> = std::thread::scope(|scope| {
            let start = || resolve(&settings, true, &Entropy::System).unwrap().expose_secret().to_owned();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "no draft was left");
    }

    #[test]
    fn a_database_without_its_key_does_not_start() {
        let directory = tempfile::tempdir().unwrap();
        let sqlite = settings(&format!("sqlite:{}/perkgate.db", directory.path().display()));
        assert!(matches!(resolve(&sqlite, false, &Entropy::System), Err(MasterKeySourceError::Lost { .. })));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "no key was made");
        let postgres = settings("postgres://perkgate@db.example/perkgate");
        for is_new in [true, false] {
            assert!(matches!(resolve(&postgres, is_new, &Entropy::System), Err(MasterKeySourceError::Required)));
        }
    }
}
