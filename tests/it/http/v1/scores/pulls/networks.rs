//! The networks' connectors, against a service that speaks the shapes of their documents.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::SignedDuration;
use perkgate::scores::signals::SignalHeld;
use serde_json::{Value, json};

use super::{SETTINGS, declare, link, pulled};
use crate::support::app::TestApp;
use crate::support::client::Client;
use crate::support::elsewhere::{Asked, Elsewhere, Reply};

/// The signals that are held on a person: network, name and how many.
async fn held(app: &TestApp, subject: &str) -> Vec<(String, u64)> {
    let refs = app.world.gateway.keyring.subject_refs(&app.cathay.id, &subject.parse().unwrap());
    let held = app.world.gateway.enrolments.signals_of(&app.cathay.id, refs).await.unwrap();
    held.into_iter().map(|SignalHeld { signal, number, .. }| (signal, number)).collect()
}

fn listed(pairs: &[(&str, u64)]) -> Vec<(String, u64)> {
    pairs.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect()
}

async fn begin(admin: &Client, connector: &str, service: &Elsewhere) {
    declare(admin, connector, json!({"connector": connector, "base": service.url()})).await.is(201);
}

fn bluesky(asked: &Asked) -> Reply {
    if asked.target.starts_with("/xrpc/app.bsky.actor.getProfiles?") {
        let mut listed: Value =
            serde_json::from_str(include_str!("../../../../../clients/networks/bluesky-profiles.json")).unwrap();
        let profiles = listed["profiles"].as_array_mut().unwrap();
        profiles.retain(|it| {
            let (did, handle) = (it["did"].as_str().unwrap().replace(':', "%3A"), it["handle"].as_str().unwrap());
            asked.target.contains(&did) || asked.target.contains(handle)
        });
        return Reply::json(&listed);
    }
    let json = |text: &str| Reply::of(200, "application/json; charset=utf-8", text);
    match () {
        () if asked.target.contains("did%3Aplc%3Ashy") => json(r#"{"feed": []}"#),
        // Older than what counts: nothing is read behind it.
        () if asked.target.contains("cursor=2") => {
            json(include_str!("../../../../../clients/networks/bluesky-feed-end.json"))
        }
        () => json(include_str!("../../../../../clients/networks/bluesky-feed.json")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bluesky_brings_signals_from_which_a_score_is_computed() {
    let service = Elsewhere::start(bluesky).await;
    for app in TestApp::all_with(&SETTINGS).await {
        let admin = app.admin(&app.cathay).await;
        admin.post("/v1/sources", &json!({"name": "influence", "kind": "computed"})).await.is(201);
        begin(&admin, "bluesky", &service).await;
        link(&admin, "cx:1", "bluesky", "did:plc:ada").await;
        link(&admin, "cx:2", "bluesky", "@shy.test").await;
        link(&admin, "cx:3", "bluesky", "did:plc:none").await;
        let report = pulled(&app, "bluesky").await;
        assert_eq!((report.accounts, report.answered, report.missing, report.unknown), (3, 2, 1, 0));
        let targets = service.targets();
        assert_eq!(targets.iter().filter(|it| it.contains("getProfiles")).count(), 1, "{targets:?}");
        assert_eq!(targets.iter().filter(|it| it.contains("getAuthorFeed")).count(), 3, "{targets:?}");
        let wanted = listed(&[
            ("followers", 1),
            ("following", 1),
            ("like_count", 2),
            ("posts", 1),
            ("quote_count", 2),
            ("reply_count", 2),
            ("repost_count", 2),
        ]);
        assert_eq!(held(&app, "cx:1").await, wanted);
        // What is not shown is not 0.
        assert!(held(&app, "cx:2").await.is_empty());

        let source = "influence".parse().unwrap();
        let mut run = app
            .world
            .gateway
            .scores
            .compute(&app.cathay.id, &source, perkgate::scores::computing::Mode::Write, app.world.gateway.clock.clone())
            .await
            .unwrap();
        while run.step().await.unwrap().is_some() {}
        let score = admin.get("/v1/scores/influence/cx:1").await.is(200)["value"].as_f64().unwrap();
        assert!(score > 1.0, "{score}");

        // What says the same again is not kept again; what is new is.
        app.world.pass(86_400);
        assert_eq!(pulled(&app, "bluesky").await.answered, 2);
        assert_eq!(held(&app, "cx:1").await, wanted);
        app.world.pass(86_400);
        service.answer(|asked| {
            let mut reply = bluesky(asked);
            reply.body = String::from_utf8(reply.body).unwrap().replace("700", "\"701\"").into_bytes();
            reply
        });
        pulled(&app, "bluesky").await;
        assert!(held(&app, "cx:1").await.contains(&("like_count".to_owned(), 4)));
        service.answer(bluesky);
        service.asked();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_of_an_account_that_is_there_no_more_is_dropped_once_that_is_sure() {
    let service = Elsewhere::start(bluesky).await;
    for app in TestApp::all_with(&SETTINGS).await {
        let admin = app.admin(&app.cathay).await;
        begin(&admin, "bluesky", &service).await;
        link(&admin, "cx:1", "bluesky", "did:plc:ada").await;
        pulled(&app, "bluesky").await;
        let before = held(&app, "cx:1").await;
        assert!(!before.is_empty());
        app.world.pass(86_400);
        service.answer(|_| Reply::json(&json!({"profiles": []})));
        assert_eq!(pulled(&app, "bluesky").await.missing, 1);
        assert_eq!(held(&app, "cx:1").await, before, "one answer may be a mishap");
        app.world.pass(6 * 3_600);
        assert_eq!(pulled(&app, "bluesky").await.missing, 1);
        assert!(held(&app, "cx:1").await.is_empty());
        // It is back.
        app.world.pass(6 * 3_600);
        service.answer(bluesky);
        pulled(&app, "bluesky").await;
        assert!(!held(&app, "cx:1").await.is_empty());
    }
}

fn mastodon(asked: &Asked) -> Reply {
    let path = asked.target.split('?').next().unwrap();
    match path {
        "/.well-known/webfinger" => Reply::of(
            200,
            "application/jrd+json",
            json!({"subject": "acct:ada@example.social", "links": []}).to_string(),
        ),
        "/api/v1/accounts/lookup" => Reply::json(
            &json!({"id": "109", "username": "ada", "acct": "ada", "followers_count": 90, "following_count": 5,
            "statuses_count": 12, "note": "<p>Engines perkgate</p>",
            "fields": [{"name": "Code", "value": "<a href=\"https://github.com/ada\" rel=\"me\">github.com/ada</a>", "verified_at": "2012-01-01T00:00:00.000Z"}]}),
        ),
        "/api/v1/accounts/109/statuses" if asked.target.contains("max_id") => Reply::json(&json!([])),
        "/api/v1/accounts/109/statuses" => Reply::json(
            &json!([{"id": "7", "uri": "https://example.social/users/ada/statuses/7", "created_at": "2012-05-07T00:00:00.000Z",
            "reblogs_count": 4, "favourites_count": 9, "replies_count": 2, "reblog": null}]),
        ),
        _ => Reply::status(404),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mastodon_is_found_by_webfinger_and_a_closed_instance_says_nothing() {
    let service = Elsewhere::start(mastodon).await;
    for app in TestApp::all_with(&SETTINGS).await {
        let admin = app.admin(&app.cathay).await;
        begin(&admin, "mastodon", &service).await;
        link(&admin, "cx:1", "mastodon", "https://example.social/@ada").await;
        link(&admin, "cx:2", "mastodon", "nonsense").await;
        let report = pulled(&app, "mastodon").await;
        assert_eq!((report.answered, report.unknown), (1, 1));
        assert!(service.targets()[0].contains("resource=acct%3Aada%40example.social"));
        let wanted = listed(&[
            ("favourites_count", 1),
            ("followers", 1),
            ("following", 1),
            ("reblogs_count", 1),
            ("replies_count", 1),
            ("statuses", 1),
        ]);
        assert_eq!(held(&app, "cx:1").await, wanted);
        app.world.pass(86_400);
        for closed in [401, 403, 410] {
            service.answer(move |_| Reply::status(closed));
            assert_eq!(pulled(&app, "mastodon").await.unknown, 2, "{closed}");
            assert_eq!(held(&app, "cx:1").await, wanted, "{closed}");
            app.world.pass(6 * 3_600);
        }
        service.answer(mastodon);
        service.asked();
    }
}

fn github(asked: &Asked) -> Reply {
    let json = |text: &str| Reply::of(200, "application/json; charset=utf-8", text);
    match asked.target.split('?').next().unwrap() {
        "/users/ada" => json(include_str!("../../../../../clients/networks/github-user.json")).with("etag", "W/\"a\""),
        "/users/ada/repos" if asked.target.contains("page=2") => {
            json(include_str!("../../../../../clients/networks/github-repos-end.json"))
        }
        "/users/ada/repos" => json(include_str!("../../../../../clients/networks/github-repos.json"))
            .with("link", "<https://api.github.com/user/1/repos?page=2>; rel=\"next\""),
        _ => Reply::status(404),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn github_is_asked_with_the_operators_key_and_tells_whether_anything_changed() {
    let service = Elsewhere::start(github).await;
    let secrets = tempfile::tempdir().unwrap();
    std::fs::write(secrets.path().join("cathay.github"), "ghp_sesame").unwrap();
    let place = secrets.path().display().to_string();
    for app in TestApp::all_with(&[SETTINGS[0], SETTINGS[1], ("pull_secrets_dir", &place)]).await {
        let admin = app.admin(&app.cathay).await;
        begin(&admin, "github", &service).await;
        link(&admin, "cx:1", "github", "https://github.com/ada").await;
        assert_eq!(pulled(&app, "github").await.requests, 3);
        let asked = service.asked();
        assert!(
            asked
                .iter()
                .all(|it| it.head.contains("authorization: bearer ghp_sesame") && !it.target.contains("sesame"))
        );
        let wanted = listed(&[
            ("followers", 1),
            ("following", 1),
            ("forks_count", 1),
            ("public_gists", 1),
            ("public_repos", 1),
            ("stargazers_count", 1),
        ]);
        assert_eq!(held(&app, "cx:1").await, wanted);
        app.world.pass(86_400);
        service.answer(|asked| {
            let is_known = asked.head.contains("if-none-match: w/\"a\"");
            if is_known { Reply { body: Vec::new(), ..Reply::status(304) } } else { github(asked) }
        });
        assert_eq!(pulled(&app, "github").await.answered, 1);
        assert_eq!(held(&app, "cx:1").await, wanted);
        service.answer(github);
        service.asked();
    }
}

fn youtube(asked: &Asked) -> Reply {
    let channel = |id: &str, statistics: Value| {
        json!({"kind": "youtube#channel", "id": id, "snippet": {"title": "Ada", "description": ""}, "statistics": statistics,
               "contentDetails": {"relatedPlaylists": {"uploads": format!("UU{id}")}}})
    };
    match asked.target.split('?').next().unwrap() {
        "/channels" => Reply::json(&json!({"kind": "youtube#channelListResponse", "items": [
            channel("UCada", json!({"viewCount": "90000", "subscriberCount": "1200", "hiddenSubscriberCount": false, "videoCount": "4"})),
            channel("UCshy", json!({"viewCount": "10", "subscriberCount": "0", "hiddenSubscriberCount": true, "videoCount": "0"}))]})),
        "/playlistItems" if asked.target.contains("UUUCada") => {
            Reply::json(&json!({"kind": "youtube#playlistItemListResponse", "items": [
            {"contentDetails": {"videoId": "v1", "videoPublishedAt": "2012-05-01T00:00:00Z"}},
            {"contentDetails": {"videoId": "v0", "videoPublishedAt": "2009-05-01T00:00:00Z"}}]}))
        }
        "/videos" => Reply::json(&json!({"kind": "youtube#videoListResponse", "items": [
            {"id": "v1", "snippet": {"publishedAt": "2012-05-01T00:00:00Z"}, "statistics": {"viewCount": "5000", "likeCount": "70"}}]})),
        _ => Reply::status(404),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn youtube_counts_in_texts_and_hides_subscribers() {
    let service = Elsewhere::start(youtube).await;
    let secrets = tempfile::tempdir().unwrap();
    std::fs::write(secrets.path().join("cathay.youtube"), "AIzaSesame").unwrap();
    let place = secrets.path().display().to_string();
    for app in TestApp::all_with(&[SETTINGS[0], SETTINGS[1], ("pull_secrets_dir", &place)]).await {
        let admin = app.admin(&app.cathay).await;
        begin(&admin, "youtube", &service).await;
        link(&admin, "cx:1", "youtube", "UCada").await;
        link(&admin, "cx:2", "youtube", "UCshy").await;
        let report = pulled(&app, "youtube").await;
        assert_eq!((report.answered, report.requests), (2, 4));
        let targets = service.targets();
        assert!(
            targets.iter().all(|it| it.contains("key=AIzaSesame")) && targets.iter().any(|it| it.contains("id=v1&")),
            "{targets:?}"
        );
        assert_eq!(
            held(&app, "cx:1").await,
            listed(&[("channel_views", 1), ("like_count", 1), ("subscribers", 1), ("videos", 1), ("view_count", 1)])
        );
        assert_eq!(held(&app, "cx:2").await, listed(&[("channel_views", 1), ("videos", 1)]));
        // The key stands in URLs only, and no fault shows one.
        app.world.pass(86_400);
        service.answer(|_| Reply::status(500));
        let report = pulled(&app, "youtube").await;
        assert!(report.fault.is_some() && !format!("{report:?}").contains("Sesame"));
        assert!(!admin.get("/v1/sources").await.is(200).to_string().contains("Sesame"));
        service.answer(youtube);
        service.asked();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stack_exchange_is_unpacked_and_its_quota_heard() {
    let service = Elsewhere::start(|_| {
        let body = json!({"items": [{"user_id": 22_656, "reputation": 1_400_000, "badge_counts": {"gold": 1, "silver": 2, "bronze": 3}, "display_name": "Jon"}],
                          "has_more": false, "quota_max": 300, "quota_remaining": 0});
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body.to_string().as_bytes()).unwrap();
        Reply::of(200, "application/json; charset=utf-8", encoder.finish().unwrap()).with("content-encoding", "gzip")
    })
    .await;
    for app in TestApp::all_with(&SETTINGS).await {
        let admin = app.admin(&app.cathay).await;
        begin(&admin, "stack-exchange", &service).await;
        link(&admin, "cx:1", "stack-exchange", "22656").await;
        link(&admin, "cx:2", "stack-exchange", "https://stackoverflow.com/users/7/none").await;
        let report = pulled(&app, "stack-exchange").await;
        assert_eq!((report.answered, report.missing, report.requests), (1, 1, 1));
        assert!(service.targets()[0].contains("site=stackoverflow"));
        assert_eq!(
            held(&app, "cx:1").await,
            listed(&[("badges_bronze", 1), ("badges_gold", 1), ("badges_silver", 1), ("reputation", 1)])
        );
        // The service has none left until tomorrow: who is due earlier waits.
        link(&admin, "cx:3", "stack-exchange", "9").await;
        let report = pulled(&app, "stack-exchange").await;
        assert_eq!((report.requests, report.wait), (0, Some("backing_off")));
        assert_eq!(report.waits_until.unwrap().to_string(), "2012-05-09T00:00:00Z");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wikipedia_counts_the_views_of_a_page_by_day() {
    let service = Elsewhere::start(|asked| {
        assert!(asked.head.contains("user-agent: perkgate/") && asked.head.contains("(mailto:ops@example.com)"), "{}", asked.head);
        if !asked.target.contains("/Ada_Lovelace/daily/20120408/20120507") {
            return Reply::status(404);
        }
        Reply::json(&json!({"items": [
                {"project": "en.wikipedia", "article": "Ada_Lovelace", "granularity": "daily", "timestamp": "2012050600", "views": 2100},
                {"project": "en.wikipedia", "article": "Ada_Lovelace", "granularity": "daily", "timestamp": "2012050700", "views": 2300}]}))
    })
    .await;
    for app in TestApp::all_with(&[SETTINGS[0], SETTINGS[1], ("pull_contact", "mailto:ops@example.com")]).await {
        let admin = app.admin(&app.cathay).await;
        begin(&admin, "wikipedia", &service).await;
        link(&admin, "cx:1", "wikipedia", "Ada Lovelace").await;
        assert_eq!(pulled(&app, "wikipedia").await.signals, 2);
        assert_eq!(held(&app, "cx:1").await, listed(&[("page_views", 2)]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_proven_by_its_profile_and_counts_from_then_on() {
    for app in TestApp::all_with(&SETTINGS).await {
        let admin = app.admin(&app.cathay).await;
        let service = Elsewhere::start(mastodon).await;
        begin(&admin, "mastodon", &service).await;
        let accounts = json!([{"network": "github", "account": "ada", "proof": "profile_code"},
                              {"network": "mastodon", "account": "ada@example.social", "proof": "rel_me"}]);
        let put = json!({"subject": "cx:1", "accounts": accounts});
        let linked = admin.put("/v1/subjects/accounts", &put).await.is(200);
        let code = linked["accounts"][0]["code"].as_str().unwrap().to_owned();
        let states = async || {
            let shown = admin.post("/v1/subjects/accounts/search", &json!({"subject": "cx:1"})).await.is(200);
            let accounts = shown["accounts"].as_array().unwrap().clone();
            accounts.iter().map(|it| it["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        // The page that links back is nobody's who is known, and the code is not there.
        let forge = Elsewhere::start(github).await;
        begin(&admin, "github", &forge).await;
        assert_eq!(pulled(&app, "github").await.proven, 0);
        assert_eq!(pulled(&app, "mastodon").await.proven, 0);
        assert_eq!(states().await, ["pending", "pending"]);
        assert!(held(&app, "cx:1").await.is_empty());
        // The code is there; and the page that links back is theirs, then.
        app.world.pass(SignedDuration::from_mins(10).as_secs());
        forge.answer(move |asked| match asked.target.as_str() {
            "/users/ada" => Reply::json(&json!({"login": "ada", "followers": 77, "bio": format!("Engines. {code}")})),
            _ => Reply::json(&json!([])),
        });
        let report = pulled(&app, "github").await;
        assert_eq!((report.proven, report.signals), (1, 1));
        assert_eq!(pulled(&app, "mastodon").await.proven, 1);
        assert_eq!(states().await, ["proven", "proven"]);
        assert_eq!(held(&app, "cx:1").await.len(), 7);
        // It lasts, though the code is taken away.
        app.world.pass(30 * 86_400);
        assert_eq!(states().await, ["proven", "proven"]);
        assert_eq!(admin.put("/v1/subjects/accounts", &put).await.is(200)["accounts"][0]["state"], "proven");
        // Unlinked, nothing of it is left.
        admin.put("/v1/subjects/accounts", &json!({"subject": "cx:1", "accounts": []})).await.is(200);
        assert!(held(&app, "cx:1").await.is_empty());
    }
}
