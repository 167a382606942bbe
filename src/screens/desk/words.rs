//! Instants, counts and codes as the pages of a desk say them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::eligibility::shown::explanation::GuestsShown;

/// An instant in the words of the place, with the instant itself for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment {
    pub iso: String,
    pub text: String,
}

impl Moment {
    /// `14:29` today, else with its day: `28 Nov, 06:00`.
    pub(super) fn of(at: Timestamp, zone: &TimeZone, now: Timestamp) -> Self {
        let (local, today) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
        let form = if local.date() == today.date() { "%H:%M" } else { "%-d %b, %H:%M" };
        Self { iso: at.to_string(), text: local.strftime(form).to_string() }
    }
}

/// A code in the words of a label: `irregular_operations` is `Irregular operations`.
pub(super) fn label_of(code: &str) -> String {
    let words = code.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// A number with its noun.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The sentence that welcomes those who are let in.
pub(super) fn welcome(guests: Option<GuestsShown>) -> String {
    let Some(GuestsShown { admitted, charged, refused, .. }) = guests else {
        return "Welcome, please come in.".to_owned();
    };
    let came = match (admitted, charged) {
        (0, _) => "Welcome, please come in.".to_owned(),
        (1, 0) => "Welcome. You and your guest come in free.".to_owned(),
        (_, 0) => format!("Welcome. You and your {admitted} guests come in free."),
        (1, _) => "Welcome. You may come in; your guest is charged.".to_owned(),
        (_, _) if charged == admitted => format!("Welcome. You may come in; your {admitted} guests are charged."),
        (_, 1) => format!("Welcome. You may come in with {admitted} guests; one of them is charged."),
        (_, _) => format!("Welcome. You may come in with {admitted} guests; {charged} of them are charged."),
    };
    match refused {
        0 => came,
        1 => format!("{came} One more can’t come in with you."),
        _ => format!("{came} {refused} more can’t come in with you."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_welcome_says_who_is_charged() {
        let said = |admitted, charged, refused| {
            welcome(Some(GuestsShown { admitted, free: admitted - charged, charged, uncounted: 0, refused }))
        };
        assert_eq!(welcome(None), "Welcome, please come in.");
        assert_eq!(said(0, 0, 0), "Welcome, please come in.");
        assert_eq!(said(1, 0, 0), "Welcome. You and your guest come in free.");
        assert_eq!(said(3, 0, 0), "Welcome. You and your 3 guests come in free.");
        assert_eq!(said(1, 1, 0), "Welcome. You may come in; your guest is charged.");
        assert_eq!(said(2, 1, 0), "Welcome. You may come in with 2 guests; one of them is charged.");
        assert_eq!(
            said(2, 2, 1),
            "Welcome. You may come in; your 2 guests are charged. One more can’t come in with you."
        );
    }

    #[test]
    fn a_code_reads_as_a_label_and_an_instant_has_its_day_where_it_must() {
        assert_eq!(label_of("irregular_operations"), "Irregular operations");
        assert_eq!(label_of(""), "");
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-27T22:32:00Z");
        let zone = TimeZone::get("America/Los_Angeles").unwrap();
        assert_eq!(Moment::of(at("2026-11-27T22:29:00Z"), &zone, now).text, "14:29");
        assert_eq!(Moment::of(at("2026-11-28T14:00:00Z"), &zone, now).text, "28 Nov, 06:00");
    }
}
