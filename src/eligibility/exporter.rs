//! Exports of a log, each an event of the log that it exports.

use crate::audit::export::record::Form;
use crate::audit::export::{Export, ExportError, Start, Wanted};
use crate::foundation::clock::Clock;
use crate::foundation::ids::MerchantId;
use crate::ledger::entry::{Actor, EventDraft};
use crate::ledger::events::WrittenFacts;
use crate::ledger::events::logs::LogExported;
use crate::ledger::{Ledger, LedgerError};

/// The kind of an export's event.
pub const KIND: &str = "audit.exported";

/// Makes exports; cheap to clone.
#[derive(Clone)]
pub struct Exporter {
    pub ledger: Ledger,
    pub clock: Clock,
}

impl Exporter {
    /// Records that there is an export, then fixes what it holds.
    ///
    /// # Errors
    /// [`ExportError`]; nothing is recorded when the wish itself is refused.
    pub async fn begin(&self, actor: Actor, wanted: Wanted) -> Result<Export, ExportError> {
        let context = self.ledger.context();
        let trusted = context.keyring.log_keys().iter().map(|key| key.verifier().clone()).collect();
        let start = wanted.find_start(&context.database, trusted).await?;
        self.record(actor, &wanted, start.as_ref()).await?;
        Export::open(context.database.clone(), wanted, start, self.clock.now()).await
    }

    async fn record(&self, actor: Actor, wanted: &Wanted, start: Option<&Start>) -> Result<(), LedgerError> {
        let Wanted { log, period, form, .. } = wanted;
        let format = match form {
            Form::Ndjson => "ndjson",
            Form::Csv => "csv",
        };
        let facts = WrittenFacts::of(&LogExported {
            format: format.into(),
            from: period.from.into(),
            since: start.map(|start| start.at).into(),
            to: period.to.into(),
        });
        let about = log.merchant().map_or("operator", MerchantId::as_str).to_owned();
        let draft = EventDraft { log: log.clone(), kind: KIND, about, actor, facts, personal: None };
        self.ledger
            .change(move |_, events| {
                events.push(draft);
                Ok::<_, LedgerError>(())
            })
            .await
    }
}
