//! A spatial axis as `Fft` sees it: correlations of neighbouring cells with neighbouring taps, one after the other.
//!
//! With stride `s` and dilation `d`, every so-many-th result is a correlation of every so-many-th source cell: a *phase*.
//! Within a phase, position `v` sums `source[begin + (v + u)·step] · taps[u]`, and result `m` is position `m·stride`.

use std::ops::Range;

use crate::cpu::direct::geometry::{Line, index, inverse, times};
use crate::problem::{Boundary, Direction, gcd};

/// The taps that a phase sums over, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taps {
    first: usize,
    step: usize,
    /// Whether the source runs against the taps, as in the gradient of the input.
    backwards: bool,
    pub(super) count: usize,
}

impl Taps {
    /// The kernel's tap at place `u`.
    pub(super) fn at(&self, u: usize) -> usize {
        let u = if self.backwards { self.count - 1 - u } else { u };
        self.first + u * self.step
    }
}

/// Some of the results along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Phase {
    /// Coordinate in the source of the first cell that the first position reads, and from one cell to the next.
    pub(super) begin: i64,
    pub(super) step: i64,
    /// Which of the axis' [`Taps`].
    pub(super) taps: usize,
    /// The first result, the distance to the next, and how many.
    pub(super) first: usize,
    pub(super) apart: usize,
    pub(super) count: usize,
}

/// All phases of an axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Phases {
    pub(super) all: Vec<Phase>,
    /// Different ones; most taps first.
    pub(super) taps: Vec<Taps>,
    /// Positions from one result to the next.
    pub(super) stride: usize,
    /// Cells of the source and of the result.
    pub(super) source: usize,
    pub(super) result: usize,
}

impl Phases {
    /// The results are those of the direction; the gradient of the weight has the phases of the forward convolution.
    pub(super) fn new(line: &Line, boundary: Boundary, direction: Direction) -> Self {
        if direction == Direction::GradInput { Self::transposed(line, boundary) } else { Self::forward(line) }
    }

    /// How many there are at most, before any is made.
    pub(super) fn most(line: &Line, boundary: Boundary, direction: Direction) -> u64 {
        let (stride, dilation) = (line.stride.unsigned_abs(), line.dilation.unsigned_abs());
        let apart = dilation / gcd(stride, dilation);
        match direction {
            Direction::GradInput => {
                let cells = cells(line, boundary);
                apart.saturating_mul(stride).min(cells.end.abs_diff(cells.start))
            }
            _ => apart.min(line.output as u64),
        }
    }

    fn forward(line: &Line) -> Self {
        let common = gcd(line.stride.unsigned_abs(), line.dilation.unsigned_abs()) as i64;
        let apart = line.dilation / common;
        let phase = |o: i64| Phase {
            begin: o * line.stride - line.begin,
            step: line.dilation,
            taps: 0,
            first: index(o),
            apart: index(apart),
            count: (line.output - 1 - index(o)) / index(apart) + 1,
        };
        Self {
            all: (0..apart.min(line.output as i64)).map(phase).collect(),
            taps: vec![Taps { first: 0, step: 1, backwards: false, count: line.kernel }],
            stride: index(line.stride / common),
            source: line.input,
            result: line.output,
        }
    }

    fn transposed(line: &Line, boundary: Boundary) -> Self {
        let cells = cells(line, boundary);
        let common = gcd(line.stride.unsigned_abs(), line.dilation.unsigned_abs()) as i64;
        let step = line.dilation / common;
        let apart = step.saturating_mul(line.stride);
        let between = line.stride / common;
        let inverse = inverse(step, between);
        let mut phases = Self {
            all: Vec::new(),
            taps: Vec::new(),
            stride: 1,
            source: line.output,
            result: index(cells.end - cells.start),
        };
        let end = cells.end.min(line.reach);
        for at in cells.start..end.min(cells.start.saturating_add(apart)) {
            // The first tap that meets an output here, tap·dilation ≡ at modulo the stride; every `between`-th after it does.
            let tap = times((at / common).rem_euclid(between), inverse, between);
            if at % common != 0 || tap >= line.kernel as i64 {
                continue;
            }
            let count = (line.kernel - 1 - index(tap)) / index(between) + 1;
            let taps = Taps { first: index(tap), step: index(between), backwards: true, count };
            let known = phases.taps.iter().position(|known| *known == taps).unwrap_or_else(|| {
                phases.taps.push(taps);
                phases.taps.len() - 1
            });
            phases.all.push(Phase {
                begin: (at - tap * line.dilation) / line.stride - (count as i64 - 1) * step,
                step,
                taps: known,
                first: index(at - cells.start),
                apart: index(apart),
                count: index((end - 1 - at) / apart) + 1,
            });
        }
        phases
    }

    /// Most taps of a phase.
    pub(super) fn most_taps(&self) -> usize {
        self.taps.iter().map(|taps| taps.count).max().unwrap_or(1)
    }

    /// Most results of a phase.
    pub(super) fn most_results(&self) -> usize {
        self.all.iter().map(|phase| phase.count).max().unwrap_or(0)
    }
}

/// What has a gradient: the input's cells, or where these are read again outside, all that windows visit.
fn cells(line: &Line, boundary: Boundary) -> Range<i64> {
    if boundary.repeats() { 0..line.reach } else { line.begin..line.begin + line.input as i64 }
}
