//! `/v1/audit`.

mod events;
mod export;
mod proofs;
mod receipts;
mod search;
