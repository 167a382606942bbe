//! A command that opens the gateway's database, does one thing there and ends.
//!
//! A `perkgate serve` may run on the same database meanwhile: every write is a transaction that
//! waits for its turn, and the server sees the change within its polling time.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::Invocation;
use super::error::CliError;
use crate::access::{AccessError, Merchant};
use crate::database::Backend;
use crate::foundation::ids::MerchantSlug;
use crate::gateway::Gateway;
use crate::ledger::entry::Actor;
use crate::settings::master_key;

/// The actor that events name.
pub(super) const ACTOR: Actor = Actor { key: None, role: "cli" };

/// Longer than the largest batch takes; a ledger that hangs must not hang the terminal.
const ENDING: Duration = Duration::from_secs(5);

/// Says if a command may make the SQLite database that it works on. Setting a gateway up does: `merchant create`, and
/// beside these commands `serve`, `migrate` and `demo`. Everything else is about what a database holds, and a key of a
/// new one, made in the wrong directory, would open nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// It must be there: a mistyped path is an error, and no new, empty database.
    Existing,
    /// It is made, with its master key, when it is not there.
    AnyDatabase,
}

impl Invocation {
    /// Does `work` on the gateway of the settings. When this returns, all is written and closed.
    ///
    /// # Errors
    /// The errors that keep the gateway from being opened, and those of `work`.
    pub(super) fn with_gateway<T>(
        &self,
        needs: Needs,
        work: impl AsyncFnOnce(&Gateway) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let runtime = super::runtime()?;
        let gateway = self.open_gateway(needs, &runtime)?;
        // Boxed, so that not every command brings a copy of the runtime's own loop.
        let work: Pin<Box<dyn Future<Output = _> + '_>> = Box::pin(work(&gateway));
        let done = runtime.block_on(work);
        end(&runtime, gateway);
        done
    }

    fn open_gateway(&self, needs: Needs, runtime: &Runtime) -> Result<Gateway, CliError> {
        let settings = self.settings()?;
        let url = &settings.storage.database_url;
        url.check()?;
        let is_new = url.backend() == Backend::Sqlite && master_key::is_new(url);
        if is_new && needs == Needs::Existing {
            return Err(CliError::NoDatabase(url.to_string()));
        }
        let made = is_new.then(|| url.to_string());
        let issuer = settings.server.issuer_at(settings.server.listen);
        let (clock, entropy) = (self.clock.clone(), self.entropy.clone());
        let build = Gateway::build(settings, &issuer, false, clock, entropy, runtime.handle());
        let gateway = runtime.block_on(build)?;
        if let Some(url) = made {
            // A second gateway that is made in the wrong directory must not pass for the first.
            tracing::warn!(
                "there was no database at {url}, so a new one was made: if you have a gateway already, name its \
                 database with --database-url or PERKGATE_DATABASE_URL"
            );
        }
        Ok(gateway)
    }
}

/// Writes and closes everything. A process that exits under the writer's feet leaves SQLite's write-ahead log behind,
/// and a copy of the database file alone that is made then is without the last changes.
fn end(runtime: &Runtime, gateway: Gateway) {
    runtime.block_on(async {
        let (ended, database) = (gateway.ledger.ended(), gateway.database.clone());
        drop(gateway);
        if tokio::time::timeout(ENDING, ended).await.is_err() {
            tracing::warn!("the ledger did not end in time");
        }
        let _ = tokio::task::spawn_blocking(move || database.close()).await;
    });
}

/// The most merchants that an error lists when it asks which one is meant.
const LISTED: usize = 10;

/// `--merchant`, for a command about one merchant.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct MerchantFlag {
    /// Which merchant: without it, `PERKGATE_MERCHANT`, or the only one there is.
    #[arg(long, value_name = "SLUG")]
    pub merchant: Option<MerchantSlug>,
}

/// `--merchant` or `--operator`, for a command about what belongs to one of them.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct OwnerFlag {
    /// Which merchant's: without it, that of `PERKGATE_MERCHANT`, or of the only one there is.
    #[arg(long, value_name = "SLUG")]
    merchant: Option<MerchantSlug>,
    /// The operator's, which belong to no merchant.
    #[arg(long, conflicts_with = "merchant")]
    operator: bool,
}

/// The merchant that a command is about: the one of the flag or of the settings, or the only one there is.
///
/// # Errors
/// [`CliError::UnknownMerchant`], [`CliError::NoMerchant`] and [`CliError::SeveralMerchants`], or the database's.
pub(super) async fn merchant(gateway: &Gateway, flag: &MerchantFlag) -> Result<Merchant, CliError> {
    if let Some(slug) = flag.merchant.as_ref().or(gateway.settings.merchant.as_ref()) {
        return merchant_of(gateway, slug).await;
    }
    only_merchant(gateway).await
}

/// The only merchant there is.
///
/// # Errors
/// [`CliError::NoMerchant`] and [`CliError::SeveralMerchants`], or the database's.
pub(super) async fn only_merchant(gateway: &Gateway) -> Result<Merchant, CliError> {
    let mut found = gateway.directory.list_merchants(None, u16::try_from(LISTED + 1).unwrap_or(u16::MAX)).await?;
    match (found.pop(), found.is_empty()) {
        (None, _) => Err(CliError::NoMerchant),
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            let are_more = found.len() == LISTED;
            let some = found.into_iter().chain((!are_more).then_some(last)).map(|merchant| merchant.slug).collect();
            Err(CliError::SeveralMerchants { some, are_more })
        }
    }
}

/// The merchant whose it is, or none for the operator's: of a gateway without merchants, everything is.
///
/// # Errors
/// [`CliError::UnknownMerchant`] and [`CliError::SeveralOwners`], or the database's.
pub(super) async fn owner(gateway: &Gateway, flag: &OwnerFlag) -> Result<Option<Merchant>, CliError> {
    if flag.operator {
        return Ok(None);
    }
    match merchant(gateway, &MerchantFlag { merchant: flag.merchant.clone() }).await {
        Err(CliError::NoMerchant) => Ok(None),
        Err(CliError::SeveralMerchants { some, are_more }) => Err(CliError::SeveralOwners { some, are_more }),
        found => found.map(Some),
    }
}

/// The merchant of this slug.
///
/// # Errors
/// [`CliError::UnknownMerchant`], or the database's.
pub(super) async fn merchant_of(gateway: &Gateway, slug: &MerchantSlug) -> Result<Merchant, CliError> {
    gateway.directory.find_merchant(slug.clone()).await.map_err(|error| match error {
        AccessError::UnknownMerchant => CliError::UnknownMerchant(slug.clone()),
        other => other.into(),
    })
}

/// Every item of a list that comes in pages of `page`, each asked for after the last item.
///
/// # Errors
/// The errors of `fetch`.
pub(super) async fn all_pages<T, E>(
    page: usize,
    mut fetch: impl AsyncFnMut(Option<&T>) -> Result<Vec<T>, E>,
) -> Result<Vec<T>, E> {
    let mut all = Vec::new();
    loop {
        let fetched = fetch(all.last()).await?;
        let is_last = fetched.len() < page;
        all.extend(fetched);
        if is_last {
            return Ok(all);
        }
    }
}

/// One line of standard input, for what must not show in process lists; `what` is asked for at a terminal.
///
/// # Errors
/// [`CliError::Unreadable`].
pub(super) fn read_line(what: &str) -> Result<String, CliError> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "{what}: ").and_then(|()| stderr.flush());
    }
    let mut line = String::new();
    // It is short; a file that was piped in by mistake need not be read whole.
    let mut bounded = std::io::Read::take(stdin.lock(), 4096);
    match bounded.read_line(&mut line) {
        Ok(_) => Ok(line.strip_prefix('\u{feff}').unwrap_or(&line).to_owned()),
        Err(error) => Err(CliError::Unreadable { path: PathBuf::from("-"), why: error.to_string() }),
    }
}
