//! `/console/accounts/new`: makes an account, and shows the link by which its person sets a password.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use askama::Template;
use jiff::Timestamp;
use serde::Deserialize;

use super::{LinkPage, SECTION, up};
use crate::access::accounts::{AccountName, NewAccount, ROLES};
use crate::access::role::permit::ManageKeys;
use crate::access::{AccessError, Role};
use crate::console::caller::Caller;
use crate::console::door::{page, page_of};
use crate::console::form::{Faults, Posted};
use crate::console::frame::Frame;
use crate::console::icon::Icon;
use crate::console::words::role_words;
use crate::gateway::Gateway;
use crate::web::problem::{Problem, sentence};

#[derive(Template)]
#[template(path = "account_new.html", config = "src/console/askama.toml")]
struct InvitePage {
    frame: Frame,
    /// The roles to choose from, and whether each is chosen.
    roles: Vec<(&'static str, &'static str, bool)>,
    is_merchants: bool,
    fields: InviteFields,
    faults: Faults,
}

/// An invitation as it is typed.
#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::console) struct InviteFields {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub label: String,
    #[serde(default)]
    pub role: String,
}

impl InviteFields {
    /// The account that is asked for, with one of these roles.
    ///
    /// # Errors
    /// The faults of the fields.
    pub(in crate::console) fn read(
        &self,
        caller_merchant: Option<crate::foundation::ids::MerchantId>,
        roles: &[Role],
    ) -> Result<NewAccount, Faults> {
        let role = match roles {
            [only] => *only,
            roles => {
                let chosen = self.role.parse::<Role>().ok().filter(|role| roles.contains(role));
                chosen.ok_or_else(|| Faults::at("role", "Choose what the person may do."))?
            }
        };
        let name: AccountName = self.name.parse().map_err(|error: crate::access::accounts::name::BadAccountName| {
            Faults::at("name", sentence(&error.to_string()))
        })?;
        let label = Some(self.label.trim().to_owned()).filter(|label| !label.is_empty());
        Ok(NewAccount { label, ..NewAccount::of(name, role, caller_merchant) })
    }

    /// The faults of an account that was refused; other errors are passed on.
    ///
    /// # Errors
    /// Those that no field can mend.
    pub(in crate::console) fn faults(error: AccessError) -> Result<Faults, Problem> {
        match error {
            AccessError::Unfit(errors) => Ok(Faults::of(&errors, &["name", "label", "role"])),
            AccessError::AccountExists(_) => {
                Ok(Faults::at("name", "There is an account of this name already: names are unique in the gateway."))
            }
            error => Err(error.into()),
        }
    }
}

/// The roles of people that the caller manages for their own.
fn roles_of(caller: &Caller<ManageKeys>) -> Vec<Role> {
    ROLES.into_iter().filter(|role| role.has_merchant() == caller.merchant.is_some()).collect()
}

impl InvitePage {
    fn of(caller: &Caller<ManageKeys>, now: Timestamp, fields: InviteFields, faults: Faults) -> Self {
        let choice = |role: Role| (role.as_str(), role_words(role), role.as_str() == fields.role);
        Self {
            frame: Frame::of("Invite someone", SECTION, caller.session(), now),
            roles: roles_of(caller).into_iter().map(choice).collect(),
            is_merchants: caller.merchant.is_some(),
            fields,
            faults,
        }
    }
}

#[get("/accounts/new")]
pub(in crate::console) async fn get_invite(
    caller: Caller<ManageKeys>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    page(&InvitePage::of(&caller, gateway.clock.now(), InviteFields::default(), Faults::default()))
}

#[post("/accounts/new")]
pub(in crate::console) async fn post_invite(
    caller: Caller<ManageKeys>,
    gateway: Data<Gateway>,
    form: Posted<InviteFields>,
) -> Result<HttpResponse, Problem> {
    let (fields, now) = (form.0, gateway.clock.now());
    let refused =
        |faults| page_of(StatusCode::UNPROCESSABLE_ENTITY, &InvitePage::of(&caller, now, fields.clone(), faults));
    let new = match fields.read(caller.owner(), &roles_of(&caller)) {
        Ok(new) => new,
        Err(faults) => return refused(faults),
    };
    match gateway.directory.create_account(new, caller.actor()).await {
        Ok((account, link)) => {
            let frame = Frame::of("A link for them", SECTION, caller.session(), now);
            page(&LinkPage::of(&gateway, frame, up(), &account, &link))
        }
        Err(error) => refused(InviteFields::faults(error)?),
    }
}
