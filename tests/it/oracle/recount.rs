//! What a rule would have made of past visits, recounted in plain loops: every use of every limit is a
//! line in a book, and whoever asks for room adds up the lines that still count.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use perkgate::foundation::json::Json;

use super::naive::{self, World as Facts};

/// How long a door goes on taking a token after it has expired.
const SKEW: i64 = 30;

/// One check as it was made, and what became of its grant.
pub(super) struct Made {
    /// In the log.
    pub index: u64,
    pub at: Timestamp,
    pub subject: String,
    pub place: Option<(&'static str, &'static str)>,
    pub facts: Facts,
    /// The boarding pass that was shown.
    pub pass: Option<Pass>,
    /// Which of the perk's rules decided.
    pub rule: usize,
    pub decision: &'static str,
    pub tier: Option<String>,
    pub by_person: bool,
    /// At a desk: an override, or a paid entry.
    pub by_hand: bool,
    /// The first time that a door let the guest in.
    pub redeemed: Option<Timestamp>,
    pub released: Option<Timestamp>,
    /// And whether what it used was to stay used.
    pub voided: Option<(Timestamp, bool)>,
    /// When the party was corrected, and to how many people that limits count, and from how many.
    pub corrected: Vec<(Timestamp, [i64; 2])>,
    /// When its limits are free of it, and whether they are.
    pub undone: Option<(Timestamp, bool)>,
    /// A place that was closed denied it, whatever the rule.
    pub closed: bool,
}

/// A boarding pass from SFO, of which only this differs.
#[derive(Clone, Copy)]
pub(super) struct Pass {
    pub date: jiff::civil::Date,
    pub sequence: u8,
}

impl Pass {
    pub(super) fn text(self) -> String {
        let day = self.date.day_of_year();
        format!("M1TAN/ADA             EABC123 SFOHKGCX 0873 {day:03}J012A{:04} 100", self.sequence)
    }

    /// What the members of the context are to a rule of this zone.
    fn members(self, zone: &TimeZone, at: Timestamp) -> Vec<(String, Json)> {
        let today = at.to_zoned(zone.clone()).date();
        let days = (self.date - today).get_days();
        let text = [
            ("carrier", "CX".to_owned()),
            ("flight", "873".to_owned()),
            ("date", self.date.to_string()),
            ("from", "SFO".to_owned()),
            ("to", "HKG".to_owned()),
            ("compartment", "J".to_owned()),
            ("seat", "12A".to_owned()),
            ("sequence", self.sequence.to_string()),
            ("status", "1".to_owned()),
        ];
        let texts = text.into_iter().map(|(name, text)| (format!("boarding_pass.{name}"), Json::text(&text)));
        texts.chain([("boarding_pass.days_from_today".to_owned(), Json::whole(i64::from(days)))]).collect()
    }
}

impl Made {
    /// What a rule knows of it.
    fn facts_for(&self, rule: &Json) -> Facts {
        let zone = TimeZone::get(rule.member("time_zone").and_then(Json::as_text).unwrap_or("UTC")).unwrap();
        let mut facts = self.facts.clone();
        facts.context.extend(self.pass.iter().flat_map(|pass| pass.members(&zone, self.at)));
        facts
    }
}

/// A perk, the rules that decided about it, and the checks that were made.
pub(super) struct History {
    pub perk: String,
    pub rules: Vec<Json>,
    pub checks: Vec<Made>,
}

/// How long a use counts.
#[derive(Clone, Copy)]
enum Lasts {
    Ever,
    /// As long as the window of whoever asks.
    Rolling(i64),
    /// Until then, and from the door on for so many seconds.
    Held(Timestamp, i64),
}

/// What one check would use of one limit.
struct Claim {
    key: String,
    cost: u64,
    /// One for each person.
    of_people: bool,
    max: u64,
    lasts: Lasts,
}

/// One use of a limit.
struct Line {
    /// The check's index.
    check: u64,
    at: Timestamp,
    cost: u64,
    of_people: bool,
    lasts: Lasts,
}

enum Then {
    Checked,
    Redeemed,
    Corrected([i64; 2]),
    Released,
    Voided(bool),
    Freed,
}

fn seconds(duration: &Json) -> i64 {
    duration.as_text().unwrap().parse::<SignedDuration>().map_or_else(
        |_| i64::from(duration.as_text().unwrap().parse::<jiff::Span>().unwrap().get_days()) * 24 * 3600,
        |duration| duration.as_secs(),
    )
}

fn claims(rule: &Json, perk: &str, check: &Made, tier: &str) -> Vec<Claim> {
    let zone = rule.member("time_zone").and_then(Json::as_text).unwrap_or("UTC");
    let local = check.at.to_zoned(TimeZone::get(zone).unwrap());
    let tiers = rule.member("tiers").and_then(Json::as_list).unwrap_or_default();
    let granted = tiers.iter().find(|it| it.member("id").and_then(Json::as_text) == Some(tier));
    let party = naive::counted(granted.unwrap_or(&Json::Null), &check.facts);
    let ttl = rule.member("token").and_then(|token| token.member("ttl")).map_or(15 * 60, seconds);
    let claim = |limit: &Json| {
        let window = limit.member("window").unwrap();
        let mut lasts = Lasts::Ever;
        let window = match window.member("calendar").and_then(Json::as_text) {
            None => {
                if let Some(length) = window.member("rolling") {
                    lasts = Lasts::Rolling(seconds(length));
                    "rolling".to_owned()
                } else if let Some(held) = window.member("concurrent") {
                    let unspent = check.at + SignedDuration::from_secs(ttl + SKEW);
                    lasts = Lasts::Held(unspent, seconds(held.member("max_stay").unwrap()));
                    "concurrent".to_owned()
                } else {
                    "lifetime".to_owned()
                }
            }
            Some("hour") => format!("hour {} {} {}", local.date(), local.hour(), local.offset()),
            Some("day") => {
                let start = local.start_of_day().unwrap();
                format!("day {} {}", start.date(), start.offset())
            }
            Some("week") => {
                let back = i64::from(local.weekday().to_monday_zero_offset());
                let monday = local.date().checked_sub(jiff::Span::new().days(back)).unwrap();
                let start = monday.to_zoned(local.time_zone().clone()).unwrap();
                format!("week {monday} {}", start.offset())
            }
            Some(unit) => {
                let months = match unit {
                    "month" => 1,
                    "quarter" => 3,
                    _ => 12,
                };
                let back = i64::from((local.month() - 1) % months);
                let first = local.date().first_of_month().checked_sub(jiff::Span::new().months(back)).unwrap();
                let start = first.to_zoned(local.time_zone().clone()).unwrap();
                format!("{unit} {} {}", start.date(), start.offset())
            }
        };
        let mut scope: Vec<&str> =
            limit.member("scope").unwrap().as_list().unwrap().iter().filter_map(Json::as_text).collect();
        scope.sort_unstable();
        // Without the perk in the name, whose counters the merchant's other perks share.
        let shared = scope.contains(&"merchant") && !scope.contains(&"perk");
        let values: Vec<_> = scope
            .iter()
            .map(|part| match *part {
                "subject" => format!("subject {}", check.subject),
                "tier" => format!("tier {tier}"),
                "location" => format!("location {:?}", check.place.map(|place| place.0)),
                "kiosk" => format!("kiosk {:?}", check.place.map(|place| place.1)),
                "boarding_pass" => format!("pass {:?}", check.pass.map(|pass| (pass.date, pass.sequence))),
                name if name.starts_with("context.") => {
                    let brought = check.facts.context.iter().find(|(known, _)| name.ends_with(&format!(".{known}")));
                    format!("{name} {:?}", brought.map(|(_, value)| value.canonical()))
                }
                other => other.to_owned(),
            })
            .collect();
        let perk = if shared { "" } else { perk };
        let id = limit.member("id").and_then(Json::as_text).unwrap();
        let of_people = matches!(limit.member("cost"), Some(Json::Text(_)));
        let cost = match limit.member("cost").unwrap() {
            Json::Text(_) => party.unsigned_abs(),
            cost => cost.as_whole().unwrap().unsigned_abs(),
        };
        let max = naive::most(limit.member("max").unwrap(), check.place.map(|place| place.0)).unsigned_abs();
        Claim { key: format!("{perk}|{id}|{}|{window}", values.join(",")), cost, of_people, max, lasts }
    };
    limits_of(rule).iter().map(claim).collect()
}

fn limits_of(rule: &Json) -> &[Json] {
    rule.member("limits").and_then(Json::as_list).unwrap_or_default()
}

#[derive(Default)]
struct Book {
    lines: HashMap<String, Vec<Line>>,
    /// Where the lines of a check are.
    keys: HashMap<u64, Vec<String>>,
}

impl Book {
    fn has_room(&mut self, claim: &Claim, now: Timestamp) -> bool {
        let lines = self.lines.entry(claim.key.clone()).or_default();
        // The longest rolling window of these tests is a day.
        lines.retain(|line| match line.lasts {
            Lasts::Ever => true,
            Lasts::Rolling(_) => line.at + SignedDuration::from_hours(48) > now,
            Lasts::Held(until, _) => until > now,
        });
        let mut used = 0;
        for line in lines {
            let counts = match claim.lasts {
                Lasts::Rolling(length) => line.at + SignedDuration::from_secs(length) > now,
                Lasts::Ever | Lasts::Held(..) => true,
            };
            used += if counts { line.cost } else { 0 };
        }
        used + claim.cost <= claim.max
    }

    fn write(&mut self, check: &Made, claims: Vec<Claim>) {
        for claim in claims {
            let Claim { cost, of_people, lasts, .. } = claim;
            let line = Line { check: check.index, at: check.at, cost, of_people, lasts };
            self.lines.entry(claim.key.clone()).or_default().push(line);
            self.keys.entry(check.index).or_default().push(claim.key);
        }
    }

    fn enter(&mut self, check: &Made, now: Timestamp) {
        let keys = self.keys.get(&check.index).cloned().unwrap_or_default();
        let mut lapsed = false;
        for key in &keys {
            // One that was struck out has lapsed too.
            lapsed |= key.ends_with("|concurrent")
                && !self.lines[key].iter().any(|line| {
                    line.check == check.index && matches!(line.lasts, Lasts::Held(until, _) if until > now)
                });
        }
        for key in keys.iter().filter(|_| !lapsed) {
            for line in self.lines.get_mut(key).unwrap().iter_mut().filter(|line| line.check == check.index) {
                if let Lasts::Held(_, stay) = line.lasts {
                    line.lasts = Lasts::Held(now + SignedDuration::from_secs(stay), stay);
                }
            }
        }
    }

    /// As many more or fewer come as the desk has counted.
    fn correct(&mut self, check: &Made, [to, from]: [i64; 2]) {
        for key in self.keys.get(&check.index).cloned().unwrap_or_default() {
            let lines = self.lines.get_mut(&key).unwrap().iter_mut();
            for line in lines.filter(|line| line.check == check.index && line.of_people) {
                line.cost = (line.cost.cast_signed() + to - from).max(1).unsigned_abs();
            }
        }
    }

    fn strike_out(&mut self, check: &Made, only_places: bool) {
        for key in self.keys.get(&check.index).cloned().unwrap_or_default() {
            let is_gone =
                |line: &Line| line.check == check.index && (!only_places || matches!(line.lasts, Lasts::Held(..)));
            self.lines.get_mut(&key).unwrap().retain(|line| !is_gone(line));
        }
    }
}

/// Newly admitted, newly refused, another tier, otherwise decided, the same, from `from` on; and how
/// many a person granted. With `moves` guests come and leave, and mistakes are taken back.
pub(super) fn expected(
    histories: &[History],
    replayed: &History,
    draft: &Json,
    from: Timestamp,
    moves: bool,
) -> ([u64; 5], u64) {
    let mut then: Vec<(Timestamp, u64, &History, &Made, Then)> = Vec::new();
    for history in histories {
        for check in &history.checks {
            then.push((check.at, check.index, history, check, Then::Checked));
            then.extend(check.redeemed.map(|at| (at, 0, history, check, Then::Redeemed)));
            then.extend(
                check.corrected.iter().map(|(at, counted)| (*at, 0, history, check, Then::Corrected(*counted))),
            );
            then.extend(check.released.map(|at| (at, 0, history, check, Then::Released)));
            then.extend(check.voided.map(|(at, keep)| (at, 0, history, check, Then::Voided(keep))));
            let freed = check.undone.filter(|(_, is_free)| *is_free);
            then.extend(freed.map(|(at, _)| (at, 0, history, check, Then::Freed)));
        }
    }
    then.sort_by_key(|(at, index, ..)| (*at, *index));
    let mut book = Book::default();
    let (mut counts, mut by_person) = ([0; 5], 0);
    for (now, _, history, check, what) in then {
        let ran = &history.rules[check.rule];
        match what {
            Then::Redeemed | Then::Corrected(_) | Then::Released | Then::Voided(_) | Then::Freed if !moves => {}
            Then::Corrected(counted) => book.correct(check, counted),
            Then::Redeemed => book.enter(check, now),
            Then::Released => book.strike_out(check, true),
            // A guest who has come in keeps the place and has used the rest.
            Then::Voided(_) if check.redeemed.is_some_and(|at| at < now) => {}
            Then::Voided(keep) => book.strike_out(check, keep),
            Then::Freed => book.strike_out(check, false),
            Then::Checked if check.closed => {}
            Then::Checked if history.perk != replayed.perk || check.at < from || check.by_person => {
                // As it was.
                by_person += u64::from(history.perk == replayed.perk && check.at >= from);
                if let Some(tier) = &check.tier {
                    book.write(check, claims(ran, &history.perk, check, tier));
                }
            }
            Then::Checked => {
                let answer = naive::at_once(draft, &check.facts_for(draft), check.at);
                let (mut decision, mut tier) = (answer.decision, answer.tier);
                if let Some(granted) = &tier {
                    let wanted = claims(draft, &history.perk, check, granted);
                    if wanted.iter().all(|claim| book.has_room(claim, now)) {
                        book.write(check, wanted);
                    } else {
                        (decision, tier) = ("denied", None);
                    }
                }
                let kind = match (check.tier.as_ref(), tier.as_ref()) {
                    (None, Some(_)) => 0,
                    (Some(_), None) => 1,
                    (Some(was), Some(now)) if was != now => 2,
                    (None, None) if check.decision != decision => 3,
                    _ => 4,
                };
                counts[kind] += 1;
            }
        }
    }
    (counts, by_person)
}
