//! Wikipedia: how often a page was viewed by people, day by day. An account is the page's title, on `en.wikipedia` unless
//! it says `de:Titel` or gives the page's address.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::{Gatherer, UNNAMED, list, text, url};
use crate::scores::pulling::outcome::{Account, Found, Profile, Stop};
use crate::scores::pulling::session::{Reply, Session};
use crate::scores::pulling::template::escaped;

/// As many days are asked for: those before were seen when they were as young.
const DAYS: i64 = 30;

pub(super) async fn look(session: &mut Session, accounts: &[Account]) -> Result<Vec<Found>, Stop> {
    let mut found = Vec::with_capacity(accounts.len());
    for account in accounts {
        found.push(look_at(session, account).await?);
    }
    Ok(found)
}

async fn look_at(session: &mut Session, account: &Account) -> Result<Found, Stop> {
    let Some((project, title)) = name_of(account.name()) else { return Ok(UNNAMED) };
    let now = session.now();
    let day = |before: i64| {
        let at = now - SignedDuration::from_hours(24 * before);
        at.to_zoned(TimeZone::UTC).strftime("%Y%m%d").to_string()
    };
    let (from, to) = (day(DAYS), day(1));
    let path = format!(
        "/metrics/pageviews/per-article/{project}/all-access/user/{}/daily/{from}/{to}",
        escaped(&title.replace(' ', "_"))
    );
    let Some(views) = url(session, &path, &[]) else { return Ok(UNNAMED) };
    Ok(match session.get(&views, account.etag.as_deref(), HeaderMap::new()).await? {
        Reply::Json { body, etag, .. } => match body.get("items") {
            Some(Value::Array(_)) => read(&body, title, etag, now),
            _ => Found::Unknown("its answer lists no days"),
        },
        Reply::Unchanged => Found::Unchanged,
        Reply::Unknown(why) => Found::Unknown(why),
        // It answers so for a page that nobody viewed, too.
        Reply::Missing => Found::Unknown("it knows of no views of this page"),
    })
}

fn read(body: &Value, title: &str, etag: Option<String>, now: Timestamp) -> Found {
    let mut seen = Gatherer::new(now);
    for item in list(body, "/items") {
        // `2026112900`: a day and an hour.
        let Some(day) = text(item, "/timestamp").and_then(|stamp| stamp.get(..8)) else { continue };
        let Some(at) = instant_of(day) else { continue };
        seen.total("page_views", &format!("{title}/{day}"), at, item.get("views"));
    }
    Found::Signals { seen: seen.seen, profile: Profile::default(), etag }
}

fn instant_of(day: &str) -> Option<Timestamp> {
    let date = jiff::civil::Date::strptime("%Y%m%d", day).ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// The project and the title of a page.
fn name_of(account: &str) -> Option<(String, &str)> {
    let account = account.trim();
    let (language, title) = match account.strip_prefix("https://") {
        Some(rest) => {
            let (host, title) = rest.split_once("/wiki/")?;
            (host.strip_suffix(".wikipedia.org")?, title)
        }
        None => match account.split_once(':') {
            Some((language, title)) if is_language(language) => (language, title),
            _ => ("en", account),
        },
    };
    (is_language(language) && !title.is_empty()).then(|| (format!("{language}.wikipedia"), title))
}

fn is_language(text: &str) -> bool {
    (2..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_a_title_in_a_language() {
        for (account, project, title) in [
            ("Ada Lovelace", "en.wikipedia", "Ada Lovelace"),
            ("de:Ada Lovelace", "de.wikipedia", "Ada Lovelace"),
            ("https://fr.wikipedia.org/wiki/Ada_Lovelace", "fr.wikipedia", "Ada_Lovelace"),
            ("Dune: Part Two", "en.wikipedia", "Dune: Part Two"),
        ] {
            assert_eq!(name_of(account), Some((project.to_owned(), title)));
        }
        assert_eq!(name_of("https://example.org/wiki/Ada"), None);
    }
}
