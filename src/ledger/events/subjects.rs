//! Erasures and disclosures: the events about the data that is held on a person.

use jiff::Timestamp;

use super::canonical::{Nullable, Text, facts};

/// The kind of the event of an erasure.
pub const SUBJECT_ERASED: &str = "subject.erased";

/// The kinds of events about enrolment; they are about the person.
pub const ENROLLED: &str = "subject.enrolled";
pub const UNENROLLED: &str = "subject.unenrolled";
pub const CONSENTED: &str = "subject.consented";

facts! {
    /// The facts of `subject.erased`: how much went with the person.
    pub struct SubjectErased<'a> {
        /// Linked accounts; absent where there were none, as attributes.
        accounts: Option<u64>,
        /// Absent where there were none, as before there could be any.
        attributes: Option<u64>,
        limits: u64,
        referrals: u64,
        scores: u64,
        /// Absent where there were none.
        signals: Option<u64>,
        /// None where neither a check nor an enrolment was ever about them.
        subject: Nullable<Text<'a>>,
    }

    /// The facts of `subject.enrolled`: how many accounts are linked from then on. Which is sealed.
    pub struct Enrolled<'a> {
        accounts: u64,
        subject: Text<'a>,
    }

    /// The facts of `subject.unenrolled`: how much is deleted; signals as they were counted just before, very many as 100,000.
    pub struct Unenrolled<'a> {
        accounts: u64,
        signals: u64,
        subject: Text<'a>,
    }

    /// The facts of `subject.consented`: all that the person agrees to from then on.
    pub struct Consented<'a> {
        comparison: bool,
        leaderboard: bool,
        subject: Text<'a>,
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
