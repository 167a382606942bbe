//! The screen that asks, by its cookie; and, where it does something, by the token of its page.

use std::future::{Ready, ready};
use std::ops::Deref;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use aws_lc_rs::constant_time;

use crate::access::accounts::SecretToken;
use crate::access::devices::Screen;
use crate::access::{Merchant, Role};
use crate::web::problem::{Kind, Problem};

/// Where the token of a page stands.
const PAGE_TOKEN: &str = "perkgate-page";

/// A browser whose cookie is no screen's: it waits to be confirmed, or was signed off.
#[derive(Clone)]
pub(super) struct Stranger(pub SecretToken);

/// A browser that may be a screen.
pub(super) enum Visitor {
    Screen(Arc<Screen>),
    Stranger(SecretToken),
    Unknown,
}

/// A screen at one of the places where people ask: its page is being loaded.
pub(super) struct AtPlace(Arc<Screen>);

/// The same, by a call of its page.
pub(super) struct FromPage(AtPlace);

/// A screen of any role, by a call of its page.
pub(super) struct AnyPage(pub Arc<Screen>);

impl Deref for AtPlace {
    type Target = Screen;

    fn deref(&self) -> &Screen {
        &self.0
    }
}

impl Deref for FromPage {
    type Target = Screen;

    fn deref(&self) -> &Screen {
        &self.0
    }
}

impl AtPlace {
    /// The screen's merchant.
    pub(super) fn merchant(&self) -> Result<&Merchant, Problem> {
        Ok(self.principal.merchant()?)
    }
}

impl FromPage {
    /// The screen's merchant.
    pub(super) fn merchant(&self) -> Result<&Merchant, Problem> {
        self.0.merchant()
    }
}

fn visitor_of(req: &HttpRequest) -> Visitor {
    let extensions = req.extensions();
    if let Some(screen) = extensions.get::<Arc<Screen>>() {
        return Visitor::Screen(screen.clone());
    }
    extensions.get::<Stranger>().map_or(Visitor::Unknown, |Stranger(secret)| Visitor::Stranger(secret.clone()))
}

/// The screen that asks, of any role.
///
/// # Errors
/// A 401 where the browser is none.
pub(super) fn paired(req: &HttpRequest) -> Result<Arc<Screen>, Problem> {
    match visitor_of(req) {
        Visitor::Screen(screen) => Ok(screen),
        Visitor::Stranger(_) | Visitor::Unknown => Err(Problem::new(
            Kind::MissingKey,
            "This browser is no screen of a lounge, or was signed off: pair it at /pair.",
        )),
    }
}

/// Passes where the request brings the token of this screen's page.
///
/// # Errors
/// A 403 otherwise.
pub(super) fn require_page(req: &HttpRequest, screen: &Screen) -> Result<(), Problem> {
    let sent = req.headers().get(PAGE_TOKEN).map_or(&[][..], |value| value.as_bytes());
    constant_time::verify_slices_are_equal(sent, screen.page_token.as_bytes())
        .map_err(|_| Problem::new(Kind::Forbidden, "This did not come from the page of this screen. Load it again."))
}

fn screen_of(req: &HttpRequest) -> Result<AtPlace, Problem> {
    let screen = paired(req)?;
    // A door stands elsewhere, and has a page of its own.
    if matches!(screen.principal.role, Role::Kiosk | Role::Desk) {
        Ok(AtPlace(screen))
    } else {
        Err(Problem::new(
            Kind::Forbidden,
            "This screen was paired for something else: a kiosk or a desk has this page.",
        ))
    }
}

impl FromRequest for Visitor {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(visitor_of(req)))
    }
}

impl FromRequest for AtPlace {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(screen_of(req))
    }
}

impl FromRequest for FromPage {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(screen_of(req).and_then(|screen| {
            require_page(req, &screen)?;
            Ok(Self(screen))
        }))
    }
}

impl FromRequest for AnyPage {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(paired(req).and_then(|screen| {
            require_page(req, &screen)?;
            Ok(Self(screen))
        }))
    }
}
