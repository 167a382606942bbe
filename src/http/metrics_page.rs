//! `/metrics`, on its own listener only: the gauges as things are now, and all that was counted.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::health::ReadinessView;
use crate::gateway::Gateway;
use crate::telemetry::families::READINESS_REASONS;
use crate::telemetry::{Metrics, meters};
use crate::web::state::State;

pub(crate) async fn get_metrics(gateway: Data<Gateway>, state: Data<State>, metrics: Data<Metrics>) -> HttpResponse {
    gateway.observe().await;
    let reasons = ReadinessView::of(&gateway, &state).reasons;
    for reason in READINESS_REASONS {
        meters().readiness_reason.set_count([*reason], u64::from(reasons.contains(reason)));
    }
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(metrics.render())
}
