//! The chart of a report: a bar for each group, of what was granted within what was asked.

use crate::audit::reports::asked::ReportKind;
use crate::audit::reports::sheet::ReportSheet;
use crate::console::words::{grouped, tenths};

/// The most bars: with more they say nothing any more.
const MOST: usize = 120;
/// The chart's size in units of its drawing.
const WIDTH: u64 = 1000;
const HEIGHT: u64 = 180;
/// The width of the widest bar, in tenths of a unit.
const WIDEST: u64 = 900;
/// The most labels under the bars.
const LABELS: usize = 10;

/// A chart that is ready to be drawn.
pub(super) struct Chart {
    pub bars: Vec<Bar>,
    pub most: String,
    pub description: String,
    /// The names of the whole bar, and of the dark part of it.
    pub whole: &'static str,
    pub part: Option<&'static str>,
}

pub(super) struct Bar {
    pub x: String,
    pub width: String,
    pub y: u64,
    pub height: u64,
    pub part_y: u64,
    pub part_height: u64,
    pub middle: String,
    /// None where the labels would not have room.
    pub label: Option<String>,
    pub title: String,
}

impl Chart {
    /// The chart of a report's groups; none where it has none, too many, or counts nothing.
    pub(super) fn of(sheet: &ReportSheet) -> Option<Self> {
        let (column, part, whole, part_words) = match sheet.report {
            ReportKind::Billing => ("visits", None, "visits", None),
            ReportKind::Grants | ReportKind::Fairness => ("checks", Some("granted"), "asked", Some("granted")),
        };
        let groups = &sheet.groups;
        let most = groups.iter().map(|group| group.counts.get(column)).max().filter(|most| *most > 0)?;
        if groups.len() > MOST {
            return None;
        }
        let count = u64::try_from(groups.len()).unwrap_or(1).max(1);
        // In tenths of a unit.
        let step = WIDTH * 10 / count;
        let gap = (step / 5).min(200).max(step.saturating_sub(WIDEST));
        let every = groups.len().div_ceil(LABELS);
        let height = |number: u64| number * (HEIGHT - 20) / most;
        let bar = |(at, group): (usize, &crate::audit::reports::sheet::GroupRow)| {
            let whole = group.counts.get(column);
            let part = part.map_or(0, |part| group.counts.get(part).min(whole));
            let x = step * u64::try_from(at).unwrap_or(0) + gap / 2;
            let title = match part_words {
                Some(words) => format!("{}: {} of {} {words}", group.label(), grouped(part), grouped(whole)),
                None => format!("{}: {}", group.label(), grouped(whole)),
            };
            Bar {
                x: tenths(x),
                width: tenths(step - gap),
                y: HEIGHT - height(whole),
                height: height(whole),
                part_y: HEIGHT - height(part),
                part_height: height(part),
                middle: tenths(x + (step - gap) / 2),
                label: at.is_multiple_of(every).then(|| group.label().to_owned()),
                title,
            }
        };
        let bars = groups.iter().enumerate().map(bar).collect();
        let description = format!(
            "{} groups, at most {} {whole} in one; the table below has the numbers.",
            groups.len(),
            grouped(most)
        );
        Some(Self { bars, most: grouped(most), description, whole, part: part_words })
    }
}
