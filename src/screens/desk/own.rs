//! The checks that a desk may see: those that it asked; what came of them, by hand or because a person decided so; and
//! what a person granted at its place, for someone who asked elsewhere there.

use super::caller::AtDesk;
use crate::decision::decide::Decision;
use crate::eligibility::checker::Answer;
use crate::foundation::ids::CheckId;
use crate::gateway::Gateway;
use crate::screens::place::perk_of;
use crate::web::problem::Problem;

/// The check, where it is this desk's to see.
///
/// # Errors
/// A 404 for every other check.
pub(super) async fn own_check(gateway: &Gateway, desk: &AtDesk, check: &CheckId) -> Result<Answer, Problem> {
    let merchant = desk.merchant()?;
    let found = gateway.checker.find_check(merchant, check).await?.ok_or_else(Problem::not_found)?;
    if found.key == desk.principal.key {
        return Ok(found);
    }
    let asked = found.resolves.as_ref().ok_or_else(Problem::not_found)?;
    let before = gateway.checker.find_check(merchant, asked).await?.ok_or_else(Problem::not_found)?;
    if before.key == desk.principal.key || is_made_here(gateway, desk, &found, asked).await? {
        return Ok(found);
    }
    Err(Problem::not_found())
}

/// Tells whether a person granted it at this desk's place, for its perk.
async fn is_made_here(gateway: &Gateway, desk: &AtDesk, found: &Answer, asked: &CheckId) -> Result<bool, Problem> {
    let merchant = desk.merchant()?;
    let is_here =
        desk.principal.acts_only_at().is_none_or(|own| found.location.as_deref().is_none_or(|place| place == own));
    if !is_here || perk_of(gateway, desk, merchant)? != found.perk {
        return Ok(false);
    }
    let case = gateway.checker.find_case_decided(merchant, asked).await?;
    Ok(case.is_some_and(|(_, granted)| granted.is_some() && granted == found.check))
}

/// The check itself, or what a person has made of it: a referral that was decided, or a refusal that was overturned. True
/// where they said no to a referral.
///
/// # Errors
/// The database's.
pub(super) async fn decided(
    gateway: &Gateway,
    desk: &AtDesk,
    asked: Answer,
    check: &CheckId,
) -> Result<(Answer, bool), Problem> {
    if asked.decided.decision == Decision::Granted {
        return Ok((asked, false));
    }
    let merchant = desk.merchant()?;
    let is_referred = asked.decided.decision == Decision::Referred;
    let of = asked.joins.as_ref().unwrap_or(check);
    let Some((_, granted)) = gateway.checker.find_case_decided(merchant, of).await? else { return Ok((asked, false)) };
    let granted = match granted {
        Some(granted) => gateway.checker.find_check(merchant, &granted).await?,
        None => None,
    };
    Ok(granted.map_or((asked, is_referred), |granted| (granted, false)))
}

/// The check to show for the link of a person's page: the desk's own, or what a person granted at its place.
///
/// # Errors
/// The database's.
pub(super) async fn of_link(gateway: &Gateway, desk: &AtDesk, link: &str) -> Result<Option<CheckId>, Problem> {
    let merchant = desk.merchant()?;
    let linked = gateway.links.find(link).await?;
    let Some(linked) = linked.filter(|linked| linked.merchant.id == merchant.id) else { return Ok(None) };
    let case = gateway.checker.find_case_decided(merchant, &linked.check).await?;
    for check in case.and_then(|(_, granted)| granted).into_iter().chain([linked.check]) {
        if own_check(gateway, desk, &check).await.is_ok() {
            return Ok(Some(check));
        }
    }
    Ok(None)
}
