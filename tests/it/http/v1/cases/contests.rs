//! `/v1/contests`: a refusal that somebody says is wrong, and what a person makes of it.

use diesel::prelude::*;
use futures_util::future::join_all;
use perkgate::access::{NewKey, Role};
use perkgate::database::schema::events;
use serde_json::{Value, json};

use crate::http::v1::LOUNGE;
use crate::support::app::TestApp;
use crate::support::client::Client;
use crate::support::world::CLI;

const REASON: &str = "My account was renamed, canaryname.";

/// Ada with 37 is refused by a kiosk, which is returned with the check's id.
async fn refused(app: &TestApp) -> (Client, String) {
    app.lounge(LOUNGE, "37").await;
    let kiosk = app.kiosk().await;
    let check = ask(&kiosk, "twitter:ada").await;
    (kiosk, check)
}

async fn ask(kiosk: &Client, subject: &str) -> String {
    let answer = kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": subject})).await.is(200);
    assert_eq!(answer["decision"], "denied", "{answer}");
    answer["check"].as_str().unwrap().to_owned()
}

async fn contest(client: &Client, check: &str) -> crate::support::client::Reply {
    client.post(&format!("/v1/checks/{check}/contest"), &json!({"reason": REASON})).await
}

fn overturn() -> Value {
    json!({"tier": "standard", "note": "The renamed account has 62."})
}

fn findings(app: &TestApp) -> Vec<String> {
    let (database, entropy) = (app.world.database.open(), perkgate::foundation::entropy::Entropy::seeded(1));
    let report = perkgate::audit::verify(&database, &perkgate::audit::Request::default(), &entropy, &mut |_| {});
    report.unwrap().findings.listed().iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_contested_overturned_and_its_token_opens_the_door() {
    for app in TestApp::all().await {
        let (kiosk, check) = refused(&app).await;
        let admin = app.admin(&app.cathay).await;
        let opened = contest(&kiosk, &check).await;
        let case = opened.is(201);
        assert_eq!((&case["check"], &case["status"]), (&json!(check), &json!("open")));
        assert_eq!(opened.header("location"), format!("/v1/contests/{check}"));
        let shown = kiosk.get(&format!("/v1/checks/{check}")).await.is(200);
        assert_eq!(shown["contest"]["status"], "open", "the kiosk can wait for it");

        let listed = admin.get("/v1/contests?status=open").await.is(200);
        assert_eq!(listed["contests"], json!([case]));
        assert_eq!(admin.get("/v1/referrals").await.is(200)["referrals"], json!([]), "it is no referral");
        admin.get(&format!("/v1/referrals/{check}")).await.problem(404, "not_found");
        let whole = admin.get(&format!("/v1/contests/{check}")).await.is(200);
        assert_eq!((&whole["reason"], &whole["subject"]), (&json!(REASON), &json!("twitter:ada")));
        assert_eq!(whole["asked"]["decision"], "denied");
        assert_eq!(whole["tiers"][0]["tier"], "standard");

        let path = format!("/v1/contests/{check}/overturn");
        let done = admin.post(&path, &overturn()).header("idempotency-key", "once").await;
        let granted = done.is(201);
        assert_eq!((&granted["decision"], &granted["resolves"]), (&json!("granted"), &json!(check)));
        let again = admin.post(&path, &overturn()).header("idempotency-key", "once").await;
        assert_eq!(again.is(201), granted, "a retry gets the very same token");
        admin.post(&path, &overturn()).await.problem(409, "already_decided");
        let uphold = admin.post(&format!("/v1/contests/{check}/uphold"), &json!({"note": "no"})).await;
        uphold.problem(409, "already_decided");
        let grant = granted["grant"].as_str().unwrap();
        assert_eq!(kiosk.get(&format!("/v1/grants/{grant}")).await.is(200)["status"], "active", "it hands it over");
        let door = app.door(&app.cathay, "sfo-lounge").await;
        let spent = json!({"token": granted["token"], "door": "A-3", "attempt": "1"});
        door.post("/v1/tokens/redeem", &spent).await.is(200);

        let seen = kiosk.get(&format!("/v1/checks/{check}")).await.is(200);
        assert_eq!((&seen["contest"]["status"], &seen["contest"]["grant"]), (&json!("overturned"), &json!(grant)));
        let auditor = app.auditor(&app.cathay).await;
        for kind in ["contest.opened", "contest.overturned"] {
            let told = auditor.get(&format!("/v1/audit/events?kind={kind}")).await.is(200);
            assert_eq!((told["events"].as_array().unwrap().len(), &told["events"][0]["about"]), (1, &json!(check)));
        }
        let log = auditor.get("/v1/audit/export").await;
        assert!(log.text.contains("contest.opened") && !log.text.contains("canaryname"), "what people write is sealed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_is_upheld_stands() {
    for app in TestApp::all().await {
        let (kiosk, check) = refused(&app).await;
        let admin = app.admin(&app.cathay).await;
        contest(&admin, &check).await.is(201);
        let upheld = admin.post(&format!("/v1/contests/{check}/uphold"), &json!({"note": "It is right."})).await;
        let answer = upheld.is(201);
        assert_eq!((&answer["check"], &answer["decision"]), (&json!(check), &json!("denied")));
        assert_eq!(answer["contest"]["status"], "upheld");
        contest(&kiosk, &check).await.problem(409, "already_exists");
        let listed = admin.get("/v1/contests?status=upheld").await.is(200);
        assert_eq!(listed["contests"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fairness_report_says_what_became_of_contests_by_the_score_that_was_refused() {
    for app in TestApp::all().await {
        let (kiosk, check) = refused(&app).await;
        let admin = app.admin(&app.cathay).await;
        contest(&kiosk, &check).await.is(201);
        let nobody = ask(&kiosk, "twitter:nobody").await;
        contest(&kiosk, &nobody).await.is(201);
        admin.post(&format!("/v1/contests/{check}/overturn"), &overturn()).await.is(201);
        admin.post(&format!("/v1/contests/{nobody}/uphold"), &json!({"note": "no"})).await.is(201);
        app.world.pass(1);
        let table = admin.get("/v1/reports/fairness?format=csv").await;
        assert_eq!(table.status, 200, "{}", table.text);
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(table.text.as_bytes());
        let heads: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        let told = |group: &str| {
            let row =
                rows.iter().find(|row| row.iter().any(|cell| cell == group)).unwrap_or_else(|| panic!("{rows:?}"));
            ["contested", "upheld", "overturned"]
                .map(|name| row[heads.iter().position(|head| head == name).unwrap()].to_owned())
        };
        assert_eq!(told("30 to below 40"), ["1", "0", "1"], "{}", table.text);
        let report = admin.get("/v1/reports/fairness").await.is(200);
        let band = &report["groups"][0];
        assert_eq!((&band["group"], &band["checks"]), (&json!("30 to below 40"), &json!(1)), "it was asked once");
        let told_of = |column: &str| band[column].as_u64().unwrap();
        assert_eq!(["granted", "denied", "granted_by_person", "admitted_percent"].map(told_of), [0, 1, 1, 0]);
        assert_eq!(told("no score"), ["1", "1", "0"], "{}", table.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cant_be_contested_or_overturned_is_said() {
    for app in TestApp::all().await {
        let (kiosk, check) = refused(&app).await;
        let admin = app.admin(&app.cathay).await;
        app.world.score(&app.cathay, "twitter:bob", "92").await;
        let granted = kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:bob"})).await;
        contest(&kiosk, &granted.text_of("check")).await.problem(409, "wrong_status");
        let (other_kiosk, other_admin) = (app.kiosk().await, app.admin(&app.american).await);
        let before = app.footprint().await;
        for reason in ["", "\u{7}", &"x".repeat(1001)] {
            let path = format!("/v1/checks/{check}/contest");
            let refused = kiosk.post(&path, &json!({"reason": reason})).await;
            assert_eq!(refused.problem(422, "invalid_request")[0].0, "/reason");
        }
        contest(&other_kiosk, &check).await.problem(404, "not_found");
        contest(&other_admin, &check).await.problem(404, "not_found");
        let path = format!("/v1/contests/{check}/overturn");
        admin.post(&path, &overturn()).await.problem(404, "not_found");
        assert_eq!(app.footprint().await, before, "nothing was recorded");

        contest(&kiosk, &check).await.is(201);
        let wrong = json!({"tier": "golden", "note": "x"});
        assert_eq!(
            admin.post(&path, &wrong).await.spot(422, "invalid_request"),
            ("/tier".into(), "unknown_tier".into())
        );
        admin.post("/v1/perks/sfo-lounge/pause", &json!({})).await.is(200);
        admin.post(&path, &overturn()).await.problem(409, "perk_paused");
        admin.post("/v1/perks/sfo-lounge/resume", &json!({})).await.is(200);
        other_admin.post(&path, &overturn()).await.problem(404, "not_found");
        admin.post(&path, &overturn()).await.is(201);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_overturn_at_once_never_over_grant() {
    const SEATS: usize = 3;
    let rule = LOUNGE
        .replace(r#""limits":["#, r#""limits":[{"id":"seats","scope":["perk"],"max":3,"window":{"lifetime":true}},"#);
    assert_ne!(rule, LOUNGE);
    for app in TestApp::all_with(&[("rate_per_key", "0")]).await {
        app.lounge(&rule, "37").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let mut checks = Vec::new();
        for nth in 0..8 {
            let check = ask(&kiosk, &format!("member:{nth}")).await;
            contest(&kiosk, &check).await.is(201);
            checks.push(check);
        }
        let decisions = checks.iter().map(|check| {
            let admin = &admin;
            async move { admin.post(&format!("/v1/contests/{check}/overturn"), &overturn()).await }
        });
        let answers = join_all(decisions).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), SEATS);
        for full in answers.iter().filter(|answer| answer.status != 201) {
            full.problem(409, "limit_reached");
        }
        let open = admin.get("/v1/contests?status=open").await.is(200);
        assert_eq!(open["contests"].as_array().unwrap().len(), 8 - SEATS, "they stay open");
        assert_eq!(app.world.tally(&app.cathay).granted, SEATS);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_four_eyes_whoever_opened_a_case_does_not_decide_it() {
    for app in TestApp::all().await {
        app.lounge(LOUNGE, "37").await;
        let (ada, bob) = (app.admin(&app.cathay).await, app.admin(&app.cathay).await);
        ada.put("/v1/approvals", &json!({"required": true})).await.is(200);
        let check = ask(&ada, "twitter:ada").await;
        contest(&ada, &check).await.is(201);
        app.world.pass(1);
        let path = format!("/v1/contests/{check}/overturn");
        ada.post(&path, &overturn()).await.problem(403, "self_approval");
        let spare = NewKey::of(Role::Admin, Some(app.cathay.id.clone()), "made for the purpose");
        let (_, secret) = app.world.gateway.directory.create_key(spare, CLI).await.unwrap();
        let sock = app.bearing(Some(format!("Bearer {}", secret.expose())));
        sock.post(&path, &overturn()).await.problem(403, "self_approval");
        bob.post(&path, &overturn()).await.is(201);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn erasing_closes_the_case_and_everything_still_verifies() {
    for app in TestApp::all().await {
        let (kiosk, check) = refused(&app).await;
        let admin = app.admin(&app.cathay).await;
        contest(&kiosk, &check).await.is(201);
        admin.post("/v1/subjects/erase", &json!({"subject": "twitter:ada"})).await.is(200);
        let closed = admin.get("/v1/contests").await.is(200);
        let case = &closed["contests"][0];
        assert_eq!((&case["status"], case.get("decided_by")), (&json!("closed"), None), "nobody judged it");
        assert_eq!(case["decided_at"], "2012-05-08T19:00:00Z");
        assert_eq!(admin.get("/v1/contests?status=closed").await.is(200), closed);
        assert_eq!(admin.get("/v1/contests?status=upheld").await.is(200)["contests"], json!([]));
        let events = admin.get("/v1/audit/events?kind=contest.closed").await.is(200);
        assert_eq!(
            (&events["events"][0]["about"], &events["events"][0]["facts"]["decision"]),
            (&json!(check), &json!("closed"))
        );
        let uphold = admin.post(&format!("/v1/contests/{check}/uphold"), &json!({"note": "no"})).await;
        uphold.problem(409, "already_decided");
        app.world.pass(1);
        let report = admin.get("/v1/reports/fairness").await.is(200);
        let told = |column: &str| report["groups"][0][column].as_u64().unwrap();
        assert_eq!(report["groups"][0]["group"], "unknown");
        assert_eq!(["contested", "upheld", "overturned", "closed"].map(told), [1, 0, 0, 1]);
        admin.get(&format!("/v1/contests/{check}")).await.problem(404, "not_found");
        contest(&kiosk, &check).await.problem(409, "already_exists");
        assert_eq!(findings(&app), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_the_person_was_erased_tells_no_score() {
    for app in TestApp::all().await {
        let (kiosk, check) = refused(&app).await;
        let admin = app.admin(&app.cathay).await;
        contest(&kiosk, &check).await.is(201);
        let referring = LOUNGE.replacen(r#""tiers""#, r#""otherwise":"refer","tiers""#, 1);
        app.world.perk(&app.cathay, "club", &referring).await;
        let asked = kiosk.post("/v1/checks", &json!({"perk": "club", "subject": "twitter:ada"})).await;
        assert_eq!(asked.is(200)["decision"], "referred", "{}", asked.text);
        let decide = format!("/v1/referrals/{}/decide", asked.text_of("check"));
        let grant = json!({"decision": "grant", "tier": "standard", "note": "x"});
        for (path, body) in [(&format!("/v1/contests/{check}/overturn"), overturn()), (&decide, grant)] {
            let ruling = || admin.post(path, &body).header("idempotency-key", "k");
            let first = ruling().await;
            assert_eq!(first.is(201)["score"]["value"], 37);
            assert_eq!(ruling().await.text, first.text);
        }
        admin.post("/v1/subjects/erase", &json!({"subject": "twitter:ada"})).await.is(200);
        let overturned = format!("/v1/contests/{check}/overturn");
        for (path, body) in
            [(&overturned, overturn()), (&decide, json!({"decision": "grant", "tier": "standard", "note": "x"}))]
        {
            let again = admin.post(path, &body).header("idempotency-key", "k").await;
            let told = again.is(201);
            assert_eq!(told.get("score"), None, "{}", again.text);
            assert_eq!(told["reasons"][0]["code"], "granted_by_person");
            assert_eq!(again.header("location"), format!("/v1/checks/{}", told["check"].as_str().unwrap()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_is_contested_while_its_log_is_pruned_keeps_its_body() {
    for app in TestApp::all().await {
        let (kiosk, check) = refused(&app).await;
        let other = ask(&kiosk, "twitter:nobody").await;
        let admin = app.admin(&app.cathay).await;
        app.world.pass(2 * 86_400);
        let ledger = &app.world.gateway.ledger;
        let before = app.world.now() - jiff::SignedDuration::from_hours(24);
        let plan = ledger.plan_pruning(&app.cathay.id, before, |_, _| ()).await.unwrap();
        assert_eq!((plan.count, plan.obstacles.len()), (2, 0));
        contest(&kiosk, &check).await.is(201);
        assert_eq!(ledger.prune(&plan, CLI, |_, _| ()).await.unwrap(), 1, "the other one");
        contest(&kiosk, &other).await.problem(410, "pruned");
        let case = admin.get(&format!("/v1/contests/{check}")).await.is(200);
        assert_eq!(case["asked"]["score"]["value"], 37);
        let path = format!("/v1/contests/{check}/overturn");
        let granted = admin.post(&path, &overturn()).await.is(201);
        assert_eq!(granted["resolves"], json!(check));

        // Once it is decided, its body may go, and whoever decides again is told that it is.
        app.world.pass(2 * 86_400);
        let before = app.world.now() - jiff::SignedDuration::from_hours(24);
        let plan = ledger.plan_pruning(&app.cathay.id, before, |_, _| ()).await.unwrap();
        assert!(ledger.prune(&plan, CLI, |_, _| ()).await.unwrap() > 3);
        for (step, body) in [("overturn", overturn()), ("uphold", json!({"note": "no"}))] {
            let late = admin.post(&format!("/v1/contests/{check}/{step}"), &body).await;
            late.problem(409, "already_decided");
        }
        assert_eq!(findings(&app), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_is_answered_also_when_the_check_is_pruned() {
    for app in TestApp::all().await {
        let (kiosk, check) = refused(&app).await;
        let admin = app.admin(&app.cathay).await;
        contest(&kiosk, &check).await.is(201);
        let gone = check.clone();
        // As pruning of before could leave it.
        let prune = move |conn: &mut perkgate::database::AnyConnection| {
            let body = events::table.filter(events::about.eq(&gone).and(events::kind.eq("check.decided")));
            let pruned = diesel::update(body).set(events::body.eq(None::<String>)).execute(conn);
            pruned.map_err(perkgate::database::DatabaseError::from)
        };
        assert_eq!(app.world.gateway.database.write(prune).await.unwrap(), 1);
        let path = format!("/v1/contests/{check}/uphold");
        let uphold = || admin.post(&path, &json!({"note": "It is right."})).header("idempotency-key", "k");
        let first = uphold().await;
        let told = first.is(201);
        assert_eq!((&told["check"], &told["decision"]), (&json!(check), &json!("denied")));
        assert_eq!((&told["contest"]["status"], &told["reasons"]), (&json!("upheld"), &json!([])));
        assert_eq!(uphold().await.text, first.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_decided_about_a_referral_is_said_to_whoever_contests_it() {
    for app in TestApp::all().await {
        let referring = LOUNGE.replacen(r#""tiers""#, r#""otherwise":"refer","tiers""#, 1);
        app.lounge(&referring, "37").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let asked = kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": "twitter:ada"})).await;
        let check = asked.text_of("check");
        let open = contest(&kiosk, &check).await;
        open.problem(409, "wrong_status");
        assert!(open.text.contains("A person decides this check anyway"), "{}", open.text);
        app.world.pass(60);
        let deny = json!({"decision": "deny", "note": "no"});
        admin.post(&format!("/v1/referrals/{check}/decide"), &deny).await.is(201);
        app.world.pass(60);
        let late = contest(&kiosk, &check).await;
        late.problem(409, "wrong_status");
        assert!(
            late.text.contains("a person decided this check at 2012-05-08T19:01:00Z: it was denied"),
            "{}",
            late.text
        );
        admin.post("/v1/subjects/erase", &json!({"subject": "twitter:ada"})).await.is(200);
        let erased = contest(&kiosk, &check).await;
        assert!(erased.text.contains("has been erased"), "{}", erased.text);
    }
}
