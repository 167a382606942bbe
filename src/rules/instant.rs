//! The instant at which a version is to take over, as people write it.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::schedule::read_wall_time;
use crate::foundation::clock::from_micros;
use crate::foundation::document::{FieldErrors, Node};
use crate::foundation::field_error::FieldError;
use crate::foundation::json::Json;

/// Reads an instant (RFC 3339), or wall time in the rule's zone, after `now`. Wall time that the
/// clocks skip is moved on by what they skip; of one that they show twice, the first counts.
///
/// # Errors
/// The error in it, at `/at`.
pub fn read(text: &str, zone: &TimeZone, now: Timestamp) -> Result<Timestamp, FieldError> {
    let error = |code, detail: String| FieldError::at("/at", code, detail);
    let written = Json::text(text);
    let wall = || read_wall_time(&Node::root(&written), zone, &mut FieldErrors::default()).map(|(_, instant)| instant);
    let Some(at) = text.parse::<Timestamp>().ok().or_else(wall) else {
        let detail = "write an instant such as 2026-12-01T08:00:00Z, or the local time in the rule's zone, without an \
                      offset, such as 2026-12-01T09:00";
        return Err(error("bad_form", detail.to_owned()));
    };
    // What the database holds: replicas compare with what they read there.
    let at = from_micros(at.as_microsecond());
    if at <= now {
        return Err(error("in_past", format!("{at} has passed (it is {now}): choose a later instant, or publish now")));
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-03-01T12:00:00Z";

    fn at(text: &str) -> Result<String, &'static str> {
        let zone = TimeZone::get("America/New_York").unwrap();
        read(text, &zone, NOW.parse().unwrap()).map(|at| at.to_string()).map_err(|error| error.code)
    }

    #[test]
    fn an_instant_is_read_with_its_offset_or_in_the_rules_zone() {
        assert_eq!(at("2026-03-02T12:00:00Z"), Ok("2026-03-02T12:00:00Z".to_owned()));
        assert_eq!(at("2026-03-02T12:00:00+01:00"), Ok("2026-03-02T11:00:00Z".to_owned()));
        assert_eq!(at("2026-03-02T09:00"), Ok("2026-03-02T14:00:00Z".to_owned()));
        assert_eq!(at("2026-03-08T02:30"), Ok("2026-03-08T07:30:00Z".to_owned()), "in the gap of spring");
        assert_eq!(at("2026-11-01T01:30"), Ok("2026-11-01T05:30:00Z".to_owned()), "the first of two in autumn");
        assert_eq!(at("2026-03-02T12:00:00.0000019Z"), Ok("2026-03-02T12:00:00.000001Z".to_owned()));
    }

    #[test]
    fn the_past_and_now_are_refused_and_so_is_what_is_no_instant() {
        for past in [NOW, "2026-03-01T07:00", "1969-01-01T00:00:00Z"] {
            assert_eq!(at(past), Err("in_past"), "{past}");
        }
        for bad in ["", "tomorrow", "2026-03-02", "2026-02-30T00:00", "9999-99-99T00:00:00Z"] {
            assert_eq!(at(bad), Err("bad_form"), "{bad}");
        }
    }
}
