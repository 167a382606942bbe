//! A published version that counts a limit otherwise lets people in again: every place where such a version is
//! made or published says so, for each limit, and where nothing is said the limit goes on.

use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::Client;

const DAY: &str = r#"{"id":"person-day","scope":["subject"],"max":1,"window":{"calendar":"day"}}"#;
const ROLLING: &str = r#"{"id":"person-week","scope":["subject"],"max":1,"window":{"rolling":"P7D"}}"#;
const INSIDE: &str = r#"{"id":"inside","scope":["perk"],"max":1,"window":{"concurrent":{"max_stay":"PT4H"}}}"#;
const BY_TIER: &str = r#"{"id":"tier-day","scope":["subject","tier"],"max":1,"window":{"calendar":"day"}}"#;
const HOUSE: &str = r#"{"id":"house","scope":["perk"],"max":500,"window":{"lifetime":true}}"#;

fn rule(zone: &str, tier: &str, limits: &[String]) -> Value {
    let text = format!(
        r#"{{"time_zone":"{zone}","score":{{"source":"klout"}},"limits":[{}],
            "tiers":[{{"id":"{tier}","when":{{"attr":"score","op":"gte","value":40}}}}]}}"#,
        limits.join(",")
    );
    serde_json::from_str(&text).unwrap()
}

fn plain(limits: &[&str]) -> Value {
    rule("UTC", "t", &limits.iter().map(|limit| (*limit).to_owned()).collect::<Vec<_>>())
}

/// The warnings of this kind, as (pointer, detail).
fn restarts(answer: &Value) -> Vec<(String, String)> {
    let warnings = answer["warnings"].as_array().unwrap_or_else(|| panic!("no warnings: {answer}"));
    let text = |warning: &Value, member: &str| warning[member].as_str().unwrap().to_owned();
    let of_limits = warnings.iter().filter(|it| it["code"] == "limits_restart");
    of_limits.map(|it| (text(it, "pointer"), text(it, "detail"))).collect()
}

async fn decision(kiosk: &Client, perk: &str) -> String {
    let check = json!({"perk": perk, "subject": "twitter:ada"});
    kiosk.post("/v1/checks", &check).await.text_of("decision")
}

/// What changes, the rules before and after, and the warnings with what each says.
type Case<'a> = (&'a str, Value, Value, &'a [(&'a str, &'a [&'a str])]);

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_is_given_exactly_where_a_limit_begins_again() {
    let edited = |limit: &str, from: &str, to: &str| {
        assert!(limit.contains(from), "{from}");
        limit.replacen(from, to, 1)
    };
    let one = |limit: String| rule("UTC", "t", &[limit]);
    let two = |first: &str, second: String| rule("UTC", "t", &[first.to_owned(), second]);
    let cases: Vec<Case<'_>> = vec![
        (
            "its id",
            plain(&[DAY]),
            one(edited(DAY, "person-day", "visits")),
            &[("/rule/limits/0", &["`visits`", "`person-day`"])],
        ),
        (
            "its scope",
            plain(&[DAY]),
            one(edited(DAY, r#"["subject"]"#, r#"["subject","location"]"#)),
            &[("/rule/limits/0", &["for each person and location"])],
        ),
        (
            "another unit",
            plain(&[DAY]),
            one(edited(DAY, r#""day""#, r#""week""#)),
            &[("/rule/limits/0", &["a week for each person", "a day for each person"])],
        ),
        (
            "a day to any day",
            plain(&[DAY]),
            one(edited(DAY, r#"{"calendar":"day"}"#, r#"{"rolling":"P1D"}"#)),
            &[("/rule/limits/0", &["in any 24 hours"])],
        ),
        (
            "a day to ever",
            plain(&[DAY]),
            one(edited(DAY, r#"{"calendar":"day"}"#, r#"{"lifetime":true}"#)),
            &[("/rule/limits/0", &["ever"])],
        ),
        (
            "inside to ever",
            plain(&[INSIDE]),
            one(edited(INSIDE, r#"{"concurrent":{"max_stay":"PT4H"}}"#, r#"{"lifetime":true}"#)),
            &[("/rule/limits/0", &["inside"])],
        ),
        (
            "ever to inside",
            one(edited(INSIDE, r#"{"concurrent":{"max_stay":"PT4H"}}"#, r#"{"lifetime":true}"#)),
            plain(&[INSIDE]),
            &[("/rule/limits/0", &["at a time"])],
        ),
        (
            "the zone",
            plain(&[DAY]),
            rule("Asia/Hong_Kong", "t", &[DAY.to_owned()]),
            &[("/rule/time_zone", &["`person-day`", "Asia/Hong_Kong"])],
        ),
        (
            "the tier that it counts by",
            plain(&[BY_TIER]),
            rule("UTC", "u", &[BY_TIER.to_owned()]),
            &[("/rule/limits/0", &["tier"])],
        ),
        (
            "the second of two",
            plain(&[HOUSE, DAY]),
            two(HOUSE, edited(DAY, "person-day", "visits")),
            &[("/rule/limits/1", &["`visits`"])],
        ),
        // What goes on.
        ("another number", plain(&[HOUSE, DAY]), two(&edited(HOUSE, "500", "400"), DAY.to_owned()), &[]),
        ("another length of time", plain(&[ROLLING]), one(edited(ROLLING, "P7D", "P14D")), &[]),
        ("a longer stay", plain(&[INSIDE]), one(edited(INSIDE, "PT4H", "PT8H")), &[]),
        ("a zone with the same days", plain(&[DAY]), rule("Africa/Abidjan", "t", &[DAY.to_owned()]), &[]),
        ("a zone, for what has no days", plain(&[ROLLING]), rule("Asia/Hong_Kong", "t", &[ROLLING.to_owned()]), &[]),
        ("another tier, which it doesn't count by", plain(&[DAY]), rule("UTC", "u", &[DAY.to_owned()]), &[]),
        ("one more", plain(&[DAY]), two(DAY, HOUSE.to_owned()), &[]),
        ("another order", plain(&[HOUSE, DAY]), two(DAY, HOUSE.to_owned()), &[]),
    ];
    for app in TestApp::all().await {
        app.world.score(&app.cathay, "twitter:ada", "60").await;
        let (admin, kiosk) = (app.admin(&app.cathay).await, app.kiosk().await);
        for (nth, (what, before, after, wanted)) in cases.iter().enumerate() {
            let perk = format!("perk-{nth}");
            let first = json!({"perk": perk, "name": what, "rule": before, "publish": true});
            assert_eq!(restarts(&admin.post("/v1/perks", &first).await.is(201)), [], "{what}: nothing was counted yet");
            assert_eq!(decision(&kiosk, &perk).await, "granted", "{what}");
            assert_eq!(decision(&kiosk, &perk).await, "denied", "{what}");
            let version = json!({"rule": after});
            let drafted = admin.post(&format!("/v1/perks/{perk}/versions"), &version).await.is(201);
            let published = admin.post(&format!("/v1/perks/{perk}/versions/2/publish"), &json!({})).await.is(200);
            for told in [restarts(&drafted), restarts(&published)] {
                assert_eq!(told.len(), wanted.len(), "{what}: {told:?}");
                for ((pointer, detail), (at, parts)) in told.iter().zip(*wanted) {
                    assert_eq!(pointer, at, "{what}: {detail}");
                    assert!(parts.iter().all(|part| detail.contains(part)), "{what}: {detail}");
                    assert!(detail.contains("counts no more"), "{what}: {detail}");
                }
            }
            let then = if wanted.is_empty() { "denied" } else { "granted" };
            assert_eq!(decision(&kiosk, &perk).await, then, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_towards_deciding_says_it_and_so_does_the_comparison() {
    let app = TestApp::start(&[]).await;
    let admin = app.admin(&app.cathay).await;
    let (before, after) =
        (plain(&[DAY, HOUSE]), plain(&[&DAY.replace("person-day", "visits"), &HOUSE.replace("perk", "location")]));
    let both = |answer: &Value| {
        let told = restarts(answer);
        let at: Vec<_> = told.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(at, ["/rule/limits/0", "/rule/limits/1"], "{answer}");
    };
    admin.post("/v1/perks", &json!({"perk": "p", "name": "P", "rule": before, "publish": true})).await.is(201);
    both(&admin.post("/v1/perks/p/versions", &json!({"rule": after})).await.is(201));
    let edit = admin.put("/v1/perks/p/versions/2", &json!({"rule": after})).header("if-match", "*");
    both(&edit.await.is(200));
    let step = async |version: u8, step: &str, body: Value| {
        admin.post(&format!("/v1/perks/p/versions/{version}/{step}"), &body).await.is(200)
    };
    both(&step(2, "submit", json!({})).await);
    both(&step(2, "approve", json!({})).await);
    both(&step(2, "schedule", json!({"at": "2012-06-01T00:00"})).await);
    assert_eq!(restarts(&step(2, "unschedule", json!({})).await), []);
    let compared = admin.get("/v1/perks/p/diff").await.is(200);
    let at: Vec<_> = restarts(&compared).into_iter().map(|(pointer, _)| pointer).collect();
    assert_eq!(at, ["/limits/0", "/limits/1"], "as the changes' own pointers");
    assert_eq!(restarts(&admin.get("/v1/perks/p/diff?from=1&to=1").await.is(200)), []);
    both(&step(2, "publish", json!({})).await);
    // And going back begins again, too.
    both(&admin.post("/v1/perks/p/rollback", &json!({"to": 1})).await.is(201));
    both(&admin.post("/v1/perks/p/versions", &json!({"rule": after, "publish": true})).await.is(201));
}
