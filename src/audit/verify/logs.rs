//! The logs by name and owner, to say where something is wrong and to go through them again.

use std::collections::HashMap;

use super::findings::{At, FindingPlace};
use super::source::Identity;
use super::store::{self, EventRow};
use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::store::LogRow;

/// One log.
pub(crate) struct Log {
    pub head: LogRow,
    pub identity: Identity,
}

impl Log {
    fn new(head: LogRow) -> Self {
        let identity =
            Identity { name: head.name.clone(), merchant: head.merchant_id.clone(), origin: head.origin.clone() };
        Self { head, identity }
    }

    /// Where an event of it stands.
    pub(crate) fn at<'a>(&'a self, event: &'a EventRow) -> At<'a> {
        At { log: &self.head.name, index: event.log_index, event: &event.id, line: None }
    }

    pub(crate) fn name(&self) -> &str {
        &self.head.name
    }

    pub(crate) fn merchant(&self) -> Option<&str> {
        self.head.merchant_id.as_deref()
    }
}

/// All of them.
pub(crate) struct Logs {
    pub all: Vec<Log>,
    by_merchant: HashMap<String, usize>,
}

impl Logs {
    pub(crate) fn new(heads: Vec<LogRow>) -> Self {
        let by_merchant = heads.iter().enumerate().filter_map(|(nth, head)| Some((head.merchant_id.clone()?, nth)));
        Self { by_merchant: by_merchant.collect(), all: heads.into_iter().map(Log::new).collect() }
    }

    pub(crate) fn find(&self, merchant: &str) -> Option<&Log> {
        self.by_merchant.get(merchant).and_then(|nth| self.all.get(*nth))
    }

    /// The merchant's log as a whole; nothing narrower than the database when it has none.
    pub(crate) fn place_of(&self, merchant: &str) -> FindingPlace {
        self.find(merchant).map(|log| FindingPlace::log(log.name())).unwrap_or_default()
    }

    /// An event of the merchant's log.
    pub(crate) fn place_at(&self, merchant: &str, event: &EventRow) -> FindingPlace {
        self.find(merchant).map(|log| log.at(event).into()).unwrap_or_default()
    }

    /// Goes through all events of all logs again.
    pub(crate) fn each_page(
        &self,
        conn: &mut AnyConnection,
        mut f: impl FnMut(&mut AnyConnection, &Log, &[EventRow]) -> Result<(), DatabaseError>,
    ) -> Result<(), DatabaseError> {
        for log in &self.all {
            let mut last = i64::MIN;
            loop {
                let page = store::list_events(conn, &log.head.id, last)?;
                f(conn, log, &page)?;
                match page.last() {
                    Some(event) if page.len() == store::PAGE => last = event.log_index,
                    _ => break,
                }
            }
        }
        Ok(())
    }
}
