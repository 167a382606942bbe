//! One request: its host looked at, its connection pinned, its answer whole within a deadline.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Url, redirect};

use super::address::{AllowedHost, refusal};
use super::body;
use super::in_full;
use super::resolver::{Resolve, System};

/// The most hosts whose connections are kept open.
const MOST_HOSTS: usize = 64;

/// The bounds of requests.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// From the look-up of the name to the last byte.
    pub deadline: Duration,
    /// The most bytes of a body, packed and unpacked.
    pub most_bytes: usize,
    /// The hosts that may be anywhere.
    pub allowed: Vec<AllowedHost>,
    pub user_agent: String,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// Why there is no answer. None of these repeats the URL: it may hold a secret.
#[derive(Debug, thiserror::Error)]
pub enum OutgoingError {
    #[error("the URL can't be read, or names no host")]
    Url,
    #[error("{0} is asked over https only, unless the operator allows that host")]
    Insecure(String),
    #[error("the host {host} is not known: {reason}")]
    Unknown { host: String, reason: String },
    #[error("the host {host} is {address}, {reason}: nothing is sent there unless the operator allows that host")]
    Refused { host: String, address: IpAddr, reason: &'static str },
    #[error("it did not answer in time")]
    Slow,
    #[error("its answer is too large")]
    TooLarge,
    #[error("its answer is packed in a way that can't be unpacked")]
    Encoding,
    #[error("its answer ends before its end")]
    Truncated,
    #[error("it can't be reached: {0}")]
    Unreachable(String),
}

impl OutgoingError {
    /// True if the same request may be answered a moment later.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Truncated)
    }
}

/// A client that was built for addresses.
type Pinned = (Vec<SocketAddr>, Client);

/// Sends requests; cheap to clone.
#[derive(Clone)]
pub struct Outgoing {
    bounds: Arc<Bounds>,
    resolver: Arc<dyn Resolve>,
    /// By host and port.
    pinned: Arc<Mutex<BTreeMap<(String, u16), Pinned>>>,
}

impl Outgoing {
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds: Arc::new(bounds), resolver: Arc::new(System), pinned: Arc::default() }
    }

    /// The same, with names resolved another way.
    #[must_use]
    pub fn resolved_by(&self, resolver: Arc<dyn Resolve>) -> Self {
        Self { bounds: self.bounds.clone(), resolver, pinned: Arc::default() }
    }

    /// Asks for what stands at the URL.
    ///
    /// # Errors
    /// [`OutgoingError`].
    pub async fn get(&self, url: &Url, headers: HeaderMap) -> Result<Answered, OutgoingError> {
        let answer = async {
            let client = self.client(url).await?;
            let sent = client.get(url.clone()).headers(headers).send().await;
            let response = sent.map_err(|error| OutgoingError::Unreachable(in_full(&error.without_url())))?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let body = body::read(response, self.bounds.most_bytes).await?;
            Ok(Answered { status, headers, body })
        };
        tokio::time::timeout(self.bounds.deadline, answer).await.unwrap_or(Err(OutgoingError::Slow))
    }

    /// A client that connects to the addresses that were looked at, and to no others.
    async fn client(&self, url: &Url) -> Result<Client, OutgoingError> {
        let host = url.host_str().ok_or(OutgoingError::Url)?.trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().ok_or(OutgoingError::Url)?;
        let is_allowed = self.bounds.allowed.iter().any(|it| it.is(&host, port));
        match url.scheme() {
            "https" => {}
            "http" if is_allowed => {}
            _ => return Err(OutgoingError::Insecure(host)),
        }
        let found = self.resolver.resolve(&host, port).await;
        let unknown = |reason: String| OutgoingError::Unknown { host: host.clone(), reason };
        let mut addresses = found.map_err(|error| unknown(error.to_string()))?;
        if addresses.is_empty() {
            return Err(unknown("it has no address".to_owned()));
        }
        if !is_allowed {
            for address in addresses.iter().map(SocketAddr::ip) {
                if let Some(reason) = refusal(address) {
                    return Err(OutgoingError::Refused { host, address, reason });
                }
            }
        }
        addresses.sort_unstable();
        let place = (host, port);
        if let Some((_, client)) = self.pinned().get(&place).filter(|(known, _)| *known == addresses) {
            return Ok(client.clone());
        }
        let client = self.build(&place.0, &addresses)?;
        let mut pinned = self.pinned();
        if pinned.len() >= MOST_HOSTS {
            pinned.clear();
        }
        pinned.insert(place, (addresses, client.clone()));
        Ok(client)
    }

    fn pinned(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, u16), Pinned>> {
        self.pinned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn build(&self, host: &str, addresses: &[SocketAddr]) -> Result<Client, OutgoingError> {
        // No proxy: it would resolve the name for itself.
        Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .resolve_to_addrs(host, addresses)
            .connect_timeout(self.bounds.deadline)
            .user_agent(&self.bounds.user_agent)
            .build()
            .map_err(|error| OutgoingError::Unreachable(in_full(&error)))
    }
}
