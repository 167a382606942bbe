//! `/console/new-perk`: a perk from a template, whose rule is text that one makes one's own.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use serde::Deserialize;

use super::edit::check;
use super::rule_text::{Finding, MAX_TEXT, located};
use crate::access::role::permit::ManagePerks;
use crate::console::caller::Caller;
use crate::console::door::{page, page_of, see_other};
use crate::console::form::Posted;
use crate::console::frame::{Frame, Section};
use crate::console::icon::Icon;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::PerkSlug;
use crate::gateway::Gateway;
use crate::perks::error::PerkError;
use crate::perks::perk::{MAX_NAME, NewVersion};
use crate::perks::purpose::Purpose;
use crate::rules::template::Template as PerkTemplate;
use crate::web::extract::Params;
use crate::web::problem::{Problem, sentence};

#[derive(Template)]
#[template(path = "perk_new.html", config = "src/console/askama.toml")]
struct NewPerkPage {
    frame: Frame,
    templates: Vec<TemplateView>,
    slug: String,
    name: String,
    /// Every purpose, and whether it is chosen.
    purposes: Vec<(&'static str, &'static str, bool)>,
    text: String,
    rows: usize,
    most: usize,
    most_name: usize,
    /// None until it was checked.
    errors: Option<Vec<Finding>>,
    warnings: Vec<Finding>,
}

struct TemplateView {
    name: &'static str,
    title: &'static str,
    summary: String,
    is_current: bool,
}

/// The purposes in the words of a page.
pub(in crate::console) const fn purpose_words(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Lounge => "A lounge",
        Purpose::CustomerServicePriority => "Priority at customer service",
        Purpose::EarlyAccess => "Early access",
        Purpose::MemberOffer => "An offer to members",
        Purpose::Event => "An event",
        Purpose::Discount => "A discount",
        Purpose::Other => "Something else",
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct NewQuery {
    template: Option<String>,
}

#[derive(Deserialize)]
pub(in crate::console) struct NewFields {
    #[serde(default)]
    slug: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    purpose: String,
    #[serde(default)]
    text: String,
    /// Given by the button that saves.
    save: Option<String>,
}

#[get("/new-perk")]
pub(in crate::console) async fn get_new_perk(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    query: Params<NewQuery>,
) -> Result<HttpResponse, Problem> {
    caller.merchant()?;
    let wanted = query.into_inner().template;
    let template = match &wanted {
        None => PerkTemplate::Lounge,
        Some(name) => PerkTemplate::ALL.into_iter().find(|it| it.name() == name).ok_or_else(Problem::not_found)?,
    };
    let fields = NewFields {
        slug: template.slug().to_owned(),
        name: template.title().to_owned(),
        purpose: template.purpose().to_owned(),
        text: template.rule_text(),
        save: None,
    };
    page(&view(&gateway, &caller, &fields, Some(template)))
}

fn view(
    gateway: &Gateway,
    caller: &Caller<ManagePerks>,
    fields: &NewFields,
    current: Option<PerkTemplate>,
) -> NewPerkPage {
    let template = |it: PerkTemplate| TemplateView {
        name: it.name(),
        title: it.title(),
        summary: sentence(it.summary()),
        is_current: current == Some(it),
    };
    let purpose = |it: Purpose| (it.as_str(), purpose_words(it), it.as_str() == fields.purpose);
    NewPerkPage {
        frame: Frame::of("New perk", Section::Perks, caller.session(), gateway.clock.now()),
        templates: PerkTemplate::ALL.into_iter().map(template).collect(),
        slug: fields.slug.clone(),
        name: fields.name.clone(),
        purposes: Purpose::ALL.into_iter().map(purpose).collect(),
        rows: fields.text.lines().count().clamp(12, 60) + 2,
        text: fields.text.clone(),
        most: MAX_TEXT,
        most_name: MAX_NAME,
        errors: None,
        warnings: Vec::new(),
    }
}

#[post("/new-perk")]
pub(in crate::console) async fn post_new_perk(
    caller: Caller<ManagePerks>,
    gateway: Data<Gateway>,
    fields: Posted<NewFields>,
) -> Result<HttpResponse, Problem> {
    let mut fields = fields.0;
    // A browser sends the ends of lines of its own.
    fields.text = fields.text.replace("\r\n", "\n");
    let mut view = view(&gateway, &caller, &fields, None);
    let merchant = &caller.merchant()?.id;
    let of_field = |detail: String| Finding { line: None, pointer: String::new(), detail };
    let mut errors = Vec::new();
    let slug: Option<PerkSlug> = match fields.slug.trim().parse() {
        Ok(slug) => Some(slug),
        Err(error) => {
            errors.push(of_field(format!("The short name can’t be “{}”: {error}.", fields.slug)));
            None
        }
    };
    let purpose = match Purpose::parse(&fields.purpose) {
        Ok(purpose) => Some(purpose),
        Err(error) => {
            errors.push(of_field(format!("The purpose can’t be that: {error}.")));
            None
        }
    };
    // Without its own name the rule is still read: all that is wrong is said at once.
    let any: Option<PerkSlug> = slug.clone().or_else(|| "perk".parse().ok());
    let rule = match any {
        None => None,
        Some(slug) => match check(&gateway, merchant, &slug, &fields.text).await? {
            Ok((rule, warnings)) => {
                view.warnings = warnings;
                Some(rule)
            }
            Err(found) => {
                errors.extend(found);
                None
            }
        },
    };
    let is_saving = fields.save.is_some();
    let (Some(slug), Some(purpose), Some(rule)) = (slug, purpose, rule) else {
        view.errors = Some(errors);
        return page_of(if is_saving { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, &view);
    };
    view.errors = Some(Vec::new());
    if !is_saving {
        return page(&view);
    }
    let new = NewVersion { rule, publish: false, change_note: None };
    let made = gateway.catalog.create_perk_for(merchant, caller.actor(), slug, &fields.name, purpose, new).await;
    let (status, errors) = match made {
        Ok(made) => {
            let (perk, version) = (&made.perk.slug, made.version.version);
            return Ok(see_other(&format!("/console/perks/{perk}/versions/{version}")));
        }
        Err(PerkError::Rule(errors)) => (StatusCode::UNPROCESSABLE_ENTITY, located(&fields.text, &errors)),
        Err(error @ (PerkError::Exists | PerkError::Name(_))) => {
            let problem = Problem::from(error);
            let details: Vec<_> = problem
                .errors
                .iter()
                .map(|it: &FieldError| of_field(format!("The name can’t be that: {}.", it.detail)))
                .collect();
            let status = problem.kind.status();
            (status, if details.is_empty() { vec![of_field(problem.detail.into_owned())] } else { details })
        }
        Err(error) => return Err(error.into()),
    };
    view.errors = Some(errors);
    page_of(status, &view)
}
