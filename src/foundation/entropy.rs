//! Where random bytes come from: the operating system in production, a seeded stream in tests.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest;
use secrecy::zeroize::{Zeroize, Zeroizing};

/// Random bytes that a thread has in stock for identifiers. A check needs four, and each would be a system call.
const STOCK: usize = 512;
const LONGEST_IDENTIFIER: usize = 16;

thread_local! {
    /// The bytes that are left of it, at the front. Bytes that were handed out are wiped from it.
    static STOCKED: RefCell<(Zeroizing<[u8; STOCK]>, usize)> = RefCell::new((Zeroizing::new([0; STOCK]), 0));
}

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
            Self::System => from_system(&mut out),
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

fn from_system(out: &mut [u8]) {
    // Of a machine that is copied while it runs both would have the same stock. For identifiers that does no harm; a key,
    // or a nonce, comes from the system, which notices.
    let is_drawn =
        out.len() <= LONGEST_IDENTIFIER && STOCKED.try_with(|stocked| draw(&mut stocked.borrow_mut(), out)).is_ok();
    if !is_drawn {
        fill(out);
    }
}

fn draw((stock, left): &mut (Zeroizing<[u8; STOCK]>, usize), out: &mut [u8]) {
    if *left < out.len() {
        fill(stock.as_mut_slice());
        *left = STOCK;
    }
    let (rest, taken) = stock.split_at_mut(*left - out.len());
    for (to, from) in out.iter_mut().zip(taken.iter()) {
        *to = *from;
    }
    taken.iter_mut().take(out.len()).for_each(Zeroize::zeroize);
    *left = rest.len();
}

#[expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "no key can be made without it; the one place that asks"
)]
fn fill(out: &mut [u8]) {
    // Not aws-lc's generator: it gathers jitter of its own at each start, 60 ms of a command that takes 40.
    getrandom::fill(out).expect("the operating system gives random bytes");
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_bytes_are_handed_out_twice_and_none_stay_in_stock() {
        let mut seen = HashSet::new();
        for _ in 0..1000 {
            assert!(seen.insert(Entropy::System.bytes::<10>().to_vec()));
            assert!(seen.insert(Entropy::System.bytes::<16>().to_vec()));
            assert!(seen.insert(Entropy::System.bytes::<32>().to_vec()));
        }
        let mut stocked = (Zeroizing::new([0; STOCK]), 0);
        let mut drawn = [0; 10];
        for _ in 0..STOCK / drawn.len() {
            draw(&mut stocked, &mut drawn);
        }
        let (stock, left) = stocked;
        assert_eq!(left, STOCK % drawn.len());
        assert!(stock.iter().skip(left).all(|byte| *byte == 0), "what was handed out is wiped");
    }
}
