//! Conditions: `all`, `any` and `not` over leaves.

use std::collections::BTreeSet;

use super::attribute::Attribute;
use super::leaf::{Leaf, Test};
use crate::foundation::document::{FieldErrors, Node, object};
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

    /// Adds the names of the context attributes around whose instants time windows are open.
    pub(super) fn instants(&self, into: &mut BTreeSet<String>) {
        self.each_leaf(&mut |leaf| {
            let looked_at = matches!(leaf.test, Test::Within(_)).then(|| [Some(&leaf.attribute), leaf.test.other()]);
            for attribute in looked_at.into_iter().flatten().flatten() {
                if let Attribute::Context(name) = attribute {
                    into.insert(name.clone());
                }
            }
        });
    }

    /// Reads a condition; `leaves` counts those of the whole rule.
    pub fn read(node: &Node<'_>, leaves: &mut usize, errors: &mut FieldErrors) -> Option<Self> {
        Self::read_at(node, 1, leaves, errors)
    }

    fn read_at(node: &Node<'_>, depth: usize, leaves: &mut usize, errors: &mut FieldErrors) -> Option<Self> {
        if depth > MAX_DEPTH {
            return node.refuse(errors, "too_deep", format!("conditions nest at most {MAX_DEPTH} deep"));
        }
        if node.json().member("all").is_some() {
            return Self::read_members(node, "all", depth, leaves, errors).map(Self::All);
        }
        if node.json().member("any").is_some() {
            return Self::read_members(node, "any", depth, leaves, errors).map(Self::Any);
        }
        if node.json().member("not").is_some() {
            let inner = node.fields(&["not"], errors)?.required("not", errors)?;
            return Some(Self::Not(Box::new(Self::read_at(&inner, depth + 1, leaves, errors)?)));
        }
        *leaves += 1;
        if *leaves > MAX_LEAVES {
            // Said once: the rest of an overlong rule isn't worth an error each.
            if *leaves == MAX_LEAVES + 1 {
                errors.add(
                    node.pointer(),
                    "too_many",
                    format!("a rule has at most {MAX_LEAVES} conditions in all: use `in` for lists of values"),
                );
            }
            return None;
        }
        Leaf::read(node, errors).map(Self::Leaf)
    }

    fn read_members(
        node: &Node<'_>,
        name: &str,
        depth: usize,
        leaves: &mut usize,
        errors: &mut FieldErrors,
    ) -> Option<Vec<Self>> {
        let members = node.fields(&[name], errors)?.required(name, errors)?.list(1..=MAX_LEAVES, errors)?;
        let read: Vec<_> = members.iter().map(|member| Self::read_at(member, depth + 1, leaves, errors)).collect();
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
