//! The people in the events of one merchant, against the rows that name people: everybody is named there,
//! or was erased, and the log says so.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::requests::Requests;
use super::scored::enrolments::{EnrolmentFacts, Enrolments};
use crate::audit::reader::body::{Body, Unreadable, read};
use crate::audit::reader::instant::Instant;
use crate::audit::reader::text::Text;
use crate::audit::verify::findings::{At, FindingPlace, Findings, Wrong};
use crate::audit::verify::fingerprints::{ByFingerprint, Fingerprints};
use crate::audit::verify::missing_events::Gaps;
use crate::audit::verify::store;
use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::cases::requests;
use crate::ledger::events::subjects::{CONSENTED, ENROLLED, UNENROLLED};
use crate::ledger::retention::erasure;

/// The facts of `subject.erased`.
#[derive(Deserialize)]
pub(crate) struct ErasedFacts<'a> {
    /// None when no event was about the person.
    #[serde(borrow)]
    pub subject: Option<Text<'a>>,
}

/// The people of one log as its events have them, by pseudonym: 50 bytes for each.
#[derive(Default)]
pub(crate) struct Subjects {
    fingerprints: Fingerprints,
    /// The first check or enrolment that was about them, and when it was.
    seen: ByFingerprint<u128, (i64, Instant)>,
    /// Where the log says that they were erased.
    erased: ByFingerprint<u128, i64>,
    /// Erasures, also of people whom no event is about.
    erasures: u64,
    /// Their requests.
    requests: Requests,
    enrolments: Enrolments,
}

impl Subjects {
    pub(crate) fn new(fingerprints: Fingerprints) -> Self {
        Self { fingerprints, ..Self::default() }
    }

    pub(crate) fn seen(&mut self, at: At<'_>, asked: Instant, pseudonym: &str) {
        let number = self.number_of(pseudonym);
        self.seen.entry(number).or_insert((at.index, asked));
    }

    fn erased(&mut self, at: At<'_>, body: &Body<'_>, facts: &ErasedFacts<'_>) {
        self.erasures += 1;
        if let Some(pseudonym) = &facts.subject {
            let number = self.number_of(pseudonym);
            self.erased.insert(number, at.index);
            self.requests.erased(at, body, pseudonym);
            self.enrolments.ended(pseudonym);
        }
    }

    /// An event of a kind that begins with `subject.`.
    pub(crate) fn take(
        &mut self,
        at: At<'_>,
        body: &Body<'_>,
        facts: &RawValue,
        gaps: &Gaps,
        findings: &mut Findings,
    ) -> Result<(), Unreadable> {
        match &*body.kind {
            erasure::KIND => self.erased(at, body, &read(facts)?),
            ENROLLED => {
                let facts: EnrolmentFacts<'_> = read(facts)?;
                self.seen(at, body.at, &facts.subject);
                self.enrolments.enrolled(&facts);
            }
            UNENROLLED => self.enrolments.ended(&read::<EnrolmentFacts<'_>>(facts)?.subject),
            CONSENTED => self.enrolments.consented(&read(facts)?),
            requests::MADE | requests::CONFIRMED | requests::DECLINED => {
                self.requests.take(at, body, &read(facts)?, gaps.is_part(), findings);
            }
            _ => {}
        }
        Ok(())
    }

    /// Adds findings for what the events alone say wrongly, when they are the whole log.
    pub(crate) fn close_alone(&self, log: &str, findings: &mut Findings) {
        self.requests.close_alone(log, findings);
    }

    /// Compares with the merchant's rows; returns how many people were erased.
    pub(crate) fn close(
        mut self,
        conn: &mut AnyConnection,
        log: &str,
        merchant: &str,
        gaps: &Gaps,
        findings: &mut Findings,
    ) -> Result<u64, DatabaseError> {
        let mut last = Vec::new();
        loop {
            let page = store::list_subjects(conn, merchant, &last)?;
            for (_, pseudonym, created_at) in &page {
                let (number, subject) = (self.number_of(pseudonym), pseudonym.clone());
                if let Some(index) = self.erased.get(&number) {
                    findings.add(FindingPlace::index(log, *index), Wrong::SubjectKept { subject });
                    continue;
                }
                match self.seen.remove(&number) {
                    // A search for what they did looks from then on. By a clock that was ahead they may have been
                    // met before, by an event that is pruned.
                    Some((index, first)) if *created_at > first.0 && !gaps.may_hold(*created_at) => {
                        findings.add(FindingPlace::index(log, index), Wrong::SubjectSince { subject });
                    }
                    None if !gaps.may_hold(*created_at) => {
                        findings.add(FindingPlace::log(log), Wrong::SubjectWithoutEvent { subject });
                    }
                    _ => {}
                }
            }
            match page.into_iter().nth(store::PAGE - 1) {
                Some((reference, ..)) => last = reference,
                None => break,
            }
        }
        let pruned = self.seen.into_iter().filter(|(number, _)| !self.erased.contains_key(number));
        let mut pruned: Vec<(i64, u128)> = pruned.map(|(number, (index, _))| (index, number)).collect();
        pruned.sort_unstable();
        for (index, number) in pruned {
            findings
                .add(FindingPlace::index(log, index), Wrong::SubjectMissing { subject: format!("sub_{number:032x}") });
        }
        self.requests.close(conn, log, merchant, gaps, findings)?;
        self.enrolments.close(conn, log, merchant, gaps, findings)?;
        Ok(self.erasures)
    }

    /// The number that a pseudonym writes in hexadecimal; of what is none, one that nothing else has.
    fn number_of(&self, pseudonym: &str) -> u128 {
        let is_number = |digits: &&str| {
            digits.len() == 32 && digits.bytes().all(|it| it.is_ascii_digit() || matches!(it, b'a'..=b'f'))
        };
        let digits = pseudonym.strip_prefix("sub_").filter(is_number);
        let halves = digits.and_then(|digits| digits.split_at_checked(16));
        let half = |digits| u64::from_str_radix(digits, 16).ok().map(u128::from);
        let number = halves.and_then(|(high, low)| Some(half(high)? << 64 | half(low)?));
        number.unwrap_or_else(|| self.fingerprints.of(&[pseudonym]))
    }
}
