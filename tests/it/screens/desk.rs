//! An evening at a desk, by forms as a browser without scripts sends them; and who may send them.

use diesel::RunQueryDsl as _;
use perkgate::access::{NewKey, Role};
use perkgate::audit::Request;
use perkgate::database::DatabaseError;
use perkgate::foundation::entropy::Entropy;
use reqwest::Method;
use serde_json::json;

use super::screen::Screen;
use crate::support::app::TestApp;
use crate::support::client::Reply;
use crate::support::page::{encoded, hidden};

const PIN: &str = "470283915274";

/// Twenty seats; one a day is let in by hand, and two for pay.
const RULE: &str = r#"{
    "score": {"source": "klout"},
    "tiers": [{"id": "main", "name": "Main lounge", "when": {"attr": "score", "op": "gte", "value": 40},
               "guests": {"free": 1, "max": 2, "under": 2}}],
    "limits": [{"id": "seats", "scope": ["location"], "max": 20, "cost": "party", "window": {"concurrent": {"max_stay": "PT4H"}}}],
    "override": {"reasons": ["irregular_operations", "courtesy"], "max": 1, "window": {"calendar": "day"}},
    "paid": {"max": 2, "window": {"calendar": "day"}},
    "otherwise": {"offers": [{"text": {"en": "A day pass"}, "price": {"amount": "59.00", "currency": "USD"}}]},
    "token": {"audience": "sfo-lounge", "ttl": "PT30M", "online_only": true}
}"#;

/// A desk in a browser: its cookies, and the page that it shows.
pub(super) struct Desk {
    screen: Screen,
    clerk: Option<String>,
    pub(super) page: String,
}

impl Desk {
    pub(super) async fn new(app: &TestApp, letter: char) -> Self {
        let new = NewKey {
            location: Some("SFO-A".into()),
            ..NewKey::of(Role::Desk, Some(app.cathay.id.clone()), "SFO desk")
        };
        let (_, screen) = Screen::paired(app, new, letter).await;
        let mut desk = Self { screen, clerk: None, page: String::new() };
        desk.open("/desk").await;
        desk
    }

    fn cookies(&self) -> String {
        let device = self.screen.cookie.clone().unwrap();
        self.clerk.as_ref().map_or(device.clone(), |clerk| format!("{device}; {clerk}"))
    }

    /// Opens a page, which it then shows.
    pub(super) async fn open(&mut self, path: &str) -> Reply {
        let ask = self.screen.client.ask(Method::GET, path).header("accept", "text/html");
        let reply = ask.header("cookie", &self.cookies()).await;
        self.page.clone_from(&reply.text);
        reply
    }

    /// Sends a form as it stands, with these headers.
    async fn send_with(&mut self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Reply {
        let ask = self.screen.client.ask(Method::POST, path).header("accept", "text/html");
        let ask = headers.iter().fold(ask, |ask, (name, value)| ask.header(name, value));
        let reply = ask.header("cookie", &self.cookies()).form(&encoded(fields)).await;
        for given in reply.headers.get_all("set-cookie") {
            let (pair, _) = given.to_str().unwrap().split_once(';').unwrap();
            if let Some(session) = pair.strip_prefix("perkgate-clerk=") {
                self.clerk = Some(pair.to_owned()).filter(|_| !session.is_empty());
            }
        }
        reply
    }

    /// Sends a form of the page that it shows, with the token of that page.
    async fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let token = hidden(&self.page, "page_token");
        let fields = [&[("page_token", token.as_str())], fields].concat();
        self.send_with(path, &fields, &[("sec-fetch-site", "same-origin")]).await
    }

    /// The same; what it led to is shown.
    pub(super) async fn act(&mut self, path: &str, fields: &[(&str, &str)]) -> String {
        let reply = self.send(path, fields).await;
        assert_eq!(reply.status, 303, "{path}: {}", reply.text);
        let address = reply.header("location").to_owned();
        let shown = self.open(&address).await;
        assert_eq!(shown.status, 200, "{address}: {}", shown.text);
        address
    }

    /// Asks for someone from the page that it shows; the address of the answer, which is shown.
    pub(super) async fn ask(&mut self, read: &str) -> String {
        let attempt = hidden(&self.page, "attempt");
        self.act("/desk/checks", &[("attempt", attempt.as_str()), ("read", read)]).await
    }

    /// A form of the page that it shows which makes something.
    pub(super) async fn make(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let attempt = hidden(&self.page, "attempt");
        let fields = [&[("attempt", attempt.as_str())], fields].concat();
        self.send(path, &fields).await
    }

    /// The number of those inside, as the side says it.
    async fn inside(&mut self) -> u64 {
        let side = self.open("/desk/side").await.text;
        let at = side.split_once("Inside now</p><span class=\"vh\">").unwrap_or_else(|| panic!("{side}")).1;
        at.split_once('<').unwrap().0.parse().unwrap()
    }
}

#[track_caller]
pub(super) fn says(page: &str, wanted: &str) {
    assert!(page.contains(wanted), "no {wanted:?} in {page}");
}

async fn clerk(app: &TestApp) -> String {
    let admin = app.admin(&app.cathay).await;
    admin.post("/v1/desk/clerks", &json!({"name": "Grace", "pin": PIN})).await.text_of("clerk")
}

async fn open_house(app: &TestApp) {
    app.lounge(RULE, "50").await;
    for (who, score) in [("twitter:bob", "37.4"), ("twitter:cyn", "38"), ("twitter:dan", "12"), ("twitter:eve", "70")] {
        app.world.score(&app.cathay, who, score).await;
    }
}

#[expect(clippy::too_many_lines, reason = "one evening, in its order")]
#[tokio::test(flavor = "multi_thread")]
async fn an_evening_by_forms() {
    for app in TestApp::all_with(&[("link_base", "https://perks.example.com")]).await {
        open_house(&app).await;
        let grace = clerk(&app).await;
        let mut desk = Desk::new(&app, 'a').await;
        says(&desk.page, "Who is next?");
        says(&desk.page, "<b>20 free</b>");

        // A guest who is let in, and whose answer was lost.
        let attempt = hidden(&desk.page, "attempt");
        let typed = [("attempt", attempt.as_str()), ("read", "twitter:ada")];
        let ada = desk.act("/desk/checks", &typed).await;
        says(&desk.page, "Main lounge</h1>");
        says(&desk.page, "Welcome, please come in.");
        says(&desk.page, "The guest’s own page");
        assert!(!desk.page.contains("twitter:") && !desk.page.contains("eyJ"), "{}", desk.page);
        assert_eq!(desk.open(&ada).await.header("cache-control"), "no-store");
        assert_eq!(desk.act("/desk/checks", &typed).await, ada, "sent again it is the same check");
        assert_eq!(desk.inside().await, 1);

        // One more came: a clerk says so, and signs in with that.
        desk.open(&ada).await;
        says(&desk.page, "Correcting and undoing need your PIN");
        let guests = format!("{ada}/guests");
        let none = desk.send(&guests, &[("people", "2"), ("tag", "x")]).await;
        assert_eq!(none.status, 403, "{}", none.text);
        says(&none.text, "Sign in first");
        assert_eq!(hidden(&none.text, "people"), "2", "what was pressed is kept");
        let wrong = [("clerk", grace.as_str()), ("pin", "918273645546"), ("back", ada.as_str())];
        let wrong = desk.send("/desk/sign-in", &wrong).await;
        assert_eq!(wrong.status, 403, "{}", wrong.text);
        assert!(wrong.text.contains("This PIN is wrong") && !wrong.text.contains("918273645546"), "{}", wrong.text);
        let right = [("clerk", grace.as_str()), ("pin", PIN), ("back", ada.as_str())];
        assert_eq!(desk.act("/desk/sign-in", &right).await, ada);
        says(&desk.page, "<span class=\"name\">Grace</span>");
        let tag = hidden(&desk.page, "tag");
        let two = [("tag", tag.as_str()), ("people", "2"), ("young", "0"), ("why", "Her brother came.")];
        desk.act(&guests, &two).await;
        says(&desk.page, "You and your guest come in free.");
        says(&desk.page, "<output aria-live=\"polite\">2</output>");
        desk.act(&guests, &two).await;
        assert_eq!(desk.inside().await, 2, "sent twice it is one more, not two");
        desk.open(&ada).await;
        let tag = hidden(&desk.page, "tag");
        let child = [("tag", tag.as_str()), ("people", "2"), ("young", "1")];
        desk.act(&guests, &child).await;
        says(&desk.page, "Children under 2");
        let tag = hidden(&desk.page, "tag");
        let five = desk.send(&guests, &[("tag", tag.as_str()), ("people", "5")]).await;
        assert_eq!(five.status, 409, "{}", five.text);
        desk.open(&ada).await;
        says(&desk.page, "<output aria-live=\"polite\">2</output>");
        let stale = desk.send(&guests, &[("tag", "0000"), ("people", "3")]).await;
        assert_eq!(stale.status, 412, "{}", stale.text);

        // It was the wrong person.
        desk.open(&ada).await;
        desk.act(&format!("{ada}/undo"), &[("reason", "wrong_person")]).await;
        says(&desk.page, "This was undone</h1>");
        desk.act(&format!("{ada}/undo"), &[("reason", "wrong_person")]).await;
        assert!(!desk.page.contains("/undo\""), "{}", desk.page);

        // A guest who is not: the gap and never the score; let in by hand, once.
        desk.open("/desk").await;
        let bob = desk.ask("twitter:bob").await;
        says(&desk.page, "Not admitted: 3 points short</h1>");
        says(&desk.page, "USD 59.00");
        says(&desk.page, "1 left");
        assert!(!desk.page.contains("37.4") && !desk.page.contains("bob"), "{}", desk.page);
        let by_hand = format!("{bob}/override");
        let kind = [("reason", "courtesy"), ("tier", "main"), ("note", "<b>Her</b> bag is inside.")];
        let made = desk.make(&by_hand, &kind).await;
        assert_eq!(made.status, 303, "{}", made.text);
        let granted = made.header("location").to_owned();
        assert_ne!(granted, bob);
        let again = desk.make(&by_hand, &kind).await;
        assert_eq!((again.status, again.header("location")), (303, granted.as_str()));
        assert_eq!(desk.open(&granted).await.status, 200, "{}", desk.page);
        says(&desk.page, "Main lounge</h1>");
        says(&desk.page, "class=\"undo\"");
        desk.open(&bob).await;
        says(&desk.page, &format!("href=\"{granted}\""));

        // The next one is one too many by hand, and pays.
        let cyn = desk.ask("twitter:cyn").await;
        says(&desk.page, "None are left");
        let full = desk.make(&format!("{cyn}/override"), &kind).await;
        assert_eq!(full.status, 409, "{}", full.text);
        says(&full.text, "No more can be let in by hand");
        let paid = format!("{cyn}/paid");
        let bill = |amount| [("reference", "T4-20931"), ("amount", amount), ("currency", "usd"), ("tier", "main")];
        let unfit = desk.make(&paid, &bill("many")).await;
        assert_eq!(unfit.status, 422, "{}", unfit.text);
        assert!(unfit.text.contains("value=\"many\"") && unfit.text.contains("value=\"T4-20931\""), "{}", unfit.text);
        let made = desk.make(&paid, &bill("59.00")).await;
        assert_eq!(made.status, 303, "{}", made.text);
        let entered = made.header("location").to_owned();
        assert_eq!(desk.make(&paid, &bill("59.00")).await.header("location"), entered);
        desk.open("/desk").await;
        let dan = desk.ask("twitter:dan").await;
        says(&desk.page, "Not admitted</h1>");
        let used = desk.make(&format!("{dan}/paid"), &bill("59.00")).await;
        assert_eq!(used.status, 409, "{}", used.text);

        // Two left unseen, of whom one comes back; the other is said to leave.
        assert_eq!(desk.inside().await, 2);
        desk.open("/desk/count").await;
        let attempt = hidden(&desk.page, "attempt");
        let fewer = [("attempt", attempt.as_str()), ("delta", "\u{2212}1"), ("why", "By the other door.")];
        desk.act("/desk/count", &fewer).await;
        says(&desk.page, "The count is corrected.");
        desk.act("/desk/count", &fewer).await;
        assert_eq!(desk.inside().await, 1, "sent twice it counts once");
        desk.open("/desk/count").await;
        let below = desk.make("/desk/count", &[("delta", "-5"), ("why", "They left.")]).await;
        assert_eq!(below.status, 409, "{}", below.text);
        desk.open("/desk/inside").await;
        assert_eq!(desk.page.matches("/release\"").count(), 4, "two, here and beside: {}", desk.page);
        let at = desk.page.split_once("/desk/grants/").unwrap().1.split_once('"').unwrap().0.to_owned();
        desk.act(&format!("/desk/grants/{at}"), &[("from", "inside")]).await;
        assert_eq!(desk.page.matches("/release\"").count(), 2, "{}", desk.page);

        // The place is closed for an hour, for those by hand too.
        desk.open("/desk/close").await;
        assert_eq!(desk.make("/desk/close", &[("until", "soon")]).await.status, 422);
        let attempt = hidden(&desk.page, "attempt");
        let hour = [("attempt", attempt.as_str()), ("until", "20:00"), ("message", "We clean.")];
        desk.act("/desk/close", &hour).await;
        says(&desk.page, "Closed until 20:00");
        desk.ask("twitter:eve").await;
        says(&desk.page, "The place is closed</h1>");
        says(&desk.page, "We clean.");
        let bill = [("reference", "T4-20932"), ("amount", "59"), ("currency", "USD")];
        let closed = desk.make(&format!("{dan}/paid"), &bill).await;
        assert_eq!(closed.status, 409, "{}", closed.text);
        let closure = hidden(&desk.page, "closure");
        desk.act("/desk/open", &[("closure", closure.as_str())]).await;
        assert!(desk.page.contains("The place is open again") && !desk.page.contains("Closed until"), "{}", desk.page);
        desk.act("/desk/open", &[("closure", closure.as_str())]).await;
        desk.ask("twitter:eve").await;
        says(&desk.page, "Main lounge</h1>");

        // The clerk leaves, or ten minutes are over.
        app.world.pass(601);
        desk.open("/desk/count").await;
        says(&desk.page, "Correcting the count needs your PIN.");
        let over = desk.send("/desk/count", &[("attempt", "late"), ("delta", "1"), ("why", "One came.")]).await;
        assert_eq!(over.status, 403, "{}", over.text);
        assert!(over.text.contains("sign in with your PIN again") && over.text.contains("One came."), "{}", over.text);
        let with = [("attempt", "late"), ("delta", "1"), ("why", "One came."), ("clerk", &grace), ("pin", PIN)];
        desk.act("/desk/count", &with).await;
        desk.act("/desk/sign-off", &[]).await;
        assert_eq!(desk.clerk, None);
        says(&desk.page, "You are signed off.");

        let auditor = app.auditor(&app.cathay).await;
        for kind in ["occupancy.corrected", "grant.corrected", "place.closed"] {
            let events = auditor.get(&format!("/v1/audit/events?kind={kind}")).await.is(200);
            let events = events["events"].as_array().unwrap();
            assert!(!events.is_empty(), "{kind}");
            assert!(events.iter().all(|event| event["actor"] == json!({"key": grace, "role": "desk"})), "{events:?}");
        }
        let report =
            perkgate::audit::verify(&app.world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
        let findings: Vec<_> = report.unwrap().findings.listed().iter().map(ToString::to_string).collect();
        assert_eq!(findings, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_page_of_this_very_desk_acts_and_sees() {
    for app in TestApp::all().await {
        open_house(&app).await;
        let mut desk = Desk::new(&app, 'a').await;
        let ada = desk.ask("twitter:ada").await;
        let bob = desk.ask("twitter:bob").await;
        let done = async || {
            let all = app.footprint().await;
            [all.grants, all.limits_used, all.subjects, all.idempotency_rows]
        };
        let before = done().await;

        // A cookie that was stolen, without the token of a page; and another site's form.
        let token = hidden(&desk.page, "page_token");
        let undo = format!("{ada}/undo");
        let own = [("sec-fetch-site", "same-origin")];
        for bad in ["", "x", &"0".repeat(64)] {
            let refused = desk.send_with(&undo, &[("page_token", bad), ("reason", "left")], &own).await;
            assert_eq!(refused.status, 403, "{}", refused.text);
            says(&refused.text, "<h1>");
        }
        let fields = [("page_token", token.as_str()), ("reason", "left")];
        for foreign in [("sec-fetch-site", "cross-site"), ("origin", "https://elsewhere.example")] {
            assert_eq!(desk.send_with(&undo, &fields, &[foreign]).await.status, 403);
        }
        let json = desk.screen.client.post(&undo, &json!({"page_token": token, "reason": "left"}));
        let json = json.header("cookie", &desk.cookies()).header("sec-fetch-site", "same-origin").await;
        assert_eq!(json.status, 415);
        assert_eq!(desk.send("/desk/checks", &[("attempt", ""), ("read", "twitter:eve")]).await.status, 400);

        // Another desk, of this merchant and of another.
        let mut beside = Desk::new(&app, 'b').await;
        let new = NewKey::of(Role::Desk, Some(app.american.id.clone()), "DFW desk");
        app.world.perk(&app.american, "sfo-lounge", RULE).await;
        let (_, screen) = Screen::paired(&app, new, 'c').await;
        let mut american = Desk { screen, clerk: None, page: String::new() };
        american.open("/desk").await;
        for other in [&mut beside, &mut american] {
            let idle = other.page.clone();
            let absent = other.open(&ada).await;
            assert_eq!(absent.status, 404, "{}", absent.text);
            let unknown = other.open("/desk/checks/chk_00000000000070008000000000000001").await;
            assert_eq!(unknown.status, 404);
            assert_eq!(
                absent.text.split_once("<main").unwrap().1.replace(&hidden(&absent.text, "attempt"), ""),
                unknown.text.split_once("<main").unwrap().1.replace(&hidden(&unknown.text, "attempt"), ""),
                "what others have is as what nobody has"
            );
            other.page = idle;
            assert_eq!(other.send(&undo, &[("reason", "left")]).await.status, 404);
            let kind = [("attempt", "one"), ("reason", "courtesy"), ("tier", "main")];
            assert_eq!(other.send(&format!("{bob}/override"), &kind).await.status, 404);
            assert_eq!(other.send(&format!("{ada}/guests"), &[("people", "2"), ("tag", "x")]).await.status, 404);
        }
        let grant = desk.open("/desk/inside").await.text;
        let grant = grant.split_once("/desk/grants/").unwrap().1.split_once('"').unwrap().0.to_owned();
        assert_eq!(american.send(&format!("/desk/grants/{grant}"), &[]).await.status, 404);
        assert!(!american.open("/desk/inside").await.text.contains("/release\""));

        // A kiosk, and a browser that is nothing.
        let kiosk = Screen::kiosk(&app, 'd').await;
        assert_eq!(kiosk.open("/desk").await.header("location"), "/kiosk");
        assert_eq!(kiosk.open("/desk/inside").await.status, 403);
        assert_eq!(Screen::new(&app).open(&ada).await.status, 401);
        assert_eq!(done().await, before);

        // The session of a clerk works with the desk where they signed in only.
        let grace = clerk(&app).await;
        desk.open("/desk").await;
        desk.act("/desk/sign-in", &[("clerk", &grace), ("pin", PIN), ("back", "//elsewhere.example")]).await;
        beside.clerk.clone_from(&desk.clerk);
        let count = beside.send("/desk/count", &[("attempt", "one"), ("delta", "1"), ("why", "One came.")]).await;
        assert_eq!(count.status, 403, "{}", count.text);
        says(&count.text, "Sign in first");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hostile_is_shown_as_the_text_that_it_is() {
    let app = TestApp::start(&[]).await;
    open_house(&app).await;
    let mut desk = Desk::new(&app, 'a').await;
    let before = app.footprint().await;
    let bent = format!("M1{}", "X".repeat(60));
    for read in ["\"> <script>alert(1)</script>", "twitter:", "a b", "\u{202e}twitter:ada", &bent] {
        let reply = desk.make("/desk/checks", &[("read", read)]).await;
        assert_eq!(reply.status, 422, "{read}: {}", reply.text);
        says(&reply.text, "This can’t be read");
        assert!(!reply.text.contains("<script>alert"), "{}", reply.text);
    }
    let kept = desk.make("/desk/checks", &[("read", "\"> <i>")]).await;
    says(&kept.text, "value=\"&#34;&#62; &#60;i&#62;\"");
    let kept = desk.make("/desk/checks", &[("read", "twitter:ada"), ("people", "0")]).await;
    assert_eq!(kept.status, 422);
    assert_eq!(desk.make("/desk/checks", &[("read", "twitter:a\0da")]).await.status, 400);
    let count = desk.make("/desk/count", &[("delta", "<b>"), ("why", "<i>x</i>")]).await;
    assert_eq!(count.status, 422);
    assert!(!count.text.contains("<i>x") && count.text.contains("&#60;i&#62;x"), "{}", count.text);
    let hidden_line = desk.make("/desk/count", &[("delta", "1"), ("why", "a\u{202e}b")]).await;
    assert_eq!(hidden_line.status, 422);
    for delta in ["0", "1001", "-1001", "1.5", ""] {
        assert_eq!(desk.make("/desk/count", &[("delta", delta), ("why", "x")]).await.status, 422, "{delta}");
    }
    assert_eq!(desk.open("/desk/inside?cursor=%3Cb%3E").await.status, 422);
    assert_eq!(desk.open("/desk/checks/..%2Fdesk").await.status, 404);
    assert_eq!(app.footprint().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_that_is_guessed_at_makes_the_clerk_wait() {
    for app in TestApp::all().await {
        open_house(&app).await;
        let grace = clerk(&app).await;
        let mut desk = Desk::new(&app, 'a').await;
        let guess = [("clerk", grace.as_str()), ("pin", "918273645546"), ("back", "/desk")];
        for _ in 0..5 {
            assert_eq!(desk.send("/desk/sign-in", &guess).await.status, 403);
        }
        let right = [("clerk", grace.as_str()), ("pin", PIN), ("back", "/desk")];
        let locked = desk.send("/desk/sign-in", &right).await;
        assert_eq!(locked.status, 429, "{}", locked.text);
        assert!(locked.text.contains("This clerk has to wait") && locked.text.contains("19:15"), "{}", locked.text);
        assert!(locked.headers.contains_key("retry-after") && desk.clerk.is_none());
        app.world.pass(15 * 60);
        desk.act("/desk/sign-in", &right).await;
        says(&desk.page, "You are signed in for ten minutes.");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_typed_is_there_while_the_database_is_away() {
    let app = TestApp::start(&[]).await;
    open_house(&app).await;
    let mut desk = Desk::new(&app, 'a').await;
    let run = |statement: &'static str| {
        app.world.gateway.database.write(move |conn| {
            // As where another process writes for too long.
            perkgate::on_either!(conn, |c| diesel::sql_query(statement).execute(c))
                .map(drop)
                .map_err(DatabaseError::from)
        })
    };
    run("CREATE TRIGGER held BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'database is locked'); END")
        .await
        .unwrap();
    let attempt = hidden(&desk.page, "attempt");
    let typed = [("attempt", attempt.as_str()), ("read", "twitter:ada")];
    let away = desk.send("/desk/checks", &typed).await;
    assert_eq!(away.status, 503, "{}", away.text);
    says(&away.text, "The gateway can’t answer right now");
    says(&away.text, "value=\"twitter:ada\"");
    assert_eq!(hidden(&away.text, "attempt"), attempt, "it is the same attempt");
    let more = desk.send("/desk/count", &[("attempt", "one"), ("delta", "3"), ("why", "Three came.")]).await;
    assert_eq!((more.status, hidden(&more.text, "why")), (503, "Three came.".to_owned()), "{}", more.text);
    run("DROP TRIGGER held").await.unwrap();
    desk.page = away.text;
    desk.act("/desk/checks", &typed).await;
    says(&desk.page, "Main lounge</h1>");
    desk.act("/desk/count", &[("attempt", "one"), ("delta", "3"), ("why", "Three came.")]).await;
    assert_eq!(desk.inside().await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_decides_is_shown_at_the_desk_that_asked() {
    for app in TestApp::all().await {
        let rule = r#"{"score":{"source":"klout","on_missing":"refer"},"tiers":[{"id":"main","name":"Main lounge",
            "when":{"attr":"score","op":"gte","value":40}}],"token":{"audience":"sfo-lounge","ttl":"PT30M"}}"#;
        app.lounge(rule, "50").await;
        let admin = app.admin(&app.cathay).await;
        let mut desk = Desk::new(&app, 'a').await;
        for (who, decision, title) in [
            ("twitter:new", json!({"decision": "grant", "tier": "main", "note": "in person"}), "Main lounge</h1>"),
            ("twitter:old", json!({"decision": "deny", "note": "nobody"}), "Not admitted: a person said no</h1>"),
        ] {
            let asked = desk.ask(who).await;
            says(&desk.page, "A person decides this</h1>");
            says(&desk.page, "data-waits");
            let check = asked.rsplit_once('/').unwrap().1;
            let decided = admin.post(&format!("/v1/referrals/{check}/decide"), &decision).await;
            assert!(decided.status < 300, "{}", decided.text);
            desk.open(&asked).await;
            says(&desk.page, title);
            assert!(!desk.page.contains("data-waits") && !desk.page.contains("in person"), "{}", desk.page);
        }
    }
}
