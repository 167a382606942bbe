//! Erasures and disclosures: the events about the data that is held on a person.

use jiff::Timestamp;

use super::canonical::{Nullable, Text, facts};

/// The kind of the event of an erasure.
pub const SUBJECT_ERASED: &str = "subject.erased";

facts! {
    /// The facts of `subject.erased`: how much went with the person.
    pub struct SubjectErased<'a> {
        /// Absent where there were none, as before there could be any.
        attributes: Option<u64>,
        limits: u64,
        referrals: u64,
        scores: u64,
        /// None where no check was ever about them.
        subject: Nullable<Text<'a>>,
    }

    /// The facts of `subject.request_made`, which is about the request.
    pub struct RequestMade<'a> {
        asked_at: Timestamp,
        /// The check by whose link it was made.
        check: Text<'a>,
        /// `record` or `erasure`.
        request: Text<'a>,
        subject: Text<'a>,
    }

    /// The facts of `subject.request_confirmed` and `subject.request_declined`.
    pub struct RequestDecided<'a> {
        decided_at: Timestamp,
        /// Confirmed erasures: when it is carried out.
        due_at: Option<Timestamp>,
        request: Text<'a>,
        subject: Text<'a>,
    }

    /// The facts of `subject.record_read`.
    pub struct RecordRead<'a> {
        subject: Nullable<Text<'a>>,
    }
}
