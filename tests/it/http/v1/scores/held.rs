//! `/v1/sources/{source}/held`: feeds that would move too many people too far wait for a person.

use perkgate::foundation::ids::SourceName;
use perkgate::scores::held::WAITS_FOR;
use serde_json::{Value, json};
use std::fmt::Write as _;

use crate::support::app::TestApp;
use crate::support::client::Client;

const IMPORT: &str = "/v1/scores/klout/import";
const HELD: &str = "/v1/sources/klout/held";

/// A feed of so many people, each with the score that `value` gives them.
fn feed(people: u64, at: &str, value: impl Fn(u64) -> u64) -> String {
    let mut feed = "subject,value,observed_at\n".to_owned();
    for nth in 0..people {
        writeln!(feed, "twitter:p{nth},{},{at}", value(nth)).unwrap();
    }
    feed
}

async fn import(client: &Client, feed: &str) -> Value {
    client.ask(reqwest::Method::POST, IMPORT).body("text/csv", feed.to_owned()).await.is(200)
}

async fn value(client: &Client, nth: u64) -> Value {
    client.get(&format!("/v1/scores/klout/twitter:p{nth}")).await.is(200)["value"].clone()
}

async fn held(client: &Client) -> Vec<Value> {
    client.get(HELD).await.is(200)["held"].as_array().unwrap().clone()
}

async fn kinds(client: &Client) -> Vec<String> {
    let page = client.get("/v1/audit/events?limit=200").await.is(200);
    let kinds = page["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap().to_owned());
    kinds.filter(|kind| kind.starts_with("feed.") || kind == "source.guard_changed").collect()
}

const MORNING: &str = "2012-05-08T06:00:00Z";
const NIGHT: &str = "2012-05-08T12:00:00Z";

fn findings(app: &TestApp) -> usize {
    crate::http::v1::enrolment::codes(&app.world).len()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_night_everybodys_score_becomes_1_waits_for_a_person() {
    for app in TestApp::all().await {
        let (feeder, admin) = (app.feeder(&app.cathay).await, app.admin(&app.cathay).await);
        let first = import(&feeder, &feed(100, MORNING, |nth| 20 + nth % 50)).await;
        assert_eq!((&first["accepted"], first.get("held")), (&json!(100), None), "nothing stood before");
        let night = feed(100, NIGHT, |_| 1);
        let report = import(&feeder, &night).await;
        assert_eq!(report["accepted"], 100);
        let waits = &report["held"];
        assert_eq!(
            (&waits["state"], &waits["kind"], &waits["compared"]),
            (&json!("held"), &json!("feed"), &json!(100))
        );
        assert_eq!((&waits["up"], &waits["down"], &waits["largest"]), (&json!(0), &json!(100), &json!(68)));
        assert_eq!(waits["most_common"], json!({"value": 1, "people": 100}));
        assert_eq!(waits["guard"], json!({"share": 0.2, "points": 10}));
        assert_eq!(value(&feeder, 7).await, 27, "none of it counts");
        assert_eq!(*held(&admin).await, *std::slice::from_ref(waits));

        // The same again is the same; one score by itself is never held.
        assert_eq!(import(&feeder, &night).await["held"]["id"], waits["id"]);
        assert_eq!(held(&admin).await.len(), 1);
        feeder.put("/v1/scores/klout/twitter:p9", &json!({"value": 99, "observed_at": MORNING})).await.is(200);
        assert_eq!(value(&feeder, 9).await, 99);

        let of = format!("{HELD}/{}", waits["id"].as_str().unwrap());
        feeder.post(&format!("{of}/release"), &json!({})).await.problem(403, "forbidden");
        app.admin(&app.american).await.post(&format!("{of}/release"), &json!({})).await.problem(404, "not_found");
        admin.post("/v1/sources/kred/held/x/release", &json!({})).await.problem(404, "not_found");
        let released = admin.post(&format!("{of}/release"), &json!({})).await.is(200);
        assert_eq!(released["state"], "released");
        assert_eq!((value(&feeder, 7).await, value(&feeder, 9).await), (json!(1), json!(1)));
        assert_eq!(admin.post(&format!("{of}/release"), &json!({})).await.is(200)["state"], "released", "again");
        admin.post(&format!("{of}/drop"), &json!({})).await.problem(409, "already_decided");
        assert_eq!(held(&admin).await, [] as [Value; 0]);
        assert_eq!(kinds(&admin).await, ["feed.released", "feed.held"]);
        assert_eq!(findings(&app), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_moves_few_people_or_nobody_far_is_not_held() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        import(&admin, &feed(100, MORNING, |_| 40)).await;
        // A fifth by much, all others by little.
        let report = import(&admin, &feed(100, NIGHT, |nth| if nth < 20 { 90 } else { 50 })).await;
        assert_eq!((report.get("held"), value(&admin, 3).await, value(&admin, 30).await), (None, json!(90), json!(50)));
        // Few people are a small feed.
        let few = import(&admin, &feed(49, "2012-05-08T13:00:00Z", |_| 1)).await;
        assert_eq!((few.get("held"), value(&admin, 3).await), (None, json!(1)));
        // What is older than what stands moves nobody.
        let old = import(&admin, &feed(100, "2012-05-08T05:00:00Z", |_| 2)).await;
        assert_eq!((&old["stale"], old.get("held")), (&json!(100), None));

        let guard = json!({"share": 1, "points": 0});
        assert_eq!(admin.put("/v1/sources/klout/guard", &guard).await.is(200), guard);
        admin.put("/v1/sources/klout/guard", &guard).await.is(200);
        assert_eq!(admin.get("/v1/sources").await.is(200)["sources"][0]["guard"], guard);
        let open = import(&admin, &feed(100, "2012-05-08T14:00:00Z", |_| 3)).await;
        assert_eq!((open.get("held"), value(&admin, 60).await), (None, json!(3)));
        let bad = admin.put("/v1/sources/klout/guard", &json!({"share": 1.5, "points": 0})).await;
        assert_eq!(bad.spot(422, "invalid_request"), ("/share".to_owned(), "out_of_range".to_owned()));
        admin.put("/v1/sources/kred/guard", &guard).await.problem(404, "not_found");
        assert_eq!(kinds(&admin).await, ["source.guard_changed"]);
        assert_eq!(findings(&app), 0);
        crate::http::v1::enrolment::run(&app.world, "UPDATE source_guards SET points = 1").await;
        assert_eq!(findings(&app), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_is_erased_is_left_in_a_feed_that_waits_and_one_that_nobody_decides_ends() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        import(&admin, &feed(60, MORNING, |_| 80)).await;
        let first = import(&admin, &feed(60, NIGHT, |_| 1)).await["held"]["id"].clone();
        let erase = json!({"subject": "twitter:p7"});
        assert_eq!(
            admin.post("/v1/subjects/erase", &erase).await.is(200)["scores"],
            2,
            "the one that stood, and the one that waits"
        );
        let path = |id: &Value, step: &str| format!("{HELD}/{}/{step}", id.as_str().unwrap());
        assert_eq!(admin.post(&path(&first, "release"), &json!({})).await.is(200)["state"], "released");
        assert_eq!(value(&admin, 8).await, 1);
        admin.get("/v1/scores/klout/twitter:p7").await.problem(404, "not_found");

        let second = import(&admin, &feed(60, "2012-05-08T13:00:00Z", |_| 70)).await["held"]["id"].clone();
        let third = import(&admin, &feed(60, "2012-05-08T13:00:00Z", |_| 71)).await["held"]["id"].clone();
        assert_eq!(admin.post(&path(&second, "drop"), &json!({})).await.is(200)["state"], "dropped");
        admin.post(&path(&second, "release"), &json!({})).await.problem(409, "already_decided");
        let tend = async || app.world.gateway.scores.tend_held_once(app.world.now()).await.unwrap();
        app.world.pass(WAITS_FOR.as_secs() - 1);
        tend().await;
        assert_eq!(held(&admin).await[0]["id"], third);
        app.world.pass(1);
        tend().await;
        assert_eq!(held(&admin).await, [] as [Value; 0]);
        admin.post(&path(&third, "release"), &json!({})).await.problem(409, "already_decided");
        assert_eq!(value(&admin, 8).await, 1);
        let left = "DELETE FROM held_scores";
        assert_eq!(crate::http::v1::enrolment::run(&app.world, left).await, 0, "nothing is left of them");
        let wanted = ["feed.expired", "feed.dropped", "feed.held", "feed.held", "feed.released", "feed.held"];
        assert_eq!(kinds(&admin).await, wanted);
        assert_eq!(findings(&app), 0);
    }
}

/// Each of these gathers many rows at once and holds its permit, so that the next gathers few.
#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_does_not_fit_in_memory_is_set_down_and_counts_as_a_whole_or_not_at_all() {
    use perkgate::foundation::subject::SubjectHandle;
    use perkgate::ledger::entry::Actor;
    use perkgate::scores::import::ImportConfig;
    use perkgate::scores::{Format, Import, ImportReport, Source};

    const PEOPLE: u64 = 9_000;
    for app in TestApp::all().await {
        let (gateway, admin) = (&app.world.gateway, app.admin(&app.cathay).await);
        let source: SourceName = "klout".parse().unwrap();
        let begin = || {
            let (merchant, keyring) = (app.cathay.id.clone(), gateway.keyring.clone());
            let config = ImportConfig {
                merchant: merchant.clone(),
                source: Source::klout(),
                format: Format::Csv,
                clock: gateway.clock.clone(),
            };
            let refer = move |handle: &SubjectHandle| keyring.subject_refs(&merchant, handle);
            gateway.scores.import_guarded(config, Actor { key: None, role: "cli" }, refer)
        };
        let mut others: Vec<Import<_>> = Vec::new();
        for _ in 0..4 {
            let mut other = begin();
            other.push(feed(8_001, "2012-05-08T01:00:00Z", |_| 5).as_bytes()).await.unwrap();
            others.push(other);
        }
        let all = async |at: &str, value: &dyn Fn(u64) -> u64| -> ImportReport {
            let mut import = begin();
            import.push(feed(PEOPLE, at, value).as_bytes()).await.unwrap();
            import.finish().await.unwrap()
        };
        let first = all(MORNING, &|_| 40).await;
        assert_eq!((first.accepted, first.held), (PEOPLE, None));
        let little = all(NIGHT, &|nth| 41 + nth % 3).await;
        assert_eq!((little.accepted, little.held), (PEOPLE, None));
        assert_eq!((value(&admin, 0).await, value(&admin, 8_999).await), (json!(41), json!(43)));
        assert_eq!(crate::http::v1::enrolment::run(&app.world, "DELETE FROM held_feeds").await, 0, "it has passed");
        let night = all("2012-05-08T13:00:00Z", &|nth| if nth % 2 == 0 { 1 } else { 42 }).await;
        let held = night.held.unwrap();
        assert_eq!((held.moves.compared, held.moves.down, held.moves.up), (PEOPLE, PEOPLE / 2, 0));
        assert_eq!((value(&admin, 0).await, value(&admin, 8_998).await), (json!(41), json!(42)), "none of it counts");
        gateway
            .scores
            .decide_held(
                &gateway.ledger,
                Actor { key: None, role: "cli" },
                (&app.cathay.id, &source, &held.id),
                perkgate::scores::held::HeldDecision::Release,
                app.world.now(),
            )
            .await
            .unwrap();
        gateway.scores.finish_moving(&app.cathay.id, &held.id, app.world.now()).await.unwrap();
        assert_eq!(
            (value(&admin, 0).await, value(&admin, 8_998).await, value(&admin, 8_999).await),
            (json!(1), json!(1), json!(42))
        );

        // Broken off, nothing of it counts, and nothing is left of it.
        let mut broken = begin();
        broken.push(feed(PEOPLE, "2012-05-08T14:00:00Z", |_| 40).as_bytes()).await.unwrap();
        drop(broken);
        assert_eq!(value(&admin, 0).await, 1);
        app.world.pass(6 * 3_600);
        gateway.scores.tend_held_once(app.world.now()).await.unwrap();
        assert_eq!(crate::http::v1::enrolment::run(&app.world, "DELETE FROM held_scores").await, 0);
        drop(others);
    }
}
