//! What the tables must hold, by the events.

use std::collections::BTreeSet;

use super::body::{ApprovalFacts, Body, CheckFacts, EndFacts, PerkFacts, RedeemFacts, Unreadable};
use super::counters::Counters;
use super::findings::{At, Findings, Place, Wrong};
use super::grants::Grants;
use super::keys::Keys;
use super::logs::{Log, Logs};
use super::pruned::Pruned;
use super::redemptions::Redemptions;
use super::referrals::Referrals;
use super::rules::Rules;
use super::subjects::Subjects;
use super::verify::Checked;
use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::{checks, erasure, pruning, redemptions, referrals, returns};

/// Over all logs.
pub(super) struct Books {
    grants: Grants,
    redemptions: Redemptions,
    /// The merchants that the operator's log knows.
    merchants: BTreeSet<String>,
    /// Whether the operator's log has pruned events.
    has_operator_gaps: bool,
}

/// Of one log.
pub(super) struct LogBooks<'a> {
    log: &'a Log,
    books: &'a mut Books,
    counters: Counters,
    rules: Rules,
    keys: Keys,
    referrals: Referrals,
    subjects: Subjects,
    pruned: Pruned,
    /// Whether the bodies of some events so far are pruned.
    has_gaps: bool,
}

impl Books {
    /// `key` is random.
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self {
            grants: Grants::new(key),
            redemptions: Redemptions::new(key),
            merchants: BTreeSet::new(),
            has_operator_gaps: false,
        }
    }

    pub(super) fn open<'a>(&'a mut self, log: &'a Log) -> LogBooks<'a> {
        LogBooks {
            log,
            books: self,
            counters: Counters::default(),
            rules: Rules::default(),
            keys: Keys::default(),
            referrals: Referrals::default(),
            subjects: Subjects::default(),
            pruned: Pruned::default(),
            has_gaps: false,
        }
    }

    /// Compares what belongs to all logs. `merchants` are the ids and slugs of the table.
    pub(super) fn close(
        self,
        conn: &mut AnyConnection,
        logs: &Logs,
        merchants: &[(String, String)],
        checked: &mut Checked,
        findings: &mut Findings,
    ) -> Result<(), DatabaseError> {
        checked.grants = self.grants.close(conn, logs, findings)?;
        checked.redemptions = self.redemptions.close(conn, logs, findings)?;
        let mut known = self.merchants;
        for (id, slug) in merchants {
            if !known.remove(id) && !self.has_operator_gaps {
                findings.add(Place::log(OPERATOR), Wrong::MerchantWithoutEvent { merchant: id.clone() });
            }
            match logs.find(id) {
                None => findings.add(Place::default(), Wrong::LogMissing { owner: format!("{slug} ({id})") }),
                Some(log) if log.name() != slug => {
                    findings.add(Place::log(log.name()), Wrong::LogOwner { name: slug.clone() });
                }
                Some(_) => {}
            }
        }
        for merchant in known {
            findings.add(Place::log(OPERATOR), Wrong::MerchantMissing { merchant });
        }
        Ok(())
    }
}

/// The name of the operator's log.
pub(super) const OPERATOR: &str = "operator";

impl LogBooks<'_> {
    /// An event whose body is pruned.
    pub(super) fn skip(&mut self, index: i64) {
        self.pruned.gone(index);
        self.counters.skip(index);
        self.has_gaps = true;
        self.books.grants.has_gaps = true;
    }

    /// Reads what an event says about a table. Kinds that change none are passed over.
    pub(super) fn take(&mut self, at: At<'_>, body: &Body<'_>, findings: &mut Findings) -> Result<(), Unreadable> {
        let about = &*body.about;
        let merchant = self.log.merchant();
        match &*body.kind {
            checks::KIND => {
                let check: CheckFacts<'_> = body.facts()?;
                if (&*check.decision == "granted") != check.grant.is_some() {
                    findings.add(at, Wrong::Incoherent { reason: "a grant goes with `granted`, and only with it" });
                }
                self.rules.cited(at, body.at, &check, self.has_gaps, findings);
                self.counters.take(at, &check, self.has_gaps, findings);
                self.subjects.seen(at, &check.subject);
                self.referrals.asked(body, &check);
                if let Some(grant) = &check.grant {
                    self.books.grants.take(merchant.unwrap_or_default(), body, &check, grant);
                }
            }
            redemptions::KIND => {
                let facts: RedeemFacts<'_> = body.facts()?;
                self.counters.enter(about, &facts);
                self.books.redemptions.take(at, merchant.unwrap_or_default(), body, &facts, findings);
            }
            returns::RELEASED | returns::VOIDED => {
                let facts: EndFacts<'_> = body.facts()?;
                self.counters.give_back(at, about, &facts);
                self.books.grants.end(about, *body.kind == *returns::VOIDED, facts.ended_at);
            }
            referrals::KIND => self.referrals.decided(at, body, &body.facts()?, self.has_gaps, findings),
            erasure::KIND => self.subjects.erased(at, &body.facts()?),
            pruning::KIND => self.pruned.recorded(&body.facts()?),
            "perk.created" | "perk.renamed" | "perk.repurposed" => {
                self.rules.named(about, &body.facts::<PerkFacts<'_>>()?);
            }
            "perk.paused" | "perk.resumed" | "perk.retired" => self.rules.stands(about, &body.kind),
            kind if kind.starts_with("approvals.") => {
                self.rules.requires(body.facts::<ApprovalFacts>()?.required);
            }
            kind if kind.starts_with("rule.") => {
                self.rules.take(at, kind, about, &body.facts()?, self.has_gaps, findings);
            }
            "key.created" => self.keys.created(about, body.facts()?),
            "key.revoked" => self.keys.revoked(about, body.facts()?),
            "merchant.created" if merchant.is_none() => {
                self.books.merchants.insert(about.to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    /// Compares what belongs to this log's owner.
    pub(super) fn close(
        self,
        conn: &mut AnyConnection,
        checked: &mut Checked,
        findings: &mut Findings,
    ) -> Result<(), DatabaseError> {
        let (name, merchant, has_gaps) = (self.log.name(), self.log.merchant(), self.has_gaps);
        self.pruned.close(name, findings);
        checked.keys += self.keys.close(conn, name, merchant, has_gaps, findings)?;
        match merchant {
            Some(merchant) => {
                checked.rules += self.rules.close(conn, name, merchant, has_gaps, findings)?;
                checked.referrals += self.referrals.close(conn, name, merchant, has_gaps, findings)?;
                checked.erased += self.subjects.close(conn, name, merchant, has_gaps, findings)?;
                checked.counters += self.counters.close(conn, name, merchant, has_gaps, findings)?;
            }
            None => self.books.has_operator_gaps = has_gaps,
        }
        Ok(())
    }
}
