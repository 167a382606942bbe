//! A perk's own status: made, paused, resumed, retired, renamed.

use super::catalog::{Catalog, MAX_NAME};
use super::draft::note_of;
use super::draft::{event, name_of};
use super::error::PerkError;
use super::life::Change;
use super::perk::{Perk, PerkStatus};
use super::purpose::Purpose;
use super::store::{self, PerkRow};
use crate::database::DatabaseError;
use crate::foundation::ids::{self, MerchantId, PerkId, PerkSlug};
use crate::ledger::entry::Actor;
use crate::ledger::events::Nullable;
use crate::ledger::events::perks::PerkChanged;

impl PerkStatus {
    /// The kind of the event that brought a perk here.
    const fn kind(self) -> &'static str {
        match self {
            Self::Active => "perk.resumed",
            Self::Paused => "perk.paused",
            Self::Retired => "perk.retired",
        }
    }
}

impl Catalog {
    /// Pauses a perk, resumes it or retires it for good. Where it already is so, nothing changes.
    ///
    /// One person may do each of them even where the merchant asks for four eyes: pausing is for
    /// safety, and resuming brings back what had been approved, as nothing else can be published
    /// meanwhile.
    ///
    /// # Errors
    /// [`PerkError::Retired`] when it is retired already and is to be something else.
    pub async fn set_status(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        slug: &PerkSlug,
        status: PerkStatus,
        note: Option<String>,
    ) -> Result<Perk, PerkError> {
        let note = note_of(note)?;
        let changed = self.change_perk(merchant, actor, slug, move |change, perk| {
            if perk.status != status.as_str() {
                change.stand(perk, status, note)?;
            }
            Ok(perk.clone().try_into()?)
        });
        match changed.await {
            Err(PerkError::Retired) if status == PerkStatus::Retired => self.find_perk(merchant, slug).await,
            changed => changed,
        }
    }

    /// Gives a perk another name, another purpose, or both.
    ///
    /// # Errors
    /// [`PerkError::Name`], [`PerkError::Retired`].
    pub async fn update_perk(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        slug: &PerkSlug,
        name: Option<String>,
        purpose: Option<Purpose>,
    ) -> Result<Perk, PerkError> {
        let name = name.map(|name| ids::label(&name, MAX_NAME)).transpose().map_err(PerkError::Name)?;
        self.change_perk(merchant, actor, slug, move |change, perk| {
            change.rename(perk, name, purpose)?;
            Ok(perk.clone().try_into()?)
        })
        .await
    }
}

impl Change<'_> {
    /// Makes a perk, which has no version yet.
    pub(super) fn create(
        &mut self,
        id: &PerkId,
        slug: &PerkSlug,
        name: String,
        purpose: Purpose,
    ) -> Result<PerkRow, PerkError> {
        let row = PerkRow {
            id: id.as_str().to_owned(),
            merchant_id: self.merchant.as_str().to_owned(),
            slug: slug.as_str().to_owned(),
            name,
            status: PerkStatus::Active.as_str().to_owned(),
            latest_version: 0,
            published_version: None,
            created_at: self.now.as_microsecond(),
            purpose: purpose.as_str().to_owned(),
            status_by: None,
            status_at: None,
            status_note: None,
        };
        store::insert_perk(self.conn, &row).map_err(|error| match error {
            DatabaseError::Duplicate(_) => PerkError::Exists,
            other => other.into(),
        })?;
        let (name, purpose) = (Some(row.name.as_str().into()), Some(row.purpose.as_str().into()));
        let facts = PerkChanged { name, purpose, ..unchanged(&row) };
        self.events.push(event(self.merchant, self.actor, "perk.created", &row.id, &facts));
        Ok(row)
    }

    /// Gives a perk another name, another purpose, or both.
    pub(super) fn rename(
        &mut self,
        perk: &mut PerkRow,
        name: Option<String>,
        purpose: Option<Purpose>,
    ) -> Result<(), PerkError> {
        if let Some(name) = name.filter(|name| *name != perk.name) {
            perk.name = name;
            let facts = PerkChanged { name: Some(perk.name.as_str().into()), ..unchanged(perk) };
            self.events.push(event(self.merchant, self.actor, "perk.renamed", &perk.id, &facts));
        }
        if let Some(purpose) = purpose.filter(|purpose| purpose.as_str() != perk.purpose) {
            purpose.as_str().clone_into(&mut perk.purpose);
            let facts = PerkChanged { purpose: Some(perk.purpose.as_str().into()), ..unchanged(perk) };
            self.events.push(event(self.merchant, self.actor, "perk.repurposed", &perk.id, &facts));
        }
        store::update_perk(self.conn, self.merchant, perk)?;
        Ok(())
    }

    fn stand(&mut self, perk: &mut PerkRow, status: PerkStatus, note: Option<String>) -> Result<(), PerkError> {
        if status == PerkStatus::Retired
            && let Some(mut row) = store::find_scheduled(self.conn, self.merchant, &perk.id)?
        {
            self.lift_schedule(perk, &mut row, note.clone())?;
        }
        status.as_str().clone_into(&mut perk.status);
        perk.status_by = Some(name_of(self.actor));
        perk.status_at = Some(self.now.as_microsecond());
        perk.status_note = note;
        store::update_perk(self.conn, self.merchant, perk)?;
        store::record_change(self.conn, self.merchant, &perk.id)?;
        let note = Nullable::text(perk.status_note.as_deref());
        let facts = PerkChanged { change_note: Some(note), ..unchanged(perk) };
        self.events.push(event(self.merchant, self.actor, status.kind(), &perk.id, &facts));
        Ok(())
    }
}

/// The perk as an event of any kind names it.
fn unchanged(perk: &PerkRow) -> PerkChanged<'_> {
    PerkChanged { change_note: None, name: None, perk: perk.slug.as_str().into(), purpose: None }
}
