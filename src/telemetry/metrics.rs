//! Metrics in the text format of Prometheus. Only recording and rendering: the listener is a door's.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

use super::families::{FAMILIES, MetricKind};

/// The interval at which what was recorded is folded into the histograms; without it they grow without bound,
/// scraped or not.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The process's metrics; cheap to clone.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
#[error("metrics can't be recorded")]
pub struct MetricsError(#[from] BuildError);

impl Metrics {
    /// Starts recording. There is one recorder in a process, so every later call gives the same.
    ///
    /// # Errors
    /// When another recorder stands in this process already.
    pub fn start() -> Result<Self, MetricsError> {
        static STARTED: Mutex<Option<Metrics>> = Mutex::new(None);
        let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(metrics) = &*started {
            return Ok(metrics.clone());
        }
        let mut builder = PrometheusBuilder::new();
        for family in FAMILIES {
            if let MetricKind::Histogram(bounds) = family.kind {
                builder = builder.set_buckets_for_metric(Matcher::Full(family.name.to_owned()), bounds)?;
            }
        }
        Ok(started.insert(Self(builder.install_recorder()?)).clone())
    }

    /// All of them as the text of `/metrics`.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Folds what was recorded into the histograms, until cancelled; run it once, on the main runtime.
    pub async fn keep_up(self, cancel: CancellationToken) {
        let mut tick = tokio::time::interval(UPKEEP_EVERY);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = tick.tick() => self.0.run_upkeep(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::meters;

    #[test]
    fn what_is_recorded_is_rendered_with_help_and_buckets() {
        let metrics = Metrics::start().unwrap();
        let meters = meters();
        meters.revocations.add([], 2);
        meters.note_request("GET", "/test/{it}", 200, Duration::from_millis(4));
        meters.note_request("GET", "/test/{it}", 200, Duration::from_millis(4));
        let text = metrics.render();
        assert!(
            text.contains("# HELP perkgate_revocations_total Grants taken back by revoking their token."),
            "{text}"
        );
        let duration = r#"perkgate_http_request_duration_seconds_bucket{method="GET",route="/test/{it}",le="#;
        for line in [
            "perkgate_revocations_total 2".to_owned(),
            r#"perkgate_checks_total{decision="referred"} 0"#.to_owned(),
            r#"perkgate_http_requests_total{method="GET",route="/test/{it}",status="200"} 2"#.to_owned(),
            format!("{duration}\"0.003\"}} 0"),
            format!("{duration}\"0.005\"}} 2"),
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in {text}");
        }
    }
}
