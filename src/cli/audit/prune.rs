//! `perkgate audit prune`: the bodies of old events are pruned, the logs stay provable.

use std::fmt;
use std::str::FromStr;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::access::Merchant;
use crate::cli::error::CliError;
use crate::cli::once::{self, ACTOR, Needs, all_pages};
use crate::cli::output::confirmation::Confirmation;
use crate::cli::output::{counted, write_line, write_part};
use crate::cli::{Completion, Invocation};
use crate::foundation::ids::MerchantSlug;
use crate::gateway::Gateway;
use crate::ledger::retention::pruning::Plan;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Prune what was recorded before this: a date (its midnight in UTC), or an instant (RFC 3339).
    #[arg(long, value_name = "TIME|DATE")]
    before: Before,
    /// Whose log; without it, that of the only merchant there is. It can't be undone, so one of several is named here,
    /// whatever `PERKGATE_MERCHANT` says.
    #[arg(long, value_name = "SLUG", conflicts_with = "all")]
    merchant: Option<MerchantSlug>,
    /// Prune the logs of all merchants, or none of them.
    #[arg(long)]
    all: bool,
    /// Only say what would go, and what stands in the way.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    #[command(flatten)]
    confirmation: Confirmation,
}

/// An instant that was given as such, or as a date.
#[derive(Debug, Clone, Copy)]
struct Before(Timestamp);

impl FromStr for Before {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let day = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok().map(|day| day.timestamp());
        // An instant is also read as a date, which would leave its hour out.
        let instant = || text.parse::<Timestamp>().ok();
        instant()
            .or_else(|| if text.len() == "2026-01-01".len() { day() } else { None })
            .map(Self)
            .ok_or_else(|| "write a date, 2026-01-01, or an instant as RFC 3339 does, 2026-01-01T00:00:00Z".to_owned())
    }
}

#[derive(Serialize)]
struct Answer {
    before: Timestamp,
    dry_run: bool,
    /// True if something stands in the way. Then nothing was done.
    refused: bool,
    logs: Vec<PrunedView>,
}

#[derive(Serialize)]
struct PrunedView {
    merchant: MerchantSlug,
    /// The number of bodies that were pruned, or would be.
    count: u64,
    /// The number of bodies that are retained because limits go on counting them.
    kept: u64,
    from_index: i64,
    to_index: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    obstacles: Vec<ObstacleView>,
}

#[derive(Serialize)]
struct ObstacleView {
    code: &'static str,
    count: u64,
    /// Null where it is not time that lifts it.
    until: Option<Timestamp>,
    detail: &'static str,
}

impl PrunedView {
    fn of(merchant: &Merchant, plan: &Plan, count: u64) -> Self {
        let obstacle = |it: &crate::ledger::retention::pruning::PruningBlocker| ObstacleView {
            code: it.reason.code(),
            count: it.count,
            until: it.until,
            detail: it.reason.description(),
        };
        Self {
            merchant: merchant.slug.clone(),
            count,
            kept: plan.kept,
            from_index: plan.from_index,
            to_index: plan.to_index,
            obstacles: plan.obstacles.iter().map(obstacle).collect(),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for PrunedView { merchant, count, kept, obstacles, .. } in &self.logs {
            let verb = if self.dry_run || self.refused { "would go" } else { "went" };
            let events = counted(*count, "event");
            write_part!(f, "{merchant}: the bodies of {events} from before {} {verb}", self.before)?;
            match *kept {
                0 => write_line!(f)?,
                1 => write_line!(f, "; 1 is kept, because limits go on counting it")?,
                kept => write_line!(f, "; {kept} are kept, because limits go on counting them")?,
            }
            for ObstacleView { code, count, until, detail } in obstacles {
                let until = until.map_or_else(String::new, |until| format!(", until {until}"));
                write_line!(f, "  in the way: {detail}: {count}{until} ({code})")?;
            }
        }
        if self.refused {
            write_line!(f, "Nothing was pruned: take an earlier date, or wait")?;
        }
        Ok(())
    }
}

pub(crate) fn run(args: &Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let answer = invocation.with_gateway(Needs::Existing, async |gateway| prune(args, gateway, invocation).await)?;
    invocation.output.show(&answer)?;
    Ok(if answer.refused { Completion::Failed } else { Completion::Succeeded })
}

async fn prune(args: &Args, gateway: &Gateway, invocation: &Invocation) -> Result<Answer, CliError> {
    let Args { before: Before(before), merchant, all, dry_run, confirmation } = args;
    let page =
        async |last: Option<&Merchant>| gateway.directory.list_merchants(last.map(|it| it.id.clone()), 200).await;
    let mut merchants = match merchant {
        Some(slug) => vec![once::merchant_of(gateway, slug).await?],
        None if *all => all_pages(200, page).await?,
        None => vec![only_merchant(gateway).await?],
    };
    merchants.sort_by(|a, b| a.slug.as_str().cmp(b.slug.as_str()));
    let bar = bar(invocation);
    let mut plans = Vec::with_capacity(merchants.len());
    for merchant in merchants {
        let plan = gateway.ledger.plan_pruning(&merchant.id, *before, |done, of| advance(&bar, done, of)).await?;
        plans.push((merchant, plan));
    }
    let refused = plans.iter().any(|(_, plan)| !plan.obstacles.is_empty());
    let many: u64 = plans.iter().map(|(_, plan)| plan.count).sum();
    if !refused && !dry_run && many > 0 {
        bar.finish_and_clear();
        let events = counted(many, "event");
        confirmation.ask(&format!("take the bodies of {events} from before {before} for good"))?;
    }
    let mut logs = Vec::with_capacity(plans.len());
    for (merchant, plan) in plans {
        let count = if refused || *dry_run {
            plan.count
        } else {
            gateway.ledger.prune(&plan, ACTOR, |done, of| advance(&bar, done, of)).await?
        };
        logs.push(PrunedView::of(&merchant, &plan, count));
    }
    bar.finish_and_clear();
    Ok(Answer { before: *before, dry_run: *dry_run, refused, logs })
}

/// The only merchant there is, unless the settings mean another one.
async fn only_merchant(gateway: &Gateway) -> Result<Merchant, CliError> {
    let only = once::only_merchant(gateway).await.map_err(named_or_all)?;
    match &gateway.settings.merchant {
        Some(slug) if *slug != only.slug => Err(CliError::UnknownMerchant(slug.clone())),
        _ => Ok(only),
    }
}

/// Asks which of several is meant: no setting says what is taken away for good.
fn named_or_all(error: CliError) -> CliError {
    match error {
        CliError::SeveralMerchants { some, are_more } => CliError::SeveralLogs { some, are_more },
        other => other,
    }
}

fn advance(bar: &ProgressBar, done: i64, of: i64) {
    bar.set_length(u64::try_from(of).unwrap_or(0));
    bar.set_position(u64::try_from(done).unwrap_or(0));
}

/// On stderr, and only when that is a terminal and nobody asked for JSON.
fn bar(invocation: &Invocation) -> ProgressBar {
    let target = if invocation.output.json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(0), target);
    let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} events, {per_sec}, {eta} left");
    style.map_or(bar.clone(), |style| bar.with_style(style))
}
