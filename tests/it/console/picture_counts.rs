//! The script of the threshold picture counts what the server counts, wherever its handles are.

use std::io::Write as _;
use std::process::{Command, Stdio};

use perkgate::eligibility::picture::{DailyLimit, DayAsked, Handle, Picture, Scale};
use perkgate::foundation::decimal::Decimal;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::support::services::{find, skip};

/// Reads pictures with thresholds from its input, and writes what the page's module counts.
const PROGRAM: &str = "
const source = (await import('node:fs')).readFileSync(process.argv[1], 'utf8');
const { counting } = await import('data:text/javascript,' + encodeURIComponent(source));
const cases = JSON.parse((await import('node:fs')).readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(cases.map(([picture, thresholds]) => counting(picture).cut(thresholds))));
";

fn picture() -> impl Strategy<Value = (Picture, Vec<Decimal>)> {
    let scale = prop_oneof![
        Just((0, 100_000)),
        Just((-50_000, 1_000_000)),
        Just((0, 7)),
        Just((1_500, 9_999)),
        Just((0, 850_000))
    ];
    let limit = prop::option::of((1_u64..500, prop_oneof![Just("party"), Just("visit")]));
    (scale, 1_usize..4, limit, 1_000_i64..4_000, any::<u64>()).prop_flat_map(
        |((low, high), tiers, limit, party, seed)| {
            let whole = prop::bool::weighted(0.5);
            let thresholds = prop::collection::vec((low - 5..=high + 5, whole), tiers);
            let bins = Scale::new(Decimal::from_thousandths(low), Decimal::from_thousandths(high)).bins;
            let counts = prop::collection::vec(0_u64..50_000, bins);
            let week = prop::collection::vec((prop::collection::vec(0_u64..30, bins), 0_u64..9), 7);
            (thresholds, counts, week).prop_map(move |(thresholds, counts, week)| {
                let (minimum, maximum) = (Decimal::from_thousandths(low), Decimal::from_thousandths(high));
                let handle = |nth: usize| Handle {
                    tier: format!("t{nth}"),
                    name: format!("Tier {nth}"),
                    at_least: minimum,
                    asks_more: false,
                    is_own: true,
                    floor: None,
                };
                let limit = limit.map(|(max, cost)| DailyLimit { id: "house".to_owned(), max, cost });
                let day = |(asked, unknown): (Vec<u64>, u64)| DayAsked {
                    date: "2026-11-26".parse().unwrap(),
                    asked,
                    unknown,
                };
                let picture = Picture {
                    perk: "sfo-lounge".parse().unwrap(),
                    version: 1,
                    source: "klout".parse().unwrap(),
                    at: "2026-11-27T22:31:08Z".parse().unwrap(),
                    minimum,
                    maximum,
                    within: Scale::new(minimum, maximum).within(),
                    total: counts.iter().sum(),
                    counted: seed,
                    counts,
                    stale: 0,
                    tiers: (0..tiers).map(handle).collect(),
                    published: None,
                    incomparable: None,
                    without_threshold: Vec::new(),
                    limit,
                    party: Decimal::from_thousandths(party),
                    week: week.into_iter().map(day).collect(),
                    is_week_estimated: false,
                };
                let at = |(thousandths, is_whole): (i64, bool)| {
                    Decimal::from_thousandths(if is_whole { thousandths / 1_000 * 1_000 } else { thousandths })
                };
                (picture, thresholds.into_iter().map(at).collect())
            })
        },
    )
}

#[test]
fn the_script_counts_what_the_server_counts() {
    if find("node").is_none() {
        return skip("the picture's script", "Node 18 or newer");
    }
    let mut runner = TestRunner::deterministic();
    let cases: Vec<_> = (0..400).map(|_| picture().new_tree(&mut runner).unwrap().current()).collect();
    let input = serde_json::to_string(&cases).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/console/scripts/picture.js");
    let mut node = Command::new("node")
        .args(["--input-type=module", "-e", PROGRAM, script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    node.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success());
    let counted: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(counted.len(), cases.len());
    for ((picture, thresholds), script) in cases.iter().zip(counted) {
        let server = picture.cut(thresholds);
        let days: Vec<_> =
            server.days.iter().map(|day| json!({"came": day.came, "isFull": day.is_full, "over": day.over})).collect();
        let expected = json!({
            "tiers": server.tiers, "short": server.just_short, "rest": server.rest, "days": days,
            "admitted": server.admitted(), "isInexact": server.is_inexact,
        });
        assert_eq!(script, expected, "{thresholds:?} on {} to {}", picture.minimum, picture.maximum);
    }
}
