//! A second, naive reading of a rule: straight from the design's section 6, over the raw document.
//!
//! It shares no code with the crate but the JSON tree, is allowed to be slow, and looks for every
//! answer the dull way: gaps by trying scores, when to come back by trying instants.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use perkgate::foundation::json::Json;

/// What is known, in raw form: the score in thousandths.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub score: Option<(i64, Timestamp)>,
    pub network: Option<String>,
    pub context: Vec<(String, Json)>,
    /// The ages of the children of the party, which has at least one adult more.
    pub children: Vec<u8>,
    /// Where the person stands in the rollout, of ten thousand.
    pub bucket: Option<u16>,
    /// Of the key that asks.
    pub location: Option<&'static str>,
}

/// What the oracle says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// `granted`, `denied` or `referred`.
    pub decision: &'static str,
    pub tier: Option<String>,
    /// The granted tier's, in seconds.
    pub max_wait: Option<i64>,
    /// The code of the first reason; none for a grant without a threshold.
    pub code: Option<&'static str>,
    /// In thousandths.
    pub wanted: Option<i64>,
    pub short_by: Option<i64>,
    pub next: Option<Timestamp>,
    /// Free, charged, uncounted and refused ones.
    pub guests: Option<[i64; 4]>,
}

fn denied(code: &'static str) -> Answer {
    Answer {
        decision: "denied",
        tier: None,
        max_wait: None,
        code: Some(code),
        wanted: None,
        short_by: None,
        next: None,
        guests: None,
    }
}

/// The answer, with when waiting alone is enough.
pub(super) fn answer(rule: &Json, world: &World, now: Timestamp) -> Answer {
    let rule = &long_form(rule);
    let answer = at_once(rule, world, now);
    let next = if answer.decision == "granted" { None } else { next_grant(rule, world, now) };
    Answer { next, ..answer }
}

/// Every instant of the next two weeks at which something may turn, one after the other.
fn next_grant(rule: &Json, world: &World, now: Timestamp) -> Option<Timestamp> {
    let end = now + SignedDuration::from_hours(24 * 14);
    // Openings, blackouts, dates, validity and clocks turn at quarters of an hour: the tests use no finer times.
    let quarters = std::iter::successors(Some(ceil_to_quarter(now)), |at| Some(*at + SignedDuration::from_mins(15)));
    let mut candidates: Vec<Timestamp> = quarters.take_while(|at| *at <= end).collect();
    odd_instants(rule, world, &mut candidates);
    let ends = world.context.iter().filter(|(name, _)| name.strip_suffix(".until").is_some());
    candidates.extend(ends.map(|(_, end)| text(end).unwrap().parse::<Timestamp>().unwrap()));
    candidates.retain(|at| now < *at && *at <= end);
    candidates.sort_unstable();
    candidates.into_iter().find(|at| {
        let then = considered(rule, world, *at, false);
        then.decision == "granted" && ever_fits(rule, world, then.tier.as_deref())
    })
}

/// The instants at which time windows open and close, a score becomes stale, and its age reaches what it is compared
/// with.
fn odd_instants(json: &Json, world: &World, into: &mut Vec<Timestamp>) {
    let both = |at: Timestamp| [at, at + SignedDuration::from_micros(1)];
    let aged = |micros: i64| {
        let observed = world.score.map(|(_, observed)| observed.as_microsecond());
        let at = observed.and_then(|observed| Timestamp::from_microsecond(observed + micros).ok());
        at.into_iter().flat_map(both)
    };
    match json {
        Json::List(items) => items.iter().for_each(|item| odd_instants(item, world, into)),
        Json::Object(members) => {
            for (_, member) in members {
                odd_instants(member, world, into);
            }
            if text(get(json, "op")) == Some("within")
                && let Some((opens, closes)) = window(json, world)
            {
                into.extend(both(opens).into_iter().chain(both(closes)));
            }
            let sides = [text(get(json, "attr")), text(get(json, "ref"))];
            if sides.contains(&Some("score.age")) {
                let written = std::iter::once(get(json, "value")).chain(list(get(json, "values")));
                written.filter_map(text).for_each(|age| into.extend(aged(duration_micros(age))));
                let others = sides.into_iter().flatten().filter_map(|side| side.strip_prefix("context."));
                for (_, value) in others.flat_map(|name| world.context.iter().filter(move |(known, _)| known == name)) {
                    if let Some(age) = thousandths(value) {
                        into.extend(aged(age * 1000));
                    }
                }
            }
            if let Some(age) = text(get(json, "max_age")) {
                into.extend(aged(duration_micros(age)));
            }
        }
        _ => {}
    }
}

/// The answer but for when waiting is enough.
pub(super) fn at_once(rule: &Json, world: &World, now: Timestamp) -> Answer {
    considered(&long_form(rule), world, now, true)
}

/// The same, of a long rule; whether waiting is all that there is to do, it says where it looks ahead.
fn considered(rule: &Json, world: &World, now: Timestamp, ahead: bool) -> Answer {
    let zone = TimeZone::get(text(get(rule, "time_zone")).unwrap_or("UTC")).unwrap();
    let bound = |name| {
        let written = text(get(get(rule, "valid"), name))?;
        let local: jiff::civil::DateTime = written.parse().unwrap();
        Some(zone.to_zoned(local).unwrap().timestamp())
    };
    let (from, until) = (bound("from"), bound("until"));
    if until.is_some_and(|until| now >= until) {
        denied("no_longer_valid")
    } else if from.is_some_and(|from| now < from) {
        denied("not_yet_valid")
    } else if is_blacked_out(rule, &zone, now) {
        denied("blackout")
    } else if is_open(rule, &zone, now) {
        while_open(rule, world, now, ahead)
    } else {
        denied("outside_schedule")
    }
}

/// By the local date and time, day for day.
fn is_blacked_out(rule: &Json, zone: &TimeZone, now: Timestamp) -> bool {
    let local = zone.to_datetime(now);
    list(get(rule, "blackouts")).iter().any(|blackout| {
        let yearly = get(blackout, "yearly");
        if *yearly == Json::Null {
            let edge = |name| {
                let local: jiff::civil::DateTime = text(get(blackout, name)).unwrap().parse().unwrap();
                zone.to_zoned(local).unwrap().timestamp()
            };
            return edge("from") <= now && now < edge("until");
        }
        let day = |written: &str| match written {
            "02-29" if !local.date().in_leap_year() => "02-28".to_owned(),
            other => other.to_owned(),
        };
        let (from, to) = (text(get(yearly, "from")).unwrap(), text(get(yearly, "to")).unwrap());
        let today = local.strftime("%m-%d").to_string();
        // Across New Year: the end of one year and the beginning of another.
        if to < from { today >= day(from) || today <= day(to) } else { day(from) <= today && today <= day(to) }
    })
}

/// Number of people that come.
fn size(world: &World) -> i64 {
    world.context.iter().find(|(name, _)| name == "party").map_or(1, |(_, party)| party.as_whole().unwrap())
}

/// One after the other, the person aside: small children first, who are not counted; then the free ones, then those who
/// are charged; and whoever is left, whom `admit_max` leaves outside. None where they are too many for the tier.
fn guests(tier: &Json, world: &World) -> Option<[i64; 4]> {
    let terms = get(tier, "guests");
    let number = |name| get(terms, name).as_whole().unwrap_or(0);
    let [mut free, mut charged, mut uncounted, mut refused] = [0; 4];
    for nth in 1..size(world) {
        let age = world.children.get(usize::try_from(nth - 1).unwrap());
        if age.is_some_and(|age| i64::from(*age) < number("under")) {
            uncounted += 1;
        } else if free + charged == number("max") {
            refused += 1;
        } else if free < number("free") {
            free += 1;
        } else {
            charged += 1;
        }
    }
    (refused == 0 || text(get(terms, "over")) == Some("admit_max")).then_some([free, charged, uncounted, refused])
}

fn has_guests(tier: &Json) -> bool {
    *get(tier, "guests") != Json::Null
}

/// Number of people that limits count of a grant of the tier.
pub(super) fn counted(tier: &Json, world: &World) -> i64 {
    match guests(tier, world) {
        Some([free, charged, ..]) if has_guests(tier) => 1 + free + charged,
        // Whom a tier turns away a person may admit, all of them.
        None if has_guests(tier) => {
            let under = get(get(tier, "guests"), "under").as_whole().unwrap_or(0);
            let young = world.children.iter().filter(|age| i64::from(**age) < under).count();
            size(world) - i64::try_from(young).unwrap()
        }
        _ => size(world),
    }
}

/// The same of another number of people, all of them adults, if one is given.
pub(super) fn counted_of(tier: &Json, world: &World, party: Option<u64>) -> i64 {
    let Some(party) = party else { return counted(tier, world) };
    let mut world = World { children: Vec::new(), ..world.clone() };
    world.context.retain(|(name, _)| name != "party");
    world.context.push(("party".to_owned(), Json::whole(party.cast_signed())));
    counted(tier, &world)
}

/// A party that is larger than what a limit holds at the location comes in at no time.
fn ever_fits(rule: &Json, world: &World, tier: Option<&str>) -> bool {
    let tier = list(get(rule, "tiers")).iter().find(|it| text(get(it, "id")) == tier).unwrap_or(&Json::Null);
    let party = counted(tier, world);
    list(get(rule, "limits")).iter().all(|limit| {
        let cost = if text(get(limit, "cost")) == Some("party") { party } else { 1 };
        cost <= most(get(limit, "max"), world.location)
    })
}

/// What fits at a location.
pub(super) fn most(max: &Json, location: Option<&str>) -> i64 {
    let own = location.map_or(&Json::Null, |location| get(get(max, "by_location"), location));
    [own, get(max, "default"), max].into_iter().find_map(Json::as_whole).unwrap()
}

fn ceil_to_quarter(now: Timestamp) -> Timestamp {
    let second = now.as_second() + i64::from(now.subsec_nanosecond() > 0);
    Timestamp::from_second((second + 899).div_euclid(900) * 900).unwrap()
}

fn is_open(rule: &Json, zone: &TimeZone, now: Timestamp) -> bool {
    let schedule = get(rule, "schedule");
    let local = zone.to_datetime(now);
    let clock = format!("{:02}:{:02}", local.hour(), local.minute());
    let closed = |date: jiff::civil::Date| {
        list(get(schedule, "closed_dates")).iter().any(|closed| text(closed) == Some(&date.to_string()))
    };
    if *get(schedule, "open") == Json::Null {
        return !closed(local.date());
    }
    list(get(schedule, "open")).iter().any(|opening| {
        let (from, to) = (text(get(opening, "from")).unwrap(), text(get(opening, "to")).unwrap());
        let begins = |date: jiff::civil::Date| {
            let day = date.strftime("%a").to_string().to_lowercase();
            !closed(date) && list(get(opening, "days")).iter().any(|name| text(name) == Some(&day))
        };
        let (today, yesterday) = (local.date(), local.date().yesterday().unwrap());
        // Two digits each: text compares as time does.
        if from < to {
            begins(today) && from <= clock.as_str() && clock.as_str() < to
        } else {
            (begins(today) && clock.as_str() >= from) || (begins(yesterday) && clock.as_str() < to)
        }
    })
}

/// The rollout, then what becomes of a score that is missing or stale, then the merits.
fn while_open(rule: &Json, world: &World, now: Timestamp, ahead: bool) -> Answer {
    let share = thousandths(get(get(rule, "rollout"), "percent")).unwrap_or(100_000) / 10;
    if share < 10_000 && world.bucket.is_none_or(|bucket| i64::from(bucket) >= share) {
        return denied("not_in_rollout");
    }
    let conditions = || {
        std::iter::once(get(rule, "when"))
            .chain(list(get(rule, "tiers")).iter().map(|tier| get(tier, "when")))
            .filter(|when| **when != Json::Null)
    };
    let mentions = |member: &str| conditions().any(|when| when.canonical().contains(member));
    if !mentions("\"attr\":\"score") && !mentions("\"ref\":\"score") {
        return merits(rule, world, world, now, ahead);
    }
    let policy = get(rule, "score");
    let is_stale = |observed| {
        text(get(policy, "max_age")).is_some_and(|max_age| age_micros(observed, now) > duration_micros(max_age))
    };
    let (code, fallback) = match world.score {
        None => ("score_missing", get(policy, "on_missing")),
        Some((_, observed)) if is_stale(observed) => ("score_stale", get(policy, "on_stale")),
        Some(_) => return merits(rule, world, world, now, ahead),
    };
    match text(fallback).unwrap_or("deny") {
        "refer" => Answer { decision: "referred", ..denied(code) },
        "ignore" => {
            let answer = merits(rule, world, &World { score: None, ..world.clone() }, now, ahead);
            let code = if answer.decision == "granted" { Some(code) } else { answer.code };
            Answer { code, ..answer }
        }
        _ => denied(code),
    }
}

/// What the rule refuses on its merits goes to a person where the rule says so, unless it is only too early. The world
/// is that of the question, and that without a score which the rule doesn't rely on.
fn merits(rule: &Json, whole: &World, world: &World, now: Timestamp, ahead: bool) -> Answer {
    // What must be known of the person, wherever the rule speaks of it.
    let written = [get(rule, "when"), get(rule, "tiers")].map(Json::canonical).join(" ");
    let missing = |wanted: &str| {
        let all = world.context.iter().filter_map(|(name, fallback)| {
            let attr = name.strip_suffix(".on_missing")?;
            let is_missing = text(fallback) == Some(wanted)
                && written.contains(&format!("\"{attr}\""))
                && known(attr, world, now).is_none();
            is_missing.then_some(attr)
        });
        all.min()
    };
    if let Some(attr) = missing("deny") {
        return denied(code_of_kept(attr, world, now));
    }
    if let Some(attr) = missing("refer") {
        return Answer { decision: "referred", ..denied(code_of_kept(attr, world, now)) };
    }
    let answer = judged(rule, world, now);
    if answer.decision == "granted"
        && let Some(code) = uncountable(rule, world)
    {
        return denied(code);
    }
    if ahead
        && answer.decision == "denied"
        // Fewer may come in at once.
        && answer.code != Some("guests_exceeded")
        && let Some(code) = early_code(rule, whole, world, now)
    {
        return denied(code);
    }
    let refers = text(get(rule, "otherwise")) == Some("refer") && answer.decision == "denied";
    Answer { decision: if refers { "referred" } else { answer.decision }, ..answer }
}

/// What is kept of a person is past its end, or it never was.
fn code_of_kept(attr: &str, world: &World, now: Timestamp) -> &'static str {
    let is_kept = world.context.iter().any(|(name, _)| name == attr);
    if is_kept && known(attr, world, now).is_none() { "attribute_stale" } else { "attribute_missing" }
}

/// Why limits can't count a visit: by what they count, it brought nothing, or a list. Passes come first, then by name.
fn uncountable(rule: &Json, world: &World) -> Option<&'static str> {
    let scopes = list(get(rule, "limits")).iter().flat_map(|limit| list(get(limit, "scope"))).filter_map(text);
    let mut scopes: Vec<&str> = scopes.filter(|it| *it == "boarding_pass" || it.starts_with("context.")).collect();
    scopes.sort_unstable();
    scopes.into_iter().find_map(|scope| {
        let name = scope.strip_prefix("context.").unwrap_or("boarding_pass.date");
        match world.context.iter().find(|(known, _)| known == name).map(|(_, value)| value) {
            None => Some("attribute_missing"),
            Some(Json::List(_)) => Some("attribute_mistyped"),
            Some(_) => None,
        }
    })
}

/// What someone is refused for who would be granted if they waited, where the time is one of the reasons.
fn early_code(rule: &Json, whole: &World, world: &World, now: Timestamp) -> Option<&'static str> {
    let is_timed = rule.canonical();
    if !is_timed.contains("\"within\"") && !is_timed.contains("days_from_today") {
        return None;
    }
    let next = next_grant(rule, whole, now)?;
    let when = if holds(get(rule, "when"), world, now)? {
        let granted = considered(rule, whole, next, false).tier?;
        let tier = list(get(rule, "tiers")).iter().find(|tier| text(get(tier, "id")) == Some(&granted))?;
        get(tier, "when")
    } else {
        get(rule, "when")
    };
    let codes = if holds(when, world, now) == Some(false) { codes_of(when, world, now) } else { Vec::new() };
    let days = world.context.iter().find(|(name, _)| name == "boarding_pass.days_from_today");
    let is_ahead = days.and_then(|(_, days)| days.as_whole()).is_some_and(|days| days > 0);
    let is_early = codes.contains(&"too_early") || (is_ahead && codes.contains(&"pass_date"));
    is_early.then(|| unmet_code(when, world, now))
}

/// The codes of all that speaks against a condition which does not hold.
fn codes_of(when: &Json, world: &World, now: Timestamp) -> Vec<&'static str> {
    let mut found = Vec::new();
    unmet(when, world, now, &mut found);
    let mut blamed = Vec::new();
    blame(when, world, now, &mut blamed);
    let is_undated = world.context.iter().any(|(name, _)| name == "boarding_pass.undated");
    let is_of_day = |attr: &String| match attr.as_str() {
        "boarding_pass.date" | "boarding_pass.days_from_today" => is_undated || known(attr, world, now).is_some(),
        other => is_undated && other.starts_with("boarding_pass."),
    };
    let of_day = blamed.iter().any(is_of_day).then_some("pass_date");
    found.into_iter().map(|(_, _, code)| code).chain(of_day).collect()
}

fn judged(rule: &Json, world: &World, now: Timestamp) -> Answer {
    let gate = holds(get(rule, "when"), world, now);
    if gate.is_none() {
        return denied(first_code("attribute_missing", get(rule, "when"), world, now));
    }
    if let Some(tier) = granted(rule, world, now) {
        let wanted = world.score.and_then(|(score, _)| {
            let admits = |score| {
                let world = with_score(world, score);
                holds(get(rule, "when"), &world, now) == Some(true)
                    && holds(get(tier, "when"), &world, now) == Some(true)
            };
            candidates(rule, world).into_iter().rev().find(|at| *at <= score && admits(*at) && !admits(*at - 1))
        });
        return Answer {
            decision: "granted",
            tier: text(get(tier, "id")).map(str::to_owned),
            max_wait: text(get(tier, "max_wait")).map(|wait| duration_micros(wait) / 1_000_000),
            code: wanted.map(|_| "score_met"),
            wanted,
            short_by: None,
            next: None,
            guests: guests(tier, world).filter(|_| has_guests(tier)),
        };
    }
    let is_turned_away = |tier: &&Json| {
        has_guests(tier) && holds(get(tier, "when"), world, now) == Some(true) && guests(tier, world).is_none()
    };
    if gate == Some(true) && list(get(rule, "tiers")).iter().any(|tier| is_turned_away(&tier)) {
        return denied("guests_exceeded");
    }
    let rank = |tier: &&Json| thousandths(get(tier, "rank")).unwrap_or(1000);
    let of_truth = |truth: Option<bool>| {
        let tiers = list(get(rule, "tiers")).iter();
        tiers.filter(move |tier| holds(get(tier, "when"), world, now) == truth)
    };
    // For want of nothing but a score that the rule does without.
    let is_of_score = |tier: &&Json| {
        let mut blamed = Vec::new();
        blame(get(tier, "when"), world, now, &mut blamed);
        let is_mistyped = !lacks(get(tier, "when"), world, now);
        !is_mistyped && blamed.iter().all(|attr| attr.starts_with("score")) && !mistypes(get(tier, "when"), world, now)
    };
    let unknown = of_truth(None).filter(|tier| !is_of_score(tier)).min_by_key(rank);
    let of_score = of_truth(None).filter(is_of_score).min_by_key(rank);
    if gate == Some(true)
        && let Some(tier) = unknown.or(of_score)
    {
        let is_of_time = |tier: &&Json| {
            let codes = codes_of(get(tier, "when"), world, now);
            codes.iter().any(|code| matches!(*code, "too_early" | "too_late" | "pass_date"))
        };
        let of_time = of_truth(Some(false)).filter(is_of_time).min_by_key(rank);
        return match of_time.filter(|_| unknown.is_none()) {
            Some(tier) => denied(unmet_code(get(tier, "when"), world, now)),
            None => denied(first_code("attribute_missing", get(tier, "when"), world, now)),
        };
    }
    let gap = world.score.and_then(|(score, _)| {
        candidates(rule, world)
            .into_iter()
            .filter(|at| *at > score)
            .find(|at| is_met(rule, &with_score(world, *at), now) && uncountable(rule, world).is_none())
            .map(|at| (at, at - score))
    });
    match gap {
        Some((wanted, short_by)) => {
            Answer { wanted: Some(wanted), short_by: Some(short_by), ..denied("score_below_threshold") }
        }
        None if gate == Some(false) => denied(unmet_code(get(rule, "when"), world, now)),
        None => {
            let tiers = list(get(rule, "tiers")).iter();
            let lowest = tiers.min_by_key(|tier| thousandths(get(tier, "rank")).unwrap_or(1000)).unwrap();
            denied(unmet_code(get(lowest, "when"), world, now))
        }
    }
}

/// What a condition that does not hold is refused for first: something else than the time, else the time window that
/// opens first, and what is over or never opens last.
fn unmet_code(when: &Json, world: &World, now: Timestamp) -> &'static str {
    let mut found = Vec::new();
    unmet(when, world, now, &mut found);
    match found.into_iter().min() {
        Some((_, _, code)) if code != "condition_not_met" => code,
        _ => first_code("condition_not_met", when, world, now),
    }
}

fn unmet(when: &Json, world: &World, now: Timestamp, into: &mut Vec<(Timestamp, String, &'static str)>) {
    if *when == Json::Null {
        return;
    }
    let truth = holds(when, world, now);
    for word in ["all", "any"] {
        if let Json::List(members) = get(when, word) {
            let same = members.iter().filter(|member| holds(member, world, now) == truth);
            return same.for_each(|member| unmet(member, world, now, into));
        }
    }
    if *get(when, "not") != Json::Null {
        return unmet(get(when, "not"), world, now, into);
    }
    let missed = window(when, world).filter(|_| text(get(when, "op")) == Some("within") && truth == Some(false));
    let attr = text(get(when, "attr")).unwrap().to_owned();
    into.push(match missed {
        None => (Timestamp::MIN, String::new(), "condition_not_met"),
        Some((opens, closes)) if closes < now || closes < opens => (Timestamp::MAX, attr, "too_late"),
        Some((opens, _)) => (opens, attr, "too_early"),
    });
}

/// The first and the last instant of a time window; none where it isn't known.
fn window(leaf: &Json, world: &World) -> Option<(Timestamp, Timestamp)> {
    let said = |attr: &str| {
        let name = attr.strip_prefix("context.")?;
        world.context.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    };
    let instant = |value: &Json| text(value)?.parse::<Timestamp>().ok();
    let reach = |name| SignedDuration::from_micros(text(get(leaf, name)).map_or(0, duration_micros));
    let at = instant(said(text(get(leaf, "attr"))?)?)?;
    let opens_by = match text(get(leaf, "opens_by")).and_then(said) {
        Some(other) => instant(other)?,
        None => at,
    };
    Some((opens_by - reach("before"), at + reach("after")))
}

/// Whether the conditions of a tier hold, whoever comes along.
fn is_met(rule: &Json, world: &World, now: Timestamp) -> bool {
    let holds = |of: &Json| holds(get(of, "when"), world, now) == Some(true);
    holds(rule) && list(get(rule, "tiers")).iter().any(holds)
}

/// The tier that is granted: the one of the highest rank whose condition, and the rule's own, hold.
fn granted<'a>(rule: &'a Json, world: &World, now: Timestamp) -> Option<&'a Json> {
    if holds(get(rule, "when"), world, now) != Some(true) {
        return None;
    }
    list(get(rule, "tiers"))
        .iter()
        .filter(|tier| holds(get(tier, "when"), world, now) == Some(true))
        .filter(|tier| !has_guests(tier) || guests(tier, world).is_some())
        .max_by_key(|tier| thousandths(get(tier, "rank")).unwrap_or(1000))
}

/// Every number that is written anywhere in the rule or known of the visit, and the next thousandth,
/// sorted.
fn candidates(rule: &Json, world: &World) -> Vec<i64> {
    fn collect(json: &Json, into: &mut Vec<i64>) {
        match json {
            Json::Number(number) => into.extend([number.thousandths(), number.thousandths() + 1]),
            Json::List(items) => items.iter().for_each(|item| collect(item, into)),
            Json::Object(members) => members.iter().for_each(|(_, value)| collect(value, into)),
            _ => {}
        }
    }
    // A party that isn't spoken of is of one.
    let mut found = vec![1000, 1001];
    collect(rule, &mut found);
    collect(&Json::Object(world.context.clone()), &mut found);
    found.sort_unstable();
    found
}

fn with_score(world: &World, score: i64) -> World {
    World { score: world.score.map(|(_, observed)| (score, observed)), ..world.clone() }
}

/// Kleene's logic: `None` is unknown.
fn holds(when: &Json, world: &World, now: Timestamp) -> Option<bool> {
    if *when == Json::Null {
        return Some(true);
    }
    if let Json::List(members) = get(when, "all") {
        let truths: Vec<_> = members.iter().map(|member| holds(member, world, now)).collect();
        return if truths.contains(&Some(false)) {
            Some(false)
        } else if truths.contains(&None) {
            None
        } else {
            Some(true)
        };
    }
    if let Json::List(members) = get(when, "any") {
        let truths: Vec<_> = members.iter().map(|member| holds(member, world, now)).collect();
        return if truths.contains(&Some(true)) {
            Some(true)
        } else if truths.contains(&None) {
            None
        } else {
            Some(false)
        };
    }
    if *get(when, "not") != Json::Null {
        return holds(get(when, "not"), world, now).map(|truth| !truth);
    }
    leaf(when, world, now)
}

/// What a condition is refused for, of the attributes that it hangs on: the one that comes first. A flight of another
/// day, or of no day that counts, is said to be one.
fn first_code(code: &'static str, when: &Json, world: &World, now: Timestamp) -> &'static str {
    if code == "attribute_missing" && !lacks(when, world, now) {
        return "attribute_mistyped";
    }
    let mut blamed = Vec::new();
    blame(when, world, now, &mut blamed);
    let place = |attr: &str| {
        let kind = [("subject.", 3), ("context.", 4)].into_iter().find(|(kind, _)| attr.starts_with(kind));
        PLACES.iter().position(|known| *known == attr).unwrap_or(kind.map_or(5, |(_, place)| place))
    };
    let first = blamed.into_iter().min_by_key(|attr| (place(attr), attr.clone())).unwrap_or_default();
    let is_of_day = matches!(first.as_str(), "boarding_pass.date" | "boarding_pass.days_from_today");
    let is_of_pass = first.starts_with("boarding_pass.");
    let is_undated = world.context.iter().any(|(name, _)| name == "boarding_pass.undated");
    if code == "attribute_missing" && first.starts_with("subject.") && first != "subject.network" {
        return code_of_kept(&first, world, now);
    }
    let is_known = is_of_day && known(&first, world, now).is_some();
    if (is_of_pass && is_undated) || (code == "condition_not_met" && is_known) { "pass_date" } else { code }
}

/// Attributes before those of the context, in the order in which refusals name them; the pass's come last.
const PLACES: [&str; 3] = ["score", "score.age", "subject.network"];

/// The attributes because of which a condition is as true as it is; of those that are of the wrong type, none.
fn blame(when: &Json, world: &World, now: Timestamp, into: &mut Vec<String>) {
    let whole = holds(when, world, now);
    for word in ["all", "any"] {
        if let Json::List(members) = get(when, word) {
            members.iter().filter(|it| holds(it, world, now) == whole).for_each(|it| blame(it, world, now, into));
            return;
        }
    }
    if *get(when, "not") != Json::Null {
        return blame(get(when, "not"), world, now, into);
    }
    let compared = ["attr", "ref"].into_iter().filter_map(|name| text(get(when, name)));
    let is_there =
        |attr: &str| if attr == "score.age" { world.score.is_some() } else { known(attr, world, now).is_some() };
    match whole {
        // Time windows are spoken of by themselves.
        Some(false) if text(get(when, "op")) == Some("within") => {}
        Some(_) => into.extend(text(get(when, "attr")).map(str::to_owned)),
        None if lacks(when, world, now) => {
            let missing: Vec<&str> = compared.clone().filter(|attr| !is_there(attr)).collect();
            // Both are there where the empty text is looked for.
            let blamed = if missing.is_empty() { compared.collect() } else { missing };
            into.extend(blamed.into_iter().map(str::to_owned));
        }
        None => {}
    }
}

/// Whether a condition isn't known for a value of the wrong type, too.
fn mistypes(when: &Json, world: &World, now: Timestamp) -> bool {
    if holds(when, world, now).is_some() {
        return false;
    }
    for word in ["all", "any"] {
        if let Json::List(members) = get(when, word) {
            return members.iter().any(|member| mistypes(member, world, now));
        }
    }
    if *get(when, "not") != Json::Null {
        return mistypes(get(when, "not"), world, now);
    }
    !lacks(when, world, now)
}

fn lacks(when: &Json, world: &World, now: Timestamp) -> bool {
    if holds(when, world, now).is_some() {
        return false;
    }
    for word in ["all", "any"] {
        if let Json::List(members) = get(when, word) {
            return members.iter().any(|member| lacks(member, world, now));
        }
    }
    if *get(when, "not") != Json::Null {
        return lacks(get(when, "not"), world, now);
    }
    let value = |attr: &str| match attr {
        "score.age" => world.score.map(|_| number(0)),
        attr => known(attr, world, now),
    };
    let Some(left) = value(text(get(when, "attr")).unwrap()) else { return true };
    let Some(other) = text(get(when, "ref")) else { return false };
    let Some(right) = value(other) else { return true };
    // The empty text is of the right type, and says nothing.
    let looks_inside = match text(get(when, "op")) {
        Some("contains") => matches!(left, Json::Text(_) | Json::List(_)),
        Some("starts_with") => matches!(left, Json::Text(_)),
        _ => false,
    };
    looks_inside && right == Json::Text(String::new())
}

/// What is known of an attribute; an age is a number of seconds.
fn known(attr: &str, world: &World, now: Timestamp) -> Option<Json> {
    match attr {
        "score" => world.score.map(|(score, _)| number(score)),
        "subject.network" => world.network.clone().map(Json::Text),
        "context.party" => Some(
            world.context.iter().find(|(name, _)| name == "party").map_or(number(1000), |(_, value)| value.clone()),
        ),
        "score.age" => unreachable!("compared to the microsecond, below {now}"),
        member if member.starts_with("subject.") => {
            let of = |name: &str| world.context.iter().find(|(known, _)| known == name).map(|(_, value)| value);
            let end = of(&format!("{member}.until")).map(|end| text(end).unwrap().parse::<Timestamp>().unwrap());
            of(member).filter(|_| end.is_none_or(|end| now < end)).cloned()
        }
        other => {
            let name = other.strip_prefix("context.").unwrap_or(other);
            world.context.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        }
    }
}

fn leaf(leaf: &Json, world: &World, now: Timestamp) -> Option<bool> {
    let attr = text(get(leaf, "attr")).unwrap();
    let op = text(get(leaf, "op")).unwrap();
    if let Some(other) = text(get(leaf, "ref")) {
        return compared(attr, op, other, world, now);
    }
    if op == "within" {
        return window(leaf, world).map(|(opens, closes)| opens <= now && now <= closes);
    }
    if attr == "score.age" {
        let Some((_, observed)) = world.score else { return if op == "exists" { Some(false) } else { None } };
        let age = age_micros(observed, now);
        let limit = |json: &Json| duration_micros(text(json).unwrap());
        let value = get(leaf, "value");
        return Some(match op {
            "exists" => true,
            "gt" => age > limit(value),
            "gte" => age >= limit(value),
            "lt" => age < limit(value),
            "lte" => age <= limit(value),
            "between" => {
                let ends = list(get(leaf, "values"));
                age >= limit(&ends[0]) && age <= limit(&ends[1])
            }
            _ => unreachable!("{op}"),
        });
    }
    let found = known(attr, world, now);
    if op == "exists" {
        return Some(found.is_some());
    }
    let found = found?;
    let value = get(leaf, "value");
    let same_type = |other: &Json| found.kind() == other.kind();
    let compare = |test: fn(i64, i64) -> bool| Some(test(thousandths(&found)?, thousandths(value)?));
    match op {
        "eq" => same_type(value).then(|| found == *value),
        "neq" => same_type(value).then(|| found != *value),
        "in" => same_type(&list(get(leaf, "values"))[0]).then(|| list(get(leaf, "values")).contains(&found)),
        "not_in" => same_type(&list(get(leaf, "values"))[0]).then(|| !list(get(leaf, "values")).contains(&found)),
        "gt" => compare(|a, b| a > b),
        "gte" => compare(|a, b| a >= b),
        "lt" => compare(|a, b| a < b),
        "lte" => compare(|a, b| a <= b),
        "between" => {
            let ends = list(get(leaf, "values"));
            let found = thousandths(&found)?;
            Some(thousandths(&ends[0])? <= found && found <= thousandths(&ends[1])?)
        }
        "contains" => match &found {
            Json::Text(whole) => Some(whole.contains(text(value)?)),
            Json::List(items) => Some(items.contains(value)),
            _ => None,
        },
        "starts_with" => Some(text(&found)?.starts_with(text(value)?)),
        _ => unreachable!("{op}"),
    }
}

/// An attribute against another one. What is missing, or of another type, leaves it unknown.
fn compared(attr: &str, op: &str, other: &str, world: &World, now: Timestamp) -> Option<bool> {
    let order = |left: i64, right: i64| match op {
        "gt" => left > right,
        "gte" => left >= right,
        "lt" => left < right,
        "lte" => left <= right,
        _ => unreachable!("{op}"),
    };
    if attr == "score.age" || other == "score.age" {
        // In microseconds; what a caller says beside an age counts seconds.
        let micros = |attr: &str| match attr {
            "score.age" => world.score.map(|(_, observed)| age_micros(observed, now)),
            other => known(other, world, now).and_then(|value| thousandths(&value)).map(|value| value * 1000),
        };
        return Some(order(micros(attr)?, micros(other)?));
    }
    let (left, right) = (known(attr, world, now)?, known(other, world, now)?);
    let alike = || (left.kind() == right.kind() && !matches!(left, Json::List(_))).then(|| left == right);
    match op {
        "eq" => alike(),
        "neq" => alike().map(|alike| !alike),
        "starts_with" => Some(text(&left)?.starts_with(text(&right).filter(|part| !part.is_empty())?)),
        "contains" => {
            let part = text(&right).filter(|part| !part.is_empty())?;
            match &left {
                Json::Text(whole) => Some(whole.contains(part)),
                Json::List(items) => Some(items.iter().any(|item| text(item) == Some(part))),
                _ => None,
            }
        }
        _ => Some(order(thousandths(&left)?, thousandths(&right)?)),
    }
}

fn long_form(rule: &Json) -> Json {
    let Some(least) = rule.member("at_least") else { return rule.clone() };
    let written = format!(
        r#"{{"score":{{"source":{}}},"tiers":[{{"id":"standard","rank":1,"when":{{"attr":"score","op":"gte","value":{}}}}}]}}"#,
        get(rule, "score").canonical(),
        least.canonical()
    );
    Json::parse(&written).unwrap()
}

fn age_micros(observed: Timestamp, now: Timestamp) -> i64 {
    (now.as_microsecond() - observed.as_microsecond()).max(0)
}

/// `PT90M`, `P7D` …: what the generators write.
fn duration_micros(written: &str) -> i64 {
    let amount: i64 = written.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap();
    let unit = match (written.contains('T'), written.chars().last().unwrap()) {
        (false, 'D') => 86_400,
        (true, 'H') => 3600,
        (true, 'M') => 60,
        (true, 'S') => 1,
        other => unreachable!("{other:?}"),
    };
    amount * unit * 1_000_000
}

fn number(thousandths: i64) -> Json {
    Json::Number(perkgate::foundation::decimal::Decimal::from_thousandths(thousandths))
}

fn get<'a>(json: &'a Json, name: &str) -> &'a Json {
    json.member(name).unwrap_or(&Json::Null)
}

fn text(json: &Json) -> Option<&str> {
    match json {
        Json::Text(text) => Some(text),
        _ => None,
    }
}

fn list(json: &Json) -> &[Json] {
    match json {
        Json::List(items) => items,
        _ => &[],
    }
}

fn thousandths(json: &Json) -> Option<i64> {
    match json {
        Json::Number(number) => Some(number.thousandths()),
        _ => None,
    }
}
