//! A feed of attributes: `subject`, `attribute`, `value` and, if it likes, `valid_until`.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::Attributes;
use super::value::AttributeValue;
use crate::decision::person::is_attribute_value;
use crate::foundation::ids::MerchantId;
use crate::foundation::json::Json;
use crate::foundation::subject::{SubjectHandle, SubjectRef};
use crate::rules::attribute::ValueType;
use crate::rules::declared::{AttributePolicy, DeclaredAttributes};
use crate::scores::error::ScoreError;
use crate::scores::feed::{Feed, Judged, Place, Written};
use crate::scores::rows::{Format, LineFault, handle};
use crate::scores::table::{Field, TableReader, Wanted};

/// Between two times that a value is recorded again of which nothing but its age changed.
const CONFIRMED_EVERY_MICROS: i64 = 24 * 3_600 * 1_000_000;

const FIELDS: Wanted<4> = Wanted {
    names: ["subject", "attribute", "value", "valid_until"],
    listed: "`subject`, `attribute`, `value` and, if there is an end, `valid_until`",
    optional: &["valid_until"],
};

/// Attributes of a merchant's people.
pub struct AttributeFeed {
    attributes: Attributes,
    merchant: MerchantId,
    declared: DeclaredAttributes,
    reader: TableReader<4>,
}

impl AttributeFeed {
    pub(super) const fn new(
        attributes: Attributes,
        merchant: MerchantId,
        declared: DeclaredAttributes,
        format: Format,
    ) -> Self {
        Self { attributes, merchant, declared, reader: TableReader::new(format, FIELDS) }
    }
}

impl Feed for AttributeFeed {
    type Which = String;
    type Value = AttributeValue;

    fn read(
        &mut self,
        line: &[u8],
        now: Timestamp,
    ) -> Result<Option<(SubjectHandle, String, AttributeValue)>, LineFault> {
        let Some([subject, name, value, valid_until]) = self.reader.read(line)? else { return Ok(None) };
        let subject = handle(subject)?;
        let name = name.text().ok_or(LineFault::Undeclared)?;
        let (name, policy) = self.declared.get_key_value(name.trim()).ok_or(LineFault::Undeclared)?;
        let value = read_value(value, policy)?;
        let valid_until = match valid_until.given() {
            None => None,
            Some(end) => Some(end.instant().ok_or(LineFault::Time("valid_until"))?.as_microsecond()),
        };
        let value = AttributeValue {
            value,
            valid_until,
            recorded_at: now.as_microsecond(),
            declared_at: policy.declared_at.as_microsecond(),
        };
        Ok(Some((subject, name.clone(), value)))
    }

    /// The last one stands, and one that says the same again is as young as if it were new. Where values don't age, that is
    /// written once a day only: enough for a `max_age` that they are given later.
    fn judge(
        &self,
        name: &String,
        new: &AttributeValue,
        standing: Option<&AttributeValue>,
    ) -> (Judged, Option<AttributeValue>) {
        let ages = self.declared.get(name).is_some_and(|policy| policy.max_age.is_some());
        match standing {
            Some(standing) if standing.is_same(new) => {
                let is_old = new.recorded_at.saturating_sub(standing.recorded_at) >= CONFIRMED_EVERY_MICROS;
                (Judged::Unchanged, (ages || is_old).then(|| new.clone()))
            }
            _ => (Judged::Accepted, Some(new.clone())),
        }
    }

    fn weight(value: &AttributeValue) -> usize {
        value.text_bytes()
    }

    async fn standing(
        &self,
        subjects: Vec<SubjectRef>,
        names: Vec<String>,
    ) -> Result<HashMap<Place<Self>, AttributeValue>, ScoreError> {
        self.attributes.list(&self.merchant, subjects, names).await
    }

    async fn write(
        &self,
        new: Arc<Vec<(Place<Self>, AttributeValue)>>,
        _: Timestamp,
    ) -> Result<Written<Self>, ScoreError> {
        let undeclared = self.attributes.put_all(&self.merchant, new).await?;
        Ok(Written { undeclared, ..Written::of_all() })
    }
}

/// Reads a value of the declared type. In a table, a list is written with `;` between its members.
fn read_value(field: Field, policy: &AttributePolicy) -> Result<Json, LineFault> {
    let wanted = policy.value_type;
    let mistyped = LineFault::WrongType(wanted);
    let value = match (wanted, field) {
        (ValueType::Number, field @ Field::Cell(_)) => Json::Number(field.decimal()?),
        (ValueType::Boolean, Field::Cell(cell)) => match cell.trim() {
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            _ => return Err(mistyped),
        },
        (ValueType::List, Field::Cell(cell)) => Json::List(cell.split(';').map(|it| Json::text(it.trim())).collect()),
        (_, Field::Cell(cell)) => Json::text(cell.trim()),
        (ValueType::Number, Field::Json(value @ Json::Number(_)))
        | (ValueType::Boolean, Field::Json(value @ Json::Bool(_)))
        | (ValueType::List, Field::Json(value @ Json::List(_)))
        | (ValueType::Text, Field::Json(value @ Json::Text(_))) => value,
        (_, Field::Json(_) | Field::Absent) => return Err(mistyped),
    };
    match &value {
        Json::Text(text) if text.trim().is_empty() => return Err(LineFault::Text),
        Json::List(items) if items.iter().any(|it| it.as_text().is_none()) => return Err(mistyped),
        Json::List(items) if items.iter().any(|it| it.as_text().is_some_and(|it| it.trim().is_empty())) => {
            return Err(LineFault::Text);
        }
        _ => {}
    }
    match is_attribute_value(&value) {
        Ok(()) => Ok(value),
        Err("too_long" | "too_many") => Err(LineFault::TooMuch),
        Err(_) => Err(LineFault::Text),
    }
}
