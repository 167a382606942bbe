//! The door that asks: a screen of this role, by a call of its page.

use std::future::{Ready, ready};
use std::ops::Deref;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use crate::access::devices::Screen;
use crate::access::{Merchant, Role};
use crate::eligibility::late_reports::MAX_DOOR;
use crate::screens::caller::{paired, require_page};
use crate::web::problem::{Kind, Problem};

/// A door, by a call of its page.
pub(in crate::screens) struct FromDoor(Arc<Screen>);

impl Deref for FromDoor {
    type Target = Screen;

    fn deref(&self) -> &Screen {
        &self.0
    }
}

impl FromDoor {
    /// The door's merchant.
    pub(super) fn merchant(&self) -> Result<&Merchant, Problem> {
        Ok(self.principal.merchant()?)
    }
}

impl FromRequest for FromDoor {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(paired(req).and_then(|screen| {
            if screen.principal.role != Role::Door {
                return Err(Problem::new(
                    Kind::Forbidden,
                    "This screen was paired for something else: a door has this page.",
                ));
            }
            require_page(req, &screen)?;
            Ok(Self(screen))
        }))
    }
}

/// The name of the door in events: where it is. The page doesn't choose it, so that a retry names the same one.
pub(super) fn name_of(screen: &Screen) -> String {
    let principal = &screen.principal;
    let place: Vec<_> = [&principal.location, &principal.kiosk].into_iter().filter_map(Option::as_deref).collect();
    let name = place.join("-");
    // A name that is too long for an event is none: what this door reports must be taken.
    if name.is_empty() || name.chars().nth(MAX_DOOR).is_some() { principal.key.to_string() } else { name }
}
