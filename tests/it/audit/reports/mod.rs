//! Reports over random histories, held to a recount by hand of what was done.

mod sums;
mod taken;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use perkgate::access::{Merchant, NewKey, Principal, Role};
use perkgate::audit::reports::Asked;
use perkgate::audit::reports::asked::{Bound, GroupBy, ReportKind};
use perkgate::audit::reports::sheet::{ReportSheet, Row};
use perkgate::database::schema::{events, subjects};
use perkgate::decision::decide::Decision;
use perkgate::decision::facts::Context;
use perkgate::eligibility::checker::{Answer, Question};
use perkgate::eligibility::grants::{CorrectionRequest, CorrectionRequestError};
use perkgate::eligibility::redeemer::RedeemError;
use perkgate::eligibility::referral_decision::{ReferralDecision, ReferralDecisionError};
use perkgate::foundation::decimal::Decimal;
use perkgate::foundation::ids::{EventId, GrantId, PerkSlug};
use perkgate::foundation::json::Json;
use perkgate::ledger::cases::contest::{Contest, Objection};
use perkgate::ledger::grants::correction::CorrectionError;
use perkgate::ledger::grants::ending::{GrantRevocation, Leaving, ReturnError};
use perkgate::ledger::read::browse::EventFilter;
use perkgate::rules::tier::party::Party;
use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::TestRunner;

use crate::support::world::{CLI, World, question};

const CHECKS: usize = 400;
const ZONE: &str = "America/Los_Angeles";

const PERKS: [(&str, &str); 2] = [
    (
        "lounge",
        r#"{"score":{"source":"klout","on_missing":"deny"},
            "tiers":[{"id":"gold","rank":2,"when":{"attr":"score","op":"gte","value":60}},
                     {"id":"main","rank":1,"when":{"attr":"score","op":"gte","value":40}}],
            "token":{"ttl":"PT1H"},
            "limits":[{"id":"person","scope":["subject"],"max":3,"window":{"lifetime":true}}]}"#,
    ),
    (
        "queue",
        r#"{"score":{"source":"klout","on_missing":"refer"},
            "tiers":[{"id":"fast","rank":2,"max_wait":"PT2M","when":{"attr":"score","op":"gte","value":50}},
                     {"id":"slow","rank":1,"max_wait":"PT10M","guests":{"free":1,"max":9},"when":{"attr":"score","op":"gte","value":20}}],
            "token":{"ttl":"PT4H"}}"#,
    ),
];

/// Where somebody stood: location and kiosk.
type Place = Option<(&'static str, &'static str)>;

const PLACES: [Place; 3] = [Some(("SFO", "A12")), Some(("HKG", "B1")), None];

struct Made {
    at: Timestamp,
    subject: usize,
    place: Place,
    /// As it was corrected last.
    party: u64,
    /// When it was corrected.
    corrections: Vec<Timestamp>,
    answer: Answer,
    /// When, and where.
    visits: Vec<(Timestamp, Place)>,
    released: Option<Timestamp>,
    voided: Option<Timestamp>,
    /// Granted by a person in the place of another, which is no further asking.
    by_person: bool,
    /// When it was contested, upheld or overturned.
    contests: Vec<(Timestamp, &'static str)>,
    judged: bool,
}

impl Made {
    fn new(at: Timestamp, subject: usize, place: Place, party: u64, answer: Answer) -> Self {
        Self {
            at,
            subject,
            place,
            party,
            corrections: Vec::new(),
            answer,
            visits: Vec::new(),
            released: None,
            voided: None,
            by_person: false,
            contests: Vec::new(),
            judged: false,
        }
    }
}

fn draw<S: Strategy>(runner: &mut TestRunner, strategy: S) -> S::Value {
    strategy.new_tree(runner).unwrap().current()
}

/// A person decides one of the last checks that were referred or refused, if they feel like it.
async fn judge(world: &World, merchant: &Merchant, admin: &Principal, runner: &mut TestRunner, all: &mut Vec<Made>) {
    let (back, says) = (draw(runner, 0..6_usize), draw(runner, 0..4_usize));
    // What joined another's referral is decided with that one.
    let open = |it: &&mut Made| !it.judged && it.answer.grant.is_none() && it.answer.joins.is_none();
    let Some(made) = all.iter_mut().rev().filter(open).nth(back) else {
        return;
    };
    let check = made.answer.check.clone().unwrap();
    made.judged = true;
    world.pass(draw(runner, 1..400_i64));
    let now = world.now();
    let is_contest = made.answer.decided.decision == Decision::Denied;
    if is_contest {
        let event = EventId::new(now, &world.gateway.entropy);
        let (merchant, check) = (merchant.id.clone(), check.clone());
        let objection = Objection { merchant, check, event, at: now, by: CLI, reason: "No.".into() };
        if let Contest::Added(_) = world.gateway.ledger.contest(objection).await.unwrap() {
            // It is decided with the case that is open, which was counted.
            return;
        }
        made.contests.push((now, "contested"));
    }
    if says == 0 {
        return;
    }
    world.pass(draw(runner, 1..400_i64));
    let now = world.now();
    let lowest = if made.answer.perk.as_str() == "lounge" { "main" } else { "slow" };
    let tier = (says > 1).then(|| lowest.to_owned());
    let ruling = ReferralDecision { check, tier, note: "Seen.".into() };
    match world.gateway.checker.decide_referral(admin, merchant, ruling).await {
        Ok(_) if says == 1 => made.contests.extend(is_contest.then_some((now, "upheld"))),
        Ok(answer) => {
            made.contests.extend(is_contest.then_some((now, "overturned")));
            let granted = Made::new(now, made.subject, made.place, made.party, answer);
            all.push(Made { by_person: true, judged: true, ..granted });
        }
        // Then it stays open.
        Err(ReferralDecisionError::NoRoom(_)) => {}
        Err(error) => panic!("{error}"),
    }
}

/// Corrects who came, if that may be done.
async fn correct(world: &World, merchant: &Merchant, grant: &GrantId, party: u64) -> bool {
    let checker = &world.gateway.checker;
    let found = checker.find_grant(&merchant.id, grant).await.unwrap().unwrap();
    let request = CorrectionRequest { party: Party::of(party), reason: "Counted.".into(), expected: None };
    match checker.correct_grant(CLI, (None, None), merchant, found, request).await {
        Ok(_) => true,
        Err(CorrectionRequestError::Correction(
            CorrectionError::TooLate | CorrectionError::Released | CorrectionError::Voided,
        )) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Those who take part: a kiosk in each place, and who decides.
struct Staff {
    kiosks: Vec<Principal>,
    admin: Principal,
}

/// The staff of a merchant, whose perks are there then.
async fn staff(world: &World, merchant: &Merchant) -> Staff {
    let mut kiosks = Vec::new();
    for place in PLACES {
        let key = NewKey::of(Role::Kiosk, Some(merchant.id.clone()), "k");
        let (location, kiosk) = place.unzip();
        let key = NewKey { location: location.map(str::to_owned), kiosk: kiosk.map(str::to_owned), ..key };
        kiosks.push(world.principal_with(key).await);
    }
    let admin = world.principal(merchant, Role::Admin).await;
    for (slug, rule) in PERKS {
        world.perk(merchant, slug, rule).await;
    }
    Staff { kiosks, admin }
}

async fn history(world: &World, merchant: &Merchant, runner: &mut TestRunner) -> Vec<Made> {
    let staff = staff(world, merchant).await;
    let mut all: Vec<Made> = Vec::new();
    go_on(world, merchant, &staff, runner, CHECKS, &mut all).await;
    all
}

async fn go_on(
    world: &World,
    merchant: &Merchant,
    Staff { kiosks, admin }: &Staff,
    runner: &mut TestRunner,
    checks: usize,
    all: &mut Vec<Made>,
) {
    let begun = all.len();
    for nth in begun..begun + checks {
        world.pass(draw(runner, 1..1_500_i64));
        let subject = draw(runner, 0..40_usize);
        if subject % 7 != 0 {
            let score = format!("{}.{:03}", draw(runner, 5..75), draw(runner, 0..1_000));
            world.score(merchant, &format!("twitter:s{subject}"), &score).await;
        }
        let (at, here) = (world.now(), draw(runner, 0..kiosks.len()));
        let party = draw(runner, 1..4_u64);
        let context = Context::parse(&Json::parse(&format!(r#"{{"party":{party}}}"#)).unwrap()).unwrap();
        let perk = PERKS[draw(runner, 0..2_usize)].0;
        let asked = Question { context, ..question(perk, &format!("twitter:s{subject}")) };
        let answer = world.check(&kiosks[here], asked).await.unwrap();
        all.push(Made::new(at, subject, PLACES[here], party, answer));
        judge(world, merchant, admin, runner, all).await;
        for step in 0..draw(runner, 0..3) {
            world.pass(draw(runner, 1..400_i64));
            let now = world.now();
            let back = draw(runner, 0..6_usize).min(all.len() - 1);
            let made = all.iter_mut().rev().nth(back).unwrap();
            let Some((grant, token)) = made.answer.grant.clone().zip(made.answer.token.clone()) else { continue };
            match draw(runner, 0..16) {
                10.. => {
                    let party = draw(runner, 1..5_u64);
                    if correct(world, merchant, &grant.id, party).await {
                        made.party = party;
                        made.corrections.push(now);
                    }
                }
                0..6 => {
                    let door = draw(runner, 0..kiosks.len());
                    let deadline = Instant::now() + Duration::from_mins(1);
                    let attempt = format!("{nth} {step}");
                    let redeemer = &world.gateway.redeemer;
                    let spent = redeemer.redeem(&kiosks[door], merchant, &token, "door".into(), attempt, deadline);
                    match spent.await {
                        Ok(_) => made.visits.push((now, PLACES[door])),
                        Err(RedeemError::AlreadyRedeemed(_) | RedeemError::Token(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                6..8 => {
                    let leaving = Leaving { actor: CLI, location: None, kiosk: None, audience: None };
                    match world.gateway.ledger.release_grant(&merchant.id, &grant.id, leaving).await {
                        Ok(at) => made.released = Some(at),
                        Err(ReturnError::Voided) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                _ => {
                    let taking = GrantRevocation { actor: CLI, note: "=1+1".into(), keep_uses: false };
                    let ids = vec![grant.id.clone()];
                    let ended = world.gateway.ledger.void_grants(&merchant.id, ids, taking).await.unwrap();
                    if ended.voided == 1 {
                        made.voided = Some(now);
                    }
                }
            }
        }
    }
    world.pass(1);
}

type Sums = BTreeMap<Option<String>, BTreeMap<String, u64>>;

/// What is asked of both.
#[derive(Clone)]
struct Ask {
    kind: ReportKind,
    by: Option<GroupBy>,
    period: Option<(Timestamp, Timestamp)>,
    perk: Option<&'static str>,
}

struct Recount<'a> {
    ask: &'a Ask,
    sums: Sums,
}

impl Recount<'_> {
    fn add(&mut self, made: &Made, at: Timestamp, place: Place, column: &str, count: u64) {
        let Ask { by, period, perk, .. } = self.ask;
        if perk.is_some_and(|perk| perk != made.answer.perk.as_str())
            || period.is_some_and(|(from, to)| at < from || at >= to)
        {
            return;
        }
        let local = at.to_zoned(TimeZone::get(ZONE).unwrap());
        let group = match by {
            None => None,
            Some(GroupBy::Day) => Some(local.strftime("%F").to_string()),
            Some(GroupBy::Hour) => Some(local.strftime("%FT%H:00%:z").to_string()),
            Some(GroupBy::Week) => Some(local.strftime("%G-W%V").to_string()),
            Some(GroupBy::Month) => Some(local.strftime("%Y-%m").to_string()),
            Some(GroupBy::Perk) => Some(made.answer.perk.to_string()),
            Some(GroupBy::Tier) => made.answer.decided.tier.clone(),
            Some(GroupBy::Location) => place.map(|(location, _)| location.to_owned()),
            Some(GroupBy::Kiosk) => place.map(|(_, kiosk)| kiosk.to_owned()),
            Some(GroupBy::RuleVersion) => Some(format!("{} v{}", made.answer.perk, made.answer.rule_version)),
            Some(GroupBy::ScoreBand) => Some(band(made)),
        };
        if count > 0 {
            *self.sums.entry(group).or_default().entry(column.to_owned()).or_default() += count;
        }
    }

    fn check(&mut self, made: &Made, now: Timestamp, erased: Option<usize>) {
        let (at, answer) = (made.at, &made.answer);
        // How many of those who asked were admitted: a person who overrules is not asked by anybody anew.
        let counts = !made.by_person || self.ask.kind == ReportKind::Grants;
        let mut add = |column: &str, count| self.add(made, at, made.place, column, count);
        if made.by_person {
            add("granted_by_person", 1);
        }
        if counts {
            add("checks", 1);
        }
        match answer.decided.decision {
            Decision::Granted if !counts => {}
            Decision::Granted => add("granted", 1),
            Decision::Referred => add("referred", 1),
            Decision::Denied => {
                add("denied", 1);
                add(&format!("refused_{}", answer.decided.reasons[0].code.as_str()), 1);
                let gap = answer.decided.reasons.iter().filter_map(|it| it.short_by).map(Decimal::thousandths).min();
                if gap.is_some() && erased == Some(made.subject) {
                    add("near_unknown", 1);
                } else if gap.is_some_and(|gap| gap <= 3_000) {
                    add("near_misses", 1);
                }
            }
        }
        if self.ask.kind == ReportKind::Fairness {
            if let Some(wait) = answer.decided.max_wait {
                self.add(made, at, made.place, "waits", 1);
                self.add(made, at, made.place, "wait_seconds", u64::try_from(wait.seconds()).unwrap());
            }
            made.contests.iter().for_each(|(at, column)| self.add(made, *at, made.place, column, 1));
        } else if let Some(grant) = &answer.grant {
            let fate = match made {
                _ if !made.visits.is_empty() => "grants_redeemed",
                _ if made.voided.is_some() => "grants_voided",
                _ if made.released.is_some() => "grants_released",
                _ if grant.expires_at <= now => "expired_unused",
                _ => "grants_open",
            };
            self.add(made, at, made.place, fate, 1);
        }
    }

    fn ends(&mut self, made: &Made) {
        for (at, place) in &made.visits {
            if self.ask.kind == ReportKind::Grants {
                self.add(made, *at, *place, "redeemed", 1);
            } else {
                self.add(made, *at, *place, "visits", 1);
                self.add(made, *at, *place, "guests", made.party);
                let (free, charged) = guests(made);
                self.add(made, *at, *place, "free", free);
                self.add(made, *at, *place, "charged", charged);
                self.add(made, *at, *place, "corrected", u64::from(!made.corrections.is_empty()));
            }
        }
        if self.ask.kind == ReportKind::Grants {
            made.corrections.iter().for_each(|at| self.add(made, *at, None, "corrected", 1));
            made.released.into_iter().for_each(|at| self.add(made, at, None, "released", 1));
            made.voided.into_iter().for_each(|at| self.add(made, at, None, "voided", 1));
        } else if let Some(at) = made.voided {
            let visits = made.visits.iter().filter(|(visit, _)| *visit < at).count() as u64;
            self.add(made, at, None, "voided_visits", visits);
            self.add(made, at, None, "voided_guests", visits * made.party);
            self.add(made, at, None, "voided_charged", visits * guests(made).1);
        }
    }
}

/// Free and charged ones, where the tier says something of them.
fn guests(made: &Made) -> (u64, u64) {
    if made.answer.decided.tier.as_deref() != Some("slow") {
        return (0, 0);
    }
    (made.party.min(2) - 1, made.party.max(2) - 2)
}

fn band(made: &Made) -> String {
    match &made.answer.decided.score {
        None => "no score".to_owned(),
        Some(score) => {
            let from = score.value.thousandths() / 10_000 * 10;
            format!("{from} to below {}", from + 10)
        }
    }
}

fn recount(all: &[Made], ask: &Ask, now: Timestamp, erased: Option<usize>) -> Sums {
    let mut recount = Recount { ask, sums: Sums::new() };
    for made in all {
        if ask.kind != ReportKind::Billing {
            recount.check(made, now, erased);
        }
        if ask.kind != ReportKind::Fairness {
            recount.ends(made);
        }
    }
    recount.sums
}

async fn report(world: &World, merchant: &Merchant, ask: &Ask) -> ReportSheet {
    let (from, to) = ask.period.unzip();
    let perk = match ask.perk {
        None => None,
        Some(slug) => {
            let slug: PerkSlug = slug.parse().unwrap();
            Some((slug.clone(), world.gateway.catalog.find_perk(&merchant.id, &slug).await.unwrap().id))
        }
    };
    let asked = Asked {
        kind: ask.kind,
        group_by: ask.by,
        from: from.map(Bound::Instant),
        to: to.map(Bound::Instant),
        time_zone: Some(ZONE.to_owned()),
        perk,
    };
    world.gateway.reporter.report(merchant, asked, || {}).await.unwrap()
}

/// Sums only: what is worked out of them is left out.
fn counts(Row(row): &Row) -> BTreeMap<String, u64> {
    let sums = row.iter().filter(|(name, count)| *count > 0 && !name.starts_with("mean") && !name.ends_with("percent"));
    sums.map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn groups(report: &ReportSheet) -> Sums {
    report.groups.iter().map(|it| (it.group.clone(), counts(&it.counts))).collect()
}

fn total(sums: &Sums) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for (name, count) in sums.values().flatten() {
        *all.entry(name.clone()).or_default() += count;
    }
    all
}

async fn count_events(world: &World, merchant: &Merchant, kind: &str) -> u64 {
    let filter = EventFilter { kind: Some(kind.to_owned()), ..EventFilter::default() };
    let page = world.gateway.ledger.reader().browse(&merchant.id, filter, None, None, 5_000).await.unwrap();
    assert!(page.next.is_none());
    page.events.len() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_are_the_sums_of_the_events_in_every_grouping() {
    for world in World::all().await {
        let mut runner = TestRunner::deterministic();
        // Two days before the clocks change.
        world.clock.set("2026-03-06T12:00:00Z".parse().unwrap());
        let merchant = world.merchant("cathay").await;
        let other = world.merchant("other").await;
        let all = history(&world, &merchant, &mut runner).await;
        let now = world.now();
        let (first, last) = (all[0].at, all.last().unwrap().at);
        let middle = all[CHECKS / 2].at;
        let everything = [
            None,
            Some(GroupBy::Day),
            Some(GroupBy::Hour),
            Some(GroupBy::Perk),
            Some(GroupBy::Tier),
            Some(GroupBy::Location),
            Some(GroupBy::Kiosk),
            Some(GroupBy::RuleVersion),
        ];
        for period in [None, Some((first, middle)), Some((middle, last))] {
            for perk in [None, Some("lounge"), Some("queue")] {
                for (kind, by) in [ReportKind::Grants, ReportKind::Billing]
                    .into_iter()
                    .flat_map(|kind| everything.map(|by| (kind, by)))
                    .chain([(ReportKind::Fairness, Some(GroupBy::ScoreBand))])
                {
                    let ask = Ask { kind, by, period, perk };
                    let found = report(&world, &merchant, &ask).await;
                    let wanted = recount(&all, &ask, now, None);
                    assert_eq!(counts(&found.totals), total(&wanted), "{kind:?} {by:?} {period:?} {perk:?}");
                    if by.is_some() {
                        assert_eq!(groups(&found), wanted, "{kind:?} {by:?} {period:?} {perk:?}");
                    }
                }
            }
        }
        let whole = |kind| Ask { kind, by: None, period: None, perk: None };
        let grants = report(&world, &merchant, &whole(ReportKind::Grants)).await;
        for (column, kind) in [
            ("checks", "check.decided"),
            ("redeemed", "token.redeemed"),
            ("corrected", "grant.corrected"),
            ("released", "grant.released"),
            ("voided", "grant.voided"),
        ] {
            let count = grants.totals.get(column);
            assert_eq!(count, count_events(&world, &merchant, kind).await, "{column}");
            // Soon it is too late to correct.
            let enough = if column == "corrected" { 2 } else { 10 };
            assert!(count > enough, "{count} {column}: this would show nothing");
        }
        for seen in ["near_misses", "expired_unused", "grants_voided", "grants_released", "refused_limit_reached"] {
            assert!(grants.totals.get(seen) > 0, "no {seen}: this would show nothing");
        }
        let fairness = report(&world, &merchant, &whole(ReportKind::Fairness)).await;
        for seen in ["granted_by_person", "contested", "upheld", "overturned"] {
            assert!(fairness.totals.get(seen) > 3, "no {seen}: this would show nothing");
        }
        let granted = |made: &&Made| made.answer.perk.as_str() == "lounge" && made.answer.grant.is_some();
        let used = all.iter().filter(granted).count() as u64;
        let [limit] = grants.limits.as_slice() else { panic!("{:?}", grants.limits) };
        assert_eq!((limit.limit.as_str(), limit.used, limit.peak, limit.max), ("person", used, 3, 3));
        let given_back = |made: &&Made| {
            let spent_before = made.visits.iter().any(|(at, _)| made.voided.is_some_and(|voided| *at < voided));
            granted(made) && made.voided.is_some() && !spent_before
        };
        assert_eq!(limit.returned, all.iter().filter(given_back).count() as u64);
        assert_eq!(limit.refused, grants.totals.get("refused_limit_reached"));
        let theirs = report(&world, &other, &whole(ReportKind::Grants)).await;
        assert_eq!(counts(&theirs.totals), BTreeMap::new(), "another merchant's log is another's");

        what_is_gone_is_unknown(&world, &merchant, &all).await;
    }
}

/// A person who is erased, and a body that is pruned.
async fn what_is_gone_is_unknown(world: &World, merchant: &Merchant, all: &[Made]) {
    let now = world.now();
    let near =
        all.iter().find(|made| made.answer.decided.reasons.iter().any(|it| it.short_by.is_some())).unwrap().subject;
    let reference = world.gateway.keyring.subject_ref(&merchant.id, &format!("twitter:s{near}").parse().unwrap());
    let mut conn = world.database.open().dedicated().unwrap();
    let gone = diesel::delete(subjects::table.filter(subjects::subject_ref.eq(&reference.0[..])));
    assert_eq!(gone.execute(&mut conn).unwrap(), 1);
    let ask = Ask { kind: ReportKind::Fairness, by: Some(GroupBy::ScoreBand), period: None, perk: None };
    let found = report(world, merchant, &ask).await;
    assert_eq!(counts(&found.totals), total(&recount(all, &ask, now, Some(near))));
    let theirs = all.iter().filter(|made| made.subject == near && !made.by_person).count() as u64;
    let unknown = found.groups.iter().find(|it| it.group.as_deref() == Some("unknown")).unwrap();
    assert_eq!(unknown.counts.get("checks"), theirs);

    let grants = Ask { kind: ReportKind::Grants, by: None, period: None, perk: None };
    let before = report(world, merchant, &grants).await;
    let redeemed = events::table
        .filter(events::kind.eq("token.redeemed"))
        .select((events::log_id, events::log_index))
        .first::<(String, i64)>(&mut conn)
        .unwrap();
    let pruned = diesel::update(events::table.find(redeemed)).set(events::body.eq(None::<String>));
    assert_eq!(pruned.execute(&mut conn).unwrap(), 1);
    let after = report(world, merchant, &grants).await;
    assert_eq!((before.pruned, after.pruned), (0, 1));
    assert_eq!(after.totals.get("redeemed") + 1, before.totals.get("redeemed"));
    assert_eq!(after.totals.get("grants_redeemed"), before.totals.get("grants_redeemed"));
}
