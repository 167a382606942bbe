//! The state that the tables must hold, by the events.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::against::Against;
use super::checked::Checked;
use super::findings::{At, FindingPlace, Findings, Wrong};
use super::fingerprints::Fingerprints;
use super::logs::Logs;
use super::missing_events::Gaps;
use super::source::{Columns, Identity};
use super::tables::additions::Additions;
use super::tables::approvals::Approvals;
use super::tables::closures::Closures;
use super::tables::counters::Counters;
use super::tables::ends::late_reports::EndsSoFar;
use super::tables::ends::undone::Undoable;
use super::tables::gateway_keys::GatewayKeys;
use super::tables::grant_lifecycle::GrantLifecycles;
use super::tables::grants::Grants;
use super::tables::keys::Keys;
use super::tables::merchants::Owner;
use super::tables::overrides::Overrides;
use super::tables::parties::PartiesSoFar;
use super::tables::pruned::Pruned;
use super::tables::redemptions::{Redemptions, SINGLE};
use super::tables::referrals::Referrals;
use super::tables::rules::Rules;
use super::tables::scored::models::Models;
use super::tables::subjects::Subjects;
use crate::audit::reader::body::{Body, EndFacts, Facts, PerkFacts, Unreadable, read};
use crate::audit::reader::guests::{CorrectedFacts, CorrectionFacts};
use crate::database::{AnyConnection, DatabaseError};
use crate::ledger::cases::{contest, referral};
use crate::ledger::grants::{correction, ending};
use crate::ledger::write::{gateway_keys as gateway, redemption};
use crate::ledger::{occupancy, retention::pruning};
use crate::perks::closures;

/// Over all logs.
pub(crate) struct ExpectedState {
    pub fingerprints: Fingerprints,
    against: Against,
    /// The merchants that the operator's log knows.
    merchants: BTreeSet<String>,
    /// When the newest event of any log was.
    newest: Option<i64>,
}

/// The expected state of one log.
pub(crate) struct ExpectedLog<'a> {
    log: &'a Identity,
    books: &'a mut ExpectedState,
    owner: Owner,
    closures: Closures,
    pub(crate) overrides: Overrides,
    counters: Counters,
    ends: EndsSoFar,
    parties: PartiesSoFar,
    undoable: Undoable,
    rules: Rules,
    models: Models,
    approvals: Approvals,
    keys: Keys,
    gateway_keys: GatewayKeys,
    referrals: Referrals,
    additions: Additions,
    subjects: Subjects,
    pruned: Pruned,
    gaps: Gaps,
}

impl ExpectedState {
    /// To be held to the tables of a database, whose newest event was at `newest`.
    pub(crate) fn new(fingerprints: Fingerprints, newest: Option<i64>) -> Self {
        let against = Against::Tables {
            grants: Box::new(Grants::new(&fingerprints)),
            redemptions: Redemptions::new(&fingerprints),
        };
        Self { fingerprints, against, merchants: BTreeSet::new(), newest }
    }

    /// The expected state of an export.
    pub(crate) fn alone(fingerprints: Fingerprints) -> Self {
        let against = Against::Events(GrantLifecycles::new(fingerprints.clone()));
        Self { fingerprints, against, merchants: BTreeSet::new(), newest: None }
    }

    pub(crate) fn open<'a>(&'a mut self, log: &'a Identity) -> ExpectedLog<'a> {
        ExpectedLog {
            log,
            owner: Owner::default(),
            closures: Closures::default(),
            overrides: Overrides::new(self.fingerprints.clone()),
            counters: Counters::new(self.fingerprints.clone()),
            ends: EndsSoFar::new(self.fingerprints.clone()),
            parties: PartiesSoFar::new(self.fingerprints.clone()),
            undoable: Undoable::new(self.fingerprints.clone()),
            rules: Rules::default(),
            models: Models::default(),
            approvals: Approvals::default(),
            keys: Keys::default(),
            gateway_keys: GatewayKeys::default(),
            referrals: Referrals::default(),
            additions: Additions::default(),
            subjects: Subjects::new(self.fingerprints.clone()),
            pruned: Pruned::default(),
            gaps: Gaps::default(),
            books: self,
        }
    }

    /// Compares what belongs to all logs. `merchants` are the ids and slugs of the table.
    pub(crate) fn close(
        self,
        conn: &mut AnyConnection,
        logs: &Logs,
        merchants: &[(String, String)],
        checked: &mut Checked,
        findings: &mut Findings,
    ) -> Result<(), DatabaseError> {
        if let Against::Tables { grants, redemptions } = self.against {
            checked.grants = grants.close(conn, logs, findings)?;
            checked.redemptions = redemptions.close(conn, logs, findings)?;
        }
        let mut known = self.merchants;
        for (id, slug) in merchants {
            if !known.remove(id) {
                findings.add(FindingPlace::log(OPERATOR), Wrong::MerchantWithoutEvent { merchant: id.clone() });
            }
            match logs.find(id) {
                None => findings.add(FindingPlace::default(), Wrong::LogMissing { owner: format!("{slug} ({id})") }),
                Some(log) if log.name() != slug => {
                    findings.add(FindingPlace::log(log.name()), Wrong::LogOwner { name: slug.clone() });
                }
                Some(_) => {}
            }
        }
        for merchant in known {
            findings.add(FindingPlace::log(OPERATOR), Wrong::MerchantMissing { merchant });
        }
        Ok(())
    }
}

/// Guests who don't add up.
const MISCOUNTED: &str = "its guests don't add up";
/// The name of the operator's log.
pub(crate) const OPERATOR: &str = "operator";

impl ExpectedLog<'_> {
    /// Some events are not part of what was exported.
    pub(crate) const fn outside(&mut self) {
        self.gaps.outside();
    }

    /// An event whose body is pruned. `columns` is what a table says of it.
    pub(crate) fn record_pruned(&mut self, at: At<'_>, columns: Option<&Columns<'_>>, findings: &mut Findings) {
        let instant = columns.map(|columns| columns.at);
        self.pruned.record_pruned(at.index, instant);
        self.gaps.pruned(at.index, instant);
        match columns.map(|columns| (columns.kind, columns.about)) {
            Some((kind, about)) if !pruning::PRUNABLE.contains(&kind) => {
                findings.add(at, Wrong::BodyKept);
                match kind.split_once('.').map(|(of, _)| of) {
                    Some("rule" | "perk") => self.rules.record_pruned(about),
                    Some("key" | "clerk") => self.keys.record_pruned(about),
                    Some("place") => self.closures.record_pruned(about),
                    Some("approvals") => self.approvals.record_pruned(),
                    _ => {}
                }
            }
            Some((
                kind @ (referral::KIND | contest::OPENED | contest::UPHELD | contest::OVERTURNED | contest::CLOSED),
                check,
            )) => {
                self.referrals.record_pruned(check, kind);
            }
            Some((contest::ADDED, check)) => self.additions.record_pruned(check),
            Some((ending::FREED, grant)) => self.ends.used(grant),
            Some((
                kind @ (redemption::KIND
                | redemption::OFFLINE
                | correction::CORRECTED
                | ending::RELEASED
                | ending::VOIDED),
                grant,
            )) => {
                if redemption::is_redemption(kind) {
                    self.ends.used(grant);
                } else if kind == correction::CORRECTED {
                    self.parties.record_pruned(grant);
                } else {
                    self.ends.end(grant, kind);
                }
                if let Against::Tables { grants, redemptions } = &mut self.books.against {
                    redemptions.has_pruned |= redemption::is_redemption(kind);
                    grants.record_pruned(grant, kind);
                }
            }
            _ => {}
        }
    }

    /// Reads what an event says about a table; kinds that change none are passed over.
    pub(crate) fn take(&mut self, at: At<'_>, body: &Body<'_>, findings: &mut Findings) -> Result<(), Unreadable> {
        let merchant = self.log.merchant.as_deref();
        match &body.facts {
            Facts::Check(check) => {
                if (&*check.decision == "granted") != check.grant.is_some() {
                    findings.add(at, Wrong::Incoherent { reason: "a grant goes with `granted`, and only with it" });
                }
                if check.guests.is_some_and(|guests| !guests.is_coherent()) {
                    findings.add(at, Wrong::Incoherent { reason: MISCOUNTED });
                }
                self.rules.cited(at, body.at, check, self.gaps.is_part(), findings);
                self.counters.take(at, body.at, check, &self.gaps, findings);
                self.overrides.take(at, body, check, &self.gaps, findings);
                self.subjects.seen(at, body.at, &check.subject);
                self.referrals.asked(at, body, check, self.gaps.any(), findings);
                if let Some(grant) = &check.grant {
                    self.parties.granted(&grant.id, check);
                    self.undoable.given(body, grant);
                    match &mut self.books.against {
                        Against::Tables { grants, .. } => grants.take(merchant.unwrap_or_default(), body, check, grant),
                        Against::Events(lifecycles) => lifecycles.granted(at, check, findings),
                    }
                }
                Ok(())
            }
            Facts::Redeem(facts) => {
                // A token that may be spent often has a slot for each attempt.
                if *facts.slot != *SINGLE && *facts.slot != *facts.attempt_sha256 {
                    findings.add(at, Wrong::Incoherent { reason: "its slot is not that of its attempt" });
                }
                if let Some(reason) = self.ends.contradiction(body, facts, self.gaps.any()) {
                    findings.add(at, Wrong::Incoherent { reason });
                }
                if facts.redeemed_at.is_some() {
                    self.ends.used(&body.about);
                }
                self.undoable.taken(&body.about);
                self.counters.enter(&body.about, facts);
                match &mut self.books.against {
                    Against::Tables { redemptions, grants } => {
                        redemptions.take(merchant.unwrap_or_default(), body, facts);
                        grants.reported_late(&body.about, facts);
                    }
                    Against::Events(lifecycles) => {
                        lifecycles.redeemed(at, &body.about, facts, self.gaps.any(), findings);
                    }
                }
                Ok(())
            }
            Facts::Other(facts) => self.take_other(at, body, facts, findings),
        }
    }

    fn take_other(
        &mut self,
        at: At<'_>,
        body: &Body<'_>,
        facts: &RawValue,
        findings: &mut Findings,
    ) -> Result<(), Unreadable> {
        let about = &*body.about;
        match &*body.kind {
            correction::CORRECTED => {
                let facts: CorrectionFacts<'_> = read(facts)?;
                let corrected: CorrectedFacts = read(facts.corrected)?;
                let is_so = corrected
                    .guests
                    .is_none_or(|guests| guests.is_coherent() && guests.admitted.saturating_add(1) == corrected.party);
                if !is_so {
                    findings.add(at, Wrong::Incoherent { reason: MISCOUNTED });
                }
                let reason = self.parties.correct(about, &facts, &corrected, self.gaps.any());
                let after_end = self.ends.has_ended(about).then_some("its grant had ended");
                for reason in reason.into_iter().chain(after_end) {
                    findings.add(at, Wrong::Incoherent { reason });
                }
                self.counters.correct(at, about, &facts, &self.gaps, findings);
                match &mut self.books.against {
                    Against::Tables { grants, .. } => grants.correct(about, facts.corrected.get()),
                    Against::Events(lifecycles) => lifecycles.corrected(at, about, self.gaps.any(), findings),
                }
            }
            ending::RELEASED | ending::VOIDED | ending::FREED => {
                let facts: EndFacts<'_> = read(facts)?;
                let undone = self.undoable.contradiction(body, &facts, self.gaps.any());
                if let Some(reason) = undone.or(self.ends.wait(body, &facts, self.gaps.any())) {
                    findings.add(at, Wrong::Incoherent { reason });
                }
                if let Some(reason) = self.parties.give_back(about, &facts) {
                    findings.add(at, Wrong::Incoherent { reason });
                }
                self.counters.give_back(about, &facts);
                if *body.kind == *ending::FREED {
                    return Ok(());
                }
                self.ends.end(about, &body.kind);
                if let Against::Tables { grants, .. } = &mut self.books.against {
                    grants.end(about, *body.kind == *ending::VOIDED, facts.ended_at);
                }
            }
            occupancy::CORRECTED => self.counters.occupy(at, &read(facts)?, &self.gaps, findings),
            contest::OPENED => self.referrals.contested(at, body, &read(facts)?, findings),
            contest::ADDED => {
                let cases = (&mut self.referrals, self.gaps.any());
                self.additions.added(at, body, &read(facts)?, cases, findings);
            }
            referral::KIND | contest::UPHELD | contest::OVERTURNED | contest::CLOSED => {
                self.referrals.judged(at, body, &self.approvals, findings);
                self.referrals.decided(at, body, &read(facts)?, self.gaps.any(), findings);
            }
            kind if kind.starts_with("subject.") => self.subjects.take(at, body, facts, &self.gaps, findings)?,
            pruning::KIND => {
                let facts = read(facts)?;
                self.pruned.recorded(&facts);
                self.gaps.tell(body.at.0, &facts);
            }
            "perk.created" | "perk.renamed" | "perk.repurposed" => {
                self.rules.named(body, &read::<PerkFacts<'_>>(facts)?);
            }
            "perk.paused" | "perk.resumed" | "perk.retired" => self.rules.stands(body),
            closures::CLOSED | closures::OPENED => {
                self.closures.take(at, body, &read(facts)?, self.gaps.is_part(), findings);
            }
            kind if kind.starts_with("approvals.") => {
                self.approvals.changed(at, body, &read(facts)?, self.gaps.is_part(), findings);
            }
            kind if kind.starts_with("rule.") => {
                self.rules.take(at, body, &read(facts)?, &self.approvals, self.gaps.is_part(), findings);
            }
            "source.created" | "model.submitted" | "model.published" => {
                self.models.take(at, body, &read(facts)?, (&self.approvals, self.gaps.any()), findings);
            }
            "source.guard_changed" => self.models.guarded(&read(facts)?),
            "key.created" => {
                self.approvals.key_created(body);
                self.keys.created(body, read(facts)?);
            }
            "key.revoked" | "clerk.reset" | "device.confirmed" => {
                self.keys.take(at, body, facts, self.gaps.is_part(), findings)?;
            }
            kind if kind.starts_with("account.") => self.keys.of_account(body, facts)?,
            gateway::CREATED | gateway::ROTATED if self.log.merchant.is_none() => {
                self.gateway_keys.created(about, &read(facts)?);
            }
            gateway::REVOKED if self.log.merchant.is_none() => self.gateway_keys.revoked(about, &read(facts)?),
            "merchant.created" if self.log.merchant.is_none() => _ = self.books.merchants.insert(about.to_owned()),
            "merchant.created" => self.owner.created(&read(facts)?),
            "merchant.renamed" | "merchant.rezoned" => self.owner.changed(&read(facts)?),
            _ => {}
        }
        Ok(())
    }

    /// Adds findings for bodies that are pruned without a record, when exports have the whole log. Of a part of it,
    /// returns how many only the rest could account for.
    pub(crate) fn close_alone(&self, is_whole: bool, findings: &mut Findings) -> u64 {
        if is_whole && !self.gaps.is_part() {
            self.pruned.close(&self.log.name, findings);
            self.subjects.close_alone(&self.log.name, findings);
            return 0;
        }
        self.pruned.unaccounted()
    }

    /// Compares what belongs to this log's owner.
    pub(crate) fn close(
        self,
        conn: &mut AnyConnection,
        checked: &mut Checked,
        findings: &mut Findings,
    ) -> Result<(), DatabaseError> {
        let (name, merchant, gaps) = (self.log.name.as_str(), self.log.merchant.as_deref(), self.gaps);
        self.pruned.close(name, findings);
        let keys = self.keys.close(conn, name, merchant, findings)?;
        checked.keys += keys.rows;
        checked.unheld += keys.unheld;
        let Some(merchant) = merchant else { return self.gateway_keys.close(conn, name, findings) };
        self.owner.close(conn, name, merchant, findings)?;
        checked.unheld += self.approvals.close(conn, name, merchant, findings)?;
        let rules = self.rules.close(conn, name, merchant, findings)?;
        let referrals = self.referrals.close(conn, name, merchant, &gaps, findings)?;
        (checked.rules, checked.referrals) = (checked.rules + rules.rows, checked.referrals + referrals.rows);
        checked.unheld += rules.unheld + referrals.unheld;
        self.models.close(conn, name, merchant, gaps.is_part(), findings)?;
        self.closures.close(conn, name, merchant, gaps.is_part(), findings)?;
        self.overrides.close(conn, name, merchant, &gaps, findings)?;
        self.ends.close(conn, name, merchant, gaps.any(), findings)?;
        self.additions.close(conn, name, merchant, findings)?;
        checked.erased += self.subjects.close(conn, name, merchant, &gaps, findings)?;
        checked.counters += self.counters.close(conn, name, merchant, (&gaps, self.books.newest), findings)?;
        Ok(())
    }
}
