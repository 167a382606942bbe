//! A merchant: the tenant that everything but the operator belongs to.

use jiff::Timestamp;

use crate::ids::{MerchantId, MerchantSlug};

/// A business that offers perks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merchant {
    pub id: MerchantId,
    /// Unique in the gateway; in tokens and URLs.
    pub slug: MerchantSlug,
    /// For people, 1–[`Merchant::NAME_MAX`] characters.
    pub name: String,
    pub created_at: Timestamp,
}

impl Merchant {
    pub const NAME_MAX: usize = 120;
}
