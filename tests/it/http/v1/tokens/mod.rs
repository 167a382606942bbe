//! `/v1/tokens`.

mod introspect;
mod key_revoked;
mod late_reports;
mod redeem;
mod redeem_late;
mod revoke;
