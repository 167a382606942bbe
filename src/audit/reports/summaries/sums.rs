//! The sums of a quarter of an hour: cells by what makes groups, and limits. They are added to each other, so that an event
//! that changes what was counted is a difference.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::audit::reports::asked::ReportKind;
use crate::audit::reports::counting::{self, LimitMove};
use crate::audit::reports::facts::Facts;
use crate::audit::reports::tally::{Held, Moment, Properties};

/// The length of a quarter of an hour.
pub(in crate::audit) const QUARTER_MICROS: i64 = 900 * 1_000_000;

/// The properties by which a report counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(in crate::audit) struct Cell {
    pub perk_id: Option<Arc<str>>,
    pub perk: Option<Arc<str>>,
    pub tier: Option<Arc<str>>,
    pub location: Option<Arc<str>>,
    pub kiosk: Option<Arc<str>>,
    pub rule_version: Option<i64>,
    /// The band of the score; fairness only.
    pub band: Option<i64>,
}

/// A column of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::audit) enum Column {
    Named(&'static str),
    /// Grants of which nothing became and that expire at this instant: whether they have, the report's own time says.
    Unspent(i64),
}

/// A limit at a location.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::audit) struct LimitAt {
    pub perk_id: Option<Arc<str>>,
    pub perk: Arc<str>,
    pub limit: Arc<str>,
    pub location: Arc<str>,
}

/// The numbers of a limit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::audit) struct LimitSums {
    pub used: u64,
    pub returned: u64,
    pub refused: u64,
    pub peak: u64,
    pub held: Option<Held>,
}

/// The sums of one quarter of an hour for one report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::audit) struct QuarterSums {
    pub cells: BTreeMap<Cell, BTreeMap<Column, i64>>,
    pub limits: BTreeMap<LimitAt, LimitSums>,
    /// Number of events that had lost their bodies before they could be counted.
    pub pruned: u64,
    /// Number of events that lost them after they were counted.
    pub unprovable: u64,
    /// Something of it couldn't be read: nothing is kept of it, and the events alone say what it comes to.
    pub is_lost: bool,
}

/// Sums of quarters, or differences of them.
#[derive(Debug, Default)]
pub(in crate::audit) struct Sums(pub BTreeMap<(ReportKind, i64), QuarterSums>);

/// The quarter that an instant lies in.
pub(in crate::audit) fn quarter_of(at: jiff::Timestamp) -> i64 {
    at.as_microsecond().div_euclid(QUARTER_MICROS)
}

impl Cell {
    /// The cell in which a report counts an event, but for the band of fairness.
    pub(super) fn of(kind: ReportKind, facts: &Facts<'_>) -> Self {
        let text = |text: &Option<_>| text.as_deref().map(Arc::from);
        let perk_id = text(&facts.perk_id);
        if kind == ReportKind::Fairness {
            return Self { perk_id, band: Some(counting::UNKNOWN), ..Self::default() };
        }
        Self {
            perk_id,
            perk: text(&facts.perk),
            tier: text(&facts.tier),
            location: text(&facts.location),
            kiosk: text(&facts.kiosk),
            rule_version: facts.rule_version,
            band: None,
        }
    }

    pub(super) fn properties(&self) -> Properties<'_> {
        Properties {
            perk: self.perk.as_deref(),
            tier: self.tier.as_deref(),
            location: self.location.as_deref(),
            kiosk: self.kiosk.as_deref(),
            rule_version: self.rule_version,
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.rule_version.map(|version| format!("v{version}"));
        let band = self.band.map(counting::band_name);
        let perk = self.perk.as_deref().or(self.perk_id.as_deref());
        let parts = [perk, version.as_deref(), self.tier.as_deref(), self.location.as_deref(), self.kiosk.as_deref()];
        let parts: Vec<&str> = parts.into_iter().chain([band.as_deref()]).flatten().collect();
        f.write_str(&parts.join(", "))
    }
}

impl QuarterSums {
    fn add(&mut self, cell: Cell, column: Column, count: i64) {
        if count != 0 {
            let sum = self.cells.entry(cell).or_default().entry(column).or_default();
            *sum = sum.saturating_add(count);
        }
    }

    /// Adds other sums to these; what comes to nought is left out.
    pub(super) fn merge(&mut self, other: Self) {
        for (cell, counts) in other.cells {
            let known = self.cells.entry(cell).or_default();
            for (column, count) in counts {
                let sum = known.entry(column).or_default();
                *sum = sum.saturating_add(count);
            }
            known.retain(|_, count| *count != 0);
        }
        self.cells.retain(|_, counts| !counts.is_empty());
        for (at, sums) in other.limits {
            self.limits.entry(at).or_default().merge(&sums);
        }
        self.pruned = self.pruned.saturating_add(other.pruned);
        self.unprovable = self.unprovable.saturating_add(other.unprovable);
        if self.is_lost || other.is_lost {
            self.lose();
        }
    }

    /// Forgets what is kept, as something of it can't be read.
    pub(super) fn lose(&mut self) {
        self.is_lost = true;
        self.cells.clear();
        self.limits.clear();
    }
}

impl LimitSums {
    fn merge(&mut self, other: &Self) {
        self.used = self.used.saturating_add(other.used);
        self.returned = self.returned.saturating_add(other.returned);
        self.refused = self.refused.saturating_add(other.refused);
        self.peak = self.peak.max(other.peak);
        match (&mut self.held, other.held) {
            (Some(held), Some(other)) => held.merge(other),
            (held, other) => *held = held.or(other),
        }
    }
}

impl Sums {
    pub(super) fn quarter(&mut self, kind: ReportKind, at: jiff::Timestamp) -> &mut QuarterSums {
        self.0.entry((kind, quarter_of(at))).or_default()
    }

    /// Adds counts to a cell, or takes them away.
    pub(super) fn count(
        &mut self,
        (kind, at): (ReportKind, jiff::Timestamp),
        cell: &Cell,
        counted: &[(&'static str, u64)],
        sign: i64,
    ) {
        if counted.iter().all(|(_, count)| *count == 0) {
            return;
        }
        let quarter = self.quarter(kind, at);
        for (column, count) in counted {
            quarter.add(cell.clone(), Column::Named(column), sign.saturating_mul(count.cast_signed()));
        }
    }

    pub(super) fn add(&mut self, (kind, at): (ReportKind, jiff::Timestamp), cell: &Cell, column: Column, count: i64) {
        self.quarter(kind, at).add(cell.clone(), column, count);
    }

    /// Adds the moves of limits by an event.
    pub(super) fn moved(&mut self, moment: Moment, facts: &Facts<'_>, moves: &[LimitMove<'_>]) {
        if moves.is_empty() {
            return;
        }
        let text = |text: Option<&str>| Arc::from(text.unwrap_or_default());
        let quarter = self.quarter(ReportKind::Grants, moment.at);
        for it in moves {
            let at = LimitAt {
                perk_id: facts.perk_id.as_deref().map(Arc::from),
                perk: text(facts.perk.as_deref()),
                limit: it.limit.into(),
                location: text(facts.location.as_deref()),
            };
            let held = it.max.map(|max| Held { first: moment.index, last: moment.index, max });
            let LimitMove { used, returned, refused, peak, .. } = *it;
            quarter.limits.entry(at).or_default().merge(&LimitSums { used, returned, refused, peak, held });
        }
    }

    /// Adds other sums to these.
    pub(in crate::audit) fn merge(&mut self, other: Self) {
        for (at, sums) in other.0 {
            self.0.entry(at).or_default().merge(sums);
        }
    }
}
