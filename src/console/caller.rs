//! The person who asks, by their session.

use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use crate::access::Principal;
use crate::access::accounts::Session;
use crate::access::role::permit::Permit;
use crate::foundation::ids::MerchantId;
use crate::web::problem::{Kind, Problem};

/// Numbers of what waits for a person, by its kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub referrals: usize,
    pub contests: usize,
    pub versions: usize,
    pub requests: usize,
    /// Feeds and runs of scores.
    pub held: usize,
}

impl Waiting {
    pub(super) fn total(self) -> usize {
        self.referrals + self.contests + self.versions + self.requests + self.held
    }
}

/// A session, and what every page of it shows.
pub(super) struct Visit {
    session: Session,
    /// Numbers of what waits for a person; none for roles that decide nothing.
    pub waiting: Option<Waiting>,
}

impl Visit {
    pub(super) fn new(session: Session, waiting: Option<Waiting>) -> Self {
        Self { session, waiting }
    }
}

impl Deref for Visit {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

/// Someone who is logged in and whose role has the permission `P`. As the first argument of a handler it refuses before the
/// later ones are looked at.
pub(super) struct Caller<P: Permit> {
    session: Arc<Visit>,
    permission: PhantomData<P>,
}

impl<P: Permit> Caller<P> {
    pub(super) fn session(&self) -> &Arc<Visit> {
        &self.session
    }

    /// The owner of what a caller manages: their merchant, or the operator.
    pub(super) fn owner(&self) -> Option<MerchantId> {
        self.merchant.as_ref().map(|merchant| merchant.id.clone())
    }

    /// The zone in whose times a page tells the caller of what is theirs.
    pub(super) fn zone(&self) -> &str {
        self.merchant.as_ref().map_or("UTC", |merchant| &merchant.time_zone)
    }
}

impl<P: Permit> Deref for Caller<P> {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.session.principal
    }
}

/// The session of a request, if it has one.
pub(super) fn session_of(req: &HttpRequest) -> Option<Arc<Visit>> {
    req.extensions().get::<Arc<Visit>>().cloned()
}

/// The refusal of someone who is not logged in. The door makes a way to the log-in of it.
pub(super) fn log_in_first() -> Problem {
    Problem::new(Kind::MissingKey, "You are not logged in, or your session has ended.")
}

impl<P: Permit + 'static> FromRequest for Caller<P> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(session_of(req).ok_or_else(log_in_first).and_then(|session| {
            let role = session.principal.role;
            if !role.may(P::PERMISSION) {
                return Err(Problem::new(
                    Kind::Forbidden,
                    format!("Your account's role is {role}, which has not this page."),
                ));
            }
            Ok(Self { session, permission: PhantomData })
        }))
    }
}

/// Someone's session, or none: for pages that need nobody to be logged in.
pub(super) struct Visitor(pub Option<Arc<Visit>>);

impl FromRequest for Visitor {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(session_of(req))))
    }
}
