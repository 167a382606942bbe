//! The terms of a rule: its zone, from when until when it holds, which score it asks for, what its tokens say.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::schedule::read_wall_time;
use crate::foundation::decimal::Decimal;
use crate::foundation::document::{FieldErrors, Node, object, text};
use crate::foundation::ids::SourceName;
use crate::foundation::json::Json;
use crate::foundation::period::{LONGEST, ONE_DAY, Period};

const TTL_SECONDS: i64 = 15 * 60;

/// From when until when a rule holds: wall time as written, and the instant it stands for.
#[derive(Debug, Clone, Default)]
pub struct Valid {
    pub from: Option<(DateTime, Timestamp)>,
    /// Exclusive.
    pub until: Option<(DateTime, Timestamp)>,
}

/// Which score is asked for, and what becomes of one that can't be relied on.
#[derive(Debug, Clone)]
pub struct ScorePolicy {
    pub source: SourceName,
    /// A score older than this is stale; none is when there is no such age.
    pub max_age: Option<Period>,
    pub on_stale: Fallback,
    pub on_missing: Fallback,
}

/// The decision in the score's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    Deny,
    /// A person decides.
    Refer,
    /// The rest of the rule decides, as if there were no score.
    Ignore,
}

/// The decision about those whom a rule, as it stands, does not admit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Otherwise {
    #[default]
    Deny,
    /// A person decides.
    Refer,
}

/// The share of all people that a rule is open to: whole percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rollout(u8);

/// The terms of a grant's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenTerms {
    /// The door's half of `aud`.
    pub audience: String,
    pub ttl: Period,
    pub single_use: bool,
}

impl Valid {
    pub(crate) fn read(node: &Node<'_>, zone: Option<&TimeZone>, errors: &mut FieldErrors) -> Option<Self> {
        let fields = node.fields(&["from", "until"], errors)?;
        // With the zone refused, the times are still looked at, in any zone.
        let zone = zone.cloned().unwrap_or(TimeZone::UTC);
        let from = fields.or("from", None, |from| read_wall_time(&from, &zone, errors).map(Some));
        let until = fields.or("until", None, |until| read_wall_time(&until, &zone, errors).map(Some));
        Some(Self { from: from?, until: until? })
    }

    pub(crate) fn to_json(&self) -> Json {
        let wall = |time: &Option<(DateTime, Timestamp)>| {
            time.map_or(Json::Null, |(local, _)| text(local.strftime("%Y-%m-%dT%H:%M:%S").to_string()))
        };
        object([("from", wall(&self.from)), ("until", wall(&self.until))])
    }
}

impl ScorePolicy {
    pub(crate) fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let fields = node.fields(&["source", "max_age", "on_stale", "on_missing"], errors)?;
        let source = fields.required("source", errors).and_then(|source| read_source(&source, errors));
        let max_age = fields.or("max_age", None, |age| Period::read(&age, LONGEST, errors).map(Some));
        let on_stale = fields.or("on_stale", Fallback::Deny, |word| Fallback::read(&word, errors));
        let on_missing = fields.or("on_missing", Fallback::Deny, |word| Fallback::read(&word, errors));
        Some(Self { source: source?, max_age: max_age?, on_stale: on_stale?, on_missing: on_missing? })
    }

    /// A source alone, or the whole policy.
    pub(crate) fn read_short(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        if !matches!(node.json(), Json::Text(_)) {
            return Self::read(node, errors);
        }
        let source = read_source(node, errors)?;
        Some(Self { source, max_age: None, on_stale: Fallback::Deny, on_missing: Fallback::Deny })
    }

    pub(crate) fn to_json(&self) -> Json {
        object([
            ("source", text(self.source.as_str())),
            ("max_age", self.max_age.map_or(Json::Null, |age| text(age.to_string()))),
            ("on_stale", self.on_stale.to_json()),
            ("on_missing", self.on_missing.to_json()),
        ])
    }
}

impl Fallback {
    /// As rules and rows write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Refer => "refer",
            Self::Ignore => "ignore",
        }
    }

    /// Reads what [`Fallback::as_str`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Deny, Self::Refer, Self::Ignore].into_iter().find(|fallback| fallback.as_str() == text)
    }

    pub(crate) fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let read = Self::parse(node.text(errors)?);
        read.or_else(|| node.refuse(errors, "bad_form", "use deny, refer or ignore"))
    }

    pub(crate) fn to_json(self) -> Json {
        text(self.as_str())
    }
}

impl Otherwise {
    pub(crate) fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        match node.text(errors)? {
            "deny" => Some(Self::Deny),
            "refer" => Some(Self::Refer),
            _ => node.refuse(errors, "bad_form", "use deny or refer"),
        }
    }
}

impl Rollout {
    /// Open to everyone.
    pub const EVERYONE: Self = Self(100);
    /// Number of buckets: a percent is a hundred of them.
    pub const BUCKETS: u16 = 10_000;

    /// The share, in percent.
    #[must_use]
    pub const fn percent(self) -> u8 {
        self.0
    }

    /// Tells whether it is open to the people of `bucket`. A larger share admits all whom a smaller one
    /// does, so that raising it takes the perk from nobody. A person without a bucket is in only when all are.
    #[must_use]
    pub fn admits(self, bucket: Option<u16>) -> bool {
        self == Self::EVERYONE || bucket.is_some_and(|bucket| bucket < u16::from(self.0) * (Self::BUCKETS / 100))
    }

    pub(crate) fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let percent = node.fields(&["percent"], errors)?.required("percent", errors)?.whole(0..=100, errors)?;
        u8::try_from(percent).ok().map(Self)
    }

    pub(crate) fn to_json(self) -> Json {
        object([("percent", Json::Number(Decimal::from_whole(self.0.into())))])
    }
}

impl TokenTerms {
    pub(crate) fn default_for(audience: &str) -> Self {
        Self { audience: audience.to_owned(), ttl: Period::from_seconds(TTL_SECONDS), single_use: true }
    }

    pub(crate) fn read(node: &Node<'_>, audience: &str, errors: &mut FieldErrors) -> Option<Self> {
        let fields = node.fields(&["audience", "ttl", "single_use"], errors)?;
        let default = Self::default_for(audience);
        let audience = fields.or("audience", default.audience, |slug| slug.slug(errors).map(str::to_owned));
        let ttl = fields.or("ttl", default.ttl, |ttl| Period::read(&ttl, ONE_DAY, errors));
        let single_use = fields.or("single_use", default.single_use, |single| single.boolean(errors));
        Some(Self { audience: audience?, ttl: ttl?, single_use: single_use? })
    }

    pub(crate) fn to_json(&self) -> Json {
        object([
            ("audience", text(&self.audience)),
            ("ttl", text(self.ttl.to_string())),
            ("single_use", Json::Bool(self.single_use)),
        ])
    }
}

pub(crate) fn read_source(node: &Node<'_>, errors: &mut FieldErrors) -> Option<SourceName> {
    match node.text(errors)?.parse() {
        Ok(source) => Some(source),
        Err(error) => node.refuse(errors, "bad_form", crate::foundation::ids::NameError::to_string(&error)),
    }
}

/// A zone of the database that is built in, so that a rule means the same on every machine.
pub(crate) fn read_zone(node: &Node<'_>, errors: &mut FieldErrors) -> Option<TimeZone> {
    let name = node.text(errors)?;
    if let Ok(zone) = TimeZone::get(name)
        && !zone.is_unknown()
    {
        return Some(zone);
    }
    let city = |zone: &str| zone.rsplit('/').next().unwrap_or_default().replace(' ', "_").to_ascii_lowercase();
    let wanted = city(name);
    let near = jiff::tz::db().available().find(|known| city(known.as_str()) == wanted);
    let hint = near.map_or_else(|| "America/Los_Angeles".to_owned(), |known| known.as_str().to_owned());
    node.refuse(errors, "unknown_zone", format!("use the name of an IANA time zone, such as {hint}"))
}
