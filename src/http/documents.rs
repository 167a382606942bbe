//! What this door says of itself, made once: the OpenAPI document, the page that shows it, the schema of perk files, and
//! what the middleware reads off the document.

use super::docs::Docs;
use super::middleware::allowed_methods::AllowedMethods;
use super::middleware::known_parameters::KnownParameters;
use super::openapi;
use crate::perks::schema;
use crate::web::fixed_document::FixedDocument;

/// Shared by all workers.
pub struct Documents {
    /// `/openapi.json`.
    pub(super) openapi: FixedDocument,
    pub(super) docs: Docs,
    /// `/schemas/perk.json`.
    pub(super) perk_schema: FixedDocument,
    /// The query parameters of every operation.
    pub(super) parameters: KnownParameters,
    /// The methods of every documented path.
    pub(super) methods: AllowedMethods,
}

impl Documents {
    #[must_use]
    pub fn new() -> Self {
        let document = openapi::document();
        Self {
            parameters: KnownParameters::of(&document),
            methods: AllowedMethods::of(&document),
            openapi: FixedDocument::new(openapi::json(&document), "application/json"),
            docs: Docs::new(),
            perk_schema: FixedDocument::new(schema::text(), "application/schema+json").for_any_origin(),
        }
    }
}

impl Default for Documents {
    fn default() -> Self {
        Self::new()
    }
}
