//! Each table, held to what the events say it must be: one file a table or a tight pair.

pub(crate) mod additions;
pub(crate) mod approvals;
pub(crate) mod closures;
pub(crate) mod counters;
pub(crate) mod ends;
pub(crate) mod gateway_keys;
pub(crate) mod grant_lifecycle;
pub(crate) mod grants;
pub(crate) mod keys;
pub(crate) mod merchants;
pub(crate) mod overrides;
pub(crate) mod parties;
pub(crate) mod pruned;
pub(crate) mod redemptions;
pub(crate) mod referrals;
pub(crate) mod requests;
pub(crate) mod rules;
pub(crate) mod scored;
pub(crate) mod subjects;
pub(crate) mod subtrees;
pub(crate) mod summaries;
pub(crate) mod versions;
