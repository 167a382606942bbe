//! The answer to one item of a door's report.

use jiff::Timestamp;
use serde::Serialize;

use crate::eligibility::late_reports::{LateFault, LateOutcome};
use crate::foundation::ids::{GrantId, PerkSlug};
use crate::ledger::door::Meanwhile;

/// The outcome of an item.
#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum LateShown {
    Recorded {
        grant: GrantId,
        perk: PerkSlug,
        tier: String,
        redeemed_at: Timestamp,
        heard_at: Option<Timestamp>,
        #[serde(skip_serializing_if = "Option::is_none")]
        meanwhile: Option<&'static str>,
    },
    Duplicate {
        grant: GrantId,
        door: String,
        redeemed_at: Timestamp,
    },
    Refused {
        code: &'static str,
        detail: String,
    },
}

impl From<LateOutcome> for LateShown {
    fn from(outcome: LateOutcome) -> Self {
        match outcome {
            LateOutcome::Recorded(spent) => Self::Recorded {
                grant: spent.redemption.grant,
                perk: spent.perk,
                tier: spent.tier,
                redeemed_at: spent.redemption.redeemed_at,
                heard_at: spent.redemption.heard_at,
                meanwhile: spent.redemption.meanwhile.map(Meanwhile::as_str),
            },
            LateOutcome::Duplicate { grant, first } => {
                Self::Duplicate { grant, door: first.door, redeemed_at: first.redeemed_at }
            }
            LateOutcome::Refused(fault) => {
                let code = match &fault {
                    LateFault::Item(_) => "invalid_item",
                    LateFault::Token(error) => error.slug(),
                    LateFault::Report(error) => error.slug(),
                };
                Self::Refused { code, detail: sentence(&fault.to_string()) }
            }
        }
    }
}

/// The words with a capital and one full stop.
fn sentence(words: &str) -> String {
    let words = words.trim_end_matches('.');
    let mut rest = words.chars();
    let first: String = rest.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", rest.as_str())
}
