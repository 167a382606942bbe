//! Screens in the console: made with a code, confirmed by words that are read off the screen itself, for ten minutes.

use perkgate::access::Role;
use perkgate::access::accounts::SecretToken;

use super::browser::Browser;
use crate::support::app::TestApp;
use crate::support::client::Reply;

const MEI: &str = "mei@cathay.example";
const RULE: &str = r#"{"at_least":40,"score":"klout"}"#;

async fn make(browser: &mut Browser, token: &str, fields: &[(&str, &str)]) -> Reply {
    let fields: Vec<_> = [("form_token", token), ("label", "SFO A12")].iter().chain(fields).copied().collect();
    browser.send("/console/devices", &fields).await
}

/// The code that a page shows: its letters, with blanks between.
fn code_of(page: &Reply) -> String {
    let board = page.text.split_once(r#"aria-label="The pairing code""#).expect("no code is shown").1;
    let letters = board.split_once(r#"<span class="vh">"#).and_then(|(_, rest)| rest.split_once("</span>"));
    letters.unwrap().0.replace(' ', "")
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_typed_as_the_screen_shows_them_and_are_over_after_ten_minutes() {
    for app in TestApp::all().await {
        app.lounge(RULE, "50").await;
        let mut browser = Browser::logged_in(&app, Role::Admin, MEI).await;
        let token = browser.form_token().await;
        let directory = &app.world.gateway.directory;
        let mut typed = Vec::new();
        for letter in ["a", "b"] {
            let made = make(&mut browser, &token, &[("role", "kiosk"), ("perk", "sfo-lounge")]).await;
            assert_eq!(made.status, 200, "{}", made.text);
            let held = SecretToken::parse(&letter.repeat(43)).unwrap();
            typed.push(directory.pair_device(&code_of(&made), &held).await.unwrap());
        }
        let devices = directory.list_devices(app.cathay.id.clone()).await.unwrap();
        let of = |words: &str| devices.iter().find(|it| it.words.as_deref() == Some(words)).unwrap().key.id.clone();
        let (first, second) = (of(&typed[0]), of(&typed[1]));
        let list = browser.open("/console/devices").await.into_text();
        assert!(!list.contains(&typed[0]) && !list.contains(&typed[1]), "they are read off the screen: {list}");
        assert!(list.contains(&format!(r#"<label for="words-{first}">"#)), "{list}");

        let confirm = |device: &str| format!("/console/devices/{device}/confirm");
        let wrong = [("form_token", token.as_str()), ("words", typed[1].as_str())];
        let refused = browser.send(&confirm(first.as_str()), &wrong).await;
        assert_eq!(refused.status, 422);
        assert!(refused.text.contains("Its screen shows two other words"), "{}", refused.text);
        assert!(refused.text.contains(r#"aria-invalid="true" aria-describedby="unconfirmed""#), "{}", refused.text);
        let shouted = format!("  {} ", typed[0].to_uppercase());
        let right = [("form_token", token.as_str()), ("words", shouted.as_str())];
        let confirmed = browser.send(&confirm(first.as_str()), &right).await;
        assert_eq!((confirmed.status, confirmed.header("location")), (303, "/console/devices"));

        app.world.pass(600);
        let list = browser.open("/console/devices").await.into_text();
        assert!(list.contains("code is over") && !list.contains(r#"name="words""#), "{list}");
        let late = [("form_token", token.as_str()), ("words", typed[1].as_str())];
        let refused = browser.send(&confirm(second.as_str()), &late).await;
        assert!(refused.status == 422 && refused.text.contains("typed too long ago"), "{}", refused.text);
        let works = directory.list_devices(app.cathay.id.clone()).await.unwrap();
        assert_eq!(works.iter().filter(|it| it.confirmed_at.is_some()).count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_is_for_a_perk_that_decides() {
    for app in TestApp::all().await {
        app.lounge(RULE, "50").await;
        let mut browser = Browser::logged_in(&app, Role::Admin, MEI).await;
        let token = browser.form_token().await;
        let refused = make(&mut browser, &token, &[("role", "kiosk"), ("perk", "none")]).await;
        assert_eq!(refused.status, 422);
        assert!(refused.text.contains(r#"id="perk-e""#) && refused.text.contains("no such perk"), "{}", refused.text);
        app.world.perk(&app.cathay, "hkg-lounge", RULE).await;
        let refused = make(&mut browser, &token, &[("role", "kiosk")]).await;
        assert_eq!(refused.status, 422);
        assert!(refused.text.contains("There are several perks"), "{}", refused.text);
        let devices = app.world.gateway.directory.list_devices(app.cathay.id.clone()).await.unwrap();
        assert_eq!(devices, []);
        let door = make(&mut browser, &token, &[("role", "door"), ("audience", "sfo-lounge")]).await;
        assert_eq!(door.status, 200, "{}", door.text);
    }
}
