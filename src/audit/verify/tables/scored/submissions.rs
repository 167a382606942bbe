//! The models that were handed in for sources, and who approved them, held to the events.

use std::collections::BTreeMap;

use super::models::ModelFacts;
use crate::audit::reader::body::Body;
use crate::audit::verify::store;
use crate::audit::verify::tables::approvals::{Approvals, SignedStep};
use crate::database::{AnyConnection, DatabaseError};

/// A model that was handed in, as its events have it so far.
struct Submission {
    /// None where the event is not here.
    submitted: Option<SignedStep>,
    /// Earlier builds didn't say.
    grace_days: Option<i64>,
    approved_by: Option<String>,
    /// Those who published it: earlier builds didn't say whether that was an approval.
    published_by: Vec<String>,
    is_published: bool,
    /// A second person has looked at it.
    is_approved: bool,
}

impl Submission {
    fn new(submitted: Option<SignedStep>, grace_days: Option<i64>, is_published: bool) -> Self {
        let (approved_by, published_by, is_approved) = (None, Vec::new(), false);
        Self { submitted, grace_days, approved_by, published_by, is_published, is_approved }
    }
}

/// Those of one log, by source and hash.
#[derive(Default)]
pub(crate) struct Submissions(BTreeMap<(String, String), Submission>);

fn place(facts: &ModelFacts<'_>) -> (String, String) {
    (facts.source.to_string(), facts.model.as_ref().map(|model| model.to_string()).unwrap_or_default())
}

impl Submissions {
    /// `is_current`: the source computes by it already.
    pub(crate) fn submitted(&mut self, body: &Body<'_>, facts: &ModelFacts<'_>, is_current: bool) {
        let submission = Submission::new(Some(SignedStep::of(body)), facts.grace_days, is_current);
        self.0.insert(place(facts), submission);
    }

    /// Why it should not have been published, if it should not.
    pub(crate) fn published(
        &mut self,
        body: &Body<'_>,
        facts: &ModelFacts<'_>,
        approvals: &Approvals,
        has_gaps: bool,
    ) -> Option<&'static str> {
        let step = SignedStep::of(body);
        let known = self.0.entry(place(facts)).or_insert_with(|| Submission::new(None, None, false));
        known.is_published = true;
        if facts.approves == Some(true) {
            known.approved_by = Some(step.by.clone());
        }
        let objection = match &known.submitted {
            Some(submitted) => approvals.objection([submitted.by.as_str()], Some(submitted.at), &step),
            None => (!has_gaps).then_some("nobody handed it in"),
        };
        known.published_by.push(step.by);
        known.is_approved |= objection.is_none();
        (approvals.are_required() && !known.is_approved).then_some("nobody else approved it")
    }

    /// Compares with the merchant's rows.
    pub(crate) fn close(
        mut self,
        conn: &mut AnyConnection,
        merchant: &str,
        is_part: bool,
        wrong: &mut Vec<(String, &'static str)>,
    ) -> Result<(), DatabaseError> {
        for row in store::list_submitted_models(conn, merchant)? {
            let Some(known) = self.0.remove(&(row.source, row.hash.clone())) else {
                if !is_part {
                    wrong.push((row.hash, "no event hands it in"));
                }
                continue;
            };
            let is_approver = match (&known.approved_by, &row.approved_by) {
                (None, Some(by)) => known.published_by.contains(by),
                (said, stored) => said == stored,
            };
            let is_unknown = known.submitted.is_none() && is_part;
            let is = [
                (
                    is_unknown || SignedStep::is_by(known.submitted.as_ref(), Some(&row.submitted_by)),
                    "who handed it in",
                ),
                (
                    is_unknown || SignedStep::is_at(known.submitted.as_ref(), Some(row.submitted_at)),
                    "when it was handed in",
                ),
                (is_approver, "who approved it"),
                (row.published == known.is_published, "whether it was published"),
                (row.published || known.grace_days.is_none_or(|days| days == row.grace_days), "its days of grace"),
            ];
            wrong.extend(is.into_iter().filter(|(is_same, _)| !is_same).map(|(_, part)| (row.hash.clone(), part)));
        }
        let missing = self.0.into_iter().filter(|(_, known)| !is_part && known.submitted.is_some());
        wrong.extend(missing.map(|((_, hash), _)| (hash, "the row of who handed it in is missing")));
        Ok(())
    }
}
