//! `perkgate perk publish|schedule|rollback|…`: the life of a rule's versions and of the perk.
//!
//! The command line writes, submits and pauses; it has no key, so it is nobody who could approve.

use std::fmt;

use clap::Subcommand;
use serde::Serialize;

use super::version_shown;
use crate::cli::error::CliError;
use crate::cli::once::{self, ACTOR, MerchantFlag, Needs, all_pages};
use crate::cli::output::confirmation::Confirmation;
use crate::cli::output::{table, write_part};
use crate::cli::{Completion, Invocation};
use crate::eligibility::shown::version::VersionShown;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{MerchantId, PerkSlug};
use crate::gateway::Gateway;
use crate::perks::error::{PerkError, WrongStatus};
use crate::perks::life::Expected;
use crate::perks::perk::Made;
use crate::perks::perk::{PerkStatus, RuleVersion, VersionStatus};
use crate::perks::versions::{Taken, VersionStep};

#[derive(clap::Args)]
pub(crate) struct OfPerk {
    #[arg(value_name = "PERK", help = "The perk's short name, as `perk list` shows it")]
    perk: PerkSlug,
    #[command(flatten)]
    merchant: MerchantFlag,
    #[arg(long = "change-note", alias = "note", value_name = "TEXT", help = "Why; it stands in the audit log")]
    note: Option<String>,
}

#[derive(clap::Args)]
pub(crate) struct OfVersion {
    #[command(flatten)]
    of: OfPerk,
    /// Which version; unless given the newest, or to unschedule the one that is scheduled.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    version: Option<i32>,
}

#[derive(Subcommand)]
pub(crate) enum Life {
    /// Submit a draft for approval: an admin key approves it, with POST /v1/perks/PERK/versions/N/approve.
    Submit(OfVersion),
    /// Take a version in review or approved back: it is a draft again.
    Withdraw(OfVersion),
    /// Let a version decide from now on; a server that runs follows within a second.
    Publish(OfVersion),
    /// Let a version decide from an instant on.
    Schedule {
        #[command(flatten)]
        of: OfVersion,
        /// 2026-12-01T08:00:00Z, or the local time in the rule's zone: 2026-12-01T09:00.
        #[arg(long, value_name = "TIME")]
        at: String,
    },
    /// Take a schedule back.
    Unschedule(OfVersion),
    /// Go back: an earlier version's rule becomes a new version, and decides; a running server follows within a second.
    Rollback {
        #[command(flatten)]
        of: OfPerk,
        /// A version that decided before.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
        to: i32,
    },
    /// Deny every check until the perk is resumed; a server that runs follows within a second.
    Pause(OfPerk),
    /// Let its rule decide again.
    Resume(OfPerk),
    /// Take a perk off for good.
    Retire {
        #[command(flatten)]
        of: OfPerk,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Delete a draft. Its number is never given again.
    DeleteDraft {
        #[arg(value_name = "PERK", help = "The perk's short name, as `perk list` shows it")]
        perk: PerkSlug,
        #[command(flatten)]
        merchant: MerchantFlag,
        /// Which version.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
        version: i32,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// List a perk's versions with who did what and why, newest first.
    History {
        #[arg(value_name = "PERK", help = "The perk's short name, as `perk list` shows it")]
        perk: PerkSlug,
        #[command(flatten)]
        merchant: MerchantFlag,
    },
}

#[derive(Serialize)]
struct Stepped {
    #[serde(flatten)]
    version: VersionShown,
    /// Pointers into the perk file.
    warnings: Vec<FieldError>,
}

impl Stepped {
    /// With the labels of the keys that the version names.
    async fn of(gateway: &Gateway, merchant: &MerchantId, made: Made) -> Result<Self, CliError> {
        let Made { perk, version, warnings } = made;
        let of_file = |warning: FieldError| warning.below("/rule");
        let labels = gateway.directory.labels_of(merchant, version.people().map(str::to_owned).collect()).await?;
        let version = version_shown(perk.slug, version, &labels)?;
        Ok(Self { version, warnings: warnings.into_iter().map(of_file).collect() })
    }
}

impl fmt::Display for Stepped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version: shown, warnings } = self;
        let VersionShown { perk, version, status, .. } = shown;
        match (status, shown.decides_from()) {
            (VersionStatus::Draft, _) => write_part!(f, "Version {version} of `{perk}` is a draft"),
            (VersionStatus::InReview, _) => write_part!(
                f,
                "Version {version} of `{perk}` is in review: an admin key of someone other than its author approves \
                 it, with POST /v1/perks/{perk}/versions/{version}/approve"
            ),
            (_, Some(from)) => write_part!(f, "Version {version} of `{perk}` is {}, from {from}", status.as_str()),
            (status, None) => write_part!(f, "Version {version} of `{perk}` is {}", status.as_str()),
        }?;
        warnings.iter().try_for_each(|it| write_part!(f, "\n  warning: {}: {}", it.path, it.detail))
    }
}

#[derive(Serialize)]
struct DraftDeleted {
    perk: PerkSlug,
    version: i32,
    deleted: bool,
}

impl fmt::Display for DraftDeleted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_part!(f, "Draft {} of `{}` is deleted", self.version, self.perk)
    }
}

#[derive(Serialize)]
struct StatusSet {
    perk: PerkSlug,
    /// As `perk list` shows it.
    status: &'static str,
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_part!(f, "`{}` is {}", self.perk, self.status)
    }
}

#[derive(Serialize)]
struct History {
    perk: PerkSlug,
    versions: Vec<VersionShown>,
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |it: Option<&str>| it.unwrap_or_default().to_owned();
        let rows = self.versions.iter().map(|it| {
            let from = it.published_at.or(it.scheduled_at).map(|at| at.to_string()).unwrap_or_default();
            let note = it.step_note.as_deref().or(it.change_note.as_deref());
            let (version, status) = (it.version.to_string(), it.status.as_str().to_owned());
            let (author, approver) = (it.person(&it.created_by).to_owned(), it.approved_by.as_deref());
            [version, status, author, text(approver.map(|key| it.person(key))), from, text(note)]
        });
        f.write_str(&table(["version", "status", "author", "approved by", "decides from", "note"], rows))
    }
}

pub(crate) fn run(life: Life, invocation: &Invocation) -> Result<Completion, CliError> {
    match life {
        Life::Submit(of) => step(of, VersionStep::Submit, invocation),
        Life::Withdraw(of) => step(of, VersionStep::Withdraw, invocation),
        Life::Publish(of) => step(of, VersionStep::Publish, invocation),
        Life::Schedule { of, at } => step(of, VersionStep::Schedule(at), invocation),
        Life::Unschedule(of) => step(of, VersionStep::Unschedule, invocation),
        Life::Rollback { of: OfPerk { perk, merchant, note }, to } => {
            let stepped = on(&merchant, invocation, async |gateway, merchant| {
                let made = gateway.catalog.roll_back(merchant, ACTOR, &perk, to, note).await?;
                Stepped::of(gateway, merchant, made).await
            })?;
            let waits = stepped.version.status == VersionStatus::InReview;
            invocation.output.show(&stepped)?;
            // It was to decide, and doesn't.
            Ok(if waits { Completion::Failed } else { Completion::Succeeded })
        }
        Life::DeleteDraft { perk, merchant, version, confirmation } => {
            on(&merchant, invocation, async |gateway, merchant| {
                let found = gateway.catalog.find_version(merchant, &perk, version).await?;
                if found.status != VersionStatus::Draft {
                    let (perk, status) = (perk.to_string(), found.status);
                    return Err(PerkError::NotADraft(WrongStatus { perk, version, step: "deleted", status }).into());
                }
                confirmation.ask(&format!("delete the draft {version} of `{perk}` for good"))?;
                gateway.catalog.delete_version(merchant, ACTOR, &perk, version, Expected::Anything).await?;
                Ok(())
            })?;
            invocation.output.show(&DraftDeleted { perk, version, deleted: true })?;
            Ok(Completion::Succeeded)
        }
        Life::Pause(of) => stand(of, PerkStatus::Paused, None, invocation),
        Life::Resume(of) => stand(of, PerkStatus::Active, None, invocation),
        Life::Retire { of, confirmation } => stand(of, PerkStatus::Retired, Some(confirmation), invocation),
        Life::History { perk, merchant } => {
            let (versions, labels) = on(&merchant, invocation, async |gateway, merchant| {
                let page = async |last: Option<&RuleVersion>| {
                    gateway.catalog.list_versions(merchant, &perk, last.map(|it| it.version), 200).await
                };
                let versions = all_pages(200, page).await?;
                let people = versions.iter().flat_map(RuleVersion::people).map(str::to_owned).collect();
                Ok((versions, gateway.directory.labels_of(merchant, people).await?))
            })?;
            let versions = versions.into_iter().map(|version| version_shown(perk.clone(), version, &labels));
            let versions = versions.collect::<Result<_, _>>()?;
            invocation.output.show(&History { perk, versions })?;
            Ok(Completion::Succeeded)
        }
    }
}

fn step(of: OfVersion, step: VersionStep, invocation: &Invocation) -> Result<Completion, CliError> {
    let OfVersion { of: OfPerk { perk, merchant, note }, version } = of;
    let done = on(&merchant, invocation, async |gateway, merchant| {
        let number = match version {
            Some(number) => number,
            None => meant(gateway, merchant, &perk, &step).await?,
        };
        let taken = Taken { step, note, expected: Expected::Anything };
        match gateway.catalog.step(merchant, ACTOR, &perk, number, taken).await {
            Err(error @ PerkError::ApprovalRequired) => {
                let version = gateway.catalog.find_version(merchant, &perk, number).await?;
                Err(unapproved(error, &perk, Some(&version)))
            }
            done => Stepped::of(gateway, merchant, done?).await,
        }
    })?;
    invocation.output.show(&done)?;
    Ok(Completion::Succeeded)
}

/// The version that is meant where none is named: the one that is scheduled, to take its schedule back; otherwise the
/// newest.
async fn meant(gateway: &Gateway, merchant: &MerchantId, slug: &PerkSlug, step: &VersionStep) -> Result<i32, CliError> {
    if *step == VersionStep::Unschedule {
        let perk = gateway.catalog.find_perk(merchant, slug).await?;
        if let Some(scheduled) = gateway.catalog.list_schedules(merchant).await?.remove(&perk.id) {
            return Ok(scheduled.version);
        }
    }
    let latest = gateway.catalog.latest_version(merchant, slug).await?;
    Ok(latest.ok_or_else(|| CliError::NoVersion(slug.clone()))?.version)
}

fn stand(
    of: OfPerk,
    status: PerkStatus,
    confirmation: Option<Confirmation>,
    invocation: &Invocation,
) -> Result<Completion, CliError> {
    let OfPerk { perk, merchant, note } = of;
    let perk = on(&merchant, invocation, async |gateway, merchant| {
        if let Some(confirmation) = confirmation {
            let found = gateway.catalog.find_perk(merchant, &perk).await?;
            confirmation.ask(&format!("retire `{perk}`, {}, for good", found.name))?;
        }
        Ok(gateway.catalog.set_status(merchant, ACTOR, &perk, status, note).await?)
    })?;
    invocation.output.show(&StatusSet { status: perk.shown_status(), perk: perk.slug })?;
    Ok(Completion::Succeeded)
}

fn on<T>(
    merchant: &MerchantFlag,
    invocation: &Invocation,
    work: impl AsyncFnOnce(&Gateway, &MerchantId) -> Result<T, CliError>,
) -> Result<T, CliError> {
    invocation.with_gateway(Needs::Existing, async |gateway| {
        let merchant = once::merchant(gateway, merchant).await?;
        work(gateway, &merchant.id).await
    })
}

/// Why `version` can't be published: what is to be done depends on how far it has come.
pub(crate) fn unapproved(error: PerkError, perk: &PerkSlug, version: Option<&RuleVersion>) -> CliError {
    match (error, version) {
        (PerkError::ApprovalRequired, Some(RuleVersion { version, status, .. })) => {
            CliError::Unapproved { perk: perk.clone(), version: *version, status: *status }
        }
        (other, _) => other.into(),
    }
}
