//! Requests that go out: guarded, bounded, and with no business word in them.
//!
//! - [`client`]: one request within its deadline, to a host that others chose; `address`: those that are never asked, and the
//!   hosts that an operator allows nevertheless; `resolver`: names to addresses; `body`: an answer within its bound
//! - [`trusted`]: requests to hosts that the operator named
//! - `openid`: log-ins by a provider of OpenID Connect, with the cargo feature `oidc`
//!
//! A name is resolved once a request, every address that comes of it is looked at, and the connection goes to one of
//! those: a second look-up could by then stand for another machine. Redirects are not followed, proxies not used.

pub mod address;
mod body;
pub mod client;
#[cfg(feature = "oidc")]
pub mod openid;
pub mod resolver;
pub mod trusted;

pub use address::AllowedHost;
pub use client::{Answered, Bounds, Outgoing, OutgoingError};
pub use resolver::{Resolve, Resolving};

/// reqwest says little itself; the reason stands in its sources.
#[must_use]
pub fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
