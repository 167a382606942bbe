//! The second factor: set up with a code, asked for at each log-in, taken once, and replaced by recovery codes.

use aws_lc_rs::hmac;
use perkgate::access::Role;

use super::browser::{Browser, PASSWORD, hidden};
use crate::support::app::TestApp;
use crate::support::client::Reply;
use crate::support::world::CLI;

const MEI: &str = "mei@cathay.example";

/// The authenticator app of a person, as RFC 6238 has it.
pub(super) struct App(Vec<u8>);

impl App {
    fn of(page: &str) -> Self {
        let text = page.split_once("aria-label=\"The set-up key\">").unwrap().1.split_once('<').unwrap().0;
        let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
        for letter in text.bytes().filter(|letter| *letter != b' ') {
            let five = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|it| *it == letter).unwrap();
            (bits, count) = (bits << 5 | u32::try_from(five).unwrap(), count + 5);
            if count >= 8 {
                count -= 8;
                bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
            }
        }
        assert_eq!(bytes.len(), 20, "{text}");
        Self(bytes)
    }

    pub(super) fn code(&self, app: &TestApp) -> String {
        let step = app.world.now().as_second() / 30;
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let hash = tag.as_ref();
        let offset = usize::from(hash[19] & 15);
        let number = u32::from_be_bytes(hash[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
        format!("{:06}", number % 1_000_000)
    }
}

async fn log_in(app: &TestApp, code: &str) -> Reply {
    Browser::new(app).send("/console/login", &[("account", MEI), ("password", PASSWORD), ("code", code)]).await
}

/// Sets one up; the app and the recovery codes.
pub(super) async fn set_up(app: &TestApp, browser: &mut Browser) -> (App, Vec<String>) {
    let page = browser.open("/console/account/code").await.into_text();
    let (token, salt, phone) = (hidden(&page, "form_token"), hidden(&page, "salt"), App::of(&page));
    for wrong in ["", "000000", "12"] {
        let fields = [("form_token", token.as_str()), ("salt", &salt), ("code", wrong), ("password", PASSWORD)];
        let refused = browser.send("/console/account/code", &fields).await;
        assert!(refused.status == 422 && refused.text.contains("That is not the code of now."), "{}", refused.text);
        assert_eq!(hidden(&refused.text, "salt"), salt, "the key in the app still counts");
    }
    let code = phone.code(app);
    for (password, words) in [("", "Type your password too"), ("wrong", "That is not your password.")] {
        let fields = [("form_token", token.as_str()), ("salt", &salt), ("code", &code), ("password", password)];
        let refused = browser.send("/console/account/code", &fields).await;
        assert!(refused.status == 422 && refused.text.contains(words), "{}", refused.text);
    }
    let fields = [("form_token", token.as_str()), ("salt", &salt), ("code", &code), ("password", PASSWORD)];
    let made = browser.send("/console/account/code", &fields).await.into_text();
    let list = made.split_once("class=\"codes\"").unwrap().1;
    let codes: Vec<String> =
        list.split("<li>").skip(1).map(|item| item.split_once('<').unwrap().0.to_owned()).collect();
    assert_eq!(codes.len(), 10, "{made}");
    (phone, codes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_asks_for_a_code_and_takes_it_once() {
    for app in TestApp::all().await {
        let mut browser = Browser::logged_in(&app, Role::Admin, MEI).await;
        assert_eq!(log_in(&app, "").await.status, 303);
        let (phone, recovery) = set_up(&app, &mut browser).await;
        for wrong in ["", "000000", "AAAA-AAAA-AAAA-AAAA"] {
            let refused = log_in(&app, wrong).await;
            assert!(
                refused.status == 422 && refused.text.contains("This account asks for a code too"),
                "{}",
                refused.text
            );
        }
        let taken = phone.code(&app);
        assert_eq!(log_in(&app, &taken).await.status, 422, "it was taken when it was set up");
        app.world.pass(30);
        let code = phone.code(&app);
        let tries = (0..3).map(|_| log_in(&app, &code));
        let statuses: Vec<u16> = futures_util::future::join_all(tries).await.iter().map(|reply| reply.status).collect();
        assert!(statuses.iter().filter(|status| **status == 303).count() <= 1, "{statuses:?}");
        app.world.pass(15 * 60);
        let spaced = phone.code(&app);
        let spaced = format!("{} {}", &spaced[..3], &spaced[3..]);
        assert_eq!(log_in(&app, &spaced).await.status, 303);

        let small = recovery[0].to_lowercase().replace('-', " ");
        assert_eq!(log_in(&app, &small).await.status, 303, "a recovery code, as people type it");
        assert_eq!(log_in(&app, &small).await.status, 422, "once");
        assert_eq!(log_in(&app, &recovery[1]).await.status, 303);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_removed_with_a_code_or_by_a_reset() {
    for app in TestApp::all().await {
        let mut browser = Browser::logged_in(&app, Role::Admin, MEI).await;
        let (phone, recovery) = set_up(&app, &mut browser).await;
        let page = browser.open("/console/account/code").await.into_text();
        assert!(page.contains("10 recovery codes are left"), "{page}");
        assert!(page.contains("Your second factor"), "{page}");
        let token = hidden(&page, "form_token");
        app.world.pass(30);
        let renew = async |browser: &mut Browser, code: &str| {
            browser.send("/console/account/code/renew", &[("form_token", &token), ("code", code)]).await
        };
        assert_eq!(renew(&mut browser, "000000").await.status, 422);
        let renewed = renew(&mut browser, &phone.code(&app)).await.into_text();
        let list = renewed.split_once("class=\"codes\"").unwrap_or_else(|| panic!("{renewed}")).1;
        let first = list.split_once("<li>").unwrap().1.split_once('<').unwrap().0;
        assert_eq!(log_in(&app, &recovery[0]).await.status, 422, "the old ones are over");
        assert_eq!(log_in(&app, first).await.status, 303);
        let again = [("form_token", token.as_str()), ("salt", "00000000000000000000000000000000"), ("code", "000000")];
        assert_eq!(browser.send("/console/account/code", &again).await.status, 303, "it is not replaced");
        let remove = async |browser: &mut Browser, code: &str| {
            browser.send("/console/account/code/remove", &[("form_token", &token), ("code", code)]).await
        };
        assert_eq!(remove(&mut browser, "000000").await.status, 422);
        app.world.pass(30);
        assert_eq!(remove(&mut browser, &phone.code(&app)).await.header("location"), "/console/account");
        assert_eq!(log_in(&app, "").await.status, 303);
        assert_eq!(log_in(&app, &recovery[0]).await.status, 303, "what is typed there counts for nothing");

        set_up(&app, &mut browser).await;
        assert_eq!(log_in(&app, "").await.status, 422);
        let directory = &app.world.gateway.directory;
        let (_, link) = directory.reset_account(Some(app.cathay.id.clone()), MEI.parse().unwrap(), CLI).await.unwrap();
        let fields = [("password", PASSWORD), ("again", PASSWORD)];
        let at = format!("/console/links/{}", link.token.expose());
        assert_eq!(Browser::new(&app).send(&at, &fields).await.status, 303);
        assert_eq!(log_in(&app, "").await.status, 303, "another phone is set up after a reset");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_logged_in_without_it_is_logged_out() {
    for app in TestApp::all().await {
        let mut browser = Browser::logged_in(&app, Role::Admin, MEI).await;
        let mut other = Browser::new(&app);
        other.send("/console/login", &[("account", MEI), ("password", PASSWORD)]).await;
        let directory = &app.world.gateway.directory;
        let (_, link) =
            directory.create_log_in_link(Some(app.cathay.id.clone()), MEI.parse().unwrap(), CLI).await.unwrap();
        set_up(&app, &mut browser).await;
        assert_eq!(browser.open("/console/perks").await.status, 200);
        assert_eq!(other.open("/console/perks").await.status, 303);
        assert!(directory.find_link(&link.token).await.unwrap().is_none(), "nor does a link open it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pages_set_up_one() {
    for app in TestApp::all().await {
        let browser = Browser::logged_in(&app, Role::Admin, MEI).await;
        let page = browser.open("/console/account/code").await.into_text();
        let (token, salt, code) = (hidden(&page, "form_token"), hidden(&page, "salt"), App::of(&page).code(&app));
        let fields = [("form_token", token.as_str()), ("salt", &salt), ("code", &code), ("password", PASSWORD)];
        let tries = (0..3).map(|_| {
            let mut browser = Browser { cookie: browser.cookie.clone(), ..Browser::new(&app) };
            async move { browser.send("/console/account/code", &fields).await.status }
        });
        let statuses = futures_util::future::join_all(tries).await;
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| matches!(status, 200 | 303)), "{statuses:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_twenty_wrong_codes_in_a_row_only_a_recovery_code_is_taken() {
    for app in TestApp::all_with(&[("rate_failed_keys", "0")]).await {
        let mut browser = Browser::logged_in(&app, Role::Admin, MEI).await;
        let (phone, recovery) = set_up(&app, &mut browser).await;
        for nth in 1..=20 {
            if nth % 5 == 1 {
                app.world.pass(15 * 60);
            }
            let reply = log_in(&app, "12").await;
            assert_eq!(reply.status, 422);
            assert_eq!(reply.text.contains("Type a recovery code"), nth == 20, "{nth}: {}", reply.text);
        }
        app.world.pass(24 * 60 * 60);
        let right = log_in(&app, &phone.code(&app)).await;
        assert!(right.status == 422 && right.text.contains("Type a recovery code"), "{}", right.text);
        assert!(log_in(&app, "").await.text.contains("Type a recovery code"));
        assert_eq!(log_in(&app, &recovery[0]).await.status, 303);
        app.world.pass(30);
        assert_eq!(log_in(&app, &phone.code(&app)).await.status, 303, "the row is broken");
    }
}
