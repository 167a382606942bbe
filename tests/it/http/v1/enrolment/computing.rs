//! Computed sources: what comes of signals, for checks, for explanations, and whoever is computed when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use perkgate::access::Role;
use perkgate::foundation::decimal::Decimal;
use perkgate::foundation::ids::SourceName;
use perkgate::foundation::subject::SubjectRef;
use perkgate::scores::ScoreError;
use perkgate::scores::computing::Mode;
use perkgate::scores::computing::run::{ComputeReport, ComputeRun};
use perkgate::scores::score::Score;
use perkgate::scoring::activity::gather;
use perkgate::scoring::catalog;
use perkgate::scoring::default_model::default_model;
use perkgate::scoring::generated;
use perkgate::scoring::observation::{LIFE, Observation, day_of};
use perkgate::scoring::score::compute;
use serde_json::{Value, json};

use super::{codes, enrol, import, link, run};
use crate::support::app::TestApp;
use crate::support::client::Client;

const DAYS: i64 = 120;

async fn make(admin: &Client, name: &str) -> SourceName {
    admin.post("/v1/sources", &json!({"name": name, "kind": "computed"})).await.is(201);
    name.parse().unwrap()
}

async fn begin(app: &TestApp, source: &SourceName, mode: Mode) -> Result<ComputeRun, ScoreError> {
    app.world.gateway.scores.compute(&app.cathay.id, source, mode, app.world.gateway.clock.clone()).await
}

pub(super) async fn computed(app: &TestApp, source: &SourceName, mode: Mode) -> ComputeReport {
    let mut run = begin(app, source, mode).await.unwrap();
    while run.step().await.unwrap().is_some() {}
    *run.report()
}

async fn scores(app: &TestApp, source: &SourceName) -> Vec<(SubjectRef, Score)> {
    app.world.gateway.scores.page(&app.cathay.id, source, None).await.unwrap()
}

/// Enrols a person by an account on each network.
async fn enrol_everywhere(client: &Client, subject: &str) {
    let account = |network| json!({"network": network, "account": "ada", "proof": "vouched"});
    link(client, subject, catalog::networks().map(account).collect()).await.is(200);
}

/// A line of a feed, with an id of its own.
fn line(subject: &str, id: usize, it: &Observation) -> String {
    let Observation { network, signal, at, seen_at, by, object, value } = it;
    let line = json!({"subject": subject, "network": network, "signal": signal, "at": at, "seen_at": seen_at, "by": by,
                      "object": object, "value": value, "id": format!("{subject}/{id}")});
    format!("{line}\n")
}

/// What others did with a person whose life is like that of many, in the 90 days before `until`.
fn life(seed: u64, until: Timestamp) -> Vec<Observation> {
    let mut lives = (0..).map(|nth| generated::person(seed, nth, until));
    lives.find(|life| (20..150).contains(&life.len())).unwrap()
}

/// A person, and what comes in about them, each with the day of the test on which it does.
struct Person {
    subject: String,
    coming: Vec<(i64, Observation)>,
}

fn person(nth: u64, start: Timestamp) -> Person {
    let later = |days: i64| start + SignedDuration::from_hours(24 * days);
    let mut coming = Vec::new();
    for (of, until) in [(0, 40), (1, 100)] {
        for (at, it) in life(10 * nth + of, later(until)).into_iter().enumerate() {
            // Some of it comes late.
            let day = (day_of(it.seen_at) - day_of(start) + 1).max(0) + i64::try_from(at % 4).unwrap();
            coming.push((day, it));
        }
    }
    Person { subject: format!("cx:{nth}"), coming }
}

/// Day after day signals come in late and in any order; one source is computed for those who are due, another for everyone,
/// and both are held to what the definition makes of the same signals.
#[tokio::test(flavor = "multi_thread")]
async fn computing_those_who_are_due_is_computing_everyone_byte_for_byte() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let (some, all) = (make(&admin, "some").await, make(&admin, "all").await);
        let (start, model) = (app.world.now(), default_model().unwrap());
        let people: Vec<Person> = (0..8).map(|nth| person(nth, start)).collect();
        let mut known: BTreeMap<SubjectRef, Vec<Observation>> = BTreeMap::new();
        for person in &people {
            enrol_everywhere(&admin, &person.subject).await;
        }
        let (mut looked_at, mut falls) = (0, 0);
        let mut before: Vec<(SubjectRef, Score)> = Vec::new();
        for day in 0..DAYS {
            let (today, mut feed) = (day_of(app.world.now()), String::new());
            let mut has_signals = false;
            for person in &people {
                let handle = person.subject.parse().unwrap();
                let reference = app.world.gateway.keyring.subject_ref(&app.cathay.id, &handle);
                for (id, (_, it)) in person.coming.iter().enumerate().filter(|(_, (coming, _))| *coming == day) {
                    if today - day_of(it.at) < LIFE {
                        feed += &line(&person.subject, id, it);
                        known.entry(reference).or_default().push(it.clone());
                        has_signals = true;
                    }
                }
            }
            // The first of them makes everyone due, as the networks are heard of again, the others those whom they are about.
            let (first, others) = feed.split_at(feed.find('\n').map_or(0, |at| at + 1));
            for part in [first, others] {
                if !part.is_empty() {
                    let report = import(&admin, "application/x-ndjson", part).await;
                    assert_eq!((&report["rejected"], &report["not_enrolled"]), (&json!(0), &json!(0)), "{report}");
                }
                looked_at += computed(&app, &some, Mode::Write).await.people;
            }
            app.world.gateway.scores.compute_all(&app.cathay.id, &all).await.unwrap();
            computed(&app, &all, Mode::Write).await;
            let scores_of_some = scores(&app, &some).await;
            assert_eq!(scores_of_some, scores(&app, &all).await, "day {day}");
            let values: BTreeMap<SubjectRef, Decimal> =
                scores_of_some.iter().map(|(subject, score)| (*subject, score.value)).collect();
            let defined =
                known.iter().filter_map(|(subject, all)| Some((*subject, compute(&model, &gather(all, today))?.score)));
            assert_eq!(values, defined.collect::<BTreeMap<_, _>>(), "day {day}");
            if !has_signals {
                for (subject, score) in &before {
                    let now = values.get(subject).copied();
                    assert!(now.is_none_or(|now| now <= score.value), "without signals a score only falls");
                    falls += u64::from(now.is_none_or(|now| now < score.value));
                }
            }
            before = scores_of_some;
            app.world.pass(86_400);
        }
        assert!(falls > 0, "the test would show it");
        let everyone = 2 * u64::try_from(DAYS).unwrap() * people.len() as u64;
        assert!(looked_at < everyone, "{looked_at} of {everyone}");
    }
}

/// An enrolled person with a life, whose signals are in.
pub(super) async fn with_life(app: &TestApp, client: &Client, subject: &str) {
    enrol_everywhere(client, subject).await;
    let now = app.world.now();
    let life = life(7, now).into_iter().filter(|it| day_of(now) - day_of(it.at) < LIFE).collect::<Vec<_>>();
    let feed: String = life.iter().enumerate().map(|(id, it)| line(subject, id, it)).collect();
    assert_eq!(import(client, "application/x-ndjson", feed).await["rejected"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_goes_by_a_computed_score_and_nobody_else_writes_it() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let made = admin
            .post("/v1/sources", &json!({"name": "influence", "kind": "computed", "refresh": "P1D"}))
            .await
            .is(201);
        let hash = default_model().unwrap().hash();
        assert_eq!(
            made,
            json!({"name": "influence", "min": 1, "max": 100, "refresh": "P1D", "kind": "computed", "model": hash})
        );
        let source: SourceName = "influence".parse().unwrap();
        let perk =
            json!({"perk": "club", "name": "Club", "rule": {"at_least": 2, "score": "influence"}, "publish": true});
        admin.post("/v1/perks", &perk).await.is(201);
        with_life(&app, &admin, "cx:1").await;
        let ask = json!({"perk": "club", "subject": "cx:1"});
        let reason = async || admin.post("/v1/checks", &ask).await.is(200)["reasons"][0]["code"].clone();
        assert_eq!(reason().await, "score_missing");
        let dry = computed(&app, &source, Mode::DryRun).await;
        assert_eq!((dry.people, dry.changed, scores(&app, &source).await.len()), (1, 1, 0));
        assert_eq!(computed(&app, &source, Mode::Write).await, dry);
        assert_eq!(reason().await, "score_met");
        assert_eq!(computed(&app, &source, Mode::Write).await.people, 0, "nobody is due any more");

        let score = json!({"value": 99, "observed_at": "2012-05-08T18:00:00Z"});
        admin.put("/v1/scores/influence/cx:1", &score).await.problem(422, "invalid_request");
        admin.delete("/v1/scores/influence/cx:1").await.problem(422, "invalid_request");
        let feed = "subject,value,observed_at\ncx:1,99,2012-05-08T18:00:00Z\n";
        admin
            .ask(reqwest::Method::POST, "/v1/scores/influence/import")
            .body("text/csv", feed)
            .await
            .problem(422, "invalid_request");

        // Who is not enrolled any more has no score after the next run.
        admin.post("/v1/subjects/accounts/delete", &json!({"subject": "cx:1"})).await.is(204);
        assert_eq!(computed(&app, &source, Mode::Write).await.ended, 1);
        assert_eq!(reason().await, "score_missing");
        assert_eq!(codes(&app.world), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_was_erased_is_computed() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let source = make(&admin, "influence").await;
        for who in ["cx:1", "cx:2"] {
            with_life(&app, &admin, who).await;
        }
        admin.post("/v1/subjects/erase", &json!({"subject": "cx:1"})).await.is(200);
        assert_eq!(computed(&app, &source, Mode::Write).await.people, 1);
        let erased = admin.post("/v1/subjects/erase", &json!({"subject": "cx:2"})).await.is(200);
        assert_eq!(erased["scores"], 1);
        app.world.pass(7 * 86_400);
        assert_eq!(computed(&app, &source, Mode::Write).await, ComputeReport::default());
        assert_eq!(scores(&app, &source).await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_run_computes_a_source_at_a_time_and_one_that_was_held_up_writes_nothing_more() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let source = make(&admin, "influence").await;
        with_life(&app, &admin, "cx:1").await;
        let mut held_up = begin(&app, &source, Mode::Write).await.unwrap();
        assert!(matches!(begin(&app, &source, Mode::Write).await, Err(ScoreError::UnderWay)));
        assert!(begin(&app, &source, Mode::DryRun).await.is_ok(), "it writes nothing");
        assert_eq!(run(&app.world, "UPDATE leases SET held_until = 0").await, 1);
        let mut next = begin(&app, &source, Mode::Write).await.unwrap();
        assert!(matches!(held_up.step().await, Err(ScoreError::UnderWay)));
        assert_eq!(scores(&app, &source).await, []);
        while next.step().await.unwrap().is_some() {}
        assert_eq!((next.report().changed, scores(&app, &source).await.len()), (1, 1));
        let unknown: SourceName = "klout".parse().unwrap();
        assert!(matches!(begin(&app, &unknown, Mode::Write).await, Err(ScoreError::NotComputed(_))));
    }
}

/// A repost of a post of `subject` on the day before the test begins.
fn repost(subject: &str, id: &str) -> String {
    let line = json!({"subject": subject, "network": "bluesky", "signal": "repost", "at": "2012-05-07T14:32:00Z",
                      "by": id, "object": "post-7", "id": id});
    format!("{line}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_cannot_be_computed_is_set_aside_and_the_others_go_on() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let mut feed = String::new();
        for nth in 0..5 {
            enrol(&admin, &format!("cx:{nth}")).await;
            feed += &repost(&format!("cx:{nth}"), "1");
        }
        feed += &(json!({"subject": "cx:2", "network": "bluesky", "signal": "followers", "at": "2012-05-07T14:32:00Z",
                         "value": 7})
        .to_string()
            + "\n");
        import(&admin, "application/x-ndjson", feed).await;
        // Everyone was enrolled before: they are due all the same.
        let source = make(&admin, "influence").await;
        assert_eq!(run(&app.world, "UPDATE signals SET value = -1 WHERE kind = 2").await, 1);
        let report = computed(&app, &source, Mode::Write).await;
        assert_eq!((report.people, report.set_aside, report.changed), (5, 1, 4));
        assert_eq!(computed(&app, &source, Mode::Write).await.people, 0, "until tomorrow");
        assert_eq!(run(&app.world, "UPDATE signals SET value = 7 WHERE kind = 2").await, 1);
        app.world.pass(86_400);
        let report = computed(&app, &source, Mode::Write).await;
        assert_eq!((report.people, report.set_aside, report.changed), (1, 0, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_source_stops_that_one_only() {
    for app in TestApp::all().await {
        let mut sources = Vec::new();
        for merchant in [&app.cathay, &app.american] {
            let admin = app.admin(merchant).await;
            let source = make(&admin, "influence").await;
            enrol(&admin, "cx:1").await;
            import(&admin, "application/x-ndjson", repost("cx:1", "1")).await;
            sources.push((merchant.id.clone(), source));
        }
        let break_one = "UPDATE models SET body = '{}' WHERE merchant_id = (SELECT MIN(merchant_id) FROM models)";
        assert_eq!(run(&app.world, break_one).await, 1);
        let orphan = "INSERT INTO score_due SELECT merchant_id, 'unknown', subject_ref, 0, 0 FROM enrolments";
        assert_eq!(run(&app.world, orphan).await, 2);
        let (scores, mut failing) = (&app.world.gateway.scores, BTreeSet::new());
        scores.compute_due(&app.world.gateway.clock, &mut failing).await.unwrap();
        for of in sources {
            let computed = scores.page(&of.0, &of.1, None).await.unwrap().len();
            assert_eq!(computed, usize::from(!failing.contains(&of)));
        }
        assert_eq!(failing.len(), 1);
        assert_eq!(run(&app.world, "DELETE FROM score_due WHERE source = 'unknown'").await, 0);
        let klout: SourceName = "klout".parse().unwrap();
        let all = scores.compute_all(&app.cathay.id, &klout).await;
        assert!(matches!(all, Err(ScoreError::NotComputed(_))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_broken_off_gives_its_lease_back() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let source = make(&admin, "influence").await;
        drop(begin(&app, &source, Mode::Write).await.unwrap());
        let since = Instant::now();
        while begin(&app, &source, Mode::Write).await.is_err() {
            assert!(since.elapsed() < Duration::from_secs(30), "it would end by itself only after a minute");
        }
    }
}

/// Nobody noticed the person, but the network is heard of; another is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_score_is_as_old_as_what_was_heard_of_the_most_silent_linked_network() {
    for app in TestApp::all().await {
        let admin = app.admin(&app.cathay).await;
        let source = make(&admin, "influence").await;
        for who in ["cx:1", "cx:2"] {
            enrol(&admin, who).await;
        }
        let observed = async || {
            computed(&app, &source, Mode::Write).await;
            admin.get("/v1/scores/influence/cx:1").await.is(200)["observed_at"].clone()
        };
        import(&admin, "application/x-ndjson", repost("cx:1", "1")).await;
        let linked_at = observed().await;
        assert_eq!(linked_at, "2012-05-08T19:00:00Z", "it is silent since then at most");
        app.world.pass(20 * 86_400);
        assert_eq!(observed().await, linked_at);
        let later = repost("cx:2", "2").replace("05-07", "05-28");
        import(&admin, "application/x-ndjson", later).await;
        assert_eq!(observed().await, "2012-05-28T14:32:00Z");
        let account = |network: &str| json!({"network": network, "account": "did:plc:ada", "proof": "vouched"});
        link(&admin, "cx:1", json!([account("bluesky"), account("mastodon")])).await.is(200);
        app.world.pass(20 * 86_400);
        let later = repost("cx:2", "3").replace("05-07", "06-16");
        import(&admin, "application/x-ndjson", later).await;
        assert_eq!(observed().await, "2012-05-28T19:00:00Z", "of mastodon nothing was heard since it was linked");
        link(&admin, "cx:1", json!([account("bluesky")])).await.is(200);
        assert_eq!(observed().await, "2012-06-16T14:32:00Z");
    }
}

fn points(explained: &Value) -> i64 {
    let thousandths = |value: &Value| value.to_string().parse::<Decimal>().unwrap().thousandths();
    let parts = explained["parts"].as_array().unwrap().iter().map(|part| thousandths(&part["points"]));
    parts.sum::<i64>() - thousandths(&explained["value"])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_adds_up_to_the_score_that_checks_go_by() {
    for app in TestApp::all().await {
        let (admin, auditor) = (app.admin(&app.cathay).await, app.auditor(&app.cathay).await);
        let source = make(&admin, "influence").await;
        let nothing = auditor.get("/v1/scores/influence/cx:1/explain").await.is(200);
        assert_eq!((&nothing["value"], &nothing["parts"]), (&Value::Null, &json!([])));
        with_life(&app, &admin, "cx:1").await;
        computed(&app, &source, Mode::Write).await;
        let explained = auditor.get("/v1/scores/influence/cx:1/explain").await.is(200);
        assert_eq!(points(&explained), -1_000, "{explained}");
        let score = auditor.get("/v1/scores/influence/cx:1").await.is(200);
        assert_eq!((&explained["value"], &explained["observed_at"]), (&score["value"], &score["observed_at"]));
        assert_eq!(explained["percentile"], json!({"below": 0, "of": 1}));
        let steps = explained["steps"].as_array().unwrap();
        assert!(!steps.is_empty() && steps[0]["words"].as_str().unwrap().starts_with("10 more people"), "{explained}");
        assert_eq!(explained["changes"], json!({"day": null, "week": null, "month": null}), "there was none before");
        auditor.get("/v1/scores/klout/cx:1/explain").await.problem(404, "not_found");
        app.admin(&app.american).await.get("/v1/scores/influence/cx:1/explain").await.problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_computed_score_has_a_history_until_the_person_leaves() {
    for app in TestApp::all().await {
        let (admin, reader) = (app.admin(&app.cathay).await, app.role(&app.cathay, Role::Reader).await);
        let source = make(&admin, "influence").await;
        with_life(&app, &admin, "cx:1").await;
        computed(&app, &source, Mode::Write).await;
        let history = async || reader.get("/v1/scores/influence/cx:1/history?days=400").await.is(200);
        let first = reader.get("/v1/scores/influence/cx:1").await.is(200)["value"].clone();
        assert_eq!(history().await["days"], json!([{"day": "2012-05-08", "value": first}]));
        // Long enough that all ages away.
        app.world.pass(100 * 86_400);
        let report = computed(&app, &source, Mode::Write).await;
        assert_eq!(report.ended, 1);
        let ended = history().await;
        let days = ended["days"].as_array().unwrap();
        assert_eq!((days.len(), &days[99]["value"], &ended["changes"]["day"]), (100, &first, &Value::Null));
        admin.post("/v1/subjects/accounts/delete", &json!({"subject": "cx:1"})).await.is(204);
        computed(&app, &source, Mode::Write).await;
        assert_eq!(history().await["days"].as_array().map(Vec::len), Some(0), "with the person");
    }
}
