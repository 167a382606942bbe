//! A question to a rule that need not be published.

use jiff::Timestamp;

use super::rule_selection::Choice;
use crate::decision::facts::Context;
use crate::decision::person::PersonFacts;
use crate::foundation::boarding_pass::BoardingPass;
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::PerkSlug;
use crate::foundation::subject::SubjectHandle;

/// One question to a rule that need not be published.
#[derive(Debug, Clone)]
pub struct Trial {
    pub perk: PerkSlug,
    pub choice: Choice,
    /// Whose score and limits are looked at.
    pub subject: Option<SubjectHandle>,
    /// In the place of the subject's own; observed at the instant of the trial unless it says when.
    pub score: Option<(Decimal, Option<Timestamp>)>,
    /// In the place of what is kept of the subject, one by one.
    pub attributes: PersonFacts,
    /// In the place of the handle's.
    pub network: Option<String>,
    pub context: Context,
    /// Now without it.
    pub at: Option<Timestamp>,
    pub location: Option<String>,
    pub kiosk: Option<String>,
    /// The boarding pass that the visitor would show.
    pub boarding_pass: Option<BoardingPass>,
    /// The airports of the key that would ask.
    pub airports: Vec<String>,
}
