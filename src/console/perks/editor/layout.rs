//! The form of a rule: its sections, rows and fields. Each field is named by the JSON pointer of its part of the document, so
//! that an error of the rule finds its field; what no field is for is named too, and remains as it is.

use std::collections::BTreeMap;

use super::document::{at, items, text};
use super::kind::Kind;
use super::week::WeekView;
use crate::foundation::json::{Json, push_pointer};
use crate::rules::describe;

/// A field with what it shows.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub name: String,
    pub label: String,
    pub kind: Kind,
    pub value: String,
    pub hint: &'static str,
    /// The choices of a field that has some.
    pub options: Vec<(String, String)>,
    /// The width of its input in characters; 0 for all there is.
    pub size: usize,
    pub error: Option<String>,
}

impl Field {
    pub(super) fn new(doc: &Json, name: String, label: impl Into<String>, kind: Kind) -> Self {
        let (value, label) = (kind.shown(doc, &name), label.into());
        Self { name, label, kind, value, hint: "", options: Vec::new(), size: 0, error: None }
    }

    pub(super) const fn hint(mut self, hint: &'static str) -> Self {
        self.hint = hint;
        self
    }

    pub(super) const fn size(mut self, size: usize) -> Self {
        self.size = size;
        self
    }

    /// Offers these choices, and the one that it has where that is another. Leaving it out and writing the default say the same,
    /// so only one of the two is offered.
    pub(super) fn choices(mut self, choices: &[(&str, &str)]) -> Self {
        let has = |value: &str, words: &str| choices.iter().any(|(it, said)| *said == words && *it == value);
        let is_twin = |value: &str, words: &str| match (value.is_empty(), self.value.is_empty()) {
            (true, false) => choices.iter().any(|(it, said)| *said == words && !it.is_empty()),
            (false, true) => has("", words),
            (true, true) | (false, false) => false,
        };
        let shown = choices.iter().filter(|(value, words)| !is_twin(value, words));
        self.options = shown.map(|(value, words)| ((*value).to_owned(), (*words).to_owned())).collect();
        if !self.options.iter().any(|(value, _)| *value == self.value) {
            self.options.push((self.value.clone(), self.value.clone()));
        }
        self
    }

    /// The parts of the document that it stands for.
    fn covers(&self) -> Vec<String> {
        let leaf = || self.name.rsplit_once('/').map_or("", |(leaf, _)| leaf);
        match self.kind {
            Kind::Threshold => vec![leaf().to_owned()],
            Kind::Operand => ["value", "values"].map(|name| format!("{}/{name}", leaf())).to_vec(),
            // A window around an instant has one comparison, which its fields say.
            Kind::Period if self.name.starts_with("/when/") => vec![self.name.clone(), format!("{}/op", leaf())],
            _ => vec![self.name.clone()],
        }
    }

    pub(super) fn is_area(&self) -> bool {
        matches!(self.kind, Kind::Lines | Kind::Messages)
            || (self.kind == Kind::Operand && self.name.ends_with("/values"))
    }

    pub(super) fn is_days(&self) -> bool {
        self.kind == Kind::Days
    }

    pub(super) fn is_score(&self) -> bool {
        matches!(self.kind, Kind::Threshold | Kind::NewThreshold)
    }

    pub(super) fn is_attribute(&self) -> bool {
        self.name.ends_with("/attr") || self.name.ends_with("/opens_by")
    }

    pub(super) fn is_clock(&self) -> bool {
        self.kind == Kind::Clock
    }

    pub(super) fn lines(&self) -> usize {
        self.value.lines().count().clamp(1, 12) + 1
    }

    /// The days of the week, each with its field, its word, and whether it is among them.
    pub(super) fn days(&self) -> Vec<(String, &'static str, bool)> {
        let names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        let day = |(day, word)| (format!("{}/{day}", self.name), word, self.value.split(' ').any(|it| it == day));
        super::kind::WEEK.into_iter().zip(names).map(day).collect()
    }
}

/// Fields that stand together.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    pub fields: Vec<Field>,
    /// The part that its button takes away.
    pub remove: Option<(String, String)>,
    /// Words that stand between the fields of what is in the form of a sentence.
    pub lead: &'static str,
    /// Shown when it is asked for.
    pub is_more: bool,
}

impl Line {
    pub(super) fn of(fields: Vec<Field>) -> Self {
        Self { fields, ..Self::default() }
    }

    pub(super) fn more(fields: Vec<Field>) -> Self {
        Self { fields, is_more: true, ..Self::default() }
    }

    pub(super) fn has_error(&self) -> bool {
        self.fields.iter().any(|field| field.error.is_some())
    }
}

/// A thing of which there may be several.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub title: String,
    pub lines: Vec<Line>,
    pub adds: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
pub(super) struct Section {
    pub id: &'static str,
    pub heading: &'static str,
    pub about: &'static str,
    pub week: Option<WeekView>,
    pub rows: Vec<Row>,
    /// The parts that its buttons add, with their words.
    pub adds: Vec<(&'static str, &'static str)>,
}

impl Section {
    pub(super) fn new(id: &'static str, heading: &'static str, about: &'static str) -> Self {
        Self { id, heading, about, week: None, rows: Vec::new(), adds: Vec::new() }
    }

    fn fields_mut(&mut self) -> impl Iterator<Item = &mut Field> {
        self.rows.iter_mut().flat_map(|row| &mut row.lines).flat_map(|line| &mut line.fields)
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = &Field> {
        self.rows.iter().flat_map(|row| &row.lines).flat_map(|line| &line.fields)
    }
}

/// A part of the rule that no field is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub pointer: String,
    /// Its meaning, where it is a condition.
    pub words: Option<String>,
    pub text: String,
}

/// The parts that no field is for, each as a whole.
pub(super) fn kept(doc: &Json, sections: &[Section]) -> Vec<Kept> {
    let covered: Vec<String> = sections.iter().flat_map(Section::fields).flat_map(Field::covers).collect();
    let mut kept = Vec::new();
    look(doc, "", &covered, &mut kept);
    kept
}

/// Tells whether a pointer is another, or leads into it.
fn is_within(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn look(json: &Json, pointer: &str, covered: &[String], kept: &mut Vec<Kept>) {
    if covered.iter().any(|part| is_within(pointer, part)) {
        return;
    }
    if covered.iter().any(|part| is_within(part, pointer)) {
        match json {
            Json::Object(members) => {
                for (name, value) in members {
                    look(value, &step(pointer, name), covered, kept);
                }
                return;
            }
            Json::List(list) => {
                for (nth, item) in list.iter().enumerate() {
                    look(item, &step(pointer, &nth.to_string()), covered, kept);
                }
                return;
            }
            _ => {}
        }
    }
    let says_nothing = match json {
        Json::Null => true,
        Json::List(list) => list.is_empty(),
        Json::Object(members) => members.iter().all(|(_, value)| *value == Json::Null),
        _ => false,
    };
    if !says_nothing {
        let is_condition = ["any", "all", "not", "attr"].iter().any(|name| json.member(name).is_some());
        let words = is_condition.then(|| describe::condition(json));
        kept.push(Kept { pointer: pointer.to_owned(), words, text: json.canonical() });
    }
}

fn step(pointer: &str, name: &str) -> String {
    let mut below = pointer.to_owned();
    push_pointer(&mut below, name);
    below
}

/// Returns the field that each of these is about, by its pointer; what stops the rule is put there too.
pub(super) fn place<'a>(
    sections: &mut [Section],
    errors: impl Iterator<Item = (&'a str, &'a str)>,
    stops: bool,
) -> BTreeMap<String, String> {
    let mut places = BTreeMap::new();
    for (pointer, detail) in errors {
        let fields = || sections.iter().flat_map(Section::fields).map(|field| field.name.as_str());
        let Some(name) = nearest(pointer, fields) else { continue };
        places.insert(pointer.to_owned(), name.to_owned());
        let name = name.to_owned();
        if stops && let Some(field) = sections.iter_mut().flat_map(Section::fields_mut).find(|field| field.name == name)
        {
            field.error.get_or_insert_with(|| detail.to_owned());
        }
    }
    places
}

/// The field that a pointer is about: its own, the one of what holds it, or the first of what it holds.
fn nearest<'a, I: Iterator<Item = &'a str>>(pointer: &str, names: impl Fn() -> I) -> Option<&'a str> {
    if pointer.is_empty() {
        return None;
    }
    names()
        .filter(|name| is_within(pointer, name))
        .max_by_key(|name| name.len())
        .or_else(|| names().find(|name| is_within(name, pointer)))
        .or_else(|| {
            let holder = pointer.rsplit_once('/').map(|(holder, _)| holder).filter(|holder| !holder.is_empty())?;
            names().find(|name| is_within(name, holder))
        })
}

/// The least score of a tier: the field of the one lower bound that its condition has, or of a new one.
pub(super) fn threshold(doc: &Json, tier: &str) -> Option<Field> {
    let condition = format!("{tier}/when");
    let is_bound = |leaf: &Json| {
        let says = |name: &str, word: &str| leaf.member(name).and_then(Json::as_text) == Some(word);
        says("attr", "score") && says("op", "gte") && leaf.member("ref").is_none_or(|it| *it == Json::Null)
    };
    let found = at(doc, &condition);
    let name = match found {
        None => return Some(Field::new(doc, condition, "Score from", Kind::NewThreshold).size(6)),
        Some(leaf) if is_bound(leaf) => format!("{condition}/value"),
        Some(_) => {
            let all = items(doc, &format!("{condition}/all"));
            let mut bounds = all.iter().enumerate().filter(|(_, leaf)| is_bound(leaf));
            let (nth, _) = bounds.next().filter(|_| bounds.next().is_none())?;
            format!("{condition}/all/{nth}/value")
        }
    };
    Some(Field::new(doc, name, "Score from", Kind::Threshold).size(6))
}

/// The conditions of a rule or a tier, each as a line; one that is an either–or or an exception has no field.
pub(super) fn conditions(doc: &Json, pointer: &str) -> Vec<Line> {
    let Some(condition) = at(doc, pointer) else { return Vec::new() };
    let mut lines = Vec::new();
    if condition.member("attr").is_some() {
        lines.extend(condition_line(doc, pointer, pointer));
    }
    let all = format!("{pointer}/all");
    for nth in 0..items(doc, &all).len() {
        lines.extend(condition_line(doc, &format!("{all}/{nth}"), pointer));
    }
    lines
}

const OPS: [(&str, &str); 12] = [
    ("eq", "is"),
    ("neq", "is not"),
    ("gte", "is at least"),
    ("gt", "is more than"),
    ("lte", "is at most"),
    ("lt", "is less than"),
    ("in", "is one of"),
    ("not_in", "is none of"),
    ("between", "lies between"),
    ("contains", "contains"),
    ("starts_with", "starts with"),
    ("exists", "is known"),
];

fn condition_line(doc: &Json, leaf: &str, whole: &str) -> Option<Line> {
    let attr = text(doc, &format!("{leaf}/attr"));
    let op = text(doc, &format!("{leaf}/op")).unwrap_or_default();
    // The score of a tier has a field of its own.
    if whole != "/when" && attr == Some("score") && op == "gte" && at(doc, &format!("{leaf}/ref")).is_none() {
        return None;
    }
    at(doc, leaf).filter(|it| it.member("attr").is_some())?;
    let field = |name: &str, label: &str, kind| Field::new(doc, format!("{leaf}/{name}"), label, kind);
    let remove = Some((leaf.to_owned(), describe::shown(&Json::text(attr.unwrap_or_default()))));
    if op == "within" {
        let fields = vec![
            field("before", "From so long before", Kind::Period).size(12),
            field("opens_by", "The time it opens by", Kind::Text).size(24).hint("Left out, it is the time below."),
            field("attr", "Until the time", Kind::Text).size(24),
            field("after", "And so long after", Kind::Period).size(12),
            field("messages", "What guests read outside of it", Kind::Messages).hint(BY_LANGUAGE),
        ];
        return Some(Line { fields, remove, lead: "A window around a time that the kiosk says", is_more: false });
    }
    let mut fields = vec![field("attr", "What", Kind::Text).size(24), field("op", "How", Kind::Op).choices(&OPS)];
    if at(doc, &format!("{leaf}/ref")).is_some() {
        fields.push(field("ref", "What it is held against", Kind::Text).size(24));
    } else if super::kind::is_listed(op) {
        fields.push(field("values", "One to a line", Kind::Operand).size(20));
    } else if op != "exists" {
        fields.push(field("value", "What it is held against", Kind::Operand).size(20));
    }
    Some(Line { fields, remove, lead: "", is_more: false })
}

pub(super) const BY_LANGUAGE: &str = "One line a language, such as “en: We open at six.”";
/// The hint of names.
pub(super) const NAMED_BY_LANGUAGE: &str = "One line a language, such as “zh-Hant: 貴賓室”.";
