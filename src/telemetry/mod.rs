//! What the gateway says about itself: logs to stderr, metrics for Prometheus.
//!
//! Neither carries a key, a token, a handle, a raw path or a query; metrics name no merchant.

mod client_faults;
pub mod lines;
pub mod logs;
pub mod metrics;
pub mod outage;
mod throttle;

pub use metrics::Metrics;
pub use outage::Outage;
pub use throttle::Throttle;
