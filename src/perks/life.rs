//! The steps of a version's life, each inside the ledger's transaction with its event.
//!
//! ```text
//! draft ─submit→ in_review ─approve→ approved ─schedule→ scheduled ─(its instant)→ published → retired
//!   ↑──────── reject, withdraw ─────────┘  └──────────────── publish ────────────────↑
//! ```
//! Without four eyes a draft may be published and scheduled too. Only a draft's content changes.

use jiff::Timestamp;

use super::draft::{self, Draft, name_of};
use super::error::PerkError;
use super::four_eyes;
use super::perk::{PerkStatus, RuleVersion, VersionStatus};
use super::required_status::{require, require_draft, wrong_status};
use super::store::{self, PerkRow, VersionRow};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{MerchantId, PerkSlug};
use crate::ledger::entry::{Actor, EventDraft};
use crate::ledger::events::Nullable;
use crate::ledger::events::perks::VersionChanged;
use crate::rules::instant;
use crate::rules::rule::Rule;

/// Replicas hear of a change within a second: what is due sooner than this is not taken back, or some
/// of them would decide by it and others not.
const TOO_LATE_MICROS: i64 = 2_000_000;

/// The state that the caller says the version must still be in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Expected {
    /// It doesn't matter.
    #[default]
    Anything,
    /// One of these [`RuleVersion::etag`]s.
    OneOf(Vec<String>),
}

/// A change under way.
pub(super) struct Change<'a> {
    pub conn: &'a mut AnyConnection,
    pub events: &'a mut Vec<EventDraft>,
    pub merchant: &'a MerchantId,
    pub actor: &'a Actor,
    pub now: Timestamp,
}

impl Change<'_> {
    /// The perk, locked, with what is due done. A retired one is changed no more.
    pub(super) fn lock(&mut self, slug: &PerkSlug) -> Result<PerkRow, PerkError> {
        let mut perk =
            store::lock_perk(self.conn, self.merchant, slug)?.ok_or_else(|| PerkError::NotFound(slug.clone()))?;
        self.settle(&mut perk)?;
        Ok(perk)
    }

    /// [`Change::lock`], unless it is retired.
    pub(super) fn open(&mut self, slug: &PerkSlug) -> Result<PerkRow, PerkError> {
        let perk = self.lock(slug)?;
        if perk.status == PerkStatus::Retired.as_str() { Err(PerkError::Retired) } else { Ok(perk) }
    }

    /// A version as the caller expects it.
    pub(super) fn version(
        &mut self,
        perk: &PerkRow,
        version: i32,
        expected: &Expected,
    ) -> Result<(VersionRow, VersionStatus), PerkError> {
        let Some(row) = store::find_version(self.conn, self.merchant, &perk.id, version)? else {
            let perk = perk.slug.parse().map_err(|e| DatabaseError::corrupt("perk slug", e))?;
            return Err(PerkError::VersionNotFound { perk, version });
        };
        let stored = RuleVersion::try_from(row.clone())?;
        match expected {
            Expected::OneOf(tags) if !tags.contains(&stored.etag()) => Err(PerkError::Stale),
            _ => Ok((row, stored.status)),
        }
    }

    /// Stores the version in its new status, and tells of it.
    pub(super) fn step(
        &mut self,
        perk: &PerkRow,
        row: &mut VersionRow,
        status: VersionStatus,
        kind: &'static str,
        note: Option<String>,
    ) -> Result<(), PerkError> {
        status.as_str().clone_into(&mut row.status);
        row.step_note = note;
        store::update_version(self.conn, self.merchant, row)?;
        self.tell(kind, perk, &version_of(perk, row));
        Ok(())
    }

    pub(super) fn tell(&mut self, kind: &'static str, perk: &PerkRow, facts: &VersionChanged<'_>) {
        self.events.push(draft::event(self.merchant, self.actor, kind, &perk.id, facts));
    }

    /// Publishes the scheduled version whose instant has come, in the name of who scheduled it.
    /// Every change of a perk does this first, so that none acts on what is no longer so.
    pub(super) fn settle(&mut self, perk: &mut PerkRow) -> Result<(), PerkError> {
        let Some(mut row) = store::find_scheduled(self.conn, self.merchant, &perk.id)? else {
            return Ok(());
        };
        let Some(at) = row.scheduled_at.filter(|at| *at <= self.now.as_microsecond()) else {
            return Ok(());
        };
        let actor = actor_of(row.scheduled_by.as_deref())?;
        let mut change = Change {
            conn: &mut *self.conn,
            events: &mut *self.events,
            merchant: self.merchant,
            actor: &actor,
            now: self.now,
        };
        change.publish(perk, &mut row, from_micros(at))
    }

    /// Lets the version decide from `from` on, and retires the one before it.
    pub(super) fn publish(
        &mut self,
        perk: &mut PerkRow,
        row: &mut VersionRow,
        from: Timestamp,
    ) -> Result<(), PerkError> {
        if let Some(before) = perk.published_version
            && let Some(mut before) = store::find_version(self.conn, self.merchant, &perk.id, before)?
        {
            VersionStatus::Retired.as_str().clone_into(&mut before.status);
            store::update_version(self.conn, self.merchant, &before)?;
        }
        VersionStatus::Published.as_str().clone_into(&mut row.status);
        row.published_by = Some(name_of(self.actor));
        row.published_at = Some(from.as_microsecond());
        store::update_version(self.conn, self.merchant, row)?;
        perk.published_version = Some(row.version);
        store::update_perk(self.conn, self.merchant, perk)?;
        store::record_change(self.conn, self.merchant, &perk.id)?;
        self.tell("rule.published", perk, &VersionChanged { from: Some(from), ..version_of(perk, row) });
        Ok(())
    }

    /// Replaces a draft's content.
    pub(super) fn edit(
        &mut self,
        perk: &PerkRow,
        row: &mut VersionRow,
        status: VersionStatus,
        draft: Draft,
    ) -> Result<Vec<FieldError>, PerkError> {
        require_draft(perk, row, status, "edited")?;
        let warnings = draft::check(self.conn, self.merchant, perk, &draft.rule, self.now)?;
        draft.rule.canonical().clone_into(&mut row.rule);
        draft.rule.hash().clone_into(&mut row.rule_hash);
        row.change_note = draft.change_note;
        let by = name_of(self.actor);
        (row.saved_by, row.saved_at) = (Some(by.clone()), Some(self.now.as_microsecond()));
        if row.author != by && !row.editors.split_whitespace().any(|editor| editor == by) {
            row.editors = if row.editors.is_empty() { by } else { format!("{} {by}", row.editors) };
        }
        self.step(perk, row, VersionStatus::Draft, "rule.edited", None)?;
        Ok(warnings)
    }

    /// Deletes a draft. Its number is not given again.
    pub(super) fn delete(&mut self, perk: &PerkRow, row: &VersionRow, status: VersionStatus) -> Result<(), PerkError> {
        require_draft(perk, row, status, "deleted")?;
        store::delete_version(self.conn, self.merchant, &perk.id, row.version)?;
        self.tell("rule.deleted", perk, &version_of(perk, row));
        Ok(())
    }

    /// Asks for approval.
    pub(super) fn submit(
        &mut self,
        perk: &PerkRow,
        row: &mut VersionRow,
        status: VersionStatus,
        note: Option<String>,
    ) -> Result<(), PerkError> {
        require_draft(perk, row, status, "submitted")?;
        row.submitted_by = Some(name_of(self.actor));
        row.submitted_at = Some(self.now.as_microsecond());
        self.step(perk, row, VersionStatus::InReview, "rule.submitted", note)
    }

    /// Approves what was submitted.
    pub(super) fn approve(
        &mut self,
        perk: &PerkRow,
        row: &mut VersionRow,
        status: VersionStatus,
        note: Option<String>,
    ) -> Result<(), PerkError> {
        require(&[VersionStatus::InReview], perk, row, status, "approved")?;
        if self.actor.key.is_none() {
            return Err(PerkError::NoPerson);
        }
        let by = name_of(self.actor);
        if four_eyes::is_required(self.conn, self.merchant)? {
            if four_eyes::is_author(self.conn, self.merchant, row, &by)? {
                return Err(PerkError::SelfApproval);
            }
            if four_eyes::is_younger(self.conn, self.merchant, &by, row.submitted_at)? {
                return Err(PerkError::YoungKey);
            }
        }
        row.approved_by = Some(by);
        row.approved_at = Some(self.now.as_microsecond());
        self.step(perk, row, VersionStatus::Approved, "rule.approved", note)
    }

    /// Back to a draft, which can be edited; whatever was approved of it counts no more.
    pub(super) fn send_back(
        &mut self,
        perk: &PerkRow,
        row: &mut VersionRow,
        status: VersionStatus,
        kind: &'static str,
        note: Option<String>,
    ) -> Result<(), PerkError> {
        let step = if kind == "rule.rejected" { "rejected" } else { "withdrawn" };
        require(&[VersionStatus::InReview, VersionStatus::Approved], perk, row, status, step)?;
        (row.submitted_by, row.submitted_at, row.approved_by, row.approved_at) = (None, None, None, None);
        self.step(perk, row, VersionStatus::Draft, kind, note)
    }

    /// Lets a version decide at once; what is odd about that.
    pub(super) fn publish_now(
        &mut self,
        perk: &mut PerkRow,
        row: &mut VersionRow,
        status: VersionStatus,
        note: Option<String>,
    ) -> Result<Vec<FieldError>, PerkError> {
        let mut warnings = self.require_publishable(perk, row, status, "published", self.now)?;
        (row.scheduled_by, row.scheduled_at) = (None, None);
        row.step_note = note;
        self.publish(perk, row, self.now)?;
        warnings.extend(draft::still_scheduled(self.conn, self.merchant, perk)?);
        Ok(warnings)
    }

    /// Lets a version decide from an instant on; what is odd about that.
    pub(super) fn schedule(
        &mut self,
        perk: &PerkRow,
        row: &mut VersionRow,
        status: VersionStatus,
        at: &str,
        note: Option<String>,
    ) -> Result<Vec<FieldError>, PerkError> {
        if status == VersionStatus::Scheduled {
            return Err(PerkError::WrongStatus(wrong_status(perk, row, status, "scheduled")));
        }
        let rule = rule_of(perk, row)?;
        let at = instant::read(at, rule.time_zone(), self.now).map_err(|error| PerkError::Field(Box::new(error)))?;
        if at.as_microsecond().saturating_sub(self.now.as_microsecond()) < TOO_LATE_MICROS {
            let detail = "this is too soon for every replica to hear of it: publish it at once, or leave two seconds";
            return Err(PerkError::Field(Box::new(FieldError::at("/at", "too_soon", detail))));
        }
        let warnings = self.require_publishable(perk, row, status, "scheduled", at)?;
        if let Some(other) = store::find_scheduled(self.conn, self.merchant, &perk.id)? {
            return Err(PerkError::AlreadyScheduled(other.version));
        }
        row.scheduled_by = Some(name_of(self.actor));
        row.scheduled_at = Some(at.as_microsecond());
        VersionStatus::Scheduled.as_str().clone_into(&mut row.status);
        row.step_note = note;
        store::update_version(self.conn, self.merchant, row)?;
        store::record_change(self.conn, self.merchant, &perk.id)?;
        self.tell("rule.scheduled", perk, &VersionChanged { from: Some(at), ..version_of(perk, row) });
        Ok(warnings)
    }

    /// Takes a schedule back: the version is what it was before.
    pub(super) fn unschedule(
        &mut self,
        perk: &PerkRow,
        row: &mut VersionRow,
        status: VersionStatus,
        note: Option<String>,
    ) -> Result<(), PerkError> {
        if status != VersionStatus::Scheduled {
            let other = store::find_scheduled(self.conn, self.merchant, &perk.id)?.map(|other| other.version);
            let status = wrong_status(perk, row, status, "unscheduled");
            return Err(PerkError::NotScheduled { status, other });
        }
        let soonest = self.now.as_microsecond().saturating_add(TOO_LATE_MICROS);
        if row.scheduled_at.is_some_and(|at| at < soonest) {
            return Err(PerkError::TooLate);
        }
        self.lift_schedule(perk, row, note)
    }

    /// [`Change::unschedule`] of what is scheduled, however late.
    pub(super) fn lift_schedule(
        &mut self,
        perk: &PerkRow,
        row: &mut VersionRow,
        note: Option<String>,
    ) -> Result<(), PerkError> {
        (row.scheduled_by, row.scheduled_at) = (None, None);
        store::record_change(self.conn, self.merchant, &perk.id)?;
        let before = if row.approved_at.is_some() { VersionStatus::Approved } else { VersionStatus::Draft };
        self.step(perk, row, before, "rule.unscheduled", note)
    }

    /// The oddities of a version that doesn't decide yet, for those who are to judge it. One that can't work is
    /// refused when it is published, and nothing more is said of it before.
    pub(super) fn oddities(&mut self, perk: &PerkRow, row: &VersionRow) -> Result<Vec<FieldError>, PerkError> {
        let Ok(rule) = rule_of(perk, row) else { return Ok(Vec::new()) };
        match draft::lint_for(self.conn, self.merchant, Some(perk), &rule, self.now) {
            Ok(lint) => Ok(lint.warnings),
            Err(PerkError::Rule(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Passes when the version may decide at `from`: its rule still works, and two have looked at it
    /// where the merchant asks for that. What is odd about it then.
    fn require_publishable(
        &mut self,
        perk: &PerkRow,
        row: &VersionRow,
        status: VersionStatus,
        step: &'static str,
        from: Timestamp,
    ) -> Result<Vec<FieldError>, PerkError> {
        match status {
            VersionStatus::Published | VersionStatus::Retired => {
                return Err(PerkError::NotADraft(wrong_status(perk, row, status, step)));
            }
            VersionStatus::InReview => {
                four_eyes::require_approval(self.conn, self.merchant, row)?;
                return Err(PerkError::WrongStatus(wrong_status(perk, row, status, step)));
            }
            VersionStatus::Draft | VersionStatus::Approved | VersionStatus::Scheduled => {}
        }
        four_eyes::require_approval(self.conn, self.merchant, row)?;
        let rule = rule_of(perk, row)?;
        let mut warnings = draft::check(self.conn, self.merchant, perk, &rule, from)?;
        warnings.extend(draft::paused(perk));
        Ok(warnings)
    }
}

/// The version as an event records it.
pub(super) fn version_of<'a>(perk: &'a PerkRow, row: &'a VersionRow) -> VersionChanged<'a> {
    VersionChanged {
        change_note: Nullable::text(row.step_note.as_deref().or(row.change_note.as_deref())),
        from: None,
        perk: perk.slug.as_str().into(),
        rule_hash: row.rule_hash.as_str().into(),
        to: None,
        version: row.version,
    }
}

/// The rule of a stored version. What was taken once may be refused by now.
pub(super) fn rule_of(perk: &PerkRow, row: &VersionRow) -> Result<Rule, PerkError> {
    Rule::of_version(&row.rule, &row.rule_hash, &perk.slug).map_err(|error| PerkError::unreadable(&perk.slug, error))
}

/// Whom a stored name stands for: an admin's key, or the command line.
fn actor_of(name: Option<&str>) -> Result<Actor, DatabaseError> {
    match name {
        None | Some("cli") => Ok(Actor { key: None, role: "cli" }),
        Some(key) => {
            Ok(Actor { key: Some(key.parse().map_err(|e| DatabaseError::corrupt("key id", e))?), role: "admin" })
        }
    }
}
