//! Which tensor the kernel gathers from, which holds the factors and which is the result: the three
//! directions as one loop.

use crate::geometry::{self, Extent, Polyphase};
use crate::problem::{Axis, Boundary, ConvProblem, Direction, TensorLayout};
use crate::program::Buffer;

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
    pub(in crate::algorithm) phases: Vec<LoopPhase>,
}

/// Cells of the result at equal distances that are reached by the same taps.
#[derive(Clone, Copy, Debug)]
pub(in crate::algorithm) struct LoopPhase {
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

fn visits_outside(problem: &ConvProblem) -> bool {
    problem.axes().iter().any(geometry::visits_outside)
}

/// Which positions of the input the sums are over: all that windows visit where tables or the boundary adjoint lead to them.
fn side(problem: &ConvProblem) -> Extent {
    if is_folded(problem) || has_table(problem) { Extent::Padded } else { Extent::Input }
}

/// Most phases of a matrix product: each is a launch, with tables of its own. Past it nothing else that is worth asking first
/// for what its phases share has anything to share.
pub(in crate::algorithm) const MAX_PHASES: u64 = 64;

/// Phases of an axis, before any is made: a stride makes as many as it steps over, each with a row of its own.
pub(in crate::algorithm) fn phases(problem: &ConvProblem, axis: &Axis) -> u64 {
    Polyphase::count(axis, problem.direction(), problem.unshared(), side(problem))
}

/// Phases of all axes together.
pub(in crate::algorithm) fn all_phases(problem: &ConvProblem) -> u64 {
    three_axes(problem).iter().map(|axis| phases(problem, axis)).fold(1, u64::saturating_mul)
}

pub(in crate::algorithm) fn three_axes(problem: &ConvProblem) -> [Axis; 3] {
    geometry::three_axes(problem.axes())
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

/// Elements of what the kernel writes.
pub(in crate::algorithm) fn written_elements(problem: &ConvProblem) -> u64 {
    written_extents(problem).iter().fold(1, |product: u64, &extent| product.saturating_mul(extent))
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

/// Where the positions of an axis lie in a tensor: the first one, and the step to the next, in elements.
#[derive(Clone, Copy, Default)]
struct TensorSteps {
    first: i64,
    step: i64,
}

impl TensorSteps {
    fn of_positions(step: u64) -> Self {
        Self { first: 0, step: signed(step) }
    }

    /// Of the taps of a weight: flipped, tap `K − 1 − t` at step `s` is tap `t` at step `−s`, counted from the last one.
    fn of_taps(problem: &ConvProblem, axis: &Axis, step: u64) -> Self {
        let step = signed(step);
        if problem.flip() {
            Self { first: step.wrapping_mul(signed(axis.kernel - 1)), step: step.wrapping_neg() }
        } else {
            Self { first: 0, step }
        }
    }

    fn at(self, position: u64) -> i64 {
        self.first.wrapping_add(self.step.wrapping_mul(signed(position)))
    }
}

/// The decomposition of an axis, with the steps of the tensors.
fn axis_loop(problem: &ConvProblem, i: usize, r: &[u64]) -> Loop {
    let rank = problem.rank();
    let (axis, direction, unshared) = (three_axes(problem)[i], problem.direction(), problem.unshared());
    let spatial = |strides: &[u64], from: usize| (i + rank).checked_sub(3).map_or(0, |a| strides[from + a]);
    let last = |strides: &[u64]| spatial(strides, strides.len() - rank);
    let weight = &problem.weight().strides;
    let (x, y) = (last(&problem.input().strides), last(&problem.output().strides));
    let taps = |step| TensorSteps::of_taps(problem, &axis, step);
    // A single position is never stepped along, so its stride need not be a whole number of loads.
    let own = signed(if unshared && axis.output > 1 { spatial(weight, 1) } else { 0 });
    let none = TensorSteps::default();
    // Per position of the filter; the same again per position of the destination and of the source, where each output has filters
    // of its own; per position of the destination, and per tap of which a phase is.
    let (b, [b_to, b_from], to, to_tap) = match direction {
        Direction::Forward => (taps(last(weight)), [own, 0], TensorSteps::of_positions(last(r)), none),
        Direction::GradInput => (taps(last(weight)), [0, own], TensorSteps::of_positions(last(r)), none),
        Direction::GradWeight if unshared => {
            (none, [signed(y), 0], TensorSteps::of_positions(spatial(r, 1)), taps(last(r)))
        }
        Direction::GradWeight => (TensorSteps::of_positions(y), [0, 0], taps(last(r)), none),
    };
    let (a_extent, a_stride) = match direction {
        Direction::GradInput => (axis.output, y),
        Direction::Forward | Direction::GradWeight => (axis.input, x),
    };
    let polyphase = Polyphase::new(&axis, direction, unshared, side(problem));
    let phase = |phase: &geometry::Phase| LoopPhase {
        taps: phase.taps,
        pad: phase.begin.wrapping_neg(),
        // Elsewhere nothing is read.
        b_first: if phase.taps == 0 {
            0
        } else {
            b.at(phase.first_tap)
                .wrapping_add(b_to.wrapping_mul(signed(phase.first)))
                .wrapping_add(b_from.wrapping_mul(phase.begin))
        },
        r_first: to.at(phase.first).wrapping_add(to_tap.at(phase.first_tap)),
        cells: phase.count,
    };
    let Polyphase { stride, dilation, apart, tap_step, ref phases } = polyphase;
    Loop {
        a_extent,
        stride,
        dilation,
        a_stride,
        b_stride: b.step.wrapping_mul(tap_step).wrapping_add(b_from.wrapping_mul(dilation)),
        b_position: b_to.wrapping_mul(signed(apart)).wrapping_add(b_from.wrapping_mul(stride)) as u64,
        r_stride: to.step.wrapping_mul(signed(apart)),
        phases: phases.iter().map(phase).collect(),
    }
}
