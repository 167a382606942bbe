//! `/console/keys/new`: makes a key, and shows its secret once.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::owner;
use crate::access::role::permit::ManageKeys;
use crate::access::{AccessError, NewKey, Role};
use crate::console::caller::Caller;
use crate::console::door::{page, page_of};
use crate::console::form::Posted;
use crate::console::frame::{Frame, Section};
use crate::console::icon::Icon;
use crate::console::words::role_words;
use crate::foundation::field_error::FieldError;
use crate::gateway::Gateway;
use crate::web::problem::{Problem, sentence};

/// The lives that a key can be given, in days.
const LIVES: [(&str, &str); 4] = [("", "Never"), ("30", "In 30 days"), ("90", "In 90 days"), ("365", "In a year")];

#[derive(Template)]
#[template(path = "key_new.html", config = "src/console/askama.toml")]
struct NewKeyPage {
    frame: Frame,
    roles: Vec<Choice>,
    lives: Vec<Choice>,
    fields: KeyFields,
    /// The field and its error.
    errors: Vec<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "key_made.html", config = "src/console/askama.toml")]
struct MadeKeyPage {
    frame: Frame,
    label: String,
    role: &'static str,
    id: String,
    secret: String,
    warnings: Vec<String>,
}

struct Choice {
    value: &'static str,
    words: &'static str,
    is_chosen: bool,
}

/// A new key as it is typed.
#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::console) struct KeyFields {
    #[serde(default)]
    role: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    location: String,
    #[serde(default)]
    kiosk: String,
    #[serde(default)]
    audience: String,
    #[serde(default)]
    expires: String,
}

impl NewKeyPage {
    fn of(caller: &Caller<ManageKeys>, now: Timestamp, fields: KeyFields, errors: Vec<(&'static str, String)>) -> Self {
        let own = Role::ALL.into_iter().filter(|role| is_own(caller, *role));
        let role = |role: Role| Choice {
            value: role.as_str(),
            words: role_words(role),
            is_chosen: role.as_str() == fields.role,
        };
        let life =
            |(value, words): (&'static str, &'static str)| Choice { value, words, is_chosen: value == fields.expires };
        let (roles, lives) = (own.map(role).collect(), LIVES.map(life).into_iter().collect());
        Self { frame: Frame::of("New key", Section::Keys, caller.session(), now), roles, lives, fields, errors }
    }

    fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|(of, _)| *of == field).map(|(_, error)| error.as_str())
    }
}

/// Tells whether the caller makes keys of this role for their own: an operator makes no merchant's here.
fn is_own(caller: &Caller<ManageKeys>, role: Role) -> bool {
    caller.role.may_manage(role) && role.has_merchant() == caller.merchant.is_some()
}

#[get("/keys/new")]
pub(in crate::console) async fn get_new_key(
    caller: Caller<ManageKeys>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    page(&NewKeyPage::of(&caller, gateway.clock.now(), KeyFields::default(), Vec::new()))
}

#[post("/keys/new")]
pub(in crate::console) async fn post_new_key(
    caller: Caller<ManageKeys>,
    gateway: Data<Gateway>,
    form: Posted<KeyFields>,
) -> Result<HttpResponse, Problem> {
    let (fields, now) = (form.0, gateway.clock.now());
    let refused =
        |errors| page_of(StatusCode::UNPROCESSABLE_ENTITY, &NewKeyPage::of(&caller, now, fields.clone(), errors));
    let Some(role) = fields.role.parse::<Role>().ok().filter(|role| is_own(&caller, *role)) else {
        return refused(vec![("role", "Choose what the key is for.".to_owned())]);
    };
    let optional = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let days = fields.expires.parse::<i64>().ok().filter(|_| LIVES.iter().any(|(days, _)| *days == fields.expires));
    let expires_at = days.and_then(|days| now.checked_add(SignedDuration::from_hours(24 * days)).ok());
    let new = NewKey {
        location: optional(&fields.location),
        kiosk: optional(&fields.kiosk),
        audience: optional(&fields.audience),
        expires_at,
        ..NewKey::of(role, owner(&caller), &fields.label)
    };
    match gateway.directory.create_key(new, caller.actor()).await {
        Ok((key, secret)) => {
            let warnings = gateway.warnings_of_key(&key).await?;
            let frame = Frame::of("Your new key", Section::Keys, caller.session(), now);
            page(&MadeKeyPage {
                frame,
                role: role_words(key.role),
                id: key.id.to_string(),
                label: key.label,
                secret: secret.expose().to_owned(),
                warnings: warnings.into_iter().map(|warning| sentence(&warning.detail)).collect(),
            })
        }
        Err(AccessError::Unfit(errors)) => refused(errors.iter().map(of_field).collect()),
        Err(error) => Err(error.into()),
    }
}

/// The field that an error is about, as the form names it.
fn of_field(error: &FieldError) -> (&'static str, String) {
    let known = ["role", "label", "location", "kiosk", "audience", "expires"];
    let field = error.path.as_str().trim_start_matches('/');
    let field = if field == "expires_at" { "expires" } else { field };
    (known.into_iter().find(|name| *name == field).unwrap_or("label"), sentence(&error.detail))
}
