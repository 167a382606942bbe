//! An answer as a person may see it at a kiosk: a tier and never a score, the gap in whole points, and the words of the
//! rule in their language. The token is drawn here, so that no script holds its text.

use jiff::Timestamp;
use serde::Serialize;

use crate::decision::decide::Decision;
use crate::decision::reason::{Reason, ReasonCode};
use crate::eligibility::checker::Answer;
use crate::eligibility::shown::check::CheckShown;
use crate::eligibility::shown::explanation::{GuestsShown, NameShown, OfferShown, ReasonShown};
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{CheckId, GrantId};
use crate::foundation::language::Languages;
use crate::rules::limit::Scope;
use crate::rules::messages::Messages;

use crate::rules::rule::Rule;
use crate::web::page::qr::QrView;

/// The most reasons that are read at a kiosk.
const MOST_REASONS: usize = 2;

/// The form of an answer, each with a screen of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::screens) enum Form {
    Granted,
    Refused,
    /// Time alone changes it.
    Early,
    Limit,
    /// Someone looks at it.
    Waiting,
    /// It was granted, and opens no door any more: it was taken back, or its key was withdrawn.
    Ended,
}

/// Those whose uses of a limit are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::screens) enum CountsFor {
    /// The person who asks, or their pass.
    Person,
    /// Everyone who comes.
    House,
}

/// Where the words of an answer are from, and the languages to say them in.
#[derive(Clone, Copy)]
pub(in crate::screens) struct Words<'a> {
    pub rule: Option<&'a Rule>,
    pub closure: Option<&'a Messages>,
    pub languages: &'a Languages,
}

#[derive(Serialize)]
pub(in crate::screens) struct AnswerView {
    pub form: Form,
    check: Option<CheckId>,
    grant: Option<GrantId>,
    /// The name of the tier that was granted.
    pub tier: Option<String>,
    pub guests: Option<GuestsShown>,
    at: Timestamp,
    until: Option<Timestamp>,
    /// When a grant has ended, where that is known.
    ended_at: Option<Timestamp>,
    /// The gateway's clock: a screen's own may go wrong.
    now: Timestamp,
    /// The token, to be scanned at the door.
    code: Option<QrView>,
    pub reasons: Vec<ReasonView>,
    pub next: Option<Timestamp>,
    pub offers: Vec<OfferShown>,
    /// The address of the person's own page, to be scanned.
    link: Option<QrView>,
}

#[derive(Serialize)]
pub(in crate::screens) struct ReasonView {
    pub code: String,
    /// The name of the tier that it is about.
    pub tier: Option<String>,
    pub wanted: Option<i64>,
    /// Whole points; none where it may not be known.
    pub gap: Option<i64>,
    pub next: Option<Timestamp>,
    /// Those whose uses a limit counts together, where one was reached.
    pub limit: Option<CountsFor>,
    /// The rule's own words, and their language.
    pub message: Option<String>,
    pub language: Option<String>,
}

impl CountsFor {
    /// The wire form.
    pub(in crate::screens) const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::House => "house",
        }
    }
}

impl AnswerView {
    pub(in crate::screens) fn of(answer: Answer, words: Words<'_>, link: Option<&str>, now: Timestamp) -> Self {
        let Words { rule, closure, languages } = words;
        let (at, tier_names) = (answer.at, names_of(&answer.decided.reasons));
        let shown = CheckShown::of(answer, false).with_closure(closure, languages);
        let (decision, offers) = (shown.decision, OfferShown::all(shown.decision, rule, languages));
        let next = next_of(&shown);
        let code = shown.token.as_deref().and_then(QrView::of_long);
        let form = form_of(&shown, next, code.is_some());
        let name_of = |id: &str| {
            let of_rule = rule.and_then(|rule| rule.tier(id)).map(|tier| {
                let said = NameShown::of(tier.names.as_ref(), languages);
                said.map_or_else(|| tier.name.clone(), |said| said.name)
            });
            of_rule.or_else(|| tier_names.iter().find(|(known, _)| known == id).map(|(_, name)| name.clone()))
        };
        let is_granted = decision == Decision::Granted;
        let reasons = if is_granted { Vec::new() } else { said_first(shown.reasons) };
        let said = |reason: ReasonShown| {
            let limit = reason.limit.as_deref().and_then(|id| counts_for(rule, id));
            ReasonView::of(reason.in_words_of(rule, decision, languages), limit, &name_of)
        };
        Self {
            form,
            tier: shown.tier.map(|id| name_of(&id).unwrap_or(id)),
            guests: shown.guests,
            at,
            until: shown.token_expires_at.filter(|_| form == Form::Granted),
            ended_at: shown.voided_at.or(shown.released_at).or(shown.token_key_revoked_at),
            now,
            code,
            reasons: reasons.into_iter().map(said).collect(),
            next,
            offers,
            link: link.and_then(QrView::of),
            check: shown.check,
            grant: shown.grant,
        }
    }

    /// The answer to a check that a person has looked at and declined.
    pub(super) fn declined(answer: Answer, now: Timestamp) -> Self {
        let reason = ReasonView {
            code: "declined".to_owned(),
            tier: None,
            wanted: None,
            gap: None,
            next: None,
            limit: None,
            message: None,
            language: None,
        };
        Self {
            form: Form::Refused,
            tier: None,
            guests: None,
            at: answer.at,
            until: None,
            ended_at: None,
            now,
            code: None,
            reasons: vec![reason],
            next: None,
            offers: Vec::new(),
            link: None,
            check: answer.check,
            grant: None,
        }
    }
}

impl ReasonView {
    fn of(reason: ReasonShown, limit: Option<CountsFor>, name_of: &impl Fn(&str) -> Option<String>) -> Self {
        Self {
            code: reason.code.as_str().to_owned(),
            tier: reason.tier.as_deref().map(|id| name_of(id).unwrap_or_else(|| id.to_owned())),
            wanted: reason.wanted.map(Decimal::rounded_up),
            gap: reason.short_by.map(Decimal::rounded_up),
            next: reason.next_eligible_at,
            limit,
            message: reason.guest_message,
            language: reason.guest_language,
        }
    }
}

/// The names of tiers as the reasons of a decision had them.
fn names_of(reasons: &[Reason]) -> Vec<(String, String)> {
    reasons.iter().filter_map(|reason| reason.tier.clone().zip(reason.tier_name.clone())).collect()
}

/// The scope of a rule's limit, where the rule can be read.
fn counts_for(rule: Option<&Rule>, limit: &str) -> Option<CountsFor> {
    let limit = rule?.limits().iter().find(|known| known.id == limit)?;
    let is_of_person = limit.scope.iter().any(|scope| *scope == Scope::Subject || scope.is_digested());
    Some(if is_of_person { CountsFor::Person } else { CountsFor::House })
}

fn form_of(shown: &CheckShown, next: Option<Timestamp>, has_code: bool) -> Form {
    match shown.decision {
        Decision::Granted if has_code => return Form::Granted,
        Decision::Granted => return Form::Ended,
        Decision::Referred => return Form::Waiting,
        Decision::Denied => {}
    }
    if shown.reasons.iter().any(|reason| reason.code == ReasonCode::LimitReached) {
        Form::Limit
    } else if next.is_some() && shown.reasons.iter().all(is_of_time) {
        Form::Early
    } else {
        Form::Refused
    }
}

/// When it is worth to come again: what the decision says, or when time has lifted all that it says no by. Something else
/// may then stand, so people are asked to scan again, and promised nothing.
fn next_of(shown: &CheckShown) -> Option<Timestamp> {
    let lifted = || shown.reasons.iter().filter_map(|reason| reason.next_eligible_at).max();
    let is_all_of_time = shown.decision == Decision::Denied && shown.reasons.iter().all(is_of_time);
    shown.next_eligible_at.or_else(|| if is_all_of_time { lifted() } else { None })
}

fn is_of_time(reason: &ReasonShown) -> bool {
    matches!(
        reason.code,
        ReasonCode::TooEarly
            | ReasonCode::OutsideSchedule
            | ReasonCode::NotYetValid
            | ReasonCode::Blackout
            | ReasonCode::PlaceClosed
    )
}

/// The reasons to say: of several thresholds the one that is nearest, as it is the least that helps.
fn said_first(reasons: Vec<ReasonShown>) -> Vec<ReasonShown> {
    let is_below = |reason: &ReasonShown| reason.code == ReasonCode::ScoreBelowThreshold;
    let nearest = reasons.iter().filter(|reason| is_below(reason)).filter_map(|reason| reason.wanted).min();
    let mut said: Vec<ReasonShown> = Vec::new();
    for reason in reasons {
        let is_farther = is_below(&reason) && reason.wanted != nearest;
        let is_said = said.iter().any(|known| known.code == reason.code);
        if !is_farther && !is_said && reason.code != ReasonCode::ScoreMet && said.len() < MOST_REASONS {
            said.push(reason);
        }
    }
    said
}
