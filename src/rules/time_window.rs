//! Time windows: the time around an instant that the caller states, such as a flight's departure.

use jiff::{SignedDuration, Timestamp};

use super::attribute::Attribute;
use super::messages::Messages;
use crate::foundation::document::{FieldErrors, Fields, Node, text};
use crate::foundation::json::Json;
use crate::foundation::period::{Period, read_length, written};

/// The operator's name.
pub(crate) const WITHIN: &str = "within";
/// The members that it takes.
pub(crate) const MEMBERS: [&str; 4] = ["before", "after", "opens_by", "messages"];
/// The longest that it reaches to either side.
pub(crate) const LONGEST_REACH: Period = Period::from_days(14);

/// From so long before an instant of the visit to so long after it, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeWindow {
    /// In seconds.
    pub before: i64,
    /// In seconds.
    pub after: i64,
    /// The attribute whose instant it opens by, where that is known; else it is the one that is tested.
    pub opens_by: Option<Attribute>,
    /// Said to guests who come before or after it, in place of the tier's words.
    pub messages: Option<Messages>,
}

impl TimeWindow {
    /// The first and the last instant of it, around `at`. It has none where it would close before it opens.
    #[must_use]
    pub fn edges(&self, at: Timestamp, opens_by: Option<Timestamp>) -> (Timestamp, Timestamp) {
        let (before, after) = (SignedDuration::from_secs(self.before), SignedDuration::from_secs(self.after));
        let opens = opens_by.unwrap_or(at).checked_sub(before).unwrap_or(Timestamp::MIN);
        (opens, at.checked_add(after).unwrap_or(Timestamp::MAX))
    }

    /// Reads the members of a leaf that stands at `node` and tests `attribute`.
    pub(crate) fn read(
        node: &Node<'_>,
        fields: &Fields<'_>,
        attribute: &Attribute,
        errors: &mut FieldErrors,
    ) -> Option<Self> {
        let before = fields.or("before", 0, |length| read_length(&length, LONGEST_REACH, errors));
        let after = fields.or("after", 0, |length| read_length(&length, LONGEST_REACH, errors));
        let opens_by = fields.or("opens_by", None, |other| read_opens_by(&other, attribute, errors).map(Some));
        let messages = fields.or("messages", None, |messages| Messages::read(&messages, errors).map(Some));
        let (before, after, opens_by) = (before?, after?, opens_by?);
        if before == 0 && after == 0 && opens_by.is_none() {
            let detail = "`before` and `after` are both PT0S, which is a single instant: write how long it is open";
            return node.refuse(errors, "empty", detail);
        }
        Some(Self { before, after, opens_by, messages: messages? })
    }

    /// The members of the canonical form.
    pub(crate) fn members(&self) -> Vec<(&'static str, Json)> {
        let mut members = vec![("before", text(written(self.before))), ("after", text(written(self.after)))];
        members.extend(self.opens_by.as_ref().map(|other| ("opens_by", text(other.name()))));
        members.extend(self.messages.as_ref().map(|messages| ("messages", messages.to_json())));
        members
    }
}

fn read_opens_by(node: &Node<'_>, attribute: &Attribute, errors: &mut FieldErrors) -> Option<Attribute> {
    let other = Attribute::read(node, errors)?;
    if other == *attribute {
        return node.refuse(errors, "same_attribute", "it opens by `attr` unless another attribute is named here");
    }
    if !other.can_be_instant() {
        return node.refuse(errors, "wrong_type", format!("`{}` is never an instant", other.name()));
    }
    Some(other)
}

/// Reads an instant as RFC 3339 writes it, with its offset, from the year 1 to 9998; what is finer than a microsecond
/// is cut off.
#[must_use]
pub fn read_instant(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't'])?;
    let (time, rest) = rest.split_at_checked(8)?;
    let (fraction, offset) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at_checked(rest.find(|c: char| !c.is_ascii_digit())?)?,
        None => ("0", rest),
    };
    let digits = |text: &str, form: &str| super::schedule::has_form(text, form);
    let is_formed = digits(date, "0000-00-00")
        && digits(time, "00:00:00")
        && (1..=9).contains(&fraction.len())
        && (matches!(offset, "Z" | "z") || offset.strip_prefix(['+', '-']).is_some_and(|rest| digits(rest, "00:00")));
    if !is_formed || date.starts_with("0000") || date.starts_with("9999") {
        return None;
    }
    let at: Timestamp = text.parse().ok()?;
    Timestamp::from_microsecond(at.as_microsecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_has_its_offset_and_a_year_that_there_is() {
        for (text, wanted) in [
            ("2026-12-01T08:00:00Z", Some("2026-12-01T08:00:00Z")),
            ("2026-12-01t08:00:00z", Some("2026-12-01T08:00:00Z")),
            ("2026-12-01T08:00:00+05:45", Some("2026-12-01T02:15:00Z")),
            ("2026-12-01T08:00:00.1234567-00:30", Some("2026-12-01T08:30:00.123456Z")),
            ("0001-01-01T00:00:00Z", Some("0001-01-01T00:00:00Z")),
            ("9998-12-31T23:59:59Z", Some("9998-12-31T23:59:59Z")),
            ("2026-12-01T08:00:00", None),
            ("2026-12-01T08:00Z", None),
            ("2026-12-01 08:00:00Z", None),
            ("2026-12-01T08:00:00.Z", None),
            ("2026-12-01T08:00:00.0000000001Z", None),
            ("2026-12-01T08:00:00+0545", None),
            ("2026-12-01T08:00:00+05:45[Asia/Kathmandu]", None),
            ("2026-12-01T08:00:00+26:00", None),
            ("2026-02-29T08:00:00Z", None),
            ("2026-12-01T24:00:00Z", None),
            ("0000-12-01T08:00:00Z", None),
            ("9999-12-01T08:00:00Z", None),
            ("-009998-12-01T08:00:00Z", None),
            ("+012026-12-01T08:00:00Z", None),
            ("1765000000", None),
            ("tomorrow", None),
            ("2026-12-0１T08:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(read_instant(text).map(|at| at.to_string()).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn it_opens_by_another_instant_only_where_that_is_known() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let window = TimeWindow { before: 3 * 3600, after: 3600, opens_by: None, messages: None };
        let (departure, scheduled) = (at("2026-12-01T12:00:00Z"), at("2026-12-01T10:00:00Z"));
        assert_eq!(window.edges(departure, None), (at("2026-12-01T09:00:00Z"), at("2026-12-01T13:00:00Z")));
        assert_eq!(window.edges(departure, Some(scheduled)), (at("2026-12-01T07:00:00Z"), at("2026-12-01T13:00:00Z")));
        assert_eq!(window.edges(Timestamp::MIN, None).0, Timestamp::MIN);
        assert_eq!(window.edges(Timestamp::MAX, None).1, Timestamp::MAX);
    }
}
