//! `/console/keys/{key}/revoke`: ends a key, after a question on a page of its own.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;

use crate::access::ApiKey;
use crate::access::role::permit::ManageKeys;
use crate::console::caller::Caller;
use crate::console::door::{page, see_other};
use crate::console::form::{Nothing, Posted};
use crate::console::frame::{Frame, Section};
use crate::console::words::role_words;
use crate::foundation::ids::KeyId;
use crate::gateway::Gateway;
use crate::web::extract::Path;
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "key_revoke.html", config = "src/console/askama.toml")]
struct RevokePage {
    frame: Frame,
    id: String,
    label: String,
    role: &'static str,
    is_revoked: bool,
    is_own: bool,
}

#[get("/keys/{key}/revoke")]
pub(in crate::console) async fn get_revoke(
    caller: Caller<ManageKeys>,
    gateway: Data<Gateway>,
    id: Path<KeyId>,
) -> Result<HttpResponse, Problem> {
    let key = find(&caller, &gateway, id.into_inner()).await?;
    page(&RevokePage {
        frame: Frame::of("Revoke a key", Section::Keys, caller.session(), gateway.clock.now()),
        is_own: key.id == caller.key,
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
    let key = find(&caller, &gateway, id.into_inner()).await?;
    gateway.directory.revoke_key(caller.owner(), key.id, caller.actor()).await?;
    Ok(see_other(&"/console/keys"))
}

/// The caller's own key with this id, of a role that they manage.
async fn find(caller: &Caller<ManageKeys>, gateway: &Gateway, id: KeyId) -> Result<ApiKey, Problem> {
    let key = gateway.directory.find_key(caller.owner(), id).await?;
    caller.may_manage(key.role)?;
    Ok(key)
}
