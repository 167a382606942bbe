//! `POST /v1/subjects/erase`: nothing names the person any more, and everything still verifies.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use perkgate::audit::{Checked, Request};
use perkgate::database::{DatabaseError, connection};
use perkgate::foundation::entropy::Entropy;
use perkgate::foundation::ids::SourceName;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::Client;
use crate::support::world::World;

const RULE: &str = r#"{"score":{"source":"klout","on_missing":"refer"},
  "tiers":[{"id":"main","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
  "limits":[{"id":"person-day","scope":["subject"],"max":1,"window":{"calendar":"day"}},
            {"id":"ever","scope":["subject","merchant"],"max":9,"window":{"lifetime":true}},
            {"id":"house-day","scope":["perk"],"max":5,"window":{"calendar":"day"}}],
  "token":{"audience":"sfo-lounge"}}"#;

fn ask() -> Value {
    json!({"perk": "sfo-lounge", "subject": "twitter:ada"})
}

async fn erase(client: &Client, subject: &str) -> Value {
    client.post("/v1/subjects/erase", &json!({"subject": subject})).await.is(200)
}

async fn events_of(client: &Client, subject: &str) -> Vec<Value> {
    let page = client.post("/v1/audit/events/search", &json!({"subject": subject, "order": "asc"})).await.is(200);
    page["events"].as_array().unwrap().clone()
}

/// What verifying the database comes to, once nothing is wrong with it.
#[track_caller]
fn verified(world: &World) -> Checked {
    let report =
        perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::System, &mut |_| {}).unwrap();
    assert_eq!(report.findings.listed(), []);
    report.checked
}

fn codes(world: &World) -> Vec<&'static str> {
    let report =
        perkgate::audit::verify(&world.database.open(), &Request::default(), &Entropy::System, &mut |_| {}).unwrap();
    report.findings.listed().iter().map(|finding| finding.wrong.code()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_erased_are_named_by_nothing_and_everything_still_verifies() {
    for app in TestApp::all().await {
        app.lounge(RULE, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let door = app.door(&app.cathay, "sfo-lounge").await;
        let granted = kiosk.post("/v1/checks", &ask()).header("idempotency-key", "k1").await.is(200);
        let check = granted["check"].as_str().unwrap();
        assert_eq!(kiosk.post("/v1/checks", &ask()).await.is(200)["decision"], "denied", "the limit is used up");
        app.world.perk(&app.cathay, "quiet", RULE).await;
        let unknown = json!({"perk": "quiet", "subject": "twitter:zoe"});
        let referred = kiosk.post("/v1/checks", &unknown).await.text_of("check");

        let answer = erase(&admin, " Twitter:ADA ").await;
        let pseudonym = answer["pseudonym"].as_str().unwrap();
        assert!(pseudonym.starts_with("sub_"));
        assert_eq!(
            answer,
            json!({"erased": true, "pseudonym": pseudonym, "scores": 1, "referrals_closed": 0, "limits_restarted": [
                {"perk": null, "limit": "ever", "window": "lifetime", "used": 1, "last_used_at": "2012-05-08T19:00:00Z"},
                {"perk": "sfo-lounge", "limit": "person-day", "window": "day:2012-05-08@+00", "used": 1,
                 "last_used_at": "2012-05-08T19:00:00Z"}], "purged": true})
        );
        assert_eq!(verified(&app.world).erased, 1);

        // What was answered is shown again, with the very same token and the bare codes of its reasons.
        let again = kiosk.get(&format!("/v1/checks/{check}")).await.is(200);
        assert_eq!((&again["token"], &again["check"]), (&granted["token"], &granted["check"]));
        assert_eq!(again["reasons"][0]["code"], "score_met");
        assert_eq!((&again["reasons"][0]["wanted"], &again["score"]), (&Value::Null, &Value::Null));
        let spent = json!({"token": granted["token"], "door": "A", "attempt": "1"});
        door.post("/v1/tokens/redeem", &spent).await.is(200);
        kiosk.get(&format!("/v1/grants/{}", granted["grant"].as_str().unwrap())).await.is(200);

        // Nobody finds them, and the log tells of it without a name.
        assert_eq!(events_of(&admin, "twitter:ada").await, [Value::Null; 0]);
        admin.get("/v1/scores/klout/twitter:ada").await.problem(404, "not_found");
        let log = admin.get("/v1/audit/events?kind=subject.erased").await;
        assert!(!log.text.contains("twitter"));
        let event = &log.is(200)["events"][0];
        assert_eq!(event["about"], pseudonym);
        assert_eq!(event["facts"], json!({"subject": pseudonym, "scores": 1, "referrals": 0, "limits": 2}));
        let reference = app.world.gateway.keyring.subject_ref(&app.cathay.id, &"twitter:ada".parse().unwrap());
        let klout: SourceName = "klout".parse().unwrap();
        assert_eq!(app.world.gateway.scores.find(&app.cathay.id, &klout, &reference).await.unwrap(), None);

        // Whoever comes back is somebody new.
        app.world.score(&app.cathay, "twitter:ada", "80").await;
        let back = kiosk.post("/v1/checks", &ask()).await.is(200);
        assert_eq!(back["decision"], "granted", "as the answer said: this limit begins anew");
        let theirs = events_of(&admin, "twitter:ada").await;
        assert_eq!(theirs.len(), 1);
        assert_ne!(theirs[0]["facts"]["subject"], pseudonym);

        // An open referral is closed, as nobody could be told whom it is about.
        let answer = erase(&admin, "twitter:zoe").await;
        assert_eq!((&answer["scores"], &answer["referrals_closed"]), (&json!(0), &json!(1)));
        let decide = json!({"decision": "grant", "tier": "main", "note": "x"});
        let address = format!("/v1/referrals/{referred}/decide");
        admin.post(&address, &decide).await.problem(404, "not_found");
        let deny = json!({"decision": "deny", "note": "x"});
        admin.post(&address, &deny).await.problem(409, "already_decided");
        let closed = kiosk.get(&format!("/v1/checks/{referred}")).await.is(200);
        assert_eq!(closed["referral"]["status"], "denied");
        assert_eq!(verified(&app.world).erased, 2);
    }
}

/// With a limit a check is recorded in a transaction, without one in a statement of its own where that can be.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_an_erasure_is_a_new_question_and_tells_nobody_of_the_old_one() {
    let limited = RULE.replace(r#""max":1,"#, r#""max":100,"#).replace(r#""max":9,"#, r#""max":900,"#);
    let limited = limited.replace(r#""max":5,"#, r#""max":500,"#);
    for rule in [limited.as_str(), r#"{"at_least":40,"score":"klout"}"#] {
        for app in TestApp::all().await {
            app.lounge(rule, "47.25").await;
            app.world.score(&app.cathay, "twitter:bob", "80").await;
            let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
            let about = |who: &str| json!({"perk": "sfo-lounge", "subject": who});
            let asked = async |key: &str, who: &str| {
                let answer = kiosk.post("/v1/checks", &about(who)).header("idempotency-key", key).await;
                answer.is(200);
                answer
            };
            let many = json!({"checks": [about("twitter:ada")]});
            let batch = async || kiosk.post("/v1/checks/batch", &many).header("idempotency-key", "b").await.is(200);
            let before = (asked("k1", "twitter:ada").await, asked("k2", "twitter:ada").await);
            let (in_batch, of_bob) = (batch().await, asked("k3", "twitter:bob").await);
            asked("k4", "twitter:ada").await;
            let keys = app.footprint().await.idempotency_rows;
            erase(&admin, "twitter:ada").await;
            app.world.score(&app.cathay, "twitter:ada", "80").await;

            let after = asked("k1", "twitter:ada").await;
            assert_ne!(after.text_of("check"), before.0.text_of("check"));
            assert_ne!(after.text_of("token"), before.0.text_of("token"));
            assert_eq!(asked("k1", "twitter:ada").await.text, after.text, "from then on it is this one");
            assert_ne!(batch().await["results"][0]["check"], in_batch["results"][0]["check"]);
            // Another's question is not told that the key was someone's.
            let others = asked("k2", "twitter:bob").await;
            assert_ne!(others.text_of("check"), before.1.text_of("check"));
            let taken = kiosk.post("/v1/checks", &about("twitter:ada")).header("idempotency-key", "k2").await;
            taken.problem(422, "idempotency_key_reused");
            assert_eq!(asked("k3", "twitter:bob").await.text, of_bob.text, "nobody erased him");
            assert_eq!(app.footprint().await.idempotency_rows, keys, "one key, one row");
            assert_eq!(verified(&app.world).erased, 1);

            // Nor where a retry is all that is still answered.
            admin.post("/v1/perks/sfo-lounge/retire", &json!({})).await.is(200);
            let late = kiosk.post("/v1/checks", &about("twitter:ada")).header("idempotency-key", "k4").await;
            late.problem(404, "not_found");
            assert_eq!(asked("k3", "twitter:bob").await.text, of_bob.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn erasing_twice_somebody_unknown_or_anothers_changes_nothing() {
    for app in TestApp::all().await {
        app.lounge(RULE, "47.25").await;
        let (kiosk, admin, other) = (app.kiosk().await, app.admin(&app.cathay).await, app.admin(&app.american).await);
        kiosk.post("/v1/checks", &ask()).await.is(200);
        let before = app.footprint().await;
        let nothing = json!({"erased": false, "pseudonym": null, "scores": 0, "referrals_closed": 0,
                             "limits_restarted": [], "purged": true});
        assert_eq!(erase(&other, "twitter:ada").await, nothing, "another merchant's customer");
        assert_eq!(erase(&admin, "twitter:nobody").await, nothing);
        assert_eq!(app.footprint().await, before);
        assert_eq!(erase(&admin, "twitter:ada").await["erased"], true);
        let after = app.footprint().await;
        assert_eq!((after.subjects, after.events), (0, before.events + 1));
        assert_eq!(erase(&admin, "twitter:ada").await, nothing);
        assert_eq!(app.footprint().await, after);

        // Somebody with a score whom nobody has asked about.
        app.world.score(&app.cathay, "twitter:bob", "12").await;
        let scored = erase(&admin, "twitter:bob").await;
        assert_eq!(
            (&scored["erased"], &scored["pseudonym"], &scored["scores"]),
            (&json!(true), &json!(null), &json!(1))
        );
        assert_eq!(verified(&app.world).erased, 2);

        for (body, pointer, code) in [
            (json!({}), "/subject", "missing_field"),
            (json!({"subject": 7}), "/subject", "wrong_type"),
            (json!({"subject": ""}), "/subject", "bad_subject"),
            (json!({"subject": "twitter:"}), "/subject", "bad_subject"),
            (json!({"subject": "secret name"}), "/subject", "bad_subject"),
            (json!({"subject": "a", "all": true}), "/all", "unknown_field"),
        ] {
            let reply = admin.post("/v1/subjects/erase", &body).await;
            assert!(!reply.text.contains("secret"), "{}", reply.text);
            assert_eq!(reply.spot(422, "invalid_request"), (pointer.to_owned(), code.to_owned()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_person_is_erased_once_by_many_at_once() {
    for app in TestApp::all().await {
        app.lounge(RULE, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        let replica = app.world.replica().await;
        for nth in 0..20 {
            let subject = format!("twitter:person-{nth}");
            app.world.score(&app.cathay, &subject, "90").await;
            kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": subject})).await.is(200);
            let erasure = || perkgate::ledger::retention::erasure::Erasure {
                merchant: app.cathay.id.clone(),
                subject: app.world.gateway.keyring.subject_refs(&app.cathay.id, &subject.parse().unwrap()),
                by: crate::support::world::CLI,
                asked: None,
            };
            let here = || app.world.gateway.scores.erase(&app.world.gateway.ledger, erasure());
            let there = || replica.scores.erase(&replica.ledger, erasure());
            let asks = async {
                for _ in 0..5 {
                    kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": subject})).await.is(200);
                }
            };
            let (a, b, c, d, ()) = tokio::join!(here(), there(), here(), there(), asks);
            // Of two at the very same row one may be told to ask again; then nothing was done.
            let done =
                [a, b, c, d].into_iter().filter_map(Result::ok).flatten().filter(|it| it.forgotten.scores == 1).count();
            assert_eq!(done, 1);
            erase(&admin, &subject).await;
        }
        let checked = verified(&app.world);
        assert!(checked.erased >= 5, "{checked:?}");
        assert_eq!(app.footprint().await.subjects, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_still_looks_at_the_past_keeps_the_file_from_forgetting_and_the_answer_says_so() {
    let app = TestApp::start(&[]).await;
    let admin = app.admin(&app.cathay).await;
    for who in ["ada", "bob"] {
        app.world.score(&app.cathay, &format!("twitter:{who}"), "50").await;
    }
    let mut reader = app.world.database.open().dedicated().unwrap();
    let mut say = |sql: &str| reader.batch_execute(sql).unwrap();
    say("BEGIN; SELECT count(*) FROM scores");
    let answer = erase(&admin, "twitter:ada").await;
    assert_eq!((&answer["erased"], &answer["purged"]), (&json!(true), &json!(false)));
    say("COMMIT");
    assert_eq!(erase(&admin, "twitter:bob").await["purged"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_replicas_hear_that_a_score_is_gone() {
    for app in TestApp::all().await.into_iter().filter(|app| app.world.gateway.redis.is_some()) {
        app.lounge(RULE, "47.25").await;
        let (admin, replica) = (app.admin(&app.cathay).await, app.world.twin().await);
        assert!(replica.redis.as_ref().unwrap().wait_until_up(Duration::from_secs(30)).await);
        let reference = replica.keyring.subject_ref(&app.cathay.id, &"twitter:ada".parse().unwrap());
        let klout: SourceName = "klout".parse().unwrap();
        let find = async || replica.scores.find(&app.cathay.id, &klout, &reference).await.unwrap();
        assert!(find().await.is_some(), "it is in the replica's memory now");
        erase(&admin, "twitter:ada").await;
        let gone = async {
            while find().await.is_some() {
                tokio::task::yield_now().await;
            }
        };
        // Well before its memory would have forgotten by itself.
        tokio::time::timeout(Duration::from_secs(4), gone).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_away_added_or_put_back_by_hand_is_found() {
    for app in TestApp::all().await {
        app.lounge(RULE, "47.25").await;
        let (kiosk, admin) = (app.kiosk().await, app.admin(&app.cathay).await);
        kiosk.post("/v1/checks", &ask()).await.is(200);
        let database = app.world.database.open();
        let lay_hands = |sql: &str| {
            let mut conn = database.dedicated().unwrap();
            connection::transaction(&mut conn, |conn| conn.batch_execute(sql).map_err(DatabaseError::from)).unwrap();
        };
        lay_hands("CREATE TABLE kept AS SELECT * FROM subjects");
        lay_hands("DELETE FROM subjects");
        assert_eq!(codes(&app.world), ["subject_missing"]);
        lay_hands("INSERT INTO subjects SELECT * FROM kept");
        assert_eq!(codes(&app.world), [""; 0]);
        lay_hands("UPDATE subjects SET pseudonym = 'sub_x'");
        assert_eq!(codes(&app.world), ["subject_without_event", "subject_missing"]);
        lay_hands("DELETE FROM subjects; INSERT INTO subjects SELECT * FROM kept");
        erase(&admin, "twitter:ada").await;
        assert_eq!(codes(&app.world), [""; 0]);
        lay_hands("INSERT INTO subjects SELECT * FROM kept");
        assert_eq!(codes(&app.world), ["subject_kept"]);
    }
}
