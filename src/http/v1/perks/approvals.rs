//! `/v1/approvals`: whether a second person must approve what decides.

use std::collections::BTreeMap;

use actix_web::web::Data;
use actix_web::{HttpResponse, get, put};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::role::permit::ManagePerks;
use crate::foundation::ids::MerchantId;
use crate::gateway::Gateway;
use crate::http::openapi::problems::{ProblemsOfApproval, ProblemsOfBody, ProblemsOfKeys};
use crate::perks::four_eyes::FourEyes;
use crate::web::auth::Authorized;
use crate::web::extract::Body;
use crate::web::problem::Problem;

/// The approval that the merchant asks for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalsBody {
    #[schema(example = true)]
    required: bool,
}

/// The approval that the merchant asks for.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApprovalsView {
    /// True if someone other than its author must approve a version before it decides.
    #[schema(example = true)]
    required: bool,
    /// The wish to lift the requirement, until a second person asks the same.
    lift: Option<LiftView>,
}

/// A wish to lift the requirement. It lapses after seven days.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Lift)]
pub struct LiftView {
    /// The key.
    requested_by: String,
    #[schema(value_type = String, format = DateTime)]
    requested_at: Timestamp,
    /// The label of that key, by key.
    #[schema(example = json!({"key_019abf3e5c1f7d0a8e4b2f6c1d3a5b70": "Ada"}))]
    key_labels: BTreeMap<String, String>,
}

impl ApprovalsView {
    async fn of(gateway: &Gateway, merchant: &MerchantId, asked: FourEyes) -> Result<Self, Problem> {
        let lift = match asked.lift {
            None => None,
            Some(it) => {
                let key_labels = gateway.directory.labels_of(merchant, [it.by.clone()].into()).await?;
                Some(LiftView { requested_by: it.by, requested_at: it.at, key_labels })
            }
        };
        Ok(Self { required: asked.required, lift })
    }
}

/// Show whether approval is required
#[utoipa::path(
    tag = "perks",
    responses((status = 200, description = "What is asked for", body = ApprovalsView), ProblemsOfKeys)
)]
#[get("/approvals")]
pub(crate) async fn get_approvals(
    caller: Authorized<ManagePerks>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    let merchant = &caller.merchant()?.id;
    let asked = gateway.catalog.four_eyes(merchant).await?;
    Ok(HttpResponse::Ok().json(ApprovalsView::of(&gateway, merchant, asked).await?))
}

/// Require approval, or no longer
///
/// `{"required": true}` holds at once: from then on a version decides only after someone other than
/// its author has approved it. What was scheduled before remains scheduled. `{"required": false}` takes
/// two people: the first asks, and it is lifted when a second, who is not the first under another key,
/// asks the same within seven days. Keys that go back to one key are one person.
#[utoipa::path(
    tag = "perks",
    request_body = ApprovalsBody,
    responses(
        (status = 200, description = "What is asked for now: see `lift`", body = ApprovalsView),
        ProblemsOfApproval, ProblemsOfBody, ProblemsOfKeys
    )
)]
#[put("/approvals")]
pub(crate) async fn put_approvals(
    caller: Authorized<ManagePerks>,
    gateway: Data<Gateway>,
    body: Body<ApprovalsBody>,
) -> Result<HttpResponse, Problem> {
    let merchant = &caller.merchant()?.id;
    let asked = gateway.catalog.set_four_eyes(merchant, caller.actor(), body.required).await?;
    Ok(HttpResponse::Ok().json(ApprovalsView::of(&gateway, merchant, asked).await?))
}
