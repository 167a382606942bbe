//! `/console/keys`: the keys of a merchant, or of the operator.

use std::collections::HashMap;

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use askama::Template;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::revoke::end_of;
use crate::access::role::permit::ManageKeys;
use crate::access::{ApiKey, KeyStatus};
use crate::console::caller::Caller;
use crate::console::door::page;
use crate::console::frame::{Frame, Section};
use crate::console::words::{When, role_words, zone_of};
use crate::foundation::ids::KeyId;
use crate::gateway::Gateway;
use crate::web::extract::{PageLimit, Params};
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "keys.html", config = "src/console/askama.toml")]
struct KeysPage {
    frame: Frame,
    keys: Vec<KeyRow>,
    /// The caller's own may have screens.
    has_screens: bool,
    zone: String,
    next: Option<String>,
}

/// The kind of person who acts under an account's key.
const ACCOUNT: &str = "account";

/// A key in a list.
struct KeyRow {
    id: String,
    label: String,
    role: &'static str,
    /// It has no secret: a person acts under it.
    person: Option<&'static str>,
    places: String,
    class: &'static str,
    status: &'static str,
    used: Option<When>,
    expires: Option<When>,
    /// Where it is ended; none where it is over, or the caller's own.
    end: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct KeysQuery {
    cursor: Option<KeyId>,
}

impl KeyRow {
    fn of(key: ApiKey, person: Option<&'static str>, own: &KeyId, zone: &TimeZone, now: Timestamp) -> Self {
        let status = key.status(now);
        let end = if person == Some(ACCOUNT) { end_of(&key.id) } else { format!("/console/keys/{}/revoke", key.id) };
        let end = Some(end).filter(|_| status != KeyStatus::Revoked && key.id != *own);
        let (class, status_words) = match status {
            KeyStatus::Active => ("live", "works"),
            KeyStatus::Suspended => ("wait", "suspended"),
            KeyStatus::Expired => ("", "expired"),
            KeyStatus::Revoked => ("", "revoked"),
        };
        let airports = (!key.airports.is_empty()).then(|| key.airports.join(", "));
        let places = [key.location, key.kiosk, key.audience, airports];
        Self {
            id: key.id.to_string(),
            label: key.label,
            role: role_words(key.role),
            person,
            places: places.into_iter().flatten().collect::<Vec<_>>().join(" · "),
            class,
            status: status_words,
            used: key.last_used_at.map(|at| When::of(at, zone, now)),
            expires: key.expires_at.map(|at| When::of(at, zone, now)),
            end,
        }
    }
}

#[get("/keys")]
pub(in crate::console) async fn get_keys(
    caller: Caller<ManageKeys>,
    gateway: Data<Gateway>,
    query: Params<KeysQuery>,
) -> Result<HttpResponse, Problem> {
    let (owner, now, limit) = (caller.owner(), gateway.clock.now(), PageLimit::default());
    let fetched = gateway.directory.list_keys(owner.clone(), None, query.into_inner().cursor, limit.get() + 1).await?;
    let (keys, next) = limit.page(fetched, |key| key.id.to_string());
    let mut people: HashMap<KeyId, &'static str> = HashMap::new();
    people.extend(gateway.directory.list_accounts(owner.clone()).await?.into_iter().map(|it| (it.key, ACCOUNT)));
    let has_screens = owner.is_some();
    if let Some(merchant) = owner {
        let screens = gateway.directory.list_devices(merchant.clone()).await?;
        people.extend(screens.into_iter().map(|it| (it.key.id, "screen")));
        people.extend(gateway.directory.list_clerks(merchant).await?.into_iter().map(|it| (it.id, "clerk")));
    }
    let zone_name = caller.zone().to_owned();
    let zone = zone_of(&zone_name);
    let row = |key: ApiKey| {
        let person = people.get(&key.id).copied();
        KeyRow::of(key, person, &caller.key, &zone, now)
    };
    let frame = Frame::of("Keys", Section::Keys, caller.session(), now);
    let next = next.map(|cursor| format!("/console/keys?cursor={cursor}"));
    page(&KeysPage { frame, has_screens, keys: keys.into_iter().map(row).collect(), zone: zone_name, next })
}
