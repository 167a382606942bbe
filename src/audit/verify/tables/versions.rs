//! One version of a perk's rule: what its events say of its life, and its row held to that.

use aws_lc_rs::digest;

use super::approvals::{Approvals, SignedStep};
use crate::audit::reader::body::RuleFacts;
use crate::audit::reader::instant::Instant;
use crate::audit::verify::store::RuleRow;
use crate::foundation::subject::hex;

/// The steps: what each makes of a version, and of which it can be taken. Written apart from `perks::life`:
/// an auditor that shared its table would share its mistakes.
pub(crate) const STEPS: [(&str, &[&str], &str); 9] = [
    ("rule.edited", &["draft"], "draft"),
    ("rule.submitted", &["draft"], "in_review"),
    ("rule.approved", &["in_review"], "approved"),
    ("rule.rejected", &["in_review", "approved"], "draft"),
    ("rule.withdrawn", &["in_review", "approved"], "draft"),
    ("rule.scheduled", &["draft", "approved"], "scheduled"),
    ("rule.unscheduled", &["scheduled"], "draft"),
    ("rule.published", &["draft", "approved", "scheduled"], "published"),
    ("rule.rolled_back", &["in_review", "published"], ""),
];

/// A version as its events have it so far.
pub(crate) struct Version {
    pub hash: String,
    pub status: &'static str,
    /// None where the event is not here.
    drafted: Option<SignedStep>,
    /// The others who edited it, in the order of their first edit.
    editors: Vec<String>,
    submitted: Option<SignedStep>,
    approved: Option<SignedStep>,
    /// The step that scheduled it, and when it decides from.
    scheduled: Option<(SignedStep, Option<Instant>)>,
    /// The step that let it decide, and since when it does.
    published: Option<(SignedStep, Option<Instant>)>,
}

impl Version {
    /// One that was just drafted.
    pub(crate) fn drafted(rule: &RuleFacts<'_>, by: SignedStep) -> Self {
        Self { drafted: Some(by), ..Self::known_since(rule) }
    }

    /// One whose draft is not here.
    pub(crate) fn known_since(rule: &RuleFacts<'_>) -> Self {
        Self {
            hash: rule.rule_hash.to_string(),
            status: "draft",
            drafted: None,
            editors: Vec::new(),
            submitted: None,
            approved: None,
            scheduled: None,
            published: None,
        }
    }

    /// A step of this kind makes `after` of it.
    pub(crate) fn take(&mut self, kind: &str, after: &'static str, rule: &RuleFacts<'_>, step: SignedStep) {
        self.status = match kind {
            "rule.rolled_back" => self.status,
            "rule.unscheduled" if self.approved.is_some() => "approved",
            _ => after,
        };
        match kind {
            "rule.edited" => {
                self.hash = rule.rule_hash.to_string();
                let is_known = self.writers().any(|writer| writer == step.by);
                if !is_known {
                    self.editors.push(step.by);
                }
            }
            "rule.submitted" => self.submitted = Some(step),
            "rule.approved" => self.approved = Some(step),
            "rule.rejected" | "rule.withdrawn" => (self.submitted, self.approved) = (None, None),
            "rule.scheduled" => self.scheduled = Some((step, rule.from)),
            "rule.unscheduled" => self.scheduled = None,
            "rule.published" => {
                // A step that lets it decide at once takes its schedule away; when its instant comes, that is retained.
                self.scheduled.take_if(|(by, from)| by.by != step.by || *from != rule.from);
                self.published = Some((step, rule.from));
            }
            _ => {}
        }
    }

    fn writers(&self) -> impl Iterator<Item = &str> {
        self.drafted.iter().map(|step| step.by.as_str()).chain(self.editors.iter().map(String::as_str))
    }

    /// Why the approval by `step` is not a second person's.
    pub(crate) fn objection(&self, approvals: &Approvals, step: &SignedStep) -> Option<&'static str> {
        approvals.objection(self.writers(), self.submitted.as_ref().map(|step| step.at), step)
    }

    /// Tells whether someone approved it who is a second person.
    pub(crate) fn is_approved(&self, approvals: &Approvals) -> bool {
        self.approved.as_ref().is_some_and(|step| self.objection(approvals, step).is_none())
    }

    /// Tells whether anyone approved it, a second person or not.
    pub(crate) const fn was_approved(&self) -> bool {
        self.approved.is_some()
    }

    /// Tells whether a check at `at` may have been decided by it. One that has been replaced since may
    /// decide a moment longer on a replica that has not heard yet.
    pub(crate) fn decides(&self, at: Instant) -> bool {
        let from = self.scheduled.as_ref().and_then(|(_, from)| *from).filter(|_| self.status == "scheduled");
        matches!(self.status, "published" | "retired") || from.is_some_and(|from| from <= at)
    }

    /// The parts of the row that are otherwise than the events say.
    pub(crate) fn differences(&self, row: &RuleRow, merchant: &str) -> impl Iterator<Item = &'static str> {
        let is = [
            (row.merchant_id == merchant, "merchant"),
            (row.rule_hash == self.hash, "hash"),
            (row.status == self.status, "status"),
        ];
        is.into_iter().filter_map(|(is_same, part)| (!is_same).then_some(part))
    }

    /// The parts of the row that are otherwise than the events say of who did what, and when.
    pub(crate) fn step_differences(&self, row: &RuleRow) -> impl Iterator<Item = &'static str> {
        let (drafted, submitted, approved) = (self.drafted.as_ref(), self.submitted.as_ref(), self.approved.as_ref());
        let (scheduled, from) = self.scheduled.as_ref().map(|(step, from)| (step, *from)).unzip();
        let (published, since) = self.published.as_ref().map(|(step, from)| (step, *from)).unzip();
        let is = [
            (SignedStep::is_by(drafted, Some(&row.author)), "author"),
            (SignedStep::is_at(drafted, Some(row.created_at)), "instant of drafting"),
            (row.editors == self.editors.join(" "), "editors"),
            (SignedStep::is_by(submitted, row.submitted_by.as_deref()), "who submitted it"),
            (SignedStep::is_at(submitted, row.submitted_at), "instant of submitting"),
            (SignedStep::is_by(approved, row.approved_by.as_deref()), "who approved it"),
            (SignedStep::is_at(approved, row.approved_at), "instant of approval"),
            (SignedStep::is_by(scheduled, row.scheduled_by.as_deref()), "who scheduled it"),
            (from.flatten().map(|from| from.0) == row.scheduled_at, "schedule"),
            (SignedStep::is_by(published, row.published_by.as_deref()), "who published it"),
            // Exactly, and for a scheduled one long before its event.
            (since.flatten().map(|since| since.0) == row.published_at, "instant of publishing"),
        ];
        is.into_iter().filter_map(|(is_same, part)| (!is_same).then_some(part))
    }
}

/// The hash that a rule goes by, of its canonical text.
pub(crate) fn hash_of(rule: &str) -> String {
    format!("sha256:{}", hex(digest::digest(&digest::SHA256, rule.as_bytes()).as_ref()))
}
