//! Counts of what waits for a person, taken where it stands: every page of the console says how much it is.

use jiff::Timestamp;

use super::LedgerReader;
use crate::database::DatabaseError;
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{MerchantId, PerkId};
use crate::ledger::LedgerError;
use crate::ledger::cases::model::ReferralStatus;
use crate::ledger::cases::requests::RequestStatus;
use crate::ledger::store;
use crate::ledger::store::requests;

/// Numbers of what waits for a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenCounts {
    pub referrals: usize,
    pub contests: usize,
    /// Those that people made by the links of their answers.
    pub requests: usize,
}

/// The referrals of a perk that wait for a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenReferrals {
    pub number: u64,
    /// When the first of them was made.
    pub since: Option<Timestamp>,
}

/// The numbers of what waits for a decision of the merchant; `most` stands for that or more.
pub async fn count_open(reader: &LedgerReader, merchant: &MerchantId, most: u32) -> Result<OpenCounts, LedgerError> {
    let (merchant, most) = (merchant.clone(), i64::from(most));
    reader
        .read(move |conn| {
            let open = ReferralStatus::Open.as_str();
            Ok(OpenCounts {
                referrals: store::list_ids_of_referrals(conn, &merchant, false, open, most)?.len(),
                contests: store::list_ids_of_referrals(conn, &merchant, true, open, most)?.len(),
                requests: requests::list_ids_of_requests(conn, &merchant, RequestStatus::Open.as_str(), most)?.len(),
            })
        })
        .await
}

/// The referrals of one perk that wait for a decision, contests left out.
pub async fn open_referrals(
    reader: &LedgerReader,
    merchant: &MerchantId,
    perk: &PerkId,
) -> Result<OpenReferrals, LedgerError> {
    let (merchant, perk) = (merchant.clone(), perk.clone());
    let read = move |conn: &mut _| store::count_referrals(conn, &merchant, &perk, ReferralStatus::Open.as_str());
    let (number, since) = reader.read(read).await.map_err(|error: DatabaseError| LedgerError::from(error))?;
    Ok(OpenReferrals { number: number.unsigned_abs(), since: since.map(from_micros) })
}
