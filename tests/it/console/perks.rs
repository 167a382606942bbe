//! The board, a perk and its versions: what they say of today, and that names are shown as they are.

use perkgate::access::Role;
use serde_json::json;

use super::browser::{Browser, hidden};
use crate::support::app::TestApp;

const LOUNGE: &str = r#"{"time_zone":"America/Los_Angeles","score":{"source":"klout"},
    "schedule":{"open":[{"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"06:00","to":"23:30"}]},
    "tiers":[{"id":"first","rank":2,"name":"First lounge","when":{"attr":"score","op":"gte","value":60}},
             {"id":"standard","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
    "limits":[{"id":"house-day","scope":["perk"],"max":200,"cost":"party","window":{"calendar":"day"}},
              {"id":"inside","scope":["perk"],"max":120,"cost":"party","window":{"concurrent":{"max_stay":"PT4H"}}}]}"#;

/// The text of a page without its tags, each run of blanks as one.
pub(super) fn words(page: &str) -> String {
    let main = page.split_once("<main").unwrap().1;
    let mut text = String::new();
    for part in main.split('<') {
        text.push(' ');
        text.push_str(part.split_once('>').map_or(part, |(_, text)| text));
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_board_says_what_today_came_to() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47").await;
        app.world.score(&app.cathay, "twitter:bob", "12").await;
        let kiosk = app.kiosk().await;
        let check = async |who: &str, party: u8| {
            let body = json!({"perk": "sfo-lounge", "subject": who, "context": {"party": party}});
            kiosk.post("/v1/checks", &body).await.is(200)["decision"].as_str().unwrap().to_owned()
        };
        // Yesterday, by the perk's own day.
        assert_eq!(check("twitter:ada", 1).await, "granted");
        app.world.pass(24 * 3600);
        app.world.score(&app.cathay, "twitter:ada", "47").await;
        app.world.score(&app.cathay, "twitter:bob", "12").await;
        for (who, party, decision) in
            [("twitter:ada", 3, "granted"), ("twitter:ada", 1, "granted"), ("twitter:bob", 1, "denied")]
        {
            assert_eq!(check(who, party).await, decision);
        }
        let browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        let page = browser.open("/console/perks").await.into_text();
        let text = words(&page);
        assert!(text.contains("60 First lounge 40 Main lounge Open until 23:30 2 1 4 of 200 people"), "{text}");
        assert!(text.contains("4 of 120 people v1"), "{text}");
        assert_eq!(check("twitter:ada", 2).await, "granted");
        let text = words(&browser.open("/console/perks/sfo-lounge").await.into_text());
        assert!(
            text.contains("Granted today 3 Refused 1 Daily limit 6 of 200 people Inside 6 of 120 people"),
            "{text}"
        );
        assert!(text.contains("First lounge: for scores of at least 60."), "{text}");
        assert!(text.contains("Every day, 06:00–23:30."), "{text}");

        // 23:10 in San Francisco.
        app.world.clock.set("2012-05-10T06:10:00Z".parse().unwrap());
        let browser = Browser::logged_in(&app, Role::Admin, "night@cathay.example").await;
        let text = words(&browser.open("/console/perks").await.into_text());
        assert!(text.contains("Closes soon at 23:30, in 20 min"), "{text}");
        app.world.clock.set("2012-05-10T07:10:00Z".parse().unwrap());
        let browser = Browser::logged_in(&app, Role::Admin, "later@cathay.example").await;
        let text = words(&browser.open("/console/perks").await.into_text());
        assert!(text.contains("Closed opens 06:00 0 0 0 of 200 people"), "the day is over: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_has_pages_and_is_searched() {
    for app in TestApp::all().await {
        for nth in 0..51 {
            app.world.perk(&app.cathay, &format!("perk-{nth:02}"), r#"{"at_least":40,"score":"klout"}"#).await;
        }
        app.world.perk(&app.american, "perk-99", r#"{"at_least":40,"score":"klout"}"#).await;
        let browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        let first = browser.open("/console/perks").await.into_text();
        assert_eq!(first.matches("class=\"name\"").count(), 50);
        let second = browser.open("/console/perks?cursor=perk-49").await.into_text();
        assert!(second.matches("class=\"name\"").count() == 1 && second.contains("perk-50"), "{second}");
        assert!(first.contains("cursor=perk-49") && !second.contains("cursor="));
        let found = browser.open("/console/perks?q=K-0").await.into_text();
        assert_eq!(found.matches("class=\"name\"").count(), 10);
        for nothing in ["%25", "_", "perk-99", "%5C"] {
            let page = words(&browser.open(&format!("/console/perks?q={nothing}")).await.into_text());
            assert!(page.contains("No perk has"), "{nothing}: {page}");
        }
        let accents = json!({"perk": "ete", "name": "\u{c9}T\u{c9} lounge", "rule": {"at_least": 40, "score": "klout"}, "publish": true});
        app.admin(&app.cathay).await.post("/v1/perks", &accents).await.is(201);
        let found = browser.open("/console/perks?q=%C3%89T%C3%89").await.into_text();
        assert_eq!(found.matches("class=\"name\"").count(), 1, "capital letters with accents too");
        let past_the_end = words(&browser.open("/console/perks?cursor=zzz").await.into_text());
        assert!(past_the_end.contains("There are no more perks."), "{past_the_end}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_notes_are_shown_and_never_run() {
    let app = TestApp::start(&[]).await;
    let evil = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'";
    let admin = app.admin(&app.cathay).await;
    let rule = json!({"score": {"source": "klout"}, "tiers": [{"id": "t", "name": "<b>tier</b>", "when": {"attr": "score", "op": "gte", "value": 40}}],
        "when": {"attr": "context.gate", "op": "eq", "value": "<i>gate</i>"},
        "otherwise": {"offers": [{"text": {"en": "<script>offer</script>"}}]}});
    let made = json!({"perk": "sfo-lounge", "name": evil, "rule": rule, "publish": true, "change_note": evil});
    admin.post("/v1/perks", &made).await.is(201);
    let later = json!({"rule": {"at_least": 41, "score": "klout"}, "publish": false, "change_note": "<u>note</u>"});
    admin.post("/v1/perks/sfo-lounge/versions", &later).await.is(201);
    admin.post("/v1/perks/sfo-lounge/pause", &json!({"change_note": "<script>note</script>"})).await.is(200);
    let browser = Browser::logged_in(&app, Role::Admin, "<script>@cathay.example").await;
    for path in [
        "/console/perks",
        "/console/perks?q=%22%3E%3Cscript%3E",
        "/console/perks/sfo-lounge",
        "/console/perks/sfo-lounge/versions/1",
        "/console/perks/sfo-lounge/versions/2",
        "/console/account",
        "/console/login?return=/console/%22%3E%3Cscript%3E",
        "/console/nothing/%3Cscript%3E",
    ] {
        let page = browser.open(path).await.text;
        for tag in ["<script>", "<img", "<b>tier", "<i>gate", "<u>"] {
            assert!(!page.contains(tag), "{path} has {tag}: {page}");
        }
    }
    let page = browser.open("/console/perks").await.into_text();
    assert!(page.contains("&#34;&#62;&#60;script&#62;alert(1)"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_sent_approved_by_another_and_published() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47").await;
        let admin = app.admin(&app.cathay).await;
        admin.ask(reqwest::Method::PUT, "/v1/approvals").json(r#"{"required":true}"#).await.is(200);
        let mut author = Browser::logged_in(&app, Role::Admin, "rafael@cathay.example").await;
        let mut other = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        app.world.pass(60);
        let body = json!({"rule": {"at_least": 45, "score": "klout"}, "publish": false});
        admin.post("/v1/perks/sfo-lounge/versions", &body).await.is(201);
        let at = "/console/perks/sfo-lounge/versions/2";
        let step = async |browser: &mut Browser, step: &str| {
            let page = browser.open(at).await.into_text();
            let fields = [("form_token", hidden(&page, "form_token")), ("etag", hidden(&page, "etag"))];
            let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            browser.send(&format!("{at}/{step}"), &fields).await
        };
        let page = author.open(at).await.into_text();
        assert!(page.contains("Send for approval") && !page.contains("Publish now"), "{page}");
        assert_eq!(step(&mut other, "frobnicate").await.status, 404);
        assert_eq!(step(&mut author, "submit").await.status, 303);
        let refused = step(&mut author, "publish").await;
        assert_eq!(refused.status, 409, "{}", refused.text);
        assert!(
            words(&refused.text).contains("It has changed meanwhile") || refused.text.contains("409"),
            "{}",
            refused.text
        );
        assert_eq!(step(&mut other, "approve").await.status, 303);
        let page = author.open(at).await.into_text();
        assert!(page.contains("Approved by <strong>mei</strong>") && page.contains("Publish now"), "{page}");
        assert_eq!(step(&mut author, "publish").await.status, 303);
        let page = author.open("/console/perks/sfo-lounge").await.into_text();
        assert!(words(&page).contains("Version 2 decides."), "{page}");

        let old = "/console/perks/sfo-lounge/versions/1";
        let page = other.open(old).await.into_text();
        assert!(page.contains("Roll back to this"), "{page}");
    }
}
