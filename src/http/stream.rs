//! A body that is read as it comes, because it may be larger than memory should hold.

use std::time::Duration;

use actix_web::web::{Bytes, Payload};
use actix_web::{HttpMessage as _, HttpRequest};
use futures_util::StreamExt as _;

use super::problem::{Kind, Problem};
use crate::gateway::Gateway;

/// What the body is said to be, without parameters, in lower case; empty when nothing is said.
pub fn media_type(req: &HttpRequest) -> String {
    req.content_type().to_ascii_lowercase()
}

/// A body in pieces, bounded in size; a sender who falls silent for the body time-out is cut off.
pub struct BoundedStream {
    payload: Payload,
    read: u64,
    limit: u64,
    silence: Duration,
}

impl BoundedStream {
    pub fn new(gateway: &Gateway, payload: Payload, limit: u64) -> Self {
        Self { payload, read: 0, limit, silence: gateway.settings.timeouts.body }
    }

    /// The next piece, or none at the end.
    ///
    /// # Errors
    /// 408, 413, or 400 when the body broke off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let piece = tokio::time::timeout(self.silence, self.payload.next()).await.map_err(|_| {
            let detail = format!("Nothing came for {} seconds.", self.silence.as_secs_f32());
            Problem::new(Kind::RequestTimeout, detail)
        })?;
        let Some(piece) = piece else {
            return Ok(None);
        };
        let piece = piece.map_err(|error| {
            let cause = Some(error.to_string());
            Problem { cause, ..Problem::new(Kind::BadRequest, "The body broke off before its end.") }
        })?;
        self.read += piece.len() as u64;
        if self.read > self.limit {
            let detail = format!("An import is at most {} bytes: send it in parts.", self.limit);
            return Err(Problem::new(Kind::BodyTooLarge, detail));
        }
        Ok(Some(piece))
    }
}
