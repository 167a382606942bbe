//! Sums when something is taken away, damaged, or can't be written: they say what the events say, or that they can't.

use std::collections::BTreeSet;

use diesel::prelude::*;
use jiff::Timestamp;
use perkgate::audit::reports::asked::{Bound, ReportKind};
use perkgate::audit::reports::sheet::{LimitRow, ReportSheet, Row};
use perkgate::audit::reports::{Asked, Reporter};
use perkgate::database::schema::{report_heads, report_people, report_quarters, subjects};
use perkgate::database::{AnyConnection, connection};
use perkgate::eligibility::referral_decision::ReferralDecision;
use perkgate::foundation::ids::EventId;
use perkgate::ledger::cases::contest::Objection;
use perkgate::ledger::retention::pruning::Plan;

use super::sums::{House, KINDS};
use crate::support::world::{CLI, question};

const CONTESTS: [&str; 4] = ["contested", "upheld", "overturned", "closed"];

impl House {
    fn conn(&self) -> AnyConnection {
        self.world.database.open().dedicated().unwrap()
    }

    /// The gateway's own, which leaves thousands of events to the tail.
    fn reporter(&self) -> Reporter {
        self.world.gateway.reporter.clone()
    }

    async fn events(&self, kind: ReportKind) -> ReportSheet {
        self.reporter().report_events(&self.merchant, all_of(kind)).await.unwrap()
    }

    async fn plan(&self, before: Timestamp) -> Plan {
        self.world.gateway.ledger.plan_pruning(&self.merchant.id, before, |_, _| ()).await.unwrap()
    }

    async fn prune(&self, before: Timestamp) -> u64 {
        let plan = self.plan(before).await;
        assert!(plan.obstacles.is_empty(), "{plan:?}");
        self.world.gateway.ledger.prune(&plan, CLI, |_, _| ()).await.unwrap()
    }
}

const fn all_of(kind: ReportKind) -> Asked {
    Asked { kind, group_by: None, from: None, to: None, time_zone: None, perk: None }
}

type Groups = Vec<(Option<String>, Vec<(&'static str, u64)>)>;

/// What doesn't change with pruning: contests stand elsewhere when their refusal goes.
pub(super) fn proven(sheet: &ReportSheet) -> (Row, Groups, Vec<LimitRow>) {
    let counts = |row: &Row| row.0.iter().copied().filter(|(name, _)| !CONTESTS.contains(name)).collect::<Vec<_>>();
    let groups = sheet.groups.iter().map(|it| (it.group.clone(), counts(&it.counts)));
    let groups = groups.filter(|(_, counts)| counts.iter().any(|(_, count)| *count > 0)).collect();
    (sheet.totals.clone(), groups, sheet.limits.clone())
}

/// The contests by band.
fn contests(sheet: &ReportSheet) -> Vec<(Option<String>, Vec<u64>)> {
    let counts = |row: &Row| CONTESTS.iter().map(|name| row.get(name)).collect::<Vec<_>>();
    let groups = sheet.groups.iter().map(|it| (it.group.clone(), counts(&it.counts)));
    groups.filter(|(_, counts)| counts.iter().any(|count| *count > 0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pruning_sums_up_first_whatever_is_summed_up() {
    for is_begun in [false, true] {
        for mut house in House::all().await {
            house.go_on(40).await;
            if is_begun {
                // The head stands between grants and what became of them.
                house.reporters()[1].sum_up(&house.merchant.id).await.unwrap();
            }
            house.go_on(25).await;
            house.settle().await;
            let ragged = house.all[30].at + jiff::SignedDuration::from_secs(7);
            house.all.clear();
            let old = house.world.now();
            house.world.pass(400 * 86_400);
            let mut before = Vec::new();
            for kind in KINDS {
                before.push(house.events(kind).await);
            }
            assert!(before[0].totals.get("grants_redeemed") > 3 && before[1].totals.get("corrected") > 0, "{before:?}");
            assert!(house.prune(old).await > 60);
            for (kind, before) in KINDS.into_iter().zip(&before) {
                let after = house.reporter().report(&house.merchant, all_of(kind), || {}).await.unwrap();
                let read = house.events(kind).await;
                assert_eq!((after.pruned, after.unprovable), (0, read.pruned), "{after:?}");
                assert_eq!(proven(&after), proven(before));
                // The ends of a period that are no whole quarters are read from the events.
                let asked = Asked { from: Some(Bound::Instant(ragged)), ..all_of(kind) };
                let part = house.reporter().report(&house.merchant, asked.clone(), || {}).await.unwrap();
                let read = house.reporter().report_events(&house.merchant, asked).await.unwrap();
                assert_eq!(part.pruned + part.unprovable, read.pruned, "{part:?}");
                assert!(part.pruned < read.pruned, "{part:?}");
            }
            assert_eq!(house.findings(), [""; 0]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_prune_at_once_count_nothing_twice() {
    for mut house in House::all().await {
        house.go_on(60).await;
        house.settle().await;
        house.all.clear();
        let old = house.world.now();
        house.world.pass(400 * 86_400);
        let replica = house.world.replica().await;
        let (one, other) = (house.plan(old).await, house.plan(old).await);
        let (here, there) = (&house.world.gateway.ledger, &replica.ledger);
        let (one, other) = tokio::join!(here.prune(&one, CLI, |_, _| ()), there.prune(&other, CLI, |_, _| ()));
        assert!(one.unwrap() + other.unwrap() > 60);
        for kind in KINDS {
            assert_eq!(house.whole(kind).await.unprovable, house.events(kind).await.pruned);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contest_whose_refusal_is_pruned_says_no_band_any_more() {
    for house in House::all().await {
        let world = &house.world;
        world.score(&house.merchant, "twitter:s1", "25").await;
        let refused = world.check(&house.staff.kiosks[0], question("lounge", "twitter:s1")).await.unwrap();
        let check = refused.check.unwrap();
        world.pass(86_400);
        let between = world.now();
        let (merchant, event) = (house.merchant.id.clone(), EventId::new(between, &world.gateway.entropy));
        let objection = Objection { merchant, check: check.clone(), event, at: between, by: CLI, reason: "No.".into() };
        world.gateway.ledger.contest(objection).await.unwrap();
        let ruling = ReferralDecision { check, tier: None, note: "Seen.".into() };
        world.gateway.checker.decide_referral(&house.staff.admin, &house.merchant, ruling).await.unwrap();
        world.pass(1);
        let band = Some("20 to below 30".to_owned());
        assert_eq!(contests(&house.whole(ReportKind::Fairness).await), [(band, vec![1, 1, 0, 0])]);
        world.pass(400 * 86_400);
        assert_eq!(house.prune(between).await, 1, "the refusal alone");
        let unknown = [(Some("unknown".to_owned()), vec![1, 1, 0, 0])];
        assert_eq!(contests(&house.whole(ReportKind::Fairness).await), unknown);
        assert_eq!(contests(&house.events(ReportKind::Fairness).await), unknown);
        house.erase_handle("twitter:s1").await;
        assert_eq!(contests(&house.whole(ReportKind::Fairness).await), unknown);
        assert_eq!(house.findings(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_keeps_no_erasure_and_no_pruning_from_being_done() {
    for mut house in House::all().await {
        house.go_on(60).await;
        for kind in KINDS {
            house.whole(kind).await;
        }
        let mut conn = house.conn();
        // A secret that nobody can open any more, of someone who was summed up with it.
        let (bent, other) = (house.all[30].subject, house.all[31].subject);
        let subject = house.world.gateway.keyring.subject_refs(&house.merchant.id, &handle(bent));
        let row = subjects::table.find((house.merchant.id.as_str(), subject.current.0.as_slice()));
        assert_eq!(diesel::update(row).set(subjects::sealed.eq(vec![7_u8; 60])).execute(&mut conn).unwrap(), 1);
        house.erase(bent).await;
        for kind in KINDS {
            assert_eq!(without_size(house.whole(kind).await), without_size(house.events(kind).await));
        }
        // Sums that nobody can read any more.
        let rows: Vec<(String, i64)> = report_quarters::table
            .order((report_quarters::report, report_quarters::quarter))
            .select((report_quarters::report, report_quarters::quarter))
            .load(&mut conn)
            .unwrap();
        let lost: BTreeSet<&(String, i64)> = rows.iter().step_by(9).collect();
        for (report, quarter) in &lost {
            let row = report_quarters::table.find((house.merchant.id.as_str(), report, quarter));
            diesel::update(row).set(report_quarters::sums.eq(vec![9_u8])).execute(&mut conn).unwrap();
        }
        if other != bent {
            house.erase(other).await;
        }
        for kind in KINDS {
            assert_eq!(without_size(house.whole(kind).await), without_size(house.events(kind).await));
        }
        let listed = house.findings();
        assert!(listed.len() >= lost.len() && listed.iter().all(|it| it.contains("it is lost")), "{listed:#?}");
        house.settle().await;
        house.all.clear();
        let old = house.world.now();
        house.world.pass(400 * 86_400);
        assert!(house.prune(old).await > 40);
        for kind in KINDS {
            let (summed, read) = (house.whole(kind).await, house.events(kind).await);
            assert_eq!(summed.pruned + summed.unprovable, read.pruned, "{summed:?}");
            assert!(summed.unprovable > summed.pruned && summed.pruned > 0, "{summed:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_bent_is_not_believed() {
    for mut house in House::all().await {
        house.go_on(40).await;
        house.whole(ReportKind::Grants).await;
        let mut conn = house.conn();
        let mut bend = |index: i64| {
            let head = report_heads::table.find(house.merchant.id.as_str());
            diesel::update(head).set(report_heads::log_index.eq(index)).execute(&mut conn).unwrap();
        };
        for index in [1_000_000_000_000, -1] {
            bend(index);
            let counted = house.reporter().report(&house.merchant, all_of(ReportKind::Grants), || {}).await.unwrap();
            assert_eq!(counted, house.events(ReportKind::Grants).await);
        }
        house.settle().await;
        let old = house.world.now();
        house.world.pass(400 * 86_400);
        // From the beginning, as nobody says any more what was summed up.
        diesel::delete(report_quarters::table).execute(&mut house.conn()).unwrap();
        diesel::delete(report_people::table).execute(&mut house.conn()).unwrap();
        bend(0);
        assert!(house.prune(old).await > 20);
        house.reporter().report(&house.merchant, all_of(ReportKind::Billing), || {}).await.unwrap();
        bend(1_000_000_000_000);
        let error = house.reporter().report(&house.merchant, all_of(ReportKind::Billing), || {}).await.unwrap_err();
        assert!(error.to_string().contains("report sums"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_sums_up_a_little_and_needs_nothing_that_can_be_written() {
    for mut house in House::all().await {
        house.go_on(50).await;
        let [_, reporter] = house.reporters();
        let read = house.events(ReportKind::Grants).await;
        let much = reporter.clone().summing_at_most(50);
        let summed = much.report(&house.merchant, all_of(ReportKind::Grants), || {}).await.unwrap();
        assert_eq!(summed, read);
        let mut conn = house.conn();
        let heads: i64 = report_heads::table.count().get_result(&mut conn).unwrap();
        assert_eq!(heads, 0, "that was left to others");
        reporter.sum_up(&house.merchant.id).await.unwrap();
        house.go_on(30).await;
        // Another holds what it would write.
        let mut holder = house.world.database.open().dedicated_writer().unwrap();
        connection::begin(&mut holder).unwrap();
        let head = report_heads::table.find(house.merchant.id.as_str());
        diesel::update(head).set(report_heads::revision.eq(report_heads::revision)).execute(&mut holder).unwrap();
        let summed = reporter.report(&house.merchant, all_of(ReportKind::Grants), || {}).await.unwrap();
        assert_eq!(summed, house.events(ReportKind::Grants).await);
        // The server may have ended it meanwhile.
        drop(holder);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn someone_with_many_events_is_counted_as_nobody() {
    for house in House::all().await {
        let world = &house.world;
        world.score(&house.merchant, "twitter:crew", "25").await;
        for _ in 0..570 {
            world.pass(40);
            world.check(&house.staff.kiosks[0], question("lounge", "twitter:crew")).await.unwrap();
        }
        let known = house.whole(ReportKind::Fairness).await;
        assert_eq!(known.groups[0].group.as_deref(), Some("20 to below 30"));
        house.erase_handle("twitter:crew").await;
        let after = house.whole(ReportKind::Fairness).await;
        assert_eq!(without_size(after.clone()), without_size(house.events(ReportKind::Fairness).await));
        assert_eq!(after.groups[0].group.as_deref(), Some("unknown"), "{after:?}");
        let left: i64 = report_people::table.count().get_result(&mut house.conn()).unwrap();
        assert_eq!((left, house.findings()), (0, Vec::new()));
    }
}

fn handle(who: usize) -> perkgate::foundation::subject::SubjectHandle {
    format!("twitter:s{who}").parse().unwrap()
}

/// An erasure has an event of its own.
fn without_size(sheet: ReportSheet) -> ReportSheet {
    ReportSheet { log_size: 0, ..sheet }
}
