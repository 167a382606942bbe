//! `/desk/count` and `/desk/close`: the count of those who are inside is corrected; the place is closed for a while.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use jiff::civil::Time;
use jiff::{SignedDuration, Timestamp};

use super::acts::typed;
use super::form::{DeskForm, Looking};
use super::frame::Frame;
use super::words::Moment;
use crate::eligibility::occupancy::PlaceAsked;
use crate::foundation::ids::ClosureId;
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::ledger::occupancy::MOST;
use crate::perks::closures::NewClosure;
use crate::rules::instant;
use crate::screens::place::perk_of;
use crate::screens::reading::unreadable;
use crate::web::page::icon::Icon;
use crate::web::page::page;
use crate::web::problem::Problem;

/// The time for which a place is closed, where nothing else is typed.
const A_WHILE: SignedDuration = SignedDuration::from_hours(1);

#[derive(Template)]
#[template(path = "desk_count.html", config = "src/screens/askama.toml")]
struct CountPage {
    frame: Frame,
}

/// The time from which on a closing is asked back that says no day.
const FAR: SignedDuration = SignedDuration::from_hours(12);

/// Asks whether it is meant so.
#[derive(Template)]
#[template(path = "desk_close_surely.html", config = "src/screens/askama.toml")]
struct CloseSurelyPage {
    frame: Frame,
    asked: Moment,
    typed: String,
    message: String,
}

#[derive(Template)]
#[template(path = "desk_close.html", config = "src/screens/askama.toml")]
struct ClosePage {
    frame: Frame,
    until: String,
}

#[get("/count")]
pub(in crate::screens) async fn get_count(looking: Looking, gateway: Data<Gateway>) -> Result<HttpResponse, Problem> {
    page(&CountPage { frame: Frame::load(&gateway, &looking.0).await })
}

#[post("/count")]
pub(in crate::screens) async fn post_count(
    mut form: DeskForm,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    let done = Box::pin(correct(&mut form, &gateway)).await;
    form.conclude(&gateway, done).await
}

async fn correct(form: &mut DeskForm, gateway: &Gateway) -> Result<String, Problem> {
    let delta = form.text("delta").replace('\u{2212}', "-").parse().ok();
    let delta = delta.filter(|delta: &i64| *delta != 0 && (-MOST..=MOST).contains(delta));
    let detail = "write a whole number from -1000 to 1000, and not 0";
    let delta = delta.ok_or_else(|| unreadable("/delta", "invalid_value", detail))?;
    let reason = typed(form.text("why"), "/why")?;
    let actor = form.acting(gateway).await?.actor();
    let merchant = form.desk.merchant()?;
    let own = form.desk.principal.location.clone();
    let asked = PlaceAsked { perk: perk_of(gateway, &form.desk, merchant)?, location: None, own };
    let work = async {
        // The one that is found is named, so that a rule that counts otherwise a moment later corrects no other.
        let location = gateway.floor.location_of(merchant, &asked).await?;
        form.desk.require_all_of(location.as_deref())?;
        let asked = PlaceAsked { location, ..asked };
        gateway.floor.correct(merchant, &asked, actor, (delta, reason)).await?;
        Ok("/desk?done=corrected".to_owned())
    };
    Box::pin(form.once(gateway, work)).await
}

#[get("/close")]
pub(in crate::screens) async fn get_close(looking: Looking, gateway: Data<Gateway>) -> Result<HttpResponse, Problem> {
    let frame = Frame::load(&gateway, &looking.0).await;
    let until = frame.now().saturating_add(A_WHILE).unwrap_or(frame.now()).to_zoned(frame.zone().clone());
    page(&ClosePage { until: until.strftime("%H:%M").to_string(), frame })
}

#[post("/close")]
pub(in crate::screens) async fn post_close(
    mut form: DeskForm,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    let until = match read_until(&form, &gateway).await {
        Ok(until) => until,
        Err(problem) => return form.conclude(&gateway, Err(problem)).await,
    };
    if is_unasked(&form, until, &gateway) {
        let frame = Frame::load(&gateway, &form.desk).await;
        let message = form.text("message").to_owned();
        return page(&CloseSurelyPage {
            asked: frame.moment(until),
            typed: form.text("until").to_owned(),
            message,
            frame,
        });
    }
    let done = Box::pin(close(&mut form, &gateway, until)).await;
    form.conclude(&gateway, done).await
}

/// Tells whether a time alone means one that is far ahead, tomorrow's perhaps, and nobody has said so: the time that was
/// meant may have passed while the page was open.
fn is_unasked(form: &DeskForm, until: Timestamp, gateway: &Gateway) -> bool {
    let is_far = until.duration_since(gateway.clock.now()) > FAR;
    is_far && Time::strptime("%H:%M", form.text("until")).is_ok() && form.text("sure") != until.to_string()
}

async fn close(form: &mut DeskForm, gateway: &Gateway, until: Timestamp) -> Result<String, Problem> {
    let message = form.optional("message").map(|text| Json::object([("en", Json::text(text))]));
    let actor = form.acting(gateway).await?.actor();
    let merchant = form.desk.merchant()?;
    let perk = perk_of(gateway, &form.desk, merchant)?;
    let new = NewClosure { location: form.desk.principal.location.clone(), until, message };
    let work = async {
        gateway.catalog.close_place(&merchant.id, actor, &perk, new).await?;
        Ok("/desk?done=closed".to_owned())
    };
    Box::pin(form.once(gateway, work)).await
}

/// An hour and minute of the place's clock, the next one that comes; or a day with it.
async fn read_until(form: &DeskForm, gateway: &Gateway) -> Result<Timestamp, Problem> {
    let zone = Frame::zone_of(gateway, &form.desk).await;
    let (text, now) = (form.text("until"), gateway.clock.now());
    let unfit =
        || unreadable("/until", "invalid_value", "write when it opens again, such as 18:30, or 2026-11-30 18:30");
    let Ok(time) = Time::strptime("%H:%M", text) else {
        return instant::read(&text.replacen(' ', "T", 1), &zone, now).map_err(|_| unfit());
    };
    let today = now.to_zoned(zone.clone()).date();
    for day in [Ok(today), today.tomorrow()] {
        let at = day.ok().and_then(|day| day.to_datetime(time).to_zoned(zone.clone()).ok());
        if let Some(at) = at.map(|at| at.timestamp()).filter(|at| now < *at) {
            return Ok(at);
        }
    }
    Err(unfit())
}

/// Opens the place before its time. One that is open already is as it was to be.
#[post("/open")]
pub(in crate::screens) async fn post_open(mut form: DeskForm, gateway: Data<Gateway>) -> Result<HttpResponse, Problem> {
    let done = Box::pin(open(&mut form, &gateway)).await;
    form.conclude(&gateway, done).await
}

async fn open(form: &mut DeskForm, gateway: &Gateway) -> Result<String, Problem> {
    let closure: ClosureId = form.text("closure").parse().map_err(|_| Problem::not_found())?;
    let actor = form.acting(gateway).await?.actor();
    let merchant = &form.desk.merchant()?;
    let perk = perk_of(gateway, &form.desk, merchant)?;
    let mut closed = gateway.catalog.list_closures(&merchant.id, &perk).await?.into_iter();
    if let Some(found) = closed.find(|it| it.id == closure) {
        form.desk.require_all_of(found.location.as_deref())?;
        gateway.catalog.open_place(&merchant.id, actor, &perk, closure).await?;
    }
    Ok("/desk?done=opened".to_owned())
}
