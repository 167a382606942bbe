//! The pages of a person: an answer in their words, and what became of their wishes.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Reader;
use crate::decision::decide::Decision;
use crate::decision::reason::ReasonCode;
use crate::eligibility::checker::Answer;
use crate::eligibility::links::own::{OwnAnswer, OwnRequest};
use crate::eligibility::shown::explanation::{NameShown, OfferShown};
use crate::foundation::language::Languages;
use crate::gateway::Gateway;
use crate::ledger::cases::contest::ContestStatus;
use crate::ledger::cases::model::ReferralStatus;
use crate::ledger::cases::requests::{RequestKind, RequestStatus};
use crate::ledger::entry::Ended;
use crate::perks::active_perk::Deciding;
use crate::screens::assets;
use crate::screens::kiosk::view::{AnswerView, Form, ReasonView, Words};
use crate::screens::messages::{LANGUAGES, Language};
use crate::screens::words::{Part, Speaker, Value, marked};

/// The largest gap that is drawn, as at a kiosk: a longer way is no encouragement.
const DRAWN: i64 = 10;
/// The picture of a gap: where what is asked for stands, and how wide a point is.
const NEED: i64 = 200;
const POINT: i64 = 16;

/// The pages of one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Why,
    Record,
    Erasure,
}

impl Tab {
    /// The end of its address, behind the link.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Why => "",
            Self::Record => "/record",
            Self::Erasure => "/erasure",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Why => "my.nav.why",
            Self::Record => "my.nav.record",
            Self::Erasure => "my.nav.erasure",
        }
    }
}

/// A way to another page, or to this one in another language.
pub(super) struct Way {
    pub name: String,
    pub at: String,
    pub is_current: bool,
    /// Its language, where it isn't the page's.
    pub tag: &'static str,
}

/// The parts that each of the pages has.
pub(super) struct Frame {
    pub say: Speaker,
    pub styles: &'static str,
    pub icon: &'static str,
    pub merchant: String,
    pub until: String,
    pub title: String,
    pub perk: String,
    pub place: String,
    pub decided: String,
    pub decided_at: Timestamp,
    pub tabs: Vec<Way>,
    pub languages: Vec<Way>,
    /// Where its forms go.
    pub at: String,
    pub contest_at: String,
    pub receipt: Option<String>,
    now: Timestamp,
    zone: TimeZone,
}

impl Frame {
    pub(super) async fn of(
        gateway: &Gateway,
        reader: &Reader,
        tab: Tab,
        deciding: Option<&Deciding>,
        answer: &Answer,
    ) -> Self {
        let Reader { linked, say, .. } = reader;
        let (say, merchant, now) = (*say, &linked.merchant, gateway.clock.now());
        let rule = deciding.map(|it| &*it.rule);
        let of_merchant = || TimeZone::get(&merchant.time_zone).unwrap_or(TimeZone::UTC);
        let zone = rule.map_or_else(of_merchant, |rule| rule.time_zone().clone());
        let named = NameShown::of(rule.and_then(|rule| rule.names()), &reader.languages).map(|it| it.name);
        let perk = if let Some(name) = named {
            name
        } else {
            let found = gateway.catalog.find_perk(&merchant.id, &answer.perk).await;
            found.map_or_else(|_| answer.perk.to_string(), |perk| perk.name)
        };
        let title = match tab {
            Tab::Why => String::new(),
            Tab::Record => say.text("my.record.title"),
            Tab::Erasure => say.text("my.erasure.title"),
        };
        let way = |other: Tab| Way {
            name: say.text(other.name()),
            at: reader.at(other),
            is_current: other == tab,
            tag: say.tag(),
        };
        let spoken = |language: &Language| Way {
            name: language.name.to_owned(),
            at: format!("/my/{}{}?lang={}", reader.link, tab.path(), language.tag),
            is_current: language.tag == say.tag(),
            tag: language.tag,
        };
        let place = [answer.location.as_deref(), answer.kiosk.as_deref()];
        let number = answer.receipt.as_ref().and_then(|receipt| i64::try_from(receipt.index).ok());
        let lang = reader.chosen.map(|tag| format!("?lang={tag}")).unwrap_or_default();
        Self {
            say,
            styles: assets::person_styles(),
            icon: assets::icon(),
            merchant: merchant.name.clone(),
            until: say.at("my.until", (linked.expires_at, now), &zone),
            title,
            perk,
            place: place.into_iter().flatten().collect::<Vec<_>>().join(" · "),
            decided: say.instant(answer.at, &zone),
            decided_at: answer.at,
            tabs: [Tab::Why, Tab::Record, Tab::Erasure].map(way).into(),
            languages: LANGUAGES.iter().map(spoken).collect(),
            at: reader.at(tab),
            contest_at: format!("/my/{}/contest{lang}", reader.link),
            receipt: number.map(|number| say.fill("my.receipt", &[("number", Value::Number(number))])),
            now,
            zone,
        }
    }

    /// A text that names the merchant.
    pub(super) fn of_merchant(&self, key: &str) -> String {
        self.say.fill(key, &[("merchant", Value::Text(&self.merchant))])
    }

    fn at(&self, key: &str, at: Timestamp) -> String {
        self.say.at(key, (at, self.now), &self.zone)
    }
}

/// A sentence; one of the rule's own is in a language of its own.
pub(super) struct Sentence {
    pub language: Option<String>,
    pub parts: Vec<Part>,
}

impl Sentence {
    fn ours(text: &str) -> Self {
        Self { language: None, parts: marked(text) }
    }

    fn plain(text: String) -> Self {
        Self { language: None, parts: vec![Part { is_strong: false, text }] }
    }
}

/// How far a score is from what is asked for, to draw.
pub(super) struct Gap {
    pub words: String,
    pub wanted: String,
    pub tier: String,
    /// Where the score ends, and how wide the rest is.
    pub from: i64,
    pub width: i64,
    /// The middle of the rest.
    pub middle: i64,
}

/// The score that was looked at: never its value.
pub(super) struct ScoreRead {
    pub source: String,
    pub read: String,
    pub version: String,
}

/// Something that is known of a person's wish.
pub(super) struct Asked {
    pub when: String,
    pub state: String,
    pub due: Option<String>,
    /// True if they may ask once more.
    pub is_over: bool,
}

impl Asked {
    pub(super) fn of(asked: &OwnRequest, frame: &Frame) -> Self {
        let OwnRequest { request, carried_out_at } = asked;
        let is_pending = matches!(request.status, RequestStatus::Open | RequestStatus::Confirmed);
        let due = carried_out_at.filter(|_| is_pending && request.kind == RequestKind::Erasure);
        Self {
            when: frame.at("my.request.asked", request.asked_at),
            state: frame.of_merchant(&format!("my.request.{}", request.status.as_str())),
            due: due.map(|due| frame.at("my.request.due", due)),
            is_over: request.status == RequestStatus::Declined,
        }
    }
}

/// An answer, and what would change it.
pub(super) struct Why {
    title: &'static str,
    pub is_granted: bool,
    /// The first says the most.
    pub sentences: Vec<Sentence>,
    pub gap: Option<Gap>,
    pub score: Option<ScoreRead>,
    /// The ways to another answer; none where nothing is to be changed.
    pub changes: Vec<Sentence>,
    pub offers: Vec<OfferShown>,
    pub can_be_contested: bool,
    /// The keys of the heading and of the text of how a case stands that a person decides.
    pub case: Option<(&'static str, &'static str)>,
}

impl Why {
    pub(super) fn title(&self, say: Speaker) -> String {
        say.text(self.title)
    }

    pub(super) fn of(own: OwnAnswer, frame: &Frame, languages: &Languages) -> Self {
        let say = frame.say;
        let (contest, referral, can_be_contested) = (own.contest(), own.referral(), own.can_be_contested());
        let is_overridden = own.is_overridden();
        let OwnAnswer { answer, deciding, closure, .. } = own;
        let ended = answer.grant.as_ref().and_then(|grant| grant.end);
        let withdrawn_at = answer.token_key_revoked_at;
        let score = answer.decided.score.as_ref().map(|score| ScoreRead {
            source: score.source.to_string(),
            read: say.instant(score.observed_at, &frame.zone),
            version: say.fill("my.score.version", &[("version", Value::Number(answer.rule_version.into()))]),
        });
        let rule = deciding.as_deref().map(|it| &*it.rule);
        let decision = answer.decided.decision;
        let expires_at = answer.grant.as_ref().map(|grant| grant.expires_at);
        let words = Words { rule, closure: closure.as_ref(), languages };
        let shown = AnswerView::of(answer, words, None, frame.now);
        let case = match (contest, referral) {
            (Some(contest), _) => Some(("my.contest.title", of_contest(contest))),
            (None, Some(ReferralStatus::Open)) => Some(("my.title.waiting", "my.contest.open")),
            (None, Some(referral)) => Some(("my.title.decided", of_referral(referral))),
            (None, None) => is_overridden.then_some(("my.title.decided", "my.overridden")),
        };
        let is_decided = referral.is_some_and(|status| status != ReferralStatus::Open);
        let bare = |title: &'static str, is_granted: bool, sentences: Vec<Sentence>| Self {
            title,
            is_granted,
            sentences,
            gap: None,
            score: None,
            changes: Vec::new(),
            offers: Vec::new(),
            can_be_contested: false,
            case: None,
        };
        if decision == Decision::Granted {
            let over = |key: &str, at: Timestamp| vec![Sentence::plain(frame.at(key, at))];
            return match (ended, withdrawn_at) {
                (Some(Ended::Released(at)), _) => bare("my.title.left", false, over("my.left", at)),
                (Some(Ended::Voided(at)), _) | (None, Some(at)) => bare("my.title.ended", false, over("my.ended", at)),
                (None, None) => Self { score, ..bare("my.title.granted", true, welcome(&shown, expires_at, frame)) },
            };
        }
        let sentences = shown.reasons.iter().map(|reason| sentence_of(reason, frame)).collect();
        let gap = shown.reasons.iter().find_map(|reason| gap_of(reason, say));
        let title = match shown.form {
            Form::Waiting if is_decided => "my.title.decided",
            Form::Waiting => "my.title.waiting",
            Form::Early => "my.title.early",
            _ => "my.title.refused",
        };
        let changes = if decision == Decision::Denied { changes_of(&shown, frame) } else { Vec::new() };
        Self { gap, score, changes, offers: shown.offers, can_be_contested, case, ..bare(title, false, sentences) }
    }
}

const fn of_contest(status: ContestStatus) -> &'static str {
    match status {
        ContestStatus::Open => "my.contest.open",
        ContestStatus::Upheld => "my.contest.upheld",
        ContestStatus::Overturned => "my.contest.overturned",
        ContestStatus::Closed => "my.contest.closed",
    }
}

const fn of_referral(status: ReferralStatus) -> &'static str {
    match status {
        ReferralStatus::Open => "my.contest.open",
        ReferralStatus::Granted => "my.contest.overturned",
        ReferralStatus::Denied => "my.referral.denied",
        ReferralStatus::Closed => "my.contest.closed",
    }
}

/// The words for those who were let in.
fn welcome(shown: &AnswerView, expires_at: Option<Timestamp>, frame: &Frame) -> Vec<Sentence> {
    let say = frame.say;
    let counted = |key: &str, count: u64| {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        say.fill(key, &[("guests", Value::Number(count))])
    };
    let party = match shown.guests {
        Some(guests) if guests.charged > 0 => counted("kiosk.granted.charged", guests.charged),
        Some(guests) if guests.free > 0 => counted("kiosk.granted.free", guests.free),
        _ => say.text("kiosk.granted.alone"),
    };
    let code = expires_at
        .map(|until| if frame.now < until { frame.at("my.granted.until", until) } else { say.text("my.granted.over") });
    let tier = shown.tier.clone().map(Sentence::plain);
    tier.into_iter().chain([Some(party), code].into_iter().flatten().map(Sentence::plain)).collect()
}

/// A reason as a kiosk says it: the rule's own words, or else ours.
fn sentence_of(reason: &ReasonView, frame: &Frame) -> Sentence {
    if let Some(message) = &reason.message {
        let parts = vec![Part { is_strong: false, text: message.clone() }];
        return Sentence { language: reason.language.clone(), parts };
    }
    let say = frame.say;
    let mut key = format!("reason.{}", reason.code);
    if let Some(limit) = reason.limit {
        let narrower = format!("{key}.{}", limit.as_str());
        if say.has(&narrower) {
            key = narrower;
        }
    }
    if !say.has(&key) {
        "reason.other".clone_into(&mut key);
    }
    if reason.code == ReasonCode::ScoreBelowThreshold.as_str() && reason.gap.is_none() {
        key.push_str(".far");
    }
    let opens = format!("{key}.next");
    if let Some(next) = reason.next.filter(|_| say.has(&format!("{opens}.today"))) {
        return Sentence::ours(&frame.at(&opens, next));
    }
    // Names are put in between what is set off, and have no stars of ours.
    let tier = reason.tier.as_deref().unwrap_or_default().replace('*', "∗");
    let numbers = [("wanted", reason.wanted), ("gap", reason.gap)];
    let numbers = numbers.into_iter().filter_map(|(name, number)| Some((name, Value::Number(number?))));
    let said: Vec<_> = numbers.chain([("tier", Value::Text(&tier))]).collect();
    Sentence::ours(&say.fill(&key, &said))
}

fn gap_of(reason: &ReasonView, say: Speaker) -> Option<Gap> {
    let (gap, wanted) = (reason.gap.filter(|gap| (1..=DRAWN).contains(gap))?, reason.wanted?);
    let width = gap * POINT;
    Some(Gap {
        words: say.fill("kiosk.refused.gap", &[("points", Value::Number(gap))]),
        wanted: say.number(wanted),
        tier: reason.tier.clone().unwrap_or_default(),
        from: NEED - width,
        width,
        middle: NEED - width / 2,
    })
}

fn changes_of(shown: &AnswerView, frame: &Frame) -> Vec<Sentence> {
    let say = frame.say;
    let is_below = |reason: &&ReasonView| reason.code == ReasonCode::ScoreBelowThreshold.as_str();
    let wanted = shown.reasons.iter().find(is_below).and_then(|reason| reason.wanted);
    let higher = wanted.map(|wanted| say.fill("my.change.higher", &[("wanted", Value::Number(wanted))]));
    let time = match shown.next {
        Some(next) => frame.at("kiosk.refused.again", next),
        None => say.text("my.change.not_time"),
    };
    higher.into_iter().chain([time]).map(Sentence::plain).collect()
}
