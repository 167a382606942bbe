//! The declaration of a source that is fetched, read and judged.

use std::collections::BTreeMap;

use reqwest::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::presets;
use super::template::{ACCOUNT, ID, SECRET, Template};
use crate::foundation::field_error::FieldError;
use crate::scoring::catalog;

/// The most headers that a declaration has.
const MOST_HEADERS: usize = 8;
const LONGEST: usize = 1_000;

/// The most requests that a source may be allowed a day.
pub const LARGEST_BUDGET: u32 = 100_000_000;

/// The declaration of what is fetched, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connector {
    /// A score, from any JSON.
    Json,
    Bluesky,
    Mastodon,
    Youtube,
    Github,
    StackExchange,
    Wikipedia,
}

impl Connector {
    pub const ALL: [Self; 7] =
        [Self::Json, Self::Bluesky, Self::Mastodon, Self::Youtube, Self::Github, Self::StackExchange, Self::Wikipedia];

    /// The wire form, which is the network's name too.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Bluesky => "bluesky",
            Self::Mastodon => "mastodon",
            Self::Youtube => "youtube",
            Self::Github => "github",
            Self::StackExchange => "stack-exchange",
            Self::Wikipedia => "wikipedia",
        }
    }

    /// Where it asks unless the declaration says otherwise; none where every account has a place of its own.
    pub(super) const fn base(self) -> Option<&'static str> {
        match self {
            Self::Json | Self::Mastodon => None,
            Self::Bluesky => Some("https://public.api.bsky.app"),
            Self::Youtube => Some("https://www.googleapis.com/youtube/v3"),
            Self::Github => Some("https://api.github.com"),
            Self::StackExchange => Some("https://api.stackexchange.com/2.3"),
            Self::Wikipedia => Some("https://wikimedia.org/api/rest_v1"),
        }
    }

    /// Requests a day, unless the declaration says otherwise: what the service grants, or less.
    const fn budget(self) -> u32 {
        match self {
            Self::Json | Self::Youtube | Self::StackExchange => 10_000,
            Self::Wikipedia | Self::Mastodon => 20_000,
            Self::Bluesky | Self::Github => 50_000,
        }
    }

    /// The accounts that one request is about.
    pub(super) const fn batch(self) -> usize {
        match self {
            Self::Bluesky => 25,
            Self::Youtube => 50,
            Self::StackExchange => 100,
            Self::Json | Self::Mastodon | Self::Github | Self::Wikipedia => 1,
        }
    }

    /// True where each account may be on a host of its own: one that fails says nothing of the others.
    pub(super) const fn has_many_hosts(self) -> bool {
        matches!(self, Self::Mastodon)
    }
}

/// A look-up before the score: of the name under which the service knows an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookUp {
    pub url: String,
    /// A JSON pointer to the name, which stands as `{id}` in the other URL.
    pub id: String,
}

/// A declaration: as it is handed in, and as it is kept once what it leaves out is filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PullSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// Where a connector or a preset asks, instead of its usual place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The network whose linked accounts are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_up: Option<LookUp>,
    /// JSON pointers to the score, and to the time at which it was observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Requests a day, of all replicas together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<u32>,
}

/// A declaration that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    pub connector: Connector,
    pub network: String,
    pub base: Option<String>,
    pub budget: u32,
    pub score: Option<ScorePull>,
}

/// How a score is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScorePull {
    pub url: Template,
    pub look_up: Option<(Template, String)>,
    pub value: String,
    pub time: Option<String>,
    /// With `{secret}` in their values.
    pub headers: Vec<(HeaderName, String)>,
}

impl ScorePull {
    /// True if it can't be asked without a secret.
    pub(super) fn needs_secret(&self) -> bool {
        let urls = [Some(&self.url), self.look_up.as_ref().map(|(url, _)| url)];
        urls.into_iter().flatten().any(|url| url.has(SECRET))
            || self.headers.iter().any(|(_, value)| value.contains(SECRET))
    }
}

impl Pull {
    /// Reads a declaration.
    ///
    /// # Errors
    /// Every fault, pointed at from the declaration.
    pub fn read(given: &PullSpec) -> Result<(Self, PullSpec), Vec<FieldError>> {
        let mut faults = Vec::new();
        let filled = presets::filled(given).map_err(|fault| vec![fault])?;
        let connector = connector_of(&filled).map_err(|fault| vec![fault])?;
        let this = Self {
            connector,
            network: network_of(connector, &filled, &mut faults),
            base: base_of(&filled, &mut faults),
            budget: filled.budget.unwrap_or_else(|| connector.budget()),
            score: (connector == Connector::Json).then(|| score_of(&filled, &mut faults)).flatten(),
        };
        if !(1..=LARGEST_BUDGET).contains(&this.budget) {
            let detail = format!("requests a day: 1 to {LARGEST_BUDGET}");
            faults.push(FieldError::at("/budget", "out_of_range", detail));
        }
        let is_given = [
            ("/url", filled.url.is_some()),
            ("/value", filled.value.is_some()),
            ("/time", filled.time.is_some()),
            ("/look_up", filled.look_up.is_some()),
            ("/headers", !filled.headers.is_empty()),
        ];
        if connector != Connector::Json {
            for (pointer, _) in is_given.into_iter().filter(|(_, given)| *given) {
                faults.push(FieldError::at(pointer, "unknown_field", "only a `json` one has it"));
            }
        }
        if faults.is_empty() { Ok((this, filled)) } else { Err(faults) }
    }
}

fn connector_of(spec: &PullSpec) -> Result<Connector, FieldError> {
    let Some(name) = &spec.connector else { return Ok(Connector::Json) };
    Connector::ALL.into_iter().find(|it| it.as_str() == name).ok_or_else(|| {
        let names = Connector::ALL.map(Connector::as_str).join(", ");
        FieldError::at("/connector", "unknown_value", format!("the connectors are {names}"))
    })
}

fn network_of(connector: Connector, spec: &PullSpec, faults: &mut Vec<FieldError>) -> String {
    let own = connector.as_str();
    match &spec.network {
        None if connector == Connector::Json => {
            let detail = "name the network whose linked accounts are asked for";
            faults.push(FieldError::at("/network", "missing_field", detail));
            String::new()
        }
        None => own.to_owned(),
        Some(network) if connector != Connector::Json && network != own => {
            faults.push(FieldError::at("/network", "invalid_value", format!("the connector's network is `{own}`")));
            network.clone()
        }
        Some(network) => {
            if catalog::signals(network).next().is_none() {
                let known: Vec<&str> = catalog::networks().collect();
                let detail = format!("the networks are {}", known.join(", "));
                faults.push(FieldError::at("/network", "unknown_value", detail));
            }
            network.clone()
        }
    }
}

fn base_of(spec: &PullSpec, faults: &mut Vec<FieldError>) -> Option<String> {
    let base = spec.base.as_ref()?;
    let is_plain = !base.contains(['{', '}', '?', '#']) && base.len() <= LONGEST;
    if !is_plain || Template::read(base).is_err() {
        let detail = "this is the beginning of URLs, such as https://api.example.com, without a name or password";
        faults.push(FieldError::at("/base", "invalid_value", detail));
    }
    Some(base.trim_end_matches('/').to_owned())
}

fn score_of(spec: &PullSpec, faults: &mut Vec<FieldError>) -> Option<ScorePull> {
    let before = faults.len();
    let mut template = |pointer: &str, text: &str| match Template::read(text) {
        Ok(template) => Some(template),
        Err(detail) => {
            faults.push(FieldError::at(pointer, "invalid_value", detail));
            None
        }
    };
    let url = spec.url.as_deref().and_then(|text| template("/url", text));
    let look_up = spec.look_up.as_ref().and_then(|it| Some((template("/look_up/url", &it.url)?, it.id.clone())));
    if spec.url.is_none() {
        faults.push(FieldError::at("/url", "missing_field", "give the URL, with `{account}` in it"));
    }
    if let Some(url) = &url {
        let (first, rest) = look_up.as_ref().map_or((url, None), |(first, _)| (first, Some(url)));
        if !first.has(ACCOUNT) {
            faults.push(FieldError::at("/url", "invalid_value", "`{account}` must stand in it"));
        }
        if rest.is_none() && url.has(ID) {
            faults.push(FieldError::at("/url", "invalid_value", "`{id}` is what `look_up` finds: declare that too"));
        }
    }
    let pointers = [
        ("/value", spec.value.as_deref()),
        ("/time", spec.time.as_deref()),
        ("/look_up/id", look_up.as_ref().map(|(_, id)| id.as_str())),
    ];
    for (pointer, text) in pointers {
        if text.is_some_and(|text| !is_pointer(text)) {
            faults.push(FieldError::at(pointer, "invalid_value", "this is a JSON pointer, such as /score/value"));
        }
    }
    if spec.value.is_none() {
        faults.push(FieldError::at("/value", "missing_field", "give a JSON pointer to the score, such as /score"));
    }
    let headers = headers_of(spec, faults);
    if faults.len() > before {
        return None;
    }
    Some(ScorePull { url: url?, look_up, value: spec.value.clone()?, time: spec.time.clone(), headers })
}

fn headers_of(spec: &PullSpec, faults: &mut Vec<FieldError>) -> Vec<(HeaderName, String)> {
    // Those that say where a request goes, or how its answer is packed, are the gateway's.
    const OURS: [&str; 7] =
        ["host", "content-length", "transfer-encoding", "connection", "accept-encoding", "user-agent", "if-none-match"];
    let mut headers = Vec::new();
    if spec.headers.len() > MOST_HEADERS {
        faults.push(FieldError::at("/headers", "too_many", format!("there are at most {MOST_HEADERS}")));
    }
    for (name, value) in spec.headers.iter().take(MOST_HEADERS) {
        let read = HeaderName::try_from(name.as_str()).ok().filter(|name| !OURS.contains(&name.as_str()));
        let fits = value.len() <= LONGEST && HeaderValue::try_from(value.as_str()).is_ok();
        match read.filter(|_| fits) {
            Some(name) => headers.push((name, value.clone())),
            None => faults.push(FieldError::at("/headers", "invalid_value", "a header can't be sent as it stands")),
        }
    }
    headers
}

fn is_pointer(text: &str) -> bool {
    (text.is_empty() || text.starts_with('/')) && text.len() <= LONGEST
}
