//! `/v1/grants`: what was granted and what became of it.

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Permission;
use crate::access::role::permit::Check;
use crate::gateway::Gateway;
use crate::http::auth::May;
use crate::http::extract::Path;
use crate::http::openapi::{ProblemsOfKeys, ProblemsOfNames};
use crate::http::problem::Problem;
use crate::ids::{CheckId, GrantId, PerkSlug};

/// A grant.
#[derive(Debug, Serialize, ToSchema)]
pub struct GrantView {
    #[schema(value_type = String, example = "grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    grant: GrantId,
    #[schema(value_type = String, example = "chk_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")]
    check: CheckId,
    #[schema(value_type = String, example = "sfo-lounge")]
    perk: PerkSlug,
    #[schema(example = "standard")]
    tier: Option<String>,
    rule_version: i32,
    status: GrantStatus,
    single_use: bool,
    #[schema(value_type = String, format = DateTime)]
    granted_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// When its token was spent: once at most, if it is for single use.
    #[schema(value_type = Vec<String>)]
    redeemed_at: Vec<Timestamp>,
}

/// Where a grant is in its life.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrantStatus {
    /// Its token can be spent.
    Active,
    Redeemed,
    /// Its token was not spent in time.
    Expired,
}

/// Show a grant
///
/// A kiosk sees the grants of its own key's checks. Roles: admin, kiosk.
#[utoipa::path(
    tag = "checks",
    params(("grant" = String, Path, description = "The grant's id", example = "grt_019abf3e5c1f7d0a8e4b2f6c1d3a5b70")),
    extensions(("x-roles" = json!(["admin", "kiosk"]))),
    responses((status = 200, description = "The grant", body = GrantView), ProblemsOfNames, ProblemsOfKeys)
)]
#[get("/grants/{grant}")]
pub async fn get_grant(
    caller: May<Check>,
    gateway: Data<Gateway>,
    grant: Path<GrantId>,
) -> Result<HttpResponse, Problem> {
    let found = gateway.ledger.find_grant(&caller.merchant()?.id, &grant).await?;
    let visible = found.filter(|found| caller.role.may(Permission::ManagePerks) || found.check.key == caller.key);
    let found = visible.ok_or_else(Problem::not_found)?;
    let granted = found.check.grant.ok_or_else(Problem::not_found)?;
    let status = match (found.redemptions.is_empty(), granted.expires_at <= gateway.clock.now()) {
        (false, _) => GrantStatus::Redeemed,
        (true, true) => GrantStatus::Expired,
        (true, false) => GrantStatus::Active,
    };
    Ok(HttpResponse::Ok().json(GrantView {
        grant: granted.id,
        check: found.check.check,
        perk: found.check.perk,
        tier: found.check.tier,
        rule_version: found.check.rule_version,
        status,
        single_use: granted.single_use,
        granted_at: found.check.at,
        expires_at: granted.expires_at,
        redeemed_at: found.redemptions.into_iter().map(|redemption| redemption.redeemed_at).collect(),
    }))
}
