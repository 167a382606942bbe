//! The JSON Schema of perk files: it takes what the reader takes, and what is committed is what is generated.

use jsonschema::Validator;
use perkgate::foundation::json::Json;
use perkgate::perks::schema;
use perkgate::rules::rule::Rule;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::oracle::generate;
use crate::support::app::TestApp;

const COMMITTED: &str = include_str!("../../../openapi/perk.schema.json");

fn of_files() -> Validator {
    jsonschema::draft202012::new(&schema::schema()).unwrap()
}

/// The same schema, entered at the rule.
fn of_rules() -> Validator {
    let whole = schema::schema();
    let rule = json!({"$schema": whole["$schema"], "$ref": "#/$defs/rule", "$defs": whole["$defs"]});
    jsonschema::draft202012::new(&rule).unwrap()
}

fn is_read(rule: &str) -> bool {
    Rule::parse(&Json::parse(rule).unwrap(), "door").is_ok()
}

#[track_caller]
fn takes(validator: &Validator, text: &str) {
    let value: Value = serde_json::from_str(text).unwrap();
    let errors: Vec<_> = validator.iter_errors(&value).map(|it| format!("{}: {it}", it.instance_path())).collect();
    assert!(errors.is_empty(), "{text}: {errors:#?}");
}

#[track_caller]
fn refuses(validator: &Validator, text: &str) {
    let value: Value = serde_json::from_str(text).unwrap();
    assert!(!validator.is_valid(&value), "the schema takes {text}");
}

const LOUNGE: &str = r#"{"time_zone":"America/Los_Angeles","valid":{"from":"2012-05-08T00:00","until":null},
    "score":{"source":"klout","max_age":"P7D","on_stale":"deny","on_missing":"deny"},
    "schedule":{"open":[{"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"06:00","to":"23:00"}],"closed_dates":["2026-12-25"]},
    "when":{"all":[{"attr":"context.terminal","op":"in","values":["A","G"]}]},
    "tiers":[{"id":"first","rank":2,"name":"First lounge","when":{"attr":"score","op":"gte","value":60}},
             {"id":"standard","rank":1,"name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
    "limits":[{"id":"person-day","scope":["subject"],"max":1,"window":{"calendar":"day"}},
              {"id":"house-day","scope":["perk"],"max":200,"cost":"party","window":{"calendar":"day"}}],
    "token":{"audience":"sfo-lounge","ttl":"PT30M","single_use":true},"rollout":{"percent":100}}"#;

/// A rule of one tier with this condition.
fn when(condition: &str) -> String {
    format!(r#"{{"score":{{"source":"klout"}},"tiers":[{{"id":"t","when":{condition}}}]}}"#)
}

/// A rule with these members beside a tier for everyone.
fn with(members: &str) -> String {
    format!(r#"{{"tiers":[{{"id":"t"}}],{members}}}"#)
}

#[test]
fn what_the_reader_takes_the_schema_takes() {
    let rules = of_rules();
    let rule = |text: &str| {
        assert!(is_read(text), "the reader refuses {text}");
        takes(&rules, text);
        // The canonical form too: that is what versions show.
        takes(&rules, Rule::parse(&Json::parse(text).unwrap(), "door").unwrap().canonical());
    };
    let grown = r#"{"at_least":40,"score":{"source":"klout","max_age":"P7D"},
        "limits":[{"id":"day","scope":["subject"],"max":1,"window":{"calendar":"day"}}]}"#;
    for text in [LOUNGE, r#"{"at_least":40.5,"score":"klout"}"#, r#"{"at_least":-1,"score":"klout"}"#, grown] {
        rule(text);
    }
    for condition in [
        r#"{"attr":"score","op":"between","values":[40.5,60]}"#,
        r#"{"attr":"score","op":"exists"}"#,
        r#"{"attr":"score","op":"neq","value":3}"#,
        r#"{"not":{"attr":"score.age","op":"gt","value":"PT90M"}}"#,
        r#"{"attr":"score.age","op":"between","values":["PT1S","P1W"]}"#,
        r#"{"attr":"subject.network","op":"not_in","values":["bot"]}"#,
        r#"{"attr":"subject.network","op":"starts_with","value":"tw"}"#,
        r#"{"attr":"context.vip","op":"eq","value":true}"#,
        r#"{"attr":"context.vip","op":"in","values":[true]}"#,
        r#"{"attr":"context.row","op":"in","values":[1,2.5]}"#,
        r#"{"attr":"context.row","op":"lt","value":2}"#,
        r#"{"attr":"context.tags","op":"contains","value":"gold"}"#,
        r#"{"attr":"context.party","op":"in","values":[1,2]}"#,
        r#"{"any":[{"attr":"context.a","op":"exists"},{"all":[{"attr":"context.b_9","op":"exists"}]}]}"#,
    ] {
        rule(&when(condition));
    }
    for members in [
        r#""limits":null,"when":null,"score":null,"schedule":null,"valid":null,"token":null,"time_zone":null"#,
        r#""schedule":{"open":[]}"#,
        r#""blackouts":[]"#,
        r#""blackouts":[{"id":"golden-week","from":"2026-10-01T00:00","until":"2026-10-08T00:00:30"}]"#,
        r#""blackouts":[{"id":"new-year","from":null,"yearly":{"from":"12-31","to":"02-29"}}]"#,
        r#""schedule":{"open":[{"days":["sat"],"from":"18:00","to":"24:00"},{"days":["sun"],"from":"18:00","to":"02:00"}]}"#,
        r#""valid":{"until":"2030-01-01T00:00:30"}"#,
        r#""limits":[{"id":"l","scope":["subject","merchant"],"max":1000000000,"cost":100,"window":{"lifetime":true}}]"#,
        r#""token":{"ttl":"PT24H","single_use":false}"#,
        r#""score":{"source":"klout","max_age":"PT0.5H"}"#,
    ] {
        rule(&with(members));
    }
}

/// The same rules are refused by both, so that an editor says what the gateway would.
#[test]
fn what_the_schema_refuses_the_reader_refuses() {
    let rules = of_rules();
    let refused = |text: &str| {
        assert!(!is_read(text), "the reader takes {text}");
        refuses(&rules, text);
    };
    for text in [
        "{}",
        "[]",
        "\"at least 40\"",
        r#"{"tiers":[]}"#,
        r#"{"at_least":"40","score":"klout"}"#,
        r#"{"at_least":40}"#,
        r#"{"at_least":40,"score":"klout","limit":[]}"#,
        r#"{"at_least":40,"score":"klout","tiers":[{"id":"t"}]}"#,
        r#"{"at_least":40,"score":{"max_age":"P7D"}}"#,
        r#"{"at_least":40,"score":"Klout!"}"#,
        r#"{"tiers":[{"id":"a"},{"id":"b"}]}"#,
        r#"{"tiers":[{"id":"a","rank":0}]}"#,
        r#"{"tiers":[{"id":"a","rank":1.5}]}"#,
        r#"{"tiers":[{"id":"-a"}]}"#,
        r#"{"tiers":[{"id":"a","name":""}]}"#,
        r#"{"tiers":[{"id":"a","colour":"red"}]}"#,
    ] {
        refused(text);
    }
    for condition in [
        "{}",
        "[]",
        r#"{"all":[]}"#,
        r#"{"any":{}}"#,
        r#"{"all":[{"attr":"score","op":"exists"}],"any":[]}"#,
        r#"{"not":[{"attr":"score","op":"exists"}]}"#,
        r#"{"attr":"score","op":"about","value":40}"#,
        r#"{"attr":"score","op":"gte"}"#,
        r#"{"attr":"score","op":"gte","value":"40"}"#,
        r#"{"attr":"score","op":"gte","values":[40]}"#,
        r#"{"attr":"score","op":"in","values":[40]}"#,
        r#"{"attr":"score","op":"contains","value":"4"}"#,
        r#"{"attr":"score","op":"between","values":[40]}"#,
        r#"{"attr":"score","op":"between","value":40}"#,
        r#"{"attr":"score","op":"exists","value":40}"#,
        r#"{"attr":"score.age","op":"lt","value":60}"#,
        r#"{"attr":"score.age","op":"lt","value":"an hour"}"#,
        r#"{"attr":"score.age","op":"lt","value":"P1M"}"#,
        r#"{"attr":"score.age","op":"eq","value":"PT1H"}"#,
        r#"{"attr":"subject.network","op":"gt","value":1}"#,
        r#"{"attr":"subject.network","op":"eq","value":true}"#,
        r#"{"attr":"subject.Name","op":"eq","value":"x"}"#,
        r#"{"attr":"context.Terminal","op":"exists"}"#,
        r#"{"attr":"context.","op":"exists"}"#,
        r#"{"attr":"context.party","op":"eq","value":"2"}"#,
        r#"{"attr":"context.a","op":"eq","value":[1]}"#,
        r#"{"attr":"context.a","op":"lt","value":"b"}"#,
        r#"{"attr":"context.a","op":"in","values":[]}"#,
        r#"{"attr":"context.a","op":"in","values":[1,"a"]}"#,
        r#"{"attr":"context.a","op":"contains","value":""}"#,
        r#"{"attr":"context.a","op":"eq","value":1,"unless":2}"#,
    ] {
        refused(&when(condition));
    }
    for members in [
        r#""colour":"red""#,
        r#""time_zone":5"#,
        r#""valid":{"from":"2012-05-08T00:00Z"}"#,
        r#""valid":{"from":"May 8"}"#,
        r#""score":{}"#,
        r#""score":{"source":"klout","on_stale":"grant"}"#,
        r#""score":{"source":"klout","max_age":"7 days"}"#,
        r#""schedule":{"open":[{"days":["mon"],"from":"24:00","to":"02:00"}]}"#,
        r#""schedule":{"open":[{"days":["mon"],"from":"6:00","to":"09:00"}]}"#,
        r#""schedule":{"open":[{"days":["Monday"],"from":"06:00","to":"09:00"}]}"#,
        r#""schedule":{"open":[{"days":[],"from":"06:00","to":"09:00"}]}"#,
        r#""schedule":{"closed_dates":["25/12/2026"]}"#,
        r#""blackouts":{"id":"b"}"#,
        r#""blackouts":[{"id":"b"}]"#,
        r#""blackouts":[{"from":"2026-10-01T00:00","until":"2026-10-08T00:00"}]"#,
        r#""blackouts":[{"id":"b","from":"2026-10-01T00:00"}]"#,
        r#""blackouts":[{"id":"b","yearly":{"from":"12-31"}}]"#,
        r#""blackouts":[{"id":"b","yearly":{"from":"13-01","to":"01-01"}}]"#,
        r#""blackouts":[{"id":"b","from":"2026-10-01T00:00","yearly":{"from":"12-31","to":"01-01"}}]"#,
        r#""limits":[{"id":"l","scope":["subject"],"max":0,"window":{"calendar":"day"}}]"#,
        r#""limits":[{"id":"l","scope":[],"max":1,"window":{"calendar":"day"}}]"#,
        r#""limits":[{"id":"l","scope":["house"],"max":1,"window":{"calendar":"day"}}]"#,
        r#""limits":[{"id":"l","scope":["perk","perk"],"max":1,"window":{"calendar":"day"}}]"#,
        r#""limits":[{"id":"l","scope":["perk"],"max":1,"window":{"calendar":"decade"}}]"#,
        r#""limits":[{"id":"l","scope":["perk"],"max":1,"window":{}}]"#,
        r#""limits":[{"id":"l","scope":["perk"],"max":1,"window":{"lifetime":false}}]"#,
        r#""limits":[{"id":"l","scope":["perk"],"max":1,"window":{"lifetime":true,"calendar":"day"}}]"#,
        r#""limits":[{"id":"l","scope":["perk"],"max":1,"cost":"guests","window":{"calendar":"day"}}]"#,
        r#""limits":[{"id":"l","scope":["perk"],"max":1,"cost":101,"window":{"calendar":"day"}}]"#,
        r#""token":{"ttl":"soon"}"#,
        r#""token":{"single_use":"yes"}"#,
        r#""token":{"audience":"SFO Lounge"}"#,
        r#""rollout":{"percent":101}"#,
        r#""rollout":{"share":50}"#,
    ] {
        refused(&with(members));
    }
}

/// Members that stand in the contract; each is the reader's too, or is on its way to it.
#[test]
fn the_whole_rule_model_is_described() {
    let rules = of_rules();
    for condition in [
        r#"{"attr":"context.spent","op":"gte","ref":"context.needed"}"#,
        r#"{"attr":"score","op":"gt","ref":"context.floor"}"#,
    ] {
        takes(&rules, &when(condition));
    }
    for condition in [
        r#"{"attr":"context.a","op":"exists","ref":"context.b"}"#,
        r#"{"attr":"context.a","op":"in","ref":"context.b"}"#,
        r#"{"attr":"context.a","op":"eq","ref":"elsewhere"}"#,
    ] {
        refuses(&rules, &when(condition));
    }
    for members in [
        r#""rollout":{"percent":10}"#,
        r#""otherwise":"refer""#,
        r#""score":{"source":"klout","on_missing":"refer","on_stale":"ignore"}"#,
        r#""limits":[{"id":"l","scope":["subject"],"max":1,"window":{"rolling":"PT24H"}}]"#,
        r#""limits":[{"id":"l","scope":["perk"],"max":40,"window":{"concurrent":{"max_stay":"PT4H"}}}]"#,
    ] {
        takes(&rules, &with(members));
    }
    takes(&rules, r#"{"tiers":[{"id":"t","max_wait":"PT5M"}]}"#);
    for members in [r#""otherwise":"ignore""#, r#""rollout":{}"#] {
        refuses(&rules, &with(members));
    }
}

#[test]
fn a_perk_file_is_described_around_its_rule() {
    let files = of_files();
    let file = |more: &str| format!(r#"{{"perk":"sfo-lounge","name":"SFO","rule":{LOUNGE}{more}}}"#);
    for more in ["", r#","publish":true,"change_note":"Busy in May""#, r#","purpose":"lounge""#] {
        takes(&files, &file(more));
    }
    for more in [r#","purpose":"employment""#, r#","publish":"yes""#, r#","version":2"#] {
        refuses(&files, &file(more));
    }
    refuses(&files, r#"{"perk":"SFO","name":"SFO","rule":{"at_least":40,"score":"klout"}}"#);
    refuses(&files, r#"{"perk":"sfo","rule":{"at_least":40,"score":"klout"}}"#);
    refuses(&files, r#"{"perk":"sfo","name":"SFO","rule":{"at_least":40}}"#);
}

/// The reader names the members of each object when it meets another one: each stands in the schema.
#[test]
fn every_member_that_the_reader_knows_is_described() {
    let defs = schema::schema()["$defs"].clone();
    let inner = |value: &Value| value.get("anyOf").map_or_else(|| value.clone(), |any| any[0].clone());
    let long = &defs["long_rule"]["properties"];
    let part = |name: &str| inner(&long[name])["properties"].clone();
    let opening = inner(&part("schedule")["open"])["items"]["properties"].clone();
    let window = r#""limits":[{"id":"l","scope":["perk"],"max":1,"window":{"zz":1}}]"#;
    let limit = r#""limits":[{"id":"l","scope":["perk"],"max":1,"window":{"calendar":"day"},"zz":1}]"#;
    for (rule, described) in [
        (with(r#""zz":1"#), long.clone()),
        (with(r#""valid":{"zz":1}"#), part("valid")),
        (with(r#""score":{"source":"klout","zz":1}"#), part("score")),
        (with(r#""token":{"zz":1}"#), part("token")),
        (with(r#""schedule":{"zz":1}"#), part("schedule")),
        (with(r#""schedule":{"open":[{"days":["mon"],"from":"06:00","to":"07:00","zz":1}]}"#), opening),
        (with(limit), defs["limit"]["properties"].clone()),
        (with(window), defs["limit"]["properties"]["window"]["properties"].clone()),
        (r#"{"tiers":[{"id":"t","zz":1}]}"#.to_owned(), defs["tier"]["properties"].clone()),
        (when(r#"{"attr":"score","op":"exists","zz":1}"#), defs["leaf"]["properties"].clone()),
    ] {
        let issues = Rule::parse(&Json::parse(&rule).unwrap(), "door").unwrap_err();
        let unknown = issues.iter().find(|issue| issue.code == "unknown_field").unwrap();
        let (_, known) = unknown.detail.split_once("it has ").unwrap();
        for name in known.split(", ") {
            assert!(described.get(name).is_some(), "{name} of {rule} isn't described");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn random_rules_that_are_read_fit_the_schema(rules in prop::collection::vec(generate::rule(), 4)) {
        let validator = of_rules();
        for rule in rules {
            takes(&validator, &rule);
            takes(&validator, Rule::parse(&Json::parse(&rule).unwrap(), "door").unwrap().canonical());
        }
    }
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    assert!(
        schema::text() == COMMITTED,
        "openapi/perk.schema.json is out of date: `cargo run -- openapi --schema > openapi/perk.schema.json`"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_is_served_open_and_cacheable() {
    let app = TestApp::start(&[]).await;
    let served = app.anonymous().get("/schemas/perk.json").await;
    assert_eq!((served.status, served.text.as_str()), (200, COMMITTED));
    assert_eq!(served.header("content-type"), "application/schema+json");
    assert_eq!(served.header("cache-control"), "public, max-age=300");
    let held = served.header("etag").to_owned();
    assert_eq!(app.anonymous().get("/schemas/perk.json").header("if-none-match", &held).await.status, 304);
}
