//! The facts a decision is made from: the score, the subject's network, and what the caller says about the visit.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit};

use super::person::{PersonFacts, RECORDED_OF_ONE, check_value};
use super::reason::ReasonCode;
use crate::foundation::boarding_pass::{BoardingPass, CountingLeg, is_countable};
use crate::foundation::decimal::{Decimal, DecimalError};
use crate::foundation::document::{FieldErrors, Node, below};
use crate::foundation::field_error::FieldError;
use crate::foundation::json::{Json, LooseJson};
use crate::rules::attribute::{Attribute, OCCUPANCY, PARTY, PassField, ValueType, is_context_name};
use crate::rules::condition::MAX_LEAVES;
use crate::rules::limit::{MAX_PARTY, Scope};
use crate::rules::rule::Rule;
use crate::rules::tier::party::Party;
use crate::rules::time_window::read_instant;

const MAX_MEMBERS: usize = 32;

/// The member that says that a boarding pass was shown and no leg of it counts: then nothing of it is known.
const UNDATED: &str = "boarding_pass.undated";

/// Everything that is known at the moment of a check.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub score: Option<ScoreFact>,
    /// The network of the subject's handle, if it has one.
    pub network: Option<String>,
    pub context: Context,
    /// Where the person stands in the perk's rollout, as [`rollout_bucket`](super::rollout::rollout_bucket) says.
    pub rollout_bucket: Option<u16>,
    /// The location of the API key that asks: the caller never says it.
    pub location: Option<String>,
    /// Until when the place is closed, whatever the rule says; an instant that has passed closes nothing.
    pub closed_until: Option<Timestamp>,
}

impl Facts {
    /// Tells whether the place is closed at `now`.
    pub(crate) fn is_closed(&self, now: Timestamp) -> bool {
        self.closed_until.is_some_and(|until| now < until)
    }
}

/// A score, and when its source observed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoreFact {
    pub value: Decimal,
    pub observed_at: Timestamp,
}

impl ScoreFact {
    /// Its age, in microseconds; never negative.
    #[must_use]
    pub fn age_micros(&self, now: Timestamp) -> i64 {
        now.as_microsecond().saturating_sub(self.observed_at.as_microsecond()).max(0)
    }
}

/// The caller's statements about the visit: names and plain values. By default one person comes, and nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    members: BTreeMap<String, Json>,
    /// Numbers that can't be taken exactly: of no matter to a rule that doesn't look at them.
    inexact: BTreeMap<String, DecimalError>,
    /// Those of the members that are instants, read once.
    instants: BTreeMap<String, Timestamp>,
    /// The zone in which the days to a flight are counted, as time goes on.
    zone: Option<TimeZone>,
    party: Party,
    /// The attributes that are kept of the person: none of it is the caller's word.
    person: PersonFacts,
}

/// A value as conditions compare it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    /// In millionths: a score of 47.25 is 47 250 000, an age of a second 1 000 000.
    Number(i64),
    Text(&'a str),
    Bool(bool),
    List(&'a [Json]),
}

impl<'a> Value<'a> {
    fn of(json: &'a Json) -> Option<Self> {
        match json {
            Json::Number(number) => Some(Self::Number(millionths(*number))),
            Json::Text(text) => Some(Self::Text(text)),
            Json::Bool(value) => Some(Self::Bool(*value)),
            Json::List(items) => Some(Self::List(items)),
            Json::Null | Json::Object(_) => None,
        }
    }

    pub(crate) const fn value_type(self) -> ValueType {
        match self {
            Self::Number(_) => ValueType::Number,
            Self::Text(_) => ValueType::Text,
            Self::Bool(_) => ValueType::Boolean,
            Self::List(_) => ValueType::List,
        }
    }
}

/// A decimal in millionths.
pub(crate) const fn millionths(value: Decimal) -> i64 {
    value.thousandths().saturating_mul(1000)
}

impl Context {
    /// Reads a context: up to 32 members, each text, a number, a boolean or a list of up to 20 texts;
    /// `party` is a whole number from 1 to 100.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(json: &Json) -> Result<Self, Vec<FieldError>> {
        Self::read_whole(&Node::root(json))
    }

    /// Reads a context whose numbers may be finer or larger than any that rules compare: which of them matter,
    /// [`Context::check_for`] says when the rule is known.
    ///
    /// # Errors
    /// As [`Context::parse`].
    pub fn parse_loose(loose: &LooseJson) -> Result<Self, Vec<FieldError>> {
        let LooseJson { json, inexact } = loose;
        let (mut errors, mut numbers) = (FieldErrors::default(), BTreeMap::new());
        for (pointer, error) in inexact {
            match pointer.strip_prefix('/') {
                Some(name) if name != PARTY && is_context_name(name) => {
                    numbers.insert(name.to_owned(), *error);
                }
                _ => errors.add(pointer, "invalid_value", format!("this number can't be taken: {error}")),
            }
        }
        let context = Self::read(&Node::root(json), &mut errors);
        errors.unless_any(context.map(|context| Self { inexact: numbers, ..context }))
    }

    /// The same with what is kept of the person.
    #[must_use]
    pub fn of_person(self, person: PersonFacts) -> Self {
        Self { person, ..self }
    }

    /// The attributes that are kept of the person.
    pub(crate) const fn person(&self) -> &PersonFacts {
        &self.person
    }

    /// The same, where days are those of `zone`.
    #[must_use]
    pub fn in_zone(self, zone: &TimeZone) -> Self {
        Self { zone: Some(zone.clone()), ..self }
    }

    /// The same with what the boarding pass says of the leg that counts at `now` in `zone`, for a key of these
    /// `airports`.
    #[must_use]
    pub fn with_pass(self, pass: &BoardingPass, zone: &TimeZone, now: Timestamp, airports: &[String]) -> Self {
        let today = zone.to_datetime(now).date();
        self.in_zone(zone).with_leg(pass, today, airports)
    }

    fn with_leg(mut self, pass: &BoardingPass, today: Date, airports: &[String]) -> Self {
        let Some(CountingLeg { leg, date, days_from_today }) = pass.counting_leg(today, airports) else {
            self.members.insert(UNDATED.to_owned(), Json::Bool(true));
            return self;
        };
        for field in PassField::ALL {
            let text = |text: &str| Some(Json::text(text));
            let value = match field {
                PassField::Carrier => text(&leg.carrier),
                PassField::Flight => text(&leg.flight),
                PassField::Date => text(&date.to_string()),
                PassField::DaysFromToday => Some(Json::whole(i64::from(days_from_today))),
                PassField::From => text(&leg.from),
                PassField::To => text(&leg.to),
                PassField::Compartment => leg.compartment.as_deref().and_then(text),
                PassField::Seat => leg.seat.as_deref().and_then(text),
                PassField::Sequence => leg.sequence.as_deref().and_then(text),
                PassField::Status => leg.status.as_deref().and_then(text),
                PassField::FrequentFlyerAirline => leg.frequent_flyer_airline.as_deref().and_then(text),
                PassField::FrequentFlyer => leg.frequent_flyer.as_deref().and_then(text),
            };
            if let Some(value) = value {
                self.members.insert(field.attribute().to_owned(), value);
            }
        }
        self
    }

    /// The same where the place is so full, in percent; none is not known.
    #[must_use]
    pub fn with_occupancy(mut self, percent: Option<Decimal>) -> Self {
        self.members.extend(percent.map(|percent| (OCCUPANCY.to_owned(), Json::Number(percent))));
        self
    }

    /// True if it is known how full the place is.
    #[must_use]
    pub fn knows_occupancy(&self) -> bool {
        self.members.contains_key(OCCUPANCY)
    }

    /// The days from `now` to the flight, in the zone of its days.
    fn days_to_flight(&self, now: Timestamp) -> Option<i32> {
        let date: Date = self.members.get(PassField::Date.attribute())?.as_text()?.parse().ok()?;
        let today = self.zone.as_ref()?.to_datetime(now).date();
        today.until((Unit::Day, date)).ok().map(|span| span.get_days())
    }

    /// The beginnings of the days that follow `now`: where the days to the flight turn.
    pub(crate) fn midnights(&self, now: Timestamp, days: usize) -> Vec<Timestamp> {
        let Some(zone) = &self.zone else { return Vec::new() };
        let dates = std::iter::successors(zone.to_datetime(now).date().tomorrow().ok(), |date| date.tomorrow().ok());
        let begin = |date: Date| zone.to_ambiguous_timestamp(DateTime::from_parts(date, Time::MIN)).compatible().ok();
        dates.take(days).filter_map(begin).collect()
    }

    /// True if a boarding pass was shown and no leg of it counts.
    #[must_use]
    pub fn is_undated(&self) -> bool {
        self.members.contains_key(UNDATED)
    }

    /// Checks that all numbers that `rule` looks at can be taken as they are, and that what it takes for an instant is one.
    ///
    /// # Errors
    /// Each that can't.
    pub fn check_for(&self, rule: &Rule) -> Result<(), Vec<FieldError>> {
        let looked_at = self.inexact.iter().filter(|(name, _)| rule.attributes().contains(*name));
        let error = |(name, error): (&String, &DecimalError)| {
            FieldError::at(below("", name), "invalid_value", format!("the rule looks at this number, and {error}"))
        };
        let given = rule.instants().iter().filter_map(|name| self.members.get(name).map(|value| (name, value)));
        let no_instants = given.filter(|(name, _)| !self.instants.contains_key(*name)).map(|(name, value)| {
            let code = if matches!(value, Json::Text(_)) { "bad_form" } else { "wrong_type" };
            let detail = "the rule looks at this instant: write it with its offset, in a year from 1 to 9998, such as \
                          2026-12-01T08:00:00Z";
            FieldError::at(below("", name), code, detail)
        });
        let errors: Vec<_> = looked_at.map(error).chain(no_instants).collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Reads a context that was taken before, by whichever build.
    ///
    /// # Errors
    /// As [`Context::parse`].
    pub fn stored(json: &Json) -> Result<Self, Vec<FieldError>> {
        Self::read_whole(&Node::stored(json))
    }

    fn read_whole(node: &Node<'_>) -> Result<Self, Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        let context = Self::read(node, &mut errors);
        errors.unless_any(context)
    }

    fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let given = node.members(errors)?;
        let most = if node.is_stored() {
            // A leaf may look at two of a person's attributes.
            MAX_MEMBERS + PassField::ALL.len() + 2 + RECORDED_OF_ONE * 2 * MAX_LEAVES
        } else {
            MAX_MEMBERS
        };
        if given.len() > most {
            return node.refuse(errors, "too_many", format!("a context has at most {MAX_MEMBERS} members"));
        }
        let mut context = Self::default();
        for (name, _) in given {
            if node.is_stored()
                && let Some(value) = node.member(name)
                && context.person.take(name, &value, errors)
            {
                continue;
            }
            let is_ours = || name == UNDATED || name == OCCUPANCY || PassField::named(name).is_some();
            let is_taken = is_context_name(name) || (node.is_stored() && is_ours());
            if !is_taken {
                // The name itself isn't sent back: it can be long, or look like another.
                errors.add(node.pointer(), "bad_form", "name members with up to 32 of a-z, 0-9 and _, a letter first");
                continue;
            }
            // A member that is null is one that isn't there.
            let Some(value) = node.member(name).filter(|value| *value.json() != Json::Null) else { continue };
            if name == PARTY
                && let Some(party) = value.whole(1..=MAX_PARTY, errors)
            {
                context.party = Party::of(party.unsigned_abs());
            }
            if check_value(&value, errors).is_some() {
                if let Some(instant) = value.json().as_text().and_then(read_instant) {
                    context.instants.insert(name.clone(), instant);
                }
                context.members.insert(name.clone(), value.json().clone());
            }
        }
        Some(context)
    }

    /// The people the check is for, the subject among them.
    #[must_use]
    pub const fn party(&self) -> &Party {
        &self.party
    }

    /// The same for `party`, which conditions see as a number of people.
    #[must_use]
    pub fn with_party(mut self, party: Party) -> Self {
        let size = i64::try_from(party.size()).unwrap_or(MAX_PARTY);
        self.members.insert(PARTY.to_owned(), Json::whole(size));
        Self { party, ..self }
    }

    /// The same for the party that is said beside it; one that the context says too is refused.
    pub fn with_party_read(self, node: &Node<'_>, errors: &mut FieldErrors) -> Option<Self> {
        let party = Party::read(node, errors)?;
        if self.members.contains_key(PARTY) {
            let detail = "the context's `party` says how many come, too: leave one of the two out";
            return node.refuse(errors, "contradiction", detail);
        }
        Some(self.with_party(party))
    }

    /// The names about which something was said.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.members.keys().chain(self.inexact.keys()).map(String::as_str)
    }

    /// The reason for which limits that count by `scope` can't count this visit at `now`, if there is one.
    #[must_use]
    pub fn uncountable(&self, scope: &Scope, now: Timestamp) -> Option<ReasonCode> {
        match scope {
            Scope::BoardingPass => match self.days_to_flight(now) {
                Some(days) if is_countable(days) => None,
                Some(_) => Some(ReasonCode::PassDate),
                None if self.is_undated() => Some(ReasonCode::PassDate),
                None => Some(ReasonCode::AttributeMissing),
            },
            Scope::Context(name) => match self.members.get(name) {
                Some(Json::Text(_) | Json::Number(_) | Json::Bool(_)) => None,
                Some(_) => Some(ReasonCode::AttributeMistyped),
                None => Some(ReasonCode::AttributeMissing),
            },
            Scope::Subject | Scope::Perk | Scope::Tier | Scope::Location | Scope::Kiosk | Scope::Merchant => None,
        }
    }

    /// The members of those names, as an object; what an event keeps.
    #[must_use]
    pub fn only(&self, names: &BTreeSet<String>) -> Json {
        let of_pass = names.iter().any(|name| PassField::named(name).is_some());
        let kept = self.members.iter().filter(|(name, _)| names.contains(*name) || (of_pass && *name == UNDATED));
        let kept = kept.map(|(name, value)| (name.clone(), value.clone()));
        Json::Object(kept.chain(self.person.recorded(names)).collect())
    }
}

impl Facts {
    /// The value of an attribute, if it is known and an instant.
    pub(crate) fn instant(&self, attribute: &Attribute) -> Option<Timestamp> {
        let Attribute::Context(name) = attribute else { return None };
        self.context.instants.get(name).copied()
    }

    /// The value of an attribute, if it is known.
    pub(crate) fn value(&self, attribute: &Attribute, now: Timestamp) -> Option<Value<'_>> {
        match attribute {
            Attribute::Score => self.score.map(|score| Value::Number(millionths(score.value))),
            Attribute::ScoreAge => self.score.map(|score| Value::Number(score.age_micros(now))),
            Attribute::Network => self.network.as_deref().map(Value::Text),
            Attribute::Context(name) if name == PARTY => i64::try_from(self.context.party.size())
                .ok()
                .map(|party| Value::Number(party.saturating_mul(1_000_000))),
            Attribute::BoardingPass(PassField::DaysFromToday) if self.context.zone.is_some() => {
                let days = self.context.days_to_flight(now)?;
                Some(Value::Number(i64::from(days).saturating_mul(1_000_000)))
            }
            Attribute::Subject(name) => Value::of(self.context.person.value(name, now)?),
            Attribute::Context(name) => Value::of(self.context.members.get(name)?),
            Attribute::BoardingPass(field) => Value::of(self.context.members.get(field.attribute())?),
            Attribute::Occupancy => Value::of(self.context.members.get(OCCUPANCY)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Context, Vec<FieldError>> {
        Context::parse(&Json::parse(text).unwrap())
    }

    #[test]
    fn a_context_is_names_and_plain_values() {
        let context =
            parse(r#"{"terminal":"A","vip":true,"seat":12.5,"tags":["gold","sfo"],"party":4,"gone":null}"#).unwrap();
        assert_eq!(context.party(), &Party::of(4));
        let looked_at = ["terminal", "party", "gone", "other"].map(str::to_owned).into();
        assert_eq!(context.only(&looked_at).canonical(), r#"{"party":4,"terminal":"A"}"#);
        assert_eq!(parse("{}").unwrap().party(), &Party::of(1));
    }

    #[test]
    fn a_number_that_cannot_be_taken_matters_only_where_the_rule_looks_at_it() {
        let loose = |text: &str| Context::parse_loose(&LooseJson::parse(text).unwrap());
        let rule = |name: &str| {
            let text = format!(r#"{{"tiers":[{{"id":"t","when":{{"attr":"context.{name}","op":"gte","value":1}}}}]}}"#);
            Rule::parse(&Json::parse(&text).unwrap(), "lounge").unwrap()
        };
        let context = loose(r#"{"lat":37.61882,"lon":1e400,"seat":12}"#).unwrap();
        assert_eq!(context.check_for(&rule("seat")), Ok(()));
        for (name, why) in [("lat", "it has more than three decimals"), ("lon", "it is not a plain decimal number")] {
            let errors = context.check_for(&rule(name)).unwrap_err();
            let detail = format!("the rule looks at this number, and {why}");
            assert_eq!(errors, [FieldError::at(format!("/{name}"), "invalid_value", detail)]);
        }
        assert_eq!(context.names().collect::<Vec<_>>(), ["seat", "lat", "lon"]);
        for (text, pointer) in
            [(r#"{"party":1.00001}"#, "/party"), (r#"{"tags":["a",1.00001]}"#, "/tags/1"), ("1.00001", "")]
        {
            assert_eq!(loose(text).unwrap_err()[0].path.as_str(), pointer, "{text}");
        }
    }

    #[test]
    fn what_a_rule_takes_for_an_instant_must_be_one() {
        let rule = Rule::parse(
            &Json::parse(
                r#"{"tiers":[{"id":"t","when":{"attr":"context.departure","op":"within","before":"PT3H",
                    "opens_by":"context.scheduled"}}]}"#,
            )
            .unwrap(),
            "lounge",
        )
        .unwrap();
        for (context, wanted) in [
            (r#"{"departure":"2026-12-01T08:00:00+01:00","note":"tomorrow"}"#, vec![]),
            ("{}", vec![]),
            (r#"{"departure":"2026-12-01T08:00:00"}"#, vec![("/departure", "bad_form")]),
            (
                r#"{"departure":"0000-12-01T08:00:00Z","scheduled":7}"#,
                vec![("/departure", "bad_form"), ("/scheduled", "wrong_type")],
            ),
            (r#"{"departure":["2026-12-01T08:00:00Z"]}"#, vec![("/departure", "wrong_type")]),
        ] {
            let errors = parse(context).unwrap().check_for(&rule).err().unwrap_or_default();
            let found: Vec<_> = errors.iter().map(|it| (it.path.as_str(), it.code)).collect();
            assert_eq!(found, wanted, "{context}");
        }
    }

    #[test]
    fn what_a_context_cannot_hold_is_refused_at_its_spot() {
        let many: Vec<_> = (0..33).map(|n| format!("\"m{n}\":1")).collect();
        for (text, pointer, code) in [
            ("[]".to_owned(), "", "wrong_type"),
            (r#"{"party":0}"#.into(), "/party", "out_of_range"),
            (r#"{"party":101}"#.into(), "/party", "out_of_range"),
            (r#"{"party":1.5}"#.into(), "/party", "out_of_range"),
            (r#"{"party":"4"}"#.into(), "/party", "wrong_type"),
            (r#"{"Terminal":"A"}"#.into(), "", "bad_form"),
            ("{\"a\u{202E}\":1}".into(), "", "bad_form"),
            (r#"{"a":{"b":1}}"#.into(), "/a", "wrong_type"),
            (r#"{"a":["x",1]}"#.into(), "/a/1", "wrong_type"),
            ("{\"a\":\"x\u{202E}y\"}".into(), "/a", "bad_form"),
            (format!(r#"{{"a":"{}"}}"#, "x".repeat(257)), "/a", "too_long"),
            (format!(r#"{{"a":[{}]}}"#, vec!["\"x\""; 21].join(",")), "/a", "too_many"),
            (format!("{{{}}}", many.join(",")), "", "too_many"),
        ] {
            let errors = parse(&text).expect_err(&text);
            assert_eq!((errors[0].path.as_str(), errors[0].code), (pointer, code), "{text}");
        }
    }
}
