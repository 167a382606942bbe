//! Bluesky's public interface (`app.bsky.actor.getProfiles`, `app.bsky.feed.getAuthorFeed`). Counts are optional there.

use std::collections::HashMap;

use reqwest::header::HeaderMap;
use serde_json::Value;

use super::{Gatherer, MOST_PAGES, UNNAMED, all, list, text, url};
use crate::scores::pulling::outcome::{Account, Found, Profile, Stop};
use crate::scores::pulling::reading;
use crate::scores::pulling::session::{Reply, Session};

pub(super) async fn look(session: &mut Session, accounts: &[Account]) -> Result<Vec<Found>, Stop> {
    let actors: Vec<(&str, &str)> = accounts.iter().map(|account| ("actors", name_of(account))).collect();
    let Some(profiles) = url(session, "/xrpc/app.bsky.actor.getProfiles", &actors) else {
        return Ok(all(accounts, &UNNAMED));
    };
    let body = match session.get(&profiles, None, HeaderMap::new()).await? {
        Reply::Json { body, .. } => body,
        // One name that is none makes it refuse all of them: then each is asked for alone.
        Reply::Unknown(_) if accounts.len() > 1 => {
            let mut found = Vec::with_capacity(accounts.len());
            for account in accounts {
                found.extend(Box::pin(look(session, std::slice::from_ref(account))).await?);
            }
            return Ok(found);
        }
        Reply::Unknown(why) => return Ok(all(accounts, &Found::Unknown(why))),
        Reply::Unchanged | Reply::Missing => return Ok(all(accounts, &Found::Unknown("it has no such interface"))),
    };
    let Some(listed) = body.get("profiles").and_then(Value::as_array) else {
        return Ok(all(accounts, &Found::Unknown("its answer lists no profiles")));
    };
    let mut by_name: HashMap<String, &Value> = HashMap::new();
    for profile in listed {
        for name in ["/did", "/handle"].into_iter().filter_map(|pointer| text(profile, pointer)) {
            by_name.insert(name.to_ascii_lowercase(), profile);
        }
    }
    let mut found = Vec::with_capacity(accounts.len());
    for account in accounts {
        found.push(match by_name.get(&name_of(account).to_ascii_lowercase()) {
            // Accounts that were deleted or taken down are left out of the list.
            None => Found::Missing,
            Some(profile) => look_at(session, profile).await?,
        });
    }
    Ok(found)
}

async fn look_at(session: &mut Session, profile: &Value) -> Result<Found, Stop> {
    let now = session.now();
    let mut seen = Gatherer::new(now);
    seen.level("followers", profile.get("followersCount"));
    seen.level("posts", profile.get("postsCount"));
    seen.level("following", profile.get("followsCount"));
    let texts = ["/description", "/displayName"].into_iter().filter_map(|at| text(profile, at)).map(str::to_owned);
    let known = Profile { texts: texts.collect(), linked_back: Vec::new() };
    let Some(did) = text(profile, "/did") else { return Ok(Found::Unknown("its answer has no did")) };
    let mut cursor: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let mut query = vec![("actor", did), ("limit", "100"), ("filter", "posts_no_replies")];
        if let Some(cursor) = &cursor {
            query.push(("cursor", cursor));
        }
        let Some(page) = url(session, "/xrpc/app.bsky.feed.getAuthorFeed", &query) else { return Ok(UNNAMED) };
        // A feed that can't be read leaves what the profile says.
        let Reply::Json { body, .. } = session.get(&page, None, HeaderMap::new()).await? else { break };
        let mut is_over = false;
        for item in list(&body, "/feed") {
            is_over |= read_post(item, did, &mut seen);
        }
        cursor = text(&body, "/cursor").filter(|cursor| cursor.len() <= 500).map(str::to_owned);
        if is_over || cursor.is_none() {
            break;
        }
    }
    Ok(Found::Signals { seen: seen.seen, profile: known, etag: None })
}

/// Reads one post; true if it is too old to count, as are those behind it.
fn read_post(item: &Value, did: &str, seen: &mut Gatherer) -> bool {
    // A repost of others is not theirs, nor is its day; a pinned one stands before newer ones.
    let is_theirs = text(item, "/post/author/did") == Some(did) && item.get("reason").is_none();
    let place = text(item, "/post/uri").zip(reading::instant(item.pointer("/post/indexedAt")));
    let Some((uri, at)) = place.filter(|_| is_theirs) else { return false };
    for (signal, member) in [
        ("like_count", "/post/likeCount"),
        ("repost_count", "/post/repostCount"),
        ("reply_count", "/post/replyCount"),
        ("quote_count", "/post/quoteCount"),
    ] {
        seen.total(signal, uri, at, item.pointer(member));
    }
    seen.is_over(at)
}

/// The account's did or handle, however it is written.
fn name_of(account: &Account) -> &str {
    let name = account.name().trim();
    let name = name.strip_prefix("https://bsky.app/profile/").unwrap_or(name);
    name.trim_start_matches('@').trim_end_matches('/')
}
