//! Tests of what is read and refused, of where things stand, and of the round trip through the writer.

use proptest::prelude::*;

use super::write::write;
use crate::foundation::yaml::*;

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

#[track_caller]
fn fault(text: &str) -> (usize, usize, YamlFault) {
    let YamlError { mark, fault } = read(text).expect_err(text);
    (mark.line, mark.column, fault)
}

#[test]
fn a_rule_file_is_read_with_its_comments() {
    let text = "# The lounge.\n---\nperk: sfo-lounge   # its short name\nname: 'SFO: lounge'\nrule:\n  tiers:\n  - id: \
                a\n    when: {attr: score, op: gte, value: 47.250}\n  - {id: b, names: [x, \"y\"]}\n  note: |\n    \
                one\n    two\n...\n";
    let wanted = r#"{"perk":"sfo-lounge","name":"SFO: lounge","rule":{"tiers":[
        {"id":"a","when":{"attr":"score","op":"gte","value":47.25}},{"id":"b","names":["x","y"]}],"note":"one\ntwo\n"}}"#;
    assert_eq!(read(text), Ok(json(wanted)));
    assert_eq!(read("\u{FEFF}a: 1\r\nb: 2\r\n"), Ok(json(r#"{"a":1,"b":2}"#)));
    // JSON is YAML.
    assert_eq!(read(wanted), Ok(json(wanted)));
}

#[test]
fn only_true_and_false_are_booleans_and_times_are_text() {
    for (text, wanted) in [
        ("true", "true"),
        ("False", "false"),
        ("no", "\"no\""),
        ("yes", "\"yes\""),
        ("on", "\"on\""),
        ("N", "\"N\""),
        ("~", "null"),
        ("Null", "null"),
        ("'null'", "\"null\""),
        ("'40'", "\"40\""),
        ("40", "40"),
        ("-0.5", "-0.5"),
        ("06:00", "\"06:00\""),
        ("2012-05-08", "\"2012-05-08\""),
        ("2012-05-08T17:00:00Z", "\"2012-05-08T17:00:00Z\""),
        ("1.2.3", "\"1.2.3\""),
        ("1_000", "\"1_000\""),
        ("0b1", "\"0b1\""),
        ("P7D", "\"P7D\""),
        ("e3", "\"e3\""),
        (".", "\".\""),
        ("-", "[null]"),
    ] {
        assert_eq!(read(text), Ok(json(wanted)), "{text}");
    }
}

#[test]
fn numbers_that_are_not_exact_are_refused() {
    for text in ["1e3", "0x1F", "0o17", "+5", ".5", "5.", "007", ".inf", "-.INF", ".nan", "1.0005", "99999999999999"] {
        let (line, column, found) = fault(&format!("a:\n  b: {text}"));
        assert!(matches!(&found, YamlFault::Number { text: found, .. } if found == text), "{text}: {found:?}");
        assert_eq!((line, column), (2, 6));
    }
}

#[test]
fn what_is_dangerous_or_surprising_is_refused_where_it_stands() {
    use YamlFault::{Anchor, Control, Doubled, Empty, Key, Nul, SecondDocument, Tab, Tag, TooDeep};
    for (text, line, column, wanted) in [
        ("a: &x 1\nb: *x\n", 1, 4, Anchor),
        ("a: 1\nb: *x\n", 2, 4, Anchor),
        ("a: &x [1]\n", 1, 4, Anchor),
        ("&x a: 1\n", 1, 1, Anchor),
        ("a: !!int '1'\n", 1, 4, Tag),
        ("a: !x {b: 1}\n", 1, 4, Tag),
        ("a: ! 1\n", 1, 4, Tag),
        ("a: 1\n---\nb: 2\n", 2, 1, SecondDocument),
        ("a: 1\nb: 2\na: 3\n", 3, 1, Doubled("a".into())),
        ("a:\n  - {b: 1, 'b': 2}\n", 2, 12, Doubled("b".into())),
        ("1: a\n", 1, 1, Key),
        ("true: a\n", 1, 1, Key),
        ("? [a]\n: b\n", 1, 3, Key),
        ("? {a: 1}\n: b\n", 1, 3, Key),
        ("a:\n\tb: 1\n", 2, 1, Tab),
        ("a:\n  b: 1\n  \tc: 2\n", 3, 3, Tab),
        ("a: b\n\tc: 2\n", 2, 1, Tab),
        ("a: \"x\\0y\"\n", 1, 4, Nul),
        ("a: b\nc: x\u{0}y\n", 2, 5, Control('\0')),
        ("a: \u{1b}[31m\n", 1, 4, Control('\u{1b}')),
        ("", 1, 1, Empty),
        ("# nothing\n", 1, 1, Empty),
    ] {
        assert_eq!(fault(text), (line, column, wanted), "{text}");
    }
    assert_eq!(fault(&"- ".repeat(100_000)), (1, 67, TooDeep));
    let (.., found) = fault(&format!("a: {}", "[".repeat(100_000)));
    assert_eq!(found, TooDeep);
    for broken in ["a: [1, 2", "a: {b", "a: 'x", "a: 1\n b: 2", "a: b: c", "a: @x", "%YAML 9", "- a\nb", "]"] {
        assert!(matches!(read(broken), Err(YamlError { fault: YamlFault::Syntax(_), .. })), "{broken}");
    }
}

/// A hundred million values in ten lines.
#[test]
fn a_bomb_of_aliases_is_refused_at_its_first_anchor() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..9 {
        let last = format!("*a{}, ", n - 1).repeat(10);
        bomb.extend(["a", &n.to_string(), ": &a", &n.to_string(), " [", last.trim_end_matches(", "), "]\n"]);
    }
    assert_eq!(fault(&bomb), (1, 5, YamlFault::Anchor));
}

#[test]
fn as_deep_as_json_and_no_deeper() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    for depth in [1, MAX_DEPTH, MAX_DEPTH + 1, MAX_DEPTH + 2] {
        assert_eq!(read(&nested(depth)).ok(), Json::parse(&nested(depth)).ok(), "{depth}");
    }
}

#[test]
fn pointers_are_found_in_yaml_and_in_json() {
    let yaml =
        "# top\nperk: a\nrule:\n  tiers:\n    - id: x\n      when: {attr: score, value: 1}\n    - id: y\n  a/b: 1\n";
    let at = |text: &str, pointer: &'static str| locate(text, [pointer]).get(pointer).map(|it| (it.line, it.column));
    for (pointer, place) in [
        ("", (2, 1)),
        ("/perk", (2, 1)),
        ("/rule/tiers", (4, 3)),
        ("/rule/tiers/0/when/value", (6, 27)),
        ("/rule/tiers/1", (7, 7)),
        ("/rule/tiers/1/rank", (7, 7)),
        ("/rule/a~1b", (8, 3)),
        ("/name", (2, 1)),
    ] {
        assert_eq!(at(yaml, pointer), Some(place), "{pointer}");
    }
    assert_eq!(at("{\"a\":1,\n\t\"b\": [1,\n 2]}", "/b/1"), Some((3, 2)));
    // What comes before an error is still found.
    assert_eq!(at("a: 1\nb: *x\n", "/a"), Some((1, 1)));
}

#[test]
fn what_is_written_reads_well() {
    let perk = json(
        r#"{"perk":"sfo-lounge","name":"Cathay Pacific: San Francisco","rule":{"score":{"source":"klout","max_age":"P7D"},
        "when":{"all":[{"attr":"context.terminal","op":"in","values":["A","G","no"]}]},"tiers":[{"id":"first","rank":2,
        "when":{"attr":"score","op":"gte","value":60}}],"schedule":{"open":[{"days":["mon"],"from":"06:00","to":"23:00"}],
        "closed_dates":[]}},"empty":{},"nothing":null}"#,
    );
    let text = write(&perk);
    assert_eq!(read(&text).as_ref(), Ok(&perk), "{text}");
    insta::assert_snapshot!(text, @r#"
    perk: sfo-lounge
    name: "Cathay Pacific: San Francisco"
    rule:
      score: {source: klout, max_age: P7D}
      when:
        all:
          - {attr: context.terminal, op: in, values: [A, G, "no"]}
      tiers:
        - id: first
          rank: 2
          when: {attr: score, op: gte, value: 60}
      schedule:
        open:
          - {days: [mon], from: "06:00", to: "23:00"}
        closed_dates: []
    empty: {}
    nothing: null
    "#);
}

fn any_json() -> impl Strategy<Value = Json> {
    let text = prop_oneof![
        any::<String>().prop_map(|text| text.replace('\0', "")),
        "[ -~\n\t]{0,40}",
        "(no|yes|null|true|~|-|0x1f|1e3|06:00|[-+]?[0-9]{1,4}|#|a: b|- a|&a|\\*a|!t|---|\\.\\.\\.|%a|a #b| a|a |a{1100})",
    ];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        (-1_000_000_000_000_000..=1_000_000_000_000_000_i64)
            .prop_map(|thousandths| Json::Number(Decimal::from_thousandths(thousandths))),
        text.clone().prop_map(Json::Text),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        let members = proptest::collection::btree_map(text.clone(), inner.clone(), 0..6);
        prop_oneof![
            proptest::collection::vec(inner, 0..6).prop_map(Json::List),
            members.prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(value in any_json()) {
        let text = write(&value);
        prop_assert_eq!(read(&text), Ok(value), "{}", text);
    }

    #[test]
    fn no_text_brings_it_down(text in "[\\[\\]{}:,&*!|>'\"%@`#? \t\na-c0-9.\\\\-]{0,60}") {
        let _ = read(&text);
    }

    #[test]
    fn what_json_takes_means_the_same_as_yaml(value in any_json()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(read(&text).ok(), Some(value), "{}", text);
    }
}
