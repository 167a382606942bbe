//! A rule: parsed from its document, every default filled in, compiled for evaluation, and hashed.

use std::borrow::Cow;
use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::attribute::{Attribute, OCCUPANCY, PARTY, PassField};
use super::blackout::Blackout;
use super::condition::Condition;
use super::limit::{Cost, Limit, LimitClaim, Place, Scope};
use super::messages::Messages;
use super::offers::{Offer, OtherwiseTerms};
use super::overrides::{ByHand, OverrideTerms};
use super::parts::{MEMBERS, Parts};
use super::schedule::Schedule;
pub use super::stored::UnreadableRule;
use super::terms::{Fallback, Otherwise, Rollout, ScorePolicy, TokenTerms, Valid, read_zone};
use super::tier::{Tier, conditions, looks_at, party::Party};
use crate::foundation::document::{FieldErrors, Node, below};
use crate::foundation::field_error::FieldError;
use crate::foundation::json::Json;
use crate::foundation::subject::hex;

/// The policy of a perk. Immutable; two rules are equal when their canonical forms are.
#[derive(Debug, Clone)]
pub struct Rule {
    names: Option<Messages>,
    zone: TimeZone,
    valid: Valid,
    score: Option<ScorePolicy>,
    schedule: Schedule,
    blackouts: Vec<Blackout>,
    when: Option<Condition>,
    tiers: Vec<Tier>,
    limits: Vec<Limit>,
    token: TokenTerms,
    rollout: Rollout,
    otherwise: OtherwiseTerms,
    by_hand: ByHand,
    looks_at_score: bool,
    /// A condition looks at the age of the score, or does without a score that is too old.
    turns_by_age: bool,
    /// The names of those in `context` that must be instants.
    instants: BTreeSet<String>,
    /// The pointer to the name of the score's source in the document that was read.
    source_pointer: &'static str,
    context: BTreeSet<String>,
    /// The names of what is kept of the person and it looks at.
    of_subject: BTreeSet<String>,
    /// The scopes of its limits that counters know by a digest.
    digested: BTreeSet<Scope>,
    canonical: String,
    hash: String,
    engine: u32,
}

impl Rule {
    /// Reads a rule document, with `tiers` or, for one tier that asks for a score, with
    /// `"at_least":40,"score":"klout"` in their place. A token's audience is `default_audience` (the perk's short name) unless the rule names one.
    ///
    /// # Errors
    /// Everything that is wrong with it, as far as it could be read.
    pub fn parse(json: &Json, default_audience: &str) -> Result<Self, Vec<FieldError>> {
        Self::read_whole(&Node::root(json), default_audience)
    }

    /// Reads a rule that was taken before. A build that refuses more characters than the one that took it
    /// must not stop it from deciding.
    ///
    /// # Errors
    /// As [`Rule::parse`].
    pub fn stored(json: &Json, default_audience: &str) -> Result<Self, Vec<FieldError>> {
        Self::read_whole(&Node::stored(json), default_audience)
    }

    fn read_whole(node: &Node<'_>, default_audience: &str) -> Result<Self, Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        let rule = Self::read(node, default_audience, &mut errors);
        errors.unless_any(rule)
    }

    fn read(node: &Node<'_>, default_audience: &str, errors: &mut FieldErrors) -> Option<Self> {
        let was_well = errors.is_empty();
        let fields = node.fields(&MEMBERS, errors)?;
        let at_least = fields.optional("at_least");
        // More likely one of the two misspelt than both left out, which an error each would say once more.
        let is_misspelt = was_well && !errors.is_empty() && at_least.is_none() && fields.optional("tiers").is_none();
        let least = at_least.as_ref().and_then(|least| least.number(errors));
        let names = fields.or("names", None, |names| Messages::read(&names, errors).map(Some));
        let zone = fields.or("time_zone", TimeZone::UTC, |zone| read_zone(&zone, errors));
        let valid = fields.or("valid", Valid::default(), |valid| Valid::read(&valid, zone.as_ref(), errors));
        let score = match &at_least {
            Some(_) => {
                fields.required("score", errors).and_then(|score| ScorePolicy::read_short(&score, errors)).map(Some)
            }
            None if is_misspelt => None,
            None => fields.or("score", None, |score| ScorePolicy::read(&score, errors).map(Some)),
        };
        let schedule = fields.or("schedule", Schedule::default(), |schedule| Schedule::read(&schedule, errors));
        let blackouts = fields.or("blackouts", Vec::new(), |list| Blackout::read_all(&list, zone.as_ref(), errors));
        let mut leaves = 0;
        let when = fields.or("when", None, |when| Condition::read(&when, &mut leaves, errors).map(Some));
        let tiers = match (&at_least, fields.optional("tiers")) {
            (Some(_), Some(tiers)) => tiers.refuse(
                errors,
                "contradiction",
                "`at_least` stands for one tier, and there are `tiers` too: take `at_least` out and say in each tier's \
                 `when` which score it asks for, or take `tiers` out",
            ),
            (Some(_), None) => least.map(|least| vec![Tier::at_least(least)]),
            (None, None) if is_misspelt => None,
            (None, _) => fields.required("tiers", errors).and_then(|tiers| Tier::read_all(&tiers, &mut leaves, errors)),
        };
        let limits = fields.or("limits", Vec::new(), |limits| Limit::read_all(&limits, errors));
        let token = fields.or("token", TokenTerms::default_for(default_audience), |token| {
            TokenTerms::read(&token, default_audience, errors)
        });
        let rollout = fields.or("rollout", Rollout::EVERYONE, |rollout| Rollout::read(&rollout, errors));
        let otherwise = fields.or("otherwise", OtherwiseTerms::default(), |terms| OtherwiseTerms::read(&terms, errors));
        let by_hand = ByHand::read(&fields, tiers.as_deref(), limits.as_deref(), errors);

        if let (Some(None), Some(when), Some(tiers)) = (&score, &when, &tiers)
            && looks_at(when.as_ref(), tiers).iter().any(|a| matches!(a, Attribute::Score | Attribute::ScoreAge))
        {
            let detail = "a condition looks at the score: say which one, as in {\"source\":\"klout\"}";
            errors.add(&below(node.pointer(), "score"), "missing", detail);
        }
        // The short form names the source where the whole policy would stand.
        let is_short = at_least.is_some() && matches!(node.json().member("score"), Some(Json::Text(_)));
        let source_pointer = if is_short { "/score" } else { "/score/source" };
        let rule = Self::compile(Parts {
            names: names?,
            zone: zone?,
            valid: valid?,
            score: score?,
            schedule: schedule?,
            blackouts: blackouts?,
            when: when?,
            tiers: tiers?,
            limits: limits?,
            token: token?,
            rollout: rollout?,
            otherwise: otherwise?,
            by_hand: by_hand?,
        });
        Some(Self { source_pointer, ..rule })
    }

    fn compile(mut parts: Parts) -> Self {
        parts.tiers.sort_by_key(|tier| std::cmp::Reverse(tier.rank));
        let attributes = looks_at(parts.when.as_ref(), &parts.tiers);
        let mut instants = BTreeSet::new();
        conditions(parts.when.as_ref(), &parts.tiers).for_each(|condition| condition.instants(&mut instants));
        let turns_by_age = attributes.contains(&Attribute::ScoreAge)
            || parts.score.as_ref().is_some_and(|policy| policy.on_stale == Fallback::Ignore);
        let looks_at_score = attributes.iter().any(|a| matches!(a, Attribute::Score | Attribute::ScoreAge));
        let looks_at_pass = attributes.iter().any(|attribute| matches!(attribute, Attribute::BoardingPass(_)));
        let mut context: BTreeSet<String> =
            attributes.iter().filter_map(Attribute::member).map(Cow::into_owned).collect();
        let of_subject: BTreeSet<String> = attributes.iter().filter_map(Attribute::of_subject).cloned().collect();
        let digested = Limit::digested(&parts.limits);
        if looks_at_pass || digested.contains(&Scope::BoardingPass) {
            // Of every pass that a rule looks at or counts by is recorded which day its flight was taken to be on.
            context.insert(PassField::Date.attribute().into());
        }
        if parts.tiers.iter().any(|it| it.guests.is_some()) || parts.limits.iter().any(|it| it.cost == Cost::Party) {
            context.insert(PARTY.into());
        }
        context.extend(digested.iter().filter_map(Scope::member).map(str::to_owned));
        let canonical = parts.to_json().canonical();
        let looks_at_occupancy = attributes.contains(&Attribute::Occupancy);
        let needs_more = looks_at_pass || looks_at_occupancy || !digested.is_empty() || !of_subject.is_empty();
        let (hash, engine) = (hash_of(&canonical), parts.engine(&instants, needs_more));
        let Parts { names, zone, valid, score, schedule, blackouts, when, tiers, limits, token, .. } = parts;
        let Parts { rollout, otherwise, by_hand, .. } = parts;
        Self {
            names,
            zone,
            valid,
            score,
            schedule,
            blackouts,
            when,
            tiers,
            limits,
            token,
            rollout,
            otherwise,
            by_hand,
            looks_at_score,
            turns_by_age,
            instants,
            source_pointer: "/score/source",
            context,
            of_subject,
            digested,
            canonical,
            hash,
            engine,
        }
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

    /// The reading that it needs: its checks say so, and are replayed by it.
    #[must_use]
    pub fn engine(&self) -> u32 {
        self.engine
    }

    /// The perk's name to guests, by language.
    #[must_use]
    pub fn names(&self) -> Option<&Messages> {
        self.names.as_ref()
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

    /// The error about the score's source, at its place in the document that was read, when there is no such source.
    #[must_use]
    pub fn unknown_source(&self, policy: &ScorePolicy) -> FieldError {
        let detail = format!("there is no score source `{}`: make it first, with its scale", policy.source);
        FieldError::at(self.source_pointer, "unknown_source", detail)
    }

    /// When it is open.
    #[must_use]
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The times at which it admits nobody, in the order they were written.
    #[must_use]
    pub fn blackouts(&self) -> &[Blackout] {
        &self.blackouts
    }

    /// The condition that must hold for every tier.
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

    /// The terms of its tokens.
    #[must_use]
    pub fn token(&self) -> &TokenTerms {
        &self.token
    }

    /// The share of all people that it is open to.
    #[must_use]
    pub fn rollout(&self) -> Rollout {
        self.rollout
    }

    /// The decision about those whom none of its tiers admits.
    #[must_use]
    pub fn otherwise(&self) -> Otherwise {
        self.otherwise.decision
    }

    /// The offers for those whom it refuses.
    #[must_use]
    pub fn offers(&self) -> &[Offer] {
        &self.otherwise.offers
    }

    /// The terms on which a desk overrides its refusals; none where nobody does.
    #[must_use]
    pub fn overrides(&self) -> Option<&OverrideTerms> {
        self.by_hand.overrides.as_ref()
    }

    /// The terms on which a desk lets in for pay whom it refuses; none where nobody does.
    #[must_use]
    pub fn paid(&self) -> Option<&OverrideTerms> {
        self.by_hand.paid.as_ref()
    }

    /// The terms on which desks let in by hand.
    #[must_use]
    pub fn by_hand(&self) -> &ByHand {
        &self.by_hand
    }

    /// True if any condition needs the score.
    #[must_use]
    pub fn looks_at_score(&self) -> bool {
        self.looks_at_score
    }

    /// The names of the context attributes, and of what a boarding pass says, that a decision or a limit can depend
    /// on: only these are worth recording.
    #[must_use]
    pub fn attributes(&self) -> &BTreeSet<String> {
        &self.context
    }

    /// The names of what is kept of the person that a decision can depend on.
    #[must_use]
    pub fn of_subject(&self) -> &BTreeSet<String> {
        &self.of_subject
    }

    /// True if a condition, a limit or a tier looks at how many come.
    #[must_use]
    pub fn looks_at_party(&self) -> bool {
        self.context.contains(PARTY)
    }

    /// True if a condition looks at how full the place is.
    #[must_use]
    pub fn looks_at_occupancy(&self) -> bool {
        self.context.contains(OCCUPANCY)
    }

    /// Tells whether facts say when its conditions turn: an instant of the visit or of what is kept of the person, the
    /// score's age, the day of the flight.
    #[must_use]
    pub fn turns_by_facts(&self) -> bool {
        let turns_by_day = self.context.contains(PassField::DaysFromToday.attribute());
        !self.instants.is_empty()
            || !self.of_subject.is_empty()
            || self.turns_by_age
            || turns_by_day
            || self.digested.contains(&Scope::BoardingPass)
    }

    /// The names of the context attributes that must be instants, where they are there.
    #[must_use]
    pub fn instants(&self) -> &BTreeSet<String> {
        &self.instants
    }

    /// The uses that a grant of `tier` to `party` would make of each limit, in the order of the limits.
    #[must_use]
    pub fn claims(&self, tier: &str, party: &Party, place: &Place<'_>, now: Timestamp) -> Vec<LimitClaim> {
        let counted = self.tier(tier).map_or_else(|| party.size(), |tier| tier.admitted(party).counted());
        self.limits.iter().flat_map(|limit| limit.claims(&self.zone, tier, counted, place, now)).collect()
    }

    /// The scopes of its limits that a check has to bring something for: a boarding pass, members of the context.
    #[must_use]
    pub fn digested(&self) -> &BTreeSet<Scope> {
        &self.digested
    }
}

pub(super) fn hash_of(canonical: &str) -> String {
    format!("sha256:{}", hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes()).as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::period::Period;
    use crate::rules::engine::{FLOOR, PLAIN};

    const LOUNGE: &str = r#"{"time_zone":"America/Los_Angeles",
        "valid":{"from":"2012-05-08T00:00","until":null},
        "score":{"source":"klout","max_age":"P7D","on_stale":"deny","on_missing":"deny"},
        "schedule":{"open":[{"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"06:00","to":"23:00"}],
                    "closed_dates":[]},
        "when":{"all":[{"attr":"context.terminal","op":"in","values":["A","G"]}]},
        "tiers":[{"id":"first","rank":2,"name":"First lounge","when":{"attr":"score","op":"gte","value":60}},
                 {"id":"standard","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
        "limits":[{"id":"person-day","scope":["subject"],"max":1,"window":{"calendar":"day"}},
                  {"id":"house-day","scope":["perk"],"max":200,"cost":"party","window":{"calendar":"day"}}],
        "token":{"audience":"sfo-lounge","ttl":"PT30M","single_use":true},
        "rollout":{"percent":100}}"#;

    fn parse(text: &str) -> Result<Rule, Vec<FieldError>> {
        Rule::parse(&Json::parse(text).unwrap(), "sfo-lounge")
    }

    /// A rule with one tier whose condition is `when`.
    fn with_condition(when: &str) -> String {
        format!(r#"{{"score":{{"source":"klout"}},"tiers":[{{"id":"t","when":{when}}}]}}"#)
    }

    #[test]
    fn the_rule_of_the_design_is_read_whole() {
        let rule = parse(LOUNGE).unwrap();
        assert_eq!(rule.tiers().iter().map(|tier| tier.id.as_str()).collect::<Vec<_>>(), ["first", "standard"]);
        assert_eq!(rule.token().ttl.seconds(), 1800);
        assert_eq!(rule.score().unwrap().max_age.unwrap().seconds(), 604_800);
        assert_eq!(rule.attributes().iter().collect::<Vec<_>>(), ["party", "terminal"]);
        assert!(rule.looks_at_score());
        assert_eq!(rule.limits()[1].cost, Cost::Party);
        assert_eq!(rule.valid().from.unwrap().1, "2012-05-08T07:00:00Z".parse().unwrap());
    }

    #[test]
    fn the_canonical_form_reads_back_as_the_same_rule() {
        let everything = with_condition(
            r#"{"all":[{"any":[{"attr":"score","op":"between","values":[40.5,60]},{"attr":"score","op":"neq","value":3}]},
                {"not":{"attr":"score.age","op":"gt","value":"PT90M"}},
                {"attr":"subject.network","op":"not_in","values":["bot"]},
                {"attr":"context.vip","op":"eq","value":true},
                {"attr":"context.tags","op":"contains","value":"gold"},
                {"attr":"context.gate","op":"starts_with","value":"A"},
                {"attr":"context.seat","op":"exists"},
                {"attr":"context.party","op":"lte","ref":"context.seats"},
                {"attr":"context.floor","op":"lt","ref":"score"},
                {"attr":"context.crew","op":"contains","ref":"subject.network"},
                {"attr":"context.party","op":"lte","value":4}]}"#,
        );
        for text in [LOUNGE, r#"{"at_least":40.5,"score":"klout"}"#, &everything, FLOOR_RULE] {
            let rule = parse(text).unwrap();
            // Another default audience: the canonical form has its own.
            let again = Rule::parse(&Json::parse(rule.canonical()).unwrap(), "elsewhere").unwrap();
            assert_eq!(again.canonical(), rule.canonical());
            assert_eq!(again.hash(), rule.hash());
            assert_eq!(again.when(), rule.when());
            assert_eq!(again.limits(), rule.limits());
            assert_eq!(again.schedule(), rule.schedule());
            assert_eq!(
                again.tiers().iter().map(|t| &t.when).collect::<Vec<_>>(),
                rule.tiers().iter().map(|t| &t.when).collect::<Vec<_>>()
            );
        }
    }

    /// What a lounge's floor asks of a rule.
    const FLOOR_RULE: &str = r#"{"names":{"zh-hant":"貴賓室"},"otherwise":{"decision":"refer","offers":[{"text":{"en":"Day pass"},
            "price":{"amount":"45.00","currency":"USD"},"url":"https://example.com"}]},"schedule":{"closed_dates":["2026-12-25"],"messages":{"en":"Closed.","zh-hant":"休息。"}},
        "tiers":[{"id":"main","names":{"de":"Große Lounge"},"messages":{"en":"For members."}}],
        "limits":[{"id":"house","scope":["location"],"max":{"default":200,"by_location":{"SFO-A":120}},
                   "window":{"calendar":"year"},"messages":{"en":"Full."}}]}"#;

    #[test]
    fn only_what_an_earlier_reading_lacks_needs_the_newer_one() {
        for text in [LOUNGE, r#"{"at_least":40,"score":"klout"}"#, r#"{"tiers":[{"id":"main"}]}"#] {
            assert_eq!(parse(text).unwrap().engine(), PLAIN, "{text}");
        }
        let limit = |member: &str, window: &str| {
            format!(
                r#"{{"tiers":[{{"id":"main"}}],"limits":[{{"id":"l","scope":["perk"],"window":{window},{member}}}]}}"#
            )
        };
        let day = r#"{"calendar":"day"}"#;
        assert_eq!(parse(&limit(r#""max":1"#, day)).unwrap().engine(), PLAIN);
        for text in [
            FLOOR_RULE.to_owned(),
            limit(r#""max":1"#, r#"{"calendar":"quarter"}"#),
            limit(r#""max":{"default":1,"by_location":{"SFO":2}}"#, day),
            limit(r#""max":1,"messages":{"en":"Full."}"#, day),
            r#"{"tiers":[{"id":"main","messages":{"en":"For members."}}]}"#.to_owned(),
            r#"{"tiers":[{"id":"main","names":{"de":"Große Lounge"}}]}"#.to_owned(),
            r#"{"tiers":[{"id":"main"}],"names":{"zh-hant":"貴賓室"}}"#.to_owned(),
            r#"{"tiers":[{"id":"main"}],"schedule":{"messages":{"en":"Closed."}}}"#.to_owned(),
            r#"{"tiers":[{"id":"main"}],"blackouts":[{"id":"b","yearly":{"from":"12-24","to":"12-26"},"messages":{"en":"Off."}}]}"#.to_owned(),
            r#"{"tiers":[{"id":"main"}],"otherwise":{"offers":[{"text":{"en":"Bar"}}]}}"#.to_owned(),
        ] {
            let rule = parse(&text).unwrap();
            assert_eq!(rule.engine(), FLOOR, "{text}");
            let again = Rule::stored(&Json::parse(rule.canonical()).unwrap(), "x").unwrap();
            assert_eq!((again.engine(), again.hash()), (FLOOR, rule.hash()));
        }
    }

    #[test]
    fn the_short_form_is_the_long_one() {
        let short = parse(r#"{"at_least":40,"score":"klout"}"#).unwrap();
        let long = parse(
            r#"{"score":{"source":"klout"},"tiers":[{"id":"standard","rank":1,"name":"Standard",
                "when":{"value":40.0,"op":"gte","attr":"score"}}],"limits":null}"#,
        )
        .unwrap();
        assert_eq!(short, long);
        assert_eq!(short.hash(), long.hash());
        insta::assert_snapshot!(short.canonical(), @r#"{"limits":[],"rollout":{"percent":100},"schedule":{"closed_dates":[],"open":[{"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"00:00","to":"24:00"}]},"score":{"max_age":null,"on_missing":"deny","on_stale":"deny","source":"klout"},"tiers":[{"id":"standard","name":"Standard","rank":1,"when":{"attr":"score","op":"gte","value":40}}],"time_zone":"UTC","token":{"audience":"sfo-lounge","single_use":true,"ttl":"PT15M"},"valid":{"from":null,"until":null},"when":null}"#);
        insta::assert_snapshot!(short.hash(), @"sha256:042a2fa690be5b437a3870a1b60cecea71a955870e269cb8e3c96fbe4fca4ce4");
        // Whatever stands beside it means what it means in the long form.
        let beside = r#""time_zone":"Asia/Hong_Kong","valid":{"from":"2012-05-08T00:00"},"otherwise":"refer",
            "schedule":{"open":[{"days":["mon"],"from":"09:00","to":"17:00"}]},"rollout":{"percent":50},
            "when":{"attr":"context.terminal","op":"eq","value":"A"},"token":{"ttl":"PT30M"},
            "limits":[{"id":"day","scope":["subject"],"max":1,"window":{"calendar":"day"}}]"#;
        let grown = parse(&format!(
            r#"{{"at_least":40,"score":{{"source":"klout","max_age":"P7D","on_missing":"refer"}},{beside}}}"#
        ));
        let long = parse(&format!(
            r#"{{"score":{{"source":"klout","max_age":"P7D","on_missing":"refer"}},"tiers":[{{"id":"standard",
                "rank":1,"name":"Standard","when":{{"attr":"score","op":"gte","value":40}}}}],{beside}}}"#
        ));
        assert_eq!(grown.unwrap().hash(), long.unwrap().hash());
        let limited = r#"{"at_least":40,"score":"klout","tiers":null,"limits":[]}"#;
        assert_eq!(parse(limited).unwrap().hash(), short.hash());
        assert_ne!(short.hash(), parse(r#"{"at_least":41,"score":"klout"}"#).unwrap().hash());
    }

    #[test]
    fn what_is_left_at_its_default_is_not_in_the_canonical_form() {
        let plain = parse(r#"{"tiers":[{"id":"t"}]}"#).unwrap();
        let spelt = parse(
            r#"{"tiers":[{"id":"t","max_wait":null}],"otherwise":"deny","rollout":{"percent":100},"score":null}"#,
        )
        .unwrap();
        assert_eq!(plain.hash(), spelt.hash());
        assert!(!plain.canonical().contains("otherwise") && !plain.canonical().contains("max_wait"));
        let bands = parse(
            r#"{"tiers":[{"id":"t","max_wait":"PT600S"}],"otherwise":"refer","rollout":{"percent":7},
                "score":{"source":"klout","on_stale":"ignore","on_missing":"refer"}}"#,
        )
        .unwrap();
        assert_eq!(bands.tiers()[0].max_wait, Some(Period::from_seconds(600)));
        assert_eq!((bands.otherwise(), bands.rollout().percent()), (Otherwise::Refer, 7));
        let again = Rule::parse(&Json::parse(bands.canonical()).unwrap(), "elsewhere").unwrap();
        assert_eq!(
            (again.canonical(), again.otherwise(), again.rollout()),
            (bands.canonical(), Otherwise::Refer, bands.rollout())
        );
        assert_eq!(again.tiers()[0].max_wait, bands.tiers()[0].max_wait);
        assert!(
            bands.canonical().contains(r#""max_wait":"PT10M""#) && bands.canonical().contains(r#""otherwise":"refer""#)
        );
    }

    #[test]
    fn a_rule_with_a_piece_of_the_floor_needs_its_reading_and_no_other_does() {
        let plain = parse(LOUNGE).unwrap();
        let without = parse(r#"{"tiers":[{"id":"t"}],"blackouts":[]}"#).unwrap();
        assert_eq!((plain.engine(), without.engine()), (PLAIN, PLAIN));
        assert_eq!(without.hash(), parse(r#"{"tiers":[{"id":"t"}]}"#).unwrap().hash());
        let floor = parse(
            r#"{"tiers":[{"id":"t"}],"time_zone":"Asia/Shanghai","blackouts":[
                {"id":"golden-week","from":"2026-10-01T00:00","until":"2026-10-08T00:00:00"},
                {"id":"new-year","yearly":{"from":"12-31","to":"01-01"}}]}"#,
        )
        .unwrap();
        assert_eq!(floor.engine(), FLOOR);
        let written = r#""blackouts":[{"from":"2026-10-01T00:00:00","id":"golden-week","until":"2026-10-08T00:00:00"},{"id":"new-year","yearly":{"from":"12-31","to":"01-01"}}]"#;
        assert!(floor.canonical().contains(written), "{}", floor.canonical());
        assert_eq!(parse(floor.canonical()).unwrap().blackouts(), floor.blackouts());
    }

    #[test]
    fn a_time_window_is_read_with_its_defaults_and_needs_the_floor() {
        let window =
            |members: &str| with_condition(&format!(r#"{{"attr":"context.departure","op":"within"{members}}}"#));
        let whole = parse(&window(r#","before":"PT180M","after":"PT0S","opens_by":"context.scheduled""#)).unwrap();
        let written = r#"{"after":"PT0S","attr":"context.departure","before":"PT3H","op":"within","opens_by":"context.scheduled"}"#;
        assert!(whole.canonical().contains(written), "{}", whole.canonical());
        assert_eq!(parse(whole.canonical()).unwrap(), whole);
        assert_eq!(whole.engine(), FLOOR);
        assert_eq!(whole.attributes().iter().collect::<Vec<_>>(), ["departure", "scheduled"]);
        assert_eq!(whole.instants(), whole.attributes());
        let short = parse(&window(r#","before":"P14D""#)).unwrap();
        assert_eq!(
            short.hash(),
            parse(&window(r#","before":"PT336H","after":"PT0S","opens_by":null"#)).unwrap().hash()
        );
        // From the one instant to the other.
        assert!(parse(&window(r#","opens_by":"context.scheduled""#)).is_ok());
    }

    #[test]
    fn the_order_of_tiers_does_not_change_the_hash() {
        let tier = |id: &str, rank: u8| format!(r#"{{"id":"{id}","rank":{rank}}}"#);
        let (a, b) = (tier("a", 1), tier("b", 2));
        let one = parse(&format!(r#"{{"tiers":[{a},{b}]}}"#)).unwrap();
        assert_eq!(one.hash(), parse(&format!(r#"{{"tiers":[{b},{a}]}}"#)).unwrap().hash());
    }

    #[track_caller]
    fn expect_refusals<const N: usize>(cases: [(String, &str, &str); N]) {
        for (text, pointer, code) in cases {
            let errors = parse(&text).expect_err(&text);
            assert_eq!((errors[0].path.as_str(), errors[0].code), (pointer, code), "{text} {errors:?}");
            assert_eq!(errors.len(), 1, "{text} {errors:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_at_its_spot() {
        let tier = r#""tiers":[{"id":"t"}]"#;
        let with = |member: &str| format!("{{{tier},{member}}}");
        expect_refusals([
            ("[]".to_owned(), "", "wrong_type"),
            ("{}".into(), "/tiers", "missing"),
            (r#"{"tiers":[]}"#.into(), "/tiers", "empty"),
            (with(r#""tier":1"#), "/tier", "unknown_field"),
            (with(r#""a/b":1"#), "/a~1b", "unknown_field"),
            (with("\"\u{202E}\":1"), "", "unknown_field"),
            (with(r#""time_zone":"Mars/Olympus""#), "/time_zone", "unknown_zone"),
            (with(r#""time_zone":"Etc/Unknown""#), "/time_zone", "unknown_zone"),
            (with(r#""time_zone":"-07:00""#), "/time_zone", "unknown_zone"),
            (with(r#""time_zone":7"#), "/time_zone", "wrong_type"),
            (with(r#""valid":{"from":"2012-05-08"}"#), "/valid/from", "bad_form"),
            (with(r#""valid":{"from":"2012-02-30T00:00"}"#), "/valid/from", "bad_form"),
            (with(r#""valid":{"from":"2012-05-08T00:00Z"}"#), "/valid/from", "bad_form"),
            (with(r#""valid":{"until":"9999-12-31T23:59"}"#), "/valid/until", "bad_form"),
            (with(r#""score":{"source":"Klout"}"#), "/score/source", "bad_form"),
            (with(r#""score":{}"#), "/score/source", "missing"),
            (with(r#""score":{"source":"klout","max_age":"P1M"}"#), "/score/max_age", "bad_form"),
            (with(r#""score":{"source":"klout","on_stale":"grant"}"#), "/score/on_stale", "bad_form"),
            (with(r#""otherwise":"ignore""#), "/otherwise", "bad_form"),
            (with(r#""score":{"source":"klout","on_missing":"allow"}"#), "/score/on_missing", "bad_form"),
            (
                with(r#""schedule":{"open":[{"days":["mon"],"from":"09:00","to":"09:00"}]}"#),
                "/schedule/open/0",
                "empty",
            ),
            (
                with(r#""schedule":{"open":[{"days":["mon"],"from":"24:00","to":"09:00"}]}"#),
                "/schedule/open/0/from",
                "bad_form",
            ),
            (
                with(r#""schedule":{"open":[{"days":["mon"],"from":"9:00","to":"10:00"}]}"#),
                "/schedule/open/0/from",
                "bad_form",
            ),
            (
                with(r#""schedule":{"open":[{"days":["mon"],"from":"09:00","to":"24:01"}]}"#),
                "/schedule/open/0/to",
                "bad_form",
            ),
            (
                with(r#""schedule":{"open":[{"days":["monday"],"from":"09:00","to":"10:00"}]}"#),
                "/schedule/open/0/days/0",
                "bad_form",
            ),
            (
                with(r#""schedule":{"open":[{"days":[],"from":"09:00","to":"10:00"}]}"#),
                "/schedule/open/0/days",
                "empty",
            ),
            (with(r#""schedule":{"closed_dates":["2013-02-29"]}"#), "/schedule/closed_dates/0", "bad_form"),
            (with(r#""token":{"ttl":"PT0S"}"#), "/token/ttl", "out_of_range"),
            (with(r#""token":{"ttl":"PT24H1S"}"#), "/token/ttl", "out_of_range"),
            (with(r#""token":{"audience":"a/b"}"#), "/token/audience", "bad_form"),
            (with(r#""token":{"single_use":1}"#), "/token/single_use", "wrong_type"),
            (with(r#""rollout":{"percent":0.5}"#), "/rollout/percent", "out_of_range"),
            (with(r#""rollout":{}"#), "/rollout/percent", "missing"),
            (with(r#""rollout":{"percent":-1}"#), "/rollout/percent", "out_of_range"),
            (with(r#""rollout":{"percent":101}"#), "/rollout/percent", "out_of_range"),
        ]);
    }

    #[test]
    fn tiers_and_limits_that_do_not_fit_are_refused_at_their_spot() {
        let tier = r#""tiers":[{"id":"t"}]"#;
        let limit = |member: &str| {
            format!(
                r#"{{{tier},"limits":[{{"id":"l","scope":["perk"],"max":1,"window":{{"calendar":"day"}},{member}}}]}}"#
            )
        };
        expect_refusals([
            (r#"{"tiers":[{"id":"a","rank":1},{"id":"a","rank":2}]}"#.into(), "/tiers/1/id", "repeated"),
            (r#"{"tiers":[{"id":"a","rank":1},{"id":"b","rank":1}]}"#.into(), "/tiers/1/rank", "repeated"),
            (r#"{"tiers":[{"id":"a"},{"id":"b","rank":1}]}"#.into(), "/tiers/0/rank", "missing"),
            (r#"{"tiers":[{"id":"a","rank":1.5}]}"#.into(), "/tiers/0/rank", "out_of_range"),
            (r#"{"tiers":[{"id":"A"}]}"#.into(), "/tiers/0/id", "bad_form"),
            ("{\"tiers\":[{\"id\":\"a\u{202E}b\"}]}".into(), "/tiers/0/id", "bad_form"),
            ("{\"tiers\":[{\"id\":\"a\",\"name\":\"a\u{200B}b\"}]}".into(), "/tiers/0/name", "bad_form"),
            (format!(r#"{{"tiers":[{{"id":"{}"}}]}}"#, "a".repeat(300)), "/tiers/0/id", "too_long"),
            (limit(r#""max":0"#).replace(r#""max":1,"#, ""), "/limits/0/max", "out_of_range"),
            (limit(r#""max":1000000001"#).replace(r#""max":1,"#, ""), "/limits/0/max", "out_of_range"),
            (limit(r#""max":-1"#).replace(r#""max":1,"#, ""), "/limits/0/max", "out_of_range"),
            (limit(r#""cost":0"#), "/limits/0/cost", "out_of_range"),
            (limit(r#""cost":"people""#), "/limits/0/cost", "bad_form"),
            (limit(r#""scope":[]"#).replace(r#""scope":["perk"],"#, ""), "/limits/0/scope", "empty"),
            (limit(r#""scope":["perk","perk"]"#).replace(r#""scope":["perk"],"#, ""), "/limits/0/scope/1", "repeated"),
            (limit(r#""scope":["world"]"#).replace(r#""scope":["perk"],"#, ""), "/limits/0/scope/0", "bad_form"),
            (
                limit(r#""cost":1"#).replace(r#""calendar":"day""#, r#""rolling":"PT59S""#),
                "/limits/0/window/rolling",
                "out_of_range",
            ),
            (
                limit(r#""cost":1"#).replace(r#""calendar":"day""#, r#""concurrent":{"max_stay":"P367D"}"#),
                "/limits/0/window/concurrent/max_stay",
                "out_of_range",
            ),
            (
                limit(r#""cost":1"#).replace(r#""calendar":"day""#, r#""calendar":"decade""#),
                "/limits/0/window/calendar",
                "bad_form",
            ),
            (
                limit(r#""cost":1"#).replace(r#""calendar":"day""#, r#""lifetime":false"#),
                "/limits/0/window",
                "bad_form",
            ),
            (r#"{"at_least":40}"#.into(), "/score", "missing"),
            (r#"{"at_least":"40","score":"klout"}"#.into(), "/at_least", "wrong_type"),
            (r#"{"at_least":40,"score":"klout","limit":[]}"#.into(), "/limit", "unknown_field"),
            (r#"{"at_least":40,"score":"klout","limits":[1]}"#.into(), "/limits/0", "wrong_type"),
            (r#"{"at_least":40,"score":"klout","tiers":[{"id":"t"}]}"#.into(), "/tiers", "contradiction"),
            (r#"{"at_least":40,"score":{"max_age":"P7D"}}"#.into(), "/score/source", "missing"),
            (r#"{"at_least":40,"score":7}"#.into(), "/score", "wrong_type"),
            (r#"{"tiers":[{"id":"t","max_wait":"PT0S"}]}"#.into(), "/tiers/0/max_wait", "out_of_range"),
        ]);
    }

    #[test]
    fn conditions_that_do_not_fit_are_refused_at_their_spot() {
        for (when, below, code) in [
            (r#""score""#, "", "wrong_type"),
            (r#"{"attr":"score","op":"gte","value":"40"}"#, "/value", "wrong_type"),
            (r#"{"attr":"score","op":"gte"}"#, "/value", "missing"),
            (r#"{"attr":"score","op":"within","before":"PT1H"}"#, "/op", "operator_not_allowed"),
            (r#"{"attr":"score.age","op":"within","before":"PT1H"}"#, "/op", "operator_not_allowed"),
            (r#"{"attr":"context.party","op":"within","before":"PT1H"}"#, "/op", "operator_not_allowed"),
            (r#"{"attr":"subject.network","op":"within","before":"PT1H"}"#, "/op", "operator_not_allowed"),
            (r#"{"attr":"context.d","op":"within"}"#, "", "empty"),
            (r#"{"attr":"context.d","op":"within","before":"PT0S","after":"PT0S"}"#, "", "empty"),
            (r#"{"attr":"context.d","op":"within","before":"-PT1H"}"#, "/before", "out_of_range"),
            (r#"{"attr":"context.d","op":"within","after":"PT336H1S"}"#, "/after", "out_of_range"),
            (r#"{"attr":"context.d","op":"within","after":"1 hour"}"#, "/after", "bad_form"),
            (r#"{"attr":"context.d","op":"within","before":3}"#, "/before", "wrong_type"),
            (r#"{"attr":"context.d","op":"within","before":"PT1H","value":1}"#, "/value", "unknown_field"),
            (r#"{"attr":"context.d","op":"within","before":"PT1H","ref":"context.e"}"#, "/ref", "unknown_field"),
            (
                r#"{"attr":"context.d","op":"within","before":"PT1H","opens_by":"context.d"}"#,
                "/opens_by",
                "same_attribute",
            ),
            (r#"{"attr":"context.d","op":"within","before":"PT1H","opens_by":"score"}"#, "/opens_by", "wrong_type"),
            (
                r#"{"attr":"context.d","op":"within","before":"PT1H","opens_by":"context.party"}"#,
                "/opens_by",
                "wrong_type",
            ),
            (r#"{"attr":"context.d","op":"eq","value":"x","before":"PT1H"}"#, "/before", "unknown_field"),
            (r#"{"attr":"score","op":"gte","values":[40]}"#, "/values", "unknown_field"),
            (r#"{"attr":"score","op":"gte","value":40,"ref":"context.x"}"#, "/ref", "unknown_field"),
            (r#"{"attr":"context.x","op":"in","ref":"context.y"}"#, "/ref", "unknown_field"),
            (r#"{"attr":"context.x","op":"exists","ref":"context.y"}"#, "/ref", "unknown_field"),
            (r#"{"attr":"score","op":"gte","ref":"score"}"#, "/ref", "same_attribute"),
            (r#"{"attr":"score","op":"gte","ref":"x"}"#, "/ref", "unknown_attribute"),
            (r#"{"attr":"score","op":"gte","ref":"score.age"}"#, "/ref", "wrong_type"),
            (r#"{"attr":"score","op":"eq","ref":"subject.network"}"#, "/ref", "wrong_type"),
            (r#"{"attr":"context.x","op":"lt","ref":"subject.network"}"#, "/ref", "wrong_type"),
            (r#"{"attr":"context.x","op":"contains","ref":"score"}"#, "/ref", "wrong_type"),
            (r#"{"attr":"context.x","op":"eq","ref":"score.age"}"#, "/ref", "wrong_type"),
            (r#"{"attr":"subject.network","op":"gt","ref":"context.x"}"#, "/op", "operator_not_allowed"),
            (r#"{"attr":"score","op":"gte","value":40,"note":"x"}"#, "/note", "unknown_field"),
            (r#"{"attr":"score","op":">=","value":40}"#, "/op", "unknown_operator"),
            (r#"{"attr":"score","op":"contains","value":"4"}"#, "/op", "operator_not_allowed"),
            (r#"{"attr":"score","op":"in","values":[40]}"#, "/op", "operator_not_allowed"),
            (r#"{"attr":"score","op":"eq","value":"40"}"#, "/value", "wrong_type"),
            (r#"{"attr":"score","op":"between","values":[40]}"#, "/values", "empty"),
            (r#"{"attr":"score","op":"between","values":[60,40]}"#, "/values", "out_of_range"),
            (r#"{"attr":"score.age","op":"gt","value":3600}"#, "/value", "wrong_type"),
            (r#"{"attr":"score.age","op":"eq","value":"PT1H"}"#, "/op", "operator_not_allowed"),
            (r#"{"attr":"subject.network","op":"gt","value":1}"#, "/op", "operator_not_allowed"),
            (r#"{"attr":"subject.network","op":"eq","value":1}"#, "/value", "wrong_type"),
            (r#"{"attr":"subject.Handle","op":"exists"}"#, "/attr", "unknown_attribute"),
            (r#"{"attr":"context.Terminal","op":"exists"}"#, "/attr", "unknown_attribute"),
            (r#"{"attr":"context.","op":"exists"}"#, "/attr", "unknown_attribute"),
            (r#"{"attr":"context.a.b","op":"exists"}"#, "/attr", "unknown_attribute"),
            (r#"{"attr":"context.x","op":"exists","value":true}"#, "/value", "unknown_field"),
            (r#"{"attr":"context.x","op":"eq","value":["a"]}"#, "/value", "wrong_type"),
            (r#"{"attr":"context.x","op":"in","values":["a",1]}"#, "/values", "wrong_type"),
            (r#"{"attr":"context.x","op":"in","values":[]}"#, "/values", "empty"),
            (r#"{"attr":"context.x","op":"contains","value":""}"#, "/value", "empty"),
            (r#"{"attr":"context.x","op":"gt","value":"a"}"#, "/value", "wrong_type"),
            (r#"{"attr":"context.party","op":"eq","value":"a"}"#, "/value", "wrong_type"),
            (r#"{"all":[]}"#, "/all", "empty"),
            (r#"{"all":[{"attr":"score","op":"exists"}],"any":[]}"#, "/any", "unknown_field"),
            (r#"{"not":[]}"#, "/not", "wrong_type"),
        ] {
            let errors = parse(&with_condition(when)).expect_err(when);
            assert_eq!((errors[0].path.as_str(), errors[0].code), (&*format!("/tiers/0/when{below}"), code), "{when}");
        }
    }

    #[test]
    fn every_error_is_reported_at_once() {
        let errors = parse(
            r#"{"time_zone":"Nowhere","tiers":[{"id":"A","when":{"attr":"x","op":"y"}},{"id":"b"}],
                "limits":[{"id":"l","max":0}],"rollout":{"percent":101},"extra":1}"#,
        )
        .unwrap_err();
        let errors: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
        assert_eq!(
            errors,
            [
                "/extra",
                "/time_zone",
                "/tiers/0/id",
                "/tiers/0/rank",
                "/tiers/0/when/attr",
                "/tiers/1/rank",
                "/limits/0/scope",
                "/limits/0/max",
                "/limits/0/window",
                "/rollout/percent"
            ]
        );
        let nonsense: Vec<_> = (0..5000).map(|n| format!("\"f{n}\":1")).collect();
        assert_eq!(parse(&format!("{{{}}}", nonsense.join(","))).unwrap_err().len(), 50);
    }

    #[test]
    fn the_64th_leaf_is_taken_and_the_65th_refused() {
        let leaf = r#"{"attr":"score","op":"gte","value":40}"#;
        let tier = |rank: usize, leaves: usize| {
            format!(r#"{{"id":"t{rank}","rank":{rank},"when":{{"all":[{}]}}}}"#, vec![leaf; leaves].join(","))
        };
        let rule = |a: usize, b: usize| {
            format!(r#"{{"score":{{"source":"klout"}},"when":{leaf},"tiers":[{},{}]}}"#, tier(1, a), tier(2, b))
        };
        assert!(parse(&rule(31, 32)).is_ok());
        let errors = parse(&rule(31, 33)).unwrap_err();
        assert_eq!((errors.len(), errors[0].path.as_str(), errors[0].code), (1, "/tiers/1/when/all/32", "too_many"));
    }

    #[test]
    fn conditions_nest_8_deep_and_no_deeper() {
        let deep = |depth: usize| {
            let nots = depth - 1;
            with_condition(&format!(
                r#"{}{{"attr":"score","op":"gte","value":40}}{}"#,
                r#"{"not":"#.repeat(nots),
                "}".repeat(nots)
            ))
        };
        assert!(parse(&deep(8)).is_ok());
        let errors = parse(&deep(9)).unwrap_err();
        assert_eq!((errors.len(), errors[0].code), (1, "too_deep"));
    }

    #[test]
    fn numbers_of_thirty_digits_and_nul_do_not_reach_a_rule() {
        let long = with_condition(r#"{"attr":"score","op":"gte","value":40.000000000000000000000000000001}"#);
        assert_eq!(Json::parse(&long).unwrap_err().pointer(), "/tiers/0/when/value");
        assert!(Json::parse("{\"tiers\":[{\"id\":\"a\\u0000\"}]}").is_err());
        // Zeros at the end are no digits.
        assert!(
            parse(&with_condition(r#"{"attr":"score","op":"gte","value":40.500000000000000000000000000000}"#)).is_ok()
        );
    }

    #[test]
    fn a_condition_on_the_score_needs_a_source() {
        let errors = parse(r#"{"tiers":[{"id":"t","when":{"attr":"score","op":"gte","value":1}}]}"#).unwrap_err();
        assert_eq!((errors[0].path.as_str(), errors[0].code), ("/score", "missing"));
        let rule =
            parse(r#"{"tiers":[{"id":"t","when":{"attr":"context.member","op":"eq","value":"gold"}}]}"#).unwrap();
        assert!(rule.score().is_none() && !rule.looks_at_score());
    }

    #[test]
    fn only_a_rule_that_looks_at_a_boarding_pass_needs_the_newer_reading() {
        let engine = |attr: &str| {
            parse(&with_condition(&format!(r#"{{"attr":"{attr}","op":"eq","value":1}}"#))).map(|rule| rule.engine())
        };
        assert_eq!(engine("context.days_from_today"), Ok(PLAIN));
        assert_eq!(engine("boarding_pass.days_from_today"), Ok(FLOOR));
        let rule = parse(&with_condition(r#"{"attr":"boarding_pass.from","op":"in","values":["SFO","OAK"]}"#)).unwrap();
        let names: Vec<_> = rule.attributes().iter().map(String::as_str).collect();
        assert_eq!((rule.engine(), names), (FLOOR, vec!["boarding_pass.date", "boarding_pass.from"]));
        for (attr, code) in [("boarding_pass.name", "unknown_attribute"), ("boarding_pass.pnr", "unknown_attribute")] {
            let errors = parse(&with_condition(&format!(r#"{{"attr":"{attr}","op":"exists"}}"#))).unwrap_err();
            assert_eq!((errors[0].path.as_str(), errors[0].code), ("/tiers/0/when/attr", code));
        }
    }

    #[test]
    fn an_unknown_zone_gets_a_hint() {
        let zone = |name: &str| parse(&format!(r#"{{"time_zone":"{name}","tiers":[{{"id":"t"}}]}}"#));
        let detail = zone("Los Angeles").unwrap_err().remove(0).detail;
        assert!(detail.ends_with("such as America/Los_Angeles"), "{detail}");
        // Names are known in any case, and kept in their own.
        assert_eq!(zone("asia/hong_kong").unwrap().time_zone().iana_name(), Some("Asia/Hong_Kong"));
    }
}
