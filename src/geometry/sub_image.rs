//! Phases as dense correlations: what transforms of sub-images compute.

use super::{Extent, gcd};
use crate::problem::{Axis, Direction};

/// How the destination positions of a phase fall into sub-images of the source. With `g = gcd(stride, dilation)`, those with
/// `m = e·n + f` and `e = dilation/g` read the samples of one sub-image, every `dilation`-th source position, at every
/// `stride/g`-th sample:
///
/// ```text
/// dst[e·n + f] = Σ k  sample[n·stride/g + k] · filter[k]     sample[i] = source[begin + f·stride + i·dilation]
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SubImages {
    /// Sub-images that a phase of many positions reads: `e`.
    classes: u64,
    /// Source positions from one destination position of the phase to the next.
    step: u64,
    /// Samples from one destination position of a sub-image to the next.
    pub(crate) stride: u64,
}

/// What one sub-image has of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SubImage {
    /// Its first destination position among those of the phase: `f`.
    pub(crate) first: u64,
    /// Destination positions of the phase from one of it to the next.
    pub(crate) apart: u64,
    /// Destination positions.
    pub(crate) count: u64,
    /// Source positions from the phase's first to its first sample.
    pub(crate) ahead: i64,
}

impl SubImages {
    /// Of phases with these steps, neither of them 0.
    pub(crate) fn new(stride: u64, dilation: u64) -> Self {
        let common = gcd(stride, dilation);
        Self { classes: dilation / common, step: stride, stride: stride / common }
    }

    /// How many there are of a phase of so many positions, before any is made.
    pub(crate) fn count(&self, positions: u64) -> u64 {
        self.classes.min(positions)
    }

    /// Those of a phase of so many positions.
    pub(crate) fn of(self, positions: u64) -> impl Iterator<Item = SubImage> {
        (0..self.count(positions)).map(move |first| SubImage {
            first,
            apart: self.classes,
            count: (positions - first).div_ceil(self.classes),
            // No further than the source.
            ahead: (first as i64).wrapping_mul(self.step as i64),
        })
    }
}

/// How many sub-images an axis has at most, before a phase is made. The phases of a weight gradient are the forward ones.
pub(crate) fn most_sub_images(axis: &Axis, direction: Direction, side: Extent) -> u64 {
    let apart = axis.dilation / gcd(axis.stride, axis.dilation);
    match direction {
        Direction::GradInput => apart.saturating_mul(axis.stride).min(side.extent(axis)),
        Direction::Forward | Direction::GradWeight => apart.min(axis.output),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Polyphase;
    use super::super::tests::axes;
    use super::*;

    #[test]
    fn sub_images_hold_every_position_of_a_phase_once_where_its_windows_are() {
        for stride in 1..7u64 {
            for dilation in 1..9u64 {
                let images = SubImages::new(stride, dilation);
                for positions in 0..12u64 {
                    let mut seen = Vec::new();
                    let made: Vec<_> = images.of(positions).collect();
                    assert_eq!(made.len() as u64, images.count(positions));
                    for image in made {
                        for n in 0..image.count {
                            let m = image.first + n * image.apart;
                            // The first sample of its window lies where the window begins.
                            let sample = image.ahead.unsigned_abs() + n * images.stride * dilation;
                            assert_eq!(sample, m * stride, "{stride} {dilation}");
                            seen.push(m);
                        }
                    }
                    seen.sort_unstable();
                    assert!(seen.into_iter().eq(0..positions), "{stride} {dilation} {positions}");
                }
            }
        }
    }

    #[test]
    fn sub_images_are_bounded_before_they_are_made() {
        for axis in axes() {
            for side in [Extent::Input, Extent::Padded] {
                for direction in [Direction::Forward, Direction::GradInput] {
                    let polyphase = Polyphase::new(&axis, direction, false, side).forwards();
                    let images =
                        SubImages::new(polyphase.stride.unsigned_abs(), polyphase.dilation.unsigned_abs());
                    let made = polyphase.phases.iter().map(|phase| images.count(phase.count)).sum::<u64>();
                    let most = most_sub_images(&axis, direction, side);
                    assert_eq!(made, most, "{axis:?} {direction:?}");
                }
            }
        }
    }
}
