//! The OpenAPI 3.1 document: what it says beside what the handlers say about themselves.

pub mod problems;
pub(super) mod roles;

use std::collections::BTreeMap;

use actix_web::App;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{RefOr, Response, Schema};
use utoipa::{IntoResponses as _, Modify, OpenApi};
use utoipa_actix_web::AppExt;

use super::routes::routes;
use super::v1::audit::export::ExportFormat;
use super::v1::reports::{GroupedBy, ReportFormat};
use problems::{ProblemView, ProblemsOfAll, SpotView};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "perkgate",
        description = "Perk eligibility: threshold rules over cached scores, answered with signed tokens and a provable record.",
        contact(name = "The operator of this gateway"),
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/", description = "The gateway that serves this document")),
    components(schemas(ProblemView, SpotView, ReportFormat, GroupedBy, ExportFormat)),
    modifiers(&Security),
    security(("key" = [])),
    tags(
        (name = "checks", description = "May this person have this perk? And what was answered"),
        (name = "links", description = "What the person of a check sees and says by the link of its answer"),
        (name = "desk", description = "The people at a desk, and what they let in by hand"),
        (name = "referrals", description = "What a person is to decide, and how they decided"),
        (name = "contests", description = "Refusals that someone says are wrong, and what a person decided about them"),
        (name = "tokens", description = "Doors spend what checks granted; whether a token still opens one, and taking it back"),
        (name = "audit", description = "What was recorded, as it stands in the merchant's log"),
        (name = "subjects", description = "What is held on one person, and erasing it"),
        (name = "perks", description = "What a merchant offers, and to whom"),
        (name = "attributes", description = "What rules may look at of people besides scores"),
        (name = "enrolment", description = "Who is scored, and what is known of them"),
        (name = "scores", description = "What is known about people, and from where"),
        (name = "Public keys", description = "Public keys to check tokens and logs with"),
        (name = "merchants", description = "The businesses that offer perks"),
        (name = "keys", description = "API keys and what they are bound to"),
        (name = "health", description = "Whether this process should be sent traffic"),
    ),
)]
struct Frame;

struct Security;

impl Modify for Security {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An API key: `Authorization: Bearer pgk_…`. Its role decides what it may do."))
            .build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(scheme));
    }
}

fn merge_problems(operation: &mut Operation) {
    let mut merged: BTreeMap<String, RefOr<Response>> = BTreeMap::new();
    for (key, response) in std::mem::take(&mut operation.responses.responses) {
        let status = key.split(' ').next().unwrap_or_default().to_owned();
        match (merged.get_mut(&status), response) {
            (Some(RefOr::T(known)), RefOr::T(more)) => {
                known.description = format!("{}; {}", known.description, more.description);
                known.content.extend(more.content);
            }
            (_, response) => drop(merged.insert(status, response)),
        }
    }
    operation.responses.responses = merged;
}

/// The whole document: the frame and every route.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    let (_, mut document) = App::new().into_utoipa_app().openapi(Frame::openapi()).configure(routes).split_for_parts();
    for operation in document.paths.paths.values_mut().flat_map(operations_of) {
        operation.responses.responses.extend(ProblemsOfAll::responses());
        merge_problems(operation);
        leave_out_nulls(operation);
    }
    document
}

/// The operations of one address, by the methods that routes are mounted with.
fn operations_of(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, post, put, patch, delete, .. } = item;
    [get, post, put, patch, delete].into_iter().flatten()
}

/// Drops null where it can't be sent: a parameter has no way to be null, and a body that is null is refused.
fn leave_out_nulls(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter {
            without_null(&mut parameter.schema);
        }
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        for content in body.content.values_mut() {
            if let RefOr::T(content) = content {
                without_null(&mut content.schema);
            }
        }
    }
}

fn without_null(schema: &mut Option<RefOr<Schema>>) {
    let is_null = |one: &RefOr<Schema>| matches!(one, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null));
    match schema {
        Some(RefOr::T(Schema::Object(object))) => {
            if let SchemaType::Array(types) = &mut object.schema_type {
                types.retain(|one| *one != Type::Null);
                if let [one] = types.as_slice() {
                    object.schema_type = SchemaType::Type(one.clone());
                }
            }
        }
        Some(RefOr::T(Schema::OneOf(one_of))) => {
            one_of.items.retain(|one| !is_null(one));
            if let [one] = one_of.items.as_slice() {
                *schema = Some(one.clone());
            }
        }
        _ => {}
    }
}

/// The document as it is served and committed.
#[must_use]
pub fn json(document: &utoipa::openapi::OpenApi) -> String {
    document.to_pretty_json().unwrap_or_default()
}
