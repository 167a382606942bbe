//! Choosing grants to take back: by what their tokens say.

use jiff::Timestamp;

use super::claims;
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::{GrantId, MerchantId, PerkSlug};
use crate::foundation::subject::SubjectHandle;
use crate::keyring::Keyring;
use crate::ledger::read::person::{self, Person};
use crate::ledger::store;
use crate::tokens::claims::Claims;

/// Number of grants that one page looks at.
const PAGE: i64 = 500;

/// Which grants: those of which everything that is given holds.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    pub perk: Option<PerkSlug>,
    pub tier: Option<String>,
    pub rule_version: Option<i32>,
    pub location: Option<String>,
    pub subject: Option<SubjectHandle>,
    /// Granted at or after.
    pub from: Option<Timestamp>,
    /// Granted before.
    pub to: Option<Timestamp>,
}

/// The last grant that was looked at.
#[derive(Debug, Clone)]
pub struct GrantCursor {
    granted_at: i64,
    grant: String,
}

/// Some of the grants that were looked for.
#[derive(Debug, Default)]
pub struct SelectedGrants {
    pub grants: Vec<GrantId>,
    /// Behind which to go on; none when that was all.
    pub next: Option<GrantCursor>,
    /// Grants whose claims can't be read: whether they are meant can't be said, and the others are not held up.
    pub damaged: Vec<DatabaseError>,
}

/// The merchant's grants behind `after` that `selection` means and that stand, oldest first.
pub(crate) fn select(
    conn: &mut AnyConnection,
    keyring: &Keyring,
    merchant: &MerchantId,
    selection: &Selection,
    after: Option<&GrantCursor>,
) -> Result<SelectedGrants, DatabaseError> {
    let subject = match &selection.subject {
        None => None,
        Some(handle) => match person::find_person(conn, merchant, &keyring.subject_refs(merchant, handle))? {
            Some(person) => Some(person),
            None => return Ok(SelectedGrants::default()),
        },
    };
    let span = [selection.from, selection.to].map(|at| at.map(Timestamp::as_microsecond));
    let after = after.map(|after| (after.granted_at, after.grant.as_str()));
    let rows = store::list_unvoided_grants(conn, merchant, span, after, PAGE)?;
    let last = rows.last().filter(|_| i64::try_from(rows.len()).is_ok_and(|rows| rows == PAGE));
    let next = last.map(|row| GrantCursor { granted_at: row.granted_at, grant: row.id.clone() });
    let mut page = SelectedGrants { next, ..SelectedGrants::default() };
    for row in rows {
        match claims::read(&row) {
            Ok(claims) if selection.matches(&claims, subject.as_ref()) => {
                page.grants.push(row.id.parse().map_err(|e| DatabaseError::corrupt("grant id", e))?);
            }
            Ok(_) => {}
            Err(error) => page.damaged.push(error),
        }
    }
    Ok(page)
}

impl Selection {
    /// Tells whether nothing is asked for: that would mean every grant there is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { perk, tier, rule_version, location, subject, from, to } = self;
        let texts = perk.is_none() && tier.is_none() && location.is_none() && subject.is_none();
        texts && rule_version.is_none() && from.is_none() && to.is_none()
    }

    fn matches(&self, claims: &Claims, subject: Option<&Person>) -> bool {
        let is = |claim: Option<&str>, wanted: Option<&str>| wanted.is_none_or(|wanted| claim == Some(wanted));
        is(Some(claims.perk.as_str()), self.perk.as_ref().map(PerkSlug::as_str))
            && is(Some(&claims.tier), self.tier.as_deref())
            && is(claims.loc.as_deref(), self.location.as_deref())
            && subject.is_none_or(|person| person.names().any(|name| *name == claims.sub))
            && self.rule_version.is_none_or(|version| claims.rule == version)
    }
}
