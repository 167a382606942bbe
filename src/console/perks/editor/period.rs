//! Lengths of time as people type them: `30 minutes`, `1 hour 30 min`, `7 d`, or as rules write them.

use crate::foundation::json::Json;
use crate::rules::describe;

/// A length of time in words; what is none as it stands.
pub(super) fn words(json: &Json) -> String {
    match json {
        Json::Text(text) => describe::duration(text).unwrap_or_else(|| text.clone()),
        other => describe::shown(other),
    }
}

/// The length of time that a text says, as rules write it; a text that says none as it is, which the rule then refuses.
pub(super) fn written(typed: &str) -> String {
    let typed = typed.trim();
    if typed.starts_with(['P', 'p']) { typed.to_owned() } else { read(typed).unwrap_or_else(|| typed.to_owned()) }
}

fn read(typed: &str) -> Option<String> {
    let mut amounts = [const { None }; 5];
    let mut rest = typed;
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        rest = rest.strip_prefix("and ").unwrap_or(rest).trim_start();
        if rest.is_empty() {
            break;
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits).filter(|(number, _)| (1..=9).contains(&number.len()))?;
        let after = after.trim_start();
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at_checked(letters)?;
        let nth = match unit.to_ascii_lowercase().as_str() {
            "w" | "week" | "weeks" => 0,
            "d" | "day" | "days" => 1,
            "h" | "hr" | "hrs" | "hour" | "hours" => 2,
            "m" | "min" | "mins" | "minute" | "minutes" => 3,
            "s" | "sec" | "secs" | "second" | "seconds" => 4,
            _ => return None,
        };
        if amounts.get_mut(nth)?.replace(number).is_some() {
            return None;
        }
        rest = after;
    }
    let [weeks, days, hours, minutes, seconds] = amounts;
    let part = |amount: Option<&str>, unit: char| amount.map_or_else(String::new, |number| format!("{number}{unit}"));
    let date = format!("{}{}", part(weeks, 'W'), part(days, 'D'));
    let time = format!("{}{}{}", part(hours, 'H'), part(minutes, 'M'), part(seconds, 'S'));
    match (date.is_empty(), time.is_empty()) {
        (true, true) => None,
        (false, true) => Some(format!("P{date}")),
        (_, false) => Some(format!("P{date}T{time}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_typed_in_words_or_as_rules_write_it() {
        for (typed, expected) in [
            ("30 minutes", "PT30M"),
            (" 1 hour 30 min ", "PT1H30M"),
            ("1 hour and 30 minutes", "PT1H30M"),
            ("7d", "P7D"),
            ("2 weeks, 1 day", "P2W1D"),
            ("0 seconds", "PT0S"),
            ("pt15m", "pt15m"),
            ("P7D", "P7D"),
            ("soon", "soon"),
            ("30", "30"),
            ("1 hour 2 hours", "1 hour 2 hours"),
            ("12345678901 h", "12345678901 h"),
            ("½ h", "½ h"),
            ("", ""),
        ] {
            assert_eq!(written(typed), expected, "{typed}");
        }
    }

    #[test]
    fn words_are_read_as_what_they_were_written_from() {
        for length in ["P7D", "PT30M", "P1DT2H3M4S", "PT0S", "PT1S"] {
            assert_eq!(written(&words(&Json::text(length))), length);
        }
        assert_eq!(words(&Json::text("soon")), "soon");
    }
}
