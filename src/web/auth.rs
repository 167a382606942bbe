//! The caller: the key of the `Authorization` header, its rate, and what its role may do.

use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest};

use super::address;
use super::cors::require_origin;
use super::problem::{Kind, Problem};
use super::rate_limit::Allowance;
use super::state::State;
use crate::access::role::permit::Permit;
use crate::access::{Principal, Refused};
use crate::gateway::Gateway;

/// The middleware of everything that needs a key. It stands before routing and before the body is
/// read, so a route that forgets to ask is still closed, and a stranger costs no parsing.
///
/// # Errors
/// The errors of the rest; its own refusals are answers.
pub async fn require_key(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let admitted = match bearer(req.headers()) {
        Ok(secret) => admit(req.request(), secret).await,
        Err(refused) => Err(refused.into()),
    };
    match admitted {
        Ok(allowance) => {
            let mut response = next.call(req).await?.map_into_boxed_body();
            if let Some(allowance) = allowance {
                allowance.write(response.headers_mut());
            }
            Ok(response)
        }
        Err(problem) => Ok(req.error_response(problem)),
    }
}

/// Lets the key into the request, if it is known and has not asked too often: it is the caller from then on.
///
/// # Errors
/// [`Problem`].
pub async fn admit(req: &HttpRequest, secret: &str) -> Result<Option<Allowance>, Problem> {
    let (Some(gateway), Some(state)) = (req.app_data::<Data<Gateway>>(), req.app_data::<Data<State>>()) else {
        return Err(Problem::new(Kind::Internal, "The door was built without its gateway."));
    };
    let now = gateway.clock.now();
    let principal = match gateway.directory.recognize(secret, now) {
        Ok(principal) => principal,
        Err(refused) => {
            // Charged before the database is asked: an address that has failed too often can't
            // make us ask for its next guess.
            let peer = req.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
            let client = address::client(peer, req.headers(), &gateway.settings.server.trusted_proxies);
            state.limits.take_failure(client)?;
            if refused != Refused::Unknown {
                return Err(refused.into());
            }
            gateway.directory.authenticate(secret, now).await?
        }
    };
    let allowance = state.limits.take(&principal.key)?;
    let readable = require_origin(req.headers(), gateway, &principal)?;
    tracing::Span::current().record("principal", principal.key.as_str());
    req.extensions_mut().insert(principal);
    req.extensions_mut().insert(readable);
    Ok(allowance)
}

/// The key, from the one place where it may stand (RFC 6750 §2.1): a query lands in logs.
fn bearer(headers: &HeaderMap) -> Result<&str, Refused> {
    let mut values = headers.get_all(header::AUTHORIZATION);
    let value = values.next().ok_or(Refused::Missing)?;
    if values.next().is_some() {
        return Err(Refused::Malformed);
    }
    let (scheme, secret) = value.to_str().map_err(|_| Refused::Malformed)?.split_once(' ').ok_or(Refused::Missing)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(secret.trim()) } else { Err(Refused::Missing) }
}

/// A caller whose role has the permission `P`; reads as a [`Principal`]. As the first argument of
/// a handler it refuses before the later ones are looked at.
pub struct Authorized<P: Permit> {
    principal: Arc<Principal>,
    permission: PhantomData<P>,
}

impl<P: Permit> Deref for Authorized<P> {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.principal
    }
}

impl<P: Permit + 'static> FromRequest for Authorized<P> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let principal = req.extensions().get::<Arc<Principal>>().cloned();
        ready(principal.ok_or_else(|| Refused::Missing.into()).and_then(|principal| {
            principal.may(P::PERMISSION)?;
            Ok(Self { principal, permission: PhantomData })
        }))
    }
}
