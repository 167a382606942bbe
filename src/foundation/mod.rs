//! Words and numbers that every room uses, and no business.
//!
//! - `decimal`, `period`, `clock`, `entropy`: exact numbers, lengths of time, the time itself, random bytes
//! - `ids`: the names and ids of everything, and what a label may hold
//! - `boarding_pass`: what an airline's bar code says
//! - `subject`: a person as others write them, and as the gateway refers to them
//! - `json`, `yaml`, `csv_row`, `document`: strict readers; `field_error`: what is wrong with which field, and where
//! - `count`: counts in sentences; `nearest`: what a misspelt name was meant to be
//! - `unicode`, `escape`: what text may hold, and how it is shown; `language`: which of several a reader wants
//! - `web_origin`: where a page comes from, as browsers write it

pub mod boarding_pass;
pub mod clock;
pub mod count;
pub mod csv_row;
pub mod decimal;
pub mod document;
pub mod entropy;
pub mod escape;
pub mod field_error;
pub mod ids;
pub mod json;
pub mod language;
pub mod nearest;
pub mod period;
pub mod subject;
pub mod unicode;
pub mod web_origin;
pub mod yaml;
