//! Attributes of people as a merchant declares them, for its rules to look at: the catalog's part of it.
//!
//! What is declared is known to checks from memory, as rules are. The values are in `scores::attributes`; each belongs to
//! one declaration, so that one that is deleted and made again begins without any.

mod store;

pub(super) use store::list_attributes;

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest;
use jiff::Timestamp;

use super::catalog::Catalog;
use super::keys;
use super::life::Expected;
use super::purpose::Purpose;
use crate::database::followed::bump_epoch;
use crate::database::{AnyConnection, DatabaseError};
use crate::decision::person::is_attribute_name;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::MerchantId;
use crate::foundation::period::Period;
use crate::foundation::subject::hex;
use crate::ledger::LedgerError;
use crate::ledger::entry::{Actor, EventDraft, LogOwner};
use crate::ledger::events::perks::AttributeChanged;
use crate::ledger::events::{CanonicalValue, WrittenFacts};
use crate::rules::attribute::ValueType;
use crate::rules::declared::{AttributePolicy, DeclaredAttributes, TYPES, declared_type, type_name};
use crate::rules::rule::Rule;
use crate::rules::terms::Fallback;

/// The epoch that every change of what is declared moves on.
pub(super) const EPOCH: &str = "attributes";

/// The most attributes that a merchant declares.
pub const MAX_ATTRIBUTES: usize = 100;

/// The longest that a value may be good for: ten years, as scores.
pub use crate::foundation::period::LONGEST as LONGEST_AGE;

/// A declared attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    pub name: String,
    pub purpose: Purpose,
    pub policy: AttributePolicy,
}

/// The terms that an attribute is declared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeTerms {
    pub value_type: ValueType,
    pub purpose: Purpose,
    pub max_age: Option<Period>,
    pub on_missing: Fallback,
}

/// Why an attribute could not be declared, found or deleted.
#[derive(Debug, thiserror::Error)]
pub enum AttributeError {
    #[error("there is no attribute `{0}`")]
    NotFound(String),
    #[error("it was changed meanwhile: look at it as it is now, then decide again")]
    Stale,
    #[error("values of `{name}` are kept as {}: delete it with them first, or take another name", type_name(*.value_type))]
    ValuesKept { name: String, value_type: ValueType },
    #[error("the rule of `{perk}` looks at `subject.{name}`: publish one that doesn't, or retire the perk, first")]
    InUse { name: String, perk: String },
    #[error("a merchant declares at most {MAX_ATTRIBUTES} attributes")]
    TooMany,
    #[error("something about the attribute doesn't fit")]
    Unfit(Vec<FieldError>),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Attribute {
    /// Tells one state from another: what `If-Match` names.
    #[must_use]
    pub fn etag(&self) -> String {
        let AttributePolicy { value_type, max_age, on_missing, declared_at } = &self.policy;
        let age = max_age.map(Period::seconds).unwrap_or_default().to_string();
        let declared_at = declared_at.as_microsecond().to_string();
        let content =
            [type_name(*value_type), self.purpose.as_str(), &age, on_missing.as_str(), &declared_at].join("\0");
        hex(digest::digest(&digest::SHA256, content.as_bytes()).as_ref()).chars().take(32).collect()
    }
}

impl AttributeTerms {
    /// Reads the terms as both doors get them.
    ///
    /// # Errors
    /// Everything that doesn't fit; a purpose that perks can't have, attributes can't either.
    pub fn read(
        value_type: &str,
        purpose: &str,
        max_age: Option<Period>,
        on_missing: Option<&str>,
    ) -> Result<Self, AttributeError> {
        let mut errors = Vec::new();
        let read_type = declared_type(value_type);
        if read_type.is_none() {
            let known = TYPES.map(type_name).join(", ");
            errors.push(FieldError::at("/type", "invalid_value", format!("use one of {known}")));
        }
        let read_purpose = Purpose::parse(purpose);
        if let Err(error) = &read_purpose {
            errors.push(FieldError::at("/purpose", error.code(), error.to_string()));
        }
        if max_age.is_some_and(|max_age| max_age > LONGEST_AGE) {
            let detail = format!("at most {LONGEST_AGE}; leave it out where values don't age");
            errors.push(FieldError::at("/max_age", "out_of_range", detail));
        }
        let read_missing = on_missing.map_or(Some(Fallback::Ignore), Fallback::parse);
        if read_missing.is_none() {
            let detail = "use deny, refer or ignore, which leaves the decision to the rest of the rule";
            errors.push(FieldError::at("/on_missing", "invalid_value", detail));
        }
        match (read_type, read_purpose, read_missing) {
            (Some(value_type), Ok(purpose), Some(on_missing)) if errors.is_empty() => {
                Ok(Self { value_type, purpose, max_age, on_missing })
            }
            _ => Err(AttributeError::Unfit(errors)),
        }
    }
}

/// What every merchant declared.
#[derive(Debug, Default)]
pub(super) struct Declared {
    merchants: HashMap<String, Arc<DeclaredAttributes>>,
}

pub(super) fn load_declared(conn: &mut AnyConnection, _: &Declared) -> Result<Declared, DatabaseError> {
    let mut merchants: HashMap<String, DeclaredAttributes> = HashMap::new();
    for (merchant, Attribute { name, policy, .. }) in store::list_all(conn)? {
        merchants.entry(merchant).or_default().insert(name, policy);
    }
    Ok(Declared { merchants: merchants.into_iter().map(|(merchant, of)| (merchant, Arc::new(of))).collect() })
}

impl Catalog {
    /// What the merchant has declared of the attributes that `rule` looks at, and perhaps of others. No I/O for what is
    /// known; where an attribute is not, the database is asked once.
    ///
    /// # Errors
    /// The database's.
    pub async fn declared_for(
        &self,
        merchant: &MerchantId,
        rule: &Rule,
    ) -> Result<Arc<DeclaredAttributes>, DatabaseError> {
        let known = || self.declared.now().content.merchants.get(merchant.as_str()).cloned().unwrap_or_default();
        let declared = known();
        if rule.of_subject().iter().all(|name| declared.contains_key(name)) {
            return Ok(declared);
        }
        self.declared.catch_up().await?;
        Ok(known())
    }

    /// The merchant's attributes, by name.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_attributes(&self, merchant: &MerchantId) -> Result<Vec<Attribute>, AttributeError> {
        let merchant = merchant.clone();
        Ok(self.database.read(move |conn| store::list_attributes(conn, &merchant)).await?)
    }

    /// What the merchant has declared, as the database knows it: what an import goes by.
    ///
    /// # Errors
    /// The database's.
    pub async fn declared_attributes(&self, merchant: &MerchantId) -> Result<DeclaredAttributes, AttributeError> {
        let declared = self.list_attributes(merchant).await?.into_iter();
        Ok(declared.map(|attribute| (attribute.name, attribute.policy)).collect())
    }

    /// The merchant's attribute of that name.
    ///
    /// # Errors
    /// [`AttributeError::NotFound`], and the database's.
    pub async fn find_attribute(&self, merchant: &MerchantId, name: &str) -> Result<Attribute, AttributeError> {
        let (of, attribute) = (merchant.clone(), name.to_owned());
        let found = self.database.read(move |conn| store::find_attribute(conn, &of, &attribute)).await?;
        found.ok_or_else(|| AttributeError::NotFound(name.to_owned()))
    }

    /// Declares an attribute, or changes its terms; true where it is new. Where nothing changes, no event says so.
    ///
    /// # Errors
    /// [`AttributeError`]; a change of its type is refused as long as values are kept.
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
            .change(move |conn, events| put_in(conn, events, &merchant, &actor, &name, &terms, &expected, now))
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
        let (merchant, name) = (merchant.clone(), name.to_owned());
        self.ledger
            .change(move |conn, events| {
                let known = store::lock_attribute(conn, &merchant, &name)?;
                let known = known.ok_or_else(|| AttributeError::NotFound(name.clone()))?;
                is_expected(Some(&known), &expected)?;
                let rules = keys::list_rules(conn, &merchant)?;
                if let Some((perk, _)) = rules.into_iter().find(|(_, rule)| rule.of_subject().contains(&name)) {
                    return Err(AttributeError::InUse { name, perk });
                }
                store::delete_attribute(conn, &merchant, &name)?;
                bump_epoch(conn, EPOCH)?;
                events.push(event(&merchant, &actor, "attribute.deleted", &name, &AttributeChanged::deleted(&name)));
                Ok(())
            })
            .await?;
        self.declared.follow_own_change().await;
        Ok(())
    }
}

#[expect(clippy::too_many_arguments, reason = "one change with all that it is made of")]
fn put_in(
    conn: &mut AnyConnection,
    events: &mut Vec<EventDraft>,
    merchant: &MerchantId,
    actor: &Actor,
    name: &str,
    terms: &AttributeTerms,
    expected: &Expected,
    now: Timestamp,
) -> Result<(Attribute, bool), AttributeError> {
    let known = store::lock_attribute(conn, merchant, name)?;
    is_expected(known.as_ref(), expected)?;
    let AttributeTerms { value_type, purpose, max_age, on_missing } = terms.clone();
    let is_of_type = |known: &&Attribute| known.policy.value_type == value_type;
    // Of another type it is another one: what feeds wrote for the earlier must not be taken for its values.
    let declared_at = known.as_ref().filter(is_of_type).map_or(now, |known| known.policy.declared_at);
    let policy = AttributePolicy { value_type, max_age, on_missing, declared_at };
    let attribute = Attribute { name: name.to_owned(), purpose, policy };
    let kind = match &known {
        Some(known) if *known == attribute => return Ok((attribute, false)),
        Some(known) if !is_of_type(&known) && store::has_values(conn, merchant, known)? => {
            let value_type = known.policy.value_type;
            return Err(AttributeError::ValuesKept { name: name.to_owned(), value_type });
        }
        Some(_) => {
            store::update_attribute(conn, merchant, &attribute)?;
            "attribute.changed"
        }
        None => {
            if store::list_attributes(conn, merchant)?.len() >= MAX_ATTRIBUTES {
                return Err(AttributeError::TooMany);
            }
            store::insert_attribute(conn, merchant, &attribute).map_err(|error| match error {
                DatabaseError::Duplicate(_) => AttributeError::Stale,
                other => other.into(),
            })?;
            "attribute.declared"
        }
    };
    bump_epoch(conn, EPOCH)?;
    let facts = AttributeChanged::declared(name, type_name(value_type), purpose.as_str(), max_age, on_missing.as_str());
    events.push(event(merchant, actor, kind, name, &facts));
    Ok((attribute, known.is_none()))
}

fn is_expected(known: Option<&Attribute>, expected: &Expected) -> Result<(), AttributeError> {
    match (expected, known) {
        (Expected::Anything, _) => Ok(()),
        (Expected::OneOf(tags), Some(known)) if tags.contains(&known.etag()) => Ok(()),
        (Expected::OneOf(_), _) => Err(AttributeError::Stale),
    }
}

fn event(
    merchant: &MerchantId,
    actor: &Actor,
    kind: &'static str,
    name: &str,
    facts: &impl CanonicalValue,
) -> EventDraft {
    EventDraft {
        log: LogOwner::Merchant(merchant.clone()),
        kind,
        about: name.to_owned(),
        actor: actor.clone(),
        facts: WrittenFacts::of(facts),
        personal: None,
    }
}
