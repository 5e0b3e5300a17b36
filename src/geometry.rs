//! Which source positions meet which taps and where their products land: numbers alone, one axis at a time, without memory.
//!
//! An axis of a convolution is a [`Polyphase`] decomposition: phases of destination positions that meet the same taps. Where a
//! step between taps is larger than one, each phase falls into dense [`SubImages`], as transforms need them. A [`Line`] says
//! the same of single positions.

mod line;
mod meeting;
mod polyphase;
mod sub_image;

use crate::problem::{Axis, Boundary, Source};

pub(crate) use crate::problem::gcd;
pub(crate) use line::{Line, Taps, index};
pub(crate) use meeting::Meeting;
pub(crate) use polyphase::{Extent, Phase, Polyphase};
pub(crate) use sub_image::{SubImages, most_sub_images};

/// An axis of one position.
const UNIT: Axis = Axis { input: 1, kernel: 1, output: 1, stride: 1, dilation: 1, pad_begin: 0, pad_end: 0 };

/// The axes as z, y and x: the missing leading ones have one position.
pub(crate) fn three_axes(axes: &[Axis]) -> [Axis; 3] {
    std::array::from_fn(|i| (i + axes.len()).checked_sub(3).map_or(UNIT, |a| axes[a]))
}

/// The same sums along as few axes as there can be: without axes of one position, and neighbours that no tap crosses as one, so
/// that rows are as long as they can be. Steps that are never taken are 1.
pub(crate) fn joined_axes(axes: &[Axis]) -> [Axis; 3] {
    let mut joined: Vec<Axis> = Vec::new();
    for axis in axes.iter().map(with_steps_taken).filter(|axis| *axis != UNIT) {
        match joined.last_mut() {
            Some(last) if is_pointwise(last) && is_pointwise(&axis) => {
                *last = pointwise(last.input * axis.input);
            }
            _ => joined.push(axis),
        }
    }
    three_axes(&joined)
}

/// An axis of so many positions, of which each output reads its own.
pub(crate) fn pointwise(positions: u64) -> Axis {
    Axis { input: positions, output: positions, ..UNIT }
}

/// Whether each output reads the input at its own position and nothing else.
pub(crate) fn is_pointwise(axis: &Axis) -> bool {
    axis.kernel == 1 && axis.stride == 1 && axis.pad_begin == 0 && axis.input == axis.output
}

/// A step that is never taken may be any number: it becomes 1. Nothing is said of padding after the input, which `output` implies.
fn with_steps_taken(axis: &Axis) -> Axis {
    let step = |step: u64, taken: bool| if taken { step } else { 1 };
    let (stride, dilation) = (step(axis.stride, axis.output > 1), step(axis.dilation, axis.kernel > 1));
    Axis { stride, dilation, pad_end: 0, ..*axis }
}

/// Whether a window visits a position outside the input.
pub(crate) fn visits_outside(axis: &Axis) -> bool {
    axis.pad_begin > 0 || axis.reach() > axis.input
}

/// The input position that `at` reads, of which 0 is the first; `None`: nothing, or the boundary's constant.
pub(crate) fn read(boundary: Boundary, at: i64, input: u64) -> Option<u64> {
    // What lies inside is not looked for.
    if let Some(inside) = u64::try_from(at).ok().filter(|&at| at < input) {
        return Some(inside);
    }
    match boundary.source(at, input) {
        Source::Cell(position) => Some(position),
        Source::Outside => None,
    }
}

/// `⌈a/b⌉` for `b > 0`
pub(crate) fn div_ceil(a: i64, b: i64) -> i64 {
    -(-a).div_euclid(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One product: destination position, source position (0 is the input's or output's first), filter position.
    pub(super) type Triple = [i64; 3];

    /// Axes of every kind, small enough to go through, with paddings beyond the kernel and tails unread.
    pub(super) fn axes() -> Vec<Axis> {
        let mut axes = Vec::new();
        for (input, kernel) in [(1, 1), (1, 4), (7, 1), (7, 3), (6, 5), (11, 4), (3, 7)] {
            for (stride, dilation) in
                [(1, 1), (2, 1), (1, 2), (3, 2), (2, 3), (4, 2), (2, 4), (6, 4), (4, 6), (9, 1), (1, 9)]
            {
                for (pad_begin, output) in [(0, 1), (0, 4), (2, 1), (3, 5), (13, 9)] {
                    axes.push(Axis { input, kernel, output, stride, dilation, pad_begin, pad_end: 0 });
                }
            }
        }
        axes
    }

    /// Every product of the forward convolution: output position, padded position of the input, tap.
    pub(super) fn products(axis: &Axis) -> Vec<Triple> {
        let of = |o: u64| (0..axis.kernel).map(move |t| [o, o * axis.stride + t * axis.dilation, t]);
        (0..axis.output).flat_map(of).map(|product| product.map(|n| n as i64)).collect()
    }

    #[test]
    fn a_step_that_is_never_taken_says_nothing() {
        let axis = Axis { kernel: 1, output: 1, stride: 5, dilation: u64::MAX, ..UNIT };
        assert_eq!(joined_axes(&[axis, axis]), [UNIT; 3]);
        let [z, y, x] =
            joined_axes(&[pointwise(3), pointwise(4), Axis { input: 6, kernel: 2, output: 5, ..UNIT }]);
        assert_eq!([z, y], [UNIT, pointwise(12)]);
        assert_eq!([x.input, x.kernel, x.output], [6, 2, 5]);
    }

    #[test]
    fn positions_outside_are_those_that_the_formula_visits() {
        for axis in axes() {
            let inside = axis.pad_begin..axis.pad_begin + axis.input;
            let outside = products(&axis).iter().any(|&[_, at, _]| !inside.contains(&at.unsigned_abs()));
            assert_eq!(visits_outside(&axis), outside, "{axis:?}");
        }
    }
}
