//! Why a score is another than it was: four causes, one after the other, whose differences add up to the whole.

use super::activity::{Activity, gather};
use super::catalog::{self, SignalKind};
use super::model::Model;
use super::observation::{Observation, day_of};
use super::score::compute;
use crate::foundation::decimal::Decimal;

/// The reason for which a score is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Acts and levels have grown older.
    Aged,
    /// Others did something since.
    Arrived,
    /// Levels and running counts were observed again.
    Observed,
    /// Another model counts.
    Model,
}

/// A score now and then, and what each cause made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreChange {
    /// None where there was nothing to score.
    pub was: Option<Decimal>,
    pub is: Option<Decimal>,
    /// In their order. No score counts as 0 here.
    pub causes: [(Cause, Decimal); 4],
}

impl Cause {
    /// As a sentence's end.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Aged => "what others did before has grown older",
            Self::Arrived => "what others did since",
            Self::Observed => "levels and running counts that were observed again",
            Self::Model => "another model",
        }
    }
}

/// Compares the score of the UTC day `then`, by the model `before`, with that of the day `now`, by the model `after`, as far
/// as the observations that there are tell: what was deleted since is no cause.
#[must_use]
pub fn change(observations: &[Observation], (before, then): (&Model, i64), (after, now): (&Model, i64)) -> ScoreChange {
    let of = |model: &Model, activity: &Activity| compute(model, activity).map(|it| it.score);
    let known = |it: &&Observation| day_of(it.seen_at) <= then;
    let acts = |it: &&Observation| is_count(it);
    let old = || observations.iter().filter(known);
    let was = of(before, &gather(old(), then));
    let aged = of(before, &gather(old(), now));
    let arrived = of(before, &gather(observations.iter().filter(|it| known(it) || acts(it)), now));
    let whole = gather(observations, now);
    let observed = of(before, &whole);
    let is = of(after, &whole);
    let number = |score: Option<Decimal>| score.unwrap_or_default();
    let by = |from: Option<Decimal>, to: Option<Decimal>| number(to).minus(number(from));
    let causes = [
        (Cause::Aged, by(was, aged)),
        (Cause::Arrived, by(aged, arrived)),
        (Cause::Observed, by(arrived, observed)),
        (Cause::Model, by(observed, is)),
    ];
    ScoreChange { was, is, causes }
}

fn is_count(it: &Observation) -> bool {
    catalog::find(&it.network, &it.signal).is_ok_and(|signal| signal.kind == SignalKind::Count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::activity::tests::seen;
    use crate::scoring::model::tests::small;

    #[test]
    fn each_cause_has_its_part_and_they_add_up() {
        let (before, mut after) = (small(), small());
        after.networks[0].reach = 500;
        let mut acts: Vec<_> = (0..40).map(|by| seen(100, &format!("bluesky/repost p{by} #o"))).collect();
        acts.extend((0..40).map(|by| seen(107, &format!("bluesky/like p{by} #o"))));
        acts.push(seen(100, "bluesky/followers =500"));
        acts.push(seen(107, "bluesky/followers =5000"));
        let change = change(&acts, (&before, 100), (&after, 107));
        let [aged, arrived, observed, model] = change.causes.map(|(_, points)| points.thousandths());
        assert!(aged < 0 && arrived > 0 && observed > 0 && model < 0, "{change:?}");
        let whole = change.is.unwrap().minus(change.was.unwrap()).thousandths();
        assert_eq!(aged + arrived + observed + model, whole);
    }

    #[test]
    fn nothing_then_and_nothing_now_are_no_scores() {
        let model = small();
        let first = [seen(107, "bluesky/like ann")];
        let fresh = change(&first, (&model, 100), (&model, 107));
        assert_eq!((fresh.was, fresh.is), (None, Some(fresh.causes[1].1)));
        let last = change(&first, (&model, 107), (&model, 300));
        assert_eq!((last.is, last.causes[0].1), (None, Decimal::default().minus(last.was.unwrap())));
    }
}
