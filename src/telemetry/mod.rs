//! The gateway's reports about itself: logs to stderr, metrics for Prometheus.
//!
//! - `logs`, `lines`: log lines, and the thread that writes them; `throttle`, `outage`: fewer of them
//! - `families`, `meters`, `metrics`: the table of metrics, their handles, and the text that Prometheus reads
//! - `client_faults`: errors of clients that the HTTP library logs
//!
//! Neither logs nor metrics carry a key, a token, a handle, a raw path or a query; metrics name no merchant.

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
