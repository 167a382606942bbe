//! A trace shows what `decide` did: the parts lead to the decision, and each leaf to the whole.

use perkgate::decision::decide::decide;
use perkgate::decision::reason::ReasonCode;
use perkgate::decision::trace::{Node, Passed, trace};
use proptest::prelude::*;

use super::{case, facts, generate, parse};

fn truth(node: &Node) -> Passed {
    match node {
        Node::All { members, .. } if members.iter().any(|it| truth(it) == Passed::False) => Passed::False,
        Node::All { members, .. } if members.iter().any(|it| truth(it) == Passed::Unknown) => Passed::Unknown,
        Node::All { .. } => Passed::True,
        Node::Any { members, .. } if members.iter().any(|it| truth(it) == Passed::True) => Passed::True,
        Node::Any { members, .. } if members.iter().any(|it| truth(it) == Passed::Unknown) => Passed::Unknown,
        Node::Any { .. } => Passed::False,
        Node::Not { member, .. } => match truth(member) {
            Passed::True => Passed::False,
            Passed::Unknown => Passed::Unknown,
            Passed::False => Passed::True,
        },
        Node::Leaf(leaf) => leaf.passed,
    }
}

/// Every leaf shows what it had, unless that is what it doesn't know.
fn leaves_show_what_they_had(node: &Node) -> bool {
    match node {
        Node::All { members, .. } | Node::Any { members, .. } => members.iter().all(leaves_show_what_they_had),
        Node::Not { member, .. } => leaves_show_what_they_had(member),
        Node::Leaf(leaf) if leaf.op == "exists" => leaf.had.is_some() == (leaf.passed == Passed::True),
        // One that is compared with another attribute may not know that one either.
        Node::Leaf(leaf) => {
            let knows = leaf.had.is_some() && leaf.wanted.is_some();
            (leaf.against.is_some() || leaf.wanted.is_some()) && (knows || leaf.passed == Passed::Unknown)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_trace_comes_to_what_decide_does((text, world, now) in case(generate::rule())) {
        let (_, rule) = parse(&text);
        let facts = facts(&world);
        let (verdict, traced) = (decide(&rule, &facts, now), trace(&rule, &facts, now));
        prop_assert_eq!((traced.decision, traced.tier.as_ref()), (verdict.decision, verdict.tier.as_ref()));
        for node in traced.when.iter().chain(traced.tiers.iter().filter_map(|tier| tier.when.as_ref())) {
            prop_assert_eq!(node.passed(), truth(node));
            prop_assert!(leaves_show_what_they_had(node), "{:?}", node);
        }
        // What is refused for is seen to have failed.
        let code = verdict.reasons.first().map(|reason| reason.code.as_str());
        match code {
            Some("not_yet_valid" | "no_longer_valid") => prop_assert!(!traced.valid.passed),
            Some("blackout") => {
                prop_assert!(traced.valid.passed && traced.blackouts.is_some_and(|blackouts| !blackouts.passed));
            }
            Some("outside_schedule") => prop_assert!(traced.valid.passed && !traced.schedule.passed),
            Some("not_in_rollout") => prop_assert!(traced.rollout.is_some_and(|share| !share.passed)),
            Some("score_missing" | "score_stale") => {
                prop_assert_eq!(traced.score.unwrap().code.map(ReasonCode::as_str), code);
            }
            Some("guests_exceeded") => {
                let guests = || traced.tiers.iter().filter_map(|tier| tier.guests.as_ref());
                prop_assert!(guests().any(|guests| !guests.passed && guests.max < guests.had));
            }
            _ => prop_assert!(traced.valid.passed && traced.schedule.passed),
        }
        let stale = trace(&rule, &facts, now).score.and_then(|score| score.code) == Some(ReasonCode::ScoreStale);
        prop_assert_eq!(stale, rule.looks_at_score() && verdict.score.is_some_and(|score| !score.fresh));
    }
}
