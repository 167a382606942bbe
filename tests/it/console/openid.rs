//! Logging in by a provider of OpenID Connect: who is let in, and by what word of whom nobody is.

use std::collections::BTreeMap;

use diesel::prelude::*;
use jiff::Timestamp;
use perkgate::access::Role;
use perkgate::access::accounts::Subject;
use perkgate::audit::Request;
use perkgate::database::{AnyConnection, DatabaseError, schema};
use perkgate::foundation::entropy::Entropy;
use reqwest::Method;
use serde_json::{Value, json};

use super::browser::{Browser, PASSWORD, encoded, hidden, invite};
use super::second_factor::set_up;
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::provider::{Mood, Provider};
use crate::support::world::CLI;

const MEI: &str = "mei@cathay.example";
const BO: &str = "bo@cathay.example";

/// A browser with all its cookies, which follows nothing by itself.
struct Person {
    client: Client,
    jar: BTreeMap<String, String>,
}

impl Person {
    fn new(app: &TestApp) -> Self {
        Self { client: app.anonymous(), jar: BTreeMap::new() }
    }

    /// As if another site's page had led there.
    async fn open(&mut self, path: &str) -> Reply {
        let ask = self.client.ask(Method::GET, path).header("sec-fetch-site", "cross-site");
        let reply = ask.header("cookie", &self.cookies()).await;
        self.keep(&reply);
        reply
    }

    async fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let ask = self.client.ask(Method::POST, path).form(&encoded(fields)).header("sec-fetch-site", "same-origin");
        let reply = ask.header("cookie", &self.cookies()).await;
        self.keep(&reply);
        reply
    }

    fn cookies(&self) -> String {
        self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, reply: &Reply) {
        for line in reply.headers.get_all("set-cookie") {
            let (name, rest) = line.to_str().unwrap().split_once('=').unwrap();
            match rest.split_once(';').unwrap().0 {
                "" => drop(self.jar.remove(name)),
                value => drop(self.jar.insert(name.to_owned(), value.to_owned())),
            }
        }
    }

    fn is_logged_in(&self) -> bool {
        self.jar.contains_key("perkgate-session")
    }

    /// Begins, and logs in at the provider; the way back is not taken yet.
    async fn come_back(&mut self, provider: &Provider, subject: &str) -> String {
        let begun = self.open("/console/openid/begin?return=/console/account").await;
        assert_eq!(begun.status, 303, "{}", begun.text);
        provider.log_in(begun.header("location"), subject)
    }

    async fn log_in(&mut self, provider: &Provider, subject: &str) -> Reply {
        let back = self.come_back(provider, subject).await;
        self.open(&back).await
    }
}

/// Gateways with a provider that knows the time of each.
async fn apps(more: &[(&str, &str)]) -> (Provider, Vec<TestApp>) {
    let provider = Provider::start(Timestamp::UNIX_EPOCH).await;
    let unbounded = [("rate_failed_keys", "0")];
    let settings: Vec<(&str, &str)> =
        provider.settings().into_iter().chain(unbounded).chain(more.iter().copied()).collect();
    let apps = TestApp::all_with(&settings).await;
    (provider, apps)
}

/// An account that is linked to this subject; its key.
async fn linked(app: &TestApp, provider: &Provider, name: &str, subject: &str) -> String {
    let (account, _) = invite(app, Some(&app.cathay), Role::Admin, name).await;
    let subject = Subject::of(&provider.issuer, subject).unwrap();
    let directory = &app.world.gateway.directory;
    directory.link_account(Some(app.cathay.id.clone()), account.key, subject, CLI).await.unwrap().key.to_string()
}

fn findings(app: &TestApp) -> Vec<String> {
    let report =
        perkgate::audit::verify(&app.world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
    report.unwrap().findings.listed().iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_links_a_subject_and_its_person_comes_in_until_it_is_unlinked() {
    let (provider, apps) = apps(&[]).await;
    for app in apps {
        provider.plan().at = app.world.now();
        let mut mei = Browser::logged_in(&app, Role::Admin, MEI).await;
        let (bo_account, _) = invite(&app, Some(&app.cathay), Role::Auditor, BO).await;
        let mut bo = Person::new(&app);
        let page = bo.open("/console/login?return=/console/account").await.into_text();
        assert!(page.contains("Log in with Cathay &#38; Co") || page.contains("Log in with Cathay &amp; Co"), "{page}");
        assert!(page.contains(r#"href="/console/openid/begin?return=/console/account""#), "{page}");

        // The provider knows an address for e-mail that an account has: that is nobody's account.
        let unlinked = bo.log_in(&provider, "00u7").await;
        assert!(unlinked.status == 403 && unlinked.text.contains("no account here is linked"), "{}", unlinked.text);
        assert!(unlinked.text.contains("00u7") && !bo.is_logged_in() && bo.jar.is_empty(), "{:?}", bo.jar);

        let path = format!("/console/accounts/{}/subject", bo_account.key);
        let token = mei.form_token().await;
        for (typed, words) in
            [("", "A subject is the text by which"), ("a\u{e9}", "at most 255 plain ASCII characters")]
        {
            let refused = mei.send(&path, &[("form_token", &token), ("subject", typed)]).await;
            assert!(refused.status == 422 && refused.text.contains(words), "{}", refused.text);
        }
        let fields = [("form_token", token.as_str()), ("subject", " 00u7 ")];
        let done = mei.send(&path, &fields).await;
        assert_eq!((done.status, done.header("location")), (303, path.trim_end_matches("/subject")), "{}", done.text);
        let page = mei.open(path.trim_end_matches("/subject")).await.into_text();
        assert!(page.contains("00u7") && page.contains(">works</span>"), "{page}");
        assert_eq!(findings(&app), [""; 0]);

        let back = bo.come_back(&provider, "00u7").await;
        let given = bo.jar.clone();
        let inside = bo.open(&back).await;
        assert_eq!((inside.status, inside.header("location")), (303, "/console/account"), "{}", inside.text);
        assert!(bo.is_logged_in() && !bo.jar.contains_key("perkgate-openid"));
        assert!(bo.open("/console/account").await.into_text().contains(BO));

        // The same way back again, by a browser that kept its secret: the provider doesn't take the code, and if it did,
        // the log-in was taken.
        for takes_again in [false, true] {
            if takes_again {
                provider.give_again();
            }
            let mut replayed = Person { jar: given.clone(), ..Person::new(&app) };
            let again = replayed.open(&back).await;
            assert!(again.status == 403 && again.text.contains("Nobody was logged in by it now"), "{}", again.text);
            assert!(!replayed.is_logged_in());
        }

        let unlink = mei.send(&path, &[("form_token", &token), ("unlink", "yes")]).await;
        assert_eq!(unlink.status, 303, "{}", unlink.text);
        assert_eq!(bo.open("/console/account").await.status, 303, "the session ended with the link");
        assert_eq!(Person::new(&app).log_in(&provider, "00u7").await.status, 403);
        let events = app.auditor(&app.cathay).await.get("/v1/audit/events").await.is(200).to_string();
        let hash = Subject::of(&provider.issuer, "00u7").unwrap().sha256();
        assert!(events.contains("account.linked") && events.contains("account.unlinked"), "{events}");
        assert!(events.contains(&hash) && !events.contains("00u7"), "{events}");
        assert_eq!(findings(&app), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_that_was_not_asked_for_lets_nobody_in() {
    let (provider, apps) = apps(&[]).await;
    for app in apps {
        let now = app.world.now().as_second();
        provider.plan().at = app.world.now();
        linked(&app, &provider, MEI, "7").await;
        let wrong: [(&str, Value); 10] = [
            ("nonce", json!("another")),
            ("nonce", Value::Null),
            ("aud", json!("another")),
            ("aud", json!(["perkgate: console", "another"])),
            ("azp", json!("another")),
            ("iss", json!("https://id.example")),
            ("exp", json!(now - 60)),
            ("iat", json!(now - 600)),
            ("iat", json!(now + 600)),
            ("sub", json!("")),
        ];
        for (name, value) in wrong {
            provider.plan().claims = BTreeMap::from([(name, value.clone())]);
            let mut person = Person::new(&app);
            let refused = person.log_in(&provider, "7").await;
            assert!(
                refused.status == 403 && refused.text.contains("can’t be held to"),
                "{name} {value}: {}",
                refused.text
            );
            assert!(person.jar.is_empty(), "{name} {value}: {:?}", person.jar);
        }
        provider.plan().claims.clear();
        for algorithm in ["none", "HS256"] {
            provider.plan().algorithm = Some(algorithm);
            let refused = Person::new(&app).log_in(&provider, "7").await;
            assert!(
                refused.status == 403 && refused.text.contains("can’t be held to"),
                "{algorithm}: {}",
                refused.text
            );
        }
        provider.plan().algorithm = None;
        // Signed by a key that it doesn't publish.
        provider.turn_keys(1, 0);
        assert_eq!(Person::new(&app).log_in(&provider, "7").await.status, 403);
        provider.plan().signing = 0;
        let mut mixed = Person::new(&app);
        let back = mixed.come_back(&provider, "7").await;
        let refused = mixed.open(&format!("{back}&iss=https://id.example")).await;
        assert!(refused.status == 403 && refused.text.contains("can’t be held to"), "{}", refused.text);
        let mut person = Person::new(&app);
        let back = person.come_back(&provider, "7").await;
        let named = format!("{back}&{}", encoded(&[("iss", &provider.issuer)]));
        assert_eq!(person.open(&named).await.status, 303, "it names itself");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_back_is_of_the_browser_that_began_and_for_ten_minutes() {
    let (provider, apps) = apps(&[]).await;
    for app in apps {
        provider.plan().at = app.world.now();
        linked(&app, &provider, MEI, "7").await;
        let mut mei = Person::new(&app);
        let back = mei.come_back(&provider, "7").await;
        let over = async |person: &mut Person, back: &str| {
            let refused = person.open(back).await;
            assert!(
                refused.status == 403 && refused.text.contains("Nobody was logged in by it now"),
                "{}",
                refused.text
            );
            assert!(!person.is_logged_in());
        };
        over(&mut Person::new(&app), &back).await;
        // An attacker's way back in someone else's browser would log them in as the attacker.
        let mut other = Person::new(&app);
        other.come_back(&provider, "7").await;
        over(&mut other, &back).await;
        let (at, state) = back.split_once("state=").unwrap();
        let mut forged = state.to_owned().into_bytes();
        forged[10] ^= 1;
        over(
            &mut Person { jar: mei.jar.clone(), ..Person::new(&app) },
            &format!("{at}state={}", String::from_utf8(forged).unwrap()),
        )
        .await;
        over(&mut Person { jar: mei.jar.clone(), ..Person::new(&app) }, "/console/openid/return?code=x").await;
        let mut declined = Person { jar: mei.jar.clone(), ..Person::new(&app) };
        let said = declined.open(&format!("/console/openid/return?error=access_denied&state={state}")).await;
        assert!(said.status == 403 && said.text.contains("without having logged in there"), "{}", said.text);
        app.world.pass(599);
        provider.plan().at = app.world.now();
        let jar = mei.jar.clone();
        assert_eq!(mei.open(&back).await.status, 303);
        app.world.pass(1);
        over(&mut Person { jar, ..Person::new(&app) }, &back).await;
        // Only our own pages are come back to.
        let begun = mei.open("/console/openid/begin?return=https://evil.example").await;
        let back = provider.log_in(begun.header("location"), "7");
        provider.plan().at = app.world.now();
        assert_eq!(mei.open(&back).await.header("location"), "/console");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_provider_changes_is_asked_for_once() {
    let (provider, apps) = apps(&[]).await;
    for app in apps {
        provider.plan().at = app.world.now();
        provider.turn_keys(0, 0);
        provider.plan().asked.clear();
        linked(&app, &provider, MEI, "7").await;
        let fetched = |place: &str| provider.plan().asked.get(place).copied().unwrap_or_default();
        for _ in 0..3 {
            assert_eq!(Person::new(&app).log_in(&provider, "7").await.status, 303);
        }
        assert_eq!((fetched("configuration"), fetched("keys"), fetched("token")), (1, 1, 3));

        provider.turn_keys(1, 1);
        for _ in 0..3 {
            assert_eq!(Person::new(&app).log_in(&provider, "7").await.status, 403);
        }
        assert_eq!(fetched("keys"), 1, "unknown keys don't make the gateway ask and ask");
        app.world.pass(30);
        provider.plan().at = app.world.now();
        assert_eq!(Person::new(&app).log_in(&provider, "7").await.status, 303);
        assert_eq!(fetched("keys"), 2);
        provider.plan().signing = 0;
        assert_eq!(Person::new(&app).log_in(&provider, "7").await.status, 403, "the old one is over");
        app.world.pass(3600);
        provider.plan().at = app.world.now();
        provider.plan().signing = 1;
        assert_eq!(Person::new(&app).log_in(&provider, "7").await.status, 303);
        assert_eq!((fetched("configuration"), fetched("keys")), (2, 3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_away_is_said_and_passwords_work() {
    let (provider, apps) = apps(&[("request_timeout", "2s")]).await;
    for app in apps {
        provider.plan().at = app.world.now();
        linked(&app, &provider, MEI, "7").await;
        let moods = [Mood::Silent, Mood::Huge, Mood::Redirects, Mood::Garbage, Mood::Broken];
        for mood in moods {
            provider.plan().moods = BTreeMap::from([("configuration", mood)]);
            let mut person = Person::new(&app);
            let away = person.open("/console/openid/begin").await;
            assert!(away.status == 503 && away.text.contains("does not answer"), "{mood:?}: {}", away.text);
            assert!(person.jar.is_empty(), "{mood:?}");
        }
        provider.plan().moods.clear();
        provider.plan().said_issuer = Some("https://id.example".to_owned());
        assert_eq!(Person::new(&app).open("/console/openid/begin").await.status, 503);
        provider.plan().said_issuer = None;
        for place in ["token", "keys"] {
            for mood in moods {
                provider.plan().moods = BTreeMap::from([(place, mood)]);
                let mut person = Person::new(&app);
                let away = person.log_in(&provider, "7").await;
                assert!(away.status == 503 && away.text.contains("does not answer"), "{place} {mood:?}: {}", away.text);
                assert!(person.jar.is_empty(), "{place} {mood:?}");
            }
        }
        provider.plan().moods.clear();
        assert!(!provider.plan().asked.contains_key("elsewhere"), "no redirect is followed");
        assert_eq!(Person::new(&app).log_in(&provider, "7").await.status, 303, "it is back");
    }
    let nowhere = TestApp::start(&[("oidc_issuer", "http://127.0.0.1:1"), ("oidc_client_id", "x")]).await;
    assert_eq!(Person::new(&nowhere).open("/console/openid/begin").await.status, 503);
    Browser::logged_in(&nowhere, Role::Admin, MEI).await;
    let without = TestApp::start(&[]).await;
    assert_eq!(Person::new(&without).open("/console/openid/begin").await.status, 404);
    assert!(!Person::new(&without).open("/console/login").await.into_text().contains("openid"));
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_code_is_asked_for_too_where_the_settings_want_it() {
    let (provider, apps) = apps(&[("oidc_second_factor", "true")]).await;
    for app in apps {
        provider.plan().at = app.world.now();
        let mut mei = Browser::logged_in(&app, Role::Admin, MEI).await;
        let directory = &app.world.gateway.directory;
        let account = directory.find_account(Some(app.cathay.id.clone()), MEI.parse().unwrap()).await.unwrap();
        let subject = Subject::of(&provider.issuer, "7").unwrap();
        directory.link_account(Some(app.cathay.id.clone()), account.key, subject, CLI).await.unwrap();
        assert_eq!(Person::new(&app).log_in(&provider, "7").await.status, 303, "the account has none");
        let (phone, _) = set_up(&app, &mut mei).await;
        app.world.pass(30);
        provider.plan().at = app.world.now();

        let mut person = Person::new(&app);
        let asked = person.log_in(&provider, "7").await.into_text();
        assert!(asked.contains("asks for a code of its own") && !person.is_logged_in(), "{asked}");
        let (state, passed) = (hidden(&asked, "state"), hidden(&asked, "passed"));
        let with =
            |code: &'static str| [("state", state.clone()), ("passed", passed.clone()), ("code", code.to_owned())];
        let send = async |person: &mut Person, fields: &[(&str, String)]| {
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            person.send("/console/openid/code", &fields).await
        };
        let wrong = send(&mut person, &with("000000")).await;
        assert!(wrong.status == 422 && wrong.text.contains("4 more tries are taken"), "{}", wrong.text);
        let code = phone.code(&app);
        let right = [("state", state.clone()), ("passed", passed.clone()), ("code", code.clone())];
        assert_eq!(send(&mut Person::new(&app), &right).await.status, 403, "of another browser");
        let forged = passed.replace(&passed[passed.len() - 3..], "AAA");
        assert_eq!(
            send(&mut person, &[("state", state.clone()), ("passed", forged), ("code", code)]).await.status,
            403
        );
        let mut person = Person::new(&app);
        let asked = person.log_in(&provider, "7").await.into_text();
        let right =
            [("state", hidden(&asked, "state")), ("passed", hidden(&asked, "passed")), ("code", phone.code(&app))];
        let jar = person.jar.clone();
        let inside = send(&mut person, &right).await;
        assert_eq!((inside.status, inside.header("location")), (303, "/console/account"), "{}", inside.text);
        let mut replayed = Person { jar, ..Person::new(&app) };
        assert_ne!(send(&mut replayed, &right).await.status, 303);
        assert!(!replayed.is_logged_in());
        // With the password it is asked for as ever.
        let mut typed = Browser::new(&app);
        let reply = typed.send("/console/login", &[("account", MEI), ("password", PASSWORD)]).await;
        assert_eq!(reply.status, 422);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_is_of_one_account_and_linked_by_whoever_may_reset_it() {
    let (provider, apps) = apps(&[]).await;
    for app in apps {
        provider.plan().at = app.world.now();
        let mut mei = Browser::logged_in(&app, Role::Admin, MEI).await;
        let bo = linked(&app, &provider, BO, "7").await;
        let (rafael, _) = invite(&app, Some(&app.cathay), Role::Auditor, "rafael@cathay.example").await;
        let (jo, _) = invite(&app, Some(&app.american), Role::Admin, "jo@american.example").await;
        let own =
            app.world.gateway.directory.find_account(Some(app.cathay.id.clone()), MEI.parse().unwrap()).await.unwrap();
        let token = mei.form_token().await;
        let link = async |mei: &mut Browser, key: &str, subject: &str| {
            mei.send(&format!("/console/accounts/{key}/subject"), &[("form_token", &token), ("subject", subject)]).await
        };
        let refused = link(&mut mei, rafael.key.as_str(), "7").await;
        assert!(refused.status == 422 && refused.text.contains("Another account is linked"), "{}", refused.text);
        let another = link(&mut mei, &bo, "8").await;
        assert!(another.status == 422 && another.text.contains("take that away first"), "{}", another.text);
        assert_eq!(link(&mut mei, &bo, "7").await.status, 303, "it is linked so already");
        assert_eq!(link(&mut mei, jo.key.as_str(), "9").await.status, 404, "another merchant's");
        assert_eq!(link(&mut mei, own.key.as_str(), "9").await.status, 403, "one's own");

        let directory = &app.world.gateway.directory;
        directory.suspend_account(Some(app.cathay.id.clone()), bo.parse().unwrap(), CLI).await.unwrap();
        assert!(Person::new(&app).log_in(&provider, "7").await.text.contains("no account here is linked"));
        directory.restore_account(Some(app.cathay.id.clone()), bo.parse().unwrap(), CLI).await.unwrap();
        assert_eq!(Person::new(&app).log_in(&provider, "7").await.status, 303);
        directory.reset_account(Some(app.cathay.id.clone()), BO.parse().unwrap(), CLI).await.unwrap();
        assert_eq!(Person::new(&app).log_in(&provider, "7").await.status, 403, "a reset ends the link too");
        assert_eq!(findings(&app), [""; 0]);

        app.world.gateway.catalog.set_four_eyes(&app.cathay.id, CLI, true).await.unwrap();
        let refused = link(&mut mei, rafael.key.as_str(), "9").await;
        assert!(refused.status == 403 && refused.text.contains("perkgate account link"), "{}", refused.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_no_event_made_is_found() {
    let (provider, apps) = apps(&[]).await;
    for app in apps {
        let bo = linked(&app, &provider, BO, "7").await;
        assert_eq!(findings(&app), [""; 0]);
        let database = app.world.database.open();
        let changed = database.write(move |conn: &mut AnyConnection| {
            let of = schema::accounts::table.find(bo);
            diesel::update(of).set(schema::accounts::subject.eq("8")).execute(conn).map_err(DatabaseError::from)
        });
        assert_eq!(changed.await.unwrap(), 1);
        let found = findings(&app);
        assert!(found.len() == 1 && found[0].contains("subject"), "{found:?}");
    }
}
