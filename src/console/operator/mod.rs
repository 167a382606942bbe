//! The operator's pages: `list`, `new` and `show` of merchants, and `health` of the gateway.

pub(super) mod health;
pub(super) mod list;
pub(super) mod new;
pub(super) mod show;
