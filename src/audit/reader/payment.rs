//! The payment of a paid entry in the event of its check.

use serde::Deserialize;

use super::canonical::{Canonical, put, read_members};
use super::text::Text;

/// A sum of money, and the digest of the merchant's own name for the payment.
#[derive(Debug, Deserialize)]
pub(crate) struct PaymentFacts<'a> {
    #[serde(borrow)]
    pub amount: Text<'a>,
    #[serde(borrow)]
    pub currency: Text<'a>,
    #[serde(borrow)]
    pub reference_sha256: Text<'a>,
}

read_members!(PaymentFacts { amount, currency, reference_sha256 });
