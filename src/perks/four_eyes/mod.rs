//! Four eyes: nothing new decides until someone other than its author has approved it.
//!
//! A person is an admin key. The holder of a key can make others, so all keys that go back to one
//! key, made by the operator or on the command line, are one person. The command line has no key:
//! it can write and submit, and can neither approve, nor lift the requirement, nor judge a contested case. Nor can a person whose
//! first key is younger than what they would approve: someone who can make keys could make themselves a
//! second one.

pub mod store;

use jiff::{SignedDuration, Timestamp};

use super::catalog::Catalog;
use super::draft::{event, name_of};
use super::error::PerkError;
use super::perk::{RuleVersion, Signed};
use super::store::VersionRow;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{KeyId, MerchantId};
use crate::ledger::entry::Actor;
use crate::ledger::events::Nullable;
use crate::ledger::events::perks::ApprovalsChanged;
use store::FourEyesRow;

/// The time a wish to lift the requirement waits for a second person: nobody should find that they
/// confirmed what was asked long ago.
pub const LIFT_STANDS: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Further than any chain of keys that people make.
const LONGEST_CHAIN: usize = 10_000;

/// A merchant's requirement of four eyes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FourEyes {
    pub required: bool,
    /// The person who asked to lift it, and when; a second person has not confirmed it yet.
    pub lift: Option<Signed>,
}

impl FourEyes {
    fn of(row: Option<FourEyesRow>, now: Timestamp) -> Self {
        let Some(row) = row else {
            return Self { required: false, lift: None };
        };
        Self { required: row.required, lift: Signed::stored(row.lift_by, row.lift_at).filter(|it| stands(it.at, now)) }
    }
}

fn stands(asked: Timestamp, now: Timestamp) -> bool {
    now.duration_since(asked) < LIFT_STANDS
}

pub(super) fn is_required(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<bool, DatabaseError> {
    Ok(store::find(conn, merchant)?.is_some_and(|row| row.required))
}

/// The first key of the chain that ends in `person`; for others than keys (`cli`) that itself.
fn root(conn: &mut AnyConnection, merchant: &MerchantId, person: &str) -> Result<String, DatabaseError> {
    let mut root = person.to_owned();
    for _ in 0..LONGEST_CHAIN {
        match store::find_maker(conn, merchant, &root)?.flatten() {
            // One that the operator made is where the merchant's own chain begins.
            Some(maker) if store::find_maker(conn, merchant, &maker)?.is_some() => root = maker,
            _ => return Ok(root),
        }
    }
    Err(DatabaseError::corrupt("key", "its makers go round in a circle"))
}

fn is_same_person(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    one: &str,
    other: &str,
) -> Result<bool, DatabaseError> {
    Ok(one == other || root(conn, merchant, one)? == root(conn, merchant, other)?)
}

/// Tells whether `person` wrote on the version.
pub(super) fn is_author(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    version: &VersionRow,
    person: &str,
) -> Result<bool, DatabaseError> {
    for author in std::iter::once(version.author.as_str()).chain(version.editors.split_whitespace()) {
        if is_same_person(conn, merchant, author, person)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Tells whether the first key of the person's chain was made after `since`.
pub(super) fn is_younger(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    person: &str,
    since: Option<i64>,
) -> Result<bool, DatabaseError> {
    let first = root(conn, merchant, person)?;
    let made_at = store::find_made_at(conn, merchant, &first)?;
    Ok(made_at.zip(since).is_some_and(|(made_at, since)| made_at > since))
}

/// Passes when the version may decide: nobody asks for two, or two have looked at it. An approval
/// from before the requirement counts only if it was another's.
pub(super) fn require_approval(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    version: &VersionRow,
) -> Result<(), PerkError> {
    if !is_required(conn, merchant)? {
        return Ok(());
    }
    match &version.approved_by {
        Some(by)
            if !is_author(conn, merchant, version, by)? && !is_younger(conn, merchant, by, version.submitted_at)? =>
        {
            Ok(())
        }
        _ => Err(PerkError::ApprovalRequired),
    }
}

/// True if `by` is someone else than `first`, who asked `since`, and was there before.
pub(super) fn is_anothers(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    by: &str,
    (first, since): (&str, i64),
) -> Result<bool, DatabaseError> {
    Ok(!is_same_person(conn, merchant, first, by)? && !is_younger(conn, merchant, by, Some(since))?)
}

/// Passes when the merchant doesn't ask for four eyes, or `actor` is someone else than `first`, who asked `since`.
pub(super) fn require_another_in(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    first: &str,
    since: Timestamp,
    actor: &Actor,
) -> Result<(), PerkError> {
    if !is_required(conn, merchant)? {
        return Ok(());
    }
    if actor.key.is_none() {
        return Err(PerkError::NoPerson);
    }
    let person = name_of(actor);
    if is_same_person(conn, merchant, first, &person)? {
        return Err(PerkError::SelfApproval);
    }
    if is_younger(conn, merchant, &person, Some(since.as_microsecond()))? {
        return Err(PerkError::YoungKey);
    }
    Ok(())
}

impl Catalog {
    /// Returns the merchant's requirement as it is now.
    ///
    /// # Errors
    /// The database's.
    pub async fn four_eyes(&self, merchant: &MerchantId) -> Result<FourEyes, PerkError> {
        let (merchant, now) = (merchant.clone(), self.clock.now());
        let row = self.database.read(move |conn| store::find(conn, &merchant)).await?;
        Ok(FourEyes::of(row, now))
    }

    /// Tells whether `person` wrote on a version, under whichever of their keys.
    ///
    /// # Errors
    /// The database's.
    pub async fn wrote_on(
        &self,
        merchant: &MerchantId,
        version: &RuleVersion,
        person: &KeyId,
    ) -> Result<bool, PerkError> {
        let (merchant, person) = (merchant.clone(), person.as_str().to_owned());
        let authors: Vec<String> = std::iter::once(&version.author).chain(&version.editors).cloned().collect();
        let read = move |conn: &mut AnyConnection| {
            for author in &authors {
                if is_same_person(conn, &merchant, author, &person)? {
                    return Ok(true);
                }
            }
            Ok::<_, DatabaseError>(false)
        };
        Ok(self.database.read(read).await?)
    }

    /// Passes when the merchant doesn't ask for four eyes, or `actor` is someone else than `first`, who
    /// asked `since`.
    ///
    /// # Errors
    /// [`PerkError::SelfApproval`], [`PerkError::YoungKey`] for a key made since, [`PerkError::NoPerson`] for the
    /// command line, or the database's.
    pub async fn require_another(
        &self,
        merchant: &MerchantId,
        first: &str,
        since: Timestamp,
        actor: &Actor,
    ) -> Result<(), PerkError> {
        let (merchant, first, actor) = (merchant.clone(), first.to_owned(), actor.clone());
        let read = move |conn: &mut AnyConnection| require_another_in(conn, &merchant, &first, since, &actor);
        self.database.read(read).await
    }

    /// Asks for four eyes, at once; or no longer, which needs a second person: the first asks, the
    /// second asks the same and it is lifted.
    ///
    /// # Errors
    /// [`PerkError::SelfApproval`] when the one who asked confirms it, [`PerkError::YoungKey`] for a
    /// key made since, [`PerkError::NoPerson`] for
    /// the command line, or the ledger's.
    pub async fn set_four_eyes(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        required: bool,
    ) -> Result<FourEyes, PerkError> {
        let (merchant, clock) = (merchant.clone(), self.clock.clone());
        self.ledger
            .change(move |conn, events| {
                let now = clock.now();
                let mut row = store::lock(conn, &merchant, now.as_microsecond())?;
                let pending =
                    row.lift_by.clone().filter(|_| row.lift_at.is_some_and(|at| stands(from_micros(at), now)));
                let (by, at) = (Some(name_of(&actor)), now.as_microsecond());
                let mut asked_by = Nullable(None);
                let kind = match (row.required, required, pending) {
                    (false, false, _) | (true, true, None) => return Ok(FourEyes::of(Some(row), now)),
                    (false, true, _) => "approvals.required",
                    (true, true, Some(_)) => "approvals.kept",
                    (true, false, _) if actor.key.is_none() => return Err(PerkError::NoPerson),
                    (true, false, None) => "approvals.lift_requested",
                    (true, false, Some(first)) => {
                        if is_same_person(conn, &merchant, &first, &name_of(&actor))? {
                            return Err(PerkError::SelfApproval);
                        }
                        if is_younger(conn, &merchant, &name_of(&actor), row.lift_at)? {
                            return Err(PerkError::YoungKey);
                        }
                        asked_by = Nullable::some(first.into());
                        "approvals.lifted"
                    }
                };
                row = match kind {
                    "approvals.lift_requested" => FourEyesRow { lift_by: by, lift_at: Some(at), ..row },
                    _ => FourEyesRow {
                        required: kind != "approvals.lifted",
                        changed_by: by,
                        changed_at: at,
                        lift_by: None,
                        lift_at: None,
                        ..row
                    },
                };
                store::update(conn, &merchant, &row)?;
                let facts = ApprovalsChanged { asked_by, required: row.required };
                events.push(event(&merchant, &actor, kind, merchant.as_str(), &facts));
                Ok(FourEyes::of(Some(row), now))
            })
            .await
    }
}
