//! One request and its answer on a connection, from the head's last byte to the answer's.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{Error, HttpMessage as _};
use futures_util::Stream;

use super::Connection;

/// How much of an answer is handed to the connection at once. It copies what it is handed into its buffer, so
/// this and [`super::listen`]'s bound of that buffer are what a connection holds; the rest of a fixed document
/// is shared by all.
const PIECE: usize = 8 << 10;

/// The outermost middleware: tells the connection that it has a request, until the answer is written or given
/// up, and has the request's body read only as the handler asks for it.
///
/// # Errors
/// What comes from within.
pub(in crate::http) async fn track(
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(connection) = req.conn_data::<Arc<Connection>>().cloned() else {
        return next.call(req).await.map(ServiceResponse::map_into_boxed_body);
    };
    let exchange = Exchange::begin(connection);
    match req.take_payload() {
        Payload::None => {}
        payload => {
            let connection = exchange.0.clone();
            req.set_payload(Payload::Stream { payload: Box::pin(BodyOnDemand { payload, connection }) });
        }
    }
    let answered = next.call(req).await?;
    Ok(answered.map_body(|_, body| {
        let body = match body.try_into_bytes() {
            Ok(bytes) => Answer::Whole(bytes),
            Err(body) => Answer::Streamed(body.boxed()),
        };
        BoxBody::new(AnswerInPieces { body, _exchange: exchange })
    }))
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

/// A request's body that is read from the socket only when it is waited for: what comes after it stays there.
struct BodyOnDemand {
    payload: Payload,
    connection: Arc<Connection>,
}

impl Stream for BodyOnDemand {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.payload).poll_next(cx);
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
