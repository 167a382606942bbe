//! The cases that wait for a person: counts of cases, taken where they stand, as every page of the console says how much it is; and
//! the grants that someone made for them, which they come to fetch.

use jiff::Timestamp;

use super::LedgerReader;
use super::person::find_person;
use crate::database::DatabaseError;
use crate::foundation::clock::from_micros;
use crate::foundation::ids::{GrantId, MerchantId, PerkId};
use crate::foundation::subject::{Pseudonym, SubjectRefs};
use crate::ledger::LedgerError;
use crate::ledger::cases::model::{Referral, ReferralStatus};
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

/// The grants that someone made for this person and perk, in the place of a refusal or a referral; the last first, up to
/// `most`, whatever has become of them.
pub async fn granted_to(
    reader: &LedgerReader,
    merchant: &MerchantId,
    perk: &PerkId,
    subject: SubjectRefs,
    most: u32,
) -> Result<Vec<GrantId>, LedgerError> {
    let (merchant, perk) = (merchant.clone(), perk.clone());
    let read = move |conn: &mut _| {
        let Some(person) = find_person(conn, &merchant, &subject)? else { return Ok(Vec::new()) };
        let names: Vec<&str> = person.names().map(Pseudonym::as_str).collect();
        let granted = ReferralStatus::Granted.as_str();
        let rows = store::list_granted_to(conn, &merchant, &perk, (&names, granted), i64::from(most))?;
        let cases = rows.into_iter().map(Referral::try_from).collect::<Result<Vec<_>, DatabaseError>>()?;
        let granted = cases.into_iter().filter_map(|case| case.decided?.granted);
        Ok(granted.map(|(_, grant)| grant).collect())
    };
    reader.read(read).await.map_err(|error: DatabaseError| LedgerError::from(error))
}
