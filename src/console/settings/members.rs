//! `/console/members`: what rules may look at of people beside scores. Feeds say it of people; nothing of anyone is shown here.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use serde::Deserialize;

use crate::access::role::permit::ManageSources;
use crate::console::caller::Caller;
use crate::console::door::{page, page_of, see_other};
use crate::console::form::{Faults, Posted};
use crate::console::frame::{Frame, Section};
use crate::console::icon::Icon;
use crate::console::perks::new::purpose_words;
use crate::foundation::period::Period;
use crate::gateway::Gateway;
use crate::perks::attributes::{Attribute, AttributeError, AttributeTerms};
use crate::perks::life::Expected;
use crate::perks::purpose::Purpose;
use crate::rules::declared::{TYPES, type_name};
use crate::rules::terms::Fallback;
use crate::web::problem::{Problem, sentence};

/// How long a value is known, as it is chosen.
const KNOWN_FOR: [(&str, &str); 5] =
    [("", "For good"), ("P1D", "1 day"), ("P7D", "7 days"), ("P30D", "30 days"), ("P365D", "A year")];

/// The fate of a person without a value.
const ON_MISSING: [(&str, &str); 3] =
    [("ignore", "The rest of the rule decides"), ("deny", "They are refused"), ("refer", "They wait for a person")];

#[derive(Template)]
#[template(path = "members.html", config = "src/console/askama.toml")]
struct MembersPage {
    frame: Frame,
    attributes: Vec<AttributeView>,
    fields: MemberFields,
    types: Vec<(&'static str, bool)>,
    purposes: Vec<(&'static str, &'static str, bool)>,
    periods: Vec<(&'static str, &'static str, bool)>,
    fallbacks: Vec<(&'static str, &'static str, bool)>,
    faults: Faults,
}

/// An attribute as pages show it.
struct AttributeView {
    name: String,
    kind: &'static str,
    purpose: &'static str,
    known: String,
    missing: &'static str,
}

impl AttributeView {
    fn of(attribute: &Attribute) -> Self {
        let policy = &attribute.policy;
        let missing = match policy.on_missing {
            Fallback::Deny => "refused",
            Fallback::Refer => "wait for a person",
            Fallback::Ignore => "the rest of the rule decides",
        };
        Self {
            name: attribute.name.clone(),
            kind: type_name(policy.value_type),
            purpose: purpose_words(attribute.purpose),
            known: policy.max_age.map_or_else(|| "for good".to_owned(), |age| age.to_string()),
            missing,
        }
    }
}

/// A new attribute as it is typed.
#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::console) struct MemberFields {
    #[serde(default)]
    name: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    purpose: String,
    #[serde(default)]
    known: String,
    #[serde(default)]
    on_missing: String,
}

impl MemberFields {
    fn read(&self) -> Result<AttributeTerms, AttributeError> {
        let known: Option<Period> = KNOWN_FOR
            .iter()
            .find(|(period, _)| !period.is_empty() && *period == self.known)
            .and_then(|(period, _)| period.parse().ok());
        let missing = Some(self.on_missing.as_str()).filter(|missing| !missing.is_empty());
        AttributeTerms::read(&self.kind, &self.purpose, known, missing)
    }
}

impl MembersPage {
    async fn of(
        caller: &Caller<ManageSources>,
        gateway: &Gateway,
        fields: MemberFields,
        faults: Faults,
    ) -> Result<Self, Problem> {
        let attributes = gateway.catalog.list_attributes(&caller.merchant()?.id).await?;
        let choices = |all: &[(&'static str, &'static str)], chosen: &str| {
            all.iter().map(|(value, words)| (*value, *words, *value == chosen)).collect::<Vec<_>>()
        };
        Ok(Self {
            frame: Frame::of("Members", Section::Settings, caller.session(), gateway.clock.now()),
            attributes: attributes.iter().map(AttributeView::of).collect(),
            types: TYPES.map(|kind| (type_name(kind), type_name(kind) == fields.kind)).to_vec(),
            purposes: Purpose::ALL.map(|it| (it.as_str(), purpose_words(it), it.as_str() == fields.purpose)).to_vec(),
            periods: choices(&KNOWN_FOR, &fields.known),
            fallbacks: choices(&ON_MISSING, &fields.on_missing),
            fields,
            faults,
        })
    }
}

#[get("/members")]
pub(in crate::console) async fn get_members(
    caller: Caller<ManageSources>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    page(&MembersPage::of(&caller, &gateway, MemberFields::default(), Faults::default()).await?)
}

#[post("/members")]
pub(in crate::console) async fn post_member(
    caller: Caller<ManageSources>,
    gateway: Data<Gateway>,
    form: Posted<MemberFields>,
) -> Result<HttpResponse, Problem> {
    let fields = form.0;
    let faults = match declare(&caller, &gateway, &fields).await? {
        Ok(()) => return Ok(see_other(&"/console/members")),
        Err(faults) => faults,
    };
    page_of(StatusCode::UNPROCESSABLE_ENTITY, &MembersPage::of(&caller, &gateway, fields, faults).await?)
}

/// Declares an attribute. This makes one: what feeds and rules go by already is not changed by a name that is typed again.
async fn declare(
    caller: &Caller<ManageSources>,
    gateway: &Gateway,
    fields: &MemberFields,
) -> Result<Result<(), Faults>, Problem> {
    let (merchant, name) = (&caller.merchant()?.id, fields.name.trim());
    match gateway.catalog.find_attribute(merchant, name).await {
        Ok(_) => return Ok(Err(Faults::at("name", format!("There is an attribute “{name}” already.")))),
        Err(AttributeError::NotFound(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let made = match fields.read() {
        Ok(terms) => gateway.catalog.put_attribute(merchant, caller.actor(), name, terms, Expected::Anything).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(_) => Ok(Ok(())),
        Err(AttributeError::Unfit(errors)) => Ok(Err(Faults::of(&errors, &["name", "type", "purpose", "on_missing"]))),
        Err(error @ AttributeError::TooMany) => Ok(Err(Faults::at("name", sentence(&error.to_string())))),
        Err(error) => Err(error.into()),
    }
}
