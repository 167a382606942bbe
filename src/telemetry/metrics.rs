//! Metrics in the text format of Prometheus. Only recording and rendering: the listener is a door's.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the histograms whose names end in `_seconds`: a check answered from memory takes
/// tenths of a millisecond, one that waits for a busy disk a second.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Upper bounds of the histograms whose names end in `_size`: entries in a batch.
const SIZES: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// How often what was recorded is folded into the histograms; without it they grow without bound
/// between two scrapes.
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
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &SIZES)?
            .install_recorder()?;
        Ok(started.insert(Self(handle)).clone())
    }

    /// All of them as the text of `/metrics`.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Folds what was recorded into the histograms, for ever; run it once, on the main runtime.
    pub async fn keep_up(self) {
        let mut tick = tokio::time::interval(UPKEEP_EVERY);
        loop {
            tick.tick().await;
            self.0.run_upkeep();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_rendered_with_buckets() {
        Metrics::start().unwrap();
        let again = Metrics::start().unwrap();
        metrics::counter!("test_checks_total", "decision" => "granted").increment(2);
        metrics::histogram!("test_wait_seconds").record(0.004);
        let text = again.render();
        assert!(text.contains("test_checks_total{decision=\"granted\"} 2"), "{text}");
        assert!(text.contains("test_wait_seconds_bucket{le=\"0.005\"} 1"), "{text}");
        assert!(text.contains("test_wait_seconds_bucket{le=\"0.003\"} 0"), "{text}");
    }
}
