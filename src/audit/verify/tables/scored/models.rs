//! The models by which sources compute, held to the events of one merchant.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use serde::Deserialize;

use crate::audit::reader::instant::Instant;
use crate::audit::reader::text::Text;
use crate::audit::verify::findings::{FindingPlace, Findings, Wrong};
use crate::audit::verify::store;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::subject::hex;

/// The facts of `source.created` and `model.published`.
#[derive(Deserialize)]
pub(crate) struct ModelFacts<'a> {
    #[serde(borrow)]
    source: Text<'a>,
    /// Absent where feeders push.
    #[serde(borrow)]
    model: Option<Text<'a>>,
    grace_until: Option<Instant>,
}

/// The model of a source; the one before, and until when that counts too.
#[derive(Default)]
struct Expected {
    model: Option<String>,
    before: Option<String>,
    until: Option<i64>,
}

/// The sources of one log, by name.
#[derive(Default)]
pub(crate) struct Models(BTreeMap<String, Expected>);

impl Models {
    pub(crate) fn take(&mut self, facts: &ModelFacts<'_>) {
        let known = self.0.entry(facts.source.to_string()).or_default();
        known.before = known.model.take();
        known.model = facts.model.as_ref().map(|model| model.to_string());
        known.until = facts.grace_until.map(|until| until.0);
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
        let mut add = |name: String, part| findings.add(FindingPlace::log(log), Wrong::Model { name, part });
        for (name, model, before, until) in store::list_source_models(conn, merchant)? {
            let Some(expected) = self.0.remove(&name) else {
                if !is_part {
                    add(name, "no event makes the source");
                }
                continue;
            };
            // A grace that is over is taken away, and no event says so.
            let is_grace = before.is_none() || (before == expected.before && until == expected.until);
            if model != expected.model {
                add(name, "the source's row names another");
            } else if !is_grace {
                add(name, "another counts beside it, or for longer");
            }
        }
        for (hash, body) in store::list_models(conn, merchant)? {
            let is_so = format!("sha256:{}", hex(digest::digest(&digest::SHA256, body.as_bytes()).as_ref())) == hash;
            if !is_so {
                add(hash, "its text is not what its hash says");
            }
        }
        for name in self.0.into_keys().filter(|_| !is_part) {
            add(name, "the source's row is missing");
        }
        Ok(())
    }
}
