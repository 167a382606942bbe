//! Random rules, as text, and random facts to decide them by.

use proptest::prelude::*;
use proptest::sample::select;

use perkgate::foundation::json::Json;

use super::naive::World;

/// A score or a threshold: few values, so that they often meet, with and without decimals.
pub(crate) fn score() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => (0..=20_i64).prop_map(|fives| fives * 5000),
        1 => (0..=20_i64).prop_map(|fives| fives * 5000 + 1),
        1 => 0..=100_000_i64,
    ]
}

fn decimal(thousandths: i64) -> String {
    perkgate::foundation::decimal::Decimal::from_thousandths(thousandths).to_string()
}

fn score_leaf() -> impl Strategy<Value = String> {
    let one = (select(vec!["eq", "neq", "gt", "gte", "lt", "lte"]), score())
        .prop_map(|(op, value)| format!(r#"{{"attr":"score","op":"{op}","value":{}}}"#, decimal(value)));
    let between = (score(), score()).prop_map(|(a, b)| {
        format!(r#"{{"attr":"score","op":"between","values":[{},{}]}}"#, decimal(a.min(b)), decimal(a.max(b)))
    });
    prop_oneof![5 => one, 1 => between]
}

/// Only `gte` and `gt`: with these a higher score can do no harm.
fn rising_score_leaf() -> impl Strategy<Value = String> {
    let fixed = (select(vec!["gt", "gte"]), score())
        .prop_map(|(op, value)| format!(r#"{{"attr":"score","op":"{op}","value":{}}}"#, decimal(value)));
    let after =
        select(vec!["gt", "gte"]).prop_map(|op| format!(r#"{{"attr":"score","op":"{op}","ref":"context.bar"}}"#));
    let before =
        select(vec!["lt", "lte"]).prop_map(|op| format!(r#"{{"attr":"context.bar","op":"{op}","ref":"score"}}"#));
    prop_oneof![4 => fixed, 1 => after, 1 => before]
}

fn duration() -> impl Strategy<Value = &'static str> {
    select(vec!["PT1S", "PT30M", "PT4H", "P1D", "P7D"])
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec!["\"A\"", "\"AB\"", "\"B\"", "true", "false"]).prop_map(str::to_owned),
        (0..4_i64).prop_map(|n| n.to_string())
    ]
}

fn other_leaf() -> impl Strategy<Value = String> {
    let name = || select(vec!["a", "b", "c"]);
    let text = || select(vec!["A", "AB", "B"]);
    prop_oneof![
        (name(), select(vec!["eq", "neq"]), value())
            .prop_map(|(name, op, value)| format!(r#"{{"attr":"context.{name}","op":"{op}","value":{value}}}"#)),
        (name(), select(vec!["in", "not_in"]), prop::collection::vec(text(), 1..3)).prop_map(|(name, op, values)| {
            format!(r#"{{"attr":"context.{name}","op":"{op}","values":{values:?}}}"#)
        }),
        (name(), select(vec!["gt", "gte", "lt", "lte"]), 0..4_i64)
            .prop_map(|(name, op, value)| format!(r#"{{"attr":"context.{name}","op":"{op}","value":{value}}}"#)),
        (name(), select(vec!["contains", "starts_with"]), text())
            .prop_map(|(name, op, value)| format!(r#"{{"attr":"context.{name}","op":"{op}","value":"{value}"}}"#)),
        name().prop_map(|name| format!(r#"{{"attr":"context.{name}","op":"exists"}}"#)),
        (1..4_i64).prop_map(|n| format!(r#"{{"attr":"context.party","op":"lte","value":{n}}}"#)),
        select(vec!["eq", "neq"])
            .prop_map(|op| format!(r#"{{"attr":"subject.network","op":"{op}","value":"twitter"}}"#)),
        pass_leaf(),
        member_leaf(),
        (select(vec!["gt", "gte", "lt", "lte"]), duration())
            .prop_map(|(op, value)| format!(r#"{{"attr":"score.age","op":"{op}","value":"{value}"}}"#)),
    ]
}

/// A test of what is kept of the person: a text and a number.
fn member_leaf() -> impl Strategy<Value = String> {
    let text = || select(vec!["A", "AB", "B"]);
    prop_oneof![
        (select(vec!["eq", "neq", "contains", "starts_with"]), text())
            .prop_map(|(op, value)| format!(r#"{{"attr":"subject.level","op":"{op}","value":"{value}"}}"#)),
        (select(vec!["in", "not_in"]), prop::collection::vec(text(), 1..3))
            .prop_map(|(op, values)| format!(r#"{{"attr":"subject.level","op":"{op}","values":{values:?}}}"#)),
        (select(vec!["eq", "gt", "gte", "lt", "lte"]), 0..4_i64)
            .prop_map(|(op, value)| format!(r#"{{"attr":"subject.nights","op":"{op}","value":{value}}}"#)),
        Just(r#"{"attr":"subject.nights","op":"gte","ref":"context.party"}"#.to_owned()),
        select(vec!["level", "nights"]).prop_map(|name| format!(r#"{{"attr":"subject.{name}","op":"exists"}}"#)),
    ]
}

/// What is kept of a person, as members: some of it not known any more, or from an instant on.
fn member(now: jiff::Timestamp) -> impl Strategy<Value = Vec<(String, Json)>> {
    let end = prop::option::of(prop_oneof![-1..=1_i64, (-100..2_000_000_i64).prop_map(|seconds| seconds * 1_000_000)]);
    let fallback = || prop::option::weighted(0.05, select(vec!["deny", "refer"]));
    let level = prop::option::weighted(0.7, select(vec!["A", "AB", "B"]));
    let nights = prop::option::weighted(0.7, 0..4_i64);
    (level, nights, end, fallback(), fallback()).prop_map(move |(level, nights, end, of_level, of_nights)| {
        let mut members = Vec::new();
        let end = end.map(|micros| jiff::Timestamp::from_microsecond(now.as_microsecond() + micros).unwrap());
        if let Some(level) = level {
            members.push(("subject.level".to_owned(), Json::text(level)));
            members.extend(end.map(|end| ("subject.level.until".to_owned(), Json::text(end.to_string()))));
        }
        members.extend(nights.map(|nights| ("subject.nights".to_owned(), Json::whole(nights))));
        for (name, fallback) in [("level", of_level), ("nights", of_nights)] {
            members.extend(fallback.map(|it| (format!("subject.{name}.on_missing"), Json::text(it))));
        }
        members
    })
}

/// A test of what a boarding pass says.
fn pass_leaf() -> impl Strategy<Value = String> {
    prop_oneof![
        (select(vec!["eq", "neq", "gte", "lte"]), -1..=1_i64).prop_map(|(op, days)| {
            format!(r#"{{"attr":"boarding_pass.days_from_today","op":"{op}","value":{days}}}"#)
        }),
        (
            select(vec!["from", "to", "date"]),
            select(vec!["eq", "neq", "contains"]),
            select(vec!["SFO", "HKG", "2026-03-08"])
        )
            .prop_map(|(field, op, value)| {
                format!(r#"{{"attr":"boarding_pass.{field}","op":"{op}","value":"{value}"}}"#)
            }),
        select(vec!["date", "seat"]).prop_map(|field| format!(r#"{{"attr":"boarding_pass.{field}","op":"exists"}}"#)),
    ]
}

/// Two attributes, of types that may fit; whether they do shows at the check.
fn ref_leaf() -> impl Strategy<Value = String> {
    let write = |(left, op, right): (&str, &str, &str)| format!(r#"{{"attr":"{left}","op":"{op}","ref":"{right}"}}"#);
    let order = || select(vec!["gt", "gte", "lt", "lte"]);
    let context = || select(vec!["context.a", "context.b", "context.c", "context.party"]);
    let bar = || select(vec!["context.bar", "context.a", "context.party"]);
    let numbers = select(vec!["eq", "neq", "gt", "gte", "lt", "lte"]);
    prop_oneof![
        2 => (Just("score"), numbers.clone(), bar()).prop_map(write),
        1 => (bar(), numbers, Just("score")).prop_map(write),
        1 => (Just("score.age"), order(), select(vec!["context.bar", "context.a"])).prop_map(write),
        1 => (select(vec!["context.bar", "context.a"]), order(), Just("score.age")).prop_map(write),
        2 => (context(), order(), context()).prop_filter("another", |(left, _, right)| left != right).prop_map(write),
        2 => (select(vec!["context.a", "context.b"]), select(vec!["eq", "neq", "contains", "starts_with"]),
              select(vec!["context.c", "subject.network"])).prop_map(write),
    ]
}

/// A time window around a departure, which may open by another instant.
fn window_leaf() -> impl Strategy<Value = String> {
    let length = || select(vec!["PT0S", "PT45M", "PT1H", "PT3H", "P1D", "P14D"]);
    let names = select(vec![("dep", None), ("dep", Some("sched")), ("sched", Some("dep")), ("a", None)]);
    (names, length(), length())
        .prop_filter("an instant is no window", |(names, before, after)| {
            names.1.is_some() || before != after || *before != "PT0S"
        })
        .prop_map(|((attr, other), before, after)| {
            let other = other.map(|other| format!(r#","opens_by":"context.{other}""#)).unwrap_or_default();
            format!(r#"{{"attr":"context.{attr}","op":"within","before":"{before}","after":"{after}"{other}}}"#)
        })
}

fn nested(leaf: impl Strategy<Value = String> + 'static, with_not: bool) -> BoxedStrategy<String> {
    leaf.prop_recursive(3, 12, 3, move |inner| {
        let list = prop::collection::vec(inner.clone(), 1..4);
        let both = (select(vec!["all", "any"]), list)
            .prop_map(|(kind, members)| format!(r#"{{"{kind}":[{}]}}"#, members.join(",")));
        if with_not {
            prop_oneof![3 => both, 1 => inner.prop_map(|inner| format!(r#"{{"not":{inner}}}"#))].boxed()
        } else {
            both.boxed()
        }
    })
    .boxed()
}

pub(crate) fn condition() -> BoxedStrategy<String> {
    nested(prop_oneof![3 => score_leaf(), 3 => other_leaf(), 2 => ref_leaf(), 2 => window_leaf()], true)
}

/// A condition in which the score stands only in `gte` and `gt`, and never under a `not`.
pub(crate) fn rising_condition() -> BoxedStrategy<String> {
    let other = other_leaf().prop_map(|leaf| format!(r#"{{"not":{leaf}}}"#));
    nested(prop_oneof![3 => rising_score_leaf(), 1 => other_leaf(), 1 => other], false)
}

fn clock() -> impl Strategy<Value = String> {
    (0..24_u8, select(vec![0_u8, 15, 30, 45])).prop_map(|(hour, minute)| format!("{hour:02}:{minute:02}"))
}

fn schedule() -> impl Strategy<Value = String> {
    let days = prop::sample::subsequence(vec!["mon", "tue", "wed", "thu", "fri", "sat", "sun"], 1..=7);
    let to = prop_oneof![5 => clock(), 1 => Just("24:00".to_owned())];
    let opening = (days, clock(), to)
        .prop_filter("a time that is its own end is refused", |(_, from, to)| from != to)
        .prop_map(|(days, from, to)| format!(r#"{{"days":{days:?},"from":"{from}","to":"{to}"}}"#));
    let closed = prop::sample::subsequence(vec!["2026-03-08", "2026-04-05", "2026-10-04", "2026-11-01"], 0..=4);
    (prop::collection::vec(opening, 1..3), closed)
        .prop_map(|(open, closed)| format!(r#"{{"open":[{}],"closed_dates":{closed:?}}}"#, open.join(",")))
}

/// Once around the days on which clocks change, or on dates of every year.
fn blackouts() -> impl Strategy<Value = String> {
    let day = || select(vec!["2026-03-07", "2026-03-08", "2026-04-05", "2026-10-04", "2026-11-01", "2026-06-10"]);
    let once = (day(), clock(), 0..3_i64, clock())
        .prop_map(|(date, from, days, to)| {
            let date: jiff::civil::Date = date.parse().unwrap();
            let last = date.checked_add(jiff::Span::new().days(days)).unwrap();
            (format!("{date}T{from}"), format!("{last}T{to}"))
        })
        // Where clocks are put back, an hour that is shown twice may end as soon as it begins.
        .prop_filter("it ends after it begins", |(from, until)| from[..13] < until[..13])
        .prop_map(|(from, until)| format!(r#""from":"{from}","until":"{until}""#));
    let dates = [
        ("12-31", "01-01"),
        ("02-28", "02-29"),
        ("03-08", "03-08"),
        ("03-07", "03-09"),
        ("04-05", "04-05"),
        ("06-10", "06-11"),
        ("10-04", "10-04"),
        ("10-31", "11-02"),
    ];
    let yearly = select(dates.to_vec()).prop_map(|(from, to)| format!(r#""yearly":{{"from":"{from}","to":"{to}"}}"#));
    prop::collection::vec(prop_oneof![2 => once, 1 => yearly], 1..3).prop_map(|blackouts| {
        let blackouts = blackouts.iter().enumerate().map(|(at, times)| format!(r#"{{"id":"b{at}",{times}}}"#));
        format!(r#","blackouts":[{}]"#, blackouts.collect::<Vec<_>>().join(","))
    })
}

const ZONES: [&str; 5] = ["UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Cairo"];

/// The parts that say when: zone, validity and schedule, each with a comma before it.
fn times(scheduled: f64) -> impl Strategy<Value = String> {
    let edge = || {
        prop_oneof![
            1 => Just("null".to_owned()),
            1 => (select(vec!["2026-03-08", "2026-11-01", "2026-06-10"]), clock())
                .prop_map(|(date, clock)| format!("\"{date}T{clock}\""))
        ]
    };
    (
        select(ZONES.to_vec()),
        prop::option::weighted(0.3, (edge(), edge())),
        prop::option::weighted(scheduled, schedule()),
        prop::option::weighted(0.25 * scheduled, blackouts()),
    )
        .prop_map(|(zone, valid, schedule, blackouts)| {
            let valid = valid.map(|(from, until)| format!(r#","valid":{{"from":{from},"until":{until}}}"#));
            let schedule = schedule.map(|schedule| format!(r#","schedule":{schedule}"#));
            let (schedule, blackouts) = (schedule.unwrap_or_default(), blackouts.unwrap_or_default());
            format!(r#","time_zone":"{zone}"{}{schedule}{blackouts}"#, valid.unwrap_or_default())
        })
}

/// A share of the people, mostly everyone, with a comma before it.
fn rollout() -> impl Strategy<Value = String> {
    prop_oneof![2 => Just(100_u8), 1 => select(vec![0_u8, 1, 25, 50, 99])]
        .prop_map(|percent| format!(r#","rollout":{{"percent":{percent}}}"#))
}

/// The guests of a tier, with a comma before them.
pub(crate) fn guests() -> impl Strategy<Value = String> {
    let under = prop::option::of(select(vec![1_u8, 2, 8]));
    let over = prop::option::of(select(vec!["deny", "admit_max"]));
    (0..3_u8, 0..3_u8, under, over).prop_map(|(free, more, under, over)| {
        let under = under.map(|under| format!(r#","under":{under}"#)).unwrap_or_default();
        let over = over.map(|over| format!(r#","over":"{over}""#)).unwrap_or_default();
        format!(r#","guests":{{"free":{free},"max":{}{under}{over}}}"#, free + more)
    })
}

fn assemble(
    condition: fn() -> BoxedStrategy<String>,
    times: impl Strategy<Value = String>,
) -> impl Strategy<Value = String> {
    let gate = prop::option::weighted(0.4, condition());
    let tier = (prop::option::weighted(0.95, condition()), prop::option::weighted(0.3, guests()));
    let tiers = prop::collection::vec(tier, 1..4);
    let fallback = || prop::option::weighted(0.6, select(vec!["deny", "refer", "ignore"]));
    let policy = (prop::option::weighted(0.5, duration()), fallback(), fallback());
    let otherwise = prop::option::weighted(0.4, select(vec!["deny", "refer"]));
    let rest = (otherwise, rollout(), prop::option::of(duration()));
    let short = score().prop_map(|least| format!(r#"{{"at_least":{},"score":"klout"}}"#, decimal(least)));
    let long =
        (gate, tiers, policy, times, any::<u32>(), rest).prop_map(|(gate, tiers, policy, times, shuffle, rest)| {
            let member =
                |name: &str, word: Option<&str>| word.map(|word| format!(r#","{name}":"{word}""#)).unwrap_or_default();
            let (max_age, on_missing, on_stale) = policy;
            let (otherwise, rollout, wait) = rest;
            let gate = gate.map(|gate| format!(r#","when":{gate}"#)).unwrap_or_default();
            let policy = member("max_age", max_age) + &member("on_missing", on_missing) + &member("on_stale", on_stale);
            let (otherwise, wait) = (member("otherwise", otherwise), member("max_wait", wait));
            let mut tiers: Vec<_> = tiers
                .into_iter()
                .enumerate()
                .map(|(at, (when, guests))| {
                    let guests = guests.unwrap_or_default();
                    let when = when.map(|when| format!(r#","when":{when}"#)).unwrap_or_default();
                    // Only the lowest band promises a wait, so that a wait can't be taken for another's.
                    let wait = if at == 0 { wait.as_str() } else { "" };
                    format!(r#"{{"id":"t{at}","rank":{}{when}{wait}{guests}}}"#, at + 1)
                })
                .collect();
            let turns = shuffle as usize % tiers.len();
            tiers.rotate_left(turns);
            format!(
                r#"{{"score":{{"source":"klout"{policy}}}{gate},"tiers":[{}]{times}{rollout}{otherwise}}}"#,
                tiers.join(",")
            )
        });
    prop_oneof![1 => short, 12 => long]
}

/// Any rule, with times.
pub(crate) fn rule() -> impl Strategy<Value = String> {
    assemble(condition, times(0.5))
}

/// A rule that admits everyone, when it is open; some hold no large party, here or there.
pub(crate) fn timed_rule() -> impl Strategy<Value = String> {
    let counts = select(vec![
        r#""scope":["location"],"window":{"calendar":"year"}"#,
        r#""scope":["context.a"],"window":{"calendar":"month"}"#,
        r#""scope":["perk","context.b"],"window":{"rolling":"P2D"}"#,
    ]);
    let limit = (maximum(1..5), select(vec!["1", "\"party\""]), counts)
        .prop_map(|(max, cost, counts)| format!(r#","limits":[{{"id":"l",{counts},"max":{max},"cost":{cost}}}]"#));
    let guests = prop::option::weighted(0.3, guests());
    (times(0.95), prop::option::weighted(0.3, limit), guests).prop_map(|(times, limit, guests)| {
        let (limit, guests) = (limit.unwrap_or_default(), guests.unwrap_or_default());
        format!(r#"{{"tiers":[{{"id":"t"{guests}}}]{times}{limit}}}"#)
    })
}

/// The most uses of a limit, everywhere or with others at some locations.
pub(crate) fn maximum(most: std::ops::Range<u32>) -> impl Strategy<Value = String> {
    let plain = most.clone().prop_map(|max| max.to_string());
    let by_location = (most.clone(), most.clone(), most).prop_map(|(default, sfo, lax)| {
        format!(r#"{{"default":{default},"by_location":{{"SFO":{sfo},"LAX":{lax}}}}}"#)
    });
    prop_oneof![2 => plain, 1 => by_location]
}

/// A rule that is always open, and in which a higher score can do no harm.
pub(crate) fn rising_rule() -> impl Strategy<Value = String> {
    assemble(rising_condition, Just(String::new()))
}

/// Around the days on which clocks change, to the second and the microsecond.
pub(crate) fn instant() -> impl Strategy<Value = jiff::Timestamp> {
    let days = select(vec!["2026-03-08", "2026-04-05", "2026-10-04", "2026-11-01", "2026-06-10"]);
    (days, 0..192_i64, select(vec![0_i64, 0, 0, 1, -1, 450_000_000])).prop_map(|(day, quarters, micros)| {
        let midnight: jiff::Timestamp = format!("{day}T00:00:00Z").parse().unwrap();
        let micros = midnight.as_microsecond() + (quarters - 96) * 900_000_000 + micros;
        jiff::Timestamp::from_microsecond(micros).unwrap()
    })
}

fn fact() -> impl Strategy<Value = String> {
    prop_oneof![6 => value(), 1 => Just(r#"["A","B"]"#.to_owned()), 1 => Just("[]".to_owned())]
}

/// An instant near `now`, as a caller writes it; now and then something else.
fn departure(now: jiff::Timestamp) -> impl Strategy<Value = String> {
    let quarters = prop_oneof![3 => -16..=16_i64, 1 => -400..=1400_i64];
    let micros = select(vec![0_i64, 0, 0, 1, -1, 30_000_000]);
    let near = (quarters, micros, select(vec!["+00", "+05:45", "-07"])).prop_map(move |(quarters, micros, offset)| {
        let at = jiff::Timestamp::from_microsecond(now.as_microsecond() + quarters * 900_000_000 + micros).unwrap();
        let hours: jiff::SignedDuration = match offset {
            "+05:45" => jiff::SignedDuration::from_mins(345),
            "-07" => jiff::SignedDuration::from_hours(-7),
            _ => jiff::SignedDuration::ZERO,
        };
        let local = jiff::tz::TimeZone::UTC.to_datetime(at + hours).strftime("%Y-%m-%dT%H:%M:%S%.f").to_string();
        let offset = match offset {
            "+00" => "Z",
            "-07" => "-07:00",
            offset => offset,
        };
        format!("\"{local}{offset}\"")
    });
    prop_oneof![12 => near, 1 => Just("7".to_owned()), 1 => Just("\"tomorrow\"".to_owned())]
}

/// Facts, with a score observed up to eight days before `now`, or after it.
pub(crate) fn world(now: jiff::Timestamp) -> impl Strategy<Value = World> {
    let age = prop_oneof![
        -1..=1_i64,
        (-3600..700_000_i64).prop_map(|seconds| seconds * 1_000_000),
        (select(vec![1_i64, 1800, 14_400, 86_400, 604_800]), -1..=1_i64).prop_map(|(age, off)| age * 1_000_000 + off),
    ];
    let bar = prop::option::weighted(0.8, score());
    let score = prop::option::weighted(0.9, (score(), age));
    let context = prop::collection::btree_map(select(vec!["a", "b", "c"]), fact(), 0..=3);
    let bucket =
        prop::option::weighted(0.9, prop_oneof![0..10_000_u16, select(vec![0_u16, 99, 100, 2499, 2500, 9899, 9900])]);
    // How many come, and the ages of those who are children, of whom there are fewer.
    let party = prop::option::of((1..6_i64, prop::collection::vec(select(vec![0_u8, 1, 2, 7, 17]), 0..4)));
    let network = select(vec![None, Some("twitter"), Some("cx")]);
    let flight = (prop::option::weighted(0.85, departure(now)), prop::option::weighted(0.5, departure(now)));
    let location = select(vec![None, Some("SFO"), Some("LAX"), Some("HKG")]);
    let pass = (-2..=2_i64, select(vec!["SFO", "HKG"]), any::<bool>());
    let pass = prop::option::weighted(0.7, prop::option::weighted(0.8, pass));
    let all = (score, context, party, network, bar, bucket, flight, (location, pass, member(now)));
    all.prop_map(move |(score, context, party, network, bar, bucket, (departs, scheduled), (location, pass, kept))| {
        let mut context: Vec<_> =
            context.into_iter().map(|(name, fact)| (name.to_owned(), Json::parse(&fact).unwrap())).collect();
        let mut children = Vec::new();
        if let Some((party, ages)) = party {
            children = ages.into_iter().take(usize::try_from(party - 1).unwrap()).collect();
            context.push(("party".into(), Json::parse(&party.to_string()).unwrap()));
        }
        for (name, instant) in [("dep", departs), ("sched", scheduled)] {
            context.extend(instant.map(|instant| (name.to_owned(), Json::parse(&instant).unwrap())));
        }
        if let Some(bar) = bar {
            context.push(("bar".into(), Json::parse(&decimal(bar)).unwrap()));
        }
        context.extend(kept);
        match pass {
            None => {}
            Some(None) => context.push(("boarding_pass.undated".into(), Json::Bool(true))),
            Some(Some((days, from, has_seat))) => {
                context.push(("boarding_pass.days_from_today".into(), Json::whole(days)));
                context.push(("boarding_pass.date".into(), Json::text("2026-03-08")));
                context.push(("boarding_pass.from".into(), Json::text(from)));
                context.push(("boarding_pass.to".into(), Json::text("SFO")));
                if has_seat {
                    context.push(("boarding_pass.seat".into(), Json::text("12A")));
                }
            }
        }
        World {
            bucket,
            location,
            score: score
                .map(|(value, age)| (value, jiff::Timestamp::from_microsecond(now.as_microsecond() - age).unwrap())),
            network: network.map(str::to_owned),
            context,
            children,
        }
    })
}
