//! Where `perkgate demo` goes on: a database of its own, or an empty one that the caller named for it. Never one that anything
//! is in, whatever the environment says.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use super::Args;
use crate::cli::Invocation;
use crate::cli::error::CliError;
use crate::database::{Backend, Database};
use crate::foundation::subject::hex;
use crate::settings::table::{self, Setting};
use crate::settings::{Settings, master_key};

/// The settings of what a show writes to, and whom it tells. A production's environment must not lead it there.
pub(crate) const ONLY_FLAGS: [&Setting; 10] = [
    &table::DATABASE_URL,
    &table::MASTER_KEY,
    &table::REDIS_URL,
    &table::REDIS_PREFIX,
    &table::ISSUER,
    &table::ANCHOR_FILE,
    &table::ANCHOR_STDOUT,
    &table::ANCHOR_WEBHOOK,
    &table::ANCHOR_WEBHOOK_TOKEN,
    &table::ANCHOR_EVERY,
];

/// Beside the database of an earlier show, which the next may go on with.
const MARK: &str = "perkgate.demo";

/// Where the show goes on.
pub(crate) struct Stage {
    pub settings: Settings,
    /// Its own, unless it seeds a database that was named.
    pub dir: Option<PathBuf>,
}

impl Stage {
    /// A database that nothing else is in; nothing has been written to it yet.
    ///
    /// # Errors
    /// The errors that keep the show from beginning.
    pub(crate) fn set(args: &Args, invocation: &Invocation) -> Result<Self, CliError> {
        match (invocation.has_flag(&table::DATABASE_URL), args.into) {
            (true, true) => {
                let settings = invocation.demo_settings(&args.serving)?;
                only_if_blank(&settings)?;
                return Ok(Self { settings, dir: None });
            }
            (true, false) => return Err(CliError::DemoUnasked),
            (false, true) => return Err(CliError::DemoIntoNothing),
            (false, false) => {}
        }
        let dir = args.dir.clone().unwrap_or_else(|| {
            std::env::temp_dir().join(format!("perkgate-demo-{}", hex(&invocation.entropy.bytes::<4>())))
        });
        let mut serving = args.serving.clone();
        serving.given.push(("database_url".to_owned(), format!("sqlite:{}", dir.join("perkgate.db").display())));
        let settings = invocation.demo_settings(&serving)?;
        // The directory holds the keys that a show prints: they are for its owner alone.
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        if !dir.join(MARK).exists() {
            only_if_blank(&settings)?;
            std::fs::write(dir.join(MARK), "The database here was made by `perkgate demo`.\n")?;
        }
        Ok(Self { settings, dir: Some(dir) })
    }
}

/// # Errors
/// [`CliError::DemoNotBlank`] when something is in the database.
fn only_if_blank(settings: &Settings) -> Result<(), CliError> {
    let url = &settings.storage.database_url;
    url.check()?;
    // What is not there is empty; looking must not make it before its key.
    let is_new = url.backend() == Backend::Sqlite && master_key::is_new(url);
    if is_new || Database::connect(url, 1)?.is_blank()? { Ok(()) } else { Err(CliError::DemoNotBlank(url.to_string())) }
}
