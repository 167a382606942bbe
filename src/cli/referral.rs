//! `perkgate referral`: what rules have left to a person, and `deny`, which a person without a key may say too.
//!
//! To grant takes a key: the check that is granted in the place of the one that was referred belongs to it.

use std::fmt;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use serde::Serialize;

use super::error::CliError;
use super::once::{self, ACTOR, MerchantFlag, Needs, all_pages};
use super::output::confirmation::Confirmation;
use super::output::{counted, table, write_line, write_part};
use super::{Completion, Invocation};
use crate::access::Merchant;
use crate::eligibility::shown::case::{CaseShown, GrantableShown};
use crate::eligibility::shown::explanation::GuestsShown;
use crate::eligibility::shown::referral::{ReferralShown, ReferralStateShown};
use crate::foundation::ids::MAX_NOTE;
use crate::foundation::ids::{self, CheckId};
use crate::gateway::Gateway;
use crate::ledger::LedgerError;
use crate::ledger::cases::model::{Referral, ReferralStatus};
use crate::ledger::cases::referral::Referred;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List checks whose rule left the decision to a person, oldest first.
    List {
        #[command(flatten)]
        merchant: MerchantFlag,
        /// Only those of this status.
        #[arg(long, value_parser = statuses())]
        status: Option<ReferralStatus>,
    },
    /// Show a referral with all there is to decide it by, and how it was decided.
    Show(OfCheck),
    /// Deny a check that was referred. To grant it, send its tier to POST /v1/referrals/CHECK/decide with an admin key.
    Deny(Judgement),
}

#[derive(clap::Args)]
pub(super) struct OfCheck {
    /// The check's id (`chk_…`).
    #[arg(value_name = "CHECK")]
    pub check: CheckId,
    #[command(flatten)]
    pub merchant: MerchantFlag,
}

/// A person's decision about a check, for good.
#[derive(clap::Args)]
pub(super) struct Judgement {
    #[command(flatten)]
    pub of: OfCheck,
    /// Why. It is sealed under the person's key: erasing them destroys it.
    #[arg(long, value_name = "TEXT")]
    pub note: String,
    #[command(flatten)]
    pub confirmation: Confirmation,
}

fn statuses() -> impl clap::builder::TypedValueParser<Value = ReferralStatus> {
    let known = [ReferralStatus::Open, ReferralStatus::Granted, ReferralStatus::Denied];
    PossibleValuesParser::new(known.map(ReferralStatus::as_str)).map(move |text| {
        // The parser took it: it is one of them.
        known.into_iter().find(|status| status.as_str() == text).unwrap_or(ReferralStatus::Open)
    })
}

#[derive(Serialize)]
struct Listed {
    referrals: Vec<ReferralShown>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.referrals.is_empty() {
            return f.write_str("There is no referral.");
        }
        let rows = self.referrals.iter().map(|it| {
            let decided = it.state.outcome.decided_at.map_or_else(String::new, |at| at.to_string());
            let (status, opened) = (it.state.status.as_str().to_owned(), it.opened_at.to_string());
            [it.check.to_string(), it.perk.to_string(), status, opened, decided]
        });
        f.write_str(&table(["check", "perk", "status", "opened", "decided"], rows))
    }
}

/// All there is to decide a case by.
///
/// # Errors
/// The database's, and those of the rule that asked.
pub(super) async fn case_of(gateway: &Gateway, merchant: &Merchant, referred: Referred) -> Result<CaseShown, CliError> {
    let check = referred.referral.check.clone();
    let case = CaseShown::of(&gateway.checker, merchant, referred, true).await?;
    case.ok_or_else(|| CliError::absent("check", check.as_str()))
}

impl fmt::Display for CaseShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let people = if self.party == 1 { String::new() } else { format!(", a party of {}", self.party) };
        write_line!(f, "  about {}{people}", self.subject)?;
        let places = [("at", &self.location), ("asked by", &self.kiosk)];
        for (word, place) in places.into_iter().filter_map(|(word, place)| Some((word, place.as_ref()?))) {
            write_line!(f, "  {word} {place}")?;
        }
        write_line!(f, "  context {}", self.context.canonical())?;
        self.asked.reasons.iter().try_for_each(|reason| write_line!(f, "  {}", reason.message))?;
        for GrantableShown { tier, name, guests } in &self.tiers {
            write_part!(f, "  can be granted: {tier} ({name})")?;
            if let Some(GuestsShown { admitted, free, charged, uncounted, refused }) = guests.filter(|_| self.party > 1)
            {
                let parts = [(free, "free"), (charged, "charged"), (uncounted, "not counted")];
                let parts = parts.into_iter().filter(|(number, _)| *number > 0);
                let parts: Vec<String> = parts.map(|(number, what)| format!("{number} {what}")).collect();
                let outside = if refused > 0 { format!("; {refused} would wait outside") } else { String::new() };
                write_part!(f, ", with {} ({}){outside}", counted(admitted, "guest"), parts.join(", "))?;
            }
            write_line!(f)?;
        }
        match &self.note {
            Some(note) => write_line!(f, "  {note}"),
            None => Ok(()),
        }
    }
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    referral: ReferralShown,
    #[serde(flatten)]
    case: CaseShown,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReferralShown { check, perk, rule_version, opened_at, state } = &self.referral;
        let ReferralStateShown { status, outcome, .. } = state;
        write_line!(f, "{check}: {}", status.as_str())?;
        write_line!(f, "  {perk}, version {rule_version}, referred {opened_at}")?;
        if let Some((at, by)) = outcome.decided_at.zip(outcome.decided_by.as_ref()) {
            write_line!(f, "  decided {at} by {by}")?;
        }
        self.case.fmt(f)
    }
}

#[derive(Serialize)]
struct Denied {
    check: CheckId,
    status: ReferralStatus,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_part!(f, "{} is {}", self.check, self.status.as_str())
    }
}

pub(super) fn run(args: Args, invocation: &Invocation) -> Result<Completion, CliError> {
    match args.action {
        Action::List { merchant, status } => {
            let referrals = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?;
                list(gateway, &merchant, false, status).await
            })?;
            invocation.output.show(&Listed { referrals: referrals.iter().map(ReferralShown::from).collect() })?;
        }
        Action::Show(OfCheck { check, merchant }) => {
            let shown = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?;
                let found = gateway.ledger.reader().find_referred(&merchant.id, &check).await?;
                let found = found.filter(|found| found.referral.contest.is_none());
                let referred = found.ok_or_else(|| CliError::absent("referral of the check", check.as_str()))?;
                let referral = ReferralShown::from(&referred.referral);
                Ok(Shown { referral, case: case_of(gateway, &merchant, referred).await? })
            })?;
            invocation.output.show(&shown)?;
        }
        Action::Deny(judgement) => {
            let check = judgement.of.check.clone();
            deny(judgement, false, "deny", invocation)?;
            invocation.output.show(&Denied { check, status: ReferralStatus::Denied })?;
        }
    }
    Ok(Completion::Succeeded)
}

/// Every referral of the merchant, or every contest.
pub(super) async fn list(
    gateway: &Gateway,
    merchant: &Merchant,
    is_contested: bool,
    status: Option<ReferralStatus>,
) -> Result<Vec<Referral>, CliError> {
    let page = async |last: Option<&Referral>| {
        let after = last.map(|it| it.check.clone());
        gateway.ledger.reader().list_referrals(&merchant.id, is_contested, status, after, 200).await
    };
    Ok(all_pages::<_, LedgerError>(200, page).await?)
}

/// Closes a case without granting anything; `deed` is what that is called.
pub(super) fn deny(
    judgement: Judgement,
    is_contested: bool,
    deed: &str,
    invocation: &Invocation,
) -> Result<(), CliError> {
    let Judgement { of: OfCheck { check, merchant }, note, confirmation } = judgement;
    let note = ids::label(&note, MAX_NOTE).map_err(CliError::Note)?;
    let what = if is_contested { "contest of the check" } else { "referral of the check" };
    invocation.with_gateway(Needs::Existing, async |gateway| {
        let merchant = once::merchant(gateway, &merchant).await?;
        let found = gateway.ledger.reader().referral_of(&merchant.id, &check).await?;
        if found.is_none_or(|referral| referral.contest.is_some() != is_contested) {
            return Err(CliError::absent(what, check.as_str()));
        }
        confirmation.ask(&format!("{deed} the {what} {check} for good"))?;
        gateway.checker.deny(ACTOR, &merchant, &check, note).await?;
        Ok(())
    })
}
