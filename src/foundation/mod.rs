//! foundation

pub mod clock;
pub mod decimal;
pub mod document;
pub mod entropy;
pub mod escape;
pub mod ids;
pub mod json;
pub mod period;
pub mod subject;
pub mod unicode;
pub mod web_origin;
pub mod yaml;
