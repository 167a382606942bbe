//! `/console/keys/new`: makes a key, and shows its secret once.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::access::role::permit::ManageKeys;
use crate::access::{AccessError, NewKey, Role};
use crate::console::caller::Caller;
use crate::console::door::{page, page_of};
use crate::console::form::Posted;
use crate::console::frame::{Frame, Section};
use crate::console::icon::Icon;
use crate::console::words::role_words;
use crate::database::DatabaseError;
use crate::foundation::field_error::FieldError;
use crate::foundation::subject::hex;
use crate::gateway::Gateway;
use crate::ledger::LedgerError;
use crate::ledger::idempotency::{Claim, KeyScope};
use crate::web::problem::{Kind, Problem, sentence};

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

/// The answer to a form that has made its key before.
#[derive(Template)]
#[template(path = "key_made_before.html", config = "src/console/askama.toml")]
struct MadeBeforePage {
    frame: Frame,
    id: String,
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
    /// The random text of one form, so that a reload of its answer makes no second key.
    #[serde(default)]
    once: String,
}

/// The operation under which the random texts of forms are kept.
const OPERATION: &str = "console keys";
const ONCE_BYTES: usize = 16;

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
    let fields = KeyFields { once: hex(&gateway.entropy.bytes::<ONCE_BYTES>()), ..KeyFields::default() };
    page(&NewKeyPage::of(&caller, gateway.clock.now(), fields, Vec::new()))
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
        ..NewKey::of(role, caller.owner(), &fields.label)
    };
    if fields.once.len() != 2 * ONCE_BYTES {
        return Err(Problem::new(
            Kind::BadRequest,
            "This form was not complete. Open the page again and send it from there.",
        ));
    }
    let scope = KeyScope { merchant: caller.owner(), key: caller.key.clone(), operation: OPERATION.to_owned() };
    // Whatever is typed, one form makes one key: what was typed first counts.
    let claimed = match gateway.ledger.claim(scope, gateway.ledger.idempotency(&fields.once, [0; 32])).await? {
        Claim::Fresh(claimed) => claimed,
        Claim::Answered(id) => {
            let frame = Frame::of("Your new key", Section::Keys, caller.session(), now);
            return page(&MadeBeforePage { frame, id: String::from_utf8_lossy(&id).into_owned() });
        }
        Claim::InProgress => {
            return Err(Problem::new(Kind::InProgress, "The key is being made. Look at the list in a moment."));
        }
    };
    let made = gateway.directory.create_key(new, caller.actor()).await;
    let settled = match &made {
        Ok((key, _)) => gateway.ledger.keep(claimed, key.id.as_str().as_bytes()).await,
        // It may have been made, so the form makes no other.
        Err(
            AccessError::Database(DatabaseError::InDoubt)
            | AccessError::Ledger(LedgerError::InDoubt | LedgerError::Database(DatabaseError::InDoubt)),
        ) => Ok(()),
        Err(_) => gateway.ledger.release(claimed).await,
    };
    if let Err(error) = settled {
        // It is made, or isn't: failing now would hide that.
        tracing::warn!(%error, "could not note what became of a form for a key");
    }
    match made {
        Ok((key, secret)) => {
            // This is the only answer that shows it: what can't be looked up is left out.
            let warnings = gateway.warnings_of_key(&key).await.unwrap_or_default();
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
