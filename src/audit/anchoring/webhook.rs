//! Anchors sent to a URL that the merchant or an auditor owns.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use secrecy::{ExposeSecret as _, SecretString};

use super::line::AnchorLine;
use crate::outgoing::in_full;
use crate::outgoing::trusted::{TrustedError, client};

const WHOLE_TIMEOUT: Duration = Duration::from_secs(15);

/// The most lines that one request carries.
const LINES: usize = 1000;

/// Where anchors are sent. The URL may hold a secret of its receiver, so no error repeats it.
#[derive(Debug, Clone)]
pub struct Webhook {
    pub url: SecretString,
    /// Sent as `Authorization: Bearer`.
    pub token: Option<SecretString>,
}

/// Why anchors did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error("the webhook's URL can't be read")]
    Url,
    #[error("the webhook's host {host} is not known: {reason}")]
    Unknown { host: String, reason: String },
    #[error("the webhook's host {host} is {address}, {reason}: nothing is sent there")]
    Refused { host: String, address: IpAddr, reason: &'static str },
    #[error("the webhook answers {0}; redirects are not followed: set the address it moved to")]
    Redirected(u16),
    #[error("the webhook answers {0}")]
    Status(u16),
    #[error("the webhook can't be reached: {0}")]
    Unreachable(String),
}

impl From<TrustedError> for WebhookError {
    fn from(error: TrustedError) -> Self {
        match error {
            TrustedError::Url => Self::Url,
            TrustedError::Unknown { host, reason } => Self::Unknown { host, reason },
            TrustedError::Refused { host, address, reason } => Self::Refused { host, address, reason },
            TrustedError::Unreachable(reason) => Self::Unreachable(reason),
            error @ TrustedError::TooLarge(_) => Self::Unreachable(error.to_string()),
        }
    }
}

impl Webhook {
    /// Posts the lines as NDJSON. Anything but a 2xx is an error, after which none of them counts as
    /// sent: a receiver must take a line twice (`origin` and `size` say that it has it).
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn post(&self, anchors: &[AnchorLine]) -> Result<(), WebhookError> {
        if anchors.is_empty() {
            return Ok(());
        }
        let url = Url::parse(self.url.expose_secret()).map_err(|_| WebhookError::Url)?;
        let client = client(&url, WHOLE_TIMEOUT).await?;
        for lines in anchors.chunks(LINES) {
            let body: String = lines.iter().map(AnchorLine::to_line).collect();
            let mut request = client.post(url.clone()).header(CONTENT_TYPE, "application/x-ndjson").body(body);
            if let Some(token) = &self.token {
                request = request.bearer_auth(token.expose_secret());
            }
            let answer =
                request.send().await.map_err(|error| WebhookError::Unreachable(in_full(&error.without_url())))?;
            match answer.status() {
                status if status.is_success() => {}
                status if status.is_redirection() => return Err(WebhookError::Redirected(status.as_u16())),
                status => return Err(WebhookError::Status(status.as_u16())),
            }
        }
        Ok(())
    }
}
