//! The log and one check: filters, pages, who sees whom, and what is left of the erased and the pruned.

use perkgate::access::Role;
use serde_json::json;

use super::browser::Browser;
use super::perks::words;
use crate::support::app::TestApp;
use crate::support::world::CLI;

const LOUNGE: &str = r#"{"time_zone":"America/Los_Angeles","score":{"source":"klout"},
    "when":{"attr":"context.terminal","op":"in","values":["A","<b>G</b>"]},
    "tiers":[{"id":"first","rank":2,"name":"First lounge","when":{"attr":"score","op":"gte","value":60}},
             {"id":"main","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
    "limits":[{"id":"house-day","scope":["perk"],"max":200,"window":{"calendar":"day"}}]}"#;

async fn ask(app: &TestApp, who: &str) -> String {
    let body = json!({"perk": "sfo-lounge", "subject": who, "context": {"terminal": "A"}});
    app.kiosk().await.post("/v1/checks", &body).await.text_of("check")
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_found_page_by_page_and_each_role_sees_its_own_names() {
    for app in TestApp::all_with(&[("rate_per_key", "0")]).await {
        app.lounge(LOUNGE, "47").await;
        let admin = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        let auditor = Browser::logged_in(&app, Role::Auditor, "ann@cathay.example").await;
        let first = ask(&app, "twitter:ada").await;
        for _ in 0..55 {
            ask(&app, "twitter:ada").await;
        }
        let path = "/console/log?kind=check.decided&perk=sfo-lounge&from=2012-05-08&to=2012-05-09";
        let page = admin.open(path).await.into_text();
        assert_eq!(page.matches("/console/checks/").count(), 25);
        assert!(words(&page).contains("check.decided test twitter:ada granted, main, sfo-lounge"), "{}", words(&page));
        let older = async |page: &str| {
            let next = page.split_once("<a class=\"btn\" href=\"/console/log?").unwrap().1.split_once('"').unwrap().0;
            admin.open(&format!("/console/log?{}", next.replace("&#38;", "&"))).await.into_text()
        };
        let middle = older(&page).await;
        assert_eq!(middle.matches("/console/checks/").count(), 25);
        let rest = older(&middle).await;
        assert_eq!(rest.matches("/console/checks/").count(), 6, "{rest}");
        assert!(rest.contains(&first) && !rest.contains("Older ones"), "{rest}");
        let sealed = auditor.open(path).await.into_text();
        assert!(!sealed.contains("twitter:") && sealed.contains("check.decided"), "{sealed}");
        for (query, status, said) in [
            ("kind=nothing", 422, "There is no such kind"),
            ("from=soon", 422, "is a day, such as"),
            ("from=2012-05-09&to=2012-05-08", 422, "swap them"),
            ("perk=A%20%3Cscript%3E", 422, "can’t be that"),
            ("kind=place.closed", 200, "No event is like that"),
            ("kind=key.created", 200, "key.created"),
        ] {
            let reply = admin.open(&format!("/console/log?{query}")).await;
            assert!(reply.status == status && reply.text.contains(said), "{query}: {} {}", reply.status, reply.text);
            assert!(!reply.text.contains("<script>"), "{}", reply.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_has_its_reasons_its_rule_its_grant_and_its_proof() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "47").await;
        app.world.score(&app.cathay, "twitter:bob", "37.4").await;
        let admin = Browser::logged_in(&app, Role::Admin, "mei@cathay.example").await;
        let auditor = Browser::logged_in(&app, Role::Auditor, "ann@cathay.example").await;
        let (granted, refused) = (ask(&app, "twitter:ada").await, ask(&app, "twitter:bob").await);
        let page = admin.open(&format!("/console/checks/{granted}")).await.into_text();
        let text = words(&page);
        for said in [
            "Granted: Main lounge",
            "twitter:ada asked for",
            "on Tuesday 8 May 2012 at 12:00:00 PDT, 19:00:00 UTC.",
            "Held: Terminal is one of A, &#60;b&#62;G&#60;/b&#62; A",
            "Did not hold: First lounge",
            "Score 47 from klout",
            "Limit house-day: 1 of 200 used then",
            "Token Opens its door until",
            "Spent at a door never",
            "Prove it here",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
        assert!(!page.contains("eyJhbGciOi"), "no token is on the page: {page}");
        let grant = page.split_once("grt_").unwrap().1.split_once('<').unwrap().0.to_owned();
        let admin_key = app.admin(&app.cathay).await;
        admin_key.post(&format!("/v1/grants/grt_{grant}/void"), &json!({"note": "x"})).await.is(200);
        let text = words(&admin.open(&format!("/console/checks/{granted}")).await.into_text());
        assert!(text.contains("Taken back at 12:00: it opens no door."), "{text}");
        let text = words(&admin.open(&format!("/console/checks/{refused}")).await.into_text());
        for said in [
            "Refused",
            "“The score is 2.6 points short of the 40 that Main lounge asks for.”",
            "No, not by waiting alone.",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
        let sealed = auditor.open(&format!("/console/checks/{refused}")).await.into_text();
        assert!(!sealed.contains("twitter:") && !sealed.contains("37.4") && !sealed.contains("2.6 points"), "{sealed}");
        assert!(words(&sealed).contains("is sealed under the person’s key, and is for admins"), "{sealed}");

        let american = Browser::logged_in_at(&app, Some(&app.american), Role::Admin, "jo@american.example").await;
        let plain = |reply: crate::support::client::Reply| {
            (reply.status, reply.text.replace(reply.header("x-request-id"), "req"))
        };
        let unknown = plain(american.open("/console/checks/chk_00000000000070008000000000000001").await);
        assert_eq!(unknown.0, 404);
        assert_eq!(plain(american.open(&format!("/console/checks/{granted}")).await), unknown);

        admin_key.post("/v1/subjects/erase", &json!({"subject": "twitter:bob"})).await.is(200);
        let erased = admin.open(&format!("/console/checks/{refused}")).await.into_text();
        assert!(!erased.contains("twitter:bob") && !erased.contains("37.4"), "{erased}");
        assert!(
            words(&erased).contains("The person has been erased, and with them what the rule looked at."),
            "{erased}"
        );

        app.world.pass(400 * 24 * 3600);
        ask(&app, "twitter:ada").await;
        let ledger = &app.world.gateway.ledger;
        let doomed = ledger.plan_pruning(&app.cathay.id, app.world.now(), |_, _| ()).await.unwrap();
        assert!(ledger.prune(&doomed, CLI, |_, _| ()).await.unwrap() > 0, "{:?}", doomed.obstacles);
        // The session is long over.
        let admin = Browser::logged_in(&app, Role::Admin, "li@cathay.example").await;
        let pruned = admin.open(&format!("/console/checks/{refused}")).await.into_text();
        assert!(pruned.contains("This check is pruned") && pruned.contains("Prove it here"), "{pruned}");
        let log = admin.open("/console/log?to=2012-05-09T12:00:00Z").await.into_text();
        assert!(log.contains("Its body is pruned"), "{log}");
    }
}
