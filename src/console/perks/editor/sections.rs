//! The sections of a rule's form, in the order that a manager thinks of them.

use super::document::{at, items, text};
use super::kind::Kind;
use super::layout::{BY_LANGUAGE, Field, Line, NAMED_BY_LANGUAGE, Row, Section, conditions, threshold};
use super::week::WeekView;
use crate::foundation::json::Json;

/// The form of a document.
pub(super) fn sections(doc: &Json, sources: &[String]) -> Vec<Section> {
    vec![
        tiers(doc),
        score(doc, sources),
        open(doc),
        closed(doc),
        besides(doc),
        limits(doc),
        otherwise(doc),
        names(doc),
        desk(doc),
        token(doc),
    ]
}

fn field(doc: &Json, name: impl Into<String>, label: &str, kind: Kind) -> Field {
    Field::new(doc, name.into(), label, kind)
}

fn row(title: impl Into<String>, lines: Vec<Line>) -> Row {
    Row { title: title.into(), lines, adds: Vec::new() }
}

fn removed(mut line: Line, pointer: &str, name: &str) -> Line {
    line.remove = Some((pointer.to_owned(), name.to_owned()));
    line
}

fn tiers(doc: &Json) -> Section {
    let mut section =
        Section::new("tiers", "Tiers", "The highest that fits wins. The door sees the tier, never the score.");
    let count = items(doc, "/tiers").len();
    for nth in 0..count {
        let tier = format!("/tiers/{nth}");
        let of = |name: &str| format!("{tier}/{name}");
        let called = text(doc, &of("name")).or_else(|| text(doc, &of("id"))).unwrap_or("A tier").to_owned();
        let mut fields = vec![field(doc, of("name"), "Name", Kind::Text).size(22)];
        fields.extend(threshold(doc, &tier));
        fields.extend([
            field(doc, of("guests/max"), "Guests at most", Kind::HolderNumber).size(4),
            field(doc, of("guests/free"), "Guests free", Kind::Number).size(4),
            field(doc, of("guests/under"), "Free under age", Kind::Number).size(4),
        ]);
        let main = removed(Line::of(fields), &tier, &called);
        let rest = vec![
            field(doc, of("rank"), "Rank", Kind::Number).size(4).hint("The higher one wins."),
            field(doc, of("id"), "Short name", Kind::Text).size(16).hint("As the door sees it."),
            field(doc, of("guests/over"), "A larger party", Kind::Text).choices(&[
                ("", "is turned away"),
                ("deny", "is turned away"),
                ("admit_max", "comes in as far as allowed"),
            ]),
            field(doc, of("max_wait"), "Longest wait", Kind::Period).size(14).hint("As 30 minutes."),
            field(doc, of("names"), "What guests call it", Kind::Messages).hint(NAMED_BY_LANGUAGE),
            field(doc, of("messages"), "What guests read who don’t reach it", Kind::Messages).hint(BY_LANGUAGE),
        ];
        let mut lines = vec![main];
        lines.extend(conditions(doc, &of("when")));
        lines.push(Line::more(rest));
        let adds = vec![(format!("condition:{}", of("when")), "Ask for more than a score".to_owned())];
        section.rows.push(Row { title: called, lines, adds });
    }
    section.adds = vec![("tier", "Add a tier")];
    section
}

fn names(doc: &Json) -> Section {
    let mut section = Section::new("names", "Name", "Where no language fits, guests read the perk’s own name.");
    let name = field(doc, "/names", "What guests call the perk", Kind::Messages).hint(NAMED_BY_LANGUAGE);
    section.rows.push(row("", vec![Line::of(vec![name])]));
    section
}

fn score(doc: &Json, sources: &[String]) -> Section {
    let mut section = Section::new("score", "Score", "Where it comes from, and how old it may be.");
    let mut choices = vec![("", "no score")];
    choices.extend(sources.iter().map(|source| (source.as_str(), source.as_str())));
    let then =
        [("", "are refused"), ("deny", "are refused"), ("refer", "wait for a person"), ("ignore", "are let go on")];
    let mut fields = vec![field(doc, "/score/source", "Source", Kind::Holder).choices(&choices)];
    if at(doc, "/score").is_some() {
        fields.extend([
            field(doc, "/score/max_age", "At most so old", Kind::Period).size(12).hint("As 7 days."),
            field(doc, "/score/on_stale", "Guests with an older one", Kind::Text).choices(&then),
            field(doc, "/score/on_missing", "Guests without one", Kind::Text).choices(&then),
        ]);
    }
    section.rows.push(row("", vec![Line::of(fields)]));
    section
}

fn open(doc: &Json) -> Section {
    let about = "Drag an end, or type it. An end before its beginning is on the next day.";
    let mut section = Section::new("open", "Open", about);
    section.week = Some(WeekView::of(doc));
    for nth in 0..items(doc, "/schedule/open").len() {
        let opening = format!("/schedule/open/{nth}");
        let fields = vec![
            field(doc, format!("{opening}/days"), "Days", Kind::Days),
            field(doc, format!("{opening}/from"), "From", Kind::Clock).size(6),
            field(doc, format!("{opening}/to"), "To", Kind::Clock).size(6),
        ];
        let title = format!("Hours {}", nth + 1);
        section.rows.push(row(title.clone(), vec![removed(Line::of(fields), &opening, &title)]));
    }
    let zone = field(doc, "/time_zone", "Time zone", Kind::Text).size(24).hint("As America/Los_Angeles.");
    let valid = vec![
        zone,
        field(doc, "/valid/from", "Not before", Kind::Text).size(18).hint("As 2026-12-01T06:00; it may be left out."),
        field(doc, "/valid/until", "Not from", Kind::Text).size(18),
        field(doc, "/schedule/messages", "What guests read when it is closed", Kind::Messages).hint(BY_LANGUAGE),
    ];
    section.rows.push(row("", vec![Line::of(valid)]));
    section.adds = vec![("opening", "Add hours")];
    section
}

fn closed(doc: &Json) -> Section {
    let mut section = Section::new("closed", "Closed days", "Guests read the reason that you give.");
    for nth in 0..items(doc, "/blackouts").len() {
        let blackout = format!("/blackouts/{nth}");
        let of = |name: &str| format!("{blackout}/{name}");
        let called = text(doc, &of("id")).unwrap_or("Closed days").to_owned();
        let mut fields = vec![field(doc, of("id"), "Short name", Kind::Text).size(16)];
        if at(doc, &of("yearly")).is_some() {
            fields.extend([
                field(doc, of("yearly/from"), "Each year from", Kind::YearDay).size(8).hint("Month and day, as 12-24."),
                field(doc, of("yearly/to"), "Until and with", Kind::YearDay).size(8),
            ]);
        } else {
            fields.extend([
                field(doc, of("from"), "From", Kind::Text).size(18).hint("As 2027-01-11T00:00."),
                field(doc, of("until"), "Until before", Kind::Text).size(18),
            ]);
        }
        fields.push(field(doc, of("messages"), "What guests read", Kind::Messages).hint(BY_LANGUAGE));
        section.rows.push(row(called.clone(), vec![removed(Line::of(fields), &blackout, &called)]));
    }
    let dates =
        field(doc, "/schedule/closed_dates", "Single days", Kind::Lines).size(14).hint("One to a line, as 2026-12-25.");
    section.rows.push(row("", vec![Line::of(vec![dates])]));
    section.adds = vec![("blackout", "Add days"), ("yearly", "Add days of every year")];
    section
}

fn besides(doc: &Json) -> Section {
    let about = "Besides the score: what the kiosk knows, what is kept of a member, the boarding pass.";
    let mut section = Section::new("who", "Who may come", about);
    for line in conditions(doc, "/when") {
        let title = line.remove.as_ref().map(|(_, name)| name.clone()).unwrap_or_default();
        section.rows.push(row(title, vec![line]));
    }
    let rollout = field(doc, "/rollout/percent", "Percent of people", Kind::Number).size(4);
    section.rows.push(row("", vec![Line::of(vec![rollout.hint("Always the same ones. 100 is everyone.")])]));
    section.adds = vec![("condition:/when", "Add a condition"), ("window:/when", "Add a flight window")];
    section
}

const WINDOWS: [(&str, &str); 9] = [
    ("day", "a day"),
    ("week", "a week"),
    ("month", "a month"),
    ("quarter", "a quarter"),
    ("year", "a year"),
    ("hour", "an hour"),
    ("rolling", "in any … (a length)"),
    ("concurrent", "at once"),
    ("lifetime", "ever"),
];

const SCOPES: [(&str, &str); 8] = [
    ("subject", "each person"),
    ("perk", "the whole perk"),
    ("boarding_pass", "each boarding pass"),
    ("tier", "each tier"),
    ("location", "each location"),
    ("kiosk", "each kiosk"),
    ("merchant", "all your perks together"),
    ("subject, tier", "each person in each tier"),
];

/// How many fit, by whom it is counted, and in which window.
fn counted(doc: &Json, of: &impl Fn(&str) -> String) -> Vec<Field> {
    let max = of("max");
    let max = if at(doc, &format!("{max}/default")).is_some() { format!("{max}/default") } else { max };
    let mut fields = vec![
        field(doc, max, "How many", Kind::Number).size(7),
        field(doc, of("window"), "In each", Kind::Window).choices(&WINDOWS),
    ];
    for (name, label) in [("window/rolling", "Of a length of"), ("window/concurrent/max_stay", "A stay is at most")] {
        if at(doc, &of(name)).is_some() {
            fields.push(field(doc, of(name), label, Kind::Period).size(12).hint("As 24 hours."));
        }
    }
    fields
}

fn limits(doc: &Json) -> Section {
    let mut section = Section::new("limits", "Limits", "Never exceeded, also when many ask at once.");
    for nth in 0..items(doc, "/limits").len() {
        let limit = format!("/limits/{nth}");
        let of = |name: &str| format!("{limit}/{name}");
        let called = text(doc, &of("id")).unwrap_or("A limit").to_owned();
        let mut fields = vec![field(doc, of("id"), "Short name", Kind::Text).size(14)];
        fields.extend(counted(doc, &of));
        fields.extend([
            field(doc, of("cost"), "Counted by", Kind::Number).choices(&[
                ("", "visit"),
                ("1", "visit"),
                ("party", "person"),
            ]),
            field(doc, of("scope"), "For", Kind::Names).choices(&SCOPES),
        ]);
        let main = removed(Line::of(fields), &limit, &called);
        let messages = field(doc, of("messages"), "What guests read when it is full", Kind::Messages).hint(BY_LANGUAGE);
        section.rows.push(row(called, vec![main, Line::more(vec![messages])]));
    }
    section.adds = vec![("limit", "Add a limit")];
    section
}

fn otherwise(doc: &Json) -> Section {
    let mut section = Section::new("otherwise", "Otherwise", "For guests whom no tier admits.");
    // A word, or an object with offers beside it.
    let is_word = at(doc, "/otherwise").is_none_or(|it| it.as_text().is_some());
    let name = if is_word { "/otherwise" } else { "/otherwise/decision" };
    let choices = [("", "are refused"), ("deny", "are refused"), ("refer", "wait for a person")];
    let decision = field(doc, name, "They", Kind::Text).choices(&choices);
    section.rows.push(row("", vec![Line::of(vec![decision])]));
    for nth in 0..items(doc, "/otherwise/offers").len() {
        let offer = format!("/otherwise/offers/{nth}");
        let of = |name: &str| format!("{offer}/{name}");
        let fields = vec![
            field(doc, of("text"), "They are offered", Kind::Messages).hint(BY_LANGUAGE),
            field(doc, of("price/amount"), "Price", Kind::Holder).size(8).hint("As 45.00."),
            field(doc, of("price/currency"), "Currency", Kind::Text).size(4).hint("As USD."),
            field(doc, of("url"), "Link", Kind::Text).size(26),
        ];
        let title = format!("Offer {}", nth + 1);
        section.rows.push(row(title.clone(), vec![removed(Line::of(fields), &offer, &title)]));
    }
    section.adds = vec![("offer", "Add an offer")];
    section
}

fn desk(doc: &Json) -> Section {
    let mut section = Section::new("desk", "Desk", "What your desk may do for a guest who was refused.");
    let mut add = |member: &'static str, title: &'static str, button: (&'static str, &'static str)| {
        if at(doc, &format!("/{member}")).is_none() {
            section.adds.push(button);
            return;
        }
        let of = |name: &str| format!("/{member}/{name}");
        let mut fields = counted(doc, &of);
        fields.push(field(doc, of("scope"), "For", Kind::Names).choices(&SCOPES));
        let mut rest = vec![
            field(doc, of("tiers"), "Into these tiers", Kind::Names).size(20).hint("Their short names. Left out: all."),
            field(doc, of("past_limits"), "Past these limits", Kind::Names).size(20).hint("Left out: none."),
        ];
        if member == "override" {
            rest.insert(
                0,
                field(doc, of("reasons"), "Reasons to choose from", Kind::Lines)
                    .hint("One to a line, as irregular_operations."),
            );
        }
        let main = removed(Line::of(fields), &format!("/{member}"), title);
        section.rows.push(row(title, vec![main, Line::of(rest)]));
    };
    add("override", "Admit refused guests", ("override", "Let the desk admit refused guests"));
    add("paid", "Paid entry", ("paid", "Let the desk sell entry"));
    section
}

fn token(doc: &Json) -> Section {
    let mut section = Section::new("token", "Token", "For the door.");
    let fields = vec![
        field(doc, "/token/ttl", "Good for", Kind::Period).size(12).hint("As 30 minutes."),
        field(doc, "/token/audience", "At the door", Kind::Text).size(18),
        field(doc, "/token/single_use", "It opens", Kind::Flag).choices(&[
            ("", "once"),
            ("true", "once"),
            ("false", "as often as it is shown"),
        ]),
        field(doc, "/token/online_only", "Doors without a network", Kind::Flag).choices(&[
            ("", "let it in"),
            ("false", "let it in"),
            ("true", "don’t take it"),
        ]),
    ];
    section.rows.push(row("", vec![Line::of(fields)]));
    section
}
