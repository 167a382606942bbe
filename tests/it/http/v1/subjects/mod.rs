//! `/v1/subjects`.

mod erase;
mod record;
