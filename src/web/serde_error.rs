//! The errors of serde, in the words of those who write the JSON.

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
        let mut detail = of_clients(message);
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
