//! `/v1/tokens`.

mod introspect;
mod key_revoked;
mod redeem;
mod redeem_late;
mod revoke;
