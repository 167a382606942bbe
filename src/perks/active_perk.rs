//! A perk as checks know it, from memory: which version decides, and its rule once it has been read.

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;

use super::closures::Closure;
use super::error::PerkError;
use super::perk::PerkStatus;
use crate::foundation::ids::{PerkId, PerkSlug};
use crate::ledger::entry::DecidingRule;
use crate::rules::rule::{Rule, UnreadableRule};

/// The rule that decides about a perk, parsed and ready.
#[derive(Debug)]
pub struct Deciding {
    pub version: i32,
    pub rule: Arc<Rule>,
    pub hash: Arc<str>,
}

impl Deciding {
    /// The same, as a check of the perk names it.
    #[must_use]
    pub fn of_perk<'a>(&'a self, perk: &'a PerkId, slug: &'a PerkSlug) -> DecidingRule<'a> {
        DecidingRule { perk, slug, version: self.version, hash: self.hash.clone(), rule: &self.rule }
    }
}

/// A version that decides or will. Its rule is read when it is first needed, and then kept: most of a hundred
/// thousand perks are not asked about, and a parsed rule is ten times as large as this.
#[derive(Debug)]
pub struct ActiveVersion {
    pub version: i32,
    pub(super) hash: Arc<str>,
    rule: OnceLock<Result<Arc<Deciding>, UnreadableRule>>,
}

impl ActiveVersion {
    pub(super) fn new(version: i32, hash: Arc<str>) -> Self {
        Self { version, hash, rule: OnceLock::new() }
    }

    /// Its rule, if it has been read: as an error where this build can't read it.
    pub(super) fn known(&self, perk: &PerkSlug) -> Option<Result<Arc<Deciding>, PerkError>> {
        let read = self.rule.get()?;
        Some(read.clone().map_err(|error| PerkError::unreadable(perk.as_str(), error)))
    }

    pub(super) fn is_known(&self) -> bool {
        self.rule.get().is_some()
    }

    /// Reads its rule from the stored text, whose hash it has been found to have; a second call changes nothing.
    pub(super) fn read(&self, perk: &str, rule: &str) {
        self.rule.get_or_init(|| match Rule::of_version(rule, &self.hash, perk) {
            Ok(rule) => Ok(Arc::new(Deciding { version: self.version, rule: Arc::new(rule), hash: self.hash.clone() })),
            // It decides nothing: the version before it would be a lie.
            Err(error) => {
                tracing::error!(%error, perk, version = self.version, "a perk's rule can't be read");
                Err(error)
            }
        });
    }
}

/// A perk as checks need to know it.
#[derive(Debug, Clone)]
pub struct ActivePerk {
    pub id: PerkId,
    pub slug: PerkSlug,
    pub status: PerkStatus,
    /// The published version; none while nothing is.
    pub deciding: Option<Arc<ActiveVersion>>,
    /// The version that decides from an instant on.
    pub scheduled: Option<(Timestamp, Arc<ActiveVersion>)>,
    /// Places that are closed, or were.
    pub closures: Vec<Arc<Closure>>,
}

impl ActivePerk {
    /// The version that decides at `now`. Nothing needs to happen at the instant of a scheduled version: every
    /// replica that knows of it changes over by itself.
    #[must_use]
    pub fn deciding_at(&self, now: Timestamp) -> Option<&Arc<ActiveVersion>> {
        if self.status == PerkStatus::Retired {
            return None;
        }
        let scheduled = self.scheduled.as_ref().filter(|(from, _)| *from <= now).map(|(_, deciding)| deciding);
        scheduled.or(self.deciding.as_ref())
    }

    /// The versions that decide or will.
    pub(super) fn versions(&self) -> impl Iterator<Item = &Arc<ActiveVersion>> {
        self.deciding.iter().chain(self.scheduled.iter().map(|(_, version)| version))
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest;

    use super::*;
    use crate::foundation::json::Json;
    use crate::foundation::subject::hex;

    fn active(version: i32) -> Arc<ActiveVersion> {
        Arc::new(ActiveVersion::new(version, "x".into()))
    }

    #[test]
    fn a_scheduled_version_decides_from_its_instant_on() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let perk = ActivePerk {
            id: "prk_00000000000070008000000000000001".parse().unwrap(),
            slug: "x".parse().unwrap(),
            status: PerkStatus::Active,
            deciding: Some(active(1)),
            scheduled: Some((at(100), active(2))),
            closures: Vec::new(),
        };
        let decides = |perk: &ActivePerk, second| perk.deciding_at(at(second)).map(|it| it.version);
        assert_eq!([99, 100, 101].map(|second| decides(&perk, second)), [Some(1), Some(2), Some(2)]);
        let first = ActivePerk { deciding: None, ..perk.clone() };
        assert_eq!([99, 100].map(|second| decides(&first, second)), [None, Some(2)]);
        let paused = ActivePerk { status: PerkStatus::Paused, ..perk.clone() };
        assert_eq!(decides(&paused, 100), Some(2), "it is denied, and by the rule that stands");
        let retired = ActivePerk { status: PerkStatus::Retired, ..perk };
        assert_eq!(decides(&retired, 100), None);
    }

    #[test]
    fn a_rule_is_read_once_and_one_that_cannot_be_read_says_why() {
        let slug: PerkSlug = "x".parse().unwrap();
        let read = |hash: &str, rule: &str| {
            let version = ActiveVersion::new(3, hash.into());
            assert!(version.known(&slug).is_none() && !version.is_known());
            version.read("x", rule);
            version.read("x", "{}");
            version.known(&slug).unwrap()
        };
        let json = Json::parse(r#"{"at_least":40,"score":"klout"}"#).unwrap();
        let rule = Rule::parse(&json, "x").unwrap();
        let deciding = read(rule.hash(), rule.canonical()).unwrap();
        assert_eq!((deciding.version, &*deciding.rule), (3, &rule));
        assert!(matches!(read(rule.hash(), "{}"), Err(PerkError::Database(_))), "it is damaged");
        let later = r#"{"later":true}"#;
        let hash = format!("sha256:{}", hex(digest::digest(&digest::SHA256, later.as_bytes()).as_ref()));
        assert!(matches!(read(&hash, later), Err(PerkError::RuleNewer { .. })));
    }
}
