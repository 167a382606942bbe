//! `/v1/tokens`.

mod introspect;
mod key_revoked;
mod redeem;
mod revoke;
