//! The clerk for whom the key of a desk acts, by the header `Perkgate-Clerk`.

use std::marker::PhantomData;
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;

use super::auth::Authorized;
use super::problem::{Kind, Problem};
use crate::access::clerks::ClerkRefused;
use crate::access::role::permit::Permit;
use crate::foundation::ids::KeyId;
use crate::gateway::Gateway;
use crate::ledger::entry::Actor;

/// Where a clerk's session stands; nowhere else, as a query lands in logs.
pub const HEADER: &str = "perkgate-clerk";

/// A caller whose role has the permission `P`, and the clerk who acts with its key: where desks have clerks, one of them
/// must have signed in. Reads as the [`Principal`](crate::access::Principal) of the key.
pub struct Acting<P: Permit> {
    caller: Authorized<P>,
    clerk: Option<KeyId>,
    permission: PhantomData<P>,
}

impl<P: Permit> Acting<P> {
    /// The one whom events name: the clerk, else the key.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor { key: Some(self.acting_key().clone()), role: self.caller.role.as_str() }
    }

    /// The id under which events name the one who acts.
    #[must_use]
    pub fn acting_key(&self) -> &KeyId {
        self.clerk.as_ref().unwrap_or(&self.caller.key)
    }

    /// Passes where the key acts at this location, or nothing says where it is.
    ///
    /// # Errors
    /// 403 for the key of a desk at another.
    pub fn require_at(&self, location: Option<&str>) -> Result<(), Problem> {
        match (self.caller.acts_only_at(), location) {
            (Some(own), Some(other)) if own != other => Err(elsewhere(&format!("This is at {other}"))),
            _ => Ok(()),
        }
    }

    /// The same where no location means all of them.
    ///
    /// # Errors
    /// 403 for the key of a desk that has a location, also where none is named.
    pub fn require_all_of(&self, location: Option<&str>) -> Result<(), Problem> {
        match (self.caller.acts_only_at(), location) {
            (Some(own), None) => Err(elsewhere(&format!("This is about every location: name `{own}`"))),
            (_, location) => self.require_at(location),
        }
    }
}

/// The refusal to act at another location than the key's own.
pub(crate) fn elsewhere(what: &str) -> Problem {
    let how = "the key of a desk acts at its own location only. Use a key of that place, or an admin's.";
    Problem::new(Kind::OtherLocation, format!("{what}, and {how}"))
}

impl<P: Permit> Deref for Acting<P> {
    type Target = Authorized<P>;

    fn deref(&self) -> &Authorized<P> {
        &self.caller
    }
}

impl<P: Permit + 'static> FromRequest for Acting<P> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = Authorized::<P>::from_request(req, payload).into_inner();
        let gateway = req.app_data::<Data<Gateway>>().cloned();
        let session = read_header(req);
        Box::pin(async move {
            let (caller, session) = (caller?, session?);
            let gateway =
                gateway.ok_or_else(|| Problem::new(Kind::Internal, "The door was built without its gateway."))?;
            let now = gateway.clock.now();
            let clerk = gateway.directory.acting_clerk(&caller, session.as_deref(), now).await?;
            Ok(Self { caller, clerk, permission: PhantomData })
        })
    }
}

/// The session that was sent; one that stands twice is none.
fn read_header(req: &HttpRequest) -> Result<Option<String>, Problem> {
    let mut values = req.headers().get_all(HEADER);
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text.trim().to_owned())),
        _ => Err(ClerkRefused::InvalidSession.into()),
    }
}

impl From<ClerkRefused> for Problem {
    fn from(refused: ClerkRefused) -> Self {
        match refused {
            ClerkRefused::Missing => Self::new(
                Kind::ClerkRequired,
                "A clerk does this: sign in by `POST /v1/desk/sign-in`, and send the session as the header `Perkgate-Clerk`.",
            ),
            ClerkRefused::InvalidSession => Self::new(
                Kind::ClerkSessionInvalid,
                "The session in the header `Perkgate-Clerk` has ended, or was not made with this key: sign in again.",
            ),
            ClerkRefused::NoDesk => Self::new(
                Kind::ClerkSessionInvalid,
                "Clerks act with the key of a desk, and this is none: leave the header `Perkgate-Clerk` out.",
            ),
            ClerkRefused::Unavailable => {
                Self::new(Kind::Unavailable, "The clerks can't be looked up at the moment: send this again.")
                    .retry_after(1)
            }
        }
    }
}
