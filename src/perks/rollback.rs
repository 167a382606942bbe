//! Going back to what a perk's rule was before.

use super::draft::Draft;
use super::error::PerkError;
use super::life::{Change, Expected, rule_of, version_of};
use super::perk::Made;
use super::perk::VersionStatus;
use super::required_status::require;
use super::store::{self, PerkRow};
use crate::foundation::field_error::FieldError;
use crate::ledger::events::perks::VersionChanged;

impl Change<'_> {
    /// Makes the content of an earlier version a new one that decides, and that no schedule made before
    /// overtakes; with four eyes, one that waits for approval.
    pub(super) fn roll_back(&mut self, perk: &mut PerkRow, to: i32, note: Option<String>) -> Result<Made, PerkError> {
        let (row, status) = self.version(perk, to, &Expected::Anything)?;
        require(&[VersionStatus::Retired], perk, &row, status, "rolled back to")?;
        let of_rule = |error| match error {
            PerkError::Rule(errors) => PerkError::CantReturn(errors),
            other => other,
        };
        let rule = rule_of(perk, &row).map_err(of_rule)?;
        let note = note.unwrap_or_else(|| format!("Back to version {to}."));
        let draft = Draft { rule, publish: true, change_note: Some(note) };
        let mut made = draft.store(self, perk).map_err(of_rule)?;
        let (row, _) = self.version(perk, made.version.version, &Expected::Anything)?;
        self.tell("rule.rolled_back", perk, &VersionChanged { to: Some(to), ..version_of(perk, &row) });
        if let Some(mut next) = store::find_scheduled(self.conn, self.merchant, &perk.id)? {
            let version = next.version;
            let (code, detail) = if made.version.status == VersionStatus::Published {
                // A person who goes back means it to last.
                let note = format!("Taken back by going back to version {to}.");
                self.lift_schedule(perk, &mut next, Some(note))?;
                (
                    "schedule_taken_back",
                    format!("version {version} was scheduled, and is no more: schedule it again if it is still wanted"),
                )
            } else {
                (
                    "still_scheduled",
                    format!(
                        "version {version} is scheduled, and will decide from its instant on: unschedule it to be sure"
                    ),
                )
            };
            // In the place of what is said where something else is published.
            made.warnings.retain(|it| it.code != "still_scheduled");
            made.warnings.push(FieldError::at("", code, detail));
        }
        Ok(made)
    }
}
