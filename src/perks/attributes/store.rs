//! The rows of declared attributes.

use diesel::prelude::*;
use jiff::Timestamp;

use super::Attribute;
use crate::database::schema::{attributes, attributes_to_clear, subject_attributes};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::ids::MerchantId;
use crate::foundation::period::Period;
use crate::on_either;
use crate::perks::purpose::Purpose;
use crate::rules::declared::{AttributePolicy, declared_type, type_name};
use crate::rules::rule::Rule;
use crate::rules::terms::Fallback;

type Result<T> = std::result::Result<T, DatabaseError>;

#[derive(Debug, Clone, Insertable, Queryable, Selectable, AsChangeset)]
#[diesel(table_name = attributes, primary_key(merchant_id, name))]
#[diesel(treat_none_as_default_value = false, treat_none_as_null = true)]
struct AttributeRow {
    merchant_id: String,
    name: String,
    value_type: String,
    purpose: String,
    max_age_seconds: Option<i64>,
    on_missing: String,
    created_at: i64,
}

impl AttributeRow {
    fn of(merchant: &MerchantId, attribute: &Attribute) -> Self {
        let Attribute { name, purpose, policy } = attribute;
        Self {
            merchant_id: merchant.as_str().to_owned(),
            name: name.clone(),
            value_type: type_name(policy.value_type).to_owned(),
            purpose: purpose.as_str().to_owned(),
            max_age_seconds: policy.max_age.map(Period::seconds),
            on_missing: policy.on_missing.as_str().to_owned(),
            created_at: policy.declared_at.as_microsecond(),
        }
    }

    fn read(self) -> Result<(String, Attribute)> {
        let policy = AttributePolicy {
            value_type: declared_type(&self.value_type)
                .ok_or_else(|| DatabaseError::corrupt("type of an attribute", &self.value_type))?,
            max_age: self.max_age_seconds.map(Period::from_seconds),
            on_missing: Fallback::parse(&self.on_missing)
                .ok_or_else(|| DatabaseError::corrupt("attribute", &self.on_missing))?,
            declared_at: from_micros(self.created_at),
        };
        let purpose = Purpose::parse(&self.purpose).map_err(|e| DatabaseError::corrupt("purpose", e))?;
        Ok((self.merchant_id, Attribute { name: self.name, purpose, policy }))
    }
}

/// The attribute of that name.
pub(super) fn find_attribute(conn: &mut AnyConnection, merchant: &MerchantId, name: &str) -> Result<Option<Attribute>> {
    let row =
        attributes::table.find((merchant.as_str(), name)).select(AttributeRow::as_select()).first(conn).optional()?;
    row.map(|row| row.read().map(|(_, attribute)| attribute)).transpose()
}

/// The same, locked: no feed writes values under it until this is over.
pub(super) fn lock_attribute(conn: &mut AnyConnection, merchant: &MerchantId, name: &str) -> Result<Option<Attribute>> {
    if let AnyConnection::Postgres(conn) = conn {
        let row = attributes::table.find((merchant.as_str(), name));
        row.select(attributes::created_at).for_update().first::<i64>(conn).optional()?;
    }
    find_attribute(conn, merchant, name)
}

/// The merchant's attributes, by name.
pub(in crate::perks) fn list_attributes(conn: &mut AnyConnection, merchant: &MerchantId) -> Result<Vec<Attribute>> {
    let rows = attributes::table
        .filter(attributes::merchant_id.eq(merchant.as_str()))
        .order(attributes::name)
        .select(AttributeRow::as_select())
        .load(conn)?;
    rows.into_iter().map(|row| row.read().map(|(_, attribute)| attribute)).collect()
}

/// Every merchant's attributes.
pub(super) fn list_all(conn: &mut AnyConnection) -> Result<Vec<(String, Attribute)>> {
    let rows = attributes::table.select(AttributeRow::as_select()).load(conn)?;
    rows.into_iter().map(AttributeRow::read).collect()
}

/// Holds the declarations of what `rule` looks at as they are, until the transaction that lets it decide is over.
pub(in crate::perks) fn share_named(conn: &mut AnyConnection, merchant: &MerchantId, rule: &Rule) -> Result<()> {
    let AnyConnection::Postgres(conn) = conn else {
        // A writer to SQLite is alone.
        return Ok(());
    };
    let names: Vec<&String> = rule.of_subject().iter().collect();
    if !names.is_empty() {
        let rows = attributes::table
            .filter(attributes::merchant_id.eq(merchant.as_str()).and(attributes::name.eq_any(names)))
            .order(attributes::name)
            .select(attributes::name);
        rows.for_share().load::<String>(conn)?;
    }
    Ok(())
}

/// Adds an attribute; false where there is one of its name.
pub(super) fn insert_attribute(conn: &mut AnyConnection, merchant: &MerchantId, attribute: &Attribute) -> Result<bool> {
    let insert = diesel::insert_into(attributes::table).values(AttributeRow::of(merchant, attribute));
    let inserted = on_either!(conn, |c| insert.on_conflict_do_nothing().execute(c))?;
    Ok(inserted > 0)
}

/// Replaces an attribute's terms.
pub(super) fn update_attribute(conn: &mut AnyConnection, merchant: &MerchantId, attribute: &Attribute) -> Result<()> {
    let row = attributes::table.find((merchant.as_str(), attribute.name.as_str()));
    diesel::update(row).set(AttributeRow::of(merchant, attribute)).execute(conn)?;
    Ok(())
}

/// Deletes an attribute; its values then belong to none, and are to be cleared.
pub(super) fn delete_attribute(conn: &mut AnyConnection, merchant: &MerchantId, attribute: &Attribute) -> Result<()> {
    diesel::delete(attributes::table.find((merchant.as_str(), attribute.name.as_str()))).execute(conn)?;
    let to_clear = (
        attributes_to_clear::merchant_id.eq(merchant.as_str()),
        attributes_to_clear::name.eq(attribute.name.as_str()),
        attributes_to_clear::declared_at.eq(attribute.policy.declared_at.as_microsecond()),
    );
    diesel::insert_into(attributes_to_clear::table).values(to_clear).execute(conn)?;
    Ok(())
}

/// The last declaration of the name whose values are still to be cleared.
pub(super) fn last_to_clear(conn: &mut AnyConnection, merchant: &MerchantId, name: &str) -> Result<Option<Timestamp>> {
    let last: Option<i64> = attributes_to_clear::table
        .filter(attributes_to_clear::merchant_id.eq(merchant.as_str()).and(attributes_to_clear::name.eq(name)))
        .select(diesel::dsl::max(attributes_to_clear::declared_at))
        .first(conn)?;
    Ok(last.map(from_micros))
}

/// Tells whether values of the attribute are kept.
pub(super) fn has_values(conn: &mut AnyConnection, merchant: &MerchantId, attribute: &Attribute) -> Result<bool> {
    let first: Option<String> = subject_attributes::table
        .filter(subject_attributes::merchant_id.eq(merchant.as_str()))
        .filter(subject_attributes::attribute.eq(attribute.name.as_str()))
        .filter(subject_attributes::declared_at.eq(attribute.policy.declared_at.as_microsecond()))
        .select(subject_attributes::attribute)
        .first(conn)
        .optional()?;
    Ok(first.is_some())
}
