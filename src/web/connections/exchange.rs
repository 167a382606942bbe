//! One request and its answer on a connection, from the head's last byte to the answer's.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{ConnectionType, Method};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{Error, HttpMessage as _};
use futures_util::Stream;

use super::Connection;

/// The bytes of an answer that the connection is handed at once. It copies what it is handed into its buffer, so
/// this and [`super::listen`]'s bound of that buffer are what a connection holds; the rest of a fixed document
/// is shared by all.
const PIECE: usize = 8 << 10;

/// The outermost middleware: tells the connection that it has a request, until the answer is written or given
/// up, and has the request's body read only as the handler asks for it.
///
/// # Errors
/// The errors from within.
pub(crate) async fn track(
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(connection) = req.conn_data::<Arc<Connection>>().cloned() else {
        return next.call(req).await.map(ServiceResponse::map_into_boxed_body);
    };
    let exchange = Exchange::begin(connection);
    let endless = is_endless(&req);
    let length = if endless { Some(content_length(&req)) } else { None };
    match req.take_payload() {
        Payload::None => {}
        // What comes after no body is no business of the handler's.
        _ if length == Some(0) => {}
        payload => {
            let body = BodyOnDemand { payload, connection: exchange.0.clone(), remaining: length };
            req.set_payload(Payload::Stream { payload: Box::pin(body) });
        }
    }
    let mut answered = next.call(req).await?;
    if endless {
        // actix finds no other request on this connection.
        answered.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(answered.map_body(|_, body| {
        let body = match body.try_into_bytes() {
            Ok(bytes) => Answer::Whole(bytes),
            Err(body) => Answer::Streamed(body.boxed()),
        };
        BoxBody::new(AnswerInPieces { body, _exchange: exchange })
    }))
}

/// Tells if actix takes all that is still to come for this request's body, as it does for one that would change to
/// another protocol. Nothing here does, and then `Upgrade` is to be passed over (RFC 9110 §7.8).
fn is_endless(req: &ServiceRequest) -> bool {
    let headers = req.headers();
    let is_websocket = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket");
    let changes = req.method() == Method::CONNECT || headers.get_all(header::UPGRADE).any(is_websocket);
    changes && !headers.contains_key(header::TRANSFER_ENCODING)
}

/// The length that the body says it has, in bytes; one that says nothing is empty.
fn content_length(req: &ServiceRequest) -> u64 {
    // actix has refused what is no number.
    let length = req.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    length.unwrap_or_default()
}

/// Held while a request is under way.
struct Exchange(Arc<Connection>);

impl Exchange {
    fn begin(connection: Arc<Connection>) -> Self {
        connection.wants_body.store(false, Ordering::Release);
        connection.in_flight.fetch_add(1, Ordering::AcqRel);
        connection.requests.fetch_add(1, Ordering::AcqRel);
        Self(connection)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
        // The next request may be read.
        self.0.task.wake();
    }
}

/// A request's body that is read from the socket only when it is waited for: what comes after it remains there.
struct BodyOnDemand {
    payload: Payload,
    connection: Arc<Connection>,
    /// The number of bytes of it that are still to come, where actix doesn't know.
    remaining: Option<u64>,
}

impl BodyOnDemand {
    /// Cuts off what is no part of the body any more.
    fn within_length(&mut self, polled: Option<Result<Bytes, PayloadError>>) -> Option<Result<Bytes, PayloadError>> {
        let Some(remaining) = &mut self.remaining else { return polled };
        match polled {
            Some(Ok(mut bytes)) => {
                bytes.truncate(usize::try_from(*remaining).unwrap_or(usize::MAX));
                *remaining -= bytes.len() as u64;
                Some(Ok(bytes))
            }
            None if *remaining > 0 => Some(Err(PayloadError::Incomplete(None))),
            other => other,
        }
    }
}

impl Stream for BodyOnDemand {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.remaining == Some(0) {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut this.payload).poll_next(cx).map(|polled| this.within_length(polled));
        if polled.is_pending() && !this.connection.wants_body.swap(true, Ordering::AcqRel) {
            this.connection.task.wake();
        }
        polled
    }
}

/// An answer's body. The request is under way until this is dropped.
struct AnswerInPieces {
    body: Answer,
    _exchange: Exchange,
}

enum Answer {
    Whole(Bytes),
    Streamed(BoxBody),
}

impl MessageBody for AnswerInPieces {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        match &self.body {
            Answer::Whole(bytes) => bytes.size(),
            Answer::Streamed(body) => body.size(),
        }
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        match &mut self.get_mut().body {
            Answer::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Answer::Whole(bytes) => Poll::Ready(Some(Ok(bytes.split_to(bytes.len().min(PIECE))))),
            Answer::Streamed(body) => Pin::new(body).poll_next(cx),
        }
    }
}
