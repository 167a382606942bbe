//! `/schemas`: what editors check rule files with; open to everyone.

use std::collections::BTreeMap;

use actix_web::http::header::IfNoneMatch;
use actix_web::{HttpResponse, get, web};
use utoipa::ToSchema;

use super::openapi::problems::ProblemsOfCopies;
use crate::web::fixed_document::FixedDocument;

/// `/schemas/perk.json`, as it is served.
pub(super) struct PerkSchema(pub FixedDocument);

/// A JSON Schema (2020-12).
#[derive(ToSchema)]
#[schema(as = JsonSchema, example = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "perkgate perk file", "type": "object"}))]
#[expect(dead_code, reason = "describes what perks write")]
pub(super) struct JsonSchemaView(BTreeMap<String, serde_json::Value>);

/// Schema of perk files
///
/// The JSON Schema (2020-12) of a perk with its rule, the body of `POST /v1/perks`; the rule alone is under
/// `#/$defs/rule`.
#[utoipa::path(
    tag = "perks",
    security(()),
    responses(
        (status = 200, description = "The schema", content_type = "application/schema+json", body = JsonSchemaView),
        (status = 304, description = "Your copy is still good"),
        ProblemsOfCopies
    )
)]
#[get("/schemas/perk.json")]
pub(super) async fn get_perk_schema(schema: web::Data<PerkSchema>, held: web::Header<IfNoneMatch>) -> HttpResponse {
    schema.0.answer(&held)
}
