//! A week of opening hours as bars.

use super::document::{items, text};
use super::kind::WEEK;
use crate::foundation::json::Json;

/// The drawing's left edge of the hours, and the width of an hour.
const LEFT: u32 = 60;
const HOUR: u32 = 46;
const ROW: u32 = 34;
const DAY: u32 = 24 * 60;

/// A week that is ready to be drawn.
#[derive(Debug, Clone)]
pub(super) struct WeekView {
    pub hours: Vec<(u32, String)>,
    pub days: Vec<(u32, &'static str)>,
    pub bars: Vec<Bar>,
    pub description: String,
}

/// A stretch of a day that an opening covers.
#[derive(Debug, Clone)]
pub(super) struct Bar {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    /// Its hours, where it has room for them and is no rest of the night before.
    pub label: String,
}

impl WeekView {
    /// The week of a rule; a rule without openings is always open.
    pub(super) fn of(doc: &Json) -> Self {
        let openings = items(doc, "/schedule/open");
        let x = |minute: u32| LEFT + minute * HOUR / 60;
        let mut bars = Vec::new();
        let mut sentences = Vec::new();
        for nth in 0..openings.len() {
            let of = |name: &str| text(doc, &format!("/schedule/open/{nth}/{name}")).unwrap_or_default();
            let (from, to) = (of("from"), of("to"));
            let (Some(begin), Some(end)) = (minute(from), minute(to)) else { continue };
            let days = items(doc, &format!("/schedule/open/{nth}/days"));
            let days: Vec<usize> = WEEK
                .iter()
                .enumerate()
                .filter(|(_, day)| days.contains(&Json::text(**day)))
                .map(|(at, _)| at)
                .collect();
            for day in &days {
                let mut bar = |day: usize, from: u32, to: u32, label: String| {
                    let y = 24 + ROW * u32::try_from(day).unwrap_or(0);
                    bars.push(Bar { x: x(from), y, width: x(to).saturating_sub(x(from)), label });
                };
                let label = format!("{from} – {to}");
                if begin < end {
                    bar(*day, begin, end, if end - begin >= 150 { label } else { String::new() });
                } else {
                    bar(*day, begin, DAY, if DAY - begin >= 150 { label } else { String::new() });
                    bar((day + 1) % 7, 0, end, String::new());
                }
            }
            let names: Vec<&str> = days.iter().filter_map(|day| WEEK.get(*day)).copied().collect();
            sentences.push(format!("{} {from} to {to}", names.join(", ")));
        }
        let description = if openings.is_empty() {
            "No hours are given: it is always open.".to_owned()
        } else {
            format!("Open {}.", sentences.join("; "))
        };
        let words = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        Self {
            hours: (0..=8).map(|at: u32| (x(at * 180), format!("{:02}", at * 3))).collect(),
            days: (0..).zip(words).map(|(at, word)| (24 + ROW * at, word)).collect(),
            bars,
            description,
        }
    }
}

fn minute(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':').filter(|(hour, minute)| hour.len() == 2 && minute.len() == 2)?;
    let at = hour.parse::<u32>().ok()? * 60 + minute.parse::<u32>().ok().filter(|minute| *minute < 60)?;
    (at <= DAY).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_night_goes_on_in_the_next_day() {
        let doc = r#"{"schedule":{"open":[{"days":["mon","sun"],"from":"22:00","to":"02:00"},
            {"days":["tue"],"from":"06:00","to":"24:00"},{"days":["tue"],"from":"6","to":""}]}}"#;
        let week = WeekView::of(&Json::parse(doc).unwrap());
        let bars: Vec<_> = week.bars.iter().map(|bar| (bar.x, bar.y, bar.width, bar.label.as_str())).collect();
        assert_eq!(
            bars,
            [
                (1072, 24, 92, ""),
                (60, 58, 92, ""),
                (1072, 228, 92, ""),
                (60, 24, 92, ""),
                (336, 58, 828, "06:00 – 24:00")
            ]
        );
        assert_eq!(week.description, "Open mon, sun 22:00 to 02:00; tue 06:00 to 24:00.");
        assert_eq!(WeekView::of(&Json::Object(Vec::new())).description, "No hours are given: it is always open.");
    }
}
