//! The parts of a perk file by when they take effect: a name and a purpose at once, a rule once its version decides.

use std::fmt;

use serde::Serialize;

use crate::cli::output::write_line;
use crate::perks::perk::VersionStatus;

/// When the parts of a file that applying it changes take effect.
#[derive(Debug, Serialize)]
pub(super) struct Effects {
    /// Some of `name`, `purpose` and `rule`.
    at_once: Vec<&'static str>,
    /// The step before its rule decides: `approval`, `publishing` or `schedule`; null where it decides, or did.
    rule_waits_for: Option<&'static str>,
}

impl Effects {
    /// The effects of parts that change beside the rule, and of the rule's version once the file is applied;
    /// `rule_changes` is false where that version is as it was before.
    pub(super) fn of(beside: &[&'static str], status: VersionStatus, rule_changes: bool) -> Self {
        let mut at_once = beside.to_vec();
        if rule_changes && status == VersionStatus::Published {
            at_once.push("rule");
        }
        let rule_waits_for = match status {
            VersionStatus::Draft | VersionStatus::Approved => Some("publishing"),
            VersionStatus::InReview => Some("approval"),
            VersionStatus::Scheduled => Some("schedule"),
            VersionStatus::Published | VersionStatus::Retired => None,
        };
        Self { at_once, rule_waits_for }
    }

    /// The prefix of a changed part that takes effect at once where the rule doesn't; `is_rule` for the rule's own.
    pub(super) fn prefix(&self, is_rule: bool) -> &'static str {
        match self.rule_waits_for {
            Some(_) if self.at_once.is_empty() => "",
            Some(_) if !is_rule => "at once: ",
            Some("approval") => "once approved and published: ",
            Some("schedule") => "at its instant: ",
            Some(_) => "once published: ",
            None => "",
        }
    }
}

/// The line that says that not all of a file waits with its rule; none where all of it does, or nothing.
impl fmt::Display for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(_), false) = (self.rule_waits_for, self.at_once.is_empty()) else { return Ok(()) };
        let holds = if self.at_once.len() == 1 { "holds" } else { "hold" };
        write_line!(f, "  the new {} {holds} at once; only the rule waits", self.at_once.join(" and "))
    }
}
