//! The offline examination of a receipt: what it proves, and what proofs that came later add to it.
//!
//! An examiner holds three things: what the gateway answered, the receipt in it, and proofs. The checkpoint's
//! signature binds the log, the proof binds the event's body to it, and the body binds the answer (`answer.rs`). Each
//! member of each file is either held to that, or said to be proven by nothing.

mod answer;
mod document;
mod keys;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::anchor::root_text;
use crate::ledger::events::leaf_hash;
use crate::ledger::origin;
use crate::tlog::merkle::{Hash, verify_consistency, verify_inclusion};
use crate::tlog::note::{Checkpoint, VerifierKey};
use document::{Consistency, Document, Fields, Inclusion, Kind};
pub use document::{Proof, Receipt};
pub use keys::read_keys;

/// The outcome for one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Holds,
    Fails,
    /// Nothing that was given says so, or otherwise.
    NotShown,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExaminationStep {
    /// Stable.
    pub step: &'static str,
    pub status: Status,
    pub detail: String,
}

/// All that was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Examined {
    pub steps: Vec<ExaminationStep>,
    /// Members that nothing proves, by their pointers (RFC 6901): of the receipt's file, and of each proof's.
    pub unproven: Vec<Vec<String>>,
}

impl Examined {
    /// True if nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.steps.iter().all(|step| step.status != Status::Fails)
    }

    /// True if everything was shown, too, to the last member.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.steps.iter().all(|step| step.status == Status::Holds) && self.unproven.iter().all(Vec::is_empty)
    }

    fn add(&mut self, step: &'static str, status: Status, detail: impl Into<String>) {
        self.steps.push(ExaminationStep { step, status, detail: detail.into() });
    }

    fn judge(&mut self, step: &'static str, verdict: Result<String, String>) -> bool {
        let is_sound = verdict.is_ok();
        match verdict {
            Ok(detail) => self.add(step, Status::Holds, detail),
            Err(detail) => self.add(step, Status::Fails, detail),
        }
        is_sound
    }
}

/// Heads of one log that are known to be signed.
struct Heads<'a> {
    trusted: &'a [VerifierKey],
    origin: String,
    /// The receipt's name for the log.
    log: &'a str,
    roots: BTreeMap<u64, Hash>,
}

impl Heads<'_> {
    /// Takes another one.
    fn open(&mut self, note: &str) -> Result<Checkpoint, String> {
        let signed = origin::open(note, self.trusted)
            .map_err(|error| format!("its checkpoint proves nothing: {}", origin::reason(error, note, self.trusted)))?;
        if signed.origin != self.origin {
            return Err(format!("its checkpoint is of `{}`, and the receipt's of `{}`", signed.origin, self.origin));
        }
        let known = *self.roots.entry(signed.size).or_insert(signed.root);
        if known == signed.root {
            Ok(signed)
        } else {
            Err(format!("two roots were signed for the size {}: the log was shown in two versions", signed.size))
        }
    }

    fn root(&self, size: u64) -> Result<&Hash, String> {
        self.roots.get(&size).ok_or_else(|| format!("no checkpoint of the size {size} came with it"))
    }

    fn is_of_log(&self, log: Option<&str>) -> Result<(), String> {
        match log.filter(|log| *log != self.log) {
            Some(log) => Err(format!("it is of the log of {log}, and the receipt of that of {}", self.log)),
            None => Ok(()),
        }
    }
}

/// Holds the receipt to its signature, the proofs to the receipt, and the answer to the event that they prove. Keys are
/// the caller's: none is taken from what is examined.
#[must_use]
pub fn examine(receipt: &Receipt, proofs: &[Proof], trusted: &[VerifierKey]) -> Examined {
    let (mut document, fields) = (receipt.document.clone(), &receipt.fields);
    let mut documents: Vec<Document> = proofs.iter().map(|proof| proof.document.clone()).collect();
    let mut out = Examined::default();
    let signed = match origin::open(&fields.checkpoint, trusted) {
        Ok(signed) => signed,
        Err(error) => {
            let why = origin::reason(error, &fields.checkpoint, trusted);
            out.add("signature", Status::Fails, format!("the receipt's checkpoint proves nothing: {why}"));
            return out;
        }
    };
    let own = signed.size;
    document.hold(receipt.prefix, &["checkpoint"]);
    out.add("signature", Status::Holds, format!("a trusted key signed `{}` up to size {own}", signed.origin));
    out.judge(
        "index",
        match fields.index {
            index if index < own => Ok(format!("the receipt's event is in that, at index {index}")),
            index => Err(format!("the receipt's index {index} is not in that")),
        },
    );
    let roots = BTreeMap::from([(own, signed.root)]);
    let mut heads = Heads { trusted, origin: signed.origin, log: &fields.log, roots };
    let (mut links, mut reached, mut body) = (Vec::new(), Vec::new(), None);
    for (proof, document) in proofs.iter().zip(&mut documents) {
        match &proof.kind {
            Kind::Inclusion(proof) => {
                let verdict = included(fields, proof, &mut heads).and_then(|detail| {
                    let read = body_of(proof)?;
                    Ok((detail, read))
                });
                let verdict = verdict.map(|(detail, read)| {
                    document.hold("", &["index", "leaf_hash", "size", "root", "path", "checkpoint"]);
                    if read.is_some() {
                        document.hold("", &["event", "body"]);
                    }
                    body = read.or(body.take());
                    detail
                });
                if out.judge("leaf", verdict) {
                    reached.push(proof.size);
                }
            }
            Kind::Consistency(proof) => {
                if out.judge("consistency", consistent(proof, &mut heads)) {
                    links.push((proof.from, proof.to));
                    document.hold("", &["from", "to", "path"]);
                    for nth in 0..proof.checkpoints.len() {
                        document.hold(&format!("/checkpoints/{nth}"), &["origin", "size", "root", "checkpoint"]);
                    }
                }
            }
        }
    }
    if reached.is_empty() {
        if !proofs.iter().any(|proof| matches!(proof.kind, Kind::Inclusion(_))) {
            let detail = "that the event stands there: give the answer of `/v1/audit/events/EVENT/proof` with --proof";
            out.add("leaf", Status::NotShown, detail);
        }
    } else {
        document.hold(receipt.prefix, &["index", "leaf_hash"]);
    }
    say_what_links(own, reached, &links, &mut out);
    let mut merchant = None;
    if !receipt.prefix.is_empty() {
        merchant = hold_answer(&mut document, body.as_ref(), &mut out);
    }
    match name_of(&heads.origin, merchant.as_deref()) {
        Some(name) if name == fields.log => {
            document.hold(receipt.prefix, &["log"]);
            for (proof, document) in proofs.iter().zip(&mut documents) {
                document.hold("", &["log"]);
                // Of another proof they are members that nobody looked at.
                let Kind::Consistency(proof) = &proof.kind else { continue };
                for nth in 0..proof.checkpoints.len() {
                    document.hold(&format!("/checkpoints/{nth}"), &["log"]);
                }
            }
        }
        Some(name) => {
            let detail =
                format!("what is signed is the log of {name}, and the receipt is said to be of that of {}", fields.log);
            out.add("log", Status::Fails, detail);
        }
        None => {}
    }
    out.unproven = std::iter::once(&document).chain(&documents).map(Document::unproven).collect();
    out
}

/// The log's name, if anything that is signed says it: an origin ends in it, unless an earlier build made the
/// log, and the claims of a token name its merchant.
fn name_of<'a>(origin: &'a str, merchant: Option<&'a str>) -> Option<&'a str> {
    origin::name_in(origin).or(merchant)
}

/// Sizes that proofs lead to, and that are not linked to the receipt's own.
fn say_what_links(own: u64, mut reached: Vec<u64>, links: &[(u64, u64)], out: &mut Examined) {
    reached.extend(links.iter().map(|(_, to)| *to));
    reached.sort_unstable();
    reached.dedup();
    for size in reached.into_iter().filter(|size| *size != own) {
        let (from, to) = (own.min(size), own.max(size));
        if !is_linked(from, to, links) {
            let detail = format!(
                "that the log of size {to} continues the one of size {from}: give the answer of `/v1/audit/consistency?from={from}&to={to}` with --proof"
            );
            out.add("consistency", Status::NotShown, detail);
        }
    }
}

/// Holds the answer to the event's body; returns the merchant that its token is of.
fn hold_answer(document: &mut Document, body: Option<&Value>, out: &mut Examined) -> Option<String> {
    let Some((body, answer)) = body.zip(document.whole.as_object()) else {
        let detail = "that the event says what the answer says: give the answer of `/v1/audit/events/EVENT/proof`, which \
                      holds the event's body unless it is pruned, with --proof";
        out.add("answer", Status::NotShown, detail);
        return None;
    };
    let compared = answer::compare(answer, body);
    document.held.extend(compared.held);
    out.judge(
        "answer",
        match compared.differing.as_slice() {
            [] => Ok("the answer is what the event says, but for what is listed as proven by nothing".to_owned()),
            differing => Err(format!("the answer is not what the event says in {}", differing.join(", "))),
        },
    );
    compared.merchant
}

fn included(receipt: &Fields, proof: &Inclusion, heads: &mut Heads<'_>) -> Result<String, String> {
    if (proof.index, proof.leaf_hash) != (receipt.index, receipt.leaf_hash) {
        return Err(format!("the proof is of another event than the receipt: index {}, another leaf", proof.index));
    }
    heads.is_of_log(proof.log.as_deref())?;
    if let Some(note) = &proof.checkpoint
        && heads.open(note)?.size != proof.size
    {
        return Err(format!("the proof's checkpoint is not of its size {}", proof.size));
    }
    let root = heads.root(proof.size)?;
    if *root != proof.root.0 {
        return Err(format!("the proof's root is not the signed one at size {}", proof.size));
    }
    let path: Vec<Hash> = proof.path.iter().map(|hash| hash.0).collect();
    if verify_inclusion(&receipt.leaf_hash.0, receipt.index, proof.size, &path, root) {
        Ok(format!("the event stands at index {} of the log signed at size {}", receipt.index, proof.size))
    } else {
        Err(format!("the path does not lead from the receipt's leaf to the signed root at size {}", proof.size))
    }
}

/// The body that came with a proof, once it is known to be the leaf's and the event's.
fn body_of(proof: &Inclusion) -> Result<Option<Value>, String> {
    let Some(text) = &proof.body else { return Ok(None) };
    if leaf_hash(text) != proof.leaf_hash.0 {
        return Err("the proof's body is not that of its leaf".to_owned());
    }
    let body: Value = serde_json::from_str(text).map_err(|e| format!("the proof's body is no event: {e}"))?;
    match proof.event.as_deref().filter(|event| answer::at(&body, "id") != event) {
        Some(event) => Err(format!("the proof is said to be of {event}, and its leaf is another event")),
        None => Ok(Some(body)),
    }
}

fn consistent(proof: &Consistency, heads: &mut Heads<'_>) -> Result<String, String> {
    heads.is_of_log(proof.log.as_deref())?;
    for it in &proof.checkpoints {
        let signed = heads.open(&it.checkpoint)?;
        heads.is_of_log(it.log.as_deref())?;
        let beside = [
            it.origin.as_ref().is_none_or(|origin| *origin == signed.origin),
            it.size.is_none_or(|size| size == signed.size),
            it.root.as_ref().is_none_or(|root| *root == root_text(&signed.root)),
        ];
        if beside.contains(&false) {
            return Err(format!("what stands beside the checkpoint of the size {} is not what it says", signed.size));
        }
    }
    let Consistency { from, to, .. } = *proof;
    let (old, new) = (heads.root(from)?, heads.root(to)?);
    let path: Vec<Hash> = proof.path.iter().map(|hash| hash.0).collect();
    if verify_consistency(from, old, to, new, &path) {
        Ok(format!("the log signed at size {to} continues the one signed at size {from}"))
    } else {
        Err(format!(
            "the log signed at size {to} does not continue the one signed at size {from}: the history was rewritten"
        ))
    }
}

/// Tells whether the proofs lead from one size to the other, one after another.
fn is_linked(from: u64, to: u64, links: &[(u64, u64)]) -> bool {
    let mut reached = vec![from];
    while let Some(at) = reached.pop() {
        if at == to {
            return true;
        }
        // Each step goes up, so it ends.
        reached.extend(links.iter().filter(|(old, new)| *old == at && *new > at && *new <= to).map(|(_, new)| *new));
    }
    false
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use serde_json::{Value, json};

    use super::*;
    use crate::foundation::subject::hex;
    use crate::tlog::merkle::{consistency_proof, inclusion_proof, leaf_hash, root_of};

    const INDEX: usize = 5;

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|nth| leaf_hash(&nth.to_be_bytes())).collect()
    }

    fn key() -> VerifierKey {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
        VerifierKey::new("perkgate-1", pair.public_key().as_ref().try_into().unwrap()).unwrap()
    }

    fn note(leaves: &[Hash]) -> String {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
        let checkpoint =
            Checkpoint { origin: "perkgate/log_1".into(), size: leaves.len() as u64, root: root_of(leaves) };
        checkpoint.sign(&key(), |text| pair.sign(text).as_ref().try_into().unwrap())
    }

    fn hexes(path: &[Hash]) -> Value {
        path.iter().map(|hash| hex(hash)).collect()
    }

    fn receipt(size: usize) -> Value {
        let all = leaves(40);
        json!({"log": "cathay", "index": INDEX, "leaf_hash": hex(&all[INDEX]), "checkpoint": note(&all[..size])})
    }

    fn inclusion(all: &[Hash]) -> Value {
        let path = hexes(&inclusion_proof(all, INDEX).unwrap());
        json!({"event": "evt_1", "log": "cathay", "index": INDEX, "leaf_hash": hex(&all[INDEX]), "size": all.len(),
               "root": BASE64.encode(root_of(all)), "path": path, "checkpoint": note(all)})
    }

    fn consistency(all: &[Hash], from: usize) -> Value {
        let notes = json!([{"checkpoint": note(&all[..from])}, {"checkpoint": note(all)}]);
        let path = hexes(&consistency_proof(all, from).unwrap());
        json!({"log": "cathay", "from": from, "to": all.len(), "path": path, "checkpoints": notes})
    }

    fn outcome(receipt: &Value, proofs: &[Value]) -> Vec<(&'static str, Status)> {
        let receipt = Receipt::parse(&receipt.to_string()).unwrap();
        let proofs: Vec<Proof> = proofs.iter().map(|proof| Proof::parse(&proof.to_string()).unwrap()).collect();
        let examined = examine(&receipt, &proofs, &[key()]);
        examined.steps.into_iter().map(|step| (step.step, step.status)).collect()
    }

    const SIGNED: [(&str, Status); 2] = [("signature", Status::Holds), ("index", Status::Holds)];

    fn and(more: &[(&'static str, Status)]) -> Vec<(&'static str, Status)> {
        SIGNED.iter().chain(more).copied().collect()
    }

    #[test]
    fn a_receipt_alone_is_signed_and_no_more() {
        assert_eq!(outcome(&receipt(7), &[]), and(&[("leaf", Status::NotShown)]));
        let answer = json!({"check": "chk_1", "receipt": receipt(7)});
        assert_eq!(outcome(&answer, &[]), and(&[("leaf", Status::NotShown), ("answer", Status::NotShown)]));
        let elsewhere = examine(&Receipt::parse(&receipt(7).to_string()).unwrap(), &[], &[]);
        assert!(!elsewhere.is_sound() && elsewhere.steps.len() == 1, "nobody is trusted: {elsewhere:?}");
    }

    #[test]
    fn a_later_tree_is_led_to_and_shown_to_extend_the_receipts() {
        let all = leaves(40);
        let (holds, leaf) = (("consistency", Status::Holds), ("leaf", Status::Holds));
        assert_eq!(outcome(&receipt(7), &[inclusion(&all[..7])]), and(&[leaf]), "in its own tree");
        let late = inclusion(&all);
        assert_eq!(outcome(&receipt(7), std::slice::from_ref(&late)), and(&[leaf, ("consistency", Status::NotShown)]));
        assert_eq!(outcome(&receipt(7), &[late.clone(), consistency(&all, 7)]), and(&[leaf, holds]));
        let in_steps = [consistency(&all[..20], 7), consistency(&all, 20), late];
        assert_eq!(outcome(&receipt(7), &in_steps), and(&[holds, holds, leaf]));
        let unlinked = [consistency(&all, 20), inclusion(&all)];
        assert_eq!(outcome(&receipt(7), &unlinked), and(&[holds, leaf, ("consistency", Status::NotShown)]));
        assert_eq!(outcome(&receipt(20), &[inclusion(&all[..7]), consistency(&all[..20], 7)]), and(&[leaf, holds]));
    }

    #[test]
    fn what_nothing_proves_is_named() {
        let named = |receipt: &Value, proofs: &[Value]| {
            let proofs: Vec<Proof> = proofs.iter().map(|proof| Proof::parse(&proof.to_string()).unwrap()).collect();
            examine(&Receipt::parse(&receipt.to_string()).unwrap(), &proofs, &[key()]).unproven
        };
        assert_eq!(named(&receipt(7), &[]), [["/index", "/leaf_hash", "/log"]]);
        let all = leaves(40);
        let proofs = [inclusion(&all[..7]), consistency(&all, 7)];
        assert_eq!(named(&receipt(7), &proofs), [vec!["/log"], vec!["/event", "/log"], vec!["/log"]]);
        let answer = json!({"check": "chk_1", "score": {"fresh": true}, "a/b~": [1, []], "receipt": receipt(7)});
        let all_of_it = ["/a~1b~0/0", "/a~1b~0/1", "/check", "/receipt/log", "/score/fresh"];
        assert_eq!(named(&answer, &proofs)[0], all_of_it);
    }

    #[test]
    fn a_member_that_stands_twice_is_refused() {
        let text = receipt(7).to_string().replacen('{', r#"{"index":9,"#, 1);
        assert!(Receipt::parse(&text).unwrap_err().contains("twice"));
        let text = inclusion(&leaves(7)).to_string().replacen('{', r#"{"size":9,"#, 1);
        assert!(Proof::parse(&text).unwrap_err().contains("twice"));
    }

    #[test]
    fn whatever_is_bent_fails() {
        let all = leaves(40);
        let (mut rewritten, other) = (all.clone(), leaf_hash(b"another"));
        rewritten[2] = other;
        let bend = |mut proof: Value, member: &str, to: Value| {
            assert_ne!(proof[member], to);
            proof[member] = to;
            proof
        };
        let fails = |proof: Value, step: &'static str| {
            let steps = outcome(&receipt(7), std::slice::from_ref(&proof));
            assert!(steps.contains(&(step, Status::Fails)), "{proof}: {steps:?}");
        };
        let proof = inclusion(&all);
        let mut path = proof["path"].clone();
        path[3] = json!(hex(&other));
        for (member, to) in [
            ("log", json!("united")),
            ("body", json!("{}")),
            ("index", json!(6)),
            ("leaf_hash", json!(hex(&other))),
            ("size", json!(39)),
            ("root", json!(BASE64.encode(other))),
            ("path", path),
            ("path", json!([])),
            ("checkpoint", json!(null)),
            ("checkpoint", json!(note(&all[..39]))),
            ("checkpoint", json!(note(&all).replace("log_1", "log_2"))),
            ("checkpoint", json!(note(&rewritten))),
        ] {
            fails(bend(proof.clone(), member, to), "leaf");
        }
        let proof = consistency(&all, 7);
        let mut path = proof["path"].clone();
        path[0] = json!(hex(&other));
        for (member, to) in [
            ("log", json!("united")),
            ("from", json!(6)),
            ("to", json!(41)),
            ("path", path),
            ("path", json!([])),
            ("checkpoints", json!([])),
            ("checkpoints", json!([{"checkpoint": note(&rewritten)}])),
            ("checkpoints", json!([{"checkpoint": note(&rewritten[..7])}])),
        ] {
            fails(bend(proof.clone(), member, to), "consistency");
        }
        fails(consistency(&rewritten, 7), "consistency");

        let mut beyond = receipt(7);
        beyond["index"] = json!(7);
        assert!(outcome(&beyond, &[]).contains(&("index", Status::Fails)));
        let forged = bend(receipt(7), "checkpoint", json!(note(&all).replace("\n40\n", "\n41\n")));
        assert_eq!(outcome(&forged, &[]), [("signature", Status::Fails)]);
    }

    #[test]
    fn what_is_no_receipt_and_no_proof_is_refused() {
        let with = |member: &str, to: Value| {
            let mut bad = receipt(7);
            bad[member] = to;
            bad.to_string()
        };
        for bad in ["", "{}", "[]", &with("leaf_hash", json!("0a")), &with("index", json!(-1))] {
            assert!(Receipt::parse(bad).is_err(), "{bad}");
        }
        for bad in ["", "{}", &receipt(7).to_string(), r#"{"from":1,"to":2,"path":["x"],"checkpoints":[]}"#] {
            assert!(Proof::parse(bad).is_err(), "{bad}");
        }
    }
}
