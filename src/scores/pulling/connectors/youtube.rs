//! `YouTube`'s Data API: channels, their uploads and the videos. Its numbers are texts; subscribers may be hidden. Its
//! policy on derived metrics allows a score of influence once its amendment is accepted.

use std::collections::HashMap;

use reqwest::Url;
use reqwest::header::HeaderMap;
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::{Gatherer, UNNAMED, all, list, text, url};
use crate::scores::pulling::outcome::{Account, Found, Profile, Stop};
use crate::scores::pulling::reading;
use crate::scores::pulling::session::{Reply, Session};

/// A call with the key, which the service takes in the query only: no error repeats a URL.
fn keyed(session: &Session, path: &str, query: &[(&str, &str)]) -> Option<Url> {
    let key = session.secret.as_ref().map_or("", |secret| secret.expose_secret());
    let mut query = query.to_vec();
    query.push(("key", key));
    url(session, path, &query)
}

pub(super) async fn look(session: &mut Session, accounts: &[Account]) -> Result<Vec<Found>, Stop> {
    let ids: Vec<&str> = accounts.iter().map(id_of).collect();
    let parts = "snippet,statistics,contentDetails";
    let joined = ids.join(",");
    let Some(channels) = keyed(session, "/channels", &[("part", parts), ("id", &joined), ("maxResults", "50")]) else {
        return Ok(all(accounts, &UNNAMED));
    };
    let body = match session.get(&channels, None, HeaderMap::new()).await? {
        Reply::Json { body, .. } => body,
        Reply::Unknown(why) => return Ok(all(accounts, &Found::Unknown(why))),
        Reply::Unchanged | Reply::Missing => return Ok(all(accounts, &Found::Unknown("it has no such interface"))),
    };
    // Where none is found, it leaves the list out.
    if text(&body, "/kind") != Some("youtube#channelListResponse") {
        return Ok(all(accounts, &Found::Unknown("its answer is no list of channels")));
    }
    let by_id: HashMap<&str, &Value> =
        list(&body, "/items").iter().filter_map(|channel| Some((text(channel, "/id")?, channel))).collect();
    let mut found = Vec::with_capacity(accounts.len());
    for id in ids {
        found.push(match by_id.get(id) {
            None => Found::Missing,
            Some(channel) => look_at(session, channel).await?,
        });
    }
    Ok(found)
}

async fn look_at(session: &mut Session, channel: &Value) -> Result<Found, Stop> {
    let mut seen = Gatherer::new(session.now());
    let is_hidden = channel.pointer("/statistics/hiddenSubscriberCount").and_then(Value::as_bool) == Some(true);
    if !is_hidden {
        seen.level("subscribers", channel.pointer("/statistics/subscriberCount"));
    }
    seen.level("channel_views", channel.pointer("/statistics/viewCount"));
    seen.level("videos", channel.pointer("/statistics/videoCount"));
    let texts = ["/snippet/description", "/snippet/title"].into_iter().filter_map(|at| text(channel, at));
    let profile = Profile { texts: texts.map(str::to_owned).collect(), linked_back: Vec::new() };
    if let Some(uploads) = text(channel, "/contentDetails/relatedPlaylists/uploads") {
        read_videos(session, uploads, &mut seen).await?;
    }
    Ok(Found::Signals { seen: seen.seen, profile, etag: None })
}

/// The newest videos: one page of the playlist of uploads, and their numbers.
async fn read_videos(session: &mut Session, uploads: &str, seen: &mut Gatherer) -> Result<(), Stop> {
    let query = [("part", "contentDetails"), ("playlistId", uploads), ("maxResults", "50")];
    let Some(playlist) = keyed(session, "/playlistItems", &query) else { return Ok(()) };
    let Reply::Json { body, .. } = session.get(&playlist, None, HeaderMap::new()).await? else { return Ok(()) };
    let videos: Vec<&str> = list(&body, "/items")
        .iter()
        .filter(|item| {
            let at = reading::instant(item.pointer("/contentDetails/videoPublishedAt"));
            at.is_some_and(|at| !seen.is_over(at))
        })
        .filter_map(|item| text(item, "/contentDetails/videoId"))
        .collect();
    if videos.is_empty() {
        return Ok(());
    }
    let ids = videos.join(",");
    let query = [("part", "snippet,statistics"), ("id", ids.as_str()), ("maxResults", "50")];
    let Some(page) = keyed(session, "/videos", &query) else { return Ok(()) };
    let Reply::Json { body, .. } = session.get(&page, None, HeaderMap::new()).await? else { return Ok(()) };
    for video in list(&body, "/items") {
        let place = text(video, "/id").zip(reading::instant(video.pointer("/snippet/publishedAt")));
        let Some((id, at)) = place else { continue };
        for (signal, member) in [
            ("view_count", "/statistics/viewCount"),
            ("like_count", "/statistics/likeCount"),
            ("comment_count", "/statistics/commentCount"),
        ] {
            seen.total(signal, id, at, video.pointer(member));
        }
    }
    Ok(())
}

fn id_of(account: &Account) -> &str {
    let name = account.name().trim();
    name.strip_prefix("https://www.youtube.com/channel/").unwrap_or(name).trim_end_matches('/')
}
