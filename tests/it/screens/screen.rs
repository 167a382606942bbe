//! A screen as a browser has it: a cookie that no script reads, and a page with its token.

use perkgate::access::accounts::SecretToken;
use perkgate::access::devices::{Device, NewCode};
use perkgate::access::{NewKey, Role};
use perkgate::audit::Request;
use perkgate::foundation::entropy::Entropy;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::world::{CLI, World};

/// The secret that a browser makes, by a letter.
pub(super) fn secret(letter: char) -> String {
    letter.to_string().repeat(43)
}

pub(super) struct Screen {
    pub client: Client,
    pub cookie: Option<String>,
    pub page_token: String,
}

impl Screen {
    pub(super) fn new(app: &TestApp) -> Self {
        Self { client: app.anonymous(), cookie: None, page_token: String::new() }
    }

    /// A kiosk of the first merchant that works.
    pub(super) async fn kiosk(app: &TestApp, letter: char) -> Self {
        let new = NewKey {
            location: Some("SFO-A".into()),
            kiosk: Some("A12".into()),
            airports: vec!["SFO".into()],
            ..NewKey::of(Role::Kiosk, Some(app.cathay.id.clone()), "SFO A12")
        };
        Self::paired(app, new, letter).await.1
    }

    /// A door of the first merchant that works.
    pub(super) async fn door(app: &TestApp, letter: char) -> (Device, Self) {
        let new = NewKey {
            audience: Some("sfo-lounge".into()),
            location: Some("SFO-A".into()),
            kiosk: Some(letter.into()),
            ..NewKey::of(Role::Door, Some(app.cathay.id.clone()), "SFO-A, at the door")
        };
        Self::paired(app, new, letter).await
    }

    pub(super) async fn paired(app: &TestApp, new: NewKey, letter: char) -> (Device, Self) {
        let directory = &app.world.gateway.directory;
        let (home, perk) = match new.role {
            Role::Door => ("/door", None),
            _ => ("/kiosk", Some("sfo-lounge".parse().unwrap())),
        };
        let merchant = new.merchant.clone().unwrap();
        let (device, NewCode { code, .. }) = directory.create_device(new, perk, CLI).await.unwrap();
        let held = SecretToken::parse(&secret(letter)).unwrap();
        let words = directory.pair_device(code.expose(), &held).await.unwrap();
        let device = directory.confirm_device(merchant, device.key.id, &words, CLI).await.unwrap();
        let mut screen = Self::new(app);
        screen.cookie = Some(format!("perkgate-device={}", secret(letter)));
        let page = screen.open(home).await;
        if page.status == 200 {
            screen.page_token = attribute(&page.text, "data-page");
        }
        (device, screen)
    }

    pub(super) async fn open(&self, path: &str) -> Reply {
        let ask = self.client.ask(Method::GET, path);
        match &self.cookie {
            Some(cookie) => ask.header("cookie", cookie).await,
            None => ask.await,
        }
    }

    /// Sends JSON as the page's script does, with more headers or others.
    pub(super) async fn send(&self, path: &str, value: &Value, headers: &[(&str, &str)]) -> Reply {
        let ask = self.client.post(path, value).header("sec-fetch-site", "same-origin");
        let ask = headers.iter().fold(ask, |ask, (name, value)| ask.header(name, value));
        match &self.cookie {
            Some(cookie) => ask.header("cookie", cookie).await,
            None => ask.await,
        }
    }

    /// Asks for what was read, in one attempt.
    pub(super) async fn ask(&self, read: &str, key: &str) -> Reply {
        let headers = [("perkgate-page", self.page_token.as_str()), ("idempotency-key", key)];
        self.send("/kiosk/checks", &json!({"read": read}), &headers).await
    }

    pub(super) async fn pair(&mut self, code: &str, letter: char) -> Reply {
        let reply = self.send("/pair", &json!({"code": code, "device_secret": secret(letter)}), &[]).await;
        if let Some(given) = reply.headers.get("set-cookie") {
            self.cookie = given.to_str().unwrap().split_once(';').map(|(pair, _)| pair.to_owned());
        }
        reply
    }
}

/// The value of an attribute in a page.
#[track_caller]
pub(super) fn attribute(page: &str, name: &str) -> String {
    let at = page.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("no {name} in {page}")).1;
    at.split_once('"').unwrap().0.to_owned()
}

/// All that the verifier finds.
#[track_caller]
pub(super) fn findings(world: &World) -> Vec<String> {
    let report = perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
    report.unwrap().findings.listed().iter().map(ToString::to_string).collect()
}
