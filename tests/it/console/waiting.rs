//! What waits for a person: the order, what is said, how it is decided, and what happened to it meanwhile.

use perkgate::access::{NewKey, Role};
use serde_json::json;

use super::browser::{Browser, hidden};
use super::perks::words;
use crate::support::app::TestApp;
use crate::support::client::Client;

const REFERRING: &str = r#"{"score":{"source":"klout","on_missing":"refer"},
    "tiers":[{"id":"first","rank":2,"name":"First lounge","when":{"attr":"score","op":"gte","value":60}},
             {"id":"main","rank":1,"name":"Main <b>lounge</b>","when":{"attr":"score","op":"gte","value":40}}]}"#;

const BASE: &str = "https://perks.example.com";

async fn apps() -> Vec<TestApp> {
    TestApp::all_with(&[("link_base", BASE), ("rate_failed_keys", "0")]).await
}

async fn here(app: &TestApp) -> Client {
    let key = NewKey::of(Role::Kiosk, Some(app.cathay.id.clone()), "test");
    app.client(NewKey { kiosk: Some("SFO <u>A12</u>".to_owned()), ..key }).await
}

async fn ask(kiosk: &Client, who: &str) -> String {
    let body = json!({"perk": "sfo-lounge", "subject": who, "context": {"party": 2}});
    kiosk.post("/v1/checks", &body).await.text_of("check")
}

async fn decide(browser: &mut Browser, path: &str, fields: &[(&str, &str)]) -> crate::support::client::Reply {
    let token = hidden(&browser.open("/console/account").await.into_text(), "form_token");
    let fields: Vec<_> = [("form_token", token.as_str())].into_iter().chain(fields.iter().copied()).collect();
    browser.send(path, &fields).await
}

#[tokio::test(flavor = "multi_thread")]
async fn people_at_a_kiosk_come_first_and_each_says_what_will_happen() {
    for app in apps().await {
        app.lounge(REFERRING, "37").await;
        let (kiosk, admin) = (here(&app).await, app.admin(&app.cathay).await);
        let mut browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        let nothing = browser.open("/console/waiting").await.into_text();
        assert!(nothing.contains("Nothing waits for you") && !nothing.contains("class=\"count\""), "{nothing}");

        let refused = kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada"})).await;
        let contested = refused.text_of("check");
        let reason = json!({"reason": "My score <script>alert(1)</script> was 44."});
        kiosk.post(&format!("/v1/checks/{contested}/contest"), &reason).await.is(201);
        let link = refused.text_of("link").replace(BASE, "/v1");
        app.anonymous().post(&format!("{link}/requests"), &json!({"kind": "erasure"})).await.is(201);
        let body = json!({"rule": serde_json::from_str::<serde_json::Value>(&REFERRING.replace("40", "45")).unwrap(),
            "change_note": "Full <i>evenings</i>."});
        admin.post("/v1/perks/sfo-lounge/versions", &body).await.is(201);
        admin.post("/v1/perks/sfo-lounge/versions/2/submit", &json!({})).await.is(200);
        app.world.pass(120);
        let asked = ask(&kiosk, "twitter:kenji").await;

        let page = browser.open("/console/waiting").await.into_text();
        let text = words(&page);
        assert!(page.contains("<span class=\"count\">4</span>"), "{page}");
        let places: Vec<_> = [
            "May twitter:kenji come into",
            "twitter:ada was refused at",
            "version 2:",
            "twitter:ada asks to be erased",
        ]
        .iter()
        .map(|said| text.find(said).unwrap_or_else(|| panic!("{said}: {text}")))
        .collect();
        assert!(places.is_sorted(), "{places:?}");
        for said in [
            "All 4 Left to a person 1 Contested 1 Rules to approve 1 Asked by people 1",
            "At SFO &#60;u&#62;A12&#60;/u&#62; for less than a minute",
            "There is no score for this person.",
            "2 people come.",
            "They are not let in, and the kiosk says so.",
            "Let in: Main &#60;b&#62;lounge&#60;/b&#62; 2 people are let in",
            "“My score &#60;script&#62;alert(1)&#60;/script&#62; was 44.”",
            "The refusal stands, and the case is closed.",
            "at least 40 → at least 45",
            "“Full &#60;i&#62;evenings&#60;/i&#62;.”",
            "They are erased when the last limit lets them go",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
        for kind in ["referral", "contest", "version", "request"] {
            let page = browser.open(&format!("/console/waiting?kind={kind}")).await.into_text();
            assert_eq!(page.matches("<article").count(), 1, "{kind}: {page}");
        }

        let path = format!("/console/waiting/cases/{asked}");
        let noteless = decide(&mut browser, &path, &[("tier", "main")]).await;
        assert!(noteless.status == 409 && noteless.text.contains("Nothing was decided"), "{}", noteless.text);
        assert_eq!(decide(&mut browser, &path, &[("note", "x")]).await.status, 422, "let in, or refuse");
        let done = decide(&mut browser, &path, &[("note", "Known to <b>us</b>."), ("tier", "main")]).await;
        assert_eq!((done.status, done.header("location")), (303, "/console/waiting"), "{}", done.text);
        let seen = kiosk.get(&format!("/v1/checks/{asked}")).await.is(200);
        assert_eq!(seen["referral"]["status"], "granted", "{seen}");
        let again = decide(&mut browser, &path, &[("note", "x"), ("refuse", "yes")]).await;
        assert_eq!(again.status, 409);
        assert!(again.text.contains("A person has decided this already"), "{}", again.text);

        let path = format!("/console/waiting/cases/{contested}");
        let done = decide(&mut browser, &path, &[("note", "It was 37."), ("refuse", "yes")]).await;
        assert_eq!(done.status, 303, "{}", done.text);
        assert_eq!(admin.get(&format!("/v1/contests/{contested}")).await.is(200)["status"], "upheld");
        let listed = admin.get("/v1/subject-requests").await.is(200);
        let path = format!("/console/waiting/requests/{}", listed["requests"][0]["request"].as_str().unwrap());
        assert_eq!(decide(&mut browser, &path, &[("confirms", "yes")]).await.status, 303);
        let listed = admin.get("/v1/subject-requests").await.is(200);
        assert_eq!(listed["requests"][0]["status"], "confirmed", "{listed}");
        let page = browser.open("/console/waiting").await.into_text();
        assert!(page.contains("<span class=\"count\">1</span>"), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_anothers_is_not_found_and_the_erased_can_only_be_closed() {
    for app in apps().await {
        app.lounge(REFERRING, "37").await;
        let (kiosk, admin) = (here(&app).await, app.admin(&app.cathay).await);
        let asked = ask(&kiosk, "twitter:kenji").await;
        let contested = ask(&kiosk, "twitter:ada").await;
        kiosk.post(&format!("/v1/checks/{contested}/contest"), &json!({"reason": "x"})).await.is(201);
        let mut american = Browser::logged_in_at(&app, Some(&app.american), Role::Admin, "jo@american.example").await;
        let mut browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        for case in [&asked, &contested, &"chk_00000000000070008000000000000001".to_owned()] {
            let path = format!("/console/waiting/cases/{case}");
            assert_eq!(decide(&mut american, &path, &[("note", "x"), ("refuse", "yes")]).await.status, 404);
        }
        assert_eq!(
            decide(
                &mut american,
                "/console/waiting/requests/srq_00000000000070008000000000000001",
                &[("confirms", "no")]
            )
            .await
            .status,
            404
        );
        assert!(american.open("/console/waiting").await.into_text().contains("Nothing waits for you"));

        // Another decides while the page is open; then the person of the other case is erased.
        let page = browser.open("/console/waiting").await.into_text();
        assert!(page.contains(&asked), "{page}");
        admin.post(&format!("/v1/referrals/{asked}/decide"), &json!({"decision": "denied", "note": "x"})).await.is(201);
        let late =
            decide(&mut browser, &format!("/console/waiting/cases/{asked}"), &[("note", "x"), ("tier", "main")]).await;
        assert!(late.status == 409 && late.text.contains("decided this already"), "{}", late.text);
        let third = ask(&kiosk, "twitter:zoe").await;
        let stale = browser.open("/console/waiting").await.into_text();
        assert!(stale.contains("twitter:zoe"), "{stale}");
        admin.post("/v1/subjects/erase", &json!({"subject": "twitter:zoe"})).await.is(200);
        let erased =
            decide(&mut browser, &format!("/console/waiting/cases/{third}"), &[("note", "x"), ("tier", "main")]).await;
        assert_eq!(erased.status, 409, "{}", erased.text);
        assert!(!erased.text.contains("twitter:zoe"), "{}", erased.text);
    }
}

/// The path of the page that goes on.
fn later(page: &str) -> Option<String> {
    let (link, _) = page.split_once("\">Later ones")?;
    let (_, path) = link.rsplit_once("href=\"")?;
    Some(path.replace("&#38;", "&").replace("&amp;", "&"))
}

/// The headlines of a page's cases.
fn headlines(page: &str) -> Vec<String> {
    let parts = page.split("<h2 id=\"h-").skip(1);
    parts.map(|part| part.split_once('>').unwrap().1.split_once("</h2>").unwrap().0.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_of_a_kind_come_page_by_page_the_first_that_asked_first() {
    for app in TestApp::all_with(&[("rate_per_key", "0")]).await {
        app.lounge(REFERRING, "37").await;
        let (kiosk, admin) = (here(&app).await, app.admin(&app.cathay).await);
        let browser = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        for nth in 0..23 {
            app.world.pass(1);
            ask(&kiosk, &format!("twitter:guest{nth:02}")).await;
        }
        let rule = serde_json::from_str::<serde_json::Value>(REFERRING).unwrap();
        for _ in 0..21 {
            admin.post("/v1/perks/sfo-lounge/versions", &json!({"rule": rule})).await.is(201);
        }
        // The last that was written is the first that is submitted.
        for version in (2..=22).rev() {
            app.world.pass(1);
            admin.post(&format!("/v1/perks/sfo-lounge/versions/{version}/submit"), &json!({})).await.is(200);
        }
        let page = browser.open("/console/waiting").await.into_text();
        assert!(words(&page).contains("All 44 Left to a person 23 Contested 0 Rules to approve 21"), "{page}");
        assert!(page.contains("class=\"count\">44<") && page.contains("The oldest 20 of a kind"), "{page}");
        assert_eq!((headlines(&page).len(), later(&page)), (40, None), "{page}");
        for (kind, first, last) in [
            ("referral", "May twitter:guest00 come", "May twitter:guest22 come"),
            ("version", "sfo-lounge, version 22:", "sfo-lounge, version 2:"),
        ] {
            let page = browser.open(&format!("/console/waiting?kind={kind}")).await.into_text();
            let rest = browser.open(&later(&page).expect("more of them")).await.into_text();
            let (shown, others) = (headlines(&page), headlines(&rest));
            assert_eq!((shown.len(), later(&rest)), (20, None), "{rest}");
            assert!(shown[0].contains(first) && others.last().unwrap().contains(last), "{shown:?} {others:?}");
            assert!(shown.iter().all(|it| !others.contains(it)), "{shown:?} {others:?}");
        }
        assert_eq!(browser.open("/console/waiting?kind=version&after=1.x.y").await.status, 404);
    }
}
