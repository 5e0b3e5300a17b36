//! Which tensor the kernel gathers from, which holds the factors and which is the result: the three
//! directions as one loop.

use crate::problem::{Axis, Boundary, ConvProblem, Direction, TensorLayout, gcd};
use crate::program::Buffer;

/// A problem has fewer axes than the kernel: the missing leading ones hold one cell.
const UNIT: Axis = Axis { input: 1, kernel: 1, output: 1, stride: 1, dilation: 1, pad_begin: 0, pad_end: 0 };

/// The sum `r[n, q, m] = Σ k, c  a[n, g·C + c, m·stride + k·dilation − pad] · b[q, c, k, m]` with every step in
/// elements. Signed, because flipped kernels and gradients step backwards.
#[derive(Clone, Debug)]
pub(in crate::algorithm) struct Roles {
    /// Along z, y and x.
    pub(in crate::algorithm) axes: [Loop; 3],
    /// Images of the result.
    pub(in crate::algorithm) images: u64,
    /// Channel groups.
    pub(in crate::algorithm) groups: u64,
    /// Channels of the result per group.
    pub(in crate::algorithm) channels: u64,
    /// Channels summed over.
    pub(in crate::algorithm) summed: u64,
    /// The tensor that is gathered from: which, and its steps per image, group and channel summed over.
    pub(in crate::algorithm) a: (Buffer, [u64; 3]),
    /// The factors: which, and their steps per group, channel of the result and channel summed over.
    pub(in crate::algorithm) b: (Buffer, [u64; 3]),
    /// Steps of the result per image and channel.
    pub(in crate::algorithm) r: [u64; 2],
    /// Whether four neighbouring channels summed over can be read at once.
    pub(in crate::algorithm) vector_loads: bool,
}

/// One spatial axis.
#[derive(Clone, Debug)]
pub(in crate::algorithm) struct Loop {
    /// Cells of `a`.
    pub(in crate::algorithm) a_extent: u64,
    /// Cells of `a` per cell of the result within a phase.
    pub(in crate::algorithm) stride: i64,
    /// Cells of `a` per tap.
    pub(in crate::algorithm) dilation: i64,
    pub(in crate::algorithm) a_stride: u64,
    /// Per tap.
    pub(in crate::algorithm) b_stride: i64,
    /// Per cell of the result.
    pub(in crate::algorithm) b_position: u64,
    /// Per cell of the result.
    pub(in crate::algorithm) r_stride: i64,
    /// Cells of the result that the same taps reach, one row each.
    pub(in crate::algorithm) phases: Vec<Phase>,
}

/// Cells of the result at equal distances that are reached by the same taps.
#[derive(Clone, Copy, Debug)]
pub(in crate::algorithm) struct Phase {
    pub(in crate::algorithm) taps: u64,
    pub(in crate::algorithm) pad: i64,
    pub(in crate::algorithm) b_first: i64,
    pub(in crate::algorithm) r_first: i64,
    pub(in crate::algorithm) cells: u64,
}

/// Whether the gradient of the input is first computed for every padded cell, and folded afterwards:
/// where the boundary repeats cells. A constant outside has no gradient.
pub(in crate::algorithm) fn is_folded(problem: &ConvProblem) -> bool {
    problem.direction() == Direction::GradInput && problem.boundary().repeats() && visits_outside(problem)
}

/// Whether coordinates of the kernel go through boundary tables: where windows visit cells outside that are not zero.
pub(in crate::algorithm) fn has_table(problem: &ConvProblem) -> bool {
    problem.direction() != Direction::GradInput
        && problem.boundary() != Boundary::Zero
        && visits_outside(problem)
}

/// Whether any window visits a cell outside the input.
fn visits_outside(problem: &ConvProblem) -> bool {
    problem.axes().iter().any(|axis| axis.pad_begin > 0 || axis.reach() > axis.input)
}

/// Most phases of a matrix product: each is a launch, with tables of its own. Past it nothing else that is worth asking first
/// for what its phases share has anything to share.
pub(in crate::algorithm) const MAX_PHASES: u64 = 64;

/// Phases of an axis, before any is made: a stride makes as many as it steps over, each with a row of its own.
pub(in crate::algorithm) fn phases(problem: &ConvProblem, axis: &Axis) -> u64 {
    match problem.direction() {
        Direction::GradInput if is_folded(problem) => axis.stride.min(axis.reach()),
        Direction::GradInput => axis.stride.min(axis.input),
        Direction::GradWeight if problem.unshared() => axis.kernel,
        _ => 1,
    }
}

/// Phases of all axes together.
pub(in crate::algorithm) fn all_phases(problem: &ConvProblem) -> u64 {
    three_axes(problem).iter().map(|axis| phases(problem, axis)).fold(1, u64::saturating_mul)
}

pub(in crate::algorithm) fn three_axes(problem: &ConvProblem) -> [Axis; 3] {
    let given = problem.axes();
    std::array::from_fn(|i| (i + given.len()).checked_sub(3).map_or(UNIT, |a| given[a]))
}

/// Extents of what the kernel writes: the result's, with every padded cell if it is folded afterwards.
pub(in crate::algorithm) fn written_extents(problem: &ConvProblem) -> Vec<u64> {
    let mut extents = problem.result().extents.clone();
    if is_folded(problem) {
        let from = extents.len() - problem.rank();
        for (extent, axis) in extents[from..].iter_mut().zip(problem.axes()) {
            *extent = axis.reach();
        }
    }
    extents
}

impl Roles {
    /// For a result that is written with these strides, one per logical axis.
    pub(in crate::algorithm) fn new(problem: &ConvProblem, r: &[u64]) -> Self {
        let (input, weight, output) = (problem.input(), problem.weight(), problem.output());
        let rank = problem.rank();
        let groups = problem.groups();
        let (per_in, per_out) = (problem.c_in() / groups, problem.c_out() / groups);
        let (x, y) = (&input.strides, &output.strides);
        let channel = if problem.unshared() { 1 + rank } else { 1 };
        let (w_out, w_in) = (weight.strides[0], weight.strides[channel]);
        let vectors = |a: (&TensorLayout, usize), b: (&TensorLayout, usize), summed: u64| {
            summed > 0 && summed.is_multiple_of(4) && steps_by_four(a) && steps_by_four(b)
        };
        let axes = std::array::from_fn(|i| axis_loop(problem, i, r));
        match problem.direction() {
            Direction::Forward => Self {
                axes,
                images: problem.n(),
                groups,
                channels: per_out,
                summed: per_in,
                a: (Buffer::Input, [x[0], per_in.wrapping_mul(x[1]), x[1]]),
                b: (Buffer::Weight, [per_out.wrapping_mul(w_out), w_out, w_in]),
                r: [r[0], r[1]],
                vector_loads: vectors((input, 1), (weight, channel), per_in),
            },
            Direction::GradInput => Self {
                axes,
                images: problem.n(),
                groups,
                channels: per_in,
                summed: per_out,
                a: (Buffer::GradOutput, [y[0], per_out.wrapping_mul(y[1]), y[1]]),
                b: (Buffer::Weight, [per_out * w_out, w_in, w_out]),
                r: [r[0], r[1]],
                vector_loads: vectors((output, 1), (weight, 0), per_out),
            },
            Direction::GradWeight => Self {
                axes,
                images: per_in,
                groups,
                channels: per_out,
                summed: problem.n(),
                a: (Buffer::Input, [x[1], per_in.wrapping_mul(x[1]), x[0]]),
                b: (Buffer::GradOutput, [per_out.wrapping_mul(y[1]), y[1], y[0]]),
                r: [r[channel], r[0]],
                vector_loads: vectors((input, 0), (output, 0), problem.n()),
            },
        }
    }
}

impl Loop {
    /// Taps of the phase that has the most.
    pub(in crate::algorithm) fn taps(&self) -> u64 {
        self.phases.iter().map(|p| p.taps).max().unwrap_or(0)
    }

    /// Cells of the phase that has the most.
    pub(in crate::algorithm) fn cells(&self) -> u64 {
        self.phases.iter().map(|p| p.cells).max().unwrap_or(0)
    }
}

/// The same sum with its taps in the order of `a`'s cells, and without steps that are never taken.
pub(in crate::algorithm) fn forwards(axis: &Loop) -> Loop {
    let mut axis = axis.clone();
    if axis.dilation < 0 {
        for phase in &mut axis.phases {
            // All taps are turned round: the last one comes first. Sizes were checked to stay far below 2^63.
            let last = phase.taps.saturating_sub(1) as i64;
            phase.pad = phase.pad.wrapping_sub(last.wrapping_mul(axis.dilation));
            phase.b_first = phase.b_first.wrapping_add(last.wrapping_mul(axis.b_stride));
        }
        axis.dilation = axis.dilation.wrapping_neg();
        axis.b_stride = axis.b_stride.wrapping_neg();
    }
    match (axis.cells() > 1, axis.taps() > 1) {
        (true, true) => {}
        (true, false) => axis.dilation = axis.stride,
        (false, true) => axis.stride = axis.dilation,
        (false, false) => (axis.stride, axis.dilation) = (1, 1),
    }
    axis
}

/// Whether neighbours along `channel` are adjacent, and every other step is a whole number of loads of four: that of a single
/// image as well, which is loaded as it would be in a batch.
fn steps_by_four((tensor, channel): (&TensorLayout, usize)) -> bool {
    let axes = tensor.strides.iter().zip(&tensor.extents).enumerate();
    tensor.strides[channel] == 1
        && tensor.first.is_multiple_of(4)
        && axes
            .filter(|&(a, (_, &e))| a != channel && (e > 1 || a == 0))
            .all(|(_, (s, _))| s.is_multiple_of(4))
}

/// A step that is taken was checked to be far below 2^63 when the problem was made. One along a single place may be any number:
/// it wraps round, as in the kernels, and so does what is computed from it.
fn signed(value: u64) -> i64 {
    value as i64
}

fn axis_loop(problem: &ConvProblem, i: usize, r: &[u64]) -> Loop {
    let rank = problem.rank();
    let axis = three_axes(problem)[i];
    let spatial = |strides: &[u64], from: usize| (i + rank).checked_sub(3).map_or(0, |a| strides[from + a]);
    let last = |strides: &[u64]| spatial(strides, strides.len() - rank);
    let (x, y) = (last(&problem.input().strides), last(&problem.output().strides));
    let tap = signed(last(&problem.weight().strides));
    // A single position is never stepped along, so its stride need not be a whole number of loads.
    let positions = problem.unshared() && axis.output > 1;
    let position = if positions { spatial(&problem.weight().strides, 1) } else { 0 };
    // Tap K - 1 - t at step s is tap t at step -s, counted from the last tap.
    let flipped = |at: u64| if problem.flip() { axis.kernel - 1 - at } else { at };
    let sign = if problem.flip() { -1 } else { 1 };
    // Tables are addressed by padded coordinates.
    let pad = if has_table(problem) { 0 } else { signed(axis.pad_begin) };
    match problem.direction() {
        Direction::Forward => Loop {
            a_extent: axis.input,
            stride: signed(axis.stride),
            dilation: signed(axis.dilation),
            a_stride: x,
            b_stride: tap.wrapping_mul(sign),
            b_position: position,
            r_stride: signed(last(r)),
            phases: vec![Phase {
                taps: axis.kernel,
                pad,
                b_first: tap.wrapping_mul(signed(flipped(0))),
                r_first: 0,
                cells: axis.output,
            }],
        },
        Direction::GradInput => grad_input(problem, &axis, [tap, signed(position)], [y, last(r)]),
        Direction::GradWeight if problem.unshared() => Loop {
            a_extent: axis.input,
            stride: signed(axis.stride),
            dilation: 0,
            a_stride: x,
            b_stride: 0,
            b_position: y,
            r_stride: signed(spatial(r, 1)),
            phases: (0..axis.kernel)
                .map(|t| Phase {
                    taps: 1,
                    pad: pad.wrapping_sub(signed(t.wrapping_mul(axis.dilation))),
                    b_first: 0,
                    r_first: signed(flipped(t).wrapping_mul(last(r))),
                    cells: axis.output,
                })
                .collect(),
        },
        Direction::GradWeight => Loop {
            a_extent: axis.input,
            stride: signed(axis.dilation),
            dilation: signed(axis.stride),
            a_stride: x,
            b_stride: signed(y),
            b_position: 0,
            r_stride: signed(last(r)).wrapping_mul(sign),
            phases: vec![Phase {
                taps: axis.output,
                pad,
                b_first: 0,
                r_first: signed(flipped(0).wrapping_mul(last(r))),
                cells: axis.kernel,
            }],
        },
    }
}

/// Cell `i` of the input is read by tap `t` of output `o` where `o·stride + t·dilation = i + pad`. With
/// `g = gcd(stride, dilation)`, the cells `i = first + m·stride` share the taps `t₀, t₀ + stride/g, ..`, and tap `u`
/// of them belongs to output `o₀ + m − u·dilation/g`.
fn grad_input(problem: &ConvProblem, axis: &Axis, [tap, position]: [i64; 2], [y, r]: [u64; 2]) -> Loop {
    let folded = is_folded(problem);
    let (extent, pad) = if folded { (axis.reach(), 0) } else { (axis.input, axis.pad_begin) };
    let common = gcd(axis.stride, axis.dilation);
    let (step, back) = (axis.stride / common, axis.dilation / common);
    let sign = if problem.flip() { -1 } else { 1 };
    let phase = |first: u64| {
        let padded = first + pad;
        let t0 =
            if padded.is_multiple_of(common) { first_tap(padded / common, back, step) } else { axis.kernel };
        let taps = axis.kernel.saturating_sub(t0).div_ceil(step);
        // Divides where there is a tap; elsewhere nothing is read.
        let o0 =
            if taps == 0 { 0 } else { (signed(padded) - signed(t0 * axis.dilation)) / signed(axis.stride) };
        let t = if problem.flip() { signed(axis.kernel) - 1 - signed(t0) } else { signed(t0) };
        Phase {
            taps,
            pad: -o0,
            b_first: if taps == 0 { 0 } else { tap.wrapping_mul(t).wrapping_add(position.wrapping_mul(o0)) },
            r_first: signed(first.wrapping_mul(r)),
            cells: (extent - first).div_ceil(axis.stride),
        }
    };
    // A step past the input is never taken; cut, it fits the arithmetic.
    let r_stride = axis.stride.min(extent).saturating_mul(r);
    Loop {
        a_extent: axis.output,
        stride: 1,
        dilation: -signed(back),
        a_stride: y,
        b_stride: tap
            .wrapping_mul(sign * signed(step.min(axis.kernel)))
            .wrapping_sub(position.wrapping_mul(signed(back))),
        b_position: position as u64,
        r_stride: signed(r_stride),
        phases: (0..axis.stride.min(extent)).map(phase).collect(),
    }
}

/// The smallest `t ≥ 0` with `t·back ≡ padded (mod step)`; `back` and `step` have no common divisor.
fn first_tap(padded: u64, back: u64, step: u64) -> u64 {
    // Extended Euclid: `inverse·back ≡ 1 (mod step)`.
    let (mut old, mut new) = ((i128::from(back % step), 1i128), (i128::from(step), 0i128));
    while new.0 != 0 {
        let quotient = old.0 / new.0;
        (old, new) = (new, (old.0 - quotient * new.0, old.1 - quotient * new.1));
    }
    let modulus = i128::from(step);
    let tap = (i128::from(padded % step) * old.1.rem_euclid(modulus)).rem_euclid(modulus);
    // Between 0 and `step`, which is of 64 bits.
    u64::try_from(tap).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::first_tap;
    use crate::problem::gcd;

    #[test]
    fn the_first_tap_is_the_smallest_that_reaches() {
        for step in 1..12u64 {
            for back in (1..15u64).filter(|&b| gcd(b, step) == 1) {
                for padded in 0..30u64 {
                    let wanted = (0..step).find(|t| (t * back) % step == padded % step);
                    assert_eq!(Some(first_tap(padded, back, step)), wanted, "{padded} {back} {step}");
                }
            }
        }
    }
}
