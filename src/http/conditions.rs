//! What a request says the thing must still be (RFC 9110 §13), and a body that may be left out.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use super::extract::Body;
use super::problem::{Kind, Problem};
use crate::perks::life::Expected;

/// The header `If-Match`, or none.
#[derive(Debug, Clone)]
pub struct IfMatch(Option<Expected>);

impl IfMatch {
    /// What was said; nothing said is anything.
    #[must_use]
    pub fn or_anything(self) -> Expected {
        self.0.unwrap_or_default()
    }

    /// What was said.
    ///
    /// # Errors
    /// 428 when nothing was: an edit that doesn't say what it edits could undo another's.
    pub fn required(self) -> Result<Expected, Problem> {
        self.0.ok_or_else(|| {
            let detail = "Send the `ETag` of the version that you edited as `If-Match`; GET the version to learn it.";
            Problem::new(Kind::PreconditionRequired, detail)
        })
    }
}

impl FromRequest for IfMatch {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut said: Option<Vec<String>> = None;
        for value in req.headers().get_all(header::IF_MATCH) {
            let Ok(text) = value.to_str() else {
                return ready(Err(Problem::new(Kind::BadRequest, "The header `If-Match` can't be read.")));
            };
            if text.trim() == "*" {
                return ready(Ok(Self(Some(Expected::Anything))));
            }
            // A weak tag never matches here (§13.1.1), and what is no tag matches nothing.
            let tags = text.split(',').filter_map(|tag| tag.trim().strip_prefix('"')?.strip_suffix('"'));
            said.get_or_insert_default().extend(tags.map(str::to_owned));
        }
        ready(Ok(Self(said.map(Expected::OneOf))))
    }
}

/// A JSON body of type `T`, or its default when there is none. Not `Option<Body<T>>`, which would
/// take a malformed body for none.
#[derive(Debug)]
pub struct Optional<T>(T);

impl<T> Optional<T> {
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T: DeserializeOwned + Default + 'static> FromRequest for Optional<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let headers = req.headers();
        let length = headers.get(header::CONTENT_LENGTH).map(header::HeaderValue::as_bytes);
        let is_empty = !headers.contains_key(header::TRANSFER_ENCODING) && matches!(length, None | Some(b"0"));
        if is_empty {
            return Box::pin(ready(Ok(Self(T::default()))));
        }
        let body = Body::<T>::from_request(req, payload);
        Box::pin(async move { Ok(Self(body.await?.into_inner())) })
    }
}
