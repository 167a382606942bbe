//! The HTTP door: it turns requests into calls of the rooms, and their answers into JSON.
//!
//! To add an endpoint:
//! 1. Write the handler in `v1/<resource>/`, named `<verb>_<resource>`, with `#[utoipa::path]` and
//!    then actix's own `#[get("/…")]` above it (`use actix_web::get`: a path there is not collected).
//!    Its first argument is `caller: Authorized<permit::…>`: the signature names the permission, which is
//!    checked before the body is read. Then `Path` and `Params` of `web/params.rs` and `Body` of
//!    `web/extract.rs`, never actix's own.
//! 2. Start every query from `caller.merchant()?.id`; another merchant's id is a 404 (promise 6).
//! 3. Return `Result<HttpResponse, Problem>`. A new way to fail is a line in the table in
//!    `web/problem.rs` and an arm of a `From` in `error_mapping.rs` or `door_errors.rs`; never a status code in a handler.
//! 4. Request types take `#[serde(deny_unknown_fields)]`, views are `…View`; both derive `ToSchema`.
//! 5. Name it in `routes.rs` with the same permit: the document's roles come from there. Everything else (key, rate,
//!    request id, span, metrics, `HEAD`, 405, the refusal of query parameters that it doesn't document, the OpenAPI
//!    document) comes with that. Problems go into the document by `Problems…` of `openapi/problems.rs`.

mod app;
mod docs;
mod documents;
mod door_errors;
mod enumerations;
mod error_mapping;
pub mod health;
mod klout;
pub(crate) mod metrics_page;
pub mod middleware;
mod ndjson;
#[cfg(test)]
mod once_tests;
pub mod openapi;
pub mod routes;
mod schemas;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod v1;
pub mod well_known;
#[cfg(test)]
mod wire_tests;

pub use crate::web::problem::Problem;
pub use app::app;
pub use documents::Documents;
