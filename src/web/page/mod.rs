//! Pages for people: how they are sent, and the headers that keep other pages out.
//!
//! - `arrival`: what every door of pages asks first; `transport`: over which connections they are answered
//! - `cookie`: what a browser holds
//! - `assets`: styles and scripts; `qr`: codes to scan; `icon`: pictures in a line of text

pub(crate) mod arrival;
pub(crate) mod assets;
pub(crate) mod cookie;
pub(crate) mod icon;
pub(crate) mod qr;
pub(crate) mod transport;

use std::fmt::Display;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use askama::Template;

use crate::web::problem::Problem;

/// Only what we serve ourselves is loaded, run or sent to; no page shows ours within its own.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'; manifest-src 'self'; worker-src 'self'";

/// The headers of every answer.
const HEADERS: [(&str, &str); 5] = [
    ("content-security-policy", POLICY),
    // Not `no-referrer`: browsers would then leave our own forms without their origin.
    ("referrer-policy", "same-origin"),
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

pub(crate) const HTML: &str = "text/html; charset=utf-8";

/// Adds the headers that keep other pages out; `permissions` are the devices that a page may use.
pub(crate) fn write_headers(headers: &mut HeaderMap, permissions: &'static str) {
    for (name, value) in HEADERS.into_iter().chain([("permissions-policy", permissions)]) {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}

/// A page.
///
/// # Errors
/// A template that can't be written out.
pub(crate) fn page(template: &impl Template) -> Result<HttpResponse, Problem> {
    page_of(StatusCode::OK, template)
}

/// A page that says that something was not done.
///
/// # Errors
/// A template that can't be written out.
pub(crate) fn page_of(status: StatusCode, template: &impl Template) -> Result<HttpResponse, Problem> {
    let text = template.render().map_err(|error| Problem::internal(&error))?;
    Ok(HttpResponse::build(status).content_type(HTML).body(text))
}

/// The way to another page, which the browser then asks for: so going back sends nothing twice.
pub(crate) fn see_other(address: &impl Display) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, address.to_string())).finish()
}
