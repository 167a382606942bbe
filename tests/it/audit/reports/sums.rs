//! Reports from what was summed up, held to the same reports from the events, over random histories.

use std::time::{Duration, Instant};

use diesel::prelude::*;
use jiff::{SignedDuration, Timestamp};
use perkgate::access::Merchant;
use perkgate::audit::reports::asked::{Bound, GroupBy, ReportKind};
use perkgate::audit::reports::sheet::ReportSheet;
use perkgate::audit::reports::{Asked, Reporter};
use perkgate::audit::{Request, verify};
use perkgate::database::schema::{report_heads, report_people, report_quarters};
use perkgate::eligibility::late_reports::{LateItem, LateOutcome};
use perkgate::eligibility::referral_decision::ReferralDecision;
use perkgate::foundation::entropy::Entropy;
use perkgate::foundation::ids::PerkSlug;
use perkgate::ledger::cases::model::ReferralStatus;
use perkgate::ledger::retention::erasure::Erasure;
use proptest::test_runner::TestRunner;

use super::taken::proven;
use super::{Made, PERKS, Staff, draw, go_on, staff};
use crate::support::world::{CLI, World};

/// The second has quarters of an hour beside whole ones; the last one's clocks change on other days.
const ZONES: [&str; 4] = ["America/Los_Angeles", "Asia/Kathmandu", "UTC", "Europe/London"];

const GROUPS: [Option<GroupBy>; 10] = [
    None,
    Some(GroupBy::Day),
    Some(GroupBy::Hour),
    Some(GroupBy::Week),
    Some(GroupBy::Month),
    Some(GroupBy::Perk),
    Some(GroupBy::Tier),
    Some(GroupBy::Location),
    Some(GroupBy::Kiosk),
    Some(GroupBy::RuleVersion),
];

pub(super) const KINDS: [ReportKind; 3] = [ReportKind::Grants, ReportKind::Billing, ReportKind::Fairness];

pub(super) struct House {
    pub world: World,
    pub merchant: Merchant,
    pub staff: Staff,
    runner: TestRunner,
    begin: Timestamp,
    pub all: Vec<Made>,
}

impl House {
    pub(super) async fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for world in World::all().await {
            // Two days before the clocks change.
            world.clock.set("2026-03-06T12:00:00Z".parse().unwrap());
            let merchant = world.merchant("cathay").await;
            let staff = staff(&world, &merchant).await;
            let begin = world.now();
            all.push(Self { world, merchant, staff, runner: TestRunner::deterministic(), begin, all: Vec::new() });
        }
        all
    }

    pub(super) async fn go_on(&mut self, checks: usize) {
        go_on(&self.world, &self.merchant, &self.staff, &mut self.runner, checks, &mut self.all).await;
    }

    /// One that sums up everything, in short pages, and one that sums up nothing more than is.
    pub(super) fn reporters(&self) -> [Reporter; 2] {
        let reporter = &self.world.gateway.reporter;
        [reporter.clone().summing(1_000_000, 37), reporter.clone().summing(1, 37)]
    }

    async fn perk(&self, slug: &str) -> (PerkSlug, perkgate::foundation::ids::PerkId) {
        let slug: PerkSlug = slug.parse().unwrap();
        let perk = self.world.gateway.catalog.find_perk(&self.merchant.id, &slug).await.unwrap();
        (slug, perk.id)
    }

    /// Some question: odd instants or dates, in some zone, from some instant on.
    async fn question(&mut self, since: Timestamp) -> Asked {
        let kind = KINDS[draw(&mut self.runner, 0..3_usize)];
        let span = self.world.now().duration_since(since).as_micros();
        let at = |micros: i128| since + SignedDuration::from_micros(i64::try_from(micros).unwrap());
        let some = i128::from(draw(&mut self.runner, 0..1_000_i64));
        let other = i128::from(draw(&mut self.runner, 0..1_000_i64));
        let (first, second) = (at(span * some.min(other) / 1_000), at(span * some.max(other) / 1_000 + 1));
        let (from, to) = match draw(&mut self.runner, 0..5) {
            0 => (Some(Bound::Instant(since)), None),
            1 => (Some(Bound::Instant(first)), None),
            2 => (Some(Bound::Date(first.to_zoned(jiff::tz::TimeZone::UTC).date())), None),
            _ => (Some(Bound::Instant(first)), Some(Bound::Instant(second))),
        };
        let from = from.filter(|_| since != self.begin || draw(&mut self.runner, 0..4) > 0);
        let perk = match draw(&mut self.runner, 0..4_usize) {
            nth @ 0..2 => Some(self.perk(PERKS[nth].0).await),
            _ => None,
        };
        let group_by = if kind == ReportKind::Fairness { None } else { GROUPS[draw(&mut self.runner, 0..10_usize)] };
        let time_zone = Some(ZONES[draw(&mut self.runner, 0..4_usize)].to_owned());
        Asked { kind, group_by, from, to, time_zone, perk }
    }

    /// Asks this and that, of each reporter and of the events.
    async fn agree(&mut self, since: Timestamp, times: usize, when: &str) {
        for reporter in self.reporters() {
            for _ in 0..times {
                let asked = self.question(since).await;
                let summed = reporter.report(&self.merchant, asked.clone(), || {}).await.unwrap();
                let read = reporter.report_events(&self.merchant, asked.clone()).await.unwrap();
                assert_eq!(summed, read, "{when}: {asked:?}");
            }
        }
        assert_eq!(self.findings(), [""; 0], "{when}");
    }

    pub(super) async fn whole(&self, kind: ReportKind) -> ReportSheet {
        let asked = Asked { kind, group_by: None, from: None, to: None, time_zone: None, perk: None };
        self.reporters()[1].report(&self.merchant, asked, || {}).await.unwrap()
    }

    pub(super) fn findings(&self) -> Vec<String> {
        let report = verify(&self.world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
        report.unwrap().findings.listed().iter().map(ToString::to_string).collect()
    }

    pub(super) async fn erase(&mut self, who: usize) {
        self.erase_handle(&format!("twitter:s{who}")).await;
        self.all.retain(|made| made.subject != who);
    }

    pub(super) async fn erase_handle(&self, handle: &str) {
        let subject = self.world.gateway.keyring.subject_refs(&self.merchant.id, &handle.parse().unwrap());
        let erasure = Erasure { merchant: self.merchant.id.clone(), subject, by: CLI, asked: None };
        let gateway = &self.world.gateway;
        gateway.scores.erase(&gateway.ledger, erasure).await.unwrap().unwrap();
    }

    /// Doors report what they took hours ago; of how many grants nobody had heard.
    async fn report_late(&self) -> usize {
        let unused = self.all.iter().rev().filter(|made| made.answer.token.is_some() && made.visits.is_empty());
        let mut recorded = 0;
        for (nth, made) in unused.take(12).enumerate() {
            let token = made.answer.token.clone().unwrap();
            let at = (made.at + SignedDuration::from_secs(40)).to_string();
            let item = LateItem::read(token, "offline", &nth.to_string(), &at).unwrap();
            let deadline = Instant::now() + Duration::from_mins(1);
            let redeemer = &self.world.gateway.redeemer;
            let told = redeemer.redeem_late(Some(&self.staff.kiosks[0]), &self.merchant, vec![Ok(item)], deadline);
            recorded += usize::from(matches!(told.await.unwrap()[0], LateOutcome::Recorded(_)));
        }
        recorded
    }

    /// Decides what is open, so that nothing stands in the way of pruning.
    pub(super) async fn settle(&self) {
        for contested in [false, true] {
            let reader = self.world.gateway.ledger.reader();
            let open = reader.list_referrals(&self.merchant.id, contested, Some(ReferralStatus::Open), None, 1_000);
            for case in open.await.unwrap() {
                let ruling = ReferralDecision { check: case.check, tier: None, note: "Late.".into() };
                self.world.gateway.checker.decide_referral(&self.staff.admin, &self.merchant, ruling).await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_come_to_what_the_events_come_to() {
    for mut house in House::all().await {
        let begin = house.begin;
        house.go_on(110).await;
        house.agree(begin, 20, "at first").await;
        house.go_on(70).await;
        house.agree(begin, 20, "later").await;
        assert!(house.report_late().await > 3, "this would show nothing");
        house.agree(begin, 15, "after late reports").await;
        let late = house.whole(ReportKind::Billing).await;
        assert!(late.totals.get("late_visits") > 3 && late.totals.get("corrected") > 0, "{late:?}");

        let known = house.whole(ReportKind::Fairness).await;
        let erased = [house.all[3].subject, house.all[40].subject, house.all[90].subject];
        for who in std::collections::BTreeSet::from(erased) {
            house.erase(who).await;
        }
        house.agree(begin, 20, "after erasures").await;
        let unknown = house.whole(ReportKind::Fairness).await;
        let of = |sheet: &ReportSheet| {
            sheet.groups.iter().find(|it| it.group.as_deref() == Some("unknown")).map(|it| it.counts.get("checks"))
        };
        assert!(of(&known).is_none() && of(&unknown) > Some(3), "{known:?} {unknown:?}");
        house.go_on(40).await;
        house.agree(begin, 15, "after others came").await;
        bent_sums_are_found(&house);
        what_is_pruned_is_counted_on(&mut house).await;
    }
}

/// Changes rows by hand, each time inside a transaction that is taken back.
fn bent_sums_are_found(house: &House) {
    use perkgate::audit::verify_snapshot;
    use perkgate::database::connection;
    let mut conn = house.world.database.open().dedicated().unwrap();
    let rows: Vec<(String, i64, Vec<u8>)> = report_quarters::table
        .order((report_quarters::report, report_quarters::quarter))
        .select((report_quarters::report, report_quarters::quarter, report_quarters::sums))
        .load(&mut conn)
        .unwrap();
    let merchant = house.merchant.id.as_str();
    for kind in KINDS.map(ReportKind::as_str) {
        let of: Vec<_> = rows.iter().filter(|(report, ..)| report == kind).collect();
        let ((_, first, _), (_, second, other)) = (of[2], of.iter().rev().find(|row| row.2 != of[2].2).unwrap());
        for hand in ["another's", "no sums", "deleted", "moved", "head"] {
            connection::begin(&mut conn).unwrap();
            let row = report_quarters::table.find((merchant, kind, *first));
            match hand {
                "another's" => diesel::update(row).set(report_quarters::sums.eq(other)).execute(&mut conn),
                "no sums" => diesel::update(row).set(report_quarters::sums.eq(vec![1_u8, 0, 0])).execute(&mut conn),
                "deleted" => diesel::delete(row).execute(&mut conn),
                "moved" => diesel::update(row).set(report_quarters::quarter.eq(second + 1_000)).execute(&mut conn),
                _ => diesel::update(report_heads::table.find(merchant))
                    .set(report_heads::log_index.eq(report_heads::log_index - 30))
                    .execute(&mut conn),
            }
            .unwrap();
            let report = verify_snapshot(&mut conn, &Request::default(), &Entropy::System, &mut |_| {}).unwrap();
            connection::rollback(&mut conn).unwrap();
            let listed: Vec<String> = report.findings.listed().iter().map(ToString::to_string).collect();
            assert!(listed.iter().all(|it| it.ends_with("(report_sum_mismatch)")), "{hand}: {listed:#?}");
            let at = Timestamp::from_second(first * 900).unwrap().to_string();
            let names = |it: &String| it.contains(kind) && (it.contains(&at) || hand == "no sums");
            assert!(hand == "head" && !listed.is_empty() || listed.iter().any(names), "{hand} {at}: {listed:#?}");
        }
    }
    assert_eq!(house.findings(), [""; 0], "all was taken back");
}

/// Bodies that go take nothing out of what was summed up, and the report says that nothing proves it.
async fn what_is_pruned_is_counted_on(house: &mut House) {
    house.settle().await;
    // Nothing becomes of them any more.
    house.all.clear();
    let old = house.world.now();
    house.world.pass(400 * 86_400);
    let since = house.world.now();
    // More than the sums leave to the tail.
    house.go_on(45).await;
    let mut before = Vec::new();
    for kind in KINDS {
        before.push(house.whole(kind).await);
    }
    let mut conn = house.world.database.open().dedicated().unwrap();
    let people: i64 = report_people::table.count().get_result(&mut conn).unwrap();
    let ledger = &house.world.gateway.ledger;
    let plan = ledger.plan_pruning(&house.merchant.id, old, |_, _| ()).await.unwrap();
    let pruned = ledger.prune(&plan, CLI, |_, _| ()).await.unwrap();
    assert!(pruned > 100, "{plan:?}");
    let left: i64 = report_people::table.count().get_result(&mut conn).unwrap();
    assert!(left < people, "what links a pruned event to a person goes with it");
    for (kind, before) in KINDS.into_iter().zip(before) {
        let after = house.whole(kind).await;
        assert!(after.unprovable > 20, "{after:?}");
        assert_eq!(proven(&after), proven(&before));
        let asked = Asked { kind, group_by: None, from: None, to: None, time_zone: None, perk: None };
        let read = house.reporters()[1].report_events(&house.merchant, asked).await.unwrap();
        assert_eq!((read.pruned, read.unprovable), (after.unprovable, 0));
    }
    assert_eq!(house.findings(), [""; 0]);
    house.go_on(30).await;
    house.agree(since, 10, "after pruning").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_sum_up_at_once_or_are_cut_off_count_nothing_twice() {
    for mut house in House::all().await {
        let replica = house.world.replica().await;
        for round in 0..6 {
            house.go_on(25).await;
            let who = house.all[house.all.len() / 2].subject;
            let [_, here] = house.reporters();
            let there = replica.reporter.clone().summing(1, 5);
            let cut_off = {
                let (there, merchant) = (there.clone(), house.merchant.id.clone());
                tokio::spawn(async move { there.sum_up(&merchant).await })
            };
            if round % 2 == 0 {
                cut_off.abort();
            }
            let merchant = house.merchant.id.clone();
            let (one, other, ()) = tokio::join!(here.sum_up(&merchant), there.sum_up(&merchant), house.erase(who));
            one.unwrap();
            other.unwrap();
            let _ = cut_off.await;
            house.agree(house.begin, 4, "after a race").await;
        }
        let mut conn = house.world.database.open().dedicated().unwrap();
        let head: i64 = report_heads::table.select(report_heads::log_index).first(&mut conn).unwrap();
        assert!(head > 200, "{head}: this would show nothing");
    }
}
