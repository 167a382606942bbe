//! How many things wait for a person, for the band of every page.

use futures_util::try_join;

use crate::access::{Permission, Principal};
use crate::console::caller::Waiting;
use crate::gateway::Gateway;
use crate::ledger::read::waiting::{OpenCounts, count_open};
use crate::scores::held::HeldState;
use crate::web::problem::Problem;

/// The most of a kind that are counted: the band says no more than two digits.
pub(super) const MOST: u32 = 100;

/// The numbers of things that wait for a decision of the caller's merchant; none for roles that decide nothing.
pub(in crate::console) async fn count(gateway: &Gateway, caller: &Principal) -> Result<Option<Waiting>, Problem> {
    let Some(merchant) = caller.merchant.as_ref().filter(|_| caller.role.may(Permission::Decide)) else {
        return Ok(None);
    };
    let reader = gateway.ledger.reader();
    let open = async { Ok::<_, Problem>(count_open(reader, &merchant.id, MOST).await?) };
    let versions = async { Ok::<_, Problem>(gateway.catalog.count_in_review(&merchant.id, MOST).await?) };
    let held = async { Ok::<_, Problem>(gateway.scores.list_held(&merchant.id, None).await?) };
    let (OpenCounts { referrals, contests, requests }, versions, held) = try_join!(open, versions, held)?;
    let held = held.iter().filter(|feed| feed.state == HeldState::Held).count();
    Ok(Some(Waiting { referrals, contests, versions, requests, held }))
}
