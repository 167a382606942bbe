//! A score, where it comes from, and which of two observations stands.

use jiff::{SignedDuration, Timestamp};

use crate::foundation::clock::from_micros;
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::SourceName;
use crate::foundation::period::Period;

/// The most that an observation may lie ahead of our clock: feeders' clocks are not ours.
pub const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);

/// When the earliest observation may be, 1990-01-01. Before that nobody was scored: such times are the zero of some
/// clock or database (0001, 1601, 1900, 1970), of a score whose time was never set.
pub const EARLIEST: Timestamp = Timestamp::constant(631_152_000, 0);

/// The source that every merchant has from the start.
pub const KLOUT: &str = "klout";

/// The way in which scores of a source come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// Feeders write them.
    Push,
    /// They, or signals, are fetched from where they are.
    Pull,
    /// They are computed from the signals of people who are enrolled.
    Computed,
}

impl SourceKind {
    pub const ALL: [Self; 3] = [Self::Push, Self::Pull, Self::Computed];

    /// The wire form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Pull => "pull",
            Self::Computed => "computed",
        }
    }
}

/// Where scores come from, and its scale; both ends belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub name: SourceName,
    pub minimum: Decimal,
    pub maximum: Decimal,
    /// The interval at which its scores are renewed, if it says so.
    pub refresh: Option<Period>,
    pub kind: SourceKind,
    /// The hash of the model by which it computes.
    pub model: Option<String>,
    /// The hashes of models before, and until when each counts too.
    pub graces: Vec<(String, Timestamp)>,
}

/// Why a source can't be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SourceFault {
    #[error("the source `{KLOUT}` is there from the start")]
    Reserved,
    #[error("a scale's minimum must be below its maximum")]
    EmptyScale,
}

/// A source's statement about one subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Score {
    pub value: Decimal,
    /// In whole microseconds: what the database can hold.
    pub observed_at: Timestamp,
}

/// Why a score can't be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScoreFault {
    #[error("the value is off the source's scale, {minimum} to {maximum}")]
    OffScale { minimum: Decimal, maximum: Decimal },
    #[error("the score was observed in the future: check the feeder's clock and its UTC offset")]
    InFuture,
    #[error("the score was observed before 1990, a time that stands for one that was never set: send the real one")]
    Unobserved,
}

/// The outcome of a score that was handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOutcome {
    /// It stands now.
    Accepted,
    /// The very same stood already.
    Unchanged,
    /// A newer observation stands, and is retained.
    Stale { stored: Score },
}

impl Source {
    /// The built-in source: 0 to 100.
    ///
    /// # Panics
    /// Never: its name is a constant.
    #[must_use]
    pub fn klout() -> Self {
        #[expect(clippy::expect_used, reason = "a constant, and a test makes it")]
        let name = KLOUT.parse().expect("`klout` is a short name");
        let (minimum, maximum) = (Decimal::from_whole(0), Decimal::from_whole(100));
        Self { name, minimum, maximum, refresh: None, kind: SourceKind::Push, model: None, graces: Vec::new() }
    }

    /// A merchant's own source.
    ///
    /// # Errors
    /// [`SourceFault`] when the name is taken by the built-in one, or nothing fits on the scale.
    pub fn new(
        name: SourceName,
        minimum: Decimal,
        maximum: Decimal,
        refresh: Option<Period>,
    ) -> Result<Self, SourceFault> {
        if name.as_str() == KLOUT {
            Err(SourceFault::Reserved)
        } else if minimum >= maximum {
            Err(SourceFault::EmptyScale)
        } else {
            Ok(Self { name, minimum, maximum, refresh, kind: SourceKind::Push, model: None, graces: Vec::new() })
        }
    }

    /// A merchant's own source that is computed by a model, whose scale is that of all models.
    ///
    /// # Errors
    /// [`SourceFault::Reserved`].
    pub fn computed(name: SourceName, refresh: Option<Period>, model: String) -> Result<Self, SourceFault> {
        let pushed = Self::new(name, Decimal::from_whole(1), Decimal::from_whole(100), refresh)?;
        Ok(Self { kind: SourceKind::Computed, model: Some(model), ..pushed })
    }

    /// A merchant's own source that is fetched.
    ///
    /// # Errors
    /// [`SourceFault`].
    pub fn pulled(
        name: SourceName,
        minimum: Decimal,
        maximum: Decimal,
        refresh: Option<Period>,
    ) -> Result<Self, SourceFault> {
        Ok(Self { kind: SourceKind::Pull, ..Self::new(name, minimum, maximum, refresh)? })
    }

    /// Checks that `score` may be taken at `now`.
    ///
    /// # Errors
    /// [`ScoreFault`] when it is off the scale, or observed before [`EARLIEST`] or more than [`CLOCK_SKEW`] after `now`.
    pub fn check(&self, score: &Score, now: Timestamp) -> Result<(), ScoreFault> {
        if score.value < self.minimum || score.value > self.maximum {
            Err(ScoreFault::OffScale { minimum: self.minimum, maximum: self.maximum })
        } else if score.observed_at.duration_since(now) > CLOCK_SKEW {
            Err(ScoreFault::InFuture)
        } else if score.observed_at < EARLIEST {
            Err(ScoreFault::Unobserved)
        } else {
            Ok(())
        }
    }
}

impl Score {
    /// A score; what is finer than a microsecond is cut off its time.
    #[must_use]
    pub fn new(value: Decimal, observed_at: Timestamp) -> Self {
        Self { value, observed_at: from_micros(observed_at.as_microsecond()) }
    }

    /// The outcome of this one when `stored` stands. The newer observation wins, whatever order
    /// they come in; another value for the same instant is a correction, so it wins too.
    #[must_use]
    pub fn against(&self, stored: Option<&Self>) -> PutOutcome {
        match stored {
            Some(stored) if stored == self => PutOutcome::Unchanged,
            Some(stored) if stored.observed_at > self.observed_at => PutOutcome::Stale { stored: *stored },
            _ => PutOutcome::Accepted,
        }
    }
}

/// Reads an instant as RFC 3339 writes it, with its offset. jiff alone would also take other forms
/// of ISO 8601, which other parsers of the same feed might read differently. What is finer than a microsecond, which no
/// record holds, is cut off.
#[must_use]
pub fn parse_instant(text: &str) -> Option<Timestamp> {
    let form = text.as_bytes();
    let digits =
        |range: std::ops::Range<usize>| form.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit));
    let is = |at: usize, marks: &[u8]| form.get(at).is_some_and(|b| marks.contains(b));
    let full_date = digits(0..4) && is(4, b"-") && digits(5..7) && is(7, b"-") && digits(8..10);
    let partial_time =
        is(10, b"Tt ") && digits(11..13) && is(13, b":") && digits(14..16) && is(16, b":") && digits(17..19);
    let rest = form.get(19..)?;
    let offset = match rest.strip_prefix(b".") {
        Some(fraction) => {
            let length = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
            if length == 0 || length > 9 { None } else { fraction.get(length..) }
        }
        None => Some(rest),
    }?;
    let offset_fits = matches!(offset, [b'Z' | b'z'])
        || (matches!(offset, [b'+' | b'-', h1, h2, b':', m1, m2] if [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit())));
    let at: Timestamp = if full_date && partial_time && offset_fits { text.parse().ok()? } else { return None };
    Some(from_micros(at.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(value: &str, at: &str) -> Score {
        Score::new(value.parse().unwrap(), at.parse().unwrap())
    }

    #[test]
    fn klout_is_0_to_100_and_its_name_is_taken() {
        let klout = Source::klout();
        assert_eq!((klout.minimum, klout.maximum), (Decimal::from_whole(0), Decimal::from_whole(100)));
        let (zero, one) = (Decimal::from_whole(0), Decimal::from_whole(1));
        assert_eq!(Source::new(klout.name, zero, one, None), Err(SourceFault::Reserved));
        assert_eq!(Source::new("kred".parse().unwrap(), one, one, None), Err(SourceFault::EmptyScale));
        assert_eq!(Source::new("kred".parse().unwrap(), one, zero, None), Err(SourceFault::EmptyScale));
    }

    #[test]
    fn a_score_is_on_its_scale_and_not_from_the_future() {
        let now = "2026-11-22T09:00:00Z".parse().unwrap();
        let klout = Source::klout();
        let off = ScoreFault::OffScale { minimum: klout.minimum, maximum: klout.maximum };
        for (value, at, wanted) in [
            ("0", "2026-11-22T09:00:00Z", Ok(())),
            ("100", "2012-05-08T00:00:00Z", Ok(())),
            ("-0.001", "2026-11-22T09:00:00Z", Err(off)),
            ("100.001", "2026-11-22T09:00:00Z", Err(off)),
            ("40", "2026-11-22T09:01:00Z", Ok(())),
            ("40", "2026-11-22T09:01:00.000001Z", Err(ScoreFault::InFuture)),
            ("40", "1990-01-01T00:00:00Z", Ok(())),
            ("40", "1989-12-31T23:59:59.999999Z", Err(ScoreFault::Unobserved)),
            ("40", "1970-01-01T00:00:00Z", Err(ScoreFault::Unobserved)),
            ("40", "0001-01-01T00:00:00Z", Err(ScoreFault::Unobserved)),
        ] {
            assert_eq!(klout.check(&score(value, at), now), wanted, "{value} {at}");
        }
    }

    #[test]
    fn the_newer_observation_stands_in_whatever_order_they_come() {
        let (old, new) = (score("40", "2026-11-22T09:00:00Z"), score("41", "2026-11-22T09:00:01Z"));
        assert_eq!(new.against(None), PutOutcome::Accepted);
        assert_eq!(new.against(Some(&old)), PutOutcome::Accepted);
        assert_eq!(old.against(Some(&new)), PutOutcome::Stale { stored: new });
        assert_eq!(old.against(Some(&old)), PutOutcome::Unchanged);
        let corrected = score("39", "2026-11-22T09:00:00Z");
        assert_eq!(corrected.against(Some(&old)), PutOutcome::Accepted);
    }

    #[test]
    fn an_instant_is_rfc_3339_with_its_offset() {
        for good in [
            "2026-11-22T09:00:00Z",
            "2026-11-22t09:00:00.25z",
            "2026-11-22 10:00:00+01:00",
            "2026-11-22T09:00:00.123456789Z",
        ] {
            assert!(parse_instant(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "2026-11-22",
            "2026-11-22T09:00:00",
            "20261122T090000Z",
            "2026-11-22T09:00Z",
            "2026-11-22T09:00:00Z[UTC]",
            "2026-11-22T09:00:00+01",
            "2026-11-22T09:00:00.Z",
            "2026-13-22T09:00:00Z",
            "2026-02-30T09:00:00Z",
            "1353574800",
            "2026-11-22T09:00:00Ż",
        ] {
            assert_eq!(parse_instant(bad), None, "{bad}");
        }
        assert_eq!(parse_instant("2026-11-22T10:00:00+01:00"), parse_instant("2026-11-22T09:00:00Z"));
        assert_eq!(parse_instant("2026-11-22T09:00:00.123456789Z"), parse_instant("2026-11-22T09:00:00.123456Z"));
    }
}
