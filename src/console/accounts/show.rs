//! `/console/accounts/{key}`: one account, where it is logged in, what it made, and what can be done to it.

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use askama::Template;

use super::{SECTION, status};
use crate::access::Role;
use crate::access::accounts::Account;
use crate::access::role::permit::ManageKeys;
use crate::console::caller::Caller;
use crate::console::door::page;
use crate::console::frame::Frame;
use crate::console::icon::Icon;
use crate::console::words::{When, role_words, zone_of};
use crate::foundation::ids::KeyId;
use crate::gateway::Gateway;
use crate::web::extract::Path;
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "account_show.html", config = "src/console/askama.toml")]
struct ShowPage {
    frame: Frame,
    key: String,
    name: String,
    label: String,
    role: &'static str,
    /// The role that it can have instead.
    other: Option<(&'static str, &'static str)>,
    status: (&'static str, &'static str),
    is_suspended: bool,
    has_code: bool,
    /// The issuer and the subject that it is linked to.
    subject: Option<(String, String)>,
    /// The provider's name, where one is set.
    provider: Option<String>,
    is_own: bool,
    since: When,
    /// When each session began, and was last used.
    sessions: Vec<(When, When)>,
    keys: Vec<(String, String, &'static str)>,
}

/// The role that an account of a merchant can have instead of its own.
fn other_role(account: &Account) -> Option<Role> {
    match account.role {
        Role::Admin => Some(Role::Auditor),
        Role::Auditor => Some(Role::Admin),
        Role::Operator | Role::Kiosk | Role::Door | Role::Feeder | Role::Desk | Role::Reader => None,
    }
}

#[get("/accounts/{key}")]
pub(in crate::console) async fn get_account_of(
    caller: Caller<ManageKeys>,
    gateway: Data<Gateway>,
    key: Path<KeyId>,
) -> Result<HttpResponse, Problem> {
    let account = gateway.directory.find_account_of_key(caller.owner(), key.into_inner()).await?;
    let (now, zone) = (gateway.clock.now(), zone_of(caller.zone()));
    let sessions = gateway.directory.list_sessions_of(&account).await?;
    let keys = gateway.directory.list_keys_made_by(&account).await?;
    page(&ShowPage {
        frame: Frame::of(account.label.clone(), SECTION, caller.session(), now),
        status: status(&account),
        is_own: account.key == caller.key,
        is_suspended: account.suspended_at.is_some(),
        other: other_role(&account).map(|role| (role.as_str(), role_words(role))),
        key: account.key.to_string(),
        name: account.name.to_string(),
        role: role_words(account.role),
        has_code: account.has_code,
        subject: account.subject.as_ref().map(|it| (it.issuer().to_owned(), it.name().to_owned())),
        provider: gateway.settings.openid.as_ref().map(|openid| openid.label.clone()),
        since: When::day(account.created_at, &zone),
        label: account.label,
        sessions: sessions
            .into_iter()
            .map(|it| (When::of(it.began_at, &zone, now), When::of(it.used_at, &zone, now)))
            .collect(),
        keys: keys.into_iter().map(|key| (key.id.to_string(), key.label, role_words(key.role))).collect(),
    })
}
