//! The part of a decision that is about limits and waiting, in the words of every command that shows a decision.

use std::fmt;

use jiff::Timestamp;

use super::{write_line, write_part};
use crate::eligibility::shown::check::CheckShown;
use crate::eligibility::shown::explanation::{GuestsShown, LimitShown};
use crate::eligibility::shown::simulation::SimulationShown;

/// The rest of each limit, and the good of waiting.
pub(crate) struct LimitsLeft<'a> {
    limits: &'a [LimitShown],
    next_eligible_at: Option<Timestamp>,
    max_wait: Option<&'a str>,
    guests: Option<GuestsShown>,
}

impl<'a> From<&'a CheckShown> for LimitsLeft<'a> {
    fn from(check: &'a CheckShown) -> Self {
        let CheckShown { limits, next_eligible_at, max_wait, guests, .. } = check;
        Self { limits, next_eligible_at: *next_eligible_at, max_wait: max_wait.as_deref(), guests: *guests }
    }
}

impl<'a> From<&'a SimulationShown> for LimitsLeft<'a> {
    fn from(simulation: &'a SimulationShown) -> Self {
        let SimulationShown { limits, next_eligible_at, max_wait, guests, .. } = simulation;
        Self { limits, next_eligible_at: *next_eligible_at, max_wait: max_wait.as_deref(), guests: *guests }
    }
}

impl fmt::Display for GuestsShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { admitted, free, charged, uncounted, refused } = self;
        write_part!(f, "guests: {admitted} admitted ({free} free, {charged} charged, {uncounted} uncounted)")?;
        if *refused > 0 { write_part!(f, ", {refused} refused") } else { Ok(()) }
    }
}

impl fmt::Display for LimitsLeft<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(guests) = &self.guests {
            write_line!(f, "  {guests}")?;
        }
        for LimitShown { id, remaining, resets_at } in self.limits {
            let resets = resets_at.map(|at| format!(", counted again from {at}")).unwrap_or_default();
            write_line!(f, "  {id}: {remaining} left{resets}")?;
        }
        if let Some(at) = self.next_eligible_at {
            write_line!(f, "  would be granted from {at} on")?;
        }
        match self.max_wait {
            Some(wait) => write_line!(f, "  waits {wait} at the longest"),
            None => Ok(()),
        }
    }
}
