//! Making a computed source: by the shipped model, which is kept with the merchant, so that a newer build doesn't change it.

use jiff::Timestamp;

use super::store::due::begin_all_due;
use super::store::insert_model;
use crate::database::DatabaseError;
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::period::Period;
use crate::ledger::Ledger;
use crate::ledger::entry::Actor;
use crate::scores::Scores;
use crate::scores::error::ScoreError;
use crate::scores::handle::make_source;
use crate::scores::score::Source;
use crate::scoring::default_model::default_model;

impl Scores {
    /// Makes a source that is computed from signals, from 1 to 100, with the event `source.created` in the same transaction.
    /// Everyone who is enrolled is due: the next run makes them so, in pieces.
    ///
    /// # Errors
    /// [`ScoreError::Source`], [`ScoreError::SourceExists`], [`ScoreError::Ledger`] and [`ScoreError::Database`].
    pub async fn create_computed_source(
        &self,
        ledger: &Ledger,
        actor: Actor,
        merchant: &MerchantId,
        name: SourceName,
        refresh: Option<Period>,
        now: Timestamp,
    ) -> Result<Source, ScoreError> {
        let model = default_model().map_err(|_| DatabaseError::corrupt("model", "the shipped one can't be read"))?;
        let source = Source::computed(name, refresh, model.hash())?;
        let merchant = merchant.clone();
        ledger
            .change(move |conn, events| {
                insert_model(conn, &merchant, &model)?;
                let source = make_source(conn, events, (&merchant, actor), source, now)?;
                begin_all_due(conn, &merchant, Some(&source.name))?;
                Ok(source)
            })
            .await
    }
}
