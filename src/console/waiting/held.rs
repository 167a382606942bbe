//! Feeds and runs of scores that are held: what each would do, and the two answers.

use std::fmt::Write as _;

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::view::{AnswerView, Case, Since};
use super::{Kind, show};
use crate::access::role::permit::ManageSources;
use crate::console::caller::Caller;
use crate::console::door::see_other;
use crate::console::form::Posted;
use crate::console::words::When;
use crate::foundation::count::counted_as;
use crate::foundation::ids::{HeldFeedId, SourceName};
use crate::gateway::Gateway;
use crate::scores::ScoreError;
use crate::scores::held::{HeldDecision, HeldFeed, HeldKind};
use crate::web::extract::Path;
use crate::web::problem::{Problem, sentence};

/// A feed or run as the page shows it.
pub(super) fn held_case(feed: &HeldFeed, zone: &TimeZone, now: Timestamp) -> Case {
    let (source, moves) = (&feed.source, &feed.moves);
    let what = match feed.kind {
        HeldKind::Feed => "A feed",
        HeldKind::Run => "A run",
    };
    let people = counted_as(moves.compared, "person", "people");
    let mut line = format!(
        "Of {people} with a score, {} would rise and {} would fall by more than {} points, by {} at most.",
        moves.up, moves.down, feed.guard.points, moves.largest
    );
    if let Some((value, people)) = moves.common {
        let _ = write!(line, " {} would have exactly {value}.", counted_as(people, "person", "people"));
    }
    let ends =
        feed.ends_at().map(|at| format!("None of it counts. It ends by itself on {}.", When::of(at, zone, now).text));
    let answer = |value: &str, words: &str, class, effect: &str| AnswerView {
        name: "decision",
        value: value.to_owned(),
        words: words.to_owned(),
        class,
        effect: effect.to_owned(),
    };
    let (release, drop) = match feed.kind {
        HeldKind::Feed => ("Checks go by its scores from now on.", "Its scores are deleted, and never count."),
        HeldKind::Run => (
            "It is computed again within a minute, and counts.",
            "Nothing is written. The next run is judged by itself: it is held too if nothing has changed.",
        ),
    };
    Case {
        kind: Kind::Held,
        id: feed.id.to_string(),
        tag: ("wait", "Held".to_owned()),
        since: Since::of(feed.held_at.unwrap_or(feed.touched_at), zone, now),
        headline: format!("{what} of {source} would move very many scores"),
        lines: std::iter::once(line).chain(ends).collect(),
        quotes: Vec::new(),
        check: None,
        form: Some(format!("/console/waiting/held/{source}/{}", feed.id)),
        answers: vec![answer("drop", "Drop", "", drop), answer("release", "Release", "first", release)],
        page: None,
        note_hint: "",
        needs_note: false,
    }
}

#[derive(Deserialize)]
pub(in crate::console) struct HeldFields {
    decision: Answer,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Release,
    Drop,
}

#[post("/waiting/held/{source}/{held}")]
pub(in crate::console) async fn post_held(
    caller: Caller<ManageSources>,
    gateway: Data<Gateway>,
    path: Path<(SourceName, HeldFeedId)>,
    fields: Posted<HeldFields>,
) -> Result<HttpResponse, Problem> {
    let (source, held) = path.into_inner();
    let (merchant, now) = (&caller.merchant()?.id, gateway.clock.now());
    let decision = match fields.0.decision {
        Answer::Release => HeldDecision::Release,
        Answer::Drop => HeldDecision::Drop,
    };
    let of = (merchant, &source, &held);
    match gateway.scores.decide_held(&gateway.ledger, caller.actor(), of, decision, now).await {
        Ok(_) => Ok(see_other(&"/console/waiting")),
        Err(error @ (ScoreError::HeldDecided(_) | ScoreError::NotHeld)) => {
            show(&caller, &gateway, Kind::All, Some(sentence(&error.to_string()))).await
        }
        Err(error) => Err(error.into()),
    }
}
