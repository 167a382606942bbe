//! Sources that are fetched: how they are declared, and their state.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::enumerations;
use crate::scores::pulling::spec::{LookUp, PullSpec};
use crate::scores::pulling::views::PullState;

/// How a source is fetched, of the linked accounts of people who are enrolled: a score from any JSON by a URL and JSON
/// pointers, or signals from a network by its connector, which computed sources count.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Pull)]
pub struct PullBody {
    /// `json`, unless given: a score. The others bring signals.
    #[serde(default)]
    #[schema(value_type = Option<enumerations::Connector>)]
    connector: Option<String>,
    /// Fills in what is left out, for a known service: `klout` (0–100), `kred` (1–1000), `neynar` (0–1).
    #[serde(default)]
    #[schema(example = "klout")]
    preset: Option<String>,
    /// Where the connector or the preset asks instead of its usual place.
    #[serde(default)]
    #[schema(example = "https://klout.example.com")]
    base: Option<String>,
    /// The network whose linked accounts are asked about; a connector has its own.
    #[serde(default)]
    #[schema(example = "x")]
    network: Option<String>,
    /// The URL of a score: `{account}` stands for the account, `{id}` for what `look_up` finds, and `{secret}`, behind the
    /// question mark, for the key that the operator put beside. https only, on a host of the public internet, unless the
    /// operator allows that host.
    #[serde(default)]
    #[schema(example = "https://api.example.com/v1/score?user={account}")]
    url: Option<String>,
    #[serde(default)]
    look_up: Option<LookUpBody>,
    /// A JSON pointer to the score, a number or a text that is one.
    #[serde(default)]
    #[schema(example = "/data/score")]
    value: Option<String>,
    /// A JSON pointer to the time at which it was observed (RFC 3339, or seconds or milliseconds since 1970). Without it,
    /// when it was fetched.
    #[serde(default)]
    #[schema(example = "/data/computed_at")]
    time: Option<String>,
    /// Headers to send, with `{secret}` in their values where the key belongs.
    #[serde(default)]
    #[schema(example = json!({"x-api-key": "{secret}"}))]
    headers: BTreeMap<String, String>,
    /// Requests a day, of all replicas together; as many as the service usually grants, unless given.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100_000_000, example = 10_000)]
    budget: Option<u32>,
}

/// A request before that for the score: for the name under which the service knows an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LookUp)]
pub struct LookUpBody {
    #[schema(example = "https://api.example.com/v1/users?name={account}")]
    url: String,
    /// A JSON pointer to the name.
    #[schema(example = "/id")]
    id: String,
}

impl From<PullBody> for PullSpec {
    fn from(body: PullBody) -> Self {
        let PullBody { connector, preset, base, network, url, look_up, value, time, headers, budget } = body;
        let look_up = look_up.map(|LookUpBody { url, id }| LookUp { url, id });
        Self { connector, preset, base, network, url, look_up, value, time, headers, budget }
    }
}

/// The state of a source that is fetched.
#[derive(Serialize, ToSchema)]
#[schema(as = PullState)]
pub struct PullView {
    #[schema(value_type = enumerations::Connector)]
    connector: &'static str,
    /// The network whose linked accounts are asked about.
    #[schema(example = "bluesky")]
    network: String,
    #[schema(value_type = enumerations::PullStatus)]
    status: &'static str,
    /// Requests a day.
    #[schema(example = 50_000)]
    budget: u32,
    /// The number of them that are left of this UTC day.
    #[schema(example = 49_987)]
    budget_left: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_run_at: Option<Timestamp>,
    /// When the service last answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_answer_at: Option<Timestamp>,
    /// Until when nothing is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    waits_until: Option<Timestamp>,
    /// The fault of the last run; it names nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "it answers 500")]
    fault: Option<String>,
}

impl From<PullState> for PullView {
    fn from(state: PullState) -> Self {
        let PullState {
            connector,
            network,
            status,
            budget,
            budget_left,
            last_run_at,
            last_answer_at,
            waits_until,
            fault,
        } = state;
        Self { connector, network, status, budget, budget_left, last_run_at, last_answer_at, waits_until, fault }
    }
}
