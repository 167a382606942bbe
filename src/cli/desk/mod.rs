//! `perkgate desk`: the clerks of a merchant's desks, and what was overridden there.

mod by_hand;

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use jiff::Timestamp;
use secrecy::zeroize::Zeroizing;
use serde::Serialize;

use super::error::CliError;
use super::once::{self, ACTOR, MerchantFlag, Needs, all_pages};
use super::output::confirmation::Confirmation;
use super::output::{table, write_part};
use super::{Completion, Invocation};
use crate::access::clerks::pin::Pin;
use crate::access::{AccessError, ApiKey, Merchant};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{CheckId, GrantId, KeyId, PerkSlug};
use crate::gateway::Gateway;
use crate::ledger::cases::overrides::Overridden;
use crate::ledger::payment::Payment;
use crate::rules::offers::Price;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a clerk. Once there is one, desks override, correct, undo and close only for a clerk who has signed in.
    AddClerk {
        /// As the desk shows it.
        #[arg(long, value_name = "TEXT")]
        name: String,
        /// A file whose first line is the PIN, of 6 to 12 digits; `-` is standard input.
        #[arg(long, value_name = "FILE")]
        pin_file: PathBuf,
        #[command(flatten)]
        merchant: MerchantFlag,
    },
    /// Give a clerk another PIN. What they signed in for ends within a second, everywhere.
    SetPin {
        #[command(flatten)]
        of: OfClerk,
        /// A file whose first line is the PIN, of 6 to 12 digits; `-` is standard input.
        #[arg(long, value_name = "FILE")]
        pin_file: PathBuf,
    },
    /// Let a clerk try again whose PIN was wrong too often.
    UnlockClerk(OfClerk),
    /// List the clerks who work.
    Clerks {
        #[command(flatten)]
        merchant: MerchantFlag,
    },
    /// Let someone in by hand whom a rule refused, on the terms that it has as `override`.
    Override(by_hand::OverrideArgs),
    /// Let someone in for pay whom a rule refused, on the terms that it has as `paid`.
    Paid(by_hand::PaidArgs),
    /// List who let whom in by hand whom a rule had refused, and why; the newest first.
    Overrides {
        /// Only those of one perk, by its short name.
        #[arg(long, value_name = "PERK")]
        perk: Option<PerkSlug>,
        #[command(flatten)]
        merchant: MerchantFlag,
    },
    /// Remove a clerk. What they signed in for ends within a second, everywhere.
    RemoveClerk {
        #[command(flatten)]
        of: OfClerk,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

#[derive(clap::Args)]
struct OfClerk {
    /// The clerk's id (`key_…`).
    #[arg(value_name = "CLERK")]
    clerk: KeyId,
    #[command(flatten)]
    merchant: MerchantFlag,
}

#[derive(Serialize)]
struct ClerkView {
    clerk: KeyId,
    name: String,
    created_at: Timestamp,
}

impl From<ApiKey> for ClerkView {
    fn from(key: ApiKey) -> Self {
        Self { clerk: key.id, name: key.label, created_at: key.created_at }
    }
}

impl fmt::Display for ClerkView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_part!(f, "{}: {} signs in at a desk with the PIN", self.clerk, self.name)
    }
}

#[derive(Serialize)]
struct Listed {
    clerks: Vec<ClerkView>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.clerks.is_empty() {
            return f.write_str("There are no clerks: desks act by their keys.");
        }
        let rows = self.clerks.iter().map(|it| [it.clerk.to_string(), it.name.clone(), it.created_at.to_string()]);
        f.write_str(&table(["clerk", "name", "since"], rows))
    }
}

#[derive(Serialize)]
struct OverrideView {
    check: CheckId,
    granted_check: CheckId,
    grant: GrantId,
    perk: PerkSlug,
    rule_version: i32,
    tier: String,
    reason: String,
    overridden_by: String,
    overridden_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    paid: Option<PaymentView>,
}

/// A payment, as the API has it.
#[derive(Serialize)]
struct PaymentView {
    reference: String,
    amount: AmountView,
}

#[derive(Serialize)]
struct AmountView {
    amount: String,
    currency: String,
}

impl From<Payment> for PaymentView {
    fn from(payment: Payment) -> Self {
        let Price { amount, currency } = payment.price().clone();
        Self { reference: payment.reference().to_owned(), amount: AmountView { amount, currency } }
    }
}

impl From<Overridden> for OverrideView {
    fn from(it: Overridden) -> Self {
        let Overridden { check, granted_check, grant, perk, rule_version, tier, reason, by, at, payment } = it;
        let paid = payment.map(PaymentView::from);
        let (overridden_by, overridden_at) = (by, at);
        Self { check, granted_check, grant, perk, rule_version, tier, reason, overridden_by, overridden_at, paid }
    }
}

#[derive(Serialize)]
struct Overrides {
    overrides: Vec<OverrideView>,
}

impl fmt::Display for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.overrides.is_empty() {
            return f.write_str("Nothing was overridden.");
        }
        let rows = self.overrides.iter().map(|it| {
            let OverrideView { granted_check, perk, tier, reason, overridden_by, overridden_at, paid, .. } = it;
            let (at, check, perk) = (overridden_at.to_string(), granted_check.to_string(), perk.to_string());
            let paid = paid
                .as_ref()
                .map(|paid| format!("{} {}, {}", paid.amount.amount, paid.amount.currency, paid.reference));
            [at, perk, tier.clone(), reason.clone(), paid.unwrap_or_default(), overridden_by.clone(), check]
        });
        f.write_str(&table(["at", "perk", "tier", "reason", "paid", "by", "granted check"], rows))
    }
}

#[derive(Serialize)]
struct Reset {
    clerk: KeyId,
    unlocked: bool,
    has_new_pin: bool,
}

impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.has_new_pin { "with the new PIN" } else { "again" };
        write_part!(f, "{} can sign in {how}", self.clerk)
    }
}

#[derive(Serialize)]
struct Removed {
    clerk: KeyId,
    removed: bool,
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_part!(f, "{} is no clerk any more", self.clerk)
    }
}

pub(super) fn run(args: Args, invocation: &Invocation) -> Result<Completion, CliError> {
    match args.action {
        Action::AddClerk { name, pin_file, merchant } => {
            let pin = read_pin(&pin_file)?;
            let made = invocation.with_gateway(Needs::Existing, async |gateway| {
                check_pin(&pin)?;
                let merchant = once::merchant(gateway, &merchant).await?.id;
                Ok(gateway.directory.create_clerk(merchant, &name, pin, ACTOR).await?)
            })?;
            invocation.output.show(&ClerkView::from(made))?;
        }
        Action::Clerks { merchant } => {
            let clerks = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?.id;
                Ok(gateway.directory.list_clerks(merchant).await?)
            })?;
            invocation.output.show(&Listed { clerks: clerks.into_iter().map(ClerkView::from).collect() })?;
        }
        Action::Override(args) => return by_hand::override_check(args, invocation),
        Action::Paid(args) => return by_hand::enter_paid(args, invocation),
        Action::Overrides { perk, merchant } => {
            let overrides = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?.id;
                let page = async |last: Option<&Overridden>| {
                    let before = last.map(|it| it.granted_check.clone());
                    gateway.ledger.reader().list_overrides(&merchant, perk.clone(), before, 200).await
                };
                Ok(all_pages(200, page).await?)
            })?;
            invocation
                .output
                .show(&Overrides { overrides: overrides.into_iter().map(OverrideView::from).collect() })?;
        }
        Action::SetPin { of, pin_file } => {
            let pin = read_pin(&pin_file)?;
            reset(of, Some(pin), invocation)?;
        }
        Action::UnlockClerk(of) => reset(of, None, invocation)?,
        Action::RemoveClerk { of: OfClerk { clerk, merchant }, confirmation } => {
            let removed = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?;
                let found = find(gateway, &merchant, clerk).await?;
                confirmation.ask(&format!("remove the clerk `{}`", found.label))?;
                Ok(gateway.directory.remove_clerk(merchant.id, found.id, ACTOR).await?)
            })?;
            invocation.output.show(&Removed { clerk: removed.id, removed: true })?;
        }
    }
    Ok(Completion::Succeeded)
}

fn reset(OfClerk { clerk, merchant }: OfClerk, pin: Option<Pin>, invocation: &Invocation) -> Result<(), CliError> {
    let has_new_pin = pin.is_some();
    let clerk = invocation.with_gateway(Needs::Existing, async |gateway| {
        pin.as_ref().map_or(Ok(()), check_pin)?;
        let merchant = once::merchant(gateway, &merchant).await?;
        let clerk = find(gateway, &merchant, clerk).await?.id;
        gateway.directory.reset_clerk(merchant.id, clerk.clone(), pin, ACTOR).await?;
        Ok(clerk)
    })?;
    invocation.output.show(&Reset { clerk, unlocked: true, has_new_pin })
}

/// The clerk of the merchant who works under this id.
async fn find(gateway: &Gateway, merchant: &Merchant, clerk: KeyId) -> Result<ApiKey, CliError> {
    let clerks = gateway.directory.list_clerks(merchant.id.clone()).await?;
    let found = clerks.into_iter().find(|it| it.id == clerk);
    found.ok_or_else(|| CliError::UnknownKey { key: clerk, merchant: Some(merchant.slug.clone()) })
}

/// The first line of a file: a PIN is no argument, as everybody on the machine sees those.
fn read_pin(file: &Path) -> Result<Pin, CliError> {
    Ok(Pin::from(read_secret_line(file)?.as_str()))
}

fn check_pin(pin: &Pin) -> Result<(), CliError> {
    let weak = |weak| AccessError::Unfit(vec![FieldError::at("/pin-file", "invalid_value", format!("{weak}"))]);
    Ok(pin.check().map_err(weak)?)
}

/// The first line of a file, without the blanks around it.
fn read_secret_line(file: &Path) -> Result<Zeroizing<String>, CliError> {
    let mut text = Zeroizing::new(String::new());
    let read = if file == Path::new("-") {
        std::io::stdin().take(4_096).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|opened| opened.take(4_096).read_to_string(&mut text))
    };
    read.map_err(|error| CliError::Unreadable { path: file.to_owned(), why: error.to_string() })?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().trim().to_owned()))
}
