//! Declaring an attribute, changing its terms, and deleting it.
//!
//! A change locks the attribute's row first and reads the rules then; a rule that is about to decide holds the rows of
//! what it looks at ([`super::store::share_named`]) until it is committed. So one of the two sees the other.

use jiff::Timestamp;

use super::{Attribute, AttributeError, AttributeTerms, EPOCH, MAX_ATTRIBUTES, store};
use crate::database::followed::bump_epoch;
use crate::database::{AnyConnection, DatabaseError};
use crate::decision::person::is_attribute_name;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::MerchantId;
use crate::ledger::entry::{Actor, EventDraft, LogOwner};
use crate::ledger::events::perks::AttributeChanged;
use crate::ledger::events::{CanonicalValue, WrittenFacts};
use crate::perks::catalog::Catalog;
use crate::perks::four_eyes;
use crate::perks::life::Expected;
use crate::perks::perk::VersionStatus;
use crate::perks::store::{DECIDES_OR_WILL, list_rules_in};
use crate::rules::declared::{AttributePolicy, type_name};
use crate::rules::rule::{Rule, UnreadableRule};

/// The versions that a second person has looked at, or that decide without one.
const APPROVED: [&str; 3] = [DECIDES_OR_WILL[0], DECIDES_OR_WILL[1], VersionStatus::Approved.as_str()];

impl Catalog {
    /// Declares an attribute, or changes its terms; true where it is new. Where nothing changes, no event says so.
    ///
    /// # Errors
    /// [`AttributeError`]; a change of its type is refused as long as values are kept or a rule looks at it, and with
    /// four eyes any change that decides is, as long as an approved rule looks at it.
    pub async fn put_attribute(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        name: &str,
        terms: AttributeTerms,
        expected: Expected,
    ) -> Result<(Attribute, bool), AttributeError> {
        if !is_attribute_name(name) {
            let detail = "name it with up to 32 of a-z, 0-9 and _, a letter first; `network` is that of the handle";
            return Err(AttributeError::Unfit(vec![FieldError::at("", "bad_form", detail)]));
        }
        let (merchant, name, now) = (merchant.clone(), name.to_owned(), self.clock.now());
        let put = self
            .ledger
            .change(move |conn, events| {
                let mut change = Change { conn, events, merchant: &merchant, actor: &actor, name: &name };
                change.put(&terms, &expected, now)
            })
            .await?;
        self.declared.follow_own_change().await;
        Ok(put)
    }

    /// Deletes an attribute: no rule may look at it any more. Its values are nobody's from then on.
    ///
    /// # Errors
    /// [`AttributeError`].
    pub async fn delete_attribute(
        &self,
        merchant: &MerchantId,
        actor: Actor,
        name: &str,
        expected: Expected,
    ) -> Result<(), AttributeError> {
        if !is_attribute_name(name) {
            return Err(AttributeError::NotFound(name.escape_debug().to_string()));
        }
        let (merchant, name) = (merchant.clone(), name.to_owned());
        self.ledger
            .change(move |conn, events| {
                let mut change = Change { conn, events, merchant: &merchant, actor: &actor, name: &name };
                change.delete(&expected)
            })
            .await?;
        self.declared.follow_own_change().await;
        Ok(())
    }
}

/// A change of one attribute under way.
struct Change<'a> {
    conn: &'a mut AnyConnection,
    events: &'a mut Vec<EventDraft>,
    merchant: &'a MerchantId,
    actor: &'a Actor,
    name: &'a str,
}

impl Change<'_> {
    fn put(
        &mut self,
        terms: &AttributeTerms,
        expected: &Expected,
        now: Timestamp,
    ) -> Result<(Attribute, bool), AttributeError> {
        let known = store::lock_attribute(self.conn, self.merchant, self.name)?;
        is_expected(known.as_ref(), expected)?;
        let Some(known) = known else {
            return match self.declare(terms, now)? {
                Some(attribute) => Ok((attribute, true)),
                // Another replica declared it meanwhile, and has committed by now.
                None => self.put(terms, expected, now),
            };
        };
        let is_of_type = known.policy.value_type == terms.value_type;
        // Of another type it is another one: what feeds wrote for the earlier must not be taken for its values.
        let declared_at = if is_of_type { known.policy.declared_at } else { self.unlike_earlier(Some(&known), now)? };
        let attribute = terms.declared(self.name, declared_at);
        if known == attribute {
            return Ok((attribute, false));
        }
        if !is_of_type && store::has_values(self.conn, self.merchant, &known)? {
            let value_type = known.policy.value_type;
            return Err(AttributeError::ValuesKept { name: self.name.to_owned(), value_type });
        }
        if known.policy != attribute.policy {
            self.require_approval()?;
        }
        if !is_of_type {
            self.require_unused()?;
        }
        store::update_attribute(self.conn, self.merchant, &attribute)?;
        self.tell_of("attribute.changed", &attribute)?;
        Ok((attribute, false))
    }

    /// Declares it; none where it is there by now.
    fn declare(&mut self, terms: &AttributeTerms, now: Timestamp) -> Result<Option<Attribute>, AttributeError> {
        if store::list_attributes(self.conn, self.merchant)?.len() >= MAX_ATTRIBUTES {
            return Err(AttributeError::TooMany);
        }
        let attribute = terms.declared(self.name, self.unlike_earlier(None, now)?);
        if !store::insert_attribute(self.conn, self.merchant, &attribute)? {
            return Ok(None);
        }
        self.tell_of("attribute.declared", &attribute)?;
        Ok(Some(attribute))
    }

    /// The instant of a declaration, which no earlier one has that there may be values of.
    fn unlike_earlier(&mut self, known: Option<&Attribute>, now: Timestamp) -> Result<Timestamp, DatabaseError> {
        let cleared = store::last_to_clear(self.conn, self.merchant, self.name)?;
        let earlier = known.map(|known| known.policy.declared_at).max(cleared);
        let next = earlier.map(|at| at.as_microsecond().saturating_add(1));
        Ok(next.and_then(|next| Timestamp::from_microsecond(next).ok()).map_or(now, |next| next.max(now)))
    }

    fn delete(&mut self, expected: &Expected) -> Result<(), AttributeError> {
        let known = store::lock_attribute(self.conn, self.merchant, self.name)?;
        let known = known.ok_or_else(|| AttributeError::NotFound(self.name.to_owned()))?;
        is_expected(Some(&known), expected)?;
        self.require_unused()?;
        store::delete_attribute(self.conn, self.merchant, &known)?;
        bump_epoch(self.conn, EPOCH)?;
        self.tell("attribute.deleted", &AttributeChanged::deleted(self.name));
        Ok(())
    }

    /// Passes when no rule that decides, or will, looks at it.
    fn require_unused(&mut self) -> Result<(), AttributeError> {
        let perk = self.looked_at_by(&DECIDES_OR_WILL)?;
        perk.map_or(Ok(()), |perk| Err(AttributeError::InUse { name: self.name.to_owned(), perk }))
    }

    /// Passes when nobody asks for four eyes, or no rule that was approved looks at it: by its terms the rule would
    /// decide otherwise than as it was approved.
    fn require_approval(&mut self) -> Result<(), AttributeError> {
        if !four_eyes::is_required(self.conn, self.merchant)? {
            return Ok(());
        }
        let perk = self.looked_at_by(&APPROVED)?;
        perk.map_or(Ok(()), |perk| Err(AttributeError::ApprovalRequired { name: self.name.to_owned(), perk }))
    }

    /// The first perk that has a rule of one of these statuses that looks at it. One that can't be read may.
    fn looked_at_by(&mut self, statuses: &[&str]) -> Result<Option<String>, AttributeError> {
        for (perk, row) in list_rules_in(self.conn, self.merchant, statuses)? {
            match Rule::of_version(&row.rule, &row.rule_hash, &perk) {
                Ok(rule) if rule.of_subject().contains(self.name) => return Ok(Some(perk)),
                Ok(_) => {}
                Err(UnreadableRule::Newer(detail)) => {
                    return Err(AttributeError::RuleNewer { name: self.name.to_owned(), perk, detail });
                }
                Err(UnreadableRule::Damaged(detail)) => return Err(DatabaseError::corrupt("rule", detail).into()),
            }
        }
        Ok(None)
    }

    fn tell_of(&mut self, kind: &'static str, attribute: &Attribute) -> Result<(), DatabaseError> {
        bump_epoch(self.conn, EPOCH)?;
        let AttributePolicy { value_type, max_age, on_missing, .. } = &attribute.policy;
        let (of_type, purpose) = (type_name(*value_type), attribute.purpose.as_str());
        let facts = AttributeChanged::declared(self.name, of_type, purpose, *max_age, on_missing.as_str());
        self.tell(kind, &facts);
        Ok(())
    }

    fn tell(&mut self, kind: &'static str, facts: &impl CanonicalValue) {
        self.events.push(EventDraft {
            log: LogOwner::Merchant(self.merchant.clone()),
            kind,
            about: self.name.to_owned(),
            actor: self.actor.clone(),
            facts: WrittenFacts::of(facts),
            personal: None,
        });
    }
}

impl AttributeTerms {
    fn declared(&self, name: &str, declared_at: Timestamp) -> Attribute {
        let Self { value_type, purpose, max_age, on_missing } = self.clone();
        Attribute {
            name: name.to_owned(),
            purpose,
            policy: AttributePolicy { value_type, max_age, on_missing, declared_at },
        }
    }
}

fn is_expected(known: Option<&Attribute>, expected: &Expected) -> Result<(), AttributeError> {
    match (expected, known) {
        (Expected::Anything, _) => Ok(()),
        (Expected::OneOf(tags), Some(known)) if tags.contains(&known.etag()) => Ok(()),
        (Expected::OneOf(_), _) => Err(AttributeError::Stale),
    }
}
