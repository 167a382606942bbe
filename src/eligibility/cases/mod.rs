//! Cases that a merchant writes to test a rule: facts, an instant, and what is to be decided.
//!
//! They are run through the same [`decide`] as every check. Limits are no part of it: they depend on
//! who came before.

mod expected;

pub use expected::{Expected, ExpectedGuests, Waiting, codes_of};

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::decision::decide::decide;
use crate::decision::decided::Decided;
use crate::decision::facts::{Context, Facts, ScoreFact};
use crate::decision::person::PersonFacts;
use crate::foundation::boarding_pass::{AIRPORT_FORM, BoardingPass, MOST_AIRPORTS, airport};
use crate::foundation::clock::from_micros;
use crate::foundation::decimal::{Decimal, DecimalError};
use crate::foundation::document::{FieldErrors, Fields, Node};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{MAX_LABEL, label};
use crate::foundation::json::{Json, LooseJson};
use crate::foundation::period::{LONGEST, Period};
use crate::foundation::subject::SubjectHandle;
use crate::rules::attribute::percent_taken;
use crate::rules::rule::Rule;
use crate::rules::terms::{Fallback, Rollout};
use crate::scores::score::{EARLIEST, ScoreFault};

/// The most cases that one file holds.
pub const MAX_CASES: usize = 100_000;
const MAX_NAME: usize = 200;

/// The numbers of a file that can't be taken, by their pointers.
type Inexact<'a> = BTreeMap<&'a str, DecimalError>;

/// Where the rule stands that the cases are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tested {
    /// In a perk file, by its path from the case file.
    PerkFile(String),
    /// In the case file itself.
    Rule(Json),
}

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    /// Where it stands in the case file.
    pub pointer: String,
    pub at: Timestamp,
    pub facts: Facts,
    pub expected: Expected,
}

/// The rule or perk file that a case file says its cases are about, before they are read.
///
/// # Errors
/// The errors of its outermost members, and numbers that can't be taken where no context says them.
pub fn tested(file: &LooseJson) -> Result<Tested, Vec<FieldError>> {
    let mut errors = FieldErrors::default();
    for (pointer, error) in file.inexact.iter().filter(|(pointer, _)| !is_of_context(pointer)) {
        errors.add(pointer, "invalid_value", format!("this number can't be taken: {error}"));
    }
    let node = Node::root(&file.json);
    let tested = file_fields(&node, &mut errors).and_then(|fields| {
        match (fields.optional("perk_file"), fields.optional("rule")) {
            (Some(path), None) => path.text(&mut errors).map(|path| Tested::PerkFile(path.to_owned())),
            (None, Some(rule)) => Some(Tested::Rule(rule.json().clone())),
            (Some(_), Some(rule)) => rule.refuse(&mut errors, "one_of", "give `perk_file` or `rule`, not both"),
            (None, None) => node.refuse(
                &mut errors,
                "missing",
                "say what is tested: `perk_file` with the path of a perk file, or a `rule`",
            ),
        }
    });
    errors.unless_any(tested)
}

/// Reads the cases of a file; wall times are taken in `rule`'s zone.
///
/// # Errors
/// Everything that is wrong with them, as far as is reported at once.
pub fn read_cases(file: &LooseJson, rule: &Rule) -> Result<Vec<Case>, Vec<FieldError>> {
    let mut errors = FieldErrors::default();
    let node = Node::root(&file.json);
    let inexact: Inexact<'_> = file.inexact.iter().map(|(pointer, error)| (pointer.as_str(), *error)).collect();
    let cases = file_fields(&node, &mut errors).and_then(|fields| {
        let lacking = fields.or("on_missing", PersonFacts::default(), |it| read_on_missing(&it, rule, &mut errors))?;
        let cases = fields.required("cases", &mut errors)?.list(1..=MAX_CASES, &mut errors)?;
        // All of them, so that all that is wrong is reported; not `collect`, which stops at the first.
        let read: Vec<_> = cases.iter().map(|case| Case::read(case, &inexact, rule, &lacking, &mut errors)).collect();
        read.into_iter().collect()
    });
    errors.unless_any(cases)
}

/// The decision about people without a value, by the name of the attribute, as the merchant declares it.
fn read_on_missing(node: &Node<'_>, rule: &Rule, errors: &mut FieldErrors) -> Option<PersonFacts> {
    let mut person = PersonFacts::default();
    for (name, _) in node.members(errors)? {
        let Some(fallback) = node.member(name) else { continue };
        if !rule.of_subject().contains(name) {
            fallback.refuse::<()>(errors, "unknown_attribute", format!("the rule doesn't look at `subject.{name}`"));
        } else if let Some(fallback) = Fallback::read(&fallback, errors) {
            person.want(name, fallback);
        }
    }
    Some(person)
}

fn file_fields<'a>(node: &Node<'a>, errors: &mut FieldErrors) -> Option<Fields<'a>> {
    node.fields(&["perk_file", "rule", "on_missing", "cases"], errors)
}

/// Tells whether a case's context holds what stands at this pointer.
fn is_of_context(pointer: &str) -> bool {
    let mut steps = pointer.split('/').skip(1);
    steps.next() == Some("cases") && steps.nth(1) == Some("context") && steps.next().is_some()
}

impl Case {
    fn read(
        node: &Node<'_>,
        inexact: &Inexact<'_>,
        rule: &Rule,
        lacking: &PersonFacts,
        errors: &mut FieldErrors,
    ) -> Option<Self> {
        let fields = node.fields(
            &[
                "name",
                "at",
                "subject",
                "context",
                "party",
                "occupancy",
                "boarding_pass",
                "airports",
                "location",
                "expect",
            ],
            errors,
        )?;
        let name = fields.required("name", errors).and_then(|name| {
            match name.text(errors).map(|text| label(text, MAX_NAME))? {
                Ok(label) => Some(label),
                Err(error) => name.refuse(errors, "bad_form", error.to_string()),
            }
        });
        let at = fields.required("at", errors).and_then(|at| instant(&at, rule.time_zone(), errors));
        let subject = match fields.optional("subject") {
            None => Some(Subject::default()),
            Some(subject) => Subject::read(&subject, at, rule.time_zone(), errors),
        };
        let context = fields.or("context", Context::default(), |it| read_context(&it, inexact, rule, errors));
        let context = match (context, fields.optional("party")) {
            (Some(context), Some(party)) => context.with_party_read(&party, errors),
            (context, _) => context,
        };
        let occupancy = fields.or("occupancy", None, |it| read_occupancy(&it, errors).map(Some));
        let pass = fields.or("boarding_pass", None, |pass| read_pass(&pass, errors).map(Some));
        let airports = fields.or("airports", Vec::new(), |airports| read_airports(&airports, errors));
        let location = fields.or("location", None, |location| read_location(&location, errors).map(Some));
        let expected = fields.required("expect", errors).and_then(|it| Expected::read(&it, rule, errors));
        let Subject { score, network, mut person, rollout_bucket } = subject?;
        person.want_as(lacking);
        let context = match (context?, pass?, airports?) {
            (context, Some(pass), airports) => context.with_pass(&pass, rule.time_zone(), at?, &airports),
            (context, None, _) => context,
        };
        let context = context.of_person(person).with_occupancy(occupancy?);
        let bucket = Some(rollout_bucket);
        let facts = Facts { score, network, context, rollout_bucket: bucket, location: location?, closed_until: None };
        Some(Self { name: name?, pointer: node.pointer().to_owned(), at: at?, facts, expected: expected? })
    }

    /// Decides the case, and says whether that is what was expected.
    #[must_use]
    pub fn run(&self, rule: &Rule) -> (Decided, bool) {
        let decided = decide(rule, &self.facts, self.at);
        let passed = self.expected.is_met_by(&decided);
        (decided, passed)
    }
}

/// The facts that are known of the person.
#[derive(Default)]
struct Subject {
    score: Option<ScoreFact>,
    network: Option<String>,
    person: PersonFacts,
    /// The first of them, unless the case says that the person is not in the rollout.
    rollout_bucket: u16,
}

impl Subject {
    fn read(node: &Node<'_>, at: Option<Timestamp>, zone: &TimeZone, errors: &mut FieldErrors) -> Option<Self> {
        let fields = node.fields(&["network", "score", "observed_at", "age", "attributes", "in_rollout"], errors)?;
        let network = fields.or("network", None, |network| read_network(&network, errors).map(Some));
        let value = fields.or("score", None, |score| score.number(errors).map(Some));
        let observed = fields.or("observed_at", None, |it| {
            let at = instant(&it, zone, errors)?;
            if at < EARLIEST {
                it.refuse(errors, "out_of_range", ScoreFault::Unobserved.to_string())
            } else {
                Some(Some(at))
            }
        });
        let age = fields.or("age", None, |age| read_age(&age, errors).map(Some));
        let person = fields.or("attributes", PersonFacts::default(), |of| PersonFacts::read(&of, errors));
        let in_rollout = fields.or("in_rollout", true, |it| it.boolean(errors));
        for name in ["observed_at", "age"] {
            if let (Some(needless), Some(None)) = (fields.optional(name), value) {
                needless.refuse::<()>(errors, "one_of", format!("`{name}` is said of a score: add `score`"));
            }
        }
        if let (Some(Some(_)), Some(Some(_)), Some(node)) = (observed, age, fields.optional("age")) {
            node.refuse::<()>(errors, "one_of", "give `observed_at` or `age`, not both");
        }
        let observed_at = match (observed?, age?) {
            (Some(observed), _) => observed,
            (None, Some(age)) => at?.checked_sub(age).ok()?,
            (None, None) => at?,
        };
        Some(Self {
            score: value?.map(|value| ScoreFact { value, observed_at }),
            network: network?,
            person: person?,
            rollout_bucket: if in_rollout? { 0 } else { Rollout::BUCKETS - 1 },
        })
    }
}

fn read_network(node: &Node<'_>, errors: &mut FieldErrors) -> Option<String> {
    let text = node.text(errors)?;
    let handle = format!("{text}:someone").parse::<SubjectHandle>();
    match handle.ok().as_ref().and_then(SubjectHandle::network) {
        Some(normal) if normal == text => Some(text.to_owned()),
        _ => node.refuse(errors, "bad_form", "write a network as it stands before the colon: twitter"),
    }
}

/// A score's age; none at all is `PT0S`.
fn read_age(node: &Node<'_>, errors: &mut FieldErrors) -> Option<SignedDuration> {
    if node.json().as_text().is_some_and(|text| matches!(text, "PT0S" | "P0D")) {
        return Some(SignedDuration::ZERO);
    }
    Period::read(node, LONGEST, errors).map(|period| SignedDuration::from_secs(period.seconds()))
}

/// A boarding pass, of which nothing is repeated; longer than other texts may be.
fn read_pass(node: &Node<'_>, errors: &mut FieldErrors) -> Option<BoardingPass> {
    let Some(text) = node.json().as_text() else { return node.refuse(errors, "wrong_type", "this must be text") };
    match text.parse::<BoardingPass>() {
        Ok(pass) => Some(pass),
        Err(error) => node.refuse(errors, "bad_boarding_pass", error.to_string()),
    }
}

/// The airports of the key that asks.
fn read_airports(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Vec<String>> {
    let airports = node.list(0..=MOST_AIRPORTS, errors)?;
    let read = |node: &Node<'_>| match airport(node.text(errors)?) {
        Some(airport) => Some(airport),
        None => node.refuse(errors, "bad_form", AIRPORT_FORM),
    };
    let read: Vec<_> = airports.iter().map(read).collect();
    read.into_iter().collect()
}

/// How full the place is, in percent.
fn read_occupancy(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Decimal> {
    match percent_taken(node.number(errors)?) {
        Ok(percent) => Some(percent),
        Err(detail) => node.refuse(errors, "out_of_range", detail),
    }
}

/// The location of the key that asks, as a key's is kept.
fn read_location(node: &Node<'_>, errors: &mut FieldErrors) -> Option<String> {
    match label(node.text(errors)?, MAX_LABEL) {
        Ok(location) => Some(location),
        Err(error) => node.refuse(errors, "bad_form", error.to_string()),
    }
}

/// The context as a check takes it, with its errors where they stand in this file.
fn read_context(node: &Node<'_>, inexact: &Inexact<'_>, rule: &Rule, errors: &mut FieldErrors) -> Option<Context> {
    let beginning = format!("{}/", node.pointer());
    let within = inexact.range(beginning.as_str()..).map_while(|(pointer, error)| {
        let below = pointer.strip_prefix(&beginning)?;
        Some((format!("/{below}"), *error))
    });
    let loose = LooseJson { json: node.json().clone(), inexact: within.collect() };
    let read = Context::parse_loose(&loose);
    match read.and_then(|context| context.check_for(rule).map(|()| context)) {
        Ok(context) => Some(context),
        Err(found) => {
            for error in found {
                errors.push(error.below(node.pointer()));
            }
            None
        }
    }
}

/// An instant with its offset, or wall time in the rule's zone; as checks are decided, to the microsecond.
fn instant(node: &Node<'_>, zone: &TimeZone, errors: &mut FieldErrors) -> Option<Timestamp> {
    let text = node.text(errors)?;
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(from_micros(instant.as_microsecond()));
    }
    // A date alone would parse too, and hide a forgotten hour.
    let Some(wall) = text.contains('T').then(|| text.parse::<DateTime>().ok()).flatten() else {
        let detail = "write an instant such as 2012-05-08T17:00:00Z, or wall time in the rule's zone, 2012-05-08T10:00";
        return node.refuse(errors, "bad_form", detail);
    };
    match zone.to_ambiguous_timestamp(wall).unambiguous() {
        Ok(instant) => Some(from_micros(instant.as_microsecond())),
        Err(_) => node.refuse(
            errors,
            "bad_form",
            "the clocks change then, and this hour comes twice or not at all: write it with its offset",
        ),
    }
}

#[cfg(test)]
mod tests;
