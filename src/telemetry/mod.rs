//! The gateway's reports about itself: logs to stderr, metrics for Prometheus.
//!
//! Neither carries a key, a token, a handle, a raw path or a query; metrics name no merchant.

mod client_faults;
pub mod families;
pub mod lines;
pub mod logs;
pub mod meters;
pub mod metrics;
pub mod outage;
mod throttle;

pub use meters::meters;
pub use metrics::Metrics;
pub use outage::Outage;
pub use throttle::Throttle;
