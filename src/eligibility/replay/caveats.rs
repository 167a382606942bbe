//! The warnings of what makes a backtest's numbers other than they seem.

use super::{Report, Subject};
use crate::eligibility::population::Warning;
use crate::rules::limit::Window;

/// The warnings about a replay.
pub(super) fn of(of: &Subject, report: &Report) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code, detail: String| warnings.push(Warning { code, detail });
    if report.checks == 0 {
        warn("no_checks", format!("Nobody was checked for this perk from {} to {}.", of.from, of.to));
    }
    if report.reproduction.mismatches > 0 {
        let detail = "The rule that ran comes to other decisions than it did: this is a defect of the gateway.";
        warn("not_reproduced", detail.to_owned());
    }
    let holds_places = of.rule.limits().iter().any(|limit| matches!(limit.window, Window::Concurrent { .. }));
    if holds_places && report.newly_admitted > 0 {
        let detail = "Nobody knows whether those who would newly be admitted had come, or for how long: \
                      each of them holds a place until the token lapses.";
        warn("stays_not_known", detail.to_owned());
    }
    if report.without_occupancy > 0 {
        let detail = format!(
            "How full the place was is not recorded of {} of the checks, as nobody counted it there: what the rule asks of \
             it is missing for them.",
            report.without_occupancy
        );
        warn("occupancy_unknown", detail);
    }
    warnings
}
