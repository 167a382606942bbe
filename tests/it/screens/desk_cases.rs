//! What a person decides about a refusal or a referral, and the desk where it is handed out.

use serde_json::json;

use super::desk::{Desk, says};
use crate::support::app::TestApp;
use crate::support::page::hidden;

const BASE: &str = "https://perks.example.com";

/// One visit a day; those without a score are asked about.
const RULE: &str = r#"{"score":{"source":"klout","on_missing":"refer"},
    "tiers":[{"id":"main","name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
    "limits":[{"id":"person","scope":["subject"],"max":1,"window":{"calendar":"day"}}],
    "token":{"audience":"sfo-lounge","ttl":"PT30M"}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_overturned_refusal_is_handed_out_where_its_person_asks() {
    for app in TestApp::all_with(&[("link_base", BASE), ("rate_links", "0")]).await {
        app.lounge(RULE, "37.25").await;
        let (kiosk, admin, door) =
            (app.kiosk().await, app.admin(&app.cathay).await, app.door(&app.cathay, "sfo-lounge").await);
        let mut desk = Desk::new(&app, 'a').await;
        let refused = kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada"})).await;
        let (check, link) = (refused.text_of("check"), refused.text_of("link"));

        // Before anybody has decided, their page opens nothing here, and is nobody's name.
        let before = app.footprint().await;
        let early = desk.make("/desk/checks", &[("read", &link)]).await;
        assert_eq!(early.status, 422, "{}", early.text);
        says(&early.text, "own page, not their card");
        assert_eq!(app.footprint().await, before);

        kiosk.post(&format!("/v1/checks/{check}/contest"), &json!({"reason": "It was 44."})).await.is(201);
        let made = json!({"tier": "main", "note": "It was."});
        let made = admin.post(&format!("/v1/contests/{check}/overturn"), &made).await;
        made.is(201);
        desk.open("/desk").await;
        let handed = desk.ask("twitter:ada").await;
        says(&desk.page, "Main lounge</h1>");
        says(&desk.page, "The code for the door");
        desk.open("/desk").await;
        assert_eq!(desk.ask("twitter:ada").await, handed, "asked again it is the same grant");
        desk.open("/desk").await;
        assert_eq!(desk.ask(&link).await, handed, "their page leads to it too");
        assert_ne!(handed.rsplit_once('/').unwrap().1, check);

        // Once a door has taken it there is nothing to hand out: this is another visit.
        let token = made.text_of("token");
        door.post("/v1/tokens/redeem", &json!({"token": token, "door": "SFO-A-3", "attempt": "one"})).await.is(200);
        desk.open(&handed).await;
        says(&desk.page, "came in at");
        assert!(!desk.page.contains("The code for the door"), "{}", desk.page);
        desk.open("/desk").await;
        assert_ne!(desk.ask("twitter:ada").await, handed);
        says(&desk.page, "Not admitted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_referral_that_two_screens_share_is_worked_on_at_the_desk() {
    for app in TestApp::all().await {
        app.lounge(RULE, "50").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let mut desk = Desk::new(&app, 'a').await;
        let asked = kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:new"})).await;
        let shared = desk.ask("twitter:new").await;
        says(&desk.page, "A person decides this</h1>");
        let decision = json!({"decision": "grant", "tier": "main", "note": "in person"});
        admin.post(&format!("/v1/referrals/{}/decide", asked.text_of("check")), &decision).await;
        desk.open(&shared).await;
        says(&desk.page, "Main lounge</h1>");
        let tag = hidden(&desk.page, "tag");
        desk.act(&format!("{shared}/guests"), &[("people", "2"), ("tag", &tag)]).await;
        says(&desk.page, "<output aria-live=\"polite\">2</output>");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_has_expired_is_no_welcome_and_an_old_attempt_asks_for_the_next_guest() {
    for app in TestApp::all().await {
        app.lounge(RULE, "50").await;
        app.world.score(&app.cathay, "twitter:eve", "70").await;
        let mut desk = Desk::new(&app, 'a').await;
        let attempt = hidden(&desk.page, "attempt");
        let ada = desk.act("/desk/checks", &[("attempt", &attempt), ("read", "twitter:ada")]).await;
        says(&desk.page, "Welcome, please come in.");
        // The answer was lost, and the next guest is scanned on the page that was left.
        let next = [("attempt", attempt.as_str()), ("read", "twitter:eve")];
        let eve = desk.act("/desk/checks", &next).await;
        assert_ne!(eve, ada);
        assert_eq!(desk.act("/desk/checks", &next).await, eve, "sent again it is the same check");
        app.world.pass(1801);
        desk.open(&ada).await;
        says(&desk.page, "The code has expired</h1>");
        assert!(!desk.page.contains("Welcome") && !desk.page.contains("The code for the door"), "{}", desk.page);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_says_what_was_done_only_while_it_is_so() {
    let app = TestApp::start(&[]).await;
    app.lounge(RULE, "50").await;
    let mut desk = Desk::new(&app, 'a').await;
    // A time that has passed a moment ago is tomorrow's, and nobody has said so.
    desk.open("/desk/close").await;
    let past = hidden(&desk.page, "attempt");
    let asked = desk.make("/desk/close", &[("until", "18:30")]).await;
    assert_eq!(asked.status, 200, "{}", asked.text);
    says(&asked.text, "Until ");
    let sure = hidden(&asked.text, "sure");
    desk.open("/desk").await;
    assert!(!desk.page.contains("Closed until"), "{}", desk.page);
    let fields = [("attempt", past.as_str()), ("until", "18:30"), ("sure", sure.as_str())];
    desk.act("/desk/close", &fields).await;
    says(&desk.page, "Closed until");
    let closure = hidden(&desk.page, "closure");
    desk.act("/desk/open", &[("closure", closure.as_str())]).await;
    for (done, words) in [("closed", "The place is closed"), ("signed-in", "You are signed in")] {
        desk.open(&format!("/desk?done={done}")).await;
        assert!(!desk.page.contains(words), "{}", desk.page);
    }
}
