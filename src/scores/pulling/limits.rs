//! The words of a service about how much it may be asked: `Retry-After`, rate limits in headers, `backoff` and quotas in bodies.

use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::reading;

/// The longest time for which a service is let be at its word.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// The time for which it is let be when it asks for patience and doesn't say how long.
const USUAL: SignedDuration = SignedDuration::from_mins(1);

/// The instant until which nothing is asked, by an answer that refuses for now.
pub(super) fn refused_until(headers: &HeaderMap, now: Timestamp) -> Timestamp {
    let asked = retry_after(headers, now).or_else(|| reset(headers, now));
    bounded(asked.unwrap_or(now + USUAL), now)
}

/// The instant until which nothing more is asked after an answer that was given; none while more may be.
pub(super) fn spent_until(headers: &HeaderMap, body: Option<&Value>, now: Timestamp) -> Option<Timestamp> {
    let backoff = reading::count(body.and_then(|body| body.get("backoff"))).and_then(|seconds| after(seconds, now));
    let is_spent = is_spent(headers);
    let reset = is_spent.then(|| reset(headers, now).unwrap_or(now + USUAL));
    let quota = body.and_then(|body| body.get("quota_remaining"));
    let quota = (reading::count(quota) == Some(0)).then(|| next_day(now));
    [backoff, reset, quota].into_iter().flatten().max().map(|until| bounded(until, now))
}

/// True if the headers say that nothing is left.
pub(super) fn is_spent(headers: &HeaderMap) -> bool {
    let left = ["x-ratelimit-remaining", "ratelimit-remaining"].into_iter().find_map(|name| text(headers, name));
    left == Some("0")
}

fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let text = text(headers, "retry-after")?;
    match text.parse() {
        Ok(seconds) => after(seconds, now),
        // A date as HTTP writes it, in GMT.
        Err(_) => rfc2822::DateTimeParser::new().parse_timestamp(text.replace("GMT", "+0000")).ok(),
    }
}

/// When the counting begins again: an instant, seconds since 1970, or seconds from now.
fn reset(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    /// No clock of today is before this, and no service asks for so much patience.
    const EPOCHS: u64 = 1_000_000_000;
    let text = ["x-ratelimit-reset", "ratelimit-reset"].into_iter().find_map(|name| text(headers, name))?;
    match text.parse::<u64>() {
        Ok(seconds) if seconds < EPOCHS => after(seconds, now),
        Ok(seconds) => Timestamp::from_second(i64::try_from(seconds).ok()?).ok(),
        Err(_) => text.parse().ok(),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn after(seconds: u64, now: Timestamp) -> Option<Timestamp> {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX).min(LONGEST.as_secs());
    now.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// When the next UTC day begins.
pub(super) fn next_day(now: Timestamp) -> Timestamp {
    const DAY: i64 = 86_400;
    let today = now.as_second().div_euclid(DAY);
    Timestamp::from_second((today + 1) * DAY).unwrap_or(now)
}

/// At least a second from now, at most a day.
fn bounded(until: Timestamp, now: Timestamp) -> Timestamp {
    until.clamp(now + SignedDuration::from_secs(1), now + LONGEST)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: &str = "2026-11-30T12:00:00Z";

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_service_is_let_be_for_as_long_as_it_asks() {
        let now: Timestamp = NOW.parse().unwrap();
        let epoch = (now.as_second() + 90).to_string();
        for (lines, wanted) in [
            (vec![("retry-after", "30")], "2026-11-30T12:00:30Z"),
            (vec![("retry-after", "Mon, 30 Nov 2026 12:02:00 GMT")], "2026-11-30T12:02:00Z"),
            (vec![("x-ratelimit-reset", epoch.as_str())], "2026-11-30T12:01:30Z"),
            (vec![("ratelimit-reset", "45")], "2026-11-30T12:00:45Z"),
            (vec![("x-ratelimit-reset", "2026-11-30T12:05:00.000Z")], "2026-11-30T12:05:00Z"),
            (vec![], "2026-11-30T12:01:00Z"),
            (vec![("retry-after", "-5")], "2026-11-30T12:01:00Z"),
            (vec![("retry-after", "0")], "2026-11-30T12:00:01Z"),
            (vec![("retry-after", "99999999999999")], "2026-12-01T12:00:00Z"),
            (vec![("x-ratelimit-reset", "1")], "2026-11-30T12:00:01Z"),
        ] {
            assert_eq!(refused_until(&headers(&lines), now).to_string(), wanted, "{lines:?}");
        }
    }

    #[test]
    fn what_is_left_is_heard_in_headers_and_bodies() {
        let now: Timestamp = NOW.parse().unwrap();
        let until = |lines: &[(&'static str, &str)], body: Value| {
            spent_until(&headers(lines), Some(&body), now).map(|it| it.to_string())
        };
        assert_eq!(until(&[("x-ratelimit-remaining", "12")], json!({"items": []})), None);
        let spent = [("ratelimit-remaining", "0"), ("ratelimit-reset", "60")];
        assert_eq!(until(&spent, json!({})).unwrap(), "2026-11-30T12:01:00Z");
        assert_eq!(until(&[], json!({"backoff": 10, "quota_remaining": 5})).unwrap(), "2026-11-30T12:00:10Z");
        assert_eq!(until(&[], json!({"quota_remaining": 0})).unwrap(), "2026-12-01T00:00:00Z");
    }
}
