//! `/v1/subjects/attributes/import`: what feeds say of people besides scores.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, post};

use crate::access::role::permit::WriteScores;
use crate::gateway::Gateway;
use crate::http::openapi::problems::{ProblemsOfBody, ProblemsOfKeys};
use crate::http::v1::scores::feed::{FileView, ImportView, format_of, import};
use crate::scores::attributes::AttributeImport;
use crate::web::auth::Authorized;
use crate::web::problem::Problem;

/// Import attributes
///
/// A stream of NDJSON (`{"subject","attribute","value","valid_until"}` a line) or CSV with that header; `valid_until`,
/// from when on the value is not known any more, may be left out. In CSV the members of a list are separated by `;`. Sent
/// as `application/octet-stream`, it is NDJSON if it begins with `{`. The last value of a person's attribute stands, and
/// one that says the same again begins to age again. To end a value, send it with a `valid_until` that has passed. Good
/// lines are kept, bad ones are reported by their number; sending the same feed again is safe. It may come packed, with
/// `Content-Encoding: gzip`.
#[utoipa::path(
    tag = "attributes",
    request_body(
        description = "One row a line",
        content(
            (String = "application/x-ndjson", example = json!("{\"subject\":\"twitter:ada\",\"attribute\":\"status\",\"value\":\"gold\",\"valid_until\":\"2027-01-01T00:00:00Z\"}\n")),
            (String = "text/csv", example = json!("subject,attribute,value,valid_until\ntwitter:ada,status,gold,2027-01-01T00:00:00Z\n")),
            (FileView = "application/octet-stream")
        )
    ),
    responses((status = 200, description = "What became of it", body = ImportView), ProblemsOfBody, ProblemsOfKeys)
)]
#[post("/subjects/attributes/import")]
pub(crate) async fn import_attributes(
    req: HttpRequest,
    caller: Authorized<WriteScores>,
    gateway: Data<Gateway>,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?.id.clone();
    let format = format_of(&req)?;
    let declared = gateway.catalog.declared_attributes(&merchant).await?;
    let keyring = gateway.keyring.clone();
    let begin = |format| {
        let config = AttributeImport { merchant: merchant.clone(), declared, format, clock: gateway.clock.clone() };
        gateway.scores.attributes().import(config, move |handle| keyring.subject_refs(&merchant, handle))
    };
    let report = import(&gateway, &req, body, format, begin).await?;
    Ok(HttpResponse::Ok().json(ImportView::from(report)))
}
