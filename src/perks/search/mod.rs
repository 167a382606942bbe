//! Looking for perks by a part of their names, and for versions by where they are in their life.

mod store;

use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use super::catalog::Catalog;
use super::error::PerkError;
use super::perk::{Perk, RuleVersion};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;

/// The longest text that is looked for, in characters; the rest of a longer one is cut off.
const LONGEST: usize = 120;

/// The place of a version among those that wait for approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewCursor {
    pub submitted_at: i64,
    pub perk: String,
    pub version: i32,
}

impl Default for ReviewCursor {
    /// Before all of them.
    fn default() -> Self {
        Self { submitted_at: i64::MIN, perk: String::new(), version: 0 }
    }
}

impl ReviewCursor {
    /// The place of this version; none where it does not wait.
    #[must_use]
    pub fn of(perk: &Perk, version: &RuleVersion) -> Option<Self> {
        let submitted_at = version.submitted.as_ref()?.at.as_microsecond();
        Some(Self { submitted_at, perk: perk.id.as_str().to_owned(), version: version.version })
    }
}

impl Display for ReviewCursor {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.submitted_at, self.version, self.perk)
    }
}

impl FromStr for ReviewCursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "not a place among what waits for approval";
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().ok_or(WRONG);
        let (submitted_at, version, perk) = (part()?, part()?, part()?.to_owned());
        let submitted_at = submitted_at.parse().map_err(|_| WRONG)?;
        Ok(Self { submitted_at, version: version.parse().map_err(|_| WRONG)?, perk })
    }
}

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

    /// The first of the merchant's perks, by short name, that is active and has a published rule.
    ///
    /// # Errors
    /// The database's.
    pub async fn first_active(&self, merchant: &MerchantId) -> Result<Option<Perk>, PerkError> {
        let merchant = merchant.clone();
        let read = move |conn: &mut AnyConnection| {
            let row = store::find_first_active(conn, &merchant)?;
            Ok(row.map(Perk::try_from).transpose()?)
        };
        self.database.read(read).await
    }

    /// The names of those of the merchant's perks, by their short names.
    ///
    /// # Errors
    /// The database's.
    pub async fn names_of(
        &self,
        merchant: &MerchantId,
        slugs: Vec<String>,
    ) -> Result<HashMap<String, String>, PerkError> {
        if slugs.is_empty() {
            return Ok(HashMap::new());
        }
        let merchant = merchant.clone();
        let read =
            move |conn: &mut AnyConnection| Ok(store::list_names(conn, &merchant, &slugs)?.into_iter().collect());
        self.database.read(read).await
    }

    /// Up to `most` versions of the merchant's perks behind `after` that wait for approval, the first submitted first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_in_review(
        &self,
        merchant: &MerchantId,
        after: Option<ReviewCursor>,
        most: u32,
    ) -> Result<Vec<(Perk, RuleVersion)>, PerkError> {
        let merchant = merchant.clone();
        let read = move |conn: &mut AnyConnection| {
            let rows = store::list_in_review(conn, &merchant, after, i64::from(most))?;
            let read = |(perk, version)| Ok((Perk::try_from(perk)?, RuleVersion::try_from(version)?));
            Ok(rows.into_iter().map(read).collect::<Result<_, DatabaseError>>()?)
        };
        self.database.read(read).await
    }

    /// The number of versions of the merchant's perks that wait for approval: `most` stands for that or more.
    ///
    /// # Errors
    /// The database's.
    pub async fn count_in_review(&self, merchant: &MerchantId, most: u32) -> Result<usize, PerkError> {
        let merchant = merchant.clone();
        let read =
            move |conn: &mut AnyConnection| Ok(store::list_numbers_in_review(conn, &merchant, most.into())?.len());
        self.database.read(read).await
    }
}
