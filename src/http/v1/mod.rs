//! Version 1 of the API: one file a resource.

pub mod access;
pub mod attributes;
pub mod audit;
pub mod cases;
pub mod checks;
pub mod enrolment;
pub mod grants;
pub mod links;
pub mod perks;
pub mod reports;
pub mod scores;
pub mod subject_requests;
pub mod subjects;
pub mod tokens;
