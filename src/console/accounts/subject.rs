//! `/console/accounts/{key}/subject`: links an account to the subject by which a provider of OpenID Connect knows its
//! person, or takes the link away. Nobody links their own: who holds a session for a minute could else keep a way in.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use serde::Deserialize;

use super::SECTION;
use super::steps::{find, may_reset};
use crate::access::AccessError;
use crate::access::accounts::{Account, Subject};
use crate::access::role::permit::ManageKeys;
use crate::console::caller::Caller;
use crate::console::door::{page, page_of, see_other};
use crate::console::form::{Faults, Posted};
use crate::console::frame::Frame;
use crate::console::icon::Icon;
use crate::foundation::ids::KeyId;
use crate::gateway::Gateway;
use crate::settings::OpenId;
use crate::web::extract::Path;
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "account_subject.html", config = "src/console/askama.toml")]
struct SubjectPage {
    frame: Frame,
    key: String,
    label: String,
    /// The name of the provider, and its issuer.
    provider: (String, String),
    subject: String,
    faults: Faults,
}

impl SubjectPage {
    fn of(caller: &Caller<ManageKeys>, gateway: &Gateway, account: &Account, provider: &OpenId) -> Self {
        Self {
            frame: Frame::of("Link an account", SECTION, caller.session(), gateway.clock.now()),
            key: account.key.to_string(),
            label: account.label.clone(),
            provider: (provider.label.clone(), provider.issuer.clone()),
            subject: String::new(),
            faults: Faults::default(),
        }
    }
}

#[get("/accounts/{key}/subject")]
pub(in crate::console) async fn get_subject(
    caller: Caller<ManageKeys>,
    gateway: Data<Gateway>,
    key: Path<KeyId>,
) -> Result<HttpResponse, Problem> {
    let account = find(&caller, &gateway, key.into_inner()).await?;
    let provider = gateway.settings.openid.as_ref().ok_or_else(Problem::not_found)?;
    may_reset(&caller, &gateway, &account).await?;
    page(&SubjectPage::of(&caller, &gateway, &account, provider))
}

#[derive(Deserialize)]
pub(in crate::console) struct SubjectFields {
    subject: Option<String>,
    /// There where the link is taken away.
    unlink: Option<String>,
}

#[post("/accounts/{key}/subject")]
pub(in crate::console) async fn post_subject(
    caller: Caller<ManageKeys>,
    gateway: Data<Gateway>,
    key: Path<KeyId>,
    form: Posted<SubjectFields>,
) -> Result<HttpResponse, Problem> {
    let account = find(&caller, &gateway, key.into_inner()).await?;
    let (owner, key, actor) = (caller.owner(), account.key.clone(), caller.actor());
    let own_page = format!("/console/accounts/{key}");
    let SubjectFields { subject, unlink } = form.0;
    if unlink.is_some() {
        gateway.directory.unlink_account(owner, key, actor).await?;
        return Ok(see_other(&own_page));
    }
    let provider = gateway.settings.openid.as_ref().ok_or_else(Problem::not_found)?;
    may_reset(&caller, &gateway, &account).await?;
    let typed = subject.unwrap_or_default();
    let linked = match Subject::of(&provider.issuer, &typed) {
        Ok(subject) => gateway.directory.link_account(owner, key, subject, actor).await,
        Err(fault) => Err(AccessError::Unfit(vec![fault])),
    };
    match linked {
        Ok(_) => Ok(see_other(&own_page)),
        Err(AccessError::Unfit(errors)) => {
            let faults = Faults::of(&errors, &["subject"]);
            let shown =
                SubjectPage { subject: typed, faults, ..SubjectPage::of(&caller, &gateway, &account, provider) };
            page_of(StatusCode::UNPROCESSABLE_ENTITY, &shown)
        }
        Err(error) => Err(error.into()),
    }
}
