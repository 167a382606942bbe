//! Lists of checks and of grants: by what, for whom, page by page.

use perkgate::access::{NewKey, Role};
use reqwest::Method;
use serde_json::{Value, json};

use crate::http::v1::OPEN_LOUNGE;
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};

async fn kiosk(app: &TestApp, name: &str, location: &str) -> Client {
    let key = NewKey::of(Role::Kiosk, Some(app.cathay.id.clone()), name);
    app.client(NewKey { kiosk: Some(name.into()), location: Some(location.into()), ..key }).await
}

async fn ask(kiosk: &Client, perk: &str, subject: &str) -> Reply {
    kiosk.post("/v1/checks", &json!({"perk": perk, "subject": subject})).await
}

/// The ids of a page's entries.
fn ids<'a>(page: &'a Value, list: &str, id: &str) -> Vec<&'a str> {
    page[list].as_array().unwrap().iter().map(|entry| entry[id].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_are_listed_by_what_they_were_and_to_whom_they_belong() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        app.world.perk(&app.cathay, "hkg-lounge", OPEN_LOUNGE).await;
        let (first, second) = (kiosk(&app, "A12", "SFO-A").await, kiosk(&app, "B1", "HKG-B").await);
        let mut checks = Vec::new();
        for (kiosk, perk, subject) in [
            (&first, "sfo-lounge", "twitter:ada"),
            (&first, "sfo-lounge", "twitter:nobody"),
            (&second, "hkg-lounge", "twitter:ada"),
            (&second, "sfo-lounge", "twitter:nobody"),
        ] {
            checks.push(ask(kiosk, perk, subject).await.text_of("check"));
            app.world.pass(60);
        }
        let [ada, nobody, hkg, late] = [0, 1, 2, 3].map(|nth| checks[nth].as_str());
        let admin = app.admin(&app.cathay).await;
        for (query, expected) in [
            ("", vec![late, hkg, nobody, ada]),
            ("?order=asc", vec![ada, nobody, hkg, late]),
            ("?perk=hkg-lounge", vec![hkg]),
            ("?perk=nothing", vec![]),
            ("?decision=granted", vec![hkg, ada]),
            ("?decision=denied&kiosk=A12", vec![nobody]),
            ("?location=HKG-B", vec![late, hkg]),
            ("?from=2012-05-08T19:01:00Z&to=2012-05-08T19:03:00Z", vec![hkg, nobody]),
        ] {
            let page = admin.get(&format!("/v1/checks{query}")).await.is(200);
            assert_eq!(ids(&page, "checks", "check"), expected, "{query}");
            assert_eq!(page["next_cursor"], Value::Null, "{query}");
        }
        let page = admin.get("/v1/checks?order=asc&limit=1").await.is(200);
        let entry = &page["checks"][0];
        assert!(entry["grant"].as_str().unwrap().starts_with("grt_"));
        let expected = json!({
            "check": ada, "at": "2012-05-08T19:00:00Z", "decision": "granted", "perk": "sfo-lounge", "rule_version": 1,
            "tier": "standard", "reasons": ["score_met"], "location": "SFO-A", "kiosk": "A12",
            "grant": entry["grant"], "resolves": null, "joins": null
        });
        assert_eq!(*entry, expected);
        let own = admin.get(&format!("/v1/checks/{ada}")).await.is(200);
        assert_eq!((&own["location"], &own["kiosk"]), (&entry["location"], &entry["kiosk"]));

        // A kiosk sees its own, also by person; another merchant sees none.
        assert_eq!(ids(&first.get("/v1/checks").await.is(200), "checks", "check"), [nobody, ada]);
        assert_eq!(first.get("/v1/checks?kiosk=B1").await.is(200)["checks"], json!([]));
        let search = json!({"subject": "Twitter:ADA"});
        let of = async |who: &Client| who.post("/v1/checks/search", &search).await.is(200);
        assert_eq!(ids(&of(&admin).await, "checks", "check"), [hkg, ada]);
        assert_eq!(ids(&of(&first).await, "checks", "check"), [ada]);
        let stranger = app.admin(&app.american).await;
        assert_eq!(of(&stranger).await, json!({"checks": [], "next_cursor": null}));
        assert_eq!(stranger.get("/v1/checks").await.is(200)["checks"], json!([]));
        for role in [Role::Door, Role::Feeder, Role::Auditor, Role::Operator] {
            let client = app.role(&app.cathay, role).await;
            for path in ["/v1/checks", "/v1/grants"] {
                client.get(path).await.problem(403, "forbidden");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_are_listed_by_where_they_are_in_their_life() {
    for app in TestApp::all().await {
        app.lounge(OPEN_LOUNGE, "47.25").await;
        let (admin, kiosk, door) = (
            app.admin(&app.cathay).await,
            kiosk(&app, "A12", "SFO-A").await,
            app.door(&app.cathay, "sfo-lounge").await,
        );
        let mut grants = Vec::new();
        for _ in 0..5 {
            let reply = ask(&kiosk, "sfo-lounge", "twitter:ada").await;
            grants.push((reply.text_of("grant"), reply.text_of("token")));
            app.world.pass(1);
        }
        ask(&kiosk, "sfo-lounge", "twitter:nobody").await.is(200);
        let ids_of = |wanted: &[usize]| wanted.iter().map(|nth| grants[*nth].0.as_str()).collect::<Vec<_>>();
        let redeem = json!({"token": grants[1].1, "door": "A", "attempt": "1"});
        door.post("/v1/tokens/redeem", &redeem).await.is(200);
        let path = |nth: usize, end: &str| format!("/v1/grants/{}/{end}", grants[nth].0);
        admin.ask(Method::POST, &path(2, "release")).await.is(200);
        admin.post(&path(3, "void"), &json!({"note": "a mistake"})).await.is(200);
        for (query, expected) in [
            ("", vec![4, 3, 2, 1, 0]),
            ("?status=active", vec![4, 0]),
            ("?status=active&order=asc", vec![0, 4]),
            ("?status=redeemed", vec![1]),
            ("?status=released&kiosk=A12&location=SFO-A&perk=sfo-lounge", vec![2]),
            ("?status=voided", vec![3]),
            ("?status=expired", vec![]),
            ("?from=2012-05-08T19:00:03Z", vec![4, 3]),
            ("?location=HKG", vec![]),
        ] {
            let page = admin.get(&format!("/v1/grants{query}")).await.is(200);
            assert_eq!(ids(&page, "grants", "grant"), ids_of(&expected), "{query}");
            assert_eq!(page["next_cursor"], Value::Null, "{query}");
        }
        // Each entry says what the grant's own address says.
        let page = admin.get("/v1/grants").await.is(200);
        for entry in page["grants"].as_array().unwrap() {
            let own = admin.get(&format!("/v1/grants/{}", entry["grant"].as_str().unwrap())).await.is(200);
            for (name, value) in own.as_object().unwrap().iter().filter(|(name, _)| *name != "note") {
                assert_eq!(entry[name], *value, "{name}");
            }
            assert_eq!((&entry["location"], &entry["kiosk"]), (&json!("SFO-A"), &json!("A12")));
        }
        let search = json!({"subject": "twitter:ada", "status": "active"});
        assert_eq!(ids(&admin.post("/v1/grants/search", &search).await.is(200), "grants", "grant"), ids_of(&[4, 0]));
        let search = json!({"subject": "twitter:nobody"});
        assert_eq!(admin.post("/v1/grants/search", &search).await.is(200)["grants"], json!([]));
        let other = app.kiosk().await;
        assert_eq!(other.get("/v1/grants").await.is(200)["grants"], json!([]), "another kiosk's are not there");
        app.world.pass(3600);
        let page = admin.get("/v1/grants?status=expired").await.is(200);
        assert_eq!(ids(&page, "grants", "grant"), ids_of(&[4, 0]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_each_entry_once_and_cursors_are_of_one_list() {
    let app = TestApp::start(&[]).await;
    app.lounge(OPEN_LOUNGE, "47.25").await;
    let (admin, kiosk) = (app.admin(&app.cathay).await, app.kiosk().await);
    let mut grants = Vec::new();
    for nth in 0..7 {
        let reply = ask(&kiosk, "sfo-lounge", "twitter:ada").await;
        if nth % 2 == 0 {
            admin.ask(Method::POST, &format!("/v1/grants/{}/release", reply.text_of("grant"))).await.is(200);
        } else {
            grants.insert(0, reply.text_of("grant"));
        }
    }
    let (mut found, mut path, mut last) = (Vec::new(), "/v1/grants?status=active&limit=2".to_owned(), String::new());
    loop {
        let page = admin.get(&path).await.is(200);
        found.extend(ids(&page, "grants", "grant").into_iter().map(str::to_owned));
        ask(&kiosk, "sfo-lounge", "twitter:ada").await.is(200);
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        cursor.clone_into(&mut last);
        path = format!("/v1/grants?status=active&limit=2&cursor={cursor}");
    }
    assert_eq!(found, grants);
    for (client, path) in [
        (&admin, format!("/v1/grants?order=asc&cursor={last}")),
        (&admin, format!("/v1/checks?cursor={last}")),
        (&kiosk, format!("/v1/grants?cursor={last}")),
        (&admin, "/v1/checks?cursor=AAAA".to_owned()),
    ] {
        let spot = client.get(&path).await.spot(422, "invalid_request");
        assert_eq!(spot, ("cursor".to_owned(), "invalid_value".to_owned()), "{path}");
    }
    for (path, parameter, code) in [
        ("/v1/checks?decision=maybe", "decision", "unknown_value"),
        ("/v1/grants?status=gone", "status", "unknown_value"),
        ("/v1/checks?subject=twitter:ada", "subject", "unknown_field"),
        ("/v1/grants?subject=twitter:ada", "subject", "unknown_field"),
        ("/v1/checks?perk=A%20B", "perk", "invalid_value"),
        ("/v1/checks?limit=0", "limit", "invalid_value"),
        ("/v1/grants?from=2012-05-09T00:00:00Z&to=2012-05-08T00:00:00Z", "to", "invalid_value"),
    ] {
        let spot = admin.get(path).await.spot(422, "invalid_request");
        assert_eq!(spot, (parameter.to_owned(), code.to_owned()), "{path}");
    }
    for (body, pointer, code) in [
        (json!({}), "/subject", "missing_field"),
        (json!({"subject": " "}), "/subject", "bad_subject"),
        (json!({"subject": "a", "limit": 0}), "/limit", "invalid_value"),
        (json!({"subject": "a", "from": "2012-05-09T00:00:00Z", "to": "2012-05-08T00:00:00Z"}), "/to", "invalid_value"),
    ] {
        for path in ["/v1/checks/search", "/v1/grants/search"] {
            let spot = admin.post(path, &body).await.spot(422, "invalid_request");
            assert_eq!(spot, (pointer.to_owned(), code.to_owned()), "{path} {body}");
        }
    }
    let body = json!({"subject": "twitter:ada", "cursor": "AAAA"});
    for path in ["/v1/checks/search", "/v1/grants/search"] {
        let spot = admin.post(path, &body).await.spot(422, "invalid_request");
        assert_eq!(spot, ("/cursor".to_owned(), "invalid_value".to_owned()), "{path}");
    }
}
