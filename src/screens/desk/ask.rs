//! `POST /desk/checks`: someone is asked for by what was scanned or typed.

use std::time::{Duration, Instant};

use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use askama::Template;

use super::form::{DeskForm, as_refusal, may_pass};
use super::frame::{Frame, Typed};
use super::own;
use crate::decision::facts::Context;
use crate::eligibility::checker::Question;
use crate::eligibility::links::Links;
use crate::foundation::escape;
use crate::foundation::ids::CheckId;
use crate::foundation::subject::hex;
use crate::gateway::Gateway;
use crate::rules::tier::party::Party;
use crate::screens::place::perk_of;
use crate::screens::reading::{MOST_PEOPLE, read_person, unreadable};
use crate::web::page::icon::Icon;
use crate::web::page::see_other;
use crate::web::problem::{Kind, Problem};

/// The longest time that someone at the counter waits for the ledger.
const PATIENCE: Duration = Duration::from_secs(5);

/// The words for a guest's own page, of which nothing is to be shown here.
const OWN_PAGE: &str = "this is a guest’s own page, not their card: nobody has let them in by it here";

/// A question that got no answer; what was typed is in its field.
#[derive(Template)]
#[template(path = "desk_unasked.html", config = "src/screens/askama.toml")]
struct UnaskedPage {
    frame: Frame,
    title: &'static str,
    detail: String,
}

#[post("/checks")]
pub(in crate::screens) async fn post_check(form: DeskForm, gateway: Data<Gateway>) -> Result<HttpResponse, Problem> {
    match ask(&form, &gateway).await {
        Ok(check) => Ok(see_other(&format!("/desk/checks/{check}"))),
        Err(problem) => unasked(&form, &gateway, problem).await,
    }
}

/// Asks. An attempt that stands for another question, whose answer was lost, makes this one no other's: it gets an attempt
/// of its own, the same each time it is sent.
async fn ask(form: &DeskForm, gateway: &Gateway) -> Result<CheckId, Problem> {
    let attempt = form.attempt()?.into_inner().unwrap_or_default();
    match ask_as(form, gateway, &attempt).await {
        Err(problem) if problem.kind == Kind::IdempotencyKeyReused => {
            let own = hex(&form.hash());
            ask_as(form, gateway, &format!("{own}{}", attempt.get(..64).unwrap_or(&attempt))).await
        }
        asked => asked,
    }
}

async fn ask_as(form: &DeskForm, gateway: &Gateway, attempt: &str) -> Result<CheckId, Problem> {
    let merchant = form.desk.merchant()?;
    if let Some(link) = Links::scanned(form.raw("read")) {
        let found = own::of_link(gateway, &form.desk, link).await?;
        return found.ok_or_else(|| unreadable("/read", "bad_subject", OWN_PAGE));
    }
    let idempotency = Some(gateway.ledger.idempotency(attempt, form.hash()));
    let (subject, boarding_pass) = read_person(form.raw("read"), &gateway.keyring, merchant)?;
    let people = form.optional("people").map_or(Ok(1), str::parse).ok().filter(|it| (1..=MOST_PEOPLE).contains(it));
    let people = people.ok_or_else(|| unreadable("/people", "invalid_value", "from 1 to 100 people come together"))?;
    let perk = perk_of(gateway, &form.desk, merchant)?;
    // What someone granted them meanwhile is fetched here: asking again would use limits once more, or refuse them.
    let place = form.desk.place();
    if let Some(made) = gateway.checker.find_made_for(merchant, (&perk, place.as_deref()), &subject).await? {
        return Ok(made);
    }
    let question = Question {
        perk,
        subject,
        context: Context::default().with_party(Party::of(people)),
        boarding_pass,
        dry_run: false,
        idempotency,
        deadline: Instant::now() + PATIENCE,
    };
    let answer = Box::pin(gateway.checker.check(&form.desk.principal, merchant, question)).await?;
    answer.check.ok_or_else(Problem::not_found)
}

async fn unasked(form: &DeskForm, gateway: &Gateway, problem: Problem) -> Result<HttpResponse, Problem> {
    let mut frame = Frame::load(gateway, &form.desk).await;
    let kind = problem.kind;
    let error = (kind == Kind::InvalidRequest).then(|| escape::line(&problem.detail).into_owned());
    let (read, people) = (form.raw("read").to_owned(), form.text("people").to_owned());
    frame.typed = Typed { read, people, error };
    if may_pass(kind) {
        // The very same attempt: if it was done after all, its answer comes back.
        form.text("attempt").clone_into(&mut frame.attempt);
    }
    let title = match kind {
        Kind::InvalidRequest => "This can’t be read",
        Kind::Unavailable | Kind::InDoubt => "The gateway can’t answer right now",
        other => other.title(),
    };
    let detail = match kind {
        Kind::InvalidRequest => "Scan it again, or type a member number, or a handle such as twitter:ada.".to_owned(),
        Kind::Unavailable | Kind::InDoubt => {
            "Nobody is let in while this is so. What you typed is still in the field: press Check again in a moment."
                .to_owned()
        }
        _ => escape::line(&problem.detail).into_owned(),
    };
    as_refusal(problem, &UnaskedPage { frame, title, detail })
}
