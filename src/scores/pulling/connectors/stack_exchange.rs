//! Stack Exchange: reputation and badges of users of one site, a hundred at a time; always packed, with a quota in the body.

use std::collections::HashMap;

use reqwest::header::HeaderMap;
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::{Gatherer, UNNAMED, all, text, url};
use crate::scores::pulling::outcome::{Account, Found, Profile, Stop};
use crate::scores::pulling::session::{Reply, Session};

/// The site whose users accounts are that name none.
const USUAL_SITE: &str = "stackoverflow";

pub(super) async fn look(session: &mut Session, accounts: &[Account]) -> Result<Vec<Found>, Stop> {
    let mut found = all(accounts, &UNNAMED);
    let mut by_site: HashMap<&str, Vec<(usize, &str)>> = HashMap::new();
    for (at, account) in accounts.iter().enumerate() {
        if let Some((site, id)) = name_of(account.name()) {
            by_site.entry(site).or_default().push((at, id));
        }
    }
    let mut sites: Vec<_> = by_site.into_iter().collect();
    sites.sort_unstable();
    for (site, users) in sites {
        let of_site = look_at(session, site, &users).await?;
        for ((at, _), new) in users.iter().zip(of_site) {
            if let Some(place) = found.get_mut(*at) {
                *place = new;
            }
        }
    }
    Ok(found)
}

async fn look_at(session: &mut Session, site: &str, users: &[(usize, &str)]) -> Result<Vec<Found>, Stop> {
    let each = |found: &Found| users.iter().map(|_| found.clone()).collect::<Vec<_>>();
    let ids = users.iter().map(|(_, id)| *id).collect::<Vec<_>>().join(";");
    let mut query = vec![("site", site), ("pagesize", "100")];
    let key = session.secret.clone();
    if let Some(key) = &key {
        query.push(("key", key.expose_secret()));
    }
    let Some(page) = url(session, &format!("/users/{ids}"), &query) else { return Ok(each(&UNNAMED)) };
    let body = match session.get(&page, None, HeaderMap::new()).await? {
        Reply::Json { body, .. } => body,
        Reply::Unknown(why) => return Ok(each(&Found::Unknown(why))),
        Reply::Unchanged | Reply::Missing => return Ok(each(&Found::Unknown("it has no such interface"))),
    };
    let Some(items) = body.get("items").and_then(Value::as_array) else {
        return Ok(each(&Found::Unknown("its answer lists no users")));
    };
    let by_id: HashMap<String, &Value> =
        items.iter().filter_map(|user| Some((user.get("user_id")?.to_string(), user))).collect();
    let now = session.now();
    let read = |user: &Value| {
        let mut seen = Gatherer::new(now);
        seen.level("reputation", user.get("reputation"));
        for (signal, member) in [
            ("badges_bronze", "/badge_counts/bronze"),
            ("badges_silver", "/badge_counts/silver"),
            ("badges_gold", "/badge_counts/gold"),
        ] {
            seen.level(signal, user.pointer(member));
        }
        seen.level("answers", user.get("answer_count"));
        seen.level("questions", user.get("question_count"));
        let texts = ["/about_me", "/display_name", "/website_url"].into_iter().filter_map(|at| text(user, at));
        let profile = Profile { texts: texts.map(str::to_owned).collect(), linked_back: Vec::new() };
        Found::Signals { seen: seen.seen, profile, etag: None }
    };
    Ok(users.iter().map(|(_, id)| by_id.get(*id).map_or(Found::Missing, |user| read(user))).collect())
}

/// The site and the user's number: `1234`, `superuser:1234`, or the address of their page.
fn name_of(account: &str) -> Option<(&str, &str)> {
    let account = account.trim();
    let (site, id) = match account.strip_prefix("https://") {
        Some(rest) => {
            let (host, path) = rest.split_once("/users/")?;
            let site = host.strip_suffix(".stackexchange.com").or_else(|| host.strip_suffix(".com"))?;
            (site, path.split('/').next()?)
        }
        None => account.split_once(':').unwrap_or((USUAL_SITE, account)),
    };
    let is_site = !site.is_empty() && site.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'.' | b'-'));
    // As the service writes it: with a zero before it, it would not be found in the answer.
    let is_id = id.len() <= 12 && !id.starts_with('0') && !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
    (is_site && is_id).then_some((site, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_a_number_of_a_site() {
        assert_eq!(name_of("22656"), Some(("stackoverflow", "22656")));
        assert_eq!(name_of("superuser:7"), Some(("superuser", "7")));
        assert_eq!(name_of("https://stackoverflow.com/users/22656/jon"), Some(("stackoverflow", "22656")));
        assert_eq!(name_of("https://gardening.stackexchange.com/users/7"), Some(("gardening", "7")));
        for bad in ["", "jon", "007", "a/b:7", "7;8", "https://example.org/users/7"] {
            assert_eq!(name_of(bad), None, "{bad}");
        }
    }
}
