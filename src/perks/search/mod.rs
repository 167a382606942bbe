//! Looking for perks by a part of their names.

mod store;

use super::catalog::Catalog;
use super::error::PerkError;
use super::perk::Perk;
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
}
