//! The name that a misspelt one was most likely meant to be.

/// The one of `known` that `name` was most likely meant to be: at most two letters apart, or one in four of a longer
/// name, and never as many as half of it.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (name.len() / 4).max(2).min(name.len().saturating_sub(1) / 2);
    known
        .into_iter()
        .map(|other| (strsim::levenshtein(name, other), other))
        .filter(|(apart, _)| *apart <= allowed)
        .min()
        .map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_the_one_that_was_meant() {
        let names = ["at_least", "tiers", "score", "id", "when"];
        for (name, meant) in [("at_leest", "at_least"), ("tier", "tiers"), ("whem", "when"), ("scores", "score")] {
            assert_eq!(nearest(name, names), Some(meant));
        }
        for name in ["zebra", "ix", "a", "sum"] {
            assert_eq!(nearest(name, names), None, "{name}");
        }
    }
}
