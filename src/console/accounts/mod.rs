//! The pages of the people who use the console: `list` has all of them, `invite` makes an account, `show` has one, and
//! `steps` what is done to it; `subject` links it to a provider's word. `clerks` are the people at the desks, who use no console.

pub(super) mod clerks;
pub(super) mod invite;
pub(super) mod list;
pub(super) mod show;
pub(super) mod steps;
pub(super) mod subject;

use askama::Template;
use jiff::tz::TimeZone;

use crate::access::accounts::Account;
use crate::access::accounts::link::NewLink;
use crate::console::frame::{Frame, Section};
use crate::console::icon::Icon;
use crate::console::words::When;
use crate::gateway::Gateway;

/// A link that was made for a person, which is shown this once.
#[derive(Template)]
#[template(path = "account_link.html", config = "src/console/askama.toml")]
pub(super) struct LinkPage {
    pub frame: Frame,
    /// Where the page belongs: its address and name.
    pub above: (String, String),
    pub name: String,
    pub link: String,
    pub until: When,
    /// Keys that the account has made and that work on.
    pub keys_made: usize,
}

impl LinkPage {
    /// The page of a link to a new account, or to one that was reset.
    pub(super) fn of(
        gateway: &Gateway,
        frame: Frame,
        above: (String, String),
        account: &Account,
        link: &NewLink,
    ) -> Self {
        Self {
            frame,
            above,
            name: account.name.to_string(),
            link: link.address(&gateway.issuer_url),
            until: When::of(link.expires_at, &TimeZone::UTC, gateway.clock.now()),
            keys_made: 0,
        }
    }
}

/// How an account stands: the class of its tag, and the word.
fn status(account: &Account) -> (&'static str, &'static str) {
    match (account.suspended_at, account.has_password || account.subject.is_some()) {
        (Some(_), _) => ("wait", "suspended"),
        (None, false) => ("", "invited"),
        (None, true) => ("live", "works"),
    }
}

/// The way up from the page of an account.
fn up() -> (String, String) {
    ("/console/accounts".to_owned(), "Accounts".to_owned())
}

const SECTION: Section = Section::Accounts;
