//! Contests of a person about a perk while a case is open: they are added to it, so that nobody is buried in cases.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::http::v1::LOUNGE;
use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};

/// How many refusals are added to one case.
const MOST: usize = 20;

async fn ask(kiosk: &Client, perk: &str, subject: &str) -> Value {
    kiosk.post("/v1/checks", &json!({"perk": perk, "subject": subject})).await.is(200)
}

async fn refused(kiosk: &Client, subject: &str) -> String {
    let answer = ask(kiosk, "sfo-lounge", subject).await;
    assert_eq!(answer["decision"], "denied", "{answer}");
    answer["check"].as_str().unwrap().to_owned()
}

async fn contest(client: &Client, check: &str, reason: &str) -> Reply {
    client.post(&format!("/v1/checks/{check}/contest"), &json!({"reason": reason})).await
}

fn referring() -> String {
    LOUNGE.replacen(r#""tiers""#, r#""otherwise":"refer","tiers""#, 1)
}

fn findings(app: &TestApp) -> Vec<String> {
    let (database, entropy) = (app.world.database.open(), perkgate::foundation::entropy::Entropy::seeded(1));
    let report = perkgate::audit::verify(&database, &perkgate::audit::Request::default(), &entropy, &mut |_| {});
    report.unwrap().findings.listed().iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_not_buried_in_cases() {
    for app in TestApp::all_with(&[("rate_per_key", "0")]).await {
        app.lounge(LOUNGE, "37").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let first = refused(&kiosk, "twitter:ada").await;
        let case = contest(&kiosk, &first, "It is me, canaryname 0.").await.is(201);
        for nth in 1..=MOST {
            app.world.pass(1);
            let check = refused(&kiosk, "twitter:ada").await;
            let path = format!("/v1/checks/{check}/contest");
            let reason = json!({"reason": format!("It is me, canaryname {nth}.")});
            let added = kiosk.post(&path, &reason).header("idempotency-key", &format!("k{nth}")).await;
            let told = added.is(200);
            assert_eq!((&told["check"], &told["status"]), (&json!(first), &json!("open")), "{told}");
            assert_eq!((&told["opened_at"], &told["additions"]), (&case["opened_at"], &json!(nth)));
            assert_eq!(added.header("location"), format!("/v1/contests/{first}"));
            let again = kiosk.post(&path, &reason).header("idempotency-key", &format!("k{nth}")).await;
            assert_eq!((again.status, again.text), (200, added.text.clone()), "a retry gets the first answer");
            contest(&kiosk, &check, "again").await.problem(409, "already_exists");
            let shown = kiosk.get(&format!("/v1/checks/{check}")).await.is(200);
            assert_eq!(shown["contest"]["check"], json!(first), "the kiosk can wait for it");
        }
        let full = contest(&kiosk, &refused(&kiosk, "twitter:ada").await, "one more").await;
        full.problem(409, "case_full");
        assert!(full.json()["detail"].as_str().unwrap().contains(&first), "{}", full.text);
        let listed = admin.get("/v1/contests").await.is(200);
        assert_eq!(listed["contests"].as_array().unwrap().len(), 1, "one case, however often");
        assert_eq!(listed["contests"][0]["additions"], MOST);

        let whole = admin.get(&format!("/v1/contests/{first}")).await.is(200);
        assert_eq!(whole["reason"], "It is me, canaryname 0.");
        let added = whole["added"].as_array().unwrap();
        assert_eq!(added.len(), MOST);
        for (nth, addition) in added.iter().enumerate() {
            assert_eq!(addition["reason"], format!("It is me, canaryname {}.", nth + 1));
            assert!(addition["check"].as_str().is_some() && addition["added_by"].as_str().is_some(), "{addition}");
        }
        let log = app.auditor(&app.cathay).await.get("/v1/audit/export").await;
        assert!(log.text.contains("contest.added") && !log.text.contains("canaryname"), "what people write is sealed");
        // Another person, and another perk of the same, have cases of their own.
        app.world.perk(&app.cathay, "club", LOUNGE).await;
        contest(&kiosk, &refused(&kiosk, "twitter:bob").await, "me too").await.is(201);
        let club = ask(&kiosk, "club", "twitter:ada").await;
        contest(&kiosk, club["check"].as_str().unwrap(), "me too").await.is(201);

        let upheld = admin.post(&format!("/v1/contests/{first}/uphold"), &json!({"note": "It is right."})).await;
        upheld.is(201);
        let late = added[0]["check"].as_str().unwrap();
        assert_eq!(kiosk.get(&format!("/v1/checks/{late}")).await.is(200)["contest"]["status"], "upheld");
        contest(&kiosk, late, "again").await.problem(409, "already_exists");
        // It is decided: the next begins another.
        contest(&kiosk, &refused(&kiosk, "twitter:ada").await, "anew").await.is(201);
        assert_eq!(findings(&app), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_further_referred_check_points_to_the_open_referral() {
    for app in TestApp::all_with(&[("rate_per_key", "0")]).await {
        app.lounge(&referring(), "37").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let mut checks = Vec::new();
        for nth in 0..30 {
            let path = || kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada"}));
            let asked = path().header("idempotency-key", &format!("k{nth}")).await;
            assert_eq!(asked.is(200)["decision"], "referred");
            assert_eq!(path().header("idempotency-key", &format!("k{nth}")).await.text, asked.text);
            if nth > 0 {
                assert_eq!(asked.is(200)["joins"], json!(checks[0]), "{}", asked.text);
            } else {
                assert_eq!(asked.is(200).get("joins"), None, "{}", asked.text);
            }
            checks.push(asked.text_of("check"));
        }
        let open = admin.get("/v1/referrals").await.is(200);
        assert_eq!(open["referrals"].as_array().unwrap().len(), 1, "one row, however often");
        assert_eq!(open["referrals"][0]["check"], json!(checks[0]));
        let shown = kiosk.get(&format!("/v1/checks/{}", checks[7])).await.is(200);
        assert_eq!((&shown["referral"]["status"], &shown["joins"]), (&json!("open"), &json!(checks[0])));

        let grant = json!({"decision": "grant", "tier": "standard", "note": "seen"});
        let granted = admin.post(&format!("/v1/referrals/{}/decide", checks[0]), &grant).await.is(201);
        for check in &checks {
            let shown = kiosk.get(&format!("/v1/checks/{check}")).await.is(200);
            assert_eq!(shown["referral"]["status"], "granted");
            assert_eq!(shown["referral"]["granted_check"], granted["check"], "what it joined was granted");
        }
        let made = kiosk.get(&format!("/v1/checks/{}", granted["check"].as_str().unwrap())).await.is(200);
        assert!(made["token"].is_string(), "the kiosk hands it over");
        let next = ask(&kiosk, "sfo-lounge", "twitter:ada").await;
        assert_eq!((&next["decision"], next.get("joins")), (&json!("referred"), None), "that was decided");
        assert_eq!(admin.get("/v1/referrals").await.is(200)["referrals"].as_array().unwrap().len(), 2);
        assert_eq!(findings(&app), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_at_once_open_one_case() {
    for app in TestApp::all_with(&[("rate_per_key", "0")]).await {
        app.lounge(LOUNGE, "37").await;
        app.world.perk(&app.cathay, "club", &referring()).await;
        let kiosk = app.kiosk().await;
        for round in 0..10 {
            let who = format!("twitter:n{round}");
            app.world.score(&app.cathay, &who, "37").await;
            let mut checks = Vec::new();
            for _ in 0..6 {
                checks.push(refused(&kiosk, &who).await);
            }
            let all = join_all(checks.iter().map(|check| contest(&kiosk, check, "it is me"))).await;
            let opened = all.iter().filter(|reply| reply.status == 201).count();
            assert_eq!((opened, all.iter().filter(|reply| reply.status == 200).count()), (1, 5));
            join_all((0..6).map(|_| ask(&kiosk, "club", &who))).await;
        }
        let admin = app.admin(&app.cathay).await;
        assert_eq!(admin.get("/v1/contests?limit=200").await.is(200)["contests"].as_array().unwrap().len(), 10);
        assert_eq!(admin.get("/v1/referrals?limit=200").await.is(200)["referrals"].as_array().unwrap().len(), 10);
        assert_eq!(findings(&app), [""; 0]);
    }
}
