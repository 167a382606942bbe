//! A decision taken apart, as the lines of a page.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::console::icon::Icon;
use crate::console::words::When;
use crate::decision::shown_value::ShownValue;
use crate::decision::trace::{LeafTrace, Node, Passed, Trace};
use crate::rules::time_window::WITHIN;

/// A part of the rule: what it wanted, and what it had.
pub(in crate::console) struct Line {
    pub icon: Icon,
    pub word: &'static str,
    pub class: &'static str,
    pub wanted: String,
    pub had: String,
}

fn line(passed: Passed, depth: usize, wanted: impl Into<String>, had: impl Into<String>) -> Line {
    let (icon, word) = match passed {
        Passed::True => (Icon::Tick, "Held: "),
        Passed::False => (Icon::Cross, "Did not hold: "),
        Passed::Unknown => (Icon::Warning, "Not known: "),
    };
    let class = match depth {
        0 => "",
        1 => "in",
        2 => "in in2",
        _ => "in in3",
    };
    Line { icon, word, class, wanted: wanted.into(), had: had.into() }
}

const fn truth(passed: bool) -> Passed {
    if passed { Passed::True } else { Passed::False }
}

/// The parts of a rule in the order that they are asked, each as a line.
pub(in crate::console) fn checklist(trace: &Trace, zone: &TimeZone, now: Timestamp) -> Vec<Line> {
    let when = |at: Timestamp| When::of(at, zone, now).text;
    let mut lines = Vec::new();
    if trace.valid.from.is_some() || trace.valid.until.is_some() || !trace.valid.passed {
        let from = trace.valid.from.map(|from| format!("from {}", when(from)));
        let until = trace.valid.until.map(|until| format!("until {}", when(until)));
        let reach: Vec<_> = from.into_iter().chain(until).collect();
        lines.push(line(truth(trace.valid.passed), 0, format!("The rule holds {}", reach.join(", ")), ""));
    }
    if let Some(blackouts) = &trace.blackouts {
        let had = blackouts.id.as_ref().zip(blackouts.until);
        let had = had.map_or_else(String::new, |(id, until)| format!("{id}, until {}", when(until)));
        lines.push(line(truth(blackouts.passed), 0, "No blackout", had));
    }
    let opens = trace.schedule.opens.map_or_else(String::new, |opens| format!("opens {}", when(opens)));
    lines.push(line(truth(trace.schedule.passed), 0, "Open", opens));
    if let Some(share) = &trace.rollout {
        let had = share
            .had
            .map_or_else(|| "nobody was named".to_owned(), |had| format!("at {}.{:02} %", had / 100, had % 100));
        lines.push(line(truth(share.passed), 0, format!("Among the first {} %", share.percent), had));
    }
    if let Some(score) = &trace.score {
        let age = score.max_age_seconds.map_or_else(String::new, |most| format!(", at most {} old", lasting(most)));
        let had = match (score.had, score.age_seconds) {
            (Some(had), Some(age)) => format!("{had}, {} old", lasting(age.max(0))),
            (Some(had), None) => had.to_string(),
            (None, _) => "none".to_owned(),
        };
        lines.push(line(truth(score.passed), 0, format!("A {} score{age}", score.source), had));
    }
    if let Some(lacking) = &trace.attributes {
        lines.push(line(
            truth(lacking.passed),
            0,
            "Everything is known of the person",
            format!("missing: {}", lacking.missing.join(", ")),
        ));
    }
    if let Some(when) = &trace.when {
        push_node(&mut lines, when, 0);
    }
    for tier in &trace.tiers {
        lines.push(line(tier.passed, 0, tier.name.clone(), ""));
        if let Some(when) = &tier.when {
            push_node(&mut lines, when, 1);
        }
        if let Some(guests) = &tier.guests {
            lines.push(line(truth(guests.passed), 1, format!("At most {} guests", guests.max), guests.had.to_string()));
        }
    }
    lines
}

fn push_node(lines: &mut Vec<Line>, node: &Node, depth: usize) {
    match node {
        Node::All { passed, members } | Node::Any { passed, members } => {
            let all = matches!(node, Node::All { .. });
            lines.push(line(*passed, depth, if all { "All of these" } else { "One of these" }, ""));
            for member in members {
                push_node(lines, member, depth + 1);
            }
        }
        Node::Not { passed, member } => {
            lines.push(line(*passed, depth, "Not this", ""));
            push_node(lines, member, depth + 1);
        }
        Node::Leaf(leaf) => lines.push(line(leaf.passed, depth, wanted(leaf), had(leaf))),
    }
}

fn wanted(leaf: &LeafTrace) -> String {
    let attr = leaf.attr.strip_prefix("context.").or_else(|| leaf.attr.strip_prefix("subject.")).unwrap_or(&leaf.attr);
    let name = capital(&attr.replace(['_', '.'], " "));
    let against = leaf.against.as_ref().map(|other| format!("{other}, which is ")).unwrap_or_default();
    let value = leaf.wanted.as_ref().map(shown).unwrap_or_default();
    let value = format!("{against}{value}");
    match leaf.op {
        "gte" => format!("{name} of at least {value}"),
        "gt" => format!("{name} of more than {value}"),
        "lte" => format!("{name} of at most {value}"),
        "lt" => format!("{name} of less than {value}"),
        "eq" => format!("{name} is {value}"),
        "neq" => format!("{name} is not {value}"),
        "in" => format!("{name} is one of {value}"),
        "not_in" => format!("{name} is none of {value}"),
        "exists" => format!("{name} is known"),
        "contains" => format!("{name} holds {value}"),
        "starts_with" => format!("{name} begins with {value}"),
        "between" => format!("{name} is between {}", value.replace(", ", " and ")),
        WITHIN if leaf.passed == Passed::Unknown => format!("Now is in the time around {name}"),
        WITHIN => format!("Now is within {}", value.replace(", ", " to ")),
        op => format!("{name} {op} {value}"),
    }
}

fn had(leaf: &LeafTrace) -> String {
    leaf.had.as_ref().map_or_else(|| "not known".to_owned(), shown)
}

fn shown(value: &ShownValue) -> String {
    match value {
        ShownValue::Bool(true) => "yes".to_owned(),
        ShownValue::Bool(false) => "no".to_owned(),
        ShownValue::Number(number) => number.to_string(),
        ShownValue::Text(text) => text.clone(),
        ShownValue::List(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}", letters.as_str())
}

/// So long, in the largest unit that is full.
fn lasting(seconds: i64) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let (size, unit) = units.into_iter().find(|(size, _)| seconds >= *size).unwrap_or((1, "second"));
    let count = seconds / size;
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_said_in_its_largest_unit() {
        let said: Vec<_> = [0, 1, 59, 60, 7_199, 86_400, 604_800].into_iter().map(lasting).collect();
        assert_eq!(said, ["0 seconds", "1 second", "59 seconds", "1 minute", "1 hour", "1 day", "7 days"]);
    }
}
