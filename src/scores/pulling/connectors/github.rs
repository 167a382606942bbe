//! GitHub: the user, and their repositories by the time of the last push. An answer that did not change costs nothing there.

use reqwest::header::{HeaderMap, LINK};
use serde_json::Value;

use super::{Gatherer, MOST_PAGES, UNNAMED, list, text, url};
use crate::scores::pulling::outcome::{Account, Found, Profile, Stop};
use crate::scores::pulling::reading;
use crate::scores::pulling::session::{Reply, Session};
use crate::scores::pulling::template::escaped;

pub(super) async fn look(session: &mut Session, accounts: &[Account]) -> Result<Vec<Found>, Stop> {
    let mut found = Vec::with_capacity(accounts.len());
    for account in accounts {
        found.push(look_at(session, account).await?);
    }
    Ok(found)
}

async fn look_at(session: &mut Session, account: &Account) -> Result<Found, Stop> {
    let name = account.name().trim();
    let name = name.strip_prefix("https://github.com/").unwrap_or(name).trim_matches(['@', '/']);
    let mut headers = session.bearer();
    if let Ok(kind) = "application/vnd.github+json".parse() {
        headers.insert("accept", kind);
    }
    let path = format!("/users/{}", escaped(name));
    let Some(user) = url(session, &path, &[]) else { return Ok(UNNAMED) };
    let (body, etag) = match session.get(&user, account.etag.as_deref(), headers.clone()).await? {
        Reply::Json { body, etag, .. } => (Some(body), etag),
        // Stars may be new all the same.
        Reply::Unchanged => (None, account.etag.clone()),
        Reply::Unknown(why) => return Ok(Found::Unknown(why)),
        Reply::Missing => return Ok(Found::Missing),
    };
    let mut seen = Gatherer::new(session.now());
    let mut profile = Profile::default();
    if let Some(user) = &body {
        seen.level("followers", user.get("followers"));
        seen.level("following", user.get("following"));
        seen.level("public_repos", user.get("public_repos"));
        seen.level("public_gists", user.get("public_gists"));
        let texts = ["/bio", "/name", "/company", "/location", "/blog"].into_iter().filter_map(|at| text(user, at));
        profile.texts.extend(texts.map(str::to_owned));
    }
    read_repositories(session, &path, &headers, &mut seen).await?;
    Ok(Found::Signals { seen: seen.seen, profile, etag })
}

async fn read_repositories(
    session: &mut Session,
    path: &str,
    headers: &HeaderMap,
    seen: &mut Gatherer,
) -> Result<(), Stop> {
    for page in 1..=MOST_PAGES {
        let page = page.to_string();
        let query = [("per_page", "100"), ("sort", "pushed"), ("page", &page)];
        let Some(repositories) = url(session, &format!("{path}/repos"), &query) else { return Ok(()) };
        let Reply::Json { body, headers, .. } = session.get(&repositories, None, headers.clone()).await? else {
            return Ok(());
        };
        let mut is_over = false;
        for repository in list(&body, "") {
            is_over |= read_repository(repository, seen);
        }
        let has_next = headers.get(LINK).and_then(|it| it.to_str().ok()).is_some_and(|it| it.contains("rel=\"next\""));
        if is_over || !has_next {
            return Ok(());
        }
    }
    Ok(())
}

/// Reads one repository; true if nothing was pushed to it for so long that it counts no more. It is dated by its last push:
/// that is when it was last in use.
fn read_repository(repository: &Value, seen: &mut Gatherer) -> bool {
    let place = text(repository, "/full_name").zip(reading::instant(repository.get("pushed_at")));
    let Some((name, at)) = place else { return false };
    if repository.get("fork").and_then(Value::as_bool) != Some(true) {
        seen.total("stargazers_count", name, at, repository.get("stargazers_count"));
        seen.total("forks_count", name, at, repository.get("forks_count"));
    }
    seen.is_over(at)
}
