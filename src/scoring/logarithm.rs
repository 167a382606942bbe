//! Base-2 logarithms in whole 65,536ths, without floats: the same digits on every machine.

/// One, in the unit of logarithms, levels and shares: a 65,536th.
pub const ONE: u64 = 1 << 16;

/// The binary digits after the point.
const DIGITS: u32 = 16;

/// The logarithm of `numerator / denominator` to the base 2, in 65,536ths, rounded down: one digit after the other by
/// squaring in 128 bits. Powers of two come out exactly; what is squared is rounded down, so that a digit can only be
/// too small, and a larger argument never gives a smaller logarithm.
///
/// The fraction must be at least 1 (less counts as 1), `denominator` below 2^32 and `numerator` below 2^96.
#[must_use]
pub fn log2(numerator: u128, denominator: u64) -> u64 {
    let denominator = u128::from(denominator.max(1));
    let numerator = numerator.max(denominator);
    let whole = (numerator / denominator).ilog2();
    // The fraction over its power of two: from 1 to below 2, with 63 digits after the point.
    let mut rest = ((numerator << (95 - whole)) / denominator) >> 32;
    let mut digits = u64::from(whole);
    for _ in 0..DIGITS {
        rest = (rest * rest) >> 63;
        let digit = u64::from(rest >> 64 != 0);
        rest >>= digit;
        digits = (digits << 1) | digit;
    }
    digits
}

/// The weight of `quarters`: the logarithm of `(4 + quarters) / 4`. Four, one act of today, weigh exactly one.
#[must_use]
pub fn weight(quarters: u128) -> u64 {
    log2(4 + quarters, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_come_out_exactly() {
        for power in 0..60_u64 {
            assert_eq!(log2(1 << power, 1), power * ONE, "{power}");
            assert_eq!(log2(4 << power, 4), power * ONE);
        }
        assert_eq!([weight(0), weight(4), weight(12), weight(28)], [0, ONE, 2 * ONE, 3 * ONE]);
    }

    #[test]
    fn digits_are_those_of_the_logarithm() {
        // Computed to fifty digits by another program: ⌊65536·log2(n)⌋.
        for (n, digits) in [(3, 103_872), (5, 152_169), (7, 183_982), (10, 217_705), (1_000, 653_117)] {
            assert_eq!(log2(n, 1), digits, "{n}");
        }
    }

    #[test]
    fn more_never_weighs_less() {
        let mut before = 0;
        for quarters in (0..5_000).chain((5_000..2_000_000).step_by(977)) {
            let now = weight(quarters);
            assert!(now >= before, "{quarters}");
            before = now;
        }
        assert!(weight(1_000_000_000_000_000_000) < 60 * ONE);
        assert_eq!(log2(0, 7), 0);
    }
}
