//! Guests, and corrections of parties and of how many are inside, as the auditor reads them.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::canonical::{Canonical, Reader, put, read_members};
use super::instant::Instant;
use super::text::Text;

/// The guests of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct GuestFacts {
    pub admitted: u64,
    pub charged: u64,
    pub free: u64,
    pub refused: u64,
    pub uncounted: u64,
}

impl<'a> Canonical<'a> for GuestFacts {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let [mut admitted, mut charged, mut free, mut refused, mut uncounted] = [None::<u64>; 5];
        reader.members(|reader, name| {
            let member = match name {
                "admitted" => &mut admitted,
                "charged" => &mut charged,
                "free" => &mut free,
                "refused" => &mut refused,
                "uncounted" => &mut uncounted,
                _ => return reader.skip(),
            };
            put(member, Canonical::read(reader)?)
        })?;
        Some(Self { admitted: admitted?, charged: charged?, free: free?, refused: refused?, uncounted: uncounted? })
    }
}

impl GuestFacts {
    /// Tells whether its numbers add up.
    pub(crate) fn is_coherent(&self) -> bool {
        let parts = [self.charged, self.free, self.uncounted];
        parts.into_iter().try_fold(0_u64, u64::checked_add) == Some(self.admitted)
    }

    /// As the row of its grant has it.
    pub(crate) fn column(&self) -> String {
        let Self { admitted, charged, free, refused, uncounted } = self;
        format!(
            "{{\"admitted\":{admitted},\"charged\":{charged},\"free\":{free},\"refused\":{refused},\"uncounted\":{uncounted}}}"
        )
    }
}

/// The facts of `grant.corrected`.
#[derive(Deserialize)]
pub(crate) struct CorrectionFacts<'a> {
    #[serde(borrow)]
    pub perk_id: Text<'a>,
    pub corrected_at: Instant,
    pub counted: u64,
    pub was_counted: u64,
    /// As it stands in the row of the grant.
    #[serde(borrow)]
    pub corrected: &'a RawValue,
    #[serde(borrow)]
    pub limits: Vec<RecountFacts<'a>>,
}

/// The party of a grant since it was corrected.
#[derive(Deserialize)]
pub(crate) struct CorrectedFacts {
    /// How often it was.
    pub corrections: u64,
    /// The uses of each limit that counts people.
    pub costs: Vec<CostFacts>,
    pub party: u64,
    pub guests: Option<GuestFacts>,
}

#[derive(Deserialize)]
pub(crate) struct CostFacts {
    pub cost: u64,
    pub limit: String,
}

#[derive(Deserialize)]
pub(crate) struct RecountFacts<'a> {
    #[serde(borrow)]
    pub corrections: Option<Vec<UseLeftFacts<'a>>>,
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub scope: Text<'a>,
    #[serde(borrow)]
    pub window: Text<'a>,
    pub cost: u64,
    pub was_cost: u64,
    pub max: u64,
    pub used: u64,
    pub horizon: Option<Instant>,
}

/// The facts of `occupancy.corrected`.
#[derive(Deserialize)]
pub(crate) struct OccupancyFacts<'a> {
    /// The other limits of the place that were corrected too.
    #[serde(borrow, default)]
    pub also: Vec<OccupancyOfLimitFacts<'a>>,
    #[serde(borrow)]
    pub correction: Text<'a>,
    #[serde(borrow)]
    pub perk_id: Text<'a>,
    #[serde(borrow)]
    pub limit: Text<'a>,
    #[serde(borrow)]
    pub scope: Text<'a>,
    pub corrected_at: Instant,
    pub delta: i64,
    pub used: u64,
    #[serde(borrow)]
    pub uses: Vec<OccupancyUseFacts<'a>>,
}

/// Another limit that was corrected.
#[derive(Deserialize)]
pub(crate) struct OccupancyOfLimitFacts<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub scope: Text<'a>,
    pub corrected_at: Instant,
    pub delta: i64,
    pub used: u64,
    #[serde(borrow)]
    pub uses: Vec<OccupancyUseFacts<'a>>,
}

/// One use of such a correction.
#[derive(Deserialize)]
pub(crate) struct OccupancyUseFacts<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    pub cost: i64,
    pub until: Instant,
}

/// A use of such a correction that takes fewer people off from now on.
#[derive(Debug, Deserialize)]
pub(crate) struct UseLeftFacts<'a> {
    pub cost: i64,
    #[serde(borrow)]
    pub id: Text<'a>,
}

read_members!(UseLeftFacts { cost, id });
