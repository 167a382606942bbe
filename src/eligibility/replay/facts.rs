//! The facts that a check of the past was decided by, as it recorded them.

use jiff::Timestamp;

use crate::database::DatabaseError;
use crate::decision::facts::{Context, Facts, ScoreFact};
use crate::decision::rollout::rollout_bucket;
use crate::foundation::ids::{PerkId, SourceName};
use crate::foundation::json::Json;
use crate::ledger::read::decisions::{PastCheck, PastPersonal};
use crate::rules::attribute::{Attribute, PARTY};
use crate::rules::rule::Rule;

/// The facts of then, as the checker had them.
pub(in crate::eligibility) fn facts_of(
    (rule, perk): (&Rule, &PerkId),
    check: &PastCheck,
    personal: &PastPersonal,
) -> Result<Facts, DatabaseError> {
    let mut members = match &personal.context {
        Json::Object(members) => members.clone(),
        _ => return Err(DatabaseError::corrupt("check event", "context")),
    };
    members.retain(|(name, _)| name != PARTY);
    let context = Context::stored(&Json::Object(members)).map_err(|errors| {
        DatabaseError::corrupt("context", errors.into_iter().map(|error| error.detail).next().unwrap_or_default())
    })?;
    let score = check.decided.score.as_ref().filter(|_| rule.looks_at_score());
    Ok(Facts {
        score: score.map(|score| ScoreFact { value: score.value, observed_at: score.observed_at }),
        network: personal.network.clone(),
        context: context.with_party(check.party.clone()).in_zone(rule.time_zone()),
        rollout_bucket: Some(rollout_bucket(perk, &personal.subject)),
        location: check.location.clone(),
        // Those that a closed place denied are not replayed.
        closed_until: None,
    })
}

/// Tells whether the rule asks how full the place was, and nobody recorded it of the check.
pub(super) fn lacks_occupancy(rule: &Rule, facts: &Facts, at: Timestamp) -> bool {
    rule.looks_at_occupancy() && facts.value(&Attribute::Occupancy, at).is_none()
}

/// Where the score came from that a check by this rule was recorded with.
pub(super) fn source_of(rule: &Rule) -> Option<&SourceName> {
    rule.score().filter(|_| rule.looks_at_score()).map(|policy| &policy.source)
}
