//! Attributes: what conditions can look at, and which values each can have.

use serde::{Deserialize, Serialize};

use crate::foundation::document::{FieldErrors, Node};

/// The attribute that a leaf looks at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attribute {
    /// The subject's score.
    Score,
    /// The time since the score was observed; numbers compared with it are seconds.
    ScoreAge,
    /// The network of the subject's handle: `twitter` of `twitter:ada`.
    Network,
    /// A statement of the caller about the visit, by its name.
    Context(String),
}

/// The context attribute that is always there: how many people the check is for.
pub const PARTY: &str = "party";

/// Which values an attribute can have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttributeKind {
    Number,
    Duration,
    Text,
    Any,
}

/// The type of a value, as reasons name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueType {
    Text,
    Number,
    Boolean,
    List,
    /// Either of both: `contains` looks into a text and into a list.
    TextOrList,
    /// A text that is an instant with its offset.
    Instant,
}

impl ValueType {
    /// Tells whether a value of the type `given` can be tested where this one is wanted.
    #[must_use]
    pub fn admits(self, given: Self) -> bool {
        self == given || (self == Self::TextOrList && matches!(given, Self::Text | Self::List))
    }

    /// The type in a sentence: `must be …`, `is …`.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::List => "a list",
            Self::TextOrList => "text or a list",
            Self::Instant => "an instant with its offset",
        }
    }
}

impl Attribute {
    /// As rules and reasons write it: `score`, `context.terminal`.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Score => "score".into(),
            Self::ScoreAge => "score.age".into(),
            Self::Network => "subject.network".into(),
            Self::Context(name) => format!("context.{name}"),
        }
    }

    pub(crate) fn kind(&self) -> AttributeKind {
        match self {
            Self::Score => AttributeKind::Number,
            Self::ScoreAge => AttributeKind::Duration,
            Self::Network => AttributeKind::Text,
            Self::Context(name) if name == PARTY => AttributeKind::Number,
            Self::Context(_) => AttributeKind::Any,
        }
    }

    /// Tells whether it can name an instant at all.
    pub(crate) fn can_be_instant(&self) -> bool {
        matches!(self, Self::Context(name) if name != PARTY)
    }

    pub(crate) fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        match node.text(errors)? {
            "score" => Some(Self::Score),
            "score.age" => Some(Self::ScoreAge),
            "subject.network" => Some(Self::Network),
            other => match other.strip_prefix("context.").filter(|name| is_context_name(name)) {
                Some(name) => Some(Self::Context(name.to_owned())),
                None => node.refuse(
                    errors,
                    "unknown_attribute",
                    "use score, score.age, subject.network, or context. and a name of up to 32 of a-z, 0-9 and _",
                ),
            },
        }
    }
}

/// [`is_context_name`] behind `context.`, as a regular expression of JSON Schema.
pub(crate) const CONTEXT_PATTERN: &str = r"^context\.[a-z][a-z0-9_]{0,31}$";

/// Tells whether `name` can name a context attribute: a letter, then up to 31 of `a-z 0-9 _`.
#[must_use]
pub fn is_context_name(name: &str) -> bool {
    name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}
