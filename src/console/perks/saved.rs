//! The line under a draft that says when it was saved, and by whom.

use std::collections::BTreeSet;

use crate::access::role::permit::ManagePerks;
use crate::console::caller::Caller;
use crate::console::words::{When, zone_of};
use crate::foundation::json::Json;
use crate::gateway::Gateway;
use crate::perks::perk::{RuleVersion, VersionStatus};
use crate::web::problem::Problem;

/// The last time that a draft was saved, in its own zone.
pub(super) struct Saved {
    pub at: When,
    pub by: String,
}

impl Saved {
    /// None where the version is no draft, or nobody noted it.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn of(
        gateway: &Gateway,
        caller: &Caller<ManagePerks>,
        version: &RuleVersion,
    ) -> Result<Option<Self>, Problem> {
        let Some(saved) = version.saved.as_ref().filter(|_| version.status == VersionStatus::Draft) else {
            return Ok(None);
        };
        let by =
            if saved.by == caller.key.as_str() { "you".to_owned() } else { label(gateway, caller, &saved.by).await? };
        let rule = Json::parse(&version.rule).unwrap_or(Json::Null);
        let zone = zone_of(rule.member("time_zone").and_then(Json::as_text).unwrap_or("UTC"));
        Ok(Some(Self { at: When::of(saved.at, &zone, gateway.clock.now()), by }))
    }
}

/// The label of a key, as pages call who acts under it.
///
/// # Errors
/// The database's.
pub(super) async fn label(gateway: &Gateway, caller: &Caller<ManagePerks>, key: &str) -> Result<String, Problem> {
    let labels = gateway.directory.labels_of(&caller.merchant()?.id, BTreeSet::from([key.to_owned()])).await?;
    Ok(labels.get(key).cloned().unwrap_or_else(|| key.to_owned()))
}
