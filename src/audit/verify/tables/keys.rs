//! API keys against the events of one log.

use std::collections::BTreeMap;

use super::approvals::SignedStep;
use super::rules::Compared;
use serde_json::value::RawValue;

use crate::audit::reader::body::{Body, KeyFacts, Unreadable, read};
use crate::audit::verify::findings::{At, FindingPlace, Findings, Wrong};

use crate::access::accounts::subject::subject_hash;
use crate::audit::verify::store::{self, ConfirmedDevice, KeyRow};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::subject::hex;
use crate::ledger::events::access::{
    AccountLinked, AccountNamed, AccountReset, AccountRoleChanged, ClerkReset, DeviceConfirmed,
};

/// The role of clerks' keys.
const CLERK: &str = "desk";

/// The keys of one log's owner as its events have them.
#[derive(Default)]
pub(crate) struct Keys {
    known: BTreeMap<String, Known>,
}

struct Known {
    facts: KeyFacts,
    /// None where the event is not here.
    created: Option<SignedStep>,
    revoked: Option<SignedStep>,
    /// The account that acts under it is kept from logging in.
    is_suspended: bool,
    /// The hash of the subject that its account is linked to.
    subject: Option<String>,
    /// How often its clerk was given another PIN; none where nobody reset it.
    new_pins: Option<i32>,
    /// The browser that acts under it: since when, the hash of what it holds, and the perk that it is for.
    device: Option<(SignedStep, String, Option<String>)>,
    /// The body of an event about it is pruned.
    has_pruned: bool,
}

impl Keys {
    pub(crate) fn created(&mut self, body: &Body<'_>, facts: KeyFacts) {
        let known = Known { created: Some(SignedStep::of(body)), ..Known::of(facts) };
        self.known.insert(body.about.to_string(), known);
    }

    /// Follows what became of a key, of a clerk's and of a device's.
    pub(crate) fn take(
        &mut self,
        at: At<'_>,
        body: &Body<'_>,
        facts: &RawValue,
        is_part: bool,
        findings: &mut Findings,
    ) -> Result<(), Unreadable> {
        match &*body.kind {
            "key.revoked" => self.revoked(body, read(facts)?),
            "clerk.reset" => self.of_clerk(at, body, &read(facts)?, is_part, findings),
            _ => self.of_device(at, body, &read(facts)?, is_part, findings),
        }
        Ok(())
    }

    /// Follows the confirmation of a device, which comes once, and before it is signed off.
    fn of_device(
        &mut self,
        at: At<'_>,
        body: &Body<'_>,
        facts: &DeviceConfirmed<'_>,
        is_part: bool,
        findings: &mut Findings,
    ) {
        match self.known.get_mut(&*body.about) {
            Some(known) if known.revoked.is_none() && known.device.is_none() => {
                let perk = facts.perk.as_ref().map(ToString::to_string);
                known.device = Some((SignedStep::of(body), facts.secret_sha256.to_string(), perk));
            }
            None if is_part => {}
            _ => findings.add(at, Wrong::Incoherent { reason: "it confirms a device whose key isn't there" }),
        }
    }

    /// `facts` are those it was created with; its creation may lie outside of what was exported.
    fn revoked(&mut self, body: &Body<'_>, facts: KeyFacts) {
        let known = self.known.entry(body.about.to_string()).or_insert_with(|| Known::of(facts));
        known.revoked = Some(SignedStep::of(body));
    }

    /// Follows a reset of a clerk. Of a part of a log the clerk's beginning may not be there.
    fn of_clerk(&mut self, at: At<'_>, body: &Body<'_>, facts: &ClerkReset, is_part: bool, findings: &mut Findings) {
        match self.known.get_mut(&*body.about) {
            Some(known) if known.facts.role == CLERK && known.revoked.is_none() => {
                let before = known.new_pins.unwrap_or_default();
                known.new_pins = Some(before.saturating_add(facts.has_new_pin.into()));
            }
            None if is_part => {}
            _ => findings.add(at, Wrong::Incoherent { reason: "it resets a clerk whose key isn't there" }),
        }
    }

    /// Follows an event about the account that acts under a key.
    pub(crate) fn of_account(&mut self, body: &Body<'_>, facts: &RawValue) -> Result<(), Unreadable> {
        let known = self.known.get_mut(&*body.about);
        match &*body.kind {
            "account.role_changed" => {
                let AccountRoleChanged { role, .. } = read(facts)?;
                if let Some(known) = known {
                    known.facts.role = role.to_string();
                }
            }
            "account.reset" => _ = read::<AccountReset>(facts)?,
            "account.linked" => {
                let AccountLinked { subject_sha256, .. } = read(facts)?;
                if let Some(known) = known {
                    known.subject = Some(subject_sha256.to_string());
                }
            }
            kind => {
                let _: AccountNamed<'_> = read(facts)?;
                if let Some(known) = known {
                    known.is_suspended =
                        kind == "account.suspended" || (known.is_suspended && kind != "account.restored");
                    if kind == "account.unlinked" {
                        known.subject = None;
                    }
                }
            }
        }
        Ok(())
    }

    /// The body of an event about the key is pruned.
    pub(crate) fn record_pruned(&mut self, key: &str) {
        if let Some(known) = self.known.get_mut(key) {
            known.has_pruned = true;
        }
    }

    /// Compares with the owner's keys; returns how many there are.
    pub(crate) fn close(
        mut self,
        conn: &mut AnyConnection,
        log: &str,
        merchant: Option<&str>,
        findings: &mut Findings,
    ) -> Result<Compared, DatabaseError> {
        let (mut compared, mut last) = (Compared::default(), String::new());
        loop {
            let page = store::list_keys(conn, merchant, &last)?;
            let accounts = store::list_suspensions(conn, page.iter().map(|row| row.id.as_str()))?;
            let subjects = store::list_linked(conn, page.iter().map(|row| row.id.as_str()))?;
            let pins = store::list_pins(conn, page.iter().map(|row| row.id.as_str()))?;
            let devices = store::list_devices(conn, page.iter().map(|row| row.id.as_str()))?;
            for row in &page {
                compared.rows += 1;
                match self.known.remove(&row.id) {
                    Some(known) => {
                        compared.unheld += u64::from(known.is_unheld());
                        let of_account = accounts.get(&row.id).copied();
                        let is_so = known.has_pruned || of_account.is_none_or(|is| is == known.is_suspended);
                        let suspension = (!is_so).then_some("suspension");
                        let pin = (!known.has_pin(pins.get(&row.id).copied())).then_some("PIN");
                        let device = (!known.has_device(devices.get(&row.id))).then_some("device");
                        let subject = (!known.has_subject(subjects.get(&row.id))).then_some("subject");
                        for part in known.differences(row).chain(suspension).chain(subject).chain(pin).chain(device) {
                            findings.add(FindingPlace::log(log), Wrong::Key { key: row.id.clone(), part });
                        }
                    }
                    None => findings.add(FindingPlace::log(log), Wrong::KeyWithoutEvent { key: row.id.clone() }),
                }
            }
            if page.len() < store::PAGE {
                break;
            }
            last = page.into_iter().next_back().map(|row| row.id).unwrap_or_default();
        }
        for key in self.known.into_keys() {
            findings.add(FindingPlace::log(log), Wrong::KeyMissing { key });
        }
        Ok(compared)
    }
}

impl Known {
    const fn of(facts: KeyFacts) -> Self {
        Self {
            facts,
            created: None,
            revoked: None,
            is_suspended: false,
            subject: None,
            new_pins: None,
            device: None,
            has_pruned: false,
        }
    }

    /// Tells whether the events linked its account to the subject that a row says, which ends with the key.
    fn has_subject(&self, row: Option<&Option<(String, String)>>) -> bool {
        let Some(row) = row else { return true };
        let hash = row.as_ref().map(|(issuer, subject)| subject_hash(issuer, subject));
        self.has_pruned || hash == self.subject
    }

    /// Tells whether the events gave its clerk a PIN so often as a row says, which is deleted when the key is revoked.
    fn has_pin(&self, generation: Option<i32>) -> bool {
        self.has_pruned
            || generation.map_or_else(
                || self.new_pins.is_none() || self.revoked.is_some(),
                |generation| self.facts.role == CLERK && generation == self.new_pins.unwrap_or_default(),
            )
    }

    /// Tells whether the events confirmed the device that a row says, which is deleted when the key is revoked.
    fn has_device(&self, row: Option<&ConfirmedDevice>) -> bool {
        let is_so = match (&self.device, row) {
            (Some((step, secret, perk)), Some(row)) => {
                row.secret_hash.as_deref().is_some_and(|hash| hex(hash) == *secret)
                    && row.perk == *perk
                    && step.at.may_be_stored_as(row.confirmed_at)
            }
            (Some(_), None) => self.revoked.is_some(),
            (None, row) => row.is_none(),
        };
        self.has_pruned || is_so
    }

    /// Tells whether it can't be known who made it, and when.
    const fn is_unheld(&self) -> bool {
        self.has_pruned || self.created.is_none()
    }

    fn differences(&self, row: &KeyRow) -> impl Iterator<Item = &'static str> {
        let facts = &self.facts;
        let created = self.created.as_ref().filter(|_| !self.is_unheld());
        let [made_by, made_at] = [
            created.is_none_or(|step| step.key == row.created_by),
            created.is_none_or(|step| step.at.may_be_stored_as(row.created_at)),
        ];
        [
            (self.has_pruned || row.role == facts.role, "role"),
            (row.label == facts.label, "label"),
            (row.location == facts.location, "location"),
            (row.kiosk == facts.kiosk, "kiosk"),
            (row.audience == facts.audience, "audience"),
            (row.airports == facts.airports, "airports"),
            (row.origins == facts.origins, "origins"),
            (row.expires_at.map(from_micros) == facts.expires_at, "expiry"),
            (made_by, "maker"),
            (made_at, "instant of making"),
            (self.has_pruned || SignedStep::is_at(self.revoked.as_ref(), row.revoked_at), "revocation"),
        ]
        .into_iter()
        .filter_map(|(is_same, part)| (!is_same).then_some(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_is_of_a_clerks_key_that_works() {
        let body = |kind: &str, facts: &str| {
            format!(
                r#"{{"about":"key_2","actor":{{"key":"key_1","role":"admin"}},"at":"2012-05-08T19:00:00Z","facts":{{{facts}}},"id":"evt_1","kind":"{kind}","merchant":"mer_1","v":1}}"#
            )
        };
        let reset = body("clerk.reset", r#""has_new_pin":true"#);
        let reset = Body::parse(&reset).unwrap();
        let found = |role: &str, is_revoked: bool, is_part: bool| {
            let (mut keys, mut findings) = (Keys::default(), Findings::default());
            let text = body("key.created", "");
            let facts = || serde_json::from_str(&format!(r#"{{"label":"Grace","role":"{role}"}}"#)).unwrap();
            if !role.is_empty() {
                keys.created(&Body::parse(&text).unwrap(), facts());
            }
            if is_revoked {
                keys.revoked(&Body::parse(&text).unwrap(), facts());
            }
            let at = At { log: "a", index: 0, event: "", line: None };
            keys.of_clerk(at, &reset, &ClerkReset { has_new_pin: true }, is_part, &mut findings);
            findings.listed().len()
        };
        assert_eq!([found("desk", false, false), found("", false, true)], [0, 0]);
        assert_eq!([found("kiosk", false, false), found("desk", true, false), found("", false, false)], [1, 1, 1]);
    }
}
