//! Rules written as text in a page, new perks from templates, and rules tried on one person.

use perkgate::access::Role;
use serde_json::Value;

use super::browser::{Browser, hidden};
use crate::support::app::TestApp;

const RULE: &str = "/console/perks/sfo-lounge/rule.json";

/// Sends a form of a page, with its hidden fields.
async fn send(browser: &mut Browser, page: &str, to: &str, fields: &[(&str, &str)]) -> crate::support::client::Reply {
    let names = ["form_token", "version", "etag"];
    let hidden: Vec<_> = names
        .into_iter()
        .filter(|name| page.contains(&format!("name=\"{name}\"")))
        .map(|name| (name, hidden(page, name)))
        .collect();
    let all: Vec<_> =
        hidden.iter().map(|(name, value)| (*name, value.as_str())).chain(fields.iter().copied()).collect();
    browser.send(to, &all).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_checked_and_saved_and_nothing_written_is_lost() {
    for app in TestApp::all().await {
        app.lounge(r#"{"at_least":40,"score":"klout"}"#, "50").await;
        let mut browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        let page = browser.open(RULE).await.into_text();
        assert!(page.contains("value: 40") && page.contains("This is version 1"), "{page}");

        let before = app.footprint().await;
        let wrong = "# <ours>\nscore: klout\nat_least: 400\n";
        let checked = send(&mut browser, &page, RULE, &[("text", wrong)]).await.into_text();
        assert!(
            checked.contains("One thing stops it") && checked.contains("Line 3, <code>/at_least</code>"),
            "{checked}"
        );
        assert!(checked.contains("# &#60;ours&#62;"), "the text is kept, and is no HTML: {checked}");
        let refused = send(&mut browser, &page, RULE, &[("text", wrong), ("save", "yes")]).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
        for broken in ["a: [", "{\"at_least\": }", "", "- 1", "x: &a 1"] {
            let refused = send(&mut browser, &page, RULE, &[("text", broken), ("save", "yes")]).await;
            assert_eq!(refused.status, 422, "{broken}: {}", refused.text);
        }
        assert_eq!(app.footprint().await, before, "nothing was saved");

        let right = "score: klout\r\nat_least: 45 # or so\r\n";
        let checked = send(&mut browser, &page, RULE, &[("text", right)]).await.into_text();
        assert!(checked.contains("Nothing stops it"), "{checked}");
        let saved =
            send(&mut browser, &page, RULE, &[("text", right), ("note", "Fuller <lately>"), ("save", "yes")]).await;
        assert_eq!(
            (saved.status, saved.header("location")),
            (303, "/console/perks/sfo-lounge/versions/2"),
            "{}",
            saved.text
        );
        let admin = app.admin(&app.cathay).await;
        let draft = admin.get("/v1/perks/sfo-lounge/versions/2").await.is(200);
        assert_eq!(draft["change_note"], "Fuller <lately>");
        assert_eq!(draft["rule"]["tiers"][0]["when"]["value"], 45);

        // The draft comes first, and someone else's edit is not overwritten.
        let page = browser.open(RULE).await.into_text();
        assert!(page.contains("You are writing version 2"), "{page}");
        let first = send(&mut browser, &page, RULE, &[("text", "score: klout\nat_least: 46\n"), ("save", "yes")]).await;
        assert_eq!(first.status, 303, "{}", first.text);
        let second =
            send(&mut browser, &page, RULE, &[("text", "score: klout\nat_least: 47\n"), ("save", "yes")]).await;
        assert_eq!(second.status, 412, "{}", second.text);
        assert!(second.text.contains("at_least: 47") && second.text.contains("was not saved"), "{}", second.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_perk_is_begun_from_each_template() {
    for app in TestApp::all().await {
        let mut browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        let first = browser.open("/console/perks").await.into_text();
        assert!(first.contains("/console/new-perk?template=lounge"), "{first}");
        let page = browser.open("/console/new-perk?template=lounge").await.into_text();
        let rule =
            page.split_once("<textarea").unwrap().1.split_once('>').unwrap().1.split_once("</textarea>").unwrap().0;
        let rule = rule
            .replace("&#34;", "\"")
            .replace("&#39;", "'")
            .replace("&#60;", "<")
            .replace("&#62;", ">")
            .replace("&#38;", "&");
        let fields = [
            ("slug", "our-lounge"),
            ("name", "Our <lounge>"),
            ("purpose", "lounge"),
            ("text", rule.as_str()),
            ("save", "yes"),
        ];
        let made = send(&mut browser, &page, "/console/new-perk", &fields).await;
        assert_eq!(
            (made.status, made.header("location")),
            (303, "/console/perks/our-lounge/versions/1"),
            "{}",
            made.text
        );
        let again = send(&mut browser, &page, "/console/new-perk", &fields).await;
        assert_eq!(again.status, 409, "{}", again.text);
        assert!(again.text.contains("is a perk of this name already"), "{}", again.text);

        let wrong = [
            ("slug", "Our Lounge"),
            ("name", ""),
            ("purpose", "employment"),
            ("text", "at_least: x\n"),
            ("save", "yes"),
        ];
        let refused = send(&mut browser, &page, "/console/new-perk", &wrong).await;
        assert_eq!(refused.status, 422);
        for part in ["The short name can’t be", "must not decide", "/at_least"] {
            assert!(refused.text.contains(part), "{part}: {}", refused.text);
        }
        for template in ["flight-lounge", "priority-queue", "early-access", "member-offer", "members-only"] {
            let page = browser.open(&format!("/console/new-perk?template={template}")).await.into_text();
            assert!(page.contains("<textarea"), "{template}");
        }
        assert_eq!(browser.open("/console/new-perk?template=casino").await.status, 404);
        let admin = app.admin(&app.cathay).await;
        let perk = admin.get("/v1/perks/our-lounge").await.is(200);
        assert_eq!((&perk["purpose"], &perk["name"]), (&Value::from("lounge"), &Value::from("Our <lounge>")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_tried_on_one_person_part_by_part() {
    for app in TestApp::all().await {
        let rule = r#"{"time_zone":"America/Los_Angeles","score":{"source":"klout","max_age":"P7D"},
            "when":{"attr":"context.concourse","op":"eq","value":"A"},
            "tiers":[{"id":"main","name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
            "limits":[{"id":"person-day","scope":["subject"],"max":1,"window":{"calendar":"day"}}]}"#;
        app.lounge(rule, "47.25").await;
        let mut browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        let path = "/console/perks/sfo-lounge/try";
        let page = browser.open(path).await.into_text();
        assert!(page.contains("as 2012-05-08 12:00 in Los Angeles"), "the perk's own time: {page}");
        let before = app.footprint().await;
        let came =
            send(&mut browser, &page, path, &[("person", "twitter:ada"), ("facts", "concourse: A"), ("people", "1")])
                .await;
        let came = came.into_text();
        for part in [
            "Main lounge",
            "Score of at least 40",
            "47.25",
            "Concourse is A",
            "A klout score, at most 7 days old",
            "person-day",
        ] {
            assert!(came.contains(part), "{part}: {came}");
        }
        let not = send(&mut browser, &page, path, &[("score", "39"), ("facts", "concourse: <b>")]).await.into_text();
        assert!(not.contains("Not now") && not.contains("&#60;b&#62;") && not.contains("Did not hold"), "{not}");
        let wrong = send(
            &mut browser,
            &page,
            path,
            &[("at", "tomorrow"), ("people", "1000"), ("score", "900000000000000000000")],
        )
        .await;
        assert_eq!(wrong.status, 422);
        assert!(wrong.text.contains("3 things don’t fit"), "{}", wrong.text);
        let off = send(&mut browser, &page, path, &[("score", "101")]).await;
        assert_eq!(off.status, 422, "{}", off.text);
        assert_eq!(app.footprint().await, before, "nothing is recorded");
    }
}
