//! Tests of reading case files, and of what passes.

use crate::eligibility::cases::*;

const RULE: &str = r#"{"time_zone":"America/Los_Angeles","score":{"source":"klout","max_age":"P7D"},
    "schedule":{"open":[{"days":["tue"],"from":"06:00","to":"23:00"}]},
    "rollout":{"percent":50},
    "tiers":[{"id":"main","name":"Main lounge","max_wait":"PT5M","when":{"attr":"score","op":"gte","value":40}}]}"#;

fn rule() -> Rule {
    Rule::parse(&Json::parse(RULE).unwrap(), "lounge").unwrap()
}

fn file(cases: &str) -> LooseJson {
    LooseJson::parse(&format!(r#"{{"perk_file":"lounge.yaml","cases":[{cases}]}}"#)).unwrap()
}

/// A case on a Tuesday of 2012, at noon in San Francisco.
fn noon(subject: &str, expect: &str) -> String {
    format!(r#"{{"name":"n","at":"2012-05-08T12:00","subject":{subject},"expect":{expect}}}"#)
}

#[test]
fn a_case_passes_when_all_that_it_expects_is_so() {
    let rule = rule();
    for (subject, expect, passes) in [
        (r#"{"score":40}"#, r#"{"decision":"granted","tier":"main","reasons":["score_met"]}"#, true),
        (r#"{"score":40}"#, r#"{"decision":"granted"}"#, true),
        (r#"{"score":40}"#, r#"{"decision":"granted","max_wait":"PT300S"}"#, true),
        (r#"{"score":40}"#, r#"{"decision":"granted","max_wait":"PT10M"}"#, false),
        (r#"{"score":40,"in_rollout":false}"#, r#"{"decision":"denied","reasons":["not_in_rollout"]}"#, true),
        (r#"{"score":40}"#, r#"{"decision":"granted","reasons":[]}"#, false),
        (r#"{"score":40}"#, r#"{"decision":"denied"}"#, false),
        (r#"{"score":39.999}"#, r#"{"decision":"denied","reasons":["score_below_threshold"]}"#, true),
        (r#"{"score":39.999}"#, r#"{"decision":"denied","next_eligible_at":null}"#, true),
        (r#"{"score":39.999}"#, r#"{"decision":"denied","next_eligible_at":"2012-05-09T00:00:00Z"}"#, false),
        ("{}", r#"{"decision":"denied","reasons":["score_missing"]}"#, true),
        (r#"{"score":90,"age":"P7D"}"#, r#"{"decision":"granted"}"#, true),
        (r#"{"score":90,"age":"P7DT1S"}"#, r#"{"decision":"denied","reasons":["score_stale"]}"#, true),
        (r#"{"score":90,"observed_at":"2012-05-01T12:00"}"#, r#"{"decision":"granted"}"#, true),
        (r#"{"score":90,"observed_at":"2012-05-01T18:59:59Z"}"#, r#"{"decision":"denied"}"#, true),
    ] {
        let cases = read_cases(&file(&noon(subject, expect)), &rule).unwrap();
        assert_eq!(cases[0].at, "2012-05-08T19:00:00Z".parse().unwrap());
        assert_eq!(cases[0].run(&rule).1, passes, "{subject} {expect}");
    }
}

#[test]
fn waiting_is_part_of_what_can_be_expected() {
    let rule = rule();
    let case = r#"{"name":"n","at":"2012-05-08T05:00","subject":{"score":40},
        "expect":{"decision":"denied","reasons":["outside_schedule"],"next_eligible_at":"2012-05-08T06:00"}}"#;
    let cases = read_cases(&file(case), &rule).unwrap();
    let (verdict, passed) = cases[0].run(&rule);
    assert!(passed, "{verdict:?}");
    assert_eq!(verdict.next_eligible_at, "2012-05-08T13:00:00Z".parse().ok());
}

#[test]
fn what_is_wrong_with_a_case_file_is_reported_at_its_path() {
    let rule = rule();
    let granted = r#"{"decision":"granted"}"#;
    for (cases, wanted) in [
        (String::new(), "/cases empty"),
        ("{}".into(), "/cases/0/name missing /cases/0/at missing /cases/0/expect missing"),
        (
            r#"{"nme":"x","name":"n","at":"2012-05-08T12:00","expect":{"decision":"granted"}}"#.into(),
            "/cases/0/nme unknown_field",
        ),
        (noon(r#"{"score":"40"}"#, granted), "/cases/0/subject/score wrong_type"),
        (noon(r#"{"score":4,"age":"P1D","observed_at":"2012-05-01T12:00"}"#, granted), "/cases/0/subject/age one_of"),
        (noon(r#"{"age":"P1D"}"#, granted), "/cases/0/subject/age one_of"),
        (noon(r#"{"network":"Twitter"}"#, granted), "/cases/0/subject/network bad_form"),
        (noon("{}", r#"{"decision":"yes"}"#), "/cases/0/expect/decision bad_form"),
        (noon("{}", r#"{"decision":"granted","tier":"first"}"#), "/cases/0/expect/tier unknown_tier"),
        (noon("{}", r#"{"decision":"denied","tier":"main"}"#), "/cases/0/expect/tier one_of"),
        (noon("{}", r#"{"decision":"denied","reasons":["too_low"]}"#), "/cases/0/expect/reasons/0 bad_form"),
        (r#"{"name":"n","at":"2012-05-08","expect":{"decision":"granted"}}"#.into(), "/cases/0/at bad_form"),
        (r#"{"name":"n","at":"2012-03-11T02:30","expect":{"decision":"granted"}}"#.into(), "/cases/0/at bad_form"),
        (
            r#"{"name":"n","at":"2012-05-08T12:00","context":{"party":0},"expect":{"decision":"granted"}}"#.into(),
            "/cases/0/context/party out_of_range",
        ),
    ] {
        let errors = read_cases(&file(&cases), &rule).expect_err(&cases);
        let found: Vec<_> = errors.iter().map(|error| format!("{} {}", error.path, error.code)).collect();
        assert_eq!(found.join(" "), wanted, "{cases}");
    }
}

#[test]
fn a_number_of_a_context_matters_where_the_rule_looks_at_it() {
    let case = r#"{"name":"n","at":"2012-05-08T12:00","subject":{"score":40},"context":{"lat":37.61882},
        "expect":{"decision":"granted"}}"#;
    let rule = rule();
    assert!(read_cases(&file(case), &rule).unwrap()[0].run(&rule).1);
    let looking = RULE.replace(r#""rollout""#, r#""when":{"attr":"context.lat","op":"gte","value":37},"rollout""#);
    let looking = Rule::parse(&Json::parse(&looking).unwrap(), "lounge").unwrap();
    let issues = read_cases(&file(case), &looking).unwrap_err();
    assert_eq!(issues[0].path.as_str(), "/cases/0/context/lat");
    let elsewhere = tested(&file(&case.replace(r#""score":40"#, r#""score":40.12345"#))).unwrap_err();
    assert_eq!(elsewhere[0].path.as_str(), "/cases/0/subject/score");
    assert_eq!(elsewhere.len(), 1);
}

#[test]
fn cases_are_about_a_perk_file_or_a_rule() {
    let about = |text: &str| tested(&LooseJson::parse(text).unwrap()).map_err(|issues| issues[0].code);
    assert_eq!(about(r#"{"perk_file":"a.yaml","cases":[]}"#), Ok(Tested::PerkFile("a.yaml".into())));
    assert_eq!(about(r#"{"rule":{},"cases":[]}"#), Ok(Tested::Rule(Json::Object(Vec::new()))));
    assert_eq!(about(r#"{"rule":{},"perk_file":"a"}"#), Err("one_of"));
    assert_eq!(about(r#"{"cases":[]}"#), Err("missing"));
    assert_eq!(about("[]"), Err("wrong_type"));
}

#[test]
fn a_case_is_asked_at_a_location_and_to_the_microsecond() {
    let text = r#"{"tiers":[{"id":"t"}],"schedule":{"open":[{"days":["tue"],"from":"06:00","to":"23:00"}]},
        "limits":[{"id":"l","scope":["location"],"max":{"default":9,"by_location":{"SFO":1}},"cost":"party",
            "window":{"calendar":"day"}}]}"#;
    let rule = Rule::parse(&Json::parse(text).unwrap(), "lounge").unwrap();
    let case = |location: &str| {
        format!(
            r#"{{"name":"n","at":"2012-05-08T05:59:59.9999999Z","context":{{"party":2}}{location},
                "expect":{{"decision":"denied","next_eligible_at":"2012-05-08T06:00"}}}}"#
        )
    };
    let run = |location: &str| read_cases(&file(&case(location)), &rule).unwrap()[0].run(&rule);
    let (decided, passed) = run(r#","location":" LAX ""#);
    assert!(passed, "{decided:?}");
    // Two never fit there.
    assert_eq!((run(r#","location":"SFO""#).1, run("").1), (false, true));
    let cases = read_cases(&file(&case("")), &rule).unwrap();
    assert_eq!(cases[0].at, "2012-05-08T05:59:59.999999Z".parse().unwrap());
    let refused = read_cases(&file(&case(r#","location":"""#)), &rule).unwrap_err();
    assert_eq!(refused[0].path.as_str(), "/cases/0/location");
}

#[test]
fn people_without_a_value_are_dealt_with_as_the_file_says_that_it_is_declared() {
    let rule = r#"{"tiers":[{"id":"gold","rank":2,"when":{"attr":"subject.status","op":"eq","value":"gold"}},
        {"id":"guest","rank":1}]}"#;
    let rule = Rule::parse(&Json::parse(rule).unwrap(), "lounge").unwrap();
    let read = |on_missing: &str, expect: &str| {
        let case = noon(r#"{"attributes":{}}"#, expect);
        let file = format!(r#"{{"perk_file":"lounge.yaml"{on_missing},"cases":[{case}]}}"#);
        read_cases(&LooseJson::parse(&file).unwrap(), &rule)
    };
    let passes = |on_missing: &str, expect: &str| read(on_missing, expect).unwrap()[0].run(&rule).1;
    let (guest, denied) =
        (r#"{"decision":"granted","tier":"guest"}"#, r#"{"decision":"denied","reasons":["attribute_missing"]}"#);
    let referred = denied.replace("denied", "referred");
    for (on_missing, [as_guest, as_denied, as_referred]) in [
        ("", [true, false, false]),
        (r#","on_missing":{"status":"ignore"}"#, [true, false, false]),
        (r#","on_missing":{"status":"deny"}"#, [false, true, false]),
        (r#","on_missing":{"status":"refer"}"#, [false, false, true]),
    ] {
        assert_eq!(passes(on_missing, guest), as_guest, "{on_missing}");
        assert_eq!(passes(on_missing, denied), as_denied, "{on_missing}");
        assert_eq!(passes(on_missing, &referred), as_referred, "{on_missing}");
    }
    for (on_missing, wanted) in [
        (r#","on_missing":{"statos":"deny"}"#, ("/on_missing/statos", "unknown_attribute")),
        (r#","on_missing":{"status":"grant"}"#, ("/on_missing/status", "bad_form")),
        (r#","on_missing":["status"]"#, ("/on_missing", "wrong_type")),
    ] {
        let errors = read(on_missing, guest).unwrap_err();
        assert_eq!((errors[0].path.as_str(), errors[0].code), wanted);
    }
}

#[test]
fn the_guests_of_a_grant_can_be_expected() {
    let rule = r#"{"tiers":[{"id":"t","guests":{"free":1,"max":3,"under":2}}]}"#;
    let rule = Rule::parse(&Json::parse(rule).unwrap(), "lounge").unwrap();
    let read = |expect: &str| {
        let case = format!(
            r#"{{"name":"n","at":"2012-05-08T12:00","party":{{"adults":3,"children":[1]}},"expect":{expect}}}"#
        );
        read_cases(&file(&case), &rule)
    };
    for (guests, passes) in [
        (r#"{"admitted":3,"free":1,"charged":1,"uncounted":1,"refused":0}"#, true),
        (r#"{"charged":1}"#, true),
        ("{}", true),
        (r#"{"charged":2}"#, false),
        (r#"{"admitted":2}"#, false),
        (r#"{"uncounted":0}"#, false),
    ] {
        let cases = read(&format!(r#"{{"decision":"granted","guests":{guests}}}"#)).unwrap();
        assert_eq!(cases[0].run(&rule).1, passes, "{guests}");
    }
    for (expect, wanted) in [
        (r#"{"decision":"denied","guests":{"free":1}}"#, ("/cases/0/expect/guests", "one_of")),
        (r#"{"decision":"granted","guests":{"free":-1}}"#, ("/cases/0/expect/guests/free", "out_of_range")),
        (r#"{"decision":"granted","guests":{"paid":1}}"#, ("/cases/0/expect/guests/paid", "unknown_field")),
    ] {
        let errors = read(expect).unwrap_err();
        assert_eq!((errors[0].path.as_str(), errors[0].code), wanted);
    }
}
