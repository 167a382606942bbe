//! The drawing of a picture: bars, thresholds, numbers, and last week's days, at whole units of an SVG.

use super::FIELD;
use crate::console::words::{grouped, tenths};
use crate::eligibility::picture::cut::Cut;
use crate::eligibility::picture::{Handle, Picture, Scale};
use crate::foundation::decimal::Decimal;

/// The plot's size in units of its drawing.
const WIDTH: u64 = 1000;
const HEIGHT: u64 = 250;
/// The height of a day's bar that meets the limit, and of the chart.
const DAY_HEIGHT: u64 = 120;
const DAY_BASE: u64 = 150;

/// Everything of the drawing.
pub(super) struct Plot {
    pub bars: Vec<BarView>,
    pub grid: Vec<GridLine>,
    pub ticks: Vec<Tick>,
    pub handles: Vec<HandleView>,
    /// The thresholds that decide now, where they are others.
    pub ghosts: Vec<GhostView>,
    /// Where those who are just short begin and how wide that is.
    pub near: (u64, u64),
    pub tallies: Vec<TallyView>,
    /// The description for those who don't see it.
    pub description: String,
    /// The scores of each bar, and the number of people in it.
    pub points: Vec<(String, String)>,
    pub days: Vec<DayView>,
    /// Where the limit's line is.
    pub limit: Option<(u64, String)>,
    /// True if last week's visitors are known well enough to be drawn.
    pub shows_week: bool,
    /// The sentence about last week.
    pub week: String,
    pub maximum: String,
    pub is_inexact: bool,
}

pub(super) struct BarView {
    pub class: &'static str,
    pub x: String,
    pub width: String,
    pub y: u64,
    pub height: u64,
}

pub(super) struct GridLine {
    pub y: u64,
    pub label: String,
}

pub(super) struct Tick {
    pub x: u64,
    pub label: String,
}

pub(super) struct HandleView {
    pub tier: String,
    pub field: String,
    pub name: String,
    pub value: String,
    /// The least that it can be moved to.
    pub least: String,
    pub x: u64,
    pub percent: String,
    pub is_own: bool,
    pub spoken: String,
}

pub(super) struct GhostView {
    pub x: u64,
    pub label: String,
    pub anchor: &'static str,
    pub text_x: u64,
}

/// A number of people with what it is, in tiles.
pub(super) struct TallyView {
    pub key: &'static str,
    pub id: String,
    pub tiles: Vec<(bool, String)>,
    pub shown: String,
    pub what: String,
    pub change: String,
}

pub(super) struct DayView {
    pub x: u64,
    pub y: u64,
    pub height: u64,
    pub label_y: u64,
    pub middle: u64,
    pub shown: String,
    pub day: String,
    pub is_over: bool,
}

impl Plot {
    pub(super) fn of(picture: &Picture, thresholds: &[Decimal]) -> Self {
        let scale = picture.scale();
        let cut = picture.cut(thresholds);
        let tallest = picture.counts.iter().copied().max().unwrap_or(0).max(1);
        let lowest = thresholds.iter().min().copied().unwrap_or(picture.maximum);
        let near_from = lowest.minus(picture.within).max(picture.minimum);
        let near = (x_of(&scale, near_from), x_of(&scale, lowest).saturating_sub(x_of(&scale, near_from)));
        let (days, limit) = days(picture, &cut);
        Self {
            bars: bars(picture, &scale, thresholds, tallest),
            grid: grid(tallest),
            ticks: ticks(&scale),
            handles: handles(picture, &scale, thresholds, &cut),
            ghosts: ghosts(picture, &scale),
            near,
            tallies: tallies(picture, &cut),
            description: description(picture, thresholds, &cut),
            points: points(picture, &scale),
            days,
            limit,
            shows_week: says_enough(picture),
            week: week(picture, &cut),
            maximum: picture.maximum.to_string(),
            is_inexact: cut.is_inexact,
        }
    }
}

/// Where a score lies.
fn x_of(scale: &Scale, value: Decimal) -> u64 {
    let span = i128::from(scale.maximum.minus(scale.minimum).thousandths()).max(1);
    let into = i128::from(value.minus(scale.minimum).thousandths()).clamp(0, span);
    u64::try_from(into * i128::from(WIDTH) / span).unwrap_or(0)
}

fn bars(picture: &Picture, scale: &Scale, thresholds: &[Decimal], tallest: u64) -> Vec<BarView> {
    let bins = u64::try_from(scale.bins).unwrap_or(1).max(1);
    let step = WIDTH * 10 / bins;
    let gap = (step / 6).min(16);
    let lowest = thresholds.iter().min().copied();
    let bar = |(at, count): (usize, &u64)| {
        let from = scale.edge(at);
        let rank = thresholds.iter().rposition(|threshold| from >= *threshold);
        let is_near = lowest.is_some_and(|low| from < low && from >= low.minus(picture.within));
        let class = match rank {
            Some(0) if thresholds.len() > 1 => "b1",
            Some(_) => "b2",
            None if is_near => "bn",
            None => "b0",
        };
        let height = (count * (HEIGHT - 10)).div_ceil(tallest);
        let x = step * u64::try_from(at).unwrap_or(0) + gap / 2;
        BarView { class, x: tenths(x), width: tenths(step - gap), y: HEIGHT - height, height }
    };
    picture.counts.iter().enumerate().map(bar).collect()
}

fn points(picture: &Picture, scale: &Scale) -> Vec<(String, String)> {
    let last = scale.bins.saturating_sub(1);
    let point = |(at, count): (usize, &u64)| {
        let (from, to) = (scale.edge(at), scale.edge(at + 1));
        let words = if at == last { format!("{from} to {to}") } else { format!("{from} to below {to}") };
        (words, grouped(*count))
    };
    picture.counts.iter().enumerate().map(point).collect()
}

/// At most four lines at round numbers.
fn grid(tallest: u64) -> Vec<GridLine> {
    let steps = (0..19).flat_map(|power| [1, 2, 5].map(|it| it * 10_u64.pow(power)));
    let step = steps.into_iter().find(|step| tallest / step <= 4).unwrap_or(tallest);
    let lines = (1..=4).map(|nth| nth * step).filter(|at| *at <= tallest);
    let mut lines: Vec<_> =
        lines.map(|at| GridLine { y: HEIGHT - at * (HEIGHT - 10) / tallest, label: grouped(at) }).collect();
    if let Some(top) = lines.last_mut() {
        top.label.push_str(" people");
    }
    lines
}

fn ticks(scale: &Scale) -> Vec<Tick> {
    let span = scale.maximum.minus(scale.minimum).thousandths();
    let tick = |nth: i64| {
        let value = scale.minimum.thousandths() + span / 10 * nth + span % 10 * nth / 10;
        let value = Decimal::from_thousandths(value);
        Tick { x: x_of(scale, value), label: value.to_string() }
    };
    (0..=10).map(tick).collect()
}

fn handles(picture: &Picture, scale: &Scale, thresholds: &[Decimal], cut: &Cut) -> Vec<HandleView> {
    let lowest = thresholds.iter().min();
    let handle = |(at, (tier, value)): (usize, (&Handle, &Decimal))| {
        let people = cut.tiers.get(at).copied().unwrap_or(0);
        let x = x_of(scale, *value);
        let spoken = if Some(value) == lowest {
            let (in_all, short) = (grouped(cut.admitted()), grouped(cut.just_short));
            format!("{value}: {in_all} people admitted, {short} just short")
        } else {
            format!("{value}: {} people in {}", grouped(people), tier.name)
        };
        HandleView {
            tier: tier.tier.clone(),
            field: format!("{FIELD}{}", tier.tier),
            name: tier.name.clone(),
            value: value.to_string(),
            least: tier.floor.unwrap_or(scale.minimum).max(scale.minimum).to_string(),
            x,
            percent: tenths(x),
            is_own: tier.is_own,
            spoken,
        }
    };
    picture.tiers.iter().zip(thresholds).enumerate().map(handle).collect()
}

fn ghosts(picture: &Picture, scale: &Scale) -> Vec<GhostView> {
    let Some(published) = &picture.published else { return Vec::new() };
    let ghost = |tier: &Handle| {
        let x = x_of(scale, tier.at_least);
        let is_right = x > WIDTH / 2;
        GhostView {
            x,
            label: format!("now {}", tier.at_least),
            anchor: if is_right { "end" } else { "start" },
            text_x: if is_right { x.saturating_sub(6) } else { x + 6 },
        }
    };
    published.tiers.iter().map(ghost).collect()
}

/// The tiles of a number: whether each is a separator, and what it says.
pub(super) fn tiles(number: &str) -> Vec<(bool, String)> {
    number.chars().map(|letter| (!letter.is_ascii_digit(), letter.to_string())).collect()
}

/// The same people by the thresholds that decide now, tier by tier.
fn published_cut(picture: &Picture) -> Option<(Vec<String>, Cut)> {
    let published = picture.published.as_ref()?;
    let thresholds: Vec<_> = published.tiers.iter().map(|tier| tier.at_least).collect();
    (!thresholds.is_empty())
        .then(|| (published.tiers.iter().map(|tier| tier.tier.clone()).collect(), picture.cut(&thresholds)))
}

fn change(now: u64, was: u64) -> String {
    match now.abs_diff(was) {
        0 => "the same as now".to_owned(),
        by if now < was => format!("{} fewer than now", grouped(by)),
        by => format!("{} more than now", grouped(by)),
    }
}

fn tallies(picture: &Picture, cut: &Cut) -> Vec<TallyView> {
    let before = published_cut(picture);
    let tally = |key, id: &str, number: u64, what: String, change: String| {
        let shown = grouped(number);
        TallyView { key, id: id.to_owned(), tiles: tiles(&shown), shown, what, change }
    };
    let several = picture.tiers.len() > 1;
    let mut all: Vec<TallyView> = Vec::new();
    for (at, tier) in picture.tiers.iter().enumerate().rev() {
        let people = cut.tiers.get(at).copied().unwrap_or(0);
        let was = before.as_ref().and_then(|(tiers, was)| {
            let at = tiers.iter().position(|it| *it == tier.tier)?;
            was.tiers.get(at).copied()
        });
        let change = was.map(|was| change(people, was)).unwrap_or_default();
        let key = if at == 0 && several { "k1" } else { "k2" };
        all.push(tally(key, &format!("tier-{}", tier.tier), people, format!("in {}", tier.name), change));
    }
    let short = before.as_ref().map(|(_, was)| change(cut.just_short, was.just_short)).unwrap_or_default();
    let what = format!("just short: within {} points", picture.within);
    all.push(tally("kn", "short", cut.just_short, what, short));
    all.push(tally("k0", "rest", cut.rest, "further below".to_owned(), String::new()));
    all
}

fn description(picture: &Picture, thresholds: &[Decimal], cut: &Cut) -> String {
    let parts = picture.tiers.iter().zip(thresholds).zip(&cut.tiers).rev();
    let parts = parts.map(|((tier, at), people)| format!("{} people in {}, from {at}", grouped(*people), tier.name));
    let parts: Vec<_> = parts.collect();
    format!("{}; {} within {} points below.", parts.join("; "), grouped(cut.just_short), picture.within)
}

fn days(picture: &Picture, cut: &Cut) -> (Vec<DayView>, Option<(u64, String)>) {
    let most = cut.days.iter().map(|day| day.came).max().unwrap_or(0);
    let most = most.max(picture.limit.as_ref().map_or(0, |limit| limit.max)).max(1);
    let height = |count: u64| count * DAY_HEIGHT / most;
    let width = WIDTH / u64::try_from(cut.days.len()).unwrap_or(1).max(1);
    let day = |(at, day): (usize, &crate::eligibility::picture::cut::DayCut)| {
        let x = width * u64::try_from(at).unwrap_or(0);
        let height = height(day.came);
        DayView {
            x: x + width / 6,
            y: DAY_BASE - height,
            height,
            label_y: (DAY_BASE - height).saturating_sub(6),
            middle: x + width / 2,
            shown: grouped(day.came),
            day: day.date.strftime("%a %-d %b").to_string(),
            is_over: day.is_full,
        }
    };
    let limit = picture.limit.as_ref().map(|limit| {
        let label = format!("{}: {} a day", limit.id, grouped(limit.max));
        (DAY_BASE - height(limit.max), label)
    });
    (cut.days.iter().enumerate().map(day).collect(), limit)
}

/// True if the scores of most of last week's visitors are known.
fn says_enough(picture: &Picture) -> bool {
    let (asked, unknown) = picture.asked();
    asked > 0 && unknown * 2 <= asked
}

fn week(picture: &Picture, cut: &Cut) -> String {
    let (asked, unknown) = picture.asked();
    if asked == 0 {
        return "Nobody asked in the last seven days.".to_owned();
    }
    let lacking = match unknown {
        0 => String::new(),
        unknown => format!(" Of {} visits, the score of {} isn’t known.", grouped(asked), grouped(unknown)),
    };
    if !says_enough(picture) {
        return format!("Too little is known of last week’s visitors to say what it would have meant.{lacking}");
    }
    let came: u64 = cut.days.iter().map(|day| day.came).sum();
    let Some(limit) = &picture.limit else {
        let people = if came == 1 { "person" } else { "people" };
        return format!("Of last week’s visitors, about {} {people} would have come in.{lacking}", grouped(came));
    };
    let of = if limit.cost == "party" { "people" } else { "visits" };
    let max = grouped(limit.max);
    let full = cut.days.iter().filter(|day| day.is_full).count();
    let over: u64 = cut.days.iter().map(|day| day.over).sum();
    match full {
        0 => format!("Last week, no day would have reached the limit of {max} {of}.{lacking}"),
        1 => format!(
            "Last week, 1 day would have reached the limit of {max} {of}, and about {} would have met a full house.{lacking}",
            grouped(over)
        ),
        full => format!(
            "Last week, {full} days would have reached the limit of {max} {of}, and about {} would have met a full house.{lacking}",
            grouped(over)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_at_round_numbers() {
        let labels = |tallest| grid(tallest).into_iter().map(|line| line.label).collect::<Vec<_>>();
        assert_eq!(labels(491), ["100", "200", "300", "400 people"]);
        assert_eq!(labels(3), ["1", "2", "3 people"]);
        assert_eq!(labels(1_000_000), ["500,000", "1,000,000 people"]);
    }

    #[test]
    fn tiles_know_their_separators() {
        assert_eq!(tiles("1,2").iter().map(|(is_sep, _)| *is_sep).collect::<Vec<_>>(), [false, true, false]);
    }

    #[test]
    fn a_change_is_said_in_people() {
        assert_eq!(
            (change(5, 5), change(3, 1_005), change(7, 5)),
            ("the same as now".to_owned(), "1,002 fewer than now".to_owned(), "2 more than now".to_owned())
        );
    }
}
