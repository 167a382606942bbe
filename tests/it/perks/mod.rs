//! Rules: what differs between two of them, what editors are told about them, how several are applied.

mod apply;
mod diff;
mod many;
mod schema;
