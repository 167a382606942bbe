//! The changes that would have led to another outcome, for the person it was about. Those who are decided about
//! by a machine may know what of theirs was used and how another fact would have led to another
//! result (GDPR art. 15(1)(h); Court of Justice of the EU, C-203/22): so this speaks of their own
//! values, exactly, and leaves nothing out for being small.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::reason::{Reason, ReasonCode, in_words};
use crate::foundation::decimal::Decimal;
use crate::rules::attribute::{Attribute, BOARDING_PASS, OCCUPANCY, SUBJECT};

/// The change that would have lifted a reason, in words; none for one that speaks for the person. `zone` is the
/// perk's, for times of day.
#[must_use]
pub fn remedy(reason: &Reason, zone: &TimeZone) -> Option<String> {
    let tier = reason.tier_name.as_deref().or(reason.tier.as_deref());
    let of_tier = tier.map_or_else(String::new, |tier| format!(" for {tier}"));
    let attribute = reason.attribute.as_deref().map_or("something", in_words);
    let limit = reason.limit.as_deref().unwrap_or("that was reached");
    let opens = reason.next_eligible_at.map(|at| wall_time(at, zone));
    Some(match reason.code {
        ReasonCode::ScoreMet | ReasonCode::GrantedByPerson => return None,
        ReasonCode::ScoreBelowThreshold => match (reason.short_by, reason.wanted) {
            (Some(gap), _) => format!("{}{of_tier}.", more(gap)),
            (None, Some(wanted)) => format!("A score of at least {wanted}{of_tier}."),
            (None, None) => format!("A higher score{of_tier}."),
        },
        ReasonCode::ScoreMissing => format!("A score{of_tier}: there was none."),
        ReasonCode::ScoreStale => format!("A fresher score{of_tier}."),
        ReasonCode::AttributeMissing if attribute == in_words(BOARDING_PASS) => format!("A boarding pass{of_tier}."),
        ReasonCode::AttributeMissing if reason.attribute.as_deref() == Some(OCCUPANCY) => {
            format!("A limit that counts who is inside{of_tier}.")
        }
        // A check can't say what is kept of people.
        ReasonCode::AttributeMissing if reason.attribute.as_deref().is_some_and(is_kept) => {
            format!("A value of {attribute} on record{of_tier}.")
        }
        ReasonCode::AttributeMissing => format!("Being told {attribute}{of_tier}."),
        ReasonCode::AttributeStale => {
            format!("A value of {attribute} on record that is newer, or longer valid{of_tier}.")
        }
        ReasonCode::AttributeMistyped => match reason.wanted_type {
            Some(wanted) => format!("Being told {attribute} as {}{of_tier}.", wanted.describe()),
            None => format!("Being told {attribute} as the rule asks for it{of_tier}."),
        },
        ReasonCode::ConditionNotMet if reason.attribute.as_deref() == Some(OCCUPANCY) => {
            format!("Asking while another number of guests is inside{of_tier}.")
        }
        ReasonCode::ConditionNotMet => format!("Another {attribute}{of_tier}."),
        ReasonCode::OutsideSchedule => match opens {
            Some(opens) => format!("Asking after {opens}, when the perk opens."),
            None => "Asking while the perk is open.".to_owned(),
        },
        ReasonCode::NotYetValid => match opens {
            Some(opens) => format!("Asking after {opens}, when the perk begins."),
            None => "Asking after the perk has begun.".to_owned(),
        },
        ReasonCode::NoLongerValid => "Asking before the perk ended.".to_owned(),
        ReasonCode::PerkPaused => "Asking while the perk is not paused.".to_owned(),
        ReasonCode::PlaceClosed => match opens {
            Some(opens) => format!("Asking after {opens}, when the place opens again."),
            None => "Asking while the place is open.".to_owned(),
        },
        ReasonCode::LimitReached => match (reason.at_most, opens) {
            (Some(most), _) => {
                format!("Asking for no more than {most}, which is all that the limit {limit} admits at once.")
            }
            (None, Some(opens)) => format!("Asking after {opens}, when the limit {limit} has room again."),
            (None, None) => format!("Room in the limit {limit}, which was used up."),
        },
        ReasonCode::OverrideExhausted => match opens {
            Some(opens) => format!("Overriding after {opens}, when that can be done again."),
            None => "Fewer overrides before.".to_owned(),
        },
        ReasonCode::Blackout => match opens {
            Some(opens) => format!("Asking after {opens}, when the perk is offered again."),
            None => "Asking on dates on which the perk is offered.".to_owned(),
        },
        ReasonCode::TooEarly => match opens {
            Some(opens) => format!("Asking from {opens} on{of_tier}."),
            None => format!("Asking later{of_tier}."),
        },
        ReasonCode::TooLate => format!("Asking earlier{of_tier}."),
        ReasonCode::PassDate => format!("A boarding pass for another day{of_tier}."),
        ReasonCode::GuestsExceeded => match reason.at_most {
            Some(most) => format!("Bringing no more than {most} of the guests who count{of_tier}."),
            None => format!("Bringing fewer guests{of_tier}."),
        },
        ReasonCode::Other(code) => format!("What a newer version of the gateway names `{code:?}`."),
        ReasonCode::NotInRollout => "Nothing of yours: the perk was not open to everyone yet.".to_owned(),
    })
}

fn is_kept(attribute: &str) -> bool {
    attribute.starts_with(SUBJECT) && attribute != Attribute::Network.name()
}

fn more(gap: Decimal) -> String {
    if gap == Decimal::from_whole(1) { "1 more point".to_owned() } else { format!("{gap} more points") }
}

fn wall_time(at: Timestamp, zone: &TimeZone) -> String {
    let local = zone.to_datetime(at);
    let name = zone.iana_name().unwrap_or("UTC");
    format!("{} on {} ({name})", local.strftime("%H:%M"), local.date())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_against_a_person_says_what_would_have_lifted_it() {
        let zone = TimeZone::get("America/Los_Angeles").unwrap();
        let at: Timestamp = "2012-05-09T13:00:00Z".parse().unwrap();
        for code in ReasonCode::ALL {
            let bare = remedy(&Reason::new(code), &zone);
            let speaks_for = matches!(code, ReasonCode::ScoreMet | ReasonCode::GrantedByPerson);
            assert_eq!(bare.is_none(), speaks_for, "{code:?}");
            assert!(bare.is_none_or(|text| text.ends_with('.')), "{code:?}");
        }
        let of = |reason: &Reason| remedy(reason, &zone).unwrap();
        let short = |by: &str| Reason {
            tier: Some("main".into()),
            tier_name: Some("Main lounge".into()),
            wanted: "40".parse().ok(),
            short_by: by.parse().ok(),
            ..Reason::new(ReasonCode::ScoreBelowThreshold)
        };
        assert_eq!(of(&short("3")), "3 more points for Main lounge.");
        assert_eq!(of(&short("1")), "1 more point for Main lounge.");
        assert_eq!(of(&short("0.001")), "0.001 more points for Main lounge.");
        let closed = Reason { next_eligible_at: Some(at), ..Reason::new(ReasonCode::OutsideSchedule) };
        assert_eq!(of(&closed), "Asking after 06:00 on 2012-05-09 (America/Los_Angeles), when the perk opens.");
        let full = Reason {
            limit: Some("person-day".into()),
            next_eligible_at: Some(at),
            ..Reason::new(ReasonCode::LimitReached)
        };
        assert_eq!(
            of(&full),
            "Asking after 06:00 on 2012-05-09 (America/Los_Angeles), when the limit person-day has room again."
        );
        assert_eq!(
            of(&Reason { at_most: Some(5), next_eligible_at: None, ..full }),
            "Asking for no more than 5, which is all that the limit person-day admits at once."
        );
        assert_eq!(of(&Reason::new(ReasonCode::ScoreStale)), "A fresher score.");
        let missing = |name: &str| Reason { attribute: Some(name.into()), ..Reason::new(ReasonCode::AttributeMissing) };
        assert_eq!(of(&missing("subject.status")), "A value of subject.status on record.");
        assert_eq!(of(&missing("context.gate")), "Being told context.gate.");
    }
}
