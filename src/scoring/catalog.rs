//! The signals that are known, as data: `catalog.csv`, one line each.
//!
//! A signal is a `gauge` (a level of the account: followers), a `count` (something that someone did once: a like) or a
//! `total` (a running count, of an object or of the account: what most interfaces return). `in` is what others did, and
//! counts; `out` is what the person did, and never does: being loud is no influence.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::foundation::nearest::nearest;

/// How often a signal is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignalKind {
    Gauge,
    Count,
    Total,
}

/// Who acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    In,
    Out,
}

/// A signal of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    pub kind: SignalKind,
    pub direction: Direction,
    /// As sentences name it: "likes of posts".
    pub words: &'static str,
}

/// Why a signal isn't known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownSignal {
    #[error("there is no network `{network}`{}", hint(*.meant))]
    Network { network: String, meant: Option<&'static str> },
    #[error("`{network}` has no signal `{signal}`{}", hint(*.meant))]
    Signal { network: String, signal: String, meant: Option<&'static str> },
}

fn hint(meant: Option<&str>) -> String {
    meant.map_or_else(String::new, |meant| format!(": did you mean `{meant}`?"))
}

type Network = BTreeMap<&'static str, Signal>;

static CATALOG: LazyLock<BTreeMap<&'static str, Network>> = LazyLock::new(|| {
    let mut catalog: BTreeMap<&'static str, Network> = BTreeMap::new();
    for (network, name, signal) in include_str!("catalog.csv").lines().skip(1).filter_map(read) {
        catalog.entry(network).or_default().insert(name, signal);
    }
    catalog
});

fn read(line: &'static str) -> Option<(&'static str, &'static str, Signal)> {
    let mut columns = line.splitn(5, ',');
    let (network, name) = (columns.next()?, columns.next()?);
    let kind = match columns.next()? {
        "gauge" => SignalKind::Gauge,
        "count" => SignalKind::Count,
        "total" => SignalKind::Total,
        _ => return None,
    };
    let direction = match columns.next()? {
        "in" => Direction::In,
        "out" => Direction::Out,
        _ => return None,
    };
    Some((network, name, Signal { kind, direction, words: columns.next()? }))
}

/// The names of the networks, in order.
pub fn networks() -> impl Iterator<Item = &'static str> {
    CATALOG.keys().copied()
}

/// The signals of a network, by name; none of one that isn't known.
pub fn signals(network: &str) -> impl Iterator<Item = (&'static str, Signal)> {
    CATALOG.get(network).into_iter().flatten().map(|(name, signal)| (*name, *signal))
}

/// The signal of this name.
///
/// # Errors
/// [`UnknownSignal`], with the name that was meant if one is near.
pub fn find(network: &str, signal: &str) -> Result<Signal, UnknownSignal> {
    let Some(known) = CATALOG.get(network) else {
        let meant = nearest(network, networks());
        return Err(UnknownSignal::Network { network: network.to_owned(), meant });
    };
    known.get(signal).copied().ok_or_else(|| {
        let meant = nearest(signal, known.keys().copied());
        UnknownSignal::Signal { network: network.to_owned(), signal: signal.to_owned(), meant }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_signal_of_its_own() {
        let lines: Vec<&str> = include_str!("catalog.csv").lines().skip(1).collect();
        let bad: Vec<_> = lines.iter().filter(|line| read(line).is_none()).collect();
        assert_eq!(bad, Vec::<&&str>::new());
        let known: usize = networks().map(|network| signals(network).count()).sum();
        assert_eq!(known, lines.len(), "a name stands twice");
        assert!(known >= 390, "{known}");
        assert!(networks().count() >= 9);
        for network in networks() {
            let has = |kind| signals(network).any(|(_, it)| it.kind == kind && it.direction == Direction::In);
            assert!(has(SignalKind::Gauge) || has(SignalKind::Total), "{network}");
        }
    }

    #[test]
    fn what_is_not_known_is_told_with_what_was_meant() {
        assert_eq!(find("bluesky", "like").unwrap().kind, SignalKind::Count);
        let meant = find("bluesky", "likes").unwrap_err().to_string();
        assert!(meant.contains("`bluesky` has no signal `likes`"), "{meant}");
        assert!(find("blusky", "like").unwrap_err().to_string().ends_with("did you mean `bluesky`?"));
        assert_eq!(find("zz", "like").unwrap_err().to_string(), "there is no network `zz`");
    }
}
