//! `POST /v1/signals/import`: what is kept of a feed, and what becomes of it.

use std::io::Write as _;

use diesel::prelude::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use perkgate::database::{DatabaseError, schema};
use serde_json::{Value, json};

use super::{codes, enrol, import, link, run};
use crate::support::app::TestApp;

const NDJSON: &str = "application/x-ndjson";

/// A repost of a post of `subject` by `by` on the seventh of May.
fn repost(subject: &str, by: &str, id: &str) -> String {
    let line = json!({"subject": subject, "network": "bluesky", "signal": "repost", "at": "2012-05-07T14:32:00Z",
                      "by": by, "object": "post-7", "id": id});
    format!("{line}\n")
}

/// The hashes of who acted, in the order of the table.
async fn actors(app: &TestApp) -> Vec<Vec<u8>> {
    let read = app.world.gateway.database.read(|conn| {
        let found: Vec<Option<Vec<u8>>> = schema::signals::table
            .order((schema::signals::subject_ref, schema::signals::id))
            .select(schema::signals::actor)
            .load(conn)?;
        Ok::<_, DatabaseError>(found)
    });
    read.await.unwrap().into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_is_enrolled_is_kept_and_each_delivery_once() {
    for app in TestApp::all().await {
        let feeder = app.feeder(&app.cathay).await;
        enrol(&feeder, "cx:1").await;
        enrol(&feeder, "cx:2").await;
        let feed = [
            repost("cx:1", "ann", "1"),
            repost("CX:2", "ann", "1"),
            repost("cx:3", "ann", "1"),
            repost("cx:1", "ann", "1"),
        ];
        let first = import(&feeder, NDJSON, feed.concat()).await;
        let report = |accepted: u64, unchanged: u64, not_enrolled: u64| {
            json!({"accepted": accepted, "unchanged": unchanged, "not_enrolled": not_enrolled, "rejected": 0,
                   "without_id": 0, "errors": []})
        };
        assert_eq!(first, report(2, 1, 1));
        assert_eq!(import(&feeder, NDJSON, feed.concat()).await, report(0, 3, 1));
        // A post has one id for all that is counted of it.
        let like = repost("cx:1", "ann", "1").replace("repost", "like");
        assert_eq!(import(&feeder, NDJSON, like.clone()).await, report(1, 0, 0));
        assert_eq!(import(&feeder, NDJSON, like).await, report(0, 1, 0));
        // Of one person liking both, nobody can tell.
        let actors = actors(&app).await;
        assert!(actors.len() == 3 && actors[0] != actors[2] && actors[0].len() == 16);
        // Another merchant's people are others.
        let stranger = app.feeder(&app.american).await;
        assert_eq!(import(&stranger, NDJSON, feed.concat()).await, report(0, 1, 3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_events_and_packed_feeds_say_the_same() {
    for app in TestApp::all().await {
        let feeder = app.feeder(&app.cathay).await;
        enrol(&feeder, "cx:1").await;
        let csv = "id,subject,network,signal,at,by,object\n1,cx:1,bluesky,repost,2012-05-07T14:32:00Z,ann,post-7\n";
        assert_eq!(import(&feeder, "text/csv", csv).await["accepted"], 1);
        assert_eq!(import(&feeder, NDJSON, repost("cx:1", "ann", "1")).await["unchanged"], 1);
        let event = json!({"specversion": "1.0", "id": "1", "source": "/feed", "type": "signal", "subject": "cx:1",
                           "time": "2012-05-07T14:32:00Z",
                           "data": {"network": "bluesky", "signal": "repost", "by": "ann", "object": "post-7"}});
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(event.to_string().as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        let send = async |bytes: Vec<u8>| {
            let ask = feeder.ask(reqwest::Method::POST, "/v1/signals/import").body(NDJSON, bytes);
            ask.header("content-encoding", "gzip").await
        };
        assert_eq!(send(packed.clone()).await.is(200)["accepted"], 1);
        assert_eq!(send(packed.clone()).await.is(200)["unchanged"], 1);
        let cut = send(packed[..packed.len() / 2].to_vec()).await;
        assert!((400..500).contains(&cut.status), "{}", cut.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_by_line_and_what_would_count_again_too() {
    for app in TestApp::all().await {
        let feeder = app.feeder(&app.cathay).await;
        enrol(&feeder, "cx:1").await;
        let level = |value: &str, at: &str| {
            format!(r#"{{"subject":"cx:1","network":"bluesky","signal":"followers","at":"{at}","value":{value}}}"#)
                + "\n"
        };
        let then = "2012-05-07T14:32:00Z";
        let feed = [
            repost("cx:1", "ann", "1"),
            repost("cx:1", "ann", "2").replace("repost", "reposts"),
            level("-1", then),
            level("1000000000000000000", then),
            level("1000000000000000001", then),
            level("7", "2012-05-08T19:05:00Z"),
            level("7", "2012-01-01T00:00:00Z"),
            "nonsense\n".to_owned(),
            repost("cx:1", "ann", "3").replace(r#","id":"3""#, "").replace(r#""id":"3","#, ""),
        ];
        let report = import(&feeder, NDJSON, feed.concat()).await;
        let errors: Vec<_> = report["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| (it["line"].as_u64().unwrap(), it["code"].clone()))
            .collect();
        let expected = [
            (2, "unknown_signal"),
            (3, "bad_value"),
            (5, "bad_value"),
            (6, "in_future"),
            (7, "too_old"),
            (8, "malformed"),
        ];
        assert_eq!(errors, expected.map(|(line, code)| (line, json!(code))));
        assert!(report["errors"][0]["detail"].as_str().unwrap().contains("did you mean `repost`?"), "{report}");
        assert_eq!(
            (&report["accepted"], &report["rejected"], &report["without_id"]),
            (&json!(3), &json!(6), &json!(1))
        );
        // Again: what has an id and the level are known, the act without an id is one more.
        let again = import(&feeder, NDJSON, feed.concat()).await;
        assert_eq!((&again["accepted"], &again["unchanged"], &again["without_id"]), (&json!(1), &json!(2), &json!(1)));
        let header = import(&feeder, "text/csv", "subject,network\ncx:1,bluesky\n").await;
        assert_eq!((&header["errors"][0]["code"], &header["accepted"]), (&json!("bad_header"), &json!(0)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_stand_in_the_person_s_record_and_go_with_the_person() {
    for app in TestApp::all().await {
        let (feeder, admin) = (app.feeder(&app.cathay).await, app.admin(&app.cathay).await);
        for who in ["cx:1", "cx:2"] {
            enrol(&feeder, who).await;
            let feed = [repost(who, "ann", "1"), repost(who, "bob", "2").replace("05-07", "05-01")].concat();
            assert_eq!(import(&feeder, NDJSON, feed).await["accepted"], 2);
        }
        let record = async |who: &str| admin.post("/v1/subjects/record", &json!({"subject": who})).await.is(200);
        let held = record("cx:1").await;
        assert_eq!(held["accounts"][0]["account"], "did:plc:ada");
        assert_eq!(held["consents"], json!({"leaderboard": false, "comparison": false}));
        let signals = json!([{"network": "bluesky", "signal": "repost", "number": 2,
                              "first_day": "2012-05-01", "last_day": "2012-05-07"}]);
        assert_eq!(held["signals"], signals);
        assert_eq!(held["events"][0]["personal"]["accounts"][0]["account"], "did:plc:ada");

        let erased = admin.post("/v1/subjects/erase", &json!({"subject": "cx:1"})).await.is(200);
        assert_eq!((&erased["accounts"], &erased["signals"]), (&json!(1), &json!(2)));
        let log = admin.get("/v1/audit/events?kind=subject.erased").await.is(200);
        assert_eq!(
            (&log["events"][0]["facts"]["accounts"], &log["events"][0]["facts"]["signals"]),
            (&json!(1), &json!(2))
        );
        let nothing = record("cx:1").await;
        assert_eq!((nothing.get("accounts"), nothing.get("signals")), (None, None));
        assert_eq!(actors(&app).await.len(), 2, "the other's");
        assert_eq!(import(&feeder, NDJSON, repost("cx:1", "ann", "1")).await["not_enrolled"], 1);
        assert_eq!(codes(&app.world), [""; 0]);

        // Who is not enrolled any more keeps nothing either.
        feeder.put("/v1/subjects/accounts", &json!({"subject": "cx:2", "accounts": []})).await.is(200);
        assert_eq!(actors(&app).await, Vec::<Vec<u8>>::new());
        assert_eq!(record("cx:2").await.get("signals"), None);
        assert_eq!(codes(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_to_count_is_deleted() {
    for app in TestApp::all().await {
        let feeder = app.feeder(&app.cathay).await;
        enrol(&feeder, "cx:1").await;
        import(&feeder, NDJSON, repost("cx:1", "ann", "1")).await;
        let sweep = async || app.world.gateway.enrolments.sweep_once(app.world.now()).await.unwrap();
        app.world.pass(97 * 86_400);
        assert_eq!(sweep().await, 0, "a change since last week can be told");
        app.world.pass(86_400);
        assert_eq!((sweep().await, sweep().await), (1, 0));
        assert_eq!(actors(&app).await, Vec::<Vec<u8>>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_are_kept_from_proven_accounts_only_and_go_with_the_last_of_a_network() {
    for app in TestApp::all().await {
        let feeder = app.feeder(&app.cathay).await;
        let account =
            |network: &str, proof: &str| json!({"network": network, "account": "did:plc:ada", "proof": proof});
        let on =
            |network: &str, id: &str| repost("cx:1", "ann", id).replace("bluesky", network).replace("repost", "reply");
        link(&feeder, "cx:1", json!([account("bluesky", "vouched"), account("mastodon", "profile_code")]))
            .await
            .is(200);
        let feed = || [on("bluesky", "1"), on("mastodon", "2"), on("threads", "3")].concat();
        let counts = |report: Value| (report["accepted"].as_u64().unwrap(), report["not_enrolled"].as_u64().unwrap());
        assert_eq!(counts(import(&feeder, NDJSON, feed()).await), (1, 2));
        link(&feeder, "cx:1", json!([account("bluesky", "vouched"), account("mastodon", "vouched")])).await.is(200);
        assert_eq!(counts(import(&feeder, NDJSON, feed()).await), (1, 1));
        assert_eq!(actors(&app).await.len(), 2);
        link(&feeder, "cx:1", json!([account("mastodon", "vouched")])).await.is(200);
        assert_eq!(actors(&app).await.len(), 1, "what was known from bluesky went with the account");
        link(&feeder, "cx:1", json!([account("mastodon", "vouched"), account("bluesky", "vouched")])).await.is(200);
        assert_eq!(actors(&app).await.len(), 1);
        assert_eq!(codes(&app.world), [""; 0]);
    }
}

/// The gateway stopped before all was deleted.
#[tokio::test(flavor = "multi_thread")]
async fn what_ended_links_left_is_swept_and_nothing_else() {
    for app in TestApp::all().await {
        let feeder = app.feeder(&app.cathay).await;
        for who in ["cx:1", "cx:2"] {
            enrol(&feeder, who).await;
            let feed: String = (0..2_500).map(|nth| repost(who, &format!("p{nth}"), &format!("{nth}"))).collect();
            assert_eq!(import(&feeder, NDJSON, feed).await["accepted"], 2_500);
        }
        let end = "INSERT INTO ended_links SELECT merchant_id, subject_ref, network FROM linked_accounts \
                   ORDER BY subject_ref LIMIT 1";
        assert_eq!(run(&app.world, end).await, 1);
        let sweep = async || app.world.gateway.enrolments.sweep_once(app.world.now()).await.unwrap();
        assert_eq!((sweep().await, sweep().await), (2_500, 0));
        assert_eq!(run(&app.world, "DELETE FROM ended_links").await, 0);
        assert_eq!(actors(&app).await.len(), 2_500);
    }
}

/// An erasure waits for the chunk of a feed that writes about the same person, and deletes what it wrote.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_person_who_is_erased_while_a_feed_comes_in() {
    for app in TestApp::all().await {
        let (feeder, admin) = (app.feeder(&app.cathay).await, app.admin(&app.cathay).await);
        admin.post("/v1/sources", &json!({"name": "influence", "kind": "computed"})).await.is(201);
        for round in 0..10 {
            enrol(&feeder, "cx:1").await;
            let feed: String =
                (0..200).map(|nth| repost("cx:1", &format!("p{nth}"), &format!("{round}-{nth}"))).collect();
            let body = json!({"subject": "cx:1"});
            let (imported, erased): (Value, _) = tokio::join!(import(&feeder, NDJSON, feed), async {
                admin.post("/v1/subjects/erase", &body).await.is(200)
            });
            assert_eq!(erased["erased"], true);
            let kept = imported["accepted"].as_u64().unwrap() + imported["not_enrolled"].as_u64().unwrap();
            assert_eq!(kept, 200, "{imported}");
            assert_eq!(actors(&app).await, Vec::<Vec<u8>>::new(), "round {round}");
            assert_eq!(run(&app.world, "DELETE FROM score_due").await, 0, "round {round}");
        }
        assert_eq!(codes(&app.world), [""; 0]);
    }
}
