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
use crate::decision::reason::ReasonCode;
use crate::foundation::decimal::DecimalError;
use crate::foundation::document::{Fields, Issue, Issues, Spot};
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
    /// Waiting must not be enough.
    InVain,
    Until(Timestamp),
}

/// The rule or perk file that a case file says its cases are about, before they are read.
///
/// # Errors
/// The issues with its outermost members, and numbers that can't be taken where no context says them.
pub fn tested(file: &LooseJson) -> Result<Tested, Vec<Issue>> {
    let mut issues = Issues::default();
    for (pointer, error) in file.inexact.iter().filter(|(pointer, _)| !is_of_context(pointer)) {
        issues.add(pointer, "invalid_value", format!("this number can't be taken: {error}"));
    }
    let spot = Spot::root(&file.json);
    let tested = file_fields(&spot, &mut issues).and_then(|fields| {
        match (fields.optional("perk_file"), fields.optional("rule")) {
            (Some(path), None) => path.text(&mut issues).map(|path| Tested::PerkFile(path.to_owned())),
            (None, Some(rule)) => Some(Tested::Rule(rule.json().clone())),
            (Some(_), Some(rule)) => rule.refuse(&mut issues, "one_of", "give `perk_file` or `rule`, not both"),
            (None, None) => spot.refuse(
                &mut issues,
                "missing",
                "say what is tested: `perk_file` with the path of a perk file, or a `rule`",
            ),
        }
    });
    issues.unless_any(tested)
}

/// Reads the cases of a file; wall times are taken in `rule`'s zone.
///
/// # Errors
/// Everything that is wrong with them, as far as is reported at once.
pub fn read_cases(file: &LooseJson, rule: &Rule) -> Result<Vec<Case>, Vec<Issue>> {
    let mut issues = Issues::default();
    let spot = Spot::root(&file.json);
    let inexact: Inexact<'_> = file.inexact.iter().map(|(pointer, error)| (pointer.as_str(), *error)).collect();
    let cases = file_fields(&spot, &mut issues)
        .and_then(|fields| fields.required("cases", &mut issues))
        .and_then(|cases| cases.list(1..=MAX_CASES, &mut issues))
        .and_then(|cases| {
            // All of them, so that all that is wrong is reported; not `collect`, which stops at the first.
            let read: Vec<_> = cases.iter().map(|case| Case::read(case, &inexact, rule, &mut issues)).collect();
            read.into_iter().collect()
        });
    issues.unless_any(cases)
}

fn file_fields<'a>(spot: &Spot<'a>, issues: &mut Issues) -> Option<Fields<'a>> {
    spot.fields(&["perk_file", "rule", "cases"], issues)
}

/// Tells whether a case's context holds what stands at this pointer.
fn is_of_context(pointer: &str) -> bool {
    let mut steps = pointer.split('/').skip(1);
    steps.next() == Some("cases") && steps.nth(1) == Some("context") && steps.next().is_some()
}

impl Case {
    fn read(spot: &Spot<'_>, inexact: &Inexact<'_>, rule: &Rule, issues: &mut Issues) -> Option<Self> {
        let fields = spot.fields(&["name", "at", "subject", "context", "expect"], issues)?;
        let name = fields.required("name", issues).and_then(|name| {
            match name.text(issues).map(|text| crate::foundation::ids::label(text, MAX_NAME))? {
                Ok(label) => Some(label),
                Err(error) => name.refuse(issues, "bad_form", error.to_string()),
            }
        });
        let at = fields.required("at", issues).and_then(|at| instant(&at, rule.time_zone(), issues));
        let subject = match fields.optional("subject") {
            None => Some(Subject::default()),
            Some(subject) => Subject::read(&subject, at, rule.time_zone(), issues),
        };
        let context = fields.or("context", Context::default(), |it| read_context(&it, inexact, rule, issues));
        let expected = fields.required("expect", issues).and_then(|it| Expected::read(&it, rule, issues));
        let Subject { score, network, rollout_bucket } = subject?;
        let facts = Facts { score, network, context: context?, rollout_bucket: Some(rollout_bucket) };
        Some(Self { name: name?, pointer: spot.pointer().to_owned(), at: at?, facts, expected: expected? })
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
    /// The first of them, unless the case says that the person is not in the rollout.
    rollout_bucket: u16,
}

impl Subject {
    fn read(spot: &Spot<'_>, at: Option<Timestamp>, zone: &TimeZone, issues: &mut Issues) -> Option<Self> {
        let fields = spot.fields(&["network", "score", "observed_at", "age", "in_rollout"], issues)?;
        let network = fields.or("network", None, |network| read_network(&network, issues).map(Some));
        let value = fields.or("score", None, |score| score.number(issues).map(Some));
        let observed = fields.or("observed_at", None, |it| {
            let at = instant(&it, zone, issues)?;
            if at < EARLIEST {
                it.refuse(issues, "out_of_range", ScoreFault::Unobserved.to_string())
            } else {
                Some(Some(at))
            }
        });
        let age = fields.or("age", None, |age| read_age(&age, issues).map(Some));
        let in_rollout = fields.or("in_rollout", true, |it| it.boolean(issues));
        for name in ["observed_at", "age"] {
            if let (Some(needless), Some(None)) = (fields.optional(name), value) {
                needless.refuse::<()>(issues, "one_of", format!("`{name}` is said of a score: add `score`"));
            }
        }
        if let (Some(Some(_)), Some(Some(_)), Some(spot)) = (observed, age, fields.optional("age")) {
            spot.refuse::<()>(issues, "one_of", "give `observed_at` or `age`, not both");
        }
        let observed_at = match (observed?, age?) {
            (Some(observed), _) => observed,
            (None, Some(age)) => at?.checked_sub(age).ok()?,
            (None, None) => at?,
        };
        Some(Self {
            score: value?.map(|value| ScoreFact { value, observed_at }),
            network: network?,
            rollout_bucket: if in_rollout? { 0 } else { Rollout::BUCKETS - 1 },
        })
    }
}

fn read_network(spot: &Spot<'_>, issues: &mut Issues) -> Option<String> {
    let text = spot.text(issues)?;
    let handle = format!("{text}:someone").parse::<SubjectHandle>();
    match handle.ok().as_ref().and_then(SubjectHandle::network) {
        Some(normal) if normal == text => Some(text.to_owned()),
        _ => spot.refuse(issues, "bad_form", "write a network as it stands before the colon: twitter"),
    }
}

/// A score's age; none at all is `PT0S`.
fn read_age(spot: &Spot<'_>, issues: &mut Issues) -> Option<SignedDuration> {
    if spot.json().as_text().is_some_and(|text| matches!(text, "PT0S" | "P0D")) {
        return Some(SignedDuration::ZERO);
    }
    Period::read(spot, LONGEST, issues).map(|period| SignedDuration::from_secs(period.seconds()))
}

/// The context as a check takes it, with its complaints where they stand in this file.
fn read_context(spot: &Spot<'_>, inexact: &Inexact<'_>, rule: &Rule, issues: &mut Issues) -> Option<Context> {
    let beginning = format!("{}/", spot.pointer());
    let within = inexact.range(beginning.as_str()..).map_while(|(pointer, error)| {
        let below = pointer.strip_prefix(&beginning)?;
        Some((format!("/{below}"), *error))
    });
    let loose = LooseJson { json: spot.json().clone(), inexact: within.collect() };
    let read = Context::parse_loose(&loose);
    match read.and_then(|context| context.check_for(rule).map(|()| context)) {
        Ok(context) => Some(context),
        Err(found) => {
            for issue in found {
                issues.add(&format!("{}{}", spot.pointer(), issue.pointer), issue.code, issue.detail);
            }
            None
        }
    }
}

/// An instant with its offset, or wall time in the rule's zone.
fn instant(spot: &Spot<'_>, zone: &TimeZone, issues: &mut Issues) -> Option<Timestamp> {
    let text = spot.text(issues)?;
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant);
    }
    // A date alone would parse too, and hide a forgotten hour.
    let Some(wall) = text.contains('T').then(|| text.parse::<DateTime>().ok()).flatten() else {
        let detail = "write an instant such as 2012-05-08T17:00:00Z, or wall time in the rule's zone, 2012-05-08T10:00";
        return spot.refuse(issues, "bad_form", detail);
    };
    match zone.to_ambiguous_timestamp(wall).unambiguous() {
        Ok(instant) => Some(instant),
        Err(_) => spot.refuse(
            issues,
            "bad_form",
            "the clocks change then, and this hour comes twice or not at all: write it with its offset",
        ),
    }
}

impl Expected {
    fn read(spot: &Spot<'_>, rule: &Rule, issues: &mut Issues) -> Option<Self> {
        let fields = spot.fields(&["decision", "tier", "reasons", "next_eligible_at", "max_wait"], issues)?;
        let decision = fields.required("decision", issues).and_then(|spot| match Decision::parse(spot.text(issues)?) {
            Some(decision) => Some(decision),
            None => spot.refuse(issues, "bad_form", "use granted, denied or referred"),
        });
        let tier = fields.or("tier", None, |tier| {
            let id = tier.text(issues)?;
            if rule.tier(id).is_none() {
                let tiers: Vec<&str> = rule.tiers().iter().map(|tier| tier.id.as_str()).collect();
                let detail = format!("the rule has no such tier; it has {}", tiers.join(", "));
                return tier.refuse(issues, "unknown_tier", detail);
            }
            Some(Some(id.to_owned()))
        });
        let reasons = fields.or("reasons", None, |reasons| read_reasons(&reasons, issues).map(Some));
        let next = match spot.member("next_eligible_at") {
            None => Some(Waiting::Anything),
            Some(next) if *next.json() == Json::Null => Some(Waiting::InVain),
            Some(next) => instant(&next, rule.time_zone(), issues).map(Waiting::Until),
        };
        let max_wait = fields.or("max_wait", None, |wait| Period::read(&wait, LONGEST, issues).map(Some));
        if let (Some(Decision::Denied | Decision::Referred), Some(tier)) = (decision, fields.optional("tier")) {
            tier.refuse::<()>(issues, "one_of", "only who is granted gets a tier: leave it out");
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

fn read_reasons(spot: &Spot<'_>, issues: &mut Issues) -> Option<BTreeSet<&'static str>> {
    let codes = spot.list(0..=ReasonCode::ALL.len(), issues)?;
    let code = |spot: &Spot<'_>| {
        let text = spot.text(issues)?;
        let known = ReasonCode::ALL.map(ReasonCode::as_str);
        let found = known.into_iter().find(|code| *code == text);
        if found.is_none() {
            issues.add(spot.pointer(), "bad_form", format!("use one of {}", known.join(", ")));
        }
        found
    };
    let codes: Vec<Option<&'static str>> = codes.iter().map(code).collect();
    codes.into_iter().collect()
}

#[cfg(test)]
mod tests;
