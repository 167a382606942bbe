//! The models by which sources compute, and how far a feed may move scores, held to the events of one merchant.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest;
use serde::Deserialize;

use super::submissions::Submissions;
use crate::audit::reader::body::Body;
use crate::audit::reader::instant::Instant;
use crate::audit::reader::text::Text;
use crate::audit::verify::findings::{At, FindingPlace, Findings, Wrong};
use crate::audit::verify::store;
use crate::audit::verify::tables::approvals::Approvals;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::decimal::Decimal;
use crate::foundation::subject::hex;

/// The facts of `source.created`, `model.submitted` and `model.published`.
#[derive(Deserialize)]
pub(crate) struct ModelFacts<'a> {
    #[serde(borrow)]
    pub source: Text<'a>,
    /// Absent where feeders push.
    #[serde(borrow)]
    pub model: Option<Text<'a>>,
    pub grace_until: Option<Instant>,
    pub grace_days: Option<i64>,
    pub approves: Option<bool>,
}

/// The facts of `source.guard_changed`.
#[derive(Deserialize)]
pub(crate) struct GuardFacts<'a> {
    #[serde(borrow)]
    source: Text<'a>,
    share: Decimal,
    points: Decimal,
}

/// The model of a source; those before, and until when each counts too.
#[derive(Default)]
struct Expected {
    model: Option<String>,
    before: BTreeMap<String, i64>,
}

/// The sources of one log, by name.
#[derive(Default)]
pub(crate) struct Models {
    sources: BTreeMap<String, Expected>,
    guards: BTreeMap<String, (i64, i64)>,
    submissions: Submissions,
}

impl Models {
    /// Takes `source.created` and those of models. `has_gaps`: some events are not here.
    pub(crate) fn take(
        &mut self,
        at: At<'_>,
        body: &Body<'_>,
        facts: &ModelFacts<'_>,
        (approvals, has_gaps): (&Approvals, bool),
        findings: &mut Findings,
    ) {
        let known = self.sources.entry(facts.source.to_string()).or_default();
        let model = facts.model.as_ref().map(|model| model.to_string());
        if &*body.kind == "model.submitted" {
            self.submissions.submitted(body, facts, known.model == model);
            return;
        }
        if &*body.kind == "model.published" {
            let objection = self.submissions.published(body, facts, approvals, has_gaps);
            if let Some(part) = objection {
                findings.add(at, Wrong::Model { name: facts.source.to_string(), part });
            }
        }
        let before = std::mem::replace(&mut known.model, model);
        if let Some((before, until)) = before.zip(facts.grace_until) {
            known.before.insert(before, until.0);
        }
        if let Some(model) = &known.model {
            known.before.remove(model);
        }
    }

    pub(crate) fn guarded(&mut self, facts: &GuardFacts<'_>) {
        self.guards.insert(facts.source.to_string(), (facts.share.thousandths(), facts.points.thousandths()));
    }

    /// Compares with the merchant's rows.
    pub(crate) fn close(
        mut self,
        conn: &mut AnyConnection,
        log: &str,
        merchant: &str,
        is_part: bool,
        findings: &mut Findings,
    ) -> Result<(), DatabaseError> {
        let mut wrong: Vec<(String, &'static str)> = Vec::new();
        let mut named = BTreeSet::new();
        let mut graces: BTreeMap<String, Vec<(String, i64)>> = BTreeMap::new();
        for (source, model, until) in store::list_graces(conn, merchant)? {
            graces.entry(source).or_default().push((model, until));
        }
        for (name, model) in store::list_source_models(conn, merchant)? {
            let Some(expected) = self.sources.remove(&name) else {
                if !is_part {
                    wrong.push((name, "no event makes the source"));
                }
                continue;
            };
            let beside = graces.remove(&name).unwrap_or_default();
            // One that is over is taken away, and no event says so.
            let are_graces = beside.iter().all(|(model, until)| expected.before.get(model) == Some(until));
            if model != expected.model {
                wrong.push((name, "the source's row names another"));
            } else if !are_graces {
                wrong.push((name.clone(), "another counts beside it, or for longer"));
            }
            named.extend(model.into_iter().chain(beside.into_iter().map(|(model, _)| model)));
        }
        if !is_part {
            wrong.extend(graces.into_keys().map(|name| (name, "one counts for a source that is not there")));
        }
        for (hash, body) in store::list_models(conn, merchant)? {
            let is_so = format!("sha256:{}", hex(digest::digest(&digest::SHA256, body.as_bytes()).as_ref())) == hash;
            named.remove(&hash);
            if !is_so {
                wrong.push((hash, "its text is not what its hash says"));
            }
        }
        wrong.extend(named.into_iter().map(|hash| (hash, "its row is missing")));
        wrong.extend(self.sources.into_keys().filter(|_| !is_part).map(|name| (name, "the source's row is missing")));
        for (source, share, points) in store::list_guards(conn, merchant)? {
            let expected = self.guards.remove(&source);
            if expected != Some((share, points)) && !(is_part && expected.is_none()) {
                wrong.push((source, "its guard is another"));
            }
        }
        wrong.extend(self.guards.into_keys().map(|source| (source, "its guard is missing")));
        self.submissions.close(conn, merchant, is_part, &mut wrong)?;
        for (name, part) in wrong {
            findings.add(FindingPlace::log(log), Wrong::Model { name, part });
        }
        Ok(())
    }
}
