//! The caveats that the answer to a trial leaves open, said beside it: nobody should take it for more than it is.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::population::Warning;
use super::rule_selection::Chosen;
use super::trial::Trial;
use crate::decision::facts::ScoreFact;
use crate::decision::person::PersonFacts;
use crate::foundation::json::Json;
use crate::perks::closures::Closure;
use crate::perks::perk::{PerkStatus, RuleVersion, VersionStatus};
use crate::rules::attribute::ValueType;
use crate::rules::declared::{DeclaredAttributes, type_name};
use crate::rules::limit::Limit;
use crate::rules::rule::Rule;
use crate::rules::terms::Fallback;
use crate::rules::tier::Tier;
use crate::rules::tier::party::Party;

/// The obstacles to a party at any time: limits that are too small for it, or guests whom no tier admits.
pub(super) fn party_never_fits(rule: &Rule, party: &Party) -> Vec<Warning> {
    let warn = |detail| Warning { code: "party_never_fits", detail };
    let size = party.size();
    // Where each tier counts other guests, or turns the party away, one that fits is enough.
    let counted = |tier: &Tier| tier.over_by(party).is_none().then(|| tier.admitted(party).counted());
    let Some(least) = rule.tiers().iter().filter_map(counted).min() else {
        return vec![warn(format!("A party of {size} brings more guests than any tier admits."))];
    };
    let of_limit = |limit: &'_ Limit| {
        let too_small = limit.max.each().filter(|(location, _)| limit.never_fits(least, *location));
        let of_location = |(location, most): (Option<&str>, u64)| {
            let (id, here) = (&limit.id, location.map(|location| format!(" at {location}")).unwrap_or_default());
            warn(format!(
                "A check for a party of {size} is denied{here}: the limit `{id}` admits at most {most} at once."
            ))
        };
        too_small.map(of_location).collect::<Vec<_>>()
    };
    rule.limits().iter().flat_map(of_limit).collect()
}

/// Which version decides at an instant, from all of a perk's versions in any order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deciding {
    at: Timestamp,
    /// Since when, and which.
    found: Option<(Timestamp, i32)>,
    tried: Option<i32>,
    /// True if the version that is tried is one that decided, decides or will: of a draft everybody
    /// knows that it doesn't.
    is_one: bool,
}

impl Deciding {
    pub(super) const fn at(at: Timestamp, tried: Option<i32>) -> Self {
        Self { at, found: None, tried, is_one: false }
    }

    pub(super) fn meet(&mut self, version: &RuleVersion) {
        let since = match version.status {
            VersionStatus::Draft | VersionStatus::InReview | VersionStatus::Approved => return,
            VersionStatus::Scheduled => version.scheduled.as_ref().map(|scheduled| scheduled.at),
            VersionStatus::Published | VersionStatus::Retired => version.published_at,
        };
        self.is_one |= self.tried == Some(version.version);
        if let Some(since) = since.filter(|since| *since <= self.at) {
            self.found = self.found.max(Some((since, version.version)));
        }
    }

    fn caveat(self) -> Option<Warning> {
        let tried = self.tried.filter(|_| self.is_one)?;
        match self.found {
            Some((_, found)) if found == tried => None,
            Some((since, found)) => Some(Warning {
                code: "other_version_decides",
                detail: format!(
                    "At {} version {found} decides, since {since}; this is what version {tried} says.",
                    self.at
                ),
            }),
            None => Some(Warning {
                code: "no_version_decides",
                detail: format!("At {} no version decides yet; this is what version {tried} says.", self.at),
            }),
        }
    }
}

/// The caveats about one subject's trial. `known`: the subject's own score, as it is kept now.
pub(super) fn caveats_of(chosen: &Chosen, trial: &Trial, known: Option<ScoreFact>, deciding: Deciding) -> Vec<Warning> {
    let at = deciding.at;
    let mut warnings: Vec<Warning> = status_of(chosen, at).into_iter().chain(deciding.caveat()).collect();
    let mut warn = |code, detail: String| warnings.push(Warning { code, detail });
    if trial.score.is_some() && chosen.source.is_none() {
        let detail = "No condition of this rule looks at a score, so the one that was given changes nothing.";
        warn("score_unused", detail.to_owned());
    }
    match (chosen.rule.looks_at_occupancy(), trial.context.knows_occupancy()) {
        (true, false) => {
            let detail = "Nobody counts who is inside here, and it was not said how full it is: what the rule asks of it \
                          is missing.";
            warn("occupancy_unknown", detail.to_owned());
        }
        (false, true) => {
            let detail = "No condition of this rule looks at how full it is, so what was given changes nothing.";
            warn("occupancy_unused", detail.to_owned());
        }
        _ => {}
    }
    for name in trial.attributes.names().filter(|name| !chosen.rule.of_subject().contains(*name)) {
        let detail = format!("No condition of this rule looks at `subject.{name}`, so what was given changes nothing.");
        warn("attribute_unused", detail);
    }
    if let Some(score) = known.filter(|score| score.observed_at > at) {
        let detail = format!(
            "The score is the one that is kept now, observed at {}; what it was at {at} is not kept. Give a score to \
             assume one.",
            score.observed_at
        );
        warn("score_is_newer", detail);
    }
    if !chosen.rule.limits().is_empty() && trial.subject.is_none() {
        let detail = "Limits count people: name a subject to see what is left of them.";
        warn("limits_not_applied", detail.to_owned());
    }
    let percent = chosen.rule.rollout().percent();
    if trial.subject.is_none() && percent < 100 {
        let detail = format!(
            "The rule lets {percent} % of people in, by a hash of who they are: without a subject nobody is among \
             them. Name one to see."
        );
        warn("rollout_not_applied", detail);
    }
    warnings
}

/// The warning that nothing but scores is known of people, and what becomes of them as attributes are declared.
pub(super) fn attributes_unknown(rule: &Rule, person: &PersonFacts) -> Option<Warning> {
    let mut detail = "Only scores are looked at, so every other attribute is missing for everyone here.".to_owned();
    for (name, fallback) in person.wanted().filter(|(name, _)| rule.of_subject().contains(*name)) {
        let becomes = if fallback == Fallback::Refer { "referred" } else { "denied" };
        let _ = write!(detail, " As `subject.{name}` is declared, all who have none are {becomes}.");
    }
    (!rule.of_subject().is_empty()).then_some(Warning { code: "attributes_unknown", detail })
}

/// The warning that what is kept of an attribute was recorded after `at`.
pub(super) fn attribute_is_newer(name: &str, at: Timestamp) -> Warning {
    let detail = format!(
        "The value of `subject.{name}` is the one that is kept now, recorded after {at}; what it was then is not kept. \
         Give `attributes` to assume one."
    );
    Warning { code: "attribute_is_newer", detail }
}

/// The warning that nobody is let in at `location` at the instant, whatever the rule says.
pub(super) fn place_closed(closures: &[Closure], location: Option<&str>, at: Timestamp) -> Option<Warning> {
    let closes = closures.iter().filter(|closure| closure.made_at <= at && closure.closes(location, at));
    let until = closes.map(|closure| closure.until).max()?;
    let detail =
        format!("The place is closed until {until}: every check there is denied by then, whatever the rule says.");
    Some(Warning { code: "place_closed", detail })
}

/// The warnings of values that no feed could have said, as they are not of the declared type.
pub(super) fn attributes_of_other_types<'a>(
    given: &'a PersonFacts,
    declared: &'a DeclaredAttributes,
) -> impl Iterator<Item = Warning> + 'a {
    given.values().filter_map(|(name, value)| {
        let wanted = declared.get(name)?.value_type;
        let is_of_type = match value {
            Json::Text(_) => wanted == ValueType::Text,
            Json::Number(_) => wanted == ValueType::Number,
            Json::Bool(_) => wanted == ValueType::Boolean,
            Json::List(_) => wanted == ValueType::List,
            Json::Object(_) | Json::Null => false,
        };
        let detail = format!(
            "`subject.{name}` is declared as {}, and another type was given: no feed could say that.",
            type_name(wanted)
        );
        (!is_of_type).then_some(Warning { code: "attribute_of_other_type", detail })
    })
}

/// The warning of what the log no longer knows of the past, if anything.
pub(super) fn limits_not_known(limits: &[String], at: Timestamp) -> Option<Warning> {
    let names = limits.iter().map(|limit| format!("`{limit}`")).collect::<Vec<_>>().join(", ");
    (!limits.is_empty()).then(|| Warning {
        code: "limits_not_known",
        detail: format!(
            "What had been used of {names} by {at} is not known any more: the bodies of checks that counted were \
             pruned from the log. This is what is decided without."
        ),
    })
}

/// The rule is not all: a perk that is not on offer denies everyone.
fn status_of(chosen: &Chosen, at: Timestamp) -> Option<Warning> {
    let perk = &chosen.perk;
    let since = perk.status_changed.as_ref()?.at;
    let what = match perk.status {
        PerkStatus::Active => "resumed",
        PerkStatus::Paused => "paused",
        PerkStatus::Retired => "retired",
    };
    let (code, detail) = match perk.status {
        _ if since > at => {
            let then = "whether it was on offer then is not looked at";
            ("status_is_newer", format!("The perk was {what} at {since}, after {at}: {then}."))
        }
        PerkStatus::Active => return None,
        PerkStatus::Paused => {
            let means = "every check is denied, whatever the rule says";
            ("perk_paused", format!("The perk is paused since {since}: {means}."))
        }
        PerkStatus::Retired => {
            ("perk_retired", format!("The perk is retired since {since}: nobody can ask for it any more."))
        }
    };
    Some(Warning { code, detail })
}
