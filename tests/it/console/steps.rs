//! Steps that say what will happen: scheduled, rolled back, closed, paused; and who may take none of them.

use perkgate::access::Role;
use serde_json::{Value, json};

use super::browser::{Browser, hidden};
use crate::support::app::TestApp;
use crate::support::client::Reply;

const AT: &str = "/console/perks/sfo-lounge";
const RULE: &str = r#"{"time_zone":"America/Los_Angeles","score":{"source":"klout"},
    "tiers":[{"id":"main","when":{"attr":"score","op":"gte","value":40}}]}"#;

async fn drafted(app: &TestApp) {
    app.lounge(RULE, "47").await;
    let rule: Value = serde_json::from_str(&RULE.replace("40", "45")).unwrap();
    let body = json!({"rule": rule, "publish": false});
    app.admin(&app.cathay).await.post("/v1/perks/sfo-lounge/versions", &body).await.is(201);
}

async fn send(browser: &mut Browser, page: &str, to: &str, fields: &[(&str, &str)]) -> Reply {
    let token = hidden(&browser.open(page).await.into_text(), "form_token");
    let all: Vec<_> = [("form_token", token.as_str())].into_iter().chain(fields.iter().copied()).collect();
    browser.send(to, &all).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_begins_by_itself_at_its_instant() {
    for app in TestApp::all().await {
        drafted(&app).await;
        let mut browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        let at = format!("{AT}/versions/2");
        let page = browser.open(&at).await.into_text();
        assert!(page.contains("A time in Los Angeles, such as 2012-05-09 12:00"), "{page}");
        let etag = hidden(&page, "etag");
        let to = format!("{at}/schedule");
        for wrong in ["", "tomorrow <q>", "2012-05-08 11:00"] {
            let fields = [("etag", etag.as_str()), ("at", wrong), ("note", "For <spring>")];
            let refused = send(&mut browser, &at, &to, &fields).await;
            assert_eq!(refused.status, 422, "{wrong}: {}", refused.text);
            assert!(refused.text.contains("For &#60;spring&#62;") && !refused.text.contains("<q>"), "{}", refused.text);
            assert!(refused.text.contains("class=\"err\""), "{}", refused.text);
        }
        let fields = [("etag", etag.as_str()), ("at", "2012-05-09 06:00")];
        let scheduled = send(&mut browser, &at, &to, &fields).await;
        assert_eq!((scheduled.status, scheduled.header("location")), (303, at.as_str()), "{}", scheduled.text);
        let page = browser.open(&at).await.into_text();
        assert!(
            page.contains("scheduled") && page.contains("9 May, 06:00") && page.contains("Don’t begin by itself"),
            "{page}"
        );
        let admin = app.admin(&app.cathay).await;
        let version = admin.get("/v1/perks/sfo-lounge/versions/2").await.is(200);
        assert_eq!(version["scheduled_at"], "2012-05-09T13:00:00Z");
        // Against what was looked at before, nothing is done.
        let stale = send(&mut browser, &at, &format!("{at}/unschedule"), &[("etag", etag.as_str())]).await;
        assert_eq!(stale.status, 412, "{}", stale.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rolling_back_asks_on_a_page_of_its_own() {
    for app in TestApp::all().await {
        drafted(&app).await;
        let admin = app.admin(&app.cathay).await;
        admin.post("/v1/perks/sfo-lounge/versions/2/publish", &json!({})).await.is(200);
        let mut browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        let back = format!("{AT}/versions/1/rollback");
        let page = browser.open(&format!("{AT}/versions/1")).await.into_text();
        assert!(page.contains(&format!("href=\"{back}\"")), "{page}");
        let page = browser.open(&back).await.into_text();
        for part in
            ["Roll back to version 1?", "and version 2 no longer", "<del>at least 45</del>", "<ins>at least 40</ins>"]
        {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert_eq!(browser.open(&format!("{AT}/versions/2/rollback")).await.status, 409, "it decides");
        assert_eq!(browser.open(&format!("{AT}/versions/9/rollback")).await.status, 404);
        let etag = hidden(&page, "etag");
        let lost = send(&mut browser, &back, &back, &[("etag", "0000")]).await;
        assert_eq!(lost.status, 412, "{}", lost.text);
        let done = send(&mut browser, &back, &back, &[("etag", etag.as_str()), ("note", "Too few")]).await;
        assert_eq!((done.status, done.header("location")), (303, AT), "{}", done.text);
        let perk = admin.get("/v1/perks/sfo-lounge").await.is(200);
        assert_eq!(perk["published_version"], 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_closed_for_a_while_and_opened_again() {
    for app in TestApp::all().await {
        app.lounge(RULE, "47").await;
        let mut browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        let close = format!("{AT}/close");
        let page = browser.open(&close).await.into_text();
        assert!(page.contains("Nothing is closed by hand") && page.contains("such as 2012-05-08 14:00"), "{page}");
        let kiosk = app.kiosk().await;
        let ask = json!({"perk": "sfo-lounge", "subject": "twitter:ada"});
        assert_eq!(kiosk.post("/v1/checks", &ask).await.is(200)["decision"], "granted");

        let before = app.footprint().await;
        let long = "x".repeat(81);
        for fields in [
            [("until", "later <s>"), ("location", ""), ("message", "")],
            [("until", "2012-05-08 11:00"), ("location", ""), ("message", "")],
            [("until", "2012-05-08 18:00"), ("location", long.as_str()), ("message", "")],
            [("until", "2012-05-08 18:00"), ("location", ""), ("message", "en: One.\nTwo <dfn>.")],
        ] {
            let refused = send(&mut browser, &close, &close, &fields).await;
            assert_eq!(refused.status, 422, "{fields:?}: {}", refused.text);
            assert!(
                refused.text.contains("aria-invalid")
                    && !refused.text.contains("<s>")
                    && !refused.text.contains("<dfn>"),
                "{}",
                refused.text
            );
        }
        assert_eq!(app.footprint().await, before);
        let fields =
            [("until", "2012-05-08 18:00"), ("location", ""), ("message", "en: Back <soon>.\r\nzh-Hant: 稍後")];
        let closed = send(&mut browser, &close, &close, &fields).await;
        assert_eq!(
            (closed.status, closed.header("location")),
            (303, "/console/perks/sfo-lounge/close#closed"),
            "{}",
            closed.text
        );
        let page = browser.open(&close).await.into_text();
        assert!(
            page.contains("All of it") && page.contains("Back &#60;soon&#62;.") && page.contains("lang=\"zh-Hant\""),
            "{page}"
        );
        let refused = kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada"})).await.is(200);
        assert_eq!(refused["reasons"][0]["code"], "place_closed");

        let open = page.split_once("/console/perks/sfo-lounge/close/clo_").unwrap().1.split_once('"').unwrap().0;
        let open = format!("{close}/clo_{open}");
        // Another merchant's admin knows of no such place.
        let mut foreign = Browser::logged_in_at(&app, Some(&app.american), Role::Admin, "jo@american.example").await;
        let token = foreign.form_token().await;
        assert_eq!(foreign.send(&open, &[("form_token", &token)]).await.status, 404);
        assert_eq!(send(&mut browser, &close, &open, &[]).await.status, 303);
        let page = browser.open(&close).await.into_text();
        assert!(page.contains("Nothing is closed by hand"), "{page}");
        assert_eq!(send(&mut browser, &close, &open, &[]).await.status, 303, "it is open already");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_perk_is_paused_and_goes_on() {
    for app in TestApp::all().await {
        app.lounge(RULE, "47").await;
        let mut browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        let (close, status) = (format!("{AT}/close"), format!("{AT}/status"));
        assert!(browser.open(&close).await.into_text().contains("Pause it"));
        assert_eq!(send(&mut browser, &close, &status, &[("status", "retired")]).await.status, 404);
        let paused = send(&mut browser, &close, &status, &[("status", "paused"), ("note", "A <leak>")]).await;
        assert_eq!((paused.status, paused.header("location")), (303, AT), "{}", paused.text);
        let admin = app.admin(&app.cathay).await;
        assert_eq!(admin.get("/v1/perks/sfo-lounge").await.is(200)["status"], "paused");
        let page = browser.open(&close).await.into_text();
        assert!(page.contains("It is paused") && page.contains("A &#60;leak&#62;"), "{page}");
        assert_eq!(send(&mut browser, &close, &status, &[("status", "active")]).await.status, 303);
        assert_eq!(admin.get("/v1/perks/sfo-lounge").await.is(200)["status"], "published");
        admin.post("/v1/perks/sfo-lounge/retire", &json!({})).await.is(200);
        let page = browser.open(&close).await.into_text();
        assert!(page.contains("It is retired") && !page.contains("Pause it"), "{page}");
        let late = send(&mut browser, &close, &close, &[("until", "2012-05-08 18:00")]).await;
        assert_eq!(late.status, 409, "{}", late.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_shows_how_far_it_is_and_what_came_of_it() {
    for app in TestApp::all().await {
        drafted(&app).await;
        app.world.score(&app.cathay, "twitter:bob", "42").await;
        let kiosk = app.kiosk().await;
        for person in ["twitter:ada", "twitter:bob"] {
            let checked = kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": person})).await.is(200);
            assert_eq!(checked["decision"], "granted");
        }
        app.world.pass(60);
        let mut browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        let page = format!("{AT}/backtest");
        let empty = browser.open(&page).await.into_text();
        assert!(empty.contains("value=\"2012-05-01\"") && empty.contains("value=\"2012-05-08\""), "{empty}");
        let before = app.footprint().await;
        let found =
            send(&mut browser, &page, &page, &[("version", "2"), ("from", "2012-05-08"), ("to", "2012-05-08")]).await;
        assert_eq!(found.status, 200, "{}", found.text);
        let text = found.text;
        assert!(text.ends_with("</html>\n") || text.ends_with("</html>"), "{text}");
        assert!(text.contains("Looked at") && text.contains("<progress"), "{text}");
        for part in [
            "2 of 2 checks replayed.",
            "<dt>Same answer</dt><dd>1</dd>",
            "<dt>No longer in</dt><dd>1</dd>",
            "Score below threshold",
            "Who would have come, and who not",
            "aria-label=\"Checks by the score of then: 0 newly in, 1 no longer in, 1 in as before, 0 out as before;",
            r#"<th scope="row">42 to 43</th><td class="n">0</td><td class="n">0</td><td class="n">1</td><td class="n">0</td>"#,
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let same = send(&mut browser, &page, &page, &[("version", "1"), ("from", "2012-05-08"), ("to", "2012-05-08")])
            .await
            .into_text();
        assert!(same.contains("2 checks by this very rule came out exactly as then."), "{same}");
        for (fields, words) in [
            ([("version", "2"), ("from", "2012-05-09"), ("to", "2012-05-08")], "The period ends before it begins"),
            ([("version", "2"), ("from", "<q>"), ("to", "2012-05-08")], "is no day"),
            ([("version", "2"), ("from", "1990-01-01"), ("to", "2012-05-08")], "longer than"),
        ] {
            let refused = send(&mut browser, &page, &page, &fields).await;
            assert_eq!(refused.status, 422, "{fields:?} {}", refused.text);
            assert!(refused.text.contains(words) && !refused.text.contains("<q>"), "{words}: {}", refused.text);
        }
        assert_eq!(send(&mut browser, &page, &page, &[("version", "9")]).await.status, 404);
        assert_eq!(app.footprint().await, before, "nothing is recorded");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_is_counted_against_what_decides() {
    for app in TestApp::all().await {
        drafted(&app).await;
        for (nth, score) in ["20", "42", "43", "61"].into_iter().enumerate() {
            app.world.score(&app.cathay, &format!("twitter:p{nth}"), score).await;
        }
        let mut browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        let page = format!("{AT}/everyone");
        let before = app.footprint().await;
        let found = send(&mut browser, &page, &page, &[("version", "2"), ("people", "1")]).await;
        assert_eq!(found.status, 200, "{}", found.text);
        for part in [
            "5 people have a klout score",
            "Against version 1, which decides",
            "<dt>No longer in</dt><dd>2</dd>",
            "<dt>Refused</dt><dd>3</dd>",
            "Counted 5 of 5",
        ] {
            assert!(found.text.contains(part), "{part}: {}", found.text);
        }
        let wrong = send(&mut browser, &page, &page, &[("version", "2"), ("people", "0"), ("facts", "<q>: [")]).await;
        assert_eq!(wrong.status, 422, "{}", wrong.text);
        assert!(wrong.text.contains("2 things don’t fit") && !wrong.text.contains("<q>"), "{}", wrong.text);
        assert_eq!(app.footprint().await, before, "nothing is recorded");
        let none = json!({"rule": {"tiers": [{"id": "all"}]}, "publish": false});
        app.admin(&app.cathay).await.post("/v1/perks/sfo-lounge/versions", &none).await.is(201);
        let nobody = send(&mut browser, &page, &page, &[("version", "3")]).await;
        assert_eq!(nobody.status, 422);
        assert!(nobody.text.contains("there is nobody to count"), "{}", nobody.text);
    }
}
