//! Conditions: `all`, `any` and `not` over leaves.

use std::collections::BTreeSet;

use super::attribute::Attribute;
use super::leaf::Leaf;
use crate::foundation::document::{Issues, Spot, object};
use crate::foundation::json::Json;

/// The greatest depth of nested conditions; a lone leaf has depth 1.
pub const MAX_DEPTH: usize = 8;
/// The most leaves that a whole rule may have.
pub const MAX_LEAVES: usize = 64;

/// A condition that must hold, compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Leaf(Leaf),
}

impl Condition {
    /// Every leaf, in the order they were written.
    pub fn each_leaf<'a>(&'a self, visit: &mut impl FnMut(&'a Leaf)) {
        match self {
            Self::All(members) | Self::Any(members) => members.iter().for_each(|member| member.each_leaf(visit)),
            Self::Not(inner) => inner.each_leaf(visit),
            Self::Leaf(leaf) => visit(leaf),
        }
    }

    /// Adds the attributes that it looks at.
    pub fn attributes(&self, into: &mut BTreeSet<Attribute>) {
        self.each_leaf(&mut |leaf| {
            into.insert(leaf.attribute.clone());
            into.extend(leaf.test.other().cloned());
        });
    }

    /// Reads a condition; `leaves` counts those of the whole rule.
    pub fn read(spot: &Spot<'_>, leaves: &mut usize, issues: &mut Issues) -> Option<Self> {
        Self::read_at(spot, 1, leaves, issues)
    }

    fn read_at(spot: &Spot<'_>, depth: usize, leaves: &mut usize, issues: &mut Issues) -> Option<Self> {
        if depth > MAX_DEPTH {
            return spot.refuse(issues, "too_deep", format!("conditions nest at most {MAX_DEPTH} deep"));
        }
        if spot.json().member("all").is_some() {
            return Self::read_members(spot, "all", depth, leaves, issues).map(Self::All);
        }
        if spot.json().member("any").is_some() {
            return Self::read_members(spot, "any", depth, leaves, issues).map(Self::Any);
        }
        if spot.json().member("not").is_some() {
            let inner = spot.fields(&["not"], issues)?.required("not", issues)?;
            return Some(Self::Not(Box::new(Self::read_at(&inner, depth + 1, leaves, issues)?)));
        }
        *leaves += 1;
        if *leaves > MAX_LEAVES {
            // Said once: the rest of an overlong rule isn't worth a complaint each.
            if *leaves == MAX_LEAVES + 1 {
                issues.add(
                    spot.pointer(),
                    "too_many",
                    format!("a rule has at most {MAX_LEAVES} conditions in all: use `in` for lists of values"),
                );
            }
            return None;
        }
        Leaf::read(spot, issues).map(Self::Leaf)
    }

    fn read_members(
        spot: &Spot<'_>,
        name: &str,
        depth: usize,
        leaves: &mut usize,
        issues: &mut Issues,
    ) -> Option<Vec<Self>> {
        let members = spot.fields(&[name], issues)?.required(name, issues)?.list(1..=MAX_LEAVES, issues)?;
        let read: Vec<_> = members.iter().map(|member| Self::read_at(member, depth + 1, leaves, issues)).collect();
        read.into_iter().collect()
    }

    /// The canonical form.
    pub fn to_json(&self) -> Json {
        let list = |members: &[Self]| Json::List(members.iter().map(Self::to_json).collect());
        match self {
            Self::All(members) => object([("all", list(members))]),
            Self::Any(members) => object([("any", list(members))]),
            Self::Not(inner) => object([("not", inner.to_json())]),
            Self::Leaf(leaf) => leaf.to_json(),
        }
    }
}
