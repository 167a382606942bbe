//! `perkgate source held`, `release`, `drop` and `guard`: what waits for a person, and how far is too far.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::once::{self, ACTOR, MerchantFlag, Needs};
use crate::cli::output::{counted_as, write_line, write_part};
use crate::cli::{Completion, Invocation};
use crate::foundation::decimal::Decimal;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{HeldFeedId, SourceName};
use crate::scores::held::guard::{Guard, GuardFault};
use crate::scores::held::{HeldDecision, HeldFeed, HeldKind};

/// The feeds and runs that are held, as they are shown.
#[derive(Serialize)]
pub(in crate::cli) struct HeldView {
    id: HeldFeedId,
    source: SourceName,
    kind: &'static str,
    state: &'static str,
    held_at: Option<Timestamp>,
    ends_at: Option<Timestamp>,
    share: Decimal,
    points: Decimal,
    compared: u64,
    up: u64,
    down: u64,
    largest: Decimal,
    #[serde(skip_serializing_if = "Option::is_none")]
    most_common: Option<MostCommon>,
}

#[derive(Serialize)]
struct MostCommon {
    value: Decimal,
    people: u64,
}

impl From<HeldFeed> for HeldView {
    fn from(feed: HeldFeed) -> Self {
        let (ends_at, moves) = (feed.ends_at().filter(|_| !feed.state.is_over()), feed.moves);
        Self {
            id: feed.id,
            source: feed.source,
            kind: feed.kind.as_str(),
            state: feed.state.as_str(),
            held_at: feed.held_at,
            ends_at,
            share: feed.guard.share,
            points: feed.guard.points,
            compared: moves.compared,
            up: moves.up,
            down: moves.down,
            largest: moves.largest,
            most_common: moves.common.map(|(value, people)| MostCommon { value, people }),
        }
    }
}

impl fmt::Display for HeldView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, source, kind, state, compared, up, down, largest, points, .. } = self;
        let moved = up + down;
        write_line!(f, "{id}  a {kind} of `{source}`, {state}")?;
        let people = counted_as(*compared, "person", "people");
        write_line!(f, "  would move {moved} of {people} with a score by more than {points}: {up} up, {down} down")?;
        write_line!(f, "  by {largest} at most")?;
        if let Some(MostCommon { value, people }) = &self.most_common {
            write_line!(f, "  {people} of them would have {value}")?;
        }
        self.ends_at.map_or(Ok(()), |at| write_part!(f, "  ends by itself on {at}"))
    }
}

#[derive(Serialize)]
struct Listed {
    held: Vec<HeldView>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.held.is_empty() {
            return f.write_str("Nothing is held.");
        }
        self.held.iter().try_for_each(|held| write_line!(f, "{held}"))
    }
}

#[derive(Serialize)]
struct GuardSet {
    source: SourceName,
    share: Decimal,
    points: Decimal,
}

impl fmt::Display for GuardSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, share, points } = self;
        write_part!(f, "`{source}` holds what moves more than {share} of its people by more than {points} points")
    }
}

/// Lists what is held, of one source or of all.
pub(super) fn list(
    source: Option<&SourceName>,
    merchant: &MerchantFlag,
    invocation: &Invocation,
) -> Result<Completion, CliError> {
    let held = invocation.with_gateway(Needs::Existing, async |gateway| {
        let merchant = once::merchant(gateway, merchant).await?.id;
        Ok(gateway.scores.list_held(&merchant, source).await?)
    })?;
    invocation.output.show(&Listed { held: held.into_iter().map(HeldView::from).collect() })?;
    Ok(Completion::Succeeded)
}

/// Releases or drops what is held. A feed that is released is moved to the end.
pub(super) fn decide(
    (source, held): (&SourceName, &HeldFeedId),
    merchant: &MerchantFlag,
    decision: HeldDecision,
    invocation: &Invocation,
) -> Result<Completion, CliError> {
    let decided = invocation.with_gateway(Needs::Existing, async |gateway| {
        let merchant = once::merchant(gateway, merchant).await?.id;
        let (scores, now) = (&gateway.scores, gateway.clock.now());
        let decided = scores.decide_held(&gateway.ledger, ACTOR, (&merchant, source, held), decision, now).await?;
        if decision == HeldDecision::Release && decided.kind == HeldKind::Feed {
            scores.finish_moving(&merchant, held, now).await?;
            return Ok(scores.find_held(&merchant, held).await?.unwrap_or(decided));
        }
        Ok(decided)
    })?;
    invocation.output.show(&HeldView::from(decided))?;
    Ok(Completion::Succeeded)
}

/// Sets a source's guard.
pub(super) fn set_guard(
    source: SourceName,
    merchant: &MerchantFlag,
    (share, points): (Decimal, Decimal),
    invocation: &Invocation,
) -> Result<Completion, CliError> {
    let guard = Guard::new(share, points).map_err(|fault| {
        let flag = if fault == GuardFault::Share { "--share" } else { "--points" };
        CliError::Faulty(vec![FieldError::of_parameter(flag, "out_of_range", fault.to_string())])
    })?;
    invocation.with_gateway(Needs::Existing, async |gateway| {
        let merchant = once::merchant(gateway, merchant).await?.id;
        if gateway.scores.find_source(&merchant, &source).await?.is_none() {
            return Err(CliError::UnknownSource(source.clone()));
        }
        Ok(gateway.scores.set_guard(&gateway.ledger, ACTOR, &merchant, &source, guard).await?)
    })?;
    invocation.output.show(&GuardSet { source, share, points })?;
    Ok(Completion::Succeeded)
}
