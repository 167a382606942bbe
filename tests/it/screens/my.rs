//! `/my/{link}`: the page of a person about their answer, without a script and in their language.

use perkgate::access::Role;
use perkgate::audit::Request;
use perkgate::foundation::entropy::Entropy;
use reqwest::Method;
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};

const BASE: &str = "https://perks.example.com";
const RULE: &str = r#"{"score":{"source":"klout"},
  "names":{"en":"SFO lounge","ja":"サンフランシスコのラウンジ"},
  "tiers":[{"id":"main","name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"person","scope":["subject"],"max":1,"window":{"calendar":"day"}}],
  "otherwise":{"offers":[{"text":{"en":"A day pass","es":"Un pase de día"},"price":{"amount":"59.00","currency":"USD"},"url":"https://example.com/pass"}]},
  "override":{"reasons":["courtesy"],"max":3,"window":{"calendar":"day"}}}"#;

async fn apps() -> Vec<TestApp> {
    TestApp::all_with(&[("link_base", BASE), ("rate_links", "0")]).await
}

async fn ask(client: &Client, who: &str) -> Reply {
    client.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": who})).await
}

fn path_of(answer: &Reply) -> String {
    answer.text_of("link").strip_prefix(BASE).unwrap().to_owned()
}

async fn open(guest: &Client, path: &str, languages: &str) -> Reply {
    guest.ask(Method::GET, path).header("accept-language", languages).await
}

/// Sends a form as the page does: its own headers say no referrer, so a browser names no origin.
async fn send(guest: &Client, path: &str, form: &str) -> Reply {
    let ask = guest.ask(Method::POST, path).header("origin", "null").header("sec-fetch-site", "same-origin");
    ask.form(form).await
}

#[track_caller]
fn says(page: &Reply, words: &[&str]) {
    for words in words {
        assert!(page.text.contains(words), "{words}: {}", page.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_why_and_what_would_change_it_and_nothing_else() {
    for app in apps().await {
        app.lounge(RULE, "37.25").await;
        let (kiosk, guest) = (app.kiosk().await, app.anonymous());
        let path = path_of(&ask(&kiosk, "twitter:ada").await);
        let before = app.footprint().await;
        let page = open(&guest, &path, "en-GB").await;
        assert_eq!(page.status, 200, "{}", page.text);
        says(
            &page,
            &[
                "Why you were not let in",
                "<b><bdi>3 points short</bdi></b> of the 40 that Main lounge asks for",
                "A score of 40 or more.",
                "Waiting alone does not change it.",
                "A day pass",
                "USD 59.00",
                "Ask a person to look again",
                "SFO lounge",
                "lang=\"en\" dir=\"ltr\"",
            ],
        );
        for secret in ["twitter:", "37.25", "token", "key_", "<script", "style="] {
            assert!(!page.text.contains(secret), "{secret}: {}", page.text);
        }
        let header = |name: &str| page.header(name).to_owned();
        assert_eq!([header("cache-control"), header("referrer-policy")], ["no-store", "no-referrer"]);
        assert!(
            header("content-security-policy").contains("default-src 'none'") && header("x-frame-options") == "DENY"
        );
        for (languages, words) in [
            ("zh-TW", &["未能入場的原因", "lang=\"zh-Hant\""][..]),
            ("zh-CN", &["未能入场的原因"]),
            ("es-MX", &["Por qué no se le permitió pasar", "faltan 3 puntos", "Un pase de día"]),
            ("ja", &["ご入場いただけなかった理由", "サンフランシスコのラウンジ"]),
            ("ar", &["dir=\"rtl\"", "3 نقاط"]),
            ("fr", &["Why you were not let in"]),
        ] {
            says(&open(&guest, &path, languages).await, words);
        }
        // What was chosen on the page goes on with it.
        let chosen = open(&guest, &format!("{path}?lang=es"), "ja").await;
        says(&chosen, &["Por qué no se le permitió pasar", "/record?lang=es", "/contest?lang=es"]);
        for tab in ["/record", "/erasure"] {
            assert_eq!(open(&guest, &format!("{path}{tab}"), "en").await.status, 200);
        }
        assert_eq!(app.footprint().await, before, "looking changes nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_granted_and_what_became_of_it_is_said() {
    for app in apps().await {
        app.lounge(RULE, "47.25").await;
        let (kiosk, guest) = (app.kiosk().await, app.anonymous());
        let granted = ask(&kiosk, "twitter:ada").await;
        let page = open(&guest, &path_of(&granted), "en").await;
        says(&page, &["You were let in", "Main lounge", "opens the door until"]);
        for secret in ["eyJ", "grt_", "47.25", "Ask a person"] {
            assert!(!page.text.contains(secret), "{secret}: {}", page.text);
        }
        let again = open(&guest, &path_of(&ask(&kiosk, "twitter:ada").await), "en").await;
        says(&again, &["Your next visit can begin <b><bdi>on", "Come again on"]);
        let grant = granted.text_of("grant");
        kiosk.post(&format!("/v1/grants/{grant}/undo"), &json!({"reason": "left"})).await.is(200);
        let undone = open(&guest, &path_of(&granted), "en").await;
        says(&undone, &["This was taken back"]);
        assert!(!undone.text.contains("opens the door"), "{}", undone.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contest_is_sent_from_the_page_and_its_answer_comes_there() {
    for app in apps().await {
        app.lounge(RULE, "37.25").await;
        let (kiosk, guest, admin) = (app.kiosk().await, app.anonymous(), app.admin(&app.cathay).await);
        let refused = ask(&kiosk, "twitter:ada").await;
        let (path, check) = (path_of(&refused), refused.text_of("check"));
        let contest = format!("{path}/contest");
        let empty = send(&guest, &contest, "reason=+%0D%0A").await;
        assert_eq!(empty.status, 422);
        says(&empty, &["Write a sentence", "aria-invalid=\"true\""]);
        let hostile = format!("%3C%2Ftextarea%3E%3Cscript%3E{}", "x".repeat(1000));
        let long = send(&guest, &contest, &format!("reason={hostile}")).await;
        assert_eq!(long.status, 422);
        says(&long, &["This is too long", "&#60;/textarea&#62;&#60;script&#62;xxx"]);
        // Several lines are one reason.
        let sent = send(&guest, &format!("{contest}?lang=en"), "reason=My+score+was+44.%0D%0AThis+morning.").await;
        assert_eq!((sent.status, sent.header("location")), (303, format!("{path}?lang=en").as_str()));
        let case = admin.get(&format!("/v1/contests/{check}")).await.is(200);
        assert_eq!((&case["reason"], &case["opened_by"]), (&json!("My score was 44. This morning."), &json!("person")));
        says(&open(&guest, &path, "en").await, &["You asked a person to look again", "Nobody has decided yet"]);
        // The same again, whose answer was lost; and another one, which is not taken for it.
        assert_eq!(send(&guest, &contest, "reason=My+score+was+44.+This+morning.").await.status, 303);
        let other = send(&guest, &contest, "reason=Another.").await;
        assert_eq!(other.status, 409);
        says(&other, &["What you wrote now was not added"]);
        admin.post(&format!("/v1/contests/{check}/uphold"), &json!({"note": "It stands."})).await.is(201);
        let decided = open(&guest, &path, "en").await;
        says(&decided, &["the answer is still no"]);
        assert!(!decided.text.contains("It stands"), "{}", decided.text);
        // What a desk made good meanwhile is said in its place.
        let made_good = ask(&kiosk, "twitter:cy").await;
        let by_hand = format!("/v1/checks/{}/override", made_good.text_of("check"));
        let desk = app.role(&app.cathay, Role::Desk).await;
        desk.post(&by_hand, &json!({"reason": "courtesy", "tier": "main"})).await.is(201);
        let path = path_of(&made_good);
        assert_eq!(send(&guest, &format!("{path}/contest"), "reason=It+is+me.").await.status, 303);
        says(&open(&guest, &path, "en").await, &["let you in all the same"]);
        let report =
            perkgate::audit::verify(&app.world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
        assert_eq!(report.unwrap().findings.listed().len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_and_an_erasure_are_asked_for_and_decided_by_the_merchant() {
    for app in apps().await {
        app.lounge(RULE, "37.25").await;
        let (kiosk, guest, admin) = (app.kiosk().await, app.anonymous(), app.admin(&app.cathay).await);
        let path = path_of(&ask(&kiosk, "twitter:ada").await);
        for (tab, kind, button) in
            [("/record", "record", "Ask for my record"), ("/erasure", "erasure", "Ask to be erased")]
        {
            let at = format!("{path}{tab}");
            says(&open(&guest, &at, "en").await, &[button, "cathay reads your request first"]);
            for _ in 0..2 {
                let sent = send(&guest, &at, "").await;
                assert_eq!((sent.status, sent.header("location")), (303, at.as_str()), "{}", sent.text);
            }
            let asked = open(&guest, &at, "en").await;
            says(&asked, &["You asked at", "cathay has not decided yet."]);
            assert!(!asked.text.contains("<form"), "{}", asked.text);
            let waiting = admin.get("/v1/subject-requests?status=open").await.is(200);
            let requests = waiting["requests"].as_array().unwrap();
            assert_eq!(requests.len(), 1, "asked twice, it is one: {waiting}");
            let id = requests[0]["request"].as_str().unwrap();
            assert_eq!(requests[0]["kind"], kind);
            admin.post(&format!("/v1/subject-requests/{id}/decline"), &json!({})).await.is(200);
            says(&open(&guest, &at, "en").await, &["cathay has declined", button]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_leads_nowhere_is_said_in_the_persons_language() {
    for app in apps().await {
        app.lounge(RULE, "37.25").await;
        let (kiosk, guest) = (app.kiosk().await, app.anonymous());
        let path = path_of(&ask(&kiosk, "twitter:ada").await);
        let (head, last) = path.split_at(path.len() - 1);
        let bent = format!("{head}{}", if last == "0" { "1" } else { "0" });
        for wrong in [bent.as_str(), "/my/x", &format!("/my/{}", "x".repeat(2000)), "/my/%3Cscript%3E"] {
            for tab in ["", "/record", "/erasure"] {
                let page = open(&guest, &format!("{wrong}{tab}"), "es").await;
                assert_eq!(page.status, 404, "{wrong}{tab}");
                says(&page, &["Esta página ya no está", "lang=\"es\""]);
                assert_eq!(page.header("referrer-policy"), "no-referrer");
            }
            let sent = send(&guest, &format!("{wrong}/contest"), "reason=x").await;
            assert_eq!(sent.status, 404);
        }
        app.world.pass(24 * 3600);
        says(&open(&guest, &path, "en").await, &["This page is over", "its day is over"]);
    }
}
