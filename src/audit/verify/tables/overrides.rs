//! Overrides against the events of one merchant: each refusal is overridden once, on the terms of the rule that refused it,
//! and its row says what its event says.

use std::collections::{BTreeMap, HashMap};

use crate::audit::reader::body::{Body, CheckFacts};
use crate::audit::verify::findings::{At, FindingPlace, Findings, Wrong};
use crate::audit::verify::store;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::json::Json;
use crate::rules::overrides::OVERRIDE;

/// The overrides of one log, by the check that was refused.
#[derive(Default)]
pub(crate) struct Overrides {
    taken: BTreeMap<String, Expected>,
}

struct Expected {
    perk_id: String,
    perk: String,
    rule_version: i32,
    granted: String,
    grant: String,
    tier: String,
    reason: String,
    by: String,
    at: i64,
    /// The most overrides, as the event says it.
    max: u64,
    /// The limits that it went past.
    past: Vec<String>,
}

impl Overrides {
    /// A check, which may be an override.
    pub(crate) fn take(&mut self, at: At<'_>, body: &Body<'_>, check: &CheckFacts<'_>, findings: &mut Findings) {
        let own = check.limits.iter().find(|limit| *limit.id == *OVERRIDE);
        let Some(reason) = &check.override_reason else {
            if own.is_some() {
                findings.add(at, Wrong::Incoherent { reason: "it counts as an override and is none" });
            }
            return;
        };
        let (Some(refused), Some(grant), Some(own)) = (&check.resolves, &check.grant, own) else {
            let reason = "an override is granted in the place of a refusal, and counted";
            findings.add(at, Wrong::Incoherent { reason });
            return;
        };
        let past = check.limits.iter().filter(|limit| limit.past_max == Some(true));
        let expected = Expected {
            perk_id: check.perk_id.to_string(),
            perk: check.perk.to_string(),
            rule_version: check.rule_version,
            granted: body.about.to_string(),
            grant: grant.id.to_string(),
            tier: check.tier.as_deref().unwrap_or_default().to_owned(),
            reason: reason.to_string(),
            by: body.actor.key.as_deref().unwrap_or(&body.actor.role).to_owned(),
            at: body.at.0,
            max: own.max,
            past: past.map(|limit| limit.id.to_string()).collect(),
        };
        if self.taken.insert(refused.to_string(), expected).is_some() {
            findings.add(at, Wrong::Incoherent { reason: "it overrides what was overridden before" });
        }
    }

    /// Compares with the merchant's rows, and with the rules. `has_gaps`: events that would say more are not here.
    pub(crate) fn close(
        mut self,
        conn: &mut AnyConnection,
        log: &str,
        merchant: &str,
        has_gaps: bool,
        findings: &mut Findings,
    ) -> Result<(), DatabaseError> {
        let mut add = |check: &str, part| {
            findings.add(FindingPlace::log(log), Wrong::Override { check: check.to_owned(), part });
        };
        let mut rules = RulesOfPerks::default();
        for (check, expected) in &self.taken {
            if let Some(part) = rules.objection(conn, expected)? {
                add(check, part);
            }
        }
        let mut last = String::new();
        loop {
            let page = store::list_overrides(conn, merchant, &last)?;
            for row in &page {
                let Some(expected) = self.taken.remove(&row.check_id) else {
                    if !has_gaps {
                        add(&row.check_id, "no event overrides this check");
                    }
                    continue;
                };
                let is_same = expected.perk_id == row.perk_id
                    && expected.perk == row.perk
                    && expected.rule_version == row.rule_version
                    && expected.granted == row.granted_check
                    && expected.grant == row.grant_id
                    && expected.tier == row.tier
                    && expected.reason == row.reason
                    && expected.by == row.overridden_by
                    && expected.at == row.overridden_at;
                if !is_same {
                    add(&row.check_id, "its row says something else");
                }
            }
            if page.len() < store::PAGE {
                break;
            }
            last = page.into_iter().next_back().map(|row| row.check_id).unwrap_or_default();
        }
        for check in self.taken.keys() {
            add(check, "its row is missing");
        }
        Ok(())
    }
}

/// The terms of overriding by perk and version; the texts are held to their hashes elsewhere.
#[derive(Default)]
struct RulesOfPerks(HashMap<String, HashMap<i32, Option<Json>>>);

impl RulesOfPerks {
    /// The reason for which the rule that it cites doesn't let it be.
    fn objection(
        &mut self,
        conn: &mut AnyConnection,
        expected: &Expected,
    ) -> Result<Option<&'static str>, DatabaseError> {
        if !self.0.contains_key(&expected.perk_id) {
            let rules = store::list_rules(conn, &expected.perk_id)?.into_iter();
            let terms = rules.map(|row| {
                let rule = Json::parse(&row.rule).ok();
                (row.version, rule.and_then(|rule| rule.member("override").cloned()))
            });
            self.0.insert(expected.perk_id.clone(), terms.collect());
        }
        let of_perk = self.0.get(&expected.perk_id);
        let Some(terms) = of_perk.and_then(|versions| versions.get(&expected.rule_version)) else {
            // A version that is missing is found where versions are.
            return Ok(None);
        };
        let Some(terms) = terms else { return Ok(Some("its rule lets nobody override")) };
        let lists = |name: &str, wanted: &str| {
            terms
                .member(name)
                .and_then(Json::as_list)
                .is_some_and(|it| it.iter().any(|it| it.as_text() == Some(wanted)))
        };
        let max = i64::try_from(expected.max).ok().map(Json::whole);
        Ok(if !lists("reasons", &expected.reason) {
            Some("its rule doesn't know the reason")
        } else if !lists("tiers", &expected.tier) {
            Some("its rule doesn't let the tier be granted so")
        } else if terms.member("max") != max.as_ref() {
            Some("its rule has another maximum")
        } else if !expected.past.iter().all(|limit| lists("past_limits", limit)) {
            Some("it went past a limit that its rule doesn't let it pass")
        } else {
            None
        })
    }
}
