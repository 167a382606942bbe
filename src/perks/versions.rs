//! The catalog's steps of a version's life; what each does is in `life.rs`.

use super::catalog::Catalog;
use super::draft::Draft;
use super::draft::note_of;
use super::error::PerkError;
use super::life::{Change, Expected};
use super::perk::{Made, NewVersion};
use super::perk::{Perk, RuleVersion, VersionStatus};
use super::store::{PerkRow, VersionRow};
use crate::foundation::ids::{MerchantId, PerkSlug};
use crate::ledger::entry::Actor;
use crate::telemetry::Outage;

/// A step that someone takes with a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionStep {
    /// Ask for approval.
    Submit,
    Approve,
    /// The reviewer sends it back to be mended.
    Reject,
    /// The author takes it back.
    Withdraw,
    Publish,
    /// Publish at an instant: RFC 3339, or wall time in the rule's zone.
    Schedule(String),
    Unschedule,
}

/// A step with what was said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub step: VersionStep,
    pub note: Option<String>,
    /// The state that the caller looked at: a version that has changed since is left alone.
    pub expected: Expected,
}

impl Taken {
    /// A step without a word.
    #[must_use]
    pub const fn of(step: VersionStep) -> Self {
        Self { step, note: None, expected: Expected::Anything }
    }
}

impl Catalog {
    /// Takes a step with a version; what is odd about it, where it is on its way to decide.
    ///
    /// # Errors
    /// [`PerkError`], with what stands in the way.
    pub async fn step(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        slug: &PerkSlug,
        version: i32,
        taken: Taken,
    ) -> Result<Made, PerkError> {
        let note = note_of(taken.note)?;
        self.change_perk(merchant, actor, slug, move |change, perk| {
            let (mut row, status) = change.version(perk, version, &taken.expected)?;
            let warnings = match &taken.step {
                VersionStep::Publish => change.publish_now(perk, &mut row, status, note)?,
                VersionStep::Schedule(at) => change.schedule(perk, &mut row, status, at, note)?,
                VersionStep::Submit => {
                    change.submit(perk, &mut row, status, note)?;
                    change.oddities(perk, &row)?
                }
                VersionStep::Approve => {
                    change.approve(perk, &mut row, status, note)?;
                    change.oddities(perk, &row)?
                }
                // Back to what decides nothing.
                VersionStep::Reject => {
                    change.send_back(perk, &mut row, status, "rule.rejected", note)?;
                    Vec::new()
                }
                VersionStep::Withdraw => {
                    change.send_back(perk, &mut row, status, "rule.withdrawn", note)?;
                    Vec::new()
                }
                VersionStep::Unschedule => {
                    change.unschedule(perk, &mut row, status, note)?;
                    Vec::new()
                }
            };
            made(perk, row, warnings)
        })
        .await
    }

    /// Publishes a version: from then on it decides, and the one before it is retired.
    ///
    /// # Errors
    /// As [`Catalog::step`].
    pub async fn publish_version(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        slug: &PerkSlug,
        version: i32,
    ) -> Result<Made, PerkError> {
        self.step(merchant, actor, slug, version, Taken::of(VersionStep::Publish)).await
    }

    /// Saves a rule: into the draft that `seen` is, or as a new draft beside it where it is none.
    ///
    /// # Errors
    /// As [`Catalog::edit_version`], and [`PerkError::Stale`] too where the version was another when the form was made,
    /// `etag` being what it was then: a draft that decides by now gets no second one unseen.
    pub async fn save_rule(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        slug: &PerkSlug,
        (seen, etag): (&RuleVersion, &str),
        new: NewVersion,
    ) -> Result<Made, PerkError> {
        if seen.status == VersionStatus::Draft {
            let expected = Expected::OneOf(vec![etag.to_owned()]);
            return self.edit_version(merchant, actor, slug, seen.version, new, expected).await;
        }
        if seen.etag() != etag {
            return Err(PerkError::Stale);
        }
        self.create_version(merchant, actor, slug, new).await
    }

    /// Replaces a draft's rule and change note.
    ///
    /// # Errors
    /// [`PerkError::Stale`] when it is not what the caller expects any more, [`PerkError::NotADraft`].
    pub async fn edit_version(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        slug: &PerkSlug,
        version: i32,
        new: NewVersion,
        expected: Expected,
    ) -> Result<Made, PerkError> {
        let draft = Draft::read(slug, new)?;
        self.change_perk(merchant, actor, slug, move |change, perk| {
            let (mut row, status) = change.version(perk, version, &expected)?;
            let warnings = change.edit(perk, &mut row, status, draft)?;
            made(perk, row, warnings)
        })
        .await
    }

    /// Deletes a draft. Its number is never given again.
    ///
    /// # Errors
    /// [`PerkError::NotADraft`], or as [`Catalog::edit_version`].
    pub async fn delete_version(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        slug: &PerkSlug,
        version: i32,
        expected: Expected,
    ) -> Result<(), PerkError> {
        self.change_perk(merchant, actor, slug, move |change, perk| {
            let (row, status) = change.version(perk, version, &expected)?;
            change.delete(perk, &row, status)
        })
        .await
    }

    /// Makes the content of an earlier version a new one, and lets it decide; where the merchant
    /// asks for four eyes, it waits in review instead.
    ///
    /// # Errors
    /// [`PerkError::CantReturn`] when that rule can't work any more, [`PerkError::WrongStatus`] when
    /// it never decided.
    pub async fn roll_back(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        slug: &PerkSlug,
        to: i32,
        note: Option<String>,
    ) -> Result<Made, PerkError> {
        let note = note_of(note)?;
        self.change_perk(merchant, actor, slug, move |change, perk| change.roll_back(perk, to, note)).await
    }

    /// The newest version that there is; a number above it was a draft that was deleted.
    ///
    /// # Errors
    /// As [`Catalog::list_versions`].
    pub async fn latest_version(
        &self,
        merchant: &MerchantId,
        slug: &PerkSlug,
    ) -> Result<Option<RuleVersion>, PerkError> {
        Ok(self.list_versions(merchant, slug, None, 1).await?.into_iter().next())
    }

    /// Changes a perk that is not retired, in one transaction with its events.
    pub(super) async fn change_perk<T: Send + 'static>(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        slug: &PerkSlug,
        f: impl FnOnce(&mut Change<'_>, &mut PerkRow) -> Result<T, PerkError> + Send + 'static,
    ) -> Result<T, PerkError> {
        let (merchant, slug, clock) = (merchant.clone(), slug.clone(), self.clock.clone());
        let done = self
            .ledger
            .change(move |conn, events| {
                // Now, not when the caller came: what became due in the queue is due.
                let now = clock.now();
                let mut change = Change { conn, events, merchant: &merchant, actor: &actor, now };
                let mut perk = change.open(&slug)?;
                f(&mut change, &mut perk)
            })
            .await?;
        self.catch_up_with_own_change().await;
        Ok(done)
    }

    /// Marks as published what decides by its schedule, on one replica for all. The checks don't wait
    /// for it; what is read from the database does.
    pub(super) async fn settle(&self) {
        static OUTAGE: Outage =
            Outage::new("a version decides by its schedule and can't be marked", "it can be marked again");
        for (merchant, slug) in self.due() {
            let clock = self.clock.clone();
            let settled = self.ledger.change(move |conn, events| {
                // Not the one who scheduled it: `settle` reads who that was.
                let actor = Actor { key: None, role: "cli" };
                let mut change = Change { conn, events, merchant: &merchant, actor: &actor, now: clock.now() };
                change.lock(&slug).map(drop)
            });
            match settled.await {
                Ok(()) => {
                    OUTAGE.succeeded();
                    self.catch_up_with_own_change().await;
                }
                // It decides all the same; the next look tries again.
                Err(error) => OUTAGE.failed(&error),
            }
        }
    }
}

fn made(
    perk: &PerkRow,
    row: VersionRow,
    warnings: Vec<crate::foundation::field_error::FieldError>,
) -> Result<Made, PerkError> {
    Ok(Made { perk: Perk::try_from(perk.clone())?, version: RuleVersion::try_from(row)?, warnings })
}
