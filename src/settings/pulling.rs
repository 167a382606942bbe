//! The section of what is fetched from elsewhere.

use std::path::PathBuf;
use std::time::Duration;

use super::sources::Reader;
use super::{parse, table};
use crate::outgoing::{AllowedHost, Bounds};

/// The largest answer that is read.
const MOST_BYTES: usize = 4 << 20;

const LONGEST_CONTACT: usize = 200;

/// How scores and signals are fetched.
#[derive(Debug, Clone)]
pub struct Pulling {
    pub timeout: Duration,
    pub allowed_hosts: Vec<AllowedHost>,
    pub secrets_dir: Option<PathBuf>,
    pub contact: Option<String>,
}

impl Pulling {
    pub(super) fn read(from: &mut Reader) -> Option<Self> {
        let timeout = from.get(&table::PULL_TIMEOUT, |text| parse::duration(text, Duration::from_mins(5)));
        let allowed_hosts = from.get(&table::PULL_ALLOWED_HOSTS, hosts).unwrap_or_default();
        let secrets_dir = from.get(&table::PULL_SECRETS_DIR, |text| Ok::<_, String>(PathBuf::from(text)));
        let contact = from.get(&table::PULL_CONTACT, |text| {
            let fits = text.len() <= LONGEST_CONTACT && text.bytes().all(|b| b.is_ascii_graphic());
            if fits { Ok(text.to_owned()) } else { Err("it must be an address or a URL without spaces") }
        });
        Some(Self { timeout: timeout?, allowed_hosts, secrets_dir, contact })
    }

    /// The bounds of requests.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        let contact = self.contact.as_ref().map_or_else(String::new, |contact| format!(" ({contact})"));
        Bounds {
            deadline: self.timeout,
            most_bytes: MOST_BYTES,
            allowed: self.allowed_hosts.clone(),
            user_agent: format!("perkgate/{}{contact}", env!("CARGO_PKG_VERSION")),
        }
    }
}

/// Hosts with commas between.
fn hosts(text: &str) -> Result<Vec<AllowedHost>, String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::parse).collect()
}
