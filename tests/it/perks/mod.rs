//! Rules: what differs between two of them.

mod diff;
