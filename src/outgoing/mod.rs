//! Requests that go out to addresses which others chose: guarded, bounded, and with no business word in them.
//!
//! - `address`: the addresses that are never asked, and the hosts that an operator allows nevertheless
//! - `resolver`: names to addresses; `client`: one request within its deadline; `body`: its answer within its bound
//!
//! A name is resolved once a request, every address that comes of it is looked at, and the connection goes to one of
//! those: a second look-up could by then stand for another machine. Redirects are not followed, proxies not used.

pub mod address;
mod body;
pub mod client;
pub mod resolver;

pub use address::AllowedHost;
pub use client::{Answered, Bounds, Outgoing, OutgoingError};
pub use resolver::{Resolve, Resolving};
