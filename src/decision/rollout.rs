//! Where a person stands in a perk's rollout.

use aws_lc_rs::digest;

use crate::foundation::ids::PerkId;
use crate::foundation::subject::SubjectRef;
use crate::rules::terms::Rollout;

/// Where a person stands in a perk's rollout: the same for good, spread evenly, and for each perk
/// apart, so that nobody is last everywhere. Never changed: a perk that is half rolled out would
/// change hands.
#[must_use]
pub fn rollout_bucket(perk: &PerkId, subject: &SubjectRef) -> u16 {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [b"perkgate rollout v1\0", perk.as_str().as_bytes(), b"\0", &subject.0] {
        context.update(part);
    }
    let first = context.finish().as_ref().iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    u16::try_from(first % u64::from(Rollout::BUCKETS)).unwrap_or(Rollout::BUCKETS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_bucket_is_for_good_even_and_the_perks_own() {
        let perk = |last: u8| format!("prk_019abf3e5c1f7d0a8e4b2f6c1d3a5b{last:02x}").parse::<PerkId>().unwrap();
        let subject = |n: u16| {
            let mut bytes = [0; 32];
            bytes[..2].copy_from_slice(&n.to_be_bytes());
            SubjectRef(bytes)
        };
        // SHA-256 of "perkgate rollout v1", 0, the perk's id, 0 and 32 zeros.
        assert_eq!(rollout_bucket(&perk(0x70), &subject(0)), 49);
        let tenth =
            |perk: &PerkId| (0..5000).filter(|n| rollout_bucket(perk, &subject(*n)) < 1000).collect::<BTreeSet<_>>();
        let (one, other) = (tenth(&perk(0x70)), tenth(&perk(0x71)));
        for share in [one.len(), other.len()] {
            assert!((400..600).contains(&share), "{share} of 5000 are in the first tenth");
        }
        // A tenth of a tenth, were the two independent.
        assert!((20..90).contains(&one.intersection(&other).count()));
    }
}
