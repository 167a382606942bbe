//! Looking for perks by a part of their names, and for versions by where they are in their life.

mod store;

use super::catalog::Catalog;
use super::error::PerkError;
use super::perk::{Perk, RuleVersion};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;

/// The longest text that is looked for, in characters; the rest of a longer one is cut off.
const LONGEST: usize = 120;

impl Catalog {
    /// The merchant's perks after `cursor` whose short name or name has `text` in it, in any case of letters, by short name.
    ///
    /// # Errors
    /// The database's.
    pub async fn search_perks(
        &self,
        merchant: &MerchantId,
        text: &str,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<Vec<Perk>, PerkError> {
        let (merchant, text) = (merchant.clone(), text.chars().take(LONGEST).collect::<String>());
        self.database
            .read(move |conn| {
                let rows = store::search_perks(conn, &merchant, &text, cursor.as_deref(), i64::from(limit))?;
                Ok(rows.into_iter().map(Perk::try_from).collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Up to `most` versions of the merchant's perks that wait for approval, the first submitted first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_in_review(
        &self,
        merchant: &MerchantId,
        most: u32,
    ) -> Result<Vec<(Perk, RuleVersion)>, PerkError> {
        let merchant = merchant.clone();
        let read = move |conn: &mut AnyConnection| {
            let rows = store::list_in_review(conn, &merchant, i64::from(most))?;
            let read = |(perk, version)| Ok((Perk::try_from(perk)?, RuleVersion::try_from(version)?));
            rows.into_iter().map(read).collect::<Result<_, DatabaseError>>()
        };
        let mut waiting: Vec<(Perk, RuleVersion)> = self.database.read(read).await?;
        waiting.sort_by_key(|(_, version)| version.submitted.as_ref().map(|it| it.at));
        Ok(waiting)
    }
}
