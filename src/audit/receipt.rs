//! What a receipt proves offline, and what proofs that came later add to it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::anchor::parse_hex;
use crate::ledger::merkle::{Hash, verify_consistency, verify_inclusion};
use crate::ledger::note::VerifierKey;
use crate::ledger::origin;

/// A hash as receipts and proofs write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct HexHash(Hash);

/// A root as checkpoints write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Root(Hash);

impl TryFrom<String> for HexHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        parse_hex(&text).map(Self).ok_or("a hash is 64 hexadecimal digits")
    }
}

impl TryFrom<String> for Root {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let bytes = BASE64.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("a root is the base64 of 32 bytes")
    }
}

/// Where in which log a decision stands, as the check's answer said.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Receipt {
    pub log: String,
    pub index: u64,
    leaf_hash: HexHash,
    checkpoint: String,
}

/// The answer of a check, which holds its receipt.
#[derive(Deserialize)]
struct Answer {
    receipt: Receipt,
}

/// What the gateway answered when it was asked for a proof.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Proof {
    Inclusion(Inclusion),
    Consistency(Consistency),
}

/// `GET /v1/audit/events/{event}/proof`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Inclusion {
    index: u64,
    leaf_hash: HexHash,
    size: u64,
    root: Root,
    path: Vec<HexHash>,
    checkpoint: Option<String>,
}

/// `GET /v1/audit/consistency`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Consistency {
    from: u64,
    to: u64,
    path: Vec<HexHash>,
    checkpoints: Vec<Signed>,
}

/// A checkpoint in a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Signed {
    checkpoint: String,
}

impl Receipt {
    /// Reads a receipt's JSON, alone or inside the answer it came with.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        match serde_json::from_str::<Answer>(text) {
            Ok(answer) => Ok(answer.receipt),
            Err(_) => serde_json::from_str(text).map_err(|e| format!("it is no receipt and no answer of a check: {e}")),
        }
    }
}

impl Proof {
    /// Reads the answer of either endpoint.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|_| {
            "it is neither an answer of `/v1/audit/events/…/proof` nor of `/v1/audit/consistency`".to_owned()
        })
    }
}

/// How one thing came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Holds,
    Fails,
    /// Nothing that was given says so, or otherwise.
    NotShown,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Stable.
    pub step: &'static str,
    pub state: State,
    pub detail: String,
}

/// All that was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Examined {
    pub steps: Vec<Step>,
}

impl Examined {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.steps.iter().all(|step| step.state != State::Fails)
    }

    /// Whether everything was shown, too.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.steps.iter().all(|step| step.state == State::Holds)
    }

    fn add(&mut self, step: &'static str, state: State, detail: impl Into<String>) {
        self.steps.push(Step { step, state, detail: detail.into() });
    }

    fn judge(&mut self, step: &'static str, verdict: Result<String, String>) {
        match verdict {
            Ok(detail) => self.add(step, State::Holds, detail),
            Err(detail) => self.add(step, State::Fails, detail),
        }
    }
}

/// Heads of one log that are known to be signed.
struct Heads<'a> {
    trusted: &'a [VerifierKey],
    origin: String,
    roots: BTreeMap<u64, Hash>,
}

impl Heads<'_> {
    /// Takes another one.
    fn open(&mut self, note: &str) -> Result<u64, String> {
        let signed = origin::open(note, self.trusted).map_err(|e| format!("its checkpoint proves nothing: {e}"))?;
        if signed.origin != self.origin {
            return Err(format!("its checkpoint is of `{}`, and the receipt's of `{}`", signed.origin, self.origin));
        }
        let known = *self.roots.entry(signed.size).or_insert(signed.root);
        if known == signed.root {
            Ok(signed.size)
        } else {
            Err(format!("two roots were signed for the size {}: the log was shown in two versions", signed.size))
        }
    }

    fn root(&self, size: u64) -> Result<&Hash, String> {
        self.roots.get(&size).ok_or_else(|| format!("no checkpoint of the size {size} came with it"))
    }
}

/// Holds the receipt to its signature, and the proofs to the receipt. Keys are the caller's: none is
/// taken from what is examined.
#[must_use]
pub fn examine(receipt: &Receipt, proofs: &[Proof], trusted: &[VerifierKey]) -> Examined {
    let mut out = Examined::default();
    let signed = match origin::open(&receipt.checkpoint, trusted) {
        Ok(signed) => signed,
        Err(error) => {
            out.add("signature", State::Fails, format!("the receipt's checkpoint proves nothing: {error}"));
            return out;
        }
    };
    let own = signed.size;
    out.add("signature", State::Holds, format!("a trusted key signed the first {own} events of `{}`", signed.origin));
    out.judge(
        "index",
        match receipt.index {
            index if index < own => Ok(format!("the receipt's event is one of them, at index {index}")),
            index => Err(format!("the receipt's index {index} is not one of them")),
        },
    );
    let mut heads = Heads { trusted, origin: signed.origin, roots: BTreeMap::from([(own, signed.root)]) };
    let mut links = Vec::new();
    let mut reached = Vec::new();
    for proof in proofs {
        match proof {
            Proof::Inclusion(proof) => {
                let verdict = included(receipt, proof, &mut heads);
                if verdict.is_ok() {
                    reached.push(proof.size);
                }
                out.judge("leaf", verdict);
            }
            Proof::Consistency(proof) => {
                let verdict = consistent(proof, &mut heads);
                if verdict.is_ok() {
                    links.push((proof.from, proof.to));
                }
                out.judge("consistency", verdict);
            }
        }
    }
    let asked_for = |wanted: fn(&Proof) -> bool| proofs.iter().any(wanted);
    if !asked_for(|proof| matches!(proof, Proof::Inclusion(_))) {
        let detail = "that the event stands there: give the answer of `/v1/audit/events/EVENT/proof` with --proof";
        out.add("leaf", State::NotShown, detail);
    }
    reached.extend(links.iter().map(|(_, to)| *to));
    reached.sort_unstable();
    reached.dedup();
    for size in reached.into_iter().filter(|size| *size != own) {
        let (from, to) = (own.min(size), own.max(size));
        if !is_linked(from, to, &links) {
            let detail = format!(
                "that {to} events begin with the same {from}: give the answer of `/v1/audit/consistency?from={from}&to={to}` with --proof"
            );
            out.add("consistency", State::NotShown, detail);
        }
    }
    out
}

fn included(receipt: &Receipt, proof: &Inclusion, heads: &mut Heads<'_>) -> Result<String, String> {
    if (proof.index, proof.leaf_hash) != (receipt.index, receipt.leaf_hash) {
        return Err(format!("the proof is of another event than the receipt: index {}, another leaf", proof.index));
    }
    if let Some(note) = &proof.checkpoint
        && heads.open(note)? != proof.size
    {
        return Err(format!("the proof's checkpoint is not of its size {}", proof.size));
    }
    let root = heads.root(proof.size)?;
    if *root != proof.root.0 {
        return Err(format!("the proof's root is not the signed one at size {}", proof.size));
    }
    let path: Vec<Hash> = proof.path.iter().map(|hash| hash.0).collect();
    if verify_inclusion(&receipt.leaf_hash.0, receipt.index, proof.size, &path, root) {
        Ok(format!("the event stands at index {} of {} signed events", receipt.index, proof.size))
    } else {
        Err(format!("the path does not lead from the receipt's leaf to the signed root at size {}", proof.size))
    }
}

fn consistent(proof: &Consistency, heads: &mut Heads<'_>) -> Result<String, String> {
    for signed in &proof.checkpoints {
        heads.open(&signed.checkpoint)?;
    }
    let Consistency { from, to, .. } = *proof;
    let (old, new) = (heads.root(from)?, heads.root(to)?);
    let path: Vec<Hash> = proof.path.iter().map(|hash| hash.0).collect();
    if verify_consistency(from, old, to, new, &path) {
        Ok(format!("the {to} signed events begin with the {from} signed before"))
    } else {
        Err(format!("the {to} signed events do not begin with the {from} signed before: the history was rewritten"))
    }
}

/// Whether the proofs lead from one size to the other, one after another.
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
    use serde_json::{Value, json};

    use super::*;
    use crate::ledger::merkle::{consistency_proof, inclusion_proof, leaf_hash, root_of};
    use crate::ledger::note::Checkpoint;
    use crate::subject::hex;

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

    fn outcome(receipt: &Value, proofs: &[Value]) -> Vec<(&'static str, State)> {
        let receipt = Receipt::parse(&receipt.to_string()).unwrap();
        let proofs: Vec<Proof> = proofs.iter().map(|proof| Proof::parse(&proof.to_string()).unwrap()).collect();
        let examined = examine(&receipt, &proofs, &[key()]);
        examined.steps.into_iter().map(|step| (step.step, step.state)).collect()
    }

    const SIGNED: [(&str, State); 2] = [("signature", State::Holds), ("index", State::Holds)];

    fn and(more: &[(&'static str, State)]) -> Vec<(&'static str, State)> {
        SIGNED.iter().chain(more).copied().collect()
    }

    #[test]
    fn a_receipt_alone_is_signed_and_no_more() {
        assert_eq!(outcome(&receipt(7), &[]), and(&[("leaf", State::NotShown)]));
        let answer = json!({"check": "chk_1", "receipt": receipt(7)});
        assert_eq!(outcome(&answer, &[]), and(&[("leaf", State::NotShown)]));
        let elsewhere = examine(&Receipt::parse(&receipt(7).to_string()).unwrap(), &[], &[]);
        assert!(!elsewhere.is_sound() && elsewhere.steps.len() == 1, "nobody is trusted: {elsewhere:?}");
    }

    #[test]
    fn a_later_tree_is_led_to_and_shown_to_extend_the_receipts() {
        let all = leaves(40);
        let (holds, leaf) = (("consistency", State::Holds), ("leaf", State::Holds));
        assert_eq!(outcome(&receipt(7), &[inclusion(&all[..7])]), and(&[leaf]), "in its own tree");
        let late = inclusion(&all);
        assert_eq!(outcome(&receipt(7), std::slice::from_ref(&late)), and(&[leaf, ("consistency", State::NotShown)]));
        assert_eq!(outcome(&receipt(7), &[late.clone(), consistency(&all, 7)]), and(&[leaf, holds]));
        let in_steps = [consistency(&all[..20], 7), consistency(&all, 20), late];
        assert_eq!(outcome(&receipt(7), &in_steps), and(&[holds, holds, leaf]));
        let unlinked = [consistency(&all, 20), inclusion(&all)];
        assert_eq!(outcome(&receipt(7), &unlinked), and(&[holds, leaf, ("consistency", State::NotShown)]));
        assert_eq!(outcome(&receipt(20), &[inclusion(&all[..7]), consistency(&all[..20], 7)]), and(&[leaf, holds]));
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
            assert!(steps.contains(&(step, State::Fails)), "{proof}: {steps:?}");
        };
        let proof = inclusion(&all);
        let mut path = proof["path"].clone();
        path[3] = json!(hex(&other));
        for (member, to) in [
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
        assert!(outcome(&beyond, &[]).contains(&("index", State::Fails)));
        let forged = bend(receipt(7), "checkpoint", json!(note(&all).replace("\n40\n", "\n41\n")));
        assert_eq!(outcome(&forged, &[]), [("signature", State::Fails)]);
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
