//! Services that answer with anything but what they should: nothing is taken for a score, what stood stands.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use perkgate::outgoing::{Bounds, Outgoing, OutgoingError, Resolve, Resolving};
use serde_json::json;

use super::{SETTINGS, declare_score, link, pulled, pulled_by, state};
use crate::support::app::TestApp;
use crate::support::elsewhere::{Elsewhere, Reply};

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What a service says on a bad day, the fault that is shown, and how often it is asked.
fn bad_days() -> Vec<(&'static str, Reply, &'static str, usize)> {
    let score = || json!({"score": 40}).to_string();
    let gzip = |body: Vec<u8>| Reply::of(200, "application/json", body).with("content-encoding", "gzip");
    let half = packed(score().as_bytes());
    let half = half[..half.len() - 7].to_vec();
    vec![
        ("broken", Reply::status(500), "it answers 500", 3),
        ("html", Reply::of(200, "text/html", "<h1>Sorry</h1>"), "its answer is no JSON by its content type", 1),
        ("html-as-json", Reply::of(200, "application/json", "<h1>Sorry</h1>"), "its answer can't be read as JSON", 1),
        ("cut", Reply::of(200, "application/json", "{\"score\": 4"), "its answer can't be read as JSON", 1),
        (
            "latin-1",
            Reply::of(200, "application/json", b"{\"score\": 4, \"n\": \"\xe9\"}".to_vec()),
            "its answer can't be read as JSON",
            1,
        ),
        ("deep", Reply::of(200, "application/json", "[".repeat(100_000)), "its answer can't be read as JSON", 1),
        ("huge", Reply::of(200, "application/json", vec![b' '; 10 << 20]), "its answer is too large", 1),
        ("bomb", gzip(packed(&vec![b' '; 20 << 20])), "its answer is too large", 1),
        ("half", gzip(half), "its answer ends before its end", 3),
        (
            "brotli",
            Reply::json(&json!({"score": 4})).with("content-encoding", "br"),
            "its answer is packed in a way that can't be unpacked",
            1,
        ),
        (
            "redirect",
            Reply::status(302).with("location", "http://169.254.169.254/latest/meta-data/"),
            "it answers 302: redirects are not followed",
            1,
        ),
        (
            "slow",
            Reply { drip: Some(Duration::from_millis(200)), ..Reply::of(200, "application/json", score()) },
            "it did not answer in time",
            1,
        ),
        ("closed", Reply::status(401), "it asks for a log-in (401)", 1),
        ("forbidden", Reply::status(403), "it refuses (403)", 1),
        ("gone", Reply::status(410), "it is gone from there (410)", 1),
        ("hidden", Reply::json(&json!({"score": null})), "no score stands where it should", 1),
        ("none", Reply::json(&json!({})), "no score stands where it should", 1),
        ("word", Reply::json(&json!({"score": "high"})), "no score stands where it should", 1),
        ("off", Reply::json(&json!({"score": 101})), "the value is off the source's scale, 0 to 100", 1),
        ("negative", Reply::json(&json!({"score": -1})), "the value is off the source's scale, 0 to 100", 1),
        (
            "enormous",
            Reply::json(&json!({"score": 1_000_000_000_000_000_000_u64})),
            "no score stands where it should",
            1,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_bad_day_what_stood_stands_and_nothing_is_made_up() {
    for app in TestApp::all_with(&SETTINGS).await {
        let admin = app.admin(&app.cathay).await;
        link(&admin, "cx:1", "x", "ada").await;
        for (name, reply, fault, asked) in bad_days() {
            let service = Elsewhere::start(|_| Reply::json(&json!({"score": 40}))).await;
            let pull = json!({"network": "x", "url": format!("{}/{{account}}", service.url()), "value": "/score"});
            declare_score(&admin, name, pull).await;
            assert_eq!(pulled(&app, name).await.scores, 1, "{name}");
            app.world.pass(86_400);
            service.asked();
            service.answer(move |_| reply.clone());
            let began = Instant::now();
            let report = pulled(&app, name).await;
            assert!(began.elapsed() < Duration::from_secs(10), "{name}");
            assert_eq!((report.accounts, report.unknown, report.scores), (1, 1, 0), "{name}");
            assert_eq!(report.fault.as_deref(), Some(fault), "{name}");
            assert_eq!(service.asked().len(), asked, "{name}");
            assert_eq!(admin.get(&format!("/v1/scores/{name}/cx:1")).await.is(200)["value"], 40, "{name}");
            assert_eq!(state(&admin, name).await["fault"], fault, "{name}");
        }
    }
}

/// Answers one list of addresses after the other.
struct Turning {
    answers: Vec<Vec<SocketAddr>>,
    next: AtomicUsize,
}

impl Turning {
    fn new(answers: &[&[SocketAddr]]) -> Arc<Self> {
        let answers = answers.iter().map(|addresses| addresses.to_vec()).collect();
        Arc::new(Self { answers, next: AtomicUsize::new(0) })
    }
}

impl Resolve for Turning {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Resolving<'a> {
        let at = self.next.fetch_add(1, Ordering::SeqCst).min(self.answers.len() - 1);
        let found = self.answers[at].clone();
        Box::pin(async move { Ok(found) })
    }
}

fn outgoing(allowed: &str) -> Outgoing {
    Outgoing::new(Bounds {
        deadline: Duration::from_secs(5),
        most_bytes: 1 << 20,
        allowed: allowed.split(',').filter(|it| !it.is_empty()).map(|it| it.parse().unwrap()).collect(),
        user_agent: "perkgate-test".to_owned(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_changes_its_answer_leads_nowhere_that_was_not_looked_at() {
    let service = Elsewhere::start(|_| Reply::json(&json!({"of": "one"}))).await;
    let metadata: SocketAddr = "169.254.169.254:80".parse().unwrap();
    let public: SocketAddr = "8.8.8.8:443".parse().unwrap();
    let get = async |outgoing: &Outgoing, url: &str| {
        outgoing.get(&url.parse().unwrap(), reqwest::header::HeaderMap::new()).await
    };

    // The connection goes where the look-up that was judged said: no other look-up knows this name.
    let name = format!("http://scores.example:{}/", service.address.port());
    let there = outgoing("scores.example").resolved_by(Turning::new(&[&[service.address]]));
    assert_eq!(get(&there, &name).await.unwrap().status, 200);

    // One bad address among good ones is enough, whenever it comes.
    for answers in [
        &[metadata][..],
        &[public, metadata],
        &["[::ffff:127.0.0.1]:443".parse().unwrap()],
        &["10.0.0.1:443".parse().unwrap()],
    ] {
        let there = outgoing("").resolved_by(Turning::new(&[answers]));
        let refused = get(&there, "https://scores.example/").await.unwrap_err();
        assert!(matches!(refused, OutgoingError::Refused { .. }), "{answers:?}: {refused}");
    }
    let literal = outgoing("");
    for url in [
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://0x7f.1/",
        "https://2130706433/",
        "https://localhost/",
        "https://169.254.169.254/",
    ] {
        let refused = get(&literal, url).await.unwrap_err();
        assert!(matches!(refused, OutgoingError::Refused { .. }), "{url}: {refused}");
    }
    assert!(matches!(get(&literal, "http://8.8.8.8/").await, Err(OutgoingError::Insecure(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_not_asked_on_this_machine_unless_the_operator_allows_it() {
    let service = Elsewhere::start(|_| Reply::json(&json!({"score": 40}))).await;
    let app = TestApp::start(&[]).await;
    let admin = app.admin(&app.cathay).await;
    link(&admin, "cx:1", "x", "ada").await;
    let pull = json!({"network": "x", "url": format!("{}/{{account}}", service.url()), "value": "/score"});
    declare_score(&admin, "inside", pull).await;
    let report = pulled(&app, "inside").await;
    assert_eq!(
        report.fault.as_deref(),
        Some("127.0.0.1 is asked over https only, unless the operator allows that host")
    );
    let pull = json!({"network": "x", "url": "https://scores.example/{account}", "value": "/score"});
    declare_score(&admin, "changing", pull).await;
    let turning = Turning::new(&[&["169.254.169.254:443".parse().unwrap()]]);
    let report = pulled_by(&app.world.gateway.pulls.resolved_by(turning), &app, "changing").await.unwrap();
    assert!(report.fault.unwrap().contains("a link-local address"));
    assert!(service.asked().is_empty());
}
