//! The envelope of an event, written and read back.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::VERSION;
use super::canonical::{CanonicalValue, Members, Nullable, Text, facts};
use crate::foundation::ids::{EventId, MerchantId};
use crate::foundation::json::Json;
use crate::ledger::entry::Actor;

/// An event before it is written.
pub struct Event<'a> {
    pub id: &'a EventId,
    pub kind: &'a str,
    pub at: Timestamp,
    pub merchant: Option<&'a MerchantId>,
    pub actor: &'a Actor,
    pub about: &'a str,
    pub facts: &'a dyn CanonicalValue,
    pub sealed: Option<&'a [u8]>,
}

impl Event<'_> {
    /// The canonical bytes.
    pub fn to_body(&self) -> String {
        let actor = RecordedActor {
            key: Nullable::text(self.actor.key.as_ref().map(AsRef::as_ref)),
            role: self.actor.role.into(),
        };
        let merchant = Nullable::text(self.merchant.map(MerchantId::as_str));
        let envelope =
            Envelope { id: self.id.as_str(), kind: self.kind, at: self.at, merchant, actor, about: self.about };
        envelope.to_body(self.facts, self.sealed)
    }
}

/// All of an event but its facts and what is sealed.
struct Envelope<'a> {
    about: &'a str,
    actor: RecordedActor<'a>,
    at: Timestamp,
    id: &'a str,
    kind: &'a str,
    merchant: Nullable<Text<'a>>,
}

impl Envelope<'_> {
    fn to_body(&self, facts: &dyn CanonicalValue, sealed: Option<&[u8]>) -> String {
        let mut body = String::with_capacity(1024);
        let mut members = Members::begin(&mut body);
        members.put("about", &Text::Borrowed(self.about));
        members.put("actor", &self.actor);
        members.put("at", &self.at);
        members.put("facts", facts);
        members.put("id", &Text::Borrowed(self.id));
        members.put("kind", &Text::Borrowed(self.kind));
        members.put("merchant", &self.merchant);
        if let Some(sealed) = sealed {
            members.put("sealed", &Base64(sealed));
        }
        members.put("v", &VERSION);
        members.end();
        debug_assert_eq!(Json::parse(&body).map(|json| json.canonical()).as_ref(), Ok(&body));
        body
    }
}

/// Bytes as their base64, none of whose characters is escaped.
struct Base64<'a>(&'a [u8]);

impl CanonicalValue for Base64<'_> {
    fn write(&self, out: &mut String) {
        out.push('"');
        STANDARD.encode_string(self.0, out);
        out.push('"');
    }
}

facts! {
    /// The one who did it, as an event names them.
    pub struct RecordedActor<'a> {
        key: Nullable<Text<'a>>,
        role: Text<'a>,
    }
}

/// An event that was read back, with the facts of its kind.
#[derive(Debug, Clone)]
pub struct StoredEvent<F = Json> {
    pub id: String,
    pub kind: String,
    pub at: Timestamp,
    pub merchant: Option<String>,
    pub about: String,
    pub facts: F,
    pub actor: RecordedActor<'static>,
    pub sealed: Option<Vec<u8>>,
}

/// Why a stored body is no event of this version; it names the event, where that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    #[error("{event} is of version {version}, and this build reads {VERSION}")]
    Version { event: String, version: i64 },
    #[error("{event}: {detail}")]
    Form { event: String, detail: String },
}

/// The body as it is stored.
#[derive(Deserialize)]
struct Body<F> {
    about: String,
    actor: RecordedActor<'static>,
    at: Timestamp,
    facts: F,
    id: String,
    kind: String,
    merchant: Nullable<String>,
    sealed: Option<String>,
    v: i64,
}

/// The name of an event, as far as it can be read.
#[derive(Default, Deserialize)]
struct Named {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    v: Option<i64>,
}

impl Named {
    fn of(body: &str) -> Self {
        serde_json::from_str(body).unwrap_or_default()
    }

    fn event(&self) -> String {
        format!("{} {}", self.kind.as_deref().unwrap_or("event"), self.id.as_deref().unwrap_or("without an id"))
    }

    fn error(&self, detail: &dyn fmt::Display) -> EventError {
        match self.v {
            Some(version) if version != VERSION => EventError::Version { event: self.event(), version },
            _ => EventError::Form { event: self.event(), detail: detail.to_string() },
        }
    }
}

impl<F: DeserializeOwned> StoredEvent<F> {
    /// Reads a body in any shape that a build has written.
    ///
    /// # Errors
    /// [`EventError`].
    pub fn from_body(body: &str) -> Result<Self, EventError> {
        let read: Body<F> = serde_json::from_str(body).map_err(|error| Named::of(body).error(&error))?;
        if read.v != VERSION {
            return Err(Named::of(body).error(&"v"));
        }
        let sealed = read.sealed.map(|text| STANDARD.decode(text)).transpose();
        Ok(Self {
            sealed: sealed.map_err(|error| Named::of(body).error(&format_args!("sealed: {error}")))?,
            id: read.id,
            kind: read.kind,
            at: read.at,
            merchant: read.merchant.0,
            about: read.about,
            facts: read.facts,
            actor: read.actor,
        })
    }
}

impl<F: CanonicalValue> StoredEvent<F> {
    /// The canonical bytes, which are those that it was read from.
    pub fn to_body(&self) -> String {
        let envelope = Envelope {
            about: &self.about,
            actor: self.actor.clone(),
            at: self.at,
            id: &self.id,
            kind: &self.kind,
            merchant: Nullable::text(self.merchant.as_deref()),
        };
        envelope.to_body(&self.facts, self.sealed.as_deref())
    }
}

impl StoredEvent {
    /// Reads a body of any kind.
    ///
    /// # Errors
    /// [`EventError`].
    pub fn parse(body: &str) -> Result<Self, EventError> {
        Self::from_body(body)
    }
}

/// The facts of an event in their canonical bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenFacts(String);

impl WrittenFacts {
    /// Writes the facts.
    pub fn of(facts: &impl CanonicalValue) -> Self {
        let mut text = String::new();
        facts.write(&mut text);
        Self(text)
    }

    /// The canonical bytes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The canonical bytes.
    pub fn into_text(self) -> String {
        self.0
    }
}

impl CanonicalValue for WrittenFacts {
    fn write(&self, out: &mut String) {
        out.push_str(&self.0);
    }
}
