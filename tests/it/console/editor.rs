//! Rules as forms: what a form can't say remains, what is typed is checked and saved, and nobody's work is lost.

use std::collections::BTreeMap;

use perkgate::access::Role;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::browser::{Browser, hidden};
use crate::oracle::generate;
use crate::support::app::TestApp;
use crate::support::client::Reply;

const RULE: &str = "/console/perks/sfo-lounge/rule";

const LOUNGE: &str = r#"{"time_zone":"America/Los_Angeles","score":{"source":"klout","max_age":"P7D"},
    "schedule":{"open":[{"days":["mon","tue"],"from":"06:00","to":"23:00"}]},
    "when":{"any":[{"attr":"context.terminal","op":"eq","value":"A"},{"attr":"context.vip","op":"eq","value":true}]},
    "tiers":[{"id":"first","rank":2,"name":"First","when":{"attr":"score","op":"gte","value":60}},
             {"id":"main","rank":1,"name":"Main","when":{"attr":"score","op":"gte","value":40}}],
    "limits":[{"id":"person-day","scope":["subject"],"max":1,"window":{"calendar":"day"}}]}"#;

/// The text that a page's markup stands for.
fn unescaped(text: &str) -> String {
    let marks = [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")];
    marks.into_iter().fold(text.to_owned(), |text, (mark, letter)| text.replace(mark, letter))
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    tag.split_once(&format!(" {name}=\""))?.1.split_once('"').map(|(value, _)| value)
}

/// The fields of the rule's form with what they hold, as a browser sends them; its buttons left out.
#[track_caller]
fn fields(page: &str) -> BTreeMap<String, String> {
    let form = page.split_once("class=\"rule-editor\"").unwrap_or_else(|| panic!("no form in {page}")).1;
    let form = form.split_once("</form>").unwrap().0;
    let mut fields = BTreeMap::new();
    for (at, _) in form.match_indices('<') {
        let (tag, rest) = form[at..].split_once('>').unwrap();
        let Some(name) = attribute(tag, "name").map(unescaped) else { continue };
        let value = match tag.split(' ').next().unwrap() {
            "<input" if tag.contains("type=\"checkbox\"") && !tag.ends_with(" checked") => continue,
            "<input" => unescaped(attribute(tag, "value").unwrap_or("on")),
            "<textarea" => {
                unescaped(rest.strip_prefix('\n').unwrap().split_once("</textarea>").unwrap().0).replace('\n', "\r\n")
            }
            "<select" => {
                let options = rest.split_once("</select>").unwrap().0;
                let chosen =
                    options.split("<option").find(|option| option.split('>').next().unwrap().ends_with(" selected"));
                unescaped(attribute(chosen.unwrap_or_else(|| panic!("{name}: {options}")), "value").unwrap())
            }
            _ => continue,
        };
        assert!(fields.insert(name.clone(), value).is_none(), "{name} stands twice");
    }
    fields
}

async fn send(browser: &mut Browser, fields: &BTreeMap<String, String>, button: &str) -> Reply {
    let mut all: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    all.push(("do", button));
    browser.send(RULE, &all).await
}

#[track_caller]
fn put(fields: &mut BTreeMap<String, String>, name: &str, value: &str) {
    assert!(fields.insert(name.to_owned(), value.to_owned()).is_some(), "no field {name}: {:?}", fields.keys());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_nobody_touched_saves_the_very_rule() {
    let app = TestApp::start(&[]).await;
    app.lounge(LOUNGE, "50").await;
    let admin = app.admin(&app.cathay).await;
    let mut browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
    let mut rules: Vec<String> = vec![LOUNGE.to_owned()];
    let mut runner = TestRunner::deterministic();
    rules.extend((0..60).map(|_| generate::rule().new_tree(&mut runner).unwrap().current()));
    rules.extend((0..60).map(|_| generate::timed_rule().new_tree(&mut runner).unwrap().current()));
    let mut tried = 0;
    for rule in rules {
        let body = format!(r#"{{"rule":{rule},"publish":false}}"#);
        let made = admin.ask(reqwest::Method::POST, "/v1/perks/sfo-lounge/versions").json(body).await;
        // The rules of the corpus may name what this merchant has not declared.
        if made.status != 201 {
            continue;
        }
        tried += 1;
        let version = serde_json::from_str::<Value>(&made.text).unwrap()["version"].as_i64().unwrap();
        let at = format!("/v1/perks/sfo-lounge/versions/{version}");
        let before = admin.get(&at).await.is(200);
        let page = browser.open(&format!("{RULE}?version={version}")).await.into_text();
        let mut all = fields(&page);
        assert_eq!(all["version"], version.to_string());
        // Twice: once as it came, once after a look at it.
        let looked = send(&mut browser, &all, "check").await;
        assert_eq!(looked.status, 200, "{}", looked.text);
        all = fields(&looked.text);
        all.insert("note".to_owned(), "only a note".to_owned());
        let saved = send(&mut browser, &all, "save").await;
        assert_eq!(saved.status, 303, "{rule}: {}", saved.text);
        let after = admin.get(&at).await.is(200);
        assert_eq!(after["rule_hash"], before["rule_hash"], "{rule}");
        assert_eq!(after["change_note"], "only a note");
    }
    assert!(tried > 20, "{tried}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_written_by_fields_and_buttons_alone() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "50").await;
        let admin = app.admin(&app.cathay).await;
        let mut browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;

        // What decides is read only, until someone begins to change it.
        let page = browser.open(RULE).await.into_text();
        assert!(page.contains("<fieldset class=\"panel sheet\" disabled>") && page.contains("Change it"), "{page}");
        assert!(!page.contains("Save draft") && !page.contains("/rule.js\""), "{page}");
        let begun = send(&mut browser, &fields(&page), "change").await;
        assert_eq!((begun.status, begun.header("location")), (303, "/console/perks/sfo-lounge/rule?version=2"));
        let page = browser.open(begun.header("location")).await.into_text();
        assert!(page.contains("You are writing") && page.contains("Save draft"), "{page}");
        // The either–or has no field; it is shown, and remains.
        assert!(page.contains("Kept as it is") && page.contains("terminal is A or vip is true"), "{page}");

        let before = app.footprint().await;
        let mut all = fields(&page);
        put(&mut all, "/tiers/1/when/value", "forty");
        let added = send(&mut browser, &all, "add:tier").await;
        assert_eq!(added.status, 200, "{}", added.text);
        let mut all = fields(&added.text);
        assert_eq!(all["/tiers/1/when/value"], "forty", "what was typed remains");
        assert!(added.text.contains("href=\"#/tiers/1/when/value\""), "{}", added.text);
        put(&mut all, "/tiers/1/when/value", "45,5");
        put(&mut all, "/tiers/2/name", "Garden <b>room</b>");
        put(&mut all, "/tiers/2/rank", "3");
        put(&mut all, "/tiers/2/when", "80");
        put(&mut all, "/tiers/2/guests/max", "2");
        put(&mut all, "/tiers/2/messages", "en: For the <few>.\r\nzh-Hant: 少數");
        put(&mut all, "/token/ttl", "half an hour");
        let refused = send(&mut browser, &all, "save").await;
        assert_eq!(refused.status, 422, "{}", refused.text);
        assert!(
            refused.text.contains("href=\"#/token/ttl\"") && refused.text.contains("half an hour"),
            "{}",
            refused.text
        );
        assert!(!refused.text.contains("<b>room") && !refused.text.contains("<few>"), "{}", refused.text);
        let mut all = fields(&refused.text);
        put(&mut all, "/token/ttl", "30 minutes");
        all.remove("/schedule/open/0/days/tue");
        all.insert("/schedule/open/0/days/sun".to_owned(), "on".to_owned());
        put(&mut all, "/schedule/open/0/from", "7:00");
        put(&mut all, "/limits/0/window", "rolling");
        let asked = send(&mut browser, &all, "add:window:/when").await;
        assert_eq!(asked.status, 200);
        let mut all = fields(&asked.text);
        put(&mut all, "/limits/0/window/rolling", "1 day");
        put(&mut all, "/when/all/1/before", "2 hours");
        assert_eq!(app.footprint().await, before, "nothing was saved");
        let removed = send(&mut browser, &all, "remove:/tiers/0").await;
        let all = fields(&removed.text);
        let saved = send(&mut browser, &all, "save").await;
        assert_eq!(
            (saved.status, saved.header("location")),
            (303, "/console/perks/sfo-lounge/versions/2"),
            "{}",
            saved.text
        );
        let draft = admin.get("/v1/perks/sfo-lounge/versions/2").await.is(200);
        let rule = &draft["rule"];
        assert_eq!(rule["tiers"][0]["name"], "Garden <b>room</b>");
        assert_eq!(rule["tiers"][0]["when"]["value"], 80);
        assert_eq!(rule["tiers"][0]["messages"], json!({"en": "For the <few>.", "zh-Hant": "少數"}));
        assert_eq!(rule["tiers"][1]["when"]["value"], 45.5);
        assert_eq!(rule["schedule"]["open"], json!([{"days": ["mon", "sun"], "from": "07:00", "to": "23:00"}]));
        assert_eq!(rule["limits"][0]["window"], json!({"rolling": "P1D"}));
        assert_eq!(rule["token"]["ttl"], "PT30M");
        assert_eq!(rule["when"]["all"][0]["any"][0]["value"], "A", "the either–or is untouched");
        assert_eq!(rule["when"]["all"][1]["before"], "PT2H");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_at_once_both_see_what_the_other_wrote() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "50").await;
        let admin = app.admin(&app.cathay).await;
        admin
            .post(
                "/v1/perks/sfo-lounge/versions",
                &json!({"rule": serde_json::from_str::<Value>(LOUNGE).unwrap(), "publish": false}),
            )
            .await
            .is(201);
        let mut mei = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        let mut rafael = Browser::logged_in(&app, Role::Admin, "rafael@cathay.example").await;
        let (mut hers, mut his) =
            (fields(&mei.open(RULE).await.into_text()), fields(&rafael.open(RULE).await.into_text()));
        put(&mut his, "/tiers/1/when/value", "42");
        assert_eq!(send(&mut rafael, &his, "save").await.status, 303);
        put(&mut hers, "/tiers/1/when/value", "48");
        let lost = send(&mut mei, &hers, "save").await;
        assert_eq!(lost.status, 412, "{}", lost.text);
        assert!(lost.text.contains("rafael saved something meanwhile"), "{}", lost.text);
        assert!(
            lost.text.contains("<del>at least 42</del>") && lost.text.contains("<ins>at least 48</ins>"),
            "{}",
            lost.text
        );
        let kept = admin.get("/v1/perks/sfo-lounge/versions/2").await.is(200);
        assert_eq!(kept["rule"]["tiers"][1]["when"]["value"], 42);
        // Now that she has seen it, saving again is her decision.
        let again = send(&mut mei, &fields(&lost.text), "save").await;
        assert_eq!(again.status, 303, "{}", again.text);
        for (browser, by) in [(&mei, "you"), (&rafael, "mei")] {
            for path in [RULE, "/console/perks/sfo-lounge/rule.json"] {
                let page = browser.open(path).await.into_text();
                assert!(page.contains("Saved at <time") && page.contains(&format!("</time> by {by}.")), "{page}");
            }
        }

        // A draft that was published meanwhile is none any more: she is told so before what she typed becomes another one.
        let mut hers = fields(&mei.open(RULE).await.into_text());
        admin.post("/v1/perks/sfo-lounge/versions/2/publish", &json!({})).await.is(200);
        put(&mut hers, "/tiers/1/when/value", "50");
        let told = send(&mut mei, &hers, "save").await;
        assert_eq!(told.status, 412, "{}", told.text);
        assert!(told.text.contains("It has changed meanwhile") && told.text.contains("no draft now"), "{}", told.text);
        assert_eq!(admin.get("/v1/perks/sfo-lounge/versions/3").await.status, 404, "no draft was made unseen");
        let again = send(&mut mei, &fields(&told.text), "save").await;
        assert_eq!(
            (again.status, again.header("location")),
            (303, "/console/perks/sfo-lounge/versions/3"),
            "{}",
            again.text
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_goes_on_as_text_overwrites_nothing_unseen() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "50").await;
        let admin = app.admin(&app.cathay).await;
        let draft = json!({"rule": serde_json::from_str::<Value>(LOUNGE).unwrap(), "publish": false});
        admin.post("/v1/perks/sfo-lounge/versions", &draft).await.is(201);
        let mut mei = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        let mut rafael = Browser::logged_in(&app, Role::Admin, "rafael@cathay.example").await;
        let hers = fields(&mei.open(RULE).await.into_text());
        let mut his = fields(&rafael.open(RULE).await.into_text());
        put(&mut his, "/tiers/1/when/value", "42");
        assert_eq!(send(&mut rafael, &his, "save").await.status, 303);
        let text = send(&mut mei, &hers, "text").await;
        assert_eq!(text.status, 200, "{}", text.text);
        let save = async |mei: &mut Browser, page: &str, text: &str| {
            let [token, version, etag] = ["form_token", "version", "etag"].map(|name| hidden(page, name));
            let sent = [
                ("form_token", token.as_str()),
                ("version", version.as_str()),
                ("etag", etag.as_str()),
                ("text", text),
                ("save", "yes"),
            ];
            mei.send("/console/perks/sfo-lounge/rule.json", &sent).await
        };
        let short = "score: klout\nat_least: 48\n";
        let lost = save(&mut mei, &text.text, short).await;
        assert!(lost.status == 412 && lost.text.contains("was not saved"), "{}", lost.text);
        let kept = admin.get("/v1/perks/sfo-lounge/versions/2").await.is(200);
        assert_eq!(kept["rule"]["tiers"][1]["when"]["value"], 42, "what he saved stands");

        // The text of a draft that decides by now makes another draft only once she knows.
        let page = mei.open("/console/perks/sfo-lounge/rule.json?version=2").await.into_text();
        admin.post("/v1/perks/sfo-lounge/versions/2/publish", &json!({})).await.is(200);
        let told = save(&mut mei, &page, short).await;
        assert!(told.status == 412 && told.text.contains("Saving it again makes a new draft"), "{}", told.text);
        assert_eq!(admin.get("/v1/perks/sfo-lounge/versions/3").await.status, 404);
        let again = save(&mut mei, &told.text, short).await;
        assert_eq!(again.header("location"), "/console/perks/sfo-lounge/versions/3", "{}", again.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_with_a_comma_between_thousands_is_asked_for_again() {
    let app = TestApp::start(&[]).await;
    app.lounge(LOUNGE, "50").await;
    let mut browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
    let page = browser.open(RULE).await.into_text();
    let begun = send(&mut browser, &fields(&page), "change").await;
    let page = browser.open(begun.header("location")).await.into_text();
    let mut all = fields(&page);
    put(&mut all, "/limits/0/max", "1,000");
    let refused = send(&mut browser, &all, "save").await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert!(refused.text.contains("href=\"#/limits/0/max\""), "{}", refused.text);
    let mut all = fields(&refused.text);
    assert_eq!(all["/limits/0/max"], "1,000", "what was typed remains");
    put(&mut all, "/limits/0/max", "1000");
    assert_eq!(send(&mut browser, &all, "save").await.status, 303);
    let draft = app.admin(&app.cathay).await.get("/v1/perks/sfo-lounge/versions/2").await.is(200);
    assert_eq!(draft["rule"]["limits"][0]["max"], 1000);
    let token = browser.form_token().await;
    let tried = [("form_token", token.as_str()), ("score", "1,000"), ("people", "1")];
    let refused = browser.send("/console/perks/sfo-lounge/try", &tried).await;
    assert!(refused.status == 422 && refused.text.contains("The score can’t be that"), "{}", refused.text);
    let source = [("form_token", token.as_str()), ("name", "kred"), ("min", "0"), ("max", "1,000")];
    let refused = browser.send("/console/sources", &source).await;
    assert!(refused.status == 422 && refused.text.contains("id=\"max-e\""), "{}", refused.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn form_and_text_go_on_with_each_other() {
    let app = TestApp::start(&[]).await;
    app.lounge(LOUNGE, "50").await;
    let mut browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
    let mut all = fields(&browser.open(RULE).await.into_text());
    put(&mut all, "/tiers/1/when/value", "44");
    let text = send(&mut browser, &all, "text").await;
    assert_eq!(text.status, 200, "{}", text.text);
    assert!(text.text.contains("value: 44") && text.text.contains("Rule as text"), "{}", text.text);
    let token = browser.form_token().await;
    let short = "# ours\nscore: klout\nat_least: 41\n";
    let sent = [("form_token", token.as_str()), ("version", "1"), ("text", short), ("form", "yes")];
    let form = browser.send("/console/perks/sfo-lounge/rule.json", &sent).await;
    assert_eq!(form.status, 200, "{}", form.text);
    assert_eq!(fields(&form.text)["/tiers/0/when/value"], "41");
    let broken = [("form_token", token.as_str()), ("version", "1"), ("text", "a: ["), ("form", "yes")];
    let refused = browser.send("/console/perks/sfo-lounge/rule.json", &broken).await;
    assert!(refused.text.contains("One thing stops it") && refused.text.contains("a: ["), "{}", refused.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_as_it_stands_is_judged_for_its_script() {
    let app = TestApp::start(&[]).await;
    app.lounge(LOUNGE, "50").await;
    let mut browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
    let mut all = fields(&browser.open(RULE).await.into_text());
    put(&mut all, "/tiers/0/when/value", "400");
    let before = app.footprint().await;
    let check = async |browser: &mut Browser, all: &BTreeMap<String, String>| {
        let all: Vec<_> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        browser.send(&format!("{RULE}/check"), &all).await
    };
    let found = check(&mut browser, &all).await;
    assert_eq!(found.status, 200, "{}", found.text);
    assert!(
        found.text.contains("data-field=\"/tiers/0/when/value\"") && !found.text.contains("<html"),
        "{}",
        found.text
    );
    assert_eq!(app.footprint().await, before);
    for (name, value, status) in
        [("base", "", 400), ("base", "[]", 400), ("base", "{", 400), ("version", "x", 404), ("version", "99", 404)]
    {
        let mut wrong = all.clone();
        put(&mut wrong, name, value);
        assert_eq!(check(&mut browser, &wrong).await.status, status, "{name} {value}");
    }
    // A document that says nothing a rule can is shown as what it is.
    put(&mut all, "base", r#"{"tiers":{"a":1},"limits":"none","when":[1],"<s>":["<dfn>"]}"#);
    let odd = send(&mut browser, &all, "save").await;
    assert_eq!(odd.status, 422, "{}", odd.text);
    assert!(!odd.text.contains("<s>") && !odd.text.contains("<dfn>"), "{}", odd.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_text_of_a_form_is_shown_and_never_run() {
    let app = TestApp::start(&[]).await;
    app.lounge(LOUNGE, "50").await;
    let mut browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
    let page = browser.open(RULE).await.into_text();
    let evil = "\"><script>alert(1)</script><img src=x>'";
    let mut all = fields(&page);
    let own = ["form_token", "version", "etag", "base"];
    let names: Vec<String> = all.keys().filter(|name| !own.contains(&name.as_str())).cloned().collect();
    assert!(names.len() > 20, "{names:?}");
    for name in &names {
        all.insert(name.clone(), evil.to_owned());
    }
    for button in ["check", "save", "add:tier", "text", evil] {
        let reply = send(&mut browser, &all, button).await;
        assert!(matches!(reply.status, 200 | 422), "{button}: {}", reply.text);
        assert!(reply.text.contains("&#60;script&#62;alert(1)"), "{button}: {}", reply.text);
        assert!(!reply.text.contains("<script>") && !reply.text.contains("<img"), "{button}: {}", reply.text);
    }
}
