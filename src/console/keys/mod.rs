//! The pages of API keys: `list` has all of them, `create` makes one and shows its secret once, `revoke` ends one;
//! `devices` pairs screens, which have none that anyone sees.

pub(super) mod create;
pub(super) mod devices;
pub(super) mod list;
pub(super) mod revoke;
