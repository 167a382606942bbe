//! The calls of a door's page: spend a token, and report those that it took while it could not ask.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::caller::{FromDoor, name_of};
use crate::eligibility::late_reports::{LateFault, LateItem, MAX_ATTEMPT};
use crate::eligibility::redeemer::{RedeemError, Spent};
use crate::eligibility::shown::explanation::GuestsShown;
use crate::eligibility::shown::late::LateShown;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{PerkSlug, label};
use crate::gateway::Gateway;
use crate::rules::tier::guests::Admitted;
use crate::web::extract::Pieces;
use crate::web::problem::Problem;
use crate::web::state::State;

/// The most tokens that a page may keep while it can't report them.
pub(super) const MOST_WAITING: usize = 5_000;

/// The most that it reports at once, and the largest body of that: a token has at most 4,096 bytes, and most have 700.
const MOST_AT_ONCE: usize = 50;
const MAX_BYTES: usize = 256 * 1024;

/// The time that the page waits for an answer is shorter: it then goes on alone, with the same attempt.
const PATIENCE: Duration = Duration::from_secs(5);

/// A token that someone shows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::screens) struct RedeemBody {
    token: String,
    /// The same one in a retry.
    attempt: String,
}

/// The answer to it. Without one the page knows that it could not ask.
#[derive(Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum RedeemedView {
    Admitted {
        perk: PerkSlug,
        tier: String,
        /// Number of people, the person included.
        party: u64,
        /// Who of the guests is charged, where the tier says something of guests.
        guests: Option<GuestsShown>,
        redeemed_at: Timestamp,
    },
    /// Another door or attempt was first.
    Used { door: String, redeemed_at: Timestamp },
    /// The stable name of the reason.
    Refused { code: &'static str },
}

#[post("/redeem")]
pub(in crate::screens) async fn post_redeem(
    screen: FromDoor,
    gateway: Data<Gateway>,
    Pieces(body): Pieces<RedeemBody>,
) -> Result<HttpResponse, Problem> {
    let deadline = Instant::now() + PATIENCE;
    let merchant = screen.merchant()?;
    let RedeemBody { token, attempt } = body.into_inner();
    let attempt = label(&attempt, MAX_ATTEMPT)
        .map_err(|error| Problem::invalid(vec![FieldError::at("/attempt", "invalid_value", error.to_string())]))?;
    let redeem = gateway.redeemer.redeem(&screen.principal, merchant, &token, name_of(&screen), attempt, deadline);
    let view = match Box::pin(redeem).await {
        Ok(spent) => {
            let admitted = admitted_by(&gateway, &screen, &spent).await;
            RedeemedView::Admitted {
                perk: spent.perk,
                tier: spent.tier,
                party: admitted.map_or(spent.party, |admitted| admitted.party),
                guests: admitted.and_then(|admitted| admitted.guests).map(Into::into),
                redeemed_at: spent.redemption.redeemed_at,
            }
        }
        Err(RedeemError::AlreadyRedeemed(first)) => {
            RedeemedView::Used { door: first.door, redeemed_at: first.redeemed_at }
        }
        Err(RedeemError::Token(error)) => RedeemedView::Refused { code: error.slug() },
        Err(error @ RedeemError::Check(_)) => return Err(error.into()),
    };
    Ok(HttpResponse::Ok().json(view))
}

/// Who comes in by it: as it was granted, or corrected. The token is spent, so that it is answered also where this can't
/// be read.
async fn admitted_by(gateway: &Gateway, screen: &FromDoor, spent: &Spent) -> Option<Admitted> {
    if spent.redemption.corrected.is_some() {
        return spent.redemption.corrected;
    }
    let merchant = screen.merchant().ok()?;
    let found = gateway.ledger.reader().find_grant(&merchant.id, &spent.redemption.grant).await;
    found.ok().flatten().map(|record| record.granted)
}

/// The tokens that a door took while it could not ask, in order.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::screens) struct LateBody {
    items: Vec<LateItemBody>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LateItemBody {
    token: String,
    attempt: String,
    at: String,
}

/// An outcome for each, in their order.
#[derive(Serialize)]
struct LateView {
    results: Vec<LateShown>,
}

#[post("/late")]
pub(in crate::screens) async fn post_late(
    screen: FromDoor,
    gateway: Data<Gateway>,
    state: Data<State>,
    Pieces(body): Pieces<LateBody, MAX_BYTES>,
) -> Result<HttpResponse, Problem> {
    let deadline = Instant::now() + PATIENCE;
    let merchant = screen.merchant()?;
    let items = body.into_inner().items;
    if items.is_empty() || items.len() > MOST_AT_ONCE {
        let detail = format!("report 1 to {MOST_AT_ONCE} items at once");
        return Err(Problem::invalid(vec![FieldError::at("/items", "out_of_range", detail)]));
    }
    // The request itself was counted as one.
    if let Some(more) = u32::try_from(items.len() - 1).ok().and_then(NonZeroU32::new) {
        state.limits.take_more(&screen.principal.key, more, "/items")?;
    }
    let door = name_of(&screen);
    let read = |LateItemBody { token, attempt, at }| {
        LateItem::read(token, &door, &attempt, &at).map_err(|errors| LateFault::of_item(&errors))
    };
    let items = items.into_iter().map(read).collect();
    let report = gateway.redeemer.redeem_late(Some(&screen.principal), merchant, items, deadline);
    let results = Box::pin(report).await?.into_iter().map(LateShown::from).collect();
    Ok(HttpResponse::Ok().json(LateView { results }))
}
