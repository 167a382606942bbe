//! The arrival of a request at a door of pages: over which connection, from which page, from which address.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::dev::ServiceRequest;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest};

use super::transport::{self, Transport};
use crate::gateway::Gateway;
use crate::web::address;
use crate::web::problem::{Kind, Problem};
use crate::web::state::State;

/// A request that pages may answer, with all that every door of pages needs first.
pub(crate) struct Arrival<'a> {
    pub gateway: &'a Data<Gateway>,
    pub state: &'a Data<State>,
    pub transport: Transport,
}

impl<'a> Arrival<'a> {
    /// The arrival of a request over a connection on which pages are answered, and from a page of ours where it does
    /// something.
    ///
    /// # Errors
    /// A 403 that says how it can be reached.
    pub(crate) fn of(req: &'a ServiceRequest) -> Result<Self, Problem> {
        let (Some(gateway), Some(state)) = (req.app_data::<Data<Gateway>>(), req.app_data::<Data<State>>()) else {
            return Err(Problem::new(Kind::Internal, "The door was built without its gateway."));
        };
        let transport = transport::of(req, &gateway.settings.server.trusted_proxies)?;
        req.extensions_mut().insert(transport);
        transport::require_own_page(req, transport)?;
        Ok(Self { gateway, state, transport })
    }
}

/// The way that a request came.
pub(crate) fn transport_of(req: &HttpRequest) -> Transport {
    req.extensions().get::<Transport>().copied().unwrap_or(Transport::Https)
}

/// The address that a request came from, as log-ins and codes are counted by it.
pub(crate) fn client_of(req: &HttpRequest, gateway: &Gateway) -> IpAddr {
    let peer = req.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    address::bucket(address::client(peer, req.headers(), &gateway.settings.server.trusted_proxies))
}
