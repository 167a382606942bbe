//! A browser: it keeps a cookie, says which site a request comes from, and sends forms.

use perkgate::access::accounts::link::NewLink;
use perkgate::access::accounts::{Account, NewAccount};
use perkgate::access::{Merchant, Role};
use reqwest::Method;

use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
pub(super) use crate::support::page::{encoded, hidden};
use crate::support::world::CLI;

pub(super) const PASSWORD: &str = "a horse of another colour";

/// A browser that follows no redirect by itself.
pub(super) struct Browser {
    pub client: Client,
    pub cookie: Option<String>,
}

impl Browser {
    pub(super) fn new(app: &TestApp) -> Self {
        Self { client: app.anonymous(), cookie: None }
    }

    /// One in which this account is logged in.
    pub(super) async fn logged_in(app: &TestApp, role: Role, name: &str) -> Self {
        let merchant = role.has_merchant().then_some(&app.cathay);
        Self::logged_in_at(app, merchant, role, name).await
    }

    pub(super) async fn logged_in_at(app: &TestApp, merchant: Option<&Merchant>, role: Role, name: &str) -> Self {
        let (_, link) = invite(app, merchant, role, name).await;
        let mut browser = Self::new(app);
        let fields = [("password", PASSWORD), ("again", PASSWORD)];
        let reply = browser.send(&format!("/console/links/{}", link.token.expose()), &fields).await;
        assert_eq!((reply.status, reply.header("location")), (303, "/console"), "{}", reply.text);
        browser
    }

    pub(super) async fn open(&self, path: &str) -> Reply {
        self.ask(Method::GET, path, &[]).await
    }

    /// Sends a request with these headers, and the cookie.
    pub(super) async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Reply {
        let ask = headers.iter().fold(self.client.ask(method, path), |ask, (name, value)| ask.header(name, value));
        match &self.cookie {
            Some(cookie) => ask.header("cookie", cookie).await,
            None => ask.await,
        }
    }

    /// Sends a form from one of our own pages, and takes the cookie that it is given.
    pub(super) async fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.send_from(path, fields, &[("sec-fetch-site", "same-origin")]).await
    }

    /// Sends a form with these headers.
    pub(super) async fn send_from(&mut self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Reply {
        let ask = self.client.ask(Method::POST, path).form(&encoded(fields));
        let ask = headers.iter().fold(ask, |ask, (name, value)| ask.header(name, value));
        let reply = match &self.cookie {
            Some(cookie) => ask.header("cookie", cookie).await,
            None => ask.await,
        };
        if let Some(given) = reply.headers.get("set-cookie") {
            let (pair, _) = given.to_str().unwrap().split_once(';').unwrap();
            self.cookie = (!pair.ends_with('=')).then(|| pair.to_owned());
        }
        reply
    }

    /// The token of this session's forms.
    pub(super) async fn form_token(&self) -> String {
        hidden(&self.open("/console/account").await.into_text(), "form_token")
    }
}

/// Makes an account, and the link by which its person sets a password.
pub(super) async fn invite(app: &TestApp, merchant: Option<&Merchant>, role: Role, name: &str) -> (Account, NewLink) {
    let merchant = merchant.map(|merchant| merchant.id.clone());
    let new = NewAccount::of(name.parse().unwrap(), role, merchant);
    app.world.gateway.directory.create_account(new, CLI).await.unwrap()
}
