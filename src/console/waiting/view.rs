//! Everything that waits, as the page shows it.

use std::collections::HashMap;
use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Kind;
use super::held::held_case;
use crate::access::{Merchant, Principal};
use crate::console::words::{When, zone_of};
use crate::eligibility::requests::RequestOf;
use crate::eligibility::shown::case::{CaseShown, GrantableShown};
use crate::foundation::count::counted;
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::ledger::LedgerError;
use crate::ledger::cases::model::{Referral, ReferralStatus};
use crate::ledger::cases::referral::Referred;
use crate::ledger::cases::requests::{RequestKind, RequestStatus, SubjectRequest};
use crate::perks::perk::{Perk, RuleVersion};
use crate::perks::search::ReviewCursor;
use crate::rules::diff::diff_documents;
use crate::scores::held::HeldState;
use crate::web::problem::Problem;

/// The most of each kind on a page.
const MOST: u32 = 20;

/// Something that waits for a person.
pub(super) struct Case {
    pub kind: Kind,
    pub id: String,
    /// The class and the words of its tag.
    pub tag: (&'static str, String),
    pub since: Since,
    pub headline: String,
    /// All there is to decide it by.
    pub lines: Vec<String>,
    /// The words that people wrote.
    pub quotes: Vec<String>,
    /// The check that it is about.
    pub check: Option<String>,
    /// Where its form is sent; none where it is decided on a page of its own.
    pub form: Option<String>,
    pub answers: Vec<AnswerView>,
    /// The page of its own, and the words of the way there.
    pub page: Option<(String, &'static str)>,
    pub note_hint: &'static str,
    pub needs_note: bool,
}

/// An answer that can be given, and what will happen.
pub(super) struct AnswerView {
    pub name: &'static str,
    pub value: String,
    pub words: String,
    pub class: &'static str,
    pub effect: String,
}

/// Since when it waits.
pub(super) struct Since {
    pub at: When,
    /// Relative, where it is less than an hour.
    pub words: String,
}

impl Since {
    pub(super) fn of(at: Timestamp, zone: &TimeZone, now: Timestamp) -> Self {
        let when = When::of(at, zone, now);
        let waited = now.duration_since(at);
        let words = if waited < SignedDuration::from_mins(1) {
            "for less than a minute".to_owned()
        } else if waited < SignedDuration::from_hours(1) {
            format!("for {}", counted(waited.as_mins().unsigned_abs(), "minute"))
        } else {
            format!("since {}", when.text)
        };
        Self { at: when, words }
    }
}

/// The part of the list that is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub kind: Kind,
    /// Behind which of the kind it begins.
    pub after: Option<&'a str>,
}

/// A part of what waits.
#[derive(Default)]
pub(super) struct Cases {
    pub found: Vec<Case>,
    /// Where its kind goes on; of all kinds, any of them does.
    pub next: Option<String>,
}

/// The cases that wait: people at a kiosk first, then the oldest of each kind.
pub(super) async fn cases(
    gateway: &Gateway,
    caller: &Principal,
    merchant: &Merchant,
    asked: Asked<'_>,
    now: Timestamp,
) -> Result<Cases, Problem> {
    let zone = zone_of(&merchant.time_zone);
    let wants = |kind: Kind| asked.kind == Kind::All || asked.kind == kind;
    let after = asked.after.filter(|_| asked.kind != Kind::All);
    let mut all = Cases::default();
    let (mut referrals, reader) = (Vec::new(), gateway.ledger.reader());
    for kind in [Kind::Referral, Kind::Contest].into_iter().filter(|kind| wants(*kind)) {
        let (open, after) = (Some(ReferralStatus::Open), cursor(after)?);
        let listed = reader.list_referrals(&merchant.id, kind == Kind::Contest, open, after, MOST + 1).await?;
        referrals.extend(all.cut(listed, |referral| Some(referral.check.to_string())));
    }
    let slugs = referrals.iter().map(|referral| referral.perk.to_string()).collect();
    let names = gateway.catalog.names_of(&merchant.id, slugs).await?;
    for referral in referrals {
        all.found.push(case_of(gateway, merchant, referral, &names, (&zone, now)).await?);
    }
    // A person stands at the kiosk and waits; elsewhere nobody does.
    all.found.sort_by_key(|case: &Case| (case.kind == Kind::Contest, case.tag.0 != "person"));
    if wants(Kind::Version) {
        let listed = gateway.catalog.list_in_review(&merchant.id, cursor(after)?, MOST + 1).await?;
        let place = |(perk, version): &(Perk, RuleVersion)| Some(ReviewCursor::of(perk, version)?.to_string());
        let listed = all.cut(listed, place);
        let people = listed.iter().map(|(_, version)| asked_by(version).to_owned()).collect();
        let labels = gateway.directory.labels_of(&merchant.id, people).await?;
        for (perk, version) in &listed {
            let who = labels.get(asked_by(version)).map_or_else(|| asked_by(version), String::as_str);
            all.found.push(version_case(gateway, caller, (merchant, perk, version), who, (&zone, now)).await?);
        }
    }
    if wants(Kind::Request) {
        let (open, after) = (Some(RequestStatus::Open), cursor(after)?);
        let listed = gateway.requests.list(&merchant.id, open, after, MOST + 1).await?;
        for RequestOf { request, handle, .. } in all.cut(listed, |it| Some(it.request.id.to_string())) {
            let due = gateway.requests.carried_out_at(&request, now).await?;
            let who = handle.map_or_else(|| request.subject.clone(), |handle| handle.as_str().to_owned());
            all.found.push(request_case(&request, &who, due, (&zone, now)));
        }
    }
    if wants(Kind::Held) {
        let held = gateway.scores.list_held(&merchant.id, None).await?;
        all.found
            .extend(held.iter().filter(|feed| feed.state == HeldState::Held).map(|feed| held_case(feed, &zone, now)));
    }
    Ok(all)
}

/// Where a page begins; no page of ours leads to what is no such place.
fn cursor<T: FromStr>(text: Option<&str>) -> Result<Option<T>, Problem> {
    text.map(str::parse).transpose().map_err(|_| Problem::not_found())
}

impl Cases {
    /// Leaves out what is more than a page of a kind, and keeps where it goes on.
    fn cut<T>(&mut self, mut listed: Vec<T>, place: impl FnOnce(&T) -> Option<String>) -> Vec<T> {
        let most = MOST as usize;
        if listed.len() > most {
            listed.truncate(most);
            self.next = listed.last().and_then(place);
        }
        listed
    }
}

/// The one who asked for an approval.
fn asked_by(version: &RuleVersion) -> &str {
    version.submitted.as_ref().map_or(&version.author, |signed| &signed.by)
}

/// A check that a rule left to a person, or a refusal that was contested.
async fn case_of(
    gateway: &Gateway,
    merchant: &Merchant,
    referral: Referral,
    names: &HashMap<String, String>,
    (zone, now): (&TimeZone, Timestamp),
) -> Result<Case, Problem> {
    let is_contest = referral.contest.is_some();
    let opened = referral.contest.as_ref().map_or(referral.created_at, |contest| contest.at);
    let id = referral.check.to_string();
    let mut case = Case {
        kind: if is_contest { Kind::Contest } else { Kind::Referral },
        tag: if is_contest { ("wait", "Contested".to_owned()) } else { ("wait", "Left to a person".to_owned()) },
        since: Since::of(opened, zone, now),
        headline: String::new(),
        lines: Vec::new(),
        quotes: Vec::new(),
        check: Some(id.clone()),
        form: Some(format!("/console/waiting/cases/{id}")),
        answers: Vec::new(),
        page: None,
        note_hint: "Why. It stands in the log, sealed under the person’s key.",
        needs_note: true,
        id,
    };
    let found = match gateway.ledger.reader().find_referred(&merchant.id, &referral.check).await {
        Err(LedgerError::Pruned) => None,
        found => found?,
    };
    let shown = match found {
        None => None,
        Some(referred) => {
            let written = (referred.objection.clone(), referred.added_objections.clone());
            shown(gateway, merchant, referred).await?.map(|shown| (shown, written))
        }
    };
    let Some((shown, (objection, added))) = shown else {
        let perk = &referral.perk;
        case.headline = format!("The person who asked for {perk} was erased, or what they asked is pruned");
        case.lines.push("Nobody can be let in any more: what is left can be closed.".to_owned());
        case.answers.push(refusal(is_contest));
        return Ok(case);
    };
    let reasons: Vec<&str> = shown.asked.reasons.iter().map(|reason| reason.message.as_str()).collect();
    let perk = names.get(referral.perk.as_str()).map_or_else(|| referral.perk.as_str(), String::as_str);
    case.headline = if is_contest {
        format!("{} was refused at {perk}, and says that is wrong", shown.subject)
    } else {
        format!("May {} come into {perk}?", shown.subject)
    };
    if let Some(place) = shown.kiosk.as_ref().or(shown.location.as_ref()).filter(|_| !is_contest) {
        case.tag = ("person", format!("At {place}"));
    }
    case.lines.extend((!reasons.is_empty()).then(|| reasons.join(" ")));
    let people = if shown.party == 1 { "They come alone.".to_owned() } else { format!("{} people come.", shown.party) };
    case.lines.push(format!("{people}{}", context_words(&shown.context)));
    case.quotes.extend(objection);
    case.quotes.extend(added.into_iter().flatten());
    let tiers = shown.tiers.iter().map(|tier| grant(tier, shown.party, is_contest));
    case.answers.push(refusal(is_contest));
    case.answers.extend(tiers);
    if let Some(first) = case.answers.get_mut(1) {
        first.class = "first";
    }
    Ok(case)
}

/// The case as an admin sees it; none once its check is pruned.
async fn shown(gateway: &Gateway, merchant: &Merchant, referred: Referred) -> Result<Option<CaseShown>, Problem> {
    Ok(CaseShown::of(&gateway.checker, merchant, referred, true).await?)
}

fn refusal(is_contest: bool) -> AnswerView {
    let (words, effect) = if is_contest {
        ("Uphold the refusal", "The refusal stands, and the case is closed.")
    } else {
        ("Refuse", "They are not let in, and the kiosk says so.")
    };
    AnswerView {
        name: "refuse",
        value: "yes".to_owned(),
        words: words.to_owned(),
        class: "",
        effect: effect.to_owned(),
    }
}

fn grant(tier: &GrantableShown, party: u64, is_contest: bool) -> AnswerView {
    let people = tier.guests.as_ref().map_or(party, |guests| guests.admitted + 1);
    let charged = tier.guests.as_ref().map_or(0, |guests| guests.charged);
    let verb = if is_contest { "Overturn" } else { "Let in" };
    let charged =
        if charged > 0 { format!(", and {} to be charged", counted(charged, "guest")) } else { String::new() };
    let effect = format!("{} let in; limits count it like any other{charged}.", counted_people(people));
    AnswerView { name: "tier", value: tier.tier.clone(), words: format!("{verb}: {}", tier.name), class: "", effect }
}

fn counted_people(people: u64) -> String {
    if people == 1 { "One person is".to_owned() } else { format!("{people} people are") }
}

/// The visit's attributes, one after the other.
fn context_words(context: &Json) -> String {
    let Json::Object(members) = context else { return String::new() };
    let shown = members.iter().filter(|(name, _)| name != "party").map(|(name, value)| {
        let value = value.as_text().map_or_else(|| value.canonical(), str::to_owned);
        format!(" {}: {value}.", name.replace('_', " "))
    });
    shown.collect()
}

async fn version_case(
    gateway: &Gateway,
    caller: &Principal,
    (merchant, perk, version): (&Merchant, &Perk, &RuleVersion),
    who: &str,
    (zone, now): (&TimeZone, Timestamp),
) -> Result<Case, Problem> {
    let number = version.version;
    let before = match perk.published_version.filter(|published| *published != number) {
        Some(before) => Some(gateway.catalog.find_version(&merchant.id, &perk.slug, before).await?),
        None => None,
    };
    let read = |version: &RuleVersion| Json::parse(&version.rule).map_err(|error| Problem::internal(&error));
    let changes = match &before {
        Some(before) => diff_documents(&read(before)?, &read(version)?),
        None => Vec::new(),
    };
    let what = match (changes.as_slice(), before.is_some()) {
        ([], false) => "its first rule".to_owned(),
        ([], true) => "it means the same as the rule that decides".to_owned(),
        ([only], _) => only.sentence.clone(),
        ([first, rest @ ..], _) => format!("{}, and {}", first.sentence, counted(rest.len(), "more change")),
    };
    let submitted = version.submitted.as_ref();
    let is_author = gateway.catalog.wrote_on(&merchant.id, version, &caller.key).await?;
    let advice = if is_author {
        "You wrote on it: where two people must look, someone else has to approve it."
    } else {
        "You did not write on it, so you may approve it. It decides nothing before it is published."
    };
    Ok(Case {
        kind: Kind::Version,
        id: format!("{}-{number}", perk.slug),
        tag: ("", "Rule".to_owned()),
        since: Since::of(submitted.map_or(version.created_at, |signed| signed.at), zone, now),
        headline: format!("{}, version {number}: {what}", perk.name),
        lines: vec![format!("{who} asked. {advice}")],
        quotes: version.change_note.iter().cloned().collect(),
        check: None,
        form: None,
        answers: Vec::new(),
        page: Some((format!("/console/perks/{}/versions/{number}", perk.slug), "Look at it")),
        note_hint: "",
        needs_note: false,
    })
}

fn request_case(
    request: &SubjectRequest,
    who: &str,
    due: Option<Timestamp>,
    (zone, now): (&TimeZone, Timestamp),
) -> Case {
    let answer = |value: &str, words: &str, class, effect: String| AnswerView {
        name: "confirms",
        value: value.to_owned(),
        words: words.to_owned(),
        class,
        effect,
    };
    let (headline, line, confirm) = match request.kind {
        RequestKind::Record => (
            format!("{who} asks what is held on them"),
            "By the link of an answer, which may have been photographed: see that it is them.",
            answer(
                "yes",
                "Confirm",
                "first",
                "Their record is yours to hand over then: nothing is sent by itself.".to_owned(),
            ),
        ),
        RequestKind::Erasure => {
            let when = due.map_or_else(String::new, |due| format!(", {}", due_words(due, zone, now)));
            (
                format!("{who} asks to be erased"),
                "Nobody can tell afterwards which visits were theirs, and their limits begin again.",
                answer(
                    "yes",
                    "Confirm the erasure",
                    "risk",
                    format!("They are erased when the last limit lets them go{when}. Until then it can be declined."),
                ),
            )
        }
    };
    let decline = answer("no", "Decline", "", "Nothing is done, and their page says so.".to_owned());
    Case {
        kind: Kind::Request,
        id: request.id.to_string(),
        tag: ("", "Asked by a person".to_owned()),
        since: Since::of(request.asked_at, zone, now),
        headline,
        lines: vec![line.to_owned()],
        quotes: Vec::new(),
        check: Some(request.check.to_string()),
        form: Some(format!("/console/waiting/requests/{}", request.id)),
        answers: vec![decline, confirm],
        page: None,
        note_hint: "A note, which may be left out. It stands in the log, sealed under the person’s key.",
        needs_note: false,
    }
}

fn due_words(due: Timestamp, zone: &TimeZone, now: Timestamp) -> String {
    if due <= now {
        "which is at once".to_owned()
    } else {
        format!("on {} as things are", When::of(due, zone, now).text)
    }
}
