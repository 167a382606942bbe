//! The forms of a desk's pages: each brings the token of its page, and, where it makes something, the attempt that it is,
//! so that sending it again makes nothing twice. What is not done comes back with all that was typed, the PIN aside.

use std::collections::BTreeMap;
use std::future::Future;

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use askama::Template;
use aws_lc_rs::{constant_time, digest};
use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use super::caller::{Acting, AtDesk};
use super::frame::Frame;
use crate::access::clerks::session::SessionText;
use crate::foundation::escape;
use crate::gateway::Gateway;
use crate::web::extract::{IdempotencyKey, read_large};
use crate::web::form::FORM;
use crate::web::once::{Created, once};
use crate::web::page::icon::Icon;
use crate::web::page::{HTML, see_other};
use crate::web::params::{NUL, fit, members};
use crate::web::problem::{Kind, Problem};

/// The fields of no act: they are not kept, and make no other request of it.
const TOKEN: &str = "page_token";
const CLERK: &str = "clerk";
const PIN: &str = "pin";
/// The field by which sending it again is known.
const ATTEMPT: &str = "attempt";

/// The fields that are typed, with their labels: they can be mended where something doesn't fit.
const TYPED: [(&str, &str); 8] = [
    ("reference", "Reference of the payment"),
    ("amount", "Price"),
    ("currency", "Currency"),
    ("note", "In your words"),
    ("delta", "How many more, or with a minus fewer"),
    ("why", "Why"),
    ("until", "It opens again"),
    ("message", "What guests read"),
];

/// A form that was sent from a page of this desk.
pub(super) struct DeskForm {
    pub desk: AtDesk,
    fields: BTreeMap<String, String>,
    action: String,
    /// The session of a clerk who signed in with it.
    session: Option<SessionText>,
}

/// A desk that only looks.
pub(super) struct Looking(pub AtDesk);

impl FromRequest for Looking {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(AtDesk::of(req).map(Self))
    }
}

impl FromRequest for DeskForm {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, payload) = (req.clone(), payload.take());
        Box::pin(async move {
            let desk = AtDesk::of(&req)?;
            let raw = read_large(&req, payload, FORM, 0).await?;
            let text = std::str::from_utf8(&raw).map_err(|_| Problem::new(Kind::BadRequest, "A form is UTF-8."))?;
            let mut fields = members(text)?;
            let sent = fields.remove(TOKEN);
            let sent = sent.as_ref().and_then(Value::as_str).unwrap_or_default();
            if constant_time::verify_slices_are_equal(sent.as_bytes(), desk.page_token.as_bytes()).is_err() {
                return Err(Problem::new(
                    Kind::Forbidden,
                    "This did not come from a page of this desk, and nothing was done: load the page again.",
                ));
            }
            let fields: BTreeMap<String, String> = fit(fields)?;
            if fields.iter().any(|(name, value)| name.contains('\0') || value.contains('\0')) {
                return Err(Problem::new(Kind::BadRequest, NUL));
            }
            Ok(Self { desk, fields, action: req.path().to_owned(), session: None })
        })
    }
}

impl DeskForm {
    /// The text of a field, without the space around it; empty where it was not sent.
    pub(super) fn text(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |text| text.trim())
    }

    /// The same where empty means left out.
    pub(super) fn optional(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// A text as it was typed, the space around it too.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// The one who acts: who is signed in, or signs in with this form.
    pub(super) async fn acting(&mut self, gateway: &Gateway) -> Result<Acting, Problem> {
        self.sign_in(gateway).await?;
        self.desk.acting(gateway).await
    }

    /// Signs the clerk in whose PIN the form brings, if it brings one.
    pub(super) async fn sign_in(&mut self, gateway: &Gateway) -> Result<(), Problem> {
        let Some(pin) = self.optional(PIN).map(str::to_owned) else { return Ok(()) };
        let clerk = self.text(CLERK).to_owned();
        let zone = Frame::zone_of(gateway, &self.desk).await;
        self.session = Some(self.desk.sign_in(gateway, &clerk, &pin, &zone).await?);
        Ok(())
    }

    /// The attempt that this is.
    pub(super) fn attempt(&self) -> Result<IdempotencyKey, Problem> {
        IdempotencyKey::of_text(self.text(ATTEMPT))
    }

    /// SHA-256 of what is asked.
    pub(super) fn hash(&self) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        for (name, value) in self.fields.iter().filter(|(name, _)| !matches!(name.as_str(), CLERK | PIN | ATTEMPT)) {
            for part in [name, value] {
                context.update(&part.len().to_be_bytes());
                context.update(part.as_bytes());
            }
        }
        let mut hash = [0; 32];
        for (to, from) in hash.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        hash
    }

    /// Does the work once for the form's attempt; returns the address of what it led to, the first time and every time
    /// after.
    pub(super) async fn once(
        &self,
        gateway: &Gateway,
        work: impl Future<Output = Result<String, Problem>>,
    ) -> Result<String, Problem> {
        let made = async { Created::new(Some(work.await?), &()) };
        let operation = format!("screens{}", self.action);
        let answer = once(gateway, &self.desk.principal, operation, self.attempt()?, self.hash(), made).await?;
        let address = answer.headers().get(header::LOCATION).and_then(|address| address.to_str().ok());
        Ok(address.unwrap_or("/desk").to_owned())
    }

    /// The answer to the form: the page that it led to, or the form again with what stands against it.
    pub(super) async fn conclude(
        &self,
        gateway: &Gateway,
        done: Result<String, Problem>,
    ) -> Result<HttpResponse, Problem> {
        let mut answer = match done {
            Ok(address) => see_other(&address),
            Err(problem) => {
                let frame = Frame::load(gateway, &self.desk).await;
                refuse(frame, problem, Some(self))?
            }
        };
        if let Some(session) = &self.session {
            self.desk.keep(Some(session), &mut answer);
        }
        Ok(answer)
    }
}

/// A field that can be mended.
struct TypedView {
    name: &'static str,
    label: &'static str,
    value: String,
}

/// A refusal, and what was typed.
#[derive(Template)]
#[template(path = "desk_refused.html", config = "src/screens/askama.toml")]
struct RefusedPage {
    frame: Frame,
    title: &'static str,
    detail: String,
    errors: Vec<String>,
    /// Where the form goes again; none where that would be of no use.
    action: Option<String>,
    hidden: Vec<(String, String)>,
    typed: Vec<TypedView>,
    asks_pin: bool,
    clerk: String,
    back: String,
}

/// The kinds of refusals after which the very same can be sent again.
pub(super) fn may_pass(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Unavailable
            | Kind::InDoubt
            | Kind::RateLimited
            | Kind::InProgress
            | Kind::RequestTimeout
            | Kind::RuleNewer
    )
}

/// A page that says what was not done, in the place of the problem itself, which is logged as every other.
pub(super) fn refuse(frame: Frame, problem: Problem, form: Option<&DeskForm>) -> Result<HttpResponse, Problem> {
    let kind = problem.kind;
    let asks_pin = matches!(kind, Kind::ClerkRequired | Kind::ClerkSessionInvalid | Kind::WrongPin);
    let doesnt_fit = kind == Kind::InvalidRequest;
    let title = match kind {
        Kind::WrongPin => "This PIN is wrong",
        Kind::PinLocked => "This clerk has to wait",
        Kind::ClerkRequired | Kind::ClerkSessionInvalid => "Sign in first",
        Kind::OverrideExhausted => "No more can be let in by hand",
        Kind::PlaceClosed => "The place is closed",
        Kind::InDoubt => "Nobody knows yet whether that was done",
        Kind::Unavailable => "The gateway can’t do this right now",
        Kind::InvalidRequest => "Something doesn’t fit",
        Kind::NotFound => "There is nothing here",
        Kind::OtherLocation => "Not from this desk",
        other => other.title(),
    };
    let detail = match kind {
        Kind::InDoubt => "The database went away meanwhile. Send it again: it is done once at most.".to_owned(),
        Kind::Unavailable => "Nothing was done. What you typed is kept here: send it again in a moment.".to_owned(),
        Kind::NotFound => "Nothing of this desk is at this address.".to_owned(),
        Kind::OtherLocation => "This is about more than this desk’s own place: an admin can do it.".to_owned(),
        Kind::PreconditionFailed => "It has changed since this page was made: go back, and look again.".to_owned(),
        Kind::AlreadyOverridden => "They were let in before: go back, and see the grant.".to_owned(),
        Kind::IdempotencyKeyReused => "This page has done something else before: go back, and do it there.".to_owned(),
        _ => escape::line(&problem.detail).into_owned(),
    };
    let again = form.filter(|_| asks_pin || doesnt_fit || may_pass(kind));
    let is_typed = |name: &str| TYPED.iter().any(|(typed, _)| *typed == name);
    let kept = |form: &DeskForm| {
        let kept = form.fields.iter().filter(|(name, _)| !matches!(name.as_str(), CLERK | PIN));
        kept.filter(|(name, _)| !(doesnt_fit && is_typed(name)))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    let typed = TYPED.iter().filter_map(|(name, label)| {
        let value = again.filter(|_| doesnt_fit)?.fields.get(*name)?.clone();
        Some(TypedView { name, label, value })
    });
    let errors = problem.errors.iter().filter(|_| problem.errors.len() > 1);
    let page = RefusedPage {
        title,
        detail,
        errors: errors.map(|error| escape::line(&error.detail).into_owned()).collect(),
        action: again.map(|form| form.action.clone()),
        hidden: again.map(kept).unwrap_or_default(),
        typed: typed.collect(),
        asks_pin,
        clerk: form.map(|form| form.text(CLERK).to_owned()).unwrap_or_default(),
        back: form.map_or("/desk", |form| back_of(&form.action)).to_owned(),
        frame,
    };
    as_refusal(problem, &page)
}

/// A page as the answer of a problem.
pub(super) fn as_refusal(problem: Problem, page: &impl Template) -> Result<HttpResponse, Problem> {
    let text = page.render().map_err(|error| Problem::internal(&error))?;
    let mut answer = HttpResponse::from_error(problem).set_body(BoxBody::new(text));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(HTML));
    Ok(answer)
}

/// The page from which a form was sent: the check's, or the first one.
fn back_of(action: &str) -> &str {
    let is_of_check = action.starts_with("/desk/checks/");
    action.rsplit_once('/').filter(|_| is_of_check).map_or("/desk", |(page, _)| page)
}
