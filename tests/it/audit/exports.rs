//! Exports, verified offline: what is whole passes, and every change to one is found at its line.

use diesel::prelude::*;
use perkgate::audit::export::record::Form;
use perkgate::audit::{Anchor, ExportFile, Report, Request, verify_exports};
use perkgate::database::AnyConnection;
use perkgate::database::schema::events;
use perkgate::foundation::entropy::Entropy;

use super::history::{History, foreign_key, log};
use super::random::Dice;
use super::written::{Part, write};

const FORMS: [Form; 2] = [Form::Ndjson, Form::Csv];

fn written(history: &History, name: &str, form: Form, part: &Part) -> String {
    let mut text = Vec::new();
    write(&mut conn(history), name, &history.log_key(), form, part, &mut text);
    String::from_utf8(text).unwrap()
}

fn conn(history: &History) -> AnyConnection {
    history.database.dedicated().unwrap()
}

/// By the real key, and with every signature.
fn request(history: &History) -> Request {
    Request { keys: vec![history.log_key()], anchors: Vec::new(), every_signature: true }
}

#[track_caller]
fn verify<T: AsRef<[u8]>>(texts: &[T], request: &Request) -> Report {
    let exports =
        texts.iter().enumerate().map(|(nth, text)| ExportFile { label: format!("file{nth}"), reader: text.as_ref() });
    verify_exports(exports.collect(), request, &Entropy::System, &mut |_| {}).unwrap()
}

/// Code and line of each finding.
fn found(report: &Report) -> Vec<(&'static str, Option<u64>)> {
    report.findings.listed().iter().map(|it| (it.wrong.code(), it.place.line)).collect()
}

fn codes(report: &Report) -> Vec<&'static str> {
    report.findings.counts().keys().copied().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_export_is_well_and_its_head_is_an_anchor() {
    for history in History::all().await {
        let size = log(&mut conn(&history), "cathay").size;
        for form in FORMS {
            let text = written(&history, "cathay", form, &Part::default());
            let report = verify(&[&text], &request(&history));
            assert_eq!(report.findings.listed(), [], "{form:?}");
            assert_eq!((report.checked.exports, report.checked.logs), (1, 1));
            assert_eq!(report.checked.events, u64::try_from(size).unwrap());
            assert!(report.checked.checkpoints > 20);
            let anchors = Anchor::parse("kept", &serde_json::json!({"logs": report.heads}).to_string()).unwrap();
            let anchored = Request { anchors: [anchors, history.receipt()].concat(), ..request(&history) };
            let report = verify(&[&text], &anchored);
            assert_eq!((report.findings.listed(), report.checked.anchors), (&[][..], 2));
            let database = history.verify(&anchored);
            assert_eq!(database.findings.listed(), [], "an anchor from an export holds for the database");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_join_up_in_any_order_and_a_part_alone_is_proven_too() {
    for history in History::all().await {
        let (since, size) = (Some(12), log(&mut conn(&history), "cathay").size);
        let first = Part { to: since, ..Part::default() };
        for form in FORMS {
            let early = written(&history, "cathay", form, &first);
            let late = written(&history, "cathay", Form::Ndjson, &Part { since, ..Part::default() });
            let other = written(&history, "united", form, &Part::default());
            let report = verify(&[&other, &late, &early], &request(&history));
            assert_eq!(report.findings.listed(), []);
            assert_eq!((report.checked.exports, report.checked.logs), (3, 2));
            let ends: Vec<i64> = report.heads.iter().map(|head| head.size).collect();
            assert!(ends.contains(&size), "{ends:?}");

            for alone in [&early, &late] {
                assert_eq!(verify(&[alone], &request(&history)).findings.listed(), []);
            }
            // An inner period: what is before it leads to it as bare leaves.
            let inner = written(&history, "cathay", form, &Part { bare_before: 12, ..Part::default() });
            let report = verify(&[&inner], &request(&history));
            assert_eq!((report.findings.listed(), report.checked.events), (&[][..], u64::try_from(size - 12).unwrap()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_do_not_join_up_are_told() {
    let other = History::elsewhere().await;
    for history in History::all().await {
        let part = |since: Option<i64>, to: Option<i64>| {
            written(&history, "cathay", Form::Ndjson, &Part { since, to, ..Part::default() })
        };
        let (early, late) = (part(None, Some(10)), part(Some(12), None));
        let report = verify(&[&early, &late], &request(&history));
        assert_eq!(codes(&report), ["export_gap"]);
        assert_eq!(found(&report)[0].1, Some(1));
        assert_eq!(report.findings.listed()[0].place.file.as_deref(), Some("file1"));
        let report = verify(&[&part(None, Some(14)), &late], &request(&history));
        assert!(codes(&report).contains(&"export_gap"), "{:?}", report.findings);

        // Another gateway's: another log, and a key that nobody named.
        let foreign = written(&other, "cathay", Form::Ndjson, &Part::default());
        let report = verify(&[&foreign], &request(&history));
        assert_eq!(codes(&report), ["checkpoint_signature"]);
        let report = verify(&[&part(None, None)], &Request { anchors: other.receipt(), ..request(&history) });
        assert_eq!(codes(&report), ["anchor_log_missing"]);
        // Its checkpoints among ours.
        let theirs: Vec<&str> = foreign.lines().filter(|line| line.contains(r#""record":"checkpoint""#)).collect();
        let whole = part(None, None);
        let at = whole.lines().position(|line| line.contains(r#""record":"checkpoint""#)).unwrap();
        let mixed = with_line(&whole, at, Some(theirs[0]));
        let keys = vec![history.log_key(), other.log_key()];
        let report = verify(&[&mixed], &Request { keys, ..request(&history) });
        assert_eq!(found(&report), [("checkpoint_foreign", Some(u64::try_from(at + 1).unwrap()))]);
    }
}

/// What is signed is the origin, which ends in the log's name.
#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_calls_the_log_otherwise_than_its_origin_is_told() {
    for history in History::all().await {
        let whole = written(&history, "cathay", Form::Ndjson, &Part::default());
        let bent = whole.replacen(r#""log":"cathay""#, r#""log":"all is well""#, 1);
        assert_ne!(bent, whole);
        assert_eq!(codes(&verify(&[&bent], &request(&history))), ["export_header_mismatch"]);
        assert_eq!(codes(&verify(&[&whole], &request(&history))), [""; 0]);
    }
}

/// The text with another line in the place of one, or without it.
fn with_line(text: &str, at: usize, line: Option<&str>) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    match line {
        Some(line) => lines[at] = line,
        None => drop(lines.remove(at)),
    }
    format!("{}\n", lines.join("\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_was_cut_out_shows_where_the_log_tells_of_no_pruning() {
    for history in History::all().await {
        let size = log(&mut conn(&history), "cathay").size;
        history.lay_hands(|conn| {
            let id = log(conn, "cathay").id;
            let row = events::table.find((id, size - 2));
            diesel::update(row).set(events::body.eq(None::<String>)).execute(conn).unwrap();
        });
        for form in FORMS {
            let whole = verify(&[written(&history, "cathay", form, &Part::default())], &request(&history));
            assert_eq!((codes(&whole), whole.checked.unaccounted), (vec!["body_missing"], 0), "{form:?}");
            // Of a part only the rest could tell.
            let part = written(&history, "cathay", form, &Part { since: Some(12), ..Part::default() });
            let part = verify(&[part], &request(&history));
            assert_eq!((codes(&part), part.checked.unaccounted), (vec![], 1), "{form:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_key_it_is_matters() {
    for history in History::all().await {
        let text = written(&history, "cathay", Form::Ndjson, &Part::default());
        // Its own: whoever made it chose them.
        assert_eq!(verify(&[&text], &Request::default()).findings.listed(), []);
        let (key, _) = foreign_key();
        let report = verify(&[&text], &Request { keys: vec![key], ..Request::default() });
        assert_eq!(codes(&report), ["checkpoint_signature"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_tail_shows_by_itself_or_by_an_anchor() {
    for history in History::all().await {
        let size = log(&mut conn(&history), "cathay").size;
        let whole = written(&history, "cathay", Form::Ndjson, &Part::default());
        let lines = whole.lines().count();
        let cut: String = whole.split_inclusive('\n').take(lines - 1).collect();
        assert_eq!(found(&verify(&[&cut], &request(&history))), [("export_cut", Some(u64::try_from(lines).unwrap()))]);
        let report = verify(&[&whole[..whole.len() / 2]], &request(&history));
        let line = u64::try_from(whole[..whole.len() / 2].lines().count()).unwrap();
        assert_eq!(found(&report)[..2], [("record_unreadable", Some(line)), ("export_cut", Some(line + 1))]);

        // Shorter and well formed: an earlier export.
        let earlier = written(&history, "cathay", Form::Ndjson, &Part { to: Some(size - 1), ..Part::default() });
        assert_eq!(verify(&[&earlier], &request(&history)).findings.listed(), []);
        let report = verify(&[&earlier], &Request { anchors: history.receipt(), ..request(&history) });
        assert_eq!(codes(&report), ["history_cut"]);
        // And one from before the first event that is here.
        let late = written(&history, "cathay", Form::Ndjson, &Part { since: Some(12), ..Part::default() });
        let kept = serde_json::json!({"logs": verify(&[&written(&history, "cathay", Form::Ndjson, &Part { to: Some(9), ..Part::default() })], &request(&history)).heads});
        let anchors = Anchor::parse("kept", &kept.to_string()).unwrap();
        let report = verify(&[&late], &Request { anchors, ..request(&history) });
        assert_eq!(codes(&report), ["anchor_not_covered"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_dropped_doubled_or_swapped_is_found_there() {
    for history in History::all().await {
        for form in FORMS {
            // Rows of CSV that take several lines move as a whole.
            let text = written(&history, "cathay", form, &Part::default());
            let records = records(&text, form);
            // What stands before the first leaf says what follows; a key line that is gone changes nothing.
            let first = records
                .iter()
                .position(|it| it.text.contains("event,0,") || it.text.contains(r#""index":0,"#))
                .unwrap();
            for at in first..records.len() {
                let mut dropped = records.clone();
                dropped.remove(at);
                let mut doubled = records.clone();
                doubled.insert(at, records[at].clone());
                let mut changes = vec![("dropped", dropped), ("doubled", doubled)];
                if at + 1 < records.len() {
                    let mut swapped = records.clone();
                    swapped.swap(at, at + 1);
                    changes.push(("swapped", swapped));
                }
                for (what, changed) in changes {
                    let text: String = changed.iter().map(|it| it.text).collect();
                    let report = verify(&[&text], &request(&history));
                    let is_a_checkpoint_fewer = what == "dropped" && records[at].text.contains("checkpoint");
                    let wanted = line_of(&changed, at);
                    let near = report.findings.listed().first().and_then(|it| it.place.line);
                    assert!(!report.findings.is_empty(), "{form:?}: record {at} {what}");
                    // A checkpoint that is gone is missed at the end, by the count, or for the last events.
                    let is_near = near.is_none_or(|line| line.abs_diff(wanted) <= 8);
                    assert!(
                        is_near || is_a_checkpoint_fewer,
                        "{form:?}: record {at} {what}: {:#?}",
                        report.findings.listed()
                    );
                }
            }
        }
    }
}

#[derive(Clone)]
struct Piece<'a> {
    text: &'a str,
}

fn records(text: &str, form: Form) -> Vec<Piece<'_>> {
    let (mut pieces, mut begun, mut quotes, mut at) = (Vec::new(), 0, 0, 0);
    for line in text.split_inclusive('\n') {
        at += line.len();
        quotes += line.matches('"').count();
        if form == Form::Ndjson || quotes.is_multiple_of(2) {
            pieces.push(Piece { text: &text[begun..at] });
            begun = at;
        }
    }
    pieces
}

fn line_of(records: &[Piece<'_>], at: usize) -> u64 {
    let before: usize = records[..at.min(records.len())].iter().map(|it| it.text.lines().count()).sum();
    u64::try_from(before + 1).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flipped_bit_of_what_proves_is_found() {
    for history in History::all().await {
        let mut dice = Dice::new(11);
        for form in FORMS {
            let text = written(&history, "cathay", form, &Part::default());
            // The header's words on when and by what it was made, and key lines that nobody trusts, prove
            // nothing and are bound by nothing.
            let start = text.find(if form == Form::Csv { "event,0," } else { r#"{"record":"event""# }).unwrap();
            for _ in 0..300 {
                let at = start + dice.below(text.len() - start);
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << dice.below(8);
                let report = verify(&[&bytes], &request(&history));
                let around = at.saturating_sub(20)..(at + 20).min(bytes.len());
                let bent = String::from_utf8_lossy(&bytes[around]).into_owned();
                assert!(!report.findings.is_empty(), "{form:?}, byte {at}: {bent}");
            }
            if form == Form::Csv {
                for (from, to) in [("Z,cli,", "z,cli,"), ("Z,cli,", ".000Z,cli,"), ("T19:", "t19:")] {
                    let (head, rest) = text.split_at(start);
                    let bent = format!("{head}{}", rest.replacen(from, to, 1));
                    assert_ne!(bent, text);
                    let report = verify(&[bent.as_bytes()], &request(&history));
                    assert!(!report.findings.is_empty(), "{to}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_events_say_of_each_other_is_held_together_even_when_it_is_signed() {
    for history in History::all().await {
        let key = history.world.gateway.keyring.log_key();
        let lies: [(&str, &str, &str, &str); 6] = [
            (r#""decision":"granted""#, r#""used":1,"#, r#""used":2,"#, "used_mismatch"),
            (r#""decision":"granted""#, r#""max":1,"#, r#""max":0,"#, "limit_overrun"),
            (r#""decision":"granted""#, r#""rule_hash":"sha256:"#, r#""rule_hash":"sha256:0"#, "rule_cited_mismatch"),
            ("token.redeemed", r#""about":"grt_0"#, r#""about":"grt_1"#, "redemption_without_grant"),
            ("token.redeemed", r#""slot":"single""#, r#""slot":"double""#, "event_incoherent"),
            ("score_below", r#""decision":"denied""#, r#""decision":"granted""#, "event_incoherent"),
        ];
        history.keep();
        for (which, from, to, code) in lies {
            history.lay_hands(|conn| {
                let mut all = super::history::events_of(conn, "cathay");
                let lie = all.iter_mut().find(|event| event.body.as_ref().unwrap().contains(which)).unwrap();
                lie.body = Some(lie.body.as_ref().unwrap().replacen(from, to, 1));
                super::history::rebuild(conn, "cathay", all, key.verifier(), &|text| key.sign(text));
            });
            let report = verify(&[written(&history, "cathay", Form::Ndjson, &Part::default())], &request(&history));
            assert!(codes(&report).contains(&code), "{to}: {:?}", report.findings);
            assert!(report.findings.listed()[0].place.line.is_some());
            history.restore();
        }
        // A grant spent twice.
        history.lay_hands(|conn| {
            let mut all = super::history::events_of(conn, "cathay");
            let mut again = super::history::event_with(conn, "cathay", r#""slot":"single""#);
            again.id = again.id.replace("evt_0", "evt_1");
            again.body = again.body.map(|body| body.replace("evt_0", "evt_1"));
            all.push(again);
            super::history::rebuild(conn, "cathay", all, key.verifier(), &|text| key.sign(text));
        });
        let report = verify(&[written(&history, "cathay", Form::Ndjson, &Part::default())], &request(&history));
        assert_eq!(codes(&report), ["redeemed_twice"]);
    }
}

#[test]
fn what_is_no_export_is_told() {
    for (text, reason) in [
        ("", "there is nothing in it"),
        ("{}\n", "missing field"),
        ("hello\n", "it begins neither with"),
        ("{\"record\":\"end\"}\n", "this is no record of an export"),
        ("{\"record\":\"header\"}\n", "this is no record of an export"),
    ] {
        let report = verify(&[text], &Request::default());
        assert_eq!(codes(&report), ["record_unreadable"], "{text}");
        let told = report.findings.listed()[0].to_string();
        assert!(told.starts_with("file0, line 1, export: ") && told.contains(reason), "{told}");
    }
}
