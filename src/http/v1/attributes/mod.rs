//! `/v1/attributes`: what a merchant's rules may look at of people besides scores.

pub mod import;

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, put};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::role::permit::ManageSources;
use crate::foundation::period::Period;
use crate::gateway::Gateway;
use crate::http::enumerations;
use crate::http::openapi::problems::{ProblemsOfAttributes, ProblemsOfBody, ProblemsOfKeys, ProblemsOfNames};
use crate::perks::attributes::{Attribute, AttributeError, AttributeTerms};
use crate::rules::declared::type_name;
use crate::web::auth::Authorized;
use crate::web::extract::{Body, Path};
use crate::web::preconditions::IfMatch;
use crate::web::problem::{Kind, Problem};

/// The terms of an attribute.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"type": "text", "purpose": "lounge", "max_age": "P30D"}))]
pub struct AttributeBody {
    /// The type of its values. It can't be changed while any are kept.
    #[schema(value_type = enumerations::AttributeType)]
    r#type: String,
    /// The purpose of its values: one of those that perks can have.
    #[schema(value_type = enumerations::Purpose)]
    purpose: String,
    /// How long after it was recorded a value is known (ISO 8601), at most ten years; for good without it.
    #[schema(value_type = Option<String>, example = "P30D")]
    max_age: Option<Period>,
    /// The decision about a person without a value, wherever a rule looks at it: `deny`, `refer`, or `ignore`, which leaves
    /// it to the rest of the rule; that unless it is given.
    #[schema(value_type = Option<enumerations::Fallback>)]
    on_missing: Option<String>,
}

/// An attribute.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attribute)]
pub struct AttributeView {
    /// Rules look at it as `subject.` and this.
    #[schema(example = "status")]
    attribute: String,
    #[schema(value_type = enumerations::AttributeType)]
    r#type: &'static str,
    #[schema(value_type = enumerations::Purpose)]
    purpose: &'static str,
    #[schema(value_type = Option<String>, example = "P30D")]
    max_age: Option<Period>,
    #[schema(value_type = enumerations::Fallback)]
    on_missing: &'static str,
}

/// All of a merchant's attributes.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttributesView {
    attributes: Vec<AttributeView>,
}

impl From<&Attribute> for AttributeView {
    fn from(attribute: &Attribute) -> Self {
        Self {
            attribute: attribute.name.clone(),
            r#type: type_name(attribute.policy.value_type),
            purpose: attribute.purpose.as_str(),
            max_age: attribute.policy.max_age,
            on_missing: attribute.policy.on_missing.as_str(),
        }
    }
}

impl From<AttributeError> for Problem {
    fn from(error: AttributeError) -> Self {
        let kind = Kind::from(&error);
        match error {
            AttributeError::NotFound(name) => {
                Self::new(kind, format!("There is no attribute `{name}`: PUT it first, with its type."))
            }
            AttributeError::Stale => {
                Self::new(kind, "It was changed since you looked: GET it again, and decide again.")
            }
            AttributeError::ValuesKept { .. }
            | AttributeError::InUse { .. }
            | AttributeError::ApprovalRequired { .. }
            | AttributeError::TooMany => Self::new(kind, error.to_string()),
            AttributeError::RuleNewer { .. } => Self::new(kind, error.to_string()).retry_after(1),
            AttributeError::Unfit(errors) => Self::invalid(errors),
            AttributeError::Ledger(error) => error.into(),
            AttributeError::Database(error) => error.into(),
        }
    }
}

/// Declare an attribute
///
/// From then on feeds may say it of people and rules may look at it, as `subject.` and its name. Another PUT
/// changes its terms; a change of its type is refused as long as values are kept or a rule looks at it. With four eyes
/// no change that decides is taken while an approved rule looks at it (409 `approval_required`). Send the `ETag` as
/// `If-Match` to change only what you saw.
#[utoipa::path(
    tag = "attributes",
    params(
        ("attribute" = String, Path, description = "Up to 32 of a-z, 0-9 and _, a letter first; not `network`", example = "status"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the state that is changed")
    ),
    request_body = AttributeBody,
    responses(
        (status = 200, description = "Its terms now", body = AttributeView, headers(("ETag", description = "Tells this state from others"))),
        (status = 201, description = "Declared", body = AttributeView, headers(("ETag", description = "Tells this state from others"))),
        ProblemsOfAttributes, ProblemsOfNames, ProblemsOfBody, ProblemsOfKeys
    )
)]
#[put("/attributes/{attribute}")]
pub(crate) async fn put_attribute(
    caller: Authorized<ManageSources>,
    gateway: Data<Gateway>,
    name: Path<String>,
    expected: IfMatch,
    body: Body<AttributeBody>,
) -> Result<HttpResponse, Problem> {
    let merchant = &caller.merchant()?.id;
    let AttributeBody { r#type, purpose, max_age, on_missing } = body.into_inner();
    let terms = AttributeTerms::read(&r#type, &purpose, max_age, on_missing.as_deref())?;
    let put = gateway.catalog.put_attribute(merchant, caller.actor(), &name, terms, expected.or_anything()).await?;
    let (attribute, is_new) = put;
    let mut response = if is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(response.insert_header((header::ETAG, tag(&attribute))).json(AttributeView::from(&attribute)))
}

/// Show an attribute
#[utoipa::path(
    tag = "attributes",
    params(("attribute" = String, Path, description = "Its name", example = "status")),
    responses(
        (status = 200, description = "Its terms", body = AttributeView, headers(("ETag", description = "Tells this state from others"))),
        ProblemsOfNames, ProblemsOfKeys
    )
)]
#[get("/attributes/{attribute}")]
pub(crate) async fn get_attribute(
    caller: Authorized<ManageSources>,
    gateway: Data<Gateway>,
    name: Path<String>,
) -> Result<HttpResponse, Problem> {
    let attribute = gateway.catalog.find_attribute(&caller.merchant()?.id, &name).await?;
    Ok(HttpResponse::Ok().insert_header((header::ETAG, tag(&attribute))).json(AttributeView::from(&attribute)))
}

/// List attributes
///
/// All that the merchant declared, by name.
#[utoipa::path(
    tag = "attributes",
    responses((status = 200, description = "All of them", body = AttributesView), ProblemsOfKeys)
)]
#[get("/attributes")]
pub(crate) async fn list_attributes(
    caller: Authorized<ManageSources>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    let attributes = gateway.catalog.list_attributes(&caller.merchant()?.id).await?;
    Ok(HttpResponse::Ok().json(AttributesView { attributes: attributes.iter().map(AttributeView::from).collect() }))
}

/// Delete an attribute
///
/// With all its values. It is refused while a rule that decides, or will, looks at it. What is left where this is cut short is
/// deleted within minutes, or by asking again.
#[utoipa::path(
    tag = "attributes",
    params(
        ("attribute" = String, Path, description = "Its name", example = "status"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the state that is deleted")
    ),
    responses(
        (status = 204, description = "It is deleted, and what was kept under it"),
        ProblemsOfAttributes, ProblemsOfNames, ProblemsOfKeys
    )
)]
#[delete("/attributes/{attribute}")]
pub(crate) async fn delete_attribute(
    caller: Authorized<ManageSources>,
    gateway: Data<Gateway>,
    name: Path<String>,
    expected: IfMatch,
) -> Result<HttpResponse, Problem> {
    let merchant = &caller.merchant()?.id;
    let deleted = gateway.catalog.delete_attribute(merchant, caller.actor(), &name, expected.or_anything()).await;
    let cleared = match &deleted {
        // Once more, where it was cut short.
        Ok(()) | Err(AttributeError::NotFound(_)) => gateway.scores.attributes().clear(merchant, &name).await?,
        Err(_) => None,
    };
    if cleared.is_none() {
        deleted?;
    }
    Ok(HttpResponse::NoContent().finish())
}

fn tag(attribute: &Attribute) -> String {
    format!("\"{}\"", attribute.etag())
}
