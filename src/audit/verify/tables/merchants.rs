//! A merchant's own row against the events of its log.

use crate::audit::reader::body::MerchantFacts;
use crate::audit::verify::findings::{FindingPlace, Findings, Wrong};
use crate::audit::verify::store;
use crate::database::{AnyConnection, DatabaseError};

/// The zone of a merchant of which no event names one: the first events had none to name.
const ZONE: &str = "UTC";

/// The owner of one log as its events have it.
#[derive(Default)]
pub(crate) struct Owner {
    /// None where no event says it.
    name: Option<String>,
    time_zone: Option<String>,
    is_test: Option<bool>,
}

impl Owner {
    pub(crate) fn created(&mut self, facts: &MerchantFacts<'_>) {
        self.is_test = Some(facts.test.unwrap_or(false));
        self.changed(facts);
    }

    pub(crate) fn changed(&mut self, facts: &MerchantFacts<'_>) {
        self.name = facts.name.as_ref().map(|name| name.to_string()).or(self.name.take());
        self.time_zone = facts.time_zone.as_ref().map(|zone| zone.to_string()).or(self.time_zone.take());
    }

    /// Compares with the row. That there is one, and that it bears its log's name, is asked for all
    /// merchants together.
    pub(crate) fn close(
        self,
        conn: &mut AnyConnection,
        log: &str,
        merchant: &str,
        findings: &mut Findings,
    ) -> Result<(), DatabaseError> {
        let Some((name, time_zone, is_test)) = store::find_merchant(conn, merchant)? else { return Ok(()) };
        let parts = [
            (self.is_test.is_none_or(|said| said == is_test), "test"),
            (self.name.is_none_or(|said| said == name), "name"),
            (self.time_zone.as_deref().unwrap_or(ZONE) == time_zone, "time zone"),
        ];
        for (_, part) in parts.into_iter().filter(|(is_same, _)| !is_same) {
            findings.add(FindingPlace::log(log), Wrong::Merchant { merchant: merchant.to_owned(), part });
        }
        Ok(())
    }
}
