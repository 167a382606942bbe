//! `/console/checks/{check}`: one decision: why, how the rule came to it, what became of its grant, and the receipt with
//! its proof. Those who may not see handles see pseudonyms, and nothing else that is sealed.

use std::sync::Arc;

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use askama::Template;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::access::role::permit::Audit;
use crate::access::{Merchant, Permission};
use crate::console::assets;
use crate::console::caller::Caller;
use crate::console::door::page;
use crate::console::frame::{Frame, Section};
use crate::console::icon::Icon;
use crate::console::perks::checklist::{Line, checklist};
use crate::console::words::{When, grouped, zone_of};
use crate::decision::decide::Decision;
use crate::eligibility::checker::{Answer, CheckError};
use crate::eligibility::shown::explanation::OfferShown;
use crate::eligibility::shown::proof::InclusionProofShown;
use crate::eligibility::today::live::trace_of;
use crate::foundation::count::counted;
use crate::foundation::ids::CheckId;
use crate::foundation::language::Languages;
use crate::gateway::Gateway;
use crate::ledger::LedgerError;
use crate::ledger::cases::model::{Referral, ReferralStatus};
use crate::ledger::entry::{Ended, Receipt};
use crate::ledger::read::evidence::Recordable;
use crate::ledger::read::seen::SeenCheck;
use crate::perks::active_perk::Deciding;
use crate::tlog::note::Checkpoint;
use crate::web::extract::Path;
use crate::web::problem::{Problem, sentence};

#[derive(Template)]
#[template(path = "check.html", config = "src/console/askama.toml")]
struct CheckPage {
    frame: Frame,
    script: &'static str,
    class: &'static str,
    icon: Icon,
    headline: String,
    lead: String,
    said: Vec<String>,
    /// Names and values about the answer.
    answer: Vec<(&'static str, String)>,
    lines: Vec<Line>,
    /// Why there are no lines.
    untraced: &'static str,
    case: Option<String>,
    grant: Vec<(&'static str, String)>,
    facts: Vec<(&'static str, String)>,
    paper: Paper,
}

/// The receipt with its proof, for the reader and for what verifies it.
pub(super) struct Paper {
    pub facts: Vec<(&'static str, String)>,
    pub receipt: String,
    pub proof: String,
    pub keys: String,
}

#[derive(Template)]
#[template(path = "check_pruned.html", config = "src/console/askama.toml")]
struct PrunedPage {
    frame: Frame,
    script: &'static str,
    id: String,
    paper: Paper,
}

#[get("/checks/{check}")]
pub(in crate::console) async fn get_check(
    caller: Caller<Audit>,
    gateway: Data<Gateway>,
    check: Path<CheckId>,
) -> Result<HttpResponse, Problem> {
    let merchant = caller.merchant()?;
    let now = gateway.clock.now();
    let sees_handles = caller.role.may(Permission::AnswerSubjects);
    let frame = |title: &str| Frame::of(title, Section::Log, caller.session(), now);
    let answer = match gateway.checker.find_check(merchant, &check).await {
        Err(CheckError::Ledger(LedgerError::Pruned)) => {
            let paper = paper(&gateway, merchant, &check, None).await?;
            let (frame, id) = (frame("A check that is pruned"), check.to_string());
            return page(&PrunedPage { frame, id, script: assets::verify_script(), paper });
        }
        found => found?.ok_or_else(Problem::not_found)?,
    };
    let seen = gateway.live.find(&merchant.id, &check, sees_handles).await?.ok_or_else(Problem::not_found)?;
    // Without it the page says what was recorded.
    let deciding = gateway.catalog.read_version(&merchant.id, &answer.perk, answer.rule_version).await.ok();
    let zone = deciding.as_ref().map_or_else(|| zone_of(&merchant.time_zone), |it| it.rule.time_zone().clone());
    let perk = gateway.catalog.find_perk(&merchant.id, &answer.perk).await;
    let perk_name = perk.as_ref().map_or_else(|_| answer.perk.to_string(), |perk| perk.name.clone());
    let trace = match (&deciding, &perk) {
        (Some(deciding), Ok(perk)) => trace_of(&deciding.rule, &perk.id, &seen.past)?,
        _ => None,
    };
    let lines = trace.map(|trace| checklist(&trace, &zone, now)).unwrap_or_default();
    let case = match answer.decided.decision {
        Decision::Referred => {
            gateway.ledger.reader().referral_of(&merchant.id, answer.joins.as_ref().unwrap_or(&check)).await?
        }
        Decision::Denied => gateway.ledger.reader().case_of(&merchant.id, &check).await?,
        Decision::Granted => None,
    };
    let labels = gateway.directory.labels_of(&merchant.id, [answer.key.to_string()].into()).await?;
    let asked_by = labels.get(answer.key.as_str()).cloned().unwrap_or_else(|| answer.key.to_string());
    let view = CheckPage {
        script: assets::verify_script(),
        lead: lead(&seen, &perk_name, &zone, sees_handles),
        said: said(&seen),
        answer: answer_facts(&seen, deciding.as_deref(), (&zone, now)),
        untraced: untraced(&seen, sees_handles),
        case: case.as_ref().map(|case| case_words(case, &zone, now)),
        grant: grant_facts(&gateway, merchant, &answer, (&zone, now)).await?,
        facts: facts(&seen, &asked_by),
        paper: paper(&gateway, merchant, &check, answer.receipt.as_ref()).await?,
        lines,
        class: class_of(&seen).0,
        icon: class_of(&seen).1,
        headline: headline(&seen, deciding.as_ref()),
        frame: frame("A check").in_zone(zone.iana_name().unwrap_or(&merchant.time_zone), now),
    };
    page(&view)
}

/// The class and the sign of a decision.
pub(in crate::console) fn class_of(seen: &SeenCheck) -> (&'static str, Icon) {
    match seen.past.decided.decision {
        Decision::Granted => ("granted", Icon::Tick),
        Decision::Denied => ("denied", Icon::Cross),
        Decision::Referred => ("wait", Icon::Person),
    }
}

/// The name of the tier that was granted, or its id where its rule can't be read.
fn headline(seen: &SeenCheck, deciding: Option<&Arc<Deciding>>) -> String {
    let decided = &seen.past.decided;
    match decided.decision {
        Decision::Granted => {
            let id = decided.tier.as_deref().unwrap_or_default();
            let name = deciding.and_then(|it| it.rule.tier(id)).map_or(id, |tier| tier.name.as_str());
            format!("Granted: {name}")
        }
        Decision::Denied => "Refused".to_owned(),
        Decision::Referred => "Left to a person".to_owned(),
    }
}

fn lead(seen: &SeenCheck, perk: &str, zone: &TimeZone, sees_handles: bool) -> String {
    let past = &seen.past;
    let who = match (&seen.handle, sees_handles) {
        (Some(handle), _) => handle.as_str().to_owned(),
        (None, true) => "Someone who has been erased since".to_owned(),
        (None, false) => past.subject.as_str().to_owned(),
    };
    let place = past.kiosk.as_ref().map(|kiosk| format!(" at kiosk {kiosk}"));
    let place = place.or_else(|| past.location.as_ref().map(|location| format!(" at {location}"))).unwrap_or_default();
    let at = past.at.to_zoned(zone.clone());
    format!(
        "{who} asked for {perk}{place} on {}, {} UTC.",
        at.strftime("%A %-d %B %Y at %H:%M:%S %Z"),
        past.at.strftime("%H:%M:%S")
    )
}

fn said(seen: &SeenCheck) -> Vec<String> {
    seen.past.decided.reasons.iter().map(|reason| sentence(&reason.message())).collect()
}

fn answer_facts(
    seen: &SeenCheck,
    deciding: Option<&Deciding>,
    (zone, now): (&TimeZone, Timestamp),
) -> Vec<(&'static str, String)> {
    let decided = &seen.past.decided;
    let mut facts = vec![("Reasons", seen.past.codes.join(", "))];
    if decided.decision == Decision::Denied {
        let time = decided.next_eligible_at.map_or_else(
            || "No, not by waiting alone.".to_owned(),
            |at| format!("Yes, from {} on, all else unchanged.", When::of(at, zone, now).text),
        );
        facts.push(("Would time cure it?", time));
        let rule = deciding.map(|it| it.rule.as_ref());
        let offers = OfferShown::all(decided.decision, rule, &Languages::default());
        if !offers.is_empty() {
            let price = |offer: &OfferShown| {
                offer.price.as_ref().map_or_else(String::new, |it| format!(", {} {}", it.amount, it.currency))
            };
            let offers: Vec<_> = offers.iter().map(|offer| format!("{}{}", offer.text, price(offer))).collect();
            facts.push(("Offered instead", offers.join("; ")));
        }
    }
    if let Some(score) = &decided.score {
        let at = When::of(score.observed_at, zone, now).text;
        let stale = if score.fresh { "" } else { ", too old for the rule" };
        facts.push(("Score", format!("{} from {}, observed {at}{stale}", score.value, score.source)));
    }
    for limit in &decided.limits {
        facts.push(("Limit", format!("{}: {} of {} used then", limit.id, grouped(limit.used), grouped(limit.max))));
    }
    facts
}

fn untraced(seen: &SeenCheck, sees_handles: bool) -> &'static str {
    if !sees_handles {
        "What the rule looked at is sealed under the person’s key, and is for admins."
    } else if seen.handle.is_none() {
        "The person has been erased, and with them what the rule looked at."
    } else if seen.past.is_by_person {
        "A person decided it, not the rule."
    } else {
        "It was paused or closed by hand, or its rule can’t be read any more."
    }
}

fn case_words(case: &Referral, zone: &TimeZone, now: Timestamp) -> String {
    let what = if case.contest.is_some() { "Contested" } else { "Left to a person" };
    let when = |at| When::of(at, zone, now).text;
    match (case.status, &case.decided) {
        (ReferralStatus::Open, _) | (_, None) => format!("{what}, and waits for a decision"),
        (ReferralStatus::Granted, Some(decided)) => format!("{what}; granted by a person at {}", when(decided.at)),
        (ReferralStatus::Denied, Some(decided)) => format!("{what}; refused by a person at {}", when(decided.at)),
        (ReferralStatus::Closed, Some(decided)) => format!("{what}; closed unjudged at {}", when(decided.at)),
    }
}

/// The life of the grant, and of its token.
async fn grant_facts(
    gateway: &Gateway,
    merchant: &Merchant,
    answer: &Answer,
    (zone, now): (&TimeZone, Timestamp),
) -> Result<Vec<(&'static str, String)>, Problem> {
    let Some(grant) = &answer.grant else { return Ok(Vec::new()) };
    let when = |at| When::of(at, zone, now).text;
    let state = gateway.ledger.reader().find_grant_state(&merchant.id, &grant.id).await?;
    let spent = state.as_ref().map_or(0, |state| state.redemptions);
    let token = match (grant.end, answer.token_key_revoked_at) {
        (Some(Ended::Released(at)), _) => format!("The guest left at {}: it opens no door.", when(at)),
        (Some(Ended::Voided(at)), _) => format!("Taken back at {}: it opens no door.", when(at)),
        (None, Some(at)) => format!("Its key was withdrawn at {}: it opens no door.", when(at)),
        (None, None) if spent > 0 && grant.single_use => "Spent: it opens no door again.".to_owned(),
        (None, None) if grant.expires_at <= now => format!("Over since {}.", when(grant.expires_at)),
        (None, None) => format!("Opens its door until {}.", when(grant.expires_at)),
    };
    let uses = if spent == 0 { "never".to_owned() } else { counted(spent, "time") };
    Ok(vec![
        ("Grant", grant.id.to_string()),
        ("Token", token),
        ("Spent at a door", uses),
        ("Valid until", when(grant.expires_at)),
        ("For", if grant.single_use { "one use".to_owned() } else { "as many uses as come".to_owned() }),
    ])
}

fn facts(seen: &SeenCheck, asked_by: &str) -> Vec<(&'static str, String)> {
    let past = &seen.past;
    let mut facts = vec![
        ("Check", past.check.to_string()),
        ("Person", past.subject.as_str().to_owned()),
        ("Asked by", asked_by.to_owned()),
        ("Rule", format!("version {}, {}", past.rule_version, past.rule_hash)),
        ("Reading of rules", past.engine.to_string()),
        ("Party", counted_people(past.party.size())),
    ];
    facts.extend(past.location.clone().map(|location| ("Location", location)));
    facts
}

fn counted_people(people: u64) -> String {
    crate::foundation::count::counted_as(people, "person", "people")
}

/// The receipt, a proof that leads to its own checkpoint, and the keys that this gateway publishes.
async fn paper(
    gateway: &Gateway,
    merchant: &Merchant,
    check: &CheckId,
    receipt: Option<&Receipt>,
) -> Result<Paper, Problem> {
    let what = Recordable::Check(check.clone());
    let size = receipt.and_then(|receipt| Checkpoint::unverified(&receipt.checkpoint).ok()).map(|it| it.size);
    let proof = gateway.ledger.reader().prove_inclusion(&merchant.id, what, size).await;
    let proof = proof.map_err(|error| match error {
        crate::ledger::read::evidence::ProofError::NotFound => Problem::not_found(),
        error => Problem::internal(&error),
    })?;
    let shown = InclusionProofShown::from(proof);
    let checkpoint = receipt.map(|it| it.checkpoint.clone()).or_else(|| shown.checkpoint.clone()).unwrap_or_default();
    let document = serde_json::json!({
        "log": shown.log, "index": shown.index, "leaf_hash": shown.leaf_hash, "checkpoint": checkpoint,
    });
    let keys = gateway.keys.log_keys().into_iter();
    let keys: Vec<String> = keys.map(|published| published.key.to_string()).collect();
    Ok(Paper {
        facts: vec![
            ("Log", shown.log.clone()),
            ("Index", format!("{} of {}", grouped(shown.index), grouped(shown.size))),
            ("Leaf", shown.leaf_hash.clone()),
            ("Path", counted_hashes(shown.path.len())),
        ],
        receipt: document.to_string(),
        proof: serde_json::to_string(&shown).map_err(|error| Problem::internal(&error))?,
        keys: keys.join("\n"),
    })
}

fn counted_hashes(hashes: usize) -> String {
    crate::foundation::count::counted_as(hashes, "hash", "hashes")
}
