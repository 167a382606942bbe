//! Reads a [`Json`] document field by field and keeps every error, each with its JSON pointer.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use super::decimal::Decimal;
use super::field_error::FieldError;
use super::json::{Json, push_pointer};
use super::nearest::nearest;
use super::unicode::find_invisible;

/// The longest text a rule or a context may hold, in bytes.
pub const MAX_TEXT_BYTES: usize = 256;
/// Errors beyond these are dropped: a body made of nonsense must not come back larger.
const MAX_ERRORS: usize = 50;

/// The errors gathered so far, their pointers relative to the document that is read.
#[derive(Debug, Default)]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// Tells whether nothing is wrong so far.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes one.
    pub fn add(&mut self, pointer: &str, code: &'static str, detail: impl Into<String>) {
        self.push(FieldError::at(pointer, code, detail));
    }

    /// Adds one that was found elsewhere.
    pub fn push(&mut self, error: FieldError) {
        if self.0.len() < MAX_ERRORS {
            self.0.push(error);
        }
    }

    /// The value that was read, if nothing was wrong with it. Reading nothing without saying why is a bug
    /// of the reader, and is refused all the same.
    ///
    /// # Errors
    /// Every [`FieldError`].
    pub fn unless_any<T>(mut self, read: Option<T>) -> Result<T, Vec<FieldError>> {
        match read {
            Some(read) if self.0.is_empty() => Ok(read),
            _ => {
                if self.0.is_empty() {
                    self.add("", "bad_form", "this can't be read");
                }
                Err(self.0)
            }
        }
    }
}

/// A value of a document, and the pointer to it.
#[derive(Debug, Clone)]
pub struct Node<'a> {
    json: &'a Json,
    pointer: String,
    is_stored: bool,
}

/// The members of an object, all of them known by name.
#[derive(Debug)]
pub struct Fields<'a> {
    members: &'a [(String, Json)],
    pointer: String,
    is_stored: bool,
}

impl<'a> Node<'a> {
    /// The whole document.
    pub fn root(json: &'a Json) -> Self {
        Self { json, pointer: String::new(), is_stored: false }
    }

    /// The whole of a document that was taken by this build or an earlier one: which characters its texts
    /// may have was judged then.
    pub fn stored(json: &'a Json) -> Self {
        Self { is_stored: true, ..Self::root(json) }
    }

    /// True if it was taken before.
    pub const fn is_stored(&self) -> bool {
        self.is_stored
    }

    fn below(&self, json: &'a Json, name: &str) -> Self {
        Self { json, pointer: below(&self.pointer, name), is_stored: self.is_stored }
    }

    /// The value.
    pub fn json(&self) -> &'a Json {
        self.json
    }

    /// The pointer to it.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// The member `name` of an object, without judging its siblings.
    pub fn member(&self, name: &str) -> Option<Node<'a>> {
        self.json.member(name).map(|json| self.below(json, name))
    }

    /// Adds an error about this value.
    pub fn refuse<T>(&self, errors: &mut FieldErrors, code: &'static str, detail: impl Into<String>) -> Option<T> {
        errors.add(&self.pointer, code, detail);
        None
    }

    fn wrong_type<T>(&self, wanted: &str, errors: &mut FieldErrors) -> Option<T> {
        self.refuse(errors, "wrong_type", format!("this must be {wanted}, and is {}", self.json.kind()))
    }

    /// An object's members as they stand, without a list of known names.
    pub fn members(&self, errors: &mut FieldErrors) -> Option<&'a [(String, Json)]> {
        match self.json {
            Json::Object(members) => Some(members),
            _ => self.wrong_type("an object", errors),
        }
    }

    /// An object, with an error for each member that isn't one of `known`.
    pub fn fields(&self, known: &[&str], errors: &mut FieldErrors) -> Option<Fields<'a>> {
        let members = self.members(errors)?;
        for (name, _) in members.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            // A name that is long or not what it looks like isn't sent back.
            let shown = name.len() <= 64 && find_invisible(name).is_none() && !name.contains(char::is_whitespace);
            if shown {
                let mut detail = format!("there is no field `{name}` here; it has {}", known.join(", "));
                if let Some(meant) = nearest(name, known.iter().copied()) {
                    let _ = write!(detail, ": did you mean `{meant}`?");
                }
                errors.add(&below(&self.pointer, name), "unknown_field", detail);
            } else {
                let detail = format!("there is a field here that it doesn't have; it has {}", known.join(", "));
                errors.add(&self.pointer, "unknown_field", detail);
            }
        }
        Some(Fields { members, pointer: self.pointer.clone(), is_stored: self.is_stored })
    }

    /// A list of so many items.
    pub fn list(&self, size: RangeInclusive<usize>, errors: &mut FieldErrors) -> Option<Vec<Node<'a>>> {
        let Json::List(items) = self.json else {
            return self.wrong_type("a list", errors);
        };
        if items.len() < *size.start() {
            return self.refuse(errors, "empty", format!("this list needs at least {}", size.start()));
        }
        if items.len() > *size.end() {
            return self.refuse(errors, "too_many", format!("this list holds at most {}", size.end()));
        }
        let node = |(at, json): (usize, &'a Json)| self.below(json, &at.to_string());
        Some(items.iter().enumerate().map(node).collect())
    }

    /// Text of at most [`MAX_TEXT_BYTES`], none of it invisible or deceptive; it may be empty.
    pub fn text(&self, errors: &mut FieldErrors) -> Option<&'a str> {
        let Json::Text(text) = self.json else {
            return self.wrong_type("text", errors);
        };
        if text.len() > MAX_TEXT_BYTES {
            return self.refuse(errors, "too_long", format!("use at most {MAX_TEXT_BYTES} bytes"));
        }
        if let Some((at, c)) = find_invisible(text).filter(|_| !self.is_stored) {
            let what = "leave out control, direction and invisible characters: its character";
            return self.refuse(errors, "bad_form", format!("{what} {at} is U+{:04X}", u32::from(c)));
        }
        Some(text)
    }

    /// A number, exact to three decimals.
    pub fn number(&self, errors: &mut FieldErrors) -> Option<Decimal> {
        match self.json {
            Json::Number(number) => Some(*number),
            _ => self.wrong_type("a number", errors),
        }
    }

    /// A whole number in `range`.
    pub fn whole(&self, range: RangeInclusive<i64>, errors: &mut FieldErrors) -> Option<i64> {
        let thousandths = self.number(errors)?.thousandths();
        if thousandths % 1000 != 0 || !range.contains(&(thousandths / 1000)) {
            let detail = format!("use a whole number from {} to {}", range.start(), range.end());
            return self.refuse(errors, "out_of_range", detail);
        }
        Some(thousandths / 1000)
    }

    /// `true` or `false`.
    pub fn boolean(&self, errors: &mut FieldErrors) -> Option<bool> {
        match self.json {
            Json::Bool(value) => Some(*value),
            _ => self.wrong_type("true or false", errors),
        }
    }

    /// A short name of lower-case letters, digits and hyphens.
    pub fn slug(&self, errors: &mut FieldErrors) -> Option<&'a str> {
        let text = self.text(errors)?;
        if crate::foundation::ids::is_slug(text) {
            return Some(text);
        }
        self.refuse(errors, "bad_form", crate::foundation::ids::NameError::Slug.to_string())
    }
}

impl<'a> Fields<'a> {
    /// A member that may be left out; `null` is the same as leaving it out.
    pub fn optional(&self, name: &str) -> Option<Node<'a>> {
        let (_, json) = self.members.iter().find(|(key, value)| key == name && *value != Json::Null)?;
        Some(Node { json, pointer: below(&self.pointer, name), is_stored: self.is_stored })
    }

    /// A member that must be there.
    pub fn required(&self, name: &str, errors: &mut FieldErrors) -> Option<Node<'a>> {
        let node = self.optional(name);
        if node.is_none() {
            errors.add(&below(&self.pointer, name), "missing", format!("`{name}` is needed here"));
        }
        node
    }

    /// A member read by `read`, or `default` when it is left out; `None` when it is there and wrong.
    pub fn or<T>(&self, name: &str, default: T, read: impl FnOnce(Node<'a>) -> Option<T>) -> Option<T> {
        self.optional(name).map_or(Some(default), read)
    }
}

/// The pointer one step below.
pub fn below(pointer: &str, step: &str) -> String {
    let mut pointer = pointer.to_owned();
    push_pointer(&mut pointer, step);
    pointer
}

/// An object from its members, for writing the canonical form.
pub fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
    Json::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Text as [`Json`].
pub fn text(value: impl Into<String>) -> Json {
    Json::Text(value.into())
}
