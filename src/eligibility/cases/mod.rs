//! Cases that a merchant writes to test a rule: facts, an instant, and what is to be decided.
//!
//! They are run through the same [`decide`] as every check. Limits are no part of it: they depend on
//! who came before.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::decision::decide::{Decision, decide};
use crate::decision::decided::Decided;
use crate::decision::facts::{Context, Facts, ScoreFact};
use crate::decision::person::PersonFacts;
use crate::decision::reason::ReasonCode;
use crate::foundation::boarding_pass::{AIRPORT_FORM, BoardingPass, MOST_AIRPORTS, airport};
use crate::foundation::clock::from_micros;
use crate::foundation::decimal::DecimalError;
use crate::foundation::document::{FieldErrors, Fields, Node};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{MAX_LABEL, label};
use crate::foundation::json::{Json, LooseJson};
use crate::foundation::period::{LONGEST, Period};
use crate::foundation::subject::SubjectHandle;
use crate::rules::rule::Rule;
use crate::rules::terms::Rollout;
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

/// The decision that a case expects. What is left out may be anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    pub decision: Decision,
    pub tier: Option<String>,
    /// Each code once, whatever the order.
    pub reasons: Option<BTreeSet<&'static str>>,
    pub next_eligible_at: Waiting,
    /// The longest wait that is promised.
    pub max_wait: Option<Period>,
}

/// From when the same facts would be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// Nothing is expected of it.
    Anything,
    /// Waiting must not be enough, within two weeks.
    InVain,
    Until(Timestamp),
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
    let cases = file_fields(&node, &mut errors)
        .and_then(|fields| fields.required("cases", &mut errors))
        .and_then(|cases| cases.list(1..=MAX_CASES, &mut errors))
        .and_then(|cases| {
            // All of them, so that all that is wrong is reported; not `collect`, which stops at the first.
            let read: Vec<_> = cases.iter().map(|case| Case::read(case, &inexact, rule, &mut errors)).collect();
            read.into_iter().collect()
        });
    errors.unless_any(cases)
}

fn file_fields<'a>(node: &Node<'a>, errors: &mut FieldErrors) -> Option<Fields<'a>> {
    node.fields(&["perk_file", "rule", "cases"], errors)
}

/// Tells whether a case's context holds what stands at this pointer.
fn is_of_context(pointer: &str) -> bool {
    let mut steps = pointer.split('/').skip(1);
    steps.next() == Some("cases") && steps.nth(1) == Some("context") && steps.next().is_some()
}

impl Case {
    fn read(node: &Node<'_>, inexact: &Inexact<'_>, rule: &Rule, errors: &mut FieldErrors) -> Option<Self> {
        let fields = node.fields(
            &["name", "at", "subject", "context", "party", "boarding_pass", "airports", "location", "expect"],
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
        let pass = fields.or("boarding_pass", None, |pass| read_pass(&pass, errors).map(Some));
        let airports = fields.or("airports", Vec::new(), |airports| read_airports(&airports, errors));
        let location = fields.or("location", None, |location| read_location(&location, errors).map(Some));
        let expected = fields.required("expect", errors).and_then(|it| Expected::read(&it, rule, errors));
        let Subject { score, network, person, rollout_bucket } = subject?;
        let context = match (context?, pass?, airports?) {
            (context, Some(pass), airports) => context.with_pass(&pass, rule.time_zone(), at?, &airports),
            (context, None, _) => context,
        };
        let context = context.of_person(person);
        let facts = Facts { score, network, context, rollout_bucket: Some(rollout_bucket), location: location? };
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

impl Expected {
    fn read(node: &Node<'_>, rule: &Rule, errors: &mut FieldErrors) -> Option<Self> {
        let fields = node.fields(&["decision", "tier", "reasons", "next_eligible_at", "max_wait"], errors)?;
        let decision = fields.required("decision", errors).and_then(|node| match Decision::parse(node.text(errors)?) {
            Some(decision) => Some(decision),
            None => node.refuse(errors, "bad_form", "use granted, denied or referred"),
        });
        let tier = fields.or("tier", None, |tier| {
            let id = tier.text(errors)?;
            if rule.tier(id).is_none() {
                let tiers: Vec<&str> = rule.tiers().iter().map(|tier| tier.id.as_str()).collect();
                let detail = format!("the rule has no such tier; it has {}", tiers.join(", "));
                return tier.refuse(errors, "unknown_tier", detail);
            }
            Some(Some(id.to_owned()))
        });
        let reasons = fields.or("reasons", None, |reasons| read_reasons(&reasons, errors).map(Some));
        let next = match node.member("next_eligible_at") {
            None => Some(Waiting::Anything),
            Some(next) if *next.json() == Json::Null => Some(Waiting::InVain),
            Some(next) => instant(&next, rule.time_zone(), errors).map(Waiting::Until),
        };
        let max_wait = fields.or("max_wait", None, |wait| Period::read(&wait, LONGEST, errors).map(Some));
        if let (Some(Decision::Denied | Decision::Referred), Some(tier)) = (decision, fields.optional("tier")) {
            tier.refuse::<()>(errors, "one_of", "only who is granted gets a tier: leave it out");
        }
        Some(Self { decision: decision?, tier: tier?, reasons: reasons?, next_eligible_at: next?, max_wait: max_wait? })
    }

    /// Tells whether `decided` is what was expected.
    #[must_use]
    pub fn is_met_by(&self, decided: &Decided) -> bool {
        self.decision == decided.decision
            && self.tier.as_ref().is_none_or(|tier| decided.tier.as_ref() == Some(tier))
            && self.reasons.as_ref().is_none_or(|codes| *codes == codes_of(decided))
            && match self.next_eligible_at {
                Waiting::Anything => true,
                Waiting::InVain => decided.next_eligible_at.is_none(),
                Waiting::Until(at) => decided.next_eligible_at == Some(at),
            }
            && self.max_wait.is_none_or(|wait| decided.max_wait == Some(wait))
    }
}

/// The codes of a decision's reasons, each once.
#[must_use]
pub fn codes_of(decided: &Decided) -> BTreeSet<&'static str> {
    decided.reasons.iter().map(|reason| reason.code.as_str()).collect()
}

fn read_reasons(node: &Node<'_>, errors: &mut FieldErrors) -> Option<BTreeSet<&'static str>> {
    let codes = node.list(0..=ReasonCode::ALL.len(), errors)?;
    let code = |node: &Node<'_>| {
        let text = node.text(errors)?;
        let known = ReasonCode::ALL.map(ReasonCode::as_str);
        let found = known.into_iter().find(|code| *code == text);
        if found.is_none() {
            errors.add(node.pointer(), "bad_form", format!("use one of {}", known.join(", ")));
        }
        found
    };
    let codes: Vec<Option<&'static str>> = codes.iter().map(code).collect();
    codes.into_iter().collect()
}

#[cfg(test)]
mod tests;
