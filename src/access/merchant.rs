//! A merchant: the tenant that everything but the operator belongs to.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::foundation::ids::{MerchantId, MerchantSlug};

/// A business that offers perks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merchant {
    pub id: MerchantId,
    /// Unique in the gateway; in tokens and URLs.
    pub slug: MerchantSlug,
    /// For people, 1–[`Merchant::NAME_MAX`] characters.
    pub name: String,
    pub created_at: Timestamp,
    /// The zone whose days and hours its reports count by: a name of the IANA time zone database. As it is stored:
    /// a name that a later database drops must lock nobody out.
    pub time_zone: String,
    /// Its data is a test's, for good: the console says so on each of its pages.
    pub is_test: bool,
}

/// A text that names no time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no time zone `{0}`: give a name of the IANA time zone database, such as Asia/Hong_Kong")]
pub struct UnknownZone(pub String);

impl Merchant {
    pub const NAME_MAX: usize = 120;
    /// The zone of a merchant that names none.
    pub const ZONE: &str = "UTC";

    /// The zone's name as the database of zones spells it.
    ///
    /// # Errors
    /// [`UnknownZone`].
    pub fn zone_name(text: &str) -> Result<String, UnknownZone> {
        let found = TimeZone::get(text).ok().filter(|zone| !zone.is_unknown());
        found.and_then(|zone| zone.iana_name().map(str::to_owned)).ok_or_else(|| UnknownZone(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_one_of_the_database_of_zones() {
        for (given, name) in [("UTC", "UTC"), ("utc", "UTC"), ("Asia/Hong_Kong", "Asia/Hong_Kong")] {
            assert_eq!(Merchant::zone_name(given), Ok(name.to_owned()));
        }
        assert_eq!(Merchant::zone_name("asia/hong_kong"), Ok("Asia/Hong_Kong".to_owned()));
        for bad in ["", "Mars/Olympus", "Etc/Unknown", "../etc/passwd", "HKT-8", "+08:00", "Asia/Hong_Kong\0"] {
            assert_eq!(Merchant::zone_name(bad), Err(UnknownZone(bad.to_owned())));
        }
    }
}
