//! `/v1/signals/import`: what others did with enrolled people, as networks and feeds tell it.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, post};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::role::permit::WriteScores;
use crate::gateway::Gateway;
use crate::http::openapi::problems::{ProblemsOfBody, ProblemsOfKeys};
use crate::http::v1::scores::feed::{FileView, ImportErrorView, format_of, import};
use crate::scores::import::ImportReport;
use crate::web::auth::Authorized;
use crate::web::problem::Problem;

/// The result of a feed of signals. Every line that holds one is counted once.
#[derive(Serialize, ToSchema)]
#[schema(as = SignalImport)]
pub struct SignalImportView {
    accepted: u64,
    /// The same delivery was there already.
    unchanged: u64,
    /// About people who are not enrolled, or have no proven account on that network: not kept.
    not_enrolled: u64,
    rejected: u64,
    /// Accepted acts without an `id`: sent again, they would count again.
    without_id: u64,
    /// The first 100 lines that were rejected; the counts are of all.
    errors: Vec<ImportErrorView>,
}

impl From<ImportReport> for SignalImportView {
    fn from(report: ImportReport) -> Self {
        let ImportReport { accepted, unchanged, rejected, not_enrolled, without_id, errors, .. } = report;
        let errors = errors.into_iter().map(ImportErrorView::from).collect();
        Self { accepted, unchanged, not_enrolled, rejected, without_id, errors }
    }
}

/// Import signals
///
/// A stream of NDJSON (`{"subject","network","signal","at","seen_at","by","object","value","id"}` a line), of CSV with
/// that header, or of cloud events (1.0) in NDJSON, whose `data` has `network`, `signal` and the rest. `at` is when it
/// happened, or when an object of a running count was made; `seen_at`, when it was observed, which such a count always
/// says. What others did says `by` whom; levels and running counts have a `value`. A delivery with an `id` counts once,
/// however often it is sent; so does a level or running count without one, while acts without one count again. Names of
/// others and of objects are kept as keyed hashes only. Good lines are kept, bad ones are reported by their number; signals
/// about people who are not enrolled, or have no proven account on the network, are counted, and not kept. What comes in
/// about anyone shows that a network is heard of: that is the `observed_at` of everyone's score. It may come packed, with
/// `Content-Encoding: gzip`.
#[utoipa::path(
    tag = "enrolment",
    request_body(
        description = "One signal a line",
        content(
            (String = "application/x-ndjson", example = json!("{\"subject\":\"twitter:ada\",\"network\":\"bluesky\",\"signal\":\"repost\",\"at\":\"2026-11-27T14:32:00Z\",\"by\":\"did:plc:ann\",\"object\":\"post-7\",\"id\":\"e1\"}\n")),
            (String = "text/csv", example = json!("subject,network,signal,at,value\ntwitter:ada,bluesky,followers,2026-11-27T14:32:00Z,1200\n")),
            (FileView = "application/octet-stream")
        )
    ),
    responses((status = 200, description = "What became of it", body = SignalImportView), ProblemsOfBody, ProblemsOfKeys)
)]
#[post("/signals/import")]
pub(crate) async fn import_signals(
    req: HttpRequest,
    caller: Authorized<WriteScores>,
    gateway: Data<Gateway>,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?.id.clone();
    let format = format_of(&req)?;
    let keyring = gateway.keyring.clone();
    let begin = |format| {
        let of = merchant.clone();
        gateway.enrolments.import_signals(&merchant, format, move |handle| keyring.subject_refs(&of, handle))
    };
    let report = import(&gateway, &req, body, format, begin).await?;
    Ok(HttpResponse::Ok().json(SignalImportView::from(report)))
}
