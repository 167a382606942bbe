//! The person that a body is about: a handle, or whom a boarding pass names; and the pass itself.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::read_subject;
use crate::access::Merchant;
use crate::decision::facts::Context;
use crate::foundation::boarding_pass::{AIRPORT_FORM, BoardingPass, MOST_AIRPORTS, airport};
use crate::foundation::document::{FieldErrors, Node};
use crate::foundation::field_error::FieldError;
use crate::foundation::json::Json;
use crate::foundation::subject::SubjectHandle;
use crate::keyring::Keyring;
use crate::web::problem::Problem;

/// The person, as a body names them. It hides what it holds.
pub enum VisitorBody {
    Handle(String),
    /// By the boarding pass that is sent with it.
    BoardingPass,
}

/// The text of a boarding pass. It names a person, so its `Debug` hides it.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct PassBody(String);

/// The person that a body is about.
#[derive(ToSchema)]
#[schema(as = Visitor)]
#[serde(untagged)]
pub enum VisitorView {
    /// `network:handle`, or a member number. Case, width, surrounding white space and what shows nothing don't matter;
    /// white space inside, and what nobody can read off a screen, is refused.
    #[schema(example = "twitter:ada")]
    Handle(String),
    Named(VisitorSource),
}

/// Where the person is named.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = VisitorSource)]
pub struct VisitorSource {
    #[expect(dead_code, reason = "there is one value")]
    from: VisitorSourceKind,
}

/// `boarding_pass`: by airline and frequent flyer number (`ff:cx-1234567`), or, on a pass without one, by the pass itself.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = VisitorSourceKind)]
pub enum VisitorSourceKind {
    BoardingPass,
}

impl<'de> Deserialize<'de> for VisitorBody {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = VisitorBody;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or {\"from\":\"boarding_pass\"}")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<VisitorBody, E> {
                Ok(VisitorBody::Handle(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<VisitorBody, A::Error> {
                VisitorSource::deserialize(MapAccessDeserializer::new(members)).map(|_| VisitorBody::BoardingPass)
            }
        }
        from.deserialize_any(Read)
    }
}

impl fmt::Debug for VisitorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VisitorBody(…)")
    }
}

impl fmt::Debug for PassBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PassBody(…)")
    }
}

impl VisitorBody {
    /// The person, as the merchant knows them.
    pub fn read(
        &self,
        keyring: &Keyring,
        merchant: &Merchant,
        pass: Option<&BoardingPass>,
    ) -> Result<SubjectHandle, Problem> {
        match (self, pass) {
            (Self::Handle(text), _) => read_subject(text),
            (Self::BoardingPass, Some(pass)) => Ok(keyring.visitor(&merchant.id, pass)),
            (Self::BoardingPass, None) => {
                let detail = "the person is to be named by the boarding pass, and there is none: send it";
                Err(Problem::invalid(vec![FieldError::at("/boarding_pass", "missing_field", detail)]))
            }
        }
    }
}

/// The person whom a search is about: by handle, or by their boarding pass.
pub fn read_person(
    subject: &VisitorBody,
    pass: Option<PassBody>,
    keyring: &Keyring,
    merchant: &Merchant,
) -> Result<SubjectHandle, Problem> {
    let pass = read_pass(pass)?;
    if matches!(subject, VisitorBody::Handle(_)) && pass.is_some() {
        let detail =
            "the person is named by `subject` already: name them by {\"from\":\"boarding_pass\"}, or leave this out";
        return Err(Problem::invalid(vec![FieldError::at("/boarding_pass", "not_both", detail)]));
    }
    subject.read(keyring, merchant, pass.as_ref())
}

/// The boarding pass of a body. What is wrong with it is said by position and field; nothing of it is repeated.
pub fn read_pass(pass: Option<PassBody>) -> Result<Option<BoardingPass>, Problem> {
    let Some(PassBody(text)) = pass else { return Ok(None) };
    let read = text.parse::<BoardingPass>().map_err(|error| {
        Problem::invalid(vec![FieldError::at("/boarding_pass", "bad_boarding_pass", error.to_string())])
    });
    read.map(Some)
}

/// The people who come together, beside the context.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Party, example = json!({"adults": 2, "children": [1, 7]}))]
#[expect(dead_code, reason = "describes what `Party` reads")]
pub struct PartyView {
    /// Number of adults, of whom the person is one.
    #[schema(minimum = 1, maximum = 100)]
    adults: u32,
    /// The ages of the children, 0 to 17 years; at most 100 people with the adults. What is kept of an age is which of
    /// the rule's bounds it reaches.
    #[schema(value_type = Option<Vec<Age>>, max_items = 99)]
    children: Option<Vec<u32>>,
}

/// The age of a child, in years.
#[derive(ToSchema)]
#[schema(minimum = 0, maximum = 17)]
#[expect(dead_code, reason = "describes what `Party` reads")]
pub struct Age(u32);

/// The context for the party that a body says beside it.
pub fn with_party(context: Context, party: Option<&Json>) -> Result<Context, Problem> {
    let Some(party) = party else { return Ok(context) };
    let mut errors = FieldErrors::default();
    let read = context.with_party_read(&Node::root(party), &mut errors);
    errors.unless_any(read).map_err(|errors| Problem::of_fields("/party", errors))
}

/// The airports of the key that would ask.
pub fn read_airports(codes: &[String]) -> Result<Vec<String>, Problem> {
    let refused = |pointer: String, code, detail: String| Problem::invalid(vec![FieldError::at(pointer, code, detail)]);
    if codes.len() > MOST_AIRPORTS {
        return Err(refused("/airports".into(), "too_many", format!("a key has at most {MOST_AIRPORTS} airports")));
    }
    let read = |(nth, code): (usize, &String)| {
        airport(code).ok_or_else(|| refused(format!("/airports/{nth}"), "invalid_value", AIRPORT_FORM.into()))
    };
    codes.iter().enumerate().map(read).collect()
}
