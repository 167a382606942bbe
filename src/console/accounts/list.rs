//! `/console/accounts`: the people of a merchant, or of the operator.

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use askama::Template;

use super::{SECTION, status};
use crate::access::accounts::Account;
use crate::access::role::permit::ManageKeys;
use crate::console::caller::Caller;
use crate::console::door::page;
use crate::console::frame::Frame;
use crate::console::words::{When, role_words, zone_of};
use crate::gateway::Gateway;
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "accounts.html", config = "src/console/askama.toml")]
struct AccountsPage {
    frame: Frame,
    accounts: Vec<AccountRow>,
    has_clerks: bool,
}

struct AccountRow {
    key: String,
    name: String,
    label: String,
    role: &'static str,
    status: (&'static str, &'static str),
    has_code: bool,
    since: When,
    is_own: bool,
}

#[get("/accounts")]
pub(in crate::console) async fn get_accounts(
    caller: Caller<ManageKeys>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Problem> {
    let zone = zone_of(caller.zone());
    let row = |account: Account| AccountRow {
        status: status(&account),
        is_own: account.key == caller.key,
        key: account.key.to_string(),
        name: account.name.to_string(),
        label: account.label,
        role: role_words(account.role),
        has_code: account.has_code,
        since: When::day(account.created_at, &zone),
    };
    let accounts = gateway.directory.list_accounts(caller.owner()).await?;
    let frame = Frame::of("Accounts", SECTION, caller.session(), gateway.clock.now());
    let has_clerks = caller.merchant.is_some();
    page(&AccountsPage { frame, accounts: accounts.into_iter().map(row).collect(), has_clerks })
}
