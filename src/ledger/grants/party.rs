//! The party of a grant: as it was granted, and as it stands once it was corrected.

use std::collections::BTreeMap;

use super::claims;
use crate::database::DatabaseError;
use crate::ledger::events::check::GuestsGranted;
use crate::ledger::events::correction::{CostCorrected, PartyCorrected};
use crate::ledger::events::{Text, WrittenFacts};
use crate::ledger::store::GrantRow;
use crate::rules::tier::guests::{Admitted, Guests};
use crate::tokens::claims::Claims;

/// The party of a grant with the number of people that its limits count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartyStanding {
    pub admitted: Admitted,
    /// How often it was corrected.
    pub corrections: u64,
    /// The uses of each limit that counts people, as far as they were corrected.
    pub costs: BTreeMap<String, u64>,
}

impl PartyStanding {
    /// The party as it stands.
    ///
    /// # Errors
    /// [`DatabaseError::Corrupt`], which names the grant.
    pub(crate) fn of(grant: &GrantRow) -> Result<Self, DatabaseError> {
        match &grant.corrected {
            None => Ok(Self { admitted: as_granted(grant)?, corrections: 0, costs: BTreeMap::new() }),
            Some(text) => {
                let stored: PartyCorrected<'static> =
                    serde_json::from_str(text).map_err(|error| corrupt(grant, &error))?;
                let admitted = Admitted { party: stored.party, guests: stored.guests.map(Into::into) };
                let costs = stored.costs.into_iter().map(|it| (it.limit.into_owned(), it.cost)).collect();
                Ok(Self { admitted, corrections: stored.corrections, costs })
            }
        }
    }

    /// The uses of a limit of which its check used `cost`.
    pub(crate) fn cost_of(&self, limit: &str, cost: u64) -> u64 {
        self.costs.get(limit).copied().unwrap_or(cost)
    }

    /// The party since it was corrected, if it was.
    pub fn corrected(&self) -> Option<Admitted> {
        (self.corrections > 0).then_some(self.admitted)
    }

    /// The party as events of what becomes of the grant state it: as its token does until it is corrected.
    pub(crate) fn stated_party(&self, claims: &Claims) -> Option<i32> {
        let corrected = self.corrected().map(|admitted| i32::try_from(admitted.party).unwrap_or(i32::MAX));
        corrected.or(claims.party)
    }

    /// As events and rows have it.
    pub(crate) fn written(&self) -> PartyCorrected<'_> {
        PartyCorrected {
            corrections: self.corrections,
            costs: self
                .costs
                .iter()
                .map(|(limit, cost)| CostCorrected { cost: *cost, limit: Text::Borrowed(limit) })
                .collect(),
            guests: self.admitted.guests.map(Into::into),
            party: self.admitted.party,
        }
    }
}

/// The party as it was granted: what the token says.
///
/// # Errors
/// [`DatabaseError::Corrupt`], which names the grant.
pub(crate) fn as_granted(grant: &GrantRow) -> Result<Admitted, DatabaseError> {
    let party = claims::read(grant)?.party.map_or(1, |party| u64::try_from(party).unwrap_or(1));
    let guests = grant.guests.as_deref().map(serde_json::from_str::<GuestsGranted>).transpose();
    Ok(Admitted { party, guests: guests.map_err(|error| corrupt(grant, &error))?.map(Into::into) })
}

/// The guests as the row of a grant has them.
pub(crate) fn guests_column(guests: Guests) -> String {
    WrittenFacts::of(&GuestsGranted::from(guests)).into_text()
}

fn corrupt(grant: &GrantRow, error: &serde_json::Error) -> DatabaseError {
    DatabaseError::corrupt("party", format!("{}: {error}", grant.id))
}
