//! The listening side of the doors: workers, the metrics listener, and an orderly end.

use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App, web};
use tokio_util::sync::CancellationToken;

use crate::cli::WebDoors;
use crate::gateway::Gateway;
use crate::http::metrics_page::get_metrics;
use crate::http::{Documents, app, openapi};
use crate::settings::{Settings, open_files, table};
use crate::telemetry::metrics::Metrics;
use crate::web::connections::{self, Connections, Listening, Running, listen, track};
use crate::web::sockets;
use crate::web::state::State;
use crate::{console, screens};

/// The doors that the command line starts and describes.
pub const DOORS: WebDoors = WebDoors {
    serve: |gateway, listener, metrics, stop| Box::pin(serve(gateway, listener, metrics, stop)),
    openapi: || openapi::json(&openapi::document()),
};

/// Scrapers are few.
const METRICS_CONNECTIONS: usize = 64;

/// The time before its end at which the delay of draining turns newcomers away, so that those who had come are all in.
const LAST_CALL: Duration = Duration::from_millis(250);

/// Serves until `stop` comes true, then refuses new requests, finishes those under way within the
/// shutdown time-out, and returns. Call it on the main runtime; the workers have their own.
///
/// # Errors
/// When a socket can't be used.
pub async fn serve(
    gateway: Arc<Gateway>,
    listener: TcpListener,
    metrics: Option<(TcpListener, Metrics)>,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let settings = gateway.settings.clone();
    let gateway = Data::from(gateway);
    let state = Data::new(State::new(settings.rates, settings.bounds));
    let documents = Documents::new();
    let (tending, tended) = (state.clone(), CancellationToken::new());
    let until = tended.clone();
    tokio::spawn(async move { tending.limits.tend(until).await });
    let how = listening(&settings);
    let port = listener.try_clone()?;
    let (shown, at_work) = (gateway.clone(), state.clone());
    let Running { connections, handle, mut task } =
        listen(listener, how, move || app(shown.clone(), at_work.clone(), &documents, mount_pages))?;
    let measuring = metrics
        .map(|(listener, metrics)| serve_metrics(listener, how, metrics, gateway.clone(), state.clone()))
        .transpose()?;
    tokio::select! {
        ended = &mut task => return ended.unwrap_or_else(|error| Err(std::io::Error::other(error))),
        () = stop => {}
    }
    // First say that no more should come and let the balancer read it, then close the door behind
    // those who are in.
    state.drain();
    tracing::info!("stopping: finishing what is under way");
    let last_call = settings.timeouts.drain.min(LAST_CALL);
    tokio::time::sleep(settings.timeouts.drain.saturating_sub(last_call)).await;
    // A port that closes resets each client that has connected and was not accepted yet.
    sockets::turn_away(&port);
    drop(port);
    all_in(&connections, last_call).await;
    // The listener closes with this. actix itself would cut each client that has sent nothing yet, and looks only once
    // a second whether all is done.
    let stopped = handle.stop(true);
    let drained = tokio::time::timeout(settings.timeouts.shutdown, connections.drain()).await;
    if drained.is_err() {
        tracing::warn!(connections = connections.len(), "stopping: cut off what took longer than shutdown_timeout");
        task.abort();
    } else if tokio::time::timeout(LAST_CALL, stopped).await.is_err() {
        task.abort();
    }
    tended.cancel();
    if let Some(Running { handle, task, .. }) = measuring {
        handle.stop(false).await;
        let _ = task.await;
    }
    match task.await {
        Err(error) if !error.is_cancelled() => Err(std::io::Error::other(error)),
        Ok(ended) => ended,
        Err(_) => Ok(()),
    }
}

/// The doors beside the API, on its port.
fn mount_pages(config: &mut web::ServiceConfig) {
    console::mount(config);
    screens::mount(config);
}

/// Waits until those who had connected when newcomers were turned away are counted: their handshake may not
/// be over, or the accepting thread be behind.
async fn all_in(connections: &Connections, at_most: Duration) {
    const QUIET: Duration = Duration::from_millis(50);
    let mut waited = Duration::ZERO;
    let mut last = (connections.admitted(), Duration::ZERO);
    while waited < at_most && last.1 < 2 * QUIET {
        tokio::time::sleep(QUIET.min(at_most)).await;
        waited += QUIET;
        let admitted = connections.admitted();
        last = if admitted == last.0 { (admitted, last.1 + QUIET) } else { (admitted, Duration::ZERO) };
    }
}

fn listening(settings: &Settings) -> Listening {
    let wanted = settings.bounds.max_connections;
    let possible = open_files::connections_at_most(wanted);
    if possible < wanted && settings.is_given(&table::MAX_CONNECTIONS) {
        tracing::warn!(
            max_connections = wanted,
            possible,
            "this process may not open enough files for max_connections: raise its limit (ulimit -n, LimitNOFILE)"
        );
    }
    Listening {
        workers: settings.server.workers,
        bounds: connections::Bounds {
            listener: "http",
            connections: possible,
            write: settings.timeouts.write,
            request_head: settings.timeouts.request_head,
        },
        keep_alive: settings.timeouts.keep_alive,
        shutdown: settings.timeouts.shutdown,
    }
}

fn serve_metrics(
    listener: TcpListener,
    how: Listening,
    metrics: Metrics,
    gateway: Data<Gateway>,
    state: Data<State>,
) -> std::io::Result<Running> {
    let app = move || {
        let app = App::new().app_data(gateway.clone()).app_data(state.clone()).app_data(Data::new(metrics.clone()));
        app.route("/metrics", web::get().to(get_metrics)).wrap(from_fn(track))
    };
    let bounds = connections::Bounds { listener: "metrics", connections: METRICS_CONNECTIONS, ..how.bounds };
    listen(listener, Listening { workers: 1, bounds, ..how }, app)
}
