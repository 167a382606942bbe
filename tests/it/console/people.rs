//! Accounts as those see them who may manage them: invited, reset, suspended, given another role, ended; and by nobody else.

use perkgate::access::accounts::Account;
use perkgate::access::{AccessError, NewKey, Role};
use perkgate::audit::Request;
use perkgate::foundation::entropy::Entropy;
use perkgate::ledger::entry::Actor;

use super::browser::{Browser, PASSWORD};
use crate::support::app::TestApp;

const MEI: &str = "mei@cathay.example";
const BO: &str = "bo@cathay.example";

/// The link that a page shows.
#[track_caller]
fn link_of(page: &str) -> String {
    let at = page.split_once("aria-label=\"The link\">").unwrap_or_else(|| panic!("no link in {page}")).1;
    let address = at.split_once('<').unwrap().0;
    let (_, token) = address.split_once("/console/links/").unwrap();
    format!("/console/links/{token}")
}

async fn key_of(app: &TestApp, name: &str) -> String {
    let directory = &app.world.gateway.directory;
    let account = directory.find_account(Some(app.cathay.id.clone()), name.parse().unwrap()).await;
    account.unwrap().key.to_string()
}

/// Takes a step, and says what it was answered.
async fn step(browser: &mut Browser, key: &str, step: &str, role: &str) -> crate::support::client::Reply {
    let token = browser.form_token().await;
    let fields = [("form_token", token.as_str()), ("role", role)];
    browser.send(&format!("/console/accounts/{key}/{step}"), &fields).await
}

async fn log_in(app: &TestApp, name: &str) -> u16 {
    Browser::new(app).send("/console/login", &[("account", name), ("password", PASSWORD)]).await.status
}

fn findings(app: &TestApp) -> Vec<String> {
    let report =
        perkgate::audit::verify(&app.world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
    report.unwrap().findings.listed().iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn someone_is_invited_suspended_let_in_again_and_ended() {
    for app in TestApp::all().await {
        let mut mei = Browser::logged_in(&app, Role::Admin, MEI).await;
        let token = mei.form_token().await;
        let fields =
            [("form_token", token.as_str()), ("name", " Bo@Cathay.example"), ("role", "auditor"), ("label", "")];
        let invited = mei.send("/console/accounts/new", &fields).await;
        assert_eq!(invited.status, 200, "{}", invited.text);
        let link = link_of(&invited.text);
        let again = mei.send("/console/accounts/new", &fields).await;
        assert!(
            again.status == 422 && again.text.contains("There is an account of this name already"),
            "{}",
            again.text
        );
        let mut bo = Browser::new(&app);
        assert_eq!(bo.send(&link, &[("password", PASSWORD), ("again", PASSWORD)]).await.status, 303);
        assert_eq!(bo.open("/console/reports/grants").await.status, 200);

        let key = key_of(&app, BO).await;
        let list = mei.open("/console/accounts").await.into_text();
        assert!(list.contains(BO) && list.contains(&key) && list.contains(">you</span>"), "{list}");
        let page = mei.open(&format!("/console/accounts/{key}")).await.into_text();
        assert!(page.contains("Make them Admin") && page.contains("Suspend the account"), "{page}");

        assert_eq!(step(&mut mei, &key, "suspend", "").await.status, 303);
        assert_eq!(bo.open("/console/reports/grants").await.status, 303, "the session ended");
        assert_eq!(log_in(&app, BO).await, 422, "the right password opens nothing");
        assert_eq!(findings(&app), [""; 0]);
        let page = mei.open(&format!("/console/accounts/{key}")).await.into_text();
        assert!(page.contains(">suspended</span>") && page.contains("Let them log in again"), "{page}");
        assert_eq!(step(&mut mei, &key, "restore", "").await.status, 303);
        assert_eq!(log_in(&app, BO).await, 303, "the password is as it was");

        assert_eq!(step(&mut mei, &key, "end", "").await.header("location"), "/console/accounts");
        assert_eq!(log_in(&app, BO).await, 422);
        assert_eq!(mei.open(&format!("/console/accounts/{key}")).await.status, 404);
        let told = app.auditor(&app.cathay).await.get("/v1/audit/events").await.is(200).to_string();
        for kind in ["account.suspended", "account.restored", "key.revoked"] {
            assert!(told.contains(kind), "{kind}: {told}");
        }
        assert_eq!(findings(&app), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_a_suspended_accounts_key_opens_nothing() {
    for app in TestApp::all().await {
        let mut mei = Browser::logged_in(&app, Role::Admin, MEI).await;
        let (directory, cathay) = (&app.world.gateway.directory, Some(app.cathay.id.clone()));
        let new = NewKey::of(Role::Admin, cathay.clone(), "bo");
        let (key, secret) = directory.create_key(new, crate::support::world::CLI).await.unwrap();
        let attached = directory.attach_account(BO.parse().unwrap(), cathay, key.id, crate::support::world::CLI).await;
        let key = attached.unwrap().0.key.to_string();
        let bo = app.bearing(Some(format!("Bearer {}", secret.expose())));
        bo.get("/v1/perks").await.is(200);
        assert_eq!(step(&mut mei, &key, "suspend", "").await.status, 303);
        bo.get("/v1/perks").await.problem(401, "suspended_key");
        let list = mei.open("/console/keys").await.into_text();
        assert_eq!(list.matches(">suspended</span>").count(), 1, "{list}");
        let admin = app.admin(&app.cathay).await;
        assert_eq!(admin.get(&format!("/v1/keys/{key}")).await.is(200)["status"], "suspended");
        let keys = admin.get("/v1/keys").await.is(200);
        let suspended = keys["keys"].as_array().unwrap().iter().filter(|key| key["status"] == "suspended").count();
        assert_eq!(suspended, 1, "{keys}");
        assert_eq!(step(&mut mei, &key, "restore", "").await.status, 303);
        bo.get("/v1/perks").await.is(200);
        assert_eq!(findings(&app), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_admins_at_once_leave_one() {
    for app in TestApp::all().await {
        Browser::logged_in(&app, Role::Admin, MEI).await;
        Browser::logged_in(&app, Role::Admin, BO).await;
        let (directory, cathay) = (&app.world.gateway.directory, Some(app.cathay.id.clone()));
        let find = async |name: &str| directory.find_account(cathay.clone(), name.parse().unwrap()).await.unwrap();
        let (mei, bo) = (find(MEI).await, find(BO).await);
        let by = |account: &Account| Actor { key: Some(account.key.clone()), role: "admin" };
        let suspend =
            |whom: &Account, who: &Account| directory.suspend_account(cathay.clone(), whom.key.clone(), by(who));
        let own = suspend(&mei, &mei).await;
        assert!(matches!(own, Err(AccessError::OwnAccount)), "{own:?}");
        let (one, other) = tokio::join!(suspend(&mei, &bo), suspend(&bo, &mei));
        let refused = [one, other].into_iter().filter(|it| matches!(it, Err(AccessError::LastAdmin))).count();
        assert_eq!(refused, 1, "one of them remains");
        let remains = if find(MEI).await.suspended_at.is_none() { &mei } else { &bo };
        let lost = if remains.key == mei.key { &bo } else { &mei };
        let ended = directory.disable_account(cathay.clone(), remains.name.clone(), by(lost)).await;
        assert!(matches!(ended, Err(AccessError::LastAdmin)), "{ended:?}");
        let merchant = app.cathay.id.clone();
        let demoted = directory.set_account_role(merchant, remains.key.clone(), Role::Auditor, by(lost)).await;
        assert!(matches!(demoted, Err(AccessError::LastAdmin)), "{demoted:?}");
        let revoked = directory.revoke_key(cathay.clone(), remains.key.clone(), by(lost)).await;
        assert!(matches!(revoked, Err(AccessError::LastAdmin)), "{revoked:?}");
        let own = directory.revoke_key(cathay.clone(), remains.key.clone(), by(remains)).await;
        assert!(matches!(own, Err(AccessError::OwnAccount)), "{own:?}");
        app.admin(&app.cathay).await.delete(&format!("/v1/keys/{}", remains.key)).await.problem(409, "wrong_status");
        assert_eq!(log_in(&app, remains.name.as_str()).await, 303);
        // Whoever runs the gateway may, as they can make another.
        directory.disable_account(cathay.clone(), remains.name.clone(), crate::support::world::CLI).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_role_holds_from_the_next_page_on() {
    for app in TestApp::all().await {
        let mut mei = Browser::logged_in(&app, Role::Admin, MEI).await;
        let bo = Browser::logged_in(&app, Role::Admin, BO).await;
        let key = key_of(&app, BO).await;
        assert_eq!(bo.open("/console/perks").await.status, 200);
        assert_eq!(step(&mut mei, &key, "role", "auditor").await.status, 303);
        assert_eq!(bo.open("/console/perks").await.status, 403);
        assert_eq!(bo.open("/console/accounts").await.status, 403);
        assert_eq!(findings(&app), [""; 0]);
        for refused in ["operator", "kiosk", "desk"] {
            let reply = step(&mut mei, &key, "role", refused).await;
            assert_eq!(reply.status, 422, "{refused}: {}", reply.text);
        }
        assert_eq!(step(&mut mei, &key, "role", "").await.status, 400);
        let told = app.auditor(&app.cathay).await.get("/v1/audit/events?kind=account.role_changed").await.is(200);
        assert_eq!(told["events"].as_array().unwrap().len(), 1, "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_asks_first_and_shows_a_link_once() {
    for app in TestApp::all().await {
        let mut mei = Browser::logged_in(&app, Role::Admin, MEI).await;
        let bo = Browser::logged_in(&app, Role::Admin, BO).await;
        let key = key_of(&app, BO).await;
        let question = mei.open(&format!("/console/accounts/{key}/reset")).await.into_text();
        assert!(question.contains("Reset the account of bo?"), "{question}");
        assert_eq!(bo.open("/console/perks").await.status, 200, "a question resets nothing");
        let reset = step(&mut mei, &key, "reset", "").await;
        let link = link_of(&reset.text);
        assert_eq!((bo.open("/console/perks").await.status, log_in(&app, BO).await), (303, 422));
        assert_eq!(Browser::new(&app).open(&link).await.status, 200);
        assert_eq!(step(&mut mei, &key, "sessions", "").await.status, 303);
        assert_eq!(Browser::new(&app).open(&link).await.status, 404, "an open link ends with the sessions");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_four_eyes_nobody_takes_over_another_person() {
    for app in TestApp::all().await {
        let mut mei = Browser::logged_in(&app, Role::Admin, MEI).await;
        let bo = Browser::logged_in(&app, Role::Admin, BO).await;
        let token = mei.form_token().await;
        let fields = [("form_token", token.as_str()), ("name", "own@cathay.example"), ("role", "admin")];
        assert_eq!(mei.send("/console/accounts/new", &fields).await.status, 200);
        let catalog = &app.world.gateway.catalog;
        catalog.set_four_eyes(&app.cathay.id, crate::support::world::CLI, true).await.unwrap();
        let key = key_of(&app, BO).await;
        let refused = step(&mut mei, &key, "reset", "").await;
        assert!(refused.status == 403 && refused.text.contains("Your operator does it"), "{}", refused.text);
        assert_eq!(mei.open(&format!("/console/accounts/{key}/reset")).await.status, 403);
        assert_eq!(bo.open("/console/perks").await.status, 200);
        let own = key_of(&app, "own@cathay.example").await;
        assert_eq!(step(&mut mei, &own, "reset", "").await.status, 200, "whom she invited counts as her");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_does_it_to_themselves_or_to_others_people() {
    for app in TestApp::all().await {
        let mut mei = Browser::logged_in(&app, Role::Admin, MEI).await;
        let jo = Browser::logged_in_at(&app, Some(&app.american), Role::Admin, "jo@american.example").await;
        let ops = Browser::logged_in(&app, Role::Operator, "ops@gate.example").await;
        let own = key_of(&app, MEI).await;
        let directory = &app.world.gateway.directory;
        let foreign =
            directory.find_account(Some(app.american.id.clone()), "jo@american.example".parse().unwrap()).await;
        let operator = directory.find_account(None, "ops@gate.example".parse().unwrap()).await;
        let [foreign, operator] = [foreign, operator].map(|account| account.unwrap().key.to_string());
        for taken in ["suspend", "role", "end", "reset", "sessions", "restore"] {
            let reply = step(&mut mei, &own, taken, "auditor").await;
            assert!(reply.status == 403 && reply.text.contains("This is your own account"), "{taken}: {}", reply.text);
            for key in [foreign.as_str(), &operator, "key_00000000000070008000000000000001", "x"] {
                assert_eq!(step(&mut mei, key, taken, "auditor").await.status, 404, "{taken} {key}");
            }
        }
        for key in [foreign.as_str(), &operator] {
            assert_eq!(mei.open(&format!("/console/accounts/{key}")).await.status, 404);
            assert_eq!(mei.open(&format!("/console/accounts/{key}/end")).await.status, 404);
        }
        let list = mei.open("/console/accounts").await.into_text();
        assert!(!list.contains("jo@american") && !list.contains("ops@gate"), "{list}");
        assert_eq!((jo.open("/console/perks").await.status, ops.open("/console/merchants").await.status), (200, 200));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_into_an_invitation_is_text_everywhere() {
    let app = TestApp::start(&[]).await;
    let mut mei = Browser::logged_in(&app, Role::Admin, MEI).await;
    let token = mei.form_token().await;
    let evil = "\"><script>alert(1)</script>";
    let fields = [("form_token", token.as_str()), ("name", evil), ("label", evil), ("role", evil)];
    let refused = mei.send("/console/accounts/new", &fields).await;
    assert!(refused.status == 422 && !refused.text.contains("<script>alert"), "{}", refused.text);
    let fields =
        [("form_token", token.as_str()), ("name", "<b>x</b>@cathay"), ("label", "<i>x</i>"), ("role", "admin")];
    let made = mei.send("/console/accounts/new", &fields).await;
    assert!(made.status == 200 && !made.text.contains("<b>x"), "{}", made.text);
    let list = mei.open("/console/accounts").await.into_text();
    assert!(list.contains("&#60;i&#62;x") && !list.contains("<i>x") && !list.contains("<b>x"), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clerk_is_made_given_another_pin_and_ended() {
    for app in TestApp::all().await {
        let mut mei = Browser::logged_in(&app, Role::Admin, MEI).await;
        let token = mei.form_token().await;
        for (name, pin, field) in [("Grace", "111111", "pin"), ("Grace", "", "pin"), ("", "470283", "name")] {
            let fields = [("form_token", token.as_str()), ("name", name), ("pin", pin)];
            let refused = mei.send("/console/clerks", &fields).await;
            assert_eq!(refused.status, 422, "{}", refused.text);
            assert!(refused.text.contains(&format!("id=\"{field}-e\"")), "{field}: {}", refused.text);
            assert!(!refused.text.contains("470283"), "{}", refused.text);
        }
        let made =
            mei.send("/console/clerks", &[("form_token", &token), ("name", "Gr<b>ace"), ("pin", "470283")]).await;
        assert_eq!((made.status, made.header("location")), (303, "/console/clerks"), "{}", made.text);
        let list = mei.open("/console/clerks").await.into_text();
        assert!(list.contains("Gr&#60;b&#62;ace") && !list.contains("<b>ace"), "{list}");
        let directory = &app.world.gateway.directory;
        let clerk = directory.list_clerks(app.cathay.id.clone()).await.unwrap()[0].id.clone();
        let jo = Browser::logged_in_at(&app, Some(&app.american), Role::Admin, "jo@american.example").await;
        let at = format!("/console/clerks/{clerk}");
        assert_eq!((mei.open(&at).await.status, jo.open(&at).await.status), (200, 404));

        let desk = perkgate::access::NewKey {
            location: Some("SFO-A".to_owned()),
            ..perkgate::access::NewKey::of(Role::Desk, Some(app.cathay.id.clone()), "desk")
        };
        let (_, secret) = directory.create_key(desk, crate::support::world::CLI).await.unwrap();
        let desk = app.bearing(Some(format!("Bearer {}", secret.expose())));
        let sign_in = async |pin: &str| {
            let body = serde_json::json!({"clerk": clerk.to_string(), "pin": pin});
            desk.post("/v1/desk/sign-in", &body).await.status
        };
        assert_eq!(sign_in("470283").await, 200);
        let changed = mei.send(&format!("{at}/pin"), &[("form_token", &token), ("pin", "918273")]).await;
        assert_eq!(changed.status, 303, "{}", changed.text);
        assert_eq!((sign_in("470283").await, sign_in("918273").await), (403, 200));
        assert_eq!(mei.send(&format!("{at}/end"), &[("form_token", &token)]).await.status, 303);
        assert_eq!((sign_in("918273").await, mei.open(&at).await.status), (404, 404));
        let told = app.auditor(&app.cathay).await.get("/v1/audit/events?kind=clerk.reset").await.is(200);
        assert_eq!(told["events"].as_array().unwrap().len(), 1, "{told}");
        assert_eq!(findings(&app), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchants_name_zone_and_sources_are_set() {
    for app in TestApp::all().await {
        let mut mei = Browser::logged_in(&app, Role::Admin, MEI).await;
        let token = mei.form_token().await;
        let before = app.footprint().await;
        for (name, zone, wrong) in [
            ("Cathay", "Mars", &["time_zone"][..]),
            ("\u{202e}", "Asia/Tokyo", &["name"]),
            ("\u{202e}", "Mars", &["name", "time_zone"]),
        ] {
            let fields = [("form_token", token.as_str()), ("name", name), ("time_zone", zone)];
            let refused = mei.send("/console/settings", &fields).await;
            assert_eq!(refused.status, 422, "{}", refused.text);
            for field in wrong {
                assert!(refused.text.contains(&format!("id=\"{field}-e\"")), "{field}: {}", refused.text);
            }
        }
        assert_eq!(app.footprint().await, before, "a zone is not set beside a name that is refused");
        let fields = [("form_token", token.as_str()), ("name", "Cathay <i>x"), ("time_zone", "Asia/Hong_Kong")];
        assert_eq!(mei.send("/console/settings", &fields).await.status, 303);
        let page = mei.open("/console/settings").await.into_text();
        assert!(
            page.contains("Cathay &#60;i&#62;x") && !page.contains("<i>x") && page.contains("Asia/Hong_Kong"),
            "{page}"
        );

        let source = |name: &'static str, max: &'static str| {
            [("form_token", token.as_str()), ("name", name), ("min", "1"), ("max", max), ("refresh", "P1D")]
        };
        for (name, max, field) in
            [("klout", "9", "name"), ("A b", "9", "name"), ("kred", "x", "max"), ("kred", "1", "max")]
        {
            let refused = mei.send("/console/sources", &source(name, max)).await;
            assert_eq!(refused.status, 422, "{}", refused.text);
            assert!(refused.text.contains(&format!("id=\"{field}-e\"")), "{name} {max}: {}", refused.text);
        }
        assert_eq!(mei.send("/console/sources", &source("kred", "1000")).await.status, 303);
        let page = mei.open("/console/sources").await.into_text();
        assert!(page.contains("kred") && page.contains("every P1D"), "{page}");

        let attribute = |name: &'static str, kind: &'static str, purpose: &'static str| {
            let rest = [("known", "P30D"), ("on_missing", "refer")];
            [("form_token", token.as_str()), ("name", name), ("type", kind), ("purpose", purpose), rest[0], rest[1]]
        };
        assert_eq!(mei.send("/console/members", &attribute("status", "text", "lounge")).await.status, 303);
        let page = mei.open("/console/members").await.into_text();
        assert!(
            page.contains("subject.status") && page.contains("P30D") && page.contains("wait for a person"),
            "{page}"
        );
        let before = app.footprint().await;
        for (name, kind, purpose, said) in [
            ("status", "number", "lounge", "already"),
            ("A b", "text", "lounge", "a letter first"),
            ("network", "text", "lounge", "that of the handle"),
            ("miles", "word", "lounge", "use one of"),
            ("miles", "number", "credit", "can&#39;t be for"),
        ] {
            let refused = mei.send("/console/members", &attribute(name, kind, purpose)).await;
            assert!(refused.status == 422 && refused.text.to_lowercase().contains(said), "{name}: {}", refused.text);
        }
        assert_eq!(app.footprint().await, before);
        let notice = mei.open("/console/settings/privacy").await.into_text();
        assert!(notice.contains("kred") && notice.contains("What Cathay &#60;i&#62;x holds"), "{notice}");
        assert_eq!(findings(&app), [""; 0]);
    }
}
