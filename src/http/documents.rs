//! This door's own documents, made once for all workers: the OpenAPI document, the page that shows it, the schema of
//! perk files, and what the middleware reads off the document.

use actix_web::web::{Data, ServiceConfig};

use super::docs::{Docs, OpenApiDocument};
use super::middleware::allowed_methods::AllowedMethods;
use super::middleware::known_parameters::KnownParameters;
use super::openapi;
use super::schemas::PerkSchema;
use crate::perks::schema;
use crate::web::fixed_document::FixedDocument;

/// Cheap to clone.
#[derive(Clone)]
pub struct Documents {
    openapi: Data<OpenApiDocument>,
    docs: Data<Docs>,
    perk_schema: Data<PerkSchema>,
    /// The query parameters of every operation.
    parameters: Data<KnownParameters>,
    /// The methods of every documented path.
    methods: Data<AllowedMethods>,
}

impl Documents {
    #[must_use]
    pub fn new() -> Self {
        let document = openapi::document();
        let schema = FixedDocument::new(schema::text(), "application/schema+json").for_any_origin();
        Self {
            parameters: Data::new(KnownParameters::of(&document)),
            methods: Data::new(AllowedMethods::of(&document)),
            openapi: Data::new(OpenApiDocument(FixedDocument::new(openapi::json(&document), "application/json"))),
            docs: Data::new(Docs::new()),
            perk_schema: Data::new(PerkSchema(schema)),
        }
    }

    /// Hands each to the handlers and the middleware that ask for it.
    pub(super) fn configure(&self, config: &mut ServiceConfig) {
        config
            .app_data(self.openapi.clone())
            .app_data(self.docs.clone())
            .app_data(self.perk_schema.clone())
            .app_data(self.parameters.clone())
            .app_data(self.methods.clone());
    }
}

impl Default for Documents {
    fn default() -> Self {
        Self::new()
    }
}
