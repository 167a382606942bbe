//! Choosing grants to take back: by what their tokens say.

use jiff::Timestamp;

use super::claims;
use crate::database::DatabaseError;
use crate::foundation::ids::{GrantId, MerchantId, PerkSlug};
use crate::foundation::subject::SubjectHandle;
use crate::ledger::Ledger;
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
pub struct After {
    granted_at: i64,
    grant: String,
}

/// Some of the grants that were looked for.
#[derive(Debug, Clone)]
pub struct Page {
    pub grants: Vec<GrantId>,
    /// Behind which to go on; none when that was all.
    pub next: Option<After>,
}

impl Ledger {
    /// The merchant's grants behind `after` that `selection` means and that stand, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn select_grants(
        &self,
        merchant: &MerchantId,
        selection: &Selection,
        after: Option<After>,
    ) -> Result<Page, DatabaseError> {
        let context = self.context();
        let (merchant, selection) = (merchant.clone(), selection.clone());
        let who = selection.subject.as_ref().map(|handle| context.keyring.subject_refs(&merchant, handle));
        let read = move |conn: &mut crate::database::AnyConnection| {
            let subject = match &who {
                None => None,
                Some(who) => match person::find_person(conn, &merchant, who)? {
                    Some(person) => Some(person),
                    None => return Ok(Page { grants: Vec::new(), next: None }),
                },
            };
            let span = [selection.from, selection.to].map(|at| at.map(Timestamp::as_microsecond));
            let after = after.as_ref().map(|after| (after.granted_at, after.grant.as_str()));
            let rows = store::list_standing_grants(conn, &merchant, span, after, PAGE)?;
            let last = rows.last().filter(|_| i64::try_from(rows.len()).is_ok_and(|rows| rows == PAGE));
            let next = last.map(|row| After { granted_at: row.granted_at, grant: row.id.clone() });
            let mut page = Page { grants: Vec::new(), next };
            for row in rows {
                if selection.matches(&claims::read(&row)?, subject.as_ref()) {
                    page.grants.push(row.id.parse().map_err(|e| DatabaseError::corrupt("grant id", e))?);
                }
            }
            Ok::<_, DatabaseError>(page)
        };
        context.database.read(read).await
    }
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
