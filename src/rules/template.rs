//! Perks to begin with: commented files that a merchant makes their own, each with cases that pass.

/// The line of a template that names its perk.
const PERK: &str = "perk: ";
/// The line above its rule.
const RULE: &str = "rule:";
/// The line of its cases that names the file with the perk.
const PERK_FILE: &str = "perk_file: ";

/// A perk to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    Lounge,
    FlightLounge,
    PriorityQueue,
    EarlyAccess,
    MemberOffer,
    MembersOnly,
}

impl Template {
    pub const ALL: [Self; 6] = [
        Self::Lounge,
        Self::FlightLounge,
        Self::PriorityQueue,
        Self::EarlyAccess,
        Self::MemberOffer,
        Self::MembersOnly,
    ];

    /// The name it is asked for by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lounge => "lounge",
            Self::FlightLounge => "flight-lounge",
            Self::PriorityQueue => "priority-queue",
            Self::EarlyAccess => "early-access",
            Self::MemberOffer => "member-offer",
            Self::MembersOnly => "members-only",
        }
    }

    /// A summary of it, in a line.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Lounge => "two lounges by score, on one concourse, with limits a day",
            Self::FlightLounge => "lounges by boarding pass, in the hours before the flight, one visit a pass",
            Self::PriorityQueue => "bands with a longest wait instead of yes or no; nobody is refused",
            Self::EarlyAccess => "a place in an early round, once each, until the round ends",
            Self::MemberOffer => "an offer to members, or to those with a high score",
            Self::MembersOnly => "a lounge for those whose status a feed says, with no score at all",
        }
    }

    /// The perk's short name, unless another is given.
    #[must_use]
    pub fn slug(self) -> &'static str {
        self.line(PERK).unwrap_or_else(|| self.name())
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Lounge => include_str!("templates/lounge.yaml"),
            Self::FlightLounge => include_str!("templates/flight-lounge.yaml"),
            Self::PriorityQueue => include_str!("templates/priority-queue.yaml"),
            Self::EarlyAccess => include_str!("templates/early-access.yaml"),
            Self::MemberOffer => include_str!("templates/member-offer.yaml"),
            Self::MembersOnly => include_str!("templates/members-only.yaml"),
        }
    }

    const fn cases_text(self) -> &'static str {
        match self {
            Self::Lounge => include_str!("templates/lounge.test.yaml"),
            Self::FlightLounge => include_str!("templates/flight-lounge.test.yaml"),
            Self::PriorityQueue => include_str!("templates/priority-queue.test.yaml"),
            Self::EarlyAccess => include_str!("templates/early-access.test.yaml"),
            Self::MemberOffer => include_str!("templates/member-offer.test.yaml"),
            Self::MembersOnly => include_str!("templates/members-only.test.yaml"),
        }
    }

    /// The perk file, for the perk `slug`.
    #[must_use]
    pub fn perk_file(self, slug: &str) -> String {
        with_line(self.text(), PERK, slug)
    }

    /// The rule of its perk file, with its comments.
    #[must_use]
    pub fn rule_text(self) -> String {
        let lines = self.text().lines().skip_while(|line| *line != RULE).skip(1);
        lines.flat_map(|line| [line.strip_prefix("  ").unwrap_or(line), "\n"]).collect()
    }

    /// The value of a line of its perk file; none where it has no such line.
    fn line(self, key: &str) -> Option<&'static str> {
        self.text().lines().find_map(|line| line.strip_prefix(key))
    }

    /// The perk's name, unless another is given.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.line("name: ").unwrap_or_else(|| self.name())
    }

    /// The purpose that it declares.
    #[must_use]
    pub fn purpose(self) -> &'static str {
        self.line("purpose: ").unwrap_or("other")
    }

    /// Its cases, which look for the perk file at `perk_file`: YAML, quoted where need be.
    #[must_use]
    pub fn cases(self, perk_file: &str) -> String {
        with_line(self.cases_text(), PERK_FILE, perk_file)
    }
}

/// The text with what follows `key` on its line replaced.
fn with_line(text: &str, key: &str, value: &str) -> String {
    let line = |line: &str| if line.starts_with(key) { format!("{key}{value}\n") } else { format!("{line}\n") };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use jiff::Timestamp;

    use super::*;
    use crate::foundation::decimal::Decimal;
    use crate::foundation::yaml;
    use crate::rules::attribute::ValueType;
    use crate::rules::lint::{Lint, LintContext, lint};
    use crate::rules::rule::Rule;

    #[test]
    fn the_rule_of_a_template_stands_by_itself() {
        for template in Template::ALL {
            let file = yaml::read(&template.perk_file("our-perk")).unwrap();
            assert_eq!(Some(&yaml::read(&template.rule_text()).unwrap()), file.member("rule"), "{}", template.name());
            assert_eq!(file.member("name").unwrap().as_text(), Some(template.title()));
            assert_eq!(file.member("purpose").unwrap().as_text(), Some(template.purpose()));
        }
    }

    /// They must last: no template may be odd in a year from now.
    #[test]
    fn every_template_is_sound_for_years() {
        for template in Template::ALL {
            let text = template.perk_file("our-perk");
            let file = yaml::read(&text).unwrap();
            assert_eq!(file.member("perk").unwrap().as_text(), Some("our-perk"));
            let rule = Rule::parse(file.member("rule").unwrap(), "our-perk").unwrap();
            let scale = Some((Decimal::from_whole(0), Decimal::from_whole(100)));
            // As the file says that it must be.
            let declared: BTreeMap<String, ValueType> = [("status".to_owned(), ValueType::Text)].into();
            for now in ["2026-11-23T00:00:00Z", "2029-06-01T00:00:00Z"] {
                let now: Timestamp = now.parse().unwrap();
                assert_eq!(
                    lint(
                        &rule,
                        &LintContext {
                            scale,
                            refresh: None,
                            declared: declared.clone(),
                            required: BTreeSet::new(),
                            sent: None,
                            now,
                        }
                    ),
                    Lint::default(),
                    "{}",
                    template.name()
                );
            }
            assert!(text.lines().filter(|line| line.contains('#')).count() > 8, "{}", template.name());
            assert!(!text.contains("\\'") && !template.cases("x").contains("\\'"), "{}", template.name());
            assert!(!template.summary().is_empty());
        }
    }

    #[test]
    fn cases_name_the_file_that_they_stand_beside() {
        for template in Template::ALL {
            assert_ne!(template.slug(), "", "{}", template.name());
            let cases = yaml::read(&template.cases("\"our perk.yaml\"")).unwrap();
            assert_eq!(cases.member("perk_file").unwrap().as_text(), Some("our perk.yaml"));
            assert!(cases.member("cases").unwrap().as_list().unwrap().len() >= 4);
        }
    }
}
