//! The values of attributes in the database.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::query_builder::Query;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};
use diesel::sqlite::SqliteConnection;

use super::value::{AttributeValue, AttributesKey, HeldAttributes};
use crate::database::schema::{attributes, attributes_to_clear, subject_attributes};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::ids::MerchantId;
use crate::foundation::json::Json;
use crate::foundation::subject::SubjectRef;
use crate::statement_of_columns;

/// A value: whose it is, of which attribute, and what it says.
pub type Placed = ((SubjectRef, String), AttributeValue);

#[derive(Queryable, Selectable, QueryableByName)]
#[diesel(table_name = subject_attributes)]
struct ValueRow {
    subject_ref: Vec<u8>,
    attribute: String,
    value: String,
    valid_until: Option<i64>,
    recorded_at: i64,
    declared_at: i64,
}

impl ValueRow {
    fn placed(self) -> Result<Placed, DatabaseError> {
        let value = value(&self.value, self.valid_until, self.recorded_at, self.declared_at)?;
        Ok(((reference(self.subject_ref)?, self.attribute), value))
    }
}

fn value(
    json: &str,
    valid_until: Option<i64>,
    recorded_at: i64,
    declared_at: i64,
) -> Result<AttributeValue, DatabaseError> {
    let value = Json::parse(json).map_err(|e| DatabaseError::corrupt("value of an attribute", e))?;
    Ok(AttributeValue { value, valid_until, recorded_at, declared_at })
}

/// The attributes of one person, by one of their references.
pub fn list_values_of(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &SubjectRef,
) -> Result<BTreeMap<String, AttributeValue>, DatabaseError> {
    let rows = subject_attributes::table
        .filter(subject_attributes::merchant_id.eq(merchant.as_str()))
        .filter(subject_attributes::subject_ref.eq(&subject.0[..]))
        .select(ValueRow::as_select())
        .load(conn)?;
    rows.into_iter().map(|row| row.placed().map(|((_, name), value)| (name, value))).collect()
}

/// For each of `keys` the person's attributes, if they have any.
pub fn find_attributes(
    conn: &mut AnyConnection,
    keys: &[&AttributesKey],
) -> Result<Vec<Option<HeldAttributes>>, DatabaseError> {
    let held = |values: BTreeMap<String, AttributeValue>| (!values.is_empty()).then(|| Arc::new(values));
    let AnyConnection::Postgres(conn) = conn else {
        // No round trips, and each is prepared already.
        return keys.iter().map(|key| list_values_of(conn, &key.merchant, &key.subject).map(held)).collect();
    };
    let rows: Vec<(i64, String, String, Option<i64>, i64, i64)> = FindAttributes::of(keys).load(conn)?;
    let mut found = vec![BTreeMap::new(); keys.len()];
    for (nth, name, json, valid_until, recorded_at, declared_at) in rows {
        let at = usize::try_from(nth).ok().and_then(|nth| found.get_mut(nth.checked_sub(1)?));
        let values = at.ok_or_else(|| DatabaseError::corrupt("row of an attribute", nth))?;
        values.insert(name, value(&json, valid_until, recorded_at, declared_at)?);
    }
    Ok(found.into_iter().map(held).collect())
}

statement_of_columns! {
    FindAttributes, |key: &'a AttributesKey|
    "SELECT wanted.nth, found.attribute, found.value, found.valid_until, found.recorded_at, found.declared_at FROM unnest(" [
        merchants: Text = key.merchant.as_str(),
        subjects: Binary = key.subject.0.as_slice(),
    ] ") WITH ORDINALITY AS wanted (merchant_id, subject_ref, nth) CROSS JOIN LATERAL (SELECT * FROM subject_attributes \
       WHERE subject_attributes.merchant_id = wanted.merchant_id \
       AND subject_attributes.subject_ref = wanted.subject_ref OFFSET 0) AS found"
}

impl Query for FindAttributes<'_> {
    type SqlType = (BigInt, Text, Text, Nullable<BigInt>, BigInt, BigInt);
}

/// The values of the attributes `names` that stand for any of `subjects`: some thousands of them at most, as each is a
/// parameter on SQLite.
pub fn list_values(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subjects: &[SubjectRef],
    names: &[String],
) -> Result<HashMap<(SubjectRef, String), AttributeValue>, DatabaseError> {
    let subjects: Vec<&[u8]> = subjects.iter().map(|subject| &subject.0[..]).collect();
    let rows: Vec<ValueRow> = match conn {
        AnyConnection::Postgres(conn) => list_postgres(conn, merchant, subjects, names)?,
        AnyConnection::Sqlite(conn) => subject_attributes::table
            .filter(subject_attributes::merchant_id.eq(merchant.as_str()))
            .filter(subject_attributes::subject_ref.eq_any(subjects))
            .filter(subject_attributes::attribute.eq_any(names))
            .select(ValueRow::as_select())
            .load(conn)?,
    };
    rows.into_iter().map(ValueRow::placed).collect()
}

/// Each subject is looked up by the primary key, whatever the server knows of the table.
fn list_postgres(
    conn: &mut PgConnection,
    merchant: &MerchantId,
    subjects: Vec<&[u8]>,
    names: &[String],
) -> QueryResult<Vec<ValueRow>> {
    use diesel::sql_types::Array;

    diesel::sql_query(
        "SELECT found.subject_ref, found.attribute, found.value, found.valid_until, found.recorded_at, \
         found.declared_at FROM unnest($2) AS wanted (subject_ref) \
         CROSS JOIN LATERAL (SELECT * FROM subject_attributes WHERE merchant_id = $1 \
         AND subject_ref = wanted.subject_ref AND attribute = ANY ($3) OFFSET 0) AS found",
    )
    .bind::<Text, _>(merchant.as_str())
    .bind::<Array<Binary>, _>(subjects)
    .bind::<Array<Text>, _>(names)
    .load(conn)
}

/// Writes values, none twice, but for those whose declaration is no longer the one that they were read under: returns the
/// names of these. It is locked, so that neither can its type change nor can it go before this is committed.
pub fn upsert_values(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    new: &[Placed],
) -> Result<BTreeSet<String>, DatabaseError> {
    let mut names: Vec<&str> = new.iter().map(|((_, name), _)| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let declared: HashMap<String, i64> = lock_declared(conn, merchant, &names)?.into_iter().collect();
    let is_declared = |((_, name), it): &&Placed| declared.get(name) == Some(&it.declared_at);
    let (mut new, others): (Vec<&Placed>, Vec<&Placed>) = new.iter().partition(is_declared);
    // One order for everyone: two feeds that lock the same rows in two orders would deadlock.
    new.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    match conn {
        AnyConnection::Postgres(conn) => upsert_postgres(conn, merchant, &new)?,
        AnyConnection::Sqlite(conn) => upsert_sqlite(conn, merchant, &new)?,
    };
    Ok(others.into_iter().map(|((_, name), _)| name.clone()).collect())
}

fn lock_declared(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    names: &[&str],
) -> Result<Vec<(String, i64)>, DatabaseError> {
    let rows = attributes::table
        .filter(attributes::merchant_id.eq(merchant.as_str()).and(attributes::name.eq_any(names)))
        .order(attributes::name)
        .select((attributes::name, attributes::created_at));
    Ok(match conn {
        AnyConnection::Postgres(conn) => rows.for_share().load(conn)?,
        // A writer to SQLite is alone.
        AnyConnection::Sqlite(conn) => rows.load(conn)?,
    })
}

fn upsert_postgres(conn: &mut PgConnection, merchant: &MerchantId, new: &[&Placed]) -> QueryResult<usize> {
    use diesel::sql_types::Array;

    let subjects: Vec<&[u8]> = new.iter().map(|((subject, _), _)| &subject.0[..]).collect();
    let names: Vec<&str> = new.iter().map(|((_, name), _)| name.as_str()).collect();
    let values: Vec<String> = new.iter().map(|(_, it)| it.value.canonical()).collect();
    let ends: Vec<Option<i64>> = new.iter().map(|(_, it)| it.valid_until).collect();
    let recorded: Vec<i64> = new.iter().map(|(_, it)| it.recorded_at).collect();
    let declared: Vec<i64> = new.iter().map(|(_, it)| it.declared_at).collect();
    diesel::sql_query(
        "INSERT INTO subject_attributes \
         (merchant_id, subject_ref, attribute, value, valid_until, recorded_at, declared_at) \
         SELECT $1, new.* FROM unnest($2, $3, $4, $5, $6, $7) \
         AS new (subject_ref, attribute, value, valid_until, recorded_at, declared_at) \
         ON CONFLICT (merchant_id, subject_ref, attribute) DO UPDATE SET value = excluded.value, \
         valid_until = excluded.valid_until, recorded_at = excluded.recorded_at, declared_at = excluded.declared_at",
    )
    .bind::<Text, _>(merchant.as_str())
    .bind::<Array<Binary>, _>(subjects)
    .bind::<Array<Text>, _>(names)
    .bind::<Array<Text>, _>(values)
    .bind::<Array<Nullable<BigInt>>, _>(ends)
    .bind::<Array<BigInt>, _>(recorded)
    .bind::<Array<BigInt>, _>(declared)
    .execute(conn)
}

fn upsert_sqlite(conn: &mut SqliteConnection, merchant: &MerchantId, new: &[&Placed]) -> QueryResult<usize> {
    for ((subject, name), it) in new {
        diesel::sql_query(
            "INSERT INTO subject_attributes \
             (merchant_id, subject_ref, attribute, value, valid_until, recorded_at, declared_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT (merchant_id, subject_ref, attribute) DO UPDATE SET value = excluded.value, \
             valid_until = excluded.valid_until, recorded_at = excluded.recorded_at, \
             declared_at = excluded.declared_at",
        )
        .bind::<Text, _>(merchant.as_str())
        .bind::<Binary, _>(&subject.0[..])
        .bind::<Text, _>(name)
        .bind::<Text, _>(it.value.canonical())
        .bind::<Nullable<BigInt>, _>(it.valid_until)
        .bind::<BigInt, _>(it.recorded_at)
        .bind::<BigInt, _>(it.declared_at)
        .execute(conn)?;
    }
    Ok(new.len())
}

/// Deletes all that is kept of a person under one of their references; says how many values that were.
pub fn delete_values_of(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    subject: &SubjectRef,
) -> Result<usize, DatabaseError> {
    let of_person = subject_attributes::table
        .filter(subject_attributes::merchant_id.eq(merchant.as_str()))
        .filter(subject_attributes::subject_ref.eq(&subject.0[..]));
    Ok(diesel::delete(of_person).execute(conn)?)
}

/// A declaration that was deleted and whose values are still to be.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = attributes_to_clear)]
pub struct ToClear {
    pub merchant_id: String,
    pub name: String,
    pub declared_at: i64,
}

/// Up to `most` deleted declarations, every merchant's, that still have values.
pub fn list_to_clear(conn: &mut AnyConnection, most: i64) -> Result<Vec<ToClear>, DatabaseError> {
    Ok(attributes_to_clear::table.select(ToClear::as_select()).limit(most).load(conn)?)
}

/// The deleted declarations of one name that still have values.
pub fn list_to_clear_of(
    conn: &mut AnyConnection,
    merchant: &MerchantId,
    name: &str,
) -> Result<Vec<ToClear>, DatabaseError> {
    let of_name = attributes_to_clear::merchant_id.eq(merchant.as_str()).and(attributes_to_clear::name.eq(name));
    Ok(attributes_to_clear::table.filter(of_name).select(ToClear::as_select()).load(conn)?)
}

#[derive(QueryableByName)]
struct Deleted {
    #[diesel(sql_type = Binary)]
    subject_ref: Vec<u8>,
}

/// Deletes the first `most` values behind `after` of a deleted declaration; says whose they were, in order. When there are
/// no more, nothing of it is to be cleared any longer.
///
/// Those of a later declaration of the name differ in `declared_at`, also where a feed replaces one while this waits
/// for its row.
pub fn delete_values(
    conn: &mut AnyConnection,
    of: &ToClear,
    after: Option<&SubjectRef>,
    most: i64,
) -> Result<Vec<SubjectRef>, DatabaseError> {
    let after = after.map_or(&[][..], |after| &after.0[..]);
    let deleted: Vec<Deleted> = match conn {
        AnyConnection::Postgres(conn) => diesel::sql_query(
            "DELETE FROM subject_attributes WHERE (merchant_id, subject_ref, attribute) IN (\
             SELECT merchant_id, subject_ref, attribute FROM subject_attributes \
             WHERE merchant_id = $1 AND attribute = $2 AND declared_at = $3 AND subject_ref > $4 \
             ORDER BY subject_ref LIMIT $5 FOR UPDATE) AND declared_at = $3 RETURNING subject_ref",
        )
        .bind::<Text, _>(&of.merchant_id)
        .bind::<Text, _>(&of.name)
        .bind::<BigInt, _>(of.declared_at)
        .bind::<Binary, _>(after)
        .bind::<BigInt, _>(most)
        .load(conn)?,
        AnyConnection::Sqlite(conn) => diesel::sql_query(
            "DELETE FROM subject_attributes WHERE (merchant_id, subject_ref, attribute) IN (\
             SELECT merchant_id, subject_ref, attribute FROM subject_attributes \
             WHERE merchant_id = ?1 AND attribute = ?2 AND declared_at = ?3 AND subject_ref > ?4 \
             ORDER BY subject_ref LIMIT ?5) RETURNING subject_ref",
        )
        .bind::<Text, _>(&of.merchant_id)
        .bind::<Text, _>(&of.name)
        .bind::<BigInt, _>(of.declared_at)
        .bind::<Binary, _>(after)
        .bind::<BigInt, _>(most)
        .load(conn)?,
    };
    if deleted.is_empty() && after.is_empty() {
        diesel::delete(attributes_to_clear::table.find((&of.merchant_id, &of.name, of.declared_at))).execute(conn)?;
    }
    let mut subjects: Vec<SubjectRef> =
        deleted.into_iter().map(|row| reference(row.subject_ref)).collect::<Result<_, _>>()?;
    subjects.sort_unstable();
    Ok(subjects)
}

/// Deletes up to `most` values, every merchant's, that were good until before `lapsed`; says how many. One that is written
/// again while this waits for its row is good for longer, and is left.
pub fn delete_lapsed(conn: &mut AnyConnection, lapsed: i64, most: i64) -> Result<usize, DatabaseError> {
    Ok(match conn {
        AnyConnection::Postgres(conn) => diesel::sql_query(
            "DELETE FROM subject_attributes WHERE (merchant_id, subject_ref, attribute) IN (\
             SELECT merchant_id, subject_ref, attribute FROM subject_attributes WHERE valid_until < $1 \
             ORDER BY merchant_id, subject_ref, attribute LIMIT $2 FOR UPDATE) AND valid_until < $1",
        )
        .bind::<BigInt, _>(lapsed)
        .bind::<BigInt, _>(most)
        .execute(conn)?,
        AnyConnection::Sqlite(conn) => diesel::sql_query(
            "DELETE FROM subject_attributes WHERE (merchant_id, subject_ref, attribute) IN (\
             SELECT merchant_id, subject_ref, attribute FROM subject_attributes WHERE valid_until < ?1 LIMIT ?2)",
        )
        .bind::<BigInt, _>(lapsed)
        .bind::<BigInt, _>(most)
        .execute(conn)?,
    })
}

fn reference(bytes: Vec<u8>) -> Result<SubjectRef, DatabaseError> {
    let bytes: [u8; 32] = bytes
        .try_into()
        .map_err(|bytes: Vec<u8>| DatabaseError::corrupt("subject reference", format!("{} bytes", bytes.len())))?;
    Ok(SubjectRef(bytes))
}
