//! Receipts verified in the browser: the module says step by step what the server's verifier says, of what the gateway
//! gave and of each thing that can be wrong with it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use perkgate::access::Role;
use perkgate::audit::receipt::{Proof, Receipt, examine, read_keys};
use serde_json::{Value, json};

use super::browser::Browser;
use super::perks::words;
use crate::support::app::TestApp;
use crate::support::services::{find, skip};

const MODULE: &str = include_str!("../../../src/console/scripts/verify.js");

const RUNNER: &str = r#"
import { examine, readKeys } from "./verify.mjs";
let text = "";
for await (const chunk of process.stdin) text += chunk;
const outcomes = [];
for (const { receipt, proofs, keys } of JSON.parse(text)) {
  try {
    const { steps } = await examine(receipt, proofs, await readKeys(keys));
    const open = ({ detail }) => detail.replace(/^[^:]*: /, "").split(", ").sort();
    outcomes.push(steps.flatMap((it) => (it.step === "members" ? open(it) : [`${it.step} ${it.status}`])));
  } catch (error) {
    if (error instanceof TypeError || error instanceof ReferenceError) throw error;
    outcomes.push(["unreadable"]);
  }
}
console.log(JSON.stringify(outcomes));
"#;

const LOUNGE: &str = r#"{"score":{"source":"klout"},
    "tiers":[{"id":"main","name":"Main lounge","when":{"attr":"score","op":"gte","value":40}}],
    "limits":[{"id":"house-day","scope":["perk"],"max":200,"window":{"calendar":"day"}}]}"#;

/// Papers, and the keys that they are held to.
#[derive(Clone)]
struct Case {
    what: String,
    receipt: String,
    proofs: Vec<String>,
    keys: String,
}

impl Case {
    fn outcome(&self) -> Vec<String> {
        let read = || {
            let receipt = Receipt::parse(&self.receipt).ok()?;
            let proofs = self.proofs.iter().map(|proof| Proof::parse(proof).ok()).collect::<Option<Vec<_>>>()?;
            Some((receipt, proofs, read_keys(&self.keys).ok()?))
        };
        let Some((receipt, proofs, keys)) = read() else { return vec!["unreadable".to_owned()] };
        let examined = examine(&receipt, &proofs, &keys);
        let steps = examined.steps.iter();
        let steps = steps.map(|step| format!("{} {}", step.step, json!(step.status).as_str().unwrap()));
        let names = std::iter::once("receipt").chain(std::iter::repeat("proof"));
        let unproven = names.zip(&examined.unproven);
        let unproven = unproven.flat_map(|(name, open)| open.iter().map(move |pointer| format!("{name}: {pointer}")));
        let mut unproven: Vec<String> = unproven.collect();
        unproven.sort_unstable();
        steps.chain(unproven).collect()
    }
}

/// The value with another digit or letter in the middle.
fn damaged(value: &Value) -> Value {
    match value {
        Value::String(text) => {
            let mut letters: Vec<char> = text.chars().collect();
            let at = letters.len() / 2;
            letters[at] = if letters[at] == '0' { '1' } else { '0' };
            json!(letters.into_iter().collect::<String>())
        }
        Value::Number(number) => json!(number.as_u64().unwrap() + 1),
        Value::Array(items) => json!(items[..items.len() - 1]),
        other => json!([other]),
    }
}

/// The same document with one member otherwise: each that is given, by its pointer.
fn variants(document: &Value, pointers: &[&str]) -> Vec<(String, String)> {
    let of = |pointer: &&str| {
        let mut changed = document.clone();
        let member = changed.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} in {document}"));
        *member = damaged(member);
        ((*pointer).to_owned(), changed.to_string())
    };
    pointers.iter().map(of).collect()
}

#[expect(clippy::too_many_lines, reason = "a list of cases")]
async fn cases(app: &TestApp) -> Vec<Case> {
    app.lounge(LOUNGE, "47").await;
    let (kiosk, auditor) = (app.kiosk().await, app.auditor(&app.cathay).await);
    let ask = async |who: &str| kiosk.post("/v1/checks", &json!({"perk": "sfo-lounge", "subject": who})).await.is(200);
    for nth in 0..5 {
        ask(&format!("twitter:before{nth}")).await;
    }
    let (answer, refused) = (ask("twitter:ada").await, ask("twitter:zoe").await);
    for nth in 0..6 {
        ask(&format!("twitter:after{nth}")).await;
    }
    let keys = app.anonymous().get("/.well-known/log-keys").await.into_text();
    let size = answer["receipt"]["checkpoint"].as_str().unwrap().lines().nth(1).unwrap().to_owned();
    let proof_of = async |answer: &Value, query: &str| {
        let check = answer["check"].as_str().unwrap();
        auditor.get(&format!("/v1/audit/events/{check}/proof{query}")).await.is(200)
    };
    let proof = proof_of(&answer, &format!("?size={size}")).await;
    let (newest, of_refused) = (proof_of(&answer, "").await, proof_of(&refused, "").await);
    let consistency = auditor.get(&format!("/v1/audit/consistency?from={size}")).await.is(200);
    let mut cases = Vec::new();
    let mut case = |what: String, receipt: &str, proofs: &[&str], keys: &str| {
        let proofs = proofs.iter().map(|&proof| proof.to_owned()).collect();
        cases.push(Case { what, receipt: receipt.to_owned(), proofs, keys: keys.to_owned() });
    };
    let texts =
        [&answer, &answer["receipt"], &proof, &newest, &consistency, &refused, &of_refused].map(Value::to_string);
    let [whole, bare, near, far, link, other, of_other] = texts.each_ref().map(String::as_str);
    for (what, receipt, proofs) in [
        ("signature alone", bare, vec![]),
        ("with its proof", bare, vec![near]),
        ("an answer alone", whole, vec![]),
        ("an answer with its proof", whole, vec![near]),
        ("to a later head", whole, vec![far]),
        ("to a later head, linked", whole, vec![far, link]),
        ("linked alone", bare, vec![link]),
        ("a refusal", other, vec![of_other, link]),
        ("of another event", whole, vec![of_other]),
        ("a proof as a receipt", near, vec![]),
        ("a receipt as a proof", bare, vec![bare]),
    ] {
        case(what.to_owned(), receipt, &proofs, &keys);
    }
    let members = [
        "/check",
        "/decision",
        "/perk",
        "/rule_version",
        "/tier",
        "/reasons",
        "/reasons/0/code",
        "/limits",
        "/limits/0/id",
        "/limits/0/remaining",
        "/limits/0/resets_at",
        "/grant",
        "/token",
        "/token_expires_at",
        "/next_eligible_at",
        "/receipt/log",
        "/receipt/index",
        "/receipt/leaf_hash",
        "/receipt/checkpoint",
    ];
    for (pointer, changed) in variants(&answer, &members) {
        case(format!("answer {pointer}"), &changed, &[far, link], &keys);
    }
    // Of these the event says nothing in the clear.
    for (pointer, name, value) in [
        ("", "extra", json!({"a/b": [1, {"c~d": null}]})),
        ("/reasons/0", "message", json!("Come in, all of you.")),
        ("/reasons/0", "wanted", json!({"at_least": 1})),
        ("/reasons/0", "short_by", json!(99)),
        ("", "score", json!({"value": 99, "source": "klout"})),
        // What is no list is not an empty one.
        ("", "limits", json!({"0": {"id": "house-day"}})),
        ("", "limits", Value::Null),
    ] {
        let mut changed = refused.clone();
        changed.pointer_mut(pointer).unwrap()[name] = value;
        case(format!("forged {name}"), &changed.to_string(), &[of_other, link], &keys);
    }
    for (what, forged) in [("kind", json!("inclusion")), ("whole", json!({})), ("held", json!(["/extra"]))] {
        let mut changed = newest.clone();
        changed[what] = forged;
        case(format!("proof with a {what}"), whole, &[&changed.to_string(), link], &keys);
    }
    for name in ["check", "decision", "reasons", "limits", "next_eligible_at", "token", "receipt"] {
        let mut changed = answer.clone();
        changed.as_object_mut().unwrap().remove(name);
        case(format!("answer without {name}"), &changed.to_string(), &[far, link], &keys);
    }
    let members = [
        "/event",
        "/log",
        "/index",
        "/leaf_hash",
        "/size",
        "/root",
        "/path",
        "/path/0",
        "/path/1",
        "/checkpoint",
        "/body",
    ];
    for (pointer, changed) in variants(&newest, &members) {
        case(format!("proof {pointer}"), whole, &[&changed, link], &keys);
    }
    for name in ["event", "log", "checkpoint", "body", "path", "leaf_hash"] {
        let mut changed = newest.clone();
        changed[name] = Value::Null;
        case(format!("proof without {name}"), whole, &[&changed.to_string(), link], &keys);
    }
    let members = [
        "/log",
        "/from",
        "/to",
        "/path",
        "/path/0",
        "/checkpoints",
        "/checkpoints/0/size",
        "/checkpoints/1/root",
        "/checkpoints/0/origin",
        "/checkpoints/1/checkpoint",
        "/checkpoints/0/log",
    ];
    for (pointer, changed) in variants(&consistency, &members) {
        case(format!("consistency {pointer}"), whole, &[far, &changed], &keys);
    }
    let note = answer["receipt"]["checkpoint"].as_str().unwrap();
    let root = note.lines().nth(2).unwrap();
    for (what, changed) in [
        ("size", note.replacen(&format!("\n{size}\n"), "\n7\n", 1)),
        ("plus", note.replacen(&format!("\n{size}\n"), &format!("\n+{size}\n"), 1)),
        ("root", note.replacen(root, &root.to_lowercase(), 1)),
        ("end", note.trim_end().to_owned()),
        ("dash", note.replacen('\u{2014}', "-", 1)),
        ("line", note.replacen("\n\n", "\nmore\n\n", 1)),
        ("control", note.replacen("\n\n", "\r\n\n", 1)),
        ("signatures", format!("{}\n", note.split_once("\n\n").unwrap().0)),
        ("stranger's signature beside", format!("{note}\u{2014} witness.example/w AAAAAAAAAAAAAAAA\n")),
        ("padding", note.trim_end().trim_end_matches('=').to_owned() + "\n"),
    ] {
        let mut receipt = answer["receipt"].clone();
        receipt["checkpoint"] = json!(changed);
        case(format!("note: {what}"), &receipt.to_string(), &[near], &keys);
    }
    let doubled = bare.replacen('{', r#"{"log":"cathay","#, 1);
    for (what, receipt) in [("doubled member", doubled.as_str()), ("no JSON", "{"), ("a list", "[]"), ("nothing", "")] {
        case(what.to_owned(), receipt, &[near], &keys);
    }
    let lines: Vec<String> = read_keys(&keys).unwrap().iter().map(ToString::to_string).collect();
    let own = lines.iter().find(|line| line.contains("/cathay+")).unwrap();
    let foreign = own.replacen("/cathay+", "/american+", 1);
    let another = lines.iter().find(|line| line.contains("/american+")).unwrap();
    for (what, keys) in [
        ("own key a line", own.as_str()),
        ("another log's", another),
        ("renamed", foreign.as_str()),
        ("none", ""),
        ("no key", "hello"),
        ("empty answer", "{\"keys\":[]}"),
        ("own and another's", &lines.join("\r\n")),
    ] {
        case(format!("keys: {what}"), whole, &[far, link], keys);
    }
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_says_of_each_receipt_what_the_server_says() {
    if find("node").is_none() {
        skip("receipts in the browser", "Node 20 or newer");
        return;
    }
    for app in TestApp::all().await {
        let cases = cases(&app).await;
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("verify.mjs"), MODULE).unwrap();
        std::fs::write(directory.path().join("run.mjs"), RUNNER).unwrap();
        let mut node = Command::new("node");
        node.current_dir(&directory).arg("run.mjs").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut node = node.spawn().unwrap();
        let papers = |case: &Case| json!({"receipt": case.receipt, "proofs": case.proofs, "keys": case.keys});
        let asked: Vec<Value> = cases.iter().map(papers).collect();
        node.stdin.take().unwrap().write_all(json!(asked).to_string().as_bytes()).unwrap();
        let output = node.wait_with_output().unwrap();
        assert!(output.status.success());
        let said: Vec<Vec<String>> = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(said.len(), cases.len());
        let mut seen = std::collections::BTreeSet::new();
        for (case, said) in cases.iter().zip(&said) {
            let outcome = case.outcome();
            if let Some(name) = case.what.strip_prefix("forged ") {
                let is_named = |line: &&String| line.starts_with("receipt: /") && line.contains(&format!("/{name}"));
                assert!(outcome.iter().any(|line| is_named(&line)), "{}: {outcome:?}", case.what);
            }
            assert_eq!(*said, outcome, "{}: {} {:?}", case.what, case.receipt, case.proofs);
            seen.extend(outcome);
        }
        // Every step was found good, and wrong.
        for step in ["signature", "index", "leaf", "consistency", "answer"] {
            assert!(seen.contains(&format!("{step} holds")), "{step} {seen:?}");
        }
        for step in ["signature", "index", "leaf", "consistency", "answer", "log"] {
            assert!(seen.contains(&format!("{step} fails")), "{step} {seen:?}");
        }
        assert!(seen.contains("unreadable") && seen.contains("leaf not_shown") && seen.contains("answer not_shown"));
    }
}

#[test]
fn the_browser_remembers_heads_and_whose_keys_they_are() {
    const RUNNER: &str = r#"
import { keep } from "./verify.mjs";
const kept = new Map();
globalThis.localStorage = { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value) };
const look = (size, root, signers, origin = "a.example/log") =>
  keep({ origin, size, root, signers }, [{ status: "holds" }]).map(({ step, status }) => `${step} ${status}`);
console.log(JSON.stringify([
  look(5, "r5", ["k1"]), look(5, "r5", ["k1"]), look(7, "r7", ["k1"]), look(7, "r7", ["k2"]), look(7, "r7", ["k2"]),
  look(5, "other", ["k1"]), look(5, "other", ["k9"], "b.example/log"),
]));
"#;
    if find("node").is_none() {
        skip("heads that a browser keeps", "Node 20 or newer");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("verify.mjs"), MODULE).unwrap();
    std::fs::write(directory.path().join("run.mjs"), RUNNER).unwrap();
    let output = Command::new("node").current_dir(&directory).arg("run.mjs").output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let (same, new_key) = ("anchor holds", "key not_shown");
    assert_eq!(said, json!([[], [same], [], [same, new_key], [same], ["anchor fails"], []]));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_script_the_server_says_so() {
    for app in TestApp::all().await {
        let papers = cases(&app).await;
        let mut browser = Browser::logged_in(&app, Role::Auditor, "ann@cathay.example").await;
        let page = browser.open("/console/verify").await.into_text();
        assert!(page.contains("/cathay+") && page.contains("verify.js"), "{page}");
        let token = browser.form_token().await;
        let mut send = async |case: &Case, keys: &str| {
            let proof = |nth: usize| case.proofs.get(nth).map_or("", String::as_str);
            let fields = [
                ("form_token", token.as_str()),
                ("receipt", &case.receipt),
                ("proof", proof(0)),
                ("consistency", proof(1)),
                ("keys", keys),
            ];
            browser.send("/console/verify", &fields).await
        };
        let of = |what: &str| papers.iter().find(|case| case.what == what).unwrap().clone();
        let good = send(&of("with its proof"), &of("with its proof").keys).await;
        assert!(good.status == 200 && good.text.contains("It holds, to the last member."), "{}", good.text);
        let partly = send(&of("to a later head"), &of("to a later head").keys).await;
        let text = words(&partly.text);
        assert!(text.contains("not all of it was shown") && text.contains("Not shown: consistency"), "{text}");
        let wrong = send(&of("proof /path/0"), &of("proof /path/0").keys).await;
        assert!(words(&wrong.text).contains("It does not hold: see leaf."), "{}", wrong.text);
        let hostile = Case { receipt: "<script>alert(1)</script>".to_owned(), ..of("with its proof") };
        let unread = send(&hostile, "<b>key</b>").await;
        assert_eq!(unread.status, 422);
        assert!(!unread.text.contains("<script>alert") && !unread.text.contains("<b>key"), "{}", unread.text);
        assert!(unread.text.contains("This can’t be verified"), "{}", unread.text);
    }
}
