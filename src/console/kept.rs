//! The form that someone typed and that was not taken: its session had ended, another had begun, or the database was away.
//! It is not done, and not lost: it is shown again, and sent when its person says so.
//!
//! Nothing of it is stored: it goes with the log-in's own form. What is secret is never shown again, so a form with a
//! password or a code is typed again.

use actix_web::dev::ServiceRequest;
use actix_web::{HttpMessage, HttpRequest};
use askama::Template;
use jiff::Timestamp;

use super::addresses::own_address;
use super::caller::Visit;
use super::frame::{Frame, Section};
use crate::web::extract::read_large;
use crate::web::form::FORM;
use crate::web::params::members;
use crate::web::problem::Problem;

/// The largest form, in bytes: a rule as text, of which encoding may make thrice as many.
pub(super) const MOST_FORM: usize = 160 * 1024;
/// The most that is shown again, in bytes of the form.
const MOST: usize = 128 * 1024;
/// The largest form of a log-in that brings it: its encoding is encoded once more there.
pub(super) const MOST_WITH_LOG_IN: usize = 3 * MOST;

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
    /// As it was sent, but for its token.
    pub form: String,
    pub fields: Vec<(String, String)>,
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
        let at = own_address(at).filter(|at| !at.contains('?') && !at.starts_with("/console/account/"))?;
        if form.len() > MOST {
            return None;
        }
        let mut members = members(form).ok()?;
        members.remove(TOKEN);
        let fields: Option<Vec<(String, String)>> =
            members.into_iter().map(|(name, value)| value.as_str().map(|text| (name, text.to_owned()))).collect();
        let fields = fields?;
        let is_typed = |(name, value): &(String, String)| !BY_PAGES.contains(&name.as_str()) && !value.is_empty();
        let is_secret = fields.iter().any(|(name, _)| SECRET.contains(&name.as_str()));
        if is_secret || !fields.iter().any(is_typed) {
            return None;
        }
        let own: Vec<&str> = form.split('&').filter(|pair| pair.split('=').next() != Some(TOKEN)).collect();
        Some(Self { at: at.to_owned(), form: own.join("&"), fields })
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
        let kept = Kept::of("/console/keys/new", "form_token=a&label=A+12%26&role=kiosk&once=x").unwrap();
        assert_eq!((kept.at.as_str(), kept.form.as_str()), ("/console/keys/new", "label=A+12%26&role=kiosk&once=x"));
        let typed: Vec<_> = kept.typed().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(typed, [("label", "A 12&"), ("role", "kiosk")]);
        assert_eq!(Kept::of(&kept.at, &kept.form), Some(kept.clone()));
        let long = format!("label={}", "x".repeat(MOST));
        for (at, form) in [
            ("/console/clerks", "name=Grace&pin=470283"),
            ("/console/account/password", "label=x"),
            ("/console/logout", "label=x"),
            ("https://evil.example/console", "label=x"),
            ("//evil.example", "label=x"),
            ("/console/keys/new?x=1", "label=x"),
            ("/console/keys/new", "form_token=a&once=x&label="),
            ("/console/keys/new", "label=x&label=y"),
            ("/console/keys/new", &long),
        ] {
            assert_eq!(Kept::of(at, form), None, "{at} {form:.40}");
        }
    }
}
