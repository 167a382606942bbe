//! A refusal as a guest hears it: the merchant's own words where the rule has some, and otherwise a sentence that a
//! host could say. It names no limit, no attribute and no score.
//!
//! To let another part of a rule have words of its own: read them there as [`Messages`], and name the part in
//! `own_words`.

use super::decide::Decision;
use super::reason::ReasonCode;
use crate::foundation::language::Languages;
use crate::rules::condition::Condition;
use crate::rules::leaf::Test;
use crate::rules::limit::{Cost, Limit, Scope, Unit, Window};
use crate::rules::messages::Messages;
use crate::rules::rule::Rule;

/// The language of the standard sentences.
const STANDARD: &str = "en";

/// One reason why someone isn't let in, as far as a guest's sentence depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    pub decision: Decision,
    pub code: ReasonCode,
    /// The id of the tier that the reason names.
    pub tier: Option<&'a str>,
    /// The attribute that it names.
    pub attribute: Option<&'a str>,
    /// The id of the limit that has no room.
    pub limit: Option<&'a str>,
    /// The id of the blackout.
    pub blackout: Option<&'a str>,
    /// The most that the limit admits at once, or the guests that may be brought, where more came.
    pub at_most: Option<u64>,
    /// The rest of the limit, which is less than was asked for.
    pub left: Option<u64>,
}

/// A sentence for a guest, in a language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestSentence {
    /// A BCP 47 tag.
    pub language: String,
    pub text: String,
}

/// The sentence for the guest, in the language of theirs that fits best. `rule` is the one that decided, as far as it can
/// be read. None where nothing is refused.
#[must_use]
pub fn sentence(rule: Option<&Rule>, refusal: &Refusal<'_>, languages: &Languages) -> Option<GuestSentence> {
    if refusal.decision == Decision::Granted {
        return None;
    }
    own_sentence(rule, refusal, languages).or_else(|| {
        let text = standard(rule, refusal)?;
        Some(GuestSentence { language: STANDARD.to_owned(), text })
    })
}

/// The sentence that the rule itself has for it: none of the standard ones.
#[must_use]
pub fn own_sentence(rule: Option<&Rule>, refusal: &Refusal<'_>, languages: &Languages) -> Option<GuestSentence> {
    let own = own_words(rule?, refusal)?.choose(languages)?;
    Some(GuestSentence { language: own.language.to_owned(), text: own.text.to_owned() })
}

fn limit_of<'a>(rule: &'a Rule, refusal: &Refusal<'_>) -> Option<&'a Limit> {
    refusal.limit.and_then(|id| rule.limits().iter().find(|limit| limit.id == id))
}

/// The words that the part of the rule has which refuses.
fn own_words<'a>(rule: &'a Rule, refusal: &Refusal<'_>) -> Option<&'a Messages> {
    if refusal.decision != Decision::Denied {
        // A person will decide: whatever the rule says of a refusal is not so.
        return None;
    }
    match refusal.code {
        // A party that never fits has to be smaller, and not to wait.
        ReasonCode::LimitReached if refusal.at_most.is_some() => None,
        ReasonCode::LimitReached => limit_of(rule, refusal)?.messages.as_ref(),
        ReasonCode::OutsideSchedule => rule.schedule().messages(),
        ReasonCode::Blackout => {
            rule.blackouts().iter().find(|it| Some(it.id.as_str()) == refusal.blackout)?.messages.as_ref()
        }
        ReasonCode::ScoreBelowThreshold
        | ReasonCode::AttributeMissing
        | ReasonCode::AttributeStale
        | ReasonCode::AttributeMistyped
        | ReasonCode::ConditionNotMet
        | ReasonCode::PassDate
        | ReasonCode::GuestsExceeded => rule.tier(refusal.tier?)?.messages.as_ref(),
        ReasonCode::TooEarly | ReasonCode::TooLate => {
            let tier = refusal.tier.and_then(|tier| rule.tier(tier));
            let when = if refusal.tier.is_none() { rule.when() } else { tier.and_then(|tier| tier.when.as_ref()) };
            let of_window = when.zip(refusal.attribute).and_then(|(when, attribute)| window_words(when, attribute));
            of_window.or_else(|| tier?.messages.as_ref())
        }
        ReasonCode::ScoreMet
        | ReasonCode::ScoreMissing
        | ReasonCode::ScoreStale
        | ReasonCode::NotYetValid
        | ReasonCode::NoLongerValid
        | ReasonCode::PerkPaused
        // Its closure has the words, and no rule.
        | ReasonCode::PlaceClosed
        | ReasonCode::OverrideExhausted
        | ReasonCode::NotInRollout
        | ReasonCode::GrantedByPerson
        | ReasonCode::Other(_) => None,
    }
}

/// The words of a time window around an attribute, if one has any.
fn window_words<'a>(when: &'a Condition, attribute: &str) -> Option<&'a Messages> {
    let mut words = None;
    when.each_leaf(&mut |leaf| {
        if let Test::Within(window) = &leaf.test
            && leaf.attribute.name() == attribute
        {
            words = words.or(window.messages.as_ref());
        }
    });
    words
}

fn standard(rule: Option<&Rule>, refusal: &Refusal<'_>) -> Option<String> {
    if refusal.decision == Decision::Referred {
        return Some("Our staff will decide about this. Please wait a moment.".to_owned());
    }
    let sentence = match refusal.code {
        ReasonCode::LimitReached => {
            if let Some(most) = refusal.at_most {
                return Some(format!("At most {most} can come in at once."));
            }
            let counts_people = rule.and_then(|rule| limit_of(rule, refusal)).is_some_and(|it| it.cost == Cost::Party);
            if let Some(left) = refusal.left.filter(|left| *left > 0 && counts_people) {
                return Some(format!("There is room for {left} at the moment, and not for all of you."));
            }
            no_room(rule.and_then(|rule| limit_of(rule, refusal)))
        }
        ReasonCode::GuestsExceeded => match refusal.at_most {
            Some(0) => "You can't bring guests.",
            Some(1) => "You may bring at most 1 guest.",
            Some(most) => return Some(format!("You may bring at most {most} guests.")),
            None => "You may bring fewer guests.",
        },
        ReasonCode::OutsideSchedule | ReasonCode::Blackout | ReasonCode::PlaceClosed => "We are closed at the moment.",
        ReasonCode::PassDate => "This boarding pass is for another day.",
        ReasonCode::TooEarly => "It is too early for this.",
        ReasonCode::TooLate => "It is too late for this.",
        ReasonCode::NotYetValid => "This has not begun yet.",
        ReasonCode::NoLongerValid => "This has ended.",
        ReasonCode::PerkPaused | ReasonCode::OverrideExhausted => "This is not available at the moment.",
        ReasonCode::NotInRollout => "This is not open to you yet.",
        ReasonCode::ScoreBelowThreshold | ReasonCode::ConditionNotMet => "This is not open to you at the moment.",
        ReasonCode::ScoreMissing
        | ReasonCode::ScoreStale
        | ReasonCode::AttributeMissing
        | ReasonCode::AttributeStale
        | ReasonCode::AttributeMistyped
        | ReasonCode::Other(_) => "We can't tell whether this is open to you. Please ask our staff.",
        ReasonCode::ScoreMet | ReasonCode::GrantedByPerson => return None,
    };
    Some(sentence.to_owned())
}

/// The sentence about a limit without room; one that isn't known may be anybody's.
fn no_room(limit: Option<&Limit>) -> &'static str {
    let Some(limit) = limit else { return "This is not available at the moment." };
    let is_own = limit.scope.contains(&Scope::Subject);
    match limit.window {
        Window::Calendar(unit) if is_own => match unit {
            Unit::Hour => "You have already used this within the hour.",
            Unit::Day => "You have already used this today.",
            Unit::Week => "You have used this already this week.",
            Unit::Month => "You have used this already this month.",
            Unit::Quarter => "You have used this already this quarter.",
            Unit::Year => "You have used this already this year.",
        },
        Window::Rolling(_) if is_own => "You have used this not long ago. Please come back later.",
        Window::Lifetime if is_own => "You have already used this.",
        Window::Concurrent { .. } if is_own => "You are inside already.",
        Window::Lifetime => "There is not enough left of this.",
        Window::Calendar(Unit::Week) => "There is not enough left of this for this week.",
        Window::Calendar(Unit::Month) => "There is not enough left of this for this month.",
        Window::Calendar(Unit::Quarter) => "There is not enough left of this for this quarter.",
        Window::Calendar(Unit::Year) => "There is not enough left of this for this year.",
        Window::Calendar(Unit::Day) => "There is not enough left of this for today.",
        Window::Calendar(Unit::Hour) | Window::Rolling(_) | Window::Concurrent { .. } => {
            "There is no room at the moment."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::json::Json;

    const RULE: &str = r#"{"schedule":{"open":[{"days":["mon"],"from":"06:00","to":"23:00"}],"closed_dates":["2026-12-25"],
          "messages":{"en":"We open at six.","zh-Hant":"早上六時開放。"}},
        "tiers":[{"id":"gold","rank":2,"when":{"attr":"context.gold","op":"eq","value":true},
                  "messages":{"en":"This room is for gold members."}},
                 {"id":"main","rank":1,"when":{"attr":"context.member","op":"eq","value":true}}],
        "blackouts":[{"id":"fair","yearly":{"from":"05-01","to":"05-03"},"messages":{"en":"The fair has all our rooms."}},
                     {"id":"works","yearly":{"from":"06-01","to":"06-03"}}],
        "limits":[{"id":"house-now","scope":["perk"],"max":9,"cost":"party","window":{"concurrent":{"max_stay":"PT4H"}},
                   "messages":{"zh-Hant":"貴賓室已滿。","de":"Voll."}},
                  {"id":"person-day","scope":["subject"],"max":1,"window":{"calendar":"day"}},
                  {"id":"offer","scope":["perk"],"max":9,"window":{"lifetime":true}}]}"#;

    fn rule() -> Rule {
        Rule::parse(&Json::parse(RULE).unwrap(), "lounge").unwrap()
    }

    const DENIED: Refusal<'static> = Refusal {
        decision: Decision::Denied,
        code: ReasonCode::OutsideSchedule,
        tier: None,
        attribute: None,
        limit: None,
        blackout: None,
        at_most: None,
        left: None,
    };

    fn limit(id: &str) -> Refusal<'_> {
        Refusal { code: ReasonCode::LimitReached, limit: Some(id), ..DENIED }
    }

    #[test]
    fn a_time_window_has_words_of_its_own() {
        let window = |attr: &str, words: &str| {
            format!(r#"{{"attr":"context.{attr}","op":"within","before":"PT3H","messages":{{"en":"{words}"}}}}"#)
        };
        let text = format!(
            r#"{{"when":{},"tiers":[{{"id":"main","when":{{"any":[{},
                {{"attr":"context.arrival","op":"within","after":"PT3H"}}]}},"messages":{{"en":"Members only."}}}}]}}"#,
            window("boarding", "Boarding has begun."),
            window("departure", "Come three hours before your flight.")
        );
        let rule = Rule::parse(&Json::parse(&text).unwrap(), "lounge").unwrap();
        assert_eq!(Rule::parse(&Json::parse(rule.canonical()).unwrap(), "lounge").unwrap(), rule);
        let said = |code, tier, attribute| {
            let refusal = Refusal { code, tier, attribute: Some(attribute), ..DENIED };
            sentence(Some(&rule), &refusal, &Languages::default()).unwrap().text
        };
        let (early, late, main) = (ReasonCode::TooEarly, ReasonCode::TooLate, Some("main"));
        assert_eq!(said(early, main, "context.departure"), "Come three hours before your flight.");
        assert_eq!(said(late, main, "context.departure"), "Come three hours before your flight.");
        assert_eq!(said(early, main, "context.arrival"), "Members only.");
        assert_eq!(said(late, None, "context.boarding"), "Boarding has begun.");
        assert_eq!(said(late, None, "context.other"), "It is too late for this.");
        assert_eq!(said(ReasonCode::ConditionNotMet, main, "context.departure"), "Members only.");
    }

    fn tier(id: &str) -> Refusal<'_> {
        Refusal { code: ReasonCode::ConditionNotMet, tier: Some(id), ..DENIED }
    }

    #[track_caller]
    fn expect(refusal: &Refusal<'_>, header: &str, language: &str, text: &str) {
        let said = sentence(Some(&rule()), refusal, &Languages::of_header(header));
        let wanted = GuestSentence { language: language.to_owned(), text: text.to_owned() };
        assert_eq!(said, Some(wanted), "{refusal:?} in {header}");
    }

    #[test]
    fn the_part_that_refuses_has_the_word() {
        expect(&DENIED, "zh-TW", "zh-Hant", "早上六時開放。");
        expect(&DENIED, "fr", "en", "We open at six.");
        expect(&limit("house-now"), "zh-HK, en;q=0.5", "zh-Hant", "貴賓室已滿。");
        // Words that the guest doesn't read are no help.
        expect(&limit("house-now"), "en", "en", "There is no room at the moment.");
        expect(&tier("gold"), "en", "en", "This room is for gold members.");
        let blackout = |id| Refusal { code: ReasonCode::Blackout, blackout: Some(id), ..DENIED };
        expect(&blackout("fair"), "en", "en", "The fair has all our rooms.");
        expect(&blackout("works"), "en", "en", "We are closed at the moment.");
    }

    #[test]
    fn what_has_no_words_of_its_own_gets_a_sentence_for_guests() {
        expect(&limit("person-day"), "zh-TW", "en", "You have already used this today.");
        expect(&limit("offer"), "", "en", "There is not enough left of this.");
        expect(&limit("gone"), "", "en", "This is not available at the moment.");
        expect(&tier("main"), "", "en", "This is not open to you at the moment.");
        let left = |left| Refusal { left: Some(left), ..limit("house-now") };
        expect(&left(2), "en", "en", "There is room for 2 at the moment, and not for all of you.");
        expect(&left(0), "en", "en", "There is no room at the moment.");
        expect(&left(2), "de", "de", "Voll.");
        let left = Refusal { left: Some(2), ..limit("person-day") };
        expect(&left, "", "en", "You have already used this today.");
        expect(&Refusal { at_most: Some(4), ..limit("house-now") }, "de", "en", "At most 4 can come in at once.");
        let referred = Refusal { decision: Decision::Referred, ..tier("gold") };
        expect(&referred, "", "en", "Our staff will decide about this. Please wait a moment.");
        let unread = sentence(None, &DENIED, &Languages::default()).unwrap();
        assert_eq!(unread.text, "We are closed at the moment.");
    }

    #[test]
    fn every_refusal_has_a_sentence_and_none_is_technical() {
        for code in ReasonCode::ALL {
            let refusal = Refusal { code, ..DENIED };
            let granted = Refusal { decision: Decision::Granted, ..refusal };
            assert_eq!(sentence(Some(&rule()), &granted, &Languages::default()), None);
            let said = sentence(None, &refusal, &Languages::default()).map(|said| said.text);
            let is_grant = matches!(code, ReasonCode::ScoreMet | ReasonCode::GrantedByPerson);
            assert_eq!(said.is_none(), is_grant, "{code:?}");
            for word in ["limit", "score", "attribute", "tier", "rule", "condition", "context"] {
                assert!(!said.as_deref().unwrap_or_default().contains(word), "{code:?}: {said:?}");
            }
        }
        for window in [
            r#"{"calendar":"hour"}"#,
            r#"{"calendar":"week"}"#,
            r#"{"calendar":"month"}"#,
            r#"{"calendar":"quarter"}"#,
            r#"{"calendar":"year"}"#,
            r#"{"rolling":"PT6H"}"#,
            r#"{"lifetime":true}"#,
            r#"{"concurrent":{"max_stay":"PT4H"}}"#,
        ] {
            let said = |scope: &str| {
                let text = format!(
                    r#"{{"tiers":[{{"id":"t"}}],"limits":[{{"id":"l","scope":["{scope}"],"max":1,"window":{window}}}]}}"#
                );
                let rule = Rule::parse(&Json::parse(&text).unwrap(), "lounge").unwrap();
                sentence(Some(&rule), &limit("l"), &Languages::default()).unwrap().text
            };
            assert!(said("subject").starts_with("You "), "{window}");
            assert!(said("perk").starts_with("The"), "{window}");
        }
    }
}
