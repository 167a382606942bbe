//! Why nobody can say who is inside, in words.

use super::OccupancyRequestError;
use crate::ledger::occupancy::OccupancyError;
use crate::rules::occupancy::NoHouse;

impl OccupancyRequestError {
    /// The sentence for who asked, with what to do; none for faults of other rooms.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::NoOccupancy(no) => Some(of_no_house(*no).to_owned()),
            Self::Correction(OccupancyError::BelowZero { inside: 0 }) => {
                Some("Nobody is counted inside, so that nobody can be taken off. Nothing was changed.".to_owned())
            }
            Self::Correction(OccupancyError::BelowZero { inside }) => {
                Some(format!("Only {inside} are inside: take off as many at most. Nothing was changed."))
            }
            Self::Correction(OccupancyError::Ledger(_) | OccupancyError::Database(_)) | Self::Perk(_) => None,
        }
    }
}

fn of_no_house(no: NoHouse) -> &'static str {
    match no {
        NoHouse::NoLimit => {
            "The perk's rule has no limit that counts who is inside: one with a `concurrent` window and the scope `perk` or \
             `location`."
        }
        NoHouse::ByLocation => "The perk counts each location by itself: name one.",
        NoHouse::AsAWhole => "The perk counts who is inside as a whole: ask without a location.",
    }
}
