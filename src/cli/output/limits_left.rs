//! The part of a decision that is about limits and waiting, as every command shows it that shows a decision.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use super::write_line;
use crate::decision::decided::{Decided, LimitTouched};

/// The rest of each limit, and the good of waiting; flattened into a command's answer.
#[derive(Serialize)]
pub(crate) struct LimitsLeft {
    limits: Vec<LimitLeft>,
    next_eligible_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_wait: Option<String>,
}

#[derive(Serialize)]
struct LimitLeft {
    id: String,
    remaining: u64,
    resets_at: Option<Timestamp>,
}

impl From<&Decided> for LimitsLeft {
    fn from(decided: &Decided) -> Self {
        let left = |limit: &LimitTouched| LimitLeft {
            id: limit.id.clone(),
            remaining: limit.remaining(),
            resets_at: limit.resets_at,
        };
        Self {
            limits: decided.limits.iter().map(left).collect(),
            next_eligible_at: decided.next_eligible_at,
            max_wait: decided.max_wait.map(|wait| wait.to_string()),
        }
    }
}

impl fmt::Display for LimitsLeft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for LimitLeft { id, remaining, resets_at } in &self.limits {
            let resets = resets_at.map(|at| format!(", counted again from {at}")).unwrap_or_default();
            write_line!(f, "  {id}: {remaining} left{resets}")?;
        }
        if let Some(at) = self.next_eligible_at {
            write_line!(f, "  would be granted from {at} on")?;
        }
        match &self.max_wait {
            Some(wait) => write_line!(f, "  waits {wait} at the longest"),
            None => Ok(()),
        }
    }
}
