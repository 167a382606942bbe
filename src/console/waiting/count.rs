//! How many things wait for a person, for the band of every page.

use futures_util::try_join;

use crate::access::{Permission, Principal};
use crate::gateway::Gateway;
use crate::ledger::cases::model::ReferralStatus;
use crate::web::problem::Problem;

/// The most of a kind that are counted: the band says no more than two digits.
const MOST: u32 = 100;

/// The number of things that wait for a decision of the caller's merchant; none for roles that decide nothing.
pub(in crate::console) async fn count(gateway: &Gateway, caller: &Principal) -> Result<Option<usize>, Problem> {
    let Some(merchant) = caller.merchant.as_ref().filter(|_| caller.role.may(Permission::Decide)) else {
        return Ok(None);
    };
    let reader = gateway.ledger.reader();
    let open = Some(ReferralStatus::Open);
    let cases = async |is_contested| {
        let cases = reader.list_referrals(&merchant.id, is_contested, open, None, MOST).await?;
        Ok::<_, Problem>(cases.len())
    };
    let versions = async { Ok::<_, Problem>(gateway.catalog.list_in_review(&merchant.id, MOST).await?.len()) };
    let requests = async { Ok::<_, Problem>(gateway.requests.count_open(&merchant.id, MOST).await?) };
    let (referrals, contests, versions, requests) = try_join!(cases(false), cases(true), versions, requests)?;
    Ok(Some(referrals + contests + versions + requests))
}
