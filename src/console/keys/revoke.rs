//! `/console/keys/{key}/revoke`: ends a key, after a question on a page of its own. The key that a person acts under ends
//! with their account, on its page; nobody ends their own.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;

use crate::access::role::permit::ManageKeys;
use crate::access::{AccessError, ApiKey};
use crate::console::caller::Caller;
use crate::console::door::{page, see_other};
use crate::console::form::{Nothing, Posted};
use crate::console::frame::{Frame, Section};
use crate::console::words::role_words;
use crate::foundation::ids::KeyId;
use crate::gateway::Gateway;
use crate::web::extract::Path;
use crate::web::problem::{Kind, Problem};

#[derive(Template)]
#[template(path = "key_revoke.html", config = "src/console/askama.toml")]
struct RevokePage {
    frame: Frame,
    id: String,
    label: String,
    role: &'static str,
    is_revoked: bool,
}

#[get("/keys/{key}/revoke")]
pub(in crate::console) async fn get_revoke(
    caller: Caller<ManageKeys>,
    gateway: Data<Gateway>,
    id: Path<KeyId>,
) -> Result<HttpResponse, Problem> {
    let key = match find(&caller, &gateway, id.into_inner()).await? {
        Found::Machines(key) => key,
        Found::Persons(key) => return Ok(see_other(&end_of(&key))),
    };
    page(&RevokePage {
        frame: Frame::of("Revoke a key", Section::Keys, caller.session(), gateway.clock.now()),
        id: key.id.to_string(),
        label: key.label,
        role: role_words(key.role),
        is_revoked: key.revoked_at.is_some(),
    })
}

#[post("/keys/{key}/revoke")]
pub(in crate::console) async fn post_revoke(
    caller: Caller<ManageKeys>,
    gateway: Data<Gateway>,
    id: Path<KeyId>,
    _form: Posted<Nothing>,
) -> Result<HttpResponse, Problem> {
    match find(&caller, &gateway, id.into_inner()).await? {
        Found::Machines(key) => {
            gateway.directory.revoke_key(caller.owner(), key.id, caller.actor()).await?;
            Ok(see_other(&"/console/keys"))
        }
        // It asks first, with what ends beside the key.
        Found::Persons(key) => Ok(see_other(&end_of(&key))),
    }
}

/// A key, by who acts under it.
enum Found {
    Machines(Box<ApiKey>),
    Persons(KeyId),
}

/// The page on which the account of this key ends.
pub(super) fn end_of(account: &KeyId) -> String {
    format!("/console/accounts/{account}/end")
}

/// A key of the caller's owner with this id, of a role that they manage, and not the one that they act under.
async fn find(caller: &Caller<ManageKeys>, gateway: &Gateway, id: KeyId) -> Result<Found, Problem> {
    let key = gateway.directory.find_key(caller.owner(), id).await?;
    caller.may_manage(key.role)?;
    if key.id == caller.key {
        let detail = "You act under this key: with it your own account would be over. Let someone else end that.";
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    match gateway.directory.find_account_of_key(caller.owner(), key.id.clone()).await {
        Ok(account) => Ok(Found::Persons(account.key)),
        Err(AccessError::UnknownAccount) => Ok(Found::Machines(Box::new(key))),
        Err(error) => Err(error.into()),
    }
}
