//! The form that someone typed and that was not taken: its session had ended, another had begun, or the database was away.
//! It is not done, and not lost: it is shown again, and sent when its person says so.
//!
//! Nothing of it is stored: it remains in the page that says so, while its person logs in beside it, and never travels with
//! a password. It is shown to no other person: the token that it came with proves whose page it was typed into. What is
//! secret is never shown again, so a form with a password or a code is typed again; and so is what decides about
//! someone.

use actix_web::dev::ServiceRequest;
use actix_web::{HttpMessage, HttpRequest};
use askama::Template;
use aws_lc_rs::constant_time;
use jiff::Timestamp;
use serde_json::Value;

use super::addresses::own_address;
use super::caller::Visit;
use super::frame::{Frame, Section};
use crate::access::accounts::session::account_part;
use crate::web::extract::read_large;
use crate::web::form::FORM;
use crate::web::params::members;
use crate::web::problem::Problem;

/// The largest form, in bytes: a rule as text, of which encoding may make thrice as many.
pub(super) const MOST_FORM: usize = 160 * 1024;
/// The most that is shown again, in bytes of the form.
const MOST: usize = 128 * 1024;

/// The fields of which nothing is ever shown again.
const SECRET: [&str; 6] = ["password", "again", "old", "code", "pin", "key"];
/// The field that a form is proved by, which another page's is no proof for.
pub(super) const TOKEN: &str = "form_token";
/// Fields that are no typing.
const BY_PAGES: [&str; 3] = ["etag", "once", "base"];

/// A form that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    /// Where it was meant for.
    pub at: String,
    pub fields: Vec<(String, String)>,
    /// The proof of the account in whose page it was typed.
    by: String,
}

/// A form whose token was another session's.
pub(super) struct Stale(pub Kept);

/// A form's fields to send again.
#[derive(Template)]
#[template(path = "kept.html", config = "src/console/askama.toml")]
pub(super) struct KeptPage {
    frame: Frame,
    kept: Kept,
}

impl Kept {
    /// The form that was meant for one of our pages; none where nothing of it can be shown again.
    pub(super) fn of(at: &str, form: &str) -> Option<Self> {
        let at = own_address(at).filter(|at| !at.contains('?') && !decides(at))?;
        if form.len() > MOST {
            return None;
        }
        let mut members = members(form).ok()?;
        let sent = members.remove(TOKEN);
        let by = account_part(sent.as_ref().and_then(Value::as_str).unwrap_or_default())?.to_owned();
        let fields: Option<Vec<(String, String)>> =
            members.into_iter().map(|(name, value)| value.as_str().map(|text| (name, text.to_owned()))).collect();
        let fields = fields?;
        let is_typed = |(name, value): &(String, String)| !BY_PAGES.contains(&name.as_str()) && !value.is_empty();
        let is_secret = fields.iter().any(|(name, _)| SECRET.contains(&name.as_str()));
        if is_secret || !fields.iter().any(is_typed) {
            return None;
        }
        Some(Self { at: at.to_owned(), fields, by })
    }

    /// The token with which it is sent again from a page of no session: one that proves whose it is, and opens nothing.
    pub(super) fn token(&self) -> String {
        format!(".{}", self.by)
    }

    /// Tells whether it was typed by the person of this session.
    pub(super) fn is_of(&self, session: &Visit) -> bool {
        let own = account_part(&session.form_token).unwrap_or_default();
        constant_time::verify_slices_are_equal(own.as_bytes(), self.by.as_bytes()).is_ok()
    }

    /// The fields that its person typed, to look at.
    fn typed(&self) -> impl Iterator<Item = &(String, String)> {
        self.fields.iter().filter(|(name, value)| !BY_PAGES.contains(&name.as_str()) && !value.is_empty())
    }

    /// The page that shows it again, in a session in which it can be sent.
    pub(super) fn page(self, session: &Visit, now: Timestamp) -> KeptPage {
        KeptPage { frame: Frame::of("Send it again", Section::None, session, now), kept: self }
    }
}

/// Tells whether a form of this page does something to a person, or to one's own account: that is decided while one looks at
/// it, and never out of an old page.
fn decides(at: &str) -> bool {
    let is_step = |rest: &str| rest.contains('/');
    at.starts_with("/console/account/")
        || at.starts_with("/console/waiting/")
        || at.strip_prefix("/console/accounts/").is_some_and(is_step)
}

/// Reads the form of someone who is not logged in, if it is one that can be sent again.
///
/// # Errors
/// A body that can't be read.
pub(super) async fn read(req: &mut ServiceRequest) -> Result<Option<Kept>, Problem> {
    let at = req.path().to_owned();
    let is_form = req.headers().get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(FORM.as_bytes()));
    if !is_form {
        return Ok(None);
    }
    let (request, payload): (HttpRequest, _) = (req.request().clone(), req.take_payload());
    let raw = read_large(&request, payload, FORM, MOST_FORM).await?;
    Ok(std::str::from_utf8(&raw).ok().and_then(|form| Kept::of(&at, form)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_kept_and_no_secret_and_no_token_is() {
        let by = "0123456789abcdef".repeat(4);
        let of = |at: &str, form: &str| Kept::of(at, &format!("form_token=a.{by}&{form}"));
        let kept = of("/console/keys/new", "label=A+12%26&role=kiosk&once=x").unwrap();
        assert_eq!((kept.at.as_str(), kept.token()), ("/console/keys/new", format!(".{by}")));
        let typed: Vec<_> = kept.typed().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(typed, [("label", "A 12&"), ("role", "kiosk")]);
        assert!(of("/console/accounts/new", "label=x").is_some());
        let long = format!("label={}", "x".repeat(MOST));
        for (at, form) in [
            ("/console/clerks", "name=Grace&pin=470283"),
            ("/console/account/password", "label=x"),
            ("/console/accounts/key_1/role", "role=admin"),
            ("/console/waiting/cases/chk_1", "why=x"),
            ("/console/logout", "label=x"),
            ("https://evil.example/console", "label=x"),
            ("//evil.example", "label=x"),
            ("/console/keys/new?x=1", "label=x"),
            ("/console/keys/new", "once=x&label="),
            ("/console/keys/new", "label=x&label=y"),
            ("/console/keys/new", &long),
        ] {
            assert_eq!(of(at, form), None, "{at} {form:.40}");
        }
        for form in ["label=x", "form_token=a&label=x", "form_token=a.b&label=x"] {
            assert_eq!(Kept::of("/console/keys/new", form), None, "nobody knows whose it is: {form}");
        }
    }
}
