//! `perkgate check`: asks as a kiosk would, and says why. Nothing is recorded and no token is made: the command line has
//! no key, and a grant belongs to one.

use std::fmt;
use std::time::{Duration, Instant};

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use serde::Serialize;

use super::error::CliError;
use super::once::{self, MerchantFlag, Needs};
use super::output::guest_words::{LanguageFlag, write_reasons};
use super::output::limits_left::LimitsLeft;
use super::output::write_line;
use super::perk::simulate::{PartyArgs, PassArgs, read_context};
use super::{Completion, Invocation};
use crate::access::{Permission, Principal, Role};
use crate::eligibility::checker::Question;
use crate::eligibility::shown::check::CheckShown;
use crate::eligibility::shown::explanation::ScoreShown;
use crate::foundation::ids::{KeyId, PerkSlug};
use crate::foundation::subject::{SubjectError, SubjectHandle};
use crate::gateway::Gateway;

/// The longest time the answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub(super) struct Args {
    #[arg(value_name = "PERK", help = "The perk's short name, as `perk list` shows it")]
    perk: PerkSlug,
    /// The person: `network:handle` or a member number. Without it, the boarding pass names them.
    #[arg(value_name = "SUBJECT", required_unless_present = "boarding_pass")]
    subject: Option<SubjectHandle>,
    #[command(flatten)]
    merchant: MerchantFlag,
    /// The context that the visitor brings, as a JSON object: '{"terminal":"A","party":2}'.
    #[arg(long, value_name = "JSON")]
    context: Option<String>,
    #[command(flatten)]
    party: PartyArgs,
    #[command(flatten)]
    pass: PassArgs,
    #[arg(long, value_name = "NAME", help = "Where the check would be made")]
    location: Option<String>,
    #[arg(long, value_name = "NAME", help = "The kiosk that would ask")]
    kiosk: Option<String>,
    #[command(flatten)]
    language: LanguageFlag,
    /// Whose answer is shown: an admin sees scores and gaps, a kiosk sees neither.
    #[arg(long, default_value = "admin", value_parser = PossibleValuesParser::new(["admin", "kiosk"]).try_map(|text| text.parse::<Role>()))]
    role: Role,
}

/// The answer, as the role may see it.
#[derive(Serialize)]
#[serde(transparent)]
struct DryRun(CheckShown);

impl fmt::Display for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(answer) = self;
        let tier = answer.tier.as_ref().map(|tier| format!(" ({tier})")).unwrap_or_default();
        let (perk, version) = (&answer.perk, answer.rule_version);
        write_line!(f, "{}{tier}: {perk}, version {version}; nothing was recorded", answer.decision.as_str())?;
        write_reasons(f, &answer.reasons, &answer.offers)?;
        if let Some(ScoreShown { source, value, observed_at, fresh, .. }) = &answer.score {
            let value = value.map(|value| format!(" {value}")).unwrap_or_default();
            let age = if *fresh { "fresh" } else { "stale" };
            write_line!(f, "  score{value} from {source}, observed {observed_at}, {age}")?;
        }
        LimitsLeft::from(answer).fmt(f)
    }
}

pub(super) fn run(args: Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let Args { perk, subject, merchant, context, party, pass, location, kiosk, language, role } = args;
    let (boarding_pass, airports) = pass.read()?;
    let context = party.with(read_context(context.as_deref())?)?;
    let answer = invocation.with_gateway(Needs::Existing, async |gateway: &Gateway| {
        let merchant = once::merchant(gateway, &merchant).await?;
        // A dry run records nothing, so no key is ever named.
        let key = KeyId::new(gateway.clock.now(), &gateway.entropy);
        let visitor = || boarding_pass.as_ref().map(|pass| gateway.keyring.visitor(&merchant.id, pass));
        let Some(subject) = subject.or_else(visitor) else { return Err(CliError::Handle(SubjectError::Empty)) };
        let caller = Principal {
            key,
            role,
            merchant: Some(merchant.clone()),
            location,
            kiosk,
            audience: None,
            airports,
            origins: Vec::new(),
        };
        let deadline = Instant::now() + PATIENCE;
        let question = Question { perk, subject, context, boarding_pass, dry_run: true, idempotency: None, deadline };
        let answer = gateway.checker.check(&caller, &merchant, question).await?;
        let deciding = gateway.checker.rule_behind(&merchant, &answer).await;
        let closure = gateway.checker.words_of_closure_behind(&merchant, &answer).await;
        let shown = CheckShown::of(answer, role.may(Permission::ReadScores));
        let shown = shown.for_guests(deciding.as_ref().map(|it| &*it.rule), &language.languages);
        Ok(shown.with_closure(closure.as_ref(), &language.languages))
    })?;
    invocation.output.show(&DryRun(answer))?;
    Ok(Completion::Succeeded)
}
