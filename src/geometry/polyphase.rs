//! The polyphase decomposition of an axis, in all three directions.

use std::ops::Range;

use super::Meeting;
use crate::problem::{Axis, Direction};

/// Destination positions at equal distances that meet the same filter positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Phase {
    /// The first destination position.
    pub(crate) first: u64,
    /// Destination positions.
    pub(crate) count: u64,
    /// The first filter position.
    pub(crate) first_tap: u64,
    /// Filter positions; 0: nothing lands here.
    pub(crate) taps: u64,
    /// Source position of the first destination position under the first tap; below 0 it lies before the source.
    pub(crate) begin: i64,
}

/// An axis of a sum, in phases. Destination position `first + m·apart` of a phase is
///
/// ```text
/// Σ k < taps  source[begin + m·stride + k·dilation] · filter[first_tap + k·tap_step]
/// ```
///
/// The filter of a weight gradient is the gradient of the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Polyphase {
    /// Source positions from one destination position of a phase to the next.
    pub(crate) stride: i64,
    /// Source positions from one tap to the next; below 0 in an input gradient, unless it was [turned](Self::forwards).
    pub(crate) dilation: i64,
    /// Destination positions from one of a phase to the next.
    pub(crate) apart: u64,
    /// Filter positions from one tap to the next.
    pub(crate) tap_step: i64,
    pub(crate) phases: Vec<Phase>,
}

/// Which positions of the input a sum is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The input's own, of which the first is 0.
    Input,
    /// All that windows visit, of which the first padded one is 0: where a boundary repeats the input.
    Padded,
}

/// A step that is taken was checked to be far below 2^63 when the problem was made. One that is not wraps round, and so does what
/// is computed from it.
fn signed(value: u64) -> i64 {
    value as i64
}

impl Polyphase {
    /// Of `axis` in a direction; `unshared`: every output position has a filter of its own.
    pub(crate) fn new(axis: &Axis, direction: Direction, unshared: bool, side: Extent) -> Self {
        match direction {
            Direction::Forward => Self::forward(axis, side),
            Direction::GradInput => Self::input_gradient(axis, side.positions(axis)),
            Direction::GradWeight if unshared => Self::forward(axis, side).by_tap(axis.dilation),
            Direction::GradWeight => Self::forward(axis, side).exchanged(),
        }
    }

    /// How many phases [`Self::new`] makes, before it makes any.
    pub(crate) fn count(axis: &Axis, direction: Direction, unshared: bool, side: Extent) -> u64 {
        match direction {
            Direction::GradInput => axis.stride.min(side.extent(axis)),
            Direction::GradWeight if unshared => axis.kernel,
            Direction::Forward | Direction::GradWeight => 1,
        }
    }

    /// One phase: every output meets every tap.
    fn forward(axis: &Axis, side: Extent) -> Self {
        let pad = if side == Extent::Padded { 0 } else { axis.pad_begin };
        let begin = -signed(pad);
        Self {
            stride: signed(axis.stride),
            dilation: signed(axis.dilation),
            apart: 1,
            tap_step: 1,
            phases: vec![Phase { first: 0, count: axis.output, first_tap: 0, taps: axis.kernel, begin }],
        }
    }

    /// The gradient of these padded positions of the input, of which there may be any number past the last window.
    ///
    /// Position `i` of them is read by tap `t` of output `o` where `o·stride + t·dilation = i`. With `g = gcd(stride, dilation)`, the
    /// positions `first + m·stride` share the taps `t₀, t₀ + stride/g, ..`, and tap `u` of these belongs to output
    /// `o₀ + m − u·dilation/g`.
    pub(crate) fn input_gradient(axis: &Axis, positions: Range<u64>) -> Self {
        let extent = positions.end.saturating_sub(positions.start);
        let meeting = Meeting::new(axis.stride, axis.dilation);
        let phase = |first: u64| {
            let (at, count) = (first + positions.start, (extent - first).div_ceil(axis.stride));
            match meeting.first(at).filter(|&tap| tap < axis.kernel) {
                Some(first_tap) => Phase {
                    first,
                    count,
                    first_tap,
                    taps: (axis.kernel - first_tap).div_ceil(meeting.step),
                    // Divides, because the tap meets an output here.
                    begin: (signed(at) - signed(first_tap * axis.dilation)) / signed(axis.stride),
                },
                None => Phase { first, count, first_tap: 0, taps: 0, begin: 0 },
            }
        };
        Self {
            stride: 1,
            dilation: signed(meeting.back).wrapping_neg(),
            // Steps past the last position and past the last tap are never taken; cut, they fit the arithmetic.
            apart: axis.stride.min(extent),
            tap_step: signed(meeting.step.min(axis.kernel)),
            phases: (0..axis.stride.min(extent)).map(phase).collect(),
        }
    }

    /// The adjoint in the filter: taps and destinations change places. Of phases that are one.
    fn exchanged(self) -> Self {
        let turned = |p: &Phase| Phase {
            first: p.first_tap,
            count: p.taps,
            first_tap: p.first,
            taps: p.count,
            begin: p.begin,
        };
        Self {
            stride: self.dilation,
            dilation: self.stride,
            phases: self.phases.iter().map(turned).collect(),
            ..self
        }
    }

    /// A phase for each tap, where every destination position has filters of its own and so nothing is summed along the axis.
    fn by_tap(self, dilation: u64) -> Self {
        let of = |p: &Phase| {
            let Phase { first, count, begin, .. } = *p;
            let one = move |tap: u64| Phase {
                first,
                count,
                first_tap: tap,
                taps: 1,
                begin: begin.wrapping_add(signed(tap.wrapping_mul(dilation))),
            };
            (0..p.taps).map(one)
        };
        Self { dilation: 0, phases: self.phases.iter().flat_map(of).collect(), ..self }
    }

    /// The same with its taps in the order of the source positions.
    #[must_use]
    pub(crate) fn forwards(mut self) -> Self {
        if self.dilation < 0 {
            for phase in &mut self.phases {
                let last = signed(phase.taps.saturating_sub(1));
                phase.begin = phase.begin.wrapping_add(last.wrapping_mul(self.dilation));
                phase.first_tap = phase.first_tap.wrapping_add_signed(last.wrapping_mul(self.tap_step));
            }
            (self.dilation, self.tap_step) = (self.dilation.wrapping_neg(), self.tap_step.wrapping_neg());
        }
        self
    }
}

impl Extent {
    /// Positions of the input.
    pub(crate) fn extent(self, axis: &Axis) -> u64 {
        let positions = self.positions(axis);
        positions.end - positions.start
    }

    /// The same as padded positions.
    pub(crate) fn positions(self, axis: &Axis) -> Range<u64> {
        match self {
            Self::Input => axis.pad_begin..axis.pad_begin + axis.input,
            Self::Padded => 0..axis.reach(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Triple, axes, products};
    use super::*;

    /// Every product of a decomposition.
    fn decomposed(polyphase: &Polyphase) -> Vec<Triple> {
        let mut products = Vec::new();
        for p in &polyphase.phases {
            for m in 0..p.count {
                for k in 0..signed(p.taps) {
                    products.push([
                        signed(p.first + m * polyphase.apart),
                        p.begin + signed(m) * polyphase.stride + k * polyphase.dilation,
                        signed(p.first_tap) + k * polyphase.tap_step,
                    ]);
                }
            }
        }
        products.sort_unstable();
        products
    }

    fn sorted(mut products: Vec<Triple>) -> Vec<Triple> {
        products.sort_unstable();
        products
    }

    const SIDES: [Extent; 2] = [Extent::Input, Extent::Padded];

    #[test]
    fn every_product_stands_in_one_phase() {
        for (axis, side) in axes().into_iter().flat_map(|axis| SIDES.map(|side| (axis, side))) {
            let begin = signed(side.positions(&axis).start);
            let all: Vec<Triple> = products(&axis).iter().map(|&[o, at, t]| [o, at - begin, t]).collect();
            let of = |direction| Polyphase::new(&axis, direction, false, side);
            assert_eq!(decomposed(&of(Direction::Forward)), all, "{axis:?}");
            // Outputs are the filter of a weight gradient.
            let weight = all.iter().map(|&[o, at, t]| [t, at, o]).collect();
            assert_eq!(decomposed(&of(Direction::GradWeight)), sorted(weight), "{axis:?}");
            // Only positions that exist have a gradient.
            let exists = |at: i64| (0..signed(side.extent(&axis))).contains(&at);
            let input = all.iter().filter(|&&[_, at, _]| exists(at)).map(|&[o, at, t]| [at, o, t]).collect();
            let gradient = of(Direction::GradInput);
            // What lies past the outputs is no product: they have a gradient of 0 there.
            let inside = |products: Vec<Triple>| -> Vec<Triple> {
                products.into_iter().filter(|&[_, o, _]| (0..signed(axis.output)).contains(&o)).collect()
            };
            assert_eq!(inside(decomposed(&gradient)), sorted(input), "{axis:?} {side:?}");
            assert_eq!(
                inside(decomposed(&gradient.forwards())),
                inside(decomposed(&of(Direction::GradInput)))
            );
        }
    }

    #[test]
    fn every_position_of_the_input_is_written_once() {
        for (axis, side) in axes().into_iter().flat_map(|axis| SIDES.map(|side| (axis, side))) {
            let gradient = Polyphase::new(&axis, Direction::GradInput, false, side);
            let of = |p: &Phase| (0..p.count).map(|m| p.first + m * gradient.apart).collect::<Vec<_>>();
            let mut written: Vec<u64> = gradient.phases.iter().flat_map(of).collect();
            written.sort_unstable();
            assert!(written.into_iter().eq(0..side.extent(&axis)), "{axis:?} {side:?}");
        }
    }

    #[test]
    fn filters_of_their_own_have_a_phase_for_each_tap() {
        for axis in axes() {
            let unshared = Polyphase::new(&axis, Direction::GradWeight, true, Extent::Input);
            let all = products(&axis).iter().map(|&[o, at, t]| [o, at - signed(axis.pad_begin), t]).collect();
            assert_eq!(decomposed(&unshared), sorted(all), "{axis:?}");
            assert!(unshared.phases.iter().all(|phase| phase.taps == 1));
        }
    }

    #[test]
    fn phases_are_counted_before_they_are_made() {
        let directions = [Direction::Forward, Direction::GradInput, Direction::GradWeight];
        for (axis, side) in axes().into_iter().flat_map(|axis| SIDES.map(|side| (axis, side))) {
            for (direction, unshared) in directions.into_iter().flat_map(|d| [(d, false), (d, true)]) {
                let made = Polyphase::new(&axis, direction, unshared, side).phases.len() as u64;
                assert_eq!(
                    Polyphase::count(&axis, direction, unshared, side),
                    made,
                    "{axis:?} {direction:?}"
                );
            }
        }
        let long = Axis {
            input: 1 << 40,
            kernel: 1,
            output: 2,
            stride: (1 << 61) - 1,
            dilation: 7,
            pad_begin: 0,
            pad_end: 0,
        };
        assert_eq!(Polyphase::count(&long, Direction::GradInput, false, Extent::Input), 1 << 40);
    }
}
