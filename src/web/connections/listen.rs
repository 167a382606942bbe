//! An actix server whose connections are guarded.

use std::fmt;
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive, Protocol, Request, Response};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt as _, map_config};
use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Server, ServerHandle, fn_service};
use actix_web::rt::net::TcpStream;
use tokio::task::JoinHandle;

use super::{Bounds, Connections, GuardedStream};
use crate::web::sockets;

/// A backlog for bursts: what waits here has been accepted by the system, not by us.
const BACKLOG: u32 = 2048;

/// The bytes of an answer that wait in a connection's buffer before it is written out.
const WRITE_BUFFER_BYTES: usize = 8 << 10;

/// The longest time a peer may take to end a connection that we have ended.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The answer to a connection that finds no place.
const NO_PLACE: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// The way a listener is served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listening {
    pub workers: usize,
    pub bounds: Bounds,
    /// The longest time a connection may stay without a request.
    pub keep_alive: Duration,
    /// The longest time requests under way may go on after the end has begun.
    pub shutdown: Duration,
}

/// A server that runs.
pub(crate) struct Running {
    pub connections: Arc<Connections>,
    pub handle: ServerHandle,
    pub task: JoinHandle<io::Result<()>>,
}

/// Serves HTTP/1.1 on the listener with an application made by `factory`, one a worker. The application must be
/// wrapped in [`super::track`].
///
/// # Errors
/// When the socket can't be used.
pub(crate) fn listen<F, I, S, B>(listener: TcpListener, how: Listening, factory: F) -> io::Result<Running>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    S::Service: 'static,
    <S::Service as Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    let address = listener.local_addr()?;
    let connections = Connections::new(how.bounds);
    let admitting = connections.clone();
    let builder = Server::build()
        .workers(how.workers)
        .backlog(BACKLOG)
        .shutdown_timeout(how.shutdown.as_secs())
        .disable_signals();
    let server = builder.listen("http", listener, move || {
        let application = factory().into_factory().map_err(|error| error.into().error_response());
        let http = HttpService::build()
            .keep_alive(KeepAlive::Timeout(how.keep_alive))
            .client_request_timeout(how.bounds.request_head)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .h1_write_buffer_size(WRITE_BUFFER_BYTES)
            .local_addr(address)
            .on_connect_ext(|stream: &GuardedStream, data| drop(data.insert(stream.connection())))
            .finish(map_config(application, |()| AppConfig::default()));
        let connections = admitting.clone();
        fn_service(move |socket: TcpStream| {
            let admitted = guard(socket, &connections);
            async move { admitted.map_err(DispatchError::Io) }
        })
        .and_then(http)
    })?;
    let server = server.run();
    Ok(Running { connections, handle: server.handle(), task: tokio::spawn(server) })
}

type Guarded = (GuardedStream, Protocol, Option<std::net::SocketAddr>);

fn guard(socket: TcpStream, connections: &Arc<Connections>) -> io::Result<Guarded> {
    let Some(connection) = connections.admit() else {
        // As far as it goes: a peer that has sent its request already may see a reset instead. Written past
        // tokio, which doesn't know yet that a new socket can be written to.
        let _ = socket.into_std().and_then(|mut socket| socket.write_all(NO_PLACE));
        return Err(io::ErrorKind::ConnectionRefused.into());
    };
    // Answers go out in pieces: none shall wait for the receipt of the one before.
    let _ = socket.set_nodelay(true);
    sockets::bound_unsent(&socket);
    let peer = socket.peer_addr().ok();
    Ok((GuardedStream::new(socket, connections.clone(), connection), Protocol::Http1, peer))
}
