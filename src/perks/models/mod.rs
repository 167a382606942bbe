//! Publishing the model by which a computed source computes: at once, or with four eyes once someone else has approved it.
//!
//! A model is known by the hash of its canonical form (`scoring::model`). It stands in the events, in the source and in
//! every explanation, so that of each score one can see by which weights it came about. For a while the model before counts
//! too, where it makes a score the better one: nobody loses what they had overnight. Publishing another meanwhile doesn't end that.

mod store;

use jiff::{SignedDuration, Timestamp};

use super::catalog::Catalog;
use super::draft::{event, name_of};
use super::error::PerkError;
use super::four_eyes;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::json::Json;
use crate::ledger::LedgerError;
use crate::ledger::entry::{Actor, EventDraft};
use crate::ledger::events::perks::ModelChanged;
use crate::scores::computing::publishing::{self, NewModel};
use crate::scores::find_source;
use crate::scores::score::{Source, SourceKind};

use crate::scoring::diff::{Change, diff};
use crate::scoring::lint::lint;
use crate::scoring::model::Model;
use store::SubmissionRow;

/// The days for which the model before counts too, unless others are given, and the most there may be.
pub const GRACE_DAYS: u16 = 30;
pub const LONGEST_GRACE: u16 = 366;

/// The most models that count at one time beside the one in use: each is computed for everyone.
const MOST_GRACES: usize = 8;

/// Where a model of a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelStatus {
    /// A second person is to approve it.
    Submitted,
    /// The source computes by it.
    Published,
    /// The source has computed by it.
    Retired,
}

impl ModelStatus {
    pub const ALL: [Self; 3] = [Self::Submitted, Self::Published, Self::Retired];

    /// The wire form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Published => "published",
            Self::Retired => "retired",
        }
    }
}

/// A model that was handed in for a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceModel {
    pub hash: String,
    pub status: ModelStatus,
    pub submitted_by: String,
    pub submitted_at: Timestamp,
    /// The days for which the model before counts too, from when this one is published.
    pub grace_days: i64,
    pub approved_by: Option<String>,
}

/// Why a model was not published.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("the model doesn't fit")]
    Unfit(Vec<FieldError>),
    #[error("there is no computed source `{0}`; `perkgate source create NAME --computed` makes one")]
    NotComputed(SourceName),
    #[error("{MOST_GRACES} models count beside it already: publish it without a grace, or wait until one is over")]
    Graces,
    #[error("no model of this hash waits for approval")]
    NotSubmitted,
    #[error("no model of this hash was handed in for the source")]
    Unknown,
    #[error(transparent)]
    Perk(#[from] PerkError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Catalog {
    /// Hands a model in for a computed source: it is published at once unless the merchant asks for four eyes. Everyone is
    /// due then. The same again is the same.
    ///
    /// # Errors
    /// [`ModelError`].
    pub async fn submit_model(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        source: &SourceName,
        (model, grace_days): (&Json, u16),
    ) -> Result<SourceModel, ModelError> {
        let model = Model::read(model).map_err(ModelError::Unfit)?;
        let faults = lint(&model);
        if !faults.is_empty() {
            return Err(ModelError::Unfit(faults));
        }
        let (merchant, source, now) = (merchant.clone(), source.clone(), self.clock.now());
        self.ledger
            .change(move |conn, events| {
                let current = find_computed(conn, &merchant, &source)?.model;
                publishing::insert_model(conn, &merchant, &model)?;
                let row = SubmissionRow {
                    merchant_id: merchant.as_str().to_owned(),
                    source: source.as_str().to_owned(),
                    hash: model.hash(),
                    submitted_by: name_of(&actor),
                    submitted_at: now.as_microsecond(),
                    grace_days: i64::from(grace_days),
                    approved_by: None,
                    published: false,
                };
                let known = store::find(conn, &merchant, &source, &row.hash)?;
                let is_current = current.as_deref() == Some(&*row.hash);
                // An approval from before two were asked for counts only if it was another's.
                let is_approved = match &known {
                    Some(SubmissionRow { approved_by: Some(by), submitted_by, submitted_at, .. }) => {
                        four_eyes::is_anothers(conn, &merchant, by, (submitted_by, *submitted_at))?
                    }
                    _ => false,
                };
                let waits = four_eyes::is_required(conn, &merchant)? && !is_current && !is_approved;
                let row = match known {
                    Some(known) if is_current => known,
                    // One that was in use unapproved, and is handed in again, is looked at now; so is one that waits, with
                    // another grace.
                    Some(known)
                        if !(waits && known.published) && (known.published || known.grace_days == row.grace_days) =>
                    {
                        SubmissionRow { grace_days: row.grace_days, ..known }
                    }
                    _ => {
                        let row = SubmissionRow { published: is_current, ..row };
                        store::replace(conn, &row)?;
                        let (model, of) = (row.hash.as_str().into(), source.as_str().into());
                        let grace_days = Some(row.grace_days);
                        let facts = ModelChanged { approves: None, grace_days, grace_until: None, model, source: of };
                        events.push(event(&merchant, &actor, "model.submitted", source.as_str(), &facts));
                        row
                    }
                };
                if waits {
                    return Ok(SourceModel::of(row, ModelStatus::Submitted));
                }
                if !is_current {
                    publish(conn, events, (&merchant, &source), (&actor, None), &row, now)?;
                }
                Ok(SourceModel::of(row, ModelStatus::Published))
            })
            .await
    }

    /// Approves a model that waits, and publishes it; the one in use is left as it is. Where the merchant asks for four eyes, this takes someone who did not
    /// hand it in.
    ///
    /// # Errors
    /// [`ModelError`].
    pub async fn approve_model(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        source: &SourceName,
        hash: &str,
    ) -> Result<SourceModel, ModelError> {
        let (merchant, source, hash, now) = (merchant.clone(), source.clone(), hash.to_owned(), self.clock.now());
        self.ledger
            .change(move |conn, events| {
                let current = find_computed(conn, &merchant, &source)?.model;
                let row = store::lock(conn, &merchant, &source, &hash)?.ok_or(ModelError::NotSubmitted)?;
                if current.as_deref() == Some(&*row.hash) {
                    return Ok(SourceModel::of(row, ModelStatus::Published));
                }
                if row.published {
                    return Err(ModelError::NotSubmitted);
                }
                let since = from_micros(row.submitted_at);
                four_eyes::require_another_in(conn, &merchant, &row.submitted_by, since, &actor)?;
                let row = SubmissionRow { approved_by: Some(name_of(&actor)), ..row };
                store::approve(conn, &row)?;
                publish(conn, events, (&merchant, &source), (&actor, Some(true)), &row, now)?;
                Ok(SourceModel::of(row, ModelStatus::Published))
            })
            .await
    }

    /// The models that were handed in for a source, the last first.
    ///
    /// # Errors
    /// [`ModelError::NotComputed`] and the database's.
    pub async fn list_models(
        &self,
        merchant: &MerchantId,
        source: &SourceName,
    ) -> Result<Vec<SourceModel>, ModelError> {
        let (merchant, source) = (merchant.clone(), source.clone());
        let read = move |conn: &mut AnyConnection| {
            let current = find_computed(conn, &merchant, &source)?.model;
            let of = |row: SubmissionRow| {
                let status = match &row.approved_by {
                    _ if current.as_ref() == Some(&row.hash) => ModelStatus::Published,
                    _ if row.published => ModelStatus::Retired,
                    _ => ModelStatus::Submitted,
                };
                SourceModel::of(row, status)
            };
            let rows = store::list(conn, &merchant, &source)?;
            Ok(rows.into_iter().map(of).collect())
        };
        self.database.read(read).await
    }

    /// The differences in sentences from the model in use to one that was handed in.
    ///
    /// # Errors
    /// [`ModelError::NotComputed`], [`ModelError::Unknown`] and the database's.
    pub async fn compare_model(
        &self,
        merchant: &MerchantId,
        source: &SourceName,
        hash: &str,
    ) -> Result<(String, Vec<Change>), ModelError> {
        let (merchant, source, hash) = (merchant.clone(), source.clone(), hash.to_owned());
        let read = move |conn: &mut AnyConnection| {
            let current = find_computed(conn, &merchant, &source)?.model.unwrap_or_default();
            store::find(conn, &merchant, &source, &hash)?.ok_or(ModelError::Unknown)?;
            let before = publishing::find_model(conn, &merchant, &current)?.ok_or(ModelError::Unknown)?;
            let after = publishing::find_model(conn, &merchant, &hash)?.ok_or(ModelError::Unknown)?;
            Ok((current, diff(&before, &after)))
        };
        self.database.read(read).await
    }
}

impl SourceModel {
    fn of(row: SubmissionRow, status: ModelStatus) -> Self {
        let SubmissionRow { hash, submitted_by, submitted_at, grace_days, approved_by, .. } = row;
        Self { hash, status, submitted_by, submitted_at: from_micros(submitted_at), grace_days, approved_by }
    }
}

fn find_computed(conn: &mut AnyConnection, merchant: &MerchantId, name: &SourceName) -> Result<Source, ModelError> {
    let found = find_source(conn, merchant, name)?.filter(|it| it.kind == SourceKind::Computed);
    found.ok_or_else(|| ModelError::NotComputed(name.clone()))
}

/// The source computes by this model from now on, for everyone.
fn publish(
    conn: &mut AnyConnection,
    events: &mut Vec<EventDraft>,
    (merchant, source): (&MerchantId, &SourceName),
    (actor, approves): (&Actor, Option<bool>),
    row: &SubmissionRow,
    now: Timestamp,
) -> Result<(), ModelError> {
    let grace_until = (row.grace_days > 0).then(|| now + SignedDuration::from_hours(24 * row.grace_days));
    if grace_until.is_some() && publishing::count_graces(conn, merchant, source, now)? >= MOST_GRACES {
        return Err(ModelError::Graces);
    }
    store::note_published(conn, row)?;
    publishing::set_model(conn, merchant, source, NewModel { hash: &row.hash, grace_until })?;
    let (model, of) = (row.hash.as_str().into(), source.as_str().into());
    let facts = ModelChanged { approves, grace_days: None, grace_until, model, source: of };
    events.push(event(merchant, actor, "model.published", source.as_str(), &facts));
    Ok(())
}
