//! The desk that asks, and the clerk who acts at it. A clerk's session is a cookie that no script reads and that works
//! with this desk only; it ends with the browser's visit, ten minutes after the PIN at the latest.

use std::ops::Deref;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::words::Moment;
use crate::access::clerks::pin::Pin;
use crate::access::clerks::session::SessionText;
use crate::access::clerks::{ClerkRefused, SignInError};
use crate::access::devices::Screen;
use crate::access::{Merchant, Role};
use crate::foundation::ids::KeyId;
use crate::gateway::Gateway;
use crate::ledger::entry::Actor;
use crate::screens::caller::Visitor;
use crate::web::clerk::elsewhere;
use crate::web::page::arrival::transport_of;
use crate::web::page::cookie::TokenCookie;
use crate::web::page::transport::Transport;
use crate::web::problem::{Kind, Problem};

/// The cookie of a clerk's session; it is as long as the session.
const CLERK: TokenCookie =
    TokenCookie { secure: "__Host-clerk", loopback: "perkgate-clerk", attributes: "; SameSite=Strict; Max-Age=600" };

/// A screen of role `desk`.
#[derive(Clone)]
pub(super) struct AtDesk {
    screen: Arc<Screen>,
    session: Option<String>,
    transport: Transport,
}

/// The one whom events name: the clerk, or the desk of a merchant without clerks.
pub(super) struct Acting {
    pub key: KeyId,
    pub role: &'static str,
}

impl Acting {
    pub(super) fn actor(&self) -> Actor {
        Actor { key: Some(self.key.clone()), role: self.role }
    }
}

impl Deref for AtDesk {
    type Target = Screen;

    fn deref(&self) -> &Screen {
        &self.screen
    }
}

impl AtDesk {
    pub(super) fn of(req: &HttpRequest) -> Result<Self, Problem> {
        match Visitor::from_request(req, &mut Payload::None).into_inner()? {
            Visitor::Screen(screen) if screen.principal.role == Role::Desk => {
                let transport = transport_of(req);
                let session = CLERK.read_text(req.headers(), transport).map(str::to_owned);
                Ok(Self { screen, session, transport })
            }
            Visitor::Screen(_) => Err(Problem::new(
                Kind::Forbidden,
                "This screen was paired for something else: only a desk has this page.",
            )),
            Visitor::Stranger(_) | Visitor::Unknown => {
                Err(Problem::new(Kind::MissingKey, "This browser is no desk, or was signed off: pair it at /pair."))
            }
        }
    }

    /// The desk's merchant.
    pub(super) fn merchant(&self) -> Result<&Merchant, Problem> {
        Ok(self.principal.merchant()?)
    }

    /// The clerk who is signed in; none where none is, or nobody can say.
    pub(super) async fn clerk(&self, gateway: &Gateway) -> Option<KeyId> {
        let session = self.session.as_deref()?;
        gateway.directory.acting_clerk(&self.principal, Some(session), gateway.clock.now()).await.ok().flatten()
    }

    /// The one who acts.
    ///
    /// # Errors
    /// 403 where a clerk must sign in, or has to again.
    pub(super) async fn acting(&self, gateway: &Gateway) -> Result<Acting, Problem> {
        let (caller, now) = (&self.principal, gateway.clock.now());
        let clerk = gateway.directory.acting_clerk(caller, self.session.as_deref(), now).await.map_err(say_refused)?;
        Ok(Acting { key: clerk.unwrap_or_else(|| caller.key.clone()), role: caller.role.as_str() })
    }

    /// Signs a clerk in; what follows of this request is done by them.
    ///
    /// # Errors
    /// 403 for a wrong PIN, 429 where too many were; and the database's.
    pub(super) async fn sign_in(
        &mut self,
        gateway: &Gateway,
        clerk: &str,
        pin: &str,
        zone: &TimeZone,
    ) -> Result<SessionText, Problem> {
        let unknown = || Problem::new(Kind::WrongPin, "Nobody of this name works here any more: choose another one.");
        let clerk: KeyId = clerk.parse().map_err(|_| unknown())?;
        let merchant = &self.merchant()?.id;
        let signed_in = gateway.directory.sign_in(merchant, &self.principal.key, clerk, Pin::from(pin)).await;
        let signed_in = signed_in.map_err(|error| match error {
            SignInError::UnknownClerk => unknown(),
            SignInError::WrongPin => Problem::new(Kind::WrongPin, "This is not the clerk’s PIN."),
            SignInError::Locked { until } => say_locked(until, zone, gateway.clock.now()),
            SignInError::Database(error) => error.into(),
        })?;
        self.session = Some(signed_in.session.expose().to_owned());
        Ok(signed_in.session)
    }

    /// Gives the browser a session; without one, takes it away.
    pub(super) fn keep(&self, session: Option<&SessionText>, answer: &mut HttpResponse) {
        let cookie = CLERK.write_text(session.map(SessionText::expose), self.transport);
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }

    /// The only location at which it acts.
    pub(super) fn place(&self) -> Option<String> {
        self.principal.acts_only_at().map(str::to_owned)
    }

    /// Passes where the desk acts at this location, or has none of its own; no location means all of them.
    ///
    /// # Errors
    /// 403 for another location.
    pub(super) fn require_all_of(&self, location: Option<&str>) -> Result<(), Problem> {
        match self.principal.acts_only_at() {
            Some(own) if location != Some(own) => Err(elsewhere("This is about another place")),
            _ => Ok(()),
        }
    }
}

fn say_refused(refused: ClerkRefused) -> Problem {
    match refused {
        ClerkRefused::Missing => Problem::new(Kind::ClerkRequired, "A clerk does this: sign in with your PIN."),
        ClerkRefused::InvalidSession | ClerkRefused::NoDesk => {
            Problem::new(Kind::ClerkSessionInvalid, "Your ten minutes are over: sign in with your PIN again.")
        }
        ClerkRefused::Unavailable => refused.into(),
    }
}

fn say_locked(until: Timestamp, zone: &TimeZone, now: Timestamp) -> Problem {
    let wait = until.duration_since(now).as_secs().max(0).unsigned_abs().saturating_add(1);
    let at = Moment::of(until, zone, now).text;
    let detail = format!("Too many PINs were wrong. The next one is taken at {at}, or an admin unlocks the clerk.");
    Problem::new(Kind::PinLocked, detail).retry_after(wait)
}
