//! Errors of serde as problems say them: by a stable code, and without what was sent.

use crate::foundation::nearest::nearest;

/// An error of serde, read from its message, with a stable code.
pub(crate) struct SerdeError {
    pub code: &'static str,
    /// The member it is about, where only the message knows.
    pub field: Option<String>,
    pub detail: String,
}

impl SerdeError {
    pub(crate) fn of(message: &str) -> Self {
        let named = || message.split('`').nth(1).map(str::to_owned);
        let (code, field) = match message {
            text if text.starts_with("unknown field") => ("unknown_field", named()),
            text if text.starts_with("missing field") => ("missing_field", named()),
            text if text.starts_with("duplicate field") => ("duplicate_field", named()),
            text if text.starts_with("unknown variant") => ("unknown_value", None),
            text if text.starts_with("invalid type") => ("wrong_type", None),
            _ => ("invalid_value", None),
        };
        let mut detail = without_text(&of_clients(message));
        if detail != of_clients(message) {
            return Self { code, field: None, detail };
        }
        // The name that was met, and then those that are known.
        let mut quoted = message.split('`').skip(1).step_by(2);
        if code == "unknown_field"
            && let Some(meant) = quoted.next().and_then(|name| nearest(name, quoted))
        {
            detail = format!("{detail}: did you mean `{meant}`?");
        }
        Self { code, field, detail }
    }
}

/// The message without the names of this program's own types.
fn of_clients(message: &str) -> String {
    const INTEGERS: [&str; 8] = ["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"];
    let Some((before, expected)) = message.rsplit_once("expected ") else { return message.to_owned() };
    if INTEGERS.contains(&expected) { format!("{before}expected a whole number") } else { message.to_owned() }
}

/// Tells whether a name is no field's or word's: it is long, or has white space within.
pub(super) fn is_text(name: &str) -> bool {
    name.len() > 40 || name.contains(char::is_whitespace)
}

/// The message without a text that was sent: it may name a person, wherever it was put by mistake. A name that could
/// be a field's or a word's is left in, so that a slip shows.
fn without_text(message: &str) -> String {
    for kind in ["invalid type: string", "invalid value: string"] {
        if let Some(rest) = message.strip_prefix(kind).filter(|rest| rest.starts_with(" \"")) {
            let expected = rest.rfind("\", expected ").and_then(|at| rest.get(at + 1..)).unwrap_or_default();
            return format!("{kind}{expected}");
        }
    }
    // A number in the place of a text may name someone too, or be a card's.
    for kind in ["invalid type: integer", "invalid type: floating point"] {
        if let Some((_, expected)) = message.strip_prefix(kind).and_then(|rest| rest.split_once("`, expected ")) {
            return format!("{kind}, expected {expected}");
        }
    }
    for kind in ["unknown field", "unknown variant"] {
        if let Some(rest) = message.strip_prefix(kind).and_then(|rest| rest.strip_prefix(" `")) {
            let (name, expected) = rest.split_once("`, expected ").unwrap_or((rest, "nothing"));
            if is_text(name) {
                return format!("{kind}, expected {expected}");
            }
        }
    }
    message.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_was_sent_is_not_repeated_and_a_slip_is() {
        for (message, code, field, detail) in [
            (
                "invalid type: string \"ada\", expected a boolean",
                "wrong_type",
                None,
                "invalid type: string, expected a boolean",
            ),
            (
                "invalid value: string \"a\\\", expected b\", expected a time",
                "invalid_value",
                None,
                "invalid value: string, expected a time",
            ),
            (
                "invalid type: integer `4111111111111111`, expected a string",
                "wrong_type",
                None,
                "invalid type: integer, expected a string",
            ),
            (
                "invalid type: floating point `4.111111111111111e18`, expected a string",
                "wrong_type",
                None,
                "invalid type: floating point, expected a string",
            ),
            (
                "unknown field `contxt`, expected `context` or `perk`",
                "unknown_field",
                Some("contxt"),
                "unknown field `contxt`, expected `context` or `perk`: did you mean `context`?",
            ),
            ("unknown field `ADA LOVELACE`, expected `perk`", "unknown_field", None, "unknown field, expected `perk`"),
            (
                "unknown variant `M1ADA`LOVELACE  E`, expected `a`",
                "unknown_value",
                None,
                "unknown variant, expected `a`",
            ),
        ] {
            let error = SerdeError::of(message);
            assert_eq!((error.code, error.field.as_deref(), &*error.detail), (code, field, detail), "{message}");
        }
    }
}
