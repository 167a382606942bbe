//! A report that is done: as JSON, and as CSV that no spreadsheet runs.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::ser::{Serialize, Serializer};

use super::asked::{GroupBy, ReportKind, ReportPeriod};
use super::columns::{ADMITTED, Column, MEAN_WAIT};
use super::tally::{Counts, Tally};
use crate::audit::table::push_row;
use crate::foundation::decimal::Decimal;
use crate::foundation::escape;

/// The beginning of a text by which Excel knows that it is UTF-8.
pub const BOM: &str = "\u{feff}";

/// The counts, by column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(pub Vec<(&'static str, u64)>);

/// The counts of a group.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct GroupRow {
    /// None for the events that say nothing of what is grouped by.
    pub group: Option<String>,
    /// The name that people call it by, where the group is a perk, a version of its rule, or a tier that is called the
    /// same wherever a published rule has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(flatten)]
    pub counts: Row,
}

/// The uses that a perk's limit let through in the period.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LimitRow {
    pub perk: String,
    /// The name that people call the perk by.
    pub perk_name: String,
    pub limit: String,
    /// The amount of it that the checks of the period used.
    pub used: u64,
    /// The amount of it that ends of grants in the period gave back.
    pub returned: u64,
    /// The most that stood against it at once, in any one window.
    pub peak: u64,
    /// The maximum that the last check was held to.
    pub max: u64,
    /// The maxima that the last checks at each location were held to, where they differ; the empty one is of keys without
    /// a location.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub max_by_location: BTreeMap<String, u64>,
    pub refused: u64,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ReportSheet {
    pub report: ReportKind,
    pub merchant: String,
    pub merchant_name: String,
    pub perk: Option<String>,
    pub perk_name: Option<String>,
    /// None for the log's beginning.
    pub from: Option<Timestamp>,
    /// Not part of the period.
    pub to: Timestamp,
    pub time_zone: String,
    /// When it was counted.
    pub as_of: Timestamp,
    /// Number of events that the log had then: counting those again comes to the same.
    pub log_size: i64,
    pub meaning: &'static str,
    /// Number of events of the period that have lost their bodies and are counted nowhere, whatever their perk.
    pub pruned: u64,
    /// Number of events of the period, whatever their perk, that lost their bodies after they were summed up: they are
    /// counted, and nothing proves it any more.
    pub unprovable: u64,
    pub totals: Row,
    pub group_by: Option<GroupBy>,
    pub groups: Vec<GroupRow>,
    pub limits: Vec<LimitRow>,
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, Cell::of(name, *value))))
    }
}

/// A value as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
enum Cell {
    Count(u64),
    Percent(Decimal),
}

impl Cell {
    /// The cell of a count in this column.
    fn of(name: &str, value: u64) -> Self {
        if name != ADMITTED {
            return Self::Count(value);
        }
        // From thousandths of the whole to thousandths of a percent.
        Self::Percent(Decimal::from_thousandths(i64::try_from(value.saturating_mul(100)).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Percent(share) => share.fmt(f),
        }
    }
}

impl GroupRow {
    /// The name that people call it by.
    #[must_use]
    pub fn label(&self) -> &str {
        self.name.as_deref().or(self.group.as_deref()).unwrap_or("not said")
    }
}

impl Row {
    fn of(columns: &[Column], counts: &Counts) -> Self {
        let count = |name: &str| counts.get(name).copied().unwrap_or(0);
        let cell = |&(name, _): &Column| {
            let value = match name {
                ADMITTED => count("granted").saturating_mul(1_000).checked_div(count("checks")).unwrap_or(0),
                MEAN_WAIT => count("wait_seconds").checked_div(count("waits")).unwrap_or(0),
                other => count(other),
            };
            (name, value)
        };
        Self(columns.iter().map(cell).collect())
    }

    /// The value under this name, as it is written: a share in percent.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        Cell::of(name, self.get(name)).to_string()
    }

    /// The count under this name; a share in thousandths.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.0.iter().find(|(known, _)| *known == name).map_or(0, |(_, count)| *count)
    }
}

/// The subject of a report.
pub(super) struct Head {
    pub kind: ReportKind,
    pub group_by: Option<GroupBy>,
    pub merchant: String,
    pub merchant_name: String,
    pub perk: Option<String>,
    /// By slug.
    pub perk_names: BTreeMap<String, String>,
    /// By id.
    pub tier_names: BTreeMap<String, String>,
    pub period: ReportPeriod,
    pub as_of: Timestamp,
    pub log_size: i64,
}

impl ReportSheet {
    pub(super) fn of(head: Head, tally: Tally) -> Self {
        let Head { kind, group_by, merchant, merchant_name, perk, perk_names, tier_names, period, as_of, log_size } =
            head;
        let name_of = |slug: &str| perk_names.get(slug).cloned();
        let group_name = |group: &str| match group_by {
            Some(GroupBy::Perk) => name_of(group),
            Some(GroupBy::Tier) => tier_names.get(group).cloned(),
            Some(GroupBy::RuleVersion) => {
                let (perk, version) = group.rsplit_once(' ')?;
                Some(format!("{} {version}", name_of(perk)?))
            }
            _ => None,
        };
        let columns = kind.columns();
        let groups = tally.groups.into_iter().filter(|_| group_by.is_some());
        let limits = tally.limits.into_iter().map(|((perk, limit), it)| LimitRow {
            perk_name: name_of(&perk).unwrap_or_else(|| perk.clone()),
            perk,
            limit,
            used: it.used,
            returned: it.returned,
            peak: it.peak,
            max: it.max(),
            refused: it.refused,
            max_by_location: it.differing_maxima(),
        });
        Self {
            report: kind,
            merchant,
            merchant_name,
            perk_name: perk.as_deref().map(|perk| name_of(perk).unwrap_or_else(|| perk.to_owned())),
            perk,
            from: period.from,
            to: period.to,
            time_zone: period.zone.iana_name().unwrap_or("UTC").to_owned(),
            as_of,
            log_size,
            meaning: kind.meaning(),
            pruned: tally.pruned,
            unprovable: tally.unprovable,
            totals: Row::of(&columns, &tally.totals),
            group_by,
            groups: groups
                .map(|(group, counts)| GroupRow {
                    name: group.name.as_deref().and_then(group_name),
                    group: group.name,
                    counts: Row::of(&columns, &counts),
                })
                .collect(),
            limits: limits.collect(),
        }
    }

    /// RFC 4180 with a header: one row a group, one for the totals, one a limit. Each says of which
    /// period it is, and how many of its events are pruned, so that files can be put together.
    #[must_use]
    pub fn to_csv(&self) -> String {
        type Named<'a> = (&'a str, &'a str);
        let columns = self.report.columns();
        let mut out = String::new();
        let head = ["row", "merchant", "perk", "from", "to", "time_zone", "as_of", "group", "pruned"];
        let head = head.into_iter().chain(["merchant_name", "perk_name", "group_name", "unprovable"]);
        let limits = ["limit", "used", "returned", "peak", "max", "refused"];
        let names = columns.iter().map(|(name, _)| *name);
        let is_with_limits = self.report == ReportKind::Grants;
        let behind: &[&str] = if is_with_limits { &limits } else { &[] };
        push_row(&mut out, head.chain(names).chain(behind.iter().copied()));
        let from = self.from.map(|from| from.to_string()).unwrap_or_default();
        let (to, as_of, pruned) = (self.to.to_string(), self.as_of.to_string(), self.pruned.to_string());
        let mut push = |row: &str, perk: Named, group: Named, counts: Option<&Row>, limit: Option<&LimitRow>| {
            let about = [row, &self.merchant, perk.0, &from, &to, &self.time_zone, &as_of, group.0, &pruned];
            // Names are for people to read: what would steer their terminal isn't part of one.
            let names = [&self.merchant_name, perk.1, group.1].map(|name| escape::line(name).into_owned());
            let mut cells: Vec<String> = about.into_iter().map(str::to_owned).chain(names).collect();
            cells.push(self.unprovable.to_string());
            match counts {
                Some(Row(counts)) => {
                    cells.extend(counts.iter().map(|(name, count)| Cell::of(name, *count).to_string()));
                }
                None => cells.extend(columns.iter().map(|_| String::new())),
            }
            match limit {
                Some(it) => {
                    cells.push(it.limit.clone());
                    cells.extend([it.used, it.returned, it.peak, it.max, it.refused].map(|n| n.to_string()));
                }
                None => cells.extend(behind.iter().map(|_| String::new())),
            }
            push_row(&mut out, cells.iter().map(String::as_str));
        };
        let perk = (self.perk.as_deref().unwrap_or_default(), self.perk_name.as_deref().unwrap_or_default());
        for it in &self.groups {
            let group = (it.group.as_deref().unwrap_or_default(), it.name.as_deref().unwrap_or_default());
            push("group", perk, group, Some(&it.counts), None);
        }
        push("total", perk, ("", ""), Some(&self.totals), None);
        for limit in &self.limits {
            push("limit", (&limit.perk, &limit.perk_name), ("", ""), None, Some(limit));
        }
        out
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audit::reports::asked::zone;

    /// A report with these locations, each of which has one grant.
    pub(in crate::audit::reports) fn sample(locations: &[&str]) -> ReportSheet {
        let as_of: Timestamp = "2012-06-01T00:00:00Z".parse().unwrap();
        let period = ReportPeriod { from: None, to: as_of, zone: zone("UTC").unwrap() };
        let mut tally = Tally::new(ReportKind::Grants, Some(GroupBy::Location), &period, as_of);
        for location in locations {
            let facts = serde_json::json!({
                "perk": "sfo-lounge", "decision": "granted", "location": location,
                "limits": [{"id": "house", "cost": 1, "max": 10, "used": 1}],
                "grant": {"id": "g", "expires_at": "2012-05-08T18:00:00Z"}
            });
            let facts = facts.to_string();
            let facts = serde_json::from_str(&facts).unwrap();
            tally
                .check(
                    as_of,
                    &facts,
                    crate::audit::reports::counting::Fate::default(),
                    &crate::audit::reports::counting::Person::Unasked,
                )
                .unwrap();
        }
        let head = Head {
            kind: ReportKind::Grants,
            group_by: Some(GroupBy::Location),
            merchant: "cathay".into(),
            merchant_name: "cathay".into(),
            perk: None,
            perk_names: [("sfo-lounge".to_owned(), "San Francisco lounge".to_owned())].into(),
            tier_names: BTreeMap::new(),
            period,
            as_of,
            log_size: 1,
        };
        ReportSheet::of(head, tally)
    }

    #[test]
    fn json_has_every_column_and_the_groups_sum_up() {
        let report = sample(&["SFO", "SFO", "HKG"]);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["totals"]["expired_unused"], 3);
        assert_eq!(json["groups"][0]["group"], "HKG");
        assert_eq!(json["groups"][1]["granted"], 2);
        assert_eq!(json["limits"][0]["used"], 3);
        for (name, _) in ReportKind::Grants.columns() {
            let sum: u64 = report.groups.iter().map(|group| group.counts.get(name)).sum();
            assert_eq!(json["totals"][name], sum, "{name}");
        }
    }

    #[test]
    fn a_share_is_written_in_percent() {
        for (thousandths, text) in [(0, "0"), (5, "0.5"), (333, "33.3"), (1_000, "100")] {
            let row = Row(vec![(ADMITTED, thousandths), ("checks", 7)]);
            assert_eq!((row.text(ADMITTED), row.text("checks")), (text.to_owned(), "7".to_owned()));
            assert_eq!(serde_json::to_string(&row).unwrap(), format!(r#"{{"admitted_percent":{text},"checks":7}}"#));
        }
    }

    #[test]
    fn a_sheet_says_in_every_row_how_much_is_pruned() {
        let csv = ReportSheet { pruned: 17, ..sample(&["SFO"]) }.to_csv();
        let mut sheet = csv::Reader::from_reader(csv.as_bytes());
        let at = sheet.headers().unwrap().iter().position(|name| name == "pruned").unwrap();
        let cells: Vec<String> = sheet.records().map(|row| row.unwrap()[at].to_owned()).collect();
        assert_eq!(cells, ["17", "17", "17"]);
    }

    proptest! {
        #[test]
        fn no_cell_is_a_formula_and_every_row_is_read_back(text in "(?s)[=+@,\"'\t\r\n\\-]?.{0,12}") {
            let csv = sample(&[&text]).to_csv();
            let mut rows = csv::ReaderBuilder::new().has_headers(false).from_reader(csv.as_bytes());
            let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
            prop_assert_eq!(rows.len(), 4);
            for cell in rows.iter().flatten() {
                prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']), "{:?}", cell);
            }
            let group = rows[1].get(7).unwrap();
            prop_assert!(group == text || group.strip_prefix('\'') == Some(&text));
        }
    }
}
