//! The forms that our own pages send, each with the token of the session that the page was made for.

use std::collections::BTreeMap;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use aws_lc_rs::constant_time;
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::caller::{log_in_first, session_of};
use super::kept::{Kept, MOST_FORM, Stale, TOKEN};
use crate::foundation::field_error::FieldError;
use crate::web::extract::read_large;
use crate::web::form::FORM;
use crate::web::params::{fit, members};
use crate::web::problem::{Kind, Problem, sentence};

/// The faults of a form, each at the field that it is about.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults(Vec<(&'static str, String)>);

impl Faults {
    /// One fault at one field.
    pub(super) fn at(field: &'static str, words: impl Into<String>) -> Self {
        Self(vec![(field, words.into())])
    }

    /// The errors of a room, at those of the form's fields that they name; the others at the first one.
    pub(super) fn of(errors: &[FieldError], fields: &[&'static str]) -> Self {
        let first = fields.first().copied().unwrap_or_default();
        let at = |error: &FieldError| {
            let named = error.path.as_str().trim_start_matches('/');
            fields.iter().copied().find(|field| *field == named).unwrap_or(first)
        };
        Self(errors.iter().map(|error| (at(error), sentence(&error.detail))).collect())
    }

    pub(super) fn of_field(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(of, _)| *of == field).map(|(_, words)| words.as_str())
    }

    pub(super) fn all(&self) -> &[(&'static str, String)] {
        &self.0
    }
}

/// A form that has its token alone.
#[derive(serde::Deserialize)]
pub(super) struct Nothing {}

/// The largest form of fields, in bytes: a rule twice, as it was shown and as it is typed.
const MOST_OF_FIELDS: usize = 400 * 1024;

/// A form of type `T` that was sent from a page of the caller's own session; its fields read from text. Fields that are
/// empty count as left out.
pub(super) struct Posted<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Posted<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, payload) = (req.clone(), payload.take());
        Box::pin(async move {
            let mut fields = read_fields(&req, payload, MOST_FORM).await?;
            fields.retain(|_, value| value.as_str() != Some(""));
            fit(fields).map(Self)
        })
    }
}

/// The fields of such a form by their names, the empty ones too: what was emptied differs from what wasn't sent.
pub(super) struct PostedFields(pub BTreeMap<String, String>);

impl FromRequest for PostedFields {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, payload) = (req.clone(), payload.take());
        Box::pin(async move { fit(read_fields(&req, payload, MOST_OF_FIELDS).await?).map(Self) })
    }
}

/// The fields of a form that was sent from a page of the caller's own session.
async fn read_fields(req: &HttpRequest, payload: Payload, most: usize) -> Result<Map<String, Value>, Problem> {
    let session = session_of(req).ok_or_else(log_in_first)?;
    let raw = read_large(req, payload, FORM, most).await?;
    let text = std::str::from_utf8(&raw).map_err(|_| Problem::new(Kind::BadRequest, "A form is UTF-8."))?;
    let mut fields = members(text)?;
    let kept = Kept::of(req.path(), text);
    let sent = fields.remove(TOKEN);
    let sent = sent.as_ref().and_then(Value::as_str).unwrap_or_default().as_bytes();
    if constant_time::verify_slices_are_equal(sent, session.form_token.as_bytes()).is_err() {
        if let Some(kept) = kept.filter(|kept| kept.is_of(&session)) {
            // The door shows it again.
            req.extensions_mut().insert(Stale(kept));
        }
        return Err(Problem::new(
            Kind::Forbidden,
            "This form was made for another session, and nothing was done: you may have logged in again since. \
             Open the page again and send it from there.",
        ));
    }
    if let Some(kept) = kept {
        // It is shown again where the database is away.
        req.extensions_mut().insert(kept);
    }
    Ok(fields)
}
