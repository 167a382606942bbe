//! Overrides against the events of one merchant: each is of a refusal before it, about the same person, perk and version,
//! within its time and once; on the terms of that version; and its row says what its event says. Paid entries are held to
//! terms of their own, and no payment lets two people in.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::audit::reader::body::{Body, CheckFacts};
use crate::audit::verify::findings::{At, FindingPlace, Findings, Wrong};
use crate::audit::verify::fingerprints::{ByFingerprint, Fingerprints};
use crate::audit::verify::missing_events::Gaps;
use crate::audit::verify::store;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::json::Json;
use crate::foundation::subject::Pseudonym;
use crate::ledger::payment::{REASON, reference_digest};
use crate::ledger::store::overrides::OverrideRow;
use crate::rules::limit::{Place, ScopeDigests};
use crate::rules::overrides::{OVERRIDE, OverrideTerms, PAID};
use crate::rules::rule::Rule;

/// The time in which a refusal can be overridden.
const OPEN_FOR: SignedDuration = SignedDuration::from_mins(30);
/// A refusal is remembered for longer than that, as the clocks of replicas differ.
const REMEMBERED_FOR: SignedDuration = SignedDuration::from_hours(2);

/// The overrides of one log, by the check that was refused.
pub(crate) struct Overrides {
    fingerprints: Fingerprints,
    taken: BTreeMap<String, Expected>,
    /// The refusals of the last hours, which are forgotten in the order in which they were made.
    refused: ByFingerprint<u128, Refused>,
    order: VecDeque<(i64, u128)>,
    /// The payments that let someone in.
    payments: HashSet<u128>,
}

/// A refusal that may be overridden.
struct Refused {
    /// Its person, perk, version and place.
    about: u128,
    at: i64,
    /// A person has granted it.
    is_granted: bool,
}

struct Expected {
    perk_id: String,
    perk: String,
    rule_version: i32,
    granted: String,
    grant: String,
    subject: String,
    location: Option<String>,
    kiosk: Option<String>,
    tier: String,
    reason: String,
    by: String,
    at: i64,
    /// Where it is counted, and the most overrides there, as the event says it.
    scope: String,
    window: String,
    cost: u64,
    max: u64,
    /// The limits that it went past.
    past: Vec<String>,
    /// Paid entries only.
    paid: Option<Paid>,
}

struct Paid {
    amount: String,
    currency: String,
    reference_sha256: String,
}

impl Overrides {
    pub(crate) fn new(fingerprints: Fingerprints) -> Self {
        let (taken, refused) = (BTreeMap::new(), ByFingerprint::default());
        Self { fingerprints, taken, refused, order: VecDeque::new(), payments: HashSet::new() }
    }

    /// A check, which may be an override, or a refusal that is overridden after.
    pub(crate) fn take(
        &mut self,
        at: At<'_>,
        body: &Body<'_>,
        check: &CheckFacts<'_>,
        gaps: &Gaps,
        findings: &mut Findings,
    ) {
        self.remember(body, check);
        if let Some(asked) = check.resolves.as_ref().filter(|_| check.override_reason.is_none()) {
            let key = self.fingerprints.of(&[asked]);
            if let Some(refused) = self.refused.get_mut(&key) {
                refused.is_granted = true;
            }
            if self.taken.contains_key(&**asked) {
                findings.add(at, Wrong::Incoherent { reason: "a person granted what a desk had overridden" });
            }
        }
        let is_own = |id: &str| if check.paid.is_some() { id == PAID } else { id == OVERRIDE };
        let own = check.limits.iter().find(|limit| is_own(&limit.id));
        let Some(reason) = &check.override_reason else {
            if check.paid.is_some() || check.limits.iter().any(|limit| matches!(&*limit.id, OVERRIDE | PAID)) {
                findings.add(at, Wrong::Incoherent { reason: "it counts as an override and is none" });
            }
            return;
        };
        let (Some(refused), Some(grant), Some(own)) = (&check.resolves, &check.grant, own) else {
            let reason = "an override is granted in the place of a refusal, and counted";
            findings.add(at, Wrong::Incoherent { reason });
            return;
        };
        if let Some(reason) = self.contradiction(body, check, refused, gaps) {
            findings.add(at, Wrong::Incoherent { reason });
        }
        let paid = check.paid.as_ref().map(|paid| Paid {
            amount: paid.amount.to_string(),
            currency: paid.currency.to_string(),
            reference_sha256: paid.reference_sha256.to_string(),
        });
        if let Some(paid) = &paid
            && !self.payments.insert(self.fingerprints.of(&[&paid.reference_sha256]))
        {
            findings.add(at, Wrong::Incoherent { reason: "its payment let someone in before" });
        }
        let past = check.limits.iter().filter(|limit| limit.past_max == Some(true));
        let expected = Expected {
            perk_id: check.perk_id.to_string(),
            perk: check.perk.to_string(),
            rule_version: check.rule_version,
            granted: body.about.to_string(),
            grant: grant.id.to_string(),
            subject: check.subject.to_string(),
            location: check.location.as_deref().map(str::to_owned),
            kiosk: check.kiosk.as_deref().map(str::to_owned),
            tier: check.tier.as_deref().unwrap_or_default().to_owned(),
            reason: reason.to_string(),
            by: body.actor.name(),
            at: body.at.0,
            scope: own.scope.to_string(),
            window: own.window.to_string(),
            cost: own.cost,
            max: own.max,
            past: past.map(|limit| limit.id.to_string()).collect(),
            paid,
        };
        if self.taken.insert(refused.to_string(), expected).is_some() {
            findings.add(at, Wrong::Incoherent { reason: "it overrides what was overridden before" });
        }
    }

    /// Keeps a refusal for as long as it can be overridden.
    fn remember(&mut self, body: &Body<'_>, check: &CheckFacts<'_>) {
        let forgotten = body.at.0.saturating_sub(micros(REMEMBERED_FOR));
        while let Some((_, key)) = self.order.pop_front_if(|(at, _)| *at < forgotten) {
            self.refused.remove(&key);
        }
        if &*check.decision == "denied" {
            let (key, about) = (self.fingerprints.of(&[&body.about]), self.about(check));
            self.refused.insert(key, Refused { about, at: body.at.0, is_granted: false });
            self.order.push_back((body.at.0, key));
        }
    }

    fn about(&self, check: &CheckFacts<'_>) -> u128 {
        let version = check.rule_version.to_string();
        let [location, kiosk] = [&check.location, &check.kiosk].map(|place| place.as_deref().unwrap_or_default());
        self.fingerprints.of(&[&*check.subject, &*check.perk_id, &*check.rule_hash, &version, location, kiosk])
    }

    /// The reason for which it can't be an override of this refusal.
    fn contradiction(
        &self,
        body: &Body<'_>,
        check: &CheckFacts<'_>,
        refused: &str,
        gaps: &Gaps,
    ) -> Option<&'static str> {
        let Some(known) = self.refused.get(&self.fingerprints.of(&[refused])) else {
            let may_lack = gaps.may_hold(body.at.0.saturating_sub(micros(OPEN_FOR)));
            return (!may_lack).then_some("no refusal is before it, within its time, that it overrides");
        };
        if known.about != self.about(check) {
            Some("what it overrides is about another person, perk, version or place")
        } else if body.at.0.saturating_sub(known.at) > micros(OPEN_FOR) {
            Some("it overrides what was refused too long before")
        } else if known.is_granted {
            Some("it overrides what a person had granted")
        } else {
            None
        }
    }

    /// Number of overrides that only the texts of their rules could hold to their terms.
    pub(crate) fn unheld(&self) -> u64 {
        u64::try_from(self.taken.len()).unwrap_or(u64::MAX)
    }

    /// Compares with the merchant's rows, and with the rules.
    pub(crate) fn close(
        mut self,
        conn: &mut AnyConnection,
        log: &str,
        merchant: &str,
        gaps: &Gaps,
        findings: &mut Findings,
    ) -> Result<(), DatabaseError> {
        let mut add = |check: &str, part| {
            findings.add(FindingPlace::log(log), Wrong::Override { check: check.to_owned(), part });
        };
        let mut rules = RulesOfPerks::default();
        for (check, expected) in &self.taken {
            if let Some(part) = rules.objection(conn, merchant, expected)? {
                add(check, part);
            }
        }
        let list = |after: &str| store::list_overrides(conn, merchant, after);
        store::each_row(
            list,
            |row| &row.check_id,
            |row| {
                let Some(expected) = self.taken.remove(&row.check_id) else {
                    if !gaps.may_hold(row.overridden_at) {
                        add(&row.check_id, "no event overrides this check");
                    }
                    return;
                };
                let is_same = expected.perk_id == row.perk_id
                    && expected.perk == row.perk
                    && expected.rule_version == row.rule_version
                    && expected.granted == row.granted_check
                    && expected.grant == row.grant_id
                    && expected.tier == row.tier
                    && expected.reason == row.reason
                    && expected.by == row.overridden_by
                    && expected.at == row.overridden_at
                    && is_paid_as(row, expected.paid.as_ref());
                if !is_same {
                    add(&row.check_id, "its row says something else");
                }
            },
        )?;
        for check in self.taken.keys() {
            add(check, "its row is missing");
        }
        Ok(())
    }
}

/// Tells whether the row says this of its payment, member by member: an override for which nothing was paid has none.
fn is_paid_as(row: &OverrideRow, paid: Option<&Paid>) -> bool {
    row.reference.as_deref().map(reference_digest).as_deref() == paid.map(|it| it.reference_sha256.as_str())
        && row.amount.as_deref() == paid.map(|it| it.amount.as_str())
        && row.currency.as_deref() == paid.map(|it| it.currency.as_str())
}

/// The terms of overriding by perk and version; the texts are held to their hashes elsewhere.
#[derive(Default)]
struct RulesOfPerks(HashMap<String, HashMap<i32, Rule>>);

fn micros(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl RulesOfPerks {
    /// The reason for which the rule that it cites doesn't let it be.
    fn objection(
        &mut self,
        conn: &mut AnyConnection,
        merchant: &str,
        expected: &Expected,
    ) -> Result<Option<&'static str>, DatabaseError> {
        if !self.0.contains_key(&expected.perk_id) {
            let rules = store::list_rules(conn, &expected.perk_id)?.into_iter();
            let read = rules.filter_map(|row| {
                let rule = Rule::stored(&Json::parse(&row.rule).ok()?, &expected.perk).ok()?;
                Some((row.version, rule))
            });
            self.0.insert(expected.perk_id.clone(), read.collect());
        }
        let of_perk = self.0.get(&expected.perk_id);
        let Some(rule) = of_perk.and_then(|versions| versions.get(&expected.rule_version)) else {
            // A version that is missing or can't be read is found where versions are.
            return Ok(None);
        };
        let Some(terms) = expected.terms(rule) else { return Ok(Some("its rule lets nobody override")) };
        let is_reason = match &expected.paid {
            Some(_) => expected.reason == REASON,
            None => terms.reasons.contains(&expected.reason),
        };
        Ok(if !is_reason {
            Some("its rule doesn't know the reason")
        } else if !terms.tiers.contains(&expected.tier) {
            Some("its rule doesn't let the tier be granted so")
        } else if terms.limit().max.default != expected.max {
            Some("its rule has another maximum")
        } else if expected.cost != 1 {
            Some("it counts as another number than one")
        } else if !expected.past.iter().all(|limit| terms.past_limits.contains(limit)) {
            Some("it went past a limit that its rule doesn't let it pass")
        } else {
            expected.miscounted(rule, merchant)
        })
    }
}

impl Expected {
    /// The terms of the rule that it is held to.
    fn terms<'a>(&self, rule: &'a Rule) -> Option<&'a OverrideTerms> {
        if self.paid.is_some() { rule.paid() } else { rule.overrides() }
    }

    /// The reason for which it isn't counted where its rule counts overrides.
    fn miscounted(&self, rule: &Rule, merchant: &str) -> Option<&'static str> {
        let terms = self.terms(rule)?;
        let (location, kiosk) = (self.location.as_deref(), self.kiosk.as_deref());
        let place = Place { merchant, location, kiosk, pass_month: None };
        let at = Timestamp::from_microsecond(self.at).ok()?;
        let subject = Pseudonym::stored(&self.subject);
        let is_so = terms.limit().claims(rule.time_zone(), &self.tier, 1, &place, at).all(|claim| {
            claim.window_key == self.window
                && claim.scope.resolve(&subject, &ScopeDigests::default()).is_ok_and(|scope| scope == self.scope)
        });
        (!is_so).then_some("it is counted elsewhere than its rule says")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::reader::body::Facts;

    fn check(id: &str, at: &str, facts: &str) -> String {
        format!(
            r#"{{"about":"{id}","actor":{{"key":"key_1","role":"desk"}},"at":"2012-05-08T{at}:00Z","facts":{{{facts}}},"id":"evt_{id}","kind":"check.decided","merchant":"mer_1","v":1}}"#
        )
    }

    fn refusal(subject: &str) -> String {
        format!(
            r#""decision":"denied","grant":null,"limits":[],"perk":"lounge","perk_id":"prk_1","rule_hash":"h","rule_version":1,"subject":"{subject}","tier":null"#
        )
    }

    fn granted(resolves: &str, by_desk: bool) -> String {
        let (limits, reason) = if by_desk {
            let own = r#"{"cost":1,"id":"_override","max":3,"scope":"/perk","used":1,"window":"day:2012-05-08@+00"}"#;
            (own, r#""override_reason":"courtesy","#)
        } else {
            ("", "")
        };
        let grant =
            r#"{"claims_sha256":"x","expires_at":"2012-05-09T00:00:00Z","id":"grt_1","kid":"k","single_use":true}"#;
        format!(
            r#""decision":"granted","grant":{grant},"limits":[{limits}],{reason}"perk":"lounge","perk_id":"prk_1","resolves":"{resolves}","rule_hash":"h","rule_version":1,"subject":"sub_1","tier":"main""#
        )
    }

    /// The number of findings about these events.
    fn found(events: &[String], gaps: &Gaps) -> usize {
        let (mut overrides, mut findings) = (Overrides::new(Fingerprints::default()), Findings::default());
        for (index, text) in (0..).zip(events) {
            let body = Body::parse(text).unwrap();
            let Facts::Check(check) = &body.facts else { panic!("a check") };
            overrides.take(At { log: "a", index, event: "", line: None }, &body, check, gaps, &mut findings);
        }
        findings.listed().len()
    }

    #[test]
    fn an_override_is_of_a_refusal_of_the_same_person_a_little_before_and_once() {
        let (refused, by_hand) = (refusal("sub_1"), granted("chk_1", true));
        let first = check("chk_1", "19:00", &refused);
        let overridden = check("chk_2", "19:30", &by_hand);
        let none = Gaps::default();
        assert_eq!(found(&[first.clone(), overridden.clone()], &none), 0);
        for bent in [
            vec![overridden.clone()],
            vec![check("chk_1", "19:00", &refusal("sub_2")), overridden.clone()],
            vec![check("chk_1", "19:00", &refused.replace("prk_1", "prk_2")), overridden.clone()],
            vec![
                check("chk_1", "19:00", &refused.replace(r#""rule_hash":"h""#, r#""rule_hash":"g""#)),
                overridden.clone(),
            ],
            vec![check("chk_1", "19:00", &refused.replace("denied", "referred")), overridden.clone()],
            // It was refused elsewhere, or is overridden elsewhere.
            vec![check("chk_1", "19:00", &format!(r#""location":"A",{refused}"#)), overridden.clone()],
            vec![first.clone(), check("chk_2", "19:30", &format!(r#""kiosk":"A1",{by_hand}"#))],
            vec![first.clone(), check("chk_2", "19:31", &by_hand)],
            vec![first.clone(), overridden.clone(), check("chk_3", "19:30", &by_hand)],
            vec![first.clone(), overridden.clone(), check("chk_3", "20:30", &granted("chk_1", false))],
            vec![first.clone(), check("chk_3", "19:10", &granted("chk_1", false)), overridden.clone()],
        ] {
            assert_eq!(found(&bent, &none), 1, "{bent:#?}");
        }
        let mut gaps = Gaps::default();
        gaps.outside();
        assert_eq!(found(&[overridden], &gaps), 0, "the refusal may be in another part");
    }

    #[test]
    fn a_payment_lets_one_in() {
        let paid = |resolves: &str, reference: &str| {
            let payment = format!(
                r#""override_reason":"paid","paid":{{"amount":"45.00","currency":"USD","reference_sha256":"{reference}"}},"#
            );
            granted(resolves, true).replace(r#""override_reason":"courtesy","#, &payment).replace(OVERRIDE, PAID)
        };
        let refused: Vec<_> = ["chk_1", "chk_2"].map(|id| check(id, "19:00", &refusal("sub_1"))).into();
        let none = Gaps::default();
        let with = |events: &[String]| found(&[&refused, events].concat(), &none);
        let first = check("chk_3", "19:10", &paid("chk_1", "a"));
        assert_eq!(with(&[first.clone(), check("chk_4", "19:10", &paid("chk_2", "b"))]), 0);
        assert_eq!(with(&[first.clone(), check("chk_4", "19:10", &paid("chk_2", "a"))]), 1, "one payment for two");
        // What counts as one of them is one of them.
        for bent in [first.replace(PAID, OVERRIDE), first.replace(r#""override_reason":"paid","#, "")] {
            assert_eq!(with(std::slice::from_ref(&bent)), 1, "{bent}");
        }
    }
}
