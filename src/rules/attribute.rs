//! Attributes: what conditions can look at, and which values each can have.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::foundation::decimal::Decimal;
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
    /// A declared attribute of the person, by its name.
    Subject(String),
    /// A statement of the caller about the visit, by its name.
    Context(String),
    /// A field of the boarding pass that the visitor showed, of the leg that counts.
    BoardingPass(PassField),
    /// How full the place is, in percent.
    Occupancy,
}

/// A field of a boarding pass that conditions can look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PassField {
    Carrier,
    Flight,
    Date,
    DaysFromToday,
    From,
    To,
    Compartment,
    Seat,
    Sequence,
    Status,
    FrequentFlyerAirline,
    FrequentFlyer,
}

impl PassField {
    /// Every field.
    pub const ALL: [Self; 12] = [
        Self::Carrier,
        Self::Flight,
        Self::Date,
        Self::DaysFromToday,
        Self::From,
        Self::To,
        Self::Compartment,
        Self::Seat,
        Self::Sequence,
        Self::Status,
        Self::FrequentFlyerAirline,
        Self::FrequentFlyer,
    ];

    /// As rules write it; what a rule looked at is recorded under this name beside the context.
    #[must_use]
    pub const fn attribute(self) -> &'static str {
        match self {
            Self::Carrier => "boarding_pass.carrier",
            Self::Flight => "boarding_pass.flight",
            Self::Date => "boarding_pass.date",
            Self::DaysFromToday => "boarding_pass.days_from_today",
            Self::From => "boarding_pass.from",
            Self::To => "boarding_pass.to",
            Self::Compartment => "boarding_pass.compartment",
            Self::Seat => "boarding_pass.seat",
            Self::Sequence => "boarding_pass.sequence",
            Self::Status => "boarding_pass.status",
            Self::FrequentFlyerAirline => "boarding_pass.frequent_flyer_airline",
            Self::FrequentFlyer => "boarding_pass.frequent_flyer",
        }
    }

    /// The field whose attribute this is.
    #[must_use]
    pub fn named(attribute: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.attribute() == attribute)
    }

    /// True for the fields that hang on the day of the flight.
    #[must_use]
    pub const fn is_dated(self) -> bool {
        matches!(self, Self::Date | Self::DaysFromToday)
    }
}

/// The boarding pass as a whole: as limits count by it, and as reasons name one that isn't there.
pub const BOARDING_PASS: &str = "boarding_pass";

/// How full the place is, as rules write it; what a rule looked at is recorded under this name beside the context.
pub const OCCUPANCY: &str = "occupancy.percent";

/// How full a place is, as it is said in trials: in percent, and more than 100 where people were let in by hand.
///
/// # Errors
/// A sentence that says so about less than nothing.
pub fn percent_taken(percent: Decimal) -> Result<Decimal, &'static str> {
    if percent < Decimal::from_thousandths(0) {
        Err("write how full the place is in percent: 0 or more")
    } else {
        Ok(percent)
    }
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
            Self::Subject(name) => format!("{SUBJECT}{name}"),
            Self::Context(name) => format!("context.{name}"),
            Self::BoardingPass(field) => field.attribute().into(),
            Self::Occupancy => OCCUPANCY.into(),
        }
    }

    pub(crate) fn kind(&self) -> AttributeKind {
        match self {
            Self::Score | Self::Occupancy | Self::BoardingPass(PassField::DaysFromToday) => AttributeKind::Number,
            Self::ScoreAge => AttributeKind::Duration,
            Self::Network | Self::BoardingPass(_) => AttributeKind::Text,
            Self::Context(name) if name == PARTY => AttributeKind::Number,
            Self::Context(_) | Self::Subject(_) => AttributeKind::Any,
        }
    }

    /// The attribute of a member that is recorded of a check: its context, what its boarding pass said, and what was kept
    /// of the person.
    #[must_use]
    pub fn of_member(name: &str) -> Self {
        let of_subject = || name.strip_prefix(SUBJECT).map(|name| Self::Subject(name.to_owned()));
        let of_pass = || PassField::named(name).map(Self::BoardingPass);
        if name == OCCUPANCY {
            return Self::Occupancy;
        }
        of_pass().or_else(of_subject).unwrap_or_else(|| Self::Context(name.to_owned()))
    }

    /// The member that is recorded of a check when a rule looks at this; none for what stands elsewhere.
    #[must_use]
    pub fn member(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Score | Self::ScoreAge | Self::Network => None,
            Self::Subject(_) => Some(self.name().into()),
            Self::Context(name) => Some(name.into()),
            Self::BoardingPass(field) => Some(field.attribute().into()),
            Self::Occupancy => Some(OCCUPANCY.into()),
        }
    }

    /// The name of what is kept of the person, if it is that.
    #[must_use]
    pub const fn of_subject(&self) -> Option<&String> {
        match self {
            Self::Subject(name) => Some(name),
            Self::Score
            | Self::ScoreAge
            | Self::Network
            | Self::Context(_)
            | Self::BoardingPass(_)
            | Self::Occupancy => None,
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
            OCCUPANCY => Some(Self::Occupancy),
            other => match other.strip_prefix("context.").filter(|name| is_context_name(name)) {
                Some(name) => Some(Self::Context(name.to_owned())),
                None if other.strip_prefix(SUBJECT).is_some_and(is_context_name) => Some(Self::of_member(other)),
                None if other.starts_with("boarding_pass.") => PassField::named(other).map(Self::BoardingPass).or_else(|| {
                    let known = PassField::ALL.map(PassField::attribute).join(", ");
                    node.refuse(errors, "unknown_attribute", format!("of a boarding pass, use one of {known}"))
                }),
                None => node.refuse(
                    errors,
                    "unknown_attribute",
                    "use score, score.age, subject.network, occupancy.percent, boarding_pass. and a field of it, or subject. \
                     or context. and a name of up to 32 of a-z, 0-9 and _",
                ),
            },
        }
    }
}

/// The beginning of the name of what is kept of the person, and of the network of their handle.
pub const SUBJECT: &str = "subject.";

/// The name that stands for the network of the handle: nothing else can be declared under it.
pub const NETWORK: &str = "network";

/// [`is_context_name`] behind `subject.`, as a regular expression of JSON Schema.
pub(crate) const SUBJECT_PATTERN: &str = r"^subject\.[a-z][a-z0-9_]{0,31}$";

/// [`is_context_name`] behind `context.`, as a regular expression of JSON Schema.
pub(crate) const CONTEXT_PATTERN: &str = r"^context\.[a-z][a-z0-9_]{0,31}$";

/// Tells whether `name` can name a context attribute: a letter, then up to 31 of `a-z 0-9 _`.
#[must_use]
pub fn is_context_name(name: &str) -> bool {
    name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}
