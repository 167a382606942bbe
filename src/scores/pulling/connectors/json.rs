//! A score from any JSON: by a URL's template and JSON pointers.

use reqwest::header::{HeaderMap, HeaderValue};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::UNNAMED;
use crate::scores::pulling::outcome::{Account, Found, Stop};
use crate::scores::pulling::reading;
use crate::scores::pulling::session::{Reply, Session};
use crate::scores::pulling::spec::ScorePull;
use crate::scores::pulling::template::SECRET;

pub(super) async fn look(session: &mut Session, accounts: &[Account]) -> Result<Vec<Found>, Stop> {
    let Some(pull) = session.pull.score.clone() else { return Ok(super::all(accounts, &UNNAMED)) };
    let mut found = Vec::with_capacity(accounts.len());
    for account in accounts {
        found.push(look_at(session, &pull, account).await?);
    }
    Ok(found)
}

async fn look_at(session: &mut Session, pull: &ScorePull, account: &Account) -> Result<Found, Stop> {
    let headers = headers(session, pull);
    let mut id = String::new();
    if let Some((url, pointer)) = &pull.look_up {
        let Some(url) = url.fill(account.name(), "", session.secret.as_ref()) else { return Ok(UNNAMED) };
        id = match session.get(&url, None, headers.clone()).await? {
            Reply::Json { body, .. } => match body.pointer(pointer) {
                Some(Value::String(id)) => id.clone(),
                Some(Value::Number(id)) => id.to_string(),
                _ => return Ok(Found::Unknown("the look-up finds no id where it should stand")),
            },
            Reply::Unchanged => return Ok(Found::Unchanged),
            Reply::Unknown(why) => return Ok(Found::Unknown(why)),
            Reply::Missing => return Ok(Found::Missing),
        };
    }
    let Some(url) = pull.url.fill(account.name(), &id, session.secret.as_ref()) else { return Ok(UNNAMED) };
    // A score without a time of its own is as old as its answer: "unchanged" would let it go stale.
    let etag = account.etag.as_deref().filter(|_| pull.time.is_some());
    Ok(match session.get(&url, etag, headers).await? {
        Reply::Json { body, etag, .. } => {
            let time = pull.time.as_ref().map(|pointer| reading::instant(body.pointer(pointer)));
            match (reading::decimal(body.pointer(&pull.value)), time) {
                (None, _) => Found::Unknown("no score stands where it should"),
                (_, Some(None)) => Found::Unknown("no time stands where it should"),
                (Some(value), time) => Found::Score { value, observed_at: time.flatten(), etag },
            }
        }
        Reply::Unchanged => Found::Unchanged,
        Reply::Unknown(why) => Found::Unknown(why),
        Reply::Missing => Found::Missing,
    })
}

fn headers(session: &Session, pull: &ScorePull) -> HeaderMap {
    let secret = session.secret.as_ref().map_or("", |secret| secret.expose_secret());
    let mut headers = HeaderMap::new();
    for (name, value) in &pull.headers {
        if let Ok(mut filled) = HeaderValue::try_from(value.replace(SECRET, secret)) {
            filled.set_sensitive(value.contains(SECRET));
            headers.insert(name.clone(), filled);
        }
    }
    headers
}
