//! The pages of API keys: `list` has all of them, `create` makes one and shows its secret once, `revoke` ends one.

pub(super) mod create;
pub(super) mod list;
pub(super) mod revoke;

use crate::access::Principal;
use crate::foundation::ids::MerchantId;

/// The owner whose keys a caller manages: their merchant, or the operator.
fn owner(caller: &Principal) -> Option<MerchantId> {
    caller.merchant.as_ref().map(|merchant| merchant.id.clone())
}
