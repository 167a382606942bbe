//! `/v1/merchants`, `/v1/keys`, `/v1/me`.

mod keys;
mod me;
mod merchants;
