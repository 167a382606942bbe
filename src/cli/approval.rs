//! `perkgate approval`: whether a second person must approve what decides. To approve takes a key, and so does lifting
//! the requirement: the command line has none, so it is nobody who could be a second person.

use std::collections::BTreeMap;
use std::fmt;

use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use super::error::CliError;
use super::once::{self, ACTOR, MerchantFlag, Needs};
use super::output::{write_line, write_part};
use super::{Completion, Invocation};
use crate::foundation::ids::MerchantId;
use crate::gateway::Gateway;
use crate::perks::four_eyes::FourEyes;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show whether approval is required, and who asked to lift that.
    Show(MerchantFlag),
    /// Require from now on that someone other than its author approves a version before it decides.
    ///
    /// Lifting that takes two admin keys, with PUT /v1/approvals.
    Require(MerchantFlag),
}

#[derive(Serialize)]
struct Approvals {
    required: bool,
    lift: Option<Lift>,
}

/// A wish to lift the requirement. It lapses after seven days.
#[derive(Serialize)]
struct Lift {
    requested_by: String,
    requested_at: Timestamp,
    /// The label of that key, by key.
    key_labels: BTreeMap<String, String>,
}

impl Approvals {
    async fn of(gateway: &Gateway, merchant: &MerchantId, asked: FourEyes) -> Result<Self, CliError> {
        let lift = match asked.lift {
            None => None,
            Some(it) => {
                let key_labels = gateway.directory.labels_of(merchant, [it.by.clone()].into()).await?;
                Some(Lift { requested_by: it.by, requested_at: it.at, key_labels })
            }
        };
        Ok(Self { required: asked.required, lift })
    }
}

impl fmt::Display for Approvals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.required {
            return write_part!(f, "A version decides without anybody's approval");
        }
        write_line!(f, "A version decides only after someone other than its author has approved it")?;
        match &self.lift {
            Some(Lift { requested_by, requested_at, key_labels }) => {
                let who = key_labels.get(requested_by).unwrap_or(requested_by);
                write_line!(f, "  {who} asked to lift that, {requested_at}: a second person has to ask the same")
            }
            None => Ok(()),
        }
    }
}

pub(super) fn run(args: &Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let (flag, is_to_be_required) = match &args.action {
        Action::Show(flag) => (flag, false),
        Action::Require(flag) => (flag, true),
    };
    let approvals = invocation.with_gateway(Needs::Existing, async |gateway| {
        let merchant = once::merchant(gateway, flag).await?.id;
        let asked = if is_to_be_required {
            gateway.catalog.set_four_eyes(&merchant, ACTOR, true).await?
        } else {
            gateway.catalog.four_eyes(&merchant).await?
        };
        Approvals::of(gateway, &merchant, asked).await
    })?;
    invocation.output.show(&approvals)?;
    Ok(Completion::Succeeded)
}
