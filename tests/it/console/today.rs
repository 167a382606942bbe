//! Today: what the page says, what its stream brings, in which pace, to whom, and until when.

use std::process::Command;

use perkgate::access::{NewKey, Role};
use serde_json::{Value, json};

use super::browser::Browser;
use super::perks::words;
use crate::support::app::TestApp;
use crate::support::client::Client;
use crate::support::event_stream::EventStream;
use crate::support::services::{find, skip};
use crate::support::world::CLI;

const LOUNGE: &str = r#"{"time_zone":"America/Los_Angeles","score":{"source":"klout"},
    "tiers":[{"id":"main","name":"<b>Main</b> lounge","when":{"attr":"score","op":"gte","value":40}}],
    "limits":[{"id":"house-day","scope":["perk"],"max":200,"cost":"party","window":{"calendar":"day"}},
              {"id":"inside","scope":["perk"],"max":120,"cost":"party","window":{"concurrent":{"max_stay":"PT4H"}}}]}"#;

const EVENTS: &str = "/console/today/events?perk=sfo-lounge";

async fn kiosk(app: &TestApp) -> Client {
    let key = NewKey::of(Role::Kiosk, Some(app.cathay.id.clone()), "<i>kiosk</i>");
    app.client(NewKey { kiosk: Some("<u>A12</u>".to_owned()), ..key }).await
}

async fn check(kiosk: &Client, who: &str) -> String {
    let body = json!({"perk": "sfo-lounge", "subject": who, "context": {"party": 2}});
    kiosk.post("/v1/checks", &body).await.text_of("check")
}

/// A stream as a page opens it.
async fn open(app: &TestApp, browser: &Browser, path: &str, last: Option<&str>) -> EventStream {
    let last = last.map(|last| ("last-event-id", last));
    let headers: Vec<_> = [("cookie", browser.cookie.as_deref().unwrap())].into_iter().chain(last).collect();
    EventStream::open(&format!("http://{}{path}", app.address), &headers).await
}

/// The next event of this name: its id and its data.
async fn event(stream: &mut EventStream, name: &str) -> (String, Value) {
    loop {
        let block = stream.block().await.expect("an event");
        let mut lines = block.lines();
        let id = lines.next().and_then(|line| line.strip_prefix("id: ")).unwrap_or_default().to_owned();
        let Some((_, data)) = block.split_once(&format!("event: {name}\ndata: ")) else { continue };
        return (id, serde_json::from_str(data).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_has_the_day_without_a_script() {
    for app in TestApp::all().await {
        let admin = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        let auditor = Browser::logged_in(&app, Role::Auditor, "ann@cathay.example").await;
        assert!(admin.open("/console/today").await.into_text().contains("Make the first perk"));
        app.lounge(LOUNGE, "47").await;
        let empty = words(&admin.open("/console/today").await.into_text());
        assert!(empty.contains("Nobody has asked of late.") && empty.contains("Nothing was decided yet"), "{empty}");
        app.world.score(&app.cathay, "twitter:bob", "12").await;
        let kiosk = kiosk(&app).await;
        let granted = check(&kiosk, "twitter:ada").await;
        check(&kiosk, "twitter:bob").await;
        check(&kiosk, "twitter:zoe").await;
        let page = admin.open("/console/today?perk=sfo-lounge").await.into_text();
        let text = words(&page);
        for said in [
            "Tuesday 8 May, since 00:00 in Los Angeles",
            "house-day 2 of 200 people",
            "Score missing 1",
            "Score below threshold 1",
            "Kiosk &#60;i&#62;kiosk&#60;/i&#62;",
            "1 refusal without a score, 0 by one that is too old",
            "12:00:00 &#60;b&#62;Main&#60;/b&#62; lounge twitter:ada",
            "The score is 28 points short of the 40",
            "twitter:zoe There is no score for this person. 2 people. &#60;u&#62;A12&#60;/u&#62;",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
        assert!(page.contains(&format!("/console/checks/{granted}")), "{page}");
        assert!(!page.contains("<b>Main") && !page.contains("<u>") && !page.contains("<i>kiosk"), "{page}");
        let seen = auditor.open("/console/today").await.into_text();
        assert!(!seen.contains("twitter:") && seen.contains("There is no score for this person"), "{seen}");
        assert!(!seen.contains("28 points"), "what is personal is sealed for auditors: {seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_comes_once_in_order_and_at_most_five_at_a_time() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47").await;
        let admin = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        let auditor = Browser::logged_in(&app, Role::Auditor, "ann@cathay.example").await;
        let kiosk = kiosk(&app).await;
        let old = check(&kiosk, "twitter:old").await;
        let mut stream = open(&app, &admin, EVENTS, None).await;
        let mut sealed = open(&app, &auditor, EVENTS, None).await;
        let figures = event(&mut stream, "figures").await.1;
        assert!(figures["board"].as_str().unwrap().contains("Granted"), "{figures}");
        event(&mut sealed, "figures").await;
        let ada = check(&kiosk, "twitter:ada").await;
        let (first, news) = event(&mut stream, "decisions").await;
        let rows = news["rows"].as_str().unwrap();
        assert!(rows.contains(&ada) && rows.contains("twitter:ada") && !rows.contains(&old), "{rows}");
        assert!(!rows.contains("<b>Main") && !rows.contains("<u>"), "escaped as on the page: {rows}");
        assert_eq!(news["checks"], 1);
        let figures = event(&mut stream, "figures").await.1;
        assert!(figures["side"].as_str().unwrap().contains("2 of 200 people"), "{figures}");
        let seen = event(&mut sealed, "decisions").await.1;
        assert!(seen["rows"].as_str().unwrap().contains(&ada), "{seen}");
        assert!(!seen["rows"].as_str().unwrap().contains("twitter:"), "auditors have pseudonyms: {seen}");

        // A crowd, by another replica too: at most five rows at once, and all are counted.
        let mut expected = 8;
        for nth in 0..8 {
            check(&kiosk, &format!("twitter:crowd{nth}")).await;
        }
        let mut last = String::new();
        while expected > 0 {
            let (id, news) = event(&mut stream, "decisions").await;
            let rows = news["rows"].as_str().unwrap();
            assert!(rows.matches("/console/checks/").count() <= 5, "{rows}");
            let checks = news["checks"].as_u64().unwrap();
            assert_eq!(rows.contains("class=\"more\""), checks > 5, "{news}");
            expected -= checks;
            last = id;
        }
        drop(stream);
        // One that comes back gets what it has not seen, with how many others there were, and nothing twice.
        let mut again = open(&app, &admin, EVENTS, Some(&first)).await;
        let (id, news) = event(&mut again, "decisions").await;
        let rows = news["rows"].as_str().unwrap();
        assert_eq!((&id, &news["checks"]), (&last, &json!(8)));
        assert!(rows.contains("and 3 more") && rows.contains("crowd7") && !rows.contains("crowd2"), "{rows}");
        drop(again);
        let mut again = open(&app, &admin, EVENTS, Some(&last)).await;
        event(&mut again, "figures").await;
        let late = check(&kiosk, "twitter:late").await;
        let news = event(&mut again, "decisions").await.1;
        assert!(news["checks"] == 1 && news["rows"].as_str().unwrap().contains(&late), "{news}");
        // The page's own place does the same; what was made up is as good as none. By another account, as those streams
        // that were dropped may count still.
        let admin = Browser::logged_in(&app, Role::Admin, "jo@cathay.example").await;
        let mut placed = open(&app, &admin, &format!("{EVENTS}&from={last}"), None).await;
        assert_eq!(event(&mut placed, "decisions").await.1["checks"], 1);
        let mut made_up = open(&app, &admin, EVENTS, Some("99999999999999999999")).await;
        event(&mut made_up, "figures").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_bounded_and_end_with_the_session_and_with_the_replica() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47").await;
        let mut admin = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        let other = Browser::logged_in(&app, Role::Admin, "jo@cathay.example").await;
        let kiosk = kiosk(&app).await;
        let mut streams = Vec::new();
        for _ in 0..4 {
            let mut stream = open(&app, &admin, EVENTS, None).await;
            event(&mut stream, "figures").await;
            streams.push(stream);
        }
        let refused = admin.open(EVENTS).await;
        assert_eq!(refused.status, 429, "{}", refused.text);
        let mut watching = open(&app, &other, EVENTS, None).await;
        event(&mut watching, "figures").await;
        let token = admin.form_token().await;
        let out = admin.send("/console/logout", &[("form_token", &token)]).await;
        assert_eq!(out.status, 303);
        // What is recorded then is shown to nobody who is logged out.
        check(&kiosk, "twitter:ada").await;
        for stream in &mut streams {
            while let Some(block) = stream.block().await {
                assert!(!block.contains("twitter:ada"), "{block}");
            }
        }
        let news = event(&mut watching, "decisions").await.1;
        assert_eq!(news["checks"], 1);
        // An idle session is over though its page was left open.
        app.world.pass(31 * 60);
        check(&kiosk, "twitter:zoe").await;
        while let Some(block) = watching.block().await {
            assert!(!block.contains("twitter:zoe"), "{block}");
        }
        let third = Browser::logged_in(&app, Role::Admin, "li@cathay.example").await;
        let mut last = open(&app, &third, EVENTS, None).await;
        event(&mut last, "figures").await;
        let ended = tokio::task::spawn_blocking(move || drop(app));
        while last.block().await.is_some() {}
        ended.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_for_who_is_logged_in_and_of_their_own_merchant() {
    let app = TestApp::start(&[]).await;
    app.lounge(LOUNGE, "47").await;
    let stranger = Browser::new(&app);
    assert_eq!(stranger.open(EVENTS).await.status, 303);
    let american = Browser::logged_in_at(&app, Some(&app.american), Role::Admin, "jo@american.example").await;
    assert_eq!(american.open(EVENTS).await.status, 404);
    let operator = Browser::logged_in(&app, Role::Operator, "op@perkgate.example").await;
    assert_eq!(operator.open(EVENTS).await.status, 403);
    let admin = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
    let head = admin.ask(reqwest::Method::HEAD, EVENTS, &[]).await;
    assert_eq!((head.status, head.header("content-type")), (200, "text/event-stream"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_comes_back_is_no_use_of_a_session() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47").await;
        let admin = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        app.world.pass(20 * 60);
        event(&mut open(&app, &admin, EVENTS, None).await, "figures").await;
        app.world.pass(11 * 60);
        assert_eq!(admin.open("/console/today").await.status, 303, "nobody used it for half an hour");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_are_those_of_the_perk_and_keys_those_that_work() {
    const REFERRING: &str = r#"{"score":{"source":"klout","on_missing":"refer"},
        "tiers":[{"id":"main","name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}]}"#;
    for app in TestApp::all_with(&[("rate_per_key", "0")]).await {
        app.lounge(REFERRING, "47").await;
        app.world.perk(&app.cathay, "hkg-lounge", REFERRING).await;
        let directory = &app.world.gateway.directory;
        let owner = || Some(app.cathay.id.clone());
        let door = |label: &str| {
            let audience = Some("hkg-lounge".to_owned());
            NewKey { audience, ..NewKey::of(Role::Door, owner(), label) }
        };
        for nth in 0..25 {
            let (key, _) = directory.create_key(door(&format!("old{nth}")), CLI).await.unwrap();
            directory.revoke_key(owner(), key.id, CLI).await.unwrap();
        }
        for nth in 0..13 {
            directory.create_key(door(&format!("gate{nth:02}")), CLI).await.unwrap();
        }
        let kiosk = kiosk(&app).await;
        for nth in 0..101 {
            check(&kiosk, &format!("twitter:guest{nth}")).await;
        }
        let body = json!({"perk": "hkg-lounge", "subject": "twitter:kenji"});
        kiosk.post("/v1/checks", &body).await.is(200);
        let admin = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        let page = words(&admin.open("/console/today?perk=hkg-lounge").await.into_text());
        assert!(page.contains("With a person 1 1 the first since"), "{page}");
        assert!(!page.contains("Door old") && page.matches("Door gate").count() == 10, "{page}");
        assert!(page.contains("3 doors more, seen later than these"), "{page}");
        let page = words(&admin.open("/console/today?perk=sfo-lounge").await.into_text());
        assert!(page.contains("With a person 101"), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_perks_one_is_typed() {
    let app = TestApp::start(&[("rate_per_key", "0")]).await;
    let admin = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
    for nth in 0..100 {
        app.world.perk(&app.cathay, &format!("perk-{nth:03}"), LOUNGE).await;
    }
    let listed = admin.open("/console/today").await.into_text();
    assert!(listed.contains("<select id=\"perk\"") && !listed.contains("<datalist"), "{listed}");
    app.world.perk(&app.cathay, "zzz-lounge", LOUNGE).await;
    let typed = admin.open("/console/today").await.into_text();
    assert!(typed.contains("<input id=\"perk\"") && typed.contains("value=\"perk-000\""), "{typed}");
    assert_eq!(admin.open("/console/today?perk=zzz-lounge").await.status, 200);
    // The first that decides, however many are before it.
    let client = app.admin(&app.cathay).await;
    for nth in 0..100 {
        client.post(&format!("/v1/perks/perk-{nth:03}/pause"), &json!({"change_note": "Closed."})).await.is(200);
    }
    let first = admin.open("/console/today").await.into_text();
    assert!(first.contains("/console/today?perk=zzz-lounge"), "{first}");
}

#[test]
fn a_held_list_counts_checks() {
    const RUNNER: &str = r#"
const part = () => ({ dataset: { live: "/events" }, children: [], listeners: {}, attributes: {}, hidden: true,
  addEventListener(name, does) { this.listeners[name] = does; }, setAttribute(name, value) { this.attributes[name] = value; },
  insertAdjacentHTML(_, html) { this.children.push(html); }, remove() {}, contains: () => false });
const parts = new Map();
globalThis.document = { querySelector: (name) => parts.get(name) ?? (parts.set(name, part()), parts.get(name)) };
let events;
globalThis.EventSource = class { constructor() { events = Object.assign(this, part()); } };
globalThis.setInterval = () => 0;
await import("./today.mjs");
const hold = parts.get("[data-hold]");
const said = [];
const news = (checks) => events.listeners.decisions({ data: JSON.stringify({ rows: `<tr>${checks}</tr>`, checks }) });
hold.listeners.click();
said.push(hold.textContent);
news(3);
news(4);
said.push(hold.textContent);
hold.listeners.click();
said.push(hold.textContent, parts.get("[data-rows]").children.length);
hold.listeners.click();
said.push(hold.textContent);
console.log(JSON.stringify(said));
"#;
    if find("node").is_none() {
        skip("a list that is held", "Node 20 or newer");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let module = include_str!("../../../src/console/scripts/today.js");
    std::fs::write(directory.path().join("today.mjs"), module).unwrap();
    std::fs::write(directory.path().join("run.mjs"), RUNNER).unwrap();
    let output = Command::new("node").current_dir(&directory).arg("run.mjs").output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(said, json!(["Go on", "Go on: 7 new", "Hold the list", 2, "Go on"]));
}
