//! The provider by which people may log in to the console, from the settings.

use crate::foundation::clock::Clock;
use crate::outgoing::openid::{Provider, Registration};
use crate::settings::Settings;

/// The provider that the settings name; it is asked for nothing yet.
pub(super) fn provider_of(settings: &Settings, issuer_url: &str, clock: &Clock) -> Option<Provider> {
    let openid = settings.openid.clone()?;
    let registration = Registration {
        issuer: openid.issuer,
        client: openid.client_id,
        secret: openid.client_secret,
        redirect: format!("{}/console/openid/return", issuer_url.trim_end_matches('/')),
        // Its page is answered within the time of a request, with the reason.
        patience: settings.timeouts.request * 4 / 5,
    };
    Some(Provider::new(registration, clock.clone()))
}
