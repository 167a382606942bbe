//! The digests that limits know boarding passes and members of the context by: HMACs under a secret of merchant and month
//! (`store`), made when it is first needed, inside the transaction that records the check. The secret is destroyed soon
//! after its month (`destroy_lapsed`), later than any window reaches that counts by it.

pub mod store;

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::context::WriterContext;
use super::entry::CheckEntry;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;
use crate::foundation::subject::hex;
use crate::keyring::MonthSecret;
use crate::rules::limit::ScopeDigests;
use crate::rules::window::month_of;

/// The time after which a month must be over for its secret to be destroyed: 40 days, and one for the zones of the
/// merchants' perks.
const KEPT: SignedDuration = SignedDuration::from_hours(41 * 24);

/// Whose secret of which month.
type SecretKey = (MerchantId, String);

/// The digests of each of the checks. Secrets that are missing are made; two replicas that make one at once find the
/// same. Rows are made in order, so that two batches can't wait for each other in a circle.
pub(crate) fn resolve(
    conn: &mut AnyConnection,
    context: &WriterContext,
    checks: &[&CheckEntry],
) -> Result<Vec<ScopeDigests>, DatabaseError> {
    let wanted = wanted(checks);
    if wanted.is_empty() {
        return Ok(checks.iter().map(|check| check.digests.clone()).collect());
    }
    let kept_from = month_before(context.clock.now(), KEPT);
    let mut secrets = BTreeMap::new();
    for (merchant, month) in wanted {
        let found = store::find(conn, &merchant, &month)?;
        let wrapped = match found {
            Some(wrapped) => wrapped,
            // What was destroyed is never made again: then there is no digest, and no grant by one.
            None if month < kept_from => continue,
            None => {
                let fresh = context.keyring.new_month_secret(&merchant, &month);
                store::insert(conn, &merchant, &month, &fresh, context.clock.now())?;
                store::find(conn, &merchant, &month)?.ok_or(DatabaseError::NotFound)?
            }
        };
        let secret = unwrap(context, &merchant, &month, &wrapped)?;
        secrets.insert((merchant, month), secret);
    }
    Ok(checks.iter().map(|check| digests_of(check, &secrets, |_| None)).collect())
}

/// The digests of a check that is only asked about: nothing is made. Where there is no secret nothing was counted, or it
/// is destroyed: a digest that is nobody's stands for it, and the second part names the months of the latter.
pub(crate) fn peek(
    conn: &mut AnyConnection,
    context: &WriterContext,
    check: &CheckEntry,
) -> Result<(ScopeDigests, BTreeSet<String>), DatabaseError> {
    let kept_from = month_before(context.clock.now(), KEPT);
    let (mut secrets, mut destroyed) = (BTreeMap::new(), BTreeSet::new());
    for (merchant, month) in wanted(&[check]) {
        match store::find(conn, &merchant, &month)? {
            Some(wrapped) => {
                let secret = unwrap(context, &merchant, &month, &wrapped)?;
                secrets.insert((merchant, month), secret);
            }
            None if month < kept_from => {
                destroyed.insert(month);
            }
            None => {}
        }
    }
    let nobodys = |_: &str| Some(hex(&context.entropy.bytes::<16>()));
    Ok((digests_of(check, &secrets, nobodys), destroyed))
}

fn wanted(checks: &[&CheckEntry]) -> BTreeSet<SecretKey> {
    let each = checks
        .iter()
        .flat_map(|check| check.undigested.iter().map(|it| (check.merchant.clone(), it.brought.month.clone())));
    each.collect()
}

fn unwrap(
    context: &WriterContext,
    merchant: &MerchantId,
    month: &str,
    wrapped: &[u8],
) -> Result<MonthSecret, DatabaseError> {
    let secret = context.keyring.month_secret(merchant, month, wrapped);
    secret.map_err(|error| DatabaseError::corrupt("secret of a month", error))
}

fn digests_of(
    check: &CheckEntry,
    secrets: &BTreeMap<SecretKey, MonthSecret>,
    absent: impl Fn(&str) -> Option<String>,
) -> ScopeDigests {
    let mut digests = check.digests.clone();
    for it in &check.undigested {
        let secret = secrets.get(&(check.merchant.clone(), it.brought.month.clone()));
        let digest =
            secret.map(|secret| secret.digest(&it.scope, &it.brought.value)).or_else(|| absent(&it.brought.month));
        if let Some(digest) = digest {
            digests.insert(it.scope.clone(), it.brought.month.clone(), digest);
        }
    }
    digests
}

/// Destroys the secrets of months that have been over for so long, by the clock, so that they are where nothing is
/// recorded any more too; says how many.
pub(crate) fn destroy_lapsed(conn: &mut AnyConnection, now: Timestamp) -> Result<usize, DatabaseError> {
    store::delete_before(conn, &month_before(now, KEPT))
}

/// The month that lies so far behind; months are compared as texts, of which the years have four digits.
fn month_before(now: Timestamp, behind: SignedDuration) -> String {
    let at = now.checked_sub(behind).unwrap_or(Timestamp::UNIX_EPOCH).max(Timestamp::UNIX_EPOCH);
    month_of(TimeZone::UTC.to_datetime(at).date())
}
