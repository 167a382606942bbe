//! Attributes of people as a merchant declares them, for its rules to look at: the catalog's part of it.
//!
//! - `changes`: declaring, changing, deleting; `undeclared`: names that are known not to be declared
//!
//! Declarations are known to checks from memory, as rules are. The values are in `scores::attributes`; each belongs to
//! one declaration, so that one that is deleted and made again begins without any.

mod changes;
mod store;
mod undeclared;

pub(super) use store::{list_attributes, share_named};
pub(super) use undeclared::Undeclared;

use std::collections::HashMap;
use std::sync::Arc;

use super::catalog::Catalog;
use super::purpose::Purpose;
use crate::database::{AnyConnection, DatabaseError};
use crate::decision::person::is_attribute_name;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::MerchantId;
use crate::foundation::period::Period;
use crate::foundation::subject::hex;
use crate::ledger::LedgerError;
use crate::rules::attribute::ValueType;
use crate::rules::declared::{AttributePolicy, DeclaredAttributes, TYPES, declared_type, type_name};
use crate::rules::rule::Rule;
use crate::rules::terms::Fallback;
use aws_lc_rs::digest;
use tokio::time::Instant;

/// The epoch that every change of what is declared moves on.
pub(super) const EPOCH: &str = "attributes";

/// The most attributes that a merchant declares.
pub const MAX_ATTRIBUTES: usize = 100;

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
    /// A replica of a build before the one that wrote a rule: it can't tell what that looks at.
    #[error("the rule of `{perk}` may look at `subject.{name}`, and this build of the gateway can't read it: {detail}")]
    RuleNewer { name: String, perk: String, detail: String },
    #[error(
        "the rule of `{perk}` looks at `subject.{name}`, and this merchant asks for four eyes: declare another attribute \
         with these terms and have a version approved that looks at that one, or first one that doesn't look at this"
    )]
    ApprovalRequired { name: String, perk: String },
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

/// The declarations of every merchant.
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
    /// The merchant's declarations of the attributes that `rule` looks at, and perhaps of others. No I/O for what is
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
        let lacking = |declared: &DeclaredAttributes| -> Vec<String> {
            rule.of_subject().iter().filter(|name| !declared.contains_key(*name)).cloned().collect()
        };
        let declared = known();
        let missing = lacking(&declared);
        if missing.is_empty() || self.undeclared.knows(merchant, &missing, Instant::now()) {
            return Ok(declared);
        }
        self.declared.catch_up().await?;
        let declared = known();
        self.undeclared.remember(merchant, lacking(&declared), Instant::now());
        Ok(declared)
    }

    /// The merchant's declarations as the database has them by now, for a check that met what these came before.
    ///
    /// # Errors
    /// The database's.
    pub async fn declared_now(&self, merchant: &MerchantId) -> Result<Arc<DeclaredAttributes>, DatabaseError> {
        self.declared.catch_up().await?;
        Ok(self.declared.now().content.merchants.get(merchant.as_str()).cloned().unwrap_or_default())
    }

    /// The merchant's attributes, by name.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_attributes(&self, merchant: &MerchantId) -> Result<Vec<Attribute>, AttributeError> {
        let merchant = merchant.clone();
        Ok(self.database.read(move |conn| store::list_attributes(conn, &merchant)).await?)
    }

    /// The merchant's declarations, as the database knows them: an import goes by these.
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
        if !is_attribute_name(name) {
            return Err(AttributeError::NotFound(name.escape_debug().to_string()));
        }
        let (of, attribute) = (merchant.clone(), name.to_owned());
        let found = self.database.read(move |conn| store::find_attribute(conn, &of, &attribute)).await?;
        found.ok_or_else(|| AttributeError::NotFound(name.to_owned()))
    }
}
