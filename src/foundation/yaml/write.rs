//! Writes [`Json`] as YAML that a person likes to read and any reader of YAML 1.1 or 1.2 takes alike.

use std::fmt::Write as _;

use crate::foundation::json::Json;

/// The widest that a line of a short list or object may be.
const WIDTH: usize = 100;

/// The document as YAML: members in the order they have, one a line; small lists and objects of plain
/// values on one line. [`read`](super::read) gives the same [`Json`] back.
#[must_use]
pub fn write(json: &Json) -> String {
    let mut out = String::new();
    match json {
        Json::Object(members) if !members.is_empty() => write_members(members, 0, &mut out),
        Json::List(items) if !items.is_empty() => write_items(items, 0, &mut out),
        other => {
            flow(other, &mut out);
            out.push('\n');
        }
    }
    out
}

/// Members, one a line. The first begins where the line stands; the others are indented.
fn write_members(members: &[(String, Json)], indent: usize, out: &mut String) {
    for (at, (name, value)) in members.iter().enumerate() {
        if at > 0 {
            spaces(indent, out);
        }
        // A long key must say that it is one: readers look 1024 characters ahead for its colon.
        let key = written(name);
        if key.len() > 512 {
            let _ = write!(out, "? {key}\n{:indent$}:", "");
        } else {
            let _ = write!(out, "{key}:");
        }
        write_value(value, indent, out);
    }
}

/// Items, one a line each, after their dash.
fn write_items(items: &[Json], indent: usize, out: &mut String) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            spaces(indent, out);
        }
        out.push('-');
        match item {
            // Straight after the dash, its members below one another.
            Json::Object(members) if !is_short(item, indent + 2) => {
                out.push(' ');
                write_members(members, indent + 2, out);
            }
            Json::List(inner) if !is_short(item, indent + 2) => {
                out.push(' ');
                write_items(inner, indent + 2, out);
            }
            short => write_value(short, indent, out),
        }
    }
}

/// Writes what follows a name and its colon, or a dash, to the end of the line and below it.
fn write_value(value: &Json, indent: usize, out: &mut String) {
    match value {
        Json::Object(members) if !is_short(value, indent + 12) => {
            out.push('\n');
            spaces(indent + 2, out);
            write_members(members, indent + 2, out);
        }
        Json::List(items) if !is_short(value, indent + 12) => {
            out.push('\n');
            spaces(indent + 2, out);
            write_items(items, indent + 2, out);
        }
        short => {
            out.push(' ');
            flow(short, out);
            out.push('\n');
        }
    }
}

/// True if it is written on one line: an empty one, or one that fits and holds no objects and no
/// lists of lists.
fn is_short(value: &Json, indent: usize) -> bool {
    let is_plain = |value: &Json| !matches!(value, Json::List(_) | Json::Object(_));
    let is_flat = match value {
        Json::List(items) => items.iter().all(is_plain),
        Json::Object(members) => members.iter().all(|(_, member)| match member {
            Json::List(items) => items.iter().all(is_plain),
            Json::Object(members) => members.is_empty(),
            _ => true,
        }),
        _ => return true,
    };
    if !is_flat {
        return false;
    }
    let mut out = String::new();
    flow(value, &mut out);
    indent + out.chars().count() <= WIDTH
}

fn flow(value: &Json, out: &mut String) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(value) => {
            let _ = write!(out, "{value}");
        }
        Json::Number(number) => {
            let _ = write!(out, "{number}");
        }
        Json::Text(text) => out.push_str(&written(text)),
        Json::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                flow(item, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            for (at, (name, member)) in members.iter().enumerate() {
                let _ = write!(out, "{}{}: ", if at > 0 { ", " } else { "" }, written(name));
                flow(member, out);
            }
            out.push('}');
        }
    }
}

fn spaces(count: usize, out: &mut String) {
    let _ = write!(out, "{:count$}", "");
}

/// Text as it is where no reader can take it for something else, in double quotes elsewhere.
fn written(text: &str) -> String {
    if is_plain_text(text) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            // Line breaks of YAML 1.1, and what isn't printable in either.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Letters first, then letters, digits and a few harmless signs; none of the words of YAML 1.1.
fn is_plain_text(text: &str) -> bool {
    let words = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let is_harmless = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.' | '/' | '(' | ')' | '\'');
    text.starts_with(char::is_alphabetic)
        && !text.ends_with(' ')
        && text.chars().all(is_harmless)
        && !words.contains(&text.to_lowercase().as_str())
}
