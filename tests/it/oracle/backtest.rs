//! Backtests held against the real record and against the naive evaluator: random rules, random checks,
//! limits counted by hand.

use std::collections::HashMap;

use futures_util::future::join_all;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use perkgate::access::{Merchant, NewKey, Principal, Role};
use perkgate::decision::decide::Decision;
use perkgate::decision::facts::Context;
use perkgate::decision::rollout::rollout_bucket;
use perkgate::eligibility::backtest::{Backtest, NotReplayed};
use perkgate::eligibility::backtester::PastTrial;
use perkgate::eligibility::checker::{Answer, Question};
use perkgate::eligibility::grants::{CorrectionRequest, CorrectionRequestError};
use perkgate::eligibility::overrides::{OverrideError, OverrideRequest, Overrider, PaidEntryRequest};
use perkgate::eligibility::redeemer::RedeemError;
use perkgate::eligibility::referral_decision::{ReferralDecision, ReferralDecisionError};
use perkgate::eligibility::rule_selection::Choice;
use perkgate::eligibility::runs::Run;
use perkgate::foundation::decimal::Decimal;
use perkgate::foundation::ids::{CheckId, GrantId};
use perkgate::foundation::json::Json;
use perkgate::ledger::grants::correction::CorrectionError;
use perkgate::ledger::grants::ending::{GrantRevocation, Leaving, ReturnError};
use perkgate::ledger::grants::undo::{UndoError, UndoReason, Undoing};
use perkgate::ledger::payment::Payment;
use perkgate::perks::attributes::AttributeTerms;
use perkgate::perks::closures::NewClosure;
use perkgate::perks::error::PerkError;
use perkgate::perks::life::Expected;
use perkgate::perks::perk::NewVersion;
use perkgate::rules::limit::Scope;
use perkgate::rules::rule::Rule;
use perkgate::rules::tier::party::Party;
use perkgate::scores::score::{PutOutcome, Score, Source};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::naive::{self, World as Facts};
use super::recount::{History, Made, Pass, expected};
use super::{generate, parse};
use crate::support::world::{CLI, World, question};

/// How many checks are made at the same instant.
const AT_ONCE: usize = 40;
const SUBJECTS: usize = 30;

/// Windows in which uses add up, and those in which each lapses by itself.
pub(super) const SUMS: [&str; 7] = [
    r#"{"calendar":"hour"}"#,
    r#"{"calendar":"day"}"#,
    r#"{"calendar":"week"}"#,
    r#"{"calendar":"month"}"#,
    r#"{"calendar":"quarter"}"#,
    r#"{"calendar":"year"}"#,
    r#"{"lifetime":true}"#,
];
pub(super) const SINGLES: [&str; 5] = [
    r#"{"rolling":"PT10M"}"#,
    r#"{"rolling":"PT6H"}"#,
    r#"{"rolling":"P1D"}"#,
    r#"{"concurrent":{"max_stay":"PT20M"}}"#,
    r#"{"concurrent":{"max_stay":"PT8H"}}"#,
];

/// Windows that are longer than boarding passes and members of the context are counted.
const LONG: [&str; 3] = [r#"{"calendar":"quarter"}"#, r#"{"calendar":"year"}"#, r#"{"lifetime":true}"#];

/// Limits of every kind of window and scope that there is, some with the party's size; `brought` are those that are known
/// by what the check brings.
fn limits(windows: Vec<&'static str>, most: usize, brought: &'static [&'static str]) -> impl Strategy<Value = String> {
    let lasting = ["subject", "perk", "tier", "location", "kiosk", "merchant"];
    let scope = proptest::sample::subsequence([&lasting, brought].concat(), 1..=3);
    let window = proptest::sample::select(windows);
    let limit = (scope, window, generate::maximum(4..63), proptest::sample::select(vec!["1", "2", "\"party\""]));
    prop::collection::vec(limit, 0..=most).prop_map(|limits| {
        let limits = limits.iter().enumerate().map(|(at, (scope, window, max, cost))| {
            let is_brought = scope.iter().any(|name| brought.contains(name));
            let window = if is_brought && LONG.contains(window) { r#"{"calendar":"month"}"# } else { window };
            format!(r#"{{"id":"l{at}","scope":{scope:?},"max":{max},"cost":{cost},"window":{window}}}"#)
        });
        limits.collect::<Vec<_>>().join(",")
    })
}

const BROUGHT: [&str; 2] = ["boarding_pass", "context.a"];

/// A rule with limits, which the short form can't have.
fn limited_rule() -> impl Strategy<Value = String> {
    let ttl = proptest::sample::select(vec!["PT5M", "PT15M", "PT3H"]);
    let online = proptest::sample::select(vec!["", "", r#","online_only":true"#]);
    let token = (ttl, any::<bool>(), online)
        .prop_map(|(ttl, single, online)| format!(r#"{{"ttl":"{ttl}","single_use":{single}{online}}}"#));
    // Mostly a person decides in the end, or there would be little of that to replay.
    let refer = proptest::sample::select(vec!["", r#","otherwise":"refer""#, r#","otherwise":"refer""#]);
    let limits = limits([&SUMS[..], &SINGLES[..]].concat(), 3, &BROUGHT);
    (generate::rule(), limits, token, refer).prop_map(|(rule, limits, token, refer)| match rule.strip_suffix('}') {
        Some(open) if rule.contains("\"tiers\"") => {
            // Mostly everyone, or there would be little to count.
            let open = open.replace(r#"{"percent":0}"#, r#"{"percent":75}"#);
            let open = open.replace(r#""otherwise":"deny""#, r#""otherwise":"refer""#);
            let refer = if open.contains("\"otherwise\"") { "" } else { refer };
            // What is let in by hand passes the first limit.
            let past = if limits.is_empty() { "" } else { "\"l0\"" };
            let terms = format!(r#""max":9999,"window":{{"calendar":"day"}},"past_limits":[{past}]"#);
            let by_hand = format!(r#""override":{{"reasons":["courtesy"],{terms}}},"paid":{{{terms}}}"#);
            format!("{open}{refer},\"token\":{token},\"limits\":[{limits}],{by_hand}}}")
        }
        _ => rule,
    })
}

/// A grant that something can still become of.
struct Pending {
    /// Among the checks of its history, by its place in the log.
    index: u64,
    grant: GrantId,
    token: String,
}

struct Crowd {
    /// What is known of each subject, as it was accepted.
    scores: HashMap<String, Score>,
    kiosks: Vec<(Principal, Option<(&'static str, &'static str)>)>,
    admin: Principal,
}

async fn crowd(world: &World, merchant: &Merchant) -> Crowd {
    let key = NewKey::of(Role::Kiosk, Some(merchant.id.clone()), "k");
    let placed = NewKey { location: Some("SFO".to_owned()), kiosk: Some("A12".to_owned()), ..key.clone() };
    // Nobody asks there, but it can be closed.
    world.principal_with(NewKey { location: Some("LAX".to_owned()), ..key.clone() }).await;
    let kiosks =
        vec![(world.principal_with(placed).await, Some(("SFO", "A12"))), (world.principal_with(key).await, None)];
    Crowd { scores: HashMap::new(), kiosks, admin: world.principal(merchant, Role::Admin).await }
}

fn handle(at: usize) -> String {
    match at % 3 {
        0 => format!("twitter:s{at}"),
        1 => format!("cx:s{at}"),
        _ => format!("s{at}"),
    }
}

fn draw<S: Strategy>(runner: &mut TestRunner, strategy: S) -> S::Value {
    strategy.new_tree(runner).unwrap().current()
}

/// A rule that may be published, as a new perk or a new version of one.
async fn publish(
    world: &World,
    merchant: &Merchant,
    perk: &str,
    rules: &BoxedStrategy<String>,
    runner: &mut TestRunner,
    is_new: bool,
) -> Json {
    loop {
        let rule = Json::parse(&draw(runner, rules)).unwrap();
        let version = NewVersion { rule: rule.clone(), publish: true, change_note: None };
        let catalog = &world.gateway.catalog;
        let slug = perk.parse().unwrap();
        let made = if is_new {
            catalog.create_perk(&merchant.id, CLI, slug, perk, version).await
        } else {
            catalog.create_version(&merchant.id, CLI, &slug, version).await
        };
        match made {
            Ok(_) => return rule,
            Err(PerkError::Rule(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Scores of a few people, as far as they are newer than what is known.
async fn observe_some(world: &World, merchant: &Merchant, crowd: &mut Crowd, runner: &mut TestRunner) {
    for _ in 0..6 {
        let subject = handle(draw(runner, 0..SUBJECTS));
        let reference = world.gateway.keyring.subject_ref(&merchant.id, &subject.parse().unwrap());
        let (value, age) = (draw(runner, generate::score()).min(100_000), draw(runner, 0..700_000_i64));
        let score = Score::new(Decimal::from_thousandths(value), world.now() - SignedDuration::from_secs(age));
        let klout = Source::klout();
        let put = world.gateway.scores.put(&merchant.id, &klout, reference, score, world.now());
        if put.await.unwrap() == PutOutcome::Accepted {
            crowd.scores.insert(subject, score);
        }
    }
}

async fn check_at_once(
    world: &World,
    merchant: &Merchant,
    crowd: &mut Crowd,
    history: &mut History,
    runner: &mut TestRunner,
) -> Vec<Pending> {
    observe_some(world, merchant, crowd, runner).await;
    let at = world.now();
    let closed = close_some(world, merchant, &history.perk, runner).await;
    let is_closed =
        |place: Option<(&str, &str)>| closed.is_some_and(|closed| closed.is_none() || closed == place.map(|it| it.0));
    let rule = parse(&history.rules[history.rules.len() - 1].canonical()).1;
    // What a rule takes for an instant has to be one, or nothing is decided.
    let is_taken = |name: &String, value: &Json| {
        !rule.instants().contains(name) || value.as_text().is_some_and(|text| text.parse::<Timestamp>().is_ok())
    };
    let id = world.gateway.catalog.find_perk(&merchant.id, &history.perk.parse().unwrap()).await.unwrap().id;
    let mut asked = Vec::new();
    for _ in 0..AT_ONCE {
        let subject = handle(draw(runner, 0..SUBJECTS));
        let kiosk = draw(runner, 0..crowd.kiosks.len());
        let mut drawn = draw(runner, generate::world(at));
        drawn.context.retain(|(name, value)| is_taken(name, value));
        let score = crowd.scores.get(&subject).map(|score| (score.value.thousandths(), score.observed_at));
        let network = subject.split_once(':').map(|(network, _)| network.to_owned());
        let reference = world.gateway.keyring.subject_ref(&merchant.id, &subject.parse().unwrap());
        let bucket = Some(rollout_bucket(&id, &reference));
        let location = crowd.kiosks[kiosk].1.map(|place| place.0);
        // Days to a flight pass with the days, which a drawn pass has none of: these are real ones.
        let mut context = drawn.context;
        // What is kept of a person no question says.
        context.retain(|(name, _)| !name.starts_with("boarding_pass.") && !name.starts_with("subject."));
        // What a version kept of ages, another may want: that is tested with such rules.
        let facts = Facts { score, network, context, children: Vec::new(), bucket, location };
        let context = Context::stored(&Json::Object(facts.context.clone())).unwrap();
        // Its leg counts in every zone, a day before or after it.
        let date = at.to_zoned(TimeZone::UTC).date();
        let pass = (draw(runner, 0..4) > 0).then(|| Pass { date, sequence: draw(runner, 1..25_u8) });
        let boarding_pass = pass.map(|pass| pass.text().parse().unwrap());
        let question = Question { context, boarding_pass, ..question(&history.perk, &subject) };
        asked.push((subject, kiosk, facts, pass, question));
    }
    let answers = asked.iter().map(|(_, kiosk, _, _, question)| world.check(&crowd.kiosks[*kiosk].0, question.clone()));
    let answers = join_all(answers).await;
    let (mut pending, mut referred, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for ((subject, kiosk, facts, pass, _), answer) in asked.into_iter().zip(answers) {
        let answer = answer.unwrap();
        let made = Made {
            index: answer.receipt.as_ref().unwrap().index,
            at,
            subject,
            place: crowd.kiosks[kiosk].1,
            facts,
            pass,
            rule: history.rules.len() - 1,
            decision: answer.decided.decision.as_str(),
            tier: answer.decided.tier.clone(),
            by_person: false,
            by_hand: false,
            redeemed: None,
            released: None,
            voided: None,
            corrected: Vec::new(),
            undone: None,
            closed: is_closed(crowd.kiosks[kiosk].1),
        };
        assert!(!made.closed || made.decision == "denied");
        let of_person = || (answer.check.clone().unwrap(), made.subject.clone(), made.place, made.facts.clone(), pass);
        match answer.decided.decision {
            Decision::Referred if answer.joins.is_none() => referred.push(of_person()),
            Decision::Denied if !made.closed => refused.push(of_person()),
            _ => {}
        }
        pending.extend(pending_of(&answer));
        history.checks.push(made);
    }
    for (check, subject, place, facts, pass) in referred.into_iter().take(3) {
        world.pass(1);
        let rule = &history.rules[history.rules.len() - 1];
        let tier = rule.member("tiers").map(|tiers| tiers.as_list().unwrap()[0].member("id").unwrap());
        let tier = tier.and_then(Json::as_text).unwrap_or("standard").to_owned();
        let ruling = ReferralDecision { check, tier: Some(tier), note: "let them in".into() };
        match world.gateway.checker.decide_referral(&crowd.admin, merchant, ruling).await {
            Err(ReferralDecisionError::NoRoom(_)) => {}
            Err(error) => panic!("{error}"),
            Ok(answer) => {
                pending.extend(pending_of(&answer));
                history.checks.push(by_person(answer, history.rules.len() - 1, (subject, place, facts, pass), false));
            }
        }
    }
    for (nth, (check, subject, place, facts, pass)) in refused.into_iter().take(4).enumerate() {
        world.pass(1);
        // No digits: so many in a row could be a card's.
        let letters = |c: char| c.to_digit(10).map_or(c, |digit| char::from(b'g' + u8::try_from(digit).unwrap()));
        let reference: String = check.to_string().chars().map(letters).collect();
        match let_in(world, merchant, &crowd.admin, &rule, (check, nth % 2 == 1), &reference).await {
            Err(OverrideError::NoRoom(_) | OverrideError::NotOverridable | OverrideError::NotForPay) => {}
            Err(error) => panic!("{error}"),
            Ok(answer) => {
                pending.extend(pending_of(&answer));
                history.checks.push(by_person(answer, history.rules.len() - 1, (subject, place, facts, pass), true));
            }
        }
    }
    pending
}

/// Lets in by hand whom the rule refused: for a reason, or for pay.
async fn let_in(
    world: &World,
    merchant: &Merchant,
    admin: &Principal,
    rule: &Rule,
    (check, for_pay): (CheckId, bool),
    reference: &str,
) -> Result<Answer, OverrideError> {
    let by = Overrider { key: admin.key.clone(), role: admin.role.as_str(), place: None };
    let tier = rule.tiers()[0].id.clone();
    let checker = &world.gateway.checker;
    if for_pay {
        let payment = Payment::new(reference, "45.00", "USD").unwrap();
        checker.enter_paid(by, merchant, PaidEntryRequest { check, payment, tier: Some(tier) }).await
    } else {
        let request = OverrideRequest { check, reason: "courtesy".into(), tier, note: None };
        checker.override_check(by, merchant, request).await
    }
}

/// A check that a person granted in the place of another, about the same visit.
fn by_person(
    answer: Answer,
    rule: usize,
    (subject, place, facts, pass): (String, Option<(&'static str, &'static str)>, Facts, Option<Pass>),
    by_hand: bool,
) -> Made {
    Made {
        index: answer.receipt.unwrap().index,
        at: answer.at,
        subject,
        place,
        facts,
        pass,
        rule,
        decision: answer.decided.decision.as_str(),
        tier: answer.decided.tier,
        by_person: true,
        by_hand,
        redeemed: None,
        released: None,
        voided: None,
        corrected: Vec::new(),
        undone: None,
        closed: false,
    }
}

/// Closes the perk, or one of its locations, until shortly after the checks that are made next; mostly neither.
async fn close_some(
    world: &World,
    merchant: &Merchant,
    perk: &str,
    runner: &mut TestRunner,
) -> Option<Option<&'static str>> {
    let place = match draw(runner, 0..12) {
        0 => None,
        1..3 => Some("SFO"),
        3 => Some("LAX"),
        _ => return None,
    };
    let until = world.now() + SignedDuration::from_secs(draw(runner, 1..50_i64));
    let new = NewClosure { location: place.map(str::to_owned), until, message: None };
    world.gateway.catalog.close_place(&merchant.id, CLI, &perk.parse().unwrap(), new).await.unwrap();
    Some(place)
}

/// The key that granted it takes it back, if that may be done.
async fn undo(world: &World, merchant: &Merchant, grant: &GrantId, by: &Principal) -> Option<(Timestamp, bool)> {
    match world
        .gateway
        .ledger
        .undo_grant(&merchant.id, grant, Undoing::of_key(by.key.clone(), by.role.as_str()), UndoReason::Mistake)
        .await
    {
        Ok(undone) => Some((undone.limits_free_at, undone.limits_free_at == undone.undone_at)),
        Err(UndoError::Over | UndoError::Redeemed | UndoError::Released | UndoError::Voided) => None,
        Err(error) => panic!("{error}"),
    }
}

fn pending_of(answer: &Answer) -> Option<Pending> {
    let (grant, token) = answer.grant.as_ref().zip(answer.token.as_ref())?;
    Some(Pending { index: answer.receipt.as_ref()?.index, grant: grant.id.clone(), token: token.clone() })
}

/// Corrects who came, if that may be done.
async fn correct(world: &World, merchant: &Merchant, grant: &GrantId, party: u64) -> bool {
    let checker = &world.gateway.checker;
    let found = checker.find_grant(&merchant.id, grant).await.unwrap().unwrap();
    let request = CorrectionRequest { party: Party::of(party), reason: "counted".into(), expected: None };
    match checker.correct_grant(CLI, (None, None), merchant, found, request).await {
        Ok(_) => true,
        Err(CorrectionRequestError::Perk(error)) => panic!("{error}"),
        Err(
            error @ CorrectionRequestError::Correction(
                CorrectionError::NotFound
                | CorrectionError::Stale
                | CorrectionError::Erased
                | CorrectionError::Ledger(_)
                | CorrectionError::Database(_),
            ),
        ) => panic!("{error}"),
        Err(CorrectionRequestError::Correction(_)) => false,
    }
}

/// Some guests come, some leave, some grants are taken back; each at an instant of its own.
async fn live_on(
    world: &World,
    merchant: &Merchant,
    crowd: &Crowd,
    history: &mut History,
    pending: &[Pending],
    runner: &mut TestRunner,
) {
    let (kiosk, _) = &crowd.kiosks[0];
    let ledger = &world.gateway.ledger;
    for nth in 0..AT_ONCE / 2 {
        let recent = pending.len().min(2 * AT_ONCE);
        let Some(visit) = recent.checked_sub(1).map(|last| &pending[pending.len() - 1 - draw(runner, 0..=last)]) else {
            return;
        };
        world.pass(draw(runner, 1..30_i64));
        let now = world.now();
        ledger.free_undone().await.unwrap();
        for (at, is_free) in history.checks.iter_mut().filter_map(|made| made.undone.as_mut()) {
            if !*is_free && *at <= now {
                (*at, *is_free) = (now, true);
            }
        }
        let made = history.checks.iter_mut().find(|made| made.index == visit.index).unwrap();
        match draw(runner, 0..16) {
            13.. => {
                let placed = usize::from(made.place.is_none());
                let by = if made.by_person { &crowd.admin } else { &crowd.kiosks[placed].0 };
                made.undone = undo(world, merchant, &visit.grant, by).await.or(made.undone);
            }
            10.. => {
                let party = draw(runner, 1..5_u64);
                if correct(world, merchant, &visit.grant, party).await {
                    let rule = &history.rules[made.rule];
                    let tiers = rule.member("tiers").and_then(Json::as_list).unwrap_or_default();
                    let tier = tiers.iter().find(|it| it.member("id").and_then(Json::as_text) == made.tier.as_deref());
                    let counted = |party| naive::counted_of(tier.unwrap_or(&Json::Null), &made.facts, party);
                    let to = counted(Some(party));
                    let from = made.corrected.last().map_or_else(|| counted(None), |(_, [last, _])| *last);
                    made.corrected.push((now, [to, from]));
                }
            }
            0..6 => {
                let deadline = question("nothing", "nobody").deadline;
                let (door, attempt) = ("door".to_owned(), format!("{now} {nth}"));
                let spent = world.gateway.redeemer.redeem(kiosk, merchant, &visit.token, door, attempt, deadline).await;
                match spent {
                    Ok(_) => made.redeemed = made.redeemed.or(Some(now)),
                    Err(RedeemError::AlreadyRedeemed(_) | RedeemError::Token(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            6..8 => {
                let leaving = Leaving { actor: CLI, location: None, kiosk: None, audience: None };
                match ledger.release_grant(&merchant.id, &visit.grant, leaving).await {
                    Ok(at) => made.released = Some(at),
                    Err(ReturnError::Voided) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            _ => {
                let keep_uses = draw(runner, any::<bool>());
                let taking = GrantRevocation { actor: CLI, note: "\"perk_id\":\"prk_1\"".into(), keep_uses };
                let taken = ledger.void_grants(&merchant.id, vec![visit.grant.clone()], taking).await.unwrap();
                if taken.voided == 1 {
                    made.voided = Some((now, keep_uses));
                }
            }
        }
    }
}

/// Two versions of a perk, each with checks under it; the clock goes forward all the while.
async fn history(
    world: &World,
    merchant: &Merchant,
    crowd: &mut Crowd,
    perk: String,
    rules: BoxedStrategy<String>,
    checks: usize,
    runner: &mut TestRunner,
) -> History {
    let mut history = History { perk, rules: Vec::new(), checks: Vec::new() };
    let mut pending = Vec::new();
    for version in 0..2 {
        let rule = publish(world, merchant, &history.perk, &rules, runner, version == 0).await;
        history.rules.push(rule);
        for _ in 0..checks.div_ceil(2 * AT_ONCE) {
            world.pass(draw(runner, 60..8_000_i64));
            pending.extend(check_at_once(world, merchant, crowd, &mut history, runner).await);
            live_on(world, merchant, crowd, &mut history, &pending, runner).await;
        }
    }
    world.pass(1);
    history.checks.sort_by_key(|check| check.index);
    history
}

async fn backtest(world: &World, merchant: &Merchant, perk: &str, choice: Choice, from: Timestamp) -> Backtest {
    let trial = PastTrial { perk: perk.parse().unwrap(), choice, from, to: None };
    let mut run = world.gateway.backtester.backtest(merchant, trial).await.unwrap();
    while run.step().await.unwrap().is_some() {}
    run.finish().unwrap()
}

fn counts(found: &Backtest) -> [u64; 5] {
    [found.newly_admitted, found.newly_refused, found.tier_changed, found.otherwise_decided, found.same]
}

/// A rule that refuses for want of room only, which guests make as they leave.
fn full_house(windows: Vec<&'static str>, brought: &'static [&'static str]) -> impl Strategy<Value = String> {
    (limits(windows, 3, brought), proptest::sample::select(vec!["PT5M", "PT1H"])).prop_map(|(limits, ttl)| {
        format!(r#"{{"tiers":[{{"id":"t0"}}],"token":{{"ttl":"{ttl}"}},"limits":[{limits}]}}"#)
    })
}

/// A draft that looks only at what the checks were recorded with.
fn draft(runner: &mut TestRunner, history: &History) -> Option<Json> {
    let ran: Vec<_> = history.rules.iter().map(|rule| parse(&rule.canonical()).1).collect();
    (0..400).find_map(|_| {
        let text = draw(runner, limited_rule());
        let (json, rule) = parse(&text);
        let kept = ran.iter().all(|ran| {
            let named = rule.attributes().iter().all(|name| name == "party" || ran.attributes().contains(name));
            let counts_context = rule.digested().iter().any(|scope| matches!(scope, Scope::Context(_)));
            // In another zone it may be another month, of which no digest is recorded.
            let is_of_zone = !counts_context || rule.time_zone() == ran.time_zone();
            let counted = rule.digested().is_subset(ran.digested()) && is_of_zone;
            named && counted && (ran.looks_at_score() || !rule.looks_at_score())
        });
        kept.then_some(json)
    })
}

/// Random histories of so many perks, each of so many checks: what ran is reproduced, and what another
/// rule would have made of them is what a recount by hand comes to.
pub(crate) async fn hold_to_the_record(worlds: Vec<World>, perks: usize, checks_each: usize) {
    for world in worlds {
        let mut runner = TestRunner::deterministic();
        // The year that the rules are valid in, shortly before the clocks change.
        world.clock.set("2026-03-07T12:00:00Z".parse().unwrap());
        let merchant = world.merchant("cathay").await;
        for (name, value_type) in [("level", "text"), ("nights", "number")] {
            let terms = AttributeTerms::read(value_type, "lounge", None, None).unwrap();
            let put = world.gateway.catalog.put_attribute(&merchant.id, CLI, name, terms, Expected::Anything);
            put.await.unwrap();
        }
        let mut crowd = crowd(&world, &merchant).await;
        let (mut histories, mut drafts, mut changed, mut moved) = (Vec::new(), 0, 0, 0);
        for perk in 0..perks {
            // Every other one admits whoever finds room.
            let all = [&SUMS[..], &SINGLES[..]].concat();
            let rules =
                if perk % 2 == 0 { limited_rule().boxed() } else { full_house(all, &["boarding_pass"]).boxed() };
            let name = format!("perk-{perk}");
            let made = history(&world, &merchant, &mut crowd, name, rules, checks_each, &mut runner);
            histories.push(made.await);
            let replayed = histories.last().unwrap();
            let (first, last) = (&replayed.checks[0], replayed.checks.last().unwrap());
            let middle = &replayed.checks[replayed.checks.len() / 2];
            // Each version reproduces the half that it decided, also where the other half would have gone
            // another way and left other counters behind.
            for version in [1, 2] {
                for from in [first.at, middle.at] {
                    let found = backtest(&world, &merchant, &replayed.perk, Choice::Version(version), from).await;
                    let ran = |check: &&Made| {
                        check.at >= from
                            && !check.by_person
                            && !check.closed
                            && check.rule + 1 == usize::try_from(version).unwrap()
                    };
                    let ran = replayed.checks.iter().filter(ran).count() as u64;
                    let again = &found.reproduction;
                    assert_eq!((again.mismatches, again.other_engine), (0, 0), "{found:#?}");
                    assert!(again.checks == ran || replayed.rules[0] == replayed.rules[1], "{found:#?}");
                    assert_eq!(found.not_replayed.erased + found.not_replayed.pruned, 0);
                }
            }
            let turn = replayed.checks.iter().find(|check| check.rule == 1).unwrap().at;
            let second = backtest(&world, &merchant, &replayed.perk, Choice::Version(2), turn).await;
            assert_eq!(counts(&second), [0, 0, 0, 0, second.replayed], "what ran all the period changes nothing");
            // Another rule comes to what the naive evaluator says.
            let mut house = || parse(&draw(&mut runner, full_house(SINGLES.to_vec(), &[]))).0;
            let houses = [house(), house()];
            let draft = draft(&mut runner, replayed);
            drafts += usize::from(draft.is_some());
            for (draft, from) in
                houses.into_iter().chain(draft).flat_map(|it| [first.at, middle.at, last.at].map(|at| (it.clone(), at)))
            {
                let choice = Choice::Rule(draft.clone());
                let found = backtest(&world, &merchant, &replayed.perk, choice, from).await;
                let (wanted, by_person) = expected(&histories, replayed, &draft, from, true);
                let closed = replayed.checks.iter().filter(|check| check.at >= from && check.closed).count() as u64;
                let left_out = NotReplayed { by_person, paused: closed, ..NotReplayed::default() };
                assert_eq!(found.not_replayed, left_out);
                assert_eq!(counts(&found), wanted, "{} from {from}", draft.canonical());
                changed += found.newly_admitted + found.newly_refused;
                moved += usize::from(expected(&histories, replayed, &draft, from, false).0 != wanted);
            }
        }
        let seen = format!("{drafts} drafts, {changed} changes, {moved} of them other without comings and goings");
        assert!(drafts * 4 > perks && changed > 0 && moved > 0, "{seen}: this would show nothing");
        let all = || histories.iter().flat_map(|history| &history.checks);
        for (what, times) in [
            ("by a person", all().filter(|made| made.by_person && !made.by_hand).count()),
            ("by hand", all().filter(|made| made.by_hand).count()),
            ("redeemed", all().filter(|made| made.redeemed.is_some()).count()),
            ("corrected", all().filter(|made| !made.corrected.is_empty()).count()),
            ("undone and free", all().filter(|made| made.undone.is_some_and(|(_, is_free)| is_free)).count()),
            ("closed", all().filter(|made| made.closed).count()),
            ("released", all().filter(|made| made.released.is_some()).count()),
            ("voided", all().filter(|made| made.voided.is_some_and(|(_, keep)| !keep)).count()),
            ("voided, uses left", all().filter(|made| made.voided.is_some_and(|(_, keep)| keep)).count()),
        ] {
            assert!(times > 5, "{times} {what}: this would show nothing");
        }
    }
}

/// On each database so many checks as `PERKGATE_ORACLE_CHECKS` says, or what takes seconds.
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "a wish of the test run, not a setting of the gateway")]
async fn a_backtest_reproduces_the_record_and_agrees_with_the_oracle() {
    let wanted: Option<usize> = std::env::var("PERKGATE_ORACLE_CHECKS").ok().map(|text| text.parse().unwrap());
    hold_to_the_record(World::all().await, 7, wanted.map_or(320, |checks| checks.div_ceil(7))).await;
}
