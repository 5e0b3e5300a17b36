//! Which taps meet which positions: the number theory of stride and dilation, once.

use super::gcd;

/// Tap `t` meets an output at padded position `i` of the input where `t·dilation ≡ i (mod stride)`: every [`Self::step`]-th tap,
/// if any.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meeting {
    /// Common divisor of stride and dilation.
    common: u64,
    /// Taps from one that meets a position to the next.
    pub(crate) step: u64,
    /// Outputs between those that they meet there: as many lower.
    pub(crate) back: u64,
    /// Of `back`, modulo `step`.
    inverse: u64,
}

impl Meeting {
    /// Of steps that are not 0.
    pub(crate) fn new(stride: u64, dilation: u64) -> Self {
        let common = gcd(stride, dilation);
        let (step, back) = (stride / common, dilation / common);
        Self { common, step, back, inverse: inverse(back, step) }
    }

    /// The first tap that meets a position, of a kernel of any extent; `None` if none does.
    pub(crate) fn first(&self, position: u64) -> Option<u64> {
        if !position.is_multiple_of(self.common) {
            return None;
        }
        let residue = u128::from(position / self.common % self.step);
        let tap = residue * u128::from(self.inverse) % u128::from(self.step);
        // No panic: it is below `step`.
        Some(u64::try_from(tap).expect("a residue of a 64-bit number"))
    }
}

/// `i` below `m` with `i·a ≡ 1 (mod m)`, of numbers that have no divisor in common; 0 modulo 1.
fn inverse(a: u64, m: u64) -> u64 {
    // Euclid's algorithm, extended: `old.1·a ≡ old.0` and `new.1·a ≡ new.0`.
    let (mut old, mut new) = ((i128::from(a % m), 1i128), (i128::from(m), 0i128));
    while new.0 != 0 {
        let quotient = old.0 / new.0;
        (old, new) = (new, (old.0 - quotient * new.0, old.1 - quotient * new.1));
    }
    // No panic: it is below `m`.
    u64::try_from(old.1.rem_euclid(i128::from(m))).expect("a residue of a 64-bit number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_tap_is_the_smallest_that_meets() {
        for stride in 1..13u64 {
            for dilation in 1..16u64 {
                let meeting = Meeting::new(stride, dilation);
                for position in 0..40u64 {
                    let wanted = (0..stride).find(|t| t * dilation % stride == position % stride);
                    assert_eq!(meeting.first(position), wanted, "{position} {stride} {dilation}");
                }
            }
        }
    }

    #[test]
    fn steps_may_be_as_long_as_they_are() {
        let (stride, dilation) = ((1 << 62) - 1, u64::MAX - 2);
        let meeting = Meeting::new(stride, dilation);
        for tap in [0, 1, 2, 77, 1 << 40] {
            let position = u128::from(tap) * u128::from(dilation) % u128::from(stride);
            let position = u64::try_from(position).expect("below the stride");
            assert_eq!(meeting.first(position), Some(tap % meeting.step));
        }
    }
}
