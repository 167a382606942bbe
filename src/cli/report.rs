//! `perkgate report`: what a merchant's log adds up to.

use std::fmt;
use std::io::Write as _;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::error::CliError;
use super::once::{MerchantFlag, Needs, merchant};
use super::output::{Output, counted, counted_as, table, write_block, write_line};
use super::{Completion, Invocation};
use crate::audit::reports::Asked;
use crate::audit::reports::asked::{AskedError, Bound, GroupBy, ReportKind};
use crate::audit::reports::sheet::{BOM, LimitRow, ReportSheet};
use crate::foundation::ids::PerkSlug;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    report: Which,
}

#[derive(Subcommand)]
enum Which {
    /// Checks, grants, refusals by reason, near misses, what became of grants, use against limits.
    Grants(Grouped),
    /// Redeemed visits and their guests; those voided later apart.
    Billing(Grouped),
    /// By score: the share admitted, refusals by reason, near misses, waits promised.
    Fairness(Common),
}

#[derive(clap::Args)]
struct Grouped {
    /// The attribute that makes a group; totals only without it.
    #[arg(long, value_name = "WHAT")]
    group_by: Option<By>,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args)]
struct Common {
    #[command(flatten)]
    merchant: MerchantFlag,
    /// From this instant (RFC 3339) or the beginning of this date on; the log's beginning without it.
    #[arg(long, value_name = "TIME|DATE", value_parser = bound)]
    from: Option<Bound>,
    /// Before this instant or the beginning of this date; now without it.
    #[arg(long, value_name = "TIME|DATE", value_parser = bound)]
    to: Option<Bound>,
    /// Whose dates, days and hours, such as `America/Los_Angeles`; the merchant's own zone without it.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    #[arg(long, value_name = "SLUG", help = "Of this perk only")]
    perk: Option<PerkSlug>,
    /// With `--format csv`, begin it with a byte order mark, by which Excel knows that it is UTF-8.
    #[arg(long)]
    bom: bool,
    /// A table for people unless given; `--json` is the same as `--format json`.
    #[arg(long)]
    format: Option<Format>,
    /// Where to, in place of standard output.
    #[arg(short, long, value_name = "FILE", requires = "format")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Json,
    Csv,
    Html,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    Day,
    Hour,
    Week,
    Month,
    Perk,
    Tier,
    Location,
    Kiosk,
    #[value(name = "rule_version", alias = "rule-version")]
    RuleVersion,
}

impl From<By> for GroupBy {
    fn from(by: By) -> Self {
        match by {
            By::Day => Self::Day,
            By::Hour => Self::Hour,
            By::Week => Self::Week,
            By::Month => Self::Month,
            By::Perk => Self::Perk,
            By::Tier => Self::Tier,
            By::Location => Self::Location,
            By::Kiosk => Self::Kiosk,
            By::RuleVersion => Self::RuleVersion,
        }
    }
}

fn bound(text: &str) -> Result<Bound, AskedError> {
    Bound::parse(text)
}

pub(super) fn run(args: &Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let (kind, group_by, common) = match &args.report {
        Which::Grants(it) => (ReportKind::Grants, it.group_by, &it.common),
        Which::Billing(it) => (ReportKind::Billing, it.group_by, &it.common),
        Which::Fairness(common) => (ReportKind::Fairness, None, common),
    };
    if common.bom && common.format != Some(Format::Csv) {
        return Err(CliError::NoMark);
    }
    if let Some(path) = common.out.as_ref().filter(|path| path.exists()) {
        return Err(CliError::FileExists(path.clone()));
    }
    let report = invocation.with_gateway(Needs::Existing, async |gateway| {
        let merchant = merchant(gateway, &common.merchant).await?;
        let perk = match &common.perk {
            None => None,
            Some(slug) => Some((slug.clone(), gateway.catalog.find_perk(&merchant.id, slug).await?.id)),
        };
        let (from, to, time_zone) = (common.from, common.to, common.time_zone.clone());
        let asked = Asked { kind, group_by: group_by.map(GroupBy::from), from, to, time_zone, perk };
        Ok(gateway.reporter.report(&merchant, asked, || {}).await?)
    })?;
    let text = match common.format {
        None => {
            invocation.output.show(&report)?;
            return Ok(Completion::Succeeded);
        }
        Some(Format::Json) => serde_json::to_string(&report).map_err(std::io::Error::from)?,
        Some(Format::Csv) => report.to_csv(),
        Some(Format::Html) => report.to_html(),
    };
    let mark = if common.bom { BOM } else { "" };
    if let Some(path) = &common.out {
        std::fs::write(path, format!("{mark}{text}"))
            .map_err(|error| CliError::Unwritable { path: path.clone(), why: error.to_string() })?;
    } else {
        // By itself: whatever steers a terminal is escaped in the rest.
        super::output::taken(Output::document().write_all(mark.as_bytes()))?;
        invocation.output.print(&text)?;
    }
    Ok(Completion::Succeeded)
}

impl fmt::Display for ReportSheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = self.from.map_or_else(|| "the beginning".to_owned(), |from| from.to_string());
        let of = self.perk_name.as_ref().map(|perk| format!(", {perk}")).unwrap_or_default();
        write_line!(f, "{} of {}{of}, from {from} to {}", self.report.title(), self.merchant_name, self.to)?;
        write_line!(
            f,
            "counted at {} from {}; days are those of {}\n",
            self.as_of,
            counted(self.log_size, "event"),
            self.time_zone
        )?;
        let columns = self.report.columns();
        let shown = columns.iter().filter(|(name, _)| self.totals.get(name) > 0);
        let shown = shown.map(|(name, it)| [(*it).to_owned(), self.totals.text(name)]);
        write_block(f, &table(["", "total"], shown))?;
        if let Some(by) = self.group_by {
            // What fits a terminal; --format has all columns.
            let few: Vec<_> = columns.iter().take(4).collect();
            let heading = |nth: usize| few.get(nth).map_or("", |(_, heading)| *heading);
            let rows = self.groups.iter().map(|it| {
                let cell = |nth: usize| few.get(nth).map_or(String::new(), |(name, _)| it.counts.text(name));
                [it.label().to_owned(), cell(0), cell(1), cell(2), cell(3)]
            });
            write_line!(f)?;
            let by = by.as_str().replace('_', " ");
            write_block(f, &table([by.as_str(), heading(0), heading(1), heading(2), heading(3)], rows))?;
        }
        if !self.limits.is_empty() {
            let row = |it: &LimitRow| {
                [
                    it.perk_name.clone(),
                    it.limit.clone(),
                    it.used.to_string(),
                    it.peak.to_string(),
                    it.max.to_string(),
                    it.refused.to_string(),
                ]
            };
            let headings = ["perk", "limit", "used", "most at once", "of", "refused"];
            write_line!(f)?;
            write_block(f, &table(headings, self.limits.iter().map(row)))?;
        }
        if self.pruned > 0 {
            let lost = counted_as(
                self.pruned,
                "event of the period has lost its body and is not counted",
                "events of the period have lost their bodies and are not counted",
            );
            write_line!(f, "\n{lost}")?;
        }
        if self.unprovable > 0 {
            let kept = counted_as(
                self.unprovable,
                "event of the period is counted and has lost its body since: nothing proves it any more",
                "events of the period are counted and have lost their bodies since: nothing proves them any more",
            );
            write_line!(f, "\n{kept}")?;
        }
        Ok(())
    }
}
