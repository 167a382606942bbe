//! The one table that is printed.

use std::fmt::Write as _;

use super::cores::CoreTime;
use super::load::Figures;

/// One round of one scenario.
pub(crate) struct Round {
    pub figures: Figures,
    pub cores: CoreTime,
}

/// The rounds of one scenario on one build.
pub(crate) struct Row {
    name: String,
    /// The number of decisions that one request is answered with.
    per_request: usize,
    pub rounds: Vec<Round>,
}

impl Row {
    pub(crate) const fn new(name: String, per_request: usize) -> Self {
        Self { name, per_request, rounds: Vec::new() }
    }

    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    fn decisions(&self, round: &Round) -> f64 {
        f64::from(round.figures.requests) * self.per_request as f64
    }

    fn median(&self, of: impl Fn(&Round) -> f64) -> f64 {
        let mut figures: Vec<f64> = self.rounds.iter().map(of).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    }

    fn per_second(&self) -> f64 {
        self.median(|round| self.decisions(round) / round.figures.seconds)
    }

    /// Microseconds of core time a decision.
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a few rounds")]
    fn micros(&self, of: fn(&CoreTime) -> u64) -> f64 {
        self.median(|round| of(&round.cores) as f64 / 1e3 / self.decisions(round))
    }
}

/// Medians: decisions a second and what they are of the first row's, latency, and microseconds of core time a decision,
/// in all and by part.
pub(crate) fn table(rows: &[Row]) -> String {
    let titles =
        ["a second", "of bare", "p50 ms", "p99 ms", "core µs", "workers", "ledger", "other", "postgres", "redis"];
    let mut text = format!("{:<52}", "");
    for title in titles {
        let _ = write!(text, "{title:>10}");
    }
    for row in rows {
        let _ = write!(
            text,
            "\n{:<52}{:>10.0}{:>10.3}{:>10.2}{:>10.2}",
            row.name,
            row.per_second(),
            row.per_second() / rows[0].per_second(),
            row.median(|round| round.figures.p50_ms),
            row.median(|round| round.figures.p99_ms),
        );
        let parts: [fn(&CoreTime) -> u64; 6] =
            [CoreTime::total, |it| it.workers, |it| it.ledger, |it| it.other, |it| it.postgres, |it| it.redis];
        for part in parts {
            let _ = write!(text, "{:>10.1}", row.micros(part));
        }
    }
    text
}
