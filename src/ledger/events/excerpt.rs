//! The members that are looked for in events of any kind, read without the rest.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::canonical::Text;
use crate::decision::decide::Decision;
use crate::foundation::json::Json;

/// A body of which only these facts are read.
#[derive(Debug, Deserialize)]
pub(crate) struct Excerpt<'a> {
    #[serde(borrow)]
    pub actor: ActorNamed<'a>,
    #[serde(borrow)]
    pub facts: FactsNamed<'a>,
}

/// The key that did it.
#[derive(Debug, Deserialize)]
pub(crate) struct ActorNamed<'a> {
    #[serde(borrow)]
    pub key: Option<Cow<'a, str>>,
}

/// Facts that several kinds have; none where a kind has them not.
#[derive(Debug, Deserialize)]
pub(crate) struct FactsNamed<'a> {
    #[serde(borrow)]
    pub perk: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub perk_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub tier: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub decision: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub kiosk: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub location: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub subject: Option<Cow<'a, str>>,
    pub rule_version: Option<i64>,
    #[serde(borrow, default)]
    pub reasons: Vec<CodeNamed<'a>>,
    /// There where a guest goes on holding places.
    pub holds: Option<IgnoredAny>,
}

/// The code of a reason.
#[derive(Debug, Deserialize)]
pub(crate) struct CodeNamed<'a> {
    #[serde(borrow)]
    pub code: Text<'a>,
}

impl<'a> Excerpt<'a> {
    /// Reads the excerpt of a body.
    ///
    /// # Errors
    /// The parser's.
    pub(crate) fn of(body: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(body)
    }
}

/// The value of a member that stands once in a body which can't be read: none where it doesn't, or has no end. Quotes
/// inside of strings are escaped, so nothing that callers wrote looks like a member.
pub(crate) fn member_of_unreadable<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let opening = format!("\"{name}\":\"");
    let (_, rest) = body.split_once(&opening)?;
    let (value, rest) = rest.split_once('"')?;
    (!rest.contains(&opening)).then_some(value)
}

impl FactsNamed<'_> {
    /// True for a check that was granted, and for a case that ended so.
    pub(crate) fn is_granted(&self) -> bool {
        self.decision.as_deref() == Some(Decision::Granted.as_str())
    }

    /// True where one of the reasons is of this code.
    pub(crate) fn gives(&self, code: &str) -> bool {
        self.reasons.iter().any(|reason| reason.code == code)
    }
}

/// The parts of a body that are shown, whatever is in them.
#[derive(Deserialize)]
pub(crate) struct ActorAndFacts {
    pub actor: Json,
    pub facts: Json,
}

impl ActorAndFacts {
    /// Reads them.
    ///
    /// # Errors
    /// The parser's.
    pub(crate) fn of(body: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(body)
    }
}

#[cfg(test)]
mod tests {
    use super::member_of_unreadable;

    #[test]
    fn a_member_of_an_unreadable_body_is_known_where_it_stands_once() {
        let perk = |body| member_of_unreadable(body, "perk");
        assert_eq!(perk(r#"x{"facts":{"perk":"spa","perk_id":"prk_1"}}"#), Some("spa"));
        assert_eq!(perk(r#"{"facts":{"perk":"spa","ti"#), Some("spa"), "the end is lost");
        assert_eq!(perk(r#"{"facts":{"perk":"sp"#), None, "its own end is lost");
        assert_eq!(perk(r#"{"perk":"spa"}{"perk":"lounge"}"#), None, "it stands twice");
        assert_eq!(perk(r#"{"facts":{"kiosk":"\"perk\":\"spa\"""#), None, "a caller wrote it");
        assert_eq!(perk("?"), None);
    }
}
