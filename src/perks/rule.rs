//! A rule: parsed from its document, every default filled in, compiled for evaluation, and hashed.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::condition::{Attribute, Comparison, Condition, Leaf, PARTY, Test};
use super::limit::{Cost, Limit, LimitClaim, Place};
use super::period::{LONGEST, ONE_DAY, Period};
use super::read::{Fields, Issue, Issues, Spot, below, object, text};
use super::schedule::{Schedule, read_wall_time};
use crate::decimal::Decimal;
use crate::ids::SourceName;
use crate::json::Json;
use crate::subject::hex;

const MAX_TIERS: usize = 16;
const MAX_LIMITS: usize = 16;
const MAX_RANK: i64 = 1000;
const TTL_SECONDS: i64 = 15 * 60;

/// The policy of a perk. Immutable; two rules are equal when their canonical forms are.
#[derive(Debug, Clone)]
pub struct Rule {
    zone: TimeZone,
    valid: Valid,
    score: Option<ScorePolicy>,
    schedule: Schedule,
    when: Option<Condition>,
    tiers: Vec<Tier>,
    limits: Vec<Limit>,
    token: TokenTerms,
    looks_at_score: bool,
    context: BTreeSet<String>,
    canonical: String,
    hash: String,
}

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

/// What is decided in the score's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    Deny,
}

/// One outcome of a rule.
#[derive(Debug, Clone)]
pub struct Tier {
    pub id: String,
    /// The highest one that admits is the one that is granted.
    pub rank: i64,
    pub name: String,
    /// Without it the tier admits whoever passes the rule's own `when`.
    pub when: Option<Condition>,
    /// Where its condition was written, for the linter.
    pub(super) pointer: String,
}

/// What the token of a grant says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenTerms {
    /// The door's half of `aud`.
    pub audience: String,
    pub ttl: Period,
    pub single_use: bool,
}

/// Whether a rule can decide at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Open,
    /// Begins at `from`; `opens` is when it can first decide, if it ever can.
    NotYetValid {
        from: Timestamp,
        opens: Option<Timestamp>,
    },
    NoLongerValid,
    Closed {
        opens: Option<Timestamp>,
    },
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for Rule {}

impl Rule {
    /// Reads a rule document, in its long form or as `{"at_least":40,"score":"klout"}`. A token's
    /// audience is `default_audience` (the perk's short name) unless the rule names one.
    ///
    /// # Errors
    /// Everything that is wrong with it, as far as it could be read.
    pub fn parse(json: &Json, default_audience: &str) -> Result<Self, Vec<Issue>> {
        let spot = Spot::root(json);
        let mut issues = Issues::default();
        let rule = if spot.member("at_least").is_some() {
            Self::read_short(&spot, default_audience, &mut issues)
        } else {
            Self::read(&spot, default_audience, &mut issues)
        };
        issues.unless_any(rule)
    }

    fn read_short(spot: &Spot<'_>, default_audience: &str, issues: &mut Issues) -> Option<Self> {
        let fields = spot.fields(&["at_least", "score"], issues)?;
        let at_least = fields.required("at_least", issues).and_then(|least| least.number(issues));
        let source = fields.required("score", issues).and_then(|source| read_source(&source, issues));
        let test = Test::Compares(Comparison::Gte, at_least?);
        let tier = Tier {
            id: "standard".into(),
            rank: 1,
            name: "Standard".into(),
            when: Some(Condition::Leaf(Leaf { attribute: Attribute::Score, test })),
            pointer: "/at_least".into(),
        };
        let score =
            ScorePolicy { source: source?, max_age: None, on_stale: Fallback::Deny, on_missing: Fallback::Deny };
        Some(Self::compile(Parts {
            zone: TimeZone::UTC,
            valid: Valid::default(),
            score: Some(score),
            schedule: Schedule::default(),
            when: None,
            tiers: vec![tier],
            limits: Vec::new(),
            token: TokenTerms::default_for(default_audience),
        }))
    }

    fn read(spot: &Spot<'_>, default_audience: &str, issues: &mut Issues) -> Option<Self> {
        let known = ["time_zone", "valid", "score", "schedule", "when", "tiers", "limits", "token", "rollout"];
        let fields = spot.fields(&known, issues)?;
        let zone = fields.or("time_zone", TimeZone::UTC, |zone| read_zone(&zone, issues));
        let valid = fields.or("valid", Valid::default(), |valid| Valid::read(&valid, zone.as_ref(), issues));
        let score = fields.or("score", None, |score| ScorePolicy::read(&score, issues).map(Some));
        let schedule = fields.or("schedule", Schedule::default(), |schedule| Schedule::read(&schedule, issues));
        let mut leaves = 0;
        let when = fields.or("when", None, |when| Condition::read(&when, &mut leaves, issues).map(Some));
        let tiers = fields.required("tiers", issues).and_then(|tiers| read_tiers(&tiers, &mut leaves, issues));
        let limits = fields.or("limits", Vec::new(), |limits| read_limits(&limits, issues));
        let token = fields.or("token", TokenTerms::default_for(default_audience), |token| {
            TokenTerms::read(&token, default_audience, issues)
        });
        refuse_rollout(&fields, issues);

        if let (Some(None), Some(when), Some(tiers)) = (&score, &when, &tiers)
            && looks_at(when.as_ref(), tiers).iter().any(|a| matches!(a, Attribute::Score | Attribute::ScoreAge))
        {
            let detail = "a condition looks at the score: say which one, as in {\"source\":\"klout\"}";
            issues.add(&below(spot.pointer(), "score"), "missing", detail);
        }
        Some(Self::compile(Parts {
            zone: zone?,
            valid: valid?,
            score: score?,
            schedule: schedule?,
            when: when?,
            tiers: tiers?,
            limits: limits?,
            token: token?,
        }))
    }

    fn compile(mut parts: Parts) -> Self {
        parts.tiers.sort_by_key(|tier| std::cmp::Reverse(tier.rank));
        let attributes = looks_at(parts.when.as_ref(), &parts.tiers);
        let looks_at_score = attributes.iter().any(|a| matches!(a, Attribute::Score | Attribute::ScoreAge));
        let mut context: BTreeSet<String> = attributes
            .into_iter()
            .filter_map(|attribute| match attribute {
                Attribute::Context(name) => Some(name),
                _ => None,
            })
            .collect();
        if parts.limits.iter().any(|limit| limit.cost == Cost::Party) {
            context.insert(PARTY.into());
        }
        let canonical = parts.to_json().canonical();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
        let hash = format!("sha256:{}", hex(digest.as_ref()));
        let Parts { zone, valid, score, schedule, when, tiers, limits, token } = parts;
        Self { zone, valid, score, schedule, when, tiers, limits, token, looks_at_score, context, canonical, hash }
    }

    /// The whole rule with its defaults filled in, as canonical JSON (RFC 8785). Reading it again gives
    /// this rule.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// `sha256:` and the hexadecimal digest of the canonical form.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The zone that all of its wall times are in.
    #[must_use]
    pub fn time_zone(&self) -> &TimeZone {
        &self.zone
    }

    /// From when until when it holds.
    #[must_use]
    pub fn valid(&self) -> &Valid {
        &self.valid
    }

    /// Which score it asks for, if it names one.
    #[must_use]
    pub fn score(&self) -> Option<&ScorePolicy> {
        self.score.as_ref()
    }

    /// When it is open.
    #[must_use]
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// What must hold for every tier.
    #[must_use]
    pub fn when(&self) -> Option<&Condition> {
        self.when.as_ref()
    }

    /// The tiers, highest rank first.
    #[must_use]
    pub fn tiers(&self) -> &[Tier] {
        &self.tiers
    }

    /// The tier of that id.
    #[must_use]
    pub fn tier(&self, id: &str) -> Option<&Tier> {
        self.tiers.iter().find(|tier| tier.id == id)
    }

    /// The limits, in the order they were written.
    #[must_use]
    pub fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// What its tokens say.
    #[must_use]
    pub fn token(&self) -> &TokenTerms {
        &self.token
    }

    /// Whether any condition needs the score.
    #[must_use]
    pub fn looks_at_score(&self) -> bool {
        self.looks_at_score
    }

    /// The names of the context attributes that a decision or a limit can depend on: only these
    /// are worth recording.
    #[must_use]
    pub fn attributes(&self) -> &BTreeSet<String> {
        &self.context
    }

    /// Whether it can decide at `now`.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Standing {
        let until = self.valid.until.map(|(_, until)| until);
        let open_from =
            |at| self.schedule.first_open(&self.zone, at).filter(|at| until.is_none_or(|until| *at < until));
        if until.is_some_and(|until| now >= until) {
            return Standing::NoLongerValid;
        }
        match self.valid.from {
            Some((_, from)) if now < from => Standing::NotYetValid { from, opens: open_from(from) },
            _ if self.schedule.is_open(&self.zone, now) => Standing::Open,
            _ => Standing::Closed { opens: open_from(now) },
        }
    }

    /// What a grant of `tier` to `party` people would use of each limit, in the order of the limits.
    #[must_use]
    pub fn claims(&self, tier: &str, party: u64, place: &Place<'_>, now: Timestamp) -> Vec<LimitClaim> {
        self.limits.iter().map(|limit| limit.claim(&self.zone, tier, party, place, now)).collect()
    }
}

fn looks_at(when: Option<&Condition>, tiers: &[Tier]) -> BTreeSet<Attribute> {
    let mut attributes = BTreeSet::new();
    for condition in when.into_iter().chain(tiers.iter().filter_map(|tier| tier.when.as_ref())) {
        condition.attributes(&mut attributes);
    }
    attributes
}

/// What a rule is made of, before it is compiled.
struct Parts {
    zone: TimeZone,
    valid: Valid,
    score: Option<ScorePolicy>,
    schedule: Schedule,
    when: Option<Condition>,
    tiers: Vec<Tier>,
    limits: Vec<Limit>,
    token: TokenTerms,
}

impl Parts {
    fn to_json(&self) -> Json {
        let condition = |when: &Option<Condition>| when.as_ref().map_or(Json::Null, Condition::to_json);
        let wall = |time: &Option<(DateTime, Timestamp)>| {
            time.map_or(Json::Null, |(local, _)| text(local.strftime("%Y-%m-%dT%H:%M:%S").to_string()))
        };
        let tier = |tier: &Tier| {
            object([
                ("id", text(&tier.id)),
                ("rank", Json::Number(Decimal::from_whole(tier.rank))),
                ("name", text(&tier.name)),
                ("when", condition(&tier.when)),
            ])
        };
        object([
            ("time_zone", text(self.zone.iana_name().unwrap_or("UTC"))),
            ("valid", object([("from", wall(&self.valid.from)), ("until", wall(&self.valid.until))])),
            ("score", self.score.as_ref().map_or(Json::Null, ScorePolicy::to_json)),
            ("schedule", self.schedule.to_json()),
            ("when", condition(&self.when)),
            ("tiers", Json::List(self.tiers.iter().map(tier).collect())),
            ("limits", Json::List(self.limits.iter().map(Limit::to_json).collect())),
            ("token", self.token.to_json()),
            ("rollout", object([("percent", Json::Number(Decimal::from_whole(100)))])),
        ])
    }
}

impl Valid {
    fn read(spot: &Spot<'_>, zone: Option<&TimeZone>, issues: &mut Issues) -> Option<Self> {
        let fields = spot.fields(&["from", "until"], issues)?;
        // With the zone refused, the times are still looked at, in any zone.
        let zone = zone.cloned().unwrap_or(TimeZone::UTC);
        let from = fields.or("from", None, |from| read_wall_time(&from, &zone, issues).map(Some));
        let until = fields.or("until", None, |until| read_wall_time(&until, &zone, issues).map(Some));
        Some(Self { from: from?, until: until? })
    }
}

impl ScorePolicy {
    fn read(spot: &Spot<'_>, issues: &mut Issues) -> Option<Self> {
        let fields = spot.fields(&["source", "max_age", "on_stale", "on_missing"], issues)?;
        let source = fields.required("source", issues).and_then(|source| read_source(&source, issues));
        let max_age = fields.or("max_age", None, |age| Period::read(&age, LONGEST, issues).map(Some));
        let on_stale = fields.or("on_stale", Fallback::Deny, |word| Fallback::read(&word, issues));
        let on_missing = fields.or("on_missing", Fallback::Deny, |word| Fallback::read(&word, issues));
        Some(Self { source: source?, max_age: max_age?, on_stale: on_stale?, on_missing: on_missing? })
    }

    fn to_json(&self) -> Json {
        object([
            ("source", text(self.source.as_str())),
            ("max_age", self.max_age.map_or(Json::Null, |age| text(age.to_string()))),
            ("on_stale", self.on_stale.to_json()),
            ("on_missing", self.on_missing.to_json()),
        ])
    }
}

impl Fallback {
    fn read(spot: &Spot<'_>, issues: &mut Issues) -> Option<Self> {
        match spot.text(issues)? {
            "deny" => Some(Self::Deny),
            "refer" => spot.refuse(issues, "not_available_yet", "referring to a person is not available yet: use deny"),
            _ => spot.refuse(issues, "bad_form", "use deny"),
        }
    }

    fn to_json(self) -> Json {
        match self {
            Self::Deny => text("deny"),
        }
    }
}

impl TokenTerms {
    fn default_for(audience: &str) -> Self {
        Self { audience: audience.to_owned(), ttl: Period::from_seconds(TTL_SECONDS), single_use: true }
    }

    fn read(spot: &Spot<'_>, audience: &str, issues: &mut Issues) -> Option<Self> {
        let fields = spot.fields(&["audience", "ttl", "single_use"], issues)?;
        let default = Self::default_for(audience);
        let audience = fields.or("audience", default.audience, |slug| slug.slug(issues).map(str::to_owned));
        let ttl = fields.or("ttl", default.ttl, |ttl| Period::read(&ttl, ONE_DAY, issues));
        let single_use = fields.or("single_use", default.single_use, |single| single.boolean(issues));
        Some(Self { audience: audience?, ttl: ttl?, single_use: single_use? })
    }

    fn to_json(&self) -> Json {
        object([
            ("audience", text(&self.audience)),
            ("ttl", text(self.ttl.to_string())),
            ("single_use", Json::Bool(self.single_use)),
        ])
    }
}

fn read_tiers(spot: &Spot<'_>, leaves: &mut usize, issues: &mut Issues) -> Option<Vec<Tier>> {
    let items = spot.list(1..=MAX_TIERS, issues)?;
    let alone = items.len() == 1;
    let mut tiers: Vec<Tier> = Vec::new();
    let mut all = true;
    for item in &items {
        let Some(tier) = read_tier(item, alone, leaves, issues) else {
            all = false;
            continue;
        };
        if tiers.iter().any(|other| other.id == tier.id) {
            issues.add(&below(item.pointer(), "id"), "repeated", "another tier has this id");
        }
        if tiers.iter().any(|other| other.rank == tier.rank) {
            issues.add(&below(item.pointer(), "rank"), "repeated", "another tier has this rank: the higher one wins");
        }
        tiers.push(tier);
    }
    all.then_some(tiers)
}

fn read_tier(spot: &Spot<'_>, alone: bool, leaves: &mut usize, issues: &mut Issues) -> Option<Tier> {
    let fields = spot.fields(&["id", "rank", "name", "when"], issues)?;
    let id = fields.required("id", issues).and_then(|id| id.slug(issues));
    let rank = match fields.optional("rank") {
        None if alone => Some(1),
        None => fields.required("rank", issues).and(None),
        Some(rank) => rank.whole(1..=MAX_RANK, issues),
    };
    let name = match fields.optional("name") {
        None => id.map(str::to_owned),
        Some(name) => name.text(issues).and_then(|text| match crate::ids::label(text, 80) {
            Ok(label) => Some(label),
            Err(error) => name.refuse(issues, "bad_form", error.to_string()),
        }),
    };
    let when = fields.or("when", None, |when| Condition::read(&when, leaves, issues).map(Some));
    let pointer = below(spot.pointer(), "when");
    Some(Tier { id: id?.to_owned(), rank: rank?, name: name?, when: when?, pointer })
}

fn read_limits(spot: &Spot<'_>, issues: &mut Issues) -> Option<Vec<Limit>> {
    let items = spot.list(0..=MAX_LIMITS, issues)?;
    let mut limits: Vec<Limit> = Vec::new();
    let mut all = true;
    for item in &items {
        let Some(limit) = Limit::read(item, issues) else {
            all = false;
            continue;
        };
        if limits.iter().any(|other| other.id == limit.id) {
            issues.add(&below(item.pointer(), "id"), "repeated", "another limit has this id");
        }
        limits.push(limit);
    }
    all.then_some(limits)
}

fn read_source(spot: &Spot<'_>, issues: &mut Issues) -> Option<SourceName> {
    match spot.text(issues)?.parse() {
        Ok(source) => Some(source),
        Err(error) => spot.refuse(issues, "bad_form", crate::ids::NameError::to_string(&error)),
    }
}

/// A zone of the database that is built in, so that a rule means the same on every machine.
fn read_zone(spot: &Spot<'_>, issues: &mut Issues) -> Option<TimeZone> {
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

fn refuse_rollout(fields: &Fields<'_>, issues: &mut Issues) {
    let Some(rollout) = fields.optional("rollout") else { return };
    let percent = rollout.fields(&["percent"], issues).and_then(|fields| fields.required("percent", issues));
    if let Some(percent) = percent
        && percent.whole(0..=100, issues).is_some_and(|share| share != 100)
    {
        issues.add(percent.pointer(), "not_available_yet", "partial rollouts are not available yet: use 100");
    }
}
