//! Where random bytes come from: the operating system in production, a seeded stream in tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest;

/// The one source of randomness.
#[derive(Clone, Debug)]
pub enum Entropy {
    /// The operating system's generator.
    System,
    /// SHA-256 of a seed and a counter: the same bytes in the same order, every run. Tests only.
    Seeded { seed: u64, counter: Arc<AtomicU64> },
}

impl Entropy {
    /// A repeatable stream, for tests.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded { seed, counter: Arc::new(AtomicU64::new(0)) }
    }

    /// `N` random bytes.
    ///
    /// # Panics
    /// When the operating system has no randomness to give: nothing secret can be made then.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        match self {
            #[expect(
                clippy::expect_used,
                clippy::disallowed_methods,
                reason = "no key can be made without it; the one place that asks"
            )]
            // Not aws-lc's generator: it gathers jitter of its own at each start, 60 ms of a command that takes 40.
            Self::System => getrandom::fill(&mut out).expect("the operating system gives random bytes"),
            Self::Seeded { seed, counter } => {
                for chunk in out.chunks_mut(32) {
                    let mut context = digest::Context::new(&digest::SHA256);
                    context.update(&seed.to_be_bytes());
                    context.update(&counter.fetch_add(1, Ordering::SeqCst).to_be_bytes());
                    let block = context.finish();
                    for (to, from) in chunk.iter_mut().zip(block.as_ref()) {
                        *to = *from;
                    }
                }
            }
        }
        out
    }
}
