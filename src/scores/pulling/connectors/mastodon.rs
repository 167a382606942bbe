//! Mastodon: the account's instance by WebFinger, then its interface there. Closed instances answer 401, which says nothing.

use reqwest::Url;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::{Gatherer, MOST_PAGES, UNNAMED, list, of_base, text};
use crate::scores::pulling::outcome::{Account, Found, Profile, Stop};
use crate::scores::pulling::reading;
use crate::scores::pulling::session::{Reply, Session};
use crate::scores::pulling::template::escaped;

pub(super) async fn look(session: &mut Session, accounts: &[Account]) -> Result<Vec<Found>, Stop> {
    let mut found = Vec::with_capacity(accounts.len());
    for account in accounts {
        found.push(match name_of(account.name()) {
            Some((user, domain)) => look_at(session, &user, &domain).await?,
            None => UNNAMED,
        });
    }
    Ok(found)
}

async fn look_at(session: &mut Session, user: &str, domain: &str) -> Result<Found, Stop> {
    let base = session.pull.base.clone();
    // The key is that of one instance, and goes nowhere else.
    let headers = || if base.is_some() { session.bearer() } else { HeaderMap::new() };
    let headers = headers();
    let of_domain = base.clone().unwrap_or_else(|| format!("https://{domain}"));
    let resource = format!("acct:{user}@{domain}");
    let Some(finger) = of_base(&of_domain, "/.well-known/webfinger", &[("resource", &resource)]) else {
        return Ok(UNNAMED);
    };
    let instance = match session.get(&finger, None, HeaderMap::new()).await? {
        Reply::Json { body, .. } => base.clone().or_else(|| instance_of(&body)),
        Reply::Missing => return Ok(Found::Missing),
        Reply::Unknown(why) => return Ok(Found::Unknown(why)),
        Reply::Unchanged => None,
    };
    let instance = instance.unwrap_or(of_domain);
    let acct = format!("{user}@{domain}");
    let Some(url) = of_base(&instance, "/api/v1/accounts/lookup", &[("acct", &acct)]) else { return Ok(UNNAMED) };
    let account = match session.get(&url, None, headers.clone()).await? {
        Reply::Json { body, .. } => body,
        Reply::Missing => return Ok(Found::Missing),
        Reply::Unknown(why) => return Ok(Found::Unknown(why)),
        Reply::Unchanged => return Ok(Found::Unchanged),
    };
    if account.get("suspended").and_then(Value::as_bool) == Some(true) {
        return Ok(Found::Unknown("it is suspended there"));
    }
    let Some(id) = text(&account, "/id") else { return Ok(Found::Unknown("its answer has no id")) };
    let mut seen = Gatherer::new(session.now());
    // Who hides them has none listed, not none at all.
    let is_hidden = account.get("hide_collections").and_then(Value::as_bool) == Some(true);
    if !is_hidden {
        seen.level("followers", account.get("followers_count"));
        seen.level("following", account.get("following_count"));
    }
    seen.level("statuses", account.get("statuses_count"));
    let profile = profile_of(&account);
    let (path, mut last) = (format!("/api/v1/accounts/{}/statuses", escaped(id)), String::new());
    for _ in 0..MOST_PAGES {
        let mut query = vec![("limit", "40"), ("exclude_reblogs", "true"), ("exclude_replies", "true")];
        if !last.is_empty() {
            query.push(("max_id", &last));
        }
        let Some(page) = of_base(&instance, &path, &query) else { return Ok(UNNAMED) };
        let Reply::Json { body, .. } = session.get(&page, None, headers.clone()).await? else { break };
        let statuses = list(&body, "");
        let mut is_over = statuses.is_empty();
        for status in statuses {
            is_over |= read_status(status, &mut seen);
        }
        match statuses.last().and_then(|status| text(status, "/id")) {
            Some(id) if !is_over && *id != *last => id.clone_into(&mut last),
            _ => break,
        }
    }
    Ok(Found::Signals { seen: seen.seen, profile, etag: None })
}

/// Reads one post; true if it is too old to count.
fn read_status(status: &Value, seen: &mut Gatherer) -> bool {
    let place = text(status, "/uri").zip(reading::instant(status.get("created_at")));
    let Some((uri, at)) = place.filter(|_| status.get("reblog").is_none_or(Value::is_null)) else { return false };
    for signal in ["reblogs_count", "favourites_count", "replies_count", "quotes_count"] {
        seen.total(signal, uri, at, status.get(signal));
    }
    seen.is_over(at)
}

fn profile_of(account: &Value) -> Profile {
    let mut profile = Profile::default();
    profile.texts.extend(["/note", "/display_name"].into_iter().filter_map(|at| text(account, at)).map(str::to_owned));
    for field in list(account, "/fields") {
        let Some(value) = text(field, "/value") else { continue };
        profile.texts.push(value.to_owned());
        // The instance has found that the page links back with `rel="me"`.
        if field.get("verified_at").is_some_and(Value::is_string) {
            let link = value.split("href=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or(value);
            profile.linked_back.push(link.to_owned());
        }
    }
    profile
}

/// The place of the interface, as the link to the account itself says: it may be on another host than its name.
fn instance_of(finger: &Value) -> Option<String> {
    let own = list(finger, "/links").iter().find(|link| text(link, "/rel") == Some("self"))?;
    let url = Url::parse(text(own, "/href")?).ok().filter(|url| url.scheme() == "https")?;
    Some(format!("https://{}", url.host_str()?))
}

/// The user and the domain of `@ada@example.social`, or of the profile's address.
fn name_of(account: &str) -> Option<(String, String)> {
    let account = account.trim();
    let (user, domain) = match account.strip_prefix("https://") {
        Some(rest) => {
            let (domain, path) = rest.split_once('/')?;
            (path.trim_end_matches('/').strip_prefix('@')?, domain)
        }
        None => account.trim_start_matches('@').split_once('@')?,
    };
    let is_user =
        !user.is_empty() && user.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    let is_domain =
        domain.contains('.') && domain.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    (is_user && is_domain).then(|| (user.to_owned(), domain.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_named_in_three_ways() {
        for name in ["ada@example.social", "@ada@Example.Social", "https://example.social/@ada/"] {
            assert_eq!(name_of(name), Some(("ada".to_owned(), "example.social".to_owned())), "{name}");
        }
        for bad in
            ["ada", "@ada", "ada@localhost", "ada@example.social:80", "ada@a/b.c", "https://example.social/ada", ""]
        {
            assert_eq!(name_of(bad), None, "{bad}");
        }
    }
}
