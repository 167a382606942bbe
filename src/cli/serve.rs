//! `perkgate serve`: answers requests until a signal stops it.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::CliError;
use super::flags::ServingFlags;
use super::{Completion, Invocation, WebDoors, log_origins};
use crate::audit::anchoring;
use crate::gateway::Gateway;
use crate::settings::{Settings, is_in_the_open};
use crate::telemetry::metrics::Metrics;

/// SQLite and memory unless the settings say otherwise. SIGTERM, SIGHUP and Ctrl-C end it in good order.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    serving: ServingFlags,
    /// Bring PostgreSQL to the schema that this version needs first (SQLite always is).
    #[arg(long)]
    migrate: bool,
}

pub(super) fn run(args: &Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let settings = invocation.serving_settings(&args.serving)?;
    let runtime = super::runtime()?;
    let served = runtime.block_on(async {
        let running = Running::start(settings, args.migrate, invocation).await?;
        let stop = CancellationToken::new();
        let (stopped, signal) = (stop.clone(), stop_signal());
        tracing::info!(address = %running.address, issuer = %running.gateway.issuer_url, "serving");
        tokio::spawn(warn_of_log_origins(running.gateway.clone()));
        if let Some(base) = running.gateway.settings.server.link_base.as_deref().filter(|base| is_in_the_open(base)) {
            tracing::warn!(
                link_base = base,
                "people's links are not encrypted: who sees one on its way has it; use https://"
            );
        }
        tokio::spawn(async move {
            signal.await;
            stopped.cancel();
        });
        running.until(stop).await
    });
    // Without this it would wait for good for a thread that still reads from a database that hangs.
    runtime.shutdown_timeout(LAST_WORDS);
    served?;
    Ok(Completion::Succeeded)
}

/// Warns of logs that are called after a machine. Nothing else depends on that: where it can't be read, it is left out.
async fn warn_of_log_origins(gateway: Arc<Gateway>) {
    let Ok(logs) = anchoring::current(&gateway.database, &gateway.clock).await else { return };
    if let Some(warning) = log_origins::warning_of(&gateway.settings, &logs) {
        tracing::warn!("{warning}");
    }
}

/// The longest time the ledger may take to finish after the last answer.
pub(super) const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(5);

/// A gateway whose door is bound.
pub(super) struct Running {
    pub gateway: Arc<Gateway>,
    pub address: SocketAddr,
    listener: TcpListener,
    recorded: Metrics,
    metrics: Option<TcpListener>,
    doors: WebDoors,
}

impl Running {
    /// Binds first: the issuer is the address when none is given.
    pub(super) async fn start(settings: Settings, migrate: bool, invocation: &Invocation) -> Result<Self, CliError> {
        Self::start_with(settings, migrate, invocation, false).await
    }

    /// The same; with `own_links` people's links lead to this very address when no base is given.
    pub(super) async fn start_with(
        mut settings: Settings,
        migrate: bool,
        invocation: &Invocation,
        own_links: bool,
    ) -> Result<Self, CliError> {
        let bind = |name, address: SocketAddr| {
            let bound = TcpListener::bind(address).and_then(|socket| {
                socket.set_nonblocking(true)?;
                Ok(socket)
            });
            bound.map_err(|error| CliError::Listen { name, address, error })
        };
        let listener = bind("listen", settings.server.listen)?;
        let address = listener.local_addr()?;
        let issuer = settings.server.issuer_at(address);
        if own_links {
            settings.server.link_base.get_or_insert_with(|| format!("http://{address}"));
        }
        // Recorded whether or not anyone listens: the listener may come with the next start only.
        let recorded = Metrics::start()?;
        let metrics = match settings.server.metrics_listen {
            Some(address) => Some(bind("metrics_listen", address)?),
            None => None,
        };
        let handle = tokio::runtime::Handle::current();
        let (clock, entropy) = (invocation.clock.clone(), invocation.entropy.clone());
        let gateway = Gateway::build(settings, &issuer, migrate, clock, entropy, &handle).await?;
        let doors = invocation.doors;
        Ok(Self { gateway: Arc::new(gateway), address, listener, recorded, metrics, doors })
    }

    /// Serves until `stop`.
    pub(super) async fn until(self, stop: CancellationToken) -> Result<(), CliError> {
        let tasks = TaskTracker::new();
        let cancel = CancellationToken::new();
        self.gateway.follow(&tasks, &cancel);
        let recorded = self.gateway.ledger.ended();
        let database = self.gateway.database.clone();
        // Without its writer the gateway can grant nothing and only a new start mends it.
        let (died, stopped) = (self.gateway.ledger.ended(), stop.clone());
        let until = async move {
            tokio::select! {
                () = died => tracing::error!("the ledger's thread has ended: stopping"),
                () = stopped.cancelled() => {}
            }
        };
        // Nobody may ever ask for them, and they must not grow without bound either.
        tasks.spawn(self.recorded.clone().keep_up(cancel.clone()));
        let metrics = self.metrics.map(|listener| (listener, self.recorded));
        let served = (self.doors.serve)(self.gateway, self.listener, metrics, Box::pin(until)).await;
        cancel.cancel();
        tasks.close();
        // What was asked is recorded and the database is closed in good order, unless it hangs.
        let _ = tokio::time::timeout(LAST_WORDS, tasks.wait()).await;
        let _ = tokio::time::timeout(LAST_WORDS, recorded).await;
        let _ = tokio::time::timeout(LAST_WORDS, tokio::task::spawn_blocking(move || database.close())).await;
        served?;
        if stop.is_cancelled() { Ok(()) } else { Err(CliError::LedgerEnded) }
    }
}

/// SIGTERM, SIGHUP or Ctrl-C. It listens from the call on, and not only once it is awaited. A SIGHUP that is
/// ignored, as under `nohup`, remains ignored.
pub(super) fn stop_signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (interrupted, terminated) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let hung_up = (!is_hangup_ignored()).then(|| signal(SignalKind::hangup()));
    async {
        tokio::select! {
            () = heard(Some(interrupted)) => {}
            () = heard(Some(terminated)) => {}
            () = heard(hung_up) => {}
        }
    }
}

/// Tells whether this process was started with SIGHUP ignored, as Linux has it; elsewhere it counts as not ignored.
fn is_hangup_ignored() -> bool {
    const SIGHUP_BIT: u64 = 1;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & SIGHUP_BIT != 0)
}

/// Never, for one that is not listened for.
async fn heard(signal: Option<std::io::Result<tokio::signal::unix::Signal>>) {
    match signal {
        Some(Ok(mut signal)) => drop(signal.recv().await),
        Some(Err(_)) | None => std::future::pending().await,
    }
}
