//! YAML 1.2 as people write it by hand, read into exact [`Json`]: the core schema without what makes
//! YAML dangerous or surprising.
//!
//! Refused, each at its line: anchors and aliases (a few lines can stand for gigabytes), tags, several
//! documents, doubled and non-text keys, numbers that aren't exact decimals. Only `true` and `false`
//! are booleans; `no`, `12:30` and `2012-05-08` are text.

pub mod write;

use std::collections::{HashMap, HashSet};
use std::fmt;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError};

use super::decimal::{Decimal, DecimalError};
use super::json::{Json, LooseJson, MAX_DEPTH, push_pointer};
use super::unicode::text_without_bom;

/// A place in a text, both counted from 1; columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a text is not YAML that we take, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault} ({mark})")]
pub struct YamlError {
    pub mark: Mark,
    pub fault: YamlFault,
}

/// The fault in the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum YamlFault {
    #[error("not valid YAML: {0}")]
    Syntax(String),
    #[error("a tab can't indent a line: use spaces")]
    Tab,
    #[error("the character U+{:04X} can't stand in a file", u32::from(*.0))]
    Control(char),
    #[error("there is nothing in it")]
    Empty,
    #[error("a second document begins here: a file holds one")]
    SecondDocument,
    #[error("anchors and aliases (`&` and `*`) can't be used: write the value out, or put text in quotes")]
    Anchor,
    #[error("tags (`!`) can't be used: leave it out, or put text in quotes")]
    Tag,
    #[error("a key must be text: put it in quotes")]
    Key,
    #[error("the key {0:?} stands twice")]
    Doubled(String),
    #[error("nested deeper than {MAX_DEPTH}")]
    TooDeep,
    #[error("the number {text} can't be taken, {source}: write it like 47.25, or put text in quotes")]
    Number { text: String, source: DecimalError },
    #[error("the text holds a NUL character")]
    Nul,
}

/// Reads the one document in `text`.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn read(text: &str) -> Result<Json, YamlError> {
    walk(text, &mut |_, _| {}, None)
}

/// The same, in which a number may be one that no [`Decimal`] holds.
///
/// # Errors
/// As [`read`], but never for a number.
pub fn read_loose(text: &str) -> Result<LooseJson, YamlError> {
    let mut inexact = Vec::new();
    let json = walk(text, &mut |_, _| {}, Some(&mut inexact))?;
    Ok(LooseJson { json, inexact })
}

/// Where in a YAML or JSON text the values at these JSON pointers stand: a member where its name
/// is. What isn't there is looked for at what would hold it.
#[must_use]
pub fn locate<'a>(text: &str, pointers: impl IntoIterator<Item = &'a str>) -> HashMap<&'a str, Mark> {
    let pointers: HashSet<&str> = pointers.into_iter().collect();
    let wanted: HashSet<&str> = pointers.iter().flat_map(|pointer| with_parents(pointer)).collect();
    let mut found: HashMap<String, Mark> = HashMap::new();
    // What was found before an error is as good as without one.
    let _ = walk(
        text,
        &mut |pointer, mark| {
            if wanted.contains(pointer) {
                found.insert(pointer.to_owned(), mark);
            }
        },
        Some(&mut Vec::new()),
    );
    let nearest = |pointer: &'a str| with_parents(pointer).find_map(|it| found.get(it)).map(|mark| (pointer, *mark));
    pointers.into_iter().filter_map(nearest).collect()
}

/// A pointer, then what holds it, up to the whole document.
fn with_parents(pointer: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(pointer), |pointer| pointer.rfind('/').and_then(|at| pointer.get(..at)))
}

/// A list or an object whose end hasn't come yet.
enum Open {
    List(Vec<Json>),
    Object { members: Vec<(String, Json)>, seen: HashSet<String>, key: Option<String> },
}

struct Walk<'a> {
    open: Vec<Open>,
    /// Where the next value goes.
    pointer: String,
    note: &'a mut dyn FnMut(&str, Mark),
    /// Where numbers go that can't be taken; without it they are refused.
    inexact: Option<&'a mut Vec<(String, DecimalError)>>,
}

fn walk(
    text: &str,
    note: &mut dyn FnMut(&str, Mark),
    inexact: Option<&mut Vec<(String, DecimalError)>>,
) -> Result<Json, YamlError> {
    let text = text_without_bom(text);
    refuse_controls(text)?;
    let mut walk = Walk { open: Vec::new(), pointer: String::new(), note, inexact };
    let mut whole = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| syntax(text, &error))?;
        let mark = Mark { line: span.start.line(), column: span.start.col() + 1 };
        let at = |fault| YamlError { mark, fault };
        if matches!(event, Event::DocumentStart(_)) && whole.is_some() {
            return Err(at(YamlFault::SecondDocument));
        }
        if let Some(root) = walk.take(event, mark).map_err(at)? {
            whole = Some(root);
        }
    }
    whole.ok_or(YamlError { mark: Mark { line: 1, column: 1 }, fault: YamlFault::Empty })
}

impl Walk<'_> {
    /// The whole document, once its last event has come.
    fn take(&mut self, event: Event<'_>, mark: Mark) -> Result<Option<Json>, YamlFault> {
        match event {
            Event::Alias(_) => Err(YamlFault::Anchor),
            Event::Scalar(text, style, anchor, tag) => {
                refuse_extras(anchor, tag.is_some())?;
                if let Some(Open::Object { members: _, seen, key: key @ None }) = self.open.last_mut() {
                    let name = key_of(&text, style)?;
                    if !seen.insert(name.clone()) {
                        return Err(YamlFault::Doubled(shown(&name)));
                    }
                    push_pointer(&mut self.pointer, &name);
                    *key = Some(name);
                    (self.note)(&self.pointer, mark);
                    return Ok(None);
                }
                self.enter(mark)?;
                let value = match (scalar(&text, style), &mut self.inexact) {
                    (Err(YamlFault::Number { source, .. }), Some(inexact)) => {
                        inexact.push((self.pointer.clone(), source));
                        Json::Null
                    }
                    (read, _) => read?,
                };
                Ok(self.put(value))
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_extras(anchor, tag.is_some())?;
                self.begin(Open::List(Vec::new()), mark)
            }
            Event::MappingStart(anchor, tag) => {
                refuse_extras(anchor, tag.is_some())?;
                self.begin(Open::Object { members: Vec::new(), seen: HashSet::new(), key: None }, mark)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let ended = match self.open.pop() {
                    Some(Open::List(items)) => Json::List(items),
                    Some(Open::Object { members, .. }) => Json::Object(members),
                    None => return Ok(None),
                };
                Ok(self.put(ended))
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(None)
            }
        }
    }

    fn begin(&mut self, new: Open, mark: Mark) -> Result<Option<Json>, YamlFault> {
        if matches!(self.open.last(), Some(Open::Object { key: None, .. })) {
            return Err(YamlFault::Key);
        }
        self.enter(mark)?;
        self.open.push(new);
        Ok(None)
    }

    /// A value begins here. Members have been noted at their names.
    fn enter(&mut self, mark: Mark) -> Result<(), YamlFault> {
        // As deep as JSON may be: the whole document is depth 0.
        if self.open.len() > MAX_DEPTH {
            return Err(YamlFault::TooDeep);
        }
        match self.open.last() {
            Some(Open::Object { .. }) => {}
            Some(Open::List(items)) => {
                push_pointer(&mut self.pointer, &items.len().to_string());
                (self.note)(&self.pointer, mark);
            }
            None => (self.note)(&self.pointer, mark),
        }
        Ok(())
    }

    /// Puts a value that is whole into what holds it, or gives it back if nothing does.
    fn put(&mut self, value: Json) -> Option<Json> {
        match self.open.last_mut() {
            None => return Some(value),
            Some(Open::List(items)) => items.push(value),
            Some(Open::Object { members, key, .. }) => members.extend(key.take().map(|key| (key, value))),
        }
        let step = self.pointer.rfind('/').unwrap_or_default();
        self.pointer.truncate(step);
        None
    }
}

fn refuse_extras(anchor: usize, is_tagged: bool) -> Result<(), YamlFault> {
    match (anchor, is_tagged) {
        (0, false) => Ok(()),
        (0, true) => Err(YamlFault::Tag),
        _ => Err(YamlFault::Anchor),
    }
}

fn key_of(text: &str, style: ScalarStyle) -> Result<String, YamlFault> {
    match scalar(text, style) {
        Ok(Json::Text(name)) => Ok(name),
        Err(YamlFault::Nul) => Err(YamlFault::Nul),
        _ => Err(YamlFault::Key),
    }
}

/// A scalar by the core schema of YAML 1.2 (section 10.3.2).
fn scalar(text: &str, style: ScalarStyle) -> Result<Json, YamlFault> {
    if style == ScalarStyle::Plain {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Ok(Json::Null),
            "true" | "True" | "TRUE" => return Ok(Json::Bool(true)),
            "false" | "False" | "FALSE" => return Ok(Json::Bool(false)),
            number if is_number(number) => {
                let read = number.parse::<Decimal>().map(Json::Number);
                return read.map_err(|source| YamlFault::Number { text: shown(number), source });
            }
            _ => {}
        }
    }
    // PostgreSQL can't store it, and nobody means it.
    if text.contains('\0') { Err(YamlFault::Nul) } else { Ok(Json::text(text)) }
}

/// True if the core schema takes it for a number, also in a form that we don't.
fn is_number(text: &str) -> bool {
    let all = |digits: &str, is_digit: fn(&u8) -> bool| !digits.is_empty() && digits.as_bytes().iter().all(is_digit);
    let special = |text: &str| matches!(text, ".inf" | ".Inf" | ".INF");
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if special(unsigned) || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return all(digits, u8::is_ascii_hexdigit);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return all(digits, |b| matches!(b, b'0'..=b'7'));
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    all(&digits, u8::is_ascii_digit) && exponent.is_none_or(|exponent| all(exponent, u8::is_ascii_digit))
}

fn refuse_controls(text: &str) -> Result<(), YamlError> {
    let is_refused = |c: char| c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r');
    let Some((before, rest)) = text.find(is_refused).and_then(|at| text.split_at_checked(at)) else {
        return Ok(());
    };
    let line = before.rsplit('\n').next().unwrap_or_default();
    let mark = Mark { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 };
    Err(YamlError { mark, fault: YamlFault::Control(rest.chars().next().unwrap_or_default()) })
}

/// The parser's message; most that it has about tabs are put in our words.
fn syntax(text: &str, error: &ScanError) -> YamlError {
    let mark = Mark { line: error.marker().line(), column: error.marker().col() + 1 };
    // It complains of a tab where it was before it came to the line that the tab indents.
    let reach = if error.info().contains("tab") { usize::MAX } else { 1 };
    let mut lines = text.lines().enumerate().skip(mark.line.saturating_sub(1)).take(reach);
    if let Some((line, column)) = lines.find_map(|(at, line)| Some((at + 1, tab_in_indent(line)?))) {
        return YamlError { mark: Mark { line, column }, fault: YamlFault::Tab };
    }
    // An alias of nothing is an error of the parser's: it is no better with something to point at.
    if error.info().contains("anchor") {
        return YamlError { mark, fault: YamlFault::Anchor };
    }
    // The parser looks ahead, and has a limit of its own to how deep.
    if error.info().contains("recursion") {
        return YamlError { mark, fault: YamlFault::TooDeep };
    }
    YamlError { mark, fault: YamlFault::Syntax(shown(error.info())) }
}

/// The column of a tab before the first thing on a line.
fn tab_in_indent(line: &str) -> Option<usize> {
    let indent = line.split(|c: char| c != ' ' && c != '\t').next()?;
    indent.find('\t').map(|at| at + 1)
}

/// The part that is sent back of a text that may be as long as the file.
fn shown(text: &str) -> String {
    const MOST: usize = 120;
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
