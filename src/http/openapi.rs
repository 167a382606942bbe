//! The OpenAPI 3.1 document: what it says beside what the handlers say about themselves.

use std::collections::BTreeMap;

use actix_web::App;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder, Schema};
use utoipa::{IntoResponses, Modify, OpenApi, ToSchema};
use utoipa_actix_web::AppExt;

use super::routes::routes;
use super::v1::audit::export::Format as ExportFormat;
use super::v1::reports::{Format as ReportFormat, GroupedBy};
use crate::web::problem::Kind;

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
        (name = "referrals", description = "What a person is to decide, and how they decided"),
        (name = "contests", description = "Refusals that somebody says are wrong, and what a person decided about them"),
        (name = "tokens", description = "Doors spend what checks granted; whether a token still opens one, and taking it back"),
        (name = "audit", description = "What was recorded, as it stands in the merchant's log"),
        (name = "subjects", description = "What is held on one person, and erasing it"),
        (name = "perks", description = "What a merchant offers, and to whom"),
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

/// A refusal (RFC 9457).
#[derive(ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "describes what problem.rs writes")]
pub(super) struct ProblemView {
    /// `urn:perkgate:problem:` and the code.
    #[schema(example = "urn:perkgate:problem:invalid_request")]
    r#type: String,
    title: String,
    #[schema(example = 422)]
    status: u16,
    detail: String,
    /// Stable: branch on this.
    #[schema(example = "invalid_request")]
    code: String,
    /// Say it when you ask for help.
    request_id: String,
    /// Every spot that doesn't fit.
    errors: Option<Vec<SpotView>>,
}

/// One spot of a request that doesn't fit.
#[derive(ToSchema)]
#[schema(as = ProblemSpot)]
#[expect(dead_code, reason = "describes what problem.rs writes")]
pub(super) struct SpotView {
    /// Where in the body (RFC 6901).
    #[schema(example = "/label")]
    pointer: Option<String>,
    /// Which parameter of the query, or of a form.
    parameter: Option<String>,
    #[schema(example = "unknown_field")]
    code: String,
    detail: String,
}

macro_rules! problem_sets {
    ($($(#[$doc:meta])* $name:ident = [$($kind:ident),+ $(,)?];)*) => {$(
        $(#[$doc])*
        pub struct $name;
        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                problems(&[$(Kind::$kind),+])
            }
        }
    )*};
}

problem_sets! {
    /// What every operation can answer, whatever it is.
    ProblemsOfAll = [ExpectationFailed];
    /// What can be wrong with the copy that a caller says it holds.
    ProblemsOfCopies = [BadRequest];
    /// What every operation that needs a key can answer: to the key, and to parameters that it doesn't take.
    ProblemsOfKeys = [BadRequest, MissingKey, InvalidKey, ExpiredKey, RevokedKey, Forbidden, OriginNotAllowed, InvalidRequest, RateLimited, TooManyFailedKeys, Internal, InDoubt, Unavailable];
    /// What a query can do wrong.
    ProblemsOfQuery = [BadRequest, InvalidRequest];
    /// What a body can do wrong.
    ProblemsOfBody = [BadRequest, MalformedJson, RequestTimeout, BodyTooLarge, UnsupportedMediaType, InvalidRequest];
    /// What a form can do wrong.
    ProblemsOfForms = [BadRequest, RequestTimeout, BodyTooLarge, UnsupportedMediaType, InvalidRequest];
    /// A name that names nothing, or nothing of this merchant.
    ProblemsOfNames = [NotFound];
    /// What was recorded too long ago.
    ProblemsOfPruning = [Pruned];
    /// What asking without being recorded can run into.
    ProblemsOfDryRuns = [TooManyDryRuns];
    /// What an idempotency key can do wrong.
    ProblemsOfIdempotency = [BadIdempotencyKey, InProgress, IdempotencyKeyReused];
    /// A name that is taken.
    ProblemsOfTaken = [AlreadyExists];
    /// What can stand in the way of a perk's new version.
    ProblemsOfRetired = [PerkRetired];
    /// What can stand in the way of a draft's change.
    ProblemsOfDrafts = [NotADraft, PerkRetired, PreconditionFailed, WeakTag];
    /// An edit that doesn't say of what.
    ProblemsOfEdits = [PreconditionRequired];
    /// What can stand in the way of a step in a version's or a perk's life.
    ProblemsOfSteps = [NotADraft, WrongStatus, PerkRetired, AlreadyScheduled, ApprovalRequired, PreconditionFailed, WeakTag];
    /// What one person can't do alone.
    ProblemsOfApproval = [SelfApproval];
    /// A score that is older than the one that stands.
    ProblemsOfScores = [StaleScore];
    /// A grant that can't be ended again.
    ProblemsOfReturns = [GrantVoided];
    /// What contesting can run into.
    ProblemsOfContests = [AlreadyExists, CaseFull, SelfApproval, WrongStatus];
    /// What a person's decision can run into.
    ProblemsOfRulings = [AlreadyDecided, LimitReached, PerkPaused, PerkRetired];
    /// What a long run can be told.
    ProblemsOfRuns = [TooManyRuns];
    /// What a token can be.
    ProblemsOfTokens = [AlreadyRedeemed, InvalidToken];
}

/// One entry a kind, under its status and code: sets that share a status would overwrite each other.
/// [`merge_problems`] makes one response a status of them.
fn problems(kinds: &[Kind]) -> BTreeMap<String, RefOr<Response>> {
    let response = |kind: &Kind| {
        let content = Content::new(Some(Ref::from_schema_name("Problem")));
        let description = format!("`{}`: {}", kind.code(), kind.title());
        ResponseBuilder::new().description(description).content("application/problem+json", content).build()
    };
    kinds.iter().map(|kind| (format!("{} {}", kind.status().as_str(), kind.code()), response(kind).into())).collect()
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
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            operation.responses.responses.extend(ProblemsOfAll::responses());
            merge_problems(operation);
            leave_out_nulls(operation);
        }
    }
    document
}

/// What is left out is not there: a parameter has no way to be null, and a body that is null is refused.
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
