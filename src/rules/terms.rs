//! The terms of a rule: its zone, from when until when it holds, which score it asks for, what its tokens say.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::schedule::read_wall_time;
use crate::foundation::decimal::Decimal;
use crate::foundation::document::{Issues, Spot, object, text};
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
    pub(crate) fn read(spot: &Spot<'_>, zone: Option<&TimeZone>, issues: &mut Issues) -> Option<Self> {
        let fields = spot.fields(&["from", "until"], issues)?;
        // With the zone refused, the times are still looked at, in any zone.
        let zone = zone.cloned().unwrap_or(TimeZone::UTC);
        let from = fields.or("from", None, |from| read_wall_time(&from, &zone, issues).map(Some));
        let until = fields.or("until", None, |until| read_wall_time(&until, &zone, issues).map(Some));
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
    pub(crate) fn read(spot: &Spot<'_>, issues: &mut Issues) -> Option<Self> {
        let fields = spot.fields(&["source", "max_age", "on_stale", "on_missing"], issues)?;
        let source = fields.required("source", issues).and_then(|source| read_source(&source, issues));
        let max_age = fields.or("max_age", None, |age| Period::read(&age, LONGEST, issues).map(Some));
        let on_stale = fields.or("on_stale", Fallback::Deny, |word| Fallback::read(&word, issues));
        let on_missing = fields.or("on_missing", Fallback::Deny, |word| Fallback::read(&word, issues));
        Some(Self { source: source?, max_age: max_age?, on_stale: on_stale?, on_missing: on_missing? })
    }

    /// A source alone, or the whole policy.
    pub(crate) fn read_short(spot: &Spot<'_>, issues: &mut Issues) -> Option<Self> {
        if !matches!(spot.json(), Json::Text(_)) {
            return Self::read(spot, issues);
        }
        let source = read_source(spot, issues)?;
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
    pub(crate) fn read(spot: &Spot<'_>, issues: &mut Issues) -> Option<Self> {
        match spot.text(issues)? {
            "deny" => Some(Self::Deny),
            "refer" => Some(Self::Refer),
            "ignore" => Some(Self::Ignore),
            _ => spot.refuse(issues, "bad_form", "use deny, refer or ignore"),
        }
    }

    pub(crate) fn to_json(self) -> Json {
        match self {
            Self::Deny => text("deny"),
            Self::Refer => text("refer"),
            Self::Ignore => text("ignore"),
        }
    }
}

impl Otherwise {
    pub(crate) fn read(spot: &Spot<'_>, issues: &mut Issues) -> Option<Self> {
        match spot.text(issues)? {
            "deny" => Some(Self::Deny),
            "refer" => Some(Self::Refer),
            _ => spot.refuse(issues, "bad_form", "use deny or refer"),
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

    pub(crate) fn read(spot: &Spot<'_>, issues: &mut Issues) -> Option<Self> {
        let percent = spot.fields(&["percent"], issues)?.required("percent", issues)?.whole(0..=100, issues)?;
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

    pub(crate) fn read(spot: &Spot<'_>, audience: &str, issues: &mut Issues) -> Option<Self> {
        let fields = spot.fields(&["audience", "ttl", "single_use"], issues)?;
        let default = Self::default_for(audience);
        let audience = fields.or("audience", default.audience, |slug| slug.slug(issues).map(str::to_owned));
        let ttl = fields.or("ttl", default.ttl, |ttl| Period::read(&ttl, ONE_DAY, issues));
        let single_use = fields.or("single_use", default.single_use, |single| single.boolean(issues));
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

pub(crate) fn read_source(spot: &Spot<'_>, issues: &mut Issues) -> Option<SourceName> {
    match spot.text(issues)?.parse() {
        Ok(source) => Some(source),
        Err(error) => spot.refuse(issues, "bad_form", crate::foundation::ids::NameError::to_string(&error)),
    }
}

/// A zone of the database that is built in, so that a rule means the same on every machine.
pub(crate) fn read_zone(spot: &Spot<'_>, issues: &mut Issues) -> Option<TimeZone> {
    let name = spot.text(issues)?;
    if let Ok(zone) = TimeZone::get(name)
        && !zone.is_unknown()
    {
        return Some(zone);
    }
    let city = |zone: &str| zone.rsplit('/').next().unwrap_or_default().replace(' ', "_").to_ascii_lowercase();
    let wanted = city(name);
    let near = jiff::tz::db().available().find(|known| city(known.as_str()) == wanted);
    let hint = near.map_or_else(|| "America/Los_Angeles".to_owned(), |known| known.as_str().to_owned());
    spot.refuse(issues, "unknown_zone", format!("use the name of an IANA time zone, such as {hint}"))
}
