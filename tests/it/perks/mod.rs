//! Rules: what differs between two of them, and what editors are told about them.

mod diff;
mod schema;
