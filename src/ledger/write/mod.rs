//! Writing: everything here runs on the writer's one thread, inside its transactions.
//!
//! - `handle`: how callers hand work in; `writer`: the thread, its queue and its transactions; `transaction`: what the
//!   work in one sees; `gathered`: the entries of one
//! - `prepared`: what is done before the batch; `at_once`: a batch that is one statement
//! - `batch`: one batch, step by step; `subjects`, `admission`, `counters`: people and limits in it; `known`: what
//!   is remembered from one batch to the next
//! - `arithmetic`, `uses`: may this use be counted, what is left, when does it reset; pure, and shared with trials
//! - `check`, `redemption`: the two hot records, and their events
//! - `append`, `continuity`, `subtrees`: the logs' heads and trees
//! - `gateway_keys`: the gateway's own keys, as the operator's log records them
//! - `near_full`: notices from committed batches that a limit is nearly used up

pub(crate) mod admission;
pub(crate) mod append;
pub mod arithmetic;
pub(crate) mod at_once;
pub(crate) mod batch;
pub mod check;
pub(crate) mod continuity;
pub(crate) mod counters;
pub mod gateway_keys;
pub(crate) mod gathered;
pub(crate) mod handle;
pub(crate) mod known;
pub(crate) mod near_full;
pub(crate) mod prepared;
pub mod redemption;
pub(crate) mod subjects;
pub mod subtrees;
pub(crate) mod transaction;
pub mod uses;
pub(crate) mod writer;
