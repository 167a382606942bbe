//! `/console/accounts/{key}/{step}`: what is done to an account. What its person would feel at once asks first, on a page
//! of its own. Nobody does any of it to themselves: so nobody can lock a merchant's last admin out by mistake.

use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use serde::Deserialize;

use super::{LinkPage, SECTION, up};
use crate::access::Role;
use crate::access::accounts::Account;
use crate::access::role::permit::ManageKeys;
use crate::console::caller::Caller;
use crate::console::door::{page, see_other};
use crate::console::form::Posted;
use crate::console::frame::Frame;
use crate::foundation::ids::KeyId;
use crate::gateway::Gateway;
use crate::web::extract::Path;
use crate::web::problem::{Kind, Problem};

/// A change of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::console) enum Step {
    Reset,
    Sessions,
    Role,
    Suspend,
    Restore,
    End,
}

#[derive(Template)]
#[template(path = "account_step.html", config = "src/console/askama.toml")]
struct QuestionPage {
    frame: Frame,
    key: String,
    label: String,
    is_end: bool,
}

pub(super) async fn find(caller: &Caller<ManageKeys>, gateway: &Gateway, key: KeyId) -> Result<Account, Problem> {
    let account = gateway.directory.find_account_of_key(caller.owner(), key).await?;
    if account.key == caller.key {
        return Err(Problem::new(
            Kind::Forbidden,
            "This is your own account: change it on its own page, and let someone else end it.",
        ));
    }
    Ok(account)
}

/// With four eyes a reset would make a second person of the one who does it: they open the link, and approve as another.
/// Those whom they have invited themselves count as them anyway.
pub(super) async fn may_reset(
    caller: &Caller<ManageKeys>,
    gateway: &Gateway,
    account: &Account,
) -> Result<(), Problem> {
    let Some(merchant) = caller.owner() else { return Ok(()) };
    if !gateway.catalog.four_eyes(&merchant).await?.required {
        return Ok(());
    }
    let key = gateway.directory.find_key(Some(merchant), account.key.clone()).await?;
    if key.created_by.as_ref() == Some(&caller.key) {
        return Ok(());
    }
    Err(Problem::new(
        Kind::Forbidden,
        "Four eyes are required, and who resets or links an account can act as its person. Your operator does it: \
         `perkgate account reset`, `perkgate account link`.",
    ))
}

#[get("/accounts/{key}/{step}")]
pub(in crate::console) async fn get_account_step(
    caller: Caller<ManageKeys>,
    gateway: Data<Gateway>,
    path: Path<(KeyId, Step)>,
) -> Result<HttpResponse, Problem> {
    let (key, step) = path.into_inner();
    let account = find(&caller, &gateway, key).await?;
    let (is_end, title) = match step {
        Step::End => (true, "End an account"),
        Step::Reset => {
            may_reset(&caller, &gateway, &account).await?;
            (false, "Reset an account")
        }
        // They are buttons of the account's own page.
        Step::Sessions | Step::Role | Step::Suspend | Step::Restore => return Err(Problem::not_found()),
    };
    page(&QuestionPage {
        frame: Frame::of(title, SECTION, caller.session(), gateway.clock.now()),
        key: account.key.to_string(),
        label: account.label,
        is_end,
    })
}

#[derive(Deserialize)]
pub(in crate::console) struct StepFields {
    role: Option<Role>,
}

#[post("/accounts/{key}/{step}")]
pub(in crate::console) async fn post_account_step(
    caller: Caller<ManageKeys>,
    gateway: Data<Gateway>,
    path: Path<(KeyId, Step)>,
    form: Posted<StepFields>,
) -> Result<HttpResponse, Problem> {
    let (key, step) = path.into_inner();
    let account = find(&caller, &gateway, key.clone()).await?;
    let (owner, actor, directory) = (caller.owner(), caller.actor(), &gateway.directory);
    let own_page = format!("/console/accounts/{key}");
    match step {
        Step::Reset => {
            may_reset(&caller, &gateway, &account).await?;
            let keys_made = directory.list_keys_made_by(&account).await?.len();
            let (account, link) = directory.reset_account(owner, account.name, actor).await?;
            let frame = Frame::of("A link for them", SECTION, caller.session(), gateway.clock.now());
            return page(&LinkPage { keys_made, ..LinkPage::of(&gateway, frame, up(), &account, &link) });
        }
        Step::Sessions => directory.end_sessions_of(owner, key).await?,
        Step::Role => {
            let merchant = owner.ok_or_else(Problem::not_found)?;
            let role = form.0.role.ok_or_else(|| Problem::new(Kind::BadRequest, "This form was not complete."))?;
            drop(directory.set_account_role(merchant, key, role, actor).await?);
        }
        Step::Suspend => drop(directory.suspend_account(owner, key, actor).await?),
        Step::Restore => drop(directory.restore_account(owner, key, actor).await?),
        Step::End => {
            directory.disable_account(owner, account.name, actor).await?;
            return Ok(see_other(&"/console/accounts"));
        }
    }
    Ok(see_other(&own_page))
}
