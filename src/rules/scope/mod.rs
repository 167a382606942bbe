//! Scopes: whose uses a limit counts together, and the keys of their counters. Boarding passes and members of the context
//! are known by digests only.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::attribute::{BOARDING_PASS, PARTY, is_context_name};
use crate::foundation::document::{FieldErrors, Node};
use crate::foundation::json::push_pointer;
use crate::foundation::subject::Pseudonym;

/// The most parts of a scope.
pub(crate) const MAX_SCOPES: usize = 10;

/// One part of what a counter is kept for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Subject,
    /// The perk as a whole.
    Perk,
    Tier,
    /// The API key's location.
    Location,
    /// The API key's kiosk.
    Kiosk,
    /// The merchant: limits of one id count together over all its perks, unless `perk` is there too.
    Merchant,
    /// The boarding pass that was shown: known to the counter by a digest.
    BoardingPass,
    /// A member of the context, by its name: known to the counter by a digest of its value.
    Context(String),
}

/// The counter's scope, with a blank for the subject, whose pseudonym only the ledger knows, and the month in the place
/// of a digest, which only the ledger can make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeKey(Vec<(Scope, String)>);

impl ScopeKey {
    /// Makes it of the parts with their values, in their order.
    pub(super) fn of(parts: impl Iterator<Item = (Scope, String)>) -> Self {
        Self(parts.collect())
    }

    /// Tells whether the counter is one person's own.
    #[must_use]
    pub fn is_personal(&self) -> bool {
        self.0.iter().any(|(scope, _)| *scope == Scope::Subject)
    }

    /// The key with the subject and the digests filled in; two scopes have the same key only if they are the same.
    ///
    /// # Errors
    /// [`MissingDigest`]: without it another visit would be counted in its place.
    pub fn resolve(&self, subject: &Pseudonym, digests: &ScopeDigests) -> Result<String, MissingDigest> {
        let mut key = String::new();
        for (scope, value) in &self.0 {
            push_pointer(&mut key, &scope.name());
            match scope {
                Scope::Perk => {}
                Scope::Subject => push_pointer(&mut key, subject.as_str()),
                Scope::BoardingPass | Scope::Context(_) => {
                    let missing = || MissingDigest { scope: scope.name().into_owned(), month: value.clone() };
                    push_pointer(&mut key, digests.find(&scope.name(), value).ok_or_else(missing)?);
                }
                _ => push_pointer(&mut key, value),
            }
        }
        Ok(key)
    }

    /// The scopes that are known by a digest, each with its month.
    pub fn digested(&self) -> impl Iterator<Item = (&Scope, &str)> {
        self.0.iter().filter(|(scope, _)| scope.is_digested()).map(|(scope, month)| (scope, month.as_str()))
    }
}

/// The digests that stand for what a check brought, by scope and month: HMACs under a secret of merchant and month, which
/// name nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeDigests(BTreeMap<(String, String), String>);

impl ScopeDigests {
    /// Adds one.
    pub fn insert(&mut self, scope: String, month: String, digest: String) {
        self.0.insert((scope, month), digest);
    }

    /// The digest of a scope under the secret of a month: that of another month stands for another counter.
    #[must_use]
    pub fn find(&self, scope: &str, month: &str) -> Option<&str> {
        self.0.get(&(scope.to_owned(), month.to_owned())).map(String::as_str)
    }

    /// The scopes of these counters that there is no digest of.
    pub(crate) fn lacking<'a>(&self, counters: impl Iterator<Item = &'a ScopeKey>) -> BTreeSet<&'a Scope> {
        let scopes = counters.flat_map(ScopeKey::digested);
        scopes.filter(|(scope, month)| self.find(&scope.name(), month).is_none()).map(|(scope, _)| scope).collect()
    }

    /// Scope, month and digest of each, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.0.iter().map(|((scope, month), digest)| (scope.as_str(), month.as_str(), digest.as_str()))
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The month of the boarding pass that was shown.
    #[must_use]
    pub fn pass_month(&self) -> Option<&str> {
        self.iter().find(|(scope, ..)| *scope == BOARDING_PASS).map(|(_, month, _)| month)
    }
}

/// Tells whether all perks of the merchant share the counter of this resolved scope: it names the merchant
/// and no perk. A scope is `/NAME/VALUE` for each of its parts, in which `/` and `~` are escaped;
/// `/perk` has no value.
#[must_use]
pub fn is_across_perks(scope: &str) -> bool {
    let mut steps = scope.split('/').skip(1);
    let (mut has_merchant, mut has_perk) = (false, false);
    while let Some(name) = steps.next() {
        match name {
            "perk" => has_perk = true,
            name => {
                has_merchant |= name == "merchant";
                let _value = steps.next();
            }
        }
    }
    has_merchant && !has_perk
}

/// A counter that can't be named: there is no digest of what its scope stands for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no digest of {scope} for {month}")]
pub struct MissingDigest {
    pub scope: String,
    pub month: String,
}

impl Scope {
    /// Those that have one name for all rules.
    pub(crate) const FIXED: [Self; 7] =
        [Self::Subject, Self::Perk, Self::Tier, Self::Location, Self::Kiosk, Self::Merchant, Self::BoardingPass];

    /// As rules and keys of counters write it.
    #[must_use]
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            Self::Subject => "subject".into(),
            Self::Perk => "perk".into(),
            Self::Tier => "tier".into(),
            Self::Location => "location".into(),
            Self::Kiosk => "kiosk".into(),
            Self::Merchant => "merchant".into(),
            Self::BoardingPass => BOARDING_PASS.into(),
            Self::Context(name) => format!("context.{name}").into(),
        }
    }

    /// Tells whether counters know it by a digest only.
    #[must_use]
    pub const fn is_digested(&self) -> bool {
        matches!(self, Self::BoardingPass | Self::Context(_))
    }

    /// The member of the context that it counts by.
    pub(crate) fn member(&self) -> Option<&str> {
        match self {
            Self::Context(name) => Some(name),
            Self::Subject
            | Self::Perk
            | Self::Tier
            | Self::Location
            | Self::Kiosk
            | Self::Merchant
            | Self::BoardingPass => None,
        }
    }

    fn named(name: &str) -> Option<Self> {
        let context = || name.strip_prefix("context.").filter(|name| is_context_name(name) && *name != PARTY);
        let fixed = Self::FIXED.into_iter().find(|scope| scope.name() == name);
        fixed.or_else(|| context().map(|name| Self::Context(name.to_owned())))
    }

    /// Sorted, so that writing the same scope in another order doesn't begin a new counter.
    pub(super) fn read(node: &Node<'_>, errors: &mut FieldErrors) -> Option<Vec<Self>> {
        let mut scopes = Vec::new();
        for item in node.list(1..=MAX_SCOPES, errors)? {
            let Some(scope) = Self::named(item.text(errors)?) else {
                let detail = "use subject, perk, tier, location, kiosk, merchant, boarding_pass, or context. and the \
                              name of a member other than party";
                return item.refuse(errors, "bad_form", detail);
            };
            if scopes.contains(&scope) {
                return item.refuse(errors, "repeated", "name each part of the scope once");
            }
            scopes.push(scope);
        }
        scopes.sort_unstable();
        Some(scopes)
    }
}
