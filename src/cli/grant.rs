//! `perkgate grant`: shows a grant, corrects who came by it, ends it because the guest has left, or takes it back.

use std::fmt;

use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use super::error::CliError;
use super::once::{self, ACTOR, MerchantFlag, Needs};
use super::output::confirmation::Confirmation;
use super::output::{write_line, write_part};
use super::{Completion, Invocation};
use crate::eligibility::grants::{CorrectionRequest, GrantShown, GrantStatus};
use crate::eligibility::shown::explanation::{CorrectedPartyShown, GuestsShown};
use crate::foundation::ids::MAX_NOTE;
use crate::foundation::ids::{self, CheckId, GrantId, PerkSlug};
use crate::ledger::grants::ending::{GrantRevocation, Leaving, ReturnError, RevokedGrants};
use crate::rules::tier::party::{MAX_PARTY, Party};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show what was granted and what became of it.
    Show(OfGrant),
    /// Correct who came by a grant: within 10 minutes of it, or of a door first taking its token.
    ///
    /// They count in the counters and windows that the check touched: fewer always, more only with room there. The token
    /// goes on saying what was granted.
    Correct {
        #[command(flatten)]
        of: OfGrant,
        /// How many adults came, the person included.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
        adults: u64,
        /// The ages of the children who came with them, in years: `1,7`.
        #[arg(long, value_name = "AGE", value_delimiter = ',', value_parser = clap::value_parser!(u8).range(..18))]
        children: Vec<u8>,
        /// Why. It is sealed under the person's key: erasing them destroys it.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// End a grant because the guest has left: its place is free, and its token opens no door any more.
    Release(OfGrant),
    /// Take a mistaken or abused grant back: its token opens no door any more.
    ///
    /// What it used of limits is given back, unless a door has taken it. A door that verifies offline doesn't see it.
    Void {
        #[command(flatten)]
        of: OfGrant,
        /// Why. It is sealed under the person's key: erasing them destroys it.
        #[arg(long, value_name = "TEXT")]
        note: String,
        /// Leave what it used of limits used, as after an abuse.
        #[arg(long)]
        keep_uses: bool,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

#[derive(clap::Args)]
struct OfGrant {
    /// The grant's id (`grt_…`).
    #[arg(value_name = "GRANT")]
    grant: GrantId,
    #[command(flatten)]
    merchant: MerchantFlag,
}

#[derive(Serialize)]
struct Shown {
    grant: GrantId,
    check: CheckId,
    perk: PerkSlug,
    tier: Option<String>,
    rule_version: i32,
    status: GrantStatus,
    single_use: bool,
    party: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    guests: Option<GuestsShown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    corrected: Option<CorrectedPartyShown>,
    granted_at: Timestamp,
    token_expires_at: Timestamp,
    redeemed_at: Vec<Timestamp>,
    ended_at: Option<Timestamp>,
    location: Option<String>,
    kiosk: Option<String>,
    note: Option<String>,
}

impl From<GrantShown> for Shown {
    fn from(it: GrantShown) -> Self {
        Self {
            grant: it.grant,
            check: it.check,
            perk: it.perk,
            tier: it.tier,
            rule_version: it.rule_version,
            status: it.status,
            single_use: it.single_use,
            party: it.granted.party,
            guests: it.granted.guests.map(Into::into),
            corrected: it.corrected.map(Into::into),
            granted_at: it.granted_at,
            token_expires_at: it.token_expires_at,
            redeemed_at: it.redeemed_at,
            ended_at: it.ended_at,
            location: it.location,
            kiosk: it.kiosk,
            note: it.note,
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { grant, check, perk, rule_version, granted_at, token_expires_at, .. } = self;
        let tier = self.tier.as_ref().map(|tier| format!(", tier {tier}")).unwrap_or_default();
        write_line!(f, "{grant}: {}", self.status.as_str())?;
        write_line!(f, "  {perk}{tier}, version {rule_version}, by {check}")?;
        write_line!(f, "  granted {granted_at}, its token is good until {token_expires_at}")?;
        if let Some(guests) = &self.guests {
            write_line!(f, "  party of {}; {guests}", self.party)?;
        }
        if let Some(CorrectedPartyShown { party, guests }) = &self.corrected {
            let guests = guests.map(|guests| format!("; {guests}")).unwrap_or_default();
            write_line!(f, "  corrected to a party of {party}{guests}")?;
        }
        let places = [("at", &self.location), ("asked by", &self.kiosk)];
        for (word, place) in places.into_iter().filter_map(|(word, place)| Some((word, place.as_ref()?))) {
            write_line!(f, "  {word} {place}")?;
        }
        self.redeemed_at.iter().try_for_each(|at| write_line!(f, "  redeemed {at}"))?;
        if let Some(at) = self.ended_at {
            write_line!(f, "  ended {at}")?;
        }
        match &self.note {
            Some(note) => write_line!(f, "  {note}"),
            None => Ok(()),
        }
    }
}

#[derive(Serialize)]
struct Released {
    grant: GrantId,
    released_at: Timestamp,
}

impl fmt::Display for Released {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_part!(f, "{} is released since {}", self.grant, self.released_at)
    }
}

#[derive(Serialize)]
struct VoidResult {
    grant: GrantId,
    voided: u64,
    redeemed: u64,
    released: u64,
    already_voided: u64,
    /// True if others are left to void: never, as one grant is meant.
    more: bool,
}

impl VoidResult {
    fn of(grant: GrantId, taken: RevokedGrants) -> Self {
        let RevokedGrants { voided, redeemed, released, already } = taken;
        Self { grant, voided, redeemed, released, already_voided: already, more: false }
    }
}

impl fmt::Display for VoidResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grant = &self.grant;
        match self {
            Self { voided: 0, .. } => write_part!(f, "{grant} had been voided before: nothing was done"),
            Self { redeemed: 1.., .. } => {
                write_part!(f, "{grant} is voided; a door had taken it, and what it used of limits remains used")
            }
            Self { released: 1.., .. } => write_part!(f, "{grant} is voided; it had been released before"),
            _ => write_part!(f, "{grant} is voided"),
        }
    }
}

pub(super) fn run(args: Args, invocation: &Invocation) -> Result<Completion, CliError> {
    match args.action {
        Action::Show(OfGrant { grant, merchant }) => {
            let shown = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?;
                let found = gateway.checker.find_grant(&merchant.id, &grant).await?;
                found.ok_or_else(|| CliError::absent("grant", grant.as_str()))
            })?;
            invocation.output.show(&Shown::from(shown))?;
        }
        Action::Release(OfGrant { grant, merchant }) => {
            let released_at = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?;
                let leaving = Leaving { actor: ACTOR, location: None, kiosk: None, audience: None };
                gateway.ledger.release_grant(&merchant.id, &grant, leaving).await.map_err(|error| match error {
                    ReturnError::NotFound => CliError::absent("grant", grant.as_str()),
                    other => other.into(),
                })
            })?;
            invocation.output.show(&Released { grant, released_at })?;
        }
        Action::Correct { of: OfGrant { grant, merchant }, adults, children, reason } => {
            let reason = ids::label(&reason, MAX_NOTE).map_err(CliError::Note)?;
            let size = adults.saturating_add(u64::try_from(children.len()).unwrap_or(u64::MAX));
            let party = Party::recorded(size, children).filter(|party| party.size() <= MAX_PARTY.unsigned_abs());
            let party = party.ok_or(CliError::PartyTooLarge)?;
            let request = CorrectionRequest { party, reason, expected: None };
            let shown = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?;
                let found = gateway.checker.find_grant(&merchant.id, &grant).await?;
                let found = found.ok_or_else(|| CliError::absent("grant", grant.as_str()))?;
                Ok(gateway.checker.correct_grant(ACTOR, (None, None), &merchant, found, request).await?)
            })?;
            invocation.output.show(&Shown::from(shown))?;
        }
        Action::Void { of: OfGrant { grant, merchant }, note, keep_uses, confirmation } => {
            let note = ids::label(&note, MAX_NOTE).map_err(CliError::Note)?;
            let taken = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?;
                if gateway.checker.find_grant(&merchant.id, &grant).await?.is_none() {
                    return Err(CliError::absent("grant", grant.as_str()));
                }
                confirmation.ask(&format!("take {grant} back for good"))?;
                let taking = GrantRevocation { actor: ACTOR, note, keep_uses };
                Ok(gateway.ledger.void_grants(&merchant.id, vec![grant.clone()], taking).await?)
            })?;
            invocation.output.show(&VoidResult::of(grant, taken))?;
        }
    }
    Ok(Completion::Succeeded)
}
