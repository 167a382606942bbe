//! `/console/perks/{perk}/try`: would one person come in? The answer, and every part of the rule as a checklist.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::checklist::{Line, checklist};
use super::trial_form::trial_faults;
use crate::access::role::permit::ManagePerks;
use crate::console::caller::Caller;
use crate::console::door::{page, page_of};
use crate::console::form::Posted;
use crate::console::frame::{Frame, Section};
use crate::console::icon::Icon;
use crate::console::words::{When, place_of, zone_of};
use crate::decision::decide::Decision;
use crate::decision::facts::Context;
use crate::decision::person::PersonFacts;
use crate::eligibility::rule_selection::Choice;
use crate::eligibility::shown::simulation::SimulationShown;
use crate::eligibility::trial::Trial;
use crate::foundation::count::counted;
use crate::foundation::decimal::Decimal;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::PerkSlug;
use crate::foundation::json::Json;
use crate::foundation::language::Languages;
use crate::foundation::subject::SubjectHandle;
use crate::foundation::yaml;
use crate::gateway::Gateway;
use crate::rules::tier::party::{MAX_PARTY, Party};
use crate::web::extract::{Params, Path};
use crate::web::params::VersionNumber;
use crate::web::problem::{Problem, sentence};

/// A day and a time of day, as a page writes it.
const INSTANT: &str = "%Y-%m-%d %H:%M";

#[derive(Template)]
#[template(path = "try.html", config = "src/console/askama.toml")]
struct TryPage {
    frame: Frame,
    slug: String,
    name: String,
    number: i32,
    place: String,
    /// An example of an instant.
    now: String,
    fields: TryFields,
    most_people: i64,
    errors: Vec<String>,
    answer: Option<AnswerView>,
}

/// The decision, in the words of a page.
struct AnswerView {
    class: &'static str,
    icon: Icon,
    headline: String,
    messages: Vec<String>,
    next: Option<When>,
    lines: Vec<Line>,
    limits: Vec<(String, u64)>,
    warnings: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct TryQuery {
    version: Option<VersionNumber>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(in crate::console) struct TryFields {
    version: Option<VersionNumber>,
    person: String,
    score: String,
    at: String,
    people: String,
    location: String,
    facts: String,
}

#[get("/perks/{perk}/try")]
pub(in crate::console) async fn get_try(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    slug: Path<PerkSlug>,
    query: Params<TryQuery>,
) -> Result<HttpResponse, Problem> {
    let fields = TryFields { version: query.version, people: "1".to_owned(), ..TryFields::default() };
    let (view, _) = view(&gateway, &caller, &slug, fields).await?;
    page(&view)
}

/// The page, without an answer, and the zone of its times.
async fn view(
    gateway: &Gateway,
    caller: &Caller<ManagePerks>,
    slug: &PerkSlug,
    fields: TryFields,
) -> Result<(TryPage, TimeZone), Problem> {
    let merchant = caller.merchant()?;
    let perk = gateway.catalog.find_perk(&merchant.id, slug).await?;
    let asked = fields.version.map(|VersionNumber(version)| version);
    let number = asked.or(perk.published_version).unwrap_or(perk.latest_version);
    let version = gateway.catalog.find_version(&merchant.id, slug, number).await?;
    let rule = Json::parse(&version.rule).map_err(|error| Problem::internal(&error))?;
    let zone_name = rule.member("time_zone").and_then(Json::as_text).unwrap_or(&merchant.time_zone).to_owned();
    let (zone, now) = (zone_of(&zone_name), gateway.clock.now());
    let view = TryPage {
        frame: Frame::of(format!("Try {}", perk.name), Section::Perks, caller.session(), now).in_zone(&zone_name, now),
        slug: slug.to_string(),
        name: perk.name,
        number,
        place: place_of(&zone_name),
        now: now.to_zoned(zone.clone()).strftime(INSTANT).to_string(),
        fields,
        most_people: MAX_PARTY,
        errors: Vec::new(),
        answer: None,
    };
    Ok((view, zone))
}

#[post("/perks/{perk}/try")]
pub(in crate::console) async fn post_try(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    slug: Path<PerkSlug>,
    fields: Posted<TryFields>,
) -> Result<HttpResponse, Problem> {
    let (mut view, zone) = view(&gateway, &caller, &slug, fields.0).await?;
    let now = gateway.clock.now();
    let trial = match read(&view.fields, &slug, view.number, &zone, now) {
        Ok(trial) => trial,
        Err(errors) => {
            view.errors = errors;
            return page_of(StatusCode::UNPROCESSABLE_ENTITY, &view);
        }
    };
    match gateway.simulator.simulate(caller.merchant()?, &caller.actor(), trial).await {
        Ok(simulated) => {
            let shown = SimulationShown::of(simulated, &Languages::default());
            view.answer = Some(answer(shown, &zone, now));
            page(&view)
        }
        Err(error) => {
            let (status, errors) = trial_faults(error)?;
            view.errors = errors;
            page_of(status, &view)
        }
    }
}

/// The question of the form; its errors in sentences.
fn read(
    fields: &TryFields,
    slug: &PerkSlug,
    version: i32,
    zone: &TimeZone,
    now: Timestamp,
) -> Result<Trial, Vec<String>> {
    let mut errors = Vec::new();
    let person = fields.person.trim();
    let subject = (!person.is_empty()).then(|| person.parse::<SubjectHandle>());
    let subject = subject.transpose().unwrap_or_else(|error| {
        errors.push(format!("The person can’t be that: {error}."));
        None
    });
    let score = fields.score.trim();
    let score = (!score.is_empty()).then(|| Decimal::typed(score));
    let score = score.transpose().unwrap_or_else(|error| {
        errors.push(format!("The score can’t be that: {error}."));
        None
    });
    let at = fields.at.trim().replace('T', " ");
    let at = (!at.is_empty()).then(|| {
        let local = DateTime::strptime(INSTANT, &at).ok()?;
        zone.to_ambiguous_timestamp(local).compatible().ok()
    });
    if at == Some(None) {
        errors.push(format!(
            "Write the time as {}, or leave it out for now.",
            now.to_zoned(zone.clone()).strftime(INSTANT)
        ));
    }
    let context = read_context(&fields.facts, &fields.people, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let location = Some(fields.location.trim().to_owned()).filter(|location| !location.is_empty());
    Ok(Trial {
        perk: slug.clone(),
        choice: Choice::Version(version),
        subject,
        score: score.map(|value| (value, None)),
        attributes: PersonFacts::default(),
        network: None,
        context,
        at: at.flatten(),
        location,
        kiosk: None,
        boarding_pass: None,
        airports: Vec::new(),
    })
}

/// Reads what a kiosk would know of a visit, and how many would come.
pub(super) fn read_context(facts: &str, people: &str, errors: &mut Vec<String>) -> Context {
    let people = match people.trim() {
        "" => Some(1),
        people => people.parse::<u64>().ok().filter(|people| (1..=MAX_PARTY.unsigned_abs()).contains(people)),
    };
    if people.is_none() {
        errors.push(format!("The number of people goes from 1 to {MAX_PARTY}."));
    }
    let context = match facts.trim() {
        "" => Ok(Context::default()),
        text => yaml::read_loose(&text.replace("\r\n", "\n"))
            .map_err(|error| vec![format!("What the kiosk knows, line {}: {}.", error.mark.line, error.fault)])
            .and_then(|json| {
                let wrong = |it: &FieldError| format!("What the kiosk knows, {}: {}.", it.path.as_str(), it.detail);
                Context::parse_loose(&json).map_err(|errors| errors.iter().map(wrong).collect())
            }),
    };
    let context = context.unwrap_or_else(|found| {
        errors.extend(found);
        Context::default()
    });
    context.with_party(Party::of(people.unwrap_or(1)))
}

fn answer(shown: SimulationShown, zone: &TimeZone, now: Timestamp) -> AnswerView {
    let tier = shown.tier.as_deref().unwrap_or_default();
    let tier = shown.trace.tiers.iter().find(|it| it.tier == tier).map_or(tier, |it| it.name.as_str());
    let (class, icon, headline) = match shown.decision {
        Decision::Granted => {
            let guests = shown.guests.map_or_else(String::new, |guests| match (guests.admitted, guests.charged) {
                (0, _) => String::new(),
                (admitted, 0) => format!(", with {}, free", counted(admitted, "guest")),
                (admitted, charged) => format!(", with {}, {charged} to be charged", counted(admitted, "guest")),
            });
            ("granted", Icon::Tick, format!("{tier}{guests}"))
        }
        Decision::Denied => ("denied", Icon::Cross, "Not now".to_owned()),
        Decision::Referred => ("wait", Icon::Person, "Asks a person".to_owned()),
    };
    AnswerView {
        class,
        icon,
        headline,
        messages: shown.reasons.iter().map(|reason| sentence(&reason.message)).collect(),
        next: shown.next_eligible_at.map(|at| When::of(at, zone, now)),
        lines: checklist(&shown.trace, zone, now),
        limits: shown.limits.iter().map(|limit| (limit.id.clone(), limit.remaining)).collect(),
        warnings: shown.warnings.into_iter().map(|warning| sentence(&warning.detail)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> TryFields {
        TryFields { at: "2026-11-27 18:00".to_owned(), people: "2".to_owned(), ..TryFields::default() }
    }

    fn trial(fields: &TryFields) -> Result<Trial, Vec<String>> {
        let now = "2026-11-27T22:32:10Z".parse().unwrap();
        read(fields, &"lounge".parse().unwrap(), 3, &zone_of("America/Los_Angeles"), now)
    }

    #[test]
    fn a_form_is_a_question() {
        let asked = TryFields {
            person: "twitter:sol".to_owned(),
            score: "47,25".to_owned(),
            facts: "concourse: A\r\ndeparture: 2026-11-27T19:30:00-08:00\r\n".to_owned(),
            ..fields()
        };
        let trial = trial(&asked).unwrap();
        assert_eq!(trial.at, Some("2026-11-28T02:00:00Z".parse().unwrap()));
        assert_eq!((trial.score.unwrap().0.to_string(), trial.context.party().size()), ("47.25".to_owned(), 2));
    }

    #[test]
    fn without_a_time_it_is_now() {
        assert_eq!(trial(&TryFields { at: String::new(), ..fields() }).unwrap().at, None);
        let at = trial(&TryFields { at: "2026-11-27T14:33".to_owned(), ..fields() }).unwrap().at;
        assert_eq!(at, Some("2026-11-27T22:33:00Z".parse().unwrap()));
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let wrong = TryFields {
            person: "sol".repeat(200),
            score: "many".to_owned(),
            at: "tomorrow".to_owned(),
            people: "0".to_owned(),
            facts: "a: [".to_owned(),
            ..TryFields::default()
        };
        let errors = trial(&wrong).unwrap_err();
        assert_eq!(errors.len(), 5, "{errors:?}");
        assert!(
            errors.iter().any(|error| error == "Write the time as 2026-11-27 14:32, or leave it out for now."),
            "{errors:?}"
        );
    }
}
