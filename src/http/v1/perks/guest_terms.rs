//! The guests that a tier admits, for the API's description: rules are read by the room that owns them.
#![expect(dead_code, reason = "describes what rules are read from")]

use utoipa::ToSchema;

use crate::http::enumerations::OverGuests;

/// The guests that the people of a tier may bring.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RuleGuests, example = json!({"free": 1, "max": 3, "under": 2, "over": "deny"}))]
pub struct RuleGuestsView {
    /// How many are free; none unless given, at most `max`.
    #[schema(minimum = 0, maximum = 99)]
    free: Option<u32>,
    /// How many may be brought; those who are not free are charged.
    #[schema(minimum = 0, maximum = 99)]
    max: u32,
    /// Children younger than so many years are not counted, by limits neither.
    #[schema(minimum = 1, maximum = 18)]
    under: Option<u32>,
    /// `deny` unless given: this tier doesn't admit a larger party; or `admit_max`: it admits as many as may be brought.
    over: Option<OverGuests>,
}
