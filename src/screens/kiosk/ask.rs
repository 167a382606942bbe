//! The calls of a kiosk's page: ask for a person, ask again for what someone decides meanwhile, take back what nobody saw.

use std::time::{Duration, Instant};

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use serde::Deserialize;

use super::view::{AnswerView, Words};
use crate::decision::decide::Decision;
use crate::decision::facts::Context;
use crate::eligibility::checker::{Answer, Question};
use crate::foundation::ids::{CheckId, GrantId};
use crate::foundation::language::Languages;
use crate::gateway::Gateway;
use crate::ledger::cases::model::ReferralStatus;
use crate::ledger::entry::Actor;
use crate::ledger::grants::undo::{UndoReason, Undoing};
use crate::rules::tier::party::Party;
use crate::screens::caller::FromPage;
use crate::screens::place::perk_of;
use crate::screens::reading::{MOST_PEOPLE, read_person, unreadable};
use crate::web::extract::{Body, GuestLanguages, IdempotencyKey};
use crate::web::problem::{Kind, Problem};

/// The time after which the page asks again by itself.
const PATIENCE: Duration = Duration::from_secs(8);

/// A text that was scanned or typed, and how many come.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::screens) struct AskBody {
    read: String,
    #[serde(default)]
    people: Option<u64>,
}

#[post("/checks")]
pub(in crate::screens) async fn post_check(
    screen: FromPage,
    gateway: Data<Gateway>,
    key: IdempotencyKey,
    languages: GuestLanguages,
    body: Body<AskBody>,
) -> Result<HttpResponse, Problem> {
    let merchant = screen.merchant()?;
    let key = key.into_inner().ok_or_else(|| {
        Problem::new(
            Kind::BadIdempotencyKey,
            "Send the attempt's own `Idempotency-Key`, so that a lost answer is safe.",
        )
    })?;
    let idempotency = Some(gateway.ledger.idempotency(&key, body.hash()));
    let AskBody { read, people } = body.into_inner();
    let (subject, boarding_pass) = read_person(&read, &gateway.keyring, merchant)?;
    let people = people.unwrap_or(1);
    if !(1..=MOST_PEOPLE).contains(&people) {
        return Err(unreadable("/people", "invalid_value", "from 1 to 100 people come together"));
    }
    let question = Question {
        perk: perk_of(&gateway, &screen, merchant)?,
        subject,
        context: Context::default().with_party(Party::of(people)),
        boarding_pass,
        dry_run: false,
        idempotency,
        deadline: Instant::now() + PATIENCE,
    };
    let answer = Box::pin(gateway.checker.check(&screen.principal, merchant, question)).await?;
    show(&gateway, &screen, answer, &languages.0).await
}

/// A check that the screen made.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::screens) struct AgainBody {
    check: CheckId,
}

#[post("/checks/again")]
pub(in crate::screens) async fn post_again(
    screen: FromPage,
    gateway: Data<Gateway>,
    languages: GuestLanguages,
    body: Body<AgainBody>,
) -> Result<HttpResponse, Problem> {
    let (merchant, check) = (screen.merchant()?, &body.check);
    let answer = gateway.checker.find_check(merchant, check).await?;
    let answer = answer.filter(|answer| answer.key == screen.principal.key).ok_or_else(Problem::not_found)?;
    let decided = match answer.decided.decision {
        Decision::Referred => {
            let asked = answer.joins.as_ref().unwrap_or(check);
            let referral = gateway.ledger.reader().referral_of(&merchant.id, asked).await?;
            referral.filter(|referral| referral.status != ReferralStatus::Open)
        }
        Decision::Granted | Decision::Denied => None,
    };
    let Some(decided) = decided else { return show(&gateway, &screen, answer, &languages.0).await };
    let granted = decided.decided.and_then(|decided| decided.granted);
    let granted = match granted {
        Some((granted, _)) => gateway.checker.find_check(merchant, &granted).await?,
        None => None,
    };
    match granted {
        Some(granted) => show(&gateway, &screen, granted, &languages.0).await,
        // A person looked at it, and said no.
        None => Ok(HttpResponse::Ok().json(AnswerView::declined(answer, gateway.clock.now()))),
    }
}

async fn show(
    gateway: &Gateway,
    screen: &FromPage,
    answer: Answer,
    languages: &Languages,
) -> Result<HttpResponse, Problem> {
    let merchant = screen.merchant()?;
    let read = gateway.catalog.read_version(&merchant.id, &answer.perk, answer.rule_version).await;
    // The answer stands where its rule can't be read: it then has no names of tiers.
    let rule = read.ok().map(|deciding| deciding.rule.clone());
    let closure = gateway.checker.words_of_closure_behind(merchant, &answer).await;
    let link = answer.check.as_ref().and_then(|check| gateway.links.address(check));
    let words = Words { rule: rule.as_deref(), closure: closure.as_ref(), languages };
    Ok(HttpResponse::Ok().json(AnswerView::of(answer, words, link.as_deref(), gateway.clock.now())))
}

/// A grant that nobody saw.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::screens) struct UndoBody {
    grant: GrantId,
}

#[post("/undo")]
pub(in crate::screens) async fn post_undo(
    screen: FromPage,
    gateway: Data<Gateway>,
    body: Body<UndoBody>,
) -> Result<HttpResponse, Problem> {
    let principal = &screen.principal;
    let actor = Actor { key: Some(principal.key.clone()), role: principal.role.as_str() };
    let by = Undoing { actor, desk: principal.key.clone(), place: None };
    gateway.ledger.undo_grant(&screen.merchant()?.id, &body.grant, by, UndoReason::Left).await?;
    Ok(HttpResponse::NoContent().finish())
}
