//! What is asked: each scenario with its perk, its bodies and the servers that it goes to.

use super::TIER;

/// The number of questions in the body of a batch.
pub(crate) const BATCH: usize = 20;

/// The same rule granting everybody, granting within limits that nobody reaches, and granting nobody.
pub(crate) const PERKS: [(&str, &str, &str); 3] = [
    ("open", "40", ""),
    (
        "limited",
        "40",
        r#","limits":[{"id":"person-day","scope":["subject"],"max":1000000,"window":{"calendar":"day"}},
            {"id":"house-day","scope":["perk"],"max":1000000000,"window":{"calendar":"day"}}]"#,
    ),
    ("closed", "90", ""),
];

/// A rule as `PERKS` has it.
pub(crate) fn rule(at_least: &str, more: &str) -> String {
    format!(
        r#"{{"score":{{"source":"klout"}},
            "tiers":[{{"id":"{TIER}","rank":1,"name":"Main lounge","when":{{"attr":"score","op":"gte","value":{at_least}}}}}]{more}}}"#
    )
}

/// One kind of load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    pub name: &'static str,
    pub perk: &'static str,
    pub kind: Kind,
    pub connections: usize,
    pub replicas: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Check,
    /// Each request has an `Idempotency-Key` of its own, as every kiosk sends one.
    KeyedCheck,
    Batch,
    /// Spends a token that was issued before the round.
    Redeem,
}

impl Scenario {
    const fn new(name: &'static str, perk: &'static str, kind: Kind) -> Self {
        Self { name, perk, kind, connections: 64, replicas: 1 }
    }
}

impl Kind {
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Check | Self::KeyedCheck => "/v1/checks",
            Self::Batch => "/v1/checks/batch",
            Self::Redeem => "/v1/tokens/redeem",
        }
    }

    /// The number of decisions, or of redemptions, that one request is answered with.
    pub(crate) const fn per_request(self) -> usize {
        if matches!(self, Self::Batch) { BATCH } else { 1 }
    }
}

/// Every scenario, the plain one first.
pub(crate) const SCENARIOS: [Scenario; 8] = [
    Scenario::new("granted", "open", Kind::Check),
    Scenario { connections: 256, ..Scenario::new("granted, 256 connections", "open", Kind::Check) },
    Scenario { replicas: 2, ..Scenario::new("granted, two replicas", "open", Kind::Check) },
    Scenario::new("granted, Idempotency-Key", "open", Kind::KeyedCheck),
    Scenario::new("granted, two limits", "limited", Kind::Check),
    Scenario::new("granted, batches of 20", "open", Kind::Batch),
    Scenario::new("denied", "closed", Kind::Check),
    Scenario::new("redeemed", "open", Kind::Redeem),
];

/// The bodies of a scenario's requests about so many people, sent in turn.
pub(crate) fn bodies(scenario: &Scenario, people: usize) -> Vec<String> {
    let check = |nth: usize| format!(r#"{{"perk":"{}","subject":"{}"}}"#, scenario.perk, subject(nth));
    match scenario.kind {
        Kind::Check | Kind::KeyedCheck => (0..people).map(check).collect(),
        Kind::Batch => {
            let batch = |nth: usize| (nth * BATCH..(nth + 1) * BATCH).map(check).collect::<Vec<_>>().join(",");
            (0..people / BATCH).map(|nth| format!(r#"{{"checks":[{}]}}"#, batch(nth))).collect()
        }
        Kind::Redeem => Vec::new(),
    }
}

/// The body that spends a token. The attempt is the end of its signature: as good as any name for it.
pub(crate) fn redemption(token: &str) -> String {
    let attempt = &token[token.len() - 20..];
    format!(r#"{{"token":"{token}","door":"A1","attempt":"{attempt}"}}"#)
}

pub(crate) fn subject(nth: usize) -> String {
    format!("twitter:person{nth}")
}
