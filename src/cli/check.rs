//! `perkgate check`: asks as a kiosk would, and says why. Nothing is recorded and no token is made: the command line has
//! no key, and a grant belongs to one.

use std::fmt;
use std::time::{Duration, Instant};

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use jiff::Timestamp;
use serde::Serialize;

use super::error::CliError;
use super::once::{self, MerchantFlag, Needs};
use super::output::limits_left::LimitsLeft;
use super::output::write_line;
use super::perk::simulate::read_context;
use super::{Completion, Invocation};
use crate::access::{Permission, Principal, Role};
use crate::decision::decide::Decision;
use crate::decision::decided::ScoreSeen;
use crate::decision::reason::Reason;
use crate::eligibility::checker::{Answer, Question};
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{KeyId, PerkSlug, SourceName};
use crate::foundation::subject::SubjectHandle;
use crate::gateway::Gateway;

/// The longest time the answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub(super) struct Args {
    #[arg(value_name = "PERK", help = "The perk's short name, as `perk list` shows it")]
    perk: PerkSlug,
    /// The person: `network:handle` or a member number.
    #[arg(value_name = "SUBJECT")]
    subject: SubjectHandle,
    #[command(flatten)]
    merchant: MerchantFlag,
    /// The context that the visitor brings, as a JSON object: '{"terminal":"A","party":2}'.
    #[arg(long, value_name = "JSON")]
    context: Option<String>,
    #[arg(long, value_name = "NAME", help = "Where the check would be made")]
    location: Option<String>,
    #[arg(long, value_name = "NAME", help = "The kiosk that would ask")]
    kiosk: Option<String>,
    /// Whose answer is shown: an admin sees scores and gaps, a kiosk sees neither.
    #[arg(long, default_value = "admin", value_parser = PossibleValuesParser::new(["admin", "kiosk"]).try_map(|text| text.parse::<Role>()))]
    role: Role,
}

/// The answer, as the role may see it.
#[derive(Serialize)]
struct Checked {
    dry_run: bool,
    role: Role,
    decision: Decision,
    perk: PerkSlug,
    rule_version: i32,
    tier: Option<String>,
    reasons: Vec<ReasonView>,
    score: Option<ScoreView>,
    #[serde(flatten)]
    limits: LimitsLeft,
}

#[derive(Serialize)]
struct ReasonView {
    #[serde(flatten)]
    reason: Reason,
    message: String,
}

#[derive(Serialize)]
struct ScoreView {
    source: SourceName,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Decimal>,
    observed_at: Timestamp,
    fresh: bool,
}

impl Checked {
    fn of(answer: Answer, role: Role) -> Self {
        let reads_scores = role.may(Permission::ReadScores);
        let reasons = answer.visible_reasons(reads_scores).into_iter();
        let score = |ScoreSeen { source, value, observed_at, fresh, .. }: ScoreSeen| ScoreView {
            source,
            value: reads_scores.then_some(value),
            observed_at,
            fresh,
        };
        let (decided, limits) = (&answer.decided, LimitsLeft::from(&answer.decided));
        Self {
            dry_run: true,
            role,
            decision: decided.decision,
            perk: answer.perk,
            rule_version: answer.rule_version,
            tier: decided.tier.clone(),
            reasons: reasons.map(|reason| ReasonView { message: reason.message(), reason }).collect(),
            score: decided.score.clone().map(score),
            limits,
        }
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tier = self.tier.as_ref().map(|tier| format!(" ({tier})")).unwrap_or_default();
        let (perk, version) = (&self.perk, self.rule_version);
        write_line!(f, "{}{tier}: {perk}, version {version}; nothing was recorded", self.decision.as_str())?;
        self.reasons.iter().try_for_each(|reason| write_line!(f, "  {}", reason.message))?;
        if let Some(ScoreView { source, value, observed_at, fresh }) = &self.score {
            let value = value.map(|value| format!(" {value}")).unwrap_or_default();
            let age = if *fresh { "fresh" } else { "stale" };
            write_line!(f, "  score{value} from {source}, observed {observed_at}, {age}")?;
        }
        self.limits.fmt(f)
    }
}

pub(super) fn run(args: Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let Args { perk, subject, merchant, context, location, kiosk, role } = args;
    let context = read_context(context.as_deref())?;
    let answer = invocation.with_gateway(Needs::Existing, async |gateway: &Gateway| {
        let merchant = once::merchant(gateway, &merchant).await?;
        // A dry run records nothing, so no key is ever named.
        let key = KeyId::new(gateway.clock.now(), &gateway.entropy);
        let merchant_of = Some(merchant.clone());
        let caller =
            Principal { key, role, merchant: merchant_of, location, kiosk, audience: None, origins: Vec::new() };
        let deadline = Instant::now() + PATIENCE;
        let question = Question { perk, subject, context, dry_run: true, idempotency: None, deadline };
        Ok(gateway.checker.check(&caller, &merchant, question).await?)
    })?;
    invocation.output.show(&Checked::of(answer, role))?;
    Ok(Completion::Succeeded)
}
