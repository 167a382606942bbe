//! Limit counters against the events of one merchant: every `used` is a running count.

use std::collections::HashMap;

use aws_lc_rs::digest;

use super::body::{CheckFacts, LimitFacts};
use super::findings::{At, Findings, Place, Wrong};
use super::store;
use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::store::CounterRow;
use crate::perks::limit::is_across_perks;

/// What the events of one log make of its counters: 50 bytes for each, which is what bounds how
/// large a merchant can be verified in memory.
#[derive(Default)]
pub(super) struct Counters {
    counted: HashMap<u128, Counted>,
}

struct Counted {
    used: u64,
    /// The event that used it last.
    index: i64,
}

impl Counters {
    /// A check that touched limits. `has_gaps`: bodies before it are pruned, so a counter that is
    /// met for the first time may have been used before.
    pub(super) fn take(&mut self, at: At<'_>, check: &CheckFacts<'_>, has_gaps: bool, findings: &mut Findings) {
        let is_granted = &*check.decision == "granted";
        let mut has_refused = false;
        for limit in &check.limits {
            let cost = if is_granted { limit.cost } else { 0 };
            has_refused |= limit.used.saturating_add(limit.cost) > limit.max;
            if is_granted && limit.used > limit.max {
                let wrong = Wrong::Overrun { limit: limit.id.to_string(), used: limit.used, max: limit.max };
                findings.add(at, wrong);
            }
            let key = key_of(check, limit);
            let known = self.counted.get(&key).map(|counted| counted.used);
            let before = match known {
                None if has_gaps => limit.used.saturating_sub(cost),
                known => known.unwrap_or(0),
            };
            let counted = before.saturating_add(cost);
            if counted != limit.used {
                let wrong = Wrong::Used { limit: limit.id.to_string(), said: limit.used, counted };
                findings.add(at, wrong);
            }
            // Go on from what the event says: one that is missing is told once, not at every event after.
            if is_granted {
                self.counted.insert(key, Counted { used: limit.used, index: at.index });
            } else if let Some(counted) = self.counted.get_mut(&key) {
                counted.used = limit.used;
            }
        }
        if !is_granted && !check.limits.is_empty() && !has_refused {
            findings.add(at, Wrong::Incoherent { reason: "it was refused though every limit had room" });
        }
    }

    /// Compares with the merchant's counters; returns how many there are.
    pub(super) fn close(
        mut self,
        conn: &mut AnyConnection,
        log: &str,
        merchant: &str,
        has_gaps: bool,
        findings: &mut Findings,
    ) -> Result<u64, DatabaseError> {
        let mut rows = 0;
        let mut last: Option<CounterRow> = None;
        loop {
            let page = store::list_counters(conn, merchant, last.as_ref())?;
            for row in &page {
                rows += 1;
                let key = fingerprint(&[&row.perk_id, &row.limit_id, &row.scope_key, &row.window_key]);
                let counted = match self.counted.remove(&key) {
                    Some(counted) => counted.used,
                    None if has_gaps => continue,
                    None => 0,
                };
                if u64::try_from(row.used) != Ok(counted) {
                    let name = format!("{} {} {}", row.limit_id, row.scope_key, row.window_key);
                    findings.add(Place::log(log), Wrong::Counter { counter: name, stored: row.used, counted });
                }
            }
            if page.len() < store::PAGE {
                break;
            }
            last = page.into_iter().next_back();
        }
        let mut gone: Vec<_> = self.counted.into_values().filter(|counted| counted.used > 0).collect();
        gone.sort_unstable_by_key(|counted| counted.index);
        for Counted { used, index } in gone {
            findings.add(Place::index(log, index), Wrong::CounterMissing { counted: used });
        }
        Ok(rows)
    }
}

fn key_of(check: &CheckFacts<'_>, limit: &LimitFacts<'_>) -> u128 {
    let perk = if is_across_perks(&limit.scope) { "" } else { &*check.perk_id };
    fingerprint(&[perk, &limit.id, &limit.scope, &limit.window])
}

/// 128 bits of SHA-256: no two counters of a merchant share them, by accident or intent.
fn fingerprint(parts: &[&str]) -> u128 {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    for part in parts {
        bytes.extend_from_slice(part.as_bytes());
        bytes.push(0);
    }
    digest::digest(&digest::SHA256, &bytes)
        .as_ref()
        .iter()
        .take(16)
        .fold(0, |number, byte| number << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_shared_when_its_scope_names_the_merchant_and_no_perk() {
        for (scope, is_shared) in [
            ("/merchant/mer_1", true),
            ("/subject/sub_1/merchant/mer_1", true),
            ("/location//kiosk/perk/merchant/mer_1", true),
            ("/perk/merchant/mer_1", false),
            ("/subject/sub_1", false),
            ("/perk", false),
            ("/tier/merchant", false),
            ("/kiosk/a~1merchant~1b", false),
        ] {
            assert_eq!(is_across_perks(scope), is_shared, "{scope}");
        }
    }

    fn check(decision: &str, cost: u64, used: u64) -> String {
        format!(
            r#"{{"perk":"p","perk_id":"prk_1","rule_version":1,"rule_hash":"h","decision":"{decision}","tier":null,"subject":"sub_1",
            "limits":[{{"id":"day","scope":"/perk","window":"w","cost":{cost},"max":3,"used":{used}}}],"grant":null}}"#
        )
    }

    fn codes(events: &[(&str, u64, u64)], has_gaps: bool) -> Vec<(i64, &'static str)> {
        let (mut counters, mut findings) = (Counters::default(), Findings::default());
        for (index, (decision, cost, used)) in (0..).zip(events) {
            let text = check(decision, *cost, *used);
            counters.take(
                At { log: "a", index, event: "" },
                &serde_json::from_str(&text).unwrap(),
                has_gaps,
                &mut findings,
            );
        }
        findings.listed().iter().map(|it| (it.place.index.unwrap(), it.wrong.code())).collect()
    }

    #[test]
    fn used_runs_on_from_event_to_event() {
        let good = [("granted", 1, 1), ("granted", 2, 3), ("denied", 1, 3), ("denied", 2, 3)];
        assert_eq!(codes(&good, false), []);
        assert_eq!(codes(&[("granted", 1, 2), ("granted", 1, 3)], false), [(0, "used_mismatch")]);
        assert_eq!(codes(&[("granted", 1, 2), ("granted", 1, 3)], true), []);
        assert_eq!(codes(&[("granted", 1, 1), ("granted", 1, 1)], true), [(1, "used_mismatch")]);
        assert_eq!(codes(&[("granted", 3, 3), ("granted", 1, 4)], false), [(1, "limit_overrun")]);
        assert_eq!(codes(&[("granted", 1, 1), ("denied", 1, 1)], false), [(1, "event_incoherent")]);
        assert_eq!(codes(&[("granted", 1, 1), ("denied", 1, 3)], false), [(1, "used_mismatch")]);
    }
}
