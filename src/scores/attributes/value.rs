//! The values of one person's attributes, and the key that caches keep them under: all in one, so that a check asks once.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::foundation::clock::from_micros;
use crate::foundation::ids::MerchantId;
use crate::foundation::json::Json;
use crate::foundation::subject::SubjectRef;
use crate::scores::kept::CachedKey;
use crate::telemetry::meters;

/// The bytes in memory of a score with its key, about, by which the room for attributes is measured too.
const BYTES_OF_SCORE: usize = 250;

/// The bytes in memory of a value besides its texts, about.
const BYTES_OF_ONE: usize = 120;

/// A value that is kept of a person. Instants are in whole microseconds: what the database can hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeValue {
    pub value: Json,
    /// The first microsecond at which it isn't good any more.
    pub valid_until: Option<i64>,
    pub recorded_at: i64,
    /// The declaration that it belongs to.
    pub declared_at: i64,
}

impl AttributeValue {
    /// When it was recorded.
    #[must_use]
    pub fn recorded(&self) -> Timestamp {
        from_micros(self.recorded_at)
    }

    /// The first instant at which it isn't good any more, if there is one.
    #[must_use]
    pub fn ends(&self) -> Option<Timestamp> {
        self.valid_until.map(from_micros)
    }

    /// The bytes of the texts in it.
    pub(super) fn text_bytes(&self) -> usize {
        match &self.value {
            Json::Text(text) => text.len(),
            Json::List(items) => {
                items.iter().map(|item| size_of::<Json>() + item.as_text().unwrap_or_default().len()).sum()
            }
            _ => 0,
        }
    }

    /// True if both say the same for as long.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.value, self.valid_until, self.declared_at) == (&other.value, other.valid_until, other.declared_at)
    }
}

/// A person's attributes, by their names; cheap to clone.
pub type HeldAttributes = Arc<BTreeMap<String, AttributeValue>>;

/// The key that a person's attributes are kept under. It names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AttributesKey {
    pub merchant: MerchantId,
    pub subject: SubjectRef,
}

impl CachedKey for AttributesKey {
    type Value = HeldAttributes;

    fn subject(&self) -> &SubjectRef {
        &self.subject
    }

    fn name(&self) -> String {
        format!("attributes:{}:{}", self.merchant, self.subject)
    }

    /// Two NUL one after the other: a score's key has the name of its source in between.
    fn authenticated(&self) -> Vec<u8> {
        [self.merchant.as_str().as_bytes(), b"\0\0", &self.subject.0].concat()
    }

    fn encode(value: &HeldAttributes, into: &mut Vec<u8>) {
        // Names, numbers and JSON: nothing of it can fail to be written, and what is cut short is not believed.
        let _ = serde_json::to_writer(into, &**value);
    }

    fn decode(bytes: &[u8]) -> Option<HeldAttributes> {
        serde_json::from_slice(bytes).ok().map(Arc::new)
    }

    fn weight(held: &HeldAttributes) -> u32 {
        let bytes: usize = held.iter().map(|(name, it)| BYTES_OF_ONE + name.len() + it.text_bytes()).sum();
        u32::try_from(1 + bytes / BYTES_OF_SCORE).unwrap_or(u32::MAX)
    }

    fn count(tier: &'static str) {
        meters().attribute_lookups.count([tier]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scores::memory::ScoreKey;

    const MERCHANT: &str = "mer_018f3c2e7b7a7000800000000000abcd";

    #[test]
    fn what_lies_in_redis_reads_back_and_every_value_of_any_size_too() {
        for value in ["\"gold\"", "47.25", "true", "[\"a\",\"b\"]", "\"\\u00e4\\\"\"", "-9000000000"] {
            let held = AttributeValue {
                value: Json::parse(value).unwrap(),
                valid_until: Some(253_402_300_799_999_999),
                recorded_at: 1_800_000_000_000_001,
                declared_at: -1,
            };
            let held: HeldAttributes = Arc::new([("status".to_owned(), held)].into());
            let mut bytes = Vec::new();
            AttributesKey::encode(&held, &mut bytes);
            assert_eq!(AttributesKey::decode(&bytes), Some(held), "{value}");
        }
        assert_eq!(AttributesKey::decode(b"{"), None);
    }

    #[test]
    fn memory_holds_no_more_of_attributes_than_of_as_many_scores() {
        let held = |of: usize, length: usize| -> HeldAttributes {
            let one = |nth: usize| {
                let value = Json::List((0..20).map(|_| Json::text("x".repeat(length))).collect());
                let it = AttributeValue { value, valid_until: None, recorded_at: 0, declared_at: 0 };
                (format!("a{nth}"), it)
            };
            Arc::new((0..of).map(one).collect())
        };
        assert_eq!(AttributesKey::weight(&Arc::default()), 1);
        let (one, all) = (AttributesKey::weight(&held(1, 250)), AttributesKey::weight(&held(100, 250)));
        let bytes = |weight: u32| usize::try_from(weight).unwrap() * BYTES_OF_SCORE;
        assert!((5_000..8_000).contains(&bytes(one)) && (500_000..800_000).contains(&bytes(all)), "{one} {all}");
    }

    #[test]
    fn no_key_of_a_score_has_the_same_bytes() {
        let (merchant, subject): (MerchantId, _) = (MERCHANT.parse().unwrap(), SubjectRef([7; 32]));
        let ours = AttributesKey { merchant: merchant.clone(), subject };
        let score = ScoreKey { merchant, source: "klout".parse().unwrap(), subject };
        assert_ne!(ours.name(), score.name());
        assert!(!score.authenticated().starts_with(&ours.authenticated()));
        assert!(!ours.authenticated().starts_with(&score.authenticated()));
    }
}
