//! One open case about a person and perk: what comes while it is open belongs to it.
//!
//! A person can't be buried in cases. A refusal that is contested while a contest of the same person and perk is
//! open is added to it (a row of its own, which `contest.rs` writes), and a check that is referred while a referral
//! is open joins that one: its event names it, and no row is written. Both hold the person's row until they commit,
//! so that of two replicas one opens the case and the other finds it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::model::{Added, Referral, ReferralStatus};
use crate::database::{AnyConnection, DatabaseError};
use crate::decision::decide::Decision;
use crate::foundation::ids::{CheckId, MerchantId};
use crate::foundation::subject::Pseudonym;
use crate::ledger::entry::CheckEntry;
use crate::ledger::store::{self, ReferralRow};
use crate::ledger::write::check::Settled;
use crate::ledger::write::subjects::Subject;

/// The referrals that are open about people whose checks are being recorded, by pseudonym and perk.
#[derive(Default)]
pub(crate) struct OpenReferrals(HashMap<(MerchantId, String, String), CheckId>);

impl OpenReferrals {
    /// Learns what is open about these people, who are held: what isn't here can't be there before the commit.
    pub(crate) fn load(
        &mut self,
        conn: &mut AnyConnection,
        merchant: &MerchantId,
        people: &[&str],
    ) -> Result<(), DatabaseError> {
        let open = ReferralStatus::Open.as_str();
        for (subject, perk, check) in store::share_open_referrals(conn, merchant, people, open)? {
            let check = check.parse().map_err(|e| DatabaseError::corrupt("referral", e))?;
            self.0.entry((merchant.clone(), subject, perk)).or_insert(check);
        }
        Ok(())
    }

    /// The check whose referral this one joins; none when it is the first, which others join from then on.
    pub(crate) fn join(&mut self, check: &CheckEntry, subject: &Pseudonym) -> Option<CheckId> {
        let key = (check.merchant.clone(), subject.as_str().to_owned(), check.perk.as_str().to_owned());
        match self.0.entry(key) {
            Entry::Occupied(open) => Some(open.get().clone()),
            Entry::Vacant(none) => {
                none.insert(check.check.clone());
                None
            }
        }
    }
}

/// The row of a check that was settled just now, if it is for a person to decide and joins no other.
pub(crate) fn row(check: &CheckEntry, subject: &Subject, settled: &Settled) -> Option<ReferralRow> {
    (settled.decided.decision == Decision::Referred && settled.joins.is_none()).then(|| ReferralRow {
        check_id: check.check.as_str().to_owned(),
        merchant_id: check.merchant.as_str().to_owned(),
        perk_id: check.perk.as_str().to_owned(),
        perk: check.perk_slug.as_str().to_owned(),
        rule_version: check.rule_version,
        subject: subject.pseudonym.as_str().to_owned(),
        status: ReferralStatus::Open.as_str().to_owned(),
        created_at: check.at.as_microsecond(),
        decided_at: None,
        decided_by: None,
        resolved_by: None,
        grant_id: None,
        contested_at: None,
        contested_by: None,
    })
}

/// The case of the check itself, with what was added to it.
pub(crate) fn own_case(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    check: &CheckId,
) -> Result<Option<Referral>, DatabaseError> {
    let row = store::find_referral(conn, merchant, check)?;
    Ok(with_additions(conn, merchant, row.into_iter().collect())?.pop())
}

/// The case that a check belongs to: its own, or the one that it was added to.
pub(crate) fn case_of(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    check: &CheckId,
) -> Result<Option<Referral>, DatabaseError> {
    let own = own_case(conn, merchant, check)?;
    if own.is_some() {
        return Ok(own);
    }
    let Some(addition) = store::find_addition(conn, merchant, check)? else { return Ok(None) };
    let case = addition.case_id.parse().map_err(|e| DatabaseError::corrupt("contest", e))?;
    own_case(conn, merchant, &case)
}

/// The merchant's cases after a check, oldest first: its contests, or its referrals.
pub(crate) fn list_cases(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    contested: bool,
    status: Option<ReferralStatus>,
    after: Option<&CheckId>,
    limit: u32,
) -> Result<Vec<Referral>, DatabaseError> {
    let status = status.map(ReferralStatus::as_str);
    let rows = store::list_referrals(conn, merchant, contested, status, after, i64::from(limit))?;
    with_additions(conn, merchant, rows)
}

/// The cases, each with what was added to it.
pub(crate) fn with_additions(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    rows: Vec<ReferralRow>,
) -> Result<Vec<Referral>, DatabaseError> {
    let contests = rows.iter().filter(|row| row.contested_at.is_some());
    let cases: Vec<&str> = contests.map(|row| row.check_id.as_str()).collect();
    let mut added: HashMap<String, Vec<Added>> = HashMap::new();
    for row in store::list_additions(conn, merchant, &cases)? {
        added.entry(row.case_id.clone()).or_default().push(row.try_into()?);
    }
    let read = |row: ReferralRow| {
        let mut referral = Referral::try_from(row)?;
        if let Some(contest) = &mut referral.contest {
            contest.added = added.remove(referral.check.as_str()).unwrap_or_default();
        }
        Ok(referral)
    };
    rows.into_iter().map(read).collect()
}
