//! `/v1/my/{link}`: the person of a check sees its answer and contests it, by the link alone.

mod requests;

use perkgate::access::Role;
use perkgate::audit::Request;
use perkgate::foundation::entropy::Entropy;
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::client::{Client, Reply};
use crate::support::world::World;

const BASE: &str = "https://perks.example.com";
const RULE: &str = r#"{"score":{"source":"klout"},
  "tiers":[{"id":"main","name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"person","scope":["subject"],"max":1,"window":{"calendar":"day"},
    "messages":{"en":"Come again tomorrow.","zh-HK":"請明天再來。"}}],
  "paid":{"max":3,"window":{"calendar":"day"}},
  "override":{"reasons":["courtesy"],"max":3,"window":{"calendar":"day"}}}"#;

async fn apps() -> Vec<TestApp> {
    TestApp::all_with(&[("link_base", BASE), ("rate_links", "0")]).await
}

async fn ask(client: &Client, who: &str) -> Reply {
    client.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": who})).await
}

/// The path of an answer's link at the API.
fn path_of(answer: &Reply) -> String {
    let link = answer.text_of("link");
    format!("/v1/my/{}", link.strip_prefix(&format!("{BASE}/my/")).unwrap())
}

#[track_caller]
fn findings(world: &World) -> Vec<String> {
    let report = perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::System, &mut |_| {});
    report.unwrap().findings.listed().iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_shows_the_answer_as_its_guest_may_see_it_and_changes_nothing() {
    for app in apps().await {
        app.lounge(RULE, "37.25").await;
        let (kiosk, guest) = (app.kiosk().await, app.anonymous());
        let refused = ask(&kiosk, "twitter:ada").await;
        let path = path_of(&refused);
        let before = app.footprint().await;
        let seen = guest.get(&path).await;
        let view = seen.is(200);
        assert_eq!([&view["decision"], &view["perk"], &view["merchant"]], ["denied", "sfo-lounge", "cathay"]);
        assert_eq!(
            [&view["can_be_contested"], &view["link_expires_at"]],
            [&json!(true), &json!("2012-05-09T19:00:00Z")]
        );
        assert_eq!(view["messages"].as_array().unwrap().len(), 1, "{view}");
        for secret in ["ada", "37.25", "short_by", "klout", "token", "receipt", "key_", "limits"] {
            assert!(!seen.text.contains(secret), "{secret}: {}", seen.text);
        }
        assert_eq!((seen.header("cache-control"), seen.header("referrer-policy")), ("no-store", "no-referrer"));
        assert_eq!(app.footprint().await, before);

        // The same for whoever asks again, on another replica too, and of a grant no token.
        let shown = kiosk.get(&format!("/v1/checks/{}", refused.text_of("check"))).await;
        assert_eq!(shown.text_of("link"), refused.text_of("link"));
        app.world.score(&app.cathay, "twitter:bob", "60").await;
        let granted = ask(&kiosk, "twitter:bob").await;
        let replica = app.world.replica_with(&[("link_base", BASE)]).await;
        let check = granted.text_of("check").parse().unwrap();
        assert_eq!(replica.links.address(&check), Some(granted.text_of("link")));
        let seen = guest.get(&path_of(&granted)).await;
        assert_eq!((&seen.is(200)["tier"], &seen.is(200)["can_be_contested"]), (&json!("main"), &json!(false)));
        assert!(!seen.text.contains("eyJ") && !seen.text.contains("grt_"), "{}", seen.text);
        // In the person's own language, where the rule has words in it.
        let again = path_of(&ask(&kiosk, "twitter:bob").await);
        let chinese = guest.ask(reqwest::Method::GET, &again).header("accept-language", "zh-HK").await;
        assert_eq!(chinese.is(200)["messages"], json!(["請明天再來。"]));
        assert_eq!(chinese.header("content-language"), "zh-HK");
        assert!(chinese.header("vary").contains("Accept-Language"), "{}", chinese.header("vary"));
        let dry = json!({"perk": "sfo-lounge", "subject": "twitter:ada", "dry_run": true});
        assert!(kiosk.post("/v1/checks", &dry).await.is(200).get("link").is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_grants_has_a_link_too() {
    for app in apps().await {
        app.lounge(RULE, "37.25").await;
        let (kiosk, guest) = (app.kiosk().await, app.anonymous());
        let (desk, admin) = (app.role(&app.cathay, Role::Desk).await, app.admin(&app.cathay).await);
        let mut answers = Vec::new();
        let paid = json!({"reference": "R-1", "amount": {"amount": "45.00", "currency": "USD"}});
        for (who, step, body) in
            [("twitter:ada", "override", json!({"reason": "courtesy", "tier": "main"})), ("twitter:bob", "paid", paid)]
        {
            let path = format!("/v1/checks/{}/{step}", ask(&kiosk, who).await.text_of("check"));
            let send = async || {
                let ask = desk.ask(reqwest::Method::POST, &path).header("idempotency-key", step);
                ask.json(body.to_string()).await
            };
            let granted = send().await;
            assert_eq!(send().await.is(201), granted.is(201), "a retry has the same");
            answers.push(granted);
        }
        let contested = ask(&kiosk, "twitter:cy").await;
        guest.post(&format!("{}/contest", path_of(&contested)), &json!({"reason": "It is me."})).await.is(201);
        let path = format!("/v1/contests/{}/overturn", contested.text_of("check"));
        answers.push(admin.post(&path, &json!({"tier": "main", "note": "It is she."})).await);
        for answer in answers {
            assert_eq!(answer.is(201)["decision"], "granted");
            assert_eq!(guest.get(&path_of(&answer)).await.is(200)["decision"], "granted");
        }
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_are_bent_foreign_or_too_old_are_all_the_same_to_who_tries() {
    for app in apps().await {
        app.lounge(RULE, "37.25").await;
        app.world.perk(&app.american, "sfo-lounge", RULE).await;
        let (kiosk, guest) = (app.kiosk().await, app.anonymous());
        let theirs = ask(&app.role(&app.american, Role::Kiosk).await, "twitter:ada").await;
        let (one, other) = (path_of(&ask(&kiosk, "twitter:ada").await), path_of(&theirs));
        guest.get(&other).await.is(200);
        let (head, proof) = one.rsplit_once('.').unwrap();
        let (other_head, _) = other.rsplit_once('.').unwrap();
        let mut wrong = vec![
            format!("{other_head}.{proof}"),
            format!("{head}."),
            head.to_owned(),
            format!("{one}0"),
            format!("{head}.{}", proof.to_uppercase()),
            "/v1/my/chk_00000000000070008000000000000001.00000000000000000000000000000000".to_owned(),
            "/v1/my/x".to_owned(),
            format!("/v1/my/{}", "x".repeat(2000)),
        ];
        for at in 0..proof.len() {
            let bent = if &proof[at..=at] == "0" { "1" } else { "0" };
            wrong.push(format!("{head}.{}{bent}{}", &proof[..at], &proof[at + 1..]));
        }
        let objection = json!({"reason": "It is me."});
        let mut said = Vec::new();
        for path in &wrong {
            for reply in [guest.get(path).await, guest.post(&format!("{path}/contest"), &objection).await] {
                reply.problem(404, "not_found");
                said.push(reply.is(404)["detail"].clone());
            }
        }
        app.world.pass(24 * 3600 - 1);
        guest.get(&one).await.is(200);
        app.world.pass(1);
        let late = guest.get(&one).await;
        late.problem(404, "not_found");
        said.push(late.is(404)["detail"].clone());
        said.dedup();
        assert_eq!(said.len(), 1, "{said:?}");
        let shown = kiosk.get(&format!("/v1/checks/{}", one[7..].split('.').next().unwrap())).await;
        assert!(shown.is(200).get("link").is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_contested_once_by_its_person() {
    for app in apps().await {
        app.lounge(RULE, "37.25").await;
        let (kiosk, guest, admin) = (app.kiosk().await, app.anonymous(), app.admin(&app.cathay).await);
        let refused = ask(&kiosk, "twitter:ada").await;
        let (path, check) = (path_of(&refused), refused.text_of("check"));
        let contest = format!("{path}/contest");
        for (body, pointer) in [
            (json!({"reason": ""}), "/reason"),
            (json!({"reason": "x".repeat(1001)}), "/reason"),
            (json!({}), "/reason"),
            (json!({"reason": "x", "tier": "main"}), "/tier"),
        ] {
            assert_eq!(guest.post(&contest, &body).await.spot(422, "invalid_request").0, pointer, "{body}");
        }
        let body = json!({"reason": "The score is under my old name."});
        assert_eq!(guest.post(&contest, &body).await.is(201), json!({"contest": "open"}));
        // The same again, whose answer was lost.
        assert_eq!(guest.post(&contest, &body).await.is(201), json!({"contest": "open"}));
        let other = json!({"reason": "It is another score."});
        guest.post(&contest, &other).await.problem(409, "already_exists");
        kiosk.post(&format!("/v1/checks/{check}/contest"), &body).await.problem(409, "already_exists");
        let view = guest.get(&path).await.is(200);
        assert_eq!((&view["contest"], &view["can_be_contested"]), (&json!("open"), &json!(false)));
        let case = admin.get(&format!("/v1/contests/{check}")).await.is(200);
        assert_eq!((&case["opened_by"], &case["reason"]), (&json!("person"), &body["reason"]));
        admin.post(&format!("/v1/contests/{check}/uphold"), &json!({"note": "It stands."})).await.is(201);
        assert_eq!(guest.get(&path).await.is(200)["contest"], "upheld");
        let added = ask(&kiosk, "twitter:eve").await;
        kiosk.post(&format!("/v1/checks/{}/contest", added.text_of("check")), &body).await.is(201);
        guest.post(&format!("{}/contest", path_of(&added)), &body).await.problem(409, "already_exists");
        let again = format!("{}/contest", path_of(&ask(&kiosk, "twitter:eve").await));
        for _ in 0..2 {
            assert_eq!(guest.post(&again, &body).await.is(201), json!({"contest": "open"}), "added to the kiosk's");
        }
        guest.post(&again, &other).await.problem(409, "already_exists");
        // What a desk made good is not contested, and what was granted neither.
        let made_good = ask(&kiosk, "twitter:cy").await;
        let by_hand = format!("/v1/checks/{}/override", made_good.text_of("check"));
        let courtesy = json!({"reason": "courtesy", "tier": "main"});
        let desk = app.role(&app.cathay, Role::Desk).await;
        desk.post(&by_hand, &courtesy).await.is(201);
        let path = path_of(&made_good);
        assert_eq!(guest.get(&path).await.is(200)["can_be_contested"], false);
        guest.post(&format!("{path}/contest"), &body).await.problem(409, "already_overridden");
        assert_eq!(findings(&app.world), [""; 0]);
        // An erased person's answer has no more than the codes of its reasons, and is contested no more.
        let erased = path_of(&ask(&kiosk, "twitter:dee").await);
        admin.post("/v1/subjects/erase", &json!({"subject": "twitter:dee"})).await.is(200);
        guest.post(&format!("{erased}/contest"), &body).await.problem(409, "wrong_status");
        guest.get(&erased).await.is(200);
        assert_eq!(findings(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_base_answers_have_no_link_and_an_address_asks_so_often_only() {
    for app in TestApp::all().await {
        app.lounge(RULE, "37.25").await;
        assert!(ask(&app.kiosk().await, "twitter:ada").await.is(200).get("link").is_none());
    }
    for app in TestApp::all_with(&[("link_base", BASE), ("rate_links", "1"), ("rate_failed_keys", "0")]).await {
        app.lounge(RULE, "37.25").await;
        let (kiosk, guest) = (app.kiosk().await, app.anonymous());
        let path = path_of(&ask(&kiosk, "twitter:ada").await);
        let mut limited = false;
        for _ in 0..20 {
            let reply = guest.get(&path).await;
            if reply.status == 429 {
                reply.problem(429, "too_many_visits");
                limited = true;
            }
            assert!(matches!(reply.status, 200 | 429), "{}", reply.text);
        }
        assert!(limited);
        // Log-ins and wrong keys have a count of their own.
        app.bearing(Some("Bearer pgk_x".into())).get("/v1/me").await.problem(401, "invalid_key");
        assert_eq!(ask(&kiosk, "twitter:ada").await.status, 200, "keys go on");
    }
}
