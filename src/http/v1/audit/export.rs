//! `/v1/audit/export`: the merchant's log as a file that proves itself.

use std::time::Duration;

use actix_web::http::header::{self, ContentDisposition, DispositionParam, DispositionType};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, get};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::stream;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::access::role::permit::Audit;
use crate::audit::export::record::{Form, PeriodAsked};
use crate::audit::export::{Export, Since, Wanted};
use crate::foundation::field_error::FieldError;
use crate::gateway::Gateway;
use crate::http::ndjson::NDJSON;
use crate::http::openapi::problems::{ProblemsOfKeys, ProblemsOfQuery};
use crate::ledger::entry::LogOwner;
use crate::web::auth::Authorized;
use crate::web::deadline::{Late, within};
use crate::web::extract::Params;
use crate::web::problem::Problem;
use crate::web::request::{RequestId, is_head};

/// The format of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    #[default]
    Ndjson,
    Csv,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// Events at or after this instant; from the first unless given.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Events before this instant; to the last unless given.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// `ndjson` unless given.
    format: Option<ExportFormat>,
    /// Go on where an earlier export ended: the size of its last checkpoint, or that checkpoint itself (the
    /// signed note) in base64url. A note is held against the log before anything is exported.
    #[param(example = "18")]
    since: Option<String>,
}

/// Export the log
///
/// The events of a period, or all of them, with everything to verify them offline: canonical bytes, leaf hashes,
/// the tree before the first of them, checkpoints and the history of the log keys. `perkgate audit verify FILE`
/// holds it to the log keys that you name. The last line is `{"record":"end",…}`: without it the export was
/// cut off. What is personal remains sealed. Each export is itself an event of the log.
#[utoipa::path(
    tag = "audit",
    params(ExportQuery),
    responses(
        (status = 200, description = "The file, as it is read", content(
            (String = "application/x-ndjson", example = "{\"record\":\"header\",\"format\":1,\"log\":\"cathay\",…}\n{\"record\":\"event\",\"index\":0,\"leaf_hash\":\"7a0c…\",\"event\":{…}}\n"),
            (String = "text/csv")
        )),
        ProblemsOfQuery, ProblemsOfKeys
    )
)]
#[get("/audit/export")]
pub(crate) async fn get_export(
    caller: Authorized<Audit>,
    req: HttpRequest,
    id: RequestId,
    gateway: Data<Gateway>,
    query: Params<ExportQuery>,
) -> Result<HttpResponse, Problem> {
    let ExportQuery { from, to, format, since } = query.into_inner();
    let since = since.map(|text| read_since(&text)).transpose()?;
    let (form, media_type, ending) = match format.unwrap_or_default() {
        ExportFormat::Ndjson => (Form::Ndjson, NDJSON, "ndjson"),
        ExportFormat::Csv => (Form::Csv, "text/csv; charset=utf-8; header=present", "csv"),
    };
    let merchant = caller.merchant()?;
    if is_head(&req) {
        // No byte leaves, so there is no export to record.
        return Ok(HttpResponse::Ok()
            .content_type(media_type)
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .finish());
    }
    let log = LogOwner::Merchant(merchant.id.clone());
    let wanted = Wanted { log, period: PeriodAsked { from, to }, since, form };
    let export = gateway.exporter.begin(caller.actor(), wanted).await?;
    let name = format!("{}-audit-{}.{ending}", merchant.slug, gateway.clock.now().strftime("%Y%m%dT%H%M%SZ"));
    let disposition = ContentDisposition {
        disposition: DispositionType::Attachment,
        parameters: vec![DispositionParam::Filename(name)],
    };
    Ok(HttpResponse::Ok()
        .content_type(media_type)
        .insert_header((header::CONTENT_DISPOSITION, disposition.to_string()))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .streaming(pieces(export, id, gateway.settings.timeouts.stall())))
}

fn read_since(text: &str) -> Result<Since, Problem> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().map(Since::Size).map_err(|_| unread());
    }
    let note = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    note.map(|note| Since::Notes(vec![note])).ok_or_else(unread)
}

fn unread() -> Problem {
    let detail = "give the size of a checkpoint, or a checkpoint's whole text in base64url";
    Problem::invalid(vec![FieldError::of_parameter("since", "invalid_value", detail)])
}

/// Piece by piece as the client takes them. After a failure the connection is cut: what was sent must not
/// look whole.
fn pieces(
    export: Export,
    id: RequestId,
    stall: Duration,
) -> impl stream::Stream<Item = Result<Bytes, actix_web::Error>> {
    stream::unfold(Some((export, id)), move |state| async move {
        let (mut export, id) = state?;
        let error = match within(stall, export.next()).await {
            Ok(Ok(Some(piece))) => return Some((Ok(Bytes::from(piece)), Some((export, id)))),
            Ok(Ok(None)) => return None,
            Ok(Err(error)) => error.to_string(),
            Err(_) => Late.to_string(),
        };
        // The answer's status is out already, so this is the only place where it is logged.
        tracing::error!(request_id = %id, error, "an export broke off");
        Some((Err(actix_web::error::ErrorInternalServerError("an export broke off")), None))
    })
}
