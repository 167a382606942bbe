//! `perkgate desk override` and `desk paid`: someone is let in whom a rule refused. A grant belongs to a key, so each takes
//! one, as the API does.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::read_secret_line;
use crate::access::{AccessError, Permission, Principal};
use crate::cli::error::CliError;
use crate::cli::once::Needs;
use crate::cli::output::{write_line, write_part};
use crate::cli::{Completion, Invocation};
use crate::eligibility::checker::Answer;
use crate::eligibility::overrides::{OverrideRequest, Overrider, PaidEntryRequest};
use crate::eligibility::shown::check::CheckShown;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{self, CheckId, MAX_NOTE};
use crate::gateway::Gateway;
use crate::ledger::payment::Payment;

#[derive(clap::Args)]
pub(super) struct OverrideArgs {
    /// The refusal (`chk_…`), at most 30 minutes old.
    #[arg(value_name = "CHECK")]
    check: CheckId,
    /// One of the reasons that the rule names.
    #[arg(long, value_name = "NAME")]
    reason: String,
    /// The tier that is granted.
    #[arg(long, value_name = "NAME")]
    tier: String,
    /// In one's own words. It is sealed under the person's key.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    key: KeyFlag,
}

#[derive(clap::Args)]
pub(super) struct PaidArgs {
    /// The refusal (`chk_…`), at most 30 minutes old.
    #[arg(value_name = "CHECK")]
    check: CheckId,
    /// The number of the receipt, or the name that the till gives the payment; never the number of a card.
    #[arg(long, value_name = "TEXT")]
    reference: String,
    /// How much was paid, as 45.00.
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    amount: String,
    /// In which currency: three capital letters (ISO 4217).
    #[arg(long, value_name = "CODE")]
    currency: String,
    /// The tier that was bought; needed where the rule sells several.
    #[arg(long, value_name = "NAME")]
    tier: Option<String>,
    #[command(flatten)]
    key: KeyFlag,
}

#[derive(clap::Args)]
struct KeyFlag {
    /// A file whose first line is an API key of an admin, or of a desk without clerks; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
}

/// The check that was granted in the place of the refused one.
#[derive(Serialize)]
#[serde(transparent)]
struct LetIn(CheckShown);

impl fmt::Display for LetIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(answer) = self;
        let tier = answer.tier.as_ref().map(|tier| format!(" ({tier})")).unwrap_or_default();
        write_line!(f, "{}{tier}: {}, version {}", answer.decision.as_str(), answer.perk, answer.rule_version)?;
        if let (Some(check), Some(grant)) = (&answer.check, &answer.grant) {
            write_line!(f, "  check {check}, grant {grant}")?;
        }
        match &answer.token {
            Some(token) => write_part!(f, "  token {token}"),
            None => Ok(()),
        }
    }
}

pub(super) fn override_check(args: OverrideArgs, invocation: &Invocation) -> Result<Completion, CliError> {
    let OverrideArgs { check, reason, tier, note, key } = args;
    let note = note.map(|note| ids::label(&note, MAX_NOTE)).transpose().map_err(CliError::Note)?;
    let request = OverrideRequest { check, reason, tier, note };
    let_in(&key.key_file, invocation, async |gateway, by, caller| {
        let merchant = caller.merchant().map_err(AccessError::from)?;
        Ok(Box::pin(gateway.checker.override_check(by, merchant, request.clone())).await?)
    })
}

pub(super) fn enter_paid(args: PaidArgs, invocation: &Invocation) -> Result<Completion, CliError> {
    let PaidArgs { check, reference, amount, currency, tier, key } = args;
    let_in(&key.key_file, invocation, async |gateway, by, caller| {
        let merchant = caller.merchant().map_err(AccessError::from)?;
        let payment = Payment::new(&reference, &amount, &currency).map_err(unfit_payment)?;
        let request = PaidEntryRequest { check: check.clone(), payment, tier: tier.clone() };
        Ok(Box::pin(gateway.checker.enter_paid(by, merchant, request)).await?)
    })
}

/// The errors of a payment, by the flags that say it.
fn unfit_payment(errors: Vec<FieldError>) -> AccessError {
    let flag = |error: FieldError| match error.path.as_str() {
        "/amount/amount" => FieldError::at("/amount", error.code, error.detail),
        "/amount/currency" => FieldError::at("/currency", error.code, error.detail),
        _ => error,
    };
    AccessError::Unfit(errors.into_iter().map(flag).collect())
}

fn let_in(
    key_file: &Path,
    invocation: &Invocation,
    work: impl AsyncFnOnce(&Gateway, Overrider, &Principal) -> Result<Answer, CliError>,
) -> Result<Completion, CliError> {
    let secret = read_secret_line(key_file)?;
    let unfit = |detail: String| AccessError::Unfit(vec![FieldError::at("/key-file", "invalid_value", detail)]);
    let shown = invocation.with_gateway(Needs::Existing, async |gateway| {
        let now = gateway.clock.now();
        let known = gateway.directory.authenticate(&secret, now).await;
        let caller = known.map_err(|refused| unfit(refused.to_string()))?;
        if !caller.role.may(Permission::Override) {
            let detail = format!("a key of role {} lets nobody in by hand: use an admin's or a desk's", caller.role);
            return Err(unfit(detail).into());
        }
        if gateway.directory.acting_clerk(&caller, None, now).await.is_err() {
            let detail = "desks act for their clerks, who sign in over the API: use the key of an admin";
            return Err(unfit(detail.to_owned()).into());
        }
        let place = caller.acts_only_at().map(str::to_owned);
        let by = Overrider { key: caller.key.clone(), role: caller.role.as_str(), place };
        let answer = work(gateway, by, &caller).await?;
        Ok(CheckShown::of(answer, caller.role.may(Permission::ReadScores)))
    })?;
    invocation.output.show(&LetIn(shown))?;
    Ok(Completion::Succeeded)
}
