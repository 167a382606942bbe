//! Liveness and readiness: whether this process is alive and whether it should be sent traffic (promise 7).

use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::gateway::Gateway;
use crate::web::state::{State, is_loaded};

/// The state of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReadinessStatus)]
pub enum Status {
    Ready,
    /// It answers what it can; the reasons say what is away.
    Degraded,
    Starting,
    Draining,
}

/// The readiness of this process to take traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReadinessView {
    pub status: Status,
    /// `database_replaced` and `schema_newer` (until it is started again), `database_unreachable`, `ledger_failing`,
    /// `snapshots_not_loaded`, `draining`; of Redis `redis_unreachable`, `redis_is_no_redis`, `redis_refuses_login`,
    /// `redis_refuses_database`, `redis_refuses_writes`, `redis_refuses_reads`, `redis_refuses_messages`.
    pub reasons: Vec<&'static str>,
}

impl ReadinessView {
    pub(super) fn of(gateway: &Gateway, state: &State) -> Self {
        let reasons = state.unreadiness(gateway);
        let status = match reasons.first() {
            None => Status::Ready,
            Some(_) if state.is_draining() => Status::Draining,
            Some(_) if !is_loaded(gateway) => Status::Starting,
            Some(_) => Status::Degraded,
        };
        Self { status, reasons }
    }
}

/// Alive
///
/// 200 as long as the process answers at all.
#[utoipa::path(tag = "health", security(()), responses((status = 200, description = "Alive", content_type = "text/plain", body = String, example = "alive")))]
#[get("/livez")]
pub(crate) async fn get_livez() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("alive\n")
}

/// Ready for traffic
///
/// 200 when ready or degraded (the reasons say what is away), 503 before the first snapshot and
/// while draining.
#[utoipa::path(
    tag = "health",
    security(()),
    responses(
        (status = 200, description = "Ready or degraded", body = ReadinessView, example = json!({"status": "degraded", "reasons": ["redis_unreachable"]})),
        (status = 503, description = "Starting or draining", body = ReadinessView, example = json!({"status": "draining", "reasons": ["draining"]})),
    )
)]
#[get("/readyz")]
pub(crate) async fn get_readyz(gateway: web::Data<Gateway>, state: web::Data<State>) -> HttpResponse {
    let view = ReadinessView::of(&gateway, &state);
    match view.status {
        Status::Ready | Status::Degraded => HttpResponse::Ok().json(view),
        Status::Starting | Status::Draining => HttpResponse::ServiceUnavailable().json(view),
    }
}
