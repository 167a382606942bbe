//! The acts about one guest, each with a clerk's PIN where desks have clerks: let in by hand or for pay, take back, say who
//! came after all.

use actix_web::web::Data;
use actix_web::{HttpResponse, post};

use super::form::DeskForm;
use super::frame::Frame;
use super::own::{decided, own_check};
use super::refusals::say;
use crate::eligibility::checker::Answer;
use crate::eligibility::grants::CorrectionRequest;
use crate::eligibility::overrides::{OverrideRequest, Overrider, PaidEntryRequest};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{self, CheckId, GrantId, MAX_NOTE};
use crate::gateway::Gateway;
use crate::ledger::grants::undo::{UndoReason, Undoing};
use crate::ledger::payment::Payment;
use crate::rules::tier::guests::Admitted;
use crate::rules::tier::party::Party;
use crate::screens::reading::{MOST_PEOPLE, unreadable};
use crate::web::extract::Path;
use crate::web::problem::Problem;

/// The words for why who came was corrected, where none were typed.
const COUNTED: &str = "Counted at the desk.";

fn address_of(answer: &Answer) -> Result<String, Problem> {
    let check = answer.check.as_ref().ok_or_else(Problem::not_found)?;
    Ok(format!("/desk/checks/{check}"))
}

/// A text that someone typed. It is not repeated: it may name a person.
pub(super) fn typed(text: &str, field: &'static str) -> Result<String, Problem> {
    ids::label(text, MAX_NOTE)
        .map_err(|error| Problem::invalid(vec![FieldError::at(field, "invalid_value", error.to_string())]))
}

#[post("/checks/{check}/override")]
pub(in crate::screens) async fn post_override(
    mut form: DeskForm,
    gateway: Data<Gateway>,
    check: Path<CheckId>,
) -> Result<HttpResponse, Problem> {
    let done = Box::pin(let_in(&mut form, &gateway, &check)).await;
    form.conclude(&gateway, done).await
}

async fn let_in(form: &mut DeskForm, gateway: &Gateway, check: &CheckId) -> Result<String, Problem> {
    let by = overrider(form, gateway, check).await?;
    let note = form.optional("note").map(|note| typed(note, "/note")).transpose()?;
    let (reason, tier) = (form.text("reason").to_owned(), form.text("tier").to_owned());
    let asked = OverrideRequest { check: check.clone(), reason, tier, note };
    let merchant = form.desk.merchant()?;
    let (zone, now) = (Frame::zone_of(gateway, &form.desk).await, gateway.clock.now());
    let work = async {
        let made = Box::pin(gateway.checker.override_check(by, merchant, asked)).await;
        address_of(&made.map_err(|error| say(error, &zone, now))?)
    };
    form.once(gateway, work).await
}

#[post("/checks/{check}/paid")]
pub(in crate::screens) async fn post_paid(
    mut form: DeskForm,
    gateway: Data<Gateway>,
    check: Path<CheckId>,
) -> Result<HttpResponse, Problem> {
    let done = Box::pin(let_in_for_pay(&mut form, &gateway, &check)).await;
    form.conclude(&gateway, done).await
}

async fn let_in_for_pay(form: &mut DeskForm, gateway: &Gateway, check: &CheckId) -> Result<String, Problem> {
    let by = overrider(form, gateway, check).await?;
    let currency = form.text("currency").to_uppercase();
    let payment = Payment::new(form.text("reference"), form.text("amount"), &currency).map_err(Problem::invalid)?;
    let asked = PaidEntryRequest { check: check.clone(), payment, tier: form.optional("tier").map(str::to_owned) };
    let merchant = form.desk.merchant()?;
    let (zone, now) = (Frame::zone_of(gateway, &form.desk).await, gateway.clock.now());
    let work = async {
        let made = Box::pin(gateway.checker.enter_paid(by, merchant, asked)).await;
        address_of(&made.map_err(|error| say(error, &zone, now))?)
    };
    form.once(gateway, work).await
}

/// The one who lets in by hand where this desk asked.
async fn overrider(form: &mut DeskForm, gateway: &Gateway, check: &CheckId) -> Result<Overrider, Problem> {
    own_check(gateway, &form.desk, check).await?;
    let by = form.acting(gateway).await?;
    Ok(Overrider { key: by.key, role: by.role, place: form.desk.place() })
}

/// The grant of a check of this desk.
async fn own_grant(form: &DeskForm, gateway: &Gateway, check: &CheckId) -> Result<GrantId, Problem> {
    let asked = own_check(gateway, &form.desk, check).await?;
    let (found, _) = decided(gateway, &form.desk, asked, check).await?;
    found.grant.map(|grant| grant.id).ok_or_else(Problem::not_found)
}

/// Takes a grant back. The same again, for the same reason, changes nothing.
#[post("/checks/{check}/undo")]
pub(in crate::screens) async fn post_undo(
    mut form: DeskForm,
    gateway: Data<Gateway>,
    check: Path<CheckId>,
) -> Result<HttpResponse, Problem> {
    let done = Box::pin(undo(&mut form, &gateway, &check)).await;
    form.conclude(&gateway, done).await
}

async fn undo(form: &mut DeskForm, gateway: &Gateway, check: &CheckId) -> Result<String, Problem> {
    let grant = own_grant(form, gateway, check).await?;
    let reason = UndoReason::ALL.into_iter().find(|known| known.as_str() == form.text("reason"));
    let reason = reason.ok_or_else(|| unreadable("/reason", "invalid_value", "say why it is undone"))?;
    let actor = form.acting(gateway).await?.actor();
    let by = Undoing { actor, desk: form.desk.principal.key.clone(), place: form.desk.place() };
    gateway.ledger.undo_grant(&form.desk.merchant()?.id, &grant, by, reason).await?;
    Ok(format!("/desk/checks/{check}"))
}

/// Says who came after all: so many people, and so many children who are too young to count. The form says which state of
/// the grant it is about, so that sent twice it corrects once.
#[post("/checks/{check}/guests")]
pub(in crate::screens) async fn post_guests(
    mut form: DeskForm,
    gateway: Data<Gateway>,
    check: Path<CheckId>,
) -> Result<HttpResponse, Problem> {
    let done = Box::pin(correct(&mut form, &gateway, &check)).await;
    form.conclude(&gateway, done).await
}

async fn correct(form: &mut DeskForm, gateway: &Gateway, check: &CheckId) -> Result<String, Problem> {
    let back = format!("/desk/checks/{check}");
    let grant = own_grant(form, gateway, check).await?;
    let party = read_party(form)?;
    let reason = typed(form.optional("why").unwrap_or(COUNTED), "/why")?;
    let merchant = form.desk.merchant()?;
    let found = gateway.checker.find_grant(&merchant.id, &grant).await?.ok_or_else(Problem::not_found)?;
    if is_same(&found.corrected.unwrap_or(found.granted), &party) {
        // It was sent before, perhaps, and its answer was lost.
        return Ok(back);
    }
    let request = CorrectionRequest { party, reason, expected: Some(vec![form.text("tag").to_owned()]) };
    let actor = form.acting(gateway).await?.actor();
    let merchant = form.desk.merchant()?;
    let principal = &form.desk.principal;
    let place = (principal.location.clone(), principal.kiosk.clone());
    gateway.checker.correct_grant(actor, place, merchant, found, request).await?;
    Ok(back)
}

/// The people who came. A child who is too young to count is of no year: all that counts is that it is.
fn read_party(form: &DeskForm) -> Result<Party, Problem> {
    let number = |name| form.optional(name).map_or(Ok(0), str::parse::<u64>).ok();
    let party = number("people")
        .zip(number("young"))
        .filter(|(people, young)| *people > 0 && people.checked_add(*young).is_some_and(|all| all <= MOST_PEOPLE));
    let party = party.and_then(|(people, young)| {
        Party::recorded(people + young, std::iter::repeat_n(0, usize::try_from(young).ok()?).collect())
    });
    party.ok_or_else(|| unreadable("/people", "invalid_value", "from 1 to 100 people come together"))
}

fn is_same(came: &Admitted, party: &Party) -> bool {
    let young = u64::try_from(party.children().len()).unwrap_or(u64::MAX);
    came.party == party.size() && came.guests.is_none_or(|guests| guests.uncounted == young)
}
