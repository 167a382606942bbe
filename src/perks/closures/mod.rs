//! Places that are closed for a while, whatever the rule says: a perk, or one of its locations. Each opens by itself.
//!
//! A closure is the perk's own and no part of a rule: it stands in the snapshot beside the versions that decide, under the
//! perk's revision, so that every replica knows of it within a second.

pub(super) mod store;
mod words;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::catalog::Catalog;
use super::draft::{event, name_of};
use super::error::PerkError;
use super::keys;
use super::life::Change;
use super::store::{PerkRow, record_change};
use crate::database::DatabaseError;
use crate::foundation::clock::from_micros;
use crate::foundation::document::{FieldErrors, Node};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{self, ClosureId, MAX_LABEL, MerchantId, PerkSlug};
use crate::foundation::json::Json;
use crate::ledger::entry::Actor;
use crate::ledger::events::Nullable;
use crate::ledger::events::perks::PlaceClosed;
use crate::rules::messages::Messages;
use store::ClosureRow;

/// The kinds of its events.
pub const CLOSED: &str = "place.closed";
pub const OPENED: &str = "place.opened";

/// The most places of a perk that are closed at once: each check looks at all of them.
const MOST: usize = 1_000;

/// The id of a closure whose own can't be read.
const UNNAMED: &str = "clo_00000000000000000000000000000000";

/// The longest time for which a place is closed.
const LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);

/// A place that is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closure {
    pub id: ClosureId,
    /// None for all of the perk.
    pub location: Option<String>,
    /// When it opens by itself.
    pub until: Timestamp,
    /// The words for guests.
    pub message: Option<Messages>,
    pub made_at: Timestamp,
    /// A key, or `cli`.
    pub made_by: String,
}

/// A place that is to be closed.
#[derive(Debug, Clone)]
pub struct NewClosure {
    pub location: Option<String>,
    pub until: Timestamp,
    pub message: Option<Json>,
}

/// A closure that was made, and its oddities.
#[derive(Debug, Clone)]
pub struct Closing {
    pub closure: Closure,
    pub warnings: Vec<FieldError>,
}

impl Closure {
    /// Tells whether it closes the place of a key that is used at `location` at `now`.
    #[must_use]
    pub fn closes(&self, location: Option<&str>, now: Timestamp) -> bool {
        now < self.until && self.location.as_deref().is_none_or(|closed| location == Some(closed))
    }

    /// Reads a row. What can't be read of it is logged and left out: a closed place must not open by that, and the others must
    /// not be kept from moving on.
    pub(super) fn read(row: ClosureRow) -> Option<Self> {
        let said = |error: &DatabaseError| tracing::error!(%error, closure = row.id, "a closure can't be read");
        let message = row.message.as_deref().and_then(|text| words::words(text).inspect_err(said).ok());
        let id = row.id.parse().map_err(|error| DatabaseError::corrupt("closure id", error));
        let id = id.inspect_err(said).or_else(|_| UNNAMED.parse()).ok()?;
        Some(Self {
            id,
            location: Some(row.location).filter(|location| !location.is_empty()),
            until: from_micros(row.until),
            message,
            made_at: from_micros(row.made_at),
            made_by: row.made_by,
        })
    }
}

fn read_message(node: &Node<'_>) -> Result<Messages, Vec<FieldError>> {
    let mut errors = FieldErrors::default();
    let read = Messages::read(node, &mut errors);
    errors.unless_any(read)
}

/// The one of `closures` that closes the place the longest: the place's own before the perk's; none where it is open.
#[must_use]
pub fn closing<'a>(closures: &'a [Arc<Closure>], location: Option<&str>, now: Timestamp) -> Option<&'a Arc<Closure>> {
    let closing = closures.iter().filter(|closure| closure.closes(location, now));
    closing.max_by_key(|closure| (closure.until, closure.location.is_some()))
}

impl Catalog {
    /// Closes a perk, or one of its locations, until an instant; another closure of the same place is replaced.
    ///
    /// # Errors
    /// [`PerkError::Fields`] for an instant that is not ahead, a name or words that can't be taken; [`PerkError::NotFound`],
    /// [`PerkError::Retired`].
    pub async fn close_place(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        slug: &PerkSlug,
        new: NewClosure,
    ) -> Result<Closing, PerkError> {
        let mut errors = Vec::new();
        let location = new.location.as_deref().map(|location| ids::label(location, MAX_LABEL)).transpose();
        let location = location.unwrap_or_else(|error| {
            errors.push(FieldError::at("/location", "invalid_value", error.to_string()));
            None
        });
        let message = new.message.as_ref().map(|json| read_message(&Node::root(json))).transpose();
        let message = message.unwrap_or_else(|faults| {
            errors.extend(faults.into_iter().map(|error| error.below("/message")));
            None
        });
        let id = ClosureId::new(self.clock.now(), &self.entropy);
        let until = from_micros(new.until.as_microsecond());
        let clock = self.clock.clone();
        self.change_perk(merchant, actor, slug, move |change, perk| {
            // Now that the perk is locked, which may have taken its time.
            let now = clock.now();
            errors.extend(unfit(until, now).map(|detail| FieldError::at("/until", "invalid_value", detail)));
            if let Some(location) = &location {
                errors.extend(keys::unknown_location(change.conn, change.merchant, location, now)?);
            }
            if !errors.is_empty() {
                return Err(PerkError::Fields(errors));
            }
            let made_by = name_of(change.actor);
            let closure = Closure { id, location, until, message, made_at: now, made_by };
            change.close(perk, &closure)?;
            let mut warnings = Vec::new();
            if closure.location.is_some() {
                warnings.extend(keys::without_location(change.conn, change.merchant, now)?);
            }
            Ok(Closing { closure, warnings })
        })
        .await
    }

    /// Opens a place before its time. None where there is no such closure, or its time has come.
    ///
    /// # Errors
    /// As [`Catalog::close_place`].
    pub async fn open_place(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        slug: &PerkSlug,
        closure: ClosureId,
    ) -> Result<Option<Closure>, PerkError> {
        self.change_perk(merchant, actor, slug, move |change, perk| {
            let rows = store::list_of_perk(change.conn, change.merchant, &perk.id)?;
            let now = change.now.as_microsecond();
            let Some(row) = rows.into_iter().find(|row| *row.id == *closure.as_str() && row.until > now) else {
                return Ok(None);
            };
            let Some(closure) = Closure::read(row) else { return Ok(None) };
            change.open_again(perk, &closure)?;
            Ok(Some(closure))
        })
        .await
    }

    /// The places of a perk that are closed now, the whole of it first.
    ///
    /// # Errors
    /// [`PerkError::NotFound`], and the database's.
    pub async fn list_closures(&self, merchant: &MerchantId, slug: &PerkSlug) -> Result<Vec<Closure>, PerkError> {
        let perk = self.find_perk(merchant, slug).await?;
        let (merchant, now) = (merchant.clone(), self.clock.now().as_microsecond());
        self.database
            .read(move |conn| {
                let rows = store::list_of_perk(conn, &merchant, perk.id.as_str())?.into_iter();
                Ok(rows.filter(|row| row.until > now).filter_map(Closure::read).collect())
            })
            .await
    }
}

/// Why no place is closed until an instant.
fn unfit(until: Timestamp, now: Timestamp) -> Option<&'static str> {
    if until <= now {
        Some("this has passed: a place is closed until an instant ahead")
    } else if until.duration_since(now) > LONGEST {
        Some("this is more than a year ahead: pause the perk instead")
    } else {
        None
    }
}

impl Change<'_> {
    fn close(&mut self, perk: &PerkRow, closure: &Closure) -> Result<(), PerkError> {
        let row = ClosureRow {
            id: closure.id.as_str().to_owned(),
            merchant_id: self.merchant.as_str().to_owned(),
            perk_id: perk.id.clone(),
            location: closure.location.clone().unwrap_or_default(),
            until: closure.until.as_microsecond(),
            message: closure.message.as_ref().map(|message| message.to_json().canonical()),
            made_at: closure.made_at.as_microsecond(),
            made_by: closure.made_by.clone(),
        };
        store::delete(self.conn, self.merchant, &perk.id, &row.location)?;
        store::delete_ended(self.conn, self.merchant, &perk.id, row.made_at)?;
        if store::count_of_perk(self.conn, self.merchant, &perk.id)? >= MOST {
            let detail = format!("{MOST} places of this perk are closed: open some, or close all of it");
            return Err(PerkError::Fields(vec![FieldError::at("/location", "too_many", detail)]));
        }
        store::insert(self.conn, self.merchant, &row)?;
        self.tell_of(CLOSED, perk, closure)
    }

    fn open_again(&mut self, perk: &PerkRow, closure: &Closure) -> Result<(), PerkError> {
        store::delete(self.conn, self.merchant, &perk.id, closure.location.as_deref().unwrap_or_default())?;
        self.tell_of(OPENED, perk, closure)
    }

    fn tell_of(&mut self, kind: &'static str, perk: &PerkRow, closure: &Closure) -> Result<(), PerkError> {
        let words = closure.message.as_ref().filter(|_| kind == CLOSED).map(|message| message.to_json().canonical());
        let facts = PlaceClosed {
            closure: closure.id.as_str().into(),
            location: Nullable::text(closure.location.as_deref()),
            message: words.as_deref().map(Into::into),
            perk: perk.slug.as_str().into(),
            until: closure.until,
        };
        self.events.push(event(self.merchant, self.actor, kind, &perk.id, &facts));
        Ok(record_change(self.conn, self.merchant, &perk.id)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_closed_until_its_instant_for_the_keys_that_are_there() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let closure = |location: Option<&str>, until| {
            Arc::new(Closure {
                id: "clo_00000000000070008000000000000001".parse().unwrap(),
                location: location.map(str::to_owned),
                until: at(until),
                message: None,
                made_at: at(0),
                made_by: "cli".into(),
            })
        };
        let closures = [closure(None, 100), closure(Some("A"), 200)];
        for (location, now, until) in [
            (None, 99, Some(100)),
            (None, 100, None),
            (Some("A"), 99, Some(200)),
            (Some("A"), 199, Some(200)),
            (Some("A"), 200, None),
            (Some("B"), 99, Some(100)),
            (Some("B"), 100, None),
        ] {
            let found = closing(&closures, location, at(now)).map(|closure| closure.until);
            assert_eq!(found, until.map(at), "{location:?} at {now}");
        }
        // Of two until the same instant the place's own has the words.
        let closures = [closure(Some("A"), 200), closure(None, 200)];
        assert_eq!(closing(&closures, Some("A"), at(0)).unwrap().location.as_deref(), Some("A"));
        assert_eq!(closing(&closures, Some("B"), at(0)).unwrap().location, None);
    }
}
