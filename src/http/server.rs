//! The listening side of the door: workers, the metrics listener, and an orderly end.

use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::web::Data;
use actix_web::{App, HttpResponse, HttpServer, web};
use tokio_util::sync::CancellationToken;

use super::door::{Door, app};
use crate::gateway::Gateway;
use crate::telemetry::metrics::Metrics;

/// A backlog for bursts: what waits here has been accepted by the system, not by us.
const BACKLOG: u32 = 2048;

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
    let door = Data::new(Door::new(settings.rates));
    let (tending, tended) = (door.clone(), CancellationToken::new());
    let until = tended.clone();
    tokio::spawn(async move { tending.limits.tend(until).await });
    let shown = gateway.clone();
    let at_work = door.clone();
    let server = HttpServer::new(move || app(shown.clone(), at_work.clone()))
        .workers(settings.server.workers)
        .backlog(BACKLOG)
        .client_request_timeout(settings.timeouts.request_head)
        .shutdown_timeout(settings.timeouts.shutdown.as_secs())
        .disable_signals()
        .listen(listener)?
        .run();
    let handle = server.handle();
    let measuring = metrics.map(|(listener, metrics)| metrics_server(listener, metrics)).transpose()?;
    let measuring = measuring.map(|server| (server.handle(), tokio::spawn(server)));
    let mut running = tokio::spawn(server);
    tokio::select! {
        ended = &mut running => return ended.unwrap_or_else(|error| Err(std::io::Error::other(error))),
        () = stop => {}
    }
    // First say that no more should come and let the balancer read it, then close the door behind
    // those who are in.
    door.drain();
    tracing::info!("stopping: finishing what is under way");
    tokio::time::sleep(settings.timeouts.drain).await;
    handle.stop(true).await;
    tended.cancel();
    if let Some((handle, task)) = measuring {
        handle.stop(false).await;
        let _ = task.await;
    }
    running.await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

fn metrics_server(listener: TcpListener, metrics: Metrics) -> std::io::Result<Server> {
    tokio::spawn(metrics.clone().keep_up());
    let page = |metrics: Data<Metrics>| async move {
        HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(metrics.render())
    };
    let app = move || App::new().app_data(Data::new(metrics.clone())).route("/metrics", web::get().to(page));
    Ok(HttpServer::new(app).workers(1).disable_signals().listen(listener)?.run())
}
